r"""
# Prose: from notes to tokens to HTML

A note is Markdown (CommonMark, with tables) and mathematics. The two do not mix: Markdown eats
the underscores of `$x_t$` and the backslashes of a matrix. So the mathematics is **taken out
first**, and each formula leaves a mark behind that Markdown has no opinion about.

| written | becomes |
|---|---|
| `$x_t$` | in the line |
| `$$x_t$$` | a line of its own, also in the middle of a sentence |
| `\begin{align} … \end{align}` | the same, without dollars |
| `\(x_t\)`, `\[x_t\]` | the same as one dollar, as two |
| `\$` | a dollar |

A price is not a formula: `$` opens only before something, closes only after something, and a
digit must not follow, so that $5 and $10 can be paid in one sentence
[tested](test:pylit/test_prose.py::test_a_price_is_not_a_formula).

Of raw HTML only [what is harmless](markup.py) is let through, and addresses are limited to what a
reader may click on. A page of someone else's comments must not become a page of someone else's
script.
"""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

from . import dialect, references
from .dialect import MARKDOWN, PROMPT
from .elements import element
from .markup import Answers, AuthorHTML, Picture, is_html, sanitise
from .parse import Line
from .readable import readable

# The mark that a formula leaves behind, from Unicode's private area
OPEN, CLOSE = '\ue000', '\ue001'
MARK = re.compile(f'{OPEN}(\\d+){CLOSE}')
OURS = re.compile(f'[{OPEN}{CLOSE}]')
# Markdown would read these as the mark of a formula that is not there
FORGED = re.compile(r'&#(?:x0*e00[01]|0*5734[45]);', re.I)


@dataclass
class Formula:
    """A formula in its place: `places[i]` is where line `i` of the TeX begins in the source."""

    tex: str
    display: bool
    source: str
    places: list[tuple[int, int]]
    # Why no test is named for it, if the author says so; `None` if not
    no_test: str | None = None

    def at(self, offset: int) -> tuple[int, int]:
        """Line and column, from 1, of a character of the TeX."""
        before = self.tex[: max(offset, 0)]
        row = min(before.count('\n'), len(self.places) - 1)
        line, column = self.places[row]
        return line, column + len(before) - (before.rfind('\n') + 1) + 1


@dataclass
class Note:
    """One note, understood: the tokens, the formulas, and where every line came from."""

    tokens: list[Token]
    formulas: list[Formula]
    lines: Sequence[Line]
    table: list[int]
    # (line, column, message) of what could not be understood
    mistakes: list[tuple[int, int, str]] = field(default_factory=list)
    # Where `[text][label]` leads, by label
    references: dict[str, Any] = field(default_factory=dict)

    def where(self, token: Token | None, text: str = '') -> tuple[int, int]:
        """The source position of a block, or of the first place in it where `text` stands."""
        first, last = token.map if token and token.map else (0, len(self.table))
        start = self.table[first] if first < len(self.table) else 0
        end = self.table[last] if last < len(self.table) else len(self.lines)
        numbered = [line for line in self.lines[start : max(end, start + 1)] if line.number]
        for line in numbered:
            if text and text in line.text:
                return line.number, line.column + line.text.index(text) + 1
        shown = numbered or [line for line in self.lines if line.number]
        # What was put before a line, as the mark of a list, may count more than was cut off
        return (shown[0].number, max(shown[0].column + 1, 1)) if shown else (1, 1)

    def restore(self, text: str) -> str:
        """The author's words again, with each formula as it was written."""
        return MARK.sub(lambda m: self.formulas[int(m[1])].source, text)


# ## Taking the mathematics out
INLINE = re.compile(r'\$(?![\s$])((?:\\.|(?!\n\s*\n)[^\\$])*?)(?<!\s)\$(?!\d)', re.S)
DISPLAY = re.compile(r'\$\$(.+?)\$\$', re.S)
# Up to the next bracket of the kind, so that a text full of them is read once
_TEX = r'((?:\\[^()\[\]]|[^\\\n]|\n(?![ \t]*(?:\n|$)))+?)'
BRACKETS = re.compile(rf'\\\({_TEX}\\\)|\\\[{_TEX}\\\]')
WORDS = re.compile(r"(?=[^\\]*[^\W\d_]{3})[\w\s,.;:!?'’-]*|\s*")
# A link whose text has brackets of its own
OPENS = tuple('([')
BEGIN = re.compile(r'\\begin\{([A-Za-z]+\*?)\}')
EDGE = re.compile(r'\\(begin|end)\{([A-Za-z]+\*?)\}')
EVENT = re.compile(r'[`$\\]|(?<=\n)')
# A blockquote, in an item of a list too
QUOTED = re.compile(r'(?:\s|[-*+]\s|\d+[.)]\s)*>')
FENCE = re.compile(r'[ >]*(`{3,}|~{3,})')
# Behind a display formula: why no test is named for it
NO_TEST = re.compile(r'\s*<!--\s*no-test:[ ]*([^<>]*?)\s*-->')
# Below a block: where its numbers are from, or why from no file
MEASURED = re.compile(r'\s*<!--\s*(measured|no-source):([^<>]*?)-->\s*')
# KaTeX numbers these, and on a phone the number prints over the formula
NUMBERED = re.compile(r'\\(begin|end)\{(align|equation|gather|alignat)\}')


class _Extractor:
    """One walk over the text of a note."""

    def __init__(self, lines: Sequence[Line]):
        self.lines = lines
        self.text = '\n'.join(line.text for line in lines)
        self.starts = [0]
        for line in lines:
            self.starts.append(self.starts[-1] + len(line.text) + 1)
        self.out: list[str] = []
        self.table = [0]
        self.formulas: list[Formula] = []
        self.mistakes: list[tuple[int, int, str]] = []
        self.row = 0
        self._free_the_marks()
        self.ends = _ends(self.text)
        self.code = _code_rows(self.text)

    def _free_the_marks(self) -> None:
        """An author's own U+E000, in code too, would be read as the mark of a formula."""
        for line in self.lines:
            for found in OURS.finditer(line.text):
                message = f'U+{ord(found[0]):04X} is a private character, and ours'
                self.mistakes.append((line.number, line.column + found.start() + 1, message))
        self.text = OURS.sub('\ufffd', self.text)

    def run(self) -> None:
        i = 0
        while i < len(self.text):
            i = self._step(i)

    def _step(self, i: int) -> int:
        text, char = self.text, self.text[i]
        if i == self.starts[self.row]:
            if self.row in self.code:
                return self._keep(i, self.starts[self.code[self.row]])
            if fence := FENCE.match(text, i):
                return self._keep(i, self._fence_end(i, fence[1]))
        if char == '`':
            return self._keep(i, self._span_end(i))
        if char == '\\':
            if begin := BEGIN.match(text, i):
                return self._environment(i, begin)
            if brackets := BRACKETS.match(text, i):
                return self._brackets(i, brackets)
            return self._keep(i, i + 2)
        if char == '$':
            return self._dollar(i)
        # Nothing happens before the next of these, and most of a note is before it
        found = EVENT.search(self.text, i + 1)
        return self._keep(i, found.start() if found else len(self.text))

    def _keep(self, i: int, end: int) -> int:
        kept = self.text[i:end]
        self.out.append(kept)
        for _ in range(kept.count('\n')):
            self.row += 1
            self.table.append(self.row)
        return min(end, len(self.text))

    def _fence_end(self, i: int, fence: str) -> int:
        closing = re.compile(rf'\n[ >]*{fence[0]}{{{len(fence)},}}[ ]*(?=\n|$)')
        found = closing.search(self.text, i)
        return found.end() if found else len(self.text)

    def _span_end(self, i: int) -> int:
        ticks = re.compile('`+').match(self.text, i)
        assert ticks
        for other in re.compile(r'`+|\n[ ]*\n').finditer(self.text, ticks.end()):
            if other[0] == ticks[0]:
                return other.end()
            if other[0][0] == '\n':
                break
        return ticks.end()

    def _dollar(self, i: int) -> int:
        if self.text.startswith('$$', i):
            if found := DISPLAY.match(self.text, i):
                return self._formula(i, found.end(), found.span(1), True)
            self._mistake(i, '`$$` is never closed')
            return self._keep(i, i + 2)
        if found := INLINE.match(self.text, i):
            return self._formula(i, found.end(), found.span(1), False)
        return self._keep(i, i + 1)

    def _brackets(self, i: int, found: re.Match[str]) -> int:
        display = found[2] is not None
        inner = found.span(2 if display else 1)
        # To Markdown these are brackets that stand for themselves: words in them are no formula
        if WORDS.fullmatch(self.text, *inner) or self.text[found.end() : found.end() + 1] in OPENS:
            return self._keep(i, i + 2)
        return self._formula(i, found.end(), inner, display)

    def _environment(self, i: int, begin: re.Match[str]) -> int:
        end = self.ends.get(i)
        if end:
            return self._formula(i, end, (i, end), True)
        self._mistake(i, f'`{begin[0]}` is never closed')
        return self._keep(i, begin.end())

    def _formula(self, i: int, end: int, inner: tuple[int, int], display: bool) -> int:
        tex, places = self._unquoted(*inner)
        reason = NO_TEST.match(self.text, end) if display else None
        self.out.append(f'{OPEN}{len(self.formulas)}{CLOSE}')
        why = reason[1] if reason else None
        source, _ = self._unquoted(i, end)
        self.formulas.append(Formula(tex, display, source, places, why))
        end = reason.end() if reason else end
        self.row += self.text.count('\n', i, end)
        return end

    def _unquoted(self, start: int, end: int) -> tuple[str, list[tuple[int, int]]]:
        # In a blockquote every line of a formula begins with `>`, which is not mathematics
        row = self.row + self.text.count('\n', self.starts[self.row], start)
        quoted = QUOTED.match(self.lines[self.row].text)
        places, pieces = [], []
        for k, piece in enumerate(self.text[start:end].split('\n')):
            line = self.lines[row + k]
            lead = re.match(r'[ >]*', piece) if k and quoted else None
            cut = lead.end() if lead else 0
            begins = start - self.starts[row] if k == 0 else cut
            places.append((line.number, line.column + begins))
            pieces.append(piece[cut:])
        return '\n'.join(pieces), places

    def _mistake(self, i: int, message: str) -> None:
        line = self.lines[self.row]
        self.mistakes.append((line.number, line.column + i - self.starts[self.row] + 1, message))


def _ends(text: str) -> dict[int, int]:
    r"""Where each `\begin` stands → where its `\end` does, of those that are closed."""
    opened: dict[str, list[int]] = {}
    found = {}
    for edge in EDGE.finditer(text):
        begun = opened.setdefault(edge[2], [])
        if edge[1] == 'begin':
            begun.append(edge.start())
        elif begun:
            found[begun.pop()] = edge.end()
    return found


# What may be code without a fence: a line far to the right, or the prompt of a session
BARE_CODE = re.compile(r'(?m)^(?: {4}| {0,3}\t|.*>>>)')


def _code_rows(text: str) -> dict[int, int]:
    """First row → row after the last, of code that Markdown knows by its place alone."""
    if not BARE_CODE.search(text):
        return {}
    found = MARKDOWN.parse(text)
    return {t.map[0]: t.map[1] for t in found if t.map and _is_bare(t)}


def _is_bare(token: Token) -> bool:
    return token.type == 'code_block' or (token.type == 'fence' and token.markup == PROMPT)


def for_katex(tex: str, numbers: Sequence[str] = ()) -> str:
    r"""`align` without its number, unless rows are numbered by `\tag` or by their labels."""
    tex = references.for_katex(tex, numbers)
    return tex if r'\tag' in tex else NUMBERED.sub(r'\\\1{\2*}', tex)


# ## Markdown
def understand(lines: Sequence[Line]) -> Note:
    """Parse one note. Every second section of a page has none."""
    if not any(line.text.strip() for line in lines):
        return Note([], [], lines, [*range(max(len(lines), 1)), len(lines)])
    extractor = _Extractor(lines)
    extractor.run()
    known: dict[str, Any] = {}
    tokens = _measured(MARKDOWN.parse(FORGED.sub('\ufffd', ''.join(extractor.out)), known))
    table = [*extractor.table, len(lines)]
    references = known.get('references', {})
    return Note(tokens, extractor.formulas, lines, table, extractor.mistakes, references)


def _measured(tokens: list[Token]) -> list[Token]:
    """Without the lines that say where numbers are from: the end of the block above has them."""
    kept: list[Token] = []
    for token in tokens:
        found = MEASURED.fullmatch(token.content) if token.type == 'html_block' else None
        above = kept[-1] if kept else None
        ends = above and above.nesting < 0 and above.type != 'heading_close'
        if found and above and (ends or above.type in ('fence', 'code_block')):
            if found[1] == 'measured':
                token.meta['sources'] = found[2].split()
            else:
                token.meta['why'] = found[2].strip()
            above.meta.setdefault('measured', []).append(token)
        else:
            kept.append(token)
    return kept


def inline(note: Note, text: str) -> list[Token]:
    """Parse one paragraph that replaces another; its formulas join the note's."""
    extractor = _Extractor([Line(0, text)])
    extractor.formulas = note.formulas
    extractor.run()
    known = {'references': note.references}
    text = FORGED.sub('\ufffd', ''.join(extractor.out))
    return MARKDOWN.parseInline(text, known)[0].children or []


def walk(tokens: Sequence[Token]) -> Iterator[tuple[Token, Token]]:
    """Every token with the block it stands in."""
    for token in tokens:
        yield token, token
        for child in token.children or ():
            yield child, token


def plain(note: Note, token: Token, formulas: bool = True) -> str:
    """The words of an inline token, formulas in one line of Unicode: for titles, search, slugs."""
    parts = []
    for child in token.children or ():
        if child.type in ('text', 'code_inline', 'image'):
            parts.append(child.content)
        elif child.type in ('softbreak', 'hardbreak'):
            parts.append(' ')
    text = ''.join(parts)

    def shown(mark: re.Match[str]) -> str:
        return readable(note.formulas[int(mark[1])].tex) if formulas else ''

    return MARK.sub(shown, text).strip()


def slug(text: str) -> str:
    """An anchor that a person can type."""
    words = unicodedata.normalize('NFKC', text).lower()
    return re.sub(r'[\s_-]+', '-', re.sub(r'[^\w\s-]', '', words)).strip('-') or 'section'


EXPLICIT = re.compile(r'\s*\{#([A-Za-z][\w.:-]*)\}\s*$')


def explicit_id(token: Token) -> str:
    """Take `{#id}` off the end of a heading."""
    last = token.children[-1] if token.children else None
    found = EXPLICIT.search(last.content) if last and last.type == 'text' else None
    if not found or not last:
        return ''
    last.content = last.content[: found.start()]
    return found[1]


# ## Tokens to HTML
# The language of a block that nobody has named
UNSAID = '?'


# The blank between a number and what belongs to it: 60 %, 28 × 28, 2.82 ± 0.03, 3 of 4, eq. 4
UNPARTED = re.compile(
    r'(?<=\d) (?=[%±×]|of \d|(?:s|ms|[KMG]i?B|GFLOP)\b)'
    r'|(?<=[±×]) (?=\d)|(?<=\d of) (?=\d)|(?<=\beq\.) (?=\d)'
)


@dataclass
class Footnote:
    """A footnote of a page: its number, its anchor, and how often the text refers to it."""

    number: int
    anchor: str
    uses: int = 0

    def reference(self, n: int) -> str:
        """The anchor of the `n`-th place, from 1, that refers to it."""
        return f'{self.anchor}-ref' + (f'-{n}' if n > 1 else '')


class Context(Protocol):
    """What the writer asks of the page it writes for."""

    def formula(self, formula: Formula) -> str: ...
    def link(self, href: str, note: Note, block: Token | None) -> tuple[str, str]: ...
    def image(self, src: str, alt: str, note: Note, block: Token | None) -> str: ...
    def code(self, text: str, language: str, marked: Collection[int] = ()) -> str: ...
    def anchor(self, name: str) -> bool: ...
    def say(self, text: str) -> str: ...
    def footnote(self, label: str) -> Footnote | None: ...
    def count(self, anchor: str) -> int: ...
    def figure(self, number: str) -> str: ...
    def called(self, href: str) -> str: ...


@dataclass
class _State:
    note: Note
    page: Context
    block: Token | None = None
    closing: list[str] = field(default_factory=list)
    # Whether authors' tags are here, and HTML of our own has to stand aside from the sanitiser
    marked: bool = False
    own: list[str] = field(default_factory=list)
    # Of the admonitions around us, the tags of their titles; and the footnotes that are open
    boxes: list[str] = field(default_factory=list)
    footnotes: list[Footnote | None] = field(default_factory=list)

    @cached_property
    def key(self) -> str:
        """What no note can contain, because it depends on the note."""
        text = '\n'.join([*(line.text for line in self.note.lines), *map(str, self.note.tokens)])
        return f'own-{hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]}'

    def aside(self, shown: str) -> str:
        if not self.marked:
            return shown
        self.own.append(shown)
        return f'{self.key}-{len(self.own) - 1}.'

    def finish(self, shown: str) -> str:
        if not self.marked:
            return shown
        mark = re.compile(rf'{self.key}-(\d+)[.]')
        return mark.sub(lambda found: self.own[int(found[1])], sanitise(shown))

    def text(self, content: str, proof: str = '') -> str:
        """Words, and the formulas among them; `proof` stands inside of the last."""
        # `split` with one group gives text, number, text, number, …
        parts = MARK.split(content)
        shown = [
            self.page.formula(self.note.formulas[int(part)])
            if i % 2
            else html.escape(UNPARTED.sub('\N{NO-BREAK SPACE}', part))
            for i, part in enumerate(parts)
        ]
        if proof:
            shown[-2] = f'{shown[-2].removesuffix("</span>")}{proof}</span>'
        return ''.join(self.aside(x) if i % 2 else x for i, x in enumerate(shown))

    def proof(self, tokens: Sequence[Token], options: Any) -> str:
        """The mark of a claim that stands beside its equation."""
        if not tokens:
            return ''
        # The formula that this goes into is put aside as a whole, so this is not put aside itself
        inner = _State(self.note, self.page, self.block)
        return WRITER.renderInline(tokens, options, {'state': inner})

    def markup(self, content: str) -> str:
        """The HTML of an author, as far as it is harmless."""
        answers = Answers(
            link=lambda href: _address(self.page.link(href, self.note, self.block)[0], 'href'),
            picture=lambda src, alt: _picture(self.page.image(src, alt, self.note, self.block)),
            anchor=self.page.anchor,
            text=self.text,
            restore=self.note.restore,
            own=self.aside,
        )
        return AuthorHTML(answers).read(content)


# What the writer says to the reader
TEXTS = (*dict.fromkeys(dialect.TITLES.values()), 'Footnote', 'Back to the text')


# ### What the first line of a fence says
@dataclass(frozen=True)
class Fence:
    """```` ```python hl_lines="2 4-6" title="a.py" ````: a language, and what is to be seen."""

    language: str
    marked: frozenset[int] = frozenset()
    title: str = ''
    # What cannot be understood
    wrong: str = ''

    @classmethod
    def of(cls, info: str) -> Fence:
        language = re.match(r'\s*\{?\s*\.?([^\s{}=]*)(?=[\s{}]|$)', info)
        said = {name: value for name, _, value in OPTION.findall(info)}
        lines = said.get('hl_lines', said.get('hl', ''))
        marked, wrong = line_numbers(lines)
        name = language[1] if language else ''
        return cls(name or UNSAID, marked, said.get('title', ''), wrong)


OPTION = re.compile(r'\b(hl_lines|hl|title)=(["\']?)((?:(?<=")[^"]*|(?<=\')[^\']*|[^\s"\'}]*))')
# Nobody counts further, and a range without an end in sight would fill the memory
MOST = 10_000


def line_numbers(said: str) -> tuple[frozenset[int], str]:
    """`2 4-6` → lines 2, 4, 5, 6; and what of it is no line."""
    found: set[int] = set()
    for part in re.split(r'[\s,]+', said.strip()) if said.strip() else ():
        ends = re.fullmatch(r'([0-9]{1,6})(?:-([0-9]{1,6}))?', part)
        first, last = (int(ends[1]), int(ends[2] or ends[1])) if ends else (0, 0)
        if not 0 < first <= last <= MOST:
            return frozenset(found), part
        found.update(range(first, last + 1))
    return frozenset(found), ''


def _address(shown: str, name: str) -> str:
    found = re.search(rf' {name}="([^"]*)"', shown)
    return html.unescape(found[1]) if found else ''


def _picture(shown: str) -> Picture:
    size = re.search(r' width="(\d+)" height="(\d+)"', shown)
    return Picture(_address(shown, 'src'), (int(size[1]), int(size[2])) if size else None)


class Writer(RendererHTML):
    """markdown-it's own writer, except where a page knows better."""

    def text(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        state: _State = env['state']
        proof: list[Token] = tokens[idx].meta.get('proof', [])
        return state.text(tokens[idx].content, state.proof(proof, options))

    def code_inline(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        state: _State = env['state']
        shown = state.page.code(state.note.restore(tokens[idx].content), '')
        if state.closing:
            # The words of a link lead where the author says, and nowhere else
            shown = re.sub(r'^<a [^>]*>(.*)</a>$', r'\1', shown)
        return state.aside(shown)

    def code_block(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        state: _State = env['state']
        return state.aside(state.page.code(state.note.restore(tokens[idx].content), UNSAID))

    def fence(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        state: _State = env['state']
        fence = Fence.of(state.note.restore(tokens[idx].info))
        text = state.note.restore(tokens[idx].content)
        shown = state.page.code(text, fence.language, fence.marked)
        title = element('file', fence.title) if fence.title else ''
        return state.aside(title + shown)

    def html_inline(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        state: _State = env['state']
        content = tokens[idx].content
        return state.markup(content) if is_html(content) else state.text(content)

    def html_block(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        shown = self.html_inline(tokens, idx, options, env)
        return f'{shown.rstrip()}\n' if is_html(tokens[idx].content) else f'<p>{shown}</p>\n'

    def link_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        state: _State = env['state']
        opening, closing = state.page.link(str(tokens[idx].attrs['href']), state.note, state.block)
        state.closing.append(closing)
        if tokens[idx + 1].type == 'link_close':
            # Without words it is called by the number of what it leads to
            opening += state.page.called(str(tokens[idx].attrs['href']))
        return state.aside(opening)

    def link_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        state: _State = env['state']
        return state.aside(state.closing.pop())

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        state: _State = env['state']
        alt = state.note.restore(self.renderInlineAsText(tokens[idx].children, options, env))
        shown = state.page.image(str(tokens[idx].attrs['src']), alt, state.note, state.block)
        return state.aside(shown)

    # Our own voice stands in blockquotes, and a departure from the paper says so in bold
    def blockquote_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        inner = next((t.content for t in tokens[idx:] if t.type == 'inline'), '')
        kind = 'departure' if inner.startswith('**Departure.**') else 'aside'
        return element('quotation', kind)

    def admonition_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        state: _State = env['state']
        meta = tokens[idx].meta
        kind, titled = meta['kind'], tokens[idx + 1].type == 'admonition_title_open'
        css = ' '.join(filter(None, ('admonition', dialect.colour(kind))))
        opening = element('admonition', css, meta['folded'])
        state.boxes.append('summary' if meta['folded'] else 'p')
        if not titled:
            said = state.page.say(dialect.TITLES.get(kind, kind.title()))
            opening += element('admonition_title', state.boxes[-1], said)
        return state.aside(opening)

    def admonition_title_open(self, tokens: Any, idx: int, options: Any, env: Any) -> str:
        state: _State = env['state']
        return state.aside(element('admonition_title_open', state.boxes[-1]))

    def admonition_title_close(self, tokens: Any, idx: int, options: Any, env: Any) -> str:
        state: _State = env['state']
        return state.aside(f'</{state.boxes[-1]}>\n')

    def admonition_close(self, tokens: Any, idx: int, options: Any, env: Any) -> str:
        state: _State = env['state']
        return state.aside('</details>\n' if state.boxes.pop() == 'summary' else '</div>\n')

    def list_item_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        state: _State = env['state']
        done = (tokens[idx].meta or {}).get('checked')
        if done is None:
            return self.renderToken(tokens, idx, options, env)
        said = state.page.say('Done' if done else 'To do')
        return f'<li>{state.aside(element("task", said, done))} '

    def footnote_ref(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        state: _State = env['state']
        label = tokens[idx].meta['label']
        found = state.page.footnote(label)
        if found is None:
            return state.text(f'[^{label}]')
        said = f'{state.page.say("Footnote")} {found.number}'
        n = state.page.count(found.anchor)
        here = found.reference(n) if n else ''
        return state.aside(element('footnote_reference', found.number, here, found.anchor, said))

    def footnotes_open(self, tokens: Any, idx: int, options: Any, env: Any) -> str:
        return env['state'].aside('<ol class="footnotes">\n')

    def footnotes_close(self, tokens: Any, idx: int, options: Any, env: Any) -> str:
        return env['state'].aside('</ol>\n')

    def footnote_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        state: _State = env['state']
        found = state.page.footnote(tokens[idx].meta['label'])
        # The second of a name has nobody who leads here
        first = found if found and state.page.count(f'{found.anchor}-text') == 1 else None
        state.footnotes.append(first)
        place = (first.anchor, first.number) if first else ()
        return state.aside(element('footnote', *place))

    def footnote_close(self, tokens: Any, idx: int, options: Any, env: Any) -> str:
        state: _State = env['state']
        found = state.footnotes.pop()
        back = state.page.say('Back to the text')
        ways = [found.reference(n) for n in range(1, found.uses + 1)] if found else []
        return state.aside(element('footnote_end', ways, back))

    def table_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return '<div class="scroll"><table>\n'

    def table_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return '</table></div>\n'

    def _figure(self, token: Token, options: Any, env: Any) -> str:
        """A picture, and below it its number and its title."""
        state: _State = env['state']
        picture = (token.children or [])[0]
        shown = self.renderInline([picture], options, env)
        # The formulas of a caption were taken out with those of the note
        note = replace(state.note, formulas=list(state.note.formulas))
        title = note.restore(str(picture.attrs.get('title', '')))
        caption = Token('inline', '', 0, children=inline(note, title))
        label = state.page.figure(token.meta['number'])
        words = state.aside(f'{label} {write_inline(note, caption, state.page)}')
        return shown + element('caption', Markup(words))

    def render(self, tokens: Sequence[Token], options: Any, env: Any) -> str:
        out = []
        for i, token in enumerate(tokens):
            if token.type == 'inline':
                env['state'].block = token
                if 'number' in token.meta:
                    out.append(self._figure(token, options, env))
                else:
                    out.append(self.renderInline(token.children or [], options, env))
            elif token.type in self.rules:
                out.append(self.rules[token.type](tokens, i, options, env))
            else:
                out.append(self.renderToken(tokens, i, options, env))
        return ''.join(out)


WRITER = Writer()


# ### The mark of an equation
#
# What proves a displayed equation is named behind it, and stands beside it as its number does: a
# line that begins with a mark would look as if the mark spoke of what follows. The signs around it
# go with the mark, as nothing ends a sentence that begins a line.
OPENED = re.compile(r'\s*([(（]?)\s*')
# The sign that ended the sentence of the equation
ENDED = re.compile(r'\s*[.,;:。，；：、]?\s*')


def _with_proofs(note: Note, tokens: Sequence[Token]) -> list[Token]:
    """The same tokens, with each mark that follows an equation taken into the equation."""
    out: list[Token] = []
    for token in tokens:
        if token.type == 'inline' and token.children and any(map(_is_mark, token.children)):
            token = token.copy(children=_with_own_proofs(note, token.children))
            above = _above(out)
            last = _equation_of(note, above.children or []) if above else None
            found = _mark(token.children or []) if last else None
            if above and last and found:
                mark, rest = found
                out[-3] = above.copy(
                    children=[*(above.children or [])[:-1], _with_proof(last, mark)]
                )
                token.children = rest
        out.append(token)
        if token.type == 'paragraph_close' and out[-2].type == 'inline' and not out[-2].children:
            # Nothing was in it but the mark
            del out[-3:]
    return out


def _is_mark(token: Token) -> bool:
    return token.type == 'link_open' and str(token.attrs['href']).startswith('test:')


def _above(out: Sequence[Token]) -> Token | None:
    """The paragraph directly above one that begins now."""
    kinds = [token.type for token in out[-3:]]
    return out[-3] if kinds == ['inline', 'paragraph_close', 'paragraph_open'] else None


def _equation_of(note: Note, children: Sequence[Token]) -> Token | None:
    """The last of some tokens, if it ends with a displayed equation."""
    last = children[-1] if children else None
    if not last or last.type != 'text':
        return None
    mark = re.search(f'{MARK.pattern}\\s*$', last.content)
    return last if mark and note.formulas[int(mark[1])].display else None


def _mark(children: Sequence[Token]) -> tuple[list[Token], list[Token]] | None:
    """A mark in front of some tokens, and the tokens without it and the signs around it."""
    words = next((i for i, c in enumerate(children) if c.type == 'link_open'), len(children))
    before = ''.join(' ' if c.type == 'softbreak' else c.content for c in children[:words])
    opened = OPENED.fullmatch(before)
    closing = next((i for i, c in enumerate(children) if c.type == 'link_close'), 0)
    if not opened or not closing or not _is_mark(children[words]):
        return None
    rest = list(children[closing + 1 :])
    said = rest[0].content if rest and rest[0].type == 'text' else ''
    if opened[1]:
        if said[:1] not in (')', '）'):
            return None
        said = said[1:]
    said = said[ENDED.match(said).end() :]  # type: ignore[union-attr]  # it matches nothing too
    if rest and rest[0].type == 'text':
        rest = [rest[0].copy(content=said), *rest[1:]] if said else rest[1:]
    if rest and rest[0].type == 'softbreak':
        rest = rest[1:]
    return list(children[words : closing + 1]), rest


def _with_proof(equation: Token, mark: list[Token]) -> Token:
    marks = [*equation.meta.get('proof', ()), *mark]
    return equation.copy(content=equation.content.rstrip(), meta={**equation.meta, 'proof': marks})


def _with_own_proofs(note: Note, children: Sequence[Token]) -> list[Token]:
    """The same within one paragraph, where words go on behind the mark."""
    out: list[Token] = []
    rest = list(children)
    while rest:
        last = _equation_of(note, out)
        found = _mark(rest) if last else None
        if last and found:
            out[-1] = _with_proof(last, found[0])
            rest = found[1]
        else:
            out.append(rest.pop(0))
    return out


def write(note: Note, tokens: Sequence[Token], page: Context) -> str:
    """The HTML of some of a note's tokens."""
    state = _State(note, page, marked=_has_html(tokens))
    shown = WRITER.render(_with_proofs(note, tokens), MARKDOWN.options, {'state': state})
    return state.finish(shown)


def write_inline(note: Note, token: Token, page: Context) -> str:
    """The HTML of the inside of one paragraph or heading."""
    state = _State(note, page, token, marked=_has_html([token]))
    inner = WRITER.renderInline(token.children or [], MARKDOWN.options, {'state': state})
    return state.finish(inner)


def _has_html(tokens: Sequence[Token]) -> bool:
    return any(
        t.type in ('html_inline', 'html_block') and is_html(t.content) for t, _ in walk(tokens)
    )
