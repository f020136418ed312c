"""What the tests of the renderer share."""

from __future__ import annotations

from pathlib import Path

from labml_nn.pylit.parse import Module, parse

ROOT = Path(__file__).parents[2]


def shape(source: str) -> list[tuple[str, str]]:
    """Each section as (note, code), which is all that the splitting rules speak of."""
    return [
        ('\n'.join(p.text for p in s.prose).strip('\n'), '\n'.join(c.text for c in s.code))
        for s in split(source).sections
    ]


def split(source: str) -> Module:
    return parse(source, Path('page.py'))
