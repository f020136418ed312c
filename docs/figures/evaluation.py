"""How the measures behave where the answer is known.

    python docs/figures/evaluation.py

Writes `frechet_bias.png`, the distance between draws of one Gaussian by their number, and
`precision_recall.png`, samples that are too narrow, right and too wide for their data.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from labml_nn.evaluation.frechet import frechet_distance
from labml_nn.evaluation.precision_recall import inside, precision_recall, squared

HERE = Path(__file__).parent
K = 3


def bias() -> None:
    """Draws of N(0, I) against a large set of the same, for several dimensions."""
    rng = np.random.default_rng(0)
    axes = (figure := Figure(figsize=(6, 3.4), layout='constrained')).subplots()
    sizes = [100, 200, 400, 800, 1600, 3200, 6400]
    for dimension in (8, 32, 128):
        data = rng.normal(size=(50_000, dimension))
        ns = [n for n in sizes if n > dimension]
        found = [
            np.mean([frechet_distance(rng.normal(size=(n, dimension)), data) for _ in range(10)])
            for n in ns
        ]
        axes.loglog(ns, found, 'o-', markersize=4, label=f'{dimension} dimensions')
        print(dimension, *(f'{n}: {d:.3f}' for n, d in zip(ns, found, strict=True)))
    axes.loglog(sizes, [200 / n for n in sizes], 'k:', linewidth=1, label='slope −1')
    axes.set(xlabel='draws', ylabel='Fréchet distance')
    axes.set_xticks(sizes, [f'{n:,}' for n in sizes])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(HERE / 'frechet_bias.png', dpi=110)


def precision_and_recall() -> None:
    """The data's balls, and samples that lie in them or not."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=(200, 2))
    radius = np.partition(squared(data, data), K, axis=1)[:, K] ** 0.5
    figure = Figure(figsize=(9, 3.4), layout='constrained')
    for axes, scale, title in zip(
        figure.subplots(1, 3, sharex=True, sharey=True), (0.3, 1, 3),
        ('too narrow', 'right', 'too wide'), strict=True,
    ):  # fmt: skip
        samples = rng.normal(size=(200, 2)) * scale
        precision, recall = precision_recall(samples, data, K)
        print(f'{title}: precision {precision:.2f}, recall {recall:.2f}')
        for centre, r in zip(data, radius, strict=True):
            axes.add_patch(Circle(tuple(centre), r, color='tab:blue', alpha=0.08, linewidth=0))
        is_in = inside(samples, data, K)
        axes.plot(*data.T, '.', color='tab:blue', markersize=3)
        axes.plot(*samples[is_in].T, '.', color='tab:green', markersize=4)
        axes.plot(*samples[~is_in].T, 'x', color='tab:red', markersize=4)
        axes.set_title(f'{title}: precision {precision:.2f}, recall {recall:.2f}', fontsize=10)
        axes.set(xlim=(-4, 4), ylim=(-4, 4), aspect='equal')
    figure.savefig(HERE / 'precision_recall.png', dpi=110)


if __name__ == '__main__':
    bias()
    precision_and_recall()
