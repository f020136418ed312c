r"""
# Remembered: results that are used again

Some of the work of a build is **pure**: its result depends on nothing but what it is given. The
HTML of a formula is one such result, the outline of a source another, and a whole page a third,
because a page is made from data: its text, where its links lead, what all pages know of each
other. A hash of all that it is given is the name under which a result is remembered. Whoever has
the same question has the same answer, and there is nothing that could be out of date
[tested](test:pylit/test_remembered.py::test_whatever_changes_a_page_is_never_stale).

What is remembered lives in the user's cache folder, and may vanish, be locked or be broken without
anyone noticing more than the time.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import sqlite3
import sys
import zlib
from collections.abc import Callable
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from labml_nn.cli.pages import TEMPLATES

HERE = Path(__file__).parent


def cache_home() -> Path:
    """The folder of what is remembered, which the user may name."""
    base = os.environ.get('PYLIT_CACHE') or os.environ.get('XDG_CACHE_HOME')
    if os.environ.get('PYLIT_CACHE'):
        return Path(str(base))
    return (Path(base) if base else Path.home() / '.cache') / 'labml_nn' / 'pylit'


def fingerprint(*parts: object) -> str:
    """A name for everything that was said, in this order."""
    said = json.dumps(parts, default=repr, sort_keys=True)
    return hashlib.sha256(said.encode('utf-8', 'surrogatepass')).hexdigest()


@lru_cache(maxsize=1)
def program() -> str:
    """What makes the pages: our own files, Python, and the libraries that write HTML."""
    digest = hashlib.sha256(sys.version.encode())
    libraries = (
        'markdown-it-py', 'mdit-py-plugins', 'pygments', 'nh3', 'docstring-parser', 'jinja2',
    )  # fmt: skip
    for library in libraries:
        digest.update(importlib.metadata.version(library).encode())
    for path in sorted([*HERE.rglob('*'), *TEMPLATES.iterdir()]):
        if path.is_file() and path.suffix in ('.py', '.js', '.json', '.html'):
            name = path.relative_to(HERE.parent).as_posix()
            digest.update(name.encode() + b'\0' + path.read_bytes())
    return digest.hexdigest()


class Memory:
    """Results by the hash of what they are made from: in this process, and in a file if named.

    When the file has more than `most` of them, only those stay that the last build asked for.
    """

    def __init__(self, path: Path | None = None, most: int = 6000):
        self.path, self.most = path, most
        self.results: dict[str, Any] = {}
        # What was needed before the last `forget`
        self.older: dict[str, Any] = {}
        self.fresh: set[str] = set()
        self.base: sqlite3.Connection | None = None
        # A file that could not be read once is not waited for again
        self.readable = True

    def close(self) -> None:
        if self.base:
            self.base.close()
            self.base = None

    def get(self, name: str) -> Any:
        """What is remembered under this name, or nothing."""
        if name in self.older:
            self.results[name] = self.older.pop(name)
        if name not in self.results and self.path and self.readable and self.path.is_file():
            # Whatever is wrong with the file, its results can be made again
            try:
                for (data,) in self._rows(self.path, name):
                    self.results[name] = json.loads(zlib.decompress(data))
            except sqlite3.Error:
                self.readable = False
            except (ValueError, TypeError, zlib.error):
                pass
        return self.results.get(name)

    def _rows(self, path: Path, name: str) -> sqlite3.Cursor:
        # A server has several threads, which take turns
        self.base = self.base or sqlite3.connect(path, timeout=1, check_same_thread=False)
        return self.base.execute('select data from results where name = ?', (name,))

    def made(self, name: str, make: Callable[[], Any]) -> Any:
        """What is remembered under this name, or else made now."""
        known = self.get(name)
        if known is None:
            known = make()
            self.put(name, known)
        return known

    def put(self, name: str, value: Any) -> None:
        self.results[name] = value
        self.fresh.add(name)

    def forget(self) -> None:
        """Let go of what nobody has asked for since this was called before."""
        self.older, self.results = self.results, {}

    def save(self) -> None:
        """Write what is new; where there is much, what was not asked for goes."""
        if not self.path or not self.fresh:
            return
        rows = [(name, _packed(self.results[name])) for name in self.fresh]
        self.fresh.clear()
        with suppress(OSError, sqlite3.Error):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=1)) as base, base:
                # If the power fails, the file is broken and made anew
                base.execute('pragma synchronous = off')
                base.execute('create table if not exists results (name primary key, data)')
                base.executemany('insert or replace into results values (?, ?)', rows)
                names = [row[0] for row in base.execute('select name from results')]
                if len(names) > self.most:
                    old = [(name,) for name in names if name not in self.results]
                    base.executemany('delete from results where name = ?', old)


def _packed(value: Any) -> bytes:
    return zlib.compress(json.dumps(value).encode(), 1)
