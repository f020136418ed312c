r"""
---
title: Check a trained DDPM
summary: >
  What samples and losses tell about what may be wrong with a run: colour, spread, detail, variety,
  copies, and what is left to learn at each noise level.
---

# Check a trained DDPM

    python -m labml_nn.diffusion.ddpm.evaluate check runs/digits

draws samples, compares them with as many images of the data, and names what is out of the ordinary.
[My samples look wrong](troubles.html) says what to do then.

It looks at colour, spread, detail and variety, and at how near samples are to images of the data.
Where a run mirrors its images, mirrored ones count as near, too. A few copies among many samples
change no median, so their share counts.

A few broken samples among many change neither a mean nor a median. The network itself finds them:
it is given each sample with noise, and errs most where it sees what it has not learned. Samples
that have a worse place than any image of the data are listed by their numbers, and stand first in
the picture.

![Six samples each. The hardest to denoise are full of black and white speckle; those in the middle
have some; the easiest are smooth garments.](figure:check.py::hardest
"Of 128 garments by 20 steps, in the order in which the worst place of each is hard to denoise")

## How often it is right

These are sets of 128 samples, and of each it is known what is wrong with it. Those with nothing
wrong are samples of two runs of digits, of one of garments and of one of emoji in colour, or real
images that are not in the data. The others are samples altered on purpose, those of networks after
a few steps, and those of a sampler that takes too long a step for the run. Each number says how
many sets were named: in the first two rows by any word, which is a false alarm; in the others by a
word that fits. (`python -m docs.figures.data.check_rates`)

| what is wrong | digits | garments | emoji |
|---|---|---|---|
| nothing: samples of a run | 0 of 12 | 0 of 6 | 6 of 6 |
| nothing: real images | 0 of 7 | 0 of 6 | |
| speckle or a disc in all samples | 4 of 4 | 4 of 4 | 4 of 4 |
| speckle or a disc in one sample in five | 4 of 4 | 2 of 4 | 4 of 4 |
| speckle or a disc in one sample in twenty | 4 of 4 | 2 of 4 | 2 of 4 |
| a tint | 3 of 4 | 3 of 4 | 3 of 4 |
| copies, half of them mirrored | 4 of 4 | 4 of 4 | 3 of 4 |
| twins in the data | 2 of 2 | 2 of 2 | 2 of 2 |
| 10 to 150 steps of training | 8 of 8 | | |
| one sampling step that is too long | | 5 of 6 | |
<!-- measured: docs/figures/data/check_rates.json#/table -->

Of the 37 sets with nothing wrong, six had a false alarm: all those of emoji were called *not
learned*. Their network has 2.5 times the loss of the best filter in the noisiest quarter of the
steps, and its samples look well all the same. Speckle was always found, even in one sample of
twenty. A white disc on a white ground cannot be seen, and a smooth disc on a garment looks to the
network like a part of it; that is what was missed. Of the tints, one that darkens by 0.25 was
missed for digits and garments: their background is black already, so the mean falls by half as
much. One that shifts the channels of emoji by 0.2 was missed, too, as emoji differ much in colour,
and so were copies that were 15 % of the samples, as 9 % of the emoji themselves are near copies of
others.
<!-- measured: docs/figures/data/check_rates.json#/well -->

## What loss to expect

A loss of 0.03 is good or bad depending on the data and on $t$. So compare with a guess that needs
no training. Among filters (the same weighted sum at every pixel) the best guess of the noise is
known: in the Fourier basis the data has the power $\lambda_k$ at frequency $k$, $x_t$ has
$\bar\alpha_t\lambda_k + 1 - \bar\alpha_t$, and what is left of $\epsilon$ is

$$\mathbb E\,|\epsilon_k - \hat\epsilon_k|^2 =
\frac{\bar\alpha_t\,\lambda_k}{\bar\alpha_t\,\lambda_k + 1 - \bar\alpha_t}$$

Its mean over the frequencies is the loss of the best filter, Wiener's. For Gaussian data of one
channel that look the same everywhere no network can do better
[tested](test:diffusion/ddpm/test_check.py::test_the_best_filter_is_the_optimum_for_gaussian_data);
for pictures it does, by what they have beyond their power spectrum. In colour there is one filter
for each channel, which does not use what the channels have in common: with three that are
correlated at 0.95, its loss is up to 1.95 times the optimum
[tested](test:diffusion/ddpm/test_check.py::test_channels_have_more_in_common_than_the_filter_knows).
So the bound below is a mild one for colour. A network whose loss is more
than twice the filter's has not learned that quarter of the steps.

> **At large $t$ the two are close** and both tiny: there is hardly an image in $x_t$, and the noise
> is nearly $x_t$ itself. A slightly larger loss there matters much: divided by
> $\sqrt{\bar\alpha_T} = 0.0064$ it becomes the tint of a whole image.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from labml_nn.data.datasets import AnySet, Images, data_images
from labml_nn.data.pictures import grid, save_png, to_uint8
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.commands import (
    Command,
    DataRoot,
    SamplerOptions,
    Samples,
    out_of,
    run_dataset,
)  # fmt: skip
from labml_nn.diffusion.ddpm.configs import make_configs
from labml_nn.diffusion.ddpm.metrics import chunks, spread_out
from labml_nn.diffusion.ddpm.sampler import Sampler
from labml_nn.diffusion.ddpm.utils import around, evaluating
from labml_nn.diffusion.guidance import NO_LABEL, Guided
from labml_nn.diffusion.samplers.contract import nearest_levels, noise_levels
from labml_nn.evaluation.precision_recall import squared
from labml_nn.runs import checkpoint

# How many images of the data the spectrum and the losses are taken from, at most
MANY = 1024
# What a loss may be above twice that of the best filter, as numbers of 32 bits are not exact
SLACK = 1e-4
# The root mean square distance of two images that look the same
SAME = 0.02
# Levels of noise $\sigma$ that leave most of an image to see, and hide what may be wrong in it
NOISE = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
# So many broken samples are listed by their numbers
LISTED = 16
# What happens by chance less often than this is named
RARE = 1e-3
# What to do about each verdict; installed with this page
TROUBLES = Path(__file__).with_name('troubles.md')


@dataclass
class Finding:
    r"""
    ## One line of the answer

    * `what` was measured
    * `samples` what it is, `data` what it should be like
    * `verdict` what one would see, in the words of [the page of troubles](troubles.html); empty if
      it is as it should be
    """

    what: str
    samples: float
    data: float
    verdict: str = ''

    def __str__(self) -> str:
        mark = f'← {self.verdict}' if self.verdict else 'ok'
        return f'{self.what:34}{self.samples:9.4f}{self.data:9.4f}  {mark}'


class CheckOptions(SamplerOptions):
    r"""
    What `check` can be told.
    """

    n: Annotated[Samples, 'how many samples'] = 128
    data_root: DataRoot = None


def check_command(sampler: Sampler, a: Any) -> Iterator[Path]:
    r"""
    ## `check`: what is printed, and the picture of the samples and their nearest images
    """
    c = make_configs(checkpoint.load(a.run)['config'])
    dataset = run_dataset(c, a.data_root)
    n = min(a.n, len(dataset))
    if n < 4:
        raise ValueError(f'{a.n} samples and {len(dataset)} images: need at least 4 of each')
    x = sampler.sample(n, a.seed).cpu()
    to_uint8(x)  # refuses what is no number
    seen, near = examine(x, dataset, flip=c.flip)
    single, worst = broken(sampler, x, dataset)
    findings = [*seen, single, *losses(sampler, dataset)]
    print(f'{n} samples and {n} images of the data{"":8}samples     data')
    print(*findings, sep='\n')
    print('(beside the loss: that of the best filter; a guess of zero has 1)')
    found = ', '.join(dict.fromkeys(f.verdict for f in findings if f.verdict))
    print(f'{found}: see {TROUBLES}' if found else 'nothing is out of the ordinary')
    if worst:
        print('broken, the worst first, by number:', *worst[:LISTED])
    # Each sample above the training image that is nearest to it; what is broken comes first
    order = [*worst, *(i for i in range(n) if i not in worst)]
    x, near = x[order], near[order]
    width = min(n, 8)
    rows = [part for i in range(0, min(n // width, 3) * width, width)
            for part in (x[i : i + width], near[i : i + width])]  # fmt: skip
    yield save_png(out_of(a, 'check'), grid(torch.cat(rows), width))


def examine(x: Tensor, dataset: AnySet, *, flip: bool = False) -> tuple[list[Finding], Tensor]:
    r"""
    ## What samples tell beside the data

    * `x` samples, `[n, channels, h, w]`, no more than there are images
    * `flip` whether half of the images are mirrored in training, so that a copy may be, too

    Returns the findings, and the image that is nearest to each sample.
    """
    at = spread_out(len(dataset), len(x))
    y = data_images(dataset, at)
    own, near = nearest(x, dataset, flip=flip)
    among, _ = nearest(y, dataset, itself=at, flip=flip)
    return [*look(x, y), far(own, among), copies(own, among), twins(own, among)], near


# ## What one can see
def look(x: Tensor, y: Tensor) -> list[Finding]:
    r"""
    Colour, spread, detail and variety of samples `x` and images `y`, `[n, channels, h, w]` each.

    The bounds are wide: what is named is seen at a glance, too.
    """
    findings = []
    for channel in range(x.shape[1]):
        a, b = x[:, channel].flatten(1), y[:, channel].flatten(1)
        # Means of whole images, and how far their mean may be off by chance
        error = math.sqrt(float(a.mean(1).var() / len(a) + b.mean(1).var() / len(b)))
        off = float(a.mean() - b.mean())
        shade = 'too bright' if off > 0 else 'too dark'
        shade = f'tinted, {shade}' if x.shape[1] > 1 else shade
        findings.append(
            Finding(f'channel {channel}, mean', float(a.mean()), float(b.mean()),
                    shade if abs(off) > 0.1 + 3 * error else ''),
        )  # fmt: skip
        findings.append(
            ratio(f'channel {channel}, spread', float(a.std()), float(b.std()),
                  'pale, or one colour', 'black and white', 0.8),
        )  # fmt: skip
    # A tint of its own is not seen in the mean of all; it is not less than the data has, if blurry
    tints = ratio(
        'tint of an image, spread', tint(x), tint(y), '', 'each has a tint of its own', 0.6
    )
    return [
        *findings,
        tints,
        ratio('neighbouring pixels, difference', detail(x), detail(y), 'blurry', 'noise', 0.75),
        ratio('RMS between two images', variety(x), variety(y), 'too alike', '', 0.75),
    ]


def ratio(what: str, x: float, y: float, low: str, high: str, bound: float) -> Finding:
    r"""
    A finding that is named `low` when `x` is less than `bound` times `y`, and `high` when it is
    more than `y / bound`.
    """
    return Finding(what, x, y, low if x < bound * y else high if x * bound > y else '')


def detail(x: Tensor) -> float:
    r"""
    The difference of a pixel from its neighbours, across and down, as a share of the spread; white
    noise has $\sqrt2$
    """
    across, down = x.diff(dim=-1).square().mean(), x.diff(dim=-2).square().mean()
    return float(((across + down) / 2 / x.var().clamp(min=1e-12)) ** 0.5)


def tint(x: Tensor) -> float:
    r"""
    How much the mean of an image differs from image to image, in each channel.
    """
    return float(x.mean((2, 3)).var(dim=0).mean() ** 0.5)


def variety(x: Tensor) -> float:
    r"""
    The root mean square pixel distance of two different images: $\sqrt{2\operatorname{Var}}$, as
    each pair of independent images has.
    """
    return float((2 * x.var(dim=0).mean()) ** 0.5)


# ## Copies
def far(own: Tensor, among: Tensor) -> Finding:
    r"""
    How far samples are from the image nearest to them, `own`, and images of the data from the other
    that is nearest, `among`; by their upper quartiles, as half of the data may be nearly twins.
    """
    a, b = float(own.quantile(0.75)), float(among.quantile(0.75))
    return Finding('RMS to the nearest, upper quartile', a, b, 'noise' * (a > 1.5 * b))


def copies(own: Tensor, among: Tensor) -> Finding:
    r"""
    The share of samples that are less than half as far from an image of the data as images are from
    one another.
    """
    # Twins in the data do not say how far images are
    apart = among[among > SAME]
    bound = max(0.5 * float(apart.median()) if len(apart) else 0.0, SAME)
    a, b = (float((d < bound).double().mean()) for d in (own, among))
    chance = b + 0.02 + 3 * math.sqrt((a * (1 - a) + b * (1 - b)) / len(own))
    return Finding('near copies, share', a, b, 'copies of training images' * (a > chance))


def twins(own: Tensor, among: Tensor) -> Finding:
    r"""
    The share of images that are in the data twice, but for what one does not see.
    """
    a, b = (float((d < SAME).double().mean()) for d in (own, among))
    return Finding('the same but for 1 %, share', a, b, 'twins in the data' * (b > 0.02))


def nearest(
    x: Tensor, dataset: AnySet, *, itself: range | None = None, flip: bool = False
) -> tuple[Tensor, Tensor]:
    r"""
    Distance to the nearest image of the data (root mean square of the pixels, `[n]`), and that
    image.

    * `itself` the indices of `x` in the data, when it comes from there: an image is not its own
      nearest
    * `flip` whether mirrored images count, too

    > A crude measure: the same face a pixel further left is far away by it. It finds copies, and
    > what is like no image at all.
    """
    own = x.flatten(1).double().numpy()
    best = torch.full((len(x),), math.inf, dtype=torch.float64)
    found = x.clone()
    ways = product(chunks(len(dataset)), (False, True) if flip else (False,))
    for at, is_mirrored in ways:
        images = data_images(dataset, at)
        images = images.flip(-1) if is_mirrored else images
        d = torch.from_numpy(squared(own, images.flatten(1).double().numpy()))
        for i, index in enumerate(itself or ()):
            if index in at:
                d[i, index - at.start] = math.inf
        distance, which = d.min(dim=1)
        closer = distance < best
        best[closer], found[closer] = distance[closer], images[which[closer]]
    return (best / own.shape[1]) ** 0.5, found


# ## Single samples that are broken
def broken(sampler: Sampler, x: Tensor, dataset: AnySet) -> tuple[Finding, list[int]]:
    r"""
    The share of samples that have a place like none in the data.

    Each sample and up to 1024 images get the same noise, and the network denoises them. Where it
    errs more than anywhere in any of these images, there is something that it has not learned: a
    speckle, a blob. By chance a sample is beyond all $m$ images as often as one more image would
    be, so one time in $m + 1$. That the first $k$ of $n$ samples and $m$ images are all samples has
    the probability $\prod_{i<k} \frac{n - i}{n + m - i}$
    [tested](test:diffusion/ddpm/test_check.py::test_how_many_are_beyond_all_images_by_chance); they
    are called broken when that is less than one in a thousand.

    Returns the finding, and the places in `x` of those that are called broken, the worst first.
    """
    y = data_images(dataset, spread_out(len(dataset), MANY))
    a, b = surprise(sampler.diffusion, x, y)
    k, n, m = int((a > b.max()).sum()), len(a), len(b)
    is_rare = by_chance(k, n, m) < RARE
    worst = a.argsort(descending=True).tolist()[:k] if is_rare else []
    verdict = 'single samples are broken' if is_rare else ''
    return Finding('with a place like no image, share', k / n, 1 / (m + 1), verdict), worst


def by_chance(k: int, n: int, m: int) -> float:
    r"""
    The probability that the first `k` of `n + m` numbers drawn alike are all among the first `n`.
    """
    # $\displaystyle\prod_{i<k} \frac{n - i}{n + m - i}$
    return math.prod((n - i) / (n + m - i) for i in range(k))


def surprise(diffusion: DenoiseDiffusion, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    r"""
    How much the network errs at the worst place of each sample `x` and of each image `y`, `[n]`
    and `[m]`

    The error of the noise at a pixel, as a multiple of its mean over the images at that step; a
    mean over five steps and $3 \times 3$ pixels. A model with classes is told none.
    """
    both = torch.cat([x, y])
    no_label = torch.full((len(both),), NO_LABEL)
    sigma = noise_levels(diffusion)
    levels = nearest_levels(NOISE[: len(sigma)], sigma)
    # One noise for all: what differs is the image
    noise = torch.Generator().manual_seed(0)
    relative = torch.zeros(len(both), 1, *x.shape[2:])
    for t in levels:
        eps = torch.randn(x.shape[1:], generator=noise).expand_as(both)
        found = errors(diffusion, both, torch.full((len(both),), t), eps, no_label)
        relative[:, 0] += found / (found[len(x) :].mean() * len(levels))
    near = avg_pool2d(relative, 3, stride=1, padding=1, count_include_pad=False)
    worst = near.amax((1, 2, 3))
    return worst[: len(x)], worst[len(x) :]


# ## What is left to learn
def losses(sampler: Sampler, dataset: AnySet) -> list[Finding]:
    r"""
    The loss on images of the data by quarter of the steps, beside that of the best filter.
    """
    at = spread_out(len(dataset), MANY)
    x0, T = data_images(dataset, at), sampler.n_steps
    power = spectrum(x0)
    labels = dataset.labels[list(at)] if isinstance(dataset, Images) else None
    noise = torch.Generator().manual_seed(0)
    findings = []
    for quarter in range(4):
        first, last = quarter * T // 4, max((quarter + 1) * T // 4, quarter * T // 4 + 1)
        t = torch.randint(first, min(last, T), (len(x0),), generator=noise)
        eps = torch.randn(x0.shape, generator=noise)
        loss = loss_at(sampler.diffusion, x0, t, eps, labels)
        expected = filter_loss(sampler.diffusion, power, t)
        worse = loss > 2 * expected + SLACK or not math.isfinite(loss)
        findings.append(
            Finding(f'loss, steps {first + 1} to {min(last, T)}', loss, expected,
                    'not learned' if worse else ''),
        )  # fmt: skip
    return findings


def loss_at(
    diffusion: DenoiseDiffusion, x0: Tensor, t: Tensor, eps: Tensor, labels: Tensor | None
) -> float:
    r"""
    The squared error of the noise, a mean over pixels and images, for given steps and noise. A
    model with classes is told those of the images, and is not guided.
    """
    return float(errors(diffusion, x0, t, eps, labels).mean())


@torch.no_grad()
def errors(
    diffusion: DenoiseDiffusion, x0: Tensor, t: Tensor, eps: Tensor, labels: Tensor | None
) -> Tensor:
    r"""
    $|\epsilon_\theta(x_t, t) - \epsilon|^2$ at each pixel, a mean over its channels,
    `[batch, height, width]`
    """
    model, device = diffusion.eps_model, diffusion.beta.device
    if isinstance(model, Guided) and labels is not None:
        diffusion = around(diffusion, model.model)
    else:
        labels = None  # the model has been told, or knows of none
    found = []
    with evaluating(model):
        for at in chunks(len(x0)):
            x, steps, noise, *label = (
                v[at.start : at.stop].to(device) for v in (x0, t, eps, labels) if v is not None
            )
            guess = diffusion.eps_theta(diffusion.q_sample(x, steps, noise), steps, *label)
            found.append((guess - noise).square().mean(dim=1).cpu())
    return torch.cat(found)


def spectrum(x0: Tensor) -> Tensor:
    r"""
    The power $\lambda_k$ of images at each frequency, `[channels, height, width]`, their mean image
    taken away.
    """
    centred = x0.double() - x0.double().mean(dim=0)
    return torch.fft.fft2(centred, norm='ortho').abs().square().mean(dim=0)


def filter_loss(diffusion: DenoiseDiffusion, power: Tensor, t: Tensor) -> float:
    r"""
    The loss of the best filter at steps `t`, a pixel, for data of that power.
    """
    alpha_bar = diffusion.alpha_bar.double().cpu()[t][:, None]  # [batch, 1]
    signal = alpha_bar * power.flatten()  # [batch, frequencies]
    # $\dfrac{\bar\alpha_t\,\lambda_k}{\bar\alpha_t\,\lambda_k + 1 - \bar\alpha_t}$
    return float((signal / (signal + 1 - alpha_bar)).mean())


COMMANDS = {
    'check': Command('what samples tell about what may be wrong', check_command, CheckOptions)
}
