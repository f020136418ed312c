"""The picture of the README: one set of digits, from the same noise, as training goes on.

    python docs/figures/readme.py runs/digits

Takes the sample grids that the run left in `samples/`, and writes `docs/images/digits.png`: a row
of the same eight digits at each doubling of the steps, and at the end. The labels are grey on
nothing, for light pages and dark ones.
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

CELL, EDGE, LABEL = 34, 2, 96
SCALE = 3
N = 8


def main(run: str) -> None:
    grids = sorted(Path(run, 'samples').glob('step_*.png'))
    if not grids:
        sys.exit(f'error: {Path(run).absolute()}/samples has no grids: train with previews first')
    steps = {int(path.stem.removeprefix('step_')): path for path in grids}
    shown = [min(steps)]
    while later := [step for step in steps if step >= 2 * shown[-1]]:
        shown.append(min(later))
    shown[-1] = max(steps)
    width, height = LABEL + N * CELL + EDGE, len(shown) * CELL + EDGE
    picture = Image.new('LA', (SCALE * width, SCALE * height))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=13 * SCALE)
    for row, step in enumerate(shown):
        y = SCALE * row * CELL
        draw.text((0, y + SCALE * 9), f'step {step:,}', fill=(125, 255), font=font)
        path = steps[step]
        with Image.open(path) as grid:
            columns = (grid.width - EDGE) // CELL
            for i in range(N):
                left, top = i % columns * CELL, i // columns * CELL
                cell = grid.crop((left, top, left + CELL + EDGE, top + CELL + EDGE))
                size = (SCALE * cell.width, SCALE * cell.height)
                cell = cell.resize(size, Image.Resampling.NEAREST).convert('LA')
                picture.paste(cell, (SCALE * (LABEL + i * CELL), y))
    out = Path(__file__).parents[1] / 'images' / 'digits.png'
    out.parent.mkdir(exist_ok=True)
    picture.save(out)
    print(out)


if __name__ == '__main__':
    main(*sys.argv[1:])
