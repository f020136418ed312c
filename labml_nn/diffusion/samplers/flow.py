r"""
---
title: Steps along straight lines
summary: Euler's and Heun's methods in the time of flow matching, for every model of this package.
---

# Steps along straight lines

[Flow matching](../flow_matching.html) mixes image and noise along a straight line, $(1-\tau)\,x_0 +
\tau\,\epsilon$. Every $x_t$ of DDPM is such a mixture too, at another size. So this sampler takes
any model. Divided by the sum of its two factors, $x_t$ lies on the line at a time $\tau$ of its
own:

$$x_\tau = \frac{x_t}{\sqrt{\bar\alpha_t} + \sqrt{1-\bar\alpha_t}}
= (1-\tau)\,x_0 + \tau\,\epsilon, \qquad
\tau = \frac{\sqrt{1-\bar\alpha_t}}{\sqrt{\bar\alpha_t} + \sqrt{1-\bar\alpha_t}}$$

[tested](test:diffusion/samplers/test_flow.py::test_every_xt_lies_on_a_straight_line). The slope of
the line is $\epsilon - x_0$. The model guesses both, and a step follows its guess from $t$ to $s$:

$$x_{\tau_s} = x_{\tau_t} + (\tau_s - \tau_t)\,u, \qquad u = \epsilon_\theta - \hat x_0$$

This is Euler's method. Each of its steps, the last one too, is the step of [DDIM](ddim.html)
[tested](test:diffusion/samplers/test_flow.py::test_eulers_method_is_ddim): both mix the same
$\hat x_0$ and $\epsilon_\theta$ with the factors of step $s$. The formula never divides by the
factor of the image, so it also holds at $\tau = 1$, where that factor is 0.

Heun's method, `order=2`, asks for the slope at the end too, and takes the step with the mean of
both:

$$x_{\tau_s} = x_{\tau_t} + (\tau_s - \tau_t)\,\frac{u_t + u'_s}{2}$$

[tested](test:diffusion/samplers/test_flow.py::test_a_step_is_heuns_along_the_line). On Gaussian
data, down to $T/8$, twice the steps leave a quarter of the error
[tested](test:diffusion/samplers/test_orders.py::test_flow_has_its_order). The method is that of
[EDM's page](edm.html), but along another line: there the image keeps its size and the noise grows.
A mean of two slopes in one of these units is not the mean in the other, so the results differ
[tested](test:diffusion/samplers/test_flow.py::test_the_line_matters_for_heun). The last step ends
at the image, and is Euler's: it lands on $\hat x_0$.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from labml_nn.diffusion.ddpm.utils import SeededNoise
from labml_nn.diffusion.samplers.contract import ReverseSampler


@dataclass(kw_only=True, eq=False, repr=False)
class Flow(ReverseSampler):
    r"""
    ## Flow sampler

    Raises `ValueError` for an `order` other than 1 (Euler) and 2 (Heun).
    """

    order: Annotated[int, '1 or 2'] = 2

    def prepare(self) -> None:
        r"""
        The times $\tau$ and sizes of all steps
        """
        if self.order not in (1, 2):
            raise ValueError(f'order={self.order} does not exist: use 1 or 2')
        # The image itself comes last, at $\tau = 0$
        pairs = list(zip(self.signal, self.noise, strict=True))
        self.size = [a + s for a, s in pairs]
        self.time = [s / (a + s) for a, s in pairs]

    @property
    def n_calls(self) -> int:
        r"""
        How often a chain calls the model.
        """
        return self.order * (self.n_steps - 1) + 1

    def follow(self, xt: Tensor, u: Tensor, t: int, s: int) -> Tensor:
        r"""
        From step `t` to step `s` along the slope `u`
        """
        # $x_{\tau_s} = x_{\tau_t} + (\tau_s - \tau_t)\,u$
        return self.size[s] * (xt / self.size[t] + (self.time[s] - self.time[t]) * u)

    @torch.no_grad()
    def chain(self, xt: Tensor, noise: SeededNoise) -> Iterator[tuple[int, Tensor, Tensor]]:
        r"""
        ### From noise to image
        """
        for i in reversed(range(self.n_steps)):
            t, s = self.tau[i], self.before(i)
            eps, x0_hat = self.predict(xt, t)
            # $u = \epsilon_\theta - \hat x_0$
            u = eps - x0_hat
            if self.order == 2 and i > 0:
                # $\frac12\,(u_t + u'_s)$
                ahead, x0_ahead = self.predict(self.follow(xt, u, t, s), s)
                u = (u + ahead - x0_ahead) / 2
            xt = self.follow(xt, u, t, s)
            yield t, xt, x0_hat
