"""The figure of the page of troubles."""

from matplotlib.figure import Figure

from docs.figures.style import data_of, figure, ink, panel

DATA = data_of('troubles')


def ways(theme: str) -> Figure:
    """Samples of a good model, and of it broken in six ways, with what is said of them."""
    made = figure(theme, 8.4, 5.2)
    made.get_layout_engine().set(h_pad=0.1)
    for axes, way in zip(made.subplots(2, 4).flat, [*DATA['ways'], None], strict=True):
        if way is None:
            axes.set_axis_off()
            continue
        panel(axes, theme, way['rows'], [''] * 4, [''] * 4)
        axes.set_title(way['name'], fontsize=10, color=ink(theme))
        axes.set_xlabel(', '.join(way['said']).replace('white, ', 'white,\n'), fontsize=9)
        axes.xaxis.set_label_position('bottom')
    return made
