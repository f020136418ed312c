"""Inventories: names of other projects lead to their documentation, and nowhere else."""

from __future__ import annotations

import builtins
import importlib
import re
import zlib
from pathlib import Path

import pytest

from labml_nn.pylit import __main__, inventory
from labml_nn.pylit.config import load
from labml_nn.pylit.problems import Mistakes, Refusal
from tests.kit.sites import ROOT, project, render

HEAD = '# Sphinx inventory version 2\n# Project: Py\n# Version: 3\n'
ENTRIES = """json.loads py:function 1 library/json.html#$ -
json py:module 0 library/json.html#module-$ json
os.path.join py:function 1 library/os.path.html#$ -
pathlib.Path py:class 1 library/pathlib.html#$ -
a label std:label -1 library/x.html#a-label A label
loads std:doc -1 library/loads.html A page
"""
SETTINGS = """
[tool.pylit.inventories.python]
url = "https://docs.example/3"
file = "docs/python.inv"
"""
LOADS = 'https://docs.example/3/library/json.html#json.loads'


def compressed(text: str = ENTRIES) -> bytes:
    last = '# The remainder of this file is compressed using zlib.\n'
    return f'{HEAD}{last}'.encode() + zlib.compress(text.encode())


def made(folder: Path, source: str) -> str:
    project(folder, {'pyproject.toml': SETTINGS, 'page.py': source})
    (folder / 'docs').mkdir(exist_ok=True)
    (folder / 'docs/python.inv').write_bytes(compressed())
    return render(folder, 'page.py')['page.html'].partition('<main')[2]


def linked(shown: str) -> list[tuple[str, str]]:
    found = re.findall(r'<a[^>]* href="https://docs.example/3/([^"]*)"[^>]*>(.*?)</a>', shown)
    return [(address, re.sub('<[^>]*>', '', text)) for address, text in found]


def test_both_forms_of_an_inventory_say_the_same(tmp_path: Path) -> None:
    (tmp_path / 'a.inv').write_bytes(compressed())
    (tmp_path / 'b.txt').write_text(f'{HEAD}# Not compressed.\n{ENTRIES}')
    expected = {
        'json.loads': 'library/json.html#json.loads',
        'os.path.join': 'library/os.path.html#os.path.join',
        'pathlib.Path': 'library/pathlib.html#pathlib.Path',
    }
    assert inventory.read(tmp_path / 'a.inv') == inventory.read(tmp_path / 'b.txt') == expected


@pytest.mark.parametrize(
    'source',
    [
        'import json\n\njson.loads("1")\n',
        'import json as j\n\nj.loads("1")\n',
        'from json import loads\n\nloads("1")\n',
        'from json import loads as read\n\nread("1")\n',
        'def f(x):\n    import json\n\n    return json.loads(x)\n',
    ],
)
def test_a_name_leads_to_its_documentation_however_it_was_imported(
    tmp_path: Path, source: str
) -> None:
    assert [address for address, _ in linked(made(tmp_path, source))] == [
        'library/json.html#json.loads'
    ]


@pytest.mark.parametrize(
    'source',
    [
        'import json\n\njson.dumps("1")\n',
        'json.loads("1")\n',
        'import json\n\n\ndef f(json):\n    return json.loads(1)\n',
        'from .json import loads\n\nloads("1")\n',
        'import json\n\njson\n',
        '"""`json.dumps`, `loads`, `json`, `json.loads(x)`, `xjson.loads`"""\n',
    ],
)
def test_what_no_inventory_lists_has_no_link(tmp_path: Path, source: str) -> None:
    assert linked(made(tmp_path, source)) == []


def test_code_in_a_sentence_leads_there_too(tmp_path: Path) -> None:
    source = '"""\n`json.loads`, `json.loads()` and `p.join`; `path.join`.\n"""\n\n'
    assert linked(made(tmp_path, f'{source}import os.path as p\n')) == [
        ('library/json.html#json.loads', 'json.loads'),
        ('library/json.html#json.loads', 'json.loads()'),
        ('library/os.path.html#os.path.join', 'p.join'),
    ]


def test_the_words_of_a_link_lead_where_the_author_says(tmp_path: Path) -> None:
    shown = made(tmp_path, '"""[`json.loads`](https://x.example) [see `f`](#f)."""\n\ndef f(): 1\n')
    assert linked(shown) == []
    assert not re.search(r'<a [^>]*>(?:(?!</a>).)*<a ', shown)


def test_the_code_of_a_page_has_one_link_to_a_place(tmp_path: Path) -> None:
    source = 'from json import loads\n\nloads(loads(1))\nloads(2)\n\n# Again\nloads(3)\n'
    assert len(linked(made(tmp_path, source))) == 1


def test_a_name_that_a_module_of_the_project_passes_on(tmp_path: Path) -> None:
    files = {
        'pkg/__init__.py': '',
        'pkg/a.py': 'from json import loads\n',
        'pkg/b.py': 'from pkg.a import loads\n\nloads(1)\n',
    }
    made(tmp_path, 'x = 1\n')
    project(tmp_path, {**files, 'pyproject.toml': SETTINGS})
    shown = render(tmp_path, 'pkg')['b.html']
    assert linked(shown) == [('library/json.html#json.loads', 'loads')]


# ## Mistakes
@pytest.mark.parametrize(
    ('said', 'message'),
    [
        ('x = "docs/x.inv"', 'must be a table'),
        ('x = { url = "https://x.example" }', 'needs `url` and `file`'),
        ('x = { url = "https://x.example", file = 3 }', 'needs `url` and `file`'),
        ('x = { url = "ftp://x", file = "x.inv" }', 'must begin with https://'),
        ('x = { url = "https://x.example", flie = "x.inv" }', "did you mean 'file'?"),
    ],
)
def test_settings_that_are_refused(tmp_path: Path, said: str, message: str) -> None:
    project(tmp_path, {'pyproject.toml': f'[tool.pylit.inventories]\n{said}\n'})
    with pytest.raises(Mistakes) as refused:
        load(tmp_path)
    assert message in refused.value.problems[0].message
    assert refused.value.problems[0].line == 2


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (None, 'No such file'),
        (b'# Sphinx inventory version 1\n\n\n\n', 'not an inventory'),
        (b'', 'not an inventory'),
        (compressed()[:-20], 'incomplete'),
        (f'{HEAD}# Not compressed.\n'.encode() + b'\xff\n', 'invalid start byte'),
    ],
)
def test_files_that_are_refused(tmp_path: Path, data: bytes | None, message: str) -> None:
    path = tmp_path / 'x.inv'
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(Refusal, match=message):
        inventory.read(path)


def test_an_inventory_outside_of_the_project_is_refused(tmp_path: Path) -> None:
    settings = SETTINGS.replace('docs/python.inv', '../x.inv')
    (tmp_path / 'x.inv').write_bytes(compressed())
    project(tmp_path / 'p', {'pyproject.toml': settings, 'page.py': 'x = 1\n'})
    with pytest.raises(Refusal, match='outside of the project'):
        render(tmp_path / 'p', 'page.py')


# ## The command
def test_the_command_keeps_what_the_pages_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = '"""`pathlib.Path`"""\n\nimport json\n\njson.loads("1")\n'
    project(tmp_path, {'page.py': source})
    (tmp_path / 'objects.inv').write_bytes(compressed())
    out = tmp_path / 'docs/kept.txt'
    of = str(tmp_path / 'objects.inv')
    told = ['inventory', str(tmp_path / 'page.py'), '--of', of, '-o', str(out)]
    assert __main__.main(told) == 0
    assert '2 of 3 names' in capsys.readouterr().out
    text = out.read_text()
    assert text.startswith('# Sphinx inventory version 2\n# Project: Py\n# Version: 3\n')
    whole = inventory.read(tmp_path / 'objects.inv')
    assert inventory.read(out) == {name: whole[name] for name in ('json.loads', 'pathlib.Path')}


# ## Our own
@pytest.mark.parametrize('one', load(ROOT / 'labml_nn').inventories, ids=lambda one: one.file)
def test_every_name_of_ours_exists(one: inventory.Inventory) -> None:
    listed = inventory.read(ROOT / one.file)
    assert len(listed) > 20
    for name, place in listed.items():
        parts = name.split('.')
        if parts[0] == 'msvcrt':
            continue  # Windows has it
        parts = ['builtins', *parts] if hasattr(builtins, parts[0]) else parts
        for n in range(len(parts), 0, -1):
            try:
                found = importlib.import_module('.'.join(parts[:n]))
            except ImportError:
                continue
            for part in parts[n:]:
                found = getattr(found, part)
            break
        else:
            pytest.fail(f'{name} is nowhere')
        assert re.fullmatch(rf'[\w./-]+\.html(#{re.escape(name)})?', place), place
        if place.startswith('generated/'):
            assert place == f'generated/{name}.html'
