r"""
---
title: Ancestral sampling on a subset of the steps
summary: Algorithm 2 of DDPM with fewer steps, and which of the two variances it needs then.
---

# Ancestral sampling on a subset of the steps

Algorithm 2 of [DDPM](https://arxiv.org/abs/2006.11239) undoes all $T$ steps. A subset
$\tau_1 < \dots < \tau_n$ of them is [a shorter chain of the same kind](index.html), with

$$\beta'_i = 1 - \frac{\bar\alpha_{\tau_i}}{\bar\alpha_{\tau_{i-1}}} \qquad\text{and}\qquad
\tilde\beta'_i = \frac{1-\bar\alpha_{\tau_{i-1}}}{1-\bar\alpha_{\tau_i}}\,\beta'_i$$

and undoing it is Algorithm 2 again, with these. With all steps it is Algorithm 2 itself
[tested](test:diffusion/samplers/test_ancestral.py::test_all_steps_are_algorithm_2).

## With few steps the variance matters

Of the two choices for $\sigma^2$, $\beta$ is right for data of unit variance and $\tilde\beta$ for
data that is a single point. When steps are short the two are the same but for the last few. When
they are long, they are not: 10 evenly spaced steps have

$$\frac{\tilde\beta'_i}{\beta'_i} = 0.30,\ 0.56,\ 0.75,\ 0.87 \qquad\text{at } i = 2, 3, 4, 5$$

([tested](test:diffusion/samplers/test_ancestral.py::test_ratio_of_the_two_variances)). Pictures lie
near a surface of few dimensions, so they are closer to the single point: $\beta'$ leaves noise
behind that no later step has the time to take away.

> **How much?** The [DDIM paper](https://arxiv.org/abs/2010.02502) (table 1) has for CIFAR-10, with
> 10, 20, 50, 100 and 1000 steps, FID 367, 133, 33, 10 and 3.2 with $\sigma^2 = \beta'$, and 41, 18,
> 8.0, 5.8 and 4.7 with $\tilde\beta'$. The larger one wins only if all steps are taken. So here
> $\tilde\beta$ is the default for fewer steps, whatever variance the whole chain has. (On digits of
> 8 × 8 pixels the two [differ little](index.html).)
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.utils import SeededNoise
from labml_nn.diffusion.samplers import DEFAULT_STEPS, ReverseSampler


class Ancestral(ReverseSampler):
    r"""
    ## Ancestral sampler

    With `variance=None`, all steps have the variance of `diffusion`, and fewer steps $\tilde\beta$.
    A [learned one](../learned_variance.html) knows better for any number of steps, and is used.
    """

    def __init__(
        self,
        diffusion: DenoiseDiffusion,  # the model with its schedule
        n_steps: int = DEFAULT_STEPS,  # how many of the steps, 1 .. T
        *,
        spacing: str = 'trailing',  # which of them
        clip_x0: bool = True,  # keep $\hat x_0$ within $[-1, 1]$ at every step
        variance: str | None = None,  # of a step back: beta, beta_tilde, learned or None
    ):
        if variance is None:
            is_own = diffusion.variance == 'learned' or n_steps == diffusion.n_steps
            variance = diffusion.variance if is_own else 'beta_tilde'
        super().__init__(diffusion, n_steps, spacing=spacing, clip_x0=clip_x0, variance=variance)

    @torch.no_grad()
    def chain(self, xt: Tensor, noise: SeededNoise) -> Iterator[tuple[int, Tensor, Tensor]]:
        r"""
        ### Algorithm 2 on the shorter chain
        """
        # It asks the model for index $i$ of the short chain, which is step $\tau_i$ of the long one
        for i, xt, x0_hat in self.short.p_chain(xt, noise, clip_x0=self.clip_x0):
            yield self.tau[i], xt, x0_hat
