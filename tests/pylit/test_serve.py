"""What a server does again when a file is saved, and what it does not."""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labml_nn.pylit import serve, site
from labml_nn.pylit.config import load
from labml_nn.pylit.request import Request
from tests.kit.sites import project

FILES = {
    'index.md': '# Home\n\nWords.\n',
    'a.py': '# # One\nx = 1\n',
    'b.py': '# # Two\n# ![i](i.svg)\ny = 1\n',
    'i.svg': '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><g/></svg>',
}


@pytest.fixture
def live(tmp_path: Path) -> Iterator[serve.Live]:
    folder = project(tmp_path / 'p', FILES)
    found = serve.Live(Request([folder], load(folder)))
    found.build()
    yield found
    found.close()


def folder_of(live: serve.Live) -> Path:
    return Path(live.request.paths[0])


def seen(live: serve.Live, name: str) -> str:
    data, error = live.file(name)
    assert not error
    return (data or b'').decode()


# ## Reading
def test_what_has_not_changed_is_not_read_again(
    live: serve.Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what has is, whatever its time says."""
    read: list[str] = []
    real = site.read
    monkeypatch.setattr(
        site, 'read', lambda path, shown='': read.append(path.name) or real(path, shown)
    )
    path = folder_of(live) / 'a.py'
    about = path.stat()
    path.write_text('# # Uno\nx = 1\n')
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    live.build()
    assert read == ['a.py']
    assert 'Uno' in seen(live, 'a.html')
    # The titles of all are on every page
    assert 'Uno' in seen(live, 'index.html')
    (folder_of(live) / 'a.py').unlink()
    live.build()
    assert read == ['a.py']
    assert live.file('a.html') == (None, '')


def test_a_mistake_is_read_until_it_is_mended(live: serve.Live) -> None:
    path = folder_of(live) / 'a.py'
    for text, wrong in (('def (:\n', True), ('# ## One\n', False), ('def (:\n', True)):
        path.write_text(text)
        live.build()
        assert bool(live.error) == wrong


def test_a_style_sheet_needs_no_other_page(live: serve.Live) -> None:
    """A picture does, if no page that shows it was seen."""
    seen(live, 'a.html')
    assert live.site
    for name in ('pylit.css', 'pylit.js', 'katex/katex.css', 'icon.svg'):
        assert seen(live, f'assets/{name}')
    assert 'b.html' not in live.site.tables
    assert '<svg' in seen(live, 'assets/files/i.svg')


# ## Looking
def put(folder: Path, name: str, text: str = '') -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


CHANGES: dict[str, Callable[[Path], object]] = {
    'a file is written': lambda f: put(f, 'a.py', 'x = 2\n'),
    'a file is new': lambda f: put(f, 'c.py'),
    'a file is gone': lambda f: (f / 'a.py').unlink(),
    'a file is replaced': lambda f: (put(f, 'new'), (f / 'new').rename(f / 'a.py')),
    'a folder is new': lambda f: put(f, 'deep/down/c.py'),
    'a file in a folder is written': lambda f: put(f, 'in/c.py', 'x = 2\n'),
    'a file in a folder is new': lambda f: put(f, 'in/d.py'),
    'a folder is renamed': lambda f: (f / 'in').rename(f / 'out'),
    'a catalogue is new': lambda f: put(f, 'docs/locale/de.po'),
    'a living figure is new': lambda f: put(f, 'docs/live/ball.js'),
    'tests were run': lambda f: put(f, 'report-tests.json'),
}


@pytest.mark.parametrize('change', CHANGES)
def test_every_change_is_noticed(tmp_path: Path, change: str) -> None:
    folder = project(tmp_path / 'p', {**FILES, 'in/c.py': 'x = 1\n'})
    for path in (*folder.rglob('*'), folder):
        os.utime(path, (1, 1))
    live = serve.Live(Request([folder], load(folder)))
    before = live._times()
    assert live._times() == before
    # What changed long ago is not listed again
    assert set(live.times.listed) == {str(folder), str(folder / 'in')}
    CHANGES[change](folder)
    assert live._times() != before


def test_a_folder_that_has_just_changed_is_listed_again(tmp_path: Path) -> None:
    """Within a tick of the clock of the file system it may change once more."""
    times = serve.Times(['.py'])
    times.of(tmp_path)
    assert not times.listed
    os.utime(tmp_path, (1, 1))
    times.of(tmp_path)
    assert list(times.listed) == [str(tmp_path)]


def test_what_is_no_source_is_not_looked_at(tmp_path: Path) -> None:
    folder = project(tmp_path / 'p', FILES)
    live = serve.Live(Request([folder], load(folder)))
    before = live._times()
    project(folder, {'.git/x.py': '', 'node_modules/x.js': '', '__pycache__/a.py': ''})
    (folder / 'notes.txt').touch()
    os.utime(folder / 'pyproject.toml', ns=(1, 1))
    assert live._times() == before


# ## Answering
def test_only_what_has_changed_is_sent_again(tmp_path: Path) -> None:
    own = {'pyproject.toml': '[tool.pylit]\ncss = ["my.css"]\n', 'my.css': 'p {}'}
    folder = project(tmp_path / 'p', {**FILES, **own})
    server, live = serve.start(Request([folder], load(folder)), 0)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    url = f'http://127.0.0.1:{server.server_address[1]}'

    def ask(name: str, tag: str = '') -> tuple[int, str, int]:
        asked = urllib.request.Request(f'{url}/{name}', headers={'If-None-Match': tag})
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return answer.status, answer.headers.get('ETag', ''), len(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers.get('ETag', ''), len(error.read())

    try:
        for name in ('assets/pylit.css', 'assets/own/my.css'):
            status, tag, length = ask(name)
            assert (status, length > 0) == (200, True)
            assert ask(name, tag) == (304, tag, 0)
        (folder / 'my.css').write_text('p { margin: 0 }')
        assert ask('assets/own/my.css', tag)[0] == 200
        # A page is asked for because it has changed
        assert ask('a.html')[1] == ''
        assert ask('none.html', tag)[0] == 404
    finally:
        server.shutdown()
        server.server_close()
        live.close()
