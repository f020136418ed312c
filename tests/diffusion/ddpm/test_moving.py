"""Code for labml's page: what ran there runs here, or is refused in words that name the new way."""

import re
import warnings
from pathlib import Path

import pytest
import torch
from labml import experiment
from labml.configs import BaseConfigs, option
from matplotlib import pyplot
from PIL import Image

from labml_nn.cli.options import option_types
from labml_nn.data.datasets import load_dataset
from labml_nn.data.pictures import grid, save_animation
from labml_nn.diffusion.ddpm import DenoiseDiffusion, forerunner, gather, unet
from labml_nn.diffusion.ddpm.evaluate import Sampler
from labml_nn.diffusion.ddpm.experiment import Configs, make_configs
from labml_nn.diffusion.ddpm.unet import UNet
from labml_nn.diffusion.ddpm.utils import SeededNoise
from labml_nn.runs import checkpoint

PAGE = Path(forerunner.__file__).with_name('moving.md')
SMALL = {'image_size': 8, 'image_channels': 1, 'n_channels': 32, 'n_steps': 1000, 'device': 'cpu',
         'channel_multipliers': [1, 1], 'is_attention': [False, True], 'n_samples': 2}  # fmt: skip

# Of one kind, from other random numbers
DRAWN = {'`sampler._sample_x0(xt, 4)`', '`sampler.interpolate(batch, batch, 0.5, 4)`'}


def rows():
    """The cells of each line of the page's tables, without the heads."""
    for line in PAGE.read_text(encoding='utf-8').splitlines():
        cells = [cell.strip() for cell in line.strip('|').split(' | ')]
        if line.startswith('| `'):
            yield cells


def diffusion_of(n_steps=8):
    """A small model that guesses something, around which the chain is short."""
    model = UNet(1, 32, (1, 1), (False, True), 1, dropout=0.0)
    torch.nn.init.normal_(model.head.weight, std=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of a short chain
        return DenoiseDiffusion(model, n_steps, alpha_bar=torch.linspace(0.95, 1e-3, n_steps))


def configs_of(**values):
    """The configuration of a notebook, set in the way of a notebook."""
    configs = Configs()
    configs._set_values(values)  # what `experiment.configs` calls once in a process
    return configs


class Experiment:
    """`experiment.configs`, as often as one likes."""

    @staticmethod
    def configs(configs, values):
        configs._set_values(values)


@pytest.fixture
def names(tmp_path, monkeypatch):
    """What the lines of the tables speak of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pyplot, 'show', pyplot.close)
    (tmp_path / 'pictures').mkdir()
    for i in range(3):
        Image.new('RGB', (8, 8), (40 * i, 20, 200)).save(tmp_path / 'pictures' / f'{i}.png')
    diffusion = diffusion_of()
    batch = torch.rand(2, 1, 8, 8) * 2 - 1
    xt, t = torch.randn(2, 1, 8, 8), torch.tensor([3, 0])
    return {
        'Sampler': Sampler, 'DenoiseDiffusion': DenoiseDiffusion, 'UNet': UNet, 'unet': unet,
        'gather': gather, 'SeededNoise': SeededNoise, 'save_animation': save_animation,
        'grid': grid, 'make_configs': make_configs, 'load_dataset': load_dataset, 'torch': torch,
        'diffusion': diffusion, 'model': diffusion.eps_model, 'sampler': Sampler(diffusion, 1, 8),
        'batch': batch, 'x1': batch[0], 'x2': batch[1], 'xt': xt, 't': t, 'experiment': Experiment,
        'eps': diffusion.eps_model(xt, t).detach(), 'pictures': tmp_path / 'pictures',
        'configs': configs_of(dataset='digits', epochs=0, **SMALL),
    }  # fmt: skip


def run(code, names):
    """What a line of Python gives."""
    torch.manual_seed(1)
    if code.startswith('from'):
        exec(code, names)
        return names[code.split()[-1]]
    return eval(code, names)


def is_same(a, b, *, drawn=False):
    """Whether two results are the same, as far as one can say of what they are."""
    if isinstance(a, torch.Tensor):
        b = b if isinstance(b, torch.Tensor) else torch.cat(list(b))
        return a.shape == b.shape and (drawn or torch.allclose(a, b, atol=1e-5))
    if isinstance(a, torch.nn.Module) and not isinstance(a, UNet | DenoiseDiffusion):
        return [tuple(p.shape) for p in a.parameters()] == [tuple(p.shape) for p in b.parameters()]
    if isinstance(a, list) and isinstance(b, list) and b[0] is not None:
        return all(map(is_same, a, b))
    return True


@pytest.mark.parametrize('cells', list(rows()), ids=lambda cells: cells[0].strip('`'))
def test_each_line_of_the_table(cells, names):
    old, new = cells[0].strip('`'), cells[2 if cells[1].endswith('Error') else 1].strip('`')
    if cells[1].endswith('Error'):
        with pytest.raises(Exception, match='.') as raised:
            run(old, names)
        assert type(raised.value).__name__ == cells[1]
        # The error itself names what the page does
        said = set(re.findall(r'\b[a-z]\w+', new)) - set(re.findall(r'\w+', old))
        assert any(word in str(raised.value) for word in said)
        run(new, names)
        return
    assert is_same(run(old, names), run(new, names), drawn=cells[0] in DRAWN)


def test_the_page_has_its_tables():
    assert len(list(rows())) >= 45


# ## The sampler


def test_a_guess_that_is_given_is_the_one_gone_by(names):
    sampler, xt, t = names['sampler'], names['xt'], names['t']
    z = torch.randn_like(xt)
    guess = torch.randn_like(xt)
    mean, var, _ = sampler.diffusion.p_given(
        xt, t, sampler.diffusion.predict_x0(xt, t, guess), None, clip_x0=True
    )
    z_or_none = z * torch.tensor([1.0, 0.0])[:, None, None, None]  # no noise at t = 0
    torch.testing.assert_close(sampler.p_sample(xt, t, guess, z=z), mean + var**0.5 * z_or_none)
    torch.testing.assert_close(sampler.p_sample(xt, t, names['eps'], z=z),
                               sampler.p_sample(xt, t, z=z))  # fmt: skip
    with pytest.raises(ValueError, match='eps has shape'):
        sampler.p_sample(xt, t, guess[:1])


def test_a_guess_does_not_tell_a_learned_variance():
    model = UNet(1, 32, (1, 1), (False, True), 1, out_channels=2)
    learned = DenoiseDiffusion(
        model, 8, alpha_bar=torch.linspace(0.95, 1e-3, 8), variance='learned'
    )
    with pytest.raises(ValueError, match=r'Call p_sample\(xt, t\)'):
        Sampler(learned, 1, 8).p_sample(torch.zeros(1, 1, 8, 8), torch.zeros(1).long(),
                                        torch.zeros(1, 1, 8, 8))  # fmt: skip


def test_a_batch_is_interpolated_pair_by_pair(names):
    sampler, batch = names['sampler'], names['batch']
    both = sampler.interpolate(batch, batch.flip(0), 0.3, 5, seed=2)
    assert both.shape == batch.shape
    one = sampler.interpolate(batch[0], batch[1], 0.3, 5, seed=2)
    torch.testing.assert_close(both[:1], one)
    torch.testing.assert_close(sampler.interpolate(batch, batch.flip(0), 0.25, 0),
                               0.75 * batch + 0.25 * batch.flip(0))  # fmt: skip
    with pytest.raises(ValueError, match='x2 has shape'):
        sampler.interpolate(batch, batch[:1], 0.3, 5)
    with pytest.raises(ValueError, match='lambda'):
        sampler.interpolate(batch, batch, 1.5, 5)


def test_films_and_pictures_are_made_when_asked_for(names, monkeypatch, tmp_path):
    sampler, shown = names['sampler'], []
    monkeypatch.setattr(pyplot, 'show', lambda: shown.append(pyplot.gca().get_title()))
    frames = sampler.sample_animation(4)
    assert not shown
    assert not (tmp_path / 'video.mp4').exists()
    # A truth in the place of a number is the old argument, not one image more
    assert sampler.sample_animation(4, False)[0].shape == frames[0].shape
    assert shown == ['0', '1', '2', '3']
    sampler.interpolate_animate(names['x1'], names['x2'], 3, 4, True)
    assert (tmp_path / 'video.mp4').stat().st_size > 0
    pyplot.close('all')


# ## The network


def test_blocks_take_what_they_took():
    t = torch.randn(2, 128)
    assert unet.DownBlock(32, 64, 128, True)(torch.randn(2, 32, 8, 8), t).shape == (2, 64, 8, 8)
    assert unet.UpBlock(64, 32, 128, False)(torch.randn(2, 96, 8, 8), t).shape == (2, 32, 8, 8)
    assert unet.MiddleBlock(32, 128)(torch.randn(2, 32, 8, 8), t).shape == (2, 32, 8, 8)
    # The arguments land where labml had them
    block = unet.ResidualBlock(32, 64, 128, 8, 0.2)
    assert (block.norm1.num_groups, block.dropout.p) == (8, 0.2)
    assert unet.AttentionBlock(32, 1, None, 8).norm.num_groups == 8
    with pytest.raises(AttributeError, match="'labml_nn.diffusion.ddpm.unet' has no attribute 'U'"):
        unet.U  # noqa: B018


def test_mistakes_of_today_have_pythons_own_words():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'n_channels'"):
        unet.AttentionBlock()
    with pytest.raises(TypeError, match='unexpected keyword argument'):
        unet.ResidualBlock(32, 64, 128, width=3)
    with pytest.raises(TypeError, match='leave the time out'):
        unet.AttentionBlock(32)(torch.zeros(1, 32, 2, 2), t=torch.zeros(1, 128))
    with pytest.raises(RuntimeError, match='Missing key'):
        UNet(1, 32, (1, 1), (False, True), 1).load_state_dict({})


def test_old_weights_are_refused_with_the_reason():
    model = UNet(1, 32, (1, 1), (False, True), 1)
    with pytest.raises(ValueError, match="weights of labml's U-Net, and they do not load: its wid"):
        model.load_state_dict(state_dict={'module.image_proj.weight': torch.zeros(1)})


# ## The notebook and the script


def test_a_notebook_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    configs = configs_of(dataset='digits', batch_size=600, epochs=1, learning_rate=1e-3, **SMALL)
    with pytest.raises(RuntimeError, match=r'call init\(\) first'):
        configs.run()
    configs.init()
    assert configs.diffusion.beta.device == torch.device(configs.device)
    (images,) = [next(iter(configs.data_loader))]
    assert images.shape == (600, 1, 8, 8)
    assert images.min() == -1
    # The run has its values: a further one would change nothing
    for name, value in (('warmup', 3), ('epochs', 2), ('eps_model', torch.nn.Identity())):
        with pytest.raises(ValueError, match=r'comes too late: .* before init\(\)'):
            Experiment.configs(configs, {name: value})
        with pytest.raises(ValueError, match=f'{name}=.* comes too late'):
            setattr(configs, name, value)
    before = configs.eps_model.stem.weight.clone()
    configs.run()
    assert not torch.equal(before, configs.eps_model.stem.weight)
    state = checkpoint.load(Path('runs', 'digits'))
    assert state['step'] == 3  # one epoch of 1797 images
    assert state['config']['ch_mults'] == (1, 1)
    assert configs.sample().shape == (2, 1, 8, 8)
    assert Sampler.from_run('runs/digits', steps=2).sample(1).shape == (1, 1, 8, 8)
    # A second one finds a folder of its own
    assert forerunner.free_folder('digits') == Path('runs', 'digits-2')


def test_what_a_notebook_says_nothing_of_is_as_in_labmls():
    values, epochs = forerunner.options_of(configs_of(dataset='MNIST', epochs=5))
    assert epochs == 5
    assert values['dataset'] == 'mnist'
    assert (values['image_size'], values['image_channels'], values['n_channels']) == (32, 1, 64)
    assert values['ch_mults'] == (1, 2, 2, 4)
    make_configs(values)
    values, epochs = forerunner.options_of(configs_of())
    assert (values['dataset'], values['data_root'], epochs) == ('folder', 'data/celebA', 1000)
    # Set as an attribute, and of the same value as ours has: said is said
    configs = Configs()
    configs.image_size, configs.data_root = 8, 'mine'
    values, _ = forerunner.options_of(configs)
    assert (values['image_size'], values['data_root']) == (8, 'mine')


def test_names_of_a_notebook_are_no_options():
    assert not {'epochs', 'eps_model', 'init', 'run'} & set(option_types(Configs))
    with pytest.raises(ValueError, match='there is no option epochs'):
        make_configs({'epochs': 3})


def test_what_a_notebook_cannot_say_is_refused(monkeypatch):
    monkeypatch.setattr(Configs, '_calculators', {})  # where labml keeps what `option` declares

    @option(Configs.dataset, 'mine')
    def mine(c):
        return [torch.zeros(1, 8, 8)]

    with pytest.raises(ValueError, match="dataset is a list, need a name: .*dataset='folder'"):
        forerunner.options_of(configs_of(dataset='mine'))
    with pytest.raises(ValueError, match=r'eps_model is made by init\(\)'):
        forerunner.options_of(configs_of(eps_model=torch.nn.Identity()))


def test_a_script_of_ones_own_runs_beside_ours(recwarn):
    """Its own `Configs` with labml's device, the loop over images in [0, 1], and the sampling."""
    from labml_nn.compute.device import DeviceConfigs

    class Own(BaseConfigs):
        device: torch.device = DeviceConfigs()
        n_steps: int = 1000

    c = Own()
    model = UNet(image_channels=1, n_channels=32, ch_mults=[1, 1], is_attn=[False, True])
    model = model.to(c.device)
    diffusion = DenoiseDiffusion(eps_model=model, n_steps=c.n_steps, device=c.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(2):
        optimizer.zero_grad()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter('always')
            loss = diffusion.loss(torch.rand(2, 1, 8, 8))
        assert '2 * x - 1' in str(said[0].message)
        loss.backward()
        optimizer.step()
    x = torch.randn(2, 1, 8, 8, device=c.device)
    x = diffusion.p_sample(x, x.new_full((2,), 5, dtype=torch.long))
    assert x.shape == (2, 1, 8, 8)
    from labml_nn.compute import device

    with pytest.raises(AttributeError, match="has no attribute 'Devices'"):
        device.Devices  # noqa: B018


def test_labml_itself_has_lost_what_the_page_says():
    assert not hasattr(experiment, 'add_pytorch_models')
