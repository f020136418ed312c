"""How far weights of 8 bits move the pictures of a run, in the page that `evaluate web` makes.

    python -m docs.bench.rounding runs/digits

For each of the fast samplers: the root mean square over all pixels, which go from -1 to 1; that of
the picture that changes most; the share of the pixels that change by more than 2 grey levels of
255; and by how many the pixel that changes most. Prints the table of the page of `web`, and writes
it (`docs/figures/data/rounding.json`).
"""

import sys
from typing import Any

import torch

from docs.figures.data.store import keep, rounded
from labml_nn.data.pictures import to_uint8
from labml_nn.diffusion.ddpm.sampler import Sampler
from labml_nn.diffusion.ddpm.web import quantised

N = 256


def main(run: str) -> None:
    """A row for each sampler, with its usual number of steps."""
    head = ['sampler', 'RMS', 'of the worst picture', 'more than 2 levels', 'most levels']
    table: list[list[Any]] = [head]
    for name in ('dpm', 'pndm', 'ddim'):
        sampler = Sampler.from_run(run, device='cpu', sampler=name)
        exact = sampler.sample(N)
        with torch.no_grad():
            for weight in sampler.diffusion.eps_model.parameters():
                if weight.ndim > 1:
                    scale, q = quantised(weight)
                    weight.copy_(scale.reshape(-1, *[1] * (weight.ndim - 1)) * q)
        eight_bits = sampler.sample(N)
        squares = (exact - eight_bits).square().mean((1, 2, 3))
        levels = (to_uint8(exact).int() - to_uint8(eight_bits).int()).abs()
        # A share in per cent
        share = 100 * float((levels > 2).float().mean())
        moved = [float(squares.mean().sqrt()), float(squares.max().sqrt()), share]
        table.append([f'`{name}`', *rounded(moved, 3), int(levels.max())])
        print(*table[-1], flush=True)
    keep('rounding', {'table': table})


if __name__ == '__main__':
    main(*sys.argv[1:])
