r"""
---
title: Files
summary: One writer for all files, all or nothing, safe from kills and power cuts.
---

# Files

Whatever the package writes goes through `written`: a file under its name is whole, or it is the one
that was there before.
"""

import contextlib
import errno
import glob
import os
import tempfile
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

# Whether this is a look alone: nothing is downloaded, unpacked or made
LOCAL_ONLY = ContextVar('LOCAL_ONLY', default=False)


@contextlib.contextmanager
def written(path: Path) -> Iterator[Path]:
    r"""
    A file to write inside a `with` block, which takes the name `path` when the block ends well.

    In the same folder, as a file can only be renamed within a file system. It is on the disk before
    it takes the name: a rename can survive a power cut that the content did not
    [tested](test:runs/test_checkpoint.py::test_every_file_is_on_the_disk_before_it_is_renamed).
    What a killed process left of such files is removed.
    """
    for left in path.parent.glob(f'.{glob.escape(path.name)}.*.part'):
        left.unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.', suffix='.part')
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o666 & ~current_umask())
        force_to_disk(part)
        os.replace(part, path)
        sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def force_to_disk(path: Path) -> None:
    r"""
    Let what was written to a file survive a power cut.
    """
    with path.open('rb+') as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    r"""
    Force a rename within `folder` to the disk, where the system can (Windows cannot).
    """
    if os.name == 'posix':
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def current_umask() -> int:
    r"""
    The permissions that new files of this process do not get; `mkstemp` ignores them.
    """
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def is_full_disk(error: OSError) -> bool:
    r"""
    Whether an error says so; torch and Pillow keep the number of theirs in the text at best.
    """
    return error.errno in (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


# ## A look alone
class NotLocal(FileNotFoundError):
    r"""
    What was to be looked at has to be downloaded or unpacked first.
    """


@contextlib.contextmanager
def local_only() -> Iterator[None]:
    r"""
    Inside this block nothing is downloaded or unpacked: `NotLocal` is raised instead
    [tested](test:diffusion/ddpm/test_dry_run.py::test_nothing_is_downloaded_or_unpacked).
    """
    before = LOCAL_ONLY.set(True)
    try:
        yield
    finally:
        LOCAL_ONLY.reset(before)


def refuse_unless_allowed(name: str, folder: Path) -> None:
    r"""
    `NotLocal` for data of that name, which would have to be written into `folder` first.
    """
    if LOCAL_ONLY.get():
        raise NotLocal(f'{name} is not in {folder.absolute()}, or not unpacked')
