"""A run that begins with the weights of another, and one that goes on after its cool-down."""

from functools import partial

import pytest
import torch
from PIL import Image

from labml_nn.diffusion.ddpm import experiment
from labml_nn.diffusion.ddpm.experiment import make_configs
from labml_nn.diffusion.ddpm.notes import of_rate
from labml_nn.runs import checkpoint
from tests.kit.runs import PLAIN, called, equal

run = partial(called, experiment.main)
SMALL = [*PLAIN, '--n_channels', 16, '--log_every', 4, '--learning_rate', 0.01]


@pytest.fixture(scope='module')
def first(tmp_path_factory):
    """A run of a few steps, whose averaged weights are not the raw ones."""
    out = tmp_path_factory.mktemp('runs') / 'first'
    status, _, errors = run(*SMALL, '--steps', 6, '--n_classes', 10, '--out', out)
    assert status == 0, errors
    state = checkpoint.load(out)
    assert not equal(dict(state['model']), dict(state['ema']))
    return out


def begun(first, out, *options):
    """What a run looks like that begins so: its checkpoint before the first step, and its words."""
    status, printed, errors = run('--init', first, '--out', out, '--steps', 0, *options)
    assert status == 0, errors
    return checkpoint.load(out), printed


@pytest.mark.parametrize('kind', ['ema', 'raw'])
def test_a_run_begins_with_the_averaged_weights_of_another(first, tmp_path, kind):
    old = checkpoint.load(first)
    more = ['--init_weights', 'raw'] if kind == 'raw' else []
    new, printed = begun(first, tmp_path / 'new', '--learning_rate', '1e-4', *more)
    for name in ('model', 'ema'):
        assert equal(dict(new[name]), dict(old['ema' if kind == 'ema' else 'model']))
    assert (new['step'], new['ema_updates'], new['optimizer']['state']) == (0, 0, {})
    assert new['config'] == {**old['config'], 'learning_rate': 1e-4, 'steps': 0}
    word = 'averaged' if kind == 'ema' else 'raw'
    assert f'init    {word} weights of {first / "checkpoint.pt"}, step 6' in printed
    assert 'note    ' not in printed.replace('note    1,797', '')


def test_it_trains_from_there(first, tmp_path):
    """The first step is from the old weights: smaller than they are far from new ones."""
    out = tmp_path / 'new'
    status, _, errors = run('--init', first, '--out', out, '--steps', 1, '--warmup', 0)
    assert status == 0, errors
    old, new = checkpoint.load(first)['ema'], checkpoint.load(out)['model']
    moved = max(float((new[k] - old[k]).abs().max()) for k in old)
    assert 0 < moved <= 0.0101  # Adam's first step is the rate
    assert run('--out', out, '--resume', '--steps', 2)[0] == 0


@pytest.mark.parametrize('n', [0, 3])
def test_other_classes_begin_anew(first, tmp_path, n):
    pictures = tmp_path / 'pictures'
    for i in range(3):
        (pictures / str(i)).mkdir(parents=True)
        Image.new('L', (8, 8), 80 * i).save(pictures / str(i) / 'a.png')
    data = ['--dataset', 'folder', '--data_root', pictures]
    new, printed = begun(first, tmp_path / 'new', *data, '--n_classes', n)
    old = checkpoint.load(first)['ema']
    label = [k for k in old if k.endswith('label.weight')]
    assert len(label) == 1
    assert all(torch.equal(new['ema'][k], old[k]) for k in old if k not in label)
    assert [new['ema'][k].shape[0] for k in label if k in new['ema']] == [3] * (n > 0)
    assert f'n_classes={n}, and these weights know 10' in printed


def test_another_size_and_another_schedule_are_noted(first, tmp_path):
    _, printed = begun(first, tmp_path / 'new', '--image_size', 16, '--schedule', 'cosine')
    assert 'come from images of 8 pixels a side' in printed
    assert 't meant another noise to these weights (T = 1,000, linear)' in printed


def test_classes_of_other_data_take_the_old_places(first, tmp_path):
    pictures = tmp_path / 'pictures'
    for i in range(10):
        (pictures / str(i)).mkdir(parents=True)
        Image.new('L', (8, 8), 20 * i).save(pictures / str(i) / 'a.png')
    data = ['--dataset', 'folder', '--data_root', pictures]
    _, printed = begun(first, tmp_path / 'new', *data)
    assert 'each class begins as the old one of the same number' in printed


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--n_channels', 32], 'do not fit n_channels=32 (they have 16)'),
        (['--n_groups', 4], 'do not fit n_groups=4 (they have 8)'),
        (['--variance', 'learned'], 'do not fit variance=learned (they have beta)'),
        (['--image_size', 9], 'image_size=9'),
        (['--resume'], '--init begins a new run, and --resume goes on with a run as it is'),
        (['--preset', 'mnist'], '--preset brings options, and those are of the run here'),
        (['--init_weights', 'best'], "init_weights='best' is not known: use ema or raw"),
        (['--init', 'nowhere'], 'nowhere'),
    ],
)
def test_mistakes_are_said_at_the_door(first, tmp_path, options, message):
    status, _, errors = run('--init', first, '--out', tmp_path / 'new', *options)
    assert status == 2
    assert message in errors
    assert not (tmp_path / 'new').exists()


def test_a_folder_has_to_be_named(first):
    status, _, errors = run('--init', first)
    assert status == 2
    assert 'name its folder with --out' in errors


# ## After a cool-down


def test_going_on_after_a_cool_down_says_what_the_rate_does(tmp_path):
    out = tmp_path / 'r'
    assert run(*SMALL, '--steps', 8, '--cooldown', 4, '--warmup', 2, '--out', out)[0] == 0
    status, printed, errors = run('--out', out, '--resume', '--steps', 20)
    assert status == 0, errors
    # Of the steps 0 to 7 the last had a quarter of the rate
    assert 'had fallen to 25.00% of 0.01 and is at 100% from here on' in printed
    assert f'--init {out} --learning_rate 0.0025 --out NEW' in printed


@pytest.mark.parametrize(
    ('cooldown', 'old_steps', 'step', 'steps', 'said'),
    [
        (4, 8, 8, 20, 1),  # all done, and more asked for
        (4, 8, 6, 20, 1),  # in the middle of it
        (4, 8, 4, 20, 0),  # before it
        (4, 8, 6, 8, 0),  # resumed as it was
        (0, 8, 8, 20, 0),  # without one
        (4, 8, 8, 8, 0),  # nothing is left to do
        (4, 8, 1, 20, 0),  # while it still warms up
    ],
)
def test_and_only_then(tmp_path, cooldown, old_steps, step, steps, said):
    c = make_configs(dict(cooldown=cooldown, warmup=2, steps=steps))
    assert len([*of_rate(c, old_steps, step, tmp_path)]) == said
