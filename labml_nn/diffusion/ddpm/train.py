r"""
---
title: Algorithm 1
summary: The training loop, and nothing else - data, t, noise, errors, a gradient step, the average.
---

# Algorithm 1

This page has the training of the paper. After each step the loop reports the loss and a few other
numbers, and does nothing else: [a run](../../runs/run.html) logs, saves, makes previews and stops,
and [the command line](experiment.html) starts it. In a program of your own:

    training = Training(c, torch.device('cpu'))
    for step in training.steps(data):
        print(float(step.loss))

The rest of the page makes training faster or smaller: several processes, numbers of 16 bits, a
batch in parts. Apart from rounding, none of these changes what is computed.

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
from labml_nn.diffusion.ddpm.configs import Configs, build
from labml_nn.diffusion.ddpm.ema import EMA
from labml_nn.diffusion.ddpm.unet import Block
from labml_nn.diffusion.ddpm.utils import image_seed
from labml_nn.diffusion.guidance import drop_labels
from labml_nn.diffusion.learned_variance import WEIGHT, hybrid_errors
from labml_nn.diffusion.targets import TargetedDiffusion
from labml_nn.runs.checkpoint import seed_everything


class Step(NamedTuple):
    r"""
    What a step reports. The tensors stay on the device, because reading a number waits for it.
    """

    loss: Tensor  # the mean over all processes
    t: Tensor  # [batch]
    errors: Tensor  # squared error of the noise, [batch]
    norm: Tensor  # of the gradient, before it was shortened
    good: Tensor  # whether all numbers were finite; if not, the step was not taken


class Training:
    r"""
    ## What is trained

    * `c` the configuration
    * `levels` how many levels a pixel of the data has, which a learned variance needs
    * `world` the processes that take part; one when not given

    Raises `ValueError` where the options do not fit the device or each other.
    """

    def __init__(
        self, c: Configs, device: torch.device, levels: int = 256, world: World | None = None
    ):
        self.c, self.device, self.levels = c, device, levels
        self.world = World() if world is None else world
        self.micro_batch = part_of_batch(c.batch_size, c.micro_batch, self.world)
        seed_everything(c.seed)
        self.diffusion = build(c, device)
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
        self.is_whole = True  # whether all of the state is after one and the same step
        if not self.world.is_first:
            self.seed_by_rank()

    def steps(self, data: Iterable[tuple[Tensor, ...]]) -> Iterator[Step]:
        r"""
        ### Algorithm 1

        * `data` batches of images in $[-1, 1]$ and their labels, on the device; if a batch has a
          third part, it is [the noise of these images](../flow_matching.html)

        The caller sets `is_whole` when it has recorded a step. An error before that has left a
        step half done.
        """
        c = self.c
        self.model.train()
        # **repeat** $x_0, c \sim q(x_0, c)$
        for x0, label, *given in data:
            condition = condition_of(label, c)
            # $t \sim \text{Uniform}(\{1, \dots, T\})$
            t = torch.randint(0, c.n_steps, (len(x0),), device=self.device)
            # $\epsilon \sim \mathcal N(\mathbf 0, \mathbf I)$
            eps = given[0] if given else torch.randn_like(x0)
            # $\nabla_\theta \big\|\epsilon - \epsilon_\theta(
            # \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\epsilon, t)\big\|^2$
            self.optimizer.zero_grad()
            loss, errors = self.gradient(x0, t, eps, condition)
            # Take a gradient step. The gradient is clipped to `grad_clip`: an unlucky batch of $t$
            # can have one many times the usual, and Adam would remember it for a thousand steps
            self.set_learning_rate()
            self.is_whole = False
            norm, good = self.descent.step(loss)
            # $\theta' \leftarrow d\,\theta' + (1-d)\,\theta$
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
        Set the learning rate of the present step.
        """
        share = share_of_rate(self.c, self.step)
        for group in self.optimizer.param_groups:
            group['lr'] = self.c.learning_rate * share

    def wrap_model(self) -> None:
        r"""
        Wrap the model, whose weights stay the same, for speed, memory or several processes.
        """
        c = self.c
        if c.activation_checkpointing:
            recompute(m for m in self.model.modules() if isinstance(m, Block))
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
        From this step on, let this process draw other random numbers than the others.
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
    Two losses of each image, `[batch]`: the one that is trained, which is the simple loss or [the
    hybrid](../learned_variance.html) of a learned variance, or that of [another
    target](../targets.html); and the squared error of the noise.
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
    The labels that the model is given: none, or [all except some](../guidance.html).
    """
    return drop_labels(label, c.p_uncond) if c.n_classes else None


def share_of_rate(c: Configs, step: int) -> float:
    r"""
    The factor of the learning rate at a step.

    It grows linearly for `warmup` steps and then stays at 1. Adam divides by a running mean of
    squared gradients, which is not reliable in the first steps.

    > **Departure.** A short run gains if the rate falls to zero over the last `cooldown` steps. The
    > paper's runs have hundreds of thousands of steps, an average of the weights that serves the
    > same end, and no cool-down.
    """
    return min(1.0, (step + 1) / max(c.warmup, 1), (c.steps - step) / max(c.cooldown, 1))


def part_of_batch(batch_size: int, micro_batch: int, world: World) -> int:
    r"""
    How many images go through the network at a time, in each process; `micro_batch` 0 is all.

    Raises `ValueError` when batch, processes and micro-batch do not divide.
    """
    batch = world.local_batch(batch_size)
    if micro_batch and batch % micro_batch:
        fitting = ', '.join(str(d) for d in range(1, batch + 1) if batch % d == 0)
        raise ValueError(
            f'micro_batch={micro_batch} does not divide the batch of {batch} images of a process: '
            f'use one of {fitting}'
        )
    return micro_batch or batch
