r"""
---
title: A run from beginning to end
summary: What surrounds the training loop, and what a run survives, tried out fault by fault.
---

# A run from beginning to end

What surrounds the loop of [training](experiment.html): the folder, what is said, and what happens
when something goes wrong. Whatever it is, the message says what, and the state after the last whole
step is saved if there is any way to.

## What a run survives

`make faults` kills runs, fills their disks and damages their files, resumes them, and compares them
to the bit with a run that nothing has happened to: [the table](faults.html) says how often it was
survived and how many steps it cost
[tested](test:test_faults.py::test_the_whole_is_a_success). A killed process of several is
[another matter](../../compute/distributed.html).
"""

import contextlib
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from labml_nn.cli.messages import first_line, shown, wanted
from labml_nn.cli.progress import Progress, clock
from labml_nn.compute.descent import halves, is_out_of_memory, largest_that_fits
from labml_nn.compute.device import describe
from labml_nn.compute.distributed import World, is_lost_contact
from labml_nn.data.datasets import AnySet, fingerprint
from labml_nn.data.decode import BadPicture
from labml_nn.data.files import is_full_disk
from labml_nn.data.pictures import grid, save_png
from labml_nn.diffusion.ddpm.configs import losses_of
from labml_nn.runs import checkpoint
from labml_nn.runs.lock import FILE_NAME as LOCK_NAME
from labml_nn.runs.lock import Lock
from labml_nn.runs.log import COLUMNS, Window, cut_log
from labml_nn.runs.safetensors import save_file
from labml_nn.runs.trackers import tracked

if TYPE_CHECKING:
    from labml_nn.diffusion.ddpm.experiment import Trainer

# How often processes that decode pictures may die before that is no accident any more
WORKER_DEATHS = 3

# What a checkpoint of any version has, if it is one of a training run
NEEDED = ('config', 'step', 'model', 'ema', 'ema_updates', 'optimizer')


# ## The folder
def open_folder(
    out: Path, resume: bool, held: contextlib.ExitStack, *, look_only: bool = False
) -> dict[str, Any] | None:
    r"""
    The state of the run in `out`, which is locked from now on; `None` for a new run.

    Raises `ValueError` or `FileNotFoundError` when there is none to resume, or one where a new one
    is to be.
    """
    if not resume:
        refuse_used(out)
        return None
    checkpoint.find(out)
    if not look_only:
        held.callback(Lock(out).release)
    state = checkpoint.load(out)
    missing = [name for name in NEEDED if name not in state]
    if missing:
        raise ValueError(
            f'{out} cannot be gone on with: its checkpoint has no {", ".join(missing)}. It can be '
            f'sampled from; to train, begin a new run with another --out'
        )
    if not look_only:
        checkpoint.put_away_damaged(out / checkpoint.FILE_NAME)
    return state


def refuse_used(out: Path, left: Sequence[str] = ()) -> None:
    r"""
    A `ValueError` when the folder of a new run holds something already.

    * `left` names of what else a run leaves that was killed before its first checkpoint
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f'{out.absolute()} is a file: choose another --out')
    if checkpoint.exists(out):
        step = wanted(checkpoint.load(out), 'step', int, out)
        raise ValueError(
            f'{out} already holds a run (step {step:,}): pass --resume to go on with it, or '
            f'choose another --out'
        )
    # What a run that was killed before its first checkpoint has left does not count
    ours = (LOCK_NAME, f'.{checkpoint.FILE_NAME}.')
    names = [p.name for p in out.iterdir()] if out.exists() else []
    if any(not name.startswith(ours) and name not in left for name in names):
        raise ValueError(f'{out.absolute()} is not empty and holds no run: choose another --out')


def start_folder(trainer: 'Trainer', held: contextlib.ExitStack) -> None:
    r"""
    Make the folder and write the first checkpoint: a full disk shows now, not after a night.
    """
    out, step, every = trainer.out, trainer.step, trainer.c.log_every
    if not trainer.world.is_first:
        return trainer.save()
    is_new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    if trainer.saved_step < 0:
        held.callback(Lock(out).release)
        # Somebody may have come first, and be gone again
        refuse_used(out)
    try:
        # Rows beyond the checkpoint are of steps that will be done again, and one of a last step
        # between two rows is of a window that goes on
        cut_log(out / 'log.csv', lambda s: s < step or (s == step and s % every == 0), COLUMNS)
        trainer.save()
    except (OSError, KeyboardInterrupt):
        if is_new:
            shutil.rmtree(out, ignore_errors=True)
        raise


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


def kept_options(state: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    r"""
    The options of the run that a checkpoint is of; `defaults` for those that its version of the
    package did not have.

    Raises `ValueError` for options that this version does not have.
    """
    config = wanted(state, 'config', Mapping, 'the checkpoint')
    unknown = [f'{k}={shown(v)}' for k, v in config.items() if k not in defaults]
    if unknown:
        raise ValueError(
            f'the run has options that this version does not know: {", ".join(unknown)}. Go on '
            f'with the version that began it, or update: pip install -U labml-nn'
        )
    return {**defaults, **config}


@contextlib.contextmanager
def part_of(source: Path, name: str) -> Iterator[None]:
    r"""
    Inside this block any error is a `ValueError` that names the part of a checkpoint: a file of a
    stranger, with a checksum that is right, may hold anything in any place
    [tested](test:diffusion/ddpm/test_resume.py::test_a_part_that_no_run_leaves_is_named).
    """
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ValueError(
            f'{source.absolute()} cannot be gone on with: its {name} is not what a run leaves '
            f'({type(error).__name__}: {first_line(error)}). Take an older copy, or '
            f'begin a new run with another --out'
        ) from error


def check_numbers(state: Mapping[str, Any], source: Path) -> None:
    r"""
    A `ValueError` unless the counts of a checkpoint can be some, and its weights are numbers.
    """
    for name in ('step', 'ema_updates'):
        if not 0 <= wanted(state, name, int, source) < 2**40:
            raise ValueError(f'{source} has {name}={shown(state[name])}, which no run has')
    for name in ('model', 'ema'):
        if not all(bool(torch.isfinite(w).all()) for w in state[name].values()):
            raise ValueError(
                f'{source} has weights that are no numbers in its {name}: take an older copy, as '
                f'checkpoint.1.pt beside it'
            )


def own_part(state: Mapping[str, Any], world: World) -> Mapping[str, Any]:
    r"""
    What a process takes of a checkpoint for itself: its random states, and its sums for the log.

    Says what is not exact when there are more or fewer processes than there were.
    """
    parts = [state, *state.get('others', [])]
    if len(parts) == world.size:
        return parts[world.rank]
    own = {}
    if 'log' in state:
        own['log'] = Window.handed_over([p['log'] for p in parts], is_first=world.is_first)
    if world.is_first:
        own['random'] = state['random']
        print(
            f'note: the run had {len(parts)} processes and has {world.size} now. Weights, average, '
            f'optimizer and the order of the data go on; noise, dropout and flips are not those '
            f'that it would have had',
            file=sys.stderr,
        )
    return own


def refuse_other_data(dataset: AnySet, kept: Mapping[str, Any]) -> None:
    r"""
    A `ValueError` unless the data is what the run began with.
    """
    # As text: a file of a stranger may have a tensor there, which compares with nothing
    changed = [f'{k}={v} (the run has {kept[k]})' for k, v in fingerprint(dataset).items()
               if repr(kept.get(k, v)) != repr(v)]  # fmt: skip
    if changed:
        raise ValueError(
            f'the data of {dataset.name} has changed since the run began: {", ".join(changed)}. '
            f'Put back what there was, or start another run with another --out'
        )


# ## What is said
def announce(trainer: 'Trainer') -> None:
    r"""
    Where the run is, and what is going to be trained on what, for how long.
    """
    c, n, size = trainer.c, len(trainer.dataset), trainer.world.size
    if not trainer.world.is_first:
        return
    n_parameters = sum(p.numel() for p in trainer.model.parameters())
    views = c.steps * c.batch_size / n
    each = f' ({c.batch_size // size} in each of {size} processes)' if size > 1 else ''
    how = [describe(trainer.device), trainer.precision, *['compiled'] * c.compile]
    if trainer.micro_batch < c.batch_size // size:
        how.append(f'{trainer.micro_batch} images at a time')
    print(f'{"new " * (trainer.saved_step < 0)}run in {trainer.out.absolute()}')
    print(what_next(trainer.out))
    print(f'  images  {n:,} of {c.dataset}, {c.image_size}×{c.image_size}×{c.image_channels}')
    if skipped := len(trainer.dataset.skipped):
        print(f'  skipped {skipped:,} of {n + skipped:,} pictures, which cannot be read:')
        for path in trainer.dataset.skipped:  # the name may be none in UTF-8
            print(f'    {os.fsencode(path).decode("utf-8", "backslashreplace")}')
    classes = f', {c.n_classes} classes' if c.n_classes else ''
    print(f'  model   U-Net with {n_parameters:,} parameters, T = {c.n_steps}{classes}')
    print(f'  steps   {c.steps:,} of {c.batch_size} images{each}: each image {views:,.0f} times')
    print(f'  rate    {c.learning_rate:g} for the batch of {c.batch_size}')
    print(f'  device  {", ".join(how)}')
    if n < 1000:
        print(f'  note    {n:,} images are few: samples will be near copies of them')


def what_next(out: Path) -> str:
    r"""
    The commands that a run leaves its owner with; its first and its last lines.
    """
    command, run = 'python -m labml_nn.diffusion.ddpm', shlex.quote(str(out))
    return (
        f'  sample    {command}.evaluate sample {run}\n'
        f'  resume    {command}.experiment --out {run} --resume\n'
        f'  your own  {command}.experiment --preset cifar10 --dataset folder '
        f'--data_root PICTURES --out runs/mine'
    )


# ## The run
def run(trainer: 'Trainer') -> int:
    r"""
    Train, sample once more at the end, and say where everything is. Returns the exit status.
    """
    c, out, began = trainer.c, trainer.out, time.monotonic()
    quiet = open(os.devnull, 'w') if not trainer.world.is_first else None  # noqa: SIM115
    progress = Progress(c.steps, trainer.step, file=quiet)
    with contextlib.ExitStack() as held:
        if quiet is not None:
            held.callback(quiet.close)
        else:
            trainer.track = held.enter_context(tracked(c.track, out, c, trainer.step))
        held.enter_context(trainer.stop.listening())
        try:
            train_on(trainer, progress)
            progress.close()
            if not trainer.stopped_by:
                finish(trainer)
            trainer.world.leave()
        except Exception as error:
            progress.close()
            return failed(trainer, error)
        if trainer.stopped_by:
            return stopped(trainer)
    if trainer.world.is_first:
        print(f'done in {clock(time.monotonic() - began)}: the run is in {out.absolute()}')
        print(what_next(out))
    return 0


def train_on(trainer: 'Trainer', progress: Progress) -> None:
    r"""
    Train, also when processes that decode pictures die: others take their place, and the step is
    done again with the same random numbers. When stopped, save.
    """
    if trainer.step % trainer.c.log_every == 0 and not trainer.window.is_empty():
        trainer.log()  # the row that a full disk has refused
    for deaths in range(WORKER_DEATHS + 1):
        try:
            trainer.train(progress)
            break
        except RuntimeError as error:
            again = trainer.is_whole and trainer.world.size == 1 and deaths < WORKER_DEATHS
            if 'DataLoader worker' not in str(error) or not again:
                raise
            print(f'note: {first_line(error)}; started others', file=sys.stderr)
    if trainer.stopped_by and trainer.step > trainer.saved_step:
        trainer.save()


def refuse_bad_steps(trainer: 'Trainer') -> None:
    r"""
    `FloatingPointError` after too many steps in a row that could not be taken.
    """
    bad = trainer.descent.bad_in_a_row()
    if bad >= trainer.descent.patience:
        fp32 = '' if trainer.precision == 'fp32' else ' or --precision fp32'
        raise FloatingPointError(
            f'the loss or its gradient was no number {bad} steps in a row, up to step '
            f'{trainer.step:,}: try half the learning rate ({trainer.c.learning_rate / 2:g})'
            f'{fp32}, and look at the data. None of these steps was taken; the last checkpoint is '
            f'of step {trainer.saved_step:,}, and those before it are beside it'
        )


def refuse_bad_weights(trainer: 'Trainer') -> None:
    r"""
    `FloatingPointError` where a step has made a weight infinite: it is not to be saved
    [tested](test:diffusion/ddpm/test_resume.py::test_weights_that_are_no_numbers_are_never_saved).
    """
    models = [trainer.model, *[trainer.ema.module] * trainer.world.is_first]
    if not all(bool(torch.isfinite(p).all()) for m in models for p in m.parameters()):
        raise FloatingPointError(
            f'step {trainer.step:,} has made weights that are no numbers: try a much smaller '
            f'learning rate than {trainer.c.learning_rate:g}. They are not saved; the last '
            f'checkpoint is of step {trainer.saved_step:,}'
        )


def stopped(trainer: 'Trainer') -> int:
    r"""
    The last words of a run that a signal has stopped, and its exit status.
    """
    if trainer.world.is_first:
        name, out = signal.Signals(trainer.stopped_by).name, trainer.out
        print(f'{name}: stopped at step {trainer.step:,}, saved in {out.absolute()}')
        print(what_next(out))
    return 128 + trainer.stopped_by


def failed(trainer: 'Trainer', error: Exception) -> int:
    r"""
    Save what can be saved, say what was wrong, and return the exit status. What nobody has foreseen
    is raised again.
    """
    lost = trainer.world.size > 1 and is_lost_contact(error)
    # The weights are those of the last whole step, whatever went wrong in this one
    if trainer.is_whole and trainer.world.is_first and not isinstance(error, FloatingPointError):
        try:
            trainer.save(alone=True)
        except Exception as again:
            if not isinstance(again, OSError) and not is_out_of_memory(again):
                raise
            print(f'error: {first_line(again)}', file=sys.stderr)
    where = f'saved step {trainer.saved_step:,} in {trainer.out.absolute()}'
    if not checkpoint.exists(trainer.out):
        where = f'no checkpoint is left in {trainer.out.absolute()}'
    message = what_happened(trainer, error, lost=lost)
    if message is None:
        print(where, file=sys.stderr)
        raise error
    world = trainer.world
    # What is no number is none in all of them; all else may have happened in one alone
    if world.is_first or not isinstance(error, FloatingPointError):
        rank = f'rank {world.rank}: ' * (world.size > 1)
        print(f'error: {rank}{message}', file=sys.stderr, flush=True)
    if world.is_first:
        print(where, file=sys.stderr, flush=True)
    return 1


def what_happened(trainer: 'Trainer', error: Exception, *, lost: bool) -> str | None:
    r"""
    What went wrong and what to do, as far as anybody has foreseen it.
    """
    if isinstance(error, FloatingPointError):
        return str(error)
    if isinstance(error, BadPicture):
        return (
            f'{error}. With a sound picture under that name, go on with --resume; a new run with '
            f'--bad_pictures skip leaves such pictures out'
        )
    if is_out_of_memory(error):
        return what_fits(trainer)
    if lost:
        return (
            f'another process of this run is gone ({first_line(error)}): start it again '
            f'with --resume, or under torchrun --max-restarts 3, which does so by itself'
        )
    if 'DataLoader worker' in str(error):
        return (
            f'{first_line(error)}: processes that decode pictures die again and again. '
            f'Is there memory for --workers {trainer.c.workers}?'
        )
    if isinstance(error, OSError):
        return f'{error}: {what_to_do(trainer.out, error)} and go on with --resume'
    return None


def what_to_do(out: Path, error: OSError) -> str:
    r"""
    What may help after the system has refused something to a run in the folder `out`.
    """
    if not out.is_dir():
        return 'the folder of the run is gone. Was it removed or unmounted? Bring it back'
    if is_full_disk(error):
        return 'is the disk full? Make room'
    return 'see to that'


def what_fits(trainer: 'Trainer') -> str:
    r"""
    The message when memory has ended: what did not fit, and what would, found by trying.
    """
    c, m = trainer.c, trainer.micro_batch
    message = (
        f'out of memory: {m} images of {c.image_size}×{c.image_size}×{c.image_channels} at a time '
        f'(batch_size={c.batch_size}) do not fit on {trainer.device}'
    )
    if trainer.world.size > 1 and m > 1:  # the others do not try
        return f'{message}: try --resume --micro_batch {next(halves(m))}'
    fits = largest_that_fits(m, lambda n: attempt(trainer, n))
    if fits is None:
        return (
            f'{message}{", nor does one alone" * (m > 1)}: try --activation_checkpointing true, '
            f'or a larger GPU'
        )
    return f'{message}; --micro_batch {fits} does: go on with --resume --micro_batch {fits}'


def attempt(trainer: 'Trainer', n: int) -> None:
    r"""
    The gradient of `n` images, for its need of memory alone.
    """
    c = trainer.c
    x0 = torch.zeros(n, c.image_channels, c.image_size, c.image_size, device=trainer.device)
    t = torch.zeros(n, dtype=torch.int64, device=trainer.device)
    trainer.optimizer.zero_grad()
    label, levels = trainer.told(t), trainer.dataset.levels
    losses_of(trainer.diffusion, x0, t, x0, label, levels)[0].mean().backward()
    trainer.optimizer.zero_grad()


def finish(trainer: 'Trainer') -> None:
    r"""
    Samples of the averaged weights in `samples.png`, and these weights alone in
    `weights.safetensors`, to be shared.
    """
    c, out = trainer.c, trainer.out
    if not trainer.world.is_first:
        return
    save_file(out / 'weights.safetensors', trainer.ema.module.state_dict())
    if not c.n_samples:
        return
    bar = Progress(min(c.preview_steps, c.n_steps))
    about = {'step': trainer.step, 'seed': 0, 'weights': 'ema', 'sampler': c.preview_sampler}
    with trainer.guests.welcome('samples.png', out):
        images = trainer.sample(c.n_samples, bar)
        bar.close()
        if images is not None:
            save_png(out / 'samples.png', grid(images), about)
