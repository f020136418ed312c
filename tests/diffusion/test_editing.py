"""Edits and inpainting: closed forms of two pixels, known pixels, the walk, diffusers."""

import math

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.utils import SeededNoise
from labml_nn.diffusion.editing import Edit, Inpaint, descents, nearest_start
from labml_nn.diffusion.samplers import SAMPLERS, make_sampler
from tests.kit.close import agree, record
from tests.kit.models import model
from tests.kit.pair import filled, in_the_limit, way
from tests.kit.peers import diffusers

every_sampler = pytest.mark.parametrize('name', sorted(SAMPLERS))
SHAPE = (3, 1, 4, 4)
X0 = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0)) * 2 - 1
# The lower half
ANEW = (torch.arange(4) >= 2)[:, None].expand(4, 4)


@pytest.fixture
def diffusion():
    return DenoiseDiffusion(model, 1000)


def recorded(diffusion):
    """What the model is asked: a list of steps, and of images."""
    asked = []

    def eps_model(xt, t):
        asked.append((int(t[0]), xt.clone()))
        return model(xt, t)

    diffusion.eps_model = eps_model
    return asked


# ## What samplers have for it


@every_sampler
def test_a_chain_goes_on_from_what_is_written(diffusion, name):
    """The next step begins at what was written into the image, whatever it was."""
    asked = recorded(diffusion)
    sampler = make_sampler(name, diffusion, 8)
    xt, noise = sampler.start(SHAPE, 1)
    for k, (_, xt, _) in enumerate(sampler.chain(xt, noise)):
        if k == 4:
            written = torch.full_like(xt, 0.25)
            xt.copy_(written)
            del asked[:]
    agree(asked[0][1], written, atol=0, what=f'{name}: what the model is asked about next')


@every_sampler
@pytest.mark.parametrize('left', [1, 3, 8])
def test_the_last_steps_are_a_way_back_of_their_own(diffusion, name, left):
    asked = recorded(diffusion)
    whole = make_sampler(name, diffusion, 8)
    part = whole.below(left)
    chain = list(part.chain(*part.start(SHAPE, 1)))
    assert [t for t, _, _ in chain] == whole.tau[:left][::-1]
    assert asked[0][0] == whole.tau[left - 1]
    assert len(asked) == part.n_calls
    assert (whole.n_steps, whole.short.n_steps, len(whole.tau)) == (8, 8, 8)


@pytest.mark.parametrize(('name', 'options'), [('ddpm', {}), ('ddim', {'eta': 0.7}), ('heun', {})])
def test_without_memory_they_are_the_end_of_the_whole(diffusion, name, options):
    whole = make_sampler(name, diffusion, 8, **options)
    xt, noise = whole.start(SHAPE, 1)
    chain = whole.chain(xt, noise)
    for _ in range(5):
        _, xt, _ = next(chain)
    *_, (_, image, _) = whole.below(3).chain(xt.clone(), noise)
    assert torch.equal(image, whole.sample(SHAPE, 1))


def test_all_steps_of_ancestral_keep_their_variance(diffusion):
    """Some of all steps are not the same as few steps: the variance stays that of the run."""
    part = make_sampler('ddpm', diffusion).below(10)
    assert torch.equal(part.short.sigma2, diffusion.sigma2)


def test_a_way_back_has_no_more_steps_than_it_has(diffusion):
    sampler = make_sampler('ddim', diffusion, 8)
    for n in (0, 9):
        with pytest.raises(ValueError, match=f'n_steps={n}: use 1 to 8 steps'):
            sampler.below(n)


def test_up_again_is_the_forward_process(diffusion):
    """Step by step, by the betas: mean and variance of q(x_t|x_s), from the image too."""
    sampler = make_sampler('ddim', diffusion, 20)
    beta = diffusion.beta.double()
    zero, one = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    for s, t in ((-1, 0), (-1, 999), (0, 1), (30, 31), (49, 99), (500, 980)):
        mean, variance = one, zero
        for b in beta[s + 1 : t + 1]:
            mean, variance = (1 - b) ** 0.5 * mean, (1 - b) * variance + b
        what = f'from {s} to {t}'
        agree(sampler.noised(one, s, t, zero), mean, atol=1e-6, what=f'mean, {what}')
        spread = sampler.noised(zero, s, t, one)
        agree(spread, variance**0.5, atol=0, rtol=1e-4, what=f'deviation, {what}')
    assert torch.equal(sampler.noised(X0, 99, 99, X0), X0)
    assert torch.equal(sampler.noised(X0, -1, -1, X0), X0)


# ## SDEdit


@every_sampler
def test_an_edit_is_noise_and_the_way_back(diffusion, name):
    """The model is first asked at the step, and about what q makes of the image there."""
    asked = recorded(diffusion)
    sampler = make_sampler(name, diffusion, 20)
    image = Edit(sampler, 7).sample(X0, seed=5)
    t, xt = asked[0]
    assert t == sampler.tau[6]
    eps = SeededNoise(3, 5)(SHAPE, 'cpu')
    expected = diffusion.q_sample(X0, torch.full((3,), t), eps)
    agree(xt, expected, atol=1e-6, what=f'{name}: where the way back begins')
    part = sampler.below(7)
    noise = SeededNoise(3, 5)
    noise(SHAPE, 'cpu')
    *_, (_, back, _) = part.chain(xt, noise)
    agree(image, back, atol=1e-6, what=f'{name}: where it ends')


def test_no_steps_return_the_image(diffusion):
    image = Edit(make_sampler('ddim', diffusion, 20), 0).sample(X0)
    agree(image, X0, atol=0, what='the image')


@every_sampler
def test_from_the_end_it_is_plain_sampling(diffusion, name):
    """From the same noise, beside which 0.6 % of the image are left."""
    asked = recorded(diffusion)
    sampler = make_sampler(name, diffusion, 20)
    Edit(sampler, 20).sample(X0, seed=5)
    begun = asked[0][1]
    asked.clear()
    plain = sampler.sample(SHAPE, seed=5)
    agree(begun, asked[0][1] + 0.00635 * X0, atol=2e-4, what=f'{name}: where both begin')
    grey = Edit(sampler, 20).sample(torch.zeros(SHAPE), seed=5)
    agree(grey, plain, atol=0.005, what=f'{name}: an edit of a grey image, and a sample')


def test_more_steps_keep_less(diffusion):
    sampler = make_sampler('ddim', diffusion, 20)
    far = [float((Edit(sampler, n).sample(X0) - X0).square().mean()) for n in (0, 4, 12, 20)]
    assert far == sorted(far)
    assert far[0] == 0 < far[1]


@pytest.mark.parametrize(('t', 'left'), [(0, 0), (1, 1), (30, 1), (74, 1), (76, 2), (1000, 20)])
def test_the_nearest_step_is_meant(diffusion, t, left):
    assert nearest_start(make_sampler('ddim', diffusion, 20), t) == left


# ## Inpainting


def test_known_pixels_are_noised_as_far_as_the_chain_is(diffusion):
    """sqrt(alpha_bar) x_0, and noise of deviation sqrt(1 - alpha_bar), of its own at every step."""
    sampler = make_sampler('ddim', diffusion, 10)
    x0 = torch.full((1, 1, 100, 100), 0.7)
    anew = torch.zeros(100, 100, dtype=torch.bool)
    anew[0, 0] = True
    before = None
    for k, (_, xt, _) in enumerate(Inpaint(sampler).chain(x0, anew, seed=2)):
        s = sampler.before(9 - k)
        a = float(diffusion.alpha_bar[s]) if s >= 0 else 1.0
        known = xt[0, 0, 1:]
        agree(float(known.mean()), a**0.5 * 0.7, atol=0.04, what='mean of the known pixels')
        agree(float(known.std()), (1 - a) ** 0.5, atol=0.03, what='their deviation')
        if before is not None and s >= 0:
            together = torch.stack([before.flatten(), known.flatten()]).corrcoef()[0, 1]
            agree(float(together), 0.0, atol=0.05, what='correlation with those of the step before')
        before = known.clone()


@every_sampler
@pytest.mark.parametrize(('jump', 'resamplings'), [(1, 1), (3, 2)])
def test_known_pixels_are_kept_to_the_last_bit(diffusion, name, jump, resamplings):
    inpaint = Inpaint(make_sampler(name, diffusion, 10), jump, resamplings)
    image = inpaint.sample(X0, ANEW, seed=3)
    agree(image[..., :2, :], X0[..., :2, :], atol=0, what=f'{name}: the known pixels')
    assert not torch.allclose(image[..., 2:, :], X0[..., 2:, :], atol=0.05)
    # What was in the hole plays no part
    other = torch.where(ANEW, -X0, X0)
    assert torch.equal(inpaint.sample(other, ANEW, seed=3), image)


@every_sampler
def test_same_seed_and_place_same_image(diffusion, name):
    sampler = make_sampler(name, diffusion, 10)
    for editor, more in ((Edit(sampler, 6), ()), (Inpaint(sampler, 2, 3), (ANEW,))):
        whole = editor.sample(X0, *more, seed=7)
        alone = editor.sample(X0[2:], *more, seed=7, first=2)
        agree(alone, whole[2:], atol=1e-5, what=f'{name}: picture 2 alone, and in the set')
        assert not torch.equal(whole, editor.sample(X0, *more, seed=8))


@every_sampler
def test_one_resampling_is_replacement(diffusion, name):
    """Replacement written out: one chain, and the known pixels overwritten after each step."""
    sampler = make_sampler(name, diffusion, 10)
    xt, noise = sampler.start(SHAPE, 4)
    by_hand = []
    for k, (_, xt, _) in enumerate(sampler.chain(xt, noise)):
        s = sampler.before(9 - k)
        if s >= 0:
            a, var = float(diffusion.alpha_bar[s]), float(diffusion.one_minus_alpha_bar[s])
            xt[..., :2, :] = (a**0.5 * X0 + var**0.5 * noise(SHAPE, 'cpu'))[..., :2, :]
        else:
            xt[..., :2, :] = X0[..., :2, :]
        by_hand.append(xt.clone())
    for jump in (1, 4):
        chain = Inpaint(sampler, jump, 1).chain(X0, ANEW, seed=4)
        found = torch.stack([xt.clone() for _, xt, _ in chain])
        what = f'{name}: RePaint with one resampling, and replacement, along the chain'
        agree(found, torch.stack(by_hand), atol=1e-6, what=what)
    assert torch.equal(found[-1], Inpaint(sampler).sample(X0, ANEW, seed=4))


# ## Two pixels in closed form


@pytest.mark.parametrize('rho', [0.1, 0.5, 0.9])
def test_replacement_on_a_gaussian_in_closed_form(rho):
    mean, variance = filled(Inpaint(way(rho, 'ddpm')))
    agree(mean, (1 - (1 - rho**2) ** 0.5) / rho, atol=0.002, what=f'mean, rho = {rho}')
    agree(variance, (1 - rho**2) * math.atanh(rho) / rho, atol=0.003, what=f'variance, rho = {rho}')


def test_numbers_of_replacement():
    mean, variance = filled(Inpaint(way(0.9, 'ddpm')))
    agree(mean, 0.63, atol=0.005, what='mean, instead of 0.9')
    agree(variance, 0.31, atol=0.005, what='variance, instead of 0.19')


def test_without_noise_it_goes_a_third_of_the_way():
    mean, _ = filled(Inpaint(way(0.1, 'ddim', 1000)))
    agree(mean / 0.1, 1 / 3, atol=0.005, what='share of the way')


@pytest.mark.parametrize('resamplings', [1, 2, 3])
def test_resampling_on_a_gaussian_in_closed_form(resamplings):
    sampler = way(0.9, 'ddpm', 300, variance='beta')
    mean, variance = filled(Inpaint(sampler, 1, resamplings))
    expected = in_the_limit(0.9, resamplings)
    agree(mean, expected[0], atol=0.006, what=f'mean, U = {resamplings}')
    agree(variance, expected[1], atol=0.012, what=f'variance, U = {resamplings}')


def test_what_is_missing_falls_with_the_resamplings():
    """The share of the way that is missing, for a small correlation; U times the calls."""
    missing = []
    for U in (1, 2, 4, 8):
        inpaint = Inpaint(way(0.1, 'ddpm', 100), 1, U)
        mean, _ = filled(inpaint)
        missing.append(1 - mean / 0.1)
        agree(missing[-1], 1 / (U + 1), atol=0.012, what=f'missing, U = {U}')
        assert inpaint.n_steps == 100 + 99 * (U - 1)
    record('missing with 1, 2, 4 and 8 resamplings', [round(x, 3) for x in missing])
    assert missing == sorted(missing, reverse=True)


def test_many_resamplings_come_to_the_right_answer():
    """The conditional of a Gaussian, by a formula of its own: from the precision of the pair."""
    precision = torch.linalg.inv(torch.tensor([[1, 0.9], [0.9, 1]], dtype=torch.float64))
    variance = 1 / float(precision[1, 1])
    mean = -float(precision[1, 0]) * variance
    found = in_the_limit(0.9, 400)
    agree(found, (mean, variance), atol=0.001, what='mean and variance of small steps')
    agree((mean, variance), (0.9, 1 - 0.9**2), atol=1e-9, what='the conditional, and its formula')


@pytest.mark.parametrize('rho', [0.1, 0.5, 0.9])
def test_the_mean_solves_its_equation(rho):
    """Both sides of the equation, and what the chain of the package has for a mean on its way."""
    u = torch.linspace(0.01, 0.99, 50, dtype=torch.float64, requires_grad=True)
    m = (1 - (1 - rho**2 * u**2) ** 0.5) / (rho * u**0.5)
    (slope,) = torch.autograd.grad(m.sum(), u)
    right = m / (2 * u) - (m - u**1.5 * rho) / (u * (1 - rho**2 * u**2))
    agree(slope, right, atol=1e-9, what='both sides of the equation')
    inpaint = Inpaint(way(rho, 'ddpm'))
    inpaint.sampler.start = lambda shape, seed, *, first: (torch.zeros(shape), still)
    alpha_bar = inpaint.sampler.diffusion.alpha_bar.tolist()
    for t, xt, _ in inpaint.chain(torch.tensor([[1.0, 0.0]]), torch.tensor([False, True])):
        if t % 100 == 1:
            u = alpha_bar[t - 1]
            expected = (1 - (1 - rho**2 * u**2) ** 0.5) / (rho * u**0.5)
            agree(float(xt[0, 1]), expected, atol=0.003, what=f'mean on the way, rho = {rho}')


def still(shape, device):
    """No noise at all: what comes out of linear steps is the mean."""
    return torch.zeros(shape)


# ## The walk


def by_the_paper(T, U):
    """Algorithm 1: the steps left after each line that moves the chain."""
    walk = [T]
    for t in range(T, 0, -1):
        for u in range(1, U + 1):
            walk.append(t - 1)
            if u < U and t > 1:
                walk.append(t)
            elif t == 1:
                break
    return walk


def walked(n_steps, jump, resamplings):
    """The same of our walk."""
    walk = []
    for start, end in descents(n_steps, jump, resamplings):
        # Up again one at a time
        walk += range(walk[-1] + 1 if walk else start, start + 1)
        walk += range(start - 1, end - 1, -1)
    return walk


@pytest.mark.parametrize(('T', 'U'), [(1, 1), (2, 1), (2, 3), (5, 1), (5, 2), (7, 4)])
def test_the_walk_is_that_of_the_paper(T, U):
    found, expected = walked(T, 1, U), by_the_paper(T, U)
    agree(found, expected, atol=0, what=f'steps left, T = {T}, U = {U}')


def test_longer_jumps_by_hand():
    assert list(descents(10, 4, 1)) == [(10, 0)]
    # From 1 and from 5 there is room for four steps up
    assert list(descents(10, 4, 2)) == [(10, 5), (9, 1), (5, 0)]
    assert list(descents(10, 4, 3)) == [(10, 5), (9, 5), (9, 1), (5, 1), (5, 0)]
    assert Inpaint(way(0.5, 'ddim', 10), 4, 3).n_steps == 5 + 4 + 8 + 4 + 5


@pytest.mark.parametrize(('n', 'jump', 'resamplings'), [(10, 3, 2), (11, 4, 3), (9, 2, 5)])
def test_the_walk_of_diffusers_is_a_step_lower(n, jump, resamplings):
    """Theirs reaches the image and goes up again: ours is that of one step more, without the last.

    Their list says after each step, up or down, how many are left.
    """
    scheduler = diffusers().RePaintScheduler(num_train_timesteps=n)
    scheduler.set_timesteps(n, jump, resamplings)
    theirs = [n, *scheduler.timesteps.tolist()]
    ours = walked(n + 1, jump, resamplings)
    found, expected = ours[:-1], [left + 1 for left in theirs]
    agree(found, expected, atol=0, what='steps left, ours one step higher')


class Twice:
    """Noise of which each number is drawn for two calls, as theirs is used twice in a step."""

    def __init__(self, draws):
        self.draws = draws

    def __call__(self, shape, device):
        return next(self.draws)


@pytest.mark.parametrize('eta', [0.0, 1.0])
def test_steps_of_diffusers(eta):
    """Their steps down and up along our walk, on the same noise.

    > They use the noise of a step twice, for the known pixels and for the others; we draw anew.
    """
    n, jump, resamplings = 30, 1, 3
    beta = torch.linspace(1e-3, 0.4, n, dtype=torch.float64)
    alpha_bar = (1 - beta).cumprod(0).float()
    diffusion = DenoiseDiffusion(None, n, beta=beta)

    def eps_model(xt, t):
        var = 1 - alpha_bar[t].reshape(-1, 1, 1, 1)
        return var**0.5 * xt + 0.1 * torch.sin(2 * xt)

    diffusion.eps_model = eps_model
    theirs = diffusers().RePaintScheduler(
        num_train_timesteps=n, trained_betas=beta.float().numpy(), eta=eta, clip_sample=False
    )
    theirs.set_timesteps(n, jump, resamplings)
    generator = torch.Generator().manual_seed(0)
    x, ours = torch.randn(SHAPE, generator=generator), []
    first, keep = x, (~ANEW).float()
    left = n
    for after in walked(n, jump, resamplings)[1:]:
        state = torch.Generator().manual_seed(len(ours))
        z = torch.randn(SHAPE, generator=torch.Generator().manual_seed(len(ours)))
        # Ours draws for the others if eta is not 0, then for the known ones, which at the end need
        # none; theirs once for both
        if after < left:
            t = left - 1
            eps = eps_model(x, torch.full((3,), t))
            x = theirs.step(eps, t, x, X0, keep, generator=state).prev_sample
        else:
            x = theirs.undo_step(x, left, generator=state)
        twice = after < left and eta > 0 and after > 0
        ours += [z, z] if twice else [z]
        left = after
    sampler = make_sampler('ddim', diffusion, n, eta=eta, clip_x0=False)
    noise = Twice(iter(ours))
    sampler.start = lambda shape, seed, *, first: (begun, noise)
    begun = first
    found = Inpaint(sampler, jump, resamplings).sample(X0, ANEW)
    agree(found, x, atol=1e-4, what=f'image after the whole walk, eta = {eta:g}')


# ## Refused


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'jump': 0}, 'jump=0: need at least 1'),
        ({'resamplings': 0}, 'resamplings=0: need at least 1'),
        (
            {'jump': 10, 'resamplings': 2},
            'jump=10: the chain has 10 steps, so a jump has at most',
        ),
    ],
)
def test_walks_that_are_none(diffusion, options, message):
    with pytest.raises(ValueError, match=message):
        Inpaint(make_sampler('ddim', diffusion, 10), **options)


def test_edits_that_are_none(diffusion):
    sampler = make_sampler('ddim', diffusion, 10)
    for n in (-1, 11):
        with pytest.raises(ValueError, match=f'n_steps={n}: the sampler has 10 steps'):
            Edit(sampler, n)
    for t in (-1, 1001):
        with pytest.raises(ValueError, match=f'from={t}: it counts the steps of noise, from 0 to'):
            nearest_start(sampler, t)


@pytest.mark.parametrize(
    ('mask', 'message'),
    [
        (ANEW.float(), 'the mask has the type torch.float32: need true'),
        (ANEW[:3], r'the mask has shape \[3, 4\], the images have \[3, 1, 4, 4\]'),
        (ANEW.expand(2, 3, 1, 4, 4), r'the mask has shape \[2, 3, 1, 4, 4\], the images have'),
        (torch.zeros(4, 4, dtype=torch.bool), 'there is nothing to be made anew'),
    ],
)
def test_masks_that_are_none(diffusion, mask, message):
    with pytest.raises(ValueError, match=message):
        Inpaint(make_sampler('ddim', diffusion, 10)).sample(X0, mask)
