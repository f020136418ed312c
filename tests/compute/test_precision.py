"""Precision: which the device has, what is computed in it, and what stays in float32."""

import pytest
import torch
from torch import nn

from labml_nn.compute import precision
from labml_nn.compute.precision import (
    Captured,
    Network,
    available,
    n_products,
    pick_layout,
    pick_precision,
)
from labml_nn.diffusion.ddpm.configs import PRESETS, make_configs
from labml_nn.diffusion.ddpm.train import Training
from labml_nn.diffusion.ddpm.unet import AttentionBlock, TimeEmbedding, UNet

CPU = torch.device('cpu')
HALF = [p for p in ('bf16', 'fp16') if p in available(CPU)]


def small():
    torch.manual_seed(0)
    model = UNet(1, 16, (1, 2), (False, True), 1, dropout=0.0, n_groups=8)
    for p in model.parameters():  # no layer that begins at zero
        nn.init.normal_(p, std=0.1) if p.ndim == 1 else nn.init.xavier_normal_(p)
    return model


def test_precision_by_name():
    assert available(CPU)[0] == 'fp32'
    assert pick_precision('auto', CPU) == 'fp32'
    assert pick_precision('fp32', CPU) == 'fp32'
    with pytest.raises(ValueError, match="precision='fp8' is not known: use one of auto, fp32"):
        pick_precision('fp8', CPU)


def test_a_precision_that_the_device_lacks_is_refused_and_those_it_has_are_named(monkeypatch):
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: {'avx2': True})
    with pytest.raises(ValueError, match='precision=bf16 is not on cpu: it has fp32$'):
        pick_precision('bf16', CPU)
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: {'amx_bf16': True})
    with pytest.raises(ValueError, match='precision=fp16 is not on cpu: it has fp32, bf16$'):
        pick_precision('fp16', CPU)


@pytest.mark.parametrize(('has', 'auto'), [(True, 'bf16'), (False, 'fp32')])
def test_auto_is_bf16_on_gpus_that_have_it(monkeypatch, has, auto):
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda including_emulation: has)
    assert pick_precision('auto', torch.device('cuda')) == auto


AMX, LESS = {'avx512_bf16': True, 'amx_bf16': True}, {'avx512_bf16': True, 'arm_bf16': True}


@pytest.mark.parametrize(('has', 'products', 'auto'), [
    (AMX, 50_000_000, 'bf16'), (AMX, 49_999_999, 'fp32'), (LESS, 10**9, 'fp32'),
])  # fmt: skip
def test_auto_is_bf16_to_train_what_has_many_products_where_amx_is(
    monkeypatch, has, products, auto
):
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: has)
    assert pick_precision('auto', CPU, lambda: products) == auto
    # To sample, whatever the network
    assert pick_precision('auto', CPU) == 'fp32'


@pytest.mark.parametrize(('preset', 'precision', 'channels_last'), [
    ('digits', 'fp32', True), ('fashion', 'bf16', False), ('fashion_conditional', 'bf16', False),
    ('folder16', 'bf16', False),
])  # fmt: skip
def test_what_a_preset_is_trained_in_where_amx_is(monkeypatch, preset, precision, channels_last):
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: AMX)
    values = PRESETS[preset]
    training = Training(make_configs(values), CPU)
    assert (training.precision, training.channels_last) == (precision, channels_last)
    head = training.model.head.weight
    assert head.is_contiguous(memory_format=torch.channels_last) == channels_last
    said = Training(make_configs({**values, 'precision': 'fp32', 'channels_last': False}), CPU)
    assert (said.precision, said.channels_last) == ('fp32', False)
    assert said.model.head.weight.is_contiguous()


def test_products_are_counted_without_random_numbers():
    """A convolution of 3 × 3 has nine products for each pixel and pair of channels."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 5, 3, padding=1)
            self.dropout = nn.Dropout(0.5)

        def forward(self, x, t):
            return self.dropout(self.conv(x))

    model, state = Model(), torch.get_rng_state()
    assert n_products(model, 2, 7) == 9 * 2 * 5 * 7 * 7
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(('said', 'precision', 'device', 'layout'), [
    (None, 'fp32', 'cpu', True), (None, 'bf16', 'cpu', False), (None, 'fp32', 'cuda', False),
    (False, 'fp32', 'cpu', False), (True, 'bf16', 'cuda', True),
])  # fmt: skip
def test_channels_lie_side_by_side_in_fp32_on_a_cpu(said, precision, device, layout):
    assert pick_layout(said, precision, torch.device(device)) == layout


@pytest.mark.parametrize('name', HALF)
def test_half_precision_is_near_and_comes_out_as_float32(name):
    model = small()
    x, t = torch.randn(4, 1, 8, 8), torch.tensor([0, 10, 500, 999])
    with torch.no_grad():
        exact, near = model(x, t), Network(model, name)(x, t)
    assert near.dtype == torch.float32
    assert not torch.equal(near, exact)
    error = (near - exact).norm() / exact.norm()
    assert error < (0.02 if name == 'bf16' else 0.004)


def test_without_half_precision_nothing_changes():
    model = small()
    x, t = torch.randn(4, 1, 8, 8), torch.arange(4)
    assert torch.equal(Network(model)(x, t), model(x, t))
    torch.testing.assert_close(Network(model, channels_last=True)(x, t), model(x, t))


@pytest.mark.parametrize('name', HALF)
def test_time_stays_in_float32_and_convolutions_do_not(name):
    model, seen = small(), {}

    def look(module, _, output):
        seen.setdefault(type(module), set()).add(output.dtype)

    for module in model.modules():
        if isinstance(module, nn.Conv2d | TimeEmbedding):
            module.register_forward_hook(look)
    Network(model, name)(torch.randn(2, 1, 8, 8), torch.tensor([513, 514]))
    assert seen[TimeEmbedding] == {torch.float32}
    assert precision.PRECISIONS[name] in seen[nn.Conv2d]
    # The steps that bfloat16 cannot tell apart are told apart
    embedding = model.time
    with torch.autocast('cpu', precision.PRECISIONS[name]):
        a, b = embedding(torch.tensor([513, 514]))
    assert (a - b).abs().max() > 1e-3


@pytest.mark.parametrize('name', HALF)
def test_softmax_is_not_rounded(name):
    """Attention over 1,024 places that are all alike: rounded weights would not add up to one."""
    block = AttentionBlock(16, n_groups=8)
    for layer in (block.query, block.key):
        nn.init.zeros_(layer.weight)
    for layer in (block.value, block.out):
        nn.init.eye_(layer.weight)
        nn.init.zeros_(layer.bias)
    x = torch.randn(1, 16, 32, 32)
    with torch.no_grad(), torch.autocast('cpu', precision.PRECISIONS[name]):
        mean = block(x).float() - x
    expected = block.norm(x).mean((2, 3), keepdim=True)
    torch.testing.assert_close(mean, expected.expand_as(mean), atol=0.02, rtol=0)


@pytest.mark.parametrize('name', HALF)
def test_gradients_and_weights_are_float32(name):
    model = small()
    network = Network(model, name)
    network(torch.randn(2, 1, 8, 8), torch.arange(2)).square().mean().backward()
    assert {p.grad.dtype for p in model.parameters()} == {torch.float32}
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_captured_is_the_model_where_there_is_no_cuda():
    model = small()
    x, t = torch.randn(2, 1, 8, 8), torch.arange(2)
    assert torch.equal(Captured(model).eval()(x, t), model(x, t))


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA')
@pytest.mark.parametrize('name', ['fp32', 'bf16'])
def test_a_captured_graph_says_what_the_model_says(name):
    model = small().cuda().eval()
    network = Network(model, name).eval()
    captured = Captured(network).eval()
    with torch.no_grad():
        for n in (2, 3, 2):
            x, t = torch.randn(n, 1, 8, 8, device='cuda'), torch.arange(n, device='cuda')
            first = captured(x, t)
            torch.testing.assert_close(first, network(x, t))
            # It reads the weights where they are, and its output is the caller's to keep
            for p in model.parameters():
                p.mul_(1.1)
            kept = first.clone()
            torch.testing.assert_close(captured(x, t), network(x, t))
            assert torch.equal(first, kept)
    assert len(captured.graphs) == 2


def test_compiling_needs_a_compiler(monkeypatch, tmp_path):
    from torch._inductor import cpp_builder

    def none():
        raise RuntimeError('No working C++ compiler found')

    monkeypatch.setattr(cpp_builder, 'get_cpp_compiler', none)
    with pytest.raises(ValueError, match=r'compile=True needs a C\+\+ compiler .*install g\+\+'):
        precision.check_compiler(CPU)
