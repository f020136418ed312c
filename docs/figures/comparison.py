"""The figure of the page that has all models and samplers beside each other."""

from matplotlib.figure import Figure

from docs.figures.samplers import BROWN, PURPLE, TEAL, by_calls
from docs.figures.style import BLUE, GREEN, GREY, ORANGE, RED, data_of, figure, ink
from docs.figures.widths import NARROW

DATA = data_of('comparison')
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, TEAL, BROWN, GREY)
CALLS = (1, 2, 4, 8, 20, 50)
DISTANCES = (0.15, 0.2, 0.3, 0.5, 1, 2, 5, 10, 20, 50)


def frontier(theme: str) -> Figure:
    """Distance of digits from real ones, against calls of the network."""
    made = figure(theme, NARROW, 6.2)
    axes = made.subplots()
    for i, (name, found) in enumerate(DATA['curves'].items()):
        # More lines than colours: the others are dashed
        style = 'o-' if i < len(COLOURS) else 's--'
        shown = [(n, d) for n, d in zip(found['calls'], found['distance'], strict=True) if n <= 50]
        colour = COLOURS[i % len(COLOURS)]
        axes.plot(*zip(*shown, strict=True), style, color=colour, label=name, markersize=4)
    if DATA['whole']:
        whole = dict(color=ink(theme), linestyle='--', linewidth=1, label='ancestral, 1000')
        axes.axhline(DATA['whole'][0], **whole)
    real = dict(color=GREY, linestyle=':', linewidth=1, label='draws of real digits')
    axes.axhline(DATA['fresh'], **real)
    by_calls(axes, theme, CALLS, DISTANCES)
    made.legend(
        frameon=False, labelcolor=ink(theme), fontsize=9, loc='outside lower center', ncols=2
    )
    return made
