"""Distillation: lessons, where steps have to aim, perfect students, the consistency function."""

import itertools
import math

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion, gather
from labml_nn.diffusion.ddpm.configs import make_configs
from labml_nn.diffusion.ddpm.train import Training
from labml_nn.diffusion.ddpm.utils import around
from labml_nn.diffusion.distillation import (
    GRID,
    METHODS,
    aim,
    consistency,
    ddim_step,
    end,
    learned,
    lesson,
    progressive,
    shares,
)
from labml_nn.diffusion.flow_matching import coupled
from labml_nn.diffusion.samplers import DDIM, SAMPLERS, spaced
from labml_nn.diffusion.schedules import linear, straight
from labml_nn.diffusion.targets import TARGETS, TargetedDiffusion
from tests.kit.close import agree
from tests.kit.models import model

T = 1000
# Gaussian data, of which next to nothing lies outside [-1, 1]
M, C = 0.2, 0.15
SHAPE = (8, 1, 2, 2)


def images(n=SHAPE[0], seed=0):
    return torch.rand(n, *SHAPE[1:], generator=torch.Generator().manual_seed(seed)) * 2 - 1


def data(n=SHAPE[0]):
    """Batches of images without end."""
    for seed in itertools.count():
        yield images(n, seed), torch.zeros(n, dtype=torch.int64)


def guessing(of, n_steps=T, beta=None):
    """A diffusion with the target v whose guess of the image is `of(x, a, s)`, in float64."""
    diffusion = TargetedDiffusion(None, n_steps, target='v', beta=beta)
    for name in ('alpha_bar', 'one_minus_alpha_bar'):
        # As many digits as the differences of small steps need
        beta64 = (linear(n_steps) if beta is None else beta).double()
        product = (1 - beta64).cumprod(0)
        setattr(diffusion, name, product if name == 'alpha_bar' else 1 - product)

    def v_model(xt, t):
        a, s = shares(diffusion, t, xt.ndim)
        return (a * xt - of(xt, a, s)) / s

    diffusion.eps_model = v_model
    return diffusion


def exact_end(x, a, s):
    return M + C * (x - a * M) / (a**2 * C**2 + s**2) ** 0.5


def exact_mean(x, a, s):
    return M + a * C**2 * (x - a * M) / (a**2 * C**2 + s**2)


def exact_flow(x, a, s, a_to, s_to):
    """The ODE of Gaussian data from one noise level to another."""
    return a_to * M + (x - a * M) * ((a_to**2 * C**2 + s_to**2) / (a**2 * C**2 + s**2)) ** 0.5


@pytest.fixture
def teacher():
    return DenoiseDiffusion(model, T)


def level(t, n=SHAPE[0]):
    return torch.full((n,), t)


# ## Lessons
def test_a_lesson_makes_the_same_noisy_image(teacher):
    x0, x = images(), images(seed=1)
    t = torch.arange(8) * 140 + 19
    xt = teacher.q_sample(x0, t)
    found, _, eps, steps = lesson(teacher, x, t, xt, t)
    assert torch.equal(steps, t)
    agree(teacher.q_sample(found, steps, eps), xt, atol=1e-5, what='noisy image')


@pytest.mark.parametrize('target', ['v', 'x0', 'u'])
def test_the_loss_of_a_lesson(target):
    """It weighs the error of the image by W = max(SNR, 1)."""
    beta = linear(T)
    student = TargetedDiffusion(model, T, target=target, weight='truncated_snr', beta=beta)
    t = torch.arange(8) * 140 + 19
    xt = student.q_sample(images(), t)
    x, _, eps, _ = lesson(student, images(seed=1), t, xt, t)
    _, x0_hat, _ = student.guess(xt, t)
    snr = student.alpha_bar[t] / student.one_minus_alpha_bar[t]
    expected = snr.clamp(min=1) * (x - x0_hat).pow(2).flatten(1).mean(1)
    agree(student.errors(x, t, eps), expected, rtol=2e-3, atol=1e-5, what='loss')


def test_training_takes_the_steps_of_a_batch():
    """Image, noise and step arrive together; no others are drawn."""
    c = make_configs(
        dict(ch_mults=(1, 1), is_attn=(False, False), batch_size=8, steps=1, target='v')
    )
    training, seen = Training(c, torch.device('cpu')), []
    original = training.diffusion.losses

    def recorded(x0, t, eps, label):
        seen.append((x0, t, eps))
        return original(x0, t, eps, label)

    training.diffusion.losses = recorded
    x0, t = torch.rand(8, 1, 8, 8), torch.arange(8)
    eps = torch.randn(8, 1, 8, 8)
    step = next(training.steps([(x0, t * 0, eps, t)]))
    assert torch.equal(step.t, t)
    for found, given in zip(seen[0], (x0, t, eps), strict=True):
        assert torch.equal(found, given)
    # A batch with noise alone gets steps of its own
    assert not torch.equal(next(training.steps(coupled(x0, eps, 8))).t, t)


# ## Halving
@pytest.mark.parametrize(('t', 'm', 's'), [(999, 499, -1), (499, 249, 124), (124, 61, -1)])
def test_one_step_ends_where_the_two_have_ended(teacher, t, m, s):
    """One step of the DDIM of the samplers, with the aim as its guess."""
    xt = teacher.q_sample(images(), level(t))
    xs = ddim_step(teacher, ddim_step(teacher, xt, level(t), level(m)), level(m), level(s))
    x = aim(teacher, xt, xs, level(t), level(s))
    student = around(teacher, lambda xt, at: (xt - shares_of(teacher, at)[0] * x)
                     / shares_of(teacher, at)[1])  # fmt: skip
    sampler = DDIM(student, 2, clip_x0=False)
    sampler.tau = [s, t]
    if s < 0:
        sampler.n_steps, sampler.tau = 1, [t]
    found = next(sampler.chain(xt, None))[1]
    agree(found, xs, atol=1e-4, what='end of one step, and of two')


def shares_of(diffusion, t):
    return shares(diffusion, t, 4)


def test_a_step_is_ddims(teacher):
    """Of images at different steps, one by one against the sampler."""
    t, s = torch.tensor([999, 499, 249, 61]), torch.tensor([749, 124, 0, -1])
    xt = teacher.q_sample(images(4), t)
    found = ddim_step(teacher, xt, t, s)
    for i in range(4):
        sampler = DDIM(teacher, 2)
        sampler.tau = [int(s[i]), int(t[i])]
        if s[i] < 0:
            sampler.n_steps, sampler.tau = 1, [int(t[i])]
        one = next(sampler.chain(xt[i : i + 1], None))[1]
        agree(found[i : i + 1], one, atol=1e-5, what='a step of DDIM')


def test_the_aim_is_a_mean_of_two_guesses(teacher):
    t, m, s = level(499), level(374), level(249)
    xt = teacher.q_sample(images(), t)
    xm = ddim_step(teacher, xt, t, m)
    first = teacher.guess(xt, t)[1].clamp(-1, 1)
    second = teacher.guess(xm, m)[1].clamp(-1, 1)
    (a_t, s_t), (a_m, s_m), (a_s, s_s) = (shares_of(teacher, k) for k in (t, m, s))
    g_tm, g_ms = a_m - s_m / s_t * a_t, a_s - s_s / s_m * a_m
    w = s_s / s_m * g_tm
    xs = ddim_step(teacher, xm, m, s)
    found = aim(teacher, xt, xs, t, s)
    agree(found, (w * first + g_ms * second) / (w + g_ms), atol=1e-4, what='aim')
    assert float(w.min()) > 0
    assert float(g_ms.min()) > 0
    assert float(found.abs().max()) <= 1 + 1e-4


def test_the_students_steps_are_among_the_teachers():
    for n_steps in (1000, 999, 37):
        for calls in range(1, n_steps // 2 + 1):
            whole = spaced('trailing', 2 * calls, n_steps)
            assert spaced('trailing', calls, n_steps) == whole[1::2]
    assert learned('progressive', 4, T) == [249, 499, 749, 999]
    assert set(spaced('trailing', 4, T)) < set(learned('consistency', 4, T))
    assert len(learned('consistency', 1, T)) == GRID
    assert learned('reflow', 1, T) == list(range(T))


class Perfect:
    """A student that says what its lessons say, which are taken from the batches themselves."""

    def __init__(self, teacher, calls):
        self.teacher, self.calls = teacher, calls
        self.levels = [-1, *spaced('trailing', 2 * calls, teacher.n_steps)]

    def __call__(self, xt, t):
        i = self.levels.index(int(t[0]))
        teacher, m, s = self.teacher, level(self.levels[i - 1], len(xt)), self.levels[i - 2]
        s = level(s, len(xt))
        xs = ddim_step(teacher, ddim_step(teacher, xt, t, m), m, s)
        a, sigma = shares_of(teacher, t)
        return (xt - a * aim(teacher, xt, xs, t, s)) / sigma


def test_perfect_students_draw_what_the_first_teacher_draws(teacher):
    student = teacher
    for calls in (4, 2, 1):
        student = around(teacher, Perfect(student, calls))
    found = DDIM(student, 1).sample(SHAPE, seed=3)
    # The chain of eight noises: rounding of a guess at t = T is 157 times as large
    agree(found, DDIM(teacher, 8).sample(SHAPE, seed=3), atol=1e-3, what='one step, and eight')


@pytest.mark.parametrize(('n', 'left'), [(1, 0.15), (64, 0.021), (1000, 0.0016)])
def test_the_end_of_the_ode_of_a_gaussian(n, left):
    """What is missing falls with the steps; the numbers are of a chain of slopes."""
    diffusion = guessing(exact_mean)
    xT = torch.randn(64, 1, 2, 2, generator=torch.Generator().manual_seed(1)).double()
    a, s = shares_of(diffusion, level(T - 1, 64))
    found = DDIM(diffusion, n, clip_x0=False).sample(xT)
    error = float((found - exact_end(xT, a, s)).pow(2).mean() ** 0.5)
    agree(error, left, rtol=0.2, atol=0, what='distance from the end')


def test_progressive_lessons_are_those_of_algorithm_2(teacher):
    """From the batch: the noisy image, and there two steps of the teacher."""
    torch.manual_seed(0)
    x, label, eps, t = next(progressive(teacher, 4, data(64)))
    levels = [-1, *spaced('trailing', 8, T)]
    assert set(t.tolist()) == set(levels[2::2])
    assert torch.equal(label, torch.zeros(64, dtype=torch.int64))
    xt = teacher.q_sample(x, t, eps)
    below = torch.tensor([[levels[levels.index(k) - j] for j in (1, 2)] for k in t.tolist()])
    middle = ddim_step(teacher, xt, t, below[:, 0])
    xs = ddim_step(teacher, middle, below[:, 0], below[:, 1])
    agree(aim(teacher, xt, xs, t, below[:, 1]), x, atol=2e-3, what='aim')
    # The noisy images are those of the data: the pairs add up to them
    agree(xt.std(), 0.9, atol=0.15, what='deviation of the noisy images')


def test_how_large_an_error_of_the_output_becomes():
    a, s = (float(c) for c in ((1 - linear(T)).prod() ** 0.5, (1 - (1 - linear(T)).prod()) ** 0.5))
    # $\sigma/D$
    assert round(s / TARGETS['eps'].det(a, s)) == 157
    assert s / abs(TARGETS['v'].det(a, s)) < 1
    assert s / TARGETS['u'].det(a, s) < 1


# ## To the end at once
@pytest.mark.parametrize('t', [100, 500, 999])
def test_the_consistency_function_of_a_gaussian(t):
    diffusion = guessing(exact_end)
    torch.manual_seed(2)
    x0 = (M + C * torch.randn(8, 1, 2, 2)).double()
    xt = diffusion.q_sample(x0, level(t), torch.randn_like(x0))
    here = shares_of(diffusion, level(t))
    found = end(diffusion, xt, level(t))
    for s in (t - 100, t // 2, -1):
        there = shares_of(diffusion, level(s))
        xs = exact_flow(xt, *here, *there)
        agree(end(diffusion, xs, level(s)), found, atol=1e-6, what='the same all along the way')
    assert torch.equal(end(diffusion, x0, level(-1)), x0)


def loss_of(teacher, student, grid, n=4096):
    """The squared error of the image in the lessons of consistency distillation."""
    torch.manual_seed(3)
    batch = (M + C * torch.randn(n, 1, 1, 1)).double(), torch.zeros(n, dtype=torch.int64)
    x, _, eps, t = next(consistency(teacher, student, [batch], grid))
    xt = student.q_sample(x, t, eps)
    return float((student.guess(xt, t)[1] - x).pow(2).mean())


def test_the_loss_is_zero_where_the_teacher_ends():
    """A student that runs the teacher's own chain to its end."""
    teacher = guessing(exact_mean)
    levels = [-1, *spaced('trailing', GRID, T)]

    def ending(xt, t):
        a, s = shares_of(teacher, t)
        # A student is asked at 0 where the image itself is meant, and not listened to
        x, at = xt, torch.where(t == 0, -1, t)
        while bool((at >= 0).any()):
            below = torch.tensor([levels[max(levels.index(int(k)) - 1, 0)] for k in at])
            moved = ddim_step(teacher, x, at.clamp(min=0), below)
            x = torch.where((at >= 0).reshape(-1, 1, 1, 1), moved, x)
            at = below
        return (a * xt - x) / s

    assert loss_of(teacher, around(teacher, ending), GRID, n=64) < 1e-12
    assert loss_of(teacher, teacher, GRID, n=64) > 1e-6


def test_the_true_function_loses_what_the_steps_lose():
    teacher, student = guessing(exact_mean), guessing(exact_end)
    found = [loss_of(teacher, student, grid) for grid in (125, 250, 500)]
    falls = [a / b for a, b in itertools.pairwise(found)]
    assert found[0] < 1e-6
    agree(falls, [12.5, 11.5], atol=3.0, what='fall of the loss')


@pytest.mark.parametrize('name', TARGETS)
def test_the_guess_is_a_skip_and_an_output(name):
    target = TARGETS[name]
    a, s = torch.tensor(0.8, dtype=torch.float64), torch.tensor(0.6, dtype=torch.float64)
    xt, y = torch.randn(2, 50, dtype=torch.float64).unbind()
    A, _ = target.mix(a, s)
    c_skip, c_out = A / target.det(a, s), -s / target.det(a, s)
    agree(c_skip * xt + c_out * y, target.to_x0(xt, y, a, s), atol=1e-12, what='guess')


@pytest.mark.parametrize(('name', 'is_built_in'), [('eps', 1), ('v', 1), ('u', 1), ('x0', 0)])
def test_the_condition_at_the_image(name, is_built_in):
    """Exactly: where a = 1 and s = 0, whatever the network says."""
    target, one, zero = TARGETS[name], torch.tensor(1.0), torch.tensor(0.0)
    x, y = torch.randn(2, 50).unbind()
    if is_built_in:
        assert torch.equal(target.to_x0(x, y, one, zero), x)
    else:
        # Towards the image: all of the output, and nothing of x
        small = torch.tensor(1e-4)
        agree(target.to_x0(x, y, one, small), y, atol=1e-3, what='the output alone')


@pytest.mark.parametrize('bar_sigma', [0.01, 0.5, 3.0, 80.0])
def test_v_is_the_papers_choice(bar_sigma):
    """Song et al. 2023, eq. 5 and appendix C, with sigma_data = 1 and epsilon = 0."""
    a, s = 1 / math.hypot(1, bar_sigma), bar_sigma / math.hypot(1, bar_sigma)
    target = TARGETS['v']
    A, _ = target.mix(a, s)
    # Ours takes x, and theirs x/a
    agree(A / target.det(a, s) * a, 1 / (bar_sigma**2 + 1), atol=1e-9, what='c_skip')
    expected = -bar_sigma / math.sqrt(bar_sigma**2 + 1)
    agree(-s / target.det(a, s), expected, atol=1e-9, what='c_out')


def test_consistency_lessons_ask_the_student_one_step_on(teacher):
    student = TargetedDiffusion(lambda xt, t: 0.1 * xt, T, target='v')
    torch.manual_seed(0)
    x, _, eps, t = next(consistency(teacher, student, data(64), 8))
    levels = [-1, *spaced('trailing', 8, T)]
    assert set(t.tolist()) == set(levels[1:])
    xt = teacher.q_sample(x, t, eps)
    s = torch.tensor([levels[levels.index(k) - 1] for k in t.tolist()])
    agree(end(student, ddim_step(teacher, xt, t, s), s), x, atol=2e-3, what='lesson')


def test_straight_lines_end_too():
    """A schedule that leaves nothing of the image has lessons at its last step."""
    beta = straight(T)
    teacher = TargetedDiffusion(lambda xt, t: 0.5 * xt, T, target='u', beta=beta)
    for batch in (
        next(progressive(teacher, 1, data(4))),
        next(consistency(teacher, teacher, data(512), 4)),
    ):
        assert all(bool(torch.isfinite(part.float()).all()) for part in batch)


def test_methods_have_samplers():
    assert all(method.sampler in SAMPLERS for method in METHODS.values())
    assert float(gather(torch.ones(3), torch.tensor([2]), 2)) == 1
