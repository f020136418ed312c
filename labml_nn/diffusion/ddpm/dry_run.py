r"""
---
title: A dry run
summary: A few steps of a run, on pictures that are there or made up, of which nothing is kept.
---

# A dry run

    python -m labml_nn.diffusion.ddpm.experiment --preset cifar10 --dry-run

checks what a run would check, does a few of its steps, and says how long all of them take, when
they end, and how much memory they need. **Nothing is written or downloaded**
[tested](test:diffusion/ddpm/test_dry_run.py::test_nothing_is_downloaded_or_unpacked): where the
data is not there yet, the steps are done on noise of the right shape, and the images say so. A
folder of pictures that is not there is an error here, too.
"""

import torch
from torch import Tensor

from labml_nn.data.datasets import AnySet, Images
from labml_nn.data.files import NotLocal, local_only
from labml_nn.diffusion.ddpm.configs import Configs, data_of
from labml_nn.runs.pace import Pace, forecast
from labml_nn.runs.run import Run


class NoiseImages(Images):
    r"""
    Images of noise, in the place of data that is not there.
    """

    def __init__(self, name: str, images: Tensor, labels: Tensor, reason: str):
        super().__init__(name, images, labels)
        self.reason = reason


def data_to_look_at(c: Configs) -> AnySet:
    r"""
    The images of a configuration, or made-up ones of their shape, a batch of them, where they would
    have to be downloaded or unpacked.
    """
    try:
        with local_only():
            return data_of(c)
    except NotLocal as error:
        shape = (c.batch_size, c.image_channels, c.image_size, c.image_size)
        noise = torch.Generator().manual_seed(0)
        images = torch.randint(256, shape, generator=noise, dtype=torch.uint8)
        labels = torch.arange(c.batch_size) % max(c.n_classes, 1)
        return NoiseImages(c.dataset, images, labels, f'{error}, and a dry run gets none')


def rehearse(run: Run) -> str:
    r"""
    Do a few steps of a run, and return the line that says how long all of them will take.
    """
    first, left = run.step, max(run.c.steps - run.step, 0)
    # Processes that train together have to do the same number of steps
    pace = Pace(first, run.device) if run.world.size == 1 else Pace(first, run.device, 0)
    each = 0.0
    for _ in run.training.steps(run.data()):
        each = pace.each(run.step)
        if each:
            break
    return forecast(each, left, run.device)
