"""The sampler of consistency models: what a step is, and that exact jumps keep the data."""

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.samplers import Consistency
from tests.kit.close import agree
from tests.kit.models import model

SHAPE = (4, 1, 2, 2)
# Gaussian data
M, C = 0.3, 0.4


def gaussian(of):
    """A diffusion whose model guesses `of(x, a, s)` as the image, of Gaussian data."""
    diffusion = DenoiseDiffusion(None, 1000)

    def eps_model(xt, t):
        a = diffusion.alpha_bar[t].reshape(-1, 1, 1, 1).double() ** 0.5
        s = (1 - a**2) ** 0.5
        x = xt.double()
        return ((x - a * of(x, a, s)) / s).to(xt.dtype)

    diffusion.eps_model = eps_model
    return diffusion


def exact_end(x, a, s):
    """Where the ODE ends: as far from the mean, in units of the deviation."""
    return M + C * (x - a * M) / (a**2 * C**2 + s**2) ** 0.5


def exact_mean(x, a, s):
    """The mean of all images that x may come from, which an ordinary model guesses."""
    return M + a * C**2 * (x - a * M) / (a**2 * C**2 + s**2)


def test_a_step_is_a_jump_and_new_noise():
    diffusion = DenoiseDiffusion(model, 1000)
    sampler = Consistency(diffusion, 4)
    chain = list(sampler.chain(*sampler.start(SHAPE, seed=1)))
    xt, noise = sampler.start(SHAPE, seed=1)
    for i, (t, x, x0_hat) in zip((3, 2, 1, 0), chain, strict=True):
        assert t == sampler.tau[i]
        step = torch.full((4,), t)
        guess = diffusion.predict_x0(xt, step, model(xt, step)).clamp(-1, 1)
        agree(x0_hat, guess, atol=1e-5, what='the jump')
        if i:
            a = float(diffusion.alpha_bar[sampler.tau[i - 1]].double())
            z = noise(xt.shape, 'cpu')
            xt = a**0.5 * guess + (1 - a) ** 0.5 * z
        else:
            xt = guess
        agree(x, xt, atol=1e-5, what='with new noise')


@pytest.mark.parametrize('calls', [1, 2, 8])
def test_any_number_of_calls_gives_the_data(calls):
    x = Consistency(gaussian(exact_end), calls, clip_x0=False).sample((64, 1, 16, 16), seed=3)
    agree(x.mean(), M, atol=0.01, what='mean')
    agree(x.std(), C, atol=0.01, what='deviation')


def test_an_ordinary_model_loses_spread():
    spread = [
        float(
            Consistency(gaussian(exact_mean), calls, clip_x0=False)
            .sample((64, 1, 16, 16), seed=3)
            .std()
        )
        for calls in (1, 8, 1000)
    ]
    assert spread[0] < 0.01
    assert all(s < 0.9 * C for s in spread)
