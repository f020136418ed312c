r"""
---
title: What commands of a run share
summary: What a command is, what the command line says of the sampler, and where results go.
---

# What commands of a run share

[Evaluation](evaluate.html) has a command for each picture and number that can be had of a run. Each
is declared on the page that does it, as a `Command`; here is what these pages need in common.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from labml_nn.cli.options import parse_value
from labml_nn.data.datasets import AnySet, load_dataset
from labml_nn.diffusion import samplers
from labml_nn.diffusion.ddpm.configs import Configs
from labml_nn.diffusion.ddpm.sampler import Sampler
from labml_nn.runs import checkpoint


class Command(NamedTuple):
    r"""
    ## A command
    """

    text: str  # what `--help` says of it
    carry_out: Callable[[Sampler, Any], Iterator[Path]]  # gives the files that it has written
    add_options: Callable[[Any], None]  # its own options
    has_labels: bool = True  # whether one can say of which class the images are
    has_sampler: bool = True  # or which sampler makes them; the others are ancestral
    endings: tuple[str, ...] = ('.png',)  # of the file `--out`
    is_folder: Callable[[Any], bool] = lambda a: False  # or whether that is a folder


def sampler_options(a: Any) -> dict[str, Any]:
    r"""
    What the command line says of the sampler.
    """
    asked: dict[str, Any] = {}
    if getattr(a, 'label', None) is not None:
        asked['label'] = a.label  # the run knows the names
    if getattr(a, 'guidance', None) is not None:
        asked['guidance'] = parse_value(a.guidance, float)
    if not hasattr(a, 'sampler'):  # these commands are ancestral
        return {'sampler': 'ddpm', **asked}
    own = {
        name: parse_value(text, option.kind)
        for name, option in samplers.options().items()
        if (text := getattr(a, name)) is not None
    }
    return {'sampler': a.sampler, 'steps': a.steps, **own, **asked}


def about(a: Any, **more: object) -> dict[str, object]:
    r"""
    What is kept inside each picture: how to make it again.
    """
    options = {k: v for k, v in sampler_options(a).items() if v is not None}
    return {'run': a.run, 'weights': a.weights, **options, 'seed': a.seed, **more}


def out_of(a: Any, what: str, ending: str = '.png') -> Path:
    r"""
    Where a command writes: where it was told to, or else into the folder of the run.
    """
    name = f'{what}_{a.weights}_seed{a.seed}{ending}'
    return a.out or checkpoint.find(a.run).parent / name


def run_dataset(c: Configs, data_root: str | None) -> AnySet:
    r"""
    The images that a run was trained on.
    """
    root = data_root or c.data_root
    return load_dataset(
        c.dataset, root, c.image_size, c.image_channels, bad_pictures=c.bad_pictures
    )
