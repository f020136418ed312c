r"""
---
title: Features
summary: What images are compared by, their pixels, a small classifier, or Inception.
---

# Features

A set of features is a function from images, uint8 `[n, channels, height, width]`, to the numbers by
which they are compared, and to a classifier's probabilities, if it is one.

| name | dimension | what it is | for |
|---|---|---|---|
| `pixels` | channels × height × width | the pixels themselves, in [-1, 1] | small images |
| `digits` | 32 | a perceptron, trained on the spot on the real digits | the 8 × 8 digits |
| a file | 64 | [a classifier](classifier.html), trained by a command | sets with labels |
| `inception` | 2,048 | the network that FID and inception score are defined with | all others |
<!-- no-source: sizes of the features, which the code checks -->

Only the last gives numbers that can be compared with papers. Its weights are a file of 95 MB that
[torch-fidelity](https://github.com/toshas/torch-fidelity) publishes, converted from the original;
it is downloaded once, and its checksum verified before it is opened.
"""

import hashlib
import importlib
import platform
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labml_nn.data.datasets import to_unit_range
from labml_nn.data.vision import vision
from labml_nn.evaluation import classifier

Array = NDArray[Any]

# The weights of the Inception network of 2015 that FID is defined with; the name ends in the
# beginning of the file's SHA-256
INCEPTION_FILE = 'weights-inception-2015-12-05-6726825d.pth'
INCEPTION_URL = (
    f'https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{INCEPTION_FILE}'
)
INCEPTION_SHA256 = '6726825d'


@dataclass
class Features:
    r"""
    ## A set of features

    * `name` `pixels`, `digits`, `inception`, or `classifier` for one from a file
    * `dimension` of the features
    * `compute` images, uint8 `[n, channels, height, width]`, to features `[n, dimension]` and
      probabilities `[n, classes]`, or `None`
    * `about` where they come from, for the record
    * `packages` what they are computed with
    """

    name: str
    dimension: int
    compute: Callable[[Tensor], tuple[Array, Array | None]]
    about: str
    packages: list[str] = field(default_factory=list)

    def versions(self) -> str:
        r"""
        Python's version and those of the packages that have a part in the numbers.
        """
        names = ['torch', 'numpy', *self.packages]
        found = (f'{n} {importlib.import_module(n).__version__}' for n in names)
        return ', '.join([f'python {platform.python_version()}', *found])


def load_features(
    name: str, image_shape: tuple[int, int, int], device: torch.device | str = 'cpu'
) -> Features:
    r"""
    The features of that name, or of the classifier in the file of that name, ready to use.

    Raises `ValueError` for a name that is not known or images that they are not for,
    `FileNotFoundError` for weights that are not there, and `ImportError` without torch-fidelity.
    """
    if name in FEATURES:
        return FEATURES[name](image_shape, device)
    if Path(name).is_file():
        return from_file(Path(name), image_shape, device)
    if name.endswith('.safetensors'):
        raise FileNotFoundError(
            f'{Path(name).absolute()} is not there: python -m labml_nn.evaluation.classifier '
            f'makes such a file'
        )
    raise ValueError(
        f'features={name!r} is not known: use one of {", ".join(FEATURES)}, or the file of a '
        f'classifier'
    )


def pixels(image_shape: tuple[int, int, int], _: torch.device | str) -> Features:
    r"""
    ## Pixels
    """

    def compute(images: Tensor) -> tuple[Array, None]:
        return images.flatten(1).double().numpy() / 127.5 - 1, None

    return Features('pixels', int(np.prod(image_shape)), compute, 'pixels in [-1, 1]')


def digits(image_shape: tuple[int, int, int], _: torch.device | str) -> Features:
    r"""
    ## A classifier of digits

    A perceptron with layers of 64 and 32 units; the 32 are the features. Trained anew each time,
    from the same start and without chance, so its numbers are the same each time.
    """
    from sklearn.datasets import load_digits

    if image_shape != (1, 8, 8):
        raise ValueError(
            f'the features digits are for grey images of 8 × 8, these are {list(image_shape)}: '
            f'use pixels or inception'
        )
    data = load_digits()
    x, y = data.data / 16, data.target
    unseen = perceptron(x[::2], y[::2]).score(x[1::2], y[1::2])
    net = perceptron(x, y)

    def compute(images: Tensor) -> tuple[Array, Array]:
        x = images.flatten(1).double().numpy() / 255
        h = x
        for weight, bias in zip(net.coefs_[:-1], net.intercepts_[:-1], strict=True):
            h = np.maximum(h @ weight + bias, 0)
        return h, net.predict_proba(x)

    about = (
        f'a perceptron of 64 and 32 units, trained on the {len(x):,} real digits (on half of them, '
        f'it is right about {unseen:.1%} of the others)'
    )
    return Features('digits', 32, compute, about, ['sklearn'])


def perceptron(x: Array, y: Array) -> Any:
    r"""
    Trained by L-BFGS on all images at once: no order, no batches, no chance but the start's.
    """
    from sklearn.neural_network import MLPClassifier

    net = MLPClassifier((64, 32), solver='lbfgs', alpha=0.1, max_iter=100, random_state=0)
    with warnings.catch_warnings():
        # That 100 steps are not enough to converge: they are enough to tell digits apart
        warnings.simplefilter('ignore')
        return net.fit(x, y)


def from_file(
    path: Path, image_shape: tuple[int, int, int], device: torch.device | str
) -> Features:
    r"""
    ## A classifier from a file
    """
    model, about = classifier.load(path)
    need = (int(about['image_channels']), *2 * [int(about['image_size'])])
    if tuple(image_shape) != need:
        raise ValueError(
            f'{path} is for images of {list(need)}, these are {list(image_shape)}: train another '
            f'with python -m labml_nn.evaluation.classifier --image_size {image_shape[1]} '
            f'--image_channels {image_shape[0]}'
        )
    model.to(device)

    @torch.no_grad()
    def compute(images: Tensor) -> tuple[Array, Array]:
        found = [model.features(to_unit_range(part.to(device))) for part in images.split(512)]
        h = torch.cat(found)
        return h.double().cpu().numpy(), model.classes(h).double().softmax(1).cpu().numpy()

    text = (
        f'layer of {about["n_features"]} of {path.name} (sha256 {sha256(path)[:8]}…), a classifier '
        f'of {about.get("dataset")}, right about {float(about.get("accuracy", "nan")):.1%} of '
        f'{about.get("of")}'
    )
    return Features('classifier', int(about['n_features']), compute, text)


# ## Inception
def inception(image_shape: tuple[int, int, int], device: torch.device | str) -> Features:
    r"""
    The Inception network of 2015, by torch-fidelity, with the original's way of resizing.
    """
    vision()  # torch-fidelity imports torchvision, which may need its operators declared
    try:
        fidelity = importlib.import_module('torch_fidelity')
    except ImportError as error:
        raise ImportError(
            f"the features inception need torch-fidelity ({error}): pip install 'labml-nn[metrics]'"
        ) from error
    path = inception_weights()
    net = fidelity.FeatureExtractorInceptionV3(
        'inception-v3-compat', ['2048', 'logits_unbiased'], feature_extractor_weights_path=str(path)
    ).to(device)

    @torch.no_grad()
    def compute(images: Tensor) -> tuple[Array, Array]:
        # Grey images as colour ones with equal channels
        colour = images.expand(-1, 3, -1, -1).to(device)
        found = [net(part) for part in colour.split(64)]
        features, logits = (torch.cat(parts).double().cpu() for parts in zip(*found, strict=True))
        return features.numpy(), logits.softmax(dim=1).numpy()

    about = f'Inception v3, layer 2048, of {path.name} (sha256 {sha256(path)[:8]}…)'
    return Features('inception', 2048, compute, about, ['torch_fidelity', 'torchvision'])


def inception_weights() -> Path:
    r"""
    The file of weights, where torch keeps such files; downloaded if it is not there.

    Raises `FileNotFoundError` when it cannot be had, and says what to put where, and `ValueError`
    for a file of this name that is another one: torch-fidelity would open it whatever it holds.
    """
    path = Path(torch.hub.get_dir(), 'checkpoints', INCEPTION_FILE)
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(INCEPTION_URL, str(path), INCEPTION_SHA256)
        except Exception as error:  # no network, no permission, a page instead of the file …
            raise FileNotFoundError(
                f'the weights of the Inception network are not in {path.parent} and could not be '
                f'downloaded ({error}). Get this file elsewhere and put it there:\n'
                f'  {INCEPTION_FILE}\n'
                f'  from   {INCEPTION_URL}\n'
                f'  sha256 {INCEPTION_SHA256}…\n'
                f'or use --features pixels'
            ) from error
    found = sha256(path)
    if not found.startswith(INCEPTION_SHA256):
        raise ValueError(
            f'{path} is damaged or not complete: sha256 {found[:8]}…, need {INCEPTION_SHA256}… '
            f'({path.stat().st_size:,} bytes). Remove it to download it again'
        )
    return path


def sha256(path: Path) -> str:
    r"""
    The checksum of a file.
    """
    with path.open('rb') as file:
        digest = hashlib.sha256()
        for block in iter(lambda: file.read(2**20), b''):
            digest.update(block)
        return digest.hexdigest()


FEATURES: dict[str, Callable[[tuple[int, int, int], torch.device | str], Features]] = {
    'pixels': pixels,
    'digits': digits,
    'inception': inception,
}
