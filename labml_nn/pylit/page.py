r"""
# Page: what a file becomes

Between the sections of [parse](parse.py) and the HTML of [layout](layout.py) a page is
understood as a whole. Headings get levels that never skip one and anchors that never repeat.
Sections become **rows**:

- *pair*: a note and its code, side by side and in step;
- *prose*: a note without code, over the full width;
- *code*: code without a note, over the full width.

No row has an empty column. A body that follows its docstring joins the row of its `def`: the note
is about all of it. So does code without a note while there is room beside a long note above, a
constructor under the text of its class for example. A bare `#` breaks that off.

Anchors are names and not numbers, `#DenoiseDiffusion.q_sample` and not `#section-17`: a link
into the page survives the next paragraph that is written above it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from markdown_it.token import Token

from . import dialect, fields, markup, names, notebook, prose, references, rest, scripts
from .formulas import Formula, Result
from .notebook import Notebook
from .parse import Docstring, Line, Module, Section, parse, read
from .problems import Problems
from .project import Source, readable
from .prose import Note
from .references import Numbered
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
    # Equations with a number, by their anchors
    numbered: dict[str, Numbered] = field(default_factory=dict)
    # By their labels, in the order of the text
    footnotes: dict[str, prose.Footnote] = field(default_factory=dict)
    notebook: Notebook | None = None
    # Of its code, if that is not Python
    language: str = ''

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split('\n')

    @cached_property
    def shown_anchors(self) -> set[str]:
        """What rows and headings are called; asked for when they have their names."""
        return {r.anchor for r in self.rows} | {h.anchor for h in self.headings}

    @cached_property
    def given(self) -> dict[str, int]:
        """The lines that first give names a value: the same in all languages."""
        return names.defined(self.module.tree) if self.module else {}

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
        excerpt = self.excerpt(line)
        if self.notebook:
            where = (self.source.shown, *self.notebook.place(line, column))
            return where, self.notebook.excerpt(line)
        return (self.source.shown, line, column), excerpt

    def line(self, line: int) -> int:
        """Where an editor finds a line of the text."""
        return self.spot(line, 1)[0][1]

    def formulas(self) -> Iterator[tuple[Note, prose.Formula]]:
        for note in self.notes:
            for formula in note.formulas:
                yield note, formula

    def request(self, formula: prose.Formula) -> Formula:
        """What the typesetter is asked."""
        tex = prose.for_katex(formula.tex, self.numbers(formula))
        return Formula(tex, formula.display, self.glossary.mark(tex))

    def numbers(self, formula: prose.Formula) -> list[str]:
        """The numbers of an equation, one for each of its labels."""
        anchors = [references.anchor_of(label) for label, _ in references.labels(formula.tex)]
        return [self.numbered[a].number for a in anchors if a in self.numbered]


# ## Understanding a file
def _sections(text: str, language: str) -> list[Section]:
    """Of Markdown, or of a script in a language."""
    if language:
        return scripts.parse(text, language)
    return [Section(prose=[Line(n, t) for n, t in enumerate(text.split('\n'), 1)])]


def understand(
    source: Source, symbols: Sequence[Symbol], problems: Problems, text: str = ''
) -> Page:
    """Read a file and everything on it that can be known without looking at other files."""
    text = text or read(source.path, source.shown)
    module: Module | None = None
    read_as = None
    language = scripts.LANGUAGES.get(source.path.suffix, '')
    if source.path.suffix == notebook.SUFFIX:
        read_as = notebook.parse(text, source.path, source.shown)
        text, module, sections = read_as.text, read_as.module, read_as.sections
    elif language or source.path.suffix == '.md':
        sections = _sections(text, language)
    else:
        module = parse(text, source.path, source.shown)
        sections = module.sections
    front = _front_matter(sections)
    documented = module.documented if module else frozenset()
    notes = [prose.understand(_as_markdown(s.prose, documented)) for s in sections]
    page = Page(
        source, text, module, sections, notes, [], [], '', front, Glossary(symbols, source.shown),
        notebook=read_as, language=read_as.language if read_as else language,
    )  # fmt: skip
    page.rows = _rows(page)
    if source.kind == 'test':
        _titled(page)
    page.headings = _headings(page, problems)
    _anchor(page, problems)
    _equations(page, problems)
    _footnotes(page, problems)
    _figures(page, problems)
    page.title = front.get('title') or _title(page)
    _mistakes(page, problems)
    return page


def _as_markdown(lines: Sequence[Line], documented: Collection[int]) -> list[Line]:
    return fields.listed(rest.plain(lines, documented), documented)


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


def _equations(page: Page, problems: Problems) -> None:
    """Number what carries a label, in reading order."""
    count = 0
    for _, formula in page.formulas():
        given = references.tags(formula.tex)
        for i, (label, offset) in enumerate(references.labels(formula.tex)):
            where, excerpt = page.spot(*formula.at(offset))
            anchor = references.anchor_of(label)
            if not references.NAME.fullmatch(label):
                problems.error(where, f'the label {label!r} is no name', excerpt)
            elif not formula.display:
                problems.error(where, 'only an equation on its own line has a number', excerpt)
            elif anchor in page.anchors:
                message = f'the label {label!r} is taken on this page'
                problems.error(where, message, excerpt)
            else:
                number = given[min(i, len(given) - 1)] if given else str(count := count + 1)
                page.anchors[anchor] = where[1]
                page.numbered[anchor] = Numbered('equation', number, where[1])


# ## Footnotes
#
# Numbers go through the page. An anchor is made of the label, so that a link to it survives the
# next footnote above.
def _footnotes(page: Page, problems: Problems) -> None:
    places: dict[str, tuple[Note, Token]] = {}
    for note, token, _ in _tokens(page):
        if token.type == 'footnote_open':
            label = str(token.meta['label'])
            if label in places:
                where, excerpt = page.spot(*note.where(token))
                problems.error(where, f'the footnote [^{label}] is there already', excerpt)
            places.setdefault(label, (note, token))
    for note, token, block in _tokens(page):
        if token.type == 'footnote_ref':
            label = str(token.meta['label'])
            if label in places:
                _footnote(page, label, places[label]).uses += 1
            else:
                said = f'[^{note.restore(label)}]'
                where, excerpt = page.spot(*note.where(block, said))
                problems.warning(where, f'the footnote {said} is not defined on this page', excerpt)
    for label, (note, token) in places.items():
        if label not in page.footnotes:
            _footnote(page, label, (note, token))
            where, excerpt = page.spot(*note.where(token))
            problems.warning(where, f'nothing refers to the footnote [^{label}]', excerpt)
    for found in list(page.footnotes.values()):
        for n in range(1, found.uses + 1):
            page.anchors[found.reference(n)] = page.anchors[found.anchor]


def _footnote(page: Page, label: str, place: tuple[Note, Token]) -> prose.Footnote:
    if label not in page.footnotes:
        anchor = _unique(page, f'fn-{prose.slug(label)}')
        page.anchors[anchor] = place[0].where(place[1])[0]
        page.footnotes[label] = prose.Footnote(len(page.footnotes) + 1, anchor)
    return page.footnotes[label]


def _tokens(page: Page) -> Iterator[tuple[Note, Token, Token]]:
    """Every token of a page with its note and the block that it stands in."""
    for note in page.notes:
        for token, block in prose.walk(note.tokens):
            yield note, token, block


def _figures(page: Page, problems: Problems) -> None:
    """Number the pictures that have a caption, in reading order."""
    count = 0
    for note in page.notes:
        for opening, inside in pairwise(note.tokens):
            if 'figure' not in inside.meta:
                continue
            count += 1
            anchor = inside.meta['figure'] or f'fig:{count}'
            where, excerpt = page.spot(*note.where(inside))
            if anchor in page.anchors:
                problems.error(where, f'the id {anchor!r} is taken on this page', excerpt)
                continue
            opening.attrSet('id', anchor)
            inside.meta['number'] = str(count)
            page.anchors[anchor] = where[1]
            page.numbered[anchor] = Numbered('figure', str(count), where[1])


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
            for text, message in _unknown(token):
                where, excerpt = page.spot(*note.where(block, text))
                problems.warning(where, message, excerpt)
    for line, column, message in page.notebook.warnings if page.notebook else ():
        where, excerpt = page.spot(line, column)
        problems.warning(where, message, excerpt)
    for line, column, message in page.module.marks.mistakes if page.module else ():
        where, excerpt = page.spot(line, column)
        problems.error(where, message, excerpt)
    for doc in page.module.docstrings if page.module else ():
        _check_raw(page, doc, problems)


ALERT = re.compile(r'\[!([A-Za-z]+)\]\s*(?=\n|$)')


def _unknown(token: Token) -> Iterator[tuple[str, str]]:
    """What a token says that we do not know: where it says so, and the message."""
    if token.type == 'admonition_open' and token.meta['kind'] not in dialect.TITLES:
        kind = token.meta['kind']
        near = difflib.get_close_matches(kind, list(dialect.TITLES), 1)
        meant = f'did you mean {near[0]!r}?' if near else f'there are {", ".join(dialect.TITLES)}'
        yield kind, f'unknown kind of admonition {kind!r}: {meant}'
    elif token.type == 'inline' and (alert := ALERT.match(token.content)):
        known = ', '.join(dialect.ALERTS)
        yield alert[0].strip(), f'unknown kind of alert [!{alert[1]}]: there are {known}'
    elif token.type == 'fence':
        fence = prose.Fence.of(token.info)
        length = token.content.rstrip('\n').count('\n') + 1
        if fence.wrong:
            yield fence.wrong, f'{fence.wrong!r} is no line: write hl_lines="2 4-6"'
        elif fence.marked and max(fence.marked) > length:
            last = max(fence.marked)
            yield str(last), f'hl_lines asks for line {last}, and the code has {length}'


def _check_raw(page: Page, doc: Docstring, problems: Problems) -> None:
    r"""In `\bar` without `r` Python sees a backspace, and `help()` rings the bell for `\alpha`."""
    for line in doc.lines if not doc.raw else ():
        found = re.search(r'\\+(?:[a-zA-Z]+|[(\[])', line.text)
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
            position -= position > 0 and len(request.tex) > len(formula.tex)
            where, excerpt = page.spot(*formula.at(position))
            problems.error(where, f'LaTeX: {result.error}', excerpt)
