"""The simple loss: section 6 of the derivation, Algorithm 1."""

import re
import warnings

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from tests.kit.close import agree


def zero_model(xt, t):
    return torch.zeros_like(xt)


def test_a_zero_model_has_loss_one():
    """E eps^2 = 1 per pixel: 4 standard errors of the mean of chi-square variables."""
    diffusion = DenoiseDiffusion(zero_model, 1000)
    x0 = torch.rand(256, 3, 16, 16) * 2 - 1
    agree(float(diffusion.loss(x0)), 1.0, atol=4 * (2 / x0.numel()) ** 0.5, what='loss')


def test_a_perfect_model_has_loss_zero():
    eps = torch.randn(8, 1, 4, 4)
    diffusion = DenoiseDiffusion(lambda xt, t: eps, 1000)
    assert float(diffusion.loss(torch.zeros(8, 1, 4, 4), eps)) == 0


def test_the_model_sees_the_noised_image_and_its_step():
    seen = []
    diffusion = DenoiseDiffusion(lambda xt, t: seen.append((xt, t)) or torch.zeros_like(xt), 1000)
    x0, eps, t = (
        torch.rand(4, 1, 2, 2) - 0.5,
        torch.randn(4, 1, 2, 2),
        torch.tensor([0, 5, 500, 999]),
    )
    loss = diffusion.loss(x0, eps, t=t)
    torch.testing.assert_close(seen[0][0], diffusion.q_sample(x0, t, eps))
    assert torch.equal(seen[0][1], t)
    torch.testing.assert_close(loss, (eps**2).mean())


@pytest.mark.parametrize('shape', [(5,), (5, 3), (5, 3, 4, 4)], ids=str)
def test_errors_of_single_images(shape):
    """And their mean is the loss."""
    diffusion = DenoiseDiffusion(lambda xt, t: 0.3 * xt, 1000)
    x0, eps, t = torch.rand(shape) * 2 - 1, torch.randn(shape), torch.tensor([0, 1, 50, 500, 999])
    errors = diffusion.errors(x0, t, eps)
    assert errors.shape == (5,)
    each = [float(diffusion.loss(x0[[i]], eps[[i]], t=t[[i]])) for i in range(5)]
    agree(errors.tolist(), each, atol=0, rtol=1e-6, what='errors, and the loss of each alone')
    assert len(set(each)) == 5
    agree(errors.mean(), diffusion.loss(x0, eps, t=t), atol=0, what='their mean, and the loss')


def test_steps_are_uniform_over_all():
    counts = torch.zeros(10)

    def model(xt, t):
        counts.add_(t.bincount(minlength=10))
        return torch.zeros_like(xt)

    diffusion = DenoiseDiffusion(model, 10, beta=torch.full((10,), 0.5))
    diffusion.loss(torch.zeros(20_000, 1))
    # Each step 2000 ± 4 standard deviations
    assert float((counts - 2000).abs().max()) < 4 * (20_000 * 0.1 * 0.9) ** 0.5


@pytest.mark.parametrize(
    ('x0', 'span'),
    [
        (torch.full((2, 1, 4, 4), 255.0), 'go from 255 to 255'),
        (torch.full((2, 1, 4, 4), -1.01), 'go from -1.01'),
        (torch.full((2, 1, 4, 4), float('nan')), 'nan'),
    ],
)
def test_images_outside_the_range_are_refused(x0, span):
    diffusion = DenoiseDiffusion(zero_model, 1000)
    with pytest.raises(ValueError, match=rf'images must lie in \[-1, 1\].*{span}'):
        diffusion.loss(x0)


def test_images_in_0_1_are_warned_of_once():
    diffusion = DenoiseDiffusion(zero_model, 1000)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('default')
        for _ in range(3):
            diffusion.loss(torch.rand(4, 1, 8, 8))
    assert ['2 * x - 1' in str(w.message) for w in said] == [True]
    assert said[0].filename == __file__
    # A black or white batch, and one that has both signs, are nothing to wonder at
    for x0 in (torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4), torch.rand(4, 1, 8, 8) * 2 - 1):
        diffusion.loss(x0)
    diffusion.loss(torch.rand(4, 1, 8, 8), check_range=False)


def test_latents_are_welcome_when_said():
    diffusion = DenoiseDiffusion(zero_model, 1000)
    assert torch.isfinite(diffusion.loss(torch.randn(2, 4, 8, 8) * 5, check_range=False))


@pytest.mark.parametrize('shape', [(1,), (3,), (4, 1), ()])
def test_steps_of_the_wrong_shape_are_refused(shape):
    """One of them would do for all images, without a word."""
    diffusion, x0 = DenoiseDiffusion(zero_model, 1000), torch.zeros(4, 1, 2, 2)
    t = torch.zeros(shape, dtype=torch.int64)
    with pytest.raises(ValueError, match=re.escape(f't has shape {list(shape)}: need [4]')):
        diffusion.loss(x0, t=t, check_range=False)


def test_a_model_of_the_wrong_shape_is_refused():
    diffusion = DenoiseDiffusion(lambda xt, t: xt[:, :1], 1000)
    with pytest.raises(ValueError, match=r'output of eps_model has shape \[2, 1, 4, 4\]'):
        diffusion.loss(torch.zeros(2, 3, 4, 4))
