r"""
# Kept: what the last build made

Most builds follow another one, and most pages have not changed in between. A page is kept under a
**stamp** of everything that it is made from: its source, the settings, what all pages know of each
other, this program itself. With it goes a list of the questions that were asked while it was made
(is there such a page, such an image, has this test passed?) and the answers. A page is taken from
here if its stamp is the same *and* every question has the same answer today; anything else is made
again.

> A cache that can be stale is worse than none: nobody trusts the page any more. Whatever changes,
> a build with the cache equals a build without it to the byte
> [tested](test:pylit/test_kept.py::test_whatever_changes_the_cache_is_not_stale).

It lives in the user's cache folder, one set for each project, and may vanish, be locked or be
broken without anyone noticing more than the time.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import sqlite3
import sys
import zlib
from collections.abc import Iterable
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TABLE = 'kept (project, place, stamp, data, primary key (project, place))'


def stamp(*parts: object) -> str:
    """A name for everything that was said, in this order."""
    said = json.dumps(parts, default=repr, sort_keys=True)
    return hashlib.sha256(said.encode('utf-8', 'surrogatepass')).hexdigest()


@lru_cache(maxsize=1)
def program() -> str:
    """What makes the pages: our own files, Python, and the libraries that write HTML."""
    digest = hashlib.sha256(sys.version.encode())
    for library in ('markdown-it-py', 'pygments', 'nh3', 'docstring-parser'):
        digest.update(importlib.metadata.version(library).encode())
    for path in sorted(HERE.rglob('*')):
        if path.is_file() and path.suffix in ('.py', '.js', '.json', '.html'):
            digest.update(path.relative_to(HERE).as_posix().encode() + b'\0' + path.read_bytes())
    return digest.hexdigest()


def _storable(name: str) -> str:
    """The name of a file need not be UTF-8, and in the file of what is kept all names are."""
    return name.encode('utf-8', 'backslashreplace').decode('utf-8')


class Store:
    """What is kept of one project: in memory, and in a file if there is one."""

    def __init__(self, project: Path, path: Path | None = None):
        self.project = _storable(str(project.resolve()))
        self.path = path
        self.made: dict[str, tuple[str, Any]] = {}
        self.fresh: set[str] = set()
        self.rows: dict[str, tuple[str, bytes]] | None = None

    def get(self, place: str, stamp_: str) -> Any:
        """What was put under this stamp, or nothing."""
        place = _storable(place)
        if place in self.made and self.made[place][0] == stamp_:
            return self.made[place][1]
        if self.rows is None:
            self.rows = self._load()
        found, data = self.rows.get(place, ('', b''))
        if found != stamp_:
            return None
        try:
            return json.loads(zlib.decompress(data))
        except (ValueError, TypeError, zlib.error):
            return None

    def put(self, place: str, stamp_: str, value: Any) -> None:
        place = _storable(place)
        self.made[place] = (stamp_, value)
        self.fresh.add(place)

    def _load(self) -> dict[str, tuple[str, bytes]]:
        if not self.path or not self.path.is_file():
            return {}
        try:
            with closing(sqlite3.connect(self.path, timeout=1)) as base:
                query = 'select place, stamp, data from kept where project = ?'
                return {p: (s, d) for p, s, d in base.execute(query, (self.project,))}
        except sqlite3.Error:
            return {}

    def save(self, places: Iterable[str]) -> None:
        """Write what is new; forget what this project no longer has, and projects that are gone."""
        if not self.path:
            return
        gone = set(self.rows or ()) - {_storable(place) for place in places}
        rows = [
            (self.project, place, made, zlib.compress(json.dumps(value).encode(), 1))
            for place, (made, value) in self.made.items()
            if place in self.fresh
        ]
        self.fresh.clear()
        if not rows and not gone:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=1)) as base, base:
                # If the power fails, the file is broken and made anew
                base.execute('pragma synchronous = off')
                base.execute(f'create table if not exists {TABLE}')
                base.executemany('insert or replace into kept values (?, ?, ?, ?)', rows)
                for table in [(self.project, place) for place in gone]:
                    base.execute('delete from kept where project = ? and place = ?', table)
                for (other,) in base.execute('select distinct project from kept').fetchall():
                    if other != self.project and not Path(other).is_dir():
                        base.execute('delete from kept where project = ?', (other,))
        except (OSError, sqlite3.Error):
            pass
