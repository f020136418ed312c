"""What the tests of the renderer share: small projects, and a way to render them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from labml_nn.pylit.config import load
from labml_nn.pylit.parse import Module, parse
from labml_nn.pylit.site import Request, Site

ROOT = Path(__file__).parents[2]


def shape(source: str) -> list[tuple[str, str]]:
    """Each section as (note, code), which is all that the splitting rules speak of."""
    return [
        ('\n'.join(p.text for p in s.prose).strip('\n'), '\n'.join(c.text for c in s.code))
        for s in split(source).sections
    ]


def split(source: str) -> Module:
    return parse(source, Path('page.py'))


def project(folder: Path, files: Mapping[str, str]) -> Path:
    """Write a project; without a `pyproject.toml` it gets an empty one, which ends the search."""
    for name, text in {'pyproject.toml': '', **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
    return folder


def site(folder: Path, *paths: str, junit: Path | None = None, execute: bool = False) -> Site:
    targets = [folder / p for p in paths] or [folder]
    return Site(Request(targets, load(folder), junit=[junit] if junit else [], execute=execute))


def render(folder: Path, *paths: str, junit: Path | None = None) -> dict[str, str]:
    """The text files of the site of a project, by address."""
    made = site(folder, *paths, junit=junit)
    try:
        files = made.render()
    finally:
        made.close()
    kinds = ('.html', '.js', '.xml')
    return {url: data.decode() for url, data in files.items() if url.endswith(kinds)}


def page(folder: Path, source: str) -> str:
    """The body of the page of one source."""
    project(folder, {'page.py': source})
    return render(folder, 'page.py')['page.html'].partition('<main')[2]
