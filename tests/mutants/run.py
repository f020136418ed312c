"""The command: each mutant in a copy of the project, its tests there, and what they said.

torch is imported once. Each worker has a copy of its own, and forks a process for each mutant, in
which the package is imported anew. Nothing is written outside the copies but the report.
"""

import argparse
import ast
import contextlib
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing import current_process, get_context
from pathlib import Path
from typing import Any

from tests.mutants import WITHOUT, Mutant, table

ROOT = Path(__file__).parents[2]
# The setting `mutants` of [tool.pylit]: the panels of the pages show it, and `check` asks for it
REPORT = 'tests/mutants/caught.json'
# What tests look at, besides the package and themselves
COPIED = ('labml_nn', 'tests', 'docs', 'pyproject.toml', 'setup.py', 'README.md')
# Of a folder of tests these are what takes room and is not needed
LEFT_OUT = shutil.ignore_patterns('__pycache__', 'node_modules', 'site', '*.png', '*.gif')
# A test that takes longer than this hangs
MOST_SECONDS = 1800
KILLED, SURVIVED, BROKEN = 'killed', 'survived', 'broken'


@dataclass(frozen=True)
class Found:
    """What one test said of one mutant; of none, the test as it is."""

    mutant: Mutant | None
    test: str
    verdict: str
    text: str = ''


def mistakes(mutants: Iterable[Mutant], root: Path = ROOT) -> list[str]:
    """What is wrong with the table itself: texts that are not there once, tests that are none."""
    found = []
    for m in mutants:
        path = root / m.file
        text = path.read_text(encoding='utf-8') if path.is_file() else ''
        times = text.count(m.old)
        if times != 1:
            found.append(f'{m.file}: {times} times, not once: {m.old!r}')
        elif m.new == m.old or (path.suffix == '.py' and not _parses(text.replace(m.old, m.new))):
            found.append(f'{m.file}: no other program with {m.new!r}')
        for test in m.tests:
            file, _, name = test.partition('::')
            source = root / 'tests' / file
            if not source.is_file() or f'def {name}(' not in source.read_text(encoding='utf-8'):
                found.append(f'there is no test {test}')
    return found


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


# A mutant, or none, and the tests that are run on it
Task = tuple[Mutant | None, tuple[str, ...]]


def chosen(mutants: list[Mutant], quick: bool, wanted: list[str]) -> list[Task]:
    """Each mutant with its tests; for the quick part each test with the first mutant it has."""
    found: list[Task] = []
    had: set[str] = set()
    for m in mutants:
        tests = [t for t in m.tests if all(w in f'{t} {m.file}' for w in wanted)]
        tests = [t for t in tests if not (quick and t in had)]
        had |= set(tests)
        if tests:
            found.append((m, tuple(tests)))
    return found


def originals(tasks: list[Task]) -> list[Task]:
    """The same tests without a mutant, a file at a time. One that fails notices nothing."""
    files: dict[str, dict[str, None]] = {}
    for _, tests in tasks:
        for test in tests:
            files.setdefault(test.partition('::')[0], {})[test] = None
    return [(None, tuple(tests)) for tests in files.values()]


# ## One worker
class Worker:
    """A copy of the project in which one mutant at a time takes the place of the original."""

    def __init__(self, root: Path, folder: Path):
        self.root = Path(tempfile.mkdtemp(dir=folder))
        for name in COPIED:
            source = root / name
            if source.is_dir():
                shutil.copytree(source, self.root / name, ignore=LEFT_OUT)
            elif source.exists():
                shutil.copy(source, self.root / name)

    def __call__(self, task: Task) -> list[Found]:
        mutant, tests = task
        if mutant is None:
            said, text = self._run(tests)
        else:
            path = self.root / mutant.file
            original = path.read_text(encoding='utf-8')
            path.write_text(original.replace(mutant.old, mutant.new), encoding='utf-8')
            try:
                said, text = self._run(tests)
            finally:
                path.write_text(original, encoding='utf-8')
        # Of a test that was not run at all nothing is known
        verdicts = {'failed': KILLED, 'passed': SURVIVED, 'skipped': SURVIVED}
        return [Found(mutant, t, verdicts.get(said.get(t, ''), BROKEN), text) for t in tests]

    def _run(self, tests: tuple[str, ...]) -> tuple[dict[str, str], str]:
        out, outcomes = self.root / 'out.txt', self.root / 'outcomes.json'
        outcomes.unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                outcomes.write_text(json.dumps(self._test(tests, out)), encoding='utf-8')
            os._exit(0)
        os.waitpid(child, 0)
        said = json.loads(outcomes.read_text(encoding='utf-8')) if outcomes.exists() else {}
        return said, out.read_text(encoding='utf-8') if out.exists() else ''

    def _test(self, tests: tuple[str, ...], out: Path) -> dict[str, str]:
        signal.alarm(MOST_SECONDS)
        # A process of the pool may have no children; this is none, and there are tests with some
        vars(current_process())['_config']['daemon'] = False
        os.chdir(self.root)
        # The package and the tests are those of the copy; torch stays
        for name in [n for n in sys.modules if n.split('.')[0] in ('labml_nn', 'tests')]:
            del sys.modules[name]
        sys.path[:] = [str(self.root), *(p for p in sys.path if Path(p or '.').resolve() != ROOT)]
        os.environ['PYTHONPATH'] = str(self.root)
        os.environ['PYTEST_DISABLE_PLUGIN_AUTOLOAD'] = '1'
        import pytest

        listener = Listener()
        options = ['-q', '-p', 'no:cacheprovider', '-W', 'ignore', '-m', '']
        with (
            out.open('w', encoding='utf-8') as file,
            contextlib.redirect_stdout(file),
            contextlib.redirect_stderr(file),
        ):
            pytest.main([*options, *(f'tests/{test}' for test in tests)], plugins=[listener])
        return listener.outcomes


class Listener:
    """A plugin of pytest: what each test says, all its cases together, up to the first failure."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    @staticmethod
    def name(nodeid: str) -> str:
        return nodeid.partition('[')[0].removeprefix('tests/')

    def pytest_runtest_setup(self, item: Any) -> None:
        import pytest

        if self.outcomes.get(self.name(item.nodeid)) == 'failed':
            pytest.skip('another case has failed')

    def pytest_runtest_logreport(self, report: Any) -> None:
        name = self.name(report.nodeid)
        if report.failed or (report.when == 'call' and self.outcomes.get(name) != 'failed'):
            self.outcomes[name] = report.outcome


_worker: Worker


def _begin(root: Path, folder: Path) -> None:
    global _worker
    sys.dont_write_bytecode = True  # a mutant of the same length would be taken for its original
    tempfile.tempdir = str(folder)
    os.environ['TMPDIR'] = str(folder)
    _worker = Worker(root, folder)


def _work(task: Task) -> list[Found]:
    return _worker(task)


def preload() -> None:
    """What is slow to import, and is no part of the project."""
    with contextlib.redirect_stderr(io.StringIO()):
        import hypothesis
        import numpy
        import pytest
        import torch

        torch.set_num_threads(1)
    assert all((hypothesis, numpy, pytest))


def judge(
    tasks: list[Task],
    jobs: int,
    tell: Callable[[Found], None] = lambda found: None,
    root: Path = ROOT,
) -> list[Found]:
    """What each test says of its mutants, in no order; `tell` hears of each as it comes."""
    preload()
    with tempfile.TemporaryDirectory(prefix='labml_nn_mutants_') as folder:
        begin = (root, Path(folder))
        found: list[Found] = []
        with get_context('fork').Pool(jobs, _begin, begin) as pool:
            for several in pool.imap_unordered(_work, tasks):
                for one in several:
                    tell(one)
                found += several
            pool.close()
            pool.join()
    return found


# ## What is said
def counts(found: Iterable[Found]) -> dict[str, dict[str, int]]:
    """For each test that a page names: how many broken versions it was shown, and has noticed."""
    report: dict[str, dict[str, int]] = {}
    for one in found:
        if one.mutant is not None:
            row = report.setdefault(one.test, {'killed': 0, 'of': 0})
            row['of'] += 1
            row['killed'] += one.verdict == KILLED
    return dict(sorted(report.items()))


def merged(report: dict[str, Any], found: Iterable[Found], mutants: list[Mutant]) -> dict[str, Any]:
    """The report with the tests of which all mutants were run now, and without those that left."""
    whole = Counter(test for mutant in mutants for test in mutant.tests)
    report = {test: row for test, row in report.items() if test in whole}
    report |= {test: row for test, row in counts(found).items() if row['of'] == whole[test]}
    return dict(sorted((report | {t: {'without': why} for t, why in WITHOUT.items()}).items()))


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog='python -m tests.mutants', description=table.__doc__)
    p.add_argument('wanted', nargs='*', help='only those with all of these in test or file')
    p.add_argument('--quick', action='store_true', help='one mutant for each test')
    p.add_argument('--jobs', type=int, default=len(os.sched_getaffinity(0)), help='processes')
    p.add_argument('--verbose', action='store_true', help='what the tests have printed')
    return p


def main(arguments: list[str]) -> int:
    a = parser().parse_args(arguments)
    mutants = table()
    wrong = mistakes(mutants)
    if wrong:
        print(*wrong, sep='\n', file=sys.stderr)
        return 1
    tasks = chosen(mutants, a.quick, a.wanted)
    began = time.monotonic()
    bad = []

    def tell(one: Found) -> None:
        if one.verdict != (SURVIVED if one.mutant is None else KILLED):
            bad.append(one)
            what = f'{one.mutant.file}: {one.mutant.old!r} -> {one.mutant.new!r}' if (
                one.mutant) else 'fails on the original'  # fmt: skip
            print(f'{one.verdict}: {one.test}\n    {what}', flush=True)
            if a.verbose or one.verdict == BROKEN:
                print(one.text[-3000:])

    # Whether the tests pass on the code as it is, the suite says itself
    whole = [] if a.quick else originals(tasks)
    found = judge([*whole, *tasks], a.jobs, tell)
    report = counts(found)
    killed, of = (sum(row[key] for row in report.values()) for key in ('killed', 'of'))
    for test, row in report.items():
        print(f'{row["killed"]:3} of {row["of"]:3}  {test}')
    print(f'{killed} of {of} noticed, {len(report)} tests, {time.monotonic() - began:.0f} s')
    path = ROOT / REPORT
    known = json.loads(path.read_text(encoding='utf-8')) if path.is_file() else {}
    if not a.quick:
        rows = merged(known, found, mutants).items()
        lines = ',\n'.join(f'{json.dumps(test)}: {json.dumps(row)}' for test, row in rows)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{{\n{lines}\n}}\n', encoding='utf-8')
    return 1 if bad else 0
