"""The doctor: a line for everything, also where things are broken."""

import os
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.long

NAMES = (
    'labml-nn', 'python', 'torch', 'torchvision', 'numpy', 'labml', 'labml-helpers', 'matplotlib',
    'pillow', 'scikit-learn', 'optional', 'device', 'memory', 'self-test',
)  # fmt: skip


def doctor(tmp_path, **broken):
    """Run it beside modules that hold what is given; its status, and its lines by name."""
    for name, source in broken.items():
        (tmp_path / f'{name}.py').write_text(source)
    path = os.pathsep.join([str(tmp_path), os.getcwd()])
    done = subprocess.run(
        [sys.executable, '-m', 'labml_nn.doctor'],
        capture_output=True, text=True, env={**os.environ, 'PYTHONPATH': path},
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if ' amiss: ' not in line]
    assert [line[2:].split()[0] for line in lines] == list(NAMES), done.stdout + done.stderr
    return done.returncode, {line[2:].split()[0]: line for line in lines}


def test_a_sound_installation(tmp_path):
    status, lines = doctor(tmp_path)
    assert status == 0, lines
    assert not any(line.startswith('!') for line in lines.values())
    import torch

    assert torch.__version__ in lines['torch']
    assert 'compiled half' in lines['torchvision']
    assert 'GiB' in lines['memory']
    assert 'two training steps' in lines['self-test']


ABSENT = 'raise ModuleNotFoundError("No module named {0!r}", name={0!r})'


@pytest.mark.parametrize('source', [ABSENT, 'raise RuntimeError("of another torch")', '1 / 0'])
def test_what_is_broken_has_a_line_of_its_own(tmp_path, source):
    names = {'labml', 'matplotlib', 'torchvision'}
    status, lines = doctor(tmp_path, **{name: source.format(name) for name in names})
    assert status == 1
    # labml-helpers stands on labml; nothing else falls with them
    fallen = {n for n, line in lines.items() if line.startswith('!')}
    assert fallen - {'labml-helpers'} == names, lines
    for name in names:
        assert re.search('pip install|another torch|ZeroDivisionError', lines[name]), lines[name]
    assert 'right' in lines['self-test']


@pytest.mark.parametrize('source', ['import os; os.abort()', 'import os; os._exit(0)'])
def test_what_ends_the_process_has_a_line(tmp_path, source):
    status, lines = doctor(tmp_path, torchvision=source)
    assert status == 1
    assert [n for n, line in lines.items() if line.startswith('!')] == ['torchvision'], lines
    assert 'ended the process' in lines['torchvision']
    assert 'right' in lines['self-test']


def test_without_torch_there_is_no_traceback(tmp_path):
    status, lines = doctor(tmp_path, torch=ABSENT.format('torch'))
    assert status == 1
    assert lines['torch'].startswith('! ')
    assert 'pip install torch' in lines['torch']
    assert lines['self-test'].startswith('! ')


def test_a_wrong_answer_is_noticed(monkeypatch, capsys):
    from labml_nn import doctor as page
    from labml_nn.diffusion.ddpm import DenoiseDiffusion

    right = DenoiseDiffusion.loss
    monkeypatch.setattr(DenoiseDiffusion, 'loss', lambda self, x0: 3 * right(self, x0))
    monkeypatch.setattr(page, 'CHECKS', {'self-test': page.self_test})
    assert page.main() == 1
    assert 'should be near 1' in capsys.readouterr().out
