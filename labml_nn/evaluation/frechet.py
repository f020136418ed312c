r"""
---
title: Fréchet distance
summary: The distance of two sets of features, each taken for a Gaussian; the formula of FID.
---

# Fréchet distance

How far is one set of images from another? Not image by image, as none has a partner. Move the one
set onto the other so that the images travel as little as possible: the mean square of the way is
the squared 2-Wasserstein distance,

$$d^2 = \min_\gamma\ \mathbb E_{(x, y) \sim \gamma} \|x - y\|^2$$
<!-- no-test: definition -->

over all pairings $\gamma$ of the two. For two Gaussians it has a closed form. The means have to
travel whatever the pairing. The rest costs both variances, less twice the covariance of $x$ and
$y$, which the best pairing makes as large as possible:

$$d^2 = \|m_1-m_2\|^2 + \operatorname{tr}\big(C_1 + C_2 - 2\,(C_1C_2)^{1/2}\big)$$

[@dowson1982]. The best pairing of
Gaussians is a linear map: the one that carries the first covariance to the second without turning
anything costs just this, and any other more
[tested](test:evaluation/test_frechet.py::test_is_the_cost_of_the_best_linear_map).

So describe each set by its mean and its covariance, and compare these. On the features of an
Inception network this is FID [@heusel2017]. For 8 × 8 digits the pixels themselves are enough.

## The number depends on the number of samples

The covariance of a few samples differs from the true one by chance, and that counts as distance:
for draws from the data's *own* Gaussian it falls only as $1/n$
[tested](test:evaluation/test_frechet.py::test_the_bias_falls_as_one_over_n).

![The distance of fresh draws from their own distribution against their number, 100 to 6,400, on
logarithmic axes, for 8, 32 and 128 dimensions: three falling lines of slope −1, the higher the more
dimensions](figure:evaluation.py::bias
"The distance of finite samples from their own distribution")

The more dimensions, the worse: with Inception's 2,048 it takes tens of thousands of samples until
this part is small. So numbers of different $n$ cannot be compared; those of papers, from 50,000
samples, only with numbers from as many.
"""

import numpy as np
from numpy.typing import ArrayLike

from labml_nn.evaluation import Floats, checked


def frechet_distance(x: ArrayLike, y: ArrayLike) -> float:
    r"""
    The (squared) Fréchet distance of two sets of features, `[n, dimension]` each.

    Raises `ValueError` for features that are not finite, differ in dimension or are too few to have
    a covariance.
    """
    mean_x, cov_x = moments(x)
    mean_y, cov_y = moments(y)
    if mean_x.shape != mean_y.shape:
        raise ValueError(
            f'features of {len(mean_x)} dimensions cannot be compared with {len(mean_y)}'
        )
    # $C_1C_2$ has the eigenvalues of $C_1^{1/2} C_2 C_1^{1/2} = MM^\top$ with
    # $M = C_1^{1/2} C_2^{1/2}$, and their roots are the singular values of $M$: real, never
    # negative, and found without squaring what rounding has left of zero, whose root would be
    # $10^8$ times as large. A general matrix root would answer with complex numbers here
    m = symmetric_root(cov_x) @ symmetric_root(cov_y)
    trace = np.trace(cov_x) + np.trace(cov_y) - 2 * np.linalg.svd(m, compute_uv=False).sum()
    return float(((mean_x - mean_y) ** 2).sum() + max(trace, 0.0))


def moments(x: ArrayLike) -> tuple[Floats, Floats]:
    r"""
    Mean `[dimension]` and covariance `[dimension, dimension]`, in float64.
    """
    x = checked(x)
    n, dimension = x.shape
    if n <= dimension:
        raise ValueError(
            f'{n:,} rows of {dimension:,} features have no covariance that could be compared: need '
            f'n greater than the dimension. Give at least {dimension + 1:,}, or fewer features'
        )
    return x.mean(axis=0), np.cov(x, rowvar=False).reshape(dimension, dimension)


def symmetric_root(c: Floats) -> Floats:
    r"""
    The symmetric $C^{1/2}$ of a covariance, by its eigenvalues; those that rounding made negative
    are zero.
    """
    values, vectors = np.linalg.eigh(c)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T
