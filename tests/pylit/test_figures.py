"""Figures: drawn on request and only then, kept, and known to be old when they are."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from PIL import Image

from labml_nn.pylit.__main__ import main
from labml_nn.pylit.figures import labels, lighter, size, texts
from labml_nn.pylit.problems import Mistakes
from tests.kit.sites import ROOT, project, site

DRAW = """
from pkg.lib import colour

def plot(theme):
    return f'<svg xmlns="http://www.w3.org/2000/svg"><text fill="{colour(theme)}"/></svg>'

def broken(theme):
    raise RuntimeError('no ink')

def nothing(theme):
    return 'text'
"""
FILES = {
    'pkg/__init__.py': '',
    'pkg/lib.py': 'def colour(theme):\n    return "black" if theme == "light" else "white"\n',
    'docs/figures/a.py': DRAW,
    'src/page.py': '# ![A plot](figure:a.py::plot)\nx = 1\n',
}


def render(folder: Path, execute: bool) -> tuple[dict[str, bytes], list[str]]:
    made = site(folder, 'src', execute=execute)
    try:
        return made.render(), [p.message for p in made.problems]
    finally:
        made.close()


def test_nothing_is_run_unasked(tmp_path: Path) -> None:
    project(tmp_path, FILES)
    with pytest.raises(Mistakes, match=r'page\.py:1:13: error: figure .* was never drawn'):
        render(tmp_path, execute=False)
    assert not list(tmp_path.rglob('*.svg'))


def test_drawn_by_day_and_by_night_and_kept(tmp_path: Path) -> None:
    project(tmp_path, FILES)
    files, _ = render(tmp_path, execute=True)
    assert b'fill="black"' in files['assets/figures/a.plot.light.svg']
    assert b'fill="white"' in files['assets/figures/a.plot.dark.svg']
    assert b'class="by-day"' in files['page.html']
    # Apart from what they are drawn by
    figures = tmp_path / 'docs' / 'figures'
    assert sorted(p.name for p in figures.iterdir() if p.suffix) == ['a.py']
    assert len(list((figures / 'drawn').iterdir())) == 2
    again, problems = render(tmp_path, execute=False)
    assert again == files
    assert problems == []


def test_a_figure_is_old_when_what_it_imports_has_changed(tmp_path: Path) -> None:
    project(tmp_path, FILES)
    render(tmp_path, execute=True)
    library = tmp_path / 'pkg' / 'lib.py'
    library.write_text(library.read_text().replace('black', 'navy'))
    files, problems = render(tmp_path, execute=False)
    assert b'black' in files['assets/figures/a.plot.light.svg']
    assert problems == ['figure a.py::plot is older than its source: build with --execute']
    files, problems = render(tmp_path, execute=True)
    assert b'navy' in files['assets/figures/a.plot.light.svg']
    assert problems == []


def test_a_figure_is_old_when_its_data_has_changed(tmp_path: Path) -> None:
    data = {'docs/figures/data/a.json': '{}', 'docs/figures/data/b.json': '{}'}
    project(tmp_path, {**FILES, **data})
    render(tmp_path, execute=True)
    folder = tmp_path / 'docs' / 'figures' / 'data'
    (folder / 'b.json').write_text('[]')
    assert render(tmp_path, execute=False)[1] == []
    (folder / 'a.json').write_text('[]')
    _, problems = render(tmp_path, execute=False)
    assert problems == ['figure a.py::plot is older than its source: build with --execute']


@pytest.mark.parametrize(
    ('target', 'message'),
    [
        ('a.py::broken', 'RuntimeError: no ink'),
        ('a.py::nothing', 'gave no SVG'),
        ('a.py::none', "no attribute 'none'"),
        ('b.py::plot', 'no such figure'),
        ('../../pkg/lib.py::colour', 'no such figure'),
        ('a.py', 'no such figure'),
    ],
)
def test_figures_that_fail(tmp_path: Path, target: str, message: str) -> None:
    project(tmp_path, {**FILES, 'src/page.py': f'# ![A](figure:{target})\nx = 1\n'})
    with pytest.raises(Mistakes, match=rf'page\.py:1:8: error: .*{message}'):
        render(tmp_path, execute=True)


def test_building_never_imports_the_sources(tmp_path: Path) -> None:
    source = 'open("ran", "w")\nraise SystemExit("ran")\n'
    project(tmp_path, {'src/page.py': source, 'src/__init__.py': source})
    assert main(['build', str(tmp_path / 'src'), '-o', str(tmp_path / 'out')]) == 0
    assert not list(tmp_path.rglob('ran'))


# ## What they say
PLOT = r"""
from matplotlib.figure import Figure

def plot(theme):
    made = Figure(figsize=(3, 2))
    axes = made.subplots()
    axes.plot([1, 2], label='a bound < 2')
    axes.set(xlabel='step t\nof all', ylabel=r'$\hat x_0$')
    axes.legend()
    return made
"""
SAYS = """
def plot(theme):
    words = '<text>a &lt; b, both</text><text>7 of 1,000</text><text>t = 7</text>'
    return f'<svg xmlns="http://www.w3.org/2000/svg">{words}</svg>'

def other(theme):
    return '<svg xmlns="http://www.w3.org/2000/svg"><text>not translated</text></svg>'
"""


def test_words_are_text_and_formulas_are_drawn(tmp_path: Path) -> None:
    project(tmp_path, {**FILES, 'docs/figures/a.py': PLOT})
    files, _ = render(tmp_path, execute=True)
    drawn = tmp_path / 'docs' / 'figures' / 'drawn' / 'a.plot.light.svg'
    assert set(labels(drawn)) == {'step t', 'of all', 'a bound < {1}'}
    svg = files['assets/figures/a.plot.light.svg'].decode()
    found = re.findall(r'<text style="([^"]*)"[^>]*>(?:step t|of all)<', svg)
    # Where it is anchored a longer word stays in the middle
    assert [style.rpartition('; ')[2] for style in found] == ['text-anchor: middle'] * 2
    assert 'DejaVu' not in re.sub(r'<(defs|path|use)[^>]*>', '', svg)


def test_a_drawing_speaks_the_language_of_its_page(tmp_path: Path) -> None:
    source = '# ![A plot](figure:a.py::plot) ![Another](figure:a.py::other)\nx = 1\n'
    config = '[tool.pylit]\nlanguages = ["zh"]\n'
    said = 'msgid ""\nmsgstr ""\n\nmsgid "a < b, both"\nmsgstr "甲 < 乙"\n'
    said += '\nmsgid "{1} of {2}"\nmsgstr "共{2}，第{1}"\n'
    more = {'docs/figures/a.py': SAYS, 'pyproject.toml': config, 'docs/locale/zh.po': said}
    project(tmp_path, {**FILES, **more, 'src/page.py': source})
    files, _ = render(tmp_path, execute=True)
    for theme in ('light', 'dark'):
        name = f'assets/figures/a.plot.{theme}.svg'
        assert f'src="{name}"'.encode() in files['page.html']
        # Seen from zh/page.html
        assert f'src="{name}"'.encode() in files['zh/page.html']
        assert (
            '<text>a &lt; b, both</text><text>7 of 1,000</text><text>t = 7</text>'
            in files[name].decode()
        )
        svg = files[f'zh/{name}'].decode()
        assert '<text>甲 &lt; 乙</text><text>共1,000，第7</text><text>t = 7</text>' in svg
        assert '<svg xml:lang="zh" ' in svg
        # What would be the same is there once
        assert f'zh/assets/figures/a.other.{theme}.svg' not in files
        assert f'src="../assets/figures/a.other.{theme}.svg"'.encode() in files['zh/page.html']
    made = site(tmp_path, 'src')
    made.read()
    assert made.file('zh/assets/figures/a.plot.dark.svg') == files[name.join(['zh/', ''])]
    made.close()
    assert texts(made.config) == ['not translated', 'a < b, both', '{1} of {2}']


def test_labels_are_messages_of_the_catalogue(tmp_path: Path) -> None:
    project(tmp_path, {**FILES, 'docs/figures/a.py': SAYS})
    render(tmp_path, execute=True)
    assert main(['gettext', str(tmp_path / 'src'), '--pot']) == 0
    pot = (tmp_path / 'docs' / 'locale' / 'messages.pot').read_text('utf-8')
    assert 'msgid "a < b, both"' in pot
    assert 'msgid "t = 7"' not in pot


# ## Their room on the page
SVG = '<svg xmlns="http://www.w3.org/2000/svg"{}/>'
SIZES = [
    (' width="504pt" height="252pt" viewBox="0 0 504 252"', (672, 336)),
    (' width="40" height="30px"', (40, 30)),
    (' viewBox="0 0 30 10"', (30, 10)),
    (' width="60" viewBox="0,0,30,10"', (60, 20)),
    (' width="100%" height="5cm" viewBox="0 0 30 10"', (567, 189)),
    ('', None),
    (' width="100%"', None),
    (' width="0" height="0"', None),
]


@pytest.mark.parametrize(('said', 'expected'), SIZES)
def test_the_size_of_an_svg(tmp_path: Path, said: str, expected: tuple[int, int] | None) -> None:
    path = tmp_path / 'a.svg'
    path.write_text(SVG.format(said))
    assert size(path) == expected


@pytest.mark.parametrize('kind', ['png', 'jpg', 'gif', 'webp'])
def test_the_size_of_a_photograph(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f'a.{kind}'
    Image.new('RGB', (30, 20)).save(path)
    assert size(path) == (30, 20)
    # It is seen anew when the file has changed, and a file may be no picture at all
    path.write_text('nothing')
    assert size(path) is None
    assert size(tmp_path / 'none') is None


def test_a_photograph_is_turned_as_browsers_turn_it(tmp_path: Path) -> None:
    about = Image.Exif()
    about[0x0112] = 6
    Image.new('RGB', (30, 20)).save(tmp_path / 'a.jpg', exif=about)
    assert size(tmp_path / 'a.jpg') == (20, 30)


PICTURES = [
    ('![A](a.png)', 'width="30" height="20"'),
    ('<img src="a.png" alt="A">', 'width="30" height="20"'),
    ('<img src="a.png" alt="A" width="300">', 'width="300" height="200"'),
    ('<img src="a.png" alt="A" height="10">', 'height="10" width="15"'),
    ('<img src="a.png" alt="A" width="5" height="5">', 'width="5" height="5"'),
    ('<img src="a.png" alt="A" width="50%">', 'width="50%" style="aspect-ratio:30 / 20"'),
]


@pytest.mark.parametrize(('written', 'shown'), PICTURES)
def test_every_picture_has_its_size(tmp_path: Path, written: str, shown: str) -> None:
    project(tmp_path, {'pyproject.toml': '[tool.pylit]\n', 'src/page.py': f'# {written}\nx = 1\n'})
    Image.new('RGB', (30, 20)).save(tmp_path / 'src' / 'a.png')
    files, problems = render(tmp_path, execute=False)
    assert shown in files['page.html'].decode()
    assert problems == []


def test_a_picture_has_one_beside_it_for_dark_pages(tmp_path: Path) -> None:
    page = {'pyproject.toml': '[tool.pylit]\n', 'src/page.py': '# ![A](a.png)\nx = 1\n'}
    project(tmp_path, page)
    day, night = (tmp_path / 'src' / name for name in ('a.png', 'a.dark.png'))
    Image.new('RGB', (30, 20)).save(day)

    def shown() -> list[str]:
        files, problems = render(tmp_path, execute=False)
        assert problems == []
        assert ('assets/files/a.dark.png' in files) == night.exists()
        return re.findall(r'<img [^>]*>', files['page.html'].decode())

    (alone,) = shown()
    assert 'by-' not in alone
    Image.new('RGB', (30, 20), 'red').save(night)
    light, dark = shown()
    assert 'src="assets/files/a.png"' in light
    assert 'by-day' in light
    assert 'src="assets/files/a.dark.png"' in dark
    assert 'by-night' in dark
    assert all('alt="A"' in img and 'width="30" height="20"' in img for img in (light, dark))
    night.unlink()
    assert shown() == [alone]


@pytest.mark.parametrize('kind', ['png', 'svg'])
def test_a_picture_for_dark_pages_that_does_not_fit_is_told(tmp_path: Path, kind: str) -> None:
    text = f'# ![A](a.{kind})\nx = 1\n'
    project(tmp_path, {'pyproject.toml': '[tool.pylit]\n', 'src/page.py': text})
    source = tmp_path / 'src'
    if kind == 'png':
        Image.new('RGB', (30, 20)).save(source / 'a.png')
        Image.new('RGB', (20, 30)).save(source / 'a.dark.png')
    else:
        (source / 'a.svg').write_text(SVG.format(''))
        runs = SVG.format('').replace('/>', '><script>1</script></svg>')
        (source / 'a.dark.svg').write_text(runs)
    with pytest.raises(Mistakes, match=rf'page\.py:1:8: error: a\.dark\.{kind}: '):
        render(tmp_path, execute=False)


def test_a_figure_has_its_size(tmp_path: Path) -> None:
    drawn = DRAW.replace('2000/svg"', '2000/svg" width="30" height="20"')
    project(tmp_path, {**FILES, 'docs/figures/a.py': drawn})
    page = render(tmp_path, execute=True)[0]['page.html'].decode()
    assert page.count('width="30" height="20"') == 2


# ## Lighter
def test_what_is_lighter_looks_the_same() -> None:
    dot = '<use xlink:href="#m02fcc1a7dc" x="1.234567" y="2" style="fill: red"/>'
    svg = (
        '<svg><path id="m02fcc1a7dc" d="M 0 -0.6123456 \nL 1 1"/><text>0.123456</text>'
        f'<g transform="translate(10.123456 2) scale(0.095123 -0.1)"/>\n  {dot}\n  {dot}</svg>'
    )
    assert lighter(svg) == (
        '<svg><path id="m0" d="M 0 -0.61 L 1 1"/><text>0.123456</text>'
        '<g transform="translate(10.12 2) scale(0.095123 -0.1)"/>\n<g style="fill: red">'
        + 2 * '\n<use xlink:href="#m0" x="1.23" y="2"/>'
        + '\n</g></svg>'
    )
    # What fades by itself is not faded together with others
    faded = svg.replace('fill: red', 'opacity: 0.5')
    assert lighter(faded).count('opacity: 0.5') == 2


def test_our_figures_are_light() -> None:
    drawn = list((ROOT / 'docs' / 'figures' / 'drawn').glob('*.svg'))
    assert len(drawn) >= 40
    heavy = [path.name for path in drawn if len(gzip.compress(path.read_bytes())) > 60_000]
    assert heavy == []
