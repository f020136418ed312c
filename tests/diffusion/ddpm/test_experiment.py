"""Training: the configuration, the loop, resuming, stopping, and what is refused at the door."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image

from labml_nn.cli.options import option_meanings, option_types, option_values
from labml_nn.data.datasets import load_dataset
from labml_nn.diffusion.ddpm import DenoiseDiffusion, experiment
from labml_nn.diffusion.ddpm.experiment import (
    PRESETS,
    Configs,
    build,
    data_of,
    main,
    make_configs,
    parser,
)
from labml_nn.diffusion.ddpm.unet import UNet
from labml_nn.runs import checkpoint
from tests.kit.runs import PLAIN, called, equal

run = partial(called, main)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """A whole run of the smallest preset, as a user starts it: the folder and what was printed."""
    out = tmp_path_factory.mktemp('runs') / 'whole'
    done = subprocess.run(
        [
            sys.executable,
            '-m',
            'labml_nn.diffusion.ddpm.experiment',
            '--preset',
            'tests',
            '--out',
            out,
        ],
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_a_run_leaves_what_it_promises(whole):
    out, printed = whole
    names = {p.relative_to(out).as_posix() for p in out.rglob('*') if p.is_file()}
    expected = {'checkpoint.pt', 'log.csv', 'loss.png', 'samples.png', 'run.yaml'}
    expected |= {'nearest.png', 'report.html'}
    # Every 10 steps, and at an eighth, a quarter and a half of that
    expected |= {'checkpoint.1.pt', 'checkpoint.2.pt', 'weights.safetensors'}
    expected |= {f'samples/step_{step:07}.png' for step in (1, 2, 5, 10, 20)}
    assert expected <= names
    # Besides these, only labml's own folder and the lock; no file half-written
    assert all(n.startswith('labml/') for n in names - expected - {'.lock'})
    for name in expected:
        if name.endswith('.png'):
            with Image.open(out / name) as picture:
                picture.verify()


def test_first_and_last_lines_say_where_and_what_next(whole):
    out, printed = whole
    lines = [line for line in printed.splitlines() if 'Read digits' not in line]
    head, tail = '\n'.join(lines[:4]), '\n'.join(lines[-4:])
    for text in (head, tail):
        assert str(out) in text
        assert f'evaluate sample {out}' in text
        assert f'--out {out} --resume' in text
        assert '--preset folder16 --data_root PICTURES' in text
    assert 'U-Net with 271,649 parameters' in printed
    assert '1,797 of digits' in printed


def test_the_log_is_complete_and_labml_has_it_too(whole):
    out, _ = whole
    with (out / 'log.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [int(r['step']) for r in rows] == [5, 10, 15, 20]
    assert 0.5 < float(rows[0]['loss']) < 1.5
    assert float(rows[-1]['loss']) < float(rows[0]['loss'])
    assert all(float(r['images_per_second']) > 0 for r in rows)
    # Warm-up: 5 steps in a straight line to the full rate
    assert [float(r['learning_rate']) for r in rows] == pytest.approx([2e-3] * 4)
    # Four bands of t, whose mean is the loss as each holds about a quarter of the images
    for r in rows:
        bands = [float(r[f'loss_band{i}']) for i in (1, 2, 3, 4)]
        assert min(bands) < float(r['loss']) < max(bands)
        assert 0 <= float(r['data_wait']) <= 1
        assert r['skipped'] == '0'
    tracked = next(out.glob('labml/*/*/log.jsonl')).read_text()
    assert rows[-1]['loss'][:5] in tracked
    assert 'batch_size' in next(out.glob('labml/*/*/configs.yaml')).read_text()


def test_the_learning_rate_warms_up_stays_and_cools_down(tmp_path):
    options = ['--warmup', 4, '--cooldown', 5, '--steps', 12, '--log_every', 1]
    assert run(*PLAIN, *options, '--learning_rate', '1e-3', '--out', tmp_path / 'r')[0] == 0
    with (tmp_path / 'r' / 'log.csv').open() as file:
        rates = [float(r['learning_rate']) * 1e3 for r in csv.DictReader(file)]
    rising, falling = [0.25, 0.5, 0.75, 1], [1, 0.8, 0.6, 0.4, 0.2]
    assert rates == pytest.approx([*rising, 1, 1, 1, *falling])


def test_the_checkpoint_describes_itself(whole):
    out, _ = whole
    state = checkpoint.load(out)
    assert state['step'] == 20
    assert state['config'] == {**option_values(Configs()), **PRESETS['tests']}
    assert state['versions']['torch'] == torch.__version__
    assert not equal(state['model'], state['ema'])


def test_rows_beyond_the_checkpoint_are_dropped_when_resuming(tmp_path):
    assert run(*PLAIN, '--out', tmp_path / 'r', '--steps', 10, '--log_every', '1')[0] == 0
    with (tmp_path / 'r' / 'log.csv').open('a') as file:
        file.write('11' + ',0.5' * 10 + '\n12' + ',0.5' * 10 + '\n')
    assert run('--out', tmp_path / 'r', '--resume', '--steps', 14)[0] == 0
    with (tmp_path / 'r' / 'log.csv').open() as file:
        assert [int(r['step']) for r in csv.DictReader(file)] == list(range(1, 15))


def test_a_relative_folder_is_one_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*PLAIN, '--out', 'runs/r', '--steps', 1)[0] == 0
    assert {p.name for p in (tmp_path / 'runs' / 'r').iterdir()} == {
        'checkpoint.pt', 'checkpoint.1.pt', 'log.csv', 'loss.png', 'labml', 'weights.safetensors',
        '.lock', 'run.yaml', 'report.html',
    }  # fmt: skip


def test_a_finished_run_resumed_is_done(whole):
    status, printed, _ = run('--out', whole[0], '--resume')
    assert status == 0
    assert 'all 20 steps are done' in printed


def test_the_seed_decides(tmp_path):
    for name, seed in (('a', 1), ('b', 1), ('c', 2)):
        assert run(*PLAIN, '--out', tmp_path / name, '--steps', 3, '--seed', seed)[0] == 0
    a, b, c = (checkpoint.load(tmp_path / n)['model'] for n in 'abc')
    assert equal(a, b)
    assert not equal(a, c)


@pytest.mark.parametrize(
    'number',
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGUSR1,
    ],
)
def test_a_signal_saves_and_resuming_goes_on(tmp_path, number):
    out = tmp_path / 'run'
    process = subprocess.Popen(
        [sys.executable, '-m', 'labml_nn.diffusion.ddpm.experiment', *PLAIN,
         '--steps', '100000', '--log_every', '1', '--save_every', '100000', '--out', out],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (out / 'log.csv').exists() or len((out / 'log.csv').read_text().splitlines()) < 4:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    step = int(re.search(r'stopped at step ([\d,]+), saved in', printed)[1].replace(',', ''))
    assert f'{signal.Signals(number).name}: stopped' in printed
    assert f'evaluate sample {out}' in printed
    assert checkpoint.load(out)['step'] == step >= 3
    assert run('--out', out, '--resume', '--steps', step + 2)[0] == 0
    assert checkpoint.load(out)['step'] == step + 2


def test_an_exception_saves_the_steps_done(tmp_path, monkeypatch):
    def broken(self):
        if self.step == 7:
            raise RuntimeError('the disk of the log is gone')
        return ''

    monkeypatch.setattr(experiment.Trainer, 'log', broken)
    status, _, errors = run(*PLAIN, '--out', tmp_path / 'r', '--log_every', '1')
    assert status == 1
    assert 'saved step 7' in errors
    assert 'the disk of the log is gone' in errors
    assert checkpoint.load(tmp_path / 'r')['step'] == 7


def test_a_loss_that_is_no_number_stops_and_keeps_the_good_checkpoint(tmp_path):
    status, _, errors = run(
        *PLAIN, '--out', tmp_path / 'r', '--learning_rate', '1e30', '--save_every', '1',
        '--log_every', '1', '--warmup', '0', '--grad_clip', '1e30',
    )  # fmt: skip
    assert status == 1
    assert (
        'no number 10 steps in a row, up to step 11: try half the learning rate (5e+29)' in errors
    )
    assert 'the last checkpoint is of step 1,' in errors
    # The step that went wrong was taken when all was still a number. None after it was, or is kept
    saved = checkpoint.load(tmp_path / 'r')
    assert saved['step'] == 1
    assert checkpoint.load(tmp_path / 'r' / 'checkpoint.1.pt')['step'] == 0
    with (tmp_path / 'r' / 'log.csv').open() as file:
        skipped = [r['skipped'] for r in csv.DictReader(file)]
    assert skipped == ['0'] + ['1'] * 10
    assert all(torch.isfinite(w).all() for w in checkpoint.load(tmp_path / 'r')['ema'].values())


def test_previews_show_the_same_noise_getting_better(whole):
    """Two grids of one run start from one noise: alike, not the same."""
    out, _ = whole
    with Image.open(out / 'samples/step_0000010.png') as first:
        with Image.open(out / 'samples/step_0000020.png') as last:
            assert first.size == last.size
            assert first.tobytes() != last.tobytes()
            assert last.text['weights'] == 'ema'


def test_previews_are_thinned_to_their_share_and_change_nothing(tmp_path):
    options = ['--preset', 'tests', '--n_samples', '0', '--n_steps', '1000', '--preview_every', '2']
    assert run(*options, '--out', tmp_path / 'few', '--preview_share', '0', '--steps', 6)[0] == 0
    # The first one comes in any case
    assert len(list((tmp_path / 'few' / 'samples').iterdir())) == 1
    assert run(*PLAIN, '--out', tmp_path / 'none', '--steps', 6)[0] == 0
    a, b = (checkpoint.load(tmp_path / n) for n in ('few', 'none'))
    assert equal(a['model'], b['model'])


# ## Classes


def test_a_model_with_classes_is_told_them(tmp_path, monkeypatch):
    """Each image comes with its own label, or with none for a share of them."""
    seen = []
    real_errors = DenoiseDiffusion.errors

    def errors(self, x0, t, eps, label):
        seen.append((x0, label))
        return real_errors(self, x0, t, eps, label)

    monkeypatch.setattr(DenoiseDiffusion, 'errors', errors)
    options = ['--n_classes', 10, '--p_uncond', 0.3, '--flip', 'true', '--steps', 30]
    assert run(*PLAIN, *options, '--out', tmp_path / 'r')[0] == 0
    digits = load_dataset('digits', image_size=8, image_channels=1)
    known = {}
    for i in range(len(digits)):
        image, label = digits[i]
        known[image.numpy().tobytes()] = known[image.flip(-1).contiguous().numpy().tobytes()] = (
            label
        )
    x0, label = torch.cat([x for x, _ in seen]), torch.cat([label for _, label in seen])
    own = torch.tensor([known[x.contiguous().numpy().tobytes()] for x in x0])
    dropped = label == -1
    assert torch.equal(label[~dropped], own[~dropped])
    assert 0.2 < float(dropped.double().mean()) < 0.4
    state = checkpoint.load(tmp_path / 'r')
    assert state['ema']['time.label.weight'].shape == (10, 128)
    # They have been learned: the optimizer has moved all of them
    before = build(make_configs(state['config'])).eps_model.state_dict()['time.label.weight']
    assert not equal(before, state['model']['time.label.weight'])


def test_a_model_without_classes_is_told_nothing(tmp_path, monkeypatch):
    seen = []
    forward = UNet.forward

    def spy(self, *given):
        # What is counted without being computed is no step
        if not given[0].is_meta:
            seen.append(given[2:])
        return forward(self, *given)

    monkeypatch.setattr(UNet, 'forward', spy)
    assert run(*PLAIN, '--steps', 2, '--out', tmp_path / 'r')[0] == 0
    assert seen == [(), ()]


def test_resuming_with_classes_is_exact(tmp_path):
    """Which labels are dropped comes from the random states that are restored."""
    options = [*PLAIN, '--n_classes', 10, '--p_uncond', '0.5', '--log_every', '1']
    assert run(*options, '--out', tmp_path / 'straight', '--steps', 12)[0] == 0
    assert run(*options, '--out', tmp_path / 'cut', '--steps', 5)[0] == 0
    assert run('--out', tmp_path / 'cut', '--resume', '--steps', 12)[0] == 0
    a, b = (checkpoint.load(tmp_path / n) for n in ('straight', 'cut'))
    assert equal(a['model'], b['model'])
    assert equal(a['optimizer'], b['optimizer'])


def test_previews_of_a_model_with_classes_have_each_in_turn(tmp_path, monkeypatch):
    asked = []
    forward = UNet.forward

    def spy(self, x, t, label=None):
        asked.append((len(x), label))
        return forward(self, x, t, label)

    monkeypatch.setattr(UNet, 'forward', spy)
    options = ['--preset', 'tests', '--n_classes', 10, '--n_previews', 0, '--n_samples', 12]
    assert run(*options, '--steps', 1, '--out', tmp_path / 'r')[0] == 0
    n, label = asked[-1]
    assert (n, label.tolist()) == (12, [*range(10), 0, 1])


def test_pictures_without_labels_cannot_train_classes(tmp_path):
    for i in range(3):
        Image.new('L', (8, 8), 40 * i).save(tmp_path / f'{i}.png')
    status, _, errors = run(
        *PLAIN, '--dataset', 'folder', '--data_root', tmp_path, '--n_classes', 2,
        '--out', tmp_path / 'run',
    )  # fmt: skip
    assert status == 2
    assert '0.png is in no class' in errors
    assert 'Move it into one, or use n_classes=0' in errors
    assert not (tmp_path / 'run').exists()


# ## At the door: a clear message, status 2, nothing written


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--image_size', '9'], 'image_size=9 cannot be halved 1 times'),
        (['--n_channels', '36'], 'use 32, 40 or n_groups=4'),
        (['--ch_mults', '1,2,3'], r'ch_mults=\(1, 2, 3\) has 3 levels'),
        (['--preset', 'cifar'], 'there is no preset cifar: did you mean cifar10?'),
        (['--dataset', 'cifar'], "dataset='cifar' is not known: use one of digits"),
        (['--batchsize', '8'], 'no option batchsize: did you mean batch_size?'),
        (['--lr=1'], 'no option lr'),
        (['--batch_size', 'many'], "need a whole number, got 'many'"),
        (['--batch_size', '2.5'], 'need a whole number'),
        (['--batch_size', '0'], 'batch_size=0 must be at least 1'),
        (['--flip', 'maybe'], "need true or false, got 'maybe'"),
        (['--learning_rate', '-1'], 'must be positive'),
        (['--dropout', '1'], r'dropout=1 in \[0, 1\)'),
        (['--image_channels', '2'], 'use 1 for grey or 3 for colour'),
        (['--n_steps', '100'], 'leave 60% of the image at the end'),
        (['--variance', 'large'], "variance='large' is not known"),
        (['--ema_decay', '1'], r'must lie in \[0, 1\)'),
        (['--n_classes', '9'], 'labels of digits go from 0 to 9, which needs n_classes=10'),
        (['--n_classes', '-1'], 'n_classes=-1 must be at least 0'),
        (['--n_classes', '10', '--p_uncond', '1.5'], 'p_uncond=1.5 is a probability'),
        (['--device', 'tpu9'], "device='tpu9' is not known|not on this machine"),
        (['stray'], "'stray' has no option before it"),
        (['--resume'], 'does not exist: give the folder of a run'),
    ],
)
def test_bad_options_are_refused(tmp_path, arguments, message):
    out = tmp_path / 'run'
    status, _, errors = run('--preset', 'tests', '--out', out, *arguments)
    assert status == 2
    assert re.search(message, errors), errors
    assert errors.startswith('error: ')
    assert 'Traceback' not in errors
    assert not out.exists()


def test_a_used_folder_is_refused_and_left_alone(whole, tmp_path):
    before = (whole[0] / 'checkpoint.pt').read_bytes()
    status, _, errors = run('--preset', 'tests', '--out', whole[0])
    assert status == 2
    assert 'already holds a run (step 20): pass --resume to go on with it' in errors
    assert (whole[0] / 'checkpoint.pt').read_bytes() == before
    (tmp_path / 'thesis.tex').write_text('years of work')
    status, _, errors = run('--preset', 'tests', '--out', tmp_path)
    assert status == 2
    assert 'is not empty and holds no run' in errors
    assert [p.name for p in tmp_path.iterdir()] == ['thesis.tex']
    status, _, errors = run('--preset', 'tests', '--out', tmp_path / 'thesis.tex')
    assert status == 2
    assert 'is a file' in errors


def test_a_resumed_run_cannot_become_another(whole):
    status, _, errors = run('--out', whole[0], '--resume', '--n_channels', '64', '--seed', '5')
    assert status == 2
    assert 'cannot change n_channels=64 (the run has 32), seed=5 (the run has 0)' in errors


@pytest.mark.skipif(os.name != 'posix' or os.geteuid() != 0, reason='mounts a file system')
def test_a_full_disk_shows_at_the_start(tmp_path):
    disk = tmp_path / 'disk'
    disk.mkdir()
    mounted = subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', 'size=200k', 'tmpfs', disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f'no tmpfs can be mounted: {mounted.stderr.decode().strip()}')
    try:
        status, _, errors = run(*PLAIN, '--out', disk / 'run')
        assert status == 2
        assert 'could not write' in errors or 'No space left' in errors
        assert not (disk / 'run').exists()
    finally:
        subprocess.run(['umount', disk], check=True)


def test_a_folder_that_may_not_be_written_is_refused(tmp_path):
    # A file where a folder should be: refused for root too, whom permissions do not stop
    (tmp_path / 'file').write_text('')
    status, _, errors = run(*PLAIN, '--out', tmp_path / 'file' / 'run')
    assert status == 2
    assert 'Not a directory' in errors or 'is a file' in errors


def test_a_dry_run_writes_nothing(tmp_path):
    status, printed, _ = run('--preset', 'tests', '--out', tmp_path / 'run', '--dry-run')
    assert status == 0
    assert 'U-Net with 271,649 parameters' in printed
    assert not (tmp_path / 'run').exists()


# ## Ones own pictures


@pytest.mark.parametrize('channels', [1, 3])
def test_a_folder_of_pictures_trains(tmp_path, channels):
    for i in range(5):
        picture = Image.new('RGB', (30 + i, 20), (40 * i, 100, 200 - 30 * i))
        folder = tmp_path / 'pictures' / f'album {i % 2}'
        folder.mkdir(parents=True, exist_ok=True)
        picture.save(folder / f'{i}.{"JPG" if i % 2 else "png"}')
    status, printed, _ = run(
        *PLAIN, '--dataset', 'folder', '--data_root', tmp_path / 'pictures', '--image_size', 16,
        '--image_channels', channels, '--flip', 'yes', '--steps', 3, '--out', tmp_path / 'run',
    )  # fmt: skip
    assert status == 0
    assert f'5 of folder, 16×16×{channels}' in printed
    assert '5 images are few' in printed
    config = checkpoint.load(tmp_path / 'run')['config']
    assert (config['dataset'], config['image_channels']) == ('folder', channels)


# ## The configuration


def test_every_option_has_its_meaning_on_its_line_and_in_the_help():
    meanings = option_meanings(Configs)
    assert list(meanings) == list(option_types(Configs))
    assert all(len(m) > 8 for m in meanings.values())
    text = ' '.join(parser().format_help().split())
    for name, meaning in meanings.items():
        assert f'--{name}' in text
        assert ' '.join(meaning.split()) in text


def test_presets_use_options_that_exist():
    for values in PRESETS.values():
        assert set(values) <= set(option_types(Configs))
        make_configs(values)


@pytest.mark.parametrize('preset', sorted(PRESETS))
def test_warm_up_and_cool_down_leave_most_of_a_preset_at_the_full_rate(preset):
    c = make_configs(PRESETS[preset])
    assert c.warmup <= c.steps / 4
    # The speed-run falls nearly from its beginning, as its page says
    assert c.warmup + c.cooldown <= (0.97 if preset == 'digits_fast' else 0.6) * c.steps


def test_pictures_of_ones_own_need_no_other_options_than_where_they_are(tmp_path):
    Image.new('RGB', (40, 30), (200, 0, 0)).save(tmp_path / 'a.png')
    for size in (16, 32, 64):
        c = make_configs({**PRESETS[f'folder{size}'], 'data_root': str(tmp_path)})
        assert data_of(c)[0][0].shape == (3, size, size)
        assert build(c, 'meta').eps_model.image_channels == 3


def test_the_papers_numbers():
    """Appendix B and the released code; see the table in the project's facts."""
    cifar, celeba = (option_values(make_configs(PRESETS[p])) for p in ('cifar10', 'celebahq256'))
    for c in (cifar, celeba):
        assert (c['n_steps'], c['warmup'], c['grad_clip'], c['ema_decay'], c['flip']) == (
            1000, 5000, 1.0, 0.9999, True,
        )  # fmt: skip
    assert [cifar[k] for k in ('batch_size', 'learning_rate', 'dropout', 'steps', 'variance')] == [
        128, 2e-4, 0.1, 800_000, 'beta',
    ]  # fmt: skip
    assert [celeba[k] for k in ('batch_size', 'learning_rate', 'dropout', 'steps', 'variance')] == [
        64, 2e-5, 0.0, 500_000, 'beta_tilde',
    ]  # fmt: skip


def test_options_with_dashes_and_powers_of_ten(tmp_path):
    status, printed, _ = run(
        '--preset', 'tests', '--batch-size', '1e1', '--dry-run', '--out', tmp_path / 'r'
    )
    assert status == 0
    assert '20 of 10 images' in printed


def test_the_module_says_how_it_is_called():
    root = Path(experiment.__file__).parents[3]
    done = subprocess.run(
        [sys.executable, '-m', 'labml_nn.diffusion.ddpm.experiment', '--help'],
        capture_output=True, text=True, cwd=root, check=True,
    )  # fmt: skip
    assert f'presets: {", ".join(PRESETS)}' in done.stdout


@pytest.mark.parametrize(
    ('option', 'value', 'message'),
    [
        ('--seed', -1, 'seed=-1: need'),
        ('--seed', 10**23, 'seed=1000'),
        ('--grad_clip', 'nan', 'grad_clip=nan'),
        ('--learning_rate', 'inf', 'learning_rate=inf'),
    ],
)
def test_numbers_that_no_run_can_have_leave_no_folder(tmp_path, option, value, message):
    status, _, errors = run(*PLAIN, '--out', tmp_path / 'run', option, value)
    assert status == 2
    assert message in errors
    assert not (tmp_path / 'run').exists()
