r"""
---
title: Train a DDPM
summary: Algorithm 1, its configuration, the presets of the paper, and the command line.
---

# Train a DDPM

    python -m labml_nn.diffusion.ddpm.experiment

trains on real handwritten digits, which need no download, in about two minutes on two CPU cores,
and leaves everything in `runs/digits`. Other presets, other data:

    python -m labml_nn.diffusion.ddpm.experiment --preset cifar10
    python -m labml_nn.diffusion.ddpm.experiment --preset cifar10 --dataset folder \
        --data_root my_pictures --out runs/mine

Every option of a preset can be given by its name, or in a file (`--config run.yaml`); `--help`
lists them, `--dry-run` shows what would be done. Ctrl-C or SIGTERM stops after the step at hand and
saves; `--resume` goes on from there.

> **Is it working?** Look at the sample grids: they are made from the same noise each time. The
> loss starts at 1 (a guess of zero), falls fast, and then hardly moves while the pictures still
> improve. If it stays near 1, the network learns nothing: try a lower learning rate. To test code
> of your own, give it a single batch; the loss will not reach zero even there, as the noise is new
> at every step.

> **How long?** In steps, not epochs: every step draws new noise and new $t$, so one epoch more or
> less means little. The paper's CIFAR-10 run is 800,000 steps of 128 images, 2,048 epochs.
"""

import contextlib
import math
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from inspect import signature
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from labml import monit
from labml.configs import BaseConfigs
from torch import Tensor

from labml_nn.diffusion.ddpm import DenoiseDiffusion, EpsModel
from labml_nn.diffusion.ddpm.ema import EMA
from labml_nn.diffusion.ddpm.unet import UNet, check_image_size
from labml_nn.diffusion.ddpm.utils import ShortChainWarning
from labml_nn.diffusion.guidance import Guided, drop_labels
from labml_nn.diffusion.learned_variance import hybrid_loss
from labml_nn.diffusion.samplers import DEFAULT_STEPS, SAMPLERS, ReverseSampler
from labml_nn.diffusion.schedules import SCHEDULES
from labml_nn.helpers import checkpoint
from labml_nn.helpers.datasets import AnySet, batches, check_classes, load_dataset
from labml_nn.helpers.device import describe, pick_device
from labml_nn.helpers.log import append_row, drop_rows_after, plot_loss
from labml_nn.helpers.options import Parser, add_options, nearest, option_types, option_values
from labml_nn.helpers.pictures import grid, save_png
from labml_nn.helpers.progress import Progress, clock
from labml_nn.helpers.trackers import Track, check_trackers, tracked


class Configs(BaseConfigs):
    r"""
    ## Configuration

    One line an option: its name, its type, its value in the preset `digits`, and what it means.
    """

    dataset: str = 'digits'  # digits, mnist, fashion_mnist, cifar10, celeba or folder
    data_root: str = 'data'  # where archives are or go; for folder, the pictures
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
    preview_every: int = 500  # steps between sample grids, from one noise (and 1/8, 1/4, 1/2 of it)
    n_previews: int = 16  # images in a sample grid
    n_samples: int = 64  # images in samples.png, at the end
    preview_sampler: str = 'dpm'  # how they and the last samples are made: ddpm, ddim, pndm, dpm
    preview_steps: int = 20  # steps of that sampler
    preview_share: float = 0.2  # previews are skipped beyond this share of the run's time
    device: str = 'auto'  # auto, cpu, cuda, cuda:1 … or mps
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
    'steps', 'device', 'workers', 'data_root', 'log_every', 'save_every', 'preview_every',
    'n_previews', 'n_samples', 'preview_sampler', 'preview_steps', 'preview_share', 'track',
}  # fmt: skip

# The smallest numbers that make sense
AT_LEAST = {
    **dict.fromkeys(('n_steps', 'batch_size', 'log_every', 'save_every', 'preview_every'), 1),
    'preview_steps': 1,
    **dict.fromkeys(
        ('steps', 'warmup', 'cooldown', 'n_classes', 'n_previews', 'n_samples', 'workers'), 0
    ),
}


def make_configs(values: Mapping[str, Any]) -> Configs:
    r"""
    A configuration with these values, and the preset `digits` elsewhere.

    Raises `ValueError` for an option that does not exist or a number that makes no sense.
    """
    c = Configs()
    for name, value in values.items():
        if name not in option_types(Configs):
            raise ValueError(nearest(name, list(option_types(Configs)), 'option'))
        setattr(c, name, value)
    for name, least in AT_LEAST.items():
        if getattr(c, name) < least:
            raise ValueError(f'{name}={getattr(c, name)} must be at least {least}')
    if c.schedule not in SCHEDULES:
        raise ValueError(nearest(c.schedule, list(SCHEDULES), 'schedule'))
    if c.preview_sampler not in SAMPLERS:
        raise ValueError(nearest(c.preview_sampler, list(SAMPLERS), 'sampler'))
    check_trackers(c.track)
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
    check_image_size(c.image_size, len(c.ch_mults))
    model = UNet(
        c.image_channels, c.n_channels, c.ch_mults, c.is_attn, c.n_blocks,
        dropout=c.dropout, n_groups=c.n_groups, n_classes=c.n_classes or None,
        # Beside the noise, [where the variance lies](../learned_variance.html)
        out_channels=2 * c.image_channels if c.variance == 'learned' else None,
    )  # fmt: skip
    return diffusion_around(model.to(device), c)


def diffusion_around(model: EpsModel, c: Configs) -> DenoiseDiffusion:
    r"""
    The diffusion of a configuration, with its schedule and variance, around a model.
    """
    beta = SCHEDULES[c.schedule](c.n_steps)
    return DenoiseDiffusion(model, c.n_steps, beta=beta, variance=c.variance)


def loss_of(diffusion: DenoiseDiffusion, n_levels: int) -> Callable[..., Tensor]:
    r"""
    What is trained: the simple loss, or [the hybrid](../learned_variance.html) of a learned
    variance.

    * `n_levels` how many levels a pixel of the data has
    """
    if diffusion.variance == 'learned':
        return partial(hybrid_loss, diffusion, n_levels=n_levels, check_range=False)
    return partial(diffusion.loss, check_range=False)


def make_sampler(
    name: str, diffusion: DenoiseDiffusion, steps: int | None = None, **options: Any
) -> ReverseSampler:
    r"""
    The [sampler](../samplers/index.html) of that name.

    * `steps` how many; when not given, all for `ddpm` and 20 for the others
    * `options` its own, such as `eta`

    Raises `ValueError` with the nearest name for a sampler or an option that does not exist.
    """
    if name not in SAMPLERS:
        raise ValueError(nearest(name, list(SAMPLERS), 'sampler'))
    known = [k for k in signature(SAMPLERS[name]).parameters if k not in ('diffusion', 'n_steps')]
    for option in options:
        if option not in known:
            raise ValueError(nearest(option, known, f'option of the sampler {name}:'))
    if steps is None:
        T = diffusion.n_steps
        steps = T if name == 'ddpm' else min(DEFAULT_STEPS, T)
    return SAMPLERS[name](diffusion, steps, **options)


class Trainer:
    r"""
    ## A training run

    * `c` the configuration
    * `out` the folder of the run
    * `dataset` the images

    The state of a run is its step, the raw weights, the averaged weights and the optimizer's state,
    and the random states; the data needs none, as a batch follows from the seed and the step.
    """

    def __init__(self, c: Configs, out: Path, dataset: AnySet, device: torch.device):
        self.c, self.out, self.dataset, self.device = c, out, dataset, device
        checkpoint.seed_everything(c.seed)
        self.diffusion = build(c, device)
        self.model: UNet = self.diffusion.eps_model  # type: ignore[assignment]
        self.loss = loss_of(self.diffusion, dataset.levels)
        self.ema = EMA(self.model, c.ema_decay)
        # Fused: one kernel for all weights, where the device has one
        fused = device.type in ('cpu', 'cuda')
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=c.learning_rate, fused=fused)
        self.step = 0  # steps done
        self.stop_signal: int | None = None
        self.track: Track = lambda step, values: None
        self.losses: list[Tensor] = []  # since the last row of the log, on the device
        self.log_time = self.preview_seconds = 0.0
        self.note = ''  # of the progress bar
        # The first grids come early, as most is learned then, and the last is of the whole training
        self.extra_previews = {c.preview_every // k for k in (8, 4, 2)} | {c.steps}

    def train(self, progress: Progress) -> None:
        r"""
        ### Algorithm 1
        """
        c = self.c
        self.model.train()
        self.began = self.log_time = time.monotonic()
        data = batches(
            self.dataset, c.batch_size, seed=c.seed, start=self.step, flip=c.flip,
            device=self.device, n_workers=c.workers,
        )  # fmt: skip
        # **repeat** until $\nabla_\theta$ has been followed `steps` times, or somebody says stop
        while self.step < c.steps and self.stop_signal is None:
            # $x_0, c \sim q(x_0, c)$
            x0, label = next(data)
            # $t \sim \text{Uniform}(\{1, \dots, T\})$,
            # $\epsilon \sim \mathcal N(\mathbf 0, \mathbf I)$,
            # $\big\|\epsilon - \epsilon_\theta(
            # \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\epsilon, t)\big\|^2$
            loss = self.loss(x0, label=self.told(label))
            # Take a gradient step, no longer than `grad_clip`: a batch of unlucky $t$ can have a
            # gradient many times the usual, and Adam would remember it for a thousand steps
            self.optimizer.zero_grad()
            loss.backward()
            grad_norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), c.grad_clip)
            self.set_learning_rate()
            self.optimizer.step()
            self.ema.update_parameters(self.model)
            self.step += 1

            self.losses.append(loss.detach())
            if self.step % c.log_every == 0 or self.step == c.steps:
                self.note = self.log(grad_norm)
            progress.update(self.step, self.note)
            if self.step % c.save_every == 0 or self.step == c.steps:
                self.save()
            if self.step % c.preview_every == 0 or self.step in self.extra_previews:
                self.preview()

    def told(self, label: Tensor) -> Tensor | None:
        r"""
        What the model is told of the classes: nothing, or [all but some of them](../guidance.html).
        """
        return drop_labels(label, self.c.p_uncond) if self.c.n_classes else None

    def set_learning_rate(self) -> None:
        r"""
        The learning rate grows in a straight line for `warmup` steps, because Adam divides by a
        running mean of squared gradients that knows nothing at first, and stays.

        > **Departure.** A short run gains from letting it fall to zero over the last `cooldown`
        > steps; the paper's runs, of hundreds of thousands, have the average of the weights for
        > that, and no cool-down.
        """
        c = self.c
        share = min(
            1.0, (self.step + 1) / max(c.warmup, 1), (c.steps - self.step) / max(c.cooldown, 1)
        )
        for group in self.optimizer.param_groups:
            group['lr'] = self.c.learning_rate * share

    def log(self, grad_norm: Tensor) -> str:
        r"""
        A row for `log.csv` and for the trackers; returns what the progress bar says.

        Only here does the CPU wait for the device. Raises `FloatingPointError` for a loss that is
        not a number, before anything spoiled is saved.
        """
        loss = float(torch.stack(self.losses).mean())
        now = time.monotonic()
        row = {
            'step': self.step,
            'loss': loss,
            'grad_norm': float(grad_norm),
            'learning_rate': self.optimizer.param_groups[0]['lr'],
            'images_per_second': len(self.losses) * self.c.batch_size / (now - self.log_time),
        }
        self.losses, self.log_time = [], now
        if not (math.isfinite(loss) and math.isfinite(row['grad_norm'])):
            raise FloatingPointError(
                f'the loss became {loss} (gradient norm {row["grad_norm"]}) by step {self.step:,}: '
                f'try half the learning rate ({self.c.learning_rate / 2:g}) and look at the data. '
                f'What was saved last is still good'
            )
        append_row(self.out / 'log.csv', row)
        self.track(self.step, {k: v for k, v in row.items() if k != 'step'})
        return f'loss {loss:.4f} (all-zero guess: 1)'

    def preview(self) -> None:
        r"""
        A grid of samples from the averaged weights and **the same noise each time**, so that the
        grids of a run show one set of pictures getting better.

        Skipped once previews have taken `preview_share` of the time; training is the same without.
        """
        c, began = self.c, time.monotonic()
        if c.n_previews and self.preview_seconds <= c.preview_share * (began - self.began):
            images = self.sample(c.n_previews)
            if images is not None:
                path = self.out / 'samples' / f'step_{self.step:07}.png'
                path.parent.mkdir(exist_ok=True)
                pixels = grid(images)
                save_png(path, pixels, {'step': self.step, 'seed': 0, 'weights': 'ema'})
                self.track(self.step, {'samples': pixels})
            self.preview_seconds += time.monotonic() - began
            self.log_time += time.monotonic() - began  # no part of the training speed

    def sample(self, n: int, progress: Progress | None = None) -> Tensor | None:
        r"""
        `n` images from the averaged weights; `None` when a signal came in between.
        """
        c = self.c
        model: EpsModel = self.ema.module
        if c.n_classes:
            # Each class in turn
            model = Guided(model, torch.arange(n) % c.n_classes)
        averaged = diffusion_around(model, c)
        steps = min(c.preview_steps, c.n_steps)
        sampler = make_sampler(c.preview_sampler, averaged, steps, clip_x0=True)
        start = sampler.start((n, c.image_channels, c.image_size, c.image_size), seed=0)
        for done, (_, x, _) in enumerate(sampler.chain(*start), 1):
            if self.stop_signal is not None:
                return None
            if progress is not None:
                progress.update(done)
        return x

    def state(self) -> dict[str, Any]:
        r"""
        ### What a checkpoint holds
        """
        return {
            'config': option_values(self.c),
            'step': self.step,
            'model': self.model.state_dict(),
            'ema': self.ema.module.state_dict(),
            'ema_updates': int(self.ema.n_averaged),
            'optimizer': self.optimizer.state_dict(),
            'random': checkpoint.random_states(),
            'versions': checkpoint.versions(),
        }

    def save(self) -> None:
        r"""
        Write the checkpoint, and the curve of the loss so far.
        """
        checkpoint.save(self.out / checkpoint.FILE_NAME, self.state())
        if self.step:
            plot_loss(self.out / 'log.csv', self.out / 'loss.png')

    def restore(self, state: Mapping[str, Any]) -> None:
        r"""
        Go on from a checkpoint.
        """
        source = self.out / checkpoint.FILE_NAME
        checkpoint.load_weights(self.model, state['model'], source)
        checkpoint.load_weights(self.ema.module, state['ema'], source)
        self.ema.n_averaged.fill_(state['ema_updates'])
        self.optimizer.load_state_dict(state['optimizer'])
        self.step = state['step']
        checkpoint.set_random_states(state['random'])

    @contextlib.contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        r"""
        Ctrl-C and SIGTERM stop the run *after the step at hand*; a second Ctrl-C stops it now.
        """

        def stop(number: int, _: FrameType | None) -> None:
            if self.stop_signal is not None:
                raise KeyboardInterrupt
            self.stop_signal = number

        before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


# ## Command line
def parser() -> Parser:
    r"""
    The options of the command line, made from `Configs`.
    """
    p = Parser(
        prog='python -m labml_nn.diffusion.ddpm.experiment',
        description='Train a DDPM. Every option of the preset can be given by its name.',
        epilog='presets: ' + ', '.join(PRESETS),
    )
    p.add_argument('--preset', default='digits', help='where the options start from (digits)')
    p.add_argument('--out', type=Path, help='folder of the run (runs/PRESET)')
    p.add_argument('--resume', action='store_true', help='go on with the run in that folder')
    p.add_argument('--dry-run', action='store_true', help='say what would be done, write nothing')
    p.add_argument('--debug', action='store_true', help='show where an error came from')
    add_options(p, Configs, option_values(Configs()))
    return p


def configs_of(arguments: Mapping[str, Any], state: Mapping[str, Any] | None) -> Configs:
    r"""
    The configuration that the command line asks for, or, to resume, that the checkpoint holds.

    Raises `ValueError` for an unknown preset, and for options that a resumed run cannot change.
    """
    preset = arguments['preset']
    if preset not in PRESETS:
        raise ValueError(nearest(preset, list(PRESETS), 'preset'))
    given = {k: v for k, v in arguments.items() if k in option_types(Configs)}
    if state is None:
        return make_configs({**PRESETS[preset], **given})
    kept = state['config']
    changed = [
        f'{k}={v} (the run has {kept.get(k)})'
        for k, v in given.items()
        if k not in FREE_ON_RESUME and v != kept.get(k)
    ]
    if changed:
        raise ValueError(
            f'a resumed run cannot change {", ".join(changed)}: leave that out, or start another '
            f'run with another --out'
        )
    return make_configs({**kept, **given})


def refuse_used(out: Path) -> None:
    r"""
    A `ValueError` when the folder of a new run holds something already.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f'{out.absolute()} is a file: choose another --out')
    if (out / checkpoint.FILE_NAME).exists():
        step = checkpoint.load(out)['step']
        raise ValueError(
            f'{out} already holds a run (step {step:,}): pass --resume to go on with it, or '
            f'choose another --out'
        )
    if out.exists() and any(out.iterdir()):
        raise ValueError(f'{out.absolute()} is not empty and holds no run: choose another --out')


def prepare(arguments: Mapping[str, Any], out: Path) -> Trainer:
    r"""
    Everything that can go wrong before the first step, with nothing written yet.
    """
    state = None
    if arguments['resume']:
        state = checkpoint.load(out)
    else:
        refuse_used(out)
    c = configs_of(arguments, state)
    device = pick_device(c.device)
    check_image_size(c.image_size, len(c.ch_mults))
    with warnings.catch_warnings():
        # A chain that cannot be sampled from is not worth hours of training
        warnings.simplefilter('error', ShortChainWarning)
        build(c)
    # labml rewrites its line in place, which a log file does not want
    with monit.section(f'Read {c.dataset}', is_silent=not sys.stdout.isatty()):
        dataset = load_dataset(c.dataset, c.data_root, c.image_size, c.image_channels)
    if c.n_classes:
        check_classes(dataset, c.n_classes)
    trainer = Trainer(c, out, dataset, device)
    if state is not None:
        trainer.restore(state)
    return trainer


def announce(trainer: Trainer) -> None:
    r"""
    What is going to be trained on what, for how long.
    """
    c, n = trainer.c, len(trainer.dataset)
    n_parameters = sum(p.numel() for p in trainer.model.parameters())
    views = c.steps * c.batch_size / n
    print(f'  images  {n:,} of {c.dataset}, {c.image_size}×{c.image_size}×{c.image_channels}')
    classes = f', {c.n_classes} classes' if c.n_classes else ''
    print(f'  model   U-Net with {n_parameters:,} parameters, T = {c.n_steps}{classes}')
    print(f'  steps   {c.steps:,} of {c.batch_size} images: each image {views:,.0f} times')
    print(f'  device  {describe(trainer.device)}')
    if n < 1000:
        print(f'  note    {n:,} images are few: samples will be near copies of them')


def what_next(out: Path) -> str:
    r"""
    The commands that a run leaves its owner with; its first and its last lines.
    """
    command = 'python -m labml_nn.diffusion.ddpm'
    return (
        f'  sample    {command}.evaluate sample {out}\n'
        f'  resume    {command}.experiment --out {out} --resume\n'
        f'  your own  {command}.experiment --preset cifar10 --dataset folder '
        f'--data_root PICTURES --out runs/mine'
    )


def run(trainer: Trainer) -> int:
    r"""
    Train, sample once more at the end, and say where everything is. Returns the exit status.
    """
    c, out, began = trainer.c, trainer.out, time.monotonic()
    progress = Progress(c.steps, trainer.step)
    with tracked(c.track, out, c, trainer.step) as trainer.track, trainer.stopped_by_signals():
        try:
            trainer.train(progress)
            progress.close()
            if trainer.stop_signal is None:
                finish(trainer)
        except FloatingPointError as error:
            progress.close()
            print(f'error: {error}\nthe run is in {out.absolute()}', file=sys.stderr)
            return 1
        except Exception:
            progress.close()
            # The weights are those of the last whole step, whatever went wrong in this one
            trainer.save()
            print(f'saved step {trainer.step:,} in {out.absolute()}', file=sys.stderr)
            raise
        if trainer.stop_signal is not None:
            trainer.save()
            name = signal.Signals(trainer.stop_signal).name
            print(f'{name}: stopped at step {trainer.step:,}, saved in {out.absolute()}')
            print(what_next(out))
            return 128 + trainer.stop_signal
    print(f'done in {clock(time.monotonic() - began)}: the run is in {out.absolute()}')
    print(what_next(out))
    return 0


def finish(trainer: Trainer) -> None:
    r"""
    Samples of the averaged weights, in `samples.png`.
    """
    c = trainer.c
    if not c.n_samples:
        return
    bar = Progress(min(c.preview_steps, c.n_steps))
    images = trainer.sample(c.n_samples, bar)
    bar.close()
    if images is not None:
        about = {'step': trainer.step, 'seed': 0, 'weights': 'ema', 'sampler': c.preview_sampler}
        save_png(trainer.out / 'samples.png', grid(images), about)


def main(argv: Sequence[str] | None = None) -> int:
    r"""
    The command. Exit status: 0 done, 1 the run failed, 2 bad input found at the door, and 128 plus
    the signal's number when one has stopped it.
    """
    arguments = vars(parser().parse(sys.argv[1:] if argv is None else argv))
    out = Path(arguments['out'] or Path('runs', arguments['preset']))
    try:
        trainer = prepare(arguments, out)
        print(f'{"" if arguments["resume"] else "new "}run in {out.absolute()}')
        print(what_next(out))
        announce(trainer)
        if arguments['dry_run']:
            return 0
        if arguments['resume'] and trainer.step >= trainer.c.steps:
            print(f'all {trainer.step:,} steps are done: give more with --steps')
            return 0
        start_folder(trainer)
    except (ValueError, OSError, ImportError, ShortChainWarning) as error:
        if arguments['debug']:
            raise
        print(f'error: {error}', file=sys.stderr)
        return 2
    try:
        return run(trainer)
    except KeyboardInterrupt:
        print(f'\ngiven up at step {trainer.step:,}; what was saved before is in {out.absolute()}')
        return 130
    except Exception:
        traceback.print_exc()
        return 1


def start_folder(trainer: Trainer) -> None:
    r"""
    Make the folder and write the first checkpoint: a full disk shows now, not after a night.
    """
    is_new = not trainer.out.exists()
    try:
        trainer.out.mkdir(parents=True, exist_ok=True)
        # Rows beyond the checkpoint are of steps that will be done again
        drop_rows_after(trainer.out / 'log.csv', trainer.step)
        trainer.save()
    except OSError:
        if is_new:
            shutil.rmtree(trainer.out, ignore_errors=True)
        raise


if __name__ == '__main__':
    sys.exit(main())
