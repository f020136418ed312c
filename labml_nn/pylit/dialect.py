r"""
# Dialect

CommonMark with tables, and what readers of GitHub, MkDocs and Sphinx expect to work: footnotes,
admonitions, task lists, addresses that are links by themselves. The rules come with
[markdown-it-py](https://markdown-it-py.readthedocs.io) and
[its plug-ins](https://mdit-py-plugins.readthedocs.io). What is here brings their results into one
form, so that [prose](prose.py) writes one kind of admonition and not three.

| written | known from |
|---|---|
| `> [!NOTE]` | GitHub |
| `!!! note "Title"`, folded `??? note` | MkDocs |
| `:::{note} Title` … `:::` | MyST |
| `.. note::` in a docstring | [Sphinx](fields.py) |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from mdit_py_plugins.admon import admon_plugin
from mdit_py_plugins.container import container_plugin
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.gfm_autolink import gfm_autolink_plugin

from . import bibliography, references

# ## Kinds of admonitions
#
# The name an author may write → the title that a reader sees, which is translated.
TITLES = {
    'note': 'Note',
    **dict.fromkeys(('abstract', 'summary', 'tldr'), 'Summary'),
    'info': 'Info',
    'todo': 'To do',
    **dict.fromkeys(('tip', 'hint'), 'Tip'),
    'important': 'Important',
    **dict.fromkeys(('success', 'check', 'done'), 'Done'),
    **dict.fromkeys(('question', 'help', 'faq'), 'Question'),
    **dict.fromkeys(('warning', 'attention'), 'Warning'),
    'caution': 'Caution',
    **dict.fromkeys(('failure', 'fail', 'missing'), 'Failure'),
    'danger': 'Danger',
    'error': 'Error',
    'bug': 'Bug',
    'example': 'Example',
    **dict.fromkeys(('quote', 'cite'), 'Quotation'),
    'seealso': 'See also',
    **dict.fromkeys(('details', 'dropdown'), 'Details'),
}
# What has a colour of its own; the others have that of a note
COLOURS = {
    **dict.fromkeys(('Tip', 'Done'), 'tip'),
    **dict.fromkeys(('Warning', 'Caution'), 'warning'),
    **dict.fromkeys(('Failure', 'Danger', 'Error', 'Bug'), 'danger'),
}
# What GitHub knows
ALERTS = ('NOTE', 'TIP', 'IMPORTANT', 'WARNING', 'CAUTION')
FOLDED = ('details', 'dropdown')


def colour(kind: str) -> str:
    return COLOURS.get(TITLES.get(kind, ''), '')


# ## A session of Python
PROMPT = '>>>'


def _session(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    """A block from a prompt to the next blank line: a session, not three quotations."""
    start = state.bMarks[first] + state.tShift[first]
    if not re.match(r'>>>(?: |\n|$)', state.src[start : start + 4]):
        return False
    if silent:
        return True
    end = first + 1
    while end < last and not state.isEmpty(end) and state.sCount[end] >= state.blkIndent:
        end += 1
    token = state.push('fence', 'code', 0)
    token.info, token.markup, token.map = 'pycon', PROMPT, [first, end]
    token.content = state.getLines(first, end, state.sCount[first], True)
    state.line = end
    return True


# ## One form for all admonitions
#
# An `admonition_open` whose `meta` says what kind it is, and whether it is folded; where the author
# has given a title, an `admonition_title_open` with the words of the title follows.
CONTAINER = re.compile(r'\s*\{?\s*([A-Za-z][\w-]*)\s*\}?\s*(?:\[(.*)\]|(.*?))\s*$')
# A field of a directive, between its name and its text
FIELD = re.compile(r':([\w-]+):[ \t]*(.*)')


def _is_directive(params: str, _markup: str) -> bool:
    return CONTAINER.match(params) is not None


def _admonitions(state: StateCore) -> None:
    """Between the blocks and what stands in them, so that a title may have formulas and code."""
    out: list[Token] = []
    tokens = state.tokens
    i = 0
    while i < len(tokens):
        token = tokens[i]
        if token.type == 'admonition_open':
            i += _of_mkdocs(token, tokens[i + 1 : i + 2])
        elif token.type == 'container_admonition_open':
            title = _of_myst(token)
            i += _options(token, tokens[i + 1 : i + 4])
            out += [token, *_title(token, title)]
            i += 1
            continue
        elif token.type == 'alert_open':
            token.type, token.meta = 'admonition_open', {'kind': token.info.lower(), 'folded': ''}
            i += 3  # the title that it was given is in English
        elif token.type in ('alert_close', 'container_admonition_close'):
            token.type = 'admonition_close'
        out.append(token)
        i += 1
    state.tokens = out


def _of_mkdocs(token: Token, title: Sequence[Token]) -> int:
    """`!!! note "Title"`. Gives how many tokens to leave out: those of a title by default."""
    kind = str(token.meta['tag'])
    folded = {'???': 'closed', '???+': 'open'}.get(token.markup, '')
    token.meta = {'kind': kind, 'folded': folded}
    by_default = bool(title) and token.content == kind.title() and '"' not in token.info
    return 3 if by_default else 0


def _of_myst(token: Token) -> str:
    """`:::{note} Title`. Gives the title."""
    found = CONTAINER.match(token.info)
    assert found
    kind = found[1].lower()
    token.type = 'admonition_open'
    token.meta = {'kind': kind, 'folded': 'closed' if kind in FOLDED else ''}
    return (found[2] or found[3] or '').strip()


def _options(token: Token, first: Sequence[Token]) -> int:
    """`:class: dropdown` below the name. Gives how many tokens to leave out."""
    lines = first[1].content.split('\n') if len(first) == 3 and first[1].type == 'inline' else []
    said = [FIELD.fullmatch(line.strip()) for line in lines]
    if not said or not all(said):
        return 0
    if any(s and s[1] == 'class' and 'dropdown' in s[2].split() for s in said):
        token.meta['folded'] = 'closed'
    return 3


def _title(token: Token, title: str) -> Iterator[Token]:
    if title:
        first = token.map[0] if token.map else 0
        place = [first, first + 1]
        yield Token('admonition_title_open', 'p', 1, map=place)
        yield Token('inline', '', 0, content=title, children=[], map=place)
        yield Token('admonition_title_close', 'p', -1)


# ## Footnotes
#
# Their texts are gathered at the end of the note that they are written in.
def _footnotes(state: StateCore) -> None:
    out: list[Token] = []
    below: list[Token] = []
    depth = 0
    for token in state.tokens:
        opens, closes = (token.type == f'footnote_reference_{end}' for end in ('open', 'close'))
        depth += opens
        (below if depth else out).append(token)
        depth -= closes
        if opens or closes:
            token.type = token.type.replace('_reference', '')
    if below:
        out += [
            Token('footnotes_open', '', 1),
            *_side_by_side(below),
            Token('footnotes_close', '', -1),
        ]
    state.tokens = out


def _side_by_side(tokens: Sequence[Token]) -> Iterator[Token]:
    """A footnote that was written inside another one stands before it."""
    inside: list[list[Token]] = []
    for token in tokens:
        if token.type == 'footnote_open':
            inside.append([])
        inside[-1].append(token)
        if token.type == 'footnote_close':
            yield from inside.pop()


# ## Addresses that are links by themselves
#
# An address ends where its letters end: Chinese and Japanese go on without a space, and in
# `https://…/page` there is no address at all.
ADDRESS = re.compile(r'(?:https?://|www\.)(?:[\w-]+(?:\.[\w-]+)+|localhost)\S*|[^\s:/]+@\S+', re.A)
BARE = ('gfm_autolink_www', 'gfm_autolink_protocol', 'gfm_autolink_email')
Rule = Callable[[StateInline, bool], bool]


def _bare(rule: Rule) -> Rule:
    def ours(state: StateInline, silent: bool) -> bool:
        found = rule(state, silent)
        if found and not silent:
            _cut(state)
        return found

    return ours


def _cut(state: StateInline) -> None:
    """Shorten the link that was just made, or take it back."""
    opening, inside = state.tokens[-3:-1]
    text, end = inside.content, len(inside.content)
    foreign = re.search(r'[^\x21-\x7e]', text)
    if foreign:
        end = len(text[: foreign.start()].rstrip('?!.,:*_~\'"()'))
    if not ADDRESS.fullmatch(text[:end].removeprefix('mailto:')):
        del state.tokens[-3:]
        # What follows is read as text that is no address
        state.pending = text
    elif end < len(text):
        state.pos -= len(text) - end
        inside.content = text[:end]
        # What was put before it, as `http://` before `www.`
        lead = '' if re.match(r'https?:|mailto:', text) else str(opening.attrs['href'])[:7]
        opening.attrs['href'] = state.md.normalizeLink(lead + text[:end])


def markdown() -> MarkdownIt:
    # HTML is recognised so that what is harmless in it can be rendered
    md = MarkdownIt(
        'commonmark', {'html': True, 'typographer': True, 'tasklists': True, 'alerts': True}
    )
    md.enable(['table', 'strikethrough', 'smartquotes'])
    md.block.ruler.before(
        'code', 'session', _session, {'alt': ['paragraph', 'reference', 'blockquote', 'list']}
    )
    references.install(md)
    bibliography.install(md)
    md.use(admon_plugin)
    md.use(container_plugin, 'admonition', validate=_is_directive)
    # A reference is one wherever its text stands: in another note of the page, or nowhere
    md.use(footnote_plugin, inline=False, move_to_end=False, always_match_refs=True)
    md.use(gfm_autolink_plugin)
    # An address is shown as it was written, so that it can be cut where it was
    md.normalizeLinkText = str  # type: ignore[method-assign, assignment]
    for name in BARE:
        rule = next(r.fn for r in md.inline.ruler.__rules__ if r.name == name)
        md.inline.ruler.at(name, _bare(rule))
    md.core.ruler.after('block', 'admonitions', _admonitions)
    md.core.ruler.push('footnotes', _footnotes)
    # Everything is an address here, because a refused one is silently shown as text otherwise
    md.validateLink = lambda url: True  # type: ignore[method-assign]
    return md


MARKDOWN = markdown()
