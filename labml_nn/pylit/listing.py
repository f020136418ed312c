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
from typing import Any

from markupsafe import Markup

from .directives import SHOWN, Marks
from .elements import fill
from .parse import Line, Output, Section

# How many lines of an output are shown before it is folded
LONG = 16


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
            pieces += _pieces(waiting, shown, names, marks)
            pieces += (_output(output, picture, say) for output in section.outputs)
            waiting = []
    pieces += _pieces(waiting, shown, names, marks)
    return fill('listing.html', pieces=pieces, indent=indent)


def _pieces(
    lines: Sequence[Line], shown: Mapping[int, str], names: Mapping[int, str], marks: Marks
) -> Iterator[dict[str, Any]]:
    for fold, group in groupby(lines, lambda line: marks.fold(line.number)):
        piece = list(group)
        while piece and not piece[0].text.strip():
            piece.pop(0)
        while piece and not piece[-1].text.strip():
            piece.pop()
        first = None
        if fold and len(piece) > 1:
            # What unfolds the rest leads nowhere else
            first = _line(piece, 0, shown, names, marks)
            without = re.sub(r'<(/?)a\b', r'<\1span', str(first['shown']))
            first['shown'] = Markup(re.sub(r' href="[^"]*"', '', without))
            piece = piece[1:]
        if piece:
            written = [_line(piece, i, shown, names, marks) for i in range(len(piece))]
            yield {'first': first, 'lines': written}


def _line(
    lines: Sequence[Line],
    i: int,
    shown: Mapping[int, str],
    names: Mapping[int, str],
    marks: Marks,
) -> dict[str, Any]:
    number = lines[i].number
    return {
        'number': number,
        'name': names.get(number, ''),
        'shown': Markup(SHOWN.sub('', shown[number])),
        'marked': number in marks.marked,
        # Where a docstring was taken out, and where a piece begins, the count jumps
        'jumps': not i or lines[i - 1].number != number - 1,
    }


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
