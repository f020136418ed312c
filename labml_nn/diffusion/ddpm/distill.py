r"""
---
title: Distill a run
summary: The command that turns a trained run, stage by stage, into one for few steps.
---

# Distill a run

    python -m labml_nn.diffusion.ddpm.distill runs/v --calls 4 --out runs/four
    python -m labml_nn.diffusion.ddpm.distill runs/v --method consistency --out runs/one
    python -m labml_nn.diffusion.ddpm.distill runs/flow --method reflow --out runs/reflow
    python -m labml_nn.diffusion.ddpm.evaluate sample runs/four

[What it does](../distillation.html) is on a page of its own. Every stage is a run like any other,
begun with `experiment --init TEACHER --distill METHOD --calls N`. `progressive` has a stage for
each halving, `runs/four.16` and `runs/four.8` here, and the last in `runs/four`. Every option of
[training](experiment.html) can be given, and holds for all stages. If the command is stopped, the
same command goes on where it was
[tested](test:diffusion/ddpm/test_distill.py::test_the_same_command_goes_on).
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labml_nn.cli.messages import nearest, one_of
from labml_nn.cli.options import Parser, add_configs, option_values
from labml_nn.cli.output import command, refused
from labml_nn.diffusion.ddpm import experiment
from labml_nn.diffusion.ddpm.configs import Configs
from labml_nn.diffusion.ddpm.experiment import given_in
from labml_nn.diffusion.distillation import METHODS
from labml_nn.runs import checkpoint

# What a stage is trained with unless something else is said: the student begins with the weights of
# its teacher, so it needs fewer steps of training. For `consistency` the averaged weights
# also give the target, so their window is short
DEFAULTS: dict[str, dict[str, Any]] = {
    'progressive': dict(
        weight='truncated_snr', steps=400, warmup=20, cooldown=300, learning_rate=1e-3,
        ema_decay=0.999,
    ),
    'consistency': dict(
        weight='truncated_snr', steps=1200, warmup=20, cooldown=600, learning_rate=1e-3,
        ema_decay=0.95,
    ),
    'reflow': dict(steps=1200, cooldown=600),
}  # fmt: skip
# The calls of the first student, and of the last, where nothing is said
FIRST, LAST = 16, {'progressive': 4, 'consistency': 1, 'reflow': 2}


def parser() -> Parser:
    r"""
    The command line, with all options of a run.
    """
    p = Parser(
        prog='python -m labml_nn.diffusion.ddpm.distill',
        description='Make a run for few steps. Every option of training can be given by its name.',
    )
    p.add_argument('run', type=Path, help='the run to distil, or a checkpoint file')
    p.add_argument('--method', help=f'{one_of(METHODS)} (progressive)')
    p.add_argument('--first', type=int, help=f'calls of the first student, progressive ({FIRST})')
    p.add_argument('--out', type=Path, help='folder of the run (RUN.METHOD)')
    p.add_argument('--debug', action='store_true', help='show where an error came from')
    add_configs(p, Configs, option_values(Configs()))
    return p


def stages(method: str, calls: int, first: int) -> list[int]:
    r"""
    The calls of each student, the last being `calls`. Raises `ValueError` for a number that halving
    does not lead to.
    """
    if method != 'progressive' or calls < 1:
        return [calls]
    found = [calls]
    while found[0] < first:
        found.insert(0, 2 * found[0])
    if found[0] != first:
        raise ValueError(f'halving {first} does not lead to {calls}: try --first {found[0]}')
    return found


@command
def main(argv: Sequence[str] | None = None) -> int:
    r"""
    The command. Exit status: 0 done, 1 a stage failed, 2 bad input, and 128 plus the number of the
    signal that has stopped it.
    """
    a = vars(parser().parse(sys.argv[1:] if argv is None else argv))
    method = a['method'] or 'progressive'
    try:
        if method not in METHODS:
            raise ValueError(nearest(method, list(METHODS), 'method'))
        checkpoint.find(a['run'])
        calls = a.get('calls', LAST[method])
        chain = stages(method, calls, a['first'] or first_of(a['run'], calls))
    except (ValueError, OSError) as error:
        return refused(error, debug=a['debug'])
    out = a['out'] or a['run'].with_name(f'{a["run"].name}.{method}')
    teacher = a['run']
    for n in chain:
        folder = out if n == calls else out.with_name(f'{out.name}.{n}')
        status = experiment.carry_out(stage(a, method, teacher, folder, n))
        if status:
            return status
        teacher = folder
    return 0


def first_of(run: Path, calls: int) -> int:
    r"""
    The calls of the first student: half of those that the teacher has learned, if it was made by
    halving.
    """
    config = checkpoint.load(run)['config']
    if config.get('distill') == 'progressive':
        return config['calls'] // 2
    return max(FIRST, calls)


def stage(
    a: Mapping[str, Any], method: str, teacher: Path, folder: Path, calls: int
) -> dict[str, Any]:
    r"""
    What training is told of a stage: where the folder holds a run already, to go on with it.
    """
    said = {'preset': None, 'out': folder, 'init': None, 'init_weights': None, 'resume': False,
            'dry_run': False, 'debug': a['debug']}  # fmt: skip
    if checkpoint.exists(folder):
        return {**said, 'resume': True}
    options = {**DEFAULTS[method], **given_in(a), 'distill': method, 'calls': calls}
    return {**said, 'init': teacher, **options}


if __name__ == '__main__':
    sys.exit(main())
