r"""
# Fields: what a docstring says of each argument

Many authors list arguments, results and exceptions in the style of Google or of NumPy. Both are
set out for a monitor: Markdown would make one paragraph of the first, and headings of the second.
Here the sections are found, and each becomes a list: the name in code, its type, and what it
means, which is Markdown as everything else. [docstring-parser](https://pypi.org/project/docstring-parser)
reads the line of a field. The rest of the docstring is as it was written, and so is every docstring
without such sections [tested](test:pylit/test_fields.py::test_other_docstrings_are_left_alone).

Each line that comes out knows the line that it was: a mistake is still found where it is.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from docstring_parser import ParseError
from docstring_parser.common import DocstringMeta
from docstring_parser.google import GoogleParser
from docstring_parser.numpydoc import NumpydocParser

from .parse import Line

KINDS = {
    **dict.fromkeys(('Args', 'Arguments', 'Params', 'Parameters'), 'Parameters'),
    **dict.fromkeys(('Keyword Args', 'Keyword Arguments', 'Other Parameters'), 'Parameters'),
    **dict.fromkeys(('Attributes', 'Attribute'), 'Attributes'),
    **dict.fromkeys(('Raises', 'Raise', 'Exceptions', 'Except', 'Warns'), 'Raises'),
    **dict.fromkeys(('Returns', 'Return'), 'Returns'),
    **dict.fromkeys(('Yields', 'Yield'), 'Yields'),
    **dict.fromkeys(('Examples', 'Example'), 'Examples'),
}
TITLE = re.compile(rf'({"|".join(KINDS)})(:?)\s*')
RULE = re.compile(r'-{3,}\s*')
GOOGLE, NUMPY = GoogleParser(), NumpydocParser()


def listed(lines: Sequence[Line], documented: Collection[int]) -> list[Line]:
    """The lines of a note, with the fields of its docstring as lists in Markdown."""
    out: list[Line] = []
    i, fenced = 0, False
    while i < len(lines):
        if lines[i].text.lstrip().startswith(('```', '~~~')):
            fenced = not fenced
        here = not fenced and lines[i].number in documented
        found = _section(lines, i) if here else None
        if found:
            out += found.markdown()
            i = found.end
        else:
            out.append(lines[i])
            i += 1
    return out


# ## Where a section ends
def _section(lines: Sequence[Line], i: int) -> _Section | None:
    """The section that begins at a line: `Args:` and what is set in, or `Args` underlined."""
    title = TITLE.fullmatch(lines[i].text)
    if not title:
        return None
    google = bool(title[2])
    if not google and not _is_ruled(lines, i):
        return None
    first = i + 1 if google else i + 2
    end = first
    while end < len(lines) and not (_is_out(lines[end]) if google else _is_ruled(lines, end)):
        end += 1
    while end > first and not lines[end - 1].text.strip():
        end -= 1
    found = _Section(title[1], google, lines[i], lines[first:end], end)
    return found if first < end else None


def _is_out(line: Line) -> bool:
    return bool(line.text.strip()) and not line.text[0].isspace()


def _is_ruled(lines: Sequence[Line], i: int) -> bool:
    below = lines[i + 1].text if i + 1 < len(lines) else ''
    return _is_out(lines[i]) and RULE.fullmatch(below) is not None


# ## From fields to a list
@dataclass(frozen=True)
class _Section:
    title: str
    google: bool
    head: Line
    body: Sequence[Line]
    # The line after it, in the note
    end: int

    def markdown(self) -> list[Line]:
        blank = Line(0, '')
        head = Line(self.head.number, f'**{self.title}**', self.head.column - 2)
        if KINDS[self.title] == 'Examples':
            body = set_in(self.body, 4 if _is_python(self.body) else 0)
        else:
            body = self._list() or set_in(self.body, 0)
        return [blank, head, blank, *body, blank]

    def _list(self) -> list[Line]:
        """One item for each field; nothing if it does not begin with a field."""
        out: list[Line] = []
        for item in self._items():
            head = self._head(item)
            if not head and not out:
                return []
            # A line that goes on without being set in belongs to the field above
            out += [head[0], *set_in(head[1], 2)] if head else set_in(item, 2)
        return out

    def _items(self) -> list[list[Line]]:
        indent = _indent(next(line for line in self.body if line.text.strip()))
        items: list[list[Line]] = []
        for line in self.body:
            if line.text.strip() and (_indent(line) <= indent or not items):
                items.append([])
            if items:
                items[-1].append(line)
        return items

    def _head(self, item: Sequence[Line]) -> tuple[Line, Sequence[Line]] | None:
        """`- name (type): ` and the meaning, as far as it stands beside it; and what is below."""
        text, below = item[0].text.strip(), item[1:]
        while self.google and _is_open(text) and below:
            text, below = f'{text} {below[0].text.strip()}', below[1:]
        line = item[len(item) - len(below) - 1]
        more = any(x.text.strip() for x in below)
        field = self._read(text, more)
        label = _label(field) if field else ''
        if not field or not label:
            return None
        meaning = (field.description or '').strip()
        lead = f'- {label}{": " if meaning else ":" if more else ""}'
        moved = line.text.rfind(meaning) - len(lead) if meaning else 0
        return Line(line.number, lead + meaning, line.column + moved), below

    def _read(self, text: str, more: bool) -> DocstringMeta | None:
        kind = KINDS[self.title]
        if not self.google:
            # Words without a type, and with nothing below, are a sentence
            if (' ' in text.replace(', ', ',') and ' : ' not in text and not more) or text[
                :2
            ] == '..':
                return None
            return _first(NUMPY, f'{kind}\n{"-" * len(kind)}\n{text}\n')
        named = re.fullmatch(r'[\w.*`]+', text) and kind not in ('Returns', 'Yields')
        # Not in the first line of all, where the indentation would be taken off
        return _first(GOOGLE, f'.\n\n{kind}:\n    {text}{":" if named else ""}\n')


def _is_open(text: str) -> bool:
    """Whether a type goes on in the next line."""
    before = text.partition(':')[0]
    return sum(map(before.count, '([')) > sum(map(before.count, ')]'))


def _first(parser: GoogleParser | NumpydocParser, text: str) -> DocstringMeta | None:
    try:
        found = parser.parse(text).meta
    except ParseError:
        return None
    # An address is no type
    said = (found[0].description or '') if found else ''
    return found[0] if found and not said.startswith('//') else None


def _label(field: DocstringMeta) -> str:
    """The name in code, and in brackets its type."""
    said = vars(field)
    name = said.get('arg_name') or said.get('return_name') or ''
    kind = said.get('type_name') or ''
    notes = ['optional'] if said.get('is_optional') else []
    if said.get('default') and said['default'] not in (field.description or ''):
        notes = [f'default {_code(said["default"])}']
    if not name:
        return _code(kind) if kind else ''
    within = ', '.join([*([_code(kind)] if kind else []), *notes])
    return f'{_code(name)} ({within})' if within else _code(name)


def _code(text: str) -> str:
    # Authors mark types for Sphinx, or as code already
    text = re.sub(r'(?::[\w:]+:)?`+~?([^`]*)`+_*', r'\1', text.strip()).replace('`', '')
    return f'`{text}`' if text else ''


# ## Lines
def _indent(line: Line) -> int:
    return len(line.text) - len(line.text.lstrip())


def set_in(lines: Sequence[Line], indent: int) -> list[Line]:
    """Lines moved together, so that the first column of the leftmost is there."""
    margin = min((_indent(line) for line in lines if line.text.strip()), default=0)
    return [
        Line(x.number, ' ' * indent + x.text[margin:], x.column + margin - indent)
        if x.text.strip()
        else x
        for x in lines
    ]


def _is_python(lines: Sequence[Line]) -> bool:
    """Whether an example is code, and neither words nor a session."""
    try:
        body = ast.parse('\n'.join(line.text for line in set_in(lines, 0))).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    # A single name is a word
    return not all(isinstance(n, ast.Expr) and isinstance(n.value, ast.Name) for n in body)
