r"""
# Layout: from a page to HTML

One small template holds the frame; what is here is what stands in it. The HTML is meant to be read
by people who look at sources, by screen readers and by browsers without JavaScript: all content is
there, and the script only adds comfort.
"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from string import Template
from urllib.parse import quote, unquote, urlsplit

from markdown_it.token import Token

from . import highlight, markup, prose
from .claims import Claim, Coverage
from .formulas import Formula, Result
from .links import Target
from .origin import Origin
from .outline import Link
from .page import Heading, Page, Row
from .parse import Line, Section
from .problems import Problems
from .prose import Note

TEMPLATE = Template((Path(__file__).parent / 'templates' / 'page.html').read_text('utf-8'))
# Nothing is fetched from anywhere else. KaTeX places glyphs with style attributes.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'none'"
)
UNSET = Result(error='not set')
# The colours a formula may name. The style sheet gives each one value by day and one by night.
COLOURS = {
    **{c: c for c in ('red', 'orange', 'green', 'teal', 'blue', 'purple', 'pink', 'gray')},
    'grey': 'gray',
    'cyan': 'teal',
    'lightgreen': 'green',
    'lightblue': 'blue',
    'magenta': 'pink',
    'violet': 'purple',
    'brown': 'orange',
    'black': 'ink',
}


@dataclass
class Material:
    """A page and what else it is made from: data, and nothing that would have to be asked."""

    page: Page
    # The HTML of each line of the file
    code: list[str]
    links: Mapping[Link, Target]
    formulas: Mapping[Formula, Result]
    origin: Origin
    # How the file is called on the pages
    inside: str = ''
    problems: Problems = field(default_factory=Problems)
    # What the front page counts
    coverage: Coverage | None = None
    # Of the source of tests: titles, addresses and anchors of the pages that name them
    named: Sequence[tuple[str, str, str]] = ()


def relative(source: str, target: str) -> str:
    """An address that holds on any host, in any folder, and from a file."""
    return _from(posixpath.dirname(source) or '.', target)


@lru_cache(maxsize=1 << 16)
def _from(folder: str, target: str) -> str:
    # Every page of every folder is asked for: `relpath` looks at the working folder each time
    here, there = _parts(folder), _parts(target)
    same = len(posixpath.commonprefix([here, there]))
    return encoded('/'.join(['..'] * (len(here) - same) + there[same:]) or '.')


@lru_cache(maxsize=1 << 16)
def _parts(path: str) -> list[str]:
    return [part for part in posixpath.normpath(path).split('/') if part != '.']


def encoded(path: str) -> str:
    """A path as an address: `#`, `?`, `%` and blanks in the name of a file would end it."""
    return quote(path, errors='surrogateescape')


# ## A page being written
@dataclass
class PageContext:
    """The notes' view of the page around them: answers what `prose.Writer` asks."""

    material: Material
    url: str
    say: Callable[[str], str] = str
    # Inside a heading of the table of contents there can be no links
    links: bool = True
    translate: Callable[[Note, Token], str] | None = None
    formulas: int = 0
    memo: dict[str, str] = field(default_factory=dict)
    # Anchors of an author that stand already
    given: set[str] = field(default_factory=set)

    @property
    def page(self) -> Page:
        return self.material.page

    def formula(self, formula: prose.Formula) -> str:
        result = self.material.formulas.get(self.page.request(formula), UNSET)
        if result.error:
            source = f'<code>{html.escape(formula.source)}</code>'
            return markup.mistake(source, f'LaTeX: {result.error}')
        shown = result.html
        if 'color:' in shown:
            shown = re.sub(r'(?<=[" ;])color:(\w+)', _colour, shown)
            shown = re.sub(r' mathcolor="[^"]*"', '', shown)
        if not self.links:
            # In the table of contents a screen reader hears the TeX instead of a second tree
            shown = re.sub(
                r'<span class="katex-mathml">.*?</span>(?=<span class="katex-html")',
                f'<span class="unseen">{html.escape(formula.tex)}</span>'.replace('\\', r'\\'),
                shown,
            )
        if formula.display:
            return f'<span class="display">{shown}</span>'
        return shown

    def code(self, text: str, language: str) -> str:
        if language:
            return f'<pre class="block"><code>{highlight.block(text, language)}</code></pre>\n'
        if text not in self.memo:
            target = self._definition(text) if self.links else ''
            shown = f'<code>{highlight.inline(text)}</code>'
            self.memo[text] = f'<a href="{target}">{shown}</a>' if target else shown
        return self.memo[text]

    def _definition(self, text: str) -> str:
        """`Class.method` in a note leads to the definition if it is on this page."""
        module = self.page.module
        if module and text in module.defined:
            return f'#{html.escape(self.page.places[text])}'
        return ''

    # ### Links
    def link(self, href: str, note: Note, block: Token | None) -> tuple[str, str]:
        kind = markup.scheme(href)
        if not self.links:
            return '', ''
        if kind == 'test':
            return self._claim(href, note, block)
        if kind in ('http', 'https') or href.startswith('//'):
            return f'<a href="{html.escape(href)}" rel="noopener noreferrer">', '</a>'
        if kind == 'mailto':
            return f'<a href="{html.escape(href)}">', '</a>'
        if kind:
            return self._wrong(note, block, href, f'a link may not begin with {kind}:')
        return self._inside(href, note, block)

    def _inside(self, href: str, note: Note, block: Token | None) -> tuple[str, str]:
        parts = urlsplit(href)
        path, anchor = unquote(parts.path, errors='surrogateescape'), unquote(parts.fragment)
        if not path:
            # Within the page that is being written
            if anchor and not self.page.has(anchor):
                wrong = f'dead link: {self.page.source.shown} has no #{anchor}'
                return self._wrong(note, block, href, wrong, f'#{anchor}')
            return f'<a href="{html.escape(f"#{anchor}" if anchor else "")}">', '</a>'
        target = self.material.links[Link(href)]
        if not target.url:
            return self._wrong(note, block, href, target.wrong, href)
        anchor = f'#{target.anchor}' if target.anchor else ''
        if target.wrong:
            return self._wrong(note, block, href, target.wrong, self._to(target) + anchor)
        here = target.url == self.page.source.url
        address = ('' if here else self._to(target)) + anchor
        return f'<a href="{html.escape(address)}">', '</a>'

    def _wrong(
        self, note: Note, block: Token | None, href: str, message: str, address: str = ''
    ) -> tuple[str, str]:
        """What is wrong with a link, marked in its place. To a safe address it stays a link."""
        self._error(note, block, href, message)
        said = html.escape(message)
        opening, closing = '', ''
        if address:
            opening, closing = f'<a href="{html.escape(address)}">', '</a>'
        return f'<span class="mistake" title="{said}">{opening}', f'{closing}</span>'

    def _to(self, target: Target) -> str:
        if markup.scheme(target.url):
            return target.url
        # A page and its neighbours move together into the folder of a language; the source of a
        # test has no words to translate, and stands once
        language = self.url.removesuffix(self.page.source.url) if target.kind == 'page' else ''
        return relative(self.url, language + target.url)

    def _claim(self, href: str, note: Note, block: Token | None) -> tuple[str, str]:
        claim, target = Claim.of(href), self.material.links[Link(href)]
        if not claim or target.wrong:
            return self._wrong(note, block, href, target.wrong)
        where = f'{self._to(target)}#{target.anchor}'
        kind = target.verdict.replace(' ', '-')
        return (
            f'<a class="claim {kind}" href="{html.escape(where)}">',
            f'<span class="state">{html.escape(self.say(target.verdict))}</span></a>',
        )

    # ### Images
    def image(self, src: str, alt: str, note: Note, block: Token | None) -> str:
        if not alt:
            self._error(note, block, src, 'an image without a description: ![what it shows](…)')
        if markup.scheme(src) == 'figure':
            return self._figure(src, alt, note, block)
        if markup.scheme(src) or src.startswith('//'):
            return self._no_image(note, block, src, alt, 'an image must be a file of the project')
        target = self.material.links[Link(src, picture=True)]
        if target.wrong:
            return self._no_image(note, block, src, alt, target.wrong)
        return self._picture(target.url, alt)

    def _figure(self, src: str, alt: str, note: Note, block: Token | None) -> str:
        target = self.material.links[Link(src, picture=True)]
        if target.wrong:
            return self._no_image(note, block, src, alt, target.wrong)
        day = self._picture(target.url, alt, ' class="by-day"')
        return day + self._picture(target.dark, alt, ' class="by-night"')

    def _picture(self, url: str, alt: str, more: str = '') -> str:
        address = html.escape(relative(self.url, url))
        return f'<img{more} src="{address}" alt="{html.escape(alt)}" loading="lazy">'

    def _no_image(self, note: Note, block: Token | None, src: str, alt: str, message: str) -> str:
        self._error(note, block, src, message)
        shown = html.escape(alt or src)
        # What a page may not fetch, a reader may
        if markup.scheme(src) in ('http', 'https') and self.links:
            shown = f'{self.link(src, note, block)[0]}{shown}</a>'
        return markup.mistake(shown, message)

    def anchor(self, name: str) -> bool:
        """Whether an anchor that an author wrote stands here, and only here."""
        first = self.links and name in self.page.written and name not in self.given
        self.given.add(name)
        return first

    def _error(self, note: Note, block: Token | None, text: str, message: str) -> None:
        where, excerpt = self.page.spot(*note.where(block, text))
        self.material.problems.error(where, message, excerpt)


def _colour(match: re.Match[str]) -> str:
    return f'color:var(--c-{COLOURS.get(match[1], "ink")})'


# ## Rows
def rows(context: PageContext) -> str:
    """The body of a page."""
    page = context.page
    out = []
    if not page.headings or page.headings[0].level != 1:
        out.append(f'<h1>{html.escape(context.say(page.title))}</h1>\n')
    for row in page.rows:
        sections = [page.sections[i] for i in row.sections]
        note = _note(context, page.notes[row.sections[0]], row) if row.kind != 'code' else ''
        others = _other_names(page, row)
        shown = _code(context, sections, others) if row.kind != 'prose' else ''
        out.append(f'<section class="row {row.kind}" id="{html.escape(row.anchor)}">')
        out.append(f'{note}{shown}</section>\n')
    # Under the title, wherever that stands
    body = ''.join(out).replace('</h1>\n', f'</h1>\n{_named(context)}', 1)
    if 'class="claim ' in body:
        script = relative(context.url, 'assets/proofs.js')
        body += f'<script defer src="{script}"></script>\n'
    return body


def _named(context: PageContext) -> str:
    """The way back from the source of a test to the pages that name it."""
    links = ', '.join(
        f'<a href="{html.escape(relative(context.url, url))}#{html.escape(anchor)}">'
        f'{html.escape(title)}</a>'
        for title, url, anchor in context.material.named
    )
    label = html.escape(context.say('Named on'))
    return f'<p class="named">{label} {links}</p>\n' if links else ''


def _other_names(page: Page, row: Row) -> dict[int, str]:
    """A row may define more than it is named after; those names have addresses too, by line."""
    if not page.module or row.kind == 'prose':
        return {}
    found: dict[int, str] = {}
    for number in (line.number for i in row.sections for line in page.sections[i].code):
        definition = page.module.by_line.get(number)
        if definition and page.module.by_name[definition.name][0] is definition:
            anchor = page.places[definition.name]
            if anchor not in page.shown_anchors:
                found[number] = anchor
    return found


def _others(page: Page, row: Row) -> list[tuple[str, str]]:
    by_line = page.module.by_line if page.module else {}
    return [(by_line[line].name, anchor) for line, anchor in _other_names(page, row).items()]


def _note(context: PageContext, note: Note, row: Row) -> str:
    label = html.escape(context.say('Link to this part'))
    link = f'<a class="here" href="#{html.escape(row.anchor)}" aria-label="{label}"></a>'
    shown = _blocks(context, note) + ''.join(
        f'<p>{markup.mistake("", f"{line}:{column}: {message}")}</p>\n'
        for line, column, message in note.mistakes
    )
    return f'<div class="note"><div class="stick">{link}\n{shown}</div></div>\n'


def _blocks(context: PageContext, note: Note) -> str:
    if context.translate is None:
        return prose.write(note, note.tokens, context)
    return _translated(context, note)


def _translated(context: PageContext, note: Note) -> str:
    """Each paragraph in its language; what has no translation says so and stays English."""
    assert context.translate
    tokens = []
    note = replace(note, formulas=list(note.formulas))
    for token in note.tokens:
        if token.type != 'inline':
            tokens.append(token)
            continue
        token = token.copy()
        state = context.translate(note, token)
        if state and tokens:
            opening = tokens[-1].copy(attrs={**tokens[-1].attrs, 'lang': 'en', 'class': state})
            tokens[-1] = opening
        tokens.append(token)
    return prose.write(note, tokens, context)


def _code(context: PageContext, sections: list[Section], names: dict[int, str]) -> str:
    code = context.material.code
    lines = [line for section in sections for line in section.code]
    indent = min((_indent(x.text) for x in lines if x.text.strip()), default=0)
    shown = ''.join(
        (f'<span id="{html.escape(names[x.number])}"></span>' if x.number in names else '')
        + f'<span class="l" id="L{x.number}"{_counted(lines, i)}>'
        f'{_dedent(_expanded(code[x.number - 1]), indent)}</span>\n'
        for i, x in enumerate(lines)
    )
    copy = html.escape(context.say('Copy'))
    return (
        f'<div class="code"><div class="stick"><p class="acts">{_origin(context, lines)}'
        f'<button type="button" class="copy" hidden>{copy}</button></p>'
        f'<pre><code>{shown}</code></pre></div></div>\n'
    )


def _origin(context: PageContext, lines: list[Line]) -> str:
    """The way to these very lines in the project's repository, if it has one."""
    path = context.page.source.path
    address = context.material.origin.address(path, lines[0].number, lines[-1].number)
    if not address:
        return ''
    return f'<a href="{html.escape(address)}">{html.escape(context.say("Source"))}</a>'


def _counted(lines: list[Line], i: int) -> str:
    # The numbers are counted by the style sheet, so that they are not copied with the code;
    # where a docstring was taken out, the count jumps
    number = lines[i].number
    if i and lines[i - 1].number == number - 1:
        return ''
    return f' style="counter-reset:n {number - 1}"'


# A tag, which has no width; a character that has to be escaped; or any other
PIECE = re.compile(r'<[^>]*>|&[^;]*;|[^<&\t]+|\t')


def _expanded(line: str) -> str:
    """Tabs end where they end in the source: the marks between them take no room."""
    if '\t' not in line:
        return line
    out, column = [], 0
    for piece in PIECE.findall(line):
        if piece == '\t':
            piece = ' ' * (8 - column % 8)
        out.append(piece)
        column += 0 if piece[0] == '<' else 1 if piece[0] == '&' else len(piece)
    return ''.join(out)


def _indent(text: str) -> int:
    text = text.expandtabs()
    return len(text) - len(text.lstrip(' '))


def _dedent(line: str, indent: int) -> str:
    """Mark the indentation that all lines share: a phone does not show it."""
    found = re.match(rf'(<span class="\w+">)?( {{{indent}}})', line) if indent else None
    if not found:
        return line
    return f'<span class="in">{found[2]}</span>{found[1] or ""}{line[found.end() :]}'


# ## Around the rows
def contents(context: PageContext) -> str:
    """The headings, and the definitions without one."""
    quiet = PageContext(context.material, context.url, context.say, links=False)
    entries = []
    by_row: dict[int, list[Heading]] = {}
    for heading in context.page.headings:
        by_row.setdefault(heading.row, []).append(heading)
    depth = 1
    for number, row in enumerate(context.page.rows):
        for heading in by_row.get(number, []):
            depth = heading.level
            token, note = heading.token.copy(), heading.note
            if context.translate:
                note = replace(note, formulas=list(note.formulas))
                context.translate(note, token)
            shown = prose.write_inline(note, token, quiet)
            entries.append((depth, heading.anchor, shown))
        named = [(row.name, row.anchor)] if row.name and number not in by_row else []
        for name, anchor in [*named, *_others(context.page, row)]:
            short = name.rpartition('.')[2]
            # What is private is for those who read the code
            if not short.startswith('_'):
                level = min(depth, 2) + 1 + name.count('.')
                entries.append((level, anchor, f'<code>{html.escape(short)}</code>'))
    items = ''.join(
        f'<li class="d{min(level, 4)}"><a href="#{html.escape(anchor)}">{shown}</a></li>\n'
        for level, anchor, shown in entries
    )
    return f'<ol>\n{items}</ol>' if items else '<p></p>'


def notation(context: PageContext, code_keys: set[str]) -> str:
    """A row of buttons, one for each symbol that this page uses: the keyboard's way to them."""
    page = context.page
    used = set().union(*(page.glossary.find(f.tex) for _, f in page.formulas()))
    buttons = []
    for key, symbol in page.glossary.symbols.items():
        if key in used and key in code_keys:
            request = Formula(symbol.tex[0], False, symbol.tex[0])
            shown = context.material.formulas.get(request, UNSET).html
            names = ', '.join(f'<code>{html.escape(name)}</code>' for name in symbol.names[:2])
            meaning = html.escape(context.say(symbol.meaning))
            meaning = f'<span>{meaning}</span>' if meaning else ''
            buttons.append(
                f'<button type="button" aria-pressed="false" data-sym="{key}" disabled>'
                f'{shown}<span class="names">{names}</span>{meaning}</button>'
            )
    if not buttons:
        return ''
    label = html.escape(context.say('Notation'))
    inner = '\n'.join(buttons)
    return (
        f'<div class="notation" role="group" aria-label="{label}"><p>{label}</p>\n{inner}\n</div>\n'
    )


def fill(values: Mapping[str, str]) -> str:
    return TEMPLATE.substitute(values)
