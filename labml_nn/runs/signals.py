r"""
# Signals

Ctrl-C, SIGTERM as a preempted cloud machine sends it, SIGHUP of a closed terminal, and the signals
of clusters whose time is up stop a run *after the step at hand*; a second Ctrl-C stops it now.
"""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

# Those of them that the system has: Windows knows only the first two
STOPPING = tuple(
    getattr(signal, name)
    for name in ('SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGXCPU', 'SIGUSR1')
    if hasattr(signal, name)
)


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

        # What is ignored stays so: under nohup, a closed terminal is no reason to stop
        heard = [
            s
            for s in STOPPING
            if s in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(s) != signal.SIG_IGN
        ]
        before = {s: signal.signal(s, stop) for s in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
