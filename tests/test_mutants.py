"""The table of broken versions is whole and up to date; the command that runs them is honest."""

import json
import re
from collections import Counter

import pytest

from tests.kit.sites import ROOT
from tests.mutants import WITHOUT, Mutant, run, table

# Whose linked tests are shown broken versions: the pages of the mathematics
PAGES = [
    'diffusion/ddpm/__init__.py', 'diffusion/ddpm/ema.py', 'diffusion/ddpm/likelihood.py',
    'diffusion/ddpm/check.py', 'diffusion/ddpm/sampler.py', 'diffusion/ddpm/unet.py',
    'diffusion/schedules.py', 'diffusion/learned_variance.py', 'diffusion/targets.py',
    'diffusion/guidance.py', 'diffusion/samplers/*.py', 'diffusion/editing.py',
    'diffusion/ddpm/exercises.md', 'evaluation/*.py',
]  # fmt: skip


def linked():
    """The tests that these pages name, and where."""
    for pattern in PAGES:
        for page in sorted((ROOT / 'labml_nn').glob(pattern)):
            for test in re.findall(r'\]\(test:([^)]*)\)', page.read_text(encoding='utf-8')):
                yield page.relative_to(ROOT).as_posix(), test


def test_every_text_occurs_once_and_every_test_exists():
    assert run.mistakes(table()) == []


def test_every_linked_test_of_the_mathematics_has_a_mutant():
    have = {test for mutant in table() for test in mutant.tests}
    without = [(page, test) for page, test in linked() if test not in have | set(WITHOUT)]
    assert without == []


def test_what_was_caught_is_of_this_table():
    """What the pages show: after a change of the table the command has to run."""
    said = json.loads((ROOT / run.REPORT).read_text(encoding='utf-8'))
    of = Counter(test for mutant in table() for test in mutant.tests)
    caught = {test: {'killed': n, 'of': n} for test, n in of.items()}
    assert said == caught | {test: {'without': why} for test, why in WITHOUT.items()}


def test_a_part_of_the_table_changes_its_own_rows():
    one, two = mutant('a', 'b', 'test_x', 'test_y'), mutant('c', 'd', 'test_y')
    x, y, left = (f'test_page.py::{name}' for name in ('test_x', 'test_y', 'test_left'))
    known = {x: {'killed': 0, 'of': 1}, y: {'killed': 0, 'of': 2}, left: {'killed': 1, 'of': 1}}
    found = [run.Found(one, x, run.KILLED), run.Found(one, y, run.KILLED)]
    report = run.merged(known, found, [one, two])
    # Of `test_y` only one of two was run, and the last test has no mutant any more
    assert {t: row for t, row in report.items() if t not in WITHOUT} == {
        x: {'killed': 1, 'of': 1}, y: {'killed': 0, 'of': 2},
    }  # fmt: skip
    assert {t for t in report if t in WITHOUT} == set(WITHOUT)


# ## The command
PROJECT = {
    'labml_nn/__init__.py': '',
    'labml_nn/page.py': 'def twice(x):\n    return 2 * x\n',
    'tests/__init__.py': '',
    'tests/test_page.py': (
        'from labml_nn.page import twice\n\n\n'
        'def test_twice():\n    assert twice(3) == 6\n\n\n'
        'def test_of_zero():\n    assert twice(0) == 0\n'
    ),
}


@pytest.fixture
def project(tmp_path):
    for name, text in PROJECT.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def mutant(old, new, *tests):
    return Mutant('labml_nn/page.py', old, new, tuple(f'test_page.py::{name}' for name in tests))


def test_a_mutant_is_killed_or_survives(project):
    broken = mutant('2 * x', '3 * x', 'test_twice', 'test_of_zero')
    crashes = mutant('def twice', 'def thrice', 'test_twice')
    tasks = run.chosen([broken, crashes], quick=False, wanted=[])
    assert [len(tests) for _, tests in tasks] == [2, 1]
    found = run.judge([*run.originals(tasks), *tasks], 1, root=project)
    assert [(one.mutant, one.verdict) for one in found] == [
        (None, run.SURVIVED), (None, run.SURVIVED),
        (broken, run.KILLED), (broken, run.SURVIVED), (crashes, run.BROKEN),
    ]  # fmt: skip
    assert run.counts(found) == {
        'test_page.py::test_of_zero': {'killed': 0, 'of': 1},
        'test_page.py::test_twice': {'killed': 1, 'of': 2},
    }
    # In copies only
    assert (project / 'labml_nn/page.py').read_text() == PROJECT['labml_nn/page.py']


@pytest.mark.parametrize(
    ('old', 'new', 'test', 'message'),
    [
        ('3 * x', 'x', 'test_twice', "0 times, not once: '3 \\* x'"),
        ('x', 'y', 'test_twice', "2 times, not once: 'x'"),
        ('2 * x', '2 *', 'test_twice', 'no other program'),
        ('2 * x', '2 * x', 'test_twice', 'no other program'),
        ('2 * x', '3 * x', 'test_thrice', 'there is no test test_page.py::test_thrice'),
    ],
)
def test_a_table_that_does_not_fit_is_refused(project, old, new, test, message):
    (said,) = run.mistakes([mutant(old, new, test)], project)
    assert re.search(message, said)


def test_the_command_fails_on_a_survivor_and_writes_what_it_found(project, monkeypatch, capsys):
    monkeypatch.setattr(run, 'ROOT', project)
    monkeypatch.setattr(run.judge, '__defaults__', (lambda found: None, project))
    monkeypatch.setattr(run.mistakes, '__defaults__', (project,))
    good, bad = (mutant('2 * x', '3 * x', name) for name in ('test_twice', 'test_of_zero'))
    report = project / run.REPORT
    for mutants, status in (([good], 0), ([good, bad], 1)):
        monkeypatch.setattr(run, 'table', lambda mutants=mutants: mutants)
        assert run.main(['--jobs', '1']) == status
        said = json.loads(report.read_text())
        assert said['test_page.py::test_twice'] == {'killed': 1, 'of': 1}
    assert said['test_page.py::test_of_zero'] == {'killed': 0, 'of': 1}
    assert 'survived: test_page.py::test_of_zero' in capsys.readouterr().out
    monkeypatch.setattr(run, 'table', lambda: [mutant('4 * x', 'x', 'test_twice')])
    assert run.main([]) == 1


def test_the_quick_part_has_one_of_each_test():
    tests = [test for _, several in run.chosen(table(), True, []) for test in several]
    assert len(set(tests)) == len(tests)
    assert set(tests) == {test for m in table() for test in m.tests}
