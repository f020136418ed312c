r"""
---
title: Likelihood, rate and distortion of a run
summary: >
  What the bits of a trained model buy: the bound by bands of steps, the rate–distortion curve of
  the paper's figure 5, and the pictures of figures 6 and 7.
---

# Likelihood, rate and distortion of a run

    python -m labml_nn.diffusion.ddpm.evaluate likelihood runs/digits
    python -m labml_nn.diffusion.ddpm.evaluate progressive runs/digits
    python -m labml_nn.diffusion.ddpm.evaluate shared runs/digits

[The bound](likelihood.html) of a run's own data, term by term. `likelihood` prints the bits per
dimension with every variance that the model can have (they cost one pass), and how much of the
image is known after how many of them; it writes the curve as numbers, a `.csv`, and as a picture.
The images are of the run's training data; `--dataset folder --data_root PICTURES` takes others that
it has not seen. `--ode` adds [the likelihood by the ODE](../sde.html).

## Rate and distortion (figure 5)

This is what a run of the preset `digits` prints (`make figures`):

    256 of 1,797 training images of digits, 17 levels, 64 dimensions; x0_hat clipped
    variance       bits/dim  ±
    beta             2.7996  0.0192  (the run's)
    beta_tilde       2.9085  0.0250
    as they are      4.0875

    sent           bits/dim  ±        so far  RMSE in levels of 17
    x_1000           0.0000  0.0000   0.0000  7.727
    x_999 … x_500    0.0178  0.0002   0.0179  4.151
    x_499 … x_250    0.1174  0.0013   0.1353  2.542
    x_249 … x_100    0.2351  0.0035   0.3704  1.252
    x_99 … x_10      1.1369  0.0093   1.5073  0.246
    x_9 … x_1        1.2923  0.0093   2.7996  0.061
    x_0              0.0000  0.0000   2.7996  0.000

<!-- measured:
docs/figures/data/coding.json#/curve/rate/500
docs/figures/data/coding.json#/curve/rmse_levels/500
docs/figures/data/coding.json#/curve/rate/750
docs/figures/data/coding.json#/curve/rmse_levels/750
docs/figures/data/coding.json#/curve/rate/900
docs/figures/data/coding.json#/curve/rmse_levels/900
docs/figures/data/coding.json#/curve/rate/990
docs/figures/data/coding.json#/curve/rmse_levels/990
docs/figures/data/coding.json#/curve/rate/999
docs/figures/data/coding.json#/curve/rmse_levels/999
docs/figures/data/coding.json#/curve/rmse_levels/0 -->

The lower table is progressive coding. After each row everything down to its last $x_t$ has been
sent; the columns say what this has cost, and the error of $\hat x_0$ then. The first half of the
steps costs 0.02 bits, and its guess is hardly nearer than the mean of all digits; 0.37 bits leave
an error of 1.3 levels of 17; the remaining 2.4 of 2.8 bits describe detail that is hard to see.
<!-- measured:
docs/figures/data/coding.json#/curve/rate/900
docs/figures/data/coding.json#/curve/rmse_levels/900
docs/figures/data/coding.json#/curve/rate/999 -->

![Three curves. The error of the guess by steps back: 8 levels at first, 4.2 halfway, then down to
nearly nothing. The rate by steps back: nothing for half of the way, steep in the last hundred
steps. The error by the rate: most of it is gone after half a bit](figure:coding.py::curve
"Rate and distortion on the digits")

The paper's curve for CIFAR-10 (figure 5, table 4) bends in the same way: of 1.78 bits per dimension
in all, without $L_0$, the first 0.12 bring the error down to 12 levels of 256, from 68 when next to
nothing has been sent; the last 100 of 1000 steps cost 1.66 bits, and bring it to 0.95.

> **Why are the first $\hat x_0$ worse than nothing?** The mean of all digits is 4.3 levels off, a
> guess from $x_{1000}$ 7.7. At $t = T$ an error of the network comes out
> [157 times as large](index.html), and only clipping limits it. It does no harm to the chain, in
> which this $\hat x_0$ has almost no weight.
> <!-- measured: docs/figures/data/coding.json#/curve/rmse_levels/0
> test:diffusion/ddpm/test_coding.py::test_the_mean_of_all_digits_is_this_far_off -->

> **The bits of digits are spent at other steps than those of photographs.** Their levels are an
> eighth apart and the noise of the first step is 0.01, so $x_0$ can be read off $x_1$ and $L_0$
> costs nothing; for CIFAR-10 it is 1.97 bits. But the network does not know that pixels have
> levels. Its $\hat x_0$ stays 0.06 levels off, about as much as $\sigma$, and most of
> $x_9 \dots x_1$ is the price of not rounding.

## Progressive generation (figure 6)

`progressive` shows $\hat x_0$ along the chain, from the first step to the last. Noise first, then
the mean of everything, then a digit, then its edges:

![Eight digits, a row each, from the first guess at the left to the last at the
right](figure:coding.py::progressive
"What the receiver sees while bits arrive")

## Shared latents (figure 7)

`shared` freezes $x_t$ and draws from $p_\theta(x_0|x_t)$ again and again. Rows are $t$ = 1000, 750,
500, 375, 250 and 125; first in a row is $x_t$, second the image that its own chain came to, then
eight others. All of them share what is decided by step $t$; at 1000 that is nothing:

![Six rows of ten images. At t = 1000 and 750 they are different digits, at 500 some are threes,
like the chain's own image, from 375 on nearly all; at 125 they are alike](figure:coding.py::shared
"Images that share the first part of a chain")
"""

import csv
import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor

from labml_nn.cli.options import FLAG, Passes, Words
from labml_nn.cli.progress import Tell, progress_bar
from labml_nn.data.datasets import AnySet, load_dataset
from labml_nn.data.files import written
from labml_nn.data.pictures import grid, save_png
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.commands import (
    ClassOptions,
    Command,
    DataRoot,
    Frames,
    RunOptions,
    Samples,
    out_of,
)  # fmt: skip
from labml_nn.diffusion.ddpm.configs import make_configs
from labml_nn.diffusion.ddpm.likelihood import Bound, bound
from labml_nn.diffusion.ddpm.sampler import BATCH, Sampler
from labml_nn.diffusion.ddpm.utils import SeededNoise
from labml_nn.diffusion.sde import (
    VPSDE,
    Hutchinson,
    exact_divergence,
    latent_bits,
    uniform_bits,
)
from labml_nn.runs import checkpoint

# The table has a row for the steps down to each of these shares of $T$
BANDS = (1 / 2, 1 / 4, 1 / 10, 1 / 100)

# How many images go along the ODE together
ODE_BATCH = 64
NOTHING_ELSE: Mapping[str, Tensor] = {}


def check_trace(trace: str) -> None:
    r"""
    A `ValueError` unless it is the name of a way to the divergence of the ODE.
    """
    if trace not in ('hutchinson', 'exact'):
        raise ValueError(f'trace={trace!r} is not known: use hutchinson or exact')


# ## Likelihood
class LikelihoodOptions(RunOptions):
    r"""
    What `likelihood` can be told.
    """

    n: Annotated[Samples, 'how many images'] = 256
    dataset: Annotated[str | None, 'another data set, such as folder for images held out'] = None
    data_root: DataRoot = None
    first: Annotated[
        str, 'a fixed variance of the decoder: beta_tilde (of the second step) or beta'
    ] = 'beta_tilde'
    no_clip: Annotated[bool, 'let x0_hat leave [-1, 1]', FLAG] = False
    ode: Annotated[bool, 'beside the bound, the likelihood by the ODE', FLAG] = False
    trace: Annotated[str, 'of the ODE: hutchinson, an estimate, or exact', Passes(check_trace)] = (
        'hutchinson'
    )


def likelihood_command(sampler: Sampler, a: Any) -> Iterator[Path]:
    r"""
    `likelihood`: a table, the curve as numbers, and as a picture.
    """
    c = make_configs(checkpoint.load(a.run)['config'])
    name = a.dataset or c.dataset
    root = a.data_root or c.data_root
    dataset = load_dataset(name, root, c.image_size, c.image_channels, bad_pictures=c.bad_pictures)
    x0 = chosen(dataset, a.n, a.seed, name)
    out = out_of(a, 'likelihood')
    options = {'clip_x0': not a.no_clip, 'first': a.first}
    found = bound_of(sampler.diffusion, x0, dataset.levels, a.seed, **options)
    origin = 'images of' if a.dataset else 'training images of'
    print(
        f'{len(x0):,} of {len(dataset):,} {origin} {name}, {dataset.levels} levels, '
        f'{x0[0].numel():,} dimensions; x0_hat {"free" if a.no_clip else "clipped"}'
    )
    by_ode: dict[str, Tensor] = {}
    if a.ode:
        bits = ode_bits_of(sampler.diffusion, x0, dataset.levels, a.seed, trace=a.trace)
        by_ode = {'ode, x_1': bits['latent'] + found.of()[:, 0], 'ode, uniform': bits['uniform']}
    print(table(found, sampler.diffusion.variance, dataset.levels, by_ode))
    yield save_curve(out.with_suffix('.csv'), found, dataset.levels)
    yield plot_curve(out, found, dataset.levels)


def chosen(dataset: AnySet, n: int, seed: int, name: str) -> Tensor:
    r"""
    `n` images of a data set, drawn without replacement, `[n, channels, height, width]`.
    """
    if not 2 <= n <= len(dataset):
        raise ValueError(
            f'--n {n}: {name} has {len(dataset):,} images, and an error bar needs at least two'
        )
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))
    return torch.stack([dataset[int(i)][0] for i in order[:n]])


def bound_of(
    diffusion: DenoiseDiffusion, x0: Tensor, n_levels: int, seed: int, **options: Any
) -> Bound:
    r"""
    The bound of images, a batch at a time, for every variance; the model's own one comes first.

    * `options` of [`bound`](likelihood.html), such as `clip_x0`
    """
    own = diffusion.variance
    variances = (own, *(v for v in ('beta', 'beta_tilde') if v != own))
    batches = x0.split(BATCH)
    bar, tell = progress_bar(len(batches) * diffusion.n_steps)
    parts = [
        bound(
            diffusion, batch.to(diffusion.beta.device), n_levels, variances=variances, tell=tell,
            noise=SeededNoise(len(batch), seed, first=i * BATCH), **options,
        )
        for i, batch in enumerate(batches)
    ]  # fmt: skip
    bar.close()
    terms = {v: torch.cat([p.terms[v] for p in parts]).cpu() for v in variances}
    return Bound(terms, torch.cat([p.mse for p in parts]).cpu())


def ode_bits_of(
    diffusion: DenoiseDiffusion,
    x0: Tensor,
    n_levels: int,
    seed: int,
    *,
    t: float = 1,
    trace: str = 'hutchinson',
    **options: Any,
) -> dict[str, Tensor]:
    r"""
    The bits per dimension of images by [the ODE](../sde.html): `latent` for $x_t$, which at $t = 1$
    is that of the bound, and `uniform` for the image with uniform noise within its levels.

    * `trace` `hutchinson` or `exact`
    * `options` of `solve`, such as `rtol`
    """
    check_trace(trace)
    sde = VPSDE(diffusion)
    parts: dict[str, list[Tensor]] = {'latent': [], 'uniform': []}
    batches = x0.to(diffusion.beta.device).split(ODE_BATCH)
    bar, tell = progress_bar(2 * len(batches), unit='solution')
    for i, batch in enumerate(batches):
        noise = SeededNoise(len(batch), seed, first=i * ODE_BATCH)
        eps, signs = noise(batch.shape, 'cpu'), Hutchinson.seeded(noise, batch.shape)
        how = {'t': t, 'divergence': exact_divergence if trace == 'exact' else signs, **options}
        parts['latent'].append(latent_bits(sde, batch, eps, **how))
        tell(2 * i)
        # The distribution function of a normal number is uniform
        u = torch.special.ndtr(noise(batch.shape, 'cpu'))
        parts['uniform'].append(uniform_bits(sde, batch, u, n_levels, **how))
        tell(2 * i + 1)
    bar.close()
    return {name: torch.cat(found) for name, found in parts.items()}


def mean_and_error(per_image: Tensor) -> tuple[float, float]:
    r"""
    The mean over images, and its standard error.
    """
    return float(per_image.mean()), float(per_image.std() / len(per_image) ** 0.5)


def table(
    found: Bound, own: str, n_levels: int, others: Mapping[str, Tensor] = NOTHING_ELSE
) -> str:
    r"""
    Bits per dimension by variance, and of each image by `others`; and rate and distortion by bands
    of steps, for the model's own.

    The bands follow the sender: $x_T$, then all down to $x_{T/2}$, …, and last the image itself.
    """
    lines = [f'{"variance":<14}{"bits/dim":>9}  ±']
    for variance in found.terms:
        mean, error = mean_and_error(found.total(variance))
        is_own = "  (the run's)" if variance == own else ''
        lines.append(f'{variance:<14}{mean:9.4f}  {error:.4f}{is_own}')
    for name, per_image in others.items():
        mean, error = mean_and_error(per_image)
        lines.append(f'{name:<14}{mean:9.4f}  {error:.4f}')
    lines += [
        f'{"as they are":<14}{math.log2(n_levels):9.4f}',
        '',
        f'{"sent":<14}{"bits/dim":>9}  {"±":<6}  {"so far":>7}  RMSE in levels of {n_levels}',
    ]
    T = found.mse.shape[1]
    rmse = found.rmse() * (n_levels - 1) / 2
    so_far = 0.0
    for high, low in bands(T):
        mean, error = mean_and_error(found.of()[:, low : high + 1].sum(1))
        so_far += mean
        name = f'x_{high}' if high == low else f'x_{high} … x_{low}'
        left = float(rmse[low - 1]) if low else 0.0
        lines.append(f'{name:<14}{mean:9.4f}  {error:.4f}  {so_far:7.4f}  {left:.3f}')
    return '\n'.join(lines)


def bands(T: int) -> list[tuple[int, int]]:
    r"""
    The bands of the table, `(high, low)`, both included: from $x_T$ alone to $x_0$ alone.
    """
    lows = sorted({T, *(max(1, round(T * share)) for share in BANDS), 1}, reverse=True)
    return [(T, T), *((high - 1, low) for high, low in pairwise(lows)), (0, 0)]


def save_curve(path: Path, found: Bound, n_levels: int) -> Path:
    r"""
    The curve as numbers, a row for each $x_t$ from $x_T$ to $x_1$: what it cost, all that was sent
    until then, and the error of what can be shown then.
    """
    T = found.mse.shape[1]
    terms, rate = found.of().mean(0), found.rate()
    rmse = found.rmse() * (n_levels - 1) / 2
    with written(path) as part, part.open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['t', 'bits_per_dim', 'rate', 'rmse_levels'])
        for t in range(T, 0, -1):
            row = (terms[t], rate[t - 1], rmse[t - 1])
            writer.writerow([t, *(f'{float(v):.6g}' for v in row)])
    return path


def plot_curve(path: Path, found: Bound, n_levels: int) -> Path:
    r"""
    Figure 5: distortion and rate against the steps taken back, and against one another.
    """
    # Without pyplot, which would pick a window system
    from matplotlib.figure import Figure

    T = found.mse.shape[1]
    taken = list(range(T, 0, -1))  # at index t: T - t
    rate, rmse = found.rate().tolist(), (found.rmse() * (n_levels - 1) / 2).tolist()
    figure = Figure(figsize=(10, 3), layout='constrained')
    left, middle, right = figure.subplots(1, 3)
    left.plot(taken, rmse)
    left.set(xlabel='steps back, T - t + 1', ylabel=f'distortion, RMSE in levels of {n_levels}')
    middle.plot(taken, rate)
    middle.set(xlabel='steps back, T - t + 1', ylabel='rate, bits/dim')
    right.plot(rate, rmse)
    right.set(xlabel='rate, bits/dim', ylabel=f'distortion, RMSE in levels of {n_levels}')
    for axes in (left, middle, right):
        axes.set(xlim=0, ylim=0)
        axes.grid(alpha=0.3)
    with written(path) as part:
        figure.savefig(part, format='png', dpi=110)
    return path


# ## Pictures
class ProgressiveOptions(ClassOptions):
    r"""
    What `progressive` can be told.
    """

    n: Annotated[Samples, 'how many images, a row each'] = 8
    frames: Annotated[Frames, 'how many moments'] = 12


class SharedOptions(ClassOptions):
    r"""
    What `shared` can be told.
    """

    n: Annotated[Samples, 'how many samples of each x_t'] = 9
    t: Annotated[
        tuple[int, ...] | None,
        'the steps whose x_t is shared, a row each (T, 3T/4, T/2, 3T/8, T/4, T/8)', Words(),
    ] = None  # fmt: skip


def progressive_command(sampler: Sampler, a: Any) -> Iterator[Path]:
    r"""
    `progressive`: $\hat x_0$ along the chain, a row for each image (figure 6).
    """
    bar, tell = progress_bar(sampler.n_steps)
    frames = sampler.sample_animation(a.frames, a.n, a.seed, tell=tell)
    bar.close()
    rows = torch.stack(frames, dim=1).flatten(0, 1)
    out = out_of(a, 'progressive')
    about = {'run': a.run, 'weights': a.weights, 'seed': a.seed}
    yield save_png(out, grid(rows, len(frames)), about)


def shared_command(sampler: Sampler, a: Any) -> Iterator[Path]:
    r"""
    `shared`: a row for each $t$, first $x_t$, then samples from $p_\theta(x_0|x_t)$ (figure 7).

    All $x_t$ are of one chain, whose own end is the first sample of every row. The earlier $x_t$
    was frozen, the less the samples have in common.
    """
    T = sampler.n_steps
    shares = (1, 3 / 4, 1 / 2, 3 / 8, 1 / 4, 1 / 8)
    steps = list(a.t or ()) or sorted({max(1, round(T * share)) for share in shares}, reverse=True)
    if a.n < 2 or not all(1 <= t <= T for t in steps):
        raise ValueError(f'--n {a.n} must be at least 2, and --t {steps} within 1 to {T}')
    bar, tell = progress_bar(T + sum(steps))
    frozen, end = one_chain(sampler.with_labels(0, 1, one=True), a.seed, steps, tell)
    rest = sampler.with_labels(0, a.n - 1, one=True)
    rows = []
    for t in steps:
        # New noise from there on, for all but the chain itself
        noise = SeededNoise(a.n - 1, a.seed, first=1)
        others = rest.denoise(frozen[t].expand(a.n - 1, -1, -1, -1), noise, t, tell)
        rows += [frozen[t], end, others]
    bar.close()
    out = out_of(a, 'shared')
    about = {'run': a.run, 'weights': a.weights, 'seed': a.seed, 't': steps}
    yield save_png(out, grid(torch.cat(rows), a.n + 1), about)


def one_chain(
    sampler: Sampler, seed: int, steps: list[int], tell: Tell
) -> tuple[dict[int, Tensor], Tensor]:
    r"""
    One chain: $x_t$ for each of `steps`, and its end, `[1, channels, height, width]`.
    """
    noise = SeededNoise(1, seed)
    xt = noise((1, *sampler.image_shape), sampler.device)
    kept = {sampler.n_steps: xt}
    # After index `i` is undone there is $x_i$
    for i, xt, _ in sampler.diffusion.p_chain(xt, noise, clip_x0=sampler.clip_x0):
        if i in steps:
            kept[i] = xt
        tell(i)
    return kept, xt


COMMANDS = {
    'likelihood': Command(
        'bits per dimension, and the rate–distortion curve',
        likelihood_command, LikelihoodOptions,
    ),
    'progressive': Command(
        'what the network aims at, from the first step to the last (figure 6)',
        progressive_command, ProgressiveOptions,
    ),
    'shared': Command(
        'samples that share their x_t, for several t (figure 7)',
        shared_command, SharedOptions,
    ),
}  # fmt: skip
