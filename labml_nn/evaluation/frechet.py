r"""
---
title: Fréchet distance
summary: The distance of two sets of features, each taken for a Gaussian; the formula of FID.
---

# Fréchet distance

Describe two sets of vectors by their means $m$ and covariances $C$, and take the 2-Wasserstein
distance of the two Gaussians that have these
([Dowson and Landau, 1982](https://doi.org/10.1016/0047-259X(82)90077-X)):

$$d^2 = \|m_1-m_2\|^2 + \operatorname{tr}\big(C_1 + C_2 - 2\,(C_1C_2)^{1/2}\big)$$

On the features of an Inception network this is FID
([Heusel et al., 2017](https://arxiv.org/abs/1706.08500)). On 8 × 8 digits the pixels themselves do.

> The number depends on how many samples it is made from: few samples have a covariance of their
> own, which counts as distance. Compare numbers of equal size, or state the size with the number.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def frechet_distance(x: Floats, y: Floats) -> float:
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
    # $\operatorname{tr}(C_1C_2)^{1/2} = \operatorname{tr}(C_1^{1/2} C_2 C_1^{1/2})^{1/2}$, because
    # the two have the same eigenvalues; and the right one is symmetric, so they are real and no
    # general matrix root is needed, which would answer with complex numbers
    root = symmetric_root(cov_x)
    eigenvalues = np.linalg.eigvalsh(root @ cov_y @ root).clip(0)
    trace = np.trace(cov_x) + np.trace(cov_y) - 2 * np.sqrt(eigenvalues).sum()
    return float(((mean_x - mean_y) ** 2).sum() + trace)


def moments(x: Floats) -> tuple[Floats, Floats]:
    r"""
    Mean `[dimension]` and covariance `[dimension, dimension]`, in float64.
    """
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 2 or len(x) <= x.shape[1]:
        raise ValueError(
            f'features of shape {list(x.shape)}: a covariance needs [n, dimension] with n greater '
            f'than the dimension'
        )
    if not np.isfinite(x).all():
        raise ValueError('features hold NaN or infinity: nothing can be said of them')
    return x.mean(axis=0), np.cov(x, rowvar=False).reshape(x.shape[1], x.shape[1])


def symmetric_root(c: Floats) -> Floats:
    r"""
    The symmetric $C^{1/2}$ of a covariance, by its eigenvalues; those that rounding made negative
    are zero.
    """
    values, vectors = np.linalg.eigh(c)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T
