"""A picture of the README: one set of images, from the same noise, as training goes on.

    python docs/figures/readme.py runs/digits
    python docs/figures/readme.py runs/fashion_conditional garments_training
    python docs/figures/readme.py runs/mine emoji

Takes the sample grids that the run left in `samples/`, and writes `docs/images/digits.png`, or
another name: a row of the same eight images at each doubling of the steps, and at the end. The
labels are grey on nothing, for light pages and dark ones; beside it `digits.dark.png` has lighter
labels. A third argument is the number of columns of the grids: 4 for the 16 images that a preset
asks for.
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

EDGE, LABEL = 2, 96
# How many images of a grid are shown, and how large at least
N, SIDE = 8, 100


def main(run: str, name: str = 'digits', columns: int = 4) -> None:
    grids = sorted(Path(run, 'samples').glob('step_*.png'))
    if not grids:
        sys.exit(f'error: {Path(run).absolute()}/samples has no grids: train with previews first')
    steps = {int(path.stem.removeprefix('step_')): path for path in grids}
    shown = [min(steps)]
    while later := [step for step in steps if step >= 2 * shown[-1]]:
        shown.append(min(later))
    shown[-1] = max(steps)
    with Image.open(grids[0]) as grid:
        side = (grid.width - EDGE) // columns
        mode = 'LA' if grid.mode == 'L' else 'RGBA'
    scale = -(-SIDE // side)
    label = 3 * LABEL
    picture = Image.new(
        mode, (label + scale * (N * side + EDGE), scale * (len(shown) * side + EDGE))
    )
    grey = (*[125] * (len(mode) - 1), 255)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=39)
    for row, step in enumerate(shown):
        y = scale * row * side
        draw.text((0, y + scale * side // 2 - 24), f'step {step:,}', fill=grey, font=font)
        with Image.open(steps[step]) as grid:
            for i in range(N):
                left, top = i % columns * side, i // columns * side
                cell = grid.crop((left, top, left + side + EDGE, top + side + EDGE))
                size = (scale * cell.width, scale * cell.height)
                cell = cell.resize(size, Image.Resampling.NEAREST).convert(mode)
                picture.paste(cell, (label + scale * i * side, y))
    out = Path(__file__).parents[1] / 'images' / f'{name}.png'
    out.parent.mkdir(exist_ok=True)
    picture.save(out, optimize=True)
    by_night(picture, label).save(out.with_suffix('.dark.png'), optimize=True)
    print(out)


def by_night(picture: Image.Image, label: int) -> Image.Image:
    """The same with lighter labels, which are as wide as that."""
    night = picture.copy()
    labels = picture.crop((0, 0, label, picture.height))
    light = Image.new('L', labels.size, 200).convert(picture.mode)
    light.putalpha(labels.getchannel('A'))
    night.paste(light, (0, 0))
    return night


if __name__ == '__main__':
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
