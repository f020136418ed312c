r"""
---
title: Messages
summary: What an error at the door is made of - what was got, what is needed, and the nearest name.
---

# Messages

An error that a user meets says what was got, what is needed, and what to do. These are its parts.
"""

import difflib
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def shown(value: Any) -> str:
    r"""
    A value for a message: whole when it is short, and never longer than a line.
    """
    short = reprlib.Repr()
    short.maxstring = short.maxother = 60
    short.maxlist = short.maxtuple = short.maxdict = 8
    return short.repr(value)


def first_line(error: BaseException) -> str:
    r"""
    The first line of what an error says; torch's can fill a screen.
    """
    return str(error).strip().split('\n')[0].removesuffix('.') or type(error).__name__


def nearest(name: str, known: Sequence[str], what: str) -> str:
    r"""
    The message for a name that is not known, with the nearest that is.
    """
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f': did you mean {close[0]}?' if close else ''
    return f'there is no {what} {name}{hint} (there is {", ".join(known)})'


def one_of(names: Iterable[str]) -> str:
    r"""
    The names to choose from: `a, b or c`.
    """
    *others, last = names
    return f'{", ".join(others)} or {last}' if others else last


def wanted(content: Any, name: str, kind: Any, source: str | Path) -> Any:
    r"""
    The part of a file's content that has this name, or a `ValueError` unless it is there and of
    this kind.
    """
    value = content.get(name) if isinstance(content, Mapping) else None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        found = f'a {type(value).__name__}, {shown(value)}' if value is not None else 'nothing'
        words = {int: 'a whole number', Mapping: 'a table of names and values'}
        raise ValueError(f'{source} has {found} for {name}: need {words.get(kind, kind)}')
    return value
