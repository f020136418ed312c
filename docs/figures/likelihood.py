"""The figure of the page of the bound."""

from matplotlib.figure import Figure

from docs.figures.style import BLUE, GREY, RED, data_of, dress, figure, ink, legend
from docs.figures.widths import NARROW

DATA = data_of('likelihood')['gaps']


def gaps(theme: str) -> Figure:
    """What the bound loses on Gaussian data, in all and by step."""
    made = figure(theme, NARROW, 6)
    above, below = made.subplots(2, 1)
    ways = (
        (r'$\tilde\beta_t$', dict(color=RED)),
        (r'$\beta_t$, with $\tilde\beta_2$ first', dict(color=BLUE)),
        (r'$\beta_t$, with $\beta_1$ first', dict(color=BLUE, linestyle='--')),
        ('optimal', dict(color=ink(theme))),
    )
    for (label, style), lost, steps in zip(ways, DATA['in_all'], DATA['by_step'], strict=True):
        above.plot(DATA['lengths'], lost, label=label, **style)
        below.plot(range(1, 1001), steps, **style)
    for limit in DATA['limits']:
        above.axhline(limit, color=GREY, linestyle=':', linewidth=1)
    above.set_title('in all', fontsize=10)
    below.set_title('by step, T = 1000', fontsize=10)
    dress(above, theme, xscale='log', xlabel='T', ylabel='bits/dim lost', ylim=(-0.05, 2))
    dress(
        below, theme, xscale='log', yscale='log', xlabel='step t', ylabel='bits/dim lost',
        ylim=(1e-7, 1),
    )  # fmt: skip
    legend(above, theme)
    return made
