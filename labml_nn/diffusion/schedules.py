r"""
---
title: Noise schedules
summary: The linear and the cosine schedule, for any number of steps, and what is left at the end.
---

# Noise schedules

How much noise each step adds is a choice. Any numbers $\beta$ in $(0, 1)$, one for each step, are a
valid schedule for [`DenoiseDiffusion`](ddpm/index.html)
([tested](test:diffusion/test_schedules.py::test_any_betas_are_a_schedule)), but not every schedule
is a good one.

    from labml_nn.diffusion.schedules import cosine
    diffusion = DenoiseDiffusion(model, 4000, beta=cosine(4000))

In training it is `--schedule cosine`. This page explains the two usual ones (a third, `straight`,
belongs to [flow matching](flow_matching.html)), and what to look at when you make your own: how
much of the image is left at the end, and where the steps are spent.

![Two curves of what is left of an image, for the linear and the cosine schedule, and below
the logarithm of their signal-to-noise ratio](live:forward)

## Linear

$\beta_t$ rises in a straight line from $10^{-4}$ to $0.02$ [@ho2020, section 4]. It was chosen
among constant, linear and quadratic ones (appendix B). These numbers are made for $T = 1000$.
$\bar\alpha_T \approx e^{-\sum_t\beta_t}$ depends on their sum, so with $T$ steps of the same size
the signal $\sqrt{\bar\alpha_T}$ that is left at the end depends on $T$. If the betas are multiplied
by $1000 / T$, their sum stays the same, and so does the signal at the end, as long as no $\beta$
comes near 1:

| $T$ | linear, as printed | linear, times $1000/T$ | cosine |
|---|---|---|---|
| 10 | 0.95 | 4e-9 | 0.0049 |
| 50 | 0.78 | 0.0028 | 0.00099 |
| 100 | 0.60 | 0.0045 | 0.00049 |
| 1000 | 0.0064 | 0.0064 | 0.000049 |
| 4000 | 2e-9 | 0.0065 | 0.000012 |
<!-- measured: test:diffusion/test_schedules.py::test_signal_left_as_the_page_has_it -->

So much of the image is left at the end
([tested](test:diffusion/test_schedules.py::test_signal_left_as_the_page_has_it)). More than 0.05 is
too much to start from pure noise: the class warns, and training refuses.

## Cosine

@nichol2021 (section 3.2) choose what is left, and let
the betas follow (eq. 17):

$$\bar\alpha_t = \frac{f(t)}{f(0)}, \qquad
f(t) = \cos^2\Big(\frac{t/T + s}{1 + s}\cdot\frac\pi2\Big), \qquad
\beta_t = \min\Big(1 - \frac{\bar\alpha_t}{\bar\alpha_{t-1}},\ 0.999\Big)$$

[tested](test:diffusion/test_schedules.py::test_cosine_is_equation_17)

* $\bar\alpha_t$ falls almost in a straight line through the middle, and changes little at both
  ends. The linear schedule has destroyed the image long before its end: its last fifth of the steps
  can be left out of a chain with hardly any harm (figure 4 of that paper).
* $s = 0.008$ keeps the first betas from vanishing, where the network would have to find noise much
  fainter than one level of a pixel. It makes $\sqrt{\beta_1}$ a little smaller than such a level,
  $\frac1{127.5}$, for $T = 1000$
  ([tested](test:diffusion/test_schedules.py::test_the_first_cosine_step_is_below_a_level)).
* $f(T) = 0$, so the last $\beta$ would be 1, which leaves nothing of the image:
  0.999 is the most.

![The share of the signal, and the logarithm of the signal-to-noise ratio, against t / T. The linear
schedule has lost nearly all of the signal at 0.6, the cosine one falls evenly; the linear one as
printed, over 100 steps, keeps a third to the end](figure:schedules.py::schedules
"What the schedules leave of the signal")

The lower picture is the one to compare schedules in. What a step does to an image depends on its
signal-to-noise ratio alone,

$$\log\text{SNR}(t) = \log\frac{\bar\alpha_t}{1 - \bar\alpha_t}$$

([tested](test:diffusion/test_schedules.py::test_log_snr_is_the_ratio_and_falls)) and a schedule
decides how many steps to spend at which ratio. Of 1000 steps, the linear one
spends 231 below $-6$, where the noise has more than 400 times the variance of the image; the
cosine one 32
([tested](test:diffusion/test_schedules.py::test_where_the_steps_are_spent)).

> **A price.** At the cosine's last step $\hat x_0$ is a difference divided by
> $\sqrt{\bar\alpha_T}$, which is 0.000049: an error in $\epsilon_\theta$ appears in $\hat x_0$
> 20,000 times as large, where the linear schedule has 157. Sample with `clip_x0`, which is the
> `Sampler`'s default.

[Exercises for this page](ddpm/exercises.html#schedules-and-learned-variances), with answers.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from labml_nn.diffusion.ddpm.utils import linear_beta

# No step may destroy more of the variance than this
MAX_BETA = 0.999


def linear(n_steps: int, *, rescaled: bool = False) -> Tensor:
    r"""
    ## $\beta_t$ in a straight line

    * `n_steps` $T$
    * `rescaled` multiply by $1000/T$, so that chains of a hundred steps and more end about where
      the paper's 1000 do

    Returns float64, `[n_steps]`. Raises `ValueError` for no steps at all.
    """
    beta = linear_beta(at_least_one(n_steps))
    # Below 21 steps the last betas would reach 1
    return (beta * (1000 / n_steps)).clamp(max=MAX_BETA) if rescaled else beta


def cosine(n_steps: int, offset: float = 0.008, max_beta: float = MAX_BETA) -> Tensor:
    r"""
    ## $\bar\alpha_t$ along a cosine (Nichol and Dhariwal, eq. 17)

    * `n_steps` $T$
    * `offset` $s$, as a share of all steps
    * `max_beta` the largest $\beta$ that a step may have

    Returns float64, `[n_steps]`. Raises `ValueError` for numbers that make no schedule.
    """
    if not (offset >= 0 and 0 < max_beta < 1):
        raise ValueError(
            f'offset={offset:g} must not be negative, and max_beta={max_beta:g} lie in (0, 1)'
        )
    t = torch.linspace(0, 1, at_least_one(n_steps) + 1, dtype=torch.float64)
    # $f(t) / f(0)$; $f(0)$ cancels below
    alpha_bar = torch.cos((t + offset) / (1 + offset) * (math.pi / 2)) ** 2
    return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=max_beta)


def straight(n_steps: int) -> Tensor:
    r"""
    ## $\bar\alpha_t$ of a straight line

    * `n_steps` $T$, at least two

    Returns float64, `[n_steps]`. The last $\beta$ is 1: nothing is left of the image. Raises
    `ValueError` for fewer than two steps.
    """
    if n_steps < 2:
        raise ValueError(f'n_steps={n_steps}: a straight line to pure noise has at least two steps')
    tau = torch.arange(n_steps + 1, dtype=torch.float64) / n_steps
    # $\dfrac{(1-\tau)^2}{(1-\tau)^2 + \tau^2}$
    alpha_bar = (1 - tau) ** 2 / ((1 - tau) ** 2 + tau**2)
    return 1 - alpha_bar[1:] / alpha_bar[:-1]


# By the name that a run's configuration has
SCHEDULES: dict[str, Callable[[int], Tensor]] = {
    'linear': linear,
    'cosine': cosine,
    'straight': straight,
}


def signal_left(beta: Tensor) -> float:
    r"""
    $\sqrt{\bar\alpha_T}$: what the image is multiplied by at the end
    """
    return float((1 - beta.double()).prod() ** 0.5)


def log_snr(beta: Tensor) -> Tensor:
    r"""
    $\log\text{SNR}$ of every step, natural logarithm, float64 `[n_steps]`
    """
    # $\log\bar\alpha_t - \log(1 - \bar\alpha_t)$, by sums of logarithms: nothing is rounded to 1
    log_alpha_bar = torch.log1p(-beta.double()).cumsum(0)
    return log_alpha_bar - (-torch.expm1(log_alpha_bar)).log()


def at_least_one(n_steps: int) -> int:
    r"""
    `n_steps`, or a `ValueError` if it counts no steps.
    """
    if n_steps < 1:
        raise ValueError(f'n_steps={n_steps}: a schedule has at least one step')
    return n_steps
