"""A training step and a forward pass of the paper's CIFAR-10 U-Net, ours and the peers'.

    python docs/bench/peers.py [--repeats 5] [--peer-python PYTHON] [--labml FOLDER]

Each competitor is a process of its own, which waits for its turn; they take turns, so that a slow
moment of the machine meets all of them, and what is quoted is the median. Nobody computes while
another is timed.

* `diffusers` is used where it is installed (the extra `reference`)
* `--peer-python` an interpreter that has denoising-diffusion-pytorch
* `--labml` a folder into which labml-nn 0.5.1 was installed (`pip install --no-deps --target FOLDER
  labml-nn==0.5.1`); it has our import name, so it cannot be installed beside us
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

# The paper's CIFAR-10 run
CHANNELS, MULTS, ATTENTION, DROPOUT = 128, (1, 2, 2, 2), (False, True, False, False), 0.1
RATE, CLIP = 2e-4, 1.0

Work = tuple[Callable[[], object], Callable[[], object], int]


# ## The competitors: a training step, a forward pass, and the number of parameters
def ours(batch: int, device: str, **options: Any) -> Work:
    """The step of `Trainer`, all of it: the average of the weights and the sums for the log too."""
    import torch

    from labml_nn.data.datasets import Images
    from labml_nn.diffusion.ddpm.experiment import PRESETS, Trainer, make_configs

    c = make_configs({**PRESETS['cifar10'], 'batch_size': batch, 'precision': 'fp32', **options})
    images = torch.randint(0, 256, (batch, 3, 32, 32), dtype=torch.uint8)
    trainer = Trainer(c, Path('.'), Images('random', images), torch.device(device))
    training = trainer.training
    x0 = images.to(device).float() / 127.5 - 1

    def step() -> None:
        t = torch.randint(0, c.n_steps, (batch,), device=device)
        eps = torch.randn_like(x0)
        training.optimizer.zero_grad()
        loss, errors = training.gradient(x0, t, eps)
        training.set_learning_rate()
        norm, good = training.descent.step(loss)
        training.ema.update_parameters(training.model)
        trainer.window.add(loss, t, errors, norm, good)

    n = sum(p.numel() for p in training.model.parameters())
    return step, forward_of(training.network, x0), n


def forward_of(model: Any, x0: Any) -> Callable[[], object]:
    import torch

    t = torch.randint(0, 1000, (len(x0),), device=x0.device)

    def forward() -> None:
        model.eval()
        with torch.no_grad():
            model(x0, t)
        model.train()

    return forward


def peer(
    model: Any, batch: int, device: str, *,
    bf16: bool = False, compiled: bool = False, channels_last: bool = False,
) -> Work:  # fmt: skip
    """The step that their own training loops take: loss, gradient, clipping, Adam; no average."""
    import torch
    from torch.nn.functional import mse_loss

    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = model.to(device, memory_format=layout).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    alpha_bar = (1 - torch.linspace(1e-4, 0.02, 1000, device=device)).cumprod(0)
    x0 = (torch.rand(batch, 3, 32, 32, device=device) * 2 - 1).contiguous(memory_format=layout)
    inner = torch.compile(model) if compiled else model

    class Called(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Any, t: Any) -> Any:
            with torch.autocast(device, torch.bfloat16, enabled=bf16):
                out = self.inner(x, t)
            return getattr(out, 'sample', out).float()

    called = Called()

    def step() -> None:
        t = torch.randint(0, 1000, (batch,), device=device)
        eps = torch.randn_like(x0)
        ab = alpha_bar[t][:, None, None, None]
        optimizer.zero_grad()
        mse_loss(called(ab**0.5 * x0 + (1 - ab) ** 0.5 * eps, t), eps).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()

    n = sum(p.numel() for p in model.parameters())
    return step, forward_of(called, x0), n


def diffusers(batch: int, device: str, **options: Any) -> Work:
    """The published configuration of google/ddpm-cifar10-32, of exactly these weights."""
    from labml_nn.data.vision import vision

    vision()  # it imports torchvision, which may need its operators declared
    from diffusers import UNet2DModel

    model = UNet2DModel(
        sample_size=32, in_channels=3, out_channels=3, layers_per_block=2,
        block_out_channels=tuple(CHANNELS * m for m in MULTS),
        down_block_types=('DownBlock2D', 'AttnDownBlock2D', 'DownBlock2D', 'DownBlock2D'),
        up_block_types=('UpBlock2D', 'UpBlock2D', 'AttnUpBlock2D', 'UpBlock2D'),
        attention_head_dim=None, downsample_padding=0, flip_sin_to_cos=False, freq_shift=1,
        norm_eps=1e-6, dropout=DROPOUT,
    )  # fmt: skip
    return peer(model, batch, device, **options)


def older_labml(batch: int, device: str, **options: Any) -> Work:
    """Its multipliers compound, so (1, 2, 1, 1) gives it the widths 128, 256, 256, 256."""
    from labml_nn.diffusion.ddpm.unet import UNet

    assert not str(sys.modules['labml_nn'].__path__[0]).startswith(str(ROOT))
    return peer(UNet(3, CHANNELS, (1, 2, 1, 1), ATTENTION, 2), batch, device, **options)


def lucidrains(batch: int, device: str, **options: Any) -> Work:
    """Its U-Net of these widths; where ours has no attention it has a linear one."""
    from labml_nn.data.vision import vision

    vision()  # it imports torchvision, which may need its operators declared
    from denoising_diffusion_pytorch import Unet

    model = Unet(CHANNELS, dim_mults=MULTS, full_attn=ATTENTION, dropout=DROPOUT)
    return peer(model, batch, device, **options)


# name: what makes it, its options, and who runs it
OURS, THEIRS, LABML = 'ours', 'theirs', 'labml'
COMPETITORS: dict[str, tuple[Callable[..., Work], dict[str, Any], str]] = {
    'labml_nn, fp32': (ours, {'channels_last': False}, OURS),
    'labml_nn, fp32, channels last': (ours, {'channels_last': True}, OURS),
    'labml_nn, bf16': (ours, {'precision': 'bf16'}, OURS),
    'labml_nn, bf16, channels last': (ours, {'precision': 'bf16', 'channels_last': True}, OURS),
    'labml_nn, bf16, compiled': (ours, {'precision': 'bf16', 'compile': True}, OURS),
    'labml_nn, bf16, channels last, compiled': (
        ours, {'precision': 'bf16', 'channels_last': True, 'compile': True}, OURS,
    ),
    'diffusers, fp32': (diffusers, {}, OURS),
    'diffusers, bf16': (diffusers, {'bf16': True}, OURS),
    'diffusers, bf16, compiled': (diffusers, {'bf16': True, 'compiled': True}, OURS),
    'diffusers, bf16, channels last, compiled': (
        diffusers, {'bf16': True, 'compiled': True, 'channels_last': True}, OURS,
    ),
    'older labml-nn, fp32': (older_labml, {}, LABML),
    'older labml-nn, bf16': (older_labml, {'bf16': True}, LABML),
    'denoising-diffusion-pytorch, fp32': (lucidrains, {}, THEIRS),
    'denoising-diffusion-pytorch, bf16': (lucidrains, {'bf16': True}, THEIRS),
}  # fmt: skip


# ## Taking turns
def work(name: str, batch: int, device: str, threads: int) -> None:
    """A competitor: does what it is told on stdin, and says how long it took."""
    said = os.dup(1)
    os.dup2(2, 1)  # what libraries print is none of it

    def say(value: object) -> None:
        os.write(said, (json.dumps(value) + '\n').encode())

    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    make, options, _ = COMPETITORS[name]
    step, forward, n = make(batch, device, **options)
    step()
    forward()
    say(n)
    for line in sys.stdin:
        thing = {'step': step, 'forward': forward}[line.strip()]
        began = time.perf_counter()
        thing()
        if device == 'cuda':
            torch.cuda.synchronize()
        say(time.perf_counter() - began)


class Competitor:
    """A process that waits for its turn."""

    def __init__(self, name: str, python: str, path: str, batch: int, device: str, threads: int):
        self.name = name
        self.seconds: dict[str, list[float]] = {'step': [], 'forward': []}
        self.process = subprocess.Popen(
            [python, __file__, '--work', name, '--batch', str(batch), '--device', device,
             '--threads', str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=None if '-v' in sys.argv else subprocess.DEVNULL,
            env={**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': str(threads)},
        )  # fmt: skip
        self.n_parameters = self.answer()

    def answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def turn(self, thing: str, *, counts: bool) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(thing + '\n')
        self.process.stdin.flush()
        seconds = self.answer()
        if counts:
            self.seconds[thing].append(seconds)

    def median(self, thing: str) -> float:
        return statistics.median(self.seconds[thing])


def contest(a: argparse.Namespace) -> list[Competitor]:
    """All competitors that are there, timed."""
    who = {
        OURS: (sys.executable, str(ROOT)),
        THEIRS: (a.peer_python or sys.executable, str(ROOT)),
        LABML: (a.peer_python or sys.executable, a.labml or '/nowhere'),
    }
    there = []
    for name, (_, _, runs) in COMPETITORS.items():
        if a.only and name not in a.only.split(';'):
            continue
        print(f'starting {name}', file=sys.stderr, flush=True)
        competitor = Competitor(name, *who[runs], a.batch, a.device, a.threads)
        if competitor.n_parameters is None:
            print(f'{name} is not here', file=sys.stderr)
        else:
            there.append(competitor)
    for i in range(a.repeats + 1):
        for competitor in there:
            for thing in ('step', 'forward'):
                competitor.turn(thing, counts=i > 0)
        print(f'round {i} of {a.repeats}', file=sys.stderr, flush=True)
    for competitor in there:
        competitor.process.kill()
        competitor.process.communicate()
    return there


def table(there: list[Competitor], baseline: str = 'diffusers, fp32') -> Iterator[str]:
    """Medians, and ratios to the baseline, as Markdown."""
    base = next((c for c in there if c.name == baseline), there[0])
    yield '| | parameters | training step | ratio | forward | ratio |'
    yield '|---|---:|---:|---:|---:|---:|'
    for c in there:
        cells = []
        for thing in ('step', 'forward'):
            cells += [f'{c.median(thing):.3f} s', f'{c.median(thing) / base.median(thing):.2f}']
        yield f'| {c.name} | {c.n_parameters:,} | {" | ".join(cells)} |'


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--batch', type=int, help='images a step (8 on a CPU, 128 on a GPU)')
    parser.add_argument('--device', choices=['cpu', 'cuda'])
    parser.add_argument('--peer-python', help='has denoising-diffusion-pytorch')
    parser.add_argument('--labml', help='folder with labml-nn 0.5.1')
    parser.add_argument('--only', help='these competitors, with ; between')
    parser.add_argument('-v', action='store_true', help='show what they print')


def complete(a: argparse.Namespace) -> argparse.Namespace:
    import torch

    a.device = a.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    a.batch = a.batch or (128 if a.device == 'cuda' else 8)
    return a


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    options(parser)
    parser.add_argument('--work', help=argparse.SUPPRESS)
    a = complete(parser.parse_args())
    if a.work:
        work(a.work, a.batch, a.device, a.threads)
    else:
        print('\n'.join(table(contest(a))))


if __name__ == '__main__':
    main()
