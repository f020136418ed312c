"""Around a page: what the templates are given, and what a reader is led to."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

import pytest

from labml_nn.pylit import elements, frame, layout
from labml_nn.pylit.config import load
from labml_nn.pylit.problems import Mistakes
from tests.kit.sites import ROOT, project, render


def test_all_that_the_templates_say_can_be_translated() -> None:
    said = {
        text
        for path in elements.TEMPLATES.glob('*.html')
        for text in re.findall(r"say\('([^']+)'\)", path.read_text(encoding='utf-8'))
    }
    assert len(said) > 10
    assert said <= set(frame.texts())


NOTATION = '<div class="notation"><p>Notation</p>\n<button>x</button>\n</div>\n'


@pytest.mark.parametrize(
    ('before', 'after'),
    [
        ('<p>What is said first.</p>\n', '<section class="row code">'),
        ('<p>What is said first.</p>\n', '<h2>A part</h2>'),
        ('<h2>One</h2><p>Words.</p>', '<h2>Two</h2><span class="display">'),
    ],
)
def test_the_notation_interrupts_no_beginning(before: str, after: str) -> None:
    body = f'<h1>Title</h1>\n{before}{after}'
    assert layout.with_notation(body, NOTATION) == f'<h1>Title</h1>\n{before}{NOTATION}{after}'


def test_the_notation_has_no_title_twice() -> None:
    before = '<h1>Title</h1>\n<h2 id="notation">Notation</h2>\n<p>Words.</p>\n'
    body = layout.with_notation(f'{before}<h2>Two</h2><span class="display">', NOTATION)
    assert re.findall('>Notation<', body) == ['>Notation<']
    assert body.index('<button>') > body.index('Words.')


HOSTILE = 'A "b" <i>c</i> & \'d\''


ALL = sorted(p.relative_to(ROOT).as_posix() for p in ROOT.glob('labml_nn/**/templates/*.*ml'))


@pytest.mark.parametrize('template', ALL)
def test_no_template_switches_escaping_off(template: str) -> None:
    text = (ROOT / template).read_text(encoding='utf-8')
    assert 'autoescape' not in text
    # What is marked as HTML is a literal
    assert re.findall(r"(?<!')\|\s*safe", text) == []


def test_whatever_a_project_says_is_escaped_around_its_pages(tmp_path: Path) -> None:
    config = f"""[tool.pylit]\ntitle = '''{HOSTILE}'''\nsite_url = 'https://a.test'\n"""
    front = f'---\ntitle: {HOSTILE}\nsummary: {HOSTILE}\n---\n'
    project(
        tmp_path,
        {
            'pyproject.toml': config,
            'src/__init__.py': f'"""\n{front}\n# Home\n"""\n',
            'src/<i>c/a.py': f"r'''\n{front.replace(chr(39), '’')}\n# A\n'''\n",
        },
    )
    files = render(tmp_path, 'src')
    for url in ('index.html', '<i>c/a.html', '404.html'):
        assert '<i>' not in files[url]
        assert '&lt;i&gt;c' in files[url]
        if url != '404.html':
            values = re.findall(r'="([^"]*)"', files[url].partition('<main')[0])
            assert any('&lt;i&gt;' in value for value in values)


# ## What is read after what
NOTE = '"""\n# {}\n"""\n'
PATH = """[tool.pylit]
title = "Site"
nav = [
    "src/__init__.py",
    { title = "Begin", pages = ["src/b.py", "src/in/a.py"] },
    { title = "Go on", pages = ["src/a.py"] },
]
appendix = ["src/z.py", { title = "More", pages = ["src/in/__init__.py"] }]
"""
TREE = {
    'pyproject.toml': PATH,
    **{
        f'src/{name}.py': NOTE.format(name.removesuffix('__init__').replace('/', ' ') or 'Home')
        for name in (
            '__init__', 'a', 'b', 'z', 'in/__init__', 'in/a', 'in/c', 'aside/__init__',
            'aside/x', 'aside/y', 'aside/deep/d',
        )
    },
}  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    return render(project(tmp_path, TREE), 'src')


def turn(page: str) -> dict[str, str]:
    found = re.findall(r'<a rel="(\w+)" href="([^"]*)"', page)
    return dict(found)


def tree(page: str) -> str:
    """The list of all pages: addresses or titles, with brackets for what is below."""
    text = page.partition('<details class="pages">')[2].partition('</nav>')[0]
    text = text.partition('</summary>')[2]
    marks = re.findall(r'<ol>|</ol>|href="([^"]*)"|<span>(\w[^<]*)</span>|<summary>([^<]*)', text)
    kinds = re.findall(r'<ol>|</ol>|href="|<span>\w|<summary>', text)
    shown = [
        {'<ol>': '(', '</ol>': ')'}.get(kind, ''.join(mark))
        for kind, mark in zip(kinds, marks, strict=True)
    ]
    return ' '.join(shown)


def test_the_path_leads_from_page_to_page(files: dict[str, str]) -> None:
    assert turn(files['index.html']) == {'next': 'b.html'}
    assert turn(files['b.html']) == {'prev': 'index.html', 'next': 'in/a.html'}
    assert turn(files['in/a.html']) == {'prev': '../b.html', 'next': '../a.html'}
    assert turn(files['a.html']) == {'prev': 'in/a.html'}, 'and not to what is looked up'


def test_a_page_of_the_path_says_how_far_one_is(files: dict[str, str]) -> None:
    said = {url: re.findall(r'class="step"[^>]*>([^<]*)', text) for url, text in files.items()}
    assert {url: text for url, (text,) in ((u, t) for u, t in said.items() if t)} == {
        'b.html': '1 of 3', 'in/a.html': '2 of 3', 'a.html': '3 of 3',
    }  # fmt: skip


def test_pages_beside_the_path_stay_among_themselves(files: dict[str, str]) -> None:
    # The first of a branch leads back to the beginning
    assert turn(files['aside/index.html']) == {'prev': '../index.html', 'next': 'x.html'}
    assert turn(files['aside/x.html']) == {'prev': 'index.html', 'next': 'y.html'}
    assert turn(files['aside/y.html']) == {'prev': 'x.html', 'next': 'deep/d.html'}
    assert turn(files['aside/deep/d.html']) == {'prev': '../y.html'}
    assert turn(files['z.html']) == {'prev': 'index.html'}


def test_the_list_of_pages_is_a_tree_that_is_open_where_one_is(files: dict[str, str]) -> None:
    assert tree(files['b.html']) == (
        '( index.html Begin ( b.html in/a.html ) a.html in/index.html z.html'
        ' aside/index.html in/c.html )'
    )
    assert tree(files['aside/deep/d.html']) == (
        '( ../../index.html ../../b.html ../../a.html ../../in/index.html ../../z.html'
        ' ../index.html ( ../x.html ../y.html deep ( d.html ) ) ../../in/c.html )'
    )
    for url, text in files.items():
        if url.endswith('.html') and url != '404.html':
            assert text.count(' aria-current="page"') == 1


def test_the_front_page_has_all_of_the_tree(files: dict[str, str]) -> None:
    assert tree(files['index.html']) == (
        '( index.html Begin ( b.html in/a.html ) Go on ( a.html ) More ( in/index.html )'
        ' z.html aside ( aside/index.html aside/x.html aside/y.html'
        ' deep ( aside/deep/d.html ) ) in ( in/c.html ) )'
    )


def test_without_a_path_all_pages_follow_one_another(tmp_path: Path) -> None:
    files = render(project(tmp_path, {**TREE, 'pyproject.toml': ''}), 'src')
    url, seen = 'index.html', []
    while url:
        seen.append(url)
        after = turn(files[url]).get('next')
        url = posixpath.normpath(posixpath.join(posixpath.dirname(url), after)) if after else ''
    assert sorted(seen) == sorted(u for u in files if u.endswith('.html') and u != '404.html')
    assert 'class="step"' not in ''.join(files.values())


@pytest.mark.parametrize(
    ('said', 'message'),
    [
        ('[{ title = "A" }]', 'a part of nav needs `title`, a string, and `pages`'),
        ('[{ title = "", pages = ["a.py"] }]', 'a part of nav needs `title`'),
        ('[{ titel = "A", pages = ["a.py"] }]', "no 'titel': did you mean 'title'?"),
        ('[{ title = "A", pages = [3] }]', 'nav must be a string or a list of strings'),
        ('[["a.py"]]', 'nav must be a list of sources, and of parts'),
    ],
)
def test_a_part_that_cannot_be_read_is_said(tmp_path: Path, said: str, message: str) -> None:
    project(tmp_path, {'pyproject.toml': f'[tool.pylit]\nnav = {said}\n'})
    with pytest.raises(Mistakes) as mistakes:
        load(tmp_path)
    assert message in str(mistakes.value.problems[0])


def test_the_front_page_names_the_path_in_its_order() -> None:
    home = (ROOT / 'labml_nn/__init__.py').read_text(encoding='utf-8')
    listed = re.findall(r'^\d+\. \[[^]]*\]\(([^)]*)\.html\)', home, re.M)
    named = [name for part in load(ROOT).nav for name in part.pages][1:]
    shown = [re.sub(r'^labml_nn/|\.\w+$', '', name).replace('__init__', 'index') for name in named]
    assert listed == shown
