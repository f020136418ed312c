"""Steps that may fail: not taken, counted, and no trace of them left."""

import copy

import pytest
import torch

from labml_nn.compute.descent import PATIENCE, Descent, halves, is_out_of_memory, largest_that_fits
from tests.kit.close import agree

BAD = [float('nan'), float('inf'), float('-inf')]


def problem(fused=True, **options):
    w = torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
    optimizer = torch.optim.Adam([w], lr=0.1, fused=fused)
    return w, optimizer, Descent(optimizer, 1.0, **options)


def step(w, descent, factor=1.0):
    descent.optimizer.zero_grad()
    loss = (w**2).sum() * factor
    descent.backward(loss)
    return descent.step(loss.detach())


@pytest.mark.parametrize('bad', BAD)
@pytest.mark.parametrize('fused', [True, False])
def test_a_bad_step_changes_nothing(fused, bad):
    w, optimizer, descent = problem(fused)
    step(w, descent)
    before = w.detach().clone(), copy.deepcopy(optimizer.state_dict()['state'])
    _, good = step(w, descent, bad)
    assert not good
    agree(w, before[0], atol=0, what='weights after the bad step, and before')
    for name, value in optimizer.state_dict()['state'][0].items():
        assert torch.equal(value, before[1][0][name]), name
    # And the next one is as if it had not been there
    v, _, other = problem(fused)
    step(v, other)
    step(v, other)
    step(w, descent)
    agree(w, v, atol=0, what='weights after the next step, and without the bad one')


def test_a_loss_that_is_no_number_is_bad_whatever_its_gradient():
    w, _, descent = problem()
    descent.backward((w**2).sum())
    before = w.detach().clone()
    _, good = descent.step(torch.tensor(float('inf')))
    assert not good
    assert torch.equal(w, before)


def test_bad_steps_in_a_row_are_counted():
    w, _, descent = problem()
    for i in range(1, 4):
        step(w, descent, float('nan'))
        assert descent.bad_in_a_row() == i
    step(w, descent)
    assert descent.bad_in_a_row() == 0
    assert descent.patience == PATIENCE == 10


def test_the_norm_is_that_before_the_gradient_is_shortened():
    w, _, descent = problem()
    norm, _ = step(w, descent)
    assert float(norm) == pytest.approx(2 * 14**0.5)
    assert float(w.grad.norm()) == pytest.approx(1, abs=1e-5)


def test_a_scaled_loss_makes_the_same_step():
    """float16's way: multiplied before, divided after, and halved when that was too much."""
    w, _, descent = problem(scale=True)
    v, _, plain = problem()
    for _ in range(3):
        norm, good = step(w, descent)
        expected, _ = step(v, plain)
        assert bool(good)
        torch.testing.assert_close(norm, expected)
        torch.testing.assert_close(w, v)
    scale = descent.scaler.get_scale()
    assert scale == 65536
    before = w.detach().clone()
    _, good = step(w, descent, float('inf'))
    assert not good
    assert torch.equal(w, before)
    assert descent.scaler.get_scale() == scale / 2
    assert descent.patience > 16


# ## Out of memory


@pytest.mark.parametrize(
    ('error', 'answer'),
    [
        (torch.OutOfMemoryError('CUDA out of memory. Tried to allocate'), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
         True),
        (RuntimeError('MPS backend out of memory'), True),
        (RuntimeError('could not create a primitive'), True),
        (RuntimeError('could not create a primitive descriptor for the convolution'), False),
        (RuntimeError('mat1 and mat2 shapes cannot be multiplied'), False),
        (ValueError('out of memory'), False),
    ],
)  # fmt: skip
def test_out_of_memory_is_known_by_its_words(error, answer):
    assert is_out_of_memory(error) == answer


def test_a_real_allocation_that_fails_is_one():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_halves_divide():
    assert list(halves(128)) == [64, 32, 16, 8, 4, 2, 1]
    assert list(halves(12)) == [6, 3, 1]
    assert list(halves(7)) == [1]
    assert list(halves(1)) == []


def test_what_fits_is_found_by_trying():
    tried = []

    def attempt(n):
        tried.append(n)
        if n > 5:
            raise torch.OutOfMemoryError('CUDA out of memory')

    assert largest_that_fits(64, attempt) == 4
    assert tried == [32, 16, 8, 4]

    def never(n):
        raise torch.OutOfMemoryError('CUDA out of memory')

    assert largest_that_fits(64, never) is None

    def broken(n):
        raise RuntimeError('something else')

    with pytest.raises(RuntimeError, match='something else'):
        largest_that_fits(64, broken)
