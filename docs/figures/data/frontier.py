"""What speed costs: every sampler at several numbers of steps, on a trained digits model.

    python -m docs.figures.data.frontier runs/digits [CACHE]

Draws 898 samples each way, and writes their Fréchet distance in pixel space from the 1,797 real
digits and the seconds they took as the tables of the page (`sampler_frontier.md`), and for the
picture. What the file CACHE holds is not measured again.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

from docs.figures.data.store import keep
from labml_nn.diffusion.ddpm.evaluate import Sampler
from labml_nn.diffusion.samplers import SAMPLERS, ReverseSampler
from labml_nn.evaluation.frechet import frechet_distance

N, SEED, CHUNK = 898, 1, 128
SEEDS = (1, 2, 3, 4)
HERE = Path(__file__).parent
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

    def __init__(self, run: str, cache: Path | None):
        self.diffusion = Sampler.from_run(run).diffusion
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


def row(first: str, cells: list[str]) -> str:
    return f'| {first} | {" | ".join(cells)} |'


def tables(bench: Bench) -> str:
    """Distance by steps, and distance by spacing."""
    whole, seconds = bench('ddpm', 1000, variance='beta', spacing='trailing')
    lines = [
        row('`trailing`, steps', [str(n) for n in STEPS]),
        '|---' * (len(STEPS) + 1) + '|',
        *(
            row(name, [f'{bench(s, n, spacing="trailing", **o)[0]:.2f}' for n in STEPS])
            for name, _, s, o in WAYS
        ),
        row(
            'seconds',
            [f'{bench("dpm", n, spacing="trailing", sde=False)[1]:.1f}' for n in STEPS],
        ),
        '',
        f'Ancestral sampling with all 1000 steps: {whole:.2f}, in {seconds:.0f} seconds. '
        f'Draws of the real digits: {bench.fresh():.2f}.',
        '',
        row('20 steps', [f'`{s}`' for s in SPACINGS]),
        '|---' * (len(SPACINGS) + 1) + '|',
    ]
    for name, _, s, o in WAYS:
        cells = [
            '–' if s == 'pndm' and spacing == 'quadratic'
            else f'{bench(s, 20, spacing=spacing, **o)[0]:.2f}'
            for spacing in SPACINGS
        ]  # fmt: skip
        lines.append(row(name, cells))
    lines += ['', row('steps, of four seeds', ['mean', 'least', 'most']), '|---' * 4 + '|']
    for steps in (10, 20, 50):
        for name, _, s, o in WAYS[-3:]:
            found = [bench(s, steps, seed, spacing='trailing', **o)[0] for seed in SEEDS]
            cells = [f'{v:.2f}' for v in (sum(found) / len(found), min(found), max(found))]
            lines.append(row(f'{name}, {steps}', cells))
    return '\n'.join(lines) + '\n'


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
    (HERE / 'sampler_frontier.md').write_text(tables(bench), encoding='utf-8')
    keep('samplers', {'frontier': curves(bench)})


if __name__ == '__main__':
    main(*sys.argv[1:])
