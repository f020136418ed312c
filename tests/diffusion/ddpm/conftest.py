"""Runs of a few steps, which several tests sample from."""

import pytest
import torch

from labml_nn.diffusion.ddpm.experiment import main
from labml_nn.runs import checkpoint
from tests.kit.runs import PLAIN, called


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The folder of a run of a few steps."""
    out = tmp_path_factory.mktemp('runs') / 'trained'
    status, _, errors = called(main, *PLAIN, '--steps', 6, '--out', out)
    assert status == 0, errors
    return out


@pytest.fixture(scope='module')
def conditional(tmp_path_factory):
    """A run of a few steps with classes, whose last layer is taken out of its zero state."""
    out = tmp_path_factory.mktemp('runs') / 'conditional'
    status, _, errors = called(main, *PLAIN, '--steps', 6, '--n_classes', 10, '--out', out)
    assert status == 0, errors
    state = checkpoint.load(out)
    state.pop('format')
    for weights in ('model', 'ema'):
        head = state[weights]['head.weight']
        noise = torch.randn(head.shape, generator=torch.Generator().manual_seed(0))
        state[weights]['head.weight'] = 0.1 * noise
    checkpoint.save(out / checkpoint.FILE_NAME, state)
    return out
