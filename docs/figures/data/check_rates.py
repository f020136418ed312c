"""How often `evaluate check` names what is wrong with a run, and how often what is well.

    python -m docs.figures.data.check_rates digits runs/digits runs/v
    python -m docs.figures.data.check_rates garments runs/fashion
    python -m docs.figures.data.check_rates emoji runs/mine
    python -m docs.figures.data.check_rates hardest runs/fashion

The runs are those of the presets `digits` (the second with `--target v`), `fashion`, and `folder16`
with the pictures of the npm package emoji-datasource-google, img/google/64. Each set of 128 samples
has a known answer. Those that are well are samples of these runs, or real images that are not in
the data beside them: half of the digits beside the other half, and garments of the test set beside
2,000 of the training set. The others are of networks that were trained for 10 to 150 steps, or of a
sampler that does not suit the run, or samples that were well, altered in one known way.

The last command keeps the picture of the page: samples of that sampler in the order in which a
place of them is hard to denoise. The others keep, for each kind, how many sets there are, and how
many were named: of those that are well, by any word; of the others, by a word that fits.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import torch
from torch import Tensor

from docs.figures.data.store import keep, rows
from labml_nn.data.datasets import Images, batches, data_images, held_out, load_dataset
from labml_nn.diffusion.ddpm.check import (
    MANY,
    SAME,
    Finding,
    broken,
    examine,
    losses,
    nearest,
    surprise,
)
from labml_nn.diffusion.ddpm.commands import run_dataset
from labml_nn.diffusion.ddpm.configs import PRESETS, make_configs
from labml_nn.diffusion.ddpm.metrics import spread_out
from labml_nn.diffusion.ddpm.sampler import Sampler
from labml_nn.diffusion.ddpm.train import Training
from labml_nn.diffusion.samplers import make_sampler
from labml_nn.runs import checkpoint

N = 128
# The kinds that are well
WELL = 'nothing'
GARMENTS = ('fashion_mnist', 'data', 28, 1)
# What one may say of a network that has hardly been trained
EARLY = ('not learned', 'noise', 'pale, or one colour', 'black and white', 'too dark', 'too bright',
         'blurry', 'too alike')  # fmt: skip
TINTED = ('tinted, too bright', 'tinted, too dark')
TINTS = ('too bright', 'too dark', 'each has a tint of its own', *TINTED)
COPIES = ('copies of training images',)
BROKEN = ('noise', 'single samples are broken')


class Case(NamedTuple):
    """A kind, what exactly was done, the words that fit (none: it is well), and the findings."""

    kind: str
    how: str
    fit: tuple[str, ...]
    find: Callable[[], list[Finding]]


def seen(
    x: Tensor, dataset: Images, *, flip: bool, by: Sampler | None = None
) -> Callable[[], list[Finding]]:
    """All that `check` says of samples, but for the losses; `by` is who drew them."""

    def find() -> list[Finding]:
        single = [broken(by, x, dataset)[0]] if by else []
        return [*examine(x, dataset, flip=flip)[0], *single]

    return find


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
def altered(name: str, by: Sampler, data: Images, *, flip: bool) -> Iterator[Case]:
    """What is done to one set of good samples."""
    x = by.sample(N, 100)
    shares = {1.0: 'all samples', 0.2: 'one sample in five', 0.05: 'one sample in twenty'}
    for share, which in shares.items():
        kind = f'speckle or a disc in {which}'
        for pixels in (0.03, 0.08):
            yield Case(kind, f'{name}, {pixels:.0%} of pixels', BROKEN,
                       seen(speckled(x, share, pixels), data, flip=flip, by=by))  # fmt: skip
        for radius in (0.12, 0.2):
            yield Case(kind, f'{name}, radius {radius:.0%}', BROKEN,
                       seen(blobbed(x, share, radius), data, flip=flip, by=by))  # fmt: skip
    own = 0.5 * torch.randn(len(x), 1, generator=seeded(0))
    yield Case('a tint', f'{name}, all by 0.25', TINTS,
               seen(tinted(x, torch.tensor([0.25])), data, flip=flip, by=by))  # fmt: skip
    yield Case('a tint', f'{name}, all by -0.25', TINTS,
               seen(tinted(x, torch.tensor([-0.25])), data, flip=flip, by=by))  # fmt: skip
    yield Case(
        'a tint', f'{name}, each its own', TINTS, seen(tinted(x, own), data, flip=flip, by=by)
    )
    colour = Images('colour', data.images.expand(-1, 3, -1, -1), levels=data.levels)
    shift = torch.tensor([0.2, 0.0, -0.2])
    yield Case('a tint', f'{name}, by channel', TINTED,
               seen(tinted(x.expand(-1, 3, -1, -1), shift), colour, flip=flip))  # fmt: skip
    for share in (0.15, 0.5, 1.0):
        yield Case('copies, half of them mirrored', f'{name}, {share:.0%} of samples', COPIES,
                   seen(copied(x, data, share), data, flip=True, by=by))  # fmt: skip
    few = Images('few', data.images[:30], levels=data.levels)
    yield Case('copies, half of them mirrored', f'{name}, 30 images', COPIES,
               seen(copied(x[:30], few, 1), few, flip=True))  # fmt: skip
    for share in (0.05, 0.25):
        yield Case('twins in the data', f'{name}, {share:.0%} of images', ('twins in the data',),
                   seen(x, doubled(data, share), flip=True))  # fmt: skip


def drawn(
    by: Sampler, data: Images, sets: int, *, flip: bool, fit: tuple[str, ...] = ()
) -> Iterator[Case]:
    """Samples of a run, under so many seeds."""
    loss = losses(by, data)
    kind = 'one sampling step that is too long' if fit else 'nothing: samples of a run'
    for seed in range(sets):
        find = seen(by.sample(N, seed), data, flip=flip, by=by)
        yield Case(kind, f'{by.n_steps}, seed {seed}', fit, lambda find=find: [*find(), *loss])


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


def of_digits(*runs: str) -> Iterator[Case]:
    digits = load_dataset('digits', image_size=8, image_channels=1)
    assert isinstance(digits, Images)
    rest = Images('rest', digits.images[1::2], levels=digits.levels)
    other = Images('other', digits.images[::2], levels=digits.levels)
    by = Sampler.from_run(runs[0], device='cpu')
    yield from altered('digits', by, digits, flip=False)
    for run in runs:
        yield from drawn(Sampler.from_run(run, device='cpu'), digits, 6, flip=False)
    for i in range(0, 7 * N, N):
        yield Case('nothing: real images', f'digits from {i}', (),
                   seen(data_images(other, range(i, min(i + N, len(other)))), rest,
                        flip=False, by=by))  # fmt: skip
    for seed in range(2):
        yield from early(digits, seed)


def of_garments(run: str) -> Iterator[Case]:
    known, unseen = load_dataset(*GARMENTS), held_out(*GARMENTS)
    assert isinstance(known, Images)
    assert isinstance(unseen, Images)
    garments = Images('garments', known.images[:2000], levels=known.levels)
    by = Sampler.from_run(run, device='cpu', sampler='ddpm', steps=50)
    yield from altered('garments', by, garments, flip=True)
    yield from drawn(by, garments, 6, flip=True)
    # The default sampler and its 20 steps: the first starts from pure noise, and is long
    long = Sampler.from_run(run, device='cpu')
    yield from drawn(long, garments, 6, flip=True, fit=(*BROKEN, *TINTS))
    for i in range(0, 6 * N, N):
        yield Case('nothing: real images', f'garments from {i}', (),
                   seen(data_images(unseen, range(i, i + N)), garments, flip=True,
                        by=by))  # fmt: skip


def of_emoji(run: str) -> Iterator[Case]:
    emoji = run_dataset(make_configs(checkpoint.load(run)['config']), None)
    assert isinstance(emoji, Images)
    # Flags in black and white, and mirrored ones, are the same: these have twins
    every = range(len(emoji))
    apart, _ = nearest(data_images(emoji, every), emoji, itself=every, flip=True)
    emoji = Images('emoji', emoji.images[apart >= SAME], levels=emoji.levels)
    by = Sampler.from_run(run, device='cpu')
    yield from altered('emoji', by, emoji, flip=True)
    yield from drawn(by, emoji, 6, flip=True)


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
    columns = [[cell(p.get(kind)) for kind in kinds] for p in parts.values()]
    well = [row for p in parts.values() for kind, row in p.items() if kind.startswith(WELL)]
    everything = [row for p in parts.values() for row in p.values()]
    keep('check_rates', {
        **parts,
        'table': [['what is wrong', *parts],
                  *(list(row) for row in zip(kinds, *columns, strict=True))],
        'runs': sum(n for n, _ in everything),
        'well': sum(n for n, _ in well),
        'false': sum(named for _, named in well),
    })  # fmt: skip


def hardest(run: str, columns: int = 6) -> None:
    """Rows of samples: the hardest to denoise, those in the middle, and the easiest."""
    by = Sampler.from_run(run, device='cpu')
    known = load_dataset(*GARMENTS)
    x = by.sample(N, 0)
    errs, _ = surprise(by.diffusion, x, data_images(known, spread_out(len(known), MANY)))
    order = errs.argsort(descending=True)
    middle = (N - columns) // 2
    shown = [order[:columns], order[middle : middle + columns], order[-columns:]]
    keep('check_rates', {'hardest': rows(x[torch.cat(shown)], columns)})


def cell(row: list[int] | None) -> str | None:
    """How many of how many were named."""
    return row and f'{row[1]} of {row[0]}'


PARTS = {'digits': of_digits, 'garments': of_garments, 'emoji': of_emoji}


if __name__ == '__main__':
    torch.set_num_threads(1)
    if sys.argv[1] == 'hardest':
        hardest(sys.argv[2])
        sys.exit()
    tally(sys.argv[1], ((case.kind, tell(case)) for case in PARTS[sys.argv[1]](*sys.argv[2:])))
