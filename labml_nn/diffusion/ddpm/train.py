r"""
---
title: Algorithm 1
summary: >
  The training loop - data, t, noise, errors, a gradient step, the moving average of the weights.
---

# Algorithm 1

This page implements the training loop of the paper. After each step the loop reports the loss and a
few other numbers. It does not log or save: that is the work of [a run](../../runs/run.html), which
[the command line](experiment.html) starts. In a program of your own, with a
[configuration](configs.html) `c` and batches `data`:

    training = Training(c, torch.device('cpu'))
    for step in training.steps(data):
        print(float(step.loss))

Four things in the loop are not in the paper's box with Algorithm 1. A [moving average](ema.html) of
the weights is kept (appendix B of the paper). The learning rate grows during the first steps, and
the gradient is clipped (the authors' released code). In short runs the rate also falls at the end,
which it does not in the paper. Most of the rest of this page makes training faster, or lets it use
less memory: several processes, 16-bit numbers, a batch taken in parts. Apart from rounding, and
from which random numbers are drawn, none of these changes what is computed.

[Exercises for this page](exercises.html#training), with answers.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from labml_nn.compute.descent import Descent
from labml_nn.compute.distributed import World
from labml_nn.compute.precision import (
    Network,
    n_products,
    pick_layout,
    pick_precision,
    recompute,
)
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.configs import NETWORKS, Configs, build, steps_of
from labml_nn.diffusion.ddpm.ema import EMA
from labml_nn.diffusion.ddpm.utils import image_seed
from labml_nn.diffusion.guidance import drop_labels
from labml_nn.diffusion.learned_variance import WEIGHT, hybrid_errors
from labml_nn.diffusion.preconditioning import draw_steps
from labml_nn.diffusion.targets import TargetedDiffusion
from labml_nn.runs.checkpoint import seed_everything


class Step(NamedTuple):
    r"""
    What a step reports. The tensors stay on the device: to read a number, the program would have to
    wait for the device.
    """

    loss: Tensor  # the mean over all processes
    t: Tensor  # [batch]
    errors: Tensor  # squared error of the noise, [batch]
    norm: Tensor  # of the gradient, before it was clipped
    good: Tensor  # whether all numbers were finite; if not, the step was not taken


class Training:
    r"""
    ## What is trained

    * `c` the configuration
    * `levels` how many values a pixel of the data can have, 256 for 8 bits; the loss of a learned
      variance needs it
    * `world` the processes that take part; one when not given

    Raises `ValueError` if the options do not fit the device or each other.
    """

    def __init__(
        self, c: Configs, device: torch.device, levels: int = 256, world: World | None = None
    ):
        self.c, self.device, self.levels = c, device, levels
        self.world = World() if world is None else world
        self.micro_batch = part_of_batch(c.batch_size, c.micro_batch, self.world)
        seed_everything(c.seed)
        self.diffusion, self.share = build(c, device), steps_of(c)
        self.model: nn.Module = self.diffusion.eps_model  # type: ignore[assignment]
        self.precision = pick_precision(c.precision, device, self.products)
        self.channels_last = pick_layout(c.channels_last, self.precision, device)
        if self.channels_last:
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = EMA(self.model, c.ema_decay)
        # Fused: one kernel for all weights, where the device has one
        fused = device.type in ('cpu', 'cuda')
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=c.learning_rate, fused=fused)
        self.descent = Descent(self.optimizer, c.grad_clip, scale=self.precision == 'fp16')
        self.wrap_model()
        self.step = 0  # steps done
        self.is_whole = True  # whether weights, average and optimizer are all after the same step
        if not self.world.is_first:
            self.seed_by_rank()

    def steps(self, data: Iterable[tuple[Tensor, ...]]) -> Iterator[Step]:
        r"""
        ### Algorithm 1

        * `data` batches of images in $[-1, 1]$ and their labels, on the device; if a batch has a
          third part, it is [the noise of these images](../flow_matching.html), and a fourth is
          [their steps](../distillation.html)

        `is_whole` is false while a step is being taken. The caller sets it to true after it has
        recorded the step. If there is an error before that, the step is only half done, and its
        state must not be saved.
        """
        c = self.c
        self.model.train()
        # **repeat** $x_0 \sim q(x_0)$, an image with its label
        for x0, label, *given in data:
            condition = condition_of(label, c)
            # $t \sim \text{Uniform}(\{1, \dots, T\})$, unless the batch brings its steps or the
            # option [noise_levels](../preconditioning.html) has another distribution; the index in
            # the code is $t - 1$
            t = given[1] if given[1:] else draw_steps(len(x0), c.n_steps, self.share, self.device)
            # $\epsilon \sim \mathcal N(\mathbf 0, \mathbf I)$
            eps = given[0] if given else torch.randn_like(x0)
            # $\nabla_\theta \frac1d\big\|\epsilon - \epsilon_\theta(
            # \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\epsilon, t)\big\|^2$,
            # a mean over the $d$ pixels and over the batch
            self.optimizer.zero_grad()
            loss, errors = self.gradient(x0, t, eps, condition)
            # Take a gradient step. A gradient whose norm is larger than `grad_clip` is scaled down
            # to it. A batch with unlucky $t$ can have a gradient many times larger than usual, and
            # Adam's mean of squares ($\beta_2 = 0.999$) would keep it for about a thousand steps
            self.set_learning_rate()
            self.is_whole = False
            norm, good = self.descent.step(loss)
            # The average of the weights. $\gamma$ is the decay, $d_n$ on [its page](ema.html):
            # $\theta' \leftarrow \gamma\,\theta' + (1-\gamma)\,\theta$
            if self.world.is_first:
                self.ema.update_parameters(self.model)
            self.step += 1
            yield Step(loss, t, errors, norm, good)

    def gradient(
        self, x0: Tensor, t: Tensor, eps: Tensor, label: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        r"""
        #### The gradient of the loss

        `micro_batch` images at a time: a mean over equal parts is the mean of the parts' means, so
        the gradient is that of the whole batch
        [tested](test:diffusion/ddpm/test_fast.py::test_micro_batches_have_the_batchs_gradient).

        Returns the loss, as the mean over all processes, and the squared error of each image.
        """
        m = self.micro_batch
        losses, errors, n = [], [], len(x0) // m
        labels = [None] * n if label is None else label.split(m)
        parts = zip(x0.split(m), t.split(m), eps.split(m), labels, strict=True)
        for i, (x0_i, t_i, eps_i, label_i) in enumerate(parts, 1):
            # Processes average their gradients once, with the last part
            wait = i < n and self.world.size > 1
            with self.wrapped.no_sync() if wait else contextlib.nullcontext():  # type: ignore[operator]
                each, errors_i = losses_of(self.diffusion, x0_i, t_i, eps_i, label_i, self.levels)
                self.descent.backward(each.mean() / n)
            losses.append(each.detach().mean())
            errors.append(errors_i)
        return self.world.mean(torch.stack(losses).mean()), torch.cat(errors)

    def set_learning_rate(self) -> None:
        r"""
        Set the learning rate of the current step.
        """
        share = share_of_rate(self.c, self.step)
        for group in self.optimizer.param_groups:
            group['lr'] = self.c.learning_rate * share

    def wrap_model(self) -> None:
        r"""
        Wrap the model for speed, for less memory, or for several processes. The wrapped model has
        the same weights, not a copy.
        """
        c = self.c
        if c.activation_checkpointing:
            block = NETWORKS[c.network].block
            recompute(m for m in self.model.modules() if isinstance(m, block))
        self.wrapped = self.world.wrap(self.model)
        self.network = self.diffusion.eps_model = Network(
            self.wrapped, self.precision, compiled=c.compile, channels_last=self.channels_last
        )

    def products(self) -> int:
        r"""
        Multiplications of one call of the network, for one image.
        """
        return n_products(self.model, self.c.image_channels, self.c.image_size)

    def seed_by_rank(self) -> None:
        r"""
        From this step on, let each process draw different random numbers.
        """
        seed_everything(image_seed(self.c.seed + self.step, self.world.rank))


def losses_of(
    diffusion: DenoiseDiffusion,
    x0: Tensor,
    t: Tensor,
    eps: Tensor,
    label: Tensor | None,
    levels: int,
) -> tuple[Tensor, Tensor]:
    r"""
    Two numbers for each image, both `[batch]`. The first is the loss that training minimises: the
    simple loss, [the hybrid loss](../learned_variance.html) of a learned variance, or the loss of
    [another target](../targets.html). The second is the squared error of the noise.
    """
    if isinstance(diffusion, TargetedDiffusion):
        return diffusion.losses(x0, t, eps, label)
    if diffusion.variance == 'learned':
        errors, vlb = hybrid_errors(diffusion, x0, t, eps, levels, label)
        return errors + WEIGHT * vlb, errors.detach()
    errors = diffusion.errors(x0, t, eps, label)
    return errors, errors.detach()


def condition_of(label: Tensor, c: Configs) -> Tensor | None:
    r"""
    The labels that the model is given: none if it has no classes. Otherwise each label is [left
    out](../guidance.html) with the probability `p_uncond`, and the rest are given.
    """
    return drop_labels(label, c.p_uncond) if c.n_classes else None


def share_of_rate(c: Configs, step: int) -> float:
    r"""
    The factor by which the learning rate is multiplied at a step.

    It grows linearly for `warmup` steps, because Adam divides by the root of a running mean of
    squared gradients, which is not reliable in the first steps. Then it is 1, until the cool-down,
    if there is one.

    > **Departure.** A short run gives better samples if the rate falls to zero over the last
    > `cooldown` steps. The paper has no cool-down. Its runs have hundreds of thousands of steps,
    > and over so many the moving average smooths the weights enough without a cool-down.
    """
    return min(1.0, (step + 1) / max(c.warmup, 1), (c.steps - step) / max(c.cooldown, 1))


def part_of_batch(batch_size: int, micro_batch: int, world: World) -> int:
    r"""
    How many images go through the network at a time, in each process; `micro_batch` 0 means all.

    Raises `ValueError` if the batch cannot be divided evenly among the processes, or the part of a
    process into micro-batches.
    """
    batch = world.local_batch(batch_size)
    if micro_batch and batch % micro_batch:
        fitting = ', '.join(str(d) for d in range(1, batch + 1) if batch % d == 0)
        raise ValueError(
            f'micro_batch={micro_batch} does not divide the batch of {batch} images of a process: '
            f'use one of {fitting}'
        )
    return micro_batch or batch
