r"""
# Progress

One line that says how far a run is, and when it will be done. On a terminal it is rewritten in
place; in a log file it is printed a few times a minute at most, without control codes.
"""

import sys
import time
from collections.abc import Callable
from typing import TextIO

from labml_nn.cli.output import forgiving

# What is told of each step of a chain: its index
Tell = Callable[[int], None]

# Seconds between two lines: on a terminal, in a file
PERIOD = 0.2, 20.0


class Progress:
    r"""
    A progress bar with an estimate of the time left.

    * `total` how many steps there are in all
    * `start` how many of them were done before (a resumed run)
    * `unit` what a step is called
    """

    def __init__(
        self, total: int, start: int = 0, *, unit: str = 'step', file: TextIO | None = None
    ):
        self.total, self.start, self.unit = total, start, unit
        self.file = forgiving(sys.stdout if file is None else file)
        self.is_terminal = self.file.isatty()
        self.began = self.printed = time.monotonic()
        self.width = 0

    def update(self, done: int, note: str = '') -> None:
        r"""
        Tell that `done` steps of the total are done; prints if it is time to, or all is done.
        """
        now = time.monotonic()
        if done < self.total and now - self.printed < PERIOD[not self.is_terminal]:
            return
        self.printed = now
        line = self.line(done, now - self.began, note)
        if self.is_terminal:
            # Blanks over what the line before had more
            print('\r' + line.ljust(self.width), end='', file=self.file, flush=True)
            self.width = len(line)
        else:
            print(line, file=self.file, flush=True)

    def line(self, done: int, seconds: float, note: str) -> str:
        r"""
        The line after `done` steps, `seconds` after the beginning.
        """
        share = done / self.total if self.total else 1.0
        filled = int(share * 24)
        bar = '█' * filled + '░' * (24 - filled)
        here = done - self.start
        rate = here / seconds if here and seconds > 0 else 0.0
        left = f'{clock((self.total - done) / rate)} left' if rate else 'estimating'
        if done >= self.total:
            left = f'in {clock(seconds)}'
        speed = (
            f'{rate:.1f} {self.unit}s/s'
            if rate >= 1 or not rate
            else f'{1 / rate:.1f} s/{self.unit}'
        )
        parts = [f'{bar} {share:4.0%}', f'{done:,}/{self.total:,}', note, speed, left]
        return '  '.join(p for p in parts if p)

    def close(self) -> None:
        r"""
        Leave the line: what is printed next gets its own.
        """
        if self.is_terminal and self.width:
            print(file=self.file, flush=True)
            self.width = 0


def clock(seconds: float) -> str:
    r"""
    A length of time as `m:ss` or `h:mm:ss`; days before it where there are any.
    """
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    if days:
        return f'{days} d {h}:{m:02}:{s:02}'
    return f'{h}:{m:02}:{s:02}' if h else f'{m}:{s:02}'


def progress_bar(total: int, *, unit: str = 'call') -> tuple[Progress, Tell]:
    r"""
    A progress bar over `total` calls of the network, or other units, and what moves it on.
    """
    done = 0
    bar = Progress(total, unit=unit)

    def tell(_: int) -> None:
        nonlocal done
        done += 1
        bar.update(done)

    return bar, tell
