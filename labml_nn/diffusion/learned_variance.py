r"""
---
title: Learned variances
summary: >
  A variance for every pixel and step, interpolated between the two fixed ones, and the hybrid loss
  that trains it without touching the mean.
---

# Learned variances

DDPM fixes the variance of each step back, to $\beta_t$ or $\tilde\beta_t$.
[What that costs](ddpm/likelihood.html) is known exactly on Gaussian data: with 1000 steps
up to 0.8 bits per dimension, most of it in the first steps. @nichol2021 (section 3.1) let the
network say it, pixel by pixel:

    diffusion = DenoiseDiffusion(UNet(out_channels=6), 4000, beta=cosine(4000), variance='learned')
    loss = hybrid_loss(diffusion, x0, n_levels=256)

or, on the command line,

    python -m labml_nn.diffusion.ddpm.experiment --preset cifar10 --variance learned \
        --schedule cosine --n_steps 4000

## Between the two

For data of at most unit variance, the best variance on average lies
[between $\tilde\beta_t$ and $\beta_t$](ddpm/index.html). The two are close together, except at the
first few $t$, and both are tiny. A network that had to put out the number itself would have to hit
$10^{-4}$ to within a few percent. So it puts out where to go between their logarithms (eq. 15):

$$\log\sigma_t^2 = w\log\beta_t + (1-w)\log\tilde\beta_t, \qquad w = \frac{v + 1}2$$

([tested](test:diffusion/test_learned_variance.py::test_between_them_it_is_linear_in_the_logarithm_and_may_go_beyond)),
with one $v$ for each pixel, from a second half of the channels. It is not held in $[-1, 1]$. Above
$\beta_t$ is right for a pixel that the network guesses badly. Below $\tilde\beta_t$ never is: the
true variance is $\tilde\beta_t$ plus what the uncertainty of $x_0$ adds
[tested](test:diffusion/test_learned_variance.py::test_below_beta_tilde_never_pays). At the first
step, $\tilde\beta_1 = 0$ has no logarithm and $\tilde\beta_2$ stands in. The new network's head is
zero, so it begins in the middle
[tested](test:diffusion/test_learned_variance.py::test_a_new_network_begins_in_the_middle), and with
the right $v$ for Gaussian data the bound loses nothing at all
[tested](test:diffusion/ddpm/test_likelihood.py::test_the_gap_is_its_closed_form).

> **Departure.** In the paper's text $v$ is the weight itself; in the authors' code the output goes
> from $-1$ to $1$. We follow the code.

**An `eps_model` stays what it was.** Only steps that need a variance look at the second half of the
output. [Samplers](samplers/index.html) that ask for $\epsilon_\theta$ get the first half, and need
not know; ancestral sampling uses both, on any subset of the steps, between $\tilde\beta'$ and
$\beta'$ of [the shorter chain](samplers/ancestral.html)
[tested](test:diffusion/test_learned_variance.py::test_ancestral_sampling_uses_it_on_any_subset).

## The hybrid loss

$L_\text{simple}$ does not depend on the variance, so it gives $v$ no gradient; the bound does. So
the loss is the sum of both, the bound with a small weight (eq. 16):

$$L_\text{hybrid} = L_\text{simple} + \lambda L_\text{vlb}, \qquad \lambda = 0.001$$

([tested](test:diffusion/test_learned_variance.py::test_is_the_simple_loss_and_a_thousandth_of_the_bound))
where $L_\text{vlb} = L_0 + \dots + L_{T-1}$ in bits per dimension, guessed from one random $t$ for
each image, as $T \cdot L_t$ [tested](test:diffusion/test_learned_variance.py::test_unbiased).

Two halves of one head, and two losses. The bound would also train the mean, with other weights than
$L_\text{simple}$: it [cares most](ddpm/index.html) for noise too faint to see. So its gradient is
stopped there. In $L_\text{vlb}$ the mean is a constant, and only the variance is trained
[tested](test:diffusion/test_learned_variance.py::test_the_bound_does_not_move_the_mean). The two
share the layers below the head.

> **The weight is small because $L_\text{vlb}$ is large.** $\lambda$ multiplies the whole sum over
> steps, not one of its terms: forgetting the factor $T$ makes it $T$ times too small. No
> error reveals it; only the bits per dimension suffer.

## Measured

Two runs of the preset `digits` that differ in the loss (one with `--variance learned`), scored on
the same 256 images with the same noise, under each variance (`make bits` trains the second and
prints this):

| trained with | variance | bits/dim | more than learned |
|---|---|---|---|
| simple | $\beta$ | 2.800 ± 0.019 | 0.180 ± 0.004 |
| simple | $\tilde\beta$ | 2.909 ± 0.025 | 0.289 ± 0.007 |
| hybrid | learned | 2.620 ± 0.021 | |
| hybrid | $\beta$ | 2.804 ± 0.020 | 0.184 ± 0.002 |
| hybrid | $\tilde\beta$ | 2.913 ± 0.025 | 0.293 ± 0.006 |
<!-- measured: docs/figures/data/learned_variance.json#/bits -->

Errors are standard errors over images; images differ more than variances do, so the differences,
taken image by image, are known better than the sums. The learned variance saves 0.18 bits per
dimension, one part in sixteen. The mean has not become better or worse for it: under a fixed
variance both networks are the same to 0.005 bits.
<!-- measured:
docs/figures/data/learned_variance.json#/bits/1/3/0
docs/figures/data/learned_variance.json#/same -->

Where it saves, in bits per dimension for the network trained with the hybrid loss:

| sent | learned | $\beta$ | $\tilde\beta$ |
|---|---|---|---|
| $x_{999} \dots x_{500}$ | 0.0178 | 0.0178 | 0.0178 |
| $x_{499} \dots x_{250}$ | 0.1169 | 0.1174 | 0.1170 |
| $x_{249} \dots x_{100}$ | 0.2314 | 0.2353 | 0.2318 |
| $x_{99} \dots x_{10}$ | 1.0981 | 1.1388 | 1.1267 |
| $x_{9} \dots x_{1}$ | 1.1555 | 1.2946 | 1.4199 |
<!-- measured: docs/figures/data/learned_variance.json#/sent -->

![Two pictures against the step. Above, how many bits the two fixed variances cost more than the
learned one, counted from the noisiest step: next to nothing until step 100, and most in the last
ten steps, beta tilde more than beta. Below, where the learned variance lies between the two: near
beta at the first steps, near beta tilde from step 100 on](figure:learned_variance.py::price "The
price of a fixed variance, and what the learned one is")

Three quarters and more of it is in the nine steps nearest to the image, as on [Gaussian
data](ddpm/likelihood.html). At larger $t$, $\tilde\beta$ is the better one: digits are nearer to a
single point than to data of unit variance. In those nine steps it is the worse, because there the
network's own error is as large as the noise that is left, and a variance that is too small is
punished for it. The network has found the same: the $w$ of its median pixel is nearer to 1 in the
steps nearest to the image, and nearer to 0 from $t = 100$ on.

At $t$ from 14 to 250 more than a tenth of the pixels lie below $w = 0$, where no variance is right.
Some pixels at the edge are black in all images or nearly all; $w = 0$ is the best for them, and the
network misses it by a tenth of the way. That costs nearly nothing, as the two ends are close there:
0.0001 bits for a pixel that is always black at $t = 10$, and 0.001 in all from there to $t = 250$
([tested](test:diffusion/test_learned_variance.py::test_what_a_little_too_little_costs)).

[Exercises for this page](ddpm/exercises.html#schedules-and-learned-variances), with answers.
"""

import torch
from torch import Tensor

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.likelihood import step_bits
from labml_nn.diffusion.ddpm.utils import in_range, squared_error

# $\lambda$, the weight of the bound
WEIGHT = 0.001


def hybrid_loss(
    diffusion: DenoiseDiffusion,
    x0: Tensor,
    n_levels: int | None,
    noise: Tensor | None = None,
    *,
    t: Tensor | None = None,
    label: Tensor | None = None,
    weight: float = WEIGHT,
    check_range: bool = True,
) -> Tensor:
    r"""
    ## $L_\text{simple} + \lambda L_\text{vlb}$ (eq. 16)

    * `diffusion` one with `variance='learned'`
    * `x0` images on their levels in $[-1, 1]$, `[batch, ...]`
    * `n_levels` how many levels a pixel has, for $L_0$; `None` for continuous data
    * `noise` $\epsilon$, of the shape of `x0`; drawn when not given
    * `t` the step of each image, `[batch]`; drawn when not given
    * `label` the class of each image, `[batch]`, for a model that is told
    * `weight` $\lambda$
    * `check_range` refuse images outside $[-1, 1]$; switch it off for latents

    Returns a scalar. Raises `ValueError` for a fixed variance, and for images outside $[-1, 1]$.
    """
    if check_range:
        in_range(x0)
    if t is None:
        t = torch.randint(0, diffusion.n_steps, (len(x0),), device=x0.device)
    eps = torch.randn_like(x0) if noise is None else noise
    simple, vlb = hybrid_errors(diffusion, x0, t, eps, n_levels, label)
    return (simple + weight * vlb).mean()


def hybrid_errors(
    diffusion: DenoiseDiffusion,
    x0: Tensor,
    t: Tensor,
    eps: Tensor,
    n_levels: int | None,
    label: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    r"""
    $L_\text{simple}$, as `diffusion.errors` gives it, and $L_\text{vlb}$ of each image, both
    `[batch]`, from one call of the network.
    """
    xt = diffusion.q_sample(x0, t, eps)
    eps_theta, x0_hat, v = diffusion.guess(xt, t, label)
    if v is None:
        raise ValueError(
            f'variance={diffusion.variance!r} is fixed: the bound would have nothing to train. '
            f"Use DenoiseDiffusion(…, variance='learned'), or its own loss"
        )
    # $\mu_\theta$ is a constant in the bound: the gradient stops here
    mean, var, _ = diffusion.p_given(xt, t, x0_hat.detach(), v)
    # $L_\text{vlb} = \sum_t L_t = T\,\mathbb E_t L_t$
    vlb = diffusion.n_steps * step_bits(diffusion, x0, xt, t, mean, var.log(), n_levels)
    # $\frac1d\big\|\epsilon - \epsilon_\theta(x_t, t)\big\|^2$, a mean over the $d$ pixels
    return squared_error(eps_theta, eps), vlb
