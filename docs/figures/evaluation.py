"""The figures of the pages that compare samples with data."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from docs.figures.style import BLUE, GREEN, ORANGE, RED, data_of, dress, figure, ink, legend
from docs.figures.widths import NARROW

DATA = data_of('evaluation')


def bias(theme: str) -> Figure:
    """The distance between draws of one Gaussian, by their number."""
    made = figure(theme, NARROW, 3.4)
    axes = made.subplots()
    for colour, (dimension, found) in zip((BLUE, ORANGE, GREEN), DATA['bias'].items(), strict=True):
        label = f'{dimension} dimensions'
        axes.loglog(found['draws'], found['distance'], 'o-', color=colour, ms=4, label=label)
    sizes = DATA['bias']['8']['draws']
    slope = [200 / n for n in sizes]
    axes.loglog(sizes, slope, ':', color=ink(theme), linewidth=1, label='slope −1')
    dress(axes, theme, xlabel='draws', ylabel='Fréchet distance')
    axes.set_xticks(sizes, [f'{n:,}' for n in sizes])
    axes.minorticks_off()
    legend(axes, theme)
    return made


def precision_and_recall(theme: str) -> Figure:
    """Samples that are too narrow, right and too wide for their data."""
    shown = DATA['precision_and_recall']
    data = np.array(shown['data'])
    made = figure(theme, NARROW, 5)
    # Four arcs make as good a circle as the eight of `Circle`, in half of the file
    disc = Path.arc(0, 360, n=4)
    *three, last = made.subplots(2, 2).flat
    names = ('too narrow', 'right', 'too wide')
    for axes, name, samples in zip(three, names, shown['samples'], strict=True):
        for centre, r in zip(data, shown['radius'], strict=True):
            placed = disc.transformed(Affine2D().scale(r).translate(*centre))
            axes.add_patch(PathPatch(placed, color=BLUE, alpha=0.1, linewidth=0))
        x, is_in = np.array(samples['points']), np.array(samples['inside'])
        axes.plot(*data.T, '.', color=BLUE, markersize=3, label='data')
        axes.plot(*x[is_in].T, '.', color=GREEN, markersize=4, label='samples in a ball')
        axes.plot(*x[~is_in].T, 'x', color=RED, markersize=4, label='samples in none')
        both = f'precision {samples["precision"]:.2f}, recall {samples["recall"]:.2f}'
        axes.set_title(f'{name}\n{both}', fontsize=9)
        dress(axes, theme, xlim=(-4, 4), ylim=(-4, 4), aspect='equal')
    last.set_axis_off()
    last.legend(
        *three[-1].get_legend_handles_labels(), frameon=False, labelcolor=ink(theme), fontsize=9,
        loc='center',
    )  # fmt: skip
    return made
