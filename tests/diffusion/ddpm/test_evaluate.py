"""Sampling: the class, and the command line on a real run."""

import re
from functools import partial

import pytest
import torch
from PIL import Image

from labml_nn.compute.precision import available
from labml_nn.data.datasets import load_dataset
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.evaluate import main
from labml_nn.diffusion.ddpm.pretrained import save_pretrained
from labml_nn.diffusion.ddpm.sampler import SameNoise, Sampler, frame_steps
from labml_nn.runs import checkpoint
from tests.kit.close import agree
from tests.kit.runs import called, opened

run = partial(called, main)


def oracle(x0):
    """The sampler of a model that knows the image: its noise guess is exact."""
    diffusion = DenoiseDiffusion(None, 1000)

    def eps_model(xt, t):
        mean, var = diffusion.q_xt_x0(x0.expand_as(xt), t)
        return (xt - mean) / var**0.5

    diffusion.eps_model = eps_model
    return Sampler(diffusion, *x0.shape[:2])


# ## The class


def test_same_seed_and_place_same_image(trained):
    """Whatever the batch: alone, in a set, in two halves."""
    sampler = Sampler.from_run(trained, device='cpu')
    whole = sampler.sample(3, seed=7)
    assert whole.shape == (3, 1, 8, 8)
    assert float(whole.abs().max()) <= 1
    torch.testing.assert_close(sampler.sample(1, seed=7, first=2), whole[2:], rtol=0, atol=1e-4)
    assert not torch.allclose(whole[0], whole[1])


def test_large_sets_go_through_in_batches(monkeypatch):
    monkeypatch.setattr('labml_nn.diffusion.ddpm.sampler.BATCH', 2)
    sizes = []

    def eps_model(xt, t):
        sizes.append(len(xt))
        return torch.zeros_like(xt)

    diffusion = DenoiseDiffusion(eps_model, 3, beta=torch.tensor([0.9, 0.9, 0.99]))
    sampler = Sampler(diffusion, 1, 4)
    batched = sampler.sample(5, seed=1)
    assert sizes == [2, 2, 2, 2, 2, 2, 1, 1, 1]
    monkeypatch.setattr('labml_nn.diffusion.ddpm.sampler.BATCH', 5)
    assert torch.equal(batched, sampler.sample(5, seed=1))


def test_weights_are_the_ones_asked_for(trained):
    state = checkpoint.load(trained)
    for weights, key in (('ema', 'ema'), ('raw', 'model')):
        model = Sampler.from_run(trained, weights=weights, device='cpu').diffusion.eps_model
        assert torch.equal(model.state_dict()['stem.weight'], state[key]['stem.weight'])
    with pytest.raises(ValueError, match="weights='best' is not known: use ema or raw"):
        Sampler.from_run(trained, weights='best')


def test_samples_in_half_precision_are_nearly_the_same(trained, tmp_path, capsys):
    options = {'device': 'cpu', 'steps': 4}
    if 'bf16' not in available(torch.device('cpu')):
        with pytest.raises(ValueError, match='precision=bf16 is not on cpu: it has fp32'):
            Sampler.from_run(trained, precision='bf16', **options)
        return
    whole = Sampler.from_run(trained, **options).sample(4)
    sampler = Sampler.from_run(trained, precision='bf16', **options)
    half = sampler.sample(4)
    assert half.dtype == torch.float32
    assert 1e-6 < float((half - whole).abs().max()) < 0.2
    # And can be given away as any other
    save_pretrained(tmp_path / 'pipeline', sampler.diffusion, 8)
    assert main(['sample', str(trained), '--precision', 'fp8']) == 2
    assert "precision='fp8' is not known: use one of auto, fp32, bf16" in capsys.readouterr().err


def test_one_formula_for_each_step():
    """`p_sample` and `p_x0` are the diffusion's own, clipped."""
    x0 = torch.rand(1, 4, 4) * 2 - 1
    sampler = oracle(x0)
    xt, z, t = torch.randn(2, 1, 4, 4) * 3, torch.randn(2, 1, 4, 4), torch.tensor([5, 600])
    expected = sampler.diffusion.p_sample(xt, t, z=z, clip_x0=True)
    assert torch.equal(sampler.p_sample(xt, t, z=z), expected)
    eps = torch.randn_like(xt)
    assert torch.equal(sampler.p_x0(xt, t, eps), sampler.diffusion.predict_x0(xt, t, eps))


def test_an_oracle_leads_to_its_image():
    x0 = torch.rand(1, 4, 4) * 2 - 1
    samples = oracle(x0).sample(3)
    torch.testing.assert_close(samples, x0.expand(3, 1, 4, 4), rtol=0, atol=1e-4)


def test_animation_frames_are_spread_and_end_in_the_image():
    x0 = torch.rand(1, 4, 4) * 2 - 1
    sampler = oracle(x0)
    frames = sampler.sample_animation(n_frames=10, n_samples=2, seed=3)
    assert len(frames) == 10
    assert torch.equal(frames[-1], sampler.sample(2, seed=3))
    assert len(sampler.sample_animation(n_frames=5000)) == 20


@pytest.mark.parametrize(
    ('n_steps', 'n_frames'), [(1000, 60), (1000, 7), (10, 10), (10, 1), (3, 9)]
)
def test_frame_steps(n_steps, n_frames):
    steps = frame_steps(n_steps, n_frames)
    assert len(steps) == min(n_steps, n_frames)
    assert steps[-1] == 0
    gaps = [a - b for a, b in zip([n_steps, *steps], steps, strict=False)]
    assert max(gaps) - min(gaps) <= 1


# ## Interpolation


@pytest.mark.parametrize('t_', [1, 100, 999, 1000])
def test_lambda_zero_and_an_oracle_give_the_first_image(t_):
    """Noised to t and denoised from t: an index off by one would leave noise."""
    x1, x2 = torch.rand(2, 1, 4, 4) * 2 - 1
    torch.testing.assert_close(oracle(x1).interpolate(x1, x2, 0.0, t_)[0], x1, rtol=0, atol=1e-4)
    torch.testing.assert_close(oracle(x2).interpolate(x1, x2, 1.0, t_)[0], x2, rtol=0, atol=1e-4)


def test_no_steps_are_the_plain_mix():
    x1, x2 = torch.rand(2, 1, 4, 4) * 2 - 1
    row = oracle(x1).interpolate(x1, x2, [0.0, 0.25, 1.0], t_=0)
    torch.testing.assert_close(row, torch.stack([x1, 0.75 * x1 + 0.25 * x2, x2]))


def test_noised_to_t_and_denoised_from_t():
    """The model is asked at t-1, t-2, …, 0, and first of all about an x_t of that very step."""
    asked = []

    def eps_model(xt, t):
        asked.append((int(t[0]), xt))
        return torch.zeros_like(xt)

    diffusion = DenoiseDiffusion(eps_model, 1000)
    x = torch.zeros(1, 32, 32)
    Sampler(diffusion, 1, 32).interpolate(x, x, 0.3, t_=40)
    assert [t for t, _ in asked] == list(reversed(range(40)))
    std = float(diffusion.one_minus_alpha_bar[39]) ** 0.5
    assert float(asked[0][1].std()) == pytest.approx(std, rel=0.1)


def test_interpolation_keeps_the_noise_level():
    """With one noise for both images, the mix has the variance of step t for every lambda."""
    seen = []

    def eps_model(xt, t):
        seen.append(xt)
        return torch.zeros_like(xt)

    diffusion = DenoiseDiffusion(eps_model, 1000)
    x = torch.zeros(1, 64, 64)
    Sampler(diffusion, 1, 64).interpolate(x, x, [0.0, 0.5, 1.0], t_=700)
    stds = seen[0].std(dim=(1, 2, 3))
    expected = float(diffusion.one_minus_alpha_bar[699]) ** 0.5
    what = 'noise level of the mix at lambda 0, 1/2 and 1'
    agree(stds.tolist(), [expected] * 3, atol=0, rtol=0.05, what=what)
    # Two noises would have had this at the middle
    assert expected * 0.5**0.5 < float(stds[1]) * 0.8


def test_the_way_back_has_the_same_noise_for_every_lambda():
    noise = SameNoise(3, seed=1)
    z = noise((3, 1, 4, 4), 'cpu')
    assert torch.equal(z[0], z[2])
    assert not torch.equal(z, noise((3, 1, 4, 4), 'cpu'))
    x1 = torch.rand(1, 4, 4)
    row = oracle(x1).interpolate(x1, x1, [0.2, 0.9], t_=300)
    assert torch.equal(row[0], row[1])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'t_': 1001}, 't_=1001: it counts steps, from 0 to 1000'),
        ({'t_': -1}, 't_=-1'),
        ({'lambda_': 1.5}, r'lambda=\[1.5\] must lie in \[0, 1\]'),
        ({'x2': torch.zeros(3, 4, 4)}, r'x2 has shape \[3, 4, 4\]: this model needs \[1, 4, 4\]'),
    ],
)
def test_what_cannot_be_interpolated_is_refused(change, message):
    x = torch.zeros(1, 4, 4)
    with pytest.raises(ValueError, match=message):
        oracle(x).interpolate(**{'x1': x, 'x2': x, 'lambda_': 0.5, **change})


# ## Classes


def test_same_seed_place_and_label_same_image(conditional, monkeypatch):
    """Alone or in a set, in one batch or several: image i is of label i modulo their number."""
    options = {'device': 'cpu', 'guidance': 2.0, 'steps': 5}
    whole = Sampler.from_run(conditional, label=[3, 1, 7], **options).sample(7, seed=4)
    monkeypatch.setattr('labml_nn.diffusion.ddpm.sampler.BATCH', 2)
    parts = Sampler.from_run(conditional, label=[3, 1, 7], **options).sample(7, seed=4)
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-4)
    sampler = Sampler.from_run(conditional, label=7, **options)
    torch.testing.assert_close(sampler.sample(1, seed=4, first=5), whole[5:6], rtol=0, atol=1e-4)
    # Another class is another image
    other = Sampler.from_run(conditional, label=2, **options).sample(1, seed=4, first=5)
    assert float((other - whole[5:6]).abs().max()) > 0.01


def test_without_a_label_each_class_in_turn(conditional):
    options = {'device': 'cpu', 'steps': 3}
    given = Sampler.from_run(conditional, **options).sample(12)
    assert torch.equal(
        given, Sampler.from_run(conditional, label=range(10), guidance=0, **options).sample(12)
    )


def test_label_none_is_the_unconditional_model(conditional):
    sampler = Sampler.from_run(conditional, label=-1, guidance=3.0, device='cpu', steps=3)
    plain = Sampler.from_run(conditional, device='cpu', steps=3)
    plain.diffusion.eps_model = plain.diffusion.eps_model.model
    plain.labels = None
    torch.testing.assert_close(sampler.sample(3), plain.sample(3), rtol=0, atol=1e-4)


def test_between_two_images_of_no_one_class_the_model_is_told_none(conditional):
    x1, x2 = torch.rand(2, 1, 8, 8) * 2 - 1
    told = {}
    for label in (None, 4, [1, 2]):
        sampler = Sampler.from_run(conditional, label=label, device='cpu', sampler='ddpm')
        told[str(label)] = labels_told(sampler, lambda s: s.interpolate(x1, x2, [0, 0.5, 1], t_=2))
    assert told == {'None': [-1] * 3, '4': [4] * 3, '[1, 2]': [-1] * 3}


def labels_told(sampler, draw):
    """The labels of the last call of the network."""
    told = []
    network = sampler.diffusion.eps_model.model
    handle = network.register_forward_pre_hook(lambda _, inputs: told.append(inputs[2].tolist()))
    draw(sampler)
    handle.remove()
    return told[-1]


def test_what_one_call_is_told_is_unknown_to_the_next(conditional, monkeypatch):
    """A chain that waits while another is drawn goes on with its own classes."""
    sampler = Sampler.from_run(conditional, label=[3, 1, 7], device='cpu', steps=3, guidance=1.5)
    guided = sampler.diffusion.eps_model
    before = guided.label
    alone = sampler.sample(2, seed=1)
    labelled = sampler.with_labels(0, 2)
    chain = labelled.reverse.chain(*labelled.reverse.start((2, 1, 8, 8), seed=1))
    next(chain)
    monkeypatch.setattr('labml_nn.diffusion.ddpm.sampler.BATCH', 1)
    sampler.sample(3)
    agree(list(chain)[-1][1], alone, atol=0, what='images of a chain that waited, and alone')
    assert sampler.diffusion.eps_model is guided
    assert guided.label is before


def test_guidance_needs_a_run_that_has_dropped_labels(conditional, tmp_path):
    state = checkpoint.load(conditional)
    state.pop('format')
    state['config'] = {**state['config'], 'p_uncond': 0.0}
    checkpoint.save(tmp_path / 'c.pt', state)
    with pytest.raises(ValueError, match='guidance=2: this run was trained with p_uncond=0'):
        Sampler.from_run(tmp_path / 'c.pt', label=1, guidance=2.0)
    Sampler.from_run(tmp_path / 'c.pt', label=1)


@pytest.mark.parametrize('command', ['sample', 'animate', 'interpolate'])
def test_labels_on_the_command_line(conditional, tmp_path, command):
    out = tmp_path / ('a.gif' if command == 'animate' else 'a.png')
    options = ['--t', 3] if command == 'interpolate' else ['--steps', 3]
    status, _, errors = run(
        command, conditional, '--n', 2, '--label', 3, 'none', '--guidance', 1.5, *options,
        '--out', out,
    )  # fmt: skip
    assert status == 0, errors
    text = opened(out.with_suffix('.png')).text
    assert (text['label'], text['guidance']) == ('[3, -1]', '1.5')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--label', '10'], 'labels go from 10 to 10: this model has the classes 0 to 9'),
        (['--label', '3', '-2'], 'labels go from -2 to 3|expected'),
        (['--label', 'seven'], "need a whole number, got 'seven'"),
        (['--label', '1', '--guidance', 'nan'], 'guidance=nan: give a finite number'),
        (['--label', '1', '--guidance', 'much'], "need a number, got 'much'"),
    ],
)
def test_labels_that_will_not_do_are_refused(conditional, arguments, message):
    status, _, errors = run('sample', conditional, *arguments)
    assert status == 2
    assert re.search(message, errors), errors


# ## The command line


def test_sample_writes_a_grid_that_says_how_it_was_made(trained):
    status, printed, errors = run('sample', trained, '--n', 2, '--seed', 5, '--device', 'cpu')
    assert status == 0, errors
    assert 'averaged (EMA) weights, seed 5' in printed
    path = trained / 'sample_ema_seed5.png'
    assert str(path) in printed
    picture = opened(path)
    assert picture.size == (2 * 66 + 2, 66 + 2)  # 8 × 8 shown at 64 × 64, a frame of 2 around each
    assert (picture.text['seed'], picture.text['weights'], picture.text['sampler']) == (
        '5', 'ema', 'dpm',
    )  # fmt: skip


@pytest.mark.parametrize(
    'options',
    [
        {'sampler': 'ddpm', 'variance': 'beta'},
        {'sampler': 'ddim', 'eta': '0.5', 'spacing': 'quadratic'},
        {'sampler': 'pndm', 'start': 'prk', 'spacing': 'leading'},
        {'sampler': 'dpm', 'order': '1', 'sde': 'false'},
    ],
)
@pytest.mark.parametrize('command', ['sample', 'animate'])
def test_every_sampler_by_name(trained, tmp_path, command, options):
    out = tmp_path / ('grid.png' if command == 'sample' else 'chain.gif')
    given = [part for k, v in options.items() for part in (f'--{k}', v)]
    status, _, errors = run(command, trained, '--n', 2, '--steps', 5, '--out', out, *given)
    assert status == 0, errors
    text = opened(out.with_suffix('.png')).text
    assert text['steps'] == '5'
    assert {k: text[k].lower() for k in options} == options


def test_separate_writes_single_pictures_at_the_models_resolution(trained, tmp_path):
    status, printed, errors = run(
        'sample', trained, '--n', 3, '--separate', '--out', tmp_path / 'many', '--weights', 'raw'
    )
    assert status == 0, errors
    assert 'raw, not averaged weights' in printed
    files = sorted((tmp_path / 'many').iterdir())
    assert [f.name for f in files] == [f'sample_seed0_0000{i}.png' for i in range(3)]
    assert {opened(f).size for f in files} == {(8, 8)}


@pytest.mark.parametrize('ending', ['gif', 'mp4'])
def test_animate(trained, tmp_path, ending):
    if ending == 'mp4':
        pytest.importorskip('imageio_ffmpeg', reason="needs pip install 'labml-nn[video]'")
    out = tmp_path / f'chain.{ending}'
    status, printed, errors = run('animate', trained, '--n', 2, '--frames', 12, '--out', out)
    assert status == 0, errors
    assert out.stat().st_size > 1000
    if ending == 'gif':
        with Image.open(out) as gif:
            assert gif.n_frames == 12
            assert gif.info['loop'] == 0
    strip = opened(out.with_suffix('.png'))
    assert strip.size == (10 * 66 + 2, 2 * 66 + 2)


def test_interpolate_rows_begin_and_end_with_the_images(trained, tmp_path):
    out = tmp_path / 'i.png'
    status, _, errors = run(
        'interpolate', trained, '--images', 3, 10, '--n', 4, '--t', 5, 50, '--out', out
    )
    assert status == 0, errors
    picture = opened(out)
    assert picture.size == (6 * 66 + 2, 2 * 66 + 2)
    digits = load_dataset('digits', image_size=8, image_channels=1)
    for column, index in ((0, 3), (5, 10)):
        left = column * 66 + 2
        shown = picture.crop((left, 2, left + 64, 66)).resize((8, 8), Image.Resampling.NEAREST)
        expected = ((digits[index][0] + 1) * 127.5).round().to(torch.uint8).flatten().tolist()
        assert list(shown.tobytes()) == expected


def test_interpolate_takes_files(trained, tmp_path):
    for name, colour in (('a.png', 20), ('b.JPG', 220)):
        Image.new('RGB', (20, 30), (colour, 90, 90)).save(tmp_path / name)
    out = tmp_path / 'i.png'
    status, _, errors = run(
        'interpolate', trained, '--images', tmp_path / 'a.png', tmp_path / 'b.JPG', '--n', 2,
        '--t', 3, '--out', out,
    )  # fmt: skip
    assert status == 0, errors
    assert opened(out).size == (4 * 66 + 2, 66 + 2)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['sample', 'RUN', '--sampler', 'dddpm'], 'there is no sampler dddpm: did you mean ddpm?'),
        (
            ['sample', 'RUN', '--sampler', 'ddpm', '--eta', '1'],
            'no option of the sampler ddpm: eta',
        ),
        (['sample', 'RUN', '--sampler', 'ddim', '--eta', '2'], r'eta=2 must lie in \[0, 1\]'),
        (['sample', 'RUN', '--sampler', 'ddim', '--eta', 'x'], 'need a number, got'),
        (['sample', 'RUN', '--spacing', 'trailling'], "spacing='trailling' is not known: use"),
        (['sample', 'RUN', '--steps', '0'], 'n_steps=0: the model was trained with 1000'),
        (['animate', 'RUN', '--steps', '1001'], 'use 1 to 1000 of them'),
        (['interpolate', 'RUN', '--sampler', 'ddim'], 'no option sampler'),
        (['sample', 'RUN', '--label', '3'], 'label=.3.: this run was trained without labels'),
        (['sample', 'RUN', '--guidance', '2'], 'guidance=2.0: .* --preset digits_conditional'),
        (['sample', 'RUN', '--weights', 'best'], 'use ema or raw'),
        (['sample', 'RUN', '--n', '0'], 'n_samples=0: ask for at least one'),
        (['sample', 'RUN', '--separate'], 'give the folder for them with --out'),
        (['sample', 'RUN', '--nn', '3'], 'no option nn'),
        (['sample', 'nowhere'], 'nowhere does not exist: give the folder of a run'),
        (['animate', 'RUN', '--out', 'x.avi'], 'written as .gif or .mp4'),
        (['animate', 'RUN', '--frames', '0'], 'n_frames=0'),
        (['interpolate', 'RUN', '--images', '0', '1797'], 'digits has 0 to 1796'),
        (['interpolate', 'RUN', '--images', '0', 'cat.png'], 'cat.png does not exist'),
        (['interpolate', 'RUN', '--t', '1001'], 'from 0 to 1000'),
        (['interpolate', 'RUN', '--n', '1'], 'at least its two ends'),
        (['animate', 'RUN', '--n', '0'], 'n_samples=0: ask for at least one'),
        (['sample', 'RUN', '--seed', '-1'], 'seed=-1: need a whole number from 0'),
        (['sample', 'RUN', '--out', 'x.jpg'], 'sample is written as .png'),
        (['smaple', 'RUN'], 'invalid choice'),
        ([], 'COMMAND'),
    ],
)
def test_bad_input_is_refused(trained, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    before = sorted(trained.iterdir())
    status, _, errors = run(*[str(trained) if a == 'RUN' else a for a in arguments])
    assert status == 2
    assert re.search(message, errors), errors
    assert 'Traceback' not in errors
    assert sorted(trained.iterdir()) == before
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_another_architecture_is_refused_by_name(trained, tmp_path):
    state = checkpoint.load(trained)
    state.pop('format')
    state['config'] = {**state['config'], 'n_channels': 64}
    checkpoint.save(tmp_path / 'other.pt', state)
    status, _, errors = run('sample', tmp_path / 'other.pt')
    assert status == 2
    assert 'are of another architecture' in errors
    assert 'stem.weight [32, 1, 3, 3], need [64, 1, 3, 3]' in errors


def test_the_folder_of_out_is_made_or_refused_before_the_work(trained, tmp_path, monkeypatch):
    out = tmp_path / 'new' / 'deep' / 's.png'
    assert run('sample', trained, '--n', 1, '--steps', 2, '--out', out)[0] == 0
    monkeypatch.setattr(Sampler, 'sample', None)
    for more in ([out / 'x.png'], [out, '--separate']):
        status, _, errors = run('sample', trained, '--n', 1, '--out', *more)
        assert status == 2
        assert 'is a file, need a folder there' in errors


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('n_steps', 10**9), ('n_steps', 'abc'), ('n_steps', None), ('n_blocks', 10**7),
        ('n_channels', 10**9), ('ch_mults', 'abc'), ('ch_mults', [1, None]), ('flip', 1),
        ('dropout', 'abc'), ('dataset', 3), ('n_channels', True), ('is_attn', [0, 1]),
    ],
)  # fmt: skip
def test_absurd_options_of_a_checkpoint_are_named(trained, tmp_path, name, value):
    state = checkpoint.load(trained)
    state['config'] = {**state['config'], name: value}
    checkpoint.save(tmp_path / 'c.pt', state)
    with pytest.raises(ValueError, match=name):
        Sampler.from_run(tmp_path / 'c.pt')


@pytest.mark.parametrize('name', ['config', 'ema'])
def test_missing_parts_of_a_checkpoint_are_named(trained, tmp_path, name):
    state = checkpoint.load(trained)
    for value in (None, 'abc', [1], {**state[name], 'x': 'abc'}):
        checkpoint.save(tmp_path / 'c.pt', {**state, name: value})
        with pytest.raises(ValueError, match=rf'{name}|x'):
            Sampler.from_run(tmp_path / 'c.pt')
    # Within all bounds, and far beyond what the weights are
    config = {**state['config'], 'n_channels': 2**16, 'ch_mults': (1, 1024)}
    checkpoint.save(tmp_path / 'c.pt', {**state, 'config': config})
    with pytest.raises(ValueError, match='of another shape'):
        Sampler.from_run(tmp_path / 'c.pt')
