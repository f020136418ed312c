r"""
---
title: Sample from a trained DDPM
summary: The command line for what a trained model gives - samples, pictures, likelihood, metrics.
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

The checkpoint holds the options of the run, so the model need not be described again.
[`--guidance`](../guidance.html) makes samples more typical of their class. `edit --from 300 600`
adds the noise of 300 steps to a picture and removes it again, and does the same with 600. `inpaint`
redraws the parts of a picture that are white in `--mask`. In Python:

    from labml_nn.diffusion.ddpm.evaluate import Sampler
    sampler = Sampler.from_run('runs/digits')
    images = sampler.sample(16, seed=0)  # [16, channels, height, width] in [-1, 1]

With the same model and sampler, an image depends only on the seed and on its number: the third of
16 images is the same as the third of 4. Unless told otherwise, the [`Sampler`](sampler.html) takes
20 steps of a [fast method](../samplers/index.html); `--sampler ddpm` takes all steps, as the paper
does.

![A three and a seven; both again after noise was added and removed; and between them three
mixtures](live:board)

This page only reads the command line and opens the run. Each command is explained on a page of its
own:

* [`sample`, `animate` and `interpolate`](draw.html): samples, the chain as an animation, and what
  lies between two images
* [`edit` and `inpaint`](edit.html): change a picture, or fill a hole in it
* [`likelihood`](coding.html): the bound in bits per dimension
* [`metrics`](metrics.html): how far samples are from real images
* [`check`](check.html): whether the model has learned, and whether it copies
* [`report` and `compare`](report.html): one run on a page, or several side by side
* [`web`](web.html): a page that samples in a browser

If the samples look wrong, [these causes](troubles.html) are the usual ones.

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
from labml_nn.cli.output import command, refused
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
        more = ', or a folder that diffusers has written' if known.takes_published else ''
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
    Add the options of the samplers. `None` means the sampler's own default.
    """
    for name, option in samplers.options().items():
        whose = '' if len(option.of) == len(SAMPLERS) else f'{", ".join(option.of)}: '
        said = [f'{whose}{option.meaning}']
        add_option(p, name, option.kind, said, option.default, None)


@command
def main(argv: Sequence[str] | None = None) -> int:
    r"""
    The command. Exit status: 0 done, 1 an error that was not foreseen, 2 bad input, 130 stopped
    with Ctrl-C.
    """
    a = parser().parse(sys.argv[1:] if argv is None else argv)
    world = World()
    world.join()
    with contextlib.ExitStack() as cleanup:
        if not world.is_first:
            # All processes make their share of the samples; only the first writes files and prints
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
            a.label = sampler.labels  # the file of a picture keeps the numbers of its classes
        if hasattr(a, 'sampler'):
            a.sampler = sampler.name  # and the way back that was taken
        if a.out is not None and world.is_first:
            check_out(a)
        print(f'{source} weights, seed {a.seed}, {describe(sampler.device)}')
        for path in COMMANDS[a.command].carry_out(sampler, a):
            print(path)
    except (ValueError, OSError, ImportError) as error:
        return refused(error, debug=a.debug)
    except KeyboardInterrupt:
        print('\ngiven up', file=sys.stderr)
        return 130
    return 0


def opened(a: Any, how: dict[str, Any]) -> tuple[Sampler, str]:
    r"""
    The sampler for the run or the published model that was named, and a text that says which
    weights it uses.
    """
    if COMMANDS[a.command].takes_published and pretrained.is_published(a.run):
        return pretrained.published_sampler(a.run, **how), f'{a.run}: published'
    sampler = Sampler.from_run(a.run, weights=a.weights, **how)
    kind = 'averaged (EMA)' if a.weights == 'ema' else 'raw, not averaged'
    return sampler, f'{checkpoint.find(a.run)}: {kind}'


def check_given(a: Any) -> None:
    r"""
    Raises `ValueError` if a value given to the command does not pass the checks of its option.
    """
    for name, (_, *said) in declarations(COMMANDS[a.command].options).items():
        value = getattr(a, name)
        if value is not None:
            check_said(name, value, said)


def check_out(a: Any) -> None:
    r"""
    Make the folder of `--out`. Raises `ValueError`, before any work is done, if `--out` cannot be
    written.
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
