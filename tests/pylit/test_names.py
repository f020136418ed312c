"""Names lead to definitions, and never to the wrong one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from labml_nn.pylit.names import defined
from tests.kit.sites import project, render

LIB, THING = '../lib.html', '../lib.html#Thing'
LIBRARY = 'class Thing:\n    """A thing."""\n    def act(self): pass\n\ndef make(): pass\n'


def links(folder: Path, source: str) -> list[tuple[str, str]]:
    project(
        folder,
        {
            'pkg/__init__.py': 'from .lib import Thing\n',
            'pkg/lib.py': LIBRARY,
            'pkg/sub/__init__.py': '',
            'pkg/sub/page.py': source,
        },
    )
    shown = render(folder)['pkg/sub/page.html'].partition('<main')[2]
    code = ''.join(re.findall(r'<pre[^>]*><code>(.*?)</code></pre>', shown, re.S))
    found = re.findall(r'<a [^>]*?href="([^"]*)"[^>]*>([^<]*)</a>', code)
    return [(name, href) for href, name in found]


@pytest.mark.parametrize(
    ('source', 'expected'),
    [
        ('def f(): pass\nf()\n', [('f', '#f')]),
        ('from ..lib import make\nmake()\n', [('make', '../lib.html#make')]),
        ('from pkg.lib import Thing as T\nT.act\n', [('T', THING), ('act', f'{THING}.act')]),
        ('from pkg import Thing\nThing()\n', [('Thing', THING)]),
        ('from pkg import lib\nlib.make()\n', [('lib', LIB), ('make', f'{LIB}#make')]),
        ('import pkg.lib\npkg.lib\n', [('pkg', '../index.html'), ('lib', LIB)]),
        ('class C:\n  def a(self): self.b()\n  def b(self): pass\n', [('b', '#C.b')]),
        ('import os\nos.path\n', []),
        ('class C:\n  def a(self): self.none()\n', []),
        ('def f(): pass\ndef g(x):\n  [f for f in x]\n  f()\n', [('f', '#f')]),
        ('def f(): pass\n{f for f in f()}\n', [('f', '#f')]),
        ('def f(): pass\ndef g():\n  lambda f=f: f\n', [('f', '#f')]),
    ],
)  # fmt: skip
def test_a_name_leads_to_its_definition(
    tmp_path: Path, source: str, expected: list[tuple[str, str]]
) -> None:
    assert links(tmp_path, source) == expected


@pytest.mark.parametrize(
    'source',
    [
        'def f(): pass\ndef g(f): f()\n',
        'def f(): pass\ndef g():\n  f = 1\n  f()\n',
        'def f(): pass\ndef g():\n  for f in x: f()\n',
        'def f(): pass\ndef g():\n  with x as f: f()\n',
        'def f(): pass\ndef g():\n  try: pass\n  except E as f: f()\n',
        'class C:\n  def f(self): pass\n  def g(self): f()\n',
        'def f(): pass\nlambda f: f\n',
        'def f(): pass\n[f for f in x]\n',
        'def f(): pass\n{f: g for x in y if x for f, g in x if f}\n',
        'def f(): pass\ndef g():\n  [(f := y) for y in x]\n  f()\n',
    ],
)
def test_a_local_name_is_not_a_definition(tmp_path: Path, source: str) -> None:
    assert links(tmp_path, source) == []


def test_characters_before_the_name_may_take_two_bytes(tmp_path: Path) -> None:
    assert links(tmp_path, 'def f(): pass\nx = "éé"; f()\n') == [('f', '#f')]


def test_every_link_has_a_target(tmp_path: Path) -> None:
    source = 'from ..lib import *\nfrom ..lib import Thing\nclass C(Thing):\n  x = Thing().act\n'
    project(tmp_path, {'pkg/__init__.py': '', 'pkg/lib.py': LIBRARY, 'pkg/sub/page.py': source})
    files = render(tmp_path)
    for url, text in files.items():
        for href in re.findall(r'<a class="?f?"?[^>]*href="([^"]*)"', text):
            path, _, anchor = href.partition('#')
            target = text if not path else None
            if target is not None and anchor:
                assert f'id="{anchor}"' in target, (url, href)


def test_where_a_name_is_defined() -> None:
    source = 'def f(a, b):\n    a.c = b\n    b, d = 1, 2\n    b = 3\n    return a.e\n'
    assert defined(ast.parse(source)) == {'f': 1, 'a': 1, 'b': 3, 'c': 2, 'd': 3}
