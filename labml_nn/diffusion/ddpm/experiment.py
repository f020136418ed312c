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
lists them, `--dry-run` shows what would be done. Ctrl-C or another signal that asks a program to
end ([SIGTERM, SIGHUP of a closed terminal, SIGQUIT, SIGXCPU, SIGUSR1](../../runs/signals.html))
stops after the step at hand and saves; `--resume` goes on from there, **as if it had never
stopped**: weights, average, optimizer and log come out the same to the last bit
[tested](test:diffusion/ddpm/test_resume.py::test_cut_anywhere_and_resumed_is_the_same).
`kill -9`, a full disk or a damaged file cost the steps since the last checkpoint
[tested](test:test_faults.py::test_killed_at_random_moments); [`make faults`](faults.html) tries
them all.

On several GPUs, or on several machines, [torchrun](../../compute/distributed.html) starts it:

    torchrun --nproc-per-node 8 -m labml_nn.diffusion.ddpm.experiment --preset cifar10

> **Faster?** `--precision bf16` where the device has it (`auto` takes it on GPUs),
> `--channels_last true` and `--compile true`; [`make bench`](benchmarks.html) measures them.
> **Out of memory?** `--micro_batch 16` takes a batch in parts, with the same gradient;
> `--activation_checkpointing true` computes activations twice rather than keep them. All of these
> may change on resuming.

> **Is it working?** Look at the sample grids: they are made from the same noise each time. The
> loss starts at 1 (a guess of zero), falls fast, and then hardly moves while the pictures still
> improve. If it stays near 1, the network learns nothing: try a lower learning rate. To test code
> of your own, give it a single batch; the loss will not reach zero even there, as the noise is new
> at every step.

> **How long?** In steps, not epochs: every step draws new noise and new $t$, so one epoch more or
> less means little. The paper's CIFAR-10 run is 800,000 steps of 128 images, 2,048 epochs.
"""

import contextlib
import sys
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from labml import monit
from torch import Tensor

from labml_nn.cli.messages import nearest, wanted
from labml_nn.cli.options import Parser, add_options, option_types, option_values
from labml_nn.cli.output import command
from labml_nn.cli.progress import Progress
from labml_nn.compute.descent import Descent
from labml_nn.compute.device import pick_device
from labml_nn.compute.distributed import World
from labml_nn.compute.precision import (
    Network,
    check_compiler,
    for_sampling,
    pick_precision,
    recompute,
)
from labml_nn.data.datasets import AnySet, batches, fingerprint
from labml_nn.data.files import force_to_disk
from labml_nn.data.pictures import grid, save_png
from labml_nn.diffusion.ddpm import EpsModel, running
from labml_nn.diffusion.ddpm.configs import (
    FREE_ON_RESUME,
    PRESETS,
    Configs,
    build,
    data_of,
    diffusion_around,
    losses_of,
    make_configs,
    network_of,
    share_of_rate,
)
from labml_nn.diffusion.ddpm.ema import EMA
from labml_nn.diffusion.ddpm.sampling import make_sampler
from labml_nn.diffusion.ddpm.unet import Block, UNet, check_image_size
from labml_nn.diffusion.ddpm.utils import ShortChainWarning, image_seed, older_names
from labml_nn.diffusion.guidance import Guided, drop_labels
from labml_nn.runs import checkpoint
from labml_nn.runs.log import COLUMNS, Guests, Window, append_row, plot_loss
from labml_nn.runs.signals import Stop
from labml_nn.runs.trackers import Track

__all__ = [
    'PRESETS', 'Configs', 'Trainer', 'build', 'data_of', 'main', 'make_configs', 'make_sampler',
]  # fmt: skip


class Trainer:
    r"""
    ## A training run

    * `c` the configuration
    * `out` the folder of the run
    * `dataset` the images
    * `world` the processes that take part; one when not given

    The state of a run is its step, the raw weights, the averaged weights and the optimizer's state,
    the random states, and the sums for the next row of the log. The data needs none, as a batch
    follows from the seed and the step.

    Raises `ValueError` where the options do not fit the device or each other.
    """

    def __init__(
        self, c: Configs, out: Path, dataset: AnySet, device: torch.device,
        world: World | None = None,
    ):  # fmt: skip
        self.c, self.out, self.dataset, self.device = c, out, dataset, device
        self.world = World() if world is None else world
        self.precision = pick_precision(c.precision, device)
        self.micro_batch = running.part_of_batch(c.batch_size, c.micro_batch, self.world)
        checkpoint.seed_everything(c.seed)
        self.diffusion = build(c, device)
        self.model: UNet = self.diffusion.eps_model  # type: ignore[assignment]
        if c.channels_last:
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = EMA(self.model, c.ema_decay)
        # Fused: one kernel for all weights, where the device has one
        fused = device.type in ('cpu', 'cuda')
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=c.learning_rate, fused=fused)
        self.descent = Descent(self.optimizer, c.grad_clip, scale=self.precision == 'fp16')
        self.call_in_another_way()
        if not self.world.is_first:
            checkpoint.seed_everything(image_seed(c.seed, self.world.rank))
        self.step = 0  # steps done
        self.random = checkpoint.random_states()  # after the last whole step
        self.is_whole = True  # whether all of the state is after one and the same step
        self.stop, self.stopped_by, self.save_due = Stop(), 0, 0
        self.track: Track = lambda step, values: None
        self.window, self.guests = Window(c.n_steps, device), Guests()
        self.preview_seconds = 0.0
        self.note, self.saved_step, self.saved_at = '', -1, time.monotonic()
        self.early_previews = {c.preview_every // 8, c.preview_every // 4, c.preview_every // 2}

    def call_in_another_way(self) -> None:
        r"""
        Let the loss reach the same weights through what makes it fast, small or distributed.
        """
        c = self.c
        if c.activation_checkpointing:
            recompute(m for m in self.model.modules() if isinstance(m, Block))
        self.wrapped = self.world.wrap(self.model)
        how: dict[str, Any] = {'compiled': c.compile, 'channels_last': c.channels_last}
        self.network = self.diffusion.eps_model = Network(self.wrapped, self.precision, **how)

    def train(self, progress: Progress) -> None:
        r"""
        ### Algorithm 1
        """
        c = self.c
        self.model.train()
        self.began = time.monotonic()
        self.window.forget_time()
        checkpoint.set_random_states(self.random)
        data = self.window.timed(batches(
            self.dataset, c.batch_size, seed=c.seed, start=self.step, flip=c.flip,
            device=self.device, n_workers=c.workers, part=(self.world.rank, self.world.size),
        ))  # fmt: skip
        # **repeat** until $\nabla_\theta$ has been followed `steps` times, or somebody says stop
        while self.step < c.steps and not self.is_stopped():
            # $x_0, c \sim q(x_0, c)$
            x0, label = next(data)
            told = self.told(label)
            # $t \sim \text{Uniform}(\{1, \dots, T\})$
            t = torch.randint(0, c.n_steps, (len(x0),), device=self.device)
            # $\epsilon \sim \mathcal N(\mathbf 0, \mathbf I)$
            eps = torch.randn_like(x0)
            # $\nabla_\theta \big\|\epsilon - \epsilon_\theta(
            # \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\epsilon, t)\big\|^2$
            self.optimizer.zero_grad()
            loss, errors = self.backward(x0, eps, t, told)
            # Take a gradient step, no longer than `grad_clip`: a batch of unlucky $t$ can have a
            # gradient many times the usual, and Adam would remember it for a thousand steps
            self.set_learning_rate()
            self.is_whole = False
            norm, good = self.descent.step(loss)
            if self.world.is_first:
                self.ema.update_parameters(self.model)
            self.step += 1

            self.window.add(loss, t, errors, norm, good)
            self.random, self.is_whole = checkpoint.random_states(), True
            if self.step % c.log_every == 0 or self.step == c.steps:
                self.note = self.log()
            progress.update(self.step, self.note)
            running.refuse_bad_steps(self)
            if self.step % c.save_every == 0 or self.step == c.steps or self.save_due:
                self.save()
            # The first grids come early, as most is learned then
            if self.step % c.preview_every == 0 or self.step in self.early_previews:
                self.preview()

    def backward(
        self, x0: Tensor, eps: Tensor, t: Tensor, label: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        r"""
        #### The gradient of the loss

        `micro_batch` images at a time: a mean over equal parts is the mean of the parts' means, so
        the gradient is that of the whole batch
        [tested](test:diffusion/ddpm/test_fast.py::test_micro_batches_have_the_batchs_gradient).

        Returns the loss, as the mean over all processes, and the mean squared error of each image.
        """
        m = self.micro_batch
        losses, errors, n = [], [], len(x0) // m
        labels = [None] * n if label is None else label.split(m)
        for i, (x0_i, eps_i, t_i, label_i) in enumerate(
            zip(x0.split(m), eps.split(m), t.split(m), labels, strict=True), 1
        ):
            # Processes average their gradients once, with the last part
            wait = i < n and self.world.size > 1
            with self.wrapped.no_sync() if wait else contextlib.nullcontext():  # type: ignore[operator]
                each, errors_i = losses_of(
                    self.diffusion, x0_i, t_i, eps_i, label_i, self.dataset.levels
                )
                loss = each.mean()
                self.descent.backward(loss / n)
            losses.append(loss.detach())
            errors.append(errors_i)
        return self.world.mean(torch.stack(losses).mean()), torch.cat(errors)

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
        share = share_of_rate(self.c, self.step)
        for group in self.optimizer.param_groups:
            group['lr'] = self.c.learning_rate * share

    def log(self) -> str:
        r"""
        A row for `log.csv` and for the trackers; returns what the progress bar says.

        Only here does the CPU wait for the device.
        """
        row = {
            'step': self.step,
            'learning_rate': self.optimizer.param_groups[0]['lr'],
            **self.window.row(
                self.world.total(self.window.sums), self.c.batch_size, self.world.size
            ),
        }
        row = {name: row[name] for name in COLUMNS}
        if self.world.is_first:
            with self.guests.welcome('log.csv', self.out):
                append_row(self.out / 'log.csv', row)
            self.track(self.step, {k: v for k, v in row.items() if k != 'step'})
        # The row of a last step between two others is taken back when the run goes on
        if self.step % self.c.log_every == 0:
            self.window.forget()
        return f'loss {row["loss"]:.4f} (all-zero guess: 1)'

    def is_stopped(self) -> bool:
        r"""
        Whether all processes stop here; notes, too, whether they save after this step.
        """
        minutes = (time.monotonic() - self.saved_at) / 60
        due = self.world.is_first and minutes >= self.c.save_minutes
        self.stopped_by, self.save_due = self.world.agree(self.stop.number, int(due))
        return self.stopped_by != 0

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
            with self.window.paused(), self.guests.welcome('a sample grid', self.out):
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

    def sample(self, n: int, progress: Progress | None = None) -> Tensor | None:
        r"""
        `n` images from the averaged weights; `None` when a signal came in between.
        """
        c = self.c
        model: EpsModel = for_sampling(
            self.ema.module, self.precision, self.device, channels_last=c.channels_last
        )
        if c.n_classes:
            # Each class in turn
            model = Guided(model, torch.arange(n) % c.n_classes)
        averaged = diffusion_around(model, c)
        steps = min(c.preview_steps, c.n_steps)
        sampler = make_sampler(c.preview_sampler, averaged, steps, clip_x0=True)
        start = sampler.start((n, c.image_channels, c.image_size, c.image_size), seed=0)
        for done, (_, x, _) in enumerate(sampler.chain(*start), 1):
            if self.stop.number:
                return None
            if progress is not None:
                progress.update(done)
        return x

    def state(self, *, alone: bool = False) -> dict[str, Any]:
        r"""
        ### What a checkpoint holds

        * `alone` whether the other processes are not there to be asked for their part
        """
        own = {'random': self.random, 'log': self.window.state().cpu()}
        _, *others = [own] if alone else self.world.of_all(own)
        epoch, position = divmod(self.step * self.c.batch_size, len(self.dataset))
        return {
            'config': option_values(self.c),
            'step': self.step,
            'model': self.model.state_dict(),
            'ema': self.ema.module.state_dict(),
            'ema_updates': int(self.ema.n_averaged),
            'optimizer': self.optimizer.state_dict(),
            'scaler': self.descent.scaler.state_dict(),
            'bad_steps': self.descent.streak,
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
        if self.descent.bad_in_a_row(now=True):
            return
        running.refuse_bad_weights(self)
        state = self.state(alone=alone)
        if not self.world.is_first:
            return
        with self.window.paused():
            # A checkpoint is not to know of rows that a power cut has taken
            log = self.out / 'log.csv'
            if log.is_file():
                with self.guests.welcome('log.csv', self.out):
                    force_to_disk(log)
            # A second one of the same step takes the place of the first
            keep = self.c.keep_checkpoints if self.step > self.saved_step else 1
            checkpoint.save(self.out / checkpoint.FILE_NAME, state, keep=keep)
            self.saved_step, self.saved_at = self.step, time.monotonic()
            if self.step:
                with self.guests.welcome('loss.png', self.out):
                    plot_loss(log, self.out / 'loss.png')

    def restore(self, state: Mapping[str, Any]) -> None:
        r"""
        Go on from a checkpoint.

        With another number of processes the weights, the averages, the order of the data and the
        log go on; the noise of all but the first process is drawn anew.
        """
        source = self.out / checkpoint.FILE_NAME
        running.check_numbers(state, source)
        checkpoint.load_weights(self.model, state['model'], source)
        checkpoint.load_weights(self.ema.module, state['ema'], source)
        self.ema.n_averaged.fill_(state['ema_updates'])
        with running.part_of(source, 'optimizer'):
            # No scaler in files of the first version
            self.descent.restore(state['optimizer'], state.get('scaler'))
        self.step = self.saved_step = state['step']
        with running.part_of(source, 'log'):
            own = running.own_part(state, self.world)
            if 'log' in own:
                self.window.restore(own['log'])
        if 'random' not in own:
            checkpoint.seed_everything(image_seed(self.c.seed + self.step, self.world.rank))
        self.random = own['random'] if 'random' in own else checkpoint.random_states()
        with running.part_of(source, 'random'):
            checkpoint.set_random_states(self.random)


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
    preset = arguments['preset'] or 'digits'
    if preset not in PRESETS:
        raise ValueError(nearest(preset, list(PRESETS), 'preset'))
    given = {k: v for k, v in arguments.items() if k in option_types(Configs)}
    if state is None:
        return make_configs({**PRESETS[preset], **given})
    kept = running.kept_options(state, option_values(Configs()))
    # What the file says is looked at first: it may be no option's value at all
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
    Say where a run that is resumed differs from the preset that was named: the run decides.
    """
    of_preset = {**option_values(Configs()), **PRESETS[preset]}
    differing = [
        f'{k}={getattr(c, k)} (not {v})'
        for k, v in of_preset.items()
        if k not in FREE_ON_RESUME and getattr(c, k) != v
    ]
    if differing:
        print(f'note: the run keeps its own options: {", ".join(differing)}', file=sys.stderr)


def check_shapes(c: Configs, state: Mapping[str, Any], source: Path) -> None:
    r"""
    A `ValueError` unless the weights of a checkpoint are those of its configuration; of shapes
    alone, so that no configuration gets more memory than its weights have.
    """
    for name in ('model', 'ema'):
        with torch.device('meta'):
            model = network_of(c)
        checkpoint.fitting_weights(model, wanted(state, name, Mapping, source), source)


def check_model(c: Configs, device: torch.device) -> None:
    r"""
    Raises `ValueError` or `ShortChainWarning` for a model that cannot be built, compiled or
    sampled from.
    """
    check_image_size(c.image_size, len(c.ch_mults))
    if c.compile:
        check_compiler(device)
    with warnings.catch_warnings():
        # A chain that cannot be sampled from is not worth hours of training
        warnings.simplefilter('error', ShortChainWarning)
        build(c)


def prepare(
    arguments: Mapping[str, Any], out: Path, world: World, held: contextlib.ExitStack
) -> Trainer:
    r"""
    Everything that can go wrong before the first step, with nothing written yet.

    * `held` what has to be given back in the end, such as the lock on the folder
    """
    world.join()
    resume = arguments['resume'] or (world.restarts > 0 and checkpoint.exists(out))
    state = None
    if world.is_first:
        state = running.open_folder(out, resume, held, look_only=arguments['dry_run'])
    state = world.of_first(state)
    c = configs_of(arguments, state)
    if state is not None and arguments['preset'] and world.is_first:
        note_preset(c, arguments['preset'])
    device = world.use(pick_device(c.device, world.local_rank))
    if state is not None:
        check_shapes(c, state, out / checkpoint.FILE_NAME)
    check_model(c, device)
    # labml rewrites its line in place, which a log file does not want
    quiet = not (sys.stdout.isatty() and world.is_first)
    with monit.section(f'Read {c.dataset}', is_silent=quiet):
        dataset = data_of(c)
    if state is not None:
        running.refuse_other_data(dataset, wanted({'data': {}, **state}, 'data', Mapping, out))
    trainer = Trainer(c, out, dataset, device, world)
    if state is not None:
        trainer.restore(state)
    return trainer


@command
def main(argv: Sequence[str] | None = None) -> int:
    r"""
    The command. Exit status: 0 done, 1 the run failed, 2 bad input found at the door, and 128 plus
    the signal's number when one has stopped it.
    """
    arguments = vars(parser().parse(sys.argv[1:] if argv is None else argv))
    out = Path(arguments['out'] or Path('runs', arguments['preset'] or 'digits'))
    with contextlib.ExitStack() as held:
        try:
            trainer = prepare(arguments, out, World(), held)
            running.announce(trainer)
            if arguments['dry_run']:
                return 0
            if trainer.saved_step >= trainer.c.steps:
                print(f'all {trainer.step:,} steps are done: give more with --steps')
                return 0
            running.start_folder(trainer, held)
        except (ValueError, OSError, ImportError, ShortChainWarning) as error:
            if arguments['debug']:
                raise
            print(f'error: {error}', file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print('\ngiven up before the first step', file=sys.stderr)
            return 130
        try:
            return running.run(trainer)
        except KeyboardInterrupt:
            print(f'\ngiven up at step {trainer.step:,}, saved step {trainer.saved_step:,}')
            return 130
        except Exception:
            traceback.print_exc()
            return 1


if __name__ == '__main__':
    sys.exit(main())
