"""The report of a run, and runs beside each other: one file, from what the run has left."""

import json
import re
from functools import partial
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from labml_nn.diffusion.ddpm import experiment, report
from labml_nn.diffusion.ddpm.evaluate import main
from labml_nn.diffusion.ddpm.report import Axis, Line, RunRecord, chart
from tests.kit.browser import chromium, needed
from tests.kit.browsing import AXE, STICKING_OUT, VIOLATIONS, visit
from tests.kit.runs import PLAIN, called

train, evaluate = partial(called, experiment.main), partial(called, main)


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """Two runs, which differ in one option, and what the first has printed."""
    folder = tmp_path_factory.mktemp('runs')
    status, printed, _ = train('--preset', 'tests', '--track', 'none', '--out', folder / 'a')
    assert status == 0
    options = ['--learning_rate', '1e-3', '--track', 'none', '--out', folder / 'b & <b>']
    assert train(*PLAIN, *options)[0] == 0
    return folder / 'a', folder / 'b & <b>'


class Seen(HTMLParser):
    """What there is on a page: its tags with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data.strip())

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_a_run_ends_with_its_report(runs):
    page = Seen((runs[0] / 'report.html').read_text())
    captions = ' '.join(page.texts)
    for text in ('step 1', 'step 20', 'Loss by quarter of t', 'Learning rate', '1,797 of digits',
                 't = 1 to 250', 't = 751 to 1,000', 'nearest to it', '271,649'):  # fmt: skip
        assert text in captions
    # Five grids, the samples, and those beside their nearest images
    assert len(page.all('img')) == 5 + 1 + 1
    assert all(image['alt'] for image in page.all('img'))
    assert len(page.all('polyline')) == 1 + 4 + 1
    assert all(option in page.texts for option in ('learning_rate', 'ch_mults', 'workers'))


def test_the_page_stands_alone(runs):
    text = (runs[0] / 'report.html').read_text()
    page = Seen(text)
    assert not page.all('script')
    assert not page.all('link')
    assert not page.all('iframe')
    assert {image['src'].partition(',')[0] for image in page.all('img')} == {
        'data:image/png;base64'
    }
    assert not re.findall(r'https?:|url\(|@import', re.sub(r'base64,[^"]*', '', text))
    policy = next(m['content'] for m in page.all('meta') if 'http-equiv' in m)
    assert policy.startswith("default-src 'none'")


def test_what_was_measured_later_is_in_the_next_report(runs):
    run = runs[0]
    content = {'frechet_distance': 0.25, 'precision': 0.5, 'protocol': {'samples': '10'}}
    (run / 'metrics_pixels_ema_seed0.json').write_text(json.dumps(content))
    (run / 'metrics_other_ema_seed0.json').write_text('no JSON')
    (run / 'nearest.png').rename(run / 'check_ema_seed0.png')
    status, printed, errors = evaluate('report', run)
    assert (status, errors) == (0, '')
    assert str(run / 'report.html') in printed
    page = Seen((run / 'report.html').read_text())
    assert page.texts.count('frechet distance (pixels)') == 1
    assert '0.25' in page.texts
    assert len(page.all('img')) == 7


def test_a_report_goes_where_it_is_told_to(runs, tmp_path):
    assert evaluate('report', runs[0], '--out', tmp_path / 'x.html')[0] == 0
    assert (tmp_path / 'x.html').read_text().startswith('<!doctype html>')
    status, _, errors = evaluate('report', runs[0], '--out', tmp_path / 'x.png')
    assert status == 2
    assert '.html' in errors


@pytest.mark.parametrize('with_head', [False, True])
def test_a_run_that_has_left_little_has_a_report_too(runs, tmp_path, with_head):
    """A checkpoint alone, as it is sent around; or beside a log that has no row yet."""
    file = tmp_path / 'alone' / 'checkpoint.pt'
    file.parent.mkdir()
    file.write_bytes((runs[0] / 'checkpoint.pt').read_bytes())
    if with_head:
        head = (runs[0] / 'log.csv').read_text().splitlines()[0]
        (file.parent / 'log.csv').write_text(f'{head}\n')
    assert evaluate('report', file)[0] == 0
    page = Seen((file.parent / 'report.html').read_text())
    assert not page.all('img')
    assert not page.all('polyline')
    assert 'ch_mults' in page.texts


def test_runs_beside_each_other(runs):
    status, printed, errors = evaluate('compare', *runs)
    assert (status, errors) == (0, '')
    lines = {re.split(r'  +', line)[0]: line for line in printed.splitlines()}
    assert re.search(r'0\.002 +0\.001$', lines['learning_rate'])
    assert 'batch_size' not in lines  # is the same
    loss = [float(v) for v in lines['loss'].split()[1:]]
    assert loss == pytest.approx([RunRecord(run).numbers['loss'] for run in runs], rel=1e-3)
    page = Seen((runs[0] / 'compare.html').read_text())
    assert page.texts.count(str(runs[1])) >= 2  # not taken for tags
    assert not page.all('b')
    assert len(page.all('polyline')) == 2
    assert 'learning_rate' in page.texts


@pytest.mark.long
def test_the_pages_in_a_browser(runs):
    """Under axe, by day and by night, on a desk and on a telephone, from a file."""
    assert evaluate('compare', *runs)[0] == 0
    if not AXE.exists():
        needed('axe-core (run `npm ci` in tests/pylit)')
    with chromium() as browser:
        for name in ('report.html', 'compare.html'):
            # The page allows no script at all, and axe is one
            with visit(browser, (runs[0] / name).as_uri(), bypass_csp=True) as page:
                page.evaluate(AXE.read_text())
                for width in (1440, 390):
                    page.set_viewport_size({'width': width, 'height': 900})
                    for theme in ('light', 'dark'):
                        page.emulate_media(color_scheme=theme)
                        wide = page.evaluate('document.documentElement.scrollWidth - innerWidth')
                        assert wide <= 0, f'{name} is {wide} px too wide at {width}'
                        assert page.evaluate(STICKING_OUT) == [], (name, width)
                        assert page.evaluate(VIOLATIONS) == [], (name, width, theme)


def test_a_comparison_needs_two(runs):
    assert evaluate('compare', runs[0])[0] == 2


def test_a_page_with_many_grids_shows_some_of_them(tmp_path):
    for step in range(0, 1000, 10):
        path = tmp_path / 'samples' / f'step_{step:07}.png'
        path.parent.mkdir(exist_ok=True)
        Image.new('L', (4, 4)).save(path)
    (tmp_path / 'checkpoint.pt').write_bytes(b'')
    captions = [grid.caption for grid in RunRecord(tmp_path).grids]
    assert len(captions) == report.GRIDS
    assert (captions[0], captions[-1]) == ('step 0', 'step 990')
    with (tmp_path / 'samples/step_0000990.png').open('ab') as file:
        file.truncate(report.MOST_BYTES + 1)
    assert len(RunRecord(tmp_path).grids) == report.GRIDS - 1  # none that makes the page a burden


# ## Charts


def test_a_point_is_where_its_value_is():
    axis = Axis.over([np.array([0.01, 1.0])], (300, 100), log=True)
    assert [round(axis.place(v)) for v in (0.01, 0.1, 1)] == [300, 200, 100]
    axis = Axis.over([np.array([0.5, 2.0])], (300, 100), log=False)
    assert [axis.place(v) for v in (0, 1, 2)] == [300, 200, 100]


@pytest.mark.parametrize('log', [True, False])
@pytest.mark.parametrize(
    'values', [[1e-3], [1, 1], [0.02, 0.9], [2e-5, 3e-5], [1, 800_000], [0, 0], [0.0301, 0.0302]]
)
def test_ticks_are_on_the_axis_and_few(values, log):
    if log and not any(values):
        values = []
    axis = Axis.over([np.array(values, dtype=float)], (0, 100), log=log)
    ticks = axis.ticks()
    assert 1 <= len(ticks) <= 8
    assert all(-0.01 <= tick.place <= 100.01 for tick in ticks)


def test_what_is_no_number_is_left_out_of_a_chart():
    x, y = np.array([0.0, 1, 2, 3]), np.array([1.0, np.nan, 0.0, 0.5])
    ((_, points),) = chart('Loss', [Line('loss', x, y)]).lines
    assert len(points.split()) == 1
    assert len(chart('Loss', [Line('loss', x, y * np.nan)]).across) >= 1
