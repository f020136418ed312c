r"""
---
title: U-Net, the noise predictor of DDPM
summary: The paper's U-Net with 35,746,307 parameters, block by block, with the reason for each.
---

# U-Net $\epsilon_\theta(x_t, t)$

This network takes a noisy image and guesses the noise in it. Its input and its output have the same
shape. Its form is a U. On the way down the image is halved several times, so that what is computed
at each position depends on a larger and larger part of the image. On the way up it is doubled again
to full size. Skip connections bring over, from the way down, the detail that halving loses.

This is the network of the authors' CIFAR-10 run, layer by layer: **35,746,307 parameters**, the
paper's 35.7 M [tested](test:diffusion/ddpm/test_unet.py::test_parameters_of_every_preset).
This is what `print(UNet())` shows
([tested](test:diffusion/ddpm/test_unet.py::test_print_is_the_figure)). Each pair of numbers is a
block, with its input and output channels; the stem is the first convolution, the head the last:

    UNet of 35,746,307 parameters
      time    128 sinusoids → 512
      stem    3 → 128
      down 0  128 → 128, 128 → 128, halve
      down 1  128 → 256 with attention, 256 → 256 with attention, halve
      down 2  256 → 256, 256 → 256, halve
      down 3  256 → 256, 256 → 256
      middle  256 → 256 with attention, 256 → 256
      up 3    512 → 256, 512 → 256, 512 → 256, double
      up 2    512 → 256, 512 → 256, 512 → 256, double
      up 1    512 → 256 with attention, 512 → 256 with attention, 384 → 256 with attention, double
      up 0    384 → 128, 256 → 128, 256 → 128
      head    128 → 3

![The U-Net as boxes in the form of a U. The height of a box is the resolution, its width the number
of channels. On the left, going down, there are two blocks at each level: 128 channels at 32 × 32,
256 channels with attention at 16 × 16, 256 channels at 8 × 8, and 256 at 4 × 4. At the bottom are
two more, the first with attention. On the right, going up, there are three blocks at each level,
each with a skip connection from the left.](figure:ddpm.py::unet
"The paper's U-Net")

`make train` trains a smaller model, for digits of 8 × 8 pixels. It has the same form with two
levels:

![The U-Net of the digits as two rows of boxes, joined by dashed lines. Each box shows the channel
of its output that varies most: the digit in noise, at 8 × 8 on the way down, at 4 × 4 in the
middle, at 8 × 8 again on the way up, and the guessed noise at the end](live:unet)

A block on the way up takes two tensors, concatenated: the output of the block before it and one
tensor from the way down. This is why its input is wider than its output. The tensors from the way
down wait on a stack: the last one pushed is the first one popped. For a 32 × 32 image:

| level | resolution | width | pushed on the way down | popped on the way up |
|---|---|---|---|---|
| 0 | 32 × 32 | 128 | output of the stem, outputs of 2 blocks | 3 tensors |
| 1 | 16 × 16 | 256 | output of level 0, halved; outputs of 2 blocks | 3 tensors |
| 2 | 8 × 8 | 256 | output of level 1, halved; outputs of 2 blocks | 3 tensors |
| 3 | 4 × 4 | 256 | output of level 2, halved; outputs of 2 blocks | 3 tensors |

> **Why one more block on the way up?** Each level has pushed three tensors: the one that it began
> with, and the outputs of its two blocks. Each of the three needs a block that takes it.

> **Departure.** Checkpoints of labml's earlier U-Net do not load here. There the width of a level
> was the width of the level before times its multiplier (which gave 167.8 M parameters), and the
> normalisation in front of the attention was created but never applied. Here both are as in the
> paper.

**Sizes.** All levels but the last halve the image, so its sides must be multiples of
$2^{\text{levels} - 1}$. Images of 28 × 28 fit three levels; for four, ask for 32 × 32, and they are
padded. The channels of every level must be a multiple of `n_groups`, the number of groups in every
GroupNorm, which is 32 if nothing else is said.

[Exercises for this page](exercises.html#the-u-net), with answers.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labml_nn.diffusion.ddpm.older import labml_blocks, older_calls, older_names, older_weights
from labml_nn.diffusion.ddpm.utils import check_batch, check_label, described, without_autocast


class Variant(NamedTuple):
    r"""
    ## Details in which other networks differ

    The code below shows where each is used. The defaults are the paper's. The `UNet2DModel` of
    diffusers has other defaults, and [a network that was trained with those](pretrained.html) works
    only with those.
    """

    norm_eps: float = 1e-6  # of every GroupNorm
    head_channels: int | None = None  # channels of each attention head; None: one head with all
    symmetric: bool = False  # whether `Downsample` pads on all four sides, or right and bottom only
    cosine_first: bool = False  # in the time embedding, cosines before sines
    last_frequency: bool = True  # the lowest frequency is 1e-4; False: a little more


PAPER = Variant()


def frequencies(n: int, last: bool = True) -> Tensor:
    r"""
    $10000^{-i/(n-1)}$ for $i = 0 \dots n-1$, float64 `[n]`, as in the authors' code: the last one
    is $10^{-4}$. With `last=False` it divides by $n$, as the paper on the transformer does.
    """
    i = torch.arange(n, dtype=torch.float64)
    return torch.exp(-math.log(10000) * i / max(n - last, 1))


class TimeEmbedding(nn.Module):
    r"""
    ## Embedding of the time step

    > **Why is $t$ given to the network?** The same pixels mean different things at different noise
    > levels: at $t=10$ their texture belongs to the image, at $t=900$ it is all noise.

    > **Why sinusoids?** A single number in 0..999 is a poor input: steps 10 and 11 would differ
    > by a thousandth of its range. Sine and cosine at frequencies from 1 down to $10^{-4}$ spread
    > it over many inputs of unit size: the fast ones tell neighbours apart, the slow ones tell
    > early steps from late ones. Two linear layers, with an activation between, then turn the
    > sinusoids into the vector that every block gets. This vector is four times as long as the list
    > of sinusoids, as in the authors' code.

    ![The embedding as a picture, t from left to right, 64 sines above 64 cosines. In each
    half the first channels flicker from step to step; further down the waves get longer, and the
    last channels hardly change over all 1000 steps.](figure:ddpm.py::embedding
    "The embedding of the time step")
    """

    frequency: Tensor

    def __init__(
        self, n_channels: int, n_classes: int | None = None, variant: Variant = PAPER,
        *, width: int | None = None,
    ):  # fmt: skip
        r"""
        * `n_channels` the size of the sinusoidal embedding
        * `n_classes` how many classes a label can name; `None` for a network that takes no labels
        * `variant` whether sines or cosines come first, and which frequency is the lowest
        * `width` of the output; `4 * n_channels` when not given

        Raises `ValueError` if `n_classes` is less than 1.
        """
        super().__init__()
        if n_classes is not None and n_classes < 1:
            raise ValueError(f'n_classes={n_classes}: give at least one, or None for no labels')
        self.n_classes = n_classes or 0
        width = 4 * n_channels if width is None else width
        frequency = frequencies(n_channels // 2, variant.last_frequency)
        self.cosine_first = variant.cosine_first
        self.register_buffer('frequency', frequency.float(), persistent=False)
        self.linear1 = nn.Linear(n_channels, width)
        self.linear2 = nn.Linear(width, width)
        self.label = nn.Embedding(n_classes, width) if n_classes else None

    def __repr__(self) -> str:
        labels = f' + {self.n_classes} classes' if self.n_classes else ''
        return f'{self.linear1.in_features} sinusoids{labels} → {self.linear2.out_features}'

    def forward(self, t: Tensor, label: Tensor | None = None) -> Tensor:
        r"""
        * `t` the steps, `[batch]`
        * `label` `[batch]`, int64: the class of each image, -1 for an image without a label

        Returns the embedding, `[batch, width]`.
        """
        # Always in float32: bfloat16 has no number between 512 and 516
        with without_autocast(t.device):
            angle = t[:, None].float() * self.frequency  # [batch, n_channels / 2]
            waves = [angle.sin(), angle.cos()]
            waves = waves[::-1] if self.cosine_first else waves
            emb = torch.cat(waves, dim=1)  # [batch, n_channels]
            # Without the activation the two linear layers would be one
            emb = self.linear2(F.silu(self.linear1(emb)))
        if label is not None:
            check_label(label, len(t), self.n_classes)
            # The vector of the class is added to that of the time, and every block gets the sum.
            # Where there is no label, nothing is added
            emb = emb + self.label(label.clamp(min=0)) * (label >= 0)[:, None]  # type: ignore[misc]
        return emb


class ResidualBlock(nn.Module):
    r"""
    ## Residual block, with the time step as a second input

    The block does this twice: normalise, apply SiLU, convolve. In between it adds a projection of
    the time embedding, and at the end it adds its input. GroupNorm takes mean and variance over a
    group of channels of one image, BatchNorm over the images of the batch. The block has GroupNorm,
    because a batch holds images at all noise levels, and the result for one image must not depend
    on the others.
    """

    def __init__(
        self, in_channels: int, out_channels: int, time_channels: int,
        *, dropout: float = 0.1, n_groups: int = 32, variant: Variant = PAPER,
    ):  # fmt: skip
        super().__init__()
        self.norm1 = nn.GroupNorm(n_groups, in_channels, eps=variant.norm_eps)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.time = nn.Linear(time_channels, out_channels)
        self.norm2 = nn.GroupNorm(n_groups, out_channels, eps=variant.norm_eps)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        # Where the widths differ, a 1×1 convolution makes the shortcut fit
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        r"""
        * `x` `[batch, in_channels, height, width]`
        * `t` the embedded time, `[batch, time_channels]`
        """
        h = self.conv1(F.silu(self.norm1(x)))  # [batch, out_channels, height, width]
        # > **Why SiLU before `self.time`?** The time embedding ends in a linear layer, and
        # > `self.time` is a linear layer too. With nothing in between, the two together could do no
        # > more than one linear layer, and the last layer of the embedding would be useless.
        #
        # One shift per channel, the same at every pixel
        h = h + self.time(F.silu(t))[:, :, None, None]
        h = self.conv2(self.dropout(F.silu(self.norm2(h))))
        return self.shortcut(x) + h


class AttentionBlock(nn.Module):
    r"""
    ## Self-attention between all positions

    $$\operatorname{softmax}\Big(\frac{QK^\top}{\sqrt d}\Big)V$$

    [tested](test:diffusion/ddpm/test_unet.py::test_attention_is_the_formula)

    $Q$, $K$ and $V$ are linear maps of the normalised input, with one row for each position and $d$
    columns. The paper has one head, which uses all channels, so $d$ is the number of channels. If
    `head_channels` is given, the channels are divided among several heads of this size, $d$ is
    `head_channels`, and the outputs of the heads are concatenated. A linear layer follows, and the
    input is added at the end.

    > **Why at 16 × 16 only?** A 3×3 convolution cannot see across the image. Attention can, but its
    > cost grows with the *square* of the number of positions: $16^2$ positions make 65,536
    > pairs, $32^2$ make 1,048,576, sixteen times as many. At 16 × 16 the parts of an object are
    > still in different positions, and the cost is small. The paper has attention there for every
    > data set, whatever the image size, and once more in the middle, where it costs very little.
    """

    def __init__(self, n_channels: int, *, n_groups: int = 32, variant: Variant = PAPER):
        super().__init__()
        self.n_heads = n_channels // (variant.head_channels or n_channels)
        self.norm = nn.GroupNorm(n_groups, n_channels, eps=variant.norm_eps)
        self.query = nn.Linear(n_channels, n_channels)
        self.key = nn.Linear(n_channels, n_channels)
        self.value = nn.Linear(n_channels, n_channels)
        self.out = nn.Linear(n_channels, n_channels)

    def forward(self, x: Tensor) -> Tensor:
        r"""
        * `x` `[batch, n_channels, height, width]`, and so is the output
        """
        h = self.norm(x).flatten(2).transpose(1, 2)  # [batch, height * width, n_channels]
        h = attend(self.query(h), self.key(h), self.value(h), self.n_heads)
        return x + self.out(h).transpose(1, 2).reshape(x.shape)


def attend(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    r"""
    The formula above, for each head by itself.

    * `query`, `key`, `value` `[batch, positions, n_channels]`, and so is the output
    """
    # `[batch, heads, positions, n_channels / heads]`
    q, k, v = (x.unflatten(2, (n_heads, -1)).transpose(1, 2) for x in (query, key, value))
    # torch's fused kernels never store all the pairs
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class Block(nn.Module):
    r"""
    ## A residual block, with attention after it or not

    The way down and the way up are made of these.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        time_channels: int,
        dropout: float,
        n_groups: int,
        has_attn: bool,
        variant: Variant = PAPER,
    ):
        super().__init__()
        common: dict[str, Any] = dict(n_groups=n_groups, variant=variant)
        self.residual = ResidualBlock(
            in_channels, out_channels, time_channels, dropout=dropout, **common
        )
        self.attention: nn.Module = nn.Identity()
        if has_attn:
            self.attention = AttentionBlock(out_channels, **common)

    def __repr__(self) -> str:
        conv = self.residual.conv1
        has_attn = isinstance(self.attention, AttentionBlock)
        return f'{conv.in_channels} → {conv.out_channels}' + ' with attention' * has_attn

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.attention(self.residual(x, t))


class Downsample(nn.Conv2d):
    r"""
    ## Halve the image

    A 3×3 convolution at every second position. It is padded on the right and at the bottom only,
    as TensorFlow did for the authors. In PyTorch it is usual to pad on all four sides. A network
    that is trained with that padding is as good. But the authors' weights, used with it, would find
    every feature shifted by one pixel of the larger image.
    """

    def __init__(self, n_channels: int, variant: Variant = PAPER):
        super().__init__(n_channels, n_channels, 3, stride=2)
        self.sides = (1, 1, 1, 1) if variant.symmetric else (0, 1, 0, 1)

    def __repr__(self) -> str:
        return 'halve'

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.sides))  # [batch, n_channels, height/2, width/2]


class Upsample(nn.Conv2d):
    r"""
    ## Double the image

    Repeat each pixel, then smooth with a 3×3 convolution. A 3×3 transposed convolution with stride
    2 would overlap unevenly and tend to leave a chequerboard.
    """

    def __init__(self, n_channels: int):
        super().__init__(n_channels, n_channels, 3, padding=1)

    def __repr__(self) -> str:
        return 'double'

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.interpolate(x, scale_factor=2, mode='nearest'))


class Stage(nn.Module):
    r"""
    ## One level, on the way down or up

    The blocks of the level, and the layer after them that changes the resolution, if there is one.
    """

    def __init__(self, blocks: list[Block], resample: nn.Module | None):
        super().__init__()
        self.blocks: Sequence[Block] = nn.ModuleList(blocks)  # type: ignore[assignment]
        self.resample = resample

    def __repr__(self) -> str:
        return ', '.join(str(part) for part in (*self.blocks, self.resample) if part is not None)


class UNet(nn.Module):
    r"""
    ## U-Net

    The defaults are the paper's CIFAR-10 model. `print` shows it as at the top of this page.
    """

    def __init__(
        self,
        image_channels: int = 3,  # 3 for colour, 1 for grey
        n_channels: int = 128,  # width of the first level
        ch_mults: Sequence[float] = (1, 2, 2, 2),  # width of level i is n_channels * ch_mults[i]
        is_attn: Sequence[bool] = (False, True, False, False),  # attention at level i
        n_blocks: int = 2,  # blocks a level on the way down; one more on the way up
        *,
        dropout: float = 0.1,  # the paper's for CIFAR-10; 0 for the 256² models
        n_groups: int = 32,  # of every GroupNorm
        out_channels: int | None = None,  # the image's; twice as many for a learned variance
        n_classes: int | None = None,  # classes that a label can name; None: it takes no labels
        variant: Variant = PAPER,  # details that differ from the paper
    ):
        r"""
        Raises `ValueError` if the numbers do not fit together.
        """
        super().__init__()
        check_sizes(n_channels, ch_mults, is_attn, n_blocks, n_groups)
        self.image_channels, self.variant = image_channels, variant
        self.time = TimeEmbedding(n_channels, n_classes, variant)
        common = (4 * n_channels, dropout, n_groups)  # arguments that all blocks have in common
        block = partial(Block, variant=variant)

        widths = [round(n_channels * mult) for mult in ch_mults]
        last = len(widths) - 1

        # ### The way down
        #
        # `forward` pushes tensors on a stack; `skips` holds their widths, in the same order
        self.stem = nn.Conv2d(image_channels, n_channels, 3, padding=1)
        width, skips, down, up = n_channels, [n_channels], [], []
        for level, out in enumerate(widths):
            blocks = []
            for _ in range(n_blocks):
                blocks.append(block(width, out, *common, is_attn[level]))
                width = out
            down.append(Stage(blocks, Downsample(out, variant) if level < last else None))
            # Each block's output, and the halved image
            skips += [out] * (n_blocks + (level < last))
        self.down: Sequence[Stage] = nn.ModuleList(down)  # type: ignore[assignment]

        # ### The middle
        #
        # After this attention every position has seen the whole image, whatever its size
        self.middle = Stage([block(width, width, *common, attn) for attn in (True, False)], None)

        # ### The way up
        for level in reversed(range(len(widths))):
            blocks = []
            for _ in range(n_blocks + 1):
                blocks.append(block(width + skips.pop(), widths[level], *common, is_attn[level]))
                width = widths[level]
            up.append(Stage(blocks, Upsample(width) if level else None))
        assert not skips
        self.up: Sequence[Stage] = nn.ModuleList(up)  # type: ignore[assignment]

        self.norm = nn.GroupNorm(n_groups, width, eps=variant.norm_eps)
        self.head = nn.Conv2d(width, out_channels or image_channels, 3, padding=1)
        self.initialise()

    def initialise(self) -> None:
        r"""
        #### How the weights start
        """
        for module in self.modules():
            # The method of Glorot and Bengio, as in the authors' code. With one variance of the
            # weights the signal keeps its size in the forward pass, with another the gradient keeps
            # its size in the backward pass. The method takes a variance between the two
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        # The last layer of every residual and attention block starts at zero: in a new network a
        # block adds nothing, and its output is that of its shortcut. The head starts at zero too,
        # so that the first guess is "no noise" and the loss is 1
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                nn.init.zeros_(module.conv2.weight)
            elif isinstance(module, AttentionBlock):
                nn.init.zeros_(module.out.weight)
        nn.init.zeros_(self.head.weight)

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        r"""
        * `x` noisy images $x_t$, `[batch, image_channels, height, width]`
        * `t` their steps, `[batch]`, 0..T-1
        * `label` their classes, `[batch]`, -1 for none, for a network that has `n_classes`:
          see [guidance](../guidance.html)

        Returns $\epsilon_\theta(x_t, t)$, of the shape of `x`, but with `out_channels` channels.
        Raises `ValueError` if an image cannot be halved often enough or has the wrong number of
        channels, and (on the CPU) if a label names no class.
        """
        self.check_images(x)
        t = self.time(t, label)  # [batch, 4 * n_channels]
        h = self.stem(x)  # [batch, n_channels, height, width]
        skips = [h]
        for stage in self.down:
            for block in stage.blocks:
                h = block(h, t)
                skips.append(h)
            if stage.resample is not None:
                h = stage.resample(h)  # half the height and width
                skips.append(h)
        for block in self.middle.blocks:
            h = block(h, t)
        for stage in self.up:
            for block in stage.blocks:
                # Beside the output of the block before, the tensor that was kept on the way down
                h = block(torch.cat([h, skips.pop()], dim=1), t)
            if stage.resample is not None:
                h = stage.resample(h)  # twice the height and width
        assert not skips
        return self.head(F.silu(self.norm(h)))  # [batch, out_channels, height, width]

    def __repr__(self) -> str:
        ways = {
            'time': self.time,
            'stem': f'{self.image_channels} → {self.stem.out_channels}',
            **{f'down {i}': stage for i, stage in enumerate(self.down)},
            'middle': self.middle,
            **{f'up {len(self.up) - 1 - i}': stage for i, stage in enumerate(self.up)},
            'head': f'{self.head.in_channels} → {self.head.out_channels}',
        }
        return described('UNet', self, ways)

    def check_images(self, x: Tensor) -> None:
        r"""
        A `ValueError` unless `x` is a batch of images that this network can take.
        """
        check_batch(x, self.image_channels, 'U-Net')
        for side in x.shape[2:]:
            check_image_size(side, len(self.down))


__getattr__ = older_names(__name__, UNet, ResidualBlock, Block, known=labml_blocks(Block, Stage))
older_calls(ResidualBlock, AttentionBlock, Downsample, Upsample)
older_weights(UNet)


def check_image_size(image_size: int, n_levels: int) -> None:
    r"""
    A `ValueError` unless a side of `image_size` pixels can be halved `n_levels - 1` times.
    """
    multiple = 2 ** (n_levels - 1)
    if image_size < 1 or image_size % multiple:
        lower = image_size // multiple * multiple
        either = f'{lower} or {lower + multiple}' if lower > 0 else str(multiple)
        raise ValueError(
            f'image_size={image_size} cannot be halved {n_levels - 1} times, as {n_levels} levels '
            f'need: use a multiple of {multiple}, such as {either}'
        )


def check_sizes(
    n_channels: int,
    ch_mults: Sequence[float],
    is_attn: Sequence[bool],
    n_blocks: int,
    n_groups: int,
) -> None:
    r"""
    A `ValueError` unless the numbers that describe a U-Net fit together.
    """
    if not ch_mults or len(ch_mults) != len(is_attn):
        raise ValueError(
            f'ch_mults={tuple(ch_mults)} has {len(ch_mults)} levels, is_attn={tuple(is_attn)} has '
            f'{len(is_attn)}: give both one entry a level'
        )
    widths = [round(n_channels * mult) for mult in ch_mults]
    if n_blocks < 1 or (n_channels > 0 and min(widths) < 1):
        raise ValueError(
            f'n_blocks={n_blocks}, ch_mults={tuple(ch_mults)}: each level needs at least one block '
            f'and one channel'
        )
    if n_channels < 1 or n_groups < 1 or n_channels % n_groups or n_channels % 2:
        below = max(n_channels // n_groups * n_groups, n_groups) if n_groups > 0 else 32
        raise ValueError(
            f'n_channels={n_channels} is not a multiple of the {n_groups} groups of GroupNorm '
            f'(or odd): use {below}, {below + n_groups} or n_groups={math.gcd(n_channels, 32)}'
        )
    if any(width % n_groups for width in widths):
        raise ValueError(
            f'the widths {widths} of the levels are no multiples of the {n_groups} groups of '
            f'GroupNorm: use n_groups={math.gcd(32, *widths)}'
        )
