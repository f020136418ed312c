r"""
---
title: The sampler of a run
summary: Samples of a trained model, the chain as an animation, and what lies between two images.
---

# The sampler of a run

    from labml_nn.diffusion.ddpm.sampler import Sampler
    sampler = Sampler.from_run('runs/digits')
    images = sampler.sample(16, seed=0)  # [16, channels, height, width] in [-1, 1]

With the same model and sampler, an image depends only on the seed and on its number: the third of
16 images is the same as the third of 4. The command line for all this is
[evaluate](evaluate.html).

> **Will another sampler need another training?** No. Training knows nothing of the chain that is
> run backwards, only of $\epsilon_\theta$ at each $t$. So the default is the best of those that are
> fast, 20 steps of [DPM-Solver++](../samplers/dpm_solver.html). [Compared](../samplers/index.html).

A run with classes has a model [that is told them](../guidance.html). Each batch is drawn by a
sampler of its own, whose model has been told the classes of this batch; nothing is set that the
next batch would find
[tested](test:diffusion/ddpm/test_evaluate.py::test_what_one_call_is_told_is_unknown_to_the_next).
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from labml_nn.cli.messages import wanted
from labml_nn.cli.progress import Tell
from labml_nn.compute.device import pick_device
from labml_nn.compute.distributed import World
from labml_nn.compute.precision import for_sampling, pick_precision
from labml_nn.data.datasets import class_number
from labml_nn.diffusion.ddpm import DenoiseDiffusion, forerunner
from labml_nn.diffusion.ddpm.configs import Configs, build, make_configs, network_of
from labml_nn.diffusion.ddpm.utils import SeededNoise, check_label
from labml_nn.diffusion.distillation import METHODS, learned
from labml_nn.diffusion.editing import Chain, Edit, Inpaint, nearest_start
from labml_nn.diffusion.guidance import NO_LABEL, Guided
from labml_nn.diffusion.samplers import ReverseSampler, make_sampler
from labml_nn.runs import checkpoint

# The sampler when none is named: the best of those that are fast, by measurement
FAST = 'dpm'

# How many images go through the network at a time
BATCH = 256

# No other process takes part, unless torchrun has started the command
ONE_PROCESS = World({})


class Sampler(forerunner.Calls):
    r"""
    ## Sampler

    * `diffusion` the model with its schedule
    * `image_channels`, `image_size` of the images it was trained on
    * `device` where to compute; where the model is when not given
    * `clip_x0` keep $\hat x_0$ within $[-1, 1]$ at every step
    * `sampler` the way back by its name among the [samplers](../samplers/index.html), such as
      `ddpm` (Algorithm 2) or `dpm`
    * `steps` how many; when not given, all for `ddpm`, and for the others 20 at most
    * `labels` for a [`Guided`](../guidance.html) model, the classes to draw in turn: image $i$ is
      of number $i$ modulo their number. When not given, the model stays at what it was told
    * `options` of that sampler, such as `spacing` or `eta`

    > **Departure.** Clipping is on here, as in the authors' released code, and not in Algorithm 2.
    > Images have no values outside $[-1, 1]$; an $\hat x_0$ that has would pull the chain there.

    ![Eight samples with clipping, and below them eight from the same noise without: mostly the same
    digits, some differently drawn. Below, the largest value of the guess along the chain: without
    clipping ten at the start, two and a half at t = 800, and still a little above one to the end;
    with it, one throughout.](figure:ddpm.py::clipping
    "With and without clipping, from the same noise")
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
        self.name = sampler
        self.reverse = make_sampler(sampler, diffusion, steps, clip_x0=clip_x0, **options)
        self.image_shape = (image_channels, image_size, image_size)
        self.clip_x0 = clip_x0
        self.device = diffusion.beta.device
        self.n_steps = diffusion.n_steps
        self.world = ONE_PROCESS
        self.labels = labels

    @classmethod
    def from_run(
        cls,
        run: str | Path,
        *,
        weights: str = 'ema',
        device: torch.device | str = 'auto',
        label: int | str | Sequence[int | str] | None = None,
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
        model: nn.Module = diffusion.eps_model  # type: ignore[assignment]
        checkpoint.load_weights(model, kept, run)
        device = pick_device(device) if isinstance(device, str) else device
        network: nn.Module = for_sampling(model, pick_precision(precision, device), device)
        names = wanted({'data': {}, **state}, 'data', Mapping, run).get('classes', [])
        of_class = partial(class_number, classes=names, none=NO_LABEL)
        label = of_class(label) if isinstance(label, str) else label
        number = label if isinstance(label, int | None) else [of_class(str(of)) for of in label]
        labels = labels_of(c, number, guidance)
        if labels is not None:
            network = Guided(network, NO_LABEL, guidance or 0.0)
        diffusion.eps_model = network
        options = with_own_way(c, options)
        sampler = cls(
            diffusion.to(device), c.image_channels, c.image_size, labels=labels, **options
        )
        refuse_unlearned(c, sampler.reverse.tau, run)
        return sampler

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
            return self.step_given(xt, t, eps, z)
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

        def draw(reverse: ReverseSampler, at: int, n: int) -> Tensor:
            # $x_T \sim \mathcal N(\mathbf 0, \mathbf I)$
            start = reverse.start((n, *self.image_shape), seed, first=at)
            return end_of(reverse.chain(*start), tell)

        return self.in_batches(n_samples, first, draw)

    def in_batches(
        self, n_samples: int, first: int, draw: Callable[[ReverseSampler, int, int], Tensor]
    ) -> Tensor:
        r"""
        Images `first .. first + n_samples - 1`, `BATCH` at a time

        * `draw` makes images of a way back that has been told their classes, the place of the first
          of them, and how many
        """
        check_count('n_samples', n_samples)
        # Under torchrun, this process's share of them; the seeds are those of the whole
        share = self.world.part(n_samples)
        images = [torch.empty(0, *self.image_shape, device=self.device)]
        for at in range(first + share.start, first + share.stop, BATCH):
            n = min(BATCH, first + share.stop - at)
            images.append(draw(self.with_labels(at, n).reverse, at, n))
        return self.world.joined(torch.cat(images))

    def with_labels(self, first: int, n: int, *, one: bool = False) -> 'Sampler':
        r"""
        This sampler with a model that is told which classes images `first .. first + n - 1` are of.

        * `one` whether they are stages of one image: if several classes take turns, it is of none
        """
        if self.labels is None:
            return self
        labels = self.labels if not one or len(self.labels) == 1 else [NO_LABEL]
        label = torch.tensor([labels[i % len(labels)] for i in range(first, first + n)])
        guided: Guided = self.diffusion.eps_model  # type: ignore[assignment]
        labelled = copy.copy(self)
        labelled.reverse = self.reverse.around(guided.with_label(label.to(self.device)))
        labelled.diffusion = labelled.reverse.diffusion
        return labelled

    def edit(
        self,
        x0: Tensor,
        t_: int,
        n_samples: int = 1,
        seed: int = 0,
        *,
        first: int = 0,
        tell: Tell | None = None,
    ) -> Tensor:
        r"""
        ### Pictures made of one: [SDEdit](../editing.html)

        * `x0` a picture, `[channels, height, width]` in $[-1, 1]$
        * `t_` how many of the $T$ steps of noise it gets, `0 .. n_steps`; the nearest of the
          sampler's steps is meant

        Returns `[n_samples, channels, height, width]`.
        """
        self.check_image('the image', x0)
        steps = nearest_start(self.reverse, t_)

        def draw(reverse: ReverseSampler, at: int, n: int) -> Tensor:
            images = x0.to(self.device).expand(n, *self.image_shape)
            chain = Edit(reverse, steps).chain(images, seed, first=at)
            return end_of(chain, tell, otherwise=images)

        return self.in_batches(n_samples, first, draw)

    def inpaint(
        self,
        x0: Tensor,
        anew: Tensor,
        n_samples: int = 1,
        seed: int = 0,
        *,
        jump: int = 1,
        resamplings: int = 1,
        first: int = 0,
        tell: Tell | None = None,
    ) -> Tensor:
        r"""
        ### A picture with a part made anew: [replacement and RePaint](../editing.html)

        * `x0` a picture, `[channels, height, width]` in $[-1, 1]$
        * `anew` where it is to be made anew, true or false, `[height, width]`
        * `jump`, `resamplings` the walk of RePaint; one resampling is replacement

        Returns `[n_samples, channels, height, width]`, with the pixels of `x0` where they are kept.
        """
        self.check_image('the image', x0)

        def draw(reverse: ReverseSampler, at: int, n: int) -> Tensor:
            images = x0.to(self.device).expand(n, *self.image_shape)
            walk = Inpaint(reverse, jump, resamplings)
            return end_of(walk.chain(images, anew, seed, first=at), tell)

        return self.in_batches(n_samples, first, draw)

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
        image, then a grey blur, a shape at 400, a digit at 200.](figure:ddpm.py::chain
        "Three chains, and what each guesses on its way")

        Returns `n_frames` of $\hat x_0$, `[n_samples, channels, height, width]` each, evenly spaced
        over the chain; the last one is the image. More frames than steps are as many as steps.
        `create_video` is [of older code](moving.html).
        """
        if isinstance(n_samples, bool):
            n_samples, create_video = 1, bool(n_samples)
        reverse = self.with_labels(0, n_samples).reverse
        wanted = set(frame_steps(reverse.n_steps, n_frames))
        start = reverse.start((n_samples, *self.image_shape), seed)
        frames = []
        left = reversed(range(reverse.n_steps))  # steps that are still to be taken
        for i, (t, _, x0_hat) in zip(left, reverse.chain(*start), strict=True):
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

        [tested](test:diffusion/ddpm/test_evaluate.py::test_no_steps_are_the_plain_mix)

        * `x1`, `x2` images, `[channels, height, width]` in $[-1, 1]$
        * `lambda_` one or several $\lambda$ in $[0, 1]$: 0 is `x1`, 1 is `x2`
        * `t_` how many steps, `0 .. n_steps`. With few, the mix of the pixels shows through; with
          many, the images in between are new ones, and the ends no longer `x1` and `x2`

        > **Departure: one noise for both.** In section 4.4 of the paper each image has its own.
        > With $\epsilon$ drawn twice, the mix halfway has noise of variance $\frac14 + \frac14$,
        > half of what the network expects at this step, and the result is grey. With the same
        > $\epsilon$ the variance is right for every $\lambda$
        > [tested](test:diffusion/ddpm/test_evaluate.py::test_interpolation_keeps_the_noise_level).
        > And with the same $z$s on the way back for every $\lambda$, nothing but $\lambda$ changes
        > along a row.

        ![From a three to a seven in nine mixtures, a row each for 60, 120, 250 and 500 steps. With
        60 the ends are the two digits and the middle is both at once; with 250 each is a digit of
        its own; with 500 nothing is left of the two, and the row hardly
        changes.](figure:ddpm.py::interpolation
        "From a three to a seven, after more and more noise")

        Returns `[n_lambda, channels, height, width]`; for batches of images and one `lambda_`, an
        image of each pair.
        """
        if x1.ndim == 4:
            return self.between_batches(x1, x2, lambda_, t_, seed, tell)
        lambdas = torch.tensor([lambda_] if isinstance(lambda_, int | float) else list(lambda_))
        self.check_interpolation(x1, x2, lambdas, t_)
        n = len(lambdas)
        noise = SameNoise(n, seed)
        pair = torch.stack([x1, x2]).to(self.device)
        if t_ > 0:
            # `t_` steps end at index `t_ - 1`
            t = torch.full((2,), t_ - 1, device=self.device)
            eps = noise((n, *self.image_shape), self.device)[:1].expand(2, -1, -1, -1)
            pair = self.diffusion.q_sample(pair, t, eps)
        weight = lambdas.to(self.device)[:, None, None, None]
        mixed = (1 - weight) * pair[0] + weight * pair[1]  # [n_lambda, channels, height, width]
        return self.with_labels(0, n, one=True).denoise(mixed, noise, t_, tell)

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
        self.check_image('x1', x1)
        self.check_image('x2', x2)
        if not 0 <= t_ <= self.n_steps:
            raise ValueError(f't_={t_}: it counts steps, from 0 to {self.n_steps}')
        if not bool(((lambdas >= 0) & (lambdas <= 1)).all()):
            raise ValueError(f'lambda={lambdas.tolist()} must lie in [0, 1]')

    def check_image(self, name: str, x: Tensor) -> None:
        r"""
        A `ValueError` unless an image has the shape of those of this model.
        """
        if tuple(x.shape) != self.image_shape:
            raise ValueError(
                f'{name} has shape {list(x.shape)}: this model needs {list(self.image_shape)}'
            )


def end_of(chain: Chain, tell: Tell | None, otherwise: Tensor | None = None) -> Tensor:
    r"""
    Where a chain ends, each step being told; `otherwise` if there is no step in it.
    """
    xt = otherwise
    for t, xt, _ in chain:
        if tell is not None:
            tell(t)
    assert xt is not None, 'a chain without a step'
    return xt


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


# ## Distilled runs
def own_way(c: Configs) -> dict[str, Any]:
    r"""
    The sampler and its steps that [a distilled run](../distillation.html) is made for; nothing for
    other runs.
    """
    return {} if c.distill == 'none' else {'sampler': METHODS[c.distill].sampler, 'steps': c.calls}


def with_own_way(c: Configs, options: Mapping[str, Any]) -> dict[str, Any]:
    r"""
    The options of a sampler, with the run's own where nothing, or `None`, was said. Its steps
    belong to its sampler.
    """
    own, said = own_way(c), {k: v for k, v in options.items() if v is not None}
    return {**own, **said} if said.get('sampler') in (None, own.get('sampler')) else said


def refuse_unlearned(c: Configs, tau: Sequence[int], run: str | Path) -> None:
    r"""
    A `ValueError` if a distilled run would be asked at a step that it has never seen.
    """
    if c.distill == 'none':
        return
    known = learned(c.distill, c.calls, c.n_steps)
    if not set(tau) <= set(known):
        raise ValueError(
            f'{run} is distilled for {c.calls} steps of {METHODS[c.distill].sampler}, and has '
            f'learned {len(known)} of its {c.n_steps:,} steps alone: leave out what sampler, steps '
            f'and spacing are said, and take its teacher for all else'
        )


class SameNoise(SeededNoise):
    r"""
    Noise that is the same for all `n` images: that of image 0.
    """

    def __init__(self, n: int, seed: int):
        super().__init__(1, seed)
        self.n = n

    def __call__(self, shape: torch.Size | tuple[int, ...], device: torch.device | str) -> Tensor:
        return super().__call__((1, *shape[1:]), device).expand(self.n, *shape[1:])


def check_count(what: str, n: int) -> None:
    r"""
    A `ValueError` unless there is at least one of what was asked for.
    """
    if n < 1:
        raise ValueError(f'{what}={n}: ask for at least one')


def frame_steps(n_steps: int, n_frames: int) -> list[int]:
    r"""
    The steps of a chain whose $\hat x_0$ are shown: evenly spaced, falling, the last one being 0.
    """
    check_count('n_frames', n_frames)
    n_frames = min(n_frames, n_steps)
    return [n_steps - (i + 1) * n_steps // n_frames for i in range(n_frames)]
