r"""
---
title: Heun's method
summary: >
  DDPM in the units of EDM, noise levels that are even in a root of the noise, and a step of second
  order that asks the network at both of its ends.
---

# Heun's method, and the noise levels of EDM

EDM [@karras2022] asks which parts of a diffusion model depend on each other. Its answer: very few.
How the network is trained, in which units it is written, along which noise levels the equation is
solved, and by which method, can each be chosen alone. The last two need no training. This page
applies them to the network of DDPM.

## The same network in their units

EDM adds noise and does not shrink the image. [DDIM's equation](ddim.html) is in these units too.
Divide $x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\epsilon$ by
$\sqrt{\bar\alpha_t}$:

$$\bar x = x_0 + \bar\sigma\,\epsilon, \qquad
\bar\sigma = \sqrt{\frac{1-\bar\alpha_t}{\bar\alpha_t}}, \qquad
\sqrt{\bar\alpha_t} = \frac{1}{\sqrt{\bar\sigma^2+1}}$$

[tested](test:diffusion/samplers/test_edm.py::test_the_units_of_edm). So each step $t$ has one noise
level $\bar\sigma$, from 0.01 to 157, and each of these levels has one step. What EDM calls the
denoiser $D$, the guess of the clean image, is our $\hat x_0$:

$$D(\bar x; \bar\sigma) = \bar x - \bar\sigma\,
\epsilon_\theta\bigg(\frac{\bar x}{\sqrt{\bar\sigma^2+1}},\, t\bigg)$$

[tested](test:diffusion/samplers/test_edm.py::test_the_denoiser_is_x0_hat). In their table 1 this is
a network whose input is multiplied by $c_\text{in} = 1/\sqrt{\bar\sigma^2+1}$ and whose output by
$c_\text{out} = -\bar\sigma$. At $\bar\sigma = 157$ an error of the network counts 157 times. EDM
trains its own network with [other factors](../preconditioning.html), for which the errors count
alike at all levels; here the trained DDPM is used as it is.

## Which noise levels

Where there is much noise the way is nearly straight, and long steps are harmless. So the levels
should be dense near the image. EDM spaces a root of the noise evenly (its eq. 5, counted from the
image here):

$$\bar\sigma_i = \Big(\bar\sigma_\text{min}^{1/\rho} + \frac{i}{n-1}\big(
\bar\sigma_\text{max}^{1/\rho} - \bar\sigma_\text{min}^{1/\rho}\big)\Big)^\rho,
\qquad i = 0 \dots n-1$$

[tested](test:diffusion/samplers/test_edm.py::test_levels_are_even_in_the_root). With $\rho = 1$ the
levels are even in the noise itself, with a large $\rho$ nearly even in its logarithm. EDM found
$\rho = 7$ by trial. The network knows only its own $T$ levels, so each level is moved to the
nearest of these
[tested](test:diffusion/samplers/test_edm.py::test_each_level_goes_to_the_nearest_step). All
samplers take these steps with `spacing='karras'`, except PNDM, which needs even ones.

## A step of second order

DDIM follows the slope $\epsilon_\theta$ at the beginning of a step to its end. Heun's method does
that first, to $\bar x'$, asks for the slope there, and then takes the whole step again with the
mean of both slopes (Algorithm 1 of EDM):

$$\bar x' = \bar x_t + (\bar\sigma_s - \bar\sigma_t)\,\epsilon_t, \qquad
\bar x_s = \bar x_t + (\bar\sigma_s - \bar\sigma_t)\,\frac{\epsilon_t + \epsilon'_s}{2}$$

[tested](test:diffusion/samplers/test_edm.py::test_a_step_is_heuns). The mean of the slopes at both
ends is the trapezoidal rule. On Gaussian data, down to $T/8$, halving the step size divides the
error by four [tested](test:diffusion/samplers/test_orders.py::test_heun_has_order_two). The last
step ends at the image, where the network gives no slope. So it is DDIM's step, which ends on
$\hat x_0$. Therefore $n$ steps cost $2n - 1$ calls of the network
[tested](test:diffusion/samplers/test_edm.py::test_steps_cost_two_calls_but_the_last), and one less
with the cosine schedule, whose first step back [leaps](contract.html).

## What they give

Fréchet distance in pixel space of 898 samples from the 1,797 real digits, at equal calls of the
network, with the model that `make train` makes
(`python -m docs.figures.data.edm runs/digits` measures it again; the data's own distance is 0.14):

| calls of the network | 9 | 19 | 39 |
|---|---|---|---|
| DDIM, `trailing` | 0.60 | 0.32 | 0.25 |
| DDIM, `karras` | 0.98 | 0.40 | 0.28 |
| DPM-Solver++ 2M, `trailing` | 0.40 | 0.23 | 0.22 |
| DPM-Solver++ 2M, `karras` | 0.33 | 0.23 | 0.22 |
| Heun, `trailing` | 0.66 | 0.30 | 0.23 |
| Heun, `karras` | 3.20 | 0.34 | 0.22 |
<!-- measured: docs/figures/data/edm.json#/table -->

* **Levels.** DPM-Solver++ gains by `karras` where calls are few, and DDIM loses. The levels of EDM
  are dense where there is almost no noise left; of nine, only one lies between 0.5 and 5, where
  `trailing` has four
  ([tested](test:diffusion/samplers/test_edm.py::test_where_nine_levels_lie)).
* **Heun.** With 39 calls it is as good as DPM-Solver++ with as many. With fewer it is worse,
  because it pays for its second slope with half of its steps: with 9 calls it takes five. With
  `karras` their noise levels are 0.01, 0.5, 6, 37 and 157, and one step from 6 to 0.5 decides the
  image. DPM-Solver++ takes its second slope from the step before, for nothing. So the default stays
  as it is.
* One seed was drawn. Three seeds of such samples
  [differ](../comparison.html) by 0.01 to 0.11 with 10 and more calls.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from labml_nn.diffusion.ddpm.utils import SeededNoise
from labml_nn.diffusion.samplers.contract import ReverseSampler


@dataclass(kw_only=True, eq=False, repr=False)
class Heun(ReverseSampler):
    r"""
    ## Heun sampler
    """

    @property
    def n_calls(self) -> int:
        r"""
        How often a chain calls the model.
        """
        return self.n_steps + sum(self.looks_ahead(i) for i in range(self.n_steps))

    def looks_ahead(self, i: int) -> bool:
        r"""
        Whether the step down from $\tau_i$ asks the model at its end too
        """
        return i > 0 and not self.leaps(i)

    @torch.no_grad()
    def chain(self, xt: Tensor, noise: SeededNoise) -> Iterator[tuple[int, Tensor, Tensor]]:
        r"""
        ### From noise to image
        """
        for i in reversed(range(self.n_steps)):
            t, s = self.tau[i], self.before(i)
            eps, x0_hat = self.predict(xt, t)
            if self.looks_ahead(i):
                # $\epsilon'_s$, at the end of a step of DDIM
                ahead, _ = self.predict(self.transfer(xt, eps, t, s), s)
                # $\bar x_s = \bar x_t + (\bar\sigma_s - \bar\sigma_t)\,
                #   \frac12\,(\epsilon_t + \epsilon'_s)$
                xt = self.transfer(xt, (eps + ahead) / 2, t, s)
            else:
                # DDIM's step; it does not divide by the signal, of which there may be none
                xt = self.signal[s] * x0_hat + self.noise[s] * eps
            yield t, xt, x0_hat
