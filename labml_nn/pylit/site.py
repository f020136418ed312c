r"""
# Site: from pages to a folder

The pages of a project know each other here: links are resolved, names lead to definitions,
claims find their tests. The result is first complete in memory and then written beside the old
site and swapped in. Either all of it is there or nothing has changed.

Every address is relative, so that a site works in any folder of any host, from a zip file and
from `file://`. Nothing in it depends on the day: two builds of the same sources are equal to
the byte [tested](test:pylit/test_site.py::test_two_builds_are_equal_to_the_byte).
"""

from __future__ import annotations

import html
import json
import os
import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from . import claims, figures, formulas, highlight, layout, names, origin, outline, page, project
from .claims import Claim
from .config import Config
from .formulas import Formula, Result, Typesetter
from .frame import LOST, Frame, source_script
from .kept import Store, program, stamp
from .layout import relative
from .outline import Outline
from .page import Page
from .parse import read
from .problems import Mistakes, Problem, Problems
from .project import Source
from .translate import Catalog

STATIC = Path(__file__).parent / 'static'


@dataclass
class Memo:
    """What an earlier build in this process knows already. `serve` lives from it."""

    pages: dict[tuple[Path, str, str], tuple[Page, Problems]] = field(default_factory=dict)
    code: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)
    store: Store | None = None
    typesetter: Typesetter | None = None


@dataclass
class Request:
    """What the command line asks for."""

    paths: Sequence[Path]
    config: Config
    out: Path | None = None
    junit: Sequence[Path] = ()
    languages: Sequence[str] | None = None
    execute: bool = False
    # Formulas are always remembered; pages only by who writes them
    remember: bool = True
    keep: bool = False
    # Whether mistakes are marked on the pages and do not stand in the way of the rest
    lenient: bool = False


@dataclass(frozen=True)
class Coverage:
    """Equations on all pages, those that carry a test; the tests that are named, and passed."""

    equations: int
    tested: int
    named: int
    passed: int


# A question that was asked while a page was made, and its answer
Asked = list[Any]


class Site:
    """All pages of a project, and what they know of each other."""

    def __init__(self, request: Request, memo: Memo | None = None):
        self.request = request
        self.config = request.config
        self.memo = memo or Memo()
        self.problems = Problems()
        self.report = claims.read_reports(request.junit)
        self.texts: dict[str, str] = {}
        self.pages: dict[str, Outline] = {}
        self.outlines: dict[str, Outline] = {}
        self.by_path: dict[Path, Outline] = {}
        self.by_module: dict[str, Outline] = {}
        self.index = names.Index()
        self.assets: dict[str, Path] = {}
        self.drawn: dict[str, list[Any]] = {}
        self.asked: list[Asked] = []
        self.known = ''
        self.rendering = False
        self.listed: dict[tuple[str, str], list[tuple[str, str]]] = {}
        self.catalogs: dict[str, Catalog] = {}
        self.base = _base(request.paths)
        # What is outside of these is nobody's to publish, wherever a link leads
        tests = Path(os.path.normpath(self.config.root / self.config.tests))
        self.roots = [self.base, self.config.root.resolve(), *map(_around, request.paths), tests]
        self.origin = origin.find(self.config)
        self.called: dict[Path, str] = {}
        if self.memo.store is None:
            path = formulas.cache_home() / 'pages-1.sqlite' if request.keep else None
            self.memo.store = Store(self.base, path)
        self.store = self.memo.store

    # ### Reading
    def read(self) -> None:
        """Understand every source, then the tests that they name."""
        out = self.request.out.resolve() if self.request.out else None
        for source in project.collect(self.request.paths, self.config, out):
            self._read(source)
        for written in list(self.pages.values()):
            for claim in written.claims:
                self._read_test(claim)
        # Everything that is wrong in one file is told together with what is wrong in the others
        for language in self._languages():
            self.catalogs[language] = Catalog.read(self.config, language)

    def _languages(self) -> Sequence[str]:
        asked = self.request.languages
        languages = self.config.languages if asked is None else asked
        return [language for language in languages if language != 'en']

    def _read(self, source: Source) -> None:
        try:
            real = Path(os.path.realpath(source.path))
            if not any(real.is_relative_to(root) for root in self.roots):
                self.problems.error((source.shown, 1, 1), 'a link that leads out of the project')
                return
            text = read(source.path, source.shown)
            found = self._outline(source, text)
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
        self.by_path[source.path.resolve()] = found
        self.problems.extend(p for p in found.problems if source.kind == 'page')
        if found.exports is not None:
            self.index.add(source.module, (n for n, _, _ in found.definitions), found.exports)

    def _outline(self, source: Source, text: str) -> Outline:
        place = f'outline {source.kind} {source.url}'
        made = stamp(program(), source, text, self.config.glossary)
        known = self.store.get(place, made)
        if known is None:
            written, problems = self._understand(source, text)
            if self.rendering and not problems.errors:
                # Node begins to set the formulas while we read on
                self._typesetter().ask(written.request(f) for _, f in written.formulas())
            known = outline.dump(outline.of(written, problems))
            self.store.put(place, made, known)
        return outline.load(source, known)

    def _understand(self, source: Source, text: str) -> tuple[Page, Problems]:
        key = (source.path, text, stamp(self.config.glossary))
        if key not in self.memo.pages:
            problems = Problems()
            written = page.understand(source, self.config.glossary, problems, text)
            self.memo.pages[key] = (written, problems)
        return self.memo.pages[key]

    def full(self, found: Outline) -> Page:
        """All of a page, and not only what others know of it."""
        return self._understand(found.source, self.texts[found.source.url])[0]

    def _read_test(self, claim: Claim) -> None:
        folder = self.config.root / self.config.tests
        path = folder / claim.path
        if path.is_file() and path.resolve() not in self.by_path:
            prefix = posixpath.basename(self.config.tests.rstrip('/')) + '/'
            self._read(project.make(path, folder, prefix, 'test'))

    # ### What pages ask (`layout.World`)
    #
    # Every question is written down with its answer. A page that was kept asks them again.
    def _answer(self, source: Source, question: str, *said: str) -> Any:
        answer = self._ask(source, question, *said)
        self.asked.append([question, *said, answer])
        return answer

    def _ask(self, source: Source, question: str, *said: str) -> Any:
        return getattr(self, f'_ask_{question}')(source, *said)

    def formula(self, formula: Formula) -> Result:
        assert self.memo.typesetter
        return self.memo.typesetter.known.get(formula) or Result(error='not set')

    def page_at(self, source: Source, target: str) -> Outline | None:
        return self.outlines.get(self._answer(source, 'page', target))

    def _ask_page(self, source: Source, target: str) -> str:
        beside = source.path.parent / target
        for path in (beside, beside / '__init__.py', beside.with_suffix('.py')):
            real = _file(path.parent, path.name) if path.suffix != '.html' else None
            found = self.by_path.get(real) if real else None
            if found:
                return found.source.url
        url = posixpath.normpath(posixpath.join(posixpath.dirname(source.url), target))
        if target.endswith('/') or url == '.':
            url = posixpath.normpath(posixpath.join(url, 'index.html'))
        return url if url in self.pages else ''

    def has(self, page: Outline, anchor: str) -> bool:
        return bool(self._answer(page.source, 'anchor', page.source.url, anchor))

    def _ask_anchor(self, source: Source, url: str, anchor: str) -> bool:
        return url in self.outlines and self.outlines[url].has(anchor)

    def asset(self, source: Source, target: str) -> tuple[str, str]:
        """The address of a file that is no page, or why there is none."""
        address, wrong = self._answer(source, 'asset', target)
        return str(address), str(wrong)

    def _ask_asset(self, source: Source, target: str) -> list[str]:
        path = _file(source.path.parent, target)
        around = [root for root in self.roots if path and path.is_relative_to(root)]
        if not path or not around:
            return ['', '']
        if path.suffix.lower() not in ('.png', '.jpg', '.jpeg', '.gif', '.webp', '.svg'):
            return [self.source_url(path), '']
        wrong = figures.runs(path)
        if wrong:
            return ['', f'{project.readable(target)}: {wrong}']
        address = f'assets/files/{path.relative_to(around[0]).as_posix()}'
        self.assets[address] = path
        return [address, '']

    def figure(self, source: Source, target: str) -> tuple[str, str]:
        light, dark, _ = self._answer(source, 'figure', target)
        return light, dark

    def _ask_figure(self, source: Source, target: str) -> list[Any]:
        if target not in self.drawn:
            drawn = figures.find(self.config, target, self.request.execute)
            if drawn.stale and not drawn.error:
                message = f'figure {target} is older than its source: build with --execute'
                self.problems.warning((source.shown, 1, 1), message)
            for theme, path in drawn.files.items():
                self.assets[f'assets/figures/{path.name}'] = path
                assert theme in ('light', 'dark')
            names_ = [f'assets/figures/{p.name}' for p in drawn.files.values()]
            shown = (names_[0], names_[-1]) if names_ else ('', drawn.error)
            self.drawn[target] = [*shown, drawn.stale]
        return self.drawn[target]

    def test(self, source: Source, claim: Claim) -> tuple[str, int, str] | None:
        found = self._answer(source, 'test', claim.path, claim.name)
        return (str(found[0]), int(found[1]), str(found[2])) if found else None

    def _ask_test(self, source: Source, path: str, name: str) -> list[Any]:
        found = self.by_path.get((self.config.root / self.config.tests / path).resolve())
        for defined, kind, line in found.definitions if found else ():
            if found and defined == name and claims.is_test(defined, kind):
                return [found.source.url, line, found.source.kind]
        return []

    def verdict(self, source: Source, claim: Claim) -> str:
        return str(self._answer(source, 'verdict', claim.path, claim.name))

    def _ask_verdict(self, source: Source, path: str, name: str) -> str:
        newest = max(
            p.stat().st_mtime for p in (self.config.root / self.config.tests / path, source.path)
        )
        return self.report.verdict(Claim(path, name), newest)

    def source_url(self, path: Path, first: int = 0, last: int = 0) -> str:
        return self.origin.address(path, first, last)

    def inside(self, path: Path) -> str:
        """How a file is called on the pages: from the root of the project, wherever we stand."""
        if path not in self.called:
            real = path.resolve()
            roots = [r for r in (self.config.root.resolve(), self.base) if real.is_relative_to(r)]
            inside = real.relative_to(roots[0]).as_posix() if roots else path.name
            self.called[path] = project.readable(inside)
        return self.called[path]

    def address(self, url: str) -> str:
        """Where the world finds a page, if the project has said where the site will stand."""
        base = self.config.site_url.rstrip('/')
        shown = re.sub(r'(^|(?<=/))index[.]html$', '', url)
        return f'{base}/{layout.encoded(shown)}' if base else ''

    # ### Rendering
    def render(self) -> dict[str, bytes]:
        """Every file of the site. Raises `Mistakes` unless the mistakes are to be shown."""
        self.rendering = True
        self.read()
        if not (self.request.lenient and self.pages):
            self.problems.raise_errors()
        files: dict[str, bytes] = {}
        missing: list[tuple[str, Outline]] = []
        for language in ('', *self.catalogs):
            folder = f'{language}/' if language else ''
            for url, found in self.pages.items():
                if found.source.kind == 'test' and language:
                    continue
                kept = self._kept(found, language)
                if kept is None:
                    missing.append((language, found))
                else:
                    files[folder + url] = kept
            if 'index.html' not in self.pages:
                files[f'{folder}index.html'] = Frame(self, None, language).write([]).encode()
            files[f'{folder}search.js'] = self._search(language)
        self._make(missing, files)
        for url in self.pages:
            text = json.dumps(self.texts[url], ensure_ascii=False)
            files[source_script(url)] = f'pylit.source({text})\n'.encode()
        if not self.request.lenient:
            self.problems.raise_errors()
        files |= self._static()
        self.store.save(self._places())
        return files

    def _make(self, missing: list[tuple[str, Outline]], files: dict[str, bytes]) -> None:
        """Write the pages that are not kept."""
        written = {found.source.url: self.full(found) for _, found in missing}
        typesetter = self._typesetter()
        typesetter.ask(self._formulas(written.values()) if written else [])
        # While Node sets the formulas, Python colours the code
        code = {url: self._code(source) for url, source in written.items()}
        typesetter.collect()
        for language, found in missing:
            url = found.source.url
            folder = f'{language}/' if language else ''
            files[folder + url] = self._page(written[url], found, code[url], language)

    def _typesetter(self) -> Typesetter:
        if self.memo.typesetter is None:
            self.memo.typesetter = Typesetter(dict(self.config.macros), self.request.remember)
        return self.memo.typesetter

    def close(self) -> None:
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
            return []
        key = (source.source.url, source.text, self.signature())
        if key not in self.memo.code:
            # The source of a test is where a mark leads, and no chapter to be studied
            studied = source.source.kind == 'page'
            links = self._links(source) if studied else {}
            symbols = source.glossary.by_name if studied else {}
            self.memo.code[key] = highlight.python_lines(source.module, links, symbols)
        return self.memo.code[key]

    def _links(self, source: Page) -> dict[tuple[int, int], str]:
        assert source.module
        place = source.source
        found = {}
        for at, use in names.uses(place.module, source.module, place.package, self.index).items():
            target = self.by_module.get(use.module)
            if target is None or (not use.name and target.source == place):
                continue
            address = '' if target.source == place else relative(place.url, target.source.url)
            found[at] = address + (f'#{target.place(use.name)}' if use.name else '')
        return found

    def _page(self, source: Page, found: Outline, code: list[str], language: str) -> bytes:
        target = source.front.get('redirect', '')
        if target and not _leads_away(target):
            return _redirect(target)
        before, self.problems = self.problems, Problems()
        if target:
            where, excerpt = source.spot(source.front_line('redirect'), 1)
            message = f'redirect to {target}: only to a page of the same site'
            self.problems.error(where, message, excerpt)
        self.asked = []
        assert self.memo.typesetter
        page.formula_mistakes(source, self.memo.typesetter.known, self.problems)
        shown = Frame(self, source, language).write(code)
        problems, self.problems = self.problems, before
        self.problems.extend(problems)
        if not problems.errors:
            said = [list(vars(p).values()) for p in problems]
            kept = {'html': shown, 'asked': self.asked, 'problems': said}
            self.store.put(_place(found, language), self._stamp(found, language), kept)
        return shown.encode('utf-8')

    # ### Keeping
    def _kept(self, found: Outline, language: str) -> bytes | None:
        """The page as it was made before, if nothing has changed that it shows."""
        kept = self.store.get(_place(found, language), self._stamp(found, language))
        if kept is None:
            return None
        for question, *said, answer in kept['asked']:
            if self._ask(found.source, question, *said) != answer:
                return None
        self.problems.extend(Problem(*said) for said in kept['problems'])
        return str(kept['html']).encode('utf-8')

    def _stamp(self, found: Outline, language: str) -> str:
        """Everything that a page is made from, besides the answers to its questions."""
        source = found.source
        catalog = self.catalogs.get(language)
        said = catalog.stamp if catalog else ''
        counted = self.coverage() if source.url == 'index.html' else None
        own = (self.inside(source.path), self.source_url(source.path, 1))
        return stamp(self.signature(), source, self.texts[source.url], language, said, counted, own)

    def signature(self) -> str:
        """All that any page may know of the others without asking; the settings; this program."""
        if not self.known:
            self.known = stamp(
                program(),
                self.config,
                [(u, o.title, o.source.kind) for u, o in self.pages.items()],
                {name: sorted(defined) for name, defined in self.index.modules.items()},
                {name: sorted(e.items()) for name, e in self.index.exports.items()},
                [(name, o.source.url, o.places) for name, o in self.by_module.items()],
                [(code, catalog.name) for code, catalog in self.catalogs.items()],
                (bool(self.request.junit), self.origin.base),
            )
        return self.known

    def _places(self) -> list[str]:
        places = [f'outline {o.source.kind} {url}' for url, o in self.outlines.items()]
        for language in ('', *self.catalogs):
            places += [_place(found, language) for found in self.pages.values()]
            places += [f'entries {language} {url}' for url in self.pages]
        return places

    def coverage(self) -> Coverage:
        """The count on the front page."""
        shown = self.shown()
        named = {
            (claim.path, claim.name): self._ask_verdict(o.source, claim.path, claim.name)
            for o in shown
            for claim in o.claims
            if self._ask_test(o.source, claim.path, claim.name)
        }
        passed = sum(verdict == claims.PASSED for verdict in named.values())
        equations, tested = sum(o.equations for o in shown), sum(o.tested for o in shown)
        return Coverage(equations, tested, len(named), passed)

    def shown(self) -> list[Outline]:
        """The pages that a reader is led to: all but the sources of the tests."""
        return [p for p in self.pages.values() if p.source.kind == 'page']

    # ### Everything that is not a page
    def title(self, found: Outline, language: str = '') -> str:
        """What a page is called, in a language if that is known."""
        catalog = self.catalogs.get(language)
        title = catalog.words(found.heading) if catalog else ''
        return (title or found.title).replace('\\', '')

    def _search(self, language: str) -> bytes:
        """A script and not JSON: a page that was opened from a file may not fetch."""
        index = [
            [
                layout.encoded(found.source.url),
                self.title(found, language),
                self._entries(found, language),
            ]
            for found in self.shown()
        ]
        text = json.dumps(index, ensure_ascii=False, separators=(',', ':'))
        return f'pylit.index({text})\n'.encode()

    def _entries(self, found: Outline, language: str) -> list[list[str]]:
        if not language:
            return found.entries
        catalog, source = self.catalogs[language], found.source
        place = f'entries {language} {source.url}'
        made = stamp(program(), source, self.texts[source.url], catalog.stamp)
        known = self.store.get(place, made)
        if known is None:
            known = layout.entries(self.full(found), catalog)
            self.store.put(place, made, known)
        return list(known)

    def _static(self) -> dict[str, bytes]:
        files = {f'assets/{p.name}': p.read_bytes() for p in sorted(STATIC.iterdir())}
        dist = formulas.katex() / 'dist'
        css = (dist / 'katex.min.css').read_text('utf-8')
        # Every browser that can show the page reads woff2
        css = re.sub(r',url\([^)]*\.(?:woff|ttf)\) format\("[a-z]+"\)', '', css)
        files['assets/katex/katex.css'] = css.encode()
        for font in sorted((dist / 'fonts').glob('*.woff2')):
            files[f'assets/katex/fonts/{font.name}'] = font.read_bytes()
        for url, path in sorted(self.assets.items()):
            files[url] = path.read_bytes()
        if self.config.site_url:
            files['sitemap.xml'] = self._sitemap()
            files[LOST] = self.lost(urlsplit(self.config.site_url).path.rstrip('/') + '/')
        return files

    def lost(self, base: str) -> bytes:
        """The page for addresses that do not exist; `base` is the path of the whole site."""
        return Frame(self, None, base=base).write([]).encode('utf-8')

    def _sitemap(self) -> bytes:
        folders = ['', *(f'{language}/' for language in self.catalogs)]
        shown = [p.source.url for p in self.shown() if not p.front.get('redirect')]
        if 'index.html' not in self.pages:
            shown.insert(0, 'index.html')
        addresses = [html.escape(self.address(folder + u)) for folder in folders for u in shown]
        urls = ''.join(f'<url><loc>{address}</loc></url>\n' for address in addresses)
        head = '<?xml version="1.0" encoding="UTF-8"?>\n'
        space = 'http://www.sitemaps.org/schemas/sitemap/0.9'
        return f'{head}<urlset xmlns="{space}">\n{urls}</urlset>\n'.encode()


def _base(paths: Sequence[Path]) -> Path:
    return _around(paths[0])


def _around(path: Path) -> Path:
    path = path.resolve()
    return path if path.is_dir() else path.parent


def _file(folder: Path, target: str) -> Path | None:
    """The file that a link names, if there is one; a link may name what no file can be called."""
    try:
        path = (folder / target).resolve()
        return path if path.is_file() else None
    except (OSError, ValueError, RuntimeError):
        return None


def _place(found: Outline, language: str) -> str:
    return f'page {language} {found.source.url}'


def _leads_away(target: str) -> bool:
    # Browsers drop blanks and control characters, and read a backslash as a slash
    bare = re.sub(r'[\x00-\x20]', '', target).replace('\\', '/')
    return re.match(r'[a-z][a-z0-9+.-]*:|//', bare, re.I) is not None


def _redirect(target: str) -> bytes:
    safe = html.escape(target)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{safe}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">\n'
        f'<meta http-equiv="refresh" content="0; url={safe}"></head>\n'
        f'<body><p><a href="{safe}">{safe}</a></p></body></html>\n'
    ).encode()
