"""Ancestral sampling on a subset of the steps."""

import json
from pathlib import Path

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.samplers import Ancestral
from tests.kit.close import agree
from tests.kit.models import SPACINGS, model


@pytest.mark.parametrize('variance', ['beta', 'beta_tilde'])
def test_all_steps_are_algorithm_2(variance):
    diffusion = DenoiseDiffusion(model, 1000, variance=variance)
    for clip_x0 in (True, False):
        sampler = Ancestral(diffusion, 1000, variance=variance, clip_x0=clip_x0)
        for name in ('beta', 'alpha_bar', 'beta_tilde', 'sigma2'):
            short, whole = getattr(sampler.short, name), getattr(diffusion, name)
            agree(short, whole, atol=0, rtol=1e-5, what=name)
        expected = diffusion.sample((3, 4), seed=5, clip_x0=clip_x0)
        got = sampler.sample((3, 4), seed=5)
        agree(got, expected, atol=2e-5, what='images, and those of Algorithm 2')


@pytest.mark.parametrize('spacing', SPACINGS)
def test_a_subset_is_a_shorter_chain(spacing):
    """Its steps compose to the marginals of the long chain at the steps that were chosen."""
    diffusion = DenoiseDiffusion(model, 1000)
    for n in (20, 27, 999):
        sampler = Ancestral(diffusion, n, spacing=spacing)
        short = sampler.short
        assert short.n_steps == n
        tau = torch.tensor(sampler.tau)
        agree(short.alpha_bar, diffusion.alpha_bar[tau], atol=0, rtol=1e-5, what='alpha_bar')
        other, whole = short.one_minus_alpha_bar, diffusion.one_minus_alpha_bar[tau]
        agree(other, whole, atol=0, rtol=1e-5, what='1 - alpha_bar')
        steps = short.alpha.double().cumprod(0).float()
        agree(steps, short.alpha_bar, atol=0, rtol=1e-4, what='product of alpha, and alpha_bar')


def test_ratio_of_the_two_variances():
    """The figures of the page: 10 steps, the last four before the end."""
    short = Ancestral(DenoiseDiffusion(model, 1000), 10).short
    ratio = short.beta_tilde / short.beta
    agree(ratio[1:5].tolist(), [0.3, 0.56, 0.75, 0.87], atol=0.005, what='beta_tilde / beta')


@pytest.mark.parametrize('own', ['beta', 'beta_tilde'])
def test_the_variance_when_nobody_asks(own):
    diffusion = DenoiseDiffusion(model, 1000, variance=own)
    whole, part = Ancestral(diffusion, 1000).short, Ancestral(diffusion, 999).short
    assert torch.equal(whole.sigma2, getattr(whole, own))
    assert torch.equal(part.sigma2, part.beta_tilde)


def test_the_variance_is_the_one_asked_for():
    diffusion = DenoiseDiffusion(lambda xt, t: xt * 0, 1000)
    n = 40_000
    for variance in ('beta', 'beta_tilde'):
        sampler = Ancestral(diffusion, 10, variance=variance, clip_x0=False)
        xt, noise = sampler.start(torch.zeros(n, 1))
        _, xt, _ = next(sampler.chain(xt, noise))
        expected = float(getattr(sampler.short, variance)[-1])
        assert float(xt.var()) == pytest.approx(expected, rel=5 * (2 / n) ** 0.5)


def test_which_variance_the_tables_speak_for():
    """The measured distances of the digits, and the paper's of CIFAR-10."""
    measured = Path(__file__).parents[3] / 'docs' / 'figures' / 'data' / 'frontier.json'
    tables = json.loads(measured.read_text(encoding='utf-8'))
    more = []
    for table in (tables['steps'], tables['spacing']):
        rows = {row[0]: row[1:] for row in table}
        large, small = rows[r'ancestral, $\beta$'], rows[r'ancestral, $\tilde\beta$']
        more.append([b / a for a, b in zip(large, small, strict=True)])
    by_steps, by_spacing = more  # trailing with 5, 10, 20 and 50; 20 in each of the four ways
    assert [round(r, 2) for r in (min(by_steps), max(by_steps))] == [1.16, 1.49]
    leading, linspace, trailing, quadratic = by_spacing
    assert max(leading, linspace) < 1 < min(trailing, quadratic)
    assert max(trailing, quadratic) < 1.49
    assert round(367 / 41) == 9
