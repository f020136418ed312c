"""Published weights: the same output as diffusers, there and back, and what is refused."""

import json
import os
import random
import re
import shutil
import sys
import warnings

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion, experiment, pretrained
from labml_nn.diffusion.ddpm.pretrained import from_pretrained, save_pretrained
from labml_nn.diffusion.ddpm.unet import UNet
from labml_nn.diffusion.samplers import DDIM
from labml_nn.diffusion.schedules import cosine, linear, straight
from labml_nn.diffusion.targets import diffusion_of, zero_terminal_snr
from labml_nn.runs import plain
from tests.kit.close import agree
from tests.kit.peers import diffusers
from tests.kit.runs import called

# The settings of the published models that are not the package's defaults
PAPER = {
    'downsample_padding': 0,
    'flip_sin_to_cos': False,
    'freq_shift': 1,
    'norm_eps': 1e-6,
    'attention_head_dim': None,
}
# Those, which most published models have: the package's example trains with them
THEIRS = {
    'downsample_padding': 1,
    'flip_sin_to_cos': True,
    'freq_shift': 0,
    'norm_eps': 1e-5,
    'attention_head_dim': 8,
}
CIFAR10 = dict(
    block_out_channels=(128, 256, 256, 256), is_attn=(0, 1, 0, 0), layers_per_block=2,
    sample_size=32,
)  # fmt: skip
# celebahq, ema-celebahq, bedroom, church and cat
LARGE = dict(
    block_out_channels=(128, 128, 256, 256, 512, 512), is_attn=(0, 0, 0, 0, 1, 0),
    layers_per_block=2, sample_size=256,
)  # fmt: skip
SMALL = dict(
    block_out_channels=(32, 64), is_attn=(0, 1), layers_per_block=1, sample_size=8, in_channels=1
)


def their_unet(block_out_channels, is_attn, sample_size, in_channels=3, **options):
    """A random UNet2DModel with weights of a size that shows every mistake."""
    model = diffusers().UNet2DModel(
        sample_size=sample_size, in_channels=in_channels, out_channels=in_channels,
        block_out_channels=block_out_channels,
        down_block_types=tuple(f'{"Attn" * a}DownBlock2D' for a in is_attn),
        up_block_types=tuple(f'{"Attn" * a}UpBlock2D' for a in is_attn[::-1]),
        **{**PAPER, **options},
    )  # fmt: skip
    for name, w in model.named_parameters():
        if name.endswith('bias') or 'norm' in name:
            torch.nn.init.normal_(w, 1.0 * ('norm' in name and 'weight' in name), 0.3)
    return model.eval()


def their_folder(path, scheduler=None, **architecture):
    """A folder as their pipeline writes it, and its network."""
    package = diffusers()
    unet = their_unet(**architecture)
    scheduler = package.DDPMScheduler(**(scheduler or {}))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        package.DDPMPipeline(unet, scheduler).save_pretrained(path)
    return unet


def our_model(**options):
    torch.manual_seed(1)
    unet = UNet(1, 32, (1, 2), (False, True), 1, **options)
    for w in unet.parameters():
        if w.ndim > 1:
            torch.nn.init.xavier_uniform_(w)
    return DenoiseDiffusion(unet.eval(), 1000, variance='beta_tilde')


def edit(file, **values):
    settings = json.loads(file.read_text())
    for name, value in values.items():
        if value is Ellipsis:
            settings.pop(name)
        else:
            settings[name] = value
    file.write_text(json.dumps(settings))


def close(theirs, ours, side, channels, batch=2):
    x, t = torch.randn(batch, channels, side, side), torch.tensor([999, 3])[:batch]
    with torch.no_grad():
        agree(
            ours(x, t), theirs(x, t).sample, atol=1e-5, what='output of the network, and of theirs'
        )


@pytest.mark.parametrize(('architecture', 'side'), [(CIFAR10, 32), (LARGE, 32)])
def test_published(tmp_path, architecture, side):
    """The 256² architecture is convolutional, and cheaper to compare on 32²."""
    theirs = their_folder(tmp_path, **architecture)
    diffusion, ours, config = from_pretrained(tmp_path)
    assert sum(p.numel() for p in ours.parameters()) == (
        35_746_307 if architecture is CIFAR10 else 113_673_219
    )
    assert config['image_size'] == architecture['sample_size']
    close(theirs, ours, side, 3, batch=1)


@pytest.mark.parametrize(
    ('architecture', 'side'),
    [
        (SMALL, 8),
        (dict(SMALL, layers_per_block=3, is_attn=(1, 0)), 8),
        (dict(SMALL, block_out_channels=(32,), is_attn=(0,)), 7),
        (dict(SMALL, block_out_channels=(24, 72, 24), is_attn=(1, 1, 1), norm_num_groups=12), 12),
        (dict(SMALL, in_channels=5, block_out_channels=(32, 32, 96), is_attn=(0, 0, 1)), 16),
        (dict(SMALL, attention_head_dim=64), 8),
    ],
)
def test_odd_architectures(tmp_path, architecture, side):
    theirs = their_folder(tmp_path, **architecture)
    _, ours, _ = from_pretrained(tmp_path)
    close(theirs, ours, side, architecture['in_channels'])


@pytest.mark.parametrize(
    ('architecture', 'side'),
    [
        # The example's six levels, and the defaults of the class, whose widths are no multiples of
        # the first; each of them narrower
        (
            dict(
                block_out_channels=(16, 16, 32, 32, 64, 64), is_attn=(0, 0, 0, 0, 1, 0),
                norm_num_groups=8, sample_size=64,
            ),
            32,
        ),
        (dict(block_out_channels=(32, 48, 80), is_attn=(0, 1, 1), norm_num_groups=16,
              sample_size=8), 8),
        (dict(block_out_channels=(64, 32), is_attn=(1, 1), sample_size=8), 8),
    ],
)  # fmt: skip
def test_their_defaults(tmp_path, architecture, side):
    theirs = their_folder(tmp_path / 'a', **{**THEIRS, **architecture})
    # As of a file that does not say them
    edit(tmp_path / 'a' / 'unet/config.json', **dict.fromkeys(THEIRS, ...))
    diffusion, ours, _ = from_pretrained(tmp_path / 'a')
    close(theirs, ours, side, 3)
    # And back: their package reads what we write
    save_pretrained(tmp_path / 'b', diffusion, architecture['sample_size'])
    back = diffusers().UNet2DModel.from_pretrained(tmp_path / 'b' / 'unet')
    assert {name: back.config[name] for name in THEIRS} == THEIRS
    close(back.eval(), ours, side, 3)


@pytest.mark.parametrize('name', THEIRS)
def test_each_of_their_defaults_matters(tmp_path, name):
    """The weights fit without it, too, and give something else."""
    theirs = their_folder(tmp_path, **{**SMALL, name: THEIRS[name]})
    _, ours, _ = from_pretrained(tmp_path)
    close(theirs, ours, 8, 1)
    edit(tmp_path / 'unet/config.json', **{name: PAPER[name]})
    _, paper, _ = from_pretrained(tmp_path)
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([999, 3])
    with torch.no_grad():
        off = float((paper(x, t) - ours(x, t)).abs().max())
    # What is added to a variance of one is seen least
    assert off > (1e-6 if name == 'norm_eps' else 1e-2)


@pytest.mark.parametrize('settings', [{}, THEIRS], ids=['paper', 'diffusers'])
def test_a_whole_image(tmp_path, settings):
    theirs = their_folder(tmp_path, **{**SMALL, **settings})
    diffusion, _, _ = from_pretrained(tmp_path)
    sampler = DDIM(diffusion, 50)
    xt, _ = sampler.start((2, 1, 8, 8), seed=4)
    scheduler = diffusers().DDIMScheduler(timestep_spacing='trailing', clip_sample=True)
    scheduler.set_timesteps(50)
    x = xt
    with torch.no_grad():
        for t in scheduler.timesteps:
            eps = theirs(x, t).sample
            x = scheduler.step(eps, t, x, use_clipped_model_output=True).prev_sample
    agree(sampler.sample(xt), x, atol=1e-4, what='pixels after 50 steps, and theirs')


@pytest.mark.parametrize('variance', ['beta', 'beta_tilde'])
@pytest.mark.parametrize('clip_x0', [True, False])
def test_round_trip(tmp_path, variance, clip_x0):
    diffusion = our_model(dropout=0.25)
    diffusion = DenoiseDiffusion(diffusion.eps_model, 1000, variance=variance)
    save_pretrained(tmp_path, diffusion, 8, clip_x0=clip_x0)
    again, unet, config = from_pretrained(tmp_path)
    for name, w in diffusion.eps_model.state_dict().items():
        agree(unet.state_dict()[name], w, atol=0, what='weights')
    for name, constant in diffusion.named_buffers():
        agree(
            dict(again.named_buffers())[name], constant, atol=0, what='constants of the diffusion'
        )
    assert config == {
        'image_channels': 1, 'n_channels': 32, 'ch_mults': (1, 2), 'is_attn': (False, True),
        'n_blocks': 1, 'dropout': 0.25, 'n_groups': 32, 'variant': UNet(1, 32).variant,
        'image_size': 8, 'n_steps': 1000,
        'variance': variance, 'target': 'eps', 'clip_x0': clip_x0,
    }  # fmt: skip


def test_a_schedule_of_its_own_is_written_out(tmp_path):
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64) ** 1.01
    diffusion = DenoiseDiffusion(our_model().eps_model, 1000, beta=beta)
    save_pretrained(tmp_path, diffusion, 8)
    assert torch.equal(from_pretrained(tmp_path)[0].beta, diffusion.beta)


def test_the_cosine_schedule_goes_by_its_name(tmp_path):
    diffusion = DenoiseDiffusion(our_model().eps_model, 500, beta=cosine(500))
    save_pretrained(tmp_path, diffusion, 8)
    settings = json.loads((tmp_path / 'scheduler/scheduler_config.json').read_text())
    assert settings['beta_schedule'] == 'squaredcos_cap_v2'
    assert 'trained_betas' not in settings
    assert torch.equal(from_pretrained(tmp_path)[0].beta, diffusion.beta)


PREDICTIONS = [('x0', 'sample', False), ('v', 'v_prediction', False), ('v', 'v_prediction', True)]


@pytest.mark.parametrize(('target', 'theirs', 'zero_snr'), PREDICTIONS)
@pytest.mark.parametrize('schedule', [linear, cosine, lambda n: linear(n) ** 1.01])
def test_a_target_goes_by_its_name(tmp_path, target, theirs, zero_snr, schedule):
    beta = zero_terminal_snr(schedule(1000)) if zero_snr else schedule(1000)
    diffusion = diffusion_of(our_model().eps_model, beta, target=target)
    save_pretrained(tmp_path, diffusion, 8)
    settings = json.loads((tmp_path / 'scheduler/scheduler_config.json').read_text())
    assert settings['prediction_type'] == theirs
    is_named = schedule in (linear, cosine)
    assert settings['rescale_betas_zero_snr'] == (zero_snr and is_named)
    assert ('trained_betas' in settings) == (not is_named)
    again, _, config = from_pretrained(tmp_path)
    assert (again.target, config['target']) == (target, target)
    assert torch.equal(again.beta, diffusion.beta)


def test_a_target_without_a_name_is_refused(tmp_path):
    diffusion = diffusion_of(our_model().eps_model, straight(1000), target='u')
    with pytest.raises(ValueError, match='target=u has no name in DDPMScheduler'):
        save_pretrained(tmp_path / 'out', diffusion, 8)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(('target', 'theirs', 'zero_snr'), PREDICTIONS)
def test_their_scheduler_makes_the_same_of_our_target(tmp_path, target, theirs, zero_snr):
    """A folder of ours, read by theirs: a whole chain of their DDIM, with our network."""
    beta = zero_terminal_snr(linear(1000)) if zero_snr else linear(1000)
    diffusion = diffusion_of(our_model().eps_model, beta, target=target)
    save_pretrained(tmp_path, diffusion, 8)
    scheduler = diffusers().DDIMScheduler.from_pretrained(
        tmp_path / 'scheduler', timestep_spacing='trailing'
    )
    scheduler.set_timesteps(10)
    sampler = DDIM(from_pretrained(tmp_path)[0], 10)
    x = xt = sampler.start((2, 1, 8, 8), seed=4)[0]
    with torch.no_grad():
        for t in scheduler.timesteps:
            y = diffusion.eps_model(x, t.expand(2))
            x = scheduler.step(y, t, x, use_clipped_model_output=True).prev_sample
    agree(sampler.sample(xt), x, atol=1e-3, what='pixels after 10 steps, and theirs')


def test_eps_with_nothing_left_is_refused(folder):
    file = folder / 'scheduler/scheduler_config.json'
    edit(file, rescale_betas_zero_snr=True)
    with pytest.raises(ValueError, match='need prediction_type v_prediction or sample'):
        from_pretrained(folder)
    edit(file, prediction_type='v_prediction')
    assert float(from_pretrained(folder)[0].alpha_bar[-1]) == 0


def test_round_trip_through_their_network(tmp_path):
    """Ours, loaded and saved by theirs, and read again: not a bit has changed."""
    diffusion = our_model()
    save_pretrained(tmp_path / 'ours', diffusion, 8)
    theirs = diffusers().UNet2DModel.from_pretrained(tmp_path / 'ours' / 'unet').eval()
    close(theirs, diffusion.eps_model, 8, 1)
    theirs.save_pretrained(tmp_path / 'theirs' / 'unet')
    shutil.copytree(tmp_path / 'ours' / 'scheduler', tmp_path / 'theirs' / 'scheduler')
    _, again, _ = from_pretrained(tmp_path / 'theirs')
    for name, w in diffusion.eps_model.state_dict().items():
        assert torch.equal(w, again.state_dict()[name]), name


def test_their_pipeline_loads_and_samples_ours(tmp_path):
    diffusion = our_model()
    save_pretrained(tmp_path, diffusion, 8)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        pipeline = diffusers().DDPMPipeline.from_pretrained(tmp_path)
        pipeline.set_progress_bar_config(disable=True)
        images = pipeline(batch_size=2, num_inference_steps=5, output_type='np').images
    assert images.shape == (2, 8, 8, 1)
    scheduler = pipeline.scheduler
    assert scheduler.config.variance_type == 'fixed_small'
    agree(scheduler.alphas_cumprod, diffusion.alpha_bar, atol=0, rtol=1e-5, what='alpha_bar')
    close(pipeline.unet, diffusion.eps_model, 8, 1)


# ## Forms of a folder


@pytest.fixture
def folder(tmp_path):
    """A small model as we write it; no other package is needed for it."""
    return save_pretrained(tmp_path / 'model', our_model(), 8)


def weights_of(folder):
    return pretrained.safetensors.load_file(folder / 'unet/diffusion_pytorch_model.safetensors')


def write_weights(folder, weights):
    pretrained.safetensors.save_file(folder / 'unet/diffusion_pytorch_model.safetensors', weights)


def same_as(folder, diffusion):
    _, unet, _ = from_pretrained(folder)
    assert all(torch.equal(a, b) for a, b in zip(
        unet.state_dict().values(), diffusion.eps_model.state_dict().values(), strict=True
    ))  # fmt: skip


def test_a_flat_folder(folder):
    """As the authors' models are published."""
    for file in [*folder.glob('unet/*'), *folder.glob('scheduler/*')]:
        file.rename(folder / file.name)
    same_as(folder, our_model())


def test_weights_as_bin(folder):
    torch.save(weights_of(folder), folder / 'unet/diffusion_pytorch_model.bin')
    (folder / 'unet/diffusion_pytorch_model.safetensors').unlink()
    same_as(folder, our_model())


def test_first_generation_of_attention_names(folder):
    # Written out: a table that is turned around would agree with itself, whatever it says
    old = {'to_q': 'query', 'to_k': 'key', 'to_v': 'value', 'to_out.0': 'proj_attn'}
    weights = {
        re.sub(r'\.(to_q|to_k|to_v|to_out\.0)\.', lambda m: f'.{old[m[1]]}.', name): w
        for name, w in weights_of(folder).items()
    }
    assert sum('proj_attn' in name for name in weights) == 2 * 4
    write_weights(folder, weights)
    same_as(folder, our_model())


def test_half_precision_becomes_float32(folder):
    write_weights(folder, {n: w.half() for n, w in weights_of(folder).items()})
    _, unet, _ = from_pretrained(folder)
    assert {w.dtype for w in unet.parameters()} == {torch.float32}


class Evil:
    def __reduce__(self):
        return (print, ('this ran',))


def test_bin_that_holds_code_is_refused(folder, capsys):
    (folder / 'unet/diffusion_pytorch_model.safetensors').unlink()
    torch.save({'conv_in.weight': Evil()}, folder / 'unet/diffusion_pytorch_model.bin')
    with pytest.raises(ValueError, match=r'\.bin is refused: it holds more than tensors'):
        from_pretrained(folder)
    assert 'this ran' not in capsys.readouterr().out


def test_it_is_in_evaluation_mode(folder):
    assert not from_pretrained(folder)[1].training


# ## What is refused


def test_keys_that_do_not_fit_are_named(folder):
    whole = weights_of(folder)
    write_weights(folder, {n: w for n, w in whole.items() if n != 'mid_block.resnets.1.conv1.bias'})
    with pytest.raises(ValueError, match=r'1 missing: mid_block\.resnets\.1\.conv1\.bias'):
        from_pretrained(folder)
    write_weights(folder, {**whole, 'extra.weight': torch.zeros(2)})
    with pytest.raises(ValueError, match=r'1 not in this model: extra\.weight'):
        from_pretrained(folder)
    write_weights(folder, {**whole, 'conv_out.bias': torch.zeros(7)})
    with pytest.raises(ValueError, match=r'of another shape: conv_out\.bias \[7\], need \[1\]'):
        from_pretrained(folder)


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('act_fn', 'gelu'), ('add_attention', False), ('center_input_sample', True),
        ('downsample_padding', 2), ('downsample_type', 'resnet'), ('flip_sin_to_cos', 'yes'),
        ('freq_shift', 2), ('mid_block_scale_factor', 1.4),
        ('norm_eps', 0), ('resnet_time_scale_shift', 'scale_shift'),
        ('time_embedding_type', 'fourier'), ('num_class_embeds', 10), ('attention_head_dim', 7),
        ('out_channels', 2), ('block_out_channels', [32, 48]),
        ('down_block_types', ['DownBlock2D', 'ResnetDownsampleBlock2D']),
        ('up_block_types', ['UpBlock2D', 'AttnUpBlock2D']), ('attention_head_dim', 48),
    ],
)  # fmt: skip
def test_networks_that_are_not_ours_are_refused_by_name(folder, name, value):
    edit(folder / 'unet/config.json', **{name: value})
    with pytest.raises(ValueError, match=re.escape(f'{name}={value!r}')) as error:
        from_pretrained(folder)
    assert 'unet/config.json' in str(error.value)


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('prediction_type', 'flow'), ('prediction_type', None),
        ('variance_type', 'learned_range'), ('variance_type', 'fixed_large_log'),
        ('beta_schedule', 'sigmoid'), ('thresholding', True),
        ('rescale_betas_zero_snr', True), ('rescale_betas_zero_snr', 'yes'),
        ('clip_sample_range', 2.0),
    ],
)  # fmt: skip
def test_schedules_that_are_not_ours_are_refused_by_name(folder, name, value):
    edit(folder / 'scheduler/scheduler_config.json', **{name: value})
    with pytest.raises(ValueError, match=re.escape(f'{name}={value!r}')):
        from_pretrained(folder)


@pytest.mark.parametrize(
    ('options', 'variance', 'clip'),
    [
        ({}, 'beta_tilde', True),
        ({'variance_type': 'fixed_large', 'clip_sample': False}, 'beta', False),
        ({'variance_type': 'fixed_small_log'}, 'beta_tilde', True),
        ({'beta_schedule': 'scaled_linear'}, 'beta_tilde', True),
        ({'beta_schedule': 'squaredcos_cap_v2'}, 'beta_tilde', True),
        ({'num_train_timesteps': 2000, 'beta_end': 0.01}, 'beta_tilde', True),
    ],
)
def test_schedules_are_mapped(tmp_path, options, variance, clip):
    their_folder(tmp_path, options, **SMALL)
    diffusion, _, config = from_pretrained(tmp_path)
    expected = diffusers().DDPMScheduler(**options)
    torch.testing.assert_close(diffusion.alpha_bar, expected.alphas_cumprod, rtol=1e-4, atol=0)
    assert (config['variance'], config['clip_x0']) == (variance, clip)
    assert torch.equal(diffusion.sigma2, getattr(diffusion, variance))


def test_folders_that_hold_something_else(folder, tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(
        FileNotFoundError, match=r'has no unet/config\.json or config\.json: .*nothing'
    ):
        from_pretrained(tmp_path / 'empty')
    edit(folder / 'model_index.json', _class_name='StableDiffusionPipeline')
    with pytest.raises(ValueError, match='is a StableDiffusionPipeline: need DDPMPipeline'):
        from_pretrained(folder)
    edit(folder / 'model_index.json', _class_name='DDPMPipeline')
    edit(folder / 'unet/config.json', _class_name='UNet2DConditionModel')
    with pytest.raises(ValueError, match='describes UNet2DConditionModel: need UNet2DModel'):
        from_pretrained(folder)
    edit(folder / 'unet/config.json', _class_name='UNet2DModel')
    saved = (folder / 'unet/config.json').read_text()
    edit(folder / 'unet/config.json', block_out_channels=...)
    with pytest.raises(ValueError, match='does not say block_out_channels'):
        from_pretrained(folder)
    (folder / 'unet/config.json').write_text(saved)
    (folder / 'scheduler/scheduler_config.json').unlink()
    with pytest.raises(FileNotFoundError, match=r'has no scheduler/scheduler_config\.json'):
        from_pretrained(folder)
    (folder / 'unet/config.json').write_text('{')
    with pytest.raises(ValueError, match=r'unet/config\.json is no JSON file'):
        from_pretrained(folder)


def test_a_folder_without_weights(folder):
    (folder / 'unet/diffusion_pytorch_model.safetensors').unlink()
    with pytest.raises(FileNotFoundError, match=r'model\.bin or .*: it holds config'):
        from_pretrained(folder)


def test_only_our_network_can_be_written(tmp_path):
    with pytest.raises(ValueError, match='eps_model is a Linear'):
        save_pretrained(tmp_path, DenoiseDiffusion(torch.nn.Linear(2, 2), 1000), 8)


# ## Several files


def in_parts(folder, suffix='.safetensors'):
    """The same weights in two files and an index."""
    whole = folder / 'unet/diffusion_pytorch_model.safetensors'
    weights = weights_of(folder)
    whole.unlink()
    place = {}
    for i, names in enumerate([list(weights)[::2], list(weights)[1::2]]):
        part = folder / f'unet/diffusion_pytorch_model-{i}{suffix}'
        some = {name: weights[name] for name in names}
        (
            torch.save(some, part)
            if suffix == '.bin'
            else pretrained.safetensors.save_file(part, some)
        )
        place |= dict.fromkeys(names, part.name)
    index = folder / f'unet/diffusion_pytorch_model{suffix}.index.json'
    index.write_text(json.dumps({'metadata': {}, 'weight_map': place}))
    return index, place


@pytest.mark.parametrize('suffix', ['.safetensors', '.bin'])
def test_weights_in_several_files(folder, suffix):
    in_parts(folder, suffix)
    same_as(folder, our_model())


def test_weights_in_several_files_as_their_package_writes_them(tmp_path):
    theirs = their_unet(**SMALL)
    their_folder(tmp_path, **SMALL)
    shutil.rmtree(tmp_path / 'unet')
    theirs.save_pretrained(tmp_path / 'unet', max_shard_size='200KB')
    assert len(list(tmp_path.glob('unet/*.safetensors'))) > 1
    close(theirs, from_pretrained(tmp_path)[1], 8, 1)


@pytest.mark.parametrize(
    'name',
    ['../secret.safetensors', '/etc/secret.safetensors', 'a/b.safetensors', '..\\b.safetensors',
     'C:b.safetensors', '..', '', 'config.json', '.hidden.bin', 'a.safetensors\n', None, 3, ['a']],
)  # fmt: skip
def test_an_index_names_files_of_its_folder_only(folder, tmp_path, name):
    index, place = in_parts(folder)
    shutil.copy(folder / 'unet' / next(iter(place.values())), folder / 'secret.safetensors')
    index.write_text(json.dumps({'weight_map': {**place, next(iter(place)): name}}))
    with pytest.raises(ValueError, match=r'index\.json .* weight_map=.*a file beside it'):
        from_pretrained(folder)


def test_an_index_that_does_not_fit_its_files(folder):
    index, place = in_parts(folder)
    first, second = dict.fromkeys(place.values())
    name = next(iter(place))
    for wrong in ({**place, name: second}, {**place, 'more': first}, {}, None, [1]):
        index.write_text(json.dumps({'weight_map': wrong}))
        with pytest.raises(ValueError, match=r'index\.json .* weight_map='):
            from_pretrained(folder)
    index.write_text(json.dumps({'weight_map': place}))
    (folder / 'unet' / second).unlink()
    with pytest.raises(FileNotFoundError, match=f'has no {second}'):
        from_pretrained(folder)


# ## Folders of strangers


@pytest.mark.parametrize(
    ('name', 'values'),
    [
        ('in_channels', [None, '3', 0, -1, 10**9, 1.5, True, [3]]),
        ('layers_per_block', [None, '1', 0, 10**7, [1]]),
        ('norm_num_groups', [None, 'abc', 0, 10**9, 7]),
        ('dropout', [None, 'abc', -0.1, 1.0, float('nan'), float('inf')]),
        ('block_out_channels', [None, 'abc', [], [None, 32], [32, '64'], [32, 0], [32, 10**9], 32,
                                [32] * 99, [True, 64], [32, [64]]]),
        ('down_block_types', [None, 'abc', [], [1, 2], ['DownBlock2D'], {}]),
        ('up_block_types', [None, [None, None], ['UpBlock2D'] * 3]),
        ('attention_head_dim', ['abc', [8], {}, float('nan'), 0, -8, True, 10**9]),
        ('norm_eps', [None, 'abc', -1, float('nan'), [1e-5]]),
        ('freq_shift', [None, 'abc', [0], 0.5]),
        ('act_fn', [None, ['silu'], {}]),
        ('sample_size', ['abc', -1, 10**9, [8], [8, None], {}]),
    ],
)  # fmt: skip
def test_absurd_settings_of_the_network_are_named(folder, name, values):
    for value in values:
        edit(folder / 'unet/config.json', **{name: value})
        with pytest.raises(ValueError, match=rf'unet/config\.json has .*{name}='):
            from_pretrained(folder)


@pytest.mark.parametrize(
    ('name', 'values'),
    [
        ('num_train_timesteps', [None, '1000', 0, 10**9, 1e3, [5]]),
        ('beta_start', [None, 'abc', 0, -1, 1, float('nan')]),
        ('beta_end', [None, [0.02], 1.0, 10**400]),
        ('trained_betas', ['abc', [], [None], ['a'], [0.1, 2], [[0.1]], {}, 3]),
        ('beta_schedule', [None, ['linear'], {}]),
        ('variance_type', [None, ['fixed_small'], {}]),
        ('clip_sample', [None, 'abc', 1]),
    ],
)
def test_absurd_settings_of_the_schedule_are_named(folder, name, values):
    for value in values:
        edit(folder / 'scheduler/scheduler_config.json', **{name: value})
        with pytest.raises(ValueError, match=rf'scheduler_config\.json has .*{name}='):
            from_pretrained(folder)


def test_no_network_is_made_that_the_weights_are_not_of(folder):
    """Settings within all bounds can still ask for terabytes."""
    edit(folder / 'unet/config.json', block_out_channels=[2**15, 2**16])
    with pytest.raises(ValueError, match=r'/unet/.* of another shape: .*need \[65536'):
        from_pretrained(folder)


def test_settings_that_are_no_settings(folder):
    file = folder / 'unet/config.json'
    for content, said in (
        ('[' * 10**5, 'is no JSON file'),
        ('{"a":' * 10**5, 'is no JSON file'),
        ('[]', 'holds no settings but a list'),
        ('null', 'holds no settings but a NoneType'),
        ('version https://git-lfs.github.com/spec/v1\noid sha256:1', 'is a git-lfs pointer'),
        ('1' * 10**5, 'is no JSON file'),
    ):
        file.write_text(content)
        with pytest.raises(ValueError, match=rf'config\.json {said}'):
            from_pretrained(folder)
    with file.open('wb') as large:
        large.truncate(2**40)
    with pytest.raises(ValueError, match=r'config\.json holds 1,099,511,627,776 bytes'):
        from_pretrained(folder)
    (folder / 'model_index.json').unlink()
    os.mkfifo(folder / 'model_index.json')
    with pytest.raises(ValueError, match=r'model_index\.json is no file'):
        from_pretrained(folder)


@pytest.mark.parametrize('kind', [torch.int64, torch.bool, torch.complex64, torch.int8])
def test_weights_are_floating_point_numbers(folder, kind):
    write_weights(folder, {n: w.to(kind) for n, w in weights_of(folder).items()})
    with pytest.raises(ValueError, match=rf'of a type that weights do not have: .*{kind}'):
        from_pretrained(folder)


@pytest.mark.parametrize('content', [[1], 'abc', None, {'conv_in.weight': 'abc'}, {1: 2}])
def test_a_bin_that_holds_no_weights(folder, content):
    (folder / 'unet/diffusion_pytorch_model.safetensors').unlink()
    torch.save(content, folder / 'unet/diffusion_pytorch_model.bin')
    with pytest.raises(ValueError, match=r'\.bin holds .* ha(s|ve) to be'):
        from_pretrained(folder)


def test_a_bin_is_not_opened_by_an_old_torch(folder, monkeypatch):
    torch.save(weights_of(folder), folder / 'unet/diffusion_pytorch_model.bin')
    (folder / 'unet/diffusion_pytorch_model.safetensors').unlink()
    monkeypatch.setattr(plain, 'is_old_torch', lambda: True)
    with pytest.raises(ValueError, match=r'\.bin is not opened: .*CVE-2026-24747'):
        from_pretrained(folder)


@pytest.mark.filterwarnings('ignore:.* steps with beta from')
def test_random_settings_are_read_or_refused(folder):
    """Nothing but `ValueError` comes out, and every refusal names the file."""
    rng = random.Random(0)
    odd = [None, True, 0, -1, 1, 2, 32, 10**9, 1e308, 'abc', '', [], [None], [[]], {}, [1, 2], 0.5]
    files = [folder / 'unet/config.json', folder / 'scheduler/scheduler_config.json']
    whole = [json.loads(file.read_text()) for file in files]
    taken, said = 0, []
    for _ in range(300):
        for file, settings in zip(files, whole, strict=True):
            changed = {k: rng.choice(odd) for k in settings if rng.random() < 0.05}
            file.write_text(json.dumps({**settings, **changed}))
        try:
            from_pretrained(folder)
        except ValueError as error:
            said.append(str(error))
        else:
            taken += 1
    assert 20 < taken < 200
    assert all(re.search(r'\.(json|safetensors) ', text) for text in said)


# ## The hub


def test_no_folder_and_no_name():
    with pytest.raises(FileNotFoundError, match='is no folder: give one'):
        from_pretrained('no/such/folder')


class Hub:
    """A hub without network, with what is in its cache."""

    def __init__(self, cached=(), online=False):
        self.cached, self.online, self.asked = dict(cached), online, []
        self.constants = type('constants', (), {'HF_HUB_CACHE': '/the/cache'})

    def snapshot_download(self, name, *, local_files_only=False, allow_patterns=None):
        self.asked.append(allow_patterns)
        if not local_files_only and not self.online:
            raise OSError('no route to host')
        if name not in self.cached:
            raise FileNotFoundError('not cached')
        return str(self.cached[name])


def test_the_hub_without_network(folder, monkeypatch):
    hub = Hub({'owner/model': folder})
    monkeypatch.setitem(sys.modules, 'huggingface_hub', hub)
    _, unet, _ = from_pretrained('owner/model')
    assert isinstance(unet, UNet)
    with pytest.raises(FileNotFoundError) as error:
        from_pretrained('owner/other')
    for part in ('no route to host', '/the/cache', 'config.json', 'huggingface.co/owner/other'):
        assert part in str(error.value)


def test_the_hub_is_asked_for_bin_only_if_there_is_nothing_else(folder, monkeypatch):
    hub = Hub({'owner/model': folder}, online=True)
    monkeypatch.setitem(sys.modules, 'huggingface_hub', hub)
    from_pretrained('owner/model')
    assert hub.asked == [['*.json', '*.safetensors']]
    torch.save(weights_of(folder), folder / 'unet/diffusion_pytorch_model.bin')
    (folder / 'unet/diffusion_pytorch_model.safetensors').unlink()
    from_pretrained('owner/model')
    assert hub.asked[1:] == [['*.json', '*.safetensors'], ['*.json', '*.safetensors', '*.bin']]


def test_the_hub_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(ImportError, match=r"pip install 'labml-nn\[hub\]'"):
        from_pretrained('google/ddpm-cifar10-32')


def test_the_snippet_of_the_page(folder, tmp_path, monkeypatch):
    """The lines of the page, run as they stand, on a small model and few steps."""
    lines = re.findall(r'^    (.*)$', pretrained.__doc__, re.M)
    code = '\n'.join(lines).replace("'google/ddpm-ema-celebahq-256'", repr(str(folder)))
    assert str(folder) in code
    code = code.replace('(1, 3, 256, 256)', '(1, 1, 8, 8)')
    monkeypatch.chdir(tmp_path)
    exec(compile(code, 'snippet', 'exec'), {})
    assert (tmp_path / 'image.png').stat().st_size > 50


def test_a_learned_variance_is_not_written(tmp_path):
    unet = our_model(out_channels=2).eps_model
    diffusion = DenoiseDiffusion(unet, 1000, variance='learned')
    with pytest.raises(ValueError, match='a learned variance, which is not written in that format'):
        save_pretrained(tmp_path / 'out', diffusion, 8)
    assert not (tmp_path / 'out').exists()


# ## The command


def test_a_run_is_exported_with_a_card(tmp_path):
    """The averaged weights, to the bit, with what they were trained on; a folder in use is left."""
    status, _, _ = called(experiment.main, '--preset', 'tests', '--steps', 2, '--track', 'none',
                          '--out', tmp_path / 'run')  # fmt: skip
    assert status == 0
    folder = tmp_path / 'model'
    status, printed, errors = called(pretrained.main, 'export', tmp_path / 'run', folder)
    assert (status, printed.strip(), errors) == (0, str(folder), '')
    _, unet, config = from_pretrained(folder)
    averaged = plain.read_plain(tmp_path / 'run' / 'checkpoint.pt', '')['ema']
    assert all(torch.equal(w, averaged[name]) for name, w in unet.state_dict().items())
    assert config['image_size'] == 8
    card = (folder / 'README.md').read_text()
    for text in ('library_name: diffusers', '1,797 of digits', '2 of 2', '| loss |', 'samples.png'):
        assert text in card
    assert (folder / 'samples.png').read_bytes() == (tmp_path / 'run/samples.png').read_bytes()
    status, _, errors = called(pretrained.main, 'export', tmp_path / 'run', folder)
    assert status == 2
    assert 'is there already' in errors
    status, printed, _ = called(pretrained.main, 'show', folder)
    assert status == 0
    assert 'UNet of 271,649 parameters' in printed


def test_help_says_what_the_command_does():
    status, printed, _ = called(pretrained.main, '--help')
    assert status == 0
    assert 'export' in printed
    assert 'a folder that diffusers reads' in printed
