r"""
---
title: DPM-Solver++
summary: >
  The differential equation of DDIM with its linear part solved exactly, in the logarithm of the
  signal-to-noise ratio. The method is of second order, because it also uses the guess that was made
  one step before. With noise or without.
---

# DPM-Solver++

This page derives and implements the multistep solver of second order, 2M, of
[DPM-Solver++](https://arxiv.org/abs/2211.01095) [@lu2022], and its form with noise.

Write $a_t = \sqrt{\bar\alpha_t}$ and $\sigma_t = \sqrt{1-\bar\alpha_t}$ for the factors of image
and noise, and

$$\lambda_t = \log\frac{a_t}{\sigma_t}$$
<!-- no-test: definition -->

for half the logarithm of the signal-to-noise ratio: it rises from $-5.1$ at $t = T$ to $4.6$ at
$t = 1$
([tested](test:diffusion/samplers/test_dpm_solver.py::test_log_signal_to_noise_at_both_ends)) while
the image appears.

## The linear part of the equation can be solved exactly

[DDIM's equation](ddim.html) is $\frac{d\bar x}{d\bar\sigma} = \epsilon_\theta$ with $\bar x = x/a$,
$\bar\sigma = \sigma/a = e^{-\lambda}$, so $d\bar\sigma = -\bar\sigma\,d\lambda$. By the product
rule, $x = a\bar x$ itself has the equation
$\frac{dx}{d\lambda} = \frac xa\frac{da}{d\lambda} - \sigma\,\epsilon_\theta$
[tested](test:diffusion/samplers/test_formulas.py::test_the_equation_of_dpm_solver_has_this_solution).
It has two terms on the right side: one that is linear in $x$, and one with the network. Divide $x$
by a suitable factor, and the linear term disappears. If the equation is written with the guess of
the noise, the factor is $a$, as above. If it is written with the guess of the image,
$\hat x_0 = (x - \sigma\epsilon_\theta)/a$, the factor is $\sigma$. From
$\frac{x}{\sigma} = \bar x\,e^{\lambda}$

$$\frac{d}{d\lambda}\frac{x}{\sigma} = \bar x\,e^\lambda - \epsilon_\theta
= \frac{x - \sigma\,\epsilon_\theta}{\sigma} = e^{\lambda}\,\hat x_0$$

[tested](test:diffusion/samplers/test_formulas.py::test_the_equation_of_dpm_solver_has_this_solution).
The linear term is gone: on the right side, $x$ enters only through $\hat x_0$. Integrate from $t$
to $s$ (eq. 8 of the paper):

$$x_s = \frac{\sigma_s}{\sigma_t}\,x_t +
\sigma_s\int_{\lambda_t}^{\lambda_s} e^\lambda\,\hat x_0(\lambda)\,d\lambda$$

[tested](test:diffusion/samplers/test_formulas.py::test_equation_8_is_its_integral). Nothing is
approximated yet. $\hat x_0$ changes slowly along the chain, and hardly at all near its end. So we
approximate $\hat x_0$ alone, and integrate the exponential exactly, however long the step is.

**First order.** Let $\hat x_0$ be constant. With $h = \lambda_s - \lambda_t$ the second term is
$\sigma_s(e^{\lambda_s} - e^{\lambda_t})\,\hat x_0 = a_s(1 - e^{-h})\,\hat x_0$. With the
definition of $\hat x_0$ put in, this is DDIM with $\eta = 0$
[tested](test:diffusion/samplers/test_dpm_solver.py::test_first_order_is_ddim).

**Second order.** Put a straight line in $\lambda$ through the values of $\hat x_0$ at $t$ and at
the step before, which was $h_{-1}$ long. Take its value in the middle of the step, $\frac h2$ ahead
of $t$:

$$D = \hat x_0 + \frac{1}{2r}\big(\hat x_0 - \hat x_0^{\,\text{before}}\big), \qquad
r = \frac{h_{-1}}{h}$$

[tested](test:diffusion/samplers/test_formulas.py::test_the_line_is_exact_for_lines). The weight
$e^\lambda$ is larger at the end of the step than at its beginning, so the middle is not quite the
right place. But the error that this makes in one step is only of third order in $h$, and so is the
error of replacing the curve by a straight line. The earlier value is known, so the extrapolation
costs no further call of the network. The first step has no earlier value and takes $D = \hat x_0$.
So (Algorithm 2 of the paper, 2M)

$$x_s = \frac{\sigma_s}{\sigma_t}\,x_t + a_s\big(1 - e^{-h}\big)\,D$$

[tested](test:diffusion/samplers/test_formulas.py::test_2m_is_its_formula). On the way down to
$T/8$, halving the step size divides the error by four
[tested](test:diffusion/samplers/test_orders.py::test_second_order_solvers_have_order_two). On the
last eighth some of the order is lost: [DDIM's page](ddim.html) shows how much, and why.

> **Why $\hat x_0$ and not $\epsilon_\theta$?** The same derivation with $\epsilon_\theta$ in the
> place of $\hat x_0$ gives the earlier method DPM-Solver. At first order the two are the same step.
> At second order it matters which of them is extrapolated. $\hat x_0$ is bounded, as images are,
> and can be clipped first. On its way into the image, an error of $\epsilon_\theta$ is multiplied
> by $\bar\sigma$, and $\bar\sigma$ is 157 at the start of the chain.

> **The last step** goes to $\lambda = \infty$. Then $h = \infty$, $e^{-h} = 0$ and $r = 0$, and $D$
> would be infinite. So this step takes $D = \hat x_0$, and ends on $\hat x_0$.

## With noise

New noise on the way can repair errors of the steps before. There is a stochastic equation with the
same marginals. To DDIM's equation for $\frac x\sigma$ it adds [Langevin
steps](../ddpm/score.html). These remove some of the noise, $-\epsilon_\theta\,d\lambda$, and add
new noise, $\sqrt2\,dw$, so much that the distribution stays the same. Here $dw$ is Gaussian noise
of variance $d\lambda$, drawn anew at each moment. With
$\epsilon_\theta = \frac x\sigma - e^\lambda\hat x_0$ it is

$$d\,\frac x\sigma = \Big(2\,e^\lambda\,\hat x_0 - \frac x\sigma\Big)\,d\lambda + \sqrt2\,dw$$

Apart from $\hat x_0$ it is linear again. Solve it from $t$ to $s$ with $D$ for $\hat x_0$
[tested](test:diffusion/samplers/test_dpm_solver.py::test_the_equation_with_noise_has_this_step):

$$x_s = \frac{\sigma_s}{\sigma_t}\,e^{-h}\,x_t + a_s\big(1 - e^{-2h}\big)\,D +
\sigma_s\sqrt{1 - e^{-2h}}\;z$$

[tested](test:diffusion/samplers/test_formulas.py::test_2m_is_its_formula). If $D$ is the true
image, both parts come out right. The image has the factor $a_s e^{-2h} + a_s(1 - e^{-2h}) = a_s$,
where $\frac{\sigma_s}{\sigma_t}\,a_t = a_s e^{-h}$ was used. The noise has the variance
$\sigma_s^2e^{-2h} + \sigma_s^2(1 - e^{-2h}) = \sigma_s^2$. At first order this step is ancestral
sampling with $\tilde\beta$
[tested](test:diffusion/samplers/test_dpm_solver.py::test_first_order_with_noise_is_ancestral).

Both steps are one formula, with $g = 1$ for the equation without noise and $g = 2$ for the one with
noise. $[g = 2]$ is 1 if $g = 2$, and 0 otherwise:

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
    order: Annotated[int, '1 or 2, and for unipc also 3'] = 2
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
        before: tuple[float, Tensor] | None = None  # h and the guess of the step before
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
