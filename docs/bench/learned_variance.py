"""What does a learned variance save on the digits, in bits per dimension?

    python docs/bench/learned_variance.py runs/digits runs/digits_learned

The first run is of the preset `digits`; the second of the same with `--variance learned`, and is
trained (8 minutes on one core) if its folder is not there. Both are scored on the same 256 of the
training images with the same noise (2 minutes each on one core), under every variance: for one
network they differ in the variance alone. Prints the page's tables and draws the bits by step.
"""

import sys
from pathlib import Path

from matplotlib.figure import Figure

from labml_nn.diffusion.ddpm.coding import bands, bound_of, chosen, mean_and_error
from labml_nn.diffusion.ddpm.evaluate import Sampler
from labml_nn.diffusion.ddpm.experiment import main as train
from labml_nn.diffusion.ddpm.likelihood import Bound
from labml_nn.helpers.datasets import load_dataset

N, SEED = 256, 0
FIGURE = Path(__file__).parents[1] / 'figures' / 'learned_variance.png'
NAMES = {'beta': r'$\beta$', 'beta_tilde': r'$\tilde\beta$', 'learned': 'learned'}


def draw(found: Bound) -> None:
    """The bits of each step, for one network."""
    figure = Figure(figsize=(6, 3.4), layout='constrained')
    axes = figure.subplots()
    for variance, terms in found.terms.items():
        axes.plot(range(1, terms.shape[1] - 1), terms.mean(0)[1:-1], label=NAMES[variance])
    axes.set(xscale='log', yscale='log', xlabel='t', ylabel=r'$L_t$, bits/dim')
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(FIGURE, dpi=110)


def main(simple: str, hybrid: str) -> None:
    if not Path(hybrid).exists():
        train(['--preset', 'digits', '--variance', 'learned', '--out', hybrid])
    dataset = load_dataset('digits', image_size=8, image_channels=1)
    x0 = chosen(dataset, N, SEED, 'digits')
    found = {
        loss: bound_of(Sampler.from_run(run).diffusion, x0, dataset.levels, SEED, clip_x0=True)
        for loss, run in (('simple', simple), ('hybrid', hybrid))
    }
    learned = found['hybrid'].total('learned')
    print('| trained with | variance | bits/dim | more than learned |\n|---|---|---|---|')
    for loss, of_run in found.items():
        for variance in of_run.terms:
            mean, error = mean_and_error(of_run.total(variance))
            more, more_error = mean_and_error(of_run.total(variance) - learned)
            rest = '' if variance == 'learned' else f'{more:.3f} ± {more_error:.3f}'
            print(f'| {loss} | {NAMES[variance]} | {mean:.3f} ± {error:.3f} | {rest} |')
    terms = found['hybrid'].terms
    print(f'\n| sent | {" | ".join(NAMES[v] for v in terms)} |\n|---{"|---" * len(terms)}|')
    for high, low in bands(found['hybrid'].mse.shape[1]):
        cells = (f'{float(t[:, low : high + 1].sum(1).mean()):.4f}' for t in terms.values())
        name = f'$x_{{{high}}}$' if high == low else rf'$x_{{{high}}} \dots x_{{{low}}}$'
        print(f'| {name} | {" | ".join(cells)} |')
    draw(found['hybrid'])


if __name__ == '__main__':
    main(*sys.argv[1:])
