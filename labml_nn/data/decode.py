r"""
---
title: From a file to pixels
summary: Pictures as cameras and scanners leave them, as bytes of one size.
---

# From a file to pixels

Used by [data sets](datasets.html). What a file says of itself is followed: how the camera was
turned, what is transparent, which number is white. Where it does not say, it is refused.
"""

from collections.abc import Callable
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
    mode = 'L' if image_channels == 1 else 'RGB'
    picture = upright(path, lambda picture: on_white(picture).convert(mode))
    pixels = torch.from_numpy(np.array(squared(picture, image_size, faces=faces)))
    return pixels[None] if image_channels == 1 else pixels.permute(2, 0, 1).contiguous()


def decode_mask(
    path: Path, image_size: int, image: Path | None, *, faces: bool = False, by_alpha: bool = False
) -> Tensor:
    r"""
    A mask as true and false, `[image_size, image_size]`: true where it is white; of a picture with
    transparent parts, where these are.

    * `image` the file that it is for, if there is one: a mask as large as this is cut and resized
      in the same way. Any other has to be of the size `image_size` at once
    * `by_alpha` whether white is nothing that is hidden: the mask is the image itself

    Raises `BadPicture` when it cannot be read, and `ValueError` when the sizes do not fit.
    """
    mask = upright(path, clear if by_alpha else hidden)
    sizes = {(image_size, image_size)} | ({upright(image, clear).size} if image else set())
    if mask.size not in sizes:
        wanted = ' or '.join(f'{w} × {h}' for w, h in sorted(sizes, reverse=True))
        raise ValueError(
            f'the mask {path.absolute()} has {mask.width} × {mask.height} pixels: need {wanted}, '
            f'so that it is clear which of its pixels belongs to which of the image'
        )
    return torch.from_numpy(np.array(squared(mask, image_size, faces=faces)) > 127)


def hidden(picture: Image.Image) -> Image.Image:
    r"""
    What a picture hides, in white: its transparent parts, or where it has none its white ones.
    """
    transparent = clear(picture)
    return transparent if transparent.getbbox() else picture.convert('L')


def clear(picture: Image.Image) -> Image.Image:
    r"""
    The transparent parts of a picture, in white.
    """
    if not has_alpha(picture):
        return Image.new('L', picture.size)
    return ImageOps.invert(picture.convert('RGBA').getchannel('A'))


def upright(path: Path, changed: Callable[[Image.Image], Image.Image]) -> Image.Image:
    r"""
    A picture, turned as its camera was, with 8 bits a channel, after it was `changed`.

    Raises `BadPicture` when it cannot be read.
    """
    try:
        with Image.open(path, formats=FORMATS) as file:
            return changed(eight_bits(ImageOps.exif_transpose(file), file))
    # A damaged file makes decoders fail in any way: struct.error, EOFError, MemoryError …
    except Exception as error:
        raise BadPicture(
            f'{path.absolute()} cannot be read as a picture ({why(path, error)}): mend or remove it'
        ) from error


def squared(picture: Image.Image, image_size: int, *, faces: bool) -> Image.Image:
    r"""
    The largest square from the centre of a picture, resized.
    """
    # CelebA's aligned faces are 178 × 218 with the face below the middle: the crop that papers use
    if faces and picture.size == (178, 218):
        picture = picture.crop((25, 57, 153, 185))
    # Crop first: a resize that crops would let what is cut off bleed in
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = picture.crop((left, top, left + side, top + side))
    return picture.resize((image_size, image_size), Image.Resampling.BICUBIC)


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


def has_alpha(picture: Image.Image) -> bool:
    r"""
    Whether a picture can have transparent parts.
    """
    return 'A' in picture.getbands() or 'transparency' in picture.info


def on_white(picture: Image.Image) -> Image.Image:
    r"""
    A picture without transparency.
    """
    if has_alpha(picture):
        picture = picture.convert('RGBA')
        white = Image.new('RGBA', picture.size, 'white')
        return Image.alpha_composite(white, picture)
    return picture
