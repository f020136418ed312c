"""What authors write: footnotes, admonitions, tasks, directives, styles; and the guide for them."""

from __future__ import annotations

import html
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labml_nn.pylit import check, dialect, directives, frame, prose
from labml_nn.pylit.__main__ import main
from labml_nn.pylit.config import Config, load
from labml_nn.pylit.page import understand
from labml_nn.pylit.parse import Line
from labml_nn.pylit.problems import Mistakes, Problems
from labml_nn.pylit.project import make
from labml_nn.pylit.site import Request
from tests.kit.sites import ROOT, page, project, render, shape, site, split

GUIDE = ROOT / 'labml_nn' / 'pylit' / 'guide.md'


def markdown(folder: Path, source: str) -> str:
    """The body of the page of one Markdown file."""
    project(folder, {'page.md': source})
    return render(folder, 'page.md')['page.html'].partition('<main')[2]


def told(folder: Path, files: dict[str, str]) -> list[str]:
    """What `check` says of a project, one line each."""
    project(folder, files)
    found = check.run(Request([folder], load(folder)))
    return [str(p).split('\n')[0].removeprefix(f'{folder}/') for p in sorted(found)]


# ## Footnotes
NOTES = """
# One[^b] and two[^a], and one[^b] again.
x = 1

# [^a]: First **note**, $x_t$.
#
#     And on.
# [^b]: Second, see [^a].
y = 2
"""


def test_footnotes_are_numbered_through_the_page_and_lead_back(tmp_path: Path) -> None:
    shown = page(tmp_path, NOTES)
    first = '<sup><a id="fn-b-ref" href="#fn-b" aria-label="Footnote 1">1</a></sup>'
    second = '<sup><a id="fn-a-ref" href="#fn-a" aria-label="Footnote 2">2</a></sup>'
    again = '<sup><a id="fn-b-ref-2" href="#fn-b" aria-label="Footnote 1">1</a></sup>'
    assert f'<p>One{first} and two{second}, and one{again} again.</p>' in shown
    assert '<li id="fn-a" value="2"><p>First <strong>note</strong>' in shown
    assert '<p>And on.</p>' in shown
    assert '<li id="fn-b" value="1"><p>Second, see <sup><a id="fn-a-ref-2"' in shown
    ids = re.findall(r' id="([^"]+)"', shown)
    assert len(ids) == len(set(ids))
    ways = re.findall(r'class="back" href="#([^"]+)"', shown)
    assert sorted(ways) == ['fn-a-ref', 'fn-a-ref-2', 'fn-b-ref', 'fn-b-ref-2']
    assert {*ways, *re.findall(r'href="#(fn-[^"]+)"', shown)} <= set(ids)


def test_mistakes_with_footnotes_are_told_and_nothing_is_lost(tmp_path: Path) -> None:
    source = 'One[^a] and [^no]. And $x$[^$n$].\n\n[^a]: A\n\n[^b]: Nobody\n\n[^a]: Twice\n'
    assert told(tmp_path, {'page.md': source}) == [
        'page.md:1:13: warning: the footnote [^no] is not defined on this page',
        'page.md:1:27: warning: the footnote [^$n$] is not defined on this page',
        'page.md:5:1: warning: nothing refers to the footnote [^b]',
        'page.md:7:1: error: the footnote [^a] is there already',
    ]
    shown = markdown(tmp_path, source.rpartition('\n\n')[0])
    assert 'and [^no].' in shown
    assert '<p>Nobody</p>' in shown
    assert shown.count('class="katex"') == 2


def test_a_heading_with_a_footnote_is_in_the_contents_without_it(tmp_path: Path) -> None:
    project(tmp_path, {'page.md': '# T\n\n## A[^1]\n\n[^1]: n\n'})
    shown = render(tmp_path)['page.html']
    assert shown.count('id="fn-1-ref"') == 1
    assert '<a href="#a">A<sup>1</sup></a>' in shown


def test_a_translation_keeps_its_footnotes() -> None:
    from labml_nn.pylit.translate import protected

    assert protected('One[^a] and[^a] b.') == {'[^a]': 2}


# ## Admonitions
@pytest.mark.parametrize(
    ('source', 'opening', 'title', 'closing'),
    [
        ('> [!NOTE]\n> Say $x_t$.', '<div class="admonition" role="note">', 'Note', '</div>'),
        ('> [!tip]\n> Say $x_t$.', '<div class="admonition tip" role="note">', 'Tip', '</div>'),
        (
            '!!! warning\n    Say $x_t$.',
            '<div class="admonition warning" role="note">',
            'Warning',
            '</div>',
        ),
        (
            '!!! hint "A *good* `one`"\n    Say $x_t$.',
            '<div class="admonition tip" role="note">',
            'A <em>good</em> <code>one</code>',
            '</div>',
        ),
        (
            '??? bug\n    Say $x_t$.',
            '<details class="admonition danger">',
            'Bug',
            '</details>',
        ),
        (
            '???+ seealso\n    Say $x_t$.',
            '<details class="admonition" open>',
            'See also',
            '</details>',
        ),
        (
            ':::{note} With *title*\nSay $x_t$.\n:::',
            '<div class="admonition" role="note">',
            'With <em>title</em>',
            '</div>',
        ),
        (
            ':::caution[With title]\nSay $x_t$.\n:::',
            '<div class="admonition warning" role="note">',
            'With title',
            '</div>',
        ),
        (
            ':::{error}\n:class: dropdown\n:name: here\n\nSay $x_t$.\n:::',
            '<details class="admonition danger">',
            'Error',
            '</details>',
        ),
    ],
)
@pytest.mark.parametrize('more', ['', '\n\n<kbd>k</kbd>\n'], ids=['', 'with-html'])
def test_admonitions_of_all_kinds(
    tmp_path: Path, source: str, opening: str, title: str, closing: str, more: str
) -> None:
    shown = markdown(tmp_path, f'{source}{more}\n')
    tag = 'summary' if 'details' in opening else 'p'
    expected = f'{opening}\n<{tag} class="title">{title}</{tag}>\n<p>Say <span class="katex">'
    assert re.sub('<code>.*?</code>', '<code>one</code>', shown).count(expected) == 1
    assert f'</p>\n{closing}' in shown
    assert ':name:' not in shown


def test_admonitions_nest(tmp_path: Path) -> None:
    shown = markdown(tmp_path, '::::{note}\n:::{tip}\n> [!NOTE]\n> in\n:::\n::::\n\nout\n')
    inner = shown.partition('<p>in</p>')[0]
    assert inner.count('class="admonition') == 3
    assert shown.partition('<p>in</p>')[2].partition('<p>out</p>')[0].count('</div>') == 3


def test_kinds_that_nobody_knows_are_told(tmp_path: Path) -> None:
    source = '!!! wraning\n    a\n\n> [!NOPE]\n> b\n\n:::{figure} x.png\nc\n:::\n'
    said = told(tmp_path, {'page.md': source})
    assert said[0] == (
        "page.md:1:5: warning: unknown kind of admonition 'wraning': did you mean 'warning'?"
    )
    assert said[1].startswith('page.md:4:3: warning: unknown kind of alert [!NOPE]: there are NOTE')
    assert said[2].startswith("page.md:7:5: warning: unknown kind of admonition 'figure': ")
    shown = markdown(tmp_path, source)
    for text in ('Wraning', '<p>a</p>', '[!NOPE]', '<p>c</p>'):
        assert text in shown


def test_the_words_of_the_writer_can_be_translated() -> None:
    assert {*dialect.TITLES.values(), 'Footnote', 'Back to the text', 'Done'} <= set(frame.texts())
    assert len(frame.texts()) == len(set(frame.texts()))


# ## Tasks, addresses, mathematics
def test_tasks_can_be_heard(tmp_path: Path) -> None:
    shown = markdown(tmp_path, '- [ ] open\n- [x] **done**\n- [y] neither\n')
    assert '<li><span class="task" role="img" aria-label="To do">☐</span> open</li>' in shown
    assert 'aria-label="Done">☑</span> <strong>done</strong></li>' in shown
    assert '<li>[y] neither</li>' in shown
    assert '<input' not in shown


@pytest.mark.parametrize(
    ('text', 'address', 'link'),
    [
        ('at https://a.org/b_c_d.', 'https://a.org/b_c_d', 'https://a.org/b_c_d'),
        ('(www.a.org)', 'http://www.a.org', 'www.a.org'),
        ('to a.b@c.org!', 'mailto:a.b@c.org', 'a.b@c.org'),
        ('見る https://a.org/x。次', 'https://a.org/x', 'https://a.org/x'),
        ('in https://a.org/$x$', 'https://a.org/', 'https://a.org/'),
    ],
)
def test_bare_addresses_are_links(tmp_path: Path, text: str, address: str, link: str) -> None:
    shown = markdown(tmp_path, f'{text}\n')
    assert re.search(rf'<a href="{re.escape(address)}"[^>]*>{re.escape(link)}</a>', shown)


@pytest.mark.parametrize('text', ['`https://a.org`', 'https://…/page', 'http://page/x', 'a@b'])
def test_what_is_no_address_is_no_link(tmp_path: Path, text: str) -> None:
    shown = markdown(tmp_path, f'at {text} there\n').partition('<footer')[0]
    assert text.strip('`') in re.sub('<[^>]+>', '', shown)
    assert 'href="http' not in shown
    assert 'mailto' not in shown


def test_brackets_of_latex_are_mathematics(tmp_path: Path) -> None:
    source = 'A \\(x_i*y_i*z\\) and \\[\n\\int \\left[x\\right] \\\\[2pt]\n\\] end \\(n\\).\n'
    shown = markdown(tmp_path, source)
    assert shown.count('class="katex"') == 3
    assert shown.count('class="display"') == 1
    assert '<em>' not in shown


@pytest.mark.parametrize(
    'text', [r'\(as a word\)', r'\[optional\]', r'\[x\](a.md)', r'\(x', r'`\(x\)`', r'\[\]']
)
def test_escaped_brackets_are_brackets(tmp_path: Path, text: str) -> None:
    shown = markdown(tmp_path, f'a {text} b\n')
    assert 'katex' not in shown.replace('katex.css', '')
    bare = text.strip('`') if '`' in text else text.replace('\\', '')
    assert f'a {bare} b' in html.unescape(re.sub('<[^>]+>', '', shown))


def test_a_docstring_with_brackets_of_latex_must_be_raw(tmp_path: Path) -> None:
    said = told(tmp_path, {'page.py': 'def f():\n    """The \\\\(x\\\\)."""\n    pass\n'})
    assert said == ['page.py:2:12: warning: \\\\( in a docstring that is not raw: write r""" … """']


# ## Lines that stand out
FENCE = '# A\n#\n# ```python hl_lines="{}" title="a&b.py"\n# x = """\n# b"""\n# c\n# ```\nx = 1\n'


def test_lines_of_a_fence_stand_out(tmp_path: Path) -> None:
    shown = page(tmp_path, FENCE.format('2-3'))
    assert '<p class="file">a&amp;b.py</p>' in shown
    block = shown.partition('class="block"')[2].partition('</pre>')[0]
    lines = block.partition('<code>')[2].split('\n')
    assert [line.startswith('<span class="hl">') for line in lines[:3]] == [False, True, True]
    # What goes over two lines has its colour in both
    assert '<span class="s">b</span>' in lines[1]
    assert block.count('<span') == block.count('</span>')


@pytest.mark.parametrize('info', ['python hl="2"', "python hl_lines='2'", '{.python hl_lines=2}'])
def test_other_ways_to_write_it(info: str) -> None:
    fence = prose.Fence.of(info)
    assert (fence.language, fence.marked) == ('python', {2})


@pytest.mark.parametrize(
    ('lines', 'message'),
    [
        ('2 9', 'hl_lines asks for line 9, and the code has 3'),
        ('3-2', '\'3-2\' is no line: write hl_lines="2 4-6"'),
        ('1-99999999999', '\'1-99999999999\' is no line: write hl_lines="2 4-6"'),
        ('0', '\'0\' is no line: write hl_lines="2 4-6"'),
        ('two', '\'two\' is no line: write hl_lines="2 4-6"'),
    ],
)
def test_lines_that_are_not_there_are_told(tmp_path: Path, lines: str, message: str) -> None:
    said = told(tmp_path, {'page.py': FENCE.format(lines)})
    assert len(said) == 1
    assert re.fullmatch(rf'page\.py:3:\d+: warning: {re.escape(message)}', said[0])


# ## Directives
FOLDED = """
# A note.
# pylit: fold
def f(x):
    # Inside
    y = x

    return y  # pylit: hl
# pylit: end

# pylit: hl
a = 1
b = 2
# pylit: end
c = 3
"""


def test_folded_code_is_there_and_its_lines_have_their_anchors(tmp_path: Path) -> None:
    shown = page(tmp_path, FOLDED)
    assert 'pylit:' not in shown
    folds = re.findall(r'<details class="fold">(.*?)</details>', shown, re.S)
    assert [re.findall('id="L(\\d+)"', fold) for fold in folds] == [['6', '7', '8']]
    assert '<summary><code><span class="l" id="L6"' in folds[0]
    assert re.findall('<span class="l hl" id="L(\\d+)"', shown) == ['8', '12', '13']
    assert '<span class="l" id="L15"' in shown
    # One line alone is not worth a fold
    assert '<span class="l" id="L4"' in shown.partition('<details')[0]


def test_nothing_but_the_directives_is_taken_from_the_code() -> None:
    lines = [line for _, code in shape(FOLDED) for line in code.split('\n') if line.strip()]
    wanted = [x for x in FOLDED.split('\n') if x.strip() and not x.lstrip().startswith('#')]
    assert lines == wanted


def test_a_directive_does_not_part_a_note_from_its_code() -> None:
    source = '# A note.\n# pylit: fold\n@d\ndef f():\n    pass\n# pylit: end\n\n# Next\nx = 1\n'
    assert [note for note, _ in shape(source)] == ['A note.', 'Next']
    chapter = '# ## A chapter\n\n# pylit: fold\ndef f():\n    pass\n# pylit: end\n'
    assert [note for note, _ in shape(chapter)] == ['## A chapter', '']


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        ('x = 1\n# pylit: fold\ny = 2\n', '2:1: error: `pylit: fold` is never closed'),
        ('x = 1\n# pylit: end\n', '2:1: error: `pylit: end` has nothing to close'),
        ('x = 1  # pylit: fold\n', '1:8: error: `pylit: fold` needs a line of its own'),
        (
            'x = 1\n# pylit: flod\n',
            "2:1: error: unknown directive 'flod': did you mean 'fold'?",
        ),
    ],
)
def test_mistakes_in_directives_are_told_with_their_place(
    tmp_path: Path, source: str, message: str
) -> None:
    (said,) = told(tmp_path, {'page.py': source})
    assert said.startswith(f'page.py:{message}')
    # Nothing is folded, and the page is made all the same
    assert main(['build', str(tmp_path), '-o', str(tmp_path / 'out')]) == 0
    shown = (tmp_path / 'out' / 'page.html').read_text()
    assert 'class="fold"' not in shown
    assert 'x = <span class="m">1</span>' in shown


# ## Docstrings
SPHINX = '''
def f(x):
    r"""See :py:class:`~torch.Tensor`, :math:`x^2` and `a page <https://a.org>`_ :ref:`p <q>`.

    .. warning:: Mind *this*,
       and $x_t$.

    .. code-block:: python
       :linenos:

       x = 1

    .. math:: y = 1

    Example::

        >>> f(1)

    Note:
        From Google.

    :param x: the thing,
        which goes on
    :type x: int
    :param float k: a factor :math:`k`
    :returns: nothing
    :rtype: None
    :raises ValueError: never
    """
    # :class:`not` in a comment
    return x
'''


def test_docstrings_for_sphinx(tmp_path: Path) -> None:
    shown = page(tmp_path, SPHINX)
    bare = re.sub(r'</?(?:code|span)\b[^>]*>', '', shown)
    assert 'See torch.Tensor, ' in bare
    assert '<a href="https://a.org" rel="noopener noreferrer">a page</a> p.' in bare
    assert '<p class="title">Warning</p>\n<p>Mind <em>this</em>,\nand ' in bare
    assert '<pre class="block">x = 1\n</pre>' in bare
    assert shown.count('class="display"') == 1
    assert '<p><strong>Example</strong></p>\n<pre class="block">&gt;&gt;&gt; f(1)' in bare
    assert '<p class="title">Note</p>\n<p>From Google.</p>' in bare
    assert (
        '<p><strong>Parameters</strong></p>\n<ul>\n<li>x (int): the thing,\nwhich goes on</li>'
        in bare
    )
    assert '<li>k (float): a factor ' in bare
    assert '<p><strong>Returns</strong></p>\n<ul>\n<li>None: nothing</li>' in bare
    assert '<li>ValueError: never</li>' in bare
    assert ':linenos:' not in bare
    assert ':class:not in a comment' in bare


def test_examples_of_sphinx_stay_as_they_are(tmp_path: Path) -> None:
    """What two backticks hold is shown, in reST as in Markdown."""
    examples = 'A :class:`B`, `` :class:`~a.B` ``, ``:math:`x` `` and ```a `b <c:d>`_ ```.'
    shown = page(tmp_path, f'def f():\n    """\n    {examples}\n    """\n')
    bare = re.sub(r'</?(?:code|span|a)\b[^>]*>', '', shown)
    assert 'A B, :class:`~a.B`, :math:`x`  and a `b &lt;c:d&gt;`_ .' in bare.replace('\n', ' ')


def test_a_mistake_in_a_docstring_for_sphinx_is_found_where_it_is(tmp_path: Path) -> None:
    source = SPHINX.replace('which goes on', 'with [no](where.md)')
    source = source.replace('and $x_t$', '[a](b.md)').replace(':math:`k`', '[k](k.md)')
    said = told(tmp_path, {'page.py': source})
    assert 'page.py:6:12: error: dead link: there is no b.md' in said
    assert 'page.py:25:34: error: dead link: there is no k.md' in said
    assert 'page.py:23:19: error: dead link: there is no where.md' in said


# ## Style sheets and logo
def test_own_style_sheets_and_logo(tmp_path: Path) -> None:
    settings_ = '[tool.pylit]\ncss = ["style/a.css", "b.css"]\nlogo = "l ogo.svg"\n'
    svg = '<svg xmlns="http://www.w3.org/2000/svg"/>'
    files = {'style/a.css': 'a{}', 'b.css': 'b{}', 'l ogo.svg': svg, 'sub/page.md': '# P\n'}
    project(tmp_path, {'pyproject.toml': settings_, **files})
    made = site(tmp_path)
    try:
        built = made.render()
    finally:
        made.close()
    assert built['assets/own/style/a.css'] == b'a{}'
    assert built['assets/own/l ogo.svg'] == svg.encode()
    shown = built['sub/page.html'].decode()
    ours, first, second = (
        shown.index(f'<link rel="stylesheet" href="../assets/{name}">')
        for name in ('pylit.css', 'own/style/a.css', 'own/b.css')
    )
    assert ours < first < second
    assert '<img class="logo" src="../assets/own/l%20ogo.svg" alt="">' in shown
    assert "style-src 'self'; style-src-attr" in shown


@pytest.mark.parametrize(
    ('setting', 'message'),
    [
        ('css = ["no.css"]', 'no.css: there is no such file'),
        ('css = ["page.md"]', 'page.md: not one of .css'),
        ('logo = "../secret.png"', '../secret.png: a file outside of the project'),
        ('logo = "run.svg"', 'run.svg: an SVG with a script in <script>: leave it out'),
    ],
)
def test_files_of_the_author_that_cannot_be_taken(
    tmp_path: Path, setting: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / 'p'
    (tmp_path / 'secret.png').write_bytes(b'x')
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>'
    settings_ = f'[tool.pylit]\ntitle = "t"\n{setting}\n'
    project(folder, {'pyproject.toml': settings_, 'page.md': '# P\n', 'run.svg': svg})
    # The pages are made, and the mistake is told with its line
    assert main(['build', str(folder), '-o', str(tmp_path / 'out')]) == 0
    assert f'pyproject.toml:3:1: error: {message}' in capsys.readouterr().err
    assert (tmp_path / 'out' / 'page.html').is_file()
    assert not (tmp_path / 'out' / 'assets' / 'own').exists()


def test_the_site_of_one_file_has_its_title(tmp_path: Path) -> None:
    project(tmp_path, {'sums.py': '# # All sums\nx = 1\n'})
    made = render(tmp_path, 'sums.py')
    assert '<title>All sums</title>' in made['sums.html']
    assert '>All sums</a>' in made['sums.html'].partition('class="home"')[2]
    assert 'Contents' not in made['sums.html'] + made['index.html']
    assert 'content="0; url=sums.html"' in made['index.html']


# ## Nothing of this brings a fault about
WORDS = r"""
[^a] [^a]: [^ ^[x] !!! ??? ???+ note "t" ::: :::: {note} {tip}[x] :class: > [! NOTE] ] - [x] [ ]
\( \) \[ \] $ $$ ` ``` ~~~ hl_lines="2-3" hl= title= https:// www.a.b @ a@b.cd mailto: <b> </b>
<details> # ## x_t | --- .. :: note:: :param x: :math:`x` :returns: Args: Note: >>> é 。
\begin{align} \end{align}
"""
PIECES = st.sampled_from([*WORDS.split(), '\ue000', '\ue0001\ue001'])
TEXTS = st.lists(st.one_of(PIECES, st.sampled_from([' ', '\n', '\n\n', '\n    ', '\n  ']))).map(
    ''.join
)


class Echo:
    """A page that knows nothing."""

    def __init__(self) -> None:
        self.footnotes = {'a': prose.Footnote(1, 'fn-a', 1)}
        self.counts: dict[str, int] = {}

    formula = staticmethod(lambda formula: '<i>f</i>')
    link = staticmethod(lambda href, note, block: ('<a href="x">', '</a>'))
    image = staticmethod(lambda src, alt, note, block: '<img src="x" alt="x">')
    code = staticmethod(lambda text, language, marked=(): f'<code>{html.escape(text)}</code>')
    anchor = staticmethod(lambda name: False)
    say = staticmethod(str)

    def footnote(self, label: str) -> prose.Footnote | None:
        return self.footnotes.get(label)

    def count(self, anchor: str) -> int:
        self.counts[anchor] = self.counts.get(anchor, 0) + 1
        return self.counts[anchor]


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_no_note_brings_a_fault_about(text: str) -> None:
    note = prose.understand([Line(n, t) for n, t in enumerate(text.split('\n'), 1)])
    shown = prose.write(note, note.tokens, Echo())
    for tag in ('div', 'details', 'summary', 'ol', 'li', 'a', 'sup', 'blockquote'):
        assert len(re.findall(rf'<{tag}\b', shown)) == shown.count(f'</{tag}>'), (tag, shown)


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_no_docstring_brings_a_fault_about(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    inside = text.replace('\\', '').replace('"', "'")
    source = f'def f():\n    """\n    {inside}\n    """\n    pass\n'
    path = tmp_path_factory.getbasetemp() / 'page.py'
    found = understand(make(path, path.parent), (), Problems(), source)
    lines = {line.number for s in found.sections for line in (*s.prose, *s.code)}
    assert lines >= {n for n, t in enumerate(source.split('\n'), 1) if t.strip()} - {2}
    for note in found.notes:
        for line in note.lines:
            assert line.number <= len(found.lines)


COMMENTS = st.sampled_from(
    ['# pylit: fold', '# pylit: end', '# pylit: hl', 'x = 1  # pylit: hl', '# pylit:', '# note', '']
    + [
        'def f():\n    y = 1',
        'x = """\n# pylit: fold\n"""',
        '    # pylit: end',
        'if x:\n    # pylit: fold',
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(COMMENTS, max_size=12).map(lambda lines: '\n'.join([*lines, '    z = 1', ''])))
def test_no_directive_loses_a_line(source: str) -> None:
    try:
        module = split(source)
    except Mistakes:
        return
    placed = [x.number for s in module.sections for x in (*s.prose, *s.code) if x.text.strip()]
    missing = {n for n, t in enumerate(module.lines, 1) if t.strip()} - set(placed)
    assert all(directives.is_region(module.lines[n - 1].strip()) for n in missing)
    assert len(placed) == len(set(placed))
    for first, last in module.marks.folds:
        assert 1 < first <= last + 1 <= len(module.lines)


# ## The guide
EXAMPLE = re.compile(r'^````md\n(.*?)^````\n\n', re.S | re.M)
FILE = re.compile(r'^```(\w+) title="([^"]+)"\n(.*?)^```$', re.S | re.M)


def body(shown: str) -> str:
    """What stands in the first note of a page, without anchors and the numbers of footnotes."""
    inner = shown.partition('class="here"')[2].partition('</a>\n')[2].partition('</div></div>\n')[0]
    inner = re.sub(r' (?:id|href|value|aria-label)="[^"]*"', '', inner)
    return re.sub(r'<ol class="footnotes">.*?</ol>\n', '', inner, flags=re.S)


def test_every_example_of_the_guide_is_what_follows_it(tmp_path: Path) -> None:
    guide = GUIDE.read_text(encoding='utf-8')
    whole = body(render(ROOT, 'labml_nn/pylit')['guide.html'])
    ours = (ROOT / 'pyproject.toml').read_text(encoding='utf-8')
    ours = re.sub('^languages = .*', '', ours, flags=re.M)
    # Its files are not there, and no example needs them
    ours = re.sub(r'(?s)\[tool\.pylit\.inventories\]\n.*?\n\n', '', ours)
    examples = EXAMPLE.findall(guide)
    assert len(examples) >= 7
    for example in examples:
        assert f'{example}````\n\n{example}' in guide, example
        name = f'example_{len(example)}.md'
        # A link within the guide leads nowhere from here
        text = re.sub(r'\(#[^)]*\)', '()', example)
        files = {'pyproject.toml': ours, 'parse.py': 'class Section:\n    pass\n'}
        project(tmp_path, {**files, name: text})
        alone = body(render(tmp_path, name, 'parse.py')[name.replace('.md', '.html')])
        assert alone in whole, example


def test_the_python_of_the_guide_does_what_it_says(tmp_path: Path) -> None:
    files = {name: text for _, name, text in FILE.findall(GUIDE.read_text())}
    shown = {n: page(tmp_path, files[n]) for n in ('notes.py', 'figure.py', 'scale.py')}
    assert '<h1 id="sums">Sums</h1>' in shown['notes.py']
    pair = shown['notes.py'].partition('class="row pair"')[2]
    assert 'Add the numbers from 1 to' in pair.partition('class="code"')[0]
    fold = shown['figure.py'].partition('<details class="fold">')[2].partition('</details>')[0]
    assert re.findall('id="L(\\d+)"', fold) == ['3', '4', '5']
    assert '<span class="l hl" id="L8"' in shown['figure.py']
    assert '<p class="title">Note</p>\n<p>Nothing is copied.</p>' in shown['scale.py']
    assert shown['scale.py'].count('<li>') == 2


def test_the_guide_names_every_setting_and_every_kind() -> None:
    guide = GUIDE.read_text(encoding='utf-8')
    for field in fields(Config):
        assert field.name == 'root' or f'`{field.name}`' in guide, field.name
    named = set(re.findall('`([a-z]+)`', guide))
    assert {dialect.TITLES[kind] for kind in named & set(dialect.TITLES)} == (
        set(dialect.TITLES.values()) - {'Details'}
    )


def test_the_recipe_builds_a_site_from_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {name: text for _, name, text in FILE.findall(GUIDE.read_text())}
    for name in ('notes.py', 'pyproject.toml', '.github/workflows/pages.yml'):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[name], encoding='utf-8')
    workflow = files['.github/workflows/pages.yml']
    runs = re.findall(r'run: python -m labml_nn\.pylit (.*)', workflow)
    assert runs[0] == 'setup'
    monkeypatch.chdir(tmp_path)
    for run in runs:
        assert main(shlex.split(run)) == 0
    folder = re.search(r'path: (\w+)', workflow)
    assert folder
    site_ = tmp_path / folder[1]
    assert '<title>Sums · Notes on sums</title>' in (site_ / 'notes.html').read_text()
    assert 'url=notes.html' in (site_ / 'index.html').read_text()
    # Once more, as on the next push: the site is no source of itself
    assert main(shlex.split(runs[-1])) == 0


def test_the_workflow_of_the_recipe_is_a_workflow(tmp_path: Path) -> None:
    beside = Path(sys.executable).with_name('actionlint')
    actionlint = str(beside) if beside.exists() else shutil.which('actionlint')
    if not actionlint:
        pytest.skip('actionlint is not installed')
    files = {name: text for _, name, text in FILE.findall(GUIDE.read_text())}
    path = tmp_path / 'pages.yml'
    path.write_text(files['.github/workflows/pages.yml'], encoding='utf-8')
    done = subprocess.run([actionlint, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
