"""`evaluate likelihood`, `progressive` and `shared` on a real run."""

import contextlib
import csv
import io
import math
import re
from functools import partial

import pytest
import torch
from PIL import Image

from labml_nn.data.datasets import data_images, load_dataset
from labml_nn.diffusion.ddpm.coding import bands, bound_of, chosen, mean_and_error, table
from labml_nn.diffusion.ddpm.evaluate import Sampler, main
from labml_nn.diffusion.ddpm.experiment import main as train
from labml_nn.diffusion.ddpm.likelihood import bound
from labml_nn.diffusion.ddpm.utils import SeededNoise
from labml_nn.diffusion.sde import VPSDE, Hutchinson, latent_bits
from tests.kit.runs import called

run = partial(called, main)


@pytest.fixture(scope='module', params=['beta', 'learned'])
def trained(request, tmp_path_factory):
    """The folder of a run of a few steps, short in both ways."""
    out = tmp_path_factory.mktemp('runs') / request.param
    options = ['--preset', 'tests', '--n_previews', '0', '--n_samples', '0', '--steps', '6']
    options += ['--n_steps', '40', '--schedule', 'cosine', '--variance', request.param]
    with contextlib.redirect_stdout(io.StringIO()):
        assert train([*options, '--out', str(out)]) == 0
    return out


def rows(path):
    with path.open(encoding='utf-8') as file:
        return list(csv.DictReader(file))


def test_the_table_is_the_bound(trained, tmp_path):
    picture = tmp_path / 'curve.png'
    status, text, _ = run('likelihood', trained, '--n', 5, '--seed', 3, '--out', picture)
    assert status == 0
    assert '5 of 1,797 training images of digits, 17 levels, 64 dimensions; x0_hat clipped' in text
    # The same, by hand
    diffusion = Sampler.from_run(trained, device='cpu').diffusion
    x0 = chosen(load_dataset('digits', image_size=8, image_channels=1), 5, 3, 'digits')
    found = bound(diffusion, x0, 17, noise=SeededNoise(5, 3), clip_x0=True)
    own = diffusion.variance
    mean, error = float(found.total().mean()), float(found.total().std()) / 5**0.5
    shown = re.search(rf'^{own} +([\d.]+)  ([\d.]+)  \(the run', text, re.MULTILINE)
    assert float(shown[1]) == pytest.approx(mean, abs=1e-3)
    assert float(shown[2]) == pytest.approx(error, abs=1e-3)
    listed = re.findall(r'^(beta|beta_tilde|learned) ', text, re.MULTILINE)
    assert listed == [own, *(v for v in ('beta', 'beta_tilde') if v != own)]
    # The bands are all of it
    sent = re.findall(r'^x_[^ ]+(?: … x_\d+)? +([\d.]+)  [\d.]+ +([\d.]+)', text, re.MULTILINE)
    assert sum(float(bits) for bits, _ in sent) == pytest.approx(mean, abs=1e-3)
    assert float(sent[-1][1]) == pytest.approx(mean, abs=1e-3)
    assert f'{math.log2(17):.4f}' in text

    numbers = rows(tmp_path / 'curve.csv')
    assert [int(row['t']) for row in numbers] == list(range(40, 0, -1))
    total = sum(float(row['bits_per_dim']) for row in numbers)
    assert total == pytest.approx(float(numbers[-1]['rate']), rel=1e-4)
    assert total + float(found.of()[:, 0].mean()) == pytest.approx(mean, rel=1e-4)
    # RMSE in levels, which are an eighth apart
    assert float(numbers[-1]['rmse_levels']) == pytest.approx(8 * float(found.rmse()[0]), rel=1e-4)
    with Image.open(picture) as image:
        assert image.width > 800


def test_the_likelihood_by_the_ode_stands_beside_the_bound(trained, tmp_path):
    """With the same x_1 and the same L_0."""
    options = ['--n', 2, '--ode', '--out', tmp_path / 'curve.png']
    status, text, _ = run('likelihood', trained, *options)
    assert status == 0
    shown = dict(re.findall(r'^(ode, \w+) +(-?[\d.]+)  [\d.]+$', text, re.MULTILINE))
    diffusion = Sampler.from_run(trained, device='cpu').diffusion
    x0 = chosen(load_dataset('digits', image_size=8, image_channels=1), 2, 0, 'digits')
    noise = SeededNoise(2, 0)
    eps, signs = noise(x0.shape, 'cpu'), Hutchinson.seeded(noise, x0.shape)
    first = bound(diffusion, x0, 17, noise=SeededNoise(2, 0), clip_x0=True).of()[:, 0]
    bits = latent_bits(VPSDE(diffusion), x0, eps, divergence=signs) + first
    assert float(shown['ode, x_1']) == pytest.approx(float(bits.mean()), abs=2e-3)
    assert float(shown['ode, uniform']) > 0


def test_batches_make_no_difference(trained, monkeypatch):
    diffusion = Sampler.from_run(trained, device='cpu').diffusion
    x0 = chosen(load_dataset('digits', image_size=8, image_channels=1), 5, 0, 'digits')
    with contextlib.redirect_stdout(io.StringIO()):
        whole = bound_of(diffusion, x0, 17, 0, clip_x0=True)
        monkeypatch.setattr('labml_nn.diffusion.ddpm.coding.BATCH', 2)
        parts = bound_of(diffusion, x0, 17, 0, clip_x0=True)
    for variance, terms in whole.terms.items():
        torch.testing.assert_close(parts.terms[variance], terms, rtol=1e-3, atol=1e-4)
    assert 'beta_tilde' in table(parts, diffusion.variance, 17)


def test_the_error_bar_is_that_of_the_mean():
    """It covers the truth in about two of three sets."""
    sets = torch.randn(2000, 20)
    covered = 0
    for values in sets:
        mean, error = mean_and_error(values)
        covered += abs(mean) < error
    assert covered / 2000 == pytest.approx(0.67, abs=0.04)


@pytest.mark.parametrize('T', [1, 2, 3, 10, 40, 1000, 4000])
def test_bands_hold_every_step_once(T):
    held = [t for high, low in bands(T) for t in range(high, low - 1, -1)]
    assert held == list(range(T, -1, -1))
    assert all(high >= low for high, low in bands(T))


def test_pictures(trained, tmp_path):
    out = tmp_path / 'rows.png'
    status, text, _ = run('progressive', trained, '--n', 2, '--frames', 5, '--out', out)
    assert status == 0
    assert str(out) in text
    with Image.open(out) as image:
        assert image.size == (5 * 66 + 2, 2 * 66 + 2)
        assert image.info['seed'] == '0'
    status, text, _ = run('shared', trained, '--n', 3, '--t', 40, 10, '--out', out)
    assert status == 0
    with Image.open(out) as image:
        assert image.size == (4 * 66 + 2, 2 * 66 + 2)
        left = [image.crop((2 + 66 * i, 68, 66 + 66 * i, 132)).tobytes() for i in range(4)]
        top = [image.crop((2 + 66 * i, 2, 66 + 66 * i, 66)).tobytes() for i in range(4)]
    # The chain's own end is in both rows; the samples and what they start from differ
    assert top[1] == left[1]
    assert len({*top, *left}) == 7


def test_x_1_shared_is_all_shared(trained, tmp_path):
    """The last step has no noise, so all samples from x_1 are one."""
    out = tmp_path / 'last.png'
    assert run('shared', trained, '--n', 3, '--t', 1, '--out', out)[0] == 0
    with Image.open(out) as image:
        samples = {image.crop((2 + 66 * i, 2, 66 + 66 * i, 66)).tobytes() for i in (1, 2, 3)}
    assert len(samples) == 1


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['likelihood', '--n', 1], '--n 1: digits has 1,797 images, and an error bar needs'),
        (['likelihood', '--n', 2000], '--n 2000: digits has 1,797 images'),
        (['likelihood', '--out', 'curve.svg'], 'likelihood is written as .png'),
        (['likelihood', '--n', 2, '--ode', '--trace', 'all'], "trace='all' is not known"),
        (['likelihood', '--dataset', 'digit'], "dataset='digit' is not known"),
        (
            ['likelihood', '--first', 'large'],
            "variance 'large' is not known: use beta or beta_tilde",
        ),
        (['progressive', '--n', 0], 'n_samples=0: ask for at least one'),
        (['progressive', '--frames', 0], 'n_frames=0: ask for at least one'),
        (['shared', '--n', 1], '--n 1 must be at least 2'),
        (['shared', '--t', 41], '--t [41] within 1 to 40'),
        (['shared', '--t', 0], '--t [0] within 1 to 40'),
    ],
)
def test_what_makes_no_sense_is_refused(trained, arguments, message):
    command, *options = arguments
    before = sorted(trained.iterdir())
    status, _, error = run(command, trained, *options)
    assert status == 2
    assert message in error
    assert sorted(trained.iterdir()) == before


def test_images_held_out_come_from_a_folder(trained, tmp_path):
    """8-bit pictures are scored as such, and not called training images."""
    for i in range(3):
        Image.effect_noise((8, 8), 60 + i).save(tmp_path / f'{i}.png')
    out = tmp_path / 'out' / 'curve.png'
    out.parent.mkdir()
    options = ['--dataset', 'folder', '--data_root', tmp_path, '--n', 3, '--out', out, '--no-clip']
    status, text, _ = run('likelihood', trained, *options)
    assert status == 0
    assert '3 of 3 images of folder, 256 levels, 64 dimensions; x0_hat free' in text
    assert 'as they are      8.0000' in text


def test_a_run_with_classes(tmp_path):
    """Its likelihood is that of any class; its pictures are of the one asked for."""
    out = tmp_path / 'classes'
    options = ['--preset', 'tests', '--n_previews', '0', '--n_samples', '4', '--steps', '6']
    options += ['--n_steps', '40', '--schedule', 'cosine', '--variance', 'learned']
    with contextlib.redirect_stdout(io.StringIO()):
        assert train([*options, '--n_classes', '10', '--out', str(out)]) == 0
    assert run('likelihood', out, '--n', 2)[0] == 0
    status, _, error = run('likelihood', out, '--n', 2, '--label', 3)
    assert status == 2
    assert 'there is no option label' in error
    picture, found = tmp_path / 'shared.png', []
    for more in (['--label', 3], ['--label', 5], ['--label', 5, '--guidance', 2]):
        for command in ('shared', 'progressive'):
            assert run(command, out, '--n', 2, '--out', picture, *more)[0] == 0
            found.append(picture.read_bytes())
    assert len(set(found)) == 6


def test_the_mean_of_all_digits_is_this_far_off():
    """In levels, which are an eighth apart in [-1, 1]; what the page compares a guess with."""
    dataset = load_dataset('digits', image_size=8, image_channels=1)
    x0 = data_images(dataset, range(len(dataset))).double()
    assert float((x0 - x0.mean(0)).square().mean().sqrt()) * 8 == pytest.approx(4.3, abs=0.05)
