"""EDM's training: the factors around the network, the target that they make, and noise levels."""

import math

import pytest
import torch

from labml_nn.data.datasets import load_dataset, to_unit_range
from labml_nn.diffusion.ddpm.configs import make_configs
from labml_nn.diffusion.ddpm.train import Training
from labml_nn.diffusion.preconditioning import P_MEAN, P_STD, draw_steps, lognormal, spread
from labml_nn.diffusion.schedules import cosine, linear, straight
from labml_nn.diffusion.targets import TARGETS, TargetedDiffusion, loss_weight, target_of
from tests.kit.close import agree
from tests.kit.models import model
from tests.kit.peers import diffusers

T = 1000
ALPHA_BAR = (1 - linear(T)).cumprod(0)
A, S = ALPHA_BAR**0.5, (1 - ALPHA_BAR) ** 0.5
SIGMA = S / A
spreads = pytest.mark.parametrize('sigma_data', [0.5, 0.75, 1.0])


def factors(sigma, sigma_data):
    """c_skip, c_out and c_in of the paper's table 1."""
    var = sigma**2 + sigma_data**2
    return sigma_data**2 / var, sigma * sigma_data / var**0.5, 1 / var**0.5


def drawn(n=64, seed=0):
    """Images, noises and steps in float64, and the shares of both."""
    g = torch.Generator().manual_seed(seed)
    x0, eps = torch.randn(2, n, 3, 2, 2, generator=g, dtype=torch.float64).unbind()
    t = torch.randint(T, (n,), generator=g)
    return x0, eps, t, *(c[t].reshape(-1, 1, 1, 1) for c in (A, S))


@spreads
def test_input_and_target_have_unit_variance(sigma_data):
    """In closed form: unit noise, and images of variance sigma_data^2."""
    _, _, c_in = factors(SIGMA, sigma_data)
    one = torch.ones_like(SIGMA)
    agree(c_in**2 * (sigma_data**2 + SIGMA**2), one, atol=1e-12, what='variance of the input')
    target = target_of('edm', sigma_data)
    # What ours sees of x_t is what theirs sees of x_t / a
    agree(target.sees(A, S) * A, c_in, rtol=1e-12, atol=0, what='factor of the input')
    e, x = target.mix(A, S)
    agree(e**2 + x**2 * sigma_data**2, one, atol=1e-12, what='variance of the target')


@spreads
def test_the_target_is_what_the_skip_leaves(sigma_data):
    x0, eps, _, a, s = drawn()
    c_skip, c_out, _ = factors(s / a, sigma_data)
    y = target_of('edm', sigma_data).of(x0, eps, a, s)
    agree(y, (x0 - c_skip * (x0 + s / a * eps)) / c_out, atol=1e-9, what='target')


@spreads
def test_the_skip_makes_the_output_small(sigma_data):
    """The lowest point of the parabola, by trying."""
    tried = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    for sigma in (0.05, 0.5, 2.0, 20.0):
        c_skip, c_out, _ = factors(sigma, sigma_data)
        squares = (1 - tried) ** 2 * sigma_data**2 + tried**2 * sigma**2
        least = squares.min()
        agree(float(tried[squares.argmin()]), c_skip, atol=5e-5, what='c_skip')
        agree(float(least**0.5), c_out, rtol=1e-5, atol=0, what='c_out')
    # And so it is in the target: the part of F in the guess of the image
    d = target_of('edm', sigma_data)
    guess = d.to_x0(0 * A, torch.ones_like(A), A, S)
    agree(guess, factors(SIGMA, sigma_data)[1], rtol=1e-9, atol=0, what='share of F')


@spreads
def test_the_weight_is_constant(sigma_data):
    _, c_out, _ = factors(SIGMA, sigma_data)
    own = target_of('edm', sigma_data).own_weight(A, S)
    agree(own, c_out**-2, rtol=1e-9, atol=0, what='weight of an error of the image')
    one = loss_weight('edm', 'constant', ALPHA_BAR, sigma_data)
    agree(one, torch.ones_like(one), atol=0, what='weight of an error of F')


@spreads
def test_the_denoiser_is_that_of_diffusers(sigma_data):
    theirs = diffusers().EDMEulerScheduler(sigma_data=sigma_data)
    d = TargetedDiffusion(model, T, target='edm', sigma_data=sigma_data)
    x0, eps, _, _, _ = drawn(4)
    for t in (0, 300, 700, T - 1):
        step, sigma = torch.full((4,), t), SIGMA[t]
        bar_x = (x0 + sigma * eps).float()
        F = model(theirs.precondition_inputs(bar_x, sigma).float(), step)
        expected = theirs.precondition_outputs(bar_x, F, sigma)
        guess, x0_hat, _ = d.guess(A[t].float() * bar_x, step)
        agree(x0_hat, expected.float(), rtol=1e-3, atol=1e-4, what='guess of the clean image')
        slope = (bar_x - expected) / sigma
        agree(guess, slope.float(), rtol=1e-3, atol=2e-3, what='guess of the noise')


def test_it_is_v_of_scaled_images():
    x0, eps, _, a, s = drawn()
    for sigma_data in (0.5, 0.75):
        phi = torch.atan2(s / a, torch.full_like(s, sigma_data))
        v = TARGETS['v'].of(x0 / sigma_data, eps, phi.cos(), phi.sin())
        y = target_of('edm', sigma_data).of(x0, eps, a, s)
        agree(y, -v, atol=1e-12, what='target of EDM, and v')
    same = target_of('edm', 1.0).of(x0, eps, a, s)
    agree(same, -TARGETS['v'].of(x0, eps, a, s), atol=1e-12, what='target for unit variance')


@spreads
def test_a_gaussian_leaves_nothing_to_learn(sigma_data):
    """For Gaussian images target and input have no covariance, so the best guess is 0."""
    e, x = target_of('edm', sigma_data).mix(A, S)
    agree(e * S + x * A * sigma_data**2, 0 * A, atol=1e-12, what='covariance with x_t')
    # Drawn: the loss of a network that says 0, and of the best linear one
    g = torch.Generator().manual_seed(0)
    x0, eps = torch.randn(2, 20_000, 1, generator=g).unbind()
    d = TargetedDiffusion(lambda xt, t: 0 * xt, T, target='edm', sigma_data=sigma_data)
    for t in (0, 200, T - 1):
        loss = d.errors(sigma_data * x0, torch.full((20_000,), t), eps)
        agree(float(loss.mean()), 1.0, atol=0.03, what='loss of a network that says 0')


@pytest.mark.parametrize('schedule', [linear, cosine, straight])
def test_the_shares_are_those_of_the_normal(schedule):
    alpha_bar = (1 - schedule(T)).cumprod(0)
    share = lognormal(alpha_bar)
    agree(float(share.sum()), 1.0, atol=1e-12, what='all shares')
    log_sigma = ((1 - alpha_bar) / alpha_bar).log() / 2
    # Half way between two steps all below are counted
    for t in (100, 300, 600):
        half = float(log_sigma[t - 1] + log_sigma[t]) / 2
        below = (1 + math.erf((half - P_MEAN) / (P_STD * math.sqrt(2)))) / 2
        agree(float(share[:t].sum()), below, atol=1e-9, what='share of the steps below')
    finite = log_sigma.isfinite()
    mean = float((share[finite] * log_sigma[finite]).sum())
    agree(mean, P_MEAN, atol=0.02, what='mean of the logarithm')
    std = float((share[finite] * (log_sigma[finite] - mean) ** 2).sum()) ** 0.5
    agree(std, P_STD, atol=0.03, what='its standard deviation')


def test_training_draws_by_these_shares():
    c = make_configs({
        'target': 'edm', 'noise_levels': 'lognormal', 'ch_mults': (1, 1), 'batch_size': 4,
        'is_attn': (False, False), 'n_channels': 8,
    })  # fmt: skip
    training = Training(c, torch.device('cpu'))
    x0, label = torch.zeros(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64)
    torch.manual_seed(0)
    t = torch.cat([step.t for step in training.steps((x0, label) for _ in range(60))])
    torch.manual_seed(0)
    share = lognormal(ALPHA_BAR)
    low, high = (float(share[SIGMA < 0.2].sum()), float(share[SIGMA > 2].sum()))
    found = SIGMA[t]
    agree(float((found < 0.2).double().mean()), low, atol=0.1, what='share of little noise')
    agree(float((found > 2).double().mean()), high, atol=0.06, what='share of much noise')
    many = draw_steps(100_000, T, share, 'cpu')
    agree(float(SIGMA[many].log().mean()), P_MEAN, atol=0.02, what='mean of the logarithm')
    alike = draw_steps(100_000, T, None, 'cpu').double().mean()
    agree(float(alike), (T - 1) / 2, atol=4, what='mean step where all are drawn alike')


def test_where_training_is_spent():
    share = lognormal(ALPHA_BAR)
    much, little = SIGMA > 2, SIGMA < 0.2
    by_schedule = [float(part.double().mean()) for part in (much, little)]
    by_edm = [float(share[part].sum()) for part in (much, little)]
    agree(by_schedule, [0.60, 0.06], atol=0.005, what='shares of the linear schedule')
    agree(by_edm, [0.06, 0.37], atol=0.005, what='shares of EDM')


def test_the_spread_of_x_t():
    x0, eps, _, a, s = drawn(4096)
    for sigma_data in (0.5, 1.0):
        xt = a * sigma_data * x0 + s * eps
        found = float((xt / spread(a, s, sigma_data)).std())
        agree(found, 1.0, atol=0.01, what='standard deviation of what the network sees')


def test_the_spread_of_the_digits():
    images = load_dataset('digits', image_size=8, image_channels=1).images
    agree(float(to_unit_range(images, 17).std()), 0.75, atol=0.005, what='standard deviation')


def test_the_names_that_there_are():
    with pytest.raises(ValueError, match='no target edmm: did you mean edm'):
        target_of('edmm')
    with pytest.raises(ValueError, match='sigma_data=0 is a standard deviation'):
        make_configs({'sigma_data': 0.0})
    with pytest.raises(ValueError, match='noise_levels=lognormal does not go with variance'):
        make_configs({'noise_levels': 'lognormal', 'variance': 'learned'})
