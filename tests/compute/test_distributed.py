"""Several processes: over gloo, on the CPU, started by torchrun as a user does."""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from PIL import Image

from labml_nn.compute.distributed import World, agreed_name, is_lost_contact
from labml_nn.data.datasets import IndexStream
from labml_nn.diffusion.ddpm import evaluate
from labml_nn.diffusion.ddpm.experiment import main
from labml_nn.runs import checkpoint
from tests.faults import rows
from tests.kit.close import agree, record
from tests.kit.runs import equal

ROOT = Path(__file__).parents[2]
TRAIN = [
    '-m', 'labml_nn.diffusion.ddpm.experiment', '--preset', 'tests', '--n_previews', '0',
    '--n_samples', '0', '--log_every', '2', '--n_channels', '16',
]  # fmt: skip


def torchrun(*arguments, n=2, **options):
    """The command, not yet waited for."""
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    return subprocess.Popen(
        [sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node', str(n),
         '--rdzv-backend', 'c10d', '--rdzv-endpoint', 'localhost:0', *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **options,
    )  # fmt: skip


def trained(*options, n=2):
    process = torchrun(*TRAIN, *options, n=n)
    printed, errors = process.communicate(timeout=300)
    return process.returncode, printed, errors


# Both processes have one half of a batch each; the gradient is compared with that of the whole
GRADIENTS = """
import sys, torch
from labml_nn.diffusion.ddpm.experiment import PRESETS, Trainer, make_configs
from labml_nn.data.datasets import Images
from labml_nn.compute.distributed import World

world = World()
world.join()
c = make_configs({**PRESETS['tests'], 'batch_size': 8, 'micro_batch': int(sys.argv[2])})
pixels = torch.randint(0, 17, (8, 1, 8, 8), generator=torch.Generator().manual_seed(0))
data = Images('random', pixels.to(torch.uint8), levels=17)
trainer = Trainer(c, None, data, torch.device('cpu'), world)
training = trainer.training
for p in training.model.parameters():  # the last layers begin at zero, few others have gradients
    with torch.no_grad():
        p += 0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
x0 = pixels / 8 - 1
eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(1))
t = torch.arange(8) * 120
part = slice(*[len(x0) * r // world.size for r in (world.rank, world.rank + 1)])
loss, errors = training.gradient(x0[part], t[part], eps[part])
gradients = [p.grad.clone() for p in training.model.parameters()]
torch.save({'loss': loss, 'gradients': gradients, 'errors': errors}, f'{sys.argv[1]}/{world.rank}')
world.leave()
"""


@pytest.mark.parametrize('micro_batch', [0, 2])
def test_gradients_are_those_of_one_process_with_the_whole_batch(tmp_path, micro_batch):
    script = tmp_path / 'gradients.py'
    script.write_text(GRADIENTS)
    one, two = tmp_path / 'one', tmp_path / 'two'
    for folder in (one, two):
        folder.mkdir()
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    subprocess.run([sys.executable, script, one, '0'], check=True, env=environment)
    process = torchrun(script, two, micro_batch)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    whole = torch.load(one / '0')
    parts = [torch.load(two / str(rank)) for rank in (0, 1)]
    for part in parts:
        agree(part['loss'], whole['loss'], atol=1e-6, what='loss')
        for a, b in zip(part['gradients'], whole['gradients'], strict=True):
            agree(a, b, atol=1e-6, what='gradients')
    assert equal(parts[0]['gradients'], parts[1]['gradients'])
    assert max(g.abs().max() for g in whole['gradients']) > 1e-3
    errors = torch.cat([p['errors'] for p in parts])
    agree(errors, whole['errors'], atol=1e-6, what='errors of the images')


@pytest.mark.long
def test_a_run_of_two_is_one_run_and_resumes_exactly_and_with_another_number(tmp_path):
    straight, cut = tmp_path / 'straight', tmp_path / 'cut'
    status, printed, errors = trained('--steps', 8, '--dropout', '0.1', '--out', straight)
    assert status == 0, errors
    assert printed.count('new run in') == 1
    assert '8 of 16 images (8 in each of 2 processes)' in printed
    assert 'rate    0.002 for the batch of 16' in printed
    assert trained('--steps', 3, '--dropout', '0.1', '--out', cut)[0] == 0
    status, _, errors = trained('--out', cut, '--resume', '--steps', 8)
    assert status == 0, errors
    a, b = checkpoint.load(straight), checkpoint.load(cut)
    assert [k for k in a if not equal(a[k], b[k])] == []
    assert rows(straight) == rows(cut)
    assert [r[0] for r in rows(cut)] == ['2', '4', '6', '8']
    # Their random numbers differ
    assert not torch.equal(a['random']['torch'], a['others'][0]['random']['torch'])
    # With one process the data goes on where it was, and so does the rest
    status, _, errors = trained('--out', cut, '--resume', '--steps', 10, n=1)
    assert status == 0, errors
    assert 'note: the run had 2 processes and has 1 now. Weights, average, optimizer and' in errors
    assert 'noise, dropout and flips are not those that it would have had' in errors
    state = checkpoint.load(cut)
    assert state['step'] == 10
    assert state['data']['position'] == 160
    assert [r[0] for r in rows(cut)] == ['2', '4', '6', '8', '10']


def test_those_who_are_gone_are_not_waited_for():
    """Three meet, go, and three others meet in the same store; the first of them comes last."""
    store = dist.HashStore()
    names = []
    for _ in range(3):
        with ThreadPoolExecutor(3) as pool:
            others = [pool.submit(agreed_name, store, rank, 3) for rank in (1, 2)]
            time.sleep(0.1)
            first = pool.submit(agreed_name, store, 0, 3).result(timeout=60)
            assert [o.result(timeout=60) for o in others] == [first, first]
            names.append(first)
    record('meetings with a name of their own', len(set(names)))
    assert len(set(names)) == 3


def wait_for(out, steps, process):
    deadline = time.monotonic() + 240
    while len(rows(out)) < steps:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children_of(pid):
    return [int(p) for p in Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]


linux = pytest.mark.skipif(not Path('/proc/self/task').exists(), reason='looks into /proc')


@linux
@pytest.mark.long
def test_a_restart_resumes_after_a_killed_rank(tmp_path):
    out = tmp_path / 'run'
    options = ['--steps', 60, '--save_every', 5, '--log_every', 1, '--out', out]
    process = torchrun('--max-restarts', 1, *TRAIN, *options)
    wait_for(out, 7, process)
    os.kill(children_of(process.pid)[1], signal.SIGKILL)
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    # All steps are in the log, once
    assert [int(r[0]) for r in rows(out)] == list(range(1, 61))
    assert checkpoint.load(out)['step'] == 60
    assert len(re.findall(r'^new run in', printed, re.MULTILINE)) == 1
    assert len(re.findall(r'^run in', printed, re.MULTILINE)) == 1


@linux
@pytest.mark.long
def test_a_killed_rank_ends_the_run_with_a_clear_message(tmp_path):
    out = tmp_path / 'run'
    process = torchrun(*TRAIN, '--steps', 100_000, '--log_every', 1, '--out', out)
    wait_for(out, 3, process)
    os.kill(children_of(process.pid)[1], signal.SIGKILL)
    _, errors = process.communicate(timeout=300)
    assert process.returncode != 0
    assert 'error: rank 0: another process of this run is gone' in errors
    assert 'start it again with --resume, or under torchrun --max-restarts 3' in errors
    step = checkpoint.load(out)['step']
    assert int(rows(out)[-1][0]) - step <= 1
    status, _, errors = trained('--out', out, '--resume', '--steps', step + 2)
    assert status == 0, errors


@pytest.mark.long
def test_a_signal_stops_all_after_the_same_step(tmp_path):
    out = tmp_path / 'run'
    process = torchrun(*TRAIN, '--steps', 100_000, '--log_every', 1, '--out', out)
    wait_for(out, 3, process)
    process.send_signal(signal.SIGTERM)  # torchrun hands it on
    printed, errors = process.communicate(timeout=300)
    assert re.search(r'SIGTERM: stopped at step \d+, saved in', printed), printed + errors
    assert len(checkpoint.load(out)['others']) == 1


@pytest.mark.long
def test_what_cannot_be_divided_is_refused(tmp_path):
    status, _, errors = trained('--batch_size', 15, '--out', tmp_path / 'run')
    assert status != 0
    assert 'batch_size=15 cannot be divided among 2 processes: use 14 or 16' in errors
    assert not (tmp_path / 'run').exists()


# Every tracker notes which process has called it; that of rank 1 has no memory left in the end
TRACKED = """
import contextlib, sys
from pathlib import Path
from labml_nn.diffusion.ddpm import experiment, train
from labml_nn.runs import trackers
from labml_nn.compute.distributed import World

folder, world = Path(sys.argv.pop(1)), World()

def noting(name):
    @contextlib.contextmanager
    def tracker(out, configs, step):
        with (folder / f'{name} {world.rank}').open('w') as file:
            yield lambda at, numbers, pictures: print(at, file=file)
    return tracker

trackers.TRACKERS.update({name: noting(name) for name in trackers.TRACKERS})
gradient = train.Training.gradient

def limited(self, *inputs):
    if self.step == 4 and self.world.rank == 1:
        raise MemoryError('out of memory')
    return gradient(self, *inputs)

train.Training.gradient = limited
sys.exit(experiment.main())
"""


@pytest.mark.long
def test_only_the_first_process_tracks_and_each_says_what_has_happened_to_it(tmp_path):
    script = tmp_path / 'tracked.py'
    script.write_text(TRACKED)
    (tmp_path / 'calls').mkdir()
    names = ('comet', 'labml', 'tensorboard', 'wandb')
    process = torchrun(script, tmp_path / 'calls', *TRAIN[2:], '--track', ','.join(names),
                       '--steps', 8, '--batch_size', 18, '--out', tmp_path / 'run')  # fmt: skip
    _, errors = process.communicate(timeout=300)
    assert process.returncode != 0
    called = {p.name: p.read_text().split() for p in (tmp_path / 'calls').iterdir()}
    assert called == {f'{name} 0': ['2', '4'] for name in names}
    assert 'error: rank 1: out of memory: 9 images of 8×8×1 at a time (batch_size=18)' in errors
    assert 'try --resume --micro_batch 3' in errors


@pytest.mark.long
def test_samples_are_shared_out(tmp_path):
    """Five images by two processes, two and three; the file is the same to the byte."""
    out = tmp_path / 'run'
    assert main([*TRAIN[2:], '--steps', '3', '--out', str(out)]) == 0
    sample = ['sample', out, '--n', 5, '--seed', 3, '--steps', 4]
    # Behind `--`, or torchrun takes `--n` for one of its own options
    module = ['-m', '--', 'labml_nn.diffusion.ddpm.evaluate']
    process = torchrun(*module, *sample, '--out', out / 'two.png')
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert printed.count(str(out / 'two.png')) == 1
    assert evaluate.main([str(a) for a in [*sample, '--out', out / 'one.png']]) == 0
    with Image.open(out / 'one.png') as one, Image.open(out / 'two.png') as two:
        assert one.tobytes() == two.tobytes()


# ## Without others


def test_alone_there_is_nobody_to_ask(monkeypatch):
    for name in ('RANK', 'WORLD_SIZE'):
        monkeypatch.delenv(name, raising=False)
    world = World()
    world.join()
    x, model = torch.tensor(3.0), torch.nn.Linear(1, 1)
    assert world.is_first
    assert world.agree(2, 0) == [2, 0]
    assert world.all_gather('a') == ['a']
    assert world.broadcast('a') == 'a'
    assert world.total(x) is x
    assert world.mean(x) is x
    assert world.wrap(model) is model
    assert world.local_batch(7) == 7
    world.leave()


@pytest.mark.parametrize(('n', 'size'), [(10, 3), (2, 4), (50_000, 8), (0, 2)])
def test_parts_are_even_and_leave_nothing_out(monkeypatch, n, size):
    parts = []
    for rank in range(size):
        monkeypatch.setenv('RANK', str(rank))
        monkeypatch.setenv('WORLD_SIZE', str(size))
        parts.append(World().part(n))
    assert [i for part in parts for i in part] == list(range(n))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_the_parts_of_a_batch_make_the_batch():
    whole = iter(IndexStream(23, 8, seed=3, start=2))
    parts = [iter(IndexStream(23, 8, seed=3, start=2, part=(k, 4))) for k in range(4)]
    for _ in range(5):
        assert next(whole) == [i for part in parts for i in next(part)]


@pytest.mark.parametrize(
    ('error', 'answer'),
    [
        (RuntimeError('[gloo/transport/tcp/pair.cc] Connection closed by peer [127.0.0.1]'), True),
        (RuntimeError('NCCL communicator was aborted on rank 1'), True),
        (RuntimeError('mat1 and mat2 shapes cannot be multiplied'), False),
        (ValueError('peer'), False),
    ],
)
def test_lost_contact_is_known_by_its_words(error, answer):
    assert is_lost_contact(error) == answer
