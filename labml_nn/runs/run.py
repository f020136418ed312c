r"""
---
title: A run from beginning to end
summary: What surrounds the training loop, and what a run survives, tried out fault by fault.
---

# A run from beginning to end

What surrounds a [training loop](../diffusion/ddpm/train.html): the folder, the log, checkpoints,
previews, signals, and what happens when something goes wrong. Whatever it is, the message says
what, and the state after the last whole step is saved if there is any way to.

## What a run survives

`make faults` kills runs, fills their disks and damages their files, resumes them, and compares them
to the bit with a run that nothing has happened to:
[the table](../diffusion/ddpm/faults.html) says how often it was survived and how many steps it cost
[tested](test:test_faults.py::test_the_whole_is_a_success). A killed process of several is
[another matter](../compute/distributed.html).
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from labml_nn.cli.messages import first_line, shown, wanted
from labml_nn.cli.options import option_values, options_text
from labml_nn.cli.progress import Progress, clock
from labml_nn.compute.descent import Descent, is_out_of_memory
from labml_nn.compute.distributed import World, is_lost_contact
from labml_nn.data.datasets import AnySet, batches, fingerprint
from labml_nn.data.decode import BadPicture
from labml_nn.data.files import force_to_disk, is_full_disk, written
from labml_nn.data.pictures import grid, save_png
from labml_nn.runs import checkpoint
from labml_nn.runs.folder import LIST, named_part, refuse_used, write_list
from labml_nn.runs.lock import Lock
from labml_nn.runs.log import COLUMNS, OptionalOutput, Window, append_row, cut_log, plot_loss
from labml_nn.runs.pace import Pace, forecast
from labml_nn.runs.safetensors import save_file
from labml_nn.runs.signals import Stop
from labml_nn.runs.trackers import Track, tracked

# How often processes that decode pictures may die before that is no accident any more
WORKER_DEATHS = 3


class Training(Protocol):
    r"""
    ## What a run has to know of what it trains

    [Algorithm 1](../diffusion/ddpm/train.html) is one.
    """

    step: int  # steps done
    is_whole: bool  # whether weights, average and optimizer are all after the same step
    model: nn.Module  # the weights
    ema: Any  # and their average
    optimizer: torch.optim.Adam
    descent: Descent
    precision: str
    device: torch.device
    world: World

    def steps(self, data: Iterable[Any]) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]:
        r"""
        Train; what each step gives is what [the log](log.html) takes of it.
        """

    def seed_by_rank(self) -> None:
        r"""
        Let this process draw random numbers that no other draws, from this step on.
        """


class Run(ABC):
    r"""
    ## A training run

    * `c` its options: how long, how often
    * `out` its folder
    * `training` what is trained
    * `dataset` the images

    The state of a run is its step, the raw weights, the averaged weights and the optimizer's state,
    the random states, and the sums for the next row of the log. The data needs none, as a batch
    follows from the seed and the step.
    """

    def __init__(self, c: Any, out: Path, training: Training, dataset: AnySet):
        self.c, self.out, self.training, self.dataset = c, out, training, dataset
        self.device, self.world = training.device, training.world
        self.random = checkpoint.random_states()  # after the last whole step
        self.stop, self.stopped_by, self.save_due = Stop(), 0, 0
        self.track: Track = lambda step, values: None
        self.window, self.guests = Window(c.n_steps, self.device), OptionalOutput()
        self.preview_seconds = 0.0
        self.note, self.saved_step, self.saved_at = '', -1, time.monotonic()
        self.early_previews = {c.preview_every // 8, c.preview_every // 4, c.preview_every // 2}

    @abstractmethod
    def sample(self, n: int, progress: Progress | None = None) -> Tensor | None:
        r"""
        `n` images from the averaged weights; `None` when a signal came in between.
        """

    @abstractmethod
    def what_next(self) -> str:
        r"""
        The commands that a run leaves its owner with; its first and its last lines.
        """

    @abstractmethod
    def what_fits(self) -> str:
        r"""
        The message when memory has ended.
        """

    def after_samples(self, images: Tensor) -> None:  # noqa: B027
        r"""
        Make what else there is to be made of the last samples; nothing here.
        """

    @property
    def step(self) -> int:
        return self.training.step

    # ### From the first step to the last
    def start(self, cleanup: contextlib.ExitStack) -> None:
        r"""
        Make the folder and write the first checkpoint: a full disk shows now, not after a night.

        * `cleanup` what has to be given back in the end: the lock on the folder
        """
        out, step, every = self.out, self.step, self.c.log_every
        if not self.world.is_first:
            return self.save()
        is_new = not out.exists()
        out.mkdir(parents=True, exist_ok=True)
        if self.saved_step < 0:
            cleanup.callback(Lock(out).release)
            # Somebody may have come first, and be gone again
            refuse_used(out)
        try:
            # Rows beyond the checkpoint are of steps that will be done again, and one of a last
            # step between two rows is of a window that goes on
            cut_log(out / 'log.csv', lambda s: s < step or (s == step and s % every == 0), COLUMNS)
            if self.saved_step < 0 or not (out / LIST).exists():
                write_list(self.dataset, out, self.c.data_root)
            self.save()
            with written(out / 'run.yaml') as part:
                part.write_text(options_text(option_values(self.c)), encoding='utf-8')
        except (OSError, KeyboardInterrupt):
            if is_new:
                shutil.rmtree(out, ignore_errors=True)
            raise

    def run(self) -> int:
        r"""
        Train, sample once more at the end, and say where everything is. Returns the exit status.
        """
        c, out, began = self.c, self.out, time.monotonic()
        quiet = open(os.devnull, 'w') if not self.world.is_first else None  # noqa: SIM115
        progress = Progress(c.steps, self.step, file=quiet)
        with contextlib.ExitStack() as cleanup:
            if quiet is not None:
                cleanup.callback(quiet.close)
            else:
                self.track = cleanup.enter_context(tracked(c.track, out, c, self.step))
            cleanup.enter_context(self.stop.listening())
            try:
                self.train_to_the_end(progress)
                progress.close()
                if not self.stopped_by:
                    self.finish()
                self.world.leave()
            except Exception as error:
                progress.close()
                return self.failed(error)
            if self.stopped_by:
                return self.stopped()
        if self.world.is_first:
            print(f'done in {clock(time.monotonic() - began)}: the run is in {out.absolute()}')
            print(self.what_next())
        return 0

    def train_to_the_end(self, progress: Progress) -> None:
        r"""
        Train, also when processes that decode pictures die: others take their place, and the step
        is done again with the same random numbers. When stopped, save.
        """
        if self.step % self.c.log_every == 0 and not self.window.is_empty():
            self.log()  # the row that a full disk has refused
        for deaths in range(WORKER_DEATHS + 1):
            try:
                self.train(progress)
                break
            except RuntimeError as error:
                again = self.training.is_whole and self.world.size == 1 and deaths < WORKER_DEATHS
                if 'DataLoader worker' not in str(error) or not again:
                    raise
                print(f'note: {first_line(error)}; started others', file=sys.stderr)
        if self.stopped_by and self.step > self.saved_step:
            self.save()

    def train(self, progress: Progress) -> None:
        r"""
        Follow the training until `steps` are done, or somebody says stop.
        """
        c = self.c
        self.began = time.monotonic()
        self.window.forget_time()
        checkpoint.set_random_states(self.random)
        steps = self.training.steps(self.window.timed(self.data()))
        pace = Pace(self.step, self.device)
        while self.step < c.steps and not self.is_stopped():
            self.window.add(*next(steps))
            self.random, self.training.is_whole = checkpoint.random_states(), True
            if self.step % c.log_every == 0 or self.step == c.steps:
                self.note = self.log()
            each = pace.each(self.step)
            if each and self.world.is_first:
                progress.close()
                print(forecast(each, c.steps - self.step, self.device))
            progress.update(self.step, self.note)
            self.refuse_bad_steps()
            if self.step % c.save_every == 0 or self.step == c.steps or self.save_due:
                self.save()
            # The first grids come early, as most is learned then
            if self.step % c.preview_every == 0 or self.step in self.early_previews:
                self.preview()

    def data(self) -> Iterator[tuple[Tensor, ...]]:
        r"""
        The batches from the present step on, of this process.
        """
        c = self.c
        return batches(
            self.dataset, c.batch_size, seed=c.seed, start=self.step, flip=c.flip,
            device=self.device, n_workers=c.workers, part=(self.world.rank, self.world.size),
        )  # fmt: skip

    def is_stopped(self) -> bool:
        r"""
        Whether all processes stop here; notes, too, whether they save after this step.
        """
        minutes = (time.monotonic() - self.saved_at) / 60
        due = self.world.is_first and minutes >= self.c.save_minutes
        self.stopped_by, self.save_due = self.world.agree(self.stop.number, int(due))
        return self.stopped_by != 0

    def finish(self) -> None:
        r"""
        Samples of the averaged weights in `samples.png`, and these weights alone in
        `weights.safetensors`, to be shared.
        """
        c, out = self.c, self.out
        if not self.world.is_first:
            return
        save_file(out / 'weights.safetensors', self.training.ema.module.state_dict())
        if not c.n_samples:
            return
        bar = Progress(min(c.preview_steps, c.n_steps))
        about = {'step': self.step, 'seed': 0, 'weights': 'ema', 'sampler': c.preview_sampler}
        with self.guests.attempt('samples.png', out):
            images = self.sample(c.n_samples, bar)
            bar.close()
            if images is not None:
                save_png(out / 'samples.png', grid(images), about)
                self.after_samples(images)

    # ### What is seen of it
    def log(self) -> str:
        r"""
        A row for `log.csv` and for the trackers; returns what the progress bar says.

        Only here does the CPU wait for the device.
        """
        row = {
            'step': self.step,
            'learning_rate': self.training.optimizer.param_groups[0]['lr'],
            **self.window.row(
                self.world.total(self.window.sums), self.c.batch_size, self.world.size
            ),
        }
        row = {name: row[name] for name in COLUMNS}
        if self.world.is_first:
            with self.guests.attempt('log.csv', self.out):
                append_row(self.out / 'log.csv', row)
            self.track(self.step, {k: v for k, v in row.items() if k != 'step'})
        # The row of a last step between two others is taken back when the run goes on
        if self.step % self.c.log_every == 0:
            self.window.forget()
        return f'loss {row["loss"]:.4f}{self.beside_loss()}'

    def beside_loss(self) -> str:
        r"""
        What to compare the loss with, for the progress bar.
        """
        return ''

    def preview(self) -> None:
        r"""
        A grid of samples from the averaged weights and **the same noise each time**, so that the
        grids of a run show one set of pictures getting better.

        Skipped once previews have taken `preview_share` of the time; training is the same without.
        """
        c, began = self.c, time.monotonic()
        if not self.world.is_first:
            return
        if c.n_previews and self.preview_seconds <= c.preview_share * (began - self.began):
            with self.window.paused(), self.guests.attempt('a sample grid', self.out):
                self.show(self.sample(c.n_previews))
            self.preview_seconds += time.monotonic() - began

    def show(self, images: Tensor | None) -> None:
        r"""
        Write and track a sample grid, if there is one.
        """
        if images is None:
            return
        pixels = grid(images)
        self.track(self.step, {'samples': pixels})
        path = self.out / 'samples' / f'step_{self.step:07}.png'
        path.parent.mkdir(exist_ok=True)
        save_png(path, pixels, {'step': self.step, 'seed': 0, 'weights': 'ema'})

    # ### Checkpoints
    def state(self, *, alone: bool = False) -> dict[str, Any]:
        r"""
        What a checkpoint holds.

        * `alone` whether the other processes are not there to be asked for their part
        """
        training, descent = self.training, self.training.descent
        own = {'random': self.random, 'log': self.window.state().cpu()}
        _, *others = [own] if alone else self.world.all_gather(own)
        epoch, position = divmod(self.step * self.c.batch_size, len(self.dataset))
        return {
            'config': option_values(self.c),
            'step': self.step,
            'model': training.model.state_dict(),
            'ema': training.ema.module.state_dict(),
            'ema_updates': int(training.ema.n_averaged),
            'optimizer': training.optimizer.state_dict(),
            'scaler': descent.scaler.state_dict(),
            'bad_steps': descent.streak,
            **own,
            'others': others,
            # For the reader, and to refuse other data: the order follows from seed and step
            'data': {**fingerprint(self.dataset), 'epoch': epoch, 'position': position},
            'versions': checkpoint.versions(),
        }

    def save(self, *, alone: bool = False) -> None:
        r"""
        Write the checkpoint, and the curve of the loss so far; not while steps cannot be taken.
        """
        if self.training.descent.bad_in_a_row(now=True):
            return
        self.refuse_bad_weights()
        state = self.state(alone=alone)
        if not self.world.is_first:
            return
        with self.window.paused():
            # A checkpoint is not to know of rows that a power cut has taken
            log = self.out / 'log.csv'
            if log.is_file():
                with self.guests.attempt('log.csv', self.out):
                    force_to_disk(log)
            # A second one of the same step takes the place of the first
            keep = self.c.keep_checkpoints if self.step > self.saved_step else 1
            checkpoint.save(self.out / checkpoint.FILE_NAME, state, keep=keep)
            self.saved_step, self.saved_at = self.step, time.monotonic()
            if self.step:
                with self.guests.attempt('loss.png', self.out):
                    plot_loss(log, self.out / 'loss.png')

    def restore(self, state: Mapping[str, Any]) -> None:
        r"""
        Go on from a checkpoint.

        With another number of processes the weights, the averages, the order of the data and the
        log go on; the noise of all but the first process is drawn anew.
        """
        source, training = self.out / checkpoint.FILE_NAME, self.training
        check_numbers(state, source)
        checkpoint.load_weights(training.model, state['model'], source)
        checkpoint.load_weights(training.ema.module, state['ema'], source)
        training.ema.n_averaged.fill_(state['ema_updates'])
        with named_part(source, 'optimizer'):
            # No scaler in files of the first version
            training.descent.restore(state['optimizer'], state.get('scaler'))
        training.step = self.saved_step = state['step']
        with named_part(source, 'log'):
            own = own_part(state, self.world)
            if 'log' in own:
                self.window.restore(own['log'])
        if 'random' not in own:
            training.seed_by_rank()
        self.random = own['random'] if 'random' in own else checkpoint.random_states()
        with named_part(source, 'random'):
            checkpoint.set_random_states(self.random)

    # ### What goes wrong
    def refuse_bad_steps(self) -> None:
        r"""
        `FloatingPointError` after too many steps in a row that could not be taken.
        """
        descent = self.training.descent
        bad = descent.bad_in_a_row()
        if bad >= descent.patience:
            fp32 = '' if self.training.precision == 'fp32' else ' or --precision fp32'
            raise FloatingPointError(
                f'the loss or its gradient was no number {bad} steps in a row, up to step '
                f'{self.step:,}: try half the learning rate ({self.c.learning_rate / 2:g})'
                f'{fp32}, and look at the data. None of these steps was taken; the last checkpoint '
                f'is of step {self.saved_step:,}, and those before it are beside it'
            )

    def refuse_bad_weights(self) -> None:
        r"""
        `FloatingPointError` where a step has made a weight infinite: it is not to be saved
        [tested](test:diffusion/ddpm/test_resume.py::test_weights_that_are_no_numbers_are_never_saved).
        """
        models = [self.training.model, *[self.training.ema.module] * self.world.is_first]
        if not all(bool(torch.isfinite(p).all()) for m in models for p in m.parameters()):
            raise FloatingPointError(
                f'step {self.step:,} has made weights that are no numbers: try a much smaller '
                f'learning rate than {self.c.learning_rate:g}. They are not saved; the last '
                f'checkpoint is of step {self.saved_step:,}'
            )

    def stopped(self) -> int:
        r"""
        The last words of a run that a signal has stopped, and its exit status.
        """
        if self.world.is_first:
            name, out = signal.Signals(self.stopped_by).name, self.out
            print(f'{name}: stopped at step {self.step:,}, saved in {out.absolute()}')
            print(self.what_next())
        return 128 + self.stopped_by

    def failed(self, error: Exception) -> int:
        r"""
        Save what can be saved, say what was wrong, and return the exit status. What nobody has
        foreseen is raised again.
        """
        world = self.world
        lost = world.size > 1 and is_lost_contact(error)
        # The weights are those of the last whole step, whatever went wrong in this one
        if self.training.is_whole and world.is_first and not isinstance(error, FloatingPointError):
            self.save_if_there_is_a_way()
        where = f'saved step {self.saved_step:,} in {self.out.absolute()}'
        if not checkpoint.exists(self.out):
            where = f'no checkpoint is left in {self.out.absolute()}'
        message = self.what_happened(error, lost=lost)
        if message is None:
            print(where, file=sys.stderr)
            raise error
        # What is no number is none in all of them; all else may have happened in one alone
        if world.is_first or not isinstance(error, FloatingPointError):
            rank = f'rank {world.rank}: ' * (world.size > 1)
            print(f'error: {rank}{message}', file=sys.stderr, flush=True)
        if world.is_first:
            print(where, file=sys.stderr, flush=True)
        return 1

    def save_if_there_is_a_way(self) -> None:
        r"""
        Save without the other processes; say so where disk or memory does not let one.
        """
        try:
            self.save(alone=True)
        except Exception as error:
            if not isinstance(error, OSError) and not is_out_of_memory(error):
                raise
            print(f'error: {first_line(error)}', file=sys.stderr)

    def what_happened(self, error: Exception, *, lost: bool) -> str | None:
        r"""
        What went wrong and what to do, as far as anybody has foreseen it.
        """
        if isinstance(error, FloatingPointError):
            return str(error)
        if isinstance(error, BadPicture):
            return (
                f'{error}. With a sound picture under that name, go on with --resume; a new run '
                f'with --bad_pictures skip leaves such pictures out'
            )
        if is_out_of_memory(error):
            return self.what_fits()
        if lost:
            return (
                f'another process of this run is gone ({first_line(error)}): start it again '
                f'with --resume, or under torchrun --max-restarts 3, which does so by itself'
            )
        if 'DataLoader worker' in str(error):
            return (
                f'{first_line(error)}: processes that decode pictures die again and again. '
                f'Is there memory for --workers {self.c.workers}?'
            )
        if isinstance(error, OSError):
            return f'{error}: {what_to_do(self.out, error)} and go on with --resume'
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


# ## What is read of a checkpoint
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
