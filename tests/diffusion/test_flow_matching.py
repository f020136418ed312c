"""Flow matching: the path, the velocity, what of it is DDPM, and reflow."""

import itertools
import math

import pytest
import torch

from labml_nn.diffusion.ddpm.configs import make_configs
from labml_nn.diffusion.ddpm.score import Points
from labml_nn.diffusion.ddpm.train import Training
from labml_nn.diffusion.flow_matching import coupled, gaussian_velocity, pairs, straightness
from labml_nn.diffusion.samplers import DDIM, Flow
from labml_nn.diffusion.schedules import straight
from labml_nn.diffusion.targets import TARGETS, TargetedDiffusion
from tests.kit.close import agree
from tests.kit.models import model

T = 100
# Gaussian data
M, C = 0.4, 0.5


def flow(u, n_steps=T):
    """A diffusion on straight lines whose model is `u(x_tau, tau)`."""
    diffusion = TargetedDiffusion(None, n_steps, target='u', beta=straight(n_steps))

    def eps_model(xt, t):
        tau = ((t + 1) / n_steps).reshape(-1, *[1] * (xt.ndim - 1))
        return u(xt * ((1 - tau) ** 2 + tau**2) ** 0.5, tau)

    diffusion.eps_model = eps_model
    return diffusion


def gaussian(x, tau):
    return gaussian_velocity(x, tau, M, C)


def between_points(n_steps):
    """The flow of the data +1 and -1 with equal shares, by the exact mean of the images."""
    diffusion = TargetedDiffusion(None, n_steps, target='u', beta=straight(n_steps))
    points = Points(diffusion, torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1))
    diffusion.eps_model = lambda xt, t: points(xt, t) - points.x0_hat(xt, t)
    return diffusion


def drawn(n=4):
    torch.manual_seed(0)
    return torch.rand(n, 1, 4, 4) * 2 - 1, torch.randn(n, 1, 4, 4)


def test_the_loss_is_that_of_flow_matching():
    x0, eps = drawn()
    t = torch.tensor([0, 20, 60, T - 1])
    diffusion = TargetedDiffusion(model, T, target='u', beta=straight(T))
    found = diffusion.errors(x0, t, eps)
    for i in range(len(x0)):
        tau = (int(t[i]) + 1) / T
        x = (1 - tau) * x0[i] + tau * eps[i]
        guess = model(x[None] / math.hypot(1 - tau, tau), t[i : i + 1])[0]
        expected = (guess - (eps[i] - x0[i])).pow(2).mean()
        agree(found[i], expected, rtol=1e-4, atol=0, what='squared error of the velocity')


def test_the_best_answer_is_the_mean_velocity():
    """Of many pairs through nearly one place, for two points of data."""
    torch.manual_seed(1)
    n, tau, place = 400_000, 0.4, 0.3
    x0 = torch.randint(0, 2, (n,)) * 2.0 - 1
    eps = torch.randn(n)
    here = ((1 - tau) * x0 + tau * eps - place).abs() < 0.01
    at = torch.full((1, 1, 1, 1), place / math.hypot(1 - tau, tau))
    found = between_points(T).eps_model(at, torch.tensor([round(tau * T) - 1]))
    agree((eps - x0)[here].mean(), found.squeeze(), atol=0.05, what='mean velocity of pairs')


@pytest.mark.parametrize('tau', [0.1, 0.5, 0.9])
def test_the_velocity_of_a_gaussian(tau):
    """By the regression of the velocity on the place: its slope is covariance over variance."""
    torch.manual_seed(2)
    x0 = M + C * torch.randn(200_000, dtype=torch.float64)
    eps = torch.randn(200_000, dtype=torch.float64)
    x, velocity = (1 - tau) * x0 + tau * eps, eps - x0
    slope = ((x - x.mean()) * velocity).mean() / x.var()
    at = torch.tensor([-1.0, 0.0, 2.0], dtype=torch.float64)
    expected = velocity.mean() + slope * (at - x.mean())
    agree(gaussian(at, torch.tensor(tau)), expected, atol=0.02, what='velocity')


def test_the_flow_of_a_gaussian():
    diffusion = flow(gaussian, 400)
    sampler = Flow(diffusion, 400, clip_x0=False)
    xt, noise = sampler.start((64, 1, 2, 2))
    eps = xt
    for t, xt, _ in itertools.islice(sampler.chain(xt, noise), 395):
        if t % 50 == 1:
            tau = t / 400
            var = (1 - tau) ** 2 * C**2 + tau**2
            expected = (1 - tau) * M + var**0.5 * eps
            x_tau = xt * math.hypot(1 - tau, tau)
            agree(x_tau, expected, atol=2e-3, what='place on the way')


def test_a_straight_line_is_a_schedule():
    x0, eps = drawn(1)
    diffusion = TargetedDiffusion(model, T, target='u', beta=straight(T))
    for t in (0, 50, T - 1):
        tau = (t + 1) / T
        size = math.hypot(1 - tau, tau)
        xt = diffusion.q_sample(x0, torch.tensor([t]), eps)
        agree(xt * size, (1 - tau) * x0 + tau * eps, atol=1e-5, what='place on the line')
        agree(diffusion.alpha_bar[t], (1 - tau) ** 2 / size**2, atol=1e-6, what='alpha_bar')
    assert float(diffusion.alpha_bar[-1]) == 0
    with pytest.raises(ValueError, match='at least two steps'):
        straight(1)


@pytest.mark.parametrize('tau', [0.01, 0.5, 1.0])
def test_image_and_noise_from_the_velocity(tau):
    x0, eps = drawn()
    u = eps - x0
    x_tau = (1 - tau) * x0 + tau * eps
    size = math.hypot(1 - tau, tau)
    a, s = torch.tensor((1 - tau) / size), torch.tensor(tau / size)
    target = TARGETS['u']
    agree(target.of(x0, eps, a, s), u, atol=1e-6, what='velocity')
    agree(target.to_x0(x_tau / size, u, a, s), x_tau - tau * u, atol=1e-5, what='image')
    agree(target.to_eps(x_tau / size, u, a, s), x_tau + (1 - tau) * u, atol=1e-5, what='noise')
    agree(x_tau - tau * u, x0, atol=1e-5, what='image by hand')
    agree(x_tau + (1 - tau) * u, eps, atol=1e-5, what='noise by hand')


@pytest.mark.parametrize('tau', [0.01, 0.5, 0.9])
def test_errors_of_the_velocity(tau):
    torch.manual_seed(3)
    size = math.hypot(1 - tau, tau)
    a, s = torch.tensor((1 - tau) / size), torch.tensor(tau / size)
    xt, wrong = torch.randn(2, 100, dtype=torch.float64).unbind()
    away = wrong + 0.1 * torch.randn(100, dtype=torch.float64)
    # The same two guesses of the noise, and the image that each implies, as two velocities
    x0, x0_away = ((xt - s * e) / a for e in (wrong, away))

    def error(target):
        y, y_away = (TARGETS[target].of(x, e, a, s) for x, e in ((x0, wrong), (x0_away, away)))
        return (y - y_away).pow(2).mean()

    agree(error('u'), error('eps') / (1 - tau) ** 2, rtol=1e-6, atol=0, what='from the noise')
    agree(error('u'), error('v') / size**2, rtol=1e-6, atol=0, what='from v')
    assert 0.5 <= size**2 <= 1


def test_one_step_ends_at_the_mean():
    sampler = Flow(flow(gaussian), 1, clip_x0=False)
    found = sampler.sample((50, 1, 1, 1))
    agree(found, torch.full_like(found, M), atol=1e-5, what='end of one step')
    points = Flow(between_points(T), 1, clip_x0=False).sample((50, 1, 1, 1))
    agree(points, torch.zeros_like(points), atol=1e-5, what='end of one step between two points')


def test_partners_come_nearer():
    torch.manual_seed(4)
    n = 20_000
    apart = (torch.randint(0, 2, (n,)) * 2.0 - 1 - torch.randn(n)).pow(2).mean()
    agree(apart, 2.0, atol=0.1, what='of pairs drawn apart')
    sampler = Flow(between_points(200), 200, clip_x0=False)
    x0, eps = pairs(sampler, n, (1, 1, 1), at_once=n)
    expected = 2 - 2 * math.sqrt(2 / math.pi)
    agree((x0 - eps).pow(2).mean(), expected, atol=0.02, what="of the flow's pairs")


def test_a_reflowed_gaussian_needs_one_step():
    """Its pairs are x0 = M + C eps; so x_tau tells eps, and eps the velocity."""

    def reflowed(x, tau):
        eps = (x - (1 - tau) * M) / ((1 - tau) * C + tau)
        return eps - (M + C * eps)

    x0, eps = pairs(Flow(flow(gaussian, 400), 400, clip_x0=False), 64, (1, 2, 2))
    agree(x0, M + C * eps, atol=5e-3, what='pairs of the first flow')
    for steps in (1, 5):
        once = Flow(flow(reflowed), steps, clip_x0=False, order=1).sample(eps)
        agree(once, M + C * eps, atol=1e-5, what='end of one step')


def test_straightness_of_a_gaussian():
    torch.manual_seed(5)
    eps = torch.randn(20_000, 1, 1, 1, dtype=torch.float64)
    tau = (torch.arange(T, dtype=torch.float64) + 1) / T
    slope = (tau - (1 - tau) * C**2) / ((1 - tau) ** 2 * C**2 + tau**2)
    expected = ((1 - C) - slope * ((1 - tau) * C + tau)).pow(2).mean()
    found = straightness(flow(gaussian), M + C * eps, eps)
    agree(found, expected, rtol=0.05, atol=0, what='S')

    def reflowed(x, tau):
        eps = (x - (1 - tau) * M) / ((1 - tau) * C + tau)
        return eps - (M + C * eps)

    agree(straightness(flow(reflowed), M + C * eps, eps), 0.0, atol=1e-8, what='S, reflowed')


def test_pairs_depend_on_their_place_alone():
    sampler = DDIM(flow(gaussian), 5)
    whole, eps = pairs(sampler, 6, (1, 2, 2), seed=3)
    parts, eps_parts = pairs(sampler, 6, (1, 2, 2), seed=3, at_once=4)
    assert torch.equal(whole, parts)
    assert torch.equal(eps, eps_parts)


def test_training_takes_the_noise_of_a_batch():
    """With these pairs, the error at the last step is that of the pairs' own velocity."""
    c = make_configs(
        dict(
            ch_mults=(1, 1), is_attn=(False, False), batch_size=4, steps=1, n_steps=10,
            schedule='straight', target='u',
        )
    )  # fmt: skip
    torch.manual_seed(6)
    x0, eps = torch.rand(3, 1, 8, 8) * 2 - 1, torch.randn(3, 1, 8, 8)
    training = Training(c, torch.device('cpu'))
    seen = []
    training.diffusion.losses = lambda x0, t, eps, label: (
        seen.append((x0, eps)),
        type(training.diffusion).losses(training.diffusion, x0, t, eps, label),
    )[1]
    next(training.steps(coupled(x0, eps, 4)))
    [(images, noises)] = seen
    for image, noise in zip(images, noises, strict=True):
        i = next(i for i in range(3) if torch.equal(image, x0[i]))
        assert torch.equal(noise, eps[i])
