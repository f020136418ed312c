"""The command that distills a run: stages, what a student keeps, what is refused at the door."""

import re
from functools import partial

import pytest
import torch

from labml_nn.diffusion.ddpm import distill, evaluate, experiment
from labml_nn.diffusion.ddpm.sampler import Sampler
from labml_nn.runs import checkpoint
from tests.kit.runs import called, equal, opened

train, run = partial(called, experiment.main), partial(called, distill.main)
show = partial(called, evaluate.main)
SMALL = ['--preset', 'tests', '--n_previews', 0, '--n_samples', 0, '--n_channels', 16,
         '--track', 'none']  # fmt: skip
FEW = ['--steps', 2, '--n_previews', 0, '--n_samples', 0, '--log_every', 1, '--track', 'none']


def trained(out, *options):
    status, _, errors = train(*SMALL, '--steps', 2, '--out', out, *options)
    assert status == 0, errors
    return out


@pytest.fixture(scope='module')
def teachers(tmp_path_factory):
    """A folder of teachers, by what they predict."""
    folder = tmp_path_factory.mktemp('runs')
    trained(folder / 'v', '--target', 'v')
    trained(folder / 'u', '--target', 'u', '--schedule', 'straight')
    return folder


@pytest.fixture(scope='module')
def students(teachers):
    status, said, errors = run(
        teachers / 'v', '--first', 4, '--calls', 2, '--out', teachers / 'two', *FEW
    )
    assert status == 0, errors
    assert said.count('learns  progressive') == 2
    return teachers


def config(folder):
    return checkpoint.load(folder)['config']


def test_halving_is_a_chain_of_runs(students):
    """Each learns from the one before, whose averaged weights it began with."""
    for name, teacher, calls in (('two.4', 'v', 4), ('two', 'two.4', 2)):
        c = config(students / name)
        assert (c['distill'], c['calls'], c['target']) == ('progressive', calls, 'v')
        assert c['teacher'] == str((students / teacher / 'checkpoint.pt').absolute())
        assert (c['weight'], c['learning_rate']) == ('truncated_snr', 1e-3)
        assert (c['preview_sampler'], c['preview_steps']) == ('ddim', calls)
        # What is of the network and of the data comes from the teacher
        assert (c['n_channels'], c['batch_size']) == (16, 16)


def test_a_student_is_sampled_as_it_was_made_for(students, tmp_path):
    sampler = Sampler.from_run(students / 'two', device='cpu')
    assert (sampler.name, sampler.reverse.tau) == ('ddim', [499, 999])
    out = tmp_path / 'out.png'
    status, _, errors = show('sample', students / 'two', '--n', 2, '-o', out)
    assert status == 0, errors
    about = opened(out).info
    assert about['sampler'] == 'ddim'
    # One of its steps alone
    assert Sampler.from_run(students / 'two', device='cpu', steps=1).reverse.tau == [999]
    assert show('animate', students / 'two', '--n', 1, '-o', tmp_path / 'a.gif')[0] == 0


@pytest.mark.parametrize(
    'options',
    [['--steps', 4], ['--sampler', 'dpm'], ['--sampler', 'ddpm'], ['--spacing', 'linspace']],
)
def test_steps_that_were_not_learned_are_refused(students, tmp_path, options):
    status, _, errors = show('sample', students / 'two', *options, '-o', tmp_path / 'out.png')
    assert status == 2
    assert 'distilled for 2 steps of ddim, and has learned 2 of its 1,000 steps alone' in errors


def test_a_run_that_is_no_student_is_sampled_as_before(students):
    sampler = Sampler.from_run(students / 'v', device='cpu')
    assert (sampler.name, sampler.reverse.n_steps) == ('dpm', 20)
    assert Sampler.from_run(students / 'v', device='cpu', sampler='ddpm').reverse.n_steps == 1000


@pytest.mark.parametrize('method', ['consistency', 'reflow'])
def test_each_method_makes_a_run(teachers, tmp_path, method, monkeypatch):
    monkeypatch.setattr('labml_nn.diffusion.ddpm.teacher.N_PAIRS', 32)
    monkeypatch.setattr('labml_nn.diffusion.ddpm.teacher.PAIR_STEPS', 2)
    out = tmp_path / method
    status, _, errors = run(teachers / 'u', '--method', method, '--out', out, *FEW)
    assert status == 0, errors
    sampler = Sampler.from_run(out, device='cpu')
    expected = {'consistency': ('consistency', 1), 'reflow': ('ddim', 2)}[method]
    assert (sampler.name, sampler.reverse.n_steps) == expected
    assert not equal(dict(checkpoint.load(out)['model']),
                     dict(checkpoint.load(teachers / 'u')['ema']))  # fmt: skip
    # More calls than it was made for, where it has learned the steps
    assert torch.isfinite(Sampler.from_run(out, device='cpu', steps=4).sample(2)).all()


@pytest.mark.parametrize('method', ['progressive', 'consistency', 'reflow'])
def test_cut_anywhere_and_resumed_is_the_same(teachers, tmp_path, method, monkeypatch):
    """To the bit, as for any run: the lessons follow from the seed and the step."""
    monkeypatch.setattr('labml_nn.diffusion.ddpm.teacher.N_PAIRS', 32)
    monkeypatch.setattr('labml_nn.diffusion.ddpm.teacher.PAIR_STEPS', 2)
    start = [teachers / 'u', '--method', method, '--calls', 2, '--first', 2, *FEW,
             '--cooldown', 0]  # fmt: skip
    assert run(*start, '--steps', 5, '--out', tmp_path / 'whole')[0] == 0
    assert run(*start, '--steps', 3, '--out', tmp_path / 'cut')[0] == 0
    assert train('--out', tmp_path / 'cut', '--resume', '--steps', 5)[0] == 0
    whole, cut = (checkpoint.load(tmp_path / name) for name in ('whole', 'cut'))
    for part in ('model', 'ema', 'optimizer'):
        assert equal(whole[part], cut[part]), part


def test_the_same_command_goes_on(teachers, tmp_path, monkeypatch):
    """What is done is left alone, and what is not is begun."""
    out = tmp_path / 'four'
    start = [teachers / 'v', '--first', 8, '--calls', 4, '--out', out, *FEW]
    first = [teachers / 'v', '--first', 8, '--calls', 8, '--out', tmp_path / 'four.8', *FEW]
    assert run(*first)[0] == 0
    before = checkpoint.load(tmp_path / 'four.8')
    status, said, errors = run(*start)
    assert status == 0, errors
    assert 'all 2 steps are done' in said
    assert equal(before['model'], checkpoint.load(tmp_path / 'four.8')['model'])
    assert config(out)['calls'] == 4


def test_a_run_from_a_student_is_no_student(students, tmp_path):
    status, _, errors = train('--init', students / 'two', '--out', tmp_path / 'new', '--steps', 0)
    assert status == 0, errors
    c = config(tmp_path / 'new')
    assert (c['distill'], c['calls'], c['teacher']) == ('none', 0, '')
    assert (c['preview_sampler'], c['preview_steps']) == ('dpm', 20)


@pytest.mark.parametrize(
    ('calls', 'first', 'chain'), [(4, 16, [16, 8, 4]), (1, 2, [2, 1]), (3, 12, [12, 6, 3])]
)
def test_stages_are_halvings(calls, first, chain):
    assert distill.stages('progressive', calls, first) == chain
    assert distill.stages('consistency', calls, first) == [calls]


@pytest.mark.parametrize(
    ('teacher', 'options', 'message'),
    [
        ('v', ['--calls', 3], 'halving 16 does not lead to 3: try --first 24'),
        ('v', ['--method', 'progresive'], 'did you mean progressive'),
        ('v', ['--calls', 0], 'needs --calls'),
        ('v', ['--calls', 512, '--first', 512], 'calls=512: progressive can be for 1 to 500'),
        ('v', ['--method', 'consistency', '--calls', 3], 'calls=3 does not divide the 32 steps'),
        ('v', ['--method', 'reflow'], 'reflow needs straight lines'),
        ('v', ['--target', 'x0'], 'a student of .* has its options: leave out target=x0'),
        ('v', ['--n_steps', 2000], 'leave out n_steps=2000'),
        ('two', ['--method', 'consistency'], 'has learned 2 steps alone'),
        ('two', ['--calls', 2, '--first', 2], 'has learned 2 steps alone: .* --calls 1'),
        ('nothing', [], 'does not exist'),
    ],
)
def test_what_cannot_be_distilled_is_refused(students, tmp_path, teacher, options, message):
    status, _, errors = run(students / teacher, '--out', tmp_path / 'out', *options, *FEW)
    assert status == 2
    assert_said(message, errors)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('kind', 'method', 'message'),
    [
        (['--target', 'eps'], 'progressive', 'predicts eps, of which few steps cannot be made'),
        (['--target', 'x0'], 'consistency', 'predicts x0, which is not the image itself'),
        (['--target', 'v', '--n_classes', 10], 'progressive', 'is told classes'),
        (['--variance', 'learned'], 'progressive', 'learned variance'),
    ],
)
def test_teachers_that_cannot_teach_are_refused(tmp_path, kind, method, message):
    teacher = trained(tmp_path / 'teacher', *kind, '--steps', 0)
    options = ['--method', method, '--weight', 'constant', '--out', tmp_path / 'out', *FEW]
    status, _, errors = run(teacher, *options)
    assert status == 2
    assert_said(message, errors)


def test_training_says_where_the_teacher_is_named(tmp_path):
    status, _, errors = train(*SMALL, '--distill', 'progressive', '--out', tmp_path / 'out')
    assert status == 2
    assert 'begins with the weights of its teacher: name that run with --init' in errors


def test_a_teacher_that_has_moved_can_be_named(teachers, tmp_path):
    options = ['--calls', 2, '--first', 2, '--out', tmp_path / 'two', *FEW]
    assert run(teachers / 'v', *options, '--teacher', teachers / 'v' / 'checkpoint.pt')[0] == 0
    again = ['--out', tmp_path / 'two', '--resume', '--steps', 3]
    status, _, errors = train(*again, '--teacher', tmp_path / 'gone')
    assert status == 2
    assert 'does not exist' in errors
    assert train(*again, '--teacher', teachers / 'v')[0] == 0


def assert_said(pattern, text):
    assert re.search(pattern, text), text
