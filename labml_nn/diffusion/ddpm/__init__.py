r"""
---
title: Denoising Diffusion Probabilistic Models (DDPM)
summary: >
  The derivation from the forward process to the simplified loss, every identity tested,
  and the class that computes it.
---

# Denoising Diffusion Probabilistic Models

This page derives and implements [Denoising Diffusion Probabilistic
Models](https://arxiv.org/abs/2006.11239) [@ho2020]. Shrink a picture a little and add a little
Gaussian noise, a thousand times, and almost nothing of the picture is left. Each of these small
steps can be undone, approximately: the picture before the step is drawn from a Gaussian, and a
neural network has learned to compute the mean of this Gaussian. Start from pure noise and undo a
thousand steps, and the result is a new picture. The idea is from @sohldickstein2015. The loss is
close to that of an older method, [score matching](score.html) [@song2019].

* [The score](score.html): a second view of what the network learns, and of why steps can be undone
* [The U-Net](unet.html) that predicts the noise
* [Averaged weights](ema.html): samples are drawn with the average of the weights over training
* [Training](train.html): Algorithm 1, and [its command line](experiment.html)
* [Evaluation](evaluate.html): samples, animations, interpolation
* [An upper bound on the negative log likelihood](likelihood.html), in bits per dimension, and
  [compression](coding.html): how many bits give how good a picture
* [Exercises](exercises.html), with answers

Equations, algorithms and tables have the numbers of the paper. The mark *tested* behind a sentence
leads to the test that checks it.
"""

# pylit: fold
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from labml_nn.diffusion.ddpm.utils import (
    SeededNoise,
    both_forms,
    device_of,
    evaluating,
    gather,
    in_halves,
    in_range,
    one_for_each,
    same_shape,
    squared_error,
)

__all__ = ['DenoiseDiffusion', 'EpsModel', 'at_a_glance', 'gather']
# pylit: end


def at_a_glance(x0: Tensor, n_steps: int = 100, n_updates: int = 2000) -> Tensor:
    r"""
    ## The whole of it, at a glance

    Training and sampling in 23 lines. Here the pictures `x0` are points in the plane,
    `[batch, 2]`, and the network has three layers. The function returns new points with about the
    same distribution
    [tested](test:diffusion/ddpm/test_glance.py::test_samples_lie_where_the_data_lies).
    """
    # Step $t$ shrinks the points and adds noise of variance $\beta_t$. Steps 1 to $t$ together
    # multiply a point by $\sqrt{\bar\alpha_t}$. The paper's 1000 betas grow only to 0.02
    beta = torch.linspace(1e-4, 0.2, n_steps)
    alpha_bar = (1 - beta).cumprod(0)
    # The network gets the noisy point and the step, and guesses the noise
    hidden = nn.Sequential(nn.Linear(64, 64), nn.SiLU())
    eps_theta = nn.Sequential(nn.Linear(3, 64), nn.SiLU(), hidden, nn.Linear(64, 2))
    adam = torch.optim.Adam(eps_theta.parameters(), lr=1e-2)
    # **Training** (Algorithm 1). Draw a step $t$ for each point, add the noise of all steps up to
    # $t$ at once, guess this noise, and update the weights by the gradient of the squared error
    for _ in range(n_updates):
        t = torch.randint(n_steps, (len(x0), 1))
        eps = torch.randn_like(x0)
        xt = alpha_bar[t] ** 0.5 * x0 + (1 - alpha_bar[t]) ** 0.5 * eps
        error = eps - eps_theta(torch.cat([xt, t / n_steps], 1))
        loss = error.square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    # **Sampling** (Algorithm 2). Begin with pure noise. In each step subtract a part of the guessed
    # noise, undo the shrinking, and add a little new noise $z$, except in the last step
    x = torch.randn_like(x0)
    for i in reversed(range(n_steps)):
        t = torch.full((len(x), 1), i)
        with torch.no_grad():
            eps = eps_theta(torch.cat([x, t / n_steps], 1))
        mean = x - beta[i] / (1 - alpha_bar[i]) ** 0.5 * eps
        z = torch.randn_like(x) * (i > 0)
        x = mean / (1 - beta[i]) ** 0.5 + beta[i] ** 0.5 * z
    return x


r"""
The rest of the page derives the method and these formulas, step by step.

## Notation

$x_0$ is an image from the data set, and $x_t$ the same image after $t$ of $T$ steps. **Step $t$ has
the index `t` - 1 in the code.** It adds noise of variance $\beta_t$. $\alpha_t = 1 - \beta_t$ and
$\bar\alpha_t = \alpha_1\alpha_2\cdots\alpha_t$ are shares of *variance*: an image is multiplied by
their square roots. Before the first step $\bar\alpha_0 = 1$. `eps` is the noise in $x_t$, that of
all steps together, scaled to unit variance. $q$ is a density of the forward process, which adds
noise, and $p_\theta$ one of the model; the index stands for its weights. Other libraries have other
names: `alphas_cumprod` for $\bar\alpha$, `posterior_variance` for $\tilde\beta$ (section 2), and
`pred_original_sample` for $\hat x_0$, the image that a guess of the noise implies.

## 1. The forward process: noise in small steps

Each step shrinks the image a little and adds a little noise (eq. 2):

$$q(x_t|x_{t-1}) = \mathcal N\big(x_t;\ \sqrt{1-\beta_t}\,x_{t-1},\ \beta_t \mathbf I\big)$$
<!-- no-test: definition -->

The shrinking keeps the variance of a pixel at one: if it is one in $x_{t-1}$, then in $x_t$ it is
$(1-\beta_t) + \beta_t = 1$. Without shrinking the variance would grow with every step.

**All steps at once.** Write two steps out, with independent noises $\epsilon_1, \epsilon_2$ of unit
variance:

$$x_2 = \sqrt{\alpha_2}\big(\sqrt{\alpha_1}\,x_0 + \sqrt{1-\alpha_1}\,\epsilon_1\big)
      + \sqrt{1-\alpha_2}\,\epsilon_2$$

The two noise terms are Gaussian and independent, so their sum is Gaussian and their variances add:
$\alpha_2(1-\alpha_1) + (1-\alpha_2) = 1 - \alpha_1\alpha_2$
[tested](test:diffusion/ddpm/test_derivation.py::test_two_steps_are_one). Two steps are one step
with $\alpha_1\alpha_2$ in the place of $\alpha$, and by induction (eq. 4)

$$q(x_t|x_0) = \mathcal N\big(x_t;\ \sqrt{\bar\alpha_t}\,x_0,\ (1-\bar\alpha_t)\mathbf I\big)
\tag{4} \label{eq:closed-form}$$

An $x_t$ drawn in this one step is distributed as after $t$ single steps
[tested](test:diffusion/ddpm/test_forward.py::test_closed_form_is_t_single_steps). Training needs
$x_t$ at a random $t$. With this formula it takes one line and no loop.

![Four digits at nine steps: up to t = 100 they are easily read, from 500 on there is only
noise](live:noising "Digits on their way to noise")

> **How much of the image is left at the end?** In the paper $T = 1000$, and $\beta_t$ grows
> linearly from $10^{-4}$ to $0.02$. The image is multiplied by $\sqrt{\bar\alpha_T} = 0.0064$
> ([tested](test:diffusion/ddpm/test_forward.py::test_signal_left_at_the_end)), so that 0.6 % is
> left, and sampling may start from pure noise. The same range of betas in 100 steps leaves 60 %: a
> chain of fewer steps needs larger betas. But a network that was trained with 1000 steps can
> [sample with fewer](../samplers/index.html).

## 2. One step back, if the image is known

By Bayes' rule, and because $x_t$ depends on $x_0$ only by way of $x_{t-1}$, each pixel of $x_{t-1}$
has the density

$$q(x_{t-1}|x_t, x_0) \propto q(x_t|x_{t-1})\,q(x_{t-1}|x_0) \propto
\exp\Big(-\frac{(x_t-\sqrt{\alpha_t}\,x_{t-1})^2}{2\beta_t}
         -\frac{(x_{t-1}-\sqrt{\bar\alpha_{t-1}}\,x_0)^2}{2(1-\bar\alpha_{t-1})}\Big)$$

As a function of $x_{t-1}$ the exponent is quadratic, so this is a Gaussian
[tested](test:diffusion/ddpm/test_posterior.py::test_is_bayes_rule). One over its variance
$\tilde\beta_t$ is the coefficient of $-\frac12 x_{t-1}^2$. As
$\alpha_t(1-\bar\alpha_{t-1}) + \beta_t = 1 - \bar\alpha_t$, it is

$$\frac1{\tilde\beta_t} = \frac{\alpha_t}{\beta_t} + \frac1{1-\bar\alpha_{t-1}}
  = \frac{1-\bar\alpha_t}{\beta_t(1-\bar\alpha_{t-1})}
\qquad\Rightarrow\qquad
\tilde\beta_t = \frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}\,\beta_t$$

([tested](test:diffusion/ddpm/test_derivation.py::test_precisions_add_up)). The mean is
$\tilde\beta_t$ times the coefficient of $x_{t-1}$ in the exponent (eq. 6, 7):

$$\tilde\mu_t(x_t, x_0)
= \tilde\beta_t\Big(\frac{\sqrt{\alpha_t}}{\beta_t}x_t
                    + \frac{\sqrt{\bar\alpha_{t-1}}}{1-\bar\alpha_{t-1}}x_0\Big)
= \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}\,x_0
+ \frac{\sqrt{\alpha_t}\,(1-\bar\alpha_{t-1})}{1-\bar\alpha_t}\,x_t
\tag{7} \label{eq:posterior}$$

This fits the forward process: draw $x_t$ from $q(x_t|x_0)$, take this step back, and the result is
distributed as $q(x_{t-1}|x_0)$
[tested](test:diffusion/ddpm/test_posterior.py::test_composes_with_the_forward_process).

## 3. One step back, if the image is not known

When we *sample*, $x_0$ is not known. But suppose that the noise of one step is small beside the
noise that is there already, $\beta_t \ll 1-\bar\alpha_t$. Let $q(x_{t-1})$ be the density of
$x_{t-1}$ when $x_0$ is drawn from the data. The noise of the earlier steps has made it smooth: over
a step its logarithm is nearly linear. By Bayes' rule the true step back $q(x_{t-1}|x_t)$ is
proportional to $q(x_t|x_{t-1})$ times $q(x_{t-1})$. As a function of $x_{t-1}$ the first factor is
a Gaussian, and a Gaussian times the exponential of a linear function is a Gaussian with another
mean. So the true step back is nearly a Gaussian ([except](score.html) at the smallest $t$). Its
mean depends on the data, its variance hardly. So the model is a chain of Gaussians (eq. 1)

$$p_\theta(x_{0:T}) = p(x_T)\prod_{t=1}^T p_\theta(x_{t-1}|x_t), \qquad
p(x_T) = \mathcal N(\mathbf 0, \mathbf I),$$
<!-- no-test: definition -->

with learned means and a fixed $\sigma_t^2$:

$$p_\theta(x_{t-1}|x_t) = \mathcal N\big(x_{t-1};\ \mu_\theta(x_t,t),\ \sigma_t^2\mathbf I\big)$$
<!-- no-test: definition -->

The best fixed variance is that with the lowest bound (section 4). It is $\beta_t$ for Gaussian
data of unit variance, and $\tilde\beta_t$ for data that is a single point
[tested](test:diffusion/ddpm/test_derivation.py::test_the_best_variance_at_both_extremes). For
Gaussian data of less than unit variance it lies between the two
[tested](test:diffusion/ddpm/test_derivation.py::test_the_two_variances_bracket_the_best_one).

> **Which of the two variances?** $\tilde\beta_t/\beta_t$ is 0.45, 0.85 and 0.98 at $t = 2, 10, 100$
> ([tested](test:diffusion/ddpm/test_posterior.py::test_ratio_of_the_two_variances)), so with a
> thousand steps the two differ only at small $t$. The authors took $\tilde\beta_t$ for the larger
> images, and $\beta_t$ for CIFAR-10. The class below takes $\beta_t$ unless told otherwise. With
> fewer steps [the choice matters more](../samplers/ancestral.html), and the default there is the
> smaller one. In [the bound](likelihood.html) a choice that does not fit the data costs many bits.

## 4. The bound

A good $\theta$ gives the data a high probability. But $p_\theta(x_0)$ is an integral over all
chains that end in $x_0$, which cannot be computed. Multiply and divide its integrand by
$q(x_{1:T}|x_0)$, and it is a mean over chains drawn from the forward process. As $-\log$ is convex,
Jensen's inequality gives (eq. 3)

$$-\log p_\theta(x_0)
= -\log \mathbb E_q\Big[\frac{p_\theta(x_{0:T})}{q(x_{1:T}|x_0)}\Big]
\le \mathbb E_q\Big[-\log\frac{p_\theta(x_{0:T})}{q(x_{1:T}|x_0)}\Big] =: L$$

So $L$ is an upper bound [tested](test:diffusion/ddpm/test_bound.py::test_jensen), and making it
small makes the data probable. Numerator and denominator are both products over steps, but they run
in opposite directions. To compare them step by step, turn the forward steps around. By Bayes' rule,
as in section 2,

$$q(x_t|x_{t-1}) = q(x_{t-1}|x_t, x_0)\,\frac{q(x_t|x_0)}{q(x_{t-1}|x_0)} \qquad (t > 1)$$

In the product over $t = 2 \dots T$ the fractions telescope to $q(x_T|x_0)/q(x_1|x_0)$
[tested](test:diffusion/ddpm/test_derivation.py::test_a_step_turned_around). Its denominator cancels
against the factor of $t=1$, which is $q(x_1|x_0)$ itself. For each step from $x_t$ to $x_{t-1}$
there remains the Kullback–Leibler divergence (the mean of the logarithm of the ratio) of two
Gaussians: the one that knows the image, and the model's. The two ends of the chain have terms of
their own (eq. 5):

$$L = \mathbb E_q\Big[
\underbrace{D_{KL}\big(q(x_T|x_0)\,\|\,p(x_T)\big)}_{L_T}
+ \sum_{t>1}\underbrace{D_{KL}\big(q(x_{t-1}|x_t,x_0)\,\|\,p_\theta(x_{t-1}|x_t)\big)}_{L_{t-1}}
\allowbreak\underbrace{-\log p_\theta(x_0|x_1)}_{L_0}\Big]$$

This holds for every single chain, even before the expectation is taken: with logarithms alone in
the place of the divergences, the terms add up to the negative logarithm in eq. 3
[tested](test:diffusion/ddpm/test_bound.py::test_telescoping). $L_T$ has no parameters, so it is not
trained. $L_0$ is the negative log probability of the exact grey levels, given $x_1$; [the bound in
bits](likelihood.html) computes it, and training puts a term like the others in its place.

## 5. From means to noise

The divergence of two Gaussians in $d$ dimensions, with the variances $\tilde\beta_t$ and
$\sigma_t^2$, has a closed form. Averaged over $q$ it is (eq. 8)

$$L_{t-1} = \mathbb E_q\Big[\frac1{2\sigma_t^2}
\big\|\tilde\mu_t(x_t,x_0)-\mu_\theta(x_t,t)\big\|^2\Big]
+ \underbrace{\frac d2\Big(\frac{\tilde\beta_t}{\sigma_t^2}-1
-\log\frac{\tilde\beta_t}{\sigma_t^2}\Big)}_{\text{no } \theta}$$

Only the first term depends on $\theta$
[tested](test:diffusion/ddpm/test_derivation.py::test_kl_of_two_gaussians). So $\mu_\theta$ has to
predict $\tilde\mu_t$, as well as $x_t$ allows: the best it can do is the mean of $\tilde\mu_t$ over
all $x_0$ that $x_t$ may have come from. By \eqref{eq:closed-form}, $x_0$ follows from $x_t$ and the
noise $\epsilon$ in it:

$$x_0 = \frac{x_t - \sqrt{1-\bar\alpha_t}\,\epsilon}{\sqrt{\bar\alpha_t}}
\qquad\Rightarrow\qquad
\tilde\mu_t = \frac1{\sqrt{\alpha_t}}
\Big(x_t - \frac{\beta_t}{\sqrt{1-\bar\alpha_t}}\,\epsilon\Big)$$

The second equation follows from the first and \eqref{eq:posterior}
[tested](test:diffusion/ddpm/test_derivation.py::test_the_mean_in_terms_of_the_noise), again with
$\beta_t + \alpha_t(1-\bar\alpha_{t-1}) = 1-\bar\alpha_t$. Now $x_t$ is given, and the only unknown
is $\epsilon$. Let the network predict it (eq. 11),

$$\mu_\theta(x_t, t) = \frac1{\sqrt{\alpha_t}}
\Big(x_t - \frac{\beta_t}{\sqrt{1-\bar\alpha_t}}\,\epsilon_\theta(x_t, t)\Big)$$

([tested](test:diffusion/ddpm/test_sampling.py::test_p_sample_is_algorithm_2)). Then the difference
of the means is that of the noises, times a factor that depends on $t$ alone (eq. 12):

$$L_{t-1} = \mathbb E_{x_0,\epsilon}\Big[\frac{\beta_t^2}{2\sigma_t^2\alpha_t(1-\bar\alpha_t)}
\big\|\epsilon-\epsilon_\theta(x_t,t)\big\|^2\Big] + \text{const}
\tag{12} \label{eq:weighted}$$

This holds for both choices of $\sigma_t^2$
[tested](test:diffusion/ddpm/test_bound.py::test_kl_is_weighted_eps_error). $L_0$, the term of
$t = 1$, has this form too, if the density of the Gaussian stands for the probability of a grey
level. As $\tilde\beta_1 = 0$, take $\sigma_1^2 = \beta_1$ there.

> **Why the noise, and not $x_0$ or the mean?** Given $x_t$ and $t$, each of the three determines
> the other two. So the network could predict [any of them](../targets.html). What changes is how
> much an error counts at each $t$: the squared error of the noise is that of $\hat x_0$ times the
> signal-to-noise ratio, a ratio of variances, which falls from 10,000 to 0.00004
> [tested](test:diffusion/ddpm/test_derivation.py::test_noise_error_is_image_error_times_snr). The
> authors chose by trial. Predicting $x_0$ gave worse samples (section 3.2), and the loss of the
> next section works with the noise but not with the mean (table 2).

## 6. The simple loss

Drop the weight of \eqref{eq:weighted}, and take the mean over the $d$ pixels instead of their sum
(eq. 14):

$$L_\text{simple} = \mathbb E_{t, x_0, \epsilon}\Big[\frac1d\,\big\|\epsilon -
\epsilon_\theta(\sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\epsilon,\ t)\big\|^2\Big],
\qquad t \text{ uniform in } 1 \dots T$$

The network gets the noisy image and its step
[tested](test:diffusion/ddpm/test_loss.py::test_the_model_sees_the_noised_image_and_its_step), never
$x_0$. At each $t$ the same answer minimises this loss and the bound. But one network serves all
$t$, and the weight of a $t$ decides how hard it tries there. With $\sigma_t^2=\beta_t$ the weight
that was dropped is 0.50, 0.27 and 0.07 at $t = 1, 2, 10$, and between 0.005 and 0.010 from
$t = 100$ on ([tested](test:diffusion/ddpm/test_bound.py::test_weight_that_l_simple_drops)): the
bound gives most weight to noise that is too faint to see. Without this weight the network learns
more from stronger noise, where the shapes in a picture are decided.

![The weight against t on logarithmic axes falls from 0.5 at t = 1 to 0.01 at t = 100, and is about
that or less from there on. In the simple loss it is 1 everywhere.](figure:ddpm.py::weight
"The weight that the simple loss drops")

Table 1 of the paper compares the two losses on CIFAR-10. With the simple one the bound is worse by
0.05 bits per dimension, that is, per number of an image, but the samples are much better: their
[FID](../../evaluation/frechet.html), a distance from the data, is 3.17 instead of 13.51.

A network that outputs zero has $L_\text{simple} = \mathbb E\,\epsilon^2 = 1$
[tested](test:diffusion/ddpm/test_loss.py::test_a_zero_model_has_loss_one).

> **Why does the loss stop falling while the pictures still improve?** At small $t$ the noise is
> so faint that no network can tell it from the texture of the image. Most of the remaining loss is
> at these $t$ and cannot be removed. What is learned at larger $t$ improves the pictures, and is a
> small part of the sum. So judge a run by samples, drawn each time from the same noise.

![Above, the loss on logarithmic axes: 1 for the first ten updates of the weights, 0.11 after 300,
then nearly flat. Below, eight samples from the same noise at four moments: noise, grey blurs,
ragged digits, clear ones](figure:ddpm.py::training
"The loss, and samples from the same noise, during training")
"""


# Anything that guesses the noise from `(xt, t)`: a network, a formula, or a function that calls a
# network. If it is trained with labels, these are its third argument
EpsModel = Callable[..., Tensor]


class DenoiseDiffusion(nn.Module):
    r"""
    ## Denoise Diffusion

    A noise predictor $\epsilon_\theta$ with the forward process, which adds noise, and the reverse
    process, which removes it. Images have any shape `[batch, ...]`; in this package they are
    `[batch, channels, height, width]` in $[-1, 1]$. In the methods, [`gather`](utils.html) picks
    the constant of each image's own step.

    > **Why $[-1, 1]$?** The chain starts from $\mathcal N(\mathbf 0, \mathbf I)$, so the data must
    > be centred and no larger than the noise. With 0..255 the noise would never cover the image.
    > With $[0, 1]$ the variance of the data is a quarter as large, and so is the signal-to-noise
    > ratio of each step
    > [tested](test:diffusion/ddpm/test_derivation.py::test_images_of_0_to_1). Clipping to $[-1, 1]$
    > would let through values below 0, darker than black. And a program that takes -1 for black
    > shows such pictures too pale.
    """

    # The constants of all steps, each `[n_steps]`, float32
    beta: Tensor
    alpha: Tensor
    alpha_bar: Tensor
    alpha_bar_prev: Tensor
    one_minus_alpha_bar: Tensor
    one_minus_alpha_bar_prev: Tensor
    beta_tilde: Tensor
    log_beta_tilde: Tensor
    sigma2: Tensor
    target: str = 'eps'  # what the model predicts

    def __init__(
        self,
        eps_model: EpsModel,  # any callable (xt, t) -> eps, of the shape of xt
        n_steps: int,  # T
        device: torch.device | str | None = None,  # of the constants; None: where the model is
        *,
        beta: Tensor | None = None,  # any schedule, [n_steps] in (0, 1); None: the paper's
        alpha_bar: Tensor | None = None,  # or the products of 1 - beta, falling from 1 towards 0
        variance: str = 'beta',  # sigma2: 'beta' (CIFAR-10), 'beta_tilde' (256² runs), 'learned'
    ):
        r"""
        Raises `ValueError` for an invalid schedule; warns (`UserWarning`) if the steps of `beta`
        leave more than 0.05 of an image: then a chain must not start from pure noise.

        With `variance='learned'` the model's output has twice the channels: first the guess of the
        noise, then `v`, which gives [the variance](../learned_variance.html) at each pixel.
        """
        super().__init__()
        self.eps_model = eps_model
        self.n_steps = n_steps
        # The products of a thousand factors are computed in float64, on the CPU, as some devices
        # have no float64
        beta, alpha_bar = both_forms(beta, alpha_bar, n_steps, self.target)
        # Before the first step there is the whole image
        alpha_bar_prev = torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]])
        beta_tilde = (1 - alpha_bar_prev) / (1 - alpha_bar) * beta
        if variance not in ('beta', 'beta_tilde', 'learned'):
            known = "'beta', 'beta_tilde' or 'learned'"
            raise ValueError(f'variance={variance!r} is not known: use {known}')
        self.variance = variance
        # $\tilde\beta_1 = 0$ has no logarithm, so the first step borrows the second's
        from_second = torch.cat([beta_tilde[1:2] if n_steps > 1 else beta, beta_tilde[1:]])
        constants = {
            'beta': beta,
            'alpha': 1 - beta,
            'alpha_bar': alpha_bar,
            'alpha_bar_prev': alpha_bar_prev,
            # Stored, not computed from `alpha_bar` later: at the first step it is $10^{-4}$, and
            # a subtraction in float32 would leave four correct digits of it
            'one_minus_alpha_bar': 1 - alpha_bar,
            'one_minus_alpha_bar_prev': 1 - alpha_bar_prev,
            'beta_tilde': beta_tilde,
            'log_beta_tilde': from_second.log(),
            'sigma2': beta if variance == 'beta' else beta_tilde,
        }
        # Buffers follow `.to(device)`. `persistent=False`: `state_dict()` holds the weights alone
        for name, values in constants.items():
            values = values.to(torch.float32).to(device or device_of(eps_model))
            self.register_buffer(name, values, persistent=False)

    def q_xt_x0(self, x0: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        r"""
        #### Mean and variance of the noisy image (eq. 4)

        Those of $q(x_t|x_0)$.

        * `x0` `[batch, ...]`
        * `t` `[batch]`, int64

        Returns the mean, of the shape of `x0`, and the variance, `[batch, 1, ...]`.
        """
        # $\sqrt{\bar\alpha_t}\,x_0$
        mean = gather(self.alpha_bar, t, x0.ndim) ** 0.5 * x0
        # $1 - \bar\alpha_t$
        var = gather(self.one_minus_alpha_bar, t, x0.ndim)  # [batch, 1, 1, 1]
        return mean, var

    def q_sample(self, x0: Tensor, t: Tensor, eps: Tensor | None = None) -> Tensor:
        r"""
        #### Sample the noisy image

        * `eps` the noise to use, of the shape of `x0`; drawn when not given

        Raises `ValueError` if `eps` does not have the shape of `x0`.
        """
        eps = torch.randn_like(x0) if eps is None else same_shape('eps', eps, x0)
        mean, var = self.q_xt_x0(x0, t)
        # $\sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\epsilon$: the variance's *root*
        return mean + var**0.5 * eps

    def q_posterior(self, x0: Tensor, xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        r"""
        #### One step back, if the image is known (eq. 6, 7)

        Mean and variance of $q(x_{t-1}|x_t,x_0)$. At `t = 0`, step 1, the mean is `x0` and the
        variance is 0: before step 1 there is the image.
        """
        beta = gather(self.beta, t, xt.ndim)
        alpha = gather(self.alpha, t, xt.ndim)
        alpha_bar_prev = gather(self.alpha_bar_prev, t, xt.ndim)
        one_minus_alpha_bar = gather(self.one_minus_alpha_bar, t, xt.ndim)
        one_minus_alpha_bar_prev = gather(self.one_minus_alpha_bar_prev, t, xt.ndim)
        # $\tilde\mu_t = \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}\,x_0 +
        #   \frac{\sqrt{\alpha_t}\,(1-\bar\alpha_{t-1})}{1-\bar\alpha_t}\,x_t$
        mean = (
            alpha_bar_prev**0.5 * beta / one_minus_alpha_bar * x0
            + alpha**0.5 * one_minus_alpha_bar_prev / one_minus_alpha_bar * xt
        )
        return mean, gather(self.beta_tilde, t, xt.ndim)

    def predict_x0(self, xt: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        r"""
        #### The image that a guess of the noise implies

        $\hat x_0$, by the equation for $x_0$ in section 5 (eq. 15 of the paper)
        [tested](test:diffusion/ddpm/test_sampling.py::test_predict_x0_inverts_q_sample).
        At $t = T$ the divisor is 0.0064: an error in `eps` comes out 157 times as large
        ([tested](test:diffusion/ddpm/test_sampling.py::test_an_error_in_eps_is_157_times_as_large_in_x0_at_the_end)).
        """
        noise_std = gather(self.one_minus_alpha_bar, t, xt.ndim) ** 0.5
        return (xt - noise_std * eps) / gather(self.alpha_bar, t, xt.ndim) ** 0.5

    def eps_theta(self, xt: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        r"""
        #### The model's guess of the noise

        Raises `ValueError` unless it has the shape of `xt`; a wrong one would broadcast silently.
        """
        return self.guess(xt, t, label)[0]

    def guess(
        self, xt: Tensor, t: Tensor, label: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        r"""
        $\epsilon_\theta$, $\hat x_0$, and the `v` from which `p_variance` computes a learned
        variance, or `None`
        """
        eps, v = self.output(xt, t, label)
        x0_hat = self.predict_x0(xt, t, eps)
        return eps, x0_hat, v

    def output(
        self, xt: Tensor, t: Tensor, label: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        r"""
        The model's output, in two halves if the variance is learned
        """
        # Samplers pass no labels here: their `eps_model` is a wrapper that holds them
        condition = () if label is None else (label,)
        output = self.eps_model(xt, t, *condition)
        if self.variance != 'learned':
            return same_shape('the output of eps_model', output, xt), None
        return in_halves(output, xt)

    def p_mean_var(
        self, xt: Tensor, t: Tensor, *, clip_x0: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        r"""
        #### One step back by the model

        Mean and variance of $p_\theta(x_{t-1}|x_t)$, and $\hat x_0$. The mean is computed as
        $\tilde\mu_t(x_t, \hat x_0)$, which is the same as the paper's $\mu_\theta$
        [tested](test:diffusion/ddpm/test_sampling.py::test_p_sample_is_algorithm_2).

        > **Departure.** Algorithm 2 does not clip $\hat x_0$. The authors' released code does, and
        > to be able to clip it we compute the mean from it. At $t$ near $T$, $\hat x_0$ is far
        > outside $[-1, 1]$, where there are no images, and without clipping the next steps inherit
        > the error. `clip_x0` is off here, as in the paper, and on in the
        > [`Sampler`](sampler.html). Leave it off for unbounded data.
        """
        return self.p_given(xt, t, *self.guess(xt, t)[1:], clip_x0=clip_x0)

    def p_given(
        self, xt: Tensor, t: Tensor, x0_hat: Tensor, v: Tensor | None, *, clip_x0: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        r"""
        The same as `p_mean_var`, for a guess that was already made. A fixed variance is
        `[batch, 1, ...]`
        """
        if clip_x0:
            x0_hat = x0_hat.clamp(-1, 1)
        mean, _ = self.q_posterior(x0_hat, xt, t)
        return mean, self.p_variance(t, xt.ndim, v), x0_hat

    def p_variance(self, t: Tensor, ndim: int, v: Tensor | None = None) -> Tensor:
        r"""
        $\sigma_t^2$. If it is learned, its logarithm lies `(v + 1) / 2` of the way from
        $\log\tilde\beta_t$ to $\log\beta_t$
        """
        if v is None:
            return gather(self.sigma2, t, ndim)
        low, high = gather(self.log_beta_tilde, t, ndim), gather(self.beta, t, ndim).log()
        return (low + (v + 1) / 2 * (high - low)).exp()

    @torch.no_grad()
    def p_sample(
        self, xt: Tensor, t: Tensor, *, z: Tensor | None = None, clip_x0: bool = False
    ) -> Tensor:
        r"""
        #### Sample one step back (Algorithm 2, line 4)

        * `xt` `[batch, ...]`
        * `t` `[batch]`, int64
        * `z` the noise to use, of the shape of `xt`; drawn when not given
        """
        z = torch.randn_like(xt) if z is None else same_shape('z', z, xt)
        return self.p_step(xt, t, z, clip_x0=clip_x0)[0]

    def p_step(self, xt: Tensor, t: Tensor, z: Tensor, *, clip_x0: bool) -> tuple[Tensor, Tensor]:
        r"""
        The same for a given $z$, with the $\hat x_0$ that the step aimed at

        > **Why add noise again?** The step back is a draw from a Gaussian: its mean, and noise.
        > Means vary less, and every step would shrink the spread again. For Gaussian data of unit
        > variance a chain of means ends with the standard deviation 0.0064 instead of 1
        > [tested](test:diffusion/ddpm/test_derivation.py::test_a_chain_of_means_collapses). For
        > digits it ends on nearly [the same digit](troubles.html) each time.
        > [DDIM](../samplers/ddim.html) does without new noise, because in each step it keeps more
        > of the noise that is in the image.
        """
        with evaluating(self.eps_model):
            mean, var, x0_hat = self.p_mean_var(xt, t, clip_x0=clip_x0)
        # At the last step $z = 0$: no later step would remove this noise, so the paper shows the
        # mean (its section 3.3)
        last = (t == 0).reshape(-1, *[1] * (xt.ndim - 1))  # [batch, 1, 1, 1]
        return mean + torch.where(last, 0.0, var**0.5) * z, x0_hat

    @torch.no_grad()
    def p_chain(
        self,
        xt: Tensor,
        noise: SeededNoise,
        *,
        n_steps: int | None = None,
        clip_x0: bool = False,
    ) -> Iterator[tuple[int, Tensor, Tensor]]:
        r"""
        ### Algorithm 2, step by step

        ![A chain at eight steps: the noisy picture, the guessed noise, the guessed
        picture](live:chain)

        * `xt` where to start: noise, or an image noised by the first `n_steps` steps
        * `noise` where each $z$ comes from
        * `n_steps` how many steps to undo; $T$ when not given

        Yields `(t, x, x0_hat)` for the indices `t = n_steps-1 .. 0`, with `x` after the step back.
        The last `x` is the image.
        """
        # **for** $t = T, \dots, 1$ **do**
        for i in reversed(range(self.n_steps if n_steps is None else n_steps)):
            t = torch.full((len(xt),), i, device=xt.device, dtype=torch.int64)
            # $z \sim \mathcal N(\mathbf 0, \mathbf I)$
            z = noise(xt.shape, xt.device)
            # $x_{t-1} = \mu_\theta(x_t, t) + \sigma_t z$
            xt, x0_hat = self.p_step(xt, t, z, clip_x0=clip_x0)
            yield i, xt, x0_hat

    def sample(
        self, shape: tuple[int, ...], *, seed: int = 0, first: int = 0, clip_x0: bool = False
    ) -> Tensor:
        r"""
        ### Sample images: Algorithm 2 as a whole

        * `shape` `[batch, channels, height, width]`
        * `seed` the noise of image $i$ depends on `(seed, first + i)` alone, whatever the batch

        Returns $x_0$, of this shape, on the device of the constants.
        """
        noise = SeededNoise(shape[0], seed, first=first)
        # $x_T \sim \mathcal N(\mathbf 0, \mathbf I)$
        x = noise(shape, self.beta.device)
        for _, x, _ in self.p_chain(x, noise, clip_x0=clip_x0):
            pass
        return x

    def loss(
        self,
        x0: Tensor,
        noise: Tensor | None = None,
        *,
        t: Tensor | None = None,
        label: Tensor | None = None,
        check_range: bool = True,
    ) -> Tensor:
        r"""
        ### The simple loss (Algorithm 1, lines 3 to 5)

        * `x0` images in $[-1, 1]$, `[batch, ...]`
        * `noise` $\epsilon$, of the shape of `x0`; drawn when not given
        * `t` the step of each image, `[batch]`; drawn when not given
        * `label` the class of each image, `[batch]`, for a model that [takes it](../guidance.html)
        * `check_range` refuse images outside $[-1, 1]$; switch it off for other data

        Returns a scalar. Raises `ValueError` for images outside $[-1, 1]$ and for wrong shapes.
        """
        if check_range:
            in_range(x0)
        # $t \sim \text{Uniform}(\{1, \dots, T\})$, one for each image. The mean over a batch is an
        # unbiased estimate of the mean over all $t$
        if t is None:
            t = torch.randint(0, self.n_steps, (len(x0),), device=x0.device)
        one_for_each(t, x0)
        # $\epsilon \sim \mathcal N(\mathbf 0, \mathbf I)$
        eps = torch.randn_like(x0) if noise is None else noise
        return self.errors(x0, t, eps, label).mean()

    def errors(self, x0: Tensor, t: Tensor, eps: Tensor, label: Tensor | None = None) -> Tensor:
        r"""
        The error of each image, a mean over its pixels, `[batch]`
        [tested](test:diffusion/ddpm/test_loss.py::test_errors_of_single_images).
        """
        xt = self.q_sample(x0, t, eps)
        # $\frac1d\big\|\epsilon - \epsilon_\theta(x_t, t)\big\|^2$
        eps_theta, _ = self.output(xt, t, label)
        return squared_error(eps_theta, eps)
