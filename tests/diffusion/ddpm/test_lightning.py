"""The LightningModule: what it trains is what our loop trains."""

import csv
import inspect
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

from labml_nn.diffusion.ddpm import evaluate, experiment
from labml_nn.diffusion.ddpm.sampling import make_sampler
from labml_nn.helpers import checkpoint
from labml_nn.helpers.options import option_values

if find_spec('lightning') is None:
    pytest.skip('lightning is not installed', allow_module_level=True)
pytestmark = pytest.mark.filterwarnings('ignore')

RUN = ['--preset', 'tests', '--steps', '40', '--log_every', '1', '--n_previews', '4',
       '--preview_every', '20', '--save_every', '20', '--device', 'cpu', '--cooldown', '10',
       '--ch_mults', '1,2', '--is_attn', 'false,true']  # fmt: skip


def lightning(*arguments):
    return subprocess.run(
        [sys.executable, '-m', 'labml_nn.diffusion.ddpm.lightning', *map(str, arguments)],
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture(scope='module')
def both(tmp_path_factory):
    """One run of each, of the same configuration."""
    folder = tmp_path_factory.mktemp('runs')
    assert experiment.main([*RUN, '--out', str(folder / 'ours')]) == 0
    (folder / 'run.yaml').write_text('preset: tests\nbatch_size: 16\nch_mults: [1, 2]\n')
    theirs = ['--out', folder / 'theirs', '--track', 'tensorboard']
    done = lightning('--config', folder / 'run.yaml', *RUN[2:], *theirs)
    assert done.returncode == 0, done.stderr
    return folder / 'ours', folder / 'theirs'


def test_same_losses_as_our_loop(both):
    ours, theirs = both
    with (ours / 'log.csv').open() as file:
        expected = [float(row['loss']) for row in csv.DictReader(file)]
    (log,) = theirs.glob('log/*/metrics.csv')
    with log.open() as file:
        losses = [float(row['loss']) for row in csv.DictReader(file)]
    assert len(losses) == 40
    # A curve that falls, not a coincidence of constants
    assert expected[0] > 0.9 > 0.5 > expected[-1]
    assert losses == pytest.approx(expected, rel=1e-3)


def test_same_weights_raw_and_averaged(both):
    ours, theirs = checkpoint.load(both[0]), checkpoint.load(both[1] / 'weights.pt')
    for kind in ('model', 'ema'):
        for name, weight in ours[kind].items():
            torch.testing.assert_close(theirs[kind][name], weight, rtol=1e-2, atol=1e-4)
    # The average has moved away from the raw weights
    assert not torch.equal(theirs['ema']['head.weight'], theirs['model']['head.weight'])


def test_samples_are_logged_and_drawn_from_its_file(both):
    _, theirs = both
    assert {p.name for p in (theirs / 'samples').iterdir()} == {
        'step_0000020.png', 'step_0000040.png',
    }  # fmt: skip
    assert list(theirs.glob('tensorboard/version_0/events*'))
    images = evaluate.Sampler.from_run(theirs / 'weights.pt', device='cpu', steps=5).sample(2)
    assert images.shape == (2, 1, 8, 8)


def test_it_resumes_with_the_average(both, tmp_path):
    _, theirs = both
    again = lightning(*RUN, '--steps', '45', '--out', theirs)
    assert again.returncode == 2
    assert 'pass --resume' in again.stderr
    from labml_nn.diffusion.ddpm.lightning import DDPM, Batches, trainer_of
    from labml_nn.helpers.datasets import load_dataset

    c = experiment.make_configs({**checkpoint.load(theirs / 'weights.pt')['config'], 'steps': 45})
    module, trainer = DDPM(c), trainer_of(c, tmp_path)
    data = Batches(module, load_dataset('digits', '', 8, 1))
    trainer.fit(module, data, ckpt_path=str(theirs / 'last.ckpt'))
    assert trainer.global_step == 45
    assert int(trainer.callbacks[0].ema.n_averaged) == 45


def test_pictures_reach_the_loggers_that_take_them(tmp_path):
    from labml_nn.diffusion.ddpm.lightning import L, log_picture

    logger = L.pytorch.loggers.TensorBoardLogger(tmp_path)
    log_picture(logger, torch.zeros(1, 8, 8, dtype=torch.uint8), 3)
    logger.finalize('success')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(logger.log_dir)
    events.Reload()
    assert [e.step for e in events.Images('samples')] == [3]


def test_bad_options_are_found_at_the_door(tmp_path):
    done = lightning('--preset', 'digits', '--image_size', '9', '--out', tmp_path / 'x')
    assert done.returncode == 2
    assert 'error: image_size=9' in done.stderr
    done = lightning('--preset', 'tests', '--track', 'wandb', '--out', tmp_path / 'x')
    assert done.returncode == 2
    assert "Lightning's own logger" in done.stderr
    assert not (tmp_path / 'x').exists()


def door(tmp_path, *arguments):
    from labml_nn.diffusion.ddpm.lightning import main

    return main(['--preset', 'tests', *arguments, '--dry-run', '--out', str(tmp_path / 'x')])


@pytest.mark.parametrize(
    'wrong',
    ['--n_steps 50', '--n_classes 3', '--precision nonsense', '--micro_batch 5', '--resume'],
)
def test_what_our_loop_refuses_is_refused(wrong, tmp_path, capsys):
    assert door(tmp_path, *wrong.split()) == 2
    assert 'error: ' in capsys.readouterr().err
    assert not (tmp_path / 'x').exists()


def test_dry_run_writes_nothing(tmp_path, capsys):
    assert door(tmp_path) == 0
    assert 'would train 20 steps' in capsys.readouterr().out
    assert not (tmp_path / 'x').exists()


def test_every_option_is_used_or_refused(tmp_path, capsys):
    """Refused at the door, or read by the module, or by what it shares with our loop."""
    from pathlib import Path

    from labml_nn.diffusion.ddpm import lightning as module

    shared = [experiment.build, experiment.diffusion_around, experiment.share_of_rate,
              experiment.data_of]  # fmt: skip
    source = Path(module.__file__).read_text() + ''.join(map(inspect.getsource, shared))
    for name, value in option_values(experiment.Configs()).items():
        if name in module.INSTEAD:
            assert door(tmp_path, f'--{name}', str(value).lower()) == 2, name
            assert module.INSTEAD[name] in capsys.readouterr().err
        else:
            assert re.search(rf'\bc\.{name}\b', source), name


def test_schedule_and_learned_variance_are_those_of_our_loop():
    from labml_nn.diffusion.ddpm.lightning import DDPM, Averaged

    c = experiment.make_configs(
        {**experiment.PRESETS['tests'], 'schedule': 'cosine', 'variance': 'learned'}
    )
    module, averaged = DDPM(c, 17), Averaged()
    averaged.on_fit_start(None, module)
    module.log = lambda *_, **__: None
    module.training_step(torch.zeros(2, 1, 8, 8), 0).backward()
    assert module.unet.head.weight.grad[1:].abs().max() > 0
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            'labml_nn.diffusion.ddpm.lightning.make_sampler',
            lambda _, diffusion, *args, **kw: (
                seen.append(diffusion) or make_sampler('ddim', diffusion, *args, **kw)
            ),
        )
        averaged.sample(module, 1)
    torch.testing.assert_close(seen[0].beta, module.diffusion.beta)
