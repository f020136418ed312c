r"""
# Claims: a sentence and the test that checks it

A paragraph names its test with a link of the scheme `test:`, the path below the project's tests:

```md
This is Bayes' rule [tested](test:diffusion/ddpm/test_posterior.py::test_is_bayes_rule).
```

The page turns the link into a mark that leads to the source of the test. After a run of the tests
(`--junit report.xml`) the mark says *passed*, *failed* or *not run*.

A displayed equation that only introduces a name has nothing to be tested. The line below it says
so, `<!-- no-test: definition -->`, which no page shows; such an equation is not counted.

> **A tick is earned, never assumed.** Without a report nothing has passed. A test with several
> cases passes if every case ran and passed. A report that is older than the test or than the
> sentence says nothing about either
> [tested](test:pylit/test_claims.py::test_a_tick_is_earned).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from .problems import Refusal

PASSED, FAILED, NOT_RUN = 'passed', 'failed', 'not run'


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


@dataclass
class Report:
    """What a run of the tests has said: the outcomes of every case of every test."""

    outcomes: dict[str, list[str]] = field(default_factory=dict)
    written: float = 0.0

    def verdict(self, claim: Claim, newest: float) -> str:
        """`newest` is when the test or the page that names it was last changed."""
        dotted = claim.path.removesuffix('.py').replace('/', '.')
        wanted = f'{dotted}.{claim.name}'
        # A report says `tests.…` or not, depending on where the run was started
        found = [
            outcome
            for name, outcomes in self.outcomes.items()
            if name == wanted or name.endswith(f'.{wanted}')
            for outcome in outcomes
        ]
        if not found or newest > self.written:
            return NOT_RUN
        if FAILED in found:
            return FAILED
        return NOT_RUN if NOT_RUN in found else PASSED


def read_reports(paths: Iterable[Path]) -> Report:
    """Several reports as one; what was changed after the first of them counts as not run."""
    reports = [read_report(path) for path in paths]
    whole = Report(written=min((report.written for report in reports), default=0.0))
    for report in reports:
        for name, outcomes in report.outcomes.items():
            whole.outcomes.setdefault(name, []).extend(outcomes)
    return whole


def read_report(path: Path) -> Report:
    """Read the JUnit XML that `pytest --junit-xml` writes."""
    try:
        text = path.read_text(encoding='utf-8')
        if '<!DOCTYPE' in text or '<!ENTITY' in text:
            raise Refusal(f'{path}: not a test report: it defines entities')
        root = ElementTree.fromstring(text)
    except OSError as error:
        raise Refusal(f'{path}: {error.strerror}') from None
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise Refusal(f'{path}: not a test report: {error}') from None
    report = Report(written=path.stat().st_mtime)
    for case in root.iter('testcase'):
        name = re.sub(r'\[.*', '', case.get('name', ''), flags=re.S)
        full = f'{case.get("classname", "")}.{name}'
        report.outcomes.setdefault(full, []).append(_outcome(case))
    return report


def _outcome(case: ElementTree.Element) -> str:
    kinds = {child.tag for child in case}
    if kinds & {'failure', 'error'}:
        return FAILED
    return NOT_RUN if 'skipped' in kinds else PASSED


def is_test(name: str, kind: str) -> bool:
    """Whether a definition is a test: `test_x`, or `TestY.test_x`."""
    return kind == 'function' and name.split('.')[-1][:4] == 'test'


# ## How much of the mathematics is tested
@dataclass(frozen=True)
class Coverage:
    """Equations on all pages, those that carry a test; the tests that are named, and passed."""

    equations: int
    tested: int
    named: int
    passed: int
    # Whether there is a report of the tests at all
    reported: bool = False


# A mark vouches for one equation: the display formula in its own paragraph, else the last one
# above it since the heading, else the next one below. So a page cannot call ten equations tested
# by naming one test.
def covered(blocks: Iterable[tuple[str, int]]) -> set[int]:
    """From (kind, number) of headings, equations and marks in reading order to equations."""
    found: set[int] = set()
    last, waiting = -1, False
    for kind, number in blocks:
        if kind == 'heading':
            last, waiting = -1, False
        elif kind == 'equation':
            last = number
            if waiting:
                found.add(number)
                waiting = False
        elif last >= 0:
            found.add(last)
        else:
            waiting = True
    return found
