"""The notebooks: they are what their text form says, and they run from top to bottom."""

import base64
import importlib.metadata
import importlib.util
import json
import os
import re
import sys
import time
from pathlib import Path

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.pretrained import save_pretrained
from labml_nn.diffusion.ddpm.unet import UNet
from labml_nn.runs import checkpoint

pytest.importorskip('jupytext')
pytest.importorskip('nbclient')
pytestmark = pytest.mark.filterwarnings('ignore')
ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / 'notebooks'


@pytest.fixture
def builder():
    spec = importlib.util.spec_from_file_location('build', NOTEBOOKS / 'build.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cells(text):
    """What a notebook says, without metadata and outputs."""
    return [(cell['cell_type'], ''.join(cell['source'])) for cell in json.loads(text)['cells']]


@pytest.mark.parametrize('name', ['ddpm', 'pretrained'])
def test_a_notebook_is_what_its_text_form_says(builder, name):
    committed = (NOTEBOOKS / f'{name}.ipynb').read_text(encoding='utf-8')
    assert cells(committed) == cells(builder.build(NOTEBOOKS / f'{name}.py')), 'make notebooks'
    for cell in json.loads(committed)['cells']:
        assert not cell.get('outputs')


@pytest.mark.parametrize('name', ['ddpm', 'pretrained'])
def test_pictures_are_in_the_notebook(name):
    """As they are in the repository: on Colab there are no files beside a notebook."""
    text = (NOTEBOOKS / f'{name}.ipynb').read_text(encoding='utf-8')
    shown, known = [], {p.read_bytes() for p in (ROOT / 'docs' / 'images').glob('*.png')}
    for cell in json.loads(text)['cells']:
        source, held = ''.join(cell['source']), cell.get('attachments', {})
        named = re.findall(r'\]\(attachment:([^)]+)\)', source)
        assert sorted(named) == sorted(held)
        assert not re.search(r'!\[[^\]]*\]\((?!attachment:|https:)', source)
        shown += named
        for picture in held.values():
            assert base64.b64decode(picture['image/png']) in known
    assert shown == (['garments_training.png', 'emoji.png'] if name == 'ddpm' else [])


def test_the_address_of_the_repository_stands_in_one_place(builder, monkeypatch):
    from labml_nn.pylit.config import Config

    for repository in ('', 'https://github.com/somebody/diffusion'):
        config = Config(ROOT, repository=repository)
        monkeypatch.setattr(builder, 'load', lambda _, c=config: c)
        text = builder.build(NOTEBOOKS / 'ddpm.py')
        assert ('Open in Colab' in text) == bool(repository)
        assert ('git+https://github.com/somebody/diffusion' in text) == bool(repository)
    target = 'github/somebody/diffusion/blob/main/notebooks/ddpm.ipynb'
    assert target in builder.badge('ddpm')


def execute(name, folder, replace=(), until=None):
    """Run a notebook in `folder`, up to a heading; what it printed, showed, and the seconds."""
    import nbformat
    from nbclient import NotebookClient

    text = (NOTEBOOKS / f'{name}.ipynb').read_text(encoding='utf-8')
    for old, new in replace:
        assert old in text
        text = text.replace(old, new)
    notebook = nbformat.reads(text, as_version=4)
    texts = [cell.source for cell in notebook.cells]
    end = next((i for i, text in enumerate(texts) if until and text.startswith(until)), None)
    notebook.cells = notebook.cells[:end]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])])
    client = NotebookClient(
        notebook, timeout=600, kernel_name='python3', resources={'metadata': {'path': str(folder)}}
    )
    began = time.monotonic()
    client.execute(env={**os.environ, 'PYTHONPATH': path})
    outputs = [o for cell in notebook.cells if cell.cell_type == 'code' for o in cell.outputs]
    printed = ''.join(o.text for o in outputs if o.output_type == 'stream')
    pictures = [o for o in outputs if 'image/png' in o.get('data', {})]
    return printed, pictures, time.monotonic() - began


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder, and a kernel that is this Python."""
    spec = {'argv': [sys.executable, '-m', 'ipykernel_launcher', '-f', '{connection_file}'],
            'display_name': 'Python 3', 'language': 'python'}  # fmt: skip
    kernel = tmp_path / 'jupyter' / 'kernels' / 'python3'
    kernel.mkdir(parents=True)
    (kernel / 'kernel.json').write_text(json.dumps(spec))
    monkeypatch.setenv('JUPYTER_PATH', str(tmp_path / 'jupyter'))
    return tmp_path


# Where the steps stand in the text form
TENTH = [('(900, 400)', '(90, 40)'), ("'600', '--cooldown', '300'", "'60', '--cooldown', '30'")]


@pytest.mark.long
def test_it_trains_samples_and_goes_on_when_it_is_run_again(here):
    """Every cell; of the training steps a tenth, and all of them in `make notebooks-check`."""
    replace = [] if os.environ.get('WHOLE_NOTEBOOKS') else TENTH
    printed, pictures, seconds = execute('ddpm', here, replace)
    assert 'done in' in printed
    assert 'error' not in printed.lower()
    # The forward process, the loss, the previews, 64 samples, the chain, the rows between, samplers
    previews = len(list(here.glob('runs/notebook_digits/samples/*.png')))
    # and guided ones
    assert len(pictures) == 1 + 1 + previews + 3 + 6 + 4
    print(f'executed in {seconds:.0f} s')
    done = checkpoint.load(here / 'runs/notebook_digits')['step']
    longer = [(f'({done}, ', f'({done + 10}, ')]
    again, _, _ = execute('ddpm', here, [*replace, *longer], until='## Sample')
    assert 'new run in' not in again
    assert f'{done + 10:,}/{done + 10:,}' in again
    log = (here / 'runs/notebook_digits/log.csv').read_text()
    assert log.count(f'\n{done + 10},') == 1


@pytest.mark.long
def test_published_weights_from_the_cache_of_the_hub(here, monkeypatch):
    """The name in the notebook is that on the hub; a small model stands in for it."""
    pytest.importorskip('huggingface_hub')
    cached = here / 'hub' / 'models--google--ddpm-cifar10-32'
    torch.manual_seed(0)
    unet = UNet(3, 32, (1, 2), (False, True), 1)
    (cached / 'snapshots').mkdir(parents=True)
    save_pretrained(cached / 'snapshots' / ('0' * 40), DenoiseDiffusion(unet, 1000), 8)
    (cached / 'refs').mkdir()
    (cached / 'refs' / 'main').write_text('0' * 40)
    monkeypatch.setenv('HF_HUB_CACHE', str(here / 'hub'))
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    printed, pictures, _ = execute('pretrained', here, [('= 16, 20, 250', '= 6, 3, 4')])
    assert 'UNet of' in printed
    assert len(pictures) == 2


def test_installing_holds_what_is_there():
    """The constraints name the installed torch, so pip cannot exchange it."""
    source = (NOTEBOOKS / 'ddpm.py').read_text(encoding='utf-8')
    start = source.index('def held'), source.index('if importlib.util')
    scope = {}
    exec('import contextlib, importlib.metadata\n' + source[slice(*start)], scope)
    lines = list(scope['held']('torch', 'no-such-package'))
    assert lines == [f'torch=={importlib.metadata.version("torch")}\n']
