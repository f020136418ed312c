r"""
---
title: Pictures of a run
summary: A grid of samples, the chain as an animation, and rows from one image to another.
---

# Pictures of a run

    python -m labml_nn.diffusion.ddpm.evaluate sample runs/digits
    python -m labml_nn.diffusion.ddpm.evaluate animate runs/digits
    python -m labml_nn.diffusion.ddpm.evaluate interpolate runs/digits --images 0 1

What the [sampler](sampler.html) draws, as files. Each PNG holds how it was made.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import torch

from labml_nn.cli.options import FLAG, Words
from labml_nn.cli.progress import progress_bar
from labml_nn.data.pictures import grid, save_animation, save_png
from labml_nn.diffusion.ddpm.commands import (
    ClassOptions,
    Command,
    DataRoot,
    Frames,
    Pictures,
    SamplerOptions,
    Samples,
    about,
    check_apart,
    out_of,
    save_apart,
)  # fmt: skip
from labml_nn.diffusion.ddpm.sampler import BATCH, Sampler


# ## What the commands can be told
class SampleOptions(SamplerOptions):
    r"""
    What `sample` can be told.
    """

    n: Annotated[Samples, 'how many'] = 16
    separate: Annotated[bool, 'one PNG each, in the folder --out', FLAG] = False


class AnimateOptions(SamplerOptions):
    r"""
    What `animate` can be told.
    """

    n: Annotated[Samples, 'how many images side by side'] = 16
    frames: Annotated[Frames, 'frames of the animation'] = 60


class InterpolateOptions(ClassOptions):
    r"""
    What `interpolate` can be told.
    """

    images: Annotated[
        tuple[str, ...], 'two images: numbers in the data set of the run, or files', Words(2)
    ] = ('0', '1')
    n: Annotated[Samples, 'images a row, the ends included'] = 9
    t: Annotated[
        tuple[int, ...] | None, 'steps to noise and undo, one row each (T/16 T/8 T/4 T/2)', Words()
    ] = None
    data_root: DataRoot = None


# ## The commands
def sample_command(sampler: Sampler, a: Any) -> Iterator[Path]:
    r"""
    `sample`: a grid, or single pictures at the model's own resolution.
    """
    check_apart(a)
    bar, tell = progress_bar(-(-a.n // BATCH) * sampler.reverse.n_steps)
    images = sampler.sample(a.n, a.seed, tell=tell)
    bar.close()
    if a.separate:
        yield save_apart(a, 'sample', images)
    else:
        yield save_png(out_of(a, 'sample'), grid(images), about(a, n=a.n))


def animate_command(sampler: Sampler, a: Any) -> Iterator[Path]:
    r"""
    `animate`: the animation, and ten of its frames as a strip.
    """
    out = out_of(a, 'animate', '.gif')
    bar, tell = progress_bar(sampler.reverse.n_steps)
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
    named = Pictures(sampler, a)
    x1, x2 = (named(name) for name in a.images)
    T = sampler.n_steps
    steps = a.t or [max(1, round(T * share)) for share in (1 / 16, 1 / 8, 1 / 4, 1 / 2)]
    lambdas = torch.linspace(0, 1, a.n).tolist()
    for t_ in steps:
        sampler.check_interpolation(x1, x2, torch.tensor(lambdas), t_)
    bar, tell = progress_bar(sum(steps))
    rows = []
    for t_ in steps:
        row = sampler.interpolate(x1, x2, lambdas, t_, a.seed, tell=tell).cpu()
        rows += [x1[None], row, x2[None]]
    bar.close()
    out = out_of(a, 'interpolate')
    yield save_png(out, grid(torch.cat(rows), a.n + 2), about(a, images=a.images, t=steps))


COMMANDS = {
    'sample': Command(
        'a grid of samples, as PNG',
        sample_command, SampleOptions, is_folder=lambda a: a.separate, takes_published=True,
    ),
    'animate': Command(
        'the image that the network predicts at each step, as GIF or MP4, and as a strip',
        animate_command, AnimateOptions, endings=('.gif', '.mp4'), takes_published=True,
    ),
    'interpolate': Command(
        'between two images, at several numbers of steps',
        interpolate_command, InterpolateOptions, takes_published=True,
    ),
}  # fmt: skip
