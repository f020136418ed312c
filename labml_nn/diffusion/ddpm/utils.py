r"""
---
summary: A constant for each image of a batch, noise that a seed decides, models in evaluation mode.
---

# Constants by time step, and noise by seed

A few small tools that every page of this folder uses.
"""

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn


def gather(consts: Tensor, t: Tensor, ndim: int = 4) -> Tensor:
    r"""
    Pick the constant of each image's own time step, shaped to multiply a batch of images.

    A batch holds images at *different* steps: image $b$ is at step $t_b$ and needs
    $\bar\alpha_{t_b}$, one number for all its channels and pixels.

    * `consts` the constants of all steps, `[n_steps]`
    * `t` the step of each image, `[batch]`, int64
    * `ndim` the rank of the tensor that will be multiplied; images have 4

    Returns `[batch, 1, 1, 1]`, with as many ones as `ndim` asks for.
    Raises `RuntimeError` (from torch) for a step outside `0..n_steps-1`, negative ones too.
    """
    c = consts.gather(0, t)  # [batch]
    return c.reshape(-1, *[1] * (ndim - 1))  # [batch, 1, 1, 1]


def without_autocast(device: torch.device) -> AbstractContextManager[Any]:
    r"""
    Compute in the types that the tensors have, also where a caller asked for half of them.

    `device` may be one that has no autocast, as `meta`, where tensors are shapes without numbers.
    """
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


# ## Noise that knows its image
#
# One generator for a whole batch has a flaw that users of every library report: picture 3 of a
# batch of 16 is not picture 3 of a batch of 4, because the numbers are dealt out in batch order.
# Here each image owns a generator, on the CPU, so image $i$ depends on `(seed, i)` and on
# nothing else: not on the batch size, the order or the device.
def check_seed(seed: int) -> int:
    r"""
    The seed, or a `ValueError` unless it is one that every generator takes.
    """
    if not 0 <= seed < 2**63:
        raise ValueError(f'seed={seed}: need a whole number from 0 to 2**63 - 1')
    return seed


class SeededNoise:
    r"""
    Standard normal noise of which image $i$ depends on `(seed, i)` only.

    * `n` how many images
    * `seed` the seed of the whole set
    * `first` the index of the first image; the second half of a set of 32 is
      `SeededNoise(16, seed, first=16)`

    Each call draws the next $z \sim \mathcal N(0, \mathbf I)$ of the chain for all images.
    """

    def __init__(self, n: int, seed: int, *, first: int = 0):
        check_seed(seed)
        self.generators = [
            torch.Generator().manual_seed(image_seed(seed, i)) for i in range(first, first + n)
        ]

    def __call__(self, shape: torch.Size | tuple[int, ...], device: torch.device | str) -> Tensor:
        r"""
        Draw the next noise, of the whole batch's `shape`, and bring it to `device`.

        Raises `ValueError` when the batch is not of the size the seeds were made for.
        """
        if shape[0] != len(self.generators):
            raise ValueError(
                f'noise was seeded for {len(self.generators)} images, the batch has {shape[0]}: '
                f'make SeededNoise(n={shape[0]}, …)'
            )
        return torch.stack([torch.randn(shape[1:], generator=g) for g in self.generators]).to(
            device
        )


def image_seed(seed: int, i: int) -> int:
    r"""
    The 32-bit seed of image $i$ in the set `seed`.

    torch's CPU generator keeps 32 bits of its seed. With `seed + i`, image 1 of seed 0 would be
    image 0 of seed 1; multiples of the golden ratio instead lie far apart on the circle of
    $2^{32}$ seeds, so sets of tens of thousands of images do not meet.
    """
    return (seed * 0x9E3779B1 + i) % 2**32


# ## No dropout while sampling
#
# Dropout is part of training. Left on while sampling it adds noise that no step of the chain
# accounts for, and nothing complains: the pictures are only worse.
@contextmanager
def evaluating(model: object) -> Iterator[None]:
    r"""
    Put `model` in evaluation mode inside a `with` block, and every module back as it was after.

    `model` may be any callable: one that is no `nn.Module` has no modes and is left alone.
    """
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    training = [m for m in modules if m.training]
    for m in training:
        m.training = False
    try:
        yield
    finally:
        for m in training:
            m.training = True


Process = TypeVar('Process', bound=nn.Module)


def around(process: Process, eps_model: Callable[..., Tensor]) -> Process:
    r"""
    The same forward and reverse process, such as a `DenoiseDiffusion`, with another `eps_model`.
    """
    other = copy.copy(process)
    # torch keeps a model that is a module in a table, which a copy would share
    other._modules = {k: m for k, m in process._modules.items() if k != 'eps_model'}
    other.eps_model = eps_model  # type: ignore[assignment]
    return other


# ## The paper's schedule
def linear_beta(n_steps: int, first: float = 1e-4, last: float = 0.02) -> Tensor:
    r"""
    $\beta_1 \dots \beta_T$ in a straight line, as float64 `[n_steps]` (section 4).
    """
    return torch.linspace(first, last, n_steps, dtype=torch.float64)


# ## At the door
class ShortChainWarning(UserWarning):
    r"""
    The forward process ends with more than 5 % of the image left.
    """


# The share of the image that may be left at the end of the forward process
MOST_LEFT = 0.05


def refuse_to_divide(left: Tensor, target: str) -> None:
    r"""
    A `ValueError` if the share `left` of the image at the last step is 0 and $\epsilon$ is the
    target, as $\hat x_0$ is divided by its root.
    """
    if target == 'eps' and float(left) == 0:
        raise ValueError(
            'nothing is left of the image at the last step, where eps says nothing about it '
            '(x0_hat would be divided by 0): predict v or x0 (target=v), or keep some of the '
            'image (zero_snr=false)'
        )


def checked_schedule(beta: Tensor, n_steps: int, target: str = 'eps') -> Tensor:
    r"""
    The schedule as float64 on the CPU, or a `ValueError` that says what is wrong with it.
    """
    if n_steps < 1 or beta.shape != (n_steps,):
        raise ValueError(
            f'a schedule of n_steps={n_steps} needs beta of shape [{n_steps}] and at least one '
            f'step: got shape {list(beta.shape)}'
        )
    # The last step alone may leave nothing
    if not bool((beta > 0).all() & (beta[:-1] < 1).all() & (beta[-1] <= 1)):
        raise ValueError(
            f'beta must lie strictly between 0 and 1: got {beta.min():g} to {beta.max():g}'
        )
    refuse_to_divide(1 - beta[-1], target)
    beta = beta.detach().to('cpu', torch.float64)
    left = float((1 - beta).prod() ** 0.5)
    if left > MOST_LEFT:
        warnings.warn(
            f'{n_steps} steps with beta from {beta[0]:g} to {beta[-1]:g} leave {left:.0%} of the '
            f'image at the end, so sampling cannot start from pure noise: use more steps, larger '
            f'betas or the cosine schedule (1000 steps with the default betas leave 0.6 %)',
            ShortChainWarning,
            stacklevel=4,
        )
    return beta


def both_forms(
    beta: Tensor | None, alpha_bar: Tensor | None, n_steps: int, target: str = 'eps'
) -> tuple[Tensor, Tensor]:
    r"""
    $\beta$ and $\bar\alpha$ of a schedule that is given by one of them; the paper's by none.

    * `target` what the model predicts: $\epsilon$ needs a rest of the image at the last step
    """
    if alpha_bar is None:
        beta = checked_schedule(linear_beta(n_steps) if beta is None else beta, n_steps, target)
        return beta, (1 - beta).cumprod(0)
    alpha_bar = checked_products(alpha_bar, beta, n_steps, target)
    # $\beta_t = 1 - \bar\alpha_t / \bar\alpha_{t-1}$
    return 1 - alpha_bar / torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]]), alpha_bar


def checked_products(
    alpha_bar: Tensor, beta: Tensor | None, n_steps: int, target: str = 'eps'
) -> Tensor:
    r"""
    $\bar\alpha$ as float64 on the CPU, or a `ValueError` that says what is wrong with it.

    > For chains of few steps: with next to nothing left,
    > $\beta = 1 - \bar\alpha_t / \bar\alpha_{t-1}$ rounds to 1, and $\bar\alpha$ does not
    > follow from it any more.
    """
    if beta is not None:
        raise ValueError('beta and alpha_bar are two forms of one schedule: give one of them')
    if n_steps < 1 or alpha_bar.shape != (n_steps,):
        raise ValueError(
            f'a schedule of n_steps={n_steps} needs alpha_bar of shape [{n_steps}] and at least '
            f'one step: got shape {list(alpha_bar.shape)}'
        )
    alpha_bar = alpha_bar.detach().to('cpu', torch.float64)
    falls = torch.cat([alpha_bar.new_ones(1), alpha_bar]).diff() < 0
    if not bool(falls.all() & (alpha_bar >= 0).all()):
        raise ValueError(
            f'alpha_bar must fall from step to step, from below 1 and never below 0: got '
            f'{alpha_bar.max():g} to {alpha_bar.min():g}'
        )
    refuse_to_divide(alpha_bar[-1], target)
    return alpha_bar


def same_shape(name: str, x: Tensor, like: Tensor) -> Tensor:
    r"""
    `x`, or a `ValueError` unless it has the shape of `like`.
    """
    if x.shape != like.shape:
        raise ValueError(f'{name} has shape {list(x.shape)}, the images have {list(like.shape)}')
    return x


def one_for_each(t: Tensor, images: Tensor) -> None:
    r"""
    A `ValueError` unless there is one step for each image.
    """
    if t.shape != images.shape[:1]:
        raise ValueError(f't has shape {list(t.shape)}: need [{len(images)}], one for each image')


def in_halves(output: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
    r"""
    The two halves of the channels of an output, `[batch, 2 * channels, ...]`, or a `ValueError` if
    there are not twice as many as `xt` has.
    """
    need = [len(xt), 2 * xt.shape[1], *xt.shape[2:]]
    if list(output.shape) != need:
        raise ValueError(
            f'the output of eps_model has shape {list(output.shape)}: a learned variance needs '
            f'twice the channels of the images, {need}. UNet(out_channels=…) makes them'
        )
    guess, v = output.chunk(2, dim=1)
    return guess, v


def squared_error(guess: Tensor, truth: Tensor) -> Tensor:
    r"""
    How far a guess is off for each image: the mean over its pixels of the square, `[batch]`.
    """
    return (guess - truth).square().reshape(len(truth), -1).mean(1)


def in_range(x0: Tensor) -> None:
    r"""
    A `ValueError` unless all of `x0` lies in $[-1, 1]$ (and is a number); a `UserWarning` where
    nothing is below 0, as in images of $[0, 1]$, which train and come out washed.
    """
    low, high = float(x0.min()), float(x0.max())
    if not (low >= -1 and high <= 1):
        raise ValueError(
            f'images must lie in [-1, 1]: these go from {low:g} to {high:g}. Scale 8-bit images by '
            f'x / 127.5 - 1, and [0, 1] by 2 * x - 1; for unbounded data pass check_range=False'
        )
    if 0 <= low < high:
        # Without the numbers: Python shows a text once, and they are others in every batch
        warnings.warn(
            'no image has a value below 0, as if they were in [0, 1] and not in [-1, 1]: scale '
            'those by 2 * x - 1; for other data pass check_range=False',
            stacklevel=3,
        )


def check_batch(x: Tensor, n_channels: int, network: str) -> None:
    r"""
    A `ValueError` unless `x` is a batch of images with so many channels, for a network called
    `network`.
    """
    if x.ndim != 4 or x.shape[1] != n_channels:
        raise ValueError(
            f'images have shape {list(x.shape)}: this {network} needs '
            f'[batch, {n_channels}, height, width]'
        )


def described(name: str, model: nn.Module, parts: Mapping[str, object]) -> str:
    r"""
    What a network of this name prints: how many parameters it has, and a line for each part.
    """
    n = sum(w.numel() for w in model.parameters())
    return '\n'.join([f'{name} of {n:,} parameters', *(f'  {k:<8}{v}' for k, v in parts.items())])


def check_label(label: Tensor, n: int, n_classes: int) -> None:
    r"""
    A `ValueError` unless `label` names a class, `0 .. n_classes-1`, or -1 for none, for each of `n`
    images; and for a model without classes whatever it is.
    """
    if n_classes < 1:
        raise ValueError(
            'labels were given to a model that takes none: leave them out, or train one that does '
            '(n_classes=10 for ten classes)'
        )
    if label.shape != (n,) or label.dtype != torch.int64:
        raise ValueError(
            f'label has shape {list(label.shape)} and type {label.dtype}: give one int64 for each '
            f'of {n} images'
        )
    # The look at the numbers would make the CPU wait for a GPU, at every step
    if not label.is_cuda and not bool(((label >= -1) & (label < n_classes)).all()):
        raise ValueError(
            f'labels go from {int(label.min())} to {int(label.max())}: this model has the classes '
            f'0 to {n_classes - 1}, and -1 for none'
        )


def device_of(eps_model: object) -> torch.device:
    r"""
    Where the model's weights are; the CPU for a callable that has none.
    """
    parameters = eps_model.parameters() if isinstance(eps_model, nn.Module) else iter(())
    first = next(parameters, None)
    return torch.device('cpu') if first is None else first.device
