"""Reading and writing safetensors: whole or not at all."""

import json
import os
import random

import pytest
import torch
from safetensors import torch as package

from labml_nn.runs.safetensors import load_file, save_file

TYPES = (
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32,
    torch.uint8, torch.bool,
)  # fmt: skip


@pytest.fixture
def tensors():
    made = {str(kind): (torch.randn(3, 2, 5) * 9).to(kind) for kind in TYPES}
    made['scalar'] = torch.tensor(3.5)
    made['empty'] = torch.empty(0, 4)
    made['not contiguous'] = torch.randn(4, 6).T
    made['the same again'] = made['scalar']
    return made


def same(a, b):
    assert set(a) == set(b)
    for name in a:
        assert a[name].dtype == b[name].dtype
        assert torch.equal(a[name], b[name]), name


def test_round_trip(tensors, tmp_path):
    save_file(tmp_path / 'x.safetensors', tensors)
    same(tensors, load_file(tmp_path / 'x.safetensors'))
    assert [p.name for p in tmp_path.iterdir()] == ['x.safetensors']


def test_the_package_reads_ours(tensors, tmp_path):
    save_file(tmp_path / 'x.safetensors', tensors)
    same(tensors, package.load_file(tmp_path / 'x.safetensors'))


def test_ours_reads_the_package(tensors, tmp_path):
    del tensors['the same again']
    tensors['not contiguous'] = tensors['not contiguous'].contiguous()
    package.save_file(tensors, tmp_path / 'x.safetensors', metadata={'a': 'b'})
    same(tensors, load_file(tmp_path / 'x.safetensors'))


@pytest.mark.parametrize(
    'damage', [lambda b: b[:100], lambda b: b'', lambda b: b'PK' + b, lambda b: b[:-8]]
)
def test_a_damaged_file_is_named(tensors, tmp_path, damage):
    path = tmp_path / 'x.safetensors'
    save_file(path, {'a': torch.randn(7, 3), 'b': torch.randn(2)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r'x\.safetensors is damaged or no safetensors file'):
        load_file(path)


def as_file(header, data):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, 'little') + text + data


def entry(begin, end, n=None, dtype='F32'):
    return {
        'dtype': dtype,
        'shape': [(end - begin) // 4 if n is None else n],
        'data_offsets': [begin, end],
    }


@pytest.mark.parametrize(
    ('header', 'n_bytes'),
    [
        ({'a': entry(0, 0, n=100)}, 0),  # memory that nobody has written
        ({'a': entry(0, 8), 'b': entry(4, 12)}, 12),  # an overlap
        ({'a': entry(0, 8), 'b': entry(12, 16)}, 16),  # a hole
        ({'a': entry(0, 8)}, 16),  # something behind the end
        ({'a': entry(0, 8)}, 4),  # the end before it
        ({'a': entry(0, 8, n=2**40)}, 8),
        ({'a': entry(0, 8, n=-2)}, 8),
        ({'a': entry(0, 8, dtype='F33')}, 8),
        ({'a': None}, 8),
        ([], 0),
    ],
)
def test_what_does_not_fill_the_file_is_refused(tmp_path, header, n_bytes):
    path = tmp_path / 'x.safetensors'
    path.write_bytes(as_file(header, bytes(n_bytes)))
    with pytest.raises(ValueError, match='is damaged or no safetensors file'):
        load_file(path)


def test_a_pointer_of_git_lfs_is_called_by_its_name(tmp_path):
    path = tmp_path / 'x.safetensors'
    path.write_text('version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 12\n')
    with pytest.raises(ValueError, match=r'x\.safetensors is a git-lfs pointer.*git lfs pull'):
        load_file(path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'x.safetensors'
    save_file(path, {'a': torch.ones(3)})

    def full(handle):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='No space left'):
        save_file(path, {'a': torch.zeros(3)})
    assert torch.equal(load_file(path)['a'], torch.ones(3))
    assert [p.name for p in tmp_path.iterdir()] == ['x.safetensors']


def test_random_headers_and_bytes_are_read_or_refused(tmp_path):
    """What is taken fills its file, and nothing but `ValueError` comes out."""
    rng = random.Random(0)
    odd = [None, -1, 0, 1, 8, 2**31, 2**63, 2**64, 1e9, 'F32', 'BOOL', [], [0, 8], [8, 0], {}, True]
    path = tmp_path / 'x.safetensors'
    taken = 0
    for _ in range(400):
        header = {'a': entry(0, 8), 'b': entry(8, 16)}
        for _ in range(rng.randrange(3)):
            header[rng.choice('ab')][rng.choice(['dtype', 'shape', 'data_offsets'])] = rng.choice(
                [rng.choice(odd), [rng.choice(odd)], [rng.choice(odd), rng.choice(odd)]]
            )
        content = bytearray(as_file(header, bytes(16)))
        if rng.random() < 0.3:
            content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content)
        try:
            tensors = load_file(path)
        except ValueError:
            continue
        taken += 1
        assert sum(t.numel() * t.element_size() for t in tensors.values()) == 16
    assert 50 < taken < 350
