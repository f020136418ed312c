r"""
# Testing: what the pages name is run

`pylit test PATH` runs the tests that the pages below `PATH` name, and no others; `build --test`
runs them where there is no report of exactly these sources, and builds then. Pytest runs in a
process of its own, with all cores if pytest-xdist is there, and shows its progress on the terminal.
A plug-in, the [recorder](recorder.py), hears what every case says and writes it down.

Projects without tests need no pytest. Who changes a source while its tests run gets no report:
nobody could say of which sources it is.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from . import claims
from .claims import Claim, Report
from .config import Config
from .problems import Refusal
from .request import Request
from .site import Site

PACKAGE = Path(__file__).parents[__name__.count('.')]
LOUD = 'the sources have changed while their tests ran: run them again'


def ensure(request: Request) -> None:
    """Run the tests that the pages name, unless there is a report of exactly these sources."""
    report, why = claims.believed(request.config, request.paths, request.report)
    asked = named(request) if why else []
    if asked:
        print(f'{why}: running {len(asked)}', flush=True)
        run(request, asked)


def named(request: Request) -> list[Claim]:
    """The tests that the pages name and that exist, each once, in reading order."""
    site = Site(request)
    try:
        site.read()
        found = dict.fromkeys(claim for page in site.shown() for claim in page.claims)
        return [claim for claim in found if site.directory.find(claim)]
    finally:
        site.close()


def run(request: Request, asked: Sequence[Claim]) -> Report:
    """Run tests, and write the report of them."""
    config = request.config
    if importlib.util.find_spec('pytest') is None:
        raise Refusal('pytest is not installed: pip install pytest')
    roots = claims.roots(config, request.paths)
    before = claims.sources(config, roots)
    with tempfile.TemporaryDirectory(prefix='pylit-') as folder:
        said = Path(folder) / 'said.json'
        ended = _pytest(config, asked, said)
        if not said.is_file():
            raise Refusal(f'pytest ended with {ended} and has left no report')
        heard = json.loads(said.read_text(encoding='utf-8'))
    if claims.sources(config, roots) != before:
        raise Refusal(LOUD)
    when = datetime.now(timezone.utc).isoformat(timespec='seconds')
    tests = {claim.test: heard['tests'].get(claim.test, NOTHING) for claim in asked}
    report = Report(tests, before, roots, when, heard['versions'])
    claims.write_report(report, request.report or config.root / claims.REPORT)
    return report


NOTHING = {'cases': {}, 'seconds': 0, 'recorded': []}


def _pytest(config: Config, asked: Sequence[Claim], said: Path) -> int:
    """Files are named and not tests: a name that pytest cannot find would end the whole run."""
    wanted = said.with_name('named.json')
    below = config.tests.rstrip('/') + '/'
    said_to = {'below': below, 'tests': [claim.test for claim in asked]}
    wanted.write_text(json.dumps(said_to), encoding='utf-8')
    files = sorted({below + claim.path for claim in asked})
    command = [
        sys.executable, '-m', 'pytest', '-q', '--rootdir', '.', '-p', 'no:cacheprovider',
        '--continue-on-collection-errors', '-p', f'{__package__}.recorder',
        # With `=`: a path by itself would have a say in where pytest looks for its settings
        f'--pylit-named={wanted}', f'--pylit-said={said}', *_workers(), *files,
    ]  # fmt: skip
    paths = [str(PACKAGE), *filter(None, [os.environ.get('PYTHONPATH')])]
    around = {**os.environ, 'PYTHONPATH': os.pathsep.join(paths)}
    return subprocess.run(command, cwd=config.root, env=around, check=False).returncode


def _workers() -> list[str]:
    ours = getattr(os, 'sched_getaffinity', None)
    cores = len(ours(0)) if ours else os.cpu_count() or 1
    if cores < 2 or importlib.util.find_spec('xdist') is None:
        return []
    # What the tests of one file share is made once
    return ['-n', str(cores), '--dist', 'loadfile']
