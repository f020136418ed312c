r"""
# Recorder: what a test has computed

A plug-in of pytest. It leaves only those tests that are asked for, hears the outcome of every case,
and takes along what the case has recorded, by pytest's own means:

```py
def test_the_mean(record_property):
    record_property('digits that agree', 7)
    record_property('the mean', {'computed': [0.5], 'expected': [0.5], 'values': 1,
                                 'difference': 1e-9, 'atol': 1e-6, 'rtol': 0, 'share': 1e-3})
```

`difference` is the largest one among the `values` that were compared, `share` how much of the
tolerance was used where most of it was. Of many cases the page shows the one that came nearest to
failing.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

# What the numbers of a page depend on, besides its own code
LIBRARIES = ('torch', 'numpy')
# How many different things said under one name are kept
MOST = 4


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup('pylit')
    group.addoption('--pylit-named', type=Path, help='the tests to run, as JSON')
    group.addoption('--pylit-said', type=Path, help='where to write what they say')


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption('--pylit-named'):
        config.pluginmanager.register(Recorder(config), 'pylit-recorder')


class Recorder:
    """Hears a run, in this process or in several."""

    def __init__(self, config: pytest.Config):
        self.config = config
        said = json.loads(config.getoption('--pylit-named').read_text(encoding='utf-8'))
        self.below, self.named = said['below'], [said['below'] + test for test in said['tests']]
        # The processes that run tests, if there are several, tell the one that asked for them
        self.worker = hasattr(config, 'workerinput')
        self.cases: dict[str, str] = {}
        self.seconds: dict[str, float] = {}
        self.recorded: dict[str, list[tuple[str, Any]]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        # Before anyone leaves a case out: a test has passed only if all of its cases have
        wanted = set(self.named)
        items[:] = [item for item in items if test_of(item.nodeid) in wanted]
        self.expect(item.nodeid for item in items)
        if self.worker:
            self.config.workeroutput['pylit'] = list(self.cases)  # type: ignore[attr-defined]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: Any) -> None:
        self.expect(getattr(node, 'workeroutput', {}).get('pylit', ()))

    def expect(self, cases: Iterable[str]) -> None:
        for case in cases:
            self.cases.setdefault(case, 'not run')

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        case, before = report.nodeid, self.cases.get(report.nodeid)
        if report.outcome == 'failed':
            self.cases[case] = 'failed'
        elif before != 'failed' and hasattr(report, 'wasxfail'):
            self.cases[case] = 'expected to fail'
        elif before != 'failed' and report.outcome == 'skipped':
            self.cases[case] = 'skipped'
        elif report.when == 'call' and report.outcome == 'passed' and before != 'failed':
            self.cases[case] = 'passed'
        if report.when == 'teardown':
            self.recorded[case] = list(report.user_properties)
        self.seconds[case] = self.seconds.get(case, 0.0) + report.duration

    def pytest_sessionfinish(self) -> None:
        if not self.worker:
            text = json.dumps({'tests': self.tests(), 'versions': versions()})
            self.config.getoption('--pylit-said').write_text(text, encoding='utf-8')

    def tests(self) -> dict[str, Any]:
        """By test: its cases and what came of them, and what they have recorded together."""
        found: dict[str, Any] = {}
        for name in self.named:
            cases = [case for case in sorted(self.cases) if test_of(case) == name]
            recorded = [said for case in cases for said in self.recorded.get(case, ())]
            found[name.removeprefix(self.below)] = {
                'cases': {case[len(name) :]: self.cases[case] for case in cases},
                'seconds': round(sum(self.seconds.get(case, 0.0) for case in cases), 2),
                'recorded': together(recorded),
            }
        return found


def test_of(case: str) -> str:
    """The test of a case: without what is in its brackets."""
    return case.partition('[')[0]


def together(recorded: Iterable[tuple[str, Any]]) -> list[dict[str, Any]]:
    """What all cases have said under each name: the comparison that used most of its tolerance."""
    found: dict[str, dict[str, Any]] = {}
    for what, said in recorded:
        if isinstance(said, dict) and 'difference' in said:
            worst = found.setdefault(what, {'what': what, **said, 'values': 0})
            count = worst.get('values', 0) + said.get('values', 1)
            if said.get('share', 0) > worst.get('share', 0):
                worst.update(said)
            worst['values'] = count
        else:
            one = found.setdefault(what, {'what': what, 'said': []})
            text = str(said)
            if text not in one.get('said', [text]) and len(one['said']) < MOST:
                one['said'].append(text)
    return list(found.values())


def versions() -> dict[str, str]:
    found = {'Python': platform.python_version()}
    for library in LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[library] = importlib.metadata.version(library)
    return {**found, 'platform': f'{platform.system()} {platform.machine()}'}
