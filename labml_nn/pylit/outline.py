r"""
# Outline: what other pages need to know of a page

Titles for the contents, anchors for those who link there, definitions for the names in code,
equations for the count on the front page. All of it together is a small part of a page, and it is
what has to be read of a page that has not changed since the last build.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from markdown_it.token import Token

from . import claims, markup, names, prose, references, translate
from .claims import Claim
from .names import Place
from .page import Page, anchor_of, is_line
from .problems import Problem, Problems
from .project import Source
from .prose import Note
from .references import Numbered

# What is looked up and is no path
SCHEMES = ('test', 'figure', 'colab', 'eqref', 'cite', 'live', 'attachment')


@dataclass(frozen=True)
class Link:
    """A link or a picture as an author writes it, if it leads to another file of the project."""

    href: str
    picture: bool = False


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
    # How many displayed equations there are, and of each that is tested which claims vouch for it
    equations: int
    tested: tuple[tuple[int, ...], ...]
    # The tests that are named, in reading order, and the anchor of the row that names each
    claims: tuple[Claim, ...]
    claimed: tuple[str, ...]
    links: tuple[Link, ...]
    # What has a number, by its anchor
    numbered: dict[str, Numbered]
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
    count, covered, named = equations(page)
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
        count - sum(f.no_test is not None for f in displayed(page)),
        tuple(map(tuple, covered.values())),
        tuple(claim for claim, _ in named),
        tuple(anchor for _, anchor in named),
        tuple(dict.fromkeys(links(page))),
        page.numbered,
        problems,
    )


# ## What a page leads to
def links(page: Page) -> Iterator[Link]:
    """The links of a page that have to be looked up, in reading order."""
    for section in page.sections:
        yield from (Link(o.picture, True) for o in section.outputs if o.picture)
    for note in page.notes:
        for token, _ in prose.walk(note.tokens):
            for link in _links(note, token):
                kind = markup.scheme(link.href)
                inside = not kind and link.href[:2] != '//' and urlsplit(link.href).path
                if inside or kind in SCHEMES:
                    yield link
        for formula in note.formulas:
            for label, _ in references.referred(formula.tex):
                yield Link(f'eqref:{label}')


def _links(note: Note, token: Token) -> list[Link]:
    if token.type == 'link_open':
        return [Link(str(token.attrs['href']))]
    if token.type == 'image':
        return [Link(str(token.attrs['src']), True)]
    if token.type not in ('html_inline', 'html_block') or not markup.is_html(token.content):
        return []
    found = markup.look(token.content)
    return [Link(note.restore(href), picture) for href, picture in found.links]


# ## Counting what is tested
#
# An equation of which the author says why it has no test, a definition, is not counted.
def displayed(page: Page) -> list[prose.Formula]:
    """The display formulas of the notes, in the order in which `equations` numbers them."""
    return [
        note.formulas[int(mark[1])]
        for note in page.notes
        for token in note.tokens
        if token.type == 'inline'
        for child in token.children or ()
        for mark in prose.MARK.finditer(child.content)
        if note.formulas[int(mark[1])].display
    ]


def equations(page: Page) -> tuple[int, dict[int, list[int]], list[tuple[Claim, str]]]:
    """How many display formulas; which tests each of them carries; the tests, and their rows."""
    blocks: list[tuple[str, int]] = []
    count, named = 0, list[tuple[Claim, str]]()
    for row, note in ((row, page.notes[i]) for row in page.rows for i in row.sections):
        for token in note.tokens:
            if token.type == 'heading_open':
                blocks.append(('heading', 0))
            if token.type != 'inline':
                continue
            marks = []
            for child in token.children or ():
                for mark in prose.MARK.finditer(child.content):
                    formula = note.formulas[int(mark[1])]
                    if formula.display:
                        # What needs no test takes no mark from one that does
                        blocks += [('equation', count)] * (formula.no_test is None)
                        count += 1
                claim = Claim.of(str(child.attrs.get('href', ''))) if child.attrs else None
                if claim and str(child.attrs['href']).startswith('test:'):
                    marks.append(('mark', len(named)))
                    named.append((claim, row.anchor))
            # A mark in a paragraph speaks of the equation in it, on whichever side it stands
            blocks += marks
    return count, claims.covered(blocks), named


# ## To be kept, and back
def dump(outline: Outline) -> dict[str, Any]:
    exports = outline.exports
    return {
        **{k: v for k, v in vars(outline).items() if k != 'source'},
        'anchors': sorted(outline.anchors),
        'exports': exports and {k: [p.module, p.name, p.inside] for k, p in exports.items()},
        'claims': [[c.path, c.name] for c in outline.claims],
        'links': [[link.href, link.picture] for link in outline.links],
        'numbered': {anchor: list(vars(n).values()) for anchor, n in outline.numbered.items()},
        'problems': [list(vars(p).values()) for p in outline.problems],
    }


def load(source: Source, kept: dict[str, Any]) -> Outline:
    exports = kept['exports']
    said: dict[str, Any] = {
        **kept,
        'anchors': frozenset(kept['anchors']),
        'definitions': tuple((str(n), str(k), int(line)) for n, k, line in kept['definitions']),
        'exports': exports if exports is None else {k: Place(*p) for k, p in exports.items()},
        'tested': tuple(map(tuple, kept['tested'])),
        'claims': tuple(Claim(*c) for c in kept['claims']),
        'claimed': tuple(kept['claimed']),
        'links': tuple(Link(*link) for link in kept['links']),
        'numbered': {anchor: Numbered(*n) for anchor, n in kept['numbered'].items()},
        'problems': Problems(Problem(*p) for p in kept['problems']),
    }
    return Outline(source, **said)
