"""What flow matching and one reflow give, on digits, for the tables of the page.

    python -m docs.figures.data.flow [runs/flow runs/digits [CACHE]]

Without a run, the curves of the figure alone, whose velocity is known. `runs/flow` was trained with
`--schedule straight --target u`, and `runs/digits` by `make train`. Fréchet distance in pixel space
of 898 samples, as `frontier.py` measures it, at equal calls of the network. The reflow is made
by the command of distillation, in `runs/flow.reflow`, where it is not there yet. What the file
CACHE holds is not measured again.
"""

import sys
from pathlib import Path
from typing import Any

import torch

from docs.figures.data.distillation import made
from docs.figures.data.frontier import Bench
from docs.figures.data.store import keep, rounded
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.score import Points
from labml_nn.diffusion.ddpm.teacher import PAIR_SEED, PAIR_STEPS
from labml_nn.diffusion.flow_matching import pairs, straightness
from labml_nn.diffusion.samplers import SAMPLERS, Flow
from labml_nn.diffusion.schedules import straight
from labml_nn.diffusion.targets import TargetedDiffusion

CALLS = (1, 2, 3, 5, 8, 9, 19)
N_MEASURED = 64
# A label, a sampler, its options
WAYS: list[tuple[str, str, dict[str, Any]]] = [
    ('Euler', 'flow', {'order': 1}),
    ('Heun', 'flow', {'order': 2}),
    ('DPM-Solver++ 2M', 'dpm', {}),
]


def rows(bench: Bench, model: str, ways: list[tuple[str, str, dict[str, Any]]]) -> list[list[Any]]:
    """A row for each sampler: the distance by calls of the network."""
    found = []
    for label, name, options in ways:
        row: list[Any] = [f'{model}, {label}']
        for calls in CALLS:
            steps = (calls + 1) // 2 if options.get('order') == 2 else calls
            # Heun's method has an odd number of calls
            is_it = SAMPLERS[name](bench.diffusion, steps, **options).n_calls == calls
            row += rounded([bench(name, steps, **options)[0]]) if is_it else [None]
        found.append(row)
    return found


def own_pairs(diffusion: DenoiseDiffusion, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of a flow, drawn as those that a reflow learns from."""
    return pairs(Flow(diffusion, PAIR_STEPS), n, (1, 8, 8), seed=PAIR_SEED)


def curves(n: int = 24, n_steps: int = 100) -> dict[str, Any]:
    """For the images +1 and -1: noise, the images drawn for it, and the way of the flow down."""
    diffusion = TargetedDiffusion(None, n_steps, target='u', beta=straight(n_steps))
    points = Points(diffusion, torch.tensor([-1.0, 1.0]).reshape(2, 1))
    diffusion.eps_model = lambda xt, t: points(xt, t) - points.x0_hat(xt, t)
    sampler = Flow(diffusion, n_steps, clip_x0=False)
    # Evenly over the quantiles of the noise
    share = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    eps = torch.special.ndtri(share).float().reshape(n, 1)
    ways = [eps]
    for t, xt, _ in sampler.chain(*sampler.start(eps)):
        # The step above t = 0 ends at t - 1, and that at t = 0 at the image
        ways.append(xt / sampler.size[t - 1])
    images = torch.where(torch.rand(n, generator=torch.Generator().manual_seed(3)) < 0.5, -1.0, 1.0)
    return {
        'tau': rounded(torch.linspace(1, 0, n_steps + 1), 4),
        'ways': [rounded(way, 4) for way in torch.stack(ways)[..., 0].T],
        'images': rounded(images, 2),
    }


def main(run: str | None = None, digits: str = '', cache: str | None = None) -> None:
    keep('flow', {'curves': curves()})
    if run is None:
        return
    kept = [Path(f'{cache}.{part}') if cache else None for part in ('digits', 'flow', 'reflow')]
    ddpm = Bench(digits, kept[0])
    table = [['calls of the network', *CALLS], *rows(ddpm, 'DDPM', WAYS)]
    flow = Bench(run, kept[1])
    table += rows(flow, 'flow', WAYS)
    again = made(Path(run), Path(f'{run}.reflow'), '--method', 'reflow')
    once = Bench(str(again), kept[2])
    table += rows(once, 'reflow', WAYS[:2])
    flows = (flow.diffusion, once.diffusion)
    S = rounded((straightness(f, *own_pairs(f, N_MEASURED)) for f in flows), 3)
    keep('flow', {'table': table, 'straightness': dict(zip(('flow', 'reflow'), S, strict=True))})


if __name__ == '__main__':
    main(*sys.argv[1:])
