r"""
# Directives

A comment that begins with `pylit:` speaks to the renderer. It stays out of the page.

| comment | what it does |
|---|---|
| `# pylit: fold` … `# pylit: end` | the code between them is folded under its first line |
| `# pylit: hl` … `# pylit: end` | the code between them stands out |
| `x = 1  # pylit: hl` | so does this line |
| `# pylit: no-symbols` | nobody asks this note for its [quantities](quantities.py) |

What is folded is not lost: it opens with a click, and by itself for a link to one of its lines. A
region that is never closed is a mistake, and folds nothing
[tested](test:pylit/test_authors.py::test_mistakes_in_directives_are_told_with_their_place).
"""

from __future__ import annotations

import difflib
import re
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass, field

KNOWN = ('fold', 'hl', 'end', 'no-symbols')
REGIONS = ('fold', 'hl')
DIRECTIVE = re.compile(r'#\s*pylit:\s*(.*?)\s*$')
# At the end of a line of code, as the highlighter leaves it
SHOWN = re.compile(r'\s*<span class="c">#\s*pylit:\s*hl\s*</span>\s*$')


def is_region(comment: str) -> bool:
    """Whether a line with nothing but this comment is for us alone, and not shown."""
    found = DIRECTIVE.match(comment)
    return found is not None and found[1] in (*REGIONS, 'end')


@dataclass
class Marks:
    """What the directives of a file say, by line."""

    marked: set[int] = field(default_factory=set)
    # The first and the last line that are folded together
    folds: list[tuple[int, int]] = field(default_factory=list)
    # (line, column, message) of what cannot be done
    mistakes: list[tuple[int, int, str]] = field(default_factory=list)

    def fold(self, line: int) -> tuple[int, int] | None:
        """The outermost fold around a line."""
        return next((f for f in self.folds if f[0] <= line <= f[1]), None)


def read(tokens: Iterable[tokenize.TokenInfo]) -> Marks:
    """Follow the directives of a file from the first to the last."""
    marks = Marks()
    opened: list[tuple[str, int, int]] = []
    for token in tokens:
        found = DIRECTIVE.match(token.string) if token.type == tokenize.COMMENT else None
        if not found:
            continue
        said, (line, column) = found[1], token.start
        alone = not token.line[:column].strip()
        if said not in KNOWN:
            near = difflib.get_close_matches(said, KNOWN, 1)
            meant = f'did you mean {near[0]!r}?' if near else f'there are {", ".join(KNOWN)}'
            marks.mistakes.append((line, column + 1, f'unknown directive {said!r}: {meant}'))
        elif said == 'hl' and not alone:
            marks.marked.add(line)
        elif said in REGIONS and alone:
            opened.append((said, line, column))
        elif said == 'end' and opened:
            _close(marks, *opened.pop()[:2], line)
        elif said != 'no-symbols':
            wrong = 'has nothing to close' if said == 'end' else 'needs a line of its own'
            marks.mistakes.append((line, column + 1, f'`pylit: {said}` {wrong}'))
    for said, line, column in opened:
        message = f'`pylit: {said}` is never closed: write `# pylit: end`'
        marks.mistakes.append((line, column + 1, message))
    marks.folds.sort()
    return marks


# How a region ends is folded on this page, by a directive above it and one below.
# pylit: fold
def _close(marks: Marks, said: str, first: int, last: int) -> None:
    if said == 'hl':
        marks.marked.update(range(first + 1, last))
    else:
        marks.folds.append((first + 1, last - 1))


# pylit: end
