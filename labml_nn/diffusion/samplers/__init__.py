r"""
---
title: Fast samplers
summary: >
  One contract for all ways back from noise to image, the choice of steps, and what each way costs:
  how far its samples are from the data after how many calls of the network.
---

# Fast samplers

Training asks for $\epsilon_\theta(x_t, t)$ at one $t$ at a time, and never runs a chain. So a
trained network can be used in any chain whose $x_t$ are distributed as in training. The chain may
have fewer and larger steps. Its steps need not add new noise: without it the chain solves a
differential equation, and can do so by a method of higher order, whose error falls faster when the
steps get smaller. Only the last sampler of this list needs new training.

* [Ancestral sampling](ancestral.html): Algorithm 2 of DDPM, on any subset of the steps
* [DDIM](ddim.html): each $x_t$ has the same distribution, but the steps add less noise, or none;
  and the way from image to noise
* [PNDM](pndm.html): a classical multistep method, which also uses the noises that were predicted at
  earlier steps
* [DPM-Solver++](dpm_solver.html): sampling as a differential equation, whose linear part is solved
  exactly
* [UniPC](unipc.html): each step corrected by the guess that the next one needs anyway
* [Heun's method](edm.html): the mean of the slopes at both ends of a step, and the noise levels of
  the paper called EDM
* [Steps along straight lines](flow.html): Euler's and Heun's methods in the time of flow matching
* [Consistency sampling](consistency.html): jumps to the image, for models that are
  [distilled](../distillation.html) to do so

All follow [one contract](contract.html), and are used in the same way:

    from labml_nn.diffusion.samplers import DDIM
    sampler = DDIM(diffusion, n_steps=50)
    images = sampler.sample((16, 1, 8, 8), seed=0)

or one step at a time, for animations, progress bars and early stops:

    xt, noise = sampler.start((16, 1, 8, 8), seed=0)
    for t, xt, x0_hat in sampler.chain(xt, noise):
        ...

![The plane with data in four places, and arrows towards them. From one noise at the edge the lines
of DDIM, PNDM, DPM-Solver++ and ancestral sampling lead to the data in eight steps, some close to
the exact path, some beside it](live:plane)

## A subset of the steps is a shorter chain

Choose $n$ of the $T$ steps, $\tau_1 < \dots < \tau_n$. The forward process at these steps alone is
again a forward process. Its step from $\tau_{i-1}$ to $\tau_i$ multiplies the image
by $\sqrt{\bar\alpha_{\tau_i} / \bar\alpha_{\tau_{i-1}}}$, and adds noise of variance

$$\beta'_i = 1 - \frac{\bar\alpha_{\tau_i}}{\bar\alpha_{\tau_{i-1}}}, \qquad
\bar\alpha_{\tau_0} = 1$$

So the formulas of [DDPM](../ddpm/index.html) hold with $n$ for $T$ and $\beta'$ for $\beta$, and
the code is the same
[tested](test:diffusion/samplers/test_ancestral.py::test_a_subset_is_a_shorter_chain). One thing is
lost: the steps are larger, so the true step back is less like a Gaussian.

A sampler goes through the steps in the other direction. Its first call of the network is at
$\tau_n$, its last at $\tau_1$. **The last step**, from $\tau_1$ to the image, goes to
$\bar\alpha = 1$: it ends on $\hat x_0$, without noise
[tested](test:diffusion/samplers/test_contract.py::test_the_last_step_lands_on_x0_hat).

## Which steps

There are four common ways to choose $n$ of the $T$ steps. From here on a step has the index that it
has in the code, $t - 1$, which runs from 0 to $T-1$. The upper picture shows which indices they
choose. The lower one shows where these lie on the scale of $\lambda$, half the logarithm of the
signal-to-noise ratio, which [DPM-Solver++](dpm_solver.html) uses:

![Twenty strokes for each way. By index, all but quadratic are evenly spaced. By signal to noise,
linspace and leading have a wide gap between their last two strokes, the second of which is index 0;
trailing has no stroke at index 0 and no gap; quadratic has many strokes inside the
gap](figure:samplers.py::spacing
"Where twenty steps go")

* `leading` takes the multiples of $T/n$, from 0. With fewer than $T$ steps it leaves out the
  noisiest index, $T-1$: with 20 steps the network gets pure noise, which belongs to index 999, but
  is told that it is index 950.
* `linspace` goes evenly from 0 to $T-1$.
* `trailing` takes the multiples of $T/n$, counted from the noisy end. It includes index $T-1$. It
  leaves out index 0 unless $n$ is more than two thirds of $T$: with 20 steps the last call is at
  index 49, and its $\hat x_0$ is the image.
* `quadratic`, $\tau_{i+1} \propto i^2$ for $i = 0 \dots n-1$, has many steps where there is little
  noise.

A fifth, `karras`, chooses by the noise itself, and is explained [with EDM](edm.html).

**They differ most in the step to index 0.** Evenly spaced indices are not evenly spaced in noise.
With twenty `linspace` steps, the last step but one goes from index 53 to index 0. On it $\lambda$
climbs from 1.7 to 4.6. This one step is 30 % of the whole way
([tested](test:diffusion/samplers/test_contract.py::test_the_step_to_index_0_is_a_third_of_the_way)),
and 4.4 times as long as the step before it. This is bad for a method that extrapolates in
$\lambda$. DPM-Solver++ does: it puts a straight line in $\lambda$ through its last two guesses of
the image, and follows it to the middle of the step. Over a step so long the line leads far from the
truth. On Gaussian data with 10 and 20 steps of `linspace` or `leading`, DPM-Solver++ is further
from the exact solution than DDIM, which does not extrapolate
[tested](test:diffusion/samplers/test_formulas.py::test_extrapolation_in_lambda_needs_trailing).
`trailing` has no such step: from index 49 it goes straight to the image, and in the last step
DPM-Solver++ does not extrapolate. `quadratic` divides the long step into many.

## What they cost

The tables have the [Fréchet distance](../../evaluation/frechet.html), computed on pixels, between
898 samples of a model and the 1,797 real digits; less is better. The model is the one that
`make train` makes. All samplers clip $\hat x_0$ to $[-1, 1]$, as they do by default. 2M is the
second-order method of [DPM-Solver++](dpm_solver.html), which has a form with noise; $\eta$ says how
much noise [DDIM](ddim.html) adds. The last row of the first table is the time of 2M for all samples
on one CPU core, as a rough guide. `python -m docs.figures.data.frontier runs/digits` measures it
all again. The tables of other pages are from another run of `make train`, and differ from these by
a few hundredths.

| `trailing`, steps | 5 | 10 | 20 | 50 |
|---|---|---|---|---|
| ancestral, $\beta$ | 1.31 | 0.54 | 0.35 | 0.25 |
| ancestral, $\tilde\beta$ | 1.95 | 0.77 | 0.46 | 0.29 |
| DDIM, $\eta = 0.5$ | 1.40 | 0.57 | 0.36 | 0.25 |
| DDIM, $\eta = 0$ | 1.35 | 0.55 | 0.33 | 0.25 |
| PNDM | 0.93 | 0.33 | 0.22 | 0.23 |
| DPM-Solver++ 2M | 1.19 | 0.37 | 0.24 | 0.23 |
| 2M with noise | 1.54 | 0.41 | 0.26 | 0.21 |
| seconds | 2.2 | 4.6 | 9.9 | 35.9 |
<!-- measured: docs/figures/data/frontier.json#/steps -->

Ancestral sampling with all 1000 steps has the distance 0.25 and takes 655 seconds. 898 draws
from the real digits, with repetition, have the distance 0.14: a sampler that draws from just these
digits would come to about that.
<!-- measured: docs/figures/data/frontier.json#/whole -->

| 20 steps | `leading` | `linspace` | `trailing` | `quadratic` |
|---|---|---|---|---|
| ancestral, $\beta$ | 0.68 | 0.73 | 0.35 | 0.32 |
| ancestral, $\tilde\beta$ | 0.47 | 0.48 | 0.46 | 0.39 |
| DDIM, $\eta = 0.5$ | 0.36 | 0.36 | 0.36 | 0.31 |
| DDIM, $\eta = 0$ | 0.32 | 0.33 | 0.33 | 0.29 |
| PNDM | 0.23 | 0.24 | 0.22 | – |
| DPM-Solver++ 2M | 0.32 | 0.33 | 0.24 | 0.23 |
| 2M with noise | 0.48 | 0.51 | 0.26 | 0.25 |
<!-- measured: docs/figures/data/frontier.json#/spacing -->

PNDM and DPM-Solver++ with `trailing`, four seeds each:

| sampler, steps | mean of four seeds | least | most |
|---|---|---|---|
| PNDM, 10 | 0.32 | 0.32 | 0.33 |
| DPM-Solver++ 2M, 10 | 0.36 | 0.35 | 0.37 |
| 2M with noise, 10 | 0.41 | 0.38 | 0.44 |
| PNDM, 20 | 0.23 | 0.22 | 0.24 |
| DPM-Solver++ 2M, 20 | 0.24 | 0.23 | 0.25 |
| 2M with noise, 20 | 0.25 | 0.23 | 0.26 |
| PNDM, 50 | 0.23 | 0.23 | 0.24 |
| DPM-Solver++ 2M, 50 | 0.23 | 0.22 | 0.24 |
| 2M with noise, 50 | 0.24 | 0.21 | 0.29 |
<!-- measured: docs/figures/data/frontier.json#/seeds -->

![Distance against calls of the network. The methods of second order reach the line of 1000
ancestral steps at about 20 calls. DDIM, and ancestral sampling with β, reach it at 50; ancestral
sampling with β̃ does not reach it](figure:samplers.py::frontier
"Quality against calls of the network")

* **Order** helps when steps are few: with `trailing`, at 10 and 20 steps, the methods of second
  order (PNDM and DPM-Solver++) are far ahead of DDIM and of ancestral sampling.
* **Spacing** matters for DPM-Solver++ and for ancestral sampling with $\beta$. With `trailing` the
  distance of DPM-Solver++ is three quarters of its distance with `leading`, and in the form with
  noise about half, because of the extrapolation described above. For ancestral sampling with
  $\beta$ it is about half too, for another reason: with `leading` the long step to index 0 adds
  much noise, and the single step that follows cannot remove it. DDIM and PNDM do not extrapolate in
  $\lambda$. They hardly depend on which of the three even spacings is taken. With `quadratic`,
  DDIM is a little better.
* **Noise** in the chain can repair earlier errors, of the network and of the steps, which a chain
  without noise carries to the end. In these tables that gains little. 2M is worse with noise at 5
  and 10 steps, and with noise its distances with four seeds lie further apart. Ancestral sampling
  with $\tilde\beta$ is worse than DDIM without noise, but with $\beta$ and `trailing` it is about
  as good.
* **The last step** ends on $\hat x_0$ with every sampler. A sampler that stopped at index 0 instead
  would leave 1 % of noise in the image.

> **The defaults.** Every sampler takes 20 steps with `trailing` unless told otherwise. There are
> two exceptions: chosen by its name, as `--sampler ddpm`, ancestral sampling takes all $T$ steps,
> and a [distilled](../distillation.html) run takes the sampler and the steps that it was made for.
> The default sampler is DPM-Solver++ without noise. On this model it comes as near to the data as
> all 1000 ancestral steps, with a fiftieth of the calls. PNDM needs one call more and is as good.
> Small differences in the tables mean nothing: the last table shows how far four seeds lie apart.
> Other data may need other steps: for CIFAR-10 the authors of DDIM chose `quadratic`.

[Exercises for this page](../ddpm/exercises.html#fast-samplers), with answers.
"""

from dataclasses import fields
from typing import Any, NamedTuple

from labml_nn.cli.declared import declarations
from labml_nn.cli.messages import nearest
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.samplers.ancestral import Ancestral
from labml_nn.diffusion.samplers.consistency import Consistency
from labml_nn.diffusion.samplers.contract import DEFAULT_STEPS, ReverseSampler, spaced
from labml_nn.diffusion.samplers.ddim import DDIM
from labml_nn.diffusion.samplers.dpm_solver import DPMSolver
from labml_nn.diffusion.samplers.edm import Heun
from labml_nn.diffusion.samplers.flow import Flow
from labml_nn.diffusion.samplers.pndm import PNDM
from labml_nn.diffusion.samplers.unipc import UniPC

__all__ = [
    'DDIM', 'DEFAULT_STEPS', 'PNDM', 'SAMPLERS', 'Ancestral', 'Consistency', 'DPMSolver', 'Flow',
    'Heun', 'ReverseSampler', 'UniPC', 'make_sampler', 'options', 'spaced',
]  # fmt: skip

# ## By name
SAMPLERS: dict[str, type[ReverseSampler]] = {
    'ddpm': Ancestral,
    'ddim': DDIM,
    'pndm': PNDM,
    'dpm': DPMSolver,
    'heun': Heun,
    'unipc': UniPC,
    'flow': Flow,
    'consistency': Consistency,
}


def make_sampler(
    name: str, diffusion: DenoiseDiffusion, steps: int | None = None, **options: Any
) -> ReverseSampler:
    r"""
    The sampler of that name.

    * `steps` how many; when not given, all for `ddpm`, and for the others 20 at most
    * `options` options of this sampler, such as `eta`

    Raises `ValueError` with the nearest name for a sampler or an option that does not exist.
    """
    if name not in SAMPLERS:
        raise ValueError(nearest(name, list(SAMPLERS), 'sampler'))
    known = [f.name for f in fields(SAMPLERS[name]) if f.kw_only]
    for option in options:
        if option not in known:
            raise ValueError(nearest(option, known, f'option of the sampler {name}:'))
    if steps is None:
        T = diffusion.n_steps
        steps = T if name == 'ddpm' else min(DEFAULT_STEPS, T)
    return SAMPLERS[name](diffusion, steps, **options)


class Option(NamedTuple):
    r"""
    An option of samplers: its type, what it means, and its default
    """

    kind: type
    meaning: str
    default: Any
    of: list[str]  # the names of the samplers that have it


def options() -> dict[str, Option]:
    r"""
    The options of all samplers, as their fields declare them.
    """
    found: dict[str, Option] = {}
    for name, sampler in SAMPLERS.items():
        declared = declarations(sampler)
        for field in fields(sampler):
            if field.name in declared:
                kind, meaning = declared[field.name]
                option = Option(kind, meaning, field.default, [])
                found.setdefault(field.name, option).of.append(name)
    return found
