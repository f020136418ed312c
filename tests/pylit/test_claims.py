"""Marks: which tests exist, and what a report may say of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from labml_nn.pylit.claims import FAILED, NOT_RUN, PASSED, Claim, Report, covered, read_report
from labml_nn.pylit.problems import Mistakes, Refusal
from tests.kit.sites import project, render, reported

PAGE = '"""\n# Title\n\nTrue [tested](test:a/test_x.py::test_one).\n\n$$x = y$$\n"""\n'
TEST = 'import pytest\n\n\ndef test_one():\n    """Says one."""\n    assert 1\n'
FILES = {'page.py': PAGE, 'tests/a/test_x.py': TEST}
ONE = 'a/test_x.py::test_one'


@pytest.mark.parametrize(
    ('cases', 'verdict'),
    [
        ({}, NOT_RUN),
        ({'': PASSED}, PASSED),
        ({'[1]': PASSED, '[2]': PASSED}, PASSED),
        ({'[1]': PASSED, '[2]': FAILED}, FAILED),
        ({'[1]': PASSED, '[2]': 'skipped'}, NOT_RUN),
        ({'[1]': PASSED, '[2]': 'expected to fail'}, NOT_RUN),
        ({'[1]': PASSED, '[2]': NOT_RUN}, NOT_RUN),
        ({'[1]': 'skipped', '[2]': FAILED}, FAILED),
        ({'': 'skipped'}, NOT_RUN),
        ({'': 'expected to fail'}, NOT_RUN),
        ({'': FAILED}, FAILED),
    ],
)
def test_a_tick_is_earned(tmp_path: Path, cases: dict[str, str], verdict: str) -> None:
    project(tmp_path, FILES)
    reported(tmp_path, {ONE: cases}, 'page.py')
    shown = render(tmp_path, 'page.py')['page.html']
    assert f'<span class="state">{verdict}</span>' in shown
    assert shown.count('class="claim') == 1
    assert (f'class="claim {verdict.replace(" ", "-")}"') in shown


@pytest.mark.parametrize(
    'name', ['a/test_x.py::test_one_more', 'b/test_x.py::test_one', 'test_one']
)
def test_another_test_earns_nothing(tmp_path: Path, name: str) -> None:
    project(tmp_path, FILES)
    reported(tmp_path, {name: {'': PASSED}}, 'page.py')
    assert 'class="claim not-run"' in render(tmp_path, 'page.py')['page.html']


def test_without_a_report_nothing_has_passed(tmp_path: Path) -> None:
    project(tmp_path, FILES)
    assert 'class="claim not-run"' in render(tmp_path, 'page.py')['page.html']


CHANGED = {
    'the page': ('page.py', f'{PAGE}# More\n'),
    'the test': ('tests/a/test_x.py', TEST.replace('assert 1', 'assert 0')),
    'another source': ('other.py', 'x = 2\n'),
    'a new source': ('new.py', ''),
    'what the tests share': ('tests/conftest.py', 'import os\n'),
    'data of the tests': ('tests/a/data.npz', '1'),
    'how tests are run': ('pyproject.toml', '[tool.pytest.ini_options]\n'),
}


@pytest.mark.parametrize('changed', CHANGED)
def test_a_report_of_other_sources_says_nothing(tmp_path: Path, changed: str) -> None:
    project(tmp_path, {**FILES, 'other.py': 'x = 1\n', 'tests/a/data.npz': '0'})
    reported(tmp_path, {ONE: {'': PASSED}})
    assert 'class="claim passed"' in render(tmp_path)['page.html']
    # A part of the pages is of the same sources
    assert 'class="claim passed"' in render(tmp_path, 'page.py')['page.html']
    name, text = CHANGED[changed]
    before = (tmp_path / name).read_text() if (tmp_path / name).exists() else None
    (tmp_path / name).write_text(text)
    assert 'class="claim not-run"' in render(tmp_path)['page.html']
    # The same words at another time are the same
    if before is not None:
        (tmp_path / name).write_text(before)
        assert 'class="claim passed"' in render(tmp_path)['page.html']


def test_what_is_made_from_sources_is_no_source(tmp_path: Path) -> None:
    project(tmp_path, FILES)
    reported(tmp_path, {ONE: {'': PASSED}})
    made = ('__pycache__/page.pyc', 'tests/.cache/x.py', 'tests/node_modules/x.js', 'site/x.html')
    made += ('out/.pylit-manifest.json', 'out/x.html')
    project(tmp_path, dict.fromkeys(made, 'x'))
    assert 'class="claim passed"' in render(tmp_path)['page.html']


def test_a_report_of_less_says_nothing_of_more(tmp_path: Path) -> None:
    project(tmp_path, {**FILES, 'two/page.py': '# x\n'})
    reported(tmp_path, {ONE: {'': PASSED}}, 'two')
    assert 'class="claim not-run"' in render(tmp_path, 'page.py')['page.html']


def test_the_mark_leads_to_the_source_of_the_test(tmp_path: Path) -> None:
    project(tmp_path, FILES)
    files = render(tmp_path, 'page.py')
    assert 'href="tests/a/test_x.html#test_one"' in files['page.html']
    assert 'id="test_one"' in files['tests/a/test_x.html']
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
    reported(tmp_path, {'test_x.py::TestX::test_y': {'': PASSED}}, 'page.py')
    assert 'class="claim passed"' in render(tmp_path, 'page.py')['page.html']


GOOD = {
    'kind': 'pylit tests 1', 'sources': 'x', 'roots': ['.', 'tests'], 'when': '2026-11-28',
    'versions': {'Python': '3.11'},
    'tests': {ONE: {'cases': {'': 'passed'}, 'seconds': 1, 'recorded': [{'what': 'x'}]}},
}  # fmt: skip
DAMAGED = {
    'empty': '',
    'half': json.dumps(GOOD)[:-40],
    'a list': '[]',
    'of pytest': '<testsuites/>',
    'no kind': json.dumps({k: v for k, v in GOOD.items() if k != 'kind'}),
    'an old kind': json.dumps({**GOOD, 'kind': 'pylit tests 0'}),
    'something missing': json.dumps({**GOOD, 'more': 1}),
    'no outcomes': json.dumps({**GOOD, 'tests': {ONE: {}}}),
    'outcomes that are none': json.dumps(
        {**GOOD, 'tests': {ONE: {'cases': {'': 1}, 'seconds': 1, 'recorded': []}}}
    ),
    'roots that are none': json.dumps({**GOOD, 'roots': [1]}),
}


@pytest.mark.parametrize('text', DAMAGED.values(), ids=DAMAGED)
def test_a_report_that_is_none(tmp_path: Path, text: str) -> None:
    project(tmp_path, FILES)
    path = tmp_path / 'report-tests.json'
    path.write_text(json.dumps(GOOD))
    assert read_report(path).tests == GOOD['tests']
    path.write_text(text)
    with pytest.raises(Refusal, match=r'not a report|a report of another kind'):
        read_report(path)
    # It is no reason to have no pages
    assert 'class="claim not-run"' in render(tmp_path, 'page.py')['page.html']


# ## Counting
@pytest.mark.parametrize(
    ('blocks', 'expected'),
    [
        ('', {}),
        ('e m', {0: [0]}),
        ('e e m', {1: [0]}),
        ('m e e', {0: [0]}),
        ('m m e', {0: [0, 1]}),
        ('e m m', {0: [0, 1]}),
        ('e h m', {}),
        ('e h m e', {1: [0]}),
        ('e m e m', {0: [0], 1: [1]}),
    ],
)
def test_a_mark_vouches_for_one_equation(blocks: str, expected: dict[int, list[int]]) -> None:
    names, found, count = {'h': 'heading', 'e': 'equation', 'm': 'mark'}, [], {'e': 0, 'm': 0}
    for letter in blocks.split():
        found.append((names[letter], count.get(letter, 0)))
        count[letter] = count.get(letter, 0) + 1
    assert covered(found) == expected


BESIDE = re.compile(r'<span class="display">.*?<a class="claim[^>]*>t<span.*?</a></span>', re.S)


@pytest.mark.parametrize(
    ('behind', 'left'),
    [
        (' {mark}', ''),
        ('\n\n{mark}', ''),
        ('\n\n{mark}.', ''),
        ('\n\n{mark}. So it\nis.', 'So it\nis.'),
        ('\n\n({mark}) and so on', 'and so on'),
        ('\n{mark}, and *this*.', 'and <em>this</em>.'),
        ('\n\n{mark}。因此', '因此'),
        ('\n\n（{mark}）。因此', '因此'),
    ],
)
def test_the_mark_behind_an_equation_stands_beside_it(
    tmp_path: Path, behind: str, left: str
) -> None:
    mark = '[t](test:a/test_x.py::test_one)'
    text = f'"""\n# Title\n\nOf old\n\n$$x$${behind.format(mark=mark)}\n"""\n'
    project(tmp_path, {**FILES, 'page.py': text})
    shown = render(tmp_path, 'page.py')['page.html'].split('Of old')[-1].partition('</div>')[0]
    assert len(BESIDE.findall(shown)) == shown.count('class="claim') == 1
    rest = BESIDE.sub('', shown).replace('</p>', '').replace('<p>', '').strip()
    assert rest == left
    assert '<p></p>' not in shown


@pytest.mark.parametrize(
    'text',
    ['$x$\n\n{mark}. So', '$$x$$\n\nTrue {mark}.', '$$x$$\n\n({mark} below)', '{mark} $$x$$'],
)
def test_a_mark_of_words_stays_with_its_words(tmp_path: Path, text: str) -> None:
    text = text.format(mark='[t](test:a/test_x.py::test_one)')
    project(tmp_path, {**FILES, 'page.py': f'"""\n# Title\n\n{text}\n"""\n'})
    shown = render(tmp_path, 'page.py')['page.html']
    assert shown.count('class="claim') == 1
    assert not BESIDE.findall(shown)


def test_all_marks_behind_an_equation_stand_beside_it_with_html_around(tmp_path: Path) -> None:
    marks = '[t](test:a/test_x.py::test_one) [t](test:a/test_x.py::test_two)'
    text = f'"""\n# Title\n\nA <kbd>k</kbd>:\n$$x$$\n{marks}. And <kbd>l</kbd>.\n"""\n'
    tests = f'{TEST}\n\ndef test_two():\n    assert 1\n'
    project(tmp_path, {'tests/a/test_x.py': tests, 'page.py': text})
    shown = render(tmp_path, 'page.py')['page.html']
    (beside,) = re.findall(r'<span class="display">.*?</span></a></span>(?!<a)', shown, re.S)
    assert beside.count('class="claim') == 2
    assert 'And <kbd>l</kbd>.' in shown


TWO = '"""\n# Title\n\n$$x$$\n\n$$y$$ [t](test:a/test_x.py::test_one)\n\n'
TWO += '## Two\n\n$$z$$ [t](test:a/test_x.py::test_one) [t](test:a/test_x.py::test_two)\n"""\n'


def test_the_index_tells_how_many(tmp_path: Path) -> None:
    two = f'{TEST}\n\ndef test_two():\n    pass\n'
    project(tmp_path, {'__init__.py': TWO, 'tests/a/test_x.py': two, 'page.py': '# nothing\n'})

    def told() -> str:
        return render(tmp_path)['index.html'].partition('<p class="coverage">')[2].split('</p>')[0]

    counts = '<strong>3 displayed equations · 2 tested'
    no_run = 'No run of the tests with these sources is known; a mark leads to its test.'
    assert told() == f'{counts}</strong> {no_run}'
    names = (ONE, 'a/test_x.py::test_two')
    for outcomes, equations, tests in (
        ((PASSED, PASSED), 2, 2),
        # An equation has passed if all tests that vouch for it have
        ((PASSED, FAILED), 1, 1),
        ((PASSED, 'skipped'), 1, 1),
        ((FAILED, PASSED), 0, 1),
    ):
        reported(tmp_path, {n: {'': o} for n, o in zip(names, outcomes, strict=True)})
        assert told() == (
            f'{counts} · {equations} passed</strong> in the run of 2026-11-28 with torch 2.13.0. '
            f'Of 2 tests that the pages name, {tests} passed; a mark opens its test.'
        )


def test_the_verdict_of_nothing() -> None:
    assert Report().verdict(Claim('test_x.py', 'test_one')) == NOT_RUN
