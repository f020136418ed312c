r"""
# Origin: where a source is kept, and where its page will stand

A page can lead to the very lines it was made from, and say under which address the world finds it.
Nobody has to decide that: a project's own settings come first (`repository`, `revision` and
`site_url` in `[tool.pylit]`), then what GitHub and GitLab tell the jobs that they run, then the
remote that the folder was cloned from.

The lines of a file move with every commit, so the address names the commit that is checked out, or
the newest before it that the remote has, or the `revision` that the project asks for.

> We would rather give no link than a wrong one. A file that was changed since the commit gets no
> link to its lines, one that the commit does not have gets none at all
> [tested](test:pylit/test_origin.py::test_a_changed_file_gets_no_lines), and of a remote nothing
> is published but host and path: no name, no password, no folder of this machine
> [tested](test:pylit/test_origin.py::test_nothing_of_a_remote_is_published_but_host_and_path).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, urlsplit

from .config import Config

PATIENCE = 20
# A hook of git's runs with variables that name another repository than the folder's
ELSEWHERE = {'GIT_DIR', 'GIT_WORK_TREE', 'GIT_INDEX_FILE', 'GIT_PREFIX', 'GIT_COMMON_DIR'}
GITHUB = 'https://github.com/'
# `git@host:owner/name`
SHORT = re.compile(r'(?:[\w.-]+@)?([\w.-]+):(?!/)(.+)')


@dataclass(frozen=True)
class Addresses:
    """Where a project is shown, as far as that is known."""

    repository: str = ''
    site: str = ''
    # Which remote says so; none if a setting or a job does, whose commit its host has
    remote: str = ''


@dataclass(frozen=True)
class Origin:
    """Addresses of the files of one project, in one revision, and of its site."""

    base: str = ''
    root: Path = Path()
    # The files that the revision has, and those that it has exactly as they are here; None: all
    known: frozenset[str] | None = None
    exact: frozenset[str] | None = None
    site: str = ''

    def address(self, path: Path, first: int = 0, last: int = 0) -> str:
        """The address of a file or of lines of it; empty where there is none that is right."""
        inside = self._inside(path)
        if not inside or not first:
            return f'{self.base}/{quote(inside, errors="surrogateescape")}' if inside else ''
        if self.exact is not None and inside not in self.exact:
            return ''
        # GitLab names the second line without its letter
        letter = '' if '/-/blob/' in self.base else 'L'
        return f'{self.address(path)}#L{first}' + (f'-{letter}{last}' if last > first else '')

    def colab(self, path: Path) -> str:
        """Where a notebook can be run: Colab opens those that GitHub has."""
        address = self.address(path) if self.base.startswith(GITHUB) else ''
        return address.replace(GITHUB, 'https://colab.research.google.com/github/', 1)

    def _inside(self, path: Path) -> str:
        real = path.resolve() if self.base else path
        if not self.base or not real.is_relative_to(self.root):
            return ''
        inside = real.relative_to(self.root).as_posix()
        return inside if self.known is None or inside in self.known else ''


def find(config: Config) -> Origin:
    """What is known of a project's addresses and its revision."""
    found = addresses(config)
    if not found.repository:
        return Origin(site=found.site)
    host = urlsplit(found.repository).hostname or ''
    address = found.repository + ('/-/blob/' if host.startswith('gitlab.') else '/blob/')
    known = _git(config.root, 'rev-parse', 'HEAD', '--show-toplevel')
    revision, _, top = known.partition('\n')
    root = Path(top.strip()) if top.strip() else config.root.resolve()
    if config.revision:
        return Origin(address + config.revision, root, site=found.site)
    if not top:
        # The newest state, whose lines may be others
        return Origin(f'{address}HEAD', root, exact=frozenset(), site=found.site)
    if found.remote:
        revision = _pushed(root, revision, found.remote)
    if not revision:
        return Origin(site=found.site)
    tracked = set(_git(root, 'ls-tree', '-r', '-z', '--name-only', revision).split('\0')) - {''}
    changed = set(_git(root, 'diff', '--name-only', '-z', revision).split('\0'))
    exact = frozenset(tracked - changed)
    return Origin(address + revision, root, frozenset(tracked), exact, found.site)


def _pushed(root: Path, revision: str, remote: str) -> str:
    """The newest commit up to this one that a remote has, as far as this clone knows."""
    arguments = ('rev-list', '--boundary', revision, '--not', f'--remotes={remote}')
    lines = _git(root, *arguments).split()
    if lines:
        return next((line[1:] for line in lines if line.startswith('-')), '')
    # Either it has this one too, or there is nothing that it is known to have
    there = _git(root, 'for-each-ref', '--count=1', f'refs/remotes/{remote}')
    return revision if there else ''


# ## Whose word counts
def addresses(config: Config) -> Addresses:
    """The settings, then the job that we run in, then the remote."""
    if config.repository:
        named = config.repository.rstrip('/').removesuffix('.git')
        found = Addresses(named, _pages(named))
    else:
        found = _of_job(config.root) or _of_remote(config.root)
    return replace(found, site=config.site_url or found.site)


def _of_job(root: Path) -> Addresses | None:
    """What GitHub and GitLab say of the checkout that a job works in."""
    around = os.environ
    server, name = around.get('GITHUB_SERVER_URL', ''), around.get('GITHUB_REPOSITORY', '')
    if name and _within(root, around.get('GITHUB_WORKSPACE', '')):
        repository = clean(f'{server or GITHUB}/{name}', any_host=True)
        return Addresses(repository, _pages(repository))
    if _within(root, around.get('CI_PROJECT_DIR', '')):
        project, pages = around.get('CI_PROJECT_URL', ''), around.get('CI_PAGES_URL', '')
        return Addresses(clean(project, any_host=True), _plain(pages))
    return None


def _within(root: Path, folder: str) -> bool:
    return bool(folder) and root.resolve().is_relative_to(Path(folder).resolve())


def _of_remote(root: Path) -> Addresses:
    """Where the folder was cloned from, or the only place that it knows."""
    said = _git(root, 'config', '--local', '-z', '--get-regexp', r'^remote\..*\.url$')
    remotes: dict[str, str] = {}
    for entry in said.split('\0'):
        key, _, url = entry.partition('\n')
        remotes.setdefault(key[len('remote.') : -len('.url')], url)
    remotes.pop('', None)
    name = 'origin' if 'origin' in remotes else next(iter(remotes), '')
    repository = clean(remotes[name]) if name == 'origin' or len(remotes) == 1 else ''
    return Addresses(repository, _pages(repository), name) if repository else Addresses()


def clean(url: str, any_host: bool = False) -> str:
    """The page of a repository from the address that git clones it from.

    Empty for a folder, and for a host that is neither GitHub nor GitLab by its name, unless it is
    known to be one.
    """
    short = SHORT.fullmatch(url) if '://' not in url else None
    try:
        parts = urlsplit(f'ssh://{short[1]}/{short[2]}' if short else url)
        host, port = (parts.hostname or '').removeprefix('www.'), parts.port
    except ValueError:
        return ''
    host = {'ssh.github.com': 'github.com', 'altssh.gitlab.com': 'gitlab.com'}.get(host, host)
    known = host == 'github.com' or host.startswith('gitlab.')
    path = re.sub(r'(\.git)?/*$', '', parts.path).strip('/')
    deep = path.count('/') == 1 or (path.count('/') > 1 and host != 'github.com')
    named = re.fullmatch(r'[\w.+-]+(/[\w.+-]+)+', path) and not {'.', '..'} & set(path.split('/'))
    if parts.scheme not in ('https', 'http', 'ssh', 'git', 'git+ssh') or not deep or not named:
        return ''
    if not host or not (known or any_host):
        return ''
    # The port of another protocol is none of the page's
    web = parts.scheme in ('https', 'http')
    where = f'{host}:{port}' if web and port else host
    return f'{parts.scheme if web and any_host else "https"}://{where}/{path}'


def _plain(url: str) -> str:
    """An address without what only its owner has to know."""
    parts = urlsplit(url)
    if parts.scheme not in ('https', 'http') or not parts.hostname:
        return ''
    port = f':{parts.port}' if parts.port else ''
    return f'{parts.scheme}://{parts.hostname}{port}{parts.path}'


def _pages(repository: str) -> str:
    """Where GitHub shows the site of a repository. GitLab tells it to its jobs alone."""
    if not repository.startswith(GITHUB):
        return ''
    owner, _, name = repository.removeprefix(GITHUB).partition('/')
    home = f'{owner.lower()}.github.io'
    return f'https://{home}/' if name.lower() == home else f'https://{home}/{name}/'


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
