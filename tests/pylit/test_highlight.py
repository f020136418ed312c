"""Colours of code in prose: what it is, if nobody has said it, and what of it is a command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labml_nn.pylit import highlight
from tests.kit.sites import page

WHAT = [
    ('python -m labml_nn.pylit build x.py -o site\n', 'bash'),
    ('OMP_NUM_THREADS=1 torchrun --nproc-per-node 8 \\\n    -m x  # on eight\n', 'bash'),
    ('# first this\npip install x\n\nmake docs\n', 'bash'),
    ('$ pip install x\nCollecting x\n', 'console'),
    ('x = f(1)\nprint(x)\n', 'python'),
    ('from a import b\n', 'python'),
    ('UNet of 35,746,307 parameters\n', 'text'),
    ('operator torchvision::nms does not exist\n', 'text'),
    ('# only words\n', 'text'),
    ('', 'text'),
    # What begins like a command and goes on in another way
    ('make = 1\nmodel(make)\n', 'python'),
    ('python is a language\nand this is a text\n', 'text'),
]


@pytest.mark.parametrize(('text', 'language'), WHAT)
def test_what_code_is(text: str, language: str) -> None:
    assert highlight.language_of(text) == language


def coloured(shown: str) -> list[tuple[str, str]]:
    return re.findall(r'<span class="(\w)">(.*?)</span>', shown, re.S)


def test_commands_and_options_have_colours() -> None:
    text = 'X=1 python -m x --n 5 | tee log && cd a\n'
    shown = highlight.block(text, 'bash', {})
    assert re.sub('<.*?>', '', shown) == text.replace('&', '&amp;')
    assert [word for css, word in coloured(shown) if css == 'f'] == ['python', 'tee']
    assert [word for css, word in coloured(shown) if css == 'a'] == ['-m', '--n']


def test_a_session_has_prompts_and_answers() -> None:
    shown = coloured(highlight.block('$ ls -l\nfor x in y\n$ make\n', 'console', {}))
    assert shown == [
        ('q', '$ '), ('f', 'ls'), ('a', '-l'), ('o', 'for x in y\n'), ('q', '$ '), ('f', 'make'),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ('text', 'css'),
    [
        ('--help', 'a'),
        ('--sampler ddim', 'a'),
        ('experiment --out RUN', 'fa'),
        ('pip install x', 'f'),
        ('for i in range(n)', 'kkb'),
        ('x - y', ''),
        ('model.help', ''),
    ],
)
def test_code_in_a_sentence(text: str, css: str) -> None:
    assert ''.join(kind for kind, _ in coloured(highlight.inline(text))) == css


@pytest.mark.parametrize(
    ('line', 'tied'),
    [
        ('def f() -&gt; int', ['-&gt;']),
        ('run --a-b 1 -m x', ['--a-b', '-m']),
        ('f(-beta, a - b, u-Net)', ['-beta']),
        ('k--; <a href="x.html#a--b">--c</a>', ['--', '--c']),
        ('2 -1 &lt;--&gt;', ['--&gt;']),
        ("(1e-9, 'utf-8', x-1, n - 1)", ['1e-9', 'utf-8']),
    ],
)
def test_what_a_line_is_not_broken_in(line: str, tied: list[str]) -> None:
    shown = highlight.unbroken(line)
    assert re.findall('<span class="z">(.*?)</span>', shown) == tied
    assert re.sub('</?span[^>]*>', '', shown) == line


def test_a_block_is_coloured_as_what_it_is(tmp_path: Path) -> None:
    note = '#     python x.py --n 5\n#\n# ```\n# print(1)\n# ```\n'
    shown = page(tmp_path, f'{note}#\n# ```text\n# print(1)\n# ```\nx = 1\n')
    python, commands = '<span class="b">print</span>', '<span class="a">--n</span>'
    assert (shown.count(python), shown.count(commands)) == (1, 1)


def test_long_code_in_a_sentence_may_break(tmp_path: Path) -> None:
    shown = page(tmp_path, '# `labml_nn.x` and `labml_nn.diffusion.ddpm.experiment`\nx = 1\n')
    assert '<code>labml_nn.x</code>' in shown
    assert '<code>labml_nn.<wbr>diffusion.<wbr>ddpm.<wbr>experiment<' in shown
