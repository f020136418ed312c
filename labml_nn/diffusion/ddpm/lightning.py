r"""
---
title: DDPM as a LightningModule
summary: The same parts for those whose training stack is Lightning.
---

# DDPM as a LightningModule

For those whose training stack is [Lightning](https://lightning.ai), the same parts in its shape:

    pip install 'labml-nn[lightning]'
    python -m labml_nn.diffusion.ddpm.lightning --preset digits --out runs/lightning

or in a program of one's own:

    from labml_nn.diffusion.ddpm.lightning import DDPM, Averaged
    L.Trainer(max_steps=2000, callbacks=[Averaged()]).fit(DDPM(configs), train_dataloaders)

It computes what [our loop](experiment.html) computes: same seed, same losses
[tested](test:diffusion/ddpm/test_lightning.py::test_same_losses_as_our_loop).
"""

import contextlib
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from labml_nn.diffusion.ddpm import EpsModel, running
from labml_nn.diffusion.ddpm.ema import EMA
from labml_nn.diffusion.ddpm.experiment import (
    Configs,
    build,
    check_model,
    configs_of,
    data_of,
    diffusion_around,
    loss_of,
    make_sampler,
    parser,
    share_of_rate,
)
from labml_nn.diffusion.ddpm.unet import UNet
from labml_nn.diffusion.ddpm.utils import ShortChainWarning
from labml_nn.diffusion.guidance import Guided, drop_labels
from labml_nn.helpers import checkpoint
from labml_nn.helpers.datasets import AnySet, batches
from labml_nn.helpers.device import pick_device
from labml_nn.helpers.log import Guests
from labml_nn.helpers.options import option_types, option_values
from labml_nn.helpers.output import command
from labml_nn.helpers.pictures import grid, save_png
from labml_nn.helpers.trackers import NONE
from labml_nn.helpers.vision import vision

# Lightning imports torchvision if there is one, and dies of one that does not fit torch
with contextlib.suppress(ImportError):
    vision()
try:
    import lightning as L
except ImportError as error:
    raise ImportError(
        f"lightning is missing ({error}): pip install 'labml-nn[lightning]'"
    ) from error

# What the loop of Lightning does itself or not at all, and what to use instead
INSTEAD = {
    'precision': "L.Trainer(precision='bf16-mixed')",
    'micro_batch': 'a smaller batch and L.Trainer(accumulate_grad_batches=…)',
    'compile': 'module.unet.compile() before L.Trainer.fit',
    'channels_last': 'module.to(memory_format=torch.channels_last) before L.Trainer.fit',
    'activation_checkpointing': 'labml_nn.helpers.precision.recompute on module.unet',
    'keep_checkpoints': 'ModelCheckpoint(save_top_k=…) among the callbacks of L.Trainer',
    'save_minutes': 'ModelCheckpoint(train_time_interval=…) among the callbacks of L.Trainer',
    'preview_share': 'a larger preview_every',
    'n_samples': 'labml_nn.diffusion.ddpm.evaluate sample on its weights.pt',
}


class DDPM(L.LightningModule):
    r"""
    ## The module

    * `c` the configuration, as [`make_configs`](experiment.html) gives it
    * `n_levels` how many levels a pixel of the data has, which a learned variance needs

    A batch is images in $[-1, 1]$, alone or with labels. The seed of `c` is that of the weights.
    """

    def __init__(self, c: Configs, n_levels: int = 256):
        super().__init__()
        self.c = c
        self.save_hyperparameters(option_values(c))
        checkpoint.seed_everything(c.seed)
        self.diffusion = build(c)
        self.loss = loss_of(self.diffusion, n_levels)

    @property
    def unet(self) -> UNet:
        return self.diffusion.eps_model  # type: ignore[return-value]

    def training_step(self, batch: Any, _: int) -> Tensor:
        x0 = batch[0] if isinstance(batch, Sequence) else batch
        # What the model is told of the classes, if it is told anything
        label = drop_labels(batch[1], self.c.p_uncond) if self.c.n_classes else None
        # All of Algorithm 1 that is no plumbing
        loss = self.loss(x0, label=label)
        self.log('loss', loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> dict[str, Any]:
        c = self.c
        optimizer = torch.optim.Adam(self.diffusion.parameters(), lr=c.learning_rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(share_of_rate, c))
        return {
            'optimizer': optimizer,
            'lr_scheduler': {'scheduler': schedule, 'interval': 'step'},
        }


class Averaged(L.Callback):
    r"""
    ## Averaged weights, and samples from them

    * `out` a folder for sample grids; none are made without one

    The average is kept in Lightning's checkpoints. Grids go to every logger that takes pictures.
    """

    def __init__(self, out: str | Path | None = None):
        self.out = None if out is None else Path(out)
        self.ema: EMA | None = None
        self.kept: Mapping[str, Any] = {}
        self.guests = Guests()

    def on_fit_start(self, trainer: Any, module: DDPM) -> None:
        self.ema = EMA(module.unet, module.c.ema_decay)
        if self.kept:
            self.ema.load_state_dict(self.kept)

    def on_train_batch_end(self, trainer: Any, module: DDPM, *_: Any) -> None:
        assert self.ema is not None
        self.ema.update_parameters(module.unet)
        c, step = module.c, trainer.global_step
        if self.out is not None and c.n_previews and step % c.preview_every == 0:
            self.out.mkdir(parents=True, exist_ok=True)
            with self.guests.welcome('a sample grid', self.out):
                pixels = grid(self.sample(module, c.n_previews))
                save_png(self.out / f'step_{step:07}.png', pixels, {'step': step, 'weights': 'ema'})
                for logger in trainer.loggers:
                    log_picture(logger, pixels, step)

    def sample(self, module: DDPM, n: int, seed: int = 0) -> Tensor:
        r"""
        `n` images from the averaged weights, by the sampler of the previews.
        """
        assert self.ema is not None
        c = module.c
        model: EpsModel = self.ema.module
        if c.n_classes:
            # Each class in turn
            model = Guided(model, torch.arange(n) % c.n_classes)
        averaged = diffusion_around(model, c)
        steps = min(c.preview_steps, c.n_steps)
        sampler = make_sampler(c.preview_sampler, averaged, steps, clip_x0=True)
        return sampler.sample((n, c.image_channels, c.image_size, c.image_size), seed)

    def state_dict(self) -> dict[str, Any]:
        return {} if self.ema is None else self.ema.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.kept = state_dict


def log_picture(logger: Any, pixels: Tensor, step: int) -> None:
    r"""
    A sample grid for TensorBoard or Weights & Biases; the other loggers take none.
    """
    if hasattr(logger, 'log_image'):
        logger.log_image('samples', [pixels.permute(1, 2, 0).numpy()], step=step)
    elif hasattr(logger.experiment, 'add_image'):
        logger.experiment.add_image('samples', pixels, step)


class Batches:
    r"""
    The batches of our loop, for Lightning: one endless epoch from the step that it is at.
    """

    def __init__(self, module: DDPM, dataset: AnySet):
        self.module, self.dataset = module, dataset

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        c, start = self.module.c, self.module.global_step
        return batches(
            self.dataset, c.batch_size, seed=c.seed, start=start, flip=c.flip, n_workers=c.workers
        )


def trainer_of(c: Configs, out: Path) -> Any:
    r"""
    A Lightning trainer that keeps its checkpoints, logs and sample grids in `out`.
    """
    device = pick_device(c.device)
    return L.Trainer(
        default_root_dir=out,
        accelerator={'cuda': 'gpu'}.get(device.type, device.type),
        devices=1 if device.index is None else [device.index],
        max_steps=c.steps,
        gradient_clip_val=c.grad_clip,
        log_every_n_steps=c.log_every,
        callbacks=[
            Averaged(out / 'samples'),
            L.pytorch.callbacks.ModelCheckpoint(
                out, 'step_{step}', save_last=True, every_n_train_steps=c.save_every
            ),
        ],
        logger=loggers_of(c, out),
        enable_model_summary=False,
    )


def loggers_of(c: Configs, out: Path) -> list[Any]:
    r"""
    A CSV file, and TensorBoard if it is among `track`. Raises `ValueError` for others: Lightning
    has loggers of its own for them, with settings of their own.
    """
    others = [name for name in c.track if name not in ('labml', 'tensorboard', *NONE)]
    if others:
        raise ValueError(
            f"track={','.join(others)}: give Lightning's own logger for it to L.Trainer, or train "
            f'with labml_nn.diffusion.ddpm.experiment'
        )
    loggers: list[Any] = [L.pytorch.loggers.CSVLogger(out, name='log')]
    if 'tensorboard' in c.track:
        loggers.append(L.pytorch.loggers.TensorBoardLogger(out, name='tensorboard'))
    return loggers


def refuse_others(given: Mapping[str, Any]) -> None:
    r"""
    A `ValueError` for options that mean nothing here.
    """
    for name, instead in INSTEAD.items():
        if name in given:
            raise ValueError(
                f"{name}={given[name]} is not an option of Lightning's loop: use {instead}, or "
                f'train with labml_nn.diffusion.ddpm.experiment'
            )
    if 'labml' in given.get('track', ()):
        raise ValueError('track=labml: Lightning has no logger for it; use tensorboard or none')


def prepare(arguments: Mapping[str, Any], out: Path) -> tuple[DDPM, Any, AnySet]:
    r"""
    Everything that can go wrong before the first step, with nothing written yet.
    """
    refuse_others({k: v for k, v in arguments.items() if k in option_types(Configs)})
    c, last = configs_of(arguments, None), out / 'last.ckpt'
    if last.exists() and not arguments['resume']:
        raise ValueError(f'{out} holds a run: pass --resume, or choose another --out')
    if arguments['resume'] and not last.exists():
        raise ValueError(f'{out} holds no last.ckpt to resume: leave --resume out')
    if not arguments['resume']:
        running.refuse_used(out)
    check_model(c, pick_device(c.device))
    dataset = data_of(c)
    return DDPM(c, dataset.levels), trainer_of(c, out), dataset


@command
def main(argv: Sequence[str] | None = None) -> int:
    r"""
    The command: options, presets and `--config` are those of [our loop](experiment.html), less
    what Lightning does itself
    [tested](test:diffusion/ddpm/test_lightning.py::test_every_option_is_used_or_refused).

    Lightning's checkpoints are in the folder of the run, and at the end `weights.pt`, which
    `evaluate` samples from. `--resume` goes on from `last.ckpt`.
    """
    arguments = vars(parser().parse(sys.argv[1:] if argv is None else argv))
    out = Path(arguments['out'] or Path('runs', 'lightning'))
    try:
        module, trainer, dataset = prepare(arguments, out)
    except (ValueError, OSError, ImportError, ShortChainWarning) as error:
        if arguments['debug']:
            raise
        print(f'error: {error}', file=sys.stderr)
        return 2
    if arguments['dry_run']:
        print(f'would train {module.c.steps:,} steps on {len(dataset):,} images, in {out}')
        return 0
    ckpt = str(out / 'last.ckpt') if arguments['resume'] else None
    trainer.fit(module, Batches(module, dataset), ckpt_path=ckpt)
    averaged = trainer.callbacks[0]
    checkpoint.save(
        out / 'weights.pt',
        {
            'config': option_values(module.c),
            'step': trainer.global_step,
            'model': module.unet.state_dict(),
            'ema': averaged.ema.module.state_dict(),
        },
    )
    weights = shlex.quote(str(out / 'weights.pt'))
    print(f'sample: python -m labml_nn.diffusion.ddpm.evaluate sample {weights}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
