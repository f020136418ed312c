"""Samples of a run of garments beside images of the test set, in pixels and by a classifier.

    python -m labml_nn.evaluation.classifier --dataset fashion_mnist
    python -m labml_nn.diffusion.ddpm.evaluate sample runs/fashion_conditional --n 1000 \\
        --label 0 1 2 3 4 5 6 7 8 9 --sampler ddpm --steps 50 --precision bf16 \\
        --separate --out garments
    python -m docs.figures.data.garments garments fashion_mnist.classifier.safetensors

and the same of a run without classes, with its log:

    python -m docs.figures.data.garments plain fashion_mnist.classifier.safetensors runs/fashion

and of more runs without classes, which differ in their seed alone:

    python -m docs.figures.data.garments --seeds fashion_mnist.classifier.safetensors plain plain1 …

Keeps the numbers of the tables in the README and on the page of the classifier. They are those of
the command `metrics`, for samples that are in files already; of a run without classes also the
share that the classifier is sure about, and the loss as training went on.
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from docs.figures.data.store import keep, rounded
from labml_nn.data.datasets import Images, data_images, held_out, load_dataset
from labml_nn.diffusion.ddpm.metrics import data_features, measure, spread_out
from labml_nn.evaluation import classifier
from labml_nn.evaluation.features import load_features

WHERE = ('fashion_mnist', 'data', 28, 1)
# The classifier is sure of a class that it gives this probability
SURE = 0.9
ROWS = {
    'Fréchet distance': 'frechet_distance',
    'precision': 'precision',
    'recall': 'recall',
    'nearest training image, median': 'nearest_median',
    'nearest training image, smallest': 'nearest_smallest',
}


def pictures(folder: str) -> Images:
    """Grey pictures in a folder, in the order of their names."""
    found = []
    for path in sorted(Path(folder).glob('*.png')):
        with Image.open(path) as picture:
            found.append(torch.from_numpy(np.array(picture.convert('L')))[None])
    return Images(folder, torch.stack(found))


def sure(images: Images, model: classifier.Classifier) -> tuple[float, list[float]]:
    """The share of images whose class the classifier is sure about, and that of each class."""
    with torch.no_grad():
        p = model(data_images(images, range(len(images)))).softmax(dim=1)
    counts = torch.bincount(p.argmax(dim=1), minlength=p.shape[1])
    return float((p.amax(dim=1) >= SURE).double().mean()), (counts / len(images)).tolist()


def losses(run: str) -> dict[str, list[float]]:
    """The loss in all and by quarter of the steps, from the log of a run."""
    names = ('step', 'loss', *(f'loss_band{i}' for i in range(1, 5)))
    with Path(run, 'log.csv').open() as file:
        rows = list(csv.DictReader(file))[::2]
    return {name: rounded([float(row[name]) for row in rows], 4) for name in names}


def measured(file: str, images: list[Images]) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """By pixels and by the classifier: which, in words, and the numbers of each set of images."""
    data = load_dataset(*WHERE)
    names = {'pixels': 'in pixels from -1 to 1', file: 'in the features of the classifier'}
    for name, head in names.items():
        features = load_features(name, (1, 28, 28))
        y, _ = data_features(features, data)
        print(features.about)
        yield features.name, head, [measure(*data_features(features, x), y) for x in images]


def beside(n: int) -> Images:
    """So many images of the test set."""
    unseen = held_out(*WHERE)
    assert unseen is not None
    return Images('test', unseen.images[list(spread_out(len(unseen), n))])


def seeds(file: str, folders: list[str]) -> None:
    """The distance, precision and recall of the samples of several runs."""
    samples = [pictures(folder) for folder in folders]
    test, (model, _) = beside(len(samples[0])), classifier.load(file)
    columns = [*(f'seed {i}' for i in range(len(samples))), 'test images']
    lines: list[list[Any]] = [['', *columns]]
    for name, _, found in measured(file, [*samples, test]):
        for row, key in list(ROWS.items())[:3]:
            lines.append([f'{row}, {name}', *rounded([f[key] for f in found], 4)])
    shares = [round(100 * sure(x, model)[0], 1) for x in [*samples, test]]
    lines.append(['of which it is sure, %', *shares])
    print(*lines, sep='\n')
    keep('garments', {'seeds': lines})


def main(folder: str, file: str, *runs: str) -> None:
    if folder == '--seeds':
        seeds(file, list(runs))
        return
    samples = pictures(folder)
    test = beside(len(samples))
    kept: dict[str, Any] = {'samples': len(samples)}
    model, about = classifier.load(file)
    for name, head, found in measured(file, [samples, test]):
        rows = [[row, *rounded([f[key] for f in found], 4)] for row, key in ROWS.items()]
        kept[name] = [[head, 'samples', 'test images'], *rows]
        print(*rows, sep='\n')
    kept['accuracy'] = round(100 * float(about['accuracy']), 1)
    if runs:
        found_sure = [sure(x, model) for x in (samples, test)]
        kept['sure'] = [round(100 * share, 1) for share, _ in found_sure]
        kept['classes'] = [rounded([100 * s for s in shares], 3) for _, shares in found_sure]
        print(kept['sure'], kept['classes'])
        kept = {f'plain_{name}': v for name, v in {**kept, 'loss': losses(runs[0])}.items()}
    keep('garments', kept)


if __name__ == '__main__':
    main(*sys.argv[1:])
