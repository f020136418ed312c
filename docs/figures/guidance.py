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
    made = figure(theme, 8.4, 2)
    columns = [str(i // 2) for i in range(20)]
    panel(made.subplots(), theme, shown['rows'], [f'w = {w}' for w in shown['w']], columns)
    return made
