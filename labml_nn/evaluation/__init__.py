r"""
---
title: Evaluation
summary: Formulas that compare a set of samples with a set of images, on features passed in.
---

# Evaluation

Formulas that compare a set of samples with a set of images, on features that are passed in. Nothing
here knows a diffusion model.

* [Fréchet distance](frechet.html): how far apart the two sets are, as Gaussians
* [Inception score](inception_score.html): how sure a classifier is of the samples, and how evenly
  they spread over its classes
* [Precision and recall](precision_recall.html): how many samples lie among the data, and how much
  of the data among the samples
* [Features](features.html): what images are compared by
* [A classifier](classifier.html): trained on the images of a data set, for features of its own

On the same features the distance, the score, and precision and recall agree with the reference
implementation of [torch-fidelity](https://github.com/toshas/torch-fidelity) to $10^{-4}$
[tested](test:evaluation/test_reference.py::test_frechet_distance).

    python -m labml_nn.diffusion.ddpm.evaluate metrics RUN

[computes them](../diffusion/ddpm/metrics.html) for a trained model.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def checked(x: ArrayLike) -> Floats:
    r"""
    Features or probabilities, `[n, dimension]`, in float64.

    Raises `ValueError` for another rank and for what is not finite.
    """
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 2:
        raise ValueError(f'features have shape {list(x.shape)}: need [n, dimension]')
    if not np.isfinite(x).all():
        bad = int((~np.isfinite(x)).any(axis=1).sum())
        raise ValueError(
            f'{bad} of {len(x)} rows of features hold NaN or infinity: nothing can be said of the '
            f'set. Look for the images that they come from'
        )
    return x
