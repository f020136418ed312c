"""The figures of the page of rate and distortion."""

from matplotlib.figure import Figure

from docs.figures.style import BLUE, data_of, dress, figure, panel
from docs.figures.widths import NARROW

DATA = data_of('coding')


def curve(theme: str) -> Figure:
    """Distortion and rate by steps, and one by the other."""
    rate, off = DATA['curve']['rate'], DATA['curve']['rmse_levels']
    made = figure(theme, NARROW, 7.2)
    first, second, third = made.subplots(3, 1)
    steps, error, bits = 'steps back, T − t + 1', 'RMSE in levels of 17', 'rate, bits/dim'
    for axes, x, y, across, up in (
        (first, range(1, 1001), off, steps, error),
        (second, range(1, 1001), rate, steps, bits),
        (third, rate, off, bits, error),
    ):
        axes.plot(x, y, color=BLUE)
        dress(axes, theme, xlabel=across, ylabel=up)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
    return made


def progressive(theme: str) -> Figure:
    """Eight digits, from the first guess to the last."""
    rows = DATA['progressive']
    made = figure(theme, 7, 4.8)
    panel(made.subplots(), theme, rows, [''] * len(rows), [''] * len(rows[0]))
    return made


def shared(theme: str) -> Figure:
    """Samples that share their latent at six steps."""
    rows = DATA['shared']
    made = figure(theme, NARROW, 2.6)
    names = ['$x_t$', '$x_0$', 'others', *[''] * (len(rows[0]) - 3)]
    lines = [f't = {t}' for t in (1000, 750, 500, 375, 250, 125)]
    panel(made.subplots(), theme, rows, lines, names)
    return made
