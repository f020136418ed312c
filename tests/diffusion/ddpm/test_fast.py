"""Faster or smaller, and the same: micro-batches, recomputed activations, precision, compiling."""

import contextlib
import io
import shutil
from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from labml_nn.cli.progress import Progress
from labml_nn.compute.precision import available, recompute
from labml_nn.data.datasets import Images
from labml_nn.diffusion.ddpm import experiment
from labml_nn.diffusion.ddpm.experiment import PRESETS, Trainer, make_configs
from labml_nn.diffusion.ddpm.unet import Block, UNet
from labml_nn.runs import checkpoint
from labml_nn.runs import run as running
from tests.kit.close import agree
from tests.kit.runs import PLAIN, called, log_of

run = partial(called, experiment.main)

CPU = torch.device('cpu')


def trainer(**options):
    c = make_configs({**PRESETS['tests'], 'batch_size': 12, **options})
    pixels = torch.randint(0, 17, (12, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    made = Trainer(c, None, Images('random', pixels.to(torch.uint8), levels=17), CPU)
    for p in made.training.model.parameters():
        with torch.no_grad():
            p += 0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
    return made.training, pixels / 8 - 1


def gradients(**options):
    made, x0 = trainer(**options)
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(2)  # of the dropout
    loss, errors = made.gradient(x0, torch.arange(12) * 80, eps)
    return loss, errors, [p.grad for p in made.model.parameters()]


@pytest.mark.parametrize('micro_batch', [1, 3, 4, 6])
def test_micro_batches_have_the_batchs_gradient(micro_batch):
    loss, errors, whole = gradients()
    loss_m, errors_m, parts = gradients(micro_batch=micro_batch)
    agree(loss_m, loss, atol=0, rtol=1e-6, what='loss')
    agree(errors_m, errors, atol=1e-7, rtol=1e-5, what='errors of the images')
    agree(float(errors.mean()), float(loss), atol=0, rtol=1e-6, what='their mean, and the loss')
    for a, b in zip(parts, whole, strict=True):
        agree(a, b, atol=1e-6, rtol=1e-4, what='gradients')


def test_recomputing_changes_no_gradient():
    """Not even with dropout: the random numbers are drawn again as they were."""
    _, _, kept = gradients(dropout=0.3)
    _, _, recomputed = gradients(dropout=0.3, activation_checkpointing=True)
    for a, b in zip(kept, recomputed, strict=True):
        agree(a, b, atol=0, what='gradients, kept and computed again')


def test_recomputing_keeps_less():
    """The bytes that autograd keeps for the way back."""

    def kept(again):
        model = UNet(1, 32, (1, 2), (False, False), 2, n_groups=8)
        if again:
            recompute(m for m in model.modules() if isinstance(m, Block))
        sizes = {}

        def pack(x):
            sizes[x.data_ptr()] = x.nbytes
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            model(torch.randn(4, 1, 32, 32), torch.arange(4))
        return sum(sizes.values())

    assert kept(True) < kept(False) / 2


@pytest.mark.parametrize('options', [
    {'channels_last': None},
    *([{'precision': 'bf16'}, {'precision': 'bf16', 'channels_last': True}]
      if 'bf16' in available(CPU) else []),
    *([{'precision': 'fp16'}] if 'fp16' in available(CPU) else []),
], ids=str)  # fmt: skip
def test_other_ways_to_compute_have_the_same_gradient_nearly(options):
    loss, _, exact = gradients(channels_last=False)
    loss_o, _, near = gradients(**options)
    half = 'precision' in options
    # float16's gradient is still scaled
    scale = 65536 if options.get('precision') == 'fp16' else 1
    assert float(loss_o) == pytest.approx(float(loss), rel=0.01 if half else 1e-5)
    a, b = (torch.cat([g.flatten() for g in gs]) for gs in (exact, near))
    assert (b / scale - a).norm() < (0.05 if half else 1e-4) * a.norm()


@pytest.mark.parametrize('precision', [p for p in ('bf16', 'fp16') if p in available(CPU)])
@pytest.mark.long
def test_training_in_half_precision_learns_and_resumes_exactly(tmp_path, precision):
    options = [*PLAIN, '--precision', precision, '--log_every', 2, '--n_channels', 16]
    straight, cut = tmp_path / 'straight', tmp_path / 'cut'
    assert run(*options, '--steps', 12, '--out', straight)[0] == 0
    assert run(*options, '--steps', 5, '--out', cut)[0] == 0
    assert run('--out', cut, '--resume', '--steps', 12)[0] == 0
    a, b = checkpoint.load(straight), checkpoint.load(cut)
    for part in ('model', 'ema', 'scaler'):
        assert checkpoint.checksum(a[part]) == checkpoint.checksum(b[part])
    log = log_of(straight)
    assert log == log_of(cut)
    assert float(log[-1][1]) < float(log[1][1])
    assert all(w.dtype == torch.float32 for w in a['model'].values())


@pytest.mark.filterwarnings('ignore::DeprecationWarning')  # of torch, about itself
@pytest.mark.skipif(shutil.which('g++') is None, reason='needs a C++ compiler')
@pytest.mark.long
def test_a_compiled_run_is_the_run(tmp_path):
    """The same losses but for rounding, and weights that any other run can go on with."""
    options = [*PLAIN, '--steps', 4, '--log_every', 1, '--n_channels', 16, '--ch_mults', 1]
    options += ['--is_attn', 'no']
    plain, compiled = tmp_path / 'plain', tmp_path / 'compiled'
    assert run(*options, '--out', plain)[0] == 0
    status, printed, errors = run(*options, '--compile', 'yes', '--out', compiled)
    assert status == 0, errors
    assert 'fp32, compiled' in printed
    for a, b in zip(log_of(plain)[1:], log_of(compiled)[1:], strict=True):
        assert float(a[1]) == pytest.approx(float(b[1]), rel=1e-3)
    assert run('--out', compiled, '--resume', '--steps', 5, '--compile', 'no')[0] == 0


class Crossings(TorchDispatchMode):
    """The operations that one device has to wait in for another: their tensors lie on both."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        tensors = [x for x in tree_leaves((arguments, options, result))
                   if isinstance(x, torch.Tensor)]  # fmt: skip
        if len({x.device.type for x in tensors}) > 1:
            self.found.append(str(function))
        return result


@pytest.mark.parametrize('options', [{}, {'variance': 'learned'}, {'micro_batch': 4}], ids=str)
def test_no_step_waits_for_the_device(monkeypatch, options):
    """On a device whose numbers cannot be read at all: who looks at one gets an error."""
    meta = torch.device('meta')
    c = make_configs({**PRESETS['tests'], 'n_previews': 0, 'is_attn': (False, True),
                      'dropout': 0.1, **options})  # fmt: skip
    made = Trainer(c, None, Images('none', torch.zeros(16, 1, 8, 8, dtype=torch.uint8)), meta)
    with pytest.raises(RuntimeError, match='meta'):
        float(made.window.norm)

    def data(*_, **__):
        for i in range(4):
            made.stop.number = 15 * (i == 3)
            labels = torch.zeros(16, dtype=torch.int64, device=meta)
            yield torch.zeros(16, 1, 8, 8, device=meta), labels

    # It knows neither autocast nor a fused optimizer, and has no events to ask whether it is done
    monkeypatch.setattr(torch, 'autocast', lambda *_, **__: contextlib.nullcontext())
    monkeypatch.setattr(running, 'batches', data)
    monkeypatch.setattr(made.training.optimizer, 'step', lambda: None)
    monkeypatch.setattr(made.training.descent, 'is_fused', True)
    monkeypatch.setattr(made.training.descent, 'bad_in_a_row', lambda: 0)
    with Crossings() as crossings:
        made.train(Progress(c.steps, 0, file=io.StringIO()))
    assert made.step == 4
    assert crossings.found == []


def test_numbers_that_do_not_divide_are_refused(tmp_path):
    status, _, errors = run(*PLAIN, '--micro_batch', 5, '--out', tmp_path / 'r')
    assert status == 2
    assert 'micro_batch=5 does not divide the batch of 16 images of a process' in errors
    assert 'use one of 1, 2, 4, 8, 16' in errors
    assert not (tmp_path / 'r').exists()


def test_a_precision_that_does_not_exist_is_refused(tmp_path):
    status, _, errors = run(*PLAIN, '--precision', 'fp8', '--out', tmp_path / 'r')
    assert status == 2
    assert "precision='fp8' is not known" in errors
