r"""
# The log of a run

`log.csv` has a row every few steps, and is on the disk as soon as it is written: it can be read
while the run goes on. `loss.png` draws it.

| column | what it says of the steps since the row before |
|---|---|
| `step` | steps done |
| `loss` | mean loss; 1 is a guess of zero |
| `loss_band1` … `loss_band4` | mean squared error of the noise, by quarter of $t$, early to late |
| `grad_norm` | norm of the last gradient, before it was clipped |
| `learning_rate` | of the last step |
| `skipped` | steps not taken, as the loss or the gradient was no number |
| `images_per_second` | speed, without previews and saving |
| `data_wait` | share of the time in which training waited for data |
"""

import contextlib
import csv
import itertools
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from labml_nn.cli.messages import first_line
from labml_nn.compute.descent import is_out_of_memory
from labml_nn.data.files import is_full_disk, written

T = TypeVar('T')

# The columns of the log. The last two are times, and differ from run to run; the others follow
# from the configuration
COLUMNS = (
    'step', 'loss', 'loss_band1', 'loss_band2', 'loss_band3', 'loss_band4', 'grad_norm',
    'learning_rate', 'skipped', 'images_per_second', 'data_wait',
)  # fmt: skip


class Window:
    r"""
    ## What the next row says

    Sums over the steps since the last row. They are kept on the device, so that no step waits for
    it, and in the checkpoint, so that a resumed run writes the very rows that it would have written
    [tested](test:diffusion/ddpm/test_resume.py::test_cut_anywhere_and_resumed_is_the_same).

    * `n_steps` $T$, whose quarters are the four bands

    > **Why bands?** The loss at large $t$ is tiny, for $x_t$ is nearly the noise itself; that at
    > small $t$ is large, for hardly any noise is to be seen. Their mean hides either. A band in
    > which the loss stays near 1 is one in which nothing is learned.
    """

    def __init__(self, n_steps: int, device: torch.device | str = 'cpu'):
        self.n_steps = n_steps
        self.first = torch.arange(4, device=device)[:, None]
        # Steps that count, their loss, steps that do not; loss and images of each band
        self.sums = torch.zeros(11, device=device)
        self.norm = torch.zeros((), device=device)
        self.forget_time()

    def add(self, loss: Tensor, t: Tensor, errors: Tensor, norm: Tensor, good: Tensor) -> None:
        r"""
        A step is done.

        * `loss` its loss
        * `t`, `errors` `[batch]`: each image's step and mean squared error
        * `norm` of its gradient
        * `good` whether all was a number; otherwise only that is counted
        """
        band = (t * 4 // self.n_steps == self.first).to(errors.dtype)  # [4, batch]
        step = torch.cat([
            torch.stack([good, loss, ~good]), (band * errors).sum(1), band.sum(1),
        ])  # fmt: skip
        only_bad = torch.zeros_like(step)
        only_bad[2] = 1
        self.sums += torch.where(good, step, only_bad)
        self.norm = norm
        self.steps += 1

    def is_empty(self) -> bool:
        r"""
        Whether no step has been done since the last row.
        """
        return not bool(self.sums.any())

    def state(self) -> Tensor:
        r"""
        What a checkpoint needs of it.
        """
        return torch.cat([self.sums, self.norm[None].to(self.sums)])

    def restore(self, state: Tensor) -> None:
        r"""
        Go on from what `state` gave. Raises `ValueError` for what it cannot have given.
        """
        # The norm is that of the last step, which may have been no number
        if state.shape != (12,) or not bool(torch.isfinite(state[:-1]).all()):
            raise ValueError(f'these are no sums of a log: {list(state.shape)}')
        self.sums.copy_(state[:-1])
        self.norm = state[-1].to(self.sums)

    @staticmethod
    def handed_over(states: Sequence[Tensor], *, is_first: bool) -> Tensor:
        r"""
        The state of a process that goes on where several others, with these states, have stopped:
        the first one takes the images of all.
        """
        state = states[0].clone()
        state[3:11] = torch.stack(list(states))[:, 3:11].sum(0) if is_first else 0
        return state

    def row(self, sums: Tensor, images_a_step: int, n_processes: int = 1) -> dict[str, float]:
        r"""
        The row as far as it follows from the sums and the time. Here the CPU waits for the device.

        * `sums` those of this window, or of all `n_processes` together; each has counted all steps,
          and its own images
        """
        n, loss, skipped, *bands = sums.tolist()
        seconds = max(time.monotonic() - self.began, 1e-9)
        return {
            'loss': loss / n if n else math.nan,
            **{
                f'loss_band{i + 1}': bands[i] / bands[4 + i] if bands[4 + i] else math.nan
                for i in range(4)
            },
            'grad_norm': float(self.norm),
            'skipped': round(skipped / n_processes),
            'images_per_second': self.steps * images_a_step / seconds,
            'data_wait': min(self.waited / seconds, 1.0),
        }

    def forget(self) -> None:
        r"""
        Begin anew, after a row was written.
        """
        self.sums.zero_()
        self.forget_time()

    def forget_time(self) -> None:
        r"""
        Let the speed be measured from here.
        """
        self.began, self.waited, self.steps = time.monotonic(), 0.0, 0

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        r"""
        What happens inside a `with` block is no part of the training speed.
        """
        began = time.monotonic()
        yield
        self.began += time.monotonic() - began

    def timed(self, data: Iterator[T]) -> Iterator[T]:
        r"""
        `data`, with the time that one waits for it taken.
        """
        while True:
            began = time.monotonic()
            batch = next(data)
            self.waited += time.monotonic() - began
            yield batch


class OptionalOutput:
    r"""
    ## What may fail

    The log, its curve and the sample grids are there to be looked at. What is raised while they are
    made is told, once, and training goes on
    [tested](test:diffusion/ddpm/test_resume.py::test_log_curve_and_pictures_are_guests). A full
    disk, the end of memory and a folder that is gone are not theirs alone: they keep their way, and
    so does Ctrl-C.
    """

    def __init__(self) -> None:
        self.told: set[str] = set()

    @contextlib.contextmanager
    def attempt(self, what: str, folder: Path) -> Iterator[None]:
        r"""
        Make `what` in the `folder` of a run inside a `with` block.
        """
        try:
            yield
        except Exception as error:
            is_ours = isinstance(error, OSError) and (is_full_disk(error) or not folder.is_dir())
            if is_ours or is_out_of_memory(error):
                raise
            problem = f'{what} is left out ({first_line(error)})'
            if problem not in self.told:
                print(f'note: {problem}: training goes on without it', file=sys.stderr)
            self.told.add(problem)


# ## The file
def append_row(path: Path, row: Mapping[str, float]) -> None:
    r"""
    Add a row to a CSV file, and its head when it is new.
    """
    # Emptied, or a folder or a pipe of that name, which would wait for a reader
    if path.exists() and not (path.is_file() and path.stat().st_size):
        put_aside(path)
    is_new = not path.exists()
    with path.open('a', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(row)
        writer.writerow([f'{v:.6g}' if isinstance(v, float) else v for v in row.values()])


def cut_log(path: Path, keep: Callable[[int], bool], columns: Sequence[str]) -> None:
    r"""
    Cut a log back to the rows of the steps to `keep`: a resumed run writes the others again.

    One that somebody has edited is put aside. A row that a killed process has left unfinished goes.
    The log of an older version gets the `columns` of this one, with `nan` where it knew nothing.
    """
    if not path.exists():
        return
    try:
        names, rows = rows_of(path, columns)
    except ValueError:
        put_aside(path)
        return
    kept = [
        row for row in (dict(zip(names, r, strict=True)) for r in rows) if keep(int(row['step']))
    ]
    new = [columns, *([row.get(name, 'nan') for name in columns] for row in kept)]
    with written(path) as part:
        part.write_text('\n'.join(','.join(row) for row in new) + '\n', encoding='utf-8')


def rows_of(path: Path, columns: Sequence[str] = COLUMNS) -> tuple[list[str], list[list[str]]]:
    r"""
    The columns' names of a log, and its rows as far as they are finished.

    Raises `ValueError` where that is no log as a run leaves it: no step is done twice, an older
    version had fewer columns, and a killed process leaves its last row or the head unfinished; all
    else was edited [tested](test:test_small.py::test_an_edited_log_is_put_aside).
    """
    if not path.is_file():
        raise ValueError('no file')
    text = path.read_text(encoding='utf-8')
    if text and ','.join(columns).startswith(text):
        return list(columns), []
    head, *lines = text[: text.rfind('\n') + 1].split('\n')[:-1] or ['']
    names, rows = head.split(','), [line.split(',') for line in lines]
    known = {'step', 'loss'} <= set(names) <= set(columns) and len(set(names)) == len(names)
    if not known or any(len(row) != len(names) for row in rows):
        raise ValueError('other columns')
    steps = [int(row[names.index('step')]) for row in rows]
    if any(b <= a for a, b in itertools.pairwise(steps)):
        raise ValueError('steps out of order')
    # Each is a number, or this raises
    np.array(rows, dtype=float)
    return names, rows


def put_aside(path: Path) -> None:
    r"""
    Give a log that somebody has edited another name, and say so: no run ends for its log.
    """
    free = (path.with_name(f'{path.stem}.aside{i}{path.suffix}') for i in itertools.count(1))
    aside = next(name for name in free if not name.exists())
    path.replace(aside)
    print(
        f'{path.absolute()} is no log of a run any more (was it edited?): it is now {aside.name}, '
        f'and a new one begins',
        file=sys.stderr,
    )


def read_log(path: Path) -> dict[str, np.ndarray]:
    r"""
    The columns of a log by name. Raises `ValueError` as `rows_of` does.
    """
    names, rows = rows_of(path)
    return dict(zip(names, np.array(rows, dtype=float).reshape(-1, len(names)).T, strict=True))


def plot_loss(log: Path, picture: Path) -> None:
    r"""
    Draw the loss of a run, as logged and smoothed, on logarithmic axes.

    > The curve falls fast from 1 and then hardly at all, while the samples go on getting better:
    > most of what is left is noise that no network could predict.
    """
    # Without pyplot, which would pick a window system
    from matplotlib.figure import Figure

    if not log.exists():
        return
    try:
        columns = read_log(log)
        step, loss, each = whole_rows(columns['step'], columns['loss'])
    except ValueError:
        put_aside(log)
        return
    if not len(step):
        return
    figure = Figure(figsize=(7, 4))
    # Margins that fit the labels: to have them computed takes as long as the drawing
    axes = figure.subplots(gridspec_kw={'left': 0.1, 'right': 0.98, 'bottom': 0.13, 'top': 0.97})
    axes.plot(step, loss, color='#9db4c8', linewidth=1, label='as logged')
    axes.plot(step, smoothed(loss, each), color='#1f5f8b', linewidth=2, label='smoothed')
    axes.axhline(1, color='#888888', linewidth=1, linestyle=':')
    # At the right, where the curve has long left this line
    axes.annotate(
        'predicts nothing', (1, 1), xycoords=('axes fraction', 'data'), xytext=(-4, -12),
        textcoords='offset points', ha='right',
    )  # fmt: skip
    axes.set(xlabel='training step', ylabel=r'$L_{simple}$', yscale='log')
    if len(step) > 1:
        axes.set(xscale='log')
    axes.grid(which='both', alpha=0.25)
    axes.legend(frameon=False)
    with written(picture) as part:
        figure.savefig(part, format='png', dpi=120)


def whole_rows(step: np.ndarray, loss: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""
    The steps and losses that a curve is drawn from, and how many steps each row is the mean of. A
    last row of less than half as many as usual goes: it would be noise at the end of the curve
    [tested](test:test_small.py::test_the_curve_does_not_end_in_noise).
    """
    each = np.diff(step, prepend=0)
    if len(step) > 1 and each[-1] < np.median(each) / 2:
        return step[:-1], loss[:-1], each[:-1]
    return step, loss, each


def smoothed(values: np.ndarray, weights: np.ndarray | None = None, window: int = 9) -> np.ndarray:
    r"""
    The weighted mean over a window centred at each value. It shrinks towards the beginning, where
    a loss falls fast; at the end its later half is missing, so that the last value is a mean too.
    """
    weights = np.ones(len(values)) if weights is None else np.maximum(weights, 1e-9)
    known = np.isfinite(values)
    weights = np.where(known, weights, 0.0)
    total, count = (
        np.concatenate([[0.0], np.cumsum(part)])
        for part in (np.where(known, values, 0.0) * weights, weights)
    )
    at = np.arange(len(values))
    half = np.minimum(at, window // 2)
    first, end = at - half, np.minimum(at + half + 1, len(values))
    with np.errstate(invalid='ignore', divide='ignore'):
        return (total[end] - total[first]) / (count[end] - count[first])
