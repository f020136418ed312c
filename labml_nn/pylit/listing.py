r"""
# Listing

The lines of one row, in one or several pieces: what an author has [folded](directives.py) is a
piece of its own, and so is what follows the [output](notebook.py) of a cell. Numbers are counted
by the style sheet, so that they are not copied with the code.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

from .directives import SHOWN, Marks
from .parse import Line, Output, Section

# How many lines of an output are shown before it is folded
LONG = 16


def write(
    sections: Sequence[Section],
    shown: Mapping[int, str],
    marks: Marks,
    picture: Callable[[Output], str],
    say: Callable[[str], str],
    indent: int = 0,
) -> str:
    """The HTML of a row's code, below one another; `shown` has that of each line.

    A phone does not show the `indent` that all lines share.
    """
    out: list[str] = []
    style = f' style="--in:{indent}"' if indent else ''
    waiting: list[Line] = []
    for section in sections:
        waiting += section.code
        if section.outputs:
            out += _pieces(waiting, shown, marks, style)
            out += _outputs(section.outputs, picture, say)
            waiting = []
    return ''.join([*out, *_pieces(waiting, shown, marks, style)])


def _pieces(
    lines: Sequence[Line], shown: Mapping[int, str], marks: Marks, style: str
) -> Iterator[str]:
    for fold, group in groupby(lines, lambda line: marks.fold(line.number)):
        piece = list(group)
        while piece and not piece[0].text.strip():
            piece.pop(0)
        while piece and not piece[-1].text.strip():
            piece.pop()
        if fold and len(piece) > 1:
            first = re.sub(r'<(/?)a\b', r'<\1span', _lines(piece[:1], shown, marks).rstrip())
            first = re.sub(r' href="[^"]*"', '', first)
            rest = f'<pre{style}><code>{_lines(piece[1:], shown, marks)}</code></pre>'
            first = f'<summary{style}><code>{first}</code></summary>'
            yield f'<details class="fold">{first}{rest}</details>\n'
        elif piece:
            yield f'<pre{style}><code>{_lines(piece, shown, marks)}</code></pre>\n'


def _lines(lines: Sequence[Line], shown: Mapping[int, str], marks: Marks) -> str:
    out = []
    for i, line in enumerate(lines):
        n = line.number
        before, inner = shown[n].partition('\0')[::2]
        css = 'l hl' if n in marks.marked else 'l'
        inner = SHOWN.sub('', inner)
        out.append(f'{before}<span class="{css}" id="L{n}"{_counted(lines, i)}>{inner}</span>\n')
    return ''.join(out)


def _counted(lines: Sequence[Line], i: int) -> str:
    # Where a docstring was taken out, and where a piece begins, the count jumps
    number = lines[i].number
    if i and lines[i - 1].number == number - 1:
        return ''
    return f' style="counter-set:n {number}"'


# ## Outputs of a notebook
def _outputs(
    outputs: Sequence[Output], picture: Callable[[Output], str], say: Callable[[str], str]
) -> Iterator[str]:
    for output in outputs:
        if output.picture:
            yield f'<div class="out">{picture(output)}</div>\n'
            continue
        lines = output.text.rstrip('\n').split('\n')
        text = f'<pre class="out">{html.escape(output.text, quote=False)}</pre>\n'
        if len(lines) > LONG:
            said = say('{n} lines of output').replace('{n}', str(len(lines)))
            text = f'<details class="out"><summary>{html.escape(said)}</summary>{text}</details>\n'
        yield text


TEXTS = ('Output', '{n} lines of output')
