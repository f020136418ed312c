"""The U-Net: sizes, symmetry, initial state, and what it refuses."""

import re

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion, unet
from labml_nn.diffusion.ddpm.experiment import PRESETS, build, make_configs
from labml_nn.diffusion.ddpm.unet import UNet
from tests.kit.close import agree

# Every preset and its number of parameters. The paper has 35.7 M for CIFAR-10 and 114 M for 256²
PARAMETERS = {
    'digits': 701_345,
    'digits_fast': 163_985,
    'digits_conditional': 702_625,
    'digits_dit': 722_788,
    'tests': 271_649,
    'mnist': 6_469_889,
    'fashion': 1_540_681,
    'fashion_conditional': 1_541_641,
    'folder16': 2_587_491,
    'folder32': 8_952_067,
    'folder64': 35_746_307,
    'cifar10': 35_746_307,
    'cifar10_conditional': 35_751_427,
    'celeba64': 78_700_803,
    'celebahq256': 113_673_219,
}


def n_parameters(model):
    return sum(p.numel() for p in model.parameters())


def small(**options):
    options = {
        'n_channels': 32,
        'ch_mults': (1, 2),
        'is_attn': (False, True),
        'n_blocks': 1,
    } | options
    return UNet(**options)


def wake(model):
    """Take a freshly built network out of its zero state, as training would."""
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.05) if not p.any() else None
    return model


@pytest.mark.parametrize('preset', sorted(PRESETS))
def test_parameters_of_every_preset(preset):
    assert set(PARAMETERS) == set(PRESETS), 'a preset is missing in the table'
    found = n_parameters(build(make_configs(PRESETS[preset]), 'meta'))
    agree(float(found), float(PARAMETERS[preset]), atol=0, what=f'parameters of {preset}')


def test_the_defaults_are_the_papers_cifar10_model():
    with torch.device('meta'):
        assert n_parameters(UNet()) == 35_746_307


def test_parameters_by_the_formula():
    """Counted from the description, not from the code: convolutions, norms, linears."""

    def conv(i, o, k=3):
        return i * o * k * k + o

    def block(i, o, time, attn):
        n = 2 * i + conv(i, o) + time * o + o + 2 * o + conv(o, o)
        n += conv(i, o, 1) if i != o else 0
        return n + (2 * o + 4 * (o * o + o) if attn else 0)

    time = 512
    total = 128 * time + time + time * time + time + conv(3, 128)
    widths, attn = [128, 256, 256, 256], [False, True, False, False]
    skips, width = [128], 128
    for level in range(4):
        for _ in range(2):
            total += block(width, widths[level], time, attn[level])
            width = widths[level]
            skips.append(width)
        if level < 3:
            total += conv(width, width)
            skips.append(width)
    total += block(width, width, time, True) + block(width, width, time, False)
    for level in reversed(range(4)):
        for _ in range(3):
            total += block(width + skips.pop(), widths[level], time, attn[level])
            width = widths[level]
        if level:
            total += conv(width, width)
    assert not skips
    total += 2 * 128 + conv(128, 3)
    assert total == 35_746_307


def test_print_is_the_figure():
    with torch.device('meta'):
        shown = str(UNet())
    indented = '\n'.join('    ' + line for line in shown.splitlines())
    assert indented in unet.__doc__


@pytest.mark.parametrize('channels', [1, 3])
def test_freshly_built_it_guesses_no_noise_and_keeps_the_shape(channels):
    model = small(image_channels=channels)
    x = torch.randn(2, channels, 8, 16)
    out = model(x, torch.tensor([0, 999]))
    assert out.shape == x.shape
    assert not out.any()


def test_every_parameter_gets_a_gradient():
    model = wake(small(n_blocks=2))
    out = model(torch.randn(2, 3, 8, 8), torch.tensor([3, 700]))
    (out**2).sum().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # A shift of all keys alike changes no softmax, so the keys' bias has none, in exact arithmetic
    assert [name for name in without if not name.endswith('key.bias')] == []


def test_the_first_step_of_training_moves_the_head_and_nothing_is_stuck_after_three():
    torch.manual_seed(0)
    model = small(dropout=0.0)
    start = {k: v.clone() for k, v in model.state_dict().items()}
    diffusion = DenoiseDiffusion(model, 1000)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(4):
        optimizer.zero_grad()
        diffusion.loss(torch.rand(8, 3, 8, 8) * 2 - 1).backward()
        optimizer.step()
    stuck = [k for k, v in model.state_dict().items() if torch.equal(v, start[k])]
    assert stuck == []


def test_time_is_told():
    model = wake(small()).eval()
    x = torch.randn(1, 3, 8, 8).expand(3, -1, -1, -1)
    out = model(x, torch.tensor([0, 1, 999])).detach()
    assert float((out[0] - out[1]).abs().max()) > 1e-4
    assert float((out[0] - out[2]).abs().max()) > 1e-2


def test_time_embedding_is_the_authors():
    """sin then cos, at 10000^(-i/(half-1)): from 1 down to exactly 1e-4."""
    embedding = unet.TimeEmbedding(8)
    torch.testing.assert_close(
        embedding.frequency.double(), 10000.0 ** (-torch.arange(4).double() / 3), rtol=1e-6, atol=0
    )
    embedding.linear1 = embedding.linear2 = torch.nn.Identity()
    emb = embedding(torch.tensor([7]))  # SiLU of the sinusoids, with both layers taken out
    angle = 7 * embedding.frequency
    expected = torch.nn.functional.silu(torch.cat([angle.sin(), angle.cos()]))
    torch.testing.assert_close(emb[0], expected)


def test_images_of_a_batch_do_not_see_each_other():
    model = wake(small()).eval()
    x, t = torch.randn(4, 3, 8, 8), torch.tensor([0, 10, 500, 999])
    torch.testing.assert_close(model(x, t)[2:3], model(x[2:3], t[2:3]), rtol=1e-4, atol=1e-5)


def test_attention_is_the_formula():
    torch.manual_seed(0)
    block = unet.AttentionBlock(32, n_groups=32)
    torch.nn.init.normal_(block.out.weight)
    x = torch.randn(2, 32, 3, 5)
    h = block.norm(x).flatten(2).transpose(1, 2)
    pairs = block.query(h) @ block.key(h).transpose(1, 2) / 32**0.5
    expected = block.out(pairs.softmax(-1) @ block.value(h)).transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(block(x), x + expected, rtol=1e-4, atol=1e-4)


def test_downsampling_pads_right_and_bottom_only():
    """An impulse at the last pixel reaches the output through the kernel's middle."""
    down = unet.Downsample(1)
    torch.nn.init.zeros_(down.weight)
    down.weight.data[0, 0, 0, 0] = 1.0
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    # With the kernel's first tap alone, the output is every second pixel, from the first on
    out = down(x) - down.bias.reshape(1, 1, 1, 1)
    assert out.flatten().tolist() == [0.0, 2.0, 8.0, 10.0]


def test_upsampling_repeats_pixels():
    up = unet.Upsample(1)
    torch.nn.init.zeros_(up.weight)
    torch.nn.init.zeros_(up.bias)
    up.weight.data[0, 0, 1, 1] = 1.0
    out = up(torch.tensor([[[[1.0, 2.0]]]]))
    assert out[0, 0].tolist() == [[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]


def test_weights_start_as_the_authors_do():
    """Uniform with variance 2 / (fan_in + fan_out); zero at the ends of branches; no biases."""
    model = small(n_channels=64)
    for name, p in model.named_parameters():
        if name.endswith('bias') and 'norm' not in name:
            assert not p.any(), name
        ends_a_branch = re.search(r'conv2\.weight|attention\.out\.weight|^head\.weight', name)
        if p.ndim >= 2:
            assert bool(ends_a_branch) == (not p.any()), name
    w = model.middle.blocks[0].residual.conv1.weight.detach()
    fan_in, fan_out = w.shape[1] * 9, w.shape[0] * 9
    assert float(w.var()) == pytest.approx(2 / (fan_in + fan_out), rel=0.03)


def test_group_norms_have_the_authors_epsilon():
    norms = [m for m in small().modules() if isinstance(m, torch.nn.GroupNorm)]
    assert norms
    assert {(n.eps, n.num_groups) for n in norms} == {(1e-6, 32)}


def test_dropout_is_off_in_evaluation():
    model = wake(small(dropout=0.5))
    x, t = torch.randn(2, 3, 8, 8), torch.tensor([5, 6])
    model.eval()
    assert torch.equal(model(x, t), model(x, t))
    model.train()
    assert not torch.equal(model(x, t), model(x, t))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'ch_mults': (1, 2, 2)}, r'ch_mults=\(1, 2, 2\) has 3 levels.*has 2'),
        ({'ch_mults': (), 'is_attn': ()}, 'one entry a level'),
        (
            {'n_channels': 48},
            'n_channels=48 is not a multiple of the 32 groups.*use 32, 64 or n_groups=16',
        ),
        ({'n_channels': 0}, 'n_channels=0'),
        ({'n_blocks': 0}, 'at least one block'),
        ({'ch_mults': (1, 0)}, 'at least one block and one channel'),
        ({'n_groups': 0}, 'n_channels=32 is not a multiple of the 0 groups'),
    ],
)
def test_numbers_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


@pytest.mark.parametrize(
    ('shape', 'message'),
    [
        ((1, 3, 9, 8), 'image_size=9 cannot be halved 1 times.*multiple of 2, such as 8 or 10'),
        ((1, 3, 8, 1), 'image_size=1 cannot'),
        ((1, 1, 8, 8), r'shape \[1, 1, 8, 8\]: this U-Net needs \[batch, 3, height, width\]'),
        ((3, 8, 8), r'shape \[3, 8, 8\]'),
    ],
)
def test_images_that_do_not_fit_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        small()(torch.zeros(shape), torch.zeros(1, dtype=torch.int64))


# ## Labels


def labelled():
    return wake(small(image_channels=1, n_classes=3)).eval()


def test_no_label_is_label_minus_one():
    """And a label makes a difference, to its own image alone."""
    model = labelled()
    x, t = torch.randn(3, 1, 8, 8), torch.tensor([5, 50, 500])
    plain = model(x, t)
    agree(model(x, t, torch.full((3,), -1)), plain, atol=0, what='label -1, and no label')
    told = model(x, t, torch.tensor([-1, 2, -1]))
    torch.testing.assert_close(told[[0, 2]], plain[[0, 2]])
    assert not torch.allclose(told[1], plain[1], atol=1e-3)
    torch.testing.assert_close(model(x[1:2], t[1:2], torch.tensor([2])), told[1:2])


def test_labels_add_a_vector_a_class_and_nothing_else():
    plain = small(image_channels=1)
    extra = n_parameters(labelled()) - n_parameters(plain)
    assert extra == 3 * 4 * 32
    assert set(labelled().state_dict()) - set(plain.state_dict()) == {'time.label.weight'}
    assert '32 sinusoids + 3 classes → 128' in repr(labelled())


def test_the_loss_hands_labels_to_the_model():
    diffusion = DenoiseDiffusion(labelled(), 1000)
    x0, noise, t = torch.zeros(2, 1, 8, 8), torch.randn(2, 1, 8, 8), torch.tensor([5, 50])
    label = torch.tensor([0, 2])
    xt = diffusion.q_sample(x0, t, noise)
    expected = (diffusion.eps_model(xt, t, label) - noise).pow(2).mean()
    torch.testing.assert_close(diffusion.loss(x0, noise, t=t, label=label), expected)
    assert not torch.allclose(diffusion.loss(x0, noise, t=t), expected)


@pytest.mark.parametrize(
    ('n_classes', 'label', 'message'),
    [
        (3, torch.tensor([0, 3]), 'labels go from 0 to 3: this model has the classes 0 to 2'),
        (3, torch.tensor([-2, 0]), 'labels go from -2 to 0'),
        (3, torch.tensor([0]), r'label has shape \[1\] .* for each of 2 images'),
        (3, torch.tensor([0.0, 1.0]), 'type torch.float32'),
        (None, torch.tensor([0, 1]), 'a model that takes none: leave them out, or train one'),
    ],
)
def test_labels_that_name_no_class_are_refused(n_classes, label, message):
    model = small(image_channels=1, n_classes=n_classes)
    with pytest.raises(ValueError, match=message):
        model(torch.zeros(2, 1, 8, 8), torch.zeros(2, dtype=torch.int64), label)


def test_a_network_of_no_classes_is_refused():
    with pytest.raises(ValueError, match='n_classes=0: give at least one, or None'):
        small(n_classes=0)
    assert small(n_classes=1).time.n_classes == 1


def test_every_class_has_a_vector():
    """The first one, 0, too: it is no word for nothing."""
    model = labelled()
    x, t = torch.randn(1, 1, 8, 8), torch.tensor([50])
    images = [model(x, t, torch.tensor([label])) for label in (-1, 0, 1, 2)]
    for i, one in enumerate(images):
        assert not any(torch.allclose(one, other, atol=1e-3) for other in images[:i])
