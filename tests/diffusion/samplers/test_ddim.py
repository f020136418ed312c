"""DDIM: marginals, its two ends, and the way back to the noise."""

import itertools

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.utils import SeededNoise
from labml_nn.diffusion.samplers import DDIM, Ancestral
from tests.kit.close import agree
from tests.kit.gaussian import exact_eps
from tests.kit.models import SPACINGS, model


@pytest.mark.parametrize('eta', [0.0, 0.3, 1.0])
def test_every_eta_has_the_same_marginals(eta):
    """With x_0 known, x_s of a step has mean sqrt(alpha_bar_s) x_0 and variance 1 - alpha_bar_s."""
    n, x0 = 100_000, 0.7
    diffusion = DenoiseDiffusion(None, 1000)
    diffusion.eps_model = lambda xt, t: (
        (xt - diffusion.alpha_bar[t, None] ** 0.5 * x0)
        / diffusion.one_minus_alpha_bar[t, None] ** 0.5
    )
    sampler = DDIM(diffusion, 5, eta=eta)
    t = sampler.tau[-1]
    torch.manual_seed(1)
    xt = diffusion.q_sample(torch.full((n, 1), x0), torch.full((n,), t))
    z = _OneGenerator()
    for (_, xt, _), s in zip(sampler.chain(xt, z), [*sampler.tau[-2::-1], None], strict=True):
        ab = float(diffusion.alpha_bar[s]) if s is not None else 1.0
        var = max(1 - ab, 1e-12)
        bound = 5 * (var / n) ** 0.5 + 1e-5
        agree(float(xt.mean()), ab**0.5 * x0, atol=bound, what='mean after each step')
        bound = max(5 * (2 / n) ** 0.5 * var, 1e-8)
        agree(float(xt.var()), var, atol=bound, what='variance after each step')


class _OneGenerator(SeededNoise):
    """Noise for so many images that a generator each would take long."""

    def __init__(self):
        pass

    def __call__(self, shape, device):
        return torch.randn(shape)


@pytest.mark.parametrize('clip_x0', [True, False])
def test_eta_1_is_ancestral(clip_x0):
    """With beta tilde, on all steps and on any subset."""
    diffusion = DenoiseDiffusion(model, 1000, variance='beta_tilde')
    ddim = DDIM(diffusion, 1000, eta=1.0, clip_x0=clip_x0).sample((4, 3), seed=7)
    ddpm = diffusion.sample((4, 3), seed=7, clip_x0=clip_x0)
    agree(ddim, ddpm, atol=1e-4, what='images after all 1000 steps')
    for spacing in SPACINGS:
        for n in (1, 10, 27):
            options = dict(spacing=spacing, clip_x0=clip_x0)
            if n == 1 and spacing == 'leading':
                continue  # it would start from step 0, which is no noise
            agree(
                DDIM(diffusion, n, eta=1.0, **options).sample((4, 3), seed=7),
                Ancestral(diffusion, n, **options).sample((4, 3), seed=7),
                atol=2e-5, what='images after fewer steps',
            )  # fmt: skip


def test_eta_0_is_deterministic():
    """The image is a function of x_T, whatever the seed; with eta > 0 it is not."""
    diffusion = DenoiseDiffusion(model, 1000)
    xt = torch.randn(4, 3)
    one, two = (DDIM(diffusion, 20).sample(xt, seed) for seed in (1, 2))
    agree(one, two, atol=0, what='images with two seeds')
    noisy = DDIM(diffusion, 20, eta=0.1)
    assert not torch.equal(noisy.sample(xt, 1), noisy.sample(xt, 2))


def gaussian():
    mean = torch.tensor([0.5, -0.3, 0.0])
    root = torch.tensor([[0.6, 0.0, 0.0], [0.3, 0.4, 0.0], [-0.2, 0.1, 0.25]])
    diffusion = DenoiseDiffusion(None, 1000)
    diffusion.eps_model = exact_eps(diffusion, mean, root)
    return diffusion, mean + torch.randn(50, 3) @ root.T


def round_trip(diffusion, x0, n_steps, n_iterations, spacing='trailing'):
    sampler = DDIM(diffusion, n_steps, clip_x0=False, spacing=spacing)
    xT = sampler.invert(x0, n_iterations=n_iterations)
    return float((sampler.sample(xT) - x0).abs().max()), xT


def test_inversion_gives_the_image_back():
    """To first order with one call a step, and exactly with enough of them."""
    diffusion, x0 = gaussian()
    errors = [round_trip(diffusion, x0, n, 1)[0] for n in (50, 100, 200)]
    fall = [a / b for a, b in itertools.pairwise(errors)]
    agree(fall, [2.0, 2.0], atol=0.3, what='error for twice the steps falls by')
    for spacing in SPACINGS:
        error = round_trip(diffusion, x0, 50, 40, spacing)[0]
        agree(float(error), 0.0, atol=1e-4, what='error with 40 calls a step')


def test_inverted_images_are_noise():
    """x_T of the data's own images is standard normal."""
    diffusion, _ = gaussian()
    mean = torch.tensor([0.5, -0.3, 0.0])
    root = torch.tensor([[0.6, 0.0, 0.0], [0.3, 0.4, 0.0], [-0.2, 0.1, 0.25]])
    n = 4000
    x0 = mean + torch.randn(n, 3) @ root.T
    xT = DDIM(diffusion, 200, clip_x0=False).invert(x0)
    assert float(xT.mean(0).abs().max()) < 5 / n**0.5 + 0.02
    assert float((torch.cov(xT.T) - torch.eye(3)).abs().max()) < 5 * (2 / n) ** 0.5 + 0.02


def test_inversion_needs_an_iteration():
    with pytest.raises(ValueError, match='n_iterations=0: at least one'):
        DDIM(DenoiseDiffusion(model, 1000), 10).invert(torch.zeros(1, 2), n_iterations=0)


@pytest.mark.parametrize('eta', [-0.5, -1e-6, 1 + 1e-6, 1.5])
def test_no_eta_outside_of_the_papers_scale(eta):
    with pytest.raises(ValueError, match=r'must lie in \[0, 1\]'):
        DDIM(DenoiseDiffusion(model, 1000), 10, eta=eta)
