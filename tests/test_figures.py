"""The figures show what the code computes."""

import importlib
import json
import math
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from docs.figures import ddpm as drawing
from docs.figures.data import (
    comparison,
    ddpm,
    dit,
    editing,
    edm,
    frontier,
    likelihood,
    samplers,
    schedules,
    speed_run,
    store,
)  # fmt: skip
from labml_nn.data.pictures import grid, save_png
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.configs import PRESETS, make_configs
from labml_nn.diffusion.ddpm.experiment import configs_of, parser
from labml_nn.pylit import measured
from labml_nn.pylit.config import load
from labml_nn.pylit.problems import Problems

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / 'docs' / 'figures'


# Those of sampling and training are of a run, and no two machines' are the same to the bit
@pytest.mark.parametrize(
    ('file', 'part', 'compute'),
    [
        *(
            ('ddpm', name, getattr(ddpm, name))
            for name in ('forward', 'weight', 'embedding', 'unet')
        ),
        ('ddpm', 'ema', ddpm.ema_weights),
        ('schedules', 'schedules', schedules.schedules),
        ('likelihood', 'gaps', likelihood.gaps),
        ('samplers', 'spacing', samplers.spacing),
        ('editing', 'missing', editing.missing),
        ('dit', 'tokens', dit.tokens),
    ],
)
def test_the_committed_data_is_what_the_code_gives_today(file, part, compute):
    committed = json.loads((FIGURES / 'data' / f'{file}.json').read_text(encoding='utf-8'))[part]
    check(committed, json.loads(json.dumps(compute())))


def check(a, b):
    """Numbers to four digits, pixels to one grey level, all else exactly."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            check(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            check(x, y)
    elif isinstance(a, str) and len(a) >= 128:
        for x, y in zip(bytes.fromhex(a), bytes.fromhex(b), strict=True):
            assert abs(x - y) <= 1
    elif isinstance(a, float):
        assert a == pytest.approx(b, rel=1e-4)
    else:
        assert a == b


def test_images_are_cut_out_of_a_grid_as_they_were(tmp_path):
    x = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    save_png(tmp_path / 'grid.png', grid(x, 3))
    assert store.cut(tmp_path / 'grid.png') == store.rows(x, 3)


def test_parts_of_the_data_are_kept_beside_the_others(monkeypatch, tmp_path):
    monkeypatch.setattr(store, '__file__', str(tmp_path / 'store.py'))
    store.keep('x', {'b': [1], 'a': 2})
    store.keep('x', {'b': [3]})
    assert (tmp_path / 'x.json').read_text() == '{\n"a": 2,\n"b": [3]\n}\n'


@pytest.mark.parametrize('name', sorted(p.stem for p in (FIGURES / 'data').glob('*.py')))
def test_what_measures_can_be_started(monkeypatch, name):
    """Most are run seldom, and would not show that what they take from another is gone."""
    monkeypatch.setattr(sys, 'argv', [name, 'runs/none'])
    importlib.import_module(f'docs.figures.data.{name}')


def test_the_rows_of_samplers_are_of_equal_calls():
    asked = []

    class Bench:
        diffusion = DenoiseDiffusion(None, 1000)

        def __call__(self, name, steps, *, spacing):
            asked.append((name, steps, spacing))
            return len(asked) / 7, 0.0

    head, *rows = edm.table(Bench())
    assert head[1:] == [9, 19, 39]
    assert asked[:3] == [
        ('ddim', 9, 'trailing'),
        ('ddim', 19, 'trailing'),
        ('ddim', 39, 'trailing'),
    ]
    assert asked[-3:] == [
        ('heun', 5, 'karras'),
        ('heun', 10, 'karras'),
        ('heun', 20, 'karras'),
    ]
    assert [cell for row in rows for cell in row[1:]] == store.rounded(i / 7 for i in range(1, 19))


def test_steps_cost_no_more_than_so_many_calls():
    diffusion = DenoiseDiffusion(None, 1000)
    found = {
        way.sampler: [comparison.steps_within(diffusion, way, n) for n in comparison.CALLS]
        for way in comparison.MODELS[0].ways
    }
    assert found['ddim'] == list(comparison.CALLS)
    assert found['heun'] == [1, 2, 3, 4, 5, 10, 25]
    assert found['pndm'] == [1, 2, 3, 7, 9, 19, 49]


def test_what_takes_long_is_measured_last():
    cells = [(seed, calls) for seed, calls, _ in comparison.cells(comparison.MODELS[0])]
    assert cells == [
        *(
            (s, n)
            for s in comparison.SEEDS
            for n in comparison.CALLS
            for _ in comparison.MODELS[0].ways
        ),
        *((s, 1000) for s in comparison.SEEDS),
    ]


def test_tables_are_of_what_is_known(tmp_path):
    """Of three seeds, of one, and of none; what a model begins with is a part of its cost."""
    by_seed = {'1': 0.2, '2': 0.3, '3': 0.4}
    for folder, ways in (('flow', {'DPM-Solver++ 2M': {'8': by_seed, '2': {'1': 3.0}}}),
                         ('reflow', {'Euler': {'1': by_seed}})):  # fmt: skip
        (tmp_path / folder).mkdir()
        comparison.store(tmp_path / folder, {'seconds': 300.0, 'ways': ways})
    head, *rows = comparison.table(tmp_path, comparison.mean)
    by_name = {name: dict(zip(head[1:], cells, strict=True)) for name, *cells in rows}
    assert list(by_name) == ['flow, DPM-Solver++ 2M', 'reflow, Euler']
    flow = by_name['flow, DPM-Solver++ 2M']
    assert (flow[2], flow[8], flow[50]) == (3.0, 0.3, None)
    assert by_name['reflow, Euler'][1] == 0.3
    seconds = {name: took for name, took, *_ in comparison.models(tmp_path)}
    assert seconds == {'model': 'seconds', 'flow': 300, 'reflow': 600}
    assert '| flow, DPM-Solver++ 2M | – | 3.00 | – | 0.30 |' in comparison.as_text([head, *rows])
    assert comparison.curves(tmp_path)['flow, 2M'] == {'calls': [2, 8], 'distance': [3.0, 0.3]}


class Nothing(torch.nn.Module):
    """Says that there is no noise."""

    def forward(self, xt, t):
        return torch.zeros_like(xt)


def test_what_is_measured_of_several_runs_has_a_folder(monkeypatch, tmp_path):
    """The students of a halving are folders of other names."""
    way = comparison.Way('DDIM', 'ddim', {}, calls=(1,))
    model = comparison.Model(
        'several', 'several', lambda *_: DenoiseDiffusion(Nothing(), 1000), (way,), has_bits=False
    )
    monkeypatch.setattr(comparison, 'MODELS', (model,))
    monkeypatch.setattr(comparison, 'SEEDS', (1, 2))
    threads = torch.get_num_threads()
    comparison.measure(tmp_path, 'several')
    torch.set_num_threads(threads)
    found = comparison.known(tmp_path / 'several')
    assert list(found['ways']['DDIM']['1']) == ['1', '2']
    assert (tmp_path / 'several' / 'distances.json').exists()


def test_trainings_are_timed_and_thrown_away(monkeypatch, tmp_path):
    """Of a run all its steps, from the median of some; of several runs all that they do."""
    runs, steps = tmp_path / 'runs', PRESETS['tests']['steps']
    (runs / 'first').mkdir(parents=True)
    (runs / 'first/weights').write_text('of the teacher')
    # What is known of it stays, and the other is measured later
    comparison.store(runs / 'first', {'bits': {}})
    clock = iter(range(10**6))

    def made(folder, calls):
        assert (folder / 'first/weights').read_text() == 'of the teacher'
        assert calls == 2
        (folder / 'several.2').mkdir()

    ways = (comparison.Way('DDIM', 'ddim', {}, calls=(2, 4)),)
    models = (
        comparison.Model('first', 'first', {'preset': 'tests'}, ways),
        comparison.Model('several', 'several', made, ways, 'first'),
    )
    monkeypatch.setattr(comparison.time, 'process_time', lambda: float(next(clock)))
    monkeypatch.setattr(comparison, 'STEPS', 2)
    threads = torch.get_num_threads()
    comparison.times(runs, models)
    torch.set_num_threads(threads)
    assert comparison.known(runs / 'first') == {'bits': {}, 'seconds': float(steps)}
    assert comparison.known(runs / 'several') == {'seconds': 1.0}
    assert not (runs / 'several.2').exists()


def test_the_speed_run_is_what_the_command_trains(monkeypatch, tmp_path):
    """Its rows are runs with other options: each option is one, and each run has its own steps."""
    said = []
    monkeypatch.setattr(frontier, 'train', lambda words: said.append(words) or 0)
    for options in speed_run.VARIANTS.values():
        frontier.trained(tmp_path / 'none', options)
        c = configs_of(vars(parser().parse(said[-1])), None)
        assert (c.steps, c.n_channels) == (options['steps'], options.get('n_channels', 32))
        assert c.cooldown < c.steps
    # The last row is the preset, but for its previews
    fast = make_configs(PRESETS[speed_run.FAST])
    same = ('steps', 'cooldown', 'n_channels', 'is_attn', 'schedule', 'target', 'learning_rate')
    assert [getattr(c, name) for name in same] == [getattr(fast, name) for name in same]


def test_the_tables_of_the_speed_run(monkeypatch, tmp_path):
    """Mean, least and most of the seeds; what is there is not trained again."""
    kept, trained = {}, []

    def run_of(runs, name, options):
        trained.append((name, options['seed']))
        return lambda sampler, steps, **_: (options['seed'] + steps / 1000, 0.0), 7.0

    monkeypatch.setattr(speed_run, 'run_of', run_of)
    monkeypatch.setattr(speed_run, 'keep', lambda name, parts: kept.update(parts))
    monkeypatch.setattr(speed_run, 'ProcessPoolExecutor', lambda *_: ThreadPoolExecutor(1))
    speed_run.main([str(tmp_path)])
    assert len(trained) == len({*trained}) == 3 * (len(speed_run.VARIANTS) + len(speed_run.RECORDS))
    head, *rows = kept['variants']
    assert [row[0] for row in rows] == list(speed_run.VARIANTS)
    assert {tuple(row[2:]) for row in rows} == {(7, 1.02, 0.02, 2.02)}
    assert head[3:] == ['distance', 'least', 'most']
    head, seconds, short, whole = kept['fast']
    assert (seconds[1:], short[1:], whole[1:]) == (
        [7.0] * 4, [0.02, 1.02, 2.02, 1.02], [1.0, 2.0, 3.0, 2.0]
    )  # fmt: skip


def test_every_figure_that_a_page_names_is_drawn_for_light_and_dark_pages():
    pages = [*(ROOT / 'labml_nn').rglob('*.py'), *(ROOT / 'labml_nn').rglob('*.md')]
    text = '\n'.join(p.read_text(encoding='utf-8') for p in pages if p.parent.name != 'pylit')
    named = set(re.findall(r'\(figure:(\w+)\.py::(\w+)', text))
    files = {tuple(p.name.split('.')) for p in (FIGURES / 'drawn').iterdir()}
    assert files == {(*name, theme, 'svg') for name in named for theme in ('light', 'dark')}
    for file, name in named:
        light, dark = (
            (FIGURES / 'drawn' / f'{file}.{name}.{theme}.svg').read_text(encoding='utf-8')
            for theme in ('light', 'dark')
        )
        assert '#d5dbe2' not in light
        # Images alone have no ink
        assert ('#24292f' in light, '#24292f' in dark) == ('#d5dbe2' in dark, False)
        # Without a ground, so that it is the page's
        assert 'fill: #ffffff; stroke: none; opacity' not in light
    # Nothing is a picture that was drawn once
    assert not [p.name for p in FIGURES.glob('*.png')]


# Pixels between the margins of a telephone that is 390 pixels wide
TELEPHONE = 358


def smallest(svg: str) -> float:
    """The size of the smallest text of a drawing on a telephone, in pixels."""
    root = ElementTree.fromstring(svg)
    across = float(root.get('viewBox', '').split()[2])
    # What Matplotlib writes is in points, of which there are 3 to 4 pixels
    shown = min(TELEPHONE, across * 4 / 3) / across
    styles = (e.get('style', '') for e in root.iter() if e.tag.endswith('}text'))
    sizes = [float(size) for style in styles for size in re.findall(r'([\d.]+)px', style)]
    return min(sizes, default=math.inf) * shown


def test_text_in_figures_can_be_read_on_a_telephone():
    drawn = sorted((FIGURES / 'drawn').glob('*.light.svg'))
    assert drawn
    assert [p.name for p in drawn if smallest(p.read_text(encoding='utf-8')) < 10] == []


def test_a_figure_is_the_same_each_time(tmp_path):
    import matplotlib

    with matplotlib.rc_context({'svg.hashsalt': 'x'}):
        for path in (tmp_path / 'a.svg', tmp_path / 'b.svg'):
            drawing.forward('light').savefig(path, metadata={'Date': None})
    assert (tmp_path / 'a.svg').read_bytes() == (tmp_path / 'b.svg').read_bytes()


def test_the_readme_shows_what_was_measured():
    """`check` compares it too."""
    found = json.loads((FIGURES / 'data' / 'frontier.json').read_text(encoding='utf-8'))
    assert frontier.short(found) == found['short']
    config, problems = load(ROOT), Problems()
    (page,) = (p for p in measured.others(config, set()) if p.source.path == ROOT / 'README.md')
    measured.unsourced(page, problems)
    measured.check(page, config, problems)
    assert not list(problems)
