"""What does a learned variance save on the digits, in bits per dimension?

    python -m docs.bench.learned_variance runs/digits runs/digits_learned

The first run is of the preset `digits`; the second of the same with `--variance learned`, and is
trained (8 minutes on one core) if its folder is not there. Both are scored on the same 256 of the
training images with the same noise (2 minutes each on one core), under every variance: for one
network they differ in the variance alone. Writes the page's tables
and picture (`docs/figures/data/learned_variance.json`).
"""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from docs.figures.data.store import keep, rounded
from labml_nn.data.datasets import load_dataset
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.coding import bands, bound_of, chosen, mean_and_error
from labml_nn.diffusion.ddpm.evaluate import Sampler
from labml_nn.diffusion.ddpm.experiment import main as train
from labml_nn.diffusion.ddpm.likelihood import Bound
from labml_nn.diffusion.ddpm.utils import SeededNoise, evaluating

N, SEED = 256, 0
NAMES = {'beta': r'$\beta$', 'beta_tilde': r'$\tilde\beta$', 'learned': 'learned'}


def weights(diffusion: DenoiseDiffusion, x0: Tensor, steps: list[int]) -> Tensor:
    """The 10th, 50th and 90th percentile over pixels of where the variance lies: [steps, 3]."""
    noise = SeededNoise(len(x0), SEED)
    share = torch.tensor([0.1, 0.5, 0.9])
    rows = []
    for i in steps:
        t = torch.full((len(x0),), i)
        xt = diffusion.q_sample(x0, t, noise(x0.shape, x0.device))
        with torch.no_grad(), evaluating(diffusion.eps_model):
            _, v = diffusion.output(xt, t)
        rows.append(torch.quantile((v.flatten() + 1) / 2, share))
    return torch.stack(rows)


def same(bits: list[list[Any]]) -> float:
    """How far apart the two networks are, at most, under the same fixed variance."""
    of = {(loss, variance): mean for loss, variance, (mean, _), _ in bits[1:]}
    fixed = (NAMES['beta'], NAMES['beta_tilde'])
    return rounded([max(abs(of['simple', v] - of['hybrid', v]) for v in fixed)], 1)[0]


def shown_steps(T: int) -> list[int]:
    """Indices of steps, even on a logarithmic axis."""
    return sorted({round(T ** (k / 60)) - 1 for k in range(61)})


def price(found: Bound) -> dict[str, list[float]]:
    """What the fixed variances cost more than the learned one, from the noisiest step to step t."""
    T = found.mse.shape[1]
    # As they are sent, from x_{T-1} down to x_1; index 0 is the decoder's
    steps = [i for i in shown_steps(T) if i > 0]
    learned, more = found.terms['learned'].mean(0), {}
    for variance in ('beta_tilde', 'beta'):
        lost = (found.terms[variance].mean(0) - learned)[:T]
        so_far = lost.flip(0).cumsum(0).flip(0)
        more[variance] = rounded(so_far[steps])
    return {'t': steps, **more}


def place(diffusion: DenoiseDiffusion, x0: Tensor) -> dict[str, list[float]]:
    """Between which shares of the two fixed variances, in logarithms, the learned one lies."""
    steps = shown_steps(diffusion.n_steps)
    low, middle, high = weights(diffusion, x0, steps).T
    return {'t': [i + 1 for i in steps], 'low': rounded(low), 'median': rounded(middle),
            'high': rounded(high)}  # fmt: skip


def main(simple: str, hybrid: str) -> None:
    if not Path(hybrid).exists():
        train(['--preset', 'digits', '--variance', 'learned', '--out', hybrid])
    dataset = load_dataset('digits', image_size=8, image_channels=1)
    x0 = chosen(dataset, N, SEED, 'digits')
    models = {
        'simple': Sampler.from_run(simple, device='cpu'),
        'hybrid': Sampler.from_run(hybrid, device='cpu'),
    }
    found = {
        loss: bound_of(model.diffusion, x0, dataset.levels, SEED, clip_x0=True)
        for loss, model in models.items()
    }
    learned = found['hybrid'].total('learned')
    bits: list[list[Any]] = [['trained with', 'variance', 'bits/dim', 'more than learned']]
    for loss, of_run in found.items():
        for variance in of_run.terms:
            mean, error = mean_and_error(of_run.total(variance))
            more, more_error = mean_and_error(of_run.total(variance) - learned)
            rest = None if variance == 'learned' else rounded([more, more_error])
            bits.append([loss, NAMES[variance], rounded([mean, error]), rest])
            print(*bits[-1])
    terms = found['hybrid'].terms
    sent: list[list[Any]] = [['sent', *(NAMES[v] for v in terms)]]
    for high, low in bands(found['hybrid'].mse.shape[1]):
        if high == low:
            continue  # the two ends have next to nothing
        cells = (float(t[:, low : high + 1].sum(1).mean()) for t in terms.values())
        sent.append([rf'$x_{{{high}}} \dots x_{{{low}}}$', *rounded(cells)])
        print(*sent[-1])
    keep('learned_variance', {
        'bits': bits, 'sent': sent, 'same': same(bits),
        'price': price(found['hybrid']), 'place': place(models['hybrid'].diffusion, x0),
    })  # fmt: skip


if __name__ == '__main__':
    main(*sys.argv[1:])
