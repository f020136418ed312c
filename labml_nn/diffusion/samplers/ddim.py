r"""
---
title: Denoising diffusion implicit models (DDIM)
summary: >
  A family of chains with the same marginals and any amount of noise. Without noise it is a
  differential equation that can be followed both ways, from noise to image and back.
---

# Denoising Diffusion Implicit Models

This page derives and implements [DDIM](https://arxiv.org/abs/2010.02502) [@song2021a].

## The loss uses the marginals only

$L_\text{simple}$ draws a single $x_t$ from $q(x_t|x_0)$. This distribution at one $t$ is called a
marginal. The joint distribution of $x_t$ and $x_{t-1}$ never enters. So the trained network does
not depend on it: $\epsilon_\theta(x_t, t)$ is a good guess whenever $x_t$ is distributed as
$q(x_t)$, whatever chain has led to it. We may look for another joint distribution with the same
marginals and a better way back.

Let $t = \tau_i$ and $s = \tau_{i-1}$ be neighbours in [the chosen steps](index.html). We take a
Gaussian step from $t$ to $s$, given $x_0$. We may choose its variance $\sigma^2$; the factor $c$ is
still to be found:

$$q_\sigma(x_s|x_t, x_0) = \mathcal N\big(\sqrt{\bar\alpha_s}\,x_0 + c\,\epsilon,\
\sigma^2\mathbf I\big), \qquad
\epsilon = \frac{x_t - \sqrt{\bar\alpha_t}\,x_0}{\sqrt{1-\bar\alpha_t}}$$
<!-- no-test: definition -->

Its mean is the image, multiplied by the factor of step $s$, plus some of the noise that is in
$x_t$. If $x_t \sim q(x_t|x_0)$, then $\epsilon$ is $\mathcal N(\mathbf 0, \mathbf I)$. So $x_s$ has
the mean $\sqrt{\bar\alpha_s}\,x_0$, as it should, and the variance $c^2 + \sigma^2$. This should be
$1 - \bar\alpha_s$, so (eq. 7 of the paper)

$$c = \sqrt{1 - \bar\alpha_s - \sigma^2}$$

and the marginals are right for *every* $\sigma$ between 0 and $\sqrt{1-\bar\alpha_s}$
[tested](test:diffusion/samplers/test_ddim.py::test_every_eta_has_the_same_marginals). In a step
of the sampler, the model's guesses $\hat x_0$ and $\epsilon_\theta$ take the place of $x_0$ and
$\epsilon$ (eq. 12):

$$x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1 - \bar\alpha_s - \sigma^2}\,\epsilon_\theta(x_t, t)
+ \sigma z$$

[tested](test:diffusion/samplers/test_formulas.py::test_ddim_is_equation_12)

## How much noise

One number $\eta$ scales the noise. With $\eta = 1$ its standard deviation is
$\sqrt{\tilde\beta'}$, that of DDPM's step back for a known image, in the
[shorter chain](index.html) that these steps make (eq. 16):

$$\sigma^2 = \eta^2\,\tilde\beta', \qquad
\tilde\beta' =
\frac{1-\bar\alpha_s}{1-\bar\alpha_t}\Big(1 - \frac{\bar\alpha_t}{\bar\alpha_s}\Big)$$

[tested](test:diffusion/samplers/test_formulas.py::test_ddim_is_equation_12)

* $\eta = 1$ is [ancestral sampling](ancestral.html) with $\tilde\beta$. Then
  $c = \sqrt{\bar\alpha_t/\bar\alpha_s}\,(1-\bar\alpha_s) / \sqrt{1-\bar\alpha_t}$, and with the
  definition of $\epsilon$ put in, the mean is $\tilde\mu_t(x_t, x_0)$ of the shorter chain
  [tested](test:diffusion/samplers/test_ddim.py::test_eta_1_is_ancestral).
* $\eta = 0$ has no noise at all: the image is a function of $x_T$
  [tested](test:diffusion/samplers/test_ddim.py::test_eta_0_is_deterministic).

## Without noise it is Euler's method

Divide the step with $\eta = 0$ by $\sqrt{\bar\alpha_s}$, and put $\hat x_0 = (x_t -
\sqrt{1-\bar\alpha_t}\,\epsilon_\theta)/\sqrt{\bar\alpha_t}$ into it. With
$\bar x = x/\sqrt{\bar\alpha}$ and $\bar\sigma = \sqrt{(1-\bar\alpha)/\bar\alpha}$, the step is
the equation on the left. Let the steps become small, and it turns into the differential equation on
the right (eq. 14):

$$\bar x_s = \bar x_t + (\bar\sigma_s - \bar\sigma_t)\,\epsilon_\theta(x_t, t),
\qquad\qquad \frac{d\bar x}{d\bar\sigma} = \epsilon_\theta(x_t, t)$$

It is solved from $\bar\sigma_T = 157$ (with the linear schedule) down to 0. The step on the left is
Euler's method: it follows the slope at the beginning of the step all the way to its end
[tested](test:diffusion/samplers/test_formulas.py::test_ddim_is_a_step_of_euler).

How large is the error? On Gaussian data the best $\epsilon_\theta$ is known, and the equation has a
solution in closed form: along a path, the distance of $x_t$ from the mean of $q(x_t)$, divided by
the standard deviation of $q(x_t)$, stays the same
[tested](test:diffusion/samplers/test_formulas.py::test_the_equation_of_ddim_has_this_solution).
Euler's method has order one, so with twice the steps the error should be half as large. Measured
against this solution, it is half as large
[tested](test:diffusion/samplers/test_orders.py::test_ddim_has_order_one). A method of order two
would have a quarter of the error.

![The error against the number of steps, on logarithmic axes. Down to T/8, DDIM follows the line of
slope −1, DPM-Solver++ and PNDM that of slope −2. If the chain goes on to the first step,
DPM-Solver++ falls less steeply, and so does PNDM from 40 steps on; with 10 to 80 steps the error of
DPM-Solver++ is larger than that of DDIM](figure:samplers.py::orders "The error against the number
of steps")

> The upper picture measures the way down to one eighth of $T$, the lower one that down to index 0,
> with `linspace` steps. The last eighth is harder. Near $t = 0$ the noise $\bar\sigma$ grows like
> $\sqrt t$. Along the chain $\epsilon_\theta$ is a smooth function of $\bar\sigma$, so its
> difference from its value at $t = 0$ grows like $\sqrt t$ too. [PNDM](pndm.html) fits polynomials
> in $t$, which cannot follow $\sqrt t$, and loses some of its order.
> [DPM-Solver++](dpm_solver.html) works in $\lambda$, the logarithm of $1/\bar\sigma$. Towards
> $t = 0$ equal steps of $t$ become longer and longer in $\lambda$. With twice as many steps the
> last of them are only a little shorter, not half as long. So it loses some of its order too.

> **The last step.** In the step to the image $\bar\alpha_s = 1$, so the terms with
> $\epsilon_\theta$ and $\sigma$ vanish and the chain ends on $\hat x_0$. Code that takes
> $\bar\alpha$ of index 0 there leaves 1 % of noise in every image.

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

    Raises `ValueError` for an $\eta$ outside $[0, 1]$. A somewhat larger $\eta$ would be possible:
    $1 - \bar\alpha_s - \sigma^2$ stays positive up to 1.08, 1.16 and 1.35 with 10, 20 and 1000
    `trailing` steps
    ([tested](test:diffusion/samplers/test_formulas.py::test_how_much_noise_there_could_be)). But
    the paper's scale ends at 1, which is ancestral sampling.
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
            # $\sqrt{1-\bar\alpha_s-\sigma^2}$: the factor of the noise that was predicted
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

        The differential equation can be followed in either direction. Solve the step from $t$ to
        $s$ for $x_t$:

        $$x_t = \frac{\sqrt{\bar\alpha_t}}{\sqrt{\bar\alpha_s}}\,x_s +
        \Big(\sqrt{1-\bar\alpha_t} - \frac{\sqrt{\bar\alpha_t}}{\sqrt{\bar\alpha_s}}
        \sqrt{1-\bar\alpha_s}\Big)\,\epsilon_\theta(x_t, t)$$

        [tested](test:diffusion/samplers/test_formulas.py::test_phi_is_equation_11). $x_t$ is on
        both sides. Put $x_s$ for it on the right, $\epsilon_\theta(x_s, t)$. This is nearly an
        Euler step upwards, which would ask for $\epsilon_\theta(x_s, s)$, and its error is of the
        same order. We can put the result in again, which comes closer. When it no longer changes,
        the step down from it gives exactly $x_s$.

        * `x0` images, `[batch, ...]`
        * `n_iterations` how often the right side is computed; each time calls the model once. The
          paper has 1

        Returns $x_T$. Sampled from this $x_T$, with $\eta = 0$ and without clipping, the image
        comes back. With one iteration it has an error that is proportional to the step size; with
        enough iterations it is exact up to rounding
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
