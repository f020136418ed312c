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
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from . import claims, figures, formulas, highlight, layout, names, origin, page, project
from .claims import Claim, Report
from .config import Config
from .formulas import Formula, Result, Typesetter
from .frame import LOST, Frame, source_script
from .layout import relative
from .page import Page
from .parse import read
from .problems import Mistakes, Problems, Refusal
from .project import Source
from .translate import Catalog

STATIC = Path(__file__).parent / 'static'


@dataclass
class Memo:
    """What an earlier build in this process knows already. `serve` lives from it."""

    pages: dict[tuple[Path, str, int], tuple[Page, Problems]] = field(default_factory=dict)
    code: dict[tuple[str, str, int], list[str]] = field(default_factory=dict)
    html: dict[tuple[object, ...], tuple[bytes, Problems]] = field(default_factory=dict)
    linked: dict[str, set[str]] = field(default_factory=dict)
    entries: dict[tuple[str, str], list[list[str]]] = field(default_factory=dict)
    typesetter: Typesetter | None = None


@dataclass
class Request:
    """What the command line asks for."""

    paths: Sequence[Path]
    config: Config
    out: Path | None = None
    junit: Path | None = None
    languages: Sequence[str] | None = None
    execute: bool = False
    remember: bool = True


class Site:
    """All pages of a project, and what they know of each other."""

    def __init__(self, request: Request, memo: Memo | None = None):
        self.request = request
        self.config = request.config
        self.memo = memo or Memo()
        self.problems = Problems()
        self.report = claims.read_report(request.junit) if request.junit else Report()
        self.pages: dict[str, Page] = {}
        self.by_path: dict[Path, Page] = {}
        self.index = names.Index()
        self.assets: dict[str, Path] = {}
        self.drawn: dict[str, tuple[str, str]] = {}
        self.by_module: dict[str, Page] = {}
        self.known: int | None = None
        self.counted: tuple[int, int, int] | None = None
        self.catalogs: dict[str, Catalog] = {}
        self.base = _base(request.paths)
        self.origin = origin.find(self.config)

    # ### Reading
    def read(self) -> None:
        """Understand every source, then the tests that they name."""
        out = self.request.out.resolve() if self.request.out else None
        for source in project.collect(self.request.paths, self.config, out):
            self._read(source)
        for written in list(self.pages.values()):
            for claim in layout.equations(written)[2]:
                self._read_test(claim)
        # Everything that is wrong in one file is told together with what is wrong in the others
        for language in self._languages():
            self.catalogs[language] = Catalog.read(self.config, language)

    def _languages(self) -> Sequence[str]:
        asked = self.request.languages
        return self.config.languages if asked is None else asked

    def _read(self, source: Source) -> Page | None:
        problems = Problems()
        try:
            text = read(source.path, source.shown)
            key = (source.path, text, hash(self.config.glossary))
            if key not in self.memo.pages:
                found = page.understand(source, self.config.glossary, problems, text)
                self.memo.pages[key] = (found, problems)
            found, problems = self.memo.pages[key]
        except Mistakes as mistakes:
            self.problems.extend(mistakes.problems)
            return None
        except OSError as error:
            self.problems.error((source.shown, 1, 1), f'cannot be read: {error.strerror}')
            return None
        if found.rows or source.url == 'index.html' or found.front.get('redirect'):
            self.pages[source.url] = found
            self.by_module[source.module] = found
        self.by_path[source.path.resolve()] = found
        self.problems.extend(p for p in problems if source.kind == 'page')
        if found.module:
            self.index.add(source.module, found.module, source.package)
        return found

    def _read_test(self, claim: Claim) -> None:
        folder = self.config.root / self.config.tests
        path = folder / claim.path
        if path.is_file() and path.resolve() not in self.by_path:
            prefix = posixpath.basename(self.config.tests.rstrip('/')) + '/'
            self._read(project.make(path, folder, prefix, 'test'))

    # ### What pages ask (`layout.World`)
    def formula(self, formula: Formula) -> Result:
        assert self.memo.typesetter
        return self.memo.typesetter.known.get(formula) or Result(error='not set')

    def page_at(self, source: Page, target: str) -> Page | None:
        found = self._page_at(source, target)
        if found:
            self.memo.linked.setdefault(source.source.url, set()).add(found.source.url)
        return found

    def _page_at(self, source: Page, target: str) -> Page | None:
        beside = source.source.path.parent / target
        for path in (beside, beside / '__init__.py', beside.with_suffix('.py')):
            found = self.by_path.get(path.resolve()) if path.suffix != '.html' else None
            if found:
                return found
        url = posixpath.normpath(posixpath.join(posixpath.dirname(source.source.url), target))
        if target.endswith('/') or url == '.':
            url = posixpath.normpath(posixpath.join(url, 'index.html'))
        return self.pages.get(url)

    def asset(self, source: Page, target: str) -> str:
        path = (source.source.path.parent / target).resolve()
        root = self.config.root.resolve()
        if not path.is_file() or not (path.is_relative_to(root) or path.is_relative_to(self.base)):
            return ''
        if path.suffix.lower() in ('.png', '.jpg', '.jpeg', '.gif', '.webp', '.svg'):
            inside = path.relative_to(self.base if path.is_relative_to(self.base) else root)
            self.assets[f'assets/files/{inside.as_posix()}'] = path
            return f'assets/files/{inside.as_posix()}'
        return self.source_url(path)

    def figure(self, source: Page, target: str) -> tuple[str, str]:
        if target not in self.drawn:
            drawn = figures.find(self.config, target, self.request.execute)
            if drawn.stale and not drawn.error:
                message = f'figure {target} is older than its source: build with --execute'
                self.problems.warning((source.source.shown, 1, 1), message)
            for theme, path in drawn.files.items():
                self.assets[f'assets/figures/{path.name}'] = path
                assert theme in ('light', 'dark')
            names_ = [f'assets/figures/{p.name}' for p in drawn.files.values()]
            self.drawn[target] = (names_[0], names_[-1]) if names_ else ('', drawn.error)
        return self.drawn[target]

    def test(self, claim: Claim) -> tuple[Page, int] | None:
        path = (self.config.root / self.config.tests / claim.path).resolve()
        found = self.by_path.get(path)
        if not found or not found.module or claim.name not in claims.names(found.module):
            return None
        line = next(d.line for d in found.module.definitions if d.name == claim.name)
        return found, line

    def verdict(self, claim: Claim, source: Page) -> str:
        path = self.config.root / self.config.tests / claim.path
        newest = max(p.stat().st_mtime for p in (path, source.source.path))
        return self.report.verdict(claim, newest)

    def source_url(self, path: Path, first: int = 0, last: int = 0) -> str:
        return self.origin.address(path, first, last)

    def inside(self, path: Path) -> str:
        """How a file is called on the pages: from the root of the project, wherever we stand."""
        for folder in (self.config.root.resolve(), self.base):
            if path.resolve().is_relative_to(folder):
                return path.resolve().relative_to(folder).as_posix()
        return path.name

    def address(self, url: str) -> str:
        """Where the world finds a page, if the project has said where the site will stand."""
        base = self.config.site_url.rstrip('/')
        shown = re.sub(r'(^|(?<=/))index[.]html$', '', url)
        return f'{base}/{shown}' if base else ''

    # ### Rendering
    def render(self) -> dict[str, bytes]:
        """Every file of the site. Raises `Mistakes` if anything is wrong."""
        self.read()
        if self.problems.errors:
            self.problems.raise_errors()
        typesetter = self._typesetter()
        typesetter.ask(self._formulas())
        # While Node sets the formulas, Python colours the code
        code = {url: self._code(found) for url, found in self.pages.items()}
        typesetter.collect()
        for found in self.pages.values():
            page.formula_mistakes(found, typesetter.known, self.problems)
        files: dict[str, bytes] = {}
        for language in ('', *self.catalogs):
            folder = f'{language}/' if language else ''
            for url, found in self.pages.items():
                files[folder + url] = self._page(found, code[url], language)
            if 'index.html' not in self.pages:
                files[f'{folder}index.html'] = self._listing(language)
            files[f'{folder}search.js'] = self._search()
        for url, found in self.pages.items():
            text = json.dumps(found.text, ensure_ascii=False)
            files[source_script(url)] = f'pylit.source({text})\n'.encode()
        self.problems.raise_errors()
        files |= self._static()
        return files

    def _typesetter(self) -> Typesetter:
        if self.memo.typesetter is None:
            self.memo.typesetter = Typesetter(dict(self.config.macros), self.request.remember)
        return self.memo.typesetter

    def close(self) -> None:
        if self.memo.typesetter:
            self.memo.typesetter.close()

    def _formulas(self) -> list[Formula]:
        found = [p.request(f) for p in self.pages.values() for _, f in p.formulas()]
        found += [Formula(s.tex[0], False, s.tex[0]) for s in self.config.glossary]
        for language, catalog in self.catalogs.items():
            for source in self.pages.values():
                found += [source.request(f) for f in catalog.formulas(source)]
            assert language
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

    def signature(self) -> int:
        """All that pages know of each other's names; while it stays, links in code do."""
        if self.known is None:
            modules = tuple((m, frozenset(n)) for m, n in self.index.modules.items())
            exports = tuple((m, frozenset(e.items())) for m, e in self.index.exports.items())
            self.known = hash((modules, exports, tuple(self.pages)))
        return self.known

    def _links(self, source: Page) -> dict[tuple[int, int], str]:
        assert source.module
        place = source.source
        found = {}
        for at, use in names.uses(place.module, source.module, place.package, self.index).items():
            target = self.by_module.get(use.module)
            if target is None or (not use.name and target is source):
                continue
            address = '' if target is source else relative(place.url, target.source.url)
            found[at] = address + (f'#{page.anchor_of(use.name)}' if use.name else '')
        return found

    def _page(self, source: Page, code: list[str], language: str) -> bytes:
        if source.front.get('redirect'):
            return _redirect(source.front['redirect'])
        key = self._key(source, code, language)
        if key not in self.memo.html:
            before, self.problems = self.problems, Problems()
            shown = Frame(self, source, language).write(code)
            self.memo.html[key] = (shown.encode('utf-8'), self.problems)
            self.problems = before
            # Its links are known only now, and belong to what it depends on
            self.memo.html[self._key(source, code, language)] = self.memo.html[key]
        shown_bytes, problems = self.memo.html[key]
        self.problems.extend(p for p in problems if p not in self.problems)
        return shown_bytes

    def _key(self, source: Page, code: list[str], language: str) -> tuple[object, ...]:
        """Everything that a page shows: while it is the same, so is the page."""
        around = tuple((u, p.title) for u, p in self.pages.items())
        # Whether an anchor is still there matters to those who link to it
        linked = sorted(self.memo.linked.get(source.source.url, ()))
        anchors = tuple((u, tuple(self.pages[u].anchors)) for u in linked if u in self.pages)
        counted = self.coverage() if source.source.url == 'index.html' else None
        catalog = self.catalogs.get(language)
        tests = (self.report.written, len(self.by_path), self.request.execute)
        said = hash(catalog) if catalog else 0
        return (
            source.source.url,
            source.text,
            language,
            around,
            anchors,
            counted,
            tests,
            said,
            id(code),
        )

    def _listing(self, language: str) -> bytes:
        return Frame(self, None, language).write([]).encode('utf-8')

    def coverage(self) -> tuple[int, int, int]:
        """Equations on all pages, those that carry a test, and the tests that passed."""
        if self.counted:
            return self.counted
        total = tested = 0
        passed: set[Claim] = set()
        for source in self.shown():
            count, covered, named = layout.equations(source)
            total, tested = total + count, tested + len(covered)
            good = [c for c in named if self.test(c)]
            passed |= {c for c in good if self.verdict(c, source) == claims.PASSED}
        self.counted = total, tested, len(passed)
        return self.counted

    def shown(self) -> list[Page]:
        """The pages that a reader is led to: all but the sources of the tests."""
        return [p for p in self.pages.values() if p.source.kind == 'page']

    # ### Everything that is not a page
    def _search(self) -> bytes:
        """A script and not JSON: a page that was opened from a file may not fetch."""
        index = [
            [source.source.url, source.title, self._entries(source)] for source in self.shown()
        ]
        text = json.dumps(index, ensure_ascii=False, separators=(',', ':'))
        return f'pylit.index({text})\n'.encode()

    def _entries(self, source: Page) -> list[list[str]]:
        key = (source.source.url, source.text)
        if key not in self.memo.entries:
            self.memo.entries[key] = layout.entries(source)
        return self.memo.entries[key]

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
    first = paths[0].resolve()
    return first if first.is_dir() else first.parent


def _redirect(target: str) -> bytes:
    if re.match(r'[a-z][a-z0-9+.-]*:|//', target, re.I):
        raise Refusal(f'redirect to {target}: only to a page of the same site')
    safe = html.escape(target)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{safe}</title>\n'
        f'<meta http-equiv="refresh" content="0; url={safe}"></head>\n'
        f'<body><p><a href="{safe}">{safe}</a></p></body></html>\n'
    ).encode()
