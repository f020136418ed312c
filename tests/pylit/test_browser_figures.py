"""The living figures of our own pages, as a reader meets them."""

from __future__ import annotations

import base64
import contextlib
import json
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits

from labml_nn.data.pictures import to_uint8
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.configs import build, make_configs
from labml_nn.diffusion.ddpm.sampler import Sampler
from labml_nn.diffusion.ddpm.utils import SeededNoise
from labml_nn.diffusion.guidance import Guided
from labml_nn.pylit.__main__ import main
from labml_nn.pylit.config import load
from labml_nn.pylit.live import find
from tests.kit.browser import needed
from tests.kit.browsing import AXE, STICKING_OUT, VIOLATIONS, visit
from tests.kit.sites import ROOT, project

ENGINE = Path('labml_nn/diffusion/ddpm/engine')
FIGURES = sorted(
    path.stem for path in (ROOT / 'docs/live').glob('*.js') if not find(load(ROOT), path.stem).error
)


@pytest.fixture(scope='module')
def lines(browser: Any) -> list[str]:
    """The lines that the figure of the chain lights, as its script names them."""
    page = browser.new_page()
    page.evaluate('() => { globalThis.pylit = { figures: {} } }')
    page.add_script_tag(content=find(load(ROOT), 'chain').code().decode())
    return page.evaluate('() => ddpm.chain.LINES.map(([line]) => line)')


@pytest.fixture(scope='module')
def pages(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> Path:
    """A page for each figure; that of the chain has the lines that are lit."""
    folder = tmp_path_factory.mktemp('figures')
    shutil.copytree(ROOT / 'docs/live', folder / 'docs/live')
    shutil.copytree(ROOT / ENGINE, folder / ENGINE)
    body = f'def chain(self, n_steps):\n    {lines[0]}\n'
    body += ''.join(f'        {line}\n' for line in lines[1:])
    texts = {
        f'pages/{name}.py': f'r"""\n# A figure\n\n![A picture](live:{name})\n"""\n\n\n{body}'
        for name in FIGURES
    }
    project(folder, texts)
    assert main(['build', str(folder / 'pages'), '-o', str(folder / 'out')]) == 0
    return folder / 'out'


def started(page: Any) -> Any:
    """The figure, when it has drawn and said something."""
    page.locator('.start').click()
    figure = page.locator('.figure')
    figure.locator('button').first.wait_for(timeout=60_000)
    return figure


@pytest.mark.parametrize(('theme', 'width'), [('light', 1440), ('dark', 390), ('light', 320)])
@pytest.mark.parametrize('name', FIGURES)
def test_a_figure_fits_and_is_for_everybody(
    pages: Path, browser: Any, name: str, theme: str, width: int
) -> None:
    if not AXE.exists():
        needed('axe-core (run `npm ci` in tests/pylit)')
    size = {'width': width, 'height': 900}
    address = (pages / f'{name}.html').as_uri()
    with visit(
        browser, address, viewport=size, color_scheme=theme, reduced_motion='reduce'
    ) as page:
        started(page)
        page.wait_for_timeout(500)
        assert page.evaluate('document.documentElement.scrollWidth - innerWidth') <= 0
        assert page.evaluate(STICKING_OUT) == []
        page.evaluate(AXE.read_text())
        assert page.evaluate(VIOLATIONS) == []


@pytest.mark.parametrize('name', FIGURES)
def test_a_figure_is_touched_before_it_has_drawn(pages: Path, browser: Any, name: str) -> None:
    """All that can be pressed or moved, at the moment at which it is there."""
    touch = """() => new MutationObserver((_, observer) => {
      const all = [...document.querySelectorAll('.figure :is(button, input, select)')];
      if (all.length === 0) return;
      observer.disconnect();
      for (const control of all.filter((one) => !one.disabled)) {
        if (control.matches('button')) control.click();
        else control.dispatchEvent(new Event(control.type === 'range' ? 'input' : 'change'));
      }
    }).observe(document.body, { subtree: true, childList: true })"""
    with visit(browser, (pages / f'{name}.html').as_uri(), reduced_motion='reduce') as page:
        page.evaluate(touch)
        started(page)
        page.wait_for_timeout(1500)
        assert page.locator('.figure .controls').first.is_visible()


# ## The chain
def test_the_lines_that_are_lit_stand_on_the_page_once(lines: list[str]) -> None:
    source = (ROOT / 'labml_nn/diffusion/ddpm/__init__.py').read_text(encoding='utf-8')
    code = [line.partition('  #')[0].strip() for line in source.splitlines()]
    assert [code.count(line) for line in lines] == [1] * len(lines)


def test_the_line_that_runs_is_lit(pages: Path, lines: list[str], browser: Any) -> None:
    with visit(browser, (pages / 'chain.html').as_uri(), reduced_motion='reduce') as page:
        figure = started(page)
        figure.get_by_role('button', name='Stop').click()
        last = figure.get_by_role('slider').get_attribute('aria-valuetext')
        figure.get_by_role('button', name='Next line').click()
        t = int(last.removeprefix('t = ')) - 1
        for i, line in enumerate(lines):
            page.locator('#pylit-status', has_text=line).wait_for(state='attached')
            lit = page.locator('.code .l.lit')
            assert lit.text_content().strip() == line
            assert figure.locator('.program .lit code').text_content() == line
            assert f't = {t}: ' in figure.locator('.state').text_content()
            unmade = figure.locator('.unmade').count()
            assert unmade == [5, 4, 3, 2, 2, 1, 0][i]
            figure.get_by_role('button', name='Next line').click()
        figure.get_by_role('button', name='Back').click()
        assert page.locator('.code .l.lit').text_content().strip() == lines[-1]
        # The number of a line leads to it
        figure.locator('.program .lit .at').click()
        assert page.locator('.l:target').text_content().strip() == lines[-1]


@pytest.fixture
def short_chain(pages: Path, tmp_path: Path) -> Path:
    """The page of the chain, which has 12 steps there."""
    shutil.copytree(pages, tmp_path / 'out')
    (weights,) = (tmp_path / 'out').rglob('digits.weights*.js')
    text = weights.read_text(encoding='utf-8')
    assert text.count('"n_steps":1000') == 1
    weights.write_text(text.replace('"n_steps":1000', '"n_steps":12'), encoding='utf-8')
    return tmp_path / 'out/chain.html'


def test_what_leads_nowhere_along_the_chain_is_off(short_chain: Path, browser: Any) -> None:
    with visit(browser, short_chain.as_uri(), reduced_motion='reduce') as page:
        figure = started(page)
        figure.get_by_text('At t = 1 the factor of z is 0').wait_for()
        names = ('Back', 'Next line', 'Next step', 'Another z in this', 'Another z from here')
        buttons = [figure.get_by_role('button', name=name) for name in names]
        back, _, _, once, onwards = buttons
        slider = figure.get_by_role('slider')

        def on() -> list[bool]:
            return [control.is_enabled() for control in (*buttons, slider)]

        assert on() == [True, False, False, False, False, True]
        back.click()
        assert on() == [True, True, True, False, False, True]
        slider.fill('10')
        assert on() == [True] * 6
        assert figure.get_by_text('factor of z').count() == 0
        # Of the step t = 1 there is no other z, so that this is said of one step, and of two
        for button, said in ((once, 'the step t = 2 alone'), (onwards, 'each step from t = 2 on')):
            slider.fill('10')
            button.click()
            text = figure.locator('.compared', has_text=f'Another z in {said}')
            text.wait_for()
            assert 'differs by more than 0.2, which' in text.text_content()
        slider.fill('0')
        for _ in range(6):
            back.click()
        assert on() == [False, True, True, True, True, True]
        assert figure.locator('.state').text_content().startswith('t = 12: 12 steps are')


def test_why_the_slider_of_the_chain_is_off(pages: Path, browser: Any) -> None:
    size = {'width': 390, 'height': 800}
    address = (pages / 'chain.html').as_uri()
    with visit(browser, address, viewport=size, reduced_motion='reduce') as page:
        figure = started(page)
        figure.get_by_role('button', name='Stop').click()
        assert figure.get_by_role('slider').is_disabled()
        assert figure.get_by_text('When the chain has come to its end').is_visible()
        # What is said of two ends has all of the width
        row, text = figure.locator('.compared'), figure.locator('.compared p')
        row.evaluate('e => { e.hidden = false }')
        assert text.bounding_box()['width'] == row.bounding_box()['width']


# ## Noise
@pytest.fixture(scope='module')
def ddpm_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our page of the derivation, alone."""
    out = tmp_path_factory.mktemp('ddpm')
    source = ROOT / 'labml_nn/diffusion/ddpm/__init__.py'
    assert main(['build', str(source), '-o', str(out), '--lang', 'en']) == 0
    return next(out.rglob('index.html'))


@pytest.mark.parametrize('t', [1, 260, 1000])
def test_the_numbers_stand_in_the_formula_and_in_the_code(
    ddpm_page: Path, browser: Any, t: int
) -> None:
    diffusion = DenoiseDiffusion(None, 1000)  # type: ignore[arg-type]
    bar = diffusion.alpha_bar[t - 1].item()
    rest = diffusion.one_minus_alpha_bar[t - 1].item()
    with visit(
        browser, ddpm_page.as_uri(), viewport={'width': 320, 'height': 800}, has_touch=True
    ) as page:
        before = page.locator('.row .katex').all_text_contents()
        page.locator('[data-live*="noising"] .start').tap()
        figure = page.locator('.figure')
        figure.get_by_role('slider').fill(str(t))
        page.locator('#pylit-status', has_text=f't = {t}: ').wait_for(state='attached')
        formula = figure.locator('.formula')
        # At both ends four digits would make 0 and 1 of what is neither
        bar_, rest_, signal, spread = (
            f'{v:.{4 if t == 260 else 6}f}' for v in (bar, rest, bar**0.5, rest**0.5)
        )
        assert float(bar_) * float(rest_) > 0
        assert formula.locator('.left').text_content() == 'xt ='
        read = ''.join(formula.locator('math').text_content().split())
        assert read == f'{bar_}x0+1−{bar_}ϵ'
        assert formula.locator('.katex-html').text_content().count(bar_) == 2
        assert figure.locator('.program code').all_text_contents() == [
            f'xt = {bar_} ** 0.5 * x0 + (1 - {bar_}) ** 0.5 * eps',
            f'mean = gather(self.alpha_bar, t, x0.ndim) ** 0.5 * x0  # {signal} * x0',
            f'var = gather(self.one_minus_alpha_bar, t, x0.ndim)  # {rest_}',
            f'return mean + var**0.5 * eps  # mean + {spread} * eps',
        ]
        # The factors stand between the pictures, which are shown at full strength
        assert figure.locator('.factor').all_text_contents() == [f'= {signal} ·', f'+ {spread} ·']
        assert figure.locator('.sum figcaption').all_text_contents() == ['xₜ', 'x₀', 'ε']
        assert f'are {bar_} and {rest_}, ' in figure.locator('.state').text_content()
        # Each leads to its line
        assert figure.locator('.program .at').count() == 4
        pixels = figure.locator('.sum').evaluate(PIXELS)
        # The page keeps its own formulas
        assert page.locator('.row .katex:not(.figure .katex)').all_text_contents() == before
    x0 = torch.tensor(load_digits().images[[3]], dtype=torch.float32)[:, None] / 8 - 1
    eps = SeededNoise(1, 0)((1, 1, 8, 8), 'cpu')
    xt = diffusion.q_sample(x0, torch.tensor([t - 1]), eps)
    for got, want in zip(pixels, (xt, x0, eps), strict=True):
        off = torch.tensor(got) - to_uint8(want).flatten().int()
        assert off.abs().max() <= 1


# ## The network
LIT = """() => [...document.querySelectorAll('section .code .l.lit')].map((line) =>
  [line.closest('section').id.replace(/-\\d+$/, ''), line.textContent.trim()])"""


@pytest.fixture(scope='module')
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our page of the U-Net, alone."""
    out = tmp_path_factory.mktemp('net')
    source = ROOT / 'labml_nn/diffusion/ddpm/unet.py'
    assert main(['build', str(source), '-o', str(out), '--lang', 'en']) == 0
    return out / 'unet.html'


def test_a_box_that_is_touched_lights_the_code_that_it_is(net: Path, browser: Any) -> None:
    source = (ROOT / 'labml_nn/diffusion/ddpm/unet.py').read_text(encoding='utf-8')
    with visit(
        browser, net.as_uri(), viewport={'width': 320, 'height': 800}, has_touch=True,
        reduced_motion='reduce',
    ) as page:  # fmt: skip
        figure = started(page)
        boxes = figure.locator('.drawing button')
        residual, attention = 4, 3
        calls = {
            'stem': (0, 'self.stem'), 'down.0.blocks.0': (residual, 'h = block(h, t)'),
            'down.0.resample': (1, 'stage.resample'),
            'middle.blocks.0': (residual + attention, 'h = block(h, t)'),
            'middle.blocks.1': (residual, 'h = block(h, t)'),
            'up.0.blocks.1': (residual + attention, 'torch.cat'),
            'up.0.resample': (1, 'stage.resample'), 'head': (0, 'self.head'),
        }  # fmt: skip
        numbers = {}
        for name, (n, call) in calls.items():
            box = boxes.and_(figure.get_by_role('button', name=f'{name}: ', exact=False)).first
            assert min(box.bounding_box()[side] for side in ('width', 'height')) >= 24
            box.tap()
            page.locator('#pylit-status', has_text=f'{name}: ').wait_for(state='attached')
            assert box.get_attribute('aria-pressed') == 'true'
            lit = page.evaluate(LIT)
            *made, (where, last) = lit
            assert (where, len(made)) == ('UNet.forward', n), name
            assert call in last
            shown = figure.locator('.program .lit')
            assert [text.strip() for text in shown.locator('code').all_text_contents()] == [
                text for _, text in lit
            ]
            numbers[name] = int(shown.last.locator('.at').text_content())
            assert last.partition('  #')[0] in source.splitlines()[numbers[name] - 1]
            # The row of code has gone to what made it
            window = figure.locator('.program').bounding_box()
            top = shown.nth(residual if n > residual else 0).bounding_box()['y']
            assert window['y'] <= top < window['y'] + window['height'] - 10
        assert numbers['down.0.blocks.0'] < numbers['middle.blocks.0'] < numbers['up.0.blocks.1']
        assert numbers['down.0.resample'] < numbers['up.0.resample']


# The greys of the last box, which is the guess
SEEN = """(plot) => {
  const box = [...plot.querySelectorAll('.box')].at(-1), greys = Array(64).fill(0);
  for (let path = box.nextSibling; path.matches('.seen'); path = path.nextSibling) {
    for (const [, x, y] of path.getAttribute('d').matchAll(/M([\\d.]+) ([\\d.]+)/g)) {
      const [column, row] = [x - box.getAttribute('x'), y - box.getAttribute('y')];
      greys[Math.round((8 * row + column) / 7.5)] = Number(path.getAttribute('fill-opacity'));
    }
  }
  return greys;
}"""


def test_the_line_that_is_lit_is_seen_in_a_narrower_window(net: Path, browser: Any) -> None:
    with visit(
        browser, net.as_uri(), viewport={'width': 1440, 'height': 900}, reduced_motion='reduce'
    ) as page:
        figure = started(page)
        figure.get_by_role('button', name='head').press('Enter')
        page.locator('#pylit-status', has_text='head: ').wait_for(state='attached')
        for width in (1440, 390):
            page.set_viewport_size({'width': width, 'height': 900})
            page.wait_for_timeout(500)
            window = figure.locator('.program').bounding_box()
            top = figure.locator('.program .lit').first.bounding_box()['y']
            assert window['y'] <= top < window['y'] + window['height'] - 10, width


def test_a_box_is_touched_before_the_first_pass_has_ended(net: Path, browser: Any) -> None:
    touch = """() => new MutationObserver((_, observer) => {
      const box = document.querySelector('.figure button[aria-label^=head]');
      if (box) { observer.disconnect(); box.click(); }
    }).observe(document.body, { subtree: true, childList: true })"""
    with visit(browser, net.as_uri(), reduced_motion='reduce') as page:
        page.evaluate(touch)
        figure = started(page)
        said = page.locator('#pylit-status', has_text='the guess ε of the noise is off by')
        said.wait_for(state='attached')
        assert said.text_content().startswith('head: a convolution.')
        assert figure.get_by_role('button', name='head').get_attribute('aria-pressed') == 'true'


def test_the_channels_of_a_box_are_shown(net: Path, browser: Any) -> None:
    diffusion, _ = model_of('digits')
    with visit(browser, net.as_uri(), reduced_motion='reduce') as page:
        figure = started(page)
        figure.get_by_role('slider').fill('400')
        page.locator('#pylit-status', has_text='t = 400').wait_for(state='attached')
        figure.get_by_role('button', name='down.1.blocks.0').press('Enter')
        rows = figure.locator('.channels')
        # A canvas each, of 16 maps a row, with a pixel between them
        shown = [
            torch.tensor(rows.nth(i).evaluate(f'(one) => ({PIXELS})(one.parentElement)')[i])
            for i in (0, 1)
        ]
        page.locator('#pylit-status', has_text='It takes the output of down.0.resample.').wait_for(
            state='attached'
        )
        figure.get_by_role('button', name='stem').press('Enter')
        page.locator('#pylit-status', has_text='It takes the noisy digit xₜ.').wait_for(
            state='attached'
        )
        figure.get_by_role('button', name='head').press('Space')
        page.locator('#pylit-status', has_text='1 channel of 8 × 8, from').wait_for(
            state='attached'
        )
        guess = figure.locator('.state').text_content()
        # The boxes are drawn in the greys of the channels
        seen = torch.tensor(figure.locator('.plot').evaluate(SEEN))
        channel = torch.tensor(rows.first.evaluate(f'(one) => ({PIXELS})(one.parentElement)')[0])
        assert (seen - channel / 255).abs().max() < 1 / 40 + 0.01
        # What doubles the image stands beside the smaller ones, and says its own size
        sides = figure.locator('.plot .tick', has_text='×').all_text_contents()
        assert sorted(sides) == ['4 × 4', '8 × 8', '8 × 8']
    network, made = diffusion.eps_model, {}
    for key in ('down.1.blocks.0', 'down.1.blocks.0.residual'):
        network.get_submodule(key).register_forward_hook(
            lambda _m, _x, out, key=key: made.update({key: out[0].flatten(1)})
        )
    x0 = torch.tensor(load_digits().images[[3]], dtype=torch.float32)[:, None] / 8 - 1
    eps = SeededNoise(1, 0)((1, 1, 8, 8), 'cpu')
    t = torch.tensor([399])
    with torch.no_grad():
        off = diffusion.eps_theta(diffusion.q_sample(x0, t, eps), t) - eps
    assert f'off by {off.square().mean().sqrt():.2f}' in guess
    for got, key in zip(shown, ('down.1.blocks.0.residual', 'down.1.blocks.0'), strict=True):
        low, high = made[key].amin(1, keepdim=True), made[key].amax(1, keepdim=True)
        want = (made[key] - low) / (high - low) * 255
        maps = got.reshape(4 * 5 - 1, 16 * 5 - 1).unfold(0, 4, 5).unfold(1, 4, 5)
        assert (maps.reshape(64, 16) - want).abs().max() < 1


# ## Digits
def model_of(name: str) -> tuple[DenoiseDiffusion, Any]:
    """The model that a script of weights holds, with its rounded weights, and its configuration."""
    text = (ROOT / f'docs/live/{name}.weights.js').read_text(encoding='utf-8')
    packed = json.loads(text.partition('packed = ')[2].rstrip(';\n'))
    c = make_configs(packed['config'])
    data, weights = bytearray(base64.b64decode(packed['data'])), {}
    for key, shape in packed['tensors']:
        n = math.prod(shape)
        if len(shape) == 1:
            values, data = torch.frombuffer(data[: 4 * n], dtype=torch.float32), data[4 * n :]
        else:
            rows = shape[0]
            scale = torch.frombuffer(data[: 4 * rows], dtype=torch.float32)
            q = torch.frombuffer(data[4 * rows : 4 * rows + n], dtype=torch.int8)
            values, data = (scale[:, None] * q.reshape(rows, -1)), data[4 * rows + n :]
        weights[key] = values.reshape(shape)
    diffusion = build(c)
    diffusion.eps_model.load_state_dict(weights)  # type: ignore[union-attr]
    return diffusion.eval(), c


# Read from a copy: the browser advises against reading a canvas often
PIXELS = """(row) => [...row.querySelectorAll('canvas')].map((canvas) => {
  const { width, height } = canvas, copy = new OffscreenCanvas(width, height);
  const context = copy.getContext('2d', { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  return [...context.getImageData(0, 0, width, height).data].filter((_, i) => i % 4 === 0);
})"""


def test_how_far_the_pictures_are_is_said(pages: Path, browser: Any) -> None:
    with visit(browser, (pages / 'digits.html').as_uri(), reduced_motion='reduce') as page:
        figure = started(page)
        state, place = figure.locator('.state'), figure.get_by_role('slider')
        for steps in ('7', '1'):
            figure.get_by_label('Steps').fill(steps)
            figure.get_by_label('Steps').press('Enter')
            figure.get_by_text(f'seconds, with {steps} of 1000 steps each').wait_for(timeout=60_000)
            assert place.get_attribute('aria-valuetext') == f'step {steps}'
        figure.get_by_label('Sampler').select_option('ddpm')
        # No number of what was drawn before
        assert place.get_attribute('aria-valuetext') == 'once all are drawn'
        figure.get_by_text(re.compile(r'step \d+ of 1000')).wait_for()
        status = page.locator('#pylit-status')
        page.locator('#pylit-status', has_text='seconds to go').wait_for(state='attached')
        said, written = status.text_content(), state.text_content()
        page.wait_for_timeout(1500)
        # It goes on, and is not said each time
        assert state.text_content() != written
        assert status.text_content() == said


def test_guided_digits_are_those_of_the_command_line(pages: Path, browser: Any) -> None:
    diffusion, _ = model_of('guided')
    network = diffusion.eps_model
    with visit(browser, (pages / 'guided.html').as_uri(), reduced_motion='reduce') as page:
        figure = started(page)
        figure.get_by_text('With w = 2').wait_for(timeout=120_000)
        rows = [figure.locator('.pictures').nth(i).evaluate(PIXELS) for i in (0, 1)]
        assert figure.locator('.command code').text_content().endswith('--seed 0 --guidance 2')
    for row, w in zip(rows, (0, 2), strict=True):
        diffusion.eps_model = Guided(network, -1, w)
        want = to_uint8(Sampler(diffusion, 1, 8, labels=range(10)).sample(10, seed=0)).flatten(1)
        off = (torch.tensor(row) - want.int()).abs()
        assert off.max() <= 2


# What passes too fast to be waited for: each line that a figure has said so far, and with it how
# many pictures of each row were faded, and were hidden from screen readers, at that moment
LISTEN = """() => {
  const lines = globalThis.linesSaid = [];
  const count = (row, mark) => row.querySelectorAll(mark).length;
  new MutationObserver(() => {
    const text = document.querySelector('.figure .state')?.textContent;
    if (!text || lines.at(-1)?.text === text) return;
    const rows = [...document.querySelectorAll('.figure .pictures')];
    lines.push({ text, faded: rows.map((row) => count(row, '.unmade')),
      hidden: rows.map((row) => count(row, 'canvas[aria-hidden=true]')) });
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


def said(page: Any, pattern: str) -> list[dict[str, Any]]:
    """The lines since `LISTEN` that match; the list begins anew."""
    lines = page.evaluate('() => linesSaid.splice(0)')
    return [line for line in lines if re.fullmatch(pattern, line['text'])]


def test_what_is_not_drawn_anew_is_faded(pages: Path, browser: Any) -> None:
    with visit(
        browser, (pages / 'guided.html').as_uri(), viewport={'width': 390, 'height': 800}
    ) as page:
        page.evaluate(LISTEN)
        figure = started(page)
        rows, state = figure.locator('.pictures'), figure.locator('.state')
        state.filter(has_text='With w = 2').wait_for(timeout=120_000)
        (second,) = said(page, 'Drawing picture 2 of 20 …')
        assert second['faded'][1] == 10
        assert rows.locator('.unmade').count() == 0
        assert rows.locator('canvas[aria-hidden=true]').count() == 0
        figure.get_by_role('slider').fill('-1')
        assert figure.get_by_role('slider').get_attribute('aria-valuetext') == 'w = −1'
        assert figure.locator('.named').all_text_contents() == ['w = 0', 'w = −1']
        # The upper row stays, and of the lower one each digit goes once it is drawn
        state.filter(has_text='With w = −1').wait_for(timeout=120_000)
        (third,) = said(page, 'Drawing picture 3 of 10 …')
        assert third['faded'][0] == 0
        assert 7 <= third['faded'][1] <= third['hidden'][1] <= 8
        figure.get_by_role('button', name='New noise').click()
        state.filter(has_text='With w = −1').wait_for(timeout=120_000)
        (second,) = said(page, 'Drawing picture 2 of 20 …')
        assert second['faded'][0] >= 8
        assert second['faded'][1] == 10
        # For a shell the sign is a hyphen, and no word of the command is on two lines
        command = figure.locator('.command code')
        assert command.text_content().endswith(' --n 10 --seed 1 --guidance -1')
        lines = command.locator('span').evaluate_all(
            'words => words.map((word) => word.firstChild).map((text) => { '
            'const range = new Range(); range.selectNode(text); '
            'return range.getClientRects().length; })'
        )
        assert lines == [1] * len(command.text_content().split())


# ## The plane
def test_twelve_points_are_the_most_and_the_first_come_back(pages: Path, browser: Any) -> None:
    with visit(browser, (pages / 'plane.html').as_uri(), reduced_motion='reduce') as page:
        figure = started(page)
        more = figure.get_by_role('button', name='Add a point')
        rings, state = figure.locator('.plot .ring'), figure.locator('.state')
        figure.locator('.plot .trace').first.wait_for()
        first = figure.locator('.plot').inner_html()
        steps, level = figure.get_by_role('slider').all()
        steps.fill('20')
        level.fill('300')
        more.focus()
        for _ in range(9):
            page.keyboard.press('Enter')
        assert rings.count() == 12 * 4
        # It is off, and whoever pressed it with a key is still there
        assert more.is_disabled()
        assert more.evaluate('(e) => e === document.activeElement')
        assert state.text_content() == 'The data have 12 points, which is the most.'
        page.locator('#pylit-status', has_text=state.text_content()).wait_for(state='attached')
        figure.locator('.plot').click()
        assert rings.count() == 12 * 4
        figure.get_by_role('button', name='New noise').click()
        figure.get_by_role('button', name='As at first').click()
        page.locator('#pylit-status', has_text='have 4 points. 8 steps').wait_for(state='attached')
        assert [steps.input_value(), level.input_value()] == ['8', '0']
        assert more.is_enabled()
        assert figure.locator('.plot').inner_html() == first


def test_the_legend_has_the_lines_of_the_drawing(pages: Path, browser: Any) -> None:
    look = """(lines) => lines.map((line) => {
      const { stroke, strokeWidth, strokeOpacity, strokeDasharray } = getComputedStyle(line);
      return [stroke, strokeWidth, strokeOpacity, strokeDasharray];
    })"""
    with visit(browser, (pages / 'plane.html').as_uri(), reduced_motion='reduce') as page:
        figure = started(page)
        figure.locator('td').first.wait_for()
        drawn = figure.locator('.plot .trace').evaluate_all(look)
        assert figure.locator('table .trace').evaluate_all(look) == drawn
        assert len(drawn) == 5


# ## Two classes
def test_points_of_no_class_have_no_colour_of_one(pages: Path, browser: Any) -> None:
    colour = '(points) => getComputedStyle(points.firstChild).fill'
    with visit(
        browser, (pages / 'classes.html').as_uri(), viewport={'width': 768, 'height': 900}
    ) as page:
        figure = started(page)
        points, guidance = figure.locator('.plot .dot'), figure.get_by_role('slider')
        rings = figure.locator('.plot .trace')
        rings.first.wait_for()
        blue, *_, orange = rings.evaluate_all('(e) => e.map((r) => getComputedStyle(r).stroke)')
        assert points.evaluate(colour) == blue != orange
        guidance.fill('-1')
        head = figure.get_by_role('rowheader', name='w = −1')
        head.wait_for()
        assert points.evaluate(colour) not in (blue, orange)
        # The words have a minus sign each, and none breaks at it
        assert guidance.get_attribute('aria-valuetext').split() == ['w', '=', '−1']
        assert '-1' not in figure.inner_text()
        lines = head.evaluate(
            'e => { e.closest("table").style.width = "1px"; const range = new Range(); '
            'range.selectNode(e.firstChild); return range.getClientRects().length; }'
        )
        assert lines == 1


# ## Schedules
def test_the_schedule_that_is_chosen_is_marked(pages: Path, browser: Any) -> None:
    with visit(browser, (pages / 'forward.html').as_uri(), reduced_motion='reduce') as page:
        figure = started(page)
        kind, step = figure.locator('select'), figure.get_by_role('slider').first
        for name in ('linear', 'cosine', 'own'):
            kind.select_option(name)
            thick = figure.locator('.plot .trace:not(.thin)')
            assert [line.get_attribute('class') for line in thick.all()] == [f'trace {name}'] * 2
            step.fill('505')  # a step that the curve is drawn through
            now = float(figure.locator('.now').first.get_attribute('x1'))
            for panel in (0, 1):
                dot = figure.locator(f'.plot .dot.{name}').nth(panel)
                place = [float(dot.get_attribute(c)) for c in ('cx', 'cy')]
                points = [
                    [float(v) for v in point.split(',')]
                    for point in thick.nth(panel).get_attribute('points').split()
                ]
                assert place[0] == now
                assert min(math.dist(place, point) for point in points) < 0.1
        # One number in two places is the same number
        kind.select_option('cosine')
        step.fill('1000')
        assert figure.locator('.formula').text_content() == 'xₜ = 0.0000493 · x₀ + 1.0000 · ε'
        assert 'At the end 0.0000493 of' in figure.locator('.state').text_content()


# ## The board
def test_one_draws_with_keys_and_with_the_mouse(pages: Path, browser: Any) -> None:
    with visit(browser, (pages / 'board.html').as_uri(), reduced_motion='reduce') as page:
        figure = started(page)
        figure.get_by_role('slider').fill('0')
        first, second = figure.locator('.board').all()
        figure.get_by_role('button', name='Clear').first.click()
        assert set(first.evaluate(PIXELS)[0]) == {0}
        board = first.get_by_role('application')
        board.focus()
        for key in ('ArrowLeft', 'ArrowUp', 'ArrowRight', 'ArrowDown', 'Space', 'ArrowDown'):
            page.keyboard.press(key)
        page.keyboard.press('Enter')
        assert white(first) == [9, 17]
        page.keyboard.press('Enter')
        assert white(first) == [9]
        box = board.bounding_box()
        side = box['width'] / 8
        page.mouse.move(box['x'] + 4.5 * side, box['y'] + 0.5 * side)
        page.mouse.down()
        page.mouse.move(box['x'] + 4.5 * side, box['y'] + 2.5 * side, steps=9)
        page.mouse.up()
        assert white(first) == [4, 9, 12, 20]
        # With no noise the first picture of the lower row is the drawing, and the last the other
        told = 't = 0: on average, a pixel of the first drawing has changed by 0 %'
        figure.get_by_text(told).wait_for()
        page.locator('#pylit-status', has_text=told).wait_for(state='attached')
        row = figure.locator('.pictures').nth(1).evaluate(PIXELS)
        drawn = [first.evaluate(PIXELS)[0], second.evaluate(PIXELS)[0]]
        assert [row[0], row[-1]] == drawn
        # Each column says which mixture it is
        for i in (0, 1):
            columns = figure.locator('.pictures').nth(i).locator('figcaption').all_text_contents()
            assert columns == ['λ = 0', 'λ = ¼', 'λ = ½', 'λ = ¾', 'λ = 1']
        one, other = torch.tensor(drawn) / 255
        assert shares(figure)[2] == pytest.approx(100 * (one - other).abs().mean().item(), abs=0.6)


def shares(figure: Any) -> list[int]:
    """How far the drawings have changed, and how far they are apart, in percent, as it is said."""
    return [int(share) for share in re.findall(r'(\d+) %', figure.locator('.state').text_content())]


def test_the_board_says_how_far_it_is_and_how_much_has_changed(pages: Path, browser: Any) -> None:
    with visit(browser, (pages / 'board.html').as_uri(), reduced_motion='reduce') as page:
        page.evaluate(LISTEN)
        figure = started(page)
        page.locator('#pylit-status', has_text='differ from each other').wait_for(state='attached')
        assert said(page, r'Drawing picture 2 of 5: step \d+ of 25 …')
        drawn = [figure.locator('.board').nth(i).evaluate(PIXELS)[0] for i in (0, 1)]
        row = figure.locator('.pictures').nth(1).evaluate(PIXELS)
        off = torch.tensor(drawn) - torch.tensor([row[0], row[-1]])
        want = (100 / 255 * off.abs().double().mean(1)).tolist()
        assert shares(figure)[:2] == pytest.approx(want, abs=0.8)


def white(board: Any) -> list[int]:
    """The pixels of a board that are white."""
    return [i for i, value in enumerate(board.evaluate(PIXELS)[0]) if value == 255]


# ## Fingers
#
# Events of a finger as a telephone makes them, from which the browser itself makes scrolling,
# pointers and clicks. `fill` and `click` of the tests above would work where a finger does not.
PHONE = {'viewport': {'width': 320, 'height': 640}, 'has_touch': True, 'is_mobile': True}


def swipe(page: Any, start: tuple[float, float], end: tuple[float, float], steps: int = 8) -> None:
    """A finger that goes down at one place, moves, and is lifted at another."""
    send = page.context.new_cdp_session(page).send
    for i in range(steps + 1):
        x, y = (a + (b - a) * i / steps for a, b in zip(start, end, strict=True))
        touch = {'touchPoints': [{'x': x, 'y': y}]}
        send('Input.dispatchTouchEvent', {'type': 'touchMove' if i else 'touchStart', **touch})
    send('Input.dispatchTouchEvent', {'type': 'touchEnd', 'touchPoints': []})
    page.wait_for_timeout(200)


@contextlib.contextmanager
def on_a_phone(pages: Path, browser: Any, name: str) -> Iterator[tuple[Any, Any]]:
    """The page of a figure, and the figure, which a tap has started."""
    address = (pages / f'{name}.html').as_uri()
    with visit(browser, address, reduced_motion='reduce', **PHONE) as page:
        page.locator('.start').tap()
        figure = page.locator('.figure')
        figure.locator('button').first.wait_for(timeout=60_000)
        yield page, figure


def shown(page: Any, part: Any) -> dict[str, float]:
    """Where a part of a page is, in the middle of the window."""
    part.evaluate("e => e.scrollIntoView({ block: 'center', behavior: 'instant' })")
    page.wait_for_timeout(100)
    box: dict[str, float] = part.bounding_box()
    return box


# Each place on the page at which a figure is drawn, frame by frame
PLACES = """() => {
  globalThis.places = [];
  const look = () => {
    const figure = document.querySelector('.figure');
    if (figure?.firstChild) places.push(Math.round(figure.getBoundingClientRect().top + scrollY));
    requestAnimationFrame(look);
  };
  look();
}"""


@pytest.mark.parametrize('name', FIGURES)
def test_a_figure_stands_where_it_was_first_seen(pages: Path, browser: Any, name: str) -> None:
    address = (pages / f'{name}.html').as_uri()
    with visit(browser, address, reduced_motion='reduce', **PHONE) as page:
        page.evaluate(PLACES)
        page.locator('.start').tap()
        spoken(page)
        page.wait_for_timeout(200)
        assert len(page.evaluate('[...new Set(places)]')) == 1


TARGETS = """(figure) => [...figure.querySelectorAll('button, input, select, [tabindex]')]
  .map((e) => [e.textContent || e.type || e.tagName, e.getBoundingClientRect()])
  .filter(([, { width, height }]) => width && Math.min(width, height) < 24).map(([name]) => name)"""


@pytest.mark.parametrize('name', FIGURES)
def test_a_finger_moves_each_slider_and_not_the_page(pages: Path, browser: Any, name: str) -> None:
    with on_a_phone(pages, browser, name) as (page, figure):
        assert figure.evaluate(TARGETS) == []
        # The finger is real: above the text it scrolls
        box = shown(page, figure.locator('p').last)
        before = page.evaluate('scrollY')
        swipe(page, (160, box['y'] + 10), (160, box['y'] + 120))
        assert page.evaluate('scrollY') < before
        moved = 0
        for slider in figure.locator('input[type=range]').all():
            page.wait_for_timeout(100)
            if slider.is_disabled():
                continue
            # From one end to the other there are other values, wherever it stood
            box, before = shown(page, slider), page.evaluate('scrollY')
            y, values = box['y'] + box['height'] / 2, set()
            for share in (0.1, 0.9):
                at = box['x'] + share * box['width']
                swipe(page, (box['x'] + box['width'] / 2, y), (at, y + 12))
                values.add(slider.input_value())
            assert len(values) == 2
            assert page.evaluate('scrollY') == before
            moved += 1
        # Pictures that are still drawn have no chain to go along
        assert moved or name in ('digits', 'chain')


def test_a_finger_draws_on_the_board_and_the_page_stands_still(pages: Path, browser: Any) -> None:
    with on_a_phone(pages, browser, 'board') as (page, figure):
        figure.get_by_role('slider').fill('0')
        figure.get_by_role('button', name='Clear').first.tap()
        first = figure.locator('.board').first
        box, before = shown(page, first), page.evaluate('scrollY')
        side = box['width'] / 8
        x, y = box['x'] + 2.5 * side, box['y'] + 0.5 * side
        # So fast that most pixels are leapt over
        swipe(page, (x, y), (x, y + 7 * side), steps=2)
        assert white(first) == [2 + 8 * i for i in range(8)]
        swipe(page, (box['x'] + 0.5 * side, y), (box['x'] + 7.5 * side, y + 7 * side), steps=1)
        assert set(white(first)) >= {9 * i for i in range(8)}
        assert page.evaluate('scrollY') == before
        page.locator('#pylit-status', has_text='differ from').wait_for(state='attached')


def test_a_finger_adds_a_point_and_may_go_on_scrolling(pages: Path, browser: Any) -> None:
    with on_a_phone(pages, browser, 'plane') as (page, figure):
        plot = figure.locator('.plot')
        rings = plot.locator('.ring')
        assert rings.count() == 16
        box, before = shown(page, plot), page.evaluate('scrollY')
        # Who scrolls over the plane wants no point there
        swipe(page, (160, box['y'] + 200), (160, box['y'] + 60))
        assert page.evaluate('scrollY') > before
        assert rings.count() == 16
        box = shown(page, plot)
        page.touchscreen.tap(box['x'] + 0.25 * box['width'], box['y'] + 0.75 * box['height'])
        plot.locator('.ring').nth(19).wait_for(state='attached')
        assert rings.count() == 20
        # From -3 to 3, up and to the right
        last = rings.last
        placed = [float(last.get_attribute(c)) / 100 for c in ('cx', 'cy')]
        assert placed == pytest.approx([-1.5, 1.5], abs=0.05)


def spoken(page: Any, but: str = '') -> str:
    """What a screen reader is told, once it is told something, and something else."""
    for _ in range(600):
        said = page.locator('#pylit-status').text_content()
        if said and said != but:
            return said
        page.wait_for_timeout(100)
    raise AssertionError('nothing was said')


@pytest.mark.parametrize('name', FIGURES)
def test_each_control_is_reached_by_keys_and_what_it_does_is_spoken(
    pages: Path, browser: Any, name: str
) -> None:
    with visit(browser, (pages / f'{name}.html').as_uri(), reduced_motion='reduce') as page:
        page.locator('.start').focus()
        page.keyboard.press('Enter')
        figure = page.locator('.figure')
        figure.locator('button').first.wait_for(timeout=60_000)
        said = spoken(page)
        # Who came by the keyboard is in the figure, and goes on
        assert figure.evaluate('e => e.contains(document.activeElement)')
        slider = figure.locator('input[type=range]:enabled').first
        slider.focus()
        value = slider.input_value()
        page.keyboard.press('ArrowLeft' if value == slider.get_attribute('max') else 'ArrowRight')
        assert slider.input_value() != value
        assert slider.get_attribute('aria-valuetext')
        if name not in ('digits', 'chain'):
            # There it shows again what has been drawn
            assert spoken(page, but=said)
        # By Tab alone to each of them, and out again
        controls = figure.locator(
            ':is(button, input, select):enabled, a[href], [tabindex="0"]:not([hidden])'
        )
        # What is being drawn meanwhile may be closed for a moment
        n = -1
        while n != (n := controls.count()):
            page.wait_for_timeout(1000)
        controls.first.focus()
        reached = 0
        while figure.evaluate('e => e.contains(document.activeElement)'):
            reached += 1
            page.keyboard.press('Tab')
        assert reached == n
