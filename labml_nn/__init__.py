r"""
---
title: The annotated DDPM
summary: Denoising diffusion in literate PyTorch, where every claim is executed.
---

# The annotated DDPM

Denoising diffusion models, from the first equation to pictures, as programs that one can read:
prose and mathematics on one side, the code that they speak of on the other. A paragraph that ends
in *tested* names the test that computes both sides of its equation.

Read in this order:

1. [Denoising diffusion](diffusion/ddpm/index.html): what is added, what is undone, what is learned
2. [The U-Net](diffusion/ddpm/unet.html) that does the learning
3. [Averaged weights](diffusion/ddpm/ema.html), which one samples from
4. [Training](diffusion/ddpm/experiment.html): Algorithm 1
5. [Sampling](diffusion/ddpm/evaluate.html): Algorithm 2, and what else one can do with the chain
6. [Fast samplers](diffusion/samplers/index.html): 20 calls of the network instead of 1000
7. [Published weights](diffusion/ddpm/pretrained.html): loaded, sampled from, and saved

Behind them: [the diffusion papers](diffusion/index.html), [evaluation](evaluation/index.html) and
[helpers](helpers/index.html).
"""
