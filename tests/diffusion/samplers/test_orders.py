"""How fast the error falls with the number of steps, where the exact answer is known."""

import itertools

import pytest

from labml_nn.diffusion.samplers import DDIM, PNDM, DPMSolver, Flow, Heun, UniPC
from tests.kit.close import agree
from tests.kit.flow import errors

FALL = 'error for twice the steps falls by'


def ratios(kind, steps=(40, 80, 160, 320), **options):
    e = errors(kind, steps, **options)
    return [a / b for a, b in itertools.pairwise(e)]


def test_ddim_has_order_one():
    agree(ratios(DDIM), [2.0] * 3, atol=0.2, what=FALL)


@pytest.mark.parametrize('spacing', ['linspace', 'quadratic'])
def test_second_order_solvers_have_order_two(spacing):
    share = {'linspace': 1 / 8, 'quadratic': 1 / 16}[spacing]
    found = ratios(DPMSolver, spacing=spacing, share=share, sde=False)
    agree(found, [4.0] * 3, atol=0.6, what=FALL)


@pytest.mark.parametrize('start', ['prk', 'plms'])
def test_pndm_has_order_two(start):
    agree(ratios(PNDM, start=start), [4.0] * 3, atol=0.6, what=FALL)


def test_heun_has_order_two():
    agree(ratios(Heun), [4.0] * 3, atol=0.6, what=FALL)


@pytest.mark.parametrize(('order', 'fall'), [(1, 2.0), (2, 4.0)])
def test_flow_has_its_order(order, fall):
    agree(ratios(Flow, order=order), [fall] * 3, atol=0.15 * fall, what=FALL)


@pytest.mark.parametrize('order', [1, 2, 3])
def test_unipc_has_one_order_more_than_guesses(order):
    fall = 2.0 ** (order + 1)
    found = ratios(UniPC, spacing='quadratic', share=1 / 16, order=order)
    agree(found, [fall] * 3, atol=0.15 * fall, what=FALL)
