"""The engine of the web pages, in a browser, beside PyTorch; and the pages that `web` makes."""

import base64
import json
import re
from functools import partial

import numpy as np
import pytest
import torch

from labml_nn.data.pictures import to_uint8
from labml_nn.diffusion.ddpm import web
from labml_nn.diffusion.ddpm.configs import build, make_configs
from labml_nn.diffusion.ddpm.evaluate import main
from labml_nn.diffusion.ddpm.sampler import Sampler
from labml_nn.diffusion.ddpm.unet import (
    AttentionBlock,
    Block,
    Downsample,
    ResidualBlock,
    Upsample,
)
from labml_nn.diffusion.ddpm.utils import SeededNoise, image_seed
from labml_nn.diffusion.guidance import Guided
from labml_nn.diffusion.samplers.contract import spaced
from labml_nn.diffusion.schedules import SCHEDULES
from tests.kit.browser import chromium
from tests.kit.close import agree
from tests.kit.runs import called

run = partial(called, main)

# Three networks that have, together, all that a configuration can ask for
SMALL = dict(image_size=8, n_channels=16, n_groups=8, n_blocks=1)
NETWORKS = {
    'grey': dict(SMALL, ch_mults=(1, 2), is_attn=(False, True)),
    'classes': dict(
        SMALL, image_channels=3, n_blocks=2, ch_mults=(1, 2, 3), is_attn=(True, False, True),
        n_classes=5, n_groups=4,
    ),
    'learned': dict(
        SMALL, n_channels=12, n_groups=3, ch_mults=(2,), is_attn=(False,), variance='learned',
        schedule='cosine',
    ),
}  # fmt: skip


def network(name):
    """A diffusion of random weights, zero nowhere, and its configuration."""
    c = make_configs(NETWORKS[name])
    diffusion = build(c)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in diffusion.eps_model.parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight += 0.3 * noise / weight[0].numel() ** 0.5
        # Guesses this wild leave pixels that are neither black nor white
        diffusion.eps_model.head.weight *= 10
    return diffusion.eval(), c


@pytest.fixture(scope='module')
def browser():
    with chromium() as launched:
        yield launched


@pytest.fixture(scope='module')
def engine(browser):
    """A page with the scripts of the engine; what goes wrong in it is an error here."""
    page = browser.new_page()
    for name in ('noise.js', 'unet.js', 'samplers.js'):
        page.add_script_tag(path=web.ENGINE / name)
    page.evaluate('() => { globalThis.done = (work) => ddpm.run(work) }')
    yield page
    page.close()


def give(page, diffusion, c, precision='float32'):
    model = web.packed(diffusion.eps_model.state_dict(), c, precision=precision)
    page.add_script_tag(content=web.script(model))
    page.evaluate('async () => { globalThis.net = await done(ddpm.networkOf(ddpm.packed)) }')


# ## Noise


@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ('AVX2', 'AVX512'),
    reason='torch rounds otherwise where the processor has no AVX2',
)
@pytest.mark.parametrize('sizes', [[64] * 40, [3072] * 3, [1, 2, 15, 16, 17, 37, 5, 31, 16], [3]])
@pytest.mark.parametrize('seed', [0, 5, 2**32 - 1])
def test_noise_is_torchs_to_the_last_bit(engine, sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    want = torch.cat([torch.randn(n, generator=generator) for n in sizes])
    got = engine.evaluate(
        """([seed, sizes]) => {
          const generator = new ddpm.MersenneTwister(seed);
          return sizes.flatMap((n) => [...ddpm.randn(generator, n)]);
        }""",
        [seed, sizes],
    )
    assert torch.equal(torch.tensor(got, dtype=torch.float32), want)


def test_each_image_has_the_seed_that_it_has_here(engine):
    for seed in (0, 1, 2**31, 2**53 - 1):
        for i in (0, 7, 10**6):
            assert engine.evaluate('([s, i]) => ddpm.imageSeed(s, i)', [seed, i]) == image_seed(
                seed, i
            )


# ## The network


@pytest.mark.parametrize('name', NETWORKS)
def test_the_forward_pass_is_the_one_of_pytorch(engine, name):
    diffusion, c = network(name)
    give(engine, diffusion, c)
    shape = (1, c.image_channels, c.image_size, c.image_size)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    labels = (-1, 0, 4) if c.n_classes else (-1,)
    for t in (0, 1, 250, 999):
        for label in labels:
            told = (torch.tensor([label]),) if c.n_classes else ()
            with torch.no_grad():
                want = diffusion.eps_model(x, torch.tensor([t]), *told).flatten()
            got = engine.evaluate(
                '([x, t, label]) => done(net(Float32Array.from(x), t, label)).then((y) => [...y])',
                [x.flatten().tolist(), t, label],
            )
            assert want.std() > 0.1  # there is something to be equal to
            assert (torch.tensor(got) - want).abs().max() < 1e-4


SEEN = """async ([x, label]) => {
  const found = {};
  await done(net(Float32Array.from(x), 250, label, (name, { data, channels, height, width }) => {
    found[name] = [[channels, height, width], data];
  }));
  return Object.entries(found).map(([name, [shape, data]]) => [name, shape, [...data]]);
}"""


@pytest.mark.parametrize('name', NETWORKS)
def test_what_is_seen_on_the_way_is_the_output_of_each_module(engine, name):
    diffusion, c = network(name)
    give(engine, diffusion, c)
    kinds = (Block, ResidualBlock, AttentionBlock, Downsample, Upsample)
    named = {
        key: module
        for key, module in diffusion.eps_model.named_modules()
        if isinstance(module, kinds) or key in ('stem', 'head')
    }
    want = {}
    hooks = [
        module.register_forward_hook(lambda _m, _x, out, key=key: want.update({key: out[0]}))
        for key, module in named.items()
    ]
    x = torch.randn(
        1, c.image_channels, c.image_size, c.image_size, generator=torch.Generator().manual_seed(0)
    )
    told = (torch.tensor([3]),) if c.n_classes else ()
    with torch.no_grad():
        diffusion.eps_model(x, torch.tensor([250]), *told)
    for hook in hooks:
        hook.remove()
    got = engine.evaluate(SEEN, [x.flatten().tolist(), 3 if c.n_classes else -1])
    # In the order in which they end, each once
    assert [key for key, _, _ in got] == list(want)
    for key, shape, values in got:
        assert list(want[key].shape) == shape
        assert (torch.tensor(values) - want[key].flatten()).abs().max() < 1e-4, key


@pytest.mark.parametrize('size', [4, 32])
def test_other_sizes_of_images(engine, size):
    """One is smaller than the blocks of the products, one is larger than those of the columns."""
    c = make_configs({**NETWORKS['grey'], 'image_size': size, 'is_attn': (True, True)})
    diffusion = build(c).eval()
    torch.nn.init.normal_(diffusion.eps_model.head.weight, generator=torch.Generator())
    give(engine, diffusion, c)
    x = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        want = diffusion.eps_model(x, torch.tensor([400])).flatten()
    got = engine.evaluate(
        '(x) => done(net(Float32Array.from(x), 400)).then((y) => [...y])', x.flatten().tolist()
    )
    assert (torch.tensor(got) - want).abs().max() < 1e-4


CONVOLVE = """async ([weight, bias, shape, x, height, width]) => {
  const { conv } = ddpm.layers({ 'c.weight': { shape, data: Float32Array.from(weight) },
    'c.bias': { shape: [shape[0]], data: Float32Array.from(bias) } });
  const { data } = await done(conv('c', { data: Float32Array.from(x), channels: shape[1], height, width }));
  return [...data];
}"""  # noqa: E501


@pytest.mark.parametrize(
    ('channels', 'height', 'width'),
    [((4, 4), 4, 4), ((7, 5), 5, 7), ((8, 6), 9, 4), ((5, 70), 16, 15), ((64, 4), 33, 20)],
)
def test_tiles_make_the_convolution(engine, channels, height, width):
    """Odd numbers of rows and columns, of channels, and more tiles than are made at a time."""
    draw = torch.Generator().manual_seed(0)
    weight = torch.randn(*channels, 3, 3, generator=draw)
    bias = torch.randn(channels[0], generator=draw)
    x = torch.randn(channels[1], height, width, generator=draw)
    want = torch.nn.functional.conv2d(x.double()[None], weight.double(), bias.double(), padding=1)
    given = [weight.flatten().tolist(), bias.tolist(), list(weight.shape), x.flatten().tolist()]
    got = engine.evaluate(CONVOLVE, [*given, height, width])
    agree(torch.tensor(got).double(), want.flatten(), atol=1e-6 * weight[0].numel() ** 0.5)


# ## Pictures

DRAW = """async ([name, steps, seed, i, n, about]) => {
  const { schedule, n_steps, variance } = ddpm.packed.config;
  const model = about.label === null ? (x, t) => net(x, t)
    : ddpm.guided(net, about.label, about.scale, n);
  const noise = ddpm.seededNoise(seed, i);
  const process = { beta: ddpm.betas[schedule](n_steps), model, variance };
  const walk = ddpm.SAMPLERS[name](process, noise(n), noise, { steps, ...about.options });
  const last = await done(walk);
  return [...last.x].map(ddpm.toByte);
}"""


def off(page, diffusion, c, sampler, steps, *, label=None, scale=0.0, **options):
    """How many grey levels the picture of the page is off at its worst pixel."""
    model = diffusion.eps_model
    if label is not None:
        diffusion.eps_model = Guided(model, label, scale)
    here = Sampler(
        diffusion, c.image_channels, c.image_size, sampler=sampler, steps=steps, **options
    )
    want = to_uint8(here.sample(2, seed=3))[1].flatten()
    diffusion.eps_model = model
    about = {'label': label, 'scale': scale, 'options': options}
    got = page.evaluate(DRAW, [sampler, steps, 3, 1, want.numel(), about])
    assert want.unique().numel() > 5
    return int((torch.tensor(got) - want.int()).abs().max())


SAMPLERS = ['ddpm', 'ddim', 'pndm', 'dpm']


@pytest.mark.parametrize('steps', [5, 20])
@pytest.mark.parametrize('sampler', SAMPLERS)
@pytest.mark.parametrize('name', NETWORKS)
def test_every_sampler_draws_the_picture_of_the_command_line(engine, name, sampler, steps):
    diffusion, c = network(name)
    give(engine, diffusion, c)
    assert off(engine, diffusion, c, sampler, steps) <= 2


@pytest.mark.long
@pytest.mark.parametrize('sampler', SAMPLERS)
@pytest.mark.parametrize('name', NETWORKS)
def test_all_steps_of_every_sampler(engine, name, sampler):
    diffusion, c = network(name)
    give(engine, diffusion, c)
    assert off(engine, diffusion, c, sampler, 1000) <= 2


@pytest.mark.parametrize(
    ('sampler', 'options'),
    [('ddim', {'eta': 0.7}), ('ddim', {'spacing': 'quadratic'}), ('dpm', {'spacing': 'leading'}),
     ('pndm', {'spacing': 'linspace'}), ('ddpm', {'variance': 'beta'})],
)  # fmt: skip
@pytest.mark.filterwarnings('ignore::labml_nn.diffusion.ddpm.utils.ShortChainWarning')
def test_options_of_the_samplers(engine, sampler, options):
    diffusion, c = network('grey')
    give(engine, diffusion, c)
    assert off(engine, diffusion, c, sampler, 12, **options) <= 2


@pytest.mark.parametrize('scale', [0.0, 2.0, -1.0])
def test_classes_and_guidance(engine, scale):
    diffusion, c = network('classes')
    give(engine, diffusion, c)
    assert off(engine, diffusion, c, 'dpm', 10, label=3, scale=scale) <= 2


# ## Weights


@pytest.mark.parametrize('precision', web.PRECISIONS)
def test_the_engine_reads_what_was_written(engine, precision):
    diffusion, c = network('classes')
    give(engine, diffusion, c, precision)
    got = engine.evaluate(
        """() => done(ddpm.unpack(ddpm.packed)).then((tensors) => Object.fromEntries(
          Object.entries(tensors).map(([name, { data }]) => [name, [...data]])))"""
    )
    for name, tensor in diffusion.eps_model.state_dict().items():
        want = tensor
        if tensor.ndim > 1 and precision == 'float16':
            want = tensor.half().float()
        elif tensor.ndim > 1 and precision == 'int8':
            scale, q = web.quantised(tensor)
            want = scale.reshape(-1, *[1] * (tensor.ndim - 1)) * q
        assert torch.equal(torch.tensor(got[name]), want.flatten()), name


def test_int8_is_off_by_half_a_step_at_most():
    weight = torch.randn(7, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    weight[2] = 0
    scale, q = web.quantised(weight)
    step = scale[:, None, None, None]
    assert ((step * q - weight).abs() <= step / 2 * (1 + 1e-5)).all()
    assert (q.flatten(1).abs().amax(1) == torch.tensor([127, 127, 0, 127, 127, 127, 127])).all()


def test_multiplications_are_counted():
    c = make_configs(dict(SMALL, ch_mults=(1,), is_attn=(False,)))
    n = web.n_products(build(c).eps_model, 1, 8)
    pixels, w, middle = 64, 16, 2 * 64 * 64 * 16
    convolutions = 9 * pixels * (w + w * w * 2 * 3 + (2 * w * w + w * w) * 2 + w)
    shortcuts = 2 * pixels * 2 * w * w
    attention = 4 * pixels * w * w + middle
    times = w * 4 * w + 16 * w * w + 5 * 4 * w * w
    assert n == convolutions + shortcuts + attention + times


# ## The page


def pixels(page, i=0):
    """The bytes of the first channel of a picture of the page, and those of the others."""
    shown = page.evaluate(
        """(i) => {
          const canvas = document.querySelectorAll('.pictures canvas')[i];
          const { width, height } = canvas;
          return [...canvas.getContext('2d').getImageData(0, 0, width, height).data];
        }""",
        i,
    )
    return np.array(shown).reshape(-1, 4)[:, :3].T


def opened(browser, path):
    """The page when it has drawn; nothing that it may not do has happened."""
    from playwright.sync_api import expect

    page = browser.new_page()
    wrong = []
    page.on('console', lambda m: wrong.append(m.text))
    page.on('pageerror', lambda e: wrong.append(str(e)))
    page.on('requestfailed', lambda r: wrong.append(r.url))
    page.goto(path.as_uri())
    expect(page.get_by_role('status')).to_contain_text('8 pictures in', timeout=60_000)
    assert wrong == []
    return page


@pytest.mark.parametrize('one_file', [False, True])
def test_the_page_draws_what_sample_draws(trained, browser, tmp_path, one_file):
    out = tmp_path / ('demo.html' if one_file else 'demo')
    more = ['--one_file'] if one_file else []
    how = ['--weights_as', 'float32', '--sampler', 'ddim', '--steps', 5, '--seed', 4, '--eta', 0.5]
    status, said, errors = run('web', trained, '-o', out, *how, *more)
    assert status == 0, errors
    page = opened(browser, out if one_file else out / 'index.html')
    want = to_uint8(
        Sampler.from_run(trained, device='cpu', sampler='ddim', steps=5, eta=0.5).sample(8, seed=4)
    )
    for i in (0, 7):
        off = np.abs(pixels(page, i) - want[i].flatten().numpy()[None].astype(int))
        assert off.max() <= 2
    command = page.locator('.command code').text_content()
    assert command.endswith(f'sample {trained} --n 8 --seed 4 --sampler ddim --steps 5 --eta 0.5')
    page.close()


def test_the_page_of_a_run_with_classes(conditional, browser, tmp_path):
    how = ['--label', 7, '--guidance', 2, '--steps', 4, '--weights_as', 'float32']
    status, _, errors = run('web', conditional, '-o', tmp_path, *how)
    assert status == 0, errors
    page = opened(browser, tmp_path / 'index.html')
    told = partial(Sampler.from_run, conditional, device='cpu', steps=4)
    want = to_uint8(told(label=7, guidance=2).sample(1)).flatten().numpy().astype(int)
    assert np.abs(pixels(page) - want).max() <= 2
    from playwright.sync_api import expect

    assert '--label 7 --guidance 2' in page.locator('.command code').text_content()
    page.get_by_label('Class').select_option('')
    expect(page.locator('.command')).not_to_contain_text('--label')
    expect(page.locator('.state')).to_contain_text('seconds, with', timeout=60_000)
    want = to_uint8(told(guidance=2).sample(2)).flatten(1).numpy().astype(int)
    assert np.abs(pixels(page, 1) - want[1]).max() <= 2
    page.close()


def test_what_a_page_may_not_be(trained, conditional, tmp_path, monkeypatch):
    for options, told in (
        (['--weights_as', 'int4'], "weights_as='int4' is not known: use int8, float16, float32"),
        (['--one_file', '--out', tmp_path / 'x.png'], 'web is written as .html'),
        (['--label', 3], 'trained without labels'),
        (['--order', 1], 'order=1: the page has order=2 alone'),
    ):
        status, _, errors = run('web', trained, '--out', tmp_path / 'x', *options)
        assert status == 2
        assert told in errors
    monkeypatch.setattr(web, 'MOST_BYTES', 1000)
    status, _, errors = run('web', trained, '--out', tmp_path / 'y', '--weights_as', 'float16')
    assert status == 2
    assert 'the page would have' in errors
    assert 'choose --weights_as int8, or train a smaller model' in errors
    assert not any((tmp_path / 'y').glob('*'))


def test_a_page_of_another_target_is_refused(trained, tmp_path, monkeypatch):
    load = web.checkpoint.load

    def of_v(path):
        state = load(path)
        return {**state, 'config': {**state['config'], 'target': 'v', 'zero_snr': True}}

    monkeypatch.setattr(web.checkpoint, 'load', of_v)
    status, _, errors = run('web', trained, '--out', tmp_path / 'x')
    assert status == 2
    assert 'from models that predict eps: this one has target=v and zero_snr=true' in errors
    assert not any((tmp_path / 'x').glob('*'))


@pytest.mark.parametrize(
    ('name', 'value'), [('sampler', 'heun'), ('sampler', 'flow'), ('spacing', 'karras')]
)
def test_what_the_engine_does_not_have_is_refused(trained, tmp_path, name, value):
    status, _, errors = run('web', trained, '--out', tmp_path / 'x', f'--{name}', value)
    assert status == 2
    assert f'the page has {name}=' in errors
    assert f', not {value}: use evaluate sample or animate' in errors
    assert not any((tmp_path / 'x').glob('*'))


def test_a_schedule_that_the_engine_does_not_have_is_refused():
    with pytest.raises(ValueError, match='the page has schedule=linear or cosine, not straight'):
        web.refuse_others(make_configs({'schedule': 'straight'}))


def test_what_the_engine_has_is_what_the_command_takes():
    """All that it is said to know is there in Python; each is compared above."""
    assert list(web.KNOWN['sampler']) == SAMPLERS
    assert set(web.KNOWN['schedule']) < set(SCHEDULES)
    for spacing in web.KNOWN['spacing']:
        assert len(spaced(spacing, 10, 100)) == 10
    code = (web.ENGINE / 'samplers.js').read_text(encoding='utf-8')
    for name in (*web.KNOWN['schedule'], *web.KNOWN['spacing']):
        assert re.search(rf'^    {name}: ', code, re.MULTILINE), name


def test_slow_pages_are_announced(trained, tmp_path, monkeypatch):
    out = ['--out', tmp_path / 'x']
    assert 'seconds in a browser' not in run('web', trained, *out)[1]
    monkeypatch.setattr(web, 'SPEED', 1e4)
    assert 'seconds in a browser: fewer --steps' in run('web', trained, *out)[1]


def test_names_cannot_leave_the_script():
    """A class that is called `</script>` does not end the page's script."""
    diffusion, c = network('classes')
    model = web.packed(diffusion.eps_model.state_dict(), c, classes=['</script>', '<!--'])
    text = web.script(model)
    assert '</' not in text
    body = text.partition('packed = ')[2].rstrip(';\n').replace('<\\/', '</')
    assert json.loads(body)['classes'] == ['</script>', '<!--']
    assert base64.b64decode(json.loads(body)['data'])


def test_noise_and_engine_are_installed():
    for name in (*web.SCRIPTS, 'figure.css'):
        assert (web.ENGINE / name).is_file()
    assert (web.TEMPLATES / 'demo.html').is_file()


def test_seeds_of_a_set_are_those_of_sampling():
    """What the engine draws first for image 1 of seed 3 is what `SeededNoise` draws."""
    first = SeededNoise(2, 3)((2, 1, 8, 8), 'cpu')[1]
    generator = torch.Generator().manual_seed(image_seed(3, 1))
    assert torch.equal(first, torch.randn(1, 8, 8, generator=generator))
