r"""
---
title: Classifier-free guidance
summary: >
  A model that knows classes, trained to do without them too, and the difference of its two
  guesses, by which samples are pushed towards what was asked for.
---

# Classifier-free guidance

This page derives and implements
[Classifier-Free Diffusion Guidance](https://arxiv.org/abs/2207.12598) [@ho2022].

## Telling the model the class

Tell the network the class $c$ of each image during training. Then its guess of the noise is
$\epsilon_\theta(x_t, t, c)$, and all that was derived for [DDPM](ddpm/index.html) holds for the
images of one class as it does for all. The [U-Net](ddpm/unet.html) adds a vector for each class to
that of the time. Nothing else changes, and no sampler notices: to them a model is `(xt, t) -> eps`.

## More certainty than the data has

Samples of a class vary as its images do, and some of them are doubtful. Often one prefers less
variety and images that a classifier is sure of. By Bayes' rule $p(x|c) \propto
p(x)\,p(c|x)$ contains the classifier's probability once. Let it count $1 + w$ times:

$$\tilde p(x|c) \propto p(x|c)\,p(c|x)^w$$
<!-- no-test: definition -->

At $w = 0$ nothing is changed; the larger $w$, the surer the classifier has to be of this class. But
a classifier of noisy images would have to be trained beside the model. The same rule says that the
model contains one:

$$p(c|x) = \frac{p(x|c)\,p(c)}{p(x)} \quad\Rightarrow\quad
\nabla_x\log p(c|x) = \nabla_x\log p(x|c) - \nabla_x\log p(x)$$

([tested](test:diffusion/test_guidance.py::test_the_model_contains_a_classifier)) and the guess of
the noise *is* such a slope, but for its size and sign: for $x_t = \sqrt{\bar\alpha_t}\,x_0 +
\sqrt{1-\bar\alpha_t}\,\epsilon$ the best guess of the noise is

$$\mathbb E[\epsilon|x_t] = -\sqrt{1-\bar\alpha_t}\;\nabla_{x_t}\log q(x_t)$$

[tested](test:diffusion/test_guidance.py::test_the_best_guess_is_the_slope). So take two guesses,
with the class and without it ($\varnothing$), and go on along their difference $w$ times (eq. 6):

$$\tilde\epsilon_\theta(x_t, t, c) = (1 + w)\,\epsilon_\theta(x_t, t, c) -
w\,\epsilon_\theta(x_t, t, \varnothing)$$

For classes that are Gaussians all of these densities are known, and the formula gives the slope of
$\log q(x_t|c)\,q(c|x_t)^w$
[tested](test:diffusion/test_guidance.py::test_guided_score_of_gaussian_classes).

| $w$ here, as in the paper | `guidance_scale` in other libraries, $s = 1 + w$ | what it is |
|---|---|---|
| $-1$ | 0 | the model without classes |
| 0 | 1 | the model of the class |
| 2 | 3 | guided |

At $w = 0$ the model of the class is left as it is
[tested](test:diffusion/test_guidance.py::test_scale_0_is_the_conditional_model).

![Samples of three Gaussian classes in the plane, with rings at one and two deviations. At w = 0
they fill the rings; at w = 1 they have moved outwards and are fewer between the classes; at w = 4
each is a small spot at its outer side](figure:guidance.py::gaussians
"Guided samples of three Gaussian classes")

![Two classes in the plane, one with two places and one with one, and points that were drawn from
the first](live:classes)

Each class moves away from the others and shrinks. At $w = 4$ nothing between the classes is drawn,
and most of each class is not drawn either: guidance pays for certainty with variety.

> **It is not a sampler of $\tilde p$.** The guided guess is the right slope of
> $q(x_t|c)\,q(c|x_t)^w$ at each $t$. But noising $\tilde p(x_0|c)$ does not lead to that density:
> sharpening and then noising does not give the same as noising and then sharpening, not even for
> Gaussians ([tested](test:diffusion/test_guidance.py::test_noising_does_not_commute_with_guiding)).
> So the slopes at different $t$ belong to no single forward process, and the samples are not draws
> from $\tilde p$. It works well all the same.

## One network for both guesses

The model without classes need not be another one. While training, forget the label now and then
(Algorithm 1 of the paper, with $p_\text{uncond} = 0.1$), and the same network learns both. Here
$\varnothing$ is the label $-1$, for which the network adds no vector: so a conditional model that
is called without labels, as `DenoiseDiffusion.sample` does, is the unconditional one
[tested](test:diffusion/ddpm/test_unet.py::test_no_label_is_label_minus_one).

## On digits

The preset `digits_conditional` is `digits` with ten classes: 702,625 parameters instead of 701,345,
and the same 2,400 training steps. Of 500 samples, 50 of each class, how many does a support vector
machine that was trained on the real digits take for what was asked? (`make train-classes
quality-classes`; the default sampler; distance, precision and recall of the pixels, against the
1,797 real digits.)

| $w$ | recognised | worst class | Fréchet distance | precision | recall |
|---|---|---|---|---|---|
| $-1$ | 8.8 % | 2 % | 0.69 | 0.58 | 0.90 |
| 0 | 95.6 % | 84 % | 0.34 | 0.85 | 0.85 |
| 0.5 | 99.8 % | 98 % | 0.49 | 0.94 | 0.74 |
| 1 | 100.0 % | 100 % | 0.73 | 0.96 | 0.62 |
| 2 | 100.0 % | 100 % | 1.29 | 0.97 | 0.42 |
| 4 | 100.0 % | 100 % | 2.22 | 0.91 | 0.25 |
<!-- measured: docs/figures/data/guidance_quality.json#/table -->

A machine trained on nine tenths of the real digits recognises 98.1 % of the rest.
<!-- measured: docs/figures/data/guidance_quality.json#/unseen -->

![Two digits of each class in a row for w = −1, 0, 1 and 4, from the same noise. At −1 they are any
digits; at 0 most are those that were asked for; at 1 and 4 all are, and at 4 they are bolder and
more alike](figure:guidance.py::digits
"Guided digits, from the same noise")

![The ten digits in two rows, as they are without guidance and with w = 2](live:guided)

* Told nothing ($w = -1$), the model draws any digit, and is right as often as a guess.
* Told the class ($w = 0$), it draws that class 19 times in 20; the rest are doubtful, as some real
  digits are.
* A little guidance removes the doubtful ones. All of it costs recall, of which less than a third is
  left at $w = 4$, while precision hardly gains beyond $w = 1$ and falls in the end. The distance,
  which sees both, is best without guidance.

> So guidance is 0 unless asked for. It is worth more where samples of a class are often doubtful,
> as with large images.

[Exercises for this page](ddpm/exercises.html#guidance), with answers.
"""

import math

import torch
from torch import Tensor, nn

from labml_nn.diffusion.ddpm import EpsModel

# $\varnothing$: nothing is said of the class
NO_LABEL = -1


def drop_labels(label: Tensor, p_uncond: float) -> Tensor:
    r"""
    ## $c \gets \varnothing$ with probability $p_\text{uncond}$ (Algorithm 1, line 3)

    * `label` the class of each image, `[batch]`, int64

    Drawn, as $t$ and $\epsilon$ are, from torch's own generator: one seed fixes the whole of
    training.
    """
    dropped = torch.rand(len(label), device=label.device) < p_uncond
    return torch.where(dropped, NO_LABEL, label)


class Guided(nn.Module):
    r"""
    ## A model and what is asked of it: a callable `(xt, t) -> eps`

    It stands where a model without classes would, in `DenoiseDiffusion` and so in any sampler:

        diffusion = DenoiseDiffusion(Guided(unet, label=7, scale=2.0), n_steps=1000)
        images = DDIM(diffusion, n_steps=50).sample((16, 1, 8, 8), seed=0)
    """

    def __init__(
        self,
        model: EpsModel,  # told the class: (xt, t, label) -> eps, -1 being none
        label: Tensor | int,  # the class of each image, [batch], or one for all
        scale: float = 0.0,  # w: 0 is the class as it is, -1 the model without classes
    ):
        r"""
        Raises `ValueError` for a scale that is not finite.
        """
        super().__init__()
        if not math.isfinite(scale):
            raise ValueError(f'guidance={scale}: give a finite number, such as 2')
        self.model = model
        self.label = torch.as_tensor(label, dtype=torch.int64)
        self.scale = scale

    def forward(self, xt: Tensor, t: Tensor) -> Tensor:
        r"""
        $\tilde\epsilon_\theta(x_t, t, c)$, of the shape of `xt`

        Raises `ValueError` unless there is a label for each image, or one for all.
        """
        label = self.labels_of(xt)
        # Without guidance the second guess would be multiplied by zero
        if self.scale == 0:
            return self.model(xt, t, label)
        # Both guesses in one batch: a GPU that is not full does them in the time of one
        both = self.model(
            torch.cat([xt, xt]),
            torch.cat([t, t]),
            torch.cat([label, torch.full_like(label, NO_LABEL)]),
        )
        eps, eps_uncond = both.chunk(2)  # [batch, channels, height, width] each
        # $(1 + w)\,\epsilon_\theta(x_t, t, c) - w\,\epsilon_\theta(x_t, t, \varnothing)$
        n = xt.shape[1]
        guided = (1 + self.scale) * eps[:, :n] - self.scale * eps_uncond[:, :n]
        # Channels beyond the image's hold the learned variance: it is that of the guess with the
        # class
        return torch.cat([guided, eps[:, n:]], dim=1)

    def with_label(self, label: Tensor | int) -> 'Guided':
        r"""
        The same model, asked for other classes
        """
        return Guided(self.model, label, self.scale)

    def labels_of(self, xt: Tensor) -> Tensor:
        r"""
        The class of each image of the batch, `[batch]`, on its device
        """
        if self.label.ndim and len(self.label) not in (1, len(xt)):
            raise ValueError(
                f'there are {len(self.label)} labels for a batch of {len(xt)} images: give one for '
                f'each, or one for all'
            )
        return self.label.to(xt.device).expand(len(xt))
