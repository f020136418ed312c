"""What a build made is used again, and never when anything that it shows has changed."""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from labml_nn.pylit import formulas, frame, remembered
from labml_nn.pylit.__main__ import main
from tests.kit.sites import project, reported

CONFIG = r"""
[tool.pylit]
title = "Title"
[tool.pylit.glossary]
alpha = { tex = '\alpha' }
"""
FIGURE = "def draw(theme):\n    return f'<svg>{theme}</svg>'\n"
FILES = {
    'pyproject.toml': CONFIG,
    'src/__init__.py': '"""\n# Home\n\n$$x$$\n\n[a](a.py#one) [t](test:test_a.py::test_a)\n"""\n',
    'src/a.py': 'from src.b import gather\n\n# ## One\n# $\\alpha$\nalpha = gather(1)\n',
    'src/b.py': '# ## Two\n# [line](c.py#L3) ![i](i.png) ![f](figure:f.py::draw)\ndef gather(x):\n    return x\n',  # noqa: E501
    'src/c.py': '# ## Three\n# [other](src_notes.md)\nx = 1\ny = 2\n',
    'src/src_notes.md': '# Notes\n\nWords.\n',
    'src/i.png': 'png',
    'tests/test_a.py': 'def test_a():\n    pass\n\n\ndef test_b():\n    pass\n',
    'docs/figures/f.py': FIGURE,
}
PO = (
    'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\nmsgid "Words."\nmsgstr "{}"\n'
)


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')


def edit(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text('utf-8')
    assert old in text
    write(folder, name, text.replace(old, new))


def report(folder: Path, outcome: str) -> None:
    reported(folder, {'test_a.py::test_a': {'': outcome}}, 'src')


CHANGES: dict[str, Callable[[Path], object]] = {
    'nothing': lambda f: None,
    'words of a page': lambda f: edit(f, 'src/src_notes.md', 'Words.', 'Other words.'),
    'a title, which is in the contents of all': lambda f: edit(f, 'src/c.py', 'Three', 'Four'),
    'an anchor that a link arrives at': lambda f: edit(f, 'src/a.py', 'One', 'Uno'),
    'a line that a link arrives at': lambda f: write(f, 'src/c.py', '# ## Three\nx = 1'),
    'a definition that code leads to': lambda f: edit(f, 'src/b.py', 'def gather', 'def picks'),
    'a new definition of that name': lambda f: edit(f, 'src/a.py', 'alpha =', 'def gather(x): pass\n\nalpha ='),  # noqa: E501
    'a new page': lambda f: write(f, 'src/d.py', '# ## New\nx = 1\n'),
    'a page less': lambda f: ((f / 'src/src_notes.md').unlink(), edit(f, 'src/c.py', '[other](src_notes.md)', 'o')),  # noqa: E501
    'a page that is linked, gone': lambda f: (f / 'src/src_notes.md').unlink(),
    'a page that is linked, moved': lambda f: (f / 'src/c.py').rename(f / 'src/e.py'),
    'a page becomes another kind': lambda f: (f / 'src/src_notes.md').rename(f / 'src/src_notes.py') and write(f, 'src/src_notes.py', '# N\nx = 1\n'),  # noqa: E501
    'the line of a test': lambda f: edit(f, 'tests/test_a.py', 'def test_a', '\n\ndef test_a'),
    'the words of a test': lambda f: edit(f, 'tests/test_a.py', 'pass', 'assert 1'),
    'another page names the test': lambda f: edit(f, 'src/c.py', '(src_notes.md)', '(src_notes.md) [t](test:test_a.py::test_a)'),  # noqa: E501
    'a test that is named, gone': lambda f: edit(f, 'tests/test_a.py', 'def test_a', 'def test_c'),
    'a test has passed': lambda f: report(f, 'passed'),
    'a test has failed': lambda f: report(f, 'failed'),
    'an image': lambda f: write(f, 'src/i.png', 'other'),
    'an image that is gone': lambda f: (f / 'src/i.png').unlink(),
    'the source of a figure': lambda f: edit(f, 'docs/figures/f.py', 'svg>{', 'svg><!-- -->{'),
    'the glossary': lambda f: edit(f, 'pyproject.toml', r"tex = '\alpha'", r"tex = 'x'"),
    'a macro': lambda f: edit(f, 'pyproject.toml', '[tool.pylit.gloss', "[tool.pylit.macros]\n'\\alpha' = 'a'\n[tool.pylit.gloss"),  # noqa: E501
    'the title of the site': lambda f: edit(f, 'pyproject.toml', '"Title"', '"Other"'),
    'the order of the pages': lambda f: edit(f, 'pyproject.toml', '"Title"', '"Title"\nnav = ["src/c.py"]'),  # noqa: E501
    'the address of the site': lambda f: edit(f, 'pyproject.toml', '"Title"', '"Title"\nsite_url = "https://x.y"'),
    'the address of the sources': lambda f: edit(f, 'pyproject.toml', '"Title"', '"Title"\nrepository = "https://x.y"'),  # noqa: E501
    'a summary': lambda f: edit(f, 'src/src_notes.md', '# Notes', '---\nsummary: S\n---\n# Notes'),
    'a redirection': lambda f: edit(f, 'src/src_notes.md', '# Notes', '---\nredirect: a.html\n---\n# N'),  # noqa: E501
    'an equation': lambda f: edit(f, 'src/a.py', '# ## One', '# $$y$$\n#\n# ## One'),
    'a formula that is wrong': lambda f: edit(f, 'src/a.py', r'$\alpha$', r'$\foo$'),
    'a language': lambda f: edit(f, 'pyproject.toml', '"Title"', '"Title"\nlanguages = ["de"]'),
}  # fmt: skip


def build(folder: Path, out: str, *more: str) -> int:
    return main(['build', str(folder / 'src'), '-o', str(folder / out), *more])


def snapshot(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob('*'))
        if p.is_file()
    }


@pytest.fixture(scope='module')
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project that was built once, with a cache of its own and KaTeX where it is."""
    home = tmp_path_factory.mktemp('kept')
    cache = home / 'cache'
    cache.mkdir()
    (cache / formulas.katex_home().name).symlink_to(formulas.katex_home())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('PYLIT_CACHE', str(cache))
        made = project(home / 'p', FILES)
        write(made, 'docs/locale/de.po', PO.format('Worte.'))
        assert build(made, 'kept', '--execute') == 0
        assert build(made, 'kept') == 0
        shutil.copytree(made, home / 'p.copy')
        shutil.copytree(cache, home / 'cache.copy', symlinks=True)
        yield home


@pytest.fixture
def folder(prepared: Path) -> Path:
    """The same project at the same place, as it was after it was built."""
    for name in ('p', 'cache'):
        shutil.rmtree(prepared / name)
        shutil.copytree(prepared / f'{name}.copy', prepared / name, symlinks=True)
    shutil.rmtree(prepared / 'other', ignore_errors=True)
    return prepared / 'p'


def fresh(folder: Path) -> int:
    """Build without looking at what was kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remembered.Memory, 'get', lambda *_: None)
        return build(folder, 'fresh')


@pytest.mark.parametrize('change', CHANGES)
def test_whatever_changes_a_page_is_never_stale(
    folder: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    CHANGES[change](folder)
    capsys.readouterr()
    status = build(folder, 'kept'), fresh(folder)
    said = capsys.readouterr()
    assert status[0] == status[1]
    # Each problem is told by both, in the same words
    lines = [line for line in said.err.split('\n') if re.search(r':\d+:\d+: ', line)]
    assert sorted(lines) == sorted(2 * list(dict.fromkeys(lines)))
    if status[0] == 0:
        assert snapshot(folder / 'kept') == snapshot(folder / 'fresh')
    # And the build after that, which finds what this one kept
    assert build(folder, 'kept') == status[0]
    if status[0] == 0:
        assert snapshot(folder / 'kept') == snapshot(folder / 'fresh')


def test_a_translation_that_changed(folder: Path) -> None:
    CHANGES['a language'](folder)
    for word in ('Worte.', 'Wörter.'):
        write(folder, 'docs/locale/de.po', PO.format(word))
        assert build(folder, 'kept') == 0
        assert word in (folder / 'kept' / 'de' / 'src_notes.html').read_text('utf-8')


def written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pages that a build really writes."""
    pages: list[str] = []
    real = frame.Frame.write

    def spy(self: frame.Frame) -> str:
        pages.append(self.url)
        return real(self)

    with monkeypatch.context() as patch:
        patch.setattr(frame.Frame, 'write', spy)
        assert build(folder, 'kept') == 0
    return sorted(pages)


def test_what_has_not_changed_is_not_made_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert written(folder, monkeypatch) == []
    edit(folder, 'src/src_notes.md', 'Words.', 'Other words.')
    assert written(folder, monkeypatch) == ['src_notes.html']
    assert written(folder, monkeypatch) == []
    # Another title is in the contents of every page
    edit(folder, 'src/c.py', 'Three', 'Four')
    assert len(written(folder, monkeypatch)) >= 5


def test_another_program_starts_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert written(folder, monkeypatch) == []
    for page in ('site', 'request'):
        monkeypatch.setattr(f'labml_nn.pylit.{page}.program', lambda: 'another')
    assert len(written(folder, monkeypatch)) >= 5


@pytest.mark.parametrize('damage', ['gone', 'no database', 'other tables', 'broken rows', 'locked'])
def test_a_damaged_cache_costs_time_and_nothing_else(folder: Path, damage: str) -> None:
    path = remembered.cache_home() / 'pages-2.sqlite'
    before = snapshot(folder / 'kept')
    holder = None
    if damage == 'gone':
        path.unlink()
    elif damage == 'no database':
        path.write_bytes(b'nonsense' * 1000)
    elif damage == 'other tables':
        path.unlink()
        with closing(sqlite3.connect(path)) as base:
            base.execute('create table other (x)')
    elif damage == 'broken rows':
        with closing(sqlite3.connect(path)) as base, base:
            base.execute("update results set data = x'00'")
    else:
        holder = sqlite3.connect(path)
        holder.execute('begin exclusive')
    assert build(folder, 'kept') == 0
    if holder:
        holder.close()
    assert snapshot(folder / 'kept') == before


def test_where_there_is_much_only_what_was_asked_for_stays(tmp_path: Path) -> None:
    path = tmp_path / 'results.sqlite'

    def remembers(name: str) -> bool:
        memory = remembered.Memory(path, most=3)
        try:
            return bool(memory.get(name) == [name])
        finally:
            memory.close()

    def build_with(*names: str) -> None:
        memory = remembered.Memory(path, most=3)
        for name in names:
            if memory.get(name) is None:
                memory.put(name, [name])
        memory.save()

    build_with('a', 'b')
    build_with('c')
    assert all(map(remembers, 'abc'))
    build_with('b', 'd')
    assert [name for name in 'abcd' if remembers(name)] == ['b', 'd']


def test_a_server_lets_go_of_what_nobody_asks_for() -> None:
    memory = remembered.Memory()
    memory.put('a', 1)
    memory.put('b', 2)
    memory.forget()
    assert memory.get('a') == 1
    memory.forget()
    assert memory.get('a') == 1
    assert memory.get('b') is None


def test_a_link_that_only_a_translation_has_is_looked_up_each_time(folder: Path) -> None:
    CHANGES['a language'](folder)
    write(folder, 'docs/locale/de.po', PO.format('[Worte](b.py#L5).'))
    assert build(folder, 'kept') == 0
    edit(folder, 'src/b.py', ':\n    return', ': return')
    assert build(folder, 'kept') == 0
    shown = (folder / 'kept' / 'de' / 'src_notes.html').read_text('utf-8')
    assert 'has no #L5' in shown


def test_nothing_of_the_machine_is_in_the_site(folder: Path) -> None:
    for path in (folder / 'kept').rglob('*'):
        if path.suffix in ('.html', '.js', '.json'):
            assert not re.search(re.escape(str(folder)), path.read_text('utf-8')), path
