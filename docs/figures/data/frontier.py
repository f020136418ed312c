"""What speed costs: every sampler at several numbers of steps, on a trained digits model.

    python -m docs.figures.data.frontier runs/digits [CACHE]

Draws 898 samples each way, and writes their Fréchet distance in pixel space from the 1,797 real
digits and the seconds they took, for the tables of the page and for the picture. What the file
CACHE holds is not measured again.
"""

import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

from docs.figures.data.store import keep, rounded
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.evaluate import Sampler
from labml_nn.diffusion.ddpm.experiment import main as train
from labml_nn.diffusion.samplers import SAMPLERS, ReverseSampler
from labml_nn.evaluation.frechet import frechet_distance

N, SEED, CHUNK = 898, 1, 128
SEEDS = (1, 2, 3, 4)
STEPS = (5, 10, 20, 50)
SPACINGS = ('leading', 'linspace', 'trailing', 'quadratic')
# What is compared: a name for the tables, one for the pictures, the sampler, its options. The last
# three, between which the default is chosen, are measured with more seeds
WAYS: list[tuple[str, str, str, dict[str, Any]]] = [
    (r'ancestral, $\beta$', 'ancestral, β', 'ddpm', {'variance': 'beta'}),
    (r'ancestral, $\tilde\beta$', 'ancestral, β̃', 'ddpm', {'variance': 'beta_tilde'}),
    (r'DDIM, $\eta = 0.5$', 'DDIM, η = 0.5', 'ddim', {'eta': 0.5}),
    (r'DDIM, $\eta = 0$', 'DDIM, η = 0', 'ddim', {'eta': 0.0}),
    ('PNDM', 'PNDM', 'pndm', {}),
    ('DPM-Solver++ 2M', 'DPM-Solver++ 2M', 'dpm', {'sde': False}),
    ('2M with noise', 'DPM-Solver++ 2M with noise', 'dpm', {'sde': True}),
]


class Bench:
    """Measures, once, and remembers."""

    def __init__(self, run: str | DenoiseDiffusion, cache: Path | None):
        given = isinstance(run, DenoiseDiffusion)
        self.diffusion = run if given else Sampler.from_run(run).diffusion
        self.real = load_digits().data / 8 - 1
        self.cache = cache
        self.known = json.loads(cache.read_text()) if cache and cache.exists() else {}

    def __call__(
        self, name: str, steps: int, seed: int = SEED, **options: Any
    ) -> tuple[float, float]:
        """The distance, and the seconds for all samples."""
        key = json.dumps([name, steps, seed, options], sort_keys=True)
        if key not in self.known:
            sampler = SAMPLERS[name](self.diffusion, steps, clip_x0=True, **options)
            drawn = [self.draw(sampler, seed, first) for first in range(0, N, CHUNK)]
            x = torch.cat([images for images, _ in drawn]).double().cpu().numpy()
            distance = frechet_distance(x.reshape(N, -1), self.real)
            self.known[key] = distance, sum(seconds for _, seconds in drawn)
            if self.cache:
                self.cache.write_text(json.dumps(self.known, indent=1))
            print(key, *(f'{v:.3f}' for v in self.known[key]), flush=True)
        distance, seconds = self.known[key]
        return distance, seconds

    def draw(self, sampler: ReverseSampler, seed: int, first: int) -> tuple[torch.Tensor, float]:
        """Some of the samples, and the seconds for them."""
        began = time.monotonic()
        images = sampler.sample((min(CHUNK, N - first), 1, 8, 8), seed, first=first)
        return images, time.monotonic() - began

    def fresh(self) -> float:
        """The distance that as many draws of the real digits have."""
        rng = np.random.default_rng(0)
        draws = [self.real[rng.integers(0, len(self.real), N)] for _ in range(20)]
        return float(np.mean([frechet_distance(x, self.real) for x in draws]))


def trained(run: Path, options: dict[str, Any]) -> str:
    """The folder of a run, which is trained if it is not there."""
    if not (run / 'samples.png').exists():
        said = [w for name, value in options.items() for w in (f'--{name}', str(value).lower())]
        assert train(['--out', str(run), '--track', 'none', *said]) == 0
    return str(run)


def row(
    label: str, run: Path, options: dict[str, Any], ways: Iterable[tuple[str, int, dict[str, Any]]]
) -> list[Any]:
    """The distances of a run, which is trained if need be: sampler, steps and options of each."""
    bench = Bench(trained(run, options), run / 'distances.json')
    return [label, *rounded(bench(name, n, **o)[0] for name, n, o in ways)]


def tables(bench: Bench) -> dict[str, Any]:
    """Distance by steps, by spacing, and by seed: the tables of the page, with their heads."""
    whole, seconds = bench('ddpm', 1000, variance='beta', spacing='trailing')
    steps: list[list[Any]] = [['`trailing`, steps', *STEPS]]
    spacing: list[list[Any]] = [['20 steps', *(f'`{s}`' for s in SPACINGS)]]
    for name, _, s, o in WAYS:
        by_steps = (bench(s, n, spacing='trailing', **o)[0] for n in STEPS)
        steps.append([name, *rounded(by_steps)])
        # PNDM needs even steps
        ways = [way for way in SPACINGS if (s, way) != ('pndm', 'quadratic')]
        found = rounded(bench(s, 20, spacing=way, **o)[0] for way in ways)
        spacing.append([name, *found, *[None] * (len(SPACINGS) - len(found))])
    took = (bench('dpm', n, spacing='trailing', sde=False)[1] for n in STEPS)
    steps.append(['seconds', *rounded(took)])
    found = {
        'steps': steps,
        'spacing': spacing,
        'seeds': seeds(bench),
        'whole': dict(zip(WHOLE, rounded([whole, seconds, bench.fresh()]), strict=True)),
    }
    return found | {'short': short(found)}


def seeds(bench: Bench) -> list[list[Any]]:
    """How far the distances of several seeds lie apart."""
    rows: list[list[Any]] = [['sampler, steps', 'mean of four seeds', 'least', 'most']]
    for n in (10, 20, 50):
        for name, _, s, o in WAYS[-3:]:
            found = [bench(s, n, seed, spacing='trailing', **o)[0] for seed in SEEDS]
            cells = [sum(found) / len(found), min(found), max(found)]
            rows.append([f'{name}, {n}', *rounded(cells)])
    return rows


WHOLE = ('distance', 'seconds', 'real')
# The rows of the README: the paper's ancestral sampling, and the others as they are by default
SHORT = {
    r'ancestral, $\beta$': '`ddpm`, `--variance beta`, as in the paper',
    r'DDIM, $\eta = 0$': '`ddim`',
    'PNDM': '`pndm` (one call more)',
    'DPM-Solver++ 2M': '`dpm`: DPM-Solver++, the default with 20',
}


def short(found: dict[str, Any]) -> list[list[Any]]:
    """The table of the README, out of those of the page."""
    (_, _, *counts), *rows = found['steps']
    by_name = {name: distances for name, _, *distances in rows}
    ends = [found['whole']['distance'], *[None] * (len(SHORT) - 1)]
    return [
        ['calls of the network', *counts, 1000],
        *(
            [said, *by_name[name], end]
            for (name, said), end in zip(SHORT.items(), ends, strict=True)
        ),
    ]


def curves(bench: Bench) -> dict[str, Any]:
    """Distance against calls of the network."""
    ways = {}
    for _, label, s, o in WAYS:
        calls = [SAMPLERS[s](bench.diffusion, n, **o).n_calls for n in STEPS]
        found = [round(bench(s, n, spacing='trailing', **o)[0], 4) for n in STEPS]
        ways[label] = {'calls': calls, 'distance': found}
    whole, _ = bench('ddpm', 1000, variance='beta', spacing='trailing')
    return {
        'steps': STEPS, 'ways': ways, 'whole': round(whole, 4), 'fresh': round(bench.fresh(), 4)
    }  # fmt: skip


def main(run: str, cache: str | None = None) -> None:
    bench = Bench(run, Path(cache) if cache else None)
    keep('frontier', tables(bench))
    keep('samplers', {'frontier': curves(bench)})


if __name__ == '__main__':
    main(*sys.argv[1:])
