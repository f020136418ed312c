r"""
---
title: Edit a picture with a run
summary: A picture noised and brought back, and a hole in it filled, on the command line.
---

# Edit a picture with a run

    python -m labml_nn.diffusion.ddpm.evaluate edit runs/digits --image 3 --from 300 600
    python -m labml_nn.diffusion.ddpm.evaluate inpaint runs/digits --image face.png --mask hole.png

What they do and what comes out is explained with [SDEdit and RePaint](../editing.html); this is the
command line to it. The run may also be a folder of [published weights](pretrained.html)
[tested](test:diffusion/ddpm/test_edit.py::test_a_published_model_edits_and_inpaints).

The picture is a file of any kind that [data sets](../../data/decode.html) read, or a number in the
data set of the run. The mask is white where the picture is to be made anew. If it has transparent
parts, these are what is made anew, and with no mask at all, those of the picture
[tested](test:diffusion/ddpm/test_edit.py::test_what_is_made_anew). A mask has as many pixels as the
picture, and is cut and resized with it, or as many as the model's images.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor

from labml_nn.cli.options import FLAG, AtLeast, Words
from labml_nn.cli.progress import progress_bar
from labml_nn.data.decode import decode_mask
from labml_nn.data.pictures import grid, save_png
from labml_nn.diffusion.ddpm.commands import (
    Command,
    DataRoot,
    Pictures,
    SamplerOptions,
    Samples,
    about,
    check_apart,
    out_of,
    save_apart,
)
from labml_nn.diffusion.ddpm.sampler import BATCH, Sampler
from labml_nn.diffusion.editing import Inpaint, nearest_start
from labml_nn.diffusion.guidance import NO_LABEL


# ## What the commands can be told
class PictureOptions(SamplerOptions):
    r"""
    What both can be told.
    """

    image: Annotated[str, 'a number in the data set of the run, or a file'] = '0'
    n: Annotated[Samples, 'how many results'] = 4
    data_root: DataRoot = None


class EditOptions(PictureOptions):
    r"""
    What `edit` can be told.
    """

    from_: Annotated[
        tuple[int, ...] | None, 'steps of noise to go back from, one row each (T/4 T/2 3T/4)',
        Words(),
    ] = None  # fmt: skip


class InpaintOptions(PictureOptions):
    r"""
    What `inpaint` can be told.
    """

    mask: Annotated[Path | None, 'white is made anew (transparent parts of the image)'] = None
    resamplings: Annotated[int, 'how often each part of the way is travelled', AtLeast(1)] = 10
    jump: Annotated[int, 'steps to go up again', AtLeast(1)] = 1
    separate: Annotated[bool, 'one PNG each, in the folder --out', FLAG] = False


# ## The commands
def edit_command(sampler: Sampler, a: Any) -> Iterator[Path]:
    r"""
    `edit`: a row for each number of steps, the picture itself first.
    """
    image = Pictures(sampler, a)(a.image)
    T = sampler.n_steps
    steps = a.from_ or [round(T * share) for share in (1 / 4, 1 / 2, 3 / 4)]
    starts = [nearest_start(sampler.reverse, t) for t in steps]
    begun = [sampler.reverse.tau[n - 1] + 1 if n else 0 for n in starts]
    for t, nearest in zip(steps, begun, strict=True):
        if t != nearest:
            print(f'--from {t}: the nearest step of this sampler is {nearest}')
    plain(sampler, a)
    bar, tell = progress_bar(sum(starts) * -(-a.n // BATCH))
    rows: list[Tensor] = []
    for t in steps:
        rows += [image[None], sampler.edit(image, t, a.n, a.seed, tell=tell).cpu()]
    bar.close()
    picture = grid(torch.cat(rows), a.n + 1)
    yield save_png(out_of(a, 'edit'), picture, about(a, image=a.image, noised_for=begun))


def inpaint_command(sampler: Sampler, a: Any) -> Iterator[Path]:
    r"""
    `inpaint`: the picture, the mask and the results, or the results alone as single files.
    """
    check_apart(a)
    named = Pictures(sampler, a)
    image, anew = named(a.image), mask_of(named, a)
    walk = {'jump': a.jump, 'resamplings': a.resamplings}
    n_steps = Inpaint(sampler.reverse, **walk).n_steps
    plain(sampler, a)
    bar, tell = progress_bar(n_steps * -(-a.n // BATCH))
    images = sampler.inpaint(image, anew, a.n, a.seed, **walk, tell=tell).cpu()
    bar.close()
    if a.separate:
        yield save_apart(a, 'inpaint', images)
        return
    mask = (anew.float() * 2 - 1).expand(1, *image.shape)
    picture = grid(torch.cat([image[None], mask, images]))
    yield save_png(out_of(a, 'inpaint'), picture, about(a, image=a.image, mask=a.mask, **walk))


def mask_of(named: Pictures, a: Any) -> Tensor:
    r"""
    The mask that was named, `[height, width]`, or that of the image's transparent parts.

    Raises `ValueError` for one that does not fit, or leaves nothing to be done.
    """
    image = named.file(a.image)
    if a.mask is not None and not a.mask.is_file():
        raise FileNotFoundError(f'{a.mask.absolute()} does not exist: give a picture as the mask')
    mask = a.mask or image
    if mask is None:
        raise ValueError(
            f'image {a.image} has nothing transparent: say by --mask what to make anew'
        )
    anew = decode_mask(mask, named.shape[1], image, faces=named.faces, by_alpha=a.mask is None)
    if not bool(anew.any()):
        need = 'white' if a.mask else 'transparent, and there is no --mask'
        raise ValueError(f'nothing in {mask.absolute()} is {need}: there is nothing to make anew')
    return anew


def plain(sampler: Sampler, a: Any) -> None:
    r"""
    Of a run with classes the model is told none, unless one was asked for: samples are of each
    class in turn, but a picture need not be of any.
    """
    if sampler.labels is not None and a.label is None:
        sampler.labels = [NO_LABEL]


COMMANDS = {
    'edit': Command(
        'a picture noised and brought back: SDEdit',
        edit_command, EditOptions, takes_published=True,
    ),
    'inpaint': Command(
        'a part of a picture made anew: RePaint, or replacement with --resamplings 1',
        inpaint_command, InpaintOptions, is_folder=lambda a: a.separate, takes_published=True,
    ),
}  # fmt: skip
