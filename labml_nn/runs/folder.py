r"""
# The folder of a run

A new run begins in an empty folder or none, and one that goes on in the folder that holds it; each
is refused, in words, where the other is meant. Nothing is written before that is known.
"""

import contextlib
import hashlib
import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from labml_nn.cli.messages import first_line, wanted
from labml_nn.compute.descent import is_out_of_memory
from labml_nn.data.datasets import AnySet, Images, fingerprint
from labml_nn.data.files import written
from labml_nn.runs import checkpoint
from labml_nn.runs.lock import FILE_NAME as LOCK_NAME
from labml_nn.runs.lock import Lock

# What a checkpoint of any version has, if it is one of a training run
NEEDED = ('config', 'step', 'model', 'ema', 'ema_updates', 'optimizer')
# The files of the data, and how many of them an error names
LIST, MOST = 'data.json', 5


def open_folder(
    out: Path, resume: bool, cleanup: contextlib.ExitStack, *, look_only: bool = False
) -> dict[str, Any] | None:
    r"""
    The state of the run in `out`, which is locked from now on; `None` for a new run.

    Raises `ValueError` or `FileNotFoundError` when there is none to resume, or one where a new one
    is to be.
    """
    if not resume:
        refuse_used(out)
        return None
    checkpoint.find(out)
    if not look_only:
        cleanup.callback(Lock(out).release)
    state = checkpoint.load(out)
    missing = [name for name in NEEDED if name not in state]
    if missing:
        raise ValueError(
            f'{out} cannot be gone on with: its checkpoint has no {", ".join(missing)}. It can be '
            f'sampled from; to train, begin a new run with another --out'
        )
    if not look_only:
        checkpoint.put_away_damaged(out / checkpoint.FILE_NAME)
    return state


def refuse_used(out: Path, left: Sequence[str] = ()) -> None:
    r"""
    A `ValueError` when the folder of a new run holds something already.

    * `left` names of what else a run leaves that was killed before its first checkpoint
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f'{out.absolute()} is a file: choose another --out')
    if checkpoint.exists(out):
        step = wanted(checkpoint.load(out), 'step', int, out)
        raise ValueError(
            f'{out} already holds a run (step {step:,}): pass --resume to go on with it, or '
            f'choose another --out'
        )
    # What a run that was killed before its first checkpoint has left does not count
    ours = (LOCK_NAME, f'.{checkpoint.FILE_NAME}.')
    names = [p.name for p in out.iterdir()] if out.exists() else []
    if any(not name.startswith(ours) and name not in left for name in names):
        raise ValueError(f'{out.absolute()} is not empty and holds no run: choose another --out')


# ## The same data
def refuse_other_data(
    dataset: AnySet, kept: Mapping[str, Any], out: Path | None = None, root: str | Path = ''
) -> None:
    r"""
    A `ValueError` unless the data is what the run began with; it names the files that came, went or
    differ, where the run in `out` has [a list of them](#write_list).

    * `root` the folder of the pictures
    """
    # As text: a file of a stranger may have a tensor there, which compares with nothing
    changed = [f'{k}={v} (the run has {kept[k]})' for k, v in fingerprint(dataset).items()
               if repr(kept.get(k, v)) != repr(v)]  # fmt: skip
    if changed:
        where = '' if out is None else f' with these weights, --init {shlex.quote(str(out))}'
        raise ValueError(
            f'the data of {dataset.name} has changed since the run began: {", ".join(changed)}. '
            f'{"" if out is None else what_changed(dataset, out, root)}Put back what there was, or '
            f'start another run{where} with another --out'
        )


def write_list(dataset: AnySet, out: Path, root: str | Path) -> None:
    r"""
    A list of the files that the images are from, each with a checksum: of its pixels where those
    are in memory, else the number of its bytes. Nothing where images have no files of their own.
    """
    if dataset.paths:
        with written(out / LIST) as part:
            # Names that are none in UTF-8 are written out
            part.write_text(json.dumps(files_of(dataset, root), indent=0), encoding='ascii')


def files_of(dataset: AnySet, root: str | Path) -> dict[str, str]:
    r"""
    A checksum for each file of the images, by its path from `root`.
    """
    names = [os.path.relpath(path, root) for path in dataset.paths]
    if isinstance(dataset, Images):
        rows = dataset.images.flatten(1).numpy()
        sums = [hashlib.blake2b(row.data, digest_size=8).hexdigest() for row in rows]
    else:
        sums = [str(path.stat().st_size) for path in dataset.paths]
    return dict(zip(names, sums, strict=True))


def what_changed(dataset: AnySet, out: Path, root: str | Path) -> str:
    r"""
    Which files came, went or differ since the run began, in a sentence; empty where nobody knows.
    """
    try:
        old = json.loads((out / LIST).read_text(encoding='ascii'))
        new = files_of(dataset, root)
        found = {
            'came': sorted(new.keys() - old.keys()),
            'went': sorted(old.keys() - new.keys()),
            'differ': sorted(name for name in new if old.get(name, new[name]) != new[name]),
        }
    except (OSError, ValueError, AttributeError):  # no list, or not ours: it is a guest
        return ''
    told = (
        f'{len(names):,} {what} ({", ".join(names[:MOST])}{" …" * (len(names) > MOST)})'
        for what, names in found.items()
        if names
    )
    text = ', '.join(told).encode('utf-8', 'backslashreplace').decode()
    return f'Of its files {text}. ' if text else ''


@contextlib.contextmanager
def named_part(source: Path, name: str) -> Iterator[None]:
    r"""
    Inside this block any error is a `ValueError` that names the part of a checkpoint: a file of a
    stranger, with a checksum that is right, may hold anything in any place
    [tested](test:diffusion/ddpm/test_resume.py::test_a_part_that_no_run_leaves_is_named).
    """
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ValueError(
            f'{source.absolute()} cannot be gone on with: its {name} is not what a run leaves '
            f'({type(error).__name__}: {first_line(error)}). Take an older copy, or '
            f'begin a new run with another --out'
        ) from error
