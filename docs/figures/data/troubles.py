"""Samples that look wrong, each in the way of its cause: the picture of the page of troubles.

    python -m docs.figures.data.troubles runs/digits_conditional

Breaks a good model in ways that happen, and asks what `evaluate check` says of each.
"""

import sys
from collections.abc import Callable

import torch
from torch import Tensor

from docs.figures.data.store import keep, rows
from labml_nn.data.datasets import load_dataset
from labml_nn.diffusion.ddpm import DenoiseDiffusion, gather
from labml_nn.diffusion.ddpm.check import examine
from labml_nn.diffusion.ddpm.evaluate import Sampler
from labml_nn.diffusion.ddpm.experiment import build, make_configs
from labml_nn.diffusion.samplers import DDIM, Ancestral, DPMSolver
from labml_nn.runs import checkpoint

N, SHAPE = 64, (64, 1, 8, 8)
RUN = sys.argv[1]
Model = Callable[[Tensor, Tensor], Tensor]


def well() -> Tensor:
    """As it should be."""
    return Sampler.from_run(RUN).sample(N)


def model() -> Model:
    """The good model, told nothing of classes."""
    return Sampler.from_run(RUN, label=-1).diffusion.eps_model


def drawn(eps_model: Model, **options: bool) -> Tensor:
    """Samples of a model by the default sampler."""
    return DPMSolver(DenoiseDiffusion(eps_model, 1000), 20, **options).sample(SHAPE)


def untrained() -> Tensor:
    """The weights that training begins with."""
    return drawn(build(make_configs(checkpoint.load(RUN)['config'])).eps_model)


def other_steps() -> Tensor:
    """A quarter of the steps, with the same signal to noise, numbered 0 to 249."""
    beta = torch.linspace(4e-4, 0.08, 250, dtype=torch.float64)
    return Ancestral(DenoiseDiffusion(model(), 250, beta=beta), 250).sample(SHAPE)


def few_steps() -> Tensor:
    """Steps that are too large for a method of first order."""
    return DDIM(DenoiseDiffusion(model(), 1000), 3).sample(SHAPE)


def no_noise() -> Tensor:
    """The mean of each step instead of a sample of it."""
    diffusion = DenoiseDiffusion(model(), 1000)
    xt, _ = Ancestral(diffusion, 1000).start(SHAPE)
    for _, xt, _ in diffusion.p_chain(xt, lambda shape, _: torch.zeros(shape), clip_x0=True):
        pass
    return xt


def predicts_x0() -> Tensor:
    """A model that predicts the image, in the place of one that predicts the noise."""
    good, diffusion = model(), DenoiseDiffusion(model(), 1000)

    def eps_model(xt: Tensor, t: Tensor) -> Tensor:
        a = gather(diffusion.alpha_bar, t)
        return (xt - (1 - a) ** 0.5 * good(xt, t)) / a**0.5

    return drawn(eps_model)


def too_much_guidance() -> Tensor:
    """One class, with w = 15."""
    return Sampler.from_run(RUN, label=3, guidance=15.0).sample(N)


WAYS = (
    ('as it should be', well),
    ('untrained', untrained),
    ('other steps', other_steps),
    ('3 steps of DDIM', few_steps),
    ('means, no samples', no_noise),
    ('guesses the image', predicts_x0),
    ('w = 15', too_much_guidance),
)


def main() -> None:
    data = load_dataset('digits', image_size=8, image_channels=1)
    kept = []
    for name, way in WAYS:
        with torch.no_grad():
            x = way()
        found = [f for f in examine(x, data)[0] if f.verdict]
        print(name, *found, sep='\n  ')
        said = list(dict.fromkeys(f.verdict for f in found))
        kept.append({'name': name, 'said': said or ['ok'], 'rows': rows(x[:16], 4)})
    keep('troubles', {'ways': kept})


if __name__ == '__main__':
    main()
