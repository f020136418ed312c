"""What the pages of samplers show that needs no trained model.

    python -m docs.figures.data.samplers

The error against the number of steps on Gaussian data, whose exact solution is known, and where
the steps lie. What they cost is measured by `frontier.py`.
"""

from typing import Any

from docs.figures.data.store import keep
from labml_nn.diffusion.samplers import DDIM, PNDM, DPMSolver, spaced
from labml_nn.diffusion.schedules import linear, log_snr
from tests.kit.flow import errors  # what the test measures

STEPS = (10, 20, 40, 80, 160, 320)
SPACINGS = ('leading', 'linspace', 'trailing', 'quadratic')


def orders() -> list[dict[str, Any]]:
    """Down to T/8, and all the way."""
    found = []
    for share in (1 / 8, 0.0):
        # Steps that meet T/8
        steps = [n for n in STEPS if share == 0 or n * share == int(n * share)]
        ways = {
            'DDIM': errors(DDIM, steps, share=share),
            'DPM-Solver++ 2M': errors(DPMSolver, steps, share=share, sde=False),
            'PNDM': errors(PNDM, steps, share=share),
        }
        ways = {name: [float(f'{e:.4g}') for e in error] for name, error in ways.items()}
        found.append({'steps': steps, 'errors': ways})
    return found


def spacing() -> dict[str, Any]:
    """20 of 1000 steps, by index and by half the log of the signal-to-noise ratio."""
    lam = (log_snr(linear(1000)) / 2).tolist()
    taus = {name: [int(t) for t in spaced(name, 20, 1000)] for name in SPACINGS}
    return {
        name: {'index': tau, 'lambda': [round(lam[t], 4) for t in tau]}
        for name, tau in taus.items()
    }


if __name__ == '__main__':
    keep('samplers', {'orders': orders(), 'spacing': spacing()})
