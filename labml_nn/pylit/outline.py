r"""
# Outline: what other pages need to know of a page

Titles for the contents, anchors for those who link there, definitions for the names in code,
equations for the count on the front page. All of it together is a small part of a page, and it is
what has to be read of a page that has not changed since the last build.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import layout, names, translate
from .claims import Claim
from .names import Place
from .page import Page, anchor_of, is_line
from .problems import Problem, Problems
from .project import Source


@dataclass(frozen=True)
class Outline:
    """A page as the others see it."""

    source: Source
    title: str
    # What the title is made from, as translators see it; nothing if it is the name of a file
    heading: str
    front: dict[str, str]
    anchors: frozenset[str]
    # Where definitions stand that are not at the anchor of their name
    places: dict[str, str]
    length: int
    # Whether there is anything to be shown
    rows: bool
    # Name, kind and line of what is defined here; and what it makes visible to others
    definitions: tuple[tuple[str, str, int], ...]
    exports: dict[str, Place] | None
    equations: int
    tested: int
    claims: tuple[Claim, ...]
    entries: list[list[str]]
    problems: Problems

    def place(self, name: str) -> str:
        """The anchor of a definition."""
        return self.places.get(name) or anchor_of(name)

    def has(self, anchor: str) -> bool:
        """Whether a link to this place arrives."""
        return anchor in self.anchors or is_line(anchor, self.length)


def of(page: Page, problems: Problems) -> Outline:
    """The outline of a page that was understood."""
    module, source = page.module, page.source
    count, covered, named = layout.equations(page)
    return Outline(
        source,
        page.title,
        translate.heading(page),
        page.front,
        frozenset(page.anchors),
        {name: anchor for name, anchor in page.places.items() if anchor != anchor_of(name)},
        len(page.lines),
        bool(page.rows),
        tuple((d.name, d.kind, d.line) for d in module.definitions) if module else (),
        names.exports(module, source.module, source.package) if module else None,
        count,
        len(covered),
        tuple(named),
        layout.entries(page),
        problems,
    )


# ## To be kept, and back
def dump(outline: Outline) -> dict[str, Any]:
    exports = outline.exports
    return {
        **{k: v for k, v in vars(outline).items() if k != 'source'},
        'anchors': sorted(outline.anchors),
        'exports': exports and {k: [p.module, p.name] for k, p in exports.items()},
        'claims': [[c.path, c.name] for c in outline.claims],
        'problems': [list(vars(p).values()) for p in outline.problems],
    }


def load(source: Source, kept: dict[str, Any]) -> Outline:
    exports = kept['exports']
    said: dict[str, Any] = {
        **kept,
        'anchors': frozenset(kept['anchors']),
        'definitions': tuple((str(n), str(k), int(line)) for n, k, line in kept['definitions']),
        'exports': exports if exports is None else {k: Place(*p) for k, p in exports.items()},
        'claims': tuple(Claim(*c) for c in kept['claims']),
        'problems': Problems(Problem(*p) for p in kept['problems']),
    }
    return Outline(source, **said)
