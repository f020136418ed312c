"""What all figures share: inks for light and dark pages, axes, and rows of small images.

A figure has no ground of its own; what it shows was computed before, and is in `data`.
"""

import json
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN = '#3b82c4', '#d9822b', '#3a9d6e'
RED, GREY = '#c8504b', '#8b949e'
# Pixels of a picture for an image, at least, and between two images
CELL, GAP = 48, 3


def ink(theme: str) -> str:
    return {'light': '#24292f', 'dark': '#d5dbe2'}[theme]


def figure(theme: str, width: float, height: float) -> Figure:
    """An empty figure without a ground."""
    made = Figure(figsize=(width, height), layout='constrained')
    made.patch.set_alpha(0)
    return made


def dress(axes: Axes, theme: str, **settings: Any) -> None:
    """Axes in the colour of the text."""
    axes.set(**settings)
    axes.patch.set_alpha(0)
    axes.grid(alpha=0.2, color=ink(theme))
    for part in (axes.xaxis.label, axes.yaxis.label, axes.title):
        part.set_color(ink(theme))
    axes.tick_params(colors=ink(theme), which='both', labelsize=9)
    for spine in axes.spines.values():
        spine.set_color(ink(theme))
        spine.set_alpha(0.4)


def legend(axes: Axes, theme: str, **settings: Any) -> None:
    axes.legend(frameon=False, labelcolor=ink(theme), fontsize=9, **settings)


def mosaic(rows: list[list[str]]) -> np.ndarray:
    """Square images side by side, with nothing between them; `[height, width, 4]`."""
    side = isqrt(len(rows[0][0]) // 2)
    scale = -(-CELL // side)
    cell = side * scale
    height = len(rows) * (cell + GAP) - GAP
    width = len(rows[0]) * (cell + GAP) - GAP
    out = np.zeros((height, width, 4), np.uint8)
    for r, row in enumerate(rows):
        for c, image in enumerate(row):
            grey = np.frombuffer(bytes.fromhex(image), np.uint8).reshape(side, side)
            grey = grey.repeat(scale, 0).repeat(scale, 1)
            top, left = r * (cell + GAP), c * (cell + GAP)
            out[top : top + cell, left : left + cell, :3] = grey[..., None]
            out[top : top + cell, left : left + cell, 3] = 255
    return out


def panel(
    axes: Axes,
    theme: str,
    rows: list[list[str]],
    lines: list[str],
    columns: list[str],
    title: str = '',
) -> None:
    """Rows of images with their names at the left and above."""
    picture = mosaic(rows)
    axes.imshow(picture, interpolation='none')
    step = (picture.shape[0] + GAP) // len(rows)
    axes.set_xticks([(step - GAP) // 2 + i * step for i in range(len(columns))], columns)
    axes.set_yticks([(step - GAP) // 2 + i * step for i in range(len(lines))], lines)
    dress(axes, theme)
    axes.grid(False)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_xlabel(title, color=ink(theme))
    axes.xaxis.set_label_position('top')
    for spine in axes.spines.values():
        spine.set_visible(False)


def data_of(name: str) -> dict[str, Any]:
    """What the figures of a page show."""
    path = Path(__file__).with_name('data') / f'{name}.json'
    found: dict[str, Any] = json.loads(path.read_text('utf-8'))
    return found
