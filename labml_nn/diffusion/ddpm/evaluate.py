r"""
---
title: Sample from a trained DDPM
summary: The command line to what can be had of a run - samples, pictures, likelihood, numbers.
---

# Sample from a trained DDPM

    python -m labml_nn.diffusion.ddpm.evaluate sample runs/digits
    python -m labml_nn.diffusion.ddpm.evaluate animate runs/digits
    python -m labml_nn.diffusion.ddpm.evaluate interpolate runs/digits --images 0 1
    python -m labml_nn.diffusion.ddpm.evaluate sample runs/digits --sampler ddim --steps 50
    python -m labml_nn.diffusion.ddpm.evaluate sample runs/digits_conditional --label 7 --guidance 2
    python -m labml_nn.diffusion.ddpm.evaluate edit runs/digits --image 3 --from 300 600
    python -m labml_nn.diffusion.ddpm.evaluate inpaint runs/digits --image 3 --mask hole.png
    python -m labml_nn.diffusion.ddpm.evaluate likelihood runs/digits
    python -m labml_nn.diffusion.ddpm.evaluate metrics runs/digits
    python -m labml_nn.diffusion.ddpm.evaluate check runs/digits
    python -m labml_nn.diffusion.ddpm.evaluate web runs/digits --out demo
    python -m labml_nn.diffusion.ddpm.evaluate report runs/digits
    python -m labml_nn.diffusion.ddpm.evaluate compare runs/digits runs/digits_conditional

The checkpoint describes itself, so there is nothing else to say. The same in Python:

    from labml_nn.diffusion.ddpm.evaluate import Sampler
    sampler = Sampler.from_run('runs/digits')
    images = sampler.sample(16, seed=0)  # [16, channels, height, width] in [-1, 1]

Same seed and same place in the set, same image: picture 3 of 16 is picture 3 of 4. All of that is
the [`Sampler`](sampler.html); `--sampler ddpm` takes all steps, as the paper does, and the default
20 steps of a [fast one](../samplers/index.html).

![A three and a seven, and the same after they were noised and brought back, with three mixtures
between them](live:board)

This page is a door: it reads the command line and opens the run. What is behind it has pages of its
own: [pictures](draw.html), [`edit` and `inpaint`](edit.html), [likelihood](coding.html),
[`metrics`](metrics.html), [`check`](check.html), [`report` and `compare`](report.html), and
[`web`](web.html), a page that samples in a browser; and what to do if
[the samples look wrong](troubles.html).

[Exercises for this page](exercises.html#sampling), with answers.
"""

import contextlib
import io
import sys
import tempfile
from argparse import SUPPRESS
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labml_nn.cli.declared import declarations
from labml_nn.cli.options import Parser, add_option, add_options, check_said
from labml_nn.cli.output import command
from labml_nn.compute.device import describe, pick_device
from labml_nn.compute.distributed import World
from labml_nn.diffusion import samplers
from labml_nn.diffusion.ddpm import check, coding, draw, edit, metrics, pretrained, report, web
from labml_nn.diffusion.ddpm.commands import Command, SamplerOptions, sampler_options
from labml_nn.diffusion.ddpm.sampler import Sampler
from labml_nn.diffusion.samplers import SAMPLERS
from labml_nn.runs import checkpoint

__all__ = ['Sampler', 'main']

COMMANDS: dict[str, Command] = {
    **draw.COMMANDS, **edit.COMMANDS, **coding.COMMANDS, **metrics.COMMANDS, **check.COMMANDS,
    **web.COMMANDS, **report.COMMANDS,
}  # fmt: skip


def parser() -> Parser:
    r"""
    The command line: the commands, each with its options.
    """
    p = Parser(
        prog='python -m labml_nn.diffusion.ddpm.evaluate',
        description='Sample from a trained DDPM.',
    )
    commands = p.add_subparsers(dest='command', required=True, metavar='COMMAND')
    for name, known in COMMANDS.items():
        of_command = commands.add_parser(name, help=known.text, description=known.text)
        more = ', or a folder of diffusers' if known.takes_published else ''
        text = f'the folder of a run, or a checkpoint file{more}'
        of_command.add_argument('run', type=Path, help=text)
        if known.takes_others:
            more = 'the runs to set beside it'
            of_command.add_argument('others', type=Path, nargs='+', metavar='run', help=more)
        of_command.add_argument('-o', dest='out', type=Path, help=SUPPRESS)  # short for --out
        add_options(of_command, known.options)
        if issubclass(known.options, SamplerOptions):
            add_sampler_options(of_command)
    return p


def add_sampler_options(p: Any) -> None:
    r"""
    What the samplers can be told; `None` leaves it to the sampler.
    """
    for name, option in samplers.options().items():
        whose = '' if len(option.of) == len(SAMPLERS) else f'{", ".join(option.of)}: '
        said = [f'{whose}{option.meaning}']
        add_option(p, name, option.kind, said, option.default, None)


@command
def main(argv: Sequence[str] | None = None) -> int:
    r"""
    The command. Exit status: 0 done, 1 failed, 2 bad input.
    """
    a = parser().parse(sys.argv[1:] if argv is None else argv)
    world = World()
    world.join()
    with contextlib.ExitStack() as cleanup:
        if not world.is_first:
            # The others take their share of the samples, and one writes and speaks for all
            cleanup.enter_context(contextlib.redirect_stdout(io.StringIO()))
            folder = cleanup.enter_context(tempfile.TemporaryDirectory())
            a.out = Path(folder, a.out.name if a.out is not None else 'out')
        return carry_out(a, world)


def carry_out(a: Any, world: World) -> int:
    r"""
    Do what the command line says. Returns the exit status.
    """
    try:
        check_given(a)
        options = sampler_options(a)
        device = world.use(pick_device(a.device, world.local_rank))
        sampler, source = opened(a, {'precision': a.precision, 'device': device, **options})
        sampler.world = world
        if getattr(a, 'label', None) is not None:
            a.label = sampler.labels  # pictures note the numbers
        if hasattr(a, 'sampler'):
            a.sampler = sampler.name  # and the way back that was taken
        if a.out is not None and world.is_first:
            check_out(a)
        print(f'{source} weights, seed {a.seed}, {describe(sampler.device)}')
        for path in COMMANDS[a.command].carry_out(sampler, a):
            print(path)
    except (ValueError, OSError, ImportError) as error:
        if a.debug:
            raise
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('\ngiven up; nothing was written', file=sys.stderr)
        return 130
    return 0


def opened(a: Any, how: dict[str, Any]) -> tuple[Sampler, str]:
    r"""
    The sampler of what was named, a run or a published model, and whose weights it has.
    """
    if COMMANDS[a.command].takes_published and pretrained.is_published(a.run):
        return pretrained.published_sampler(a.run, **how), f'{a.run}: published'
    sampler = Sampler.from_run(a.run, weights=a.weights, **how)
    kind = 'averaged (EMA)' if a.weights == 'ema' else 'raw, not averaged'
    return sampler, f'{checkpoint.find(a.run)}: {kind}'


def check_given(a: Any) -> None:
    r"""
    A `ValueError` unless what the command was told passes the checks of its options.
    """
    for name, (_, *said) in declarations(COMMANDS[a.command].options).items():
        value = getattr(a, name)
        if value is not None:
            check_said(name, value, said)


def check_out(a: Any) -> None:
    r"""
    A `ValueError` unless `--out` can be written, before the work; its folder is made.
    """
    known = COMMANDS[a.command]
    is_folder, endings = known.is_folder(a), known.endings
    if not is_folder and a.out.suffix.lower() not in endings:
        raise ValueError(f'--out {a.out}: {a.command} is written as {" or ".join(endings)}')
    if not is_folder and a.out.is_dir():
        raise ValueError(f'--out {a.out} is a folder: name a file')
    folder = a.out if is_folder else a.out.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ValueError(f'--out {a.out}: {folder} is a file, need a folder there') from None


if __name__ == '__main__':
    sys.exit(main())
