"""The packages to compare with: `diffusers` and `torch-fidelity`."""

import importlib
import os
import warnings
from types import ModuleType

import pytest

from labml_nn.data.vision import vision


def peer(package: str, module: str) -> ModuleType:
    """A module of it; the test is skipped where there is none, and fails where CI lacks it."""
    with warnings.catch_warnings():
        # Of its own dependencies, while they are imported
        warnings.simplefilter('ignore')
        try:
            vision()  # both import torchvision too, and would trip over a broken one
            return importlib.import_module(module)
        except ImportError as error:
            if os.environ.get('CI') == 'true':
                raise
            pytest.skip(f'{package} is not installed ({error}): pip install {package}')


def diffusers() -> ModuleType:
    found = peer('diffusers', 'diffusers')
    found.utils.logging.set_verbosity_error()
    return found


def fidelity(part: str) -> ModuleType:
    return peer('torch-fidelity', f'torch_fidelity.{part}')
