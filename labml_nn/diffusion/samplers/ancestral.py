r"""
---
title: Ancestral sampling on a subset of the steps
summary: Algorithm 2 of DDPM with fewer steps, and which of the two variances it needs then.
---

# Ancestral sampling on a subset of the steps

Algorithm 2 of DDPM [@ho2020] undoes all $T$ steps. A subset
$\tau_1 < \dots < \tau_n$ of them is [a shorter chain of the same kind](index.html), with

$$\beta'_i = 1 - \frac{\bar\alpha_{\tau_i}}{\bar\alpha_{\tau_{i-1}}} \qquad\text{and}\qquad
\tilde\beta'_i = \frac{1-\bar\alpha_{\tau_{i-1}}}{1-\bar\alpha_{\tau_i}}\,\beta'_i$$

and undoing it is Algorithm 2 again, with these. With all steps it is Algorithm 2 itself
[tested](test:diffusion/samplers/test_ancestral.py::test_all_steps_are_algorithm_2).

## With few steps the variance matters

Of the two choices for $\sigma^2$, $\beta$ is right for Gaussian data of unit variance, and
$\tilde\beta$ for data that is a single point. With a thousand steps the two differ only in the last
few on the way back. With few, long steps they differ in many of them: 10 evenly spaced steps have

$$\frac{\tilde\beta'_i}{\beta'_i} = 0.30,\ 0.56,\ 0.75,\ 0.87 \qquad\text{at } i = 2, 3, 4, 5$$

([tested](test:diffusion/samplers/test_ancestral.py::test_ratio_of_the_two_variances)). Pictures lie
near a surface of few dimensions, so they are closer to the single point, and $\beta'$ is too much:
it leaves noise that the steps after it have to remove, and few steps cannot.

> **How much?** The DDIM paper [@song2021a, table 1] has for CIFAR-10, with
> 10, 20, 50, 100 and 1000 steps, FID 367, 133, 33, 10 and 3.2 with $\sigma^2 = \beta'$, and 41, 18,
> 8.0, 5.8 and 4.7 with $\tilde\beta'$. The larger one wins only if all steps are taken.

> **Which is the default?** $\tilde\beta$ for fewer steps than all, whichever fixed variance the
> whole chain has. Our own measurement says otherwise: on digits of 8 × 8 pixels $\beta$ is the
> better one with `trailing` and `quadratic` steps, and [the distances](index.html) with
> $\tilde\beta$ are larger by a sixth to a half. On digits $\tilde\beta$ is ahead only with
> `leading` and `linspace`, where a long step adds its noise just before the image
> ([tested](test:diffusion/samplers/test_ancestral.py::test_which_variance_the_tables_speak_for)).
> But the two wrong choices do not cost the same: on digits $\tilde\beta$ adds at most half to the
> distance; on the photographs of CIFAR-10, with 10 steps, $\beta$ makes the FID nine times as
> large. A default has to serve both. `--variance beta` takes the other one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from labml_nn.diffusion.ddpm.utils import SeededNoise
from labml_nn.diffusion.samplers.contract import ReverseSampler


@dataclass(kw_only=True, eq=False, repr=False)
class Ancestral(ReverseSampler):
    r"""
    ## Ancestral sampler

    With `variance=None`, a chain of all $T$ steps has the variance of `diffusion`, and a shorter
    one has $\tilde\beta$.
    A [learned variance](../learned_variance.html) is used with any number of steps.
    """

    variance: Annotated[str | None, 'of a step back, beta, beta_tilde or learned'] = None

    def variance_back(self) -> str:
        r"""
        The variance that was asked for, or else the one that is right for so many steps
        """
        own = self.diffusion.variance
        if self.variance == 'learned' and own != 'learned':
            raise ValueError(
                f'variance=learned: this model has a fixed one ({own}): use beta or beta_tilde'
            )
        if self.variance is not None:
            return self.variance
        is_own = own == 'learned' or self.n_steps == self.diffusion.n_steps
        return own if is_own else 'beta_tilde'

    @torch.no_grad()
    def chain(self, xt: Tensor, noise: SeededNoise) -> Iterator[tuple[int, Tensor, Tensor]]:
        r"""
        ### Algorithm 2 on the shorter chain
        """
        # It asks the model for index $i$ of the short chain, which is `tau[i]` of the long one
        for i, xt, x0_hat in self.short.p_chain(xt, noise, clip_x0=self.clip_x0):
            yield self.tau[i], xt, x0_hat
