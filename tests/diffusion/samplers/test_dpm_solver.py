"""DPM-Solver++: what its first order is, and its equation with noise."""

import itertools
import math

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.samplers import DDIM, Ancestral, DPMSolver
from tests.kit.close import agree
from tests.kit.models import SPACINGS, model


@pytest.mark.parametrize('spacing', SPACINGS)
@pytest.mark.parametrize('clip_x0', [True, False])
def test_first_order_is_ddim(spacing, clip_x0):
    diffusion, options = DenoiseDiffusion(model, 1000), dict(spacing=spacing, clip_x0=clip_x0)
    for n in (10, 27, 1000):
        agree(
            DPMSolver(diffusion, n, order=1, sde=False, **options).sample((4, 3)),
            DDIM(diffusion, n, **options).sample((4, 3)),
            atol=1e-4, what='images, and those of DDIM',
        )  # fmt: skip


@pytest.mark.parametrize('spacing', SPACINGS)
@pytest.mark.parametrize('clip_x0', [True, False])
def test_first_order_with_noise_is_ancestral(spacing, clip_x0):
    diffusion, options = DenoiseDiffusion(model, 1000), dict(spacing=spacing, clip_x0=clip_x0)
    for n in (10, 27, 1000):
        agree(
            DPMSolver(diffusion, n, order=1, sde=True, **options).sample((4, 3), seed=1),
            Ancestral(diffusion, n, **options).sample((4, 3), seed=1),
            atol=1e-4, what='images, and those of ancestral sampling',
        )  # fmt: skip


def test_log_signal_to_noise_at_both_ends():
    """The figures of the page."""
    diffusion = DenoiseDiffusion(model, 1000)
    lam = (diffusion.alpha_bar / diffusion.one_minus_alpha_bar).log() / 2
    assert [round(float(lam[t]), 1) for t in (999, 0)] == [-5.1, 4.6]


def test_a_first_step_has_nothing_to_extrapolate_from():
    diffusion = DenoiseDiffusion(model, 1000)
    xt = torch.randn(4, 3)
    one = [next(DPMSolver(diffusion, 10, order=k, sde=False).chain(xt, None))[1] for k in (1, 2)]
    assert torch.equal(*one)


def moments(c, y, start, end, n=2000):
    """Mean and spread at `end` of dy = (2 e^lambda c - y) dlambda + sqrt(2) dw, from y at `start`:
    those of a linear equation follow dm = (2 e^lambda c - m) dlambda, dv = 2 (1 - v) dlambda."""
    m, v, step = y, 0.0, (end - start) / n
    for i in range(n):
        lam = start + (i + 0.5) * step
        # The middle of the step, by half a step of Euler's method
        half_m = m + step / 2 * (2 * math.exp(lam - step / 2) * c - m)
        half_v = v + step * (1 - v)
        m, v = m + step * (2 * math.exp(lam) * c - half_m), v + 2 * step * (1 - half_v)
    return m, v**0.5


def test_the_equation_with_noise_has_this_step():
    """Where the guess of the image stays the same: mean and spread of each step but the last."""
    c = 0.3

    def eps_of(xt, t):
        a = diffusion.alpha_bar[t[0]] ** 0.5
        return (xt - a * c) / diffusion.one_minus_alpha_bar[t[0]] ** 0.5

    diffusion = DenoiseDiffusion(eps_of, 1000)
    sampler = DPMSolver(diffusion, 6, sde=True, clip_x0=False)

    def images(noisy=None):
        """Where each step leads, with noise of 1 in step `noisy` and none in the others."""
        draws = (torch.full((1, 1), float(i == noisy)) for i in itertools.count())
        return [float(x) for _, x, _ in sampler.chain(xt, lambda *_: next(draws))]

    xt = torch.full((1, 1), -0.7)
    plain = images()
    for i, (t, s) in enumerate(itertools.pairwise(sampler.tau[::-1])):
        start, end = (math.log(sampler.signal[j] / sampler.noise[j]) for j in (t, s))
        x = plain[i - 1] if i else float(xt)
        mean, spread = moments(c, x / sampler.noise[t], start, end)
        found = [plain[i], images(noisy=i)[i] - plain[i]]
        expected = [sampler.noise[s] * mean, sampler.noise[s] * spread]
        agree(found, expected, atol=1e-4, what='mean and spread of a step, and of the equation')
