"""The house: which room knows which, how large they are, and whether what they say holds."""

import ast
import fnmatch
import re
import runpy
import subprocess
import sys
from collections import deque
from pathlib import Path

import pytest

from labml_nn.diffusion.ddpm.experiment import main as train
from tests import sizes

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'labml_nn'
HOME = PACKAGE / '__init__.py'
# An index itself; the doors of packages
ELSEWHERE = ('readme.md', '__main__.py')
PAGES = sorted(PACKAGE.rglob('*.py'))

# Each room and those whose pages it may import, besides its own. What is mathematics knows no room
# below it: see the next table
MAY_KNOW = {
    'cli': (),
    'data': ('cli',),
    'compute': ('cli',),
    'runs': ('cli', 'data', 'compute'),
    # For its Inception network, and for the command that trains a classifier
    'evaluation': ('cli', 'data', 'runs/checkpoint', 'runs/safetensors'),
    'diffusion': ('cli', 'data', 'compute', 'runs', 'evaluation'),
    'doctor': ('cli', 'data', 'compute', 'runs', 'diffusion'),
    'pylit': ('cli/output', 'cli/pages'),  # the standard library, and Jinja where a page is made
    '__init__': ('cli/output',),  # where Ctrl-C finds a command that is still imported
}
# The mathematics imports torch alone, and no page that is not mathematics
MATHEMATICS = (
    'diffusion/ddpm/utils', 'diffusion/ddpm/__init__', 'diffusion/ddpm/unet', 'diffusion/ddpm/ema',
    'diffusion/ddpm/dit',
    'diffusion/ddpm/older',
    'diffusion/ddpm/likelihood', 'diffusion/schedules', 'diffusion/guidance', 'diffusion/samplers',
    'diffusion/learned_variance', 'diffusion/editing', 'diffusion/targets', 'diffusion/sde',
    'diffusion/preconditioning',
)  # fmt: skip


# What imports the standard library alone, and what the mathematics may use
PLAIN = ('cli/messages', 'cli/declared')


def name_of(path):
    return path.relative_to(PACKAGE).with_suffix('').as_posix()


def test_no_formula_stands_behind_code():
    """A comment behind code is shown as it is: there TeX would be read as TeX."""
    behind = re.compile(r'^ *[^ #].*  # .*\$')
    for path in PAGES:
        lines = enumerate(path.read_text(encoding='utf-8').splitlines(), 1)
        assert [n for n, line in lines if behind.match(line)] == [], path


def within(name, rooms):
    return any(name == room or name.startswith(room + '/') for room in rooms)


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


def known_to(path):
    """The other pages of the package that a page imports, anywhere in it, by name."""
    for module in imports_of(path):
        target = ROOT.joinpath(*module.split('.'))
        for page in (target.with_suffix('.py'), target / '__init__.py'):
            if page in PAGES and page != path:
                yield name_of(page)


@pytest.mark.parametrize('path', PAGES, ids=name_of)
def test_imports_point_one_way(path):
    name = name_of(path)
    room = name.split('/')[0]
    for other in known_to(path):
        assert within(other, (room, *MAY_KNOW[room])), f'{name} must not know {other}'
        if within(name, MATHEMATICS):
            # The words of an error import the standard library alone
            assert within(other, (*MATHEMATICS, *PLAIN)), (
                f'{name} must not know {other}: no mathematics'
            )


@pytest.mark.parametrize('path', [p for p in PAGES if within(name_of(p), MATHEMATICS)], ids=name_of)
def test_the_mathematics_imports_torch_alone(path):
    for module in imports_of(path, top_level_only=True):
        top = module.split('.')[0]
        assert top in {'torch', 'labml_nn'} or top in sys.stdlib_module_names, module


def circle_through(start, end, knows):
    """The shortest circle through an import from `start` to `end`; empty where there is none."""
    ways, seen = deque([(start, end)]), {end}
    while ways:
        way = ways.popleft()
        if way[-1] == start:
            return way
        for other in sorted(knows[way[-1]] - seen):
            seen.add(other)
            ways.append((*way, other))
    return ()


def test_imports_make_no_circle():
    """Those for types and those within functions count too: who reads has to follow them all."""
    knows = {name_of(path): set(known_to(path)) for path in PAGES}
    for page, others in knows.items():
        for other in others:
            circle = circle_through(page, other, knows)
            assert not circle, ' -> '.join(circle)


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


@pytest.mark.parametrize('name', sorted(sizes.pages()))
def test_functions_can_be_held_in_the_head(name):
    # Pages have no limit: one drove methods out of the page where they belong
    _, functions = sizes.pages()[name]
    for function, n in functions.items():
        limit = sizes.LOOP if function.startswith(('train:', 'p_chain:')) else sizes.FUNCTION
        assert n <= limit, f'{function} has {n} lines'


def test_no_test_imports_a_test():
    """What several share is in tests/kit: a test can be moved or renamed and breaks no other."""
    programs = [ROOT / 'tests', ROOT / 'docs', ROOT / 'notebooks']
    for path in (
        p for room in programs for p in room.rglob('*.py') if 'node_modules' not in p.parts
    ):
        for module in imports_of(path):
            assert not re.search(r'\btest_', module), f'{path.relative_to(ROOT)} imports {module}'


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
        assert re.search(rf'^ *def {re.escape(name)}\(', path.read_text(encoding='utf-8'), re.M), (
            f'{where}: no {name} in {file}'
        )


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
@pytest.mark.long
def test_the_python_of_the_readme_runs(block, tmp_path, monkeypatch):
    # On the smallest images, models and runs that are of the same kind
    small = block.replace(
        'UNet()', 'UNet(n_channels=32, ch_mults=(1, 1), is_attn=(False, True), n_blocks=1)'
    )
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    if 'runs/digits' in block:
        train(['--preset', 'tests', '--out', str(tmp_path / 'runs/digits'), '--track', 'none'])
    done = subprocess.run(
        [sys.executable, '-c', small], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_the_commands_of_the_readme_exist():
    makefiles = (ROOT / 'Makefile', ROOT / 'tools/maintain.mk')
    makefile = '\n'.join(file.read_text(encoding='utf-8') for file in makefiles)
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


def test_the_table_of_presets_is_that_of_the_command():
    from labml_nn.diffusion.ddpm.configs import PRESETS, build, make_configs

    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    table = re.findall(r'^\| `(\w+)` \| (.*?) \| ([\d,]+) \| ([\d,]+) \|$', text, re.MULTILINE)
    found = []
    for preset, options in PRESETS.items():
        c = make_configs(options)
        n = sum(p.numel() for p in build(c, 'meta').parameters())
        found.append((preset, c.image_size, f'{n:,}', f'{c.steps:,}'))
    sides = {preset: size for preset, size, *_ in found}
    for preset, said, *_ in table:
        if side := re.match(r'(\d+)×(\d+)', said):
            assert {*map(int, side.groups())} == {sides[preset]}, preset
    assert sorted((preset, n, steps) for preset, _, n, steps in table) == sorted(
        (preset, n, steps) for preset, _, n, steps in found
    )


# ## The pages by name


def test_the_tables_of_pages_are_those_of_the_nav():
    filled = runpy.run_path(str(ROOT / 'docs' / 'pages.py'))['filled']()
    assert set(filled) == {HOME, ROOT / 'README.md', PACKAGE / 'diffusion/ddpm/readme.md'}
    for path, text in filled.items():
        assert len(re.findall(r'\.(?:py|html)\)(?:: | \|)', text)) > 10
        assert path.read_text(encoding='utf-8') == text, 'python docs/pages.py writes it anew'


def test_the_reading_path_of_the_home_page_follows_the_nav():
    """A page that is new has its summary there; what an author has written stays, and moves."""
    pages = runpy.run_path(str(ROOT / 'docs' / 'pages.py'))
    _, *others = pages['pages']()
    home = HOME.read_text(encoding='utf-8')
    (text,) = re.findall(r'\n(3\. \[The U-Net\].*?)\n4\. ', home, re.DOTALL)
    assert text in pages['path'](home, others)
    # A page too few, and the numbers of the others
    missing = home.replace('2. [The score]', '2. [Gone]').replace('ddpm/score.html)', 'gone.html)')
    shown = ' '.join(pages['path'](missing, others).split())
    score = next(page for page in others if page.source.url.endswith('ddpm/score.html'))
    assert f'2. [{score.title}]({score.source.url}): {score.front["summary"]} 3. [The U-' in shown
    assert 'Gone' not in shown


def test_every_page_is_in_the_index_of_its_folder_and_every_folder_in_the_home():
    for path in (p for p in [*PACKAGE.rglob('*.py'), *PACKAGE.rglob('*.md')] if p != HOME):
        folder = path.parent.parent if path.name == '__init__.py' else path.parent
        indices = [p for p in (folder / '__init__.py', folder / 'readme.md', HOME) if p.is_file()]
        there = ' '.join(p.read_text(encoding='utf-8') for p in indices if p != path)
        name = path.relative_to(folder).with_suffix('').as_posix().replace('__init__', 'index')
        below = path.relative_to(PACKAGE).with_suffix('').as_posix().replace('__init__', 'index')
        named = re.search(rf'\]\((?:{name}|{below})\.(?:html|py|md)\)', there)
        assert named or path.name in ELSEWHERE, f'no index leads to {below}'


def test_the_nav_names_pages_that_exist():
    from labml_nn.pylit.config import load

    for name in load(ROOT).named:
        assert (ROOT / name).is_file(), name


# ## What is installed


def test_pages_that_are_no_modules_and_templates_are_installed_with_the_package(monkeypatch):
    said = {}
    monkeypatch.setattr('setuptools.setup', lambda **keywords: said.update(keywords))
    monkeypatch.chdir(ROOT)  # whose packages setup.py finds
    runpy.run_path(str(ROOT / 'setup.py'))
    for path in [*PACKAGE.rglob('*.md'), *PACKAGE.rglob('templates/*')]:
        folder = path.parent.parent if path.parent.name == 'templates' else path.parent
        package = '.'.join(folder.relative_to(ROOT).parts)
        patterns = said['package_data'].get(package, [])
        assert package in said['packages'], package
        inside = path.relative_to(folder).as_posix()
        assert any(fnmatch.fnmatch(inside, pattern) for pattern in patterns), path
