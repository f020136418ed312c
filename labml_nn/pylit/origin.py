r"""
# Origin: where a source is kept

A page can lead to the very lines it was made from, if the project says where its repository is
shown (`repository` in `[tool.pylit]`). The lines of a file move with every commit, so the address
names the commit that is checked out, or the `revision` that the project asks for.

> We would rather give no link than a wrong one. A file that was changed since the commit, or that
> the commit does not have, gets no link to its lines
> [tested](test:pylit/test_origin.py::test_a_changed_file_gets_no_lines).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from .config import Config

PATIENCE = 20
# A hook of git's runs with variables that name another repository than the folder's
ELSEWHERE = {'GIT_DIR', 'GIT_WORK_TREE', 'GIT_INDEX_FILE', 'GIT_PREFIX', 'GIT_COMMON_DIR'}


@dataclass(frozen=True)
class Origin:
    """Addresses of the files of one project, in one revision."""

    base: str = ''
    root: Path = Path()
    # The files that the revision has exactly as they are here; None: all that we are asked for
    exact: frozenset[str] | None = None

    def address(self, path: Path, first: int = 0, last: int = 0) -> str:
        """The address of a file or of lines of it; empty where there is none that is right."""
        real = path.resolve() if self.base else path
        if not self.base or not real.is_relative_to(self.root):
            return ''
        inside = real.relative_to(self.root).as_posix()
        address = f'{self.base}/{quote(inside, errors="surrogateescape")}'
        if not first:
            return address
        if self.exact is not None and inside not in self.exact:
            return ''
        return f'{address}#L{first}' + (f'-L{last}' if last > first else '')


def find(config: Config) -> Origin:
    """What is known of a project's revision. Asks git only where there is something to say."""
    if not config.repository:
        return Origin()
    address = f'{config.repository.rstrip("/").removesuffix(".git")}/blob/'
    known = _git(config.root, 'rev-parse', 'HEAD', '--show-toplevel')
    revision, _, top = known.partition('\n')
    root = Path(top.strip()) if top.strip() else config.root.resolve()
    if config.revision:
        return Origin(address + config.revision, root)
    if not top:
        # The newest state, whose lines may be others
        return Origin(f'{address}HEAD', root, frozenset())
    tracked = _git(root, 'ls-files', '-z').split('\0')
    changed = _git(root, 'diff', '--name-only', '-z', 'HEAD').split('\0')
    return Origin(address + revision, root, frozenset(tracked) - {*changed, ''})


def _git(folder: Path, *arguments: str) -> str:
    """What git says; nothing where there is no git, no repository or no commit."""
    program = shutil.which('git')
    if not program:
        return ''
    around = {k: v for k, v in os.environ.items() if k not in ELSEWHERE}
    around['GIT_OPTIONAL_LOCKS'] = '0'
    command = [program, '-C', str(folder), *arguments]
    try:
        done = subprocess.run(
            command, env=around, capture_output=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ''
    return '' if done.returncode else os.fsdecode(done.stdout)
