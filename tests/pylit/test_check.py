"""What `check` finds, each in one line; and what it lets pass."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from labml_nn.pylit.__main__ import main
from labml_nn.pylit.check import is_code
from labml_nn.pylit.problems import Problem, Problems
from tests.kit.sites import ROOT, project

CONFIG = r"""
[tool.pylit.glossary]
alpha_bar = { tex = '\bar\alpha' }
alpha = { tex = '\alpha' }
sigma = { tex = '\sigma' }
sigma2 = { tex = '\sigma^2' }
mu = { tex = '\mu', names = ["mu", "mean"] }
mu_tilde = { tex = '\tilde\mu' }
"""


def check(folder: Path, source: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    project(folder, {'pyproject.toml': CONFIG, 'page.py': source})
    status = main(['check', str(folder / 'page.py')])
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


# ## What a note speaks of and its code does not have
FUNCTION = """
def inner(alpha_bar):
    # $\\sqrt{\\bar\\alpha}$
    return alpha_bar ** 0.5

class Model:
    def outer(self, x):
        return inner(x)
"""
SILENT = {
    'it is there': '# $\\bar\\alpha$\nx = alpha_bar',
    'as a part of a name': '# $\\bar\\alpha$\nx = self.one_minus_alpha_bar_prev',
    'as the name of a buffer': "# $\\bar\\alpha$\nbuffer('alpha_bar', x)",
    'through a call': '# $\\bar\\alpha$\nx = inner(y)',
    'through the calls of a call': '# $\\bar\\alpha\\,x$\nx = self.model.outer(y)',
    'earlier in the function': 'def f(alpha_bar):\n    y = g\n    # $\\bar\\alpha$\n    return y',
    'a derivation': '# $$\\bar\\alpha$$\nx = 1',
    'a reason': '# Nothing is left of $\\bar\\alpha$ here\nx = 1',
    'a docstring': 'def f():\n    r"""$\\bar\\alpha$"""\n    return 1',
    'the result has another name': '# $\\bar\\alpha = \\alpha^2$\nshare = alpha ** 2',
    'or one that anything may have': '# $\\tilde\\mu = \\alpha$\nmean = alpha',
    'a square': '# $\\sigma^2$\nx = sigma ** 2',
    'a root': '# $\\sigma$\nx = sigma2 ** 0.5',
    'both are spoken of': '# $\\bar\\alpha = \\prod \\alpha$\nalpha_bar = alpha.prod()',
    'answered': '# $\\bar\\alpha$\nx = 1  # pylit: no-symbols',
}
HEARD = {
    'nothing of the kind': ('# $\\bar\\alpha$\nx = 1', 'alpha_bar, its code has no alpha_bar'),
    'a longer name is another': (
        '# $\\alpha$\nx = alpha_bar',
        'alpha, its code has no alpha but alpha_bar',
    ),
    'a shorter name too': (
        '# $\\bar\\alpha x$\ny = alpha * x',
        'alpha_bar, its code has no alpha_bar but alpha',
    ),
    'a mix-up in a sentence': (
        '# The share $\\alpha$ of it\nx = alpha_bar',
        'alpha, its code has no alpha but alpha_bar',
    ),
    'a mix-up, with the right one nearby': (
        'def f(alpha):\n    # $\\alpha x$\n    y = alpha_bar * x\n    #\n    return alpha',
        'alpha, its code has no alpha but alpha_bar',
    ),
    'the wrong name for a result': (
        '# $\\alpha = 1 - \\sigma$\nalpha_bar = 1 - sigma',
        'alpha, its code has no alpha but alpha_bar',
    ),
    'the second of two formulas': ('# $\\alpha$, $\\bar\\alpha$\nx = alpha', 'alpha_bar, its code'),
    'a comment is no code': ('# $\\bar\\alpha$\nx = 1  # alpha_bar', 'alpha_bar, its code'),
    'a call of something else': ('# $\\bar\\alpha$\nx = unknown(1)', 'alpha_bar, its code'),
}


@pytest.mark.parametrize('kind', SILENT)
def test_notes_that_are_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    _, problems = check(tmp_path, f'{FUNCTION}\n\n{SILENT[kind]}\n', capsys)
    assert problems == []


@pytest.mark.parametrize('kind', HEARD)
def test_notes_that_are_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    source, wanted = HEARD[kind]
    status, problems = check(tmp_path, f'{FUNCTION}\n\n{source}\n', capsys)
    assert status == 0, 'a warning'
    assert len(problems) == 1, problems
    assert f'warning: the note speaks of {wanted}' in problems[0]


# A quantity of our own pages, and one that it could be confused with
DDPM = 'ddpm/__init__.py'
PLANTED = [
    (DDPM, r'# $\sqrt{\bar\alpha_t}\,x_0$', r'# $\sqrt{\alpha_t}\,x_0$'),
    (DDPM, r'# $1 - \bar\alpha_t$', r'# $1 - \alpha_t$'),
    (
        'ddpm/__init__.py',
        r'\epsilon_\theta(x_t, t)\big\|^2$',
        r'\epsilon_\theta(\hat x_0, t)\big\|^2$',
    ),
    ('targets.py', r'= \frac{\bar\alpha_t}{1-\bar\alpha_t}$', r'= \frac{\alpha_t}{1-\alpha_t}$'),
]


def test_errors_planted_in_our_own_pages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / 'labml_nn' / 'diffusion'
    shutil.copytree(ROOT / 'labml_nn' / 'diffusion', copy)
    shutil.copy(ROOT / 'pyproject.toml', tmp_path)
    shutil.copytree(ROOT / 'docs' / 'inventories', tmp_path / 'docs' / 'inventories')
    shutil.copy(ROOT / 'docs' / 'references.bib', tmp_path / 'docs')
    places = []
    for page, right, wrong in PLANTED:
        path = copy / page
        text = path.read_text('utf-8')
        at = text.rindex(right)
        path.write_text(text[:at] + wrong + text[at + len(right) :], 'utf-8')
        places.append(f'{page}:{text.count(chr(10), 0, at) + 1}:')
    main(['check', str(tmp_path / 'labml_nn'), '--lang', 'en'])
    said = capsys.readouterr().err
    found = [line for line in said.split('\n') if ': warning: the note speaks of' in line]
    # All of them, and nothing else on any page
    assert len(found) == len(places), found
    assert all(any(place in line for line in found) for place in places), found


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


def test_a_mistake_is_told_once_however_it_comes() -> None:
    problem = Problem('page.py', 1, 1, 'error', 'dead link')
    problems = Problems([problem, problem])
    problems.append(problem)
    problems.extend([problem])
    problems.error(('page.py', 1, 1), 'dead link')
    assert problems == [problem]


# ## Equations without a test
UNTESTED = '[tool.pylit]\ntested_pages = ["page.py"]\n'
TEST = 'def test_x():\n    pass\n'


@pytest.mark.parametrize(
    ('source', 'expected'),
    [
        ('# $$x = 1$$\n', ['1:5: error: an equation without a test']),
        ('# $$x = 1$$\n#\n# [tested](test:test_a.py::test_x)\n', []),
        ('# $$x = 1$$\n# <!-- no-test: definition -->\n', []),
        ('# $$x = 1$$ <!-- no-test: definition --> and $y$ too\n', []),
        ('# > $$x = 1$$\n# <!-- no-test: a definition -->\n', []),
        ('# $$x = 1$$\n# <!-- no-test: -->\n', ['1:5: error: no-test without a reason']),
        ('# $$x = 1$$\n#\n# $$y = 1$$\n# <!-- no-test: name -->\n', ['1:5: error: an equation wi']),
        # It leaves the mark below to the equation above
        (
            '# $$x = 1$$\n#\n# $$y = 1$$\n# <!-- no-test: name -->\n#\n'
            '# [tested](test:test_a.py::test_x)\n',
            [],
        ),
        # An equation in the line claims as little as a word
        ('# $x = 1$\n', []),
    ],
)
def test_every_equation_has_a_test_or_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, expected: list[str]
) -> None:
    """Only where the project says so; and nothing of the reason is shown."""
    files = {'page.py': f'{source}x = 1\n', 'tests/test_a.py': TEST}
    for config in (UNTESTED, ''):
        project(tmp_path, {'pyproject.toml': config, **files})
        status = main(['check', str(tmp_path / 'page.py')])
        said = re.findall(r'page\.py:(\d+:\d+: error: .*)', capsys.readouterr().err)
        found = expected if config else []
        assert status == bool(found), said
        assert [s[: len(e)] for s, e in zip(said, found, strict=True)] == found
    assert main(['build', str(tmp_path / 'page.py'), '-o', str(tmp_path / 'site')]) == 0
    assert 'no-test' not in (tmp_path / 'site' / 'page.html').read_text(encoding='utf-8')


BROKEN = '[tool.pylit]\nmutated_pages = ["page.py"]\nmutants = "tests/caught.json"\n'


@pytest.mark.parametrize(
    ('caught', 'expected'),
    [
        ({}, 'was shown no broken version of the code, and nobody says why'),
        ({'killed': 0, 'of': 0}, 'was shown no broken version'),
        ({'without': ''}, 'was shown no broken version'),
        ({'without': 'a reason'}, ''),
        ({'killed': 2, 'of': 2}, ''),
        ({'killed': 1, 'of': 3}, 'passes on 2 of 3 broken versions of the code'),
    ],
)
def test_every_test_was_seen_to_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caught: dict[str, Any], expected: str
) -> None:
    """Only where the project says so."""
    files = {
        'page.py': '# Twice\n# is [tested](test:test_a.py::test_x).\nx = 1\n',
        'tests/test_a.py': TEST,
        'tests/caught.json': json.dumps({'test_a.py::test_x': caught} if caught else {}),
    }
    for config in (BROKEN, ''):
        project(tmp_path, {'pyproject.toml': config, **files})
        status = main(['check', str(tmp_path / 'page.py')])
        said = re.findall(r'page\.py:(\d+:\d+: error: .*)', capsys.readouterr().err)
        wanted = [f'2:15: error: test_a.py::test_x {expected}'] if expected and config else []
        assert [s[: len(w)] for s, w in zip(said, wanted, strict=True)] == wanted
        assert status == bool(wanted)


def test_a_file_of_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ('{', '[]', '{"a": 1}', '{"a": {"killed": "x"}}', '{"a": {"other": 1}}'):
        files = {'page.py': '# x\n', 'tests/caught.json': text, 'pyproject.toml': BROKEN}
        project(tmp_path, files)
        assert main(['check', str(tmp_path / 'page.py')]) == 2
        assert 'tests/caught.json: not {test: {killed, of}}' in capsys.readouterr().err
