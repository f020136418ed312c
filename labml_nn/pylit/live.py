r"""
# Living figures: pictures that a reader can touch

`![what it shows](live:waves)` shows a picture, as any other, and under it a button. A reader who
presses it gets what `waves.js` draws. Picture and script are in the project's folder `docs/live`
(the setting `live`): `waves.svg`, or `.png`, is the picture, and `waves.dark.svg` the one for the
night if there is one. The picture is what there is without JavaScript, on paper, before the first
touch, and when the script fails.

The script adds a function under the name of the figure. It is given a **host**, through which it
reaches the page:

```js
// @needs lib/plot.js
// @needs lib/plot.css
// @later waves.data.js
pylit.figures.waves = async (host) => {
  await host.load('waves.data.js');
  const button = document.createElement('button');
  button.textContent = host.say('Once more');
  button.onclick = () => host.announce(host.say('Drawn'));
  host.root.append(button);
};
```

* `host.root` is an empty element in the place of the picture
* `host.say` gives a text in the language of the page: a text that stands in the call in single
  quotes is found by `gettext`, as those of the notes are
* `host.announce` has something read aloud
* `host.load` asks for a script of the same folder, if `@later` names it
* `host.failed(error)` brings the picture back, with a line that says what went wrong. What the
  function throws goes the same way

`@needs` names scripts and style sheets of the project that are put before the script, in this
order. The scripts become one file of the site, and the style sheets another; both are loaded when a
reader presses the button
[tested](test:pylit/test_live.py::test_nothing_is_asked_for_before_a_touch).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import figures
from .config import Config
from .remembered import Memory
from .unchanged import is_file

NAME = re.compile(r'[A-Za-z][\w-]*')
SAID = re.compile(r'^// @(needs|later) (\S+)\s*$', re.M)
# A text that is said, up to its closing quote
TEXT = re.compile(r"""\bsay\(\s*'((?:[^'\\\n]|\\.)+)'\s*\)""")
PICTURES = ('.svg', '.png')


@dataclass
class Living:
    """The files of a living figure; or why there is none."""

    script: Path = Path()
    # What stands before the script, and what it may ask for
    needs: list[Path] = field(default_factory=list)
    later: list[Path] = field(default_factory=list)
    light: Path = Path()
    dark: Path = Path()
    error: str = ''

    @property
    def name(self) -> str:
        return self.script.stem

    def code(self) -> bytes:
        """All scripts as one."""
        scripts = [path for path in (*self.needs, self.script) if path.suffix == '.js']
        return b''.join(path.read_bytes().rstrip() + b'\n' for path in scripts)

    def style(self) -> bytes:
        """All style sheets as one."""
        return b''.join(path.read_bytes() for path in self.needs if path.suffix == '.css')


def find(config: Config, name: str, memory: Memory | None = None) -> Living:
    """The files of a figure by its name."""
    folder = config.root / config.live
    script = folder / f'{name}.js'
    if not NAME.fullmatch(name) or not is_file(script):
        return Living(error=f'no such living figure: {config.live}/{name}.js')
    pictures = [folder / f'{name}{ending}' for ending in PICTURES]
    light = next((path for path in pictures if is_file(path)), None)
    if light is None:
        shown = ' or '.join(path.name for path in pictures)
        return Living(error=f'living figure {name}: no picture {shown} in {config.live}')
    dark = light.with_suffix(f'.dark{light.suffix}')
    found = Living(script, light=light, dark=dark if is_file(dark) else light)
    for kind, named in SAID.findall(script.read_text('utf-8')):
        path = Path(os.path.normpath(folder / named))
        if not is_file(path) or path.suffix not in ('.js', '.css'):
            return Living(error=f'living figure {name}: there is no script {named}')
        (found.needs if kind == 'needs' else found.later).append(path)
    outside = next((p for p in _files(found) if not _inside(p, config.root)), None)
    if outside:
        return Living(error=f'living figure {name}: {outside.name} is outside of the project')
    wrong = figures.runs(found.light, memory) or figures.runs(found.dark, memory)
    return Living(error=f'living figure {name}: {wrong}') if wrong else found


def _files(found: Living) -> list[Path]:
    return [found.script, *found.needs, *found.later, found.light, found.dark]


def _inside(path: Path, root: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(root.resolve())


# ## The words of the scripts
def texts(config: Config) -> list[str]:
    """What all figures of a project say, to be translated."""
    folder = config.root / config.live
    names = sorted(path.stem for path in folder.glob('*.js')) if folder.is_dir() else []
    found = [living for name in names if not (living := find(config, name)).error]
    return list(dict.fromkeys(text for living in found for text in said(living)))


def said(living: Living) -> Iterator[str]:
    """What one figure says."""
    for text in TEXT.findall(living.code().decode('utf-8')):
        yield re.sub(r'\\(.)', r'\1', text)


def words(found: dict[str, str]) -> bytes:
    """The script that knows the texts in one language."""
    return f'pylit.words({json.dumps(found, ensure_ascii=False)})\n'.encode()
