r"""
# Claims: a sentence and the test that checks it

A paragraph names its test with a link of the scheme `test:`, the path below the project's tests:

```md
This is Bayes' rule [tested](test:diffusion/ddpm/test_posterior.py::test_is_bayes_rule).
```

The page turns the link into a mark. It leads to the source of the test, and says whether the test
*passed*, *failed* or was *not run*. `build --test` [runs the tests](testing.py) that the pages
name, and keeps what they said in a **report**; [proofs](proofs.py) shows it.

A mark that follows a displayed equation stands beside it
[tested](test:pylit/test_claims.py::test_the_mark_behind_an_equation_stands_beside_it).

A displayed equation that only introduces a name has nothing to be tested. The line below it says
so, `<!-- no-test: definition -->`, which no page shows; such an equation is not counted.

A test that passes on a broken formula proves nothing. A project may break its own code, one place
at a time, run the tests that pages name, and write down how many of those versions each has caught:
`{"test_x.py::test_name": {"killed": 2, "of": 2}}` in the file of the setting `mutants`, or
`{"without": "why none"}`. The panel of a mark shows the count.

> **A tick is earned, never assumed.** Without a report nothing has passed. A test with several
> cases passes if every case ran and passed; one that was skipped, or expected to fail, has not
> passed. A report holds a hash of the sources and the tests that it was made from, and says nothing
> about any others [tested](test:pylit/test_claims.py::test_a_tick_is_earned).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import swap
from .config import Config
from .problems import Refusal
from .unchanged import is_file

PASSED, FAILED, NOT_RUN = 'passed', 'failed', 'not run'
# In the folder of `pyproject.toml`: what a run of the tests has said
REPORT = 'report-tests.json'
KIND = 'pylit tests 1'


@dataclass(frozen=True)
class Claim:
    """The target of a `test:` link, split at its colons."""

    path: str
    name: str

    @classmethod
    def of(cls, href: str) -> Claim | None:
        path, _, name = href.removeprefix('test:').partition('::')
        ok = path.endswith('.py') and name and not {'..', ''} & set(path.split('/'))
        return cls(path, name.replace('::', '.')) if ok else None

    @property
    def test(self) -> str:
        """The name that pytest has for the test, below the folder of the tests."""
        return f'{self.path}::{self.name.replace(".", "::")}'


# ## What a run has said
@dataclass(frozen=True)
class Report:
    """What a run of the tests has said, of every case of every test."""

    # By the name of the test: `cases` with their outcomes, `seconds`, and what was `recorded`
    tests: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sources: str = ''
    # What was hashed, below the folder of the project
    roots: Sequence[str] = ()
    when: str = ''
    # Of Python and the libraries, and the platform
    versions: Mapping[str, str] = field(default_factory=dict)

    def verdict(self, claim: Claim) -> str:
        outcomes = set(self.tests[claim.test]['cases'].values()) if claim.test in self.tests else ()
        if FAILED in outcomes:
            return FAILED
        return PASSED if outcomes == {PASSED} else NOT_RUN


def read_report(path: Path) -> Report:
    """A report as `write_report` has written it. Anything else is refused."""
    try:
        said = json.loads(path.read_text(encoding='utf-8'))
        if said['kind'] != KIND:
            raise Refusal(f'{path}: a report of another kind: {str(said["kind"])[:40]!r}')
        report = Report(**{k: v for k, v in said.items() if k != 'kind'})
        for test in report.tests.values():
            if not all(isinstance(x, str) for x in test['cases'].values()):
                raise TypeError
            for one in test['recorded']:
                dict(one)['what']
        if not all(isinstance(x, str) for x in (report.sources, report.when, *report.roots)):
            raise TypeError
        dict(report.versions)
    except OSError as error:
        raise Refusal(f'{path}: {error.strerror}') from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refusal(f'{path}: not a report of `pylit test`') from None
    return report


def write_report(report: Report, path: Path) -> None:
    """What the tests have said, for `read_report`."""
    text = json.dumps({'kind': KIND, **vars(report)}, indent=1, sort_keys=True)
    swap.put(path, f'{text}\n')


def believed(config: Config, paths: Sequence[Path], path: Path | None = None) -> tuple[Report, str]:
    """The report of exactly these sources; or an empty one, and why."""
    path = path or config.root / REPORT
    if not is_file(path):
        return Report(), 'the tests that the pages name have not been run'
    try:
        report = read_report(path)
    except Refusal as refusal:
        return Report(), str(refusal)
    wanted = {*roots(config, paths)}
    inside = all(any(_below(one, root) for root in report.roots) for one in wanted)
    if not inside or sources(config, report.roots) != report.sources:
        return Report(), f'{path.name} is of other sources or tests'
    return report, ''


# ## What was broken
@dataclass(frozen=True)
class Caught:
    """How many broken versions of the code a test was shown and has caught; or why none."""

    killed: int = 0
    of: int = 0
    without: str = ''


def caught(config: Config) -> dict[str, Caught]:
    """By the name of the test, from the file that the setting `mutants` names."""
    try:
        said = json.loads((config.root / config.mutants).read_text(encoding='utf-8'))
        found = {str(test): Caught(**row) for test, row in said.items()}
        if not all(isinstance(n, int) for one in found.values() for n in (one.killed, one.of)):
            raise TypeError
        return found
    except OSError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError):
        known = '{test: {killed, of}} or {test: {without}}'
        raise Refusal(f'{config.mutants}: not {known} for each test') from None


# ## Of which sources
#
# Everything that a test may depend on: the files of the pages, what lies beside them as text, and
# all that is in the folder of the tests. What is hidden, or made from the rest, is left out.
TEXT = frozenset({
    '.py', '.pyi', '.md', '.toml', '.cfg', '.ini', '.json', '.yaml', '.yml', '.js', '.mjs', '.css',
    '.html', '.txt', '.po',
})  # fmt: skip
SETTINGS = ('conftest.py', 'pyproject.toml', 'pytest.ini', 'setup.cfg', 'tox.ini')
MARKS = ('pyvenv.cfg', '.pylit-manifest.json')
MADE = frozenset({'__pycache__', 'node_modules', 'build', 'dist', 'site', 'venv', 'env'})


def roots(config: Config, paths: Iterable[Path]) -> list[str]:
    """Where the sources of these pages lie, and the tests: from the folder of the project."""
    found = {_called(config.root.resolve(), path.resolve()) for path in paths}
    return sorted(found | {config.tests})


def sources(config: Config, below: Iterable[str]) -> str:
    """A hash of what the files are called and what is in them."""
    digest = hashlib.sha256()
    for name in sorted({name for one in below for name in _files(config, one)}):
        digest.update(f'{name}\0'.encode('utf-8', 'surrogateescape'))
        digest.update(hashlib.sha256((config.root / name).read_bytes()).digest())
    return digest.hexdigest()


def _files(config: Config, below: str) -> Iterator[str]:
    root, start = config.root, config.root / below
    yield from (name for name in SETTINGS if is_file(root / name))
    if is_file(start):
        # A file by itself may import those beside it
        yield from (_called(root, path) for path in {start, *start.parent.glob('*.py')})
    for folder, folders, files in os.walk(start):
        folders[:] = [f for f in folders if f[0] != '.' and f not in MADE and not _made(folder, f)]
        for file in files:
            suffix = os.path.splitext(file)[1]
            is_source = suffix in TEXT or (below == config.tests and suffix != '.pyc')
            is_ours = file[0] != '.' and file not in (REPORT, Path(config.mutants).name)
            if is_source and is_ours and os.path.isfile(os.path.join(folder, file)):
                yield _called(root, Path(folder, file))


def _called(root: Path, path: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


def _made(folder: str, name: str) -> bool:
    """An environment, or a site of ours."""
    return any(os.path.exists(os.path.join(folder, name, mark)) for mark in MARKS)


def _below(one: str, root: str) -> bool:
    return root == '.' or one == root or one.startswith(f'{root}/')


def is_test(name: str, kind: str) -> bool:
    """Whether a definition is a test: `test_x`, or `TestY.test_x`."""
    return kind == 'function' and name.split('.')[-1][:4] == 'test'


# ## How much of the mathematics is tested
@dataclass(frozen=True)
class Coverage:
    """Displayed equations of all pages, how many of them carry a test, and what came of it."""

    equations: int
    tested: int
    # Equations whose tests have all passed
    passed: int
    # Tests that the pages name, and those of them that have passed
    named: int
    named_passed: int
    # The day of the run, and with which version of what; nothing if there is no report of it
    when: str = ''
    versions: Mapping[str, str] = field(default_factory=dict)


# A mark vouches for one equation: the display formula in its own paragraph, else the last one
# above it since the heading, else the next one below. So a page cannot call ten equations tested
# by naming one test.
def covered(blocks: Iterable[tuple[str, int]]) -> dict[int, list[int]]:
    """From (kind, number) of headings, equations and marks in reading order: which equation has
    which marks."""
    found: dict[int, list[int]] = {}
    last, waiting = -1, list[int]()
    for kind, number in blocks:
        if kind == 'heading':
            last, waiting = -1, []
        elif kind == 'equation':
            last = number
            if waiting:
                found[number], waiting = waiting, []
        elif last >= 0:
            found.setdefault(last, []).append(number)
        else:
            waiting.append(number)
    return found
