r"""
---
title: Checkpoints
summary: One file that describes itself, written all or not at all, read without running code.
---

# Checkpoints

Three promises, each of which users have lost days to.

* **It describes itself.** Beside the weights the file holds the configuration that built the
  model, so nobody has to remember flags: `load` is enough to rebuild it.
* **All or nothing.** It is written to a file beside the old one, forced to the disk, and then
  renamed over it. A crash, a full disk or a power cut leaves the old file as it was
  [tested](test:helpers/test_checkpoint.py::test_full_disk_leaves_the_old_file).
* **Reading runs no code.** A pickle can hold instructions that run as it is loaded. Files are read
  with `weights_only=True`, which admits tensors and plain values and nothing else
  [tested](test:helpers/test_checkpoint.py::test_a_file_that_holds_code_is_refused).
"""

import os
import pickle
import platform
import random
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

# The name that all our checkpoints carry, and the version of their layout
FORMAT = 'labml_nn.ddpm/1'

# The file's name within the folder of a run
FILE_NAME = 'checkpoint.pt'


def save(path: str | Path, content: Mapping[str, Any]) -> None:
    r"""
    Write `content` to `path`, all or not at all.

    * `content` tensors, numbers, strings and containers of these, nothing else

    Raises `OSError` when the disk is full or may not be written; the old file is intact then.
    """
    path = Path(path)
    # In the same folder, as a file can only be renamed within a file system
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.', suffix='.part')
    try:
        with os.fdopen(handle, 'wb') as file:
            torch.save({'format': FORMAT, **content}, file)
            file.flush()
            # On the disk before it takes the name: a rename can survive a power cut that the
            # content did not
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~current_umask())
        os.replace(name, path)
        sync_folder(path.parent)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        # torch reports a disk that is full as RuntimeError, with the errno in its text at best
        if isinstance(error, RuntimeError):
            raise OSError(f'could not write {path}: {error}') from error
        raise


def current_umask() -> int:
    r"""
    The permissions that new files of this process do not get; `mkstemp` ignores them.
    """
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def sync_folder(folder: Path) -> None:
    r"""
    Force a rename within `folder` to the disk, where the system can (Windows cannot).
    """
    if os.name == 'posix':
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def find(run_or_file: str | Path) -> Path:
    r"""
    The checkpoint file that is meant by a run's folder or a file.

    Raises `FileNotFoundError` that says what is there instead.
    """
    path = Path(run_or_file)
    file = path / FILE_NAME if path.is_dir() else path
    if file.is_file():
        return file
    if path.is_dir():
        names = sorted(p.name for p in path.iterdir())[:8]
        there = f'it holds {", ".join(names)}' if names else 'it is empty'
        raise FileNotFoundError(f'{path.absolute()} has no {FILE_NAME}: {there}')
    raise FileNotFoundError(
        f'{path.absolute()} does not exist: give the folder of a run or a checkpoint file'
    )


def load(run_or_file: str | Path) -> dict[str, Any]:
    r"""
    What `save` wrote, on the CPU.

    Raises `FileNotFoundError`, or `ValueError` for a file that is damaged, holds code or is none
    of ours.
    """
    file = find(run_or_file)
    try:
        with warnings.catch_warnings():
            # torch wonders about files that are then refused
            warnings.simplefilter('ignore')
            content = torch.load(file, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f'{file.absolute()} is refused: it holds more than tensors and plain values, which '
            f'could run code ({first_line(error)})'
        ) from error
    except (RuntimeError, EOFError, OSError, KeyError, IndexError, UnicodeDecodeError) as error:
        raise ValueError(
            f'{file.absolute()} is damaged or no checkpoint ({file.stat().st_size:,} bytes; '
            f'{first_line(error)}): use an older copy, or train again'
        ) from error
    if not isinstance(content, dict) or content.get('format') != FORMAT:
        found = content.get('format') if isinstance(content, dict) else type(content).__name__
        raise ValueError(
            f'{file.absolute()} is no checkpoint of this package: its format is {found!r}, not '
            f'{FORMAT!r}'
        )
    return content


def first_line(error: BaseException) -> str:
    r"""
    The first line of what an error says; torch's can fill a screen.
    """
    return str(error).strip().split('\n')[0].removesuffix('.') or type(error).__name__


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], source: str | Path) -> None:
    r"""
    Put `weights` into `model`: all of them, and nothing else.

    Names that `torch.compile` or `DistributedDataParallel` prefixed are understood. Raises
    `ValueError` that names the first weights that are missing, left over or of another shape.
    A model that is partly random works, and is wrong without a sound.
    """
    weights = {
        name.replace('_orig_mod.', '').removeprefix('module.'): w for name, w in weights.items()
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
    }
    if any(problems.values()):
        listed = '; '.join(
            f'{len(names)} {what}: {", ".join(names[:5])}{" …" if len(names) > 5 else ""}'
            for what, names in problems.items()
            if names
        )
        raise ValueError(f'the weights in {source} are of another architecture: {listed}')
    model.load_state_dict(dict(weights))


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
    }


def set_random_states(states: Mapping[str, Any]) -> None:
    r"""
    Set all generators to the states that `random_states` gave, as far as their devices are here.
    """
    random.setstate(states['python'])
    keys, *rest = states['numpy']
    np.random.set_state(('MT19937', keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(states['torch'])
    for device, state in zip(range(torch.cuda.device_count()), states['cuda'], strict=False):
        torch.cuda.set_rng_state(state, device)


def versions() -> dict[str, str]:
    r"""
    What the file was written with.
    """
    return {'python': platform.python_version(), 'torch': str(torch.__version__)}
