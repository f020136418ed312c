r"""
---
title: torchvision, imported where it can be
summary: The one place that imports torchvision, and why it may have to declare two operators.
---

# torchvision, imported where it can be

torchvision is half Python, half compiled. The compiled half must fit the installed torch to the
letter, and on many machines it does not: a CPU-only torch beside the package index's (CUDA)
torchvision, a torch that was upgraded alone. The import then dies with

    operator torchvision::nms does not exist

although nothing here needs that operator. It suppresses overlapping boxes, for object detection;
the Python half only *mentions* it while it is being imported. Declaring the schema (the name and
the types, no code) is enough for the import to go through. Then data sets, transforms and utilities
work, and only the detection operators are missing.

But declaring what the compiled half registers as well ends the process, and no `except` catches
that. Whether it will register is not asked of its file, whose name differs from release to release
(`_C.so`, `_C_stable.so`). torchvision is imported plainly first, and does as it likes. Only when it
dies of an operator is that one declared, and the import tried again
[tested](test:data/test_vision.py::test_each_kind_of_torchvision_is_imported).

Every other file gets torchvision from here
[tested](test:data/test_vision.py::test_only_vision_imports_torchvision).
"""

import importlib
import re
import sys
from functools import cache
from types import ModuleType

import torch

# The operators that torchvision's Python half mentions while it is imported
SCHEMAS = {
    'nms': '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
    'qnms': '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
}
# What torch says of an operator that nobody has registered; the name is kept
ABSENT = re.compile(r"operator torchvision::(\w+)|'torchvision' object has no attribute '(\w+)'")


@cache
def vision() -> ModuleType:
    r"""
    The module `torchvision`, with `datasets`, `transforms.v2` and `utils` loaded.

    Raises `ImportError` with what to install when it is missing or does not fit torch.
    """
    try:
        return imported()
    except ImportError as error:
        raise ImportError(
            f'torchvision is missing ({error}). The models and samplers work without it, data '
            f'sets and pictures do not: pip install torchvision'
        ) from error
    # A broken build fails in many ways, as RuntimeError, AttributeError, OSError …
    except Exception as error:
        raise ImportError(
            f'torchvision does not fit torch {torch.__version__} ({error}). Install both again, '
            f'from the same index: pip install --upgrade --force-reinstall torch torchvision'
        ) from error


def imported() -> ModuleType:
    r"""
    Import torchvision, and declare what it dies of. Each try has to name another operator.
    """
    declared: set[str] = set()
    while True:
        try:
            return plainly_imported()
        except (RuntimeError, AttributeError) as error:
            found = ABSENT.search(str(error))
            name = (found[1] or found[2]) if found else None
            if name is None or name in declared:
                raise
            # The next try must not find what this one has left
            for module in [m for m in sys.modules if m.split('.')[0] == 'torchvision']:
                del sys.modules[module]
            declared |= declare({name, *SCHEMAS})


def plainly_imported() -> ModuleType:
    r"""
    torchvision and the parts that are used here, by Python's own means.
    """
    torchvision = importlib.import_module('torchvision')
    for name in ('datasets', 'transforms.v2', 'utils'):
        importlib.import_module(f'torchvision.{name}')
    return torchvision


def declare(names: set[str]) -> set[str]:
    r"""
    Declare the operators among `names` that are not registered. Returns `names`.

    > Nobody calls an operator that is only mentioned: one that `SCHEMAS` does not know gets the
    > simplest of schemas.
    """
    for name in names:
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f'torchvision::{name}', SCHEMAS.get(name, '() -> ()'))
    return names


def compiled_half_loads() -> bool:
    r"""
    Whether the operators of torchvision's compiled half are there and run: one of them is called.
    """
    vision()
    try:
        torch.ops.torchvision.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    # Not registered, only declared, or of another torch
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return False
    return True
