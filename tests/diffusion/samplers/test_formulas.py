"""Each formula of the samplers' pages on both sides, in float64, at steps of unequal length."""

import math

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.samplers import DDIM, PNDM, DPMSolver, spaced
from tests.kit.flow import MEAN, ROOT, exact_flow
from tests.kit.gaussian import exact_eps
from tests.kit.models import ALPHA_BAR, model

SIGNAL, NOISE = ALPHA_BAR**0.5, (1 - ALPHA_BAR) ** 0.5
SPACINGS = ['leading', 'linspace', 'trailing', 'quadratic']


def pair(t, s):
    """Signal and noise of two steps; before step 0 there is the image."""
    return [(1.0, 0.0) if i < 0 else (float(SIGNAL[i]), float(NOISE[i])) for i in (t, s)]


def asked(xt, t):
    """The model's noise for a batch at step t, in float64."""
    return model(xt.double(), torch.full((len(xt),), t))


def x0_of(xt, eps, t):
    (a, sigma), _ = pair(t, -1)
    return (xt - sigma * eps) / a


def phi(xt, eps, t, s):
    """PNDM's equation 11, as its page has it."""
    (a_t, sigma_t), (a_s, sigma_s) = pair(t, s)
    return a_s / a_t * xt + (sigma_s - a_s / a_t * sigma_t) * eps


class Given:
    """Noise that is handed out in order, and remembered."""

    def __init__(self):
        self.drawn = []

    def __call__(self, shape, device):
        self.drawn.append(torch.randn(shape, dtype=torch.float64))
        return self.drawn[-1]


def chain_of(sampler):
    """Where each step leads, from one start; the noise it drew; and the start."""
    noise, xt = Given(), torch.randn(4, 3, dtype=torch.float64)
    return xt, [x for _, x, _ in sampler.chain(xt, noise)], noise.drawn


def steps_of(sampler):
    """(t, s) of each step on the way back."""
    return list(zip(sampler.tau[::-1], [*sampler.tau[-2::-1], -1], strict=True))


@pytest.fixture
def diffusion():
    return DenoiseDiffusion(model, 1000)


close = dict(rtol=0, atol=1e-4)


# ## DDIM
@pytest.mark.parametrize('eta', [0.0, 0.5, 1.0])
@pytest.mark.parametrize('spacing', SPACINGS)
def test_ddim_is_equation_12(diffusion, spacing, eta):
    """With sigma of equation 16, step by step."""
    sampler = DDIM(diffusion, 7, spacing=spacing, eta=eta, clip_x0=False)
    xt, found, drawn = chain_of(sampler)
    for i, (t, s) in enumerate(steps_of(sampler)):
        (a_t, sigma_t), (a_s, sigma_s) = pair(t, s)
        var = eta**2 * sigma_s**2 / sigma_t**2 * (1 - a_t**2 / a_s**2)
        eps = asked(xt, t)
        z = drawn[i] if eta else 0.0
        xt = a_s * x0_of(xt, eps, t) + (sigma_s**2 - var) ** 0.5 * eps + var**0.5 * z
        torch.testing.assert_close(found[i], xt, **close)


@pytest.mark.parametrize('spacing', SPACINGS)
def test_ddim_is_a_step_of_euler(diffusion, spacing):
    """x / a moves by the difference of sigma / a, times the noise (eq. 14)."""
    sampler = DDIM(diffusion, 7, spacing=spacing, clip_x0=False)
    xt, found, _ = chain_of(sampler)
    for i, (t, s) in enumerate(steps_of(sampler)):
        (a_t, sigma_t), (a_s, sigma_s) = pair(t, s)
        bar = xt / a_t + (sigma_s / a_s - sigma_t / a_t) * asked(xt, t)
        xt = a_s * bar
        torch.testing.assert_close(found[i], xt, **close)
    assert round(float(NOISE[-1] / SIGNAL[-1])) == 157


def flow():
    """The exact noise of Gaussian data, and the exact solution through one point, by step."""
    diffusion = DenoiseDiffusion(None, 1000)
    diffusion.alpha_bar, diffusion.one_minus_alpha_bar = ALPHA_BAR, 1 - ALPHA_BAR
    diffusion.eps_model = exact_eps(diffusion, MEAN, ROOT)
    torch.manual_seed(0)
    xT = torch.randn(5, 3, dtype=torch.float64)
    return diffusion, lambda t: exact_flow(diffusion, xT, t)


def test_the_equation_of_ddim_has_this_solution():
    """d(x / a) / d(sigma / a) = eps, by differences along the exact solution."""
    diffusion, x = flow()
    for t in (20, 200, 500, 900):
        up, down = (x(i) / SIGNAL[i] for i in (t + 1, t - 1))
        run = NOISE[t + 1] / SIGNAL[t + 1] - NOISE[t - 1] / SIGNAL[t - 1]
        eps = diffusion.eps_model(x(t), torch.full((5,), t))
        torch.testing.assert_close((up - down) / run, eps, rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize(('t', 's'), [(999, 500), (500, 10), (10, 700), (300, -1), (0, 40)])
def test_phi_is_equation_11(diffusion, t, s):
    """By way of x0_hat, as the code goes, and as PNDM's paper has it."""
    xt, eps = torch.randn(2, 5, 3, dtype=torch.float64)
    sampler = DDIM(diffusion, 7)
    (_, _), (a_s, sigma_s) = pair(t, s)
    expected = a_s * x0_of(xt, eps, t) + sigma_s * eps
    torch.testing.assert_close(sampler.transfer(xt, eps, t, s), expected, **close)
    torch.testing.assert_close(phi(xt, eps, t, s), expected)


@pytest.mark.parametrize(
    ('spacing', 'n', 'limit'),
    [('trailing', 10, 1.08), ('trailing', 20, 1.16), ('trailing', 1000, 1.35)],
)
def test_how_much_noise_there_could_be(diffusion, spacing, n, limit):
    """The largest eta for which what is left for the old noise is not negative at any step."""
    sampler = DDIM(diffusion, n, spacing=spacing)
    most = min(
        pair(t, s)[1][1] ** 2 / float(sampler.short.beta_tilde[i])
        for i, (t, s) in enumerate(reversed(steps_of(sampler)))
        if s >= 0
    )
    assert math.floor(most**0.5 * 100) / 100 == limit


# ## DPM-Solver++
def test_the_equation_of_dpm_solver_has_this_solution():
    """d(x / sigma) / d lambda = e^lambda x0_hat, by differences along the exact solution."""
    diffusion, x = flow()
    lam = (SIGNAL / NOISE).log()
    for t in (20, 200, 500, 900):
        left = (x(t + 1) / NOISE[t + 1] - x(t - 1) / NOISE[t - 1]) / (lam[t + 1] - lam[t - 1])
        eps = diffusion.eps_model(x(t), torch.full((5,), t))
        x0_hat = x0_of(x(t), eps, t)
        torch.testing.assert_close(left, lam[t].exp() * x0_hat, rtol=5e-3, atol=5e-3)
        # The same for x itself: dx / d lambda = x / a da / d lambda - sigma eps
        dx, da = ((f[1] - f[0]) / (lam[t + 1] - lam[t - 1]) for f in (
            (x(t - 1), x(t + 1)), (SIGNAL[t - 1], SIGNAL[t + 1])
        ))  # fmt: skip
        right = x(t) / SIGNAL[t] * da - NOISE[t] * eps
        torch.testing.assert_close(dx, right, rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize(('t', 's'), [(999, 700), (700, 300), (300, 30)])
def test_equation_8_is_its_integral(t, s):
    """The exact solution at s, from that at t and the integral of e^lambda x0_hat between them."""
    diffusion, x = flow()
    lam = (SIGNAL / NOISE).log()
    points = torch.stack([
        lam[i].exp() * x0_of(x(i), diffusion.eps_model(x(i), torch.full((5,), i)), i)
        for i in range(t, s - 1, -1)
    ])  # fmt: skip
    integral = torch.trapezoid(points, lam[s : t + 1].flip(0), dim=0)
    found = NOISE[s] / NOISE[t] * x(t) + NOISE[s] * integral
    torch.testing.assert_close(found, x(s), rtol=2e-3, atol=1e-3)


def extrapolated(x0_hats, h):
    """D: the line through two guesses, half a step ahead; of unequal steps r is no 1."""
    if len(x0_hats) == 1 or h[-1] == math.inf:
        return x0_hats[-1]
    r = h[-2] / h[-1]
    return x0_hats[-1] + (x0_hats[-1] - x0_hats[-2]) / (2 * r)


@pytest.mark.parametrize('sde', [False, True])
@pytest.mark.parametrize('spacing', SPACINGS)
def test_2m_is_its_formula(diffusion, spacing, sde):
    """Each step by hand, with noise and without."""
    sampler = DPMSolver(diffusion, 7, spacing=spacing, sde=sde, clip_x0=False)
    xt, found, drawn = chain_of(sampler)
    x0_hats, h, lengths = [], [], set()
    for i, (t, s) in enumerate(steps_of(sampler)):
        (a_t, sigma_t), (a_s, sigma_s) = pair(t, s)
        x0_hats.append(x0_of(xt, asked(xt, t), t))
        h.append(math.log(a_s / sigma_s) - math.log(a_t / sigma_t) if s >= 0 else math.inf)
        lengths.add(round(h[-1], 3))
        D, e = extrapolated(x0_hats, h), math.exp(-h[-1])
        if sde:
            xt = sigma_s / sigma_t * e * xt + a_s * (1 - e**2) * D
            xt = xt + sigma_s * (1 - e**2) ** 0.5 * drawn[i]
        else:
            xt = sigma_s / sigma_t * xt + a_s * (1 - e) * D
        torch.testing.assert_close(found[i], xt, **close)
    assert len(lengths) == 7


def test_the_line_is_exact_for_lines(diffusion):
    """Where x0_hat is linear in lambda, D is its value in the middle of the step."""
    values, h = [torch.tensor([2.0 + 3 * lam]) for lam in (0.4, 0.9)], [0.5, 1.7]
    assert float(extrapolated(values, h)) == pytest.approx(2 + 3 * (0.9 + 1.7 / 2))


# ## PNDM
@pytest.mark.parametrize('spacing', SPACINGS[:3])
@pytest.mark.parametrize('start', ['prk', 'plms'])
def test_pndm_is_its_formula(diffusion, start, spacing):
    """Each step by hand: equation 13 or the mean of both ends, then equation 12."""
    sampler = PNDM(diffusion, 8, spacing=spacing, start=start, clip_x0=False)
    xt, found, _ = chain_of(sampler)
    e, weights = [], [[1], [3 / 2, -1 / 2], [23 / 12, -16 / 12, 5 / 12],
                      [55 / 24, -59 / 24, 37 / 24, -9 / 24]]  # fmt: skip
    for i, (t, s) in enumerate(steps_of(sampler)):
        e = [asked(xt, t), *e[:3]]
        if start == 'prk' and i < 3:
            m = (t + s) // 2
            e2 = asked(phi(xt, e[0], t, m), m)
            e3 = asked(phi(xt, e2, t, m), m)
            e4 = asked(phi(xt, e3, t, s), s)
            eps = (e[0] + 2 * e2 + 2 * e3 + e4) / 6
        elif start == 'plms' and i == 0:
            eps = (e[0] + asked(phi(xt, e[0], t, s), s)) / 2
        else:
            eps = sum(w * v for w, v in zip(weights[len(e) - 1], e, strict=True))
        xt = phi(xt, eps, t, s)
        torch.testing.assert_close(found[i], xt, **close)


def test_last_steps_of_one_index():
    for spacing, first in (('leading', 0), ('linspace', 0), ('trailing', 49)):
        assert spaced(spacing, 20, 1000)[0] == first
    # so what is wrong with the noise there moves the image by a hundredth of that
    assert float(NOISE[0] / SIGNAL[0]) == pytest.approx(0.01, rel=1e-3)


# ## Which steps
def error(kind, spacing, n):
    """Of the image, on Gaussian data."""
    diffusion, x = flow()
    exact = exact_flow_end(diffusion, x(999))
    image = kind(diffusion, n, spacing=spacing, clip_x0=False).sample(x(999))
    return float((image - exact).square().mean() ** 0.5)


def exact_flow_end(diffusion, xT):
    var = ROOT.diagonal() ** 2
    a = ALPHA_BAR[-1]
    return MEAN + (xT - a**0.5 * MEAN) * (var / (a * var + 1 - a)) ** 0.5


def test_extrapolation_in_lambda_needs_trailing():
    """With a long step before index 0, 2M is behind DDIM; without it, far ahead."""
    for spacing in ('leading', 'linspace'):
        for n in (10, 20):
            assert error(DPMSolver, spacing, n) > 1.2 * error(DDIM, spacing, n)
            assert error(PNDM, spacing, n) < 0.3 * error(DDIM, spacing, n)
    assert error(DPMSolver, 'trailing', 20) < 0.5 * error(DDIM, 'trailing', 20)
    # How much longer that step is, on the scale of lambda, than the one before it
    lam = (SIGNAL / NOISE).log()
    ratio = {}
    for spacing in ('leading', 'linspace', 'trailing'):
        first, second, third = spaced(spacing, 20, 1000)[:3]
        ratio[spacing] = float((lam[first] - lam[second]) / (lam[second] - lam[third]))
    rounded = {spacing: round(value, 1) for spacing, value in ratio.items()}
    assert rounded == {'leading': 4.3, 'linspace': 4.4, 'trailing': 1.6}
