r"""
# Scripts: JavaScript and TypeScript as pages

A script is a page where `nav` or `appendix` names it, or the command line does: most scripts of a
project are tools of its site, and nobody reads them. Comments are notes, as in Python:

1. Adjacent lines that begin with `//` are one note, for the code below it. An empty one parts its
   paragraphs.
2. `/** … */` that has its lines to itself is a note too. What it says of parameters becomes a list:
   `@param {number[]} tau the steps` is shown as `tau: number[]` and its meaning.
3. A block that speaks to the type checker, by `@typedef`, `@template` or `@type`, or that names
   types and says nothing of them, stays in the code, as do `/* … */`, comments behind code, and
   those for tools (`// @ts-ignore`).

Each line that is not blank lands in exactly one place, in order
[tested](test:pylit/test_scripts.py::test_each_line_once).

What is a comment and what only looks like one, in a string or in a regular expression, is a
question for [Pygments](highlight.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
from pygments.token import Token  # type: ignore[import-untyped]

from .parse import Line, Section

LANGUAGES = {'.js': 'javascript', '.mjs': 'javascript', '.ts': 'typescript'}

# Comments that speak to a tool
TOOL = re.compile(r'//([#/]|\s*(@|eslint|prettier|jshint|global\b))')
TYPES = re.compile(r'@(?!params?\b|returns?\b|throws\b)\w+')
# `@param {type} name` and `@returns {type}`; a type may have braces in it, two deep
BRACES = r'\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}'
TAG = re.compile(rf'@(?:(params?)\s+{BRACES}\s+(\[?[\w.$]+[^\s\]]*\]?)|(returns?)\s+{BRACES})\s*')
DEFINES = re.compile(
    r'\s*(?:export\s+)?(?:default\s+)?(?:async\s+)?'
    r'(?:(?:const|let|var|class)\s+|function(?:\s*\*\s*|\s+))(\w+)'
)


def parse(text: str, language: str) -> list[Section]:
    """The sections of a script."""
    lines = text.split('\n')
    notes = dict(_notes(text, lines, language))
    sections = [Section()]
    before = 'blank'
    for number, line in enumerate(lines, 1):
        now = sections[-1]
        note = notes.get(number)
        kind = 'note' if note else 'code' if line.strip() else 'blank'
        if note:
            if now.code or before != 'note':
                sections.append(Section())
            sections[-1].prose.append(note)
        elif kind == 'code':
            # A heading with air below it stands above all that follows, not above one function
            if before == 'blank' and not now.code and _has_heading(now) and DEFINES.match(line):
                sections.append(Section())
            sections[-1].code.append(Line(number, line))
        elif now.code:
            now.code.append(Line(number, line))
        before = kind
    for section in sections:
        while section.code and not section.code[-1].text.strip():
            section.code.pop()
        defined = DEFINES.match(section.code[0].text) if section.code else None
        section.name = defined[1] if defined else ''
    return [s for s in sections if s.prose or s.code] or [Section()]


def _has_heading(section: Section) -> bool:
    return any(re.match(r'#{1,6} ', line.text) for line in section.prose)


# ## Which comments are notes
def _notes(text: str, lines: list[str], language: str) -> Iterator[tuple[int, Line]]:
    """The lines of all notes, by their number."""
    lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    number, counted = 1, 0
    for at, kind, value in lexer.get_tokens_unprocessed(text):
        number += text.count('\n', counted, at)
        counted = at
        comment = value.rstrip('\n')
        last = number + comment.count('\n')
        if kind not in Token.Comment or last > len(lines):
            continue
        column = at - (text.rfind('\n', 0, at) + 1)
        behind = text[at + len(comment) :].partition('\n')[0]
        if lines[number - 1][:column].strip() or behind.strip():
            continue
        if comment.startswith('//') and not TOOL.match(comment):
            yield number, _line(number, lines[number - 1], column + 2)
        elif comment.startswith('/**') and _has_words(comment):
            yield from _block(number, last, lines, column + 3)


def _has_words(block: str) -> bool:
    return not TYPES.search(block) and bool(re.search(r'\w', TAG.sub('', block)))


def _line(number: int, line: str, column: int, end: int | None = None) -> Line:
    column += line[column : column + 1] == ' '
    return Line(number, line[column:end].rstrip(), column)


def _block(first: int, last: int, lines: list[str], column: int) -> Iterator[tuple[int, Line]]:
    for number in range(first, last + 1):
        line = lines[number - 1]
        end = line.rindex('*/') if number == last else None
        if number > first:
            star = re.match(r'\s*\*?(?!/)', line)
            column = star.end() if star else 0
        found = _line(number, line, min(column, len(line) if end is None else end), end)
        yield number, Line(number, _tags(found.text), found.column)


def _tags(text: str) -> str:
    """The parameters of a line as an item of a list."""
    first = TAG.search(text)
    if not first:
        return text
    before, *parts = TAG.split(text)
    # Of each tag five groups, and what is said behind it
    items = []
    for i in range(0, len(parts), 6):
        _, kind, name, gives, given, meaning = parts[i : i + 6]
        meaning = meaning.strip()
        if gives:
            items.append(f'returns `{given}`' + (f' {meaning}' if meaning else ''))
        else:
            optional = name.startswith('[')
            shown = name.strip('[]').partition('=')[0] + '?' * optional
            items.append(f'`{shown}: {kind}`' + (f' {meaning}' if meaning else ''))
    listed = ', '.join(items)
    return f'{before.rstrip()} ({listed})' if before.strip() else f'* {listed}'
