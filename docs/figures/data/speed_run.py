"""What makes the training of the digits fast, and what does not, for the tables of the page.

    python -m docs.figures.data.speed_run runs/speed [--jobs N]

Each line of `VARIANTS` is the preset `digits` with other options, for about a minute of one
core, trained with three seeds; each training draws 898 samples in 20 steps of DPM-Solver++. The
records are drawn by 1000 ancestral steps as well. What is in the folder is not trained and not
measured again.
"""

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from docs.figures.data.comparison import EDM, known, store
from docs.figures.data.distillation import FLOW
from docs.figures.data.frontier import Bench, trained
from docs.figures.data.store import keep, rounded

SEEDS = (0, 1, 2)


def short(steps: int, high: bool = True, **options: Any) -> dict[str, Any]:
    """So many steps, no previews; with a high rate that falls nearly from the beginning, or not."""
    rate = {'learning_rate': 4e-3, 'cooldown': int(0.9 * steps)}
    usual = {'cooldown': int(0.4 * steps)}
    made = {'steps': steps, 'n_previews': 0, 'n_samples': 16}
    return {**made, **(rate if high else usual), **options}


PLAIN = {'is_attn': (False, False)}
VARIANTS: dict[str, dict[str, Any]] = {
    '`digits`, shorter': short(660, high=False),
    'batch 32, more steps': short(1150, high=False, batch_size=32),
    'rate 4e-3, longer cool-down': short(660),
    'and the cosine schedule': short(660, schedule='cosine'),
    'and the target `edm`': short(660, **EDM),
    'and the flow': short(660, **FLOW),
    'the flow, width 24, no attention': short(950, n_channels=24, **PLAIN, **FLOW),
    'the flow, width 16, no attention': short(1600, n_channels=16, **PLAIN, **FLOW),
}
FAST = 'digits_fast'
# What each differs in from the preset
RECORDS: dict[str, dict[str, Any]] = {
    'fast': {},
    'long': {'n_channels': 24, 'steps': 3600, 'cooldown': 3300},
}
ANCESTRAL = {'steps': 1000, 'variance': 'beta'}
MEASURED = ('seconds of one core', 'distance, 20 calls', 'distance, 1000 calls')


def run_of(runs: Path, name: str, options: dict[str, Any]) -> tuple[Bench, float]:
    """What measures a run, trained if it is not there, and the seconds of one core that it took."""
    torch.set_num_threads(1)
    run, began = runs / name, time.process_time()
    if not (run / 'samples.png').exists():
        trained(run, {'threads': 1, **options})
        store(run, {'seconds': time.process_time() - began})
    return Bench(str(run), run / 'distances.json'), known(run)['seconds']


def variant(runs: Path, label: str, seed: int) -> tuple[float, float]:
    """Seconds and distance of one training with other options."""
    name = f'variant{list(VARIANTS).index(label)}.{seed}'
    bench, seconds = run_of(runs, name, {**VARIANTS[label], 'seed': seed})
    return seconds, bench('dpm', 20)[0]


def record(runs: Path, name: str, seed: int) -> tuple[float, ...]:
    """Of one training of a record: seconds, and the distances by 20 calls and by 1000."""
    options = {'preset': FAST, **RECORDS[name], 'seed': seed}
    bench, seconds = run_of(runs, f'{name}.{seed}', options)
    return seconds, bench('dpm', 20)[0], bench('ddpm', **ANCESTRAL)[0]


def spread(values: Sequence[float]) -> list[float]:
    """Mean, least and most."""
    return rounded([statistics.fmean(values), min(values), max(values)], 3)


def measure(runs: Path, jobs: int) -> None:
    runs.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(jobs, get_context('spawn')) as pool:
        # What takes longest is begun first
        long = {
            (name, seed): pool.submit(record, runs, name, seed)
            for name in reversed(RECORDS)
            for seed in SEEDS
        }
        small = {
            (label, seed): pool.submit(variant, runs, label, seed)
            for label in VARIANTS
            for seed in SEEDS
        }
        rows: list[list[Any]] = [['what differs', 'steps', 'seconds', 'distance', 'least', 'most']]
        for label, options in VARIANTS.items():
            seconds, found = zip(*(small[label, seed].result() for seed in SEEDS), strict=True)
            took = round(statistics.fmean(seconds))
            rows.append([label, options['steps'], took, *spread(found)])
        tables: dict[str, Any] = {'variants': rows}
        for name in RECORDS:
            columns = zip(*(long[name, seed].result() for seed in SEEDS), strict=True)
            tables[name] = [
                ['', *(f'seed {seed}' for seed in SEEDS), 'mean'],
                *(
                    [what, *rounded([*values, statistics.fmean(values)], 3)]
                    for what, values in zip(MEASURED, columns, strict=True)
                ),
            ]
    keep('speed_run', tables)


def main(arguments: list[str] | None = None) -> None:
    p = argparse.ArgumentParser(prog='python -m docs.figures.data.speed_run')
    p.add_argument('runs', type=Path)
    p.add_argument('--jobs', type=int, default=len(os.sched_getaffinity(0)), help='processes')
    a = p.parse_args(arguments)
    measure(a.runs, a.jobs)


if __name__ == '__main__':
    main()
