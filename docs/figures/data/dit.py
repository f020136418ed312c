"""How a digit becomes tokens; and a transformer beside the U-Net, on the digits.

    python -m docs.figures.data.dit            what the figure shows
    python -m docs.figures.data.dit runs       the table, from the runs in that folder

A run of the table that is not there is trained first. Fréchet distance in pixel space of 898
samples, as `frontier.py` measures it; what was measured is kept beside the run and not measured
again. The time of a step is that of all processors, on one thread, the least of several.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from docs.figures.data.frontier import row
from docs.figures.data.store import images, keep, rounded
from docs.figures.data.targets import HEAD, WAYS
from labml_nn.data.datasets import load_dataset
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.configs import PRESETS, make_configs, network_of
from labml_nn.diffusion.ddpm.dit import Positions, patchify
from labml_nn.diffusion.ddpm.train import Training
from labml_nn.diffusion.ddpm.utils import SeededNoise

# The rows of the table: name, folder, options
RUNS: list[tuple[str, str, dict[str, str]]] = [
    ('U-Net', 'digits', {}),
    ('DiT', 'digits_dit', {'preset': 'digits_dit'}),
]
# How often steps are timed, and how many at a time
ROUNDS, STEPS = 5, 10
# Which digit, and at which step
DIGIT, STEP = 2, 150


def tokens() -> dict[str, Any]:
    """A noisy digit, its patches in a row each, and the vectors of their places."""
    c = make_configs(PRESETS['digits_dit'])
    x0 = load_dataset('digits', 'data', 8, 1)[DIGIT][0][None]
    diffusion = DenoiseDiffusion(lambda xt, t: xt, c.n_steps)
    noise = SeededNoise(1, 0)(x0.shape, 'cpu')
    xt = diffusion.q_sample(x0, torch.tensor([STEP]), noise)
    rows = c.image_size // c.patch_size
    where = Positions(c.n_channels)(rows, rows)
    return {
        'image': images(xt)[0],
        'tokens': images(patchify(xt, c.patch_size))[0],
        'positions': images(where[None])[0],
    }


def stepper(preset: str) -> Callable[[], float]:
    """A training of random images, of which each call takes a few steps; milliseconds of one."""
    c = make_configs(PRESETS[preset])
    shape = (c.batch_size, c.image_channels, c.image_size, c.image_size)

    def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            yield torch.rand(shape) * 2 - 1, torch.zeros(c.batch_size, dtype=torch.int64)

    steps = Training(c, torch.device('cpu')).steps(batches())

    def some() -> float:
        began = time.process_time()
        for _ in range(STEPS):
            next(steps)
        return (time.process_time() - began) / STEPS * 1000

    return some


def cost() -> list[list[Any]]:
    """What a run has: parameters, steps, and how long one of them takes."""
    torch.set_num_threads(1)
    presets = [options.get('preset', 'digits') for *_, options in RUNS]
    steppers = [stepper(preset) for preset in presets]
    # In turns, as a machine is not equally fast all the time
    turns = [[some() for some in steppers] for _ in range(ROUNDS)]
    times = [min(several) for several in zip(*turns, strict=True)]
    rows: list[list[Any]] = [['', 'parameters', 'steps', 'milliseconds a step', 'minutes']]
    for (label, *_), preset, least in zip(RUNS, presets, times, strict=True):
        c = make_configs(PRESETS[preset])
        n = sum(p.numel() for p in network_of(c).parameters())
        rows.append([label, n, c.steps, *rounded([least, least * c.steps / 60_000], 3)])
    return rows


def main(folder: str | None = None) -> None:
    if folder is None:
        keep('dit', {'tokens': tokens()})
    else:
        rows = [row(label, Path(folder, name), options, WAYS) for label, name, options in RUNS]
        keep('dit', {'table': [HEAD, *rows], 'cost': cost()})


if __name__ == '__main__':
    main(*sys.argv[1:])
