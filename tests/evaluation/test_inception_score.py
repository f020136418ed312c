"""The inception score, at its ends and by its definition."""

import numpy as np
import pytest

from labml_nn.evaluation.inception_score import inception_score
from tests.kit.close import agree


def distributions(n, classes, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(classes), size=n)


def test_lies_between_1_and_the_number_of_classes():
    same = np.tile([0.2, 0.3, 0.5], (30, 1))
    mean, spread = inception_score(same)
    agree(mean, 1.0, atol=0, rtol=1e-6, what='score of images that are all alike')
    agree(spread, 0.0, atol=1e-12, what='its spread')
    sure = np.eye(6)[np.arange(60) % 6]
    mean, spread = inception_score(sure, 1)
    agree(mean, 6.0, atol=0, rtol=1e-6, what='score of six classes, all of them sure')
    assert spread == 0
    one_class = np.tile([0.0, 1.0, 0.0], (30, 1))  # sure, but always of the same
    assert inception_score(one_class)[0] == pytest.approx(1)
    mean, _ = inception_score(distributions(500, 6))
    assert 1 < mean < 6


def test_is_the_mutual_information():
    """H(y) - H(y|x), by entropies."""
    p = distributions(200, 5)
    entropy = -(p.mean(0) * np.log(p.mean(0))).sum() + (p * np.log(p)).sum(1).mean()
    what = 'score, and the mutual information'
    agree(inception_score(p, 1)[0], np.exp(entropy), atol=0, rtol=1e-6, what=what)


def test_parts_are_in_order_and_cover_the_set():
    p = distributions(47, 4)
    parts = [p[a:b] for a, b in ((0, 15), (15, 31), (31, 47))]
    scores = [inception_score(part, 1)[0] for part in parts]
    assert inception_score(p, 3) == (
        pytest.approx(np.mean(scores)),
        pytest.approx(np.std(scores)),
    )


@pytest.mark.parametrize(
    ('p', 'splits', 'message'),
    [
        (np.full((20, 3), np.nan), 10, 'NaN'),
        (np.ones((20, 3)), 10, 'must sum to 1'),
        (np.tile([1.5, -0.5], (20, 1)), 10, 'must not be negative'),
        (np.full((5, 2), 0.5), 10, '5 images cannot be cut into n_splits=10'),
        (np.full((5, 2), 0.5), 0, 'n_splits=0'),
    ],
)
def test_what_is_no_distribution_is_refused(p, splits, message):
    with pytest.raises(ValueError, match=message):
        inception_score(p, splits)
