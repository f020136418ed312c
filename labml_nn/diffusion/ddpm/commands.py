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
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from torch import Tensor

from labml_nn.cli.messages import one_of
from labml_nn.cli.options import FLAG, Passes, Words
from labml_nn.data.datasets import AnySet, load_dataset, to_unit_range
from labml_nn.data.decode import decode
from labml_nn.data.pictures import save_png, to_uint8
from labml_nn.diffusion import samplers
from labml_nn.diffusion.ddpm.configs import Configs, Seed, make_configs
from labml_nn.diffusion.ddpm.sampler import FAST, Sampler, check_count
from labml_nn.runs import checkpoint

# What has a number of samples, or of frames
Samples = Annotated[int, Passes(partial(check_count, 'n_samples'))]
Frames = Annotated[int, Passes(partial(check_count, 'n_frames'))]
DataRoot = Annotated[str | None, 'where the data set is (as in training)']


# ## Options
class RunOptions:
    r"""
    What every command can be told.
    """

    seed: Annotated[Seed, 'of the noise'] = 0
    weights: Annotated[str, 'ema, the averaged ones, or raw'] = 'ema'
    device: Annotated[str, 'auto, cpu, cuda, cuda:1 … or mps'] = 'auto'
    precision: Annotated[str, 'fp32, bf16, fp16 or auto'] = 'fp32'
    out: Annotated[Path | None, 'where to write (into the folder of the run)'] = None
    debug: Annotated[bool, 'show where an error came from', FLAG] = False


class ClassOptions(RunOptions):
    r"""
    What a command can be told whose images are of a class, if the run has classes.
    """

    label: Annotated[
        tuple[str, ...] | None,
        'of a run with classes: one or several in turn, or none (all in turn)', Words(),
    ] = None  # fmt: skip
    guidance: Annotated[float | None, 'how far to push towards the class (0)'] = None


class SamplerOptions(ClassOptions):
    r"""
    What a command can be told that takes any sampler; the others are ancestral. The samplers' own
    options come with these.
    """

    sampler: Annotated[
        str | None, f'{one_of(samplers.SAMPLERS)} (what a distilled run is for, else {FAST})'
    ] = None
    steps: Annotated[
        int | None, 'steps of the way back (what a distilled run is for; ddpm: all, others: 20)'
    ] = None


class Command(NamedTuple):
    r"""
    ## A command
    """

    text: str  # what `--help` says of it
    carry_out: Callable[[Sampler, Any], Iterator[Path]]  # gives the files that it has written
    options: type[RunOptions]
    endings: tuple[str, ...] = ('.png',)  # of the file `--out`
    is_folder: Callable[[Any], bool] = lambda a: False  # or whether that is a folder
    takes_others: bool = False  # whether other runs are named after the first, as `others`
    takes_published: bool = False  # whether the run may be a folder that diffusers has written


def sampler_options(a: Any) -> dict[str, Any]:
    r"""
    What the command line says of the sampler.
    """
    asked: dict[str, Any] = {}
    if getattr(a, 'label', None) is not None:
        asked['label'] = a.label  # the run knows the names
    if getattr(a, 'guidance', None) is not None:
        asked['guidance'] = a.guidance
    if not hasattr(a, 'sampler'):  # these commands are ancestral
        return {'sampler': 'ddpm', **asked}
    values = {name: getattr(a, name) for name in samplers.options()}
    own = {name: value for name, value in values.items() if value is not None}
    if a.sampler is not None:
        own['sampler'] = a.sampler
    return {'steps': a.steps, **own, **asked}


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
    return a.out or (a.run if a.run.is_dir() else a.run.parent) / name


def save_apart(a: Any, what: str, images: Tensor) -> Path:
    r"""
    One PNG for each image at the model's own resolution, in the folder `--out`, which is returned.
    """
    pixels = to_uint8(images)
    a.out.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(pixels):
        save_png(a.out / f'{what}_seed{a.seed}_{i:05}.png', picture, about(a, index=i))
    return a.out


def check_apart(a: Any) -> None:
    r"""
    A `ValueError` if many files were asked for, and no folder for them.
    """
    if a.separate and a.out is None:
        raise ValueError('--separate writes many files: give the folder for them with --out')


def run_dataset(c: Configs, data_root: str | None) -> AnySet:
    r"""
    The images that a run was trained on.
    """
    root = data_root or c.data_root
    return load_dataset(
        c.dataset, root, c.image_size, c.image_channels,
        bad_pictures=c.bad_pictures, by_class=c.n_classes > 0,
    )  # fmt: skip


class Pictures:
    r"""
    ## Images that were named: by number in the data set of a run, or by file
    """

    def __init__(self, sampler: Sampler, a: Any):
        self.shape = sampler.image_shape
        self.data_root = a.data_root
        # A published model does not say on which images it was trained
        known = checkpoint.exists(a.run) or a.run.is_file()
        self.configs = make_configs(checkpoint.load(a.run)['config']) if known else None
        self.faces = self.configs is not None and self.configs.dataset == 'celeba'

    @cached_property
    def dataset(self) -> AnySet | None:
        r"""
        The images that the run was trained on, if it says so
        """
        return run_dataset(self.configs, self.data_root) if self.configs else None

    def file(self, name: str) -> Path | None:
        r"""
        The file that is meant, or none for a number. Raises `FileNotFoundError`.
        """
        path = Path(name)
        if path.is_file():
            return path
        if name.isdigit() and not path.exists():
            return None
        raise FileNotFoundError(f'{path.absolute()} does not exist: give a number or file')

    def __call__(self, name: str) -> Tensor:
        r"""
        The image, `[channels, height, width]` in $[-1, 1]$. Raises `ValueError` too.
        """
        file = self.file(name)
        if file is not None:
            channels, size, _ = self.shape
            return to_unit_range(decode(file, size, channels, faces=self.faces))
        if self.configs is None or self.dataset is None:
            raise ValueError(f'image {name}: a published model has no data set, give a file')
        if int(name) >= len(self.dataset):
            raise ValueError(
                f'image {name}: {self.configs.dataset} has 0 to {len(self.dataset) - 1}'
            )
        return self.dataset[int(name)][0]
