r"""
# Site: from pages to a folder

The pages of a project know each other here: links are resolved, names lead to definitions,
claims find their tests. The result is first complete in memory and then written beside the old
site and swapped in. Either all of it is there or nothing has changed.

What a page is made from is gathered here: its text, its colours, its formulas, where its links
lead, and the [book](frame.py) it stands in. From these data alone it is made.

Every address is relative, so that a site works in any folder of any host, from a zip file and
from `file://`. Nothing in it depends on the day: two builds of the same sources are equal to
the byte [tested](test:pylit/test_site.py::test_two_builds_are_equal_to_the_byte).
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from markdown_it.token import Token
from markupsafe import Markup

from . import (
    claims,
    config,
    figures,
    formulas,
    halves,
    highlight,
    inventory,
    layout,
    live,
    names,
    origin,
    outline,
    page,
    project,
    proofs,
    prose,
    search,
)
from .claims import Claim, Coverage
from .elements import fill
from .formulas import Formula, Typesetter
from .frame import LOST, Book, Entry, Frame, picture, source_script
from .halves import Partner
from .inventory import Inventory
from .layout import Material, relative
from .links import PICTURES, Directory, Table, around
from .order import HOME, Order, order
from .outline import Outline
from .page import Page
from .parse import read
from .problems import Mistakes, Problem, Problems, Refusal
from .project import Source
from .prose import Note
from .remembered import Memory, fingerprint, program
from .request import Request
from .translate import Catalog
from .unchanged import is_file

STATIC = Path(__file__).parent / 'static'
T = TypeVar('T')
# So many characters are understood in the time that a second process takes to begin
MUCH = 100_000


@dataclass
class Memo:
    """What an earlier build in this process knows already. `serve` lives from it."""

    # With each page, a hash of what it was understood from
    pages: dict[Path, tuple[str, Page, Problems]] = field(default_factory=dict)
    # With each source, what said that it was as before; its real path, its text and its outline
    sources: dict[Source, tuple[object, Path, str, Outline]] = field(default_factory=dict)
    memory: Memory | None = None
    typesetter: Typesetter | None = None


class Site:
    """All pages of a project, and what they know of each other."""

    def __init__(self, request: Request, memo: Memo | None = None, partner: Partner | None = None):
        self.request = request
        # Who does a half of what is new; and what it is to do, where there is none yet
        self.partner = partner
        self.second: Callable[[Partner], object] | None = None
        self.config = request.config
        self.memo = memo or Memo()
        self.problems = Problems()
        self.base = around(request.paths[0])
        if self.memo.memory is None:
            self.memo.memory = request.memory()
        self.memory = self.memo.memory
        self.report, self.unproved = claims.believed(self.config, request.paths, request.report)
        self.directory = Directory(
            self.config, self.base, request.paths, self.report, origin.find(self.config),
            self.problems, request.execute, self.memory,
        )  # fmt: skip
        self.pages, self.outlines = self.directory.pages, self.directory.outlines
        self.texts: dict[str, str] = {}
        self.by_module: dict[str, Outline] = {}
        self.index = names.Index(documented=inventory.known(self.config.root, self._inventories()))
        self.catalogs: dict[str, Catalog] = {}
        self.called: dict[Path, str] = {}
        self.code: dict[str, list[str]] = {}
        self.tables: dict[str, Table] = {}
        self.books: dict[str, Book] = {}
        # Style sheets and the logo of the author → where they stand in the site
        self.own: dict[str, str] = {}
        self.rendering = False

    # ### Reading
    def read(self) -> None:
        """Understand every source, then the tests that they name."""
        out = self.request.out.resolve() if self.request.out else None
        for found in (project.collect(self.request.paths, self.config, out), self._tests):
            sources = found if isinstance(found, list) else found()
            self._ahead(sources)
            for source in sources:
                self._read(source)
        self._own()
        # Everything that is wrong in one file is told together with what is wrong in the others
        for language in self._languages():
            self.catalogs[language] = Catalog.read(self.config, language)

    def _inventories(self) -> Sequence[Inventory]:
        for one in self.config.inventories:
            if not self.directory.inside(self.config.root / one.file):
                raise Refusal(f'inventories: {one.file}: a file outside of the project')
        return self.config.inventories

    def _own(self) -> None:
        """The style sheets and the logo of the author, as far as they are there."""
        for name in filter(None, (*self.config.css, self.config.logo)):
            path = self.config.root / name
            kinds = PICTURES if name == self.config.logo else ('.css',)
            wrong = '' if is_file(path) else 'there is no such file'
            if not self.directory.inside(path):
                wrong = 'a file outside of the project'
            elif not wrong and path.suffix.lower() not in kinds:
                wrong = f'not one of {", ".join(kinds)}'
            wrong = wrong or figures.runs(path)
            if wrong:
                settings = self.config.root / 'pyproject.toml'
                self.problems.append(config.wrong(settings, name, f'{name}: {wrong}'))
            else:
                self.own[name] = f'assets/own/{posixpath.normpath(name)}'

    def _languages(self) -> Sequence[str]:
        asked = self.request.languages
        languages = self.config.languages if asked is None else asked
        return [language for language in languages if language != 'en']

    def _read(self, source: Source) -> None:
        try:
            real, text, found = self._known(source)
        except Mistakes as mistakes:
            self.problems.extend(mistakes.problems)
            return
        except OSError as error:
            self.problems.error((source.shown, 1, 1), f'cannot be read: {error.strerror}')
            return
        self.texts[source.url] = text
        self.outlines[source.url] = found
        if found.rows or source.url == 'index.html' or found.front.get('redirect'):
            self.pages[source.url] = found
            self.by_module[source.module] = found
        self.directory.by_path[real] = found
        self.problems.extend(p for p in found.problems if source.kind == 'page')
        if found.exports is not None:
            self.index.add(source.module, (n for n, _, _ in found.definitions), found.exports)

    def _known(self, source: Source) -> tuple[Path, str, Outline]:
        """The real path of a source, its text and its outline: as before if it has not changed."""
        known = self.memo.sources.get(source)
        if known is None or known[0] != _state(source.path):
            if not self.directory.inside(source.path):
                message = 'a link that leads out of the project'
                raise Mistakes([Problem(source.shown, 1, 1, 'error', message)])
            state, text = _state(source.path), read(source.path, source.shown)
            known = state, project.real(source.path), text, self._outline(source, text)
            self.memo.sources[source] = known
        return known[1:]

    def _outline(self, source: Source, text: str) -> Outline:
        name = self._outlined(source, text)
        known = self.memory.get(name)
        if known is None:
            written, problems = self._understand(source, text)
            if self.rendering and not problems.errors:
                # Node begins to set the formulas while we read on
                self.typesetter.ask(written.request(f) for _, f in written.formulas())
            known = outline.dump(outline.of(written, problems))
            self.memory.put(name, known)
        return outline.load(source, known)

    def _outlined(self, source: Source, text: str) -> str:
        return fingerprint(program(), source, text, self.config.glossary)

    def named(self, what: str, found: Outline, *more: object) -> str:
        """The name of what is made from one source, and from what else is said."""
        text = self.texts[found.source.url]
        return fingerprint(what, program(), found.source, text, self.config.glossary, *more)

    # ### What two processes do
    def _ahead(self, sources: Sequence[Source]) -> None:
        """Understand what is new, with a partner if that is much. What is wrong is told later."""
        new: list[tuple[Source, str]] = []
        for source in sources if self.partner or self.second else ():
            with suppress(Mistakes, OSError):
                if self.directory.inside(source.path):
                    text = read(source.path, source.shown)
                    if self.memory.get(self._outlined(source, text)) is None:
                        new.append((source, text))
        if self.second and not self.partner and sum(len(text) for _, text in new) > MUCH:
            # What is open belongs to one process
            self.memory.close()
            self.partner = halves.begin(self.second)

        def understand(half: Sequence[tuple[Source, str]]) -> None:
            for source, text in half:
                with suppress(Mistakes):
                    self._outline(source, text)

        self.share({one[0].url: one for one in new}, lambda one: len(one[1]), understand)

    def share(
        self,
        items: Mapping[str, T],
        weigh: Callable[[T], int],
        work: Callable[[Sequence[T]], object],
    ) -> None:
        """Work on half of what there is for some pages, by their addresses.

        What either process has remembered of it, both know then.
        """
        if not self.partner:
            return
        before = set(self.memory.fresh)
        half = self.partner.half({url: weigh(item) for url, item in items.items()})
        work([item for url, item in items.items() if url in half])
        ours = {name: self.memory.results[name] for name in self.memory.fresh - before}
        for name, known in self.partner.swap(ours).items():
            self.memory.put(name, known)

    def _understand(self, source: Source, text: str) -> tuple[Page, Problems]:
        made = fingerprint(source, text, self.config.glossary)
        if self.memo.pages.get(source.path, ('',))[0] != made:
            problems = Problems()
            written = page.understand(source, self.config.glossary, problems, text)
            self.memo.pages[source.path] = made, written, problems
        return self.memo.pages[source.path][1:]

    def full(self, found: Outline) -> Page:
        """All of a page, and not only what others know of it."""
        return self._understand(found.source, self.texts[found.source.url])[0]

    def _tests(self) -> list[Source]:
        """The files of tests that pages name."""
        folder = self.config.root / self.config.tests
        prefix = posixpath.basename(self.config.tests.rstrip('/')) + '/'
        paths = dict.fromkeys(c.path for page in self.pages.values() for c in page.claims)
        found: dict[Path, Source] = {}
        for path in (folder / path for path in paths):
            real = project.real(path)
            if is_file(path) and real not in self.directory.by_path:
                found.setdefault(real, project.make(path, folder, prefix, 'test'))
        return list(found.values())

    def inside(self, path: Path) -> str:
        """How a file is called on the pages: from the root of the project, wherever we stand."""
        if path not in self.called:
            real = path.resolve()
            roots = [r for r in (self.config.root.resolve(), self.base) if real.is_relative_to(r)]
            inside = real.relative_to(roots[0]).as_posix() if roots else path.name
            self.called[path] = project.readable(inside)
        return self.called[path]

    # ### Rendering
    def render(self) -> dict[str, bytes]:
        """Every file of the site. Raises `Mistakes` unless the mistakes are to be shown."""
        self.prepare()
        files = self._made(self._addresses())
        files |= {name: make() for name, make in self._others().items()}
        if not self.request.lenient:
            self.problems.raise_errors()
        files |= {name: path.read_bytes() for name, path in self._pictures().items()}
        self.memory.save()
        return files

    def prepare(self) -> None:
        """Read everything, and make what is new with the partner."""
        self.rendering = True
        self.read()
        if not (self.request.lenient and self.pages):
            self.problems.raise_errors()
        if not self.partner:
            return
        new: dict[str, list[tuple[Outline, str]]] = {}
        for found, language in self._addresses().values():
            if self.memory.get(self._name(found, language)) is None:
                new.setdefault(found.source.url, []).append((found, language))
        self.share(new, lambda pages: len(self.texts[pages[0][0].source.url]), self._make)

    def _make(self, wanted: Sequence[Sequence[tuple[Outline, str]]]) -> None:
        """Some pages in their languages, and all that is made from the same sources."""
        self._prepare({p[0][0].source.url: self.full(p[0][0]) for p in wanted})
        for found, language in (one for pages in wanted for one in pages):
            self._page(found, language)
            if found.source.kind == 'page':
                self._found(found, language)
            elif found.source.url in self.claimed:
                self._proofs(found)

    def file(self, name: str) -> bytes | None:
        """One file of the site, made now; nothing if the site has none of this name."""
        found = self._addresses().get(name)
        if found:
            return self._made({name: found})[name]
        data = self._other(name)
        if data is None and re.match(r'([\w-]+/)?assets/', name):
            # A picture is known when a page was seen that shows it
            for page_ in self.pages.values():
                self._links(page_)
            data = self._other(name)
        return data

    def _other(self, name: str) -> bytes | None:
        """A file that is no page, as far as it is known."""
        make = self._others().get(name)
        if make:
            return make()
        path = self._pictures().get(name)
        return path.read_bytes() if path else None

    def _addresses(self) -> dict[str, tuple[Outline, str]]:
        """Where each page stands, in each language."""
        return {
            f'{language}/{url}' if language else url: (found, language)
            for language in ('', *self.catalogs)
            for url, found in self.pages.items()
            if not (language and found.source.kind == 'test')
        }

    def _made(self, wanted: Mapping[str, tuple[Outline, str]]) -> dict[str, bytes]:
        """Some pages by their addresses: those that are remembered, and the others made."""
        known = {name: self.memory.get(self._name(*which)) for name, which in wanted.items()}
        missing = [wanted[name][0] for name, made in known.items() if made is None]
        if missing:
            self._prepare({found.source.url: self.full(found) for found in missing})
        files = {}
        for name, made in known.items():
            made = made or self._page(*wanted[name])
            self.problems.extend(Problem(*said) for said in made['problems'])
            files[name] = made['html'].encode('utf-8')
        return files

    def _prepare(self, pages: Mapping[str, Page]) -> None:
        """Formulas and code are the same in all languages."""
        self.typesetter.ask(self._formulas(pages.values()))
        # While Node sets the formulas, Python colours the code
        for url, source in pages.items():
            if url not in self.code:
                self.code[url] = self._code(source)
        self.typesetter.collect()

    def _page(self, found: Outline, language: str) -> dict[str, Any]:
        """Make one page, and remember it if nothing is wrong with it."""
        source, problems = self.full(found), Problems()
        target = source.front.get('redirect', '')
        if target and not _leads_away(target):
            shown = _redirect(target)
        else:
            shown = self._html(source, self._links(found), language, problems)
        made = {'html': shown, 'problems': [list(vars(p).values()) for p in problems]}
        if not problems.errors:
            self.memory.put(self._name(found, language), made)
        return made

    def _html(self, source: Page, links: Table, language: str, problems: Problems) -> str:
        if target := source.front.get('redirect'):
            where, excerpt = source.spot(source.front_line('redirect'), 1)
            message = f'redirect to {target}: only to a page of the same site'
            problems.error(where, message, excerpt)
        results = self.typesetter.known
        page.formula_mistakes(source, results, problems)
        material = Material(
            source,
            self.code[source.source.url],
            links,
            results,
            self.directory.origin,
            self.inside(source.source.path),
            problems,
            self.coverage if source.source.url == 'index.html' else None,
            self.naming.get(source.source.url, ()),
            self._elsewhere(source),
        )
        return Frame(self.book(language), material).write()

    @property
    def typesetter(self) -> Typesetter:
        if self.memo.typesetter is None:
            self.memo.typesetter = Typesetter(dict(self.config.macros), self.request.remember)
        return self.memo.typesetter

    def close(self) -> None:
        self.memory.close()
        if self.partner:
            self.partner.close()
        if self.memo.typesetter:
            self.memo.typesetter.close()

    def _formulas(self, pages: Iterable[Page]) -> list[Formula]:
        pages = list(pages)
        found = [p.request(f) for p in pages for _, f in p.formulas()]
        found += [Formula(s.tex[0], False, s.tex[0]) for s in self.config.glossary]
        for catalog in self.catalogs.values():
            for source in pages:
                found += [source.request(f) for f in catalog.formulas(source)]
        return found

    def _code(self, source: Page) -> list[str]:
        if source.module is None:
            # Other languages are read by Pygments
            other = source.language
            return highlight.block_lines(source.text, other, {}) if other else []
        # The source of a test is where a mark leads, and no chapter to be studied
        studied = source.source.kind == 'page'
        uses = self._uses(source) if studied else {}
        symbols = source.glossary.by_name if studied else {}
        return highlight.python_lines(source.module, uses, symbols)

    def _uses(self, source: Page) -> dict[tuple[int, int], str]:
        """Where names of the code lead."""
        assert source.module
        place = source.source
        found, outside = {}, {}
        for at, use in names.uses(place.module, source.module, place.package, self.index).items():
            target = self.by_module.get(use.module)
            if target is None and use.dotted in self.index.documented:
                outside[at] = self.index.documented[use.dotted]
            if target is None or (not use.name and target.source == place):
                continue
            address = '' if target.source == place else relative(place.url, target.source.url)
            found[at] = address + (f'#{target.place(use.name)}' if use.name else '')
        return found | _first_of_each(outside)

    def outside(self, source: Page) -> set[str]:
        """The names of other projects that a page uses, as far as they are documented."""
        found = set(self._sentences(source).values())
        if source.module:
            place = source.source
            uses = names.uses(place.module, source.module, place.package, self.index)
            found |= {use.dotted for use in uses.values()}
        return found & self.index.documented.keys()

    def _elsewhere(self, source: Page) -> dict[str, str]:
        """Where code in the sentences of a page leads that is a name of another project."""
        found = self._sentences(source)
        return {text: self.index.documented[name] for text, name in found.items()}

    def _sentences(self, source: Page) -> dict[str, str]:
        """Code in the sentences of a page, and the name of another project that it is."""
        exported = self.index.exports.get(source.source.module, {})
        found = {}
        for text in {note.restore(t.content) for note in source.notes for t in _codes(note)}:
            place = names.resolve(text, exported, self.index) if self.index.documented else None
            if place and place.dotted in self.index.documented:
                found[text] = place.dotted
        return found

    def _links(self, found: Outline) -> Table:
        url = found.source.url
        if url not in self.tables:
            self.tables[url] = Table(self.directory, found)
        return self.tables[url]

    # ### What a page is made from
    def _name(self, found: Outline, language: str) -> str:
        """A page's name in the memory: a hash of everything that it is made from."""
        source, catalog = found.source, self.catalogs.get(language)
        counted = self.coverage if source.url == 'index.html' else None
        links = [[*vars(k).values(), *vars(t).values()] for k, t in self._links(found).items()]
        own = (self.inside(source.path), self.directory.origin.address(source.path, 1))
        named = self.naming.get(source.url, ())
        said = catalog.stamp if catalog else ''
        text = self.texts[source.url]
        return fingerprint(
            self.surroundings, source, text, language, said, counted, links, own, named
        )

    @cached_property
    def surroundings(self) -> str:
        """A hash of what is the same for all pages: titles, definitions, settings, this program."""
        return fingerprint(
            program(),
            self.config,
            [(u, o.title, o.heading, o.source.kind) for u, o in self.pages.items()],
            {name: sorted(defined) for name, defined in self.index.modules.items()},
            {name: sorted(e.items()) for name, e in self.index.exports.items()},
            [(name, o.source.url, o.places) for name, o in self.by_module.items()],
            [(code, catalog.name) for code, catalog in self.catalogs.items()],
            (self.directory.origin.base, self.directory.origin.site),
            self.picture,
            self.own,
            sorted(self.index.documented.items()),
        )

    def book(self, language: str) -> Book:
        """What all pages of a language share."""
        if language not in self.books:
            self.books[language] = Book(
                self.config.title,
                [Entry(o.source.url, self.title(o, language), o.heading) for o in self.shown()],
                self.order,
                self.pages,
                {code: catalog.name for code, catalog in self.catalogs.items()},
                self.catalogs.get(language),
                self.directory.origin.site,
                self.picture,
                css=[self.own[name] for name in self.config.css if name in self.own],
                logo=self.own.get(self.config.logo, ''),
            )
        return self.books[language]

    @cached_property
    def order(self) -> Order:
        """The reading path, and the tree of all pages."""
        return order([found.source for found in self.shown()], self.config)

    @cached_property
    def coverage(self) -> Coverage:
        """The count on the front page."""
        shown, report = self.shown(), self.report
        named = {claim for o in shown for claim in o.claims if self.directory.find(claim)}
        passed = {claim for claim in named if report.verdict(claim) == claims.PASSED}
        equations = [{o.claims[i] for i in which} for o in shown for which in o.tested]
        return Coverage(
            sum(o.equations for o in shown),
            len(equations),
            sum(which <= passed for which in equations),
            len(named),
            len(passed),
            report.when[:10],
            report.versions,
        )

    @cached_property
    def naming(self) -> dict[str, list[tuple[str, str, str]]]:
        """Which pages name the tests of a file, and where each does so first."""
        found: dict[str, dict[str, tuple[str, str, str]]] = {}
        for o in self.shown():
            for claim, anchor in zip(o.claims, o.claimed, strict=True):
                test = self.directory.find(claim)
                if test:
                    first = (self.title(o), o.source.url, anchor)
                    found.setdefault(test.url, {}).setdefault(o.source.url, first)
        return {url: list(pages.values()) for url, pages in found.items()}

    def shown(self) -> list[Outline]:
        """The pages that a reader is led to: all but the sources of the tests."""
        return [p for p in self.pages.values() if p.source.kind == 'page']

    # ### What a page is called, and everything that is not a page
    def title(self, found: Outline, language: str = '') -> str:
        """What a page is called, in a language if that is known."""
        catalog = self.catalogs.get(language)
        title = catalog.words(found.heading) if catalog else ''
        return title or found.title

    def _search(self, language: str) -> bytes:
        pages = [
            (
                layout.encoded(o.source.url),
                self.title(o, language),
                self._found(o, language)['text'],
            )
            for o in self.shown()
        ]
        catalog = self.catalogs.get(language)
        return search.text_script(pages, search.synonyms(self.config, catalog), catalog)

    def _search_code(self) -> bytes:
        return search.code_script(self._found(o, '')['code'] for o in self.shown())

    def _found(self, found: Outline, language: str) -> dict[str, Any]:
        """What a search finds on a page: text in a language, and the code."""
        catalog, source = self.catalogs.get(language), found.source
        said = catalog.stamp if catalog else ''
        name = fingerprint('search', program(), source, self.texts[source.url], said)
        known = self.memory.get(name)
        if known is None:
            entries = search.entries(self.full(found), catalog)
            known = {'text': [e.text() for e in entries]}
            if not catalog:
                known['code'] = ['\n'.join(e.code) for e in entries]
            self.memory.put(name, known)
        return dict(known)

    def _others(self) -> dict[str, Callable[[], bytes]]:
        """How to make the files that are no page and no picture."""
        files: dict[str, Callable[[], bytes]] = {}
        for language in ('', *self.catalogs):
            folder = f'{language}/' if language else ''
            if 'index.html' not in self.pages:
                files[f'{folder}index.html'] = partial(self._contents, language)
            files[folder + search.TEXT] = partial(self._search, language)
            if language and self.directory.living:
                files[f'{folder}live.js'] = partial(self._live_words, language)
            if self.naming:
                files[f'{folder}proofs.js'] = partial(self._proof_words, language)
        files |= self._spoken()
        files[search.CODE] = self._search_code
        for name, living in self.directory.living.items():
            files[f'assets/live/{name}.js'] = living.code
            if living.style():
                files[f'assets/live/{name}.css'] = living.style
        for url, found in self.pages.items():
            files[source_script(url)] = partial(self._source, url)
            if url in self.naming:
                files[proofs.script_of(url)] = partial(self._proofs, found)
        files |= {f'assets/{path.name}': partial(_minified, path) for path in _assets()}
        files['assets/katex/katex.css'] = _style
        address = self.directory.origin.site
        # A host shows it at any depth. Without an address it works where it stands, and beside that
        base = urlsplit(address).path.rstrip('/') + '/' if address else './'
        files[LOST] = partial(self.lost, base)
        if address:
            files['sitemap.xml'] = self._sitemap
        return files

    def _spoken(self) -> dict[str, Callable[[], bytes]]:
        """The drawings of each language that has words for theirs."""
        return {
            f'{language}/{url}': partial(
                figures.translated, self.directory.assets[url], language, say
            )
            for language, say in ((code, catalog.say) for code, catalog in self.catalogs.items())
            for target in self.directory.drawn.values()
            if any(say(label) != label for label in target.labels)
            for url in (target.url, target.dark)
        }

    def _contents(self, language: str) -> bytes:
        """The first page of a project that has none: the only page, or a list of all."""
        shown = self.shown()
        if len(shown) == 1:
            return _redirect(layout.encoded(shown[0].source.url)).encode()
        return self._kept(language)

    def _live_words(self, language: str) -> bytes:
        """What living figures say, in one language."""
        found = {text for living in self.directory.living.values() for text in live.said(living)}
        said = {text: self.catalogs[language].say(text) for text in sorted(found)}
        return live.words({text: there for text, there in said.items() if there != text})

    def _source(self, url: str) -> bytes:
        return f'pylit.source({json.dumps(self.texts[url], ensure_ascii=False)})\n'.encode()

    def _proof_words(self, language: str) -> bytes:
        say = self.catalogs[language].say if language else str
        return proofs.words({key: say(text) for key, text in proofs.TEXTS.items()})

    def _proofs(self, found: Outline) -> bytes:
        """What is behind the marks that lead to one file of tests."""
        url = found.source.url
        here, report = self.claimed[url], self.report
        told = [(c, report.tests.get(c.test), self.caught.get(c.test)) for c in here]
        text, versions = self.texts[url], sorted(report.versions.items())
        name = fingerprint('proofs', program(), url, text, told, report.when, versions)

        def make() -> str:
            source = self.full(found)
            if url not in self.code:
                self.code[url] = self._code(source)
            return proofs.script(source, self.code[url], here, report, self.caught).decode()

        return str(self.memory.made(name, make)).encode()

    @cached_property
    def claimed(self) -> dict[str, list[Claim]]:
        """By the address of a file of tests: what pages claim of it."""
        found: dict[str, list[Claim]] = {}
        for claim in dict.fromkeys(claim for o in self.shown() for claim in o.claims):
            if test := self.directory.find(claim):
                found.setdefault(test.url, []).append(claim)
        return found

    @cached_property
    def caught(self) -> dict[str, claims.Caught]:
        return claims.caught(self.config)

    def _pictures(self) -> dict[str, Path]:
        """Files that are taken as they are."""
        fonts = sorted((formulas.katex() / 'dist' / 'fonts').glob('*.woff2'))
        ours = (path for path in sorted(STATIC.iterdir()) if path.suffix not in REMARK)
        return {
            **{f'assets/{path.name}': path for path in ours},
            **{f'assets/katex/fonts/{font.name}': font for font in fonts},
            **{url: self.config.root / name for name, url in self.own.items()},
            **dict(sorted(self.directory.assets.items())),
        }

    def lost(self, base: str) -> bytes:
        """The page for addresses that do not exist; `base` is the path of the whole site."""
        return self._kept('', base)

    def _kept(self, language: str, base: str = '') -> bytes:
        """A page without a source: the same as long as all that surrounds it is."""
        catalog = self.catalogs.get(language)
        name = fingerprint(self.surroundings, base, catalog.stamp if catalog else '')
        made = self.memory.get(name)
        if made is None:
            made = Frame(self.book(language), base=base).write()
            self.memory.put(name, made)
        return str(made).encode()

    @cached_property
    def picture(self) -> str:
        """The picture of the front page."""
        home = self.pages.get(HOME)
        return picture(self._links(home)) if home else ''

    def _sitemap(self) -> bytes:
        folders = ['', *(f'{language}/' for language in self.catalogs)]
        shown = [p.source.url for p in self.shown() if not p.front.get('redirect')]
        if 'index.html' not in self.pages:
            shown.insert(0, 'index.html')
        addresses = [self.book('').address(folder + url) for folder in folders for url in shown]
        return f'{fill("sitemap.xml", addresses=addresses)}\n'.encode()


def _state(path: Path) -> tuple[int, ...]:
    """What is another when a file was written, or another is in its place."""
    with suppress(OSError):
        about = path.stat()
        return about.st_mtime_ns, about.st_ctime_ns, about.st_size, about.st_ino, about.st_dev
    return ()


def _first_of_each(links: Mapping[tuple[int, int], str]) -> dict[tuple[int, int], str]:
    """Links of the code that leave the site: the first to each place."""
    first: dict[str, tuple[int, int]] = {}
    for at, address in sorted(links.items()):
        first.setdefault(address, at)
    return {at: address for address, at in first.items()}


def _codes(note: Note) -> Iterator[Token]:
    return (token for token, _ in prose.walk(note.tokens) if token.type == 'code_inline')


def _assets() -> list[Path]:
    """Our style sheets and scripts."""
    return [path for path in sorted(STATIC.iterdir()) if path.suffix in REMARK]


# A remark of a style sheet, or a line of a script that is nothing else
REMARK = {'.css': re.compile(r'/\*.*?\*/', re.S), '.js': re.compile(r'(?m)^\s*//.*$')}
QUOTED = re.compile(r'("[^"]*")')
# What a script says, and what it looks for in a text
SPOKEN = re.compile(
    r"""( '(?:[^'\\\n]|\\.)*' | "(?:[^"\\\n]|\\.)*" | `(?:[^`\\]|\\.)*`
        | (?:(?<=[(=,:]\ )|(?<=\()) / (?:[^/\\\n]|\\.)+ / )""",
    re.VERBOSE,
)
# Blanks around operators, behind commas and colons, and inside of braces
SIGNS = re.compile(
    r' (=>|[=!]==|&&|\|\||[-+]?=|[?:<>]) |(?<=[,:]) |(?<=\{) | (?=\})|(?<=\)) (?=\{)'
)


def _minified(path: Path) -> bytes:
    """A style sheet or a script as browsers need it."""
    return _lean(path.suffix, path.read_text('utf-8'))


@lru_cache(maxsize=32)
def _lean(suffix: str, text: str) -> bytes:
    text = REMARK[suffix].sub('', text)
    if suffix == '.js':
        text = re.sub(r'\s*\n\s*', '\n', text).lstrip()
        # Behind and before these the end of a line says nothing
        text = re.sub(r'(?<=[{(\[,;])\n|\n(?=[})\].])', '', text)
        parts = SPOKEN.split(text)
        return ''.join(
            part if i % 2 else SIGNS.sub(r'\1', part) for i, part in enumerate(parts)
        ).encode()
    # What is between quotation marks is every other part
    parts = QUOTED.split(text)
    return ''.join(part if i % 2 else _minified_css(part) for i, part in enumerate(parts)).encode()


def _minified_css(css: str) -> str:
    """Without the blanks that a style sheet has for people."""
    css = re.sub(r'\s*([{};,>~])\s*', r'\1', re.sub(r'\s+', ' ', css))
    css = css.replace('@media (', '@media(').replace(' !important', '!important')
    return css.replace(': ', ':').replace(';}', '}')


def _style() -> bytes:
    css = (formulas.katex() / 'dist' / 'katex.min.css').read_text('utf-8')
    return _lean_style(css, (formulas.HERE / 'lighter.css').read_text('utf-8'))


@lru_cache(maxsize=2)
def _lean_style(css: str, lighter: str) -> bytes:
    # Every browser that can show the page reads woff2
    css = re.sub(r',url\([^)]*\.(?:woff|ttf)\) format\("[a-z]+"\)', '', css)
    return formulas.shortened(css + lighter).encode()


def _leads_away(target: str) -> bool:
    # Browsers drop blanks and control characters, and read a backslash as a slash
    bare = re.sub(r'[\x00-\x20]', '', target).replace('\\', '/')
    return re.match(r'[a-z][a-z0-9+.-]*:|//', bare, re.I) is not None


def _redirect(target: str) -> str:
    return fill('moved.html', title=target, policy=Markup("default-src 'none'")) + '\n'
