"""Living figures: a picture for everybody, and a script for those who touch it."""

from __future__ import annotations

from pathlib import Path

import pytest

from labml_nn.pylit import live
from labml_nn.pylit.__main__ import main
from labml_nn.pylit.config import load
from labml_nn.pylit.problems import Mistakes
from tests.kit.browser import chromium
from tests.kit.sites import project, site

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
WAVES = """// @needs ../../lib/plot.js
// @needs ../../lib/plot.css
// @later waves.data.js
pylit.figures.waves = async (host) => {
  await host.load('waves.data.js');
  const button = document.createElement('button');
  button.textContent = host.say('Once more');
  button.onclick = () => host.announce(host.say('It\\'s drawn'));
  host.root.append(button, plot(waves));
};
"""
FILES = {
    'page.py': '# ![Two waves](live:waves)\nx = 1\n',
    'docs/live/waves.js': WAVES,
    'docs/live/waves.data.js': 'globalThis.waves = 42;\n',
    'docs/live/waves.svg': SVG,
    'lib/plot.js': 'globalThis.plot = (n) => `drawn ${n}`;\n',
    'lib/plot.css': '.figure { margin-left: 7px; }\n',
}


def rendered(folder: Path) -> dict[str, bytes]:
    made = site(folder, 'page.py')
    try:
        return made.render()
    finally:
        made.close()


def test_a_figure_is_a_picture_with_a_script_beside_it(tmp_path: Path) -> None:
    project(tmp_path, FILES)
    files = rendered(tmp_path)
    shown = files['page.html'].decode()
    assert '<span class="live" data-live="assets/live/waves.js"' in shown
    assert 'data-style="assets/live/waves.css"' in shown
    assert '"><img src="assets/live/waves.svg"' in shown
    assert 'alt="Two waves"' in shown
    assert files['assets/live/waves.js'].decode() == FILES['lib/plot.js'] + WAVES
    assert files['assets/live/waves.css'].decode() == FILES['lib/plot.css']
    assert files['assets/live/waves.data.js'].decode() == FILES['docs/live/waves.data.js']
    assert '<script src="assets/live' not in shown


def test_by_night_there_may_be_another_picture(tmp_path: Path) -> None:
    project(tmp_path, {**FILES, 'docs/live/waves.dark.svg': SVG})
    shown = rendered(tmp_path)['page.html'].decode()
    assert '<img class="by-night" src="assets/live/waves.dark.svg"' in shown


def test_a_single_file_is_made_as_all_are(tmp_path: Path) -> None:
    project(tmp_path, FILES)
    made = site(tmp_path, 'page.py')
    made.read()
    assert made.file('assets/live/waves.js') == (FILES['lib/plot.js'] + WAVES).encode()
    assert made.file('assets/live/waves.data.js') == FILES['docs/live/waves.data.js'].encode()
    made.close()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'page.py': '# ![x](live:wave)\n'}, 'no such living figure: docs/live/wave.js'),
        ({'page.py': '# ![x](live:../waves)\n'}, 'no such living figure'),
        ({'docs/live/waves.svg': None}, 'no picture waves.svg or waves.png in docs/live'),
        ({'lib/plot.css': None}, 'there is no script ../../lib/plot.css'),
        ({'docs/live/waves.data.js': None}, 'there is no script waves.data.js'),
        ({'docs/live/waves.js': '// @needs ../../../outside.js\n'}, 'outside of the project'),
        ({'docs/live/waves.svg': SVG.replace('/>', '><script/></svg>')}, 'a script in <script>'),
    ],
)
def test_what_is_missing_is_said_where_it_is_asked_for(
    tmp_path: Path, change: dict[str, str | None], message: str
) -> None:
    (tmp_path / 'outside.js').write_text('')
    folder = tmp_path / 'project'
    project(folder, {k: v for k, v in {**FILES, **change}.items() if v is not None})
    with pytest.raises(Mistakes) as wrong:
        rendered(folder)
    (problem,) = wrong.value.problems
    assert message in problem.message
    assert (problem.line, problem.severity) == (1, 'error')


def test_texts_of_the_scripts_are_translated(tmp_path: Path) -> None:
    catalogue = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
    catalogue += 'msgid "Once more"\nmsgstr "Noch einmal"\n'
    config = '[tool.pylit]\nlanguages = ["de"]\n'
    project(tmp_path, {**FILES, 'pyproject.toml': config, 'docs/locale/de.po': catalogue})
    assert live.texts(load(tmp_path)) == ['Once more', "It's drawn"]
    assert rendered(tmp_path)['de/live.js'] == b'pylit.words({"Once more": "Noch einmal"})\n'


def test_nothing_is_asked_for_before_a_touch(tmp_path: Path) -> None:
    project(tmp_path, FILES)
    assert main(['build', str(tmp_path / 'page.py'), '-o', str(tmp_path / 'out')]) == 0
    with chromium() as browser:
        page = browser.new_page()
        asked: list[str] = []
        page.on('request', lambda r: asked.append(r.url.rpartition('/')[2]))
        page.goto((tmp_path / 'out' / 'page.html').as_uri())
        page.locator('.start').wait_for()
        assert not {'live.js', 'waves.js', 'waves.css', 'waves.data.js'} & set(asked)
        page.keyboard.press('Tab')
        page.get_by_role('button', name='Try it').press('Enter')
        page.get_by_text('drawn 42').wait_for()
        assert {'live.js', 'waves.js', 'waves.css', 'waves.data.js'} <= set(asked)
        assert not page.locator('.live').is_visible()
        page.wait_for_selector('button:focus >> text=Once more')
        page.keyboard.press('Enter')
        assert page.locator('#pylit-status').text_content() == "It's drawn"


@pytest.mark.parametrize(
    'script',
    [
        'this is no script',
        'pylit.figures.waves = () => { throw new Error("no ink"); };',
        'pylit.figures.other = () => {};',
        'pylit.figures.waves = (host) => host.load("gone.js");',
        'pylit.figures.waves = (host) => { setTimeout(() => host.failed(new Error("late")), 9); };',
    ],
)
def test_a_script_that_fails_leaves_the_picture(tmp_path: Path, script: str) -> None:
    project(tmp_path, {**FILES, 'docs/live/waves.js': script})
    assert main(['build', str(tmp_path / 'page.py'), '-o', str(tmp_path / 'out')]) == 0
    with chromium() as browser:
        page = browser.new_page()
        page.goto((tmp_path / 'out' / 'page.html').as_uri())
        page.locator('.start').click()
        page.get_by_text('This figure could not be started').wait_for()
        assert page.locator('.live img').is_visible()
        assert page.locator('.figure').count() == 0
