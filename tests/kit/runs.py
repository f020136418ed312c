"""What the tests of runs share: to call a command, and to compare what two runs have left."""

import contextlib
import csv
import io
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from labml_nn.runs.log import COLUMNS

# No pictures: only what a test looks at costs time
PLAIN = ['--preset', 'tests', '--n_previews', '0', '--n_samples', '0']

# A program that takes the lock of a folder and keeps it
HOLD = (
    'import sys, time; from pathlib import Path; from labml_nn.runs.lock import Lock\n'
    'lock = Lock(Path(sys.argv[1])); print("held", flush=True); time.sleep(100)'
)


def called(main: Callable[[list[str]], int], *arguments: object) -> tuple[object, str, str]:
    """Call a command in this process; its status and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status: object = main([str(a) for a in arguments])
        except SystemExit as leaving:
            status = leaving.code
    return status, out.getvalue(), err.getvalue()


def equal(a: object, b: object) -> bool:
    """Whether two nested structures are the same to the bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(equal, a, b))
    return a == b


def log_of(out: Path) -> list[list[str]]:
    """The rows of a log, without its two columns of times."""
    with (out / 'log.csv').open() as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == COLUMNS
    assert COLUMNS[-2:] == ('images_per_second', 'data_wait')
    return [row[:-2] for row in rows]


def opened(path: Path) -> Image.Image:
    """A picture, read whole."""
    with Image.open(path) as picture:
        picture.load()
        return picture
