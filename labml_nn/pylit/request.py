r"""
# Request: what the command line asks for

It is read before anything of the renderer is imported, so that an answer that is
[known already](unchanged.py) comes at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import origin
from .config import Config
from .remembered import Memory, cache_home, fingerprint, program


@dataclass
class Request:
    """What the command line asks for."""

    paths: Sequence[Path]
    config: Config
    out: Path | None = None
    # A run of the tests; by default the one in the folder of the project
    report: Path | None = None
    languages: Sequence[str] | None = None
    execute: bool = False
    # Formulas are always remembered; pages only by who writes them
    remember: bool = True
    keep: bool = False
    # Whether mistakes are marked on the pages and do not stand in the way of the rest
    lenient: bool = False

    def memory(self) -> Memory:
        """What earlier builds have left, if this one may know of it."""
        return Memory(cache_home() / 'pages-2.sqlite' if self.keep else None)

    def name(self, *more: object) -> str:
        """A name for all that is asked, by whom, where, and of which program."""
        kept = origin.find(self.config)
        # A set has another order in each process
        files = [names if names is None else sorted(names) for names in (kept.known, kept.exact)]
        return fingerprint(
            program(), Path.cwd(), self.paths, self.config, self.out and self.out.absolute(),
            self.report, self.languages, self.execute, self.lenient,
            kept.base, kept.root, kept.site, files, *more,
        )  # fmt: skip
