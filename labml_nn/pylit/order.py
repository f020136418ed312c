r"""
# Order: what is read after what

A project says in which order its pages are read (`nav`), in parts with titles if it has many.
That is the **path**: its pages are numbered, and lead from one to the next. What is not on the
path is looked up: it follows by folder, in the order of `appendix` and then by name, and its
neighbours are those of its own branch
[tested](test:pylit/test_frame.py::test_pages_beside_the_path_stay_among_themselves).

The list of all pages is a tree, of the parts and then of the folders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from .config import Config, Part
from .project import Source, inside, readable

HOME = 'index.html'


@dataclass
class Branch:
    """Pages under one title, or one page by its address. A part of the path has no page itself."""

    url: str = ''
    title: str = ''
    inner: list[Branch] = field(default_factory=list)

    def pages(self) -> Iterator[str]:
        """Every page of the branch, in reading order."""
        if self.url:
            yield self.url
        for branch in self.inner:
            yield from branch.pages()


@dataclass(frozen=True)
class Order:
    """The path of a project, and the tree of all its pages."""

    # Nothing if the project names no order: all pages follow one another
    path: Sequence[str]
    tree: Sequence[Branch]

    @cached_property
    def steps(self) -> dict[str, int]:
        """The pages of the path by their numbers. The one that lists them has none."""
        return {url: n for n, url in enumerate((u for u in self.path if u != HOME), 1)}

    def line(self, url: str) -> list[str]:
        """The pages among which a page has its neighbours."""
        if not self.path:
            return [page for branch in self.tree for page in branch.pages()]
        if url in self.path:
            return list(self.path)
        own = next((list(b.pages()) for b in self.tree if url in b.pages()), [])
        aside = [page for page in own if page not in self.path]
        return [*self.path[:1], *aside] if url in aside else []


def order(sources: Sequence[Source], config: Config) -> Order:
    """From sources in reading order to the path and the tree."""
    by_name = {inside(source, config): source.url for source in sources}
    path: list[str] = []
    tree: list[Branch] = []
    for part in config.nav:
        inner = _known(part, by_name)
        path += [branch.url for branch in inner]
        # A source without a part stands for itself
        tree += [Branch(title=part.title, inner=inner)] if part.title else inner
    tree += [
        Branch(title=part.title, inner=_known(part, by_name))
        for part in config.appendix
        if part.title
    ]
    placed = {page for branch in tree for page in branch.pages()}
    others = _folders([source.url for source in sources if source.url not in placed])
    return Order(path, [branch for branch in [*tree, *others] if branch.url or branch.inner])


def _known(part: Part, by_name: Mapping[str, str]) -> list[Branch]:
    return [Branch(by_name[name]) for name in part.pages if name in by_name]


def _folders(urls: Sequence[str]) -> list[Branch]:
    """A tree by folders, each where its first page stands."""
    top = Branch()
    folders: dict[tuple[str, ...], Branch] = {(): top}
    for url in urls:
        *names, last = url.split('/')
        above = top
        for depth in range(1, len(names) + 1):
            name = tuple(names[:depth])
            if name not in folders:
                folders[name] = Branch(title=readable(names[depth - 1]))
                above.inner.append(folders[name])
            above = folders[name]
        if last == HOME and names:
            above.url = url
        else:
            above.inner.append(Branch(url))
    return top.inner
