"""What samplers do to Gaussian data, whose exact noise is known.

So is the solution of the probability-flow equation: x_t keeps its distance from the mean, in units
of the standard deviation that step t has along each axis of the data.
"""

import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from tests.kit.gaussian import exact_eps

MEAN = torch.tensor([0.5, -0.3, 0.2], dtype=torch.float64)
ROOT = torch.diag(torch.tensor([0.7, 0.5, 0.3], dtype=torch.float64))
# 40, 80, 160 and 320 steps divide it evenly; the noise levels are those of T = 1000
T = 1 + 320 * 48


def exact_flow(diffusion, xT, t):
    """The solution at step t of the equation that starts from xT."""
    ab = diffusion.alpha_bar.double()
    var = ROOT.diagonal() ** 2
    std_T = (ab[-1] * var + 1 - ab[-1]) ** 0.5
    std_t = (ab[t] * var + 1 - ab[t]) ** 0.5
    return ab[t] ** 0.5 * MEAN + (xT - ab[-1] ** 0.5 * MEAN) * std_t / std_T


def errors(kind, steps, spacing='linspace', share=1 / 8, **options):
    """The root-mean-square error for each number of steps, at the step `share` of the way up."""
    beta = torch.linspace(1e-4, 0.02, T, dtype=torch.float64) / (T / 1000)
    diffusion = DenoiseDiffusion(None, T, beta=beta)
    # In float64, as small errors are compared: with constants in float32 what 320 steps leave is
    # rounding, which is another on another processor
    diffusion.alpha_bar = (1 - beta).cumprod(0)
    diffusion.one_minus_alpha_bar = 1 - diffusion.alpha_bar
    diffusion.eps_model = exact_eps(diffusion, MEAN, ROOT)
    torch.manual_seed(3)
    xT = torch.randn(200, 3, dtype=torch.float64)
    found = []
    for n in steps:
        sampler = kind(diffusion, n + 1, spacing=spacing, clip_x0=False, **options)
        # The same step of the forward process for each `n`
        goal = round(n * (share**0.5 if spacing == 'quadratic' else share))
        xt, noise = sampler.start(xT)
        for i, (_, xt, _) in zip(range(n, goal, -1), sampler.chain(xt, noise), strict=False):
            reached = sampler.tau[i - 1]
        found.append(float((xt - exact_flow(diffusion, xT, reached)).pow(2).mean() ** 0.5))
    return found
