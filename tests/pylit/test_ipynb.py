"""Notebooks as pages: cells, outputs, mistakes, and files that are no notebooks."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labml_nn.pylit import check, notebook
from labml_nn.pylit.__main__ import main
from labml_nn.pylit.config import load
from labml_nn.pylit.page import understand
from labml_nn.pylit.problems import Mistakes, Problems
from labml_nn.pylit.project import make
from labml_nn.pylit.site import Request
from tests.kit.sites import ROOT, project, render, site

PNG = base64.b64decode(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
)
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><circle r="1"/></svg>'


def words(text: str) -> dict[str, Any]:
    return {'cell_type': 'markdown', 'metadata': {}, 'source': text.splitlines(keepends=True)}


def code(text: str, *outputs: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        'cell_type': 'code', 'execution_count': 1, 'metadata': metadata, 'outputs': list(outputs),
        'source': text.splitlines(keepends=True),
    }  # fmt: skip


def stream(text: str) -> dict[str, Any]:
    return {'output_type': 'stream', 'name': 'stdout', 'text': text.splitlines(keepends=True)}


def data(**said: Any) -> dict[str, Any]:
    names = {'png': 'image/png', 'svg': 'image/svg+xml', 'text': 'text/plain', 'html': 'text/html'}
    return {'output_type': 'display_data', 'data': {names[k]: v for k, v in said.items()}}


def written(*cells: dict[str, Any], language: str = 'python', **more: Any) -> str:
    """A notebook as Jupyter writes it."""
    metadata = {'kernelspec': {'language': language}}
    whole = {'cells': list(cells), 'metadata': metadata, 'nbformat': 4, 'nbformat_minor': 5, **more}
    return json.dumps(whole, indent=1, ensure_ascii=False) + '\n'


def shown(folder: Path, *cells: dict[str, Any], **more: Any) -> str:
    project(folder, {'page.ipynb': written(*cells, **more)})
    return render(folder, 'page.ipynb')['page.html'].partition('<main')[2]


def told(folder: Path, text: str, name: str = 'page.ipynb') -> list[str]:
    project(folder, {name: text})
    found = check.run(Request([folder / name], load(folder)))
    return [str(p).split('\n')[0].removeprefix(f'{folder}/') for p in sorted(found)]


# ## Cells
def test_cells_are_sections(tmp_path: Path) -> None:
    made = shown(
        tmp_path,
        words('# A notebook\n\nWith $x_t$.'),
        words('And a second cell.'),
        code('import os\n\n# A comment\ndef f(x):\n    """Doc."""\n    return os.path\n'),
        {'cell_type': 'raw', 'metadata': {}, 'source': ['raw words']},
        code(''),
        code('f(1)'),
        words('## The end'),
    )
    rows = made.split('<section class="row ')[1:]
    assert [re.match(r'(\w+)" id="([^"]+)"', row).groups() for row in rows] == [  # type: ignore[union-attr]
        ('pair', 'f'), ('code', 'part-1'), ('prose', 'part-2'),
    ]  # fmt: skip
    assert '<h1 id="a-notebook">A notebook</h1>' in rows[0]
    assert '<p>And a second cell.</p>' in rows[0]
    # Comments and docstrings of a cell stay in it
    assert '<span class="c"># A comment</span>' in rows[0]
    assert 'Doc.' in rows[0].partition('class="code"')[2]
    assert re.findall('id="L(\\d+)"', rows[0] + rows[1]) == ['1', '2', '3', '4', '5', '6', '7']
    assert '<a href="#f">f</a>' in rows[1]
    assert 'raw words' not in made
    assert '<h2 id="the-end">' in rows[2]


def test_a_notebook_takes_part_in_the_site(tmp_path: Path) -> None:
    test = 'def test_x():\n    pass\n'
    cell = words('# Notes\n\nSee [g](lib.py#g), $y$ [tested](test:test_a.py::test_x).')
    files = {
        'page.ipynb': written(cell, code('from lib import g\ng(2)')),
        'lib.py': 'def g(x):\n    """See [the notes](page.ipynb#notes)."""\n',
        'tests/test_a.py': test,
    }
    made = render(project(tmp_path, files))
    page = made['page.html']
    assert '<a href="lib.html#g">g</a>(' in page
    assert 'class="claim not-run" href="tests/test_a.html#test_x"' in page
    assert 'href="page.html#notes"' in made['lib.html']
    assert 'Notes' in made['search.js']


@pytest.mark.parametrize('minor', [0, 2, 5])
def test_all_notebooks_of_the_fourth_format_are_read(tmp_path: Path, minor: int) -> None:
    # Text may be one string
    cell = {'cell_type': 'markdown', 'metadata': {}, 'source': 'one\n\ntwo'}
    assert '<p>two</p>' in shown(tmp_path, cell, nbformat_minor=minor)


def test_our_own_notebooks_are_pages(tmp_path: Path) -> None:
    for path in sorted((ROOT / 'notebooks').glob('*.ipynb')):
        text = path.read_text(encoding='utf-8')
        assert told(tmp_path, text, path.name) == []
        count = sum(c['cell_type'] == 'code' for c in json.loads(text)['cells'])
        made = render(tmp_path, path.name)[path.with_suffix('.html').name]
        assert 0 < made.count('class="row pair"') <= count


# ## Outputs
def test_outputs_stand_under_the_code(tmp_path: Path) -> None:
    made = shown(
        tmp_path,
        code('a = 1', stream('10%\r100%\n'), stream('\x1b[31mred\x1b[0m & <b>\n')),
        code('b', data(text=['<Figure>'], png=base64.b64encode(PNG).decode())),
        code('c', data(text='table', html='<table onclick="x"></table>')),
        code('d', {'output_type': 'error', 'ename': 'E', 'evalue': 'no', 'traceback': ['T', 'E']}),
    )
    assert '<pre class="out">100%\nred &amp; &lt;b&gt;</pre>' in made
    source = re.search(r'<div class="out"><img src="(assets/outputs/\w+\.png)" alt="Output"', made)
    assert source
    assert '<pre class="out">table</pre>' in made
    assert '<table' not in made
    assert '<pre class="out">T\nE</pre>' in made
    found = site(tmp_path, 'page.ipynb')
    try:
        assert found.render()[source[1]] == PNG
    finally:
        found.close()


def test_a_long_output_is_folded(tmp_path: Path) -> None:
    made = shown(tmp_path, code('a', stream('x\n' * 17)), code('b', stream('y\n' * 16)))
    assert '<summary>17 lines of output</summary><pre class="out">x\n' in made
    assert made.count('<details class="out">') == 1


def test_a_picture_is_published_from_a_remembered_page_too(tmp_path: Path) -> None:
    project(tmp_path / 'p', {'page.ipynb': written(code('a', data(svg=SVG)))})
    for _ in range(2):
        assert main(['build', str(tmp_path / 'p'), '-o', str(tmp_path / 'out')]) == 0
        (picture,) = (tmp_path / 'out' / 'assets' / 'outputs').iterdir()
        assert picture.read_text() == SVG


def attached(text: str, **pictures: dict[str, str]) -> dict[str, Any]:
    return {**words(text), 'attachments': {f'{name}.png': p for name, p in pictures.items()}}


def test_what_is_attached_to_a_cell_is_a_picture_of_the_page(tmp_path: Path) -> None:
    png, svg = {'image/png': base64.b64encode(PNG).decode()}, {'image/svg+xml': SVG}
    made = shown(
        tmp_path,
        attached('# A\n\n![A point](attachment:image.png)', image=png),
        code('1'),
        # Each cell has names of its own
        attached('![A circle](attachment:image.png) and ![two](attachment:a%20b.png)',
                 image=svg, **{'a b': png}),
    )  # fmt: skip
    found = re.findall(r'<img [^>]*src="assets/outputs/(\w+)([.]\w+)" alt="([^"]*)"([^>]*)>', made)
    assert [(kind, alt) for _, kind, alt, _ in found] == [
        ('.png', 'A point'), ('.svg', 'A circle'), ('.png', 'two'),
    ]  # fmt: skip
    assert found[0][0] == found[2][0] == hashlib.sha256(PNG).hexdigest()[:20]
    assert 'width="1" height="1"' in found[0][3]
    again = site(tmp_path, 'page.ipynb')
    files = again.render()
    again.close()
    assert files[f'assets/outputs/{found[0][0]}.png'] == PNG
    assert files[f'assets/outputs/{found[1][0]}.svg'].decode() == SVG


def test_an_attached_picture_that_is_not_there_is_told_where_it_is_missing(tmp_path: Path) -> None:
    torn = {'image/png': base64.b64encode(PNG[:20]).decode()}
    text = written(
        attached('# A\n\n![None](attachment:none.png)\n\n![Torn](attachment:torn.png)', torn=torn)
    )
    lines = text.split('\n')
    said = told(tmp_path, text)
    for alt, wrong in (
        ('None', 'no picture none.png is attached to this cell'),
        ('Torn', 'the attached torn.png is not a picture'),
    ):
        line = next(n for n, x in enumerate(lines, 1) if f'![{alt}]' in x)
        assert any(s.startswith(f'page.ipynb:{line}:') and wrong in s for s in said), said
    assert main(['build', str(tmp_path / 'page.ipynb'), '-o', str(tmp_path / 'out')]) == 0
    made = (tmp_path / 'out' / 'page.html').read_text()
    assert re.findall(r'<span class="mistake"[^>]*>(\w+)<', made) == ['None', 'Torn']


def test_a_picture_that_would_run_is_not_published(tmp_path: Path) -> None:
    svg = SVG.replace('<circle', '<script>1</script><circle')
    project(tmp_path / 'p', {'page.ipynb': written(code('a', data(svg=svg)))})
    assert main(['build', str(tmp_path / 'p'), '-o', str(tmp_path / 'out')]) == 0
    assert not (tmp_path / 'out' / 'assets' / 'outputs').exists()
    assert 'an SVG with a script' in (tmp_path / 'out' / 'page.html').read_text()


@pytest.mark.parametrize(
    'metadata', [{'tags': ['hide-input']}, {'jupyter': {'source_hidden': True}}]
)
def test_a_hidden_cell_is_folded(tmp_path: Path, metadata: dict[str, Any]) -> None:
    made = shown(tmp_path, code('a = 1\nb = 2', stream('out'), **metadata), code('c = 3\nd = 4'))
    folds = re.findall('<details class="fold">(.*?)</details>', made, re.S)
    assert [re.findall('id="L(\\d)"', fold) for fold in folds] == [['1', '2']]
    assert '<pre class="out">out</pre>' in made.partition('</details>')[2]


# ## Python that is none
@pytest.mark.parametrize(
    'text',
    [
        '!pip install x\nimport os',
        '%matplotlib inline\nimport os',
        'if 1:\n    !ls\nimport os',
        'x = !ls\nimport os',
        'os.path?\nimport os',
        '%%time\nimport os',
        'a = (7\n     % 2)\nimport os',
    ],
)
def test_the_commands_of_ipython_are_shown(tmp_path: Path, text: str) -> None:
    assert told(tmp_path, written(code(text), code('f(1)'))) == []
    made = render(tmp_path, 'page.ipynb')['page.html']
    assert '<span class="k">import</span> os' in made
    bare = re.sub('<[^>]+>', '', made.partition('<pre><code>')[2].partition('</pre>')[0])
    assert bare == f'{text}\n'


def test_a_cell_that_python_cannot_read_is_told_and_shown(tmp_path: Path) -> None:
    text = written(code('x = 1'), code('y = 2\nbroken ('), code('def f():\n    pass'))
    line = text.split('\n').index('    "broken ("') + 1
    (said,) = told(tmp_path, text)
    assert said.startswith(f"page.ipynb:{line}:13: warning: '(' was never closed")
    made = render(tmp_path, 'page.ipynb')['page.html']
    assert '>broken (</span>' in made
    assert 'id="f"' in made


def test_a_notebook_in_another_language(tmp_path: Path) -> None:
    made = shown(tmp_path, code('x <- function(a) {\n  a\n}'), language='R')
    assert '<span class="k">function</span>' in made
    assert 'id="L3"' in made


# ## Mistakes
def test_a_mistake_is_told_with_the_line_of_the_file(tmp_path: Path) -> None:
    note = '# Title\n\nSome "words" and [dead](no.md).\n\nA formula: $\\nix$.'
    text = written(code('a = 1'), words('First'), code('b = 1'), words(note), code('c = 1'))
    said = told(tmp_path, text)
    lines = text.split('\n')
    dead = next(n for n, line in enumerate(lines, 1) if 'no.md' in line)
    formula = next(n for n, line in enumerate(lines, 1) if 'nix' in line)
    column = lines[dead - 1].replace('\\"', '"').index('no.md') + 1
    assert said[0] == f'page.ipynb:{dead}:{column}: error: dead link: there is no no.md'
    assert said[1].startswith(f'page.ipynb:{formula}:')
    assert 'LaTeX: ' in said[1]


def test_the_second_of_two_lines_alike_is_found_too(tmp_path: Path) -> None:
    text = written(words('[a](no.md)'), code('a = 1'), words('[a](no.md)'))
    wanted = [n for n, line in enumerate(text.split('\n'), 1) if 'no.md' in line]
    assert [int(line.split(':')[1]) for line in told(tmp_path, text)] == wanted


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', ':1:1: error: not a notebook: Expecting value'),
        ('{\n "cells": [,]}', ':2:12: error: not a notebook: Expecting value'),
        ('[]', ':1:1: error: not a notebook: there is no "nbformat"'),
        (
            '{\n "nbformat": 3, "worksheets": []}',
            ':2:2: error: a notebook of format 3, and we read 4: `jupyter nbconvert --to notebook',
        ),
        ('{"nbformat": 4, "cells": 5}', ':1:1: error: not a notebook: "cells" is no list'),
        (
            '{"nbformat": 4, "cells": [\n{"cell_type": "code", "source": 7}]}',
            ':2:2: error: cell 1 has no "source" of text',
        ),
        ('[' * 100_000, ':1:1: error: not a notebook: '),
    ],
)
def test_what_is_no_notebook_is_refused_and_the_others_are_made(
    tmp_path: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path / 'p', {'page.ipynb': text, 'other.md': '# Other\n'})
    assert main(['build', str(tmp_path / 'p'), '-o', str(tmp_path / 'out')]) == 0
    assert f'page.ipynb{message}' in capsys.readouterr().err
    assert (tmp_path / 'out' / 'other.html').is_file()


def test_two_sources_of_one_page_are_told_what_to_do(tmp_path: Path) -> None:
    project(tmp_path, {'page.ipynb': written(code('a')), 'page.py': 'x = 1\n'})
    with pytest.raises(Mistakes, match='both become page.html: rename one, or `exclude` it'):
        render(tmp_path)


# ## Whatever stands in a notebook
TEXT = st.text(st.sampled_from('ab1 \n\r\t#`$\\[]()!%?:=\'"<>&\0\x1b\ud800é'), max_size=30)
SOURCE = st.one_of(TEXT, st.lists(TEXT, max_size=4))
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)
MIME = st.sampled_from(['text/plain', 'image/png', 'image/svg+xml', 'text/html'])
KIND = st.sampled_from(['stream', 'display_data', 'execute_result', 'error', 'nothing'])
OUTPUT = st.one_of(
    JSON,
    st.fixed_dictionaries(
        {'output_type': KIND},
        optional={
            'text': SOURCE,
            'data': st.one_of(JSON, st.dictionaries(MIME, st.one_of(SOURCE, JSON), max_size=2)),
            'traceback': st.one_of(JSON, st.lists(TEXT, max_size=3)),
        },
    ),
)
CELL = st.fixed_dictionaries(
    {'cell_type': st.sampled_from(['code', 'markdown', 'raw', 'x']), 'source': SOURCE},
    optional={
        'metadata': st.one_of(JSON, st.fixed_dictionaries({'tags': JSON})),
        'outputs': st.one_of(JSON, st.lists(OUTPUT, max_size=3)),
    },
)


@settings(max_examples=200, deadline=None)
@given(
    cells=st.one_of(st.lists(CELL, max_size=5), JSON),
    metadata=st.one_of(JSON, st.fixed_dictionaries({'kernelspec': JSON, 'language_info': JSON})),
    indent=st.sampled_from([None, 1]),
)
def test_no_notebook_brings_a_fault_about(
    tmp_path_factory: pytest.TempPathFactory, cells: Any, metadata: Any, indent: int | None
) -> None:
    path = tmp_path_factory.getbasetemp() / 'page.ipynb'
    whole = {'cells': cells, 'metadata': metadata, 'nbformat': 4}
    text = json.dumps(whole, indent=indent)
    path.write_text(text, encoding='utf-8')
    found = Problems()
    try:
        page = understand(make(path, path.parent), (), found, text)
    except Mistakes as mistakes:
        found.extend(mistakes.problems)
        page = None
    assert all(0 < p.line <= text.count('\n') + 1 for p in found)
    if page is None:
        return
    assert page.notebook
    lines = [x.number for s in page.sections for x in s.code]
    assert lines == list(range(1, len(lines) + 1))
    for number in range(1, len(page.lines) + 1):
        line, column = page.notebook.place(number, 1)
        assert 1 <= line <= text.count('\n') + 1
        assert column >= 1
    drawn = [o.picture for s in page.sections for o in s.outputs if o.picture]
    assert drawn == [f'output:{n}' for n in range(1, len(drawn) + 1)]
    for name in drawn:
        assert notebook.picture(path, name)
    assert notebook.picture(path, f'output:{len(drawn) + 1}') is None
