"""Links to the sources in the repository: the right lines of the right commit, or none."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from labml_nn.pylit.__main__ import main
from tests.kit.sites import project, render

HOME = 'https://example.org/owner/name'
CONFIG = f'[tool.pylit]\nrepository = "{HOME}"\n'
FILES = {
    'pyproject.toml': CONFIG,
    'src/a.py': '# Note\nx = 1\ny = 2\n\n# Other\nz = 3\n',
    'src/b.py': '# Note\nx = 1\n',
}


def git(folder: Path, *arguments: str) -> str:
    if not shutil.which('git'):
        pytest.skip('git is missing')
    names = ('-c', 'user.name=n', '-c', 'user.email=n@example.org', '-c', 'commit.gpgsign=false')
    around = {k: v for k, v in os.environ.items() if not k.startswith('GIT_')}
    command = ['git', '-C', str(folder), *names, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=around)
    return done.stdout.strip()


def repository(folder: Path) -> str:
    """A project with one commit, and the commit's name."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, 'init', '-q')
    git(folder, 'add', '-A')
    git(folder, 'commit', '-q', '-m', 'one')
    return git(folder, 'rev-parse', 'HEAD')


def links(text: str) -> list[str]:
    return [html.unescape(a) for a in re.findall(rf'href="({HOME}[^"]*)"', text)]


def test_every_cell_leads_to_its_lines_of_the_commit(tmp_path: Path) -> None:
    project(tmp_path, FILES)
    commit = repository(tmp_path)
    assert re.fullmatch(r'[0-9a-f]{40}', commit)
    here = f'{HOME}/blob/{commit}/src/a.py'
    assert links(render(tmp_path, 'src')['a.html']) == [here, f'{here}#L2-L3', f'{here}#L6']


def test_a_changed_file_gets_no_lines(tmp_path: Path) -> None:
    project(tmp_path, FILES)
    commit = repository(tmp_path)
    project(
        tmp_path, {**FILES, 'src/a.py': '# New\n' + FILES['src/a.py'], 'src/c.py': '# N\nx=1\n'}
    )
    files = render(tmp_path, 'src')
    assert links(files['a.html']) == [f'{HOME}/blob/{commit}/src/a.py']
    assert links(files['b.html'])[1:] == [f'{HOME}/blob/{commit}/src/b.py#L2']
    assert len(links(files['c.html'])) == 1, 'and what was never committed has no lines either'
    # The next commit has them again, under its own name
    git(tmp_path, 'add', '-A')
    git(tmp_path, 'commit', '-q', '-m', 'two')
    assert links(render(tmp_path, 'src')['a.html'])[1].endswith('#L3-L4')


def test_a_project_below_the_root_of_its_repository(tmp_path: Path) -> None:
    project(tmp_path / 'below', FILES)
    commit = repository(tmp_path)
    files = render(tmp_path / 'below', 'src')
    assert links(files['b.html'])[1] == f'{HOME}/blob/{commit}/below/src/b.py#L2'


def test_a_revision_that_is_asked_for(tmp_path: Path) -> None:
    project(tmp_path, {**FILES, 'pyproject.toml': f'{CONFIG}revision = "v1"\n'})
    assert links(render(tmp_path, 'src')['b.html'])[1] == f'{HOME}/blob/v1/src/b.py#L2'


def test_without_git_the_newest_state_and_no_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(tmp_path, FILES)
    monkeypatch.setenv('GIT_CEILING_DIRECTORIES', str(tmp_path.parent))
    assert links(render(tmp_path, 'src')['b.html']) == [f'{HOME}/blob/HEAD/src/b.py']


def test_without_a_repository_there_is_no_link(tmp_path: Path) -> None:
    project(tmp_path, {**FILES, 'pyproject.toml': ''})
    repository(tmp_path)
    shown = render(tmp_path, 'src')['a.html']
    assert '>Source<' not in shown
    assert 'blob' not in shown


@pytest.mark.parametrize('key', ['repository', 'site_url'])
@pytest.mark.parametrize('value', ['javascript:alert(1)', 'github.com/x', 'https://'])
def test_an_address_is_an_address(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, value: str
) -> None:
    project(tmp_path, {**FILES, 'pyproject.toml': f'[tool.pylit]\n{key} = "{value}"\n'})
    assert main(['check', str(tmp_path / 'src')]) == 1
    said = capsys.readouterr().err
    assert re.search(rf'pyproject\.toml:2:1: error: {key} must begin with https://', said)


# ## What other sites are told
def test_with_an_address_pages_say_where_they_are(tmp_path: Path) -> None:
    url = 'https://example.org/docs/'
    config = f'[tool.pylit]\ntitle = "Site & all"\nsite_url = "{url}"\n'
    home = '"""\n# Home\n\nThe value $x$ is one.\n\nWords *alone* here.\n"""\n'
    more = '"""\n---\nsummary: In short\n---\n\n# Sub \\"page\\"\n"""\n'
    moved = '"""\n---\nredirect: sub/\n---\n"""\n'
    project(
        tmp_path,
        {
            'pyproject.toml': config,
            'src/__init__.py': home,
            'src/sub/x.py': more,
            'src/o.py': moved,
        },
    )
    files = render(tmp_path, 'src')
    index, sub = files['index.html'], files['sub/x.html']
    assert '<link rel="canonical" href="https://example.org/docs/">' in index
    assert '<link rel="canonical" href="https://example.org/docs/sub/x.html">' in sub
    assert '<meta name="description" content="Words alone here.">' in index
    for name, content in {
        'type': 'article', 'url': f'{url}sub/x.html', 'site_name': 'Site &amp; all',
        'description': 'In short',
    }.items():  # fmt: skip
        assert f'<meta property="og:{name}" content="{content}">' in sub
    # The site map: every page that a reader is led to, under the address it calls itself by
    mapped = re.findall(r'<loc>([^<]*)</loc>', files['sitemap.xml'])
    assert mapped == [url, f'{url}sub/x.html']
    for address in mapped:
        name = address.removeprefix(url) or 'index.html'
        assert f'<link rel="canonical" href="{address}">' in files[name]


def test_the_page_that_is_shown_for_no_page(tmp_path: Path) -> None:
    config = '[tool.pylit]\nsite_url = "https://example.org/docs"\n'
    project(tmp_path, {'pyproject.toml': config, 'src/a.py': '# # A\nx = 1\n'})
    files = render(tmp_path, 'src')
    lost = files['404.html']
    assert 'There is no such page' in lost
    assert 'name="robots" content="noindex"' in lost
    assert 'canonical' not in lost
    assert 'og:' not in lost
    assert '404' not in files['sitemap.xml'] + files['search.js']
    # It is shown at any depth: no address may begin where it stands
    addresses = re.findall(r'(?:href|src|data-search)="([^"]*)"', lost)
    local = [a for a in addresses if not a.startswith(('#', 'data:'))]
    assert len(local) >= 6
    assert all(a.startswith('/docs/') for a in local), local
    for address in local:
        name = address.removeprefix('/docs/')
        assert name in files or name.startswith('assets/')


def test_without_an_address_nothing_is_said_of_one(tmp_path: Path) -> None:
    project(tmp_path, {'a.py': '# # A\nx = 1\n'})
    files = render(tmp_path)
    assert {'404.html', 'sitemap.xml'} & set(files) == set()
    assert not re.search(r'canonical|property="og:', files['a.html'] + files['index.html'])
