"""`evaluate check`: each trouble, provoked, is named; and what is well is left alone."""

import math
import re
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from labml_nn.data.datasets import Images, load_dataset
from labml_nn.diffusion.ddpm import DenoiseDiffusion, check, gather
from labml_nn.diffusion.ddpm.check import (
    TROUBLES,
    Finding,
    broken,
    by_chance,
    copies,
    examine,
    far,
    filter_loss,
    look,
    losses,
    nearest,
    spectrum,
    surprise,
)
from labml_nn.diffusion.ddpm.metrics import spread_out
from labml_nn.diffusion.guidance import Guided
from tests.kit.close import agree


@pytest.fixture(scope='module')
def digits():
    """All digits in [-1, 1], and the set."""
    data = load_dataset('digits', image_size=8, image_channels=1)
    return torch.stack([data[i][0] for i in range(len(data))]), data


def verdicts(findings):
    return {f.verdict for f in findings if f.verdict}


def blurred(x):
    return torch.nn.functional.avg_pool2d(x, 3, stride=1, padding=1)


# ## What one can see


def test_other_images_of_the_same_data_are_well(digits):
    x, _ = digits
    assert verdicts(look(x[:128], x[900:1028])) == set()
    # As few as one would look at
    assert verdicts(look(x[:32], x[900:932])) == set()


@pytest.mark.parametrize(
    ('change', 'verdict'),
    [
        (lambda x: torch.randn_like(x).clamp(-1, 1), 'noise'),
        (lambda x: (x + 0.4).clamp(-1, 1), 'too bright'),
        (lambda x: (x - 0.4).clamp(-1, 1), 'too dark'),
        (lambda x: torch.full_like(x, -1), 'too dark'),
        (lambda x: torch.full_like(x, -0.39), 'pale, or one colour'),
        (lambda x: x * 0.5 - 0.2, 'pale, or one colour'),
        (lambda x: blurred(blurred(x)), 'blurry'),
        (lambda x: x[:1].expand_as(x) + 0.05 * torch.randn_like(x), 'too alike'),
        (lambda x: torch.where(x > -0.4, 1.0, -1.0), 'black and white'),
    ],
)
def test_what_is_wrong_is_named(digits, change, verdict):
    x, _ = digits
    assert verdict in verdicts(look(change(x[:128]), x[900:1028]))


def test_a_tint_is_named_by_channel():
    data = torch.rand(64, 3, 8, 8) - 0.5
    tinted = torch.rand(64, 3, 8, 8) - 0.5 + torch.tensor([0.3, 0.0, -0.2])[:, None, None]
    found = {f.what: f.verdict for f in look(tinted, data) if f.verdict}
    assert found == {
        'channel 0, mean': 'tinted, too bright',
        'channel 2, mean': 'tinted, too dark',
    }


def test_a_finding_is_a_line():
    assert str(Finding('x', 0.5, 0.25)).split() == ['x', '0.5000', '0.2500', 'ok']
    assert str(Finding('x', 0.5, 0.25, 'noise')).endswith('← noise')


# ## Copies


def test_the_nearest_image_is_found(digits):
    x, data = digits
    distance, found = nearest((x[[3, 700]] + 0.01), data)
    assert torch.equal(found, x[[3, 700]])
    assert distance.tolist() == pytest.approx([0.01, 0.01], rel=1e-4)


def test_an_image_is_not_its_own_nearest(digits):
    x, data = digits
    at = spread_out(len(data), 20)
    distance, found = nearest(x[list(at)], data, itself=at)
    d = torch.cdist(x[list(at)].flatten(1).double(), x.flatten(1).double()) / 8
    d[torch.arange(20), list(at)] = math.inf
    torch.testing.assert_close(distance, d.min(dim=1).values)
    assert bool((distance > 0).all())


@pytest.mark.parametrize(
    ('change', 'verdict'),
    [
        (lambda x: x, ''),
        (lambda x: x + 0.4 * torch.randn_like(x), 'noise'),
        (lambda x: torch.randn_like(x), 'noise'),
    ],
)
def test_images_like_none_are_named(digits, change, verdict):
    """Half of the digits, changed, against the other half; the other half among themselves."""
    x, data = digits
    rest = Images('rest', data.images[1::2], levels=17)
    own, _ = nearest(change(x[::2][:100]), rest)
    among, _ = nearest(x[1::2][:100], rest, itself=range(100))
    assert far(own, among).verdict == verdict
    assert copies(own, among).verdict == ''


@pytest.mark.parametrize('share', [0.15, 0.5, 1.0])
def test_copies_are_named_though_most_samples_are_none(digits, share):
    """Samples that are other digits, except for a share of copies with noise, all mirrored."""
    x, data = digits
    known = Images('known', data.images[::2], levels=17)
    samples = x[1::2][:128].clone()
    n = round(share * len(samples))
    samples[:n] = (x[::2][300 : 300 + n] + 0.05 * torch.randn(n, 1, 8, 8)).flip(-1)
    at = spread_out(len(known), 128)
    among, _ = nearest(x[::2][list(at)], known, itself=at, flip=True)
    own, _ = nearest(samples, known)
    assert copies(own, among).verdict == ''
    own, _ = nearest(samples, known, flip=True)
    assert copies(own, among).verdict == 'copies of training images'
    # Which a median of all does not see
    assert far(own, among).verdict == ''


def test_a_mirrored_image_is_found_as_it_is_mirrored(digits):
    x, data = digits
    distance, found = nearest(x[[3]].flip(-1), data, flip=True)
    assert torch.equal(found, x[[3]].flip(-1))
    assert float(distance) == 0


@pytest.mark.parametrize(('share', 'verdict'), [(0.0, ''), (0.05, 'twins in the data')])
def test_twins_in_the_data_are_named_and_make_no_copies_of_samples(digits, share, verdict):
    x, data = digits
    half = data.images[::2]
    again = half[: round(share * len(half))].flip(-1)
    order = torch.randperm(len(half) + len(again), generator=torch.Generator().manual_seed(0))
    known = Images('twins', torch.cat([half, again])[order], levels=17)
    found, _ = examine(x[1::2][:256], known, flip=True)
    assert verdicts(found) == ({verdict} if verdict else set())


def test_images_that_differ_in_tint_alone_are_named(digits):
    x, _ = digits
    tint = 0.5 * torch.randn(128, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    tint -= tint.mean()
    found = verdicts(look((x[:128] + tint).clamp(-1, 1), x[900:1028]))
    assert 'each has a tint of its own' in found


@pytest.mark.parametrize(('n', 'many'), [(10, 3), (3, 10), (1797, 128), (7, 7)])
def test_indices_from_all_over(n, many):
    at = spread_out(n, many)
    assert len(at) == min(n, many)
    assert max(at) < n


# ## Single samples that are broken


@pytest.mark.parametrize(('k', 'n', 'm'), [(1, 3, 5), (2, 4, 6), (3, 6, 4), (5, 4, 9)])
def test_how_many_are_beyond_all_images_by_chance(k, n, m):
    """In all orders of n + m things: the share in which the first k are among the first n."""
    orders = [order[:k] for order in permutations(range(n + m), k)]
    share = sum(max(first) < n for first in orders) / len(orders)
    agree(by_chance(k, n, m), share, atol=1e-12, what='chance')


def test_one_sample_beyond_all_images_is_as_likely_as_one_more_image():
    """The share that is printed beside: that of a sample that is an image like the others."""
    for m in (1, 30, 1024):
        assert by_chance(1, 1, m) == pytest.approx(1 / (m + 1))


def filtered_digits(digits):
    """The best filter of the digits as a network: it knows how smooth they are."""
    x, _ = digits
    diffusion = DenoiseDiffusion(None, 1000)
    mean, best = x.mean(dim=0), best_filter(diffusion, spectrum(x))

    def eps_model(xt, t):
        return best(xt - gather(diffusion.alpha_bar, t) ** 0.5 * mean, t)

    return sampler_of(eps_model, diffusion)


def test_single_broken_samples_are_named_by_their_numbers(digits):
    x, data = digits
    known, samples = Images('known', data.images[::2], levels=17), x[1::2][:128].clone()
    sampler = filtered_digits(digits)
    found, worst = broken(sampler, samples, known)
    assert (found.verdict, worst) == ('', [])
    assert found.data == pytest.approx(1 / (len(known) + 1))
    # A board of black and white in a corner, sharper than any digit
    board = torch.tensor([[1.0, -1, 1], [-1, 1, -1], [1, -1, 1]])
    for i in (7, 20, 50, 51, 90):
        samples[i, 0, -3:, -3:] = board
    found, worst = broken(sampler, samples, known)
    assert found.verdict == 'single samples are broken'
    assert sorted(worst) == [7, 20, 50, 51, 90]
    assert found.samples == pytest.approx(5 / 128)
    errs, _ = surprise(sampler.diffusion, samples, x[::2])
    assert errs[worst].tolist() == sorted(errs.tolist(), reverse=True)[:5]


def test_one_that_is_odd_may_be_chance(digits):
    x, data = digits
    samples = x[:128].clone()
    samples[3] = -samples[3]
    found, worst = broken(filtered_digits(digits), samples, data)
    assert found.samples == pytest.approx(1 / 128)
    assert (found.verdict, worst) == ('', [])


def test_a_place_at_the_edge_counts_like_any_other(digits):
    """All of the error at a corner: its mean over the four pixels that are there is a quarter."""
    diffusion = DenoiseDiffusion(None, 1000)

    def off_at_a_corner(xt, t):
        # The images are zero, so that all of x_t is noise
        eps = xt / gather(diffusion.one_minus_alpha_bar, t) ** 0.5
        eps[..., -1, 0] += 1
        return eps

    diffusion.eps_model = off_at_a_corner
    images = torch.zeros(4, 1, 8, 8)
    for errs in surprise(diffusion, images, images[:2]):
        agree(errs, torch.full_like(errs, 64 / 4), atol=0, rtol=1e-4, what='error at the corner')


# ## What to do
@pytest.mark.parametrize(
    'verdict',
    ['too bright', 'too dark', 'tinted', 'pale, or one colour', 'black and white', 'blurry',
     'too alike', 'each has a tint of its own', 'noise', 'copies of training images',
     'twins in the data', 'single samples are broken', 'not learned'],
)  # fmt: skip
def test_each_verdict_is_found_on_the_page_of_troubles(verdict):
    source = Path(check.__file__).read_text(encoding='utf-8')
    assert verdict in source
    # Its words in any order: "One colour, or pale"
    page = TROUBLES.read_text(encoding='utf-8').lower()
    words = set(re.findall(r'\w+', verdict))
    heads = re.findall(r'^## .*$', page, re.M)
    assert f'*{verdict}*' in page or any(words <= set(re.findall(r'\w+', h)) for h in heads)


# ## Losses


def gaussian_images(n=4096, size=8):
    """Images whose statistics are the same everywhere, and the power of each frequency."""
    power = 0.05 + torch.rand(1, size, size, dtype=torch.float64)
    # Real images have the same power at k and -k
    power = (power + power.flip(-1, -2).roll((1, 1), (-1, -2))) / 2
    white = torch.fft.fft2(torch.randn(n, 1, size, size, dtype=torch.float64), norm='ortho')
    return torch.fft.ifft2(white * power**0.5, norm='ortho').real, power


def best_filter(diffusion, power):
    """E[eps | x_t] for such images: one factor for each frequency."""

    def eps_model(xt, t):
        a = gather(diffusion.alpha_bar, t).double()
        factor = (1 - a) ** 0.5 / (a * power + 1 - a)
        return torch.fft.ifft2(torch.fft.fft2(xt.double()) * factor).real.to(xt.dtype)

    return eps_model


def test_the_power_is_that_of_the_data():
    x, power = gaussian_images()
    torch.testing.assert_close(spectrum(x), power, rtol=0.15, atol=0)


def test_the_best_filter_is_the_optimum_for_gaussian_data():
    """Its measured loss is the closed form, and changing the filter makes it worse."""
    x, power = gaussian_images()
    diffusion = DenoiseDiffusion(None, 1000)
    t = torch.randint(0, 1000, (len(x),))
    eps = torch.randn_like(x)
    xt = diffusion.q_sample(x, t, eps)
    model = best_filter(diffusion, power)
    best = (model(xt, t) - eps).square().mean()
    expected = filter_loss(diffusion, power, t)
    agree(float(best), expected, atol=0, rtol=0.02, what='loss of the best filter')
    for factor in (0.9, 1.1):
        assert (factor * model(xt, t) - eps).square().mean() > best
        assert (best_filter(diffusion, factor * power)(xt, t) - eps).square().mean() > best


def sampler_of(eps_model, diffusion=None):
    diffusion = diffusion or DenoiseDiffusion(None, 1000)
    diffusion.eps_model = eps_model
    return SimpleNamespace(diffusion=diffusion, n_steps=1000)


def test_channels_have_more_in_common_than_the_filter_knows():
    """Three that are correlated at 0.95, of every power: the filter's loss over the optimum."""
    power, diffusion = torch.logspace(-3, 5, 400, dtype=torch.float64), known_steps()
    correlation = torch.full((3, 3), 0.95, dtype=torch.float64).fill_diagonal_(1)
    shares = torch.linalg.eigvalsh(correlation)  # of what they have in common, and apart
    t = torch.tensor([500])
    ratio = [
        filter_loss(diffusion, p.expand(3), t) / filter_loss(diffusion, p * shares, t)
        for p in power
    ]
    assert max(ratio) == pytest.approx(1.95, abs=0.005)


def known_steps():
    return DenoiseDiffusion(lambda xt, t: xt, 1000)


def test_a_zero_model_has_learned_nothing(digits):
    _, data = digits
    found = losses(sampler_of(lambda xt, t: torch.zeros_like(xt)), data)
    assert [f.verdict for f in found[1:]] == ['not learned'] * 3
    assert all(f.samples == pytest.approx(1, abs=0.05) for f in found)
    assert found[0].what == 'loss, steps 1 to 250'


def test_the_best_filter_itself_is_well(digits):
    x, data = digits
    diffusion = DenoiseDiffusion(None, 1000)
    mean = x.mean(dim=0)
    filtered = best_filter(diffusion, spectrum(x))

    def eps_model(xt, t):
        return filtered(xt - gather(diffusion.alpha_bar, t) ** 0.5 * mean, t)

    found = losses(sampler_of(eps_model, diffusion), data)
    assert verdicts(found) == set()
    for f in found:
        assert f.samples == pytest.approx(f.data, rel=0.1, abs=1e-4)


# An error of 0.04 adds 0.0016, which is little, and several times what is left to learn there
@pytest.mark.parametrize('error', [0.1, 0.04])
def test_the_quarter_that_is_wrong_is_named(digits, error):
    x, data = digits
    diffusion = DenoiseDiffusion(None, 1000)
    filtered = best_filter(diffusion, spectrum(x))
    mean = x.mean(dim=0)

    def eps_model(xt, t):
        eps = filtered(xt - gather(diffusion.alpha_bar, t) ** 0.5 * mean, t)
        # The tint of a whole image, at the noisy end alone
        return torch.where((t >= 750)[:, None, None, None], eps + error, eps)

    found = losses(sampler_of(eps_model, diffusion), data)
    assert [f.verdict for f in found] == ['', '', '', 'not learned']


def test_a_model_with_classes_is_told_those_of_the_images(digits):
    _, data = digits
    seen = []

    def model(xt, t, label):
        seen.append(label)
        return torch.zeros_like(xt)

    guided = Guided(model, torch.tensor([3]), scale=2.0)
    losses(sampler_of(guided), data)
    at = spread_out(len(data), 1024)
    first_quarter = torch.cat(seen)[: len(at)]
    assert torch.equal(first_quarter, data.labels[list(at)])
    # And afterwards it is as it was
    assert (guided.label.tolist(), guided.scale) == ([3], 2.0)
