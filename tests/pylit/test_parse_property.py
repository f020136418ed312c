"""Nothing is lost and nothing is said twice, on any source that Python accepts."""

from __future__ import annotations

import ast
import os
import random
import re
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labml_nn.pylit.parse import parse, read
from labml_nn.pylit.problems import Mistakes
from tests.kit.sites import ROOT, split

STDLIB = Path(sysconfig.get_paths()['stdlib'])


def every_line_once(text: str) -> None:
    module = split(text)
    lines = text.split('\n')
    code = [c.number for s in module.sections for c in s.code if c.text.strip()]
    # A line that holds only the quotes of a docstring has no text left, and still has its place
    prose = [p.number for s in module.sections for p in s.prose if p.number]
    assert code == sorted(set(code))
    assert prose == sorted(set(prose))
    blank = {n for n, line in enumerate(lines, 1) if not line.strip()}
    assert not blank & set(code)
    shown = sorted(code + [n for n in prose if n not in blank])
    assert shown == sorted(set(shown))
    # A directive is followed, and nothing else is missing
    missing = {n for n in range(1, len(lines) + 1) if n not in blank} - set(shown)
    assert all(re.fullmatch(r'\s*# pylit: \w+\s*', lines[n - 1]) for n in missing)
    for section in module.sections:
        for shown in section.code:
            assert shown.text == lines[shown.number - 1]
        for shown in section.prose:
            if shown.text:
                line = lines[shown.number - 1]
                assert shown.text in line or shown.text in line.expandtabs()


# ## This repository, and Python's own library
@pytest.mark.parametrize(
    'path',
    [
        str(p.relative_to(ROOT))
        for folder in ('labml_nn', 'tests')
        for p in sorted((ROOT / folder).rglob('*.py'))
    ],
)
def test_every_line_once_here(path: str) -> None:
    every_line_once(read(ROOT / path))


def library() -> list[Path]:
    files = sorted(
        p for p in STDLIB.rglob('*.py') if not {'site-packages', 'lib2to3'} & set(p.parts)
    )
    if os.environ.get('PYLIT_WHOLE_STDLIB'):
        return files
    # Two hundred files are enough by default; the seed is fixed so that a failure comes back
    return random.Random(0).sample(files, min(200, len(files)))


@pytest.mark.long
def test_every_line_once_in_the_standard_library() -> None:
    seen = 0
    for path in library():
        try:
            text = read(path)
            ast.parse(text)
        except (Mistakes, SyntaxError, ValueError, RecursionError):
            continue  # the library keeps some files that are wrong on purpose
        try:
            every_line_once(text)
        except AssertionError as error:
            raise AssertionError(f'{path}: {error}') from error
        seen += 1
    assert seen > 150


# ## Generated sources
#
# Pieces that are whole statements by themselves, put together in any order and depth, so that
# almost everything generated is valid and everything odd meets everything else.
PIECES = st.sampled_from(
    [
        '# note',
        '#',
        '#tight',
        '# # Heading',
        '## kept',
        '# noqa',
        '# type: ignore',
        '',
        '',
        '   ',
        'x = 1',
        'x = 1  # trailing',
        '"""doc"""',
        '"""doc\n\n# no\n"""',
        "r'''\\doc\n  '''  # noqa",
        'x = """\n# no\n\n"""',
        'x = f"""\n# {1}\n\n{2} """',
        "x = f'#{1!r:>{2}}'",
        'f(\n# in\n\n1,\n  # two\n)',
        'x = [1,\n\n2]',
        'y = 1 + \\\n  2',
        '"a"; "b"',
        '"a" "b"',
        '@a\n@b(\n  # c\n1)\ndef g(): pass',
        'if __name__ == "__main__": pass',
        'lambda: 0',
        'é = "\u2028"',
    ]
)
HEADS = st.sampled_from(
    [
        'def f():',
        'class C:',
        'if x:',
        '@d\nasync def f(a,\n  # b\n  b=1):',
        'with a as b:',
        'def f(): # t',
    ]
)


def block(head: str, body: list[str]) -> str:
    # Strings keep their own lines: only the first line of a piece is indented
    inner = '\n'.join(f'    {line}' if line.strip() else line for piece in body for line in [piece])
    return f'{head}\n{inner}\n    pass'


NESTED = st.recursive(
    PIECES,
    lambda inner: st.builds(block, HEADS, st.lists(PIECES, max_size=5)) | inner,
    max_leaves=6,
)


@settings(max_examples=400, deadline=None)
@given(pieces=st.lists(NESTED, max_size=10), end=st.sampled_from(['', '\n', '\n\n']))
def test_every_line_once_in_generated_sources(pieces: list[str], end: str) -> None:
    text = '\n'.join(pieces) + end
    try:
        ast.parse(text)
    except SyntaxError:
        return  # a multi-line piece indented by half: Python refuses, and so do we (below)
    every_line_once(text)


def test_most_generated_sources_are_valid() -> None:
    # Otherwise the property above would be true of nothing
    valid: list[bool] = []

    @settings(max_examples=100, deadline=None, database=None)
    @given(pieces=st.lists(NESTED, max_size=10))
    def collect(pieces: list[str]) -> None:
        try:
            ast.parse('\n'.join(pieces))
            valid.append(bool(pieces))
        except SyntaxError:
            pass

    collect()
    assert sum(valid) > 30


# ## Damaged sources: an answer in one line, never a traceback
CORPUS = [read(p) for p in sorted((ROOT / 'labml_nn' / 'pylit').glob('*.py'))]


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(),
    junk=st.sampled_from(
        ['"""', "'", '(', ')', '\t', '\\', 'f"{', '#', '\x0c', '\n', ' ', '\x1a', '$']
    ),
)
def test_damaged_sources_never_trace(data: st.DataObject, junk: str) -> None:
    text = data.draw(st.sampled_from(CORPUS))
    at = data.draw(st.integers(0, len(text)))
    to = data.draw(st.integers(at, min(len(text), at + 40)))
    damaged = text[:at] + junk + text[to:]
    try:
        parse(damaged, Path('page.py'))
    except Mistakes as mistakes:
        assert all(p.line >= 1 and p.column >= 1 for p in mistakes.problems)  # noqa: PT017
    else:
        every_line_once(damaged)
