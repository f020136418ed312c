r"""
---
title: The teacher of a run
summary: What a distilled run learns from, what it must have in common with it, and its batches.
---

# The teacher of a run

A [student](../distillation.html) is a run like any other, whose batches are made by another run,
its teacher. Here is what the two must have in common.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from labml_nn.cli.options import option_values
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.configs import Configs, make_configs
from labml_nn.diffusion.ddpm.initial import kept_options
from labml_nn.diffusion.ddpm.sampler import Sampler
from labml_nn.diffusion.ddpm.train import Training
from labml_nn.diffusion.ddpm.utils import around
from labml_nn.diffusion.distillation import GRID, consistency, progressive
from labml_nn.diffusion.flow_matching import coupled, pairs
from labml_nn.diffusion.samplers import Flow
from labml_nn.runs import checkpoint

# Student and teacher have the same noise levels, the same target, and images of the same size
IN_COMMON = ('n_steps', 'schedule', 'zero_snr', 'target', 'image_size', 'image_channels')
# How many pairs the teacher draws for reflow, with how many steps of Heun's method
N_PAIRS, PAIR_STEPS, PAIR_SEED = 5000, 10, 7


class Teacher:
    r"""
    ## A trained run that another learns from

    * `c` the options of the student
    * `device` where both compute

    Raises `ValueError` where the two do not go together, and what reading a run raises.
    """

    def __init__(self, c: Configs, device: torch.device):
        self.c = c
        if not c.teacher:
            raise ValueError(
                f'--distill {c.distill} begins with the weights of its teacher: name that run with '
                f'--init'
            )
        source = Path(c.teacher)
        state = checkpoint.load(source)
        check_pair(c, make_configs(kept_options(state, option_values(Configs()))), source)
        self.diffusion: DenoiseDiffusion = Sampler.from_run(source, device=device).diffusion

    def batches(
        self, data: Iterable[tuple[Tensor, ...]], training: Training
    ) -> Iterator[tuple[Tensor, ...]]:
        r"""
        What [Algorithm 1](train.html) is given in the place of `data`, batches of images.
        """
        c = self.c
        if c.distill == 'progressive':
            return progressive(self.diffusion, c.calls, data)
        if c.distill == 'consistency':
            target = around(training.diffusion, training.ema.module)
            return consistency(self.diffusion, target, data)
        shape = (c.image_channels, c.image_size, c.image_size)
        x0, eps = pairs(Flow(self.diffusion, PAIR_STEPS), N_PAIRS, shape, seed=PAIR_SEED)
        return coupled(x0, eps, training.world.local_batch(c.batch_size))


def check_pair(c: Configs, old: Configs, source: Path) -> None:
    r"""
    A `ValueError` unless a student of options `c` can learn from a run of options `old`.
    """
    differing = [k for k in IN_COMMON if getattr(c, k) != getattr(old, k)]
    if differing:
        listed = ', '.join(f'{k}={getattr(c, k)} (it has {getattr(old, k)})' for k in differing)
        raise ValueError(f'a student of {source} has its options: leave out {listed}')
    if c.n_classes or old.n_classes:
        raise ValueError(
            f'{source} is told classes: distillation is for runs without them, as guidance would '
            f'have to be distilled too'
        )
    if c.variance == 'learned':
        raise ValueError(f'{source} has a learned variance, which steps without noise do not use')
    check_calls(c, source)
    check_target(c, source)
    if old.distill == 'consistency':
        raise ValueError(f'{source} jumps to the end of its ODE, and cannot teach steps along it')
    if old.distill == 'progressive' and not (
        c.distill == 'progressive' and 2 * c.calls == old.calls
    ):
        raise ValueError(
            f'{source} has learned {old.calls} steps alone: its student is --distill progressive '
            f'with --calls {max(old.calls // 2, 1)}'
        )


def check_calls(c: Configs, source: Path) -> None:
    r"""
    A `ValueError` unless a student can be made for that number of calls.
    """
    if c.calls < 1:
        raise ValueError(f'--distill {c.distill} needs --calls, how many it is made for, such as 4')
    most = {'progressive': c.n_steps // 2, 'consistency': GRID, 'reflow': c.n_steps}[c.distill]
    if c.calls > most:
        raise ValueError(f'calls={c.calls}: {c.distill} can be for 1 to {most} of them')
    if c.distill == 'consistency' and GRID % c.calls:
        raise ValueError(
            f'calls={c.calls} does not divide the {GRID} steps that it learns: use 1, 2, 4, 8 …'
        )


def check_target(c: Configs, source: Path) -> None:
    r"""
    A `ValueError` for what the network predicts, where a student would not learn by it.
    """
    if c.distill == 'reflow' and (c.schedule, c.target) != ('straight', 'u'):
        raise ValueError(
            f'{source} has schedule={c.schedule} and target={c.target}, and reflow needs straight '
            f'lines: train a teacher with --schedule straight --target u'
        )
    if c.distill != 'reflow' and c.target == 'eps':
        raise ValueError(
            f'{source} predicts eps, of which few steps cannot be made: where hardly any image is '
            f'left, its errors are divided by almost nothing. Train a teacher with --target v'
        )
    if c.distill == 'consistency' and c.target == 'x0':
        raise ValueError(
            f'{source} predicts x0, which is not the image itself where there is no noise: train a '
            f'teacher with --target v'
        )
