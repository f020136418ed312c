r"""
---
title: Pseudo numerical methods (PNDM)
summary: >
  The multistep methods of Adams and the Runge–Kutta start, with DDIM's step in the place of the
  straight line.
---

# Pseudo Numerical Methods for Diffusion Models on Manifolds

This page derives and implements [PNDM](https://arxiv.org/abs/2202.09778) [@liu2022]. The
model card of the published CelebA-HQ weights offers it, beside DDIM, for faster sampling than all
1000 steps.

## Slope and transfer apart

A classical method for $\frac{dx}{dt} = f$ has two parts: it makes a good slope out of several, then
goes along it in a straight line, $x + \delta\,f$. The straight line is the wrong part here: the
slope of $x$ in $t$ has no bound near $t = 0$, and a straight line lands off the noise level that
the network was trained on. The paper keeps the first part and replaces the second by
[DDIM's step](ddim.html) without noise, $\phi$, which is exact whenever $\epsilon$ is (eq. 11):

$$\phi(x_t, \epsilon, t, s) = \frac{\sqrt{\bar\alpha_s}}{\sqrt{\bar\alpha_t}}\,x_t +
\Big(\sqrt{1-\bar\alpha_s} -
\frac{\sqrt{\bar\alpha_s}}{\sqrt{\bar\alpha_t}}\sqrt{1-\bar\alpha_t}\Big)\,\epsilon$$

[tested](test:diffusion/samplers/test_formulas.py::test_phi_is_equation_11). So slopes are noises,
and every method below says which mixture of noises to hand to $\phi$.

## Linear multistep

After some steps of equal length $\delta$, the noises $e_t, e_{t+\delta}, e_{t+2\delta},
e_{t+3\delta}$ of this step and the three before it are known. Put a polynomial through them and
take its mean over the step that comes. For two points this is the value of the straight line half a
step ahead:

$$e_t + \tfrac12\,(e_t - e_{t+\delta}) = \tfrac12\,(3\,e_t - e_{t+\delta})$$

([tested](test:diffusion/samplers/test_formulas.py::test_pndm_is_its_formula))

and for three and four (eq. 12; the coefficients of Adams and Bashforth)

$$\tfrac1{12}\,(23\,e_t - 16\,e_{t+\delta} + 5\,e_{t+2\delta}), \qquad
\tfrac1{24}\,(55\,e_t - 59\,e_{t+\delta} + 37\,e_{t+2\delta} - 9\,e_{t+3\delta})$$

[tested](test:diffusion/samplers/test_pndm.py::test_weights_integrate_polynomials). A step costs one
call of the network, as DDIM's does.

> The coefficients hold for steps of equal length. `leading`, `linspace` and `trailing` have these,
> to within an index; `quadratic` has not, and is refused. The last step is an exception: with
> `leading` and `linspace` it goes from index 0 to the image, one index instead of fifty. It takes
> the same mixture as the others, which does little harm: at index 0 an error in the noise moves the
> image by a hundredth of it
> ([tested](test:diffusion/samplers/test_formulas.py::test_last_steps_of_one_index)).

## How to start

The first step has no earlier noises to mix. There are two ways to begin.

**Runge–Kutta** (`start='prk'`, the paper's). For the first three steps from $t$ to $s$, look ahead
to the middle $m$, again from there, then to the end, four calls a step (eq. 13):

$$\begin{aligned}
e_1 &= \epsilon_\theta(x_t, t), & e_2 &= \epsilon_\theta(\phi(x_t, e_1, t, m), m), \\
e_3 &= \epsilon_\theta(\phi(x_t, e_2, t, m), m), & e_4 &= \epsilon_\theta(\phi(x_t, e_3, t, s), s),
\end{aligned} \qquad e = \tfrac16\,(e_1 + 2e_2 + 2e_3 + e_4)$$

[tested](test:diffusion/samplers/test_formulas.py::test_pndm_is_its_formula)

**Multistep from the first step** (`start='plms'`, as the published pipelines use it). Only the
first step looks ahead, to its end, and takes the mean of the noises at both ends; the second
has two noises, the third three. One call more than there are steps.

> **Is it of fourth order, then?** No. The paper proves second order, as $\phi$ treats $\epsilon$ as
> constant; on Gaussian data the error falls to about a quarter when the step size is halved
> [tested](test:diffusion/samplers/test_orders.py::test_pndm_has_order_two).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from labml_nn.diffusion.ddpm.utils import SeededNoise
from labml_nn.diffusion.samplers.contract import ReverseSampler

# Weights of $e_t, e_{t+\delta}, \dots$ with one to four noises known
WEIGHTS = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


@dataclass(kw_only=True, eq=False, repr=False)
class PNDM(ReverseSampler):
    r"""
    ## PNDM sampler

    Raises `ValueError` for a spacing of unequal steps, and a start that is not known.
    """

    start: Annotated[str, 'how to begin, plms or prk'] = 'plms'  # type: ignore[assignment]

    def prepare(self) -> None:
        r"""
        The `ValueError` for steps of unequal length, and for a start that is not known
        """
        # The name is that of the contract's `start`, which begins a chain
        self.start_with = vars(self).pop('start')
        equal = ('leading', 'linspace', 'trailing')
        if self.spacing not in equal:
            raise ValueError(
                f'spacing={self.spacing!r} has steps of unequal length, for which the weights of '
                f'PNDM do not hold: use {", ".join(equal)}'
            )
        if self.start_with not in ('prk', 'plms'):
            raise ValueError(f"start={self.start_with!r} is not known: use 'prk' or 'plms'")

    @property
    def begins(self) -> list[int]:
        r"""
        The steps that begin, when those before are not known
        """
        # The last step cannot look ahead: there is no $\epsilon_\theta$ of an image
        calm = [i for i in reversed(range(1, self.n_steps)) if not self.leaps(i)]
        return calm[: 3 if self.start_with == 'prk' else 1]

    @property
    def n_calls(self) -> int:
        r"""
        How often a chain calls the model.
        """
        return self.n_steps + len(self.begins) * (3 if self.start_with == 'prk' else 1)

    @torch.no_grad()
    def chain(self, xt: Tensor, noise: SeededNoise) -> Iterator[tuple[int, Tensor, Tensor]]:
        r"""
        ### From noise to image
        """
        known: list[Tensor] = []  # $e_t, e_{t+\delta}, \dots$, four at most
        begins = self.begins
        for i in reversed(range(self.n_steps)):
            t, s = self.tau[i], self.before(i)
            eps, x0_hat = self.predict(xt, t)
            known = [eps, *known[:3]]
            if i in begins and self.start_with == 'prk':
                eps = self.runge_kutta(xt, known[0], t, s)
            elif i in begins:
                # $\frac12\,(e_t + e_s)$
                eps = (known[0] + self.predict(self.transfer(xt, known[0], t, s), s)[0]) / 2
            else:
                eps = mixed(WEIGHTS[len(known) - 1], known)
            # A single noise is consistent as it is
            if i in self.begins or len(known) > 1:
                eps, x0_hat = self.consistent(xt, eps, t)
            # $\phi(x_t, e, t, s)$
            xt = self.signal[s] * x0_hat + self.noise[s] * eps
            known = [] if self.leaps(i) else known
            yield t, xt, x0_hat

    def runge_kutta(self, xt: Tensor, e1: Tensor, t: int, s: int) -> Tensor:
        r"""
        #### $\frac16(e_1 + 2e_2 + 2e_3 + e_4)$ of the step from $t$ to $s$
        """
        m = (t + s) // 2
        e2, _ = self.predict(self.transfer(xt, e1, t, m), m)
        e3, _ = self.predict(self.transfer(xt, e2, t, m), m)
        e4, _ = self.predict(self.transfer(xt, e3, t, s), s)
        return mixed((1 / 6, 2 / 6, 2 / 6, 1 / 6), (e1, e2, e3, e4))


# A field leaves its default with the class, where it would hide the contract's `start`
del PNDM.start


def mixed(weights: Sequence[float], noises: Sequence[Tensor]) -> Tensor:
    r"""
    $\sum_k w_k e_k$
    """
    return torch.stack([w * e for w, e in zip(weights, noises, strict=True)]).sum(0)
