"""How fast the error falls with the number of steps, where the exact answer is known."""

import itertools

import pytest

from labml_nn.diffusion.samplers import DDIM, PNDM, DPMSolver
from tests.kit.flow import errors


def ratios(kind, steps=(40, 80, 160, 320), **options):
    e = errors(kind, steps, **options)
    return [a / b for a, b in itertools.pairwise(e)]


def test_ddim_has_order_one():
    assert all(1.8 < r < 2.2 for r in ratios(DDIM)), ratios(DDIM)


@pytest.mark.parametrize('spacing', ['linspace', 'quadratic'])
def test_second_order_solvers_have_order_two(spacing):
    share = {'linspace': 1 / 8, 'quadratic': 1 / 16}[spacing]
    found = ratios(DPMSolver, spacing=spacing, share=share, sde=False)
    assert all(3.4 < r < 4.6 for r in found), found


@pytest.mark.parametrize('start', ['prk', 'plms'])
def test_pndm_has_order_two(start):
    found = ratios(PNDM, start=start)
    assert all(3.4 < r < 4.6 for r in found), found
