r"""Symbols are found where they stand and nowhere else, and marking them moves nothing."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest

from labml_nn.pylit import formulas
from labml_nn.pylit.formulas import Formula, Typesetter
from labml_nn.pylit.symbols import Glossary, Symbol, colours, unbalanced
from tests.kit.sites import project, render

SYMBOLS = [
    Symbol('alpha_bar', (r'\bar\alpha',), ('alpha_bar',)),
    Symbol('alpha', (r'\alpha',), ('alpha',)),
    Symbol('eps_theta', (r'\epsilon_\theta',), ('eps_theta',)),
    Symbol('eps', (r'\epsilon',), ('eps',)),
    Symbol('x0_hat', (r'\hat x_0',), ('x0_hat',)),
    Symbol('x0', ('x_0', r'\mathbf{x}_0'), ('x0',)),
    Symbol('xt', ('x_t',), ('xt',)),
    Symbol('sigma2', (r'\sigma^2', r'\sigma_t^2'), ('sigma2',)),
    Symbol('T', ('T',), ('n_steps',)),
]
GLOSSARY = Glossary(SYMBOLS)


@pytest.mark.parametrize(
    ('tex', 'expected'),
    [
        (r'\bar\alpha_t', ['alpha_bar:\\bar\\alpha_t']),
        (r'\bar{\alpha}_{t-1}', ['alpha_bar:\\bar{\\alpha}_{t-1}']),
        (r'\bar { \alpha }', ['alpha_bar:\\bar { \\alpha }']),
        (r'\alpha', ['alpha:\\alpha']),
        (r'x_0 + x_{0} + x_t + x_{t-1}', ['x0:x_0', 'x0:x_{0}', 'xt:x_t']),
        (r'\hat x_0', ['x0_hat:\\hat x_0']),
        (r'\hat{x}_0', ['x0_hat:\\hat{x}_0']),
        (r'\mathbf{x}_0', ['x0:\\mathbf{x}_0']),
        (r'\mathbf{x}_1', []),
        (r'\epsilon_\theta(x_t, t)', ['eps_theta:\\epsilon_\\theta', 'xt:x_t']),
        (r'\epsilon - \epsilon_t', ['eps:\\epsilon ', 'eps:\\epsilon_t']),
        (r'\sigma^2 \sigma_t^2 \sigma^2_t \sigma', ['sigma2:\\sigma^2 ', 'sigma2:\\sigma_t^2 ', 'sigma2:\\sigma^2_t ']),  # noqa: E501
        (r'\frac{\alpha}{x_0}', ['alpha:\\alpha', 'x0:x_0']),
        (r'\frac\alpha2', []),
        (r'\sqrt[3]{\alpha}', ['alpha:\\alpha']),
        (r'e^{\alpha} y_\alpha', []),
        (r'\text{T \alpha} \mathrm{T} \operatorname{T}', []),
        (r'\begin{aligned} T \end{aligned}', ['T:T ']),
        (r'\textcolor{T}{\alpha}', ['alpha:\\alpha']),
        (r'\left(\alpha\right)', ['alpha:\\alpha']),
        (r'x_T', []),
        (r'\bar\beta', []),
    ],
)  # fmt: skip
def test_what_is_marked(tex: str, expected: list[str]) -> None:
    marked = GLOSSARY.mark(tex)
    found = [
        f'{key}:{inner}'
        for key, inner in re.findall(r'\\htmlData\{sym=(\w+)\}\{((?:[^{}]|\{[^{}]*\})*)\}', marked)
    ]
    assert [f.strip() for f in found] == [e.strip() for e in expected]
    # Taking the marks out again gives the author's formula
    plain = re.sub(r'\\htmlData\{sym=\w+\}\{((?:[^{}]|\{[^{}]*\})*)\}', r'\1', marked)
    assert plain == tex


def test_marking_moves_nothing() -> None:
    texs = [
        r'\bar\alpha_t', r'x_0 + \epsilon', r'\sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\epsilon',  # noqa: E501
        r'\frac{\sqrt{\bar\alpha_{t-1}}}{1-\bar\alpha_t} x_0', r'\epsilon_\theta(x_t, t)', r'\alpha = 1 - T',  # noqa: E501
    ]  # fmt: skip
    asked = [Formula(tex, True, GLOSSARY.mark(tex)) for tex in texs]
    plain = [Formula(tex, True, tex) for tex in texs]
    with Typesetter(remember=False) as typesetter:
        typesetter.ask([*asked, *plain])
        typesetter.collect()
        for one, other in zip(asked, plain, strict=True):
            marked, bare = typesetter.known[one].html, typesetter.known[other].html
            assert 'data-sym' in marked, one.tex
            assert strip(marked) == strip(bare), one.tex


def test_a_formula_is_set_once_for_all_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / formulas.katex_home().name).symlink_to(formulas.katex_home())
    monkeypatch.setenv('PYLIT_CACHE', str(tmp_path))
    good, bad = (Formula(tex, False, tex) for tex in ('x_t', r'\foo'))
    started: list[Typesetter] = []
    start = Typesetter._start
    monkeypatch.setattr(Typesetter, '_start', lambda self: started.append(self) or start(self))

    def starts(*asked: Formula, macros: dict[str, str] | None = None) -> bool:
        with Typesetter(macros) as typesetter:
            typesetter.ask(asked)
            typesetter.collect()
            assert all(typesetter.known[f].html or f is bad for f in asked)
            return typesetter in started

    assert starts(good)
    assert not starts(good)
    # With other macros it may look different, and a mistake is not worth remembering
    assert starts(good, macros={r'\foo': 'x'})
    assert starts(bad)
    assert starts(bad)


def strip(html: str) -> str:
    """Without the marks, and without elements that say nothing but that they are there."""
    out, open_ = [], []
    for part in re.split(r'(<[^>]*>)', re.sub(r' data-sym="\w+"', '', html)):
        if part.startswith(('<span', '<b')):
            open_.append(part in ('<span>', '<b>'))
        silent = bool(open_) and open_[-1] if part.startswith(('<span', '<b')) else False
        if part in ('</span>', '</b>'):
            silent = open_.pop()
        if not silent:
            out.append(part)
    return ''.join(out)


def test_entries_can_be_limited_to_some_sources() -> None:
    only = Symbol('n', ('T',), ('n',), only=('*/diffusion/*',))
    assert Glossary([only], 'a/diffusion/b.py').find('T') == {'n'}
    assert Glossary([only], 'a/other/b.py').find('T') == set()


def test_notation_lists_what_is_in_formulas_and_in_code(tmp_path: Path) -> None:
    config = '[tool.pylit.glossary]\na = {tex="a"}\nb = {tex="b"}\nc = {tex="c"}\n'
    project(tmp_path, {'pyproject.toml': config, 'page.py': '# $a + b$\na = c = 1\n'})
    shown = render(tmp_path)['page.html']
    assert re.findall(r'<button[^>]*aria-pressed="false" data-sym="(\w)"', shown) == ['a']
    assert re.findall(r'<pre>.*?data-sym="(\w)".*?data-sym="(\w)"', shown) == [('a', 'c')]


PAGE = r"""# $\bar\alpha_t$ is `abar`, and `abar[t]` and `other` are not it; nor is $x$ defined here
class A:
    def __init__(self, abar):
        self.abar = x + abar
"""
MEANINGS = r"""[tool.pylit.glossary]
abar = { tex = '\bar\alpha', meaning = "what is <left>", shape = "[n]" }
x = { tex = 'x' }
y = { tex = 'y', meaning = "on no page" }
"""


def test_what_a_symbol_means_is_said_once(tmp_path: Path) -> None:
    project(tmp_path, {'pyproject.toml': MEANINGS, 'page.py': PAGE})
    shown = render(tmp_path)['page.html']
    (said,) = re.findall(r" data-symbols='([^']*)'", shown)
    # The line that assigns it, and not the one that is given it
    assert json.loads(html.unescape(said)) == {'abar': ['what is <left>', '[n]', 4]}


def test_inline_code_belongs_to_its_symbol(tmp_path: Path) -> None:
    project(tmp_path, {'pyproject.toml': MEANINGS, 'page.py': PAGE})
    shown = render(tmp_path)['page.html'].rpartition('class="note"')[2]
    # The name alone
    assert re.findall(r'<code( data-sym="\w+")?>(\w+)', shown.partition('<pre')[0]) == [
        (' data-sym="abar"', 'abar'), ('', 'abar'), ('', 'other'),
    ]  # fmt: skip


def test_without_a_glossary_there_is_no_notation(tmp_path: Path) -> None:
    project(tmp_path, {'page.py': '# $a + b$\na = c = 1\n'})
    shown = render(tmp_path)['page.html']
    assert 'class="notation"' not in shown
    assert 'data-sym=' not in shown


def test_colours_and_brackets() -> None:
    assert colours(r'\textcolor{red}{x}\color{ blue }y') == [('red', 11), ('blue', 25)]
    assert unbalanced('f(x') == '('
    assert unbalanced('f(x))') == ')'
    assert unbalanced('[0, 1)') == ''
    assert unbalanced(r'\big( x \big)') == ''


def test_a_symbol_is_found_however_deep_it_stands() -> None:
    deep = 3000
    tex = r'\frac{' * deep + 'x_0' + r'}{T}' * deep
    assert GLOSSARY.find(tex) == {'x0', 'T'}
    marked = GLOSSARY.mark(tex)
    assert marked.count(r'\htmlData{sym=T}') == deep
    assert re.sub(r'\\htmlData\{sym=\w+\}\{(\w+)\}', r'\1', marked) == tex


@pytest.mark.parametrize('piece', [r'\sqrt[', '{', r'\bar{', 'x_{', r'\mathbf{x_{', r'\left('])
def test_what_is_never_closed_is_copied_as_it_is(piece: str) -> None:
    assert GLOSSARY.mark(piece * 5000) == piece * 5000


def test_a_group_around_one_letter_is_that_letter() -> None:
    braces = 3000
    deep = r'\bar' + '{' * braces + r'\alpha' + '}' * braces
    assert GLOSSARY.find(deep) == {'alpha_bar'}
    assert GLOSSARY.find(r'\bar{{\alpha}x}') == set()
