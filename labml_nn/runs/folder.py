r"""
# The folder of a run

A new run begins in an empty folder or none, and one that goes on in the folder that holds it; each
is refused, in words, where the other is meant. Nothing is written before that is known.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from labml_nn.cli.messages import first_line, wanted
from labml_nn.compute.descent import is_out_of_memory
from labml_nn.data.datasets import AnySet, fingerprint
from labml_nn.runs import checkpoint
from labml_nn.runs.lock import FILE_NAME as LOCK_NAME
from labml_nn.runs.lock import Lock

# What a checkpoint of any version has, if it is one of a training run
NEEDED = ('config', 'step', 'model', 'ema', 'ema_updates', 'optimizer')


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


def refuse_other_data(dataset: AnySet, kept: Mapping[str, Any]) -> None:
    r"""
    A `ValueError` unless the data is what the run began with.
    """
    # As text: a file of a stranger may have a tensor there, which compares with nothing
    changed = [f'{k}={v} (the run has {kept[k]})' for k, v in fingerprint(dataset).items()
               if repr(kept.get(k, v)) != repr(v)]  # fmt: skip
    if changed:
        raise ValueError(
            f'the data of {dataset.name} has changed since the run began: {", ".join(changed)}. '
            f'Put back what there was, or start another run with another --out'
        )


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
