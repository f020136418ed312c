"""Small archives in the real formats of the data sets, byte for byte as torchvision reads them."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def md5_unpacked(path: Path) -> str:
    return hashlib.md5(gzip.decompress(path.read_bytes())).hexdigest()


def mnist(
    root: Path, n: int = 7, name: str = 'MNIST'
) -> tuple[dict[str, str], np.ndarray, np.ndarray]:
    """The four idx files of MNIST, gzipped, in `root/MNIST/raw`; Fashion-MNIST's are alike."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
    labels = rng.integers(0, 10, n, dtype=np.uint8)
    folder = root / name / 'raw'
    folder.mkdir(parents=True)
    files = {}
    for split in ('train', 't10k'):
        for name, array in (('images-idx3', images), ('labels-idx1', labels)):
            header = struct.pack('>BBBB', 0, 0, 8, array.ndim) + struct.pack(
                f'>{array.ndim}I', *array.shape
            )
            path = folder / f'{split}-{name}-ubyte.gz'
            path.write_bytes(gzip.compress(header + array.tobytes()))
            files[path.name] = md5(path)
    return files, images, labels


def made_anew(path: Path) -> None:
    """The same contents in other bytes, as when somebody else had compressed them."""
    before = path.read_bytes()
    if path.suffix == '.zip':
        with zipfile.ZipFile(path) as archive:
            content = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
            for name, data in content.items():
                archive.writestr(name, data)
    else:
        path.write_bytes(gzip.compress(gzip.decompress(before), 1, mtime=1))
    assert path.read_bytes() != before


def changed_zip(path: Path, *, cut_off: bool) -> bytes:
    """A zip of which the last file is missing, or has a byte that its checksum does not know."""
    content = path.read_bytes()
    if not cut_off:
        at = content.index(b'\xff\xd8')  # where a jpg begins, stored as it is
        return content[:at] + b'\0' + content[at + 1 :]
    short = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(short, 'w') as other:
        for name in archive.namelist()[:-1]:
            other.writestr(name, archive.read(name))
    return short.getvalue()


def cifar10(root: Path, n: int = 4) -> tuple[dict[str, str], np.ndarray, list[int]]:
    """`cifar-10-python.tar.gz` with five training batches of `n` images; its parts' checksums."""
    rng = np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    sums, images, labels = {}, [], []
    with tarfile.open(root / 'cifar-10-python.tar.gz', 'w:gz') as tar:
        for name in [*(f'data_batch_{i}' for i in range(1, 6)), 'test_batch']:
            data = rng.integers(0, 256, (n, 3072), dtype=np.uint8)
            batch_labels = rng.integers(0, 10, n).tolist()
            if name != 'test_batch':
                images.append(data.reshape(n, 3, 32, 32))
                labels += batch_labels
            sums[name] = add(tar, name, {'data': data, 'labels': batch_labels})
        sums['batches.meta'] = add(tar, 'batches.meta', {'label_names': list('abcdefghij')})
    return sums, np.concatenate(images), labels


def add(tar: tarfile.TarFile, name: str, content: dict) -> str:
    data = pickle.dumps(content, protocol=2)
    info = tarfile.TarInfo(f'cifar-10-batches-py/{name}')
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
    return hashlib.md5(data).hexdigest()


def celeba(root: Path, n: int = 6, *, lists: bool = True) -> dict[str, str]:
    """`img_align_celeba.zip` and the lists beside it, in `root/celeba`; their checksums."""
    folder = root / 'celeba'
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / 'img_align_celeba.zip', 'w') as archive:
        for i in range(n):
            picture = Image.new('RGB', (178, 218), (0, 0, 255))
            # A green square where the papers' crop is: rows 57..184, columns 25..152
            picture.paste((0, 255, 0), (25, 57, 153, 185))
            data = io.BytesIO()
            picture.save(data, 'JPEG', quality=95)
            archive.writestr(f'img_align_celeba/{i + 1:06}.jpg', data.getvalue())
    if lists:
        names = [f'{i + 1:06}.jpg' for i in range(n)]
        split = [0] * (n - 2) + [1, 2]
        write = {
            'list_eval_partition.txt': [f'{a} {b}' for a, b in zip(names, split, strict=True)],
            'identity_CelebA.txt': [f'{a} 1' for a in names],
            'list_attr_celeba.txt': [str(n), 'Smiling Young', *(f'{a}  1 -1' for a in names)],
            'list_bbox_celeba.txt': [str(n), 'id x y w h', *(f'{a} 1 2 3 4' for a in names)],
            'list_landmarks_align_celeba.txt': [str(n), 'a b', *(f'{a} 1 2' for a in names)],
        }
        for name, lines in write.items():
            (folder / name).write_text('\n'.join(lines) + '\n')
    return {p.name: md5(p) for p in folder.iterdir()}
