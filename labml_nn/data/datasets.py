r"""
---
title: Data sets
summary: Digits, MNIST, CIFAR-10, CelebA or a folder of pictures, as images in [-1, 1].
---

# Data sets

| name | images | from |
|---|---|---|
| `digits` | 1,797 handwritten digits, 8 × 8, 17 grey levels | comes inside scikit-learn |
| `mnist`, `fashion_mnist` | 60,000, 28 × 28, padded to 32 × 32 on request | torchvision, Debian |
| `cifar10` | 50,000, 32 × 32, colour | torchvision |
| `celeba` | 162,770 faces (or any folder of CelebA or CelebA-HQ jpgs) | torchvision |
| `folder` | every picture below a folder | yours |

A data set gives `(image in [-1, 1], label)`, the label being 0 where there is none. What lies in
`data_root` is used; what does not is downloaded; when that fails, the error names the file, its
checksum and where to put it. On Debian and Ubuntu, `apt-get install dataset-fashion-mnist` brings
Fashion-MNIST whole, and it is found where the package puts it.

**Archives are known by what is in them**
[tested](test:data/test_datasets.py::test_an_archive_made_anew_is_accepted_by_its_contents). Who
packs a data set anew, as Debian does, compresses it anew, and the archive has another checksum. It
is accepted if the unpacked bytes have the right one, and called damaged if they have not
[tested](test:data/test_datasets.py::test_a_damaged_archive_is_refused_and_kept).

> **Small sets are decoded once** and kept as bytes. On a GPU they are kept in its memory: then a
> batch is one indexing operation, and the loader that users see eating half of their training
> time is gone.
"""

import gzip
import hashlib
import importlib.util
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from labml_nn.data.decode import BadPicture as BadPicture
from labml_nn.data.decode import decode as decode
from labml_nn.data.files import refuse_unless_allowed, written
from labml_nn.data.vision import vision

# What counts as a picture in a folder, in any case of the letters
EXTENSIONS = ('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff')

# What people take for pictures, and is not read here
OTHER_PICTURES = (
    '.heic', '.heif', '.avif', '.gif', '.jfif', '.jp2', '.jxl', '.svg', '.psd', '.dng', '.cr2',
    '.nef',
)  # fmt: skip

# What to do with a file that cannot be read
BAD_PICTURES = ('refuse', 'skip')

# A folder whose decoded pictures take no more than this is decoded once and kept
KEEP_BYTES = 512 * 2**20


def to_unit_range(images: Tensor, levels: int = 256) -> Tensor:
    r"""
    Grey levels `0 .. levels-1` to $[-1, 1]$.

    > **Why $[-1, 1]$?** See [DenoiseDiffusion](../diffusion/ddpm/index.html): the forward process
    > ends in noise of mean 0, so the data has to be centred.
    """
    return images.float() * (2 / (levels - 1)) - 1


class Images(Dataset[tuple[Tensor, int]]):
    r"""
    ## Images in memory

    * `images` grey levels `0 .. levels-1`, uint8, `[n, channels, height, width]`
    * `labels` int64, `[n]`; zeros when there are none
    """

    skipped: Sequence[Path] = ()  # pictures left out, as they could not be read
    classes: Sequence[str] = ()  # the names of the labels, where a folder is a class
    paths: Sequence[Path] = ()  # the files that the images are from, where each has its own

    def __init__(self, name: str, images: Tensor, labels: Tensor | None = None, levels: int = 256):
        self.name = name
        self.images = images
        self.labels = torch.zeros(len(images), dtype=torch.int64) if labels is None else labels
        if len(self.labels) != len(images):
            raise ValueError(f'{name} has {len(images)} images and {len(self.labels)} labels')
        self.levels = levels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return to_unit_range(self.images[i], self.levels), int(self.labels[i])


@dataclass
class Files(Dataset[tuple[Tensor, int]]):
    r"""
    ## Images that are decoded when they are asked for
    """

    name: str
    paths: Sequence[Path]
    image_size: int
    image_channels: int
    levels: int = 256
    faces: bool = False  # cut CelebA's aligned pictures as papers do
    skipped: Sequence[Path] = ()  # pictures left out, as they could not be read
    labels: Tensor | None = None  # int64, one for each picture; all 0 when not given
    classes: Sequence[str] = ()  # their names

    def __len__(self) -> int:
        return len(self.paths)

    def pixels(self, i: int) -> Tensor:
        r"""
        Picture `i` as uint8, `[channels, height, width]`.
        """
        return decode(self.paths[i], self.image_size, self.image_channels, faces=self.faces)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return to_unit_range(self.pixels(i)), 0 if self.labels is None else int(self.labels[i])

    def in_memory(self) -> Images:
        r"""
        All of them decoded, by as many threads as there are cores (decoders release Python's lock).
        """
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            pixels = torch.stack(list(pool.map(self.pixels, range(len(self)))))
        images = Images(self.name, pixels, self.labels)
        images.skipped, images.classes, images.paths = self.skipped, self.classes, self.paths
        return images

    def by_class(self, root: Path) -> 'Files':
        r"""
        The pictures with labels: each folder in `root` is a class, in the order of the names.

        Raises `ValueError` for a picture that lies in none.
        """
        parts = [p.relative_to(root).parts for p in self.paths]
        for path, names in zip(self.paths, parts, strict=True):
            if len(names) == 1:
                raise ValueError(
                    f'{path.absolute()} is in no class: with n_classes, each class has a folder of '
                    f'its own in {root.absolute()}. Move it into one, or use n_classes=0'
                )
        classes = sorted({names[0] for names in parts})
        labels = torch.tensor([classes.index(names[0]) for names in parts])
        return replace(self, labels=labels, classes=classes)

    def sound(self) -> 'Files':
        r"""
        Those that can be read, found by decoding all of them.

        Raises `BadPicture` when there is none.
        """
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            faults = list(pool.map(self.fault, range(len(self))))
        paths = [p for p, fault in zip(self.paths, faults, strict=True) if fault is None]
        if not paths:
            raise BadPicture(f'none of the {len(self):,} pictures can be read: {faults[0]}')
        skipped = [p for p, fault in zip(self.paths, faults, strict=True) if fault is not None]
        return replace(self, paths=paths, skipped=skipped)

    def fault(self, i: int) -> BadPicture | None:
        r"""
        What is wrong with picture `i`, if anything is.
        """
        try:
            self.pixels(i)
        except BadPicture as error:
            return error
        return None


AnySet = Images | Files


def data_images(dataset: AnySet, at: range) -> Tensor:
    r"""
    Images of a data set in $[-1, 1]$, `[n, channels, height, width]`.
    """
    if isinstance(dataset, Images):
        return to_unit_range(dataset.images[at.start : at.stop : at.step], dataset.levels)
    return torch.stack([dataset[i][0] for i in at])


def load_dataset(
    name: str,
    root: str | Path = 'data',
    image_size: int = 32,
    image_channels: int = 3,
    *,
    bad_pictures: str = 'refuse',
    by_class: bool = False,
) -> AnySet:
    r"""
    ## Load a data set by name

    * `root` where archives are looked for and downloaded to; for `folder`, the pictures
    * `image_size` the side of the images, in pixels
    * `image_channels` 1 for grey, 3 for colour; pictures are converted
    * `bad_pictures` `skip` leaves out files that cannot be read, which has all of them decoded
      first; with `refuse`, the first that is met is an error
    * `by_class` for `folder`, whether each folder in it is a class

    Raises `ValueError` for an unknown name or number, and `FileNotFoundError` or `ValueError` when
    the data is not there, not complete or not readable.
    """
    if name not in DATASETS:
        raise ValueError(f'dataset={name!r} is not known: use one of {", ".join(DATASETS)}')
    if image_channels not in (1, 3):
        raise ValueError(f'image_channels={image_channels}: use 1 for grey or 3 for colour')
    if image_size < 1:
        raise ValueError(f'image_size={image_size}: need at least one pixel')
    check_bad_pictures(bad_pictures)
    dataset = DATASETS[name](Path(root), image_size, image_channels)
    if isinstance(dataset, Images):
        return dataset
    if bad_pictures == 'skip':
        dataset = dataset.sound()
    if by_class and name == 'folder':
        dataset = dataset.by_class(Path(root))
    return in_memory_if_small(dataset)


def check_bad_pictures(choice: str) -> None:
    r"""
    A `ValueError` for what cannot be done with pictures that cannot be read.
    """
    if choice not in BAD_PICTURES:
        raise ValueError(f'bad_pictures={choice!r} is not known: use {" or ".join(BAD_PICTURES)}')


def class_number(text: str, classes: Sequence[str], none: int) -> int:
    r"""
    The label that a class is named by, or its number; `none` for the word.
    """
    if text in classes:
        return classes.index(text)
    if text == 'none':
        return none
    if not text.lstrip('-').isdecimal():
        known = f'one of the classes {", ".join(classes)}, or ' if classes else ''
        raise ValueError(f'label: need {known}a whole number, got {text!r}')
    return int(text)


def check_classes(dataset: AnySet, n_classes: int) -> None:
    r"""
    A `ValueError` unless the images have labels, all of them in `0 .. n_classes-1`.
    """
    if dataset.classes and len(dataset.classes) != n_classes:
        raise ValueError(
            f'n_classes={n_classes}: {dataset.name} has {len(dataset.classes)} folders with '
            f'pictures, each a class: {", ".join(dataset.classes)}'
        )
    labels = torch.zeros(1, dtype=torch.int64) if dataset.labels is None else dataset.labels
    low, high = int(labels.min()), int(labels.max())
    if low == high:
        raise ValueError(
            f'n_classes={n_classes}: {dataset.name} has no labels, so a model cannot be told any: '
            f'train with n_classes=0, or on a set that has them (digits, mnist, fashion_mnist, '
            f'cifar10, or a folder with two folders or more, each a class)'
        )
    if low < 0 or high >= n_classes:
        raise ValueError(
            f'n_classes={n_classes}: the labels of {dataset.name} go from {low} to {high}, which '
            f'needs n_classes={high + 1}'
        )


# ## Digits
def digits(_: Path, image_size: int, image_channels: int) -> Images:
    r"""
    The optical recognition set of scikit-learn: 1,797 real digits by 43 writers.
    """
    table = digits_table()
    images = torch.from_numpy(table[:, :64]).to(torch.uint8).view(-1, 1, 8, 8)  # 0..16
    labels = torch.from_numpy(table[:, 64]).to(torch.int64)
    levels = 17
    if image_size != 8:
        # Resizing makes levels in between, so there must be some
        images, levels = (images * (255 / 16)).round().to(torch.uint8), 256
    return Images('digits', fit(images, image_size, image_channels), labels, levels)


def digits_table() -> np.ndarray:
    r"""
    A row for each digit: 64 pixels of 0 to 16, and which digit it is.

    Read from scikit-learn's file: importing scikit-learn takes two seconds, reading a tenth of one.
    """
    found = importlib.util.find_spec('sklearn')
    if found is not None and found.origin is not None:
        file = Path(found.origin).parent / 'datasets' / 'data' / 'digits.csv.gz'
        if file.exists():
            return np.loadtxt(file, delimiter=',', dtype=np.uint8)
    from sklearn.datasets import load_digits

    data = load_digits()
    return np.column_stack([data.data, data.target])


# ## MNIST and Fashion-MNIST
#
# torchvision knows the checksums of the archives. These are those of the files in them.
IDX_CONTENTS = {
    'MNIST': {
        'train-images-idx3-ubyte': '6bbc9ace898e44ae57da46a324031adb',
        'train-labels-idx1-ubyte': 'a25bea736e30d166cdddb491f175f624',
        't10k-images-idx3-ubyte': '2646ac647ad5339dbf082846283269ea',
        't10k-labels-idx1-ubyte': '27ae3e4e09519cfbb04c329615203637',
    },
    'FashionMNIST': {
        'train-images-idx3-ubyte': 'f4a8712d7a061bf5bd6d2ca38dc4d50a',
        'train-labels-idx1-ubyte': '9018921c3c673c538a1fc5bad174d6f9',
        't10k-images-idx3-ubyte': '8181f5470baa50b63fa0f6fddb340f0a',
        't10k-labels-idx1-ubyte': '15d484375f8d13e6eb1aabb0c3f46965',
    },
}

# Where an operating system's package puts them: Debian's is called dataset-fashion-mnist
PACKAGED = {'FashionMNIST': Path('/usr/share/datasets/fashion-mnist')}


def idx_set(
    class_name: str, root: Path, image_size: int, image_channels: int, *, part: str = 'train'
) -> Images:
    r"""
    A set in the idx format of MNIST, packed or not, from `root`, from a package of the operating
    system, or from the network.

    * `part` `train`, or `t10k` for the 10,000 images of the test set
    """
    kind = getattr(vision().datasets, class_name)
    folder = root / class_name / 'raw'
    places = [folder, *(p for n, p in PACKAGED.items() if n == class_name)]
    archives = dict(kind.resources)

    def values(name: str, contents: str) -> np.ndarray:
        archive = f'{name}.gz'
        paths = (place / file for place in places for file in (archive, name))
        path = next((p for p in paths if p.is_file()), None)
        if path is None:
            fetch = partial(from_mirror, kind, archive, folder)
            path = downloaded(fetch, class_name, folder, archives)
        return idx_values(verified(path, archives[archive], contents))

    files = [f for f in IDX_CONTENTS[class_name].items() if f[0].startswith(part)]
    images, labels = (torch.from_numpy(values(*file)) for file in files)
    return Images(class_name, fit(images[:, None], image_size, image_channels), labels.long())


def from_mirror(kind: Any, file: str, folder: Path) -> Path:
    r"""
    Download one file of a torchvision class into `folder`, from the first place that gives it.
    """
    errors = []
    for mirror in kind.mirrors:
        try:
            url, md5 = f'{mirror}{file}', dict(kind.resources)[file]
            vision().datasets.utils.download_url(url, str(folder), file, md5)
            return folder / file
        except (OSError, RuntimeError) as error:
            errors.append(f'{url}: {error}')
    raise OSError('; '.join(errors))


def verified(path: Path, archive: str, contents: str) -> bytes:
    r"""
    What is in a file, gzipped or not, if one of two md5 says that it is right.

    Raises `ValueError` for other bytes.
    """
    packed = path.read_bytes()
    found = [md5_of(packed)]
    try:
        unpacked = gzip.decompress(packed) if path.suffix == '.gz' else packed
        found += [md5_of(unpacked)] if path.suffix == '.gz' else []
    except (OSError, EOFError, zlib.error):
        raise damaged(path, found, [archive, contents]) from None
    if not {archive, contents} & set(found):
        raise damaged(path, found, [archive, contents])
    return unpacked


def idx_values(content: bytes) -> np.ndarray:
    r"""
    The bytes of an idx file in their shape: two zeros, the code of uint8, the number of dimensions,
    each of them as four bytes, the largest first.
    """
    shape = struct.unpack_from(f'>{content[3]}I', content, 4)
    return np.frombuffer(bytearray(content), np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def md5_of(content: bytes) -> str:
    r"""
    The checksum that data sets are published with; it is no protection against forgery.
    """
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def damaged(path: Path, found: Sequence[str | None], need: Sequence[str | None]) -> ValueError:
    r"""
    The error for a file that is there and is not what it has to be.

    torchvision would download over it; it may have cost its owner an hour.
    """
    unpacked = ', unpacked '
    return ValueError(
        f'{path.absolute()} is damaged or not complete: md5 {unpacked.join(map(str, found))}, need '
        f'{unpacked.join(map(str, need))} ({path.stat().st_size:,} bytes). Remove it to download '
        f'it again'
    )


T = TypeVar('T')


def downloaded(fetch: Callable[[], T], name: str, folder: Path, files: dict[str, str | None]) -> T:
    r"""
    What `fetch` downloads into `folder`.

    Raises `FileNotFoundError` when it cannot be had, and says what to put where.
    """
    refuse_unless_allowed(name, folder)
    try:
        return fetch()
    except Exception as error:  # no network, no permission, a server's quota page …
        wanted = '\n'.join(f'  {file}  md5 {md5}' for file, md5 in files.items())
        raise FileNotFoundError(
            f'{name} is not in {folder.absolute()} and could not be downloaded ({error}). '
            f'Get these files elsewhere and put them there:\n{wanted}'
        ) from error


def found_or_downloaded(
    make: Callable[..., Any], name: str, folder: Path, files: dict[str, str | None]
) -> Any:
    r"""
    One of torchvision's data sets, downloaded first if it is not in `folder`.
    """
    try:
        return make(download=False)
    except RuntimeError:  # torchvision's way to say that it is not there
        return downloaded(partial(make, download=True), name, folder, files)


# ## CIFAR-10
def cifar10(root: Path, image_size: int, image_channels: int, *, train: bool = True) -> Images:
    r"""
    The training set that torchvision reads from its archive, or from an archive made anew; or the
    test set.
    """
    kind = vision().datasets.CIFAR10
    archive = root / kind.filename
    if archive.is_file():
        found = vision().datasets.utils.calculate_md5(archive)
        if found != kind.tgz_md5:
            unpack_anew(archive, found, kind)
    files = {kind.filename: kind.tgz_md5}
    data = found_or_downloaded(partial(kind, str(root), train=train), 'CIFAR10', root, files)
    images = torch.as_tensor(data.data).permute(0, 3, 1, 2)
    labels = torch.as_tensor(data.targets, dtype=torch.int64)
    return Images('CIFAR10', fit(images, image_size, image_channels), labels)


def unpack_anew(archive: Path, found: str, kind: Any) -> None:
    r"""
    Unpack an archive of CIFAR-10 that others have compressed, each file verified by its checksum.
    """
    refuse_unless_allowed('CIFAR10', archive.parent)
    files = dict([*kind.train_list, *kind.test_list, (kind.meta['filename'], kind.meta['md5'])])
    (archive.parent / kind.base_folder).mkdir(exist_ok=True)
    try:
        with tarfile.open(archive) as content:
            for file, md5 in files.items():
                member = content.extractfile(f'{kind.base_folder}/{file}')
                data = b'' if member is None else member.read()
                if md5_of(data) != md5:
                    raise damaged(archive, [found], [kind.tgz_md5])
                with written(archive.parent / kind.base_folder / file) as part:
                    part.write_bytes(data)
    # A file that is not in it, an archive that is cut off or none
    except (KeyError, OSError, EOFError, zlib.error, tarfile.TarError):
        raise damaged(archive, [found], [kind.tgz_md5]) from None


# ## CelebA
CELEBA_PICTURES = 202_599


def celeba(root: Path, image_size: int, image_channels: int) -> Files:
    r"""
    CelebA's training split where torchvision finds it whole; else all jpgs below `root/celeba`.
    """
    folder = root / 'celeba'
    kind = vision().datasets.CelebA
    files = {file: md5 for _, md5, file in kind.file_list}
    archive = folder / 'img_align_celeba.zip'
    jpgs = folder / 'img_align_celeba'
    if archive.is_file() and not jpgs.is_dir():
        # Google answers with a page about its quota, which is then saved under the archive's name
        if not zipfile.is_zipfile(archive):
            raise ValueError(
                f'{archive.absolute()} is no zip file ({archive.stat().st_size:,} bytes; a page '
                f'that says the download quota is used up?): remove it and get it again, md5 '
                f'{files[archive.name]}'
            )
        unpack_faces(archive, files[archive.name])
    # A folder of jpgs is enough, with or without the lists that torchvision wants beside it
    lists = [file for file in files if file.endswith('.txt')]
    has_lists = all((folder / file).is_file() for file in lists)
    if not has_lists and folder.is_dir() and any(pictures_below(folder)):
        return folder_set(folder, image_size, image_channels, name='celeba')
    data = found_or_downloaded(partial(kind, str(root), split='train'), 'CelebA', folder, files)
    paths = [jpgs / file for file in data.filename]
    return Files('celeba', paths, image_size, image_channels, faces=True)


def unpack_faces(archive: Path, md5: str | None) -> None:
    r"""
    Unpack the archive of CelebA's pictures beside it.

    No checksum is published of the pictures themselves. An archive that was made anew has to have
    all of them, and its own checksums must hold.
    """
    refuse_unless_allowed('CelebA', archive.parent)
    found = vision().datasets.utils.calculate_md5(archive)
    with zipfile.ZipFile(archive) as content:
        names = {f'img_align_celeba/{i + 1:06}.jpg' for i in range(CELEBA_PICTURES)}
        if found != md5 and not (names <= set(content.namelist()) and content.testzip() is None):
            raise damaged(archive, [found], [md5])
        content.extractall(archive.parent)


# ## A folder of pictures
def folder_set(root: Path, image_size: int, image_channels: int, *, name: str = 'folder') -> Files:
    r"""
    All pictures below a folder, at any depth.
    """
    if not root.is_dir():
        parent = next(p for p in root.absolute().parents if p.is_dir())
        raise FileNotFoundError(
            f'{root.absolute()} is not a folder: {parent} has {listing(parent)}'
        )
    paths = sorted(pictures_below(root))
    if not paths:
        raise FileNotFoundError(
            f'no pictures below {root.absolute()}: it has {listing(root)}. What counts is '
            f'{", ".join(EXTENSIONS)}, in any case'
        )
    return Files(name, paths, image_size, image_channels, faces=name == 'celeba')


def pictures_below(root: Path, endings: tuple[str, ...] = EXTENSIONS) -> Iterator[Path]:
    r"""
    The pictures in a folder and its folders, hidden ones left out, each real folder once.

    * `endings` of the names of what counts as one

    What only has the name of a picture, a pipe or a socket, is none: to open it would hang.
    """
    walked, waiting = set(), [os.fspath(root)]
    while waiting:
        # Links to folders come last: a folder keeps its own path, and no circle is walked twice
        for folder, folders, names in os.walk(waiting.pop(0), onerror=refuse_unreadable):
            about = os.stat(folder)
            if (about.st_dev, about.st_ino) in walked:
                folders.clear()
                continue
            walked.add((about.st_dev, about.st_ino))
            folders[:] = sorted(f for f in folders if not f.startswith('.'))
            links = (os.path.join(folder, f) for f in folders)
            waiting += [link for link in links if os.path.islink(link)]
            paths = (Path(folder, n) for n in names if not n.startswith('.'))
            yield from (p for p in paths if p.name.lower().endswith(endings) and may_be_read(p))


def refuse_unreadable(error: OSError) -> None:
    r"""
    A `ValueError` for a folder whose pictures would be left out unsaid.
    """
    folder = Path(os.fsdecode(error.filename)).absolute()
    raise ValueError(
        f'the folder {folder} cannot be read ({error.strerror}), so the pictures in it are not '
        f'known: allow it to be read, or move it away'
    ) from error


def may_be_read(path: Path) -> bool:
    r"""
    Whether a path is a file, or leads nowhere, which the decoder then says.
    """
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True


def listing(folder: Path) -> str:
    r"""
    What a folder holds, in one line.
    """
    names = sorted(p.name + '/' * p.is_dir() for p in folder.iterdir())
    more = f' and {len(names) - 6} more' if len(names) > 6 else ''
    return ', '.join(names[:6]) + more if names else 'nothing in it'


def in_memory_if_small(files: Files) -> AnySet:
    r"""
    The pictures in memory when they are few, else as they are.
    """
    n_bytes = len(files) * files.image_channels * files.image_size**2
    return files.in_memory() if n_bytes <= KEEP_BYTES else files


# ## Of one size
def fit(images: Tensor, image_size: int, image_channels: int) -> Tensor:
    r"""
    A set of images, uint8 `[n, channels, height, width]`, in the size and the channels asked for.

    28 × 28 digits asked for at 32 are padded with black, which resizing would blur.
    """
    if images.shape[1] == 3 and image_channels == 1:
        images = vision().transforms.v2.functional.rgb_to_grayscale(images)
    if images.shape[1] == 1 and image_channels == 3:
        images = images.expand(-1, 3, -1, -1)
    if (images.shape[-1], image_size) == (28, 32):
        images = torch.nn.functional.pad(images, (2, 2, 2, 2))
    elif images.shape[-1] != image_size:
        resize = vision().transforms.v2.functional.resize
        images = resize(images, [image_size, image_size], antialias=True)
    return images.contiguous()


DATASETS: dict[str, Callable[[Path, int, int], AnySet]] = {
    'digits': digits,
    'mnist': partial(idx_set, 'MNIST'),
    'fashion_mnist': partial(idx_set, 'FashionMNIST'),
    'cifar10': cifar10,
    'celeba': celeba,
    'folder': folder_set,
}

# ## Images that no run has seen
HELD_OUT: dict[str, Callable[[Path, int, int], Images]] = {
    'mnist': partial(idx_set, 'MNIST', part='t10k'),
    'fashion_mnist': partial(idx_set, 'FashionMNIST', part='t10k'),
    'cifar10': partial(cifar10, train=False),
}


def held_out(
    name: str, root: str | Path = 'data', image_size: int = 32, image_channels: int = 3
) -> Images | None:
    r"""
    The test set of a data set, by the arguments of `load_dataset`; `None` where it has none.

    What is drawn from the same source and was not trained on is what samples can be measured by.
    """
    if name not in HELD_OUT:
        return None
    return HELD_OUT[name](Path(root), image_size, image_channels)


def fingerprint(dataset: AnySet) -> dict[str, Any]:
    r"""
    What a run notes of its data, to know it again: the number of images, and a checksum of their
    bytes, or of the names of the files that are too many to be read. The same of pictures that were
    left out, and the names of the classes, if there are any.
    """
    of_skipped = {'skipped': len(dataset.skipped), 'crc32_of_skipped': crc_of(dataset.skipped)}
    left_out: dict[str, Any] = of_skipped if dataset.skipped else {}
    if dataset.classes and dataset.labels is not None:
        crc = zlib.crc32(dataset.labels.numpy().data)
        left_out |= {'classes': list(dataset.classes), 'crc32_of_labels': crc}
    if isinstance(dataset, Images):
        pixels = dataset.images.contiguous().numpy()
        return {'images': len(dataset), 'crc32_of_pixels': zlib.crc32(pixels.data), **left_out}
    return {'images': len(dataset), 'crc32_of_names': crc_of(dataset.paths), **left_out}


def crc_of(paths: Sequence[Path]) -> int:
    r"""
    A checksum of the names of files, as the bytes that the disk has: they may be none in UTF-8.
    """
    return zlib.crc32(os.fsencode('\n'.join(p.name for p in paths)))


# ## Batches
#
# Training never asks for an epoch, it asks for the next batch. The images are dealt out epoch after
# epoch as one endless row, each epoch shuffled by a generator of its own, so **the batch of a step
# follows from the seed and the step alone**: a run that resumes at step 12,345 goes on with batch
# 12,345, and there is no state of a loader to be saved.
class IndexStream:
    r"""
    The indices of batch `start`, `start + 1`, … for ever.
    """

    def __init__(
        self, n: int, batch_size: int, seed: int, start: int = 0, part: tuple[int, int] = (0, 1)
    ):
        self.n, self.batch_size, self.seed, self.start = n, batch_size, seed, start
        self.part = part  # which of how many equal parts of each batch

    def epoch(self, e: int) -> Tensor:
        r"""
        The order of epoch `e`.
        """
        return torch.from_numpy(np.random.default_rng([self.seed, e]).permutation(self.n))

    def __iter__(self) -> Iterator[list[int]]:
        current, order = -1, torch.empty(0)
        for step in count(self.start):
            batch: list[int] = []
            while len(batch) < self.batch_size:
                e, at = divmod(step * self.batch_size + len(batch), self.n)
                if e != current:
                    current, order = e, self.epoch(e)
                batch += order[at : at + self.batch_size - len(batch)].tolist()
            number, parts = self.part
            size = self.batch_size // parts
            yield batch[number * size : (number + 1) * size]


def batches(
    dataset: AnySet,
    batch_size: int,
    *,
    seed: int = 0,
    start: int = 0,
    flip: bool = False,
    device: torch.device | str = 'cpu',
    n_workers: int = 0,
    part: tuple[int, int] = (0, 1),
) -> Iterator[tuple[Tensor, Tensor]]:
    r"""
    ### Endless batches of `(images, labels)` on `device`, beginning with number `start`

    * `flip` mirror half of the images, left to right
    * `n_workers` processes that decode files; none are needed for images in memory
    * `part` `(k, n)` for the `k`-th of `n` equal parts of each batch

    Images are `[batch_size, channels, height, width]` in $[-1, 1]$, labels `[batch_size]`.
    """
    indices = IndexStream(len(dataset), batch_size, seed, start, part)
    device = torch.device(device)
    if isinstance(dataset, Images):
        source = memory_batches(dataset, indices, device)
    else:
        source = file_batches(dataset, indices, device, n_workers)
    for images, labels in source:
        x0 = to_unit_range(images, dataset.levels)
        if flip:
            mirrored = torch.rand(len(x0), device=x0.device) < 0.5
            x0 = torch.where(mirrored[:, None, None, None], x0.flip(-1), x0)
        yield x0, labels


def memory_batches(
    dataset: Images, indices: IndexStream, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    r"""
    Images from memory: the GPU's own, when they take no more than a quarter of what is free.
    """
    images, labels = dataset.images, dataset.labels
    if device.type == 'cuda' and images.nbytes * 4 <= torch.cuda.mem_get_info(device)[0]:
        images, labels = images.to(device), labels.to(device)
    for batch in indices:
        i = torch.tensor(batch)
        if images.device.type == 'cuda':
            # From memory that the GPU reads by itself, so that nobody waits for it
            i = i.pin_memory().to(device, non_blocking=True)
            yield images[i], labels[i]
        elif device.type == 'cuda':
            chosen = images[i].pin_memory(), labels[i].pin_memory()
            yield tuple(part.to(device, non_blocking=True) for part in chosen)  # type: ignore[misc]
        else:
            yield images[i].to(device), labels[i].to(device)


def file_batches(
    dataset: Files, indices: IndexStream, device: torch.device, n_workers: int
) -> Iterator[tuple[Tensor, Tensor]]:
    r"""
    Images from files, decoded by workers while the device computes.
    """
    loader: DataLoader[Any] = DataLoader(
        Pixels(dataset),
        batch_sampler=indices,
        num_workers=n_workers,
        collate_fn=stacked,
        pin_memory=device.type == 'cuda',
        # It draws a number for its workers' seeds: not from those of the training, which would be
        # others after each resume
        generator=torch.Generator(),
    )
    n = len(dataset)
    labels = torch.zeros(n, dtype=torch.int64) if dataset.labels is None else dataset.labels
    for images, batch in zip(loader, indices, strict=False):
        if isinstance(images, BadPicture):
            raise images
        images = images.to(device, non_blocking=True)
        yield images, labels[batch].to(device, non_blocking=True)


def stacked(pixels: list[Tensor | BadPicture]) -> Tensor | BadPicture:
    r"""
    A batch of the pictures, or what is wrong with the first that cannot be read.
    """
    good = [p for p in pixels if isinstance(p, Tensor)]
    bad = (p for p in pixels if isinstance(p, BadPicture))
    return torch.stack(good) if len(good) == len(pixels) else next(bad)


@dataclass
class Pixels(Dataset[Tensor | BadPicture]):
    r"""
    The bytes of `Files`: a quarter of what floats would cost on their way between processes.

    A picture that cannot be read is handed over too: raised in a worker, it would reach us in the
    loader's words and with the worker's traceback.
    """

    files: Files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> Tensor | BadPicture:
        try:
            return self.files.pixels(i)
        except BadPicture as error:
            return error
