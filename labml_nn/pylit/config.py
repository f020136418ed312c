r"""
# Config: what a project may say about its pages

Everything has a default, and a project without configuration gets good pages. Settings stand in
`[tool.pylit]` of `pyproject.toml`, next to the settings of the other tools. An unknown key is
reported, not ignored: a misspelt `glosary` would cost an author an hour.
"""

from __future__ import annotations

import difflib
import fnmatch
import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .inventory import Inventory
from .problems import Mistakes, Problem, Refusal
from .symbols import Symbol

PART = ('title', 'pages')
ADDRESS = re.compile(r'https?://[^/\s]')


@dataclass(frozen=True)
class Part:
    """Sources that belong together. Without a title it is one source, which stands by itself."""

    pages: tuple[str, ...]
    title: str = ''


@dataclass(frozen=True)
class Config:
    """The settings of one project. Paths are relative to the folder of `pyproject.toml`."""

    root: Path
    title: str = ''
    # Sources in reading order, alone or as parts: `{ title = "…", pages = […] }`
    nav: tuple[Part, ...] = ()
    # The same for what is looked up and not read in turn; all others follow by name
    appendix: tuple[Part, ...] = ()
    # Sources that are no pages, as patterns of paths
    exclude: tuple[str, ...] = ()
    # Where a reader finds the sources: https://…/project. Without a revision, the commit of git
    repository: str = ''
    revision: str = ''
    # Where the site will stand, for canonical addresses and the site map
    site_url: str = ''
    # Style sheets behind ours, and a picture beside the title: files of the project
    css: tuple[str, ...] = ()
    logo: str = ''
    tests: str = 'tests'
    figures: str = 'docs/figures'
    live: str = 'docs/live'
    locale: str = 'docs/locale'
    # A file of BibTeX that pages cite from
    bibliography: str = ''
    languages: tuple[str, ...] = ()
    # Pages whose displayed equations all name a test or say why not, as patterns of paths
    tested_pages: tuple[str, ...] = ()
    # Pages whose named tests were all seen to fail on broken code, and the file that says on which
    mutated_pages: tuple[str, ...] = ()
    mutants: str = 'report-mutants.json'
    # Pages, and files that are none, whose tables all name the source of their numbers
    measured_pages: tuple[str, ...] = ()
    macros: Mapping[str, str] = field(default_factory=dict)
    glossary: tuple[Symbol, ...] = ()
    # Where the names of other projects are documented
    inventories: tuple[Inventory, ...] = ()
    # Groups of words that readers of the search may use for the same thing, in any language
    synonyms: tuple[tuple[str, ...], ...] = ()

    @property
    def named(self) -> list[str]:
        """The sources that have a place of their own, in reading order."""
        return [name for part in (*self.nav, *self.appendix) for name in part.pages]

    def lists(self, file: Path, patterns: tuple[str, ...]) -> bool:
        """Whether a file of the project is one of those that patterns name."""
        if not patterns:
            return False
        try:
            shown = file.resolve().relative_to(self.root).as_posix()
        except (ValueError, OSError, RuntimeError):
            return False
        return any(fnmatch.fnmatch(shown, pattern) for pattern in patterns)


def load(start: Path) -> Config:
    """The configuration that holds for a path: of the nearest `pyproject.toml` above it."""
    start = start.resolve()
    folder = start if start.is_dir() else start.parent
    for parent in (folder, *folder.parents):
        path = parent / 'pyproject.toml'
        if path.is_file():
            tools = _table(path, 'tool', read_toml(path).get('tool', {}))
            said = _table(path, 'tool.pylit', tools.get('pylit', {}))
            return _config(path, said)
    return Config(folder)


def read_toml(path: Path) -> dict[str, Any]:
    try:
        toml = importlib.import_module('tomllib')
    except ImportError:
        try:
            toml = importlib.import_module('tomli')
        except ImportError:
            raise Refusal(
                'reading pyproject.toml needs Python 3.11, or `pip install tomli`'
            ) from None
    try:
        found: dict[str, Any] = toml.loads(path.read_text(encoding='utf-8'))
        return found
    except (ValueError, OSError) as error:
        at = re.search(r'line (\d+), column (\d+)', str(error))
        line, column = (int(at[1]), int(at[2])) if at else (1, 1)
        message = str(error).split(' (at line')[0]
        raise Mistakes([Problem(str(path), line, column, 'error', message)]) from None


def _config(path: Path, said: dict[str, Any]) -> Config:
    known = {f.name: f for f in fields(Config) if f.name != 'root'}
    values: dict[str, Any] = {}
    for key, value in said.items():
        if key not in known:
            _refuse(path, key, f'unknown setting {key!r}{_nearest(key, known)}')
        elif key == 'glossary':
            entries = _table(path, key, value).items()
            values[key] = tuple(_symbol(path, name, entry) for name, entry in entries)
        elif key == 'macros':
            values[key] = _macros(path, _table(path, key, value))
        elif key == 'inventories':
            said_of = _table(path, key, value).items()
            values[key] = tuple(_inventory(path, name, entry) for name, entry in said_of)
        elif key in ('nav', 'appendix'):
            values[key] = _parts(path, key, value)
        elif key == 'synonyms':
            values[key] = _groups(path, key, value)
        elif known[key].type.startswith('tuple'):
            values[key] = tuple(_strings(path, key, value))
        elif known[key].type == 'str' and not isinstance(value, str):
            _refuse(path, key, f'{key} must be a string')
        elif key in ('repository', 'site_url') and not ADDRESS.match(value or 'https://x'):
            _refuse(path, key, f'{key} must begin with https:// and name a host')
        else:
            values[key] = value
    return Config(path.parent, **values)


def _parts(path: Path, key: str, value: Any) -> tuple[Part, ...]:
    found = [value] if isinstance(value, str | dict) else value
    if not isinstance(found, list) or not all(x and isinstance(x, str | dict) for x in found):
        said = 'must be a list of sources, and of parts with `title` and `pages`'
        _refuse(path, key, f'{key} {said}')
    return tuple(
        _part(path, key, x) if isinstance(x, dict) else Part(tuple(_strings(path, key, x)))
        for x in found
    )


def _part(path: Path, key: str, said: dict[str, Any]) -> Part:
    for name in said:
        if name not in PART:
            _refuse(path, name, f'a part of {key} has no {name!r}{_nearest(name, PART)}')
    title = said.get('title')
    if not isinstance(title, str) or not title.strip() or 'pages' not in said:
        _refuse(path, key, f'a part of {key} needs `title`, a string, and `pages`')
    return Part(tuple(_strings(path, key, said['pages'])), str(title))


def _symbol(path: Path, key: str, entry: Any) -> Symbol:
    if not re.fullmatch(r'[A-Za-z_]\w*', key):
        _refuse(path, key, f'the key of a symbol must be a name, and {key!r} is not')
    if not isinstance(entry, dict) or 'tex' not in entry:
        _refuse(path, key, f'glossary.{key} needs `tex`')
    allowed = ('tex', 'names', 'meaning', 'shape', 'only')
    for name in entry:
        if name not in allowed:
            _refuse(path, name, f'glossary.{key} has no {name!r}{_nearest(name, allowed)}')
    said = {'names': [key], 'meaning': '', 'shape': '', 'only': [], **entry}
    if not said['tex']:
        _refuse(path, key, f'glossary.{key}.tex must not be empty')
    for name in ('meaning', 'shape'):
        if not isinstance(said[name], str):
            _refuse(path, key, f'glossary.{key}.{name} must be a string')
    tex, names, only = (
        tuple(_strings(path, f'glossary.{key}.{name}', said[name]))
        for name in ('tex', 'names', 'only')
    )
    return Symbol(key, tex, names, said['meaning'], said['shape'], only)


def _inventory(path: Path, key: str, entry: Any) -> Inventory:
    allowed = [f.name for f in fields(Inventory)]
    said = _table(path, f'inventories.{key}', entry)
    for name in said:
        if name not in allowed:
            _refuse(path, name, f'inventories.{key} has no {name!r}{_nearest(name, allowed)}')
    if not all(isinstance(said.get(name), str) and said[name].strip() for name in allowed):
        _refuse(path, key, f'inventories.{key} needs `url` and `file`, two strings')
    if not ADDRESS.match(said['url']):
        _refuse(path, key, f'inventories.{key}.url must begin with https:// and name a host')
    return Inventory(**said)


def _macros(path: Path, said: dict[str, Any]) -> dict[str, str]:
    for name, tex in said.items():
        if not isinstance(tex, str):
            _refuse(path, name, f'macros.{name} must be a string')
    return said


def _groups(path: Path, key: str, value: Any) -> tuple[tuple[str, ...], ...]:
    groups = value if isinstance(value, list) else [value]
    found = tuple(tuple(_strings(path, key, group)) for group in groups)
    if not all(isinstance(group, list) and len(group) > 1 for group in groups):
        _refuse(path, key, f'{key} must be a list of lists, each of two words or more')
    return found


def _table(path: Path, key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(path, key.rpartition('.')[2], f'{key} must be a table, and is {value!r}')
    found: dict[str, Any] = value
    return found


def _strings(path: Path, key: str, value: Any) -> list[str]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(x, str) and x.strip() for x in found):
        message = f'{key} must be a string or a list of strings, none of them empty'
        _refuse(path, key.rpartition('.')[2], message)
    return list(found)


def _nearest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f': did you mean {near[0]!r}?' if near else ''


def _refuse(path: Path, key: str, message: str) -> None:
    raise Mistakes([wrong(path, key, message)])


def wrong(path: Path, key: str, message: str) -> Problem:
    """A mistake in the settings, where a word of it stands for the first time."""
    lines = path.read_text(encoding='utf-8').split('\n')
    word = re.compile(rf'(?<!\w){re.escape(key)}(?!\w)')
    line = next((n for n, text in enumerate(lines, 1) if word.search(text)), 1)
    return Problem(str(path), line, 1, 'error', message, lines[line - 1])
