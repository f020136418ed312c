"""The figure of the page of flow matching."""

from matplotlib.figure import Figure

from docs.figures.style import BLUE, ORANGE, data_of, dress, figure
from docs.figures.widths import NARROW

DATA = data_of('flow')['curves']


def flow(theme: str) -> Figure:
    """Pairs drawn apart, the flow, and its pairs."""
    made = figure(theme, NARROW, 6.6)
    panels = made.subplots(3, 1, sharex=True)
    titles = ('drawn apart', 'the flow', 'its pairs')
    for panel, title in zip(panels, titles, strict=True):
        for way, image in zip(DATA['ways'], DATA['images'], strict=True):
            tau, places = {
                'drawn apart': ((1, 0), (way[0], image)),
                'the flow': (DATA['tau'], way),
                'its pairs': ((1, 0), (way[0], way[-1])),
            }[title]
            panel.plot(tau, places, color=BLUE if places[-1] > 0 else ORANGE, linewidth=1)
        dress(panel, theme, ylabel=r'$x_\tau$', xlim=(0, 1), ylim=(-2.4, 2.4))
        panel.set_title(title, fontsize=10)
    panels[-1].set_xlabel(r'$\tau$')
    return made
