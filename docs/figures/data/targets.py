"""What an error counts, by target and weight; and what targets and weights give on the digits.

    python -m docs.figures.data.targets                  the curves of the figure
    python -m docs.figures.data.targets runs/targets     the table, from the runs in that folder

A run of the table that is not there is trained first: the preset `digits` with the options below.
Fréchet distance in pixel space of 898 samples, as `frontier.py` measures it; what was measured is
kept beside the run and not measured again.
"""

import sys
from pathlib import Path
from typing import Any

import torch

from docs.figures.data.frontier import row
from docs.figures.data.store import keep, rounded
from labml_nn.diffusion.targets import TARGETS, WEIGHTS

# The rows of the table: name, folder, and the options by which a run differs from `digits`
RUNS: list[tuple[str, str, dict[str, str]]] = [
    (r'$\epsilon$', 'eps', {}),
    ('$x_0$', 'x0', {'target': 'x0'}),
    ('$v$', 'v', {'target': 'v'}),
    (r'$\epsilon$, `min_snr`', 'eps_min_snr', {'weight': 'min_snr'}),
    ('$v$, `min_snr`', 'v_min_snr', {'target': 'v', 'weight': 'min_snr'}),
    ('$v$, `zero_snr`', 'v_zero', {'target': 'v', 'zero_snr': 'true'}),
]
# Sampler, calls of the network, options
WAYS: list[tuple[str, int, dict[str, str]]] = [
    *(('dpm', calls, {}) for calls in (8, 10, 20, 50)),
    ('ddpm', 50, {'variance': 'beta'}),
]
HEAD = ['DPM-Solver++, calls', 8, 10, 20, 50, 'ancestral, 50']


def curves() -> dict[str, Any]:
    """The weight of an error of the image, against the logarithm of the signal-to-noise ratio."""
    log_snr = torch.linspace(-10, 10, 81, dtype=torch.float64)
    snr = log_snr.exp()
    # $\\bar\\alpha = \\text{SNR} / (1 + \\text{SNR})$
    a, s = (snr / (1 + snr)) ** 0.5, (1 / (1 + snr)) ** 0.5
    own = {name: target.own_weight(a, s) for name, target in TARGETS.items()}
    cut = {name: W(snr, own['v']) for name, W in WEIGHTS.items() if name != 'constant'}
    one = torch.ones_like(snr)
    return {
        'log_snr': rounded(log_snr),
        'own': {name: rounded(w * one) for name, w in own.items()},
        'weights': {name: rounded(w) for name, w in cut.items()},
    }


def table(folder: Path) -> list[list[Any]]:
    """A row for each run, below a head."""
    return [HEAD, *(row(label, folder / name, options, WAYS) for label, name, options in RUNS)]


def main(folder: str | None = None) -> None:
    if folder is None:
        keep('targets', {'curves': curves()})
    else:
        keep('targets', {'table': table(Path(folder))})


if __name__ == '__main__':
    main(*sys.argv[1:])
