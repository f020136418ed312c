"""A dry run: a few real steps, and nothing written or downloaded; and the notes at the start."""

import os
import socket
from functools import partial

import pytest
import torch
from PIL import Image

from labml_nn.cli.options import read_options
from labml_nn.data.datasets import Images, load_dataset
from labml_nn.data.vision import vision
from labml_nn.diffusion.ddpm.configs import PRESETS, Configs, make_configs
from labml_nn.diffusion.ddpm.experiment import main
from labml_nn.diffusion.ddpm.notes import best_share, notes
from labml_nn.diffusion.ddpm.train import share_of_rate
from labml_nn.runs import checkpoint
from labml_nn.runs.pace import LEAST, WARM, Pace, forecast
from tests.kit.runs import PLAIN, called

run = partial(called, main)
CPU = torch.device('cpu')


def everything_below(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob('*'))


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """An empty folder to stand in, and no way out of the machine; returns who has tried one."""
    tried = []

    def refuse(*args, **kwargs):
        tried.append(args)
        raise OSError('no network')

    monkeypatch.setattr(socket.socket, 'connect', refuse)
    monkeypatch.setattr(socket, 'getaddrinfo', refuse)
    monkeypatch.chdir(tmp_path)
    return tried


SMALL = ['--n_channels', 8, '--n_groups', 4, '--batch_size', 2, '--workers', 0]


@pytest.mark.parametrize('dataset', ['mnist', 'cifar10', 'celeba'])
def test_nothing_is_downloaded_or_unpacked(alone, tmp_path, dataset):
    options = [*SMALL, '--dataset', dataset, '--image_size', 16, '--image_channels', 3]
    status, printed, errors = run(*PLAIN, *options, '--dry-run')
    assert (status, errors) == (0, '')
    assert not alone
    assert everything_below(tmp_path) == []
    assert '2 made-up ones, 16×16×3' in printed
    assert 'a dry run gets none' in printed
    assert 'for 20 steps' in printed


def test_archives_stay_packed(alone, tmp_path):
    """An archive that is there is not unpacked either."""
    archive = tmp_path / 'data' / vision().datasets.CIFAR10.filename
    archive.parent.mkdir()
    archive.write_bytes(b'made anew')
    status, printed, _ = run(*PLAIN, *SMALL, '--dataset', 'cifar10', '--image_size', 16,
                             '--image_channels', 3, '--dry-run')  # fmt: skip
    assert status == 0
    assert 'made-up' in printed
    assert everything_below(tmp_path) == ['data', f'data/{archive.name}']


def test_a_folder_that_is_not_there_is_an_error_still(alone):
    options = ['--dataset', 'folder', '--data_root', 'pictrues', '--dry-run']
    status, _, errors = run(*PLAIN, *options)
    assert status == 2
    assert 'is not a folder' in errors


def test_a_dry_run_says_how_long_and_keeps_nothing(tmp_path):
    out = tmp_path / 'run'
    assert run(*PLAIN, '--out', out)[0] == 0
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in out.rglob('*') if p.is_file()}
    status, printed, _ = run('--out', out, '--resume', '--steps', 50_020, '--dry-run')
    assert status == 0
    assert 'for 50,000 steps' in printed
    assert 'until ' in printed
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in before} == before


def test_a_run_says_it_after_its_first_steps(tmp_path):
    """And it does so once."""
    status, printed, _ = run(*PLAIN, '--out', tmp_path / 'r', '--steps', 110)
    assert status == 0
    assert printed.count('  time    ') == 1
    assert printed.index('  device') < printed.index('  time    ') < printed.index('done in')


def test_the_time_of_a_step_is_that_of_the_timed_ones():
    """The first steps, which take an hour here, do not count."""
    times = iter([100.0, 3700.0, 3701.0, 3702.0, 3703.0])
    pace = Pace(10, CPU, now=lambda: next(times))
    next(times)
    found = [pace.each(10 + i) for i in range(1, WARM + LEAST + 3)]
    assert found == [0.0] * (WARM + LEAST - 1) + [1.0, 0.0, 0.0]


def test_the_forecast_is_of_the_steps_that_are_left():
    line = forecast(0.5, 7200, CPU)
    assert '1:00:00 for 7,200 steps of 0.5 s' in line
    assert ('GB' in line) == (os.name == 'posix')
    assert 'GB' not in forecast(1, 10**12, torch.device('mps'))  # and no date beyond all calendars


def test_a_run_keeps_its_options_in_a_file_that_is_read_again(tmp_path):
    out = tmp_path / 'run'
    told = ['--learning_rate', '3e-5', '--ch_mults', '1,2', '--is_attn', 'no,yes', '--steps', 2]
    assert run(*PLAIN, *told, '--track', 'none', '--out', out)[0] == 0
    config = checkpoint.load(out)['config']
    assert make_configs(read_options(out / 'run.yaml', Configs)).ch_mults == (1, 2)
    assert read_options(out / 'run.yaml', Configs) == config
    again = tmp_path / 'again'
    assert run('--config', out / 'run.yaml', '--out', again)[0] == 0
    assert checkpoint.load(again)['config'] == config


def test_the_file_has_what_a_resumed_run_was_told(tmp_path):
    out = tmp_path / 'run'
    assert run(*PLAIN, '--steps', 1, '--out', out)[0] == 0
    assert run('--resume', '--steps', 2, '--out', out)[0] == 0
    assert read_options(out / 'run.yaml', Configs)['steps'] == 2


# ## Notes


def images(n, side=8, channels=1, **about):
    pixels = torch.randint(256, (n * channels * side * side,), generator=torch.manual_seed(0))
    return Images('some', pixels.view(n, channels, side, side).to(torch.uint8), **about)


def said(images, **options):
    return notes(make_configs(options), images)


def test_presets_have_nothing_to_note():
    for name, values in PRESETS.items():
        assert notes(make_configs(values), None) == [], name


def test_digits_fit():
    assert said(load_dataset('digits', image_size=8, image_channels=1)) == []


@pytest.mark.parametrize(
    ('warmup', 'cooldown', 'best'),
    [(5000, 0, 0.3), (0, 5000, 0.3), (1000, 1000, 0.75), (100, 100, 1), (750, 750, 1), (0, 0, 1)],
)
def test_a_rate_that_is_never_reached(warmup, cooldown, best):
    c = make_configs(dict(warmup=warmup, cooldown=cooldown, steps=1500))
    assert best_share(c) == max(share_of_rate(c, s) for s in range(1500))
    assert best_share(c) == pytest.approx(best, abs=2e-3)
    told = [n for n in notes(c, None) if 'full learning rate' in n]
    assert len(told) == (best < 1)
    assert all(f'gets to {best:.0%} of it' in n for n in told)


def test_groups_of_one_channel():
    assert 'each is normalised alone' in said(None, n_channels=32, n_groups=32)[0]
    assert said(None, n_channels=32, n_groups=16) == []


@pytest.mark.parametrize(
    ('options', 'word'),
    [
        (dict(n_steps=600), 'of the image at the end'),
        (dict(n_steps=4000), 'nothing but noise'),
        (dict(n_steps=1000), ''),
        (dict(n_steps=4000, schedule='cosine'), ''),
    ],
)
def test_what_the_schedule_leaves(options, word):
    told = said(None, **options)
    assert len(told) == bool(word)
    assert word in ' '.join(told)


def test_few_images():
    assert '30 images are few' in said(images(30), steps=3000, batch_size=10)[0]
    assert '1,000 times' in said(images(30), steps=3000, batch_size=10)[0]


def test_twins_are_counted_and_named():
    dataset = images(1200)
    assert not any('twice' in n for n in said(dataset))
    dataset.images[7] = dataset.images[3]
    dataset.images[8] = dataset.images[3]
    assert '2 of 1,200 images are there twice or more often (7 and 3)' in ' '.join(said(dataset))


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for i, side in enumerate((20, 40, 40)):
        Image.new('RGB', (side + 9, side), (90 * i, 0, 0)).save(folder / f'{i}.png')
    Image.new('RGB', (40, 40), (90, 0, 0)).save(folder / 'again.png')
    for name in ('a.HEIC', 'b.heic', 'c.avif', 'd.gif', 'notes.txt'):
        (folder / name).write_bytes(b'')
    return folder


@pytest.mark.parametrize('in_memory', [True, False])
def test_a_folder_of_pictures(pictures, in_memory, monkeypatch):
    if not in_memory:
        monkeypatch.setattr('labml_nn.data.datasets.KEEP_BYTES', 0)
    dataset = load_dataset('folder', pictures, 32, 3)
    told = ' '.join(said(dataset, dataset='folder', data_root=str(pictures), image_size=32))
    assert '1 of 4 pictures are smaller than 32×32' in told
    assert 'the smallest has 20 pixels a side' in told
    assert 'left out 2 .heic, 1 .avif, 1 .gif' in told
    assert 'a.HEIC, b.heic, c.avif …' in told
    assert ('1 of 4 images are there twice or more often (again.png and 1.png)' in told) == (
        in_memory
    )


def test_sets_of_one_size_are_enlarged_too():
    told = said(images(1500, 16), dataset='digits', image_size=16)
    assert 'all 1,500 images are smaller' in told[0]
    assert said(images(1500, 32), dataset='mnist', image_size=32) == []


def test_notes_are_said_at_the_start_of_a_run_and_of_a_dry_run(tmp_path):
    wrong = [*PLAIN, '--warmup', 500, '--cooldown', 0, '--out', tmp_path / 'r']
    for options in (['--dry-run'], []):
        status, printed, _ = run(*wrong, *options)
        assert status == 0
        assert '  note    warmup=500 and cooldown=0' in printed
