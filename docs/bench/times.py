"""How long things take on this machine: `make bench`.

    python docs/bench/times.py [--repeats 7]

Prints medians; the things to compare take turns, so that a slow moment of the machine meets all of
them. The import is measured in fresh processes.
"""

import argparse
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch

from labml_nn.diffusion.ddpm.ema import EMA
from labml_nn.diffusion.ddpm.experiment import PRESETS, build, make_configs
from labml_nn.helpers.device import describe, pick_device

DEVICE = pick_device('auto')


def medians(things: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """The median seconds of each thing, after one turn that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in things}
    for turn in range(repeats + 1):
        for name, thing in things.items():
            began = time.perf_counter()
            thing()
            if DEVICE.type == 'cuda':
                torch.cuda.synchronize()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(s) for name, s in seconds.items()}


def things_of(preset: str, batch: int) -> dict[str, Callable[[], None]]:
    """A training step, and a step of the sampler, of a preset at a batch size."""
    c = make_configs(PRESETS[preset])
    diffusion = build(c, DEVICE)
    model = diffusion.eps_model
    optimizer = torch.optim.Adam(model.parameters(), lr=c.learning_rate)
    ema = EMA(model)
    shape = (batch, c.image_channels, c.image_size, c.image_size)
    x0 = torch.rand(shape, device=DEVICE) * 2 - 1
    t = torch.randint(0, c.n_steps, (batch,), device=DEVICE)

    def train() -> None:
        optimizer.zero_grad()
        diffusion.loss(x0, check_range=False).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), c.grad_clip)
        optimizer.step()
        ema.update_parameters(model)

    def sample() -> None:
        diffusion.p_sample(x0, t, clip_x0=True)

    name = f'{preset}, batch {batch}'
    return {f'{name}: training step': train, f'{name}: sampling step': sample}


def import_seconds(statement: str, repeats: int) -> float:
    """The median seconds of an import, in processes of its own."""
    code = f'import time; b = time.perf_counter(); {statement}; print(time.perf_counter() - b)'
    run = [sys.executable, '-c', code]
    return statistics.median(
        float(subprocess.run(run, capture_output=True, text=True, check=True).stdout)
        for _ in range(repeats)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--repeats', type=int, default=7)
    repeats = parser.parse_args().repeats
    print(f'{platform.machine()}, {describe(DEVICE)}, torch {torch.__version__}')
    on_gpu = DEVICE.type == 'cuda'
    things = {
        **things_of('digits', 64),
        **things_of('cifar10', 128 if on_gpu else 8),
    }
    for name, seconds in medians(things, repeats).items():
        print(f'{name:40} {seconds * 1e3:9.1f} ms')
        if name == 'digits, batch 64: sampling step':
            print(f'{"  so 64 digits in 1000 steps":40} {seconds * 1e3:9.1f} s')
    ours = 'import torch, torch.nn.functional, labml_nn.diffusion.ddpm'
    torch_alone = import_seconds('import torch, torch.nn.functional', repeats)
    more = import_seconds(ours, repeats) - torch_alone
    print(f'{"import torch":40} {torch_alone * 1e3:9.1f} ms')
    print(f'{"  labml_nn.diffusion.ddpm besides":40} {more * 1e3:9.1f} ms')


if __name__ == '__main__':
    main()
