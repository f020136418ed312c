r"""
---
title: Averaged weights (EMA)
summary: The exponential moving average that one samples from, with the warm-up it needs.
---

# Averaged weights

The loss of a diffusion model is noisy, because every batch has other images, other steps and other
noise. So the weights never settle; they move around a good place. Their average over the last part
of the training is closer to that place than the weights of any single step:

$$\theta' \leftarrow d\,\theta' + (1-d)\,\theta$$

With $d = 0.9999$ it looks back over about 10,000 steps. One **samples** from $\theta'$; one goes on
**training** $\theta$. The average never feeds back: training with or without it gives the same
$\theta$ [tested](test:diffusion/ddpm/test_ema.py::test_never_feeds_back), and without the warm-up
(next section) the average follows this formula
[tested](test:diffusion/ddpm/test_ema.py::test_is_the_recursion).

![Eight digits from the same noise after 300 and after 1,000 steps, from the raw weights and from
the averaged ones. They are the same digits; those of the raw weights have grey specks in the
background and paler strokes](figure:ddpm.py::averaged "Samples of the raw and of the averaged
weights")

## Warm-up

A plain average starts as a copy of the random initial weights, and their share after $n$ steps is
$d^n$: at $d = 0.9999$ still 0.90 after 1,000 steps and 0.37 after 10,000
([tested](test:diffusion/ddpm/test_ema.py::test_shares_quoted_on_the_page)). Samples of the first
hours would be noise. So the window grows with the run:

$$d_n = \min\Big(d,\ \frac{1+n}{10+n}\Big)$$

([tested](test:diffusion/ddpm/test_ema.py::test_is_the_recursion)). Early weights are then
forgotten within a hundred steps
[tested](test:diffusion/ddpm/test_ema.py::test_warm_up_forgets_the_start). By the formula, a share
of $d_0 = 0.1$ of the initial weights would remain after the first update. The code copies $\theta$
instead, so nothing of them remains, and uses the formula from $n = 1$ on, with $d_1 = \frac2{11}$
[tested](test:diffusion/ddpm/test_ema.py::test_the_first_update_copies).

![The share of the initial weights against the training step, on a logarithmic axis. Without warm-up
it is 0.9 after 1,000 steps, 0.37 after 10,000 and near zero only after 50,000; with warm-up, by the
formula, it begins at 0.1 and is gone after five.](figure:ddpm.py::forgotten
"How long the initial weights are remembered")

> **Which weights are in the checkpoint?** Both. Sampling takes the averaged ones and says so;
> resuming needs the raw ones too, as the optimizer's state belongs to them.

> **A length chosen later.** $d$ has to be chosen before the run. @karras2024 keep averages whose
> window grows with the run, and combine the stored ones afterwards into one of any length.

[Exercises for this page](exercises.html#training), with answers.
"""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class EMA(AveragedModel):
    r"""
    ## Exponential moving average of a model's weights

    * `model` the model to follow; its copy is `ema.module`
    * `decay` $d$; the paper's is 0.9999
    * `warmup` whether the window grows with the run

    Call `update_parameters(model)` once after every step of the optimizer. The average is kept in
    float32 whatever the model's own precision, as a step of $10^{-4}$ is lost in bfloat16.
    Raises `ValueError` for a decay outside $[0, 1)$.
    """

    def __init__(self, model: nn.Module, decay: float = 0.9999, *, warmup: bool = True):
        if not 0 <= decay < 1:
            raise ValueError(f'ema decay={decay} must lie in [0, 1): the paper has 0.9999')
        self.decay = decay
        self.warmup = warmup
        super().__init__(model)
        self.module.float().eval().requires_grad_(False)

    def decay_at(self, n: int) -> float:
        r"""
        $d_n = \min\big(d, \frac{1+n}{10+n}\big)$, with $n$ the number of updates before; the first
        one, $n = 0$, does not ask, and copies
        """
        return min(self.decay, (1 + n) / (10 + n)) if self.warmup else self.decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        r"""
        $\theta' \leftarrow \theta' + (1-d_n)(\theta - \theta')$, for all tensors in one call

        This does not make the GPU wait. torch's own `update_parameters` would copy the counter $n$
        to the GPU at every step, and the GPU would stand still for it
        [tested](test:diffusion/ddpm/test_fast.py::test_no_step_waits_for_the_device).
        """
        averaged: list[Tensor] = list(self.module.parameters())
        current = [p.to(a) for a, p in zip(averaged, model.parameters(), strict=True)]
        n = int(self.n_averaged)
        if n:
            torch._foreach_lerp_(averaged, current, 1 - self.decay_at(n))
        else:
            torch._foreach_copy_(averaged, current)
        for a, b in zip(self.module.buffers(), model.buffers(), strict=True):
            a.copy_(b)
        self.n_averaged += 1
