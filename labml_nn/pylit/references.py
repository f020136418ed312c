r"""
# References: what is called by its number

An equation that carries a `\label` gets a number, in the order of its page, and nothing else does.
`\eqref` leads to it, from prose and from other equations:

```latex
$$q(x_t|x_0) = \mathcal N\big(x_t;\ \sqrt{\bar\alpha_t}\,x_0,\ (1-\bar\alpha_t)\mathbf I\big)
  \label{eq:closed-form}$$

By \eqref{eq:closed-form} one draw is enough.
```

A label belongs to its page. One of another page is found if no more than one page has it, and is
then called with the title of that page
[tested](test:pylit/test_references.py::test_an_equation_of_another_page_is_called_with_its_title).
An author's own `\tag` is the number of its equation.

A picture that stands by itself and has a title is a figure: the title is its caption, what is in
the square brackets is read aloud. `[](#fig:loss)` leads there, and is called by its number:

```markdown
![The loss against the step, falling](loss.png "What is left to learn"){#fig:loss}
```
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline

LABEL = re.compile(r'\\label\s*\{([^{}]*)\}')
REFERENCE = re.compile(r'\\eqref\s*\{([^{}]*)\}')
TAG = re.compile(r'\\tag\*?\s*\{([^{}]*)\}')
NAME = re.compile(r'[A-Za-z][\w:.-]*')
# What KaTeX sets in the place of a number that is known when the page is written
UNKNOWN = '(00)'


@dataclass(frozen=True)
class Numbered:
    """An equation or a figure that has a number, and the line where it stands."""

    kind: str
    number: str
    line: int


def anchor_of(label: str) -> str:
    """The address of an equation: its label, as most authors write it, begins with `eq:`."""
    return label if label.startswith('eq:') else f'eq:{label}'


# ## Equations
def labels(tex: str) -> list[tuple[str, int]]:
    """The labels of a formula, and where each stands."""
    return [(m[1].strip(), m.start()) for m in LABEL.finditer(tex)]


def referred(tex: str) -> list[tuple[str, int]]:
    r"""What the formula refers to by `\eqref`, and where."""
    return [(m[1].strip(), m.start()) for m in REFERENCE.finditer(tex)]


def is_one(tex: str) -> bool:
    """Whether it is one equation with one number, and not rows that have their own."""
    return len(labels(tex)) == 1 and len(tags(tex)) <= 1


def tags(tex: str) -> list[str]:
    """The numbers that an author has given."""
    return [m[1].strip() for m in TAG.finditer(tex)]


def for_katex(tex: str, numbers: Sequence[str] = ()) -> str:
    """A formula without labels, which KaTeX does not know, and with a place for each reference.

    Of several rows each has its own number; the number of a single equation is the page's to set.
    """
    given = iter(() if is_one(tex) or TAG.search(tex) else numbers)

    def blank(found: re.Match[str]) -> str:
        # A mistake behind it is still found in its place
        return ' ' * len(found[0])

    def tag(found: re.Match[str]) -> str:
        number = next(given, '')
        return rf'\tag{{{number}}}' if number else blank(found)

    if is_one(tex):
        tex = TAG.sub(blank, tex)
    places = count()
    tex = LABEL.sub(tag, tex)
    return REFERENCE.sub(lambda _: rf'\htmlData{{ref={next(places)}}}{{\text{{{UNKNOWN}}}}}', tex)


# ## Figures
ID = re.compile(r'\s*\{#([A-Za-z][\w:.-]*)\}\s*')


def _figures(state: StateCore) -> None:
    """Mark the paragraphs that are nothing but a picture with a title."""
    for opening, inside, closing in zip(
        state.tokens, state.tokens[1:], state.tokens[2:], strict=False
    ):
        if opening.type != 'paragraph_open' or opening.hidden or not inside.children:
            continue
        picture, *more = inside.children
        name = ID.fullmatch(more[0].content) if len(more) == 1 else None
        if picture.type == 'image' and picture.attrs.get('title') and (name or not more):
            opening.tag = closing.tag = 'figure'
            inside.meta['figure'] = name[1] if name else ''


# ## In prose
def _equation(state: StateInline, silent: bool) -> bool:
    found = REFERENCE.match(state.src, state.pos)
    if not found or not NAME.fullmatch(found[1].strip()):
        return False
    if not silent:
        token = state.push('link_open', 'a', 1)
        token.attrs = {'href': f'eqref:{found[1].strip()}'}
        state.push('link_close', 'a', -1)
    state.pos = found.end()
    return True


def install(md: MarkdownIt) -> None:
    """Teach a parser of notes what a reference is."""
    md.inline.ruler.before('escape', 'equation', _equation)
    md.core.ruler.after('inline', 'figures', _figures)
