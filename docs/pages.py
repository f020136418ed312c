"""The lists of pages: of the home page, of README.md, and of the readme of the DDPM.

    python docs/pages.py

The order is that of `nav` and `appendix` in pyproject.toml, which the pages themselves follow. What
a page is called and what it has is said in its own front matter. The home page has the reading path
by its parts; of a page that is new there it gives the summary, and keeps what an author has written
in that place. The README has the pages to which the home page leads, the readme those of its
folder, and a page without a summary is in neither.
"""

import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from labml_nn.pylit.config import load
from labml_nn.pylit.page import Page, understand
from labml_nn.pylit.problems import Problems
from labml_nn.pylit.project import collect

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'labml_nn'
HOME = PACKAGE / '__init__.py'
README, DDPM = ROOT / 'README.md', PACKAGE / 'diffusion' / 'ddpm' / 'readme.md'
# From this heading to the next, or to the end
TABLE = re.compile(r'(?<=\n## The pages\n\n).*?(?=\n## |\Z)', re.DOTALL)
# From the first part of the path to what follows it
PATH = re.compile(r'(?<=\n)### .*?(?=\n## )', re.DOTALL)
STEP = re.compile(r'\d+\. \[([^]]*)\]\(([^)]*)\): (.*?)(?=\n\d+\. |\n\n|\Z)', re.DOTALL)


def pages() -> Iterator[Page]:
    """What stands on the pages, in reading order."""
    for source in collect([PACKAGE], load(ROOT)):
        yield understand(source, (), Problems())


def path(home: str, others: Sequence[Page]) -> str:
    """The reading path by its parts, as the home page lists it."""
    said = {
        url: (title, ' '.join(text.split()))
        for title, url, text in STEP.findall(PATH.search(home)[0])
    }
    by_name = {page.source.path.relative_to(ROOT).as_posix(): page for page in others}
    shown, number = [], 0
    for part in load(ROOT).nav:
        steps = [by_name[name] for name in part.pages if name in by_name]
        shown += [f'### {part.title}\n'] if steps else []
        for page in steps:
            number += 1
            url = page.source.url
            title, text = said.get(url, (page.title, page.front.get('summary', '')))
            first = f'{number}. '
            shown.append(
                textwrap.fill(
                    f'[{title}]({url}): {text}',
                    width=100,
                    initial_indent=first,
                    subsequent_indent=' ' * len(first),
                    break_long_words=False,
                    break_on_hyphens=False,
                )
            )
        shown += [''] if steps else []
    return '\n'.join(shown)


def filled() -> dict[Path, str]:
    """Each file that lists pages, with the list of today."""
    _, *others = pages()
    named = [page for page in others if page.front.get('summary')]
    texts = {file: file.read_text(encoding='utf-8') for file in (HOME, README, DDPM)}
    home = PATH.sub(lambda _: path(texts[HOME], others), texts[HOME], count=1)
    rows = [
        f'| [{page.title}]({page.source.path.relative_to(ROOT).as_posix()}) '
        f'| {page.front["summary"]} |\n'
        for page in named
        if f']({page.source.url})' in home
    ]
    why = '<!-- no-source: what the pages say of themselves -->\n'
    table = ''.join(['| page | what it has |\n', '|---|---|\n', *rows, why])
    points = ''.join(
        f'* [{page.title}]({page.source.path.name}): {page.front["summary"]}\n'
        for page in named
        if page.source.path.parent == DDPM.parent and page.source.path != DDPM
    )
    return {
        HOME: home,
        README: TABLE.sub(lambda _: table, texts[README]),
        DDPM: TABLE.sub(lambda _: points, texts[DDPM]),
    }


if __name__ == '__main__':
    for file, text in filled().items():
        file.write_text(text, encoding='utf-8')
        print(file)
