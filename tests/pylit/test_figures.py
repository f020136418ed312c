"""Figures: drawn on request and only then, kept, and known to be old when they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from labml_nn.pylit.__main__ import main
from labml_nn.pylit.problems import Mistakes
from tests.kit.sites import project, site

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
