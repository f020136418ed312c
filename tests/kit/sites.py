"""What the tests of the renderer share: small projects, and a way to render them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from labml_nn.pylit import claims
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


def site(folder: Path, *paths: str, execute: bool = False) -> Site:
    targets = [folder / p for p in paths] or [folder]
    return Site(Request(targets, load(folder), execute=execute))


def reported(
    folder: Path,
    tests: Mapping[str, Mapping[str, str]],
    *paths: str,
    recorded: Sequence[Mapping[str, object]] = (),
) -> Path:
    """A report of a run of these tests, case by case, of the sources as they are now."""
    config = load(folder)
    roots = claims.roots(config, [folder / p for p in paths] or [folder])
    said = {
        name: {'cases': dict(cases), 'seconds': 1.25, 'recorded': list(recorded)}
        for name, cases in tests.items()
    }
    versions = {'Python': '3.11.7', 'torch': '2.13.0', 'platform': 'Linux x86_64'}
    when = '2026-11-28T12:30:00+00:00'
    report = claims.Report(said, claims.sources(config, roots), roots, when, versions)
    claims.write_report(report, folder / claims.REPORT)
    return folder / claims.REPORT


def render(folder: Path, *paths: str) -> dict[str, str]:
    """The text files of the site of a project, by address."""
    made = site(folder, *paths)
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
