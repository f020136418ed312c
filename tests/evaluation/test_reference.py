"""The three measures against torch-fidelity's, on the same features."""

import numpy as np
import pytest
import torch

from labml_nn.evaluation.frechet import frechet_distance
from labml_nn.evaluation.inception_score import inception_score
from labml_nn.evaluation.precision_recall import precision_recall
from tests.kit.close import agree
from tests.kit.peers import fidelity


def features(n, dimension, seed, shift=0.0):
    """Like those of a network: not negative, correlated, of unequal sizes, in float32."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(99).normal(size=(dimension, dimension))
    x = np.abs(rng.normal(size=(n, dimension)) @ mix + shift) * np.linspace(0.1, 2, dimension)
    return torch.from_numpy(x).float()


@pytest.mark.parametrize('dimension', [3, 48])
def test_frechet_distance(dimension):
    fid = fidelity('metric_fid')
    x, y = features(700, dimension, 0), features(900, dimension, 1, shift=0.5)
    theirs = (fid.fid_features_to_statistics(z.double()) for z in (x, y))
    expected = fid.fid_statistics_to_metric(*theirs, verbose=False)['frechet_inception_distance']
    bound = max(1e-4, 1e-9 * abs(expected))
    agree(frechet_distance(x, y), expected, atol=bound, what='distance, and that of torch-fidelity')


@pytest.mark.parametrize('n_splits', [1, 10])
@pytest.mark.parametrize('size', [1.0, 8.0])  # of the logits: unsure, and sure to the last digit
def test_inception_score(n_splits, size):
    logits = features(503, 20, 0) * size
    theirs = fidelity('metric_isc').isc_features_to_metric(logits, n_splits, shuffle=False)
    mean, std = inception_score(logits.double().softmax(dim=1), n_splits)
    assert mean == pytest.approx(theirs['inception_score_mean'], abs=1e-4)
    assert std == pytest.approx(theirs['inception_score_std'], abs=1e-4)


@pytest.mark.parametrize('k', [1, 3, 5])
@pytest.mark.parametrize('dimension', [2, 48])
def test_precision_and_recall(k, dimension):
    prc = fidelity('metric_prc')
    samples, data = features(400, dimension, 0), features(600, dimension, 1, shift=0.3)
    theirs = prc.calculate_precision_recall_full(samples.double(), data.double(), k)
    # Shares of 400 and of 600 points: not a single one is judged otherwise
    assert precision_recall(samples, data, k) == pytest.approx(theirs, abs=1e-4)
    assert 0 < theirs[0] < 1
