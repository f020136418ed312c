r"""
---
title: DPM-Solver++
summary: >
  The probability-flow equation with its linear half solved exactly, in the logarithm of the
  signal-to-noise ratio; second order from the step before, with noise or without.
---

# DPM-Solver++

This page derives and implements the multistep solver of second order, 2M, of
[DPM-Solver++](https://arxiv.org/abs/2211.01095) [@lu2022], and its form with noise.

Write $a_t = \sqrt{\bar\alpha_t}$ and $\sigma_t = \sqrt{1-\bar\alpha_t}$ for the shares of image and
noise, and

$$\lambda_t = \log\frac{a_t}{\sigma_t}$$
<!-- no-test: definition -->

for half the logarithm of the signal-to-noise ratio: it rises from $-5.1$ at $t = T$ to $4.6$ at
$t = 1$
([tested](test:diffusion/samplers/test_dpm_solver.py::test_log_signal_to_noise_at_both_ends)) while
the image appears.

## Half of the equation can be solved

[DDIM's equation](ddim.html) is $\frac{d\bar x}{d\bar\sigma} = \epsilon_\theta$ with
$\bar x = x/a$, $\bar\sigma = \sigma/a = e^{-\lambda}$. Take the other quotient, $x/\sigma$, and the
other guess, $\hat x_0 = (x - \sigma\epsilon_\theta)/a$. From
$\frac{x}{\sigma} = \bar x\,e^{\lambda}$ and $d\bar\sigma = -e^{-\lambda}d\lambda$

$$\frac{d}{d\lambda}\frac{x}{\sigma} = \bar x\,e^\lambda - \epsilon_\theta
= \frac{x - \sigma\,\epsilon_\theta}{\sigma} = e^{\lambda}\,\hat x_0$$

[tested](test:diffusion/samplers/test_formulas.py::test_the_equation_of_dpm_solver_has_this_solution).
On the right side, $x$ enters only through $\hat x_0$. Integrate from $t$ to $s$ (eq. 8):

$$x_s = \frac{\sigma_s}{\sigma_t}\,x_t +
\sigma_s\int_{\lambda_t}^{\lambda_s} e^\lambda\,\hat x_0(\lambda)\,d\lambda$$

[tested](test:diffusion/samplers/test_formulas.py::test_equation_8_is_its_integral). Nothing is
approximated yet. $\hat x_0$ changes slowly along the chain, and hardly at all at its end; the
exponential in front of it is integrated exactly, however long the step is.

**First order.** Let $\hat x_0$ be constant. With $h = \lambda_s - \lambda_t$ the integral is
$\sigma_s(e^{\lambda_s} - e^{\lambda_t})\hat x_0 = a_s(1 - e^{-h})\,\hat x_0$. Put in
$\hat x_0$'s definition: this is DDIM with $\eta = 0$
[tested](test:diffusion/samplers/test_dpm_solver.py::test_first_order_is_ddim).

**Second order.** Put a straight line in $\lambda$ through the values of $\hat x_0$ here and at the
step before, which was $h_{-1}$ long. Take its value in the middle of the step, $\frac h2$ ahead:

$$D = \hat x_0 + \frac{1}{2r}\big(\hat x_0 - \hat x_0^{\,\text{before}}\big), \qquad
r = \frac{h_{-1}}{h}$$

[tested](test:diffusion/samplers/test_formulas.py::test_the_line_is_exact_for_lines). This costs
no further call of the network, as the earlier value is known. So (Algorithm 2 of the paper, 2M)

$$x_s = \frac{\sigma_s}{\sigma_t}\,x_t + a_s\big(1 - e^{-h}\big)\,D$$

[tested](test:diffusion/samplers/test_formulas.py::test_2m_is_its_formula). Halving the step size
divides the error by four
[tested](test:diffusion/samplers/test_orders.py::test_second_order_solvers_have_order_two).

> **Why $\hat x_0$ and not $\epsilon_\theta$?** The same idea with $\epsilon_\theta$ constant,
> DPM-Solver without the pluses, is the same at first order. Beyond that, the extrapolated quantity
> matters: $\hat x_0$ is bounded, as images are, and can be clipped before it is
> extrapolated; $\epsilon_\theta$ has to be right to one part in 157 at the start of the chain.

> **The last step** goes to $\lambda = \infty$: $h = \infty$, $e^{-h} = 0$, $r = 0$, and the line
> would be extrapolated without end. So it takes $D = \hat x_0$, and ends on $\hat x_0$.

## With noise

Noise that is added and taken away again on the way repairs errors of the steps before. The
equation with noise that has the same marginals takes noise away twice as fast (the integral gets
$e^{2\lambda}$), and adds new noise for what is then missing:

$$x_s = \frac{\sigma_s}{\sigma_t}\,e^{-h}\,x_t + a_s\big(1 - e^{-2h}\big)\,D +
\sigma_s\sqrt{1 - e^{-2h}}\;z$$

[tested](test:diffusion/samplers/test_formulas.py::test_2m_is_its_formula). The variance of the
noise adds up: $\sigma_s^2e^{-2h} + \sigma_s^2(1 - e^{-2h}) = \sigma_s^2$. At
first order this is ancestral sampling with $\tilde\beta$
[tested](test:diffusion/samplers/test_dpm_solver.py::test_first_order_with_noise_is_ancestral).

Both steps are one formula: with $g = 1$ for the equation without noise and $g = 2$ for that with
noise,

$$x_s = \frac{\sigma_s}{\sigma_t}\,e^{-(g-1)h}\,x_t + a_s\big(1 - e^{-gh}\big)\,D +
[g = 2]\ \sigma_s\sqrt{1-e^{-2h}}\;z$$

[tested](test:diffusion/samplers/test_formulas.py::test_2m_is_its_formula)
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from labml_nn.diffusion.ddpm.utils import SeededNoise
from labml_nn.diffusion.samplers.contract import ReverseSampler


@dataclass(kw_only=True, eq=False, repr=False)
class DPMSolver(ReverseSampler):
    r"""
    ## DPM-Solver++ sampler

    Raises `ValueError` for an order other than 1 and 2.
    """

    # 1: $\hat x_0$ constant along a step; 2: a straight line
    order: Annotated[int, '1 or 2; of unipc 3 too'] = 2
    sde: Annotated[bool, 'the form with noise, true or false'] = False

    def prepare(self) -> None:
        if self.order not in (1, 2):
            raise ValueError(f'order={self.order} is not known: use 1 or 2')

    @torch.no_grad()
    def chain(self, xt: Tensor, noise: SeededNoise) -> Iterator[tuple[int, Tensor, Tensor]]:
        r"""
        ### From noise to image
        """
        g = 2 if self.sde else 1
        before: tuple[float, Tensor] | None = None  # $h$ and $\hat x_0$ of the step before
        for i in reversed(range(self.n_steps)):
            t, s = self.tau[i], self.before(i)
            _, x0_hat = self.predict(xt, t)
            # $e^{-h} = \frac{a_t}{\sigma_t}\frac{\sigma_s}{a_s}$, which is 0 at the last step
            exp = self.signal[t] / self.noise[t] * self.noise[s] / self.signal[s]
            h = -math.log(exp) if exp > 0 else math.inf
            D = x0_hat
            if self.order == 2 and before is not None and h < math.inf:
                # $D = \hat x_0 + \frac{1}{2r}(\hat x_0 - \hat x_0^\text{before})$, $r = h_{-1}/h$
                h_before, x0_before = before
                D = x0_hat + h / (2 * h_before) * (x0_hat - x0_before)
            # $\frac{\sigma_s}{\sigma_t}\,e^{-(g-1)h}\,x_t + a_s(1 - e^{-gh})\,D$
            xt = (
                self.noise[s] / self.noise[t] * exp ** (g - 1) * xt
                + self.signal[s] * (1 - exp**g) * D
            )
            if self.sde:
                # $\sigma_s\sqrt{1-e^{-2h}}\;z$
                xt = xt + self.noise[s] * (1 - exp**2) ** 0.5 * noise(xt.shape, xt.device)
            before = h, x0_hat
            yield t, xt, x0_hat
