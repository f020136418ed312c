r"""
# Search: what there is to be found

Every word of the pages can be found, in the notes and in the code. A page is cut into **entries**,
one for each heading and one for each row below it, because a reader wants to arrive at the
paragraph and not at the top of a long page. An entry has fields, and it counts where a word stands:
in a heading, in the name of a definition, among its parameters, in the prose, in the code.

What is written here is text and no index. The script, `static/search.js`, makes its index from the
text when a reader touches the box, in less time than a larger file would take to arrive; and it
needs the text anyway, to show the line in which a word stands. Words become equal there: *Frechet*
and *Fréchet*, `\bar\alpha`, `alpha_bar` and ᾱ. What people ask, and where they have to be led, is
a list in three languages [tested](test:pylit/test_search.py::test_questions_find_their_answers).

Each language has a file of its own. The code is the same in all of them and has one for all.
Both are scripts and not JSON: a page that was opened from a file may not fetch.
"""

from __future__ import annotations

import ast
import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from markdown_it.token import Token

from . import prose, translate
from .config import Config
from .page import Heading, Page, Row
from .parse import bodies
from .readable import readable
from .translate import Catalog

# Beside each other in the folder of a language, and in the folder of the site
TEXT, CODE = 'search.js', 'search-code.js'
# What the box says; no page is longer for it
TEXTS = {'nothing': 'Nothing found', 'found': '{n} results'}
TAG = re.compile(r'<[^>]*>')


@dataclass
class Entry:
    """A place that a reader can be led to, and what stands there."""

    anchor: str
    heading: str = ''
    # What it stands below: a heading, or the definition around it
    under: str = ''
    names: list[str] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)
    prose: list[str] = field(default_factory=list)
    # The heading in English, where it is shown in another language
    english: str = ''
    code: list[str] = field(default_factory=list)

    def text(self) -> list[str]:
        """The fields that are not code; the last ones only if there is something in them."""
        fields = [
            self.anchor,
            self.heading,
            self.under,
            ' '.join(self.names),
            ' '.join(self.parameters),
            '\n'.join(self.prose),
            self.english,
        ]
        while not fields[-1]:
            fields.pop()
        return fields


# ## From a page to its entries
def entries(page: Page, catalog: Catalog | None = None) -> list[Entry]:
    """The entries of a page in reading order, in a language if there is a catalogue."""
    return list(_Entries(page, catalog).all())


class _Entries:
    """One walk over the rows of a page."""

    def __init__(self, page: Page, catalog: Catalog | None):
        self.page = page
        self.catalog = catalog
        self.headings = {id(heading.token): heading for heading in page.headings}
        # The headings that a row stands below, outermost first, without the title of the page
        self.above: list[tuple[int, str]] = []
        self.defined = _defined(page)

    def all(self) -> Iterator[Entry]:
        for row in self.page.rows:
            yield from self._row(row)

    def _row(self, row: Row) -> list[Entry]:
        now = Entry(row.anchor, under=self._under(row))
        found = [now]
        note = self.page.notes[row.sections[0]]
        for token in note.tokens:
            heading = self.headings.get(id(token))
            if heading:
                if now.heading or now.prose:
                    now = Entry(heading.anchor)
                    found.append(now)
                elif not row.name:
                    now.anchor = heading.anchor
                self._head(now, heading)
            elif token.type == 'inline':
                now.prose.append(self._words(note, token))
            elif token.type in ('fence', 'code_block'):
                now.prose.append(note.restore(token.content).strip())
            elif token.type == 'html_block':
                now.prose.append(html.unescape(TAG.sub(' ', note.restore(token.content))).strip())
        # The code stands beside all of the note, and the row has its name
        lines = [line for i in row.sections for line in self.page.sections[i].code]
        found[0].code = [line.text.strip() for line in lines if line.text.strip()]
        for line in lines:
            names, parameters = self.defined.get(line.number, ((), ()))
            found[0].names += names
            found[0].parameters += parameters
        return found

    def _head(self, entry: Entry, heading: Heading) -> None:
        entry.heading = self._words(heading.note, heading.token)
        entry.english = heading.text if heading.text != entry.heading else ''
        while self.above and self.above[-1][0] >= heading.level:
            self.above.pop()
        entry.under = self.above[-1][1] if self.above else ''
        if heading.level > 1:
            self.above.append((heading.level, entry.heading))

    def _under(self, row: Row) -> str:
        if not row.name:
            scope = self.page.sections[row.sections[0]].scope
            if scope:
                return scope
        return self.above[-1][1] if self.above else ''

    def _words(self, note: prose.Note, token: Token) -> str:
        """A paragraph in words, in the language if it has been translated."""
        if self.catalog:
            words = self.catalog.words(translate.message(note, token), within=note)
            if words:
                return words
        return prose.plain(note, token)


def _defined(page: Page) -> dict[int, tuple[list[str], list[str]]]:
    """By line: the names that are defined there, and what they take or hold."""
    found: dict[int, tuple[list[str], list[str]]] = {}
    if page.module is None:
        return found
    for definition in page.module.definitions:
        found.setdefault(definition.line, ([], []))[0].append(definition.name)
    for body in bodies(page.module.tree):
        for line, name in _declared(body):
            found.setdefault(line, ([], []))[1].append(name)
    return found


def _declared(body: ast.AST) -> Iterator[tuple[int, str]]:
    """The parameters of a function; the constants of a module, the fields of a class."""
    if isinstance(body, (ast.FunctionDef, ast.AsyncFunctionDef)):
        taken = body.args
        more = [arg for arg in (taken.vararg, taken.kwarg) if arg]
        for arg in [*taken.posonlyargs, *taken.args, *taken.kwonlyargs, *more]:
            if arg.arg not in ('self', 'cls'):
                yield arg.lineno, arg.arg
    elif isinstance(body, (ast.Module, ast.ClassDef)):
        for node in body.body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            for target in [node.target] if isinstance(node, ast.AnnAssign) else targets:
                if isinstance(target, ast.Name):
                    yield target.lineno, target.id


# ## Words for the same thing
def synonyms(config: Config, catalog: Catalog | None = None) -> list[list[list[str]]]:
    """Groups of words for the same thing, each with questions that ask for just that.

    A symbol of the glossary is called as papers write it and by its first name in code. The other
    names may be the names of anything; what it means is a question and no name.
    """
    groups = [[list(group)] for group in config.synonyms]
    for symbol in config.glossary:
        meaning = catalog.say(symbol.meaning) if catalog else symbol.meaning
        same = [*dict.fromkeys(readable(tex) for tex in symbol.tex), *symbol.names[:1]]
        groups.append([same, [meaning]] if meaning else [same])
    return groups


# ## The two scripts
def text_script(
    pages: Iterable[Sequence[object]], groups: Sequence[object], catalog: Catalog | None = None
) -> bytes:
    """`pages` are address, title and the fields of all entries."""
    texts = {key: catalog.say(text) if catalog else text for key, text in TEXTS.items()}
    return f'pylit.index({_json([*pages])},{_json(groups)},{_json(texts)})\n'.encode()


def code_script(pages: Iterable[Sequence[str]]) -> bytes:
    """The code of each entry, page by page, in the order of the other file."""
    return f'pylit.code({_json([*pages])})\n'.encode()


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(',', ':'))
