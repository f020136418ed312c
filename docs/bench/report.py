"""All benchmarks on one page: `make bench`.

    python docs/bench/report.py [--repeats 5] [--peer-python PYTHON] [--labml FOLDER] [--out FILE]
    python docs/bench/report.py --short     what the machine can do, and the cost of a step

Times the peers that are there, then ourselves, and writes the page of the benchmarks (processors
with AMX have their own) with the machine and the versions. Competitors that are not installed are
left out; `peers.py` says how to have them.
"""

import argparse
import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import peers
import times
import torch

from labml_nn.compute.precision import has_amx

ROOM = Path(__file__).parents[2] / 'labml_nn/diffusion/ddpm'
# With a unit for products of bfloat16 matrices all is different, so those are pages of their own
PAGES = {False: ROOM / 'benchmarks.md', True: ROOM / 'benchmarks_amx.md'}
HEADS = {
    False: ('Benchmarks', 'How fast training is, beside its peers, on one machine.'),
    True: ('Benchmarks, with AMX', 'The same on a processor with AMX, where bf16 is faster.'),
}


def processor() -> str:
    """The processor's name, where the system tells, and what it has for bfloat16."""
    name = platform.processor() or platform.machine()
    if Path('/proc/cpuinfo').exists():
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        name = next((x.split(':')[1].strip() for x in lines if x.startswith('model name')), name)
    cpu = torch.cpu.get_capabilities()
    has = [k for k in ('avx512_f', 'avx512_bf16', 'avx512_fp16', 'amx_bf16') if cpu.get(k)]
    return f'{name}, {os.cpu_count()} cores ({", ".join(has) or "no AVX-512"})'


def version(package: str, python: str = sys.executable, path: str = '') -> str:
    """The version of a package as another interpreter has it."""
    code = f'import importlib.metadata as m; print(m.version({package!r}))'
    done = subprocess.run(
        [python, '-c', code], capture_output=True, text=True, check=False,
        # Not here, where our own egg-info would answer for the older package of the same name
        env={**os.environ, 'PYTHONPATH': path}, cwd=tempfile.gettempdir(),
    )  # fmt: skip
    return done.stdout.strip() or 'not here'


def head(a: argparse.Namespace) -> list[str]:
    """What was measured where, with which versions."""
    title, summary = HEADS[has_amx()]
    device = torch.cuda.get_device_name() if a.device == 'cuda' else processor()
    there = {
        'python': platform.python_version(),
        'torch': torch.__version__,
        'diffusers': version('diffusers'),
        'denoising-diffusion-pytorch': version(
            'denoising-diffusion-pytorch', a.peer_python or sys.executable
        ),
        'labml-nn (older)': version('labml-nn', path=a.labml) if a.labml else 'not here',
        'labml_nn (ours)': importlib.metadata.version('labml-nn'),
    }
    return [
        '---',
        f'summary: {summary}',
        '---',
        '',
        f'# {title}',
        '',
        'Written by `make bench`. Ratios are of one run on one machine; the competitors take',
        'turns, each in a process of its own, and what is quoted is the median.',
        '',
        f'* **Machine** {device}; {a.threads} threads; {datetime.date.today()}',
        f'* **Versions** {", ".join(f"{k} {v}" for k, v in there.items())}',
        f'* **Command** `python docs/bench/report.py{" --short" * a.short} --repeats {a.repeats} '
        f'--threads {a.threads}`, with `--peer-python` and `--labml` for the competitors that have '
        f'to be kept apart',
        '',
    ]  # fmt: skip


def contest_head(a: argparse.Namespace) -> list[str]:
    """What is compared with the peers."""
    return [
        f'## The paper\'s CIFAR-10 U-Net, batch {a.batch}',
        '',
        'A training step is loss, gradient, clipping and Adam; ours also keeps the average of the',
        'weights and the sums for the log. Ratios are to the float32 of diffusers. The older',
        'labml-nn and denoising-diffusion-pytorch have no such network: theirs is the nearest,',
        'with its parameters beside it.',
        '',
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    peers.options(parser)
    parser.add_argument('--short', action='store_true', help='no peers; the machine itself')
    parser.add_argument('--out', type=Path, default=PAGES[has_amx()])
    a = peers.complete(parser.parse_args())
    torch.set_num_threads(a.threads)
    lines = head(a)
    for line in lines:
        print(line)
    parts = [['## Ourselves'], times.machine(a.repeats)]
    if not a.short:
        contest = peers.table(peers.contest(a))
        parts = [contest_head(a), contest, [''], *parts, times.report(a.repeats)]
    for part in parts:
        for line in part:
            lines.append(line)
            print(line, flush=True)
    a.out.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    print(f'\nwrote {a.out}', file=sys.stderr)


if __name__ == '__main__':
    main()
