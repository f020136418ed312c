r"""
# Page: what a file becomes

Between the sections of [parse](parse.py) and the HTML of [layout](layout.py) a page is
understood as a whole. Headings get levels that never skip one and anchors that never repeat.
Sections become **rows**:

- *pair*: a note and its code, side by side and in step;
- *prose*: a note without code has the full width, and so has
- *code*: code without a note.

No row has an empty column. A body that follows its docstring joins the row of its `def`: the note
is about all of it. So does code without a note while there is room beside a long note above, a
constructor under the text of its class for example. A bare `#` breaks that off.

Anchors are names and not numbers, `#DenoiseDiffusion.q_sample` and not `#section-17`: a link
into the page survives the next paragraph that is written above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from markdown_it.token import Token

from . import fields, markup, prose
from .formulas import Formula, Result
from .parse import Docstring, Line, Module, Section, parse, read
from .problems import Problems
from .project import Source, readable
from .prose import Note
from .symbols import Glossary, Symbol


@dataclass
class Heading:
    """A heading of a note. `token` is what is between its tags."""

    level: int
    text: str
    anchor: str
    note: Note
    token: Token
    row: int = 0


@dataclass
class Row:
    """Sections that stand side by side as one."""

    kind: str
    sections: list[int]
    anchor: str = ''
    name: str = ''


@dataclass
class Page:
    """One file, understood."""

    source: Source
    text: str
    module: Module | None
    sections: list[Section]
    notes: list[Note]
    rows: list[Row]
    headings: list[Heading]
    title: str
    front: dict[str, str]
    glossary: Glossary
    anchors: dict[str, int] = field(default_factory=dict)
    # Where the definition of a name stands, on this page
    places: dict[str, str] = field(default_factory=dict)
    # Anchors that an author wrote as HTML
    written: set[str] = field(default_factory=set)

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split('\n')

    @cached_property
    def shown_anchors(self) -> set[str]:
        """What rows and headings are called; asked for when they have their names."""
        return {r.anchor for r in self.rows} | {h.anchor for h in self.headings}

    def excerpt(self, line: int) -> str:
        lines = self.lines
        return lines[line - 1] if 0 < line <= len(lines) else ''

    def front_line(self, key: str) -> int:
        """Where something is said between the two `---` of the beginning."""
        said = re.compile(rf'\W*{re.escape(key)}\s*:', re.I)
        return next((n for n, text in enumerate(self.lines, 1) if said.match(text)), 1)

    def has(self, anchor: str) -> bool:
        """Whether a link to this place arrives."""
        return anchor in self.anchors or is_line(anchor, len(self.lines))

    def spot(self, line: int, column: int) -> tuple[tuple[str, int, int], str]:
        """How `Problems` wants to be told where something is: position and excerpt."""
        return (self.source.shown, line, column), self.excerpt(line)

    def formulas(self) -> Iterator[tuple[Note, prose.Formula]]:
        for note in self.notes:
            for formula in note.formulas:
                yield note, formula

    def request(self, formula: prose.Formula) -> Formula:
        """What the typesetter is asked."""
        tex = prose.for_katex(formula.tex)
        return Formula(tex, formula.display, self.glossary.mark(tex))


# ## Understanding a file
def understand(
    source: Source, symbols: Sequence[Symbol], problems: Problems, text: str = ''
) -> Page:
    """Read a file and everything on it that can be known without looking at other files."""
    text = text or read(source.path, source.shown)
    if source.path.suffix == '.md':
        module = None
        sections = [Section(prose=[Line(n, t) for n, t in enumerate(text.split('\n'), 1)])]
    else:
        module = parse(text, source.path, source.shown)
        sections = module.sections
    front = _front_matter(sections)
    documented = module.documented if module else frozenset()
    notes = [prose.understand(fields.listed(s.prose, documented)) for s in sections]
    page = Page(
        source, text, module, sections, notes, [], [], '', front, Glossary(symbols, source.shown)
    )
    page.rows = _rows(page)
    if source.kind == 'test':
        _titled(page)
    page.headings = _headings(page, problems)
    _anchor(page, problems)
    page.title = front.get('title') or _title(page)
    _mistakes(page, problems)
    return page


def _front_matter(sections: list[Section]) -> dict[str, str]:
    """`key: value` lines between two `---` at the very beginning; a value may be folded (`>`)."""
    lines = sections[0].prose if sections else []
    first = next((i for i, line in enumerate(lines) if line.text), 0)
    if not lines or lines[first].text.strip() != '---':
        return {}
    found: dict[str, str] = {}
    key = ''
    for i, line in enumerate(lines[first + 1 :], first + 1):
        text = line.text.strip()
        if text == '---':
            sections[0].prose = lines[i + 1 :]
            return {k: v.strip().strip('\'"') for k, v in found.items()}
        if key and line.text[:1] == ' ':
            found[key] += f' {text}'
            continue
        key, colon, value = text.partition(':')
        if not colon:
            return {}
        key = key.strip().lower()
        found[key] = value.strip().removeprefix('>').removeprefix('|')
    return {}


def _titled(page: Page) -> None:
    """What a file of tests says first is what it is called, if it is words alone."""
    tokens = page.notes[page.rows[0].sections[0]].tokens if page.rows else []
    if len(tokens) > 2 and tokens[0].type == 'paragraph_open':
        said = tokens[1].content
        if len(said) < 120 and not prose.MARK.search(said):
            tokens[0].type, tokens[2].type = 'heading_open', 'heading_close'
            tokens[0].tag = tokens[2].tag = 'h1'
            last = (tokens[1].children or [])[-1]
            last.content = last.content.removesuffix('.')
            tokens[1].content = said.removesuffix('.')


def _title(page: Page) -> str:
    if page.headings and page.headings[0].level == 1:
        return page.headings[0].text
    name = page.source.path
    return readable(name.parent.name if name.stem in ('__init__', 'index') else name.name)


# ## Rows
def _rows(page: Page) -> list[Row]:
    rows: list[Row] = []
    for i, section in enumerate(page.sections):
        has_note = section.has_note
        if not has_note and not section.code:
            continue
        if not has_note and not section.prose and rows and _has_room(page, rows[-1], section):
            rows[-1].sections.append(i)
            continue
        kind = 'pair' if has_note and section.code else 'prose' if has_note else 'code'
        rows.append(Row(kind, [i], name=section.name))
    return rows


def _has_room(page: Page, row: Row, section: Section) -> bool:
    """Whether code without a note fits beside the note above it, or belongs to that note anyway."""
    if row.kind != 'pair':
        return False
    if section.continues:
        return True
    note = page.sections[row.sections[0]].prose
    code = sum(len(page.sections[i].code) for i in row.sections)
    # A line of a note takes up more height than a line of code, and wraps
    height = sum(0.6 + len(line.text) / 50 for line in note if line.text.strip())
    return code + len(section.code) <= 1.25 * height


# ## Headings and anchors
def _headings(page: Page, problems: Problems) -> list[Heading]:
    found: list[Heading] = []
    for number, row in enumerate(page.rows):
        for i in row.sections:
            tokens = page.notes[i].tokens
            for opening, inside in pairwise(tokens):
                if opening.type == 'heading_open':
                    found.append(_heading(page, page.notes[i], opening, inside, number, problems))
    _normalise(page, found)
    return found


def _heading(
    page: Page, note: Note, opening: Token, inside: Token, row: int, problems: Problems
) -> Heading:
    anchor = prose.explicit_id(inside)
    if anchor and anchor in page.anchors:
        where, excerpt = page.spot(*note.where(opening, anchor))
        problems.error(where, f'the id {anchor!r} is taken on this page', excerpt)
        anchor = ''
    text = prose.plain(note, inside)
    anchor = anchor or _unique(page, prose.slug(prose.plain(note, inside, formulas=False)))
    page.anchors[anchor] = note.where(opening)[0]
    opening.attrSet('id', anchor)
    return Heading(int(opening.tag[1]), text, anchor, note, inside, row)


def _unique(page: Page, wanted: str) -> str:
    anchor, n = wanted, 2
    while anchor in page.anchors:
        anchor, n = f'{wanted}-{n}', n + 1
    return anchor


def _normalise(page: Page, headings: list[Heading]) -> None:
    """One first level, and from there never more than one level down at a time.

    Screen readers walk by headings, and a jump from the second to the fourth level sounds like
    something is missing. Authors choose a level for its size.
    """
    begins = headings and headings[0].row == 0 and page.notes[page.rows[0].sections[0]]
    titled = begins and begins.tokens and begins.tokens[0].type == 'heading_open'
    stack: list[int] = []
    for i, heading in enumerate(headings):
        if i == 0 and titled:
            heading.level = 1
            continue
        while stack and stack[-1] >= heading.level:
            stack.pop()
        stack.append(heading.level)
        heading.level = min(len(stack) + 1, 6)
    for heading in headings:
        tokens = heading.note.tokens
        at = next(i for i, token in enumerate(tokens) if token is heading.token)
        tokens[at - 1].tag = tokens[at + 1].tag = f'h{heading.level}'


def anchor_of(name: str) -> str:
    """The address of a definition: its name, unless that is the address of a line."""
    return f'def-{name}' if re.fullmatch(r'L\d+', name) else name


def is_line(anchor: str, length: int) -> bool:
    """Whether an anchor is that of a line of a file."""
    number = anchor.removeprefix('L')
    return anchor[:1] == 'L' and number.isdigit() and 0 < int(number) <= length


def _anchor(page: Page, problems: Problems) -> None:
    counts: dict[str, int] = {}
    for row in page.rows:
        section = page.sections[row.sections[0]]
        if row.name:
            row.anchor = _unique(page, anchor_of(row.name))
            page.places.setdefault(row.name, row.anchor)
        else:
            # Numbered inside what surrounds it, so that the rest of the page does not matter
            around = section.scope or 'part'
            counts[around] = counts.get(around, 0) + 1
            row.anchor = _unique(page, f'{around}-{counts[around]}')
        page.anchors[row.anchor] = section.start
    for definition in page.module.definitions if page.module else ():
        # A heading of that name is another place
        if definition.name not in page.places:
            anchor = _unique(page, anchor_of(definition.name))
            page.places[definition.name] = anchor
            page.anchors[anchor] = definition.line
    for note in page.notes:
        for token, block in prose.walk(note.tokens):
            if token.type in ('html_inline', 'html_block') and markup.is_html(token.content):
                _written_anchors(page, note, token, block)


def _written_anchors(page: Page, note: Note, token: Token, block: Token) -> None:
    """`<a id="here"></a>`: a name that stands already leads to where it stands."""
    for anchor in markup.look(token.content).anchors:
        if anchor and not page.has(anchor):
            page.anchors[anchor] = note.where(block, token.content.split('\n')[0])[0]
            page.written.add(anchor)


# ## Mistakes that need no other file
def _mistakes(page: Page, problems: Problems) -> None:
    for note in page.notes:
        for line, column, message in note.mistakes:
            where, excerpt = page.spot(line, column)
            problems.error(where, message, excerpt)
        for token, block in prose.walk(note.tokens):
            if token.type in ('html_inline', 'html_block') and markup.is_html(token.content):
                for tag in markup.look(token.content).left_out:
                    first = note.restore(tag).strip().split('\n')[0]
                    where, excerpt = page.spot(*note.where(block, first))
                    problems.error(where, f'{markup.LEFT_OUT}: {first[:60]}', excerpt)
    for doc in page.module.docstrings if page.module else ():
        _check_raw(page, doc, problems)


def _check_raw(page: Page, doc: Docstring, problems: Problems) -> None:
    r"""In `\bar` without `r` Python sees a backspace, and `help()` rings the bell for `\alpha`."""
    for line in doc.lines if not doc.raw else ():
        found = re.search(r'\\+[a-zA-Z]+', line.text)
        if found:
            where, excerpt = page.spot(line.number, line.column + found.start() + 1)
            message = f'{found[0]} in a docstring that is not raw: write r""" … """'
            problems.warning(where, message, excerpt)
            return


def formula_mistakes(page: Page, results: dict[Formula, Result], problems: Problems) -> None:
    """What the typesetter refused, at the character it refused."""
    for _, formula in page.formulas():
        request = page.request(formula)
        result = results.get(request)
        if result and result.error:
            position = result.position
            # A star that we added shifts what follows
            position -= position > 0 and request.tex != formula.tex
            where, excerpt = page.spot(*formula.at(position))
            problems.error(where, f'LaTeX: {result.error}', excerpt)
