"""Schedules: the papers' numbers, what is left at the end, and what is refused."""

import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.utils import ShortChainWarning
from labml_nn.diffusion.schedules import SCHEDULES, cosine, linear, log_snr, signal_left
from tests.kit.close import agree, record
from tests.kit.peers import diffusers


def zero_model(xt, t):
    return torch.zeros_like(xt)


def test_linear_is_the_papers():
    beta = linear(1000)
    assert beta.dtype == torch.float64
    assert (float(beta[0]), float(beta[-1])) == (1e-4, 0.02)
    assert float(beta.diff().std()) < 1e-15
    # and what the class has without being told
    assert torch.equal(DenoiseDiffusion(zero_model, 1000).beta, beta.float())


@pytest.mark.parametrize('n_steps', [1, 2, 50, 1000])
def test_cosine_is_equation_17(n_steps):
    """In plain Python, one step at a time."""
    s, beta = 0.008, cosine(n_steps)

    def f(t):
        return math.cos((t / n_steps + s) / (1 + s) * math.pi / 2) ** 2

    for t in range(1, n_steps + 1):
        alpha_bar = f(t) / f(0), f(t - 1) / f(0)
        assert float(beta[t - 1]) == pytest.approx(min(1 - alpha_bar[0] / alpha_bar[1], 0.999))
    assert float(beta[-1]) == 0.999


def test_cosine_agrees_with_diffusers():
    scheduler = diffusers().DDPMScheduler(1000, beta_schedule='squaredcos_cap_v2')
    torch.testing.assert_close(cosine(1000).float(), scheduler.betas, rtol=1e-4, atol=1e-6)


def test_signal_left_as_the_page_has_it():
    def two(x):
        return float(f'{x:.1e}')

    table = {
        10: (0.95, 3.8e-9, 4.9e-3),
        50: (0.78, 2.8e-3, 9.9e-4),
        100: (0.60, 4.5e-3, 4.9e-4),
        1000: (6.4e-3, 6.4e-3, 4.9e-5),
        4000: (1.6e-9, 6.5e-3, 1.2e-5),
    }
    for n, row in table.items():
        found = linear(n), linear(n, rescaled=True), cosine(n)
        # Both as the page prints them, with two digits
        agree([two(signal_left(beta)) for beta in found], row, atol=0, what='signal left')


def test_the_first_cosine_step_is_below_a_level():
    std = float(cosine(1000)[0] ** 0.5)
    record('noise of the first step, in levels, between 0.8 and 1', f'{std * 127.5:.3f}')
    assert 0.8 / 127.5 < std < 1 / 127.5
    assert float(cosine(1000, offset=0)[0] ** 0.5) < 0.25 / 127.5


def test_where_the_steps_are_spent():
    found = [float((log_snr(beta) < -6).sum()) for beta in (linear(1000), cosine(1000))]
    agree(found, [231.0, 32.0], atol=0, what='steps below e^-6: linear and cosine')
    assert round(math.exp(6) / 100) == 4


@pytest.mark.parametrize('name', SCHEDULES)
def test_log_snr_is_the_ratio_and_falls(name):
    beta = SCHEDULES[name](1000)
    alpha_bar = (1 - beta).cumprod(0)
    torch.testing.assert_close(log_snr(beta).exp(), alpha_bar / (1 - alpha_bar), rtol=1e-9, atol=0)
    assert bool((log_snr(beta).diff() < 0).all())
    # Where 1 - alpha_bar would be rounded to 1 or 0
    tiny = torch.full((3,), 1e-18, dtype=torch.float64)
    torch.testing.assert_close(log_snr(tiny), -(torch.arange(1, 4) * 1e-18).double().log())


@pytest.mark.parametrize('schedule', [cosine, lambda n: linear(n, rescaled=True)])
@pytest.mark.parametrize('n_steps', [10, 21, 100, 4000])
def test_every_length_ends_in_noise(schedule, n_steps):
    """So the class takes it without a warning, of which pytest makes an error."""
    beta = schedule(n_steps)
    assert signal_left(beta) < 0.007
    diffusion = DenoiseDiffusion(zero_model, n_steps, beta=beta)
    assert bool(diffusion.sigma2.isfinite().all())
    assert bool(diffusion.log_beta_tilde.isfinite().all())


@given(st.lists(st.floats(1e-6, 0.999), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_any_betas_are_a_schedule(betas):
    """Rising or not: the constants are finite, and x_t keeps its variance."""
    beta = torch.tensor(betas, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ShortChainWarning)
        d = DenoiseDiffusion(zero_model, len(betas), beta=beta)
    for constant in (d.alpha_bar, d.beta_tilde, d.log_beta_tilde, d.sigma2):
        assert bool(constant.isfinite().all())
    whole, ones = d.alpha_bar + d.one_minus_alpha_bar, torch.ones(len(betas))
    agree(whole, ones, atol=1e-5, rtol=1.3e-6, what='variance of x_t')
    assert bool((d.beta_tilde <= d.beta * (1 + 1e-6)).all())


@pytest.mark.parametrize(
    ('beta', 'message'),
    [
        (torch.tensor([0.1, 1.0]), 'nothing is left of the image at the last step'),
        (torch.tensor([1.0, 0.1]), 'strictly between 0 and 1: got 0.1 to 1'),
        (torch.tensor([0.0, 0.5]), 'strictly between 0 and 1'),
        (torch.tensor([0.1, math.nan]), 'strictly between 0 and 1'),
        (torch.rand(3), r'needs beta of shape \[2\] .* got shape \[3\]'),
        (torch.rand(2, 1), r'got shape \[2, 1\]'),
    ],
)
def test_what_is_no_schedule_is_refused(beta, message):
    with pytest.raises(ValueError, match=message):
        DenoiseDiffusion(zero_model, 2, beta=beta)


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: linear(0), 'n_steps=0: a schedule has at least one step'),
        (lambda: cosine(-1), 'n_steps=-1'),
        (lambda: cosine(10, offset=-0.1), 'offset=-0.1 must not be negative'),
        (lambda: cosine(10, max_beta=1), 'max_beta=1 lie in'),
        (lambda: cosine(10, max_beta=0), 'max_beta=0 lie in'),
    ],
)
def test_numbers_that_make_no_schedule_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
