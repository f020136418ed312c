"""Gaussian classes: every density and every slope in closed form."""

import torch
from torch.distributions import Normal

from labml_nn.diffusion.ddpm import DenoiseDiffusion, gather
from labml_nn.diffusion.guidance import NO_LABEL

# Three classes in the plane: where they are, how wide, and how frequent
MEANS = torch.tensor([[1.0, 0.0], [-0.5, 0.8], [-0.3, -0.9]], dtype=torch.float64)
STDS = torch.tensor([0.5, 0.3, 0.4], dtype=torch.float64)
PRIOR = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)

DIFFUSION = DenoiseDiffusion(lambda xt, t: xt, 1000)


def by_class(xt, t):
    """For each class, the noise to expect and log q(x_t|c): `[batch, 3, 2]` and `[batch, 3]`."""
    a = gather(DIFFUSION.alpha_bar, t, 3).double()
    variance = a * STDS[:, None] ** 2 + 1 - a  # [batch, 3, 1]
    centred = xt.double()[:, None] - a**0.5 * MEANS
    # E[eps | x_t, c] = Cov(eps, x_t) / Var(x_t) * (x_t - E x_t)
    eps = (1 - a) ** 0.5 * centred / variance
    log_q = Normal(0.0, variance**0.5).log_prob(centred).sum(dim=-1)
    return eps, log_q


def exact(xt, t, label):
    """E[eps | x_t, c], and for -1 E[eps | x_t]: the mean over the classes that x_t may be of."""
    eps, log_q = by_class(xt, t)
    posterior = (log_q + PRIOR.log()).softmax(dim=1)  # q(c|x_t)
    mixed = (posterior[..., None] * eps).sum(dim=1)
    told = eps[torch.arange(len(xt)), label.clamp(min=0)]
    return torch.where(label[:, None] == NO_LABEL, mixed, told).to(xt.dtype)
