"""Two pixels of a Gaussian, the first of which is known: what inpainting makes of the second.

With the exact noise every step is linear, so what comes out is Gaussian too. Its mean is what comes
out without any noise, and its variance the sum of the squares of what each single number of the
noise adds: both are computed by the package itself, and nothing is drawn.
"""

import math

import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.editing import Inpaint, descents
from labml_nn.diffusion.samplers import ReverseSampler, make_sampler
from tests.kit.gaussian import exact_eps

KNOWN = torch.tensor([1.0, 0.0])
ANEW = torch.tensor([False, True])


def way(rho: float, name: str, steps: int | None = None, **options) -> ReverseSampler:
    """A sampler of two pixels of variance 1 and correlation rho, whose noise is exact."""
    diffusion = DenoiseDiffusion(None, 1000)
    covariance = torch.tensor([[1, rho], [rho, 1]], dtype=torch.float64)
    diffusion.eps_model = exact_eps(diffusion, torch.zeros(2), torch.linalg.cholesky(covariance))
    return make_sampler(name, diffusion, steps, clip_x0=False, **options)


class Impulses:
    """Noise that is all zero for image 0, and for each of the others has one number that is 1."""

    def __init__(self):
        self.drawn = 0

    def __call__(self, shape, device):
        z = torch.zeros(shape)
        for pixel in range(2):
            if self.drawn + pixel + 1 < len(z):
                z[self.drawn + pixel + 1, pixel] = 1
        self.drawn += 2
        return z


def filled(inpaint: Inpaint) -> tuple[float, float]:
    """Mean and variance of the second pixel, the first being 1."""
    # An image for each number that is drawn: at the start, twice in a step at most, at each way up
    ways = descents(inpaint.sampler.n_steps, inpaint.jump, inpaint.resamplings)
    n = 1 + 2 * (2 * inpaint.n_steps + len(list(ways)))
    noise = Impulses()
    inpaint.sampler.start = lambda shape, seed, *, first: (noise(shape, 'cpu'), noise)
    b = inpaint.sample(KNOWN.expand(n, 2), ANEW)[:, 1].double()
    assert noise.drawn < n
    return float(b[0]), float((b[1:] - b[0]).square().sum())


def in_the_limit(rho: float, resamplings: int) -> tuple[float, float]:
    """The same for infinitely small steps: the integrals of the page."""
    U, W = resamplings, 1 / math.sqrt(1 - rho**2)
    w = torch.linspace(0, W, 100_001, dtype=torch.float64)
    root = (1 + rho**2 * w**2) ** 0.5
    mean = U * rho / W**U * torch.trapezoid(w**U / root, w)
    variance = (2 * U - 1) / W ** (2 * U) * torch.trapezoid(w ** (2 * U - 2) / root, w)
    return float(mean), float(variance)
