r"""
---
title: Checkpoints
summary: One file that describes itself, written all or not at all, read without running code.
---

# Checkpoints

Four promises. Where one of them was broken, users have lost days. What becomes of a run, fault by
fault, is [a table](../diffusion/ddpm/faults.html).

* **It describes itself.** Beside the weights the file holds the configuration that built the
  model, so nobody has to remember flags: `load` is enough to rebuild it.
* **All or nothing.** It is written to a file beside the old one, forced to the disk, and then
  renamed over it. A crash, a full disk or a power cut leaves the old file as it was
  [tested](test:runs/test_checkpoint.py::test_full_disk_leaves_the_old_file).
* **What is read is what was written.** The file holds a checksum of its content. It is read back
  before it takes its name, and checked whenever it is loaded: one flipped bit in a weight is found
  [tested](test:runs/test_checkpoint.py::test_every_flipped_bit_is_found_or_harmless). The last
  few checkpoints are kept beside the newest one, as `checkpoint.1.pt`, `checkpoint.2.pt` …; when
  it is damaged, the one before is taken, and a line says so
  [tested](test:runs/test_checkpoint.py::test_a_damaged_file_falls_back_to_the_one_before).
* **Reading runs no code.** A pickle can hold instructions that run as it is loaded. Files are read
  with `weights_only=True`, which admits tensors and plain values and nothing else
  [tested](test:runs/test_checkpoint.py::test_a_file_that_holds_code_is_refused), once it is
  known that they ask for [no more than they hold](plain.html).
"""

import hashlib
import os
import platform
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from labml_nn.cli.messages import shown
from labml_nn.data.files import force_to_disk, written
from labml_nn.runs.plain import check_plain, read_plain, warn_of_old_torch

# The name that all our checkpoints carry, and the version of their layout; the first one had no
# checksum
NAME = 'labml_nn.ddpm/'
FORMAT, FIRST_FORMAT = f'{NAME}2', f'{NAME}1'

# The types that weights may have
WEIGHT_TYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)

# The file's name within the folder of a run
FILE_NAME = 'checkpoint.pt'


class NewerFormatError(ValueError):
    r"""
    A checkpoint that a later version of this package has written: whole, and not to be passed over.
    """


def save(path: str | Path, content: Mapping[str, Any], *, keep: int = 1) -> None:
    r"""
    Write `content` to `path`, all or not at all.

    * `content` tensors, numbers, strings and containers of these, nothing else
    * `keep` how many checkpoints there are to be, this one included: the one that has the name now
      becomes `checkpoint.1.pt`, that one `checkpoint.2.pt`, and so on

    Raises `OSError` when the disk is full or may not be written, or when what was written does not
    read back; the old files are intact then.
    """
    path = Path(path)
    content = {'format': FORMAT, **content}
    content['checksum'] = checksum(content)
    with written(path) as part:
        try:
            with part.open('wb') as file:
                torch.save(content, file)
            # Before the older ones are moved on
            force_to_disk(part)
        except RuntimeError as error:
            # torch reports a disk that is full so, with the errno in its text at best
            raise OSError(f'could not write {path}: {error}') from error
        try:
            read(part)
        except ValueError as error:
            raise OSError(
                f'{path} did not read back as it was written ({error}): is the disk failing?'
            ) from error
        set_aside(path, keep)


def older(path: Path, i: int) -> Path:
    r"""
    The name of the checkpoint that is `i` before the newest one.
    """
    return path.with_name(f'{path.stem}.{i}{path.suffix}') if i else path


def set_aside(path: Path, keep: int) -> None:
    r"""
    Move each checkpoint one name on, the last one over the edge; at every moment the newest one has
    its name, as it gets a second one and keeps the first.
    """
    if keep < 2 or not path.exists():
        return
    for i in reversed(range(1, keep - 1)):
        if older(path, i).exists():
            os.replace(older(path, i), older(path, i + 1))
    older(path, 1).unlink(missing_ok=True)
    try:
        os.link(path, older(path, 1))
    except OSError:  # a file system without second names
        os.replace(path, older(path, 1))


def checksum(content: Any) -> str:
    r"""
    SHA-256 over all that `content` holds: names, values, types, shapes and the tensors' bytes.

    Raises `ValueError` for [what cannot be walked through](plain.html).
    """
    check_plain(content)
    digest = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, Tensor):
            digest.update(f'{value.dtype}{list(value.shape)}'.encode())
            flat = value.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy())  # type: ignore[arg-type]
        elif isinstance(value, Mapping):
            digest.update(f'{{{len(value)}'.encode())
            for name, part in value.items():
                digest.update(repr(name).encode())
                add(part)
        elif isinstance(value, list | tuple):
            digest.update(f'[{len(value)}'.encode())
            for part in value:
                add(part)
        else:
            digest.update(f'{type(value).__name__} {value!r}'.encode())

    add(content)
    return digest.hexdigest()


def find(run_or_file: str | Path) -> Path:
    r"""
    The checkpoint file that is meant by a run's folder or a file.

    Raises `FileNotFoundError` that says what is there instead.
    """
    path = Path(run_or_file)
    file = path / FILE_NAME if path.is_dir() else path
    if file.is_file() or (path.is_dir() and kept(file)):
        return file
    if path.is_dir():
        names = sorted(p.name for p in path.iterdir())[:8]
        there = f'it holds {", ".join(names)}' if names else 'it is empty'
        raise FileNotFoundError(f'{path.absolute()} has no {FILE_NAME}: {there}')
    raise FileNotFoundError(
        f'{path.absolute()} does not exist: give the folder of a run or a checkpoint file'
    )


def exists(run: Path) -> bool:
    r"""
    Whether a folder holds any checkpoint.
    """
    return run.is_dir() and bool(kept(run / FILE_NAME))


def load(run_or_file: str | Path) -> dict[str, Any]:
    r"""
    What `save` wrote, on the CPU.

    Of a run's folder, the newest checkpoint that is whole: when one is passed over, a line on
    stderr says which and why. A file that is named is taken or refused.

    Raises `FileNotFoundError`, or `ValueError` for a file that is damaged, holds code, is none of
    ours or of a later version.
    """
    file = find(run_or_file)
    warn_of_old_torch()
    if file == Path(run_or_file):
        return read(file)
    problems = []
    for path in kept(file):
        try:
            content = read(path)
        except NewerFormatError:
            raise
        except ValueError as error:
            problems.append(error)
            continue
        for problem in problems:
            print(f'note: {problem}', file=sys.stderr)
        if path != file:
            print(f'note: going by {path}, step {content.get("step")}', file=sys.stderr)
        return content
    raise problems[0]


def kept(file: Path) -> list[Path]:
    r"""
    The checkpoints of a run, newest first, as they are named after `file`, the newest one.
    """
    numbered = [
        (int(number), p)
        for p in file.parent.glob(f'{file.stem}.*{file.suffix}')
        if (number := p.name[len(file.stem) + 1 : -len(file.suffix)]).isdigit()
    ]
    return [p for p in (file, *(p for _, p in sorted(numbered))) if p.is_file()]


def put_away_damaged(file: Path) -> None:
    r"""
    Give every damaged checkpoint of a run a name that says so, lest it be kept for a good one.
    """
    for path in kept(file):
        try:
            read(path)
        except NewerFormatError:
            continue
        except ValueError:
            os.replace(path, path.with_name(f'{path.name}.damaged'))


def read(file: Path) -> dict[str, Any]:
    r"""
    The content of one file, checked against its checksum. Raises `ValueError`.
    """
    content = read_plain(file, 'use an older copy, or train again')
    refuse_other_format(content, file)
    expected = content.pop('checksum', None)
    if content['format'] == FORMAT and expected != checksum(content):
        raise ValueError(
            f'{file.absolute()} is damaged: its checksum is not that of its content. Use an older '
            f'copy, or train again'
        )
    return content


def refuse_other_format(content: Any, file: Path) -> None:
    r"""
    A `ValueError` for what is none of our checkpoints, or one of a later version. Those of the
    first version are read
    [tested](test:diffusion/ddpm/test_resume.py::test_a_checkpoint_of_the_first_version_goes_on).
    """
    found = content.get('format') if isinstance(content, dict) else type(content).__name__
    if found in (FORMAT, FIRST_FORMAT):
        return
    if str(found).startswith(NAME):
        raise NewerFormatError(
            f'{file.absolute()} was written by a later version of this package: its format is '
            f'{found!r}, and this version reads up to {FORMAT!r}. Update: pip install -U labml-nn'
        )
    raise ValueError(
        f'{file.absolute()} is no checkpoint of this package: its format is {found!r}, not '
        f'{FORMAT!r}'
    )


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], source: str | Path) -> None:
    r"""
    Put `weights` into `model`: all of them, and nothing else. Raises `ValueError` as
    `fitting_weights` does.
    """
    model.load_state_dict(fitting_weights(model, weights, source))


def fitting_weights(
    model: nn.Module, weights: Mapping[str, Tensor], source: str | Path
) -> dict[str, Tensor]:
    r"""
    The weights by the names of `model`, which may be one of shapes alone, on torch's `meta`.

    Names that `torch.compile` or `DistributedDataParallel` prefixed are understood. Raises
    `ValueError` that names the first weights that are missing, left over, of another shape or no
    floating-point numbers. A model that is partly random works, and is wrong without a sound.
    """
    weights = {
        name.replace('_orig_mod.', '').removeprefix('module.'): w
        for name, w in named_tensors(weights, source).items()
    }
    own = model.state_dict()
    problems = {
        'missing': [name for name in own if name not in weights],
        'not in this model': [name for name in weights if name not in own],
        'of another shape': [
            f'{name} {list(w.shape)}, need {list(own[name].shape)}'
            for name, w in weights.items()
            if name in own and own[name].shape != w.shape
        ],
        'of a type that weights do not have': [
            f'{name} {w.dtype}' for name, w in weights.items() if w.dtype not in WEIGHT_TYPES
        ],
    }
    if any(problems.values()):
        listed = '; '.join(
            f'{len(names)} {what}: {", ".join(names[:5])}{" …" if len(names) > 5 else ""}'
            for what, names in problems.items()
            if names
        )
        raise ValueError(f'the weights in {source} are of another architecture: {listed}')
    return weights


def named_tensors(weights: Any, source: str | Path) -> Mapping[str, Tensor]:
    r"""
    The same, or a `ValueError` unless these are tensors by their names.
    """
    if not isinstance(weights, Mapping):
        raise ValueError(f'{source} holds a {type(weights).__name__} where weights have to be')
    for name, w in weights.items():
        if not isinstance(name, str) or not isinstance(w, Tensor):
            raise ValueError(f'{source} holds {shown(name)}: {shown(w)} where a weight has to be')
    return weights


# ## Random states
#
# What makes a resumed run go on as if it had never stopped.
def seed_everything(seed: int) -> None:
    r"""
    Seed the generators of Python, NumPy, torch and every device.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_states() -> dict[str, Any]:
    r"""
    The states of all generators, as plain values and tensors.
    """
    _, keys, position, has_gauss, gauss = np.random.get_state()
    return {
        'python': random.getstate(),
        'numpy': (torch.from_numpy(np.asarray(keys, dtype=np.int64)), position, has_gauss, gauss),
        'torch': torch.get_rng_state(),
        'cuda': torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        'mps': torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }


def set_random_states(states: Mapping[str, Any]) -> None:
    r"""
    Set all generators to the states that `random_states` gave, as far as their devices are here.

    Raises an error for states that are none.
    """
    random.setstate(states['python'])
    keys, position, *rest = states['numpy']
    # NumPy takes any place, and reads there
    if keys.shape != (624,) or not 0 <= position <= 624:
        raise ValueError(f"NumPy's generator has no place {position} of {list(keys.shape)}")
    np.random.set_state(('MT19937', keys.numpy().astype(np.uint32), position, *rest))
    torch.set_rng_state(states['torch'])
    for device, state in zip(range(torch.cuda.device_count()), states['cuda'], strict=False):
        torch.cuda.set_rng_state(state, device)
    if states.get('mps') is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states['mps'])


def versions() -> dict[str, str]:
    r"""
    What the file was written with.
    """
    return {'python': platform.python_version(), 'torch': str(torch.__version__)}
