"""Translated sites: paragraphs out, paragraphs in, and nothing old or broken shown as new."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pylit_kit import project, render

from labml_nn.pylit.__main__ import main

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
CONFIG = '[tool.pylit]\ntitle = "T"\nlocale = "locale"\nlanguages = ["zh"]\n'
DONE = {
    'Title of $x$': '$x$ 的标题',
    'One paragraph with $a_b$, `code` and [a link](#part).': '[链接](#part)、`code` 和 $a_b$。',
    'A note': '注释',
    'Copy': '复制',
}


def made(folder: Path, done: dict[str, str]) -> Path:
    project(folder, {'pyproject.toml': CONFIG, 'src/page.py': SOURCE})
    assert main(['gettext', str(folder / 'src'), '--lang', 'zh']) == 0
    fill(folder, done)
    return folder


def fill(folder: Path, done: dict[str, str]) -> None:
    from babel.messages.pofile import read_po, write_po

    path = folder / 'locale' / 'zh.po'
    with path.open('rb') as file:
        catalog = read_po(file, locale='zh')
    for text, translation in done.items():
        catalog[text].string = translation
    with path.open('wb') as file:
        write_po(file, catalog)


def test_messages_are_paragraphs(tmp_path: Path) -> None:
    made(tmp_path, {})
    template = (tmp_path / 'locale' / 'messages.pot').read_text()
    ids = re.findall(r'^msgid "(.+)"$', template, re.M)
    assert set(DONE) - {'Copy'} <= set(ids)
    assert 'Part' in ids
    assert 'An item' in ids
    # Display formulas and code are nothing to translate
    assert not any('$$' in text or 'x = 1' in text for text in ids)


def test_catalogues_have_no_dates(tmp_path: Path) -> None:
    made(tmp_path, {})
    before = (tmp_path / 'locale' / 'messages.pot').read_bytes()
    assert b'Date' not in before
    assert main(['gettext', str(tmp_path / 'src')]) == 0
    assert (tmp_path / 'locale' / 'messages.pot').read_bytes() == before


def test_a_translated_page(tmp_path: Path) -> None:
    files = render(made(tmp_path, DONE), 'src')
    chinese = files['zh/page.html']
    assert '<html lang="zh">' in chinese
    assert re.search(r'<h1 id="title-of">.*的标题', chinese)
    assert '链接</a>、' in chinese
    assert '>复制</button>' in chinese
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
    assert main(['check', str(tmp_path / 'src')]) == 0
    assert re.search(
        r'page\.py:4:1: warning: zh: the translation is outdated', capsys.readouterr().err
    )


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


def test_a_language_without_a_catalogue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project(tmp_path, {'pyproject.toml': CONFIG, 'src/page.py': SOURCE})
    assert main(['build', str(tmp_path / 'src'), '-o', str(tmp_path / 'out')]) == 2
    assert 'no catalogue: run `gettext --lang zh` first' in capsys.readouterr().err
