r"""
# Translate: the same pages in another language

What is translated is a paragraph, a heading, a list item: the text as the author wrote it, with
its formulas, code and links inside. Code always comes from the source, so a translated page
cannot show old code; and a paragraph that was changed since is shown in English with a mark, not
in the words it used to have.

`gettext` writes what there is to translate as a gettext catalogue, the format that translators'
tools read. Display formulas and code blocks stand between paragraphs and are not in it.
"""

from __future__ import annotations

import importlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markdown_it.token import Token

from . import prose
from .config import Config
from .page import Page
from .parse import Line
from .problems import Problems, Refusal
from .prose import Note

WIDTH = 96
MISSING, OUTDATED = 'untranslated', 'outdated'


def _babel(name: str) -> Any:
    try:
        return importlib.import_module(f'babel.{name}')
    except ImportError:
        raise Refusal("translations need Babel: pip install 'labml-nn[i18n]'") from None


# ## Messages
def message(note: Note, token: Token) -> str:
    """A paragraph as a translator sees it: one line, formulas and code as they were written."""
    return re.sub(r'\s*\n\s*', ' ', note.restore(token.content)).strip()


def messages(page: Page) -> Iterator[tuple[str, int]]:
    """Every paragraph of a page that has words in it, and its line."""
    for note in page.notes:
        for token in note.tokens:
            if token.type == 'inline' and re.search(r'[^\W\d_]', prose.MARK.sub('', token.content)):
                yield message(note, token), note.where(token)[0]


# ## A language's catalogue
@dataclass
class Catalog:
    """Translations by message; those that are unsure are known and not used."""

    language: str
    path: Path
    done: dict[str, str] = field(default_factory=dict)
    fuzzy: set[str] = field(default_factory=set)
    lines: dict[str, int] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.language, frozenset(self.done.items()), frozenset(self.fuzzy)))

    @classmethod
    def read(cls, config: Config, language: str) -> Catalog:
        path = config.root / config.locale / f'{language}.po'
        if not path.is_file():
            raise Refusal(f'{path}: no catalogue: run `gettext --lang {language}` first')
        found = cls(language, path)
        try:
            with path.open('rb') as file:
                catalog = _babel('messages.pofile').read_po(file, locale=language)
        except (ValueError, OSError) as error:
            raise Refusal(f'{path}: {error}') from None
        for entry in catalog:
            if entry.id:
                found.lines[entry.id] = entry.lineno or 1
                if entry.fuzzy:
                    found.fuzzy.add(entry.id)
                elif entry.string:
                    found.done[entry.id] = entry.string
        return found

    @property
    def name(self) -> str:
        """The language's own name for itself."""
        locale = _babel('core').Locale.parse(
            self.language, sep='_' if '_' in self.language else '-'
        )
        return str(locale.get_display_name(self.language) or self.language)

    def say(self, text: str) -> str:
        return self.done.get(text, text)

    def translate(self, note: Note, token: Token) -> str:
        """Put the translation into the token; or say what is wrong with it."""
        text = message(note, token)
        if text in self.done:
            token.children = prose.inline(note, self.done[text])
            return ''
        if not re.search(r'[^\W\d_]', prose.MARK.sub('', token.content)):
            return ''
        return OUTDATED if text in self.fuzzy else MISSING

    def formulas(self, page: Page) -> list[prose.Formula]:
        """Formulas that stand only in the translation: reordered ones are known already."""
        found = []
        for text, _ in messages(page):
            if text in self.done:
                note = prose.understand([Line(1, self.done[text])])
                found += note.formulas
        return found


# ## Writing the catalogue
def update(config: Config, pages: Sequence[Page], texts: Sequence[str], language: str) -> Path:
    """Write `messages.pot`, or bring one language up to date with it."""
    catalog_module = _babel('messages.catalog')
    template = catalog_module.Catalog(
        project=config.title or config.root.name, fuzzy=False, charset='utf-8',
        header_comment='# Paragraphs of the annotated sources.',
    )  # fmt: skip
    for page in pages:
        for text, line in messages(page):
            template.add(text, locations=[(page.source.shown, line)])
    for text in texts:
        template.add(text, auto_comments=['The frame of every page'])
    folder = config.root / config.locale
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (f'{language}.po' if language else 'messages.pot')
    written = template
    if language:
        written = catalog_module.Catalog(locale=language, charset='utf-8')
        if path.is_file():
            with path.open('rb') as file:
                written = _babel('messages.pofile').read_po(file, locale=language)
        written.update(template)
    _write(path, written)
    return path


def _write(path: Path, catalog: Any) -> None:
    out = io.BytesIO()
    _babel('messages.pofile').write_po(out, catalog, width=WIDTH, include_previous=False)
    text = out.getvalue().decode('utf-8')
    # No dates: a catalogue changes when a message does
    text = re.sub(
        r'^"(POT-Creation-Date|PO-Revision-Date|Generated-By): .*\n', '', text, flags=re.M
    )
    fresh = path.with_name(f'{path.name}.tmp')
    fresh.write_text(text, encoding='utf-8')
    fresh.replace(path)


# ## Checking a translation
PROTECTED = re.compile(r'\]\(([^)]*)\)')


def protected(text: str) -> Counter[str]:
    """What a translation must take over as it is: formulas, code and where links lead."""
    note = prose.understand([Line(1, text)])
    found = Counter(f.source for f in note.formulas)
    for token, _ in prose.walk(note.tokens):
        if token.type == 'code_inline':
            found[f'`{note.restore(token.content)}`'] += 1
        elif token.type == 'link_open':
            found[f'({token.attrs["href"]})'] += 1
    return found


def check(catalog: Catalog, pages: Sequence[Page], problems: Problems, shown: str) -> None:
    """Missing and outdated paragraphs are warnings; a lost formula is an error."""
    for page in pages:
        for text, line in messages(page):
            if text in catalog.done:
                _compare(catalog, text, problems, shown)
            else:
                kind = 'outdated' if text in catalog.fuzzy else 'missing'
                where = (page.source.shown, line, 1)
                problems.warning(where, f'{catalog.language}: the translation is {kind}')


def _compare(catalog: Catalog, text: str, problems: Problems, shown: str) -> None:
    want, have = protected(text), protected(catalog.done[text])
    where = (shown, catalog.lines[text], 1)
    for lost in want - have:
        problems.error(where, f'the translation has lost {lost}')
    for added in have - want:
        problems.error(where, f'the translation has added {added}')
