"""What runs elsewhere: workflows, issue forms and the citation fit what is here."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / '.github'
FORMS = GITHUB / 'ISSUE_TEMPLATE'
WORKFLOWS = sorted((GITHUB / 'workflows').glob('*.yml'))


def read(path):
    # YAML 1.1 takes the key `on` for a truth
    return yaml.safe_load(path.read_text(encoding='utf-8').replace('\non:', '\n"on":'))


def targets():
    files = (ROOT / 'Makefile', ROOT / 'tools/maintain.mk')
    text = '\n'.join(file.read_text(encoding='utf-8') for file in files)
    return set(re.findall(r'^([a-z-]+):', text, re.M))


def test_every_target_is_in_one_of_the_lists():
    done = subprocess.run(
        ['make', '-s', 'help-all'], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(re.findall(r'^  make ([a-z-]+) ', done.stdout, re.M)) == targets()


@pytest.mark.parametrize('path', WORKFLOWS, ids=lambda p: p.stem)
def test_every_step_is_a_make_target_that_runs_here(path):
    for job in read(path)['jobs'].values():
        for step in job['steps']:
            if 'run' in step:
                command = step['run'].split()
                assert command[0] == 'make', step
                assert set(command[1:]) <= targets(), step
            else:  # the rest is GitHub's own
                assert step['uses'].startswith('actions/'), step
        assert job['timeout-minutes'] <= 60


# The jobs that may do more than read
MORE = {
    'publish': {'pages': 'write', 'id-token': 'write'},
    'attest': {'contents': 'read', 'id-token': 'write', 'attestations': 'write'},
}


@pytest.mark.parametrize('path', WORKFLOWS, ids=lambda p: p.stem)
def test_actions_are_pinned_and_may_do_little(path):
    """A tag can be moved to other code, a commit cannot; the comment says which version it is."""
    text = path.read_text(encoding='utf-8')
    used = re.findall(r'uses: *(.*)', text)
    assert used
    for action in used:
        assert re.fullmatch(r'actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+', action), action
    workflow = read(path)
    assert workflow['permissions'] == {'contents': 'read'}
    for name, job in workflow['jobs'].items():
        assert job.get('permissions') == MORE.get(name)
        for step in job['steps']:
            if 'checkout' in step.get('uses', ''):  # or the token stays in .git/config
                assert step['with'] == {'persist-credentials': False}


def test_what_is_pinned_is_kept_up_to_date():
    watched = {}
    for one in read(GITHUB / 'dependabot.yml')['updates']:
        watched[one['package-ecosystem']] = one.get('directories', [one.get('directory')])
    assert set(watched) == {'pip', 'npm', 'github-actions'}
    found = [p for room in ('labml_nn', 'tests') for p in (ROOT / room).rglob('package.json')]
    ours = {
        f'/{p.parent.relative_to(ROOT).as_posix()}' for p in found if 'node_modules' not in p.parts
    }
    assert set(watched['npm']) == ours


def test_three_systems_and_both_ends_of_torch():
    matrix = read(GITHUB / 'workflows' / 'tests.yml')['jobs']['test']['strategy']['matrix']
    assert {name.split('-')[0] for name in matrix['os']} == {'ubuntu', 'macos', 'windows'}
    setup = (ROOT / 'setup.py').read_text(encoding='utf-8')
    oldest = re.search(r"'torch>=([\d.]+)'", setup)[1]
    # '' is the pinned one
    assert [t.removesuffix('.0') for t in matrix['torch']] == [oldest, '']
    python = re.search(r"python_requires='>=([\d.]+)'", setup)[1]
    assert matrix['include'][0]['python'] == python
    vision = re.search(r"'torchvision>=([\d.]+)'", setup)[1]
    assert matrix['include'][0]['torchvision'].removesuffix('.0') == vision


def test_another_torch_can_be_asked_for():
    """`TORCH=2.6.0` exchanges its pin, and drops those that torch has itself."""
    done = subprocess.run(
        ['make', '-n', '-B', 'setup', 'TORCH=2.6.0'], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (command,) = [line for line in done.stdout.splitlines() if line.startswith('sed ')]
    made = subprocess.run(
        ['sh', '-c', command.split(' > ')[0]], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert 'torch==2.6.0\n' in made
    assert not re.search('^(torchvision|sympy)==', made, re.M)
    assert 'pillow==' in made


def installed(**variables):
    """What `make setup` would call pip with, and what it would say."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(('PIP_', 'TORCH'))}
    done = subprocess.run(
        ['make', '-n', '-B', 'setup'], cwd=ROOT, capture_output=True, text=True, check=True,
        env={**clean, **variables},
    )  # fmt: skip
    calls = [line.split(' install ')[1] for line in done.stdout.splitlines() if ' install ' in line]
    return [call for call in calls if '-c ' in call], done.stdout


def test_a_further_index_gives_torch_and_nothing_else():
    """pip takes the highest version that any of its indexes has, whoever put it there."""
    (all_of_it,), said = installed()
    assert 'note:' not in said
    (torch, rest), said = installed(TORCH_INDEX='https://other.example/cpu')
    assert torch.endswith('--no-deps --index-url https://other.example/cpu torch torchvision')
    assert '-c .venv/constraints.txt' in torch
    assert rest == all_of_it
    assert 'note:' not in said
    assert 'note: PIP_EXTRA_INDEX_URL is set' in installed(PIP_EXTRA_INDEX_URL='https://x')[1]
    for path in WORKFLOWS:
        assert not re.search('PIP_.*INDEX', path.read_text(encoding='utf-8')), path


def test_a_lock_is_what_pip_would_install_and_nothing_else_is(tmp_path):
    """Each file with its hash; what has none is refused, and then nothing is written."""
    digest = hashlib.sha256(b'').hexdigest()
    a = {'url': 'https://x/a.whl', 'archive_info': {'hashes': {'sha256': digest}}}
    clone = {'url': 'file:///here', 'dir_info': {}}

    def lock(**sources):
        found = [
            {'metadata': {'name': name, 'version': '1.0+cpu'}, 'download_info': source}
            for name, source in sources.items()
        ]
        here = {'python_version': '3.13', 'sys_platform': 'linux', 'platform_machine': 'x86_64'}
        (tmp_path / 'report.json').write_text(json.dumps({'install': found, 'environment': here}))
        return subprocess.run(
            [sys.executable, ROOT / '.ci' / 'lock.py', tmp_path / 'report.json'],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    made = lock(b=a, ours=clone, A=a)
    assert made.stdout.splitlines() == [
        '# Python 3.13 linux x86_64',
        f'A==1.0+cpu --hash=sha256:{digest}',
        f'b==1.0+cpu --hash=sha256:{digest}',
    ]
    refused = lock(A=a, b={'url': 'https://x/b.whl', 'archive_info': {}})
    assert (refused.returncode, refused.stdout) == (1, '')
    assert refused.stderr == 'error: pip tells no hash of b, got from https://x/b.whl\n'
    # Nothing else is installed with it
    locked, ours = installed(LOCK='build/lock.txt')[0]
    assert locked.endswith('--require-hashes -r build/lock.txt')
    assert ours.endswith("--no-deps -e '.[dev]'")


@pytest.mark.parametrize(
    ('name', 'tool', 'workflow', 'job', 'command'),
    [
        ('audit', 'pip_audit', 'audit', 'audit', 'make audit'),
        ('build', 'build', 'release', 'attest', 'make dist'),
    ],
)
def test_what_audits_and_packs_is_pinned_too(name, tool, workflow, job, command):
    lines = (ROOT / '.ci' / f'{name}.txt').read_text(encoding='utf-8').splitlines()[1:]
    assert all(re.fullmatch(r'[\w.-]+==[\w.]+', line) for line in lines)
    assert any(line.startswith(f'{tool}==') for line in lines)
    steps = read(GITHUB / 'workflows' / f'{workflow}.yml')['jobs'][job]['steps']
    assert command in [step.get('run') for step in steps]


def test_what_builds_is_pinned():
    text = (ROOT / 'pyproject.toml').read_text(encoding='utf-8')
    assert re.search(r'^requires = \["setuptools==[\d.]+"\]$', text, re.M)


def newest(cache, pip_fails_with=None, *, made=True, tests='', seconds=870, **variables):
    """`.ci/newest` with a stand-in for its Python: status, complaints, and all calls of that."""
    home = cache / 'labml_nn' / 'newest'
    (home / 'bin').mkdir(parents=True, exist_ok=True)
    fail = '' if pip_fails_with is None else f'echo {pip_fails_with} >&2; exit 1'
    stand_in = home / 'bin' / 'python'
    stand_in.write_text(
        f'#!/bin/sh\necho "$PYTHONPATH" "$@" >> {cache}/calls\n'
        f'case "$*" in *install*) {fail or ":"};; *pytest*) {tests or ":"};; esac\n'
    )
    stand_in.chmod(0o755)
    if made:
        shutil.copy(ROOT / 'setup.py', home)
    done = subprocess.run(
        [ROOT / '.ci' / 'newest'], capture_output=True, text=True,
        env={
            **os.environ, 'XDG_CACHE_HOME': str(cache), 'NEWEST_SECONDS': str(seconds), **variables,
        },
    )  # fmt: skip
    return done.returncode, done.stderr, (cache / 'calls').read_text()


@pytest.mark.skipif(sys.platform != 'linux', reason='it bounds its time by GNU timeout')
def test_the_newest_packages_are_tried_or_said_not_to_be(tmp_path):
    """Without a network it says so and blames nobody; what is there is tried without one."""
    status, said, calls = newest(tmp_path / 'none', 'no network', made=False)
    assert (status, 'NOT TRIED' in said, 'no network' in said) == (0, True, True)
    assert 'pytest' not in calls
    # Made today: the index is not asked
    status, said, calls = newest(tmp_path / 'warm', 'no network')
    assert (status, said) == (0, '')
    assert 'install' not in calls
    assert f'{ROOT} -m pytest' in calls
    # Made longer ago, and no network today
    mark = tmp_path / 'warm' / 'labml_nn' / 'newest' / 'setup.py'
    os.utime(mark, (0, 0))
    status, said, calls = newest(tmp_path / 'warm', 'no network', made=False)
    assert (status, 'NOT UPGRADED' in said, '1970' in said) == (0, True, True)
    assert calls.count('-m pytest') == 4
    # torch from elsewhere, and nothing else from there
    _, said, calls = newest(
        tmp_path / 'cpu', made=False, TORCH_INDEX='https://x.example', PIP_EXTRA_INDEX_URL='y'
    )
    first, second = [line for line in calls.splitlines() if ' install ' in line]
    assert first.endswith('--no-deps --index-url https://x.example torch torchvision')
    assert 'x.example' not in second
    assert 'note: PIP_EXTRA_INDEX_URL is set' in said
    # Our own fault
    status, said, calls = newest(tmp_path / 'ours', 'ResolutionImpossible', made=False)
    assert (status, 'what setup.py asks for' in said, 'pytest' in calls) == (1, True, False)


@pytest.mark.skipif(sys.platform != 'linux', reason='it bounds its time by GNU timeout')
def test_tests_that_fail_are_red_and_time_that_runs_out_is_told(tmp_path):
    (tmp_path / 'labml_nn' / 'newest').mkdir(parents=True)
    status, said, calls = newest(tmp_path, tests='exit 1')
    assert (status, said, calls.count('-m pytest')) == (1, '', 1)
    assert 'pytest -q -x ' in calls  # a failure is known before the time has run out
    # A crash is none of the time's
    assert newest(tmp_path, tests='exit 134')[:2] == (134, '')
    for seconds, tests in ((0, ''), (1, 'exec sleep 60')):
        status, said, _ = newest(tmp_path, tests=tests, seconds=seconds)
        assert (status, said.count('NOT DONE') >= 2) == (0, True), said


def test_the_notebook_is_executed_every_week():
    workflow = read(GITHUB / 'workflows' / 'notebook.yml')
    assert workflow['on']['schedule'][0]['cron'].split()[2:4] == ['*', '*']
    runs = [step.get('run') for step in workflow['jobs']['execute']['steps']]
    assert 'make notebooks-check' in runs


def test_a_report_of_a_problem_has_what_the_doctor_says():
    form = read(FORMS / 'problem.yml')
    field = next(f for f in form['body'] if f.get('id') == 'doctor')
    assert 'python -m labml_nn.doctor' in field['attributes']['description']
    assert field['validations']['required']


def test_the_citation_is_of_this_version():
    citation = read(ROOT / 'CITATION.cff')
    setup = (ROOT / 'setup.py').read_text(encoding='utf-8')
    assert f"version='{citation['version']}'" in setup


FILES = {
    'vendor.github-workflows': WORKFLOWS,
    'vendor.github-issue-forms': [
        GITHUB / f'ISSUE_TEMPLATE/{n}.yml' for n in ('problem', 'question')
    ],
    'vendor.github-issue-config': [GITHUB / 'ISSUE_TEMPLATE/config.yml'],
    'vendor.dependabot': [GITHUB / 'dependabot.yml'],
    'vendor.citation-file-format': [ROOT / 'CITATION.cff'],
}


@pytest.mark.parametrize('schema', FILES)
def test_files_for_github_have_the_form_that_it_reads(schema):
    pytest.importorskip('check_jsonschema')
    done = subprocess.run(
        [sys.executable, '-m', 'check_jsonschema', '--builtin-schema', schema, *FILES[schema]],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_actionlint_finds_nothing(tmp_path):
    tool = Path(sys.executable).with_name('actionlint')
    if not tool.exists():
        pytest.skip('actionlint is not installed')
    done = subprocess.run([tool, *WORKFLOWS], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    # It is one that finds something
    step = 'steps: [{run: "echo ${{ matrix.x }}"}]'
    bad = f'on: push\njobs: {{a: {{runs-on: ubuntu-latest, {step}}}}}'
    (tmp_path / 'bad.yml').write_text(bad)
    bad = subprocess.run([tool, tmp_path / 'bad.yml'], capture_output=True, text=True)
    assert bad.returncode == 1
