"""Files of strangers: what asks for too much is refused before it gets anything."""

import collections
import os
import random
import re
import zipfile

import pytest
import torch

from labml_nn.runs import checkpoint, plain
from labml_nn.runs.plain import check_plain, read_plain

ELSE = 'get it again'


def twice(depth):
    """2^depth values in a few bytes."""
    value = [1]
    for _ in range(depth):
        value = [value, value]
    return value


def nested(depth, kind=list):
    value = kind()
    for _ in range(depth):
        value = kind([value])
    return value


def in_itself():
    value = []
    value.append(value)
    return value


def tuples(depth):
    value = (1,)
    for _ in range(depth):
        value = (value, value)
    return value


def larger_than_its_storage():
    """A tensor of the form that torch writes, with a size that its numbers do not have."""

    class Claimed:
        def __reduce__(self):
            numbers = torch.ones(2).untyped_storage()
            storage = torch.storage.TypedStorage(
                wrap_storage=numbers, dtype=torch.float32, _internal=True
            )
            hooks = collections.OrderedDict()
            return torch._utils._rebuild_tensor_v2, (storage, 0, (10**9,), (1,), False, hooks)

    return Claimed()


HOSTILE = {
    'shared': (lambda: twice(24), 'held twice'),
    'in itself': (in_itself, 'held twice, or by itself'),
    'deep': (lambda: nested(200), 'too deep'),
    'deep tuples': (lambda: nested(200, tuple), 'too deep'),
    'shared tuples': (lambda: tuples(30), 'hold over 2,000,000 values'),
    'a deep name': (lambda: {nested(200, tuple): 1}, 'too deep'),
    'expanded': (lambda: torch.zeros(1).expand(10**9), 'that is expanded.*4,000,000,000 bytes'),
    'claimed': (larger_than_its_storage, 'ask for more than'),
    'one storage': (lambda: [*torch.zeros(10**5).expand(9, -1)], 'ask for more than'),
    'sparse': (lambda: torch.eye(3).to_sparse(), 'of another form'),
    'a number of many digits': (lambda: 10**400, 'holds a int that is no plain value'),
    'a set': (lambda: {1, 2}, 'holds a set'),
}  # fmt: skip


@pytest.mark.parametrize('name', HOSTILE)
def test_what_asks_for_too_much_is_refused(tmp_path, name):
    make, said = HOSTILE[name]
    torch.save({'format': checkpoint.FORMAT, 'x': make()}, tmp_path / 'c.pt')
    with pytest.raises(ValueError, match=rf'c\.pt is refused: .*{said}'):
        checkpoint.load(tmp_path / 'c.pt')


@pytest.mark.parametrize('name', ['shared', 'in itself', 'expanded', 'sparse', 'a set'])
def test_it_is_not_written_either(tmp_path, name):
    with pytest.raises(ValueError, match=HOSTILE[name][1]):
        checkpoint.save(tmp_path / 'c.pt', {'x': HOSTILE[name][0]()})
    assert list(tmp_path.iterdir()) == []


def packed(file, method=zipfile.ZIP_DEFLATED):
    """The same file with its members compressed."""
    with zipfile.ZipFile(file) as whole:
        members = [(m.filename, whole.read(m)) for m in whole.infolist()]
    with zipfile.ZipFile(file, 'w', method) as small:
        for name, content in members:
            small.writestr(name, content)


def test_compressed_members_are_refused(tmp_path):
    torch.save({'x': torch.zeros(10**6)}, tmp_path / 'c.pt')
    packed(tmp_path / 'c.pt')
    assert (tmp_path / 'c.pt').stat().st_size < 10_000
    with pytest.raises(ValueError, match=r'c\.pt is refused: .* is compressed, which torch\.save'):
        read_plain(tmp_path / 'c.pt', ELSE)


def test_a_pointer_of_git_lfs_is_called_by_its_name(tmp_path):
    (tmp_path / 'c.pt').write_text('version https://git-lfs.github.com/spec/v1\noid sha256:1\n')
    with pytest.raises(ValueError, match=r'c\.pt is a git-lfs pointer'):
        checkpoint.load(tmp_path / 'c.pt')


class Evil:
    def __reduce__(self):
        return os.system, ('echo this ran',)


def test_a_refusal_does_not_say_how_to_switch_the_protection_off(tmp_path):
    torch.save({'x': Evil()}, tmp_path / 'c.pt')
    with pytest.raises(ValueError, match=r'could run code \(.*system') as error:
        read_plain(tmp_path / 'c.pt', ELSE)
    assert not re.search('weights_only|add_safe_globals|trusted', str(error.value))


def test_an_old_torch_refuses_or_tells(tmp_path, monkeypatch, capsys):
    checkpoint.save(tmp_path / 'c.pt', {'step': 1})
    for version, is_old in (('2.9.1+cu128', True), ('2.10.0', False), ('3.0', False)):
        monkeypatch.setattr(torch, '__version__', version)
        assert plain.is_old_torch() == is_old
    monkeypatch.setattr(torch, '__version__', '2.6.0')
    with pytest.raises(ValueError, match=r'CVE-2026-24747.* 2\.10 .*LABML_NN_TRUST_FILES=1'):
        plain.refuse_old_torch(tmp_path / 'c.pt')
    monkeypatch.setattr(plain, 'WARNED', set())
    for _ in range(2):
        assert checkpoint.load(tmp_path / 'c.pt')['step'] == 1
    assert capsys.readouterr().err.count('note: reading a pickle with torch 2.6.0') == 1
    monkeypatch.setenv('LABML_NN_TRUST_FILES', '1')
    plain.refuse_old_torch(tmp_path / 'c.pt')


def random_value(rng, depth=0):
    """Any value, odd ones with preference."""
    leaves = [
        None, True, 0, -1, 1.5, float('nan'), 10**400, 'x' * 99, b'\0', 1j, {1}, torch.float32,
        torch.ones(2), torch.zeros(1).expand(3), torch.eye(2).to_sparse(), torch.empty(0, 10**9),
        torch.Size([2]), (), bytearray(3), torch.tensor([1j]),
    ]  # fmt: skip
    if depth > 3 or rng.random() < 0.4:
        return rng.choice(leaves)
    parts = [random_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if rng.random() < 0.2:
        parts = parts * 2
    if rng.random() < 0.1:
        parts.append(parts)
    return rng.choice([parts, tuple(parts), dict(enumerate(parts))])


def test_random_content_is_hashed_or_refused(tmp_path):
    rng = random.Random(0)
    taken = 0
    for _ in range(300):
        content = {'format': checkpoint.FORMAT, 'x': random_value(rng)}
        torch.save(content, tmp_path / 'c.pt')
        try:
            check_plain(content)
            checkpoint.checksum(content)
        except ValueError:
            with pytest.raises(ValueError, match=r'c\.pt is'):
                checkpoint.load(tmp_path / 'c.pt')
        else:
            taken += 1
            with pytest.raises(ValueError, match='its checksum is not'):
                checkpoint.load(tmp_path / 'c.pt')
    assert 50 < taken < 250
