r"""
---
title: Denoising diffusion implicit models (DDIM)
summary: >
  A family of chains with the same marginals and any amount of noise; without noise it is an
  equation that can be followed both ways, from noise to image and back.
---

# Denoising Diffusion Implicit Models

This page derives and implements [DDIM](https://arxiv.org/abs/2010.02502) [@song2021a].

## The loss knows marginals only

$L_\text{simple}$ draws $x_t$ from $q(x_t|x_0)$, one $t$ at a time. The joint distribution of $x_t$
and $x_{t-1}$ never enters. Any joint distribution with these marginals is trained by the same loss,
and we may look for one whose way back is better. Ask for a Gaussian step from $\tau_i = t$ to
$\tau_{i-1} = s$ that is told $x_0$, with a variance $\sigma^2$ that we choose:

$$q_\sigma(x_s|x_t, x_0) = \mathcal N\big(\sqrt{\bar\alpha_s}\,x_0 + c\,\epsilon,\
\sigma^2\mathbf I\big), \qquad
\epsilon = \frac{x_t - \sqrt{\bar\alpha_t}\,x_0}{\sqrt{1-\bar\alpha_t}}$$
<!-- no-test: definition -->

Its mean has the image at its new size, and some of the noise that is in $x_t$. If
$x_t \sim q(x_t|x_0)$ then $\epsilon$ is unit noise, so $x_s$ has mean $\sqrt{\bar\alpha_s}\,x_0$,
as it should, and variance $c^2 + \sigma^2$. It should have $1 - \bar\alpha_s$. So (eq. 7)

$$c = \sqrt{1 - \bar\alpha_s - \sigma^2}$$

and the marginals are right for *every* $\sigma$ between 0 and $\sqrt{1-\bar\alpha_s}$
[tested](test:diffusion/samplers/test_ddim.py::test_every_eta_has_the_same_marginals). The
model's step puts its guesses $\hat x_0$ and $\epsilon_\theta$ in the place of $x_0$ and
$\epsilon$ (eq. 12):

$$x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1 - \bar\alpha_s - \sigma^2}\,\epsilon_\theta(x_t, t)
+ \sigma z$$

[tested](test:diffusion/samplers/test_formulas.py::test_ddim_is_equation_12)

## How much noise

One number $\eta$ scales it, with the variance of DDPM's posterior as the unit (eq. 16):

$$\sigma^2 = \eta^2\,\tilde\beta', \qquad
\tilde\beta' =
\frac{1-\bar\alpha_s}{1-\bar\alpha_t}\Big(1 - \frac{\bar\alpha_t}{\bar\alpha_s}\Big)$$

[tested](test:diffusion/samplers/test_formulas.py::test_ddim_is_equation_12)

* $\eta = 1$ is [ancestral sampling](ancestral.html) with $\tilde\beta$: the two formulas for the
  mean are rewrites of each other, $c = \sqrt{\bar\alpha_t/\bar\alpha_s}\,(1-\bar\alpha_s) /
  \sqrt{1-\bar\alpha_t}$ [tested](test:diffusion/samplers/test_ddim.py::test_eta_1_is_ancestral).
* $\eta = 0$ has no noise at all: the image is a function of $x_T$
  [tested](test:diffusion/samplers/test_ddim.py::test_eta_0_is_deterministic).

## Without noise it is Euler's method

Divide the step with $\eta = 0$ by $\sqrt{\bar\alpha_s}$, and put $\hat x_0 = (x_t -
\sqrt{1-\bar\alpha_t}\,\epsilon_\theta)/\sqrt{\bar\alpha_t}$ into it. With
$\bar x = x/\sqrt{\bar\alpha}$ and $\bar\sigma = \sqrt{(1-\bar\alpha)/\bar\alpha}$,

$$\bar x_s = \bar x_t + (\bar\sigma_s - \bar\sigma_t)\,\epsilon_\theta(x_t, t)
\qquad\text{is a step along}\qquad \frac{d\bar x}{d\bar\sigma} = \epsilon_\theta(x_t, t)$$

(eq. 14), a differential equation from $\bar\sigma_T = 157$ down to 0. The step of DDIM is such a
step [tested](test:diffusion/samplers/test_formulas.py::test_ddim_is_a_step_of_euler), and on
Gaussian data the exact solution satisfies the equation
[tested](test:diffusion/samplers/test_formulas.py::test_the_equation_of_ddim_has_this_solution).
Euler's method has order one: twice the steps, half the error. On Gaussian data, whose $\epsilon$ is
known exactly, the equation has a closed solution: the distance of $x_t$ from the mean, in standard
deviations of step $t$, stays the same. Halving the step size divides the error by two
[tested](test:diffusion/samplers/test_orders.py::test_ddim_has_order_one).

![The error against the number of steps, on logarithmic axes. Down to T/8, DDIM follows the line of
slope −1, DPM-Solver++ and PNDM that of slope −2; all the way to the first step the latter two fall
less steeply](figure:samplers.py::orders
"The error against the number of steps")

> The upper half measures the way down to one eighth of $T$, the lower half all of it. Near $t = 0$
> the noise $\bar\sigma$ grows like $\sqrt t$. No polynomial in $t$ follows that, which costs PNDM
> some of its order; and steps of equal length in $t$ become longer and longer in $\lambda$, which
> costs DPM-Solver++ some of its own.

> **The last step.** $\bar\alpha_s = 1$ leaves nothing of $\epsilon_\theta$ and $\sigma$: the chain
> ends on $\hat x_0$. Code that takes $\bar\alpha$ of index 0 there leaves 1 % noise in every image.

[Exercises for this page](../ddpm/exercises.html#fast-samplers), with answers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from labml_nn.diffusion.ddpm.utils import SeededNoise
from labml_nn.diffusion.samplers.contract import ReverseSampler


@dataclass(kw_only=True, eq=False, repr=False)
class DDIM(ReverseSampler):
    r"""
    ## DDIM sampler

    Raises `ValueError` for an $\eta$ outside $[0, 1]$. A little more noise than $\tilde\beta'$
    would still leave $1 - \bar\alpha_s - \sigma^2$ positive, up to an $\eta$ of 1.08, 1.16 and 1.35
    with 10, 20 and 1000 `trailing` steps
    ([tested](test:diffusion/samplers/test_formulas.py::test_how_much_noise_there_could_be)), but
    the paper's scale ends with 1, which is ancestral sampling.
    """

    eta: Annotated[float, 'how much noise, 0 to 1'] = 0.0  # 1 is as much as ancestral sampling

    def prepare(self) -> None:
        r"""
        $\sigma = \eta\sqrt{\tilde\beta'}$ of each step, as numbers
        """
        if not 0 <= self.eta <= 1:
            raise ValueError(
                f'eta={self.eta:g} must lie in [0, 1]: 0 is without noise, 1 is ancestral'
            )
        self.sigma = [self.eta * var**0.5 for var in self.short.beta_tilde.tolist()]

    @torch.no_grad()
    def chain(self, xt: Tensor, noise: SeededNoise) -> Iterator[tuple[int, Tensor, Tensor]]:
        r"""
        ### From noise to image
        """
        for i in reversed(range(self.n_steps)):
            t, s = self.tau[i], self.before(i)
            eps, x0_hat = self.predict(xt, t)
            # $\sqrt{1-\bar\alpha_s-\sigma^2}$: what is left for the noise that was there
            direction = self.direction(t, s)
            # $x_s = \sqrt{\bar\alpha_s}\,\hat x_0 +
            #   \sqrt{1-\bar\alpha_s-\sigma^2}\,\epsilon_\theta(x_t,t) + \sigma z$
            xt = self.signal[s] * x0_hat + direction * eps
            if self.eta > 0:
                xt = xt + self.sigma[i] * noise(xt.shape, xt.device)
            yield t, xt, x0_hat

    def direction(self, t: int, s: int) -> float:
        r"""
        $\sqrt{1-\bar\alpha_s-\sigma^2}$, without subtracting numbers that are nearly equal:

        $$1-\bar\alpha_s-\eta^2\,\tilde\beta' = (1-\bar\alpha_s)\Big(1-\eta^2 +
        \eta^2\,\frac{\bar\alpha_t}{\bar\alpha_s}\,
        \frac{1-\bar\alpha_s}{1-\bar\alpha_t}\Big)$$

        With $\eta = 1$ and nearly no signal left at $t$, the left side is lost in rounding; the
        right one has positive terms only
        [tested](test:diffusion/samplers/test_cosine.py::test_ddim_with_eta_1_is_ancestral).
        """
        kept = (self.signal[t] * self.noise[s] / (self.signal[s] * self.noise[t])) ** 2
        return self.noise[s] * (1 - self.eta**2 + self.eta**2 * kept) ** 0.5

    @torch.no_grad()
    def invert(self, x0: Tensor, *, n_iterations: int = 1) -> Tensor:
        r"""
        ### From image to noise

        The equation has no preferred direction. Solve the step from $t$ to $s$ for $x_t$:

        $$x_t = \frac{\sqrt{\bar\alpha_t}}{\sqrt{\bar\alpha_s}}\,x_s +
        \Big(\sqrt{1-\bar\alpha_t} - \frac{\sqrt{\bar\alpha_t}}{\sqrt{\bar\alpha_s}}
        \sqrt{1-\bar\alpha_s}\Big)\,\epsilon_\theta(x_t, t)$$

        [tested](test:diffusion/samplers/test_formulas.py::test_phi_is_equation_11).
        $x_t$ is on both sides. Putting $x_s$ for it on the right is one more Euler step, wrong by
        as much as Euler steps are; putting the result in again comes closer, and at the fixed
        point the step down gives $x_s$ back exactly.

        * `x0` images, `[batch, ...]`
        * `n_iterations` how often the right side is computed, each a call of the model; 1 is the
          paper's way

        Returns $x_T$ from which `sample`, with $\eta = 0$ and nothing clipped, gives the image
        back: to first order in the step size with one iteration, exactly with enough of them
        [tested](test:diffusion/samplers/test_ddim.py::test_inversion_gives_the_image_back).
        """
        if n_iterations < 1:
            raise ValueError(f'n_iterations={n_iterations}: at least one is needed')
        xt = x0
        for i in range(self.n_steps):
            xs, t, s = xt, self.tau[i], self.before(i)
            for _ in range(n_iterations):
                xt = self.transfer(xs, self.eps_theta(xt, t), s, t)
        return xt
