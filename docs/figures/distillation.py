"""The figures of the page of distillation."""

from matplotlib.figure import Figure

from docs.figures.samplers import by_calls
from docs.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    data_of,
    figure,
    ink,
    legend,
    panel,
)  # fmt: skip
from docs.figures.widths import NARROW

DATA = data_of('distillation')
COLOURS = {
    'teacher, DDIM': GREY,
    'teacher, UniPC': BLUE,
    'reflow': GREEN,
    'progressive': ORANGE,
    'consistency': RED,
}
# What all 1000 steps of DDPM have
WHOLE = data_of('frontier')['whole']['distance']


def calls(theme: str) -> Figure:
    """Distance by calls of the network."""
    made = figure(theme, NARROW, 3.4)
    axes = made.subplots()
    (_, *counts), *table = DATA['table']
    for name, *row in table:
        axes.plot(counts, row, 'o-', color=COLOURS[name], label=name, markersize=4)
    axes.axhline(WHOLE, color=ink(theme), linewidth=1, linestyle=':')
    by_calls(axes, theme, counts, (0.2, 0.5, 1, 2, 5, 10))
    legend(axes, theme)
    return made


# Rows of the second figure: a way and its calls, as they are drawn
SHOWN = (
    ('teacher, DDIM', 8), ('teacher, DDIM', 2), ('reflow', 2), ('progressive', 2),
    ('consistency', 2), ('teacher, DDIM', 1), ('reflow', 1), ('progressive', 1),
    ('consistency', 1),
)  # fmt: skip


def digits(theme: str) -> Figure:
    """What is drawn of the same noises."""
    made = figure(theme, NARROW, 3.2)
    lines = [f'{name}, {n}' for name, n in SHOWN]
    panel(made.subplots(), theme, [DATA['pictures'][line] for line in lines], lines, [])
    return made
