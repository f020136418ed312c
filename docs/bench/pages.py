"""The figures of the pages that have a goal, each beside it: `make bench-docs`.

*Cold* is a build in one language of which nothing is remembered but its formulas: these are set
once per user. `labml_nn.pylit.bench` has a build without them too. A check is one of a project
that was checked before; the first is a line of its own. What a reader waits for is measured in a
browser.
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from labml_nn.pylit import bench, formulas, serve
from labml_nn.pylit.config import load
from labml_nn.pylit.site import Request
from tests.kit.browser import chromium

SOURCE = Path(__file__).parents[2] / 'labml_nn'
# On two idle cores: seconds, and bytes as a reader loads them
GOALS = {
    'build cold, one language': '1.5 s',
    'build, nothing changed': '0.4 s',
    'save to seen': '0.3 s',
    'check': '6 s',
    'page ready': '0.5 s',
    'largest page, gzipped': '30,000 bytes',
    'our css and js': 'gzipped 40,000',
}
# The page stands: its scripts have run, its fonts and styles are there
READY = """async () => {
  await document.fonts.ready;
  return performance.now() / 1000;
}"""


def report(name: str, value: str) -> None:
    goal = f'   (goal: {GOALS[name]})' if name in GOALS else ''
    print(f'{name:32} {value}{goal}', flush=True)


def builds(folder: Path) -> Path:
    """The waits of an author at the command line; the site that was built."""
    cache, out = folder / 'cache', folder / 'out'
    home = formulas.setup()
    cache.mkdir()
    (cache / home.name).symlink_to(home)
    bench.build(SOURCE, out, cache)

    def cold(*arguments: str) -> bench.Time:
        (cache / 'pages-2.sqlite').unlink(missing_ok=True)
        return bench.run(arguments, cache)

    build = ('build', str(SOURCE), '-o', str(out), '--lang', 'en')
    report('build cold, one language', str(min(cold(*build) for _ in range(3))))
    report('build, nothing changed', str(min(bench.run(build, cache) for _ in range(3))))
    report('check, the first', str(cold('check', str(SOURCE))))
    again = min(bench.run(('check', str(SOURCE)), cache) for _ in range(3))
    report('check', str(again))
    return out


def seen(browser: Any) -> float:
    """From saving a source to its new heading on the screen, in seconds: the median of five."""
    path = SOURCE / 'pylit' / 'parse.py'
    kept = path.read_text(encoding='utf-8')
    server, live = serve.start(Request([SOURCE], load(SOURCE), languages=[]), 0)
    for work in (server.serve_forever, live.watch):
        threading.Thread(target=work, daemon=True).start()
    page = browser.new_page()
    times = []
    try:
        page.goto(f'http://{serve.HOST}:{server.server_address[1]}/pylit/parse.html')
        for n in range(5):
            begun = time.perf_counter()
            text = kept.replace('# ## Reading\n', f'# ## Reading {n}\n')
            path.write_text(text, encoding='utf-8')
            heading = page.get_by_role('heading', name=f'Reading {n}', exact=True)
            heading.wait_for(state='attached')
            times.append(time.perf_counter() - begun)
    finally:
        path.write_text(kept, encoding='utf-8')
        page.close()
        live.close()
        server.shutdown()
    return sorted(times)[2]


def ready(browser: Any, page_: Path) -> float:
    """From asking for the largest page until it stands, in seconds: the median of five."""
    times = []
    for _ in range(5):
        page = browser.new_page()
        page.goto(page_.as_uri())
        times.append(page.evaluate(READY))
        page.close()
    return float(sorted(times)[2])


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary, chromium() as browser:
        out = builds(Path(temporary))
        report('save to seen', f'{seen(browser):.2f} s')
        sizes = bench.sizes(SOURCE)
        largest = out / sizes['largest page, gzipped'].partition('(')[2].partition(',')[0]
        report('page ready', f'{ready(browser, largest):.2f} s')
        for name, value in sizes.items():
            report(name, value)


if __name__ == '__main__':
    main()
