r"""
---
title: Diffusion models
summary: Which paper is on which page, and what its tests prove.
---

# Diffusion models

| paper | page | computed both ways by its tests |
|---|---|---|
| @ho2020, §2, §3 | [DDPM](ddpm/index.html) | q, p and L |
| the same, appendix B | [U-Net](ddpm/unet.html) | 35,746,307 parameters |
| the same, §3.3, §4.3 | [likelihood](ddpm/likelihood.html) | L to 1e-4 bits; rate and distortion |
| the same, [published weights][weights] | [pretrained](ddpm/pretrained.html) | diffusers' output |
| @nichol2021, §3.2 | [schedules](schedules.html) | eq. 17; what is left at T |
| the same, §3.1 | [learned variances](learned_variance.html) | where gradients go |
| @song2021a | [DDIM](samplers/ddim.html) | inversion; order 1; η = 1 is Algorithm 2 |
| @liu2022 | [PNDM](samplers/pndm.html) | order 2; diffusers' chains |
| @lu2022 | [DPM-Solver++](samplers/dpm_solver.html) | order 2; diffusers' chains |
| @zhao2023 | [UniPC](samplers/unipc.html) | orders 2 to 4; diffusers' chains |
| @karras2022 | [Heun, EDM's levels](samplers/edm.html) | order 2; diffusers' chains |
| the same, §5 | [EDM's training](preconditioning.html) | diffusers' factors; unit variances |
| @salimans2022, @hang2023, @lin2024 | [targets](targets.html) | one loss; diffusers' chains |
| @lipman2023, @liu2023 | [flow matching](flow_matching.html) | paths, reflow; diffusers' chains |
| @peebles2023 | [DiT](ddpm/dit.html) | the block; diffusers' network; 675 million parameters |
| @salimans2022, @song2023 | [fewer steps](distillation.html) | perfect students; Gaussian ends |
| @song2021b | [SDE and ODE](sde.html) | densities to 1e-4; orders; a step of diffusers |
| @ho2022 | [guidance](guidance.html) | slopes of Gaussian classes |
| @meng2022, @lugmayr2022 | [edits](editing.html) | two pixels; diffusers' steps |
<!-- no-source: what the tests of each page demand -->

What the samplers share, and what each costs, is on [a page of its own](samplers/index.html).
[Another one](comparison.html) has all models and samplers beside each other.

[weights]: https://huggingface.co/google/ddpm-cifar10-32
"""
