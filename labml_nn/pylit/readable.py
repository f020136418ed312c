r"""
# Readable: a formula in one line of plain text

Titles of windows, descriptions and the results of a search can show neither TeX nor what KaTeX
makes of it. Unicode has most of what a formula is written with: $\bar\alpha_t$ becomes `ᾱₜ`, and
$\sqrt{1-\bar\alpha_t}\,\epsilon$ becomes `√(1 − ᾱₜ) ε`. What has no character of its own keeps its
name: `ε_θ`, `L_simple`. Of TeX nothing is left
[tested](test:pylit/test_readable.py::test_nothing_of_tex_is_left_on_any_page).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from .symbols import TOKEN

# Signs that stand between two things, with a space on either side
BETWEEN = {
    r'\pm': '±', r'\mp': '∓', r'\sim': '∼', r'\approx': '≈', r'\equiv': '≡', r'\propto': '∝',
    r'\le': '≤', r'\leq': '≤', r'\ge': '≥', r'\geq': '≥', r'\ne': '≠', r'\neq': '≠', r'\ll': '≪',
    r'\gg': '≫', r'\in': '∈', r'\notin': '∉', r'\subset': '⊂', r'\subseteq': '⊆', r'\cup': '∪',
    r'\cap': '∩', r'\to': '→', r'\rightarrow': '→', r'\leftarrow': '←', r'\gets': '←',
    r'\Rightarrow': '⇒', r'\Leftrightarrow': '⇔', r'\iff': '⇔', r'\implies': '⇒', r'\mapsto': '↦',
    r'\coloneqq': '≔', r'\simeq': '≃', r'\cong': '≅', r'\wedge': '∧', r'\vee': '∨', r'\mid': '|',
    r'\times': '×', r'\cdot': '·', r'\oplus': '⊕', r'\otimes': '⊗', r'\odot': '⊙',
    '=': '=', '+': '+', '-': '−', '<': '<', '>': '>',
}  # fmt: skip
SIGNS = {
    r'\infty': '∞', r'\partial': '∂', r'\nabla': '∇', r'\sum': '∑', r'\prod': '∏', r'\int': '∫',
    r'\dots': '…', r'\ldots': '…', r'\cdots': '…', r'\vdots': '⋮', r'\top': '⊤', r'\bot': '⊥',
    r'\varnothing': '∅', r'\emptyset': '∅', r'\ell': 'ℓ', r'\circ': '∘', r'\ast': '∗',
    r'\star': '⋆', r'\prime': '′', r'\forall': '∀', r'\exists': '∃', r'\neg': '¬', r'\hbar': 'ℏ',
    r'\langle': '⟨', r'\rangle': '⟩', r'\lfloor': '⌊', r'\rfloor': '⌋', r'\lceil': '⌈',
    r'\rceil': '⌉', r'\|': '‖', r'\Vert': '‖', r'\lVert': '‖', r'\rVert': '‖', r'\vert': '|',
    r'\lvert': '|', r'\rvert': '|', r'\lbrace': '{', r'\rbrace': '}', r'\backslash': '\\',
    r'\degree': '°', "'": '′', r'\colon': ':',
}  # fmt: skip
MARKS = {
    r'\bar': '\u0304', r'\overline': '\u0304', r'\hat': '\u0302', r'\widehat': '\u0302',
    r'\tilde': '\u0303', r'\widetilde': '\u0303', r'\vec': '\u20d7', r'\dot': '\u0307',
    r'\ddot': '\u0308', r'\check': '\u030c', r'\breve': '\u0306', r'\acute': '\u0301',
    r'\grave': '\u0300',
}  # fmt: skip
SPACES = {r'\,', r'\;', r'\:', r'\ ', r'\quad', r'\qquad', r'\>', '~', '&', r'\\', r'\enspace'}
# What says how large or in which style something is set
SILENT = {r'\!', r'\limits', r'\nolimits', r'\displaystyle', r'\textstyle', r'\scriptstyle',
          r'\left', r'\right', r'\middle', r'\nonumber', r'\notag'} | {
    rf'\{size}{side}' for size in ('big', 'Big', 'bigg', 'Bigg') for side in ('', 'l', 'r', 'm')
}  # fmt: skip
# Their first argument is no part of what is said
UNSAID = {r'\begin', r'\end', r'\label', r'\hspace', r'\vspace', r'\color', r'\textcolor',
          r'\colorbox', r'\htmlData', r'\kern', r'\phantom'}  # fmt: skip
OVER = {r'\frac', r'\dfrac', r'\tfrac', r'\cfrac'}
WORDS = {r'\text', r'\textrm', r'\textit', r'\textbf', r'\texttt', r'\mbox', r'\operatorname',
         r'\operatorname*', r'\mathrm', r'\tag', r'\tag*'}  # fmt: skip
STYLES = {r'\mathbf', r'\mathbb', r'\mathcal', r'\mathit', r'\mathsf', r'\mathfrak', r'\mathscr',
          r'\boldsymbol', r'\bm', r'\boxed', r'\underbrace', r'\overbrace'}  # fmt: skip
LOWERED = dict(zip('0123456789+−=()aehijklmnoprstuvxβγρφχ', '₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ'))  # fmt: skip  # noqa: B905, E501
RAISED = dict(zip('0123456789+−=()abcdefghijklmnoprstuvwxyzT′⊤', '⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᵀ′ᵀ'))  # fmt: skip  # noqa: B905, E501
# Deeper than people write, and far from where Python gives up
DEEPEST = 40


@lru_cache(maxsize=1 << 14)
def readable(tex: str) -> str:
    r"""A formula as a line of Unicode text: `√(1 − ᾱₜ) ε` for `\sqrt{1-\bar\alpha_t} \epsilon`."""
    return _Line(TOKEN.findall(tex)).all()


def _letter(command: str) -> str:
    """A Greek letter by its name in TeX; anything else keeps the name."""
    name = command[1:].rstrip('*')
    size = 'CAPITAL' if name[:1].isupper() else 'SMALL'
    called = name.removeprefix('var').upper().replace('LAMBDA', 'LAMDA')
    try:
        return unicodedata.lookup(f'GREEK {size} LETTER {called}')
    except KeyError:
        return name


class _Line:
    """One walk over the tokens of a formula."""

    def __init__(self, tokens: Sequence[str]):
        self.tokens = tokens
        self.i = 0
        self.depth = 0

    def all(self) -> str:
        out = ''
        while self.i < len(self.tokens):
            # A brace that closes nothing says nothing
            out = _joined(out, self._until_brace())
            self.i += 1
        return ' '.join(out.split())

    def _until_brace(self) -> str:
        out = ''
        while self.i < len(self.tokens) and self.tokens[self.i] != '}':
            out = self._add(out)
        return out

    def _add(self, out: str) -> str:
        """The line so far, and what the next token adds to it."""
        token = self.tokens[self.i]
        if token in ('^', '_'):
            self.i += 1
            return out + _script(token, self._argument())
        if token in BETWEEN:
            self.i += 1
            last = out.rstrip()[-1:]
            begins = not last or last in '([{,|‖⟨/' or last in BETWEEN.values()
            return out + BETWEEN[token] if begins else f'{out.rstrip()} {BETWEEN[token]} '
        if token in SPACES:
            self.i += 1
            return f'{out} '
        return _joined(out, self._atom())

    def _atom(self) -> str:
        """What the next token stands for, with its arguments."""
        self.depth += 1
        found = self._meant(self.tokens[self.i]) if self.depth < DEEPEST else ''
        self.i += self.depth >= DEEPEST
        self.depth -= 1
        return found

    def _meant(self, token: str) -> str:
        self.i += 1
        if token == '{':
            return self._group()
        if token.isspace() or token in SILENT:
            return self._nothing(token)
        if token in UNSAID:
            self._argument(literal=True)
            return ''
        if token in OVER:
            return f'{_whole(self._argument())}/{_whole(self._argument())}'
        if token == r'\sqrt':
            return self._root()
        if token in MARKS:
            marked = ''.join(f'{c}{MARKS[token]}' for c in self._argument())
            return unicodedata.normalize('NFC', marked)
        if token in WORDS:
            said = self._argument(literal=True)
            return f' ({said})' if token.startswith(r'\tag') else said
        if token in STYLES:
            return self._argument()
        if token in SIGNS:
            return SIGNS[token]
        return _letter(token) if token[0] == '\\' and token[1:2].isalpha() else token.lstrip('\\')

    def _nothing(self, token: str) -> str:
        # `\left.` is a bracket that is not there
        if token in (r'\left', r'\right') and self.tokens[self.i : self.i + 1] == ['.']:
            self.i += 1
        return ''

    def _group(self) -> str:
        inside = self._until_brace()
        self.i += 1
        return inside.strip()

    def _argument(self, literal: bool = False) -> str:
        """A group, or the one token that follows."""
        self._skip()
        if self.i >= len(self.tokens) or self.tokens[self.i] == '}':
            return ''
        if not literal:
            return self._atom()
        first = self.i
        level = 0
        while self.i < len(self.tokens):
            level += {'{': 1, '}': -1}.get(self.tokens[self.i], 0)
            self.i += 1
            if level <= 0:
                break
        said = ''.join(t for t in self.tokens[first : self.i] if t not in ('{', '}'))
        return said.replace('$', '').replace('\\', '')

    def _skip(self) -> None:
        while self.i < len(self.tokens) and self.tokens[self.i].isspace():
            self.i += 1

    def _root(self) -> str:
        self._skip()
        degree = ''
        if self.tokens[self.i : self.i + 1] == ['['] and ']' in self.tokens[self.i :]:
            end = self.tokens.index(']', self.i)
            degree = ''.join(RAISED.get(c, c) for c in self.tokens[self.i + 1 : end])
            self.i = end + 1
        return f'{degree}√{_whole(self._argument())}'


def _joined(out: str, more: str) -> str:
    """Two things side by side. Letters that are no word keep their distance."""
    if not out or not more:
        return out + more
    last, first = out[-1], more[0]
    ends = last.isalnum() or unicodedata.combining(last) or last in ')]′'
    apart = ends and (first.isalpha() or first in '√∑∏∫∇∂')
    # 2π, but 2 log x
    close = last.isdecimal() and len(more) <= 2
    return f'{out} {more}' if (apart and not close) or last == ',' else out + more


def _whole(said: str) -> str:
    """Brackets around what is more than one thing."""
    alone = all(c.isalnum() or unicodedata.combining(c) or c in '_.…∞' for c in said)
    return said if alone else f'({said})'


def _script(where: str, said: str) -> str:
    table: dict[str, str] = LOWERED if where == '_' else RAISED
    near = said.replace(' ', '')
    # Whole words are too small to be read there
    word = len(near) > 2 and near.isalpha()
    if near and not word and all(c in table for c in near):
        return ''.join(table[c] for c in near)
    return f'{where}{_whole(near)}' if near else ''
