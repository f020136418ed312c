"""How good are the samples of a digits run?

    python -m docs.bench.digits_quality runs/digits

Draws 898 samples by 1000 ancestral steps from the averaged weights, and compares them with the
1,797 real digits: Fréchet distance in pixel space (in [-1, 1]), distance to the nearest real
image, and what a classifier that was trained on the real digits makes of them. Prints two tables
and writes them for the README.
"""

import sys
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from docs.figures.data.store import keep, rounded
from labml_nn.diffusion.ddpm.evaluate import Sampler
from labml_nn.evaluation.frechet import frechet_distance

N = 898


def nearest(x: np.ndarray, y: np.ndarray, *, itself: bool = False) -> np.ndarray:
    """The root-mean-square pixel distance of each of `x` to the nearest of `y`."""
    squared = ((x[:, None] - y[None]) ** 2).mean(axis=2)
    if itself:
        np.fill_diagonal(squared, np.inf)
    return np.sqrt(squared.min(axis=1))


def main(run: str) -> None:
    data = load_digits()
    real = data.data / 8 - 1
    sampler = Sampler.from_run(run, sampler='ddpm')
    samples = sampler.sample(N, seed=1).double().cpu().numpy().reshape(N, -1)
    whole_levels = np.round((samples + 1) * 8) / 8 - 1
    rng = np.random.default_rng(0)
    fresh = [frechet_distance(real[rng.integers(0, len(real), N)], real) for _ in range(20)]
    own, among = nearest(samples, real), nearest(real, real, itself=True)
    # Platt's probabilities, fitted by cross-validation
    svm = CalibratedClassifierCV(SVC(gamma=0.001, C=10), ensemble=False, cv=5)
    svm.fit(data.data, data.target)
    sure = svm.predict_proba((samples + 1) * 8)
    share = np.bincount(sure.argmax(axis=1), minlength=10) / N
    half = CalibratedClassifierCV(SVC(gamma=0.001, C=10), ensemble=False, cv=5)
    half.fit(data.data[::2], data.target[::2])
    unseen = half.predict_proba(data.data[1::2])
    table: list[list[Any]] = [
        ['in pixels from -1 to 1', 'samples', 'real digits'],
        ['Fréchet distance', frechet_distance(samples, real), float(np.mean(fresh))],
        ['the same, samples rounded to 17 levels', frechet_distance(whole_levels, real), None],
        ['nearest other real digit, median RMS', np.median(own), np.median(among)],
        ['nearest other real digit, smallest RMS', own.min(), among.min()],
        ['confidence of a classifier, mean', sure.max(axis=1).mean(), unseen.max(axis=1).mean()],
    ]
    # In per cent
    shares = [['digit', *range(10)], ['share of the samples', *rounded(100 * share, 3)]]
    table = [[name, *(v if isinstance(v, str | None) else rounded([v])[0] for v in values)]
             for name, *values in table]  # fmt: skip
    for row in (*table, *shares):
        print(*row)
    keep('quality', {'samples': N, 'table': table, 'shares': shares})


if __name__ == '__main__':
    main(*sys.argv[1:])
