"""Translated sites: paragraphs out, paragraphs in, and nothing old or broken shown as new."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from labml_nn.pylit.__main__ import main
from tests.kit.sites import project, render

pytest.importorskip('babel')

SOURCE = r'''r"""
# Title of $x$

One paragraph with $a_b$,
`code` and [a link](#part).

$$y$$

## Part

- An item
"""
# A note
x = 1
'''
CONFIG = r"""[tool.pylit]
title = "The site"
locale = "locale"
languages = ["zh"]
[tool.pylit.glossary]
n_steps = { tex = 'T', meaning = "how many steps" }
"""
DONE = {
    'Title of $x$': '$x$ 的标题',
    'One paragraph with $a_b$, `code` and [a link](#part).': '[链接](#part)、`code` 和 $a_b$。',
    'A note': '注释',
    'All pages': '所有页面',
    'Copy': '复制',
}


def made(folder: Path, done: dict[str, str]) -> Path:
    project(folder, {'pyproject.toml': CONFIG, 'src/page.py': SOURCE})
    assert main(['gettext', str(folder / 'src')]) == 0
    fill(folder, done)
    return folder


def entries(folder: Path) -> Any:
    from babel.messages.pofile import read_po

    with (folder / 'locale' / 'zh.po').open('rb') as file:
        return read_po(file, locale='zh')


def fill(folder: Path, done: dict[str, str]) -> None:
    from babel.messages.pofile import write_po

    path, catalog = folder / 'locale' / 'zh.po', entries(folder)
    for text, translation in done.items():
        catalog[text].string = translation
    with path.open('wb') as file:
        write_po(file, catalog)


def test_messages_are_paragraphs(tmp_path: Path) -> None:
    made(tmp_path, {})
    assert not (tmp_path / 'locale' / 'messages.pot').exists()
    assert main(['gettext', str(tmp_path / 'src'), '--pot']) == 0
    template = (tmp_path / 'locale' / 'messages.pot').read_text()
    ids = re.findall(r'^msgid "(.+)"$', template, re.M)
    assert set(DONE) - {'All pages', 'Copy'} <= set(ids)
    assert 'Part' in ids
    assert 'An item' in ids
    # Display formulas and code are nothing to translate
    assert not any('$$' in text or 'x = 1' in text for text in ids)


def test_the_mark_of_a_quotation_is_no_part_of_a_formula_in_it(tmp_path: Path) -> None:
    """However the source is wrapped, a translator sees the formula, and so does the reader."""
    page = '# # A\n#\n# > Towards $t =\n# > 0$ and $a > b$, and\n# > $$c$$ too.\n'
    files = {'pyproject.toml': CONFIG, 'src/page.py': page}
    assert main(['gettext', str(project(tmp_path, files) / 'src')]) == 0
    text = 'Towards $t = 0$ and $a > b$, and $$c$$ too.'
    assert text in {m.id for m in entries(tmp_path)}
    fill(tmp_path, {text: '$t = 0$ 时，$a > b$，还有 $$c$$。'})
    assert '<mi>t</mi><mo>=</mo><mn>0</mn>' in render(tmp_path, 'src')['zh/page.html']


def test_catalogues_have_no_dates(tmp_path: Path) -> None:
    made(tmp_path, {})
    for name in ('messages.pot', 'zh.po'):
        path = tmp_path / 'locale' / name
        assert main(['gettext', str(tmp_path / 'src'), '--pot']) == 0
        before = path.read_bytes()
        assert b'Date' not in before
        assert main(['gettext', str(tmp_path / 'src'), '--pot']) == 0
        assert path.read_bytes() == before


def test_a_new_catalogue_leaves_nothing_to_be_filled_in(tmp_path: Path) -> None:
    made(project(tmp_path, {}), {})
    (tmp_path / 'locale' / 'zh.po').unlink()
    assert main(['gettext', str(tmp_path / 'src'), '--pot']) == 0
    for name in ('messages.pot', 'zh.po'):
        head = (tmp_path / 'locale' / name).read_text().partition('\n\n')[0]
        assert '"Project-Id-Version: The site\\n"' in head
        assert not re.search('fuzzy|PROJECT|VERSION"|YEAR|FULL NAME|EMAIL|ORGANIZATION', head)
    assert '"Language: zh\\n"' in head


def test_without_a_language_there_is_nothing_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path, {'src/page.py': SOURCE})
    assert main(['gettext', str(tmp_path / 'src')]) == 2
    assert 'no language: say --lang' in capsys.readouterr().err


# ## What is not a paragraph
NAMED = {
    'src/page.py': SOURCE,
    'src/said.py': '''"""
---
title: A front title
summary: A summary.
---

# Another heading

Words about $T$.
"""
T = n_steps
''',
    'src/plain.py': '# Words of a page without a heading, which are its description\nx = 1\n',
}
NAMES = {
    'The site': '网站',
    'how many steps': '步数',
    'A front title': '页首标题',
    'A summary.': '摘要。',
    'Another heading': '另一个标题',
    'Words about $T$.': '关于 $T$ 的话。',
    'Words of a page without a heading, which are its description': '没有标题的一页的话',
}


def named(folder: Path, done: dict[str, str]) -> dict[str, str]:
    project(folder, {'pyproject.toml': CONFIG, **NAMED})
    assert main(['gettext', str(folder / 'src')]) == 0
    fill(folder, done)
    return render(folder, 'src')


def test_names_have_the_place_they_come_from(tmp_path: Path) -> None:
    named(tmp_path, {})
    text = (tmp_path / 'locale' / 'zh.po').read_text()
    assert re.search(r'#: pyproject\.toml:2\nmsgid "The site"', text)
    assert re.search(r'#\. What \$T\$ means\n#: pyproject\.toml:6\nmsgid "how many steps"', text)
    assert re.search(r'#: \S*said\.py:3\nmsgid "A front title"', text)
    assert re.search(r'#: \S*said\.py:4\nmsgid "A summary."', text)
    # What is title and heading is asked for once; the name of a file is nothing to translate
    assert text.count('msgid "Title of') == 1
    assert 'plain.py"' not in text


def test_titles_are_translated_wherever_they_stand(tmp_path: Path) -> None:
    files = named(tmp_path, {**DONE, **NAMES})
    said, page = files['zh/said.html'], files['zh/page.html']
    assert '<title>页首标题 · 网站</title>' in said
    assert '<meta name="description" content="摘要。">' in said
    assert '<title>x 的标题 · 网站</title>' in page
    assert '<meta name="description" content="没有标题的一页的话">' in files['zh/plain.html']
    assert re.search(r'class="home"[^>]*>网站</a>', said)
    for shown in (said, page, files['zh/index.html']):
        assert '<a href="said.html">页首标题</a>' in shown.replace(' aria-current="page"', '')
        assert '<a href="page.html">x 的标题</a>' in shown.replace(' aria-current="page"', '')
    assert '<span>页首标题</span></a>' in files['zh/plain.html'] + page
    assert '>步数</span></button>' in said
    assert '"said.html","页首标题"' in files['zh/search.js']
    # And English is what it was
    assert '<title>A front title · The site</title>' in files['said.html']
    assert 'how many steps</span>' in files['said.html']
    assert '标题' not in files['search.js']


def test_a_title_without_a_translation_is_english_and_says_so(tmp_path: Path) -> None:
    files = named(tmp_path, {})
    assert '<a href="said.html" lang="en">A front title</a>' in files['zh/page.html']
    assert '<title>A front title · The site</title>' in files['zh/said.html']


def test_a_translated_heading_keeps_its_anchor(tmp_path: Path) -> None:
    source = '# ## A part {#here}\n# Words.\nx = 1\n'
    project(tmp_path, {'pyproject.toml': CONFIG, 'src/page.py': source})
    assert main(['gettext', str(tmp_path / 'src')]) == 0
    fill(tmp_path, {'A part {#here}': '一部分 {#here}'})
    assert '<h1 id="here">一部分</h1>' in render(tmp_path, 'src')['zh/page.html']


def test_a_catalogue_that_was_changed_changes_the_search(tmp_path: Path) -> None:
    named(tmp_path, {})
    cache = ['build', str(tmp_path / 'src'), '-o', str(tmp_path / 'out')]
    assert main(cache) == 0
    index = tmp_path / 'out' / 'zh' / 'search.js'
    assert '关于' not in index.read_text()
    fill(tmp_path, NAMES)
    assert main(cache) == 0
    assert '关于' in index.read_text()


def test_tests_stand_once(tmp_path: Path) -> None:
    source = '# A claim [tested](test:test_a.py::test_a)\nx = 1\n'
    project(tmp_path, {'pyproject.toml': CONFIG, 'src/page.py': source})
    project(tmp_path, {'pyproject.toml': CONFIG, 'tests/test_a.py': 'def test_a():\n    pass\n'})
    assert main(['gettext', str(tmp_path / 'src')]) == 0
    files = render(tmp_path, 'src')
    assert 'tests/test_a.html' in files
    assert not [url for url in files if url.startswith('zh/tests')]
    assert 'href="../tests/test_a.html#test_a"' in files['zh/page.html']
    assert 'href="tests/test_a.html#test_a"' in files['page.html']
    # It is not to be had in other languages, and does not promise it
    assert 'hreflang' not in files['tests/test_a.html']


def test_a_translated_page(tmp_path: Path) -> None:
    files = render(made(tmp_path, DONE), 'src')
    chinese = files['zh/page.html']
    assert '<html lang="zh">' in chinese
    assert re.search(r'<h1 id="title-of">.*的标题', chinese)
    assert '链接</a>、' in chinese
    said = html.unescape(re.search(r"data-strings='([^']*)'", chinese)[1])
    assert json.loads(said)['copy'] == '复制'
    assert '所有页面' in chinese
    # What was not translated stays English and says so
    assert re.search(r'<h2 id="part" lang="en" class="untranslated">Part', chinese)
    # Code comes from the source, and English knows nothing of all this
    assert chinese.count('id="L14"') == files['page.html'].count('id="L14"') == 1
    assert 'untranslated' not in files['page.html']
    assert '的标题' not in files['page.html'].partition('<main')[2]


def test_languages_lead_to_each_other(tmp_path: Path) -> None:
    files = render(made(tmp_path, DONE), 'src')
    assert 'href="zh/page.html" hreflang="zh"' in files['page.html']
    assert 'href="../page.html" hreflang="en"' in files['zh/page.html']
    assert '中文' in files['page.html']
    assert '<link rel="alternate" hreflang="zh" href="zh/page.html">' in files['page.html']


def test_a_changed_paragraph_is_outdated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path, DONE)
    path = tmp_path / 'src' / 'page.py'
    path.write_text(path.read_text().replace('One paragraph with', 'A paragraph with'))
    assert main(['gettext', str(tmp_path / 'src'), '--lang', 'zh']) == 0
    chinese = render(tmp_path, 'src')['zh/page.html']
    assert '<p lang="en" class="outdated">A paragraph with' in chinese
    assert '链接' not in chinese
    capsys.readouterr()
    assert main(['check', str(tmp_path / 'src'), '--lang', 'zh']) == 0
    assert re.search(
        r'page\.py:4:1: warning: zh: the translation is outdated', capsys.readouterr().err
    )


def test_a_changed_paragraph_takes_over_what_one_of_its_page_has_left(tmp_path: Path) -> None:
    """Not what still stands, and not what another page has lost; each at most once."""
    other = 'r"""\n# Other\n\nFour words of another\n"""\nx = 1\n'
    project(tmp_path, {'pyproject.toml': CONFIG, 'src/other.py': other, 'src/page.py': SOURCE})
    assert main(['gettext', str(tmp_path / 'src')]) == 0
    fill(tmp_path, {**DONE, 'Four words of another': '四个字', 'An item': '一项'})
    path = tmp_path / 'src' / 'page.py'
    text = path.read_text().replace('# A note', '# A note\n#\n# A second note')
    text = text.replace('- An item', '- Four words of another kind\n- An old item\n- An item, new')
    path.write_text(text)
    (tmp_path / 'src' / 'other.py').write_text(other.replace('Four words of another', 'Gone'))
    assert main(['gettext', str(tmp_path / 'src')]) == 0
    catalog = entries(tmp_path)
    assert (catalog['An old item'].string, catalog['An old item'].fuzzy) == ('一项', True)
    assert catalog['An item, new'].string == catalog['A second note'].string == ''
    assert catalog['Four words of another kind'].string == ''
    assert (catalog['A note'].string, catalog['A note'].fuzzy) == ('注释', False)
    assert 'An item' not in catalog
    assert 'An item' not in catalog.obsolete


@pytest.mark.parametrize(
    ('translation', 'message'),
    [
        ('[链接](#part)、`code`。', 'has lost $a_b$'),
        ('[链接](#part)、 $a_b$。', 'has lost `code`'),
        ('[链接](#teil)、`code` $a_b$。', 'has lost (#part)'),
        ('[链接](#part)、`code` $a_b$ $c$。', 'has added $c$'),
    ],
)
def test_what_a_translation_must_keep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], translation: str, message: str
) -> None:
    made(tmp_path, {**DONE, 'One paragraph with $a_b$, `code` and [a link](#part).': translation})
    capsys.readouterr()
    assert main(['check', str(tmp_path / 'src')]) == 1
    said = capsys.readouterr().err
    assert re.search(rf'zh\.po:\d+:1: error: the translation {re.escape(message)}', said)


# Everything that must be kept at once: an image, a link by label, an id, a formula, code
MANY = """# ## An ![image](i.png) and [a link][there] {#id}
# Words.
#
# [there]: other.py
x = 1
"""


@pytest.mark.parametrize(
    ('translation', 'message'),
    [
        ('一张 ![图](i.png) 和[链接][there] {#id}', ''),
        ('一张 和[链接][there] {#id}', 'has lost ![](i.png)'),
        ('一张 ![图](j.png) 和[链接][there] {#id}', 'has added ![](j.png)'),
        ('一张 ![图](i.png) 和[链接][dort] {#id}', 'has lost [there]'),
        ('一张 ![图](i.png) 和[链接][there]', 'has lost {#id}'),
    ],
)
def test_images_labels_and_ids_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], translation: str, message: str
) -> None:
    files = {'src/page.py': MANY, 'src/other.py': '# Other\ny = 1\n', 'src/i.png': 'png'}
    project(tmp_path, {'pyproject.toml': CONFIG, **files})
    assert main(['gettext', str(tmp_path / 'src')]) == 0
    fill(tmp_path, {'An ![image](i.png) and [a link][there] {#id}': translation})
    capsys.readouterr()
    assert main(['check', str(tmp_path / 'src')]) == (1 if message else 0)
    assert message in capsys.readouterr().err
    if not message:
        # A link whose address stands elsewhere on the page is one in the translation too
        assert re.search(r'<a href="other.html">链接</a>', render(tmp_path, 'src')['zh/page.html'])


def test_the_words_of_the_frame_are_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path, {**DONE, '{total} displayed equations': '个等式'})
    capsys.readouterr()
    assert main(['check', str(tmp_path / 'src'), '--lang', 'zh']) == 1
    said = capsys.readouterr().err
    assert 'has lost {total}' in said
    assert "zh: the translation of 'Next' is missing" in said
    assert "of 'All pages'" not in said
    assert "pyproject.toml:6:1: warning: zh: the translation of 'how many steps' is missing" in said


def test_authors_are_not_held_up_by_translations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path, DONE)
    source = str(tmp_path / 'src')
    capsys.readouterr()
    assert main(['check', source, '--strict']) == 0
    assert 'zh:' not in capsys.readouterr().err
    assert main(['check', source, '--strict', '--lang', 'en']) == 0
    assert main(['check', source, '--lang', 'zh']) == 0
    assert main(['check', source, '--strict', '--lang', 'zh']) == 1
    assert 'the translation is missing' in capsys.readouterr().err


def test_a_language_without_a_catalogue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project(tmp_path, {'pyproject.toml': CONFIG, 'src/page.py': SOURCE})
    assert main(['build', str(tmp_path / 'src'), '-o', str(tmp_path / 'out')]) == 2
    assert 'no catalogue: run `gettext --lang zh` first' in capsys.readouterr().err


def test_a_number_with_its_unit_is_not_asked_for():
    from labml_nn.pylit.translate import has_words

    for text in ('122 GFLOP/s', '0.29 T', '1.598 s', '-3,000 MiB', '1.00', '12 ms'):
        assert not has_words(text), text
    for text in ('3 steps', 'fp32', 's', '122 GFLOP/s of it', '7 minutes'):
        assert has_words(text), text
