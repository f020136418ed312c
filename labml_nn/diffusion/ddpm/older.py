r"""
---
title: Names and calls of labml's network
summary: What the U-Net's page answers to code that was written for labml's, and what it refuses.
---

# Names and calls of labml's network

[The U-Net](unet.html) has other names for its parts than [labml's](moving.html), and other
arguments. Here is what its page hands on: older names, weights, and calls that do not fit. This
page knows none of the others: what it needs of the network it is given.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from operator import attrgetter
from typing import Any

from torch import Tensor, nn

# What labml's page called the parts of the network; to be [read](moving.html), not set
OLDER = {
    'UNet': {'time_emb': 'time', 'image_proj': 'stem', 'final': 'head'},
    'ResidualBlock': {'time_emb': 'time'},
    'Block': {'res': 'residual', 'attn': 'attention'},
}

# Which of their calls labml's code may make with arguments of its own
CALLS = {
    'ResidualBlock': ('__init__',),
    'AttentionBlock': ('__init__', 'forward'),
    'Downsample': ('forward',),
    'Upsample': ('forward',),
}


# Names of labml's modules that mean nothing here, with what to write instead
MOVED = {
    'experiment': {
        'CelebADataset': "load_dataset('folder', 'data/celebA', image_size)",
        'celeb_dataset': "load_dataset('folder', 'data/celebA', image_size)",
        'MNISTDataset': "load_dataset('mnist', 'data', image_size, 1)",
        'mnist_dataset': "load_dataset('mnist', 'data', image_size, 1)",
    },
}


def labml_blocks(Block: Any, Stage: Any) -> dict[str, Any]:
    r"""
    ## The blocks of labml's U-Net, made of ours
    """

    class DownBlock(Block):
        r"""
        A block of the way down, which is a [`Block`](unet.html) here.
        """

        def __init__(self, in_channels: int, out_channels: int, time_channels: int, has_attn: bool):
            super().__init__(in_channels, out_channels, time_channels, 0.1, 32, has_attn)

    class UpBlock(Block):
        r"""
        A block of the way up: its input is what came from below beside the skip connection.
        """

        def __init__(self, in_channels: int, out_channels: int, time_channels: int, has_attn: bool):
            width = in_channels + out_channels
            super().__init__(width, out_channels, time_channels, 0.1, 32, has_attn)

    class MiddleBlock(Stage):
        r"""
        The two blocks at the bottom, the first with attention.
        """

        def __init__(self, n_channels: int, time_channels: int):
            blocks = [
                Block(n_channels, n_channels, time_channels, 0.1, 32, a) for a in (True, False)
            ]
            super().__init__(blocks, None)

        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            for block in self.blocks:
                x = block(x, t)
            return x

    blocks = (DownBlock, UpBlock, MiddleBlock)
    return {'Swish': nn.SiLU, **{block.__name__: block for block in blocks}}


def older_names(
    module: str, *classes: type, known: Mapping[str, Any] | None = None
) -> Callable[[str], Any]:
    r"""
    ## Older names

    A `__getattr__` for a module, which answers to the names in `known`; and properties for the
    older names of the classes' attributes.

    It raises `ImportError` for what has moved, as Python replaces the text of an `AttributeError`
    in `from … import …` by its own; `AttributeError` for what never was.
    """
    for cls in classes:
        for old, new in OLDER[cls.__name__].items():
            setattr(cls, old, property(attrgetter(new)))
    moved = MOVED.get(module.rpartition('.')[2], {})

    def answer(name: str) -> Any:
        if known and name in known:
            return known[name]
        if name in moved:
            raise ImportError(
                f'{name} of labml is not in {module}: write {moved[name]}, from '
                f'labml_nn.data.datasets'
            )
        raise AttributeError(f'module {module!r} has no attribute {name!r}')

    return answer


# ## Weights
def older_weights(cls: type[nn.Module]) -> None:
    r"""
    Say why weights by labml's names do not load, also where `strict=False` would leave them out
    without a word: a `ValueError`.
    """
    new = cls.load_state_dict

    @wraps(new)
    def load_state_dict(self: Any, state_dict: Mapping[str, Any], *args: Any, **more: Any) -> Any:
        if any(name.endswith('image_proj.weight') for name in state_dict):
            raise ValueError(
                "these are weights of labml's U-Net, and they do not load: its widths grow from "
                "level to level in another way, and the paper's network, which this is, has other "
                'layers. Train again with labml_nn.diffusion.ddpm.experiment, or take published '
                'weights with labml_nn.diffusion.ddpm.pretrained'
            )
        return new(self, state_dict, *args, **more)

    cls.load_state_dict = load_state_dict  # type: ignore[method-assign]


# ## Calls
def residual_block(
    in_channels: int, out_channels: int, time_channels: int, n_groups: int = 32,
    dropout: float = 0.1,
) -> tuple[tuple[int, ...], dict[str, Any]]:  # fmt: skip
    r"""
    What labml's arguments of a residual block are here.
    """
    if not isinstance(n_groups, int) or n_groups < 1:
        raise TypeError(
            f'ResidualBlock(…, {n_groups}, {dropout}): write dropout={n_groups}, '
            f'n_groups={dropout} by their names'
        )
    return (in_channels, out_channels, time_channels), dict(dropout=dropout, n_groups=n_groups)


def attention_block(
    n_channels: int, n_heads: int = 1, d_k: int | None = None, n_groups: int = 32
) -> tuple[tuple[int, ...], dict[str, Any]]:
    r"""
    The same of attention, which has one head as wide as the image here.
    """
    if n_heads != 1 or d_k not in (None, n_channels):
        raise ValueError(
            f'AttentionBlock({n_channels}, n_heads={n_heads}, d_k={d_k}): attention has one head '
            f'of {n_channels} channels here. Write AttentionBlock({n_channels}), and n_groups=… '
            f'by its name if groups were meant'
        )
    return (n_channels,), dict(n_groups=n_groups)


BLOCKS: dict[str, Callable[..., tuple[tuple[int, ...], dict[str, Any]]]] = {
    'ResidualBlock': residual_block, 'AttentionBlock': attention_block
}  # fmt: skip


def arguments_of(
    cls: str, call: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    r"""
    The arguments that a method of ours is called with, for those that were given and do not fit it.
    """
    if call == 'forward':
        raise TypeError(
            f'{cls} takes a batch of images alone: leave the time out, block(x) for block(x, t)'
        )
    # What fits neither is a mistake of today: Python's own words for it
    if fits(inspect.signature(BLOCKS[cls]), *args, **kwargs):
        return BLOCKS[cls](*args, **kwargs)
    return args, kwargs


def fits(signature: inspect.Signature, *args: Any, **kwargs: Any) -> bool:
    r"""
    Whether a function can be called so.
    """
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def older_calls(*classes: type) -> None:
    r"""
    Answer calls of these classes that do not fit, and only those.
    """

    def answer(cls: type, name: str) -> None:
        new = getattr(cls, name)
        signature = inspect.signature(new)

        @wraps(new)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            # A batch alone, as the network itself calls it: nothing to look at
            if name == 'forward' and len(args) == 1 and not kwargs:
                return new(self, *args)
            if not fits(signature, self, *args, **kwargs):
                args, kwargs = arguments_of(cls.__name__, name, args, kwargs)
            return new(self, *args, **kwargs)

        setattr(cls, name, call)

    for cls in classes:
        for name in CALLS[cls.__name__]:
            answer(cls, name)
