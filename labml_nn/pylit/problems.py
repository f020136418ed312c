r"""
# What is wrong, and where

An author's mistake is answered in one line an editor can jump to: `file:line:col: error: …`.
A run collects every mistake before it gives up, because five mistakes found one by one are
five builds.

A `Problem` lies in the author's files. A `Refusal` ends the run before there is anything to
collect: the folder is not there, the disk is full, the output belongs to someone else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Severity = Literal['error', 'warning', 'note']


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake. Lines count from 1, and so do columns, as editors do."""

    path: str
    line: int
    column: int
    severity: Severity
    message: str
    excerpt: str = field(default='', compare=False)

    def __str__(self) -> str:
        head = f'{self.path}:{self.line}:{self.column}: {self.severity}: {self.message}'
        if not self.excerpt:
            return head
        # The caret stands under the column; tabs are kept so that it stands there on any terminal
        lead = ''.join('\t' if c == '\t' else ' ' for c in self.excerpt[: self.column - 1])
        return f'{head}\n    {self.excerpt}\n    {lead}^'


class Refusal(Exception):
    """The run cannot go on: bad arguments, or a machine that says no. Exit status 2."""


class Mistakes(Exception):
    """The input is wrong; the problems say where. Exit status 1."""

    def __init__(self, problems: Sequence[Problem]):
        super().__init__('\n'.join(map(str, problems)))
        self.problems = list(problems)


class Problems(list[Problem]):
    """Everything found so far, each mistake once."""

    def __init__(self, problems: Iterable[Problem] = ()):
        super().__init__()
        # A list would be looked through for each mistake
        self.known: set[Problem] = set()
        self.extend(problems)

    def error(self, where: tuple[Path | str, int, int], message: str, excerpt: str = '') -> None:
        self.append(Problem(str(where[0]), where[1], where[2], 'error', message, excerpt))

    def warning(self, where: tuple[Path | str, int, int], message: str, excerpt: str = '') -> None:
        self.append(Problem(str(where[0]), where[1], where[2], 'warning', message, excerpt))

    def note(self, where: tuple[Path | str, int, int], message: str) -> None:
        """What may be as it should be, and stands in nobody's way."""
        self.append(Problem(str(where[0]), where[1], where[2], 'note', message))

    def append(self, problem: Problem) -> None:
        if problem not in self.known:
            self.known.add(problem)
            super().append(problem)

    def extend(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self.append(problem)

    @property
    def errors(self) -> list[Problem]:
        return [p for p in self if p.severity == 'error']

    @property
    def serious(self) -> list[Problem]:
        """Errors and warnings."""
        return [p for p in self if p.severity != 'note']

    def raise_errors(self) -> None:
        if self.errors:
            raise Mistakes(sorted(self))


# ## Three ways to print them
def as_text(problems: Iterable[Problem]) -> str:
    """For people and editors."""
    return '\n'.join(map(str, problems))


def as_json(problems: Iterable[Problem]) -> str:
    """For programs: one array, nothing else on the stream."""
    keys = ('path', 'line', 'column', 'severity', 'message')
    return json.dumps([{k: getattr(p, k) for k in keys} for p in problems], indent=2)


def as_github(problems: Iterable[Problem]) -> str:
    """For a workflow log: each line becomes a note beside the author's diff."""
    levels = {'note': 'notice'}
    return '\n'.join(
        f'::{levels.get(p.severity, p.severity)} '
        f'file={p.path},line={p.line},col={p.column}::{_escape(p.message)}'
        for p in problems
    )


def _escape(message: str) -> str:
    # The runner reads `%` and line ends as its own syntax
    return message.replace('%', '%25').replace('\r', '%0D').replace('\n', '%0A')


FORMATS = {'text': as_text, 'json': as_json, 'github': as_github}
