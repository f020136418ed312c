"""The bound in bits per dimension: against closed forms, whole chains and another library."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.likelihood import (
    bound,
    decoder_log_prob,
    log_normal_between,
    normal_kl,
    prior_bits,
)
from labml_nn.diffusion.schedules import cosine, linear
from tests.kit.close import agree
from tests.kit.gaussian import (
    assumed_variance,
    bits_lost,
    entropy,
    known,
    reverse_variance,
)

# Four pairs (x_0 / s, eps) with the means, variances and covariance of independent normal numbers.
# Every term on Gaussian data is quadratic in the two, so its mean over these is exact
X0 = torch.tensor([1.0, 1.0, -1.0, -1.0])[:, None]
EPS = torch.tensor([1.0, -1.0, 1.0, -1.0])[:, None]


def exactly(diffusion, s, **options):
    """The expectation of every term for x_0 ~ N(0, s^2)."""
    return bound(diffusion, s * X0, None, noise=lambda shape, device: EPS, **options)


# ## The decoder


@pytest.mark.parametrize('n_levels', [2, 17, 256])
def test_the_levels_share_all_probability(n_levels):
    levels = torch.linspace(-1, 1, n_levels)
    mean = torch.tensor([-3.0, -1.0, -0.37, 0.0, 0.501, 1.0, 2.5])[:, None]
    for std in (1e-3, 7.4e-3, 0.05, 1.0, 30.0):
        log_var = torch.full_like(mean, 2 * math.log(std))
        log_p = decoder_log_prob(levels.expand(7, -1), mean, log_var, n_levels)
        agree(log_p.exp().sum(1), torch.ones(7), atol=1e-4, what='sum of all probabilities')


def test_a_level_has_what_is_nearest_to_it():
    """Draws from the last Gaussian, rounded and clipped to the levels."""
    mean, std, n_levels = torch.tensor(0.7), 0.2, 9
    draws = mean + std * torch.randn(400_000)
    k = ((draws.clamp(-1, 1) + 1) * (n_levels - 1) / 2).round().long()
    share = torch.bincount(k, minlength=n_levels) / len(k)
    levels = torch.linspace(-1, 1, n_levels)
    log_p = decoder_log_prob(levels, mean, torch.tensor(2 * math.log(std)), n_levels)
    torch.testing.assert_close(log_p.exp(), share, rtol=0, atol=0.004)


def test_probabilities_far_out_are_not_zero():
    """Against float64, where the tails hold further out."""
    for low, high in (
        (6.0, 6.5),
        (-6.5, -6.0),
        (-0.1, 0.2),
        (3.0, 3.001),
        (7.0, 1e4),
        (-1e4, -7.0),
    ):
        a, b = (torch.tensor(x, dtype=torch.float64) for x in (low, high))
        # The left tail holds small numbers in full
        a, b = (-b, -a) if low > 0 else (a, b)
        exact = (torch.special.ndtr(b) - torch.special.ndtr(a)).log()
        found = log_normal_between(torch.tensor(low), torch.tensor(high))
        agree(float(found), float(exact), atol=0, rtol=1e-3, what='log probability, and float64')
    # 100 standard deviations away even float64 has nothing: -z^2/2 decides
    far = log_normal_between(torch.tensor([100.0, -100.5]), torch.tensor([100.5, -100.0]))
    what = 'log probability at 100 standard deviations'
    agree(far, torch.full((2,), -5005.524), atol=0, rtol=1e-5, what=what)


def test_the_decoder_has_gradients_everywhere():
    """At both ends and far away; one that is not a number would spoil a whole network."""
    x0 = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0]).expand(4, 5)
    mean = torch.tensor([-1e4, -1.0, 0.3, 1e6])[:, None].requires_grad_()
    log_var = torch.full((4, 1), -10.0, requires_grad=True)
    decoder_log_prob(x0, mean, log_var, 5).sum().backward()
    assert bool(mean.grad.isfinite().all())
    assert bool(log_var.grad.isfinite().all())


# ## The terms


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_kl_is_never_negative(seed):
    g = torch.Generator().manual_seed(seed)
    mean1, mean2, log_var1, log_var2 = 3 * torch.randn(4, 200, generator=g)
    kl = normal_kl(mean1, log_var1, mean2, log_var2)
    agree(kl.clamp(max=0), torch.zeros(200), atol=0, what='what is negative of the divergence')
    # Nearly equal, where rounding could take over
    near = normal_kl(mean1, log_var1, mean1, log_var1 + 1e-4 * mean2)
    assert bool((near >= 0).all())
    assert bool((normal_kl(mean1, log_var1, mean1, log_var1) == 0).all())
    # In float64 as torch has it, without our help against rounding
    double = [x.double() for x in (mean1, log_var1, mean2, log_var2)]
    delta = double[1] - double[3]
    assert bool((torch.expm1(delta) - delta >= -1e-15).all())


def test_kl_agrees_with_torch():
    mean1, mean2, log_var1, log_var2 = torch.randn(4, 1000).double()
    expected = kl_divergence(
        Normal(mean1, (log_var1 / 2).exp()), Normal(mean2, (log_var2 / 2).exp())
    )
    found = normal_kl(mean1, log_var1, mean2, log_var2)
    agree(found, expected, atol=1e-7, rtol=1e-7, what='divergence, and that of torch')


def uneven_model(xt, t):
    """Not linear, not right, and different at every step."""
    slope = (0.4 + 0.12 * t.reshape(-1, *[1] * (xt.ndim - 1))).clamp(max=0.95)
    return slope * xt + 0.1 * torch.sin(3 * xt)


@pytest.mark.parametrize('variance', ['beta', 'beta_tilde'])
def test_the_terms_sum_to_the_bound_of_whole_chains(variance):
    """E_q[log q(x_1..T|x_0) - log p(x_0..T)], on chains that run forward and never look at x_0
    again, against the sum of the terms, each from its own draw of x_t."""
    T, n, n_levels = 6, 200_000, 17
    beta = torch.linspace(0.2, 0.95, T, dtype=torch.float64)
    diffusion = DenoiseDiffusion(uneven_model, T, beta=beta, variance=variance)
    x0 = (torch.randint(0, n_levels, (n, 2)) / 8 - 1).float()
    sigma2 = diffusion.sigma2.clone()
    sigma2[0] = diffusion.beta_tilde[1]
    x, total = x0, torch.zeros(n)
    for i in range(T):
        t = torch.full((n,), i)
        q = Normal((1 - float(beta[i])) ** 0.5 * x, float(beta[i]) ** 0.5)
        before, x = x, q.sample()
        total += q.log_prob(x).sum(1)
        mean = diffusion.p_mean_var(x, t)[0]
        p = Normal(mean, float(sigma2[i]) ** 0.5)
        if i > 0:
            total -= p.log_prob(before).sum(1)
            continue
        # The probability of a level, as it stands
        high = torch.where(before > 0.99, 1.0, p.cdf(before + 1 / 16))
        low = torch.where(before < -0.99, 0.0, p.cdf(before - 1 / 16))
        total -= (high - low).clamp(min=1e-12).log().sum(1)
    total = (total - Normal(0.0, 1.0).log_prob(x).sum(1)) / (2 * math.log(2))
    found = bound(
        diffusion, x0, n_levels, noise=lambda shape, device: torch.randn(shape, device=device)
    )
    terms = found.terms[variance]
    assert terms.shape == (n, T + 1)
    # Each term matters by far more than the tolerance
    error = (total.var() / n + terms.var(0).sum() / n) ** 0.5
    assert float(error) < 0.01
    assert float(terms[:, :-1].mean(0).min()) > 8 * float(error)
    what = 'sum of the terms, and whole chains, in bits'
    agree(float(terms.sum(1).mean()), float(total.mean()), atol=4 * float(error), what=what)
    assert torch.equal(found.total(), terms.sum(1))
    assert bool((terms >= 0).all())


def test_both_variances_in_one_pass_are_those_of_two():
    diffusion = {v: DenoiseDiffusion(uneven_model, 50, beta=cosine(50), variance=v)
                 for v in ('beta', 'beta_tilde')}  # fmt: skip
    x0 = torch.randint(0, 256, (3, 1, 4, 4)) / 127.5 - 1
    together = bound(diffusion['beta'], x0, variances=('beta', 'beta_tilde'))
    for v, alone in diffusion.items():
        assert torch.equal(bound(alone, x0).total(), together.total(v))
    # and image i has its own noise, in whatever company
    torch.testing.assert_close(bound(diffusion['beta'], x0[:1]).total(), together.total()[:1])


def test_clipping_never_raises_a_divergence():
    """x_0 lies in [-1, 1], so the nearest point of [-1, 1] is nearer to it."""
    diffusion = DenoiseDiffusion(lambda xt, t: 2 * torch.sin(5 * xt), 40, beta=cosine(40))
    x0 = torch.randint(0, 256, (20, 1, 4, 4)) / 127.5 - 1
    free, clipped = (bound(diffusion, x0, clip_x0=c) for c in (False, True))
    more = (clipped.of()[:, 1:] - free.of()[:, 1:]).clamp(min=0)
    agree(more, torch.zeros_like(more), atol=1e-6, what='what clipping adds to a divergence')
    assert float(clipped.rate()[0]) < float(free.rate()[0])
    assert bool((clipped.mse <= free.mse + 1e-6).all())


# ## Gaussian data


@pytest.mark.parametrize('s', [0.25, 0.5, 1.0])
@pytest.mark.parametrize(
    ('variance', 'first'),
    [
        ('beta', 'beta_tilde'), ('beta', 'beta'), ('beta_tilde', 'beta_tilde'),
        ('beta_tilde', 'beta'), ('optimal', 'beta_tilde'),
    ],
)  # fmt: skip
@pytest.mark.parametrize('schedule', ['linear', 'cosine'])
@pytest.mark.parametrize('n_steps', [10, 100, 1000])
def test_the_gap_is_its_closed_form(n_steps, schedule, variance, first, s):
    beta = linear(n_steps, rescaled=True) if schedule == 'linear' else cosine(n_steps)
    terms = exactly(known(beta, s, variance), s, first=first).of()
    gap = float(terms.sum(1).mean()) - entropy(s)
    expected = float(bits_lost(beta, s, variance, first).sum())
    agree(gap, expected, atol=1e-4, what='bits lost, and their closed form')


def test_gaps_on_the_page():
    beta, s = linear(1000), 0.5
    rounded = {
        (v, first): round(float(bits_lost(beta, s, v, first).sum()), 3)
        for v in ('beta', 'beta_tilde', 'optimal')
        for first in ('beta_tilde', 'beta')
    }
    for which, bits in {
        ('optimal', 'beta_tilde'): 0, ('beta', 'beta_tilde'): 0.165, ('beta', 'beta'): 0.002,
        ('beta_tilde', 'beta_tilde'): 0.822,
    }.items():  # fmt: skip
        agree(rounded[which], float(bits), atol=0, what=f'bits lost with {", first ".join(which)}')
    assert round(float(bits_lost(beta, s, 'beta')[0]), 3) == 0.164
    assert int(bits_lost(beta, s, 'beta', 'beta')[:-1].argmax()) + 1 == 134
    small = bits_lost(beta, s, 'beta_tilde').cumsum(0)
    assert [round(float(small[i]), 2) for i in (1, 9)] == [0.46, 0.73]
    # Data of unit variance has beta as its variance, from the first step on
    assert float(bits_lost(beta, 1.0, 'beta', 'beta').sum()) == pytest.approx(0, abs=1e-12)
    assert torch.allclose(reverse_variance(beta, 1.0), beta)


def test_limits_of_many_steps():
    beta = linear(1_000_000, rescaled=True)
    gamma = 0.5772156649
    in_bits = 1 / math.log(2)
    first = (1 - math.log(2)) / 2 * in_bits
    assert [round(x, 3) for x in (gamma / 2 * in_bits, first)] == [0.416, 0.221]
    assert round(gamma / 2 * in_bits + first, 3) == 0.638
    for s in (0.25, 1.0):
        small, large, exact = (
            float(bits_lost(beta, s, v, f).sum())
            for v, f in (('beta_tilde', 'beta_tilde'), ('beta', 'beta_tilde'), ('beta', 'beta'))
        )
        agree(small, gamma / 2 * in_bits + first, atol=0.002, what='beta_tilde, a million steps')
        agree(large, first, atol=1e-3, what='beta, a million steps')
        agree(exact, 0.0, atol=1e-4, what='beta at the first step too')


def test_limits_of_the_first_ratios():
    """beta_tilde over beta at the second and third step: 1/2 and 2/3 only with many steps."""
    for n, expected in ((1000, [0.455, 0.611]), (1_000_000, [0.5, 0.667])):
        alpha_bar = (1 - linear(n, rescaled=True)).cumprod(0)
        share = (1 - alpha_bar[:-1]) / (1 - alpha_bar[1:])
        assert [round(float(r), 3) for r in share[:2]] == expected
    short = DenoiseDiffusion(uneven_model, 1000)
    ratio = short.beta_tilde / short.beta
    assert [round(float(r), 3) for r in ratio[1:3]] == [0.455, 0.611]


@pytest.mark.parametrize(
    ('variance', 'first', 'lost'),
    [
        ('beta', 'beta_tilde', 0.123),
        ('beta_tilde', 'beta_tilde', 0.750),
        ('beta', 'beta', 0.009),
        ('beta_tilde', 'beta', 0.636),
    ],
)
@pytest.mark.long
def test_eight_bit_data(variance, first, lost):
    """Gaussian data rounded to 256 levels: its bound by integration in float64, and the code's from
    every level with a fine grid of noise."""
    s, n_levels, beta = 0.25, 256, linear(1000)
    levels = torch.linspace(-1, 1, n_levels, dtype=torch.float64)
    edges = (levels[:-1] + 1 / 255) / s
    share = torch.special.ndtr(edges)
    share = torch.diff(share, prepend=torch.zeros(1).double(), append=torch.ones(1).double())
    exact = integrated_bound(beta, s, levels, share, variance, first)
    found = exact + float((share * share.log2()).sum())
    agree(found, lost, atol=5e-4, what='bits lost, by integration, and the figure of the page')

    # 41 quantiles of the noise, with its variance
    eps = torch.special.ndtri((torch.arange(41) + 0.5) / 41)
    eps = eps / eps.std(correction=0)
    x0, noise = levels.float().repeat_interleave(41)[:, None], eps.repeat(n_levels)[:, None]
    diffusion = known(beta, s, variance)
    found = bound(diffusion, x0, first=first, noise=lambda shape, device: noise).total()
    total = float(share @ found.double().reshape(n_levels, 41).mean(1))
    agree(total, exact, atol=5e-3, what='bound, and by integration')


def integrated_bound(beta, s, levels, share, variance, first):
    """The bound of data with these levels in these shares, under the eps of N(0, s^2)."""
    alpha_bar = (1 - beta).cumprod(0)
    before = torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]])
    sigma2 = assumed_variance(beta, variance, first, s)
    posterior = (1 - before) / (1 - alpha_bar) * beta
    square = (share * levels**2).sum()
    # x0_hat = c x_t, and its mean squared error
    c = alpha_bar**0.5 * s**2 / (alpha_bar * s**2 + 1 - alpha_bar)
    error = (1 - c * alpha_bar**0.5) ** 2 * square + c**2 * (1 - alpha_bar)
    weight = before * beta**2 / (1 - alpha_bar) ** 2
    ratio = posterior / sigma2
    nats = (ratio - 1 - ratio.log() + weight * error / sigma2)[1:].sum() / 2
    a = alpha_bar[-1]
    nats = nats + (a * square - a - (1 - a).log()) / 2
    # The decoder, over the noise of x_1
    eps = torch.linspace(-8, 8, 2001, dtype=torch.float64)
    density = torch.exp(-(eps**2) / 2)
    x1 = alpha_bar[0] ** 0.5 * levels[:, None] + (1 - alpha_bar[0]) ** 0.5 * eps
    half = 1 / (len(levels) - 1)
    z = (levels[:, None] - c[0] * x1) / sigma2[0] ** 0.5
    high, low = (torch.special.ndtr(z + d / sigma2[0] ** 0.5) for d in (half, -half))
    high[-1], low[0] = 1, 0
    code = -(high - low).clamp(min=1e-300).log() @ (density / density.sum())
    return float((nats + share @ code) / math.log(2))


def test_rate_and_distortion_of_gaussian_data():
    """To know x_t is to know x_0 up to E Var(x_0|x_t); and the bits sent by then are at least its
    information about x_0, and not more than what the bound loses above that."""
    beta, s = linear(1000), 0.5
    found = exactly(known(beta, s, 'optimal'), s)
    alpha_bar = (1 - beta).cumprod(0)
    left = s**2 * (1 - alpha_bar) / (alpha_bar * s**2 + 1 - alpha_bar)
    torch.testing.assert_close(found.rmse().double(), left**0.5, rtol=1e-4, atol=1e-4)
    information = -(left / s**2).log2() / 2
    rate = found.rate().double()
    # With the optimal variance nothing is lost: rate is the information, at every step
    torch.testing.assert_close(rate, information, rtol=0, atol=1e-4)
    assert rate.shape == (1000,)


def test_prior_term():
    beta = linear(1000)
    diffusion = known(beta, 1.0, 'beta')
    x0 = torch.linspace(-1, 1, 101)[:, None]
    a = float((1 - beta).prod())
    expected = kl_divergence(Normal(a**0.5 * x0, (1 - a) ** 0.5), Normal(0.0, 1.0)) / math.log(2)
    torch.testing.assert_close(prior_bits(diffusion, x0), expected[:, 0], rtol=1e-2, atol=1e-7)


# ## At the door


@pytest.mark.parametrize(
    ('x0', 'n_levels', 'message'),
    [
        (torch.rand(2, 3), 256, 'of a level off the 256 levels'),
        (torch.tensor([[0.0, 0.125]]), 256, 'of a level off the 256 levels'),
        (torch.tensor([[0.0, 1.125]]), 17, 'go from 0 to 1.125'),
        (torch.tensor([[0.0, math.nan]]), 17, 'go from nan to nan'),
        (torch.zeros(1, 2), 1, 'n_levels=1: a pixel has at least two'),
    ],
)
def test_images_that_are_on_no_levels_are_refused(x0, n_levels, message):
    with pytest.raises(ValueError, match=message):
        bound(known(cosine(4), 1.0, 'beta'), x0, n_levels)


def test_unknown_variances_are_refused():
    diffusion = known(cosine(4), 1.0, 'beta')
    with pytest.raises(ValueError, match="variance 'large' is not known"):
        bound(diffusion, torch.zeros(1, 2), 17, variances=('large',))
    with pytest.raises(ValueError, match="variance 'big' is not known"):
        bound(diffusion, torch.zeros(1, 2), 17, first='big')
    with pytest.raises(ValueError, match='has no learned variance'):
        bound(diffusion, torch.zeros(1, 2), 17, variances=('learned',))
