"""The transformer: patches, positions, the block by its formula, diffusers' on equal weights."""

import math

import pytest
import torch
import torch.nn.functional as F

from labml_nn.diffusion.ddpm import DenoiseDiffusion, dit
from labml_nn.diffusion.ddpm.configs import PRESETS, build, make_configs, network_of
from labml_nn.diffusion.ddpm.dit import DiT, DiTBlock, Positions, modulate, patchify, unpatchify
from labml_nn.diffusion.ddpm.evaluate import main as evaluate
from labml_nn.diffusion.ddpm.experiment import main as train
from labml_nn.diffusion.ddpm.pretrained import main as pretrained
from labml_nn.diffusion.ddpm.unet import TimeEmbedding, Variant
from labml_nn.runs import checkpoint
from tests.kit.close import agree, record
from tests.kit.peers import diffusers
from tests.kit.runs import PLAIN, called, equal, log_of


def small(**options):
    return DiT(**{'image_channels': 3, 'n_channels': 24, 'depth': 2, 'n_heads': 3} | options)


def wake(model, std=0.2):
    """Take a freshly built network out of its zero state, as training would."""
    for p in model.parameters():
        torch.nn.init.normal_(p, std=std)
    return model.eval()


# ## Tokens


def test_patches_are_cut_and_put_back():
    """Both ways, to the bit, also where an image is higher than wide."""
    x = torch.randn(2, 3, 12, 8)
    for p in (1, 2, 4):
        rows, columns = 12 // p, 8 // p
        tokens = patchify(x, p)
        assert tokens.shape == (2, rows * columns, p * p * 3)
        agree(unpatchify(tokens, p, rows, columns), x, atol=0, what='images')
        other = torch.randn_like(tokens)
        agree(patchify(unpatchify(other, p, rows, columns), p), other, atol=0, what='tokens')


def test_a_token_is_a_map_of_its_pixels():
    model = wake(small())
    x, p = torch.randn(1, 3, 6, 8), 2
    seen = []
    model.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(x, torch.tensor([5]))
    where = model.positions(3, 4)
    for i in range(3):
        for j in range(4):
            pixels = x[0, :, i * p : i * p + p, j * p : j * p + p]  # [channels, p, p]
            expected = model.stem(pixels.permute(1, 2, 0).flatten()) + where[i * 4 + j]
            agree(seen[0][0, i * 4 + j], expected, atol=1e-5, what='a token')


def test_positions_are_waves_of_column_and_row():
    found = Positions(16)(3, 5)
    assert found.shape == (15, 16)
    for i in range(3):
        for j in range(5):
            omega = [10_000 ** (-k / 4) for k in range(4)]
            expected = [wave(at * w) for at in (j, i) for wave in (math.sin, math.cos)
                        for w in omega]  # fmt: skip
            agree(found[i * 5 + j].double().tolist(), expected, atol=1e-6, what='a position')


def permuted(x, order, p=2):
    """An image with its patches in another order."""
    rows, columns = x.shape[2] // p, x.shape[3] // p
    return unpatchify(patchify(x, p)[:, order], p, rows, columns)


def test_without_positions_patches_may_change_places():
    """And with them they may not."""
    model = wake(small())
    x, t, order = torch.randn(2, 3, 8, 6), torch.tensor([3, 700]), torch.randperm(12)
    assert not torch.allclose(model(permuted(x, order), t), permuted(model(x, t), order), atol=0.1)
    model.positions.forward = lambda rows, columns: torch.zeros(rows * columns, 24)
    agree(model(permuted(x, order), t), permuted(model(x, t), order), atol=1e-4,
          what='patches changed, before and after')  # fmt: skip


# ## The block


def test_modulation_of_known_values():
    """(1 + s) h + b; zeros leave everything as it is, and each image has its own."""
    h = torch.tensor([[[1.0, -2.0], [3.0, 0.5]], [[1.0, 1.0], [2.0, 2.0]]])
    shift, scale = torch.tensor([[10.0, 0.0], [0.0, -1.0]]), torch.tensor([[0.5, -1.0], [1.0, 0.0]])
    expected = torch.tensor([[[11.5, 0.0], [14.5, 0.0]], [[2.0, 0.0], [4.0, 1.0]]])
    agree(modulate(h, shift, scale), expected, atol=0, what='scaled and shifted')
    agree(modulate(h, 0 * shift, 0 * scale), h, atol=0, what='with zeros')


def normed(h):
    """Mean 0 and variance 1 of each token."""
    centred = h - h.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()


def test_the_block_is_the_formula():
    """From the definitions: softmax of all pairs head by head, and tanh in the place of erf."""
    block = wake(DiTBlock(24, 3)).double()
    h, c = torch.randn(2, 7, 24).double(), torch.randn(2, 24).double()
    b1, s1, g1, b2, s2, g2 = block.modulation(c * c.sigmoid())[:, None].chunk(6, dim=2)
    query, key, value = block.attention.qkv((1 + s1) * normed(h) + b1).chunk(3, dim=2)
    heads = []
    for k in range(3):
        of = slice(8 * k, 8 * k + 8)
        pairs = query[..., of] @ key[..., of].transpose(1, 2) / 8**0.5
        heads.append(pairs.softmax(-1) @ value[..., of])
    expected = h + g1 * block.attention.out(torch.cat(heads, 2))
    wide = block.mlp[0]((1 + s2) * normed(expected) + b2)
    gelu = wide / 2 * (1 + torch.tanh((2 / math.pi) ** 0.5 * (wide + 0.044715 * wide**3)))
    expected = expected + g2 * block.mlp[2](gelu)
    agree(block(h, c), expected, atol=1e-10, what='the block and the formula')


def test_a_new_block_is_the_identity():
    h = torch.randn(3, 16, 96)
    for block in DiT(1, 96, 2, 4).blocks:
        agree(block(h, torch.randn(3, 96)), h, atol=0, what='a new block')


def test_a_new_network_guesses_no_noise():
    x = torch.randn(2, 3, 8, 12)
    for out in (3, 6):
        model = small(out_channels=out, n_classes=4)
        found = model(x, torch.tensor([0, 999]), torch.tensor([1, -1]))
        agree(found, torch.zeros(2, out, 8, 12), atol=0, what='the first guess')


def test_weights_start_as_the_authors_do():
    model = DiT(1, 96, 2, 4, n_classes=200)
    for name, p in model.named_parameters():
        is_zero = name.endswith('bias') or 'modulation' in name or name.startswith('head')
        assert is_zero == (not p.any()), name
    w = model.blocks[0].mlp[0].weight.detach()
    assert float(w.var()) == pytest.approx(2 / (96 + 384), rel=0.03)
    for w in (model.time.linear1.weight, model.time.linear2.weight, model.time.label.weight):
        assert float(w.detach().std()) == pytest.approx(0.02, rel=0.03)


def test_nothing_is_stuck_after_a_few_steps():
    model = small(n_classes=2)
    start = {k: v.clone() for k, v in model.state_dict().items()}
    diffusion = DenoiseDiffusion(model, 1000)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(4):
        optimizer.zero_grad()
        diffusion.loss(torch.rand(8, 3, 8, 8) * 2 - 1, label=torch.arange(8) % 2).backward()
        optimizer.step()
    assert [k for k, v in model.state_dict().items() if torch.equal(v, start[k])] == []


# ## Time and class


def test_time_and_class_are_told():
    model = wake(small(n_classes=3))
    x = torch.randn(1, 3, 8, 8).expand(4, -1, -1, -1)
    out = model(x, torch.tensor([0, 1, 999, 999]), torch.tensor([0, 0, 0, 2])).detach()
    for i, one in enumerate(out):
        assert not any(torch.allclose(one, other, atol=1e-4) for other in out[:i])
    plain = model(x, torch.full((4,), 7))
    agree(model(x, torch.full((4,), 7), torch.full((4,), -1)), plain, atol=0, what='no label')


def test_a_vector_for_no_class_goes_into_the_bias():
    """A table with a row more computes the same as ours, with other numbers in it."""
    model = wake(small(n_classes=3))
    theirs = torch.randn(4, 24)  # the last row is of no class
    t, label = torch.tensor([5, 50, 500, 5]), torch.tensor([0, 1, 2, -1])
    time = TimeEmbedding(dit.N_SINUSOIDS, None, dit.TIMES, width=24)
    time.load_state_dict({k: v for k, v in model.time.state_dict().items() if 'label' not in k})
    given = time(t) + theirs[label]
    with torch.no_grad():
        model.time.linear2.bias += theirs[-1]
        model.time.label.weight.copy_(theirs[:-1] - theirs[-1])
    agree(model.time(t, label), given, atol=1e-5, what='time and class')


def test_the_learned_variance_has_channels_of_its_own():
    c = make_configs({**PRESETS['digits_dit'], 'variance': 'learned'})
    model = network_of(c)
    assert model(torch.randn(2, 1, 8, 8), torch.tensor([1, 2])).shape == (2, 2, 8, 8)


# ## Others


def named_as_theirs(model):
    """Our weights by the names of `DiTTransformer2DModel`, where each block embeds the time."""
    w, found = model.state_dict(), {}

    def put(theirs, ours):
        for kind in ('weight', 'bias'):
            found[f'{theirs}.{kind}'] = w[f'{ours}.{kind}']

    p, c = model.patch_size, model.image_channels
    put('pos_embed.proj', 'stem')
    kernel = w['stem.weight'].unflatten(1, (p, p, c)).permute(0, 3, 1, 2)
    found['pos_embed.proj.weight'] = kernel
    for i in range(len(model.blocks)):
        theirs, ours = f'transformer_blocks.{i}', f'blocks.{i}'
        put(f'{theirs}.norm1.linear', f'{ours}.modulation')
        put(f'{theirs}.attn1.to_out.0', f'{ours}.attention.out')
        for n, name in enumerate('qkv'):
            for kind in ('weight', 'bias'):
                whole = w[f'{ours}.attention.qkv.{kind}']
                found[f'{theirs}.attn1.to_{name}.{kind}'] = whole.chunk(3)[n]
        put(f'{theirs}.ff.net.0.proj', f'{ours}.mlp.0')
        put(f'{theirs}.ff.net.2', f'{ours}.mlp.2')
        embedding = f'{theirs}.norm1.emb'
        put(f'{embedding}.timestep_embedder.linear_1', 'time.linear1')
        put(f'{embedding}.timestep_embedder.linear_2', 'time.linear2')
        # The row that is none of ours, for no class
        table = F.pad(w['time.label.weight'], (0, 0, 0, 1))
        found[f'{embedding}.class_embedder.embedding_table.weight'] = table
    put('proj_out_1', 'modulation')
    put('proj_out_2', 'head')
    return found


@pytest.mark.parametrize('p', [1, 2, 4])
def test_the_network_is_that_of_diffusers(p):
    model = small(patch_size=p, n_classes=5, out_channels=6)
    # Their frequencies of the time; the authors' are others
    model.time = TimeEmbedding(256, 5, Variant(cosine_first=True), width=24)
    wake(model, std=0.1)
    theirs = diffusers().DiTTransformer2DModel(
        num_attention_heads=3, attention_head_dim=8, in_channels=3, out_channels=6, num_layers=2,
        sample_size=8, patch_size=p, num_embeds_ada_norm=5, norm_eps=1e-6,
    ).eval()  # fmt: skip
    theirs.load_state_dict(named_as_theirs(model))
    x, t = torch.randn(4, 3, 8, 8), torch.tensor([0, 3, 500, 999])
    label = torch.tensor([0, 4, -1, 2])
    with torch.no_grad():
        expected = theirs(x, t, class_labels=label % 6).sample
        agree(model(x, t, label), expected, atol=1e-4, what='the whole network')
        # The authors' frequencies are not theirs
        model.time.frequency = TimeEmbedding(256, variant=dit.TIMES).frequency
        assert not torch.allclose(model(x, t, label)[2:], expected[2:], atol=1e-3)


def named_as_the_authors(model, side, none):
    """Our weights by the names of their files, with a vector for no class."""
    w = model.state_dict()
    found = {'pos_embed': model.positions(side, side)[None]}
    names = {
        'stem': 'x_embedder.proj', 'time.linear1': 't_embedder.mlp.0',
        'time.linear2': 't_embedder.mlp.2', 'head': 'final_layer.linear',
        'modulation': 'final_layer.adaLN_modulation.1',
    }  # fmt: skip
    for i in range(len(model.blocks)):
        for ours, theirs in (
            ('attention.qkv', 'attn.qkv'), ('attention.out', 'attn.proj'), ('mlp.0', 'mlp.fc1'),
            ('mlp.2', 'mlp.fc2'), ('modulation', 'adaLN_modulation.1'),
        ):  # fmt: skip
            names[f'blocks.{i}.{ours}'] = f'blocks.{i}.{theirs}'
    for ours, theirs in names.items():
        for kind in ('weight', 'bias'):
            found[f'{theirs}.{kind}'] = w[f'{ours}.{kind}']
    kernel = w['stem.weight'].unflatten(1, (model.patch_size, model.patch_size, -1))
    found['x_embedder.proj.weight'] = kernel.permute(0, 3, 1, 2)
    found['t_embedder.mlp.2.bias'] = w['time.linear2.bias'] - none
    table = torch.cat([w['time.label.weight'], torch.zeros(1, len(none))]) + none
    return found | {'y_embedder.embedding_table.weight': table}


def test_the_authors_weights_are_read():
    """Sizes, names and the vector of no class; their code itself was compared by hand."""
    model = wake(small(n_classes=5, out_channels=6), std=0.1)
    theirs = named_as_the_authors(model, 4, torch.randn(24))
    found = dit.from_authors(theirs, n_heads=3).eval()
    x, t, label = torch.randn(3, 3, 8, 8), torch.tensor([0, 50, 999]), torch.tensor([0, 4, -1])
    agree(found(x, t, label), model(x, t, label), atol=1e-5, what='with their names, and with ours')
    # Nothing of theirs is left out
    for name in theirs:
        other = dict(theirs, **{name: theirs[name] + torch.randn_like(theirs[name])})
        if name == 'pos_embed':
            with pytest.raises(ValueError, match='other positions than sines and cosines of 4 × 4'):
                dit.from_authors(other, n_heads=3)
            continue
        changed = dit.from_authors(other, n_heads=3).eval()
        assert not torch.equal(changed(x, t, label), found(x, t, label)), name


@pytest.mark.parametrize('name', ['pos_embed', 'blocks.1.mlp.fc1.bias', 'more'])
def test_weights_of_others_are_refused(name):
    theirs = named_as_the_authors(small(n_classes=5), 4, torch.zeros(24))
    theirs.pop(name, None) if name != 'more' else theirs.update(more=torch.zeros(1))
    word = 'a' if name == 'more' else 'no'
    with pytest.raises(
        ValueError, match=f'no weights of the authors of DiT: there is {word} {name}'
    ):
        dit.from_authors(theirs, n_heads=3)


def test_the_sizes_of_the_paper():
    """Its table 1, in millions, for codes of four channels, 1000 classes and a learned variance."""
    sizes = {'S': (384, 12, 6), 'B': (768, 12, 12), 'L': (1024, 24, 16), 'XL': (1152, 28, 16)}
    found = []
    for name, (width, depth, n_heads) in sizes.items():
        with torch.device('meta'):
            model = DiT(4, width, depth, n_heads, 2, out_channels=8, n_classes=1000)
        found.append(round(sum(w.numel() for w in model.parameters()) / 1e6))
        record(f'DiT-{name}, millions', found[-1])
    assert found == [33, 130, 458, 675]


def test_print_is_the_figure():
    shown = str(build(make_configs(PRESETS['digits_dit']), 'meta').eps_model)
    indented = '\n'.join('    ' + line for line in shown.splitlines())
    assert indented in dit.__doc__


# ## At the door


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'depth': 0}, 'depth=0, n_heads=3, patch_size=2: each must be at least 1'),
        ({'patch_size': 0}, 'patch_size=0'),
        ({'n_heads': 0}, 'n_heads=0'),
        ({'n_heads': 5}, 'n_channels=24 is no multiple of 4 and of the n_heads=5 .* 20 or 40'),
        ({'n_channels': 6}, 'n_channels=6 is no multiple .* use 12 or 24'),
        ({'n_channels': 0}, 'n_channels=0'),
    ],
)
def test_numbers_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


@pytest.mark.parametrize(
    ('shape', 'message'),
    [
        ((1, 3, 9, 8), 'image_size=9 cannot be cut into patches of 2 .* such as 8 or 10'),
        ((1, 3, 8, 1), 'image_size=1 cannot be cut .* such as 2$'),
        ((1, 1, 8, 8), r'shape \[1, 1, 8, 8\]: this transformer needs \[batch, 3, height, width\]'),
        ((3, 8, 8), r'shape \[3, 8, 8\]'),
    ],
)
def test_images_that_do_not_fit_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        small()(torch.zeros(shape), torch.zeros(1, dtype=torch.int64))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--network', 'vit'], 'no network'),
        (['--network', 'dit', '--patch_size', '3'], 'image_size=8 cannot be cut into patches of 3'),
        (['--network', 'dit', '--n_heads', '5'], 'n_channels=32 is no multiple'),
        (['--network', 'dit', '--dropout', '0.1'], 'dropout=0.1: the transformer has none'),
    ],
)
def test_runs_that_cannot_be_are_refused_before_they_begin(tmp_path, options, message):
    status, _, errors = called(train, *PLAIN, *options, '--out', tmp_path / 'run')
    assert status == 2
    assert message in errors
    assert not (tmp_path / 'run').exists()


def test_options_that_a_unet_has_not_are_noted(tmp_path):
    words = [*PLAIN, '--dry-run', '--out', tmp_path / 'run']
    for more, is_noted in ((['--depth', 3], True), (['--network', 'dit', '--depth', 3], False)):
        status, out, errors = called(train, *words, *more)
        assert status == 0, errors
        assert ('note    depth=3: of the transformer alone' in out) == is_noted


# ## Commands

DIT = ['--network', 'dit', '--n_channels', 16, '--depth', 1, '--n_heads', 2, '--n_steps', 20,
       '--schedule', 'cosine', '--n_classes', 10]  # fmt: skip


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A run of a few steps with a transformer."""
    out = tmp_path_factory.mktemp('runs') / 'dit'
    status, said, errors = called(train, *PLAIN, *DIT, '--steps', 6, '--out', out)
    assert status == 0, errors
    assert 'model   Transformer with' in said
    return out


COMMANDS = [
    ['sample', '--n', 2, '--label', '3', '--guidance', 1.5, '--steps', 4],
    ['sample', '--n', 2, '--sampler', 'ddpm'],
    ['interpolate', '--images', 0, 1],
    ['edit', '--image', 3, '--from', 10, '--n', 2],
    ['likelihood', '--n', 4],
    ['metrics', '--n', 65, '--steps', 2, '--features', 'pixels'],
    ['report'],
]


@pytest.mark.parametrize('words', COMMANDS, ids=lambda words: words[0])
def test_every_command_takes_a_transformer(trained, words):
    command, *more = words
    status, said, errors = called(evaluate, command, trained, *more)
    assert status == 0, errors
    record(command, said.splitlines()[-1] if said else 'done')


def test_a_run_is_resumed_as_if_it_had_never_stopped(trained, tmp_path):
    """And of another network no weight is taken."""
    for steps in (3, 6):
        words = [*PLAIN, *DIT, '--steps', steps, '--out', tmp_path / 'run']
        status, _, errors = called(train, *words, *(['--resume'] if steps == 6 else []))
        assert status == 0, errors
    one, other = checkpoint.load(tmp_path / 'run'), checkpoint.load(trained)
    assert equal(one['ema'], other['ema'])
    assert log_of(tmp_path / 'run') == log_of(trained)


def test_weights_of_an_earlier_run_of_the_same_network(trained, tmp_path):
    words = ['--init', trained, '--steps', 2, '--image_size', 16, '--out', tmp_path / 'run']
    status, said, errors = called(train, *words)
    assert status == 0, errors
    assert 'these weights come from images of 8 pixels a side' in said
    status, _, errors = called(train, *words[:-1], tmp_path / 'other', '--network', 'unet')
    assert status == 2
    assert 'do not fit network=unet (they have dit)' in errors


def test_what_is_for_the_unet_alone_refuses(trained, tmp_path):
    status, _, errors = called(evaluate, 'web', trained, '--out', tmp_path / 'web')
    assert status == 2
    assert 'this run has network=dit: use evaluate sample or animate, or train one with' in errors
    status, _, errors = called(train, *PLAIN, *DIT[:-2], '--steps', 1, '--out', tmp_path / 'run')
    assert status == 0, errors
    status, _, errors = called(pretrained, 'export', tmp_path / 'run', tmp_path / 'model')
    assert status == 2
    assert 'eps_model is a DiT: only our UNet is written' in errors
    assert not (tmp_path / 'model').exists()
