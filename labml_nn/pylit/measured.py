r"""
# Measured: numbers that a command has written

A measurement is made by a command and kept in a file of JSON. What a page says of it was typed, and
the page goes on saying it after the file has changed. A line below the table or the paragraph names
where its numbers are from, by file and [JSON pointer](https://www.rfc-editor.org/rfc/rfc6901):

```md
| steps | 10 | 20 |
|---|---|---|
| distance | 0.54 | 0.35 |
<!-- measured: docs/data/samplers.json#/table -->
```

No page shows the line. `check` compares what stands above it, a table, a paragraph or a listing,
with the file:

* a table is a list of rows, the first of which is its head. A cell is a number, of which the page
  may show as few digits as it likes; several of them; a text; or `null`, which is for a cell
  without a number.
* a paragraph has each value that is named, or each of a list of them, with two digits or more
  unless the value has only one. So has a listing
  [tested](test:pylit/test_measured.py::test_a_page_shows_what_was_measured).

For numbers that a test computes each time, the line names the test, which has to exist:
`<!-- measured: test:test_x.py::test_y -->`
[tested](test:pylit/test_measured.py::test_a_test_is_a_source).

A table without such a line may say anything. On the pages of the setting `measured_pages` every
table of numbers needs one, or `<!-- no-source: why -->`
[tested](test:pylit/test_measured.py::test_a_table_has_a_source_or_a_reason). Numbers are those with
a decimal point, a thousands separator, an exponent or a per cent sign, outside formulas, code and
links to tests. The setting may name a file that is no page, as `README.md`: it is read for its
numbers alone [tested](test:pylit/test_measured.py::test_a_file_that_is_no_page_is_compared_too).
There a line without a table, paragraph or listing above it is reported; on a page it is reported as
raw HTML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from markdown_it.token import Token

from .claims import Claim
from .config import Config
from .page import Page, understand
from .problems import Problems
from .project import make
from .prose import MARK, Note, walk

# A number in a text, with thousands separated or a power of ten
NUMBER = re.compile(
    r'(?<![\w.])[-−+]?\d{1,3}(?:,\d{3})+(?![\w,])|[-−+]?(?<![\w.])\d+(?:\.\d+)?(?:e[-+]?\d+)?'
)
# What a cell has when it tells of a measurement, and what in it does not count
TOLD = re.compile(
    r'(?<![\w.])\d+\.\d+(?![\w.])|(?<![\w,])\d{1,3}(?:,\d{3})+(?![\w,])|\d[ \u00a0]?%|\d+e-\d+'
)
BESIDES = re.compile(r'`[^`]*`|\[[^]]*\]\(test:[^)]*\)|\]\([^)]*\)')
UNSOURCED = (
    'a table of numbers without a source: name it below, `<!-- measured: file.json#/key -->`, '
    'or say why there is none, `<!-- no-source: … -->`'
)
MARKS = re.compile(r'<!--\s*(?:measured|no-source):')


def check(page: Page, config: Config, problems: Problems) -> None:
    """Compare what a page says with the sources that it names."""
    for note in page.notes:
        for end, closing in enumerate(note.tokens):
            for mark in closing.meta.get('measured', ()):
                block = note.tokens[_begin(note.tokens, end) : end + (closing.nesting == 0)]
                for said in _compare(note, block, closing.type, mark, config):
                    where, excerpt = page.spot(*note.where(mark))
                    problems.error(where, said, excerpt)


def unsourced(page: Page, problems: Problems) -> None:
    """Tables of numbers that name no source."""
    for note in page.notes:
        for end, closing in enumerate(note.tokens):
            if closing.type == 'table_close' and not closing.meta.get('measured'):
                begin = _begin(note.tokens, end)
                if any(map(_tells, note.tokens[begin:end])):
                    where, excerpt = page.spot(*note.where(note.tokens[begin]))
                    problems.error(where, UNSOURCED, excerpt)


def lost(page: Page, problems: Problems) -> None:
    """Lines that name a source and stand below nothing."""
    for note in page.notes:
        for token, block in walk(note.tokens):
            if token.type in ('html_block', 'html_inline') and MARKS.match(token.content.strip()):
                where, excerpt = page.spot(*note.where(block))
                said = 'a source of numbers, and no table, paragraph or listing ends above it'
                problems.error(where, said, excerpt)


def _tells(token: Token) -> bool:
    """Whether a cell has a number that looks measured."""
    if token.type != 'inline':
        return False
    return bool(TOLD.search(BESIDES.sub('', MARK.sub('', token.content))))


def others(config: Config, pages: set[Path]) -> list[Page]:
    """The files of `measured_pages` that are no pages."""
    paths = [config.root / name for name in config.measured_pages]
    alone = [path for path in paths if path.is_file() and path.resolve() not in pages]
    return [understand(make(path, config.root), (), Problems()) for path in alone]


def files(page: Page) -> list[str]:
    """The files that the numbers of a page are held against."""
    marks = (m for note in page.notes for t in note.tokens for m in t.meta.get('measured', ()))
    return list(
        dict.fromkeys(s.partition('#')[0] for m in marks for s in m.meta.get('sources', ()))
    )


def _begin(tokens: Sequence[Token], end: int) -> int:
    """Where the block begins that ends there."""
    if tokens[end].nesting == 0:
        return end
    level = tokens[end].level
    return next(i for i in range(end, -1, -1) if tokens[i].level == level and tokens[i].nesting > 0)


def _compare(
    note: Note, block: Sequence[Token], kind: str, mark: Token, config: Config
) -> Iterator[str]:
    if not (mark.meta.get('sources') or mark.meta.get('why')):
        yield 'measured, and no source: name `file.json#/key`'
    for source in mark.meta.get('sources', ()):
        if source.startswith('test:'):
            if not _is_test(source, config):
                yield f'there is no test {source.removeprefix("test:")}'
            continue
        try:
            value = look_up(source, config.root)
        except (OSError, ValueError, KeyError, IndexError, TypeError):
            yield f'there is no {source}'
            continue
        if kind == 'table_close':
            yield from (f'{said} ({source})' for said in _table(rows(note, block), value))
        else:
            text = ' '.join(note.restore(token.content) for token in block)
            shown = NUMBER.findall(text)
            for one in _values(value):
                if not isinstance(one, int | float) or not any(
                    _shows(number, one, least=2) for number in shown
                ):
                    yield f'{json.dumps(one)} is not in the text ({source})'


def _is_test(source: str, config: Config) -> bool:
    claim = Claim.of(source)
    path = config.root / config.tests / claim.path if claim else None
    if not claim or not path or not path.is_file():
        return False
    name = re.escape(claim.name.rpartition('.')[2])
    return bool(re.search(rf'^ *(?:async )?def {name}\(', path.read_text(encoding='utf-8'), re.M))


def _values(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else [value]


def look_up(source: str, root: Path) -> Any:
    """What stands at `file.json#/key/0`, of the project's files; a space in a key is `%20`."""
    name, _, pointer = source.partition('#')
    path = (root / name).resolve()
    path.relative_to(root.resolve())  # a file of the project
    value = json.loads(path.read_text(encoding='utf-8'))
    for part in pointer.split('/')[1:]:
        key = unquote(part).replace('~1', '/').replace('~0', '~')
        value = value[int(key) if isinstance(value, list) else key]
    return value


# ## Tables
def rows(note: Note, block: Sequence[Token]) -> list[list[str]]:
    """The cells of a table as their author wrote them, with the head."""
    found: list[list[str]] = []
    for token in block:
        if token.type == 'tr_open':
            found.append([])
        elif token.type == 'inline':
            found[-1].append(note.restore(token.content).strip())
    return found


def _table(shown: list[list[str]], value: Any) -> Iterator[str]:
    if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
        yield 'no list of rows'
    elif [len(row) for row in shown] != [len(row) for row in value]:
        sizes = (f'{len(t)} rows of {len(t[0]) if t else 0}' for t in (shown, value))
        yield 'the table has {}, its source {}'.format(*sizes)
    else:
        for cells, values in zip(shown, value, strict=True):
            for cell, one in zip(cells, values, strict=True):
                if not _is(cell, one):
                    yield f'{cell!r} in the row {cells[0]!r}, but {json.dumps(one)} was measured'


def _is(cell: str, value: Any) -> bool:
    if isinstance(value, str):
        return cell == value
    numbers = NUMBER.findall(cell)
    values = [] if value is None else value if isinstance(value, list) else [value]
    return len(numbers) == len(values) and all(map(_shows, numbers, values))


def _shows(number: str, value: float, least: int = 0) -> bool:
    """Whether a number as it is shown is that value, rounded to the digits that are shown."""
    text = number.replace(',', '').replace('−', '-')
    mantissa, _, exponent = text.partition('e')
    unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition('.')[2]))
    if len(mantissa.lstrip('+-0.').replace('.', '')) < least and float(text) != value:
        return False
    # What ends on a five may have gone either way
    return abs(float(text) - value) <= unit / 2 + 1e-9 * abs(value)
