r"""
# Proofs: what is behind a mark

A mark on a page is a link to the source of its test. Where there is JavaScript, it opens a panel
instead: the test's code, what it has computed and what it expected, how far these were apart and
how far they might have been, when it ran and with what.

All of it stands in a script beside the page of the tests, `test_x.proofs.js`, which is asked for
when a reader opens a mark of that file: pages that name tests are no heavier for it. Its numbers
are those of the report; nothing is taken from the clock or the machine of the build
[tested](test:pylit/test_proofs.py::test_two_builds_of_one_report_are_equal_to_the_byte).
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .claims import Caught, Claim, Report
from .page import Page

# What the panel says, in the language of the sources
TEXTS = {
    'ran': 'Ran on {day} with {versions}.',
    'cases': '{n} cases, {seconds} s',
    'one': 'one case, {seconds} s',
    'never': 'There is no run of this test with the sources of these pages.',
    'killed': 'Of {of} broken versions of the code it has caught {n}.',
    'what': 'What is compared',
    'computed': 'Computed',
    'expected': 'Expected',
    'difference': 'Largest difference',
    'allowed': 'Allowed',
    'values': '{n} values',
    'code': 'The test',
    'whole': 'All of this file of tests',
    'close': 'Close',
    'passed': 'passed',
    'failed': 'failed',
    'not run': 'not run',
}


def script_of(url: str) -> str:
    """Where that of a page of tests stands."""
    return f'{url.removesuffix(".html")}.proofs.js'


def words(say: Mapping[str, str]) -> bytes:
    return f'pylitProofs.words({_json(say)})\n'.encode()


def script(
    page: Page,
    code: Sequence[str],
    named: Iterable[Claim],
    report: Report,
    caught: Mapping[str, Caught],
) -> bytes:
    """The panels of the tests of one file that pages name, by their anchors."""
    made = {}
    module = page.module
    for claim in sorted(set(named), key=lambda c: c.name) if module else ():
        assert module
        for definition in [d for d in module.definitions if d.name == claim.name][-1:]:
            lines = code[definition.start - 1 : definition.end]
            made[page.places[claim.name]] = {
                'test': claim.test,
                'title': _title(module.tree, claim.name),
                'verdict': report.verdict(claim),
                'code': _code(lines),
                **_outcome(report.tests.get(claim.test), report),
                'killed': _killed(caught.get(claim.test)),
            }
    return f'pylitProofs.tests({_json(page.source.url)}, {_json(made)})\n'.encode()


def _killed(caught: Caught | None) -> list[int]:
    return [caught.killed, caught.of] if caught and caught.of else []


def _json(said: Any) -> str:
    text = json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(',', ':'))
    # Line separators of JSON that older scripts may not hold
    return text.replace('\u2028', r'\u2028').replace('\u2029', r'\u2029')


def _title(tree: ast.Module, name: str) -> str:
    """The first sentence of the test's docstring, or its name as words."""
    node: ast.AST | None = tree
    for part in name.split('.'):
        body = getattr(node, 'body', [])
        node = next((n for n in body if getattr(n, 'name', '') == part), None)
    said = ast.get_docstring(node) if isinstance(node, FUNCTIONS) else ''
    first = re.split(r'\n\s*\n|(?<=[.:])\s', said or '')[0]
    title = INDEX.sub(_index, ' '.join(first.split()).rstrip('.:'))
    return title or name.rpartition('.')[2].removeprefix('test_').replace('_', ' ')


# `x_{t-1}` and `x_0`, as one writes them where there is no mathematics
INDEX = re.compile(r'(?<![\w\\])([A-Za-z])_(?:\{([^{}]+)\}|(\w)(?!\w))')
LOW = str.maketrans('0123456789+-=()aehijklmnoprstuvx', '₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ')


def _index(match: re.Match[str]) -> str:
    low = match[2] or match[3]
    known = all(ord(letter) in LOW for letter in low)
    return match[1] + low.translate(LOW) if known else match[0]


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _code(lines: Sequence[str]) -> str:
    """Without the indentation that all lines share."""
    bare = [len(line) - len(line.lstrip(' ')) for line in lines if line.strip()]
    return '\n'.join(line[min(bare, default=0) :] for line in lines)


# ## Numbers for people
def _outcome(said: Mapping[str, Any] | None, report: Report) -> dict[str, Any]:
    if not said or not said['cases']:
        return {'ran': None, 'rows': [], 'facts': [], 'cases': []}
    compared = [one for one in said['recorded'] if 'difference' in one]
    versions = dict(report.versions)
    platform = versions.pop('platform', '')
    libraries = sorted((f'{k} {v}' for k, v in versions.items()), key=_python_first)
    odd = {k or '[]': v for k, v in said['cases'].items() if v != 'passed'}
    return {
        'ran': {
            'day': report.when[:16].replace('T', ' ') + ' UTC',
            'versions': ', '.join(filter(None, [*libraries, platform])),
            'n': len(said['cases']),
            'seconds': f'{said["seconds"]:.1f}',
        },
        'rows': [_row(one) for one in compared],
        'facts': [[one['what'], ', '.join(map(str, one.get('said', ())))]
                  for one in said['recorded'] if 'difference' not in one],
        'cases': [f'{case} {outcome}'.strip() for case, outcome in list(odd.items())[:5]],
    }  # fmt: skip


def _python_first(text: str) -> tuple[bool, str]:
    return not text.startswith('Python'), text


def _row(one: Mapping[str, Any]) -> list[Any]:
    """What; a few values of both sides; the largest difference; what was allowed; of how many."""
    return [
        one['what'],
        _values(one.get('computed'), one.get('values', 1)),
        _values(one.get('expected'), one.get('values', 1)),
        _short(one['difference'], 2),
        _allowed(one),
        one.get('values', 1),
    ]


def _values(numbers: Any, n: int) -> str:
    numbers = list(numbers) if isinstance(numbers, (list, tuple)) else [numbers]
    more = ', …' if n > len(numbers) else ''
    return ', '.join(_short(x, 6) for x in numbers) + more


def _allowed(one: Mapping[str, Any]) -> str:
    """What the difference may be; `{y}` stands for what is expected."""
    absolute, share = one.get('atol', 0), one.get('rtol', 0)
    said = [_short(absolute, 3)] if absolute or not share else []
    return ' + '.join([*said, *([f'{_short(share, 3)} × {{y}}'] if share else [])])


def _short(x: Any, digits: int) -> str:
    return f'{x:.{digits}g}' if isinstance(x, (int, float)) and not isinstance(x, bool) else str(x)
