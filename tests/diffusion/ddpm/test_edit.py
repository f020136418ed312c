"""`evaluate edit` and `evaluate inpaint`, on runs of a few steps."""

from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from labml_nn.data.datasets import load_dataset
from labml_nn.diffusion.ddpm.evaluate import main
from labml_nn.diffusion.ddpm.pretrained import save_pretrained
from labml_nn.diffusion.ddpm.sampler import Sampler
from labml_nn.diffusion.editing import nearest_start
from labml_nn.diffusion.samplers import SAMPLERS
from tests.kit.close import agree, record
from tests.kit.runs import called, opened

run = partial(called, main)
# Grey levels of digits as they are in files: 16 is white
LEVEL = 255 / 16
LOWER = np.zeros((8, 8), np.uint8)
LOWER[4:] = 255


def digit(i):
    return load_dataset('digits', image_size=8, image_channels=1)[i][0]


def levels(i):
    """A digit as bytes, `[8, 8]`."""
    return ((digit(i)[0] + 1) * 127.5).round().byte().numpy()


def saved(path, array, mode=None):
    Image.fromarray(array, mode).save(path)
    return path


def cells(path, n_columns):
    """The images in a grid of the command, each 8 × 8 and 8 times enlarged."""
    pixels = np.asarray(opened(path).convert('L'))
    return [
        [pixels[y : y + 64 : 8, x : x + 64 : 8] for x in range(2, 2 + 66 * n_columns, 66)]
        for y in range(2, len(pixels) - 2, 66)
    ]


def all_cells(path):
    """The same of what `inpaint` writes: image, mask and one or two results."""
    return [cell for row in cells(path, 2) for cell in row]


@pytest.fixture
def mask(tmp_path):
    return saved(tmp_path / 'mask.png', LOWER)


# ## The sampler


def test_an_edit_of_no_steps_is_the_image(trained):
    sampler = Sampler.from_run(trained, device='cpu')
    assert torch.equal(sampler.edit(digit(3), 0, 3), digit(3).expand(3, 1, 8, 8))


def test_pictures_of_one_depend_on_seed_and_place(trained, monkeypatch):
    sampler = Sampler.from_run(trained, device='cpu', steps=4)
    anew = torch.from_numpy(LOWER > 0)
    for draw in (
        partial(sampler.edit, digit(3), 700),
        partial(sampler.inpaint, digit(3), anew, resamplings=2),
    ):
        whole = draw(5, 7)
        torch.testing.assert_close(draw(2, 7, first=3), whole[3:], rtol=0, atol=1e-4)
        assert not torch.allclose(whole[0], whole[1])
        monkeypatch.setattr('labml_nn.diffusion.ddpm.sampler.BATCH', 2)
        torch.testing.assert_close(draw(5, 7), whole, rtol=0, atol=1e-4)
        monkeypatch.undo()


def test_each_step_is_told(trained):
    sampler = Sampler.from_run(trained, device='cpu', steps=4)
    told = []
    sampler.edit(digit(3), 500, tell=told.append)
    assert told == [499, 249]
    told.clear()
    sampler.inpaint(digit(3), torch.from_numpy(LOWER > 0), resamplings=2, tell=told.append)
    assert told == [999, 999, 749, 749, 499, 499, 249]


def test_classes_are_told_to_what_is_edited(conditional):
    """Asked for a class, the model makes another picture of the same noise."""
    anew = torch.from_numpy(LOWER > 0)
    found = []
    for label in (-1, 7):
        sampler = Sampler.from_run(conditional, device='cpu', label=label, steps=4)
        found.append((sampler.edit(digit(3), 900), sampler.inpaint(digit(3), anew)))
    for without, seven in zip(*found, strict=True):
        assert not torch.allclose(without, seven, atol=1e-3)


@pytest.mark.parametrize('name', ['edit', 'inpaint'])
def test_images_of_another_shape_are_refused(trained, name):
    sampler = Sampler.from_run(trained, device='cpu')
    more = {'edit': 5, 'inpaint': torch.ones(8, 8, dtype=torch.bool)}[name]
    with pytest.raises(ValueError, match=r'the image has shape \[1, 9, 9\]: this model needs'):
        getattr(sampler, name)(torch.zeros(1, 9, 9), more)


# ## The commands


def test_edit_has_a_row_for_each_step(trained, tmp_path):
    out = tmp_path / 'edit.png'
    told = ['--image', 3, '--from', 0, 430, '--n', 2, '--steps', 20, '--out', out]
    status, said, errors = run('edit', trained, *told)
    assert status == 0, errors
    assert '--from 430: the nearest step of this sampler is 450' in said
    unchanged, edited = cells(out, 3)
    for picture in (*unchanged, edited[0]):
        assert np.array_equal(picture, levels(3))
    for picture in edited[1:]:
        assert not np.array_equal(picture, levels(3))
    info = opened(out).info
    assert (info['image'], info['noised_for'], info['seed']) == ('3', '[0, 450]', '0')
    # A quarter, half and three quarters of the way when nothing is said
    run('edit', trained, '--n', 1, '--steps', 4, '--out', out)
    assert opened(out).info['noised_for'] == '[250, 500, 750]'


@pytest.mark.parametrize('name', sorted(SAMPLERS))
def test_known_pixels_of_files_are_those_of_the_image(trained, tmp_path, mask, name):
    out = tmp_path / 'out.png'
    told = ['--image', 3, '--mask', mask, '--n', 2, '--sampler', name, '--steps', 4]
    status, _, errors = run('inpaint', trained, *told, '-o', out)
    assert status == 0, errors
    image, shown, *filled = all_cells(out)
    assert np.array_equal(image, levels(3))
    assert np.array_equal(shown, LOWER)
    for picture in filled:
        assert np.array_equal(picture[:4], levels(3)[:4])
        assert not np.array_equal(picture[4:], levels(3)[4:])
    status, _, errors = run('inpaint', trained, *told, '--separate', '--out', tmp_path / 'apart')
    assert status == 0, errors
    apart = [opened(p) for p in sorted((tmp_path / 'apart').iterdir())]
    assert len(apart) == 2
    for picture, of_grid in zip(apart, filled, strict=True):
        assert np.array_equal(np.asarray(picture), of_grid)


def test_one_resampling_is_what_it_says(trained, tmp_path, mask):
    """The walk is that of the options, and what made the picture stands in it."""
    for walk in (['--resamplings', 1], ['--resamplings', 3, '--jump', 2]):
        out = tmp_path / 'out.png'
        told = ['--image', 3, '--mask', mask, '--steps', 4, '--n', 1, *walk]
        status, said, errors = run('inpaint', trained, *told, '-o', out)
        assert status == 0, errors
        assert ('4/4' in said) == (len(walk) == 2)
        assert opened(out).info['resamplings'] == str(walk[1])
        sampler = Sampler.from_run(trained, device='cpu', steps=4)
        options = dict(zip(['resamplings', 'jump'], walk[1::2], strict=False))
        (expected,) = sampler.inpaint(digit(3), torch.from_numpy(LOWER > 0), **options)
        found = all_cells(out)[2]
        assert np.abs(found - (expected[0].numpy() + 1) * 127.5).max() <= 0.51


def test_what_is_made_anew(trained, tmp_path):
    """White of a mask, or what is transparent in it, or in the image; in any mode."""
    grey, alpha = levels(3), 255 - LOWER
    white = np.full((8, 8), 255, np.uint8)
    masks = {
        'grey': (LOWER, None),
        'bits': (LOWER > 0, None),
        'deep': (LOWER.astype(np.uint16) * 257, None),
        'colour': (np.stack([LOWER] * 3, axis=-1), None),
        # Its colours play no part
        'transparent': (np.stack([white, white, white, alpha], axis=-1), None),
        'grey and transparent': (np.stack([white, alpha], axis=-1), None),
    }
    out, seen = tmp_path / 'out.png', {}
    told = ['--n', 1, '--steps', 2, '--resamplings', 1, '--out', out]
    for name, (array, mode) in masks.items():
        path = saved(tmp_path / f'{name}.png', array, mode)
        status, _, errors = run('inpaint', trained, '--image', 3, '--mask', path, *told)
        assert status == 0, errors
        seen[name] = all_cells(out)[1]
    erased = saved(tmp_path / 'erased.png', np.stack([grey, grey, grey, alpha], axis=-1))
    status, _, errors = run('inpaint', trained, '--image', erased, *told)
    assert status == 0, errors
    seen['transparent parts of the image'] = all_cells(out)[1]
    for name, shown in seen.items():
        found, expected = torch.from_numpy(shown.copy()), torch.from_numpy(LOWER)
        agree(found, expected, atol=0, what=name)


def test_a_mask_is_cut_and_turned_with_its_image(trained, tmp_path):
    """Of a wide photograph the middle is used, and of its mask; cameras turn both."""
    wide, hole = np.zeros((40, 80), np.uint8), np.zeros((40, 80), np.uint8)
    wide[:, 20:40], hole[:, 40:] = 200, 255
    image, mask = saved(tmp_path / 'wide.png', wide), saved(tmp_path / 'hole.png', hole)
    out = tmp_path / 'out.png'
    told = ['--n', 1, '--steps', 2, '--resamplings', 1, '--out', out]
    for turned in (False, True):
        if turned:
            for path, array in ((image, wide), (mask, hole)):
                exif = Image.Exif()
                exif[274] = 6  # to be turned to the right
                Image.fromarray(np.rot90(array).copy()).save(path, exif=exif)
        status, _, errors = run('inpaint', trained, '--image', image, '--mask', mask, *told)
        assert status == 0, errors
        shown = all_cells(out)
        assert (shown[1][:, 4:] == 255).all()
        assert (shown[1][:, :4] == 0).all()
        assert (shown[0][:, :3] > 150).all()
        assert np.array_equal(shown[2][:, :4], shown[0][:, :4])


def test_a_published_model_edits_and_inpaints(trained, tmp_path, mask):
    """A folder of diffusers gives the pictures that the run gives which it was made from."""
    sampler = Sampler.from_run(trained, device='cpu')
    folder = save_pretrained(tmp_path / 'model', sampler.diffusion, 8)
    image = saved(tmp_path / 'image.png', levels(3))
    found = {}
    for source in (trained, folder):
        for command, more in (('edit', []), ('inpaint', ['--mask', mask, '--resamplings', 2])):
            out = tmp_path / 'out.png'
            told = ['--image', image, '--steps', 4, *more, '--out', out]
            status, said, errors = run(command, source, *told)
            assert status == 0, errors
            found[command, source] = torch.from_numpy(np.asarray(opened(out)).copy()).int()
    assert f'{folder}: published weights' in said
    for command in ('edit', 'inpaint'):
        of_run, of_folder = found[command, trained], found[command, folder]
        agree(of_folder, of_run, atol=1, what=f'{command}: grey levels, of the folder and the run')
    # Without --out into its own folder, and numbers mean nothing to it
    status, said, _ = run('edit', folder, '--image', image, '--steps', 2)
    assert (status, (folder / 'edit_ema_seed0.png').is_file()) == (0, True)
    status, _, errors = run('edit', folder, '--image', 3)
    assert status == 2
    assert 'image 3: a published model has no data set, give a file' in errors
    status, _, errors = run('edit', folder, '--image', image, '--label', 3)
    assert status == 2
    assert 'label: a published model is told no classes here' in errors
    record('pictures of the folder and of the run', len(found))


def test_commands_take_a_published_model(trained, tmp_path):
    """Samples of the folder are those of the run; the other commands do with it what they do."""
    sampler = Sampler.from_run(trained, device='cpu')
    folder = save_pretrained(tmp_path / 'model', sampler.diffusion, 8)
    image = saved(tmp_path / 'image.png', levels(3))
    out, found = tmp_path / 'out.png', []
    for source in (trained, folder):
        status, _, errors = run('sample', source, '--n', 2, '--steps', 3, '--out', out)
        assert status == 0, errors
        found.append(torch.from_numpy(np.asarray(opened(out)).copy()).int())
    agree(found[1], found[0], atol=1, what='grey levels of samples, of the folder and the run')
    more = ['--images', image, image, '--n', 2, '--t', 3, '--out', out]
    assert run('interpolate', folder, *more)[0] == 0
    more = ['--n', 1, '--frames', 2, '--steps', 2, '--out', tmp_path / 'out.gif']
    assert run('animate', folder, *more)[0] == 0
    # What needs to know the run says so
    status, _, errors = run('metrics', folder)
    assert status == 2
    assert 'has no checkpoint.pt' in errors


def test_nothing_is_told_of_classes_unless_asked(conditional, tmp_path):
    """Samples are of each class in turn; edits of one picture are of none."""
    outs = []
    for label in ([], ['--label', 'none'], ['--label', 7]):
        out = tmp_path / 'out.png'
        told = ['--steps', 4, '--from', 900, *label, '--out', out]
        status, _, errors = run('edit', conditional, *told)
        assert status == 0, errors
        outs.append(np.asarray(opened(out)))
    assert np.array_equal(outs[0], outs[1])
    assert not np.array_equal(outs[0], outs[2])


# ## Refused at the door


@pytest.mark.parametrize(
    ('told', 'message'),
    [
        (['edit', '--from', 1001], 'from=1001: it counts the steps of noise, from 0 to 1000'),
        (['edit', '--from', -1], 'from=-1: it counts the steps of noise'),
        (['edit', '--image', 1797], 'image 1797: digits has 0 to 1796'),
        (['edit', '--image', 'none.png'], 'none.png does not exist: give a number or file'),
        (['edit', '--n', 0], 'n_samples=0: ask for at least one'),
        (['inpaint'], 'image 0 has nothing transparent: say by --mask what to make anew'),
        (['inpaint', '--mask', 'none.png'], 'none.png does not exist: give a picture as the mask'),
        (['inpaint', '--mask', 'BLACK'], 'is white: there is nothing to make anew'),
        (['inpaint', '--image', 'BLACK'], 'is transparent, and there is no --mask'),
        (['inpaint', '--mask', 'LARGE'], 'has 9 × 8 pixels: need 8 × 8, so that it is clear'),
        (['inpaint', '--image', 'WIDE', '--mask', 'LARGE'], 'need 80 × 40 or 8 × 8, so that'),
        (['inpaint', '--mask', 'TEXT'], 'cannot be read as a picture'),
        (['inpaint', '--mask', 'WHITE', '--resamplings', 0], 'must be at least 1'),
        (['inpaint', '--mask', 'WHITE', '--jump', 0], 'must be at least 1'),
        (['inpaint', '--mask', 'WHITE', '--jump', 20], 'jump=20: the chain has 20 steps'),
        (['inpaint', '--mask', 'WHITE', '--separate'], '--separate writes many files'),
        (['inpaint', '--mask', 'WHITE', '--label', 3], 'this run was trained without labels'),
    ],
)
def test_what_will_not_do_is_said_and_nothing_is_written(trained, tmp_path, told, message):
    files = {
        'BLACK': saved(tmp_path / 'black.png', LOWER * 0),
        'WHITE': saved(tmp_path / 'white.png', LOWER * 0 + 255),
        'LARGE': saved(tmp_path / 'large.png', np.full((8, 9), 255, np.uint8)),
        'WIDE': saved(tmp_path / 'wide.png', np.zeros((40, 80), np.uint8)),
        'TEXT': tmp_path / 'text.png',
    }
    files['TEXT'].write_text('no picture')
    command, *others = (files.get(word, word) for word in told)
    before = sorted(trained.iterdir())
    out = [] if '--separate' in told else ['--out', tmp_path / 'out.png']
    status, _, errors = run(command, trained, *others, *out)
    assert status == 2
    assert message in errors
    assert not (tmp_path / 'out.png').exists()
    assert sorted(trained.iterdir()) == before


def test_the_nearest_step_is_that_of_the_sampler_that_was_asked_for(trained):
    sampler = Sampler.from_run(trained, device='cpu', steps=10)
    assert nearest_start(sampler.reverse, 430) == 4
