r"""
---
title: Edit pictures, SDEdit, inpainting and RePaint
summary: >
  What else a model trained to draw pictures from noise can do: redraw a rough one (SDEdit)
  and fill a hole (replacement, RePaint); and what replacement gets wrong, in closed form.
---

# Edit pictures: SDEdit, inpainting and RePaint

A model that draws pictures from noise knows what pictures look like. That can be used on a picture
that is there already. Nothing here needs new training, classes or another network: any trained
model will do, also a [published one](ddpm/pretrained.html), with [any
sampler](samplers/index.html).

    python -m labml_nn.diffusion.ddpm.evaluate edit runs/digits --image 3 --from 300 600
    python -m labml_nn.diffusion.ddpm.evaluate inpaint runs/digits --image 3 --mask hole.png

In Python, with images `[batch, channels, height, width]` in $[-1, 1]$ and a mask that is true where
the picture is to be made anew:

    from labml_nn.diffusion.editing import Edit, Inpaint
    from labml_nn.diffusion.samplers import DDIM

    way = DDIM(diffusion, n_steps=50, eta=1.0)
    redrawn = Edit(way, n_steps=25).sample(x0, seed=0)
    filled = Inpaint(way, resamplings=10).sample(x0, anew, seed=0)

Image $i$ depends on `(seed, i)` alone, as in all sampling
[tested](test:diffusion/test_editing.py::test_same_seed_and_place_same_image).

## SDEdit: noise it, and bring it back

SDEdit [@meng2022] turns a rough picture, such as a sketch, into one that looks real. Noise it up to
some step $t$, and go back from there by any sampler:

$$x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\epsilon, \qquad
x_t \to \dots \to x_0'$$

[tested](test:diffusion/test_editing.py::test_an_edit_is_noise_and_the_way_back). Noise hides small
things before it hides large ones. What is hidden is drawn anew, as real pictures have it; what
still shows through is kept. So $t$ decides how much is kept. At 0 the picture is returned as it is
[tested](test:diffusion/test_editing.py::test_no_steps_return_the_image). At $T$ only 0.6 % of it is
left, and this is plain sampling
[tested](test:diffusion/test_editing.py::test_from_the_end_it_is_plain_sampling).

![Twelve digits in black and white, and below them the same after 200, 400, 600 and 800 steps of
noise and the way back. At 200 they are the same digits in shades of grey; at 400 some, and at 600
most are other digits](figure:editing.py::edits "Black and white digits, redrawn after more and more
noise")

Here 898 real digits were made black and white, which no digit of the data is, and redrawn with the
default sampler of 20 steps, which takes four of them from $t = 200$. The distance is that from the
1,797 real digits, 0.14 for [draws of them](samplers/index.html). Beside it stands how far a picture
is from the black and white one (RMS), and how many of 100 a support vector machine takes for the
digit that they were.
<!-- measured: docs/figures/data/frontier.json#/whole/real -->

| $t$ | Fréchet distance | distance to the drawing | recognised |
|---|---|---|---|
| 0 | 3.94 | 0.00 | 95.8 % |
| 100 | 0.61 | 0.23 | 96.7 % |
| 200 | 0.25 | 0.35 | 92.2 % |
| 300 | 0.20 | 0.48 | 75.4 % |
| 400 | 0.23 | 0.63 | 49.9 % |
<!-- measured: docs/figures/data/editing.json#/edits -->

At 200 the pictures are nearly as real as the model's samples (0.24), and nine in ten are still the
same digit. More noise makes them hardly more real, and less and less what they were.

## Inpainting by replacement

Some pixels are known. At the others, which are to be made anew, a mask $m$ is 1. The model was not
trained with masks, so it has to be told in another way. Replacement [@song2021b, appendix I.2] does
it at every step: when the chain has come to $x_s$, the known pixels are overwritten by what the
forward process would have made of them,

$$x_s \gets m \odot x_s + (1 - m) \odot \big(\sqrt{\bar\alpha_s}\,x_0 +
\sqrt{1-\bar\alpha_s}\,\epsilon\big)$$

with new $\epsilon$ each time
[tested](test:diffusion/test_editing.py::test_known_pixels_are_noised_as_far_as_the_chain_is). At
the next step the network sees both parts together, and guesses the unknown part so that it fits. At
the end $\bar\alpha = 1$, and the known pixels are $x_0$ to the last bit
[tested](test:diffusion/test_editing.py::test_known_pixels_are_kept_to_the_last_bit).

This works with every sampler here, whatever its steps are: a chain
[goes on from what is written into it](samplers/contract.html).

## What replacement gets wrong

Take two pixels $a$ and $b$ that are Gaussian, with mean 0, variance 1 and correlation $\rho$, and
let $a$ be known. The right answer is

$$b\,|\,a \sim \mathcal N\big(\rho\,a,\ 1 - \rho^2\big)$$

([tested](test:diffusion/test_editing.py::test_many_resamplings_come_to_the_right_answer)). Even a
perfect network sees only $a_t$ and $b_t$, and in $a_t$ noise hides $a$. It does not know that the
noise of $a_t$ is new at every step, so that the mean of all these $a_t$ would show $a$ clearly.
When the noise is strong it knows less of $a$ than we do, and by the time it knows more, much of $b$
is decided. With steps so small that sums become integrals, ancestral sampling with replacement ends
with

$$\mathbb E\,b = \frac{1 - \sqrt{1-\rho^2}}{\rho}\,a, \qquad
\operatorname{Var} b = (1-\rho^2)\,\frac{\operatorname{artanh}\rho}{\rho}$$

[tested](test:diffusion/test_editing.py::test_replacement_on_a_gaussian_in_closed_form). For small
$\rho$ the mean is $\frac\rho2 a$: **replacement goes half of the way.** With $\rho = 0.9$ it ends
at $0.63\,a$ instead of $0.9\,a$, with variance 0.31 instead of 0.19
([tested](test:diffusion/test_editing.py::test_numbers_of_replacement)). Neither a better network
nor more steps can mend that.

> **Where does it come from?** Let $u = \bar\alpha$, which grows from 0 to 1 on the way back. The
> covariance of $a_t$ and $b_t$ is $u\rho$, so the score of $b_t$, given $a_t$, is
> $-(b_t - u\rho\,a_t)/(1 - u^2\rho^2)$. The noise of $a_t$ is new in each of many small steps and
> averages out, which leaves $\sqrt u\,a$ in the place of $a_t$. With this score the mean $\mu$ of
> $b$ follows
>
> $$\frac{d\mu}{du} = \frac{\mu}{2u} - \frac{\mu - u^{3/2}\rho\,a}{u\,(1-\rho^2u^2)}, \qquad
> \mu(u) = \frac a\rho\,\frac{1 - \sqrt{1-\rho^2u^2}}{\sqrt u}$$
>
> [tested](test:diffusion/test_editing.py::test_the_mean_solves_its_equation). The right score,
> given $a$ itself, is $-(b_t - \sqrt u\,\rho\,a)/(1-u\rho^2)$. For small $\rho$ the pull towards
> $\rho\,a$ is too weak by the factor $u$ here.

Without noise it is worse: DDIM with $\eta = 0$ goes a third of the way for small $\rho$
[tested](test:diffusion/test_editing.py::test_without_noise_it_goes_a_third_of_the_way). What was
decided early stays decided. Noise lets it be decided again.

## RePaint: go up again, and come back

So let more be decided again. RePaint [@lugmayr2022] goes down some steps with replacement, then
noises the *whole* picture up again, with what was invented, and comes back, several times before it
goes on:

$$x_t \gets \sqrt{\frac{\bar\alpha_t}{\bar\alpha_s}}\,x_s +
\sqrt{1 - \frac{\bar\alpha_t}{\bar\alpha_s}}\;\epsilon$$

[tested](test:diffusion/test_editing.py::test_up_again_is_the_forward_process). Each time the
invented part gets another chance to fit the known one. `resamplings` is how often each part of the
way is travelled, $U$, and `jump` is by how many steps the chain goes up again. With $U = 1$ this is
replacement, bit for bit
[tested](test:diffusion/test_editing.py::test_one_resampling_is_replacement); with DDIM, and from
the same noise, it is what diffusers makes step by step
[tested](test:diffusion/test_editing.py::test_steps_of_diffusers).

For the two pixels, with jumps of one step and small steps, let $W = 1/\sqrt{1-\rho^2}$. Then

$$\mathbb E\,b = a\,\frac{U\rho}{W^U}\int_0^W \frac{w^U\,dw}{\sqrt{1+\rho^2w^2}}, \qquad
\operatorname{Var} b = \frac{2U-1}{W^{2U}}\int_0^W \frac{w^{2U-2}\,dw}{\sqrt{1+\rho^2w^2}}$$

[tested](test:diffusion/test_editing.py::test_resampling_on_a_gaussian_in_closed_form). For small
$\rho$ the mean is $\frac{U}{U+1}\,\rho\,a$: **what is missing is $1/(U+1)$ of the way**
[tested](test:diffusion/test_editing.py::test_what_is_missing_falls_with_the_resamplings). The price
is $U$ times as many calls of the network.

![Above, densities of b for a = 1 and correlation 0.9: replacement is wide and too far to the left;
RePaint with U = 2 is nearer to the right density, and with U = 10 nearly covers it. Below, the
share of the mean that is missing falls with U, for a small correlation as 1/(U + 1), and below that
line for 0.9](figure:editing.py::pixels "Two pixels, of which one is known")

With $\rho = 0.9$, $a = 1$ and 100 ancestral steps; the right values are 0.9 and 0.19
(`python -m docs.figures.data.editing` computes it again, exactly, without random samples):

| $U$ | calls | mean | variance | calls, jumps of 10 | mean | variance |
|---|---|---|---|---|---|---|
| 1 | 100 | 0.61 | 0.33 | 100 | 0.61 | 0.33 |
| 2 | 199 | 0.75 | 0.25 | 190 | 0.75 | 0.26 |
| 5 | 496 | 0.85 | 0.22 | 460 | 0.83 | 0.24 |
| 10 | 991 | 0.87 | 0.20 | 910 | 0.85 | 0.24 |
| 20 | 1981 | 0.89 | 0.20 | 1810 | 0.85 | 0.24 |
<!-- measured: docs/figures/data/editing.json#/plane -->

> **How long should a jump be?** Here a long jump is worse: with jumps of ten steps the mean does
> not come nearer than 0.85, however often they are taken. Noise that hides $a$ and $b$ again leads
> back to the beginning, and the way down repeats its mistake. The authors recommend jumps of ten
> steps of 250 for photographs, where short jumps gave blurred pictures. Two pixels have no texture,
> so they cannot speak against that.
> <!-- measured: docs/figures/data/editing.json#/plane/5/5 -->

## On digits

![Twelve real digits, their upper halves, and two rows of whole digits with these upper halves. Some
of those by replacement are cut at the middle or look like no digit; by RePaint most are digits,
often the real one](figure:editing.py::filled "Lower halves made anew, 96 calls of the network
each")

The lower halves of 225 real digits were made anew; ancestral steps have variance $\beta$. How far
is the new half from the real one, and how many of 100 are taken for the digit that they were?

| | steps | calls | RMS in the hole | recognised |
|---|---|---|---|---|
| the originals | – | – | 0.00 | 100.0 % |
| replacement, DPM-Solver++ 2M | 20 | 20 | 0.67 | 53.3 % |
| replacement, ancestral | 20 | 20 | 0.66 | 55.6 % |
| replacement, ancestral | 96 | 96 | 0.66 | 56.0 % |
| RePaint, $U = 5$ | 20 | 96 | 0.57 | 68.9 % |
| RePaint, $U = 5$, jumps of 4 | 20 | 84 | 0.60 | 63.6 % |
<!-- measured: docs/figures/data/editing.json#/fillings -->

As with the two pixels, more steps hardly help replacement, and as many calls spent on going up
again do. 100 % is out of reach: many upper halves fit several digits.

[Exercises for this page](ddpm/exercises.html#edit-pictures), with answers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from labml_nn.diffusion.samplers.contract import ReverseSampler

# What a chain yields: the step that the model was asked at, where it led, and what it aimed at
Chain = Iterator[tuple[int, Tensor, Tensor]]


def nearest_start(sampler: ReverseSampler, t: int) -> int:
    r"""
    ## How many steps of a sampler undo the first `t` steps of the forward process

    * `t` how many of the $T$ steps, `0 .. T`

    The sampler takes few of the $T$ steps, so the nearest of them is used: at least one, unless
    `t` is 0.
    Raises `ValueError` for a number out of range.
    """
    T = sampler.diffusion.n_steps
    if not 0 <= t <= T:
        raise ValueError(f'from={t}: it counts the steps of noise, from 0 to {T}')
    if t == 0:
        return 0
    # Index $\tau_k$ is reached after $\tau_k + 1$ steps
    apart = [abs(tau + 1 - t) for tau in sampler.tau]
    return apart.index(min(apart)) + 1


@dataclass(frozen=True)
class Edit:
    r"""
    ## SDEdit

    Raises `ValueError` for more steps than the sampler has.
    """

    sampler: ReverseSampler  # the way back
    n_steps: int  # how many of its steps are taken: 0 is the image as it is, all are plain sampling

    def __post_init__(self) -> None:
        if not 0 <= self.n_steps <= self.sampler.n_steps:
            raise ValueError(
                f'n_steps={self.n_steps}: the sampler has {self.sampler.n_steps} steps, take 0 to '
                f'{self.sampler.n_steps} of them'
            )

    def chain(self, x0: Tensor, seed: int = 0, *, first: int = 0) -> Chain:
        r"""
        ### From an image to another, step by step

        * `x0` images, `[batch, ...]`
        * `seed` image $i$ of the batch depends on `(seed, first + i)` and on nothing else

        Yields what a sampler's chain does; nothing if there is no step.
        """
        if self.n_steps == 0:
            return
        way = self.sampler.below(self.n_steps)
        # The noise from which plain sampling would begin
        eps, noise = way.start(tuple(x0.shape), seed, first=first)
        x0 = x0.to(eps.device)
        # $x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\epsilon$
        yield from way.chain(way.noised(x0, -1, way.tau[-1], eps), noise)

    def sample(self, x0: Tensor, seed: int = 0, *, first: int = 0) -> Tensor:
        r"""
        ### From an image to another

        The arguments are those of `chain`. Returns images of the shape of `x0`.
        """
        for _, xt, _ in self.chain(x0, seed, first=first):
            pass
        return xt if self.n_steps else x0


def descents(n_steps: int, jump: int, resamplings: int) -> Iterator[tuple[int, int]]:
    r"""
    ## The walk of RePaint

    Pairs: how many steps are left where a way down begins, and where it ends. From each end the
    next way begins `jump` steps higher. The image is 0, and from there nothing goes up again, as in
    Algorithm 1 of the paper
    [tested](test:diffusion/test_editing.py::test_the_walk_is_that_of_the_paper).

    > **Departure.** The scheduler of diffusers also noises the finished image up again: its walk is
    > this one, a step lower
    > [tested](test:diffusion/test_editing.py::test_the_walk_of_diffusers_is_a_step_lower).
    """
    at = n_steps
    for end in reversed(range(1, n_steps - jump + 1, jump)):
        for _ in range(resamplings - 1):
            yield at, end
            at = end + jump
    yield at, 0


@dataclass(frozen=True)
class Inpaint:
    r"""
    ## Inpainting by replacement, and by RePaint

    Raises `ValueError` for a jump or a number of resamplings below 1, and for a jump that no chain
    of so many steps has room for.
    """

    sampler: ReverseSampler  # the way back
    jump: int = 1  # by how many steps the chain goes up again
    resamplings: int = 1  # how often each part of the way is travelled (U); 1 is replacement

    def __post_init__(self) -> None:
        for name in ('jump', 'resamplings'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name}={getattr(self, name)}: need at least 1')
        if self.resamplings > 1 and self.jump >= self.sampler.n_steps:
            raise ValueError(
                f'jump={self.jump}: the chain has {self.sampler.n_steps} steps, so a jump has at '
                f'most {self.sampler.n_steps - 1}. Take a shorter jump, or more steps'
            )

    @property
    def n_steps(self) -> int:
        r"""
        How many steps down are taken in all
        """
        walk = descents(self.sampler.n_steps, self.jump, self.resamplings)
        return sum(start - end for start, end in walk)

    @torch.no_grad()
    def chain(self, x0: Tensor, anew: Tensor, seed: int = 0, *, first: int = 0) -> Chain:
        r"""
        ### Fill the hole, step by step (Algorithm 1 of RePaint)

        * `x0` images, `[batch, ...]`; what they have in the hole plays no part
        * `anew` where they are to be made anew, true or false, of a shape that broadcasts to theirs
        * `seed` image $i$ of the batch depends on `(seed, first + i)` and on nothing else

        Yields what a sampler's chain does. Raises `ValueError` for a mask that does not fit.
        """
        check_mask(anew, x0)
        # $x_T \sim \mathcal N(\mathbf 0, \mathbf I)$
        xt, noise = self.sampler.start(tuple(x0.shape), seed, first=first)
        x0, anew = x0.to(xt), anew.to(xt.device)
        top = 0
        for start, end in descents(self.sampler.n_steps, self.jump, self.resamplings):
            way = self.sampler.below(start)
            if top:
                # Up again, the whole picture
                z = noise(xt.shape, xt.device)
                xt = way.noised(xt, way.before(top), way.tau[-1], z)
            # In this order no step is asked for that is not taken
            taken = zip(reversed(range(end, start)), way.chain(xt, noise), strict=False)
            for i, (t, xt, x0_hat) in taken:
                s = way.before(i)
                # $\sqrt{\bar\alpha_s}\,x_0 + \sqrt{1-\bar\alpha_s}\,\epsilon$
                known = way.noised(x0, -1, s, noise(xt.shape, xt.device)) if s >= 0 else x0
                # $x_s \gets m \odot x_s + (1 - m) \odot x_s^\text{known}$
                xt.copy_(torch.where(anew, xt, known))
                yield t, xt, x0_hat
            top = end

    def sample(self, x0: Tensor, anew: Tensor, seed: int = 0, *, first: int = 0) -> Tensor:
        r"""
        ### Fill the hole

        The arguments are those of `chain`. Returns images of the shape of `x0`, which have its
        values where nothing was to be made anew.
        """
        for _, xt, _ in self.chain(x0, anew, seed, first=first):
            pass
        return xt


def check_mask(anew: Tensor, x0: Tensor) -> None:
    r"""
    A `ValueError` unless a mask is true or false, fits the images, and asks for something.
    """
    if anew.dtype != torch.bool:
        raise ValueError(
            f'the mask has the type {anew.dtype}: need true where the image is to be made anew, '
            f'and false elsewhere, as `mask > 0.5` makes it'
        )
    sides = zip(reversed(anew.shape), reversed(x0.shape), strict=False)
    if anew.ndim > x0.ndim or any(n not in (1, of) for n, of in sides):
        raise ValueError(
            f'the mask has shape {list(anew.shape)}, the images have {list(x0.shape)}: need the '
            f'same sides, or 1 for all'
        )
    if not bool(anew.any()):
        raise ValueError('the mask is false throughout: there is nothing to be made anew')
