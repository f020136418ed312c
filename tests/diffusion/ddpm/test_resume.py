"""Resuming: as if the run had never stopped, to the bit; and what a resumed run must not become."""

import os
import shutil
import signal
import subprocess
import sys
from functools import partial

import pytest
import torch
from PIL import Image

from labml_nn.cli.messages import first_line
from labml_nn.compute.precision import Network
from labml_nn.data import datasets
from labml_nn.diffusion.ddpm import evaluate, experiment, train
from labml_nn.runs import checkpoint
from labml_nn.runs import run as running
from tests.kit.runs import HOLD, PLAIN, called, equal, log_of

run = partial(called, experiment.main)

# The smallest network, and a log whose rows do not fall together with the cuts
SMALL = [*PLAIN, '--n_channels', '16', '--log_every', '4', '--save_every', '100']


def same(a, b):
    """Whether two runs are in the same state to the bit, and have the same log."""
    first, second = checkpoint.load(a), checkpoint.load(b)
    assert first['step'] == second['step']
    for part in first:
        assert equal(first[part], second[part]), part
    assert log_of(a) == log_of(b)


OPTIONS = {
    'plain': [],
    'ema without warm-up, flips, dropout': ['--flip', 'yes', '--dropout', '0.1'],
    'micro-batches, cool-down': ['--micro_batch', '8', '--cooldown', '0', '--dropout', '0.2'],
    'files': ['--dataset', 'folder', '--data_root', 'PICTURES', '--workers', '2'],
    'previews': ['--n_previews', '2', '--preview_every', '3', '--preview_share', '1'],
}


@pytest.mark.parametrize('options', [
    pytest.param(options, id=name, marks=[pytest.mark.long] * (name in ('files', 'previews')))
    for name, options in OPTIONS.items()
])  # fmt: skip
def test_cut_anywhere_and_resumed_is_the_same(tmp_path, options, monkeypatch):
    """18 steps straight, and cut after the first, at a row, and between two."""
    if 'PICTURES' in options:
        # Too many for memory, decoded by other processes
        monkeypatch.setattr(datasets, 'KEEP_BYTES', 0)
        options = [tmp_path / 'pictures' if o == 'PICTURES' else o for o in options]
        (tmp_path / 'pictures').mkdir()
        for i in range(12):
            Image.new('L', (8, 8), 20 * i).save(tmp_path / 'pictures' / f'{i}.png')
    if '--flip' in options:
        # There is no option for it: the average without its warm-up
        ema = train.EMA
        monkeypatch.setattr(train, 'EMA', lambda m, d: ema(m, 0.5, warmup=False))
    straight, cut = tmp_path / 'straight', tmp_path / 'cut'
    assert run(*SMALL, *options, '--steps', 18, '--out', straight)[0] == 0
    assert run(*SMALL, *options, '--steps', 1, '--out', cut)[0] == 0
    for steps in (8, 11, 18):
        # Whatever has been drawn in between
        torch.rand(5)
        assert run('--out', cut, '--resume', '--steps', steps)[0] == 0
    same(straight, cut)
    assert [r[0] for r in log_of(cut)] == ['step', '4', '8', '12', '16', '18']


def test_a_bad_picture_among_many_ends_a_run_that_goes_on_once_it_is_mended(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, 'KEEP_BYTES', 0)
    pictures = tmp_path / 'pictures'
    pictures.mkdir()
    for i in range(100):
        Image.new('L', (8, 8), 2 * i).save(pictures / f'{i}.png')
    options = ['--dataset', 'folder', '--data_root', pictures, '--workers', 2, '--steps', 9]
    straight, cut = tmp_path / 'straight', tmp_path / 'cut'
    assert run(*SMALL, *options, '--out', straight)[0] == 0
    # The first picture of the fifth batch of 16, by its place among the sorted names
    place = next(iter(datasets.IndexStream(100, 16, seed=0, start=4)))[0]
    bad = sorted(pictures.iterdir())[place]
    content = bad.read_bytes()
    bad.write_bytes(content[:40])
    for again in ([*SMALL, *options], ['--resume']):
        status, _, err = run(*again, '--out', cut)
        assert status == 1
        assert f'error: {bad} cannot be read as a picture' in err
        assert 'go on with --resume' in err
        assert 'Traceback' not in err
        assert 'memory' not in err
        assert checkpoint.load(cut)['step'] == 4
    bad.write_bytes(content)
    assert run('--out', cut, '--resume')[0] == 0
    same(straight, cut)


def test_a_run_without_its_bad_pictures_lists_them_and_knows_them_again(tmp_path):
    pictures, out = tmp_path / 'pictures', tmp_path / 'run'
    pictures.mkdir()
    for i in range(12):
        Image.new('L', (8, 8), 20 * i).save(pictures / f'{i}.png')
    bad = pictures / 'bad.png'
    bad.write_bytes(b'')
    options = [*SMALL, '--dataset', 'folder', '--data_root', pictures, '--steps', 2, '--out', out]
    status, _, err = run(*options)
    assert status == 2
    assert f'{bad} cannot be read' in err
    assert '--bad_pictures skip' in err
    status, said, _ = run(*options, '--bad_pictures', 'skip')
    assert status == 0
    assert f'skipped 1 of 13 pictures, which cannot be read:\n    {bad}\n' in said
    bad.rename(pictures / 'worse.png')
    status, _, err = run('--out', out, '--resume', '--steps', 3)
    assert status == 2
    assert 'the data of folder has changed since the run began: crc32_of_skipped' in err
    (pictures / 'worse.png').rename(bad)
    assert run('--out', out, '--resume', '--steps', 3)[0] == 0


def test_a_run_is_told_the_classes_of_a_folder_and_asked_for_them_by_name(tmp_path):
    pictures, out = tmp_path / 'pictures', tmp_path / 'run'
    for i, name in enumerate(('cat', 'dog')):
        (pictures / name).mkdir(parents=True)
        for j in range(4):
            Image.new('L', (8, 8), 100 * i + j).save(pictures / name / f'{j}.png')
    data = ['--dataset', 'folder', '--data_root', pictures, '--n_classes', 2]
    assert run(*SMALL, *data, '--steps', 2, '--out', out)[0] == 0
    assert checkpoint.load(out)['data']['classes'] == ['cat', 'dog']
    assert evaluate.Sampler.from_run(out, label=['dog', 'none', 0]).labels == [1, -1, 0]
    assert evaluate.Sampler.from_run(out, label='dog').labels == [1]
    with pytest.raises(ValueError, match="one of the classes cat, dog, or .*, got 'emu'"):
        evaluate.Sampler.from_run(out, label=['emu'])
    (pictures / 'dog').rename(pictures / 'fox')
    status, _, err = run('--out', out, '--resume', '--steps', 3)
    assert status == 2
    assert "classes=['cat', 'fox'] (the run has ['cat', 'dog'])" in err


@pytest.mark.parametrize('at', [3, 10])
def test_a_signal_or_an_exception_at_any_point_of_a_step_changes_nothing(tmp_path, monkeypatch, at):
    straight, cut = tmp_path / 'straight', tmp_path / 'cut'
    options = ['--steps', 14, '--dropout', '0.1', '--flip', 'yes']
    assert run(*SMALL, *options, '--out', straight)[0] == 0

    # After the random numbers of a step are drawn, and before it is taken
    gradient = train.Training.gradient

    def broken(self, *inputs):
        result = gradient(self, *inputs)
        if self.step == at:
            raise RuntimeError('something broke')
        return result

    with monkeypatch.context() as patch:
        patch.setattr(train.Training, 'gradient', broken)
        assert run(*SMALL, *options, '--out', cut)[0] == 1
    assert checkpoint.load(cut)['step'] == at

    def stopped(self, *inputs):
        if self.step == at + 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return gradient(self, *inputs)

    with monkeypatch.context() as patch:
        patch.setattr(train.Training, 'gradient', stopped)
        assert run('--out', cut, '--resume')[0] == 128 + signal.SIGTERM
    assert checkpoint.load(cut)['step'] == at + 2
    assert run('--out', cut, '--resume')[0] == 0
    same(straight, cut)


def test_a_row_that_could_not_be_written_is_written_when_the_run_goes_on(tmp_path, monkeypatch):
    straight, cut = tmp_path / 'straight', tmp_path / 'cut'
    assert run(*SMALL, '--steps', 10, '--out', straight)[0] == 0
    append = running.append_row

    def full(path, row):
        if row['step'] == 8:
            raise OSError(28, 'No space left on device')
        append(path, row)

    with monkeypatch.context() as patch:
        patch.setattr(running, 'append_row', full)
        status, _, errors = run(*SMALL, '--steps', 10, '--out', cut)
    assert status == 1
    assert 'No space left on device: is the disk full? Make room and go on with --resume' in errors
    assert run('--out', cut, '--resume')[0] == 0
    same(straight, cut)


def broken_by(error):
    def broken(*_, **__):
        raise error

    return broken


@pytest.mark.parametrize('error', [
    PermissionError(13, 'Permission denied'), ValueError('no such colour'), RuntimeError('LaTeX'),
], ids=lambda e: type(e).__name__)  # fmt: skip
def test_log_curve_and_pictures_are_guests(tmp_path, monkeypatch, error):
    options = [*SMALL, '--steps', 6, '--n_previews', 1, '--preview_every', 2, '--n_samples', 1,
               '--preview_steps', 2, '--log_every', 1, '--preview_share', 1]  # fmt: skip
    assert run(*options, '--out', tmp_path / 'straight')[0] == 0
    monkeypatch.setattr(running, 'append_row', broken_by(error))
    monkeypatch.setattr(running, 'plot_loss', broken_by(error))
    monkeypatch.setattr(running, 'save_png', broken_by(error))
    status, _, errors = run(*options, '--out', tmp_path / 'r')
    assert status == 0
    for guest in ('log.csv', 'loss.png', 'a sample grid', 'samples.png'):
        assert errors.count(f'note: {guest} is left out ({first_line(error)})') == 1
    assert 'Traceback' not in errors
    whole, without = (checkpoint.load(tmp_path / name) for name in ('straight', 'r'))
    assert all(equal(whole[part], without[part]) for part in whole)


@pytest.mark.parametrize('name', ['append_row', 'plot_loss', 'save_png'])
@pytest.mark.parametrize(('error', 'status', 'message'), [
    (OSError(28, 'No space left on device'), 1, 'is the disk full? Make room'),
    (MemoryError(), 1, 'out of memory'),
    (KeyboardInterrupt(), 130, ''),
], ids=['disk', 'memory', 'Ctrl-C'])  # fmt: skip
def test_no_guest_hides_the_end_of_disk_or_memory(
    tmp_path, monkeypatch, name, error, status, message
):
    monkeypatch.setattr(running, name, broken_by(error))
    options = ['--steps', 4, '--n_previews', 1, '--preview_every', 2, '--preview_steps', 2]
    found, _, errors = run(*SMALL, *options, '--preview_share', 1, '--out', tmp_path / 'r')
    assert found == status
    assert message in errors
    assert 'is left out' not in errors


def test_a_finished_epoch_more_or_less_is_noted(tmp_path):
    assert run(*PLAIN, '--steps', 3, '--batch_size', 1000, '--n_channels', 16,
               '--micro_batch', 200, '--out', tmp_path / 'r')[0] == 0  # fmt: skip
    data = checkpoint.load(tmp_path / 'r')['data']
    assert (data['images'], data['epoch'], data['position']) == (1797, 1, 3000 - 1797)


def test_a_checkpoint_comes_after_some_minutes_too(tmp_path, monkeypatch):
    seen = []
    save = checkpoint.save

    def saved(path, content, **kwargs):
        seen.append(content['step'])
        save(path, content, **kwargs)

    monkeypatch.setattr(checkpoint, 'save', saved)
    assert run(*SMALL, '--steps', 5, '--save_minutes', 0, '--out', tmp_path / 'r')[0] == 0
    assert seen == [0, 1, 2, 3, 4, 5]
    seen.clear()
    assert run(*SMALL, '--steps', 5, '--out', tmp_path / 'q')[0] == 0
    assert seen == [0, 5]


def test_the_last_few_checkpoints_are_kept(tmp_path):
    out = tmp_path / 'r'
    options = ['--save_every', 2, '--steps', 12, '--keep_checkpoints', 4]
    assert run(*SMALL, *options, '--out', out)[0] == 0
    found = sorted(p.name for p in out.glob('checkpoint*'))
    assert found == ['checkpoint.1.pt', 'checkpoint.2.pt', 'checkpoint.3.pt', 'checkpoint.pt']
    steps = [checkpoint.load(p)['step'] for p in checkpoint.kept(out / 'checkpoint.pt')]
    assert steps == [12, 10, 8, 6]


def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(tmp_path):
    straight, cut = tmp_path / 'straight', tmp_path / 'cut'
    options = [*SMALL, '--save_every', 3]
    assert run(*options, '--steps', 12, '--out', straight)[0] == 0
    assert run(*options, '--steps', 9, '--out', cut)[0] == 0
    # One bit of a weight: in the zeros between the records of the file it would change nothing. Of
    # a matrix, as the numbers of a convolution may lie in another order there
    matrices = [w for w in checkpoint.load(cut)['model'].values() if w.ndim == 2]
    weight = max(matrices, key=torch.numel)
    content = bytearray((cut / 'checkpoint.pt').read_bytes())
    content[content.index(weight.numpy().tobytes()) + 5] ^= 1
    (cut / 'checkpoint.pt').write_bytes(content)
    status, printed, errors = run('--out', cut, '--resume', '--steps', 12)
    assert status == 0
    assert 'checkpoint.pt is damaged: its checksum is not that of its content' in errors
    assert f'going by {cut / "checkpoint.1.pt"}, step 6' in errors
    # Kept for whoever wants to look, and not for a good one
    assert (cut / 'checkpoint.pt.damaged').read_bytes() == content
    same(straight, cut)
    # Nor is a good one pushed out
    kept = checkpoint.kept(cut / 'checkpoint.pt')
    assert [checkpoint.load(p)['step'] for p in kept] == [12, 9, 6]


def test_the_weights_are_there_to_be_shared(tmp_path):
    from labml_nn.runs.safetensors import load_file

    assert run(*SMALL, '--steps', 3, '--out', tmp_path / 'r')[0] == 0
    assert equal(load_file(tmp_path / 'r' / 'weights.safetensors'),
                 dict(checkpoint.load(tmp_path / 'r')['ema']))  # fmt: skip


def test_a_checkpoint_of_the_first_version_goes_on(tmp_path):
    """It had no checksum, no scaler, no sums of the log and no mark of the data."""
    out = tmp_path / 'r'
    assert run(*SMALL, '--steps', 4, '--out', out)[0] == 0
    state = checkpoint.load(out)
    for new in ('scaler', 'bad_steps', 'log', 'others', 'data'):
        del state[new]
    state['format'] = checkpoint.FIRST_FORMAT
    for option in ('save_minutes', 'keep_checkpoints', 'precision', 'compile', 'channels_last',
                   'micro_batch', 'activation_checkpointing', 'n_classes', 'p_uncond'):  # fmt: skip
        del state['config'][option]
    shutil.rmtree(out)
    out.mkdir()
    torch.save(state, out / 'checkpoint.pt')
    (out / 'log.csv').write_text('step,loss,grad_norm,learning_rate,images_per_second\n4,1,2,3,4\n')
    # An option that it did not have has the value of then
    assert run('--out', out, '--resume', '--steps', 8, '--n_classes', 0)[0] == 0
    assert log_of(out)[1][:3] == ['4', '1', 'nan']
    assert [r[0] for r in log_of(out)[1:]] == ['4', '8']


# ## Refused


@pytest.mark.parametrize(('change', 'message'), [
    (lambda state: state.pop('optimizer'), 'has no optimizer. It can be sampled from'),
    (lambda state: state['config'].update(spin=1), 'this version does not know: spin=1. Go on'),
    (lambda state: state.update(format='labml_nn.ddpm/9'), 'a later version of this package'),
], ids=['weights alone', 'options of another version', 'a later version'])  # fmt: skip
def test_a_checkpoint_that_cannot_be_gone_on_with_says_why(tmp_path, change, message):
    out = tmp_path / 'r'
    assert run(*SMALL, '--steps', 1, '--out', out)[0] == 0
    state = checkpoint.load(out)
    change(state)
    torch.save({**state, 'checksum': checkpoint.checksum(state)}, out / 'checkpoint.pt')
    before = (out / 'checkpoint.pt').read_bytes()
    status, _, errors = run('--out', out, '--resume', '--steps', 3)
    assert status == 2
    assert message in errors
    assert 'Traceback' not in errors
    assert (out / 'checkpoint.pt').read_bytes() == before


def of_optimizer(name, value):
    return lambda s: s['optimizer']['state'][0].update({name: value})


HOSTILE = {
    'optimizer a word': ('optimizer', lambda s: s.update(optimizer='Adam')),
    'optimizer without groups': ('optimizer', lambda s: s['optimizer'].pop('param_groups')),
    'no moments': ('optimizer', lambda s: s['optimizer']['state'][0].pop('exp_avg')),
    'moments of a shape': ('optimizer', of_optimizer('exp_avg', torch.zeros(3))),
    'moments of words': ('optimizer', of_optimizer('exp_avg', 'x')),
    'moments of whole numbers': ('optimizer', of_optimizer('step', torch.tensor(3))),
    'moments that are none': ('optimizer', of_optimizer('step', torch.tensor(float('nan')))),
    'a step below zero': ('optimizer', of_optimizer('step', torch.tensor(-1.0))),
    'other weights': ('optimizer', lambda s: s['optimizer']['param_groups'][0].update(params=[1])),
    'a rate': ('optimizer', lambda s: s['optimizer']['param_groups'][0].update(lr='x')),
    'a scale': ('optimizer', lambda s: s.update(scaler={'scale': float('nan')})),
    'random a word': ('random', lambda s: s.update(random='dice')),
    'random empty': ('random', lambda s: s.update(random={'python': ()})),
    'a place of NumPy': ('random', lambda s: s['random'].update(
        numpy=(*s['random']['numpy'][:1], 10**9, 0, 0.0))),
    'bytes of torch': ('random', lambda s: s['random'].update(torch=torch.zeros(7))),
    'log a word': ('log', lambda s: s.update(log='x')),
    'sums of a shape': ('log', lambda s: s.update(log=torch.zeros(3))),
    'sums that are none': ('log', lambda s: s.update(log=torch.full((12,), float('nan')))),
    'no random states': ('random', lambda s: s.update(random=torch.zeros(0))),
    'others': ('log', lambda s: s.update(others=7)),
    'data': ('data', lambda s: s.update(data=[1])),
    'data of tensors': ('data', lambda s: s['data'].update(n=torch.zeros(3), images=torch.ones(2))),
    'config': ('config', lambda s: s.update(config='x')),
    'an option': ('n_steps', lambda s: s['config'].update(n_steps='many')),
    'a wider network': ('architecture', lambda s: s['config'].update(n_channels=2**16)),
    'weights': ('model', lambda s: s.update(model=[1])),
    'an average': ('architecture', lambda s: s['ema'].popitem()),
    'weights of NaN': ('model', lambda s: next(iter(s['model'].values())).fill_(float('nan'))),
    'a count': ('ema_updates', lambda s: s.update(ema_updates=-1)),
    'a step': ('step', lambda s: s.update(step=10**30)),
}  # fmt: skip


@pytest.fixture(scope='module')
def whole_run(tmp_path_factory):
    out = tmp_path_factory.mktemp('hostile') / 'r'
    assert run(*SMALL, '--steps', 2, '--out', out)[0] == 0
    return out


@pytest.mark.parametrize(('part', 'change'), HOSTILE.values(), ids=HOSTILE)
def test_a_part_that_no_run_leaves_is_named(whole_run, tmp_path, part, change):
    """The checksum is right, and nothing is built or written."""
    state = checkpoint.load(whole_run)
    change(state)
    torch.save({**state, 'checksum': checkpoint.checksum(state)}, tmp_path / 'checkpoint.pt')
    before = (tmp_path / 'checkpoint.pt').read_bytes()
    status, _, errors = run('--out', tmp_path, '--resume', '--steps', 3, '--dataset', 'digits')
    assert status == 2, errors
    assert part in errors
    assert 'Traceback' not in errors
    assert (tmp_path / 'checkpoint.pt').read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ['.lock', 'checkpoint.pt']


@pytest.mark.parametrize('steps', [1, 3])
def test_weights_that_are_no_numbers_are_never_saved(tmp_path, steps):
    """Not even those of the last step, whose loss and gradient were numbers still."""
    options = ['--learning_rate', '1e39', '--warmup', 0, '--cooldown', 0, '--save_every', 1]
    status, _, errors = run(*SMALL, *options, '--steps', steps, '--out', tmp_path / 'r')
    assert status == 1
    assert 'has made weights that are no numbers' in errors
    assert 'Traceback' not in errors
    assert checkpoint.load(tmp_path / 'r')['step'] == 0
    assert not (tmp_path / 'r' / 'weights.safetensors').exists()


def test_a_preset_that_is_not_the_runs_is_noted(tmp_path):
    out = tmp_path / 'r'
    assert run(*SMALL, '--steps', 1, '--out', out)[0] == 0
    status, _, errors = run('--out', out, '--preset', 'cifar10', '--resume', '--steps', 2)
    assert status == 0
    assert 'note: the run keeps its own options: dataset=digits (not cifar10)' in errors
    assert 'schedule' not in errors
    same_preset = ['--preset', 'tests', '--n_channels', 16, '--resume', '--steps', 3]
    status, _, errors = run('--out', out, *same_preset)
    assert status == 0
    assert errors.count('note') == 1
    assert 'n_channels=16 (not 32)' in errors


def test_other_data_is_refused(tmp_path):
    pictures = tmp_path / 'pictures'
    pictures.mkdir()
    for i in range(3):
        Image.new('L', (8, 8), 50 * i).save(pictures / f'{i}.png')
    options = ['--dataset', 'folder', '--data_root', pictures, '--batch_size', 2]
    assert run(*SMALL, *options, '--steps', 2, '--out', tmp_path / 'r')[0] == 0
    Image.new('L', (8, 8), 255).save(pictures / '3.png')
    status, _, errors = run('--out', tmp_path / 'r', '--resume', '--steps', 4)
    assert status == 2
    assert 'the data of folder has changed since the run began: images=4 (the run has 3)' in errors
    assert 'Of its files 1 came (3.png). Put back what there was' in errors
    (pictures / '3.png').unlink()
    (pictures / '0.png').rename(pictures / 'a b.png')
    Image.new('L', (8, 8), 7).save(pictures / '1.png')
    _, _, errors = run('--out', tmp_path / 'r', '--resume', '--steps', 4)
    assert 'Of its files 1 came (a b.png), 1 went (0.png), 1 differ (1.png). Put' in errors
    assert f'start another run with these weights, --init {tmp_path / "r"} with another' in errors


def test_files_too_many_for_memory_are_known_by_their_names_and_sizes(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, 'KEEP_BYTES', 0)
    pictures = tmp_path / 'pictures'
    (pictures / 'in').mkdir(parents=True)
    for i in range(3):
        Image.new('L', (8, 8), 50 * i).save(pictures / 'in' / f'{i}.png')
    options = ['--dataset', 'folder', '--data_root', pictures, '--batch_size', 2, '--workers', 0]
    assert run(*SMALL, *options, '--steps', 2, '--out', tmp_path / 'r')[0] == 0
    (pictures / 'in' / '0.png').rename(pictures / 'in' / '9.png')
    Image.new('L', (80, 80), 7).save(pictures / 'in' / '1.png')
    _, _, errors = run('--out', tmp_path / 'r', '--resume', '--steps', 4)
    assert 'Of its files 1 came (in/9.png), 1 went (in/0.png), 1 differ (in/1.png). Put' in errors
    # A list that somebody has spoiled is no reason to say less
    (tmp_path / 'r' / 'data.json').write_text('[1]')
    _, _, errors = run('--out', tmp_path / 'r', '--resume', '--steps', 4)
    assert 'has changed since the run began: crc32_of_names' in errors
    assert 'Of its files' not in errors


def test_a_second_process_is_refused_and_nothing_is_touched(tmp_path):
    out = tmp_path / 'r'
    assert run(*SMALL, '--steps', 2, '--out', out)[0] == 0
    # A process of its own, as locks of one process do not exclude each other
    first = subprocess.Popen([sys.executable, '-c', HOLD, out], stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout.readline() == 'held\n'
        before = {p: p.read_bytes() for p in out.iterdir() if p.is_file()}
        status, _, errors = run('--out', out, '--resume', '--steps', 4)
        assert status == 2
        assert f'{out} is in use by process {first.pid} on ' in errors
        assert before == {p: p.read_bytes() for p in out.iterdir() if p.is_file()}
    finally:
        first.kill()
        first.communicate()
    # A killed process holds no lock
    assert run('--out', out, '--resume', '--steps', 4)[0] == 0


# ## Out of memory


def test_out_of_memory_says_what_would_fit(tmp_path, monkeypatch):
    """A device that holds six images at a time."""
    forward = Network.forward

    def small(self, x, *more):
        if len(x) > 6:
            raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB')
        return forward(self, x, *more)

    monkeypatch.setattr(Network, 'forward', small)
    status, _, errors = run(*SMALL, '--batch_size', 24, '--steps', 4, '--out', tmp_path / 'r')
    assert status == 1
    assert 'out of memory: 24 images of 8×8×1 at a time (batch_size=24) do not fit on cpu' in errors
    assert 'go on with --resume --micro_batch 6' in errors
    assert run('--out', tmp_path / 'r', '--resume', '--micro_batch', 6)[0] == 0
