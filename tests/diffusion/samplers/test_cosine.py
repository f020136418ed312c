"""The samplers where nearly nothing of the image is left: the cosine schedule, long chains."""

import math
import warnings

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.utils import MOST_LEFT, ShortChainWarning
from labml_nn.diffusion.samplers import DDIM, PNDM, SAMPLERS, Ancestral, DPMSolver
from labml_nn.diffusion.schedules import cosine, linear
from tests.kit.close import agree

SPREAD = 0.3


def gaussian(T, beta=None):
    """The diffusion of pixels with this spread, and the guess of the noise that is right for it."""
    d = DenoiseDiffusion(lambda xt, t: xt, T, beta=beta)

    def eps(xt, t):
        left = d.alpha_bar[t][:, None, None, None]
        noise = d.one_minus_alpha_bar[t][:, None, None, None]
        return xt * noise**0.5 / (left * SPREAD**2 + noise)

    d.eps_model = eps
    return d


@pytest.mark.parametrize('T', [1000, 4000])
@pytest.mark.parametrize('spacing', ['linspace', 'trailing'])
@pytest.mark.parametrize(
    ('sampler', 'options'),
    [
        (DDIM, {}),
        (DDIM, {'eta': 1.0}),
        (DPMSolver, {}),
        (PNDM, {'start': 'plms'}),
        (PNDM, {'start': 'prk'}),
    ],
)
def test_every_sampler_gives_the_spread(sampler, options, spacing, T):
    reverse = sampler(gaussian(T, cosine(T)), 50, spacing=spacing, clip_x0=False, **options)
    spread = float(reverse.sample((16, 1, 16, 16), seed=0).std())
    # 50 steps are not exact; what leaps without care is wrong by factors of hundreds
    agree(spread, SPREAD, atol=0, rtol=0.1, what='spread of the samples, and of the data')


def test_a_step_that_leaps_is_counted_as_one_call():
    calls = []
    d = gaussian(1000, cosine(1000))
    eps = d.eps_model
    d.eps_model = lambda xt, t: calls.append(int(t[0])) or eps(xt, t)
    for start, more in (('plms', 1), ('prk', 9)):
        calls.clear()
        reverse = PNDM(d, 20, start=start)
        reverse.sample((1, 1, 4, 4))
        assert reverse.leaps(19)
        assert not any(reverse.leaps(i) for i in range(19))
        assert len(calls) == reverse.n_calls == 20 + more
        # Nothing is looked ahead from the step that leaps
        assert calls[:2] == reverse.tau[:-3:-1]


@pytest.mark.parametrize('n', [3, 5, 20])
@pytest.mark.parametrize('schedule', [linear, cosine])
def test_ddim_with_eta_1_is_ancestral(schedule, n):
    d = gaussian(1000, schedule(1000))
    ours = DDIM(d, n, eta=1.0, clip_x0=True).sample((2, 1, 8, 8), seed=1)
    other = Ancestral(d, n, variance='beta_tilde', clip_x0=True).sample((2, 1, 8, 8), seed=1)
    agree(ours, other, atol=2e-6, rtol=1e-5, what='images of both samplers')


def test_what_is_left_for_the_old_noise_is_never_negative():
    # At the first step 1 - alpha_bar_s - sigma^2 is smaller than the rounding of either
    reverse = DDIM(gaussian(4000, cosine(4000)), 34, spacing='quadratic', eta=1.0)
    assert torch.isfinite(reverse.sample((2, 1, 8, 8))).all()
    for i in range(1, 34):
        t, s = reverse.tau[i], reverse.before(i)
        whole = reverse.direction(t, s) ** 2 + float(reverse.short.beta_tilde[i])
        assert whole == pytest.approx(reverse.noise[s] ** 2, rel=1e-4)


@pytest.mark.parametrize('name', SAMPLERS)
@pytest.mark.parametrize(('T', 'n'), [(4000, 1), (4000, 2), (4000, 3), (10_000, 1), (10_000, 10)])
def test_few_steps_of_a_long_chain(name, T, n):
    spacing = 'trailing' if name == 'pndm' else 'quadratic'
    reverse = SAMPLERS[name](gaussian(T), n, spacing=spacing)
    image = reverse.sample((2, 1, 8, 8))
    assert torch.isfinite(image).all()
    # What is left is that of the long chain, though beta is 1 in float64
    assert math.isclose(
        float(reverse.short.alpha_bar[-1]), float(reverse.diffusion.alpha_bar[-1]), rel_tol=1e-3
    )


def test_a_late_start_is_blamed_on_the_spacing():
    d = gaussian(1000)
    with pytest.warns(ShortChainWarning, match="3 steps with spacing='leading' begin at step 666"):
        DDIM(d, 3, spacing='leading')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        DDIM(d, 3, spacing='trailing')
    assert float(d.alpha_bar[666]) ** 0.5 > MOST_LEFT


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ([0.9, 0.9], 'must fall from step to step'),
        ([1.0, 0.5], 'must fall'),
        ([0.5, 0.0], 'nothing is left of the image'),
        ([0.5, math.nan], 'must fall'),
        ([0.5], r'needs alpha_bar of shape \[2\]'),
    ],
)
def test_products_that_are_no_schedule_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        DenoiseDiffusion(lambda xt, t: xt, 2, alpha_bar=torch.tensor(values))


def test_products_are_the_schedule():
    beta = torch.linspace(0.1, 0.95, 10, dtype=torch.float64)
    one = DenoiseDiffusion(lambda xt, t: xt, 10, beta=beta)
    other = DenoiseDiffusion(lambda xt, t: xt, 10, alpha_bar=(1 - beta).cumprod(0))
    for name, values in one.named_buffers():
        assert torch.allclose(values, other.get_buffer(name), rtol=1e-6), name
    with pytest.raises(ValueError, match='two forms of one schedule'):
        DenoiseDiffusion(lambda xt, t: xt, 10, beta=beta, alpha_bar=beta.flip(0))
