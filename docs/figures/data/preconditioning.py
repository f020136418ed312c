"""Where training is spent; and what each part of EDM's training gives on the digits.

    python -m docs.figures.data.preconditioning                   the curves of the figure
    python -m docs.figures.data.preconditioning runs/comparison   the table, from runs there

A run of the table that is not there is trained first: the preset `digits` with the options below.
Fréchet distance in pixel space of 898 samples, as `frontier.py` measures it; what was measured is
kept beside the run and not measured again.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from docs.figures.data.comparison import EDM
from docs.figures.data.frontier import row
from docs.figures.data.store import keep, rounded
from labml_nn.diffusion.preconditioning import lognormal
from labml_nn.diffusion.schedules import linear, straight
from labml_nn.diffusion.targets import target_of

CALLS = (8, 10, 20)
# The rows of the table: name, folder, and the options by which a run differs from `digits`
RUNS: list[tuple[str, str, dict[str, Any]]] = [
    (r'$\epsilon$, uniform', 'eps', {}),
    (r'$\epsilon$, `lognormal`', 'eps_lognormal', {'noise_levels': 'lognormal'}),
    ('$v$, uniform', 'v', {'target': 'v'}),
    ('`edm`, `lognormal`', 'edm', EDM),
]


def log_sigma(beta: Tensor) -> Tensor:
    """The logarithm of the noise level of all steps but a last one without an image."""
    alpha_bar = (1 - beta).cumprod(0)
    found = ((1 - alpha_bar) / alpha_bar).log() / 2
    return found[found.isfinite()]


def density(beta: Tensor, share: Tensor, at: Tensor, width: float = 0.25) -> list[float]:
    """How much of the training has its noise level near each of these, for a unit of the log."""
    levels = log_sigma(beta)
    near = (levels - at[:, None]).abs() < width
    return rounded((near * share[: len(levels)]).sum(1) / (2 * width))


def curves(T: int = 4000, sigma_data: float = 0.75) -> dict[str, Any]:
    """How often levels are drawn, and what an error counts beside that of the best linear guess."""
    at = torch.linspace(-4.5, 4.5, 73, dtype=torch.float64)
    alike = torch.full((T,), 1 / T, dtype=torch.float64)
    paper = linear(T, rescaled=True)
    drawn = {
        'ddpm': density(paper, alike, at),
        'flow': density(straight(T), alike, at),
        'edm': density(paper, lognormal((1 - paper).cumprod(0)), at),
    }
    sigma = at.exp()
    a, s = 1 / (1 + sigma**2) ** 0.5, sigma / (1 + sigma**2) ** 0.5
    edm = target_of('edm', sigma_data).own_weight(a, s)
    counts = {
        name: rounded(target_of(name, sigma_data).own_weight(a, s) / edm)
        for name in ('eps', 'v', 'u', 'edm')
    }
    return {'log_sigma': rounded(at), 'drawn': drawn, 'counts': counts}


def table(runs: Path) -> list[list[Any]]:
    """A row for each run, below a head."""
    head = ['DPM-Solver++, calls', *CALLS]
    ways = [('dpm', calls, {}) for calls in CALLS]
    return [head, *(row(label, runs / name, options, ways) for label, name, options in RUNS)]


def main(runs: str | None = None) -> None:
    if runs is None:
        keep('preconditioning', {'curves': curves()})
    else:
        keep('preconditioning', {'table': table(Path(runs))})


if __name__ == '__main__':
    main(*sys.argv[1:])
