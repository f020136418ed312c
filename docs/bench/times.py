"""How long things take on this machine, and what they cost.

    python docs/bench/times.py [--repeats 5]

Prints Markdown tables of medians. What is compared takes turns, so that a slow moment of the
machine meets all of it; imports and peak memory are measured in fresh processes.
"""

import argparse
import contextlib
import io
import math
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from labml_nn.compute.device import pick_device
from labml_nn.compute.precision import PRECISIONS, available
from labml_nn.data.datasets import Files, Images, batches
from labml_nn.diffusion.ddpm.evaluate import Sampler
from labml_nn.diffusion.ddpm.experiment import PRESETS, Trainer, build, make_configs
from labml_nn.runs import checkpoint

DEVICE = pick_device('auto')
Things = dict[str, Callable[[], object]]


def medians(things: Things, repeats: int) -> dict[str, float]:
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


def trainer_of(preset: str, batch: int, **options: Any) -> tuple[Trainer, torch.Tensor]:
    """A trainer on random images, and a batch of them."""
    c = make_configs({**PRESETS[preset], 'batch_size': batch, 'precision': 'fp32', **options})
    shape = (batch, c.image_channels, c.image_size, c.image_size)
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    trainer = Trainer(c, Path('.'), Images('random', images), DEVICE)
    return trainer, images.to(DEVICE).float() / 127.5 - 1


def step_of(trainer: Trainer, x0: torch.Tensor, *, bare: bool = False) -> Callable[[], object]:
    """A training step; a `bare` one keeps no average, no random states and no log."""
    training = trainer.training

    def step() -> None:
        t = torch.randint(0, trainer.c.n_steps, (len(x0),), device=DEVICE)
        eps = torch.randn_like(x0)
        training.optimizer.zero_grad()
        if bare:
            loss = training.diffusion.loss(x0, eps, t=t, check_range=False)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(training.descent.parameters, trainer.c.grad_clip)
            training.optimizer.step()
            return
        loss, errors = training.gradient(x0, t, eps)
        norm, good = training.descent.step(loss)
        training.ema.update_parameters(training.model)
        trainer.window.add(loss, t, errors, norm, good)
        trainer.random = checkpoint.random_states()
        training.descent.bad_in_a_row()

    return step


# ## The tables
def overhead(repeats: int) -> Iterator[str]:
    """What the average, the log, the random states and the look at each number cost."""
    yield '| step | bare | with average, log, checks | more |'
    yield '|---|---:|---:|---:|'
    for preset, batch in (('digits', 64), ('cifar10', 128 if DEVICE.type == 'cuda' else 8)):
        trainer, x0 = trainer_of(preset, batch)
        many = repeats * (20 if preset == 'digits' else 1)
        got = medians(
            {'bare': step_of(trainer, x0, bare=True), 'whole': step_of(trainer, x0)}, many
        )
        more = got['whole'] / got['bare'] - 1
        yield (
            f'| {preset}, batch {batch} | {1e3 * got["bare"]:.1f} ms '
            f'| {1e3 * got["whole"]:.1f} ms | {more:.1%} |'
        )


def parts(repeats: int) -> Iterator[str]:
    """What the parts of that cost by themselves, without the noise of the step around them."""
    yield '| part of a step | digits | cifar10 |'
    yield '|---|---:|---:|'
    found: list[dict[str, float]] = []
    for preset in ('digits', 'cifar10'):
        trainer, x0 = trainer_of(preset, 8)
        t, errors = torch.arange(8, device=DEVICE), torch.rand(8, device=DEVICE)
        one, good = torch.ones((), device=DEVICE), torch.ones((), device=DEVICE, dtype=torch.bool)
        things: Things = {
            'average of the weights': partial(
                trainer.training.ema.update_parameters, trainer.training.model
            ),
            'sums for the log': partial(trainer.window.add, one, t, errors, one, good),
            'random states': checkpoint.random_states,
            'bad steps in a row': trainer.training.descent.bad_in_a_row,
        }
        found.append(medians(things, 5 * repeats))
    for name in found[0]:
        yield f'| {name} | {" | ".join(f"{1e3 * f[name]:.2f} ms" for f in found)} |'


def growth(repeats: int) -> Iterator[str]:
    """A training step of the paper's U-Net by image size and batch."""
    yield '| image | batch | training step | per image | per image and pixel |'
    yield '|---|---:|---:|---:|---:|'
    sizes = [(16, 4), (32, 1), (32, 2), (32, 4), (32, 8), (64, 2)]
    made = {k: trainer_of('cifar10', k[1], image_size=k[0]) for k in sizes}
    got = medians({str(k): step_of(*made[k]) for k in sizes}, max(2, repeats // 2))
    for size, batch in sizes:
        s = got[str((size, batch))]
        yield (
            f'| {size} × {size} | {batch} | {s:.2f} s | {s / batch:.3f} s '
            f'| {1e6 * s / batch / size**2:.0f} µs |'
        )


def rates(repeats: int) -> Iterator[str]:
    """What this machine can do at all, in each precision: no network is faster than these."""
    from torch.nn.functional import conv2d

    yield '| | matrices | convolution, forward and back | the same, channels last |'
    yield '|---|---:|---:|---:|'
    side, n, c, size = (8192, 128, 512, 32) if DEVICE.type == 'cuda' else (1024, 8, 256, 16)
    things: Things = {}

    def conv(x: torch.Tensor, w: torch.Tensor) -> None:
        conv2d(x, w, padding=1).sum().backward()

    # On a CPU the way back has no kernels in float16, and takes seconds
    halves = ['bf16', 'fp16'] if DEVICE.type == 'cuda' else ['bf16']
    names = ['fp32', *(p for p in halves if p in available(DEVICE))]
    for name in names:
        kind: Any = dict(device=DEVICE, dtype=PRECISIONS[name])
        a, b = torch.randn(2, side, side, **kind)
        x, w = torch.randn(n, c, size, size, **kind), torch.randn(c, c, 3, 3, **kind)
        things[f'{name} matrices'] = partial(torch.matmul, a, b)
        for layout in (torch.contiguous_format, torch.channels_last):
            x_, w_ = (v.clone(memory_format=layout).requires_grad_() for v in (x, w))
            things[f'{name} {layout}'] = partial(conv, x_, w_)
    got = medians(things, 3 * repeats)
    work = [2 * side**3, *2 * [3 * 2 * n * c * c * 9 * size**2]]
    for name in names:
        found = [s for key, s in got.items() if key.startswith(name)]
        cells = [f'{w / s / 1e9:,.0f} GFLOP/s' for w, s in zip(work, found, strict=True)]
        yield f'| {name} | {" | ".join(cells)} |'


def utilisation(repeats: int) -> Iterator[str]:
    """Operations of a training step, counted by torch, beside the rate of matrices of its kind."""
    from torch.utils.flop_counter import FlopCounterMode

    yield from ('The matrices are timed once more beside each step, for the last column.', '')
    yield '| step | operations | rate | of that of matrices |'
    yield '|---|---:|---:|---:|'
    on_gpu = DEVICE.type == 'cuda'
    preset, batch, side = ('celebahq256', 32, 8192) if on_gpu else ('cifar10', 8, 1024)
    for precision in ('fp32', 'bf16'):
        if precision not in available(DEVICE):
            continue
        options: dict[str, Any] = dict(precision=precision, channels_last=True)
        trainer, x0 = trainer_of(preset, batch, **options)
        with FlopCounterMode(display=False) as counter:
            step_of(trainer, x0)()
        if compiled := on_gpu and precision == 'bf16':  # which hides operations from the counter
            trainer, x0 = trainer_of(preset, batch, compile=True, **options)
        a, b = torch.randn(2, side, side, device=DEVICE, dtype=PRECISIONS[precision])
        things = {'step': step_of(trainer, x0), 'matrices': partial(torch.matmul, a, b)}
        got = medians(things, repeats)
        rate = counter.get_total_flops() / got['step']
        share = rate / (2 * side**3 / got['matrices'])
        yield (
            f'| {preset}, batch {batch}, {precision}, channels last{", compiled" * compiled} '
            f'| {counter.get_total_flops() / 1e12:.2f} T | {rate / 1e9:,.0f} GFLOP/s '
            f'| {share:.0%} |'
        )


def quality(target: float = 1.0) -> Iterator[str]:
    """The digits run, from nothing to samples that are good, by the clock.

    * `target` Fréchet distance of 898 samples to the 1,797 digits, in pixels in [-1, 1]
    """
    from sklearn.datasets import load_digits

    from labml_nn.diffusion.ddpm.experiment import main as train
    from labml_nn.evaluation.frechet import frechet_distance

    real, spent, steps, distance = load_digits().data / 8 - 1, 0.0, 0, math.inf
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, 'run')
        options = ['--preset', 'digits', '--track', 'none']
        options += ['--n_previews', '0', '--n_samples', '0', '--out', str(run)]
        while distance > target and steps < 2400:
            steps += 400
            # Without the fall of the learning rate, which belongs to the last steps of all
            said = io.StringIO()
            began = time.perf_counter()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                new = [*options, '--cooldown', '0'] if steps == 400 else [*options[4:], '--resume']
                assert train([*new, '--steps', str(steps)]) == 0, said.getvalue()
            spent += time.perf_counter() - began
            images = Sampler.from_run(run).sample(len(real) // 2, seed=1)
            distance = frechet_distance(images.double().cpu().numpy().reshape(-1, 64), real)
    how = 'to' if distance <= target else f'towards {target:g}, and to'
    yield (
        f'| digits, from nothing {how} a Fréchet distance of {distance:.2f}, {steps:,} steps '
        f'| {spent:.0f} s |'
    )


def sampling(repeats: int) -> Iterator[str]:
    """64 digits, by the default sampler and by all steps."""
    c = make_configs(PRESETS['digits'])
    things: Things = {}
    for name, steps in (('dpm', 20), ('ddpm', 1000)):
        sampler = Sampler(build(c, DEVICE), 1, 8, sampler=name, steps=steps)
        things[f'64 digits, {steps} steps ({name})'] = lambda s=sampler: s.sample(64)
    for name, seconds in medians(things, max(1, repeats // 3)).items():
        yield f'| {name} | {seconds:.2f} s |'


def checkpoints(repeats: int) -> Iterator[str]:
    """Saving and loading that of the CIFAR-10 run, checksums and reading back included."""
    trainer, x0 = trainer_of('cifar10', 1)
    step_of(trainer, x0)()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'checkpoint.pt')
        got = medians(
            {
                'save': lambda: checkpoint.save(path, trainer.state(), keep=3),
                'load': lambda: checkpoint.load(path),
            },
            max(2, repeats // 2),
        )
        size = path.stat().st_size / 2**20
    for name, seconds in got.items():
        yield f'| {name} the checkpoint of the CIFAR-10 run ({size:.0f} MiB) | {seconds:.2f} s |'


def pictures(workers: int = 2) -> Iterator[str]:
    """A folder of JPEGs of 256 × 256, decoded and resized to 64 × 64 by other processes."""
    from PIL import Image

    n, batch = 512, 32
    with tempfile.TemporaryDirectory() as folder:
        for i in range(n):
            noise = torch.randint(0, 256, (16, 16, 3), dtype=torch.uint8).numpy()
            Image.fromarray(noise).resize((256, 256)).save(Path(folder, f'{i}.jpg'), quality=90)
        paths = sorted(Path(folder).iterdir())
        data = batches(Files('folder', paths, 64, 3), batch, device=DEVICE, n_workers=workers)
        next(data)
        began = time.perf_counter()
        for _ in range(3 * n // batch):
            next(data)
        rate = 3 * n / (time.perf_counter() - began)
    yield f'| JPEGs of 256², decoded to 64² by {workers} processes | {rate:.0f} images/s |'


def memory() -> Iterator[str]:
    """The most that a process had while it took two steps of the CIFAR-10 run."""
    for options in ({}, {'activation_checkpointing': True}, {'micro_batch': 2}):
        done = subprocess.run(
            [sys.executable, __file__, '--memory', repr(options)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        told = ', '.join(f'{k} {v}' for k, v in options.items()) or 'plain'
        mebibytes = int(done.stdout) / 2**20
        yield f'| peak memory, CIFAR-10 step of batch 8, {told} | {mebibytes:.0f} MiB |'


def peak(options: dict[str, Any]) -> int:
    trainer, x0 = trainer_of('cifar10', 8, **options)
    for _ in range(2):
        step_of(trainer, x0)()
    if DEVICE.type == 'cuda':
        return torch.cuda.max_memory_allocated()
    status = Path('/proc/self/status')
    if status.exists():
        # Linux's ru_maxrss also knows what the process had that started this one
        return int(re.search(r'VmHWM:\s+(\d+) kB', status.read_text())[1]) * 1024  # type: ignore[index]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def imports(repeats: int) -> Iterator[str]:
    """In processes of their own."""
    for name, first, statement in (
        ('import torch', '', 'import torch, torch.nn.functional'),
        (
            'import labml_nn.diffusion.ddpm after torch',
            'import torch, torch.nn.functional; ',
            'import labml_nn.diffusion.ddpm',
        ),
    ):
        code = (
            f'import time; {first}b = time.perf_counter(); {statement}; '
            f'print(time.perf_counter() - b)'
        )
        run = [sys.executable, '-c', code]
        seconds = statistics.median(
            float(subprocess.run(run, capture_output=True, text=True, check=True).stdout)
            for _ in range(repeats)
        )
        yield f'| {name} | {1e3 * seconds:.0f} ms |'


def machine(repeats: int) -> Iterator[str]:
    """What can be had at most, and how much of it a training step takes."""
    yield from ('', '### What the machine can do', '')
    yield from rates(repeats)
    yield ''
    yield from utilisation(repeats)


def report(repeats: int) -> Iterator[str]:
    """All other tables."""
    yield from ('', '### What a step costs besides the gradient', '')
    yield from overhead(repeats)
    yield ''
    yield from parts(repeats)
    yield from ('', '### How the cost grows', '')
    yield from growth(repeats)
    yield from ('', '### Other times, and memory', '', '| | |', '|---|---:|')
    rest = (sampling(repeats), checkpoints(repeats), pictures(), memory(), imports(repeats))
    for rows in (*rest, quality()):
        yield from rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--memory', help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.memory:
        import ast

        print(peak(ast.literal_eval(a.memory)))
        return
    for part in (machine(a.repeats), report(a.repeats)):
        for line in part:
            print(line, flush=True)


if __name__ == '__main__':
    main()
