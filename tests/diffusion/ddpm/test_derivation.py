"""The steps of the derivation between its results, each equation on both sides."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.samplers import DDIM
from tests.kit.gaussian import known, reverse_variance

BETA = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
ALPHA_BAR = (1 - BETA).cumprod(0)
STEPS = torch.tensor([1, 2, 10, 100, 500, 999])


def zero_model(xt, t):
    return torch.zeros_like(xt)


@pytest.fixture
def diffusion():
    return DenoiseDiffusion(zero_model, 1000)


@pytest.fixture
def drawn():
    """Images, noise and steps."""
    return torch.rand(6, 5) * 2 - 1, torch.randn(6, 5), STEPS


def test_two_steps_are_one():
    """Two single steps by the class, against one of the product, for each of the three terms."""
    beta = torch.tensor([0.999, 0.998])
    first, second = (DenoiseDiffusion(zero_model, 1, beta=b[None]) for b in beta)
    both = DenoiseDiffusion(zero_model, 2, beta=beta)
    t = torch.zeros(1, dtype=torch.int64)
    # What x_2 has of x_0, of the first noise and of the second
    basis = torch.eye(3)
    x2 = [
        float(second.q_sample(first.q_sample(x0[None], t, e1[None]), t, e2[None]))
        for x0, e1, e2 in basis
    ]
    mean, var = both.q_xt_x0(torch.ones(1), torch.tensor([1]))
    assert x2[0] == pytest.approx(float(mean))
    assert x2[1] ** 2 + x2[2] ** 2 == pytest.approx(float(var))
    a1, a2 = 1 - 0.999, 1 - 0.998
    by_hand = [(a2 * a1) ** 0.5, (a2 * (1 - a1)) ** 0.5, (1 - a2) ** 0.5]
    assert x2 == pytest.approx(by_hand, rel=1e-3)


def test_precisions_add_up(diffusion):
    """1 / beta_tilde is the sum of the two precisions, at every step."""
    t = torch.arange(1, 1000)
    precision = (1 - BETA[t]) / BETA[t] + 1 / (1 - ALPHA_BAR[t - 1])
    torch.testing.assert_close(1 / diffusion.beta_tilde[t].double(), precision, rtol=1e-6, atol=0)


def test_a_step_turned_around(diffusion, drawn):
    """log q(x_t|x_{t-1}) = log q(x_{t-1}|x_t, x_0) + log q(x_t|x_0) - log q(x_{t-1}|x_0)."""
    x0, eps, t = drawn
    xt = diffusion.q_sample(x0, t, eps)
    posterior = diffusion.q_posterior(x0, xt, t)
    # Somewhere near its mean: the densities there are neither 0 nor all alike
    before = posterior[0] + 0.7 * posterior[1] ** 0.5 * torch.randn(6, 5)

    def log(x, mean, var):
        return Normal(mean.double(), var.double() ** 0.5).log_prob(x.double())

    step = Normal((1 - BETA[t, None]) ** 0.5 * before.double(), BETA[t, None] ** 0.5)
    around = log(before, *posterior) + log(xt, *diffusion.q_xt_x0(x0, t))
    around = around - log(before, *diffusion.q_xt_x0(x0, t - 1))
    torch.testing.assert_close(step.log_prob(xt.double()), around, rtol=0, atol=0.02)


@pytest.mark.parametrize('variance', ['beta', 'beta_tilde'])
def test_kl_of_two_gaussians(variance, drawn):
    """Equation 8, against torch's divergence, in float64."""
    x0, eps, t = drawn
    diffusion = DenoiseDiffusion(lambda xt, t: 0.3 * xt, 1000, variance=variance)
    xt = diffusion.q_sample(x0, t, eps)
    mu, beta_tilde = (v.double() for v in diffusion.q_posterior(x0, xt, t))
    mean, sigma2, _ = (v.double() for v in diffusion.p_mean_var(xt, t))
    kl = kl_divergence(Normal(mu, beta_tilde**0.5), Normal(mean, sigma2**0.5)).sum(1)
    ratio = (beta_tilde / sigma2)[:, 0]
    found = ((mu - mean) ** 2 / (2 * sigma2)).sum(1) + 5 / 2 * (ratio - 1 - ratio.log())
    torch.testing.assert_close(found, kl, rtol=1e-9, atol=1e-12)
    # and the two variances are those of the equation
    exact = (1 - ALPHA_BAR[t - 1]) / (1 - ALPHA_BAR[t]) if variance == 'beta' else torch.ones(6)
    torch.testing.assert_close(ratio, exact.double(), rtol=1e-6, atol=0)


def test_the_mean_in_terms_of_the_noise(diffusion, drawn):
    """x_0 from x_t and the noise; put into mu_tilde, the coefficient of x_t is 1 / sqrt(alpha)."""
    x0, eps, t = drawn
    xt = diffusion.q_sample(x0, t, eps)
    beta, alpha_bar = BETA[t, None], ALPHA_BAR[t, None]
    back = (xt - (1 - alpha_bar) ** 0.5 * eps) / alpha_bar**0.5
    torch.testing.assert_close(back.float(), x0, rtol=0, atol=1e-4)
    by_noise = (xt - beta / (1 - alpha_bar) ** 0.5 * eps) / (1 - beta) ** 0.5
    found, _ = diffusion.q_posterior(x0, xt, t)
    torch.testing.assert_close(found, by_noise.float(), rtol=0, atol=2e-6)


def test_noise_error_is_image_error_times_snr(diffusion, drawn):
    x0, eps, t = drawn
    xt = diffusion.q_sample(x0, t, eps)
    guess = eps + 0.1 * torch.randn(6, 5)
    x0_hat = diffusion.predict_x0(xt, t, guess)
    snr = (ALPHA_BAR / (1 - ALPHA_BAR))[t, None]
    left = (eps - guess).double().square()
    torch.testing.assert_close(left, snr * (x0 - x0_hat).double().square(), rtol=2e-2, atol=1e-7)
    # The page's two ends
    snr = ALPHA_BAR / (1 - ALPHA_BAR)
    assert [f'{float(snr[i]):.0e}' for i in (0, -1)] == ['1e+04', '4e-05']


# ## When the step back is a Gaussian
def test_shares_of_the_noise_that_a_step_adds():
    """beta_t / (1 - alpha_bar_t) at the first steps; about 1 / t however many steps there are."""
    share = BETA / (1 - ALPHA_BAR)
    assert [round(float(share[t - 1]), 2) for t in (1, 2, 10, 100)] == [1.0, 0.55, 0.15, 0.02]
    beta = torch.linspace(1e-4, 0.02, 10**6, dtype=torch.float64) / 1000
    share = beta / (1 - (1 - beta).cumprod(0))
    t = torch.arange(1, 11)
    torch.testing.assert_close(share[:10], 1 / t.double(), rtol=1e-3, atol=0)


def step_back(t):
    """How far q(x_{t-1}|x_t) of a pixel with 17 levels is from a Gaussian: the largest share of the
    probability that is elsewhere, for x_t from one level to the next. `t` is the paper's."""
    levels = torch.linspace(-1, 1, 17, dtype=torch.float64)
    a, before, beta = ALPHA_BAR[t - 1], ALPHA_BAR[t - 2], BETA[t - 1]
    apart = 0.0
    for xt in torch.linspace(0, 1 / 8, 33, dtype=torch.float64) * a**0.5:
        # A mixture: which level it was, and for each of them the posterior of section 2
        share = torch.softmax(-((xt - a**0.5 * levels) ** 2) / (2 * (1 - a)), 0)
        var = (1 - before) / (1 - a) * beta
        mean = before**0.5 * beta * levels + (1 - beta) ** 0.5 * (1 - before) * xt
        mean = mean / (1 - a)
        whole = (share * mean).sum()
        spread = (var + (share * (mean - whole) ** 2).sum()) ** 0.5
        x = whole + spread * torch.linspace(-8, 8, 4001, dtype=torch.float64)
        density = (share * Normal(mean, var**0.5).log_prob(x[:, None]).exp()).sum(1)
        gauss = Normal(whole, spread).log_prob(x).exp()
        apart = max(apart, float((density - gauss).abs().sum() * (x[1] - x[0]) / 2))
    return apart


def test_a_short_step_back_is_nearly_gaussian():
    """Of pixels with levels: not in the first steps, and soon as good as exactly."""
    assert [round(step_back(t), 2) for t in (2, 10)] == [0.56, 0.02]
    assert all(step_back(t) < 0.001 for t in (20, 100, 1000))


def ratios(s):
    """Var(x_{t-1}|x_t) over beta and over beta_tilde, for data of that spread."""
    before = torch.cat([ALPHA_BAR.new_ones(1), ALPHA_BAR[:-1]])
    beta_tilde = (1 - before) / (1 - ALPHA_BAR) * BETA
    best = reverse_variance(BETA, s)
    return best / BETA, best[1:] / beta_tilde[1:]


def test_the_two_variances_bracket_the_best_one():
    """For data of unit variance and less; for more, beta is a little too small."""
    for s in (0.0, 0.1, 0.5, 0.9, 1.0):
        over_beta, over_tilde = ratios(s)
        assert float(over_beta.max()) <= 1 + 1e-9
        assert float(over_tilde.min()) >= 1 - 1e-9
    assert round(float(ratios(3.0)[0].max()), 3) == 1.005


def test_the_best_variance_at_both_extremes(diffusion):
    """Unit variance: beta, and a point: beta_tilde, as the class has them."""
    torch.testing.assert_close(reverse_variance(BETA, 1.0).float(), diffusion.beta)
    torch.testing.assert_close(reverse_variance(BETA, 0.0).float()[1:], diffusion.beta_tilde[1:],
                               rtol=1e-5, atol=0)  # fmt: skip


# ## What a chain of means comes to
def test_a_chain_of_means_collapses():
    """Data of unit variance: the mean of each step is sqrt(alpha) x_t, so that sqrt(alpha_bar_T) of
    the spread is left. DDIM has no noise either, and keeps all of it."""
    diffusion = known(BETA, 1.0, 'beta')
    start = torch.randn(500, 1)
    xt = start
    for i in reversed(range(1000)):
        xt, _ = diffusion.p_step(xt, torch.full((500,), i), torch.zeros(500, 1), clip_x0=False)
    left = float(ALPHA_BAR[-1] ** 0.5)
    assert float(xt.std() / start.std()) == pytest.approx(left, rel=1e-3)
    assert round(left, 4) == 0.0064
    kept = DDIM(diffusion, 1000, clip_x0=False).sample(start)
    assert float(kept.std() / start.std()) == pytest.approx(1, rel=5e-3)


def test_images_of_0_to_1():
    """And a mean that is hardly seen at the end: half of the signal that is left."""
    images = torch.rand(100_000).double()
    assert float(images.var() / (2 * images - 1).var()) == pytest.approx(1 / 4)
    assert round(float(ALPHA_BAR[-1] ** 0.5 / 2), 3) == 0.003
    assert math.isclose(float(images.mean()), 0.5, abs_tol=0.01)
