"""The picture of garments in the README: the first samples of a run, four of each class.

    python -m labml_nn.diffusion.ddpm.evaluate sample runs/fashion_conditional --n 40 \\
        --label 0 1 2 3 4 5 6 7 8 9 --sampler ddpm --steps 50 --separate --out garments
    python docs/figures/garments.py garments

Writes `docs/images/garments.png`: a column for each class, in their order, and nothing left out.
"""

import sys
from pathlib import Path

from PIL import Image

SIDE, EDGE, SCALE = 28, 2, 3
ROWS, CLASSES = 4, 10


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
