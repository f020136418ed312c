"""The whole site: navigation, addresses, the swap, and nothing half done."""

from __future__ import annotations

import ast
import contextlib
import gzip
import hashlib
import html
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from pygments.lexers.javascript import JavascriptLexer  # type: ignore[import-untyped]
from pygments.token import Token  # type: ignore[import-untyped]

from labml_nn.pylit import site as site_module
from labml_nn.pylit import swap
from labml_nn.pylit.__main__ import main
from labml_nn.pylit.problems import Mistakes, Refusal
from tests.kit.sites import ROOT, page, project, render, site

FILES = {
    '__init__.py': '"""\n# Home\n\nSee [a](a.py) and [b](sub/b.html#part) and [c](sub/).\n"""\n',
    'a.py': '# ## One\n\n# ## One\nx = 1\n',
    'sub/__init__.py': '"""# Sub"""\n',
    'sub/b.py': '"""\n# Bee\n\n## Part\n\n[up](../a.py#one-2) [line](../a.py#L4)\n"""\ny = 1\n',
}


def snapshot(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob('*'))
        if p.is_file()
    }


def build(folder: Path, out: Path, *more: str) -> int:
    return main(['build', str(folder), '-o', str(out), *more])


def test_two_builds_are_equal_to_the_byte(tmp_path: Path) -> None:
    project(tmp_path / 'p', FILES)
    assert build(tmp_path / 'p', tmp_path / 'one', '--no-cache') == 0
    assert build(tmp_path / 'p', tmp_path / 'two') == 0
    assert snapshot(tmp_path / 'one') == snapshot(tmp_path / 'two')


# A process by itself: a test runner has threads, and who has threads does not fork
HALVES = """
import os, sys
from labml_nn.pylit import __main__, halves, site
how, source, out = sys.argv[1:]
site.MUCH = 10**9 if how == 'alone' else 0
swaps, swap, half = [], halves.Partner.swap, halves.Partner.half
def taken(self, weights):
    if how == 'dies' and self.second and swaps:
        os._exit(1)
    return half(self, weights)
def swapped(self, ours):
    theirs = swap(self, ours)
    swaps.append((len(ours), len(theirs)))
    return theirs
halves.Partner.half, halves.Partner.swap = taken, swapped
status = __main__.main(['build', source, '-o', out, '--no-cache'])
print(status, swaps)
"""


@pytest.mark.skipif(not hasattr(os, 'fork') or os.cpu_count() == 1, reason='needs two cores')
@pytest.mark.parametrize('how', ['two', 'dies'])
def test_two_processes_build_the_same_site(tmp_path: Path, how: str) -> None:
    project(tmp_path / 'p', FILES)

    def made(how: str) -> list[tuple[int, int]]:
        command = [sys.executable, '-c', HALVES, how, str(tmp_path / 'p'), str(tmp_path / how)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        status, _, swaps = done.stdout.splitlines()[-1].partition(' ')
        assert status == '0', done.stderr
        found: list[tuple[int, int]] = ast.literal_eval(swaps)
        return found

    assert made('alone') == []
    swaps = made(how)
    assert snapshot(tmp_path / how) == snapshot(tmp_path / 'alone')
    # Sources, tests, pages: each process gives what the other has not
    both = [min(pair) > 0 for pair in swaps]
    assert both[0]
    assert both[-1] == (how == 'two')


def test_every_local_address_leads_somewhere(tmp_path: Path) -> None:
    project(tmp_path / 'p', FILES)
    out = tmp_path / 'out'
    build(tmp_path / 'p', out)
    seen = 0
    for path in (p for p in out.rglob('*.html') if p.name != '404.html'):
        for address in re.findall(r'(?:href|src)="([^"]*)"', path.read_text()):
            if re.match(r'[a-z]+:', address):
                continue
            name, _, anchor = unquote(address).partition('#')
            target = (path.parent / name) if name else path
            assert target.is_file(), (path, address)
            if anchor:
                assert f'id="{anchor}"' in target.read_text(), (path, address)
            seen += 1
    assert seen > 60


STRANGE = ('c#.py', 'what?.py', '100%25.py', 'a b.py', 'a:b.py', 'sub#/__init__.py', 'sub#/é&.py')


def test_an_address_may_hold_any_name_of_a_file(tmp_path: Path) -> None:
    settings = '[tool.pylit]\nsite_url = "https://a.test"\n'
    files = {'pyproject.toml': settings, '__init__.py': '"""\n# Home\n"""\n'}
    files |= dict.fromkeys(STRANGE, '"""\n# See\n"""\nx = 1\n')
    files['see.py'] = '"""\n# See\n\n[a](c%23.py)\n"""\nx = 1\n'
    made = render(project(tmp_path, files))
    for url in (u for u in made if u.endswith('.html') and u != '404.html'):
        for said in re.findall(r'(?:href|src|data-source)="([^"#][^"]*)"', made[url]):
            target = urlsplit(html.unescape(said))
            if target.scheme or '/assets/' in said:
                continue
            at = (Path(url).parent / unquote(target.path)).as_posix()
            assert os.path.normpath(at) in made, (url, said)
    for shown in (made['search.js'], made['sitemap.xml'], made['404.html']):
        assert 'sub%23/%C3%A9%26.' in shown
        assert 'sub#/' not in shown


def test_the_address_of_the_site_cannot_leave_its_attribute(tmp_path: Path) -> None:
    settings = "[tool.pylit]\nsite_url = 'https://a.test/x\"><b>'\n"
    made = render(project(tmp_path, {'pyproject.toml': settings, 'a.py': '# # A\nx = 1\n'}))
    assert '<b>' not in made['404.html']
    assert 'x&#34;&gt;&lt;b&gt;/assets/' in made['404.html']


# Python reads them, so a page must
DEEP = {
    'elif': 'if x == 0:\n    f()\n' + ''.join(f'elif x == {i}:\n    f()\n' for i in range(1200)),
    'sum': f'x = f() + {" + ".join(["y"] * 1050)}\n',
    'calls': f'x = f{".g()" * 600}\n',
    'main': f'\nif __name__{".g()" * 600}:\n    f()\n',
}


@pytest.mark.parametrize('name', DEEP)
def test_a_deep_source_is_a_page(tmp_path: Path, name: str) -> None:
    shown = page(tmp_path, f'# # Deep\ndef f():\n    pass\n{DEEP[name]}')
    assert 'href="#f"' in shown


def test_what_python_cannot_read_for_depth_is_a_mistake(tmp_path: Path) -> None:
    project(tmp_path, {'page.py': f'x = {"(" * 5000}1{")" * 5000}\n'})
    with pytest.raises(Mistakes, match=r'page\.py:\d+:\d+: error: '):
        render(tmp_path)


def steps(folder: Path, source: str, room: str) -> int:
    """How many lines of one room are run for a page: counted, because a clock is never sure."""
    counted = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal counted
        counted += 1
        return trace if frame.f_code.co_filename.endswith(f'pylit/{room}.py') else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with contextlib.suppress(Mistakes):
            page(folder, source)
    finally:
        sys.settrace(before)
    return counted


@pytest.mark.parametrize(
    ('room', 'part'),
    [
        ('parse', '# Note\ndef f{i}(x):\n    pass\n\n\n'),
        ('layout', '# See `f{i}`\ndef f{i}(x):\n    pass\n\n\n'),
        ('prose', '# \\begin{{a}}\n#\n'),
    ],
)
def test_the_steps_grow_with_the_length_and_not_its_square(
    tmp_path: Path, room: str, part: str
) -> None:
    few, many = (
        steps(tmp_path / str(n), '# # Long\n' + ''.join(part.format(i=i) for i in range(n)), room)
        for n in (60, 240)
    )
    assert many < 5 * few


def test_headings_never_skip_a_level_and_anchors_never_repeat(tmp_path: Path) -> None:
    shown = page(tmp_path, '"""\n# T\n\n#### Deep\n\n## Up\n\n###### Down\n\n# Again\n"""\n')
    assert re.findall(r'<h(\d)', shown) == ['1', '2', '2', '3', '2']
    ids = re.findall(r' id="([^"]*)"', shown)
    assert len(ids) == len(set(ids))


def test_definitions_are_never_called_like_the_frame(tmp_path: Path) -> None:
    names = ('main', 'search', 'results', 'theme', 'help', 'toc', 'index', 'L1', 'wrong')
    project(tmp_path, {'page.py': ''.join(f'def {n}(): pass\n' for n in names)})
    ids = re.findall(r' id="([^"]*)"', render(tmp_path)['page.html'])
    # `L1` is a line, so a function of that name has another address
    assert {*names, 'def-L1'} <= set(ids)
    assert len(ids) == len(set(ids))


def test_a_page_without_a_heading_gets_its_name(tmp_path: Path) -> None:
    shown = page(tmp_path, '# Note\nx = 1\n\n# ### Later\ny = 1\n')
    assert re.findall(r'<h(\d)[^>]*>([^<]*)', shown) == [('1', 'page.py'), ('2', 'Later')]


def test_rows_have_no_empty_column(tmp_path: Path) -> None:
    shown = page(
        tmp_path, '"""Doc."""\nimport os\n\n# Note\nx = 1\n\ndef f():\n    """F."""\n    y = 1\n'
    )
    assert re.findall(r'<section class="row (\w+)" id="([^"]*)"', shown) == [
        ('prose', 'part-1'), ('code', 'part-2'), ('pair', 'part-3'), ('pair', 'f'),
    ]  # fmt: skip
    # The body joins the row of its def, with the numbers of its own lines
    last = shown.rpartition('<section')[2]
    assert re.findall(r'id="L(\d+)"', last) == ['7', '9']


def test_indentation_shared_by_a_section_is_marked(tmp_path: Path) -> None:
    shown = page(
        tmp_path,
        'def f():\n    # n\n    x = 1\n    """s"""\n    if x:\n        y = """\n    z"""\n',
    )
    assert shown.count('<pre style="--in:4">') == 1


def test_ids_of_headings_can_be_chosen(tmp_path: Path) -> None:
    assert '<h1 id="MHA">Attention</h1>' in page(tmp_path, '# # Attention {#MHA}\nx = 1\n')
    project(tmp_path, {'page.py': '# # A {#x}\n\n# # B {#x}\nx = 1\n'})
    with pytest.raises(Mistakes, match=r"page\.py:3:\d+: error: the id 'x' is taken"):
        render(tmp_path, 'page.py')


def test_front_matter(tmp_path: Path) -> None:
    source = '"""\n---\ntitle: The title\nsummary: About\n---\n\n# Heading\n"""\n'
    project(tmp_path, {'page.py': source, 'old.py': '"""\n---\nredirect: page.html\n---\n"""\n'})
    files = render(tmp_path)
    assert '<title>The title' in files['page.html']
    assert '<meta name="description" content="About">' in files['page.html']
    assert 'summary:' not in files['page.html'].partition('<main')[2]
    assert 'url=page.html' in files['old.html']


def test_markdown_files_are_pages(tmp_path: Path) -> None:
    project(tmp_path, {'index.md': '# Home\n\n[x](x.md)\n', 'x.md': '# X\n\n$y$\n'})
    files = render(tmp_path)
    assert 'href="x.html"' in files['index.html']
    assert '<math' in files['x.html']


@pytest.mark.parametrize(
    ('link', 'message'),
    [
        ('none.py', 'dead link: there is no none.py'),
        ('a.py#none', 'dead link: a.py has no #none'),
        ('#none', r'dead link: __init__.py has no #none'),
        ('a.py#L99', 'dead link: a.py has no #L99'),
        ('../out.py', r'dead link: there is no \.\./out.py'),
    ],
)
def test_dead_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str, message: str
) -> None:
    project(tmp_path / 'p', {**FILES, '__init__.py': f'"""\nText [x]({link})\n"""\n'})
    monkeypatch.chdir(tmp_path / 'p')
    with pytest.raises(Mistakes, match=rf'__init__\.py:2:10: error: {message}'):
        render(Path('.'))


def test_all_mistakes_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project(tmp_path / 'p', {**FILES, 'a.py': 'x = (\n', 'sub/b.py': 'y = )\n', 'c.py': '\0'})
    assert build(tmp_path / 'p', tmp_path / 'out', '--strict') == 1
    said = [line for line in capsys.readouterr().err.split('\n') if ': error: ' in line]
    assert len(said) == 3
    assert not (tmp_path / 'out').exists()


# ## The old site is not touched
def built(tmp_path: Path) -> tuple[Path, Path, dict[str, str]]:
    project(tmp_path / 'p', FILES)
    out = tmp_path / 'out'
    assert build(tmp_path / 'p', out) == 0
    return tmp_path / 'p', out, snapshot(out)


def no_katex(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv('PYLIT_CACHE', str(folder / 'none'))


def no_node(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv('PATH', str(folder))
    (folder / 'bad.py').write_text(f'# $x^{{{hash(folder)}}}$\nx = 1\n')


def another_folder(folder: Path, patch: pytest.MonkeyPatch) -> None:
    (folder.parent / 'out' / swap.MANIFEST).unlink()


LINE = r'bad\.py:\d+:\d+: error: '
# What is wrong (bytes of `bad.py`, or something done to the project), and how it is told
BAD: dict[str, tuple[bytes | Callable[[Path, pytest.MonkeyPatch], object], str]] = {
    'syntax error': (b'def f(:\n', rf'{LINE}.*says Python'),
    'NUL': (b'x = "\0"\n', rf'{LINE}a NUL byte'),
    'wrong encoding': (b'# ok\nx = "\xff"\n', r'bad\.py:2:6: error: byte 0xff is not utf-8'),
    'unknown encoding': (b'# coding: klingon\n', rf'{LINE}encoding: unknown'),
    'loop of links': (
        lambda f, _: (f / 'self.py').symlink_to(f / 'self.py'),
        r'self\.py:1:1: error: cannot be read',
    ),
    'two sources': (
        lambda f, _: (f / 'a.md').write_text('# A'),
        r'a\.py:1:1: error: this and .*a\.md both become',
    ),
    'formula': (b'# $\\foo$\nx = 1\n', rf'{LINE}LaTeX: Undefined'),
    'formula without end': (b'# $$x\nx = 1\n', rf'{LINE}`\$\$` is never closed'),
    'formula that explodes': (
        b'# $\\def\\a{\\a\\a}\\a$\nx = 1\n',
        rf'{LINE}LaTeX: Too many expansions',
    ),
    'formula of 100,000 characters': (
        b'# $' + b'x' * 100_000 + b'$\nx = 1\n',
        rf'{LINE}LaTeX: 100,000 characters',
    ),
    'HTML': (b'# <script>\nx = 1\n', rf'{LINE}raw HTML'),
    'script in a link': (
        b'# [x](javascript:alert(1))\nx = 1\n',
        rf'{LINE}a link may not begin with javascript:',
    ),
    'dead link': (b'# [x](none.html)\nx = 1\n', rf'{LINE}dead link'),
    'no such test': (b'# [x](test:a.py::b)\nx = 1\n', rf'{LINE}there is no test'),
    'no such image': (b'# ![x](none.png)\nx = 1\n', rf'{LINE}no such image'),
    'no such figure': (b'# ![x](figure:none.py::f)\nx = 1\n', rf'{LINE}no such figure'),
    'configuration': (
        lambda f, _: (f / 'pyproject.toml').write_text('[tool.pylit]\nx = 1\n'),
        r'pyproject\.toml:2:1: error: unknown setting',
    ),
    'language without a catalogue': (
        lambda f, _: (f / 'pyproject.toml').write_text('[tool.pylit]\nlanguages = ["zh"]\n'),
        r'pylit: error: .*zh\.po: no catalogue',
    ),
    'missing file': (
        lambda f, _: f.rename(f.with_name('q')),
        r'pylit: error: .*: no such file or folder',
    ),
    'no Node': (no_node, 'pylit: error: Node.js is not installed'),
    'no KaTeX': (no_katex, 'pylit: error: KaTeX is not installed'),
    'a folder that is not ours': (another_folder, 'pylit: error: .*not made by pylit'),
}


@pytest.mark.parametrize('kind', BAD)
def test_bad_input_is_one_line_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    folder, out, _ = built(tmp_path)
    damage, message = BAD[kind]
    if isinstance(damage, bytes):
        (folder / 'bad.py').write_bytes(damage)
    else:
        damage(folder, monkeypatch)
    before = snapshot(out)
    capsys.readouterr()
    status = build(folder, out, '--strict')
    said = capsys.readouterr()
    assert status == (2 if message.startswith('pylit') else 1)
    # One line for people and editors; under it, the line of the source and a caret
    told = [line for line in said.err.splitlines() if line and not line.startswith('    ')]
    assert len(told) == 1, told
    assert re.search(message, told[0])
    assert 'Traceback' not in said.err + said.out
    assert snapshot(out) == before
    assert {p.name for p in tmp_path.iterdir()} <= {'out', 'p', 'q'}


# What is wrong, how it is marked on the page, and how it is told
SHOWN = {
    'formula': (
        'a $\\foo$ b',
        r'<code>\$\\foo\$</code><span class="said"> LaTeX: Undefined control sequence',
        r'bad\.py:1:6: error: LaTeX: Undefined',
    ),
    'formula without end': (
        'a $$x',
        r'> 1:5: `\$\$` is never closed</span>',
        r'bad\.py:1:5: error: ',
    ),
    'dead link': (
        '[x](none.html)',
        r'title="dead link: there is no none.html"><a href="none.html">x</a></span>',
        r'bad\.py:1:7: error: dead link',
    ),
    'dead anchor': (
        '[x](a.py#none)',
        r'has no #none"><a href="a.html#none">x</a></span>',
        r'bad\.py:1:\d+: error: dead link: .*a\.py has no #none',
    ),
    'script in a link': (
        '[x](javascript:alert(1))',
        r'title="a link may not begin with javascript:">x</span>',
        r'bad\.py:1:\d+: error: a link may not begin',
    ),
    'no such test': ('[x](test:a.py::b)', 'title="there is no test a.py::b">x</span>', 'no test'),
    'no such image': ('![pic](none.png)', 'pic<span class="said"> no such image', 'no such image'),
    'picture of another site': (
        '![pic](https://example.org/p.png)',
        '<a href="https://example.org/p.png" rel="noopener noreferrer">pic</a>',
        'an image must be a file of the project',
    ),
    'HTML': ('a <script>', r'<code>&lt;script&gt;</code><span class="said"> raw HTML', 'raw HTML'),
    'id': ('# A {#a}\n#\n# # B {#a}', 'id="b">B', "the id 'a' is taken"),
    'redirect': (
        '---\n# redirect: https://x.org\n# ---\n# Text',
        'Text',
        'redirect to https://x.org',
    ),
}


@pytest.mark.parametrize('kind', SHOWN)
def test_a_mistake_is_shown_and_not_fatal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    source, marked, message = SHOWN[kind]
    project(tmp_path / 'p', {**FILES, 'bad.py': f'# {source}\nx = 1\n'})
    assert build(tmp_path / 'p', tmp_path / 'out') == 0
    said = capsys.readouterr()
    assert re.search(message, said.err)
    assert ', 1 mistake: see above' in said.out
    assert re.search(marked, (tmp_path / 'out' / 'bad.html').read_text('utf-8'))
    # A page that was kept has its mistakes still
    assert build(tmp_path / 'p', tmp_path / 'out') == 0
    assert ', 1 mistake: see above' in capsys.readouterr().out
    assert build(tmp_path / 'p', tmp_path / 'strict', '--strict') == 1
    assert not (tmp_path / 'strict').exists()


def test_what_cannot_be_read_is_left_out_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link = '# [b](bad.py)\ny = 1\n'
    project(tmp_path / 'p', {**FILES, 'bad.py': 'x = (\n', 'good.py': link})
    assert build(tmp_path / 'p', tmp_path / 'out') == 0
    assert re.search(r'bad\.py:1:\d+: error: .*says Python', capsys.readouterr().err)
    assert '<a href="bad.py">b</a>' in (tmp_path / 'out' / 'good.html').read_text('utf-8')
    # Where nothing is left to be shown, nothing is written
    assert build(tmp_path / 'p' / 'bad.py', tmp_path / 'none') == 1
    assert not (tmp_path / 'none').exists()


def test_the_first_frame_is_of_the_whole_page(tmp_path: Path) -> None:
    """What it waits for is the last thing on every page, and is there."""
    _, out, _ = built(tmp_path)
    shown = [path.read_text('utf-8') for path in out.rglob('*.html')]
    framed = [text for text in shown if '<main' in text]
    assert framed
    for text in framed:
        waits = re.search(r'<link rel="expect" href="#([^"]+)" blocking="render">', text)
        assert waits
        assert re.search(rf'<\w+ [^>]*id="{waits[1]}"></\w+>\s*</footer>\s*</main>', text)


def test_what_stands_is_not_written_again(tmp_path: Path) -> None:
    """Unless a file of it is missing."""
    folder, out, before = built(tmp_path)
    same = (out / 'a.html').stat().st_ino
    assert build(folder, out) == 0
    assert (out / 'a.html').stat().st_ino == same
    (out / 'index.html').unlink()
    assert build(folder, out) == 0
    assert snapshot(out) == before


def test_a_full_disk_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out, before = built(tmp_path)
    (folder / 'a.py').write_text(FILES['a.py'] + 'x = 2\n')
    written = 0
    real = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        nonlocal written
        written += 1
        if written > 5:
            raise OSError(28, 'No space left on device', str(self))
        return real(self, data)

    monkeypatch.setattr(Path, 'write_bytes', full)
    assert build(folder, out) == 2
    assert 'No space left on device: nothing was changed' in capsys.readouterr().err
    assert snapshot(out) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ['out', 'p']


def test_a_rename_that_fails_brings_the_old_site_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out, before = built(tmp_path)
    (folder / 'a.py').write_text(FILES['a.py'] + 'x = 2\n')
    real = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if '.tmp-' in self.name:
            raise OSError(5, 'Input/output error', str(self))
        return real(self, target)

    monkeypatch.setattr(Path, 'rename', fail)
    assert build(folder, out) == 2
    assert snapshot(out) == before


def test_a_folder_that_is_not_ours_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path / 'p', FILES)
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'thesis.txt').write_text('years of work')
    before = snapshot(out)
    assert build(tmp_path / 'p', out) == 2
    assert 'not made by pylit' in capsys.readouterr().err
    assert build(tmp_path / 'p', tmp_path / 'p') == 2
    assert build(tmp_path / 'p', out / 'thesis.txt') == 2
    assert snapshot(out) == before


def test_stale_pages_go_and_foreign_files_stay(tmp_path: Path) -> None:
    folder, out, _ = built(tmp_path)
    (out / 'CNAME').write_text('example.org')
    (out / '.git').mkdir()
    (out / '.git' / 'HEAD').write_text('ref')
    (folder / 'sub' / 'b.py').unlink()
    (folder / '__init__.py').write_text('"""# Home"""\n')
    assert build(folder, out) == 0
    assert not (out / 'sub' / 'b.html').exists()
    assert (out / 'CNAME').read_text() == 'example.org'
    assert (out / '.git' / 'HEAD').exists()


def test_a_foreign_file_in_the_way_is_refused(tmp_path: Path) -> None:
    folder, out, _ = built(tmp_path)
    (out / 'new.html').write_text('mine')
    (folder / 'new.py').write_text('# n\nx = 1\n')
    assert build(folder, out) == 2
    assert (out / 'new.html').read_text() == 'mine'
    assert not (folder / 'new.html').exists()


# ## Bad arguments and bad machines
def test_two_sources_for_one_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project(tmp_path / 'p', {**FILES, 'a.md': '# A\n'})
    assert build(tmp_path / 'p', tmp_path / 'out') == 1
    said = capsys.readouterr().err
    assert 'a.py:1:1: error: this and' in said
    assert 'a.md both become a.html' in said


@pytest.mark.parametrize('name', ['none.py', 'none', 'notes.txt'])
def test_what_cannot_be_built(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path, {'notes.txt': 'x'})
    assert build(tmp_path / name, tmp_path / 'out') == 2
    assert len(capsys.readouterr().err.strip().split('\n')) == 1


def test_loops_of_links(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = project(tmp_path / 'p', FILES)
    (folder / 'again').symlink_to(folder)
    assert build(folder, tmp_path / 'out') == 0
    assert not (tmp_path / 'out' / 'again').exists()
    (folder / 'self.py').symlink_to(folder / 'self.py')
    assert build(folder, tmp_path / 'out') == 0
    assert 'self.py:1:1: error: cannot be read' in capsys.readouterr().err


def test_an_unreadable_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = project(tmp_path / 'p', FILES)
    (folder / 'dir.py').mkdir()
    assert build(folder, tmp_path / 'out') == 0
    if os.geteuid() == 0:
        pytest.skip('root can read everything')
    (folder / 'a.py').chmod(0)
    assert build(folder, tmp_path / 'out') == 0
    assert 'a.py:1:1: error: cannot be read: Permission denied' in capsys.readouterr().err


def test_node_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path / 'p', {'a.py': f'# $x^{{{tmp_path.name}}}$\nx = 1\n'.replace('_', '')})
    monkeypatch.setenv('PATH', str(tmp_path))
    assert build(tmp_path / 'p', tmp_path / 'out', '--no-cache') == 2
    assert 'Node.js is not installed' in capsys.readouterr().err


def test_katex_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path / 'p', FILES)
    monkeypatch.setenv('PYLIT_CACHE', str(tmp_path / 'cache'))
    assert build(tmp_path / 'p', tmp_path / 'out') == 2
    assert 'run `python -m labml_nn.pylit setup`' in capsys.readouterr().err


@pytest.mark.parametrize('gone', ['', '>&-', '| true'])
def test_output_decides_nothing(tmp_path: Path, gone: str) -> None:
    """Neither an encoding that has no arrow nor a reader that goes away."""
    project(tmp_path, FILES)
    build = f'"{sys.executable}" -m labml_nn.pylit build . -o "→"; echo $? > status'
    around = {**os.environ, 'PYTHONPATH': str(ROOT), 'PYTHONIOENCODING': 'cp1252'}
    ran = subprocess.run(
        f'( {build} ) {gone}',
        shell=True,
        cwd=tmp_path,
        env=around,
        timeout=300,
        capture_output=True,
        check=False,
    )
    assert (tmp_path / 'status').read_text() == '0\n', ran.stderr
    assert ran.stderr == b''
    assert gone or ran.stdout.endswith(b' pages in ->\n')
    assert list((tmp_path / '→').glob('*.html'))


def test_serving_ends_when_it_is_told_to(tmp_path: Path) -> None:
    project(tmp_path, FILES)
    command = [sys.executable, '-m', 'labml_nn.pylit', 'serve', str(tmp_path)]
    around = {**os.environ, 'PYTHONPATH': str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=around) as running:
        assert running.stdout
        assert running.stdout.readline().startswith('http://127.0.0.1:')
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=30) == 0


def test_a_single_file_with_formulas_needs_nothing(tmp_path: Path) -> None:
    (tmp_path / 'model.py').write_text('"""\n# Mine\n\n$$x_t$$\n"""\n\n# n $y$\nz = 1\n')
    assert build(tmp_path / 'model.py', tmp_path / 'out') == 0
    assert {'model.html', 'index.html', 'assets', 'search.js'} <= set(os.listdir(tmp_path / 'out'))


def test_nothing_is_fetched_from_elsewhere(tmp_path: Path) -> None:
    project(tmp_path, FILES)
    made = site(tmp_path)
    files = made.render()
    made.close()
    for url, data in files.items():
        if url.endswith(('.html', '.css')):
            text = data.decode()
            assert not re.findall(r'(?:src|<link[^>]*href)="(?:https?:)?//', text), url
            assert not re.findall(r'url\((?!fonts/)', text), url


@pytest.mark.parametrize('name', ['live', 'panel', 'proofs', 'pylit', 'search', 'theme'])
def test_a_lean_script_says_the_same(name: str) -> None:
    path = site_module.STATIC / f'{name}.js'
    lean = site_module._minified(path).decode()
    whole = path.read_text(encoding='utf-8')
    assert len(lean) < 0.85 * len(whole)

    def words(script: str) -> list[tuple[object, str]]:
        tokens = JavascriptLexer().get_tokens(script)
        # Whitespace, and remarks
        quiet = (Token.Text, Token.Comment)
        return [(kind, value) for kind, value in tokens if not any(kind in q for q in quiet)]

    assert words(lean) == words(re.sub(r'(?m)^\s*//.*$', '', whole))


def test_no_page_of_ours_is_heavy() -> None:
    made = site(ROOT, 'labml_nn')
    files = made.render()
    made.close()
    pages = {url: data for url, data in files.items() if url.endswith('.html')}
    assert len(pages) > 40
    for url, data in pages.items():
        # A character of Chinese or Japanese has three bytes
        limit = 34_000 if url.startswith(('zh/', 'ja/')) else 30_000
        assert len(gzip.compress(data, 9, mtime=0)) <= limit, url
        assert len(re.findall(rb'<[a-z]', data)) <= 12_000, url
    own = {url for url in files if re.fullmatch(r'assets/\w+\.(css|js)', url)}
    # The search, its texts and the panel of a mark come when a reader asks for them
    later = {
        f'assets/{name}' for name in ('search.js', 'search.css', 'panel.js', 'panel.css', 'live.js')
    }
    assert sum(len(files[url]) for url in own - later) <= 40_000
    assert len(files['assets/search.js']) <= 27_000
    # Nothing is cut from the text that is searched, so it grows with the pages
    most = 1_800 * len([url for url in pages if url.startswith('ja/')])
    for folder in ('', 'zh/', 'ja/'):
        assert len(gzip.compress(files[f'{folder}search.js'], 9, mtime=0)) <= most
    assert len(gzip.compress(files['search-code.js'], 9, mtime=0)) <= 250_000


def test_swap_refuses_before_the_work(tmp_path: Path) -> None:
    (tmp_path / 'x').write_text('')
    with pytest.raises(Refusal):
        swap.check(tmp_path / 'x')
    swap.check(tmp_path / 'none')


def test_a_readme_is_the_index_only_where_nothing_else_is(tmp_path: Path) -> None:
    project(tmp_path / 'p', {**FILES, 'readme.md': '# In short\n', 'more/readme.md': '# More\n'})
    assert build(tmp_path / 'p', tmp_path / 'out') == 0
    assert '<h1' in (tmp_path / 'out/index.html').read_text()
    assert 'In short' in (tmp_path / 'out/readme.html').read_text()
    assert 'More' in (tmp_path / 'out/more/index.html').read_text()


def test_a_manifest_deletes_no_file_of_someone_else(tmp_path: Path) -> None:
    out = tmp_path / 'out'
    swap.write({'a.html': b'a', 'b.html': b'b'}, out)
    (out / 'a.html').write_bytes(b'written by hand')
    swap.write({'c.html': b'c'}, out)
    assert (out / 'a.html').read_bytes() == b'written by hand'
    assert not (out / 'b.html').exists()


def test_a_killed_swap_is_mended(tmp_path: Path) -> None:
    out = tmp_path / 'out'
    gone = subprocess.Popen([sys.executable, '-c', ''])
    gone.wait()
    swap.write({'a.html': b'a'}, out)
    (out / 'CNAME').write_text('example.org')
    out.rename(tmp_path / f'out.old-{gone.pid}')
    swap.write({'a.html': b'half'}, tmp_path / f'out.tmp-{gone.pid}')
    swap.write({'a.html': b'b'}, out)
    assert (out / 'CNAME').read_text() == 'example.org'
    assert [path.name for path in tmp_path.iterdir()] == ['out']
