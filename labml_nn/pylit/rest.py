r"""
# reST in docstrings

Many docstrings are written for Sphinx: roles, directives and lists of fields. What has an
equivalent here is written as that, line by line, before [Markdown](prose.py) is read. All other
reST stays as it is, and comments and `.md` files are left alone
[tested](test:pylit/test_authors.py::test_docstrings_for_sphinx).

| in a docstring | becomes |
|---|---|
| `` :class:`~torch.Tensor` `` | `` `torch.Tensor` `` |
| `` :math:`x^2` `` | `$x^2$` |
| `` `a page <https://…>`_ `` | a link |
| `.. note:: …`, and the section `Note:` of Google | an [admonition](dialect.py) |
| `.. code-block:: python`, `.. math::` | a block |
| `:param x: …`, `:returns: …` | a list, as with [other fields](fields.py) |
| `Example::` | `Example:` and a block |
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

from .dialect import TITLES
from .fields import set_in
from .parse import Line

MATH = re.compile(r':math:`([^`]+)`')
ROLE = re.compile(r'(?<![\w`]):(?:py:)?[a-z]+:`~?([^`<]+?)(?:\s*<[^`>]*>)?`')
LINK = re.compile(r'(?<![`:])`([^`<>]+?)\s*<((?:https?:|mailto:)[^`<>\s]+)>`__?(?!\w)')
# A literal, which shows what it holds
LITERAL = re.compile(r'((`{2,})(?!`).*?(?<!`)\2(?!`))')
DIRECTIVE = re.compile(r'\.\.\s+([a-z-]+)::\s*(.*)')
# Google's sections that are remarks
SECTION = re.compile(r'(Note|Warning|Tip|Hint|Important|Caution|Danger|Todo|See Also):\s*', re.I)
FIELD = re.compile(r':([a-z]+)((?:\s+[^:\s][^:]*)?):(?:\s+(.*))?$')
NAMED = {
    **dict.fromkeys(('param', 'parameter', 'arg', 'argument', 'key', 'keyword'), 'Parameters'),
    **dict.fromkeys(('ivar', 'cvar', 'var'), 'Attributes'),
    **dict.fromkeys(('raises', 'raise', 'except', 'exception'), 'Raises'),
}
ALONE = {
    **dict.fromkeys(('return', 'returns'), 'Returns'),
    **dict.fromkeys(('yield', 'yields'), 'Yields'),
}
TYPES = ('type', 'rtype', 'vartype')


def plain(lines: Sequence[Line], documented: Collection[int]) -> list[Line]:
    """The lines of a note, with the reST of its docstring as Markdown."""
    out: list[Line] = []
    i, fenced = 0, False
    while i < len(lines):
        line = lines[i]
        if line.text.lstrip().startswith(('```', '~~~')):
            fenced = not fenced
        if fenced or line.number not in documented:
            out.append(line)
            i += 1
            continue
        end = _below(lines, i)
        made = _block(line, lines[i + 1 : end]) or _fields(lines, i)
        if made:
            out += made[0]
            i = made[1] or end
        else:
            out.append(_inline(line))
            i += 1
    return out


def _inline(line: Line) -> Line:
    text = line.text
    if ':`' in text or '>`_' in text:
        outside, *others = LITERAL.split(text)
        # What is split has three parts for each literal: itself, its backticks, and what follows
        text = _roles(outside) + ''.join(
            literal + _roles(after)
            for literal, after in zip(others[::3], others[2::3], strict=True)
        )
    # Not a line of nothing else, as it stands above a block that has no words
    if re.search(r'[^\s:.]::$', text) and not text.lstrip().startswith('>>>'):
        text = text[:-1]
    return replace(line, text=text)


def _roles(text: str) -> str:
    return LINK.sub(r'[\1](\2)', ROLE.sub(r'`\1`', MATH.sub(r'$\1$', text)))


def _indent(line: Line) -> int:
    return len(line.text) - len(line.text.lstrip())


def _below(lines: Sequence[Line], i: int) -> int:
    """The line after what is set in below a line."""
    end = last = i + 1
    while end < len(lines):
        if lines[end].text.strip():
            if _indent(lines[end]) <= _indent(lines[i]):
                break
            last = end + 1
        end += 1
    return last


# ## Directives
def _block(head: Line, body: Sequence[Line]) -> tuple[list[Line], int] | None:
    found, section = DIRECTIVE.fullmatch(head.text.strip()), SECTION.fullmatch(head.text)
    if section and body:
        return _admonition(head, section[1].lower().replace(' ', ''), '', body), 0
    if not found:
        return None
    name, said = found[1], found[2]
    if name in TITLES:
        return _admonition(head, name, said, body), 0
    if name in ('code-block', 'code', 'sourcecode'):
        return _fenced(head, f'```{said or "python"}', '```', _without_options(body)), 0
    if name == 'math':
        first = [replace(head, text=said)] if said else []
        return _fenced(head, '$$', '$$', [*first, *_without_options(body)]), 0
    return None


def _admonition(head: Line, kind: str, said: str, body: Sequence[Line]) -> list[Line]:
    lead = ' ' * _indent(head)
    first = [replace(head, text=f'{lead}    {said}')] if said else []
    inner = [_inline(x) for x in set_in(body, _indent(head) + 4)]
    blank = Line(0, '')
    return [blank, replace(head, text=f'{lead}!!! {kind}'), *first, *inner, blank]


def _without_options(body: Sequence[Line]) -> Sequence[Line]:
    i = 0
    while i < len(body) and re.match(r'\s*:[\w-]+:', body[i].text):
        i += 1
    while i < len(body) and not body[i].text.strip():
        i += 1
    return body[i:]


def _fenced(head: Line, opening: str, closing: str, body: Sequence[Line]) -> list[Line]:
    lead, blank = ' ' * _indent(head), Line(0, '')
    inner = set_in(body, _indent(head))
    if opening == '$$':
        # A blank line would end the formula
        inner = [x for x in inner if x.text.strip()]
    if not inner:
        return [head]
    last = Line(0, f'{lead}{closing}')
    return [blank, replace(head, text=f'{lead}{opening}'), *inner, last, blank]


# ## Fields
def _fields(lines: Sequence[Line], i: int) -> tuple[list[Line], int] | None:
    """`:param x: …` and all fields that follow: a list for each kind; and where they end."""
    groups: dict[str, list[tuple[str, str, Line, Sequence[Line]]]] = {}
    types: dict[str, str] = {}
    while i < len(lines):
        found = FIELD.match(lines[i].text) if not lines[i].text[:1].isspace() else None
        kind = (NAMED.get(found[1]) or ALONE.get(found[1])) if found else None
        if not found or not (kind or found[1] in TYPES):
            break
        end = _below(lines, i)
        said, text = found[2].split(), found[3] or ''
        if kind:
            name = said[-1] if said and found[1] in NAMED else ''
            types.setdefault(name or kind, ' '.join(said[:-1]))
            groups.setdefault(kind, []).append(
                (name, text, lines[i], [_inline(x) for x in lines[i + 1 : end]])
            )
        else:
            types[said[-1] if said else 'Returns'] = text
        i = end
        while i < len(lines) and not lines[i].text.strip():
            i += 1
    return (_lists(groups, types), i) if groups else None


def _lists(
    groups: dict[str, list[tuple[str, str, Line, Sequence[Line]]]], types: dict[str, str]
) -> list[Line]:
    out: list[Line] = []
    for kind, items in groups.items():
        blank = Line(0, '')
        out += [blank, replace(items[0][2], text=f'**{kind}**'), blank]
        for name, text, line, below in items:
            is_a = types.get(name or kind, '').strip('`')
            label = f'`{name}`' if name else ''
            shown = f' (`{is_a}`)' if is_a and label else f'`{is_a}`' if is_a else ''
            lead = f'- {label}{shown}{": " if label or shown else ""}'
            moved = line.text.rfind(text) - len(lead) if text else 0
            meaning = _inline(Line(line.number, text)).text
            out += [Line(line.number, lead + meaning, line.column + moved), *set_in(below, 2)]
        out.append(blank)
    return out
