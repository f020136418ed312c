r"""
# Symbols: one quantity in formulas and in code

A paper writes $\bar\alpha_t$ and its code writes `alpha_bar`. A reader who points at one should
see the other light up. The author's LaTeX is not touched for this: a **glossary** in the
project's configuration says which symbol has which names, and we find the symbols in the formulas
ourselves.

```toml
[tool.pylit.glossary.alpha_bar]
tex = '\bar\alpha'
names = ['alpha_bar', 'alpha_bars']
meaning = 'the part of the variance that is still signal'
shape = '[n_steps]'
```

A reader who points at a symbol is told its meaning, its shape, and the line of the page that
defines it.

A symbol is a *nucleus*, the letter with its accents, and *scripts*, its indices and exponents. An
entry without scripts is found with any ($\bar\alpha$ in $\bar\alpha_{t-1}$), an entry with scripts
only where it has the same ones (`x_0` is not `x_t`; more may follow, as in `x_0^2`), and of several
entries that fit, the most particular wins.
"""

from __future__ import annotations

import fnmatch
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Symbol:
    """One entry of the glossary: a quantity, how papers write it and how the code does."""

    key: str
    tex: tuple[str, ...]
    names: tuple[str, ...]
    meaning: str = ''
    # Of the tensor, as a reader may write it: `[batch, channels]`
    shape: str = ''
    # Patterns of source paths. The same letter means different things in different places.
    only: tuple[str, ...] = ()


# ## TeX, as far as we need it
#
# Control words, escaped characters, groups and single characters. Spaces never matter.
TOKEN = re.compile(r'\\[a-zA-Z]+\*?|\\.|\s+|[^\\]', re.S)

# fmt: off
ACCENTS = {
    r'\bar', r'\hat', r'\tilde', r'\vec', r'\dot', r'\ddot', r'\check', r'\breve', r'\acute',
    r'\grave', r'\widehat', r'\widetilde', r'\overline', r'\mathbf', r'\boldsymbol', r'\bm',
    r'\mathrm', r'\mathit', r'\mathcal', r'\mathbb', r'\mathsf', r'\mathfrak',
}
# fmt: on
# What stands in these is no mathematics: words, lengths, colours, names of environments
OPAQUE = {
    r'\text': 1,
    r'\textrm': 1,
    r'\textit': 1,
    r'\textbf': 1,
    r'\texttt': 1,
    r'\mbox': 1,
    r'\operatorname': 1,
    r'\operatorname*': 1,
    r'\begin': 1,
    r'\end': 1,
    r'\tag': 1,
    r'\tag*': 1,
    r'\label': 1,
    r'\hspace': 1,
    r'\hspace*': 1,
    r'\color': 1,
    r'\htmlData': 2,
    r'\kern': 1,
    r'\textcolor': 1,
    r'\colorbox': 2,
    r'\rule': 2,
    r'\left': 1,
    r'\right': 1,
}  # fmt: skip
# These take arguments that need not be in braces: `\frac12`. A mark would become the argument.
GREEDY = {r'\frac': 2, r'\dfrac': 2, r'\tfrac': 2, r'\sqrt': 1, r'\binom': 2, r'\stackrel': 2,
          r'\overset': 2, r'\underset': 2, r'\boxed': 1, r'\underbrace': 1, r'\overbrace': 1,
          r'\big': 1, r'\Big': 1, r'\bigg': 1, r'\Bigg': 1}  # fmt: skip


def _tokens(tex: str) -> list[str]:
    found: list[str] = TOKEN.findall(tex)
    return found


class _Tex:
    """The tokens of a formula. Where its groups end is found once, and not at every level."""

    def __init__(self, tex: str):
        self.tokens = _tokens(tex)
        self.ends = _ends(self.tokens)
        self.closing = [i for i, token in enumerate(self.tokens) if token == ']']

    def skip_space(self, i: int) -> int:
        while i < len(self.tokens) and self.tokens[i].isspace():
            i += 1
        return i

    def argument_end(self, i: int) -> int:
        """The index after the argument that begins at `i`: a group, or a single token."""
        i = self.skip_space(i)
        return self.ends.get(i, min(i + 1, len(self.tokens)))

    def option_end(self, i: int) -> int:
        """The index after `[…]`, if that is what stands at `i`."""
        at = self.skip_space(i)
        if at == len(self.tokens) or self.tokens[at] != '[':
            return i
        found = bisect_right(self.closing, at)
        return self.closing[found] + 1 if found < len(self.closing) else i

    def nucleus_end(self, i: int) -> int:
        return self.argument_end(i + 1) if self.tokens[i] in ACCENTS else i + 1

    def scripts(self, i: int) -> tuple[int, dict[str, str]]:
        """The scripts that follow a nucleus, and the index after the last of them."""
        found: dict[str, str] = {}
        while True:
            at = self.skip_space(i)
            if at >= len(self.tokens) or self.tokens[at] not in '_^' or self.tokens[at] in found:
                return i, found
            end = self.argument_end(at + 1)
            found[self.tokens[at]] = _canonical(self.tokens[at + 1 : end])
            i = end


def _ends(tokens: list[str]) -> dict[int, int]:
    """Where each `{` stands → the index after its `}`, or after everything."""
    found: dict[int, int] = {}
    opened: list[int] = []
    for i, token in enumerate(tokens):
        if token == '{':
            opened.append(i)
        elif token == '}' and opened:
            found[opened.pop()] = i + 1
    return found | dict.fromkeys(opened, len(tokens))


def _canonical(tokens: Iterable[str]) -> str:
    r"""`{x}`, `x` after a blank and `x` are the same; so are `\bar{\alpha}` and `\bar\alpha`."""
    kept: list[str] = []
    opened: list[int] = []
    for token in tokens:
        if token.isspace():
            continue
        if token == '{':
            opened.append(len(kept))
        if token == '}' and opened:
            at = opened.pop()
            if len(kept) == at + 2:
                kept.pop(at)
                continue
        kept.append(token)
    return ' '.join(kept)


def nucleus(tex: str) -> str:
    r"""The bare letter of a nucleus: `\alpha` for `\bar\alpha_t`, `x` for `\hat x_0`."""
    tokens = [t for t in _tokens(tex.strip()) if not t.isspace() and t not in '{}']
    return next((t for t in tokens if t not in ACCENTS), '')


# ## The glossary of one page
class Glossary:
    """The entries that hold for one source file."""

    def __init__(self, symbols: Iterable[Symbol], path: str = ''):
        self.symbols = {
            s.key: s
            for s in symbols
            if not s.only or any(fnmatch.fnmatch(path, pattern) for pattern in s.only)
        }
        self.by_name = {name: s.key for s in self.symbols.values() for name in s.names}
        self.by_nucleus: dict[str, list[tuple[dict[str, str], str]]] = {}
        for symbol in self.symbols.values():
            for tex in symbol.tex:
                read = _Tex(tex.strip())
                end = read.nucleus_end(0)
                _, scripts = read.scripts(end)
                entries = self.by_nucleus.setdefault(_canonical(read.tokens[:end]), [])
                entries.append((scripts, symbol.key))
                entries.sort(key=lambda entry: -len(entry[0]))

    def mark(self, tex: str) -> str:
        r"""The formula with each known symbol inside `\htmlData`, scripts included."""
        if not self.by_nucleus:
            return tex
        return ''.join(self._mark(_Tex(tex), set()))

    def find(self, tex: str) -> set[str]:
        """The keys of the symbols that occur in a formula."""
        found: set[str] = set()
        if self.by_nucleus:
            self._mark(_Tex(tex), found)
        return found

    def _mark(self, tex: _Tex, found: set[str]) -> list[str]:
        out: list[str] = []
        # Fractions stand in fractions, deeper than a function may call itself: what is left waits
        todo = [(0, len(tex.tokens), True)]
        while todo:
            i, stop, looked_into = todo.pop()
            if not looked_into or i >= stop:
                out += tex.tokens[i:stop]
                continue
            token = tex.tokens[i]
            if token in OPAQUE or token in GREEDY or token in '_^':
                todo += self._arguments(tex, i, stop)
            else:
                todo.append((self._symbol(tex, i, out, found), stop, True))
        return out

    def _symbol(self, tex: _Tex, i: int, out: list[str], found: set[str]) -> int:
        """One nucleus with its scripts, marked if the glossary has it; and what comes after."""
        end = tex.nucleus_end(i)
        last, scripts = tex.scripts(end)
        key = self._look_up(_canonical(tex.tokens[i:end]), scripts)
        if not key:
            # `\mathbf{x}` is not in the glossary, and its `x` is not the glossary's either
            out += tex.tokens[i:end]
            return end
        found.add(key)
        out += [rf'\htmlData{{sym={key}}}{{', *tex.tokens[i:last], '}']
        return last

    def _look_up(self, nucleus: str, scripts: dict[str, str]) -> str:
        for wanted, key in self.by_nucleus.get(nucleus, ()):
            if all(scripts.get(mark) == value for mark, value in wanted.items()):
                return key
        return ''

    @staticmethod
    def _arguments(tex: _Tex, i: int, stop: int) -> list[tuple[int, int, bool]]:
        r"""Scripts and words stay as they are; a group after `\frac` is looked into.

        The parts up to `stop`, last first, and whether they are looked into.
        """
        command = tex.tokens[i]
        parts = [(i, i + 1, False)]
        i += 1
        for _ in range(OPAQUE.get(command, GREEDY.get(command, 1))):
            option = min(tex.option_end(i), stop)
            end = min(tex.argument_end(option), stop)
            group = command in GREEDY and tex.skip_space(option) in tex.ends
            parts += [(i, option, False), (option, end, group)]
            i = end
        return [(i, stop, True), *parts[::-1]]


# ## What KaTeX does not notice
#
# It sets `\color{lightgren}` without a word, and `(a + b` too.
COLOUR = re.compile(r'\\(?:text)?color(?:box)?\s*\{([^}]*)\}')
PAIRS = {')': '(', ']': '['}


def colours(tex: str) -> list[tuple[str, int]]:
    """Every colour that a formula names, and where."""
    return [(m[1].strip(), m.start(1)) for m in COLOUR.finditer(tex)]


def unbalanced(tex: str) -> str:
    """The first bracket without its partner. Half-open intervals `[0, 1)` are balanced."""
    opened: list[str] = []
    for token in _tokens(re.sub(r'\\(left|right|[bB]igg?[lr]?)\s*\.?', '', tex)):
        if token in '([':
            opened.append(token)
        elif token in PAIRS:
            if not opened:
                return token
            opened.pop()
    return opened[0] if opened else ''
