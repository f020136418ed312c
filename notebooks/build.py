"""Notebooks from their text form.

    python notebooks/build.py           write notebooks/*.ipynb
    python notebooks/build.py --badges  print the Colab badges for the README and the pages

The address of the repository is that of `[tool.pylit]` in pyproject.toml. Without one there are no
badges, and the notebooks install a release.
"""

import base64
import re
import sys
from pathlib import Path

import jupytext
import nbformat

from labml_nn.pylit.config import load

HERE = Path(__file__).parent
BADGE = 'https://colab.research.google.com/assets/colab-badge.svg'
COLAB = 'https://colab.research.google.com/github/'
# A picture of the text form, by a path from here
PICTURE = re.compile(r'(?<=\]\()\.\./[\w/]+\.png(?=[ )])')
# What the text form installs, and where a notebook says where it can be run
RELEASE = "SOURCE = 'labml-nn>=1.0.0.dev0'"


def badge(name: str) -> str:
    """The Colab badge of a notebook, as Markdown; nothing when the repository has no address."""
    config = load(HERE)
    if not config.repository.startswith('https://github.com/'):
        return ''
    place = config.repository.removeprefix('https://github.com/').removesuffix('/')
    target = f'{COLAB}{place}/blob/{config.revision or "main"}/notebooks/{name}.ipynb'
    return f'[![Open in Colab]({BADGE})]({target})'


def build(source: Path) -> str:
    """The notebook of a text form, without outputs and the same every time."""
    repository = load(HERE).repository
    text = source.read_text(encoding='utf-8')
    if repository:
        text = text.replace(RELEASE, f"SOURCE = 'labml-nn @ git+{repository}'")
    notebook = jupytext.reads(text, fmt='py:percent')
    if badge(source.stem):
        notebook.cells.insert(0, nbformat.v4.new_markdown_cell(badge(source.stem)))
    for number, cell in enumerate(notebook.cells):
        cell.id = f'cell-{number}'
        cell.metadata = {}
        attach(cell)
    kernel = {'display_name': 'Python 3', 'language': 'python', 'name': 'python3'}
    notebook.metadata = nbformat.from_dict({'kernelspec': kernel, 'accelerator': 'GPU'})
    nbformat.validate(notebook)
    return nbformat.writes(notebook, version=4) + '\n'


def attach(cell: nbformat.NotebookNode) -> None:
    """Put the pictures of a cell into it: a notebook on Colab has no files beside it."""

    def attached(found: re.Match[str]) -> str:
        path = HERE / found[0]
        data = base64.b64encode(path.read_bytes()).decode('ascii')
        cell.setdefault('attachments', {})[path.name] = {'image/png': data}
        return f'attachment:{path.name}'

    if cell.cell_type == 'markdown':
        cell.source = PICTURE.sub(attached, cell.source)


def main(*arguments: str) -> None:
    for source in sorted(HERE.glob('*.py')):
        if source.name == Path(__file__).name:
            continue
        if '--badges' in arguments:
            print(badge(source.stem) or 'no badge: set `repository` in [tool.pylit]')
        else:
            source.with_suffix('.ipynb').write_text(build(source), encoding='utf-8')
            print(source.with_suffix('.ipynb'))


if __name__ == '__main__':
    main(*sys.argv[1:])
