"""The figure of the page of troubles."""

from matplotlib.figure import Figure

from docs.figures.style import data_of, figure, ink, panel
from docs.figures.widths import NARROW

DATA = data_of('troubles')


def ways(theme: str) -> Figure:
    """Samples of a good model, and of it broken in six ways, with what is said of them."""
    made = figure(theme, NARROW, 6.6)
    made.get_layout_engine().set(h_pad=0.1)
    every = made.subplots(3, 3).ravel()
    for axes in every[len(DATA['ways']) :]:
        axes.set_axis_off()
    for axes, way in zip(every, DATA['ways'], strict=False):
        panel(axes, theme, way['rows'], [''] * 4, [''] * 4)
        axes.set_title(way['name'], fontsize=9, color=ink(theme))
        axes.set_xlabel('\n'.join(way['said']), fontsize=9)
        axes.xaxis.set_label_position('bottom')
    return made
