"""How far weights of 8 bits move the pictures of a run, in the page that `evaluate web` makes.

    python docs/bench/rounding.py runs/digits

For each of the fast samplers: the root mean square over all pixels, which go from -1 to 1; that of
the picture that changes most; the share of the pixels that change by more than 2 grey levels of
255; and by how many the pixel that changes most.
"""

import sys

import torch

from labml_nn.data.pictures import to_uint8
from labml_nn.diffusion.ddpm.sampler import Sampler
from labml_nn.diffusion.ddpm.web import quantised

N = 256


def main(run: str) -> None:
    """Print a line for each sampler, with its usual number of steps."""
    for name in ('dpm', 'pndm', 'ddim'):
        sampler = Sampler.from_run(run, device='cpu', sampler=name)
        exact = sampler.sample(N)
        with torch.no_grad():
            for weight in sampler.diffusion.eps_model.parameters():
                if weight.ndim > 1:
                    scale, q = quantised(weight)
                    weight.copy_(scale.reshape(-1, *[1] * (weight.ndim - 1)) * q)
        rounded = sampler.sample(N)
        squares = (exact - rounded).square().mean((1, 2, 3))
        levels = (to_uint8(exact).int() - to_uint8(rounded).int()).abs()
        print(
            f'{name} {squares.mean().sqrt():.3f} {squares.max().sqrt():.2f} '
            f'{(levels > 2).float().mean():.1%} {levels.max()}',
            flush=True,
        )


if __name__ == '__main__':
    main(*sys.argv[1:])
