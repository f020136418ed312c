"""UniPC: the integrals of powers, the predictor, and the step that is taken again."""

import math

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.samplers import DDIM, DPMSolver, UniPC
from labml_nn.diffusion.samplers.unipc import weights
from labml_nn.diffusion.schedules import straight
from labml_nn.diffusion.targets import TargetedDiffusion
from tests.kit.close import agree
from tests.kit.models import SPACINGS, model

SHAPE = (4, 3)


@pytest.fixture
def diffusion():
    return DenoiseDiffusion(model, 1000)


def by_quadrature(f, h, n=20_000):
    """The integral from 0 to h, by the rule of midpoints."""
    u = (torch.arange(n, dtype=torch.float64) + 0.5) * h / n
    return float(f(u).sum() * h / n)


def test_equation_8_counted_from_the_step(diffusion):
    """For a guess that is known at every lambda: the equation's own form, and the one of here."""
    sampler = UniPC(diffusion, 4)
    t, s = 749, 499
    lam_t, lam_s = sampler.log_snr(t), sampler.log_snr(s)
    h = lam_s - lam_t
    own = by_quadrature(lambda u: torch.exp(lam_t + u) * torch.sin(lam_t + u), h)
    ours = by_quadrature(lambda u: torch.exp(u - h) * torch.sin(lam_t + u), h)
    agree(sampler.signal[s] * ours, sampler.noise[s] * own, atol=1e-6, what='integral')


@pytest.mark.parametrize('nodes', [[0.0, -0.3, -1.0], [0.8, 0.0, -0.3], [0.8, 0.0, -0.3, -1.0]])
def test_powers_are_integrated_exactly(nodes):
    h = 0.8
    found = weights(h, nodes)
    for k in range(len(nodes)):
        expected = by_quadrature(lambda u, k=k: torch.exp(u - h) * u**k, h)
        summed = sum(w * u**k for w, u in zip(found, nodes, strict=True))
        agree(summed, expected, atol=1e-8, what=f'integral of the power {k}')


def test_one_guess_is_ddim(diffusion):
    """Before anything is corrected: at the first step."""
    xt, noise = UniPC(diffusion, 10).start(SHAPE)
    ours = next(UniPC(diffusion, 10).chain(xt, noise))[1]
    agree(ours, next(DDIM(diffusion, 10).chain(xt, noise))[1], atol=1e-6, what='first step')


@pytest.mark.parametrize('spacing', SPACINGS)
def test_the_predictor_of_order_two_is_2m(diffusion, spacing):
    """With no correction, which adds nothing where the sum does not know the last guess."""

    class Predictor(UniPC):
        def sum_over(self, start, end, known):
            # Both sums of a correction end where the latest guess is, or begin at the one before
            return super().sum_over(start, end, [k for k in known if k[0] <= start])

    for n in (5, 20):
        options = dict(spacing=spacing, clip_x0=True)
        ours = list(Predictor(diffusion, n, order=2, **options).chain(*start_of(diffusion, n)))
        theirs = list(DPMSolver(diffusion, n, order=2, **options).chain(*start_of(diffusion, n)))
        for (_, a, _), (_, b, _) in zip(ours, theirs, strict=True):
            agree(a, b, atol=1e-4, what='a step of the predictor, and of 2M')


def start_of(diffusion, n):
    return UniPC(diffusion, n).start(SHAPE, seed=2)


@pytest.mark.parametrize('order', [1, 2, 3])
def test_a_corrected_step_is_the_step_taken_again(diffusion, order):
    """By hand: from the place before, with the guess at its end among those that are known."""
    asked, guesses = [], []

    def recorded(xt, t):
        asked.append(xt.clone())
        eps = model(xt, t)
        guesses.append(diffusion.predict_x0(xt, t, eps))
        return eps

    sampler = UniPC(diffusion, 6, order=order, clip_x0=False)
    diffusion.eps_model = recorded
    chain = list(sampler.chain(*sampler.start(SHAPE, seed=3)))
    lam = [sampler.log_snr(t) for t in reversed(sampler.tau)]
    a, s = ([c[t] for t in reversed(sampler.tau)] for c in (sampler.signal, sampler.noise))
    place = asked[0]  # the first is not corrected
    for k in range(5):
        p = min(order, k + 1, 6 - k)  # guesses that step k predicts with

        def step(which, k=k, place=place):
            nodes = [lam[j] - lam[k] for j in which]
            found = weights(lam[k + 1] - lam[k], nodes)
            total = sum(w * guesses[j] for w, j in zip(found, which, strict=True))
            return s[k + 1] / s[k] * place + a[k + 1] * total

        earlier = [k - j for j in range(p)]
        agree(step(earlier), asked[k + 1], atol=1e-5, what='what the model is asked about')
        agree(step(earlier), chain[k][1], atol=1e-5, what='what the chain yields')
        place = step([k + 1, *earlier])  # from here the next step goes on
    last = s[5] * 0 + guesses[5]
    agree(chain[5][1], last, atol=1e-5, what='the image')


def test_where_nothing_is_left_of_the_image_the_first_step_is_ddims():
    beta = straight(100)
    diffusion = TargetedDiffusion(lambda xt, t: 0.3 * xt, 100, target='u', beta=beta)
    sampler = UniPC(diffusion, 8)
    assert sampler.log_snr(99) == -math.inf
    assert sampler.log_snr(-1) == math.inf
    xt, noise = sampler.start(SHAPE)
    ours = next(sampler.chain(xt, noise))[1]
    agree(ours, next(DDIM(diffusion, 8).chain(xt, noise))[1], atol=1e-6, what='first step')
    assert torch.isfinite(sampler.sample(SHAPE)).all()


def test_an_order_that_is_not_there_is_refused(diffusion):
    with pytest.raises(ValueError, match='order=4 is not known: use 1, 2 or 3'):
        UniPC(diffusion, 8, order=4)
