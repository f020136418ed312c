r"""
---
title: In continuous time, and the exact likelihood
summary: >
  The stochastic equation that DDPM takes steps of, the ordinary one with the same densities, and
  the likelihood of an image by following it to the noise.
---

# In continuous time: the SDE, the ODE and the exact likelihood

Let the steps of DDPM become short and many. The chain becomes a stochastic differential equation
(SDE), and @song2021b show what this gives: one equation whose solvers are the samplers that are
known, and a second one without noise, along which the likelihood of an image can be computed. The
trained network is used as it is.

    from labml_nn.diffusion.sde import VPSDE, log_density, sample
    sde = VPSDE(diffusion)
    images = sample(sde, (16, 1, 8, 8), seed=0, rtol=1e-3)  # an adaptive step size

> **A time that fits.** Here $t$ is a real number from 0 to $T$, and counts as the paper does: the
> image is at 0, and DDPM's steps are at $1 \dots T$. The network is asked at index $t - 1$.

## 1. The forward process between the steps

In a short time $dt$ the image shrinks by $\frac12\beta(t)\,dt$, and noise of variance
$\beta(t)\,dt$ is added:

$$dx = -\tfrac12\beta(t)\,x\,dt + \sqrt{\beta(t)}\;dw$$

where $dw$ is Gaussian noise of variance $dt$. Let $\beta(t) = -\log(1-\beta_i)$ all through step
$i$. Then from $i-1$ to $i$ the mean is multiplied by $\sqrt{1-\beta_i}$ and noise of variance
$\beta_i$ is added: DDPM's own step
[tested](test:diffusion/test_sde.py::test_the_sde_makes_ddpms_step). So nothing is approximated by
going over to continuous time. The logarithm of $\bar\alpha$ falls in a straight line from step to
step, and

$$q(x_t|x_0) = \mathcal N\big(\sqrt{\bar\alpha(t)}\,x_0,\ (1-\bar\alpha(t))\,\mathbf I\big), \qquad
\bar\alpha(t) = \exp\Big(-\int_0^t\beta(t')\,dt'\Big)$$

for every real $t$
[tested](test:diffusion/test_sde.py::test_marginals_obey_the_equations_of_their_moments), with
DDPM's $\bar\alpha_t$ at the whole ones
[tested](test:diffusion/test_sde.py::test_whole_times_are_ddpms_steps). Shrinking keeps the variance
of $x_t$ at one if it is one, hence the name: variance preserving, VP.

## 2. Three ways with the same densities

The density $q(x_t)$ of all images changes by the Fokker–Planck equation,

$$\frac{\partial q}{\partial t} = \nabla\cdot\big(\tfrac12\beta\,x\,q\big) +
\tfrac12\beta\,\Delta q$$

[tested](test:diffusion/test_sde.py::test_the_density_obeys_fokker_planck). With the
[score](ddpm/score.html) $s = \nabla\log q$ the second term can be written as the first one is:
$\Delta q = \nabla\cdot(s\,q)$. Noise moves the density as a current of velocity $-\frac12\beta s$
does. So noise can be traded for score, in any amount. Backwards in time, for every $\eta$,

$$dx = \Big(\tfrac12\beta\,x + \tfrac{1+\eta^2}2\,\beta\,s(x, t)\Big)\,|dt| +
\eta\sqrt\beta\;dw$$

has the densities $q(x_t)$
[tested](test:diffusion/test_sde.py::test_every_eta_keeps_the_densities).

* $\eta = 1$ is the **reverse SDE**: as much noise as forwards. One step of its simplest solver is
  that of diffusers' `ScoreSdeVpScheduler`
  [tested](test:diffusion/test_sde.py::test_a_step_of_the_reverse_sde_is_diffusers).
* $\eta = 0$ is the **probability-flow ODE**. Its paths do not cross, and each leads from one
  noise to one image and back
  [tested](test:diffusion/test_sde.py::test_the_solution_is_the_closed_one).

![Two pictures of place against time, from noise at the right to two images at the left, with the
density in grey. Above, smooth lines that do not cross; below, jagged lines from the same noise, of
which many cross](figure:sde.py::paths
"The ODE and the reverse SDE from the same noise, over the density of two kinds of images")

## 3. The ODE without $\beta$

How fast the schedule runs is no property of a path. Take $\lambda$, half the logarithm of the
signal-to-noise ratio, in the place of time: $d\lambda = -\frac{\beta}{2(1-\bar\alpha)}\,dt$, and

$$\frac{dx}{d\lambda} = (1-\bar\alpha)\,\big(x + s(x, t)\big) =
(1-\bar\alpha)\,x - \sqrt{1-\bar\alpha}\;\epsilon_\theta$$

[tested](test:diffusion/test_sde.py::test_in_lambda_beta_is_gone). This is what the code solves. The
first half is linear in $x$, and can be solved. From $t$ to an earlier time $r$,

$$\frac{x_r}{\sqrt{\bar\alpha_r}} = \frac{x_t}{\sqrt{\bar\alpha_t}} -
\int_{\lambda_t}^{\lambda_r} e^{-\lambda}\,\epsilon_\theta\,d\lambda$$

[tested](test:diffusion/test_sde.py::test_the_linear_half_is_solved). With $\epsilon_\theta$ as it
was at $t$ for all of the way, this is a step of [DDIM](samplers/ddim.html). Such an integrator,
exact in the linear half, is called exponential. On Gaussian data, with steps even in $\lambda$,
twice the steps halve its error
[tested](test:diffusion/test_sde.py::test_ddim_integrates_the_ode_with_order_one).

[Ancestral sampling](samplers/ancestral.html) is an integrator of the reverse SDE. An SDE has no
single path to compare with, but the densities at the end have means and variances. On the same
data the mean is exact with any number of steps, and twice the steps halve the error of the
variance, with $\beta$ and with $\tilde\beta$
[tested](test:diffusion/test_sde.py::test_ancestral_integrates_the_reverse_sde_with_weak_order_one).

> **Why no sampler of the command line?** A [sampler](samplers/contract.html) has a number of steps,
> and image $i$ depends on its seed alone. An adaptive step size has neither: the integrator chooses
> the steps, by the errors of the whole batch. So `sample` is a function of this page.

## 4. The exact likelihood

Along a path of the ODE the density changes only because the paths near it draw together or
apart:

$$\frac{d\log p(x)}{d\lambda} = -\nabla\cdot\frac{dx}{d\lambda}$$

[tested](test:diffusion/test_sde.py::test_the_log_density_changes_by_the_divergence). Follow the
image to the noise, where the density is known, and add up what it has lost:

$$\log p_t(x_t) = \log\mathcal N(x_T;\ \mathbf 0, \mathbf I) +
\int_{\lambda_t}^{\lambda_T}\nabla\cdot\frac{dx}{d\lambda}\,d\lambda$$

For Gaussian data and for a mixture in the plane this is the density, within $10^{-4}$
[tested](test:diffusion/test_sde.py::test_the_likelihood_is_the_density). That is for the cosine
schedule. The linear one ends with 0.6 % of the image, so that the density at $T$ is not quite a
unit Gaussian: this costs up to 0.0075 nats, and nothing else is wrong
([tested](test:diffusion/test_sde.py::test_what_the_start_from_a_unit_gaussian_costs)).

**The divergence** is the trace of a Jacobian $J$, and each of its $D$ rows is a way back through
the network. With 64 pixels that can be done. For larger images there is an estimate from a single
pass, with random signs $v$:

$$\mathbb E\big[v^\top J\,v\big] = \operatorname{tr} J, \qquad
\operatorname{Var}\big[v^\top J\,v\big] = \sum_{i<j}\big(J_{ij} + J_{ji}\big)^2$$

[tested](test:diffusion/test_sde.py::test_hutchinson_has_no_bias). It has no bias, so its error is
one more cause of spread between images, and the error bar of their mean holds it.

## 5. Bits of images

A density is no probability. For images whose pixels have $K$ levels there are two ways from one to
the other.

**Uniform noise.** Add to each pixel noise $u$, uniform in a level's width $w = \frac2{K-1}$. By
Jensen's inequality, with $\tilde x = x_0 + u$,

$$-\log P(x_0) = -\log\int p(x_0 + u)\,du \;\le\;
-\mathbb E_u\big[\log p(\tilde x)\big] - D\log w$$

and what it loses is the Kullback–Leibler divergence of the uniform noise from the density within
the level [tested](test:diffusion/test_sde.py::test_uniform_noise_gives_a_bound). This is the
paper's way. By the authors' configurations, its networks were trained on the levels themselves, as
ours is.

**The noise of the first step.** The ODE goes down to $t = 1$, not to 0: below it
$\lambda \to \infty$, and the network was never asked there. But DDPM itself has a decoder for the
rest, [$L_0$](ddpm/likelihood.html). So draw $x_1$ as the bound does, take the price of $x_1$ from
the ODE, and that of the image from the decoder:

$$-\log P(x_0) \;\le\; \mathbb E_{q(x_1|x_0)}\big[\log q(x_1|x_0) - \log p_1(x_1) -
\log p_\theta(x_0|x_1)\big]$$

With the true $p(x_0|x_1)$ the inequality is an equality for every $x_1$
[tested](test:diffusion/test_sde.py::test_the_bits_of_x_t_and_of_the_rest_are_those_of_the_image).
The bound of DDPM has the same $x_1$ and the same $L_0$. It differs in the price of $x_1$ alone:
there a sum of Kullback–Leibler divergences, here one density.

    python -m labml_nn.diffusion.ddpm.evaluate likelihood runs/digits --ode

prints both below the bound, from the same images and the same noise. `--trace exact` takes the
trace itself.

The table has the bits of 64 training images under `make train`'s model, with standard
errors; those of the ODE are Hutchinson's estimates (`python -m docs.figures.data.sde runs/digits`
measures it again):

| how | bits/dim |
|---|---|
| the bound, $\beta$ | 2.82 ± 0.03 |
| the bound, $\tilde\beta$ | 2.93 ± 0.04 |
| ODE: $x_1$, and $L_0$ | 2.70 ± 0.03 |
| ODE: uniform noise | 2.09 ± 0.03 |
<!-- measured: docs/figures/data/sde.json#/bits -->

* **The same $x_1$ is cheaper by the ODE**, by 0.12 bits. The ODE has no variance of a step, so it
  cannot have a wrong one. But chain and ODE are two models, with two densities, as long as the
  network errs; nothing says that this has to be so for every network.
  <!-- measured: docs/figures/data/sde.json#/cheaper -->
* **Uniform noise is cheaper still**, though the network was not trained with it. We take this for
  the reason: the network [does not know that pixels have levels](ddpm/coding.html). In $x_1$, with
  noise of 0.01 and levels an eighth apart, it pays for that. Uniform noise asks for no more than
  the right level.

**Does it matter where the ODE ends?** With uniform noise every $t$ is a model of its own, of the
density of $x_t/\sqrt{\bar\alpha_t}$, and its bits are a bound. For 16 of the digits:

| $t$ | $x_t$ | uniform noise |
|---|---|---|
| 1 | 2.69 | 2.12 |
| 10 | 1.48 | 1.90 |
<!-- measured: docs/figures/data/sde.json#/ends -->

It does. Between the levels, with less noise than there is at $t = 10$, the network is asked at
points that it never saw in training. (The price of $x_t$ is a part of the image's: below it,
$L_0$ to $L_{t-1}$ remain to be paid.)

**Do the times between the steps matter?** For four of the digits, the bits of $x_1$ change by

| instead of | taken | change, bits/dim | spread |
|---|---|---|---|
| `rtol` of 1e-4 | 1e-3 | -0.005 | 0.006 |
| the times between the steps | whole steps, mixed | -0.005 | 0.004 |
<!-- measured: docs/figures/data/sde.json#/care -->

To ask at the two whole steps beside a time, and to mix the answers, changes no more than the
tolerance of the integrator does.

[Exercises for this page](ddpm/exercises.html#in-continuous-time), with answers.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.utils import SeededNoise, evaluating

# The error that a step may make. The network computes in float32; with less, its rounding is what
# the integrator follows, in three times as many calls
RTOL = 1e-4

# How many rows of the Jacobians are computed at once
ROWS = 64

# A map of a batch to a batch of the same shape, image by image
Field = Callable[[Tensor], Tensor]
# The value of a field, and its divergence at each image, `[batch]`
Divergence = Callable[[Field, Tensor], tuple[Tensor, Tensor]]


class VPSDE:
    r"""
    ## The schedule and the network in continuous time

    * `diffusion` a trained model, as it is

    Times are tensors or numbers in $[0, T]$: $t$ is the paper's step, and 0 the image. What depends
    on time alone is float64, on the CPU.
    """

    def __init__(self, diffusion: DenoiseDiffusion):
        if diffusion.target != 'eps':
            raise ValueError(
                f'the model has target={diffusion.target}, and the equations here ask for eps: use '
                f'the bound (without --ode), or a model with target=eps'
            )
        self.diffusion = diffusion
        self.T = diffusion.n_steps
        each = torch.log1p(-diffusion.beta.detach().cpu().double())
        # At the image, and at all steps
        self.log_alpha_bars = torch.cat([each.new_zeros(1), each.cumsum(0)])
        self.steps = torch.arange(self.T + 1, dtype=torch.float64)

    # ### The schedule
    def log_alpha_bar(self, t: Tensor | float) -> Tensor:
        r"""
        $\log\bar\alpha(t)$, in a straight line from step to step
        """
        return between(t, self.steps, self.log_alpha_bars)

    def alpha_bar(self, t: Tensor | float) -> Tensor:
        r"""
        $\bar\alpha(t)$
        """
        return self.log_alpha_bar(t).exp()

    def beta(self, t: Tensor | float) -> Tensor:
        r"""
        $\beta(t) = -\frac{d}{dt}\log\bar\alpha$, which is $-\log(1-\beta_i)$ all through step $i$
        """
        i = torch.as_tensor(t, dtype=torch.float64).ceil().long().clamp(1, self.T)
        return self.log_alpha_bars[i - 1] - self.log_alpha_bars[i]

    def lam(self, t: Tensor | float) -> Tensor:
        r"""
        $\lambda(t)$, half the logarithm of $\bar\alpha/(1-\bar\alpha)$; infinite at the image
        """
        log_alpha_bar = self.log_alpha_bar(t)
        return (log_alpha_bar - torch.log(-torch.expm1(log_alpha_bar))) / 2

    def time(self, lam: Tensor | float) -> Tensor:
        r"""
        The time $t$ at which $\lambda(t)$ is `lam`
        """
        # How far it has fallen: $\log(1 + e^{-2\lambda})$
        fallen = nn.functional.softplus(-2 * torch.as_tensor(lam, dtype=torch.float64))
        return between(fallen, -self.log_alpha_bars, self.steps)

    # ### The network
    def eps(self, x: Tensor, t: Tensor | float) -> Tensor:
        r"""
        $\epsilon_\theta(x, t)$ for a batch at one time $t$, of the type and on the device of `x`

        DDPM's step $t$ has the index $t - 1$. Between the steps the network is given the real
        number: [its embedding](ddpm/unet.html) is made of sines, which take any.
        """
        index = torch.as_tensor(t, dtype=torch.float64).to(x.device, x.dtype) - 1
        with evaluating(self.diffusion.eps_model):
            return self.diffusion.output(x, index.expand(len(x)))[0]

    def score(self, x: Tensor, t: Tensor | float) -> Tensor:
        r"""
        $s_\theta(x, t) = -\epsilon_\theta(x, t) / \sqrt{1-\bar\alpha(t)}$
        """
        return -self.eps(x, t) / float(-torch.expm1(self.log_alpha_bar(t))) ** 0.5

    # ### The ways back
    def backward_drift(self, x: Tensor, t: Tensor | float, eta: float = 1.0) -> Tensor:
        r"""
        What a step back in time adds to $x$, for a unit of time: $\frac\beta2\,x +
        \frac{1+\eta^2}2\beta\,s_\theta$

        * `eta` 1 for the reverse SDE, 0 for the probability-flow ODE
        """
        beta = float(self.beta(t))
        return beta / 2 * x + (1 + eta**2) / 2 * beta * self.score(x, t)

    def step_back(self, x: Tensor, t: float, dt: float, z: Tensor, eta: float = 1.0) -> Tensor:
        r"""
        A step of Euler and Maruyama from $t$ to $t - dt$

        * `z` unit noise, of the shape of `x`
        """
        noise = eta * (float(self.beta(t)) * dt) ** 0.5
        return x + dt * self.backward_drift(x, t, eta) + noise * z

    def velocity(self, x: Tensor, lam: float) -> Tensor:
        r"""
        The ODE in $\lambda$: $\frac{dx}{d\lambda} = (1-\bar\alpha)\,x -
        \sqrt{1-\bar\alpha}\;\epsilon_\theta$
        """
        # $1 - \bar\alpha = 1 / (1 + e^{2\lambda})$
        share = 1 / (1 + math.exp(2 * lam))
        return share * x - share**0.5 * self.eps(x, self.time(lam))


def between(x: Tensor | float, known: Tensor, values: Tensor) -> Tensor:
    r"""
    The straight lines through `values` at `known`, which rises; the ends hold beyond it
    """
    x = torch.as_tensor(x, dtype=torch.float64).cpu().clamp(known[0], known[-1])
    i = torch.searchsorted(known, x).clamp(1, len(known) - 1)
    share = (x - known[i - 1]) / (known[i] - known[i - 1])
    return torch.lerp(values[i - 1], values[i], share)


# ## The divergence
def exact_divergence(field: Field, x: Tensor) -> tuple[Tensor, Tensor]:
    r"""
    ### The trace itself

    $\sum_i \partial f_i/\partial x_i$: one call of the network, and one way back through it for
    each of the $D$ dimensions.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        y = field(x)
        trace = y.new_zeros(len(y))
        # Row $i$ of the Jacobians of all images at once, as no image depends on another
        for unit in torch.eye(x[0].numel(), dtype=y.dtype).split(ROWS):
            unit = unit.reshape(-1, 1, *y.shape[1:]).expand(-1, *y.shape)
            (rows,) = torch.autograd.grad(y, x, unit, retain_graph=True, is_grads_batched=True)
            trace += (rows * unit).flatten(2).sum((0, 2))
    return y.detach(), trace


class Hutchinson:
    r"""
    ### Hutchinson's estimate

    $v^\top J v$: one call of the network, and one way back through it.

    * `signs` $v$, each entry 1 or -1, of the shape of the images. They stay the same through a
      solution, which would not be one of an ODE otherwise
    """

    def __init__(self, signs: Tensor):
        self.signs = signs

    @classmethod
    def seeded(cls, noise: SeededNoise, shape: torch.Size) -> 'Hutchinson':
        r"""
        With the signs of the next noise of each image
        """
        return cls(noise(shape, 'cpu').double().sign())

    def __call__(self, field: Field, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            y = field(x)
            (row,) = torch.autograd.grad(y, x, self.signs)
        return y.detach(), (row * self.signs).flatten(1).sum(1)


# ## The solution
class Solution(NamedTuple):
    r"""
    What has become of a batch

    * `x` where the ODE has led, float64, of the shape of the start
    * `gained` $\int\nabla\cdot\frac{dx}{d\lambda}\,d\lambda$ along the way, `[batch]`; empty if no
      divergence was asked for
    * `n_calls` how often the network was called
    """

    x: Tensor
    gained: Tensor
    n_calls: int


def solve(
    sde: VPSDE,
    x: Tensor,
    start: float,  # the time of `x`
    end: float,  # the time to go to, later or earlier
    *,
    divergence: Divergence | None = None,  # `exact_divergence` or a `Hutchinson`
    rtol: float = RTOL,  # the error that a step may make, relative and absolute
    method: str = 'RK45',  # of SciPy: `DOP853` has a higher order
) -> Solution:
    r"""
    ### The ODE from one time to another

    The state is float64, on the CPU; the network is asked in the type and on the device of `x`. The
    images of a batch share their steps, so an image depends on the others within the tolerance.

    Raises `ValueError` where the network gives no finite numbers, or the integrator gives up.
    """
    # To import SciPy takes longer than to import all pages
    from scipy.integrate import solve_ivp

    n = x.numel()
    begin = x.detach().cpu().double().flatten()
    if divergence is not None:
        begin = torch.cat([begin, begin.new_zeros(len(x))])

    @torch.no_grad()
    def slope(lam: float, state: Any) -> Any:
        def field(at: Tensor) -> Tensor:
            v = sde.velocity(at.to(x), lam).to(at)
            # The integrator would look for a step that is small enough, for ever
            if not bool(v.isfinite().all()):
                raise ValueError(f'the network gave no finite numbers at t={sde.time(lam):g}')
            return v

        at = torch.from_numpy(state[:n]).reshape(x.shape)
        if divergence is None:
            return field(at).flatten().numpy()
        v, div = divergence(field, at)
        return torch.cat([v.flatten(), div]).numpy()

    span = float(sde.lam(start)), float(sde.lam(end))
    found = solve_ivp(slope, span, begin.numpy(), method, span[1:], rtol=rtol, atol=rtol)
    if not found.success:
        raise ValueError(
            f'the ODE could not be solved from t={start:g} to {end:g}: {found.message}'
        )
    last = torch.from_numpy(found.y[:, -1])
    return Solution(last[:n].reshape(x.shape), last[n:], found.nfev)


def sample(
    sde: VPSDE, start: tuple[int, ...] | Tensor, seed: int = 0, *, rtol: float = RTOL
) -> Tensor:
    r"""
    ### From noise to image

    * `start` the shape `[batch, ...]`, or $x_T$ itself
    * `seed` image $i$ has the noise of `(seed, i)`

    Returns $x_0$: the ODE ends at $t = 1$, and the rest is one step to $\hat x_0$, as with
    [every sampler](samplers/contract.html).
    """
    xT = (
        start
        if isinstance(start, Tensor)
        else SeededNoise(start[0], seed)(start, sde.diffusion.beta.device)
    )
    x = solve(sde, xT, sde.T, 1, rtol=rtol).x.to(xT)
    first = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    with torch.no_grad():
        return sde.diffusion.predict_x0(x, first, sde.eps(x, 1))


# ## The likelihood
def log_density(
    sde: VPSDE, x: Tensor, t: float = 1, *, divergence: Divergence = exact_divergence, **how: Any
) -> Tensor:
    r"""
    ### $\log p_t(x)$

    * `x` at time $t$, `[batch, ...]`
    * `how` the options of `solve`

    Returns nats, float64 `[batch]`.
    """
    xT, gained, _ = solve(sde, x, t, sde.T, divergence=divergence, **how)
    # $\log\mathcal N(x_T; \mathbf 0, \mathbf I) + \int \nabla\cdot\frac{dx}{d\lambda}\,d\lambda$
    return log_normal(xT, 1.0) + gained


def log_normal(x: Tensor, var: float) -> Tensor:
    r"""
    $\log\mathcal N(x; \mathbf 0, \mathrm{var}\;\mathbf I)$, `[batch]`
    """
    return -(x**2 / var + math.log(2 * math.pi * var)).flatten(1).sum(1) / 2


def latent_bits(sde: VPSDE, x0: Tensor, eps: Tensor, t: float = 1, **how: Any) -> Tensor:
    r"""
    ### What $x_t$ costs

    * `x0` images, `[batch, ...]`
    * `eps` unit noise of that shape, from which $x_t$ is made
    * `how` the options of `log_density`

    Returns $\log q(x_t|x_0) - \log p_t(x_t)$ in bits per dimension, `[batch]`.
    """
    a, var = float(sde.alpha_bar(t)) ** 0.5, float(-torch.expm1(sde.log_alpha_bar(t)))
    noise = var**0.5 * eps.cpu().double()
    xt = (a * x0.cpu().double() + noise).to(x0)
    nats = log_normal(noise, var) - log_density(sde, xt, t, **how)
    return nats / (x0[0].numel() * math.log(2))


def uniform_bits(
    sde: VPSDE, x0: Tensor, u: Tensor, n_levels: int, t: float = 1, **how: Any
) -> Tensor:
    r"""
    ### Uniform dequantisation

    * `x0` images on their levels in $[-1, 1]$, `[batch, ...]`
    * `u` uniform in $[0, 1]$, of that shape
    * `n_levels` how many levels a pixel has
    * `how` the options of `log_density`

    Returns $-\log\big(p(\tilde x)\,w^D\big)$ in bits per dimension, `[batch]`.
    """
    w, D = 2 / (n_levels - 1), x0[0].numel()
    v = x0.cpu().double() + w * (u.cpu().double() - 0.5)
    # The density of $v = x/\sqrt{\bar\alpha}$ is that of $x$, times $\sqrt{\bar\alpha}^{\,D}$
    log_a = float(sde.log_alpha_bar(t)) / 2
    log_p = log_density(sde, (v * math.exp(log_a)).to(x0), t, **how) + D * log_a
    return -(log_p / D + math.log(w)) / math.log(2)
