"""What holds for every sampler."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import torch

from labml_nn.diffusion import samplers
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.utils import ShortChainWarning
from labml_nn.diffusion.samplers import DDIM, PNDM, SAMPLERS, DPMSolver, spaced
from tests.kit.close import agree
from tests.kit.models import SPACINGS, DropoutModel, model

ROOT = Path(__file__).parents[3]
# Every sampler, with each of its ways
WAYS = [
    ('ddpm', {}),
    ('ddpm', {'variance': 'beta'}),
    ('ddim', {}),
    ('ddim', {'eta': 0.6}),
    ('ddim', {'eta': 1.0}),
    ('pndm', {'start': 'plms'}),
    ('pndm', {'start': 'prk'}),
    ('dpm', {'sde': False}),
    ('dpm', {'sde': False, 'order': 1}),
    ('dpm', {'sde': True}),
    ('unipc', {}),
    ('unipc', {'order': 3}),
    ('consistency', {}),
]
IDS = ['-'.join([name, *(f'{k}={v}' for k, v in options.items())]) for name, options in WAYS]
every_way = pytest.mark.parametrize(('name', 'options'), WAYS, ids=IDS)


@pytest.fixture
def diffusion():
    return DenoiseDiffusion(model, 1000)


def make(diffusion, name, n_steps=10, **options):
    return SAMPLERS[name](diffusion, n_steps, **options)


@every_way
def test_the_last_step_lands_on_x0_hat(diffusion, name, options):
    """There is no noise before the first step of the forward process: alpha_bar is 1 there."""
    for n in (1, 2, 10):
        sampler = make(diffusion, name, n, **options)
        chain = list(sampler.chain(*sampler.start((3, 4), seed=1)))
        _, image, x0_hat = chain[-1]
        agree(image, x0_hat, atol=1e-6, what='last image, and the last guess of x_0')
        assert torch.equal(image, sampler.sample((3, 4), seed=1))


@every_way
@pytest.mark.parametrize('n_steps', [1, 2, 3, 4, 5, 27, 500, 999, 1000])
def test_every_number_of_steps(diffusion, name, options, n_steps):
    calls = []

    def counted(xt, t):
        calls.append(int(t[0]))
        assert bool((t == t[0]).all())
        return model(xt, t)

    diffusion.eps_model = counted
    sampler = make(diffusion, name, n_steps, **options)
    chain = list(sampler.chain(*sampler.start((2, 3), seed=0)))
    assert [t for t, _, _ in chain] == sampler.tau[::-1]
    assert len(chain) == n_steps
    assert len(calls) == sampler.n_calls
    assert bool(torch.isfinite(chain[-1][1]).all())
    assert float(chain[-1][1].abs().max()) <= 1 + 1e-6


@pytest.mark.parametrize('spacing', SPACINGS)
def test_every_spacing_at_every_number_of_steps(spacing):
    for T in (1, 2, 7, 50, 1000):
        for n in range(1, T + 1):
            tau = spaced(spacing, n, T)
            assert len(tau) == n
            assert all(a < b for a, b in itertools.pairwise(tau))
            assert 0 <= tau[0] <= tau[-1] < T
            if spacing != 'leading':
                assert tau[-1] == T - 1
        assert spaced(spacing, T, T) == list(range(T))


def test_spacings_are_what_their_names_say():
    assert spaced('leading', 5, 1000) == [0, 200, 400, 600, 800]
    assert spaced('trailing', 5, 1000) == [199, 399, 599, 799, 999]
    assert spaced('linspace', 5, 1000) == [0, 250, 500, 749, 999]
    assert spaced('quadratic', 5, 1000) == [0, 62, 249, 561, 999]
    assert spaced('leading', 600, 1000)[-1] == 998


def test_the_step_to_index_0_is_a_third_of_the_way(diffusion):
    """The figures of the page, on the scale of half the log of the signal-to-noise ratio."""
    lam = (diffusion.alpha_bar / diffusion.one_minus_alpha_bar).log() / 2
    first, second = spaced('linspace', 20, 1000)[:2]
    assert (first, second) == (0, 53)
    agree(lam[[second, first]].tolist(), [1.7, 4.6], atol=0.05, what='lambda at steps 53 and 0')
    share = float((lam[first] - lam[second]) / (lam[0] - lam[-1]))
    agree(share, 0.3, atol=0.005, what='share of the way')
    assert spaced('trailing', 20, 1000)[0] == 49
    assert spaced('leading', 20, 1000)[-1] == 950


def test_the_tables_of_the_page_say_where_they_are_from():
    """`check` compares them with it."""
    named = re.findall(r'<!-- measured: (.*) -->', samplers.__doc__)
    data = 'docs/figures/data/frontier.json#'
    assert named == [f'{data}/{part}' for part in ('steps', 'whole', 'spacing', 'seeds')]


@every_way
def test_same_seed_same_image_whatever_the_batch(diffusion, name, options):
    sampler = make(diffusion, name, **options)
    whole = sampler.sample((6, 5), seed=3)
    torch.testing.assert_close(whole[2:4], sampler.sample((2, 5), seed=3, first=2))
    assert torch.equal(whole, sampler.sample((6, 5), seed=3))
    assert not torch.equal(whole, sampler.sample((6, 5), seed=4))


@every_way
def test_a_given_x_T_and_its_shape_give_the_same(diffusion, name, options):
    """And the noise of the chain does not repeat the noise that it starts from."""
    sampler = make(diffusion, name, **options)
    xt, _ = sampler.start((4, 5), seed=2)
    assert torch.equal(sampler.sample(xt, seed=2), sampler.sample((4, 5), seed=2))


@every_way
def test_two_chains_of_one_sampler_do_not_meet(diffusion, name, options):
    """What is remembered of earlier steps belongs to the chain."""
    sampler = make(diffusion, name, **options)
    one = sampler.chain(*sampler.start((2, 3), seed=0))
    two = sampler.chain(*sampler.start((2, 3), seed=1))
    for a, b in zip(one, two, strict=True):
        last = a[1], b[1]
    assert torch.equal(last[0], sampler.sample((2, 3), seed=0))
    assert torch.equal(last[1], sampler.sample((2, 3), seed=1))


@every_way
def test_a_chain_can_be_stopped_early(diffusion, name, options):
    calls = []
    diffusion.eps_model = lambda xt, t: calls.append(1) or model(xt, t)
    sampler = make(diffusion, name, **options)
    next(sampler.chain(*sampler.start((2, 3))))
    assert len(calls) < sampler.n_calls


def test_eps_is_derived_again_after_clipping(diffusion):
    """What is handed on satisfies x_t = signal x0_hat + noise eps, with the clipped x0_hat."""
    sampler = DDIM(diffusion, 10)
    xt = 3 * torch.randn(50, 4)
    clipped = 0
    for t in sampler.tau[:-1]:
        raw = diffusion.predict_x0(xt, torch.full((50,), t), model(xt, torch.full((50,), t)))
        eps, x0_hat = sampler.predict(xt, t)
        assert torch.equal(x0_hat, raw.clamp(-1, 1))
        clipped += float(raw.abs().max()) > 1
        again = diffusion.q_sample(x0_hat, torch.full((50,), t), eps)
        agree(again, xt, atol=1e-5, what='x_t from what is handed on, and x_t')
    assert clipped > 5


@every_way
def test_clipping_changes_nothing_where_nothing_clips(name, options):
    """Data of one point within the range: x0_hat is that point at every step."""
    point = torch.tensor([0.3, -0.8])
    diffusion = DenoiseDiffusion(None, 1000)
    signal, noise = (
        diffusion.alpha_bar.double() ** 0.5,
        diffusion.one_minus_alpha_bar.double() ** 0.5,
    )
    diffusion.eps_model = lambda xt, t: (
        (xt.double() - signal[t, None] * point) / noise[t, None]
    ).float()
    images = [make(diffusion, name, clip_x0=c, **options).sample((5, 2)) for c in (True, False)]
    torch.testing.assert_close(*images, rtol=0, atol=2e-5)
    torch.testing.assert_close(images[0], point.expand(5, 2), rtol=0, atol=2e-5)


@every_way
def test_no_dropout_and_no_gradients(name, options):
    network = DropoutModel()
    network.train()
    sampler = make(DenoiseDiffusion(network, 1000), name, **options)
    assert not sampler.sample((2, 3)).requires_grad
    assert network.modes == {False}
    assert network.training


@pytest.mark.parametrize('n_steps', [0, -1, 1001])
def test_a_number_of_steps_out_of_range(diffusion, n_steps):
    with pytest.raises(ValueError, match=rf'n_steps={n_steps}: .*1000 steps, use 1 to 1000'):
        DDIM(diffusion, n_steps)


def test_bad_options(diffusion):
    with pytest.raises(ValueError, match=r'spacing=.trialing. is not known: use leading'):
        DDIM(diffusion, 10, spacing='trialing')
    for eta in (-0.1, 1.1, float('nan')):
        with pytest.raises(ValueError, match=r'eta=.* must lie in \[0, 1\]'):
            DDIM(diffusion, 10, eta=eta)
    with pytest.raises(ValueError, match=r'variance=.* is not known'):
        make(diffusion, 'ddpm', variance='large')
    with pytest.raises(ValueError, match='order=3 is not known: use 1 or 2'):
        DPMSolver(diffusion, 10, order=3)
    with pytest.raises(ValueError, match=r'quadratic.*unequal length.*use leading'):
        PNDM(diffusion, 10, spacing='quadratic')
    with pytest.raises(ValueError, match="start='rk' is not known"):
        PNDM(diffusion, 10, start='rk')


def test_a_wrong_shape_from_the_model_is_refused(diffusion):
    diffusion.eps_model = lambda xt, t: xt[:, :1]
    with pytest.raises(ValueError, match='the output of eps_model has shape'):
        DDIM(diffusion, 10).sample((2, 3))


@every_way
@pytest.mark.parametrize('variance', ['beta', 'learned'])
def test_no_step_waits_for_the_device(name, options, variance):
    """On a device whose numbers cannot be read at all: who looks at one gets an error."""
    meta = torch.device('meta')

    def eps_model(xt, t):
        return torch.cat([xt, xt], dim=1) if variance == 'learned' else xt * t[:, None].cos()

    sampler = make(DenoiseDiffusion(eps_model, 1000, variance=variance), name, **options)
    sampler.diffusion.to(meta)
    sampler.short.to(meta)
    with pytest.raises(RuntimeError, match='meta'):
        float(sampler.short.beta[0])
    images = [xt for _, xt, _ in sampler.chain(*sampler.start((2, 4)))]
    assert len(images) == 10
    assert {xt.device for xt in images} == {meta}


def test_another_model_leaves_the_sampler_as_it_is(diffusion):
    """Also where the models are modules, which torch keeps in a table of their own."""
    for first, second in itertools.permutations((model, DropoutModel(), DropoutModel()), 2):
        diffusion = DenoiseDiffusion(first, 1000)
        for name, options in WAYS:
            sampler = make(diffusion, name, **options)
            other = sampler.around(second)
            assert other.diffusion.eps_model is second
            assert sampler.diffusion.eps_model is first
            assert torch.equal(
                other.sample((2, 3)),
                make(DenoiseDiffusion(second, 1000), name, **options).sample((2, 3)),
            )
            assert torch.equal(
                sampler.sample((2, 3)), make(diffusion, name, **options).sample((2, 3))
            )


# ## Options


def test_options_are_what_the_fields_say():
    found = samplers.options()
    assert list(found) == ['spacing', 'variance', 'eta', 'start', 'order', 'sde']
    assert found['spacing'].of == list(SAMPLERS)
    assert found['variance'][::2] == (str, None)
    assert found['eta'] == (float, 'how much noise, 0 to 1', 0.0, ['ddim'])
    assert found['sde'].kind is bool


def test_a_new_sampler_is_a_class_and_a_name(diffusion, monkeypatch):
    """Its options are known by name, with a hint for one that is none, and so is a late start."""

    @dataclass(kw_only=True)
    class Own(samplers.ReverseSampler):
        pull: Annotated[float, 'how hard'] = 0.5

        def chain(self, xt, noise):
            yield 0, self.pull * xt, xt

    monkeypatch.setitem(SAMPLERS, 'own', Own)
    assert samplers.options()['pull'] == (float, 'how hard', 0.5, ['own'])
    assert samplers.make_sampler('own', diffusion, pull=2.0).pull == 2.0
    with pytest.raises(ValueError, match='no option of the sampler own: pul: did you mean pull'):
        samplers.make_sampler('own', diffusion, pul=2.0)
    assert Own(diffusion, 7).n_steps == 7
    for cls in (Own, *SAMPLERS.values()):
        with pytest.warns(ShortChainWarning, match='begin at step 666') as said:
            cls(diffusion, 3, spacing='leading')
        assert said[0].filename == __file__


def test_pndm_has_the_start_of_the_contract(diffusion):
    """Which has the name of one of its options."""
    sampler = PNDM(diffusion, 5, start='prk')
    assert sampler.start_with == 'prk'
    xt, _ = sampler.start((2, 3), seed=4)
    assert torch.equal(xt, DDIM(diffusion, 5).start((2, 3), seed=4)[0])
