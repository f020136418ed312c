"""The figures of the page of the score."""

from matplotlib.figure import Figure

from docs.figures.style import BLUE, ORANGE, data_of, dress, figure, ink, legend, panel
from docs.figures.widths import NARROW

DATA = data_of('score')


def means(theme: str) -> Figure:
    """Two digits, noised, and below each the mean of all that it may have been."""
    made = figure(theme, NARROW, 2.5)
    axes = made.subplots(1, 1)
    known = DATA['guesses']
    rows = [row for pair in zip(known['noisy'], known['means'], strict=True) for row in pair]
    lines = ['$x_t$', 'mean', '$x_t$', 'mean']
    panel(axes, theme, rows, lines, [str(t) for t in known['steps']], 'step t')
    return made


def memory(theme: str) -> Figure:
    """How far samples are from what the network was trained on, in the course of training."""
    made = figure(theme, NARROW, 3.4)
    axes = made.subplots(1, 1)
    known = DATA['memory']
    for name, colour, label in (('all', BLUE, '1,797 digits'), ('few', ORANGE, '50 digits')):
        axes.plot(known['moments'], known[name], 'o-', color=colour, label=f'trained on {label}')
    axes.axhline(
        known['all data'], color=ink(theme), linewidth=1, linestyle='--',
        label='from one real digit to another',
    )  # fmt: skip
    axes.set_xscale('log')
    axes.set_xticks(known['moments'], [f'{m:,}' for m in known['moments']])
    axes.minorticks_off()
    dress(axes, theme, xlabel='steps of training', ylabel='distance to the nearest', ylim=(0, None))
    legend(axes, theme, loc='lower left')
    return made
