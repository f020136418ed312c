"""The `torch-fidelity` package, to compare with."""

import importlib
import os
import warnings

import pytest

from labml_nn.data.vision import vision


def fidelity(part):
    """A module of it; the test is skipped where there is none, and fails where CI lacks it."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            vision()  # it imports torchvision too, and would trip over a broken one
            return importlib.import_module(f'torch_fidelity.{part}')
        except ImportError as error:
            if os.environ.get('CI') == 'true':
                raise
            pytest.skip(f'torch-fidelity is not installed ({error}): pip install torch-fidelity')
