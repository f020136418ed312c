"""The figure of the page of EDM's training."""

from matplotlib.figure import Figure

from docs.figures.style import BLUE, GREEN, GREY, ORANGE, data_of, dress, figure, legend
from docs.figures.widths import NARROW

DATA = data_of('preconditioning')['curves']


def effort(theme: str) -> Figure:
    """How often each noise level is drawn, and what an error counts there."""
    made = figure(theme, NARROW, 5.6)
    above, below = made.subplots(2, 1, sharex=True)
    for name, label, colour, style in (
        ('ddpm', 'DDPM, linear', BLUE, '-'),
        ('flow', 'flow, straight', GREEN, '--'),
        ('edm', 'EDM, log-normal', ORANGE, '-'),
    ):
        above.plot(DATA['log_sigma'], DATA['drawn'][name], style, color=colour, label=label)
    for name, label, colour, style in (
        ('eps', r'$\epsilon$', BLUE, '-'),
        ('v', r'$v$', GREY, '-'),
        ('u', r'$u$, flow', GREEN, '--'),
        ('edm', 'EDM', ORANGE, '-'),
    ):
        below.plot(DATA['log_sigma'], DATA['counts'][name], style, color=colour, label=label)
    dress(above, theme, ylabel='how often', ylim=(0, 0.5), xlim=(-4.5, 4.5))
    dress(below, theme, ylabel='an error counts', ylim=(0, 1.8))
    for axes in (above, below):
        legend(axes, theme, loc='upper right' if axes is below else 'upper left')
    below.set_xlabel(r'$\log\bar\sigma$')
    return made
