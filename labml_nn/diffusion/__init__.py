r"""
---
title: Diffusion models
summary: Which paper is on which page, and what its tests prove.
---

# Diffusion models

| paper | page | computed both ways by its tests |
|---|---|---|
| [Ho et al.][ddpm], §2, §3 | [DDPM](ddpm/index.html) | q, p and L |
| the same, appendix B | [U-Net](ddpm/unet.html) | 35,746,307 parameters |
| the same, §3.3, §4.3 | [likelihood](ddpm/likelihood.html) | L to 1e-4 bits; rate and distortion |
| the same, [published weights][weights] | [pretrained](ddpm/pretrained.html) | diffusers' output |
| [Nichol, Dhariwal][improved], §3.2 | [schedules](schedules.html) | eq. 17; what is left at T |
| the same, §3.1 | [learned variances](learned_variance.html) | where gradients go |
| [Song et al.][ddim] | [DDIM](samplers/ddim.html) | inversion; order 1; η = 1 is Algorithm 2 |
| [Liu et al.][pndm] | [PNDM](samplers/pndm.html) | order 2; diffusers' chains |
| [Lu et al.][dpm] | [DPM-Solver++](samplers/dpm_solver.html) | order 2; diffusers' chains |
| [Karras et al.][edm] | [Heun, EDM's levels](samplers/edm.html) | order 2; diffusers' chains |
| [Ho and Salimans][cfg] | [guidance](guidance.html) | slopes of Gaussian classes |

What the samplers share, and what each costs, is on [a page of its own](samplers/index.html).

[ddpm]: https://arxiv.org/abs/2006.11239
[weights]: https://huggingface.co/google/ddpm-cifar10-32
[improved]: https://arxiv.org/abs/2102.09672
[ddim]: https://arxiv.org/abs/2010.02502
[pndm]: https://arxiv.org/abs/2202.09778
[dpm]: https://arxiv.org/abs/2211.01095
[edm]: https://arxiv.org/abs/2206.00364
[cfg]: https://arxiv.org/abs/2207.12598
"""
