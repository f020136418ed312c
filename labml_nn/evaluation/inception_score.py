r"""
---
title: Inception score
summary: How sure a classifier is of each sample, and how evenly the samples spread over classes.
---

# Inception score

Show the samples to a classifier [@salimans2016]. For a good set it will be sure what each one is,
so $p(y|x)$ is concentrated; and it will see all classes, so their mean $p(y) = \mathbb E_x\,p(y|x)$
is spread. Both show in one divergence:

$$\text{IS} = \exp\Big(\mathbb E_x\,D_{KL}\big(p(y|x)\,\|\,p(y)\big)\Big)$$

The exponent is the mutual information of image and class: the entropy of $p(y)$ less the mean
entropy of $p(y|x)$
[tested](test:evaluation/test_inception_score.py::test_is_the_mutual_information). So the score lies
between 1, where all samples look alike to the classifier, and the number of classes, where each is
beyond doubt and all are equally frequent
[tested](test:evaluation/test_inception_score.py::test_lies_between_1_and_the_number_of_classes).

> It never looks at the data: one perfect picture of each class scores best, and so would pictures
> that look like nothing to a human. It says something beside a distance that does look. With the
> classes of ImageNet, which the network of that name knows, it says little about faces.

The set is cut into ten parts, and what is reported is the mean of the ten scores and their standard
deviation. A part has a $p(y)$ of its own, so the number depends on the size of the parts.
"""

from itertools import pairwise

import numpy as np

from labml_nn.evaluation import Floats, checked


def inception_score(p: Floats, n_splits: int = 10) -> tuple[float, float]:
    r"""
    Mean and standard deviation of the score over `n_splits` parts of the set, in its order.

    * `p` the classifier's probabilities $p(y|x)$, `[n, classes]`

    Raises `ValueError` for what is not a distribution, and for fewer images than parts.
    """
    p = checked(p)
    if (p < 0).any() or not np.allclose(p.sum(axis=1), 1, atol=1e-4):
        raise ValueError(
            'class probabilities must not be negative and must sum to 1 in each row: give the '
            'softmax of the logits'
        )
    if not 1 <= n_splits <= len(p):
        raise ValueError(f'{len(p)} images cannot be cut into n_splits={n_splits} parts')
    cuts = [i * len(p) // n_splits for i in range(n_splits + 1)]
    scores = [np.exp(divergence(p[a:b]).mean()) for a, b in pairwise(cuts)]
    return float(np.mean(scores)), float(np.std(scores))


def divergence(p: Floats) -> Floats:
    r"""
    $D_{KL}\big(p(y|x)\,\|\,p(y)\big)$ of each image, `[n]`, $p(y)$ being the mean over these.
    """
    p_y = p.mean(axis=0)  # [classes]
    # $0 \log 0 = 0$; where $p(y)$ is zero, all of $p(y|x)$ is
    with np.errstate(divide='ignore', invalid='ignore'):
        terms = np.where(p > 0, p * (np.log(p) - np.log(p_y)), 0.0)
    return terms.sum(axis=1)
