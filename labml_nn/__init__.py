r"""
---
title: The annotated DDPM
summary: Denoising diffusion in literate PyTorch, where every claim is executed.
---

# The annotated DDPM

Denoising diffusion models, from the first equation to pictures, as programs that one can read:
prose and mathematics on one side, the code that they speak of on the other. A paragraph that ends
in *tested* names the test that computes both sides of its equation.

![Eight digits from the same noise, at six moments of a training run: first grey blurs, then
recognisable digits](../docs/images/digits.png)

![Eight handwritten digits that the model of this site drew from noise, 8 × 8 pixels
each](live:digits)

Read in this order. After each page you can:

1. [Denoising diffusion](diffusion/ddpm/index.html): derive the loss from the bound, step by step,
   and say why the network is asked for the noise
2. [The U-Net](diffusion/ddpm/unet.html): draw the network, count its 35,746,307 parameters, and
   say what each block is there for
3. [Averaged weights](diffusion/ddpm/ema.html): say what one samples from, and why not from the
   weights that were trained
4. [Training](diffusion/ddpm/experiment.html): train on your own pictures, and tell from a loss
   curve whether it works
5. [Sampling](diffusion/ddpm/evaluate.html): sample, animate the chain, interpolate
6. [Fast samplers](diffusion/samplers/index.html): take 20 calls of the network instead of 1000, and
   know what that costs
7. [Published weights](diffusion/ddpm/pretrained.html): load the authors' models, and give yours to
   users of diffusers
8. [The bound in bits](diffusion/ddpm/likelihood.html): say what every step costs in bits, and what
   a fixed variance loses; [of a run](diffusion/ddpm/coding.html): draw its rate–distortion curve
9. [Schedules](diffusion/schedules.html) and [learned variances](diffusion/learned_variance.html):
   choose where the steps are spent, and train a model that compresses better
10. [Guidance](diffusion/guidance.html): train a model that is told what to draw, push it towards
    that, and know what that costs
11. [Measuring](diffusion/ddpm/metrics.html): give FID and its like with all that they depend on,
    and [check](diffusion/ddpm/check.html) what is wrong with a run
12. [Lightning](diffusion/ddpm/lightning.html) and [trackers](runs/trackers.html): train the same
    model in the stack that you already have

If [samples look wrong](diffusion/ddpm/troubles.html), there is a page for that.

Which paper is on which page, and what its tests prove: [diffusion models](diffusion/index.html).
Behind the pages: [runs](runs/index.html), [data](data/index.html), [compute](compute/index.html),
[the command line](cli/index.html), [the doctor](doctor.html), [evaluation](evaluation/index.html),
and [the renderer](pylit/index.html), which takes any annotated Python file. What was once
[helpers](helpers/index.html) is found by its old names too.
"""

import sys

# `python -m labml_nn.…` has come as far as its packages, whose imports take a second
if sys.argv[:1] == ['-m'] and any('labml_nn.' in word for word in sys.orig_argv[1:]):
    from labml_nn.cli.output import quiet_at_ctrl_c

    quiet_at_ctrl_c()
