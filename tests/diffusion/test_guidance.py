"""Guidance, on Gaussian classes: every density and every slope in closed form."""

import math

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion, gather
from labml_nn.diffusion.ddpm.unet import UNet
from labml_nn.diffusion.guidance import NO_LABEL, Guided, drop_labels
from labml_nn.diffusion.samplers import SAMPLERS
from tests.kit.classes import DIFFUSION, PRIOR, by_class, exact
from tests.kit.close import agree, record


def points(n=200):
    """Points all over the plane, at all steps, asked to be of all classes."""
    torch.manual_seed(1)
    xt = (torch.randn(n, 2, dtype=torch.float64) * 2).requires_grad_()
    return xt, torch.randint(0, 1000, (n,)), torch.arange(n) % 3


def slope(log_density, xt, t):
    """-sqrt(1 - alpha_bar) times the gradient of a log density: what it makes of the noise."""
    (gradient,) = torch.autograd.grad(log_density.sum(), xt)
    return -((1 - gather(DIFFUSION.alpha_bar, t, 2).double()) ** 0.5) * gradient


def test_the_best_guess_is_the_slope():
    """Conditional expectations on one side, derivatives of densities on the other."""
    xt, t, label = points()
    _, log_q = by_class(xt, t)
    marginal = (log_q + PRIOR.log()).logsumexp(dim=1)
    found, expected = exact(xt, t, torch.full_like(label, NO_LABEL)), slope(marginal, xt, t)
    agree(found, expected, atol=1e-5, rtol=1.3e-6, what='of all classes')
    _, log_q = by_class(xt, t)
    of_class = log_q[torch.arange(len(xt)), label]
    found, expected = exact(xt, t, label), slope(of_class, xt, t)
    agree(found, expected, atol=1e-5, rtol=1.3e-6, what='of one class')


def test_the_model_contains_a_classifier():
    """The slope of log q(c|x_t) is the difference of the two guesses."""
    xt, t, label = points()
    _, log_q = by_class(xt, t)
    of_class = (log_q + PRIOR.log()).log_softmax(dim=1)[torch.arange(len(xt)), label]
    apart = exact(xt, t, label) - exact(xt, t, torch.full_like(label, NO_LABEL))
    torch.testing.assert_close(apart, slope(of_class, xt, t))


@pytest.mark.parametrize('w', [-1.0, 0.0, 0.5, 2.0, 7.5])
def test_guided_score_of_gaussian_classes(w):
    """The slope of log q(x_t|c) + w log q(c|x_t), both from the densities."""
    xt, t, label = points()
    _, log_q = by_class(xt, t)
    of_class = log_q[torch.arange(len(xt)), label]
    log_posterior = (log_q + PRIOR.log()).log_softmax(dim=1)[torch.arange(len(xt)), label]
    expected = slope(of_class + w * log_posterior, xt, t)
    found = Guided(exact, label, w)(xt, t)
    agree(found, expected, atol=1e-5, rtol=1.3e-6, what='guided noise, and the slope')


def test_noising_does_not_commute_with_guiding():
    """A class N(m, s^2) among classes that together are N(0, r^2): everything stays Gaussian.

    The guided slope is right at the first step, where there is hardly noise, and not later: there
    it is not the slope of the noised density of p(x|c) p(c|x)^w.
    """
    m, s, r, w = 0.5, 0.6, 1.0, 2.0

    def eps_of(x, a, mean, variance):
        return (1 - a) ** 0.5 * (x - a**0.5 * mean) / (a * variance + 1 - a)

    # p(x|c)^(1+w) p(x)^-w, completed to a square
    precision = (1 + w) / s**2 - w / r**2
    variance, mean = 1 / precision, (1 + w) * m / s**2 / precision
    apart = {}
    for t in (0, 300):
        a = float(DIFFUSION.alpha_bar[t])
        x = torch.linspace(-2, 2, 9)[:, None]

        def model(xt, t, label, a=a):
            of_class, of_all = eps_of(xt, a, m, s**2), eps_of(xt, a, 0.0, r**2)
            return torch.where(label[:, None] == NO_LABEL, of_all, of_class)

        guided = Guided(model, 0, w)(x, torch.full((9,), t))
        noised = eps_of(x, a, mean, variance)
        apart[t] = float(((guided - noised).abs() / noised.abs()).max())
    agree(apart[0], 0.0, atol=0.01, what='share that is wrong at the first step')
    record('share that is wrong at index 300, at least 0.2', f'{apart[300]:.2f}')
    assert apart[300] > 0.2


def test_scale_0_is_the_conditional_model():
    xt, t, label = points()
    agree(Guided(exact, label, 0.0)(xt, t), exact(xt, t, label), atol=0, what='noise of both')


def test_scale_minus_1_is_the_model_without_classes():
    xt, t, label = points()
    nothing = torch.full_like(label, NO_LABEL)
    torch.testing.assert_close(Guided(exact, label, -1.0)(xt, t), exact(xt, t, nothing))


def test_both_guesses_are_made_in_one_batch():
    calls = []

    def model(xt, t, label):
        calls.append((xt, t, label))
        return xt * label[:, None]

    xt, t, label = torch.randn(3, 2), torch.tensor([5, 6, 7]), torch.tensor([2, 0, 1])
    Guided(model, label, 3.0)(xt, t)
    ((xs, ts, labels),) = calls
    assert torch.equal(xs, torch.cat([xt, xt]))
    assert ts.tolist() == [5, 6, 7, 5, 6, 7]
    assert labels.tolist() == [2, 0, 1, -1, -1, -1]
    # Without guidance there is no second guess to be made
    Guided(model, label, 0.0)(xt, t)
    assert len(calls[1][0]) == 3


def test_a_learned_variance_is_left_to_the_class():
    """Channels beyond the image's are no noise, and are not mixed."""

    def model(xt, t, label):
        eps = xt * (label + 2)[:, None]
        return torch.cat([eps, (label * 10.0)[:, None].expand(-1, 2)], dim=1)

    xt, t, label = torch.randn(3, 2), torch.tensor([5, 6, 7]), torch.tensor([2, 0, 1])
    output = Guided(model, label, 3.0)(xt, t)
    torch.testing.assert_close(output[:, :2], xt * (4 * (label + 2) - 3)[:, None])
    assert output[:, 2:].tolist() == [[20, 20], [0, 0], [10, 10]]


@pytest.mark.parametrize('name', sorted(SAMPLERS))
def test_every_sampler_works_unchanged(name):
    """A guided model and a plain callable that computes the same give the same chain."""
    w, label = 1.5, torch.tensor([0, 1, 2, 0])

    def by_hand(xt, t):
        nothing = torch.full_like(label, NO_LABEL)
        return (1 + w) * exact(xt, t, label) - w * exact(xt, t, nothing)

    images = []
    for model in (Guided(exact, label, w), by_hand):
        diffusion = DenoiseDiffusion(model, 1000)
        images.append(SAMPLERS[name](diffusion, 20, clip_x0=False).sample((4, 2), seed=3))
    torch.testing.assert_close(*images)


def test_guided_samples_are_surer_and_less_varied():
    """What the figure shows, as numbers: of each class, the larger w the surer and the narrower."""
    sure, spread = [], []
    for w in (0.0, 1.0, 4.0):
        diffusion = DenoiseDiffusion(Guided(exact, 0, w), 1000)
        x = SAMPLERS['ddim'](diffusion, 100, clip_x0=False).sample((1000, 2), seed=0)
        _, log_q = by_class(x, torch.zeros(len(x), dtype=torch.int64))
        sure.append(float((log_q + PRIOR.log()).softmax(dim=1)[:, 0].mean()))
        spread.append(float(x.std(dim=0).mean()))
    assert sure[0] < sure[1] < sure[2]
    assert spread[0] > spread[1] > spread[2]
    # Without guidance they are the class itself
    assert spread[0] == pytest.approx(0.5, abs=0.03)


def test_one_label_is_for_all_images():
    seen = []

    def model(xt, t, label):
        seen.append(label.tolist())
        return xt

    for label in (4, torch.tensor(4), torch.tensor([4])):
        Guided(model, label)(torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64))
    assert seen == [[4, 4, 4]] * 3


# ## Labels dropped while training


def test_a_share_of_the_labels_is_dropped():
    label = torch.arange(10_000) % 10
    dropped = drop_labels(label, 0.1)
    assert dropped.dtype == torch.int64
    gone = dropped == NO_LABEL
    assert float(gone.double().mean()) == pytest.approx(0.1, abs=0.01)
    assert torch.equal(dropped[~gone], label[~gone])
    assert torch.equal(drop_labels(label, 0.0), label)
    assert bool((drop_labels(label, 1.0) == NO_LABEL).all())


def test_one_seed_fixes_which():
    label = torch.arange(100)
    torch.manual_seed(5)
    first = drop_labels(label, 0.5)
    assert not torch.equal(drop_labels(label, 0.5), first)
    torch.manual_seed(5)
    assert torch.equal(drop_labels(label, 0.5), first)


# ## Refused


@pytest.mark.parametrize('scale', [math.nan, math.inf])
def test_a_scale_that_is_no_number_is_refused(scale):
    with pytest.raises(ValueError, match='give a finite number'):
        Guided(exact, 0, scale)


def test_as_many_labels_as_images():
    with pytest.raises(ValueError, match='2 labels for a batch of 3 images'):
        Guided(exact, torch.tensor([0, 1]))(torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64))


def test_a_model_without_classes_cannot_be_guided():
    unet = UNet(1, 32, (1,), (False,), 1)
    with pytest.raises(ValueError, match='labels were given to a model that takes none'):
        Guided(unet, 0, 2.0)(torch.zeros(3, 1, 4, 4), torch.zeros(3, dtype=torch.int64))
