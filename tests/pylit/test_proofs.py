"""Running the tests that pages name, and what is behind a mark."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

from labml_nn.pylit import claims, testing
from labml_nn.pylit.__main__ import main
from labml_nn.pylit.config import Config
from tests.kit import close
from tests.kit.sites import project, render, reported

NAMES = (
    'test_holds', 'test_wrong', 'test_skipped', 'test_expected', 'test_cases', 'test_left_out',
    'test_broken_fixture', 'TestX::test_y', 'test_better_than_expected',
)  # fmt: skip
PAGE = '"""\n# Title\n\n' + ''.join(f'x [t](test:test_a.py::{n})\n\n' for n in NAMES) + '"""\n'
TESTS = '''"""What is tried here."""
import pytest


def test_holds(record_property):
    """It holds. And more is said of it."""
    record_property('the mean', {'computed': [0.25], 'expected': [0.5], 'values': 3,
                                 'difference': 0.25, 'atol': 1, 'rtol': 0, 'share': 0.25})
    record_property('kinds', 7)


def test_not_named():
    assert 0


def test_wrong():
    assert 0


def test_skipped():
    pytest.skip('no')


@pytest.mark.xfail(reason='known', strict=False)
def test_expected():
    assert 0


@pytest.mark.xfail(reason='known', strict=False)
def test_better_than_expected():
    pass


@pytest.mark.parametrize('x', [1, 2, 3])
def test_cases(x):
    assert x != 2


@pytest.mark.parametrize('x', [1, pytest.param(2, marks=pytest.mark.slow)])
def test_left_out(x):
    pass


@pytest.fixture
def broken():
    yield
    raise ValueError


def test_broken_fixture(broken):
    pass


class TestX:
    def test_y(self):
        pass
'''
CONFIG = '[tool.pytest.ini_options]\naddopts = "-m \'not slow\'"\nmarkers = ["slow"]\n'
FILES = {'src/page.py': PAGE, 'tests/test_a.py': TESTS, 'pyproject.toml': CONFIG}
VERDICTS = dict.fromkeys(NAMES, 'not run') | {
    'test_holds': 'passed', 'test_wrong': 'failed', 'test_cases': 'failed',
    'test_broken_fixture': 'failed', 'TestX::test_y': 'passed',
}  # fmt: skip


def verdicts(shown: str) -> dict[str, str]:
    found = re.findall(
        r'class="claim [\w-]*" href="[^#]*#([\w.]+)">t<span class="state">([^<]*)', shown
    )
    return {name.replace('.', '::'): verdict for name, verdict in found}


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one process: several take longer to start than these tests to run."""
    monkeypatch.setattr(testing, '_workers', list)


def panels(files: dict[str, str], name: str = 'tests/test_a.proofs.js') -> Any:
    return json.loads(files[name].partition(', ')[2].rstrip(')\n'))


@pytest.mark.usefixtures('alone')
def test_what_the_pages_name_is_run_and_nothing_else(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path, FILES)
    assert main(['test', str(tmp_path / 'src')]) == 1
    assert '2 passed, 3 failed, 4 not run' in capfd.readouterr().out
    report = claims.read_report(tmp_path / claims.REPORT)
    assert set(report.tests) == {f'test_a.py::{name}' for name in NAMES}
    # A test has passed only if all its cases have, those too that were left out
    assert report.tests['test_a.py::test_left_out']['cases'] == {'[1]': 'passed', '[2]': 'not run'}
    assert report.tests['test_a.py::test_skipped']['cases'] == {'': 'skipped'}
    assert set(report.versions) >= {'Python', 'platform'}
    files = render(tmp_path, 'src')
    assert verdicts(files['page.html']) == VERDICTS
    panel = panels(files)['test_holds']
    assert panel['title'] == 'It holds'
    assert panel['rows'] == [['the mean', '0.25, …', '0.5, …', '0.25', '1', 3]]
    assert panel['facts'] == [['kinds', '7']]
    assert panel['ran']['day'] == report.when[:16].replace('T', ' ') + ' UTC'
    assert 'def</span> <span class="f">test_holds' in panel['code']
    assert 'test_not_named' not in files['tests/test_a.proofs.js']


@pytest.mark.usefixtures('alone')
def test_a_build_runs_them_only_where_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = '# x [t](test:test_a.py::test_holds)\n'
    project(tmp_path, {**FILES, 'src/page.py': page})
    runs = []
    run = testing.run
    monkeypatch.setattr(testing, 'run', lambda *said: runs.append(1) or run(*said))

    def build(*more: str) -> dict[str, str]:
        out = tmp_path / 'out'
        assert main(['build', str(tmp_path / 'src'), '-o', str(out), *more]) == 0
        return verdicts((out / 'page.html').read_text('utf-8'))

    assert build() == {'test_holds': 'not run'}
    assert runs == []
    for _ in range(2):
        assert build('--test') == {'test_holds': 'passed'}
        assert runs == [1]
    # One that cannot be read is made again
    (tmp_path / claims.REPORT).write_text('{')
    assert build('--test') == {'test_holds': 'passed'}
    assert runs == [1, 1]
    project(tmp_path, {'tests/test_a.py': TESTS.replace("'kinds', 7", "'kinds', 1 / 0")})
    assert build() == {'test_holds': 'not run'}
    assert build('--test') == {'test_holds': 'failed'}


def test_a_source_that_changes_meanwhile_leaves_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path, FILES)

    def pytest_(config: object, asked: object, said: Path) -> int:
        said.write_text('{"tests": {}, "versions": {}}')
        (tmp_path / 'src' / 'page.py').write_text(f'{PAGE}# more\n')
        return 0

    monkeypatch.setattr(testing, '_pytest', pytest_)
    assert main(['test', str(tmp_path / 'src')]) == 2
    assert 'have changed while their tests ran' in capsys.readouterr().err
    assert not (tmp_path / claims.REPORT).exists()


def test_a_run_that_was_ended_leaves_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path, FILES)
    monkeypatch.setattr(testing, '_pytest', lambda *_: 3)
    assert main(['test', str(tmp_path / 'src')]) == 2
    assert 'pytest ended with 3 and has left no report' in capsys.readouterr().err


def test_a_project_without_tests_needs_no_pytest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path, {**FILES, 'src/page.py': '# Words.\nx = 1\n'})
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda n, *m: None if n == 'pytest' else find(n, *m)
    )
    source, out = str(tmp_path / 'src'), str(tmp_path / 'out')
    assert main(['test', source]) == 0
    assert 'name no test' in capsys.readouterr().out
    assert main(['build', source, '-o', out, '--test']) == 0
    # Who names tests and wants them run is told what is missing
    project(tmp_path, FILES)
    assert main(['build', source, '-o', out]) == 0
    for command in (['test', source], ['build', source, '-o', out, '--test']):
        assert main(command) == 2
        assert 'pytest is not installed: pip install pytest' in capsys.readouterr().err


# ## The panel
def test_two_builds_of_one_report_are_equal_to_the_byte(tmp_path: Path) -> None:
    german = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
    german += 'msgid "Computed"\nmsgstr "Berechnet"\n'
    config = '[tool.pylit]\nlanguages = ["de"]\n'
    project(tmp_path, {**FILES, 'pyproject.toml': config, 'docs/locale/de.po': german})
    row = {'what': 'x', 'computed': [1 / 3], 'expected': [float('inf')], 'difference': float('nan'),
           'atol': 0, 'rtol': 1e-5, 'values': 1, 'share': 1}  # fmt: skip
    reported(tmp_path, {'test_a.py::test_holds': {'': 'passed'}}, 'src', recorded=[row])
    one, two = (render(tmp_path, 'src') for _ in range(2))
    assert one == two
    assert panels(one)['test_holds']['rows'] == [['x', '0.333333', 'inf', 'nan', '1e-05 × {y}', 1]]
    assert '2026-11-28 12:30 UTC' in one['tests/test_a.proofs.js']
    assert '"computed":"Computed"' in one['proofs.js']
    assert '"computed":"Berechnet"' in one['de/proofs.js']


def test_broken_versions_that_a_test_has_caught(tmp_path: Path) -> None:
    project(tmp_path, FILES)
    assert panels(render(tmp_path, 'src'))['test_holds']['killed'] == []
    caught = {'test_a.py::test_holds': {'killed': 3, 'of': 4}}
    (tmp_path / Config.mutants).write_text(json.dumps(caught))
    found = panels(render(tmp_path, 'src'))
    assert (found['test_holds']['killed'], found['test_wrong']['killed']) == ([3, 4], [])
    # They are no source: what they say does not make a report another's
    reported(tmp_path, {'test_a.py::test_holds': {'': 'passed'}}, 'src')
    (tmp_path / Config.mutants).write_text('{}')
    assert panels(render(tmp_path, 'src'))['test_holds']['verdict'] == 'passed'


def test_the_source_of_a_test_leads_back(tmp_path: Path) -> None:
    more = '# # Other\n#\n# x [t](test:test_a.py::test_wrong)\n'
    project(tmp_path, {**FILES, 'src/sub/other.py': more, 'src/sub/none.py': '# x\n'})
    shown = render(tmp_path, 'src')['tests/test_a.html']
    assert '<title>What is tried here · ' in shown
    assert '>What is tried here</h1>' in shown
    assert shown.count('<h1') == 1
    named = re.search(r'<p class="named">(.*?)</p>', shown)
    assert named
    assert re.findall(r'href="([^"]*)">([^<]*)', named[1]) == [
        ('../page.html#part-1', 'Title'),
        ('../sub/other.html#part-1', 'Other'),
    ]
    assert shown.index('</h1>') < shown.index('class="named"') < shown.index('<pre>')


@pytest.mark.parametrize(
    ('doc', 'title'),
    [
        ('It is so.', 'It is so'),
        ('Of x_{t-1} and x_0: known. More.', 'Of xₜ₋₁ and x₀'),
        ('Of alpha_bar and q_sample', 'Of alpha_bar and q_sample'),
        ('Of x_{abc}', 'Of x_{abc}'),
        ('', 'holds'),
    ],
)
def test_titles_can_be_read(tmp_path: Path, doc: str, title: str) -> None:
    test = f'def test_holds():\n    """{doc}"""\n'
    project(tmp_path, {'page.py': '# x [t](test:test_a.py::test_holds)\n', 'tests/test_a.py': test})
    assert panels(render(tmp_path, 'page.py'))['test_holds']['title'] == title


# ## What our own tests say of themselves
def test_what_is_recorded_is_what_was_compared() -> None:
    torch = pytest.importorskip('torch')
    said: list[tuple[str, Any]] = []
    with close.kept_in(said):
        expected = torch.tensor([1.0, 2.0, 4.0])
        actual = expected + torch.tensor([0.0, -0.25, 0.125])
        close.agree(actual, expected, atol=0.5, rtol=0.25, what='three')
        # The same again, nearer and further from the tolerance
        close.agree(expected, expected, atol=1e-6, what='three')
        close.agree(3.0, 3.5, atol=0.5, what='three')
        close.agree([0.1, 0.2], [0.1, 0.2], atol=0, what='equal')
        close.record('kinds', 7)
    found = dict(said)
    assert found['three'] == {
        'computed': [3.0], 'expected': [3.5], 'values': 7, 'difference': 0.5, 'atol': 0.5,
        'rtol': 0.0, 'share': 1.0,
    }  # fmt: skip
    assert (found['equal']['difference'], found['equal']['share']) == (0, 0)
    assert found['equal']['computed'] == [0.1, 0.2]
    assert found['kinds'] == '7'
    assert close.compared(actual, expected, 0.5, 0.25)['difference'] == 0.25
    assert close.compared(actual, expected, 0.5, 0.25)['computed'] == [1.75, 4.125]


@pytest.mark.parametrize(
    ('actual', 'expected'),
    [
        ([1.0], [1.2]),
        ([1.0, 1.0], [1.0]),
        ([1.0], [float('nan')]),
        ([float('nan')], [float('nan')]),
        ([float('inf')], [1.0]),
        ([float('inf')], [float('-inf')]),
    ],
)
def test_what_does_not_agree_fails_and_is_recorded(
    actual: list[float], expected: list[float]
) -> None:
    torch = pytest.importorskip('torch')
    for kind in (list, torch.tensor):
        said: list[tuple[str, Any]] = []
        with close.kept_in(said), pytest.raises(AssertionError):
            close.agree(kind(actual), kind(expected), atol=0.1, what='x')
        if len(actual) == len(expected):
            assert dict(said)['x']['share'] > 1
    with pytest.raises(AssertionError, match='dtype'):
        close.agree(torch.zeros(1), torch.zeros(1).double(), atol=1)
