"""What the page of the continuous time says of a trained digits model: the bits of its digits.

    python -m docs.figures.data.sde runs/digits [PART …]

Scores 64 of the training images, and fewer where little changes: some minutes on one core.
"""

import sys
from typing import Any

import torch
from torch import Tensor

from docs.figures.data.store import keep, rounded
from labml_nn.data.datasets import load_dataset
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.coding import bound_of, chosen, mean_and_error, ode_bits_of
from labml_nn.diffusion.ddpm.evaluate import Sampler
from labml_nn.diffusion.ddpm.utils import around

LEVELS = 17
# How many images are scored; of these, for what changes little from one to the next
SCORED, SOME, FEW = 64, 16, 4


def model(run: str) -> DenoiseDiffusion:
    return Sampler.from_run(run, device='cpu').diffusion


def digits(n: int) -> Tensor:
    """The first of those that `evaluate likelihood` draws."""
    return chosen(load_dataset('digits', image_size=8, image_channels=1), SCORED, 0, 'digits')[:n]


def cell(per_image: Tensor) -> list[float]:
    return rounded(mean_and_error(per_image))


def bits(run: str) -> dict[str, Any]:
    """By the bound, and by the ODE."""
    diffusion, x0 = model(run), digits(SCORED)
    found = bound_of(diffusion, x0, LEVELS, 0, clip_x0=True)
    by_ode = ode_bits_of(diffusion, x0, LEVELS, 0)
    rows: list[list[Any]] = [
        ['how', 'bits/dim'],
        [r'the bound, $\beta$', cell(found.total('beta'))],
        [r'the bound, $\tilde\beta$', cell(found.total('beta_tilde'))],
        ['ODE: $x_1$, and $L_0$', cell(by_ode['latent'] + found.of()[:, 0])],
        ['ODE: uniform noise', cell(by_ode['uniform'])],
    ]
    return {'bits': rows}


ENDS = (1, 10)


def ends(run: str) -> dict[str, Any]:
    """Of $x_t$, and with uniform noise, where the ODE goes no further down than $t$."""
    rows: list[list[Any]] = [['$t$', '$x_t$', 'uniform noise']]
    for t in ENDS:
        found = ode_bits_of(model(run), digits(SOME), LEVELS, 0, t=t)
        rows.append([t, *rounded(float(of.mean()) for of in found.values())])
    return {'ends': rows}


def whole(diffusion: DenoiseDiffusion) -> DenoiseDiffusion:
    """Asked at whole steps alone; between two, what it says at both is mixed."""

    def eps_model(xt: Tensor, t: Tensor) -> Tensor:
        low = t.floor().clamp(max=diffusion.n_steps - 2)
        share = (t - low)[:, None, None, None]
        return torch.lerp(diffusion.eps_theta(xt, low), diffusion.eps_theta(xt, low + 1), share)

    return around(diffusion, eps_model)


def care(run: str) -> dict[str, Any]:
    """How much the tolerance, the times between the steps and the trace matter."""
    diffusion, x0 = model(run), digits(FEW)
    base = ode_bits_of(diffusion, x0, LEVELS, 0)['latent']
    rows: list[list[Any]] = [['instead of', 'taken', 'change, bits/dim', 'spread']]

    def row(instead: str, taken: str, other: DenoiseDiffusion = diffusion, **how: Any) -> None:
        change = ode_bits_of(other, x0, LEVELS, 0, **how)['latent'] - base
        rows.append([instead, taken, *rounded((float(change.mean()), float(change.std())), 3)])
        print(*rows[-1], flush=True)

    row('`rtol` of 1e-4', '1e-3', rtol=1e-3)
    row('the times between the steps', 'whole steps, mixed', whole(diffusion))
    return {'care': rows}


PARTS = {'bits': bits, 'ends': ends, 'care': care}

if __name__ == '__main__':
    run, *parts = sys.argv[1:]
    for part in parts or PARTS:
        keep('sde', PARTS[part](run))
