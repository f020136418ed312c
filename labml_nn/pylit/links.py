r"""
# Links: where the links of a page lead

A link names a file, as it lies beside the source; a reader needs the address of a page. Each link
of a page is looked up here before the page is written, so that what writes it knows no other page
and no file: it is given a table from links to **targets**, and a target says where to, or what is
wrong.

> What is outside of the project is nobody's to publish, wherever a link leads
> [tested](test:pylit/test_strangers.py::test_links_out_of_the_project_are_not_followed).
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from . import claims, figures, markup, project
from .claims import Claim, Report
from .config import Config
from .origin import Origin
from .outline import Link, Outline
from .problems import Problems
from .project import Source, readable

PICTURES = ('.png', '.jpg', '.jpeg', '.gif', '.webp', '.svg')


@dataclass(frozen=True)
class Target:
    """Where a link leads, from the root of the site; or what is wrong with it."""

    url: str = ''
    anchor: str = ''
    # A page moves into the folder of a language; a `test` and a `file` stand once
    kind: str = 'file'
    wrong: str = ''
    # Of a test: whether it has passed
    verdict: str = ''
    # Of a figure: the picture for the night
    dark: str = ''


@dataclass
class Directory:
    """All that there is to be linked: pages, tests, files, figures."""

    config: Config
    base: Path
    paths: Sequence[Path]
    report: Report
    origin: Origin
    problems: Problems
    execute: bool = False
    outlines: dict[str, Outline] = field(default_factory=dict)
    pages: dict[str, Outline] = field(default_factory=dict)
    by_path: dict[Path, Outline] = field(default_factory=dict)
    # The files that pages show
    assets: dict[str, Path] = field(default_factory=dict)
    drawn: dict[str, Target] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tests = self.config.root / self.config.tests
        tests = Path(os.path.normpath(self.tests))
        self.roots = [self.base, self.config.root.resolve(), *map(around, self.paths), tests]

    def inside(self, path: Path) -> bool:
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(root) for root in self.roots)

    def target(self, source: Source, link: Link) -> Target:
        """Look up one link of a page, or one picture."""
        kind = markup.scheme(link.href)
        if kind == 'test':
            return self._test(link.href)
        if kind == 'figure':
            return self._figure(source, link.href.removeprefix('figure:'))
        if link.picture:
            path = unquote(link.href, errors='surrogateescape')
            found = self._file(source, path)
            picture = found.url and not markup.scheme(found.url)
            return found if picture else Target(wrong=found.wrong or f'no such image: {link.href}')
        parts = urlsplit(link.href)
        path, anchor = unquote(parts.path, errors='surrogateescape'), unquote(parts.fragment)
        page = self._page(source, path)
        if page is None:
            found = self._file(source, path)
            wrong = found.wrong or f'dead link: there is no {readable(path)}'
            return found if found.url else Target(wrong=wrong)
        dead = anchor and not page.has(anchor)
        wrong = f'dead link: {page.source.shown} has no #{anchor}' if dead else ''
        return Target(page.source.url, anchor, page.source.kind, wrong)

    def _page(self, source: Source, target: str) -> Outline | None:
        beside = source.path.parent / target
        for path in (beside, beside / '__init__.py', beside.with_suffix('.py')):
            real = _file(path.parent, path.name) if path.suffix != '.html' else None
            found = self.by_path.get(real) if real else None
            if found:
                return found
        url = posixpath.normpath(posixpath.join(posixpath.dirname(source.url), target))
        if target.endswith('/') or url == '.':
            url = posixpath.normpath(posixpath.join(url, 'index.html'))
        return self.pages.get(url)

    def _file(self, source: Source, target: str) -> Target:
        """The address of a file that is no page, or why there is none."""
        path = _file(source.path.parent, target)
        roots = [root for root in self.roots if path and path.is_relative_to(root)]
        if not path or not roots:
            return Target()
        if path.suffix.lower() not in PICTURES:
            return Target(self.origin.address(path))
        wrong = figures.runs(path)
        if wrong:
            return Target(wrong=f'{project.readable(target)}: {wrong}')
        return self._publish(f'files/{path.relative_to(roots[0]).as_posix()}', path)

    def _publish(self, name: str, path: Path) -> Target:
        self.assets[f'assets/{name}'] = path
        return Target(f'assets/{name}')

    def _figure(self, source: Source, name: str) -> Target:
        if name not in self.drawn:
            drawn = figures.find(self.config, name, self.execute)
            if drawn.stale and not drawn.error:
                message = f'figure {name} is older than its source: build with --execute'
                self.problems.warning((source.shown, 1, 1), message)
            shown = [self._publish(f'figures/{p.name}', p).url for p in drawn.files.values()]
            self.drawn[name] = (
                Target(shown[0], dark=shown[-1]) if shown else Target(wrong=drawn.error)
            )
        return self.drawn[name]

    # ### Tests
    def find(self, claim: Claim) -> Target | None:
        """Where the test of a claim stands."""
        found = self.by_path.get((self.tests / claim.path).resolve())
        for defined, kind, _ in found.definitions if found else ():
            if found and defined == claim.name and claims.is_test(defined, kind):
                return Target(found.source.url, found.place(defined), found.source.kind)
        return None

    def _test(self, href: str) -> Target:
        claim = Claim.of(href)
        found = self.find(claim) if claim else None
        if not claim or not found:
            return Target(wrong=f'there is no test {href.removeprefix("test:")}')
        return Target(found.url, found.anchor, found.kind, verdict=self.report.verdict(claim))


class Table(dict[Link, Target]):
    """Where the links of one page lead."""

    def __init__(self, directory: Directory, found: Outline):
        self.directory, self.source = directory, found.source
        super().__init__({link: directory.target(found.source, link) for link in found.links})

    def __missing__(self, link: Link) -> Target:
        """A translation may have a link of its own; what is made from more has another hash."""
        self[link] = self.directory.target(self.source, link)
        return self[link]


def around(path: Path) -> Path:
    path = path.resolve()
    return path if path.is_dir() else path.parent


def _file(folder: Path, target: str) -> Path | None:
    """The file that a link names, if there is one; a link may name what no file can be called."""
    try:
        path = (folder / target).resolve()
        return path if path.is_file() else None
    except (OSError, ValueError, RuntimeError):
        return None
