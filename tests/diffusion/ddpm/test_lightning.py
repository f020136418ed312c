"""The LightningModule: what it trains is what our loop trains."""

import csv
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from PIL import Image

from labml_nn.cli.options import option_types, option_values
from labml_nn.diffusion.ddpm import evaluate, experiment, unet
from labml_nn.diffusion.samplers import make_sampler
from labml_nn.runs import checkpoint
from tests.kit.close import agree

if find_spec('lightning') is None:
    pytest.skip('lightning is not installed', allow_module_level=True)
pytestmark = [pytest.mark.long, pytest.mark.filterwarnings('ignore')]

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
    agree(losses, expected, atol=0, rtol=1e-3, what='losses of 40 steps, and those of our loop')


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


def losses_in(folder):
    """The losses of a run of Lightning's, and of those that have gone on with it."""
    losses = []
    for log in sorted(folder.glob('log/*/metrics.csv')):
        with log.open() as file:
            losses += [float(row['loss']) for row in csv.DictReader(file)]
    return losses


def train(out, *arguments, resume=False):
    """Train in this process; the exit status."""
    from labml_nn.diffusion.ddpm.lightning import main

    return main([*map(str, arguments), '--out', str(out), *['--resume'] * resume])


def test_resumed_is_as_if_never_stopped(tmp_path):
    """The weights, the average and the noise go on, and the learning rate is that of more steps."""
    about = [*RUN, '--save_every', '3', '--n_previews', '0', '--dropout', '0.2']
    assert train(tmp_path / 'whole', *about, '--steps', '7', '--cooldown', '0') == 0
    assert train(tmp_path / 'cut', *about, '--steps', '4', '--cooldown', '0') == 0
    # A folder may have another name by then
    (tmp_path / 'cut').rename(tmp_path / 'moved')
    assert train(tmp_path / 'moved', '--steps', '7', '--log_every', '1', resume=True) == 0
    assert losses_in(tmp_path / 'moved') == losses_in(tmp_path / 'whole')
    whole, cut = (checkpoint.load(tmp_path / n / 'weights.pt') for n in ('whole', 'moved'))
    assert cut['step'] == 7
    for kind in ('config', 'model', 'ema'):
        assert cut[kind].keys() == whole[kind].keys()
        for name, value in whole[kind].items():
            if kind != 'config':
                agree(cut[kind][name], value, atol=0, what='weights, and without an interruption')
    assert cut['config'] == {**whole['config'], 'save_every': 3}
    assert len(list((tmp_path / 'moved').glob('last*.ckpt'))) == 1


def test_a_longer_run_has_the_learning_rate_of_our_loop(tmp_path):
    about = [*RUN[:4], '--cooldown', '3', '--log_every', '1', '--n_previews', '0']
    for steps, resume in (('4', False), ('6', True)):
        assert experiment.main([*about, '--steps', steps, '--out', str(tmp_path / 'ours'),
                                *['--resume'] * resume]) == 0  # fmt: skip
        assert train(tmp_path / 'theirs', *about, '--steps', steps, resume=resume) == 0
    with (tmp_path / 'ours' / 'log.csv').open() as file:
        expected = [float(row['loss']) for row in csv.DictReader(file)]
    assert losses_in(tmp_path / 'theirs') == pytest.approx(expected, rel=1e-4)


@pytest.fixture(scope='module')
def begun(tmp_path_factory):
    """A run of two steps, to be looked at and not gone on with."""
    out = tmp_path_factory.mktemp('begun') / 'run'
    assert train(out, *TINY, '--learning_rate', '1e-3') == 0
    return out


@pytest.mark.parametrize(
    ('given', 'said'),
    [
        ('--learning_rate 1', 'cannot change learning_rate=1.0 (the run has 0.001)'),
        ('--n_classes 10', 'cannot change n_classes=10 (the run has 0)'),
        ('--precision bf16', "L.Trainer(precision='bf16-mixed')"),
        ('--n_step 5', 'did you mean'),
    ],
)
def test_resuming_refuses_what_our_loop_does(given, said, begun, capsys):
    from labml_nn.diffusion.ddpm.lightning import main

    try:
        status = main([*given.split(), '--resume', '--dry-run', '--out', str(begun)])
    except SystemExit as error:
        status = error.code
    assert status == 2
    assert said in capsys.readouterr().err


def test_resuming_keeps_the_options_of_the_run(begun, capsys):
    assert train(begun, '--steps', '5', '--preset', 'tests', '--dry-run', resume=True) == 0
    said = capsys.readouterr()
    assert 'would train 5 steps' in said.out
    assert 'keeps its own options: learning_rate=0.001 (not 0.002)' in said.err


def test_resuming_refuses_other_data(tmp_path, capsys):
    (tmp_path / 'mine').mkdir()
    for i in range(3):
        Image.new('L', (8, 8), 50 * i).save(tmp_path / 'mine' / f'{i}.png')
    about = ['--dataset', 'folder', '--data_root', tmp_path / 'mine']
    assert train(tmp_path / 'run', *TINY, *about) == 0
    assert train(tmp_path / 'run', *about, '--dry-run', resume=True) == 0
    (tmp_path / 'mine' / '2.png').unlink()
    assert train(tmp_path / 'run', *about, '--dry-run', resume=True) == 2
    assert 'has changed since the run began' in capsys.readouterr().err


def test_a_folder_in_use_is_refused(begun, capsys):
    from labml_nn.runs.lock import Lock

    # A process does not lock itself out
    code = 'import sys; from labml_nn.diffusion.ddpm.lightning import main; sys.exit(main())'
    lock = Lock(begun)
    try:
        done = subprocess.run(
            [sys.executable, '-c', code, '--steps', '3', '--resume', '--out', begun],
            capture_output=True, text=True,
        )  # fmt: skip
    finally:
        lock.release()
    assert done.returncode == 2
    assert 'is in use by process' in done.stderr


def test_a_run_killed_early_does_not_block_its_folder(begun, tmp_path, capsys):
    out = tmp_path / 'run'
    for name in ('log/version_0/metrics.csv', 'samples/step_0000002.png', '.lock'):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).touch()
    assert train(out, *TINY, '--dry-run', resume=True) == 2
    assert 'holds no last.ckpt' in capsys.readouterr().err
    assert train(out, *TINY, '--dry-run') == 0
    (out / 'mine.txt').touch()
    assert train(out, *TINY, '--dry-run') == 2
    assert 'is not empty' in capsys.readouterr().err
    (out / 'mine.txt').unlink()
    # Between the two files of its first checkpoint
    shutil.copy(begun / 'last.ckpt', out / 'step_step=2.ckpt')
    assert train(out, *TINY, '--dry-run') == 2
    assert 'pass --resume' in capsys.readouterr().err
    assert train(out, '--dry-run', resume=True) == 0


def test_a_checkpoint_that_holds_code_is_refused(begun, tmp_path, capsys):
    torch.save({'hyper_parameters': print}, tmp_path / 'last.ckpt')
    assert train(tmp_path, '--dry-run', resume=True) == 2
    assert 'could run code' in capsys.readouterr().err


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
    before = sorted(Path().iterdir())
    assert door(tmp_path, '--steps', '50000') == 0
    printed = capsys.readouterr().out
    assert 'would train 50,000 steps' in printed
    # And how long they take, from a few that were done
    assert re.search(r'^  time    \d+:\d\d.* for 50,000 steps of 0\.\d+ s, until', printed, re.M)
    assert not (tmp_path / 'x').exists()
    assert sorted(Path().iterdir()) == before


# ## Every option
#
# A value that is not the default, what has to be other than without it, and what else is given:
# `weights` and `average` after two steps, `steps`, the `files`, the `pictures` and the
# `rows` of the log
OTHER_THREADS = 3 - min(torch.get_num_threads(), 2)
OTHER = {
    'dataset': ('folder', 'weights', '--data_root FOLDER'),
    'data_root': ('FOLDER', 'weights', '--dataset folder --data_root OTHER'),
    'bad_pictures': ('skip', 'status', '--dataset folder --data_root DAMAGED'),
    'image_size': (16, 'pictures', ''),
    'image_channels': (3, 'weights', ''),
    'flip': (True, 'weights', ''),
    'n_channels': (16, 'weights', ''),
    'ch_mults': ((1, 2), 'weights', ''),
    'is_attn': ((False, True), 'weights', ''),
    'n_blocks': (2, 'weights', ''),
    'n_groups': (4, 'weights', ''),
    'dropout': (0.5, 'weights', ''),
    'network': ('dit', 'weights', ''),
    'patch_size': (4, 'weights', '--network dit'),
    'depth': (2, 'weights', '--network dit'),
    'n_heads': (2, 'weights', '--network dit'),
    'n_classes': (10, 'weights', ''),
    'p_uncond': (0.9, 'weights', '--n_classes 10'),
    'n_steps': (900, 'weights', ''),
    'schedule': ('cosine', 'weights', ''),
    'zero_snr': (True, 'weights', '--target v'),
    'variance': ('learned', 'weights', ''),
    'target': ('v', 'weights', ''),
    'weight': ('min_snr', 'weights', ''),
    'noise_levels': ('lognormal', 'weights', ''),
    'sigma_data': (0.75, 'weights', '--target edm'),
    'batch_size': (8, 'weights', ''),
    'learning_rate': (1e-3, 'weights', ''),
    'warmup': (50, 'weights', ''),
    'cooldown': (2, 'weights', ''),
    'grad_clip': (1e-9, 'weights', ''),
    'ema_decay': (0.01, 'average', ''),
    'steps': (3, 'steps', ''),
    'seed': (1, 'weights', ''),
    'log_every': (2, 'rows', ''),
    'save_every': (5, 'files', ''),
    'preview_every': (1, 'files', ''),
    'n_previews': (2, 'pictures', ''),
    'preview_sampler': ('ddpm', 'pictures', ''),
    'preview_steps': (3, 'pictures', ''),
    'device': ('cuda:1', 'device', ''),
    'activation_checkpointing': (True, 'calls', ''),
    'track': (('tensorboard',), 'files', ''),
    'workers': (1, 'workers', ''),
    'threads': (OTHER_THREADS, 'threads', ''),
    # Refused
    'precision': ('bf16', None, ''),
    'compile': (True, None, ''),
    'channels_last': (True, None, ''),
    'micro_batch': (8, None, ''),
    'keep_checkpoints': (2, None, ''),
    'save_minutes': (5.0, None, ''),
    'preview_share': (0.5, None, ''),
    'n_samples': (3, None, ''),
    'distill': ('progressive', None, ''),
    'calls': (4, None, ''),
    'teacher': ('runs/v', None, ''),
}
TINY = ['--preset', 'tests', '--steps', '2', '--log_every', '1', '--save_every', '2',
        '--preview_every', '2', '--preview_steps', '2', '--warmup', '2']  # fmt: skip


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """Pictures of one's own: some, others, and some with a damaged one among them."""
    root = tmp_path_factory.mktemp('pictures')
    for name, level in (('FOLDER', 20), ('OTHER', 200), ('DAMAGED', 20)):
        (root / name).mkdir()
        for i in range(4):
            Image.new('L', (8, 8), level + 9 * i).save(root / name / f'{i}.png')
    (root / 'DAMAGED' / '1.png').write_bytes(b'no picture')
    return {p.name: str(p) for p in root.iterdir()}


def spelt(value):
    """A value as the command line has it."""
    return ','.join(map(spelt, value)) if isinstance(value, tuple) else str(value).lower()


def outcome(out, arguments):
    """What one can see of a training."""
    from labml_nn.diffusion.ddpm import lightning as module

    seen = {'workers': None, 'device': None, 'calls': 0}
    get, pick, forward = module.batches, module.L.Trainer, unet.ResidualBlock.forward

    def spied(dataset, size, **kw):
        seen['workers'] = kw['n_workers']
        return get(dataset, size, **kw)

    def trainer(**kw):
        seen['device'] = kw['accelerator'], kw['devices']
        return pick(**{**kw, 'accelerator': 'cpu', 'devices': 1})

    def counted(self, *args):
        seen['calls'] += 1
        return forward(self, *args)

    n = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, 'batches', spied)
        patch.setattr(module, 'pick_device', lambda name: torch.device(name.replace('auto', 'cpu')))
        patch.setattr(module.L, 'Trainer', trainer)
        patch.setattr(unet.ResidualBlock, 'forward', counted)
        status = train(out, *TINY, *arguments)
    seen['threads'] = torch.get_num_threads()
    torch.set_num_threads(n)
    if status:
        return {'status': status}
    weights = checkpoint.load(out / 'weights.pt')
    pictures = sorted(out.glob('samples/*'))
    return {
        **seen, 'status': status, 'steps': weights['step'],
        'weights': [w.tolist() for w in weights['model'].values()],
        'average': [w.tolist() for w in weights['ema'].values()],
        'files': sorted(re.sub(r'tfevents.*', '', str(p.relative_to(out))) for p in out.rglob('*')),
        'pictures': [Image.open(p).tobytes() for p in pictures],
        'rows': losses_in(out),
    }  # fmt: skip


@pytest.fixture(scope='module')
def without(tmp_path_factory):
    """The same training without the option, kept for the next one that needs it."""
    known = {}

    def find(*arguments):
        if arguments not in known:
            known[arguments] = outcome(tmp_path_factory.mktemp('without') / 'run', arguments)
        return known[arguments]

    return find


def test_the_walk_knows_every_option():
    from labml_nn.diffusion.ddpm.lightning import INSTEAD

    assert set(OTHER) == set(option_types(experiment.Configs))
    assert {name for name, (_, seen, _) in OTHER.items() if seen is None} == set(INSTEAD)


@pytest.mark.parametrize('name', OTHER)
def test_every_option_is_used_or_refused(name, folders, without, tmp_path, capsys):
    from labml_nn.diffusion.ddpm.lightning import INSTEAD

    value, seen, more = OTHER[name]
    usual = {**option_values(experiment.Configs()), **experiment.PRESETS['tests']}[name]
    assert value != usual
    said = [f'--{name}', folders.get(value, spelt(value))]
    if seen is None:
        assert door(tmp_path, *said) == 2
        assert INSTEAD[name] in capsys.readouterr().err
        # Said, but nothing else than what is so anyway; none cannot be said
        assert usual is None or door(tmp_path, f'--{name}', spelt(usual)) == 0
        return
    more = [folders.get(word, word) for word in more.split()]
    with_it = outcome(tmp_path / 'run', [*more, *said])
    assert with_it['status'] == 0, capsys.readouterr().err
    assert with_it.get(seen) != without(*more).get(seen)


def test_a_file_with_all_options_of_a_run_is_taken(tmp_path, capsys):
    import yaml

    values = option_values(experiment.Configs())
    path = tmp_path / 'run.yaml'
    path.write_text(yaml.safe_dump({k: list(v) if isinstance(v, tuple) else v
                                    for k, v in values.items()}))  # fmt: skip
    assert train(tmp_path / 'x', '--config', path, '--dry-run') == 0
    assert 'would train 2,400 steps' in capsys.readouterr().out


# What each advice says to write, and how one sees that it has an effect
ADVICE = {
    'precision': ("L.Trainer(precision='bf16-mixed')", lambda t: t.precision == 'bf16-mixed'),
    'micro_batch': ('L.Trainer(accumulate_grad_batches=4)',
                    lambda t: t.accumulate_grad_batches == 4),
    'compile': ('module.unet.compile()', lambda _: True),
    'channels_last': ('module.to(memory_format=torch.channels_last)',
                      lambda m: m.unet.head.weight.is_contiguous(
                          memory_format=torch.channels_last)),
    'keep_checkpoints': ("ModelCheckpoint(monitor='step', mode='max', save_top_k=3)",
                         lambda c: c.save_top_k == 3),
    'save_minutes': ('ModelCheckpoint(train_time_interval=timedelta(minutes=10))',
                     lambda c: c._train_time_interval.seconds == 600),
    'preview_share': ('preview_every', lambda n: n > 0),
    'n_samples': ('labml_nn.diffusion.ddpm.evaluate', lambda module: module.main),
    **dict.fromkeys(
        ('distill', 'calls', 'teacher'),
        ('labml_nn.diffusion.ddpm.distill', lambda module: module.main),
    ),
}  # fmt: skip


@pytest.mark.parametrize('name', ADVICE)
def test_what_to_use_instead_is_there(name):
    from datetime import timedelta

    import labml_nn.diffusion.ddpm.distill
    import labml_nn.diffusion.ddpm.evaluate
    from labml_nn.diffusion.ddpm.lightning import DDPM, INSTEAD, L

    code, shows = ADVICE[name]
    assert code in INSTEAD[name]
    c = experiment.make_configs(experiment.PRESETS['tests'])
    names = {
        'L': L, 'torch': torch, 'timedelta': timedelta, 'labml_nn': labml_nn, 'module': DDPM(c),
        'ModelCheckpoint': L.pytorch.callbacks.ModelCheckpoint, **option_values(c),
    }  # fmt: skip
    assert shows(eval(code, names))


def test_every_advice_is_tried():
    from labml_nn.diffusion.ddpm.lightning import INSTEAD

    assert set(ADVICE) == set(INSTEAD)


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
            'labml_nn.diffusion.ddpm.experiment.make_sampler',
            lambda _, diffusion, *args, **kw: (
                seen.append(diffusion) or make_sampler('ddim', diffusion, *args, **kw)
            ),
        )
        averaged.sample(module, 1)
    torch.testing.assert_close(seen[0].beta, module.diffusion.beta)
