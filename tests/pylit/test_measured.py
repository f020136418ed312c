"""Numbers that a page has from a file: the page and the file say the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from labml_nn.pylit.__main__ import main
from tests.kit.sites import project

DATA = {
    'whole': 0.2547,
    'seconds': 654.7,
    'calls': 1797,
    'few': 7,
    'a/b': [1, 0.125],
    'two words': 0.375,
    'table': [
        ['steps', 10, 20],
        ['beta', 0.5449, 0.3512],
        ['seeds', [0.35, 0.02], None],
    ],
}
TABLE = """\
| steps | 10 | 20 |
|---|---|---|
| beta | 0.54 | 0.3512 |
| seeds | 0.35 ± 0.02 | – |
"""


ASKED = '[tool.pylit]\nmeasured_pages = ["page.md", "README.md"]\n'


def told(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, settings: str = ''
) -> list[str]:
    """What `check` says of a page with this text."""
    page, data = f'# Page\n\n{text}', json.dumps(DATA)
    project(folder, {'page.md': page, 'data.json': data, 'pyproject.toml': settings})
    status = main(['check', str(folder / 'page.md')])
    said = re.findall(r'page\.md:(\d+:\d+: error: .*)', capsys.readouterr().err)
    assert status == bool(said)
    return said


def below(text: str, *sources: str) -> str:
    return f'{text.rstrip()}\n<!-- measured: {" ".join(sources)} -->\n'


@pytest.mark.parametrize(
    ('text', 'sources', 'expected'),
    [
        (TABLE, ['data.json#/table'], []),
        (TABLE.replace('0.54', '0.55'), ['data.json#/table'], ["'0.55' in the row 'beta', but 0"]),
        (TABLE.replace('0.3512', '0.35120'), ['data.json#/table'], []),
        (TABLE.replace('beta', 'gamma'), ['data.json#/table'], ["'gamma' in the row 'gamma'"]),
        (TABLE.replace('0.02', '0.03'), ['data.json#/table'], ["'0.35 ± 0.03' in the row 'seeds'"]),
        (TABLE.replace('–', '0.1'), ['data.json#/table'], ["'0.1' in the row 'seeds', but null"]),
        (TABLE + '| more | 1 | 2 |\n', ['data.json#/table'], ['the table has 4 rows of 3, its']),
        (TABLE, ['data.json#/whole'], ['no list of rows']),
        ('It is 0.25, in 655 seconds.', ['data.json#/whole', 'data.json#/seconds'], []),
        ('It is 0.255, of 1,797.', ['data.json#/whole', 'data.json#/calls'], []),
        ('It is 0.26.', ['data.json#/whole'], ['0.2547 is not in the text']),
        # A single digit is a rounding of too much
        ('It is 0 or 0.3.', ['data.json#/whole'], ['0.2547 is not in the text']),
        ('Of 7 one is\n0.125.', ['data.json#/few', 'data.json#/a~1b/1'], []),
        ('Of 1 one is 0.125.', ['data.json#/a~1b'], []),
        ('It is 0.38.', ['data.json#/two%20words'], []),
        ('Of 2 one is 0.13.', ['data.json#/a~1b'], ['1 is not in the text']),
        ('```\nof 1797: 0.255\n```', ['data.json#/whole', 'data.json#/calls'], []),
        ('```\nof 1797: 0.256\n```', ['data.json#/whole'], ['0.2547 is not in the text']),
        ('> Quoted: 0.25.\n> More.', ['data.json#/whole'], []),
        ('* an item with 0.25', ['data.json#/whole'], []),
        ('x', ['data.json#/nothing'], ['there is no data.json#/nothing']),
        ('x', ['none.json#/x'], ['there is no none.json#/x']),
        ('x', ['../data.json#/whole'], ['there is no ../data.json#/whole']),
        ('x', [], ['measured, and no source']),
    ],
)  # fmt: skip
def test_a_page_shows_what_was_measured(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    text: str,
    sources: list[str],
    expected: list[str],
) -> None:
    marked = below(text, *sources)
    said = told(tmp_path, capsys, marked)
    assert len(said) == len(expected), said
    for line, wanted in zip(said, expected, strict=True):
        # Where the source is named
        number = 2 + marked.count('\n')
        assert line.startswith(f'{number}:1: error: {wanted}')


def test_a_test_is_a_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = 'class TestOf:\n    def test_y():\n        pass\n\n\ndef test_z():\n    pass\n'
    project(tmp_path, {'tests/test_x.py': test})
    for name in ('test_x.py::test_z', 'test_x.py::TestOf::test_y'):
        assert told(tmp_path, capsys, below('It is 0.3.', f'test:{name}')) == []
    for name in ('test_x.py::test_a', 'test_w.py::test_z', 'test_x.py', '../test_x.py::test_z'):
        (said,) = told(tmp_path, capsys, below('It is 0.3.', f'test:{name}'))
        assert said.endswith(f'error: there is no test {name}')


@pytest.mark.parametrize(
    'text',
    [
        '<!-- measured: data.json#/whole -->\n\nIt is 0.25.',
        'It is 0.25.\n\n***\n<!-- measured: data.json#/whole -->',
        'It is 0.25. <!-- measured: data.json#/whole --> And so on.',
        '| a |\n|---|\n| 0 <!-- measured: data.json#/whole --> |',
        'It is 0.25.\n\n***\n<!-- no-source: a guess -->',
    ],
)
def test_a_line_that_compares_nothing_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """As raw HTML on a page; in a file that is none by itself."""
    (said,) = told(tmp_path, capsys, text)
    assert 'raw HTML is not rendered' in said
    project(tmp_path, {'page.md': '# Page\n', 'README.md': text, 'pyproject.toml': ASKED})
    assert main(['check', str(tmp_path / 'page.md')]) == 1
    assert 'no table, paragraph or listing ends above it' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('cell', 'asked'),
    [
        ('0.5', True),
        ('1,797', True),
        ('5 %', True),
        ('5%', True),
        ('3e-4', True),
        ('0.35 ± 0.02', True),
        ('5', False),
        ('$0.5$', False),
        ('`0.5`', False),
        ('[it](https://example.com/0.5)', False),
        ('[0.5](https://example.com)', True),
        ('[0.5](test:test_x.py::test_y)', False),
        ('version 2.13.0', False),
        ('28 × 28', False),
        ('words', False),
    ],
)
def test_a_table_has_a_source_or_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cell: str, asked: bool
) -> None:
    table = f'| what |\n|---|\n| {cell} |\n'
    assert 'table of numbers' not in str(told(tmp_path, capsys, table))
    said = [s for s in told(tmp_path, capsys, table, ASKED) if 'there is no test' not in s]
    assert [one.partition('a table')[0] for one in said] == ['3:1: error: '] * asked
    said = told(tmp_path, capsys, f'{table}<!-- no-source: of the paper -->\n', ASKED)
    assert 'table of numbers' not in str(said)
    said = told(tmp_path, capsys, f'{table}<!-- no-source: -->\n', ASKED)
    assert 'measured, and no source' in str(said)


def test_a_file_that_is_no_page_is_compared_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = json.dumps(DATA)
    project(tmp_path, {'page.md': '# Page\n', 'data.json': data, 'pyproject.toml': ASKED})
    found = []
    for shown in ('0.25', '0.26'):
        (tmp_path / 'README.md').write_text(below(f'It is {shown}.', 'data.json#/whole') + TABLE)
        assert main(['check', str(tmp_path / 'page.md')]) == 1
        found += re.findall(r'README\.md:(\d+):\d+: error: (.{9})', capsys.readouterr().err)
    # The table has no source each time
    assert found == [('3', 'a table o'), ('2', '0.2547 is'), ('3', 'a table o')]


def test_nobody_sees_the_source(tmp_path: Path) -> None:
    project(tmp_path, {'page.md': below(TABLE, 'data.json#/table'), 'data.json': json.dumps(DATA)})
    assert main(['build', str(tmp_path / 'page.md'), '-o', str(tmp_path / 'site')]) == 0
    page = (tmp_path / 'site' / 'page.html').read_text(encoding='utf-8')
    assert '0.3512' in page
    assert 'measured' not in page
    assert 'data.json' not in page


def test_in_comments_of_a_program_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = '# It is 0.26.\n# <!-- measured: data.json#/whole -->\nx = 1\n'
    project(tmp_path, {'page.py': text, 'data.json': json.dumps(DATA)})
    assert main(['check', str(tmp_path / 'page.py')]) == 1
    assert 'page.py:2:3: error: 0.2547 is not in the text' in capsys.readouterr().err
