"""Data sets: real archives in small, folders as they are in the world, and batches."""

import contextlib
import gzip
import http.server
import itertools
import os
import socket
import struct
import threading
import urllib.error
import urllib.request
import zipfile
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from labml_nn.data import datasets
from labml_nn.data.datasets import (
    BadPicture,
    Files,
    Images,
    IndexStream,
    batches,
    decode,
    load_dataset,
)
from labml_nn.data.vision import vision
from labml_nn.diffusion.ddpm.experiment import main
from labml_nn.runs import checkpoint
from tests.kit import archives
from tests.kit.runs import called


@pytest.fixture
def no_network(monkeypatch):
    """No test asks the network for anything; those that would are told that it is down."""

    def refuse(*_, **__):
        raise urllib.error.URLError('the network is down')

    monkeypatch.setattr(urllib.request, 'urlopen', refuse)


# torchvision takes the small archives for the real ones


TRAINING_FILES = ('train-images-idx3-ubyte', 'train-labels-idx1-ubyte')


def small_mnist(root, monkeypatch, name='MNIST'):
    files, images, labels = archives.mnist(root, name=name)
    kind = getattr(vision().datasets, name)
    monkeypatch.setattr(kind, 'resources', [(name, files[name]) for name, _ in kind.resources])
    contents = {n: archives.md5_unpacked(root / name / 'raw' / f'{n}.gz') for n in TRAINING_FILES}
    monkeypatch.setitem(datasets.IDX_CONTENTS, name, contents)
    return images, labels


def small_cifar10(root, monkeypatch):
    sums, images, labels = archives.cifar10(root)
    kind = vision().datasets.CIFAR10
    monkeypatch.setattr(kind, 'tgz_md5', archives.md5(root / kind.filename))
    for attribute in ('train_list', 'test_list'):
        monkeypatch.setattr(
            kind, attribute, [[name, sums[name]] for name, _ in getattr(kind, attribute)]
        )
    monkeypatch.setattr(kind, 'meta', {**kind.meta, 'md5': sums['batches.meta']})
    return images, labels


def small_celeba(root, monkeypatch):
    sums = archives.celeba(root)
    monkeypatch.setattr(datasets, 'CELEBA_PICTURES', 6)
    kind = vision().datasets.CelebA
    monkeypatch.setattr(kind, 'file_list', [(i, sums[f], f) for i, _, f in kind.file_list])


def small_folder(root, _):
    for i in range(4):
        Image.new('RGB', (20, 16), (60 * i, 0, 0)).save(root / f'{i}.png')


SMALL = {
    'digits': lambda root, _: None,
    'mnist': small_mnist,
    'fashion_mnist': partial(small_mnist, name='FashionMNIST'),
    'cifar10': small_cifar10,
    'celeba': small_celeba,
    'folder': small_folder,
}


# ## Digits


def test_digits_are_the_real_ones():
    from sklearn.datasets import load_digits

    data = load_dataset('digits', image_size=8, image_channels=1)
    real = load_digits()
    assert len(data) == 1797
    assert data.levels == 17
    image, label = data[123]
    assert image.shape == (1, 8, 8)
    assert label == real.target[123]
    np.testing.assert_allclose(image[0].numpy(), real.images[123] / 8 - 1, atol=1e-7)
    assert float(min(data[i][0].min() for i in range(100))) == -1


@pytest.mark.parametrize(('size', 'channels'), [(16, 1), (8, 3), (32, 3)])
def test_digits_in_other_sizes(size, channels):
    data = load_dataset('digits', image_size=size, image_channels=channels)
    assert data[0][0].shape == (channels, size, size)
    assert -1 <= float(data[0][0].min()) < -0.9


# ## Archives


@pytest.mark.parametrize('size', [28, 32, 16])
def test_mnist_from_its_own_files(tmp_path, monkeypatch, no_network, size):
    images, labels = small_mnist(tmp_path, monkeypatch)
    data = load_dataset('mnist', tmp_path, size, 1)
    assert len(data) == 7
    assert data.labels.tolist() == labels.tolist()
    assert data[0][0].shape == (1, size, size)
    if size == 28:
        assert np.array_equal(data.images[:, 0].numpy(), images)
    if size == 32:
        # Padded, not resized: the middle is the image, the rim is black
        assert np.array_equal(data.images[:, 0, 2:-2, 2:-2].numpy(), images)
        assert not data.images[:, 0, :2].any()


def test_cifar10_from_its_archive(tmp_path, monkeypatch, no_network):
    images, labels = small_cifar10(tmp_path, monkeypatch)
    data = load_dataset('cifar10', tmp_path, 32, 3)
    assert np.array_equal(data.images.numpy(), images)
    assert data.labels.tolist() == labels
    x, label = data[3]
    np.testing.assert_allclose(x.numpy(), images[3] / 127.5 - 1, atol=1e-6)
    assert label == labels[3]
    grey = load_dataset('cifar10', tmp_path, 32, 1)
    expected = images[0].transpose(1, 2, 0) @ np.array([0.2989, 0.587, 0.114])
    assert np.abs(grey.images[0, 0].numpy() - expected).max() <= 1
    assert load_dataset('cifar10', tmp_path, 16, 3)[0][0].shape == (3, 16, 16)


ARCHIVES = {
    'mnist': 'MNIST/raw/train-images-idx3-ubyte.gz',
    'fashion_mnist': 'FashionMNIST/raw/train-labels-idx1-ubyte.gz',
    'cifar10': 'cifar-10-python.tar.gz',
    'celeba': 'celeba/img_align_celeba.zip',
}


@pytest.mark.parametrize('name', ARCHIVES)
def test_an_archive_made_anew_is_accepted_by_its_contents(tmp_path, monkeypatch, no_network, name):
    SMALL[name](tmp_path, monkeypatch)
    archives.made_anew(tmp_path / ARCHIVES[name])
    again = load_dataset(name, tmp_path, 32, 3)
    SMALL[name](tmp_path / 'as published', monkeypatch)
    published = load_dataset(name, tmp_path / 'as published', 32, 3)
    assert torch.equal(again.images, published.images)
    assert torch.equal(again.labels, published.labels)


@pytest.mark.parametrize('name', ARCHIVES)
@pytest.mark.parametrize('fault', ['cut off', 'other contents'])
def test_a_damaged_archive_is_refused_and_kept(tmp_path, monkeypatch, no_network, name, fault):
    SMALL[name](tmp_path, monkeypatch)
    archive = tmp_path / ARCHIVES[name]
    content = archive.read_bytes()
    if fault == 'cut off' and name != 'celeba':
        content = content[:-100]
    elif name == 'celeba':
        content = archives.changed_zip(archive, cut_off=fault == 'cut off')
    else:
        # One bit of what is in it; compressed again, so that gzip's own checksum holds
        unpacked = bytearray(gzip.decompress(content))
        unpacked[len(unpacked) // 2 if name == 'cifar10' else -1] ^= 1
        content = gzip.compress(bytes(unpacked))
    archive.write_bytes(content)
    message = rf'{archive} is damaged or not complete: md5 .*Remove it'
    with pytest.raises(ValueError, match=message):
        load_dataset(name, tmp_path, 32, 3)
    assert archive.read_bytes() == content


def test_fashion_mnist_is_found_where_debian_puts_it(tmp_path, monkeypatch, no_network):
    images, labels = small_mnist(tmp_path, monkeypatch, name='FashionMNIST')
    packaged = tmp_path / 'usr'
    (tmp_path / 'FashionMNIST' / 'raw').rename(packaged)
    for path in packaged.iterdir():
        archives.made_anew(path)
    monkeypatch.setitem(datasets.PACKAGED, 'FashionMNIST', packaged)
    data = load_dataset('fashion_mnist', tmp_path / 'data', 28, 1)
    assert np.array_equal(data.images[:, 0].numpy(), images)
    assert data.labels.tolist() == labels.tolist()
    assert not (tmp_path / 'data').exists()


@pytest.mark.skipif(
    not datasets.PACKAGED['FashionMNIST'].exists(), reason='dataset-fashion-mnist not installed'
)
def test_debians_fashion_mnist_is_the_real_one(tmp_path, no_network):
    data = load_dataset('fashion_mnist', tmp_path, 28, 1)
    assert data.labels.bincount().tolist() == [6000] * 10


def test_what_is_not_there_comes_from_the_first_mirror_that_has_it(tmp_path, monkeypatch):
    images, _ = small_mnist(tmp_path / 'mirror', monkeypatch)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / 'mirror')
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = f'http://127.0.0.1:{server.server_port}'
        mirrors = [f'{here}/gone/', f'{here}/MNIST/raw/']
        monkeypatch.setattr(vision().datasets.MNIST, 'mirrors', mirrors)
        data = load_dataset('mnist', tmp_path / 'data', 28, 1)
        server.shutdown()
    assert np.array_equal(data.images[:, 0].numpy(), images)
    there = sorted(p.name for p in (tmp_path / 'data' / 'MNIST' / 'raw').iterdir())
    assert there == [f'{name}.gz' for name in TRAINING_FILES]


@pytest.mark.parametrize('sound', [True, False])
def test_unpacked_files_are_verified_too(tmp_path, monkeypatch, no_network, sound):
    images, _ = small_mnist(tmp_path, monkeypatch)
    for path in (tmp_path / 'MNIST' / 'raw').iterdir():
        content = gzip.decompress(path.read_bytes())
        path.with_suffix('').write_bytes(content if sound else content[:-1])
        path.unlink()
    if sound:
        data = load_dataset('mnist', tmp_path, 28, 1)
        assert np.array_equal(data.images[:, 0].numpy(), images)
    else:
        with pytest.raises(ValueError, match='images-idx3-ubyte is damaged or not complete'):
            load_dataset('mnist', tmp_path, 28, 1)


@pytest.mark.parametrize(
    ('name', 'file', 'md5'),
    [
        ('cifar10', 'cifar-10-python.tar.gz', 'c58f30108f718f92721af3b95e74349a'),
        ('mnist', 'train-images-idx3-ubyte.gz', 'f68b3c2dcbeaaa9fbdd348bbdeb94873'),
        ('fashion_mnist', 'train-images-idx3-ubyte.gz', '8d4fb7e6c68d591d4c3dfef9ec88bf0d'),
        ('celeba', 'img_align_celeba.zip', '00d2c5bc6d35e252742224ab0c1e8fcb'),
    ],
)
def test_without_a_network_the_error_says_what_to_put_where(
    tmp_path, monkeypatch, no_network, name, file, md5
):
    monkeypatch.setattr(datasets, 'PACKAGED', {})
    with pytest.raises(FileNotFoundError) as caught:
        load_dataset(name, tmp_path / 'data', 32, 3)
    message = str(caught.value)
    assert str(tmp_path / 'data') in message
    assert f'{file}  md5 {md5}' in message


# ## CelebA


def test_celeba_by_torchvision_has_its_training_split_and_crop(tmp_path, monkeypatch, no_network):
    small_celeba(tmp_path, monkeypatch)
    data = load_dataset('celeba', tmp_path, 16, 3)
    assert len(data) == 4
    # All green: the crop is the papers', to the pixel (JPEG's blur stays outside the middle)
    inner = data.images[0, :, 1:-1, 1:-1].float()
    assert float(inner[1].min()) > 200
    assert float(inner[2].max()) < 60


@pytest.mark.parametrize('kept_as', ['zip', 'folder', 'hq'])
def test_celeba_as_a_bare_zip_or_folder_of_jpgs(tmp_path, monkeypatch, no_network, kept_as):
    sums = archives.celeba(tmp_path, lists=False)
    archive = tmp_path / 'celeba' / 'img_align_celeba.zip'
    kind = vision().datasets.CelebA
    if kept_as == 'zip':
        real = [(i, sums.get(f, m), f) for i, m, f in kind.file_list]
        monkeypatch.setattr(kind, 'file_list', real)
    else:
        with zipfile.ZipFile(archive) as content:
            content.extractall(tmp_path / 'celeba' / ('' if kept_as == 'folder' else 'hq'))
        archive.unlink()
    assert len(load_dataset('celeba', tmp_path, 16, 3)) == 6


def test_a_quota_page_saved_as_zip_is_recognised(tmp_path, no_network):
    (tmp_path / 'celeba').mkdir()
    (tmp_path / 'celeba' / 'img_align_celeba.zip').write_text('<html>Quota exceeded</html>')
    with pytest.raises(ValueError, match='is no zip file .*quota is used up'):
        load_dataset('celeba', tmp_path, 16, 3)


# ## Folders


def half_and_half(width, height, left, right, mode='RGB'):
    """A picture with two colours, side by side."""
    picture = Image.new(mode, (width, height), right)
    picture.paste(left, (0, 0, width // 2, height))
    return picture


def test_every_ending_in_any_case_at_any_depth(tmp_path):
    endings = ['jpg', 'JPEG', 'Png', 'webp', 'BMP', 'tif', 'TIFF']
    for i, ending in enumerate(endings):
        folder = tmp_path / '/'.join('abc'[: i % 4])
        folder.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (12, 10), (30 * i, 0, 0)).save(folder / f'{i}.{ending}')
    (tmp_path / 'notes.txt').write_text('not a picture')
    (tmp_path / '.hidden.png').write_bytes(b'not one either')
    (tmp_path / '.cache').mkdir()
    (tmp_path / '.cache' / 'x.png').write_bytes(b'nor this')
    data = load_dataset('folder', tmp_path, 8, 3)
    assert len(data) == len(endings)
    assert isinstance(data, Images)


def test_exif_rotation_is_honoured(tmp_path):
    picture = half_and_half(40, 40, (255, 0, 0), (0, 0, 255))
    exif = picture.getexif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90° clockwise to see it upright
    picture.save(tmp_path / 'turned.png', exif=exif)
    pixels = decode(tmp_path / 'turned.png', 8, 3)
    assert (pixels[0, 0] > 200).all()  # the left half has come to the top
    assert (pixels[2, -1] > 200).all()


def test_centre_crop_keeps_the_shape(tmp_path):
    """A wide picture: what is left and right of the middle square is cut, not squeezed."""
    picture = Image.new('RGB', (90, 30), (255, 0, 0))
    picture.paste((0, 255, 0), (30, 0, 60, 30))
    picture.save(tmp_path / 'wide.png')
    pixels = decode(tmp_path / 'wide.png', 10, 3)
    assert not pixels[0].any()
    assert (pixels[1] == 255).all()


def test_resizing_is_antialiased(tmp_path):
    """A fine chequerboard becomes grey; picking every eighth pixel would give black or white."""
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / 'board.png')
    pixels = decode(tmp_path / 'board.png', 8, 1).float()
    assert float((pixels - 127.5).abs().max()) < 8


def test_transparent_pictures_are_put_on_white(tmp_path):
    Image.new('RGBA', (8, 8), (200, 0, 0, 0)).save(tmp_path / 'clear.png')
    assert (decode(tmp_path / 'clear.png', 8, 3) == 255).all()
    palette = Image.new('P', (8, 8), 0)
    palette.putpalette([0, 0, 0] * 256)
    palette.save(tmp_path / 'palette.png', transparency=0)
    assert (decode(tmp_path / 'palette.png', 8, 3) == 255).all()


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    array = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(array).save(tmp_path / 'deep.png')
    pixels = decode(tmp_path / 'deep.png', 8, 1)[0].numpy()
    np.testing.assert_allclose(pixels, array / 257, atol=1)


def ramp(kind, *shape, high=1.0):
    """From 0 at the left to `high` at the right."""
    return np.broadcast_to(np.linspace(0, high, shape[-1]), shape).astype(kind)


def test_numbers_with_a_point_go_from_0_to_1(tmp_path):
    Image.fromarray(ramp(np.float32, 8, 8)).save(tmp_path / 'a.tif')
    pixels = decode(tmp_path / 'a.tif', 8, 1)[0].numpy()
    np.testing.assert_allclose(pixels, ramp(np.float64, 8, 8) * 255, atol=0.5)


@pytest.mark.parametrize(
    ('array', 'message'),
    [
        (ramp(np.float32, 8, 8, high=200), 'with a point from 0 to 200, and need to go from 0'),
        (ramp(np.float32, 8, 8) - 0.5, 'with a point from -0.5 to 0.5'),
        (np.full((8, 8), np.nan, np.float32), 'with a point from nan to nan'),
        (ramp(np.int32, 8, 8, high=255), 'of 32 bits from 0 to 255, and nothing says which one'),
        (ramp(np.uint16, 8, 8, high=255), 'have 16 bits and go up to 255 only'),
    ],
)
def test_numbers_without_a_known_white_are_refused(tmp_path, array, message):
    Image.fromarray(array).save(tmp_path / 'a.tif')
    with pytest.raises(ValueError, match=rf'a.tif cannot be read as a picture .*{message}'):
        decode(tmp_path / 'a.tif', 8, 1)


def test_a_deep_tiff_whose_zero_is_white_is_turned_round(tmp_path):
    array = ramp(np.uint16, 8, 8, high=65535)
    Image.fromarray(array).save(tmp_path / 'a.tif', tiffinfo={262: 0})
    pixels = decode(tmp_path / 'a.tif', 8, 1)[0].numpy()
    np.testing.assert_allclose(pixels, 255 - array / 257, atol=1)


@pytest.mark.parametrize('faces', [False, True])
def test_only_celebas_faces_have_their_crop(tmp_path, faces):
    """A photograph that happens to be 178 × 218 keeps what the centre crop leaves it."""
    picture = Image.new('L', (178, 218), 255)
    picture.paste(0, (25, 57, 153, 185))
    picture.save(tmp_path / 'a.png')
    assert bool(decode(tmp_path / 'a.png', 8, 1, faces=faces).any()) is not faces
    (data,) = load_dataset('folder', tmp_path, 8, 1)
    assert float(data[0].max()) > 0


def test_grey_and_cmyk_pictures_become_what_is_asked_for(tmp_path):
    Image.new('L', (8, 8), 77).save(tmp_path / 'grey.png')
    assert (decode(tmp_path / 'grey.png', 8, 3) == 77).all()
    Image.new('CMYK', (8, 8), (0, 0, 0, 0)).save(tmp_path / 'print.jpg')
    assert (decode(tmp_path / 'print.jpg', 8, 1) > 250).all()


@pytest.mark.parametrize('content', [b'', b'not a picture', None])
def test_an_unreadable_picture_is_named(tmp_path, content):
    Image.effect_noise((64, 64), 60).save(tmp_path / 'good.jpg')
    if content is None:  # cut off in the middle
        content = (tmp_path / 'good.jpg').read_bytes()[:600]
    (tmp_path / 'bad.jpg').write_bytes(content)
    with pytest.raises(ValueError, match=rf'{tmp_path}/bad.jpg cannot be read as a picture'):
        load_dataset('folder', tmp_path, 8, 3)


def test_a_page_of_postscript_is_no_picture_and_no_program_sees_it(tmp_path, monkeypatch):
    from PIL import EpsImagePlugin

    started = []
    monkeypatch.setattr(EpsImagePlugin, 'Ghostscript', lambda *a, **_: started.append(a))
    page = '%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n'
    (tmp_path / 'page.png').write_text(page)
    with pytest.raises(ValueError, match=r"page.png cannot .*; it begins with b'%!PS-Adobe"):
        decode(tmp_path / 'page.png', 8, 3)
    assert not started


def test_an_empty_picture_is_called_empty(tmp_path):
    (tmp_path / 'a.png').write_bytes(b'')
    with pytest.raises(ValueError, match=r'a.png cannot be read as a picture \(it is empty\)'):
        decode(tmp_path / 'a.png', 8, 3)


@pytest.mark.parametrize(
    'error', [struct.error('short'), zlib.error('bad'), EOFError(), MemoryError(), IndexError()]
)
def test_whatever_a_decoder_fails_with_the_picture_is_named(tmp_path, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(Image, 'open', fail)
    with pytest.raises(BadPicture, match=r'a.png cannot be read as a picture \(.+\): mend or'):
        decode(tmp_path / 'a.png', 8, 3)


@pytest.mark.filterwarnings('ignore')  # Pillow says more about them than their errors
@pytest.mark.parametrize('ending', ['jpg', 'png', 'webp', 'bmp', 'tif'])
def test_damaged_pictures_are_read_or_refused(tmp_path, ending):
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8)).save(tmp_path / f'a.{ending}')
    content = np.frombuffer((tmp_path / f'a.{ending}').read_bytes(), np.uint8)
    bad = tmp_path / f'bad.{ending}'
    for _ in range(60):
        damaged = content[: random.integers(1, len(content) + 1)].copy()
        damaged[random.integers(0, min(len(damaged), 120), 3)] = random.integers(0, 256, 3)
        bad.write_bytes(damaged.tobytes())
        with contextlib.suppress(BadPicture):
            assert decode(bad, 8, 3).shape == (3, 8, 8)


@pytest.mark.parametrize('n_workers', [0, 2])
def test_a_bad_picture_is_named_when_its_batch_is_met(tmp_path, n_workers):
    for i in range(6):
        Image.new('L', (8, 8), 40 * i).save(tmp_path / f'{i}.png')
    (tmp_path / '6.png').write_bytes(b'')
    files = Files('folder', sorted(tmp_path.iterdir()), 8, 1)
    good = next(i for i, batch in enumerate(IndexStream(7, 2, seed=0)) if 6 in batch)
    data = batches(files, 2, n_workers=n_workers)
    for _ in range(good):
        next(data)
    with pytest.raises(BadPicture, match=rf'^{tmp_path}/6.png cannot be read'):
        next(data)


@pytest.mark.parametrize('keep', [0, datasets.KEEP_BYTES])
def test_bad_pictures_can_be_left_out_and_are_part_of_the_fingerprint(tmp_path, monkeypatch, keep):
    monkeypatch.setattr(datasets, 'KEEP_BYTES', keep)
    for i in range(3):
        Image.new('L', (8, 8), 80 * i).save(tmp_path / f'{i}.png')
    clean = datasets.fingerprint(load_dataset('folder', tmp_path, 8, 1, bad_pictures='skip'))
    assert 'skipped' not in clean
    bad = tmp_path / f'1{os.fsdecode(bytes([233]))}.png'
    bad.write_bytes(b'')
    data = load_dataset('folder', tmp_path, 8, 1, bad_pictures='skip')
    assert [float(data[i][0].mean()) for i in range(len(data))] == pytest.approx(
        [-1, 80 / 127.5 - 1, 160 / 127.5 - 1]
    )
    assert data.skipped == [bad]
    crc = zlib.crc32(os.fsencode(bad.name))
    assert datasets.fingerprint(data) == {**clean, 'skipped': 1, 'crc32_of_skipped': crc}


def test_a_folder_without_a_sound_picture_is_refused(tmp_path):
    (tmp_path / 'a.png').write_bytes(b'')
    with pytest.raises(BadPicture, match=r'none of the 1 pictures can be read: .*a.png'):
        load_dataset('folder', tmp_path, 8, 1, bad_pictures='skip')


def test_what_cannot_be_done_with_bad_pictures_is_refused(tmp_path):
    with pytest.raises(ValueError, match="bad_pictures='ignore' is not known: use refuse or skip"):
        load_dataset('folder', tmp_path, 8, 1, bad_pictures='ignore')


def folder_of_classes(root):
    """Two pictures a class, as bright as their class is far in the alphabet."""
    for i, name in enumerate(('cat', 'dog', 'emu')):
        for j in range(2):
            path = root / name / ('x' * j) / f'{i}{j}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new('L', (8, 8), 100 * i).save(path)


@pytest.mark.parametrize('keep', [0, datasets.KEEP_BYTES])
def test_a_folder_can_be_a_class(tmp_path, monkeypatch, keep):
    monkeypatch.setattr(datasets, 'KEEP_BYTES', keep)
    folder_of_classes(tmp_path)
    data = load_dataset('folder', tmp_path, 8, 1, by_class=True)
    assert [data[i][1] for i in range(6)] == [0, 0, 1, 1, 2, 2]
    x0, labels = next(batches(data, 6))
    torch.testing.assert_close(x0[:, 0, 0, 0], labels * 100 / 127.5 - 1)
    assert datasets.fingerprint(data)['classes'] == ['cat', 'dog', 'emu']
    datasets.check_classes(data, 3)
    with pytest.raises(ValueError, match='folder has 3 folders with pictures, .*: cat, dog, emu'):
        datasets.check_classes(data, 4)
    Image.new('L', (8, 8)).save(tmp_path / 'stray.png')
    with pytest.raises(ValueError, match=r'stray.png is in no class: .*Move it into one'):
        load_dataset('folder', tmp_path, 8, 1, by_class=True)


def test_a_class_has_a_name_and_a_number():
    names = ['cat', '7']
    found = [datasets.class_number(text, names, -1) for text in ('cat', '7', '3', 'none', '-1')]
    assert found == [0, 1, 3, -1, -1]
    with pytest.raises(
        ValueError, match="need one of the classes cat, 7, or a whole number, got 'dog'"
    ):
        datasets.class_number('dog', names, -1)


def test_each_real_folder_is_walked_once(tmp_path):
    """Links to itself, to its parents and to each other, and one that leads out to new pictures."""
    root, aside = tmp_path / 'root', tmp_path / 'aside'
    for folder in (root / 'a', root / 'b', aside):
        folder.mkdir(parents=True)
        Image.new('L', (8, 8)).save(folder / 'x.png')
    (root / 'self').symlink_to(root)
    (root / 'a' / 'up').symlink_to(root)
    (root / 'a' / 'b').symlink_to(root / 'b')
    (root / 'b' / 'a').symlink_to(root / 'a')
    (root / 'out').symlink_to(aside)
    (aside / 'back').symlink_to(root)
    found = sorted(p.relative_to(root).as_posix() for p in datasets.pictures_below(root))
    assert found == ['a/x.png', 'b/x.png', 'out/x.png']


def test_a_pipe_or_socket_with_the_name_of_a_picture_is_none(tmp_path, monkeypatch):
    Image.new('L', (8, 8)).save(tmp_path / 'a.png')
    os.mkfifo(tmp_path / 'pipe.png')
    monkeypatch.chdir(tmp_path)  # a socket's path has to be short
    with socket.socket(socket.AF_UNIX) as end:
        end.bind('socket.png')
        assert [p.name for p in datasets.pictures_below(tmp_path)] == ['a.png']


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    (tmp_path / 'lost.png').symlink_to(tmp_path / 'gone.png')
    with pytest.raises(ValueError, match=r'lost.png cannot be read as a picture .*No such file'):
        load_dataset('folder', tmp_path, 8, 3)


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    """Root may read everything, so the refusal of the system is a made-up one."""
    Image.new('L', (8, 8)).save(tmp_path / 'a.png')
    closed, real = tmp_path / 'closed', os.scandir
    closed.mkdir()

    def scandir(path):
        if Path(path) == closed:
            raise PermissionError(13, 'Permission denied', str(path))
        return real(path)

    monkeypatch.setattr(os, 'scandir', scandir)
    with pytest.raises(ValueError, match=rf'folder {closed} cannot be read \(Permission denied'):
        load_dataset('folder', tmp_path, 8, 3)


def test_names_that_are_not_utf_8_work_in_small_and_large_folders(tmp_path, monkeypatch):
    for name in (b'caf\xe9.png', 'caf\u00e9.png'.encode()):
        Image.new('L', (8, 8)).save(tmp_path / os.fsdecode(name), format='png')
    assert datasets.fingerprint(load_dataset('folder', tmp_path, 8, 1))['images'] == 2
    monkeypatch.setattr(datasets, 'KEEP_BYTES', 0)
    large = load_dataset('folder', tmp_path, 8, 1)
    names = b'\n'.join(os.fsencode(p.name) for p in large.paths)
    assert datasets.fingerprint(large)['crc32_of_names'] == zlib.crc32(names)
    (tmp_path / os.fsdecode(b'bad\xe9.png')).write_bytes(b'')
    with pytest.raises(ValueError, match=r'it is empty'):
        load_dataset('folder', tmp_path, 8, 1).in_memory()


def test_folders_that_will_not_do_are_described(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=rf'{tmp_path}/gone is not a folder: {tmp_path} has'
    ):
        load_dataset('folder', tmp_path / 'gone', 8, 3)
    with pytest.raises(FileNotFoundError, match=rf'no pictures below {tmp_path}: it has nothing'):
        load_dataset('folder', tmp_path, 8, 3)
    for i in range(9):
        (tmp_path / f'{i}.txt').write_text('')
    with pytest.raises(
        FileNotFoundError, match=r'0.txt, 1.txt, .* and 3 more\. What counts is .jpg'
    ):
        load_dataset('folder', tmp_path, 8, 3)


def test_many_pictures_are_left_in_their_files(tmp_path, monkeypatch):
    Image.new('RGB', (8, 8), (255, 0, 0)).save(tmp_path / 'a.png')
    monkeypatch.setattr(datasets, 'KEEP_BYTES', 0)
    data = load_dataset('folder', tmp_path, 8, 3)
    assert isinstance(data, Files)
    image, label = data[0]
    assert image[:, 0, 0].tolist() == [1.0, -1.0, -1.0]
    assert label == 0


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('imagenet', 'x', 8, 3), "dataset='imagenet' is not known: use one of digits, mnist"),
        (('digits', 'x', 8, 2), 'image_channels=2: use 1 for grey or 3'),
        (('digits', 'x', 0, 1), 'image_size=0'),
    ],
)
def test_what_is_no_data_set_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_dataset(*arguments)


def test_labels_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match='has 3 images and 2 labels'):
        Images('x', torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.zeros(2))


# ## Batches


def test_every_image_once_an_epoch_in_another_order():
    stream = IndexStream(10, 4, seed=0)
    indices = list(itertools.chain(*itertools.islice(stream, 10)))
    epochs = [indices[i : i + 10] for i in range(0, 40, 10)]
    assert all(sorted(e) == list(range(10)) for e in epochs)
    assert len({tuple(e) for e in epochs}) == 4


@pytest.mark.parametrize('n', [1, 3, 10, 100])
def test_a_batch_follows_from_seed_and_step(n):
    straight = list(itertools.islice(IndexStream(n, 7, seed=5), 12))
    for start in (1, 4, 11):
        assert next(iter(IndexStream(n, 7, seed=5, start=start))) == straight[start]
    assert n == 1 or straight != list(itertools.islice(IndexStream(n, 7, seed=6), 12))


def test_batches_are_images_and_their_labels():
    images = torch.arange(20, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2)
    data = Images('x', images, torch.arange(20))
    x0, labels = next(batches(data, 8, seed=1))
    assert x0.shape == (8, 1, 2, 2)
    torch.testing.assert_close(x0[:, 0, 0, 0], labels / 127.5 - 1)


def test_half_of_the_images_are_mirrored():
    images = torch.tensor([[[[0, 255]]]], dtype=torch.uint8)
    x0, _ = next(batches(Images('x', images), 1000, flip=True))
    mirrored = int((x0[:, 0, 0, 0] == 1).sum())
    assert abs(mirrored - 500) < 4 * 250**0.5
    x0, _ = next(batches(Images('x', images), 1000))
    assert (x0[:, 0, 0, 0] == -1).all()


@pytest.mark.parametrize('n_workers', [0, 2])
def test_files_and_memory_give_the_same_batches(tmp_path, n_workers):
    for i in range(6):
        Image.new('L', (8, 8), 40 * i).save(tmp_path / f'{i}.png')
    files = Files('folder', sorted(tmp_path.iterdir()), 8, 1)
    from_files = batches(files, 4, seed=2, start=3, n_workers=n_workers)
    from_memory = batches(files.in_memory(), 4, seed=2, start=3)
    for _ in range(3):
        (a, _), (b, _) = next(from_files), next(from_memory)
        assert torch.equal(a, b)
    from_files.close()


# ## Training


def test_each_data_set_has_a_small_one():
    assert SMALL.keys() == datasets.DATASETS.keys()


@pytest.mark.parametrize('name', SMALL)
def test_two_steps_on_each_data_set(tmp_path, monkeypatch, no_network, name):
    """From the files through the command to checkpoint and pictures, as a user trains."""
    (tmp_path / 'data').mkdir()
    SMALL[name](tmp_path / 'data', monkeypatch)
    status, _, errors = called(
        main, '--preset', 'tests', '--dataset', name, '--data_root', tmp_path / 'data',
        '--image_size', 16, '--image_channels', 1 if 'mnist' in name else 3, '--flip', True,
        '--steps', 2, '--batch_size', 4, '--n_previews', 0, '--device', 'cpu', '--track', 'none',
        '--out', tmp_path / 'run',
    )  # fmt: skip
    assert status == 0, errors
    assert checkpoint.load(tmp_path / 'run')['step'] == 2
    assert (tmp_path / 'run' / 'samples.png').is_file()
