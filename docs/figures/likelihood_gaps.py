"""What the bound loses on Gaussian data, by the number of steps and by the step.

python docs/figures/likelihood_gaps.py
"""

import math
import sys
from pathlib import Path

from matplotlib.figure import Figure

from labml_nn.diffusion.schedules import linear

# What is drawn is what the tests compare the code with
sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.kit.gaussian import bits_lost

S = 0.5
WAYS = [
    ('beta_tilde', 'beta_tilde', r'$\tilde\beta_t$', 'tab:red', '-'),
    ('beta', 'beta_tilde', r'$\beta_t$, with $\tilde\beta_2$ first', 'tab:blue', '-'),
    ('beta', 'beta', r'$\beta_t$, with $\beta_1$ first', 'tab:blue', '--'),
    ('optimal', 'beta_tilde', 'optimal', 'black', '-'),
]


def main() -> None:
    figure = Figure(figsize=(9, 3.4), layout='constrained')
    left, right = figure.subplots(1, 2)
    lengths = sorted({round(10 ** (e / 10)) for e in range(10, 51)})
    schedules = {n: linear(n, rescaled=True) for n in lengths}
    for variance, first, label, colour, style in WAYS:
        lost = [float(bits_lost(beta, S, variance, first).sum()) for beta in schedules.values()]
        left.plot(lengths, lost, color=colour, linestyle=style, label=label)
        by_step = bits_lost(linear(1000), S, variance, first)[:-1]
        right.plot(range(1, 1001), by_step.clamp(min=1e-9), color=colour, linestyle=style)
    gamma = 0.5772156649
    limits = (gamma + 1 - math.log(2)) / 2, (1 - math.log(2)) / 2
    for limit in limits:
        left.axhline(limit / math.log(2), color='gray', linestyle=':', linewidth=1)
    left.set(xscale='log', xlabel='T', ylabel='bits/dim lost', ylim=(-0.05, 2), title='in all')
    right.set(
        xscale='log', yscale='log', xlabel='step t', ylabel='bits/dim lost', ylim=(1e-7, 1),
        title='by step, T = 1000',
    )  # fmt: skip
    left.legend(fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(Path(__file__).with_name('likelihood_gaps.png'), dpi=110)


if __name__ == '__main__':
    main()
