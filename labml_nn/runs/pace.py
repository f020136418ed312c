r"""
# How long a run takes

A few steps are timed at the start, and tell when the run will end. A dry run does the same steps,
and keeps nothing of them.
"""

import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import torch

from labml_nn.cli.progress import clock

# Steps that are not timed, as the first ones prepare much; how many are timed, and for how long
WARM, LEAST, MOST, SECONDS = 2, 3, 100, 2.0


class Pace:
    r"""
    ## The time of a few steps

    * `first` steps done before
    * `seconds` for how long they are timed at least
    * `now` the clock, in seconds
    """

    def __init__(
        self, first: int, device: torch.device, seconds: float = SECONDS,
        now: Callable[[], float] = time.monotonic,
    ):  # fmt: skip
        self.first, self.device, self.seconds, self.now = first, device, seconds, now
        self.began = 0.0
        self.is_known = False

    def each(self, step: int) -> float:
        r"""
        How long a step takes, in seconds, once, after the `step` by which it is known; else 0.
        """
        timed = step - self.first - WARM
        if self.is_known or timed < 0:
            return 0.0
        if self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)  # the CPU is ahead
        if timed == 0:
            self.began = self.now()
            return 0.0
        seconds = self.now() - self.began
        if timed < LEAST or (seconds < self.seconds and timed < MOST):
            return 0.0
        self.is_known = True
        return max(seconds / timed, 1e-9)


def forecast(each: float, left: int, device: torch.device) -> str:
    r"""
    How long `left` steps take of `each` so many seconds, until when, and the memory, in a line.
    """
    ends = datetime.now() + timedelta(seconds=min(each * left, 1e9))
    most = peak_memory(device)
    memory = f'; memory {most / 2**30:.1f} GB at the most' if most else ''
    return (
        f'  time    {clock(each * left)} for {left:,} steps of {each:.2g} s, until '
        f'{ends:%a %d %b %Y, %H:%M}{memory}'
    )


def peak_memory(device: torch.device) -> int:
    r"""
    The most bytes that there were in use so far: on a GPU those of the tensors, on a CPU those of
    the process; 0 where the system does not say.
    """
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    if device.type != 'cpu' or sys.platform == 'win32':
        return 0
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most * (1 if sys.platform == 'darwin' else 1024)  # macOS counts bytes
