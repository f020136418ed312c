r"""
# Bench: how long an author waits, how much a reader loads

What the times of a build are made of, and how large its pages are. `make bench-docs` prints this
behind the figures that have a goal.
The large tree is made of this package's own rooms, each copy with formulas of its own, so that
no formula is set once and counted many times.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from labml_nn.cli.output import command

from . import formulas
from .config import load
from .request import Request
from .serve import Live
from .site import Site

HERE = Path(__file__).parent
FILES, FORMULAS = 222, 7


@dataclass(order=True)
class Time:
    """What a wait is made of: seconds on the clock, and of the processors, Node's included."""

    wall: float
    work: float

    def __str__(self) -> str:
        return f'{self.wall:.2f} s ({self.work:.2f} s of work)'


def build(source: Path, out: Path, cache: Path) -> Time:
    """One `build`, from the start of Python to its end."""
    # Every language is a site of its own: what is compared is one of them
    return run(['build', str(source), '-o', str(out), '--lang', 'en'], cache)


def run(arguments: Sequence[str], cache: Path) -> Time:
    """One run of `pylit` with a cache of its own."""
    command = [sys.executable, '-m', 'labml_nn.pylit', *arguments]
    around = {**os.environ, 'PYTHONPATH': str(HERE.parents[1]), 'PYLIT_CACHE': str(cache)}
    # Python keeps what it has compiled, unless someone has forbidden it
    around |= {'PYTHONDONTWRITEBYTECODE': '', 'PYTHONPYCACHEPREFIX': str(cache.parent / 'compiled')}
    used, begun = _work(), time.perf_counter()
    done = subprocess.run(command, env=around, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return Time(time.perf_counter() - begun, _work() - used)


def _work() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def large_tree(folder: Path) -> Path:
    """A tree of 222 annotated files with more than 1,500 different formulas."""
    rooms = sorted(p for p in HERE.glob('*.py') if p.stat().st_size < 8000)
    (folder / 'pyproject.toml').write_text('', encoding='utf-8')
    for n in range(FILES):
        text = rooms[n % len(rooms)].read_text(encoding='utf-8')
        # The copies stand alone: no links to pages and tests that are not there
        text = re.sub(r'\[([^]]*)\]\((?:test|figure|[\w/]+\.py)[^)]*\)', r'\1', text)
        more = ''.join(
            f'# $\\sqrt{{\\bar\\alpha_{{{n},{i}}}}}\\,x_0 + \\frac{{{i}}}{{{n}+1}}$\nx{i} = {i}\n\n'
            for i in range(FORMULAS)
        )  # fmt: skip
        (folder / f'page{n:03}.py').write_text(f'{text}\n\n{more}', encoding='utf-8')
    return folder


def reload(source: Path) -> float:
    """The work between saving a source and telling the browser, in seconds."""
    live = Live(Request([source], load(source), languages=[]))
    live.build()
    path = next(p for p in sorted(source.rglob('*.py')) if p.name == 'parse.py')
    live.file(path.relative_to(source).with_suffix('.html').as_posix())
    kept = path.read_text(encoding='utf-8')
    times = []
    try:
        for n in range(5):
            path.write_text(kept.replace('# ## Reading\n', f'# ## Reading {n}\n'), encoding='utf-8')
            live.build()
            times.append(live.took)
    finally:
        path.write_text(kept, encoding='utf-8')
        live.close()
    return sorted(times)[len(times) // 2]


def sizes(source: Path) -> dict[str, str]:
    """What a reader loads."""
    site = Site(Request([source], load(source), languages=[]))
    try:
        files = site.render()
    finally:
        site.close()
    packed = {
        url: len(gzip.compress(data, 9, mtime=0))
        for url, data in files.items()
        if url.endswith('.html')
    }
    largest = max(packed, key=packed.__getitem__)
    ours = {u: d for u, d in files.items() if re.fullmatch(r'assets/\w+\.(css|js)', u)}
    own = sum(map(len, ours.values()))
    small = sum(len(gzip.compress(data, 9, mtime=0)) for data in ours.values())
    nodes = len(re.findall(rb'<[a-z]', files[largest]))
    return {
        'pages': str(len(packed)),
        'largest page, gzipped': f'{packed[largest]:,} bytes ({largest}, {nodes:,} elements)',
        'our css and js': f'{own:,} bytes, gzipped {small:,}',
    }


def report(name: str, value: str) -> None:
    print(f'{name:32} {value}', flush=True)


def timed(name: str, measure: Callable[[], Time], times: int = 3) -> None:
    """The best of several: what else the machine does only ever adds."""
    report(name, str(min(measure() for _ in range(times))))


@command
def main() -> None:
    """Print every figure, the cold ones with a cache that is thrown away."""
    parser = argparse.ArgumentParser(prog='python -m labml_nn.pylit.bench')
    parser.add_argument('source', nargs='?', type=Path, default=HERE.parent)
    source = parser.parse_args().source
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / 'tree').mkdir()
        tree = large_tree(folder / 'tree')
        lines = sum(p.read_text('utf-8').count('\n') for p in tree.glob('*.py'))
        report('the large tree', f'{FILES} files, {lines:,} lines')
        times(folder, 'this site', source)
        times(folder, f'{FILES} files', tree)
        report('save to reload, work', f'{reload(source) * 1000:.0f} ms')
    for name, value in sizes(source).items():
        report(name, value)


def times(folder: Path, name: str, source: Path) -> None:
    """The first build, one with known formulas, the same again, and one after a change."""
    home = formulas.setup()
    old, cache = folder / 'old', folder / 'cache'

    def cold(pages_only: bool = False) -> Time:
        (cache / 'pages-2.sqlite').unlink(missing_ok=True)
        if not pages_only:
            shutil.rmtree(cache, ignore_errors=True)
            cache.mkdir()
            (cache / home.name).symlink_to(home)
        shutil.rmtree(old, ignore_errors=True)
        return build(source, old, cache)

    timed(f'{name}, cold', cold)
    timed(f'{name}, formulas known', lambda: cold(pages_only=True))
    timed(f'{name}, kept', lambda: build(source, folder / 'new', cache))
    same = all(
        path.read_bytes() == (folder / 'new' / path.relative_to(old)).read_bytes()
        for path in old.rglob('*')
        if path.is_file()
    )
    report(f'{name}, built twice', 'equal to the byte' if same else 'DIFFERENT')


if __name__ == '__main__':
    main()
