"""Links to the sources in the repository: the right lines of the right commit, or none."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from labml_nn.pylit import origin
from labml_nn.pylit.__main__ import main
from labml_nn.pylit.config import load
from labml_nn.pylit.problems import Mistakes
from tests.kit.sites import project, render, site

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
    assert links(files['c.html']) == [], 'and what was never committed is nowhere'
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
    # It is shown at any depth: no address may begin where it stands but those of the way up
    known = re.sub(r'<div class="astray">.*?</div>', '', lost, flags=re.S)
    addresses = re.findall(r'(?:href|src|data-search)="([^"]*)"', known)
    local = [a for a in addresses if not a.startswith(('#', 'data:'))]
    assert len(local) >= 6
    assert all(a.startswith('/docs/') for a in local), local
    for address in local:
        name = address.removeprefix('/docs/')
        assert name in files or name.startswith('assets/')


def test_without_an_address_nothing_is_said_of_one(tmp_path: Path) -> None:
    project(tmp_path, {'a.py': '# # A\nx = 1\n'})
    files = render(tmp_path)
    assert 'sitemap.xml' not in files
    assert not re.search(r'canonical|property="og:', ''.join(files.values()))


# ## Addresses that nobody had to decide
JOBS = ('GITHUB_SERVER_URL', 'GITHUB_REPOSITORY', 'GITHUB_WORKSPACE',
        'CI_PROJECT_DIR', 'CI_PROJECT_URL', 'CI_PAGES_URL')  # fmt: skip


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without settings, and no job around it."""
    for name in JOBS:
        monkeypatch.delenv(name, raising=False)
    return project(tmp_path / 'p', {**FILES, 'pyproject.toml': ''})


def cloned(folder: Path, url: str, remote: str = 'origin') -> str:
    """As if it was cloned from there: the remote has the commit that is checked out."""
    commit = repository(folder)
    git(folder, 'remote', 'add', remote, url)
    git(folder, 'update-ref', f'refs/remotes/{remote}/main', commit)
    return commit


HUB, LAB = 'https://github.com/Owner/name', 'https://gitlab.com/group/sub/name'


@pytest.mark.parametrize(
    ('url', 'address'),
    [
        ('https://github.com/Owner/name', HUB),
        ('https://github.com/Owner/name.git', HUB),
        ('https://github.com/Owner/name.git/', HUB),
        ('https://www.github.com/Owner/name', HUB),
        ('git@github.com:Owner/name.git', HUB),
        ('github.com:Owner/name', HUB),
        ('ssh://git@github.com/Owner/name.git', HUB),
        ('ssh://git@ssh.github.com:443/Owner/name.git', HUB),
        ('git://github.com/Owner/name.git', HUB),
        ('https://user:secret@github.com/Owner/name.git', HUB),
        ('https://x-access-token:secret@github.com/Owner/name?secret#secret', HUB),
        ('git@gitlab.com:group/sub/name.git', LAB),
        ('https://oauth2:secret@gitlab.com/group/sub/name.git', LAB),
        ('https://gitlab.example.org:8443/a/b.git', 'https://gitlab.example.org:8443/a/b'),
        ('ssh://git@gitlab.example.org:2222/a/b.git', 'https://gitlab.example.org/a/b'),
        # Neither of the two by its name
        ('https://example.org/a/b', ''),
        ('https://github.com.example.org/a/b', ''),
        ('git@work:a/b.git', ''),
        # No repository
        ('https://github.com/name', ''),
        ('https://github.com/a/b/c', ''),
        ('https://github.com/a/../b', ''),
        ('https://github.com/a/b"><i>', ''),
        ('https://github.com:x/a/b', ''),
        ('https://[github.com/a/b', ''),
        # Folders of this machine
        ('/home/me/github.com/a/b', ''),
        ('../a/b', ''),
        ('file:///home/me/a/b', ''),
        ('file://github.com/a/b', ''),
        ('C:\\a\\b', ''),
        ('C:/a/b', ''),
        ('', ''),
    ],
)
def test_nothing_of_a_remote_is_published_but_host_and_path(url: str, address: str) -> None:
    assert origin.clean(url) == address


def test_a_clone_knows_where_it_came_from(plain: Path) -> None:
    commit = cloned(plain, 'https://me:secret@github.com/Owner/name.git')
    files = render(plain, 'src')
    here = f'{HUB}/blob/{commit}/src/a.py'
    assert re.findall(rf'href="({HUB}[^"]*)"', files['a.html']) == [
        here, f'{here}#L2-L3', f'{here}#L6'
    ]  # fmt: skip
    assert '<link rel="canonical" href="https://owner.github.io/name/a.html">' in files['a.html']
    assert 'https://owner.github.io/name/a.html' in files['sitemap.xml']
    assert 'href="/name/a.html"' in files['404.html']
    assert 'secret' not in ''.join(files.values())


def test_gitlab_calls_its_lines_otherwise(plain: Path) -> None:
    commit = cloned(plain, 'git@gitlab.com:group/sub/name.git')
    files = render(plain, 'src')
    assert f'href="{LAB}/-/blob/{commit}/src/a.py#L2-3"' in files['a.html']
    assert 'canonical' not in files['a.html'], 'where its pages are, GitLab tells its jobs alone'


def test_of_several_remotes_the_one_that_was_cloned(plain: Path) -> None:
    commit = cloned(plain, 'https://github.com/upstream/name', 'upstream')
    assert origin.find(load(plain)).base == f'https://github.com/upstream/name/blob/{commit}'
    git(plain, 'remote', 'add', 'other', 'https://github.com/other/name')
    assert origin.find(load(plain)) == origin.Origin(), 'nobody knows which'
    git(plain, 'remote', 'add', 'origin', 'https://github.com/fork/name')
    git(plain, 'update-ref', 'refs/remotes/origin/main', commit)
    assert origin.find(load(plain)).base == f'https://github.com/fork/name/blob/{commit}'


def test_a_commit_that_was_not_pushed_is_nowhere(plain: Path) -> None:
    pushed = cloned(plain, 'https://github.com/Owner/name')
    project(plain, {**FILES, 'pyproject.toml': '', 'src/a.py': '# New\nx = 1\n', 'src/n.py': ''})
    git(plain, 'add', '-A')
    git(plain, 'commit', '-q', '-m', 'two')
    found = origin.find(load(plain))
    base = f'{HUB}/blob/{pushed}'
    assert found.address(plain / 'src/b.py', 2) == f'{base}/src/b.py#L2'
    assert found.address(plain / 'src/a.py') == f'{base}/src/a.py'
    assert found.address(plain / 'src/a.py', 2) == '', 'whose lines are others there'
    assert found.address(plain / 'src/n.py') == '', 'and which is not there'
    # Nothing at all was pushed
    git(plain, 'update-ref', '-d', 'refs/remotes/origin/main')
    assert origin.find(load(plain)).base == ''


@pytest.mark.parametrize('url', ['/srv/git/name', '../name', 'https://example.org/a/b'])
def test_a_remote_that_is_nobodys_page_gives_nothing(plain: Path, url: str) -> None:
    commit = repository(plain)
    before = render(plain, 'src')
    git(plain, 'remote', 'add', 'origin', url)
    git(plain, 'update-ref', 'refs/remotes/origin/main', commit)
    assert render(plain, 'src') == before


def test_without_git_nothing_is_found(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cloned(plain, 'https://github.com/Owner/name')
    monkeypatch.setattr(shutil, 'which', lambda name: None)
    assert origin.find(load(plain)) == origin.Origin()


def test_the_jobs_of_github_and_gitlab_say_where_they_are(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repository(plain)
    monkeypatch.setenv('GITHUB_SERVER_URL', 'https://github.com')
    monkeypatch.setenv('GITHUB_REPOSITORY', 'Owner/owner.github.io')
    monkeypatch.setenv('GITHUB_WORKSPACE', str(plain))
    found = origin.find(load(plain))
    assert found.base == f'https://github.com/Owner/owner.github.io/blob/{commit}'
    assert found.site == 'https://owner.github.io/'
    # A server of one's own, whose pages nobody tells
    monkeypatch.setenv('GITHUB_SERVER_URL', 'https://git.example.org')
    found = origin.find(load(plain))
    assert found.base.startswith('https://git.example.org/Owner/owner.github.io/blob/')
    assert found.site == ''
    # What a job works on says nothing of other folders
    monkeypatch.setenv('GITHUB_WORKSPACE', str(plain / 'src'))
    assert origin.find(load(plain)) == origin.Origin()
    monkeypatch.setenv('CI_PROJECT_DIR', str(plain))
    monkeypatch.setenv('CI_PROJECT_URL', LAB)
    monkeypatch.setenv('CI_PAGES_URL', 'https://me:secret@group.gitlab.io/sub/name')
    found = origin.find(load(plain))
    assert found.base == f'{LAB}/-/blob/{commit}'
    assert found.site == 'https://group.gitlab.io/sub/name'


def test_settings_win(plain: Path) -> None:
    cloned(plain, 'https://github.com/Owner/name')
    settings = '[tool.pylit]\nrepository = "https://example.org/x"\n'
    project(plain, {'pyproject.toml': f'{settings}revision = "v1"\n'})
    found = origin.find(load(plain))
    assert (found.base, found.site) == ('https://example.org/x/blob/v1', '')
    project(plain, {'pyproject.toml': '[tool.pylit]\nsite_url = "https://example.org/s"\n'})
    found = origin.find(load(plain))
    assert found.base.startswith(f'{HUB}/blob/')
    assert found.site == 'https://example.org/s'


NOTEBOOK = '# [Notebook](../run.ipynb) [Colab](colab:../run.ipynb)\nx = 1\n'


def test_a_notebook_can_be_run_where_github_has_it(plain: Path) -> None:
    project(plain, {'pyproject.toml': '', 'src/a.py': NOTEBOOK, 'run.ipynb': '{}'})
    before = site(plain, 'src').render()
    shown = before['a.html'].decode()
    assert '<a href="assets/files/run.ipynb">Notebook</a>' in shown
    assert before['assets/files/run.ipynb'] == b'{}'
    assert 'colab' not in shown, 'and nobody sees that one was looked for'
    assert '<span class="nowhere" hidden>Colab</span>' in shown
    commit = cloned(plain, 'https://github.com/Owner/name')
    shown = render(plain, 'src')['a.html']
    where = f'Owner/name/blob/{commit}/run.ipynb'
    assert f'<a href="https://github.com/{where}">Notebook</a>' in shown
    assert f'href="https://colab.research.google.com/github/{where}"' in shown
    project(plain, {'pyproject.toml': '', 'src/a.py': NOTEBOOK.replace('run.', 'no.')})
    with pytest.raises(Mistakes, match=r'there is no notebook \.\./no\.ipynb'):
        render(plain, 'src')


PICTURE = '![a picture](../{})'


def test_other_sites_are_told_of_a_picture(plain: Path) -> None:
    image = b'\x89PNG\r\n\x1a\n'
    for name in ('one.png', 'two.png'):
        (plain / name).write_bytes(image)
    (plain / 'drawn.svg').write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    project(
        plain,
        {
            'pyproject.toml': '[tool.pylit]\nsite_url = "https://example.org/s"\n',
            'src/__init__.py': f'"""\n# H\n\n{PICTURE.format("one.png")}\n"""\n',
            'src/a.py': f'"""\n# A\n\n{PICTURE.format("two.png")}\n"""\n',
            'src/b.py': f'"""\n# B\n\n{PICTURE.format("drawn.svg")}\n"""\n',
        },
    )
    files = render(plain, 'src')
    for url, name in (('index', 'one'), ('a', 'two'), ('b', 'one')):
        address = f'https://example.org/s/assets/files/{name}.png'
        assert f'<meta property="og:image" content="{address}">' in files[f'{url}.html']
