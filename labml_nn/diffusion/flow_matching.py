r"""
---
title: Flow matching
summary: >
  Straight paths from noise to image, and the velocity along them: which part of it is DDPM in other
  units, and which part is new.
---

# Flow matching

This page explains flow matching [@lipman2023] and rectified flow [@liu2023], which start from
the same idea. It needs no chain of small steps, no bound and no posterior. What it trains turns out
to be a diffusion model that we have already, with another schedule and another
[target](targets.html). So the same command trains it:

```sh
python -m labml_nn.diffusion.ddpm.experiment --schedule straight --target u
```

## A straight path and its velocity

Take an image $x_0$ and noise $\epsilon$, and go from one to the other in a straight line, while the
time $\tau$ runs from 0 to 1. (Most papers let the time run the other way, from noise to image.) The
velocity along the line is constant:

$$x_\tau = (1-\tau)\,x_0 + \tau\,\epsilon, \qquad \frac{dx_\tau}{d\tau} = \epsilon - x_0$$
<!-- no-test: definition -->

A network is trained to predict the velocity from the place and the time:

$$L(\theta) = \mathbb E\,\big\|u_\theta(x_\tau, \tau) - (\epsilon - x_0)\big\|^2$$

[tested](test:diffusion/test_flow_matching.py::test_the_loss_is_that_of_flow_matching). Many lines
pass through one $x_\tau$. The best answer to a squared error is the mean, here of their velocities:

$$u(x, \tau) = \mathbb E\big[\epsilon - x_0 \,\big|\, x_\tau = x\big]$$

[tested](test:diffusion/test_flow_matching.py::test_the_best_answer_is_the_mean_velocity). Follow
this mean velocity from a point of pure noise down to $\tau = 0$. The points do not stay on their
lines, but at every $\tau$ they are distributed as the $x_\tau$ are. The reason is that a density
changes by what flows in and out, and for that the mean velocity at each place is enough. For data
$\mathcal N(m, c^2)$ all of it can be written down. The velocity is linear in $x$,

$$u(x, \tau) = \frac{\tau - (1-\tau)\,c^2}{(1-\tau)^2c^2 + \tau^2}\,\big(x - (1-\tau)\,m\big) - m$$

[tested](test:diffusion/test_flow_matching.py::test_the_velocity_of_a_gaussian). A point that
follows it keeps its distance from the mean, in units of the standard deviation of $x_\tau$
[tested](test:diffusion/test_flow_matching.py::test_the_flow_of_a_gaussian).

## DDPM in other units

The mixture $x_\tau$ is the $x_t$ of DDPM, but for its size. The squares of the two factors do not
add up to 1, so divide by the root of their sum:

$$x_t = \frac{x_\tau}{\sqrt{(1-\tau)^2 + \tau^2}}, \qquad
\bar\alpha_t = \frac{(1-\tau)^2}{(1-\tau)^2 + \tau^2}, \qquad \tau = \frac tT$$

[tested](test:diffusion/test_flow_matching.py::test_a_straight_line_is_a_schedule). This is a
schedule like any other, `straight`. Nothing is left of the image at its end. The velocity and the
place give the image and the noise, without a division:

$$\hat x_0 = x_\tau - \tau\,u, \qquad \hat\epsilon = x_\tau + (1-\tau)\,u$$

[tested](test:diffusion/test_flow_matching.py::test_image_and_noise_from_the_velocity). So the
velocity is a target, `u`, and a network that predicts one target predicts all others. What is left
is the weight of each step in the loss. An error of the velocity is an error of the noise, or of
[v](targets.html), times a factor that is known:

$$\|u - u_\theta\|^2 = \frac{\|\epsilon - \epsilon_\theta\|^2}{(1-\tau)^2}
= \frac{\|v - v_\theta\|^2}{(1-\tau)^2 + \tau^2}$$

[tested](test:diffusion/test_flow_matching.py::test_errors_of_the_velocity). The last divisor lies
between $\frac12$ and 1. So flow matching is the $v$-prediction of DDPM with the schedule
`straight`, but for the form of the output, and at the middle of the path an error counts twice.

> **One difference of units remains.** Our network is given $x_t$, and not the smaller $x_\tau$. The
> factor between them is known at each step and at most $\sqrt2$.

The [ODE of DDPM](samplers/ddim.html) and the flow are one curve in two units. Euler's method on the
straight lines is DDIM, and all samplers of this package take a model that was trained here. The
page on [steps along straight lines](samplers/flow.html) has Euler's and Heun's methods.

## Straight for one pair is not straight for all

If the network were exact, would one step be enough? Each line is straight, but the mean velocity
is not the velocity of any of them. From pure noise, where $x_\tau$ says nothing about the image, it
points at the mean of all images. One step of Euler's method ends there, whatever the noise
[tested](test:diffusion/test_flow_matching.py::test_one_step_ends_at_the_mean). The curves bend
where lines to different images part.

![Three panels over time, from two images at the left to noise at the right. First, lines between
images and noise that cross; then curves that do not cross and bend near the middle; then the
straight lines between the ends of these curves, which do not cross either](figure:flow.py::flow
"Two images, +1 and −1: pairs drawn independently, their flow, and the pairs for reflow")

## Reflow: the part that is new

The noise of a pair need not be drawn independently of the image. Rectified flow takes an image and
noise that belong together: start from $\epsilon$, follow the flow to its end, and call the end
$x_0$. Then it trains a new network on the straight lines between these pairs. Three things are
known about it (@liu2023):

* The images are as they were, because the pairs' $x_0$ are samples of the first flow.
* Partners do not come to lie further apart. For the data $\pm 1$ with equal shares, pairs that are
  drawn independently have $\mathbb E\,(x_0-\epsilon)^2 = 2$, and the flow's pairs
  $2 - 2\sqrt{2/\pi} = 0.40$
  ([tested](test:diffusion/test_flow_matching.py::test_partners_come_nearer)).
* After several reflows one of the flows is nearly straight, and needs few steps. Gaussian data need
  one reflow and one step: the new velocity is constant along each curve
  ([tested](test:diffusion/test_flow_matching.py::test_a_reflowed_gaussian_needs_one_step)).

How far a flow is from straight can be measured by its loss on its own pairs. If a curve is
straight, it is the line between its own pair, $u$ is the velocity of that line, and the loss is 0:

$$S = \int_0^1 \mathbb E\,\big\|(\epsilon - x_0) - u(x_\tau, \tau)\big\|^2\,d\tau$$

[tested](test:diffusion/test_flow_matching.py::test_straightness_of_a_gaussian).
The authors measure the same difference along the curves.

## On digits

The network, the number of steps and the data are those of `make train`. Fréchet distance in pixel
space of 898 samples from the 1,797 real digits, as [for the samplers](samplers/index.html): all
1000 steps of DDPM have 0.25, and as many draws of the data 0.14. The first three rows are of DDPM
with its linear schedule, the next three of flow matching, and the last two of one reflow: 1,200
steps more, on 5,000 pairs that ten steps of Heun's method have made (`python -m
docs.figures.data.flow runs/flow runs/digits` measures it again).
<!-- measured:
docs/figures/data/frontier.json#/whole/distance
docs/figures/data/frontier.json#/whole/real -->

| calls of the network | 1 | 2 | 3 | 5 | 8 | 9 | 19 |
|---|---|---|---|---|---|---|---|
| DDPM, Euler | 18.2 | 8.17 | 3.44 | 1.33 | 0.69 | 0.60 | 0.32 |
| DDPM, Heun | 18.2 |  | 8.34 | 2.59 |  | 0.83 | 0.34 |
| DDPM, DPM-Solver++ 2M | 18.2 | 8.17 | 3.60 | 1.17 | 0.47 | 0.40 | 0.23 |
| flow, Euler | 16.1 | 3.18 | 1.46 | 0.68 | 0.41 | 0.37 | 0.25 |
| flow, Heun | 16.1 |  | 1.45 | 0.48 |  | 0.26 | 0.20 |
| flow, DPM-Solver++ 2M | 16.1 | 3.18 | 1.46 | 0.36 | 0.22 | 0.21 | 0.19 |
| reflow, Euler | 0.33 | 0.29 | 0.27 | 0.26 | 0.25 | 0.25 | 0.25 |
| reflow, Heun | 0.33 |  | 0.27 | 0.26 |  | 0.25 | 0.24 |
<!-- measured: docs/figures/data/flow.json#/table -->

* **Flow matching** needs fewer calls. With DPM-Solver++, eight calls are at least as good as all
  1000 of DDPM. The schedule was changed here, and the target, and the weights with them. The table
  does not say which of these made the difference.
* **Reflow** makes a single call useful, where the flow before it draws nothing but the mean. With
  many calls it is no better than that flow, because it learns from its pairs.
* **Straightness.** $S$, as a mean over the pixels, falls from 0.154 to 0.00649, on 64 pairs of each
  flow.
  <!-- measured: docs/figures/data/flow.json#/straightness/flow -->
* One seed was drawn, of one training. [Three seeds](comparison.html) of samples of the flows differ
  by up to 0.2 with few calls, and by 0.05 to 0.08 with eight and more.

[Exercises for this page](ddpm/exercises.html#flow-matching), with answers.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.samplers.contract import ReverseSampler


def gaussian_velocity(x: Tensor, tau: Tensor | float, mean: float, std: float) -> Tensor:
    r"""
    ## The velocity for Gaussian data

    * `x` places, and `tau` their times, of shapes that go together
    * `mean`, `std` $m$ and $c$ of the data, in each dimension

    Returns $u(x, \tau)$, of the shape of `x`.
    """
    # $\dfrac{\tau - (1-\tau)\,c^2}{(1-\tau)^2c^2 + \tau^2}$
    slope = (tau - (1 - tau) * std**2) / ((1 - tau) ** 2 * std**2 + tau**2)
    return slope * (x - (1 - tau) * mean) - mean


def pairs(
    sampler: ReverseSampler, n: int, shape: tuple[int, ...], *, seed: int = 0, at_once: int = 128
) -> tuple[Tensor, Tensor]:
    r"""
    ## Images and the noise that they come from

    * `sampler` one that adds no noise on its way
    * `n` how many pairs
    * `shape` of an image, such as `(1, 8, 8)`
    * `seed` pair $i$ depends on `(seed, i)` and on nothing else
    * `at_once` how many are made together

    Returns $x_0$ and $\epsilon$, both `[n, *shape]`.
    """
    images, noises = [], []
    for first in range(0, n, at_once):
        eps, noise = sampler.start((min(at_once, n - first), *shape), seed, first=first)
        # The last of a chain is its image
        *_, (_, x0, _) = sampler.chain(eps, noise)
        images.append(x0)
        noises.append(eps)
    return torch.cat(images), torch.cat(noises)


def coupled(x0: Tensor, eps: Tensor, batch_size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    r"""
    ## Batches for reflow, without end

    [Algorithm 1](ddpm/train.html) takes the noise of a batch from the batch, where it brings some:

        training = Training(c, torch.device('cpu'))
        training.model.load_state_dict(weights)
        for step in training.steps(coupled(x0, eps, c.batch_size)):
            ...

    Yields images, labels (all 0, as the model is told none), and noise.
    """
    label = torch.zeros(batch_size, dtype=torch.int64, device=x0.device)
    while True:
        which = torch.randint(0, len(x0), (batch_size,), device=x0.device)
        yield x0[which], label, eps[which]


@torch.no_grad()
def straightness(diffusion: DenoiseDiffusion, x0: Tensor, eps: Tensor) -> float:
    r"""
    ## How far a flow is from straight

    * `diffusion` a model with the target `u`, in evaluation mode
    * `x0`, `eps` [pairs](#pairs) of its own, `[n, ...]`

    Returns $S$ for each dimension of the images, as the mean over all steps.
    """
    found = []
    for t in range(diffusion.n_steps):
        step = torch.full((len(x0),), t, device=x0.device)
        found.append(diffusion.errors(x0, step, eps).mean())
    return float(torch.stack(found).mean())
