r"""
---
title: What the network learns, the score
summary: >
  The score, Tweedie's formula, Langevin dynamics; why one jump is a blur, when noise on the way
  back helps, what a perfect network would remember; and where the ideas come from.
---

# What the network learns: the score

[DDPM](index.html) trains a network to find the noise in an image. Here is a second way to look at
the same network: it knows the slope of the log density of noisy images. This view explains why the
chain works, what the noise on the way back is for, and how DDPM belongs with the methods that came
before and after it. Section 3.2 of the paper [@ho2020] hints at it, with the words "resembles
Langevin dynamics".

## 1. The score

The score of a density is the gradient of its logarithm, $s(x_t) = \nabla_{x_t} \log q(x_t)$. It
points to where images become more likely. For one known image, $q(x_t|x_0)$ is a Gaussian with mean
$\sqrt{\bar\alpha_t}\,x_0$, and its score points back to that mean:

$$\nabla_{x_t} \log q(x_t|x_0) = -\frac{x_t - \sqrt{\bar\alpha_t}\,x_0}{1-\bar\alpha_t}
= -\frac{\epsilon}{\sqrt{1-\bar\alpha_t}}$$

A network that knows just this image guesses this noise, and [the code below](#score) computes this
score from it [tested](test:diffusion/ddpm/test_score.py::test_score_of_one_image). For all images
together, $q(x_t) = \mathbb E_{x_0}[q(x_t|x_0)]$. Differentiate under the integral, and divide by
$q(x_t)$: the score is the mean of the scores of the images that $x_t$ may have come from,

$$s(x_t) = \mathbb E\big[\nabla_{x_t} \log q(x_t|x_0)\,\big|\,x_t\big]
= -\frac{\mathbb E[\epsilon|x_t]}{\sqrt{1-\bar\alpha_t}}$$

The network is trained by squared error, so its best answer is exactly this mean,
$\epsilon_\theta(x_t, t) = \mathbb E[\epsilon|x_t]$
[tested](test:diffusion/ddpm/test_score.py::test_score_is_the_mean_of_the_images_scores). A network
that predicts noise is a network that predicts the score, in other units.

**Tweedie's formula** says the same of the image. The mean of all images that $x_t$ may have come
from is $x_t$, moved along the score and scaled up:

$$\mathbb E[x_0|x_t] = \frac{x_t + (1-\bar\alpha_t)\,s(x_t)}{\sqrt{\bar\alpha_t}}$$

This is $\hat x_0$ [tested](test:diffusion/ddpm/test_score.py::test_tweedie). So noise, image and
score are one answer in three forms, each a linear function of the others:

| predicted | from $\epsilon$ | squared error, as a multiple of that of $\epsilon$ |
|---|---|---|
| $\epsilon$ | $\epsilon$ | 1 |
| $\hat x_0$ | eq. 15 of the paper | $(1-\bar\alpha_t)/\bar\alpha_t$ |
| $s$ | $-\epsilon/\sqrt{1-\bar\alpha_t}$ | $1/(1-\bar\alpha_t)$ |

**Denoising score matching.** For real images nobody knows $s(x_t)$, so a network cannot be trained
on it. But it can be trained on the score of the single image that was noised, because the two
losses differ by a number that does not depend on the network [@vincent2011]:

$$\mathbb E\,\big\|s_\theta(x_t) - \nabla_{x_t}\log q(x_t|x_0)\big\|^2
= \mathbb E\,\big\|s_\theta(x_t) - s(x_t)\big\|^2 + \text{const}$$

With $s_\theta = -\epsilon_\theta/\sqrt{1-\bar\alpha_t}$ the left side is
$\mathbb E\,\|\epsilon - \epsilon_\theta\|^2/(1-\bar\alpha_t)$
[tested](test:diffusion/ddpm/test_score.py::test_denoising_score_matching). The simple loss is
therefore denoising score matching with the weight $1-\bar\alpha_t$, the variance of the noise.
@song2019 use the same weight.

## 2. Why not one jump?

The network gives $\hat x_0$ at once, even from pure noise. Why take a thousand steps to the image?
Because $\hat x_0$ is a mean over all images that $x_t$ may have come from, and a mean of different
images is a blur. For a data set of $n$ images the mean can be computed exactly, and so can the
weight that each image has in it:

$$w_i(x_t) = \frac{q(x_t|x_0^{(i)})}{\sum_j q(x_t|x_0^{(j)})}, \qquad
\mathbb E[x_0|x_t] = \sum_i w_i(x_t)\,x_0^{(i)}$$

The weights are Bayes' rule
[tested](test:diffusion/ddpm/test_score.py::test_weights_are_bayes_rule). Here are two digits, and
for each noisy version the mean of the digits that it may have come from, out of all 1,797:

![Two digits, noised at eight steps from 50 to 1000, and below each the mean of all digits that it
may have been. Up to step 200 the mean is the digit itself. From 300 on it begins to blur, and at
1000 it is a grey spot, the mean of all digits](figure:score.py::means
"Two digits in noise, and the mean of all that they may have been")

How many digits count in such a mean? The exponential of the entropy of the weights measures it.
Its median over all digits is 1.0 at $t = 100$, 2.7 at 200, 36 at 300, 286 at 400, 877 at 500 and
1,744 at 750 ([tested](test:diffusion/ddpm/test_score.py::test_how_many_digits_count)).
<!-- measured:
docs/figures/data/score.json#/guesses/count/1
docs/figures/data/score.json#/guesses/count/2
docs/figures/data/score.json#/guesses/count/3
docs/figures/data/score.json#/guesses/count/4
docs/figures/data/score.json#/guesses/count/5
docs/figures/data/score.json#/guesses/count/6
-->

So most of the choice between digits is made between $t = 750$ and $t = 200$. A chain of small steps
makes this choice gradually. Each step moves a little towards the present mean and adds noise; the
next step computes a new mean, in which fewer images count.

## 3. What the noise on the way back is for

Put the score into the mean of a step back (eq. 11), and the step of Algorithm 2 reads

$$x_{t-1} = \frac{1}{\sqrt{\alpha_t}}\big(x_t + \beta_t\,s(x_t)\big) + \sigma_t z$$

This is the class's own step
[tested](test:diffusion/ddpm/test_score.py::test_a_step_back_in_terms_of_the_score). For small
$\beta_t$, $1/\sqrt{\alpha_t} \approx 1 + \beta_t/2$. With $\sigma_t^2 = \beta_t$, and without the
terms in $\beta_t^2$, the step is the sum of two:

$$x_{t-1} \approx x_t
+ \underbrace{\tfrac{\beta_t}{2}\big(x_t + s(x_t)\big)}_{\text{flow}}
+ \underbrace{\tfrac{\beta_t}{2}\,s(x_t) + \sqrt{\beta_t}\,z}_{\text{Langevin}}$$

What was left out is of the order of $\beta_t^2$
[tested](test:diffusion/ddpm/test_score.py::test_a_step_back_is_flow_and_langevin).

* **The flow** carries the density $q(x_t)$ to $q(x_{t-1})$ without any noise. It takes half of the
  score. [DDIM](../samplers/ddim.html) is a chain of such steps.
* **The Langevin step** leaves the density as it is, except for terms in $\beta_t^2$. It moves
  uphill along the other half of the score, which draws images together, and adds just as much noise
  as is needed to spread them again.

So there are two correct ways back, one with noise and one without. And there is a wrong one: to
take the whole score but leave out the noise. This chain of means draws images together and never
spreads them. For Gaussian data with
standard deviation 0.5, a chain of 1000 means ends with 0.0016. The flow ends with 0.498, and
Algorithm 2 with 0.501
([tested](test:diffusion/ddpm/test_score.py::test_a_chain_of_means_collapses)). The samples of a
chain of means are not blurred, but they are all alike.

> **When does the noise help?** The flow carries errors along: if the network has put too many
> images in some place at step $t$, the next step begins there. Langevin steps forget errors. For
> Gaussian data of variance $v$, a Langevin step of size $\delta$ multiplies an error of the mean by
> $1 - \delta/(2v)$ ([tested](test:diffusion/ddpm/test_score.py::test_langevin_forgets)). Noise
> helps when there are many steps and the network makes errors. It hurts when there are few steps,
> because large steps do not remove accurately the noise that they add: see [what samplers
> cost](../samplers/index.html).

**Langevin dynamics alone** would also sample the density, with infinitely many small steps at one
noise level, from any start. In practice it fails: at a low noise level the density has peaks that
are far apart, and a walk in small steps does not get from one to the next. Song and Ermon therefore
walk at a high noise level first, where there is one broad peak, and lower it slowly. DDPM does this
with one Langevin step at each of its thousand levels.

## 4. A perfect network would remember

For a data set of $n$ images, the network with the least possible loss is known: it is the exact
mean of section 2. Its chain always ends on an image of the training set
[tested](test:diffusion/ddpm/test_score.py::test_the_best_network_returns_the_training_images). So a
trained DDPM makes new images only because it does *not* reach that loss. It has too few weights to
store all images, it sees each of them under new noise every time, and what it learns in one place
it applies in others. With few images and long training this protection ends:

![The distance of samples to the nearest image of the training, over 3,200 steps of training. With
all digits it falls from 0.41 to 0.28, and comes near the 0.25 from a real digit to the nearest
other. With fifty digits it falls to 0.03](figure:score.py::memory "How far samples are from the
images of the training")

The network is that of `make train`. The distance is the root mean square difference of the pixels,
and the curves show its median over 200 samples. From a real digit to the nearest other one the
median is 0.25. With 1,797 digits the samples stay farther away: 0.28 after 3,200 steps. With 50
digits they become copies, with 0.03.
<!-- measured:
docs/figures/data/score.json#/memory/all%20data
docs/figures/data/score.json#/memory/all/4
docs/figures/data/score.json#/memory/moments/4
-->

`python -m docs.figures.data.score` measures this again, and [`check`](check.html) looks for copies
in your run.

## 5. More questions

> **Why one network for all $t$?** What a network learns at $t = 500$ is useful at $t = 501$ too. A
> thousand networks would each see a thousandth of the batches. The network is told $t$ because the
> answer depends on it: the same pixels call for another answer at another noise level.

> **How is $T$ chosen?** A larger $T$ makes two errors smaller. The forward chain must end in noise,
> so all steps together must add enough of it. And a step back is a Gaussian only if the step is
> small beside the noise that is there already, so there must be many steps. The price is one call
> of the network for each step of sampling; training costs no more. The authors took 1000 "so that
> the number of neural network evaluations needed during sampling matches previous work"
> (section 4).

> **Are the steps small enough?** Not the first few. At $t = 1, 2, 10$, step $t$ itself has added
> 100, 55 and 15 % of the noise in $x_t$. More steps do not help: the larger $T$, the closer is this
> share to $1/t$
> ([tested](test:diffusion/ddpm/test_derivation.py::test_shares_of_the_noise_that_a_step_adds)). A
> pixel of our digits has one of 17 grey levels, so the true step back to $x_0$ has 17 possible
> results, and no Gaussian fits. In step 2, a Gaussian of the same mean and variance still has up to
> 56 % of its probability in the wrong place, in step 10 up to 2 %, and from step 20 on less than
> 0.1 %
> ([tested](test:diffusion/ddpm/test_derivation.py::test_a_short_step_back_is_nearly_gaussian)).

> **Is this a variational autoencoder?** It is a deep one, with three simplifications: its encoder
> $q$ has nothing to learn, its hidden layers $x_1 \dots x_T$ are as large as the image, and its
> decoder is one network for all layers. The bound of [the DDPM page](index.html) is, with the sign
> changed, the evidence lower bound of that autoencoder. Because $q(x_t|x_0)$ is known for every
> $t$, one layer can be trained at a time, without going through the others.

## 6. Where it comes from

* @hyvarinen2005: score matching. One can learn the slope of a log density without knowing
  the factor that makes the density integrate to one.
* @vincent2011: denoising score matching. This slope can be learned from noisy data.
* @sohldickstein2015: diffusion and its reverse as a model with a bound.
* @song2019: one network for the scores of many noise levels, and Langevin dynamics from the
  highest to the lowest.
* @ho2020: diffusion and denoising score matching are one method. Predict the noise, drop the weight
  of the bound, and the images are good.
* @song2021b: infinitely many steps, as stochastic and ordinary differential equations.
* @kingma2021: with infinitely many steps the bound depends only on the two ends of the
  schedule.
* @karras2022: the noise level in the place of the step. How to train, how to sample and what the
  network predicts are separate choices.

[Exercises for this page](exercises.html#the-score), with answers.

The code that follows is what the tests of these sections use.
"""

import torch
from torch import Tensor, nn

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.utils import gather


def score(diffusion: DenoiseDiffusion, xt: Tensor, t: Tensor) -> Tensor:
    r"""
    ## The score that a model implies

    * `xt` noisy images, `[batch, ...]`
    * `t` `[batch]`, int64

    Returns $-\epsilon_\theta(x_t, t) / \sqrt{1-\bar\alpha_t}$, of the shape of `xt`.
    """
    noise_std = gather(diffusion.one_minus_alpha_bar, t, xt.ndim) ** 0.5
    return -diffusion.eps_theta(xt, t) / noise_std


def flow_step(diffusion: DenoiseDiffusion, xt: Tensor, t: Tensor, s: Tensor) -> Tensor:
    r"""
    ## The half of a step back that carries the density

    $\frac{\beta_t}{2}\big(x_t + s(x_t)\big)$, to be added to $x_t$.

    * `s` the score at `xt`
    """
    return gather(diffusion.beta, t, xt.ndim) / 2 * (xt + s)


def langevin_step(s: Tensor, delta: Tensor | float, z: Tensor) -> Tensor:
    r"""
    ## A step of Langevin dynamics

    $\frac\delta2\,s(x) + \sqrt\delta\,z$, to be added to $x$. It leaves the density as it is,
    except for terms in $\delta^2$.

    * `s` the score at $x$
    * `delta` $\delta$, the size of the step; $\beta_t$ in a step of DDPM
    * `z` unit noise, of the shape of `s`
    """
    return delta / 2 * s + delta**0.5 * z


class Points(nn.Module):
    r"""
    ## The best network for a finite data set

    A callable `(xt, t) -> eps` with the least loss that any network can have on these images. It
    needs all of them for every answer, so it serves for comparison and not as a model.

    * `diffusion` whose forward process it undoes
    * `x0` the images, `[n, ...]`
    """

    def __init__(self, diffusion: DenoiseDiffusion, x0: Tensor):
        super().__init__()
        # In a tuple torch does not take the diffusion for a part of this module
        self.process = (diffusion,)
        self.x0 = x0

    def weights(self, xt: Tensor, t: Tensor) -> Tensor:
        r"""
        #### How much each image of the data counts

        Returns $w_i(x_t)$, `[batch, n]`, float64.
        """
        diffusion, flat = self.process[0], self.x0.flatten(1).double()
        mean = gather(diffusion.alpha_bar, t, 2).double() ** 0.5
        var = gather(diffusion.one_minus_alpha_bar, t, 2).double()
        # $\|x_t - \sqrt{\bar\alpha_t}\,x_0\|^2$, without what is the same for all images
        distance = (mean * flat.square().sum(1) - 2 * xt.flatten(1).double() @ flat.T) * mean
        return torch.softmax(-distance / (2 * var), dim=1)

    def x0_hat(self, xt: Tensor, t: Tensor) -> Tensor:
        r"""
        #### The mean of the images that $x_t$ may have come from

        Returns $\sum_i w_i(x_t)\,x_0^{(i)}$, of the shape of `xt`.
        """
        mean = self.weights(xt, t) @ self.x0.flatten(1).double()
        return mean.reshape(xt.shape).to(xt.dtype)

    def forward(self, xt: Tensor, t: Tensor) -> Tensor:
        r"""
        #### The noise that this mean implies

        $\epsilon = (x_t - \sqrt{\bar\alpha_t}\,\hat x_0) / \sqrt{1-\bar\alpha_t}$
        """
        mean, var = self.process[0].q_xt_x0(self.x0_hat(xt, t), t)
        return (xt - mean) / var**0.5
