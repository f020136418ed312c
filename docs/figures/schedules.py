"""The figure of the page of schedules."""

from matplotlib.figure import Figure

from docs.figures.style import BLUE, GREY, ORANGE, data_of, dress, figure, ink, legend

DATA = data_of('schedules')['schedules']


def schedules(theme: str) -> Figure:
    """The signal that is left, and the signal-to-noise ratio."""
    made = figure(theme, 8.4, 3.3)
    left, right = made.subplots(1, 2)
    for name, label, style in (
        ('linear', 'linear', dict(color=BLUE)),
        ('cosine', 'cosine', dict(color=ORANGE)),
        ('short', 'linear as printed, T = 100', dict(color=ink(theme), linestyle=':', linewidth=1)),
    ):
        n = len(DATA[name]['alpha_bar'])
        share = [(i + 1) / n for i in range(n)]
        left.plot(share, DATA[name]['alpha_bar'], **style)
        right.plot(share, DATA[name]['log_snr'], label=label, **style)
    right.axhline(-6, color=GREY, linewidth=0.8, linestyle='--')
    right.text(0.01, -6.4, '400 times more noise', va='top', fontsize=9, color=GREY)
    dress(left, theme, xlabel='t / T', ylabel=r'$\bar\alpha_t$', xlim=(0, 1), ylim=(0, 1))
    dress(right, theme, xlabel='t / T', ylabel=r'$\log\,\mathrm{SNR}(t)$', xlim=(0, 1))
    legend(right, theme, loc='lower left')
    return made
