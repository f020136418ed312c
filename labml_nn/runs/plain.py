r"""
---
title: Files of strangers
summary: Tensors and plain values out of a file that anybody may have written.
---

# Files of strangers

Weights and checkpoints are handed around. A file that `torch.save` wrote is a zip of one pickle and
the numbers; torch's own limited reader (`weights_only=True`) keeps a pickle from running code. It
does not keep it from asking for more memory than the machine has, nor from never ending. So before
a number is read, the content is looked at without its numbers, on torch's device `meta`
[tested](test:runs/test_plain.py::test_what_asks_for_too_much_is_refused):

* **Stored, not packed.** `torch.save` packs nothing. A packed member may grow a thousandfold.
* **No more than the file holds.** A tensor can be expanded: one number that is said to be a
  billion.
* **Containers one can walk through.** A list in itself never ends, and forty lists that each hold
  the next one twice end after $2^{40}$ steps.

> **Which torch?** Before 2.10 the limited reader itself can be made to write where it must not
> ([CVE-2026-24747](https://nvd.nist.gov/vuln/detail/CVE-2026-24747)). With such a torch, weights in
> `.bin` files of strangers are refused, and a line on stderr tells whoever opens a checkpoint;
> safetensors are not concerned. Update torch, or, for files that you trust, set the environment
> variable `LABML_NN_TRUST_FILES=1`
> [tested](test:runs/test_plain.py::test_an_old_torch_refuses_or_tells).
"""

import os
import pickle
import re
import sys
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from labml_nn.cli.messages import shown

# What a container may hold beside tensors and containers
LEAVES = (bool, int, float, str, bytes, torch.dtype, torch.device, type(None))
# How deep containers may be nested, and how many values there may be in all of them: a run of many
# processes keeps 625 numbers of Python's generator for each
DEPTH, VALUES = 32, 2_000_000
# The first torch whose limited reader is safe, and how to do without
SAFE_TORCH = (2, 10)
TRUST = 'LABML_NN_TRUST_FILES'
POINTER = b'version https://git-lfs.github.com/spec/'


def reason(error: BaseException) -> str:
    r"""
    Why torch has refused a file: the cause, without the advice to switch the protection off.
    """
    lines = [line.strip() for line in re.split(r'\n|WeightsUnpickler error: ', str(error))]
    lines = [re.split(r'\.? Please |, which can | Re-running ', line)[0] for line in lines]
    lines = [line for line in lines if line and not re.search('weights_only|eights only', line)]
    return lines[0].removesuffix('.') if lines else type(error).__name__


def refuse_pointer(file: Path) -> None:
    r"""
    A `ValueError` for the few lines that git keeps in the place of a large file.
    """
    with file.open('rb') as opened:
        if opened.read(len(POINTER)) == POINTER:
            raise ValueError(
                f'{file.absolute()} is a git-lfs pointer, a note in the place of the file: get the '
                f'file itself with git lfs pull, or download it again'
            )


def is_old_torch() -> bool:
    r"""
    Whether this torch's limited reader can be broken, and nobody has said that files are trusted.
    """
    found = tuple(int(n) for n in re.findall(r'\d+', torch.__version__)[:2])
    return found < SAFE_TORCH and os.environ.get(TRUST) != '1'


def refuse_old_torch(file: Path) -> None:
    r"""
    A `ValueError` where a stranger's pickle is not to be opened.
    """
    if is_old_torch():
        raise ValueError(f'{file.absolute()} is not opened: {old_torch()}')


def old_torch() -> str:
    r"""
    What is wrong with an old torch, and what to do.
    """
    return (
        f'reading a pickle with torch {torch.__version__} can corrupt memory (CVE-2026-24747). '
        f'Update torch to 2.10 or later, use safetensors, or, if you trust the file, set {TRUST}=1'
    )


WARNED: set[str] = set()


def warn_of_old_torch() -> None:
    r"""
    The same as a note on stderr, once: a run's own checkpoints have to be read.
    """
    if is_old_torch() and not WARNED:
        WARNED.add(torch.__version__)
        print(f'note: {old_torch()}', file=sys.stderr)


# ## Reading
def read_plain(file: Path, instead: str) -> Any:
    r"""
    What `torch.save` wrote to a file, on the CPU: tensors and plain values.

    * `instead` what to do about a damaged file, for the message

    Raises `ValueError` for a file that is damaged, holds code, or asks for more than it holds.
    """
    refuse_pointer(file)
    try:
        check_members(file)
        with warnings.catch_warnings():
            # torch wonders about files that are then refused
            warnings.simplefilter('ignore')
            shapes = torch.load(file, map_location='meta', weights_only=True, mmap=True)
            check_plain(shapes, file.stat().st_size)
            return torch.load(file, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f'{file.absolute()} is refused: it holds more than tensors and plain values, which '
            f'could run code ({reason(error)})'
        ) from error
    except NotPlainError as error:
        raise ValueError(f'{file.absolute()} is refused: {error}') from error
    # Whatever a damaged file makes the reader stumble over
    except Exception as error:
        raise ValueError(
            f'{file.absolute()} is damaged or no checkpoint ({file.stat().st_size:,} bytes; '
            f'{reason(error)}): {instead}'
        ) from error


class NotPlainError(ValueError):
    r"""
    Content that is no plain value, or asks for too much.
    """


def check_members(file: Path) -> None:
    r"""
    A `NotPlainError` for a zip that has packed members, or more bytes in them than in the file.
    """
    with zipfile.ZipFile(file) as members:
        packed = [m.filename for m in members.infolist() if m.compress_type != zipfile.ZIP_STORED]
        size = sum(m.file_size for m in members.infolist())
    if packed:
        raise NotPlainError(f'{shown(packed[0])} in it is compressed, which torch.save never does')
    if size > file.stat().st_size:
        raise NotPlainError(f'its members claim {size:,} bytes, more than the file has')


def check_plain(content: Any, n_bytes: int | None = None) -> None:
    r"""
    A `NotPlainError` for what cannot be walked through: containers that hold themselves or are
    held twice, that are nested too deep, or hold too much; and for all that is no plain value.

    * `n_bytes` the most that all tensors may have, if they are of a file of that size
    """
    seen: set[int] = set()
    n_values = total = 0

    def walk(value: Any, depth: int) -> None:
        nonlocal n_values, total
        n_values += 1
        if depth > DEPTH or n_values > VALUES:
            raise NotPlainError(
                f'its containers are nested too deep or hold over {VALUES:,} values'
            )
        if isinstance(value, Tensor):
            total += bytes_of(value)
            if n_bytes is not None and total > n_bytes:
                raise NotPlainError(f'its tensors ask for more than the {n_bytes:,} bytes it has')
        elif isinstance(value, Mapping | list | tuple):
            # A tuple may well be used twice, as constants are
            if not isinstance(value, tuple) and id(value) in seen:
                raise NotPlainError('it has a container that is held twice, or by itself')
            seen.add(id(value))
            parts = value
            if isinstance(value, Mapping):
                parts = [part for pair in value.items() for part in pair]
            for part in parts:
                walk(part, depth + 1)
        elif not isinstance(value, LEAVES) or (
            isinstance(value, int) and value.bit_length() > 1024
        ):
            raise NotPlainError(f'it holds a {type(value).__name__} that is no plain value')

    walk(content, 0)


def bytes_of(tensor: Tensor) -> int:
    r"""
    The bytes of a tensor; a `NotPlainError` for one whose numbers do not lie there one by one.
    """
    if tensor.layout is not torch.strided or tensor.is_quantized:
        raise NotPlainError(f'it holds a tensor of another form ({tensor.layout})')
    if any(s == 0 and n > 1 for s, n in zip(tensor.stride(), tensor.shape, strict=True)):
        raise NotPlainError(
            f'it holds a tensor {list(tensor.shape)} that is expanded: the same numbers again and '
            f'again, which would fill {tensor.numel() * tensor.element_size():,} bytes'
        )
    return tensor.numel() * tensor.element_size()
