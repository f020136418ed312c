r"""
---
title: A classifier to measure by
summary: >
  A small convolutional network, trained on the labelled images of a data set, whose features
  compare samples with them.
---

# A classifier to measure by

    python -m labml_nn.evaluation.classifier --dataset fashion_mnist
    python -m labml_nn.diffusion.ddpm.evaluate metrics runs/fashion \
        --features fashion_mnist.classifier.safetensors

Pixels compare images badly: a garment that is shifted by one pixel is far from itself. The network
behind FID was trained on photographs, and is 95 MB to download. A small network that was trained to
tell the classes of *this* data set apart looks at what matters in it, and trains in a minute or
two. The command trains it, prints the share of unseen images that it classifies correctly, and
writes all this with its weights into one file. The command `metrics` takes it as `--features`.

* The images that it is tried on are the test set, where the data set has one. Elsewhere a tenth of
  the images is kept from training.
* For pictures of your own, each folder in `--data_root` is a class.
* The file is in [a format that holds no code](../runs/safetensors.html). Its header names the
  architecture, the data and the accuracy; weights that do not fit it are refused
  [tested](test:evaluation/test_classifier.py::test_a_file_that_is_none_is_refused).

> **Numbers of two such files cannot be compared**, as little as numbers of other features: train
> one, and measure all runs by it. `metrics --floor` says beside each number what as many real
> images of the test set have.

What it says of a run of garments: 1,000 samples of `fashion_conditional` after 2,000 steps, beside
as many images of the test set.

| in the features of the classifier | samples | test images |
|---|---|---|
| Fréchet distance | 42.8 | 1.3 |
| precision | 0.804 | 0.867 |
| recall | 0.733 | 0.859 |
| nearest training image, median | 0.591 | 0.454 |
| nearest training image, smallest | 0.209 | 0.065 |
<!-- measured: docs/figures/data/garments.json#/classifier -->

The classifier is right about 90.8 % of the test set.
<!-- measured: docs/figures/data/garments.json#/accuracy -->

In pixels the Fréchet distance of these samples is 5 times that of test images, in the features 33
times.

| in pixels from -1 to 1 | samples | test images |
|---|---|---|
| Fréchet distance | 43.3 | 8.5 |
| precision | 0.632 | 0.796 |
| recall | 0.646 | 0.775 |
| nearest training image, median | 0.305 | 0.246 |
| nearest training image, smallest | 0.120 | 0.027 |
<!-- measured: docs/figures/data/garments.json#/pixels -->
"""

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from labml_nn.cli.declared import declarations
from labml_nn.cli.messages import shown
from labml_nn.cli.options import AtLeast, AtMost, Parser, add_options, check_said
from labml_nn.cli.output import command, refused
from labml_nn.cli.progress import Progress, clock
from labml_nn.data.datasets import (
    AnySet,
    Images,
    batches,
    check_classes,
    data_images,
    held_out,
    load_dataset,
)
from labml_nn.runs.checkpoint import fitting_weights
from labml_nn.runs.safetensors import load_with_header, save_file

# What the header of a file says it is, and the numbers that an architecture has
KIND = 'labml_nn.evaluation.classifier 1'
SHAPE = ('image_channels', 'image_size', 'n_classes', 'n_features')

# Where there is no test set, one image of so many is kept from training
KEPT = 10


class Classifier(nn.Module):
    r"""
    ## The network

    * `image_channels`, `image_size` of the images
    * `n_classes` that it tells apart
    * `n_features` by which it does, and by which images are compared

    At least two convolutions of 3 × 3, each followed by a maximum over 2 × 2 pixels, until at most
    eight pixels a side are left; then two linear layers. With 28 × 28 pixels and ten classes it has
    105,866 weights.
    """

    def __init__(self, image_channels: int, image_size: int, n_classes: int, n_features: int = 64):
        super().__init__()
        n_halvings = max(2, math.ceil(math.log2(image_size / 8)))
        if image_size < 2**n_halvings:
            raise ValueError(f'image_size={image_size}: a classifier needs 4 pixels a side')
        layers: list[nn.Module] = []
        width = image_channels
        for i in range(n_halvings):
            layers += [nn.Conv2d(width, 16 * 2**i, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
            width = 16 * 2**i
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        self.hidden = nn.Linear(width * (image_size >> n_halvings) ** 2, n_features)
        self.classes = nn.Linear(n_features, n_classes)

    def features(self, x: Tensor) -> Tensor:
        r"""
        The features of images in $[-1, 1]$, `[batch, n_features]`, none of them negative.
        """
        return self.hidden(self.convolutions(x)).relu()

    def forward(self, x: Tensor) -> Tensor:
        r"""
        The logits of the classes, `[batch, n_classes]`.
        """
        return self.classes(self.features(x))


def train(model: Classifier, dataset: AnySet, steps: int, seed: int, batch: int = 128) -> None:
    r"""
    ## Train it

    Adam, with a rate that grows for a tenth of the steps and falls to zero over the others.
    """
    optimizer = torch.optim.Adam(model.parameters())
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 4e-3, total_steps=max(steps, 2), pct_start=0.1, cycle_momentum=False
    )
    bar = Progress(steps)
    for step, (x, label) in enumerate(batches(dataset, batch, seed=seed), 1):
        if step > steps:
            break
        optimizer.zero_grad()
        loss = cross_entropy(model(x), label)
        loss.backward()
        optimizer.step()
        rate.step()
        bar.update(step, f'loss {loss.item():.3f}')
    bar.close()


@torch.no_grad()
def accuracy(model: Classifier, dataset: AnySet, batch: int = 512) -> float:
    r"""
    The share of images whose class is the one that the model finds most likely.
    """
    right = 0
    for first in range(0, len(dataset), batch):
        at = range(first, min(first + batch, len(dataset)))
        label = torch.tensor([int(dataset.labels[i]) for i in at])  # type: ignore[index]
        right += int((model(data_images(dataset, at)).argmax(dim=1) == label).sum())
    return right / len(dataset)


def part_of(dataset: AnySet, at: Tensor) -> AnySet:
    r"""
    The images of a data set at these indices, with their labels.
    """
    assert dataset.labels is not None
    if isinstance(dataset, Images):
        return Images(dataset.name, dataset.images[at], dataset.labels[at], dataset.levels)
    paths = [dataset.paths[i] for i in at.tolist()]
    return replace(dataset, paths=paths, labels=dataset.labels[at])


# ## The file
def save(path: Path, model: Classifier, about: dict[str, Any]) -> Path:
    r"""
    Write a classifier and what is to be known `about` it, all or not at all.
    """
    save_file(path, model.state_dict(), {'kind': KIND, **{k: str(v) for k, v in about.items()}})
    return path


def load(path: str | Path) -> tuple[Classifier, dict[str, str]]:
    r"""
    A classifier, and what its file says about it.

    Raises `ValueError` for a file that is damaged, holds something else, or whose weights do not
    fit what it says; nothing is allocated before that is known.
    """
    weights, about = load_with_header(path)
    if about.get('kind') != KIND:
        raise ValueError(
            f'{path} holds no classifier: python -m labml_nn.evaluation.classifier writes such a '
            f'file'
        )
    numbers = {name: number_in(about, name, path) for name in SHAPE}
    with torch.device('meta'):
        model = Classifier(**numbers)
    model.load_state_dict(fitting_weights(model, weights, path), assign=True)
    if not all(bool(w.isfinite().all()) for w in weights.values()):
        raise ValueError(f'{path} has weights that are NaN or infinite: train the classifier anew')
    return model.eval(), about


def number_in(about: dict[str, str], name: str, path: str | Path) -> int:
    r"""
    A number of the architecture, as the header of the file has it.
    """
    text = about.get(name, '')
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and int(text) > 0):
        raise ValueError(f'{path} says {name}={shown(text)}: need a whole number')
    return int(text)


# ## Command line
class ClassifierOptions:
    r"""
    What the command can be told.
    """

    dataset: Annotated[str, 'digits, mnist, fashion_mnist, cifar10 or folder'] = 'fashion_mnist'
    data_root: Annotated[str, 'where archives are or go; for folder, the folder of the classes'] = (
        'data'
    )
    image_size: Annotated[int, 'side of the images, in pixels', AtLeast(4), AtMost(1024)] = 28
    image_channels: Annotated[int, '1 for grey, 3 for colour'] = 1
    n_features: Annotated[int, 'by which images are compared', AtLeast(1), AtMost(4096)] = 64
    steps: Annotated[int, 'of 128 images', AtLeast(1)] = 2000
    seed: Annotated[int, 'of weights and order', AtLeast(0)] = 0
    out: Annotated[Path | None, 'the file to write (DATASET.classifier.safetensors)'] = None


def parser() -> Parser:
    r"""
    The options of the command line.
    """
    p = Parser(
        prog='python -m labml_nn.evaluation.classifier',
        description='Train a classifier whose features samples are measured by.',
    )
    add_options(p, ClassifierOptions)
    return p


def data_of(a: Any) -> tuple[AnySet, AnySet, int, str]:
    r"""
    The images to train on, those to try it on, the number of classes, and what the latter are.

    Raises `ValueError` for images without labels.
    """
    where = (a.dataset, a.data_root, a.image_size, a.image_channels)
    dataset = load_dataset(*where, by_class=True)
    labels = dataset.labels
    n_classes = 0 if labels is None else int(labels.max()) + 1
    check_classes(dataset, max(n_classes, len(dataset.classes)))
    unseen = held_out(*where)
    if unseen is not None:
        return dataset, unseen, n_classes, f'{len(unseen):,} images of the test set'
    if len(dataset) < KEPT:
        raise ValueError(f'{len(dataset)} images are too few: one of {KEPT} is kept from training')
    # In any order: data sets come sorted by class, or with the classes in turn
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))
    kept, others = order.tensor_split([len(dataset) // KEPT])
    what = f'{len(kept):,} images kept from training'
    return part_of(dataset, others), part_of(dataset, kept), n_classes, what


def trained(a: Any) -> Path:
    r"""
    Train a classifier as the command line says; returns its file.
    """
    for name, (_, *said) in declarations(ClassifierOptions).items():
        if getattr(a, name) is not None:
            check_said(name, getattr(a, name), said)
    out = a.out or Path(f'{a.dataset}.classifier.safetensors')
    if out.suffix != '.safetensors' or out.is_dir():
        raise ValueError(f'--out {out}: name a file that ends in .safetensors')
    dataset, unseen, n_classes, what = data_of(a)
    print(f'{len(dataset):,} images of {a.dataset} in {n_classes} classes, {a.steps:,} steps')
    torch.manual_seed(a.seed)
    shape = (a.image_channels, a.image_size, n_classes, a.n_features)
    model = Classifier(*shape)
    began, spent = time.monotonic(), time.process_time()
    train(model, dataset, a.steps, a.seed)
    taken = f'{clock(time.monotonic() - began)}, {time.process_time() - spent:.0f} s of processors'
    right = accuracy(model.eval(), unseen)
    print(f'right about {right:.1%} of {what}; {taken}')
    about = {
        **dict(zip(SHAPE, shape, strict=True)),
        'dataset': a.dataset, 'images': len(dataset), 'steps': a.steps, 'seed': a.seed,
        'accuracy': f'{right:.4f}', 'of': what,
    }  # fmt: skip
    return save(out, model, about)


@command
def main(argv: Sequence[str] | None = None) -> int:
    r"""
    The command. Exit status: 0 done, 2 bad input.
    """
    a = parser().parse(sys.argv[1:] if argv is None else argv)
    try:
        print(trained(a))
    except (ValueError, OSError, ImportError) as error:
        return refused(error)
    return 0


if __name__ == '__main__':
    sys.exit(main())
