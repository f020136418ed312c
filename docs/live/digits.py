"""The weights of the living figures that draw digits, and the pictures that stand for them.

python docs/live/digits.py runs/digits runs/digits_conditional
"""

import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor

from labml_nn.data.pictures import grid, save_png
from labml_nn.diffusion.ddpm import DenoiseDiffusion, web
from labml_nn.diffusion.ddpm.configs import make_configs
from labml_nn.diffusion.ddpm.sampler import FAST, SameNoise, Sampler
from labml_nn.diffusion.ddpm.utils import SeededNoise
from labml_nn.diffusion.guidance import Guided
from labml_nn.runs import checkpoint

HERE = Path(__file__).parent
STEPS = (1000, 600, 400, 300, 200, 100, 50, 1)


def main(run: str, conditional: str) -> None:
    """Write all of them from the runs of `make train train-classes`."""
    sampler = Sampler.from_run(run, device='cpu')
    write('digits', sampler, run)
    pictured('digits', sampler.sample(8), 8)
    pictured('chain', chain(sampler.diffusion), len(STEPS))
    pictured('board', between(sampler), 7)
    told = [Sampler.from_run(conditional, device='cpu', guidance=w) for w in (0, 2)]
    write('guided', told[0], conditional)
    pictured('guided', torch.cat([sampler.sample(10) for sampler in told]), 10)


def write(name: str, sampler: Sampler, run: str) -> None:
    """Write the weights of a run, which is called as the reader's own run is."""
    network = sampler.diffusion.eps_model
    network = network.model if isinstance(network, Guided) else network
    c = make_configs(checkpoint.load(run)['config'])
    model = web.packed(network.state_dict(), c, name=f'runs/{Path(run).name}')
    how = {
        'weights': 'ema', 'sampler': FAST, 'steps': sampler.reverse.n_steps, 'seed': 0,
        'options': {}, 'labels': None, 'guidance': 0,
    }  # fmt: skip
    web.write(HERE / f'{name}.weights.js', web.script(model, how=how))


def chain(diffusion: DenoiseDiffusion) -> Tensor:
    """x_t, the guess of the noise and the guess of the picture, a row each, at `STEPS`."""
    noise, rows = SeededNoise(1, 0), []
    before = noise((1, 1, 8, 8), 'cpu')
    for i, after, x0_hat in diffusion.p_chain(before, noise, clip_x0=True):
        if i + 1 in STEPS:
            eps = diffusion.eps_theta(before, torch.tensor([i]))
            rows.append(torch.cat([before, eps, x0_hat]))
        before = after
    return torch.stack(rows, 1).flatten(0, 1).clamp(-1, 1)


def between(sampler: Sampler) -> Tensor:
    """Two digits, and between them the row of `interpolate`, noised and brought back."""
    pair = torch.tensor(load_digits().images[[3, 7]], dtype=torch.float32)[:, None] / 8 - 1
    weights, t = torch.linspace(0, 1, 5)[:, None, None, None], torch.tensor([249] * 5)
    eps = SameNoise(5, 0)((5, 1, 8, 8), 'cpu')
    noised = sampler.diffusion.q_sample((1 - weights) * pair[0] + weights * pair[1], t, eps)
    back = sampler.interpolate(*pair, weights.flatten().tolist(), 250)
    black = torch.full_like(pair, -1)
    rows = [pair[:1], noised, pair[1:], black[:1], back, black[1:]]
    return torch.cat(rows).clamp(-1, 1)


def pictured(name: str, images: Tensor, columns: int) -> None:
    """Write a picture of images, whose pixels can be seen."""
    large = images.repeat_interleave(10, 2).repeat_interleave(10, 3)
    save_png(HERE / f'{name}.png', grid(large, columns))


if __name__ == '__main__':
    main(*sys.argv[1:])
