r"""
---
title: The report of a run
summary: >
  One page with all that a run leaves - samples over time, curves, numbers, nearest images and
  options - and runs beside each other.
---

# The report of a run

    python -m labml_nn.diffusion.ddpm.evaluate report runs/digits
    python -m labml_nn.diffusion.ddpm.evaluate compare runs/digits runs/other

A run ends with its `report.html`, and `report` writes it again, after [`metrics`](metrics.html)
with its numbers, and after [`check`](check.html) with its picture. It is made of what lies in the
folder of the run, and nothing is computed for it. The page is one file without scripts, with its
pictures in it: it opens from the disk, can be sent to others, and asks nobody for anything
[tested](test:diffusion/ddpm/test_report.py::test_the_page_stands_alone).

`compare` prints the numbers of several runs beside each other, with the options in which they
differ, and writes the same as a page.
"""

import base64
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup

from labml_nn.cli.options import option_meanings, option_values, plain
from labml_nn.cli.pages import environment
from labml_nn.data.files import written
from labml_nn.diffusion.ddpm.commands import Command, RunOptions
from labml_nn.diffusion.ddpm.configs import NETWORKS, Configs, make_configs
from labml_nn.diffusion.ddpm.notes import notes
from labml_nn.diffusion.ddpm.sampler import Sampler
from labml_nn.runs import checkpoint
from labml_nn.runs.log import read_log, smoothed, whole_rows

TEMPLATES = Path(__file__).with_name('templates')
# The page runs nothing and asks nobody; its pictures and its style stand in it
POLICY = Markup(
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)
# How many sample grids there are in a report, at most, and how large a picture may be
GRIDS, MOST_BYTES = 8, 4_000_000
# The drawing area of a chart, and its margins: left, top, right, bottom
WIDTH, HEIGHT, MARGINS = 640, 300, (64, 12, 12, 40)


# ## What a run has left
@dataclass
class RunRecord:
    r"""
    The folder of a run, and what can be read in it.
    """

    run: Path

    @cached_property
    def folder(self) -> Path:
        return checkpoint.find(self.run).parent

    @cached_property
    def state(self) -> Mapping[str, Any]:
        return checkpoint.load(self.run)

    @cached_property
    def configs(self) -> Configs:
        return make_configs(self.state['config'])

    @cached_property
    def log(self) -> dict[str, np.ndarray]:
        r"""
        The columns of the log; none where there is no log that can be read.
        """
        try:
            columns = read_log(self.folder / 'log.csv')
        except (ValueError, OSError):
            return {}
        return columns if len(columns['step']) else {}

    def column(self, name: str) -> 'Line':
        r"""
        A smoothed column of the log.
        """
        step, values, each = whole_rows(self.log['step'], self.log[name])
        return Line(name, step, smoothed(values, each))

    @cached_property
    def numbers(self) -> dict[str, float]:
        r"""
        What was measured, by name: the end of the log, and what `metrics` has left.
        """
        found = {}
        if self.log:
            names = ['loss', *(f'loss_band{i}' for i in range(1, 5))]
            found = {name.replace('_band', ', quarter '): float(self.column(name).y[-1])
                     for name in names}  # fmt: skip
            found['images a second'] = float(np.nanmedian(self.log['images_per_second']))
        for path in sorted(self.folder.glob('metrics_*.json')):
            found |= {f'{name.replace("_", " ")} ({features_of(path)})': value
                      for name, value in numbers_in(path).items()}  # fmt: skip
        return found

    @cached_property
    def facts(self) -> dict[str, str]:
        r"""
        What the run is, in words.
        """
        c, data = self.configs, self.state.get('data', {})
        n = data.get('images')
        views = f': each {self.state["step"] * c.batch_size / n:,.0f} times' if n else ''
        parameters = sum(w.numel() for w in self.state['model'].values())
        versions = self.state.get('versions', {})
        network = NETWORKS[c.network].called
        return {
            'images': f'{n or "?":,} of {c.dataset}, {c.image_size}×{c.image_size}×'
            f'{c.image_channels}' if n else c.dataset,
            'model': f'{network} with {parameters:,} parameters, T = {c.n_steps:,}, {c.schedule}',
            'steps': f'{self.state["step"]:,} of {c.steps:,}, of {c.batch_size} images{views}',
            'versions': ', '.join(f'{name} {version}' for name, version in versions.items()),
        }  # fmt: skip

    @property
    def notes(self) -> list[str]:
        return notes(self.configs, None)

    @property
    def options(self) -> list['Option']:
        r"""
        All options, with what they mean, and whether they differ from the preset `digits`.
        """
        values, usual = option_values(self.configs), option_values(Configs())
        return [
            Option(name, plain(values[name]), meaning, values[name] != usual[name])
            for name, meaning in option_meanings(Configs).items()
        ]

    @property
    def grids(self) -> list['Picture']:
        r"""
        Sample grids from the first to the last, all of one noise; at most `GRIDS` of them.
        """
        paths = sorted(self.folder.glob('samples/step_*.png'))
        at = np.unique(np.linspace(0, len(paths) - 1, min(GRIDS, len(paths))).round().astype(int))
        found = (picture(paths[i], f'step {int(paths[i].stem[5:]):,}') for i in at)
        return [one for one in found if one is not None]

    @property
    def samples(self) -> 'Picture | None':
        return picture(self.folder / 'samples.png', 'samples of the averaged weights, at the end')

    @property
    def nearest(self) -> 'Picture | None':
        r"""
        Samples above the training images nearest to them: of the end of the run, or of `check`.
        """
        paths = [self.folder / 'nearest.png', *sorted(self.folder.glob('check_*.png'))]
        found = (picture(path, 'samples, each above the training image that is nearest to it')
                 for path in paths)  # fmt: skip
        return next((one for one in found if one is not None), None)

    @property
    def charts(self) -> list['Chart']:
        r"""
        The loss, the loss by quarter of t, and the learning rate.
        """
        if not self.log:
            return []
        bands = [self.column(f'loss_band{i}') for i in range(1, 5)]
        steps = self.configs.n_steps
        named = [
            line._replace(name=f't = {i * steps // 4 + 1:,} to {(i + 1) * steps // 4:,}')
            for i, line in enumerate(bands)
        ]
        rate = Line('learning rate', self.log['step'], self.log['learning_rate'])
        return [
            chart('Loss', [self.column('loss')]),
            chart('Loss by quarter of t', named),
            chart('Learning rate', [rate], log=False),
        ]


class Option(NamedTuple):
    r"""
    One option of a run.
    """

    name: str
    value: str
    meaning: str
    differs: bool  # than in the preset `digits`


class Picture(NamedTuple):
    r"""
    A picture of a page.
    """

    source: str  # the whole file, as an address
    caption: str


def picture(path: Path, caption: str) -> Picture | None:
    r"""
    A PNG to be put into a page; `None` if it is missing or too large.
    """
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        return None
    content = base64.b64encode(path.read_bytes()).decode()
    return Picture(f'data:image/png;base64,{content}', caption)


def features_of(path: Path) -> str:
    r"""
    Which features a file of `metrics` is about, by its name: `metrics_pixels_ema_seed0.json`.
    """
    return path.stem.split('_')[1]


def numbers_in(path: Path) -> dict[str, float]:
    r"""
    The numbers of a file of `metrics`; none of a file that is no such one.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (ValueError, OSError):
        return {}
    items = content.items() if isinstance(content, dict) else ()
    return {str(name): value for name, value in items if isinstance(value, float)}


# ## Charts
class Line(NamedTuple):
    r"""
    A line of a chart: values `y` at `x`, both `[n]`.
    """

    name: str
    x: np.ndarray
    y: np.ndarray


class Tick(NamedTuple):
    r"""
    A mark on an axis.
    """

    place: float
    label: str


@dataclass
class Chart:
    r"""
    A chart as the page draws it: in units of its drawing, from the top left.
    """

    title: str
    lines: list[tuple[str, str]]  # names and points
    across: list[Tick]
    up: list[Tick]
    about: str  # for those who do not see it
    width: int = WIDTH
    height: int = HEIGHT
    margins: tuple[int, int, int, int] = MARGINS


def chart(title: str, lines: Sequence[Line], *, log: bool = True) -> Chart:
    r"""
    Lines over the training steps, which are logarithmic, as are the values with `log`.
    """
    left, top, right, bottom = MARGINS
    shown = [drawn(line, log=log) for line in lines]
    x = Axis.over([line.x for line in shown], (left, WIDTH - right), log=True)
    y = Axis.over([line.y for line in shown], (HEIGHT - bottom, top), log=log)
    points = [
        (line.name, ' '.join(f'{x.place(a):.1f},{y.place(b):.1f}'
                             for a, b in zip(line.x, line.y, strict=True)))
        for line in shown
    ]  # fmt: skip
    ends = '; '.join(
        f'{line.name} from {line.y[0]:.3g} to {line.y[-1]:.3g}' for line in shown if len(line.y)
    )
    return Chart(title, points, x.ticks(), y.ticks(), f'{title}: {ends}')


def drawn(line: Line, *, log: bool) -> Line:
    r"""
    The points of a line that can be drawn: what is a number, and above 0 on a logarithmic axis.
    """
    good = np.isfinite(line.y) & (line.x > 0)
    good &= (line.y > 0) | (not log)
    return Line(line.name, line.x[good], line.y[good])


@dataclass
class Axis:
    r"""
    From values to places, in a straight line or a logarithmic one.
    """

    low: float
    high: float
    places: tuple[float, float]
    log: bool

    @classmethod
    def over(
        cls, values: Sequence[np.ndarray], places: tuple[float, float], *, log: bool
    ) -> 'Axis':
        r"""
        The axis that has all values on it; a line that is level gets room above and below.
        """
        every = np.concatenate([*values, np.zeros(0)])
        low, high = (float(every.min()), float(every.max())) if len(every) else (1.0, 10.0)
        low = low if log else min(low, 0.0)
        if high <= low:
            low, high = (low / 1.5, low * 1.5) if log else (low, low + 1)
        return cls(low, high, places, log)

    def place(self, value: float) -> float:
        r"""
        Where a value is.
        """
        low, high = self.low, self.high
        share = (
            math.log(value / low) / math.log(high / low)
            if self.log
            else (value - low) / (high - low)
        )
        return self.places[0] + share * (self.places[1] - self.places[0])

    def ticks(self) -> list[Tick]:
        r"""
        Round values on the axis, seven at most.
        """
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            for digits in ((1, 2, 5), (1, 3), (1,)):
                values = [d * 10.0**e for e in range(first, last + 1) for d in digits]
                values = [v for v in values if self.low <= v <= self.high]
                if len(values) <= 7:
                    break
        else:
            unit = 10.0 ** math.floor(math.log10(self.high - self.low))
            unit *= next(f for f in (0.2, 0.5, 1, 2) if (self.high - self.low) / (unit * f) <= 6)
            values = [unit * i for i in range(8) if self.low + unit * i <= self.high * 1.0001]
        values = values or [self.low, self.high]
        return [Tick(self.place(v), f'{v:,.0f}' if v >= 1000 else f'{v:.3g}') for v in values]


# ## The page
def page(title: str, runs: Sequence[RunRecord], **more: Any) -> str:
    r"""
    The text of a page about runs.
    """
    template = environment(TEMPLATES).get_template('report.html')
    return template.render(title=title, runs=runs, policy=POLICY, **more)


def write_page(path: Path, text: str) -> Path:
    r"""
    Write a page, all or not at all; what is not UTF-8, as in odd file names, becomes a question
    mark.
    """
    with written(path) as part:
        part.write_text(text, encoding='utf-8', errors='replace')
    return path


def write_report(run: Path, path: Path | None = None) -> Path:
    r"""
    Write the report of a run, into its folder if nothing else is said.
    """
    left = RunRecord(run)
    name = left.folder.resolve().name
    return write_page(path or left.folder / 'report.html', page(name, [left], table=[], charts=[]))


def report_command(sampler: Sampler, a: Any) -> Iterator[Path]:
    r"""
    ## `report`: one run
    """
    yield write_report(a.run, a.out)


def compare_command(sampler: Sampler, a: Any) -> Iterator[Path]:
    r"""
    ## `compare`: several runs beside each other
    """
    runs = [RunRecord(run) for run in (a.run, *a.others)]
    table = rows_of(runs)
    print(as_text(table))
    lines = [run.column('loss')._replace(name=str(run.run)) for run in runs if run.log]
    charts = [chart('Loss', lines)] if lines else []
    title = ', '.join(str(run.run) for run in runs)
    yield write_page(
        a.out or runs[0].folder / 'compare.html', page(title, runs, table=table, charts=charts)
    )


def rows_of(runs: Sequence[RunRecord]) -> list[list[str]]:
    r"""
    The table of a comparison: a head, facts, numbers, and the options that differ.
    """
    table = [['', *(str(run.run) for run in runs)]]
    for name in ('images', 'model', 'steps'):
        table.append([name, *(run.facts[name] for run in runs)])
    for name in dict.fromkeys(name for run in runs for name in run.numbers):
        values = (run.numbers.get(name) for run in runs)
        table.append([name, *('' if v is None else f'{v:.4g}' for v in values)])
    for options in zip(*(run.options for run in runs), strict=True):
        if len({option.value for option in options}) > 1:
            table.append([options[0].name, *(option.value for option in options)])
    return table


def as_text(table: Sequence[Sequence[str]]) -> str:
    r"""
    A table for a terminal.
    """
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return '\n'.join(
        '  '.join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


COMMANDS = {
    'report': Command(
        'a page of all that the run has left', report_command, RunOptions, endings=('.html',)
    ),
    'compare': Command(
        'several runs beside each other: numbers, curves, samples',
        compare_command, RunOptions, endings=('.html',), takes_others=True,
    ),
}  # fmt: skip
