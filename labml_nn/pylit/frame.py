r"""
# Frame: what is around a page

The bar, the contents, the way to the pages before and after, and what a search engine is told.
All of it is the same on every page, seen from another place. One small template is filled here;
[layout](layout.py) has written what stands in its middle.
"""

from __future__ import annotations

import html
import json
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from textwrap import shorten
from typing import Any

from . import layout, proofs, prose
from .claims import Coverage
from .layout import Material, PageContext, encoded, relative
from .project import readable
from .translate import Catalog, message

# Where a host looks for what it shows instead of a page that does not exist
LOST = '404.html'


def source_script(url: str) -> str:
    """Where the text of a file is kept for those who copy it. A page of a folder may not fetch."""
    return f'{url.removesuffix(".html")}.source.js'


@dataclass(frozen=True)
class Entry:
    """A page in the lists of pages: its address in its own language, its title in the reader's."""

    url: str
    title: str
    # The title in English as translators see it; nothing if it is the name of a file
    heading: str


@dataclass
class Book:
    """What all pages of one language share."""

    # The title of the site, if the project has given one
    title: str
    entries: Sequence[Entry]
    # Every page there is, the sources of tests too
    urls: Collection[str]
    # The names of the languages besides English, by their codes
    languages: Mapping[str, str]
    catalog: Catalog | None = None
    site_url: str = ''
    listed: dict[tuple[str, str], list[tuple[str, str]]] = field(default_factory=dict)

    @property
    def language(self) -> str:
        return self.catalog.language if self.catalog else ''

    @cached_property
    def titles(self) -> dict[str, str]:
        return {entry.url: entry.title for entry in self.entries}

    def address(self, url: str) -> str:
        """Where the world finds a page, if the project has said where the site will stand."""
        base = self.site_url.rstrip('/')
        shown = re.sub(r'(^|(?<=/))index[.]html$', '', url)
        return f'{base}/{encoded(shown)}' if base else ''


class Frame:
    """Fills the template: what is the same on all pages, seen from one of them."""

    def __init__(self, book: Book, material: Material | None = None, base: str = ''):
        # A page for addresses that do not exist is shown at any depth, so that its own addresses
        # begin at `base` and not where it stands
        self.base = base
        self.book = book
        self.material = material
        self.source = material.page if material else None
        self.language = book.language
        self.catalog = book.catalog
        folder = f'{self.language}/' if self.language else ''
        alone = LOST if base else 'index.html'
        self.url = folder + (self.source.source.url if self.source else alone)
        self.folder = folder

    def say(self, text: str) -> str:
        return self.catalog.say(text) if self.catalog else text

    def write(self) -> str:
        values: dict[str, Any] = {
            'lang': self.language or 'en',
            'policy': layout.POLICY,
            'root': html.escape(self.base.rstrip('/') if self.base else relative(self.url, '.')),
            'search': self._to('search.js'),
            'home': self._to('index.html'),
            'site': html.escape(self._site_title()),
            'keys': f' data-strings="{html.escape(json.dumps(self._strings()))}"',
            'crumbs': self._crumbs(),
            'languages': self._languages(),
            'pages': self._pages(),
            'turn': self._turn(),
            'head': self._head(),
        }
        for key, text in TEXTS.items():
            values[f't_{key}'] = html.escape(self.say(text))
        return layout.fill(values | self._content())

    def _content(self) -> dict[str, str]:
        if self.source is None or self.material is None:
            title = html.escape(self._site_title())
            said = ''
            if self.base:
                title = html.escape(self.say('There is no such page'))
                said = f'<p>{html.escape(self.say("These are the pages of this site:"))}</p>\n'
            body = f'<h1>{title}</h1>\n<section class="row prose"><div class="note">{said}'
            return {'title': title, 'toc': '', 'body': f'{body}{self._pages()}</div></section>'}
        context = PageContext(self.material, self.url, self.say)
        if self.catalog:
            context.translate = self.catalog.translate
        code = ''.join(self.material.code)
        keys = {k for k in self.source.glossary.symbols if f'data-sym="{k}"' in code}
        title = self._title()
        if self._site_title() not in title:
            title = f'{title} · {self._site_title()}'
        body = layout.rows(context) + self._coverage(self.material.coverage)
        # The notation stands under the title
        notation = layout.notation(context, keys)
        body = self._origin() + body.replace('</h1>\n', f'</h1>\n{notation}', 1)
        return {
            'title': html.escape(title),
            'body': body,
            'toc': layout.contents(context),
        }

    def _title(self) -> str:
        assert self.source
        return self.book.titles.get(self.source.source.url) or self.source.title.replace('\\', '')

    def _site_title(self) -> str:
        if self.book.title:
            return self.say(self.book.title)
        return self.book.titles.get('index.html') or self.say('Contents')

    def _strings(self) -> dict[str, str]:
        return {key: self.say(text) for key, text in SCRIPT_TEXTS.items()}

    def _english(self, text: str) -> str:
        """What has no translation is not read aloud as if it had one."""
        unknown = self.catalog and text and text not in self.catalog.done
        return ' lang="en"' if unknown else ''

    def _to(self, url: str) -> str:
        return html.escape(self._root(self.folder + url))

    # ### For machines that read pages
    def _head(self) -> str:
        """What search engines and other sites are told; addresses only if we know our own."""
        lines = []
        about = self._about()
        if about:
            lines.append(f'<meta name="description" content="{html.escape(about)}">')
        if self.base:
            lines.append('<meta name="robots" content="noindex">')
        for language in self._spoken():
            url = self._in_language(language)
            url = self.book.address(url) or relative(self.url, url)
            lines.append(
                f'<link rel="alternate" hreflang="{language or "en"}" href="{html.escape(url)}">'
            )
        address = '' if self.base else self.book.address(self.url)
        if address:
            lines.append(f'<link rel="canonical" href="{html.escape(address)}">')
            lines += self._open_graph(address, about)
        return ''.join(f'{line}\n' for line in lines)

    def _spoken(self) -> tuple[str, ...]:
        """The languages that this page is to be had in."""
        test = self.source is not None and self.source.source.kind == 'test'
        return () if self.base or test or not self.book.languages else ('', *self.book.languages)

    def _in_language(self, language: str) -> str:
        folder = f'{language}/' if language else ''
        return folder + self.url.removeprefix(self.folder)

    def _open_graph(self, address: str, about: str) -> Iterator[str]:
        title = self._title() if self.source else self._site_title()
        said = {
            'og:type': 'article' if self.source else 'website',
            'og:title': title,
            'og:description': about,
            'og:url': address,
            'og:site_name': self._site_title(),
            'og:locale': self.language.replace('-', '_'),
        }
        for name, content in said.items():
            if content:
                yield f'<meta property="{name}" content="{html.escape(content)}">'

    def _about(self) -> str:
        """The author's summary, or the first paragraph that is words alone."""
        if self.source is None:
            return ''
        if 'summary' in self.source.front:
            return self.say(self.source.front['summary'])
        for note in self.source.notes:
            for above, token in pairwise(note.tokens):
                said = above.type == 'paragraph_open' and not prose.MARK.search(token.content)
                if said and above.level == 0:
                    words = (
                        self.catalog.words(message(note, token), within=note)
                        if self.catalog
                        else ''
                    )
                    return _shorten(words or prose.plain(note, token))
        return ''

    def _origin(self) -> str:
        """Which file this is, where it is kept, and a way to take all of it along."""
        assert self.source
        assert self.material
        place = self.source.source
        inside = html.escape(self.material.inside)
        address = self.material.origin.address(place.path)
        shown = f'<a href="{html.escape(address)}">{inside}</a>' if address else inside
        script = html.escape(self._root(source_script(place.url)))
        # As wide as what follows
        wide = ' wide' if self.source.headings and self._begins_with_code() else ''
        label = html.escape(self.say('Copy the whole file'))
        wrap = html.escape(self.say('Wrap long lines'))
        return (
            f'<p class="origin{wide}">{shown} <span><button type="button" class="wrap" hidden'
            f' aria-pressed="false">{wrap}</button> <button type="button" class="whole" hidden'
            f' data-source="{script}">{label}</button></span></p>\n'
        )

    def _begins_with_code(self) -> bool:
        assert self.source
        titled = self.source.headings[0].level == 1
        return titled and bool(self.source.rows) and self.source.rows[0].kind != 'prose'

    def _root(self, url: str) -> str:
        return self.base + encoded(url) if self.base else relative(self.url, url)

    def _crumbs(self) -> str:
        """The folders above this page, each a link where it has an index."""
        if self.source is None:
            return ''
        *folders, _ = self.source.source.url.split('/')
        out = []
        for i, folder in enumerate(folders):
            url = '/'.join([*folders[: i + 1], 'index.html'])
            name = html.escape(readable(folder))
            known = url in self.book.urls and url != self.source.source.url
            out.append(f'<a href="{self._to(url)}">{name}</a>' if known else f'<span>{name}</span>')
        if self.source.source.path.name != '__init__.py':
            out.append(f'<span>{html.escape(readable(self.source.source.path.name))}</span>')
        return '\n'.join(out)

    def _languages(self) -> str:
        links = []
        for language in self._spoken():
            address = relative(self.url, self._in_language(language))
            here = ' aria-current="true"' if language == self.language else ''
            name = self.book.languages[language] if language else 'English'
            code = language or 'en'
            links.append(
                f'<a href="{html.escape(address)}" hreflang="{code}" lang="{code}"{here}>{name}</a>'
            )
        if not links:
            return ''
        label = html.escape(self.say('Language'))
        return f'<nav class="languages" aria-label="{label}">{" ".join(links)}</nav>\n'

    def _pages(self) -> str:
        """All pages. The list is long and the same for all pages of a folder, but for one mark."""
        at = (self.base, posixpath.dirname(self.url))
        if at not in self.book.listed:
            self.book.listed[at] = [(e.url, self._item(e)) for e in self.book.entries]
        here = self.source.source.url if self.source else ''
        items = [
            item.replace('<a ', '<a aria-current="page" ', 1) if url == here else item
            for url, item in self.book.listed[at]
        ]
        return '<ol>\n{}\n</ol>'.format('\n'.join(items))

    def _item(self, entry: Entry) -> str:
        url = entry.url
        depth = url.removesuffix('index.html').strip('/').count('/') + (url != 'index.html')
        title = html.escape(entry.title)
        link = f'<a href="{self._to(url)}"{self._english(entry.heading)}>{title}</a>'
        return f'<li class="d{min(depth, 4)}">{link}</li>'

    def _turn(self) -> str:
        """The pages before and after this one."""
        shown = self.book.entries
        urls = [entry.url for entry in shown]
        if self.source is None or self.source.source.url not in urls:
            return ''
        at = urls.index(self.source.source.url)
        links = []
        for step, rel, text in ((-1, 'prev', 'Previous'), (1, 'next', 'Next')):
            if 0 <= at + step < len(shown):
                other = shown[at + step]
                title = html.escape(other.title)
                links.append(
                    f'<a rel="{rel}" href="{self._to(other.url)}">'
                    f'<small>{html.escape(self.say(text))}</small>'
                    f'<span{self._english(other.heading)}>{title}</span></a>'
                )
        label = html.escape(self.say('Pages before and after'))
        return f'<nav class="turn" aria-label="{label}">{"".join(links)}</nav>' if links else ''

    def _coverage(self, found: Coverage | None) -> str:
        """How much of the mathematics is tested, and what the tests have said."""
        if not found or not found.equations:
            return ''
        library = 'torch' if 'torch' in found.versions else 'Python'
        said = {
            'total': found.equations,
            'tested': found.tested,
            'passed': found.passed,
            'n': found.named,
            'k': found.named_passed,
            'day': found.when,
            'library': f'{library} {found.versions.get(library, "")}'.partition('+')[0].strip(),
        }
        counts = ['{total} displayed equations', '{tested} tested']
        if found.when:
            counts.append('{passed} passed')
        shown = ' · '.join(self._filled(text, said) for text in counts)
        run = 'No run of the tests with these sources is known; a mark leads to its test.'
        if found.when:
            run = (
                'in the run of {day} with {library}. Of {n} tests that the pages name, {k} passed; '
                'a mark opens its test.'
            )
        shown = f'<p class="coverage"><strong>{shown}</strong> {self._filled(run, said)}</p>'
        return f'<section class="row prose">{shown}</section>\n'

    def _filled(self, text: str, said: Mapping[str, object]) -> str:
        found = re.sub(r'\{(\w+)\}', lambda m: str(said.get(m[1], m[0])), self.say(text))
        return html.escape(found)


def _shorten(text: str) -> str:
    """A description for search engines. Chinese and Japanese have no spaces to break at."""
    short = shorten(text, 200, placeholder=' …')
    return short if len(short) > 100 or len(text) < 100 else f'{text[:199]}…'


# ## What the frame says, in the language of the sources
TEXTS = {
    'skip': 'Skip to the text',
    'where': 'Where this page stands',
    'search': 'Search',
    'theme': 'Light or dark',
    'help': 'Keys',
    'contents': 'On this page',
    'pages': 'All pages',
}
SCRIPT_TEXTS = {
    'copied': 'Copied',
    'uncopied': 'Could not be copied',
    'nothing': 'Nothing found',
    'code': 'Code',
    'formula': 'Formula',
    'table': 'Table',
    'keys': 'Single-letter keys',
    'key_j': 'next and previous part',
    'key_n': 'next and previous page',
    'key_s': 'search',
    'key_t': 'light or dark',
    'key_w': 'wrap long lines',
    'key_e': 'let go of a symbol, close',
    'close': 'Close',
}
OTHER_TEXTS = (
    'Link to this part', 'Copy', 'Notation', 'Contents', 'Language', 'Previous', 'Next',
    'Pages before and after', 'Source', 'Copy the whole file', 'Wrap long lines',
    'There is no such page', 'Named on', *proofs.TEXTS.values(),
    'These are the pages of this site:',
    '{total} displayed equations', '{tested} tested', '{passed} passed',
    'No run of the tests with these sources is known; a mark leads to its test.',
    'in the run of {day} with {library}. Of {n} tests that the pages name, {k} passed; '
    'a mark opens its test.',
)  # fmt: skip


def texts() -> list[str]:
    """Everything that can be translated besides the notes."""
    return [*dict.fromkeys((*TEXTS.values(), *SCRIPT_TEXTS.values(), *OTHER_TEXTS))]
