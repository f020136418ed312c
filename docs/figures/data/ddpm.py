"""What the figures of the DDPM pages show, computed by the code that they are about.

    python -m docs.figures.data.ddpm runs/digits [PART …]

Trains 1,000 steps for the figures of
training; those of sampling are from the run that is named. Two minutes on 2 cores.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from docs.figures.data.store import images, keep, rounded, rows
from labml_nn.cli.progress import Progress
from labml_nn.data.datasets import load_dataset
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.ema import EMA
from labml_nn.diffusion.ddpm.experiment import Trainer, make_configs
from labml_nn.diffusion.ddpm.sampler import Sampler, frame_steps
from labml_nn.diffusion.ddpm.unet import TimeEmbedding, UNet
from labml_nn.diffusion.samplers import Ancestral, DPMSolver
from labml_nn.runs.log import read_log

# The moments of training that are shown
MOMENTS = (0, 100, 300, 1000)


def untrained() -> DenoiseDiffusion:
    """The constants of the paper's chain."""
    return DenoiseDiffusion(lambda xt, t: torch.zeros_like(xt), 1000)


def forward() -> dict[str, Any]:
    """Four digits, noised by one and the same noise each."""
    steps = [1, 50, 100, 200, 300, 500, 750, 1000]
    data, diffusion = load_dataset('digits', '', 8, 1), untrained()
    t = torch.tensor(steps) - 1
    out = []
    for i in range(4):
        eps = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(i))
        x0 = data[i][0].expand(len(t), -1, -1, -1)
        out.append(diffusion.q_sample(x0, t, eps.expand_as(x0)))
    first = torch.stack([data[i][0] for i in range(4)])
    shown = torch.cat([torch.cat([x0[None], row]) for x0, row in zip(first, out, strict=True)])
    return {'steps': [0, *steps], 'rows': rows(shown, len(t) + 1)}


def weight() -> dict[str, Any]:
    r"""What L_simple drops, $\beta_t^2 / (2 \sigma_t^2 \alpha_t (1 - \bar\alpha_t))$."""
    d = untrained()
    found = {}
    for name, sigma2 in (('beta', d.beta), ('beta_tilde', d.beta_tilde)):
        w = d.beta.double() ** 2 / (2 * sigma2 * d.alpha * d.one_minus_alpha_bar).double()
        # The first step's beta_tilde is 0
        found[name] = rounded(w if name == 'beta' else w[1:])
    return found


def embedding() -> list[str]:
    """The sinusoids of every tenth step, before the two linear layers, as bytes for -1 to 1."""
    layer = TimeEmbedding(128)
    angle = torch.arange(0, 1000, 10)[:, None].float() * layer.frequency
    return images(torch.cat([angle.sin(), angle.cos()], dim=1))


def unet() -> dict[str, Any]:
    """The blocks of the paper's U-Net, with the shape of what comes out of each for 32 × 32."""
    with torch.device('meta'):  # shapes without numbers
        model = UNet()
        stages = [('down', i, s) for i, s in enumerate(model.down)]
        stages += [('middle', len(model.down) - 1, model.middle)]
        stages += [('up', len(model.up) - 1 - i, s) for i, s in enumerate(model.up)]
        found: list[dict[str, Any]] = []
        for way, level, stage in stages:
            for block in stage.blocks:
                entry: dict[str, Any] = {'way': way, 'level': level, 'text': str(block)}
                found.append(entry)
                block.register_forward_hook(
                    lambda _, __, h, entry=entry: entry.update(shape=list(h.shape[1:]))
                )
        model(torch.zeros(1, 3, 32, 32), torch.zeros(1, dtype=torch.int64))
    return {'blocks': found, 'parameters': sum(p.numel() for p in model.parameters())}


def training() -> dict[str, Any]:
    """Samples from the same noise at some moments, from averaged and raw weights, and the loss."""
    options = dict(cooldown=0, log_every=10, n_previews=0, track=())
    c = make_configs(options)
    found: dict[str, Any] = {'averaged': {}, 'raw': {}}
    with tempfile.TemporaryDirectory() as folder:
        data = load_dataset(c.dataset, c.data_root, c.image_size, c.image_channels)
        trainer = Trainer(c, Path(folder), data, torch.device('cpu'))
        for moment in MOMENTS:
            trainer.c = make_configs({**options, 'steps': moment})
            trainer.train(Progress(moment))
            training = trainer.training
            for kind, module in (('averaged', training.ema.module), ('raw', training.model)):
                diffusion = DenoiseDiffusion(module, c.n_steps)
                found[kind][moment] = images(DPMSolver(diffusion, 20).sample((8, 1, 8, 8), 0))
        log = read_log(Path(folder) / 'log.csv')
    found['steps'] = log['step'].astype(int).tolist()
    found['loss'] = rounded(torch.from_numpy(log['loss']), 4)
    return found


def ema_weights() -> dict[str, list[float]]:
    """The share that the initial weights still have after n updates, with and without warm-up."""
    at = sorted({round(10 ** (i / 20)) for i in range(97)})
    found: dict[str, list[float]] = {'updates': [float(n) for n in at]}
    for name, warmup in (('plain', False), ('warm', True)):
        ema = EMA(torch.nn.Linear(1, 1), 0.9999, warmup=warmup)
        share, shares = 1.0, {}
        for n in range(at[-1]):
            share *= ema.decay_at(n)
            shares[n + 1] = share
        found[name] = [float(f'{shares[n]:.3g}') for n in at]
    return found


def chain(run: str) -> dict[str, Any]:
    """What the network aims at along the chain, above the x_t that it sees."""
    sampler = Sampler.from_run(run, device='cpu', sampler='ddpm')
    at = [*frame_steps(1000, 10)]
    found: dict[str, list[Tensor]] = {'x0_hat': [], 'xt': []}
    for t, xt, x0_hat in sampler.reverse.chain(*sampler.reverse.start((3, 1, 8, 8), 0)):
        if t in at:
            found['x0_hat'].append(x0_hat)
            found['xt'].append(xt.clamp(-1, 1))
    both = {
        name: rows(torch.stack(frames, dim=1).flatten(0, 1), len(at))
        for name, frames in found.items()
    }
    return {'steps': [t + 1 for t in at], **both}


def interpolation(run: str) -> dict[str, Any]:
    """Between a zero and a one, at four numbers of steps."""
    sampler = Sampler.from_run(run, device='cpu', sampler='ddpm')
    data = load_dataset('digits', '', 8, 1)
    lambdas = [i / 8 for i in range(9)]
    steps = [60, 120, 250, 500]
    x1, x2 = data[3][0], data[7][0]
    found = [
        [images(x1[None])[0], *images(sampler.interpolate(x1, x2, lambdas, t_)), *images(x2[None])]
        for t_ in steps
    ]
    return {'lambda': lambdas, 'steps': steps, 'rows': found}


def clipping(run: str) -> dict[str, Any]:
    """The same noise, with x0_hat kept in [-1, 1] and not, and how far the guesses go."""
    sampler = Sampler.from_run(run, device='cpu')
    found: dict[str, Any] = {}
    for name, clip in (('on', True), ('off', False)):
        way = Ancestral(sampler.diffusion, 1000, clip_x0=clip)
        largest = []
        for t, x, x0_hat in way.chain(*way.start((8, 1, 8, 8), 0)):
            if t % 20 == 0 or t == 999:
                largest.append((t + 1, float(x0_hat.abs().amax())))
        found[name] = images(x)
        found[f'{name}_largest'] = rounded(torch.tensor([v for _, v in largest]), 4)
        found['steps'] = [t for t, _ in largest]
    return found


def main(run: str, *parts: str) -> None:
    everything: dict[str, Callable[[], Any]] = {
        'forward': forward,
        'weight': weight,
        'embedding': embedding,
        'unet': unet,
        'ema': ema_weights,
        'chain': lambda: chain(run),
        'interpolation': lambda: interpolation(run),
        'clipping': lambda: clipping(run),
        'training': training,
    }
    keep('ddpm', {name: everything[name]() for name in parts or everything})


if __name__ == '__main__':
    main(*sys.argv[1:])
