r"""
---
title: Published weights
summary: The folder format of diffusers, read into our network and written from it.
---

# Published weights

The authors' models are published as folders of the package
[diffusers](https://github.com/huggingface/diffusers): `google/ddpm-cifar10-32`,
`google/ddpm-celebahq-256`, `-bedroom-256`, `-church-256`, `-cat-256`, and those with averaged
weights, `google/ddpm-ema-…`. The network is the paper's and so is [ours](unet.html): reading one is
a matter of names.

    from labml_nn.diffusion.ddpm.pretrained import from_pretrained
    from labml_nn.diffusion.samplers import DDIM  # or Ancestral, or PNDM
    from labml_nn.data.pictures import save_png, to_uint8

    diffusion, unet, config = from_pretrained('google/ddpm-ema-celebahq-256')
    images = DDIM(diffusion, 50).sample((1, 3, 256, 256), seed=0)
    save_png('image.png', to_uint8(images)[0])

These lines run [tested](test:diffusion/ddpm/test_pretrained.py::test_the_snippet_of_the_page), in
the test on a small model. `python -m labml_nn.diffusion.ddpm.pretrained export runs/digits model`
writes a run as such a folder, with a model card
[tested](test:diffusion/ddpm/test_pretrained.py::test_a_run_is_exported_with_a_card). The commands
`sample`, `animate`, `interpolate`, [`edit` and `inpaint`](edit.html) of [evaluation](evaluate.html)
take such a folder in the place of a run
[tested](test:diffusion/ddpm/test_edit.py::test_commands_take_a_published_model). A folder on the
disk needs no other package; a name on the hub needs `huggingface_hub`
(`pip install 'labml-nn[hub]'`), and from the second time on no network.

| what | tested |
|---|---|
| published architectures, a call | [1e-5](test:diffusion/ddpm/test_pretrained.py::test_published) |
| odd ones, a call | [1e-5](test:diffusion/ddpm/test_pretrained.py::test_odd_architectures) |
| with their own defaults | [1e-5](test:diffusion/ddpm/test_pretrained.py::test_their_defaults) |
| a DDIM image, 50 steps | [1e-4](test:diffusion/ddpm/test_pretrained.py::test_a_whole_image) |
| there and back | [bit by bit](test:diffusion/ddpm/test_pretrained.py::test_round_trip) |

> **What can go wrong without a sound?** Much: diffusers' own defaults are not the paper's (the
> frequencies of the time embedding, sine and cosine swapped, another $\epsilon$ in GroupNorm,
> symmetric padding, heads of eight channels). With any of them wrong, the weights load and the
> pictures are slightly bad
> [tested](test:diffusion/ddpm/test_pretrained.py::test_each_of_their_defaults_matters). Most models
> on the hub were trained with the package's example, and so have these; our network takes them as
> [a variant](unet.html). Each other setting is compared with what this network is, and refused by
> name when it is another.
"""

import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from labml_nn.cli.messages import first_line, shown
from labml_nn.cli.options import Parser, plain
from labml_nn.cli.output import command, refused
from labml_nn.compute.device import pick_device
from labml_nn.compute.precision import bare, for_sampling, pick_precision
from labml_nn.data.files import written
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.report import RunRecord
from labml_nn.diffusion.ddpm.sampler import Sampler
from labml_nn.diffusion.ddpm.unet import AttentionBlock, UNet, Variant
from labml_nn.diffusion.schedules import cosine
from labml_nn.diffusion.targets import diffusion_of, zero_terminal_snr
from labml_nn.runs import safetensors
from labml_nn.runs.checkpoint import fitting_weights, load_weights, named_tensors
from labml_nn.runs.plain import read_plain, refuse_old_torch, refuse_pointer

# ## Settings
#
# Settings of `UNet2DModel` that our network fixes: the name, the default of diffusers when
# the file does not say, and the values that are ours.
UNET: dict[str, tuple[Any, tuple[Any, ...]]] = {
    'act_fn': ('silu', ('silu', 'swish')),
    'add_attention': (True, (True,)),
    'attn_norm_num_groups': (None, (None,)),
    'center_input_sample': (False, (False,)),
    'class_embed_type': (None, (None,)),
    'num_class_embeds': (None, (None,)),
    'downsample_padding': (1, (0, 1)),
    'downsample_type': ('conv', ('conv',)),
    'upsample_type': ('conv', ('conv',)),
    'flip_sin_to_cos': (True, (False, True)),
    'freq_shift': (0, (1, 0)),
    'mid_block_scale_factor': (1, (1,)),
    'mid_block_type': ('UNetMidBlock2D', ('UNetMidBlock2D',)),
    'resnet_time_scale_shift': ('default', ('default',)),
    'time_embedding_type': ('positional', ('positional',)),
    'time_embedding_dim': (None, (None,)),
    'num_train_timesteps': (None, (None,)),
}
SCHEDULER: dict[str, tuple[Any, tuple[Any, ...]]] = {
    'thresholding': (False, (False,)),
    'clip_sample_range': (1.0, (1.0,)),
}
# What a setting may be that is taken over: its default, and how to tell (see `number`). The
# bounds are far beyond every network that there is, and short of what a machine cannot hold
NUMBERS: dict[str, tuple[Any, type, float, float]] = {
    'in_channels': (3, int, 1, 1024),
    'out_channels': (3, int, 1, 1024),
    'layers_per_block': (2, int, 1, 32),
    'norm_num_groups': (32, int, 1, 2**16),
    'dropout': (0.0, float, 0, 0.999),
    'norm_eps': (1e-5, float, 1e-12, 1),
    'num_train_timesteps': (1000, int, 1, 10**6),
    'beta_start': (1e-4, float, 1e-12, 0.9999),
    'beta_end': (0.02, float, 1e-12, 0.9999),
}
WIDEST, MOST_LEVELS = 2**16, 12
# No file of settings is larger: a million betas
MOST_BYTES = 32 * 2**20
# `fixed_small_log` is the same number by way of its logarithm
VARIANCES = {'fixed_small': 'beta_tilde', 'fixed_small_log': 'beta_tilde', 'fixed_large': 'beta'}


# Their name of what the network predicts, and [ours](../targets.html)
PREDICTIONS = {'epsilon': 'eps', 'sample': 'x0', 'v_prediction': 'v'}


def refuse_others(config: Mapping[str, Any], ours: Mapping[str, Any], file: Path) -> None:
    r"""
    A `ValueError` that names the settings of `file` that this package does not implement.
    """
    other = [
        f'{name}={shown(config.get(name, default))} (need {values[0]!r})'
        for name, (default, values) in ours.items()
        if config.get(name, default) not in values
    ]
    if other:
        raise ValueError(f'{file.absolute()} has what is not implemented here: {", ".join(other)}')


def refuse(file: Path, need: str, **settings: Any) -> NoReturn:
    r"""
    Raise the `ValueError` for settings that do not fit together, or not here.
    """
    found = ', '.join(f'{name}={shown(value)}' for name, value in settings.items())
    raise ValueError(f'{file.absolute()} has what is not implemented here: {found} (need {need})')


def is_number(value: Any, kind: type, least: float, most: float) -> bool:
    r"""
    Whether a value of JSON is a number of this kind between these two; true and NaN are none.
    """
    kinds = (int, float) if kind is float else (int,)
    return isinstance(value, kinds) and not isinstance(value, bool) and least <= value <= most


def number(config: Mapping[str, Any], name: str, file: Path) -> Any:
    r"""
    A setting that is a number, or a `ValueError` that names it.
    """
    default, kind, least, most = NUMBERS[name]
    value = config.get(name, default)
    if not is_number(value, kind, least, most):
        whole = 'a whole number' if kind is int else 'a number'
        refuse(file, f'{whole} from {least:g} to {most:,}', **{name: value})
    return value


def one_a_level(config: Mapping[str, Any], name: str, file: Path, kind: type) -> list[Any]:
    r"""
    A setting that is a list with a word or a width for each level, or a `ValueError`.
    """
    if name not in config:
        raise ValueError(f'{file.absolute()} does not say {name}: the folder is incomplete')
    value = config[name]
    is_list = isinstance(value, list) and 1 <= len(value) <= MOST_LEVELS
    if kind is int and not (is_list and all(is_number(v, int, 1, WIDEST) for v in value)):
        refuse(file, f'1 to {MOST_LEVELS} widths from 1 to {WIDEST:,}', **{name: value})
    if kind is str and not (is_list and all(isinstance(v, str) for v in value)):
        refuse(file, f'1 to {MOST_LEVELS} names', **{name: value})
    return value


def read_unet(config: Mapping[str, Any], file: Path) -> dict[str, Any]:
    r"""
    What the settings of a `UNet2DModel` are for [our U-Net](unet.html), by our names.
    """
    if config.get('_class_name') != 'UNet2DModel':
        kind = config.get('_class_name', 'no model')
        kind = kind if isinstance(kind, str) else shown(kind)
        raise ValueError(f'{file.absolute()} describes {kind[:80]}: need UNet2DModel')
    widths = one_a_level(config, 'block_out_channels', file, int)
    for name in ('down_block_types', 'up_block_types'):
        if len(one_a_level(config, name, file, str)) != len(widths):
            refuse(file, f'one for each of {len(widths)} levels', **{name: config[name]})
    refuse_others(config, UNET, file)
    check_blocks(config, file)
    return {
        'image_channels': number(config, 'in_channels', file),
        'n_channels': widths[0],
        'ch_mults': tuple(w / widths[0] if w % widths[0] else w // widths[0] for w in widths),
        'is_attn': attention_of(config),
        'n_blocks': number(config, 'layers_per_block', file),
        'dropout': number(config, 'dropout', file),
        'n_groups': number(config, 'norm_num_groups', file),
        'variant': read_variant(config, file),
    }


def read_variant(config: Mapping[str, Any], file: Path) -> Variant:
    r"""
    What is otherwise than in the paper's network, as diffusers' own defaults are.
    """
    default = {name: config.get(name, UNET[name][0]) for name in UNET}
    return Variant(
        norm_eps=number(config, 'norm_eps', file),
        head_channels=config.get('attention_head_dim', 8),
        symmetric=bool(default['downsample_padding']),
        cosine_first=bool(default['flip_sin_to_cos']),
        last_frequency=bool(default['freq_shift']),
    )


def attention_of(config: Mapping[str, Any]) -> tuple[bool, ...]:
    r"""
    At which levels there is attention.
    """
    return tuple(kind == 'AttnDownBlock2D' for kind in config['down_block_types'])


def check_blocks(config: Mapping[str, Any], file: Path) -> None:
    r"""
    A `ValueError` unless the blocks are those of our network.
    """
    is_attn, widths = attention_of(config), config['block_out_channels']
    # The way up is the way down, mirrored
    for way, levels in (('Down', is_attn), ('Up', is_attn[::-1])):
        name, wanted = f'{way.lower()}_block_types', [f'{"Attn" * a}{way}Block2D' for a in levels]
        if list(config[name]) != wanted:
            refuse(file, str(wanted), **{name: config[name]})
    groups = number(config, 'norm_num_groups', file)
    if any(w % groups for w in widths) or widths[0] % 2:
        need = 'even widths that the groups divide'
        refuse(file, need, block_out_channels=widths, norm_num_groups=groups)
    channels = [number(config, name, file) for name in ('in_channels', 'out_channels')]
    if channels[0] != channels[1]:
        need = 'the same: eps alone, no variance'
        refuse(file, need, in_channels=channels[0], out_channels=channels[1])
    # The middle has attention in any case
    head = config.get('attention_head_dim', 8)
    with_attn = {w for w, a in zip(widths, is_attn, strict=True) if a} | {widths[-1]}
    fits = is_number(head, int, 1, WIDEST) and not any(w % head for w in with_attn)
    if head is not None and not fits:
        need = f'null, for one head, or channels of a head that divide {sorted(with_attn)}'
        refuse(file, need, attention_head_dim=head)


def read_schedule(config: Mapping[str, Any], file: Path) -> tuple[Tensor, str, str]:
    r"""
    What a scheduler's settings say: $\beta$, float64, which $\sigma^2$ is meant, and the target.
    """
    refuse_others(config, SCHEDULER, file)
    variance = one_of(config, 'variance_type', 'fixed_small', VARIANCES, file)
    target = one_of(config, 'prediction_type', 'epsilon', PREDICTIONS, file)
    beta, zero_snr = read_beta(config, file), config.get('rescale_betas_zero_snr', False)
    if not isinstance(zero_snr, bool):
        refuse(file, 'true or false', rescale_betas_zero_snr=zero_snr)
    if zero_snr and (target == 'eps' or len(beta) < 2):
        need = 'prediction_type v_prediction or sample, and two steps'
        refuse(file, need, rescale_betas_zero_snr=zero_snr)
    return zero_terminal_snr(beta) if zero_snr else beta, variance, target


def one_of(
    config: Mapping[str, Any], name: str, default: str, ours: Mapping[str, str], file: Path
) -> str:
    r"""
    A setting by our word for it, or a `ValueError` that says which there are.
    """
    value = config.get(name, default)
    if not isinstance(value, str) or value not in ours:
        refuse(file, ', '.join(ours), **{name: value})
    return ours[value]


def read_beta(config: Mapping[str, Any], file: Path) -> Tensor:
    r"""
    The schedule $\beta$ of a scheduler's settings, float64.
    """
    n, betas = number(config, 'num_train_timesteps', file), config.get('trained_betas')
    if betas is not None:
        most = NUMBERS['num_train_timesteps'][-1]
        is_list = isinstance(betas, list) and 1 <= len(betas) <= most
        # The last one may be 1, where [nothing is left](../targets.html)
        if not is_list or not all(
            is_number(b, float, 0, 1) and 0 < b < 1 + (i == len(betas))
            for i, b in enumerate(betas, 1)
        ):
            refuse(file, 'numbers between 0 and 1', trained_betas=betas)
        return torch.tensor(betas, dtype=torch.float64)
    start, end = number(config, 'beta_start', file), number(config, 'beta_end', file)
    schedule = config.get('beta_schedule', 'linear')
    if schedule == 'linear':
        return torch.linspace(start, end, n, dtype=torch.float64)
    if schedule == 'squaredcos_cap_v2':
        return cosine(n)
    if schedule != 'scaled_linear':
        need = 'linear, scaled_linear, squaredcos_cap_v2 or trained_betas'
        refuse(file, need, beta_schedule=schedule)
    # Linear in the root
    return torch.linspace(start**0.5, end**0.5, n, dtype=torch.float64) ** 2


# ## Names
#
# Ours to theirs, in order; what is below a residual block or an attention comes last.
RENAMED = [
    (r'^time\.linear(\d)', r'time_embedding.linear_\1'),
    (r'^stem\.', 'conv_in.'),
    (r'^norm\.', 'conv_norm_out.'),
    (r'^head\.', 'conv_out.'),
    (r'^(down|up)\.(\d+)\.resample', r'\1_blocks.\2.\1samplers.0.conv'),
    (r'^(down|up)\.(\d+)\.blocks', r'\1_blocks.\2.blocks'),
    (r'^middle\.blocks', 'mid_block.blocks'),
    (r'blocks\.(\d+)\.residual', r'resnets.\1'),
    (r'blocks\.(\d+)\.attention', r'attentions.\1'),
    (r'(resnets\.\d+)\.time\.', r'\1.time_emb_proj.'),
    (r'(resnets\.\d+)\.shortcut\.', r'\1.conv_shortcut.'),
    (r'(attentions\.\d+)\.norm\.', r'\1.group_norm.'),
    (r'(attentions\.\d+)\.query\.', r'\1.to_q.'),
    (r'(attentions\.\d+)\.key\.', r'\1.to_k.'),
    (r'(attentions\.\d+)\.value\.', r'\1.to_v.'),
    (r'(attentions\.\d+)\.out\.', r'\1.to_out.0.'),
]
# Theirs, of the first generation, to theirs
OLD = {'query': 'to_q', 'key': 'to_k', 'value': 'to_v', 'proj_attn': 'to_out.0'}


def their_name(name: str) -> str:
    r"""
    What diffusers calls the weights that are `name` here.
    """
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def current_name(name: str) -> str:
    r"""
    The name that weights of either generation have today.
    """
    return re.sub(
        r'(attentions\.\d+)\.(query|key|value|proj_attn)\.',
        lambda m: f'{m[1]}.{OLD[m[2]]}.',
        name,
    )


class WithTheirNames(nn.Module):
    r"""
    Our U-Net, with weights that go by the names of diffusers: so a file is checked against these,
    and an error says what to look for in it.
    """

    def __init__(self, unet: UNet):
        super().__init__()
        self.unet = unet

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:  # type: ignore[override]
        return {their_name(name): w for name, w in self.unet.state_dict().items()}

    def load_state_dict(  # type: ignore[override]
        self, weights: Mapping[str, Tensor], *args: Any, **kwargs: Any
    ) -> Any:
        return self.unet.load_state_dict(
            {n: weights[their_name(n)] for n in self.unet.state_dict()}
        )


# ## In
def from_pretrained(
    path_or_id: str | Path, device: torch.device | str = 'cpu'
) -> tuple[DenoiseDiffusion, UNet, dict[str, Any]]:
    r"""
    ### Read a published model

    * `path_or_id` a folder, or a name on the hub, `owner/name`
    * `device` where to put it

    Returns the diffusion, its network in evaluation mode, and the configuration by our names:
    those of `UNet`, and `image_size`, `n_steps`, `variance`, `target` and `clip_x0`, whether the
    model is meant to be sampled with clipping, for the samplers.

    Raises `FileNotFoundError`, or `ValueError` for another kind of model, a setting that is not
    implemented, and weights that do not fit. No code in the folder is run.
    """
    folder = folder_of(path_or_id)
    check_family(folder)
    file = found(folder, 'unet/config.json', 'config.json')
    settings = read_json(file)
    options = read_unet(settings, file)
    scheduler_file = found(folder, 'scheduler/scheduler_config.json', 'scheduler_config.json')
    scheduler = read_json(scheduler_file)
    beta, variance, target = read_schedule(scheduler, scheduler_file)
    size, clip = settings.get('sample_size'), scheduler.get('clip_sample', True)
    sides = size if isinstance(size, list) and len(size) == 2 else [size]
    if size is not None and not all(is_number(side, int, 1, 2**16) for side in sides):
        refuse(file, 'the side of the images in pixels, or null', sample_size=size)
    if not isinstance(clip, bool):
        refuse(scheduler_file, 'true or false', clip_sample=clip)
    unet = with_weights(options, file.parent).to(device).eval()
    diffusion = diffusion_of(unet, beta, target=target, variance=variance)
    options |= {
        'image_size': size, 'n_steps': len(beta), 'variance': variance, 'target': target,
        'clip_x0': clip,
    }  # fmt: skip
    return diffusion, unet, options


def is_published(path: Path) -> bool:
    r"""
    Whether this is a folder that diffusers has written.
    """
    settings = ('model_index.json', 'unet/config.json', 'config.json')
    return path.is_dir() and any((path / name).is_file() for name in settings)


def published_sampler(
    path_or_id: str | Path,
    *,
    device: torch.device | str = 'auto',
    precision: str = 'fp32',
    **options: Any,
) -> Sampler:
    r"""
    ### The [sampler](sampler.html) of a published model

    The arguments are those of `from_pretrained` and of `Sampler.from_run`. It clips $\hat x_0$ if
    the model is meant to be sampled so. Raises `ValueError` too for images that are not square, or
    of a size that is not said.
    """
    for name in ('label', 'guidance'):
        if options.pop(name, None) is not None:
            raise ValueError(f'{name}: a published model is told no classes here, leave it out')
    device = pick_device(device) if isinstance(device, str) else device
    diffusion, unet, config = from_pretrained(path_or_id, device)
    size = config['image_size']
    sides = set(size) if isinstance(size, list) else {size}
    if len(sides) != 1 or None in sides:
        raise ValueError(
            f'{path_or_id}: sample_size={size}: need square images, and how large they are'
        )
    diffusion.eps_model = for_sampling(unet, pick_precision(precision, device), device)
    options = {'clip_x0': config['clip_x0'], **options}
    return Sampler(diffusion, unet.image_channels, sides.pop(), **options)


def check_family(folder: Path) -> None:
    r"""
    A `ValueError` if the folder says that it holds another kind of model.
    """
    index = folder / 'model_index.json'
    kind = read_json(index).get('_class_name') if index.exists() else 'DDPMPipeline'
    if kind not in ('DDPMPipeline', 'DDIMPipeline', 'PNDMPipeline'):
        kind = kind[:80] if isinstance(kind, str) else shown(kind)
        raise ValueError(f'{folder.absolute()} is a {kind}: need DDPMPipeline, images from noise')


def folder_of(path_or_id: str | Path) -> Path:
    r"""
    The folder that is meant, from the hub if need be.
    """
    path = Path(path_or_id)
    if path.is_dir():
        return path
    name = str(path_or_id)
    if path.exists() or not re.fullmatch(r'[\w-][\w.-]*/[\w.-]+', name):
        raise FileNotFoundError(
            f'{path.absolute()} is no folder: give one that diffusers has written, or a name on '
            f'the hub such as google/ddpm-cifar10-32'
        )
    try:
        hub = import_module('huggingface_hub')
    except ImportError as error:
        raise ImportError(
            f'{name} is no folder here, and the hub needs a package ({error}): '
            f"pip install 'labml-nn[hub]', or download it and give its folder"
        ) from error
    try:
        return download(hub, name)
    except Exception as error:
        # What was downloaded before needs no network
        try:
            return Path(hub.snapshot_download(name, local_files_only=True))
        except Exception:
            raise FileNotFoundError(
                f'{name} could not be downloaded ({first_line(error)}) and is not in the cache '
                f'{hub.constants.HF_HUB_CACHE}. Get model_index.json, config.json, '
                f'scheduler_config.json and diffusion_pytorch_model.safetensors (or .bin) from '
                f'https://huggingface.co/{name}/tree/main, put them into a folder, and give that'
            ) from error


def download(hub: Any, name: str) -> Path:
    r"""
    A model's settings and weights from the hub; weights as `.bin` only if there are no others.
    """
    wanted = ['*.json', '*.safetensors']
    folder = Path(hub.snapshot_download(name, allow_patterns=wanted))
    if not any(folder.rglob('*.safetensors')):
        folder = Path(hub.snapshot_download(name, allow_patterns=[*wanted, '*.bin']))
    return folder


def found(folder: Path, *names: str) -> Path:
    r"""
    The first of the files that is there, or a `FileNotFoundError` that says what is.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    there = ', '.join(sorted(p.name for p in folder.iterdir())[:8]) or 'nothing'
    raise FileNotFoundError(f'{folder.absolute()} has no {" or ".join(names)}: it holds {there}')


def read_json(file: Path) -> dict[str, Any]:
    r"""
    The settings in a file, or a `ValueError`.
    """
    # A pipe would be waited at for ever
    if not file.is_file():
        raise ValueError(f'{file.absolute()} is no file: need one of settings, in JSON')
    refuse_pointer(file)
    if file.stat().st_size > MOST_BYTES:
        raise ValueError(f'{file.absolute()} holds {file.stat().st_size:,} bytes: no settings do')
    try:
        settings = json.loads(file.read_text(encoding='utf-8'))
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{file.absolute()} is no JSON file: {error}') from error
    if not isinstance(settings, dict):
        raise ValueError(f'{file.absolute()} holds no settings but a {type(settings).__name__}')
    return settings


# ## Weights
WEIGHTS = 'diffusion_pytorch_model'


def with_weights(options: Mapping[str, Any], folder: Path) -> UNet:
    r"""
    The network with the weights in `folder`: all of them, and nothing else.
    """
    file, weights = weights_in(folder)
    renamed = {current_name(name): w for name, w in weights.items()}
    if len(renamed) < len(weights):
        raise ValueError(f'{file.absolute()} has weights under names of both generations')
    # Of shapes alone, so that no settings get more memory than the weights have
    with torch.device('meta'):
        fitting_weights(WithTheirNames(UNet(**options)), renamed, file)
    unet = UNet(**options)
    load_weights(WithTheirNames(unet), renamed, file)
    return unet


def weights_in(folder: Path) -> tuple[Path, Mapping[str, Tensor]]:
    r"""
    The file of weights in a folder and what it holds; several files if it is the index of these.
    """
    kinds = [f'{WEIGHTS}{end}' for end in ('.safetensors', '.bin')]
    file = found(folder, *(name for kind in kinds for name in (kind, f'{kind}.index.json')))
    return file, read_parts(file) if file.suffix == '.json' else read_weights(file)


def read_weights(file: Path) -> Mapping[str, Tensor]:
    r"""
    The weights in one file.
    """
    if file.suffix != '.bin':
        return safetensors.load_file(file)
    refuse_old_torch(file)
    return named_tensors(read_plain(file, 'get it again'), file)


def read_parts(index: Path) -> dict[str, Tensor]:
    r"""
    The weights in the files that an index names: each where the index says, and no other.

    An index names files of its own folder; what leads elsewhere is refused by a `ValueError`.
    """
    place = read_json(index).get('weight_map')
    if not isinstance(place, dict) or not place:
        refuse(index, 'a file for each weight', weight_map=place)
    for name in place.values():
        if not isinstance(name, str) or not re.fullmatch(r'\w[\w.-]*\.(safetensors|bin)', name):
            refuse(index, 'the name of a file beside it', weight_map=name)
    weights: dict[str, Tensor] = {}
    for part in sorted(set(place.values())):
        here = read_weights(found(index.parent, part))
        strange = [name for name in here if place.get(name) != part]
        if strange:
            refuse(index, f'{shown(strange[0])}, which is in {part}', weight_map=place)
        weights.update(here)
    missing = [name for name in place if name not in weights]
    if missing:
        refuse(index, f'{shown(missing[0])} in {place[missing[0]]}', weight_map=place)
    return weights


# ## Out
def save_pretrained(
    folder: str | Path, diffusion: DenoiseDiffusion, image_size: int, *, clip_x0: bool = True
) -> Path:
    r"""
    ### Write a model that diffusers reads

    * `diffusion` with our `UNet` as its `eps_model`
    * `image_size` of the images it was trained on
    * `clip_x0` whether it is meant to be sampled with clipping

    `diffusers.DDPMPipeline.from_pretrained(folder)` loads it and samples from it
    [tested](test:diffusion/ddpm/test_pretrained.py::test_their_pipeline_loads_and_samples_ours).
    Raises `ValueError` for another network, and for a learned variance.
    """
    unet = bare(diffusion.eps_model)
    if not isinstance(unet, UNet):
        raise ValueError(
            f'eps_model is a {type(unet).__name__}: only our UNet is written in the form of '
            f'diffusers. Use its own checkpoint'
        )
    if diffusion.variance == 'learned':
        raise ValueError(
            'this model has a learned variance, which is not written in that format: use its own '
            'checkpoint'
        )
    folder = Path(folder)
    for name, content in {
        'model_index.json': {
            '_class_name': 'DDPMPipeline',
            '_diffusers_version': '0.31.0',
            'scheduler': ['diffusers', 'DDPMScheduler'],
            'unet': ['diffusers', 'UNet2DModel'],
        },
        'unet/config.json': unet_settings(unet, image_size),
        'scheduler/scheduler_config.json': scheduler_settings(diffusion, clip_x0),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with written(folder / name) as part:
            part.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')
    weights = WithTheirNames(unet).state_dict()
    safetensors.save_file(folder / 'unet/diffusion_pytorch_model.safetensors', weights)
    return folder


def unet_settings(unet: UNet, image_size: int) -> dict[str, Any]:
    r"""
    Our network in the words of `UNet2DModel`, read off its layers.
    """
    is_attn = [isinstance(stage.blocks[0].attention, AttentionBlock) for stage in unet.down]
    first = unet.down[0].blocks[0].residual
    return {
        '_class_name': 'UNet2DModel',
        # What the paper's network has and diffusers' defaults have not, and all the rest
        **{name: values[0] for name, (_, values) in UNET.items()},
        'norm_eps': unet.variant.norm_eps,
        'downsample_padding': int(unet.variant.symmetric),
        'flip_sin_to_cos': unet.variant.cosine_first,
        'freq_shift': int(unet.variant.last_frequency),
        'attention_head_dim': unet.variant.head_channels,
        'sample_size': image_size,
        'in_channels': unet.image_channels,
        'out_channels': unet.image_channels,
        'block_out_channels': [s.blocks[-1].residual.conv2.out_channels for s in unet.down],
        'down_block_types': [f'{"Attn" * a}DownBlock2D' for a in is_attn],
        'up_block_types': [f'{"Attn" * a}UpBlock2D' for a in is_attn[::-1]],
        'layers_per_block': len(unet.down[0].blocks),
        'norm_num_groups': first.norm1.num_groups,
        'dropout': first.dropout.p,
    }


def scheduler_settings(diffusion: DenoiseDiffusion, clip_x0: bool) -> dict[str, Any]:
    r"""
    Our schedule in the words of `DDPMScheduler`. Raises `ValueError` for a target that it has not.
    """
    beta = diffusion.beta.cpu()
    predictions = {ours: theirs for theirs, ours in PREDICTIONS.items()}
    if diffusion.target not in predictions:
        raise ValueError(
            f'target={diffusion.target} has no name in DDPMScheduler, which knows '
            f'{", ".join(predictions)}: a model with another target cannot be written for it'
        )
    is_large = torch.equal(diffusion.sigma2, diffusion.beta)
    return {
        '_class_name': 'DDPMScheduler',
        **{name: values[0] for name, (_, values) in SCHEDULER.items()},
        'num_train_timesteps': diffusion.n_steps,
        'prediction_type': predictions[diffusion.target],
        **beta_settings(beta),
        'variance_type': 'fixed_large' if is_large else 'fixed_small',
        'clip_sample': clip_x0,
    }


def beta_settings(beta: Tensor) -> dict[str, Any]:
    r"""
    A schedule by the name that it has, or else written out.
    """
    zero_snr = float(beta[-1]) == 1

    def is_it(named: Tensor) -> bool:
        return torch.equal((zero_terminal_snr(named) if zero_snr else named).float(), beta)

    settings = {'beta_start': 1e-4, 'beta_end': 0.02, 'rescale_betas_zero_snr': zero_snr}
    if is_it(cosine(len(beta))):
        return {**settings, 'beta_schedule': 'squaredcos_cap_v2'}
    if not zero_snr:
        # A straight line has its own ends
        first, last = (float(f'{float(b):.6g}') for b in (beta[0], beta[-1]))
        settings |= {'beta_start': first, 'beta_end': last}
    line = torch.linspace(
        settings['beta_start'], settings['beta_end'], len(beta), dtype=torch.float64
    )
    if is_it(line):
        return {**settings, 'beta_schedule': 'linear'}
    # As it is: nothing is left to be rescaled
    return {
        **settings, 'beta_schedule': 'linear', 'rescale_betas_zero_snr': False,
        'trained_betas': beta.tolist(),
    }  # fmt: skip


# ## Command line
def parser() -> Parser:
    r"""
    The command line: `export` and `show`.
    """
    p = Parser(
        prog='python -m labml_nn.diffusion.ddpm.pretrained',
        description='Write a run as a folder that diffusers reads, or look at such a folder.',
        epilog='example: python -m labml_nn.diffusion.ddpm.pretrained export runs/digits model',
    )
    commands = p.add_subparsers(dest='command', required=True, metavar='COMMAND')
    text = 'write the averaged weights of a run, and a model card, for diffusers'
    export = commands.add_parser('export', help=text, description=text)
    export.add_argument('run', type=Path, help='the folder of a run, or a checkpoint file')
    export.add_argument('folder', type=Path, help='where to write; made if it is not there')
    text = 'say what a published model is, after reading all of it'
    show = commands.add_parser('show', help=text, description=text)
    show.add_argument('model', help='a folder, or a name on the hub such as google/ddpm-cifar10-32')
    return p


def export_run(run: Path, folder: Path) -> Path:
    r"""
    Write a run as a folder of diffusers with a model card, `README.md`, and a picture of samples.

    Raises `ValueError` for a folder that holds something, and as `save_pretrained` does.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f'{folder.absolute()} is there already: name a new folder')
    sampler, left = Sampler.from_run(run, device='cpu', sampler='ddpm'), RunRecord(run)
    if left.configs.n_classes:
        raise ValueError('this model is told classes, which that format has no place for here')
    save_pretrained(folder, sampler.diffusion, left.configs.image_size, clip_x0=sampler.clip_x0)
    samples = left.folder / 'samples.png'
    if samples.is_file():
        shutil.copyfile(samples, folder / 'samples.png')
    with written(folder / 'README.md') as part:
        part.write_text(model_card(left, samples.is_file()), encoding='utf-8')
    return folder


def model_card(left: RunRecord, has_samples: bool) -> str:
    r"""
    What a model is, for those who find it: data, steps, numbers, and how to use it.
    """
    facts = ''.join(f'* **{name}:** {value}\n' for name, value in left.facts.items())
    numbers = ''.join(f'| {name} | {value:.4g} |\n' for name, value in left.numbers.items())
    table = f'| measured | |\n|---|---|\n{numbers}\n' if numbers else ''
    picture = '![Samples of the averaged weights](samples.png)\n\n' if has_samples else ''
    return (
        '---\nlibrary_name: diffusers\npipeline_tag: unconditional-image-generation\n'
        'tags:\n- ddpm\n---\n\n# A DDPM of '
        f'{left.configs.dataset}\n\n{picture}{facts}\n{table}'
        '```python\nfrom diffusers import DDPMPipeline\n\n'
        "DDPMPipeline.from_pretrained('.')(batch_size=4).images[0].save('image.png')\n```\n"
    )


@command
def main(argv: Sequence[str] | None = None) -> int:
    r"""
    The command. Exit status: 0 done, 2 bad input.
    """
    a = parser().parse(sys.argv[1:] if argv is None else argv)
    try:
        if a.command == 'export':
            print(export_run(a.run, a.folder))
        else:
            _, unet, options = from_pretrained(a.model)
            options |= options.pop('variant')._asdict()
            print(unet, *(f'  {name:<16}{plain(value)}' for name, value in options.items()),
                  sep='\n')  # fmt: skip
    except (ValueError, OSError, ImportError) as error:
        return refused(error)
    return 0


if __name__ == '__main__':
    sys.exit(main())
