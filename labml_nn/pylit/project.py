r"""
# Project: which files become which pages

`__init__.py` is the index of its folder, `x.py` becomes `x.html`, and `x.md` is a page too, as is
the notebook `x.ipynb`, and a [script](scripts.py) that the settings name; `readme.md` is the index
where there is no `__init__.py`. Two sources that want the same page are a mistake, whichever came
first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .config import Config
from .problems import Mistakes, Problem, Refusal
from .scripts import LANGUAGES
from .unchanged import is_file

SUFFIXES = ('.py', '.md', '.ipynb')
# Never pages, unless they are named on the command line
SKIPPED = {'__pycache__', 'node_modules', 'build', 'dist', 'site', 'tests', 'test', 'venv', 'env'}


@dataclass(frozen=True)
class Source:
    """A file, how messages call it, where its page stands, and its name for `import`."""

    path: Path
    shown: str
    url: str
    module: str
    package: bool = False
    kind: str = 'page'  # or 'test'


def collect(paths: Sequence[Path], config: Config, out: Path | None = None) -> list[Source]:
    """Every source below the paths, in reading order."""
    found: dict[str, Source] = {}
    # What was found out about a folder holds for one build
    _real.cache_clear()
    _package.cache_clear()
    for path in paths:
        if not path.exists() and not path.is_symlink():
            raise Refusal(f'{path}: no such file or folder')
        for file, base in _files(path, config, out):
            source = make(file, base)
            _claim(found, source)
    if not found:
        raise Refusal(f'{" ".join(map(str, paths))}: no Python, Markdown or notebook file here')
    return sorted(found.values(), key=lambda s: _order(s, config))


def _claim(found: dict[str, Source], source: Source) -> None:
    other = found.setdefault(source.url, source)
    if other.path != source.path:
        message = f'this and {other.shown} both become {source.url}: rename one, or `exclude` it'
        raise Mistakes([Problem(source.shown, 1, 1, 'error', message)])


def _files(path: Path, config: Config, out: Path | None) -> Iterator[tuple[Path, Path]]:
    if not path.is_dir():
        if path.suffix not in (*SUFFIXES, *LANGUAGES):
            raise Refusal(f'{path}: not a Python, Markdown, notebook or script file')
        yield path, path.parent
        return

    def fail(error: OSError) -> None:
        raise Refusal(f'{error.filename}: {error.strerror}')

    # Links to folders are not followed: a loop of links would be an endless site
    for folder, folders, files in os.walk(path, onerror=fail):
        here = Path(folder)
        folders[:] = sorted(f for f in folders if _is_ours(here / f, out))
        for name in sorted(files):
            file = here / name
            if _is_page(file, config) and not _excluded(file, config):
                yield file, path


def _is_page(file: Path, config: Config) -> bool:
    if file.suffix in LANGUAGES:
        # Most scripts are no chapters
        return config.lists(file, tuple(config.named))
    return file.suffix in SUFFIXES


def _is_ours(folder: Path, out: Path | None) -> bool:
    if folder.name.startswith('.') or folder.name in SKIPPED or folder.resolve() == out:
        return False
    return not is_file(folder / 'pyvenv.cfg')


def _excluded(file: Path, config: Config) -> bool:
    if file.name in ('setup.py', 'conftest.py'):
        return True
    return config.lists(file, config.exclude)


def make(file: Path, base: Path, prefix: str = '', kind: str = 'page') -> Source:
    relative = file.relative_to(base)
    stem = relative.with_suffix('')
    package = relative.name == '__init__.py'
    is_index = package or (
        relative.name.lower() in ('index.md', 'readme.md', 'index.ipynb')
        and not is_file(file.with_name('__init__.py'))
    )
    url = (stem.parent / 'index.html' if is_index else stem.with_suffix('.html')).as_posix()
    if not is_index:
        url = f'{stem.as_posix()}.html'
    return Source(file, show(file), prefix + url, _module(file), package, kind)


def show(path: Path) -> str:
    """A path as the author would type it here."""
    try:
        return readable(path.absolute().relative_to(Path.cwd()).as_posix())
    except ValueError:
        return readable(path.as_posix())


def readable(name: str) -> str:
    """A name for people. What is not UTF-8 in it can be opened, and not written on a page."""
    return name.encode('utf-8', 'surrogateescape').decode('utf-8', 'replace')


def _module(file: Path) -> str:
    if file.suffix in ('.ipynb', *LANGUAGES):
        # Nothing that could be imported
        return file.name
    package = _package(file.absolute().parent)
    own = () if file.name == '__init__.py' else (file.stem,)
    return '.'.join((*package, *own)) or file.stem


@lru_cache(maxsize=4096)
def _package(folder: Path) -> tuple[str, ...]:
    """The package that a folder is, by its names from the outermost."""
    inner = is_file(folder / '__init__.py') and folder.name
    return (*_package(folder.parent), folder.name) if inner else ()


def real(path: Path) -> Path:
    """Where a file is without links: many files are in few folders, and few are links."""
    folder = _real(path.parent)
    return path.resolve() if os.path.islink(path) else folder / path.name


@lru_cache(maxsize=4096)
def _real(folder: Path) -> Path:
    return folder.resolve()


def inside(source: Source, config: Config) -> str:
    """What the settings call a source: its path from the root of the project."""
    try:
        return real(source.path).relative_to(config.root).as_posix()
    except (ValueError, OSError, RuntimeError):
        return source.shown


def _order(source: Source, config: Config) -> tuple[int, list[tuple[int, str]]]:
    name, named = inside(source, config), config.named
    place = named.index(name) if name in named else len(named)
    # The index of a folder comes first, then its files, then its folders
    *folders, name = source.url.split('/')
    key = [(2, folder) for folder in folders] + [(0 if name == 'index.html' else 1, name)]
    return place, key
