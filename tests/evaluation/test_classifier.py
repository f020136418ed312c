"""A classifier to measure by: what it learns, what its file says, and files that are none."""

import re
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from labml_nn.data.datasets import load_dataset
from labml_nn.evaluation import classifier
from labml_nn.evaluation.classifier import Classifier
from labml_nn.evaluation.features import load_features
from labml_nn.runs.safetensors import save_file
from tests.kit.close import agree
from tests.kit.runs import called, equal

run = partial(called, classifier.main)
DIGITS = ['--dataset', 'digits', '--image_size', 8]


@pytest.fixture(scope='module')
def file(tmp_path_factory):
    """A classifier of the digits, and what the command said."""
    out = tmp_path_factory.mktemp('classifier') / 'digits.safetensors'
    status, printed, errors = run(*DIGITS, '--steps', 150, '--out', out)
    assert status == 0, errors
    return out, printed


def test_it_tells_digits_apart_that_it_has_not_seen(file):
    out, printed = file
    right, n = re.search(r'right about (\S+)% of (\d+) images kept from training', printed).groups()
    assert n == '179'
    assert float(right) > 93
    model, about = classifier.load(out)
    assert f'{float(about["accuracy"]):.1%}' == f'{right}%'
    assert (about['dataset'], about['images'], about['n_classes']) == ('digits', '1618', '10')
    data = load_dataset('digits', image_size=8, image_channels=1)
    assert classifier.accuracy(model, data) > 0.93


def test_the_same_seed_gives_the_same_weights(tmp_path):
    files = [tmp_path / f'{i}.safetensors' for i in range(3)]
    for i, out in enumerate(files):
        assert run(*DIGITS, '--steps', 3, '--seed', i // 2, '--out', out)[0] == 0
    first, second, other = (classifier.load_with_header(path)[0] for path in files)
    assert equal(first, second)
    assert not equal(first, other)


def test_features_are_what_it_decides_by(file):
    """By hand: convolutions, rectified, maxima of four, a layer; and the layer behind gives p."""
    out, _ = file
    model, _ = classifier.load(out)
    features = load_features(str(out), (1, 8, 8))
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    h, p = features.compute(images)
    w = model.state_dict()
    x = images.float() / 127.5 - 1
    for i in (0, 3):
        weight, bias = w[f'convolutions.{i}.weight'], w[f'convolutions.{i}.bias']
        x = torch.nn.functional.conv2d(x, weight, bias, padding=1).clamp(min=0)
        n, c, height, width = x.shape
        x = x.view(n, c, height // 2, 2, width // 2, 2).amax(dim=(3, 5))
    x = (x.flatten(1) @ w['hidden.weight'].T + w['hidden.bias']).clamp(min=0)
    agree(h, x, atol=1e-4, what='features')
    logits = x @ w['classes.weight'].T + w['classes.bias']
    agree(p, logits.softmax(dim=1), atol=1e-5, what='probabilities')
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert features.dimension == h.shape[1] == 64
    assert 'a classifier of digits, right about 9' in features.about


def test_it_has_the_weights_that_its_page_says():
    assert sum(p.numel() for p in Classifier(1, 28, 10).parameters()) == 105_866
    assert Classifier(3, 100, 2, 5)(torch.zeros(2, 3, 100, 100)).shape == (2, 2)


def test_folders_are_classes(tmp_path):
    for i, name in enumerate(('cat', 'dog')):
        (tmp_path / 'all' / name).mkdir(parents=True)
        for j in range(20):
            Image.new('RGB', (8, 8), (200 * i, j, 0)).save(tmp_path / 'all' / name / f'{j}.png')
    out = tmp_path / 'c.safetensors'
    options = ['--dataset', 'folder', '--data_root', tmp_path / 'all', '--image_size', 8]
    status, printed, errors = run(*options, '--image_channels', 3, '--steps', 30, '--out', out)
    assert status == 0, errors
    assert '36 images of folder in 2 classes' in printed
    assert 'right about 100.0% of 4 images kept from training' in printed


def rewritten(out, path, change):
    """The file with something changed: its weights, or what it says about them."""
    weights, about = classifier.load_with_header(out)
    change(weights, about)
    about.pop('format', None)
    save_file(path, weights, about)
    return path


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda w, a: a.pop('kind'), 'holds no classifier: python -m'),
        (lambda w, a: a.update(n_features='1e9'), "says n_features='1e9': need a whole number"),
        (lambda w, a: a.update(n_features='999999'), 'n_features=.999999.: need a whole number'),
        (lambda w, a: a.pop('image_size'), "says image_size='': need a whole number"),
        (lambda w, a: a.update(image_size='2'), 'image_size=2: a classifier needs 4 pixels'),
        (lambda w, a: a.update(n_features='99999'), 'hidden.weight .64, 128., need .99999, 128'),
        (lambda w, a: w.pop('classes.bias'), '1 missing: classes.bias'),
        (lambda w, a: w['classes.bias'].fill_(torch.nan), 'weights that are NaN or infinite'),
    ],
)
def test_a_file_that_is_none_is_refused(file, tmp_path, change, message):
    path = rewritten(file[0], tmp_path / 'changed.safetensors', change)
    with pytest.raises(ValueError, match=message):
        load_features(str(path), (1, 8, 8))


def test_images_that_it_is_not_for_are_refused(file, tmp_path):
    with pytest.raises(ValueError, match=r'is for images of \[1, 8, 8\], these are \[3, 16, 16\]'):
        load_features(str(file[0]), (3, 16, 16))
    (tmp_path / 'text.txt').write_text('no tensors')
    with pytest.raises(ValueError, match='is damaged or no safetensors file'):
        load_features(str(tmp_path / 'text.txt'), (1, 8, 8))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--dataset', 'digit'], "dataset='digit' is not known"),
        (['--out', 'x.pt'], 'name a file that ends in .safetensors'),
        (['--steps', '0'], 'steps=0'),
        (['--image_size', '2'], 'image_size=2'),
        (['--step', '5'], 'did you mean steps'),
    ],
)
def test_mistakes_are_said_at_the_door(options, message):
    status, _, errors = run(*DIGITS, *options)
    assert status == 2
    assert message in errors


def test_pictures_without_classes_are_refused(tmp_path):
    for i in range(12):
        Image.new('L', (8, 8), i).save(tmp_path / f'{i}.png')
    status, _, errors = run('--dataset', 'folder', '--data_root', tmp_path, '--image_size', 8)
    assert status == 2
    assert 'is in no class' in errors
