"""What distillation gives at few calls of the network, on digits, for the tables and pictures.

    python -m docs.figures.data.distillation runs

Fréchet distance in pixel space of 898 samples, as `frontier.py` measures it. `runs/digits` was made
by `make train`; the flow and its students are trained in the folder `runs`, where they are not
there yet. What was measured is kept beside them and not measured again.
"""

import sys
from pathlib import Path
from typing import Any

from docs.figures.data.frontier import SEED, Bench, trained
from docs.figures.data.store import keep, rounded, rows
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.distill import main as distill
from labml_nn.diffusion.ddpm.sampler import Sampler
from labml_nn.diffusion.samplers import SAMPLERS
from labml_nn.runs import checkpoint

# How the teacher is trained
FLOW = {'schedule': 'straight', 'target': 'u'}
CALLS = (1, 2, 4, 8)
# The training steps of each halving, by the calls of its student
HALVINGS = {8: 120, 4: 120, 2: 160, 1: 160}
# Of solvers that need no training
UNTRAINED = (5, 8, 10, 20)
SOLVERS: list[tuple[str, str, dict[str, Any]]] = [
    ('DPM-Solver++ 2M', 'dpm', {}),
    ('UniPC-2', 'unipc', {'order': 2}),
    ('UniPC-3', 'unipc', {'order': 3}),
]
SHOWN = 10


def flow(runs: Path) -> Path:
    """The teacher's folder."""
    return Path(trained(runs / 'flow', FLOW))


def made(teacher: Path, out: Path, *options: object) -> Path:
    """The run `out`, distilled from `teacher` if it is not there yet."""
    if not checkpoint.exists(out):
        told = [teacher, '--out', out, '--track', 'none', '--n_previews', 0, *options]
        assert distill([str(word) for word in told]) == 0
    return out


def progressive(runs: Path, calls: int) -> DenoiseDiffusion:
    """The student of the flow that takes so many steps, by halving."""
    teacher = flow(runs)
    for n, steps in HALVINGS.items():
        options = ('--first', n, '--calls', n, '--steps', steps, '--cooldown', steps * 3 // 4)
        teacher = made(teacher, runs / f'progressive.{n}', *options)
        if n == calls:
            return Sampler.from_run(teacher, device='cpu').diffusion
    raise ValueError(f'calls={calls} is not one of {", ".join(map(str, HALVINGS))}')


def consistent(runs: Path, calls: int) -> DenoiseDiffusion:
    """The consistency model of the flow, for any number of calls."""
    options = ('--method', 'consistency', '--steps', 900)
    run = made(flow(runs), runs / 'consistency', *options)
    return Sampler.from_run(run, device='cpu').diffusion


def reflowed(runs: Path, calls: int) -> DenoiseDiffusion:
    """One reflow of the flow, for any number of calls, as the page of flow matching has it."""
    run = made(flow(runs), runs / 'reflow', '--method', 'reflow')
    return Sampler.from_run(run, device='cpu').diffusion


def untaught(runs: Path, calls: int) -> DenoiseDiffusion:
    """The teacher itself."""
    return Sampler.from_run(flow(runs), device='cpu').diffusion


# A name, how the model is made, and the sampler
WAYS = {
    'teacher, DDIM': (untaught, 'ddim'),
    'teacher, UniPC': (untaught, 'unipc'),
    'reflow': (reflowed, 'ddim'),
    'progressive': (progressive, 'ddim'),
    'consistency': (consistent, 'consistency'),
}


def bench_of(runs: Path, name: str) -> Bench:
    """What measures one of the rows."""
    return Bench(str(runs / 'flow'), runs / f'distilled.{name.replace(", ", ".")}.json')


def table(runs: Path) -> list[list[Any]]:
    """The distance by calls of the network, a row for each way."""
    found: list[list[Any]] = [['calls of the network', *CALLS]]
    for name, (make, sampler) in WAYS.items():
        bench, row = bench_of(runs, name), []
        for calls in CALLS:
            bench.diffusion = make(runs, calls)
            row.append(bench(sampler, calls)[0])
        found.append([name, *rounded(row)])
    return found


def untrained(runs: Path) -> list[list[Any]]:
    """Solvers of higher order, at equal calls, of the model of `make train` and of the flow."""
    found: list[list[Any]] = [['calls of the network', *UNTRAINED]]
    for model in ('digits', 'flow'):
        bench = Bench(str(runs / model), runs / f'solvers.{model}.json')
        label = {'digits': 'DDPM', 'flow': 'flow'}[model]
        for name, sampler, options in SOLVERS:
            row = (bench(sampler, calls, **options)[0] for calls in UNTRAINED)
            found.append([f'{label}, {name}', *rounded(row)])
    return found


def pictures(runs: Path) -> dict[str, list[str]]:
    """What each way draws of the same noises, with one call, two and eight."""
    found = {}
    for name, (make, sampler) in WAYS.items():
        for calls in CALLS:
            way = SAMPLERS[sampler](make(runs, calls), calls)
            [found[f'{name}, {calls}']] = rows(way.sample((SHOWN, 1, 8, 8), SEED), SHOWN)
    return found


def main(runs: str) -> None:
    folder = Path(runs)
    keep('distillation', {'solvers': untrained(folder)})
    keep('distillation', {'table': table(folder), 'pictures': pictures(folder)})


if __name__ == '__main__':
    main(*sys.argv[1:])
