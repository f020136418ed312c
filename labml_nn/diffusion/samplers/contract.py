r"""
---
title: The contract of the samplers
summary: What every way back from noise to image has - its steps, its options, and a chain.
---

# The contract of the samplers

A [sampler](index.html) is a dataclass: a model with its schedule, and options. An option is a line,

    eta: Annotated[float, 'how much noise, 0 to 1'] = 0.0

its name, its type, what it means, and its default. Command lines are made from
these lines, so a new sampler needs only a page of its own and a line in [`SAMPLERS`](index.html).
"""

import copy
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Annotated

import torch
from torch import Tensor

from labml_nn.diffusion.ddpm import DenoiseDiffusion, EpsModel
from labml_nn.diffusion.ddpm.utils import (
    MOST_LEFT,
    SeededNoise,
    ShortChainWarning,
    around,
    evaluating,
)

# How many steps are taken by default
DEFAULT_STEPS = 20


# How much the signal may grow in a step over which noises are mixed. The linear schedule of 1000
# steps stays below with 4 steps and more, and with 6 and more for `quadratic`
LEAP = 20


def spaced(spacing: str, n_steps: int, T: int, sigma: Sequence[float] = ()) -> list[int]:
    r"""
    ## The steps $\tau$, rising

    * `spacing` how they are chosen among `0 .. T-1`
    * `n_steps` how many, `1 .. T`
    * `sigma` the noise levels $\bar\sigma = \sqrt{(1-\bar\alpha)/\bar\alpha}$ of all steps, which
      `karras` chooses by

    Raises `ValueError` for a spacing that does not exist or a number out of range.
    """
    n = n_steps
    if not 1 <= n <= T:
        raise ValueError(f'n_steps={n}: the model was trained with {T} steps, use 1 to {T} of them')
    # Whole numbers throughout: no rounding error can make two of the steps equal
    steps = {
        # The multiples of $T/n$
        'leading': lambda i: i * T // n,
        # Evenly from 0 to $T-1$, both included
        'linspace': lambda i: (2 * i * (T - 1) + n - 1) // (2 * n - 2) if n > 1 else T - 1,
        # The multiples of $T/n$, counted from the noisy end
        'trailing': lambda i: (2 * (i + 1) * T + n) // (2 * n) - 1,
        # $\tau_i \propto i^2$: many steps where there is little noise
        'quadratic': lambda i: max(i, i * i * (T - 1) // (n - 1) ** 2) if n > 1 else T - 1,
    }
    if spacing == 'karras' and sigma:
        if sigma[T - 1] == math.inf:
            raise ValueError(
                'spacing=karras needs a last level that is finite, and this schedule leaves '
                'nothing of the image: use trailing'
            )
        return nearest_levels(levels(n, sigma[0], sigma[T - 1]), sigma)
    if spacing not in steps:
        known = ', '.join([*steps, *(['karras'] if sigma else [])])
        raise ValueError(f'spacing={spacing!r} is not known: use {known}')
    return [steps[spacing](i) for i in range(n)]


def levels(n: int, least: float, most: float, rho: float = 7.0) -> list[float]:
    r"""
    ### The noise levels of EDM, rising

    Even in $\bar\sigma^{1/\rho}$, as [EDM](edm.html) chooses them (eq. 5). A single level is
    `most`.
    """
    if n == 1:
        return [most]
    low, high = least ** (1 / rho), most ** (1 / rho)
    return [(low + i / (n - 1) * (high - low)) ** rho for i in range(n)]


def nearest_levels(wanted: Sequence[float], sigma: Sequence[float]) -> list[int]:
    r"""
    The steps whose noise levels are nearest to those wanted, each step once

    Both lists rise. If two wanted levels have the same nearest step, the upper one takes a step
    further up. Where there is none left at the top, the lower one takes a step further down.
    """
    T, n = len(sigma), len(wanted)
    known = torch.tensor(sigma, dtype=torch.float64)
    nearest = (known[:, None] - torch.tensor(wanted, dtype=torch.float64)).abs().argmin(0).tolist()
    tau: list[int] = []
    for i, t in enumerate(nearest):
        tau.append(min(max(t, tau[-1] + 1 if tau else 0), T - n + i))
    return tau


def noise_levels(diffusion: DenoiseDiffusion) -> list[float]:
    r"""
    $\bar\sigma_t = \sqrt{(1-\bar\alpha_t)/\bar\alpha_t}$ of every step; without end where no
    signal is left
    """
    signal = (diffusion.alpha_bar.double() ** 0.5).tolist()
    noise = (diffusion.one_minus_alpha_bar.double() ** 0.5).tolist()
    return [n / s if s > 0 else math.inf for s, n in zip(signal, noise, strict=True)]


class Shorter(DenoiseDiffusion):
    r"""
    ## The diffusion of some of the steps

    * `whole` the one of all steps, which is asked for every guess
    * `tau` the steps
    * `variance` of a step back: `beta`, `beta_tilde` or `learned`
    """

    tau: Tensor

    def __init__(self, whole: DenoiseDiffusion, tau: Sequence[int], variance: str):
        self.target = whole.target
        device = whole.beta.device
        # $\bar\alpha$ anew from $\beta$, in float64:
        # $\beta'_i = 1 - \bar\alpha_{\tau_i} / \bar\alpha_{\tau_{i-1}}$ is a small difference
        alpha_bar = (1 - whole.beta.double().cpu()).cumprod(0)[tau]
        super().__init__(whole.eps_model, len(tau), device, alpha_bar=alpha_bar, variance=variance)
        self.whole = whole
        self.register_buffer('tau', torch.tensor(tau, device=device), persistent=False)

    def guess(
        self, xt: Tensor, t: Tensor, label: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        r"""
        That of the whole diffusion at step $\tau_i$; `t` is $i$

        The step is looked up on the device of the images: to read it, the program would have to
        wait for the device
        [tested](test:diffusion/samplers/test_contract.py::test_no_step_waits_for_the_device).
        """
        eps, x0_hat, v = self.whole.guess(xt, self.tau[t], label)
        return eps, x0_hat, v if self.variance == 'learned' else None

    def of(self, whole: DenoiseDiffusion) -> 'Shorter':
        r"""
        The same steps of the same diffusion with another model
        """
        other = around(self, whole.eps_model)
        other.whole = whole
        return other


@dataclass(eq=False, repr=False)
class ReverseSampler(ABC):
    r"""
    ## The contract

    A sampler is a model with its schedule, a choice of steps, and `chain`. It knows nothing of
    conditioning, nor of [what the model predicts](../targets.html): `diffusion.guess` gives the
    noise and the image that goes with it.

    * `tau` the steps taken, rising; `before(i)` is the one below `tau[i]`
    * `short` the diffusion of these steps alone, with $\beta'$
    * `signal`, `noise` $\sqrt{\bar\alpha_t}$ and $\sqrt{1-\bar\alpha_t}$ of all steps, as numbers:
      a whole batch is at the same step

    A field whose annotation has a text is an option of the command line; `clip_x0` is not one, as
    all images that runs are trained on lie in $[-1, 1]$.
    """

    diffusion: DenoiseDiffusion  # the model with its schedule
    n_steps: int = DEFAULT_STEPS  # how many of the steps, 1 .. T
    _: KW_ONLY
    spacing: Annotated[str, 'which steps: leading, linspace, trailing, quadratic or karras'] = (
        'trailing'
    )
    clip_x0: bool = True  # keep the guessed image within [-1, 1] at every step

    def __post_init__(self) -> None:
        diffusion = self.diffusion
        # The image itself, before step 0, is index -1: the last of a list, for Python
        self.signal = [*(diffusion.alpha_bar.double() ** 0.5).tolist(), 1.0]
        self.noise = [*(diffusion.one_minus_alpha_bar.double() ** 0.5).tolist(), 0.0]
        self.tau = spaced(self.spacing, self.n_steps, diffusion.n_steps, noise_levels(diffusion))
        self.short = Shorter(diffusion, self.tau, self.variance_back())
        self.prepare()
        self.warn_of_a_late_start()

    def variance_back(self) -> str:
        r"""
        The variance of a step back of `short`
        """
        return 'beta_tilde'

    def prepare(self) -> None:  # noqa: B027 (most have nothing to make)
        r"""
        What a sampler makes once, and the `ValueError` for invalid options of its own
        """

    def warn_of_a_late_start(self) -> None:
        r"""
        Warn if more than `MOST_LEFT` of the image is left where the chain begins, but not at step
        $T$
        """
        left = self.signal[self.tau[-1]]
        if left > MOST_LEFT >= self.signal[self.diffusion.n_steps - 1]:
            warnings.warn(
                f'{self.n_steps} steps with spacing={self.spacing!r} begin at step {self.tau[-1]}, '
                f'where {left:.0%} of the image is left, so pure noise is the wrong start: use '
                f"more steps or spacing='trailing'",
                ShortChainWarning,
                # Who made the sampler: `__post_init__` and `__init__` are in between
                stacklevel=4,
            )

    @abstractmethod
    def chain(self, xt: Tensor, noise: SeededNoise) -> Iterator[tuple[int, Tensor, Tensor]]:
        r"""
        ### From noise to image, step by step

        Yields `(t, xt, x0_hat)` after each step: the index `t` that the model was asked at, where
        the step has led, and what it aimed at. The last `xt` is the image.

        The chain goes on from `xt` as it is left: a caller who writes other values into it, in
        place, changes where the next step begins
        [tested](test:diffusion/test_editing.py::test_a_chain_goes_on_from_what_is_written).
        """

    def around(self, eps_model: EpsModel) -> 'ReverseSampler':
        r"""
        The same way back with another model, such as [one that is told](../guidance.html) the
        classes of a batch
        """
        other = copy.copy(self)
        other.diffusion = around(self.diffusion, eps_model)
        other.short = self.short.of(other.diffusion)
        return other

    def below(self, n_steps: int) -> 'ReverseSampler':
        r"""
        The same way back, begun later: its last `n_steps` steps alone

        * `n_steps` how many, from 1 to as many as this sampler has
        """
        if not 1 <= n_steps <= self.n_steps:
            raise ValueError(
                f'n_steps={n_steps}: use 1 to {self.n_steps} steps, as there are no more'
            )
        other = self.around(self.diffusion.eps_model)
        other.n_steps = other.short.n_steps = n_steps
        other.tau = self.tau[:n_steps]
        return other

    @property
    def n_calls(self) -> int:
        r"""
        How often a chain calls the model.
        """
        return self.n_steps

    def before(self, i: int) -> int:
        r"""
        The step that follows $\tau_i$ on the way back, $\tau_{i-1}$; the image is -1
        """
        return self.tau[i - 1] if i > 0 else -1

    def leaps(self, i: int) -> bool:
        r"""
        Whether $\sqrt{\bar\alpha}$ grows by more than the factor `LEAP` in the step down from
        $\tau_i$

        > **Departure.** Such a step takes the model's noise as it is, and a method that mixes
        > noises begins below it. The cosine schedule, whose $\bar\alpha$ is nearly 0 at the end,
        > has one such step. There $\hat x_0$ is $x_t - \sqrt{1-\bar\alpha_t}\,\epsilon$ divided by
        > almost nothing, so the little by which a mean of several noises differs from the model's
        > own comes out thousands of times as large
        > [tested](test:diffusion/samplers/test_cosine.py::test_every_sampler_gives_the_spread).
        """
        return i > 0 and self.signal[self.before(i)] > LEAP * self.signal[self.tau[i]]

    def start(
        self, start: tuple[int, ...] | Tensor, seed: int = 0, *, first: int = 0
    ) -> tuple[Tensor, SeededNoise]:
        r"""
        ### Where a chain begins, and its noise

        * `start` the shape `[batch, ...]`, or $x_T$ itself
        * `seed` the noise of image $i$ depends on `(seed, first + i)` alone, whatever the batch
        """
        shape = tuple(start.shape) if isinstance(start, Tensor) else tuple(start)
        noise = SeededNoise(shape[0], seed, first=first)
        # Drawn even if $x_T$ is given: it may have been made from the same seed, and the $z$s of
        # the chain must not repeat it
        xt = noise(shape, self.short.beta.device)
        return start if isinstance(start, Tensor) else xt, noise

    def sample(self, start: tuple[int, ...] | Tensor, seed: int = 0, *, first: int = 0) -> Tensor:
        r"""
        ### From noise to image

        The arguments are those of `start`. Returns $x_0$.
        """
        for _, xt, _ in self.chain(*self.start(start, seed, first=first)):
            pass
        return xt

    # ### What the samplers share
    def eps_theta(self, xt: Tensor, t: int) -> Tensor:
        r"""
        $\epsilon_\theta(x_t, t)$ for a whole batch at step `t`, without dropout
        """
        return self.guess(xt, t)[0]

    def guess(self, xt: Tensor, t: int) -> tuple[Tensor, Tensor]:
        r"""
        $\epsilon_\theta$ and $\hat x_0$ for a whole batch at step `t`, without dropout
        """
        with evaluating(self.diffusion.eps_model):
            eps, x0_hat, _ = self.diffusion.guess(xt, self.all_at(t, xt))
        return eps, x0_hat

    def all_at(self, t: int, xt: Tensor) -> Tensor:
        r"""
        Step `t` for each image of the batch, `[batch]`
        """
        return torch.full((len(xt),), t, device=xt.device, dtype=torch.int64)

    def predict_x0(self, xt: Tensor, eps: Tensor, t: int) -> Tensor:
        r"""
        $\hat x_0$, as [`DenoiseDiffusion`](../ddpm/index.html) computes it; at -1 it is $x_t$
        """
        return self.diffusion.predict_x0(xt, self.all_at(t, xt), eps) if t >= 0 else xt

    def predict(self, xt: Tensor, t: int) -> tuple[Tensor, Tensor]:
        r"""
        The model's $\epsilon$ and $\hat x_0$, made consistent
        """
        return self.clipped(xt, *self.guess(xt, t), t)

    def consistent(self, xt: Tensor, eps: Tensor, t: int) -> tuple[Tensor, Tensor]:
        r"""
        The same for a mixture `eps` of noises. It divides by $\sqrt{\bar\alpha_t}$, so it cannot be
        used where this is 0
        """
        return self.clipped(xt, eps, self.predict_x0(xt, eps, t), t)

    def clipped(self, xt: Tensor, eps: Tensor, x0_hat: Tensor, t: int) -> tuple[Tensor, Tensor]:
        r"""
        #### $\epsilon$ and the $\hat x_0$ that goes with it

        The two are one guess, tied by $x_t = \sqrt{\bar\alpha_t}\,\hat x_0 +
        \sqrt{1-\bar\alpha_t}\,\epsilon$. Clipping changes $\hat x_0$, so $\epsilon$ has to follow:
        the old one with the new $\hat x_0$ would not add up to $x_t$
        [tested](test:diffusion/samplers/test_contract.py::test_eps_is_derived_again_after_clipping).
        """
        if not self.clip_x0:
            return eps, x0_hat
        x0_hat = x0_hat.clamp(-1, 1)
        # The noise that makes up $x_t$ with this $\hat x_0$
        return (xt - self.signal[t] * x0_hat) / self.noise[t], x0_hat

    def transfer(self, xt: Tensor, eps: Tensor, t: int, s: int) -> Tensor:
        r"""
        #### $\phi(x_t, \epsilon, t, s)$: from step `t` to step `s`, up or down, along `eps`

        $$\phi = \sqrt{\bar\alpha_s}\,
        \frac{x_t - \sqrt{1-\bar\alpha_t}\,\epsilon}{\sqrt{\bar\alpha_t}}
        + \sqrt{1-\bar\alpha_s}\,\epsilon$$

        [tested](test:diffusion/samplers/test_formulas.py::test_phi_is_equation_11)
        """
        return self.signal[s] * self.predict_x0(xt, eps, t) + self.noise[s] * eps

    def noised(self, xs: Tensor, s: int, t: int, eps: Tensor) -> Tensor:
        r"""
        #### From step `s` up to step `t` by new noise: a draw of $q(x_t|x_s)$

        $$x_t = \sqrt{\frac{\bar\alpha_t}{\bar\alpha_s}}\,x_s +
        \sqrt{1 - \frac{\bar\alpha_t}{\bar\alpha_s}}\;\epsilon$$

        [tested](test:diffusion/test_editing.py::test_up_again_is_the_forward_process); `s` is -1
        for the image, and `s = t` changes nothing.
        """
        kept = self.signal[t] / self.signal[s]
        # The variance at `t`, minus what is left of the variance at `s`. Where both are small,
        # $1 - \bar\alpha_t / \bar\alpha_s$ would lose digits
        added = self.noise[t] ** 2 - (kept * self.noise[s]) ** 2
        return kept * xs + max(added, 0.0) ** 0.5 * eps
