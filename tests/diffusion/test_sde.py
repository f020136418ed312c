"""The SDE, the ODE and the likelihood, where densities and solutions have a closed form."""

import itertools
import math

import pytest
import torch
from scipy.integrate import quad
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal, Normal

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.utils import SeededNoise
from labml_nn.diffusion.samplers import DDIM
from labml_nn.diffusion.schedules import cosine
from labml_nn.diffusion.sde import (
    VPSDE,
    Hutchinson,
    exact_divergence,
    latent_bits,
    log_density,
    sample,
    solve,
    uniform_bits,
)
from tests.kit.close import agree
from tests.kit.peers import diffusers, peer

T = 1000
TIMES = [0.5, 1.0, 1.7, 20.3, 400.0, 999.5]
# A mixture of Gaussians in the plane: weights, means, and one standard deviation
WEIGHTS = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
MEANS = torch.tensor([[-0.8, 0.2], [0.5, 0.7], [0.4, -0.9]], dtype=torch.float64)
S = 0.25
# Where diffusers keeps its Score SDE
SDE_VP = 'diffusers.schedulers.deprecated.scheduling_sde_vp'


def of(density, beta=None):
    """The SDE whose network knows the noise of data with `density(alpha_bar)` at each time."""
    n_steps = T if beta is None else len(beta)
    sde = VPSDE(DenoiseDiffusion(None, n_steps, beta=beta))

    def eps_model(xt, t):
        a = sde.alpha_bar(t[0].double() + 1)
        with torch.enable_grad():
            x = xt if xt.requires_grad else xt.detach().requires_grad_()
            log_p = density(a).log_prob(x).sum()
            (s,) = torch.autograd.grad(log_p, x, create_graph=True)
        return -((1 - a) ** 0.5) * s

    sde.diffusion.eps_model = eps_model
    return sde


def mixture(a, dim=2):
    """The density of x_t in the plane, or on its first axis."""
    var = torch.eye(dim, dtype=torch.float64) * (a * S**2 + 1 - a)
    each = MultivariateNormal(a**0.5 * MEANS[:, :dim], var)
    return MixtureSameFamily(Categorical(WEIGHTS), each)


def line(a):
    return mixture(a, 1)


def gaussian(a, mean=0.3, s=0.6):
    """Independent coordinates."""
    return Normal(a**0.5 * mean, (a * s**2 + 1 - a) ** 0.5)


def points(n=5, dim=2, seed=0):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed)).double()


# ## 1. The schedule between the steps
def test_whole_times_are_ddpms_steps():
    diffusion = DenoiseDiffusion(None, T)
    sde, t = VPSDE(diffusion), torch.arange(1, T + 1)
    agree(sde.alpha_bar(t), diffusion.alpha_bar.double(), rtol=1e-5, atol=0, what='alpha_bar')
    agree(float(sde.alpha_bar(0)), 1, atol=0, what='of the image')
    # Any time comes back from its lambda
    t = torch.tensor(TIMES, dtype=torch.float64)
    agree(sde.time(sde.lam(t)), t, atol=1e-6, what='time of lambda')


def test_the_sde_makes_ddpms_step():
    """From i - 1 to i the mean shrinks by exp(-B/2), and the variance is 1 - exp(-B)."""
    diffusion = DenoiseDiffusion(None, T)
    sde = VPSDE(diffusion)
    for i in (1, 2, 100, 1000):
        B, _ = quad(lambda t: float(sde.beta(t)), i - 1 + 1e-9, i)
        beta = float(diffusion.beta[i - 1])
        agree(math.exp(-B / 2), math.sqrt(1 - beta), rtol=1e-6, atol=0, what='factor of the mean')
        agree(-math.expm1(-B), beta, rtol=1e-5, atol=0, what='variance')


@pytest.mark.parametrize('t', [0.5, 30.4, 700.6])
def test_marginals_obey_the_equations_of_their_moments(t):
    """dm/dt = -beta m / 2 and dv/dt = beta (1 - v), for m = sqrt(alpha_bar), v = 1 - alpha_bar."""
    sde, h = of(gaussian), 1e-3
    a, beta = float(sde.alpha_bar(t)), float(sde.beta(t))

    def slope(f):
        return (f(float(sde.alpha_bar(t + h))) - f(float(sde.alpha_bar(t - h)))) / (2 * h)

    agree(slope(math.sqrt), -beta / 2 * math.sqrt(a), rtol=1e-5, atol=0, what='slope of the mean')
    agree(slope(lambda a: 1 - a), beta * a, rtol=1e-5, atol=0, what='slope of the variance')


# ## 2. Three ways with the same densities
def slopes(sde, t, x):
    """dq/dt on a line of points, and a function that differentiates there."""
    x = x.detach().requires_grad_()

    def derivative(y):
        return torch.autograd.grad(y.sum(), x, create_graph=True)[0][:, 0]

    q = line(sde.alpha_bar(t)).log_prob(x).exp()
    h = 1e-4
    late, early = (line(sde.alpha_bar(t + d)).log_prob(x).exp() for d in (h, -h))
    return x, q, derivative, ((late - early) / (2 * h)).detach()


@pytest.mark.parametrize('t', [5.5, 100.5, 400.5])
def test_the_density_obeys_fokker_planck(t):
    sde = of(line)
    x, q, derivative, expected = slopes(sde, t, torch.linspace(-2, 2, 9).double()[:, None])
    beta = float(sde.beta(t))
    found = beta / 2 * (derivative(x[:, 0] * q) + derivative(derivative(q)))
    agree(found.detach(), expected, rtol=1e-4, atol=1e-7, what='dq/dt')


@pytest.mark.parametrize('eta', [0.0, 0.5, 1.0, 1.5])
@pytest.mark.parametrize('t', [5.5, 100.5, 400.5])
def test_every_eta_keeps_the_densities(t, eta):
    """Backwards: -dq/dt is the divergence of the backward drift, and its own noise."""
    sde = of(line)
    x, q, derivative, slope = slopes(sde, t, torch.linspace(-2, 2, 9).double()[:, None])
    drift = sde.backward_drift(x, t, eta)[:, 0]
    found = -derivative(drift * q) + eta**2 * float(sde.beta(t)) / 2 * derivative(derivative(q))
    agree(found.detach(), -slope, rtol=1e-4, atol=1e-7, what='dq/dt, backwards')


def test_a_step_of_the_reverse_sde_is_diffusers():
    """Score SDE of diffusers: times of 0 to 1, beta from 0.1 to 20, and a network of its noise."""
    diffusers()
    scheduler = peer('diffusers', SDE_VP).ScoreSdeVpScheduler(num_train_timesteps=T)
    scheduler.set_timesteps(T)
    t = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    log_alpha_bar = -t * 0.1 - t**2 / 2 * (20 - 0.1)
    diffusion = DenoiseDiffusion(
        lambda x, t: torch.sin(3 * x), T, alpha_bar=log_alpha_bar[1:].exp()
    )
    sde, x, z = VPSDE(diffusion), points(4, 3), points(4, 3, seed=1)
    for i in (1, 30, 400, 998):
        middle = torch.tensor((i + 0.5) / T, dtype=torch.float64)
        _, mean = scheduler.step_pred(torch.sin(3 * x), x, middle)
        noise = (float(sde.beta(i + 0.5))) ** 0.5 * z
        agree(sde.step_back(x, i + 0.5, 1.0, z), mean + noise, rtol=1e-4, atol=1e-4, what='a step')


# ## 3. Without beta
@pytest.mark.parametrize('t', TIMES)
def test_in_lambda_beta_is_gone(t):
    sde, x, h = of(mixture), points(), 1e-4 * t
    per_time = (float(sde.lam(min(t + h, T))) - float(sde.lam(t - h))) / (min(t + h, T) - t + h)
    beta, a = float(sde.beta(t)), float(sde.alpha_bar(t))
    if t not in (1.0, 400.0):  # where beta jumps
        agree(per_time, -beta / (2 * (1 - a)), rtol=1e-3, atol=0, what='dlambda/dt')
    expected = -beta / 2 * (x + sde.score(x, t))
    found = -beta / (2 * (1 - a)) * sde.velocity(x, float(sde.lam(t)))
    agree(found.detach(), expected.detach(), rtol=1e-6, atol=1e-9, what='dx/dt')


def flowed(x, a, b, density=gaussian):
    """The solution for a Gaussian: each coordinate keeps its place in standard deviations."""
    one, other = density(a), density(b)
    return other.mean + (x - one.mean) / one.stddev * other.stddev


@pytest.mark.parametrize('ends', [(1000, 1), (1000, 300), (2.5, 800)])
def test_the_solution_is_the_closed_one(ends):
    start, end = ends
    sde, x = of(gaussian), points()
    expected = flowed(x, sde.alpha_bar(start), sde.alpha_bar(end))
    found = solve(sde, x, start, end, rtol=1e-8).x
    agree(found, expected, atol=1e-5, what='end of the path')
    # and backwards, to where it began
    agree(solve(sde, found, end, start, rtol=1e-8).x, x, atol=1e-4, what='its start')


def test_the_linear_half_is_solved():
    """x/a at s is x/a at t, less the integral of exp(-lambda) eps along the solution."""
    sde = of(gaussian)
    x = torch.tensor([[0.7]], dtype=torch.float64)
    t, s = 600, 40
    a, a_end = sde.alpha_bar(t), sde.alpha_bar(s)

    def integrand(lam):
        at = sde.time(lam)
        here = flowed(x, a, sde.alpha_bar(at))
        return math.exp(-lam) * float(sde.eps(here, at).detach())

    integral, _ = quad(integrand, float(sde.lam(t)), float(sde.lam(s)))
    found = x / a**0.5 - integral
    agree(found, flowed(x, a, a_end) / a_end**0.5, atol=1e-5, what='the end, without shrinking')
    # With the noise of the beginning all along, it is DDIM's step
    eps = torch.full_like(x, 0.4)
    sampler = DDIM(DenoiseDiffusion(lambda x, t: eps.to(x), T), T, clip_x0=False)
    frozen = x / a**0.5 + (math.exp(-float(sde.lam(s))) - math.exp(-float(sde.lam(t)))) * eps
    step = sampler.transfer(x, eps, t - 1, s - 1)
    agree(step, frozen * a_end**0.5, rtol=1e-5, atol=1e-5, what="DDIM's step")


def even(n, low=-5.0, high=4.5):
    """A chain of n steps that are even in lambda, and the steps' exact Gaussian noise."""
    alpha_bar = torch.sigmoid(2 * torch.linspace(high, low, n + 1, dtype=torch.float64))
    diffusion = DenoiseDiffusion(None, n + 1, alpha_bar=alpha_bar)
    # In float64: what many steps leave is less than the rounding of constants
    for name in ('alpha_bar', 'one_minus_alpha_bar'):
        setattr(diffusion, name, alpha_bar if name == 'alpha_bar' else 1 - alpha_bar)

    def eps_model(xt, t):
        a = alpha_bar[t[0]]
        one = gaussian(a)
        return ((1 - a) ** 0.5 * (xt - one.mean) / one.variance).to(xt)

    diffusion.eps_model = eps_model
    return diffusion, alpha_bar


STEPS = (40, 80, 160, 320)


def test_ddim_integrates_the_ode_with_order_one():
    errors = []
    for n in STEPS:
        diffusion, alpha_bar = even(n)
        x = points()
        chain = DDIM(diffusion, n + 1, clip_x0=False).chain(x, SeededNoise(5, 0))
        *_, end = (xt for _, xt, _ in itertools.islice(chain, n))
        errors.append(float((end - flowed(x, alpha_bar[-1], alpha_bar[0])).abs().max()))
    ratios = [a / b for a, b in itertools.pairwise(errors)]
    agree(ratios, [2.0] * 3, atol=0.2, what='error for twice the steps falls by')


@pytest.mark.parametrize('variance', ['beta', 'beta_tilde'])
def test_ancestral_integrates_the_reverse_sde_with_weak_order_one(variance):
    """Mean and variance of the chain are followed exactly: its steps are linear."""
    errors = []
    for n in STEPS:
        diffusion, alpha_bar = even(n)
        one = DenoiseDiffusion(diffusion.eps_model, n + 1, alpha_bar=alpha_bar, variance=variance)
        begin, end = gaussian(alpha_bar[-1]), gaussian(alpha_bar[0])
        mean, var = begin.mean.reshape(1, 1), begin.variance
        for i in range(n, 0, -1):
            t = torch.tensor([i])
            ahead, noise, _ = one.p_mean_var(mean + 1, t)
            mean, _, _ = one.p_mean_var(mean, t)
            var = (ahead - mean) ** 2 * var + noise
        agree(mean, end.mean.reshape(1, 1), atol=1e-6, what='the mean, with any number of steps')
        errors.append(float(var - end.variance))
    ratios = [a / b for a, b in itertools.pairwise(errors)]
    agree(ratios, [2.0] * 3, atol=0.2, what='error of the variance for twice the steps falls by')


# ## 4. The likelihood
@pytest.mark.parametrize('t', [1.0, 1.5, 30.0, 500.0])
def test_the_log_density_changes_by_the_divergence(t):
    """Along a solution, by differences over a short way."""
    sde, x = of(mixture), points()
    lam, h = float(sde.lam(t)), 1e-4
    f, div = exact_divergence(lambda y: sde.velocity(y, lam), x)

    def log_p(lam, x):
        return mixture(torch.sigmoid(torch.tensor(2 * lam, dtype=torch.float64))).log_prob(x)

    found = (log_p(lam + h, x + h * f) - log_p(lam - h, x - h * f)) / (2 * h)
    agree(found.detach(), -div, rtol=1e-3, atol=1e-4, what='slope of log p')


@pytest.mark.parametrize('density', [gaussian, mixture])
def test_the_likelihood_is_the_density(density):
    """The cosine schedule ends so near to a unit Gaussian that nothing else is seen."""
    sde, x = of(density, cosine(T)), 0.7 * points()
    expected = density(sde.alpha_bar(1)).log_prob(x).reshape(5, -1).sum(1)
    found = log_density(sde, x, rtol=1e-6)
    agree(found, expected, atol=1e-4, what='log p(x_1)')


def test_what_the_start_from_a_unit_gaussian_costs():
    """The linear schedule ends with 0.6 % of the image: that is all the difference."""
    sde, x = of(gaussian), 0.7 * points()
    expected = gaussian(sde.alpha_bar(1)).log_prob(x).sum(1)
    xT = flowed(x, sde.alpha_bar(1), sde.alpha_bar(T))
    at_the_start = Normal(0.0, 1.0).log_prob(xT) - gaussian(sde.alpha_bar(T)).log_prob(xT)
    found = log_density(sde, x, rtol=1e-6)
    agree(found, expected + at_the_start.sum(1), atol=1e-4, what='log p(x_1)')
    agree(float((found - expected).abs().max()), 0.0075, atol=5e-5, what='most that it costs')


@pytest.mark.parametrize('rtol', [1e-3, 1e-5])
def test_the_tolerance_decides_how_many_calls(rtol):
    sde = of(mixture)
    calls = {r: solve(sde, points(), T, 1, rtol=r) for r in (rtol, rtol / 10)}
    assert calls[rtol].n_calls < calls[rtol / 10].n_calls


def nonlinear(x):
    return torch.sin(x) + x.flip(1) ** 2 * x[:, :1] + x.cumsum(1)


def test_hutchinson_has_no_bias():
    """Over all signs there are: the mean is the trace, and the variance that of the page."""
    x = points(3, 4)
    jacobian = torch.stack([torch.autograd.functional.jacobian(nonlinear, one[None])[0, :, 0]
                            for one in x])  # fmt: skip
    trace = jacobian.diagonal(dim1=1, dim2=2).sum(1)
    value, exact = exact_divergence(nonlinear, x)
    agree(exact, trace, atol=1e-12, what='the exact trace')
    agree(value, nonlinear(x), atol=0, what='the field')
    all_signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=4))).double()
    found = torch.stack([Hutchinson(v.expand(3, -1))(nonlinear, x)[1] for v in all_signs])
    agree(found.mean(0), trace, atol=1e-12, what='mean over all signs')
    both = (jacobian + jacobian.transpose(1, 2)).triu(1)
    variance = both.square().sum((1, 2))
    agree(found.var(0, correction=0), variance, atol=1e-10, what='variance over all signs')


def test_signs_are_of_the_image():
    noise = [SeededNoise(n, 3) for n in (4, 2)]
    many, few = (Hutchinson.seeded(one, torch.Size([n, 1, 2, 2])).signs
                 for one, n in zip(noise, (4, 2), strict=True))  # fmt: skip
    assert torch.equal(many[:2], few)
    assert set(many.unique().tolist()) == {-1.0, 1.0}


# ## 5. Bits
def test_the_bits_of_x_t_and_of_the_rest_are_those_of_the_image():
    """With the true p(x_0|x_t) the sum is exact, for every single x_t."""
    sde = of(gaussian, cosine(T))
    x0, eps = points(4, 1), points(4, 1, seed=1)
    for t in (1.0, 50.0):
        a = sde.alpha_bar(t)
        xt = a**0.5 * x0 + (1 - a) ** 0.5 * eps
        # Bayes' rule
        image = gaussian(torch.ones(()).double()).log_prob(x0)
        given = Normal(a**0.5 * x0, (1 - a) ** 0.5).log_prob(xt)
        rest = image + given - gaussian(a).log_prob(xt)
        bits = latent_bits(sde, x0, eps, t, rtol=1e-6) - rest[:, 0] / math.log(2)
        agree(bits, -image[:, 0] / math.log(2), atol=1e-3, what='bits of the image')


def test_uniform_noise_gives_a_bound():
    """Of each level of a pixel: its mean over the noise is no less than the bits of the level."""
    sde, n_levels, t = of(gaussian, cosine(T)), 5, 1.0
    x0 = torch.linspace(-1, 1, n_levels, dtype=torch.float64)[:, None]
    a = float(sde.alpha_bar(t))
    u = (torch.arange(10, dtype=torch.float64) + 0.5) / 10
    every = [
        uniform_bits(sde, x0, torch.full_like(x0, float(v)), n_levels, t, rtol=1e-6) for v in u
    ]
    found = torch.stack(every).mean(0)
    # The density of x_t / sqrt(alpha_bar), over the level
    p = Normal(0.3, (0.6**2 + (1 - a) / a) ** 0.5)
    w = 2 / (n_levels - 1)
    level = p.cdf(x0 + w / 2) - p.cdf(x0 - w / 2)
    bits = -level[:, 0].log2()
    assert bool((found >= bits - 1e-3).all())
    # What is lost is the divergence of the uniform noise from the density within the level
    fine = x0 + w * (u - 0.5)
    lost = (level.log() - math.log(w) - p.log_prob(fine)).mean(1) / math.log(2)
    agree(found - bits, lost, atol=1e-3, what='bits more than the level has')


# ## Samples, and what goes wrong
def test_samples_are_solutions_that_end_on_x0_hat():
    sde = of(gaussian)
    xT = SeededNoise(3, 7)((3, 2), 'cpu').double()
    found = sample(sde, xT, rtol=1e-6)
    x1 = flowed(xT, sde.alpha_bar(T), sde.alpha_bar(1))
    a = sde.alpha_bar(1)
    expected = (x1 - (1 - a) ** 0.5 * sde.eps(x1, 1).detach()) / a**0.5
    agree(found, expected, atol=1e-4, what='sample')
    assert torch.equal(sample(sde, (2, 2), 7), sample(sde, (2, 2), 7))


def test_a_network_without_numbers_is_told():
    sde = VPSDE(DenoiseDiffusion(lambda x, t: x * float('nan'), T))
    with pytest.raises(ValueError, match='the network gave no finite numbers at t=1'):
        solve(sde, points(), 1, T)
