r"""
# Signals

Ctrl-C, and SIGTERM as a preempted cloud machine sends it, stop a run *after the step at hand*; a
second Ctrl-C stops it now.
"""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


class Stop:
    r"""
    Whether a signal has come.

    * `number` the signal's, or 0
    """

    def __init__(self) -> None:
        self.number = 0

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        r"""
        Catch the signals inside a `with` block.
        """

        def stop(number: int, _: FrameType | None) -> None:
            if self.number and number == signal.SIGINT:
                raise KeyboardInterrupt
            self.number = self.number or number

        before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
