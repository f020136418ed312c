r"""
---
title: The bound in bits per dimension, and what it loses
summary: >
  The decoder for pixels with finitely many levels, every term of the variational bound, progressive
  lossy coding, and the exact cost of a fixed variance on data where it has a closed form.
---

# The bound in bits per dimension

A model that gives an image the probability $p_\theta(x_0)$ can encode it in $-\log_2 p_\theta(x_0)$
bits, and no code of that model can do better on average. So likelihood measures compression. Its
unit is the bit per dimension: bits divided by pixels times channels. A photograph of 8 bits a
channel has 8 bits per dimension as it is; the paper's CIFAR-10 model needs 3.75 (table 1).

[The derivation](index.html) bounds that number by $L = L_0 + L_1 + \dots + L_T$. This page computes
every term, and shows what each says: a rate, a distortion, or the price of a wrong variance.

    from labml_nn.diffusion.ddpm.likelihood import bound
    found = bound(diffusion, images, n_levels=256)
    print(found.total().mean())  # bits per dimension
    print(found.rate(), found.rmse())  # progressive coding, [n_steps] each

or, for a run and its own data, `python -m labml_nn.diffusion.ddpm.evaluate likelihood runs/digits`
([what it prints](coding.html)).

> **The index.** As everywhere, step $t$ of the paper has the index $t - 1$ in the code. The paper
> numbers the terms of the bound in the same way: step $t$ costs $L_{t-1}$. So `terms[:, t]` is
> $L_t$, for $t = 0 \dots T$.

## 1. The decoder (section 3.3)

Images are not continuous: an 8-bit pixel is one of 256 levels, a pixel of the digits one of 17. The
probability of a level is what the last Gaussian puts nearer to it than to any other; the darkest
and the brightest own everything beyond them (eq. 13):

$$p_\theta(x_0|x_1) = \prod_i \int_{\delta_-(x_0^i)}^{\delta_+(x_0^i)}
\mathcal N\big(x;\ \mu_\theta^i(x_1, 1),\ \sigma_1^2\big)\,dx$$

[tested](test:diffusion/ddpm/test_likelihood.py::test_a_level_has_what_is_nearest_to_it). With $K$
levels from $-1$ to $1$ they are $\frac2{K-1}$ apart, and $\delta_\pm(x) = x \pm \frac1{K-1}$, but
$\delta_-(-1) = -\infty$ and $\delta_+(1) = \infty$. These are probabilities: over the levels they
sum to one [tested](test:diffusion/ddpm/test_likelihood.py::test_the_levels_share_all_probability).

**Which $\sigma_1^2$?** $\tilde\beta_1 = 0$ would put all probability on one level. The authors'
code borrows $\tilde\beta_2$, for both choices of the variance, and so does this page;
`first='beta'` takes $\beta_1$ instead.

## 2. The terms

$L_T$ says how far the end of the forward process is from pure noise. It has no parameters, and is
$10^{-5}$ bits per dimension for the paper's schedule
[tested](test:diffusion/ddpm/test_bound.py::test_prior_term_is_as_small_as_the_paper_says). The
terms between are divergences of two Gaussians, pixel by pixel:

$$D_{KL}\big(\mathcal N(\mu_q, \sigma_q^2)\,\|\,\mathcal N(\mu_p, \sigma_p^2)\big) =
\tfrac12\Big(e^\delta - 1 - \delta + \frac{(\mu_q-\mu_p)^2}{\sigma_p^2}\Big), \qquad
\delta = \log\frac{\sigma_q^2}{\sigma_p^2}$$

which is never negative, as $e^\delta \ge 1 + \delta$
[tested](test:diffusion/ddpm/test_likelihood.py::test_kl_is_never_negative), and is what torch's own
distributions have [tested](test:diffusion/ddpm/test_likelihood.py::test_kl_agrees_with_torch). The
sum of all terms is $\mathbb E_q[\log q(x_{1:T}|x_0) - \log p_\theta(x_{0:T})]$. Its mean over
chains that are really run forward, one step after the other, is the same number
[tested](test:diffusion/ddpm/test_likelihood.py::test_the_terms_sum_to_the_bound_of_whole_chains).
The sum of the terms is the usual estimate: each term has part of its expectation in closed form,
where a chain would have a draw.

> **The decoder is one of many terms, and half of the bits.** For the paper's CIFAR-10 model $L_0$
> is 1.97 of 3.75 bits per dimension (section 4.3): detail too fine to be seen.

## 3. What the bound loses: the exact answer

Take data for which everything is known: every dimension $\mathcal N(0, s^2)$, and the exact
$\mathbb E[\epsilon|x_t]$ for a model. Then $q(x_{t-1}|x_t)$ is a Gaussian; the model has its mean,
so all that can be wrong is the variance. Regroup the bound by steps *back*, $q(x_{0:T}) =
q(x_T)\prod_t q(x_{t-1}|x_t)$: what it loses against the entropy of the data is

$$L - H = D_{KL}\big(q(x_T)\,\|\,p(x_T)\big) + \sum_{t=1}^T
\mathbb E\,D_{KL}\big(q(x_{t-1}|x_t)\,\|\,p_\theta(x_{t-1}|x_t)\big)$$

[tested](test:diffusion/ddpm/test_likelihood.py::test_the_gap_is_its_closed_form). The first
term is not larger than $L_T$. The others compare two Gaussians with the same mean, and are

$$D_{KL} = \tfrac12\big(r_t - 1 - \log r_t\big)$$

with $r_t = \operatorname{Var}(x_{t-1}|x_t) / \sigma_t^2$, the true variance over the assumed one.
The code's bound, minus the entropy, is this number, within $10^{-4}$ bits per dimension, for $T$ of
10, 100 and 1000, all variances and both schedules
[tested](test:diffusion/ddpm/test_likelihood.py::test_the_gap_is_its_closed_form). For $s = 0.5$ and
the paper's schedule ([tested](test:diffusion/ddpm/test_likelihood.py::test_gaps_on_the_page)):

| variance | $\sigma_1^2$ | bits lost | where |
|---|---|---|---|
| the optimal one | | 0.000 | $r_t = 1$ at every step |
| $\beta_t$ | $\tilde\beta_2$ | 0.165 | 0.164 in the first step, where it is not $\beta$ |
| $\beta_t$ | $\beta_1$ | 0.002 | around step 134, as the data's variance is not 1; 0 if it is |
| $\tilde\beta_t$ | $\tilde\beta_2$ | 0.822 | 0.46 in the first two steps, 0.73 in the first ten |
<!-- measured: test:diffusion/ddpm/test_likelihood.py::test_gaps_on_the_page -->

![Bits per dimension lost on Gaussian data for four choices of the variance. In all, against the
number of steps: beta tilde falls towards 0.64; beta dips to 0.04 and rises to 0.22, nearly all of
it in the first step; beta with beta 1 in the first step falls to nothing; the optimal one loses
nothing. By step, for 1000 steps: beta tilde loses most in
the first ones](figure:likelihood.py::gaps
"Bits per dimension that a fixed variance loses on Gaussian data")

**No number of steps makes $\tilde\beta$ right.** In the first steps, while $\beta$ is about
constant, the noise of $t$ steps is $t$ times that of one, so $\tilde\beta_t/\beta_t$ goes to
$(t-1)/t$ with many steps. The true variance is nearly $\beta_t$ there, so the second step assumes
half of it, the third two thirds. (With 1000 steps it is 0.455 and 0.611
[tested](test:diffusion/ddpm/test_likelihood.py::test_limits_of_the_first_ratios).) With
$r_t = \frac t{t-1}$ the losses sum to Euler's constant, $\gamma = 0.577\dots$, halved:

$$\sum_{t=2}^\infty \tfrac12\Big(\frac1{t-1} - \log\frac t{t-1}\Big) = \frac\gamma2$$

which is 0.416 bits. In the first step the true variance is $\beta_1$, and $\tilde\beta_2$ is half
of it, so $r_1 = 2$, which adds $\frac12(1 - \log 2)$, 0.221 bits. Together 0.638 bits per dimension
remain, however many steps there are
([tested](test:diffusion/ddpm/test_likelihood.py::test_limits_of_many_steps)). With $\beta$ the
0.221 remain, and with $\beta_1$ in the first step nothing does. (With few steps $\beta_2$ is
much larger than $\beta_1$, so $\tilde\beta_2$ is close to $\beta_1$, and the first step loses
little. That is why the curve of $\beta$ has a dip: there the loss of long steps is small already,
and that of the first step is small still.)

**So the right variance is worth more than steps**, and it depends on the data. That is what
[learned variances](../learned_variance.html) are for.

> **Does $\tilde\beta_2$ cost less if pixels have levels?** A little. The decoder does not need
> $x_0$ as a number, only the nearest level, and 256 levels are as coarse as the noise of the first
> step. For data with $s = 0.25$, rounded to 8 bits, the loss with $\beta$ falls from 0.171 to 0.123
> bits, with $\tilde\beta$ from 0.798 to 0.750. With $\beta_1$ in the first step it would be 0.009
> and 0.636. We take $\tilde\beta_2$ because the authors do
> ([tested](test:diffusion/ddpm/test_likelihood.py::test_eight_bit_data)).

## 4. Progressive coding (section 4.3)

Send $x_T$, then $x_{T-1}$, and so on, each coded with what $p_\theta$ expects of it, given the one
sent before. That costs $L_T, L_{T-1}, \dots$ bits (algorithms 3 and 4 of the paper). The receiver
can stop at any time and show $\hat x_0$. (A continuous $x_t$ cannot be sent digit by digit. What is
sent is a draw from $q$, by random numbers that both sides share; about as many bits are needed as
the divergence of $q$ from what the receiver expects. The paper takes such a procedure as given, and
so does this page.) After $x_t$ the receiver has, for images of $d$ dimensions,

$$\text{rate} = \sum_{s \ge t} L_s, \qquad
\text{distortion} = \sqrt{\mathbb E\,\|x_0 - \hat x_0(x_t)\|^2 / d}$$

[tested](test:diffusion/ddpm/test_likelihood.py::test_rate_and_distortion_of_gaussian_data), and
$L_0$ would make the picture exact. As the coder draws $x_t$ from $q(x_t|x_0)$, nothing has to
be simulated: the bound's own terms and its own $\hat x_0$ are the curve ([figure](coding.html)).

[Exercises for this page](exercises.html#the-bound-in-bits), with answers.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.utils import SeededNoise, evaluating, gather

# Where the $\epsilon$ of each step comes from: `noise(shape, device)`
Noise = Callable[[torch.Size, torch.device], Tensor]

# A pixel may be this share of a level's width off its level: rounding, and nothing else
OFF_LEVEL = 0.01


def decoder_log_prob(x0: Tensor, mean: Tensor, log_var: Tensor, n_levels: int | None) -> Tensor:
    r"""
    ## $\log p_\theta(x_0|x_1)$ of each pixel (eq. 13)

    * `x0` images on their levels in $[-1, 1]$, `[batch, ...]`
    * `mean`, `log_var` $\mu_\theta$ and $\log\sigma_1^2$, of that shape or broadcast to it
    * `n_levels` how many levels a pixel has; `None` for continuous data, of which the density is
      taken

    Returns nats, of the shape of `x0`.
    """
    sigma = (log_var / 2).exp()
    if n_levels is None:
        return -((x0 - mean) ** 2 / sigma**2 + log_var + math.log(2 * math.pi)) / 2
    half = 1 / (n_levels - 1)
    # $\frac{\delta_\pm - \mu_\theta}{\sigma_1}$. Instead of infinity, $10^4$ standard deviations:
    # there $\Phi$, the share of a unit Gaussian below a number, is 0 or 1 in any float, and
    # $\log\Phi$ has a finite gradient, unlike at $-\infty$
    low = torch.where(x0 < half - 1, -1e4, (x0 - half - mean) / sigma)
    high = torch.where(x0 > 1 - half, 1e4, (x0 + half - mean) / sigma)
    return log_normal_between(low, high)


def log_normal_between(low: Tensor, high: Tensor) -> Tensor:
    r"""
    #### $\log\big(\Phi(\text{high}) - \Phi(\text{low})\big)$

    > In the right tail both values of $\Phi$ round to 1, and their difference to 0. In the left
    > tail they are small, and their logarithms are exact even where the numbers are too small for a
    > float. So mirror what is right of the middle, and subtract by way of the logarithms
    > [tested](test:diffusion/ddpm/test_likelihood.py::test_probabilities_far_out_are_not_zero).
    """
    low, high = torch.where(low > 0, -high, low), torch.where(low > 0, -low, high)
    log_low, log_high = torch.special.log_ndtr(low), torch.special.log_ndtr(high)
    # $\log(e^b - e^a) = b + \log(1 - e^{a-b})$, and never the logarithm of 0
    return log_high + (-torch.expm1((log_low - log_high).clamp(max=-1e-30))).log()


def normal_kl(q_mean: Tensor, q_log_var: Tensor, p_mean: Tensor, p_log_var: Tensor) -> Tensor:
    r"""
    ## Divergence of two Gaussians, pixel by pixel, in nats
    """
    delta = q_log_var - p_log_var
    # $e^\delta - 1 - \delta \ge 0$; what is below is rounding
    shape = (torch.expm1(delta) - delta).clamp(min=0)
    return (shape + (q_mean - p_mean) ** 2 * (-p_log_var).exp()) / 2


def bits_per_dim(nats: Tensor) -> Tensor:
    r"""
    The mean over all but the first dimension, in bits, `[batch]`
    """
    return nats.flatten(1).mean(1) / math.log(2)


def prior_bits(diffusion: DenoiseDiffusion, x0: Tensor) -> Tensor:
    r"""
    ## $L_T = D_{KL}\big(q(x_T|x_0)\,\|\,\mathcal N(\mathbf 0, \mathbf I)\big)$, `[batch]`
    """
    t = torch.full((len(x0),), diffusion.n_steps - 1, device=x0.device)
    mean, var = diffusion.q_xt_x0(x0, t)
    zero = torch.zeros_like(var)
    return bits_per_dim(normal_kl(mean, var.log(), zero, zero))


def step_bits(
    diffusion: DenoiseDiffusion,
    x0: Tensor,
    xt: Tensor,
    t: Tensor,
    mean: Tensor,
    log_var: Tensor,
    n_levels: int | None,
) -> Tensor:
    r"""
    ## $L_t$ of a step back: the decoder at `t = 0`, a divergence elsewhere

    * `xt` a draw from $q(x_t|x_0)$
    * `t` the step of each image, `[batch]`
    * `mean`, `log_var` of $p_\theta(x_{t-1}|x_t)$

    Returns bits per dimension, `[batch]`.
    """
    q_mean, _ = diffusion.q_posterior(x0, xt, t)
    q_log_var = gather(diffusion.log_beta_tilde, t, x0.ndim)
    divergence = normal_kl(q_mean, q_log_var, mean, log_var)
    code = -decoder_log_prob(x0, mean, log_var, n_levels)
    is_first = (t == 0).reshape(-1, *[1] * (x0.ndim - 1))
    return bits_per_dim(torch.where(is_first, code, divergence))


def fixed_log_variance(diffusion: DenoiseDiffusion, variance: str, first: str) -> Tensor:
    r"""
    #### $\log\sigma_t^2$ of all steps, `[n_steps]`

    * `variance` `beta` or `beta_tilde`
    * `first` that of the decoder: `beta_tilde`, of the second step, or `beta`
    """
    choices = {'beta': diffusion.beta.log(), 'beta_tilde': diffusion.log_beta_tilde}
    for name in (variance, first):
        if name not in choices:
            raise ValueError(f'variance {name!r} is not known: use beta or beta_tilde')
    return torch.cat([choices[first][:1], choices[variance][1:]])


class Bound(NamedTuple):
    r"""
    ## The bound, term by term

    * `terms` for each variance by name, $L_0 \dots L_T$ in bits per dimension, `[batch, n_steps+1]`
    * `mse` the mean squared error of $\hat x_0$ at index `t`, `[batch, n_steps]`
    """

    terms: dict[str, Tensor]
    mse: Tensor

    def of(self, variance: str | None = None) -> Tensor:
        r"""
        The terms of that variance; of the first one when not given.
        """
        return self.terms[variance or next(iter(self.terms))]

    def total(self, variance: str | None = None) -> Tensor:
        r"""
        $L = L_0 + \dots + L_T$ of each image, `[batch]`
        """
        return self.of(variance).sum(1)

    def rate(self, variance: str | None = None) -> Tensor:
        r"""
        The bits that have been sent once $x_t$ has, `[n_steps]`: at index `t`, that is the paper's
        step $t+1$, $\sum_{s > t} L_s$
        """
        later = self.of(variance).mean(0)[1:]
        return later.flip(0).cumsum(0).flip(0)

    def rmse(self) -> Tensor:
        r"""
        How far the $\hat x_0$ of $x_t$ is from the image, `[n_steps]`, in units of $[-1, 1]$
        """
        return self.mse.mean(0) ** 0.5


@torch.no_grad()
def bound(
    diffusion: DenoiseDiffusion,
    x0: Tensor,
    n_levels: int | None = 256,
    *,
    noise: Noise | None = None,
    clip_x0: bool = False,
    variances: Sequence[str] = (),
    first: str = 'beta_tilde',
    tell: Callable[[int], None] | None = None,
) -> Bound:
    r"""
    ## Every term of the bound, for a batch of images

    * `x0` images on their levels, `[batch, ...]`
    * `n_levels` of a pixel: 256 for 8 bits, 17 for the digits; `None` for continuous data
    * `noise` where the $\epsilon$ of each step comes from; image $i$ has the seed `(0, i)` when not
      given
    * `clip_x0` keep $\hat x_0$ in $[-1, 1]$, as the authors do when they evaluate. No divergence
      becomes larger by it
      [tested](test:diffusion/ddpm/test_likelihood.py::test_clipping_never_raises_a_divergence)
    * `variances` `beta`, `beta_tilde` or `learned`: the bounds of all of them cost one pass, as
      they share the mean. When not given, that of `diffusion`
    * `first` the variance of the decoder, if it is not learned
    * `tell` is called after each step of the network

    Raises `ValueError` for images that are not on these levels.
    """
    on_levels(x0, n_levels)
    T = diffusion.n_steps
    variances = variances or (diffusion.variance,)
    fixed = {v: fixed_log_variance(diffusion, v, first) for v in variances if v != 'learned'}
    if len(fixed) < len(variances) and diffusion.variance != 'learned':
        raise ValueError('this model has no learned variance: use beta or beta_tilde')
    noise = SeededNoise(len(x0), seed=0) if noise is None else noise
    terms: dict[str, list[Tensor]] = {v: [] for v in variances}
    mse = []
    for i in range(T):
        t = torch.full((len(x0),), i, device=x0.device)
        # $x_t \sim q(x_t|x_0)$
        xt = diffusion.q_sample(x0, t, noise(x0.shape, x0.device))
        with evaluating(diffusion.eps_model):
            mean, var, x0_hat = diffusion.p_mean_var(xt, t, clip_x0=clip_x0)
        for v, columns in terms.items():
            log_var = gather(fixed[v], t, x0.ndim) if v in fixed else var.log()
            columns.append(step_bits(diffusion, x0, xt, t, mean, log_var, n_levels))
        mse.append((x0 - x0_hat).flatten(1).pow(2).mean(1))
        if tell is not None:
            tell(i)
    last = prior_bits(diffusion, x0)
    return Bound(
        {v: torch.stack([*columns, last], dim=1) for v, columns in terms.items()},
        torch.stack(mse, dim=1),
    )


def on_levels(x0: Tensor, n_levels: int | None) -> None:
    r"""
    A `ValueError` unless every pixel has one of `n_levels` values, $-1$ and $1$ being the ends.
    """
    if n_levels is None:
        return
    if n_levels < 2:
        raise ValueError(f'n_levels={n_levels}: a pixel has at least two')
    k = (x0 + 1) * ((n_levels - 1) / 2)
    off = float((k - k.round()).abs().max())
    if not (off <= OFF_LEVEL and float(x0.abs().max()) < 1 + OFF_LEVEL / n_levels):
        raise ValueError(
            f'the images go from {float(x0.min()):g} to {float(x0.max()):g} and have pixels '
            f'{off:.2f} of a level off the {n_levels} levels of [-1, 1]: give the n_levels they '
            f'were made with (level k is 2 * k / (n_levels - 1) - 1), or None for continuous data'
        )
