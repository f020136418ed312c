"""Output: any encoding, readers that go away, streams that are closed, and Ctrl-C at the start."""

import io
import os
import shlex
import subprocess
import sys
from functools import partial

import pytest

from labml_nn import doctor
from labml_nn.cli.output import ForgivingStream, NullStream, command, writable
from labml_nn.cli.progress import Progress
from labml_nn.diffusion.ddpm import evaluate, experiment
from labml_nn.pylit import __main__ as pylit
from labml_nn.runs import checkpoint
from labml_nn.runs import run as running
from tests.kit.runs import called

TINY = ['--preset', 'tests', '--steps', '2', '--n_samples', '0', '--track', 'none']
train = partial(called, experiment.main)
sample = partial(called, evaluate.main)

# A training and a sample, as two commands would do them: `torch` is imported once
WORK = """
import sys
from labml_nn.diffusion.ddpm import evaluate, experiment
out, *options = sys.argv[1:]
trained = experiment.main([*options, '--out', out])
sys.exit(trained or evaluate.main(['sample', out, '--n', '1', '--steps', '2']))
"""


def work(out, *shell, **options):
    """The work in a child process; `shell` may redirect its streams."""
    command = [sys.executable, '-c', WORK, str(out), *TINY]
    if shell:
        command = ['sh', '-c', f'exec "$@" {" ".join(shell)}', 'sh', *command]
    return subprocess.run(command, timeout=300, check=False, **options)


def done(out):
    """Whether the work in the folder was done to its end."""
    return checkpoint.load(out)['step'] == 2 and len(list(out.glob('sample_*.png'))) == 1


@pytest.mark.parametrize(
    'encoding', ['ascii', 'cp1252', pytest.param('cp932', marks=pytest.mark.long)]
)
def test_work_is_done_in_any_encoding(tmp_path, encoding):
    around = {**os.environ, 'PYTHONIOENCODING': encoding}
    ran = work(tmp_path / 'run é', capture_output=True, env=around)
    said = ran.stdout.decode(encoding)
    assert ran.returncode == 0, ran.stderr
    assert done(tmp_path / 'run é')
    assert f'images  1,797 of digits, {writable("8×8×1", encoding)}' in said
    assert '######' in said


@pytest.mark.parametrize(
    'gone',
    [
        'pipes',
        pytest.param('>&-', marks=pytest.mark.long),
        '>&- 2>&-',
        pytest.param('>/dev/full', marks=pytest.mark.long),
    ],
)
def test_work_goes_on_when_nobody_reads(tmp_path, gone):
    if gone == '>/dev/full' and not os.path.exists('/dev/full'):
        pytest.skip('no such device here')
    if gone.startswith('>'):
        ran = work(tmp_path / 'run', gone, stderr=subprocess.PIPE)
    else:
        reads, writes = os.pipe()
        os.close(reads)
        ran = work(tmp_path / 'run', stdout=writes, stderr=writes)
        os.close(writes)
    assert (ran.returncode, ran.stderr or b'') == (0, b'')
    assert done(tmp_path / 'run')


@pytest.mark.parametrize(
    ('encoding', 'shown'),
    [
        ('utf-8', '█ 8×8 → 日本'),
        ('cp1252', '# 8×8 -> \\u65e5\\u672c'),
        ('cp932', '# 8×8 → 日本'),
        ('ascii', '# 8x8 -> \\u65e5\\u672c'),
        (None, '█ 8×8 → 日本'),
    ],
)
def test_only_what_cannot_be_written_is_replaced(encoding, shown):
    assert writable('█ 8×8 → 日本', encoding) == shown
    # A name of a file that is not UTF-8
    assert writable('\udcff', encoding) == '\\udcff'


def test_a_bar_outside_of_a_command_takes_any_encoding():
    file = io.TextIOWrapper(io.BytesIO(), encoding='ascii')
    Progress(1, file=file).update(1)
    file.flush()
    assert file.buffer.getvalue().startswith(b'#' * 24 + b' 100%')


@pytest.mark.parametrize('start', ['closed', 'none'])
def test_a_stream_that_is_closed_or_missing(start):
    stream = io.StringIO()
    stream.close()
    ours = ForgivingStream(stream if start == 'closed' else None)
    print('text', file=ours, flush=True)
    ours.writelines(['a', 'b'])
    ours.settle()
    assert start == 'closed' or (isinstance(ours.stream, NullStream) and not ours.isatty())


def test_a_full_disk_takes_text_again_when_it_has_room():
    class Disk(io.StringIO):
        full = True

        def write(self, text):
            if self.full:
                raise OSError(28, 'No space left on device')
            return super().write(text)

    disk = Disk()
    ours = ForgivingStream(disk)
    ours.write('lost')
    disk.full = False
    ours.write('kept')
    assert disk.getvalue() == 'kept'


def test_the_streams_are_those_of_before_afterwards(capsys):
    before = sys.stdout, sys.stderr

    @command
    def fails():
        assert isinstance(sys.stdout, ForgivingStream)
        assert isinstance(sys.stderr, ForgivingStream)
        print('said')
        raise LookupError

    with pytest.raises(LookupError):
        fails()
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr().out == 'said\n'


@pytest.mark.parametrize('main', [experiment.main, evaluate.main, doctor.conclude, pylit.main])
def test_every_command_goes_this_way(main):
    assert main.__wrapped__
    assert main.__code__ is command(print).__code__


# ## Ctrl-C


@pytest.mark.parametrize('place', ['data_of', 'World', 'Trainer', 'Trainer.save'])
def test_ctrl_c_before_the_first_step(tmp_path, monkeypatch, place):
    def pressed(*_, **__):
        raise KeyboardInterrupt

    owner, _, name = place.rpartition('.')
    monkeypatch.setattr(getattr(experiment, owner) if owner else experiment, name, pressed)
    status, _, errors = train(*TINY, '--out', tmp_path / 'run')
    assert status == 130
    assert errors == '\ngiven up before the first step\n'
    assert not (tmp_path / 'run').exists()


def test_ctrl_c_anywhere_in_a_command():
    @command
    def pressed():
        raise KeyboardInterrupt

    assert called(lambda _: pressed()) == (130, '', '\ngiven up\n')


@pytest.mark.parametrize('name', ['diffusion.ddpm.experiment', 'diffusion.ddpm.evaluate', 'doctor'])
@pytest.mark.parametrize('error', [KeyboardInterrupt, LookupError])
def test_ctrl_c_while_a_command_is_imported(tmp_path, name, error):
    """It comes while something is imported that takes a while: torch, or what the doctor needs."""
    (tmp_path / ('tempfile.py' if name == 'doctor' else 'torch.py')).write_text(
        f'raise {error.__name__}("pressed")'
    )
    path = os.pathsep.join([str(tmp_path), os.getcwd()])
    done = subprocess.run(
        [sys.executable, '-m', f'labml_nn.{name}'],
        capture_output=True, text=True, check=False, env={**os.environ, 'PYTHONPATH': path},
    )  # fmt: skip
    if error is KeyboardInterrupt:
        assert (done.returncode, done.stdout, done.stderr) == (130, '', '\ngiven up\n')
    else:
        assert done.returncode == 1
        assert 'Traceback' in done.stderr
        assert 'LookupError: pressed' in done.stderr


def test_programs_that_import_us_keep_their_way_of_ending():
    code = 'import sys, labml_nn; sys.exit(sys.excepthook is not sys.__excepthook__)'
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0


# ## What is printed to be pasted


def test_printed_commands_can_be_pasted(tmp_path):
    out = tmp_path / "my first run's"
    _, said, _ = train(*TINY, '--out', out, '--steps', 1)
    lines = [shlex.split(line) for line in said.splitlines() if ' python -m ' in line]
    assert [line for line in lines if str(out) in line] == [
        line for line in lines if line[0] in ('sample', 'resume')
    ]
    command = next(line for line in lines if line[0] == 'sample')
    assert sample(*command[command.index('sample', 1) :], '--n', 1, '--steps', 2)[0] == 0


# ## What the system refuses


@pytest.mark.parametrize(
    ('number', 'advice'),
    [
        (28, 'is the disk full? Make room and go on with --resume'),
        (32, 'see to that and go on with --resume'),
    ],
)
def test_a_disk_is_called_full_where_it_is(tmp_path, monkeypatch, number, advice):
    def refused(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(experiment.Trainer, 'log', refused)
    status, _, errors = train(*TINY, '--log_every', 1, '--out', tmp_path / 'run')
    assert status == 1
    assert f'{os.strerror(number)}: {advice}' in errors
    assert 'saved step ' in errors


def test_a_folder_that_was_removed_is_called_so(tmp_path, monkeypatch):
    out = tmp_path / 'run'

    def removed(path, row):
        out.rename(tmp_path / 'elsewhere')
        raise FileNotFoundError(2, 'No such file or directory', str(path))

    monkeypatch.setattr(running, 'append_row', removed)
    status, _, errors = train(*TINY, '--log_every', 1, '--out', out)
    assert status == 1
    assert 'the folder of the run is gone' in errors
    assert 'disk full' not in errors
    assert f'no checkpoint is left in {out}' in errors
