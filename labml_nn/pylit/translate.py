r"""
# Translate: the same pages in another language

What is translated is a paragraph, a heading, a list item: the text as the author wrote it, with
its formulas, code and links inside. Code always comes from the source, so a translated page
cannot show old code; and a paragraph that was changed since is shown in English with a mark, not
in the words it used to have.

`gettext` writes what there is to translate as a gettext catalogue, the format that translators'
tools read: the notes; the titles and summaries that a page begins with; the titles of the site and
of its parts, and the meanings of the glossary; the words of figures, and those around every page. A
heading is translated once; the translation also serves as the title of the page, in the contents
and in the search
[tested](test:pylit/test_translate.py::test_titles_are_translated_wherever_they_stand). Code blocks,
and display formulas with blank lines around them, are not in the catalogue.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from markdown_it.token import Token

from . import prose, swap
from .config import Config
from .page import Page
from .parse import Line
from .problems import Problems, Refusal
from .prose import Note
from .remembered import Memory, fingerprint, program

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


# A number with its unit, as tables have them, is the same in any language
QUANTITY = re.compile(r'[-+−]?[\d.,]+ (?:[A-Za-zµ]{1,3}|\w+/\w+)')


def has_words(text: str) -> bool:
    text = prose.MARK.sub('', text)
    return bool(re.search(r'[^\W\d_]', text)) and not QUANTITY.fullmatch(text.strip())


def messages(page: Page) -> Iterator[tuple[str, int]]:
    """Every title, summary and paragraph of a page that has words in it, and its line."""
    for key in ('title', 'summary'):
        if has_words(page.front.get(key, '')):
            yield page.front[key], page.line(page.front_line(key))
    for note in page.notes:
        for token in note.tokens:
            if token.type == 'inline' and has_words(token.content):
                yield message(note, token), page.line(note.where(token)[0])


def settings(config: Config) -> Iterator[tuple[str, int, str]]:
    """What the configuration says to readers, its line, and what it is."""
    path = config.root / 'pyproject.toml'
    lines = path.read_text('utf-8').split('\n') if path.is_file() else []
    meanings = [(s.meaning, f'What ${s.tex[0]}$ means') for s in config.glossary]
    parts = [(p.title, 'The title of a part') for p in (*config.nav, *config.appendix)]
    for text, what in [(config.title, 'The title of the site'), *parts, *meanings]:
        if has_words(text):
            yield text, next((n for n, line in enumerate(lines, 1) if text in line), 1), what


def heading(page: Page) -> str:
    """The message that the title of a page is made from; a file's name is none."""
    if page.front.get('title'):
        return page.front['title']
    first = page.headings[0] if page.headings and page.headings[0].level == 1 else None
    return message(first.note, first.token) if first else ''


def _name(language: str) -> str:
    locale = _babel('core').Locale.parse(language, sep='_' if '_' in language else '-')
    return str(locale.get_display_name(language) or language)


def _singular(text: str | Sequence[str]) -> str:
    return text if isinstance(text, str) else text[0]


# ## A language's catalogue
@dataclass
class Catalog:
    """Translations by message; those that are unsure are known and not used."""

    language: str
    path: Path
    done: dict[str, str] = field(default_factory=dict)
    fuzzy: set[str] = field(default_factory=set)
    lines: dict[str, int] = field(default_factory=dict)
    spoken: dict[tuple[str, bool, bool], str] = field(default_factory=dict)

    @cached_property
    def stamp(self) -> str:
        """A name for everything that is in it."""
        return fingerprint(self.language, self.done, sorted(self.fuzzy))

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
            # Nothing here is counted: of an entry with a plural the singular is what we ask for
            text, said = _singular(entry.id), _singular(entry.string)
            if text:
                found.lines[text] = entry.lineno or 1
                if entry.fuzzy:
                    found.fuzzy.add(text)
                elif said:
                    found.done[text] = said
        return found

    @property
    def name(self) -> str:
        """The language's own name for itself."""
        return _name(self.language)

    def say(self, text: str) -> str:
        return self.done.get(text, text)

    def words(self, text: str, formulas: bool = True, within: Note | None = None) -> str:
        """The translation of a message as plain text; nothing if there is none."""
        if text not in self.done:
            return ''
        key = (text, formulas, bool(within and within.references))
        if key not in self.spoken:
            note = Note([], [], [], [], references=within.references if within else {})
            token = Token('inline', '', 0, children=prose.inline(note, self.done[text]))
            prose.explicit_id(token)
            self.spoken[key] = prose.plain(note, token, formulas)
        return self.spoken[key]

    def translate(self, note: Note, token: Token) -> str:
        """Put the translation into the token, its formulas into the note; or say what is wrong."""
        text = message(note, token)
        if text in self.done:
            token.children = prose.inline(note, self.done[text])
            # A heading keeps the anchor that it has in the source
            prose.explicit_id(token)
            return ''
        if not has_words(token.content):
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
    """Bring one language up to date with the sources; without a language, write the template."""
    template = _new(config)
    for page in pages:
        for text, line in messages(page):
            template.add(text, locations=[(page.source.shown, line)])
    for text, line, what in settings(config):
        template.add(text, locations=[('pyproject.toml', line)], auto_comments=[what])
    for text in texts:
        template.add(text, auto_comments=['The frame of every page'])
    folder = config.root / config.locale
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (f'{language}.po' if language else 'messages.pot')
    written = template
    if language:
        written = _new(config, language)
        if path.is_file():
            with path.open('rb') as file:
                written = _babel('messages.pofile').read_po(file, locale=language)
        _carry_over(written, template)
        written.update(template, no_fuzzy_matching=True)
    _write(path, written)
    return path


# Babel compares every new message with every old one, letter by letter: minutes for a thousand
# paragraphs. A paragraph that was changed has taken the place of one of the same page.
def _carry_over(written: Any, template: Any) -> None:
    """Give each changed message the translation of the one it was; it is unsure from now on."""
    gone: dict[str, dict[tuple[str, ...], Any]] = defaultdict(dict)
    for old in list(written):
        text = _singular(old.id)
        if text and old.string and text not in template:
            gone[_place(old)][tuple(text.split())] = old
    for new in template:
        left = gone[_place(new)]
        if not left or new.id in written:
            continue
        # First by how long they are, then by the words that both have, then by their order
        for words in difflib.get_close_matches(new.id.split(), left, 1):
            old = left.pop(tuple(words))
            said, flags = _singular(old.string), {*old.flags, 'fuzzy'}
            written.delete(old.id)
            written.add(new.id, said, flags=flags, user_comments=old.user_comments)


def _place(entry: Any) -> str:
    """The page of a message; nothing for the words of the frame."""
    return entry.locations[0][0] if entry.locations else ''


def _new(config: Config, language: str = '') -> Any:
    """An empty catalogue whose header says what is known, and leaves nothing to be filled in."""
    name = config.title or config.root.name
    return _babel('messages.catalog').Catalog(
        locale=language or None, project=name, version=' ', fuzzy=False, charset='utf-8',
        header_comment=f'# Paragraphs of {name}.', last_translator=' ',
        language_team=_name(language) if language else ' ', msgid_bugs_address=' ',
    )  # fmt: skip


def _write(path: Path, catalog: Any) -> None:
    out = io.BytesIO()
    _babel('messages.pofile').write_po(out, catalog, width=WIDTH, include_previous=False)
    text = out.getvalue().decode('utf-8')
    # No dates: a catalogue changes when a message does
    text = re.sub(
        r'^"(POT-Creation-Date|PO-Revision-Date|Generated-By): .*\n', '', text, flags=re.M
    )
    # Babel puts a space before a version, and our pages have none
    text = re.sub(r'^("Project-Id-Version: .*?) +(?=\\n"$)', r'\1', text, count=1, flags=re.M)
    swap.put(path, text)


# ## Checking a translation
LABEL = re.compile(r'\](\[[^\]]+\])')
FIELD = re.compile(r'\{\w+\}')


def protected(text: str) -> Counter[str]:
    """What a translation must take over as it is: formulas, code, images, where links lead."""
    note = prose.understand([Line(1, text)])
    found = Counter(f.source for f in note.formulas)
    for token, _ in prose.walk(note.tokens):
        if token.type == 'code_inline':
            found[f'`{note.restore(token.content)}`'] += 1
        elif token.type == 'link_open':
            found[f'({token.attrs["href"]})'] += 1
        elif token.type == 'footnote_ref':
            found[f'[^{token.meta["label"]}]'] += 1
        elif token.type == 'image':
            found[f'![]({token.attrs["src"]})'] += 1
        elif token.type == 'inline':
            # The label of a link whose address stands elsewhere on the page, and our own id
            found.update(LABEL.findall(token.content))
            ids = prose.EXPLICIT.search(token.content)
            found.update([ids[0].strip()] if ids else [])
    return found


def differences(want: Counter[str], have: Counter[str]) -> list[str]:
    """What is wrong with a translation that should have the same as its source."""
    lost = [f'the translation has lost {said}' for said in want - have]
    return lost + [f'the translation has added {said}' for said in have - want]


class Compared:
    """What is wrong with translations: a pair of texts is looked at once, and remembered."""

    def __init__(self, memory: Memory, catalog: Path):
        # Those of a catalogue stand together: thousands of small results, asked for all at once
        self.memory, self.name = memory, f'{catalog} {program()}'
        self.known: dict[str, list[str]] = memory.get(self.name) or {}
        self.asked: dict[str, list[str]] = {}

    def of(self, text: str, said: str) -> list[str]:
        both = hashlib.sha256(f'{text}\0{said}'.encode()).hexdigest()
        if both not in self.asked:
            known = self.known.get(both)
            made = differences(protected(text), protected(said)) if known is None else known
            self.asked[both] = made
        return self.asked[both]

    def keep(self) -> None:
        if self.asked != self.known:
            self.memory.put(self.name, self.asked)


@dataclass
class Checked:
    """One language's catalogue held against everything that there is to translate."""

    catalog: Catalog
    problems: Problems
    # How messages call the catalogue, and whether what is missing is told
    shown: str
    missing: bool
    compared: Compared

    def __call__(
        self, config: Config, pages: Mapping[str, Iterable[tuple[str, int]]], texts: Sequence[str]
    ) -> None:
        """Missing and outdated messages are warnings; a lost formula is an error.

        `pages` has the `messages` of each, by how they are called.
        """
        for page, said in pages.items():
            for text, line in said:
                self._message(text, (page, line, 1), '')
        for text, line, _ in settings(config):
            self._message(text, ('pyproject.toml', line, 1), f' of {text!r}')
        for text in texts:
            self._message(text, (self.shown, 1, 1), f' of {text!r}')
            if text in self.catalog.done:
                both = (Counter(FIELD.findall(t)) for t in (text, self.catalog.done[text]))
                for wrong in differences(*both):
                    self._wrong(text, wrong)
        self.compared.keep()

    def _message(self, text: str, where: tuple[str, int, int], what: str) -> None:
        if text in self.catalog.done:
            for wrong in self.compared.of(text, self.catalog.done[text]):
                self._wrong(text, wrong)
        elif self.missing:
            kind = 'outdated' if text in self.catalog.fuzzy else 'missing'
            self.problems.warning(
                where, f'{self.catalog.language}: the translation{what} is {kind}'
            )

    def _wrong(self, text: str, said: str) -> None:
        self.problems.error((self.shown, self.catalog.lines[text], 1), said)
