r"""
---
title: EDM's training
summary: >
  What EDM changes about training: an input and a target of unit variance at every noise level, and
  noise levels from a log-normal distribution.
---

# EDM's training: preconditioning and noise levels

The [sampler of EDM](samplers/edm.html) [@karras2022] needs no training of its own. This page has
the other half of that paper: how to train. It turns out to be one more [target](targets.html), and
one more way to draw the step $t$. So the same command trains it, and every sampler takes the model:

    python -m labml_nn.diffusion.ddpm.experiment \
        --target edm --noise_levels lognormal --sigma_data 0.75
    python -m labml_nn.diffusion.ddpm.evaluate sample runs/digits --sampler heun --spacing karras

## 1. What the network should see and say

The standard deviation of the digits' pixels, over all places and images, is 0.75
([tested](test:diffusion/test_preconditioning.py::test_the_spread_of_the_digits)). EDM takes 0.5 for
all its data sets, and so does the option when it is not given.

In [the units of EDM](samplers/edm.html), $\bar x = x_0 + \bar\sigma\,\epsilon$, where
$\bar\sigma = \frac sa$ with $a = \sqrt{\bar\alpha_t}$ and $s = \sqrt{1-\bar\alpha_t}$. Between the
network $F$ and the guess of the image stand three factors, which depend on the noise level:

$$\hat x_0 = D(\bar x) = c_\text{skip}\,\bar x + c_\text{out}\,F(c_\text{in}\,\bar x)$$
<!-- no-test: definition -->

Let the images have the standard deviation $\sigma_d$ in each pixel. The first two of
the wishes below determine the factors, and the third the weight (appendix B.6).

**The input has unit variance.** That of $\bar x$ is $\sigma_d^2 + \bar\sigma^2$, so

$$c_\text{in} = \frac1{\sqrt{\bar\sigma^2 + \sigma_d^2}}$$

[tested](test:diffusion/test_preconditioning.py::test_input_and_target_have_unit_variance).

**As little as possible of an error of $F$ reaches the image.** To be right, $F$ has to say

$$y = \frac{x_0 - c_\text{skip}\,\bar x}{c_\text{out}}
= \frac{(1-c_\text{skip})\,x_0 - c_\text{skip}\,\bar\sigma\,\epsilon}{c_\text{out}}$$

[tested](test:diffusion/test_preconditioning.py::test_the_target_is_what_the_skip_leaves). Let this
have unit variance too. Then $c_\text{out}^2 = (1-c_\text{skip})^2\,\sigma_d^2 +
c_\text{skip}^2\,\bar\sigma^2$, a parabola in $c_\text{skip}$. Its lowest point is

$$c_\text{skip} = \frac{\sigma_d^2}{\bar\sigma^2 + \sigma_d^2}, \qquad
c_\text{out} = \frac{\bar\sigma\,\sigma_d}{\sqrt{\bar\sigma^2 + \sigma_d^2}}$$

[tested](test:diffusion/test_preconditioning.py::test_the_skip_makes_the_output_small). With little
noise the network only corrects $\bar x$, and with much noise it draws the image itself.

**Every level counts alike before training.** A new network says 0, and its squared error is then 1
at every level. So EDM weighs an error of $\hat x_0$ by $1/c_\text{out}^2$, which weighs an error of
$F$ by 1: `--weight constant`
[tested](test:diffusion/test_preconditioning.py::test_the_weight_is_constant).

Our guess of the image is theirs, with the factors of diffusers' `EDMEulerScheduler`
[tested](test:diffusion/test_preconditioning.py::test_the_denoiser_is_that_of_diffusers).

## 2. It is $v$, of scaled images

Write $d = \sqrt{a^2\sigma_d^2 + s^2}$ for the standard deviation of $x_t = a\,\bar x$. With the
factors put in, the network sees $x_t/d$, and the target is the mixture

$$y = A\,\epsilon + B\,x_0, \qquad A = -\frac{a\,\sigma_d}{d}, \qquad B = \frac{s}{\sigma_d\,d}$$

[tested](test:diffusion/test_preconditioning.py::test_the_target_is_what_the_skip_leaves). Its
determinant, $-d/\sigma_d$, is never 0, so nothing is divided by a small number at either end.
Divide the images by $\sigma_d$, and define the angle $\phi$ by
$\tan\phi = \bar\sigma/\sigma_d$. Then

$$y = \sin\phi\;\frac{x_0}{\sigma_d} - \cos\phi\;\epsilon = -v$$

[tested](test:diffusion/test_preconditioning.py::test_it_is_v_of_scaled_images). With
$\sigma_d = 1$ the preconditioned network of EDM is the $v$-prediction of @salimans2022, up to its
sign. What is new here is that the scale of the data is taken into account.

**What is left to learn?** $c_\text{skip}\,\bar x$ is the best multiple of $\bar x$ as a guess of
$x_0$. For images $\mathcal N(\mathbf 0, \sigma_d^2\,\mathbf I)$ no guess is better. Then the best
network says 0 everywhere, and the loss stays at 1
[tested](test:diffusion/test_preconditioning.py::test_a_gaussian_leaves_nothing_to_learn). So what
the network learns is how the images differ from such a Gaussian.

> **Two things are not theirs.** EDM gives the network $c_\text{noise} = \frac14\log\bar\sigma$;
> ours is told the step $t$, which is another name for the same level. And EDM draws any
> $\bar\sigma$, while ours are the levels of the $T$ steps.

## 3. Which noise levels to train

To draw $t$ uniformly is to draw $\log\bar\sigma$ from a distribution that the schedule decides.
EDM draws it directly:

$$\log\bar\sigma \sim \mathcal N(P_\text{mean}, P_\text{std}^2), \qquad
P_\text{mean} = -1.2, \qquad P_\text{std} = 1.2$$
<!-- no-test: definition -->

When there is very little noise, the network can hardly find it, and little is gained; with very
much, the answer is the mean of all images, which is soon learned. So training is spent in between.
We give each step the part of this distribution that is nearer to its level than to any other's, for
whatever schedule
[tested](test:diffusion/test_preconditioning.py::test_the_shares_are_those_of_the_normal), and the
loop draws from these shares
[tested](test:diffusion/test_preconditioning.py::test_training_draws_by_these_shares).

The linear schedule is far from that. It spends 60 % of its steps where $\bar\sigma > 2$, and
6 % where $\bar\sigma < 0.2$. With the log-normal distribution these are 6 % and 37 %
([tested](test:diffusion/test_preconditioning.py::test_where_training_is_spent)).

![Two pictures against the logarithm of the noise level. Above, how often a level is drawn: DDPM
mostly where noise is large, flow matching mostly where image and noise are about equal, EDM where
noise is small. Below, what an error counts: 1 everywhere for EDM, falling to 0.56 for v, up to 1.56
for u, and falling to nothing for the noise where noise is large](figure:preconditioning.py::effort
"Where training is spent, and what an error counts there")

The lower picture has the [weight](targets.html) of an error of $\hat x_0$ in each target, divided
by EDM's, which is one over the squared error of the best linear guess.

## 4. What it gives on the digits

Fréchet distance in pixel space of 898 samples, with DPM-Solver++ and its default steps, of runs
that differ from `digits` in the target and the noise levels alone
(`python -m docs.figures.data.preconditioning runs/comparison` trains and measures them again):

| DPM-Solver++, calls | 8 | 10 | 20 |
|---|---|---|---|
| $\epsilon$, uniform | 0.47 | 0.36 | 0.23 |
| $\epsilon$, `lognormal` | 0.41 | 0.35 | 0.25 |
| $v$, uniform | 0.45 | 0.34 | 0.22 |
| `edm`, `lognormal` | 0.40 | 0.30 | 0.20 |
<!-- measured: docs/figures/data/preconditioning.json#/table -->

* **Both together** help: the distance is about a sixth smaller than with $\epsilon$ as the target
  and uniform steps, at every number of calls.
* **The levels alone** gain with 8 calls and lose with 20. We take this for the reason: with the
  noise as the target, an error at a high level comes out of $\hat x_0$ many times as large, and
  these levels are now hardly trained.
* **The target alone** was not trained. It is close to $v$, whose row gains little.
* **EDM's levels for sampling** suit this training. On the model that is trained here, `karras`
  with DPM-Solver++ has 0.52 with four calls, where the model of `make train` has 1.85 with
  `trailing`. [The comparison](comparison.html) has these rows.
* **Heun's method** is behind here too: with ten steps, 19 calls, it has 0.28, and DPM-Solver++
  with `karras` has 0.19 with 20.
* One seed was drawn, of one training. [Three seeds](comparison.html) of samples differ by up to
  0.06 with DPM-Solver++ in this table.

[Exercises for this page](ddpm/exercises.html#preconditioning), with answers.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# The spread of the data that EDM assumes, whatever the data
SIGMA_DATA = 0.5

# Mean and standard deviation of $\log\bar\sigma$ in training (table 1 of EDM)
P_MEAN, P_STD = -1.2, 1.2


def spread(a: Any, s: Any, sigma_data: float) -> Any:
    r"""
    ## The spread of $x_t$

    * `a`, `s` $\sqrt{\bar\alpha_t}$ and $\sqrt{1-\bar\alpha_t}$, numbers or tensors
    * `sigma_data` $\sigma_d$

    Returns $d = \sqrt{a^2\sigma_d^2 + s^2}$.
    """
    return (a**2 * sigma_data**2 + s**2) ** 0.5


def mix(a: Any, s: Any, sigma_data: float) -> tuple[Any, Any]:
    r"""
    ## The target of EDM as a mixture $A\,\epsilon + B\,x_0$

    Returns $A = -a\,\sigma_d / d$ and $B = s / (\sigma_d\,d)$.
    """
    d = spread(a, s, sigma_data)
    return -a * sigma_data / d, s / (sigma_data * d)


def lognormal(alpha_bar: Tensor, mean: float = P_MEAN, std: float = P_STD) -> Tensor:
    r"""
    ## How often each step is drawn

    * `alpha_bar` $\bar\alpha$ of all steps, `[n_steps]`
    * `mean`, `std` of $\log\bar\sigma$

    Each step has the noise levels that are nearer to its own than to any other's, in the logarithm;
    the first has all below and the last all above. Returns the shares, float64 `[n_steps]`, which
    add up to 1.
    """
    alpha_bar = alpha_bar.detach().cpu().double()
    log_sigma = ((1 - alpha_bar) / alpha_bar).log() / 2
    between = (log_sigma[1:] + log_sigma[:-1]) / 2
    below = torch.special.ndtr((between - mean) / std)
    return torch.cat([below.new_zeros(1), below, below.new_ones(1)]).diff()


# How steps are drawn in training, by the name that a run's configuration has: the share of each, or
# none, where all are drawn alike
NOISE_LEVELS: dict[str, Callable[[Tensor], Tensor | None]] = {
    'uniform': lambda alpha_bar: None,
    'lognormal': lognormal,
}


def draw_steps(n: int, n_steps: int, share: Tensor | None, device: torch.device | str) -> Tensor:
    r"""
    ## The steps of a batch

    * `n` how many images, `n_steps` $T$
    * `share` of each step, `[n_steps]`, or none

    Returns int64, `[n]`, on `device`.
    """
    if share is None:
        return torch.randint(0, n_steps, (n,), device=device)
    return torch.multinomial(share.to(device, torch.float32), n, replacement=True)
