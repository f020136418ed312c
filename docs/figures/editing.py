"""The figures of the page of edits and inpainting."""

import numpy as np
from matplotlib.figure import Figure

from docs.figures.style import (
    BLUE,
    GREEN,
    ORANGE,
    RED,
    data_of,
    dress,
    figure,
    ink,
    legend,
    panel,
)  # fmt: skip
from docs.figures.widths import NARROW

DATA = data_of('editing')
EXACT = (0.9, 0.19)


def pixels(theme: str) -> Figure:
    """What is drawn of a pixel whose neighbour is known, and how much of the way is missing."""
    made = figure(theme, NARROW, 5.6)
    above, below = made.subplots(2, 1)
    b = np.linspace(-1.2, 2.4, 300)
    found = {row[0]: row[2:4] for row in DATA['plane'][1:]}
    drawn = (('replacement', RED, found[1]), ('RePaint, U = 2', ORANGE, found[2]),
             ('RePaint, U = 10', BLUE, found[10]))  # fmt: skip
    for label, colour, (mean, variance) in drawn:
        above.plot(b, density(b, mean, variance), color=colour, label=label)
    above.plot(b, density(b, *EXACT), '--', color=ink(theme), label='right')
    above.set_title('b, given a = 1', fontsize=10)
    dress(above, theme, ylim=(0, 1.35), yticks=[])
    legend(above, theme, loc='upper left')
    shown = DATA['missing']
    for rho, colour, missing in zip(shown['rho'], (GREEN, BLUE), shown['missing'], strict=True):
        below.loglog(shown['resamplings'], missing, color=colour, label=f'ρ = {rho}')
    line = [1 / (U + 1) for U in shown['resamplings']]
    below.loglog(shown['resamplings'], line, ':', color=ink(theme), label='1 / (U + 1)')
    below.set_title('share of the mean that is missing', fontsize=10)
    dress(below, theme, xlabel='resamplings U')
    below.set_xticks([1, 2, 5, 10, 20, 30], ['1', '2', '5', '10', '20', '30'])
    below.set_yticks([0.01, 0.1, 0.5], ['0.01', '0.1', '0.5'])
    below.minorticks_off()
    legend(below, theme)
    return made


def density(x: np.ndarray, mean: float, variance: float) -> np.ndarray:
    return np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)


def edits(theme: str) -> Figure:
    """Drawings in black and white, and what is made of them after more and more noise."""
    shown = DATA['edited']
    kept = [i for i, t in enumerate(shown['from']) if t in (0, 200, 400, 600, 800)]
    made = figure(theme, NARROW, 2.1)
    lines = [f't = {shown["from"][i]}' for i in kept]
    panel(made.subplots(), theme, [shown['rows'][i] for i in kept], lines, [''] * 12)
    return made


def filled(theme: str) -> Figure:
    """Lower halves made anew, in two ways."""
    shown = DATA['filled']
    made = figure(theme, NARROW, 1.8)
    rows = [shown[name] for name in ('original', 'hole', 'replacement', 'RePaint')]
    lines = ['real digit', 'what is known', 'replacement', 'RePaint']
    panel(made.subplots(), theme, rows, lines, [''] * 12)
    return made
