"""The figure of the page of the transformer."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from docs.figures.style import ORANGE, data_of, figure, ink
from docs.figures.widths import NARROW

DATA = data_of('dit')['tokens']


def grey(name: str, n_rows: int) -> np.ndarray:
    """What the data has of that name, in rows."""
    return np.frombuffer(bytes.fromhex(DATA[name]), np.uint8).reshape(n_rows, -1)


def matrix(axes: Axes, theme: str, values: np.ndarray, title: str, **settings: object) -> None:
    """Numbers as shades, in a thin frame, as white is the ground of light pages."""
    axes.imshow(values, cmap='gray', vmin=0, vmax=255, interpolation='none', **settings)
    axes.set_title(title, fontsize=10, color=ink(theme))
    axes.patch.set_alpha(0)
    axes.tick_params(colors=ink(theme), length=0, labelsize=9)
    for spine in axes.spines.values():
        spine.set_color(ink(theme))
        spine.set_alpha(0.4)


def tokens(theme: str) -> Figure:
    """A digit in patches, the patches as tokens, and the vectors of their places."""
    made = figure(theme, NARROW, 5.6)
    image, few, many = made.subplot_mosaic(
        [['image', 'tokens'], ['positions', 'positions']], height_ratios=[1, 1]
    ).values()
    matrix(image, theme, grey('image', 8), '8 × 8 pixels')
    image.set(xticks=[], yticks=[])
    for edge in (1.5, 3.5, 5.5):
        image.axhline(edge, color=ORANGE, linewidth=1.5)
        image.axvline(edge, color=ORANGE, linewidth=1.5)
    for i in range(16):
        # In the middle of the patch, on a ground that is read on black and on white
        image.text(
            i % 4 * 2 + 0.5, i // 4 * 2 + 0.5, str(i), color='white', fontsize=9,
            ha='center', va='center', bbox=dict(boxstyle='round,pad=0.15', fc='#333333', lw=0),
        )  # fmt: skip
    matrix(few, theme, grey('tokens', 16), '16 tokens of 4 pixels', aspect=0.5)
    few.set(xticks=[], yticks=range(16))
    matrix(many, theme, grey('positions', 16), 'their places, a row each', aspect='auto')
    many.set(xticks=[23.5, 71.5], xticklabels=['column', 'row'], yticks=[])
    many.axvline(47.5, color=ORANGE, linewidth=1.5)
    return made
