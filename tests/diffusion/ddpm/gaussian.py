"""Gaussian data, for which everything about diffusion has a closed form.

If $x_0 \\sim N(m, s^2)$ in each coordinate, then $x_t \\sim N(\\sqrt{\\bar\\alpha_t} m, v_t)$ with
$v_t = \\bar\\alpha_t s^2 + 1 - \\bar\\alpha_t$, and the best guess of the noise is linear in $x_t$.
"""

import torch
from torch import Tensor

from labml_nn.diffusion.ddpm import DenoiseDiffusion, gather


def exact_eps(diffusion: DenoiseDiffusion, mean: Tensor, root: Tensor):
    """E[eps | x_t] for x_0 ~ N(mean, root @ root.T), any covariance."""
    cov = root @ root.T
    values, vectors = torch.linalg.eigh(cov.double())

    def eps_model(xt: Tensor, t: Tensor) -> Tensor:
        a = gather(diffusion.alpha_bar, t, 2).double()
        centred = (xt.double() - a**0.5 * mean.double()) @ vectors
        # Cov(eps, x_t) Cov(x_t)^-1, in the eigenbasis of the data's covariance
        eps = (1 - a) ** 0.5 * centred / (a * values + 1 - a)
        return (eps @ vectors.T).to(xt.dtype)

    return eps_model
