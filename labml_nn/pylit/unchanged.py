r"""
# Unchanged: a site that stands already

Most builds of a project that is built often change nothing. To find that out, nothing has to be
understood: it is enough that the program, the settings and the arguments are the same as last time,
that everything the last build has **looked at** is as it was, and that its files are still where it
has put them.

So a build writes down what it looks at: the files that it opens, the folders that it lists, and the
paths that it asks for whether or not there is a file. Python itself tells of the first two, by an
audit hook, so that no reader of files can be forgotten. The third goes through `is_file` below.

> No time of a file is believed. A backup that was restored, a clone, a clock that was wrong: all of
> them have files whose times say nothing. What is compared are hashes of all that there is
> [tested](test:pylit/test_unchanged.py::test_whatever_was_looked_at_is_looked_at_again),
> and to read a few megabytes takes less time than to import what renders them.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Of a folder these names say nothing: what is hidden is no page, and the other is Python's own
MADE = '__pycache__'


class Watch:
    """What was looked at: files and folders with hashes of them as they were at first."""

    # Who is told; Python has no way to take a hook away again
    now: Watch | None = None
    hooked = False

    def __init__(self, left_out: Iterable[Path]):
        # Where the site is written to
        self.left_out = {os.path.abspath(path) for path in left_out}
        self.files: dict[str, str] = {}
        self.folders: dict[str, str] = {}
        # Whether there was a file
        self.asked: dict[str, bool] = {}

    def seen(self) -> dict[str, Any]:
        """All of it, for `holds`."""
        return {**vars(self), 'left_out': sorted(self.left_out)}


@contextmanager
def watching(*left_out: Path) -> Iterator[Watch]:
    """Within it is written down what is looked at, but not in the folders that are left out."""
    if not Watch.hooked:
        Watch.hooked = True
        sys.addaudithook(_told)
    Watch.now = Watch(left_out)
    try:
        yield Watch.now
    finally:
        Watch.now = None


def holds(seen: Mapping[str, Any]) -> bool:
    """Whether everything is as it was when it was looked at."""
    left_out = set(seen['left_out'])
    return (
        all(os.path.isfile(path) == was for path, was in seen['asked'].items())
        and all(_folder(path, left_out) == was for path, was in seen['folders'].items())
        and all(_file(path) == was for path, was in seen['files'].items())
    )


def is_file(path: Path) -> bool:
    """Whether there is a file, which the next build will ask again."""
    found = path.is_file()
    if Watch.now:
        Watch.now.asked[os.path.abspath(path)] = found
    return found


# ## Looking
def _told(event: str, arguments: tuple[Any, ...]) -> None:
    """Python is about to open a file or to list a folder."""
    watch = Watch.now
    if not watch or event not in ('open', 'os.scandir', 'os.listdir'):
        return
    path = arguments[0]
    if isinstance(path, int) or (event == 'open' and _writes(*arguments[1:3])):
        return
    name = os.path.abspath(os.fsdecode(path) if path else os.curdir)
    # What is looked at here is no further look
    Watch.now = None
    try:
        if event != 'open':
            watch.folders.setdefault(name, _folder(name, watch.left_out))
        elif name not in watch.files and not name.endswith('.pyc'):
            watch.files[name] = _file(name)
    finally:
        Watch.now = watch


def _writes(mode: str | None, flags: int) -> bool:
    if mode is None:
        return bool(flags & (os.O_WRONLY | os.O_RDWR))
    return not set(mode).isdisjoint('wax+')


def _file(path: str) -> str:
    """A hash of what is in a file; of what is none, as a pipe, there is nothing to be read."""
    try:
        if not os.path.isfile(path):
            return ''
        with open(path, 'rb') as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return ''


def _folder(path: str, left_out: Iterable[str]) -> str:
    """A hash of the names in a folder, of which are folders, and of where links lead."""
    try:
        with os.scandir(path) as entries:
            found = sorted(_entry(entry) for entry in entries if _counts(entry, left_out))
    except OSError:
        return ''
    return hashlib.sha256('\0'.join(found).encode('utf-8', 'surrogateescape')).hexdigest()


def _counts(entry: os.DirEntry[str], left_out: Iterable[str]) -> bool:
    return entry.name[0] != '.' and entry.name != MADE and entry.path not in left_out


def _entry(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return f'{entry.name}\0{os.readlink(entry.path)}'
    return f'{entry.name}\0{entry.is_dir()}'
