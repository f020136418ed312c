r"""
# Quantities: whether code has what its note speaks of

A comment says $\alpha_t$ and the line below gathers `alpha_bar`. One of the two is wrong, nothing
fails, and a reader believes the prose. The glossary knows both names, so we can tell.

What makes this hard is that notes are more general than code, and rightly so. These rules keep
silent where a note is right:

1. A docstring announces what comes further down or in another place; only **comments** are asked.
2. A paragraph that **begins** with its formula says what the code below computes. A formula in the
   middle of a sentence gives a reason, and reasons may speak of anything. There we only listen for
   a *mix-up*: the code has another quantity of the same letter that the note does not mention.
3. Display formulas are derivations, and derive more than one line of code.
4. Code has a quantity if the function around it names it, or calls a function that does, however
   far down.
5. What stands left of `=` or $\sim$ is what the result is called on paper. The code may call it
   `mean`, but not by the name of another quantity.
6. Who squares `sigma` has $\sigma^2$.

What is left can be answered in the code: `# pylit: no-symbols`.
"""

from __future__ import annotations

import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from . import prose
from .page import Page, Row
from .parse import Definition
from .problems import Problems
from .symbols import Glossary, nucleus

SILENCE = 'pylit: no-symbols'
# Formulas that a paragraph begins with, with nothing but punctuation between them
LEADING = re.compile(rf'(?:[^\w{prose.OPEN}]*{prose.OPEN}\d+{prose.CLOSE})+')
RELATION = re.compile(r':?=|\\(?:sim|approx|propto|leftarrow|gets|coloneqq|to|mapsto)(?![a-zA-Z])')


def check(page: Page, reach: CallGraph, problems: Problems) -> None:
    """Warn about every quantity of a note that its code does not have."""
    for row in page.rows if page.module and page.glossary.symbols else ():
        if row.kind == 'pair':
            _Row(page, row, reach).check(problems)


# ## What code has
#
# `alpha_bar` is in `self.alpha_bar` and in `alpha_bar_prev`. But `alpha` is not in `alpha_bar`:
# the longer name is another quantity.
def quantities(name: str, glossary: Glossary) -> set[str]:
    """The keys of the quantities that a name in code stands for."""
    words = name.split('_')
    spans = [
        (i, j, glossary.by_name['_'.join(words[i:j])])
        for i in range(len(words))
        for j in range(i + 1, len(words) + 1)
        if '_'.join(words[i:j]) in glossary.by_name
    ]
    return {
        key for i, j, key in spans
        if not any(a <= i and j <= b and (a, b) != (i, j) for a, b, _ in spans)
    }  # fmt: skip


@dataclass
class Code:
    """The quantities that some lines name, those they assign to, and the functions they call."""

    has: set[str] = field(default_factory=set)
    # By their first names: `mean` may be the mean of anything, and contradicts no note
    firm: set[str] = field(default_factory=set)
    sets: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)


def read(page: Page, lines: Iterable[range]) -> Code:
    """What the tokens of some lines say; comments and longer strings say nothing."""
    assert page.module
    wanted = sorted({number for span in lines for number in span})
    found, pending = Code(), set[str]()
    tokens = [t for number in wanted for t in page.module.tokens_of.get(number, ())]
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        text = token.string
        if token.type == tokenize.STRING and text.strip('\'"').isidentifier():
            found.has |= quantities(text.strip('\'"'), page.glossary)
        elif token.type == tokenize.NAME:
            named = quantities(text, page.glossary)
            found.has |= named
            firm = {k for k in named if page.glossary.symbols[k].names[0] in text}
            found.firm |= firm
            pending |= firm
            if after and after.string == '(':
                found.calls.add(text)
        elif text == '=' or token.type == tokenize.NEWLINE:
            found.sets |= {k for k in pending if text == '='}
            pending = set()
        elif text in ('(', '['):
            pending = set()  # a keyword argument, or an element, is no variable
    return found


def reached(page: Page) -> dict[str, list[list[list[str]]]]:
    """Of each function of a page, by its last name, which quantities it has and what it calls."""
    found: dict[str, list[list[list[str]]]] = {}
    listed = page.module.definitions if page.module and page.glossary.symbols else ()
    for definition in listed:
        if definition.kind == 'function':
            code = read(page, [_span(definition)])
            said = [sorted(code.has), sorted(code.calls)]
            found.setdefault(definition.name.rpartition('.')[2], []).append(said)
    return found


class CallGraph:
    """What the functions of a project have, and what they have through those they call."""

    def __init__(self, pages: Iterable[Mapping[str, Sequence[Sequence[Sequence[str]]]]]):
        self.known: dict[str, list[Code]] = {}
        for page in pages:
            for name, codes in page.items():
                found = [Code(has=set(has), calls=set(calls)) for has, calls in codes]
                self.known.setdefault(name, []).extend(found)

    def has(self, code: Code) -> set[str]:
        """A call is known by its last name: `model.loss` may be any `loss` of the project."""
        found, seen = set(code.has), set(code.calls)
        waiting = list(seen)
        while waiting:
            for called in self.known.get(waiting.pop(), ()):
                found |= called.has
                waiting += called.calls - seen
                seen |= called.calls
        return found


def _span(definition: Definition) -> range:
    return range(definition.start, definition.end + 1)


# ## What a note speaks of
@dataclass
class _Row:
    page: Page
    row: Row
    calls_of: CallGraph

    def check(self, problems: Problems) -> None:
        shown = [line for i in self.row.sections for line in self.page.sections[i].code]
        spans = [range(line.number, line.number + 1) for line in shown]
        around = [_span(d) for d in self._around()]
        formulas = list(self._formulas())
        silent = any(SILENCE in line.text for line in shown)
        if silent or all(formula.display for formula, _ in formulas):
            return
        # What joined the row because there was room is not what the note stands on
        below = self.page.sections[self.row.sections[0]].code
        here = read(self.page, [range(line.number, line.number + 1) for line in below])
        has = self.calls_of.has(read(self.page, [*spans, *around]))
        spoken = {key for formula, _ in formulas for key in self._find(formula.tex)}
        for formula, leads in formulas:
            if formula.display:
                continue
            left, right = _sides(formula.tex) if leads else ('', formula.tex)
            for key in sorted(self._find(formula.tex)):
                # Below the note there is another quantity of the letter, and nobody speaks of it
                rivals = self._rivals(key, here.firm) - spoken if key not in here.has else set()
                if key in self._find(left):
                    rivals |= (here.sets - spoken) if key not in has else set()
                elif leads and not rivals and not self._covered(key, has):
                    self._say(formula, key, '', problems)
                if rivals:
                    self._say(formula, key, f' but {" and ".join(sorted(rivals))}', problems)

    def _around(self) -> list[Definition]:
        name = self.row.name or self.page.sections[self.row.sections[0]].scope
        assert self.page.module
        return self.page.module.by_name.get(name, [])

    def _find(self, tex: str) -> set[str]:
        return self.page.glossary.find(tex)

    def _formulas(self) -> Iterator[tuple[prose.Formula, bool]]:
        """The formulas of comments, and whether their paragraphs begin with them."""
        note = self.page.notes[self.row.sections[0]]
        assert self.page.module
        documented = self.page.module.documented
        for token in note.tokens:
            if token.type != 'inline':
                continue
            leading = LEADING.match(token.content)
            ahead = prose.MARK.findall(leading[0]) if leading else []
            for number in prose.MARK.findall(token.content):
                formula = note.formulas[int(number)]
                if formula.places[0][0] not in documented:
                    yield formula, number in ahead

    def _covered(self, key: str, has: set[str]) -> bool:
        return key in has or any(other in has for other in self._same(key))

    def _same(self, key: str) -> set[str]:
        r"""Entries with the same nucleus and more or fewer scripts: `\sigma` and `\sigma^2`."""
        symbols = self.page.glossary.symbols
        return {
            other for other, symbol in symbols.items()
            if any(a.startswith(b) or b.startswith(a) for a in symbols[key].tex for b in symbol.tex)
        }  # fmt: skip

    def _rivals(self, key: str, has: set[str]) -> set[str]:
        """Other quantities of the same letter that the code has: what `key` is mixed up with."""
        symbols = self.page.glossary.symbols
        letters = {nucleus(tex) for tex in symbols[key].tex}
        return {
            other for other in has & set(symbols) - self._same(key)
            if letters & {nucleus(tex) for tex in symbols[other].tex}
        }  # fmt: skip

    def _say(self, formula: prose.Formula, key: str, but: str, problems: Problems) -> None:
        where, excerpt = self.page.spot(*formula.at(0))
        names = ' or '.join(self.page.glossary.symbols[key].names)
        said = f'the note speaks of {key}, its code has no {names}{but}'
        problems.warning(where, said, excerpt)


def _sides(tex: str) -> tuple[str, str]:
    found = RELATION.search(tex)
    return (tex[: found.start()], tex[found.end() :]) if found else ('', tex)
