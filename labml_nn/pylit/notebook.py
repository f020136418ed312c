r"""
# Notebooks

A notebook is a page too: the cells with code are sections, and the Markdown above a cell is its
note. Outputs that were stored are shown under the code, pictures and plain text, and the pictures
that are attached to a cell where its words ask for them; raw cells are left out. Nothing is run.

Lines are numbered as if all code came first and all Markdown after it: the
numbers beside the code go on from cell to cell. A mistake is told with the line of the `.ipynb`,
where an editor finds it
[tested](test:pylit/test_ipynb.py::test_a_mistake_is_told_with_the_line_of_the_file).

> The file is read as JSON and not with `nbformat`, which knows no lines. Only format 4 is read,
> which notebooks have had since 2015, and of it only a few fields.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from .parse import Line, Module, Output, Section, named, understood
from .problems import Mistakes, Problem
from .remembered import cache_home

SUFFIX = '.ipynb'
# Tags of Jupyter Book and of Sphinx, for cells that a reader may open
HIDDEN = {'hide-input', 'hide_input', 'hide-cell', 'remove-input', 'remove-cell', 'hide'}
SHOWS = ('display_data', 'execute_result')
PICTURES = {
    'image/svg+xml': '.svg', 'image/png': '.png', 'image/jpeg': '.jpg', 'image/gif': '.gif',
    'image/webp': '.webp',
}  # fmt: skip
# Each cell has names of its own for what is attached to it
ATTACHED = re.compile(r'(\]\(\s*<?|^\s*\[[^\]]*\]:\s*<?)attachment:')


@dataclass
class Notebook:
    """A notebook as a page needs it."""

    # The code of all cells, and below it their words
    text: str
    module: Module | None
    sections: list[Section]
    # Of each line of `text`, the line of the file and how far into it the text begins
    places: list[tuple[int, int]]
    # The lines of the file
    file: list[str]
    # The language of the cells, if it is not Python
    language: str = ''
    # (line of `text`, column, message)
    warnings: list[tuple[int, int, str]] = field(default_factory=list)

    def place(self, line: int, column: int) -> tuple[int, int]:
        """Where the file has what stands at a place of the text; both from 1."""
        number, before = self.places[line - 1] if 0 < line <= len(self.places) else (1, 0)
        return number, column + before

    def excerpt(self, line: int) -> str:
        """A line of the file, unless all of the file is one line."""
        found = self.file[self.place(line, 1)[0] - 1]
        return found if len(found) < 400 else ''


def parse(text: str, path: Path, shown: str) -> Notebook:
    """Read a notebook, or raise `Mistakes` with the line where it cannot be read."""
    cells, language = _cells(text, shown)
    reader = _Reader(text, path, language)
    for number, cell in enumerate(cells, 1):
        reader.cell(cell, number)
    return reader.finish()


# ## The file
def _cells(text: str, shown: str) -> tuple[list[dict[str, Any]], str]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        at = (error.lineno, error.colno)
        raise _refused(shown, f'not a notebook: {error.msg}', text, at) from None
    except RecursionError:
        raise _refused(shown, 'not a notebook: nested too deeply', text) from None
    if not isinstance(found, dict) or 'nbformat' not in found:
        raise _refused(shown, 'not a notebook: there is no "nbformat"', text)
    if found['nbformat'] != 4:
        at = _position(text, text.find('"nbformat"'))
        message = f'a notebook of format {found["nbformat"]!r}, and we read 4: `jupyter nbconvert'
        raise _refused(shown, f'{message} --to notebook {shown}` writes it anew', text, at)
    cells = found.get('cells')
    if not isinstance(cells, list):
        raise _refused(shown, 'not a notebook: "cells" is no list', text)
    for n, cell in enumerate(cells, 1):
        if not isinstance(cell, dict) or not isinstance(_joined(cell.get('source')), str):
            raise _refused(shown, f'cell {n} has no "source" of text', text, _cell(text, n))
    said = found.get('metadata')
    return cells, _language(said if isinstance(said, dict) else {})


def _language(metadata: dict[str, Any]) -> str:
    for key, name in (('language_info', 'name'), ('kernelspec', 'language')):
        said = metadata.get(key)
        if isinstance(said, dict) and isinstance(said.get(name), str):
            language = str(said[name]).lower()
            return '' if language in ('python', 'ipython', 'python3') else language
    return ''


def _refused(shown: str, message: str, text: str, at: tuple[int, int] = (1, 1)) -> Mistakes:
    excerpt = text.split('\n')[at[0] - 1][:120]
    return Mistakes([Problem(shown, at[0], at[1], 'error', message, excerpt)])


def _position(text: str, offset: int) -> tuple[int, int]:
    before = text[: max(offset, 0)]
    return before.count('\n') + 1, len(before) - before.rfind('\n')


def _cell(text: str, n: int) -> tuple[int, int]:
    """Where the `n`-th cell begins, as far as can be told from its type."""
    found = [m.start() for m in re.finditer(r'"cell_type"\s*:', text)]
    return _position(text, found[n - 1]) if n <= len(found) else (1, 1)


def _joined(said: Any) -> str | None:
    """Text may be one string, or a list of its lines; JSON may hold what is no text."""
    if isinstance(said, list) and all(isinstance(x, str) for x in said):
        said = ''.join(said)
    if not isinstance(said, str):
        return None
    return said.replace('\0', '\ufffd').encode('utf-8', 'replace').decode('utf-8')


# ## Where lines stand in the file
#
# Each line of a cell is a string of its own in the file, as Jupyter writes it, and the cells follow
# one another: a line is looked for behind the one before it.
class _Finder:
    def __init__(self, text: str):
        self.text = text
        self.offset = self.counted = 0
        self.row = 1

    def cell(self) -> None:
        found = self.text.find('"source"', self.offset)
        self.offset = found if found >= 0 else self.offset

    def line(self, line: str) -> tuple[int, int]:
        for ascii_only in (False, True):
            wanted = json.dumps(line, ensure_ascii=ascii_only)[1:-1]
            at = self.text.find(wanted, self.offset) if wanted else -1
            if at >= 0:
                self.row += self.text.count('\n', self.counted, at)
                self.offset, self.counted = at + len(wanted), at
                break
        begins = self.text.rfind('\n', 0, self.counted) + 1
        return self.row, self.counted - begins


# ## The cells
class _Reader:
    def __init__(self, text: str, path: Path, language: str):
        self.path, self.language = path, language
        self.finder = _Finder(text)
        self.sections: list[Section] = []
        self.waiting: list[str] = []
        self.pictures = 0
        # Lines of code and of words with their places, and where each section has its words
        self.code: list[str] = []
        self.words: list[str] = []
        self.code_places: list[tuple[int, int]] = []
        self.word_places: list[tuple[int, int]] = []
        self.folds: list[tuple[int, int]] = []
        # The first line of each cell with code, and whether it has any
        self.cells: list[tuple[int, int]] = []
        self.note: list[int] = []

    def cell(self, cell: dict[str, Any], number: int) -> None:
        source = _joined(cell['source']) or ''
        lines = source.replace('\r\n', '\n').replace('\r', '\n').split('\n')
        self.finder.cell()
        places = [self.finder.line(line) for line in lines]
        if cell.get('cell_type') == 'markdown':
            if self.note:
                self.note.append(self._word('', places[0]))
            lines = [ATTACHED.sub(rf'\1attachment:{number}/', line) for line in lines]
            self.note += [self._word(*both) for both in zip(lines, places, strict=True)]
        elif cell.get('cell_type') == 'code':
            self._code(cell, lines, places)

    def _word(self, text: str, place: tuple[int, int]) -> int:
        self.words.append(text)
        self.word_places.append(place)
        return len(self.words) - 1

    def _code(self, cell: dict[str, Any], lines: list[str], places: list[tuple[int, int]]) -> None:
        while lines and not lines[-1].strip():
            lines.pop()
        outputs = list(self._outputs(cell.get('outputs')))
        if not lines:
            return
        first = len(self.code) + 1
        self.code += lines
        self.code_places += places[: len(lines)]
        if _is_hidden(cell):
            self.folds.append((first, len(self.code)))
        shown = [Line(n, text) for n, text in enumerate(lines, first)]
        self.cells.append((first, len(self.code)))
        self._section(shown, outputs)

    def _section(self, code: list[Line], outputs: list[Output]) -> None:
        # Words are numbered behind all code, whose length is not known yet
        prose = [Line(-1 - i, self.words[i]) for i in self.note]
        self.note = []
        self.sections.append(Section(prose, code, outputs=outputs))

    def finish(self) -> Notebook:
        if self.note:
            self._section([], [])
        length = len(self.code)
        for section in self.sections:
            section.prose = [Line(length - x.number, x.text) for x in section.prose]
        text = '\n'.join([*self.code, *self.words])
        places = [*self.code_places, *self.word_places]
        file = self.finder.text.split('\n')
        if self.language:
            return Notebook(text, None, self.sections, places, file, self.language)
        module, warnings = self._module()
        named(self.sections, module.definitions)
        module.marks.folds += self.folds
        module.marks.folds.sort()
        return Notebook(text, module, self.sections, places, file, '', warnings)

    # ### Python
    def _module(self) -> tuple[Module, list[tuple[int, int, str]]]:
        """All cells as one module; what Python cannot read is there, and has no colours."""
        lines, warnings = list(self.code), []
        for first, last in self.cells:
            cell = self.code[first - 1 : last]
            readable, wrong = _python(cell)
            lines[first - 1 : last] = readable
            if wrong:
                warnings.append((first - 1 + wrong[0], wrong[1], wrong[2]))
        tree, tokens, definitions = understood('\n'.join(lines), str(self.path))
        same = [a == b for a, b in zip(lines, self.code, strict=True)]
        tokens = [t for t in tokens if t.start[0] > len(same) or same[t.start[0] - 1]]
        text = '\n'.join(self.code)
        return Module(self.path, text, tree, tokens, self.sections, definitions, []), warnings

    # ### Outputs
    def _outputs(self, said: Any) -> Iterator[Output]:
        before = ''
        for output in said if isinstance(said, list) else ():
            kind = output.get('output_type') if isinstance(output, dict) else ''
            if kind == 'stream':
                before += _joined(output.get('text')) or ''
                continue
            if before.strip():
                yield Output(_plain(before))
            before = ''
            if kind in SHOWS:
                yield from self._shown(output)
            elif kind == 'error':
                lines = output.get('traceback')
                said = [x for x in lines if isinstance(x, str)] if isinstance(lines, list) else []
                text = _joined('\n'.join(said))
                yield Output(_plain(text or f'{output.get("ename")}: {output.get("evalue")}'))
        if before.strip():
            yield Output(_plain(before))

    def _shown(self, output: dict[str, Any]) -> Iterator[Output]:
        data = output.get('data')
        text = _plain((_joined(data.get('text/plain')) if isinstance(data, dict) else '') or '')
        if _drawn(output):
            self.pictures += 1
            # What Python says of a figure describes the object and not the picture
            yield Output('' if text.startswith('<') else text, f'output:{self.pictures}')
        elif text.strip():
            yield Output(text)


def _drawn(output: Any) -> tuple[str, str] | None:
    """The kind of the picture that an output has, and its data."""
    shows = isinstance(output, dict) and output.get('output_type') in SHOWS
    return _drawing(output.get('data')) if shows else None


def _drawing(data: Any) -> tuple[str, str] | None:
    if not isinstance(data, dict):
        return None
    said = ((kind, _joined(data.get(kind))) for kind in PICTURES)
    return next(((kind, text) for kind, text in said if text is not None), None)


def _is_hidden(cell: dict[str, Any]) -> bool:
    metadata = cell.get('metadata')
    if not isinstance(metadata, dict):
        return False
    tags, jupyter = metadata.get('tags'), metadata.get('jupyter')
    tagged = isinstance(tags, list) and any(isinstance(t, str) and t in HIDDEN for t in tags)
    return tagged or (isinstance(jupyter, dict) and jupyter.get('source_hidden') is True)


# ANSI colours of a terminal, and what a progress bar has written over
ANSI = re.compile(r'\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-Z\\-_]')


def _plain(text: str) -> str:
    lines = ANSI.sub('', text).replace('\r\n', '\n').rstrip('\n').split('\n')
    return '\n'.join(line.rstrip('\r').rpartition('\r')[2] for line in lines)


# ## Python with the commands of IPython
#
# `!pip` and `%timeit` are no Python. In a cell that Python cannot read, such lines are taken for
# statements that do nothing; what still cannot be read is left without colours.
COMMAND = re.compile(r'^(\s*)(?:[!%].*|[\w.]+\?{1,2}\s*|\?{1,2}\s*[\w.]+\s*)$')
GIVEN = re.compile(r'^(\s*[\w.,\s]+=\s*)[!%].*$')
# Magics of a whole cell after which comes Python
STILL_PYTHON = re.compile(r'%%(time|timeit|capture|prun)\b')


def _python(lines: Sequence[str]) -> tuple[list[str], tuple[int, int, str] | None]:
    """The lines of a cell as Python can read them, as many as before; and what is wrong."""
    wrong = _wrong(lines)
    if not wrong:
        return list(lines), None
    begins = next((line for line in lines if line.strip()), '')
    if begins.startswith('%%') and not STILL_PYTHON.match(begins):
        return [''] * len(lines), None
    if begins.startswith('%%'):
        lines = ['' if line is begins else line for line in lines]
    done = [GIVEN.sub(r'\1None', COMMAND.sub(r'\1pass', line)) for line in lines]
    if not _wrong(done):
        return done, None
    return [''] * len(lines), wrong


def _wrong(lines: Sequence[str]) -> tuple[int, int, str] | None:
    try:
        understood('\n'.join(lines), 'cell')
    except Mistakes as mistakes:
        found = mistakes.problems[0]
        return min(found.line, len(lines)), found.column, found.message
    return None


# ## Pictures
def picture(path: Path, name: str) -> Path | None:
    """A picture as a file: an output, `output:2`, or attached to a cell, `attachment:3/name`.

    Nothing if there is none.
    """
    found = _pictures(path, path.stat().st_mtime_ns).get(name)
    if found is None:
        return None
    suffix, data = found
    folder = cache_home() / 'outputs'
    file = folder / f'{hashlib.sha256(data).hexdigest()[:20]}{suffix}'
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix('.tmp')
        fresh.write_bytes(data)
        fresh.replace(file)
    return file


@lru_cache(maxsize=64)
def _pictures(path: Path, _changed: int) -> dict[str, tuple[str, bytes]]:
    found: dict[str, tuple[str, bytes]] = {}
    outputs = 0
    try:
        cells, _ = _cells(path.read_text('utf-8-sig'), str(path))
    except (Mistakes, OSError, UnicodeDecodeError):
        return {}
    for number, cell in enumerate(cells, 1):
        for name, part in _parts(cell):
            drawn = _drawing(part) if name else _drawn(part)
            outputs += bool(drawn) and not name
            if drawn:
                called = f'attachment:{number}/{name}' if name else f'output:{outputs}'
                found[called] = PICTURES[drawn[0]], _decoded(*drawn)
    return found


def _parts(cell: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What is attached to a cell, with its names, or its outputs; if it has any words."""
    words = cell.get('cell_type') == 'markdown'
    said = cell.get('attachments' if words else 'outputs')
    if (_joined(cell['source']) or '').strip() and cell.get('cell_type') in ('markdown', 'code'):
        if words and isinstance(said, dict):
            yield from said.items()
        elif not words and isinstance(said, list):
            yield from (('', output) for output in said)


def _decoded(kind: str, text: str) -> bytes:
    if kind == 'image/svg+xml':
        return text.encode('utf-8', 'replace')
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        return b''
