r"""
# Pictures

From images in $[-1, 1]$ to files that one can look at: PNG, GIF and MP4, never an array to decode.
"""

import contextlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from labml_nn.data.files import written

# Pictures smaller than this are enlarged, by a whole factor, before they are shown in a grid
SHOWN_SIDE = 64


def to_uint8(images: Tensor) -> Tensor:
    r"""
    Images in $[-1, 1]$ to bytes: `round(127.5 * (x + 1))`, clipped.

    Raises `ValueError` for what is not a number: it would be saved as black, without a word.
    """
    if not bool(torch.isfinite(images).all()):
        raise ValueError(
            'the images hold NaN or infinity, so there is nothing to show: the weights are spoiled '
            '(train again with a lower learning rate) or the precision is too low (use float32)'
        )
    return ((images.detach().float().cpu() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def grid(images: Tensor, n_columns: int | None = None, *, padding: int = 2) -> Tensor:
    r"""
    One picture of many, bytes `[channels, height, width]`.

    * `images` `[n, channels, height, width]` in $[-1, 1]$
    * `n_columns` as near to a square as can be when not given
    """
    pixels = to_uint8(images)
    scale = max(1, math.ceil(SHOWN_SIDE / pixels.shape[-1]))
    pixels = pixels.repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3)
    n, channels, height, width = pixels.shape
    n_columns = n_columns or math.ceil(math.sqrt(n))
    n_rows = math.ceil(n / n_columns)
    # Mid-grey between the pictures shows where black ones and white ones end
    whole = torch.full(
        (
            channels,
            n_rows * (height + padding) + padding,
            n_columns * (width + padding) + padding,
        ),
        128,
        dtype=torch.uint8,
    )
    for i, picture in enumerate(pixels):
        top = i // n_columns * (height + padding) + padding
        left = i % n_columns * (width + padding) + padding
        whole[:, top : top + height, left : left + width] = picture
    return whole


def to_pil(pixels: Tensor) -> Image.Image:
    r"""
    Bytes `[channels, height, width]` as a picture of Pillow's.
    """
    array = pixels.permute(1, 2, 0).numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def save_png(path: str | Path, pixels: Tensor, about: Mapping[str, object] | None = None) -> Path:
    r"""
    Write bytes `[channels, height, width]` as PNG, all or not at all.

    * `about` what made it (seed, sampler, …): kept inside the file, and shown by picture viewers
    """
    info = PngInfo()
    for key, value in (about or {}).items():
        info.add_text(key, str(value))
    path = Path(path)
    with written(path) as part:
        to_pil(pixels).save(part, format='PNG', pnginfo=info)
    return path


def save_animation(path: str | Path, frames: Sequence[Tensor], *, seconds: float = 4.0) -> Path:
    r"""
    Write frames, bytes `[channels, height, width]` each, as GIF or MP4, as the name ends; all or
    not at all.

    * `seconds` how long it runs; the last frame of a GIF stays for a second more

    Raises `ValueError` for another ending or no frames, `ImportError` without an encoder for MP4.
    """
    path = Path(path)
    if not frames:
        raise ValueError('an animation needs at least one frame')
    per_frame = seconds / len(frames)
    if path.suffix.lower() == '.gif':
        pictures = [to_pil(f) for f in frames]
        # GIF counts in hundredths of a second, and viewers slow down below two of them
        duration = max(20, round(per_frame * 100) * 10)
        durations = [duration] * (len(frames) - 1) + [duration + 1000]
        first, rest = pictures[0], pictures[1:]
        how: Any = dict(save_all=True, append_images=rest, duration=durations, loop=0)
        with written(path) as part:
            first.save(part, format='GIF', **how)
    elif path.suffix.lower() == '.mp4':
        with written(path) as part:
            save_mp4(part, frames, fps=min(60.0, max(1.0, 1 / per_frame)))
    else:
        raise ValueError(f'{path.name}: an animation is written as .gif or .mp4')
    return path


def save_mp4(path: Path, frames: Sequence[Tensor], fps: float) -> None:
    r"""
    Write frames as H.264, which wants colour and even sides.
    """
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise ImportError(
            f"MP4 needs an encoder ({error}): pip install 'labml-nn[video]', or write a .gif"
        ) from error
    height, width = frames[0].shape[1:]
    even = ((0, height % 2), (0, width % 2), (0, 0))
    # The name of a file that is not whole yet does not say what it is
    writer = imageio_ffmpeg.write_frames(
        str(path), (width + width % 2, height + height % 2), fps=fps, macro_block_size=1,
        output_params=['-f', 'mp4'],
    )  # fmt: skip
    with contextlib.closing(writer):
        writer.send(None)
        for frame in frames:
            array = frame.expand(3, -1, -1).permute(1, 2, 0).numpy()
            writer.send(np.ascontiguousarray(np.pad(array, even, mode='edge')))
