r"""
---
title: Calls written for labml's page
summary: What lets code for the forerunner of these pages run here, and says so where it cannot.
---

# Calls written for labml's page

These pages follow [labml's](https://nn.labml.ai/diffusion/ddpm/index.html), and people arrive with
code that was written for it. What means something here runs; what does not is refused in words that
name the new way. [The table](moving.html) has each call; the pages themselves know nothing of it
but the lines that lead here.
"""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from labml.configs import BaseConfigs
from torch import Tensor

from labml_nn.cli.messages import shown
from labml_nn.cli.options import option_types
from labml_nn.cli.progress import Tell
from labml_nn.data.pictures import grid, save_animation, to_pil, to_uint8
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.utils import SeededNoise, same_shape


# ## The sampler
class Calls:
    r"""
    What labml's `Sampler` had besides the calls that ours has.

    Images are in $[-1, 1]$ here, and what returned nothing returns what it has made.
    """

    # What ours has
    diffusion: DenoiseDiffusion
    image_shape: tuple[int, int, int]
    clip_x0: bool
    device: torch.device
    denoise: Callable[..., Tensor]
    check_interpolation: Callable[..., None]
    with_labels: Callable[..., Any]

    eps_model = property(lambda self: self.diffusion.eps_model)
    beta = property(lambda self: self.diffusion.beta)
    alpha = property(lambda self: self.diffusion.alpha)
    alpha_bar = property(lambda self: self.diffusion.alpha_bar)
    beta_tilde = property(lambda self: self.diffusion.beta_tilde)
    sigma2 = property(lambda self: self.diffusion.sigma2)
    image_channels = property(lambda self: self.image_shape[0])
    image_size = property(lambda self: self.image_shape[1])

    @property
    def mu_tilde_coef1(self) -> Tensor:
        r"""
        The share of $x_0$ in [$\tilde\mu_t$](index.html), `[n_steps]`.
        """
        d = self.diffusion
        return d.alpha_bar_prev**0.5 * d.beta / d.one_minus_alpha_bar

    @property
    def mu_tilde_coef2(self) -> Tensor:
        r"""
        The share of $x_t$ in it.
        """
        d = self.diffusion
        return d.alpha**0.5 * d.one_minus_alpha_bar_prev / d.one_minus_alpha_bar

    def show_image(self, img: Tensor, title: str = '') -> None:
        r"""
        Show an image, `[channels, height, width]` in $[-1, 1]$, with matplotlib.
        """
        from matplotlib import pyplot

        pyplot.imshow(to_pil(to_uint8(img)), cmap='gray')
        pyplot.title(title)
        pyplot.show()

    def make_video(self, frames: list[Tensor], path: str | Path = 'video.mp4') -> Path:
        r"""
        Write images as a film of 20 seconds, MP4 or GIF as `path` ends.

        Raises `ImportError` where MP4 has no encoder, and says which package has one.
        """
        pictures = [grid(f if f.ndim == 4 else f[None]) for f in frames]
        return save_animation(path, pictures, seconds=20)

    def show(self, frames: list[Tensor], create_video: bool | None) -> list[Tensor]:
        r"""
        What `create_video` asks for: a film, or each frame on the screen; nothing when not given.
        """
        if create_video:
            self.make_video(frames)
        elif create_video is not None:
            for i, frame in enumerate(frames):
                self.show_image(frame[0], str(i))
        return frames

    def _sample_x0(self, xt: Tensor, n_steps: int) -> Tensor:
        # torch's own random numbers, which is what the call took before
        seed = int(torch.randint(2**31, ()))
        return self.denoise(xt.to(self.device), SeededNoise(len(xt), seed), n_steps)

    @torch.no_grad()
    def step_given(self, xt: Tensor, t: Tensor, eps: Tensor, z: Tensor | None) -> Tensor:
        r"""
        $x_{t-1}$ for a guess `eps` of the noise that the caller has made.

        Raises `ValueError` where the variance is learned, which a guess of the noise does not tell.
        """
        if self.diffusion.variance == 'learned':
            raise ValueError(
                'p_sample(xt, t, eps): the model says the variance as well, and eps does not hold '
                'it. Call p_sample(xt, t), which asks the model for both'
            )
        z = torch.randn_like(xt) if z is None else same_shape('z', z, xt)
        same_shape('eps', eps, xt)
        x0_hat = self.diffusion.predict_x0(xt, t, eps)
        mean, var, _ = self.diffusion.p_given(xt, t, x0_hat, None, clip_x0=self.clip_x0)
        # No noise at the last step, as everywhere here
        return mean + torch.where((t == 0)[:, None, None, None], 0.0, var**0.5) * z

    def between_batches(
        self, x1: Tensor, x2: Tensor, lambda_: Any, t_: int, seed: int, tell: Tell | None = None
    ) -> Tensor:
        r"""
        Between the images of two batches, one by one: image $i$ is between `x1[i]` and `x2[i]`.

        Raises `ValueError` for batches of two sizes, and for more than one $\lambda$.
        """
        if not isinstance(lambda_, int | float):
            raise ValueError(
                'interpolate(x1, x2, lambda_): batches take one lambda; for several give one image '
                'each, x1[0] and x2[0]'
            )
        same_shape('x2', x2, x1)
        self.check_interpolation(x1[0], x2[0], torch.tensor([lambda_]), t_)
        noise = SeededNoise(len(x1), seed)
        x1, x2 = x1.to(self.device), x2.to(self.device)
        if t_ > 0:
            t = torch.full((len(x1),), t_ - 1, device=self.device)
            eps = noise(x1.shape, self.device)
            x1, x2 = (self.diffusion.q_sample(x, t, eps) for x in (x1, x2))
        mixed = (1 - lambda_) * x1 + lambda_ * x2
        return self.with_labels(0, len(x1), one=True).denoise(mixed, noise, t_, tell)


# ## The notebook
#
# What labml's `Configs` has where nothing else is said, under the names of ours
DEFAULTS: dict[str, Any] = {
    'dataset': 'CelebA', 'image_channels': 3, 'image_size': 32, 'n_channels': 64,
    'ch_mults': (1, 2, 2, 4), 'is_attn': (False, False, False, True), 'n_blocks': 2,
    'n_groups': 32, 'dropout': 0.1, 'batch_size': 64, 'learning_rate': 2e-5, 'n_samples': 16,
    'warmup': 0, 'cooldown': 0, 'track': ('none',), 'epochs': 1000,
}  # fmt: skip
RENAMED = {'channel_multipliers': 'ch_mults', 'is_attention': 'is_attn'}
# Its data sets, and where they are
DATASETS: dict[str, dict[str, Any]] = {
    'CelebA': {'dataset': 'folder', 'data_root': 'data/celebA'},
    'MNIST': {'dataset': 'mnist', 'image_channels': 1},
}
# Made by `init()`, and not to be said
MADE = ('eps_model', 'diffusion', 'optimizer', 'data_loader')


class Notebook(BaseConfigs):
    r"""
    The names that labml's notebook uses of its `Configs`: `epochs`, `init()`, `run()` and what
    `init()` makes. They are no options of ours.
    """

    epochs: int
    channel_multipliers: tuple[int, ...]
    is_attention: tuple[bool, ...]
    eps_model: Any
    diffusion: Any
    optimizer: Any
    data_loader: Any
    # Whether a run has its values from here
    _is_made = False

    def __init_subclass__(cls) -> None:
        # labml keeps the types in its record of a run: without what is said of the options
        said, types = cls.__annotations__, option_types(cls)
        cls.__annotations__ = {name: types.get(name, kind) for name, kind in said.items()}
        super().__init_subclass__()
        cls.__annotations__ = said

    @staticmethod
    def _begin(values: dict[str, Any], epochs: int) -> Any:
        # The page that trains puts its own in this place: it is above this one
        raise RuntimeError('import labml_nn.diffusion.ddpm.experiment, which trains, before init()')

    def init(self) -> None:
        r"""
        Make the model and all that trains it, in the first free folder below `runs`.
        """
        values, epochs = options_of(self)
        trainer = self._begin(values, epochs)
        self._trainer = trainer
        dataset, training = trainer.dataset, trainer.training
        self.eps_model, self.diffusion = training.model, training.diffusion
        self.optimizer = training.optimizer
        self.data_loader = torch.utils.data.DataLoader(
            range(len(dataset)),  # type: ignore[arg-type]
            trainer.c.batch_size,
            shuffle=True,
            collate_fn=lambda numbers: torch.stack([dataset[i][0] for i in numbers]),
        )
        if 'device' not in values:
            self.device = trainer.device
        self._is_made = True

    def _check_open(self, values: Mapping[str, Any]) -> None:
        r"""
        A `ValueError` for values that come after the configuration was made.
        """
        if self._is_made and values:
            name, value = next(iter(values.items()))
            raise ValueError(
                f'{name}={shown(value)} comes too late: the configuration is made, and a run keeps '
                f'the values that it has. Say {name} before: make_configs({{{name!r}: …}}), or '
                f'before init()'
            )

    def run(self) -> None:
        r"""
        Train, as [`experiment`](experiment.html) does. Raises `RuntimeError` when that fails.
        """
        trainer = made(self)
        with contextlib.ExitStack() as cleanup:
            trainer.start(cleanup)
            if trainer.run() == 1:
                raise RuntimeError(f'the run in {trainer.out} has failed, as said above')

    def sample(self) -> Tensor:
        r"""
        `n_samples` images of the averaged weights.
        """
        trainer = made(self)
        return trainer.sample(trainer.c.n_samples)

    def train(self) -> NoReturn:
        r"""
        One epoch alone: refused.
        """
        raise RuntimeError('train() has no epochs of its own: call run(), with epochs or steps set')


def made(c: Notebook) -> Any:
    r"""
    The trainer that `init()` has made, or a `RuntimeError`.
    """
    if not hasattr(c, '_trainer'):
        raise RuntimeError('nothing is made yet: call init() first')
    return c._trainer


def options_of(c: Notebook) -> tuple[dict[str, Any], int]:
    r"""
    The options of ours that a notebook's configuration means, and its epochs.

    Raises `ValueError` for a data set that is no name.
    """
    # Only what was said: the values of the preset `digits` are no choice of the notebook's
    names = [name for name, about in c._to_json().items() if about['value'] is not None]
    said = {RENAMED.get(name, name): getattr(c, name) for name in names if '.' not in name}
    for name in MADE:
        if name in said:
            raise ValueError(f'{name} is made by init(): leave it out')
    dataset = said.get('dataset', DEFAULTS['dataset'])
    if not isinstance(dataset, str):
        raise ValueError(
            f'dataset is a {type(dataset).__name__}, need a name: write the pictures into a folder '
            f"and say dataset='folder', data_root=that folder"
        )
    ours = DATASETS.get(dataset, {})
    values = {**DEFAULTS, **ours, **said, 'dataset': ours.get('dataset', dataset)}
    values.update({name: tuple(values[name]) for name in ('ch_mults', 'is_attn')})
    return values, values.pop('epochs')


def free_folder(name: str) -> Path:
    r"""
    `runs/name`, or the first of `runs/name-2`, `runs/name-3` … that is not there yet.
    """
    folder, n = Path('runs', name), 1
    while folder.exists():
        n += 1
        folder = Path('runs', f'{name}-{n}')
    return folder
