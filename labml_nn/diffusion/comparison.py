r"""
---
title: All of them beside each other
summary: >
  Every model and every sampler of this package on the same digits: what they cost to train, and how
  near their samples come to the data with 1 to 50 calls of the network.
---

# All of them beside each other

Every paper that came after DDPM has its own network, data and measure, so their tables cannot be
laid side by side. Here little but the idea itself differs:

* **Data**: the 1,797 digits of 8 × 8 pixels.
* **Network**: the U-Net of the preset `digits`, with 701,345 parameters; [DiT](ddpm/dit.html) has
  a transformer of about that size, trained for about that time.
* **Training**: 2,400 steps of 64 images, at the same rates. DiT takes 4,000, at twice the rate.
  [Students](distillation.html) have a training of their own, after their teacher's.
* **Measure**: the Fréchet distance in pixel space between 898 samples and all 1,797 digits, with
  the averaged weights, and $\hat x_0$ clipped.
* **Cost**: calls of the network for each image. Heun's method calls it twice a step, and PNDM once
  more than it takes steps; they take as many steps as fit.

One command trains what is not there, and measures it with three seeds:

    python -m docs.figures.data.comparison runs/comparison

It takes about an hour and a half on two cores. It can be stopped at any time, and goes on where it
was. With the folders of some models, such as `flow` or `edm`, it does these alone. A row of the
tables is a line of that file.

## The distances

![Distance against calls of the network, both on logarithmic scales. Four samplers of DDPM start
together at one call, with a distance of 18, and come down to 0.2 between 20 and 50 calls; flow
matching is there with 8, and its reflow begins at 0.33 with a single
call](figure:comparison.py::frontier "Quality against calls of the network, for some of the rows")

| calls of the network, at most | 1 | 2 | 4 | 8 | 10 | 20 | 50 |
|---|---|---|---|---|---|---|---|
| DDPM, ancestral | 18.2 | 8.6 | 1.8 | 0.66 | 0.54 | 0.34 | 0.24 |
| DDPM, DDIM | 18.2 | 8.17 | 1.91 | 0.69 | 0.54 | 0.32 | 0.24 |
| DDPM, PNDM | 18.2 | 8.17 | 1.43 | 0.47 | 0.39 | 0.23 | 0.23 |
| DDPM, DPM-Solver++ 2M | 18.2 | 8.17 | 1.87 | 0.47 | 0.36 | 0.23 | 0.22 |
| DDPM, 2M with noise | 18.2 | 8.93 | 2.39 | 0.56 | 0.41 | 0.25 | 0.21 |
| DDPM, UniPC | 18.2 | 8.17 | 1.82 | 0.44 | 0.34 | 0.23 | 0.22 |
| DDPM, Heun, `karras` | 18.2 | 17.8 | 54.9 | 6.01 | 3.2 | 0.34 | 0.22 |
| $x_0$, DPM-Solver++ 2M | 17.6 | 9.68 | 2.12 | 0.58 | 0.41 | 0.27 | 0.28 |
| $v$, DPM-Solver++ 2M | 17.7 | 9.61 | 1.94 | 0.45 | 0.34 | 0.22 | 0.21 |
| `min_snr`, DPM-Solver++ 2M | 18.9 | 8.18 | 1.94 | 0.47 | 0.35 | 0.25 | 0.25 |
| $v$, `min_snr`, DPM-Solver++ 2M | 10.9 | 9.25 | 1.95 | 0.47 | 0.35 | 0.25 | 0.24 |
| $v$, `zero_snr`, DPM-Solver++ 2M | 17.8 | 9.76 | 1.99 | 0.47 | 0.35 | 0.23 | 0.22 |
| flow, DPM-Solver++ 2M | 16.1 | 3.18 | 0.61 | 0.22 | 0.20 | 0.19 | 0.19 |
| flow, UniPC | 16.1 | 3.18 | 0.54 | 0.20 | 0.20 | 0.19 | 0.19 |
| flow, Heun | 16.1 | 16.1 | 1.45 | 0.31 | 0.26 | 0.20 | 0.19 |
| reflow, Euler | 0.33 | 0.29 | 0.26 | 0.25 | 0.25 | 0.25 | 0.24 |
| EDM, Heun, `karras` | 10.2 | 10.1 | 59.7 | 5.83 | 3.77 | 0.28 | 0.17 |
| EDM, 2M, `karras` | 10.2 | 10.1 | 0.53 | 0.42 | 0.30 | 0.18 | 0.18 |
| EDM, DPM-Solver++ 2M | 10.2 | 9.28 | 1.85 | 0.40 | 0.30 | 0.20 | 0.18 |
| halved, DDIM | 0.44 | 0.35 | 0.31 | 0.28 | – | – | – |
| consistency, its jumps | 0.41 | 0.33 | 0.31 | 0.31 | – | – | – |
| DiT, DPM-Solver++ 2M | 14.1 | 9.53 | 2.43 | 0.64 | 0.49 | 0.38 | 0.38 |
<!-- measured: docs/figures/data/comparison.json#/distance -->

These numbers are of one training and one seed each. `halved` and `consistency` are
[distilled](distillation.html), for eight calls and fewer. On the page of the
[samplers](samplers/index.html) four seeds differ by about 0.02, and 1000 ancestral steps of DDPM
have 0.25. As many draws of the real digits have 0.1421.
<!-- measured: docs/figures/data/comparison.json#/fresh -->

* **One call** from pure noise ends near the mean of all digits, whatever the sampler. The mean
  itself has the distance 18.8. Errors that differ from noise to noise give the blurs some spread,
  which makes the distance smaller. EDM's errors may be large here, as
  [that level is hardly trained](preconditioning.html). Only
  the reflow and the distilled models were trained for one call, and draw digits, with 0.33 to 0.44.
* **Up to eight calls** the training decides. With four, the reflow and the distilled models have
  0.26 to 0.31, EDM's model 0.53 with its own levels and DPM-Solver++, and the flow 0.54 with UniPC;
  all samplers of DDPM's model have 1.4 and more. With eight, the flow has 0.20.
* **With 20 calls** DPM-Solver++ has between 0.18 and 0.27 for every U-Net, and 0.38 for DiT.
  $\epsilon$ and $v$ are alike, and $x_0$ is a little worse. The least are EDM's training with its
  own levels, 0.18, and of the flow, 0.19.
* **Heun's method** pays for its second slope with half of its steps. With `karras` and four to ten
  calls it is the worst of all, on EDM's own model too. EDM itself takes 18 steps, 35 calls.

## In your own table

    Model('mine', 'mine', {'schedule': 'cosine'}, (Way('DDIM', 'ddim', {}, 'mine'),)),

is a row: a name, a folder, the options by which the training differs from `digits`, and the ways of
sampling. The last word is the name in the picture. Instead of options there may be a function that
takes the folder of all runs and a number of calls, and returns a diffusion, for models that are
trained in another way.
"""
