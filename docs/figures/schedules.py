"""The figure of the page of schedules."""

from matplotlib.figure import Figure

from docs.figures.style import BLUE, GREY, ORANGE, data_of, dress, figure, ink, legend
from docs.figures.widths import NARROW

DATA = data_of('schedules')['schedules']


def schedules(theme: str) -> Figure:
    """The signal that is left, and the signal-to-noise ratio."""
    made = figure(theme, NARROW, 5.6)
    above, below = made.subplots(2, 1, sharex=True)
    for name, label, style in (
        ('linear', 'linear', dict(color=BLUE)),
        ('cosine', 'cosine', dict(color=ORANGE)),
        ('short', 'linear as printed, T = 100', dict(color=ink(theme), linestyle=':', linewidth=1)),
    ):
        n = len(DATA[name]['alpha_bar'])
        share = [(i + 1) / n for i in range(n)]
        above.plot(share, DATA[name]['alpha_bar'], **style)
        below.plot(share, DATA[name]['log_snr'], label=label, **style)
    below.axhline(-6, color=GREY, linewidth=0.8, linestyle='--')
    below.text(0.01, -6.4, '400 times more noise', va='top', fontsize=9, color=GREY)
    dress(above, theme, ylabel=r'$\bar\alpha_t$', xlim=(0, 1), ylim=(0, 1))
    dress(below, theme, xlabel='t / T', ylabel=r'$\log\,\mathrm{SNR}(t)$', xlim=(0, 1))
    legend(below, theme, loc='lower left')
    return made
