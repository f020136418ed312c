"""Sources that nobody prepared for the renderer, and sites that are not friendly."""

from __future__ import annotations

import gc
import html
import os
import posixpath
import re
import sys
import threading
import urllib.error
import urllib.request
from dataclasses import fields
from pathlib import Path

import pytest

from labml_nn.pylit import frame, layout, serve, swap
from labml_nn.pylit import site as sites
from labml_nn.pylit.__main__ import main
from labml_nn.pylit.config import Config, load
from labml_nn.pylit.parse import read
from labml_nn.pylit.problems import Mistakes
from labml_nn.pylit.site import Request
from tests.kit.sites import page, project, render


def text_of(shown: str) -> str:
    return html.unescape(re.sub('<[^>]+>', '', shown))


# ## Encodings
def test_an_encoding_is_named_in_two_lines_only(tmp_path: Path) -> None:
    note = '# Arithmetic coding: the encoder\n# keeps an interval.\n'
    shown = page(tmp_path, f'import a\nimport b\n\n{note}x = 1\n')
    assert '<p>Arithmetic coding: the encoder\nkeeps an interval.</p>' in shown
    assert '<p>' not in page(tmp_path, '# coding: utf-8\nx = 1\n')
    assert '<p>' not in page(tmp_path, '#!/bin/python\n# vim: set fileencoding=utf-8 :\nx = 1\n')


@pytest.mark.parametrize('cookie', ['rot13', 'undefined', 'hex', 'no-such'])
def test_what_is_no_encoding_of_text_is_refused_by_name(tmp_path: Path, cookie: str) -> None:
    path = tmp_path / 'page.py'
    path.write_text(f'# -*- coding: {cookie} -*-\nk = 1\n')
    with pytest.raises(Mistakes, match=rf'page\.py:1:1: error: encoding: .*{cookie}'):
        read(path)


# ## Code without a fence
def test_a_session_is_code(tmp_path: Path) -> None:
    lines = '>>> inc(1)\n2\n>>> for i in "$a$":\n...     print(i)\n0'
    inside = lines.replace('\n', '\n    ')
    shown = page(tmp_path, f'def f():\n    """Add.\n    {inside}\n\n    $x$ and on.\n    """\n')
    assert '<blockquote' not in shown
    assert lines in text_of(shown)
    assert '<p>Add.</p>' in shown
    assert 'class="katex"' in shown


def test_a_quotation_and_a_session_in_a_list_stay_apart(tmp_path: Path) -> None:
    shown = page(tmp_path, '# > quoted\n#\n# * item\n#\n#   >>> f("`$$`")\n#   1\nx = 1\n')
    assert shown.count('<blockquote') == 1
    assert '>>> f("`$$`")\n1' in text_of(shown)


@pytest.mark.parametrize(
    'line', ['kill -9 $$', 'echo $a^$b', 'perl -e "$x{$y}"', r'printf "\begin{foo}"', '`tick $x$']
)
def test_no_mathematics_in_indented_code(tmp_path: Path, line: str) -> None:
    shown = page(tmp_path, f'# Usage:\n#\n#     {line}\n#\n# and $y$.\nx = 1\n')
    assert line in text_of(shown)
    assert shown.count('class="katex"') == 1


# ## Redirections and the server
@pytest.mark.parametrize(
    'target', [' javascript:alert(1)', 'java\tscript:x', '/\\evil.example', '\\\\evil', '//evil']
)
def test_a_redirection_stays_in_the_site(target: str) -> None:
    assert sites._leads_away(target)
    assert not sites._leads_away('page.html')
    assert 'Content-Security-Policy' in sites._redirect('page.html')


def test_watching_outlives_an_unforeseen_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(tmp_path, {'page.py': 'x = 1\n'})
    live = serve.Live(Request([tmp_path], load(tmp_path)))
    try:
        with monkeypatch.context() as patched:
            patched.setattr(serve.Site, 'read', lambda self: 1 // 0)
            live.build()
        assert 'ZeroDivisionError' in live.error
        live.build()
        assert not live.error
        assert live.file('page.html')[0]
    finally:
        live.close()


def test_a_server_makes_the_page_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    write = frame.Frame.write
    monkeypatch.setattr(frame.Frame, 'write', lambda self: made.append(self.url) or write(self))
    folder = project(tmp_path, {f'{name}.md': f'# {name}\n' for name in ('index', 'a', 'b')})
    live = serve.Live(Request([folder], load(folder)))
    try:
        live.build()
        assert live.file('a.html')[0]
        assert made == ['index.html', 'a.html']
        (folder / 'a.md').write_text('# a\n\nMore.\n')
        (folder / 'b.md').write_text('# b\n\n[no](where.md)\n')
        live.build()
        assert made == ['index.html', 'a.html', 'a.html']
        assert (live.error, live.version) == ('', 2)
        # A mistake is shown in its place, and told to every window that is open
        shown, _ = live.file('b.html')
        assert shown
        assert b'class="mistake" title="dead link: there is no where.md"' in shown
        assert 'b.md:3:6: error: dead link: there is no where.md' in live.error
        assert live.file('c.html') == (None, '')
    finally:
        live.close()


def test_another_site_reads_nothing(tmp_path: Path) -> None:
    project(tmp_path, {'page.py': 'x = 1\n'})
    server, live = serve.start(Request([tmp_path], load(tmp_path)), 0)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    url = f'http://127.0.0.1:{server.server_address[1]}/page.html'
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert answer.headers['Cross-Origin-Resource-Policy'] == 'same-origin'
        asked = urllib.request.Request(url, headers={'Sec-Fetch-Site': 'cross-site'})
        with pytest.raises(urllib.error.HTTPError, match='403') as refused:
            urllib.request.urlopen(asked, timeout=10)
        refused.value.close()
    finally:
        server.shutdown()
        server.server_close()
        live.close()


# ## Names
@pytest.mark.parametrize('pattern', ['f', '[*f]', '{**f}', '[1, f]', '1 as f'])
def test_what_a_match_binds_is_no_definition(tmp_path: Path, pattern: str) -> None:
    source = (
        f'def f(): pass\n\n\ndef g(x):\n    match x:\n        case {pattern}:\n            f()\n'
    )
    assert 'href="#f">f</a>' not in page(tmp_path, source)
    assert 'href="#f">f</a>' in page(tmp_path, 'def f(): pass\n\n\ndef g():\n    f()\n')


# ## The characters that are ours
@pytest.mark.parametrize('mark', ['\ue0000\ue001', '\ue000', '\ue0015\ue000', '\ue00077\ue001'])
@pytest.mark.parametrize('note', ['a {} b', '`{}`', '    {}', '```\n# {}\n# ```', '<b>{}</b>'])
def test_the_mark_of_a_formula_in_a_source(tmp_path: Path, mark: str, note: str) -> None:
    project(tmp_path, {'page.py': f'# Title\n#\n# {note.format(mark)}\nx = "{mark}"\n'})
    made = sites.Site(Request([tmp_path], load(tmp_path), lenient=True))
    try:
        shown = made.render()['page.html'].decode()
    finally:
        made.close()
    assert '\ufffd' in shown.partition('<pre><code>')[0] + shown.partition('class="block"')[2]
    assert mark in text_of(shown)  # what Python reads stays as it is
    assert {p.line for p in made.problems} == {3 + ('```' in note)}
    assert all('is a private character, and ours' in p.message for p in made.problems)


# ## Names and settings
@pytest.mark.skipif(sys.platform in ('darwin', 'win32'), reason='all names are UTF-8 there')
def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    project(tmp_path, {'b.md': '# B\n[back](caf%E9.py) [none](%FF.md)\n'})
    folder = tmp_path / os.fsdecode(b'd\xe9')
    folder.mkdir()
    for path in (tmp_path / os.fsdecode(b'caf\xe9.py'), folder / 'z.py'):
        path.write_text('x = 1\n')
    out = tmp_path / 'site'
    for _ in range(2):  # the second takes what was kept
        assert main(['build', str(tmp_path), '-o', str(out)]) == 0
    assert (out / os.fsdecode(b'caf\xe9.html')).is_file()
    shown = (out / 'b.html').read_text('utf-8')
    assert '<a href="caf%E9.html">back</a>' in shown
    assert 'there is no \ufffd.md' in shown
    assert 'caf\ufffd.py' in (out / 'd\udce9' / 'z.html').read_text('utf-8')


KEYS = ('title', 'nav', 'appendix', 'exclude', 'repository', 'revision', 'site_url', 'tests',
        'figures', 'live', 'locale', 'languages', 'tested_pages', 'bibliography', 'css', 'logo',
        'synonyms', 'macros', 'glossary', 'mutated_pages', 'mutants', 'measured_pages',
        'inventories')  # fmt: skip
SAID = ('glossary.x.only', 'glossary.x.meaning', 'glossary.x.shape')


@pytest.mark.parametrize('value', ['3', '[3]', '"x"', '{ x = 3 }', 'true', '[]', '1979-05-27'])
@pytest.mark.parametrize('key', [*KEYS, 'glossary.x.tex', *SAID])
def test_a_setting_of_a_wrong_type_is_named(tmp_path: Path, key: str, value: str) -> None:
    assert set(KEYS) == {f.name for f in fields(Config)} - {'root'}
    needed = "glossary.x.tex = 't'\n" if key in SAID else ''
    project(tmp_path, {'pyproject.toml': f'[tool.pylit]\n{key} = {value}\n{needed}'})
    try:
        load(tmp_path)
    except Mistakes as mistakes:
        (problem,) = mistakes.problems
        assert problem.line == 2
        assert key.rpartition('.')[2] in problem.message
    else:
        assert value in ('"x"', '[]') or (key, value) == ('glossary', '{ x = 3 }')


@pytest.mark.parametrize('text', ['tool = 3\n', '[tool]\npylit = "x"\n', '[[tool]]\npylit = 1\n'])
def test_a_table_is_asked_for(tmp_path: Path, text: str) -> None:
    project(tmp_path, {'pyproject.toml': text})
    with pytest.raises(Mistakes, match=r'error: tool(\.pylit)? must be a table'):
        load(tmp_path)


def test_a_catalogue_with_plurals(tmp_path: Path) -> None:
    po = (
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
        'msgid "One thing"\nmsgid_plural "Many"\nmsgstr[0] "Ein Ding"\nmsgstr[1] "Dinge"\n'
    )
    settings = '[tool.pylit]\nlanguages = ["de"]\n'
    source = {'page.py': '# One thing\nx = 1\n', 'docs/locale/de.po': po}
    files = render(project(tmp_path, {'pyproject.toml': settings, **source}))
    assert '<p>Ein Ding</p>' in files['de/page.html']
    assert main(['gettext', str(tmp_path)]) == 0


@pytest.mark.parametrize('target', ['%00.md', 'a' * 300 + '.md', '%FF', '%00', 'x' * 5000])
def test_a_link_that_no_file_can_be_called(tmp_path: Path, target: str) -> None:
    project(tmp_path, {'page.py': f'# [a]({target}) ![b]({target})\nx = 1\n'})
    with pytest.raises(Mistakes, match='dead link: there is no'):
        render(tmp_path)


# ## What is published
def test_links_out_of_the_project_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / 'outside'
    inside = project(tmp_path / 'inside', {'page.py': '# [a](a.md) ![b](b.png)\nx = 1\n'})
    project(outside, {'a.md': 'secret', 'c.py': 'secret = 1\n', 'b.png': '', 'f.svg': '<svg/>'})
    for name in ('a.md', 'c.py', 'b.png'):
        (inside / name).symlink_to(outside / name)
    project(inside, {'docs/figures/d.py': 'x = 1\n', 'more.py': '# ![d](figure:d.py::f)\ny = 2\n'})
    (inside / 'docs/figures/drawn').mkdir()
    for theme in ('light', 'dark'):
        (inside / f'docs/figures/drawn/d.f.{theme}.svg').symlink_to(outside / 'f.svg')
    made = sites.Site(Request([inside], load(inside), lenient=True, execute=True))
    try:
        files = made.render()
    finally:
        made.close()
    assert {p.path.rpartition('/')[2] for p in made.problems} == {
        'a.md', 'c.py', 'page.py', 'more.py'
    }  # fmt: skip
    assert sum('leads out of the project' in p.message for p in made.problems) == 3
    assert not any(b'secret' in data for data in files.values())
    assert not any(url.endswith(('b.png', 'f.svg', 'light.svg')) for url in files)
    assert (outside / 'f.svg').read_text() == '<svg/>'


SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink">{}</svg>'


@pytest.mark.parametrize(
    ('inner', 'message'),
    [
        ('<script>alert(1)</script>', 'a script in <script>'),
        ('<g><rect onload="alert(1)"/></g>', 'a script in <rect>'),
        ('<a x:href=" java\nscript:alert(1)"/>', 'a script in <a>'),
        ('<foreignObject><iframe xmlns="http://www.w3.org/1999/xhtml"/></foreignObject>', 'iframe'),
        ('<g>', 'not a valid SVG'),
        ('<?xml-stylesheet href="x.xsl"?>', 'style sheet'),
        ('<rect width="3"/><style>rect { fill: red }</style>', ''),
    ],
)
def test_a_picture_with_a_script_is_not_published(tmp_path: Path, inner: str, message: str) -> None:
    project(tmp_path, {'a.svg': SVG.format(inner), 'page.py': '# ![a](a.svg)\nx = 1\n'})
    made = sites.Site(Request([tmp_path], load(tmp_path), lenient=True))
    try:
        files = made.render()
    finally:
        made.close()
    assert ('assets/files/a.svg' in files) == (not message)
    assert all(message in p.message for p in made.problems)
    assert bool(made.problems) == bool(message)


def test_what_a_killed_run_has_begun_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = max(int(p) for p in os.listdir('/proc') if p.isdigit()) + 100_000
    (tmp_path / f'site.tmp-{gone}').mkdir()
    (tmp_path / f'site.tmp-{gone + 1}').mkdir()
    (tmp_path / f'site.tmp-{gone + 1}' / 'someone.txt').touch()
    written: list[str] = []
    real = Path.write_bytes

    def write(path: Path, data: bytes) -> int:
        written.extend(p.name for p in path.parent.iterdir())
        return real(path, data)

    monkeypatch.setattr(Path, 'write_bytes', write)
    swap.write({'page.html': b'x'}, tmp_path / 'site')
    assert written == [swap.MANIFEST]  # it stood there before any page
    assert {p.name for p in tmp_path.iterdir()} == {'site', f'site.tmp-{gone + 1}'}


# ## The server
def test_the_server_answers_head_and_locks_pictures_up(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path, {'a.svg': SVG.format(''), 'page.py': '# ![a](a.svg)\nx = 1\n'})
    server, live = serve.start(Request([tmp_path], load(tmp_path)), 0)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    port = server.server_address[1]
    try:
        for name in ('page.html', 'assets/files/a.svg', '-/events'):
            asked = urllib.request.Request(f'http://127.0.0.1:{port}/{name}', method='HEAD')
            with urllib.request.urlopen(asked, timeout=10) as answer:
                assert answer.status == 200
                assert answer.read() == b''
                policy = answer.headers.get('Content-Security-Policy', '')
                assert policy.startswith('sandbox') == name.endswith('.svg')
        try:
            raise ConnectionResetError
        except ConnectionResetError:
            server.handle_error(None, ('127.0.0.1', port))
    finally:
        server.shutdown()
        server.server_close()
        live.close()
    assert not capfd.readouterr().err


@pytest.mark.parametrize('port', ['65536', '-1', '99999999999'])
def test_a_port_that_there_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], port: str
) -> None:
    project(tmp_path, {'page.py': 'x = 1\n'})
    assert main(['serve', str(tmp_path), f'--port={port}']) == 2
    assert f'port {port}: give one from 1 to 65535' in capsys.readouterr().err


# ## Where things stand
@pytest.mark.parametrize(
    'line', ['\tx\t= f(1,\t"a\tb")\t# c\td', 'y\t=\t"<\t&"\t< 1', "x\t= '''a\tb", '  \tx\t = 1\t']
)
def test_tabs_end_where_they_end_in_the_source(tmp_path: Path, line: str) -> None:
    before = 'if 1:\n' if line[0] in ' \t' else ''
    after = "\n\tc\t'''" if "'''" in line else ''
    shown = page(tmp_path, f'f\t= 1\n{before}{line}{after}\n')
    lines = text_of(shown.partition('<pre><code>')[2].partition('</code>')[0]).split('\n')
    assert line.expandtabs() in lines
    assert f'f{" " * 7}= 1' in lines


def test_tabs_in_notes_end_where_they_end_in_the_source(tmp_path: Path) -> None:
    shown = page(
        tmp_path,
        'if 1:\n\t# A\n\t#\n\t#     a\tb\n\tx = 1\n\n\ndef f():\n\t"""```\n\ta\tb\n\t```"""\n',
    )
    assert '\na b\n' in text_of(shown)  # `#     a` ends at column 15, and the next stop is 16
    assert f'a{" " * 7}b' in text_of(shown)


def test_a_name_leads_to_its_definition_and_not_to_a_heading(tmp_path: Path) -> None:
    source = (
        '# # f\n# `f` and `g`, see [the part](#f).\nx = 1\n\n\n# ## g\n\ny = 1\n\n\ndef f(): pass\n'
    )
    source = source.replace('def f', '# A note with room beside it.\n' * 9 + 'def f')
    source += 'def g(): pass\n\n\nf(g())\n'
    files = render(
        project(tmp_path, {'page.py': source, 'b.py': 'from page import f, g\nf(g())\n'})
    )
    shown = files['page.html']
    assert '<section class="row pair" id="f-2">' in shown
    assert '<h1 id="f">' in shown
    assert '<span id="g-2"></span>' in shown
    assert 'href="#f">the part' in shown
    for name in ('f', 'g'):
        assert f'<a href="#{name}-2"><code>{name}</code></a>' in shown
        assert f'<a href="#{name}-2">{name}</a>' in shown
        assert f'<a href="page.html#{name}-2">{name}</a>' in files['b.html']
        assert f'<a href="#{name}-2"><code>{name}</code></a></li>' in shown


def test_a_definition_that_is_made_twice_has_one_place(tmp_path: Path) -> None:
    twice = 'x = 1\nif x:\n    def f(): pass\n'
    shown = page(tmp_path, f'# A note\n{twice}\n\n# Another\n{twice}f()\n')
    assert shown.count('id="f"') == 1


# ## What is done once, and not for each page
@pytest.mark.parametrize('page', ['a.html', 'x/a.html', 'x/y/a.html', 'x/index.html'])
@pytest.mark.parametrize('target', ['.', 'a.html', 'x/b.html', 'x/y', 'xy/c.html', 'x', 'x/../y'])
def test_relative_addresses(page: str, target: str) -> None:
    wanted = posixpath.relpath(target, posixpath.dirname(page) or '.')
    assert layout.relative(page, target) == wanted


def test_a_build_leaves_the_collector_of_garbage_as_it_was(tmp_path: Path) -> None:
    project(tmp_path, {'page.py': 'x = 1\n', 'empty.py': '#\n\n#\nx = [y for y in "a" if 1]\n'})
    assert main(['build', str(tmp_path), '-o', str(tmp_path / 'site')]) == 0
    assert gc.isenabled()
