"""How long a reader waits for the living figures, each beside its goal: `make bench-docs`.

Every figure is started on a page of its own, from `file://`, and played with: its first slider is
moved, and each of its buttons pressed once. A *task* is what keeps the page from answering:
browsers tell of those over 50 ms.
"""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path
from typing import Any

from labml_nn.pylit import bench, formulas
from labml_nn.pylit.remembered import cache_home
from tests.kit.browser import chromium

SOURCE = Path(__file__).parents[2] / 'labml_nn'
# On two idle cores
GOALS = {'first picture': '1 s', 'a digit in 20 steps': '0.3 s', 'longest task': '50 ms'}
TASKS = """() => {
  globalThis.tasks = [];
  new PerformanceObserver((list) => tasks.push(...list.getEntries().map((task) => task.duration)))
    .observe({ type: 'longtask' });
}"""
# A figure stands when a frame with one of its pictures in it was drawn. One that draws digits says
# how far it is, and does when it is no longer at the first
FIRST = """() => new Promise((done) => {
  const began = performance.now();
  const there = () => {
    const figure = document.querySelector('main div.figure');
    const drawing = figure?.querySelector('.pictures');
    const said = figure?.querySelector('.state')?.textContent;
    const stands = drawing ? said && !/picture 1 of/.test(said)
      : figure?.querySelector('canvas, svg');
    const end = () => setTimeout(() => done((performance.now() - began) / 1000));
    requestAnimationFrame(stands ? end : there);
  };
  document.querySelector(`[data-live$="/${globalThis.asked}.js"] .start`).click();
  there();
})"""
LIVING = r'<span class="live" data-live="[^"]*/([\w-]+)\.js"'
END = r'(\d+) pictures in ([\d.]+) seconds, with (\d+) of'


def report(name: str, what: str, value: str) -> None:
    print(f'{f"{name}, {what}":32} {value}   (goal: {GOALS[what]})', flush=True)


def living(site: Path) -> dict[str, Path]:
    """The living figures of a site, and the page of each."""
    found = {}
    for page in sorted(site.rglob('*.html')):
        for name in re.findall(LIVING, page.read_text('utf-8')):
            found.setdefault(name, page)
    return found


def measure(browser: Any, name: str, page_: Path) -> None:
    page = browser.new_page()
    page.goto(page_.as_uri(), wait_until='networkidle')
    page.evaluate('(name) => { globalThis.asked = name; }', name)
    page.evaluate(TASKS)
    first = page.evaluate(FIRST)
    report(name, 'first picture', f'{first:.2f} s')
    figure = page.locator('main div.figure').first
    # Which figure draws whole digits is told by its seed
    if figure.locator('.pictures').count() and figure.locator('input[type=number]').count():
        state = figure.locator('.state')
        while not (said := re.search(END, state.inner_text())):
            time.sleep(0.05)
        n, seconds, steps = (float(number) for number in said.groups())
        assert steps == 20
        report(name, 'a digit in 20 steps', f'{seconds / n:.2f} s')
    play(page, figure)
    longest = max(page.evaluate('() => tasks'), default=0)
    report(name, 'longest task', f'{longest:.0f} ms' if longest else 'none over 50 ms')
    page.close()


def play(page: Any, figure: Any) -> None:
    """Move the first slider by ten, and press every button once."""
    sliders, buttons = figure.locator('input[type=range]:enabled'), figure.locator('button.press')
    if sliders.count():
        sliders.first.focus()
        for _ in range(10):
            page.keyboard.press('ArrowRight')
            page.wait_for_timeout(50)
    for i in range(buttons.count()):
        if buttons.nth(i).is_enabled() and buttons.nth(i).is_visible():
            buttons.nth(i).click()
            page.wait_for_timeout(300)


def main() -> None:
    formulas.setup()
    with tempfile.TemporaryDirectory() as temporary, chromium() as browser:
        out = Path(temporary) / 'site'
        bench.build(SOURCE, out, cache_home())
        for name, page in living(out).items():
            measure(browser, name, page)


if __name__ == '__main__':
    main()
