"""What has to hold on a GPU: resumed to the bit, the CPU's samples, NCCL, one graph.

Skipped where there is no CUDA; `GPU_TESTS_ON=cpu` runs what can be run without, to try the tests.
"""

import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
import torch
import torch.distributed as dist

from labml_nn.compute.distributed import World
from labml_nn.compute.precision import Network, available, bare, for_sampling
from labml_nn.diffusion.ddpm import experiment
from labml_nn.diffusion.ddpm.configs import PRESETS, build, make_configs
from labml_nn.diffusion.ddpm.sampler import Sampler
from labml_nn.runs import checkpoint
from tests.kit.close import agree
from tests.kit.runs import PLAIN, called, equal, log_of

DEVICE = torch.device(os.environ.get('GPU_TESTS_ON', 'cuda'))
IS_THERE = DEVICE.type == 'cpu' or torch.cuda.is_available()
pytestmark = pytest.mark.skipif(not IS_THERE, reason='no CUDA')

run = partial(called, experiment.main)
SMALL = [*PLAIN, '--n_channels', '16', '--log_every', '4', '--device', DEVICE.type]
PRECISIONS = available(DEVICE) if IS_THERE else ['fp32']


def network(seed=0, **options):
    """The diffusion of a small preset on the device, with no weight left at zero."""
    torch.manual_seed(seed)
    c = make_configs({**PRESETS['tests'], 'n_channels': 16, 'is_attn': (False, True), **options})
    diffusion = build(c)
    with torch.no_grad():
        for p in diffusion.eps_model.parameters():
            p += 0.05 * torch.randn(p.shape)
    return diffusion


def same(a, b):
    first, second = checkpoint.load(a), checkpoint.load(b)
    assert first['step'] == second['step']
    assert [part for part in first if not equal(first[part], second[part])] == []
    assert log_of(a) == log_of(b)


@pytest.mark.parametrize('precision', PRECISIONS)
def test_resumed_is_the_same_to_the_bit(tmp_path, precision):
    options = [*SMALL, '--dropout', '0.1', '--is_attn', 'no,yes', '--precision', precision]
    straight, cut = tmp_path / 'straight', tmp_path / 'cut'
    assert run(*options, '--steps', 12, '--out', straight)[0] == 0
    assert run(*options, '--steps', 5, '--out', cut)[0] == 0
    torch.rand(5, device=DEVICE)  # whatever has been drawn in between
    status, printed, errors = run('--out', cut, '--resume', '--steps', 12)
    assert status == 0, errors
    assert precision in printed
    same(straight, cut)


def test_killed_and_resumed_is_the_same_to_the_bit(tmp_path):
    straight, cut = tmp_path / 'straight', tmp_path / 'cut'
    options = [*SMALL, '--steps', 40, '--save_every', 5]
    assert run(*options, '--out', straight)[0] == 0
    command = [sys.executable, '-m', experiment.__name__, *map(str, options), '--out', str(cut)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not checkpoint.exists(cut) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert checkpoint.exists(cut)
    status, _, errors = run('--out', cut, '--resume')
    assert status == 0, errors
    same(straight, cut)


@pytest.mark.parametrize('name', ['ddpm', 'dpm'])
def test_samples_are_those_of_the_cpu(monkeypatch, name):
    """The noise of a sample is drawn on the CPU; what differs is rounding."""
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    images = []
    for device in ('cpu', DEVICE):
        diffusion = network().to(device)
        sampler = Sampler(diffusion, 1, 8, sampler=name, steps=20)
        images.append(sampler.sample(4, seed=7).cpu())
    assert images[0].std() > 0.1
    agree(images[1], images[0], atol=1e-3, what='samples')


@pytest.mark.parametrize('precision', [p for p in PRECISIONS if p != 'fp16'])
def test_a_sampler_through_one_graph_has_the_same_samples(precision):
    model = network().eps_model.to(DEVICE).eval()
    captured = for_sampling(model, precision, DEVICE)
    assert bare(captured) is model
    plain = Network(model, precision).eval()
    if isinstance(captured, torch.nn.Module):
        captured.eval()
    with torch.no_grad():
        for n in (3, 2, 3):
            x, t = torch.randn(n, 1, 8, 8, device=DEVICE), torch.arange(n, device=DEVICE)
            # The same kernels, so nothing is rounded in another way
            assert torch.equal(captured(x, t), plain(x, t))


# torch 2.13 renames an option
@pytest.mark.filterwarnings('ignore:.*broadcast_buffers:FutureWarning')
def test_gradients_through_the_backend_of_gpus(tmp_path):
    """One process can be a group too: NCCL hands its own gradient back to it."""
    backend = 'nccl' if DEVICE.type == 'cuda' else 'gloo'
    model = network().eps_model.to(DEVICE)
    x, t = torch.randn(4, 1, 8, 8, device=DEVICE), torch.arange(4, device=DEVICE)

    def gradients(net):
        model.zero_grad()
        net(x, t).square().mean().backward()
        return [p.grad.clone() for p in model.parameters()]

    alone = gradients(model)
    dist.init_process_group('gloo', init_method=f'file://{tmp_path}/meet', rank=0, world_size=1)
    try:
        world = World({'WORLD_SIZE': '2'})  # what it does only where there are others
        world.gradients = dist.new_group(backend=backend)
        for a, b in zip(gradients(world.wrap(model)), alone, strict=True):
            agree(a, b, atol=1e-6, what='gradients')
        assert torch.equal(world.total(x), x)
    finally:
        dist.destroy_process_group()


@pytest.mark.skipif(DEVICE.type != 'cuda', reason='a CPU has no memory of its own')
def test_out_of_memory_is_said_with_what_fits(tmp_path):
    torch.cuda.set_per_process_memory_fraction(1e9 / torch.cuda.mem_get_info()[1])
    try:
        options = [*SMALL, '--batch_size', 4096, '--image_size', 32]
        status, _, errors = run(*options, '--out', tmp_path / 'run')
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert status == 1
    assert 'out of memory: 4096 images' in errors
    assert '--micro_batch' in errors
