r"""
# One process for one folder

Two processes that train into the same folder would take turns at overwriting each other's weights,
and both would seem to work. So a run holds a lock on its folder, and the second one is refused and
told by whom [tested](test:runs/test_lock.py::test_the_second_is_refused_and_told_by_whom).

The lock is the system's, not the mere existence of a file: however a process ends, `kill -9` and
power cuts included, its lock ends with it, and nothing has to be cleaned up. It is a record lock,
which processes that were forked (the ones that decode pictures) do not inherit.
"""

import os
import platform
import sys
import time
from pathlib import Path
from typing import IO

# Within the folder of a run
FILE_NAME = '.lock'


class Lock:
    r"""
    The lock on a run's `folder`, held until `release` or the end of the process.

    Raises `ValueError` that names the process which holds it.
    """

    def __init__(self, folder: Path):
        self.path = folder / FILE_NAME
        # For reading and writing, without emptying it: it says who holds the lock.
        # Never through a link: what it leads to would be overwritten
        flags = os.O_RDWR | os.O_CREAT | getattr(os, 'O_NOFOLLOW', 0)
        if self.path.is_symlink():
            raise ValueError(f'{self.path.absolute()} is a link, not a lock: remove it')
        self.file: IO[str] = os.fdopen(os.open(self.path, flags, 0o666), 'r+')
        try:
            lock(self.file)
        except OSError as error:
            holder = self.file.read().strip() or 'another process'
            self.file.close()
            raise ValueError(
                f'{folder.absolute()} is in use by {holder}: stop that one, or choose another --out'
            ) from error
        self.file.seek(0)
        self.file.truncate()
        since = time.strftime('%Y-%m-%d %H:%M:%S')
        self.file.write(f'process {os.getpid()} on {platform.node()}, since {since}\n')
        self.file.flush()

    def release(self) -> None:
        r"""
        Let others have the folder.
        """
        self.file.close()


if sys.platform == 'win32':
    import msvcrt

    def lock(file: IO[str]) -> None:
        r"""
        Lock one byte far behind the text, which others may go on reading.
        """
        file.seek(2**20)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)

else:
    import fcntl

    def lock(file: IO[str]) -> None:
        r"""
        Lock the file, or raise `OSError` at once.
        """
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
