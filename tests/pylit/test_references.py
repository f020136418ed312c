"""What is called by its number: equations with a label."""

from __future__ import annotations

import re
from pathlib import Path

from labml_nn.pylit.check import run
from labml_nn.pylit.config import load
from labml_nn.pylit.page import understand
from labml_nn.pylit.problems import Problems
from labml_nn.pylit.project import make
from labml_nn.pylit.site import Request
from tests.kit.sites import project, site

FIRST = r'''r"""
# First page

$$a = b$$

$$c = d \label{eq:second}$$

$$e = f \tag{A} \label{tagged}$$

\begin{align}
g &= h \label{rows} \\
i &= j + \eqref{eq:second} \label{eq:more}
\end{align}

By \eqref{eq:second}, \eqref{tagged} and \eqref{eq:more}.
"""
'''
OTHER = r'''r"""
# Other page

$$x = y \label{eq:own}$$

$$\eqref{eq:second} \Rightarrow \eqref{eq:own}$$

From \eqref{eq:second} and \eqref{eq:own}.
"""
'''


def pages(folder: Path, **sources: str) -> dict[str, str]:
    made = site(project(folder, {f'{name}.py': text for name, text in sources.items()}))
    files = made.render()
    made.close()
    return {name: files[f'{name}.html'].decode() for name in sources}


def problems(folder: Path, **sources: str) -> list[tuple[str, int, int, str]]:
    project(folder, {f'{name}.py': text for name, text in sources.items()})
    found = run(Request([folder], load(folder)))
    here = f'{folder}/'
    return sorted((Path(p.path).name, p.line, p.column, p.message.replace(here, '')) for p in found)


def test_only_what_has_a_label_has_a_number(tmp_path: Path) -> None:
    folder = project(tmp_path, {'first.py': FIRST})
    source = make(folder / 'first.py', folder)
    found = understand(source, [], Problems()).numbered
    numbers = {anchor: numbered.number for anchor, numbered in found.items()}
    assert numbers == {'eq:second': '1', 'eq:tagged': 'A', 'eq:rows': '2', 'eq:more': '3'}
    assert found['eq:second'].line == 6
    shown = pages(tmp_path, first=FIRST)['first']
    # KaTeX sets the numbers of rows
    assert shown.count('class="number"') == 2
    assert '<a class="number" href="#eq:tagged">(A)</a>' in shown
    assert '<a class="number" href="#eq:second">(1)</a>' in shown
    assert all(f'id="eq:{name}"' in shown for name in ('second', 'tagged', 'rows', 'more'))


def test_references_of_the_same_page(tmp_path: Path) -> None:
    shown = pages(tmp_path, first=FIRST)['first']
    assert 'By <a href="#eq:second">(1)</a>, <a href="#eq:tagged">(A)</a>' in shown
    inside = re.search(r'<a href="#eq:second"[^>]* tabindex="-1">(.*?)</a>', shown)
    assert inside
    assert '(1)' in inside[1]
    # What is heard is what is seen
    assert '<mtext>(1)</mtext>' in shown
    assert '(00)' not in shown


def test_an_equation_of_another_page_is_called_with_its_title(tmp_path: Path) -> None:
    shown = pages(tmp_path, first=FIRST, other=OTHER)['other']
    assert 'From <a href="first.html#eq:second">First page (1)</a>' in shown
    assert '<a href="first.html#eq:second" title="First page"' in shown


def test_a_number_that_changes_changes_where_it_is_referred_to(tmp_path: Path) -> None:
    assert 'First page (1)</a>' in pages(tmp_path, first=FIRST, other=OTHER)['other']
    more = FIRST.replace('$$a = b$$', r'$$a = b \label{eq:before}$$')
    assert 'First page (2)</a>' in pages(tmp_path, first=more, other=OTHER)['other']


TAKEN = r'''r"""
# Page

$$a = b \label{eq:one}$$

$$c = d \label{eq:one}$$

An $x \label{eq:small}$, $$y \label{1}$$
"""
'''
NOWHERE = r'''r"""
# Page

$$c = d + \eqref{eq:nowhere}$$

An \eqref{eq:two}, and \eqref{eq:shared}.
"""
'''
SHARED = 'r"""\n# Page\n\n$$a \\label{eq:shared}$$\n"""\n'


def test_mistakes_are_told_with_their_place(tmp_path: Path) -> None:
    assert problems(tmp_path / 'a', bad=TAKEN) == [
        ('bad.py', 6, 9, "the label 'eq:one' is taken on this page"),
        ('bad.py', 8, 7, 'only an equation on its own line has a number'),
        ('bad.py', 8, 30, "the label '1' is no name"),
    ]
    assert problems(tmp_path / 'b', bad=NOWHERE, one=SHARED, two=SHARED) == [
        ('bad.py', 4, 11, "there is no equation with the label 'eq:nowhere'"),
        ('bad.py', 6, 10, "there is no equation with the label 'eq:two'"),
        ('bad.py', 6, 30, "the label 'eq:shared' stands in one.py and two.py"),
    ]


def test_a_mistake_behind_a_label_is_found_in_its_place(tmp_path: Path) -> None:
    found = problems(tmp_path, bad='r"""\n# Page\n\n$$a \\label{eq:a} + \\wrong$$\n"""\n')
    assert [f[1:3] for f in found] == [(4, 20)], found


PICTURES = """# Page

![What one sees](a.png "A caption with $x_t$"){#fig:one}

![No title](a.png)

A sentence with ![another](a.png "title") in it.

![What one hears](a.png "The second")

As in [](#fig:one), [](#fig:2) and [](other.md#fig:there).
"""
THERE = '# Other\n\n![Seen](a.png "There"){#fig:there}\n\n![Seen](a.png "Twice"){#fig:there}\n'


def figures(folder: Path, other: str) -> str:
    files = {'page.md': PICTURES, 'other.md': other, 'a.png': 'not looked into'}
    made = site(project(folder, files))
    shown = made.render()['page.html'].decode()
    made.close()
    return shown


def test_a_picture_with_a_title_is_a_figure(tmp_path: Path) -> None:
    shown = figures(tmp_path, THERE.rpartition('\n\n')[0])
    found = re.findall(r'<figure id="([^"]*)"><img [^>]*alt="([^"]*)"[^>]*><figcaption>', shown)
    assert found == [('fig:one', 'What one sees'), ('fig:2', 'What one hears')]
    assert '<b>Figure 1.</b> A caption with <span class="katex">' in shown
    assert '<b>Figure 2.</b> The second</figcaption></figure>' in shown
    assert shown.count('<img') == 4


def test_figures_are_called_by_their_numbers(tmp_path: Path) -> None:
    shown = figures(tmp_path, THERE.rpartition('\n\n')[0])
    assert (
        'As in <a href="#fig:one">Figure 1</a>, <a href="#fig:2">Figure 2</a> '
        'and <a href="other.html#fig:there">Figure 1</a>.'
    ) in shown


def test_the_name_of_a_figure_is_taken_once(tmp_path: Path) -> None:
    folder = project(tmp_path, {'other.md': THERE, 'a.png': ''})
    found = run(Request([folder], load(folder)))
    assert [(p.line, p.message) for p in found] == [(5, "the id 'fig:there' is taken on this page")]
