r"""
# Figures: drawn by the code they are about

`![what it shows](figure:schedule.py::alpha_bar)` names a function in the project's folder of
figures. It takes `theme` (`'light'` or `'dark'`) and gives back SVG: as a string, or as a
matplotlib figure.

Building pages runs nobody's code unless it is asked to. `--execute` asks for it: it draws the
figures whose sources have changed and keeps them in the folder `drawn` beside the sources, to be
committed. A build without it uses what is there, and warns about a figure that is older than the
code it imports, or than its data: `data/schedule.json` is that of `schedule.py`.

The words of a drawing are [translated](translate.py) like a paragraph, and a page in another
language shows the drawing with them. Nothing is drawn anew: words are text in the SVG, and are
exchanged there. Formulas are drawn.

A page says how large each of its pictures is, so that nothing moves when they arrive.
"""

from __future__ import annotations

import ast
import hashlib
import html
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

from .config import Config
from .remembered import Memory, fingerprint, program
from .unchanged import is_file

THEMES = ('light', 'dark')
PATIENCE = 600

# Runs in a process of its own, so that a figure cannot disturb the build, nor one figure the next
DRAW = r"""
import importlib.util, io, sys
path, name, theme = sys.argv[1:]
spec = importlib.util.spec_from_file_location('figure', path)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
figure = getattr(module, name)(theme)
if not isinstance(figure, str):
    import matplotlib
    from matplotlib.backends.backend_svg import RendererSVG
    from matplotlib.text import Text
    draw_text = RendererSVG.draw_text

    def words_as_text(self, gc, x, y, s, prop, angle, ismath=False, mtext=None):
        if mtext is None and not ismath and not angle:
            # One line of several, which stands in the middle in another language too
            width, _, _ = self.get_text_width_height_descent(s, prop, ismath)
            mtext = Text(x + width / 2, self.height - y, s, ha='center')
        # The letters of a formula stand where the font that was measured has put them
        with matplotlib.rc_context({'svg.fonttype': 'path' if ismath else 'none'}):
            draw_text(self, gc, x, y, s, prop, angle, ismath, mtext)

    RendererSVG.draw_text = words_as_text
    matplotlib.rcParams['svg.hashsalt'] = 'pylit'
    out = io.StringIO()
    figure.savefig(out, format='svg', metadata={'Date': None, 'Creator': None})
    figure = out.getvalue()
sys.stdout.reconfigure(encoding='utf-8')
sys.stdout.write('\x1epylit\x1e' + figure)
"""


@dataclass
class Drawn:
    """A figure's files by theme; or why there are none."""

    files: dict[str, Path] = field(default_factory=dict)
    stale: bool = False
    error: str = ''


def find(config: Config, target: str, execute: bool, memory: Memory | None = None) -> Drawn:
    """The files of a figure, drawn now if asked for and needed."""
    memory = memory or Memory()
    name, _, function = target.partition('::')
    folder = config.root / config.figures
    source = folder / name
    inside = Path(os.path.realpath(source)).is_relative_to(folder.resolve())
    if not inside or source.suffix != '.py' or not function.isidentifier() or not is_file(source):
        return Drawn(error=f'no such figure: {config.figures}/{target}')
    files = {theme: folder / 'drawn' / f'{source.stem}.{function}.{theme}.svg' for theme in THEMES}
    real = [Path(os.path.realpath(path)) for path in files.values()]
    if not all(path.is_relative_to(config.root.resolve()) for path in real):
        return Drawn(error=f'figure {target} is a link that leads out of the project')
    stamp = _stamp(source, config.root, memory)
    fresh = all(is_file(path) and _stamp_of(path) == stamp for path in files.values())
    if execute and not fresh:
        error = draw(source, function, files, stamp, config.root)
        return Drawn(error=error) if error else Drawn(files)
    if not all(is_file(path) for path in files.values()):
        return Drawn(error=f'figure {target} was never drawn: build with --execute')
    wrong = ''.join(runs(path, memory) for path in files.values())
    return Drawn(error=f'figure {target}: {wrong}') if wrong else Drawn(files, stale=not fresh)


def draw(source: Path, function: str, files: dict[str, Path], stamp: str, root: Path) -> str:
    """Write the files of a figure by theme; why it could not be drawn, or nothing."""
    drawn = {}
    for theme in files:
        command = [sys.executable, '-c', DRAW, str(source), function, theme]
        around = {**os.environ, 'PYTHONPATH': str(root), 'MPLBACKEND': 'agg'}
        around['SOURCE_DATE_EPOCH'] = '0'
        try:
            done = subprocess.run(
                command, cwd=root, env=around, capture_output=True, timeout=PATIENCE, check=False
            )
        except subprocess.TimeoutExpired:
            return f'figure {source.name}::{function} took more than {PATIENCE} seconds'
        _, _, svg = done.stdout.decode('utf-8', 'replace').partition('\x1epylit\x1e')
        if done.returncode or '<svg' not in svg:
            said = done.stderr.decode('utf-8', 'replace').strip().split('\n')[-1]
            return f'figure {source.name}::{function}: {said or "gave no SVG"}'
        drawn[theme] = svg
    for theme, svg in drawn.items():
        files[theme].parent.mkdir(exist_ok=True)
        files[theme].write_text(
            f'{lighter(svg).rstrip()}\n<!-- drawn from {stamp} -->\n', encoding='utf-8'
        )
    return ''


# ## Pictures that are programs
#
# A browser runs the scripts of an SVG that is opened by itself, in the name of the site.
RUNS = {'script', 'handler', 'iframe', 'object', 'embed'}
STYLED = re.compile(rb'<\?\s*xml-stylesheet')  # a style sheet of XSLT may write a script


def runs(path: Path, memory: Memory | None = None) -> str:
    """Why a picture is not published: what is in it that a browser would run."""
    if path.suffix.lower() != '.svg':
        return ''
    data = path.read_bytes()
    name = fingerprint('runs', program(), hashlib.sha256(data).hexdigest())
    return str((memory or Memory()).made(name, lambda: _program_in(data)))


def _program_in(data: bytes) -> str:
    try:
        if STYLED.search(data.replace(b'\0', b'')):
            return 'an SVG with a style sheet of its own'
        for _, element in ElementTree.iterparse(io.BytesIO(data), events=['start']):
            name = element.tag.rpartition('}')[2].lower()
            if name in RUNS or any(_runs(*said) for said in element.attrib.items()):
                return f'an SVG with a script in <{name}>: leave it out'
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        return f'not a valid SVG: {error}'
    return ''


def _runs(name: str, value: str) -> bool:
    bare = re.sub(r'[\x00-\x20]', '', value).lower()
    return name.lower().startswith('on') or 'javascript:' in bare


# ## Lighter pictures
#
# Matplotlib writes six digits of every coordinate, and every dot of a cloud with a style of its
# own. Here coordinates are rounded to a hundredth of a point.
PLACED = re.compile(r'(?<=\s)(?:d|x|y|transform)="[^"]*"')
FACTOR = re.compile(r'((?:scale|rotate|matrix|skew[XY])\([^)]*\))')
DIGITS = re.compile(r'-?\d+\.\d{3,}')
DOTS = re.compile(r'(?:\s*<use [^>]*? style="([^"]*)"/>)(?:\s*<use [^>]*? style="\1"/>)+')
# Opacity is not inherited: on the group it would fade the cloud as a whole
OWN = re.compile(r'(?<![-\w])opacity:')
# The fonts of the pages, and any that has the characters of the reader's language
FONTS = re.compile(r'(?<=font-family: )[^;"]*')
FAMILY = "Inter, 'Segoe UI', system-ui, 'Noto Sans', 'Liberation Sans', sans-serif"


def lighter(svg: str) -> str:
    """The same picture without digits, blanks and repetitions that nobody sees."""
    svg = FONTS.sub(FAMILY, svg)
    svg = DOTS.sub(_cloud, PLACED.sub(_placed, svg))
    long = dict.fromkeys(re.findall(r' id="([mp][0-9a-f]{10})"', svg))
    short = {name: f'{name[0]}{i}' for i, name in enumerate(long)}
    if short:
        svg = re.sub('|'.join(short), lambda found: short[found[0]], svg)
    return svg


def _placed(found: re.Match[str]) -> str:
    # A factor is small and stays exact, a place is rounded
    parts = FACTOR.split(found[0])
    parts[::2] = [DIGITS.sub(lambda m: f'{float(m[0]):.2f}', part) for part in parts[::2]]
    return re.sub(r'\s+', ' ', ''.join(parts))


def _cloud(found: re.Match[str]) -> str:
    if OWN.search(found[1]):
        return found[0]
    dots = re.sub(r'\s*(<use [^>]*?) style="[^"]*"/>', r'\n\1/>', found[0])
    return f'\n<g style="{found[1]}">{dots}\n</g>'


# ## What a picture says
#
# Text that stands in one element. A number is the same in any language, as is `t = 50`.
# A translation has the numbers of the drawing, whatever they are on that day: `{1} steps of DDIM`.
NUMBER = re.compile(r'(?<![\w.,])\d+(?:[.,]\d+)*(?!\w)')
FIELD = re.compile(r'\{(\d+)\}')
LABEL = re.compile(r'(?<=>)[^<>]+(?=</text>)')


def labels(path: Path) -> tuple[str, ...]:
    """The words of a drawing as translators see them, each once, in the order of the file."""
    if path.suffix.lower() != '.svg':
        return ()
    about = path.stat()
    return _labels(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=4096)
def _labels(path: Path, changed: int, length: int) -> tuple[str, ...]:
    said = (_message(text)[0] for text in LABEL.findall(path.read_text('utf-8')))
    return tuple(dict.fromkeys(text for text in said if re.search(r'[^\W\d_]{2}', text)))


def _message(label: str) -> tuple[str, list[str]]:
    """A label with its numbers taken out."""
    text = html.unescape(label).strip()
    numbers: list[str] = NUMBER.findall(text)
    count = iter(range(1, len(numbers) + 1))
    return NUMBER.sub(lambda _: f'{{{next(count)}}}', text), numbers


def translated(path: Path, language: str, say: Callable[[str], str]) -> bytes:
    """A drawing in another language. What has no translation stays as it is."""

    def there(found: re.Match[str]) -> str:
        text, numbers = _message(found[0])
        said = FIELD.sub(lambda n: dict(enumerate(numbers, 1)).get(int(n[1]), n[0]), say(text))
        return html.escape(said, quote=False)

    svg = LABEL.sub(there, path.read_text('utf-8'))
    # Chinese and Japanese draw the same character in two ways
    return svg.replace('<svg ', f'<svg xml:lang="{html.escape(language)}" ', 1).encode()


def texts(config: Config) -> list[str]:
    """What the drawings of a project say, for those who translate it."""
    drawn = sorted((config.root / config.figures / 'drawn').glob('*.light.svg'))
    return list(dict.fromkeys(label for path in drawn for label in labels(path)))


# ## How large a picture is
LENGTH = re.compile(r'\s*([\d.]+(?:e[-+]?\d+)?)\s*(px|pt|pc|mm|cm|in|)\s*$', re.I)
# Pixels of a page, of which there are 96 to an inch
PIXELS = {'': 1, 'px': 1, 'pt': 4 / 3, 'pc': 16, 'mm': 96 / 25.4, 'cm': 96 / 2.54, 'in': 96}


def size(path: Path, memory: Memory | None = None) -> tuple[int, int] | None:
    """Width and height of a picture in pixels of a page, if the file says them."""
    kind = path.suffix.lower()
    try:
        said = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
    name = fingerprint('size', program(), kind, said)
    made = (memory or Memory()).made(name, lambda: _size(path, kind))
    return (made[0], made[1]) if made else None


def _size(path: Path, kind: str) -> tuple[int, ...]:
    found = _svg_size(path) if kind == '.svg' else _raster_size(path)
    return tuple(max(round(n), 1) for n in found) if found and min(found) > 0 else ()


def _raster_size(path: Path) -> tuple[float, float] | None:
    from PIL import Image  # a site without such pictures does not wait for it

    try:
        # Only the head of the file is read
        with Image.open(path) as image:
            width, height = image.size
            # A camera that was held upright says so, and browsers turn the picture
            turned = image.getexif().get(0x0112, 1) >= 5
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return (height, width) if turned else (width, height)


def _svg_size(path: Path) -> tuple[float, float] | None:
    """What a browser takes: width and height; one of them and the shape; or the shape alone."""
    try:
        with path.open('rb') as file:
            _, root = next(ElementTree.iterparse(file, events=['start']))
    except (ElementTree.ParseError, ValueError, LookupError, OSError, StopIteration):
        return None
    width, height = _pixels(root.get('width', '')), _pixels(root.get('height', ''))
    box = [float(x) for x in re.findall(r'-?[\d.]+(?:e[-+]?\d+)?', root.get('viewBox', ''))]
    across, down = box[2:] if len(box) == 4 and min(box[2:]) > 0 else (0.0, 0.0)
    if width and height:
        return width, height
    if not across:
        return None
    if width or height:
        return width or height * across / down, height or width * down / across
    return across, down


def _pixels(length: str) -> float:
    found = LENGTH.match(length)
    return float(found[1]) * PIXELS[found[2].lower()] if found else 0.0


def _stamp_of(path: Path) -> str:
    found = re.search(r'<!-- drawn from (\w+) -->\s*$', path.read_text(encoding='utf-8'))
    return found[1] if found else ''


# ## When a figure is out of date
#
# When its source or its data has changed, or anything of the project that the source imports, or
# that imports.
def _stamp(source: Path, root: Path, memory: Memory) -> str:
    seen: dict[Path, bytes] = {}
    root = root.resolve()
    waiting = [source.resolve()]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen[path] = path.read_bytes()
            waiting += _imported(path, seen[path], root, memory)
    data = source.resolve().parent / 'data' / f'{source.stem}.json'
    if is_file(data):
        seen[data] = data.read_bytes()
    digest = hashlib.sha256()
    for path in sorted(seen):
        digest.update(path.relative_to(root).as_posix().encode() + b'\0' + seen[path])
    return digest.hexdigest()[:16]


def _imported(path: Path, data: bytes, root: Path, memory: Memory) -> list[Path]:
    found = []
    # Figures import the same files, and these are the same from build to build
    said = fingerprint('imports', program(), hashlib.sha256(data).hexdigest())
    for level, name, names in memory.made(said, lambda: _imports(data)):
        base = path.parents[level - 1] if level else root
        found.append(_module(base, name))
        found += [_module(base, f'{name}.{inner}'.strip('.')) for inner in names]
    return [p for p in found if p and p.is_relative_to(root)]


def _imports(data: bytes) -> list[tuple[int, str, list[str]]]:
    """What a source imports: the dots before a module, its name, and what is taken from it."""
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError):
        return []
    found: list[tuple[int, str, list[str]]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(0, alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            found.append((node.level, node.module or '', names))
    return found


def _module(base: Path, name: str) -> Path | None:
    path = base.joinpath(*name.split('.')) if name else base
    for candidate in (path.with_name(f'{path.name}.py'), path / '__init__.py'):
        if is_file(candidate):
            return candidate.resolve()
    return None
