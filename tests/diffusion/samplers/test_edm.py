"""DDPM in the units of EDM, its noise levels, and Heun's method."""

import math

import numpy as np
import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.samplers import DDIM, PNDM, DPMSolver, Heun, spaced
from labml_nn.diffusion.samplers.contract import levels, nearest_levels
from labml_nn.diffusion.schedules import cosine
from tests.kit.close import agree
from tests.kit.models import model

T = 1000


@pytest.fixture
def diffusion():
    return DenoiseDiffusion(model, T)


@pytest.fixture
def sigma(diffusion):
    alpha_bar = (1 - diffusion.beta.double()).cumprod(0)
    return ((1 - alpha_bar) / alpha_bar).sqrt().tolist()


def test_the_units_of_edm(diffusion, sigma):
    torch.manual_seed(0)
    x0, eps = torch.randn(2, 4, 3, 2, 2).unbind()
    for t in (0, 500, T - 1):
        xt = diffusion.q_sample(x0, torch.full((4,), t), eps)
        a = float(diffusion.alpha_bar[t]) ** 0.5
        agree(xt / a, x0 + sigma[t] * eps, rtol=1e-4, atol=1e-5, what='image without shrinking')
        agree(a, 1 / math.sqrt(sigma[t] ** 2 + 1), rtol=1e-5, atol=0, what='share of the image')
    agree(sigma[0], 0.01, atol=1e-4, what='least noise level')
    agree(sigma[-1], 157, atol=0.5, what='most')
    assert sigma == sorted(set(sigma))


def test_the_denoiser_is_x0_hat(diffusion, sigma):
    torch.manual_seed(1)
    for t in (0, 300, T - 1):
        bar_x = sigma[t] * torch.randn(4, 3, 2, 2)
        c_in, c_out = 1 / math.sqrt(sigma[t] ** 2 + 1), -sigma[t]
        step = torch.full((4,), t)
        D = bar_x + c_out * model(c_in * bar_x, step)
        ours = diffusion.predict_x0(c_in * bar_x, step, model(c_in * bar_x, step))
        agree(ours, D, rtol=1e-4, atol=1e-4 * sigma[t], what='guess of the clean image')


@pytest.mark.parametrize('rho', [1.0, 3.0, 7.0])
def test_levels_are_even_in_the_root(rho):
    found = levels(5, 0.002, 80.0, rho)
    agree(found[0], 0.002, rtol=1e-9, atol=0, what='first level')
    agree(found[-1], 80.0, rtol=1e-9, atol=0, what='last level')
    gaps = np.diff(np.array(found) ** (1 / rho))
    agree(gaps, [gaps.mean()] * 4, rtol=1e-9, atol=0, what='gaps of the root')
    # Far from any root, the logarithm is what is even
    logs = np.diff(np.log(levels(5, 0.002, 80.0, 1e6)))
    agree(logs, [logs.mean()] * 4, rtol=1e-4, atol=0, what='gaps of the logarithm, for a large rho')
    assert levels(1, 0.002, 80.0) == [80.0]


def test_each_level_goes_to_the_nearest_step(diffusion, sigma):
    tau = DDIM(diffusion, 20, spacing='karras').tau
    wanted = levels(20, sigma[0], sigma[-1])
    for t, level in zip(tau, wanted, strict=True):
        gap = abs(sigma[t] - level)
        assert gap <= abs(sigma[max(t - 1, 0)] - level)
        assert gap <= abs(sigma[min(t + 1, T - 1)] - level)
    assert (tau[0], tau[-1]) == (0, T - 1)


def test_where_nine_levels_lie(diffusion, sigma):
    found = {}
    for spacing in ('karras', 'trailing'):
        tau = DDIM(diffusion, 9, spacing=spacing).tau
        found[spacing] = sum(0.5 < sigma[t] < 5 for t in tau)
    agree([found['karras'], found['trailing']], [1, 4], atol=0, what='levels between 0.5 and 5')


@pytest.mark.parametrize('n', [1, 2, 3, 50, 400, 999, 1000])
def test_no_step_is_taken_twice(sigma, n):
    tau = spaced('karras', n, T, sigma)
    assert len(tau) == n
    assert tau == sorted(set(tau))
    assert tau[-1] == T - 1


def test_what_two_levels_want_goes_to_the_lower_one():
    assert nearest_levels([1.0, 1.1, 1.2], [1.0, 2.0, 3.0]) == [0, 1, 2]
    assert nearest_levels([2.9, 3.0, 3.1], [1.0, 2.0, 3.0]) == [0, 1, 2]


def test_a_step_is_heuns(diffusion, sigma):
    sampler = Heun(diffusion, 6, clip_x0=False)
    xt, noise = sampler.start((4, 3, 2, 2), seed=2)
    chain = sampler.chain(xt, noise)
    for i in (5, 4, 3, 2, 1):
        t, s = sampler.tau[i], sampler.tau[i - 1]
        bar_x = xt * math.sqrt(sigma[t] ** 2 + 1)

        def slope(bar_x, t):
            return model(bar_x / math.sqrt(sigma[t] ** 2 + 1), torch.full((4,), t))

        first = slope(bar_x, t)
        second = slope(bar_x + (sigma[s] - sigma[t]) * first, s)
        expected = bar_x + (sigma[s] - sigma[t]) * (first + second) / 2
        at, xt, _ = next(chain)
        assert at == t
        found = xt * math.sqrt(sigma[s] ** 2 + 1)
        agree(found, expected, rtol=1e-3, atol=2e-4 * sigma[t], what='image after the step')


@pytest.mark.parametrize('n', [1, 4, 10])
def test_steps_cost_two_calls_but_the_last(n):
    calls = []

    def counted(xt, t):
        calls.append(int(t[0]))
        return model(xt, t)

    sampler = Heun(DenoiseDiffusion(counted, T), n)
    sampler.sample((2, 3, 2, 2))
    assert len(calls) == sampler.n_calls == 2 * n - 1


def test_a_leap_is_not_corrected():
    """The cosine schedule's first step back, where a mean of slopes is enlarged beyond bounds."""
    sampler = Heun(DenoiseDiffusion(model, T, beta=cosine(T)), 20)
    assert not sampler.looks_ahead(19)
    assert sampler.looks_ahead(18)
    assert sampler.n_calls == 38


def test_karras_is_for_all_but_pndm(diffusion):
    for kind in (DDIM, DPMSolver, Heun):
        assert kind(diffusion, 5, spacing='karras').tau[-1] == T - 1
    with pytest.raises(ValueError, match='unequal length'):
        PNDM(diffusion, 5, spacing='karras')
    with pytest.raises(ValueError, match='use leading, linspace, trailing, quadratic, karras'):
        Heun(diffusion, 5, spacing='carras')
