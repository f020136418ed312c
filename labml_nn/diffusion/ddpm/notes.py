r"""
---
title: What does not fit
summary: What a run says before its first step about numbers and pictures that do not fit.
---

# What does not fit

No number here is wrong by itself, and none of these notes stops a run. Each note is one line, said
by [`--dry-run`](experiment.html) and by a run before its first step, with what to do about it.
"""

import hashlib
import math
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from labml_nn.cli.options import option_values
from labml_nn.data.datasets import OTHER_PICTURES, AnySet, Images, pictures_below
from labml_nn.data.decode import FORMATS
from labml_nn.diffusion.ddpm.configs import Configs, beta_of
from labml_nn.diffusion.ddpm.train import share_of_rate
from labml_nn.diffusion.schedules import log_snr, signal_left

# The side of the pictures in sets that have one; MNIST's are padded to 32, not enlarged
SIDES = {'digits': 8, 'mnist': 32, 'fashion_mnist': 32, 'cifar10': 32}
# More of the image than this at the end of the forward process is worth a word
MUCH_LEFT = 0.02
# The image is less than a hundredth of the noise below this logarithm of the signal-to-noise ratio
NOISE = math.log(1e-4)
# How many files are opened to see how large pictures are
OPENED = 100
# What a U-Net has not
OF_TRANSFORMER = ('patch_size', 'depth', 'n_heads')
# Fewer images than this, or each of them more often than that, and samples will be like them
FEW, OFTEN = 1000, 5000


def notes(c: Configs, dataset: AnySet | None) -> list[str]:
    r"""
    A line for each thing that does not fit; `None` for images that nobody knows yet.
    """
    return [*of_options(c), *(of_data(c, dataset) if dataset is not None else ())]


# ## Options
def of_options(c: Configs) -> Iterator[str]:
    r"""
    What the options alone tell.
    """
    best = best_share(c)
    if c.steps and best < 1:
        yield (
            f'warmup={c.warmup:,} and cooldown={c.cooldown:,} leave no step of {c.steps:,} with '
            f'the full learning rate: it gets to {best:.0%} of it. Try --warmup '
            f'{min(c.warmup, c.steps // 20)} --cooldown {min(c.cooldown, c.steps // 3)}'
        )
    width = c.n_channels * min(c.ch_mults)
    if c.network == 'unet' and width == c.n_groups:
        yield (
            f'n_groups={c.n_groups} is as many as there are channels ({width}): each is normalised '
            f'alone, and how bright it is gets lost. Try --n_groups {max(width // 4, 1)}'
        )
    yield from idle(c)
    beta = beta_of(c)
    left, lost = signal_left(beta), float((log_snr(beta) < NOISE).double().mean())
    if left > MUCH_LEFT:
        yield (
            f'T = {c.n_steps:,} with the {c.schedule} schedule leaves {left:.1%} of the image at '
            f'the end, and sampling starts from none: try more --n_steps, or --schedule cosine'
        )
    if lost > 0.3:
        yield (
            f'T = {c.n_steps:,} with the {c.schedule} schedule has nothing but noise in {lost:.0%} '
            f'of its steps, which are trained for nothing: try fewer --n_steps'
        )


def idle(c: Configs) -> Iterator[str]:
    r"""
    Options that are given for a network, and the run has another. That a preset brings those of a
    U-Net says nothing.
    """
    if c.network == 'unet':
        usual = option_values(Configs())
        given = [f'{k}={getattr(c, k)}' for k in OF_TRANSFORMER if getattr(c, k) != usual[k]]
        if given:
            yield (
                f'{", ".join(given)}: of the transformer alone, and this run has a U-Net. Leave '
                f'that out, or add --network dit'
            )


def best_share(c: Configs) -> float:
    r"""
    The largest factor of the learning rate in a run, where the warm-up's line and the cool-down's
    meet if they do.
    """
    # $(s + 1) / w = (S - s) / d$
    warmup, cooldown = max(c.warmup, 1), max(c.cooldown, 1)
    meet = (c.steps * warmup - cooldown) / (warmup + cooldown)
    return max(
        share_of_rate(c, min(max(s, 0), max(c.steps - 1, 0)))
        for s in (math.floor(meet), math.ceil(meet), warmup - 1)
    )


def of_rate(c: Configs, old_steps: int, step: int, out: Path) -> Iterator[str]:
    r"""
    What the learning rate does where a run goes on at `step` that was to have `old_steps`: after a
    cool-down it jumps up again.
    """
    old = Configs()
    old.warmup, old.cooldown, old.steps = c.warmup, c.cooldown, old_steps
    before, now = share_of_rate(old, max(step - 1, 0)), share_of_rate(c, step)
    if step < c.steps and step > old_steps - c.cooldown and now > before:
        yield (
            f'the learning rate had fallen to {before:.2%} of {c.learning_rate:g} and is at '
            f'{now:.0%} from here on, until the last {c.cooldown:,} steps: samples get worse '
            f'before they get better. For another rate, begin a new run with these weights: '
            f'--init {shlex.quote(str(out))} --learning_rate {c.learning_rate / 4:g} --out NEW'
        )


# ## Pictures
def of_data(c: Configs, dataset: AnySet) -> Iterator[str]:
    r"""
    What the pictures tell.
    """
    n = len(dataset)
    views = c.steps * c.batch_size / max(n, 1)
    if n < FEW or views > OFTEN:
        yield (
            f'{n:,} images are few: samples will be near copies of them, each of which comes '
            f'{views:,.0f} times (fewer --steps, --flip true, --dropout 0.1 help a little)'
        )
    side, many = smallest_side(c, dataset)
    if many:
        yield (
            f'{many} are smaller than {c.image_size}×{c.image_size} and get enlarged (the smallest '
            f'has {side} pixels a side), which samples show as blur: try a smaller --image_size'
        )
    if c.dataset in ('folder', 'celeba'):
        yield from not_read(Path(c.data_root))
    yield from twins(dataset)


def smallest_side(c: Configs, dataset: AnySet) -> tuple[int, str]:
    r"""
    The side of the smallest picture, and how many are smaller than the images, in words; of files,
    as some of them show.
    """
    if c.dataset in SIDES:
        side = SIDES[c.dataset]
        return side, f'all {len(dataset):,} images' if side < c.image_size else ''
    some = dataset.paths[:: max(1, len(dataset.paths) // OPENED)]
    sides = [side_of(path) for path in some]
    small = [side for side in sides if 0 < side < c.image_size]
    if not small:
        return 0, ''
    of = f'{len(small)} of {len(some)} pictures'
    return min(small), of if len(some) == len(dataset) else f'{of} that were looked at'


def side_of(path: Path) -> int:
    r"""
    The shorter side of a picture in pixels, by the head of its file; 0 for one without.
    """
    try:
        with Image.open(path, formats=FORMATS) as file:
            return min(file.size)
    except Exception:  # the decoder says what is wrong with it
        return 0


def not_read(root: Path) -> Iterator[str]:
    r"""
    Files that people take for pictures and that are not read, by their kinds.
    """
    left = sorted(pictures_below(root, OTHER_PICTURES)) if root.is_dir() else []
    if left:
        kinds = Counter(path.suffix.lower() for path in left)
        counted = ', '.join(f'{n:,} {kind}' for kind, n in kinds.most_common())
        yield (
            f'left out {counted}, of kinds that are not read here ({named(left)}): turn them into '
            f'png or jpg'
        )


def twins(dataset: AnySet) -> Iterator[str]:
    r"""
    Images that are the same to the last bit as one before them, where the images are in memory.
    """
    if not isinstance(dataset, Images):
        return
    seen: dict[bytes, int] = {}
    again = []
    for i, image in enumerate(dataset.images.flatten(1).numpy()):
        first = seen.setdefault(hashlib.blake2b(image.data, digest_size=16).digest(), i)
        if first != i:
            again.append((i, first))
    if again:
        i, first = again[0]
        pair = f'{i} and {first}'
        if dataset.paths:
            pair = f'{named([dataset.paths[i]])} and {named([dataset.paths[first]])}'
        yield (
            f'{len(again):,} of {len(dataset):,} images are there twice or more often ({pair}): '
            f'they are learned so much better'
        )


def named(paths: list[Path], most: int = 3) -> str:
    r"""
    The names of the first files; what is none in UTF-8 is written out.
    """
    names = [p.name.encode('utf-8', 'surrogateescape').decode('utf-8', 'backslashreplace')
             for p in paths[:most]]  # fmt: skip
    return ', '.join(names) + ' …' * (len(paths) > most)
