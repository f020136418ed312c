r"""
---
title: Fewer steps, distillation
summary: >
  A student learns where several steps of its teacher lead: by halving (progressive distillation),
  or all the way to the image (consistency); one loss, one trainer, one command.
---

# Fewer steps: distillation

A good [sampler](samplers/index.html) needs about ten calls of the network. Below that it fails,
because a guess at one place does not tell how the way bends later. A network can learn that. It has
a teacher, which knows the way in small steps, and learns where they lead. This page has progressive
distillation [@salimans2022] and consistency distillation [@song2023]. [Reflow](flow_matching.html)
is a third way, and has a page of its own.

```sh
python -m labml_nn.diffusion.ddpm.distill runs/v --calls 4 --out runs/four
python -m labml_nn.diffusion.ddpm.evaluate sample runs/four
```

[The command](ddpm/distill.html) leaves a run like any other, which knows how many steps it is for.

## The lesson: another image, the same noisy image

The student sees $x_t$. An ordinary run would tell it the image $x_0$ that $x_t$ was made from. A
distilled run tells it another image, $\tilde x$, which the teacher has chosen. To make $x_t$ of
$\tilde x$, another noise is needed:

$$\tilde\epsilon = \frac{x_t - a_t\,\tilde x}{\sigma_t}, \qquad
a_t\,\tilde x + \sigma_t\,\tilde\epsilon = x_t$$

[tested](test:diffusion/test_distillation.py::test_a_lesson_makes_the_same_noisy_image), where
$a_t = \sqrt{\bar\alpha_t}$ and $\sigma_t = \sqrt{1-\bar\alpha_t}$. So [Algorithm
1](ddpm/train.html) can be given $\tilde x$, $\tilde\epsilon$ and $t$ as if they were data. Nothing
else in it changes: not the [target and the weight](targets.html), and not the loss, which is

$$w_t\,\lVert \tilde y - y_\theta(x_t, t)\rVert^2 = W\,\lVert \tilde x - \hat x_0\rVert^2$$

[tested](test:diffusion/test_distillation.py::test_the_loss_of_a_lesson). ($\tilde y$ is the target
of $\tilde x$ and $\tilde\epsilon$, and $W$ says what an error of the image counts.) The methods
differ only in what they take for $\tilde x$:

| method | $\tilde x$ |
|---|---|
| Algorithm 1 | the image of the data, $x_0$ |
| reflow | the image that the teacher draws from the noise in $x_t$ |
| progressive | where one step has to aim, to end where two of the teacher's end |
| consistency | the student's own guess, after one step of the teacher |

## Halving: progressive distillation

A step of [DDIM](samplers/ddim.html) from $t$ to $s$ keeps the noise that goes with $\hat x_0$:
$x_s = a_s\,\hat x_0 + \frac{\sigma_s}{\sigma_t}\,(x_t - a_t\,\hat x_0)$. Solved for the guess, it
says where a step has to aim to end at a given $x_s$:

$$\tilde x = \frac{x_s - \frac{\sigma_s}{\sigma_t}\,x_t}{a_s - \frac{\sigma_s}{\sigma_t}\,a_t}$$

[tested](test:diffusion/test_distillation.py::test_one_step_ends_where_the_two_have_ended). The
teacher takes two steps, from $t$ to $m$ and from $m$ to $s$, and guesses $\hat x_0$ and then
$\hat x_0'$. The student has to aim at a mean of the two,

$$\tilde x = \frac{\frac{\sigma_s}{\sigma_m}\,g_{tm}\,\hat x_0 + g_{ms}\,\hat x_0'}
{\frac{\sigma_s}{\sigma_m}\,g_{tm} + g_{ms}}, \qquad
g_{ts} = a_s - \frac{\sigma_s}{\sigma_t}\,a_t$$

[tested](test:diffusion/test_distillation.py::test_the_aim_is_a_mean_of_two_guesses). So it lies in
$[-1, 1]$ if they do, and clipping does no harm. The student begins with the weights of the teacher
and learns at its own steps alone; with `trailing` these are every second one of the teacher's
[tested](test:diffusion/test_distillation.py::test_the_students_steps_are_among_the_teachers). Then
it is the teacher of the next student, which takes half as many steps.

**What is lost?** If every student were perfect, nothing: the last one would draw in one step what
the first teacher draws in all of its steps
[tested](test:diffusion/test_distillation.py::test_perfect_students_draw_what_the_first_teacher_draws).
So it pays to begin with enough steps. For data $\mathcal N(m, c^2)$ and many steps, what the first
teacher draws is the end of the ODE,

$$x_0 = m + \frac{c\,(x_T - a_T\,m)}{\sqrt{a_T^2c^2 + \sigma_T^2}}$$

[tested](test:diffusion/test_distillation.py::test_the_end_of_the_ode_of_a_gaussian).

**What the student has to predict.** Not the noise: $\hat x_0 = (x_t - \sigma_t\,\epsilon) / a_t$,
and at $t = T$ an error comes out 157 times as large. With one call there is no later step to mend
it. With $v$, or
the velocity `u` of [flow matching](flow_matching.html), it is not enlarged
[tested](test:diffusion/test_distillation.py::test_how_large_an_error_of_the_output_becomes). A
teacher that predicts $\epsilon$ is refused. The weight is `truncated_snr`, $W = \max(\text{SNR},
1)$. With the weight SNR the first step, where there is hardly any image, would count for nothing,
and with one call it is the only step.

## To the end at once: consistency distillation

Let $f(x_t, t)$ be the image at which the ODE ends that goes through $x_t$. It is the same all along
the way, and at the image it is the image:

$$f(x_t, t) = f(x_s, s), \qquad f(x, \text{image}) = x$$

For Gaussian data it is the formula above, with $t$ in the place of $T$, and fulfils both
[tested](test:diffusion/test_distillation.py::test_the_consistency_function_of_a_gaussian). The two
conditions determine $f$, so they can be a loss. Go one step of the teacher from $x_t$ to $x_s$, ask
the student there, and teach it to say the same at $x_t$:

$$\tilde x = f_{\theta^-}(x_s, s)$$
<!-- no-test: definition -->

$\theta^-$ are averaged weights of the student, which [a run](ddpm/ema.html) keeps anyway; here with
a short window, `ema_decay` 0.95. What is true at the image travels up from step to step. The way
is divided into 32 steps. The loss is zero if the student, asked at any of them, gives the image at
which the teacher ends
[tested](test:diffusion/test_distillation.py::test_the_loss_is_zero_where_the_teacher_ends). The
true $f$ of a Gaussian has a loss too, as the teacher's steps have errors. With twice as many steps
it falls to about a twelfth
[tested](test:diffusion/test_distillation.py::test_the_true_function_loses_what_the_steps_lose).

**The condition at the image** must not be left to the training. It is built in: the guess of the
image, in terms of the network's output $y$, is

$$f_\theta(x_t, t) = \hat x_0 = c_\text{skip}\,x_t + c_\text{out}\,y, \qquad
c_\text{skip} = \frac AD, \quad c_\text{out} = -\frac{\sigma_t}{D}$$

with the [target's](targets.html) $A$ and $D$
[tested](test:diffusion/test_distillation.py::test_the_guess_is_a_skip_and_an_output). At the image,
where $a = 1$ and $\sigma = 0$, this is $x$ for each target but $x_0$
([tested](test:diffusion/test_distillation.py::test_the_condition_at_the_image)). So nothing has to
be changed in the network. With $v$ it is the paper's own choice. In its units, $x/a$ and
$\bar\sigma = \sigma/a$,

$$c_\text{skip} = \frac{1}{\bar\sigma^2 + 1}, \qquad
c_\text{out} = -\frac{\bar\sigma}{\sqrt{\bar\sigma^2 + 1}}$$

which are those of the paper for data of variance 1 and a smallest noise of 0, but for the sign of
the network
[tested](test:diffusion/test_distillation.py::test_v_is_the_papers_choice).

One call draws an image. [More calls](samplers/consistency.html) put new noise on it and jump again.

## The commands

    python -m labml_nn.diffusion.ddpm.experiment --schedule straight --target u --out runs/flow
    python -m labml_nn.diffusion.ddpm.distill runs/flow --calls 1 --out runs/fast
    python -m labml_nn.diffusion.ddpm.distill runs/flow --method consistency --out runs/jump
    python -m labml_nn.diffusion.ddpm.distill runs/flow --method reflow --out runs/reflow

The second line makes five students, `runs/fast.16` to `runs/fast`. A teacher must be trained
without classes, and must not predict the noise. For reflow it needs
`--schedule straight --target u`; for consistency it must not predict $x_0$. A student of halving
can only be halved again, and one of consistency teaches nothing.

## On digits

Fréchet distance in pixel space of 898 samples from the 1,797 real digits: all 1000 steps of DDPM
have 0.25, and as many draws of the data 0.14. The teacher is the model of [flow
matching](flow_matching.html). `python -m docs.figures.data.distillation runs` trains the students
and measures again.

| calls of the network | 1 | 2 | 4 | 8 |
|---|---|---|---|---|
| teacher, DDIM | 16.1 | 3.18 | 0.92 | 0.41 |
| teacher, UniPC | 16.1 | 3.18 | 0.54 | 0.20 |
| reflow | 0.33 | 0.29 | 0.26 | 0.25 |
| progressive | 0.44 | 0.35 | 0.31 | 0.28 |
| consistency | 0.38 | 0.31 | 0.30 | 0.31 |
<!-- measured: docs/figures/data/distillation.json#/table -->

![Distance against calls, both axes logarithmic. The teacher falls from 16 at one call to 0.4 with
DDIM and 0.2 with UniPC at eight. The three students are nearly level, from 0.33 to 0.44 at one
call to between 0.25 and 0.31 at eight](figure:distillation.py::calls
"Quality against calls of the network; dotted, 1000 steps of DDPM")

* **One call** of the teacher draws the mean of all digits, whatever the noise. Each student draws
  digits with it.
* **Up to four calls** the students are ahead of their teacher, however it is sampled. With eight, a
  [solver of higher order](samplers/unipc.html) needs no training and is better than all of them.
* **Reflow** is the best of the three at every number of calls. It had 1,200 steps of training,
  consistency 900 and the four halvings together 560. So the table does not say which method is the
  best.
* **Halving** began with 16 steps of DDIM, so no student can be expected to do better than these.
  Each halving loses something, and the last one most.
* **Consistency** gets better with two and with four calls, and no better with eight: with every
  jump, the errors of the model are made anew.

![Rows of ten digits from the same noises. Eight calls of the teacher with DDIM give digits, two
give grey blurs, one gives the same blur ten times. Reflow, progressive and consistency give digits
with two calls, and with one](figure:distillation.py::digits
"The same ten noises; the numbers are calls of the network")

**What did not come out.** The aim was, with two calls, a distance at most a quarter larger than the
0.25 of 1000 steps: 0.31. By the means of [three seeds](comparison.html), reflow reaches it with
0.29. After their short trainings consistency just misses it, with 0.32, and halving has 0.35. The
table is of one seed and one training each; the three seeds differ by up to 0.11.

[Exercises for this page](ddpm/exercises.html#fewer-steps), with answers.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.utils import evaluating, gather
from labml_nn.diffusion.samplers.contract import spaced

# How many steps the grid of consistency distillation has
GRID = 32


class Method(NamedTuple):
    r"""
    ## A way to teach
    """

    sampler: str  # the way back that its students are for
    grid: int | None  # the grid whose steps students learn; 0: their own; None: all


# By the name that a run's configuration has
METHODS = {
    'reflow': Method('ddim', None),
    'progressive': Method('ddim', 0),
    'consistency': Method('consistency', GRID),
}


def learned(method: str, calls: int, n_steps: int) -> list[int]:
    r"""
    The steps that a student is asked at while it learns, rising.
    """
    grid = METHODS[method].grid
    return spaced('trailing', n_steps if grid is None else grid or calls, n_steps)


def shares(diffusion: DenoiseDiffusion, t: Tensor, ndim: int) -> tuple[Tensor, Tensor]:
    r"""
    $a$ and $\sigma$ of each image's step, `[batch, 1, ...]`; the image itself is step -1
    """
    is_image = (t < 0).reshape(-1, *[1] * (ndim - 1))
    at = t.clamp(min=0)
    a = torch.where(is_image, 1.0, gather(diffusion.alpha_bar, at, ndim) ** 0.5)
    s = torch.where(is_image, 0.0, gather(diffusion.one_minus_alpha_bar, at, ndim) ** 0.5)
    return a, s


@torch.no_grad()
def ddim_step(diffusion: DenoiseDiffusion, xt: Tensor, t: Tensor, s: Tensor) -> Tensor:
    r"""
    ## A step of DDIM, for a batch whose images are at different steps

    * `t` the step of each, `[batch]`
    * `s` where it goes, below `t`; -1 is the image

    $\hat x_0$ is clipped, as [samplers](samplers/contract.html) do it.
    """
    with evaluating(diffusion.eps_model):
        _, x0_hat, _ = diffusion.guess(xt, t)
    x0_hat = x0_hat.clamp(-1, 1)
    a_t, s_t = shares(diffusion, t, xt.ndim)
    a_s, s_s = shares(diffusion, s, xt.ndim)
    # $x_s = a_s\,\hat x_0 + \sigma_s\,\hat\epsilon$, with the noise that goes with this image
    return a_s * x0_hat + s_s * (xt - a_t * x0_hat) / s_t


def aim(diffusion: DenoiseDiffusion, xt: Tensor, xs: Tensor, t: Tensor, s: Tensor) -> Tensor:
    r"""
    ## The image at which one step of DDIM has to aim, to get from $x_t$ to $x_s$
    """
    a_t, s_t = shares(diffusion, t, xt.ndim)
    a_s, s_s = shares(diffusion, s, xt.ndim)
    ratio = s_s / s_t
    return (xs - ratio * xt) / (a_s - ratio * a_t)


# What a batch holds: images, labels, noise, steps
Batch = tuple[Tensor, Tensor, Tensor, Tensor]


def lesson(diffusion: DenoiseDiffusion, x: Tensor, label: Tensor, xt: Tensor, t: Tensor) -> Batch:
    r"""
    ## What [Algorithm 1](ddpm/train.html) is given: images, labels, noise, and steps
    """
    a, s = shares(diffusion, t, xt.ndim)
    return x, label, (xt - a * x) / s, t


def progressive(
    teacher: DenoiseDiffusion, calls: int, data: Iterable[tuple[Tensor, ...]]
) -> Iterator[Batch]:
    r"""
    ## Progressive distillation (Salimans and Ho 2022, algorithm 2)

    * `teacher` a model that is sampled from in `2 * calls` steps
    * `calls` the steps of the student
    * `data` batches of images and labels
    """
    steps = torch.tensor([-1, *spaced('trailing', 2 * calls, teacher.n_steps)])
    for x0, label, *_ in data:
        levels = steps.to(x0.device)
        i = 2 * torch.randint(1, calls + 1, (len(x0),), device=x0.device)
        t, middle, s = levels[i], levels[i - 1], levels[i - 2]
        xt = teacher.q_sample(x0, t)
        xs = ddim_step(teacher, ddim_step(teacher, xt, t, middle), middle, s)
        yield lesson(teacher, aim(teacher, xt, xs, t, s), label, xt, t)


def consistency(
    teacher: DenoiseDiffusion,
    target: DenoiseDiffusion,
    data: Iterable[tuple[Tensor, ...]],
    grid: int = GRID,
) -> Iterator[Batch]:
    r"""
    ## Consistency distillation (Song et al. 2023, algorithm 2)

    * `teacher` whose ODE is followed, one step of DDIM
    * `target` the student with averaged weights
    * `data` batches of images and labels
    * `grid` how many steps the way is divided into
    """
    steps = torch.tensor([-1, *spaced('trailing', grid, teacher.n_steps)])
    for x0, label, *_ in data:
        levels = steps.to(x0.device)
        i = torch.randint(1, grid + 1, (len(x0),), device=x0.device)
        t, s = levels[i], levels[i - 1]
        xt = teacher.q_sample(x0, t)
        x = end(target, ddim_step(teacher, xt, t, s), s)
        yield lesson(teacher, x, label, xt, t)


@torch.no_grad()
def end(diffusion: DenoiseDiffusion, xt: Tensor, t: Tensor) -> Tensor:
    r"""
    ## The consistency function $f(x_t, t)$ of a model, which is $x_t$ itself at the image, -1
    """
    with evaluating(diffusion.eps_model):
        _, x0_hat, _ = diffusion.guess(xt, t.clamp(min=0))
    is_image = (t < 0).reshape(-1, *[1] * (xt.ndim - 1))
    return torch.where(is_image, xt, x0_hat)
