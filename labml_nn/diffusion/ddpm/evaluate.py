r"""
---
title: Sample from a trained DDPM
summary: Samples, the chain as an animation, interpolation between two images, and the command line.
---

# Sample from a trained DDPM

    python -m labml_nn.diffusion.ddpm.evaluate sample runs/digits
    python -m labml_nn.diffusion.ddpm.evaluate animate runs/digits
    python -m labml_nn.diffusion.ddpm.evaluate interpolate runs/digits --images 0 1
    python -m labml_nn.diffusion.ddpm.evaluate sample runs/digits --sampler ddim --steps 50
    python -m labml_nn.diffusion.ddpm.evaluate sample runs/digits_conditional --label 7 --guidance 2
    python -m labml_nn.diffusion.ddpm.evaluate likelihood runs/digits
    python -m labml_nn.diffusion.ddpm.evaluate metrics runs/digits
    python -m labml_nn.diffusion.ddpm.evaluate check runs/digits

The checkpoint describes itself, so there is nothing else to say. The same in Python:

    from labml_nn.diffusion.ddpm.evaluate import Sampler
    sampler = Sampler.from_run('runs/digits')
    images = sampler.sample(16, seed=0)  # [16, channels, height, width] in [-1, 1]

Same seed and same place in the set, same image: picture 3 of 16 is picture 3 of 4.

> **Will another sampler need another training?** No. Training knows nothing of the chain that is
> run backwards, only of $\epsilon_\theta$ at each $t$. So the default is the best of those that are
> fast, 20 steps of [DPM-Solver++](../samplers/dpm_solver.html); `--sampler ddpm` takes all steps,
> as the paper does. [Compared](../samplers/index.html).

What [`metrics`](metrics.html) and [`check`](check.html) measure, and what to do if
[the samples look wrong](troubles.html), is on pages of their own.
"""

import contextlib
import io
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from labml_nn.cli.messages import wanted
from labml_nn.cli.options import Parser, parse_value
from labml_nn.cli.output import command
from labml_nn.cli.progress import Tell, told
from labml_nn.compute.device import describe, pick_device
from labml_nn.compute.distributed import World
from labml_nn.compute.precision import for_sampling, pick_precision
from labml_nn.data.datasets import class_number, to_unit_range
from labml_nn.data.decode import decode
from labml_nn.data.pictures import grid, save_animation, save_png, to_uint8
from labml_nn.diffusion.ddpm import DenoiseDiffusion, check, coding, forerunner, metrics
from labml_nn.diffusion.ddpm.configs import Configs, build, make_configs, network_of
from labml_nn.diffusion.ddpm.experiment import make_sampler
from labml_nn.diffusion.ddpm.unet import UNet
from labml_nn.diffusion.ddpm.utils import SeededNoise, check_label, check_seed
from labml_nn.diffusion.guidance import NO_LABEL, Guided
from labml_nn.diffusion.samplers import SAMPLERS
from labml_nn.runs import checkpoint

# The sampler when none is named: the best of those that are fast, by measurement
FAST = 'dpm'

# What single samplers can be told on the command line
SAMPLER_OPTIONS: dict[str, tuple[type, str]] = {
    'spacing': (str, 'which steps: leading, linspace, trailing or quadratic (trailing)'),
    'variance': (str, 'ddpm: of a step back, beta, beta_tilde or learned'),
    'eta': (float, 'ddim: how much noise, 0 to 1 (0)'),
    'start': (str, 'pndm: how to begin, plms or prk (plms)'),
    'order': (int, 'dpm: 1 or 2 (2)'),
    'sde': (bool, 'dpm: the form with noise, true or false (false)'),
}

# What is written as something else than .png
ENDINGS = {'animate': ('.gif', '.mp4'), 'metrics': ('.json',)}

# What the counts on the command line are called in Python
NUMBERS = {'n': 'samples', 'frames': 'frames'}

# How many images go through the network at a time
BATCH = 256


# No other process takes part, unless torchrun has started the command
ALONE = World({})


class Sampler(forerunner.Calls):
    r"""
    ## Sampler

    * `diffusion` the model with its schedule
    * `image_channels`, `image_size` of the images it was trained on
    * `device` where to compute; where the model is when not given
    * `clip_x0` keep $\hat x_0$ within $[-1, 1]$ at every step
    * `sampler` the way back: `ddpm` (Algorithm 2), `ddim`, `pndm` or `dpm`, as the page of
      [samplers](../samplers/index.html) compares them
    * `steps` how many; when not given, all for `ddpm` and 20 for the others
    * `labels` for a [`Guided`](../guidance.html) model, the classes to draw in turn: image $i$ is
      of number $i$ modulo their number. When not given, the model stays at what it was told
    * `options` of that sampler, such as `spacing` or `eta`

    > **Departure.** Clipping is on here, as in the authors' released code, and not in Algorithm 2.
    > Images have no values outside $[-1, 1]$; an $\hat x_0$ that has would pull the chain there.

    ![Eight samples with clipping, and below them eight from the same noise without: mostly the same
    digits, some differently drawn. Below, the largest value of the guess along the chain: without
    clipping ten at the start, two and a half at t = 800, and still a little above one to the end;
    with it, one throughout.](figure:ddpm.py::clipping)
    """

    def __init__(
        self,
        diffusion: DenoiseDiffusion,
        image_channels: int,
        image_size: int,
        device: torch.device | str | None = None,
        *,
        clip_x0: bool = True,
        sampler: str = FAST,
        steps: int | None = None,
        labels: Sequence[int] | None = None,
        **options: Any,
    ):
        self.diffusion = diffusion if device is None else diffusion.to(device)
        self.reverse = make_sampler(sampler, diffusion, steps, clip_x0=clip_x0, **options)
        self.image_shape = (image_channels, image_size, image_size)
        self.clip_x0 = clip_x0
        self.device = diffusion.beta.device
        self.n_steps = diffusion.n_steps
        self.world = ALONE
        self.labels = labels

    @classmethod
    def from_run(
        cls,
        run: str | Path,
        *,
        weights: str = 'ema',
        device: torch.device | str = 'auto',
        label: int | Sequence[int | str] | None = None,
        guidance: float | None = None,
        precision: str = 'fp32',
        **options: Any,
    ) -> 'Sampler':
        r"""
        The sampler of a run's folder or a checkpoint file.

        * `weights` `ema`, the averaged ones, or `raw`, the last ones
        * `label` for a run with classes: the class to draw, or several, of which image $i$ has
          number $i$ modulo their number; -1 for none. When not given, each class in turn. The
          classes of a folder have names too
        * `guidance` [$w$](../guidance.html), how far they are pushed towards it: 0 when not given
        * `precision` of the network, as in [training](experiment.html): fp32, bf16, fp16 or auto
        * `options` `sampler`, `steps`, `clip_x0` and the sampler's own

        Raises `FileNotFoundError` or `ValueError` for a checkpoint that is missing, damaged or not
        ours, and for labels that the run has not been trained with.
        """
        if weights not in ('ema', 'raw'):
            raise ValueError(f'weights={weights!r} is not known: use ema or raw')
        state = checkpoint.load(run)
        c = make_configs(wanted(state, 'config', Mapping, run))
        kept = wanted(state, 'ema' if weights == 'ema' else 'model', Mapping, run)
        # Of shapes alone, so that no configuration gets more memory than the weights have
        with torch.device('meta'):
            checkpoint.fitting_weights(network_of(c), kept, run)
        diffusion = build(c)
        model: UNet = diffusion.eps_model  # type: ignore[assignment]
        checkpoint.load_weights(model, kept, run)
        device = pick_device(device) if isinstance(device, str) else device
        network: nn.Module = for_sampling(model, pick_precision(precision, device), device)
        names = wanted({'data': {}, **state}, 'data', Mapping, run).get('classes', [])
        of_class = partial(class_number, classes=names, none=NO_LABEL)
        number = label if isinstance(label, int | None) else [of_class(str(of)) for of in label]
        labels = labels_of(c, number, guidance)
        if labels is not None:
            network = Guided(network, NO_LABEL, guidance or 0.0)
        diffusion.eps_model = network
        return cls(diffusion.to(device), c.image_channels, c.image_size, labels=labels, **options)

    def p_x0(self, xt: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        r"""
        #### $\hat x_0$ for a guess of the noise (see [`predict_x0`](index.html))
        """
        return self.diffusion.predict_x0(xt, t, eps)

    def p_sample(
        self, xt: Tensor, t: Tensor, eps: Tensor | None = None, *, z: Tensor | None = None
    ) -> Tensor:
        r"""
        #### Sample $x_{t-1}$ from $p_\theta(x_{t-1}|x_t)$ (see [`p_sample`](index.html))

        * `eps` a guess of the noise to go by; the model's when not given
        """
        if eps is not None:
            return forerunner.step_given(self, xt, t, eps, z)
        return self.diffusion.p_sample(xt, t, z=z, clip_x0=self.clip_x0)

    def denoise(
        self, xt: Tensor, noise: SeededNoise, n_steps: int | None = None, tell: Tell | None = None
    ) -> Tensor:
        r"""
        Undo the first `n_steps` steps (all of them when not given), from `xt` to an image.
        """
        for t, xt, _ in self.diffusion.p_chain(xt, noise, n_steps=n_steps, clip_x0=self.clip_x0):
            if tell is not None:
                tell(t)
        return xt

    def sample(
        self, n_samples: int = 16, seed: int = 0, *, first: int = 0, tell: Tell | None = None
    ) -> Tensor:
        r"""
        ### Samples

        * `n_samples` how many; they go through the network `BATCH` at a time
        * `seed` image $i$ depends on `(seed, first + i)` and on nothing else
        * `tell` is called after each step of the network

        Returns `[n_samples, channels, height, width]` in $[-1, 1]$.
        """
        if n_samples < 1:
            raise ValueError(f'n_samples={n_samples}: ask for at least one')
        # Under torchrun, this process's share of them; the seeds are those of the whole
        share = self.world.part(n_samples)
        images = [torch.empty(0, *self.image_shape, device=self.device)]
        for at in range(first + share.start, first + share.stop, BATCH):
            n = min(BATCH, first + share.stop - at)
            # $x_T \sim \mathcal N(\mathbf 0, \mathbf I)$
            self.ask_for(at, n)
            start = self.reverse.start((n, *self.image_shape), seed, first=at)
            for t, xt, _ in self.reverse.chain(*start):
                if tell is not None:
                    tell(t)
            images.append(xt)
        return self.world.joined(torch.cat(images))

    def ask_for(self, first: int, n: int, *, one: bool = False) -> None:
        r"""
        Tell the model which classes images `first .. first + n - 1` are to be of.

        * `one` whether they are stages of one image: if several classes take turns, it is of none
        """
        if self.labels is not None:
            labels = self.labels if not one or len(self.labels) == 1 else [NO_LABEL]
            model: Guided = self.diffusion.eps_model  # type: ignore[assignment]
            model.label = torch.tensor([labels[i % len(labels)] for i in range(first, first + n)])

    def sample_animation(
        self,
        n_frames: int = 100,
        n_samples: int = 1,
        seed: int = 0,
        *,
        create_video: bool | None = None,
        tell: Tell | None = None,
    ) -> list[Tensor]:
        r"""
        ### What the network aims at, along the chain (figure 6 of the paper)

        Early $\hat x_0$s are a blur: the mean of all images that the noise may become. Large shapes
        come first, detail last.

        ![Three samples, two rows each, from t = 901 to 1. The upper row is the noisy image, in
        which a digit appears at about 300. The lower one is the guess: at 901 as noisy as the
        image, then a grey blur, a shape at 400, a digit at 200.](figure:ddpm.py::chain)

        Returns `n_frames` of $\hat x_0$, `[n_samples, channels, height, width]` each, evenly spaced
        over the chain; the last one is the image. More frames than steps are as many as steps.
        `create_video` is [of older code](moving.html).
        """
        if isinstance(n_samples, bool):
            n_samples, create_video = 1, bool(n_samples)
        n_steps = self.reverse.n_steps
        wanted = set(frame_steps(n_steps, n_frames))
        self.ask_for(0, n_samples)
        start = self.reverse.start((n_samples, *self.image_shape), seed)
        frames = []
        left = reversed(range(n_steps))  # steps that are still to be taken
        for i, (t, _, x0_hat) in zip(left, self.reverse.chain(*start), strict=True):
            if i in wanted:
                frames.append(x0_hat)
            if tell is not None:
                tell(t)
        return self.show(frames, create_video)

    def interpolate(
        self,
        x1: Tensor,
        x2: Tensor,
        lambda_: float | Sequence[float],
        t_: int = 500,
        seed: int = 0,
        *,
        tell: Tell | None = None,
    ) -> Tensor:
        r"""
        ### Between two images (figure 8 of the paper)

        Noise both for `t_` steps, mix, and undo the same `t_` steps:

        $$\bar x_t = (1-\lambda)\,x_t + \lambda\,x'_t, \qquad x_t \sim q(x_t|x_0),\
        x'_t \sim q(x_t|x'_0)$$

        * `x1`, `x2` images, `[channels, height, width]` in $[-1, 1]$
        * `lambda_` one or several $\lambda$ in $[0, 1]$: 0 is `x1`, 1 is `x2`
        * `t_` how many steps, `0 .. n_steps`. With few, the mix of the pixels shows through; with
          many, the images in between are new ones, and the ends no longer `x1` and `x2`

        > **One noise for both.** With $\epsilon$ drawn twice, the mix halfway has noise of variance
        > $\frac14 + \frac14$, half of what the network expects at this step, and the result is
        > grey. With the same $\epsilon$ the variance is right for every $\lambda$
        > [tested](test:diffusion/ddpm/test_evaluate.py::test_interpolation_keeps_the_noise_level).
        > And with the same $z$s on the way back for every $\lambda$, nothing but $\lambda$ changes
        > along a row.

        ![From a three to a seven in nine mixtures, a row each for 60, 120, 250 and 500 steps. With
        60 the ends are the two digits and the middle is both at once; with 250 each is a digit of
        its own; with 500 nothing is left of the two, and the row hardly
        changes.](figure:ddpm.py::interpolation)

        Returns `[n_lambda, channels, height, width]`; for batches of images and one `lambda_`, an
        image of each pair.
        """
        if x1.ndim == 4:
            return forerunner.between_batches(self, x1, x2, lambda_, t_, seed, tell)
        lambdas = torch.tensor([lambda_] if isinstance(lambda_, int | float) else list(lambda_))
        self.check_interpolation(x1, x2, lambdas, t_)
        n = len(lambdas)
        self.ask_for(0, n, one=True)
        noise = SameNoise(n, seed)
        pair = torch.stack([x1, x2]).to(self.device)
        if t_ > 0:
            # `t_` steps end at index `t_ - 1`
            t = torch.full((2,), t_ - 1, device=self.device)
            eps = noise((n, *self.image_shape), self.device)[:1].expand(2, -1, -1, -1)
            pair = self.diffusion.q_sample(pair, t, eps)
        weight = lambdas.to(self.device)[:, None, None, None]
        mixed = (1 - weight) * pair[0] + weight * pair[1]  # [n_lambda, channels, height, width]
        return self.denoise(mixed, noise, t_, tell)

    def interpolate_animate(
        self,
        x1: Tensor,
        x2: Tensor,
        n_frames: int = 25,
        t_: int = 500,
        seed: int = 0,
        *,
        create_video: bool | None = None,
        tell: Tell | None = None,
    ) -> list[Tensor]:
        r"""
        ### From one image to the other

        Returns `n_frames` images, `[1, channels, height, width]` each, $\lambda$ from 0 to 1.
        `create_video` is [of older code](moving.html).
        """
        if isinstance(seed, bool):
            seed, create_video = 0, bool(seed)
        lambdas = torch.linspace(0, 1, n_frames).tolist()
        frames = list(self.interpolate(x1, x2, lambdas, t_, seed, tell=tell).split(1))
        return self.show(frames, create_video)

    def check_interpolation(self, x1: Tensor, x2: Tensor, lambdas: Tensor, t_: int) -> None:
        r"""
        A `ValueError` unless the images fit the model and the numbers their ranges.
        """
        for name, x in (('x1', x1), ('x2', x2)):
            if tuple(x.shape) != self.image_shape:
                raise ValueError(
                    f'{name} has shape {list(x.shape)}: this model needs {list(self.image_shape)}'
                )
        if not 0 <= t_ <= self.n_steps:
            raise ValueError(f't_={t_}: it counts steps, from 0 to {self.n_steps}')
        if not bool(((lambdas >= 0) & (lambdas <= 1)).all()):
            raise ValueError(f'lambda={lambdas.tolist()} must lie in [0, 1]')


def labels_of(
    c: Configs, label: int | Sequence[int] | None, guidance: float | None
) -> list[int] | None:
    r"""
    The classes that a run is asked for, in turn; `None` for a run without classes.

    Raises `ValueError` for a class that the run has not, and for guidance without what it needs.
    """
    if not c.n_classes:
        for name, value in (('label', label), ('guidance', guidance)):
            if value is not None:
                raise ValueError(
                    f'{name}={value}: this run was trained without labels. Train one that is told '
                    f'them, such as --preset digits_conditional'
                )
        return None
    if guidance and c.p_uncond == 0:
        raise ValueError(
            f'guidance={guidance:g}: this run was trained with p_uncond=0, so it does not know '
            f'what an image without a label is: leave guidance out, or train with p_uncond=0.1'
        )
    labels = range(c.n_classes) if label is None else [label] if isinstance(label, int) else label
    if not len(labels):
        raise ValueError('no labels were given: name at least one class, or -1 for none')
    check_label(torch.tensor(labels), len(labels), c.n_classes)
    return list(labels)


class SameNoise(SeededNoise):
    r"""
    Noise that is the same for all `n` images: that of image 0.
    """

    def __init__(self, n: int, seed: int):
        super().__init__(1, seed)
        self.n = n

    def __call__(self, shape: torch.Size | tuple[int, ...], device: torch.device | str) -> Tensor:
        return super().__call__((1, *shape[1:]), device).expand(self.n, *shape[1:])


def frame_steps(n_steps: int, n_frames: int) -> list[int]:
    r"""
    The steps of a chain whose $\hat x_0$ are shown: evenly spaced, falling, the last one being 0.
    """
    if n_frames < 1:
        raise ValueError(f'n_frames={n_frames}: ask for at least one')
    n_frames = min(n_frames, n_steps)
    return [n_steps - (i + 1) * n_steps // n_frames for i in range(n_frames)]


# ## Command line
def parser() -> Parser:
    r"""
    `sample`, `animate`, `interpolate`, `metrics`, `check`, and those of [coding](coding.html).
    """
    p = Parser(
        prog='python -m labml_nn.diffusion.ddpm.evaluate',
        description='Sample from a trained DDPM.',
    )
    commands = p.add_subparsers(dest='command', required=True, metavar='COMMAND')
    for name, text in (
        ('sample', 'a grid of samples, as PNG'),
        ('animate', 'what the network aims at along the chain, as GIF or MP4, and as a strip'),
        ('interpolate', 'between two images, at several numbers of steps'),
        *coding.HELP.items(),
        ('metrics', 'Fréchet distance, inception score, precision and recall'),
        ('check', 'what samples tell about what may be wrong'),
    ):
        add_command(commands, name, text)
    return p


def add_command(commands: Any, name: str, text: str) -> None:
    r"""
    One command with the options that all share, and its own.
    """
    p = commands.add_parser(name, help=text, description=text)
    p.add_argument('run', type=Path, help='the folder of a run, or a checkpoint file')
    p.add_argument('--seed', type=int, default=0, help='of the noise (0)')
    p.add_argument('--weights', default='ema', help='ema, the averaged ones, or raw (ema)')
    p.add_argument('--device', default='auto', help='auto, cpu, cuda, cuda:1 … or mps (auto)')
    p.add_argument('--precision', default='fp32', help='fp32, bf16, fp16 or auto (fp32)')
    p.add_argument('--out', type=Path, help='where to write (into the folder of the run)')
    p.add_argument('--debug', action='store_true', help='show where an error came from')
    if name != 'likelihood':  # which is of images of any class
        add_label_options(p)
    if name not in ('interpolate', *coding.HELP):
        add_sampler_options(p)
    coding.add_options(p, name)
    if name == 'sample':
        p.add_argument('--n', type=int, default=16, help='how many (16)')
        p.add_argument('--separate', action='store_true', help='one PNG each, in the folder --out')
    if name == 'animate':
        p.add_argument('--n', type=int, default=16, help='how many images side by side (16)')
        p.add_argument('--frames', type=int, default=60, help='frames of the animation (60)')
    if name == 'metrics':
        metrics.add_metrics_options(p)
    if name == 'check':
        check.add_check_options(p)
    if name == 'interpolate':
        add_interpolate_options(p)


def add_interpolate_options(p: Any) -> None:
    r"""
    What `interpolate` can be told.
    """
    p.add_argument(
        '--images', nargs=2, default=['0', '1'], metavar='IMAGE',
        help='two images: numbers in the data set of the run, or files (0 1)',
    )  # fmt: skip
    p.add_argument('--n', type=int, default=9, help='images a row, the ends included (9)')
    p.add_argument(
        '--t', type=int, nargs='+', metavar='STEPS',
        help='steps to noise and undo, one row each (T/16 T/8 T/4 T/2)',
    )  # fmt: skip
    p.add_argument('--data_root', default=None, help='where the data set is (as in training)')


def add_label_options(p: Any) -> None:
    r"""
    What a run with classes is asked for.
    """
    p.add_argument(
        '--label', nargs='+', metavar='CLASS',
        help='of a run with classes: one or several in turn, or none (all in turn)',
    )  # fmt: skip
    p.add_argument('--guidance', metavar='W', help='how far to push towards the class (0)')


def add_sampler_options(p: Any) -> None:
    r"""
    Which sampler, how many steps, and what the sampler is told.
    """
    p.add_argument('--sampler', default=FAST, help=f'one of {", ".join(SAMPLERS)} ({FAST})')
    p.add_argument('--steps', type=int, help='calls of the network (ddpm: all, others: 20)')
    for option, (kind, text) in SAMPLER_OPTIONS.items():
        p.add_argument(f'--{option}', help=text, metavar=kind.__name__.upper())


def sampler_options(a: Any) -> dict[str, Any]:
    r"""
    What the command line says of the sampler.
    """
    asked: dict[str, Any] = {}
    if getattr(a, 'label', None) is not None:
        asked['label'] = a.label  # the run knows the names
    if getattr(a, 'guidance', None) is not None:
        asked['guidance'] = parse_value(a.guidance, float)
    if not hasattr(a, 'sampler'):  # these commands are ancestral
        return {'sampler': 'ddpm', **asked}
    told = {name: getattr(a, name) for name in SAMPLER_OPTIONS if getattr(a, name) is not None}
    options = {name: parse_value(text, SAMPLER_OPTIONS[name][0]) for name, text in told.items()}
    return {'sampler': a.sampler, 'steps': a.steps, **options, **asked}


@command
def main(argv: Sequence[str] | None = None) -> int:
    r"""
    The command. Exit status: 0 done, 1 failed, 2 bad input.
    """
    a = parser().parse(sys.argv[1:] if argv is None else argv)
    world = World()
    world.join()
    with contextlib.ExitStack() as held:
        if not world.is_first:
            # The others take their share of the samples, and one writes and speaks for all
            held.enter_context(contextlib.redirect_stdout(io.StringIO()))
            folder = held.enter_context(tempfile.TemporaryDirectory())
            a.out = Path(folder, a.out.name if a.out is not None else 'out')
        return carry_out(a, world)


def carry_out(a: Any, world: World) -> int:
    r"""
    Do what the command line says. Returns the exit status.
    """
    try:
        check_numbers(a)
        options = sampler_options(a)
        device = world.use(pick_device(a.device, world.local_rank))
        how = {'weights': a.weights, 'precision': a.precision, 'device': device}
        sampler = Sampler.from_run(a.run, **how, **options)
        sampler.world = world
        if getattr(a, 'label', None) is not None:
            a.label = sampler.labels  # pictures note the numbers
        if a.out is not None and world.is_first:
            check_out(a)
        kind = 'averaged (EMA)' if a.weights == 'ema' else 'raw, not averaged'
        print(
            f'{checkpoint.find(a.run)}: {kind} weights, seed {a.seed}, {describe(sampler.device)}'
        )
        for path in COMMANDS[a.command](sampler, a):
            print(path)
    except (ValueError, OSError, ImportError) as error:
        if a.debug:
            raise
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('\ngiven up; nothing was written', file=sys.stderr)
        return 130
    return 0


def check_numbers(a: Any) -> None:
    r"""
    A `ValueError` unless the numbers that all commands share make sense.
    """
    check_seed(a.seed)
    for name in ('n', 'frames'):
        value = getattr(a, name, None)
        if value is not None and value < 1:
            raise ValueError(f'n_{NUMBERS[name]}={value}: ask for at least one')


def check_out(a: Any) -> None:
    r"""
    A `ValueError` unless `--out` can be written, before the work; its folder is made.
    """
    is_folder = getattr(a, 'separate', False)
    endings = ENDINGS.get(a.command, ('.png',))
    if not is_folder and a.out.suffix.lower() not in endings:
        raise ValueError(f'--out {a.out}: {a.command} is written as {" or ".join(endings)}')
    if not is_folder and a.out.is_dir():
        raise ValueError(f'--out {a.out} is a folder: name a file')
    folder = a.out if is_folder else a.out.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ValueError(f'--out {a.out}: {folder} is a file, need a folder there') from None


def folder_of(run: Path) -> Path:
    r"""
    The folder of a run, whether it or its checkpoint was named.
    """
    return checkpoint.find(run).parent


def about(a: Any, **more: object) -> dict[str, object]:
    r"""
    What is kept inside each picture: how to make it again.
    """
    options = {k: v for k, v in sampler_options(a).items() if v is not None}
    return {'run': a.run, 'weights': a.weights, **options, 'seed': a.seed, **more}


def sample_command(sampler: Sampler, a: Any) -> Iterator[Path]:
    r"""
    `sample`: a grid, or single pictures at the model's own resolution.
    """
    if a.separate and a.out is None:
        raise ValueError('--separate writes many files: give the folder for them with --out')
    bar, tell = told(-(-a.n // BATCH) * sampler.reverse.n_steps)
    images = sampler.sample(a.n, a.seed, tell=tell)
    bar.close()
    if not a.separate:
        out = a.out or folder_of(a.run) / f'sample_{a.weights}_seed{a.seed}.png'
        yield save_png(out, grid(images), about(a, n=a.n))
        return
    pixels = to_uint8(images)
    a.out.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(pixels):
        name = f'sample_seed{a.seed}_{i:05}.png'
        save_png(a.out / name, picture, about(a, index=i))
    yield a.out


def animate_command(sampler: Sampler, a: Any) -> Iterator[Path]:
    r"""
    `animate`: the animation, and ten of its frames as a strip.
    """
    out = a.out or folder_of(a.run) / f'animate_{a.weights}_seed{a.seed}.gif'
    bar, tell = told(sampler.reverse.n_steps)
    frames = sampler.sample_animation(a.frames, a.n, a.seed, tell=tell)
    bar.close()
    yield save_animation(out, [grid(f) for f in frames])
    at = [round(i * (len(frames) - 1) / 9) for i in range(10)]
    # A row an image, the chain from left to right
    strip = torch.stack([frames[i] for i in at], dim=1)[:8].flatten(0, 1)
    yield save_png(out.with_suffix('.png'), grid(strip, len(at)), about(a, frames=at))


def interpolate_command(sampler: Sampler, a: Any) -> Iterator[Path]:
    r"""
    `interpolate`: a row for each number of steps, the two images at its ends.
    """
    if a.n < 2:
        raise ValueError(f'--n {a.n}: a row has at least its two ends')
    x1, x2 = pair(sampler, a)
    T = sampler.n_steps
    steps = a.t or [max(1, round(T * share)) for share in (1 / 16, 1 / 8, 1 / 4, 1 / 2)]
    lambdas = torch.linspace(0, 1, a.n).tolist()
    for t_ in steps:
        sampler.check_interpolation(x1, x2, torch.tensor(lambdas), t_)
    bar, tell = told(sum(steps))
    rows = []
    for t_ in steps:
        row = sampler.interpolate(x1, x2, lambdas, t_, a.seed, tell=tell).cpu()
        rows += [x1[None], row, x2[None]]
    bar.close()
    out = a.out or folder_of(a.run) / f'interpolate_{a.weights}_seed{a.seed}.png'
    yield save_png(out, grid(torch.cat(rows), a.n + 2), about(a, images=a.images, t=steps))


def pair(sampler: Sampler, a: Any) -> list[Tensor]:
    r"""
    The two images that were named, by number in the run's data set or by file.
    """
    c = make_configs(checkpoint.load(a.run)['config'])
    images, dataset = [], None
    for name in a.images:
        if name.isdigit() and not Path(name).exists():
            dataset = dataset or metrics.run_dataset(c, a.data_root)
            if int(name) >= len(dataset):
                raise ValueError(f'image {name}: {c.dataset} has 0 to {len(dataset) - 1}')
            images.append(dataset[int(name)][0])
        elif not Path(name).is_file():
            raise FileNotFoundError(
                f'{Path(name).absolute()} does not exist: give a number or file'
            )
        else:
            channels, size, _ = sampler.image_shape
            pixels = decode(Path(name), size, channels, faces=c.dataset == 'celeba')
            images.append(to_unit_range(pixels))
    return images


COMMANDS: dict[str, Callable[[Sampler, Any], Iterator[Path]]] = {
    'sample': sample_command,
    'animate': animate_command,
    'interpolate': interpolate_command,
    **coding.COMMANDS,
    'metrics': metrics.metrics_command,
    'check': check.check_command,
}

if __name__ == '__main__':
    sys.exit(main())
