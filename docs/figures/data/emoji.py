"""Samples of a run of `folder16` with colour pictures, beside the pictures it was trained on.

    npm pack emoji-datasource-google@16.0.0
    tar xzf emoji-datasource-google-16.0.0.tgz
    python -m labml_nn.diffusion.ddpm.experiment --preset folder16 \\
        --data_root package/img/google/64 --out runs/mine
    python -m docs.figures.data.emoji runs/mine

Keeps the numbers of the section of the README. There are no pictures that the run has not seen, so
one half of the pictures beside the other is the measure of how good samples could be.
"""

import sys

from docs.figures.data.garments import ROWS
from docs.figures.data.store import keep, rounded
from labml_nn.data.datasets import Images
from labml_nn.data.pictures import to_uint8
from labml_nn.diffusion.ddpm.commands import run_dataset
from labml_nn.diffusion.ddpm.configs import make_configs
from labml_nn.diffusion.ddpm.metrics import data_features, measure
from labml_nn.diffusion.ddpm.sampler import Sampler
from labml_nn.evaluation.features import load_features
from labml_nn.runs import checkpoint


def main(run: str) -> None:
    emoji = run_dataset(make_configs(checkpoint.load(run)['config']), None)
    assert isinstance(emoji, Images)
    n = len(emoji) // 2
    one, other = (Images('half', emoji.images[i : 2 * n : 2]) for i in range(2))
    samples = Images('samples', to_uint8(Sampler.from_run(run).sample(n).cpu()))
    features = load_features('pixels', tuple(emoji.images.shape[1:]))
    y, _ = data_features(features, one)
    found = [measure(*data_features(features, x), y) for x in (samples, other)]
    rows = [[row, *rounded([f[key] for f in found], 3)] for row, key in ROWS.items()]
    print(*rows, sep='\n')
    keep('emoji', {
        'samples': n,
        'table': [['in pixels from -1 to 1', 'samples', 'the other half'], *rows],
    })  # fmt: skip


if __name__ == '__main__':
    main(*sys.argv[1:])
