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
```

A symbol is a *nucleus* with *scripts*. An entry without scripts is found with any
($\bar\alpha$ in $\bar\alpha_{t-1}$), an entry with scripts only with exactly these
(`x_0` is not `x_t`), and of several entries that fit, the most particular wins.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Symbol:
    """One entry of the glossary: a quantity, how papers write it and how the code does."""

    key: str
    tex: tuple[str, ...]
    names: tuple[str, ...]
    meaning: str = ''
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
    return TOKEN.findall(tex)


def _skip_space(tokens: list[str], i: int) -> int:
    while i < len(tokens) and tokens[i].isspace():
        i += 1
    return i


def _argument_end(tokens: list[str], i: int) -> int:
    """The index after the argument that begins at `i`: a group, or a single token."""
    i = _skip_space(tokens, i)
    depth = 0
    while i < len(tokens):
        depth += {'{': 1, '}': -1}.get(tokens[i], 0)
        i += 1
        if depth <= 0:
            break
    return i


def _canonical(tokens: Iterable[str]) -> str:
    r"""`{x}`, ` x` and `x` are the same thing; so are `\bar{\alpha}` and `\bar\alpha`."""
    kept = [t for t in tokens if not t.isspace()]
    text = ' '.join(kept)
    while True:
        plain = re.sub(r'\{ (\S+) \}', r'\1', text)
        if plain == text:
            return text
        text = plain


def _nucleus_end(tokens: list[str], i: int) -> int:
    return _argument_end(tokens, i + 1) if tokens[i] in ACCENTS else i + 1


def _scripts(tokens: list[str], i: int) -> tuple[int, dict[str, str]]:
    """The scripts that follow a nucleus, and the index after the last of them."""
    found: dict[str, str] = {}
    while True:
        at = _skip_space(tokens, i)
        if at >= len(tokens) or tokens[at] not in '_^' or tokens[at] in found:
            return i, found
        end = _argument_end(tokens, at + 1)
        found[tokens[at]] = _canonical(tokens[at + 1 : end])
        i = end


def nucleus(tex: str) -> str:
    r"""The letter that a symbol is made of: `\alpha` for `\bar\alpha_t`, `x` for `\hat x_0`."""
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
                tokens = _tokens(tex.strip())
                end = _nucleus_end(tokens, 0)
                _, scripts = _scripts(tokens, end)
                entries = self.by_nucleus.setdefault(_canonical(tokens[:end]), [])
                entries.append((scripts, symbol.key))
                entries.sort(key=lambda entry: -len(entry[0]))

    def mark(self, tex: str) -> str:
        r"""The formula with each known symbol inside `\htmlData`, scripts included."""
        if not self.by_nucleus:
            return tex
        return ''.join(self._mark(_tokens(tex), set()))

    def find(self, tex: str) -> set[str]:
        """The keys of the symbols that occur in a formula."""
        found: set[str] = set()
        if self.by_nucleus:
            self._mark(_tokens(tex), found)
        return found

    def _mark(self, tokens: list[str], found: set[str]) -> list[str]:
        out: list[str] = []
        i = 0
        while i < len(tokens):
            token = tokens[i]
            if token in OPAQUE or token in GREEDY or token in '_^':
                i = self._copy_arguments(tokens, i, out, found)
                continue
            end = _nucleus_end(tokens, i)
            last, scripts = _scripts(tokens, end)
            key = self._look_up(_canonical(tokens[i:end]), scripts)
            if key:
                found.add(key)
                out += [rf'\htmlData{{sym={key}}}{{', *tokens[i:last], '}']
            else:
                # `\mathbf{x}` is not in the glossary, and its `x` is not the glossary's either
                last = end
                out += tokens[i:end]
            i = last
        return out

    def _look_up(self, nucleus: str, scripts: dict[str, str]) -> str:
        for wanted, key in self.by_nucleus.get(nucleus, ()):
            if all(scripts.get(mark) == value for mark, value in wanted.items()):
                return key
        return ''

    def _copy_arguments(self, tokens: list[str], i: int, out: list[str], found: set[str]) -> int:
        r"""Scripts and words stay as they are; a group after `\frac` is looked into."""
        command = tokens[i]
        out.append(command)
        i += 1
        for _ in range(OPAQUE.get(command, GREEDY.get(command, 1))):
            i = self._copy_option(tokens, i, out)
            end = _argument_end(tokens, i)
            argument = tokens[i:end]
            if command in GREEDY and '{' in argument:
                argument = self._mark(argument, found)
            out += argument
            i = end
        return i

    def _copy_option(self, tokens: list[str], i: int, out: list[str]) -> int:
        at = _skip_space(tokens, i)
        if at < len(tokens) and tokens[at] == '[' and ']' in tokens[at:]:
            end = tokens.index(']', at) + 1
            out += tokens[i:end]
            return end
        return i


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
