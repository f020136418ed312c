r"""
# Bench: how long an author waits, how much a reader loads

Every figure that the documentation claims comes from here: `make bench-docs`.
The large tree is made of this package's own rooms, each copy with formulas of its own, so that
no formula is set once and counted many times.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from . import formulas
from .config import load
from .serve import Live
from .site import Request, Site

HERE = Path(__file__).parent
FILES, FORMULAS = 222, 7


def build(source: Path, out: Path, cache: Path) -> float:
    """The seconds of one `build`, from the start of Python to its end."""
    command = [sys.executable, '-m', 'labml_nn.pylit', 'build', str(source), '-o', str(out)]
    around = {**os.environ, 'PYTHONPATH': str(HERE.parents[1]), 'PYLIT_CACHE': str(cache)}
    begun = time.perf_counter()
    done = subprocess.run(command, env=around, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - begun


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
    live = Live(Request([source], load(source)))
    live.build()
    path = next(p for p in sorted(source.rglob('*.py')) if p.name == 'parse.py')
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
    site = Site(Request([source], load(source)))
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
    own = sum(len(d) for u, d in files.items() if re.fullmatch(r'assets/\w+\.(css|js)', u))
    nodes = len(re.findall(rb'<[a-z]', files[largest]))
    return {
        'pages': str(len(packed)),
        'largest page, gzipped': f'{packed[largest]:,} bytes ({largest}, {nodes:,} elements)',
        'our css and js': f'{own:,} bytes',
    }


def report(name: str, value: str) -> None:
    print(f'{name:32} {value}', flush=True)


def timed(name: str, measure: Callable[[], float]) -> None:
    report(name, f'{measure():.2f} s')


def main() -> None:
    """Print every figure, the cold ones with a cache that is thrown away."""
    parser = argparse.ArgumentParser(prog='python -m labml_nn.pylit.bench')
    parser.add_argument('source', nargs='?', type=Path, default=HERE.parent)
    source = parser.parse_args().source
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        cache = folder / 'cache'
        cache.mkdir()
        (cache / formulas.katex_home().name).symlink_to(formulas.setup())
        tree = folder / 'tree'
        tree.mkdir()
        large_tree(tree)
        lines = sum(p.read_text('utf-8').count('\n') for p in tree.glob('*.py'))
        report('the large tree', f'{FILES} files, {lines:,} lines')
        timed('this site, cold', lambda: build(source, folder / 'one', cache))
        timed('this site, formulas known', lambda: build(source, folder / 'two', cache))
        timed(f'{FILES} files, cold', lambda: build(tree, folder / 'many', cache))
        timed(f'{FILES} files, formulas known', lambda: build(tree, folder / 'more', cache))
        report('save to reload, work', f'{reload(source) * 1000:.0f} ms')
        same = all(
            path.read_bytes() == (folder / 'two' / path.relative_to(folder / 'one')).read_bytes()
            for path in (folder / 'one').rglob('*')
            if path.is_file()
        )
        report('two builds', 'equal to the byte' if same else 'DIFFERENT')
    for name, value in sizes(source).items():
        report(name, value)


if __name__ == '__main__':
    main()
