r"""
---
title: A run as a web page
summary: A folder or one file that opens in any browser and draws new pictures from your own model.
---

# A run as a web page

    python -m labml_nn.diffusion.ddpm.evaluate web runs/digits --out demo
    python -m labml_nn.diffusion.ddpm.evaluate web runs/digits --out demo.html --one_file

makes a page with the weights of the run, and a small engine in JavaScript:
[the U-Net](engine/unet.js), [the samplers](engine/samplers.js), [torch's noise](engine/noise.js),
and [controls](engine/figure.js).
Open `demo/index.html`: it needs no server, fetches nothing, and draws new pictures: sampler, steps
and seed can be chosen, and for a run with classes the class and the [guidance](../guidance.html).

**The same picture as here.** Seed $s$ and place $i$ mean in the page what they mean for
`evaluate sample`. The noise is the same to the last bit
[tested](test:diffusion/ddpm/test_web.py::test_noise_is_torchs_to_the_last_bit), the output of the
network differs by rounding alone
[tested](test:diffusion/ddpm/test_web.py::test_the_forward_pass_is_the_one_of_pytorch), and with
float32 weights no pixel is off by more than 2 of 255, for each of its samplers
[tested](test:diffusion/ddpm/test_web.py::test_every_sampler_draws_the_picture_of_the_command_line).

> **Why not in a background thread (a Worker), or on the GPU?** A page that was opened from a file
> may start no worker, and a strict policy forbids the other ways to get one. So the engine works in
> small pieces and lets the page answer in between. It is meant for small models: `web` says so when
> a picture will take more than ten seconds, and refuses what no browser would load.

## The weights

A script gives the engine one object: the configuration, the names and shapes of the tensors in
order, and all of them as bytes in base64. Vectors (biases, normalisation) are float32. Matrices and
kernels are in the precision that was asked for:

| `--weights_as` | bytes a weight | what it is |
|---|---|---|
| `int8` | 1 | $w \approx s_c\,q$, with $q$ from $-127$ to $127$ |
| `float16` | 2 | rounded to 11 bits |
| `float32` | 4 | as they are |

Low bytes come first. Of `int8` there is a scale $s_c$ for each output channel $c$: they stand, as
float32, before the tensor that they belong to. Base64 writes three bytes as four characters, so a
weight takes four thirds of a byte in the file then.

How far does `int8` move the pixels? They go from $-1$ to $1$. Of 256 pictures in 20 steps by the
model of `make train`, the table has the root mean square over all pixels and over those of the
picture that changes most, how many pixels in a hundred move by more than 2 grey levels of 255, and
by how many levels the one that moves most (`python -m docs.bench.rounding runs/digits` measures it
again):

| sampler | RMS | of the worst picture | more than 2 levels | most levels |
|---|---|---|---|---|
| `dpm` | 0.010 | 0.045 | 4.4 % | 32 |
| `pndm` | 0.010 | 0.049 | 4.6 % | 38 |
| `ddim` | 0.010 | 0.031 | 5.5 % | 20 |
<!-- measured: docs/figures/data/rounding.json#/table -->

Where a chain could go either way, rounding may decide, so there is no bound for a single
pixel. `--weights_as float32` is for those who need the same picture.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from markupsafe import Markup
from torch import Tensor

from labml_nn.cli.messages import one_of
from labml_nn.cli.options import FLAG, option_values
from labml_nn.cli.pages import environment
from labml_nn.compute.precision import bare, n_products
from labml_nn.data.files import written
from labml_nn.diffusion.ddpm.commands import Command, SamplerOptions, sampler_options
from labml_nn.diffusion.ddpm.configs import Configs, make_configs
from labml_nn.diffusion.ddpm.sampler import Sampler
from labml_nn.diffusion.ddpm.unet import UNet
from labml_nn.diffusion.guidance import Guided
from labml_nn.runs import checkpoint

# The scripts of the page; installed with the package
ENGINE = Path(__file__).with_name('engine')
TEMPLATES = Path(__file__).with_name('templates')
# In the order in which they need each other
SCRIPTS = ('noise.js', 'unet.js', 'samplers.js', 'figure.js', 'demo.js')

PRECISIONS = ('int8', 'float16', 'float32')

# What the engine has to know of a configuration
OF_CONFIG = (
    'image_size', 'image_channels', 'n_channels', 'ch_mults', 'is_attn', 'n_blocks', 'n_groups',
    'n_classes', 'p_uncond', 'n_steps', 'schedule', 'variance',
)  # fmt: skip

# What the engine has, where there is more in Python
KNOWN = {
    'schedule': ('linear', 'cosine'),
    'sampler': ('ddpm', 'ddim', 'pndm', 'dpm'),
    'spacing': ('leading', 'linspace', 'trailing', 'quadratic'),
}

# Beyond this a page takes minutes to open, if it opens
MOST_BYTES = 100_000_000
# Multiplications that the engine does in a second, on a core of a laptop
SPEED = 1.5e9
# A picture that takes longer is worth a warning
PATIENCE = 10


def quantised(weight: Tensor) -> tuple[Tensor, Tensor]:
    r"""
    ## $w \approx s_c\,q$

    * `weight` `[out_channels, ...]`

    Returns the scales $s_c = \max |w_c| / 127$, float32 `[out_channels]`, and $q$, int8, of the
    shape of `weight`. A channel of zeros has the scale 0.
    """
    rows = weight.detach().float().flatten(1)
    scale = rows.abs().amax(1) / 127
    q = (rows / scale.where(scale > 0, 1.0)[:, None]).round().clamp(-127, 127)
    return scale, q.to(torch.int8).reshape(weight.shape)


def as_bytes(tensor: Tensor, precision: str) -> bytes:
    r"""
    One tensor, as the engine reads it.
    """
    tensor = tensor.detach().cpu().float()
    if tensor.ndim == 1 or precision == 'float32':
        return little(tensor)
    if precision == 'float16':
        # The largest number that float16 has, where a weight is beyond it
        return little(tensor.clamp(-65504, 65504).half())
    scale, q = quantised(tensor)
    return little(scale) + little(q)


def little(tensor: Tensor) -> bytes:
    r"""
    The numbers of a tensor, low bytes first.
    """
    array = tensor.contiguous().numpy()
    return array.astype(array.dtype.newbyteorder('<')).tobytes()


def packed(
    weights: Mapping[str, Tensor],
    c: Configs,
    *,
    precision: str = 'int8',
    name: str = 'model',
    classes: Sequence[str] = (),
) -> dict[str, Any]:
    r"""
    ## A model for the browser

    * `weights` the `state_dict` of a `UNet`
    * `c` its configuration
    * `precision` of its matrices: int8, float16 or float32
    * `name` what the run is called in the command that makes the same picture
    * `classes` their names, where they have some

    Raises `ValueError` for a precision that is not known.
    """
    if precision not in PRECISIONS:
        raise ValueError(f'weights_as={precision!r} is not known: use {", ".join(PRECISIONS)}')
    values = option_values(c)
    data = b''.join(as_bytes(tensor, precision) for tensor in weights.values())
    return {
        'name': name,
        'config': {key: values[key] for key in OF_CONFIG},
        'classes': list(classes),
        'precision': precision,
        'tensors': [[key, list(tensor.shape)] for key, tensor in weights.items()],
        'data': base64.b64encode(data).decode(),
    }


def script(model: Mapping[str, Any], **more: object) -> str:
    r"""
    The script that gives a model to the engine, which keeps it as `ddpm.packed`.
    """
    said = json.dumps({**model, **more}, ensure_ascii=False, separators=(',', ':'))
    # `</script>` within a page would end the script that it stands in
    said = said.replace('</', '<\\/')
    return f'(globalThis.ddpm ??= {{}}).packed = {said};\n'


# ## The page
class WebOptions(SamplerOptions):
    r"""
    What `web` can be told. Sampler, steps, seed and classes are what the page begins with.
    """

    one_file: Annotated[bool, 'a single .html, not a folder', FLAG] = False
    weights_as: Annotated[str, 'how they are kept: int8, float16 or float32'] = 'int8'


@dataclass
class Page:
    r"""
    What becomes of a run: the script with its weights, and the seconds that a picture takes.
    """

    weights: str
    title: str
    seconds: float

    def files(self) -> dict[str, str]:
        r"""
        The files of a folder, by name.
        """
        names = ['model.js', *SCRIPTS]
        policy = "script-src 'self'; style-src 'self'"
        texts = {name: read(name) for name in (*SCRIPTS, 'figure.css')}
        page = self.html(policy, inside=False, style='figure.css', scripts=names)
        return {'index.html': page, 'model.js': self.weights, **texts}

    def one_file(self) -> str:
        r"""
        All of it in one page, whose policy names its scripts by their hashes.
        """
        scripts = [self.weights, *map(read, SCRIPTS)]
        style = read('figure.css')
        hashes = ' '.join(map(hash_of, scripts))
        policy = f'script-src {hashes}; style-src {hash_of(style)}'
        return self.html(policy, inside=True, style=Markup(style), scripts=map(Markup, scripts))

    def html(self, policy: str, **parts: Any) -> str:
        r"""
        The page around its style and its scripts, which stand `inside` or are named.
        """
        policy = Markup(f"default-src 'none'; {policy}; img-src data: blob:; base-uri 'none'")
        template = environment(TEMPLATES).get_template('demo.html')
        return template.render(title=self.title, policy=policy, **parts) + '\n'


def read(name: str) -> str:
    r"""
    A file of the engine.
    """
    return (ENGINE / name).read_text(encoding='utf-8')


def hash_of(text: str) -> str:
    r"""
    How a policy names a script that stands in the page.
    """
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def refuse_others(c: Configs) -> None:
    r"""
    A `ValueError` for another network than a U-Net that predicts the noise, which is all that the
    engine knows.
    """
    if c.network != 'unet':
        raise ValueError(
            f'the page draws with a U-Net, and this run has network={c.network}: use evaluate '
            f'sample or animate, or train one with --network unet'
        )
    if c.target != 'eps' or c.zero_snr:
        raise ValueError(
            f'the page draws from models that predict eps: this one has target={c.target} and '
            f'zero_snr={str(c.zero_snr).lower()}. Use evaluate sample or animate'
        )
    check_known('schedule', c.schedule)


def check_known(name: str, value: str) -> None:
    r"""
    A `ValueError` for a schedule, a sampler or a spacing that the engine does not have.
    """
    if value not in KNOWN[name]:
        raise ValueError(
            f'the page has {name}={one_of(KNOWN[name])}, not {value}: use evaluate sample or '
            f'animate'
        )


def page_of(sampler: Sampler, a: Any) -> Page:
    r"""
    The page of a run, or a `ValueError` for one that no browser would load.
    """
    state = checkpoint.load(a.run)
    c = make_configs(state['config'])
    refuse_others(c)
    network: Any = sampler.diffusion.eps_model
    guidance = 0.0
    if isinstance(network, Guided):
        network, guidance = network.model, network.scale
    model = bare(network)
    assert isinstance(model, UNet)
    name = checkpoint.find(a.run).parent.as_posix() if a.run.is_file() else a.run.as_posix()
    classes = state.get('data', {}).get('classes', [])
    weights = model.state_dict()
    given = packed(weights, c, precision=a.weights_as, name=name, classes=classes)
    size = len(given['data'])
    if size > MOST_BYTES:
        smaller = 'choose --weights_as int8, or ' if a.weights_as != 'int8' else ''
        raise ValueError(
            f'the page would have {size / 1e6:,.0f} MB, and browsers open no more than '
            f'{MOST_BYTES / 1e6:.0f}: {smaller}train a smaller model'
        )
    how = {
        'weights': a.weights, 'sampler': a.sampler, 'steps': sampler.reverse.n_steps,
        'seed': a.seed, 'options': known_options(a), 'labels': sampler.labels, 'guidance': guidance,
    }  # fmt: skip
    calls = sampler.reverse.n_calls * (2 if guidance else 1)
    seconds = n_products(model, model.image_channels, c.image_size) * calls / SPEED
    return Page(script(given, how=how), title(a.run), seconds)


def known_options(a: Any) -> dict[str, Any]:
    r"""
    What the command line says of the sampler, if the engine knows it, or a `ValueError`.
    """
    asked = sampler_options(a)
    for name in asked.keys() & KNOWN:
        check_known(name, asked[name])
    unknown = {'start': 'plms', 'order': 2, 'sde': False}
    for name, value in unknown.items():
        if asked.get(name, value) != value:
            raise ValueError(
                f'{name}={str(asked[name]).lower()}: the page has {name}={str(value).lower()} alone'
            )
    return {name: asked[name] for name in ('spacing', 'eta', 'variance') if name in asked}


def title(run: Path) -> str:
    r"""
    What the page is called.
    """
    return run.resolve().name if run.is_dir() else run.resolve().parent.name


def web_command(sampler: Sampler, a: Any) -> Iterator[Path]:
    r"""
    `web`: the folder, or the one file.
    """
    page = page_of(sampler, a)
    if page.seconds > PATIENCE:
        print(
            f'note: a picture of {sampler.reverse.n_steps} steps will take about '
            f'{page.seconds:,.0f} seconds in a browser: fewer --steps make it faster'
        )
    out = a.out or checkpoint.find(a.run).parent / ('web.html' if a.one_file else 'web')
    if a.one_file:
        yield write(out, page.one_file())
        return
    out.mkdir(parents=True, exist_ok=True)
    for name, text in page.files().items():
        write(out / name, text)
    yield out / 'index.html'


def write(path: Path, text: str) -> Path:
    r"""
    Write a file, all or nothing.
    """
    with written(path) as part:
        part.write_text(text, encoding='utf-8', newline='\n')
    return path


COMMANDS = {
    'web': Command(
        'a page that draws new pictures in any browser',
        web_command, WebOptions, endings=('.html',), is_folder=lambda a: not a.one_file,
    ),
}  # fmt: skip
