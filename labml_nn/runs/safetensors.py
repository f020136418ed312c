r"""
---
title: Safetensors
summary: The file format of published weights, read and written all or not at all.
---

# Safetensors

Weights are published in a format that cannot hold code: eight bytes that say how long the header
is, the header in JSON (name, type, shape and place of each tensor), and the numbers. The package
[safetensors](https://github.com/huggingface/safetensors) reads and writes it. It takes a file only
where the tensors fill it to the byte, without holes and overlaps
[tested](test:runs/test_safetensors.py::test_what_does_not_fill_the_file_is_refused); what is
added here is that a file is written whole or not at all.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors import torch as package
from torch import Tensor

from labml_nn.data.files import written
from labml_nn.runs.plain import refuse_pointer


def save_file(
    path: str | Path, tensors: Mapping[str, Tensor], about: Mapping[str, str] | None = None
) -> None:
    r"""
    Write `tensors` to `path`, all or not at all, and what is to be known `about` them into its
    header. Raises `OSError`.
    """
    # The package takes no strides, and no tensors that share their numbers
    own = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    with written(Path(path)) as part:
        try:
            package.save_file(own, part, metadata={'format': 'pt', **(about or {})})
        except SafetensorError as error:
            raise OSError(f'could not write {path}: {error}') from error


def load_file(path: str | Path) -> dict[str, Tensor]:
    r"""
    The tensors in `path`, on the CPU.

    Raises `ValueError` for a file that is damaged or in another format.
    """
    return load_with_header(path)[0]


def load_with_header(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    r"""
    The same, and what the header says about them.
    """
    path = Path(path)
    refuse_pointer(path)
    # Read, not mapped: a file that is changed later would change the weights, or end the process
    content = path.read_bytes()
    try:
        tensors = package.load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], 'little')])
        return tensors, header.get('__metadata__', {})
    # Not its own error alone: a type that this torch does not have is a KeyError
    except Exception as error:
        raise ValueError(
            f'{path.absolute()} is damaged or no safetensors file ({len(content):,} bytes; '
            f'{error}): get it again'
        ) from error
