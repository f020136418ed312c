r"""
# Samplers by name

What the command lines of [training](experiment.html) and [sampling](evaluate.html) share: a
[sampler](../samplers/index.html) that is chosen by a word.
"""

from inspect import signature
from typing import Any

from labml_nn.cli.messages import nearest
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.samplers import DEFAULT_STEPS, SAMPLERS, ReverseSampler


def make_sampler(
    name: str, diffusion: DenoiseDiffusion, steps: int | None = None, **options: Any
) -> ReverseSampler:
    r"""
    The [sampler](../samplers/index.html) of that name.

    * `steps` how many; when not given, all for `ddpm` and 20 for the others
    * `options` its own, such as `eta`

    Raises `ValueError` with the nearest name for a sampler or an option that does not exist.
    """
    if name not in SAMPLERS:
        raise ValueError(nearest(name, list(SAMPLERS), 'sampler'))
    known = [k for k in signature(SAMPLERS[name]).parameters if k not in ('diffusion', 'n_steps')]
    for option in options:
        if option not in known:
            raise ValueError(nearest(option, known, f'option of the sampler {name}:'))
    if steps is None:
        T = diffusion.n_steps
        steps = T if name == 'ddpm' else min(DEFAULT_STEPS, T)
    return SAMPLERS[name](diffusion, steps, **options)
