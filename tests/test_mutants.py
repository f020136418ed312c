"""The table of broken versions is whole and up to date; the command that runs them is honest."""

import ast
import json
import re
from collections import Counter

import pytest

from labml_nn.pylit.config import load
from tests.kit.sites import ROOT
from tests.mutants import WITHOUT, Mutant, general, run, table


def linked():
    """The tests that the pages of the setting `mutated_pages` name, and where."""
    config = load(ROOT)
    for page in sorted(p for kind in ('*.py', '*.md') for p in (ROOT / 'labml_nn').rglob(kind)):
        if config.lists(page, config.mutated_pages):
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


# ## Every change that a program can think of
@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('x - y', {'x + y'}),
        ('x ** 0.5', {'x * 0.5', 'x ** 1.0'}),
        ('x < y', {'x <= y', 'x >= y'}),
        ('-x', {'x'}),
        ('not x', {'x'}),
        ('x[i]', {'x[i - 1]'}),
        ('x[1:]', {'x[2:]', 'x[0:]'}),
        ('x.exp()', {'x'}),
        ('f(x, dim=y)', {'f(x)'}),
        ('x.clamp(y)', {'x', 'y'}),
        ('x if y else z', {'x if not y else z'}),
        ('x and y', {'x or y'}),
    ],
)
def test_every_operator_number_index_and_call_is_changed(text, expected):
    source = f'def f(x):\n    """Words - no more."""\n    return {text}\n'
    found = list(general.changes('page.py', source))
    shown = {ast.unparse(general.changed(source, one)).splitlines()[-1].split('return ')[1]
             for one in found}  # fmt: skip
    assert shown == expected
    assert {(one.function, one.line, one.last_line) for one in found} == {('f', 3, 3)}


def test_what_is_said_to_be_no_other_program_is_a_change_of_today():
    for file, reasons in general.equivalents().items():
        source = (ROOT / file).read_text(encoding='utf-8')
        made = {change.name for change in general.changes(file, source)}
        assert set(reasons) <= made, file
        assert all(reasons.values())


def test_functions_that_are_there_get_the_changed_code_and_the_changed_default(tmp_path):
    path = str(tmp_path / 'page.py')
    source = 'def f(x, y=1):\n    return x + y\n'
    names = {}
    exec(compile(source, path, 'exec'), names)
    f, seen = names['f'], []
    for one in general.changes(path, source):
        assert general.exchange(
            general.changed(source, one), path, general.functions_of({path})[path]
        )
        seen.append(f(5))
    assert sorted(seen) == [4, 5, 7]  # x - y, and y of 0 and 2
    assert not general.exchange(ast.parse(source), path, {})
