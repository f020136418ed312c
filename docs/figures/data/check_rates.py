"""How often `evaluate check` names what is wrong with a run, and how often what is well.

    python -m docs.figures.data.check_rates digits runs/digits runs/v runs/x0
    python -m docs.figures.data.check_rates garments samples

The runs are those of digits, as targets.py says, and `samples` is a folder of samples of the preset
`fashion`, as garments.py says. Each set of 128 samples has a known answer. Those that are well are
samples of these runs, or real images that are not in the data beside them: half of the digits
beside the other half, and garments of the test set beside 2,000 of the training set. The others are
of networks that were trained for 10 to 150 steps, or such samples, altered in one known way.

Keeps, for each kind, how many sets there are, and how many were named: of those that are well, by
any word; of the others, by a word that fits.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from docs.figures.data.store import keep
from labml_nn.data.datasets import Images, batches, data_images, held_out, load_dataset
from labml_nn.diffusion.ddpm.check import Finding, examine, losses
from labml_nn.diffusion.ddpm.configs import PRESETS, make_configs
from labml_nn.diffusion.ddpm.sampler import Sampler
from labml_nn.diffusion.ddpm.train import Training
from labml_nn.diffusion.samplers import make_sampler

N = 128
# The kinds that are well
WELL = 'nothing'
GARMENTS = ('fashion_mnist', 'data', 28, 1)
# What one may say of a network that has hardly been trained
EARLY = ('not learned', 'noise', 'pale, or one colour', 'black and white', 'too dark', 'too bright',
         'blurry', 'too alike')  # fmt: skip
TINTS = ('too bright', 'too dark', 'each has a tint of its own')
COPIES = ('copies of training images',)


class Case(NamedTuple):
    """A kind, what exactly was done, the words that fit (none: it is well), and the findings."""

    kind: str
    how: str
    fit: tuple[str, ...]
    find: Callable[[], list[Finding]]


def seen(x: Tensor, dataset: Images, *, flip: bool) -> Callable[[], list[Finding]]:
    return lambda: examine(x, dataset, flip=flip)[0]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# What is done to samples
def speckled(x: Tensor, share: float, pixels: float) -> Tensor:
    """In a share of the samples, a share of the pixels black or white."""
    y, g = x.clone(), seeded(0)
    n_pixels = x[0, 0].numel()
    n = max(1, round(pixels * n_pixels))
    for image in y[: round(share * len(x))]:
        at = torch.randperm(n_pixels, generator=g)[:n]
        image.flatten(1)[:, at] = torch.where(torch.rand(n, generator=g) < 0.5, -1.0, 1.0)
    return y


def blobbed(x: Tensor, share: float, radius: float) -> Tensor:
    """In a share of the samples, a disc black or white; its radius as a share of the side."""
    y, g = x.clone(), seeded(0)
    side = x.shape[-1]
    up, across = torch.meshgrid(torch.arange(side), torch.arange(side), indexing='ij')
    for image in y[: round(share * len(x))]:
        a, b = (torch.rand(2, generator=g) * side).tolist()
        disc = (up - a) ** 2 + (across - b) ** 2 < max(1.3, radius * side) ** 2
        image[:, disc] = 1.0 if torch.rand(1, generator=g) < 0.5 else -1.0
    return y


def tinted(x: Tensor, by: Tensor) -> Tensor:
    """Brighter by so much, for each sample or all, and each channel or all."""
    return (x + by.view(-1, by.shape[-1], 1, 1)).clamp(-1, 1)


def copied(x: Tensor, data: Images, share: float) -> Tensor:
    """A share of the samples replaced by images of the data, half mirrored, with a little noise."""
    y, g = x.clone(), seeded(0)
    n = round(share * len(x))
    at = torch.randperm(len(data), generator=g)[:n].tolist()
    images = torch.cat([data_images(data, range(i, i + 1)) for i in at])
    images[::2] = images[::2].flip(-1)
    y[:n] = (images + 0.05 * torch.randn(images.shape, generator=g)).clamp(-1, 1)
    return y


def doubled(data: Images, share: float) -> Images:
    """A data set with a share of its images twice, half of these mirrored."""
    again = data.images[: round(share * len(data))].clone()
    again[::2] = again[::2].flip(-1)
    images = torch.cat([data.images, again])
    # All over the set, as a check looks at some of them
    order = torch.randperm(len(images), generator=seeded(0))
    return Images('twins', images[order], levels=data.levels)


# The kinds
def altered(name: str, x: Tensor, data: Images, *, flip: bool) -> Iterator[Case]:
    """What is done to one set of good samples."""
    shares = {1.0: 'all samples', 0.2: 'one sample in five', 0.05: 'one sample in twenty'}
    for share, which in shares.items():
        kind = f'speckle or a disc in {which}'
        for pixels in (0.03, 0.08):
            yield Case(kind, f'{name}, {pixels:.0%} of pixels', ('noise',),
                       seen(speckled(x, share, pixels), data, flip=flip))  # fmt: skip
        for radius in (0.12, 0.2):
            yield Case(kind, f'{name}, radius {radius:.0%}', ('noise',),
                       seen(blobbed(x, share, radius), data, flip=flip))  # fmt: skip
    own = 0.5 * torch.randn(len(x), 1, generator=seeded(0))
    yield Case('a tint', f'{name}, all by 0.25', TINTS,
               seen(tinted(x, torch.tensor([0.25])), data, flip=flip))  # fmt: skip
    yield Case('a tint', f'{name}, all by -0.25', TINTS,
               seen(tinted(x, torch.tensor([-0.25])), data, flip=flip))  # fmt: skip
    yield Case('a tint', f'{name}, each its own', TINTS, seen(tinted(x, own), data, flip=flip))
    colour = Images('colour', data.images.expand(-1, 3, -1, -1), levels=data.levels)
    shift = torch.tensor([0.2, 0.0, -0.2])
    yield Case('a tint', f'{name}, by channel', ('tinted, too bright', 'tinted, too dark'),
               seen(tinted(x.expand(-1, 3, -1, -1), shift), colour, flip=flip))  # fmt: skip
    for share in (0.15, 0.5, 1.0):
        yield Case('copies, half of them mirrored', f'{name}, {share:.0%} of samples', COPIES,
                   seen(copied(x, data, share), data, flip=True))  # fmt: skip
    few = Images('few', data.images[:30], levels=data.levels)
    yield Case('copies, half of them mirrored', f'{name}, 30 images', COPIES,
               seen(copied(x[:30], few, 1), few, flip=True))  # fmt: skip
    for share in (0.05, 0.25):
        yield Case('twins in the data', f'{name}, {share:.0%} of images', ('twins in the data',),
                   seen(x, doubled(data, share), flip=True))  # fmt: skip


def drawn(runs: list[str], digits: Images) -> Iterator[Case]:
    """Good runs of digits, under two seeds each."""
    for run in runs:
        sampler = Sampler.from_run(run, device='cpu')
        loss = losses(sampler, digits)
        for seed in range(2):
            x = sampler.sample(N, seed)
            yield Case('nothing: samples of a run', f'{Path(run).name}, seed {seed}', (),
                       lambda x=x, loss=loss: [*examine(x, digits)[0], *loss])  # fmt: skip


def early(digits: Images, seed: int) -> Iterator[Case]:
    """A network of digits in its first steps."""
    c = make_configs({**PRESETS['digits'], 'steps': 10_000, 'cooldown': 0, 'seed': seed})
    training = Training(c, torch.device('cpu'), digits.levels)
    for _ in training.steps(batches(digits, c.batch_size, seed=seed)):
        if training.step in (10, 30, 75, 150):
            training.model.eval()
            x = make_sampler('dpm', training.diffusion, 20, clip_x0=True).sample((N, 1, 8, 8), 0)
            asked = SimpleNamespace(diffusion=training.diffusion, n_steps=c.n_steps)
            found = [*examine(x, digits)[0], *losses(asked, digits)]  # type: ignore[arg-type]
            yield Case('10 to 150 steps of training', f'seed {seed}, {training.step} steps', EARLY,
                       lambda found=found: found)  # fmt: skip
            training.model.train()
        if training.step == 150:
            return


def pictures(folder: str) -> Tensor:
    """Grey pictures in a folder, in the order of their names, from -1 to 1."""
    found = []
    for path in sorted(Path(folder).glob('*.png')):
        with Image.open(path) as picture:
            found.append(torch.from_numpy(np.array(picture.convert('L')))[None])
    samples = Images(folder, torch.stack(found))
    return data_images(samples, range(len(samples)))


def of_digits(*runs: str) -> Iterator[Case]:
    digits = load_dataset('digits', image_size=8, image_channels=1)
    assert isinstance(digits, Images)
    rest = Images('rest', digits.images[1::2], levels=digits.levels)
    other = Images('other', digits.images[::2], levels=digits.levels)
    yield from altered('digits', Sampler.from_run(runs[0], device='cpu').sample(N, 100), digits,
                       flip=False)  # fmt: skip
    yield from drawn(list(runs), digits)
    for i in range(0, 7 * N, N):
        yield Case('nothing: real images', f'digits from {i}', (),
                   seen(data_images(other, range(i, min(i + N, len(other)))), rest,
                        flip=False))  # fmt: skip
    for seed in range(2):
        yield from early(digits, seed)


def of_garments(folder: str) -> Iterator[Case]:
    known, unseen, samples = load_dataset(*GARMENTS), held_out(*GARMENTS), pictures(folder)
    assert isinstance(known, Images)
    assert isinstance(unseen, Images)
    garments = Images('garments', known.images[:2000], levels=known.levels)
    yield from altered('garments', samples[-N:], garments, flip=True)
    for i in range(0, 6 * N, N):
        yield Case('nothing: samples of a run', f'garments from {i}', (),
                   seen(samples[i : i + N], garments, flip=True))  # fmt: skip
        yield Case('nothing: real images', f'garments from {i}', (),
                   seen(data_images(unseen, range(i, i + N)), garments, flip=True))  # fmt: skip


def tell(case: Case) -> bool:
    """Whether it was named, and a line about it; all findings where that is not as it should be."""
    found = case.find()
    names = list(dict.fromkeys(f.verdict for f in found if f.verdict))
    named = bool(set(names) & set(case.fit)) if case.fit else bool(names)
    print(f'{case.kind:42} {case.how:28} {"named" if named else "-":6}', *names, sep='  ')
    if named != bool(case.fit):
        print(*found, sep='\n', flush=True)
    return named


def tally(part: str, told: Iterable[tuple[str, bool]]) -> None:
    """Keep how many of each kind of this part were named; and the table of all parts."""
    counts: dict[str, list[int]] = {}
    for kind, named in told:
        row = counts.setdefault(kind, [0, 0])
        row[0], row[1] = row[0] + 1, row[1] + named
    out = Path(__file__).with_name('check_rates.json')
    parts = json.loads(out.read_text(encoding='utf-8')) if out.exists() else {}
    parts = {name: parts.get(name, {}) for name in PARTS} | {part: counts}
    # What is well comes first
    kinds = sorted({k: 0 for p in parts.values() for k in p}, key=lambda k: not k.startswith(WELL))
    columns = [[p.get(kind, [None, None]) for kind in kinds] for p in parts.values()]
    well = [row for p in parts.values() for kind, row in p.items() if kind.startswith(WELL)]
    everything = [row for p in parts.values() for row in p.values()]
    keep('check_rates', {
        **parts,
        'table': [['what is wrong', 'digits', 'named', 'garments', 'named'],
                  *([kind, *a, *b] for kind, a, b in zip(kinds, *columns, strict=True))],
        'runs': sum(n for n, _ in everything),
        'well': sum(n for n, _ in well),
        'false': sum(named for _, named in well),
    })  # fmt: skip


PARTS = {'digits': of_digits, 'garments': of_garments}


if __name__ == '__main__':
    torch.set_num_threads(1)
    tally(sys.argv[1], ((case.kind, tell(case)) for case in PARTS[sys.argv[1]](*sys.argv[2:])))
