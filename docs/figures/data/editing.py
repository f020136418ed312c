"""What edits and inpainting make of two pixels, and of digits.

    python -m docs.figures.data.editing [runs/digits [CACHE]]

Mean and variance of the second of two pixels, the first being known, computed without drawing
anything; and, if a run is given, of real digits: edits of 898 of them in black and white, and the
lower halves of 225 made anew, with distances from the 1,797 real digits and what a support vector
machine takes them for that was trained on the other half of them. What the folder CACHE holds is
not made again.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.svm import SVC
from torch import Tensor

from docs.figures.data.store import images, keep, rounded
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.evaluate import Sampler
from labml_nn.diffusion.editing import Edit, Inpaint, nearest_start
from labml_nn.diffusion.samplers import make_sampler
from labml_nn.evaluation.frechet import frechet_distance
from tests.kit.pair import filled, in_the_limit, way  # what the tests compute

RHO, PLANE_STEPS, CHUNK, SHOWN = 0.9, 100, 25, 12
RESAMPLINGS = (1, 2, 5, 10, 20)
FROM = (0, 100, 200, 300, 400)
SHOWN_FROM = (0, 200, 400, 600, 800)
# A name for the table and one for the picture, the sampler, its options, and those of the walk
ANCESTRAL = {'variance': 'beta'}
WAYS: list[tuple[str, str, str, dict[str, Any], dict[str, int]]] = [
    ('replacement, DPM-Solver++ 2M', '', 'dpm', {'steps': 20}, {}),
    ('replacement, ancestral', '', 'ddpm', {'steps': 20, **ANCESTRAL}, {}),
    ('replacement, ancestral', 'replacement', 'ddpm', {'steps': 96, **ANCESTRAL}, {}),
    ('RePaint, $U = 5$', 'RePaint', 'ddpm', {'steps': 20, **ANCESTRAL}, {'resamplings': 5}),
    ('RePaint, $U = 5$, jumps of 4', '', 'ddpm', {'steps': 20, **ANCESTRAL},
     {'resamplings': 5, 'jump': 4}),
]  # fmt: skip


# ## Two pixels
def plane() -> list[list[Any]]:
    """Mean and variance by resamplings, with jumps of one step and of ten."""
    rows: list[list[Any]] = [
        ['$U$', 'calls', 'mean', 'variance', 'calls, jumps of 10', 'mean', 'variance']
    ]
    for U in RESAMPLINGS:
        cells: list[float] = []
        for jump in (1, 10):
            inpaint = Inpaint(way(RHO, 'ddpm', PLANE_STEPS, variance='beta'), jump, U)
            cells += [inpaint.n_steps, *rounded(filled(inpaint), 4)]
        rows.append([U, *cells])
    return rows


def missing() -> dict[str, Any]:
    """The share of the way to the mean that is missing, in the limit of small steps."""
    counts = list(range(1, 31))
    rows = [[1 - in_the_limit(rho, U)[0] / rho for U in counts] for rho in (0.1, 0.9)]
    return {'resamplings': counts, 'rho': [0.1, 0.9], 'missing': [rounded(row, 4) for row in rows]}


# ## Digits
class Digits:
    """Some of the real digits, what is measured of others, and the model."""

    def __init__(self, run: str, n: int, cache: str | None = None):
        self.cache = Path(cache) if cache else None
        self.diffusion: DenoiseDiffusion = Sampler.from_run(run).diffusion
        data = load_digits()
        self.real = data.data / 8 - 1
        self.label = data.target[: 2 * n : 2]
        self.x0 = torch.from_numpy(self.real[: 2 * n : 2]).float().view(-1, 1, 8, 8)
        self.machine = SVC(gamma=0.001, C=10).fit(data.data[1::2], data.target[1::2])

    def made(self, name: str, draw: Callable[[slice], Tensor]) -> Tensor:
        """What is made of all of them, some at a time."""
        parts = []
        for at in range(0, len(self.x0), CHUNK):
            file = self.cache / f'{name}_{at}.pt' if self.cache else None
            if file and file.exists():
                parts.append(torch.load(file, weights_only=True))
                continue
            parts.append(draw(slice(at, min(at + CHUNK, len(self.x0)))))
            if file:
                torch.save(parts[-1], file)
        return torch.cat(parts)

    def distance(self, x: Tensor) -> float:
        """Fréchet distance from the real digits."""
        return frechet_distance(flat(x), self.real)

    def recognised(self, x: Tensor) -> float:
        """How many are taken for the digit that the original is, in percent."""
        found = self.machine.predict((flat(x) + 1) * 8)
        return 100 * float((found == self.label).mean())


def flat(x: Tensor) -> np.ndarray:
    return x.double().cpu().numpy().reshape(len(x), -1)


def edits(digits: Digits) -> None:
    """A table by steps of noise, and some of the digits."""
    rough = torch.where(digits.x0 > 0, 1.0, -1.0)
    sampler = make_sampler('dpm', digits.diffusion, 20)
    rows: list[list[Any]] = [['$t$', 'Fréchet distance', 'distance to the drawing', 'recognised']]
    for t in FROM:
        edit = Edit(sampler, nearest_start(sampler, t))

        def draw(at: slice, edit: Edit = edit) -> Tensor:
            return edit.sample(rough[at], 1, first=at.start)

        x = digits.made(f'edit{t}', draw)
        apart = float((x - rough).square().mean() ** 0.5)
        rows.append([t, *rounded([digits.distance(x), apart, digits.recognised(x)], 4)])
        print(rows[-1], flush=True)
    keep('editing', {'edits': rows})


def edited(digits: Digits) -> None:
    """Some of the digits after more and more noise."""
    rough = torch.where(digits.x0[:SHOWN] > 0, 1.0, -1.0)
    sampler = make_sampler('dpm', digits.diffusion, 20)
    ways = (Edit(sampler, nearest_start(sampler, t)) for t in SHOWN_FROM)
    rows = [images(way.sample(rough, 1)) for way in ways]
    keep('editing', {'edited': {'from': list(SHOWN_FROM), 'rows': rows}})


def fillings(digits: Digits) -> None:
    """A table by the way that lower halves are made anew, and some of the digits."""
    anew = (torch.arange(8) >= 4)[:, None].expand(8, 8)
    rows: list[list[Any]] = [
        ['', 'steps', 'calls', 'RMS in the hole', 'recognised'],
        ['the originals', None, None, 0.0, *rounded([digits.recognised(digits.x0)], 4)],
    ]
    hole = torch.where(anew, 0.0, digits.x0)
    shown = {'original': images(digits.x0[:SHOWN]), 'hole': images(hole[:SHOWN])}
    for i, (name, label, sampler, options, walk) in enumerate(WAYS):
        inpaint = Inpaint(make_sampler(sampler, digits.diffusion, **options), **walk)

        def draw(at: slice, inpaint: Inpaint = inpaint) -> Tensor:
            return inpaint.sample(digits.x0[at], anew, 1, first=at.start)

        x = digits.made(f'fill{i}', draw)
        apart = float((x - digits.x0)[..., 4:, :].square().mean() ** 0.5)
        found = rounded([apart, digits.recognised(x)], 4)
        rows.append([name, inpaint.sampler.n_steps, inpaint.n_steps, *found])
        if label:
            shown[label] = images(x[:SHOWN])
        print(rows[-1], flush=True)
    keep('editing', {'fillings': rows, 'filled': shown})


if __name__ == '__main__':
    keep('editing', {'plane': plane(), 'missing': missing()})
    if sys.argv[1:]:
        edits(Digits(sys.argv[1], 898, *sys.argv[2:]))
        ours = Digits(sys.argv[1], 225, *sys.argv[2:])
        edited(ours)
        fillings(ours)
