r"""
---
title: Train a DDPM
summary: >
  The command line of Algorithm 1, with presets for small data and for the paper's, on one device or
  many.
---

# Train a DDPM

    python -m labml_nn.diffusion.ddpm.experiment

This trains on real handwritten digits, which need no download, in about three minutes on two CPU
cores, and writes everything to `runs/digits`. The options of a run have names, and a
[preset](configs.html) is a set of values for them. The default is the preset `digits`; `--help`
lists the others. For another preset or other data:

    python -m labml_nn.diffusion.ddpm.experiment --preset fashion_conditional
    python -m labml_nn.diffusion.ddpm.experiment --preset folder16 --data_root my_pictures \
        --out runs/mine
    python -m labml_nn.diffusion.ddpm.experiment --preset cifar10

For pictures of your own there are `folder16` for a laptop, `folder32` for a small GPU and
`folder64` for a large one. The number is the side of the images in pixels. In each of them the
[warm-up and the cool-down](train.html) of the learning rate suit the number of steps; if you change
that, change them too.

Every option of a preset can be given by its name, or in a file (`--config run.yaml`); `--help`
lists them. [`--dry-run`](dry_run.html) does a few steps, saves nothing, and says how long the whole
run will take. Ctrl-C, or [another signal that asks a program to end](../../runs/signals.html),
stops the run after the current step and saves it. `--resume` continues from there **as if the run
had never stopped**: the weights, [their average](ema.html), the optimizer and the log come out the
same to the last bit
[tested](test:diffusion/ddpm/test_resume.py::test_cut_anywhere_and_resumed_is_the_same). After
`kill -9`, a full disk or a damaged file, only the steps since the last undamaged checkpoint are
lost [tested](test:test_faults.py::test_killed_at_random_moments); [`make faults`](faults.html)
tries all of these.

On several GPUs, or on several machines, [torchrun](../../compute/distributed.html) starts it:

    torchrun --nproc-per-node 8 -m labml_nn.diffusion.ddpm.experiment --preset cifar10

> **Faster?** Try `--compile true`. The default precision, [`auto`](../../compute/precision.html),
> takes `bf16` where it was found faster: on CUDA GPUs, and for large networks on CPUs with AMX, a
> unit that multiplies matrices of bfloat16 numbers. The first lines of a run say which it is. On a
> machine that does other work too, one thread, `--threads 1`, is often faster than two. The number
> of threads is not chosen for you, because it changes the order of additions, and with it the last
> decimal places of the results. [`make bench`](benchmarks.html) measures precision and `--compile`.

> **Out of memory?** `--micro_batch 16` sends 16 images of the batch at a time through the network,
> and gives the same gradient. `--activation_checkpointing true` computes activations a second time
> instead of storing them.

> **What can be changed on the way?** With `--resume` you can change the number of steps, the
> device, the options of the two boxes above, and how often the run logs, saves and draws samples.
> The data and the learning rate
> cannot be changed in this way. For those begin a new run with the weights of the old one:
> [`--init RUN`](initial.html).

> **Is it working?** Look at the sample grids: they are made from the same noise each time. The
> loss starts at 1, because a new network predicts zero and the noise has the mean square 1. It
> falls fast, and then hardly moves while the pictures still improve. If it stays near 1, the
> network learns nothing: try a lower learning rate. To test code of your own, train on a single
> batch, the same at every step. Even then the loss does not reach zero: where there is much noise,
> $x_t$ does not show which image of the batch is in it, and so the noise cannot be known exactly.

> **How long?** Count steps, not epochs: every step draws new noise and new $t$, so an image that
> comes again is not the same example. The paper's CIFAR-10 run is 800,000 steps of 128 images,
> 2,048 epochs.

## A run of garments

Fashion-MNIST has 70,000 grey pictures of garments, 28 × 28 pixels each; 60,000 are for training.
The preset `fashion` does 3,000 steps with 32 of these in each. That takes 20 minutes of one core.

![Eight noises, sampled at six moments of the training: noise, then pale shapes, then
garments](../../../docs/images/garments_training.png
"Garments from the same noise, as the training goes on")

![The loss of this run falls fast for the first 300 training steps and then slowly, and so it does
for each quarter of the noise levels t](figure:garments.py::loss "The loss of this run")

The images with little noise, $t \le 250$, have by far the largest loss: there the noise is hardest
to find. Where there is much noise, it is nearly all of $x_t$ and easy to find. After the dotted
line, the learning rate falls to zero. The loss falls there once more, by about a seventh.

[A classifier](../../evaluation/classifier.html) of garments gives one class a probability of 90 %
or more in 48.9 % of 1,000 samples, and in 79.4 % of 1,000 test images. The README of the
repository has the Fréchet distance, precision and recall of three such runs.
<!-- measured: docs/figures/data/garments.json#/plain_sure -->

## A run with pictures of your own

The preset `folder16` is for a folder of colour pictures and a laptop: it makes them 16 × 16 and
does 6,000 steps with 64 of them in each. Here the folder has 3,786 emoji, and the steps took 15
minutes of two cores.

![Eight noises, sampled at six moments of the training: coloured noise, then blots, then a man, a
woman, a couple and an island](../../../docs/images/emoji.png
"Emoji from the same noise, as the training goes on")

Faces and people come out best, as the folder has many of them: of 64 samples, about 30 could be
recognised at a glance. The commands and the numbers are in the README of the repository.

[Exercises for this page](exercises.html#training), with answers.
"""

# pylit: fold
import contextlib
import os
import shlex
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from labml import monit
from torch import Tensor

from labml_nn.cli.messages import nearest, wanted
from labml_nn.cli.options import Parser, add_configs, option_types, option_values
from labml_nn.cli.output import command, refused
from labml_nn.cli.progress import Progress
from labml_nn.compute.descent import halves, is_out_of_memory, largest_that_fits
from labml_nn.compute.device import describe, pick_device, use_threads
from labml_nn.compute.distributed import World
from labml_nn.compute.precision import check_compiler, for_sampling
from labml_nn.data.datasets import AnySet, Images
from labml_nn.data.pictures import grid, save_png
from labml_nn.diffusion.ddpm import EpsModel
from labml_nn.diffusion.ddpm.check import nearest as nearest_image
from labml_nn.diffusion.ddpm.configs import (
    FREE_ON_RESUME,
    NETWORKS,
    PRESETS,
    Configs,
    build,
    data_of,
    diffusion_around,
    make_configs,
)
from labml_nn.diffusion.ddpm.dry_run import NoiseImages, data_to_look_at, rehearse
from labml_nn.diffusion.ddpm.forerunner import Notebook, free_folder
from labml_nn.diffusion.ddpm.initial import Initial, check_shapes, kept_options
from labml_nn.diffusion.ddpm.notes import notes, of_rate
from labml_nn.diffusion.ddpm.older import older_names
from labml_nn.diffusion.ddpm.report import write_report
from labml_nn.diffusion.ddpm.teacher import Teacher
from labml_nn.diffusion.ddpm.train import Training, condition_of, losses_of
from labml_nn.diffusion.ddpm.utils import ShortChainWarning
from labml_nn.diffusion.guidance import Guided
from labml_nn.diffusion.samplers import ReverseSampler, make_sampler
from labml_nn.runs import checkpoint
from labml_nn.runs.folder import open_folder, refuse_other_data
from labml_nn.runs.run import Run

__all__ = [
    'PRESETS', 'Configs', 'Trainer', 'build', 'data_of', 'main', 'make_configs', 'make_sampler',
]  # fmt: skip
# pylit: end


# How many of the samples at the end are compared with all images
NEAREST = 8


class Trainer(Run):
    r"""
    ## A training run

    * `c` the configuration
    * `out` the folder of the run
    * `dataset` the images
    * `world` the processes that take part; one when not given

    [Algorithm 1](train.html) does the training, and [a run](../../runs/run.html) the logging and
    saving. This class adds what is special to models of images: samples, a report, and messages.

    Raises `ValueError` if the options do not fit the device or each other.
    """

    training: Training
    initial: Initial | None = None  # the weights that the run began with, if not its own
    more_notes: Sequence[str] = ()

    def __init__(
        self, c: Configs, out: Path, dataset: AnySet, device: torch.device,
        world: World | None = None,
    ):  # fmt: skip
        # The run that it learns from, if not from images alone
        self.teacher = Teacher(c, device) if c.distill != 'none' else None
        super().__init__(c, out, Training(c, device, dataset.levels, world), dataset)

    def data(self) -> Iterator[tuple[Tensor, ...]]:
        r"""
        The batches from the present step on. If there is [a teacher](teacher.html), it makes them,
        from batches of the data or from noise alone.
        """
        images = super().data()
        return images if self.teacher is None else self.teacher.batches(images, self.training)

    def sample(self, n: int, progress: Progress | None = None) -> Tensor | None:
        r"""
        `n` images from the averaged weights; `None` if a signal stopped the run meanwhile.
        """
        c, training = self.c, self.training
        model: EpsModel = for_sampling(
            training.ema.module, training.precision, self.device,
            channels_last=training.channels_last,
        )  # fmt: skip
        sampler = preview_sampler(model, c, n)
        start = sampler.start((n, c.image_channels, c.image_size, c.image_size), seed=0)
        for done, (_, x, _) in enumerate(sampler.chain(*start), 1):
            if self.stop.number:
                return None
            if progress is not None:
                progress.update(done)
        return x

    def after_samples(self, images: Tensor) -> None:
        r"""
        Save `nearest.png`: the first samples, each above the training image that is nearest to it.
        This searches all images, so it is done only if they are in memory.
        """
        if isinstance(self.dataset, Images):
            few = images[:NEAREST].cpu()
            _, near = nearest_image(few, self.dataset, flip=self.c.flip)
            save_png(self.out / 'nearest.png', grid(torch.cat([few, near]), len(few)))

    def finish(self) -> None:
        r"""
        Save samples and weights, and write a [report](report.html).
        """
        super().finish()
        if self.world.is_first:
            with self.guests.attempt('report.html', self.out):
                write_report(self.out)

    def announce(self) -> None:
        r"""
        Print where the run is, the model, the data, and the number of steps.
        """
        c, size = self.c, self.world.size
        if not self.world.is_first:
            return
        n_parameters = sum(p.numel() for p in self.training.model.parameters())
        each = f' ({c.batch_size // size} in each of {size} processes)' if size > 1 else ''
        print(f'{"new " * (self.saved_step < 0)}run in {self.out.absolute()}')
        print(self.what_next())
        views = self.announce_images()
        classes = f', {c.n_classes} classes' if c.n_classes else ''
        network = NETWORKS[c.network].called
        print(f'  model   {network} with {n_parameters:,} parameters, T = {c.n_steps}{classes}')
        if self.teacher is not None:
            print(f'  learns  {c.distill}, from {c.teacher}, for {c.calls} calls of the network')
        print(f'  steps   {c.steps:,} of {c.batch_size} images{each}{views}')
        print(f'  rate    {c.learning_rate:g} for the batch of {c.batch_size}')
        print(f'  device  {", ".join(self.how())}')
        if self.initial is not None:
            print(f'  init    {self.initial.line()}')
        for note in self.notes:
            print(f'  note    {note}')

    def how(self) -> Iterator[str]:
        r"""
        Where and how the run computes, in a few words each. If `auto` has chosen `bf16`, the text
        says so.
        """
        c, training = self.c, self.training
        yield describe(self.device)
        is_chosen = c.precision == 'auto' and training.precision == 'bf16'
        yield training.precision + ' (auto: faster here)' * is_chosen
        if c.compile:
            yield 'compiled'
        if training.channels_last:
            yield 'channels last'
        if training.micro_batch < c.batch_size // self.world.size:
            yield f'{training.micro_batch} images at a time'

    def announce_images(self) -> str:
        r"""
        Print what the images are. Returns a text that says how often each of them is used.
        """
        c, n = self.c, len(self.dataset)
        size = f'{c.image_size}×{c.image_size}×{c.image_channels}'
        if isinstance(self.dataset, NoiseImages):
            print(f'  images  {n:,} made-up ones, {size}: {self.dataset.reason}')
            return ''
        print(f'  images  {n:,} of {c.dataset}, {size}')
        if skipped := len(self.dataset.skipped):
            print(f'  skipped {skipped:,} of {n + skipped:,} pictures, which cannot be read:')
            for path in self.dataset.skipped:  # the name may not be valid UTF-8
                print(f'    {os.fsencode(path).decode("utf-8", "backslashreplace")}')
        return f': each image {c.steps * c.batch_size / n:,.0f} times'

    @property
    def notes(self) -> list[str]:
        r"""
        Remarks on options that [do not fit](notes.html) the data or each other; a run prints them.
        """
        is_made_up = isinstance(self.dataset, NoiseImages)
        return [*self.more_notes, *notes(self.c, None if is_made_up else self.dataset)]

    def beside_loss(self) -> str:
        r"""
        A text with the loss of a network that predicts zero, $\mathbb E\,\epsilon^2 = 1$. It is
        empty unless the target is the noise and every $t$ counts the same in the loss.
        """
        is_papers = (self.c.target, self.c.weight) == ('eps', 'constant')
        return ' (all-zero guess: 1)' if is_papers else ''

    def what_next(self) -> str:
        r"""
        The commands for sampling, for resuming, and for training on your own pictures. A run prints
        them at its start and at its end.
        """
        command, run = 'python -m labml_nn.diffusion.ddpm', shlex.quote(str(self.out))
        return (
            f'  sample    {command}.evaluate sample {run}\n'
            f'  resume    {command}.experiment --out {run} --resume\n'
            f'  your own  {command}.experiment --preset folder16 --data_root PICTURES '
            f'--out runs/mine'
        )

    def what_fits(self) -> str:
        r"""
        The message when memory has run out: what did not fit, and a micro-batch that does, found by
        halving. With several processes it is the next smaller one, untried.
        """
        c, m = self.c, self.training.micro_batch
        message = (
            f'out of memory: {m} images of {c.image_size}×{c.image_size}×{c.image_channels} at a '
            f'time (batch_size={c.batch_size}) do not fit on {self.device}'
        )
        if self.world.size > 1 and m > 1:  # the others do not try
            return f'{message}: try --resume --micro_batch {next(halves(m))}'
        fits = largest_that_fits(m, self.attempt)
        if fits is None:
            return (
                f'{message}{", nor does one alone" * (m > 1)}: try --activation_checkpointing '
                f'true, or a larger GPU'
            )
        return f'{message}; --micro_batch {fits} does: go on with --resume --micro_batch {fits}'

    def attempt(self, n: int) -> None:
        r"""
        Compute the gradient of `n` images, only to see whether it fits in memory.
        """
        c, training = self.c, self.training
        x0 = torch.zeros(n, c.image_channels, c.image_size, c.image_size, device=self.device)
        t = torch.zeros(n, dtype=torch.int64, device=self.device)
        training.optimizer.zero_grad()
        losses, _ = losses_of(training.diffusion, x0, t, x0, condition_of(t, c), training.levels)
        losses.mean().backward()
        training.optimizer.zero_grad()


def preview_sampler(model: EpsModel, c: Configs, n: int) -> ReverseSampler:
    r"""
    The sampler of the previews and of the final `n` images. If the model has classes, the images
    take them in turn: 0, 1, 2, …
    """
    if c.n_classes:
        model = Guided(model, torch.arange(n) % c.n_classes)
    steps = min(c.preview_steps, c.n_steps)
    return make_sampler(c.preview_sampler, diffusion_around(model, c), steps, clip_x0=True)


def begun(values: Mapping[str, Any], epochs: int) -> Trainer:
    r"""
    The run that a [notebook](forerunner.html) starts, in the first unused folder below `runs`.
    """
    c = make_configs(values)
    dataset = data_of(c)
    each = -(-len(dataset) // c.batch_size)  # steps of an epoch
    said = {'preview_every': each, 'save_every': each, 'steps': epochs * each, **values}
    return Trainer(make_configs(said), free_folder(c.dataset), dataset, pick_device(c.device))


Notebook._begin = staticmethod(begun)  # type: ignore[method-assign]
__getattr__ = older_names(__name__)


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
    p.add_argument('--preset', help='where the options start from (digits)')
    p.add_argument('--out', type=Path, help='folder of the run (runs/PRESET)')
    p.add_argument('--init', type=Path, help='begin with the weights of this run, or file')
    p.add_argument('--init_weights', '--init-weights', help='which of them: ema or raw (ema)')
    p.add_argument('--resume', action='store_true', help='go on with the run in that folder')
    p.add_argument('--dry-run', action='store_true', help='say how long it takes, write nothing')
    p.add_argument('--debug', action='store_true', help='show where an error came from')
    add_configs(p, Configs, option_values(Configs()))
    return p


def given_in(arguments: Mapping[str, Any]) -> dict[str, Any]:
    r"""
    The options of the run that the command line gives.
    """
    return {k: v for k, v in arguments.items() if k in option_types(Configs)}


def configs_of(arguments: Mapping[str, Any], state: Mapping[str, Any] | None) -> Configs:
    r"""
    The configuration. For a new run it is what the command line asks for; for a resumed run it is
    what the checkpoint holds, with the changes of the command line that are allowed.

    Raises `ValueError` for an unknown preset, and for options that a resumed run cannot change.
    """
    preset = arguments['preset'] or 'digits'
    if preset not in PRESETS:
        raise ValueError(nearest(preset, list(PRESETS), 'preset'))
    given = given_in(arguments)
    if state is None:
        return make_configs({**PRESETS[preset], **given})
    kept = kept_options(state, option_values(Configs()))
    # The checkpoint's own values are checked first: a damaged file may hold some that no option
    # allows
    make_configs({**kept, **{k: v for k, v in given.items() if k in FREE_ON_RESUME}})
    changed = [
        f'{k}={v} (the run has {kept[k]})'
        for k, v in given.items()
        if k not in FREE_ON_RESUME and v != kept[k]
    ]
    if changed:
        raise ValueError(
            f'a resumed run cannot change {", ".join(changed)}: leave that out, or start another '
            f'run with another --out'
        )
    return make_configs({**kept, **given})


def note_preset(c: Configs, preset: str) -> None:
    r"""
    If a preset is named when a run is resumed, say where the options of the run differ from it. The
    run keeps its own.
    """
    of_preset = {**option_values(Configs()), **PRESETS[preset]}
    differing = [
        f'{k}={getattr(c, k)} (not {v})'
        for k, v in of_preset.items()
        if k not in FREE_ON_RESUME and getattr(c, k) != v
    ]
    if differing:
        print(f'note: the run keeps its own options: {", ".join(differing)}', file=sys.stderr)


def check_model(c: Configs, device: torch.device) -> None:
    r"""
    Raises `ValueError` or `ShortChainWarning` for a model that cannot be built, compiled or
    sampled from.
    """
    if c.compile:
        check_compiler(device)
    with warnings.catch_warnings():
        # A chain too short to be sampled from is an error here: nobody should train such a model
        warnings.simplefilter('error', ShortChainWarning)
        build(c)


def prepare(
    arguments: Mapping[str, Any], out: Path, world: World, cleanup: contextlib.ExitStack
) -> Trainer:
    r"""
    Read, check and build everything before the first step. Nothing is written into the folder of a
    new run yet.

    * `cleanup` collects what must be released at the end, such as the lock on the folder
    """
    world.join()
    resume = arguments['resume'] or (world.restarts > 0 and checkpoint.exists(out))
    state = initial = None
    if world.is_first:
        if arguments['init'] and not world.restarts:
            initial = Initial.read(arguments)
        state = open_folder(out, resume, cleanup, look_only=arguments['dry_run'])
    state, initial = world.broadcast((state, initial))
    c = configs_of(arguments, state) if initial is None else initial.options(given_in(arguments))
    if state is not None and arguments['preset'] and world.is_first:
        note_preset(c, arguments['preset'])
    device = world.use(pick_device(c.device, world.local_rank))
    use_threads(c.threads)
    if state is not None:
        check_shapes(c, state, out / checkpoint.FILE_NAME)
    check_model(c, device)
    # labml rewrites its progress line in place, which makes a log file unreadable
    quiet = not (sys.stdout.isatty() and world.is_first)
    with monit.section(f'Read {c.dataset}', is_silent=quiet):
        dataset = data_to_look_at(c) if arguments['dry_run'] else data_of(c)
    if state is not None and not isinstance(dataset, NoiseImages):
        known = wanted({'data': {}, **state}, 'data', Mapping, out)
        refuse_other_data(dataset, known, out, c.data_root)
    trainer = Trainer(c, out, dataset, device, world)
    go_on(trainer, state, initial)
    return trainer


def go_on(trainer: Trainer, state: Mapping[str, Any] | None, initial: Initial | None) -> None:
    r"""
    Let a run start from what was saved: to resume it, from all of its own state; with `--init`,
    from the weights of another run.
    """
    c = trainer.c
    if state is not None:
        trainer.restore(state)
        steps = kept_options(state, option_values(Configs()))['steps']
        trainer.more_notes = [*of_rate(c, steps, trainer.step, trainer.out)]
    elif initial is not None:
        initial.put_into(trainer.training)
        trainer.initial, trainer.more_notes = initial, initial.notes(c)


def dry_run(trainer: Trainer) -> int:
    r"""
    Do a few steps and say how long all of them will take. Returns the exit status.
    """
    try:
        said = rehearse(trainer)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        print(f'error: {trainer.what_fits()}', file=sys.stderr)
        return 1
    if trainer.world.is_first:
        print(said)
    return 0


@command
def main(argv: Sequence[str] | None = None) -> int:
    r"""
    The command. Exit status: 0 done, 1 the run failed, 2 bad input, and 128 plus the number of the
    signal that stopped it.
    """
    return carry_out(vars(parser().parse(sys.argv[1:] if argv is None else argv)))


def carry_out(arguments: Mapping[str, Any]) -> int:
    r"""
    Do what the command line says. Returns the exit status.
    """
    out = Path(arguments['out'] or Path('runs', arguments['preset'] or 'digits'))
    with contextlib.ExitStack() as cleanup:
        try:
            trainer = prepare(arguments, out, World(), cleanup)
            trainer.announce()
            if arguments['dry_run']:
                return dry_run(trainer)
            if trainer.saved_step >= trainer.c.steps:
                print(f'all {trainer.step:,} steps are done: give more with --steps')
                return 0
            trainer.start(cleanup)
        except (ValueError, OSError, ImportError, ShortChainWarning) as error:
            return refused(error, debug=arguments['debug'])
        except KeyboardInterrupt:
            print('\ngiven up before the first step', file=sys.stderr)
            return 130
        try:
            return trainer.run()
        except KeyboardInterrupt:
            print(f'\ngiven up at step {trainer.step:,}, saved step {trainer.saved_step:,}')
            return 130
        except Exception:
            traceback.print_exc()
            return 1


if __name__ == '__main__':
    sys.exit(main())
