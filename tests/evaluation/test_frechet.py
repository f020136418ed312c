"""The Fréchet distance, against closed forms and a general matrix root."""

import numpy as np
import pytest

from labml_nn.evaluation.frechet import frechet_distance, moments, symmetric_root
from tests.kit.close import agree


def normal(n, dimension, seed=0):
    return np.random.default_rng(seed).normal(size=(n, dimension))


def with_moments(mean, root, n=500):
    """A set whose mean is exactly `mean` and whose covariance exactly `root @ root.T`."""
    x = normal(n, len(mean))
    x = x - x.mean(axis=0)
    white = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    return mean + white @ root.T


def test_of_a_set_and_itself_is_zero():
    x = normal(200, 5)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-10)


def test_of_a_shifted_set_is_the_shift_squared():
    x = normal(200, 3)
    assert frechet_distance(x, x + [1, 2, 2]) == pytest.approx(9)


def test_in_one_dimension_is_the_closed_form():
    """(m1 - m2)^2 + (s1 - s2)^2."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(1, 2, (500, 1)), rng.normal(-1, 0.5, (300, 1))
    expected = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
    assert frechet_distance(x, y) == pytest.approx(expected)


def test_agrees_with_the_general_matrix_root():
    linalg = pytest.importorskip('scipy.linalg')
    x, y = normal(100, 6) @ normal(6, 6, seed=1), normal(80, 6, seed=2)
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a + b - 2 * linalg.sqrtm(a @ b).real)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-10)


def test_is_the_cost_of_the_best_linear_map():
    """T = C1^-1/2 (C1^1/2 C2 C1^1/2)^1/2 C1^-1/2 carries C1 to C2 at this cost; others at more."""
    a, b = normal(4, 4, seed=3), normal(4, 4, seed=4)
    x, y = with_moments(np.zeros(4), a), with_moments(np.arange(4.0), b)
    c1, c2 = a @ a.T, b @ b.T
    root = symmetric_root(c1)
    back = np.linalg.inv(root)
    best = back @ symmetric_root(root @ c2 @ root) @ back
    agree(best @ c1 @ best.T, c2, atol=0, rtol=1e-7, what='covariance that T makes, and C2')
    means = (np.arange(4.0) ** 2).sum()
    ways = (np.eye(4) - best) @ c1 @ (np.eye(4) - best).T
    what = 'distance, and the cost of T'
    agree(frechet_distance(x, y), means + np.trace(ways), atol=0, rtol=1e-6, what=what)
    # Any other map that carries C1 to C2 turns in between
    for seed in range(5):
        turn, _ = np.linalg.qr(normal(4, 4, seed=seed))
        other = symmetric_root(c2) @ turn @ back
        np.testing.assert_allclose(other @ c1 @ other.T, c2)
        ways = (np.eye(4) - other) @ c1 @ (np.eye(4) - other).T
        assert means + np.trace(ways) > frechet_distance(x, y)


def test_the_bias_falls_as_one_over_n():
    """Draws from the Gaussian of the data itself: half the distance for twice the number."""
    data = with_moments(np.zeros(8), np.eye(8))
    mean = {
        n: np.mean([frechet_distance(normal(n, 8, seed=s), data) for s in range(40)])
        for n in (200, 400, 800)
    }
    fall = [mean[200] / mean[400], mean[400] / mean[800]]
    agree(fall, [2.0, 2.0], atol=0, rtol=0.1, what='bias for twice the images falls by')


def test_is_symmetric_and_survives_singular_covariances():
    x = np.repeat(normal(50, 1), 4, axis=1)  # rank 1
    y = normal(60, 4)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-6)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize('size', [1e-6, 1.0, 1e6])
def test_never_a_complex_number_nor_less_than_zero(size):
    """Nearly equal, nearly singular: the general root of the product has imaginary parts here."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 40)) * size  # rank 3 of 40
    y = x + rng.normal(size=x.shape) * size * 1e-8
    d = frechet_distance(x, y)
    assert isinstance(d, float)
    assert d == pytest.approx(0, abs=1e-9 * size**2)
    assert d >= 0


def test_is_computed_in_float64_whatever_comes():
    x, y = normal(200, 4) + 1000, normal(200, 4, seed=1) + 1000
    single = frechet_distance(x.astype(np.float32), y.astype(np.float32))
    # The features are rounded, to 1e-4 at this size, and nothing after them
    assert single == pytest.approx(frechet_distance(x, y), abs=1e-4)


def test_the_root_is_a_root():
    c = moments(normal(40, 4))[1]
    np.testing.assert_allclose(symmetric_root(c) @ symmetric_root(c), c)


@pytest.mark.parametrize(
    ('x', 'message'),
    [
        (np.zeros((4, 4)), '4 rows of 4 features .* n greater than the dimension. .* at least 5'),
        (np.zeros(9), r'shape \[9\]: need \[n, dimension\]'),
        (np.full((9, 2), np.nan), '9 of 9 rows of features hold NaN or infinity'),
        (np.vstack([np.zeros((8, 2)), [[np.inf, 0]]]), '1 of 9 rows'),
        (np.zeros((9, 3)), '3 dimensions cannot be compared with 2'),
    ],
)
def test_features_that_will_not_do_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(x, np.zeros((9, 2)))
