"""How the measures behave where the answer is known.

    python -m docs.figures.data.evaluation

The distance between draws of one Gaussian by their number, and samples that are too narrow, right
and too wide for their data.
"""

from typing import Any

import numpy as np

from docs.figures.data.store import keep
from labml_nn.evaluation.frechet import frechet_distance
from labml_nn.evaluation.precision_recall import inside, precision_recall, squared

K = 3
SIZES = (100, 200, 400, 800, 1600, 3200, 6400)


def bias() -> dict[str, Any]:
    """Draws of N(0, I) against a large set of the same, for several dimensions."""
    rng = np.random.default_rng(0)
    found = {}
    for dimension in (8, 32, 128):
        data = rng.normal(size=(50_000, dimension))
        ns = [n for n in SIZES if n > dimension]
        distances = [
            np.mean([frechet_distance(rng.normal(size=(n, dimension)), data) for _ in range(10)])
            for n in ns
        ]
        found[str(dimension)] = {'draws': ns, 'distance': [float(f'{d:.4g}') for d in distances]}
    return found


def precision_and_recall() -> dict[str, Any]:
    """The data's balls, and samples that lie in them or not."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=(200, 2))
    radius = np.partition(squared(data, data), K, axis=1)[:, K] ** 0.5
    samples = []
    for scale in (0.3, 1, 3):
        x = rng.normal(size=(200, 2)) * scale
        precision, recall = precision_recall(x, data, K)
        samples.append({
            'precision': float(f'{precision:.3g}'),
            'recall': float(f'{recall:.3g}'),
            'points': x.round(3).tolist(),
            'inside': inside(x, data, K).tolist(),
        })  # fmt: skip
    return {'data': data.round(3).tolist(), 'radius': radius.round(3).tolist(), 'samples': samples}


if __name__ == '__main__':
    keep('evaluation', {'bias': bias(), 'precision_and_recall': precision_and_recall()})
