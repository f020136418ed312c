r"""
---
title: Configuration
summary: Every option of a run with its meaning, and the presets.
---

# Configuration

What a run is made of: [training](experiment.html) takes these options by name, and every checkpoint
holds them.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor, nn

from labml_nn.cli.declared import declarations
from labml_nn.cli.messages import one_of
from labml_nn.cli.options import AtLeast, AtMost, OneOf, Passes, Words, check_options
from labml_nn.data.datasets import DATASETS, AnySet, check_bad_pictures, check_classes, load_dataset
from labml_nn.data.decode import BadPicture
from labml_nn.diffusion.ddpm import DenoiseDiffusion, EpsModel, forerunner
from labml_nn.diffusion.ddpm.dit import DiT, DiTBlock, check_patches
from labml_nn.diffusion.ddpm.unet import Block, UNet, check_image_size
from labml_nn.diffusion.ddpm.utils import check_seed
from labml_nn.diffusion.distillation import METHODS
from labml_nn.diffusion.preconditioning import NOISE_LEVELS, SIGMA_DATA
from labml_nn.diffusion.samplers import SAMPLERS
from labml_nn.diffusion.schedules import SCHEDULES
from labml_nn.diffusion.targets import TARGETS, WEIGHTS, diffusion_of, zero_terminal_snr
from labml_nn.runs.trackers import NONE, TRACKERS


# ## Networks
class Architecture(NamedTuple):
    r"""
    A network that can be chosen.
    """

    called: str
    make: Callable[..., UNet | DiT]  # of a configuration, and of what all networks take
    block: type[nn.Module]  # what is computed twice where memory is short


def unet_of(c: 'Configs', **common: Any) -> UNet:
    r"""
    The [U-Net](unet.html) of a configuration.
    """
    check_image_size(c.image_size, len(c.ch_mults))
    return UNet(
        c.image_channels, c.n_channels, c.ch_mults, c.is_attn, c.n_blocks,
        dropout=c.dropout, n_groups=c.n_groups, **common,
    )  # fmt: skip


def dit_of(c: 'Configs', **common: Any) -> DiT:
    r"""
    The [transformer](dit.html) of a configuration.
    """
    if c.dropout:
        raise ValueError(f'dropout={c.dropout:g}: the transformer has none, use dropout=0')
    check_patches(c.image_size, c.patch_size)
    return DiT(c.image_channels, c.n_channels, c.depth, c.n_heads, c.patch_size, **common)


NETWORKS = {
    'unet': Architecture('U-Net', unet_of, Block),
    'dit': Architecture('Transformer', dit_of, DiTBlock),
}


# ## Kinds of values
#
# The values that an option can have, where not all of its type are allowed. The bounds of the sizes
# are larger than any real network, and small enough to refuse absurd ones at once.
def check_probability(name: str, value: float) -> None:
    r"""
    A `ValueError` unless a value is a probability.
    """
    if not 0 <= value <= 1:
        raise ValueError(f'{name}={value:g} is a probability: it must lie in [0, 1]')


Count = Annotated[int, AtLeast(0)]
Positive = Annotated[int, AtLeast(1)]
Size = Annotated[int, AtMost(2**16)]
Seed = Annotated[int, Passes(check_seed)]
Probability = Annotated[float, check_probability]
BadPictures = Annotated[str, Passes(check_bad_pictures)]
Schedule = Annotated[str, OneOf(SCHEDULES, 'schedule')]
Network = Annotated[str, OneOf(NETWORKS, 'network')]
Target = Annotated[str, OneOf(TARGETS, 'target')]
Weight = Annotated[str, OneOf(WEIGHTS, 'weight')]
NoiseLevels = Annotated[str, OneOf(NOISE_LEVELS, 'distribution')]
Sampler = Annotated[str, OneOf(SAMPLERS, 'sampler')]
Method = Annotated[str, OneOf(METHODS, 'method', ('none',))]
Tracks = Annotated[tuple[str, ...], OneOf(TRACKERS, 'tracker', NONE), Words(commas=True)]

# Marks what may differ when a run is resumed: how long, how often and where, not what
FREE = object()


class Configs(forerunner.Notebook):
    r"""
    ## Options

    Each option has its name, its kind, what it means, and its value in the preset `digits`.

    The library labml records the class, as a `BaseConfigs`, and [its notebook](moving.html) sets
    values of it before a run. A configuration that is made cannot be changed any more
    [tested](test:diffusion/ddpm/test_configs.py::test_a_configuration_that_is_made_does_not_change):
    the run would not notice.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith('_'):
            self._check_open({name: value})
        super().__setattr__(name, value)

    def _set_values(self, values: Mapping[str, Any]) -> None:
        # How labml sets what `experiment.configs` is told
        self._check_open(values)
        super()._set_values(dict(values))

    #
    dataset: Annotated[str, one_of(DATASETS)] = 'digits'
    data_root: Annotated[str, 'where archives are or go; for folder, the pictures', FREE] = 'data'
    bad_pictures: Annotated[
        BadPictures, 'what to do with those that cannot be read: refuse or skip'
    ] = 'refuse'
    image_size: Annotated[Size, 'side of the images, in pixels'] = 8
    image_channels: Annotated[Size, '1 for grey, 3 for colour'] = 1
    flip: Annotated[bool, 'mirror half of the images (a mirrored 3 is not a digit)'] = False
    #
    network: Annotated[Network, f'what predicts the noise: {one_of(NETWORKS)}'] = 'unet'
    n_channels: Annotated[Size, "width of the U-Net's first level, or of the dit"] = 32
    ch_mults: Annotated[
        tuple[int, ...], 'width of each level, as a multiple of that', AtMost(1024)
    ] = (1, 2)
    is_attn: Annotated[tuple[bool, ...], 'attention at each level'] = (False, True)
    n_blocks: Annotated[int, 'blocks a level', AtMost(32)] = 1
    n_groups: Annotated[Size, 'groups of each GroupNorm; they divide all widths'] = 8
    patch_size: Annotated[Positive, 'dit: side of a patch in pixels', AtMost(1024)] = 2
    depth: Annotated[Positive, 'dit: how many blocks', AtMost(512)] = 4
    n_heads: Annotated[Positive, 'dit: heads of attention; they divide n_channels'] = 4
    dropout: Annotated[float, 'in each block, while training'] = 0.0
    n_classes: Annotated[
        int, 'classes that the model is told; 0 trains without labels', AtMost(10**6), AtLeast(0)
    ] = 0
    p_uncond: Annotated[Probability, 'how often a label is forgotten, which guidance needs'] = 0.1
    #
    n_steps: Annotated[int, 'T, the steps of the forward process', AtMost(10**6), AtLeast(1)] = 1000
    schedule: Annotated[
        Schedule, f'the betas: {one_of(SCHEDULES)}; linear goes from 1e-4 to 0.02'
    ] = 'linear'
    zero_snr: Annotated[
        bool, 'rescale the betas so that nothing is left of the image at T (not with eps)'
    ] = False
    variance: Annotated[str, 'of a step back: beta, beta_tilde or learned'] = 'beta'
    target: Annotated[Target, f'what the network predicts: {one_of(TARGETS)}'] = 'eps'
    weight: Annotated[Weight, f'of a step in the loss: {one_of(WEIGHTS)}'] = 'constant'
    noise_levels: Annotated[
        NoiseLevels, f'how steps are drawn in training: {one_of(NOISE_LEVELS)}'
    ] = 'uniform'
    sigma_data: Annotated[
        float, 'the standard deviation of the images, which the target edm is made for'
    ] = SIGMA_DATA
    #
    distill: Annotated[
        Method, f'how it learns from the run --init, for few steps: {one_of(METHODS)}'
    ] = 'none'
    calls: Annotated[Count, 'calls of the network that it is distilled for'] = 0
    teacher: Annotated[str, 'where that run is (when it has moved)', FREE] = ''
    #
    batch_size: Annotated[Positive, 'images a step'] = 64
    learning_rate: Annotated[float, 'of Adam, once warmed up'] = 2e-3
    warmup: Annotated[Count, 'steps over which the learning rate grows from zero'] = 100
    cooldown: Annotated[Count, 'last steps, over which it falls to zero; the paper has none'] = 1000
    grad_clip: Annotated[float, 'the largest norm that a gradient may have'] = 1.0
    ema_decay: Annotated[float, 'of the averaged weights, once their window has grown'] = 0.9999
    steps: Annotated[Count, 'training steps in all', FREE] = 2400
    seed: Annotated[Seed, 'of weights, data order and noise'] = 0
    #
    log_every: Annotated[Positive, 'steps between two rows of log.csv', FREE] = 25
    save_every: Annotated[Positive, 'steps between two checkpoints', FREE] = 500
    save_minutes: Annotated[
        float, 'a checkpoint comes after so many minutes, if not before', AtLeast(0), FREE
    ] = 10
    keep_checkpoints: Annotated[Positive, 'how many there are, the newest included', FREE] = 3
    preview_every: Annotated[
        Positive,
        'steps between sample grids, from one noise (the first after 1/8, 1/4, 1/2 of that)',
        FREE,
    ] = 500
    n_previews: Annotated[Count, 'images in a sample grid', FREE] = 16
    n_samples: Annotated[Count, 'images in samples.png, at the end', FREE] = 64
    preview_sampler: Annotated[
        Sampler, f'how they and the last samples are made: {one_of(SAMPLERS)}', FREE
    ] = 'dpm'
    preview_steps: Annotated[Positive, 'steps of that sampler', FREE] = 20
    preview_share: Annotated[
        float, "previews are skipped beyond this share of the run's time", FREE
    ] = 0.2
    device: Annotated[str, 'auto, cpu, cuda, cuda:1 … or mps', FREE] = 'auto'
    precision: Annotated[
        str,
        'of heavy layers: fp32, bf16, fp16; auto is bf16 on GPUs that have it, and for large '
        'networks on CPUs with AMX',
        FREE,
    ] = 'auto'
    compile: Annotated[
        bool, 'let torch.compile fuse operations; the first step then takes a minute', FREE
    ] = False
    channels_last: Annotated[
        bool | None, 'channels side by side in memory; when not given, in fp32 on a CPU', FREE
    ] = None
    threads: Annotated[Count, 'of the CPU; 0 is as many as torch takes', FREE] = 0
    micro_batch: Annotated[
        Count, 'images at a time, when not all of a batch fit in memory; 0 is all', FREE
    ] = 0
    activation_checkpointing: Annotated[
        bool, 'compute activations again rather than keep them', FREE
    ] = False
    track: Annotated[Tracks, 'labml, tensorboard, wandb, comet, several or none', FREE] = ('labml',)
    workers: Annotated[Count, 'processes that decode pictures, if not all fit in memory', FREE] = 4


FREE_ON_RESUME = {name for name, said in declarations(Configs).items() if FREE in said}


# ## Presets
#
# What differs from `digits`. `cifar10` and `celebahq256` are the paper's (appendix B, and the
# released code for warm-up, clipping and the decay of the average). `celeba64` has the network
# of the DDIM paper. `fashion` and `folder16` are for a laptop: the cool-down does in a few thousand
# steps what the paper leaves to hundreds of thousands.
CIFAR10: dict[str, Any] = dict(
    dataset='cifar10', image_size=32, image_channels=3, flip=True,
    n_groups=32, n_channels=128, ch_mults=(1, 2, 2, 2), is_attn=(False, True, False, False),
    n_blocks=2, dropout=0.1,
    batch_size=128, learning_rate=2e-4, warmup=5000, cooldown=0, steps=800_000,
    log_every=100, save_every=5000, preview_every=10_000,
)  # fmt: skip
# Of garments, as they come, 28 × 28: three levels have 28, 14 and 7 pixels a side. From the last
# step of the cosine schedule, which is pure noise, a long step makes all of an image black or white
# while the network is young: so previews are ancestral, in 50 steps
FASHION: dict[str, Any] = dict(
    dataset='fashion_mnist', image_size=28, flip=True,
    n_channels=24, ch_mults=(1, 2, 4), is_attn=(False, False, True), schedule='cosine',
    batch_size=32, learning_rate=1.5e-3, warmup=200, cooldown=1500, steps=3000,
    preview_sampler='ddpm', preview_steps=50,
)  # fmt: skip
# Of one's own pictures, in colour
FOLDER: dict[str, Any] = dict(
    dataset='folder', data_root='my_pictures', image_channels=3, flip=True,
)  # fmt: skip
PRESETS: dict[str, dict[str, Any]] = {
    'digits': {},
    # In a minute: what helps, and what does not, is on the page `speed_run`
    'digits_fast': dict(
        n_channels=16, is_attn=(False, False), schedule='straight', target='u',
        learning_rate=4e-3, cooldown=1440, steps=1600,
    ),
    # The smallest real run: seconds
    'tests': dict(
        ch_mults=(1, 1), is_attn=(False, False), batch_size=16, steps=20, warmup=5, cooldown=0,
        log_every=5, save_every=10, preview_every=10, preview_share=1.0, n_previews=4, n_samples=4,
    ),
    # The same network, told which digit it is
    'digits_conditional': dict(n_classes=10),
    # A transformer of as many parameters, trained for as many seconds
    'digits_dit': dict(
        network='dit', n_channels=96, depth=4, n_heads=4, patch_size=2,
        learning_rate=4e-3, warmup=200, cooldown=1700, steps=4000,
    ),
    'mnist': dict(
        dataset='mnist', image_size=32,
        n_groups=32, n_channels=64, ch_mults=(1, 2, 2), is_attn=(False, True, False),
        n_blocks=2, dropout=0.1,
        batch_size=128, learning_rate=2e-4, warmup=500, cooldown=0, steps=30_000,
        log_every=100, save_every=1000, preview_every=2000,
    ),
    'fashion': FASHION,
    'fashion_conditional': {**FASHION, 'n_classes': 10},
    # For a laptop, half an hour
    'folder16': {
        **FOLDER, 'image_size': 16,
        'n_channels': 32, 'ch_mults': (1, 2, 4), 'is_attn': (False, True, False),
        'learning_rate': 1e-3, 'warmup': 200, 'cooldown': 2000, 'steps': 6000,
        'save_every': 1000, 'preview_every': 1000,
    },
    # For a small GPU, and for a large one: the paper's networks, the first of them at half width
    'folder32': {
        **FOLDER, 'image_size': 32,
        'n_groups': 32, 'n_channels': 64, 'ch_mults': (1, 2, 2, 2),
        'is_attn': (False, True, False, False), 'n_blocks': 2, 'dropout': 0.1,
        'learning_rate': 4e-4, 'warmup': 1000, 'cooldown': 10_000, 'steps': 50_000,
        'log_every': 100, 'save_every': 2500, 'preview_every': 5000,
    },
    'folder64': {
        **FOLDER, 'image_size': 64,
        'n_groups': 32, 'n_channels': 128, 'ch_mults': (1, 2, 2, 2),
        'is_attn': (False, False, True, False), 'n_blocks': 2, 'dropout': 0.1,
        'learning_rate': 2e-4, 'warmup': 2000, 'cooldown': 20_000, 'steps': 200_000,
        'log_every': 100, 'save_every': 5000, 'preview_every': 10_000,
    },
    'cifar10': CIFAR10,
    # Pictures by class: not the paper's any more
    'cifar10_conditional': {**CIFAR10, 'n_classes': 10, 'schedule': 'cosine'},
    'celeba64': dict(
        dataset='celeba', image_size=64, image_channels=3, flip=True,
        n_groups=32, n_channels=128, ch_mults=(1, 2, 2, 2, 4),
        is_attn=(False, False, True, False, False), n_blocks=2, dropout=0.1,
        batch_size=128, learning_rate=2e-4, warmup=5000, cooldown=0, steps=500_000,
        log_every=100, save_every=5000, preview_every=10_000,
    ),
    # Any folder of CelebA-HQ pictures, or of others
    'celebahq256': dict(
        dataset='folder', data_root='data/celeba_hq', image_size=256, image_channels=3, flip=True,
        n_groups=32, n_channels=128, ch_mults=(1, 1, 2, 2, 4, 4),
        is_attn=(False, False, False, False, True, False), n_blocks=2, dropout=0.0,
        variance='beta_tilde',
        batch_size=64, learning_rate=2e-5, warmup=5000, cooldown=0, steps=500_000,
        log_every=100, save_every=5000, preview_every=10_000, n_previews=4,
    ),
}  # fmt: skip


def make_configs(values: Mapping[str, Any]) -> Configs:
    r"""
    A configuration with these values, and the preset `digits` elsewhere.

    Raises `ValueError` for an option that does not exist or a value that makes no sense.
    """
    check_options(Configs, values)
    c = Configs()
    for name, value in values.items():
        setattr(c, name, value)
    if c.learning_rate <= 0 or c.grad_clip <= 0 or not 0 <= c.dropout < 1:
        raise ValueError(
            f'learning_rate={c.learning_rate:g} and grad_clip={c.grad_clip:g} must be positive, '
            f'dropout={c.dropout:g} in [0, 1)'
        )
    if c.sigma_data <= 0:
        raise ValueError(f'sigma_data={c.sigma_data:g} is a standard deviation: it is positive')
    if c.variance == 'learned' and c.noise_levels != 'uniform':
        raise ValueError(
            f'noise_levels={c.noise_levels} does not go with variance=learned, whose bound is a '
            f'sum over all steps alike: use uniform'
        )
    c._is_made = True
    return c


def build(c: Configs, device: torch.device | str = 'cpu') -> DenoiseDiffusion:
    r"""
    The network and the diffusion around it that a configuration describes, with random weights.
    """
    return diffusion_around(network_of(c).to(device), c)


def network_of(c: Configs) -> UNet | DiT:
    r"""
    The network of a configuration. Raises `ValueError` where its sizes do not fit.
    """
    common: dict[str, Any] = dict(
        n_classes=c.n_classes or None,
        # Beside the noise, [where the variance lies](../learned_variance.html)
        out_channels=2 * c.image_channels if c.variance == 'learned' else None,
    )
    return NETWORKS[c.network].make(c, **common)


def diffusion_around(model: EpsModel, c: Configs) -> DenoiseDiffusion:
    r"""
    The diffusion of a configuration, with its schedule and variance, around a model.
    """
    beta = beta_of(c)
    return diffusion_of(
        model, beta, target=c.target, weight=c.weight, variance=c.variance, sigma_data=c.sigma_data
    )


def beta_of(c: Configs) -> Tensor:
    r"""
    The schedule of a configuration, float64, `[n_steps]`.
    """
    beta = SCHEDULES[c.schedule](c.n_steps)
    return zero_terminal_snr(beta) if c.zero_snr else beta


def steps_of(c: Configs) -> Tensor | None:
    r"""
    The share of each step in training, `[n_steps]`; none where all are drawn alike.
    """
    return NOISE_LEVELS[c.noise_levels]((1 - beta_of(c)).cumprod(0))


def data_of(c: Configs) -> AnySet:
    r"""
    The images of a configuration. Raises `ValueError` where they have not the classes that the
    model is to be told.
    """
    try:
        dataset = load_dataset(
            c.dataset, c.data_root, c.image_size, c.image_channels,
            bad_pictures=c.bad_pictures, by_class=c.n_classes > 0,
        )  # fmt: skip
    except BadPicture as error:
        hint = 'or leave such pictures out of a new run with --bad_pictures skip'
        raise BadPicture(f'{error}, {hint}') from error
    if c.n_classes:
        check_classes(dataset, c.n_classes)
    return dataset
