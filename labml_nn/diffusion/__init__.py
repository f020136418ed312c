r"""
---
title: Diffusion models
summary: Which paper is on which page, and what its tests prove.
---

# Diffusion models

| paper | page | computed both ways by its tests |
|---|---|---|
| [Ho et al.](https://arxiv.org/abs/2006.11239), §2, §3 | [DDPM](ddpm/index.html) | q, p and L |
| the same, appendix B | [U-Net](ddpm/unet.html) | 35,746,307 parameters |
"""
