"""The figures of the page of guidance."""

import numpy as np
from matplotlib.figure import Figure

from docs.figures.style import BLUE, GREEN, ORANGE, data_of, dress, figure, panel
from docs.figures.widths import NARROW

DATA = data_of('guidance')


def gaussians(theme: str) -> Figure:
    """Samples of three Gaussian classes, and rings at one and two deviations."""
    shown = DATA['gaussians']
    made = figure(theme, NARROW, 2)
    angle = np.linspace(0, 2 * np.pi, 100)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    across = made.subplots(1, 3, sharex=True, sharey=True)
    for axes, samples in zip(across, shown['samples'], strict=True):
        for c, colour in enumerate((BLUE, ORANGE, GREEN)):
            points = np.array(samples['classes'][c])
            axes.plot(*points.T, '.', color=colour, markersize=1.5, alpha=0.6)
            for radius in (1, 2):
                at = np.array(shown['means'][c]) + radius * shown['stds'][c] * ring
                axes.plot(*at.T, color=colour, linewidth=1)
        axes.set_title(f'w = {samples["w"]}', fontsize=10)
        dress(axes, theme, xlim=(-2.2, 3), ylim=(-2.3, 2.2), aspect='equal')
    return made


def digits(theme: str) -> Figure:
    """The ten digits, two of each, by guidance scale."""
    shown = DATA['digits']
    made = figure(theme, NARROW, 3.9)
    digits = [str(c) for c in range(10)]
    for axes, w, row in zip(made.subplots(4, 1), shown['w'], shown['rows'], strict=True):
        # The first of each digit above the second
        panel(axes, theme, [row[::2], row[1::2]], [], digits if w == shown['w'][0] else [])
        axes.set_ylabel(
            f'w = {w}'.replace('-', '−'), fontsize=9, rotation=0, ha='right', va='center'
        )
    return made
