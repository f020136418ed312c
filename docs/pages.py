"""The tables of pages: of README.md, and of the readme of the DDPM.

    python docs/pages.py

The order is that of `nav` and `appendix` in pyproject.toml, which the pages themselves follow. What
a page is called and what it has is said in its own front matter. The README has the pages to which
the home page leads, the readme those of its folder, and a page without a summary is in neither.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from labml_nn.pylit.config import load
from labml_nn.pylit.page import Page, understand
from labml_nn.pylit.problems import Problems
from labml_nn.pylit.project import collect

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'labml_nn'
README, DDPM = ROOT / 'README.md', PACKAGE / 'diffusion' / 'ddpm' / 'readme.md'
# From this heading to the next, or to the end
TABLE = re.compile(r'(?<=\n## The pages\n\n).*?(?=\n## |\Z)', re.DOTALL)


def pages() -> Iterator[Page]:
    """What stands on the pages, in reading order."""
    for source in collect([PACKAGE], load(ROOT)):
        yield understand(source, (), Problems())


def tables() -> dict[Path, str]:
    """What each file with a table has to hold."""
    home, *others = pages()
    named = [page for page in others if page.front.get('summary')]
    rows = [
        f'| [{page.title}]({page.source.path.relative_to(ROOT).as_posix()}) '
        f'| {page.front["summary"]} |\n'
        for page in named
        if f']({page.source.url})' in home.text
    ]
    points = [
        f'* [{page.title}]({page.source.path.name}): {page.front["summary"]}\n'
        for page in named
        if page.source.path.parent == DDPM.parent and page.source.path != DDPM
    ]
    return {
        README: ''.join(['| page | what it has |\n', '|---|---|\n', *rows]),
        DDPM: ''.join(points),
    }


def filled() -> dict[Path, str]:
    """Those files, with the tables of today."""
    return {
        path: TABLE.sub(lambda _, table=table: table, path.read_text(encoding='utf-8'))
        for path, table in tables().items()
    }


if __name__ == '__main__':
    for path, text in filled().items():
        path.write_text(text, encoding='utf-8')
        print(path)
