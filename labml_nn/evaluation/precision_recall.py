r"""
---
title: Improved precision and recall
summary: How many samples lie among the data, and how much of the data lies among the samples.
---

# Improved precision and recall

A single distance does not tell whether samples are bad or merely alike. Two numbers do
[@kynkaanniemi2019]: **precision**, the share of the
samples that lie where data is, and **recall**, the share of the data that lies where samples are.

Where is "where data is"? Around each point, up to its $k$-th nearest neighbour: large balls where
points are rare, small ones where they are dense. A point $\phi$ is inside the set $\Phi$ if any
ball holds it (eq. 1),

$$f(\phi, \Phi) = \begin{cases} 1 & \text{if }
\|\phi - \phi'\| \le \|\phi' - \text{NN}_k(\phi', \Phi)\| \text{ for any } \phi' \in \Phi \\
0 & \text{otherwise} \end{cases}$$

([tested](test:evaluation/test_precision_recall.py::test_is_the_definition)) and with the features
$\Phi_r$ of the data and $\Phi_g$ of the samples (eq. 2)

$$\text{precision} = \frac1{|\Phi_g|}\sum_{\phi \in \Phi_g} f(\phi, \Phi_r), \qquad
\text{recall} = \frac1{|\Phi_r|}\sum_{\phi \in \Phi_r} f(\phi, \Phi_g)$$

[tested](test:evaluation/test_precision_recall.py::test_is_the_definition)

![Two hundred points with their balls, and three sets of samples. Too narrow: all in the balls, and
less than half of the points reached. Right: both high. Too wide: half of the samples lie outside,
marked by crosses](figure:evaluation.py::precision_and_recall
"Precision and recall of three sets of samples")

Samples that are all alike have a precision of 1 and a recall near 0, samples that are scattered
far beyond the data the reverse
[tested](test:evaluation/test_precision_recall.py::test_narrow_samples_have_precision_wide_ones_recall).

> **Even the data itself does not score 1.** Two draws of one set get a precision and a recall below
> it, as in the second picture: balls leave gaps. Compare with such a pair, and with the same
> numbers of points.

The paper has $k = 3$ and 50,000 points of each.
"""

import numpy as np
from numpy.typing import NDArray

from labml_nn.evaluation import Floats, checked

# Points that are compared with all others at a time
CHUNK = 512


def precision_recall(samples: Floats, data: Floats, k: int = 3) -> tuple[float, float]:
    r"""
    Precision and recall of `samples` `[n, dimension]` against `data` `[m, dimension]`.

    Raises `ValueError` for features that are not finite, differ in dimension, or are no more than
    `k`.
    """
    samples, data = checked(samples), checked(data)
    if samples.shape[1] != data.shape[1]:
        raise ValueError(
            f'features of {samples.shape[1]} dimensions cannot be compared with {data.shape[1]}'
        )
    if k < 1 or min(len(samples), len(data)) <= k:
        raise ValueError(
            f'{len(samples)} samples and {len(data)} images cannot have a neighbour number k={k}: '
            f'give more than k of each, and k of at least 1'
        )
    return inside(samples, data, k).mean().item(), inside(data, samples, k).mean().item()


def inside(points: Floats, balls: Floats, k: int) -> NDArray[np.bool_]:
    r"""
    $f(\phi, \Phi)$ for each of `points`, the balls being around each of `balls`.
    """
    # $\|\phi' - \text{NN}_k(\phi', \Phi)\|^2$: number 0 is the point itself
    radius = np.concatenate(
        [np.partition(squared(part, balls), k, axis=1)[:, k] for part in chunks(balls)]
    )
    return np.concatenate([(squared(part, balls) <= radius).any(axis=1) for part in chunks(points)])


def chunks(x: Floats) -> list[Floats]:
    r"""
    Parts whose distances to all others fit into memory.
    """
    return [x[i : i + CHUNK] for i in range(0, len(x), CHUNK)]


def squared(x: Floats, y: Floats) -> Floats:
    r"""
    All squared distances, `[len(x), len(y)]`: $\|x\|^2 + \|y\|^2 - 2\,x^\top y$.
    """
    norms = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1)
    d = norms - 2 * x @ y.T
    # What rounding leaves of the distance of equal points is none
    d[d < 1e-12 * norms] = 0
    return d
