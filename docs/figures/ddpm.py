"""The figures of the DDPM pages.

Each function draws one figure for light or dark pages.
"""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from docs.figures.style import BLUE, ORANGE, data_of, dress, figure, ink, legend, panel
from docs.figures.widths import NARROW

DATA = data_of('ddpm')


def forward(theme: str) -> Figure:
    """Four digits, from the image to noise."""
    data = DATA['forward']
    made = figure(theme, 7, 3.3)
    names = [f't = {t}' for t in data['steps']]
    panel(made.subplots(), theme, data['rows'], [], names)
    return made


def weight(theme: str) -> Figure:
    """The weight that L_simple drops."""
    data = DATA['weight']
    made = figure(theme, NARROW, 3.2)
    axes = made.subplots()
    axes.loglog(range(1, 1001), data['beta'], color=BLUE, label=r'$\sigma_t^2 = \beta_t$')
    axes.loglog(
        range(2, 1001), data['beta_tilde'], color=ORANGE, label=r'$\sigma_t^2 = \tilde\beta_t$'
    )
    axes.axhline(1, color=ink(theme), linestyle=':', label=r'$L_{simple}$')
    dress(axes, theme, xlabel='step t', ylabel='weight in the bound')
    legend(axes, theme)
    return made


def embedding(theme: str) -> Figure:
    """The sinusoids of the time step."""
    made = figure(theme, NARROW, 2.8)
    axes = made.subplots()
    steps = [np.frombuffer(bytes.fromhex(row), np.uint8) for row in DATA['embedding']]
    table = np.stack(steps, axis=1) / 127.5 - 1  # [channel, step]
    # One pixel for each number: a browser enlarges it as well as matplotlib does
    shown = axes.imshow(
        table, aspect='auto', cmap='RdBu_r', vmin=-1, vmax=1, extent=(0, 1000, 128, 0),
        interpolation='none',
    )  # fmt: skip
    dress(axes, theme, xlabel='step t', ylabel='channel', yticks=[0, 32, 64, 96, 128])
    axes.grid(False)
    axes.axhline(64, color='black', linewidth=1)
    axes.text(990, 60, 'sines', ha='right', color='black')
    axes.text(990, 124, 'cosines', ha='right', color='white')
    bar = made.colorbar(shown, ax=axes, ticks=[-1, 0, 1])
    bar.ax.tick_params(colors=ink(theme))
    bar.outline.set_visible(False)
    return made


def unet(theme: str) -> Figure:
    """The paper's U-Net as boxes: as high as the resolution, as wide as the channels."""
    made = figure(theme, NARROW, 4.8)
    axes = made.subplots()
    axes.set_axis_off()
    axes.patch.set_alpha(0)
    ends: dict[tuple[str, int], tuple[float, float]] = {}
    x = 0.0
    for block in DATA['unet']['blocks']:
        channels, side, _ = block['shape']
        width, height, y = channels / 80, side / 32 * 2.4 + 0.5, -2.7 * block['level']
        colour = ORANGE if 'attention' in block['text'] else BLUE
        corner = (x, y - height / 2)
        axes.add_patch(Rectangle(corner, width, height, facecolor=colour, linewidth=0))
        text = dict(ha='center', va='center', color='white', fontsize=9, fontweight='bold')
        if channels > 200:
            axes.text(x + width / 2, y, str(channels), rotation=90, **text)
        left = ends.get((block['way'], block['level']), (x, x))[0]
        ends[block['way'], block['level']] = left, x + width
        x += width + 0.4
    # The narrow boxes have no room for their number
    under = dict(ha='center', va='top', color=BLUE, fontsize=9, fontweight='bold')
    for way in ('down', 'up'):
        axes.text(sum(ends[way, 0]) / 2, -1.55, str(DATA['unet']['blocks'][0]['shape'][0]), **under)
    middle = dict(ha='center', color=ink(theme), fontsize=10)
    for level in range(4):
        y, side = -2.7 * level, 32 // 2**level
        start, end = ends['down', level][1], ends['up', level][0]
        # The lowest pass above the middle
        lift, bend = (0.5, 'arc3,rad=-0.4') if level == 3 else (0.0, 'arc3')
        arrow = dict(arrowstyle='->', mutation_scale=12, color=ink(theme), linestyle=(0, (4, 3)))
        skip = (start + 0.2, y + lift), (end - 0.2, y + lift)
        axes.add_patch(FancyArrowPatch(*skip, connectionstyle=bend, **arrow))
        said = (start + end) / 2, y - 1 if level == 3 else y + 0.2
        axes.text(*said, f'{side} × {side}', **middle)
    axes.text(x / 2, -0.6, 'skip connections', **middle)
    axes.text(x / 2, -10.2, f'{DATA["unet"]["parameters"]:,} parameters', **middle)
    axes.text(x / 2 - 8, 1.8, 'block', color=BLUE, ha='right', fontsize=10, fontweight='bold')
    axes.text(x / 2 - 6, 1.8, 'block with attention', color=ORANGE, fontsize=10, fontweight='bold')
    axes.set(xlim=(-0.8, x + 0.4), ylim=(-10.4, 2.3))
    return made


def chain(theme: str) -> Figure:
    """x_t and x0_hat along the chain."""
    data = DATA['chain']
    both = [row for pair in zip(data['xt'], data['x0_hat'], strict=True) for row in pair]
    made = figure(theme, NARROW, 3)
    names = [r'$x_{t-1}$', r'$\hat x_0$'] * len(data['xt'])
    panel(made.subplots(), theme, both, names, [str(t) for t in data['steps']], 'step t')
    return made


def interpolation(theme: str) -> Figure:
    """Between two digits, at four numbers of steps."""
    data = DATA['interpolation']
    # Every second number has room
    numbers = [f'{v:g}' if i % 2 == 0 else '' for i, v in enumerate(data['lambda'])]
    names = ['$x_0$', *numbers, "$x'_0$"]
    made = figure(theme, NARROW, 2)
    lines = [f'{t} steps' for t in data['steps']]
    panel(made.subplots(), theme, data['rows'], lines, names, r'$\lambda$')
    return made


def training(theme: str) -> Figure:
    """The loss, and samples from the same noise at four moments."""
    data = DATA['training']
    moments = [int(step) for step in data['averaged']]
    made = figure(theme, NARROW, 4)
    above, below = made.subplots(2, 1, height_ratios=[1, 1.25])
    above.plot([1, *data['steps']], [1, *data['loss']], color=BLUE)
    for step in moments[1:]:
        above.axvline(step, color=ORANGE, linestyle=':')
    dress(
        above, theme, xlabel='training step', ylabel='$L_{simple}$', xscale='log', yscale='log',
        yticks=[0.1, 0.2, 0.5, 1], yticklabels=['0.1', '0.2', '0.5', '1'], xlim=(1, 1100),
    )  # fmt: skip
    above.minorticks_off()
    names = [f'after {step:,} steps' for step in moments]
    panel(below, theme, list(data['averaged'].values()), names, [])
    return made


def averaged(theme: str) -> Figure:
    """Raw and averaged weights at the same moments."""
    data = DATA['training']
    rows, names = [], []
    for step in list(data['raw'])[-2:]:
        for kind in ('raw', 'averaged'):
            rows.append(data[kind][step])
            names.append(f'{int(step):,} steps, {kind}')
    made = figure(theme, NARROW, 1.7)
    panel(made.subplots(), theme, rows, names, [])
    return made


def forgotten(theme: str) -> Figure:
    """The share of the initial weights in the average."""
    data = DATA['ema']
    made = figure(theme, NARROW, 3)
    axes = made.subplots()
    axes.semilogx(data['updates'], data['plain'], color=ORANGE, label='d = 0.9999 from the start')
    axes.semilogx(data['updates'], data['warm'], color=BLUE, label='with warm-up')
    dress(axes, theme, xlabel='training step', ylabel='share of the initial weights')
    legend(axes, theme)
    return made


def clipping(theme: str) -> Figure:
    """Clipping on and off."""
    data = DATA['clipping']
    made = figure(theme, NARROW, 3.8)
    above, below = made.subplots(2, 1, height_ratios=[1, 2])
    panel(above, theme, [data['on'], data['off']], ['clipped', 'not clipped'], [])
    below.semilogy(data['steps'], data['off_largest'], color=ORANGE, label='not clipped')
    below.semilogy(data['steps'], data['on_largest'], color=BLUE, label='clipped')
    dress(below, theme, xlabel='step t', ylabel='largest |x̂₀|')
    below.invert_xaxis()
    legend(below, theme)
    return made
