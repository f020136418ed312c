"""One way to compare two numbers, which tells the reader of a page what was compared.

What is said here goes to the report of the run, and from there into the panel of the mark that
names the test.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

# How many values of both sides are kept
SHOWN = 3
# The properties of the test that runs, as pytest keeps them
_kept: list[tuple[str, Any]] = []


@contextlib.contextmanager
def kept_in(properties: list[tuple[str, Any]]) -> Iterator[None]:
    """While a test runs, what is said goes to its properties."""
    global _kept
    before, _kept = _kept, properties
    try:
        yield
    finally:
        _kept = before


def agree(actual, expected, *, atol: float, rtol: float = 0, what: str = '') -> None:
    """Assert |actual - expected| <= atol + rtol |expected|, for each value, and record both sides.

    Tensors must have one shape and one dtype, and NaN agrees with nothing: this is
    `torch.testing.assert_close`. Numbers, and lists of them, are compared in float64. Under the
    same `what`, the comparison that used most of its tolerance is kept.
    """
    import torch

    if not (isinstance(actual, torch.Tensor) and isinstance(expected, torch.Tensor)):
        # A list of floats would lose digits in float32 on its way
        actual, expected = (torch.as_tensor(x, dtype=torch.float64) for x in (actual, expected))
    if actual.shape == expected.shape:
        _keep(what or 'both sides', compared(actual, expected, atol, rtol))
    torch.testing.assert_close(actual, expected, atol=atol, rtol=rtol)


def compared(actual, expected, atol: float, rtol: float) -> dict[str, Any]:
    """What a report says of two tensors of the same shape."""
    one, other = actual.detach().double().flatten(), expected.detach().double().flatten()
    apart = (one - other).abs()
    # Where both are the same infinity they agree, as `assert_close` has it
    apart[one == other] = 0
    allowed = atol + rtol * other.abs()
    share = _share(apart, allowed)
    worst = int(share.argmax()) if len(one) else 0
    # The value that came nearest to failing, and those that follow it
    shown = slice(worst, worst + SHOWN)
    return {
        'computed': one[shown].tolist(),
        'expected': other[shown].tolist(),
        'values': len(one),
        'difference': float(apart.max()) if len(one) else 0.0,
        'atol': float(atol),
        'rtol': float(rtol),
        'share': float(share.max()) if len(one) else 0.0,
    }


def _share(apart, allowed):
    """How much of the tolerance was used; of none, nothing or too much."""
    share = apart / allowed.clamp(min=1e-300)
    share[share.isnan()] = math.inf
    share[apart == 0] = 0
    return share


def record(what: str, said: object) -> None:
    """What a test has counted or seen, where it compares no two numbers."""
    _kept.append((what, str(said)))


def _keep(what: str, said: dict[str, Any]) -> None:
    for i, (name, before) in enumerate(_kept):
        if name == what and isinstance(before, dict):
            values = before['values'] + said['values']
            worst = said if said['share'] > before['share'] else before
            _kept[i] = (what, {**worst, 'values': values})
            return
    _kept.append((what, said))
