"""The picture of the README: one set of digits, from the same noise, as training goes on.

    python docs/figures/readme.py runs/digits

Takes the sample grids that the run left in `samples/`, and writes `docs/images/digits.png`: a row
of the same eight digits for each of them.
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

CELL, EDGE, LABEL = 34, 2, 96
N = 8


def main(run: str) -> None:
    grids = sorted(Path(run, 'samples').glob('step_*.png'))
    if not grids:
        sys.exit(f'error: {Path(run).absolute()}/samples has no grids: train with previews first')
    width, height = LABEL + N * CELL + EDGE, len(grids) * CELL + EDGE
    picture = Image.new('L', (width, height), 255)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=13)
    for row, path in enumerate(grids):
        step = int(path.stem.removeprefix('step_'))
        draw.text((4, row * CELL + 9), f'step {step:,}', fill=0, font=font)
        with Image.open(path) as grid:
            columns = (grid.width - EDGE) // CELL
            for i in range(N):
                left, top = i % columns * CELL, i // columns * CELL
                cell = grid.crop((left, top, left + CELL + EDGE, top + CELL + EDGE))
                picture.paste(cell, (LABEL + i * CELL, row * CELL))
    out = Path(__file__).parents[1] / 'images' / 'digits.png'
    out.parent.mkdir(exist_ok=True)
    picture.resize((2 * width, 2 * height), Image.Resampling.NEAREST).save(out)
    print(out)


if __name__ == '__main__':
    main(*sys.argv[1:])
