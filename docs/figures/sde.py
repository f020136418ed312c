"""The figure of the page of the continuous time."""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from docs.figures.style import BLUE, ORANGE, data_of, dress, figure
from docs.figures.widths import NARROW

DATA = data_of('sde')['paths']


def paths(theme: str) -> Figure:
    """Paths of the ODE and of the SDE from the same noise, over the density."""
    made = figure(theme, NARROW, 5.6)
    panels = made.subplots(2, 1, sharex=True)
    density = np.array(DATA['density']).T
    times = np.linspace(0, 1, density.shape[1])
    places = np.linspace(-2.6, 2.6, density.shape[0])
    shades = LinearSegmentedColormap.from_list('density', [(0.5, 0.5, 0.5, a) for a in (0, 0.75)])
    for panel, name, title, colour in (
        (panels[0], 'ode', 'the ODE, by DDIM', BLUE),
        (panels[1], 'sde', 'the reverse SDE, by Algorithm 2', ORANGE),
    ):
        dress(panel, theme, ylabel='$x_t$', xlim=(0, 1), ylim=(-2.6, 2.6))
        panel.grid(False)
        panel.contourf(times, places, density, levels=np.linspace(0, 1.0001, 9), cmap=shades)
        for way in DATA[name]:
            panel.plot(times[::-1], way, color=colour, linewidth=0.9)
        panel.set_title(title, fontsize=10)
    panels[1].set_xlabel('t / T')
    return made
