"""Arguments, results and exceptions in the styles of Google and NumPy, shown as lists."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from labml_nn.pylit.fields import listed
from labml_nn.pylit.parse import parse
from labml_nn.pylit.site import Request, Site
from tests.kit.sites import ROOT, page, project, site

GOOGLE = '''
def f(x, *rest, **more):
    """Add.

    And $a$ more.

    Args:
        x (int, optional): The first $x_1$,
            which goes on.
        *rest: Others, see `f`.

            * in a list
        **more (dict[str, int]): more: still
            more.

    Returns:
        bool: True, *if* so.

    Raises:
        ValueError: never
        KeyError

    Example:
        y = f(1)
        y + 1

    Examples:
        Words.

        >>> f(1)
        2

    The end.
    """
'''
NUMPY = '''
def f(x, y):
    """Add.

    Parameters
    ----------
    x : {'a', 'b'}, optional
        The first $x_1$,
        which goes on.
    y, z : float, default 3
    w
        Without a type.

    Returns
    -------
    total : `Tensor`
        The sum.
    int
        A number.

    Raises
    ------
    :class:`ValueError`
        never

    Examples
    --------
    >>> f(1)
    2

    Notes
    -----
    The *end*.
    """
'''


def items(shown: str) -> list[str]:
    """The items of the lists, without the colours of their code."""
    found = re.findall(r'<li>(.*?)</li>', shown.partition('<div class="note">')[2], re.S)
    bare = [re.sub(r'</?(span|a|p)\b[^>]*>|\n', ' ', item) for item in found]
    return [re.sub(r'\s+', ' ', html.unescape(item)).strip() for item in bare]


def words(shown: str) -> str:
    return html.unescape(re.sub('<[^>]+>', '', shown))


def test_googles_style(tmp_path: Path) -> None:
    shown = page(tmp_path, GOOGLE)
    found = items(shown)
    for expected in (
        r'<code> *x *</code> \(<code> *int *</code>, optional\): The first .* which goes on\.',
        r'<code> *\* *rest *</code>: Others, see .*<code> *f *</code> ?\. <ul> <li> ?in a list',
        r'<code> *\*\* *more *</code> \(<code>.*dict.*</code>\): more: still more\.',
        r'<code> *ValueError *</code>: never',
        r'<code> *KeyError *</code>',
        r'<code> *bool *</code>: True, <em>if</em> so\.',
    ):
        assert [item for item in found if re.fullmatch(expected, item)], (expected, found)
    for title in ('Args', 'Returns', 'Raises', 'Example', 'Examples'):
        assert f'<p><strong>{title}</strong></p>' in shown
    assert shown.count('class="katex"') == 2
    assert 'y = f(1)\ny + 1\n' in words(shown)
    assert '<p>Words.</p>' in shown
    assert '<p>The end.</p>' in shown
    assert shown.count('<pre class="block">') == 2


def test_numpys_style(tmp_path: Path) -> None:
    shown = page(tmp_path, NUMPY)
    found = items(shown)
    for expected in (
        r'<code> *x *</code> \(<code>.*\ba\b.*</code>, optional\): The first .* which goes on\.',
        r'<code> *y, *z *</code> \(<code> *float *</code>, default <code> *3 *</code>\)',
        r'<code> *w *</code>: Without a type\.',
        r'<code> *total *</code> \(<code> *Tensor *</code>\): The sum\.',
        r'<code> *int *</code>: A number\.',
        r'<code> *ValueError *</code>: never',
    ):
        assert [item for item in found if re.fullmatch(expected, item)], (expected, found)
    assert re.findall(r'<h2[^>]*>(.*?)</h2>', shown) == ['Notes']
    assert '<p>The <em>end</em>.</p>' in shown
    assert '>>> f(1)\n2' in words(shown)


@pytest.mark.parametrize(
    ('source', 'expected'),
    [
        ('Args:\n    Nothing is needed here.\n', '<p>Nothing is needed here.</p>'),
        ('Args:\n    x: one\n    and on\n', 'one\nand on</li>'),
        ('Args:\n    x (dict[str,\n        int]): one\n', ']</code>): one</li>'),
        ('Returns:\n    The sum: all\n    of it.\n', '<p>The sum: all\nof it.</p>'),
        (
            'Returns:\n    https://x.example\n',
            '<p><a href="https://x.example" rel="noopener noreferrer">https://x.example</a></p>',
        ),
        ('Returns\n-------\nAll of it.\n', '<p>All of it.</p>'),
        ('Raises:\n    ValueError: a\n\n    KeyError: b\n', '<p><code><span class="b">KeyError'),
        ('Yields:\n    int: next\n', '</code>: next</li>'),
        ('Args:\nx\n', '<p>Args:\nx</p>'),
        ('```\nArgs:\n    x: one\n```\n', 'Args:\n    x: one'),
        ('Args:\n', '<p>Args:</p>'),
        ('Args:\n    :\n', '<p>:</p>'),
    ],
)
def test_sections_of_all_kinds(tmp_path: Path, source: str, expected: str) -> None:
    inside = source.replace('\n', '\n    ')
    assert expected in page(tmp_path, f'def f():\n    """\n    {inside}"""\n')


def test_mistakes_are_found_where_they_are(tmp_path: Path) -> None:
    lines = [*GOOGLE.splitlines(), *NUMPY.splitlines()]
    wrong = [line.replace('The first', r'The $\oops$ first') for line in lines]
    project(tmp_path, {'page.py': '\n'.join(wrong)})
    made = Site(Request([tmp_path], site(tmp_path).config, lenient=True))
    try:
        made.render()
    finally:
        made.close()
    errors = made.problems.errors
    assert len(errors) == 2
    for problem in errors:
        assert wrong[problem.line - 1][problem.column - 1 :].startswith(r'\oops')


def test_other_docstrings_are_left_alone() -> None:
    for path in sorted((ROOT / 'labml_nn').rglob('*.py')):
        module = parse(path.read_text('utf-8'), path)
        for section in module.sections:
            assert listed(section.prose, module.documented) == section.prose
    comment = parse('# Args:\n#     x: one\ny = 1\n', Path('page.py'))
    assert listed(comment.sections[0].prose, comment.documented) == comment.sections[0].prose


def test_no_word_is_lost() -> None:
    for source in (GOOGLE, NUMPY):
        module = parse(source, Path('page.py'))
        lines = next(s.prose for s in module.sections if s.prose)
        said = ' '.join(line.text for line in listed(lines, module.documented))
        for line in lines:
            for word in re.findall(r'\w+', line.text.replace(':class:', '')):
                assert word in said


def test_a_place_is_never_before_the_line(tmp_path: Path) -> None:
    source = '"""\nArgs:\n  x (dict[str, int]): [a](none.md)\n    ![](b.png)\n"""\n'
    project(tmp_path, {'page.py': source})
    made = Site(Request([tmp_path], site(tmp_path).config, lenient=True))
    try:
        made.render()
        note = made.full(made.pages['page.html']).notes[0]
    finally:
        made.close()
    assert made.problems.errors
    assert all(token.map is None or note.where(token)[1] >= 1 for token in note.tokens)
    assert {(p.line, p.column) for p in made.problems} == {(3, 27), (4, 9)}
