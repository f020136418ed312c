"""Euler's and Heun's methods along straight lines."""

import math

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.utils import SeededNoise
from labml_nn.diffusion.samplers import DDIM, Flow, Heun
from labml_nn.diffusion.schedules import straight
from labml_nn.diffusion.targets import TargetedDiffusion
from tests.kit.close import agree
from tests.kit.models import model
from tests.kit.peers import diffusers

T = 1000


@pytest.fixture
def diffusion():
    return DenoiseDiffusion(model, T)


def test_every_xt_lies_on_a_straight_line(diffusion):
    torch.manual_seed(0)
    x0, eps = torch.randn(2, 4, 3, 2, 2).unbind()
    sampler = Flow(diffusion, 10)
    for t in (0, 500, T - 1):
        a = float(diffusion.alpha_bar[t]) ** 0.5
        s = float(diffusion.one_minus_alpha_bar[t]) ** 0.5
        tau = s / (a + s)
        xt = diffusion.q_sample(x0, torch.full((4,), t), eps)
        agree(xt / (a + s), (1 - tau) * x0 + tau * eps, atol=1e-5, what='place on the line')
        agree(sampler.time[t], tau, atol=1e-6, what='time')
        agree(sampler.size[t], a + s, atol=1e-6, what='size')
    assert (sampler.time[-1], sampler.size[-1]) == (0, 1)


@pytest.mark.parametrize('clip', [True, False])
@pytest.mark.parametrize('spacing', ['trailing', 'karras'])
def test_eulers_method_is_ddim(diffusion, clip, spacing):
    ours = Flow(diffusion, 10, order=1, clip_x0=clip, spacing=spacing)
    ddim = DDIM(diffusion, 10, clip_x0=clip, spacing=spacing)
    chains = (s.chain(*s.start((4, 3, 2, 2), seed=1)) for s in (ours, ddim))
    for (t, xt, _), (at, expected, _) in zip(*chains, strict=True):
        assert t == at
        agree(xt, expected, rtol=1e-4, atol=1e-4, what='image after the step')


def test_a_step_is_heuns_along_the_line(diffusion):
    sampler = Flow(diffusion, 6, clip_x0=False)
    xt, noise = sampler.start((4, 3, 2, 2), seed=2)

    def shares(t):
        return (
            float(diffusion.alpha_bar[t]) ** 0.5,
            float(diffusion.one_minus_alpha_bar[t]) ** 0.5,
        )

    def slope(x, t):
        a, s = shares(t)
        eps = model(x * (a + s), torch.full((4,), t))
        # On the line, x0 = (x - tau eps) / (1 - tau)
        tau = s / (a + s)
        return eps - (x - tau * eps) / (1 - tau)

    chain = sampler.chain(xt, noise)
    for i in (5, 4, 3, 2, 1):
        t, s = sampler.tau[i], sampler.tau[i - 1]
        (a_t, s_t), (a_s, s_s) = shares(t), shares(s)
        x, h = xt / (a_t + s_t), s_s / (a_s + s_s) - s_t / (a_t + s_t)
        first = slope(x, t)
        expected = x + h * (first + slope(x + h * first, s)) / 2
        _, xt, _ = next(chain)
        scale = 1 + float(first.abs().max())
        agree(xt / (a_s + s_s), expected, rtol=1e-3, atol=1e-5 * scale, what='after the step')


def test_the_line_matters_for_heun(diffusion):
    along, grows = (
        kind(diffusion, 6, clip_x0=False).sample((4, 3, 2, 2), seed=2) for kind in (Flow, Heun)
    )
    assert float((along - grows).abs().max()) > 1e-3
    assert Flow(diffusion, 6).n_calls == Heun(diffusion, 6).n_calls == 11
    assert Flow(diffusion, 6, order=1).n_calls == 6


def test_another_order_is_refused(diffusion):
    with pytest.raises(ValueError, match='order=3 does not exist: use 1 or 2'):
        Flow(diffusion, 6, order=3)


@pytest.mark.parametrize(
    ('order', 'name'),
    [(1, 'FlowMatchEulerDiscreteScheduler'), (2, 'FlowMatchHeunDiscreteScheduler')],
)
@pytest.mark.parametrize('n_steps', [4, 10, 28])
def test_chains_are_those_of_diffusers(order, name, n_steps):
    flow = TargetedDiffusion(model, T, target='u', beta=straight(T))
    sampler = Flow(flow, n_steps, order=order, spacing='linspace', clip_x0=False)
    reference = getattr(diffusers(), name)()
    reference.set_timesteps(n_steps)
    # Their levels are even from 1 to 1/1000, which ours are where they fall on whole steps
    assert [round(float(t)) - 1 for t in reference.sigmas[:-1] * T] == [
        t for i, t in enumerate(sampler.tau[::-1]) for _ in range(order if i > 0 else 1)
    ]
    xt, noise = sampler.start((4, 3, 2, 2), seed=5)
    assert torch.equal(xt, SeededNoise(4, 5)((4, 3, 2, 2), 'cpu'))
    x, chain = xt, []
    for k, (sigma, t) in enumerate(zip(reference.sigmas, reference.timesteps, strict=False)):
        # Our network sees the variance-preserving size
        size = math.hypot(1 - float(sigma), float(sigma))
        u = model(x / size, torch.full((4,), round(float(sigma) * T) - 1))
        x = reference.step(u, t, x).prev_sample
        if order == 1 or k % 2 == 1 or k == len(reference.timesteps) - 1:
            after = float(reference.sigmas[k + 1])
            chain.append(x / math.hypot(1 - after, after))
    for (_, found, _), expected in zip(sampler.chain(xt, noise), chain, strict=True):
        agree(found, expected, rtol=1e-3, atol=1e-3, what='image after the step')
