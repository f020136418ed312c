"""What a network predicts, how much each step counts, and a chain that begins with nothing."""

import math

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion, gather
from labml_nn.diffusion.ddpm.configs import build, make_configs
from labml_nn.diffusion.ddpm.likelihood import bound
from labml_nn.diffusion.guidance import Guided
from labml_nn.diffusion.samplers import SAMPLERS, make_sampler
from labml_nn.diffusion.schedules import cosine, linear
from labml_nn.diffusion.targets import (
    GAMMA,
    TARGETS,
    WEIGHTS,
    Target,
    TargetedDiffusion,
    diffusion_of,
    loss_weight,
    zero_terminal_snr,
)
from tests.kit.close import agree
from tests.kit.models import model

T = 1000
ALPHA_BAR = (1 - linear(T)).cumprod(0)
A, S = ALPHA_BAR**0.5, (1 - ALPHA_BAR) ** 0.5
SNR = ALPHA_BAR / (1 - ALPHA_BAR)
every_target = pytest.mark.parametrize('name', TARGETS)
every_sampler = pytest.mark.parametrize('sampler', SAMPLERS)


def drawn(n=64, seed=0):
    """Images, noises and steps in float64, and the shares of both."""
    g = torch.Generator().manual_seed(seed)
    x0, eps = torch.randn(2, n, 3, 2, 2, generator=g, dtype=torch.float64).unbind()
    t = torch.randint(T, (n,), generator=g)
    a, s = (c[t].reshape(-1, 1, 1, 1) for c in (A, S))
    return x0, eps, t, a, s


def whole(target, seen, a, s):
    """x_t, from what a network is given."""
    return seen if target.sees is None else seen / target.sees(a, s)


# ## The maps
@every_target
def test_the_maps_are_inverse(name):
    x0, eps, _, a, s = drawn()
    xt, target = a * x0 + s * eps, TARGETS[name]
    y = target.of(x0, eps, a, s)
    agree(target.to_x0(xt, y, a, s), x0, atol=1e-9, what='image from the target')
    agree(target.to_eps(xt, y, a, s), eps, atol=1e-9, what='noise from the target')


def test_any_mixture_is_a_target_while_it_says_more_than_xt():
    """The two equations, solved by a library."""
    x0, eps, _, a, s = drawn(8)
    straight = Target(lambda a, s: (1.0, -1.0))
    y, xt = straight.of(x0, eps, a, s), a * x0 + s * eps
    for i in range(8):
        rows = torch.tensor([[1.0, -1.0], [float(s[i]), float(a[i])]], dtype=torch.float64)
        found = torch.linalg.solve(rows, torch.stack([y[i].flatten(), xt[i].flatten()]))
        agree(straight.to_eps(xt, y, a, s)[i].flatten(), found[0], atol=1e-9, what='noise')
        agree(straight.to_x0(xt, y, a, s)[i].flatten(), found[1], atol=1e-9, what='image')
    agree(straight.det(0.6, 0.8), 1.4, atol=1e-12, what='determinant')
    same = Target(lambda a, s: (s, a))  # x_t itself
    assert same.det(0.6, 0.8) == 0


def test_v_is_the_velocity():
    """The slope of x_t along the angle whose cosine is a, by a difference."""
    x0, eps, _, a, s = drawn()
    phi, h = torch.atan2(s, a), 1e-5

    def x(phi):
        return phi.cos() * x0 + phi.sin() * eps

    slope = (x(phi + h) - x(phi - h)) / (2 * h)
    v = TARGETS['v'].of(x0, eps, a, s)
    agree(v, slope, atol=1e-8, what='v, and the slope')
    # A quarter of a turn further on the same circle
    agree(v, x(phi + math.pi / 2), atol=1e-12, what='v, and x_t a quarter of a turn on')


def test_v_is_turned_back():
    x0, eps, _, a, s = drawn()
    xt, v = a * x0 + s * eps, a * eps - s * x0
    target = TARGETS['v']
    agree(target.to_eps(xt, v, a, s), a * v + s * xt, atol=1e-12, what='noise from v')
    agree(target.to_x0(xt, v, a, s), a * xt - s * v, atol=1e-12, what='image from v')


@every_target
def test_a_guess_is_the_linear_map_of_the_output(name):
    d = TargetedDiffusion(lambda xt, t: torch.sin(3 * xt), T, target=name)
    x0, eps, t, a, s = drawn()
    xt = (a * x0 + s * eps).float()
    guess, x0_hat, v = d.guess(xt, t)
    assert v is None
    want = TARGETS[name]
    given = xt if want.sees is None else xt * want.sees(a, s).float()
    y = torch.sin(3 * given).double()
    agree(guess.double(), want.to_eps(xt, y, a, s), rtol=1e-4, atol=1e-4, what='noise')
    agree(x0_hat.double(), want.to_x0(xt, y, a, s), rtol=1e-4, atol=1e-3, what='image')
    agree(d.eps_theta(xt, t), guess, atol=0, what='eps_theta, and the guess')
    # The two belong together
    agree(a * x0_hat + s * guess, xt.double(), atol=2e-5, what='x_t, put together again')


# ## The loss
def test_errors_of_the_targets():
    """||y - y_hat||^2 in units of ||x0 - x0_hat||^2, for a pair of guesses that make up x_t."""
    x0, eps, t, a, s = drawn()
    xt = a * x0 + s * eps
    x0_hat = x0 + 0.1 * torch.sin(5 * xt)
    eps_hat = (xt - a * x0_hat) / s
    image = (x0 - x0_hat).square().sum((1, 2, 3))
    snr = SNR[t]
    for name, expected in (('eps', snr), ('x0', torch.ones_like(snr)), ('v', snr + 1)):
        target = TARGETS[name]
        off = target.of(x0, eps, a, s) - target.of(x0_hat, eps_hat, a, s)
        found = off.square().sum((1, 2, 3)) / image
        agree(found, expected, rtol=1e-6, atol=0, what=f'error of {name}')
        agree(target.own_weight(A, S)[t], expected, rtol=1e-9, atol=0, what=f'weight of {name}')


class OneGuess(torch.nn.Module):
    """The same guess of the image, said in each target."""

    def __init__(self, name):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.4))
        self.target = TARGETS[name]

    def forward(self, xt, t):
        a, s = (c[t].reshape(-1, 1, 1, 1) for c in (A, S))
        xt = whole(self.target, xt.double(), a, s)
        x0_hat = self.weight * torch.tanh(xt)
        eps = (xt - a * x0_hat) / s
        return self.target.of(x0_hat, eps, a, s).float()


@pytest.mark.parametrize('weight', [w for w in WEIGHTS if w != 'constant'])
def test_the_same_loss_in_every_target(weight):
    """The loss and its gradient do not depend on the target, only on the weight."""
    x0, eps, t, _, _ = drawn(256)
    x0, eps = x0.clamp(-1, 1).float(), eps.float()
    losses, slopes = {}, {}
    for name in TARGETS:
        network = OneGuess(name)
        d = TargetedDiffusion(network, T, target=name, weight=weight)
        loss = d.errors(x0, t, eps).mean()
        loss.backward()
        losses[name], slopes[name] = float(loss.detach()), float(network.weight.grad)
    for name in TARGETS:
        agree(losses[name], losses['eps'], rtol=1e-4, what=f'loss of {name} and eps', atol=0)
        agree(slopes[name], slopes['eps'], rtol=1e-4, what=f'slope of {name} and eps', atol=0)


def test_the_weights_are_those_of_the_table():
    one = torch.ones_like(SNR)
    table = {
        'constant': {'eps': one, 'x0': one, 'v': one},
        'snr': {'eps': one, 'x0': SNR, 'v': SNR / (SNR + 1)},
        'truncated_snr': {
            'eps': torch.maximum(SNR, one) / SNR,
            'x0': torch.maximum(SNR, one),
            'v': torch.maximum(SNR, one) / (SNR + 1),
        },
        'min_snr': {
            'eps': torch.minimum(SNR, 5 * one) / SNR,
            'x0': torch.minimum(SNR, 5 * one),
            'v': torch.minimum(SNR, 5 * one) / (SNR + 1),
        },
    }
    assert set(table) == set(WEIGHTS)
    assert GAMMA == 5
    for weight, row in table.items():
        for name, expected in row.items():
            found = loss_weight(name, weight, ALPHA_BAR)
            agree(found, expected, rtol=1e-9, atol=0, what=f'{weight} of {name}')


def test_the_truncated_weight_is_the_larger_error():
    """Salimans and Ho: max(||x0 - x0_hat||^2, ||eps - eps_hat||^2)."""
    own = {name: TARGETS[name].own_weight(A, S) for name in TARGETS}
    larger = torch.maximum(own['x0'], own['eps'])
    agree(WEIGHTS['truncated_snr'](SNR, own['v']), larger, rtol=1e-9, atol=0, what='weight')


def test_what_the_weights_span():
    """From the first step to the last, and where min-SNR stops to fall."""
    first, last = float(SNR[0]), float(SNR[-1])
    agree([first, last], [9999, 4.04e-5], rtol=1e-3, atol=0, what='SNR at both ends')
    agree([int((SNR > 5).sum()), int((SNR > 1).sum())], [130, 259], atol=0, what='steps above')


def test_losses_give_the_error_of_the_noise_too():
    x0, eps, t, _, _ = drawn()
    x0, eps = x0.clamp(-1, 1).float(), eps.float()
    noise = {}
    for name in TARGETS:
        d = TargetedDiffusion(OneGuess(name), T, target=name)
        loss, noise[name] = d.losses(x0, t, eps)
        assert loss.requires_grad
        assert not noise[name].requires_grad
    for name in TARGETS:
        agree(noise[name], noise['eps'], rtol=1e-3, atol=1e-5, what='squared error of the noise')


def test_eps_with_constant_weight_is_the_paper():
    d, paper = TargetedDiffusion(model, T, target='eps'), DenoiseDiffusion(model, T)
    x0, eps, t, _, _ = drawn()
    x0, eps = x0.clamp(-1, 1).float(), eps.float()
    agree(d.errors(x0, t, eps), paper.errors(x0, t, eps), rtol=1e-5, atol=0, what='errors')
    assert type(diffusion_of(model, linear(T))) is DenoiseDiffusion
    assert type(diffusion_of(model, linear(T), weight='snr')) is TargetedDiffusion


# ## The same chain in every target
MEAN, SPREAD = 0.3, 0.4


def known(name, beta, mean=MEAN, spread=SPREAD):
    """The diffusion with the best model of N(mean, spread^2) in this target."""
    alpha_bar = (1 - beta).cumprod(0)
    a, s = alpha_bar**0.5, (1 - alpha_bar) ** 0.5

    def best(xt, t):
        at, st = gather(a, t, xt.ndim), gather(s, t, xt.ndim)
        # E[x0|x_t] and E[eps|x_t], which are 1 - abar and abar of the way from what x_t says
        var = at**2 * spread**2 + st**2
        off = whole(TARGETS[name], xt.double(), at, st) - at * mean
        x0_hat = mean + at * spread**2 / var * off
        return TARGETS[name].of(x0_hat, st / var * off, at, st).to(xt.dtype)

    return TargetedDiffusion(best, len(beta), target=name, beta=beta)


@every_sampler
@pytest.mark.parametrize('beta', [linear(T), cosine(T)], ids=['linear', 'cosine'])
def test_the_best_models_draw_the_same_images(sampler, beta):
    images = {}
    for name in TARGETS:
        way = make_sampler(sampler, known(name, beta), 10, clip_x0=True)
        images[name] = way.sample((64, 1, 1, 1), seed=1)
    for name in TARGETS:
        agree(images[name], images['eps'], rtol=1e-3, atol=2e-3, what=f'{name} and eps')


@every_target
def test_the_bound_is_the_same_in_every_target(name):
    x0 = torch.linspace(-1, 1, 17).reshape(1, 1, 1, 17).repeat(4, 1, 1, 1)
    beta = linear(50, rescaled=True)
    paper = bound(known('eps', beta), x0, 17).total()
    agree(bound(known(name, beta), x0, 17).total(), paper, rtol=1e-4, atol=1e-4, what='bits')


@every_target
@pytest.mark.parametrize('scale', [0.0, 2.0])
def test_guidance_is_the_same_in_every_target(name, scale):
    """A guess of the noise that is guided, and the guess of a guided target."""
    target = TARGETS[name]

    def told(xt, t, label):
        a, s = (c[t].reshape(-1, 1, 1, 1) for c in (A, S))
        xt = whole(target, xt.double(), a, s)
        eps = torch.sin(xt * (2 + label.reshape(-1, 1, 1, 1)))
        return target.of((xt - s * eps) / a, eps, a, s).float()

    def noise(xt, t, label):
        return torch.sin(xt.double() * (2 + label.reshape(-1, 1, 1, 1))).float()

    t = torch.tensor([3, 200, 500, 700])
    xt = torch.randn(4, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    found = TargetedDiffusion(Guided(told, 1, scale), T, target=name).eps_theta(xt, t)
    agree(found, Guided(noise, 1, scale)(xt, t), rtol=1e-3, atol=1e-3, what='guided noise')


# ## Nothing of the image at the end
@pytest.mark.parametrize('schedule', [linear, cosine])
def test_zero_terminal_snr_keeps_the_first_and_loses_the_last(schedule):
    beta = schedule(T)
    before, after = (1 - beta).cumprod(0), (1 - zero_terminal_snr(beta)).cumprod(0)
    agree(float(after[0]), float(before[0]), rtol=1e-12, atol=0, what='alpha_bar of step 1')
    assert float(after[-1]) == 0
    assert bool((after[:-1] > 0).all())
    assert bool((after.diff() < 0).all())
    # The root is moved and stretched: what was in proportion stays so
    a, b = before**0.5, after**0.5
    agree(
        (b - b[-1]) / (b[0] - b[-1]), (a - a[-1]) / (a[0] - a[-1]),
        rtol=1e-9, atol=1e-12, what='shares of the way',
    )  # fmt: skip
    assert float(zero_terminal_snr(beta)[-1]) == 1


def test_a_single_step_cannot_lose_all():
    with pytest.raises(ValueError, match='zero_snr=true needs at least two steps'):
        zero_terminal_snr(linear(1))


def test_eps_has_nothing_to_learn_at_the_end():
    """Where x_t is the noise, the best guess of it is x_t, without error and without an image."""
    a, s = torch.tensor(0.0), torch.tensor(1.0)
    x0, eps, _, _, _ = drawn()
    xt = a * x0 + s * eps
    agree(xt, eps, atol=0, what='x_T and the noise')
    assert float(TARGETS['eps'].det(a, s)) == 0
    assert not bool(TARGETS['eps'].to_x0(xt, eps, a, s).isfinite().any())
    for name, D in (('x0', -1), ('v', 1)):
        agree(float(TARGETS[name].det(a, s)), D, atol=0, what=f'determinant of {name}')
        y = TARGETS[name].of(x0, eps, a, s)
        agree(TARGETS[name].to_x0(xt, y, a, s), x0, atol=0, what=f'image from {name}')


@pytest.mark.parametrize(
    'make',
    [
        lambda beta: DenoiseDiffusion(model, T, beta=beta),
        lambda beta: DenoiseDiffusion(model, T, alpha_bar=(1 - beta).cumprod(0)),
        lambda beta: TargetedDiffusion(model, T, target='eps', weight='min_snr', beta=beta),
        lambda beta: diffusion_of(model, beta),
        lambda beta: build(make_configs({'zero_snr': True})),
    ],
)
def test_eps_is_refused_where_nothing_is_left(make):
    with pytest.raises(ValueError, match=r'nothing is left .* predict v or x0 \(target=v\)'):
        make(zero_terminal_snr(linear(T)))


@every_sampler
@pytest.mark.parametrize('name', ['x0', 'v'])
@pytest.mark.parametrize('n', [1, 2, 20])
@pytest.mark.parametrize('clip', [False, True])
def test_every_sampler_begins_where_nothing_is_left(sampler, name, n, clip):
    """At T the best guess of the image is the mean of the data, whatever the noise."""
    d = known(name, zero_terminal_snr(linear(T)))
    way = make_sampler(sampler, d, n, clip_x0=clip)
    chain = list(way.chain(*way.start((512, 1, 1, 1), seed=0)))
    t, _, x0_hat = chain[0]
    assert t == T - 1
    agree(x0_hat, torch.full_like(x0_hat, MEAN), atol=1e-5, what='first guess, and the mean')
    images = chain[-1][1]
    assert bool(images.isfinite().all())
    if n == 20:
        agree(float(images.mean()), MEAN, atol=0.06, what='mean of the samples')
        if sampler != 'consistency':  # whose models guess the end, and not a mean
            agree(float(images.std()), SPREAD, atol=0.12, what='spread of the samples')


@pytest.mark.parametrize('name', ['x0', 'v'])
def test_heun_begins_with_a_step_of_ddim_where_nothing_is_left(name):
    """There is no signal to divide by, so it does not look ahead."""
    d = known(name, zero_terminal_snr(linear(T)))
    first = {}
    for sampler in ('heun', 'ddim'):
        way = make_sampler(sampler, d, 20, clip_x0=False)
        first[sampler] = next(iter(way.chain(*way.start((8, 1, 1, 1), seed=0))))[1]
    agree(first['heun'], first['ddim'], atol=1e-5)


def test_the_loss_at_the_end_is_finite():
    d = TargetedDiffusion(
        lambda xt, t: 0 * xt, T, target='v', weight='constant', beta=zero_terminal_snr(linear(T))
    )
    x0, eps, _, _, _ = drawn()
    x0, eps, t = x0.clamp(-1, 1).float(), eps.float(), torch.full((64,), T - 1)
    loss, noise = d.losses(x0, t, eps)
    # v is -x0 there
    agree(loss, x0.square().mean((1, 2, 3)), rtol=1e-5, atol=0, what='loss at T')
    agree(noise, torch.zeros(64), atol=1e-12, what='error of the noise at T')
    for weight in WEIGHTS:
        d = TargetedDiffusion(
            lambda xt, t: 0 * xt, T, target='v', weight=weight, beta=zero_terminal_snr(linear(T))
        )
        assert bool(d.loss_weight.isfinite().all())


def test_levels_without_end_are_refused():
    d = TargetedDiffusion(model, T, beta=zero_terminal_snr(linear(T)))
    with pytest.raises(ValueError, match='karras.* needs a last level that is finite'):
        make_sampler('dpm', d, 10, spacing='karras')


# ## At the door
@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'target': 'w'}, 'target'),
        ({'weight': 'min-snr'}, 'min_snr'),
        ({'target': 'v', 'variance': 'learned'}, 'variance=learned goes with target=eps'),
        ({'beta': torch.tensor([1.0, 0.5])}, 'strictly between'),
        ({'alpha_bar': torch.tensor([0.5, -0.1])}, 'never below 0'),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    n = next((len(v) for v in options.values() if isinstance(v, torch.Tensor)), T)
    with pytest.raises(ValueError, match=message):
        TargetedDiffusion(model, n, **options)


@every_target
def test_shapes_alone_are_made_without_memory(name):
    """On the device `meta`, as the diffusion of DDPM is: to count parameters of large models."""
    made = build(make_configs({'target': name, 'weight': 'min_snr'}), 'meta')
    assert made.loss_weight.is_meta
    assert made.loss_weight.shape == made.beta.shape == (1000,)


def test_a_configuration_without_a_target_means_eps():
    c = make_configs({})
    assert (c.target, c.weight, c.zero_snr) == ('eps', 'constant', False)
    assert type(build(c)) is DenoiseDiffusion
    d = build(make_configs({'target': 'v', 'weight': 'min_snr', 'zero_snr': True}))
    assert isinstance(d, TargetedDiffusion)
    assert d.target == 'v'
    assert float(d.alpha_bar[-1]) == 0
    products = (1 - zero_terminal_snr(linear(T))).cumprod(0)
    weights = loss_weight('v', 'min_snr', products).float()
    agree(d.loss_weight, weights, rtol=1e-4, atol=0, what='weights')
