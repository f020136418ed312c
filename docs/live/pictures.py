"""The pictures that stand for the living figures which draw lines, by day and by night.

    python docs/live/pictures.py

The figure itself draws its picture, in a browser, as it begins; some are drawn by `docs/figures`.
"""

import shutil
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from labml_nn.pylit import figures
from labml_nn.pylit.config import load
from labml_nn.pylit.live import find

HERE = Path(__file__).parent
SPACE = 'http://www.w3.org/2000/svg'
# The sides of each picture
SIDES = {
    'plane': (480, 480), 'forward': (360, 500), 'classes': (600, 440), 'unet': (714, 311),
}  # fmt: skip
# Those that a function of `docs/figures` draws
DRAWN = {'noising': ('ddpm.py', 'forward')}
# Of the classes of figure.css: a style by day, and by night
INK = {
    'ring': ('fill:#5c615f;fill-opacity:.13', 'fill:#a7aaa5;fill-opacity:.13'),
    'arrows': ('fill:#6d706b;fill-opacity:.55', 'fill:#8f938e;fill-opacity:.55'),
    'flow': ('stroke:#23262b', 'stroke:#dedbd3'),
    'ddim': ('stroke:#1d5fb4', 'stroke:#86b5f2'),
    'pndm': ('stroke:#2c6e2f', 'stroke:#8fcf8c'),
    'dpm': ('stroke:#b3261e', 'stroke:#f28b82'),
    'linear': ('stroke:#1d5fb4', 'stroke:#86b5f2'),
    'cosine': ('stroke:#9c4a00', 'stroke:#eda562'),
    'grid': ('stroke:#e2ded3', 'stroke:#30363b'),
    'tick': ('fill:#5c615f;font:13px sans-serif', 'fill:#a7aaa5;font:13px sans-serif'),
    'now': ('stroke:#0b6070;stroke-width:2', 'stroke:#6cc3d0;stroke-width:2'),
    'ddpm': ('stroke:#7a3fa8;stroke-dasharray:7 6', 'stroke:#c79bee;stroke-dasharray:7 6'),
    'box': ('fill:#000;stroke:#1d5fb4;stroke-width:2', 'fill:#000;stroke:#86b5f2;stroke-width:2'),
    'attention': ('stroke:#9c4a00', 'stroke:#eda562'),
    'input': ('stroke:none', 'stroke:none'),
    'seen': ('fill:#fff', 'fill:#fff'),
    'skip': (
        'fill:none;stroke:#6d706b;stroke-dasharray:5 4',
        'fill:none;stroke:#8f938e;stroke-dasharray:5 4',
    ),
    'way': ('fill:none;stroke:#6d706b;stroke-width:2', 'fill:none;stroke:#8f938e;stroke-width:2'),
}
BEGIN = """async ([name, code, later]) => {
  globalThis.pylit = { figures: {} };
  const root = document.createElement('div');
  const begin = (text) =>
    import(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })));
  await begin(code);
  const say = (text) => text, failed = (error) => { throw error; };
  const load = (asked) => begin(later[asked]);
  await pylit.figures[name]({ root, say, load, failed, announce: say });
  const { innerHTML, attributes } = root.querySelector('svg');
  return [innerHTML, attributes.viewBox.value];
}"""


def draw(browser: Browser, name: str) -> None:
    """Write the two pictures of a figure."""
    found = find(load(HERE), name)
    if found.error:
        raise SystemExit(found.error)
    later = {path.name: path.read_text('utf-8') for path in found.later}
    drawn, box = browser.new_page().evaluate(BEGIN, [name, found.code().decode(), later])
    width, height = SIDES[name]
    for i, ending in enumerate(('.svg', '.dark.svg')):
        rules = ''.join(f'.{kind}{{{ink[i]}}}' for kind, ink in INK.items())
        rules += '.trace{fill:none;stroke-width:3}.trace.flow{stroke-width:9;stroke-opacity:.35}'
        rules += '.thin{stroke-width:1.5}.dense{fill-opacity:.5}'
        rules += '.label{font:13px sans-serif}'
        rules += ''.join(
            f':is(.label,.dot).{kind}{{stroke:none;fill:{ink[i][7:14]}}}'
            for kind, ink in INK.items()
            if ink[i].startswith('stroke:')
        )
        # On a phone a wide picture is smaller than it was drawn, and its text is not
        if width > 480:
            rules += '@media(max-width:480px){.tick,.label{font-size:21px!important}}'
        text = f'<svg xmlns="{SPACE}" viewBox="{box}" width="{width}" height="{height}">'
        text += f'<style>{rules}</style>{drawn}</svg>\n'
        (HERE / f'{name}{ending}').write_text(text, encoding='utf-8')


def main() -> None:
    """All of them."""
    with sync_playwright() as playwright:
        path = shutil.which('chromium') or shutil.which('chromium-browser')
        browser = playwright.chromium.launch(executable_path=path, args=['--no-sandbox'])
        for name in SIDES:
            draw(browser, name)
        browser.close()
    folder = HERE.parent / 'figures'
    for name, (file, function) in DRAWN.items():
        pictures = {'light': HERE / f'{name}.svg', 'dark': HERE / f'{name}.dark.svg'}
        source = f'docs/figures/{file}::{function}'
        error = figures.draw(folder / file, function, pictures, source, HERE.parents[1])
        if error:
            raise SystemExit(error)


if __name__ == '__main__':
    main()
