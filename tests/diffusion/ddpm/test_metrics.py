"""`evaluate metrics` and `evaluate check` on real runs: the numbers, the protocol, the refusals."""

import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from labml_nn.data import datasets
from labml_nn.data.datasets import Files, Images, load_dataset
from labml_nn.diffusion.ddpm import check, evaluate, metrics
from labml_nn.diffusion.ddpm.commands import run_dataset
from labml_nn.diffusion.ddpm.configs import make_configs
from labml_nn.diffusion.ddpm.evaluate import Sampler
from labml_nn.evaluation.features import FEATURES, load_features
from labml_nn.evaluation.frechet import frechet_distance
from labml_nn.evaluation.precision_recall import precision_recall
from labml_nn.runs import checkpoint
from tests.kit.runs import called, opened

run = partial(called, evaluate.main)

# As few steps as there can be: the tests are of the numbers, not of the samples
FAST = ['--steps', 2, '--device', 'cpu']


def test_the_numbers_are_those_of_the_formulas(trained, tmp_path):
    status, printed, errors = run(
        'metrics', trained, '--n', 90, '--features', 'pixels', '--seed', 4, *FAST,
        '--out', tmp_path / 'm.json',
    )  # fmt: skip
    assert status == 0, errors
    content = json.loads((tmp_path / 'm.json').read_text())
    x = Sampler.from_run(trained, device='cpu', steps=2).sample(90, seed=4)
    x = ((x + 1) * 127.5).round().flatten(1).double().numpy() / 127.5 - 1
    data = load_dataset('digits', image_size=8, image_channels=1)
    y = np.round(data.images.flatten(1).double().numpy() / 16 * 255) / 127.5 - 1
    assert content['frechet_distance'] == pytest.approx(frechet_distance(x, y), rel=1e-4)
    assert 'inception_score' not in content  # pixels classify nothing
    assert 0 <= content['precision'] <= 1
    assert 0 <= content['recall'] <= 1
    assert re.search(rf'frechet distance +{content["frechet_distance"]:.4f}\n', printed)
    # The nearest of all images, and the balls around as many as there are samples
    d = np.sqrt(((x[:, None] - y[None]) ** 2).mean(axis=2)).min(axis=1)
    assert content['nearest_median'] == pytest.approx(np.median(d), rel=1e-6)
    assert content['nearest_smallest'] == pytest.approx(d.min(), rel=1e-6)
    assert content['precision'] == precision_recall(x, y[: 90 * (len(y) // 90) : len(y) // 90])[0]


def test_the_protocol_says_all_that_the_numbers_depend_on(trained):
    status, printed, errors = run(
        'metrics', trained, '--n', 60, '--sampler', 'ddim', '--eta', 1, *FAST
    )
    assert status == 0, errors
    lines = printed.splitlines()
    # How long it will take comes first
    assert re.match(r'about \d+:\d\d: 60 samples of 2 steps .*features of 1,857 images', lines[1])
    for expected in (
        'inception score',
        'samples           60, seed 0, rounded to 8 bits',
        f'run               {trained / "checkpoint.pt"}, step 6',
        'weights           averaged (EMA)',
        'sampler           ddim, 2 of 1000 steps, eta=1, x0 clipped',
        'reference         1,797 images of digits (all there are), 8×8×1',
        'features          a perceptron of 64 and 32 units, trained on the 1,797 real digits',
        f'torch {torch.__version__}, numpy {np.__version__}, sklearn',
        'not comparable with papers: 60 samples are fewer than 10,000',
        'not comparable with papers: they are of the features digits',
    ):
        assert expected in printed, printed
    content = json.loads((trained / 'metrics_digits_ema_seed0.json').read_text())
    assert content['protocol']['sampler'] == 'ddim, 2 of 1000 steps, eta=1, x0 clipped'
    assert len(content['not_comparable_with_papers']) == 2


def test_a_run_with_classes_draws_each_in_turn(conditional):
    status, printed, errors = run('metrics', conditional, '--n', 40, '--guidance', '1.5', *FAST)
    assert status == 0, errors
    assert 'classes           0 1 2 3 4 5 6 7 8 9, in turn; guidance w = 1.5' in printed


def test_the_same_twice(trained):
    found = []
    for _ in range(2):
        assert run('metrics', trained, '--n', 40, *FAST)[0] == 0
        found.append((trained / 'metrics_digits_ema_seed0.json').read_text())
    assert found[0] == found[1]


def test_the_floor_is_of_images_that_no_run_has_seen(trained, monkeypatch, tmp_path):
    data = load_dataset('digits', image_size=8, image_channels=1)
    unseen = Images('unseen', 16 - data.images[:300], levels=17)
    monkeypatch.setitem(datasets.HELD_OUT, 'digits', lambda *_: unseen)
    out = tmp_path / 'm.json'
    options = ['--n', 90, '--features', 'pixels', '--floor', '--out', out, *FAST]
    status, printed, errors = run('metrics', trained, *options)
    assert status == 0, errors
    floor = json.loads(out.read_text())['floor']

    def pixels(images):
        return np.round(images.flatten(1).double().numpy() / 16 * 255) / 127.5 - 1

    x = pixels(unseen.images[0:270:3])  # from all over the test set
    assert floor['frechet_distance'] == pytest.approx(frechet_distance(x, pixels(data.images)))
    assert 'floor             90 images of the test set' in printed
    assert re.search(rf'precision .* {floor["precision"]:.4f}\n', printed)


def test_what_may_be_compared_with_papers():
    class Inception:
        name = 'inception'

    class Pixels:
        name = 'pixels'

    assert metrics.remarks(10_000, Inception()) == []
    assert '9,999 samples are fewer than 10,000' in metrics.remarks(9_999, Inception())[0]
    assert 'features pixels' in metrics.remarks(50_000, Pixels())[0]


def test_pictures_that_stay_in_their_files_are_read_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics, 'CHUNK', 4)
    for i in range(10):
        Image.new('L', (8, 8), 20 * i).save(tmp_path / f'{i}.png')
    files = Files('folder', sorted(tmp_path.iterdir()), 8, 1)
    features = load_features('pixels', (1, 8, 8))
    x, _ = metrics.data_features(features, files)
    y, _ = metrics.data_features(features, files.in_memory())
    np.testing.assert_array_equal(x, y)
    assert len(x) == 10


def spoiled(run_folder, path):
    """The checkpoint of a run whose weights are not numbers any more."""
    state = checkpoint.load(run_folder)
    state.pop('format')
    state['ema'] = {k: torch.full_like(v, torch.nan) for k, v in state['ema'].items()}
    checkpoint.save(path, state)
    return path


@pytest.mark.parametrize('command', ['metrics', 'check'])
def test_images_that_are_no_numbers_are_refused(trained, tmp_path, command):
    path = spoiled(trained, tmp_path / 'nan.pt')
    status, printed, errors = run(command, path, '--n', 40, *FAST)
    assert status == 2
    assert 'the images hold NaN or infinity' in errors
    assert 'frechet' not in printed
    assert sorted(p.name for p in tmp_path.iterdir()) == ['nan.pt']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--n', 32], '32 samples are too few for the 32 features of digits: .* --n 33'),
        (['--n', 0], 'n_samples=0: ask for at least one'),
        (['--n', 64, '--features', 'pixels'], '64 samples are too few for the 64 features'),
        (['--features', 'vgg'], "features='vgg' is not known: use one of pixels, digits"),
        (['--n', 40, '--sampler', 'ddi'], 'did you mean ddim'),
        (['--n', 40, '--floor'], 'digits has no test set that a floor could be of'),
        (['--features', 'gone.safetensors'], 'gone.safetensors is not there: python -m'),
    ],
)
def test_what_cannot_be_measured_is_refused(trained, arguments, message):
    before = sorted(trained.iterdir())
    status, _, errors = run('metrics', trained, *arguments)
    assert status == 2
    assert re.search(message, errors), errors
    assert sorted(trained.iterdir()) == before


def test_a_data_set_too_small_for_the_features_is_refused_before_sampling():
    features = load_features('pixels', (3, 32, 32))
    with pytest.raises(ValueError, match='3,072 images in the data set are too few for the 3,072'):
        metrics.check_numbers(5000, 3072, features)
    metrics.check_numbers(3073, 3073, features)


# ## check


def test_check_of_a_run_that_has_learned_nothing(trained, tmp_path):
    status, printed, errors = run('check', trained, '--n', 32, *FAST, '--out', tmp_path / 'c.png')
    assert status == 0, errors
    assert re.search(r'loss, steps 501 to 750 .*← not learned', printed)
    assert Path(re.search(r': see (.*/labml_nn/diffusion/ddpm/troubles\.md)', printed)[1]).is_file()
    # 24 samples, each above its nearest image
    assert opened(tmp_path / 'c.png').size == (8 * 66 + 2, 6 * 66 + 2)


def test_check_shows_images_of_the_data_below_the_samples(conditional, tmp_path):
    status, printed, errors = run(
        'check', conditional, '--n', 4, '--label', 3, *FAST, '--out', tmp_path / 'c.png'
    )
    assert status == 0, errors
    picture = opened(tmp_path / 'c.png')
    assert picture.size == (4 * 66 + 2, 2 * 66 + 2)
    data = load_dataset('digits', image_size=8, image_channels=1)
    known = {((x + 1) * 127.5).round().to(torch.uint8).numpy().tobytes() for x, _ in data}
    for column in range(4):
        left = column * 66 + 2
        shown = picture.crop((left, 68, left + 64, 132)).resize((8, 8), Image.Resampling.NEAREST)
        assert shown.tobytes() in known


def test_check_numbers_broken_samples_and_shows_them_first(trained, tmp_path, monkeypatch):
    def of(name):
        status, printed, errors = run('check', trained, '--n', 8, *FAST, '--out', tmp_path / name)
        assert status == 0, errors
        picture = opened(tmp_path / name)
        return printed, [picture.crop((66 * i + 2, 2, 66 * i + 66, 132)) for i in range(8)]

    _, before = of('before.png')
    found = check.Finding('a share', 0.25, 0.001, 'single samples are broken'), [5, 2]
    monkeypatch.setattr(check, 'broken', lambda *_: found)
    printed, after = of('after.png')
    assert 'broken, the worst first, by number: 5 2\n' in printed
    order = [5, 2, 0, 1, 3, 4, 6, 7]
    assert [p.tobytes() for p in after] == [before[i].tobytes() for i in order]


def test_check_needs_a_few_samples(trained):
    status, _, errors = run('check', trained, '--n', 3, *FAST)
    assert status == 2
    assert '3 samples and 1797 images: need at least 4 of each' in errors


@pytest.mark.parametrize('error', [FileNotFoundError('no network'), ImportError('no fidelity')])
def test_features_that_cannot_be_had_give_way_to_pixels(monkeypatch, capsys, error):
    """Unless they were asked for by name."""

    def refuse(*_):
        raise error

    monkeypatch.setitem(FEATURES, 'inception', refuse)
    found = metrics.features_at_hand(None, 'inception', (1, 8, 8), 'cpu')
    assert (found.name, found.dimension) == ('pixels', 64)
    assert f'({error}): pixels instead' in capsys.readouterr().out
    with pytest.raises(type(error), match=str(error)):
        metrics.features_at_hand('inception', 'digits', (1, 8, 8), 'cpu')


def test_folders_are_classes_for_the_commands_too(tmp_path):
    for name in ('cats', 'dogs'):
        (tmp_path / name).mkdir()
        Image.new('RGB', (8, 8)).save(tmp_path / name / 'a.png')
    c = make_configs(dict(dataset='folder', data_root=str(tmp_path), n_classes=2))
    assert list(run_dataset(c, None).classes) == ['cats', 'dogs']
    assert run_dataset(c, None).labels.tolist() == [0, 1]
