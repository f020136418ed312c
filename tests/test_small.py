"""Devices, messages, pictures, progress and the log."""

import io
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from labml_nn.cli.messages import nearest
from labml_nn.cli.progress import Progress, clock
from labml_nn.compute.device import available, describe, pick_device
from labml_nn.data import pictures
from labml_nn.runs import log
from labml_nn.runs.signals import STOPPING, Stop

# ## Devices


def test_a_device_by_name():
    assert pick_device('cpu') == torch.device('cpu')
    assert available()[-1] == 'cpu'
    assert str(pick_device('auto')).split(':')[0] in available()
    assert describe(torch.device('cpu')) == 'cpu (1 thread)'


@pytest.mark.parametrize('name', ['gpu', 'cuda:99', 'xla'])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(ValueError, match=rf"device='{name}' is not .*'cpu'"):
        pick_device(name)


def test_apples_gpu_is_picked_when_there_is_no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: True)
    assert pick_device('auto').type == 'mps'
    assert pick_device('mps').type == 'mps'


# ## Messages


def test_the_nearest_name():
    assert nearest('smaple', ['sample', 'animate'], 'command') == (
        'there is no command smaple: did you mean sample? (there is sample, animate)'
    )
    assert 'did you mean' not in nearest('qqq', ['sample'], 'command')


# ## Pictures


def test_bytes_and_back():
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(pictures.to_uint8(levels.float() / 127.5 - 1), levels)
    assert pictures.to_uint8(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_what_is_no_number_is_not_saved_as_black(bad):
    with pytest.raises(ValueError, match='hold NaN or infinity'):
        pictures.grid(torch.tensor([[[[0.0, bad]]]]))


@pytest.mark.parametrize(
    ('n', 'columns', 'rows'), [(1, 1, 1), (2, 2, 1), (4, 2, 2), (5, 3, 2), (9, 3, 3), (10, 4, 3)]
)
def test_a_grid_is_as_near_to_a_square_as_can_be(n, columns, rows):
    grid = pictures.grid(torch.zeros(n, 1, 80, 80))
    assert list(grid.shape) == [1, rows * 82 + 2, columns * 82 + 2]


@pytest.mark.parametrize('channels', [1, 3])
def test_a_grid_shows_every_image_in_order(tmp_path, channels):
    values = torch.linspace(-1, 1, 5)[:, None, None, None].expand(5, channels, 80, 80)
    path = pictures.save_png(tmp_path / 'g.png', pictures.grid(values, 2), {'seed': 3})
    with Image.open(path) as picture:
        assert picture.size == (2 * 82 + 2, 3 * 82 + 2)
        assert picture.text == {'seed': '3'}
        centres = [(82 * (i % 2) + 42, 82 * (i // 2) + 42) for i in range(5)]
        shown = [picture.convert('L').getpixel(c) for c in centres]
    assert shown == pictures.to_uint8(values[:, 0, 0, 0]).tolist()


def test_a_picture_is_written_all_or_not_at_all(tmp_path, monkeypatch):
    pixels = torch.zeros(1, 4, 4, dtype=torch.uint8)
    pictures.save_png(tmp_path / 'a.png', pixels)
    before = (tmp_path / 'a.png').read_bytes()

    def full(self, file, **_):
        file.write_bytes(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(Image.Image, 'save', full)
    with pytest.raises(OSError, match='No space'):
        pictures.save_png(tmp_path / 'a.png', pixels + 1)
    assert (tmp_path / 'a.png').read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ['a.png']


def test_an_animation_lasts_as_long_as_asked(tmp_path):
    frames = [torch.full((1, 8, 8), 20 * i, dtype=torch.uint8) for i in range(8)]
    with Image.open(pictures.save_animation(tmp_path / 'a.gif', frames, seconds=2)) as gif:
        durations = []
        for i in range(gif.n_frames):
            gif.seek(i)
            durations.append(gif.info['duration'])
    assert durations == [250] * 7 + [1250]
    with pytest.raises(ValueError, match='at least one frame'):
        pictures.save_animation(tmp_path / 'b.gif', [])
    with pytest.raises(ValueError, match='written as .gif or .mp4'):
        pictures.save_animation(tmp_path / 'b.webm', frames)


# ## Progress


def test_in_a_file_lines_are_few_and_plain():
    file = io.StringIO()
    bar = Progress(1000, file=file)
    for i in range(1, 1001):
        bar.update(i, 'loss 0.1')
    bar.close()
    (line,) = file.getvalue().splitlines()
    assert '100%' in line
    assert '1,000/1,000' in line
    assert 'loss 0.1' in line
    assert '\r' not in line


def test_on_a_terminal_one_line_is_rewritten():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    file = Terminal()
    bar = Progress(2, file=file)
    bar.printed -= 1
    bar.update(1, 'a long note that has to go')
    bar.update(2)
    bar.close()
    first, second = file.getvalue().split('\r')[1:]
    assert len(second.rstrip('\n')) >= len(first)
    assert file.getvalue().endswith('\n')


def test_the_estimate_counts_only_the_steps_of_this_run():
    bar = Progress(100, start=50)
    assert '10 s' not in bar.line(60, 10, '')
    assert '1.0 steps/s' in bar.line(60, 10, '')
    assert '0:40 left' in bar.line(60, 10, '')
    assert '10.0 s/step' in bar.line(51, 10, '')


@pytest.mark.parametrize(
    ('seconds', 'text'),
    [(0, '0:00'), (59.6, '1:00'), (3599, '59:59'), (3600, '1:00:00'), (90061, '1 d 1:01:01')],
)
def test_clock(seconds, text):
    assert clock(seconds) == text


# ## The log


def test_processes_that_log_together_count_each_step_once_and_all_images():
    from labml_nn.runs.log import Window

    t, whole = torch.tensor([0, 300, 600, 999]), Window(1000)
    parts, errors, norm = [Window(1000), Window(1000)], torch.rand(4), torch.tensor(2.0)
    for good in (True, True, False):
        told = torch.tensor(0.5), norm, torch.tensor(good)
        whole.add(told[0], t, errors, *told[1:])
        for part, of in zip(parts, (slice(0, 2), slice(2, 4)), strict=True):
            part.add(told[0], t[of], errors[of], *told[1:])
    expected = whole.row(whole.sums, 4)
    together = parts[0].row(parts[0].sums + parts[1].sums, 4, 2)
    assert expected['skipped'] == 1
    same = [k for k in expected if k not in ('images_per_second', 'data_wait')]
    assert [together[k] for k in same] == pytest.approx([expected[k] for k in same])
    # One or three go on where two have stopped
    states = [part.state() for part in parts]
    for n in (1, 3):
        heirs = [Window(1000) for _ in range(n)]
        for i, heir in enumerate(heirs):
            heir.restore(Window.handed_over(states, is_first=i == 0))
        row = heirs[0].row(sum(heir.sums for heir in heirs), 4, n)
        assert [row[k] for k in same] == pytest.approx([expected[k] for k in same])


def test_rows_are_read_back(tmp_path):
    path = tmp_path / 'log.csv'
    for step in (1, 2, 3):
        log.append_row(path, {'step': step, 'loss': 1 / step})
    log.cut_log(path, lambda step: step <= 2, ['step', 'loss'])
    columns = log.read_log(path)
    assert columns['step'].tolist() == [1, 2]
    np.testing.assert_allclose(columns['loss'], [1, 0.5], rtol=1e-5)


def test_an_unfinished_row_is_dropped_and_an_older_log_gets_the_new_columns(tmp_path):
    path = tmp_path / 'log.csv'
    # Killed while it wrote row 120: what is there looks like one of step 12
    path.write_text('step,loss\n1,0.5\n2,0.25\n12')
    log.cut_log(path, lambda step: True, ['step', 'loss', 'skipped'])
    assert path.read_text() == 'step,loss,skipped\n1,0.5,nan\n2,0.25,nan\n'
    path.write_text('step,lo')
    log.cut_log(path, lambda step: True, ['step', 'loss'])
    assert path.read_text() == 'step,loss\n'
    log.append_row(path, {'step': 1, 'loss': 1.0})
    assert log.read_log(path)['step'].tolist() == [1]


def test_smoothing_keeps_a_straight_line_and_its_beginning():
    line = np.linspace(3, 7, 20)
    found = log.smoothed(line)
    np.testing.assert_allclose(found[:-4], line[:-4])
    np.testing.assert_allclose(found[-1], line[-5:].mean())
    assert log.smoothed(np.array([5.0])).tolist() == [5.0]
    # A row that is the mean of no step at all, as the loss was no number
    gap = log.smoothed(np.array([1.0, np.nan, 1.0, 1.0]))
    np.testing.assert_allclose(gap, 1)


def test_the_curve_does_not_end_in_noise():
    """One odd row at the end moves the curve by its share; one of a single step is left out."""
    step, loss = np.arange(25, 1001, 25.0), np.full(40, 0.1)
    loss[-1] = 0.01
    assert log.smoothed(loss)[-1] == pytest.approx(0.1 - 0.09 / 5)
    for last, kept in ((1001.0, 40), (1012.0, 40), (1013.0, 41)):
        steps, losses, each = log.whole_rows(np.append(step, last), np.append(loss, 0.0))
        assert len(steps) == len(losses) == len(each) == kept
    steps, losses, each = log.whole_rows(np.append(step, 1015.0), np.append(loss, 0.0))
    assert each.tolist() == [25.0] * 40 + [15.0]
    # Weighted by the steps that a row is the mean of
    end = (3 * 25 * 0.1 + 25 * 0.01) / (4 * 25 + 15)
    assert log.smoothed(losses, each)[-1] == pytest.approx(end)


@pytest.mark.parametrize(('side', 'shown'), [(8, 64), (16, 64), (28, 84), (32, 64), (64, 64)])
def test_small_pictures_are_enlarged_by_a_whole_factor(side, shown):
    x = torch.rand(2, 1, side, side) * 2 - 1
    whole = pictures.grid(x, 2)
    assert whole.shape == (1, shown + 4, 2 * shown + 6)
    factor = shown // side
    assert torch.equal(whole[:, 2 : 2 + shown : factor, 2 : 2 + shown : factor],
                       pictures.to_uint8(x)[0])  # fmt: skip


@pytest.mark.parametrize('rows', [0, 1, 2, 40])
def test_the_curve_is_drawn_for_any_number_of_rows(tmp_path, rows):
    for step in range(1, rows + 1):
        log.append_row(tmp_path / 'log.csv', {'step': step, 'loss': 1 / step})
    log.plot_loss(tmp_path / 'log.csv', tmp_path / 'loss.png')
    assert (tmp_path / 'loss.png').exists() == bool(rows)


@pytest.mark.parametrize(
    'text',
    [
        '',
        '\n',
        '1,1\n2,1\n',
        'step,loss\n1,1\na note\n',
        'step,loss\n1,1\na note, with a comma\n',
        'step,loss\n1,1\n2,1,0.5\n3,1\n',
        'step,loss\n1,1\n2\n3,1\n',
        'step,loss\n1,1\n\n2,1\n',
        'step,loss\n1,"1"\n',
        'step,loss\n1,much\n',
        'step,loss\n2,1\n1,1\n',
        'step,loss\n1,1\n1,1\n',
        'step;loss\n1;1\n',
        '\ufeffstep,loss\n1,1\n',
        'steps,loss\n1,1\n',
        'step,Loss\n1,1\n',
        'step,loss,remark\n1,1,2\n',
        'step,loss,loss\n1,1,2\n',
        'step,loss\n1,\ud800\n',
        'step,loss\n1,\0\n',
    ],
)
@pytest.mark.parametrize('resuming', [False, True])
def test_an_edited_log_is_put_aside(tmp_path, capsys, text, resuming):
    """Whatever was done to it: not a line of it is lost, and somebody is told."""
    path = tmp_path / 'log.csv'
    path.write_text(text, encoding='utf-8', errors='surrogatepass')
    before = path.read_bytes()
    if resuming:
        log.cut_log(path, lambda step: True, ['step', 'loss'])
        assert not path.exists()
    elif text:
        log.plot_loss(path, tmp_path / 'loss.png')
    log.append_row(path, {'step': 2, 'loss': 0.5})
    assert (tmp_path / 'log.aside1.csv').read_bytes() == before
    assert 'it is now log.aside1.csv' in capsys.readouterr().err
    assert path.read_text() == 'step,loss\n2,0.5\n'
    assert sorted(p.name for p in tmp_path.iterdir()) == ['log.aside1.csv', 'log.csv']


@pytest.mark.parametrize('make', [Path.mkdir, os.mkfifo], ids=['folder', 'pipe'])
def test_what_is_no_file_is_no_log(tmp_path, capsys, make):
    path = tmp_path / 'log.csv'
    for way in (
        lambda: log.cut_log(path, lambda step: True, ['step', 'loss']),
        lambda: log.plot_loss(path, tmp_path / 'loss.png'),
        lambda: log.append_row(path, {'step': 2, 'loss': 0.5}),
    ):
        make(path)
        way()
        assert 'it is now log.aside' in capsys.readouterr().err
    assert path.read_text() == 'step,loss\n2,0.5\n'


@pytest.mark.parametrize('text', ['step,loss', 'step,l', 'step,loss\n', 'step,loss\n1,0.5\n2,'])
def test_what_a_killed_process_leaves_is_not_edited(tmp_path, capsys, text):
    path = tmp_path / 'log.csv'
    path.write_text(text)
    log.cut_log(path, lambda step: True, ['step', 'loss'])
    assert path.read_text() == 'step,loss\n' + '1,0.5\n' * ('1' in text)
    assert capsys.readouterr().err == ''


# ## Signals


@pytest.mark.parametrize('number', STOPPING, ids=lambda n: n.name)
def test_a_signal_is_noted_and_its_handler_comes_back(number):
    before, stop = signal.getsignal(number), Stop()
    with stop.listening():
        os.kill(os.getpid(), number)
        assert stop.number == number
    assert signal.getsignal(number) == before


def test_a_second_ctrl_c_stops_now():
    stop = Stop()
    with stop.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert stop.number == signal.SIGTERM


@pytest.mark.parametrize('number', [signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1])
def test_what_is_ignored_stays_so(number):
    """Under nohup a closed terminal is no reason to stop."""
    before, stop = signal.signal(number, signal.SIG_IGN), Stop()
    try:
        with stop.listening():
            os.kill(os.getpid(), number)
            assert stop.number == 0
        assert signal.getsignal(number) == signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_the_old_names_of_modules_are_the_modules():
    from labml_nn.helpers.datasets import load_dataset

    from labml_nn import helpers
    from labml_nn.data import datasets
    from labml_nn.helpers import checkpoint as old
    from labml_nn.runs import checkpoint

    assert old is checkpoint
    assert load_dataset is datasets.load_dataset
    assert sum(map(len, helpers.MOVED.values())) == 20
