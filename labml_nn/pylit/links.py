r"""
# Links: where the links of a page lead

A link names a file, as it lies beside the source; a reader needs the address of a page. Each link
is looked up here before its page is written, so the writer needs no other page and no file. It gets
a table from links to **targets**; a target says where the link leads, or what is wrong.

> No file outside the project is published, even if a link leads to it
> [tested](test:pylit/test_strangers.py::test_links_out_of_the_project_are_not_followed).
"""

from __future__ import annotations

import difflib
import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from . import bibliography, claims, figures, live, markup, notebook, project, references
from .bibliography import Entry
from .claims import Claim, Report
from .config import Config
from .origin import Origin
from .outline import Link, Outline
from .problems import Problems, Refusal
from .project import Source, readable
from .remembered import Memory
from .unchanged import is_file

# Links of this scheme lead to where a notebook can be run
COLAB = 'colab'
PICTURES = ('.png', '.jpg', '.jpeg', '.gif', '.webp', '.svg')


@dataclass(frozen=True)
class Target:
    """Where a link leads, from the root of the site; or what is wrong with it."""

    url: str = ''
    anchor: str = ''
    # A page has a copy for each language; a `test` and a `file` have one for all
    kind: str = 'file'
    wrong: str = ''
    # Of a test: whether it has passed
    verdict: str = ''
    # Of a figure: the picture for the night; of a paper: how its address is called
    dark: str = ''
    # Of what has a number: the number, and the title of its page if that is another one.
    # Of what is cited: authors and year, and the line in the list of references
    number: str = ''
    year: str = ''
    title: str = ''
    # Of a picture: width and height in pixels
    size: tuple[int, int] | None = None
    # Of a drawing: its words, which are exchanged for a page in another language
    labels: tuple[str, ...] = ()
    # Of a living one: its script, and its style sheet if it has one
    script: str = ''
    style: str = ''


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
    memory: Memory = field(default_factory=Memory)
    outlines: dict[str, Outline] = field(default_factory=dict)
    pages: dict[str, Outline] = field(default_factory=dict)
    by_path: dict[Path, Outline] = field(default_factory=dict)
    # The files that pages show
    assets: dict[str, Path] = field(default_factory=dict)
    drawn: dict[str, Target] = field(default_factory=dict)
    # The living figures that pages show, by name
    living: dict[str, live.Living] = field(default_factory=dict)
    # Files of tests by their paths below the folder of the tests
    resolved: dict[str, Path] = field(default_factory=dict)

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
        if kind == 'eqref':
            return self._equation(source, link.href.removeprefix('eqref:'))
        if kind == 'cite':
            return self._cited(link.href.removeprefix('cite:').removeprefix('@'))
        if kind in ('output', 'attachment'):
            return self._output(source, unquote(link.href, errors='surrogateescape'))
        if kind == 'figure':
            return self._figure(source, link.href.removeprefix('figure:'))
        if kind == 'live':
            return self._live(link.href.removeprefix('live:'))
        if link.picture:
            path = unquote(link.href, errors='surrogateescape')
            found = self._file(source, path)
            picture = found.url and not markup.scheme(found.url)
            return found if picture else Target(wrong=found.wrong or f'no such image: {link.href}')
        if kind == COLAB:
            return self._colab(source, link.href.removeprefix(f'{COLAB}:'))
        return self._place(source, link.href)

    def _place(self, source: Source, href: str) -> Target:
        """A page, a place on it, or a file of the project."""
        parts = urlsplit(href)
        path, anchor = unquote(parts.path, errors='surrogateescape'), unquote(parts.fragment)
        page = self._page(source, path)
        if page is None:
            found = self._file(source, path)
            wrong = found.wrong or f'dead link: there is no {readable(path)}'
            return found if found.url else Target(wrong=wrong)
        dead = anchor and not page.has(anchor)
        wrong = f'dead link: {page.source.shown} has no #{anchor}' if dead else ''
        number = page.numbered[anchor].number if anchor in page.numbered else ''
        return Target(page.source.url, anchor, page.source.kind, wrong, number=number)

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
        notebook = path.suffix == '.ipynb'
        if notebook or path.suffix.lower() not in PICTURES:
            address = self.origin.address(path)
            # A notebook that has no address of its own is copied into the site
            return Target(address) if address or not notebook else self._published(path, roots)
        return self._picture(target, path, roots)

    def _picture(self, target: str, path: Path, roots: Sequence[Path]) -> Target:
        """A picture, and the one for dark pages: `waves.dark.png` beside `waves.png`."""
        night = f'{path.stem}.dark{path.suffix}'
        shown = {target: path}
        if twin := _file(path.parent, night):
            shown[night] = twin
        found = []
        for name, each in shown.items():
            inside = any(each.is_relative_to(root) for root in roots)
            wrong = figures.runs(each, self.memory) if inside else 'a file outside of the project'
            if wrong:
                return Target(wrong=f'{project.readable(name)}: {wrong}')
            found.append(self._published(each, roots))
        if found[0].size != found[-1].size:
            return Target(wrong=f'{project.readable(night)}: not as large as {path.name}')
        return replace(found[0], dark=found[1].url) if twin else found[0]

    def _published(self, path: Path, roots: Sequence[Path]) -> Target:
        return self._publish(f'files/{path.relative_to(roots[0]).as_posix()}', path)

    def _colab(self, source: Source, target: str) -> Target:
        """Where a notebook can be run, and nowhere if Colab cannot have it."""
        path = _file(source.path.parent, unquote(target, errors='surrogateescape'))
        if path is None or path.suffix != '.ipynb':
            return Target(wrong=f'there is no notebook {readable(target)}')
        return Target(self.origin.colab(path), kind=COLAB)

    def _publish(self, name: str, path: Path) -> Target:
        self.assets[f'assets/{name}'] = path
        return Target(f'assets/{name}', size=figures.size(path, self.memory))

    def _output(self, source: Source, name: str) -> Target:
        """A picture that stands in a notebook."""
        path = notebook.picture(source.path, name)
        kind, _, called = name.partition(':')
        if path is None and kind == 'attachment':
            return Target(wrong=f'no picture {called.partition("/")[2]} is attached to this cell')
        if path is None:
            return Target(wrong=f'there is no picture {name} in this notebook')
        wrong = figures.runs(path, self.memory)
        found = Target(wrong=wrong) if wrong else self._publish(f'outputs/{path.name}', path)
        # A drawing need not say how large it is
        if kind == 'attachment' and not (wrong or found.size or path.suffix == '.svg'):
            return Target(wrong=f'the attached {called.partition("/")[2]} is not a picture')
        return found

    def _figure(self, source: Source, name: str) -> Target:
        if name not in self.drawn:
            drawn = figures.find(self.config, name, self.execute, self.memory)
            if drawn.stale and not drawn.error:
                message = f'figure {name} is older than its source: build with --execute'
                self.problems.warning((source.shown, 1, 1), message)
            shown = [self._publish(f'figures/{p.name}', p) for p in drawn.files.values()]
            labels = figures.labels(next(iter(drawn.files.values()))) if shown else ()
            self.drawn[name] = (
                replace(shown[0], dark=shown[-1].url, labels=labels)
                if shown
                else Target(wrong=drawn.error)
            )
        return self.drawn[name]

    # ### Equations
    def _equation(self, source: Source, label: str) -> Target:
        """An equation of the same page; or of the only other page that has this label."""
        anchor = references.anchor_of(label)
        found = [o for o in self.pages.values() if anchor in o.numbered]
        own = [o for o in found if o.source.url == source.url]
        if not found:
            return Target(wrong=f'there is no equation with the label {label!r}')
        if len(own or found) > 1:
            where = ' and '.join(o.source.shown for o in found)
            return Target(wrong=f'the label {label!r} stands in {where}')
        (page,) = own or found
        title = '' if own else page.heading or page.title
        number = page.numbered[anchor].number
        return Target(page.source.url, anchor, page.source.kind, number=number, title=title)

    # ### Papers
    @cached_property
    def bibliography(self) -> dict[str, Entry] | None:
        """What can be cited, if the project has said where that stands."""
        name = self.config.bibliography
        if not name:
            return None
        path = _file(self.config.root, name)
        if not path or not self.inside(path):
            raise Refusal(f'bibliography = {name!r}: there is no such file in the project')
        return bibliography.parse(path.read_text('utf-8'), name, self.problems)

    def _cited(self, key: str) -> Target:
        if self.bibliography is None:
            return Target(kind='paper')
        entry = self.bibliography.get(key)
        if not entry:
            near = difflib.get_close_matches(key, self.bibliography, 1)
            known = f': did you mean {near[0]!r}?' if near else ''
            wrong = f'{key!r} is not in {self.config.bibliography}{known}'
            return Target(kind='paper', wrong=wrong)
        address, called = entry.link
        return Target(
            address, f'ref-{key}', 'paper', dark=called,
            number=entry.authors, year=entry.year, title=entry.reference,
        )  # fmt: skip

    def _live(self, name: str) -> Target:
        found = self.living.get(name) or live.find(self.config, name, self.memory)
        if found.error:
            return Target(wrong=found.error)
        self.living[name] = found
        light, dark, *_ = [
            self._publish(f'live/{path.name}', path)
            for path in (found.light, found.dark, *found.later)
        ]
        style = f'assets/live/{name}.css' if found.style() else ''
        script = f'assets/live/{name}.js'
        return Target(light.url, dark=dark.url, script=script, style=style, size=light.size)

    # ### Tests
    def find(self, claim: Claim) -> Target | None:
        """Where the test of a claim stands."""
        found = self.by_path.get(self._tests_file(claim.path))
        for defined, kind, _ in found.definitions if found else ():
            if found and defined == claim.name and claims.is_test(defined, kind):
                return Target(found.source.url, found.place(defined), found.source.kind)
        return None

    def _tests_file(self, path: str) -> Path:
        if path not in self.resolved:
            self.resolved[path] = (self.tests / path).resolve()
        return self.resolved[path]

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
        return path if is_file(path) else None
    except (OSError, ValueError, RuntimeError):
        return None
