"""Around a page: what the templates are given, and what a reader is led to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labml_nn.pylit import frame
from tests.kit.sites import project, render


def test_all_that_the_templates_say_can_be_translated() -> None:
    said = {
        text
        for path in frame.TEMPLATES.glob('*.html')
        for text in re.findall(r"say\('([^']+)'\)", path.read_text(encoding='utf-8'))
    }
    assert len(said) > 10
    assert said <= set(frame.texts())


HOSTILE = 'A "b" <i>c</i> & \'d\''


@pytest.mark.parametrize('template', sorted(p.name for p in frame.TEMPLATES.glob('*.html')))
def test_no_template_switches_escaping_off(template: str) -> None:
    text = (frame.TEMPLATES / template).read_text(encoding='utf-8')
    assert 'autoescape' not in text
    # What is marked as HTML is a literal
    assert re.findall(r"(?<!')\|\s*safe", text) == []


def test_whatever_a_project_says_is_escaped_around_its_pages(tmp_path: Path) -> None:
    config = f"""[tool.pylit]\ntitle = '''{HOSTILE}'''\nsite_url = 'https://a.test'\n"""
    front = f'---\ntitle: {HOSTILE}\nsummary: {HOSTILE}\n---\n'
    project(
        tmp_path,
        {
            'pyproject.toml': config,
            'src/__init__.py': f'"""\n{front}\n# Home\n"""\n',
            'src/<i>c/a.py': f"r'''\n{front.replace(chr(39), '’')}\n# A\n'''\n",
        },
    )
    files = render(tmp_path, 'src')
    for url in ('index.html', '<i>c/a.html', '404.html'):
        assert '<i>' not in files[url]
        assert '&lt;i&gt;c' in files[url]
        if url != '404.html':
            values = re.findall(r'="([^"]*)"', files[url].partition('<main')[0])
            assert any('&lt;i&gt;' in value for value in values)
