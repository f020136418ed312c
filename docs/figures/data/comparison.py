"""All models and samplers beside each other, on the digits, for the tables of the page.

    python -m docs.figures.data.comparison runs/comparison [MODEL …] [--jobs N]
    python -m docs.figures.data.comparison runs/comparison [MODEL …] --times

What is not in that folder is trained first: the preset `digits` with the options below, or as a
function says. Each way of sampling draws 898 samples at several numbers of calls of the network,
with three seeds; what was measured is kept beside the model and not measured again. With the names
of folders of models, these alone are measured. A new model is a line of `MODELS`.

`--times` measures how long the trainings take, for the same table, once the flow is trained: on a
machine that has nothing else to do.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import torch

from docs.figures.data.distillation import FLOW, consistent, progressive, reflowed
from docs.figures.data.frontier import Bench, trained
from docs.figures.data.sde import LEVELS, SCORED, cell, digits
from docs.figures.data.store import keep, rounded
from labml_nn.cli.messages import nearest
from labml_nn.data.files import written
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.coding import bound_of, ode_bits_of
from labml_nn.diffusion.ddpm.configs import PRESETS, make_configs
from labml_nn.diffusion.ddpm.evaluate import Sampler
from labml_nn.diffusion.ddpm.train import Training
from labml_nn.diffusion.samplers import SAMPLERS

CALLS = (1, 2, 4, 8, 10, 20, 50)
SEEDS = (1, 2, 3)


class Way(NamedTuple):
    """A way of sampling: its name in the table, the sampler, its options."""

    label: str
    sampler: str
    options: dict[str, Any]
    drawn: str = ''  # its name in the picture, if it is there
    calls: tuple[int, ...] = CALLS


# The diffusion for so many calls, from the folder of all models: what it needs, it trains and keeps
# in its own folder there
Maker = Callable[[Path, int], DenoiseDiffusion]


class Model(NamedTuple):
    """A model: its name in the table, its folder, how it is trained, and the ways of sampling."""

    label: str
    folder: str
    made: dict[str, Any] | Maker  # options by which a run differs from `digits`, or a function
    ways: tuple[Way, ...]
    after: str = ''  # the folder of the model that it begins with
    has_bits: bool = True


EDM = {'target': 'edm', 'noise_levels': 'lognormal', 'sigma_data': 0.75}


DPM, UNIPC = Way('DPM-Solver++ 2M', 'dpm', {}), Way('UniPC', 'unipc', {})
FEW = (1, 2, 4, 8)
MODELS = (
    Model('DDPM', 'eps', {}, (
        Way('ancestral', 'ddpm', {'variance': 'beta'}, 'DDPM, ancestral', (*CALLS, 1000)),
        Way('DDIM', 'ddim', {}, 'DDPM, DDIM'),
        Way('PNDM', 'pndm', {}),
        DPM._replace(drawn='DDPM, 2M'),
        Way('2M with noise', 'dpm', {'sde': True}),
        UNIPC,
        Way('Heun, `karras`', 'heun', {'spacing': 'karras'}, 'DDPM, Heun, karras'),
    )),
    Model('$x_0$', 'x0', {'target': 'x0'}, (DPM,)),
    Model('$v$', 'v', {'target': 'v'}, (DPM,)),
    Model('`min_snr`', 'eps_min_snr', {'weight': 'min_snr'}, (DPM,)),
    Model('$v$, `min_snr`', 'v_min_snr', {'target': 'v', 'weight': 'min_snr'}, (DPM,)),
    Model('$v$, `zero_snr`', 'v_zero', {'target': 'v', 'zero_snr': True}, (DPM,)),
    Model('flow', 'flow', FLOW, (
        DPM._replace(drawn='flow, 2M'),
        UNIPC._replace(drawn='flow, UniPC'),
        Way('Heun', 'flow', {'order': 2}),
    )),
    Model('reflow', 'reflow', reflowed, (Way('Euler', 'flow', {'order': 1}, 'reflow'),), 'flow'),
    Model('EDM', 'edm', EDM, (
        Way('Heun, `karras`', 'heun', {'spacing': 'karras'}, 'EDM, Heun, karras'),
        Way('2M, `karras`', 'dpm', {'spacing': 'karras'}, 'EDM, 2M, karras'),
        DPM,
    )),
    Model('halved', 'progressive', progressive, (
        Way('DDIM', 'ddim', {}, calls=FEW),
    ), 'flow', False),
    Model('consistency', 'consistent', consistent, (
        Way('its jumps', 'consistency', {}, calls=FEW),
    ), 'flow', False),
    Model('DiT', 'dit', {'preset': 'digits_dit'}, (DPM,)),
)  # fmt: skip


# ## Training
def diffusion_for(runs: Path, model: Model, calls: int) -> DenoiseDiffusion:
    """The model for so many calls, made if it is not there."""
    if callable(model.made):
        return model.made(runs, calls)
    return Sampler.from_run(trained(runs / model.folder, model.made), device='cpu').diffusion


# ## Times
# Of one core. The trainings take turns at every step, as no machine is equally fast all the time
STEPS = 100


def times(runs: Path, models: Sequence[Model]) -> None:
    """How long each training takes, in seconds of one core, into the folder of the model."""
    torch.set_num_threads(1)
    trainings = {m.folder: training_of(m.made) for m in models if not callable(m.made)}
    turns = zip(*map(durations, trainings.values()), strict=True)
    taken = dict(zip(trainings, zip(*turns, strict=True), strict=True))
    for model in models:
        folder = runs / model.folder
        if callable(model.made):
            seconds = alone(runs, model)
        else:
            seconds = statistics.median(taken[model.folder]) * trainings[model.folder].c.steps
        print(f'{model.label}: {seconds:.0f} s', flush=True)
        folder.mkdir(exist_ok=True)
        store(folder, {**known(folder), 'seconds': seconds})


def training_of(options: dict[str, Any]) -> Training:
    preset = PRESETS[options.get('preset', 'digits')]
    changed = {k: v for k, v in options.items() if k != 'preset'}
    return Training(make_configs({**preset, **changed}), torch.device('cpu'))


def durations(training: Training) -> Iterator[float]:
    """Seconds that each of some steps takes."""
    c = training.c
    # Noise takes as long as images do
    images = torch.rand(c.batch_size, c.image_channels, c.image_size, c.image_size) * 2 - 1
    labels = torch.zeros(c.batch_size, dtype=torch.int64)
    began = time.process_time()
    for _ in training.steps((images, labels) for _ in range(STEPS)):
        yield time.process_time() - began
        began = time.process_time()


def alone(runs: Path, model: Model) -> float:
    """Seconds of a training that is several runs, made anew in a folder that is thrown away."""
    assert callable(model.made)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if model.after:
            shutil.copytree(runs / model.after, folder / model.after)
        began = time.process_time()
        model.made(folder, min(way.calls[0] for way in model.ways))
        return time.process_time() - began


# ## Measuring
def measure(runs: Path, name: str) -> None:
    """All that the tables say of the model with this folder, into it."""
    torch.set_num_threads(1)
    (model,) = (m for m in MODELS if m.folder == name)
    folder = runs / model.folder
    diffusion_for(runs, model, max(way.calls[-1] for way in model.ways))
    # A model that is several runs has a folder of its own for what is measured
    folder.mkdir(exist_ok=True)
    found = known(folder)
    ways = found.setdefault('ways', {})
    for seed, calls, way in cells(model):
        distance = distance_of(runs, model, way, calls, seed)
        ways.setdefault(way.label, {}).setdefault(str(calls), {})[str(seed)] = distance
        store(folder, found)
    if model.has_bits and 'bits' not in found:
        found['bits'] = bits(diffusion_for(runs, model, CALLS[-1]))
        store(folder, found)


def cells(model: Model) -> list[tuple[int, int, Way]]:
    """What is measured of a model: what many wait for first, and what takes long last."""
    found = [(seed, n, way) for seed in SEEDS for way in model.ways for n in way.calls]
    return sorted(found, key=lambda cell: (cell[1] > CALLS[-1], cell[:2]))


def distance_of(runs: Path, model: Model, way: Way, calls: int, seed: int) -> float:
    """With as many steps as cost no more than so many calls."""
    diffusion = diffusion_for(runs, model, calls)
    bench = Bench(diffusion, runs / model.folder / 'distances.json')
    return bench(way.sampler, steps_within(diffusion, way, calls), seed, **way.options)[0]


def steps_within(diffusion: DenoiseDiffusion, way: Way, calls: int) -> int:
    """The most steps that cost no more than so many calls."""
    kind = SAMPLERS[way.sampler]
    most = min(calls, diffusion.n_steps)
    return next(n for n in range(most, 0, -1) if kind(diffusion, n, **way.options).n_calls <= calls)


def bits(diffusion: DenoiseDiffusion) -> dict[str, list[float]]:
    """Bits per dimension, by the bound and, where the page of the ODE has it, by the ODE."""
    x0 = digits(SCORED)
    found = bound_of(diffusion, x0, LEVELS, 0, clip_x0=True)
    by_ode = {}
    if diffusion.target == 'eps':
        latent = ode_bits_of(diffusion, x0, LEVELS, 0)['latent']
        by_ode = {'ode': cell(latent + found.of()[:, 0])}
    return {'bound': cell(found.total()), **by_ode}


def known(folder: Path) -> dict[str, Any]:
    """What is kept of a model."""
    path = folder / 'comparison.json'
    return json.loads(path.read_text(encoding='utf-8')) if path.exists() else {}


def store(folder: Path, found: dict[str, Any]) -> None:
    with written(folder / 'comparison.json') as part:
        part.write_text(json.dumps(found, indent=1), encoding='utf-8')


# ## The tables
def rows(runs: Path) -> Iterator[tuple[Model, Way, dict[int, list[float]]]]:
    """Each way of each model of which something is known."""
    for model in MODELS:
        ways = known(runs / model.folder).get('ways', {})
        for way in model.ways:
            found = ways.get(way.label, {})
            if found:
                yield model, way, {int(n): list(by_seed.values()) for n, by_seed in found.items()}


def table(runs: Path, of: Callable[[list[float]], float | None]) -> list[list[Any]]:
    """A row for each way of each model, and a column for each number of calls."""
    lines: list[list[Any]] = [['calls of the network, at most', *CALLS]]
    for model, way, found in rows(runs):
        values = [of(found[n]) if n in found else None for n in CALLS]
        cells = [v if v is None else rounded([v], 4)[0] for v in values]
        lines.append([f'{model.label}, {way.label}', *cells])
    return lines


def models(runs: Path) -> list[list[Any]]:
    """Seconds of training, with those of the model that it begins with, and bits."""
    lines: list[list[Any]] = [['model', 'seconds', 'bound', 'ODE']]
    for model in MODELS:
        found = known(runs / model.folder)
        begun = [known(runs / model.after).get('seconds')] if model.after else []
        seconds = [found.get('seconds'), *begun]
        said = found.get('bits', {})
        if not found:
            continue
        lines.append([
            model.label, None if None in seconds else rounded([sum(seconds)], 3)[0],
            said.get('bound'), said.get('ode'),
        ])  # fmt: skip
    return lines


def curves(runs: Path) -> dict[str, Any]:
    """The mean distance against calls of the network, of the ways that the picture has."""
    lines = {}
    for _, way, found in rows(runs):
        if way.drawn:
            by_calls = sorted(found.items())
            calls, distance = [n for n, _ in by_calls], [mean(of) for _, of in by_calls]
            lines[way.drawn] = {'calls': calls, 'distance': rounded(distance, 4)}
    return lines


def mean(values: list[float]) -> float:
    return statistics.fmean(values)


def spread(values: list[float]) -> float | None:
    """Of a single one there is none."""
    return max(values) - min(values) if len(values) > 1 else None


def as_text(lines: list[list[Any]]) -> str:
    """A table as the page has it, with two or three digits of each number."""

    def cell(value: Any) -> str:
        if value is None or isinstance(value, str | int):
            return '–' if value is None else str(value)
        if isinstance(value, list):
            return ' ± '.join(f'{v:.2f}' for v in value)
        return f'{value:#.3g}'.rstrip('.') if value >= 1 else f'{value:.2f}'

    head, *rest = (f'| {" | ".join(map(cell, line))} |' for line in lines)
    return '\n'.join([head, f'|---|{"---:|" * (len(lines[0]) - 1)}', *rest])


def assemble(runs: Path) -> None:
    """The tables and the picture, from what is known; and as text, for the page."""
    whole = next(found.get(1000) for _, _, found in rows(runs))
    first = Bench(diffusion_for(runs, MODELS[0], CALLS[-1]), None)
    tables = {
        'distance': table(runs, mean),
        'spread': table(runs, spread),
        'models': models(runs),
    }
    print(*map(as_text, tables.values()), sep='\n\n')
    keep('comparison', {
        **tables,
        'curves': curves(runs),
        'whole': rounded([mean(whole), spread(whole) or 0.0], 4) if whole else None,
        'fresh': rounded([first.fresh()], 4)[0],
    })  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    p = argparse.ArgumentParser(prog='python -m docs.figures.data.comparison')
    p.add_argument('runs', type=Path)
    p.add_argument('wanted', nargs='*', help='folders of models; all when not given')
    p.add_argument('--jobs', type=int, default=len(os.sched_getaffinity(0)), help='processes')
    p.add_argument('--times', action='store_true', help='how long the trainings take, alone')
    a = p.parse_args(arguments)
    a.runs.mkdir(parents=True, exist_ok=True)
    names = [model.folder for model in MODELS]
    for name in a.wanted:
        if name not in names:
            p.error(nearest(name, names, 'model'))
    if a.times:
        times(a.runs, [model for model in MODELS if model.folder in (a.wanted or names)])
        return assemble(a.runs)
    with ProcessPoolExecutor(a.jobs, get_context('spawn')) as pool:
        # What begins with another model waits for it
        for waits in (False, True):
            chosen = [m.folder for m in MODELS if bool(m.after) == waits]
            wanted = [name for name in chosen if name in (a.wanted or names)]
            list(pool.map(partial(measure, a.runs), wanted))
    return assemble(a.runs)


if __name__ == '__main__':
    main()
