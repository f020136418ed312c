"""What `check` finds, each in one line; and what it lets pass."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pylit_kit import project

from labml_nn.pylit.__main__ import main
from labml_nn.pylit.check import is_code

CONFIG = '[tool.pylit]\n[tool.pylit.glossary]\nalpha_bar = { tex = "\\\\bar\\\\alpha" }\n'


def check(folder: Path, source: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    project(folder, {'pyproject.toml': CONFIG, 'page.py': source})
    status = main(['check', str(folder / 'page.py'), '--symbols'])
    said = capsys.readouterr().err
    assert 'Traceback' not in said
    return status, re.findall(r'page\.py:(\d+:\d+: (?:error|warning): .*)', said)


@pytest.mark.parametrize(
    ('source', 'status', 'expected'),
    [
        ('# fine $\\bar\\alpha$\nalpha_bar = 1\n', 0, []),
        ('# [x](none.py)\nx = 1\n', 1, ['1:7: error: dead link: there is no none.py']),
        ('# [x](#none)\nx = 1\n', 1, [r'1:7: error: dead link: .* has no #none']),
        ('# a $\\foo$\nx = 1\n', 1, [r'1:6: error: LaTeX: Undefined control sequence']),
        ('# $\\color{lightgren}x$\nx = 1\n', 1, ["1:11: error: unknown colour 'lightgren'"]),
        ('# $f(x$\nx = 1\n', 0, [r'1:4: warning: \( without its partner']),
        ('# $[0, 1)$\nx = 1\n', 0, []),
        ('# $\\left( x \\right.$\nx = 1\n', 0, [r'warning: \( without']),
        ('def f():\n    r"""The $\\bar x$"""\n', 0, []),
        ('def f():\n    """The $\\bar x$"""\n', 0, [r'2:13: warning: \\bar in a docstring that is not']),  # noqa: E501
        ('# $\\bar\\alpha$\nx = 1\n', 0, ['1:4: warning: the note speaks of alpha_bar']),
        ('# $\\bar\\alpha$\nx = 1  # pylit: no-symbols\n', 0, []),
        ('# $\\bar\\alpha$\ny = self.alpha_bar_prev\n', 0, []),
        ('# $$\\bar\\alpha$$\nx = 1\n', 0, []),
        ('# x = compute(1)\ny = 1\n', 0, ['1:3: warning: code in a comment']),
        ('# def f(x):\ny = 1\n', 0, ['1:3: warning: code in a comment']),
        ('## x = compute(1)\ny = 1\n', 0, []),
        ('# ```\n# x = compute(1)\n# ```\ny = 1\n', 0, []),
        ('# ![](x.png)\nx = 1\n', 1, ['1:7: error: an image without a description', 'no such image']),  # noqa: E501
        ('# # A {#a}\n\n# # B {#a}\nx = 1\n', 1, ["3:9: error: the id 'a' is taken"]),
        ('# [t](test:x.py::y)\nx = 1\n', 1, ['1:7: error: there is no test x.py::y']),
    ],
)  # fmt: skip
def test_what_it_finds(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    source: str,
    status: int,
    expected: list[str],
) -> None:
    got, problems = check(tmp_path, source, capsys)
    assert got == status, problems
    assert len(problems) == len(expected), problems
    for wanted in expected:
        assert any(re.search(wanted, problem) for problem in problems), (wanted, problems)


def test_strict_makes_warnings_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project(tmp_path, {'page.py': '# x = compute(1)\ny = 1\n'})
    assert main(['check', str(tmp_path), '--strict']) == 1
    assert main(['build', str(tmp_path), '-o', str(tmp_path / 'out')]) == 0
    assert 'Traceback' not in capsys.readouterr().err


def test_the_caret_stands_under_the_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path, {'page.py': 'class A:\n\t# a $\\foo$\n\tx = 1\n'})
    assert main(['check', str(tmp_path)]) == 1
    _, line, caret = capsys.readouterr().err.rstrip('\n').split('\n')
    assert line[4:].index('\\foo') == caret[4:].index('^')


def test_formats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project(tmp_path, {'page.py': '# $\\foo$ 100%\nx = 1\n'})
    assert main(['check', str(tmp_path), '--format', 'json']) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert found['line'] == 1
    assert found['column'] == 4
    assert found['severity'] == 'error'
    assert main(['check', str(tmp_path), '--format', 'github']) == 1
    said = capsys.readouterr().out
    assert re.match(r'::error file=.*page\.py,line=1,col=4::LaTeX: Undefined', said)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('x = f(1)', True),
        ('return x', True),
        ('import os', True),
        ('for x in y:', True),
        ('model.eval()', True),
        ('raise ValueError(x)', True),
        ('A sentence, of course.', False),
        ('one', False),
        ('a, b', False),
        ('see [x](y)', False),
        ('if it rains:', False),
        ('import what is needed', False),
        ('x', False),
        ('"quoted"', False),
    ],
)
def test_what_is_code(text: str, expected: bool) -> None:
    assert is_code(text) == expected


# ## Configuration
@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('[tool.pylit]\nglosary = {}\n', r"pyproject\.toml:2:1: error: unknown setting 'glosary': did you mean 'glossary'"),  # noqa: E501
        ('[tool.pylit]\ntitle = 3\n', r'pyproject\.toml:2:1: error: title must be a string'),
        ('[tool.pylit]\nnav = [1]\n', r'pyproject\.toml:2:1: error: nav must be'),
        ('[tool.pylit]\nx = \n', r'pyproject\.toml:2:5: error: Invalid value'),
        ('[tool.pylit.glossary]\nx = { names = ["y"] }\n', r'error: glossary\.x needs `tex`'),
        ('[tool.pylit.glossary]\nx = { tex = "x", meening = "y" }\n', "did you mean 'meaning'"),
    ],
)  # fmt: skip
def test_a_bad_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    project(tmp_path, {'pyproject.toml': text, 'page.py': '# x\ny = 1\n'})
    assert main(['check', str(tmp_path)]) == 1
    assert re.search(message, capsys.readouterr().err)


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for option, wanted in (('--help', 'examples:'), ('--version', 'pylit ')):
        with pytest.raises(SystemExit) as ended:
            main([option])
        assert ended.value.code == 0
        assert wanted in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(['build'])
    assert ended.value.code == 2
