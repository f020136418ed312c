"""Links land where they should, nothing moves, and nothing is cut without a hint."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from labml_nn.pylit.__main__ import main
from tests.kit.browsing import visit
from tests.kit.sites import project

WALKED = (
    'diffusion/ddpm/index.html',
    'diffusion/ddpm/unet.html',
    'diffusion/ddpm/experiment.html',
)
# How far from its place an element is: from where a link puts it, or as near to that as the ends
# of the page allow
AWAY = """(e) => {
  const root = document.documentElement;
  const line = parseFloat(getComputedStyle(root).scrollPaddingTop);
  const margin = parseFloat(getComputedStyle(e).scrollMarginTop);
  const away = e.getBoundingClientRect().top - line - margin;
  const atEnd = scrollY + innerHeight >= root.scrollHeight - 1;
  return atEnd ? Math.max(-away, 0) : scrollY < 1 ? Math.max(away, 0) : Math.abs(away);
}"""
WALK = f"""async () => {{
  const missed = [];
  const all = [...document.querySelectorAll('main [id]:not(#pylit-status, #pylit-tip)')];
  for (const e of all) {{
    location.hash = `#${{e.id}}`;
    await new Promise(requestAnimationFrame);
    const away = ({AWAY})(e);
    if (!(away <= 8)) missed.push([e.id, Math.round(away)]);
  }}
  return [all.length, missed];
}}"""
# Wait until the page stands still
STILL = """async () => {
  await document.fonts.ready;
  for (let last = -1, same = 0; same < 12; last = scrollY) {
    same = last === scrollY ? same + 1 : 0;
    await new Promise(requestAnimationFrame);
  }
}"""


@pytest.fixture(scope='module')
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with a long word in each place that could be cut, and with large pictures."""
    folder = tmp_path_factory.mktemp('small')
    picture = '![A picture](a.png)\n\n'
    prose = 'Words that fill a line of this page and go on to the next one. ' * 12 + '\n\n'
    parts = ''.join(f'## Part {i}\n\n{prose}{picture}' for i in range(8))
    page = (
        '# A title of some length that no telephone shows as a whole\n\n'
        'Run `python -m x --option-one` or `--help`.\n\n'
        '```console\n$ pip install x\nCollecting x\n$ python -m x --option\n```\n\n'
        '    python -m x --option \\\n        --another\n\n'
        '```\nprint("Python")\n```\n\n'
        f'{parts}'
    )
    code = f'r"""\n{page}"""\n\n\n# {prose[:700]}\n#\n# {prose}y = 1\nz = 2\n'
    for i in range(6):
        body = '    x = x + 1\n' * 30
        code += f'\n\n# {prose[: 200 * i]}\ndef f{i}(x):\n{body}    return x\n'
    project(folder, {'src/deep/__init__.py': '# # Deep\n', 'src/deep/page_of_words.py': code})
    Image.new('RGB', (600, 500), 'white').save(folder / 'src' / 'deep' / 'a.png')
    assert main(['build', str(folder / 'src'), '-o', str(folder / 'out')]) == 0
    return folder / 'out' / 'deep' / 'page_of_words.html'


# ## Links
@pytest.mark.parametrize('width', [320, 820, 1024, 1440])
@pytest.mark.parametrize('name', WALKED)
@pytest.mark.long
def test_every_anchor_is_in_its_place(real: Path, browser: Any, name: str, width: int) -> None:
    size = {'width': width, 'height': 900}
    url = (real / name).as_uri()
    with visit(browser, url, viewport=size, reduced_motion='reduce') as page:
        count, missed = page.evaluate(WALK)
        assert count > 150
        assert missed == []


def in_place(page: Any, anchor: str) -> None:
    page.evaluate(STILL)
    element = page.locator(f'[id="{anchor}"]')
    assert element.evaluate(AWAY) <= 8, anchor


@pytest.mark.parametrize('width', [390, 1440])
def test_links_land_with_cold_pictures(small: Path, browser: Any, width: int) -> None:
    size = {'width': width, 'height': 800}
    with visit(browser, f'{small.as_uri()}#part-6', viewport=size) as page:
        in_place(page, 'part-6')
        page.reload()
        in_place(page, 'part-6')
    with visit(browser, small.as_uri(), viewport=size) as page:
        if width < 1100:
            page.locator('.at').click()
        page.locator('#pylit-toc a[href="#part-7"]').click()
        in_place(page, 'part-7')
        where = page.evaluate('scrollY')
        page.evaluate('location.hash = "#part-2"')
        in_place(page, 'part-2')
        page.go_back()
        page.evaluate(STILL)
        assert abs(page.evaluate('scrollY') - where) <= 8
        page.reload()
        page.evaluate(STILL)
        assert abs(page.evaluate('scrollY') - where) <= 8


def test_a_line_of_a_cell_that_sticks_is_in_its_place(small: Path, browser: Any) -> None:
    # From below, the cell beside a long note hangs at the end of its row
    with visit(browser, small.as_uri(), viewport={'width': 1440, 'height': 500}) as page:
        page.evaluate('scrollTo({ top: 1e6, behavior: "instant" })')
        lines = page.locator('.row.pair').first.locator('.l')
        assert lines.count() == 2
        for anchor in (lines.last.get_attribute('id'), lines.first.get_attribute('id')):
            page.evaluate(f'location.hash = "#{anchor}"')
            in_place(page, anchor)


@pytest.mark.long
def test_another_language_is_at_the_same_place(real: Path, browser: Any) -> None:
    size = {'width': 1440, 'height': 900}
    url = (real / WALKED[0]).as_uri()
    with visit(browser, url, viewport=size, reduced_motion='reduce') as page:
        page.locator('.languages a').nth(1).click()
        page.wait_for_url('**/zh/diffusion/ddpm/index.html')
        page.go_back()
        page.locator('[id="DenoiseDiffusion.q_sample"]').evaluate('(e) => e.scrollIntoView()')
        page.evaluate('scrollBy(0, 30)')
        # With the mouse: the tool would first scroll to the link, which is in view
        box = page.locator('.languages a').nth(1).bounding_box()
        page.mouse.click(box['x'] + 5, box['y'] + 5)
        page.wait_for_url('**/zh/**#*')
        assert page.url.endswith('#DenoiseDiffusion.q_sample')
        in_place(page, 'DenoiseDiffusion.q_sample')


def test_keys_walk_from_where_one_is(small: Path, browser: Any) -> None:
    now = '() => document.querySelector(".row.now").id'
    with visit(browser, small.as_uri(), viewport={'width': 1440, 'height': 500}) as page:
        rows = page.evaluate('[...document.querySelectorAll(".row")].map((e) => e.id)')
        assert len(rows) > 6
        page.keyboard.press('j')
        page.keyboard.press('j')
        assert page.evaluate(now) == rows[1]
        page.evaluate(STILL)
        page.locator(f'[id="{rows[4]}"]').evaluate('(e) => e.scrollIntoView()')
        page.evaluate(STILL)
        page.keyboard.press('j')
        assert page.evaluate(now) == rows[5]
        page.evaluate(STILL)
        page.keyboard.press('k')
        assert page.evaluate(now) == rows[4]
        page.evaluate(STILL)
        # From the middle of a row the way back leads to its beginning
        page.mouse.wheel(0, 60)
        page.evaluate(STILL)
        page.keyboard.press('k')
        assert page.evaluate(now) == rows[4]
        # And at the end of the page each row has its turn
        for _ in range(len(rows)):
            page.keyboard.press('j')
            page.evaluate(STILL)
        assert page.evaluate(now) == rows[-1]


# ## Nothing moves
WATCH = """
  window.moved = 0;
  new PerformanceObserver((list) => {
    for (const e of list.getEntries()) if (!e.hadRecentInput) window.moved += e.value;
  }).observe({ type: 'layout-shift', buffered: true });
"""
THROUGH = """async () => {
  await document.fonts.ready;
  for (let y = 0; y < document.documentElement.scrollHeight; y += 700) {
    scrollTo({ top: y, behavior: 'instant' });
    await new Promise(requestAnimationFrame);
  }
  await new Promise((done) => setTimeout(done, 50));
  return window.moved;
}"""


def late(route: Any) -> None:
    time.sleep(0.1)
    route.continue_()


@pytest.mark.parametrize(('width', 'languages'), [(390, {'en', 'zh'}), (1440, {'en', 'ja'})])
@pytest.mark.long
def test_no_page_of_ours_moves(real: Path, browser: Any, width: int, languages: set[str]) -> None:
    """Every page, from its beginning to its end, with a script that comes after the first paint."""
    pages = {p: p.relative_to(real).parts for p in real.rglob('*.html')}
    pages = {p: parts for p, parts in pages.items() if 'tests' not in parts}
    other = {'zh', 'ja'} - languages
    pages = {p: parts for p, parts in pages.items() if parts[0] not in other}
    assert {'zh', 'ja'} & {parts[0] for parts in pages.values()} == languages - {'en'}
    assert len(pages) > 200
    context = browser.new_context(viewport={'width': width, 'height': 900})
    context.add_init_script(WATCH)
    context.route('**/assets/pylit.js', late)
    moved = {}
    for path in pages:
        page = context.new_page()
        page.goto(path.as_uri())
        moved[path.relative_to(real).as_posix()] = page.evaluate(THROUGH)
        page.close()
    context.close()
    assert {name: much for name, much in moved.items() if much > 0.02} == {}


@pytest.mark.parametrize('width', [390, 1440])
def test_pictures_that_arrive_late_move_nothing(small: Path, browser: Any, width: int) -> None:
    context = browser.new_context(viewport={'width': width, 'height': 900})
    context.add_init_script(WATCH)
    page = context.new_page()
    page.goto(small.as_uri())
    assert page.evaluate(THROUGH) <= 0.02
    context.close()


# ## Symbols
HIT = """() => [...document.querySelectorAll('main [data-sym]')].filter((e) => {
  e.scrollIntoView({ block: 'center', behavior: 'instant' });
  const box = e.getBoundingClientRect();
  const hit = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  return hit?.closest('[data-sym]')?.dataset.sym !== e.dataset.sym;
}).map((e) => e.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize('name', [WALKED[0], 'diffusion/samplers/ddim.html'])
@pytest.mark.long
def test_every_symbol_is_alive(real: Path, browser: Any, name: str) -> None:
    size = {'width': 1920, 'height': 900}
    with visit(browser, (real / name).as_uri(), viewport=size) as page:
        assert page.locator('main .sqrt [data-sym]').count() > 10
        assert page.evaluate(HIT) == []


# ## Nothing is cut without a hint
CUT = """() => [...document.querySelectorAll('main pre, .display, .scroll')]
  .filter((e) => e.scrollWidth > e.clientWidth + 1)
  .filter((e) => !getComputedStyle(e).backgroundAttachment.includes('local'))
  .map((e) => e.outerHTML.slice(0, 80))"""
# What stands in columns is not broken: it scrolls, with the hint
SCROLLED = """() => [...document.querySelectorAll('main pre:not(.aligned)')]
  .filter((e) => e.scrollWidth > e.clientWidth + 1).length"""
EDGES = """() => [...document.querySelectorAll('main > h1, .row > .note, .row.code > .code')]
  .map((e) => Math.round(e.getBoundingClientRect().left))"""


@pytest.mark.parametrize('name', WALKED)
@pytest.mark.long
def test_what_is_cut_has_a_hint(real: Path, browser: Any, name: str) -> None:
    with visit(browser, (real / name).as_uri()) as page:
        for width in (320, 390, 600, 820, 1024, 1440, 1920):
            page.set_viewport_size({'width': width, 'height': 900})
            page.evaluate(
                'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))'
            )
            assert page.evaluate(CUT) == [], width
            if width >= 1024:
                assert len(set(page.evaluate(EDGES))) == 1, 'one left edge'
            if width <= 390:
                assert page.evaluate(SCROLLED) == 0, 'on a phone code is wrapped'


@pytest.mark.parametrize('theme', ['light', 'dark'])
def test_the_hint_is_seen_on_the_side_where_there_is_more(
    small: Path, browser: Any, tmp_path: Path, theme: str
) -> None:
    size = {'width': 1440, 'height': 900}
    with visit(browser, small.as_uri(), viewport=size, color_scheme=theme) as page:
        cell = page.locator('pre.block').first
        cell.evaluate('(e) => { e.firstChild.textContent = " ".repeat(400) + "."; }')
        page.evaluate('dispatchEvent(new Event("resize"))')

        def sides() -> list[int]:
            cell.screenshot(path=tmp_path / 'cell.png')
            image = Image.open(tmp_path / 'cell.png').convert('L')
            middle, low = image.getpixel((image.width // 2, 12)), []
            for x in (2, image.width - 3):
                low.append(abs(middle - image.getpixel((x, 12))))
            # A shadow that is darker than a dark page is not seen
            return [int(side > 25) for side in low]

        assert sides() == [0, 1]
        cell.evaluate('(e) => { e.scrollLeft = 200; }')
        assert sides() == [1, 1]
        cell.evaluate('(e) => { e.scrollLeft = 1e6; }')
        assert sides() == [1, 0]


LONG = """# Title

    result = compute('a', first=1, second=2, third=3, fourth=4, fifth=5, sixth=6)
        indented = compute('b', first=1, second=2, third=3, fourth=4, fifth=5)

```sh
python -m program.of.mine --first-option 1 --second-option 2 --third-option 3 --last 4
```
"""
# In two, or parted from the quotation mark or the name before it
BROKEN = """() => [...document.querySelectorAll('pre .z')].filter((e) => {
  const before = e.previousSibling, range = document.createRange();
  if (before?.nodeType === 3 && /\\S$/.test(before.data)) {
    range.setStart(before, before.length - 1);
    range.setEnd(before, before.length);
    const [a, b] = [range, e].map((one) => one.getBoundingClientRect().top);
    if (Math.abs(a - b) > 4) return true;
  }
  return e.getClientRects().length > 1;
}).map((e) => e.textContent)"""
# Where the first letters of what was broken off stand, from where the line begins
HANGS = """() => [...document.querySelectorAll('pre .r')].map((line) => {
  const range = document.createRange();
  range.selectNodeContents(line);
  const boxes = [...range.getClientRects()], top = boxes[0].top;
  const left = Math.min(...boxes.filter((b) => Math.abs(b.top - top) < 4).map((b) => b.left));
  const below = boxes.filter((b) => b.top > top + 8).map((b) => b.left);
  return below.length > 0 && Math.min(...below) > left + 10;
})"""
# The number of a line, and the first letter of it, are on the same level
EMPTY = """() => [...document.querySelectorAll('.l')].filter((line) => {
  const range = document.createRange();
  range.selectNodeContents(line);
  const first = [...range.getClientRects()].find((b) => b.width);
  return first && first.top > line.getBoundingClientRect().top + 12;
}).map((line) => line.id)"""


@pytest.mark.parametrize('width', range(300, 420, 17))
def test_a_phone_breaks_lines_where_they_may_be_broken(
    tmp_path: Path, browser: Any, width: int
) -> None:
    code = (
        'def of_a_name(first: int, second: str) -> dict[str, list[int]]:\n'
        '    return call_of_it(first, -second, ["--an-option", "--another"])\n'
        "a_name.of_an.attribute_that('is', 'longer', 'than a line of a telephone')\n"
        'def one() -> A_very_long_name_that_leaves_no_room_at_all:\n    pass\n'
        f'if x:\n    if y:\n        if z:\n            print("--{"an_option_" * 3}", "is longer")\n'
    )
    project(tmp_path, {'pyproject.toml': '[tool.pylit]\n', 'page.py': f'r"""\n{LONG}"""\n{code}'})
    assert main(['build', str(tmp_path / 'page.py'), '-o', str(tmp_path / 'site')]) == 0
    size = {'width': width, 'height': 900}
    with visit(browser, (tmp_path / 'site/page.html').as_uri(), viewport=size) as page:
        assert page.locator('pre .z').count() >= 8
        assert page.evaluate(BROKEN) == []
        assert page.evaluate(SCROLLED) == 0
        assert page.evaluate(HANGS) == [True] * 3
        assert page.evaluate(EMPTY) == []


# ## A phone
CRUMBS = """() => {
  const nav = document.querySelector('.crumbs').getBoundingClientRect();
  return [...document.querySelectorAll('.crumbs > *')].map((e) => e.getBoundingClientRect())
    .filter((box) => box.bottom > nav.top + 4 && box.top < nav.bottom - 4 && box.width)
    .map((box) => box.right <= nav.right + 1);
}"""


@pytest.mark.parametrize('width', [320, 390, 640, 700, 820, 1024])
def test_the_bar_says_where_one_is(small: Path, browser: Any, width: int) -> None:
    size = {'width': width, 'height': 800}
    with visit(browser, small.as_uri(), viewport=size, has_touch=True) as page:
        page.evaluate('scrollTo({ top: 2000, behavior: "instant" })')
        whole = page.locator('h1').text_content().strip()
        if width <= 640:
            shown = page.locator('.at b').text_content()
            start = shown.removesuffix(' …')
            assert len(start) >= 10
            assert whole == shown or whole.startswith(f'{start} '), shown
            # It fits: no browser has to cut it once more
            fits = page.locator('.at b').evaluate('(e) => e.scrollWidth <= e.clientWidth')
            assert fits
        else:
            crumbs = page.evaluate(CRUMBS)
            assert crumbs
            assert all(crumbs)
        # A search that can be typed into
        page.locator('#pylit-search').tap()
        box = page.locator('#pylit-search').bounding_box()
        assert box['width'] > 0.9 * width
        assert 0 <= box['y'] < 60
        page.keyboard.type('telephone')
        page.locator('#pylit-results a').first.wait_for()
        results = page.locator('#pylit-results').bounding_box()
        assert results['x'] >= 0
        assert results['x'] + results['width'] <= width
        # Nothing of what is found lies under the box that is typed into
        box = page.locator('#pylit-search').bounding_box()
        assert results['y'] >= box['y'] + box['height']
        page.keyboard.press('Escape')
        page.locator('main').tap(position={'x': 5, 'y': 300})
        # And the contents from anywhere
        assert page.locator('.side').is_hidden()
        page.locator('.at').tap()
        assert page.locator('.at').get_attribute('aria-expanded') == 'true'
        page.locator('#pylit-toc a[href="#part-1"]').tap()
        assert page.locator('.side').is_hidden()
        in_place(page, 'part-1')
        page.locator('.at').tap()
        page.keyboard.press('Escape')
        assert page.locator('.side').is_hidden()
        assert page.evaluate('document.activeElement.className') == 'at'


# ## Commands
def test_commands_are_copied_as_one_types_them(small: Path, browser: Any) -> None:
    permissions = ['clipboard-read', 'clipboard-write']
    with visit(browser, small.as_uri(), permissions=permissions) as page:
        copied = []
        for block in page.locator('.fenced').all()[:3]:
            block.hover()
            block.locator('.copy').click()
            copied.append(page.evaluate('navigator.clipboard.readText()'))
        assert copied == [
            'pip install x\npython -m x --option',
            'python -m x --option \\\n    --another\n',
            'print("Python")\n',
        ]
        assert page.locator('.fenced .a').count() == 5
        assert page.locator('.fenced .b').count() == 1


def test_options_do_not_break(small: Path, browser: Any) -> None:
    with visit(browser, small.as_uri(), viewport={'width': 1440, 'height': 900}) as page:
        for width in range(60, 260, 9):
            page.locator('.row .note').first.evaluate(f'(e) => e.style.width = "{width}px"')
            for option in page.locator('p code .a').all():
                assert option.evaluate('(e) => e.getClientRects().length') == 1


# ## Paper and night
def test_paper_is_white_whatever_the_theme(small: Path, browser: Any) -> None:
    colours = """() => ['body', 'main p', '.c, .k', 'footer'].map((s) => document.querySelector(s))
      .map((e) => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor])"""
    with visit(browser, small.as_uri(), color_scheme='light') as page:
        page.emulate_media(media='print')
        day = page.evaluate(colours)
        for theme in ('light', 'dark'):
            page.emulate_media(media='print', color_scheme=theme)
            page.evaluate('document.documentElement.dataset.theme = "dark"')
            assert page.evaluate(colours) == day
        assert day[0] == ['rgb(0, 0, 0)', 'rgb(255, 255, 255)']
        for hidden in ('.bar', '.side', '.fenced .copy', '.origin button'):
            assert page.locator(hidden).first.is_hidden(), hidden


def test_a_picture_for_white_paper_lies_on_a_card_by_night(small: Path, browser: Any) -> None:
    card = """(e) => [getComputedStyle(e).backgroundColor, getComputedStyle(e).paddingLeft]"""
    for theme, wanted in (('light', 'rgba(0, 0, 0, 0)'), ('dark', 'rgb(255, 255, 255)')):
        with visit(browser, small.as_uri(), color_scheme=theme) as page:
            colour, _ = page.locator('main img').first.evaluate(card)
            assert colour == wanted


def test_a_picture_for_dark_pages_is_shown_by_night_without_a_card(
    tmp_path: Path, browser: Any
) -> None:
    project(tmp_path, {'pyproject.toml': '[tool.pylit]\n', 'page.py': '# ![A](a.png)\nx = 1\n'})
    for name in ('a.png', 'a.dark.png'):
        Image.new('RGB', (30, 20)).save(tmp_path / name)
    assert main(['build', str(tmp_path / 'page.py'), '-o', str(tmp_path / 'site')]) == 0
    of_each = """(all) => all.filter((e) => e.offsetWidth).map((e) =>
      [e.getAttribute('src').split('/').at(-1), getComputedStyle(e).paddingLeft])"""
    for theme, name in (('light', 'a.png'), ('dark', 'a.dark.png')):
        with visit(browser, (tmp_path / 'site/page.html').as_uri(), color_scheme=theme) as page:
            assert page.locator('main img').evaluate_all(of_each) == [[name, '0px']]


# ## The mark of an equation
BESIDE = """() => {
  const [formula, mark] = ['.katex-display', '.claim'].map((name) =>
    document.querySelector(`.display > ${name}`).getBoundingClientRect());
  return [formula.width, mark.top >= formula.bottom - 1];
}"""


@pytest.mark.parametrize(('width', 'below'), [(320, True), (390, True), (1440, False)])
def test_a_mark_leaves_a_phone_the_line(
    tmp_path: Path, browser: Any, width: int, below: bool
) -> None:
    text = '# Title\n\n$$x + y + z = a + b + c$$\n\n[t](test:test_x.py::test_one)\n'
    files = {'tests/test_x.py': 'def test_one():\n    pass\n', 'page.py': f'r"""\n{text}"""\n'}
    project(tmp_path, {'pyproject.toml': '[tool.pylit]\n', **files})
    assert main(['build', str(tmp_path / 'page.py'), '-o', str(tmp_path / 'out')]) == 0
    url = (tmp_path / 'out' / 'page.html').as_uri()
    with visit(browser, url, viewport={'width': width, 'height': 600}) as page:
        room, is_below = page.evaluate(BESIDE)
        assert is_below == below
        assert not below or room > width - 60


@pytest.mark.parametrize('scripts', [True, False])
def test_the_page_for_no_page_is_styled_where_it_stands(
    small: Path, browser: Any, scripts: bool
) -> None:
    """In a folder, and at the root of any server, of a site that knows no address of its own."""
    lost = small.parents[1] / '404.html'
    with visit(browser, lost.as_uri(), java_script_enabled=scripts) as page:
        page.get_by_role('heading', name='There is no such page').wait_for()
        # A sheet of ours has arrived: without one, a list of pages has bullets and no bar above it
        bar = page.locator('header.bar')
        assert bar.evaluate('e => getComputedStyle(e).display') != 'block'
        page.locator('a.home').click()
        page.wait_for_url((small.parents[1] / 'index.html').as_uri())


@pytest.fixture
def host(small: Path, tmp_path: Path) -> Iterator[str]:
    """A server that shows the site in a folder, and its page for no page at any depth below."""

    class Handler(SimpleHTTPRequestHandler):
        def send_error(self, code: int, *_: Any, **__: Any) -> None:
            data = (small.parents[1] / '404.html').read_bytes()
            self.send_response(code)
            self.send_header('Content-Type', 'text/html')
            self.send_header('Content-Length', str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    (tmp_path / 'docs').symlink_to(small.parents[1])
    with ThreadingHTTPServer(('127.0.0.1', 0), partial(Handler, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}/docs'
        server.shutdown()


PAPER = 'rgb(252, 251, 248)'
# What a page has from our sheet alone
FRAME = """() => ['body', '.skip', 'header.bar', '.side'].map((place) => {
  const element = document.querySelector(place), style = getComputedStyle(element);
  const { left, right } = element.getBoundingClientRect();
  return [place, left, right, style.display, style.padding, style.font, style.background];
})"""


@pytest.mark.parametrize('scripts', [True, False])
def test_the_page_for_no_page_can_be_read_and_left_at_any_depth(
    host: str, browser: Any, scripts: bool
) -> None:
    context = browser.new_context(java_script_enabled=scripts)
    try:
        page = context.new_page()
        page.goto(f'{host}/nothing.html')
        # Where its files are found, it is as any page
        assert page.locator('header.bar').is_visible()
        assert page.get_by_role('link', name='Deep', exact=True).is_visible()
        assert not page.get_by_role('link', name='this folder').is_visible()
        found = page.evaluate(FRAME)
        page.goto(f'{host}/deep/index.html')
        assert found == page.evaluate(FRAME)
        # Where they are not, it has the colours of the site, and no link that leads nowhere
        page.goto(f'{host}/deep/nothing.html')
        assert page.locator('body').evaluate('e => getComputedStyle(e).backgroundColor') == PAPER
        assert not page.locator('header.bar').is_visible()
        shown = [a.text_content() for a in page.get_by_role('link').all() if a.is_visible()]
        assert shown == ['this folder', 'the folder above', 'two folders above']
        page.get_by_role('link', name='this folder').click()
        page.wait_for_url(f'{host}/deep/index.html')
        # Deeper than any page: one way up leads to this page again, and another out of it
        page.goto(f'{host}/no/such/place/at/all/nothing.html')
        for _ in range(2):
            page.get_by_role('link', name='two folders above').click()
        page.get_by_role('link', name='the folder above').click()
        page.wait_for_url(f'{host}/index.html')
        page.get_by_role('heading', name='Contents').wait_for()
    finally:
        context.close()


# How far to the left each row of a line of code begins, from the first to the last
ROWS = """(line) => {
  const rows = new Map(), range = document.createRange();
  const words = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
  for (let text = words.nextNode(); text; text = words.nextNode()) {
    for (let i = 0; i < text.data.length; i++) {
      if (!text.data[i].trim()) continue;
      range.setStart(text, i);
      range.setEnd(text, i + 1);
      const { bottom, left } = range.getBoundingClientRect();
      rows.set(Math.round(bottom), Math.min(left, rows.get(Math.round(bottom)) ?? left));
    }
  }
  return [...rows].sort((a, b) => a[0] - b[0]).map(([, left]) => left);
}"""
HANGING = '''r"""
# A page

This is what it prints:

    what              bits/dim
    x_999 … x_500     0.0178 and so far to the right
"""


def f(x):
    if x:
        y = some_function_of(x, and_of, another) + that_goes_on_for(some, time, more)
        without_a_blank.anywhere_in_it(y)[and_longer]
        return y
'''
# How far below its number a line begins
BELOW = """(line) => {
  const range = document.createRange();
  const words = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const at = words.currentNode.data.search(/\\S/);
    if (at < 0) continue;
    range.setStart(words.currentNode, at);
    range.setEnd(words.currentNode, at + 1);
    return range.getBoundingClientRect().top - line.getBoundingClientRect().top;
  }
}"""


def test_what_is_broken_off_a_line_hangs_below_its_beginning(tmp_path: Path, browser: Any) -> None:
    """On a telephone; a text in columns is scrolled instead."""
    project(tmp_path, {'page.py': HANGING})
    assert main(['build', str(tmp_path / 'page.py'), '-o', str(tmp_path / 'out')]) == 0
    url = (tmp_path / 'out' / 'page.html').as_uri()
    with visit(browser, url, viewport={'width': 320, 'height': 800}) as page:
        first, *others = page.locator('.l', has_text='some_function_of').evaluate(ROWS)
        assert others
        assert all(first <= left <= first + 40 for left in others), (first, others)
        assert page.locator('.l', has_text='without_a_blank').evaluate(BELOW) < 8
        table = page.locator('pre.block')
        assert table.evaluate('e => e.scrollWidth > e.clientWidth + 1')
        assert table.get_attribute('tabindex') == '0'
