r"""
---
title: All of them beside each other
summary: >
  Most models and samplers of this package on the same digits: what they cost to train, and how near
  their samples come to the data with 1 to 50 calls of the network.
---

# All of them beside each other

The papers after DDPM differ in network, data or number of training steps, and so their tables are
hard to compare. Here little but the idea itself differs:

* **Data**: the 1,797 digits of 8 × 8 pixels.
* **Network**: the U-Net of the preset `digits`, with 701,345 parameters. [DiT](ddpm/dit.html) has
  a transformer of about that size instead, whose training takes about as long.
* **Training**: 2,400 steps of 64 images, at the same rates. DiT takes 4,000, at twice the rate.
  The models `reflow`, `halved` and `consistency` are [students](distillation.html): they are
  trained further, to repeat in fewer steps what a trained model draws, here the flow.
* **Measure**: the Fréchet distance in pixel space between 898 samples and all 1,797 digits, with
  the averaged weights, and $\hat x_0$ clipped.
* **Cost**: calls of the network for each image. Heun's method calls it twice in each step but the
  last, and PNDM once more than it takes steps; both take as many steps as fit.

One command trains what is not there, and measures it with three seeds:

    python -m docs.figures.data.comparison runs/comparison

Its parts add up to some two and a half hours of one core. It can be stopped at any time, and goes
on where it was. To do only some of the models, add the names of their folders to the command, such
as `flow edm`.

## The distances

![Distance against calls of the network, both on logarithmic scales. Four samplers of DDPM start
together at one call, with a distance of 18, and come down to between 0.23 and 0.28 at 50 calls;
flow matching has less with 8, and its reflow begins at 0.33 with a single
call](figure:comparison.py::frontier "Quality against calls of the network, for some of the rows")

The first word of a row is the model. DDPM predicts the noise, $x_0$ and $v$ predict [the image, or
a mixture of both](targets.html). On the same page are `min_snr`, other weights in the loss, and
`zero_snr`, a schedule that leaves nothing of the image. The flow and its reflow are models of [flow
matching](flow_matching.html), and EDM is [another training](preconditioning.html), whose own steps
in sampling are called `karras`. `halved` and `consistency` are [distilled](distillation.html), for
eight calls and fewer. What follows the name of the model is the [sampler](samplers/index.html); 2M
is DPM-Solver++ 2M, Euler is the [simplest solver](samplers/flow.html) of the flow, and a
consistency model has [its own jumps](distillation.html).

| calls of the network, at most | 1 | 2 | 4 | 8 | 10 | 20 | 50 |
|---|---:|---:|---:|---:|---:|---:|---:|
| DDPM, ancestral | 18.1 | 8.60 | 1.75 | 0.69 | 0.56 | 0.36 | 0.28 |
| DDPM, DDIM | 18.1 | 8.16 | 1.89 | 0.67 | 0.53 | 0.31 | 0.25 |
| DDPM, PNDM | 18.1 | 8.16 | 1.42 | 0.46 | 0.40 | 0.23 | 0.23 |
| DDPM, DPM-Solver++ 2M | 18.1 | 8.16 | 1.85 | 0.47 | 0.35 | 0.24 | 0.23 |
| DDPM, 2M with noise | 18.1 | 8.92 | 2.33 | 0.57 | 0.41 | 0.25 | 0.24 |
| DDPM, UniPC | 18.1 | 8.16 | 1.80 | 0.44 | 0.34 | 0.23 | 0.23 |
| DDPM, Heun, `karras` | 18.1 | 17.6 | 55.0 | 5.92 | 3.16 | 0.34 | 0.23 |
| $x_0$, DPM-Solver++ 2M | 17.6 | 9.70 | 2.11 | 0.58 | 0.42 | 0.28 | 0.29 |
| $v$, DPM-Solver++ 2M | 17.7 | 9.62 | 1.93 | 0.46 | 0.35 | 0.24 | 0.23 |
| `min_snr`, DPM-Solver++ 2M | 18.6 | 8.17 | 1.92 | 0.46 | 0.35 | 0.25 | 0.25 |
| $v$, `min_snr`, DPM-Solver++ 2M | 10.9 | 9.24 | 1.93 | 0.47 | 0.35 | 0.25 | 0.25 |
| $v$, `zero_snr`, DPM-Solver++ 2M | 17.8 | 9.77 | 1.98 | 0.47 | 0.35 | 0.24 | 0.23 |
| flow, DPM-Solver++ 2M | 16.1 | 3.17 | 0.61 | 0.22 | 0.21 | 0.20 | 0.20 |
| flow, UniPC | 16.1 | 3.17 | 0.54 | 0.21 | 0.20 | 0.20 | 0.20 |
| flow, Heun | 16.1 | 16.1 | 1.42 | 0.32 | 0.27 | 0.21 | 0.20 |
| reflow, Euler | 0.33 | 0.29 | 0.27 | 0.25 | 0.25 | 0.25 | 0.24 |
| EDM, Heun, `karras` | 10.2 | 10.1 | 59.8 | 5.76 | 3.75 | 0.28 | 0.18 |
| EDM, 2M, `karras` | 10.2 | 10.1 | 0.52 | 0.40 | 0.29 | 0.19 | 0.19 |
| EDM, DPM-Solver++ 2M | 10.2 | 9.32 | 1.83 | 0.39 | 0.30 | 0.20 | 0.19 |
| halved, DDIM | 0.44 | 0.35 | 0.32 | 0.28 | – | – | – |
| consistency, its jumps | 0.38 | 0.32 | 0.28 | 0.32 | – | – | – |
| DiT, DPM-Solver++ 2M | 14.0 | 9.53 | 2.44 | 0.64 | 0.49 | 0.38 | 0.38 |
<!-- measured: docs/figures/data/comparison.json#/distance -->

Each number is the mean over three seeds of the sampling. Each model was trained once; `halved` has
four students, one for each number of calls. 898 draws from the real digits have the distance
0.1421, and 1000 ancestral steps of DDPM have [0.25](samplers/index.html).
<!-- measured: docs/figures/data/comparison.json#/fresh -->

* **One call** from pure noise ends near the mean of all digits, whatever the sampler. The mean
  itself has the distance 18.8. Errors that differ from noise to noise give the blurs some spread,
  which makes the distance smaller. EDM's errors may be large here, as [that level is hardly
  trained](preconditioning.html). Only the reflow and the distilled models draw digits in one call,
  with 0.33 to 0.44: they were trained to need few.
* **Up to eight calls** the training decides. With four, the reflow and the distilled models have
  0.27 to 0.32, EDM's model 0.52 with `karras` and DPM-Solver++, and the flow 0.54 with UniPC;
  all samplers of DDPM's model have 1.4 and more. With eight, the flow has 0.21 with UniPC.
* **With 20 calls** DPM-Solver++ has between 0.19 and 0.28 for every U-Net, and 0.38 for DiT.
  $\epsilon$ and $v$ are alike, and $x_0$ is a little worse. The smallest distances are those of
  EDM's training with `karras`, 0.19, and of the flow, 0.20. The three seeds of one row lie further
  apart than these two numbers.
* **Heun's method** pays for its second slope with half of its steps. With `karras` and four to ten
  calls it is the worst of all, on EDM's own model too. EDM itself takes 18 steps, 35 calls.

## How much the seeds differ

The largest of the three distances less the smallest. With 20 calls and more this spread is 0.01 to
0.09, because then the noises and not the steps decide the distance. It can be a quarter or a third
of a small distance, as for the flow and its reflow.

| calls of the network, at most | 1 | 2 | 4 | 8 | 10 | 20 | 50 |
|---|---:|---:|---:|---:|---:|---:|---:|
| DDPM, ancestral | 0.60 | 0.02 | 0.06 | 0.04 | 0.06 | 0.05 | 0.08 |
| DDPM, DDIM | 0.60 | 0.09 | 0.08 | 0.05 | 0.05 | 0.03 | 0.02 |
| DDPM, PNDM | 0.60 | 0.09 | 0.03 | 0.01 | 0.03 | 0.01 | 0.01 |
| DDPM, DPM-Solver++ 2M | 0.60 | 0.09 | 0.09 | 0.02 | 0.01 | 0.01 | 0.01 |
| DDPM, 2M with noise | 0.60 | 0.02 | 0.09 | 0.02 | 0.05 | 0.04 | 0.09 |
| DDPM, UniPC | 0.60 | 0.09 | 0.08 | 0.02 | 0.00 | 0.01 | 0.01 |
| DDPM, Heun, `karras` | 0.60 | 0.59 | 0.35 | 0.25 | 0.11 | 0.01 | 0.01 |
| $x_0$, DPM-Solver++ 2M | 0.02 | 0.06 | 0.13 | 0.07 | 0.06 | 0.04 | 0.05 |
| $v$, DPM-Solver++ 2M | 0.01 | 0.04 | 0.11 | 0.05 | 0.04 | 0.04 | 0.04 |
| `min_snr`, DPM-Solver++ 2M | 0.57 | 0.05 | 0.12 | 0.03 | 0.01 | 0.01 | 0.01 |
| $v$, `min_snr`, DPM-Solver++ 2M | 0.07 | 0.03 | 0.11 | 0.05 | 0.03 | 0.03 | 0.03 |
| $v$, `zero_snr`, DPM-Solver++ 2M | 0.01 | 0.02 | 0.11 | 0.06 | 0.04 | 0.03 | 0.04 |
| flow, DPM-Solver++ 2M | 0.01 | 0.20 | 0.14 | 0.07 | 0.07 | 0.06 | 0.05 |
| flow, UniPC | 0.01 | 0.20 | 0.13 | 0.06 | 0.06 | 0.05 | 0.05 |
| flow, Heun | 0.01 | 0.01 | 0.16 | 0.08 | 0.07 | 0.06 | 0.06 |
| reflow, Euler | 0.10 | 0.09 | 0.09 | 0.08 | 0.08 | 0.08 | 0.08 |
| EDM, Heun, `karras` | 0.08 | 0.08 | 0.32 | 0.13 | 0.18 | 0.02 | 0.03 |
| EDM, 2M, `karras` | 0.08 | 0.08 | 0.12 | 0.09 | 0.06 | 0.03 | 0.03 |
| EDM, DPM-Solver++ 2M | 0.08 | 0.07 | 0.14 | 0.06 | 0.04 | 0.03 | 0.03 |
| halved, DDIM | 0.11 | 0.10 | 0.09 | 0.08 | – | – | – |
| consistency, its jumps | 0.08 | 0.07 | 0.04 | 0.02 | – | – | – |
| DiT, DPM-Solver++ 2M | 0.28 | 0.01 | 0.11 | 0.09 | 0.08 | 0.07 | 0.07 |
<!-- measured: docs/figures/data/comparison.json#/spread -->

## Training time, and bits

| model | seconds | bound | ODE |
|---|---:|---:|---:|
| DDPM | 299 | 2.82 ± 0.03 | 2.70 ± 0.03 |
| $x_0$ | 285 | 16.24 ± 0.99 | – |
| $v$ | 252 | 2.83 ± 0.03 | – |
| `min_snr` | 257 | 3.28 ± 0.04 | 3.30 ± 0.03 |
| $v$, `min_snr` | 247 | 3.21 ± 0.04 | – |
| $v$, `zero_snr` | 258 | 2.83 ± 0.03 | – |
| flow | 281 | 4.96 ± 0.05 | – |
| reflow | 514 | 7.94 ± 0.10 | – |
| EDM | 285 | 2.65 ± 0.03 | – |
| halved | 411 | – | – |
| consistency | 457 | – | – |
| DiT | 312 | 2.87 ± 0.03 | 2.69 ± 0.03 |
<!-- measured: docs/figures/data/comparison.json#/models -->

The seconds are those of one core that has nothing else to do. The command with `--times` measures
them, once the flow is trained: a hundred steps of each model, by turns, and the whole training of a
student. A student has the seconds of the flow as well. The trainings of the U-Net take equally
long: what differs there, up to a fifth, is the machine. The bits per dimension are means over 64
training images, ± their standard error: [the bound](ddpm/likelihood.html), and the [exact
likelihood](sde.html) by the ODE, which is computed only for models that predict $\epsilon$.

* **Bits see what the distance does not**: the guesses at little noise, where most bits are spent
  and all samples look alike. $x_0$ and `min_snr` give these steps little weight. With about the
  same samples as $\epsilon$, $x_0$ needs 16.2 bits and `min_snr` 3.28. EDM trains more at little
  noise, and has the lowest bound, 2.65.
* **The transformer** has about the bits of the U-Net, although its samples are further away.
* **The bounds of the flow and the reflow** are of another schedule, with the fixed variance of
  DDPM, and cannot be compared with the others.

## A row of your own

Add a line to `MODELS` in the file `docs/figures/data/comparison.py`:

    Model('mine', 'mine', {'schedule': 'cosine'}, (Way('DDIM', 'ddim', {}, 'mine'),)),

It has a name, a folder, the options by which the training differs from `digits`, and the ways of
sampling, each a row of the tables. The last word is the name in the picture. Instead of options
there may be a function that takes the folder of all runs and a number of calls, and returns a
diffusion, for models that are trained in another way.
"""
