r"""Notes: mathematics out, Markdown in between, and nothing that a reader should not get."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labml_nn.pylit import prose
from labml_nn.pylit.config import load
from labml_nn.pylit.parse import Line
from labml_nn.pylit.problems import Mistakes
from labml_nn.pylit.site import Request, Site
from tests.kit.sites import page, project, render


def note(text: str) -> prose.Note:
    return prose.understand([Line(n, t) for n, t in enumerate(text.split('\n'), 1)])


def tex(text: str) -> list[str]:
    return [f.tex for f in note(text).formulas]


# ## What is a formula
@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('$x_t$ and $y_t$', ['x_t', 'y_t']),
        ('a_b $x_1$ c_d $y_2$ *e*', ['x_1', 'y_2']),
        ('$$x$$', ['x']),
        ('in $$x$$ between', ['x']),
        ('$$\nx\n$$', ['\nx\n']),
        ('\\begin{align}\na &= b\n\\end{align}', ['\\begin{align}\na &= b\n\\end{align}']),
        ('\\begin{a}\\begin{a}\\end{a}\\end{a}', ['\\begin{a}\\begin{a}\\end{a}\\end{a}']),
        ('$a \\text{ costs \\$5 } b$', ['a \\text{ costs \\$5 } b']),
        ('$a < b | c * d * e \\\\ f$', ['a < b | c * d * e \\\\ f']),
        ('`$x$` and ``a ` $y$ ``', []),
        ('```\n$x$\n```\n$y$', ['y']),
        ('> ```\n> $x$\n> ```\n\n$y$', ['y']),
        ('\\$x\\$', []),
        ('$ x $', []),
        ('$x\n\ny$', []),
        ('$x\ny$', ['x\ny']),
        ('> $$a\n> + b$$', ['a\n+ b']),
    ],
)  # fmt: skip
def test_what_is_a_formula(text: str, expected: list[str]) -> None:
    assert tex(text) == expected


@pytest.mark.parametrize(
    ('written', 'kept'),
    [
        ('60 % of it', '60_% of it'),
        ('28 × 28 pixels', '28_×_28 pixels'),
        ('2.82 ± 0.03 bits', '2.82_±_0.03 bits'),
        ('3 of 4 sets', '3_of_4 sets'),
        ('2.1 s, 30 ms and 5 MiB, 2 sets', '2.1_s, 30_ms and 5_MiB, 2 sets'),
        ('see eq. 4 and seq. 4', 'see eq._4 and seq. 4'),
        ('3 of them, a × b', '3 of them, a × b'),
    ],
)
def test_a_number_stays_with_what_belongs_to_it(tmp_path: Path, written: str, kept: str) -> None:
    shown = page(tmp_path, f'# {written}\nx = 1\n')
    assert kept.replace('_', '\N{NO-BREAK SPACE}') in shown


def test_a_price_is_not_a_formula() -> None:
    assert tex('It costs $5, or $10 for two; $x$ is free.') == ['x']
    assert tex('From $5 to $10.') == []


@pytest.mark.parametrize('text', ['a $$x', '\\begin{align} x', '\\begin{a}\\begin{a}\\end{a}'])
def test_what_is_never_closed(text: str) -> None:
    assert [m[2] for m in note(text).mistakes if 'never closed' in m[2]]


def test_align_has_no_number_unless_it_is_given_one() -> None:
    assert prose.for_katex(r'\begin{align}x\end{align}') == r'\begin{align*}x\end{align*}'
    tagged = r'\begin{align}x\tag{3}\end{align}'
    assert prose.for_katex(tagged) == tagged


# ## Where a formula is wrong
@pytest.mark.parametrize(
    ('source', 'where'),
    [
        ('# a $\\foo$\nx = 1\n', '1:6'),
        ('# a\n# $x + \\foo$\nx = 1\n', '2:8'),
        ('def f():\n    r"""\n    Text\n\n    $$\n    x \\foo\n    $$\n    """\n', '6:7'),
        ('# > $$a\n# > + \\foo$$\nx = 1\n', '2:7'),
        ('# \\begin{align}\n# x &= \\foo\n# \\end{align}\nx = 1\n', '2:8'),
    ],
)
def test_the_message_points_at_the_mistake(tmp_path: Path, source: str, where: str) -> None:
    project(tmp_path, {'page.py': source})
    with pytest.raises(Mistakes, match=rf'page\.py:{where}: error: LaTeX: Undefined control'):
        render(tmp_path, 'page.py')


@pytest.mark.parametrize(
    ('formula', 'message'),
    [
        (r'\href{https://x.org}{x}', r'not allowed here: \\href'),
        (r'\url{javascript:alert(1)}', r'not allowed here: \\url'),
        (r'\includegraphics{x.png}', r'not allowed here: \\includegraphics'),
        (r'\htmlData{onclick=x}{y}', r'not allowed here: \\htmlData'),
        (r'\htmlId{x}{y}', r'not allowed here: \\htmlId'),
        (r'\def\a{\a\a}\a', 'Too many expansions'),
        ('{' * 3000, 'stack|Expected'),
        ('x' * 100_000, '100,000 characters'),
        ('новая', 'Unicode|strict'),
    ],
    ids=['href', 'url', 'image', 'data', 'id', 'bomb', 'nesting', 'length', 'letters'],
)
def test_formulas_that_are_refused(tmp_path: Path, formula: str, message: str) -> None:
    project(tmp_path, {'page.py': f'# ok $y$ and\n# ${formula}$\nx = 1\n'})
    with pytest.raises(Mistakes, match=message) as caught:
        render(tmp_path, 'page.py')
    (problem,) = caught.value.problems
    assert problem.line == 2


def test_formulas_are_read_by_screen_readers(tmp_path: Path) -> None:
    shown = page(tmp_path, '# $x_t$ and $$y$$\nz = 1\n')
    assert shown.count('<math') == shown.count('class="katex"') == 2
    assert 'annotation' not in shown


# ## Nothing that a reader should not get
@pytest.mark.parametrize(
    'text',
    [
        '[x](javascript:alert(1))',
        '[x](JaVaScRiPt:alert(1))',
        '[x](java&#115;cript:alert(1))',
        '[x](java&#x09;script:alert(1))',
        '[x](<java\tscript:alert(1)>)',
        '[x](&#1;javascript:alert(1))',
        '[x](vbscript:x)',
        '[x](data:text/html,<script>1</script>)',
        '[x](file:///etc/passwd)',
        '<javascript:alert(1)>',
        '![x](javascript:alert(1))',
        '![x](https://example.org/pixel.png)',
        '![x](//example.org/pixel.png)',
        '[x]: javascript:alert(1)\n#\n# [x]',
        '<script>alert(1)</script>',
        '<img src=x onerror=alert(1)>',
        'text <b onclick="x">b</b>',
        '<b style="position:fixed">b</b>',
        '<style>b { }</style>',
        '<iframe src="x.html"></iframe>',
        '<a href="javascript:alert(1)">x</a>',
        '<a href="java&#115;cript:alert(1)">x</a>',
        '<img src="https://example.org/pixel.png" alt="x">',
        '<form action="x"><input name="y"></form>',
        '<!-- hidden -->',
    ],
)
def test_what_is_unsafe_is_left_out_and_said(tmp_path: Path, text: str) -> None:
    project(tmp_path, {'page.py': f'# Note\n#\n# {text}\nx = 1\n'})
    with pytest.raises(Mistakes, match=r'page\.py:\d+:\d+: error: ') as caught:
        render(tmp_path, 'page.py')
    assert all(p.line >= 3 for p in caught.value.problems)
    shown = marked(tmp_path)
    tags = ' '.join(re.findall('<[^>]*>', shown))
    assert not re.search(
        r'<(script|style|iframe|form|input)|\son\w+=|style=|(href|src)="java', tags
    )
    assert 'src="https:' not in tags


def marked(folder: Path) -> str:
    """The notes of a page, with its mistakes in their places."""
    made = Site(Request([folder / 'page.py'], load(folder), lenient=True))
    try:
        shown = made.render()['page.html'].decode()
    finally:
        made.close()
    return shown.partition('<main')[2].partition('<pre><code>')[0]


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('<a id="here"></a> [x](#here)', '<p><a id="here"></a> <a href="#here">x</a></p>'),
        ('<a name="here"></a>x', '<a id="here"></a>x'),
        ('press <kbd>A</kbd> $x_1$ `<b>`', '<p>press <kbd>A</kbd> <span class="katex">'),
        ('H<sub>2</sub>O x<sup>2</sup><br>y', 'H<sub>2</sub>O x<sup>2</sup><br>y'),
        (
            '<img src="pic.png" alt="A" width="9">',
            '<img src="assets/files/pic.png" alt="A" width="9">',
        ),
        ('<a href="other.py" class="z">o</a>', '<a href="other.html">o</a>'),
        (
            '<details>\n# <summary>More</summary>\n#\n# *text*\n#\n# </details>',
            '<details>\n<summary>More</summary>\n<p><em>text</em></p>\n</details>',
        ),
        ('<b>never closed', '<b>never closed</b></p>'),
        ('x</div></article>', '<p>x'),
        ('<p align="center">a $x$</p>', '<p align="center">a <span class="katex">'),
        ('<b title="own-0.">x</b> `y`', '<b title="own-0.">x</b> <code>'),
    ],
)
def test_harmless_html_is_rendered(tmp_path: Path, text: str, expected: str) -> None:
    files = {'page.py': f'# Note\n#\n# {text}\nx = 1\n', 'other.py': '# O\ny = 1\n'}
    project(tmp_path, {**files, 'pic.png': ''})
    made = Site(Request([tmp_path], load(tmp_path), lenient=True))
    try:
        shown = made.render()['page.html'].decode()
    finally:
        made.close()
    assert expected in shown
    assert all('</article>' in p.message for p in made.problems), made.problems
    assert shown.count('<div') == shown.count('</div>')


@pytest.mark.parametrize(
    'text', ['&#xe000;9&#xe001;', '&#57344;0&#57345;', '<b>&#xE000;7&#xE001;</b>']
)
def test_the_mark_of_a_formula_cannot_be_forged(tmp_path: Path, text: str) -> None:
    assert '\ufffd' in page(tmp_path, f'# Note {text} x\ny = 1\n')


def test_an_anchor_stands_once(tmp_path: Path) -> None:
    shown = page(tmp_path, '# <a id="x"></a> <a id="x"></a> <a id="f"></a>\ndef f(): pass\n')
    assert shown.count('id="x"') == shown.count('id="f"') == 1


@pytest.mark.parametrize(
    'text',
    [
        '<svg/onload=x>',
        '<code object g>',
        '<name>',
        'a < b > c',
        'Dict<str, int>',
        '</etc/x>',
        '1 <2',
    ],
)
def test_angle_brackets_that_are_no_html(tmp_path: Path, text: str) -> None:
    shown = page(tmp_path, f'# Note {text}\nx = 1\n')
    assert text.replace('<', '&lt;').replace('>', '&gt;') in shown


def test_code_is_escaped(tmp_path: Path) -> None:
    shown = page(tmp_path, '# `<script>` and\n#\n#     <b>\nx = "</code><script>"\n')
    assert '<script>' not in shown
    assert '<b>' not in shown


def test_external_links_do_not_tell_where_they_come_from(tmp_path: Path) -> None:
    shown = page(tmp_path, '# [x](https://example.org) [y](//example.org)\nx = 1\n')
    assert shown.count('rel="noopener noreferrer"') == 2


# ## Two voices
def test_departures_are_told_from_asides(tmp_path: Path) -> None:
    shown = page(tmp_path, '# > **Departure.** We clip.\n\n# > By the way.\nx = 1\n')
    assert '<blockquote class="departure">' in shown
    assert '<blockquote class="aside">' in shown


@pytest.mark.parametrize('lead', ['> ', '> > ', '- > ', '1. > '])
def test_a_formula_over_two_lines_of_a_quote(lead: str) -> None:
    rest = lead.replace('-', ' ').replace('1.', '  ')
    note = prose.understand([Line(1, f'{lead}where $a <'), Line(2, f'{rest}b$ holds')])
    assert [formula.tex for formula in note.formulas] == ['a <\nb']


def test_tables_and_quotes(tmp_path: Path) -> None:
    shown = page(tmp_path, '# | a | b |\n# |---|---|\n# | "x" | $y$ |\nx = 1\n')
    assert '<th>a</th>' in shown
    assert '“x”' in shown


def test_colours_come_from_the_theme(tmp_path: Path) -> None:
    shown = page(tmp_path, '# $\\textcolor{lightgreen}{x} \\color{red} y$\nz = 1\n')
    assert 'color:var(--c-green)' in shown
    assert 'color:var(--c-red)' in shown
    assert 'mathcolor' not in shown
