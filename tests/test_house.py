"""The house: which room knows which, how large they are, and whether what they say holds."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import sizes

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'labml_nn'
PAGES = sorted(PACKAGE.rglob('*.py'))

# What is below the mathematics, and knows no model
ROOMS = ('cli', 'data', 'compute', 'runs')

# Each room and those it may know, besides its own: imports point one way
MAY_KNOW = {
    '__init__': ['cli/output'],  # where Ctrl-C finds a command that is still imported
    'diffusion/ddpm/utils': ['diffusion/ddpm/forerunner'],  # when an older name is asked for
    'diffusion/ddpm/__init__': ['diffusion/ddpm/utils'],
    'diffusion/ddpm/unet': ['diffusion/ddpm/utils'],
    'diffusion/ddpm/forerunner': ['diffusion', *ROOMS],
    'diffusion/ddpm/ema': [],
    'diffusion/ddpm/likelihood': ['diffusion/ddpm'],
    'diffusion/ddpm/pretrained': [
        'diffusion/ddpm',
        'diffusion/samplers',
        'diffusion/schedules',
        *ROOMS,
    ],
    'diffusion/ddpm/coding': ['diffusion', *ROOMS],
    'diffusion/schedules': ['diffusion/ddpm/utils'],
    'diffusion/learned_variance': ['diffusion/ddpm'],
    'diffusion/guidance': ['diffusion/ddpm'],
    'diffusion/samplers': ['diffusion/ddpm/__init__', 'diffusion/ddpm/utils'],
    'diffusion/ddpm/configs': ['diffusion', *ROOMS],
    'diffusion/ddpm/experiment': ['diffusion', *ROOMS, 'evaluation'],
    'diffusion/ddpm/train': ['diffusion', *ROOMS],
    'diffusion/ddpm/sampling': ['diffusion', *ROOMS],
    'diffusion/ddpm/metrics': ['diffusion', *ROOMS, 'evaluation'],
    'diffusion/ddpm/check': ['diffusion', *ROOMS, 'evaluation'],
    'diffusion/ddpm/evaluate': ['diffusion', *ROOMS, 'evaluation'],
    'diffusion/ddpm/lightning': ['diffusion', *ROOMS],
    'doctor': ['diffusion', *ROOMS],
    'cli': [],
    'data': ['cli'],
    'compute': ['cli'],
    'runs': ['cli', 'data', 'compute'],
    'evaluation': ['data/vision'],  # for its Inception network alone
    'pylit': ['cli/output'],  # which imports the standard library alone
}
# The mathematics imports torch alone
MATHEMATICS = (
    'diffusion/ddpm/utils', 'diffusion/ddpm/__init__', 'diffusion/ddpm/unet', 'diffusion/ddpm/ema',
    'diffusion/ddpm/likelihood', 'diffusion/schedules', 'diffusion/guidance', 'diffusion/samplers',
    'diffusion/learned_variance',
)  # fmt: skip


def name_of(path):
    return path.relative_to(PACKAGE).with_suffix('').as_posix()


def room_of(name):
    """The longest entry of the table that a page belongs to."""
    rooms = [r for r in MAY_KNOW if name == r or name.startswith(r + '/')]
    return max(rooms, key=len, default=None)


def imports_of(path, *, top_level_only=False):
    """The modules that a page imports, as dotted names."""
    tree = ast.parse(path.read_text(encoding='utf-8'))
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ''
            if node.level:
                # pylit is a house of its own, and may be moved: its rooms know each other by place
                assert node.level == 1, f'{path}: imports go no further up than the own folder'
                assert path.parent.name == 'pylit', f'{path}: imports are absolute'
                module = '.'.join(['labml_nn', path.parent.name, module]).rstrip('.')
            yield module
            yield from (f'{module}.{alias.name}' for alias in node.names)


@pytest.mark.parametrize('path', PAGES, ids=name_of)
def test_imports_point_one_way(path):
    room = room_of(name_of(path))
    for module in imports_of(path):
        if not module.startswith('labml_nn.'):
            continue
        target = PACKAGE.joinpath(*module.split('.')[1:])
        known = next(
            (c for c in (target.with_suffix('.py'), target / '__init__.py') if c.exists()), None
        )
        if known is None:  # a name within a module
            continue
        other = name_of(known)
        if room_of(other) == room:
            continue
        assert room is not None, f'{name_of(path)} may know nobody'
        assert any(other == r or other.startswith(r + '/') for r in MAY_KNOW[room]), (
            f'{name_of(path)} must not know {other}'
        )


@pytest.mark.parametrize(
    'path', [p for p in PAGES if room_of(name_of(p)) in MATHEMATICS], ids=name_of
)
def test_the_mathematics_imports_torch_alone(path):
    for module in imports_of(path, top_level_only=True):
        top = module.split('.')[0]
        assert top in {'torch', 'labml_nn'} or top in sys.stdlib_module_names, module


def test_importing_ddpm_loads_torch_and_its_own_two_pages():
    code = (
        'import torch, torch.nn.functional, sys; before = set(sys.modules)\n'
        'import labml_nn.diffusion.ddpm\n'
        'print(*sorted(set(sys.modules) - before))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {
        'labml_nn',
        'labml_nn.diffusion',
        'labml_nn.diffusion.ddpm',
        'labml_nn.diffusion.ddpm.utils',
    }


@pytest.mark.parametrize('name', sorted(n for n in sizes.pages() if not n.startswith('pylit/')))
def test_functions_can_be_held_in_the_head(name):
    # Pages have no limit: one drove methods out of the page where they belong
    _, functions = sizes.pages()[name]
    for function, n in functions.items():
        limit = sizes.LOOP if function.startswith(('train:', 'p_chain:')) else sizes.FUNCTION
        assert n <= limit, f'{function} has {n} lines'


# ## What the pages say


@pytest.mark.parametrize('path', PAGES, ids=name_of)
def test_docstrings_are_raw_and_public_names_have_one(path):
    source = path.read_text(encoding='utf-8')
    tree = ast.parse(source)
    lines = source.splitlines()
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    for node in ast.walk(tree):
        if not isinstance(node, kinds):
            continue
        doc = ast.get_docstring(node, clean=False)
        if doc is not None and '\\' in doc:
            first = lines[node.body[0].lineno - 1].lstrip()
            assert first.startswith('r"""'), f'{path}:{node.body[0].lineno}: not raw'
    # The renderer is a program, not a library: its rooms are documented, not each small function
    for node in [] if path.parent.name == 'pylit' else tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith('_'):
            assert ast.get_docstring(node), f'{path}:{node.lineno}: {node.name} says nothing'


TEST_LINK = re.compile(r'\]\(test:([^)]*)\)')


def claims():
    for path in [*PAGES, *ROOT.glob('*.md'), *ROOT.glob('docs/*.md')]:
        for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1):
            for link in TEST_LINK.findall(line):
                yield f'{path.relative_to(ROOT)}:{number}', link


def test_every_claim_names_a_test_that_exists():
    found = list(claims())
    assert len(found) >= 20
    for where, link in found:
        if where.startswith(('labml_nn/pylit', 'CONTRIBUTING')):  # explain the scheme, by examples
            continue
        file, _, name = link.partition('::')
        path = ROOT / 'tests' / file
        assert path.is_file(), f'{where}: no {file}'
        names = {
            n.name for n in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
            if isinstance(n, ast.FunctionDef)
        }  # fmt: skip
        assert name in names, f'{where}: no {name} in {file}'


# ## What is promised


def test_every_promise_of_safety_names_a_test_that_exists():
    """Not as marks: this file is read in the repository, where links lead to files."""
    text = (ROOT / 'SECURITY.md').read_text(encoding='utf-8')
    named = re.findall(r'\[`(test_\w+)`\]\((tests/[\w/]+\.py)\)', text)
    assert len(named) >= 20
    assert len(named) == text.count('`test_')
    for name, file in named:
        source = (ROOT / file).read_text(encoding='utf-8')
        assert f'def {name}(' in source, f'no {name} in {file}'
    for document in ('README.md', 'CONTRIBUTING.md'):
        assert '(SECURITY.md)' in (ROOT / document).read_text(encoding='utf-8'), document


# ## The README


def readme_blocks(language):
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    return re.findall(rf'```{language}\n(.*?)```', text, re.DOTALL)


def test_the_published_weights_of_the_readme_are_loaded_as_on_their_page():
    """Whose own test runs these lines, on a folder in the place of the name on the hub."""
    from labml_nn.diffusion.ddpm import pretrained

    (block,) = (b for b in readme_blocks('python') if 'from_pretrained' in b)
    on_page = [line[4:] for line in pretrained.__doc__.splitlines() if line.startswith('    ')]
    lines = [line for line in block.splitlines() if line]
    assert [line.partition('  #')[0] for line in on_page] == lines


@pytest.mark.parametrize('block', [b for b in readme_blocks('python') if 'pretrained' not in b])
def test_the_python_of_the_readme_runs(block):
    # On the smallest images and models that are of the same kind
    small = block.replace(
        'UNet()', 'UNet(n_channels=32, ch_mults=(1, 1), is_attn=(False, True), n_blocks=1)'
    )
    done = subprocess.run(
        [sys.executable, '-c', small], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


def test_the_commands_of_the_readme_exist():
    makefile = (ROOT / 'Makefile').read_text(encoding='utf-8')
    blocks = '\n'.join(readme_blocks('sh'))
    targets = re.findall(r'^make ([a-z-]+)', blocks, re.MULTILINE)
    assert {'train', 'test'} <= set(targets)
    for target in targets:
        assert re.search(rf'^{target}:', makefile, re.MULTILINE), target
    for module in set(re.findall(r'python -m (labml_nn[\w.]*)', blocks)):
        path = PACKAGE.joinpath(*module.split('.')[1:])
        assert path.with_suffix('.py').exists() or (path / '__main__.py').exists(), module


def test_files_that_the_readme_links_exist():
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    for target in re.findall(r'\]\(([^)#]+)\)|src="([^"]+)"', text):
        link = target[0] or target[1]
        if not link.startswith(('http', 'test:')):
            assert (ROOT / link).exists(), link


def test_the_table_of_presets_is_the_one_that_is_tested():
    from labml_nn.diffusion.ddpm.experiment import PRESETS
    from tests.diffusion.ddpm.test_unet import PARAMETERS

    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    for preset in PRESETS:
        assert re.search(rf'\| `{preset}` .*\b{PARAMETERS[preset]:,}\b', text), preset
