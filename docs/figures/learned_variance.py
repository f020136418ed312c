"""The figure of the page of learned variances; `make bits` computed it."""

from matplotlib.figure import Figure

from docs.figures.style import BLUE, GREEN, GREY, RED, data_of, dress, figure, ink, legend
from docs.figures.widths import NARROW

DATA = data_of('learned_variance')


def price(theme: str) -> Figure:
    """What the fixed variances cost more, step by step, and where the learned one lies."""
    made = figure(theme, NARROW, 6)
    above, below = made.subplots(2, 1)
    for variance, label, color in (
        ('beta_tilde', r'$\tilde\beta_t$', RED),
        ('beta', r'$\beta_t$', BLUE),
    ):
        above.plot(DATA['price']['t'], DATA['price'][variance], label=label, color=color)
    place = DATA['place']
    below.fill_between(
        place['t'], place['low'], place['high'], alpha=0.25, color=GREEN, linewidth=0,
        label='80 % of the pixels',
    )  # fmt: skip
    below.plot(place['t'], place['median'], color=GREEN, label='their median')
    for end, name in ((0, r'$\tilde\beta_t$'), (1, r'$\beta_t$')):
        below.axhline(end, color=GREY, linestyle=':', linewidth=1)
        below.text(
            1.01, end, name, transform=below.get_yaxis_transform(), va='center', color=ink(theme)
        )
    above.set_title('more than with the learned variance', fontsize=10)
    below.set_title('where the learned variance lies', fontsize=10)
    dress(above, theme, xscale='log', xlabel='step t', ylabel='bits/dim, from the end to t')
    dress(below, theme, xscale='log', xlabel='step t', ylabel='w')
    legend(above, theme)
    legend(below, theme, loc='upper right', bbox_to_anchor=(1, 0.88))
    return made
