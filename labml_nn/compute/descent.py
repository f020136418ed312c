r"""
---
title: Steps that may fail
summary: Gradient steps that are not taken when something is no number, and the end of memory.
---

# Steps that may fail

A loss or a gradient that is not a number, once in the weights, never leaves them. So it is looked
at *before* every step, on the device, and a bad step is not taken: torch's fused optimizer takes a
tensor that says so (the one by which its gradient scaler skips steps), and nobody has to wait for
the device to tell [tested](test:compute/test_descent.py::test_a_bad_step_changes_nothing).

One bad batch is passed over. Ten in a row are no accident.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from labml_nn.cli.messages import shown

# Bad steps in a row after which a run stops
PATIENCE = 10

# A scale of 65,536 may have to be halved this often before float16 gradients are finite
HALVINGS = 16


class Descent:
    r"""
    ## Gradient steps

    * `optimizer` an Adam
    * `max_norm` the largest norm that a gradient may have; a longer one is shortened to it
    * `scale` whether the loss is multiplied before its gradient is taken, and the gradient divided
      after: float16 has no numbers below $6\cdot10^{-8}$, and small gradients would be zero
    """

    def __init__(self, optimizer: torch.optim.Optimizer, max_norm: float, *, scale: bool = False):
        self.optimizer, self.max_norm = optimizer, max_norm
        self.parameters = [p for group in optimizer.param_groups for p in group['params']]
        self.device = self.parameters[0].device
        self.is_fused = bool(optimizer.param_groups[0].get('fused'))
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=scale)
        self.patience = PATIENCE + HALVINGS * scale
        self.streak = torch.zeros((), dtype=torch.int32, device=self.device)
        self.known = 0
        if self.device.type == 'cuda':
            self.seen = torch.zeros((), dtype=torch.int32).pin_memory()
            self.arrived: torch.cuda.Event | None = None

    def backward(self, loss: Tensor) -> None:
        r"""
        Add the gradient of `loss` to those there are.
        """
        self.scaler.scale(loss).backward()

    def step(self, loss: Tensor) -> tuple[Tensor, Tensor]:
        r"""
        Take a step along the gradient, unless it or the `loss` is no number.

        Returns the norm of the gradient, before it was shortened, and whether the step was taken;
        both on the device.
        """
        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.max_norm)
        good = torch.isfinite(norm) & torch.isfinite(loss)
        if self.scaler.is_enabled():
            self.scaler.step(self.optimizer)
            self.scaler.update()
        elif self.is_fused:
            self.optimizer.found_inf = (~good).float()  # type: ignore[attr-defined]
            self.optimizer.step()
        elif bool(good):
            self.optimizer.step()
        self.streak = torch.where(good, 0, self.streak + 1)
        return norm, good

    def restore(self, optimizer: Mapping[str, Any], scaler: Mapping[str, Any] | None) -> None:
        r"""
        Go on from the states of an Adam and of a gradient scaler.

        Only what training has changed is taken from them; the options are those of this one. Raises
        an error for what no run of these weights can have left.
        """
        own = self.optimizer.state_dict()
        (group,), state = optimizer['param_groups'], optimizer['state']
        own['param_groups'][0]['lr'] = positive(group['lr'])
        if list(group['params']) != own['param_groups'][0]['params']:
            raise ValueError('it is of other weights')
        if not set(state) <= set(group['params']):
            raise ValueError('it has moments of weights that there are not')
        own['state'] = {i: moments(self.parameters[i], of) for i, of in state.items()}
        self.optimizer.load_state_dict(own)
        if scaler:
            scale, tracker = positive(scaler['scale']), scaler['_growth_tracker']
            if not scale or not isinstance(tracker, int) or tracker < 0:
                raise ValueError('its scaler has no scale')
            if self.scaler.is_enabled():
                kept = {'scale': scale, '_growth_tracker': tracker}
                self.scaler.load_state_dict({**self.scaler.state_dict(), **kept})

    def bad_in_a_row(self, *, now: bool = False) -> int:
        r"""
        How many of the last steps were not taken; on a GPU as it was a step or two ago, without
        waiting, unless it has to be known `now`.
        """
        if now or self.device.type != 'cuda':
            self.known = int(self.streak)
        elif self.arrived is None or self.arrived.query():
            self.known = int(self.seen)
            self.seen.copy_(self.streak, non_blocking=True)
            self.arrived = torch.cuda.Event()
            self.arrived.record()
        return self.known


def positive(value: Any) -> float:
    r"""
    The same, or a `ValueError` unless it is a number that is finite and not negative.
    """
    if not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f'it has {shown(value)} where a number has to be')
    return value


def moments(weight: Tensor, kept: Mapping[str, Tensor]) -> dict[str, Tensor]:
    r"""
    What Adam knows of a weight, or a `ValueError` where that is no number or of another shape.
    """
    shapes = {'step': torch.Size(), 'exp_avg': weight.shape, 'exp_avg_sq': weight.shape}
    for name, shape in shapes.items():
        value = kept[name]
        if value.shape != shape or value.dtype != torch.float32:
            raise ValueError(
                f'{name} is {value.dtype} {list(value.shape)}, need float32 {list(shape)}'
            )
        if not bool(torch.isfinite(value).all()) or (name != 'exp_avg' and bool((value < 0).any())):
            raise ValueError(f'{name} is no number that it can be')
    return {name: kept[name] for name in shapes}


# ## Out of memory
def is_out_of_memory(error: BaseException) -> bool:
    r"""
    Whether an error says so, in the words of any device.
    """
    words = "out of memory|(can't|annot) allocate memory|not enough memory"
    # oneDNN's for a layer that it has no room for; its descriptors are another matter
    words += '|could not create a primitive(?! descriptor)'
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and re.search(words, str(error)) is not None
    )


def largest_that_fits(n: int, attempt: Callable[[int], None]) -> int | None:
    r"""
    The largest of `n`'s divisors, at most half of it each time, of which `attempt` does not run out
    of memory; `None` when not even one image fits.
    """
    for part in halves(n):
        try:
            attempt(part)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        else:
            return part
        finally:
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
    return None


def halves(n: int) -> Iterator[int]:
    r"""
    Divisors of `n`, each at most half of the one before: 12 gives 6, 3, 1.
    """
    while n > 1:
        n = max(d for d in range(1, n // 2 + 1) if n % d == 0)
        yield n
