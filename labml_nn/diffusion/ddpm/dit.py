r"""
---
title: DiT, a transformer in the place of the U-Net
summary: >
  Patches, positions and adaLN-Zero: the diffusion transformer, and what it gives on the digits at
  the U-Net's size and time.
---

# DiT: a transformer in the place of the U-Net

Nothing in [DDPM](index.html) asks for a U-Net. Any network will do whose output has the shape of
its input and which is told the time. *Scalable Diffusion Models with Transformers* [@peebles2023]
takes a transformer: it cuts the image into patches, treats each patch as a token, and lets the
tokens look at each other.

    python -m labml_nn.diffusion.ddpm.experiment --preset digits_dit
    python -m labml_nn.diffusion.ddpm.experiment --preset digits_dit --patch_size 1 --depth 6

The loss, the samplers and the commands stay as they are
[tested](test:diffusion/ddpm/test_dit.py::test_every_command_takes_a_transformer). Two things are
for the U-Net alone, and refuse a transformer with a message that says so: [a page for the
browser](web.html) and the export to [diffusers](pretrained.html).

The network of `digits_dit`, as `print` shows it
([tested](test:diffusion/ddpm/test_dit.py::test_print_is_the_figure)):

    DiT of 722,788 parameters
      time    256 sinusoids → 96
      stem    2 × 2 × 1 → 96
      blocks  4 of 96, 4 heads
      head    96 → 2 × 2 × 1

## From an image to tokens

An image of $H \times W$ pixels and $C$ channels has $\frac Hp \cdot \frac Wp$ patches of $p \times
p$ pixels. Token $(i, j)$ is a linear map of the pixels of the patch in row $i$ and column $j$,
plus a vector that says where it lies:

$$h_{i,j} = W_E \operatorname{vec}\big(x_{ip\,:\,ip+p,\;jp\,:\,jp+p}\big) + b_E + P_{i,j}$$

[tested](test:diffusion/ddpm/test_dit.py::test_a_token_is_a_map_of_its_pixels), with a learned
matrix $W_E$ and vector $b_E$. This is a
convolution whose kernel and stride are both $p$. Smaller patches mean more tokens. Half the side
gives four times as many, with nearly the same number of weights, and at least four times the work.

![A noisy digit of 8 by 8 pixels, cut by lines into 16 patches that are numbered row by row. Beside
it the 16 tokens as rows of four pixels. Below, the vectors of the 16 positions as rows of 96
numbers: the first half of the columns repeats every four rows, the second half changes every four
rows, and the waves get longer to the right within each quarter](figure:dit.py::tokens
"How a digit becomes 16 tokens")

> **Why does attention need positions?** Without $P$ a block treats its tokens as a set: tokens that
> change places give the same outputs in changed places
> [tested](test:diffusion/ddpm/test_dit.py::test_without_positions_patches_may_change_places). No
> patch would know which others are its neighbours. A convolution knows that without being told.

## The block: adaLN-Zero

Time $t$ and class $y$ are embedded and added, $c = e(t) + e(y)$, as in our U-Net. The U-Net adds it
to its features. Here it sets the scale and the shift of each normalisation, and how much of each
branch is added. LayerNorm has no weights of its own:

$$\operatorname{modulate}(h; b, s) = (1 + s) \odot \operatorname{LN}(h) + b$$

[tested](test:diffusion/ddpm/test_dit.py::test_modulation_of_known_values), and with it

$$\begin{aligned}
h' &= h + g_1 \odot \operatorname{Attention}\big(\operatorname{modulate}(h; b_1, s_1)\big) \\
h'' &= h' + g_2 \odot \operatorname{MLP}\big(\operatorname{modulate}(h'; b_2, s_2)\big)
\end{aligned}$$

[tested](test:diffusion/ddpm/test_dit.py::test_the_block_is_the_formula). The six vectors are a
linear map of $\operatorname{SiLU}(c)$, the same for all tokens. (The paper's letters for $s$, $b$
and $g$ are $\gamma$, $\beta$ and $\alpha$, which mean other things here.)

> **Why zero?** The map to the six vectors starts at zero. Then every gate $g$ is zero, and a new
> block is the identity [tested](test:diffusion/ddpm/test_dit.py::test_a_new_block_is_the_identity).
> The last layer starts at zero too, so the first guess is "no noise", as the U-Net's is
> [tested](test:diffusion/ddpm/test_dit.py::test_a_new_network_guesses_no_noise). The paper compares
> four ways to tell a block the time, and this one does best.

> **A vector for "no class"?** The authors' table of classes has one row more, for images whose
> label was dropped. Ours has none: without a label nothing is added. The row can be moved into the
> bias of the time embedding and subtracted from the others, so it makes no difference to what the
> network can compute
> [tested](test:diffusion/ddpm/test_dit.py::test_a_vector_for_no_class_goes_into_the_bias).

## Checked against others

With equal weights the whole network agrees with diffusers' `DiTTransformer2DModel`
([tested](test:diffusion/ddpm/test_dit.py::test_the_network_is_that_of_diffusers)). One thing has to
be changed for it: the authors' code divides the exponents of the frequencies of $t$ by their number
$n$, and diffusers divides by $n - 1$. The four sizes of the paper come out with its 33, 130, 458
and 675 million parameters
([tested](test:diffusion/ddpm/test_dit.py::test_the_sizes_of_the_paper)).

> **Departure.** The paper's transformers do not see pixels. They work on the codes of
> an autoencoder, 32 × 32 × 4 for an image of 256 × 256. Ours takes the pixels of small images.

## On the digits

`digits_dit` has about the U-Net's size and trains for about as long: a step costs less, so there
are more of them. The times are those of one core.

|  | parameters | steps | milliseconds a step | minutes |
|---|---|---|---|---|
| U-Net | 701,345 | 2,400 | 90.8 | 3.63 |
| DiT | 722,788 | 4,000 | 59.8 | 3.99 |
<!-- measured: docs/figures/data/dit.json#/cost -->

Fréchet distance in pixel space of 898 samples from the 1,797 real digits, as [for the
samplers](../samplers/index.html); as many draws of the data have 0.14
(`python -m docs.figures.data.dit runs` trains and measures again):

| DPM-Solver++, calls | 8 | 10 | 20 | 50 | ancestral, 50 |
|---|---|---|---|---|---|
| U-Net | 0.47 | 0.36 | 0.23 | 0.22 | 0.24 |
| DiT | 0.64 | 0.49 | 0.38 | 0.38 | 0.42 |
<!-- measured: docs/figures/data/dit.json#/table -->

**The transformer is worse**, with few calls and with many. One expects that here. A convolution has
two things built in: near pixels belong together, and a stroke is the same wherever it lies. The
transformer has to learn both, and 1,797 images teach it little. It pays with many images and much
time: the paper trains on ImageNet, and finds that the Fréchet distance falls the more operations a
network spends on an image, by more blocks, more width or smaller patches.

> **What was tried.** The learning rates 0.0005, 0.001, 0.002, 0.004 and 0.008, for 800 steps each.
> This transformer wants a large one; 0.004 was taken, twice the U-Net's. One training was measured,
> with one seed of samples; [three seeds](../comparison.html) differ by up to 0.09.

[Exercises for this page](exercises.html#a-transformer), with answers.
"""

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labml_nn.diffusion.ddpm.unet import TimeEmbedding, Variant, attend, frequencies
from labml_nn.diffusion.ddpm.utils import check_batch, described

# Sines and cosines of the time, as in the authors' code: cosines first, and a lowest frequency
# that is a little above $10^{-4}$
TIMES = Variant(cosine_first=True, last_frequency=False)
N_SINUSOIDS = 256


def patchify(x: Tensor, patch_size: int) -> Tensor:
    r"""
    ## Patches

    * `x` `[batch, channels, height, width]`

    Returns `[batch, n_patches, patch_size * patch_size * channels]`: row by row, and within a patch
    row by row too, the channels of a pixel side by side.
    """
    p = patch_size
    x = x.unflatten(3, (-1, p)).unflatten(2, (-1, p))  # [batch, channels, rows, p, columns, p]
    x = x.permute(0, 2, 4, 3, 5, 1)  # [batch, rows, columns, p, p, channels]
    return x.flatten(3).flatten(1, 2)


def unpatchify(tokens: Tensor, patch_size: int, rows: int, columns: int) -> Tensor:
    r"""
    ### And back

    * `tokens` `[batch, rows * columns, patch_size * patch_size * channels]`

    Returns `[batch, channels, rows * patch_size, columns * patch_size]`: the image that was cut
    [tested](test:diffusion/ddpm/test_dit.py::test_patches_are_cut_and_put_back).
    """
    p = patch_size
    x = tokens.unflatten(2, (p, p, -1)).unflatten(1, (rows, columns))
    x = x.permute(0, 5, 1, 3, 2, 4)  # [batch, channels, rows, p, columns, p]
    return x.flatten(4).flatten(2, 3)


class Positions(nn.Module):
    r"""
    ## Positions

    Half of the vector is of the column and half of the row, each in sines and cosines of $n$
    frequencies $\omega_k = 10000^{-k/n}$, where $4n$ is the width of a token:

    $$P_{i,j} = \big[\sin j\omega,\ \cos j\omega,\ \sin i\omega,\ \cos i\omega\big]$$

    [tested](test:diffusion/ddpm/test_dit.py::test_positions_are_waves_of_column_and_row). They are
    fixed, not learned, and made for the image that comes: a larger image only has more of them.
    """

    frequency: Tensor

    def __init__(self, n_channels: int):
        super().__init__()
        frequency = frequencies(n_channels // 4, last=False).float()
        self.register_buffer('frequency', frequency, persistent=False)

    def forward(self, rows: int, columns: int) -> Tensor:
        r"""
        Returns $P$, `[rows * columns, n_channels]`, row by row.
        """

        def waves(n: int) -> Tensor:
            angle = torch.arange(n, device=self.frequency.device)[:, None] * self.frequency
            return torch.cat([angle.sin(), angle.cos()], dim=1)  # [n, n_channels / 2]

        of_column = waves(columns).repeat(rows, 1)
        of_row = waves(rows).repeat_interleave(columns, dim=0)
        return torch.cat([of_column, of_row], dim=1)


def modulate(h: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    r"""
    ## Scale and shift, the same for all tokens of an image

    * `h` normalised tokens, `[batch, n_tokens, n_channels]`
    * `shift`, `scale` $b$ and $s$, `[batch, n_channels]`
    """
    # $(1 + s) \odot h + b$
    return (1 + scale[:, None]) * h + shift[:, None]


class PlainNorm(nn.LayerNorm):
    r"""
    ### LayerNorm without weights

    Each token gets mean 0 and variance 1. Scale and shift are left to `modulate`.
    """

    def __init__(self, n_channels: int):
        super().__init__(n_channels, elementwise_affine=False, eps=1e-6)


class SelfAttention(nn.Module):
    r"""
    ## Attention of the tokens

    The formula is [the U-Net's](unet.html), with `n_heads` heads that lie side by side.
    """

    def __init__(self, n_channels: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(n_channels, 3 * n_channels)
        self.out = nn.Linear(n_channels, n_channels)

    def forward(self, h: Tensor) -> Tensor:
        r"""
        * `h` `[batch, n_tokens, n_channels]`, and so is the output
        """
        query, key, value = self.qkv(h).chunk(3, dim=2)
        return self.out(attend(query, key, value, self.n_heads))


class DiTBlock(nn.Module):
    r"""
    ## The block
    """

    def __init__(self, n_channels: int, n_heads: int):
        super().__init__()
        self.norm1 = PlainNorm(n_channels)
        self.attention = SelfAttention(n_channels, n_heads)
        self.norm2 = PlainNorm(n_channels)
        self.mlp = nn.Sequential(
            nn.Linear(n_channels, 4 * n_channels),
            nn.GELU(approximate='tanh'),
            nn.Linear(4 * n_channels, n_channels),
        )
        self.modulation = nn.Linear(n_channels, 6 * n_channels)

    def forward(self, h: Tensor, c: Tensor) -> Tensor:
        r"""
        * `h` the tokens, `[batch, n_tokens, n_channels]`, and so is the output
        * `c` the embedded time and class, `[batch, n_channels]`
        """
        # $b_1, s_1, g_1, b_2, s_2, g_2$, each `[batch, n_channels]`
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(F.silu(c)).chunk(6, dim=1)
        h = h + gate1[:, None] * self.attention(modulate(self.norm1(h), shift1, scale1))
        return h + gate2[:, None] * self.mlp(modulate(self.norm2(h), shift2, scale2))


class DiT(nn.Module):
    r"""
    ## DiT

    The defaults are the largest network of the paper, DiT-XL/2, for codes of four channels.
    """

    def __init__(
        self,
        image_channels: int = 4,  # 3 for colour, 1 for grey
        n_channels: int = 1152,  # the width of a token
        depth: int = 28,  # how many blocks
        n_heads: int = 16,  # of attention, each of n_channels / n_heads
        patch_size: int = 2,  # the side of a patch, in pixels
        *,
        out_channels: int | None = None,  # the image's; twice as many for a learned variance
        n_classes: int | None = None,  # classes that a label can name; None: it takes no labels
    ):
        r"""
        Raises `ValueError` where the numbers do not fit together.
        """
        super().__init__()
        check_sizes(n_channels, depth, n_heads, patch_size)
        self.image_channels, self.patch_size = image_channels, patch_size
        self.stem = nn.Linear(patch_size**2 * image_channels, n_channels)
        self.positions = Positions(n_channels)
        self.time = TimeEmbedding(N_SINUSOIDS, n_classes, TIMES, width=n_channels)
        blocks = nn.ModuleList(DiTBlock(n_channels, n_heads) for _ in range(depth))
        self.blocks: Sequence[DiTBlock] = blocks  # type: ignore[assignment]
        self.norm = PlainNorm(n_channels)
        self.modulation = nn.Linear(n_channels, 2 * n_channels)
        self.head = nn.Linear(n_channels, patch_size**2 * (out_channels or image_channels))
        self.initialise()

    def initialise(self) -> None:
        r"""
        #### How the weights start
        """
        for module in self.modules():
            # As in our U-Net
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        # The authors' choice for time and class
        for part in (self.time.linear1, self.time.linear2, self.time.label):
            if part is not None:
                nn.init.normal_(part.weight, std=0.02)
        # Every gate is closed, and the first guess is "no noise"
        for module in self.modules():
            if isinstance(module, DiTBlock | DiT):
                nn.init.zeros_(module.modulation.weight)
        nn.init.zeros_(self.head.weight)

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        r"""
        * `x` noisy images $x_t$, `[batch, image_channels, height, width]`
        * `t` their steps, `[batch]`, 0..T-1
        * `label` their classes, `[batch]`, -1 for none, for a network that has `n_classes`

        Returns $\epsilon_\theta(x_t, t)$, of the shape of `x` (but for `out_channels`). Raises
        `ValueError` for an image that is not made of whole patches or has other channels, and for
        labels that name no class.
        """
        self.check_images(x)
        p = self.patch_size
        rows, columns = x.shape[2] // p, x.shape[3] // p
        h = self.stem(patchify(x, p)) + self.positions(rows, columns)
        c = self.time(t, label)  # [batch, n_channels]
        for block in self.blocks:
            h = block(h, c)  # [batch, rows * columns, n_channels]
        # The last layer is told the time too, and has no gate
        shift, scale = self.modulation(F.silu(c)).chunk(2, dim=1)
        h = self.head(modulate(self.norm(h), shift, scale))
        return unpatchify(h, p, rows, columns)  # [batch, out_channels, height, width]

    def __repr__(self) -> str:
        width, p = self.stem.out_features, self.patch_size
        n_heads = self.blocks[0].attention.n_heads
        parts = {
            'time': self.time,
            'stem': f'{p} × {p} × {self.image_channels} → {width}',
            'blocks': f'{len(self.blocks)} of {width}, {n_heads} heads',
            'head': f'{width} → {p} × {p} × {self.head.out_features // p**2}',
        }
        return described('DiT', self, parts)

    def check_images(self, x: Tensor) -> None:
        r"""
        A `ValueError` unless `x` is a batch of images that this network can take.
        """
        check_batch(x, self.image_channels, 'transformer')
        for side in x.shape[2:]:
            check_patches(side, self.patch_size)


# ## The authors' names
#
# Of our layers in their files; those of a block have its number in front.
AUTHORS = {
    'stem': 'x_embedder.proj',
    'time.linear1': 't_embedder.mlp.0',
    'time.linear2': 't_embedder.mlp.2',
    'modulation': 'final_layer.adaLN_modulation.1',
    'head': 'final_layer.linear',
}
IN_BLOCK = {
    'attention.qkv': 'attn.qkv',
    'attention.out': 'attn.proj',
    'mlp.0': 'mlp.fc1',
    'mlp.2': 'mlp.fc2',
    'modulation': 'adaLN_modulation.1',
}
TABLE, PLACES = 'y_embedder.embedding_table.weight', 'pos_embed'


def from_authors(weights: Mapping[str, Tensor], n_heads: int = 16) -> DiT:
    r"""
    ## The authors' weights

    Their files, such as `DiT-XL-2-256x256.pt`, hold the weights by name
    [tested](test:diffusion/ddpm/test_dit.py::test_the_authors_weights_are_read):

        model = from_authors(torch.load(file, weights_only=True, map_location='cpu'))

    It predicts the noise in codes of 32 × 32 × 4 and a learned variance, for 1000 classes. To draw
    pictures from the codes needs their autoencoder, which is not here.

    * `n_heads` of attention, which no shape tells; 16 in their files
    * all other sizes are read off the weights

    Raises `ValueError` for weights under other names or with other positions than ours.
    """
    check_names(weights)
    kernel = weights['x_embedder.proj.weight']  # [n_channels, image_channels, p, p]
    width, image_channels, p, _ = kernel.shape
    table = weights[TABLE]
    model = DiT(
        image_channels, width, depth_of(weights), n_heads, p,
        out_channels=len(weights['final_layer.linear.bias']) // p**2, n_classes=len(table) - 1,
    )  # fmt: skip
    side = math.isqrt(weights[PLACES].shape[1])
    if not torch.allclose(model.positions(side, side), weights[PLACES][0].float(), atol=1e-4):
        raise ValueError(
            f'{PLACES} holds other positions than sines and cosines of {side} × {side}'
        )
    found = {
        f'{ours}.{kind}': weights[f'{theirs}.{kind}']
        for ours, theirs in names(depth_of(weights)).items()
        for kind in ('weight', 'bias')
    }
    found['stem.weight'] = kernel.permute(0, 2, 3, 1).flatten(1)
    # The vector of no class, the last row, goes into the bias
    found['time.linear2.bias'] = found['time.linear2.bias'] + table[-1]
    found['time.label.weight'] = table[:-1] - table[-1]
    model.load_state_dict(found)
    return model


def names(depth: int) -> dict[str, str]:
    r"""
    Our names of all layers, and theirs.
    """
    blocks = {
        f'blocks.{i}.{ours}': f'blocks.{i}.{theirs}'
        for i in range(depth)
        for ours, theirs in IN_BLOCK.items()
    }
    return AUTHORS | blocks


def depth_of(weights: Mapping[str, Tensor]) -> int:
    r"""
    How many blocks weights are of.
    """
    return len({name.split('.')[1] for name in weights if name.startswith('blocks.')})


def check_names(weights: Mapping[str, Tensor]) -> None:
    r"""
    A `ValueError` unless the weights have the authors' names.
    """
    layers = names(depth_of(weights)).values()
    need = {TABLE, PLACES, *(f'{name}.{kind}' for name in layers for kind in ('weight', 'bias'))}
    if strange := sorted(need ^ set(weights)):
        word = 'no' if strange[0] in need else 'a'
        raise ValueError(
            f'these are no weights of the authors of DiT: there is {word} {strange[0]}. Give what '
            f'torch.load returns for one of their files'
        )


def check_patches(image_size: int, patch_size: int) -> None:
    r"""
    A `ValueError` unless a side of `image_size` pixels is made of whole patches.
    """
    if image_size < 1 or image_size % patch_size:
        lower = image_size // patch_size * patch_size
        either = f'{lower} or {lower + patch_size}' if lower > 0 else str(patch_size)
        raise ValueError(
            f'image_size={image_size} cannot be cut into patches of {patch_size} pixels a side: '
            f'use a multiple of {patch_size}, such as {either}'
        )


def check_sizes(n_channels: int, depth: int, n_heads: int, patch_size: int) -> None:
    r"""
    A `ValueError` unless the numbers that describe a transformer fit together.
    """
    if depth < 1 or patch_size < 1 or n_heads < 1:
        raise ValueError(
            f'depth={depth}, n_heads={n_heads}, patch_size={patch_size}: each must be at least 1'
        )
    # Sine and cosine of two coordinates
    multiple = math.lcm(4, n_heads)
    if n_channels < 1 or n_channels % multiple:
        lower = max(n_channels // multiple * multiple, multiple)
        raise ValueError(
            f'n_channels={n_channels} is no multiple of 4 and of the n_heads={n_heads} heads: use '
            f'{lower} or {lower + multiple}'
        )
