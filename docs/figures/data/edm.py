"""What Heun's method and the noise levels of EDM give, on a trained digits model.

    python -m docs.figures.data.edm runs/digits [CACHE]

Fréchet distance in pixel space of 898 samples, as `frontier.py` measures it, at equal calls of the
network, for the table of the page. What the file CACHE holds is not measured again.
"""

import sys
from pathlib import Path
from typing import Any

from docs.figures.data.frontier import Bench
from docs.figures.data.store import keep, rounded
from labml_nn.diffusion.samplers import SAMPLERS

CALLS = (9, 19, 39)
WAYS = {'DDIM': 'ddim', 'DPM-Solver++ 2M': 'dpm', 'Heun': 'heun'}


def distance(bench: Bench, name: str, calls: int, spacing: str) -> float:
    """With as many steps as cost that many calls."""
    steps = (calls + 1) // 2 if name == 'heun' else calls
    assert SAMPLERS[name](bench.diffusion, steps, spacing=spacing).n_calls == calls
    return bench(name, steps, spacing=spacing)[0]


def table(bench: Bench) -> list[list[Any]]:
    """A row for each sampler and each of two spacings, below a head."""
    rows: list[list[Any]] = [['calls of the network', *CALLS]]
    for label, name in WAYS.items():
        for spacing in ('trailing', 'karras'):
            found = rounded(distance(bench, name, calls, spacing) for calls in CALLS)
            rows.append([f'{label}, `{spacing}`', *found])
    return rows


def main(run: str, cache: str | None = None) -> None:
    keep('edm', {'table': table(Bench(run, Path(cache) if cache else None))})


if __name__ == '__main__':
    main(*sys.argv[1:])
