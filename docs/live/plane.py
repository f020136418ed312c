"""The picture that stands for the living figure of the plane, by day and by night.

    python docs/live/plane.py

The figure itself draws it, in a browser, as it begins.
"""

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

from labml_nn.pylit.config import load
from labml_nn.pylit.live import find

HERE = Path(__file__).parent
# Of the classes of figure.css: a style by day, and by night
INK = {
    'ring': ('fill:#5c615f;fill-opacity:.13', 'fill:#a7aaa5;fill-opacity:.13'),
    'arrows': ('fill:#6d706b;fill-opacity:.55', 'fill:#8f938e;fill-opacity:.55'),
    'flow': ('stroke:#23262b', 'stroke:#dedbd3'),
    'ddim': ('stroke:#1d5fb4', 'stroke:#86b5f2'),
    'pndm': ('stroke:#2c6e2f', 'stroke:#8fcf8c'),
    'dpm': ('stroke:#b3261e', 'stroke:#f28b82'),
    'ddpm': ('stroke:#7a3fa8;stroke-dasharray:7 6', 'stroke:#c79bee;stroke-dasharray:7 6'),
}
BEGIN = """async (code) => {
  globalThis.pylit = { figures: {} };
  const root = document.createElement('div');
  await import(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })));
  const say = (text) => text;
  await pylit.figures.plane({ root, say, announce: say, failed: (error) => { throw error; } });
  return root.querySelector('svg').innerHTML;
}"""


def main() -> None:
    """Write the two pictures."""
    found = find(load(HERE), 'plane')
    if found.error:
        raise SystemExit(found.error)
    code = found.code().decode()
    with sync_playwright() as playwright:
        path = shutil.which('chromium') or shutil.which('chromium-browser')
        browser = playwright.chromium.launch(executable_path=path, args=['--no-sandbox'])
        drawn = browser.new_page().evaluate(BEGIN, code)
        browser.close()
    for i, ending in enumerate(('.svg', '.dark.svg')):
        rules = ''.join(f'.{name}{{{ink[i]}}}' for name, ink in INK.items())
        rules += '.trace{fill:none;stroke-width:3}.trace.flow{stroke-width:9;stroke-opacity:.35}'
        rules += '.dot{stroke-width:5}'
        space = 'http://www.w3.org/2000/svg'
        text = f'<svg xmlns="{space}" viewBox="-300 -300 600 600" width="480" height="480">'
        text += f'<style>{rules}</style>{drawn}</svg>\n'
        (HERE / f'plane{ending}').write_text(text, encoding='utf-8')


if __name__ == '__main__':
    main()
