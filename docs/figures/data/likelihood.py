"""What the bound loses on Gaussian data, by the number of steps and by the step.

python -m docs.figures.data.likelihood
"""

import math
from typing import Any

from docs.figures.data.store import keep, rounded
from labml_nn.diffusion.schedules import linear
from tests.kit.gaussian import bits_lost  # what the tests compare the code with

S = 0.5
# The variance of a step, and that of the first one
WAYS = (
    ('beta_tilde', 'beta_tilde'),
    ('beta', 'beta_tilde'),
    ('beta', 'beta'),
    ('optimal', 'beta_tilde'),
)


def gaps() -> dict[str, Any]:
    """Bits per dimension lost in all, for chains of many lengths, and by step for T = 1000."""
    lengths = sorted({round(10 ** (e / 10)) for e in range(10, 51)})
    schedules = [linear(n, rescaled=True) for n in lengths]
    in_all, by_step = [], []
    for variance, first in WAYS:
        lost = (float(bits_lost(beta, S, variance, first).sum()) for beta in schedules)
        in_all.append([float(f'{bits:.5g}') for bits in lost])
        by_step.append(rounded(bits_lost(linear(1000), S, variance, first)[:-1].clamp(min=1e-9)))
    gamma = 0.5772156649
    limits = (gamma + 1 - math.log(2)) / 2, (1 - math.log(2)) / 2
    return {
        'lengths': lengths,
        'in_all': in_all,
        'by_step': by_step,
        'limits': [round(limit / math.log(2), 5) for limit in limits],
    }


if __name__ == '__main__':
    keep('likelihood', {'gaps': gaps()})
