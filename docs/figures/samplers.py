"""The figures of the pages of samplers."""

from matplotlib.figure import Figure

from docs.figures.style import BLUE, GREEN, GREY, ORANGE, RED, data_of, dress, figure, ink, legend

DATA = data_of('samplers')
PURPLE, BROWN, TEAL = '#9268b8', '#a0705a', '#3aa5a5'


def orders(theme: str) -> Figure:
    """Error against the number of steps, where the exact solution is known."""
    made = figure(theme, 8.4, 3.4)
    titles = ('from T to T/8', 'from T to the first step')
    across = made.subplots(1, 2, sharey=True)
    for axes, title, shown in zip(across, titles, DATA['orders'], strict=True):
        steps = shown['steps']
        ways = zip((BLUE, ORANGE, GREEN), shown['errors'].items(), strict=True)
        for colour, (name, found) in ways:
            axes.loglog(steps, found, 'o-', color=colour, label=name, markersize=4)
        for order, style in ((1, ':'), (2, '--')):
            line = [0.6 * (n / steps[0]) ** -order for n in steps]
            axes.loglog(steps, line, style, color=ink(theme), linewidth=1, label=f'slope −{order}')
        axes.set_title(title, fontsize=10)
        dress(axes, theme, xlabel='steps')
        axes.set_xticks(steps, [str(n) for n in steps])
        axes.minorticks_off()
    across[0].set_ylabel('RMS error')
    legend(across[1], theme)
    return made


def spacing(theme: str) -> Figure:
    """Where 20 steps lie, by their index and by their signal-to-noise ratio."""
    made = figure(theme, 8.4, 2.6)
    left, right = made.subplots(1, 2, sharey=True)
    names = list(reversed(DATA['spacing']))
    for y, (name, colour) in enumerate(zip(names, (RED, GREEN, ORANGE, BLUE), strict=True)):
        for axes, scale in ((left, 'index'), (right, 'lambda')):
            at = DATA['spacing'][name][scale]
            axes.plot(at, [y] * len(at), '|', color=colour, markersize=14)
    dress(left, theme, xlabel='index t', ylim=(-0.6, len(names) - 0.4))
    dress(right, theme, xlabel='λ, half the log of the signal-to-noise ratio')
    left.set_yticks(range(len(names)), names)
    left.invert_xaxis()
    return made


def frontier(theme: str) -> Figure:
    """Distance of digits from real ones, against calls of the network."""
    shown = DATA['frontier']
    made = figure(theme, 7.6, 4)
    axes = made.subplots()
    colours = (BLUE, TEAL, ORANGE, BROWN, GREEN, RED, PURPLE)
    for colour, (name, found) in zip(colours, shown['ways'].items(), strict=True):
        axes.plot(found['calls'], found['distance'], 'o-', color=colour, label=name, markersize=4)
    whole = dict(color=ink(theme), linestyle='--', linewidth=1, label='ancestral, 1000 steps')
    axes.axhline(shown['whole'], **whole)
    real = dict(color=GREY, linestyle=':', linewidth=1, label='draws of the real digits')
    axes.axhline(shown['fresh'], **real)
    dress(
        axes, theme, xscale='log', yscale='log', xlabel='calls of the network',
        ylabel='Fréchet distance',
    )  # fmt: skip
    axes.set_xticks(shown['steps'], [str(n) for n in shown['steps']])
    axes.set_yticks([0.15, 0.3, 0.5, 1, 2], ['0.15', '0.3', '0.5', '1', '2'])
    axes.minorticks_off()
    legend(axes, theme, loc='center left', bbox_to_anchor=(1, 0.5))
    return made
