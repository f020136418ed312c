"""What guidance does: to three Gaussian classes, and to digits.

    python -m docs.figures.data.guidance [runs/digits_conditional]

Samples of three classes whose noise is known exactly, and, if a run is given, the ten digits by
guidance scale, from the same noise.
"""

import sys
from typing import Any

import torch

from docs.figures.data.store import images, keep
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.evaluate import Sampler
from labml_nn.diffusion.guidance import Guided
from labml_nn.diffusion.samplers import DDIM
from tests.kit.classes import MEANS, STDS, exact  # what the tests compute

N = 250


def gaussians() -> dict[str, Any]:
    """Samples at w = 0, 1 and 4, and the classes' own means and deviations."""
    torch.manual_seed(0)
    samples = []
    for w in (0, 1, 4):
        classes = []
        for c in range(3):
            diffusion = DenoiseDiffusion(Guided(exact, c, w), 1000)
            x = DDIM(diffusion, 100, clip_x0=False).sample((N, 2), seed=c)
            classes.append(x.double().numpy().round(3).tolist())
        samples.append({'w': w, 'classes': classes})
    return {
        'means': MEANS.double().numpy().round(3).tolist(),
        'stds': [round(float(s), 3) for s in STDS],
        'samples': samples,
    }


def digits(run: str) -> dict[str, Any]:
    """A row for each scale, two columns for each class; the same noise down each column."""
    found: dict[str, Any] = {'w': [-1, 0, 1, 4], 'rows': []}
    for w in found['w']:
        sampler = Sampler.from_run(run, label=[i // 2 for i in range(20)], guidance=float(w))
        found['rows'].append(images(sampler.sample(20, seed=5)))
    return found


if __name__ == '__main__':
    keep('guidance', {'gaussians': gaussians()})
    if sys.argv[1:]:
        keep('guidance', {'digits': digits(sys.argv[1])})
