"""The Fréchet distance, against closed forms and a general matrix root."""

import numpy as np
import pytest

from labml_nn.evaluation.frechet import frechet_distance, symmetric_root


def test_of_a_set_and_itself_is_zero():
    x = np.random.default_rng(0).normal(size=(200, 5))
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-10)


def test_of_a_shifted_set_is_the_shift_squared():
    x = np.random.default_rng(0).normal(size=(200, 3))
    assert frechet_distance(x, x + [1, 2, 2]) == pytest.approx(9)


def test_in_one_dimension_is_the_closed_form():
    """(m1 - m2)^2 + (s1 - s2)^2."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(1, 2, (500, 1)), rng.normal(-1, 0.5, (300, 1))
    expected = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
    assert frechet_distance(x, y) == pytest.approx(expected)


def test_agrees_with_the_general_matrix_root():
    linalg = pytest.importorskip('scipy.linalg')
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, 6)) @ rng.normal(size=(6, 6)), rng.normal(size=(80, 6))
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a + b - 2 * linalg.sqrtm(a @ b).real)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-10)


def test_is_symmetric_and_survives_singular_covariances():
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(50, 1)), 4, axis=1)  # rank 1
    y = rng.normal(size=(60, 4))
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-6)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)


def test_the_root_is_a_root():
    c = np.cov(np.random.default_rng(0).normal(size=(40, 4)), rowvar=False)
    np.testing.assert_allclose(symmetric_root(c) @ symmetric_root(c), c)


@pytest.mark.parametrize(
    ('x', 'message'),
    [
        (np.zeros((4, 4)), 'n greater than the dimension'),
        (np.zeros(9), 'a covariance needs'),
        (np.full((9, 2), np.nan), 'NaN or infinity'),
        (np.zeros((9, 3)), '3 dimensions cannot be compared with 2'),
    ],
)
def test_features_that_will_not_do_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(x, np.zeros((9, 2)))
