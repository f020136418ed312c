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

    import lightning as L
    from labml_nn.diffusion.ddpm.configs import PRESETS, make_configs
    from labml_nn.diffusion.ddpm.lightning import DDPM, Averaged
    configs = make_configs(PRESETS['digits'])
    trainer = L.Trainer(
        max_steps=configs.steps, gradient_clip_val=configs.grad_clip, callbacks=[Averaged()]
    )
    trainer.fit(DDPM(configs), train_dataloaders)

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
from torch import Tensor, nn

from labml_nn.cli.messages import wanted
from labml_nn.cli.options import option_types, option_values
from labml_nn.cli.output import command, refused
from labml_nn.compute.device import pick_device, use_threads
from labml_nn.compute.precision import recompute
from labml_nn.data.datasets import AnySet, batches, fingerprint
from labml_nn.data.pictures import grid, save_png
from labml_nn.data.vision import vision
from labml_nn.diffusion.ddpm.configs import (
    NETWORKS,
    PRESETS,
    Configs,
    build,
    data_of,
    steps_of,
)
from labml_nn.diffusion.ddpm.dry_run import NoiseImages, data_to_look_at
from labml_nn.diffusion.ddpm.ema import EMA
from labml_nn.diffusion.ddpm.experiment import (
    check_model,
    configs_of,
    note_preset,
    parser,
    preview_sampler,
)
from labml_nn.diffusion.ddpm.train import condition_of, losses_of, share_of_rate
from labml_nn.diffusion.ddpm.utils import ShortChainWarning
from labml_nn.diffusion.preconditioning import draw_steps
from labml_nn.runs import checkpoint, folder
from labml_nn.runs.lock import Lock
from labml_nn.runs.log import OptionalOutput
from labml_nn.runs.pace import Pace, forecast
from labml_nn.runs.plain import read_plain
from labml_nn.runs.trackers import NONE

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
    'micro_batch': 'a smaller batch_size and L.Trainer(accumulate_grad_batches=4)',
    'compile': 'module.unet.compile() before L.Trainer.fit',
    'channels_last': 'module.to(memory_format=torch.channels_last) before L.Trainer.fit',
    'keep_checkpoints': (
        "ModelCheckpoint(monitor='step', mode='max', save_top_k=3) among the callbacks of L.Trainer"
    ),
    'save_minutes': (
        'ModelCheckpoint(train_time_interval=timedelta(minutes=10)) among the callbacks of '
        'L.Trainer'
    ),
    'preview_share': 'a larger preview_every',
    'n_samples': 'labml_nn.diffusion.ddpm.evaluate sample on its weights.pt',
    **dict.fromkeys(('distill', 'calls', 'teacher'), 'labml_nn.diffusion.ddpm.distill'),
}

# What a run that was killed before its first checkpoint has left
LEFT_BY_KILLED = ('log', 'samples', 'tensorboard')


class DDPM(L.LightningModule):
    r"""
    ## The module

    * `c` the configuration, as [`make_configs`](configs.html) gives it
    * `n_levels` how many levels a pixel of the data has, which a learned variance needs

    A batch is images in $[-1, 1]$, alone or with labels. The seed of `c` is that of the weights.
    """

    def __init__(self, c: Configs, n_levels: int = 256):
        super().__init__()
        self.c = c
        self.save_hyperparameters(option_values(c))
        checkpoint.seed_everything(c.seed)
        self.diffusion, self.share = build(c), steps_of(c)
        self.n_levels = n_levels
        self.data: Mapping[str, Any] = {}  # which images, for whoever resumes
        self.random: Mapping[str, Any] | None = None  # what a checkpoint has of random states

    @property
    def unet(self) -> nn.Module:
        return self.diffusion.eps_model  # type: ignore[return-value]

    def training_step(self, batch: Any, _: int) -> Tensor:
        x0 = batch[0] if isinstance(batch, Sequence) else batch
        label = condition_of(batch[1], self.c) if self.c.n_classes else None
        # All of Algorithm 1 that is no plumbing
        t = draw_steps(len(x0), self.c.n_steps, self.share, x0.device)
        eps = torch.randn_like(x0)
        loss = losses_of(self.diffusion, x0, t, eps, label, self.n_levels)[0].mean()
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

    def on_train_start(self) -> None:
        # The checkpoint has the rate of a run that ended there, and this one may be longer
        share = share_of_rate(self.c, self.global_step)
        for group in self.trainer.optimizers[0].param_groups:
            group['lr'] = self.c.learning_rate * share
        if self.c.activation_checkpointing:  # the average, a copy, is made by now
            block = NETWORKS[self.c.network].block
            recompute(m for m in self.unet.modules() if isinstance(m, block))
        if self.random is not None:
            checkpoint.set_random_states(self.random)

    def on_save_checkpoint(self, state: dict[str, Any]) -> None:
        state.update(data=self.data, random=checkpoint.random_states())

    def on_load_checkpoint(self, state: dict[str, Any]) -> None:
        self.random = state.get('random')


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
        self.guests = OptionalOutput()

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
            with self.guests.attempt('a sample grid', self.out):
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
        sampler = preview_sampler(self.ema.module, c, n)
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


class Rehearsal(L.Callback):
    r"""
    Ends a training when it is known how long a step takes.
    """

    each = 0.0  # seconds
    left = 0  # steps

    def on_train_start(self, trainer: Any, module: DDPM) -> None:
        self.pace = Pace(trainer.global_step, module.device)
        self.left = max(module.c.steps - trainer.global_step, 0)

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        self.each = self.each or self.pace.each(trainer.global_step)
        trainer.should_stop = trainer.should_stop or self.each > 0


def rehearse(module: DDPM, dataset: AnySet, path: Path | None) -> str:
    r"""
    Do a few steps, keep nothing of them, and return the line that says how long all will take.
    """
    rehearsal = Rehearsal()
    trainer = L.Trainer(
        **loop_of(module.c),
        callbacks=[Averaged(), rehearsal],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    trainer.fit(module, Batches(module, dataset), ckpt_path=path and str(path))
    return forecast(rehearsal.each, rehearsal.left, module.device)


def loop_of(c: Configs) -> dict[str, Any]:
    r"""
    What a Lightning trainer is told of the loop: where, how long, and how a step is done.
    """
    device = pick_device(c.device)
    return {
        'accelerator': {'cuda': 'gpu'}.get(device.type, device.type),
        'devices': 1 if device.index is None else [device.index],
        'max_steps': c.steps,
        'gradient_clip_val': c.grad_clip,
        'enable_model_summary': False,
    }


def trainer_of(c: Configs, out: Path) -> Any:
    r"""
    A Lightning trainer that keeps its checkpoints, logs and sample grids in `out`.
    """
    return L.Trainer(
        **loop_of(c),
        default_root_dir=out,
        log_every_n_steps=c.log_every,
        callbacks=[
            Averaged(out / 'samples'),
            L.pytorch.callbacks.ModelCheckpoint(
                out,
                'step_{step}',
                save_last=True,
                every_n_train_steps=c.save_every,
                # Or a folder that was moved gets a `last-v1.ckpt`, from which nobody resumes
                enable_version_counter=False,
            ),
        ],
        logger=loggers_of(c, out),
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


def refuse_others(given: Mapping[str, Any], preset: str) -> None:
    r"""
    A `ValueError` for options that mean nothing here, unless they say what is so anyway: a file
    with all options of a run does.
    """
    usual = option_values(Configs())
    for name, value in given.items():
        if value in (usual[name], PRESETS.get(preset, {}).get(name, usual[name])):
            continue
        if name in INSTEAD:
            raise ValueError(
                f"{name}={value} is not an option of Lightning's loop: use {INSTEAD[name]}, or "
                f'train with labml_nn.diffusion.ddpm.experiment'
            )
        if name == 'track' and 'labml' in value:
            raise ValueError('track=labml: Lightning has no logger for it; use tensorboard or none')


# ## The folder
def newest(out: Path) -> Path | None:
    r"""
    The checkpoint to go on from. A run may be killed between `step_….ckpt` and `last.ckpt`.
    """
    steps = sorted(out.glob('step_*.ckpt'), key=lambda path: path.stat().st_mtime)
    found = [path for path in (out / 'last.ckpt', *reversed(steps)) if path.is_file()]
    return found[0] if found else None


def refuse_used(out: Path) -> None:
    r"""
    A `ValueError` when the folder of a new run holds something already.
    """
    if newest(out) is not None:
        raise ValueError(f'{out} holds a run: pass --resume, or choose another --out')
    folder.refuse_used(out, LEFT_BY_KILLED)


def open_folder(
    out: Path, resume: bool, cleanup: contextlib.ExitStack, *, look_only: bool
) -> dict[str, Any] | None:
    r"""
    What [our loop](experiment.html) has to know of the run in `out`, which is locked from now on;
    `None` for a new run.
    """
    if not resume:
        refuse_used(out)
        return None
    path = newest(out)
    if path is None:
        raise ValueError(f'{out} holds no last.ckpt to resume: leave --resume out')
    if not look_only:
        cleanup.callback(Lock(out).release)
    # Looked at before Lightning does, whose reader runs what it finds
    state = read_plain(path, 'remove it, to go on from the step_….ckpt beside it')
    return {
        'config': wanted(state, 'hyper_parameters', dict, path),
        'step': wanted(state, 'global_step', int, path),
        'data': state.get('data', {}),
        'path': path,
    }


def prepare(
    arguments: Mapping[str, Any], out: Path, cleanup: contextlib.ExitStack
) -> tuple[DDPM, Any, AnySet, Path | None]:
    r"""
    Everything that can go wrong before the first step, with nothing written yet; in the end the
    checkpoint to go on from.

    * `cleanup` what has to be given back in the end: the lock on the folder
    """
    given = {k: v for k, v in arguments.items() if k in option_types(Configs)}
    refuse_others(given, arguments['preset'] or 'digits')
    if arguments['init']:
        raise ValueError(
            '--init is an option of labml_nn.diffusion.ddpm.experiment: train with that'
        )
    state = open_folder(out, arguments['resume'], cleanup, look_only=arguments['dry_run'])
    c = configs_of(arguments, state)
    if state is not None and arguments['preset']:
        note_preset(c, arguments['preset'])
    check_model(c, pick_device(c.device))
    use_threads(c.threads)
    dataset = data_to_look_at(c) if arguments['dry_run'] else data_of(c)
    if isinstance(dataset, NoiseImages):
        print(f'  images  made-up ones: {dataset.reason}')
    elif state is not None:
        folder.refuse_other_data(dataset, state['data'])
    module = DDPM(c, dataset.levels)
    module.data = fingerprint(dataset)
    return module, trainer_of(c, out), dataset, None if state is None else state['path']


def start_folder(out: Path, cleanup: contextlib.ExitStack) -> None:
    r"""
    Make the folder of a new run, and lock it.
    """
    out.mkdir(parents=True, exist_ok=True)
    cleanup.callback(Lock(out).release)
    # Somebody may have come first, and be gone again
    refuse_used(out)


@command
def main(argv: Sequence[str] | None = None) -> int:
    r"""
    The command: options, presets and `--config` are those of [our loop](experiment.html), less
    what Lightning does itself
    [tested](test:diffusion/ddpm/test_lightning.py::test_every_option_is_used_or_refused).

    Lightning's checkpoints are in the folder of the run, and at the end `weights.pt`, which
    `evaluate` samples from. `--resume` goes on from `last.ckpt` with the options of the run, by the
    rules of our loop
    [tested](test:diffusion/ddpm/test_lightning.py::test_resumed_is_as_if_never_stopped).
    """
    arguments = vars(parser().parse(sys.argv[1:] if argv is None else argv))
    out = Path(arguments['out'] or Path('runs', 'lightning'))
    with contextlib.ExitStack() as cleanup:
        try:
            module, trainer, dataset, path = prepare(arguments, out, cleanup)
            if arguments['dry_run']:
                print(f'would train {module.c.steps:,} steps on {len(dataset):,} images, in {out}')
                print(rehearse(module, dataset, path))
                return 0
            if path is None:
                start_folder(out, cleanup)
        except (ValueError, OSError, ImportError, ShortChainWarning) as error:
            return refused(error, debug=arguments['debug'])
        trainer.fit(module, Batches(module, dataset), ckpt_path=path and str(path))
        finish(module, trainer, out)
    return 0


def finish(module: DDPM, trainer: Any, out: Path) -> None:
    r"""
    The last checkpoint, whether or not the last step was one of those that save, and the weights.
    """
    trainer.save_checkpoint(out / 'last.ckpt')
    checkpoint.save(
        out / 'weights.pt',
        {
            'config': option_values(module.c),
            'step': trainer.global_step,
            'model': module.unet.state_dict(),
            'ema': trainer.callbacks[0].ema.module.state_dict(),
        },
    )
    weights = shlex.quote(str(out / 'weights.pt'))
    print(f'sample: python -m labml_nn.diffusion.ddpm.evaluate sample {weights}')


if __name__ == '__main__':
    sys.exit(main())
