r"""
# Highlight: colours for code, and names that lead somewhere

A file is read by Pygments once and cut into lines afterwards: a string over three lines is one
token, and reading the sections one by one would colour it as three mistakes.

Most of a page's HTML is code, so most of what could be marked is not: a plain name or a comma
needs no colour of its own and gets no element.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from pygments.lexer import Lexer  # type: ignore[import-untyped]
from pygments.lexers import PythonLexer, get_lexer_by_name  # type: ignore[import-untyped]
from pygments.token import Token, _TokenType  # type: ignore[import-untyped]
from pygments.util import ClassNotFound  # type: ignore[import-untyped]

# A short class for each kind of token that has a colour. A kind inherits from the kind above it.
CLASSES = {
    Token.Keyword: 'k',
    Token.Keyword.Constant: 'm',
    Token.Operator.Word: 'k',
    Token.Name.Decorator: 'd',
    Token.Name.Function: 'f',
    Token.Name.Class: 'f',
    Token.Name.Builtin: 'b',
    Token.Name.Builtin.Pseudo: 'p',
    Token.Name.Exception: 'b',
    Token.Literal.String: 's',
    Token.Literal.String.Interpol: 'i',
    Token.Literal.Number: 'm',
    Token.Comment: 'c',
    Token.Generic.Prompt: 'p',
}


@lru_cache(maxsize=256)
def css_class(kind: _TokenType) -> str:
    while kind is not Token and kind not in CLASSES:
        kind = kind.parent
    return CLASSES.get(kind, '')


@dataclass(frozen=True)
class Target:
    """What a name in the code is: `href` its definition, `symbol` its key in the glossary."""

    href: str = ''
    symbol: str = ''
    title: str = ''


# Keyed by line and column, the line from 1 and the column from 0, as `ast` counts
Targets = Mapping[tuple[int, int], Target]


def python_lines(text: str, targets: Targets) -> list[str]:
    """The HTML of every line of a Python file."""
    return _cut(PythonLexer(stripnl=False, ensurenl=False), text, targets)


def block(text: str, language: str) -> str:
    """The HTML of a fenced block, coloured if the language is known."""
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return html.escape(text)
    return '\n'.join(_cut(lexer, text, {}))


def inline(text: str) -> str:
    """Code inside a sentence. Only what has a colour is marked."""
    return _cut(PythonLexer(stripnl=False, ensurenl=False), text, {})[0]


def _cut(lexer: Lexer, text: str, targets: Targets) -> list[str]:
    lines: list[list[str]] = [[]]
    column = 0
    for _, kind, value in lexer.get_tokens_unprocessed(text):
        for i, part in enumerate(value.split('\n')):
            if i:
                lines.append([])
                column = 0
            if part:
                target = targets.get((len(lines), column)) if targets else None
                lines[-1].append(_span(css_class(kind), part, target))
                column += len(part)
    return [''.join(line) for line in lines]


def _span(css: str, text: str, target: Target | None) -> str:
    shown = html.escape(text, quote=False)
    if target is None:
        return f'<span class="{css}">{shown}</span>' if css else shown
    data = f' data-sym="{target.symbol}"' if target.symbol else ''
    kind = f' class="{css}"' if css else ''
    if not target.href:
        return f'<span{kind}{data}>{shown}</span>'
    title = f' title="{html.escape(target.title)}"' if target.title else ''
    return f'<a{kind}{data} href="{html.escape(target.href)}"{title}>{shown}</a>'
