"""Algorithm 2, one step and whole chains."""

import numpy as np
import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.utils import SeededNoise, image_seed
from tests.kit.close import agree
from tests.kit.gaussian import exact_eps
from tests.kit.models import DropoutModel


def noisy_model(xt, t):
    return torch.sin(3 * xt) + 0.001 * t[:, None]


@pytest.fixture
def diffusion():
    return DenoiseDiffusion(noisy_model, 1000)


@pytest.mark.parametrize('variance', ['beta', 'beta_tilde'])
def test_p_sample_is_algorithm_2(variance):
    """eps -> x0_hat -> posterior mean, against the printed line 4, in float64."""
    diffusion = DenoiseDiffusion(noisy_model, 1000, variance=variance)
    t = torch.tensor([0, 1, 2, 10, 100, 500, 900, 999])
    xt, z = torch.randn(8, 5), torch.randn(8, 5)
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    alpha_bar = (1 - beta).cumprod(0)
    eps = noisy_model(xt, t).double()
    printed = (xt - (beta / (1 - alpha_bar) ** 0.5)[t, None] * eps) / (1 - beta[t, None]) ** 0.5
    prev = torch.cat([torch.ones(1).double(), alpha_bar[:-1]])
    sigma2 = beta if variance == 'beta' else (1 - prev) / (1 - alpha_bar) * beta
    printed = printed + torch.where(t == 0, 0.0, sigma2[t] ** 0.5)[:, None] * z
    got = diffusion.p_sample(xt, t, z=z).double()
    # At the end x0_hat is 157 times as large as eps, which float32 pays for
    agree(got[:-2], printed[:-2], atol=1e-6, what='a step, and line 4 of Algorithm 2')
    agree(got[-2:], printed[-2:], atol=1e-5, what='the same near the end')


def test_predict_x0_inverts_q_sample(diffusion):
    x0, eps, t = torch.rand(4, 7) * 2 - 1, torch.randn(4, 7), torch.tensor([0, 50, 300, 600])
    xt = diffusion.q_sample(x0, t, eps)
    torch.testing.assert_close(diffusion.predict_x0(xt, t, eps), x0, rtol=0, atol=2e-6)


def test_an_error_in_eps_is_157_times_as_large_in_x0_at_the_end(diffusion):
    xt, t = torch.zeros(1, 1), torch.tensor([999])
    one = diffusion.predict_x0(xt, t, torch.ones(1, 1)) - diffusion.predict_x0(xt, t, 0 * xt)
    assert round(abs(float(one))) == 157


def test_no_noise_at_the_last_step(diffusion):
    xt, t = torch.randn(6, 3), torch.zeros(6, dtype=torch.int64)
    assert torch.equal(diffusion.p_sample(xt, t), diffusion.p_sample(xt, t))
    mean, _, x0_hat = diffusion.p_mean_var(xt, t)
    assert torch.equal(mean, x0_hat)
    assert torch.equal(diffusion.p_sample(xt, t), mean)


def test_noise_at_every_other_step(diffusion):
    xt, t = torch.zeros(50_000, 1), torch.full((50_000,), 700)
    var = float(diffusion.p_sample(xt, t).var())
    assert var == pytest.approx(float(diffusion.beta[700]), rel=4 * (2 / 50_000) ** 0.5)


def test_clipping_changes_nothing_where_nothing_clips(diffusion):
    x0, eps, t = (
        torch.rand(5, 4) * 1.9 - 0.95,
        torch.randn(5, 4),
        torch.tensor([0, 1, 10, 100, 400]),
    )
    exact = DenoiseDiffusion(lambda xt, t: eps, 1000)
    xt, z = exact.q_sample(x0, t, eps), torch.randn(5, 4)
    torch.testing.assert_close(
        exact.p_sample(xt, t, z=z), exact.p_sample(xt, t, z=z, clip_x0=True), rtol=0, atol=1e-6
    )


def test_clipping_keeps_x0_hat_in_range(diffusion):
    xt, t = torch.randn(5, 4) * 3, torch.tensor([0, 10, 100, 500, 999])
    assert float(diffusion.p_mean_var(xt, t)[2].abs().max()) > 1
    mean, _, x0_hat = diffusion.p_mean_var(xt, t, clip_x0=True)
    assert float(x0_hat.abs().max()) == 1
    torch.testing.assert_close(mean, diffusion.q_posterior(x0_hat, xt, t)[0])


def test_gaussian_data_is_reproduced():
    """With the exact eps, 1000 ancestral steps give the data's mean and covariance back."""
    mean = torch.tensor([0.5, -0.3, 0.0])
    root = torch.tensor([[0.6, 0.0, 0.0], [0.3, 0.4, 0.0], [-0.2, 0.1, 0.05]])
    diffusion = DenoiseDiffusion(None, 1000)
    diffusion.eps_model = exact_eps(diffusion, mean, root)
    n = 20_000
    torch.manual_seed(1)
    xt = torch.randn(n, 3)
    for i in reversed(range(1000)):
        xt = diffusion.p_sample(xt, torch.full((n,), i))
    cov = root @ root.T
    std = cov.diagonal().sqrt()
    # 4 standard errors of means and covariances, plus 1 % of the scale for the 1000 finite steps
    bias = 0.01 * std[:, None] * std
    assert bool(((xt.mean(0) - mean).abs() < 4 * std / n**0.5 + 0.01 * std).all())
    se = ((cov**2 + cov.diagonal()[:, None] * cov.diagonal()) / n) ** 0.5
    got = torch.from_numpy(np.cov(xt.numpy(), rowvar=False)).float()
    assert bool(((got - cov).abs() < 4 * se + bias + 3e-4).all()), (got, cov)


def test_sample_is_the_chain_and_depends_on_seed_and_index_only(diffusion):
    whole = diffusion.sample((6, 5), seed=3)
    assert torch.equal(whole[2:4], diffusion.sample((2, 5), seed=3, first=2))
    assert torch.equal(whole[:1], diffusion.sample((1, 5), seed=3))
    assert not torch.equal(whole, diffusion.sample((6, 5), seed=4))
    noise = SeededNoise(6, 3)
    chain = list(diffusion.p_chain(noise((6, 5), 'cpu'), noise))
    assert [t for t, _, _ in chain] == list(reversed(range(1000)))
    assert torch.equal(chain[-1][1], whole)


def test_sets_of_images_do_not_meet():
    """The seeds of 50,000 images in each of 200 sets are all different."""
    starts = np.sort([image_seed(s, 0) for s in range(200)])
    gaps = np.diff(np.append(starts, starts[0] + 2**32))
    assert gaps.min() > 50_000
    assert image_seed(5, 7) == (image_seed(5, 0) + 7) % 2**32


def test_noise_of_another_batch_is_refused():
    with pytest.raises(ValueError, match='seeded for 4 images, the batch has 5'):
        SeededNoise(4, 0)((5, 1), 'cpu')


def test_no_dropout_while_sampling():
    """Neither in a step nor in a chain, and the model is left in the mode it was in."""
    model = DropoutModel()
    diffusion = DenoiseDiffusion(model, 1000)
    model.train()
    model.frozen.eval()
    diffusion.sample((2, 3))
    diffusion.p_sample(torch.randn(2, 3), torch.tensor([5, 6]))
    assert model.modes == {False}
    assert model.training
    assert model.dropout.training
    assert not model.frozen.training
    diffusion.loss(torch.zeros(2, 3))
    assert model.modes == {False, True}


def test_sampling_needs_no_gradients():
    model = torch.nn.Linear(3, 3)
    diffusion = DenoiseDiffusion(lambda xt, t: model(xt), 1000)
    assert not diffusion.p_sample(torch.randn(2, 3), torch.tensor([5, 6])).requires_grad
    assert not diffusion.sample((2, 3)).requires_grad


@pytest.mark.parametrize('seed', [-1, 2**63])
def test_a_seed_that_no_generator_takes_is_refused(seed):
    with pytest.raises(ValueError, match='need a whole number from 0 to'):
        SeededNoise(2, seed)
    assert len(SeededNoise(2, abs(seed) - 1).generators) == 2
