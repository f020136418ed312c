r"""
---
title: Fast samplers
summary: >
  One contract for all ways back from noise to image, the choice of steps, and what they cost:
  distance against calls of the network, measured.
---

# Fast samplers

Training asks for $\epsilon_\theta(x_t, t)$ at every $t$ alone, and knows nothing of the chain that
will be run backwards. So one may run another chain: fewer steps, larger ones, without noise, of
higher order. No sampler here needs another training.

* [Ancestral sampling](ancestral.html): Algorithm 2 of DDPM, on any subset of the steps
* [DDIM](ddim.html): the same marginals with less noise, or none; and the way from image to noise
* [PNDM](pndm.html): the slopes of earlier steps, as the classical multistep methods use them
* [DPM-Solver++](dpm_solver.html): the linear half of the equation solved exactly

All are used in the same way:

    from labml_nn.diffusion.samplers import DDIM
    sampler = DDIM(diffusion, n_steps=50)
    images = sampler.sample((16, 1, 8, 8), seed=0)

or step by step, for animations, progress bars and early stops:

    xt, noise = sampler.start((16, 1, 8, 8), seed=0)
    for t, xt, x0_hat in sampler.chain(xt, noise):
        ...

## A subset of the steps is a shorter chain

Choose $n$ of the $T$ steps, $\tau_1 < \dots < \tau_n$. The forward process, looked at only at
these, is a forward process of its own: its step from $\tau_{i-1}$ to $\tau_i$ multiplies the image
by $\sqrt{\bar\alpha_{\tau_i} / \bar\alpha_{\tau_{i-1}}}$, so with

$$\beta'_i = 1 - \frac{\bar\alpha_{\tau_i}}{\bar\alpha_{\tau_{i-1}}}, \qquad
\bar\alpha_{\tau_0} = 1$$

everything that was derived for [DDPM](../ddpm/index.html) holds, and is the same code, with $n$ for
$T$ [tested](test:diffusion/samplers/test_ancestral.py::test_a_subset_is_a_shorter_chain). The step
after the last goes to $\bar\alpha = 1$: it ends on $\hat x_0$, without noise
[tested](test:diffusion/samplers/test_contract.py::test_the_last_step_lands_on_x0_hat).

## Which steps

Four ways to choose $n$ of the $T$ steps are in use. Left their indices, right where they are in
terms of signal and noise, the scale on which [DPM-Solver++](dpm_solver.html) looks at them:

![Twenty strokes for each way. By index, all but quadratic are evenly spaced; by signal to noise,
linspace and leading have a wide gap before their last step, trailing ends before it, and quadratic
has many there](figure:samplers.py::spacing)

* `leading` takes the multiples of $T/n$, from 0. It never sees $T$: with 20 steps it asks the
  network first at index 950, for the noise of index 999.
* `linspace` goes evenly from 0 to $T-1$.
* `trailing` takes the multiples of $T/n$ counted from the noisy end. It has $T-1$ but not 0: with
  20 steps the last call is at index 49, and its $\hat x_0$ is the image.
* `quadratic`, $\tau_i \propto i^2$, has many steps where there is little noise.

**They differ in the last step but one.** Evenly spaced indices are not evenly spaced in noise. From
index 53 to index 0, as `linspace` steps, half the logarithm of the signal-to-noise ratio,
$\lambda$, climbs from 1.7 to 4.6: 30 % of the whole way, in one step of twenty
([tested](test:diffusion/samplers/test_contract.py::test_the_step_to_index_0_is_a_third_of_the_way)).
A method that extrapolates is carried far off by it. `trailing` leaves that step out and lands on
$\hat x_0$, extrapolating nothing; `quadratic` divides it into many.

## What they cost

Fréchet distance in pixel space of 898 samples from the 1,797 real digits, for the model that
`make train` makes, with $\hat x_0$ clipped (`make figures` measures it again; seconds of one core):

| `trailing`, steps | 5 | 10 | 20 | 50 |
|---|---|---|---|---|
| ancestral, $\beta$ | 1.31 | 0.54 | 0.35 | 0.25 |
| ancestral, $\tilde\beta$ | 1.95 | 0.77 | 0.46 | 0.29 |
| DDIM, $\eta = 0.5$ | 1.40 | 0.57 | 0.36 | 0.25 |
| DDIM, $\eta = 0$ | 1.35 | 0.55 | 0.33 | 0.25 |
| PNDM | 0.93 | 0.33 | 0.22 | 0.23 |
| DPM-Solver++ 2M | 1.19 | 0.37 | 0.24 | 0.23 |
| 2M with noise | 1.54 | 0.41 | 0.26 | 0.21 |
| seconds | 2.2 | 4.6 | 9.9 | 35.9 |

Ancestral sampling with all 1000 steps: 0.25, in 655 seconds. Draws of the real digits: 0.14.

| 20 steps | `leading` | `linspace` | `trailing` | `quadratic` |
|---|---|---|---|---|
| ancestral, $\beta$ | 0.68 | 0.73 | 0.35 | 0.32 |
| ancestral, $\tilde\beta$ | 0.47 | 0.48 | 0.46 | 0.39 |
| DDIM, $\eta = 0.5$ | 0.36 | 0.36 | 0.36 | 0.31 |
| DDIM, $\eta = 0$ | 0.32 | 0.33 | 0.33 | 0.29 |
| PNDM | 0.23 | 0.24 | 0.22 | – |
| DPM-Solver++ 2M | 0.32 | 0.33 | 0.24 | 0.23 |
| 2M with noise | 0.48 | 0.51 | 0.26 | 0.25 |

| steps, of four seeds | mean | least | most |
|---|---|---|---|
| PNDM, 10 | 0.32 | 0.32 | 0.33 |
| DPM-Solver++ 2M, 10 | 0.36 | 0.35 | 0.37 |
| 2M with noise, 10 | 0.41 | 0.38 | 0.44 |
| PNDM, 20 | 0.23 | 0.22 | 0.24 |
| DPM-Solver++ 2M, 20 | 0.24 | 0.23 | 0.25 |
| 2M with noise, 20 | 0.25 | 0.23 | 0.26 |
| PNDM, 50 | 0.23 | 0.23 | 0.24 |
| DPM-Solver++ 2M, 50 | 0.23 | 0.22 | 0.24 |
| 2M with noise, 50 | 0.24 | 0.21 | 0.29 |

![Distance against calls of the network: the methods of second order reach the line of 1000
ancestral steps at 20 calls, the others at 50](figure:samplers.py::frontier)

* **Order** pays while steps are few: at 10 and 20 the methods of second order are far ahead of DDIM
  and of ancestral sampling.
* **Spacing** decides for DPM-Solver++, whose distance with `trailing` is three quarters of that
  with `leading`, with noise half, and for ancestral sampling with $\beta$, which adds the noise of
  that long step just before the image. DDIM and PNDM, which do not extrapolate in $\lambda$, hardly
  notice.
* **Noise** costs steps, and its outcome varies more from seed to seed. It forgives errors of the
  network, which a chain without noise carries to the end, but for this model that hardly pays.
* **The last step** lands on $\hat x_0$ everywhere. Stopping at index 0 instead leaves 1 % of noise.

> So the default is DPM-Solver++ without noise, `trailing`, 20 steps: on this model as near to the
> data as all 1000 ancestral steps, with a fiftieth of the calls. PNDM, which needs one more, is as
> good. Small differences in the tables mean nothing, as the last of them shows. Other data may want
> other steps: for CIFAR-10 the authors of DDIM chose `quadratic`.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.utils import MOST_LEFT, SeededNoise, ShortChainWarning, evaluating

# How many steps are taken when nobody says
DEFAULT_STEPS = 20


def spaced(spacing: str, n_steps: int, T: int) -> list[int]:
    r"""
    ## The steps $\tau$, rising

    * `spacing` how they are chosen among `0 .. T-1`
    * `n_steps` how many, `1 .. T`

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
    if spacing not in steps:
        raise ValueError(f'spacing={spacing!r} is not known: use {", ".join(steps)}')
    return [steps[spacing](i) for i in range(n)]


class ReverseSampler(ABC):
    r"""
    ## The contract

    A sampler is a model with its schedule, a choice of steps, and `chain`. It knows nothing of
    conditioning: `diffusion.eps_model` is any callable `(xt, t) -> eps`.

    * `tau` the steps taken, rising; `before(i)` is the one below `tau[i]`
    * `short` the diffusion of these steps alone, with $\beta'$
    * `signal`, `noise` $\sqrt{\bar\alpha_t}$ and $\sqrt{1-\bar\alpha_t}$ of all steps, as numbers:
      a whole batch is at the same step
    """

    def __init__(
        self,
        diffusion: DenoiseDiffusion,  # the model with its schedule
        n_steps: int = DEFAULT_STEPS,  # how many of the steps, 1 .. T
        *,
        spacing: str = 'trailing',  # which of them
        clip_x0: bool = True,  # keep $\hat x_0$ within $[-1, 1]$ at every step
        variance: str = 'beta_tilde',  # of a step back of `short`
    ):
        if variance == 'learned' and diffusion.variance != 'learned':
            raise ValueError(
                f'variance=learned: this model has a fixed one ({diffusion.variance}): use beta or '
                f'beta_tilde'
            )
        self.diffusion = diffusion
        self.n_steps = n_steps
        self.clip_x0 = clip_x0
        self.tau = spaced(spacing, n_steps, diffusion.n_steps)
        # The image itself, before step 0, is index -1: the last of a list, for Python
        self.signal = [*(diffusion.alpha_bar.double() ** 0.5).tolist(), 1.0]
        self.noise = [*(diffusion.one_minus_alpha_bar.double() ** 0.5).tolist(), 0.0]
        self.warn_of_a_late_start(spacing)
        # $\bar\alpha$ anew from $\beta$, in float64:
        # $\beta'_i = 1 - \bar\alpha_{\tau_i} / \bar\alpha_{\tau_{i-1}}$ is a small difference
        alpha_bar = (1 - diffusion.beta.double().cpu()).cumprod(0)[self.tau]
        # A learned variance is in the rest of the model's output
        ask = self.output if variance == 'learned' else self.eps_theta
        self.short = DenoiseDiffusion(
            lambda xt, i: ask(xt, self.tau[int(i[0])]),
            n_steps,
            diffusion.beta.device,
            alpha_bar=alpha_bar,
            variance=variance,
        )

    def warn_of_a_late_start(self, spacing: str) -> None:
        r"""
        Warn if the chain begins where more is left of the image than at the end of training
        """
        left = self.signal[self.tau[-1]]
        if left > MOST_LEFT >= self.signal[self.diffusion.n_steps - 1]:
            warnings.warn(
                f'{self.n_steps} steps with spacing={spacing!r} begin at step {self.tau[-1]}, '
                f'where {left:.0%} of the image is left, so pure noise is the wrong start: use '
                f"more steps or spacing='trailing'",
                ShortChainWarning,
                stacklevel=4,
            )

    @abstractmethod
    def chain(self, xt: Tensor, noise: SeededNoise) -> Iterator[tuple[int, Tensor, Tensor]]:
        r"""
        ### From noise to image, step by step

        Yields `(t, xt, x0_hat)` after each step: the index `t` that the model was asked at, where
        the step has led, and what it aimed at. The last `xt` is the image.
        """

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

    def start(
        self, start: tuple[int, ...] | Tensor, seed: int = 0, *, first: int = 0
    ) -> tuple[Tensor, SeededNoise]:
        r"""
        ### Where a chain begins, and its noise

        * `start` the shape `[batch, ...]`, or $x_T$ itself
        * `seed` image $i$ of the batch depends on `(seed, first + i)` and on nothing else
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
        with evaluating(self.diffusion.eps_model):
            return self.diffusion.eps_theta(xt, self.all_at(t, xt))

    def output(self, xt: Tensor, t: int) -> Tensor:
        r"""
        All that the model puts out there
        """
        with evaluating(self.diffusion.eps_model):
            return self.diffusion.eps_model(xt, self.all_at(t, xt))

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
        return self.consistent(xt, self.eps_theta(xt, t), t)

    def consistent(self, xt: Tensor, eps: Tensor, t: int) -> tuple[Tensor, Tensor]:
        r"""
        #### $\epsilon$ and the $\hat x_0$ that goes with it

        The two are one guess, tied by $x_t = \sqrt{\bar\alpha_t}\,\hat x_0 +
        \sqrt{1-\bar\alpha_t}\,\epsilon$. Clipping changes $\hat x_0$, so $\epsilon$ has to follow:
        the old one with the new $\hat x_0$ would not add up to $x_t$
        [tested](test:diffusion/samplers/test_contract.py::test_eps_is_derived_again_after_clipping).
        """
        x0_hat = self.predict_x0(xt, eps, t)
        if not self.clip_x0:
            return eps, x0_hat
        x0_hat = x0_hat.clamp(-1, 1)
        # $\epsilon = \frac{x_t - \sqrt{\bar\alpha_t}\,\hat x_0}{\sqrt{1-\bar\alpha_t}}$
        return (xt - self.signal[t] * x0_hat) / self.noise[t], x0_hat

    def transfer(self, xt: Tensor, eps: Tensor, t: int, s: int) -> Tensor:
        r"""
        #### $\phi(x_t, \epsilon, t, s)$: from step `t` to step `s`, up or down, along `eps`

        $$\phi = \sqrt{\bar\alpha_s}\,
        \frac{x_t - \sqrt{1-\bar\alpha_t}\,\epsilon}{\sqrt{\bar\alpha_t}}
        + \sqrt{1-\bar\alpha_s}\,\epsilon$$
        """
        return self.signal[s] * self.predict_x0(xt, eps, t) + self.noise[s] * eps


# ## By name
#
# At the end, because each of these pages begins with the contract above
from labml_nn.diffusion.samplers.ancestral import Ancestral  # noqa: E402
from labml_nn.diffusion.samplers.ddim import DDIM  # noqa: E402
from labml_nn.diffusion.samplers.dpm_solver import DPMSolver  # noqa: E402
from labml_nn.diffusion.samplers.pndm import PNDM  # noqa: E402

SAMPLERS: dict[str, type[ReverseSampler]] = {
    'ddpm': Ancestral,
    'ddim': DDIM,
    'pndm': PNDM,
    'dpm': DPMSolver,
}

__all__ = ['DDIM', 'PNDM', 'SAMPLERS', 'Ancestral', 'DPMSolver', 'ReverseSampler', 'spaced']
