"""What the page of the continuous time says of a trained digits model: the bits of its digits.

    python -m docs.figures.data.sde runs/digits [PART …]

Scores 64 of the training images, and fewer where little changes: some minutes on one core. The part
`paths` is for the figure, and needs no run: one of `-` will do.
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
from labml_nn.diffusion.samplers import DDIM, Ancestral
from labml_nn.diffusion.schedules import cosine

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
    return {'bits': rows, 'cheaper': cheaper(rows)}


def cheaper(rows: list[list[Any]]) -> float:
    """What the ODE saves of the bound, on the same x_1."""
    return rounded([rows[1][1][0] - rows[3][1][0]])[0]


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


# Of the figure: two Gaussians with these means and this standard deviation
MEANS, STD = (-1.0, 1.0), 0.15


def paths(_: str, n: int = 12, n_times: int = 81, n_places: int = 97) -> dict[str, Any]:
    """From the same noise: the ODE by DDIM and the SDE by Algorithm 2, with the exact noise."""
    diffusion = DenoiseDiffusion(None, 1000, beta=cosine(1000))
    means = torch.tensor(MEANS, dtype=torch.float64)

    def moments(alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
        return alpha_bar**0.5 * means, alpha_bar * STD**2 + 1 - alpha_bar

    def eps_model(xt: Tensor, t: Tensor) -> Tensor:
        alpha_bar = diffusion.alpha_bar[t].double()[:, None]
        mean, var = moments(alpha_bar)
        away = xt.double() - mean
        share = torch.softmax(-(away**2) / (2 * var), dim=1)
        # $\epsilon = -\sqrt{1-\bar\alpha_t}\,\nabla\log q(x_t)$
        eps = (1 - alpha_bar) ** 0.5 * (share * away).sum(1, keepdim=True) / var
        return eps.to(xt.dtype)

    diffusion.eps_model = eps_model
    shares = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    noise = torch.special.ndtri(shares).float()[:, None]
    every = 1000 // (n_times - 1)
    found = {}
    for name, sampler in (
        ('ode', DDIM(diffusion, 1000, clip_x0=False)),
        ('sde', Ancestral(diffusion, 1000, clip_x0=False)),
    ):
        ways = [noise, *(xt for _, xt, _ in sampler.chain(*sampler.start(noise, 4)))]
        found[name] = [rounded(way, 3) for way in torch.cat(ways[::every], 1)]
    # The density over time and place, in shares of its largest value at that time
    places = torch.linspace(-2.6, 2.6, n_places, dtype=torch.float64)
    before = torch.cat([torch.ones(1), diffusion.alpha_bar])[::every].double()
    density = []
    for alpha_bar in before:
        mean, var = moments(alpha_bar)
        q = torch.exp(-((places[:, None] - mean) ** 2) / (2 * var)).sum(1)
        density.append(rounded(q / q.max(), 2))
    return {'paths': {**found, 'density': density}}


PARTS = {'bits': bits, 'ends': ends, 'care': care, 'paths': paths}

if __name__ == '__main__':
    run, *parts = sys.argv[1:]
    for part in parts or PARTS:
        keep('sde', PARTS[part](run))
