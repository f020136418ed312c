"""Reading and writing safetensors, against the package of that name."""

import pytest
import torch

from labml_nn.helpers.safetensors import TYPES, load_file, save_file


@pytest.fixture
def tensors():
    made = {kind: (torch.randn(3, 2, 5) * 9).to(dtype) for kind, dtype in TYPES.items()}
    made['scalar'] = torch.tensor(3.5)
    made['empty'] = torch.empty(0, 4)
    made['not contiguous'] = torch.randn(4, 6).T
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
    package = pytest.importorskip('safetensors.torch', reason='safetensors is not installed')
    save_file(tmp_path / 'x.safetensors', tensors)
    same(tensors, package.load_file(tmp_path / 'x.safetensors'))


def test_ours_reads_the_package(tensors, tmp_path):
    package = pytest.importorskip('safetensors.torch', reason='safetensors is not installed')
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
