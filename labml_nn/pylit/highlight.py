r"""
# Highlight: colours for code, and names that lead somewhere

Python has told [parse](parse.py) what every token is, so a Python file needs no second reading:
the tokens are there, only their colours are missing. A string over three lines stays one string,
because a file is coloured as a whole and cut into lines afterwards. Other languages, and pieces of
Python in a sentence that may not be whole, are read by Pygments. Where nobody has said what it is,
a command is known by its first word or its options, and Python by Python's own parser
[tested](test:pylit/test_highlight.py::test_what_code_is).

Most of a page's HTML is code, so most of what could be marked is not: a plain name or a comma
needs no colour of its own and gets no element.
"""

from __future__ import annotations

import ast
import builtins
import html
import keyword
import re
import tokenize
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from pygments.token import Token, _TokenType  # type: ignore[import-untyped]
from pygments.util import ClassNotFound  # type: ignore[import-untyped]

from .parse import Module

if TYPE_CHECKING:
    from pygments.lexer import Lexer  # type: ignore[import-untyped]

# Keyed by line and column, the line from 1 and the column from 0, as `ast` counts
Links = Mapping[tuple[int, int], str]

# ## Python files
#
# A class of one letter for each kind of token that has a colour: (k)eyword, (m) literal value,
# (d)ecorator, (f) what is being defined, (b)uiltin, (p) `self`, (s)tring, (c)omment.
NAMES = {
    **dict.fromkeys(vars(builtins), 'b'),
    **dict.fromkeys(keyword.kwlist, 'k'),
    **dict.fromkeys(('self', 'cls'), 'p'),
    **dict.fromkeys(('True', 'False', 'None'), 'm'),
}
# Where a line is longer than this, a phone breaks it
BREAKS = 42
KINDS = {tokenize.STRING: 's', tokenize.NUMBER: 'm', tokenize.COMMENT: 'c'} | {
    getattr(tokenize, f'{letter}STRING_{part}'): 's'
    for letter in 'FT'
    for part in ('START', 'MIDDLE', 'END')
    if hasattr(tokenize, f'{letter}STRING_{part}')
}


def python_lines(module: Module, links: Links, symbols: Mapping[str, str]) -> list[str]:
    """The HTML of every line: `symbols` gives the glossary's key of a name."""
    out: list[list[str]] = [[] for _ in module.lines]
    done = [0] * len(module.lines)  # how far each line has been written
    for token, css in _coloured(module.tokens):
        row, column = token.start
        href = links.get(token.start, '')
        symbol = symbols.get(token.string, '') if token.type == tokenize.NAME else ''
        if not (css or href or symbol):
            continue
        for number in range(row, token.end[0] + 1):
            # The lines say it exactly; the text of a token inside an f-string does not
            line = module.lines[number - 1]
            begin = max(column if number == row else 0, done[number - 1])
            end = token.end[1] if number == token.end[0] else len(line)
            if begin < end:
                out[number - 1].append(html.escape(line[done[number - 1] : begin], quote=False))
                out[number - 1].append(_span(css, line[begin:end], href, symbol))
                done[number - 1] = end
    return [
        ''.join(parts) + html.escape(line[end:], quote=False)
        for parts, line, end in zip(out, module.lines, done, strict=True)
    ]


def _coloured(tokens: list[tokenize.TokenInfo]) -> Iterator[tuple[tokenize.TokenInfo, str]]:
    before, decorator = '', False
    for token in tokens:
        css = KINDS.get(token.type, '')
        if token.type == tokenize.NAME:
            css = NAMES.get(token.string, '')
            if before in ('def', 'class'):
                css = 'f'
            elif decorator and before in ('@', '.'):
                css = 'd'
            elif before == '.' and css in ('b', 'p'):
                css = ''  # `x.type` is not the builtin
        elif token.type == tokenize.OP and token.string == '@':
            decorator = not token.line[: token.start[1]].strip()
        elif token.type == tokenize.NEWLINE or token.string == '(':
            decorator = False
        yield token, css
        before = token.string


def _span(css: str, text: str, href: str = '', symbol: str = '') -> str:
    shown = html.escape(text, quote=False)
    kind = f' class="{css}"' if css else ''
    data = f' data-sym="{symbol}"' if symbol else ''
    if href:
        return f'<a{kind}{data} href="{html.escape(href)}">{shown}</a>'
    return f'<span{kind}{data}>{shown}</span>' if css or symbol else shown


# What a line must not be broken in: `->`, `--`, `1e-9`, `utf-8`, and a sign or an option with its
# word, whose further letters have no place to break of their own. Tags stay
TIED = re.compile(r'<[^>]*>|--?&gt;|(?<![\w;-])--?[A-Za-z][\w-]{0,10}|--|\b(?:\d[\d.]*e|utf)-\d+')


def unbroken(line: str) -> str:
    """The HTML of a line that a phone breaks, with what it must keep together."""
    return TIED.sub(lambda m: m[0] if m[0][0] == '<' else f'<span class="z">{m[0]}</span>', line)


# ## Everything else
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
    Token.Name.Tag: 'k',
    Token.Literal.String: 's',
    Token.Literal.Number: 'm',
    Token.Comment: 'c',
    # A prompt and an answer are not copied
    Token.Generic.Prompt: 'q',
    Token.Generic.Output: 'o',
}


@lru_cache(maxsize=256)
def css_class(kind: _TokenType) -> str:
    """The colour of a kind of token, or of the kind above it."""
    while kind is not Token and kind not in CLASSES:
        kind = kind.parent
    return CLASSES.get(kind, '')


# What commands begin with, behind a prompt and settings for this one command
COMMAND = re.compile(
    r"""(?:\$\ )?(?:[A-Z_]+=\S*\ )*(?:
    accelerate|bash|cat|cd|conda|cp|curl|docker|echo|export|git|jupyter|kill|ls|make|mkdir|mv|mypy|
    node|npm|npx|nvidia-smi|pipx?3?|pytest|python3?|rm|ruff|sh|sudo|tensorboard|torchrun|uv|wget
    )(?=\s|$)""",
    re.VERBOSE,
)
# `--name` is hardly ever two minus signs of Python
OPTION = re.compile(r'(?:^|\s)--[A-Za-z]')
# A text whose words stand below one another: broken lines would be no table
COLUMNS = re.compile(r'\S {2,}\S')
SHELL = ('bash', 'sh', 'shell', 'zsh', 'console', 'shell-session', 'ps1con', 'doscon')


def language_of(text: str) -> str:
    """What code is if nobody has said it: commands, Python, or only a text."""
    if text.startswith('$ '):
        return 'console'
    whole = text.replace('\\\n', ' ')
    lines = [line for line in whole.split('\n') if line.strip() and not line.startswith('#')]
    if lines and all(COMMAND.match(line) for line in lines):
        return 'bash'
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 'text'
    return 'python' if lines else 'text'


def block(
    text: str, language: str, symbols: Mapping[str, str], marked: Collection[int] = ()
) -> str:
    """The HTML of a fenced block, coloured if the language is known; some lines stand out."""
    if marked or max(map(len, text.split('\n'))) > BREAKS:
        lines = zip(text.split('\n'), block_lines(text, language, symbols), strict=True)
        return '\n'.join(
            _line(written, line, 'hl' if n in marked else '')
            for n, (written, line) in enumerate(lines, 1)
        )
    return _coloured_block(text, language, symbols)


def _line(written: str, line: str, css: str) -> str:
    """A line of a fenced block. Where a phone breaks it, the rest hangs below its beginning."""
    if len(written) > BREAKS:
        blanks = len(written) - len(written.lstrip())
        css = ' '.join(filter(None, ('r', f'i{min(-(-blanks // 4), 6)}' * (blanks > 0), css)))
        line = unbroken(line)
    return f'<span class="{css}">{line}</span>' if css else line


def _coloured_block(text: str, language: str, symbols: Mapping[str, str]) -> str:
    try:
        lexer = _lexer(language)
    except ClassNotFound:
        return html.escape(text, quote=False)
    return _read(lexer, text, symbols if lexer.name == 'Python' else {}, language in SHELL)


def block_lines(text: str, language: str, symbols: Mapping[str, str]) -> list[str]:
    """The HTML of each line: what goes over several lines is coloured in each of them."""
    shown = _coloured_block(text, language, symbols)
    opened = ''
    out = []
    for line in shown.split('\n'):
        tags = re.findall(r'<(/?)span(?: class="(\w+)")?>', opened + line)
        now = f'<span class="{tags[-1][1]}">' if tags and not tags[-1][0] else ''
        out.append(f'{opened}{line}{"</span>" if now else ""}')
        opened = now
    return out


# Sentences name the same things again and again
@lru_cache(maxsize=10_000)
def inline(text: str) -> str:
    """Code inside a sentence."""
    if COMMAND.match(text) or OPTION.search(text):
        return _read(_lexer('bash'), text, {}, True)
    return _read(_lexer('python'), text, {})


@lru_cache(maxsize=64)
def _lexer(language: str) -> Lexer:
    # To import Pygments' lexers takes as long as all of our own files, and is seldom needed
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]

    return get_lexer_by_name(language, stripnl=False, ensurenl=False)


def _read(lexer: Lexer, text: str, symbols: Mapping[str, str], commands: bool = False) -> str:
    kinds = (
        (css_class(kind), value, symbols.get(value, '') if kind in Token.Name else '')
        for _, kind, value in lexer.get_tokens_unprocessed(text)
    )
    if commands:
        kinds = (
            (css, value, '') for css, value in _commands((css, value) for css, value, _ in kinds)
        )
    return ''.join(_span(css, value, symbol=symbol) for css, value, symbol in kinds)


def _commands(kinds: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Pygments leaves the words of a command as they are: mark what is run, and its options."""
    first = True
    for (css, value), (_, behind) in pairwise([*kinds, ('', '')]):
        if css or not value.strip():
            first = css == 'q' or '\n' in value or (first and css != 'b')
        elif value in ('|', '||', '&', '&&', ';'):
            first = True
        elif value.startswith('-'):
            css, first = 'a', False
        elif value[0].isalnum() and not behind.startswith('='):
            css, first = 'f' if first else '', False
        yield css, value
