"""The `diffusers` package, to compare with."""

import os
import warnings

import pytest

from labml_nn.data.vision import vision


def diffusers():
    """The package; the test is skipped where it is not installed, and fails where CI lacks it."""
    with warnings.catch_warnings():
        # Of its own dependencies, while they are imported
        warnings.simplefilter('ignore')
        try:
            vision()  # diffusers imports torchvision too, and would trip over a broken one
            import diffusers
        except ImportError as error:
            if os.environ.get('CI') == 'true':
                raise
            pytest.skip(f'diffusers is not installed ({error}): pip install diffusers')
    diffusers.utils.logging.set_verbosity_error()
    return diffusers
