"""torchvision, imported where it can be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import labml_nn
from tests.kit.close import record

PACKAGE = Path(labml_nn.__file__).parent


def test_only_vision_imports_torchvision():
    pages = [p for p in PACKAGE.rglob('*.py') if p != PACKAGE / 'data' / 'vision.py']
    record('files that do not import it', len(pages))
    for path in pages:
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ''] if isinstance(node, ast.ImportFrom) else []
            assert not any(n.split('.')[0] == 'torchvision' for n in names), path


def python(code, **options):
    return subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=False, **options
    )


def test_it_loads_with_data_sets_transforms_and_utils():
    done = python(
        'from labml_nn.data.vision import vision\n'
        'v = vision()\n'
        'v.datasets.CIFAR10, v.transforms.v2.functional.resize, v.utils.make_grid\n'
        'assert vision() is v'
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('first', ['import labml_nn.data.vision as v; v.vision()', ''])
@pytest.mark.long
def test_a_torch_without_the_operators_is_helped(first):
    """Where the plain import dies of the missing operator, ours does not; also the second time."""
    plain = python('import torchvision')
    if 'nms does not exist' not in plain.stderr:
        pytest.skip('the torchvision here fits its torch')
    code = f'{first}\nfrom labml_nn.data.vision import *\nvision.cache_clear()\nvision()'
    done = python(code)
    assert done.returncode == 0, done.stderr


def test_a_missing_torchvision_says_what_works_without_it():
    done = python(
        'import sys; sys.modules["torchvision"] = None\n'
        'from labml_nn.data.vision import vision\n'
        'try: vision()\n'
        'except ImportError as e: print(e)'
    )
    assert 'pip install torchvision' in done.stdout, done.stderr
    assert 'samplers work without it' in done.stdout


def test_a_torchvision_that_breaks_says_to_install_both_again(tmp_path):
    (tmp_path / 'torchvision').mkdir()
    (tmp_path / 'torchvision' / '__init__.py').write_text('raise RuntimeError("of another torch")')
    done = python(
        f'import sys; sys.path.insert(0, {str(tmp_path)!r})\n'
        'from labml_nn.data.vision import vision\n'
        'try: vision()\n'
        'except ImportError as e: print(e)'
    )
    assert 'does not fit torch' in done.stdout, done.stderr
    assert 'of another torch' in done.stdout


# What a compiled half does when it is loaded, which the system does once in a process.
# Registering what is declared ends the process, as in C++
REGISTERS = """
import os, torch
for name in () if hasattr(torch, 'half_loaded') else {names}:
    if hasattr(torch.ops.torchvision, name):
        os.abort()
    torch.library.define(f'torchvision::{{name}}', '(Tensor a, Tensor b, float c) -> Tensor')
torch.half_loaded = True
"""
MENTIONS = "torch.library.register_fake('torchvision::{0}')(lambda *a: a[0])\n"
KINDS = {
    'registers both': (REGISTERS.format(names=['nms', 'qnms']), MENTIONS, ['nms', 'qnms']),
    'registers one': (REGISTERS.format(names=['nms']), MENTIONS, ['qnms']),
    'does not load': ('raise OSError("undefined symbol")', MENTIONS, ['nms', 'qnms']),
    'is missing': (None, MENTIONS, ['nms', 'qnms']),
    'another operator': ('raise OSError("undefined symbol")', MENTIONS, ['nms', 'other']),
    'by attribute': (None, 'torch.ops.torchvision.{0}\n', ['nms', 'other']),
    'mentions none': (None, '', []),
}


def made_up(folder, half, mention, names, called):
    """A torchvision whose Python half loads the compiled one first, then mentions operators."""
    package = folder / 'torchvision'
    for name in ('', 'datasets', 'transforms', 'transforms/v2', 'utils'):
        (package / name).mkdir(parents=True, exist_ok=True)
        (package / name / '__init__.py').write_text('')
    if half is not None:
        (package / f'{called}.py').write_text(half)
    (package / '__init__.py').write_text(
        f'import torch\ntry:\n    from . import {called}\n'
        'except (ImportError, OSError):\n    pass\n' + ''.join(mention.format(n) for n in names)
    )


@pytest.mark.parametrize(
    ('kind', 'called'),
    [*((kind, '_C') for kind in KINDS), *(('registers both', c) for c in ('_C_stable', 'other'))],
)
def test_each_kind_of_torchvision_is_imported(tmp_path, kind, called):
    made_up(tmp_path, *KINDS[kind], called)
    done = python(
        f'import sys; sys.path.insert(0, {str(tmp_path)!r})\n'
        'from labml_nn.data.vision import vision\n'
        'assert vision().__file__.startswith(sys.path[0])\n'
        'assert vision().transforms.v2 and vision() is vision()'
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    'absent', ['torchvision', 'labml', 'matplotlib', 'PIL', 'sklearn', 'numpy']
)
def test_the_mathematics_works_without(absent):
    """numpy may be imported by torch itself; nothing of ours asks for it."""
    hidden = '' if absent == 'numpy' else f'sys.modules[{absent!r}] = None\n'
    done = python(
        f'import sys\n{hidden}'
        'from labml_nn.diffusion.ddpm import DenoiseDiffusion, gather\n'
        'from labml_nn.diffusion.ddpm.unet import UNet\n'
        'from labml_nn.diffusion.ddpm.ema import EMA\n'
        'import torch\n'
        'd = DenoiseDiffusion(UNet(1, 32, (1,), (False,), 1), 1000)\n'
        'd.loss(torch.zeros(2, 1, 4, 4)).backward()\n'
        'EMA(d.eps_model).update_parameters(d.eps_model)\n'
    )
    assert done.returncode == 0, done.stderr
