r"""
---
title: Configuration
summary: Every option of a run with its meaning on its line, and the presets of the paper.
---

# Configuration

What a run is made of: [training](experiment.html) takes these options by name, and every checkpoint
holds them.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch

from labml_nn.cli.messages import nearest
from labml_nn.cli.options import check_value, option_types
from labml_nn.data.datasets import AnySet, check_bad_pictures, check_classes, load_dataset
from labml_nn.data.decode import BadPicture
from labml_nn.diffusion.ddpm import DenoiseDiffusion, EpsModel, forerunner
from labml_nn.diffusion.ddpm.unet import UNet, check_image_size
from labml_nn.diffusion.ddpm.utils import check_seed
from labml_nn.diffusion.samplers import SAMPLERS
from labml_nn.diffusion.schedules import SCHEDULES
from labml_nn.runs.trackers import check_trackers


class Configs(forerunner.Notebook):
    r"""
    ## Options

    One line an option: its name, its type, its value in the preset `digits`, and what it means.
    """

    dataset: str = 'digits'  # digits, mnist, fashion_mnist, cifar10, celeba or folder
    data_root: str = 'data'  # where archives are or go; for folder, the pictures
    bad_pictures: str = 'refuse'  # what to do with those that cannot be read: refuse or skip
    image_size: int = 8  # side of the images, in pixels
    image_channels: int = 1  # 1 for grey, 3 for colour
    flip: bool = False  # mirror half of the images (no digits: a mirrored 3 is none)
    #
    n_channels: int = 32  # width of the U-Net's first level
    ch_mults: tuple[int, ...] = (1, 2)  # width of each level, as a multiple of that
    is_attn: tuple[bool, ...] = (False, True)  # attention at each level
    n_blocks: int = 1  # blocks a level
    n_groups: int = 8  # groups of each GroupNorm; they divide all widths
    dropout: float = 0.0  # in each block, while training
    n_classes: int = 0  # classes that the model is told; 0 trains without labels
    p_uncond: float = 0.1  # how often a label is forgotten, which guidance needs
    #
    n_steps: int = 1000  # T, the steps of the forward process
    schedule: str = 'linear'  # the betas: linear (1e-4 to 0.02) or cosine
    variance: str = 'beta'  # of a step back: beta, beta_tilde or learned
    #
    batch_size: int = 64  # images a step
    learning_rate: float = 2e-3  # of Adam, once warmed up
    warmup: int = 100  # steps over which the learning rate grows from zero
    cooldown: int = 1000  # last steps, over which it falls to zero; the paper has none
    grad_clip: float = 1.0  # the largest norm that a gradient may have
    ema_decay: float = 0.9999  # of the averaged weights, once their window has grown
    steps: int = 2400  # training steps in all
    seed: int = 0  # of weights, data order and noise
    #
    log_every: int = 25  # steps between two rows of log.csv
    save_every: int = 500  # steps between two checkpoints
    save_minutes: float = 10  # a checkpoint comes after so many minutes, if not before
    keep_checkpoints: int = 3  # how many there are, the newest included
    preview_every: int = 500  # steps between sample grids, from one noise (and 1/8, 1/4, 1/2 of it)
    n_previews: int = 16  # images in a sample grid
    n_samples: int = 64  # images in samples.png, at the end
    preview_sampler: str = 'dpm'  # how they and the last samples are made: ddpm, ddim, pndm, dpm
    preview_steps: int = 20  # steps of that sampler
    preview_share: float = 0.2  # previews are skipped beyond this share of the run's time
    device: str = 'auto'  # auto, cpu, cuda, cuda:1 … or mps
    precision: str = 'auto'  # of heavy layers: fp32, bf16, fp16; auto is bf16 on GPUs that have it
    compile: bool = False  # let torch.compile fuse operations; the first step then takes a minute
    channels_last: bool = False  # channels side by side in memory, faster for wide networks
    micro_batch: int = 0  # images at a time, when not all of a batch fit in memory; 0 is all
    activation_checkpointing: bool = False  # compute activations again rather than keep them
    track: tuple[str, ...] = ('labml',)  # labml, tensorboard, wandb, comet, several or none
    workers: int = 4  # processes that decode pictures too many for memory


# ## Presets
#
# What differs from `digits`. `cifar10` and `celebahq256` are the paper's (appendix B, and the
# released code for warm-up, clipping and the decay of the average). `celeba64` has the network
# of the DDIM paper.
PRESETS: dict[str, dict[str, Any]] = {
    'digits': {},
    # The smallest real run: seconds
    'tests': dict(
        ch_mults=(1, 1), is_attn=(False, False), batch_size=16, steps=20, warmup=5, cooldown=0,
        log_every=5, save_every=10, preview_every=10, preview_share=1.0, n_previews=4, n_samples=4,
    ),
    # The same network, told which digit it is
    'digits_conditional': dict(n_classes=10),
    'mnist': dict(
        dataset='mnist', image_size=32,
        n_groups=32, n_channels=64, ch_mults=(1, 2, 2), is_attn=(False, True, False),
        n_blocks=2, dropout=0.1,
        batch_size=128, learning_rate=2e-4, warmup=500, cooldown=0, steps=30_000,
        log_every=100, save_every=1000, preview_every=2000,
    ),
    'cifar10': dict(
        dataset='cifar10', image_size=32, image_channels=3, flip=True,
        n_groups=32, n_channels=128, ch_mults=(1, 2, 2, 2), is_attn=(False, True, False, False),
        n_blocks=2, dropout=0.1,
        batch_size=128, learning_rate=2e-4, warmup=5000, cooldown=0, steps=800_000,
        log_every=100, save_every=5000, preview_every=10_000,
    ),
    # Pictures by class: not the paper's any more
    'cifar10_conditional': dict(
        dataset='cifar10', image_size=32, image_channels=3, flip=True,
        n_groups=32, n_channels=128, ch_mults=(1, 2, 2, 2), is_attn=(False, True, False, False),
        n_blocks=2, dropout=0.1, n_classes=10, schedule='cosine',
        batch_size=128, learning_rate=2e-4, warmup=5000, cooldown=0, steps=800_000,
        log_every=100, save_every=5000, preview_every=10_000,
    ),
    'celeba64': dict(
        dataset='celeba', image_size=64, image_channels=3, flip=True,
        n_groups=32, n_channels=128, ch_mults=(1, 2, 2, 2, 4),
        is_attn=(False, False, True, False, False), n_blocks=2, dropout=0.1,
        batch_size=128, learning_rate=2e-4, warmup=5000, cooldown=0, steps=500_000,
        log_every=100, save_every=5000, preview_every=10_000,
    ),
    # Any folder of CelebA-HQ pictures, or of others
    'celebahq256': dict(
        dataset='folder', data_root='data/celeba_hq', image_size=256, image_channels=3, flip=True,
        n_groups=32, n_channels=128, ch_mults=(1, 1, 2, 2, 4, 4),
        is_attn=(False, False, False, False, True, False), n_blocks=2, dropout=0.0,
        variance='beta_tilde',
        batch_size=64, learning_rate=2e-5, warmup=5000, cooldown=0, steps=500_000,
        log_every=100, save_every=5000, preview_every=10_000, n_previews=4,
    ),
}  # fmt: skip

# What may differ when a run is resumed: how long, how often and where, not what
FREE_ON_RESUME = {
    'steps', 'device', 'workers', 'data_root', 'log_every', 'save_every', 'save_minutes',
    'keep_checkpoints', 'preview_every', 'n_previews', 'n_samples', 'preview_sampler',
    'preview_steps', 'preview_share', 'precision', 'compile', 'channels_last', 'micro_batch',
    'activation_checkpointing', 'track',
}  # fmt: skip

# The smallest numbers that make sense
AT_LEAST = {
    **dict.fromkeys(('n_steps', 'batch_size', 'log_every', 'save_every', 'preview_every'), 1),
    **dict.fromkeys(('preview_steps', 'keep_checkpoints'), 1),
    **dict.fromkeys(('steps', 'warmup', 'cooldown', 'n_previews', 'n_samples', 'workers'), 0),
    **dict.fromkeys(('n_classes', 'micro_batch', 'save_minutes'), 0),
}
# Beyond every network that there is, and short of what takes hours to refuse
AT_MOST = {
    'n_steps': 10**6, 'n_blocks': 32, 'ch_mults': 1024, 'n_classes': 10**6,
    **dict.fromkeys(('image_size', 'image_channels', 'n_channels', 'n_groups'), 2**16),
}  # fmt: skip


def make_configs(values: Mapping[str, Any]) -> Configs:
    r"""
    A configuration with these values, and the preset `digits` elsewhere.

    Raises `ValueError` for an option that does not exist or a number that makes no sense.
    """
    c = Configs()
    for name, value in values.items():
        if name not in option_types(Configs):
            raise ValueError(nearest(name, list(option_types(Configs)), 'option'))
        check_value(name, value, option_types(Configs)[name], AT_MOST.get(name, math.inf))
        setattr(c, name, value)
    for name, least in AT_LEAST.items():
        if getattr(c, name) < least:
            raise ValueError(f'{name}={getattr(c, name)} must be at least {least}')
    check_seed(c.seed)
    for name, kind in option_types(Configs).items():
        if kind is float and not math.isfinite(getattr(c, name)):
            raise ValueError(f'{name}={getattr(c, name)} is no number: need a finite one')
    if c.schedule not in SCHEDULES:
        raise ValueError(nearest(c.schedule, list(SCHEDULES), 'schedule'))
    if c.preview_sampler not in SAMPLERS:
        raise ValueError(nearest(c.preview_sampler, list(SAMPLERS), 'sampler'))
    check_trackers(c.track)
    check_bad_pictures(c.bad_pictures)
    if not 0 <= c.p_uncond <= 1:
        raise ValueError(f'p_uncond={c.p_uncond:g} is a probability: it must lie in [0, 1]')
    if c.learning_rate <= 0 or c.grad_clip <= 0 or not 0 <= c.dropout < 1:
        raise ValueError(
            f'learning_rate={c.learning_rate:g} and grad_clip={c.grad_clip:g} must be positive, '
            f'dropout={c.dropout:g} in [0, 1)'
        )
    return c


def build(c: Configs, device: torch.device | str = 'cpu') -> DenoiseDiffusion:
    r"""
    The U-Net and the diffusion around it that a configuration describes, with random weights.
    """
    return diffusion_around(network_of(c).to(device), c)


def network_of(c: Configs) -> UNet:
    r"""
    The U-Net of a configuration.
    """
    check_image_size(c.image_size, len(c.ch_mults))
    return UNet(
        c.image_channels, c.n_channels, c.ch_mults, c.is_attn, c.n_blocks,
        dropout=c.dropout, n_groups=c.n_groups, n_classes=c.n_classes or None,
        # Beside the noise, [where the variance lies](../learned_variance.html)
        out_channels=2 * c.image_channels if c.variance == 'learned' else None,
    )  # fmt: skip


def diffusion_around(model: EpsModel, c: Configs) -> DenoiseDiffusion:
    r"""
    The diffusion of a configuration, with its schedule and variance, around a model.
    """
    beta = SCHEDULES[c.schedule](c.n_steps)
    return DenoiseDiffusion(model, c.n_steps, beta=beta, variance=c.variance)


def data_of(c: Configs) -> AnySet:
    r"""
    The images of a configuration. Raises `ValueError` where they have not the classes that the
    model is to be told.
    """
    try:
        dataset = load_dataset(
            c.dataset, c.data_root, c.image_size, c.image_channels,
            bad_pictures=c.bad_pictures, by_class=c.n_classes > 0,
        )  # fmt: skip
    except BadPicture as error:
        hint = 'or leave such pictures out of a new run with --bad_pictures skip'
        raise BadPicture(f'{error}, {hint}') from error
    if c.n_classes:
        check_classes(dataset, c.n_classes)
    return dataset
