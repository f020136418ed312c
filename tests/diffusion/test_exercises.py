"""The numbers in the answers of the exercises, computed by the package.

Each test names numbers as they are printed, and finds them in the answer that links to it.
"""

import math
import re
import warnings

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.configs import PRESETS, make_configs, network_of
from labml_nn.diffusion.ddpm.dit import patchify
from labml_nn.diffusion.ddpm.ema import EMA
from labml_nn.diffusion.ddpm.likelihood import decoder_log_prob, normal_kl, prior_bits
from labml_nn.diffusion.ddpm.score import Points, langevin_step
from labml_nn.diffusion.ddpm.train import share_of_rate
from labml_nn.diffusion.ddpm.unet import UNet
from labml_nn.diffusion.ddpm.utils import ShortChainWarning
from labml_nn.diffusion.distillation import learned
from labml_nn.diffusion.editing import Inpaint, descents
from labml_nn.diffusion.flow_matching import gaussian_velocity
from labml_nn.diffusion.guidance import NO_LABEL, Guided, drop_labels
from labml_nn.diffusion.preconditioning import P_MEAN, P_STD, SIGMA_DATA
from labml_nn.diffusion.samplers import make_sampler, spaced
from labml_nn.diffusion.schedules import cosine, linear, signal_left, straight
from labml_nn.diffusion.sde import VPSDE, Hutchinson, solve
from labml_nn.diffusion.targets import TARGETS, Target, loss_weight, target_of
from tests.kit.close import agree
from tests.kit.gaussian import known
from tests.kit.pair import filled, in_the_limit, way
from tests.kit.sites import ROOT

PAGE = ROOT / 'labml_nn' / 'diffusion' / 'ddpm' / 'exercises.md'
BETA = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
ALL = torch.arange(1000)
ONE, ZERO = torch.ones(1, 1), torch.zeros(1, 1)


def zero_model(xt, t, *label):
    return torch.zeros_like(xt)


@pytest.fixture
def diffusion():
    return DenoiseDiffusion(zero_model, 1000)


@pytest.fixture
def says(request):
    """Asserts that these numbers stand in the answer that links to the test."""
    name = request.node.name
    answers = re.split(r'\n(?=\?\?\? )', PAGE.read_text(encoding='utf-8'))
    (answer,) = [text for text in answers if f'::{name})' in text]
    numbers = re.findall(r'\d[\d,]*(?:\.\d+)?', re.sub(r'\]\([^)]*\)', '', answer))

    def check(*values):
        missing = [value for value in values if value not in [n.rstrip(',') for n in numbers]]
        assert missing == [], (missing, numbers)

    return check


# ## The bound
def test_half_of_the_variance(diffusion, says):
    t = int((diffusion.alpha_bar < 0.5).nonzero()[0]) + 1
    says(f'{t}', f'{float(diffusion.alpha_bar[t - 1]):.3f}')


def test_without_shrinking(diffusion, says):
    says(f'{float(1 + diffusion.beta.double().sum()):.2f}')


def test_weights_of_the_posterior_mean(diffusion, says):
    for t, places in (2, 2), (1000, 5):
        at = torch.tensor([t - 1])
        of_x0, of_xt = (
            float(diffusion.q_posterior(x0, xt, at)[0]) for x0, xt in ((ONE, ZERO), (ZERO, ONE))
        )
        says(f'{of_x0:.{places}f}', f'{of_xt:.2f}')


def test_a_forgotten_root(diffusion, says):
    x0 = torch.ones(1000, 1)
    mean, var = diffusion.q_xt_x0(x0, ALL)
    right, wrong = mean**2 + var, mean**2 + var**2
    torch.testing.assert_close(right, torch.ones_like(right))
    says(f'{float(wrong[99]):.2f}', f'{float(wrong.min()):.2f}')
    assert float(diffusion.alpha_bar[wrong.argmin()]) == pytest.approx(0.5, abs=0.01)


# ## The score
def test_tweedie_of_a_gaussian(says):
    diffusion = known(BETA, 0.5, 'beta')
    t = torch.tensor([259])
    xt = ONE.clone()
    says(f'{float(diffusion.predict_x0(xt, t, diffusion.eps_theta(xt, t))):.2f}')


def test_two_points(diffusion, says):
    half = DenoiseDiffusion(zero_model, 2, alpha_bar=torch.tensor([0.5, 1e-5]))
    points = Points(half, torch.tensor([[-1.0], [1.0]]))
    xt, t = torch.tensor([[0.5]]), torch.zeros(1, dtype=torch.int64)
    x0_hat = float(points.x0_hat(xt, t))
    assert x0_hat == pytest.approx(math.tanh(0.5**0.5))
    says(f'{x0_hat:.2f}', f'{float(points.weights(xt, t)[0, 1]):.2f}')


def test_a_large_langevin_step(says):
    # For N(0, 1) the score is -x. The variance to which steps of size delta lead
    found = []
    for delta in 0.01, 1.0:
        kept = float(1 + langevin_step(-ONE, delta, ZERO))
        added = float(langevin_step(ZERO, delta, ONE)) ** 2
        var = added / (1 - kept**2)
        assert var == pytest.approx(1 / (1 - delta / 4), rel=1e-4)
        found.append(var)
    says(f'{found[0]:.4f}', f'{found[1]:.2f}')


# ## The U-Net
def unet(**options):
    with torch.device('meta'):
        return UNet(**options)


def size(module):
    return sum(p.numel() for p in module.parameters())


def test_the_first_convolution(says):
    says(f'{size(unet().stem):,}', f'{size(unet(image_channels=1).stem):,}')


def test_how_many_skips(says):
    taken = sum(len(stage.blocks) for stage in unet().up)
    says(f'{taken}')
    assert 1 + sum(len(s.blocks) + (s.resample is not None) for s in unet().down) == taken


def test_attention_at_full_size(says):
    with_it = unet(is_attn=(True, True, False, False))
    block = with_it.down[0].blocks[0].attention
    more = size(with_it) - size(unet())
    assert more == 5 * size(block)
    says(f'{more:,}', f'{size(block):,}')


# ## Training
def test_a_constant_guess(says):
    constant = DenoiseDiffusion(lambda xt, t: torch.full_like(xt, 0.5), 1000)
    eps = torch.tensor([[1.0, -1.0]]).expand(1000, 2)
    says(f'{float(constant.errors(torch.zeros(1000, 2), ALL, eps).mean()):.2f}')


def test_the_least_loss_for_a_gaussian(says):
    diffusion = known(BETA, 1.0, 'beta')
    x0, eps = torch.randn(2, 1000, 1000, generator=torch.Generator().manual_seed(0))
    floor = float(diffusion.alpha_bar.mean())
    assert float(diffusion.errors(x0, ALL, eps).mean()) == pytest.approx(floor, abs=0.003)
    says(f'{floor:.2f}')


def test_half_of_the_rate(says):
    c = make_configs({'warmup': 500, 'steps': 10_000, 'cooldown': 0})
    step = next(i for i in range(1000) if share_of_rate(c, i) >= 0.5)
    says(f'{step + 1}')


def test_half_of_the_first_weights(says):
    decay = EMA(torch.nn.Linear(1, 1), 0.9999, warmup=False).decay_at(1)
    says(f'{math.ceil(math.log(0.5) / math.log(decay)):,}')


# ## Targets and weights
def shares(t):
    alpha_bar = (1 - BETA).cumprod(0)[t - 1]
    return float(alpha_bar**0.5), float((1 - alpha_bar) ** 0.5)


def test_an_error_of_v(says):
    xt, v = torch.zeros(()), torch.tensor(0.0)
    for t in (1, 300, 1000):
        a, s = shares(t)
        target, off = TARGETS['v'], v + 0.1
        image = target.to_x0(xt, off, a, s) - target.to_x0(xt, v, a, s)
        noise = target.to_eps(xt, off, a, s) - target.to_eps(xt, v, a, s)
        says(f'{abs(float(image)):.4f}', f'{abs(float(noise)):.4f}')
        from_eps = TARGETS['eps'].to_x0(xt, off, a, s) - TARGETS['eps'].to_x0(xt, v, a, s)
        says({1: '0.0010', 300: '0.12', 1000: '15.7'}[t])
        assert abs(float(from_eps)) == pytest.approx({1: 0.001, 300: 0.12, 1000: 15.7}[t], rel=0.03)


def test_the_error_of_v_is_the_sum():
    a, s = (x[:, None] for x in ((1 - BETA).cumprod(0) ** 0.5, (1 - (1 - BETA).cumprod(0)) ** 0.5))
    x0, eps, other = torch.randn(3, 1000, 4, dtype=torch.float64).unbind()
    xt = a * x0 + s * eps
    v, y = TARGETS['v'], TARGETS['v'].of(x0, eps, a, s)
    image = v.to_x0(xt, y + other, a, s) - x0
    noise = v.to_eps(xt, y + other, a, s) - eps
    torch.testing.assert_close(image**2 + noise**2, other**2)


def test_the_weight_of_a_straight_path(says):
    straight = Target(lambda a, s: (1.0, -1.0))
    first, last = (straight.own_weight(*shares(t)) for t in (1, 1000))
    says(f'{first:,.0f}', f'{last:.2f}')
    a, s = shares(300)
    assert straight.own_weight(a, s) == pytest.approx((1 + a / s) ** 2)
    assert straight.det(0.0, 1.0) == 1


def test_where_the_loss_of_a_gaussian_is(says):
    alpha_bar = (1 - BETA).cumprod(0)
    for name, left in (('x0', 1 - alpha_bar), ('eps', alpha_bar)):
        # The best guess of unit data is x_t times the target's covariance with it
        a, s = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
        A, B = TARGETS[name].mix(a, s)
        known = (A * s + B * a) ** 2
        torch.testing.assert_close(1 - known, left)
        says(f'{float(left[500:].sum() / left.sum()):.0%}'.rstrip('%'))


# ## Sampling
def test_calls_of_the_network(diffusion, says):
    calls = [make_sampler(*of).n_calls for of in (('ddpm', diffusion), ('dpm', diffusion))]
    says(*map(str, calls), f'{calls[0] // calls[1]}')


def test_mixed_noise(diffusion, says):
    at = torch.full((2,), 999)
    # What a mixture of two noisy images has of each of two noises
    each = diffusion.q_sample(torch.zeros(2, 2), at, torch.eye(2))
    var = float(diffusion.one_minus_alpha_bar[999])
    says(f'{float(each.mean(0).square().sum()) / var:.2f}')


# ## Fast samplers
def test_four_steps(says):
    for spacing in 'leading', 'trailing':
        says(*map(str, spaced(spacing, 4, 1000)))


def test_ten_steps_are_not_small(diffusion, says):
    beta = make_sampler('ddpm', diffusion, 10).short.beta
    says(f'{float(beta[0]):.2f}', f'{float(beta[-1]):.2f}')


def test_spread_that_ddim_leaves(says):
    diffusion = known(BETA, 0.5, 'beta')
    left = {
        n: float(make_sampler('ddim', diffusion, n, clip_x0=False).sample(ONE))
        for n in (1, 10, 20, 40)
    }
    says(f'{left[1]:.4f}', *(f'{left[n]:.2f}' for n in (10, 20, 40)))
    # Of order one: half the step, about half of what is missing
    assert (0.5 - left[20]) / (0.5 - left[40]) == pytest.approx(2, abs=0.2)


# ## Guidance
def guided(of_class, of_none, scale):
    def model(xt, t, label):
        none = (label == NO_LABEL)[:, None]
        return torch.where(none, of_none(xt), of_class(xt))

    return Guided(model, 0, scale)


def test_a_guided_guess(says):
    model = guided(lambda x: 0 * x + 1, lambda x: 0 * x + 0.2, 2.0)
    says(f'{float(model(ONE, torch.zeros(1))):.1f}')


def test_a_guided_gaussian(says):
    # The guess of the noise is minus the slope of the log density, up to a factor
    model = guided(lambda x: x - 1, lambda x: x / 2, 2.0)
    at_0, at_1 = (float(model(x, torch.zeros(1))) for x in (ZERO, ONE))
    says(f'{-at_0 / (at_1 - at_0):.1f}', f'{1 / (at_1 - at_0):.1f}')


def test_a_batch_without_dropped_labels(says):
    torch.manual_seed(0)
    dropped = float((drop_labels(torch.ones(200_000, dtype=torch.int64), 0.1) < 0).double().mean())
    assert dropped == pytest.approx(0.1, abs=0.003)
    says(f'{128 * 0.1:.1f}', f'{0.9**128 * 1e6:.1f}')


# ## Bits
# ## Edits
def test_replacement_at_a_correlation_of_six_tenths(says):
    found = filled(Inpaint(way(0.6, 'ddpm')))
    says(*(f'{x:.2f}' for x in found), *(f'{x:.2f}' for x in in_the_limit(0.6, 400)))


def test_calls_of_repaint(diffusion, says):
    walk = Inpaint(make_sampler('ddpm', diffusion, 250), 10, 10)
    ends = {end for _, end in descents(250, 10, 10)} - {0}
    says(f'{len(ends)}', f'{walk.n_steps - 250}', f'{walk.n_steps}')


def test_resamplings_for_three_percent(says):
    enough = next(U for U in range(1, 50) if 1 - in_the_limit(0.05, U)[0] / 0.05 < 0.03)
    says(f'{enough}')


def test_two_wrong_variances(says):
    half, twice = (
        float(normal_kl(*torch.tensor([0.0, math.log(r), 0.0, 0.0]))) / math.log(2)
        for r in (0.5, 2.0)
    )
    assert half < twice
    says(f'{half:.2f}', f'{twice:.2f}')


def test_a_level_of_two_deviations(says):
    log_var = torch.tensor([2 * math.log(1 / 16)])
    nats = decoder_log_prob(torch.zeros(1), torch.zeros(1), log_var, 17)
    says(f'{float(nats.exp()):.2f}', f'{-float(nats) / math.log(2):.2f}')


def test_the_end_of_a_short_chain(diffusion, says):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ShortChainWarning)
        short = DenoiseDiffusion(zero_model, 100)
    says(f'{float(prior_bits(diffusion, ONE)):.5f}', f'{float(prior_bits(short, ONE)):.2f}')


# ## In continuous time
def test_the_last_beta_in_continuous_time(diffusion, says):
    says(f'{float(VPSDE(diffusion).beta(999.5)):.4f}')


def test_paths_of_a_gaussian(says):
    s = 0.5
    sde = VPSDE(DenoiseDiffusion(None, 1000))

    def eps_model(xt, t):
        a = sde.alpha_bar(t[0] + 1)
        return (1 - a) ** 0.5 * xt / (a * s**2 + 1 - a)

    sde.diffusion.eps_model = eps_model
    x = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    says(*(f'{end:.3f}' for end in solve(sde, x, 1000, 1, rtol=1e-6).x[:, 0].tolist()))


def test_two_jacobians(says):
    for beside, numbers in ((-3.0, '3'), (3.0, '9 36')):
        J = torch.tensor([[1.0, 3.0], [beside, 2.0]])
        found = [
            float(Hutchinson(torch.tensor([v]))(lambda x, J=J: x @ J.T, ONE.expand(1, 2))[1])
            for v in ([1.0, 1.0], [1.0, -1.0])
        ]
        spread = torch.tensor(found).var(correction=0)
        assert numbers.split()[-1] == ('36' if spread else '3')
        says(*(f'{v:.0f}' for v in ([found[0], float(spread)] if spread else found[:1])))


# ## Schedules and variances
def test_a_quarter_of_the_steps(says):
    says(
        f'{signal_left(linear(250)):.2f}',
        f'{signal_left(linear(250, rescaled=True)):.4f}',
    )


def test_where_the_halves_are(says):
    for schedule in linear, cosine:
        alpha_bar = (1 - schedule(1000)).cumprod(0)
        says(f'{int((alpha_bar < 0.5).nonzero()[0]) + 1}')


def test_the_middle_of_the_straight_line(says):
    alpha_bar = (1 - linear(1000)).cumprod(0)
    after = int((alpha_bar < 0.5).nonzero()[0]) + 1
    says(f'{after - 1}', f'{after}')
    # T = 4 has tau = 1/2 at its second step
    assert float((1 - straight(4)).cumprod(0)[1]) == pytest.approx(0.5)


def test_velocity_between_two_unit_gaussians():
    tau = torch.tensor([0.1, 0.5, 0.8])
    x = torch.tensor([1.0, 2.0, -1.0])
    expected = (2 * tau - 1) / ((1 - tau) ** 2 + tau**2) * x
    agree(gaussian_velocity(x, tau, 0, 1), expected, atol=1e-6, what='velocity')


def preconditioned(sigma, F, x=0.0):
    """The guess of the image for a place and an output, in the units of EDM."""
    a = 1 / (1 + sigma**2) ** 0.5
    return target_of('edm').to_x0(a * x, F, a, sigma * a)


def test_half_of_the_skip(says):
    assert preconditioned(SIGMA_DATA, 0.0, x=1.0) == pytest.approx(0.5)
    says(f'{SIGMA_DATA}', f'{preconditioned(SIGMA_DATA, 1.0):.3f}')


def test_an_error_of_the_preconditioned(says):
    levels = (0.01, 0.5, 80.0)
    says(*(f'{preconditioned(sigma, 0.1):.3f}' for sigma in levels))
    for sigma in levels:
        a = 1 / (1 + sigma**2) ** 0.5
        off = TARGETS['eps'].to_x0(0.0, 0.1, a, sigma * a)
        says(f'{abs(off):.{2 if sigma > 0.1 else 3}f}'.removesuffix('0'))


def test_how_seldom_the_first_level_is_trained(says):
    away = (math.log(80) - P_MEAN) / P_STD
    seldom = math.erfc(away / 2**0.5) / 2
    says(f'{away:.2f}', f'{round(1 / seldom, -5):,.0f}')


def test_what_a_student_of_four_calls_knows(says):
    known = learned('progressive', 4, 1000)
    says(*map(str, known), *map(str, spaced('trailing', 3, 1000)))
    assert set(spaced('trailing', 2, 1000)) < set(known)
    assert not set(spaced('trailing', 3, 1000)) <= set(known)


def test_the_ends_of_unit_data():
    """From three steps by many of DDIM, whose guess of the image is a x for these data."""
    diffusion = DenoiseDiffusion(lambda xt, t: gather_root(diffusion, t) * xt, 1000)
    for left in (900, 500, 100):
        sampler = make_sampler('ddim', diffusion, 1000, clip_x0=False).below(left)
        found = sampler.sample(xt := torch.linspace(-2, 2, 5).reshape(5, 1))
        agree(found, xt, atol=5e-3, what='end of the ODE')


def gather_root(diffusion, t):
    return diffusion.one_minus_alpha_bar[t].reshape(-1, 1) ** 0.5


def test_what_snr_leaves_of_the_first_step(says):
    snr = float(loss_weight('x0', 'snr', (1 - BETA).cumprod(0))[-1])
    says(f'{snr:.5f}', f'{round(1 / snr, -3):,.0f}')


def test_the_middle_of_the_variances(says):
    diffusion = DenoiseDiffusion(zero_model, 1000, variance='learned')
    for t in 2, 10, 100:
        var = diffusion.p_variance(torch.tensor([t - 1]), 2, ZERO)
        says(f'{float(var / diffusion.beta[t - 1]):.2f}')


# ## A transformer
def test_tokens_of_a_picture(says):
    of_four, of_two = (patchify(torch.empty(1, 3, 32, 32), p) for p in (4, 2))
    says(f'{of_four.shape[1]}', f'{of_four.shape[2]}')
    says(f'{of_four.shape[1] ** 2:,}', f'{of_two.shape[1] ** 2:,}')


def transformer():
    return network_of(make_configs(PRESETS['digits_dit']))


def test_the_share_of_the_modulation(says):
    block = transformer().blocks[0]
    part = size(block.modulation)
    says(f'{part:,}', f'{size(block):,}', f'{100 * part / size(block):.0f}')


def test_what_learns_first(says):
    model = transformer()
    reached = []
    for _ in range(3):
        model.zero_grad()
        DenoiseDiffusion(model, 1000).loss(torch.rand(4, 1, 8, 8) * 2 - 1).backward()
        reached.append({name for name, p in model.named_parameters() if p.grad.any()})
        with torch.no_grad():
            for p in model.parameters():
                p -= 0.5 * p.grad
    assert reached[0] == {'head.weight', 'head.bias'}
    says('2', f'{len(list(model.parameters()))}')
    # The gates, and no branch behind them
    assert 'blocks.0.modulation.weight' in reached[1] - reached[0]
    assert 'blocks.0.mlp.0.weight' in reached[2] - reached[1]
