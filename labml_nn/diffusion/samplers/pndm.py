r"""
---
title: Pseudo numerical methods (PNDM)
summary: >
  The multistep methods of Adams, started by Runge–Kutta, with DDIM's step in the place of a
  straight line.
---

# Pseudo Numerical Methods for Diffusion Models on Manifolds

This page derives and implements [PNDM](https://arxiv.org/abs/2202.09778) [@liu2022]. The model card
of the [published weights](../ddpm/pretrained.html) for CelebA-HQ names it, beside DDIM, as a faster
way to sample than all 1000 steps.

## Two parts of a step: the slope, and going along it

A classical method for $\frac{dx}{dt} = f$ has two parts. It makes a good slope out of several, and
then it goes along this slope in a straight line, $x + \delta\,f$. The second part does not fit
here. The slope of $x$ in $t$ grows without bound near $t = 0$, and a straight line ends at a noise
level that the network does not expect. The paper keeps the first part, and replaces the straight
line by [DDIM's step](ddim.html) without noise, $\phi$. This step is exact if $\epsilon$ stays the
same from $t$ to $s$ (eq. 11):

$$\phi(x_t, \epsilon, t, s) = \frac{\sqrt{\bar\alpha_s}}{\sqrt{\bar\alpha_t}}\,x_t +
\Big(\sqrt{1-\bar\alpha_s} -
\frac{\sqrt{\bar\alpha_s}}{\sqrt{\bar\alpha_t}}\sqrt{1-\bar\alpha_t}\Big)\,\epsilon$$

[tested](test:diffusion/samplers/test_formulas.py::test_phi_is_equation_11). So predicted noises
take the place of slopes, and each method below is a rule for mixing them before they are put into
$\phi$.

## Linear multistep

After some steps of equal length $\delta$, the noises
$e_t, e_{t+\delta}, e_{t+2\delta}, e_{t+3\delta}$ of this step and of the three before it are known.
(Sampling goes from large $t$ to small $t$, so the step before was at $t + \delta$.) Fit a
polynomial in $t$ through them, and take its mean over the next step. For two points this is the
value of the straight line half a step ahead:

$$e_t + \tfrac12\,(e_t - e_{t+\delta}) = \tfrac12\,(3\,e_t - e_{t+\delta})$$

([tested](test:diffusion/samplers/test_formulas.py::test_pndm_is_its_formula))

and for three and four (eq. 12; the coefficients of Adams and Bashforth)

$$\tfrac1{12}\,(23\,e_t - 16\,e_{t+\delta} + 5\,e_{t+2\delta}), \qquad
\tfrac1{24}\,(55\,e_t - 59\,e_{t+\delta} + 37\,e_{t+2\delta} - 9\,e_{t+3\delta})$$

[tested](test:diffusion/samplers/test_pndm.py::test_weights_integrate_polynomials). A step costs one
call of the network, as DDIM's does.

> **Steps of equal length.** The coefficients hold for these alone. The steps of `leading`,
> `linspace` and `trailing` are equal up to rounding; those of `quadratic` are not, so it is
> refused. The last step of `leading` and `linspace` is an exception: from index 0 to the image it
> is one index long, where the others are 50 to 53 long with twenty steps. It takes the same mixture
> as the others. This does little harm, because at index 0 an error in the noise changes the image
> by only a hundredth of that error
> ([tested](test:diffusion/samplers/test_formulas.py::test_last_steps_of_one_index)).

> **Clipping.** The mixture belongs to an image $\hat x_0$, as every noise does. The code computes
> this $\hat x_0$ and clips it to $[-1, 1]$, then computes the noise from it again
> ([why](contract.html)), and makes the step $\phi$ with both.

## How to start

The first step has no earlier noises to mix. There are two ways to begin.

**Runge–Kutta** (`start='prk'`, the paper's). Each of the first three steps, from $t$ to $s$, calls
the network four times: at $t$; at the middle $m$; at $m$ again, with the noise that was found
there; and at the end $s$. Each of these trial steps starts from $x_t$. The four noises are mixed
with the weights of Simpson's rule, in which the middle counts four times as much as an end (eq.
13):

$$\begin{aligned}
e_1 &= \epsilon_\theta(x_t, t), \\
e_2 &= \epsilon_\theta(\phi(x_t, e_1, t, m), m), \\
e_3 &= \epsilon_\theta(\phi(x_t, e_2, t, m), m), \\
e_4 &= \epsilon_\theta(\phi(x_t, e_3, t, s), s),
\end{aligned} \qquad e = \tfrac16\,(e_1 + 2e_2 + 2e_3 + e_4)$$

[tested](test:diffusion/samplers/test_formulas.py::test_pndm_is_its_formula). Only $e_1$ is kept for
the multistep steps that follow.

**Multistep almost from the start** (`start='plms'`, the default; diffusers calls it
`skip_prk_steps`). Only the first step looks ahead: it makes a trial step, and then goes again from
$x_t$, with the mean of the noises at both ends. The second step has two noises to mix, the third
three. In total there is one call more than there are steps.

> **Four noises, but order two.** The classical method with four slopes has order four. The paper
> proves only order two for this one. The reason is $\phi$: the mixture is a mean over equal parts
> of $t$, but $\phi$ moves along $\bar\sigma$, which does not grow evenly in $t$. On Gaussian data,
> down to $T/8$, halving the step size divides the error by about four
> [tested](test:diffusion/samplers/test_orders.py::test_pndm_has_order_two). On the last eighth some
> of the order is lost ([why](ddim.html)).
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

    Raises `ValueError` for a spacing with steps of unequal length, and for an unknown start.
    """

    start: Annotated[str, 'how to begin, plms or prk'] = 'plms'  # type: ignore[assignment]

    def prepare(self) -> None:
        r"""
        Check the options
        """
        # `start` is also a method of the contract, so the option is stored under another name
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
        The steps that need a start, because too few earlier noises are known
        """
        # The last step cannot look ahead: at its end there is no noise for the network to predict
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
        known: list[Tensor] = []  # guesses, the latest first, four at most
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
            # A single noise already belongs to its $\hat x_0$; a mixture has to be made so
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


# A dataclass keeps the default of a field as an attribute of the class. Here it would hide the
# contract's method `start`
del PNDM.start


def mixed(weights: Sequence[float], noises: Sequence[Tensor]) -> Tensor:
    r"""
    $\sum_k w_k e_k$
    """
    return torch.stack([w * e for w, e in zip(weights, noises, strict=True)]).sum(0)
