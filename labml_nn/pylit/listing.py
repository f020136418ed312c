r"""
# Listing

The lines of one row, in one or several pieces: what an author has [folded](directives.py) is a
piece of its own, and so is what follows the [output](notebook.py) of a cell. Numbers are counted
by the style sheet, so that they are not copied with the code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from markupsafe import Markup

from .directives import SHOWN, Marks
from .elements import fill
from .highlight import BREAKS, unbroken
from .parse import Line, Output, Section

# How many lines of an output are shown before it is folded
LONG = 16
# The smallest phone shows so many letters of a line
NARROW = 32


def write(
    sections: Sequence[Section],
    shown: Mapping[int, str],
    names: Mapping[int, str],
    marks: Marks,
    picture: Callable[[Output], str],
    say: Callable[[str], str],
    indent: int = 0,
) -> str:
    """The HTML of a row's code, its pieces below one another.

    `shown` has the HTML of each line, `names` the anchors that stand before some. A phone does not
    show the `indent` that all lines share.
    """
    pieces: list[dict[str, Any]] = []
    waiting: list[Line] = []
    for section in sections:
        waiting += section.code
        if section.outputs:
            pieces += _pieces(waiting, shown, names, marks, indent)
            pieces += (_output(output, picture, say) for output in section.outputs)
            waiting = []
    pieces += _pieces(waiting, shown, names, marks, indent)
    return fill('listing.html', pieces=pieces, indent=indent)


def _pieces(
    lines: Sequence[Line],
    shown: Mapping[int, str],
    names: Mapping[int, str],
    marks: Marks,
    indent: int,
) -> Iterator[dict[str, Any]]:
    for fold, group in groupby(lines, lambda line: marks.fold(line.number)):
        piece = list(group)
        while piece and not piece[0].text.strip():
            piece.pop(0)
        while piece and not piece[-1].text.strip():
            piece.pop()
        first: list[Shown] = []
        if fold and len(piece) > 1:
            first = [_unlinked(one) for one in _lines(piece[:1], shown, names, marks, indent)]
            piece = piece[1:]
        if piece:
            yield {'first': first, 'lines': list(_lines(piece, shown, names, marks, indent))}


class Shown(NamedTuple):
    """A line as the template takes it; there are thousands."""

    number: int
    # An anchor that stands before it
    name: str
    html: Markup
    marked: bool
    # Where a docstring was taken out, and where a piece begins, the count jumps
    jumps: bool
    # How far what is broken off a long line is indented, in fours of blanks
    hang: int
    # So many letters, and it must not break behind them, as this would leave an empty line; or none
    held: int


def _lines(
    lines: Sequence[Line],
    shown: Mapping[int, str],
    names: Mapping[int, str],
    marks: Marks,
    indent: int,
) -> Iterator[Shown]:
    before = 0
    for line in lines:
        n = line.number
        text = line.text.expandtabs()
        long = len(text.rstrip()) - indent > BREAKS
        html = SHOWN.sub('', shown[n])
        html = Markup(unbroken(html) if long else html)
        jumps = n != before + 1 or not before
        hang = _hang(text, indent) if long else 0
        late = long and _begins_late(text, indent)
        held = len(html) - len(html.lstrip()) if late else -1
        yield Shown(n, names.get(n, ''), html, n in marks.marked, jumps, hang, held)
        before = n


def _begins_late(text: str, indent: int) -> bool:
    """Whether the first word of a line is too long for the room behind its indentation."""
    return len(text) - len(text.lstrip()) - indent + len(text.split(None, 1)[0]) > NARROW


def _hang(text: str, indent: int) -> int:
    own = len(text) - len(text.lstrip()) - indent
    return min(-(-own // 4), 6) if own > 0 else 0


def _unlinked(line: Shown) -> Shown:
    """What unfolds the rest leads nowhere else."""
    without = re.sub(r'<(/?)a\b', r'<\1span', str(line.html))
    return line._replace(html=Markup(re.sub(r' href="[^"]*"', '', without)))


# ## Outputs of a notebook
def _output(
    output: Output, picture: Callable[[Output], str], say: Callable[[str], str]
) -> dict[str, Any]:
    if output.picture:
        return {'picture': Markup(picture(output)), 'summary': '', 'text': ''}
    n = len(output.text.rstrip('\n').split('\n'))
    summary = say('{n} lines of output').replace('{n}', str(n)) if n > LONG else ''
    return {'picture': '', 'summary': summary, 'text': output.text}


TEXTS = ('Output', '{n} lines of output')
