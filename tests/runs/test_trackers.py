"""Trackers: the real libraries, without an account, a network or a question; and bad ones."""

import contextlib
import http.server
import json
import os
import subprocess
import sys
import threading
import zipfile

import pytest
import torch

from labml_nn.cli.options import option_values
from labml_nn.diffusion.ddpm import experiment
from labml_nn.runs import checkpoint, trackers
from labml_nn.runs.labml_run import labml_run

TINY = ['--preset', 'tests', '--n_samples', '0', '--n_previews', '2']


def train(out, *arguments, **environment):
    """Train in a process of its own, with nobody to answer a question."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(('WANDB', 'COMET', 'labml'))}
    return subprocess.run(
        [sys.executable, '-m', 'labml_nn.diffusion.ddpm.experiment', *TINY, '--out', out,
         *arguments],
        capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
        env={**clean, **environment},
    )  # fmt: skip


class Server(http.server.BaseHTTPRequestHandler):
    """As much of a server as a run needs: it takes everything, or refuses everything."""

    got: list
    status = 200

    def do_POST(self):
        said = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        if self.status == 200:
            self.got.append(json.loads(said))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b'{"errors": [], "url": "x"}')

    do_GET = do_POST

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    kind = type('Server', (Server,), {'got': []})
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), kind) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield listening, kind.got
        listening.shutdown()


def log_of(out):
    return (out / 'log.csv').read_text().splitlines()[1:]


# ## The real ones


@pytest.fixture(scope='module')
def three(tmp_path_factory):
    """One run with three trackers at once, resumed once."""
    for name in ('tensorboard', 'wandb', 'comet_ml'):
        pytest.importorskip(name)
    out = tmp_path_factory.mktemp('runs') / 'three'
    first = train(out, '--track', 'tensorboard,wandb', 'comet', '--steps', '10')
    assert first.returncode == 0, first.stderr
    again = train(
        out, '--track', 'tensorboard', '--track', 'wandb,comet', '--resume', '--steps', '20'
    )
    assert again.returncode == 0, again.stderr
    return out, first


@pytest.mark.long
def test_nothing_but_one_line_each_is_said(three):
    _, first = three
    assert first.stderr == ''
    assert first.stdout.count('not logged in') == 2
    for noise in ('COMET', 'wandb: '):
        assert noise not in first.stdout


@pytest.mark.long
def test_tensorboard_reads_back_what_was_logged(three):
    out, _ = three
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(out / 'tensorboard'), size_guidance={'images': 0})
    events.Reload()
    rows = [row.split(',') for row in log_of(out)]
    loss = events.Scalars('loss')
    assert [e.step for e in loss] == [int(row[0]) for row in rows] == [5, 10, 15, 20]
    assert [e.value for e in loss] == pytest.approx([float(row[1]) for row in rows], rel=1e-4)
    assert [e.step for e in events.Images('samples')] == [1, 2, 5, 10, 20]
    # The picture is the grid that the run's folder has
    png = events.Images('samples')[-1].encoded_image_string
    from io import BytesIO

    from PIL import Image

    with Image.open(BytesIO(png)) as shown, Image.open(out / 'samples/step_0000020.png') as kept:
        assert shown.convert('L').tobytes() == kept.tobytes()
    text = events.Tensors('configuration/text_summary')[0].tensor_proto.string_val[0].decode()
    assert '| batch_size | 16 |' in text


@pytest.mark.long
def test_wandb_leaves_folders_to_be_uploaded(three):
    out, _ = three
    runs = sorted(out.glob('wandb/offline-run-*/run-*.wandb'))
    assert len(runs) == 2
    # The resumed run goes on under the same name
    assert len({path.name for path in runs}) == 1
    assert len(list(out.glob('wandb/offline-run-*/files/media/images/samples_*.png'))) == 5
    recorded = b''.join(path.read_bytes() for path in runs)
    for word in (b'grad_norm', b'ch_mults', b'learning_rate'):
        assert word in recorded


@pytest.mark.long
def test_comet_leaves_archives_to_be_uploaded(three):
    out, _ = three
    archives = sorted(out.glob('comet/*.zip'))
    assert len(archives) == 2
    losses, pictures, parameters = [], [], []
    for archive in archives:
        with zipfile.ZipFile(archive) as file:
            for line in file.read('messages.json').decode().splitlines():
                message = json.loads(line)
                payload = message['payload']
                if message['type'] == 'metric_msg':
                    metric = payload['metric']
                    if metric['metricName'] == 'loss':
                        losses.append((metric['step'], metric['metricValue']))
                elif 'samples_' in json.dumps(payload):
                    pictures.append(payload)
                elif message['type'] == 'parameter_msg':
                    parameters.append(payload)
    rows = [row.split(',') for row in log_of(out)]
    assert sorted(step for step, _ in losses) == [int(row[0]) for row in rows]
    assert sorted(v for _, v in losses) == pytest.approx(
        sorted(float(r[1]) for r in rows), rel=1e-4
    )
    assert len(pictures) == 5
    assert 'batch_size' in json.dumps(parameters)


@pytest.mark.long
def test_tracking_changes_nothing(three, tmp_path):
    """The weights are those of a run that nobody watched."""
    out, _ = three
    plain = train(tmp_path / 'plain', '--track', 'none')
    assert plain.returncode == 0, plain.stderr
    assert not (tmp_path / 'plain' / 'labml').exists()
    watched, alone = checkpoint.load(out)['model'], checkpoint.load(tmp_path / 'plain')['model']
    assert all(torch.equal(watched[name], alone[name]) for name in alone)


# Where nobody listens
NOWHERE = 'http://127.0.0.1:9'
KEYS = {
    'wandb': lambda url: {'WANDB_API_KEY': 'a' * 40, 'WANDB_BASE_URL': url},
    'comet': lambda url: {'COMET_API_KEY': 'a' * 25, 'COMET_URL_OVERRIDE': f'{url}/clientlib/'},
}
LEFT = {'wandb': 'wandb/offline-run-*/run-*.wandb', 'comet': 'comet/*.zip'}


def check_offline(out, name, done):
    assert done.returncode == 0, done.stderr
    assert done.stderr.count('\n') == done.stderr.count('warning:') == 1, done.stderr
    assert f'warning: {name} is offline' in done.stderr
    assert len(list(out.glob(LEFT[name]))) == 1
    assert len(log_of(out)) == 4


@pytest.mark.parametrize('name', ['wandb', 'comet'])
@pytest.mark.long
def test_a_network_that_is_missing_is_one_warning(tmp_path, name):
    pytest.importorskip('comet_ml' if name == 'comet' else name)
    done = train(tmp_path / 'run', '--track', name, **KEYS[name](NOWHERE))
    check_offline(tmp_path / 'run', name, done)


@pytest.mark.parametrize('name', ['wandb', 'comet'])
@pytest.mark.long
def test_a_server_that_refuses_the_key_is_one_warning(tmp_path, name, server):
    pytest.importorskip('comet_ml' if name == 'comet' else name)
    listening, _ = server
    listening.RequestHandlerClass.status = 401
    url = f'http://127.0.0.1:{listening.server_port}'
    done = train(tmp_path / 'run', '--track', name, **KEYS[name](url))
    check_offline(tmp_path / 'run', name, done)


@pytest.mark.parametrize(
    ('name', 'module'), [('tensorboard', 'tensorboard'), ('wandb', 'wandb'), ('comet', 'comet_ml')]
)
@pytest.mark.long
def test_a_package_that_is_missing_is_one_warning(tmp_path, name, module):
    (tmp_path / f'{module}.py').write_text(f'raise ModuleNotFoundError("No module named {module}")')
    path = os.pathsep.join([str(tmp_path), os.getcwd()])
    done = train(tmp_path / 'run', '--track', name, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count('\n') == 1, done.stderr
    assert f"pip install 'labml-nn[{name}]'" in done.stderr
    assert len(log_of(tmp_path / 'run')) == 4


# ## Trackers that raise


class Bad:
    """A tracker that raises at one of its three moments."""

    def __init__(self, moment, error):
        self.moment, self.error = moment, error

    @contextlib.contextmanager
    def __call__(self, out, configs, step):
        self.at('open')
        yield lambda *_: self.at('write')
        self.at('close')

    def at(self, moment):
        if moment == self.moment:
            raise self.error


@pytest.mark.parametrize('error', [RuntimeError('out of ink'), SystemExit(3), OSError(28, 'full')])
@pytest.mark.parametrize('moment', ['open', 'write', 'close'])
def test_a_tracker_that_raises_never_stops_a_run(tmp_path, monkeypatch, capsys, moment, error):
    seen = []

    @contextlib.contextmanager
    def good(out, configs, step):
        yield lambda at, numbers, pictures: seen.append((at, set(numbers), set(pictures)))

    monkeypatch.setitem(trackers.TRACKERS, 'wandb', Bad(moment, error))
    monkeypatch.setitem(trackers.TRACKERS, 'comet', good)
    status = experiment.main(
        [*TINY, '--out', str(tmp_path / 'run'), '--track', 'wandb,comet', '--log_every', '10']
    )
    printed = capsys.readouterr()
    assert status == 0
    assert checkpoint.load(tmp_path / 'run')['step'] == 20
    assert printed.err.count('warning: wandb') == 1
    # The other one has everything
    assert [at for at, numbers, _ in seen if 'loss' in numbers] == [10, 20]
    assert [at for at, _, pictures in seen if 'samples' in pictures] == [1, 2, 5, 10, 20]


def test_trackers_hear_of_a_run_that_failed(tmp_path, monkeypatch, capsys):
    heard = []

    @contextlib.contextmanager
    def listener(out, configs, step):
        try:
            yield lambda *_: None
        except ZeroDivisionError as error:
            heard.append(error)
            raise

    monkeypatch.setitem(trackers.TRACKERS, 'wandb', listener)
    c = experiment.make_configs({})
    with pytest.raises(ZeroDivisionError), trackers.tracked(['wandb'], tmp_path, c):
        raise ZeroDivisionError
    assert len(heard) == 1
    assert capsys.readouterr().err == ''


def test_ctrl_c_is_no_error_of_a_tracker(tmp_path, monkeypatch):
    monkeypatch.setitem(trackers.TRACKERS, 'wandb', Bad('write', KeyboardInterrupt()))
    c = experiment.make_configs({})
    with pytest.raises(KeyboardInterrupt), trackers.tracked(['wandb'], tmp_path, c) as track:
        track(1, {'loss': 1.0})


def test_an_unknown_tracker_is_found_at_the_door(tmp_path, capsys):
    assert experiment.main(['--out', str(tmp_path / 'run'), '--track', 'tensorbord']) == 2
    assert 'did you mean tensorboard?' in capsys.readouterr().err
    assert not (tmp_path / 'run').exists()


# ## labml's server


@pytest.mark.long
def test_labml_tells_the_server_that_is_named(tmp_path, server):
    listening, got = server
    done = train(tmp_path / 'run', labml_app_url=f'http://127.0.0.1:{listening.server_port}')
    assert done.returncode == 0, done.stderr
    said = json.dumps(got)
    for word in ('grad_norm', 'batch_size', 'completed'):
        assert word in said
    assert list((tmp_path / 'run').glob('labml/*/*/log.jsonl'))


@pytest.mark.long
def test_a_labml_server_that_is_gone_is_one_warning(tmp_path):
    done = train(tmp_path / 'run', labml_app_url='http://127.0.0.1:9')
    assert done.returncode == 0, done.stderr
    assert done.stderr.count('\n') == done.stderr.count('warning:') == 1, done.stderr
    assert list((tmp_path / 'run').glob('labml/*/*/log.jsonl'))


# ## The home folder


@pytest.mark.parametrize('own', ['none', 'a file', 'a folder'])
def test_labml_leaves_nothing_in_the_home_folder(tmp_path, monkeypatch, own):
    """Who has `~/.labml` uses labml's service, which finds its runs in there."""
    from labml.internal.computer import configs

    kept = tmp_path / 'home' / '.labml'
    kept.parent.mkdir()
    (tmp_path / 'run').mkdir()
    if own == 'a file':  # labml would delete it
        kept.write_text('mine')
    elif own == 'a folder':
        kept.mkdir()
    monkeypatch.setenv('HOME', str(kept.parent))
    monkeypatch.setenv('USERPROFILE', str(kept.parent))
    monkeypatch.setattr(configs, '_internal', None)
    c = experiment.make_configs({})
    with labml_run(tmp_path / 'run', c, 0) as track:
        track(1, {'loss': 1.0})
    assert list((tmp_path / 'run').glob('labml/*/*/run.yaml'))
    listed = [path.read_text() for path in kept.glob('projects/*.txt')]
    assert listed == ([str(tmp_path / 'run')] if own == 'a folder' else [])
    if own == 'a file':
        assert kept.read_text() == 'mine'
    assert kept.exists() == (own != 'none')


def test_the_trackers_are_an_option_like_the_others():
    given = vars(experiment.parser().parse(['--track', 'labml', 'wandb', '--track', 'comet']))
    assert given['track'] == ('labml', 'wandb', 'comet')
    assert option_values(experiment.make_configs({}))['track'] == ('labml',)
