r"""
---
title: Measure a trained DDPM
summary: >
  Fréchet distance, inception score, precision and recall of a run, with everything one has to know
  to compare the numbers.
---

# Measure a trained DDPM

    python -m labml_nn.diffusion.ddpm.evaluate metrics runs/digits
    python -m labml_nn.diffusion.ddpm.evaluate metrics runs/cifar10 --features inception --n 50000
    python -m labml_nn.diffusion.ddpm.evaluate metrics runs/fashion --floor \
        --features fashion_mnist.classifier.safetensors

computes the [Fréchet distance](../../evaluation/frechet.html), the
[inception score](../../evaluation/inception_score.html), and
[precision and recall](../../evaluation/precision_recall.html) of samples against the images that
the run was trained on. It says first how long it will take, and then, beside the numbers, all that
they depend on; the same goes into a JSON file in the folder of the run.

> **Why so much beside four numbers?** The same model has another Fréchet distance (FID) with
> another number of samples, with test instead of training images (for the paper's CIFAR-10 model
> 5.24 instead of 3.17), with another sampler, with images that were resized or rounded in another
> way. Two numbers can be compared if all of this is the same.

Samples and data go the same way: first rounded to 256 levels, as if they had been saved as PNG.
Precision and recall are of as many images as there are samples, from all over the data, since the
balls around many points are smaller.

> **The floor.** Real images are not at a distance of zero from other real ones. `--floor` computes
> every number for as many images of the test set, too, which is what a perfect model would have
> [tested](test:diffusion/ddpm/test_metrics.py::test_the_floor_is_of_images_that_no_run_has_seen).

The distance to the nearest training image is in the same features, as a root mean square over
them. Samples that come nearer than test images do are copies.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch

from labml_nn.cli.messages import first_line
from labml_nn.cli.options import FLAG, plain
from labml_nn.cli.progress import Progress, clock
from labml_nn.data.datasets import AnySet, Images, data_images, held_out
from labml_nn.data.files import written
from labml_nn.data.pictures import to_uint8
from labml_nn.diffusion import samplers
from labml_nn.diffusion.ddpm.commands import (
    Command,
    DataRoot,
    SamplerOptions,
    Samples,
    out_of,
    run_dataset,
)  # fmt: skip
from labml_nn.diffusion.ddpm.configs import Configs, make_configs
from labml_nn.diffusion.ddpm.sampler import Sampler
from labml_nn.evaluation import Floats
from labml_nn.evaluation.features import FEATURES, Features, load_features
from labml_nn.evaluation.frechet import frechet_distance
from labml_nn.evaluation.inception_score import inception_score
from labml_nn.evaluation.precision_recall import precision_recall, squared
from labml_nn.runs import checkpoint

# Below this number of samples nothing should be set beside a number of a paper
COMPARABLE = 10_000

# How many images go through the network, and then through the features, at a time
CHUNK = 256

# The paper's k of precision and recall, and the parts of the inception score
K, SPLITS = 3, 10


class MetricsOptions(SamplerOptions):
    r"""
    What `metrics` can be told.
    """

    n: Annotated[Samples | None, f'how many samples (as many as images, up to {COMPARABLE:,})'] = (
        None
    )
    features: Annotated[
        str | None,
        f'{", ".join(FEATURES)} or the file of a classifier (digits for the 8 × 8 digits, else '
        f'inception)',
    ] = None
    floor: Annotated[bool, 'the numbers of as many test images, too', FLAG] = False
    data_root: DataRoot = None


def metrics_command(sampler: Sampler, a: Any) -> Iterator[Path]:
    r"""
    ## `metrics`: the numbers and their protocol, printed and as JSON
    """
    state = checkpoint.load(a.run)
    c = make_configs(state['config'])
    dataset = run_dataset(c, a.data_root)
    n = min(len(dataset), COMPARABLE) if a.n is None else a.n
    usual = 'digits' if (c.dataset, c.image_size) == ('digits', 8) else 'inception'
    features = features_at_hand(a.features, usual, sampler.image_shape, sampler.device)
    check_numbers(n, len(dataset), features)
    unseen = test_images(c, a.data_root, n) if a.floor else None
    print(time_needed(sampler, features, dataset, n))

    x, p = sample_features(sampler, features, n, a.seed)
    y, _ = data_features(features, dataset)
    numbers, floor = measure(x, p, y), {}
    told = protocol(sampler, a, state, c, dataset, features, n)
    if unseen is not None:
        floor = measure(*data_features(features, unseen), y)
        told['floor'] = f'{len(unseen):,} images of the test set'
    tell_numbers(numbers, floor, told)
    notes = remarks(n, features)
    for note in notes:
        print(f'not comparable with papers: {note}')
    out = out_of(a, f'metrics_{features.name}', '.json')
    content = {**numbers, **({'floor': floor} if floor else {}), 'protocol': told}
    yield save_json(out, {**content, 'not_comparable_with_papers': notes})


def test_images(c: Configs, data_root: str | None, n: int) -> Images:
    r"""
    `n` images that the run has not seen, or as many as there are. Raises `ValueError` where the
    data set has none.
    """
    unseen = held_out(c.dataset, data_root or c.data_root, c.image_size, c.image_channels)
    if unseen is None:
        raise ValueError(f'{c.dataset} has no test set that a floor could be of: leave out --floor')
    return Images(c.dataset, unseen.images[list(spread_out(len(unseen), n))], levels=unseen.levels)


def tell_numbers(numbers: dict[str, float], floor: dict[str, float], told: dict[str, str]) -> None:
    r"""
    Print the numbers, those of test images beside them, and what they depend on.
    """
    if floor:
        print(f'{"":20}{"samples":>12}{"test images":>14}')
    for name, value in numbers.items():
        beside = f'{floor[name]:14.4f}' if floor else ''
        print(f'{name.replace("_", " "):20}{value:12.4f}{beside}')
    for name, text in told.items():
        print(f'  {name:18}{text}')


def features_at_hand(
    asked: str | None, usual: str, image_shape: tuple[int, int, int], device: torch.device | str
) -> Features:
    r"""
    The features that were asked for; or else the usual ones, and the pixels where those are not
    here and cannot be had, which is said.
    """
    try:
        return load_features(asked or usual, image_shape, device)
    except (FileNotFoundError, ImportError) as error:
        if asked is not None:
            raise
        print(f'note: the features {usual} are not here ({first_line(error)}): pixels instead')
        return load_features('pixels', image_shape, device)


def measure(x: Floats, p: Floats | None, y: Floats) -> dict[str, float]:
    r"""
    All numbers from the features of samples `x` and images `y`, and the probabilities of samples.
    """
    numbers = {'frechet_distance': frechet_distance(x, y)}
    if p is not None:
        mean, std = inception_score(p, SPLITS)
        numbers |= {'inception_score': mean, 'inception_score_std': std}
    # As many of each: the more points, the smaller the balls around them
    as_many = y[list(spread_out(len(y), len(x)))]
    precision, recall = precision_recall(x, as_many, K)
    near = np.sqrt(np.concatenate(
        [squared(x[i : i + CHUNK], y).min(axis=1) for i in range(0, len(x), CHUNK)]
    ) / x.shape[1])  # fmt: skip
    return {
        **numbers, 'precision': precision, 'recall': recall,
        'nearest_median': float(np.median(near)), 'nearest_smallest': float(near.min()),
    }  # fmt: skip


def check_numbers(n: int, n_data: int, features: Features) -> None:
    r"""
    A `ValueError` unless there are enough samples and images for these features, before any of them
    is made.
    """
    for name, number, more in (
        ('samples', n, f'ask for more with --n {max(features.dimension, SPLITS) + 1}'),
        ('images in the data set', n_data, 'this data set is too small for them'),
    ):
        if number <= max(features.dimension, SPLITS):
            raise ValueError(
                f'{number:,} {name} are too few for the {features.dimension:,} features of '
                f'{features.name}: {more}, or take features of a lower dimension'
            )


# ## From images to features
def chunks(n: int) -> Iterator[range]:
    r"""
    `0 .. n-1` in parts.
    """
    return (range(at, min(at + CHUNK, n)) for at in range(0, n, CHUNK))


def spread_out(n: int, many: int) -> range:
    r"""
    `many` of the indices `0 .. n-1`, from all over.
    """
    step = max(1, n // many)
    return range(0, step * min(many, n), step)


def sample_features(
    sampler: Sampler, features: Features, n: int, seed: int
) -> tuple[Floats, Floats | None]:
    r"""
    Features and probabilities of `n` samples.

    Raises `ValueError` at the first part of the samples that holds NaN.
    """
    bar, done = Progress(n * sampler.reverse.n_steps, unit='image and step'), 0
    found = []
    for at in chunks(n):

        def tell(_: int, many: int = len(at)) -> None:
            nonlocal done
            done += many
            bar.update(done)

        images = sampler.sample(len(at), seed, first=at.start, tell=tell)
        found.append(features.compute(to_uint8(images)))
    bar.close()
    return joined(found)


def data_features(features: Features, dataset: AnySet) -> tuple[Floats, Floats | None]:
    r"""
    Features and probabilities of all images of a data set.
    """
    n = len(dataset)
    return joined([features.compute(to_uint8(data_images(dataset, at))) for at in chunks(n)])


def joined(parts: list[tuple[Any, Any]]) -> tuple[Floats, Floats | None]:
    r"""
    The parts as one set.
    """
    x, p = zip(*parts, strict=True)
    return np.concatenate(x), None if p[0] is None else np.concatenate(p)


# ## What is said beside the numbers
def time_needed(sampler: Sampler, features: Features, dataset: AnySet, n: int) -> str:
    r"""
    How long it will take, from one step of the chain and the features of a few images.
    """
    some = min(n, CHUNK)
    seconds = {'sampling': 0.0, 'features': 0.0}
    reverse = sampler.with_labels(0, some).reverse
    xt, noise = reverse.start((some, *sampler.image_shape))
    images = to_uint8(data_images(dataset, range(min(32, len(dataset)))))
    for _ in range(2):  # the first time is slower
        began = time.monotonic()
        next(reverse.chain(xt, noise))
        seconds['sampling'] = (time.monotonic() - began) * reverse.n_calls * n / some
        began = time.monotonic()
        features.compute(images)
        seconds['features'] = (time.monotonic() - began) * (n + len(dataset)) / len(images)
    return (
        f'about {clock(sum(seconds.values()))}: {n:,} samples of {reverse.n_calls} steps '
        f'{clock(seconds["sampling"])}, features of {n + len(dataset):,} images '
        f'{clock(seconds["features"])}'
    )


def protocol(
    sampler: Sampler, a: Any, state: dict[str, Any], c: Configs, dataset: AnySet,
    features: Features, n: int,
) -> dict[str, str]:  # fmt: skip
    r"""
    All that the numbers depend on.
    """
    reverse = sampler.reverse
    given = {name: getattr(a, name, None) for name in samplers.options()}
    options = ''.join(f', {k}={plain(v)}' for k, v in given.items() if v is not None)
    split = {'digits': 'all there are', 'folder': 'all in the folder'}.get(
        c.dataset, 'training split'
    )
    settings = {
        'samples': f'{n:,}, seed {a.seed}, rounded to 8 bits',
        'run': f'{checkpoint.find(a.run)}, step {state["step"]:,}',
        'weights': 'averaged (EMA)' if a.weights == 'ema' else 'raw, not averaged',
        'sampler': f'{a.sampler}, {reverse.n_calls} of {sampler.n_steps} steps{options}, '
        + ('x0 clipped' if sampler.clip_x0 else 'x0 not clipped'),
    }
    if sampler.labels is not None:
        shown = ' '.join('none' if label < 0 else str(label) for label in sampler.labels)
        settings['classes'] = f'{shown}, in turn; guidance w = {float(a.guidance or 0):g}'
    size = f'{c.image_size}×{c.image_size}×{c.image_channels}'
    return {
        **settings,
        'reference': f'{len(dataset):,} images of {c.dataset} ({split}), {size}',
        'features': features.about,
        'settings': f'precision and recall with k = {K}, of as many images as samples; inception '
        f'score in {SPLITS} parts',
        'versions': features.versions(),
    }


def remarks(n: int, features: Features) -> list[str]:
    r"""
    Why the numbers should not be set beside those of papers; nothing if they may.
    """
    notes = []
    if n < COMPARABLE:
        notes.append(f'{n:,} samples are fewer than {COMPARABLE:,}; papers have 50,000')
    if features.name != 'inception':
        notes.append(f'they are of the features {features.name}, papers have those of Inception')
    return notes


def save_json(path: Path, content: dict[str, Any]) -> Path:
    r"""
    Write `content`, all or not at all.
    """
    with written(path) as part:
        part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + '\n', encoding='utf-8')
    return path


COMMANDS = {
    'metrics': Command(
        'Fréchet distance, inception score, precision and recall',
        metrics_command, MetricsOptions, endings=('.json',),
    ),
}  # fmt: skip
