r"""
# Frame: what is around a page

The bar, the contents, the way to the pages before and after, and what a search engine is told.
All of it is the same on every page, seen from another place. What is here is data. The HTML is in
`templates`, where Jinja escapes all that is put in but what [layout](layout.py) has written.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from textwrap import shorten
from typing import Any

from markupsafe import Markup

from . import layout, listing, proofs, prose, search
from .elements import fill
from .layout import Material, PageContext, encoded, relative
from .links import Target
from .order import HOME, Branch, Order
from .outline import Link
from .project import readable
from .translate import Catalog, message

# Where a host looks for what it shows instead of a page that does not exist
LOST = '404.html'
# The way up from there
ABOVE = ('this folder', 'the folder above', 'two folders above', 'three folders above')


def _data(said: Any) -> Markup:
    """The value of an attribute that a script reads, with as few signs as it can have."""
    text = json.dumps(said, ensure_ascii=False, separators=(',', ':'))
    text = text.replace('&', '&amp;').replace("'", '&#39;').replace('<', '&lt;')
    return Markup(f"'{text}'")


def picture(links: Mapping[Link, Target]) -> str:
    """A picture that stands for a page on other sites, which seldom show drawings."""
    shown = (target.url for link, target in links.items() if link.picture and not target.wrong)
    return next((url for url in shown if url.endswith(('.png', '.jpg', '.jpeg'))), '')


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
    order: Order
    # Every page there is, the sources of tests too
    urls: Collection[str]
    # The names of the languages besides English, by their codes
    languages: Mapping[str, str]
    catalog: Catalog | None = None
    site_url: str = ''
    # Stands elsewhere for pages that show no picture themselves
    picture: str = ''
    # What the author adds: where the style sheets stand, and the logo
    css: Sequence[str] = ()
    logo: str = ''

    @property
    def language(self) -> str:
        return self.catalog.language if self.catalog else ''

    @cached_property
    def by_url(self) -> dict[str, Entry]:
        return {entry.url: entry for entry in self.entries}

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
        alone = LOST if base else HOME
        self.url = folder + (self.source.source.url if self.source else alone)
        self.folder = folder

    def say(self, text: str) -> str:
        return self.catalog.say(text) if self.catalog else text

    def write(self) -> str:
        """The whole page."""
        values: dict[str, Any] = {
            'say': self.say,
            'lang': self.language or 'en',
            'policy': Markup(layout.POLICY),
            **(self._lost() if self.base else {}),
            'root': self.base.rstrip('/') if self.base else relative(self.url, '.'),
            'search': self._to(search.TEXT),
            'home': self._to(HOME),
            'site': self._site_title(),
            'strings': _data({key: self.say(text) for key, text in SCRIPT_TEXTS.items()}),
            'lost': bool(self.base),
            'cover': self.url == self.folder + HOME,
            'logo': self._root(self.book.logo) if self.book.logo else '',
            'css': [self._root(url) for url in self.book.css],
            'languages': self._languages(),
            'tree': self._tree(),
            'steps': len(self.book.order.steps),
            'step': self.book.order.steps.get(self.source.source.url, 0) if self.source else 0,
        }
        return fill('page.html', **values, **self._head(), **self._content()) + '\n'

    def _lost(self) -> dict[str, Any]:
        """What a page needs that is shown where it may find none of our files."""
        style = fill('lost.css').rstrip()
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        depth = max((url.count('/') for url in self.book.urls), default=0)
        return {
            'policy': Markup(f"{layout.POLICY}; style-src-elem 'self' 'sha256-{digest}'"),
            'astray': Markup(style),
            # One more than there are folders: nobody knows how deep a wrong address is
            'above': ABOVE[: depth + 2],
        }

    def _content(self) -> dict[str, Any]:
        """What only pages with a source have, or what stands in their place."""
        if self.source is None or self.material is None:
            title = self.say('There is no such page') if self.base else self._site_title()
            return {
                'title': title, 'heading': title, 'contents': '', 'rows': '', 'symbols': '',
                'crumbs': [], 'turn': [],
            }  # fmt: skip
        context = PageContext(self.material, self.url, self.say)
        if self.catalog:
            context.translate = self.catalog.translate
        code = ''.join(self.material.code)
        keys = {k for k in self.source.glossary.symbols if f'data-sym="{k}"' in code}
        title = self._title()
        if self._site_title() not in title:
            title = f'{title} · {self._site_title()}'
        # The notation stands where the mathematics begins, the count above the first part
        rows = layout.with_notation(layout.rows(context), layout.notation(context, keys))
        rows = _before('<h2', self._coverage(), rows)
        meanings = layout.meanings(context, rows)
        place = self.source.source
        return {
            'title': title,
            'rows': Markup(rows),
            'symbols': _data(meanings) if meanings else '',
            'contents': Markup(layout.contents(context)),
            'crumbs': list(self._crumbs()),
            'turn': list(self._turn()),
            'file': self.material.inside,
            'kept': self.material.origin.address(place.path),
            'script': self._root(source_script(place.url)),
            # The line above the page is as wide as what follows it
            'wide': bool(self.source.headings) and self._begins_with_code(),
        }

    def _coverage(self) -> str:
        """What the front page counts: the mathematics, how much is tested, what the tests said."""
        assert self.material
        found = self.material.coverage
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
        run = 'No run of the tests with these sources is known; a mark leads to its test.'
        if found.when:
            run = (
                'in the run of {day} with {library}. Of {n} tests that the pages name, {k} passed; '
                'a mark opens its test.'
            )
        shown = ' · '.join(self._filled(text, said) for text in counts)
        return fill('coverage.html', counts=shown, run=self._filled(run, said))

    def _filled(self, text: str, said: Mapping[str, object]) -> str:
        return re.sub(r'\{(\w+)\}', lambda m: str(said.get(m[1], m[0])), self.say(text))

    def _title(self) -> str:
        assert self.source
        known = self.book.by_url.get(self.source.source.url)
        return known.title if known else self.source.title

    def _site_title(self) -> str:
        if self.book.title:
            return self.say(self.book.title)
        if len(self.book.by_url) == 1:
            return next(iter(self.book.by_url.values())).title
        home = self.book.by_url.get(HOME)
        return home.title if home else self.say('Contents')

    def _foreign(self, text: str) -> bool:
        """What has no translation is not read aloud as if it had one."""
        return bool(self.catalog and text and text not in self.catalog.done)

    def _to(self, url: str) -> str:
        return self._root(self.folder + url)

    def _root(self, url: str) -> str:
        return self.base + encoded(url) if self.base else relative(self.url, url)

    # ### For machines that read pages
    def _head(self) -> dict[str, Any]:
        about = self._about()
        address = '' if self.base else self.book.address(self.url)
        return {
            'about': about,
            'address': address,
            'alternates': list(self._alternates()),
            'graph': self._open_graph(address, about) if address else {},
        }

    def _spoken(self) -> tuple[str, ...]:
        """The languages that this page is to be had in."""
        test = self.source is not None and self.source.source.kind == 'test'
        return () if self.base or test or not self.book.languages else ('', *self.book.languages)

    def _in_language(self, language: str) -> str:
        folder = f'{language}/' if language else ''
        return folder + self.url.removeprefix(self.folder)

    def _alternates(self) -> Iterator[dict[str, str]]:
        for language in self._spoken():
            url = self._in_language(language)
            address = self.book.address(url) or relative(self.url, url)
            yield {'code': language or 'en', 'address': address}

    def _open_graph(self, address: str, about: str) -> dict[str, str]:
        return {
            'type': 'website' if self.url == self.folder + HOME else 'article',
            'title': self._title() if self.source else self._site_title(),
            'description': about,
            'url': address,
            'image': self._picture(),
            'site_name': self._site_title(),
            'locale': self.language.replace('-', '_'),
        }

    def _picture(self) -> str:
        own = picture(self.material.links) if self.material else ''
        return self.book.address(own or self.book.picture) if own or self.book.picture else ''

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

    # ### Ways to other pages
    def _begins_with_code(self) -> bool:
        assert self.source
        titled = self.source.headings[0].level == 1
        return titled and bool(self.source.rows) and self.source.rows[0].kind != 'prose'

    def _crumbs(self) -> Iterator[tuple[str, str]]:
        """The folders above this page, each with an address where it has an index."""
        assert self.source
        *folders, _ = self.source.source.url.split('/')
        for i, folder in enumerate(folders):
            url = '/'.join([*folders[: i + 1], 'index.html'])
            known = url in self.book.urls and url != self.source.source.url
            yield readable(folder), self._to(url) if known else ''
        if self.source.source.path.name != '__init__.py':
            yield readable(self.source.source.path.name), ''

    def _languages(self) -> list[dict[str, str]]:
        return [
            {
                'code': language or 'en',
                'name': self.book.languages[language] if language else 'English',
                'to': relative(self.url, self._in_language(language)),
            }
            for language in self._spoken()
        ]

    def _tree(self) -> list[dict[str, Any]]:
        """All pages. Those of another branch than ours are where its first page leads."""
        here = self.source.source.url if self.source else ''
        return [self._branch(branch, here) for branch in self.book.order.tree]

    def _branch(self, branch: Branch, here: str) -> dict[str, Any]:
        shown = self._entry(branch.url or next(branch.pages()))
        if branch.title and not branch.url:
            shown |= {'title': self.say(branch.title), 'foreign': self._foreign(branch.title)}
            shown |= {'number': 0, 'part': True}
        # The front page has all of it, as has the page for those who are lost
        whole = here in ('', HOME)
        if whole or here in branch.pages():
            shown['inner'] = [self._branch(inner, here) for inner in branch.inner]
        path = self.book.order.path
        return shown | {
            'here': bool(here) and here == branch.url,
            'folded': whole and bool(path) and next(branch.pages()) not in path,
        }

    def _entry(self, url: str) -> dict[str, Any]:
        entry = self.book.by_url[url]
        return {
            'to': self._to(url),
            'title': entry.title,
            'foreign': self._foreign(entry.heading),
            'number': self.book.order.steps.get(url, 0),
            'part': False,
            'inner': [],
        }

    def _turn(self) -> Iterator[dict[str, Any]]:
        """The pages before and after this one."""
        assert self.source
        url = self.source.source.url
        line = self.book.order.line(url)
        if url not in line:
            return
        at = line.index(url)
        for step, rel in ((-1, 'prev'), (1, 'next')):
            if 0 <= at + step < len(line):
                yield self._entry(line[at + step]) | {'rel': rel}


def _before(mark: str, text: str, page: str) -> str:
    """Put a text before the first mark of a page, or at its end."""
    begin, found, rest = page.partition(mark)
    return begin + text + found + rest


def _shorten(text: str) -> str:
    """A description for search engines. Chinese and Japanese have no spaces to break at."""
    short = shorten(text, 200, placeholder=' …')
    return short if len(short) > 100 or len(text) < 100 else f'{text[:199]}…'


# ## What the frame says, in the language of the sources
#
# The templates say it by `say('…')`; a test sees to it that all of that is here.
SCRIPT_TEXTS = {
    'copy': 'Copy',
    'copied': 'Copied',
    'uncopied': 'Could not be copied',
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
    'Skip to the text', 'Where this page stands', 'Search', 'Light or dark', 'Keys',
    'On this page', 'All pages', 'The reading path', '{n} of {total}',
    'Link to this part', 'References', 'Figure', 'Notation', 'Contents',
    'Language', 'Previous', 'Next', 'Pages before and after', 'Source', 'Copy the whole file',
    'Wrap long lines',
    'There is no such page',
    *layout.LIVING,
    'Named on', *proofs.TEXTS.values(),
    'These are the pages of this site:',
    'Perhaps what you look for has moved. This leads to the first page of', *ABOVE,
    '{total} displayed equations', '{tested} tested', '{passed} passed',
    'No run of the tests with these sources is known; a mark leads to its test.',
    'in the run of {day} with {library}. Of {n} tests that the pages name, {k} passed; '
    'a mark opens its test.',
)  # fmt: skip


def texts() -> list[str]:
    """Everything that can be translated besides the notes."""
    said = [*SCRIPT_TEXTS.values(), *search.TEXTS.values(), *OTHER_TEXTS]
    said += [*prose.TEXTS, *listing.TEXTS]
    return list(dict.fromkeys(said))
