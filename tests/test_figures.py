"""The figures show what the code computes."""

import importlib.util
import json
from pathlib import Path

import pytest

FIGURES = Path(__file__).parents[1] / 'docs' / 'figures'


def module(name):
    spec = importlib.util.spec_from_file_location(name, FIGURES / f'{name}.py')
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope='module')
def data():
    return module('ddpm_data')


# Those of sampling and training are of a run, and no two machines' are the same to the bit
@pytest.mark.parametrize('part', ['forward', 'weight', 'embedding', 'unet', 'ema'])
def test_the_committed_data_is_what_the_code_gives_today(data, part):
    committed = json.loads((FIGURES / 'ddpm.json').read_text(encoding='utf-8'))[part]
    check(committed, json.loads(json.dumps(compute(data, part))))


def compute(data, part):
    return data.ema_weights() if part == 'ema' else getattr(data, part)()


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


def test_every_figure_is_drawn_for_light_and_dark_pages():
    drawing = module('ddpm')
    names = {path.name.split('.')[1] for path in FIGURES.glob('ddpm.*.svg')}
    for name in names:
        assert callable(getattr(drawing, name))
        light, dark = (
            (FIGURES / f'ddpm.{name}.{theme}.svg').read_text(encoding='utf-8')
            for theme in ('light', 'dark')
        )
        assert '#24292f' in light
        assert '#d5dbe2' in dark
        # Without a ground, so that it is the page's
        assert 'fill: #ffffff; stroke: none; opacity' not in light
    assert len(names) == 10


def test_a_figure_is_the_same_each_time(tmp_path):
    import matplotlib

    drawing = module('ddpm')
    with matplotlib.rc_context({'svg.hashsalt': 'x'}):
        for path in (tmp_path / 'a.svg', tmp_path / 'b.svg'):
            drawing.forward('light').savefig(path, metadata={'Date': None})
    assert (tmp_path / 'a.svg').read_bytes() == (tmp_path / 'b.svg').read_bytes()
