r"""
# Bibliography: who is cited

`bibliography = "docs/references.bib"` in `[tool.pylit]` names a file of BibTeX, as other programs
keep and export it. A page cites from it as Pandoc does, and lists at its end what it has cited:

| written | becomes |
|---|---|
| `[@ho2020]` | (Ho et al., 2020) |
| `[@ho2020, eq. 12; @song2021]` | (Ho et al., 2020, eq. 12; Song et al., 2021) |
| `@ho2020` | Ho et al. (2020) |

A citation is a link to the list, and tells its title to those who point at it. Without a
bibliography these are words like others. Of BibTeX we read entries, strings and the accents of
names; macros of TeX are not expanded
[tested](test:pylit/test_bibliography.py::test_names_and_titles_of_bibtex).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace
from string import ascii_lowercase

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

from .problems import Problems


@dataclass(frozen=True)
class Entry:
    """A reference: what is in its braces, by the names of the fields."""

    key: str
    kind: str
    fields: dict[str, str]
    line: int = 1
    # What tells it from another that a sentence would call the same
    letter: str = ''

    @property
    def families(self) -> list[str]:
        """The family names of the authors, or of the editors."""
        people = self.fields.get('author') or self.fields.get('editor') or ''
        return [_family(name) for name in _people(people)]

    @property
    def year(self) -> str:
        year = self.fields.get('year') or self.fields.get('date', '')[:4]
        return year and year + self.letter

    @property
    def authors(self) -> str:
        """As a sentence calls them: one, two, or the first of many."""
        families = self.families or [self.fields.get('title', self.key)]
        if len(families) > 2 or families[-1] == 'others':
            return f'{families[0]} et al.'
        return ' and '.join(families)

    @property
    def reference(self) -> str:
        """One line of a list of references."""
        people = self.fields.get('author') or self.fields.get('editor') or ''
        names = [_initials(name) for name in _people(people)]
        if len(names) > 4:
            names = [*names[:3], 'et al.']
        said = ', '.join(names)
        venues = ('journal', 'booktitle', 'publisher', 'institution', 'school', 'howpublished')
        venue = next((self.fields[name] for name in venues if self.fields.get(name)), '')
        head = f'{said} ({self.year})' if self.year else said
        return ' '.join(f'{part.rstrip(".")}.' for part in (head, self._title, venue) if part)

    @property
    def _title(self) -> str:
        return self.fields.get('title', '')

    @property
    def link(self) -> tuple[str, str]:
        """Where it is read, and what that address is called."""
        if doi := self.fields.get('doi'):
            doi = re.sub(r'^https?://(dx[.])?doi[.]org/', '', doi)
            return f'https://doi.org/{doi}', f'doi:{doi}'
        url = self.fields.get('url', '')
        number = self.fields.get('eprint') or ''
        if found := re.search(r'arxiv[.]org/(?:abs|pdf)/([\w./-]+?)(?:[.]pdf)?$', url):
            number = number or found[1]
        if number and not re.search(r'\barxiv\b', self.fields.get('archiveprefix', 'arxiv'), re.I):
            number = ''
        if number:
            return f'https://arxiv.org/abs/{number}', f'arXiv:{number}'
        return url, re.sub(r'^https?://(www[.])?', '', url)


# ## Reading BibTeX
ENTRY = re.compile(r'@\s*(\w+)\s*([{(])')
FIELD = re.compile(r'\s*([A-Za-z][\w-]*)\s*=\s*')
KEY = re.compile(r'[^\s,{}()"#%\\]+')


@dataclass
class _Reader:
    text: str
    shown: str
    problems: Problems
    strings: dict[str, str] = field(default_factory=dict)

    def run(self) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        at = 0
        while match := ENTRY.search(self.text, at):
            at = match.end()
            kind = match[1].lower()
            if kind in ('comment', 'preamble'):
                at = self._skip(at)
                continue
            try:
                key, said, at = self._entry(kind, at)
            except _Broken as broken:
                self._wrong(broken.at, str(broken))
                continue
            if kind == 'string':
                self.strings |= said
            elif key in found:
                self._wrong(match.start(), f'the key {key!r} is taken')
            else:
                found[key] = Entry(key, kind, said, self._line(match.start()))
        return found

    def _entry(self, kind: str, at: int) -> tuple[str, dict[str, str], int]:
        key = ''
        if kind != 'string':
            found = KEY.search(self.text, at)
            if not found or self.text[at : found.start()].strip():
                raise _Broken('an entry without a key', at)
            key, at = found[0], found.end()
        said: dict[str, str] = {}
        while True:
            at = self._blank(at, ',')
            if self.text[at : at + 1] in ('}', ')'):
                return key, said, at + 1
            name = FIELD.match(self.text, at)
            if not name:
                raise _Broken(f'{key or kind}: a field is missing, or the entry is not closed', at)
            value, at = self._value(name.end())
            said[name[1].lower()] = value if kind == 'string' else plain(value)

    def _value(self, at: int) -> tuple[str, int]:
        """Braces, quotes, a number or the name of a string; joined by `#`."""
        parts = []
        while True:
            at = self._blank(at)
            if self.text[at : at + 1] in ('{', '"'):
                end = self._close(at)
                parts.append(self.text[at + 1 : end - 1])
                at = end
            elif word := re.compile(r'[\w:.+-]+').match(self.text, at):
                parts.append(self.strings.get(word[0].lower(), word[0]))
                at = word.end()
            else:
                raise _Broken('a field without a value', at)
            at = self._blank(at)
            if self.text[at : at + 1] != '#':
                return ''.join(parts), at
            at += 1

    def _close(self, at: int) -> int:
        """The index behind the brace or the quote that closes what begins here."""
        quoted, depth = self.text[at] == '"', 0
        for i in range(at + 1 if quoted else at, len(self.text)):
            char = self.text[i]
            if char in '{}' and self.text[i - 1] != '\\':
                depth += 1 if char == '{' else -1
            if depth == 0 and char == ('"' if quoted else '}'):
                return i + 1
        raise _Broken('a brace or a quote that is never closed', at)

    def _skip(self, at: int) -> int:
        try:
            return self._close(at - 1)
        except _Broken:
            return at

    def _blank(self, at: int, also: str = '') -> int:
        while at < len(self.text) and (self.text[at].isspace() or self.text[at] in also):
            at += 1
        return at

    def _line(self, at: int) -> int:
        return self.text.count('\n', 0, at) + 1

    def _wrong(self, at: int, message: str) -> None:
        line = self._line(min(at, len(self.text) - 1))
        self.problems.error((self.shown, line, 1), message, self.text.split('\n')[line - 1])


class _Broken(Exception):
    def __init__(self, message: str, at: int):
        super().__init__(message)
        self.at = at


def parse(text: str, shown: str, problems: Problems) -> dict[str, Entry]:
    """The entries of a file of BibTeX by their keys; what cannot be read is said."""
    return lettered(_Reader(text, shown, problems).run())


def lettered(entries: dict[str, Entry]) -> dict[str, Entry]:
    """With a letter behind the year where two would be cited alike, in the order of the list."""
    alike: dict[tuple[str, str], list[Entry]] = {}
    for entry in sorted(entries.values(), key=lambda e: e.reference):
        alike.setdefault((entry.authors, entry.year), []).append(entry)
    return entries | {
        entry.key: replace(entry, letter=letter)
        for (_, year), same in alike.items()
        if year and len(same) > 1
        for entry, letter in zip(same, ascii_lowercase, strict=False)
    }


# ### The TeX of names and titles
MARKS = {
    '`': '\u0300', "'": '\u0301', '^': '\u0302', '~': '\u0303', '"': '\u0308', '=': '\u0304',
    '.': '\u0307', 'u': '\u0306', 'v': '\u030c', 'H': '\u030b', 'c': '\u0327', 'k': '\u0328',
    'r': '\u030a', 'd': '\u0323', 'b': '\u0331',
}  # fmt: skip
ACCENT = re.compile(r'\\([`\'^~"=.]|[uvHckrdb](?![A-Za-z]))\s*(?:\{\s*(\\?\w)\s*\}|(\\?\w))')
LETTERS = {
    'ss': 'ß', 'ae': 'æ', 'AE': 'Æ', 'oe': 'œ', 'OE': 'Œ', 'o': 'ø', 'O': 'Ø', 'l': 'ł', 'L': 'Ł',
    'aa': 'å', 'AA': 'Å', 'i': 'ı', 'j': 'ȷ',
}  # fmt: skip
LETTER = re.compile(rf'\\({"|".join(sorted(LETTERS, key=len, reverse=True))})(?![A-Za-z])\s*')
DOTLESS = {r'\i': 'i', r'\j': 'j'}


def plain(text: str) -> str:
    """The words of a field: accents as letters, without the braces that keep capitals."""
    text = ACCENT.sub(
        lambda m: unicodedata.normalize(
            'NFC', DOTLESS.get(m[2] or m[3], m[2] or m[3]) + MARKS[m[1]]
        ),
        text,
    )
    text = LETTER.sub(lambda m: LETTERS[m[1]], text)
    text = re.sub(r'\\([&%$#_{}])', r'\1', text)
    text = re.sub(r'\\[A-Za-z]+\s*|(?<!\\)[{}]', '', text)
    text = text.replace('---', '—').replace('--', '–').replace('~', '\u00a0')
    return re.sub(r'[ \t\n]+', ' ', text).strip()


def _people(text: str) -> list[str]:
    return [name for name in re.split(r'\s+and\s+', text.strip()) if name]


def _halves(name: str) -> tuple[str, str]:
    """Family and given names: `Sohl-Dickstein, Jascha`, `Jascha Sohl-Dickstein`, `Ludwig van X`."""
    family, comma, given = name.partition(',')
    if comma:
        return family.strip(), given.rpartition(',')[2].strip()
    words = name.split()
    small = next((i for i, word in enumerate(words[:-1]) if word[0].islower()), len(words) - 1)
    return ' '.join(words[small:]), ' '.join(words[:small])


def _family(name: str) -> str:
    return _halves(name)[0]


def _initials(name: str) -> str:
    family, given = _halves(name)
    if not given:
        return 'et al.' if family == 'others' else family
    letters = ' '.join('-'.join(f'{p[0]}.' for p in w.split('-') if p) for w in given.split())
    return f'{family}, {letters}'


# ## Citations in prose
GROUP = re.compile(r'\[(@[^\[\]]+)\](?![(\[])')
CITED = re.compile(r'\s*@([A-Za-z][\w:-]*)(?:\s*,\s*(.+?))?\s*', re.S)
# A word like `@torch` is something else
NARRATIVE = re.compile(r'@([A-Za-z][A-Za-z-]*\d{4}[a-z]?)(?![\w@.-]*\w)')


def _group(state: StateInline, silent: bool) -> bool:
    found = GROUP.match(state.src, state.pos)
    cited = [CITED.fullmatch(part) for part in found[1].split(';')] if found else []
    if not found or not all(cited):
        return False
    if not silent:
        for i, one in enumerate(cited):
            assert one
            _push_text(state, '; ' if i else '(')
            _push_link(state, f'cite:{one[1]}')
            if one[2]:
                _push_text(state, f', {one[2]}')
        _push_text(state, ')')
    state.pos = found.end()
    return True


def _narrative(state: StateInline, silent: bool) -> bool:
    found = NARRATIVE.match(state.src, state.pos)
    before = state.src[state.pos - 1 : state.pos]
    if not found or state.linkLevel or (before and (before.isalnum() or before in '_./@')):
        return False
    if not silent:
        _push_link(state, f'cite:@{found[1]}')
    state.pos = found.end()
    return True


def _push_text(state: StateInline, text: str) -> None:
    state.push('text', '', 0).content = text


def _push_link(state: StateInline, href: str) -> None:
    state.push('link_open', 'a', 1).attrs = {'href': href}
    state.push('link_close', 'a', -1)


def install(md: MarkdownIt) -> None:
    """Teach a parser of notes what a citation is."""
    md.inline.ruler.before('link', 'citation', _group)
    md.inline.ruler.before('link', 'cited', _narrative)
