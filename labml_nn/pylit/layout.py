r"""
# Layout: from a page to HTML

The [frame](frame.py) is around it; what is here is what stands in it. The HTML is meant to be read
by people who look at sources, by screen readers and by browsers without JavaScript: all content is
there, and the script only adds comfort.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from markdown_it.token import Token
from markupsafe import Markup, escape

from . import highlight, listing, markup, prose, references
from .claims import Claim, Coverage
from .directives import Marks
from .elements import element, fill
from .formulas import Formula, Result
from .links import Target
from .origin import Origin
from .outline import Link
from .page import Heading, Page, Row
from .parse import Line, Output, Section
from .problems import Problems
from .prose import Note

# Nothing is fetched from anywhere else. KaTeX places glyphs with style attributes.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'none'"
)
# The anchor of the list of what a page cites
REFERENCES = 'pylit-references'
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


# What stands under a living figure, and what when it fails
LIVING = ('Try it', 'This figure could not be started; the picture stands for it.')


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
    # Where code in a sentence leads that is a name of another project
    elsewhere: Mapping[str, str] = field(default_factory=dict)


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
    # What was cited, by the anchors of the list of references
    cited: dict[str, Target] = field(default_factory=dict)
    # Of the places that refer to a footnote
    counted: dict[str, int] = field(default_factory=dict)

    @property
    def page(self) -> Page:
        return self.material.page

    def formula(self, formula: prose.Formula) -> str:
        result = self.material.formulas.get(self.page.request(formula), UNSET)
        if result.error:
            source = element('code', formula.source)
            return markup.mistake(source, f'LaTeX: {result.error}')
        shown = result.html
        if 'color:' in shown:
            shown = re.sub(r'(?<=[" ;=])color:(\w+)', _colour, shown)
            shown = re.sub(r' mathcolor="[^"]*"', '', shown)
        if not self.links:
            # In the table of contents a screen reader hears the TeX instead of a second tree
            heard = element('unseen', formula.tex)
            shown = re.sub(
                r'<span class="katex-mathml">.*?</span>(?=<span class="katex-html")',
                lambda _: heard,
                shown,
            )
        if not formula.display:
            return shown
        return self._numbered(formula, self._referred(formula, shown))

    def _numbered(self, formula: prose.Formula, shown: str) -> str:
        """An equation, with its number at the right if it has a label."""
        anchors = [references.anchor_of(label) for label, _ in references.labels(formula.tex)]
        anchors = [a for a in anchors if a in self.page.numbered] if self.links else []
        if not anchors:
            return element('display', Markup(shown))
        first, *others = anchors
        if references.is_one(formula.tex):
            return element('numbered', Markup(shown), first, self.page.numbered[first].number)
        # KaTeX has set the numbers of rows
        return element('numbered_rows', Markup(shown), first, others)

    def _referred(self, formula: prose.Formula, shown: str) -> str:
        r"""The numbers that an equation refers to, where KaTeX has left room for them."""
        for i, (label, offset) in enumerate(references.referred(formula.tex)):
            target = self.material.links[Link(f'eqref:{label}')]
            if target.wrong:
                where, excerpt = self.page.spot(*formula.at(offset))
                self.material.problems.error(where, target.wrong, excerpt)
            number = str(escape(f'({target.number or "?"})'))
            # First for ears, then for eyes
            shown = shown.replace(
                f'<mtext>{references.UNKNOWN}</mtext>', f'<mtext>{number}</mtext>', 1
            )
            if place := re.search(rf'<a data-ref="{i}"([^>]*)>(.*?)</a>', shown):
                inner = place[2].replace(references.UNKNOWN, number)
                link = self._reference(target, place[1], inner)
                shown = shown[: place.start()] + link + shown[place.end() :]
        return shown

    def _reference(self, target: Target, more: str, shown: str) -> str:
        """A link to an equation from inside of another."""
        href = '' if target.wrong or not self.links else self._address(target)
        title = self.say(target.title) if target.title else ''
        return element('reference', Markup(shown), Markup(more), href, title)

    def code(self, text: str, language: str, marked: Collection[int] = ()) -> str:
        if language:
            if language == prose.UNSAID:
                language = highlight.language_of(text)
            shown = highlight.block(text, language, self.page.glossary.by_name, marked)
            aligned = language == 'text' and bool(highlight.COLUMNS.search(text))
            return element('block', Markup(shown), aligned)
        if text not in self.memo:
            symbol = self.page.glossary.by_name.get(text, '') if self.links else ''
            href, away = self._definition(text) if self.links else ('', False)
            self.memo[text] = element('inline', Markup(_inline(text)), symbol, href, away)
        return self.memo[text]

    def _definition(self, text: str) -> tuple[str, bool]:
        """`Class.method` in a note leads to the definition on this page, `torch.cat` to torch's.

        The address, if there is one, and whether it leads away.
        """
        module = self.page.module
        if module and text in module.defined:
            return f'#{self.page.places[text]}', False
        return self.material.elsewhere.get(text, ''), True

    # ### Links
    def link(self, href: str, note: Note, block: Token | None) -> tuple[str, str]:
        kind = markup.scheme(href)
        if not self.links:
            return '', ''
        if kind == 'test':
            return self._claim(href, note, block)
        if kind == 'colab':
            return self._colab(href, note, block)
        if kind == 'eqref':
            return self._equation(href, note, block)
        if kind == 'cite':
            return self._citation(href, note, block)
        if kind in ('http', 'https') or href.startswith('//'):
            return element('link', href, away=True), '</a>'
        if kind == 'mailto':
            return element('link', href), '</a>'
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
            return element('link', f'#{anchor}' if anchor else ''), '</a>'
        target = self.material.links[Link(href)]
        if not target.url:
            return self._wrong(note, block, href, target.wrong, href)
        if target.wrong:
            anchor = f'#{target.anchor}' if target.anchor else ''
            return self._wrong(note, block, href, target.wrong, self._to(target) + anchor)
        return element('link', self._address(target)), '</a>'

    def _equation(self, href: str, note: Note, block: Token | None) -> tuple[str, str]:
        target = self.material.links[Link(href)]
        if target.wrong:
            label = href.removeprefix('eqref:')
            opening, closing = self._wrong(note, block, f'{{{label}}}', target.wrong)
            return f'{opening}{escape(f"({label})")}', closing
        title = f'{self.say(target.title)} ' if target.title else ''
        link = element('link', self._address(target))
        return f'{link}{escape(f"{title}({target.number})")}', '</a>'

    def _citation(self, href: str, note: Note, block: Token | None) -> tuple[str, str]:
        target, key = self.material.links[Link(href)], href.removeprefix('cite:')
        if target.wrong:
            shown = f'@{key.removeprefix("@")}'
            opening, closing = self._wrong(note, block, shown, target.wrong)
            return f'{opening}{escape(shown)}', closing
        if not target.anchor:
            # Nobody has said that there is anything to cite from
            return str(escape(f'@{key.removeprefix("@")}')), ''
        self.cited[target.anchor] = target
        year = target.year and (f' ({target.year})' if key[0] == '@' else f', {target.year}')
        # Those who point at it are told what stands in the list, which is on the page already
        opening = element('citation', f'#{target.anchor}')
        return f'{opening}{escape(target.number + year)}', '</a>'

    def _address(self, target: Target) -> str:
        """Where a target is, seen from here."""
        anchor = f'#{target.anchor}' if target.anchor else ''
        return ('' if target.url == self.page.source.url else self._to(target)) + anchor

    def _wrong(
        self, note: Note, block: Token | None, href: str, message: str, address: str = ''
    ) -> tuple[str, str]:
        """What is wrong with a link, marked in its place. To a safe address it stays a link."""
        self._error(note, block, href, message)
        return element('wrong_link', message, address), '</a></span>' if address else '</span>'

    def _to(self, target: Target) -> str:
        if markup.scheme(target.url):
            return target.url
        # A page and its neighbours move together into the folder of a language; the source of a
        # test has no words to translate, and stands once
        language = self._language() if target.kind == 'page' else ''
        return relative(self.url, language + target.url)

    def _language(self) -> str:
        """The folder of the language of this page."""
        return self.url.removesuffix(self.page.source.url)

    def _claim(self, href: str, note: Note, block: Token | None) -> tuple[str, str]:
        claim, target = Claim.of(href), self.material.links[Link(href)]
        if not claim or target.wrong:
            return self._wrong(note, block, href, target.wrong)
        where = f'{self._to(target)}#{target.anchor}'
        kind = target.verdict.replace(' ', '-')
        return element('claim', where, kind), element('verdict', self.say(target.verdict))

    def _colab(self, href: str, note: Note, block: Token | None) -> tuple[str, str]:
        """The way to run a notebook; where there is none, nobody sees that it was looked for."""
        target = self.material.links[Link(href)]
        if target.wrong:
            return self._wrong(note, block, href, target.wrong)
        if not target.url:
            return '<span class="nowhere" hidden>', '</span>'
        return element('link', target.url, away=True), '</a>'

    # ### Images
    def image(self, src: str, alt: str, note: Note, block: Token | None) -> str:
        if not alt:
            self._error(note, block, src, 'an image without a description: ![what it shows](…)')
        if markup.scheme(src) in ('figure', 'live'):
            return self._figure(src, alt, note, block)
        if markup.scheme(src) not in ('', 'attachment') or src.startswith('//'):
            return self._no_image(note, block, src, alt, 'an image must be a file of the project')
        target = self.material.links[Link(src, picture=True)]
        if target.wrong:
            return self._no_image(note, block, src, alt, target.wrong)
        return self._shown(target, alt)

    def _figure(self, src: str, alt: str, note: Note, block: Token | None) -> str:
        target = self.material.links[Link(src, picture=True)]
        if target.wrong:
            return self._no_image(note, block, src, alt, target.wrong)
        shown = self._shown(target, alt)
        return self._living(target, shown) if target.script else shown

    def _shown(self, target: Target, alt: str) -> str:
        """A picture, or one by day and one by night."""
        if target.dark in ('', target.url):
            return self._picture(target, target.url, alt)
        day = self._picture(target, target.url, alt, 'by-day')
        return day + self._picture(target, target.dark, alt, 'by-night')

    def _living(self, target: Target, shown: str) -> str:
        """A picture with a script beside it, which is asked for when a reader touches it."""
        script = relative(self.url, target.script)
        style = relative(self.url, target.style) if target.style else ''
        return element('living', Markup(shown), script, style, *map(self.say, LIVING))

    def _picture(self, target: Target, url: str, alt: str, shown_by: str = '') -> str:
        if any(self.say(label) != label for label in target.labels):
            url = self._language() + url
        # Its room is kept for a picture that has not arrived: nothing moves when it does
        return element('picture', relative(self.url, url), alt, target.size, shown_by)

    def _no_image(self, note: Note, block: Token | None, src: str, alt: str, message: str) -> str:
        self._error(note, block, src, message)
        shown = str(escape(alt or src))
        # What a page may not fetch, a reader may
        if markup.scheme(src) in ('http', 'https') and self.links:
            shown = f'{self.link(src, note, block)[0]}{shown}</a>'
        return markup.mistake(shown, message)

    def output(self, output: Output) -> str:
        """A picture that a cell of a notebook has drawn."""
        target = self.material.links[Link(output.picture, picture=True)]
        alt = output.text or self.say('Output')
        if target.wrong:
            return markup.mistake(alt, target.wrong)
        return self._picture(target, target.url, alt)

    def figure(self, number: str) -> str:
        """How a figure is called in front of its caption."""
        return element('figure', self.say('Figure'), number)

    def called(self, href: str) -> str:
        """What a link without words is called, if it leads to something with a number."""
        if markup.scheme(href):
            return ''
        parts = urlsplit(href)
        anchor = unquote(parts.fragment)
        own = self.page.numbered.get(anchor)
        number = self.material.links[Link(href)].number if parts.path else own.number if own else ''
        if anchor.startswith('eq:'):
            return str(escape(f'({number})')) if number else ''
        return str(escape(f'{self.say("Figure")} {number}')) if number else ''

    def anchor(self, name: str) -> bool:
        """Whether an anchor that an author wrote stands here, and only here."""
        first = self.links and name in self.page.written and name not in self.given
        self.given.add(name)
        return first

    def footnote(self, label: str) -> prose.Footnote | None:
        return self.page.footnotes.get(label)

    def count(self, anchor: str) -> int:
        """How often this was asked, on this page; never in the table of contents."""
        self.counted[anchor] = self.counted.get(anchor, 0) + self.links
        return self.counted[anchor]

    def _error(self, note: Note, block: Token | None, text: str, message: str) -> None:
        where, excerpt = self.page.spot(*note.where(block, text))
        self.material.problems.error(where, message, excerpt)


# Where code that is longer than a line of a phone breaks best: in its text, not in a tag
SEAM = re.compile(r'<[^>]*>|([./])(?=\w)')
LONG = 24


def _inline(text: str) -> str:
    """The words of code in a sentence."""
    shown = highlight.inline(text)
    if len(text) > LONG:
        shown = SEAM.sub(lambda found: f'{found[0]}<wbr>' if found[1] else found[0], shown)
    return shown


def _colour(match: re.Match[str]) -> str:
    return f'color:var(--c-{COLOURS.get(match[1], "ink")})'


# ## Rows
def rows(context: PageContext) -> str:
    """The body of a page."""
    page = context.page
    titled = bool(page.headings) and page.headings[0].level == 1
    shown = [_row(context, row) for row in page.rows]
    marked = any('class="claim ' in row['note'] + row['code'] for row in shown)
    body = fill(
        'rows.html',
        say=context.say,
        title=None if titled else context.say(page.title),
        rows=shown,
        # In the order of the alphabet
        cited=sorted(context.cited.items(), key=lambda cited: cited[1].title.lower()),
        references=REFERENCES,
        script=relative(context.url, 'assets/proofs.js') if marked else '',
    )
    # Under the title, wherever that stands
    return body.replace('</h1>\n', f'</h1>\n{_named(context)}', 1)


def _row(context: PageContext, row: Row) -> dict[str, Any]:
    """A row of prose, of code, or of both."""
    page = context.page
    shown: dict[str, Any] = {'kind': row.kind, 'anchor': row.anchor, 'note': '', 'code': ''}
    if row.kind != 'code':
        note = page.notes[row.sections[0]]
        shown['note'] = Markup(_blocks(context, note))
        shown['mistakes'] = [_located(page, *mistake) for mistake in note.mistakes]
    if row.kind != 'prose':
        sections = [page.sections[i] for i in row.sections]
        shown['origin'] = _origin(context, [line for section in sections for line in section.code])
        shown['code'] = Markup(_code(context, sections, _other_names(page, row)))
    return shown


def _named(context: PageContext) -> str:
    """The way back from the source of a test to the pages that name it."""
    named = [
        (title, f'{relative(context.url, url)}#{anchor}')
        for title, url, anchor in context.material.named
    ]
    return fill('named.html', say=context.say, named=named) + '\n' if named else ''


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


def _located(page: Page, line: int, column: int, message: str) -> str:
    (_, line, column), _ = page.spot(line, column)
    return f'{line}:{column}: {message}'


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
    """The code of a row; `names` are anchors that stand before a line."""
    code = context.material.code
    lines = [line for section in sections for line in section.code]
    module = context.page.module
    return listing.write(
        sections,
        {line.number: _expanded(code[line.number - 1]) for line in lines},
        names,
        module.marks if module else Marks(),
        context.output,
        context.say,
        min((_indent(line.text) for line in lines if line.text.strip()), default=0),
    )


def _origin(context: PageContext, lines: list[Line]) -> str:
    """The way to these very lines in the project's repository, if it has one."""
    path = context.page.source.path
    if context.page.notebook:
        # A host shows a notebook by its cells
        return ''
    return context.material.origin.address(path, lines[0].number, lines[-1].number)


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


# ## Around the rows
def contents(context: PageContext) -> str:
    """The headings, and the definitions without one."""
    quiet = PageContext(context.material, context.url, context.say, links=False)
    entries: list[tuple[int, str, str, str]] = []
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
            entries.append((depth, heading.anchor, Markup(shown), ''))
        named = [(row.name, row.anchor)] if row.name and number not in by_row else []
        for name, anchor in [*named, *_others(context.page, row)]:
            short = name.rpartition('.')[2]
            # What is private is for those who read the code
            if not short.startswith('_'):
                level = min(depth, 2) + 1 + name.count('.')
                entries.append((level, anchor, '', short))
    if any(
        link.href.startswith('cite:') and t.anchor for link, t in context.material.links.items()
    ):
        entries.append((2, REFERENCES, context.say('References'), ''))
    items = [(min(level, 4), *entry) for level, *entry in entries]
    return fill('contents.html', entries=items)


def notation(context: PageContext, code_keys: set[str]) -> str:
    """A row of buttons, one for each symbol that this page uses: the keyboard's way to them."""
    page = context.page
    used = set().union(*(page.glossary.find(f.tex) for _, f in page.formulas()))
    symbols = []
    for key, symbol in page.glossary.symbols.items():
        if key in used and key in code_keys:
            request = Formula(symbol.tex[0], False, symbol.tex[0])
            shown = Markup(context.material.formulas.get(request, UNSET).html)
            names, meaning = symbol.names[:2], context.say(symbol.meaning)
            symbols.append({'key': key, 'shown': shown, 'names': names, 'meaning': meaning})
    return fill('notation.html', say=context.say, symbols=symbols) + '\n' if symbols else ''


def meanings(context: PageContext, body: str) -> dict[str, list[str | int]]:
    """What the symbols of a page mean: in words, their shape, and the line that defines them.

    Said once for all places where a symbol stands; the script shows it beside the pointer.
    """
    found: dict[str, list[str | int]] = {}
    symbols = context.page.glossary.symbols if 'data-sym="' in body else {}
    lines = context.page.given if symbols else {}
    for key, symbol in symbols.items():
        line = next((lines[name] for name in symbol.names if name in lines), 0)
        if (symbol.meaning or symbol.shape or line) and f'data-sym="{key}"' in body:
            found[key] = [context.say(symbol.meaning), symbol.shape, line]
    return found


def with_notation(body: str, shown: str) -> str:
    """The body of a page with its notation where the mathematics begins, or after what is said
    first."""
    title = body.index('</h1>\n') + len('</h1>\n')
    first = body.find('class="display')
    parts = ('<section', '<h2', '<h3')
    begins = max(body.rfind(tag, title, first) for tag in parts) if first >= 0 else -1
    if begins < 0:
        begins = min((at for tag in parts if (at := body.find(tag, title)) >= 0), default=title)
    above = re.findall(r'<h[2-6][^>]*>(.*?)</h', body[title:begins])
    label = re.search(r'<p>(.*?)</p>\n', shown)
    if above and label and above[-1] == label[1]:
        # The author has said it already
        shown = shown.replace(label[0], '', 1)
    return body[:begins] + shown + body[begins:]
