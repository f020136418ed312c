"""Samples of a sampler that does not suit its run, by how hard they are to denoise."""

from matplotlib.figure import Figure

from docs.figures.style import data_of, figure, panel
from docs.figures.widths import NARROW


def hardest(theme: str) -> Figure:
    """Six samples each: the hardest of 128, those in the middle, the easiest."""
    made = figure(theme, NARROW, 2.3)
    panel(
        made.subplots(), theme, data_of('check_rates')['hardest'], ['hardest', 'middle', 'easiest'],
        [''] * 6,
    )  # fmt: skip
    return made
