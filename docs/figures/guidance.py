"""What guidance does: to three Gaussian classes, and to digits.

    python docs/figures/guidance.py runs/digits_conditional

Writes `guidance_gaussians.png`, samples of three classes whose noise is known exactly, and, if a
run is given, `guidance_digits.png`, the ten digits by guidance scale, from the same noise.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from labml_nn.data.pictures import grid, to_pil
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.evaluate import Sampler
from labml_nn.diffusion.guidance import Guided
from labml_nn.diffusion.samplers import DDIM

# What is drawn is what the tests compute
sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.kit.classes import MEANS, STDS, exact

HERE = Path(__file__).parent
N = 600


def gaussians() -> None:
    """Samples at w = 0, 1 and 4, the classes' own densities behind them."""
    figure = Figure(figsize=(9, 3.3), layout='constrained')
    angle = np.linspace(0, 2 * np.pi, 100)
    for axes, w in zip(figure.subplots(1, 3, sharex=True, sharey=True), (0, 1, 4), strict=True):
        for c, colour in enumerate(('tab:blue', 'tab:orange', 'tab:green')):
            diffusion = DenoiseDiffusion(Guided(exact, c, w), 1000)
            x = DDIM(diffusion, 100, clip_x0=False).sample((N, 2), seed=c)
            axes.plot(*x.T.numpy(), '.', color=colour, markersize=2.5, alpha=0.6)
            for radius in (1, 2):
                ring = np.stack([np.cos(angle), np.sin(angle)])
                ring = MEANS[c].numpy()[:, None] + radius * float(STDS[c]) * ring
                axes.plot(*ring, color=colour, linewidth=1)
        axes.set_title(f'w = {w}', fontsize=10)
        axes.set(xlim=(-2.2, 3), ylim=(-2.3, 2.2), aspect='equal')
    figure.savefig(HERE / 'guidance_gaussians.png', dpi=110)


def digits(run: str) -> None:
    """A row for each scale, a column for each class; the same noise down each column."""
    cell, edge, label = 34, 2, 76
    scales = (-1.0, 0.0, 1.0, 4.0)
    font = ImageFont.load_default(size=13)
    picture = Image.new('L', (label + 20 * cell + edge, len(scales) * cell + edge), 255)
    draw = ImageDraw.Draw(picture)
    for row, w in enumerate(scales):
        sampler = Sampler.from_run(run, label=[i // 2 for i in range(20)], guidance=w)
        images = sampler.sample(20, seed=5)
        picture.paste(to_pil(grid(images, 20)), (label, row * cell))
        draw.text((4, row * cell + 9), f'w = {w:g}', fill=0, font=font)
    picture = picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST)
    picture.save(HERE / 'guidance_digits.png')


if __name__ == '__main__':
    torch.manual_seed(0)
    gaussians()
    if sys.argv[1:]:
        digits(sys.argv[1])
