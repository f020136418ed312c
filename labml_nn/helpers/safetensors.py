r"""
---
title: Safetensors
summary: The file format of published weights, read and written without another package.
---

# Safetensors

Weights are published in a format that cannot hold code: eight bytes that say how long the header
is, the header in JSON (name, type, shape and place of each tensor), and the numbers. So little that
it needs no package [tested](test:helpers/test_safetensors.py::test_the_package_reads_ours).
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# Types by their names in the header
TYPES = {
    'F64': torch.float64,
    'F32': torch.float32,
    'F16': torch.float16,
    'BF16': torch.bfloat16,
    'I64': torch.int64,
    'I32': torch.int32,
    'U8': torch.uint8,
    'BOOL': torch.bool,
}


def save_file(path: str | Path, tensors: Mapping[str, Tensor]) -> None:
    r"""
    Write `tensors` to `path`, all or not at all.
    """
    names = {kind: name for name, kind in TYPES.items()}
    header: dict[str, Any] = {'__metadata__': {'format': 'pt'}}
    at = 0
    for name, tensor in tensors.items():
        end = at + tensor.numel() * tensor.element_size()
        header[name] = {
            'dtype': names[tensor.dtype],
            'shape': list(tensor.shape),
            'data_offsets': [at, end],
        }
        at = end
    text = json.dumps(header).encode()
    # Blanks up to a multiple of eight bytes, where numbers like to begin
    text += b' ' * (-len(text) % 8)
    part = Path(path).with_name(f'.{Path(path).name}.part')
    try:
        with part.open('wb') as file:
            file.write(len(text).to_bytes(8, 'little') + text)
            for tensor in tensors.values():
                flat = tensor.detach().cpu().contiguous().reshape(-1)
                file.write(flat.view(torch.uint8).numpy().tobytes())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def load_file(path: str | Path) -> dict[str, Tensor]:
    r"""
    The tensors in `path`, on the CPU.

    Raises `ValueError` for a file that is damaged or in another format.
    """
    content = bytearray(Path(path).read_bytes())
    size = int.from_bytes(content[:8], 'little')
    try:
        header = json.loads(content[8 : 8 + size])
        header.pop('__metadata__', None)
        # Of all bytes behind the header, each tensor is a view
        return {name: tensor_of(content, 8 + size, entry) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(
            f'{Path(path).absolute()} is damaged or no safetensors file ({len(content):,} bytes; '
            f'{error}): get it again'
        ) from error


def tensor_of(content: bytearray, start: int, entry: Mapping[str, Any]) -> Tensor:
    r"""
    The tensor that an `entry` of the header describes.
    """
    kind, shape = TYPES[entry['dtype']], entry['shape']
    begin, end = entry['data_offsets']
    n = (end - begin) // kind.itemsize
    if n == 0:
        return torch.empty(shape, dtype=kind)
    # Numbers may begin anywhere in the file, torch wants them aligned: copy
    data = content[start + begin : start + end]
    return torch.frombuffer(data, dtype=kind, count=n).reshape(shape)
