r"""
---
title: From a file to pixels
summary: Pictures as cameras and scanners leave them, as bytes of one size.
---

# From a file to pixels

Used by [data sets](datasets.html). What a file says of itself is followed: how the camera was
turned, what is transparent, which number is white. Where it does not say, it is refused.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

# What may be in a picture, whatever its name says. Pillow knows more, but some of it is a
# program: it would hand a PostScript file to Ghostscript
FORMATS = ('JPEG', 'PNG', 'WEBP', 'BMP', 'TIFF', 'GIF')


class BadPicture(ValueError):
    r"""
    A picture that cannot be read. The message names its file.
    """


def decode(path: Path, image_size: int, image_channels: int, *, faces: bool = False) -> Tensor:
    r"""
    A picture as uint8, `[channels, image_size, image_size]`: turned as its camera was, on white
    where it is transparent, the largest square from its centre, resized with antialiasing.

    * `faces` whether the pictures are CelebA's, which have a crop of their own

    Raises `BadPicture` when it cannot be read.
    """
    try:
        with Image.open(path, formats=FORMATS) as file:
            picture = eight_bits(ImageOps.exif_transpose(file), file)
            picture = on_white(picture).convert('L' if image_channels == 1 else 'RGB')
    # A damaged file makes decoders fail in any way: struct.error, EOFError, MemoryError …
    except Exception as error:
        raise BadPicture(
            f'{path.absolute()} cannot be read as a picture ({why(path, error)}): mend or remove it'
        ) from error
    # CelebA's aligned faces are 178 × 218 with the face below the middle: the crop that papers use
    if faces and picture.size == (178, 218):
        picture = picture.crop((25, 57, 153, 185))
    # Crop first: a resize that crops would let what is cut off bleed in
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = picture.crop((left, top, left + side, top + side))
    picture = picture.resize((image_size, image_size), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(picture))
    return pixels[None] if image_channels == 1 else pixels.permute(2, 0, 1).contiguous()


def why(path: Path, error: Exception) -> str:
    r"""
    What is wrong with a picture that cannot be read.
    """
    if not isinstance(error, UnidentifiedImageError):
        return str(error) if isinstance(error, OSError | ValueError) else repr(error)
    with path.open('rb') as file:
        begin = file.read(12)
    if not begin:
        return 'it is empty'
    return f'no {", ".join(FORMATS)} of a kind that is known here; it begins with {begin!r}'


def eight_bits(picture: Image.Image, file: Image.Image) -> Image.Image:
    r"""
    A picture with 8 bits where its file has more, or numbers with a point.

    Raises `ValueError` where nothing says which number is white.
    """
    if picture.mode[0] not in 'IF':
        return picture
    values, tags = np.asarray(picture, np.float64), getattr(file, 'tag_v2', {})
    # What tells TIFF's depths apart, and whether its zero is white
    bits, is_negative = tags.get(258, (16,))[0], tags.get(262) == 0
    if picture.mode == 'F':
        white = 1
        check_reals(values)
    else:
        white = 2**bits - 1
        check_whole(values, bits)
    grey = (values * (255 / white)).round()
    return Image.fromarray((255 - grey if is_negative else grey).astype(np.uint8))


def check_reals(values: np.ndarray) -> None:
    r"""
    A `ValueError` unless all numbers are in $[0, 1]$.
    """
    if not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(
            f'its pixels are numbers with a point from {values.min():g} to {values.max():g}, and '
            f'need to go from 0, black, to 1, white'
        )


def check_whole(values: np.ndarray, bits: int) -> None:
    r"""
    A `ValueError` for whole numbers that would come out black, or have no known white.
    """
    low, high = int(values.min()), int(values.max())
    if bits > 16 or low < 0:
        raise ValueError(
            f'its pixels are whole numbers of {bits} bits from {low} to {high}, and nothing says '
            f'which one is white: save it with 8 or 16 bits'
        )
    if bits == 16 and 0 < high < 256:
        raise ValueError(
            f'its pixels have 16 bits and go up to {high} only, where white is 65535: all of it '
            f'would be black. If they are numbers of 8 bits, save it with 8'
        )


def on_white(picture: Image.Image) -> Image.Image:
    r"""
    A picture without transparency.
    """
    if 'A' in picture.getbands() or 'transparency' in picture.info:
        picture = picture.convert('RGBA')
        white = Image.new('RGBA', picture.size, 'white')
        return Image.alpha_composite(white, picture)
    return picture
