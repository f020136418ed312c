"""What the figures of the page of the score show, computed by the code that it is about.

    python -m docs.figures.data.score [PART …]

Trains two networks, on all digits and on fifty of them: five minutes on 2 cores.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from docs.figures.data.store import images, keep, rounded
from labml_nn.data.datasets import load_dataset
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.configs import make_configs
from labml_nn.diffusion.ddpm.ema import EMA
from labml_nn.diffusion.ddpm.score import Points
from labml_nn.diffusion.ddpm.train import Training
from labml_nn.diffusion.ddpm.utils import around
from labml_nn.diffusion.samplers import make_sampler

# How many digits the small data set has, when the samples are looked at, and how many of them
FEW, MOMENTS, N = 50, (200, 400, 800, 1600, 3200), 200


def digits() -> Tensor:
    data = load_dataset('digits', '', 8, 1)
    return torch.stack([data[i][0] for i in range(len(data))])


def guesses() -> dict[str, Any]:
    """One digit noised, and the mean of all digits that it may have been; how many those are."""
    data = digits()
    diffusion = DenoiseDiffusion(lambda xt, t: xt, 1000)
    points = Points(diffusion, data)
    steps = [50, 100, 200, 300, 400, 500, 750, 1000]
    t = torch.tensor(steps) - 1
    noisy, means = [], []
    for i in (0, 5):
        x0 = data[i].expand(len(t), -1, -1, -1)
        eps = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(i)).expand_as(x0)
        xt = diffusion.q_sample(x0, t, eps)
        noisy.append(images(xt))
        means.append(images(points.x0_hat(xt, t)))
    # Over many digits: how many of the data count, as the exponential of the entropy
    count = []
    for i in t.tolist():
        generator = torch.Generator().manual_seed(i)
        eps = torch.randn(data.shape, generator=generator)
        each = torch.full((len(data),), i)
        w = points.weights(diffusion.q_sample(data, each, eps), each)
        count.append(torch.special.entr(w).sum(1).exp().median())
    return {
        'steps': steps, 'noisy': noisy, 'means': means, 'count': rounded(torch.stack(count), 4),
    }  # fmt: skip


def memory() -> dict[str, Any]:
    """How far samples are from the nearest image of the training, in the course of training."""
    data = digits()
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    few = data[order[:FEW]]
    found: dict[str, Any] = {'moments': MOMENTS}
    for name, seen in (('all', data), ('few', few)):
        own, shown = [], []
        for step, x in samples(seen):
            own.append(distance(x, seen).median())
            print(name, step, float(own[-1]), float(distance(x, data).median()), flush=True)
            shown = images(x[:8])
        found[name] = rounded(torch.stack(own), 4)
        found[f'{name} samples'] = shown
    # A digit and the nearest other; and any digit, and the nearest of the fifty
    itself = squared(data, data).fill_diagonal_(torch.inf).min(1).values.sqrt()
    found['all data'] = rounded(itself.median(), 4)[0]
    found['few data'] = rounded(distance(data[order[FEW:]], few).median(), 4)[0]
    return found


def samples(data: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Samples of the averaged weights while a network learns these images."""
    c = make_configs({'steps': MOMENTS[-1], 'cooldown': 0, 'device': 'cpu'})
    training = Training(c, torch.device('cpu'), levels=17)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(c.steps):
            i = torch.randint(0, len(data), (c.batch_size,))
            yield data[i], torch.zeros(c.batch_size, dtype=torch.int64)

    for _ in training.steps(batches()):
        training.is_whole = True
        if training.step in MOMENTS:
            kept = torch.get_rng_state()
            yield training.step, drawn(training.diffusion, training.ema)
            torch.set_rng_state(kept)
            training.model.train()


def drawn(diffusion: DenoiseDiffusion, ema: EMA) -> Tensor:
    averaged = around(diffusion, ema.module)
    return make_sampler('dpm', averaged, 20, clip_x0=True).sample((N, 1, 8, 8), seed=0)


def squared(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x.flatten(1).double(), y.flatten(1).double()).square() / x[0].numel()


def distance(x: Tensor, y: Tensor) -> Tensor:
    """Root mean square pixel distance to the nearest."""
    return squared(x, y).min(1).values.sqrt()


PARTS: dict[str, Callable[[], dict[str, Any]]] = {'guesses': guesses, 'memory': memory}

if __name__ == '__main__':
    keep('score', {part: PARTS[part]() for part in sys.argv[1:] or PARTS})
