"""What the tests of runs share: to call a command, and to compare what two runs have left."""

import contextlib
import io
from collections.abc import Callable

import torch


def called(main: Callable[[list[str]], int], *arguments: object) -> tuple[object, str, str]:
    """Call a command in this process; its status and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status: object = main([str(a) for a in arguments])
        except SystemExit as leaving:
            status = leaving.code
    return status, out.getvalue(), err.getvalue()


def equal(a: object, b: object) -> bool:
    """Whether two nested structures are the same to the bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(equal, a, b))
    return a == b
