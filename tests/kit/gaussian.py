"""Gaussian data, for which everything about diffusion has a closed form.

If $x_0 \\sim N(m, s^2)$ in each coordinate, then $x_t \\sim N(\\sqrt{\\bar\\alpha_t} m, v_t)$ with
$v_t = \\bar\\alpha_t s^2 + 1 - \\bar\\alpha_t$, and the best guess of the noise is linear in $x_t$.
"""

import math
import warnings

import torch
from torch import Tensor

from labml_nn.diffusion.ddpm import DenoiseDiffusion, gather
from labml_nn.diffusion.ddpm.utils import ShortChainWarning


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


def reverse_variance(beta: Tensor, s: float) -> Tensor:
    """Var(x_{t-1}|x_t) for x_0 ~ N(0, s^2), in float64: the best variance of a step back."""
    alpha_bar = (1 - beta).cumprod(0)
    before = torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]])
    var, var_before = alpha_bar * s**2 + 1 - alpha_bar, before * s**2 + 1 - before
    # Cov(x_{t-1}, x_t) = sqrt(alpha_t) Var(x_{t-1})
    return var_before - (1 - beta) * var_before**2 / var


def assumed_variance(beta: Tensor, variance: str, first: str, s: float) -> Tensor:
    """sigma_t^2 of all steps, by name."""
    alpha_bar = (1 - beta).cumprod(0)
    before = torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]])
    beta_tilde = (1 - before) / (1 - alpha_bar) * beta
    if variance == 'optimal':
        return reverse_variance(beta, s)
    start = beta_tilde[1:2] if first == 'beta_tilde' else beta[:1]
    return torch.cat([start, (beta if variance == 'beta' else beta_tilde)[1:]])


def bits_lost(beta: Tensor, s: float, variance: str, first: str = 'beta_tilde') -> Tensor:
    """What each step back loses, and last the prior: [n_steps + 1], bits per dimension."""

    def lost(r: Tensor) -> Tensor:
        return (r - 1 - r.log()) / (2 * math.log(2))

    alpha_bar = (1 - beta).prod()
    steps = lost(reverse_variance(beta, s) / assumed_variance(beta, variance, first, s))
    return torch.cat([steps, lost(alpha_bar * s**2 + 1 - alpha_bar)[None]])


def entropy(s: float) -> float:
    """Of N(0, s^2), in bits."""
    return math.log2(s * math.sqrt(2 * math.pi * math.e))


def known(beta: Tensor, s: float, variance: str) -> DenoiseDiffusion:
    """The diffusion with the exact eps for x_0 ~ N(0, s^2) and `variance`; optimal is 'learned'."""
    n_steps = len(beta)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ShortChainWarning)
        diffusion = DenoiseDiffusion(
            None, n_steps, beta=beta, variance='learned' if variance == 'optimal' else variance
        )
    alpha_bar = (1 - beta).cumprod(0)
    # E[eps|x_t] = slope * x_t
    slope = (1 - alpha_bar) ** 0.5 / (alpha_bar * s**2 + 1 - alpha_bar)
    low, high = diffusion.log_beta_tilde.double(), beta.log()
    share = (reverse_variance(beta, s).log() - low) / (high - low).clamp(min=1e-12)

    def eps_model(xt: Tensor, t: Tensor) -> Tensor:
        eps = (gather(slope, t, xt.ndim) * xt.double()).to(xt.dtype)
        if variance != 'optimal':
            return eps
        v = gather(2 * share - 1, t, xt.ndim).to(xt.dtype).expand_as(xt)
        return torch.cat([eps, v], dim=1)

    diffusion.eps_model = eps_model
    return diffusion
