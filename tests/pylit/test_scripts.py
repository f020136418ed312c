"""Scripts as pages: which comments are notes, and which scripts are pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labml_nn.pylit.__main__ import main
from labml_nn.pylit.config import load
from labml_nn.pylit.project import collect
from labml_nn.pylit.scripts import parse
from tests.kit.sites import ROOT, project, render, shape

ENGINE = sorted((ROOT / 'labml_nn/diffusion/ddpm/engine').glob('*.js'))


def rows(source: str, language: str = 'javascript') -> list[tuple[str, str]]:
    """Each section as its note and its code."""
    return [
        ('\n'.join(line.text for line in s.prose), '\n'.join(line.text for line in s.code))
        for s in parse(source, language)
    ]


def test_a_note_stands_beside_the_code_below_it() -> None:
    source = '// # Means\n//\n// Of numbers.\n\nconst a = 1;\n\n'
    source += '// The next\n  // one\nlet b = 2; // two\n'
    assert rows(source) == [
        ('# Means\n\nOf numbers.', ''),
        ('', 'const a = 1;'),
        ('The next\none', 'let b = 2; // two'),
    ]


def test_a_block_is_a_note_and_its_parameters_are_a_list() -> None:
    source = """/**
 * The mean of $x$.
 * @param {number[]} x numbers @param {{by?: number, at: {y: number}}} [how]
 *   and how
 * @returns {number} their mean
 */
const mean = (x, how) => 0;
/** @param {number} [y=3] what is added */
function* sum(y) {}
"""
    assert rows(source) == [
        (
            '\nThe mean of $x$.\n* `x: number[]` numbers, `how?: {by?: number, at: {y: number}}`\n'
            '  and how\n* returns `number` their mean\n',
            'const mean = (x, how) => 0;',
        ),
        ('* `y?: number` what is added', 'function* sum(y) {}'),
    ]
    assert [s.name for s in parse(source, 'javascript')] == ['mean', 'sum']


def test_a_constructor_is_no_constant() -> None:
    source = 'class A {\n  /** Begins. */\n  constructor(x) {}\n  // Next\n  functional() {}\n}\n'
    assert [s.name for s in parse(source, 'javascript')] == ['A', '', '']


@pytest.mark.parametrize(
    'source',
    [
        'const a = "// no comment";',
        'const a = `\n// in a template\n`;',
        'const a = /[/**]/;',
        '/* out of the way */\nlet a;',
        '/** @typedef {{x: number}} Point */\nlet a;',
        '/** @type {number} */\nlet a;',
        '/** @param {number} x @param {{y: number}} [z] */\nconst a = (x, z) => x;',
        '/** a note? */ let a;',
        'let a; /** behind */',
        '// @ts-ignore\nlet a;',
        '// eslint-disable-next-line\nlet a;',
    ],
)
def test_what_is_no_note_stays_in_the_code(source: str) -> None:
    assert rows(source) == [('', source)]


def test_typescript_is_read_as_such() -> None:
    assert rows('// A point\ninterface Point { x: number }\n', 'typescript') == [
        ('A point', 'interface Point { x: number }')
    ]


@pytest.mark.parametrize('path', ENGINE, ids=lambda path: path.name)
def test_each_line_once(path: Path) -> None:
    text = path.read_text(encoding='utf-8')
    lines = text.split('\n')
    told = [line for s in parse(text, 'javascript') for line in (*s.prose, *s.code)]
    numbers = [line.number for line in told]
    assert numbers == sorted(set(numbers))
    missing = set(range(1, len(lines) + 1)) - set(numbers)
    assert not [n for n in missing if lines[n - 1].strip()]
    words = re.compile(r'\w+')
    for line in told:
        assert set(words.findall(line.text)) - {'returns'} <= set(
            words.findall(lines[line.number - 1])
        )


def test_a_script_is_a_page_where_it_is_named(tmp_path: Path) -> None:
    files = {
        'pyproject.toml': '[tool.pylit]\nnav = ["a.py", "lib/mean.js"]\n',
        'a.py': '# # First\n# See [the mean](lib/mean.js).\nx = 1\n',
        'lib/mean.js': '// # The mean\n//\n// Of $x$.\n((x) => {\n  // Nothing\n'
        '  return `a\n  b`;\n});\n',
        'lib/other.js': '// # No page\n',
    }
    project(tmp_path, files)
    found = [source.url for source in collect([tmp_path], load(tmp_path))]
    assert found == ['a.html', 'lib/mean.html']
    shown = render(tmp_path)
    assert 'href="lib/mean.html"' in shown['a.html']
    assert '<h1 id="the-mean">The mean</h1>' in shown['lib/mean.html']
    # A template over two lines is a string in both
    for n, word in ((6, 'a'), (7, 'b')):
        (line,) = re.findall(rf'id="L{n}".*', shown['lib/mean.html'])
        assert re.search(rf'class="s">\s*{word}<', line)
    assert 'id="L5"' not in shown['lib/mean.html']  # a note
    out = tmp_path / 'out'
    assert main(['build', str(tmp_path / 'lib/other.js'), '-o', str(out)]) == 0
    assert 'No page' in (out / 'other.html').read_text(encoding='utf-8')


def test_notes_of_both_languages_are_divided_alike() -> None:
    script = '// # A\n\nx\n\n// one\n// two\ny\n// three\nz\n'
    python = script.replace('//', '#')
    assert [(n.strip(), c) for n, c in rows(script)] == shape(python)
