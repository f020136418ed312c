"""Improved precision and recall, on sets whose answer is known."""

import numpy as np
import pytest

from labml_nn.evaluation import precision_recall as page
from labml_nn.evaluation.precision_recall import precision_recall
from tests.kit.close import record


def normal(n, dimension, scale=1.0, seed=0):
    return np.random.default_rng(seed).normal(size=(n, dimension)) * scale


def by_hand(samples, data, k):
    """Equation 1, as it is written: one point and one ball at a time."""

    def inside(point, balls):
        for ball in balls:
            near = sorted(np.linalg.norm(ball - other) for other in balls)
            if np.linalg.norm(point - ball) <= near[k]:
                return True
        return False

    return (
        np.mean([inside(x, data) for x in samples]),
        np.mean([inside(x, samples) for x in data]),
    )


@pytest.mark.parametrize('k', [1, 3])
def test_is_the_definition(k):
    samples, data = normal(25, 3), normal(31, 3, 1.3, seed=1)
    assert precision_recall(samples, data, k) == pytest.approx(by_hand(samples, data, k))


def test_of_a_set_and_itself_is_one():
    x = normal(100, 4)
    assert precision_recall(x, x) == (1, 1)


def test_points_on_a_line():
    """Balls of radius 1 around 0, 1, 2, 3 reach from -1 to 4."""
    data = np.arange(4.0)[:, None]
    samples = np.array([[-1.0], [0.5], [4.0], [4.01], [-1.01]])
    assert precision_recall(samples, data, k=1)[0] == 3 / 5


def test_narrow_samples_have_precision_wide_ones_recall():
    data = normal(500, 2)
    narrow = precision_recall(normal(500, 2, 0.1, seed=1), data)
    wide = precision_recall(normal(500, 2, 10, seed=1), data)
    for name, found in (('narrow', narrow), ('wide', wide)):
        record(f'precision and recall of {name} samples', f'{found[0]:.3f} and {found[1]:.3f}')
    assert narrow[0] > 0.99
    assert narrow[1] < 0.1
    assert wide[0] < 0.1
    assert wide[1] > 0.95


def test_copies_of_one_image_have_no_recall():
    copies = np.tile(normal(1, 3), (50, 1))
    data = np.vstack([normal(60, 3, seed=1), copies[:1]])
    assert precision_recall(copies, data) == (1, pytest.approx(1 / 61))


def test_parts_make_no_difference(monkeypatch):
    samples, data = normal(40, 3), normal(50, 3, seed=1)
    whole = precision_recall(samples, data)
    monkeypatch.setattr(page, 'CHUNK', 7)
    assert precision_recall(samples, data) == whole


@pytest.mark.parametrize(
    ('samples', 'k', 'message'),
    [
        (np.zeros((3, 2)), 3, '3 samples and 9 images cannot have a neighbour number k=3'),
        (np.zeros((9, 2)), 0, 'k of at least 1'),
        (np.full((9, 2), np.nan), 3, 'NaN'),
        (np.zeros((9, 3)), 3, '3 dimensions cannot be compared with 2'),
    ],
)
def test_what_has_no_neighbours_is_refused(samples, k, message):
    with pytest.raises(ValueError, match=message):
        precision_recall(samples, np.zeros((9, 2)), k)
