"""How good are the samples of a digits run?

    python docs/bench/digits_quality.py runs/digits

Draws 898 samples by 1000 ancestral steps from the averaged weights, and compares them with the
1,797 real digits: Fréchet distance in pixel space (in [-1, 1]), distance to the nearest real
image, and what a classifier that was trained on the real digits makes of them.
"""

import sys
import time

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.svm import SVC

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
    began = time.monotonic()
    sampler = Sampler.from_run(run, sampler='ddpm')
    samples = sampler.sample(N, seed=1).double().cpu().numpy().reshape(N, -1)
    seconds = time.monotonic() - began
    rounded = np.round((samples + 1) * 8) / 8 - 1
    rng = np.random.default_rng(0)
    fresh = [frechet_distance(real[rng.integers(0, len(real), N)], real) for _ in range(20)]

    print(f'{N} samples in {seconds:.0f} s, against {len(real)} real digits')
    print(f'Fréchet distance            {frechet_distance(samples, real):.3f}')
    print(f'  rounded to 17 levels      {frechet_distance(rounded, real):.3f}')
    print(f'  {N} draws of the data     {np.mean(fresh):.3f}')

    own, among = nearest(samples, real), nearest(real, real, itself=True)
    print(f'nearest real image, RMS     {np.median(own):.3f} (smallest {own.min():.3f})')
    print(f'  real to nearest other     {np.median(among):.3f} (smallest {among.min():.3f})')

    # Platt's probabilities, fitted by cross-validation
    svm = CalibratedClassifierCV(SVC(gamma=0.001, C=10), ensemble=False, cv=5)
    svm.fit(data.data, data.target)
    sure = svm.predict_proba((samples + 1) * 8)
    share = np.bincount(sure.argmax(axis=1), minlength=10) / N
    half = CalibratedClassifierCV(SVC(gamma=0.001, C=10), ensemble=False, cv=5)
    half.fit(data.data[::2], data.target[::2])
    print(f'classifier, mean confidence {sure.max(axis=1).mean():.3f}')
    print(
        f'  on real digits unseen     {half.predict_proba(data.data[1::2]).max(axis=1).mean():.3f}'
    )
    print('share of each digit         ' + ' '.join(f'{s:.1%}' for s in share))


if __name__ == '__main__':
    main(*sys.argv[1:])
