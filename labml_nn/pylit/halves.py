r"""
# Halves: a second process for the second core

A first build understands, colours and writes every page, and one process uses one core. So where
there is much to do, a **partner** is forked. Both go through the same steps with the same list, and
each does a half of it; then they exchange what they have found. What they exchange are
[results under the hashes](remembered.py) of what they are made from: a partner that dies takes
nothing with it but time, and what comes out is the same to the byte
[tested](test:pylit/test_site.py::test_two_processes_build_the_same_site).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess


class Partner:
    """The other of two processes that do the same, as each of them sees it."""

    def __init__(self, connection: Connection, second: bool, process: BaseProcess | None = None):
        self.connection, self.second, self.process = connection, second, process
        self.gone = False
        # Who has had what: the same again is half done already
        self.had: dict[str, bool] = {}

    def half(self, weights: Mapping[str, int]) -> set[str]:
        """Our half of what both have a list of: the heaviest first, each to whom has less."""
        if self.gone:
            return set(weights)
        loads = [0, 0]
        for name in sorted(weights, key=lambda name: (name not in self.had, -weights[name], name)):
            side = self.had.setdefault(name, loads[1] < loads[0])
            loads[side] += weights[name]
        return {name for name in weights if self.had[name] == self.second}

    def swap(self, ours: dict[str, Any]) -> dict[str, Any]:
        """What the other has found, for what we have found. Nothing if it is no longer there."""
        if self.gone:
            return {}
        try:
            if self.second:
                self.connection.send(ours)
            theirs: dict[str, Any] = self.connection.recv()
            if not self.second:
                self.connection.send(ours)
        except (EOFError, OSError):
            self.gone = True
            return {}
        return theirs

    def close(self) -> None:
        self.connection.close()
        if self.process:
            # It has nothing more to say
            self.process.terminate()
            self.process.join()


def begin(work: Callable[[Partner], object]) -> Partner | None:
    """A process that does the same work from the other side; none where it could not help."""
    import multiprocessing  # most builds have little to do

    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    forks = 'fork' in multiprocessing.get_all_start_methods()
    # A lock that another thread holds stays locked in a fork of this process
    if (cores or 1) < 2 or not forks or threading.active_count() > 1:
        return None
    context = multiprocessing.get_context('fork')
    here, there = context.Pipe()

    def other() -> None:
        here.close()
        # Whatever goes wrong goes wrong in the first process too, which says so
        with suppress(Exception):
            work(Partner(there, second=True))
        os._exit(0)

    process = context.Process(target=other, daemon=True)
    process.start()
    there.close()
    return Partner(here, second=False, process=process)
