"""Error against the number of steps, on Gaussian data, whose exact solution is known.

python docs/figures/sampler_orders.py
"""

import sys
from pathlib import Path

from matplotlib.figure import Figure

from labml_nn.diffusion.samplers import DDIM, PNDM, DPMSolver

# What is drawn is what the test measures
sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.kit.flow import errors

STEPS = (10, 20, 40, 80, 160, 320)


def main() -> None:
    figure = Figure(figsize=(8, 3.4), layout='constrained')
    for axes, share, title in zip(
        figure.subplots(1, 2, sharey=True),
        (1 / 8, 0.0),
        ('from T to T/8', 'from T to the first step'),
        strict=True,
    ):
        # Steps that meet T/8
        steps = [n for n in STEPS if share == 0 or n * share == int(n * share)]
        for name, kind in (('DDIM', DDIM), ('DPM-Solver++ 2M', DPMSolver), ('PNDM', PNDM)):
            options = {'sde': False} if kind is DPMSolver else {}
            found = errors(kind, steps, share=share, **options)
            axes.loglog(steps, found, 'o-', label=name, markersize=4)
        for order in (1, 2):
            line = [0.6 * (n / steps[0]) ** -order for n in steps]
            axes.loglog(steps, line, 'k:', linewidth=1, label=f'slope {-order}')
        axes.set(xlabel='steps', title=title)
        axes.set_xticks(steps, [str(n) for n in steps])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel('RMS error')
    figure.axes[1].legend(fontsize=8)
    figure.savefig(Path(__file__).with_name('sampler_orders.png'), dpi=110)


if __name__ == '__main__':
    main()
