"""The splitting rules, one small source each, and every corner case we know of."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from labml_nn.pylit.parse import parse, read
from labml_nn.pylit.problems import Mistakes
from tests.kit.sites import shape, split

# name: (source, the sections it must become)
GOLDEN = {
    'a note and its code': ('# Note\nx = 1\n', [('Note', 'x = 1')]),
    'adjacent comments are one note': ('# a\n# b\nx = 1\n', [('a\nb', 'x = 1')]),
    'a blank line ends a note': ('# a\n\n# b\nx = 1\n', [('a', ''), ('b', 'x = 1')]),
    'blank lines inside code are kept': ('# a\nx = 1\n\ny = 2\n\n', [('a', 'x = 1\n\ny = 2')]),
    'blank lines before code are dropped': ('# a\n\n\nx = 1\n', [('a', 'x = 1')]),
    'one space of a comment goes, further indentation stays': (
        '# list:\n#   * x\n#no space\nx = 1\n',
        [('list:\n  * x\nno space', 'x = 1')],
    ),
    'a docstring belongs to the def above it': (
        'def f():\n    """Doc."""\n    return 1\n',
        [('Doc.', 'def f():'), ('', '    return 1')],
    ),
    'comment and docstring share the note': (
        '# Above\ndef f():\n    """Doc."""\n    return 1\n',
        [('Above\n\nDoc.', 'def f():'), ('', '    return 1')],
    ),
    'docstrings are dedented, escapes untouched': (
        'def f():\n    r"""\n    a \\bar\n      b\n    """\n',
        [('a \\bar\n  b', 'def f():')],
    ),
    'imports do not belong to the module docstring': (
        '"""Module."""\nimport os\n',
        [('Module.', ''), ('', 'import os')],
    ),
    'a licence above the module docstring goes first': (
        '# Licence\n\n"""Module."""\n',
        [('Licence\n\nModule.', '')],
    ),
    'a def starts a section': ('x = 1\ndef f(): pass\n', [('', 'x = 1'), ('', 'def f(): pass')]),
    'a comment on a def stays with it': ('# f\ndef f(): pass\n', [('f', 'def f(): pass')]),
    'a comment and a blank line before a def stay with it': (
        '# about f\n\ndef f(): pass\n',
        [('about f', 'def f(): pass')],
    ),
    'but a heading with air below stands alone': (
        '# ## Part two\n\ndef f(): pass\n',
        [('## Part two', ''), ('', 'def f(): pass')],
    ),
    'stacked and multi-line decorators stay with their def': (
        'x = 1\n@a\n@b(\n    1,\n)\ndef f():\n    """Doc."""\n',
        [('', 'x = 1'), ('Doc.', '@a\n@b(\n    1,\n)\ndef f():')],
    ),
    'a decorated def does not swallow what follows': (
        '@a\ndef f(): pass\ndef g(): pass\nclass C: pass\n',
        [('', '@a\ndef f(): pass'), ('', 'def g(): pass'), ('', 'class C: pass')],
    ),
    'async def and class': (
        'async def f(): pass\nclass C:\n    """Doc."""\n    def g(self): pass\n',
        [('', 'async def f(): pass'), ('Doc.', 'class C:'), ('', '    def g(self): pass')],
    ),
    'a nested def starts a section too': (
        'def f():\n    x = 1\n    def g(): pass\n',
        [('', 'def f():\n    x = 1'), ('', '    def g(): pass')],
    ),
    'arguments annotated one by one': (
        'f(\n    # first\n    1,\n    # second\n    2,\n)\n',
        [('', 'f('), ('first', '    1,'), ('second', '    2,\n)')],
    ),
    'a comment between decorator and def': (
        '@a\n# why\ndef f(): pass\n',
        [('', '@a'), ('why', 'def f(): pass')],
    ),
    'a trailing comment is code': ('x = 1  # note\n', [('', 'x = 1  # note')]),
    'a string that is no docstring is code': (
        'x = 1\n"""\n# not a comment\n\n"""\n'.replace('x = 1\n', 'print()\n'),
        [('', 'print()\n"""\n# not a comment\n\n"""')],
    ),
    'a hash in a string is code': ('x = """\n# no\n"""\n', [('', 'x = """\n# no\n"""')]),
    'a hash in an f-string is code': (
        'x = f"""\n# no {1}\n\n# {2:\n}"""\n'.replace('{2:\n}', '{2}'),
        [('', 'x = f"""\n# no {1}\n\n# {2}"""')],
    ),
    'attribute docstrings': (
        'class C:\n    a: int = 1\n    """About a."""\n    b = 2\n    """About b."""\n',
        [('', 'class C:'), ('About a.', '    a: int = 1'), ('About b.', '    b = 2')],
    ),
    'a string after an assignment inside a function is code': (
        'def f():\n    x = 1\n    """no"""\n',
        [('', 'def f():\n    x = 1\n    """no"""')],
    ),
    'a docstring beside its def is code': ('def f(): "doc"\n', [('', 'def f(): "doc"')]),
    'a docstring that shares its line is code': (
        'def f():\n    "doc"; x = 1\n',
        [('', 'def f():\n    "doc"; x = 1')],
    ),
    'a docstring with a remark for a linter is prose': (
        'def f():\n    """Doc."""  # noqa: D401\n',
        [('Doc.', 'def f():')],
    ),
    'a docstring in pieces is code': (
        'def f():\n    "a" "b"\n',
        [('', 'def f():\n    "a" "b"')],
    ),
    'bytes and f-strings are no docstrings': (
        'def f():\n    b"a"\ndef g():\n    f"a"\n',
        [('', 'def f():\n    b"a"'), ('', 'def g():\n    f"a"')],
    ),
    'a bare hash ends the note': (
        '# a\nx = 1\n#\nreturn_ = x\n',
        [('a', 'x = 1'), ('', 'return_ = x')],
    ),
    'comments for tools are code': (
        '#!/usr/bin/env python\n# -*- coding: utf-8 -*-\n# fmt: off\nx = 1\n# type: ignore\n# %%\n',
        [
            (
                '',
                '#!/usr/bin/env python\n# -*- coding: utf-8 -*-\n# fmt: off\nx = 1\n'
                '# type: ignore\n# %%',
            )
        ],
    ),
    'two hashes keep a comment in the code': (
        '# note\nx = 1\n## plain\ny = 2\n',
        [('note', 'x = 1\n## plain\ny = 2')],
    ),
    'else belongs to the comment above it': (
        'if a:\n    b()\n# otherwise\nelse:\n    c()\n',
        [('', 'if a:\n    b()'), ('otherwise', 'else:\n    c()')],
    ),
    'continuation lines are one run': (
        'x = 1 + \\\n    2\ndef f(a,\n      b):\n    """Doc."""\n',
        [('', 'x = 1 + \\\n    2'), ('Doc.', 'def f(a,\n      b):')],
    ),
    'the main guard is a section of its own': (
        '# a\nx = 1\n\nif __name__ == "__main__":\n    x()\n',
        [('a', 'x = 1'), ('', 'if __name__ == "__main__":\n    x()')],
    ),
    'a dataclass, one field a row': (
        'class C:\n    # width\n    w: int\n    # height\n    h: int\n',
        [('', 'class C:'), ('width', '    w: int'), ('height', '    h: int')],
    ),
    'tabs': (
        'def f():\n\t"""Doc\n\tmore"""\n\tx = 1\n',
        [('Doc\nmore', 'def f():'), ('', '\tx = 1')],
    ),
    'form feeds': ('x = 1\n\f\n# a\ny = 2\n', [('', 'x = 1'), ('a', 'y = 2')]),
    'not only ASCII': ('# ε₀ и 噪声\nε = "é"\n', [('ε₀ и 噪声', 'ε = "é"')]),
    'line separators inside a line': ('x = "a\u2028b"  # c\n', [('', 'x = "a\u2028b"  # c')]),
    'a backslash that only begins the text': (
        'def f():\n    """\\\n    Doc.\n    """\n',
        [('Doc.', 'def f():')],
    ),
    'nothing': ('', []),
    'only blank lines': ('\n \n\n', []),
    'no newline at the end': ('# a\nx = 1', [('a', 'x = 1')]),
}


@pytest.mark.parametrize('case', GOLDEN)
def test_rule(case: str) -> None:
    source, expected = GOLDEN[case]
    assert shape(source) == expected


@pytest.mark.skipif(sys.version_info < (3, 12), reason='a syntax error before Python 3.12')
def test_comment_inside_an_f_string_is_code() -> None:
    source = 'x = f"""{\n# no\n1}"""\n'
    assert shape(source) == [('', source.rstrip('\n'))]


def test_tokens_inside_f_strings_are_never_comments() -> None:
    # Up to 3.11 one STRING, from 3.12 on FSTRING_START, MIDDLE, END: the answer is the same
    source = "x = f'''a {1!r:>{2}} # b\n\n# c {f'{3}'} '''\n# note\ny = f'#{x}'\n"
    assert shape(source) == [
        ('', "x = f'''a {1!r:>{2}} # b\n\n# c {f'{3}'} '''"),
        ('note', "y = f'#{x}'"),
    ]


def test_lines_know_where_they_come_from() -> None:
    module = split(
        textwrap.dedent('''
        class C:
            r"""First

            third
            """
            # Above
            def f(self):
                pass
        ''').lstrip('\n')
    )
    doc = module.sections[0]
    assert [(p.number, p.text, p.column) for p in doc.prose if p.text] == [
        (2, 'First', 8),
        (4, 'third', 4),
    ]
    above = module.sections[1]
    assert (above.prose[0].number, above.prose[0].column) == (6, 6)
    assert [s.name for s in module.sections] == ['C', 'C.f']
    assert above.scope == 'C'


def test_definitions_know_their_place() -> None:
    module = split('@a\nclass C:\n  if 1:\n    def f(self): pass\n  class D:\n    x = 1\n')
    assert [(d.name, d.kind, d.start, d.line, d.end) for d in module.definitions] == [
        ('C', 'class', 1, 2, 6),
        ('C.f', 'function', 4, 4, 4),
        ('C.D', 'class', 5, 5, 6),
    ]


# ## Files that cannot be read
def test_a_message_says_which_python_does_not_understand() -> None:
    # What is an error here may be new in a Python that came later
    with pytest.raises(Mistakes) as caught:
        split('x = 1 ??\n')
    version = f'{sys.version_info[0]}.{sys.version_info[1]}'
    assert caught.value.problems[0].message.endswith(f'(says Python {version})')


@pytest.mark.parametrize(
    ('data', 'expected'),
    [
        (b'def f(:\n', r'^page\.py:1:7: error: '),
        (b'x = 1\nx = (\n', r"^page\.py:2:5: error: '\(' was never closed"),
        (b'x = 1\n\xff\n', r'^page\.py:2:1: error: byte 0xff is not utf-8'),
        (b'# ok\nx = "\0"\n', r'^page\.py:2:6: error: a NUL byte'),
        (b'# coding: klingon\n', r'^page\.py:1:1: error: encoding: unknown encoding'),
        (b'if 1:\n\tx\n        y\n', r'^page\.py:3:\d+: error: .*(tabs|indent)'),
        (
            b'x = ' + b'(' * 5000 + b')' * 5000,
            r'^page\.py:1:\d+: error: .*(nest|deep|stack|parenth)',
        ),
        (b'x = ' + b'-' * 100_000 + b'1', r'^page\.py:1:\d+: error: .*(nest|deep|stack|memory)'),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, data: bytes, expected: str) -> None:
    path = tmp_path / 'page.py'
    path.write_bytes(data)
    with pytest.raises(Mistakes, match=expected) as caught:
        parse(read(path, 'page.py'), path, 'page.py')
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    'data',
    [
        b'\xef\xbb\xbf# note\nx = 1\n',
        b'# note\r\nx = 1\r\n',
        b'# note\rx = 1\r',
        b'# note\nx = 1\n',
    ],
    ids=['byte order mark', 'CRLF', 'CR', 'plain'],
)
def test_line_ends_and_marks_are_normalised(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / 'page.py'
    path.write_bytes(data)
    assert shape(read(path)) == [('note', 'x = 1')]


def test_declared_encoding(tmp_path: Path) -> None:
    path = tmp_path / 'page.py'
    path.write_bytes('# coding: latin-1\n\n# é\nx = 1\n'.encode('latin-1'))
    assert shape(read(path))[1] == ('é', 'x = 1')


def test_a_raw_string_by_itself_is_a_chapter() -> None:
    source = 'x = f(1)\n\n\ndef g():\n    pass\n\n\nr"""\nA chapter\n\n$\\alpha$\n"""\n\n\ny = 2\n'
    assert shape(source) == [
        ('', 'x = f(1)'),
        ('', 'def g():\n    pass'),
        ('A chapter\n\n$\\alpha$', ''),
        ('', 'y = 2'),
    ]
    # Code that somebody has put aside stays where it is
    aside = source.replace('r"""', '"""').replace('$\\alpha$', 'x = 1')
    assert all(not note for note, _ in shape(aside))
