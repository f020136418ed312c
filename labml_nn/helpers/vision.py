r"""
---
title: torchvision, imported where it can be
summary: The one place that imports torchvision, and why it must declare two operators first.
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

Every other file gets torchvision from here
[tested](test:helpers/test_vision.py::test_only_vision_imports_torchvision).
"""

import importlib
from functools import cache
from types import ModuleType

import torch

# The operators that torchvision's Python half mentions while it is imported
SCHEMAS = {
    'nms': '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
    'qnms': '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
}


@cache
def vision() -> ModuleType:
    r"""
    The module `torchvision`, with `datasets`, `transforms.v2` and `utils` loaded.

    Raises `ImportError` with what to install when it is missing or does not fit torch.
    """
    try:
        declare_missing_operators()
        torchvision = importlib.import_module('torchvision')
        for name in ('datasets', 'transforms.v2', 'utils'):
            importlib.import_module(f'torchvision.{name}')
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
    return torchvision


def declare_missing_operators() -> None:
    r"""
    Declare those of `SCHEMAS` that torchvision's compiled half will not bring along.

    > Declared only if the compiled half cannot be loaded: declaring an operator that is then
    > loaded is an error of its own.
    """
    if compiled_half_loads():
        return
    for name, schema in SCHEMAS.items():
        try:
            torch.library.define(f'torchvision::{name}', schema)
        # It has been declared before, in this process: by an earlier call, or by another library
        except RuntimeError as error:
            if 'same name' not in str(error) and 'already' not in str(error):
                raise


def compiled_half_loads() -> bool:
    r"""
    Whether torchvision's library of operators can be loaded into this torch.
    """
    found = importlib.util.find_spec('torchvision')
    if found is None or found.submodule_search_locations is None:
        raise ImportError('it is not installed')
    spec = importlib.machinery.PathFinder.find_spec(
        'torchvision._C', list(found.submodule_search_locations)
    )
    if spec is None or spec.origin is None:
        return False
    try:
        torch.ops.load_library(spec.origin)
    except OSError:  # of another torch, or of a CUDA that is not there
        return False
    return True
