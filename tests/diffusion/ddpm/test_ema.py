"""Averaged weights."""

import copy

import pytest
import torch

from labml_nn.diffusion.ddpm.ema import EMA
from tests.kit.close import agree


def walk(model, steps, seed=0):
    """A random walk of the weights, as training makes one."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        with torch.no_grad():
            for p in model.parameters():
                p.add_(torch.randn(p.shape, generator=generator) * 0.1)
        yield


@pytest.mark.parametrize('warmup', [False, True])
def test_is_the_recursion(warmup):
    model = torch.nn.Linear(3, 2)
    ema = EMA(model, 0.9, warmup=warmup)
    expected = None
    for n, _ in enumerate(walk(model, 30)):
        d = min(0.9, (1 + n) / (10 + n)) if warmup else 0.9
        w = model.weight.detach().double()
        expected = w.clone() if n == 0 else d * expected + (1 - d) * w
        ema.update_parameters(model)
    torch.testing.assert_close(ema.module.weight.double(), expected, rtol=0, atol=1e-6)


def test_a_decay_of_0_is_the_model_itself():
    model = torch.nn.Linear(3, 2)
    ema = EMA(model, 0.0)
    for _ in walk(model, 5):
        ema.update_parameters(model)
        assert torch.equal(ema.module.weight, model.weight)


def test_warm_up_forgets_the_start():
    """The first value's share after 100 updates: 0.99 without the warm-up, nothing with it."""
    shares = {}
    for warmup in (False, True):
        model = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.ones_(model.weight)
        ema = EMA(model, 0.9999, warmup=warmup)
        ema.update_parameters(model)
        torch.nn.init.zeros_(model.weight)
        for _ in range(100):
            ema.update_parameters(model)
        shares[warmup] = float(ema.module.weight)
    what = 'share of the start after 100 updates'
    agree(shares[False], 0.9999**100, atol=0, rtol=1e-4, what=f'{what}, without the warm-up')
    agree(shares[True], 0.0, atol=1e-7, what=f'{what}, with it')


def test_shares_quoted_on_the_page():
    assert (round(0.9999**1000, 2), round(0.9999**10_000, 2)) == (0.90, 0.37)


def test_never_feeds_back():
    """Training with and without the average gives the same weights, to the bit."""
    finals = []
    for with_ema in (False, True):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.SiLU(), torch.nn.Linear(8, 4))
        ema = EMA(model, 0.99) if with_ema else None
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(20):
            loss = ((model(torch.randn(16, 4)) - 1) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if ema:
                ema.update_parameters(model)
        finals.append(copy.deepcopy(model.state_dict()))
    for k in finals[0]:
        agree(finals[0][k], finals[1][k], atol=0, what='weights with and without the average')


def test_is_kept_in_float32():
    """In bfloat16 a step of 1e-4 would be lost: 1 + 1e-4 rounds to 1."""
    model = torch.nn.Linear(1, 1, bias=False).bfloat16()
    torch.nn.init.ones_(model.weight)
    ema = EMA(model, 0.9999, warmup=False)
    ema.update_parameters(model)
    torch.nn.init.constant_(model.weight, 2.0)
    for _ in range(10):
        ema.update_parameters(model)
    assert ema.module.weight.dtype == torch.float32
    assert float(ema.module.weight) == pytest.approx(2 - 0.9999**10, rel=1e-6)


def test_the_average_is_in_evaluation_mode_and_wants_no_gradient():
    ema = EMA(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5)))
    assert not any(m.training for m in ema.module.modules())
    assert not any(p.requires_grad for p in ema.module.parameters())


@pytest.mark.parametrize('decay', [-0.1, 1.0, 1.5])
def test_a_decay_outside_its_range_is_refused(decay):
    with pytest.raises(ValueError, match=r'must lie in \[0, 1\)'):
        EMA(torch.nn.Linear(1, 1), decay)


def test_the_first_update_copies():
    """Where the formula would keep a tenth; the second goes by it, with d = 2/11."""
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, 5.0)
    ema = EMA(model)
    assert (ema.decay_at(0), ema.decay_at(1)) == pytest.approx((0.1, 2 / 11))
    torch.nn.init.constant_(model.weight, 11.0)
    ema.update_parameters(model)
    assert float(ema.module.weight) == 11
    torch.nn.init.constant_(model.weight, 0.0)
    ema.update_parameters(model)
    assert float(ema.module.weight) == pytest.approx(2)
