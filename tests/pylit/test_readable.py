r"""Formulas in one line of plain text, and nothing of TeX left in it."""

from __future__ import annotations

import json
import re

import pytest

from labml_nn.pylit.readable import readable
from tests.kit.sites import ROOT, site


@pytest.mark.parametrize(
    ('tex', 'shown'),
    [
        (r'\bar\alpha_t', 'ᾱₜ'),
        (r'\bar{\alpha}_{t-1}', 'ᾱₜ₋₁'),
        (r'\hat x_0', 'x̂₀'),
        (r'\epsilon_\theta(x_t, t)', 'ε_θ(xₜ, t)'),
        (r'\sqrt{1-\bar\alpha_t}\,\epsilon', '√(1 − ᾱₜ) ε'),
        (r'\sqrt{\bar\alpha_t}\,x_0', '√ᾱₜ x₀'),
        (r'\sqrt[3]{x}', '³√x'),
        (r'\sigma_t^2 = \tilde\beta_t', 'σₜ² = β̃ₜ'),
        (r'\frac12', '1/2'),
        (r'\tfrac{a+b}{2\pi x}', '(a + b)/(2π x)'),
        (r'x_t \sim q(x_t|x_0)', 'xₜ ∼ q(xₜ|x₀)'),
        (r'\mathcal N(\mathbf 0, \mathbf I)', 'N(0, I)'),
        (r'\big\|\epsilon - \epsilon_\theta\big\|^2', '‖ε − ε_θ‖²'),
        (r'\left.\frac{a}{b}\right|_{x=0}', 'a/b|ₓ₌₀'),
        (r'L_\text{simple} + \lambda L_\text{vlb}', 'L_simple + λ L_vlb'),
        (r'D_{KL}(p \,\|\, q)', 'D_KL(p ‖ q)'),
        (r'-\log p', '−log p'),
        (r'\{1, \dots, T\}', '{1, …, T}'),
        (r'\operatorname{Var}(x)', 'Var(x)'),
        (r'\begin{aligned} a &= b \\ c &= d \end{aligned} \tag{7}', 'a = b c = d (7)'),
        (r'\textcolor{red}{x} + \color{blue} y', 'x + y'),
        (r'\unknown{x}', 'unknown x'),
        ("\\theta'", 'θ′'),
        ('}{x', 'x'),
        ('x_', 'x'),
        ('\\', ''),
        ('', ''),
    ],
)
def test_a_formula_in_a_line(tex: str, shown: str) -> None:
    assert readable(tex) == shown


@pytest.mark.parametrize('tex', ['{' * 3000, r'\frac' * 3000, r'\bar' * 3000, '_' * 3000])
def test_no_formula_is_too_deep(tex: str) -> None:
    assert isinstance(readable(tex), str)


def test_nothing_of_tex_is_left_on_any_page() -> None:
    """In titles of windows, descriptions, and everything that a search shows of a formula."""
    made = site(ROOT, 'labml_nn')
    made.read()
    pages = [made.full(found) for found in made.shown()]
    made.close()
    shown = {readable(formula.tex) for page in pages for _, formula in page.formulas()}
    shown |= {heading.text for page in pages for heading in page.headings}
    assert len(shown) > 500
    for text in shown:
        assert not re.search(r'\\|\$|_\{|\^\{|\{\}', text), json.dumps(text)
