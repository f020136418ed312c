"""Checkpoints: all or nothing, and no code."""

import os
import pickle
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from labml_nn.data import pictures
from labml_nn.diffusion.ddpm import coding, metrics
from labml_nn.diffusion.ddpm.likelihood import Bound
from labml_nn.runs import checkpoint, log, safetensors
from tests.kit.close import record

CONTENT = {
    'step': 7,
    'config': {'ch_mults': (1, 2), 'dataset': 'digits', 'flip': True, 'rate': 0.1},
    'model': {'w': torch.randn(3, 4), 'b': torch.zeros(4, dtype=torch.bfloat16)},
    'random': checkpoint.random_states(),
}


def test_what_is_saved_is_loaded(tmp_path):
    checkpoint.save(tmp_path / 'checkpoint.pt', CONTENT)
    for way in (tmp_path, tmp_path / 'checkpoint.pt', str(tmp_path)):
        got = checkpoint.load(way)
        assert got['config'] == CONTENT['config']
        assert torch.equal(got['model']['w'], CONTENT['model']['w'])
    assert [p.name for p in tmp_path.iterdir()] == ['checkpoint.pt']


def test_permissions_are_those_of_any_file(tmp_path):
    (tmp_path / 'plain').write_text('')
    checkpoint.save(tmp_path / 'c.pt', {})
    assert (tmp_path / 'c.pt').stat().st_mode == (tmp_path / 'plain').stat().st_mode


def test_full_disk_leaves_the_old_file(tmp_path):
    """The real thing: a process that may not write files of more than 20 KB."""
    path = tmp_path / 'checkpoint.pt'
    checkpoint.save(path, {'step': 1})
    before = path.read_bytes()
    code = (
        'import sys, torch; from labml_nn.runs import checkpoint\n'
        'checkpoint.save(sys.argv[1], {"w": torch.zeros(100_000)})'
    )
    done = subprocess.run(
        [sys.executable, '-c', code, path],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert done.returncode != 0
    assert path.read_bytes() == before
    assert checkpoint.load(path)['step'] == 1


def test_a_failed_write_is_an_os_error_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise RuntimeError('[enforce fail at inline_container.cc] . PytorchStreamWriter failed')

    monkeypatch.setattr(torch, 'save', full)
    with pytest.raises(OSError, match='could not write .*checkpoint.pt'):
        checkpoint.save(tmp_path / 'checkpoint.pt', {})
    assert list(tmp_path.iterdir()) == []


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_file_that_holds_code_is_refused(tmp_path):
    torch.save({'format': checkpoint.FORMAT, 'x': Bomb(tmp_path / 'ran')}, tmp_path / 'c.pt')
    with pytest.raises(ValueError, match='is refused: it holds more than tensors'):
        checkpoint.load(tmp_path / 'c.pt')
    with (tmp_path / 'bare.pt').open('wb') as file:
        pickle.dump(Bomb(tmp_path / 'ran'), file)
    with pytest.raises(ValueError, match='is refused|is damaged'):
        checkpoint.load(tmp_path / 'bare.pt')
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('share', [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, share):
    path = tmp_path / 'c.pt'
    checkpoint.save(path, CONTENT)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match=rf'{path} is damaged'):
        checkpoint.load(path)


def test_every_flipped_bit_is_found_or_harmless(tmp_path):
    """A bit anywhere: the file is refused, or holds what it held (names and padding of the zip)."""
    path = tmp_path / 'c.pt'
    checkpoint.save(path, CONTENT)
    whole = path.read_bytes()
    good = checkpoint.checksum(checkpoint.load(path))
    generator = np.random.default_rng(0)
    said = []
    for place in generator.integers(0, 8 * len(whole), 300):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        try:
            content = checkpoint.load(path)
        except ValueError as error:
            said.append(str(error))
        else:
            assert checkpoint.checksum(content) == good
    record('flipped bits that were refused, of 300', len(said))
    assert len(said) > 150
    assert all(re.search('is damaged|is refused|no checkpoint', s) for s in said)


def test_a_flipped_bit_of_a_weight_is_found(tmp_path):
    """torch itself does not notice."""
    path = tmp_path / 'c.pt'
    checkpoint.save(path, {'w': torch.zeros(1000)})
    content = path.read_bytes()
    at = content.index(bytes(4000)) + 2000
    path.write_bytes(content[:at] + b'\x01' + content[at + 1 :])
    assert torch.load(path, weights_only=True)['w'].any()
    with pytest.raises(ValueError, match='is damaged: its checksum is not that of its content'):
        checkpoint.load(path)


def test_a_damaged_file_falls_back_to_the_one_before(tmp_path, capsys):
    path = tmp_path / 'checkpoint.pt'
    for step in range(5):
        checkpoint.save(path, {'step': step, 'w': torch.full((1000,), float(step))}, keep=3)
    assert [p.name for p in checkpoint.kept(path)] == [
        'checkpoint.pt', 'checkpoint.1.pt', 'checkpoint.2.pt',
    ]  # fmt: skip
    assert checkpoint.load(tmp_path)['step'] == 4
    assert capsys.readouterr().err == ''
    path.write_bytes(path.read_bytes()[:-500])
    assert checkpoint.load(tmp_path)['step'] == 3
    told = capsys.readouterr().err
    assert f'note: {path} is damaged' in told
    assert f'note: going by {tmp_path / "checkpoint.1.pt"}, step 3' in told
    # A file that is named is taken or refused
    with pytest.raises(ValueError, match='is damaged'):
        checkpoint.load(path)
    torch.save({'format': checkpoint.FORMAT, 'x': Bomb(tmp_path / 'ran')}, path)
    assert checkpoint.load(tmp_path)['step'] == 3
    assert 'is refused: it holds more than tensors' in capsys.readouterr().err
    assert not (tmp_path / 'ran').exists()
    path.unlink()
    assert checkpoint.load(tmp_path)['step'] == 3
    for file in checkpoint.kept(path):
        file.write_bytes(b'')
    with pytest.raises(ValueError, match=r'checkpoint.1.pt is damaged'):
        checkpoint.load(tmp_path)


def test_what_does_not_read_back_does_not_take_the_name(tmp_path, monkeypatch):
    """A disk that takes the bytes and loses one."""
    path = tmp_path / 'checkpoint.pt'
    checkpoint.save(path, {'step': 1})
    sync = os.fsync

    def failing(handle):
        if os.fstat(handle).st_size > 2000:
            os.pwrite(handle, b'\xff', os.fstat(handle).st_size // 2)
        sync(handle)

    monkeypatch.setattr(os, 'fsync', failing)
    with pytest.raises(OSError, match='did not read back as it was written .*disk failing'):
        checkpoint.save(path, {'step': 2, 'w': torch.zeros(10_000)})
    assert checkpoint.load(path)['step'] == 1
    assert [p.name for p in tmp_path.iterdir()] == ['checkpoint.pt']


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / '.checkpoint.pt.abc123.part').write_bytes(b'half')
    (tmp_path / '.other.part').write_bytes(b'of somebody else')
    checkpoint.save(tmp_path / 'checkpoint.pt', {})
    assert {p.name for p in tmp_path.iterdir()} == {'checkpoint.pt', '.other.part'}


def save_all_kinds(folder):
    """A file of every kind that the package writes."""
    pixels = torch.zeros(1, 8, 8, dtype=torch.uint8)
    checkpoint.save(folder / 'checkpoint.pt', CONTENT)
    safetensors.save_file(folder / 'weights.safetensors', {'w': torch.ones(3)})
    pictures.save_png(folder / 'a.png', pixels)
    pictures.save_animation(folder / 'a.gif', [pixels, pixels + 1])
    metrics.save_json(folder / 'a.json', {'n': 1})
    found = Bound({'beta': torch.ones(2, 5)}, torch.ones(2, 4))
    coding.save_curve(folder / 'curve.csv', found, 17)
    coding.plot_curve(folder / 'curve.png', found, 17)
    log.append_row(folder / 'log.csv', {'step': 1, 'loss': 1.0})
    log.plot_loss(folder / 'log.csv', folder / 'loss.png')
    log.cut_log(folder / 'log.csv', lambda step: True, ['step', 'loss'])


def test_every_file_is_on_the_disk_before_it_is_renamed(tmp_path, monkeypatch):
    forced, renamed = set(), []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(handle):
        forced.add(os.fstat(handle).st_ino)
        fsync(handle)

    def watched_replace(old, new):
        assert os.stat(old).st_ino in forced, new
        renamed.append(Path(new).name)
        replace(old, new)

    monkeypatch.setattr(os, 'fsync', watched_fsync)
    monkeypatch.setattr(os, 'replace', watched_replace)
    save_all_kinds(tmp_path)
    record('files on the disk before they were renamed', len(renamed))
    assert sorted(renamed) == sorted(p.name for p in tmp_path.iterdir())


def test_a_write_that_fails_leaves_every_old_file(tmp_path, monkeypatch):
    """No kind of file is written in place."""
    save_all_kinds(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def broken(handle):
        raise OSError(5, 'Input/output error')

    monkeypatch.setattr(os, 'fsync', broken)
    pixels = torch.ones(1, 8, 8, dtype=torch.uint8)
    for save in (
        lambda: pictures.save_png(tmp_path / 'a.png', pixels),
        lambda: pictures.save_animation(tmp_path / 'a.gif', [pixels]),
        lambda: metrics.save_json(tmp_path / 'a.json', {'n': 2}),
    ):
        with pytest.raises(OSError, match='Input/output'):
            save()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_files_of_others_are_refused(tmp_path):
    torch.save({'state_dict': {}}, tmp_path / 'other.pt')
    with pytest.raises(ValueError, match='no checkpoint of this package: its format is None'):
        checkpoint.load(tmp_path / 'other.pt')
    torch.save([1, 2], tmp_path / 'list.pt')
    with pytest.raises(ValueError, match="its format is 'list'"):
        checkpoint.load(tmp_path / 'list.pt')
    (tmp_path / 'text.pt').write_text('hello, I am no checkpoint')
    with pytest.raises(ValueError, match='is damaged or no checkpoint|is refused'):
        checkpoint.load(tmp_path / 'text.pt')


def test_a_file_of_a_later_version_is_refused_and_left_as_it_is(tmp_path):
    """Not passed over for an older one, nor put away as damaged."""
    path = tmp_path / checkpoint.FILE_NAME
    for step in (1, 2):
        checkpoint.save(path, {'step': step}, keep=3)
    torch.save({'format': 'labml_nn.ddpm/3', 'step': 3}, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"later version .* 'labml_nn.ddpm/3', .* pip install -U"):
        checkpoint.load(tmp_path)
    checkpoint.put_away_damaged(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ['checkpoint.1.pt', 'checkpoint.pt']
    assert path.read_bytes() == before


def test_missing_files_say_what_is_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'has no checkpoint.pt: it is empty'):
        checkpoint.load(tmp_path)
    (tmp_path / 'notes.txt').write_text('')
    with pytest.raises(FileNotFoundError, match=r'has no checkpoint.pt: it holds notes.txt'):
        checkpoint.load(tmp_path)
    with pytest.raises(FileNotFoundError, match='does not exist'):
        checkpoint.load(tmp_path / 'gone')


def test_weights_fit_or_are_refused_by_name():
    model = torch.nn.Linear(2, 3)
    good = {'weight': torch.ones(3, 2), 'bias': torch.ones(3)}
    checkpoint.load_weights(model, {f'module._orig_mod.{k}': v for k, v in good.items()}, 'x')
    assert torch.equal(model.weight, good['weight'])
    with pytest.raises(ValueError, match='1 missing: bias; 1 not in this model: extra'):
        checkpoint.load_weights(model, {'weight': good['weight'], 'extra': good['bias']}, 'x')
    with pytest.raises(ValueError, match=r'1 of another shape: weight \[2, 3\], need \[3, 2\]'):
        checkpoint.load_weights(model, {**good, 'weight': torch.ones(2, 3)}, 'x')


def test_the_random_state_of_apples_gpu_is_one_of_them(monkeypatch):
    given = []
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: True)
    monkeypatch.setattr(torch.mps, 'get_rng_state', lambda: torch.arange(3, dtype=torch.uint8))
    monkeypatch.setattr(torch.mps, 'set_rng_state', given.append)
    checkpoint.set_random_states(checkpoint.random_states())
    assert [s.tolist() for s in given] == [[0, 1, 2]]
    # A checkpoint of a machine without one, or of an older version
    for states in ({'mps': None}, {}):
        kept = {k: v for k, v in checkpoint.random_states().items() if k != 'mps'}
        checkpoint.set_random_states({**kept, **states})
    assert len(given) == 1


def test_random_states_come_back():
    def draw():
        import random

        return random.random(), np.random.rand(), np.random.randn(), float(torch.rand(()))

    checkpoint.seed_everything(3)
    draw()
    states = checkpoint.random_states()
    first = draw()
    draw()
    checkpoint.set_random_states(states)
    assert draw() == first
