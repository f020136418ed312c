"""Marks: which tests exist, and what a report may say of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labml_nn.pylit.claims import FAILED, NOT_RUN, PASSED, Claim, Report, covered, read_report
from labml_nn.pylit.problems import Mistakes, Refusal
from tests.kit.sites import project, render, site

PAGE = '"""\n# Title\n\nTrue [tested](test:a/test_x.py::test_one).\n\n$$x = y$$\n"""\n'
TEST = 'import pytest\n\n\ndef test_one():\n    """Says one."""\n    assert 1\n'
FILES = {'page.py': PAGE, 'tests/a/test_x.py': TEST}


def report(folder: Path, *cases: str) -> Path:
    path = folder / 'report.xml'
    path.write_text(f'<testsuites><testsuite>{"".join(cases)}</testsuite></testsuites>')
    return path


def case(name: str, inner: str = '', module: str = 'tests.a.test_x') -> str:
    return f'<testcase classname="{module}" name="{name}">{inner}</testcase>'


@pytest.mark.parametrize(
    ('cases', 'verdict'),
    [
        ([], NOT_RUN),
        ([case('test_one')], PASSED),
        ([case('test_one', module='a.test_x')], PASSED),
        ([case('test_one[1]'), case('test_one[2]')], PASSED),
        ([case('test_one[1]'), case('test_one[2]', '<failure/>')], FAILED),
        ([case('test_one[1]'), case('test_one[2]', '<skipped/>')], NOT_RUN),
        ([case('test_one', '<error/>')], FAILED),
        ([case('test_one', module='tests.b.test_x')], NOT_RUN),
        ([case('test_one', module='tests.a.test_xx')], NOT_RUN),
        ([case('test_one_more')], NOT_RUN),
    ],
)
def test_a_tick_is_earned(tmp_path: Path, cases: list[str], verdict: str) -> None:
    project(tmp_path, FILES)
    shown = render(tmp_path, 'page.py', junit=report(tmp_path, *cases))['page.html']
    assert f'<span class="state">{verdict}</span>' in shown
    assert shown.count('class="claim') == 1
    assert (f'class="claim {verdict.replace(" ", "-")}"') in shown


def test_without_a_report_nothing_has_passed(tmp_path: Path) -> None:
    project(tmp_path, FILES)
    assert 'class="claim not-run"' in render(tmp_path, 'page.py')['page.html']


@pytest.mark.parametrize('changed', ['page.py', 'tests/a/test_x.py'])
def test_a_report_older_than_its_test_or_page_says_nothing(tmp_path: Path, changed: str) -> None:
    project(tmp_path, FILES)
    path = report(tmp_path, case('test_one'))
    later = path.stat().st_mtime + 10
    os.utime(tmp_path / changed, (later, later))
    assert 'class="claim not-run"' in render(tmp_path, 'page.py', junit=path)['page.html']


def test_the_mark_leads_to_the_source_of_the_test(tmp_path: Path) -> None:
    project(tmp_path, FILES)
    files = render(tmp_path, 'page.py')
    assert 'href="tests/a/test_x.html#L4"' in files['page.html']
    assert 'id="L4"' in files['tests/a/test_x.html']
    # A reader is not led through the tests as if they were chapters
    assert 'test_x.html' not in files['index.html']


@pytest.mark.parametrize(
    'target',
    ['a/test_x.py::test_two', 'a/test_y.py::test_one', '../page.py::x', 'a/test_x.py', 'x'],
)
def test_a_test_that_does_not_exist_is_an_error(tmp_path: Path, target: str) -> None:
    project(tmp_path, {**FILES, 'page.py': f'"""\nx\n[t](test:{target})\n"""\n'})
    with pytest.raises(Mistakes, match=r'page\.py:3:5: error: there is no test') as caught:
        render(tmp_path, 'page.py')
    assert len(caught.value.problems) == 1


def test_methods_of_test_classes(tmp_path: Path) -> None:
    source = 'class TestX:\n    def test_y(self): pass\n'
    page = '"""[t](test:test_x.py::TestX::test_y)"""\n'
    project(tmp_path, {'page.py': page, 'tests/test_x.py': source})
    path = report(tmp_path, case('test_y', module='tests.test_x.TestX'))
    assert 'class="claim passed"' in render(tmp_path, 'page.py', junit=path)['page.html']


@pytest.mark.parametrize(
    'text',
    ['', 'not xml', '<!DOCTYPE x [<!ENTITY a "b">]><testsuite/>'],
    ids=['empty', 'no', 'dtd'],
)
def test_a_report_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / 'report.xml'
    path.write_text(text)
    with pytest.raises(Refusal, match='not a test report'):
        read_report(path)


def test_a_report_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match='No such file'):
        read_report(tmp_path / 'none.xml')


# ## Counting
@pytest.mark.parametrize(
    ('blocks', 'expected'),
    [
        ('', set()),
        ('e m', {0}),
        ('e e m', {1}),
        ('m e e', {0}),
        ('e m m', {0}),
        ('e h m', set()),
        ('e h m e', {1}),
        ('e m e m', {0, 1}),
    ],
)
def test_a_mark_vouches_for_one_equation(blocks: str, expected: set[int]) -> None:
    names, found, count = {'h': 'heading', 'e': 'equation', 'm': 'mark'}, [], 0
    for letter in blocks.split():
        found.append((names[letter], count))
        count += letter == 'e'
    assert covered(found) == expected


def test_the_index_tells_how_many(tmp_path: Path) -> None:
    page = PAGE.replace('$$x = y$$', '$$x$$\n\n$$y$$\n\n## Two\n\n$$z$$')
    project(tmp_path, {**FILES, '__init__.py': page, 'page.py': '# nothing\n'})
    made = site(tmp_path, junit=report(tmp_path, case('test_one')))
    shown = made.render()['index.html'].decode()
    made.close()
    assert '<strong>1 of the 3 equations</strong> on these pages carry a test' in shown
    assert 'All 1 tests that are named passed' in shown
    made = site(tmp_path, junit=report(tmp_path, case('test_one', '<failure/>')))
    assert '0 of the 1 tests that are named passed' in made.render()['index.html'].decode()
    made.close()
    assert 'named passed' not in render(tmp_path)['index.html']


def test_the_verdict_of_nothing() -> None:
    assert Report().verdict(Claim('test_x.py', 'test_one'), 0.0) == NOT_RUN
