"""Sources that nobody prepared for the renderer, and sites that are not friendly."""

from __future__ import annotations

import html
import re
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from pylit_kit import page, project

from labml_nn.pylit import serve
from labml_nn.pylit import site as sites
from labml_nn.pylit.config import load
from labml_nn.pylit.parse import read
from labml_nn.pylit.problems import Mistakes
from labml_nn.pylit.site import Request


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
    assert b'Content-Security-Policy' in sites._redirect('page.html')


def test_watching_outlives_an_unforeseen_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(tmp_path, {'page.py': 'x = 1\n'})
    live = serve.Live(Request([tmp_path], load(tmp_path)))
    try:
        with monkeypatch.context() as patched:
            patched.setattr(serve.Site, 'render', lambda self: 1 // 0)
            live.build()
        assert 'ZeroDivisionError' in live.error
        live.build()
        assert not live.error
        assert 'page.html' in live.files
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
