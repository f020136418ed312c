"""The figure of the page of targets and weights."""

from matplotlib.figure import Figure

from docs.figures.style import BLUE, GREEN, GREY, ORANGE, RED, data_of, dress, figure, legend
from docs.figures.widths import NARROW

DATA = data_of('targets')['curves']


def weights(theme: str) -> Figure:
    """What an error of the image counts, by the target and by the weight."""
    made = figure(theme, NARROW, 5.8)
    above, below = made.subplots(2, 1, sharex=True)
    for name, label, colour, style in (
        ('eps', r'$\epsilon$: SNR', BLUE, '-'),
        ('x0', r'$x_0$: 1', GREEN, '-'),
        ('v', r'$v$: SNR + 1', ORANGE, '--'),
    ):
        above.plot(DATA['log_snr'], DATA['own'][name], style, color=colour, label=label)
    for name, label, colour, style in (
        ('snr', 'snr', BLUE, '-'),
        ('truncated_snr', 'truncated_snr', RED, '--'),
        ('min_snr', 'min_snr', GREEN, '-'),
    ):
        # The others lie upon the first, each in a half of its way
        broad = dict(linewidth=5, alpha=0.4) if name == 'snr' else {}
        below.plot(
            DATA['log_snr'], DATA['weights'][name], style, color=colour, label=label, **broad
        )
    above.set_title('targets, weight constant', fontsize=10)
    below.set_title('weights, any target', fontsize=10)
    for axes in (above, below):
        # Much noise at the left is where a chain begins
        dress(axes, theme, ylabel=r'error of $\hat x_0$ counts', yscale='log', xlim=(-10, 10))
        axes.axvline(0, color=GREY, linewidth=0.8, linestyle=':')
        axes.minorticks_off()
        legend(axes, theme, loc='upper left')
    below.set_xlabel(r'$\log\,\mathrm{SNR}$')
    return made
