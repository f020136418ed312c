r"""
---
title: Targets and weights
summary: >
  A network can predict the noise, the image, or a mixture of both, v: one loss in three forms, a
  weight for every step, and schedules that leave nothing of the image.
---

# What the network predicts, and how much each step counts

[DDPM](ddpm/index.html) predicts the noise, and each step counts alike. Both can be chosen in
another way. This page has the targets and the truncated weight of [Progressive
Distillation](https://arxiv.org/abs/2202.00512) [@salimans2022], the weight of
[Min-SNR](https://arxiv.org/abs/2303.09556) [@hang2023], and the schedules of @lin2024,
which end in pure noise.

    python -m labml_nn.diffusion.ddpm.experiment --target v --weight min_snr --zero_snr true

The run remembers what it predicts, and the samplers work as before. The likelihood by the
[ODE](sde.html) and the [page for the browser](ddpm/web.html) need $\epsilon$.

## Three targets

Write $a = \sqrt{\bar\alpha_t}$ and $s = \sqrt{1-\bar\alpha_t}$, so that $x_t = a\,x_0 +
s\,\epsilon$ and $a^2 + s^2 = 1$. The network sees $x_t$. To find both $\epsilon$ and $x_0$, a
second mixture of the two is needed:

$$y = A\,\epsilon + B\,x_0$$
<!-- no-test: definition -->

These are two linear equations for $\epsilon$ and $x_0$. Their solution is

$$\epsilon = \frac{a\,y - B\,x_t}{D}, \qquad x_0 = \frac{A\,x_t - s\,y}{D}, \qquad D = aA - sB$$

([tested](test:diffusion/test_targets.py::test_any_mixture_is_a_target_while_it_says_more_than_xt)).
If $D = 0$, then $y$ is a multiple of $x_t$, and says nothing new. Three mixtures are in use:

| target | $A$ | $B$ | $D$ | its squared error, in units of $\lVert x_0 - \hat x_0\rVert^2$ |
|---|---|---|---|---|
| $\epsilon$ | $1$ | $0$ | $a$ | $\text{SNR}$ |
| $x_0$ | $0$ | $1$ | $-s$ | $1$ |
| $v$ | $a$ | $-s$ | $1$ | $\text{SNR} + 1$ |

[Flow matching](flow_matching.html) and [EDM](preconditioning.html) have one more each. For each of
them both maps give back what went in
[tested](test:diffusion/test_targets.py::test_the_maps_are_inverse).

**Why $v$?** Let $\phi$ be the angle with $\cos\phi = a$ and $\sin\phi = s$. While $\phi$ grows from
0 to a quarter of a turn, $x_t = \cos\phi\,x_0 + \sin\phi\,\epsilon$ goes from the image to the
noise along an ellipse, and

$$v = a\,\epsilon - s\,x_0 = \frac{d x_t}{d\phi}$$

is its velocity [tested](test:diffusion/test_targets.py::test_v_is_the_velocity). The way back is
the same turn,

$$\epsilon = a\,v + s\,x_t, \qquad x_0 = a\,x_t - s\,v$$

([tested](test:diffusion/test_targets.py::test_v_is_turned_back)): nothing is divided. With
$\epsilon$ the image is divided by $a$, which is 0.0064 at $t = T$, and every error of the network
with it. With $x_0$ the noise is divided by $s$, which is 0.01 at $t = 1$. With $v$ no error of the
network grows in either of the two. $v$ is mostly noise where there is little noise, and mostly
image where there is little image: at both ends, it asks for what is not yet in $x_t$.

**Samplers need both.** They ask the diffusion for a guess of $\epsilon$ and of $x_0$. Each is made
from $y$ by its own map, and not one from the other. So no sampler knows the target. With the best
network for Gaussian data, all targets and samplers draw the same images
[tested](test:diffusion/test_targets.py::test_the_best_models_draw_the_same_images). [Guidance](
guidance.html) needs no change either. Its weights $1 + w$ and $-w$ add up to 1, and the maps are
linear with a part of $x_t$ that both guesses share, so a guided $y$ gives the guided $\epsilon$
[tested](test:diffusion/test_targets.py::test_guidance_is_the_same_in_every_target).

## One loss, and what each step counts

A guess $\hat y$ belongs to a pair $\hat\epsilon$, $\hat x_0$ which make up the same $x_t$. So
$s\,(\epsilon - \hat\epsilon) = -a\,(x_0 - \hat x_0)$, and

$$\lVert y - \hat y\rVert^2 = \frac{D^2}{s^2}\,\lVert x_0 - \hat x_0\rVert^2$$

[tested](test:diffusion/test_targets.py::test_errors_of_the_targets), which is the last column of
the table, with $\text{SNR} = a^2/s^2$. So the three simple losses are one loss with three weights.
Say what an error of $\hat x_0$ shall count, $W$, and divide it by the weight that the target has of
its own:

$$L = \mathbb E\Big[\,w_t\,\lVert y - \hat y\rVert^2\Big], \qquad w_t = W\,\frac{s^2}{D^2}$$

Then the loss and its gradient are the same for every target
[tested](test:diffusion/test_targets.py::test_the_same_loss_in_every_target). What remains of the
target is the form of the output: which function a new network begins with, and which errors it
makes easily. With $S$ for $\text{SNR}$
[tested](test:diffusion/test_targets.py::test_the_weights_are_those_of_the_table):

| `--weight` | $W$ | $w_t$ for $\epsilon$ | for $x_0$ | for $v$ |
|---|---|---|---|---|
| `constant` | the target's own | 1 | 1 | 1 |
| `snr` | $S$ | 1 | $S$ | $\frac{S}{S+1}$ |
| `truncated_snr` | $\max(S, 1)$ | $\max(1, \frac1S)$ | $\max(S, 1)$ | $\frac{\max(S, 1)}{S+1}$ |
| `min_snr` | $\min(S, 5)$ | $\min(1, \frac5S)$ | $\min(S, 5)$ | $\frac{\min(S, 5)}{S+1}$ |

![Two pictures against the logarithm of the signal-to-noise ratio. Above, what an error of the image
counts: 1 for x0, SNR for the noise, and SNR + 1 for v, which is the larger of the two but for the
bend between. Below, the weights: snr as above, truncated_snr which does not fall below 1, and
min_snr which does not rise above 5](figure:targets.py::weights
"What an error of the image counts, by target and by weight")

* `snr` is the simple loss of DDPM, in each target.
* `truncated_snr` keeps the weight from vanishing where there is little image: it is the larger of
  the two squared errors, that of the image and that of the noise
  [tested](test:diffusion/test_targets.py::test_the_truncated_weight_is_the_larger_error).
* `min_snr` cuts the weight at the other end, at $\gamma = 5$. Steps with little noise are easy.
  @hang2023 see the steps as tasks that pull the network in different directions: the weight
  of SNR, 9,999 at $t = 1$, lets the first 130 of the 1000 steps, where SNR is above 5, outvote all
  others ([tested](test:diffusion/test_targets.py::test_what_the_weights_span)).

> **What the log says.** The column `loss` of `log.csv` is the loss that is trained. The errors by
> step, and [the check](ddpm/check.html), show the squared error of the noise for every target, so
> that runs can be compared
> [tested](test:diffusion/test_targets.py::test_losses_give_the_error_of_the_noise_too).

## Nothing left at the end

The linear schedule leaves $\sqrt{\bar\alpha_T} = 0.0064$ of the image, and sampling begins with
none. @lin2024 found that such a rest (0.068 in Stable Diffusion) harms models of photographs: it
holds the mean of the picture, the network learns to read the brightness from it, and from pure
noise it hardly ever draws a picture that is black or white as a whole. Their remedy shifts and
stretches $\sqrt{\bar\alpha_t}$ so that the first step stays and the last becomes 0 (algorithm 1):

$$\sqrt{\bar\alpha_t}' = \big(\sqrt{\bar\alpha_t} - \sqrt{\bar\alpha_T}\big)\,
\frac{\sqrt{\bar\alpha_1}}{\sqrt{\bar\alpha_1} - \sqrt{\bar\alpha_T}}$$

[tested](test:diffusion/test_targets.py::test_zero_terminal_snr_keeps_the_first_and_loses_the_last).
With it $x_T = \epsilon$.

**Why $\epsilon$ cannot have it.** The best guess of the noise in pure noise is $x_T$ itself. It has
no error, so there is nothing to learn, and it says nothing about the image: $D = a = 0$, and $\hat
x_0$ would be $0/0$
[tested](test:diffusion/test_targets.py::test_eps_has_nothing_to_learn_at_the_end). For $x_0$ and
$v$ the determinant is $-1$ and $1$. There $v = -x_0$, and the best guess is the mean of all images,
from which every sampler goes on as from any other $\hat x_0$
[tested](test:diffusion/test_targets.py::test_every_sampler_begins_where_nothing_is_left). So
`--zero_snr true` with `--target eps` is refused, before the first step
[tested](test:diffusion/test_targets.py::test_eps_is_refused_where_nothing_is_left).

> **Which steps to sample with.** `leading` never asks at $T$, and starts from noise at a step
> where some of the image is expected. `trailing`, the default, begins at $T$. `karras` needs a
> noise level that is finite, and is refused here.

## On the digits

Six runs of the preset `digits` differ in target and weight, and the last in the end of its
schedule. The table has the Fréchet distance of 898 samples of each, in pixel space:

| DPM-Solver++, calls | 8 | 10 | 20 | 50 | ancestral, 50 |
|---|---|---|---|---|---|
| $\epsilon$ | 0.475 | 0.357 | 0.231 | 0.221 | 0.244 |
| $x_0$ | 0.577 | 0.413 | 0.273 | 0.278 | 0.295 |
| $v$ | 0.455 | 0.339 | 0.225 | 0.213 | 0.250 |
| $\epsilon$, `min_snr` | 0.468 | 0.349 | 0.248 | 0.254 | 0.275 |
| $v$, `min_snr` | 0.474 | 0.351 | 0.246 | 0.239 | 0.279 |
| $v$, `zero_snr` | 0.468 | 0.347 | 0.231 | 0.218 | 0.245 |

<!-- measured: docs/figures/data/targets.json#/table -->

`python -m docs.figures.data.targets runs/targets` trains what is missing and measures. Each row is
one training and one seed, so a difference of 0.05 says little ([three seeds](comparison.html) of
samples differ by as much). With its own weight $v$ is as good as $\epsilon$ or a little better.
$x_0$ is a little worse: it gives the steps with little noise the least weight. The weight `min_snr`
takes weight from the same steps, and loses with many calls. It was proposed for larger images and
longer trainings. With `zero_snr` no difference is seen.

[Exercises for this page](ddpm/exercises.html#targets-and-weights), with answers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from labml_nn.cli.messages import nearest
from labml_nn.diffusion.ddpm import DenoiseDiffusion, EpsModel, gather
from labml_nn.diffusion.ddpm.utils import squared_error
from labml_nn.diffusion.preconditioning import SIGMA_DATA, mix, spread

# Shares of noise or image, of one step or of all
Share = TypeVar('Share', Tensor, float)


@dataclass(frozen=True)
class Target:
    r"""
    ## What a network predicts: $y = A\,\epsilon + B\,x_0$

    * `mix` gives $A$ and $B$ from $a = \sqrt{\bar\alpha_t}$ and $s = \sqrt{1-\bar\alpha_t}$
    * `sees` gives what $x_t$ is multiplied by before the network sees it; `None` if it is
      seen as it is

    The methods take tensors, and `a` and `s` of a shape that multiplies these.
    """

    mix: Callable[[Any, Any], tuple[Any, Any]]
    sees: Callable[[Any, Any], Any] | None = None

    def of(self, x0: Tensor, eps: Tensor, a: Tensor, s: Tensor) -> Tensor:
        r"""
        $y$, from the image and the noise
        """
        A, B = self.mix(a, s)
        return A * eps + B * x0

    def det(self, a: Share, s: Share) -> Share:
        r"""
        $D = aA - sB$, which is 0 where $y$ says nothing that $x_t$ does not say
        """
        A, B = self.mix(a, s)
        return a * A - s * B

    def to_eps(self, xt: Tensor, y: Tensor, a: Tensor, s: Tensor) -> Tensor:
        r"""
        $\epsilon = (a\,y - B\,x_t) / D$
        """
        _, B = self.mix(a, s)
        return (a * y - B * xt) / self.det(a, s)

    def to_x0(self, xt: Tensor, y: Tensor, a: Tensor, s: Tensor) -> Tensor:
        r"""
        $x_0 = (A\,x_t - s\,y) / D$
        """
        A, _ = self.mix(a, s)
        return (A * xt - s * y) / self.det(a, s)

    def own_weight(self, a: Share, s: Share) -> Share:
        r"""
        $(D/s)^2$: how much the target's own squared error weighs an error of $\hat x_0$
        """
        return (self.det(a, s) / s) ** 2


def preconditioned(sigma_data: float) -> Target:
    r"""
    ### The target of [EDM](preconditioning.html), for data of this spread
    """
    return Target(
        lambda a, s: mix(a, s, sigma_data),
        # $1/d$, which gives the input unit variance
        sees=lambda a, s: 1 / spread(a, s, sigma_data),
    )


# By the name that a run's configuration has
TARGETS: dict[str, Target] = {
    'eps': Target(lambda a, s: (1.0, 0.0)),
    'x0': Target(lambda a, s: (0.0, 1.0)),
    'v': Target(lambda a, s: (a, -s)),
    # The velocity of [flow matching](flow_matching.html)
    'u': Target(lambda a, s: (1.0, -1.0)),
    'edm': preconditioned(SIGMA_DATA),
}


def target_of(name: str, sigma_data: float = SIGMA_DATA) -> Target:
    r"""
    The target of that name, for data of this spread. Raises `ValueError` with the nearest name for
    one that does not exist.
    """
    if name not in TARGETS:
        raise ValueError(nearest(name, list(TARGETS), 'target'))
    return preconditioned(sigma_data) if name == 'edm' else TARGETS[name]


# $\gamma$ of min-SNR
GAMMA = 5.0

# The weight of an error of $\hat x_0$, from the signal-to-noise ratio and the target's own weight
WEIGHTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    'constant': lambda snr, own: own,
    'snr': lambda snr, own: snr,
    'truncated_snr': lambda snr, own: snr.clamp(min=1),
    'min_snr': lambda snr, own: snr.clamp(max=GAMMA),
}


def shares(alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    r"""
    $a = \sqrt{\bar\alpha}$ and $s = \sqrt{1-\bar\alpha}$ of all steps
    """
    return alpha_bar**0.5, (1 - alpha_bar) ** 0.5


def loss_weight(
    target: str, weight: str, alpha_bar: Tensor, sigma_data: float = SIGMA_DATA
) -> Tensor:
    r"""
    ## The weight of the target's own squared error at each step

    * `target`, `weight` their names
    * `alpha_bar` $\bar\alpha$ of all steps, `[n_steps]`
    * `sigma_data` the spread of the data, for the target `edm`

    Raises `ValueError` with the nearest name for one that does not exist.
    """
    if weight not in WEIGHTS:
        raise ValueError(nearest(weight, list(WEIGHTS), 'weight'))
    # $\text{SNR} = \frac{\bar\alpha_t}{1-\bar\alpha_t}$
    snr = alpha_bar / (1 - alpha_bar)
    own = target_of(target, sigma_data).own_weight(*shares(alpha_bar))
    return WEIGHTS[weight](snr, own) / own


class TargetedDiffusion(DenoiseDiffusion):
    r"""
    ## A diffusion whose model predicts another target

    It is made as [`DenoiseDiffusion`](ddpm/index.html) is; `eps_model` is a callable
    `(xt, t) -> y`. Samplers, guidance, the bound and the score ask for `guess`, and need no other
    code.
    """

    loss_weight: Tensor

    def __init__(
        self,
        eps_model: EpsModel,  # any callable (xt, t) -> y, of the shape of xt
        n_steps: int,  # T
        device: torch.device | str | None = None,  # as for DenoiseDiffusion
        *,
        target: str = 'v',  # what it predicts: eps, x0, v, u or edm
        weight: str = 'constant',  # of a step in the loss: constant, snr, truncated_snr or min_snr
        beta: Tensor | None = None,  # any schedule; unless eps is predicted it may end with 1
        alpha_bar: Tensor | None = None,  # or its products, which may end with 0
        variance: str = 'beta',  # sigma2: beta or beta_tilde
        sigma_data: float = SIGMA_DATA,  # the spread of the data, for edm
    ):
        r"""
        Raises `ValueError` for names that do not exist, a learned variance, an invalid schedule,
        and $\epsilon$ with a schedule that leaves nothing of the image.
        """
        if variance == 'learned':
            raise ValueError(
                f'variance=learned goes with target=eps and weight=constant, on whose loss the '
                f'bound is added: got target={target} and weight={weight}'
            )
        # Said first: whether the schedule will do depends on it
        self.target, self.mixture = target, target_of(target, sigma_data)
        super().__init__(
            eps_model, n_steps, device, beta=beta, alpha_bar=alpha_bar, variance=variance
        )
        # $\bar\alpha$ anew from $\beta$, in float64, which not every device has; on `meta` there
        # are shapes alone
        beta = self.beta if self.beta.is_meta else self.beta.cpu()
        products = (1 - beta.double()).cumprod(0)
        weights = loss_weight(target, weight, products, sigma_data).to(self.beta)
        self.register_buffer('loss_weight', weights, persistent=False)

    def shares(self, t: Tensor, ndim: int) -> tuple[Tensor, Tensor]:
        r"""
        $a$ and $s$ of each image's step, `[batch, 1, ...]`
        """
        return gather(self.alpha_bar, t, ndim) ** 0.5, gather(
            self.one_minus_alpha_bar, t, ndim
        ) ** 0.5

    def output(
        self, xt: Tensor, t: Tensor, label: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        r"""
        The model's output for $x_t$, or for the multiple of it that the target asks for
        """
        sees = self.mixture.sees
        return super().output(xt if sees is None else xt * sees(*self.shares(t, xt.ndim)), t, label)

    def guess(
        self, xt: Tensor, t: Tensor, label: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        r"""
        $\epsilon_\theta$ and $\hat x_0$, each from the model's output directly
        """
        y, v = self.output(xt, t, label)
        a, s = self.shares(t, xt.ndim)
        return self.mixture.to_eps(xt, y, a, s), self.mixture.to_x0(xt, y, a, s), v

    def losses(
        self, x0: Tensor, t: Tensor, eps: Tensor, label: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        r"""
        The weighted error of the target, which is trained, and the squared error of the noise,
        both of each image, `[batch]`, from one call of the model.
        """
        xt = self.q_sample(x0, t, eps)
        y, _ = self.output(xt, t, label)
        a, s = self.shares(t, xt.ndim)
        target = self.mixture
        # $\frac{w_t}d\big\|y - y_\theta(x_t, t)\big\|^2$, a mean over the $d$ pixels
        loss = gather(self.loss_weight, t, 1) * squared_error(y, target.of(x0, eps, a, s))
        return loss, squared_error(target.to_eps(xt, y, a, s), eps).detach()

    def errors(self, x0: Tensor, t: Tensor, eps: Tensor, label: Tensor | None = None) -> Tensor:
        r"""
        The weighted error of each image, `[batch]`
        """
        return self.losses(x0, t, eps, label)[0]


def diffusion_of(
    model: EpsModel,
    beta: Tensor,
    *,
    target: str = 'eps',
    weight: str = 'constant',
    variance: str = 'beta',
    sigma_data: float = SIGMA_DATA,
) -> DenoiseDiffusion:
    r"""
    The diffusion of a target, a weight and a schedule; `DenoiseDiffusion` itself for DDPM's own.
    """
    if (target, weight) == ('eps', 'constant'):
        return DenoiseDiffusion(model, len(beta), beta=beta, variance=variance)
    return TargetedDiffusion(
        model, len(beta), target=target, weight=weight, beta=beta, variance=variance,
        sigma_data=sigma_data,
    )  # fmt: skip


def zero_terminal_snr(beta: Tensor) -> Tensor:
    r"""
    ## A schedule that leaves nothing of the image (Lin et al. 2024, algorithm 1)

    * `beta` any schedule, `[n_steps]`, of at least two steps

    Returns the rescaled one, float64, whose last $\beta$ is 1.
    """
    if len(beta) < 2:
        raise ValueError('zero_snr=true needs at least two steps: the first keeps what it has')
    a = (1 - beta.detach().to('cpu', torch.float64)).cumprod(0) ** 0.5
    # $\sqrt{\bar\alpha_t}' = \big(\sqrt{\bar\alpha_t} - \sqrt{\bar\alpha_T}\big)
    #   \frac{\sqrt{\bar\alpha_1}}{\sqrt{\bar\alpha_1} - \sqrt{\bar\alpha_T}}$
    a = (a - a[-1]) * a[0] / (a[0] - a[-1])
    alpha_bar = a**2
    return 1 - alpha_bar / torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]])
