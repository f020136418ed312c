"""What stands is found to stand without being rendered, and nothing that has changed is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labml_nn.pylit import site, unchanged
from labml_nn.pylit.__main__ import main
from tests.kit.sites import project, reported

FILES = {
    'pyproject.toml': '[tool.pylit]\ntitle = "Title"\nrepository = "https://x.y/p"\n',
    'src/__init__.py': '"""\n# Home\n\n[t](test:test_a.py::test_a) [w](words.txt)\n"""\n',
    'src/a.py': '# ## One\n# ![i](i.svg) ![l](live:ball)\nx = 1\n',
    'src/i.svg': '<svg><g/></svg>',
    'src/words.txt': 'Words\n',
    'tests/test_a.py': 'def test_a():\n    pass\n',
    'docs/live/ball.js': '// a ball\n',
    'docs/live/ball.svg': '<svg><g/></svg>',
}
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><g/></svg>'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that was built, with a cache of its own."""
    cache = tmp_path / 'cache'
    cache.mkdir()
    home = site.formulas.katex_home()
    (cache / home.name).symlink_to(home)
    monkeypatch.setenv('PYLIT_CACHE', str(cache))
    made = project(tmp_path / 'p', {n: t.replace('<svg>', SVG[:-10]) for n, t in FILES.items()})
    assert build(made) == 0
    return made


def build(folder: Path, *more: str) -> int:
    return main(['build', str(folder / 'src'), '-o', str(folder / 'out'), '--strict', *more])


def renders(folder: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> bool:
    """Build, and say whether anything was rendered for it."""
    rendered = []
    real = site.Site.render

    def spy(self: site.Site) -> dict[str, bytes]:
        rendered.append(self)
        return real(self)

    with monkeypatch.context() as patch:
        patch.setattr(site.Site, 'render', spy)
        build(folder, *more)
    return bool(rendered)


def test_what_stands_is_not_rendered(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the same is said as if it had been."""
    capsys.readouterr()
    assert renders(folder, monkeypatch, '--no-cache')
    said = capsys.readouterr()
    assert not renders(folder, monkeypatch)
    assert capsys.readouterr() == said
    assert 'no mark says passed' in said.err


def keeping_times(change: Callable[[Path], object]) -> Callable[[Path], None]:
    """The same change, and nobody can see it by the size or the time of the file."""

    def changed(path: Path) -> None:
        about = path.stat()
        change(path)
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
        assert (path.stat().st_size, path.stat().st_mtime_ns) == (about.st_size, about.st_mtime_ns)

    return changed


def swapped(old: str, new: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        text = path.read_text('utf-8')
        assert old in text
        path.write_text(text.replace(old, new), encoding='utf-8')

    return keeping_times(change)


def report(folder: Path) -> None:
    reported(folder, {'test_a.py::test_a': {'': 'passed'}}, 'src')


def older(folder: Path) -> None:
    """The site of an older state, with the times that it had: a backup."""
    shutil.copytree(folder / 'out', folder / 'backup')
    swapped('One', 'Two')(folder / 'src/a.py')
    build(folder)
    shutil.rmtree(folder / 'out')
    (folder / 'backup').rename(folder / 'out')


def commit(folder: Path) -> None:
    author = ['-c', 'user.name=A', '-c', 'user.email=a@b.c']
    for arguments in (['init', '-q'], ['add', 'src'], [*author, 'commit', '-q', '-m', 'One']):
        subprocess.run(['git', '-C', str(folder), *arguments], check=True, capture_output=True)


CHANGES: dict[str, Callable[[Path], object]] = {
    'a page': lambda f: swapped('One', 'Two')(f / 'src/a.py'),
    'a picture': lambda f: swapped('<g/>', '<a/>')(f / 'src/i.svg'),
    'the script of a living figure': lambda f: swapped('ball', 'tree')(f / 'docs/live/ball.js'),
    'a test': lambda f: swapped('pass', '1234')(f / 'tests/test_a.py'),
    'the settings': lambda f: swapped('Title', 'Other')(f / 'pyproject.toml'),
    'a new page': lambda f: (f / 'src/b.py').write_text('# ## New\n'),
    'a page less': lambda f: (f / 'src/a.py').unlink(),
    'a page by another name': lambda f: (f / 'src/a.py').rename(f / 'src/c.py'),
    'a page that is a link': lambda f: ((f / 'src/a.py').rename(f / 'a.py'), (f / 'src/a.py').symlink_to('../a.py')),  # noqa: E501
    'a new folder of pages': lambda f: project(f, {'src/new/b.py': '# ## New\n'}),
    'a file that is linked, gone': lambda f: (f / 'src/words.txt').unlink(),
    'a picture for the night': lambda f: (f / 'docs/live/ball.dark.svg').write_text(SVG),
    'a report of the tests': report,
    'a page of the site, gone': lambda f: (f / 'out/a.html').unlink(),
    'a page of the site, changed': lambda f: swapped('One', 'Two')(f / 'out/a.html'),
    'the manifest of the site, gone': lambda f: (f / 'out/.pylit-manifest.json').write_text('{}'),
    'all of the site, gone': lambda f: shutil.rmtree(f / 'out'),
    'an older site': older,
    'a commit, which the addresses of lines name': commit,
    'formulas of another version': lambda f: next((f.parent / 'cache').glob('katex-*')).unlink(),
}  # fmt: skip


@pytest.mark.parametrize('change', CHANGES)
def test_whatever_was_looked_at_is_looked_at_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    assert not renders(folder, monkeypatch)
    CHANGES[change](folder)
    assert renders(folder, monkeypatch)


@pytest.mark.parametrize('change', ['a new test', 'a setting of pytest', 'a new file beside'])
def test_a_report_is_of_all_that_its_tests_may_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    report(folder)
    build(folder)
    assert not renders(folder, monkeypatch)
    names = {'a new test': 'tests/deep/test_b.py', 'a setting of pytest': 'conftest.py'}
    project(folder, {**FILES, names.get(change, 'src/more.json'): '{}'})
    assert renders(folder, monkeypatch)
    assert 'class="claim passed"' not in (folder / 'out/index.html').read_text('utf-8')


def test_other_arguments_are_another_site(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert renders(folder, monkeypatch, '--execute')
    project(folder, {**FILES, 'docs/locale/de.po': 'msgid ""\nmsgstr ""\n'})
    assert renders(folder, monkeypatch, '--lang', 'de')
    assert renders(folder, monkeypatch)
    monkeypatch.setattr('labml_nn.pylit.request.program', lambda: 'another')
    assert renders(folder, monkeypatch)


NAME = """
import sys
from pathlib import Path
from labml_nn.pylit.config import load
from labml_nn.pylit.request import Request
folder = Path(sys.argv[1])
print(Request([folder / 'src'], load(folder)).name())
"""


def test_the_same_is_asked_in_another_process(folder: Path) -> None:
    """Whatever order its sets have."""
    commit(folder)

    def name(seed: str) -> str:
        around = {**os.environ, 'PYTHONHASHSEED': seed}
        command = [sys.executable, '-c', NAME, str(folder)]
        return subprocess.run(
            command, env=around, capture_output=True, text=True, check=True
        ).stdout

    assert len({name(seed) for seed in '1234'}) == 1


def test_what_changes_during_a_build_is_in_the_next(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page was read before it changed, and a picture after."""
    real = site.Site.prepare

    def slow(self: site.Site) -> None:
        real(self)
        swapped('One', 'Two')(folder / 'src/a.py')

    swapped('Home', 'Door')(folder / 'src/__init__.py')
    with monkeypatch.context() as patch:
        patch.setattr(site.Site, 'prepare', slow)
        assert build(folder) == 0
    assert 'One' in (folder / 'out/a.html').read_text('utf-8')
    assert renders(folder, monkeypatch)
    assert 'Two' in (folder / 'out/a.html').read_text('utf-8')
    assert not renders(folder, monkeypatch)


def test_what_is_wrong_is_told_each_time(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / 'src/a.py').write_text('# ## One\n# [b](b.py)\n')
    for _ in range(2):
        assert renders(folder, monkeypatch)
        assert 'dead link' in capsys.readouterr().err


def test_a_site_within_its_sources_is_none_of_them(tmp_path: Path) -> None:
    """It comes and goes, and is never looked at."""
    made = project(tmp_path / 'p', {'a.py': '# ## One\nx = 1\n'})
    with unchanged.watching(made / 'out') as watch:
        os.listdir(made)
        (made / 'out').mkdir()
    assert unchanged.holds(watch.seen())
    (made / 'b.py').touch()
    assert not unchanged.holds(watch.seen())


def test_what_is_written_was_not_looked_at(tmp_path: Path) -> None:
    with unchanged.watching() as watch:
        (tmp_path / 'new').write_text('x')
        os.close(os.open(tmp_path / 'other', os.O_WRONLY | os.O_CREAT))
        with pytest.raises(FileNotFoundError):
            (tmp_path / 'none').read_text()
    (tmp_path / 'new').write_text('y')
    assert unchanged.holds(watch.seen())
    (tmp_path / 'none').write_text('z')
    assert not unchanged.holds(watch.seen())
