"""Garments: the loss of a run, and the picture of the README, which a command makes.

    python -m labml_nn.diffusion.ddpm.evaluate sample runs/fashion_conditional --n 40 \\
        --label 0 1 2 3 4 5 6 7 8 9 --sampler ddpm --steps 50 --separate --out garments
    python docs/figures/garments.py garments

Writes `docs/images/garments.png`, the first samples of the run: a column for each class, in their
order, and nothing left out.
"""

import sys
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from docs.figures.style import BLUE, GREEN, GREY, ORANGE, RED, data_of, dress, figure, ink
from docs.figures.widths import NARROW

SIDE, EDGE, SCALE = 28, 2, 3
ROWS, CLASSES = 4, 10


def loss(theme: str) -> Figure:
    """The loss in all and by quarter of the steps, where the learning rate is full and falls."""
    data = data_of('garments')['plain_loss']
    made = figure(theme, NARROW, 4.2)
    axes = made.subplots()
    quarters = ('t = 1 … 250', '251 … 500', '501 … 750', '751 … 1000')
    for i, (name, colour) in enumerate(
        zip(quarters, (RED, ORANGE, GREEN, GREY), strict=True), start=1
    ):
        axes.plot(data['step'], data[f'loss_band{i}'], color=colour, linewidth=1, label=name)
    axes.plot(data['step'], data['loss'], color=BLUE, linewidth=1.8, label='all t')
    falls = dict(color=ink(theme), linestyle=':', linewidth=1, label='the rate begins to fall')
    axes.axvline(1500, **falls)
    dress(
        axes, theme, xlabel='training step', ylabel='loss', yscale='log', xlim=(0, 3000),
        yticks=[0.01, 0.03, 0.1, 0.3, 1], yticklabels=['0.01', '0.03', '0.1', '0.3', '1'],
    )  # fmt: skip
    axes.minorticks_off()
    made.legend(
        frameon=False, labelcolor=ink(theme), fontsize=9, loc='outside lower center', ncols=2
    )
    return made


def main(folder: str) -> None:
    paths = sorted(Path(folder).glob('*.png'))[: ROWS * CLASSES]
    if len(paths) < ROWS * CLASSES:
        sys.exit(f'error: {Path(folder).absolute()} has {len(paths)} pictures, need 40')
    cell = SIDE + EDGE
    # The edges are nothing, for light pages and dark ones
    picture = Image.new('LA', (CLASSES * cell - EDGE, ROWS * cell - EDGE))
    for i, path in enumerate(paths):
        with Image.open(path) as sample:
            picture.paste(sample.convert('LA'), (i % CLASSES * cell, i // CLASSES * cell))
    size = (SCALE * picture.width, SCALE * picture.height)
    out = Path(__file__).parents[1] / 'images' / 'garments.png'
    picture.resize(size, Image.Resampling.NEAREST).save(out, optimize=True)
    print(out)


if __name__ == '__main__':
    main(*sys.argv[1:])
