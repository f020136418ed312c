r"""
# The log of a run

`log.csv` has a row every few steps, and is on the disk as soon as it is written: it can be read
while the run goes on. `loss.png` draws it.
"""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def append_row(path: Path, row: Mapping[str, float]) -> None:
    r"""
    Add a row to a CSV file, and its head when it is new.
    """
    is_new = not path.exists()
    with path.open('a', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(row)
        writer.writerow([f'{v:.6g}' if isinstance(v, float) else v for v in row.values()])


def drop_rows_after(path: Path, step: int) -> None:
    r"""
    Cut a log back to the rows up to `step`: a resumed run does the others again.
    """
    if path.exists():
        head, *rows = path.read_text(encoding='utf-8').splitlines()
        kept = [row for row in rows if row and int(row.split(',')[0]) <= step]
        path.write_text('\n'.join([head, *kept]) + '\n', encoding='utf-8')


def read_log(path: Path) -> dict[str, np.ndarray]:
    r"""
    The columns of a log by name.
    """
    with path.open(newline='', encoding='utf-8') as file:
        head, *rows = list(csv.reader(file))
    return dict(zip(head, np.array(rows, dtype=float).reshape(-1, len(head)).T, strict=True))


def plot_loss(log: Path, picture: Path) -> None:
    r"""
    Draw the loss of a run, as logged and smoothed, on logarithmic axes.

    > The curve falls fast from 1 and then hardly at all, while the samples go on getting better:
    > most of what is left is noise that no network could predict.
    """
    # Without pyplot, which would pick a window system
    from matplotlib.figure import Figure

    columns = read_log(log) if log.exists() else {'step': np.empty(0), 'loss': np.empty(0)}
    step, loss = columns['step'], columns['loss']
    if not len(step):
        return
    figure = Figure(figsize=(7, 4), layout='constrained')
    axes = figure.subplots()
    axes.plot(step, loss, color='#9db4c8', linewidth=1, label='as logged')
    axes.plot(step, smoothed(loss), color='#1f5f8b', linewidth=2, label='smoothed')
    axes.axhline(1, color='#888888', linewidth=1, linestyle=':')
    axes.annotate('predicts nothing', (step[0], 1), xytext=(4, -12), textcoords='offset points')
    axes.set(xlabel='training step', ylabel=r'$L_{simple}$', yscale='log')
    if len(step) > 1:
        axes.set(xscale='log')
    axes.grid(which='both', alpha=0.25)
    axes.legend(frameon=False)
    part = picture.with_name(f'.{picture.name}.part')
    figure.savefig(part, format='png', dpi=120)
    part.replace(picture)


def smoothed(values: np.ndarray, window: int = 9) -> np.ndarray:
    r"""
    The mean over a window centred at each value, which shrinks towards both ends.
    """
    total = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    half = np.minimum(np.minimum(at, at[::-1]), window // 2)
    return (total[at + half + 1] - total[at - half]) / (2 * half + 1)
