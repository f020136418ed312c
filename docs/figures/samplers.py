"""The figures of the pages of samplers."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from docs.figures.style import BLUE, GREEN, GREY, ORANGE, RED, data_of, dress, figure, ink, legend
from docs.figures.widths import NARROW

DATA = data_of('samplers')
PURPLE, BROWN, TEAL = '#9268b8', '#a0705a', '#3aa5a5'


def orders(theme: str) -> Figure:
    """Error against the number of steps, where the exact solution is known."""
    made = figure(theme, NARROW, 5.6)
    titles = ('from T to T/8', 'from T to the first step')
    below = made.subplots(2, 1, sharey=True)
    for axes, title, shown in zip(below, titles, DATA['orders'], strict=True):
        steps = shown['steps']
        ways = zip((BLUE, ORANGE, GREEN), shown['errors'].items(), strict=True)
        for colour, (name, found) in ways:
            axes.loglog(steps, found, 'o-', color=colour, label=name, markersize=4)
        for order, style in ((1, ':'), (2, '--')):
            line = [0.6 * (n / steps[0]) ** -order for n in steps]
            axes.loglog(steps, line, style, color=ink(theme), linewidth=1, label=f'slope −{order}')
        axes.set_title(title, fontsize=10)
        dress(axes, theme, ylabel='RMS error')
        axes.set_xticks(steps, [str(n) for n in steps])
        axes.minorticks_off()
    dress(below[1], theme, xlabel='steps')
    legend(below[1], theme)
    return made


def spacing(theme: str) -> Figure:
    """Where 20 steps lie, by their index and by their signal-to-noise ratio."""
    made = figure(theme, NARROW, 4.2)
    above, below = made.subplots(2, 1)
    names = list(reversed(DATA['spacing']))
    for y, (name, colour) in enumerate(zip(names, (RED, GREEN, ORANGE, BLUE), strict=True)):
        for axes, scale in ((above, 'index'), (below, 'lambda')):
            at = DATA['spacing'][name][scale]
            axes.plot(at, [y] * len(at), '|', color=colour, markersize=14)
    dress(above, theme, xlabel='index t')
    dress(below, theme, xlabel='λ, half the log of the signal-to-noise ratio')
    for axes in (above, below):
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(-0.6, len(names) - 0.4)
    above.invert_xaxis()
    return made


def by_calls(axes: Axes, theme: str, calls: Sequence[int], distances: Sequence[float]) -> None:
    """Make these the axes of distances by calls of the network, with such marks."""
    dress(
        axes, theme, xscale='log', yscale='log', xlabel='calls of the network',
        ylabel='Fréchet distance',
    )  # fmt: skip
    axes.set_xticks(calls, [str(n) for n in calls])
    axes.set_yticks(distances, [str(y) for y in distances])
    axes.minorticks_off()


def frontier(theme: str) -> Figure:
    """Distance of digits from real ones, against calls of the network."""
    shown = DATA['frontier']
    made = figure(theme, NARROW, 5.2)
    axes = made.subplots()
    colours = (BLUE, TEAL, ORANGE, BROWN, GREEN, RED, PURPLE)
    for colour, (name, found) in zip(colours, shown['ways'].items(), strict=True):
        axes.plot(found['calls'], found['distance'], 'o-', color=colour, label=name, markersize=4)
    whole = dict(color=ink(theme), linestyle='--', linewidth=1, label='ancestral, 1000 steps')
    axes.axhline(shown['whole'], **whole)
    real = dict(color=GREY, linestyle=':', linewidth=1, label='draws of the real digits')
    axes.axhline(shown['fresh'], **real)
    by_calls(axes, theme, shown['steps'], (0.15, 0.3, 0.5, 1, 2))
    made.legend(
        frameon=False, labelcolor=ink(theme), fontsize=9, loc='outside lower center', ncols=2
    )
    return made
