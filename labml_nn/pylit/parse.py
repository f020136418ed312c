r"""
# Parse: from Python source to sections

A page is a sequence of **sections**: a note, and the code the note is about.
This room finds where one section ends and the next begins. It looks at nothing but comments,
docstrings, definitions and blank lines; what the note *says* is the business of
[prose](prose.py).

Python itself tells us what a line is. Whether `#` starts a comment or sits inside a string is a
question for `tokenize`, and whether a string is a docstring is a question for `ast`; a pattern
over lines gets both wrong sooner or later.

The rules, in the order a reader meets them:

1. Adjacent comment lines are one note. A blank line ends the note.
2. A note belongs to the code below it, even in the middle of a call: annotating the arguments
   one by one is the point.
3. A docstring belongs to the `def` or `class` above it, and so does the comment above that.
   The body is the next section.
4. Decorators, name and signature stay together and begin a section.
5. A string right after an assignment in a class or module documents the assignment.
6. Comments for tools (`# type:`, `# noqa`, …), trailing comments and `## …` stay in the code.
7. A bare `#` ends the note above without starting another.
8. [Directives](directives.py), as `# pylit: fold`, are followed and not shown.
9. A raw string that stands by itself in a module is a note by itself, for a chapter that
   is longer than one likes to write in comments.

> Whatever the rules decide, they may not lose anything. Every line that is not blank lands in
> exactly one place, in order, on any source that Python accepts
> [tested](test:pylit/test_parse_property.py::test_every_line_once_in_generated_sources).
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
import warnings
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from . import directives
from .problems import Mistakes, Problem

Body = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


# ## What comes out
@dataclass(frozen=True)
class Line:
    """One line of a note or of code; `column` says how much of the source line was cut off."""

    number: int
    text: str
    column: int = 0


@dataclass(frozen=True)
class Output:
    """What a cell of a notebook has given: text, or the address of a picture."""

    text: str
    picture: str = ''


@dataclass
class Section:
    """A note and its code. `name` is the first thing defined here, `scope` what surrounds it."""

    prose: list[Line] = field(default_factory=list)
    code: list[Line] = field(default_factory=list)
    name: str = ''
    scope: str = ''
    # The body right after a docstring: the page may show it as one row with its `def`
    continues: bool = False
    outputs: list[Output] = field(default_factory=list)

    @property
    def start(self) -> int:
        return min(line.number for line in self.prose[:1] + self.code[:1])

    @property
    def has_note(self) -> bool:
        return any(line.text.strip() for line in self.prose)


@dataclass(frozen=True)
class Definition:
    """A class or function: where its first decorator stands, where it is named, where it ends."""

    name: str
    kind: str
    start: int
    line: int
    end: int


@dataclass(frozen=True)
class Docstring:
    """A string that documents something. `raw` matters only to those who look for mistakes."""

    lines: tuple[Line, ...]
    raw: bool
    of: str = 'definition'  # or 'module', or 'attribute'

    @property
    def start(self) -> int:
        return self.lines[0].number

    @property
    def end(self) -> int:
        return self.lines[-1].number


@dataclass
class Module:
    """All that the other rooms need to know of one file."""

    path: Path
    text: str
    tree: ast.Module
    tokens: list[tokenize.TokenInfo]
    sections: list[Section]
    definitions: list[Definition]
    docstrings: list[Docstring]

    @cached_property
    def defined(self) -> frozenset[str]:
        return frozenset(d.name for d in self.definitions)

    @cached_property
    def by_line(self) -> dict[int, Definition]:
        return {d.line: d for d in self.definitions}

    @cached_property
    def by_name(self) -> dict[str, list[Definition]]:
        found: dict[str, list[Definition]] = {}
        for definition in self.definitions:
            found.setdefault(definition.name, []).append(definition)
        return found

    @cached_property
    def documented(self) -> frozenset[int]:
        """The lines of all docstrings."""
        return frozenset(line.number for doc in self.docstrings for line in doc.lines)

    @cached_property
    def tokens_of(self) -> dict[int, list[tokenize.TokenInfo]]:
        """The tokens that begin on a line."""
        found: dict[int, list[tokenize.TokenInfo]] = {}
        for token in self.tokens:
            found.setdefault(token.start[0], []).append(token)
        return found

    @cached_property
    def marks(self) -> directives.Marks:
        """What the author has folded, and what stands out."""
        return directives.read(self.tokens)

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split('\n')


# ## Reading
#
# A file may say in its second line how it is encoded, and may begin with a byte order mark.
# Line ends are made one kind first. `str.splitlines` is never used: it also cuts at form feeds
# and at U+2028, where Python does not.
def read(path: Path, shown: str = '') -> str:
    """Read a source file, or raise `Mistakes` with the line that cannot be read."""
    name = shown or str(path)
    data = path.read_bytes()
    try:
        encoding = 'utf-8-sig'
        if path.suffix == '.py':
            encoding = _encoding(data)
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b'\n') + 1, len(before) - before.rfind(b'\n')
        message = f'byte 0x{data[error.start]:02x} is not {error.encoding}: save the file as UTF-8'
        raise Mistakes([Problem(name, line, column, 'error', message)]) from None
    except SyntaxError as error:
        raise Mistakes([Problem(name, 1, 1, 'error', f'encoding: {error.msg}')]) from None
    text = text.removeprefix('\ufeff').replace('\r\n', '\n').replace('\r', '\n')
    if '\0' in text:
        before_nul = text[: text.index('\0')]
        line = before_nul.count('\n') + 1
        column = len(before_nul) - before_nul.rfind('\n')
        raise Mistakes([Problem(name, line, column, 'error', 'a NUL byte: not a text file')])
    return text


def _encoding(data: bytes) -> str:
    try:
        found = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
        # `rot13` is a codec, but from text to text; `undefined` refuses every text
        ''.encode(found)
        return found
    except (LookupError, UnicodeError):
        raise SyntaxError(f'{found} is not an encoding of text: save the file as UTF-8') from None
    except SyntaxError:
        # A wrong byte in the first lines: say which, and not that the declaration is missing
        data.decode('utf-8-sig')
        raise


def parse(text: str, path: Path, shown: str = '') -> Module:
    """Split one source text. `ast` goes first, because its messages say more."""
    name = shown or str(path)
    tree, tokens, definitions = understood(text, name)
    lines = text.split('\n')
    docstrings = list(_docstrings(tree, tokens, lines))
    kinds = _classify(lines, tokens)
    for doc in docstrings:
        kinds[doc.start - 1 : doc.end] = ['doc'] * (doc.end - doc.start + 1)
    splitter = _Splitter(lines, kinds, docstrings, _starters(tree, definitions, docstrings, lines))
    sections = splitter.run()
    named(sections, definitions)
    return Module(path, text, tree, tokens, sections, definitions, docstrings)


def understood(
    text: str, name: str
) -> tuple[ast.Module, list[tokenize.TokenInfo], list[Definition]]:
    """What Python says of a source: its tree, its tokens, and what it defines. Or `Mistakes`."""
    try:
        with warnings.catch_warnings():
            # `'\d'` in someone's source is a remark of the compiler, and not for our reader
            warnings.simplefilter('ignore')
            tree = ast.parse(text)
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
        return tree, tokens, list(_definitions(tree))
    except SyntaxError as error:
        line, column = error.lineno or 1, max(error.offset or 1, 1)
        raise Mistakes(
            [Problem(name, line, column, 'error', _syntax_message(error), _line(text, line))]
        ) from None
    except tokenize.TokenError as error:
        raise Mistakes([Problem(name, error.args[1][0], 1, 'error', error.args[0])]) from None
    except (RecursionError, MemoryError):
        raise Mistakes([Problem(name, 1, 1, 'error', 'nested too deeply to be read')]) from None


def _syntax_message(error: SyntaxError) -> str:
    """Python's own words, and which Python's: a newer one may well accept the file."""
    return f'{error.msg} (says Python {sys.version_info[0]}.{sys.version_info[1]})'


def _line(text: str, number: int) -> str:
    lines = text.split('\n')
    return lines[number - 1] if 0 < number <= len(lines) else ''


# ## What each line is
#
# Comments that speak to a tool are not written for the reader. `##` is the author's way to say
# the same of any comment.
TOOL = re.compile(
    r'#(#|!|:|\s*(pylit:|type:|noqa\b|nosec\b|fmt:|pylint:|pyright:|mypy:|ruff:|isort:|flake8:|yapf:'
    r'|pragma\b|coverage:|%%|-\*-|vim?:))'
)
# Python itself looks for it in two lines; below them the same words are a sentence
COOKIE = re.compile(r'#.*?coding[:=][ \t]*[-\w.]+')


def is_for_tools(comment: str, line: int = 0) -> bool:
    if 0 < line <= 2 and COOKIE.match(comment):
        return True
    return TOOL.match(comment) is not None


def _classify(lines: list[str], tokens: list[tokenize.TokenInfo]) -> list[str]:
    kinds = ['code' if line.strip() else 'blank' for line in lines]
    inside = 0  # depth of f-strings, which are several tokens from Python 3.12 on
    begun = 0
    for token in tokens:
        first, last = token.start[0], token.end[0]
        if token.type in _STRING_STARTS:
            begun = begun if inside else first
            inside += 1
        elif token.type in _STRING_ENDS:
            inside -= 1
            first = begun
        if token.type == tokenize.STRING or (token.type in _STRING_ENDS and not inside):
            # A blank line inside a string is part of the string
            kinds[first - 1 : last] = ['code'] * (last - first + 1)
        elif token.type == tokenize.COMMENT and not inside:
            alone = not lines[first - 1][: token.start[1]].strip()
            if alone and directives.is_region(token.string):
                kinds[first - 1] = 'directive'
            elif alone and not is_for_tools(token.string, first):
                kinds[first - 1] = 'comment'
    return kinds


_STRING_STARTS = {getattr(tokenize, name, -1) for name in ('FSTRING_START', 'TSTRING_START')}
_STRING_ENDS = {getattr(tokenize, name, -1) for name in ('FSTRING_END', 'TSTRING_END')}


# ## Docstrings
#
# The tree knows which strings document something; the tokens know how they were written. A
# docstring is shown as prose only where it has its lines to itself: `def f(): "doc"` is code.
def _docstrings(
    tree: ast.Module, tokens: list[tokenize.TokenInfo], lines: list[str]
) -> Iterator[Docstring]:
    strings = {t.start: t for t in tokens if t.type == tokenize.STRING}
    for node, of in _documenting(tree):
        token = strings.get((node.lineno, node.col_offset))
        if token is None or token.end[0] != node.end_lineno:
            continue
        before = lines[token.start[0] - 1][: token.start[1]]
        after = lines[token.end[0] - 1][token.end[1] :].strip()
        if not before.strip() and (not after or is_for_tools(after)):
            found = _docstring(token, of)
            # Other strings may be code that somebody wanted out of the way
            if of != 'chapter' or found.raw:
                yield found


def _documenting(tree: ast.Module) -> list[tuple[ast.stmt, str]]:
    found: list[tuple[ast.stmt, str]] = []
    for node in bodies(tree):
        if node.body and _is_string(node.body[0]):
            of = 'module' if isinstance(node, ast.Module) else 'definition'
            found.append((node.body[0], of))
        if isinstance(node, (ast.Module, ast.ClassDef)):
            for above, below in pairwise(node.body):
                if not _is_string(below):
                    continue
                if isinstance(above, (ast.Assign, ast.AnnAssign)):
                    found.append((below, 'attribute'))
                elif isinstance(node, ast.Module):
                    found.append((below, 'chapter'))
    return sorted(found, key=lambda f: f[0].lineno)


def bodies(node: ast.AST) -> Iterator[Body]:
    """Everything that may begin with a docstring; expressions are not looked into."""
    # A long row of `elif` is a tree deeper than a function may call itself
    todo = [node]
    while todo:
        node = todo.pop()
        if isinstance(node, Body):
            yield node
        todo += _statements(node)


def _statements(node: ast.AST) -> list[ast.AST]:
    """What stands in a node, last first: a list is taken from its end."""
    # Only these fields hold statements, and each holds them in the order of the file
    inner = vars(node)
    found: list[ast.AST] = []
    for name in _BLOCKS:
        part = inner.get(name)
        if type(part) is list:  # the body of a `lambda` is an expression
            found += part
    return found[::-1]


def _is_string(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _from(line: str, column: int, text: str) -> str:
    """What begins at a column of a line, with its tabs where they stand in the whole line."""
    before = line[:column]
    return (before + text).expandtabs()[len(before.expandtabs()) :]


def _docstring(token: tokenize.TokenInfo, of: str) -> Docstring:
    opening = re.match(r'''([rRuU]*)("""|\'\'\'|"|')''', token.string)
    assert opening, token.string
    body = token.string[opening.end() : -len(opening[2])]
    raw = 'r' in opening[1].lower()
    first, *rest = body.split('\n')
    number, column = token.start
    first = _from(token.line, column + opening.end(), first)
    if not raw and first == '\\':
        first = ''  # `"""\` only says that the text begins on the next line
    lead = len(first) - len(first.lstrip())
    lines = [Line(number, first.strip(), column + opening.end() + lead)]
    rest = [line.expandtabs() for line in rest]
    margin = min((len(t) - len(t.lstrip()) for t in rest if t.strip()), default=0)
    for i, text in enumerate(rest, start=number + 1):
        lines.append(Line(i, text[margin:].rstrip(), margin))
    return Docstring(tuple(lines), raw, of)


# ## Definitions, and other lines that begin a section
def _definitions(tree: ast.AST) -> Iterator[Definition]:
    todo = [(node, '') for node in _statements(tree)]
    while todo:
        node, prefix = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            name = f'{prefix}{node.name}'
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            kind = 'class' if isinstance(node, ast.ClassDef) else 'function'
            yield Definition(name, kind, first, node.lineno, node.end_lineno or node.lineno)
            prefix = f'{name}.'
        todo += [(child, prefix) for child in _statements(node)]


_BLOCKS = ('body', 'cases', 'handlers', 'orelse', 'finalbody')


def _starters(
    tree: ast.Module, definitions: list[Definition], docstrings: list[Docstring], lines: list[str]
) -> set[int]:
    starts = {d.start for d in definitions}
    documented = {d.start for d in docstrings}
    for node in bodies(tree):
        if isinstance(node, (ast.Module, ast.ClassDef)):
            body: list[ast.stmt] = node.body
            for above, below in pairwise(body):
                if isinstance(above, (ast.Assign, ast.AnnAssign)) and below.lineno in documented:
                    starts.add(above.lineno)
    for top in tree.body:
        above_is_blank = top.lineno > 1 and not lines[top.lineno - 2].strip()
        if isinstance(top, ast.If) and above_is_blank and _asks_for_main(top.test):
            starts.add(top.lineno)
    return starts


def _asks_for_main(test: ast.expr) -> bool:
    return any(isinstance(n, ast.Name) and n.id == '__name__' for n in ast.walk(test))


# ## Splitting
class _Splitter:
    """One walk over the lines, with the section that is still open."""

    def __init__(
        self, lines: list[str], kinds: list[str], docstrings: list[Docstring], starters: set[int]
    ):
        self.lines = lines
        self.kinds = kinds
        self.docstrings = {d.start: d for d in docstrings}
        self.starters = starters
        self.sections = [Section()]
        self.previous = 'blank'

    def run(self) -> list[Section]:
        for number, (text, kind) in enumerate(zip(self.lines, self.kinds, strict=True), start=1):
            getattr(self, f'_{kind}')(number, text)
            # What stands between a heading and its chapter is not seen by the reader either
            if kind != 'directive' or self.previous == 'comment':
                self.previous = kind
        for section in self.sections:
            while section.code and not section.code[-1].text.strip():
                section.code.pop()
        return [s for s in self.sections if s.prose or s.code]

    @property
    def now(self) -> Section:
        return self.sections[-1]

    def _new(self) -> None:
        self.sections.append(Section())

    def _blank(self, number: int, text: str) -> None:
        if self.now.code:
            self.now.code.append(Line(number, text))

    def _comment(self, number: int, text: str) -> None:
        if self.previous != 'comment' or self.now.code:
            self._new()
        column = text.index('#') + 1
        column += text[column : column + 1] == ' '
        self.now.prose.append(Line(number, _from(text, column, text[column:]).rstrip(), column))

    def _doc(self, number: int, text: str) -> None:
        doc = self.docstrings.get(number)
        if doc is None:
            return  # further lines of a docstring that was taken whole
        if doc.of in ('module', 'chapter') and self.now.code:
            self._new()
        if self.now.prose:
            self.now.prose.append(Line(0, ''))
        self.now.prose.extend(doc.lines)
        # The imports below a module's docstring are not what it talks about
        self._new()
        self.now.continues = doc.of == 'definition'

    def _code(self, number: int, text: str) -> None:
        if number in self.starters:
            if self.now.code or (self.previous == 'blank' and self._is_chapter()):
                self._new()
            self.now.continues = False
        self.now.code.append(Line(number, text))

    def _directive(self, number: int, text: str) -> None:
        """For the page, and not on it."""

    def _is_chapter(self) -> bool:
        # A heading with air below it stands above all that follows, not above one function
        return any(re.match(r'#{1,6} ', line.text) for line in self.now.prose)


def named(sections: list[Section], definitions: list[Definition]) -> None:
    """Name each section after what it defines, and after what surrounds it."""
    starts = [s.start for s in sections]
    for definition in definitions:
        section = sections[bisect_right(starts, definition.line) - 1]
        if not section.name and any(c.number == definition.line for c in section.code):
            section.name = definition.name
    # Both go down the file, so what is open at a section is known from the one before
    waiting, around = definitions[::-1], list[Definition]()
    for start, section in zip(starts, sections, strict=True):
        while waiting and waiting[-1].start < start:
            around.append(waiting.pop())
            while len(around) > 1 and around[-2].end < around[-1].start:
                around.pop(-2)
        while around and around[-1].end < start:
            around.pop()
        section.scope = around[-1].name if around else ''
