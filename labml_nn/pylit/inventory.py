r"""
# Inventory: names of other projects

`torch.cat` in the code, or `` `json.loads` `` in a note, leads to the documentation of the project
that it belongs to. Where that is, says an **inventory**: the file `objects.inv` that Sphinx puts
beside the pages it makes. `[tool.pylit]` names files and addresses:

```toml
[tool.pylit.inventories.python]
url = "https://docs.python.org/3/"
file = "docs/inventories/python.txt"
```

Nothing is fetched. A whole inventory lists ten thousand names and more, so

```sh
python -m labml_nn.pylit inventory my_package --of objects.inv -o docs/inventories/python.txt
```

keeps those that the pages use, as text that can be read and compared. Both forms are understood.

> A link leads only to what an inventory lists: where there is none, a name is only a name
> [tested](test:pylit/test_inventory.py::test_what_no_inventory_lists_has_no_link).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import swap
from .problems import Refusal

HEAD = '# Sphinx inventory version 2'
# Name, domain and role, priority, address, and what it is called (`-` for the name itself)
ENTRY = re.compile(r'(\S+)\s+(\w+):(\w+)\s+(-?\d+)\s+(\S+)\s+(.+)')
# What a name in code can stand for. A module is a name too, but in front of every other one
ROLES = frozenset({
    'function', 'class', 'exception', 'method', 'classmethod', 'staticmethod', 'attribute',
    'property', 'data', 'type',
})  # fmt: skip


@dataclass(frozen=True)
class Inventory:
    """Where a project says that its documentation is: an address, and a file of the project."""

    url: str
    file: str


def read(path: Path) -> dict[str, str]:
    """Name → address below that of the documentation, of an inventory in either form."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Refusal(f'{path}: {error.strerror}') from None
    head, body = data[: _body(data)], data[_body(data) :]
    if not head.decode('utf-8', 'replace').startswith(HEAD):
        raise Refusal(f'{path}: not an inventory of Sphinx, which begins with `{HEAD}`')
    try:
        text = (zlib.decompress(body) if b'zlib' in head else body).decode()
    except (zlib.error, ValueError) as error:
        raise Refusal(f'{path}: {error}') from None
    return {
        # `$` at the end stands for the name
        name: f'{place[:-1]}{name}' if place.endswith('$') else place
        for name, domain, role, place in _entries(text)
        if domain == 'py' and role in ROLES
    }


def _body(data: bytes) -> int:
    """Where the four lines of the head end."""
    at = 0
    for _ in range(4):
        at = data.find(b'\n', at) + 1 or len(data)
    return at


def _entries(text: str) -> Iterator[tuple[str, str, str, str]]:
    for line in text.splitlines():
        if found := ENTRY.fullmatch(line.rstrip()):
            yield found[1], found[2], found[3], found[5]


def known(root: Path, inventories: Iterable[Inventory]) -> dict[str, str]:
    """Name → address of its documentation; what is in several inventories is of the first."""
    found: dict[str, str] = {}
    for one in inventories:
        base = one.url.rstrip('/') + '/'
        for name, place in read(root / one.file).items():
            found.setdefault(name, base + place)
    return found


def write(names: Mapping[str, str], path: Path, of: Path) -> None:
    """Some names of an inventory, as text."""
    project = _header(of, 'Project')
    version = _header(of, 'Version')
    lines = [HEAD, f'# Project: {project}', f'# Version: {version}', '# Not compressed.']
    for name, place in sorted(names.items()):
        short = f'{place.removesuffix(name)}$' if place.endswith(name) else place
        lines.append(f'{name} py:data 1 {short} -')
    path.parent.mkdir(parents=True, exist_ok=True)
    swap.put(path, '\n'.join(lines) + '\n')


def _header(path: Path, key: str) -> str:
    head = path.read_bytes()[:1000].decode('utf-8', 'replace')
    found = re.search(rf'^# {key}: ?(.*)$', head, re.M)
    return found[1].strip() if found else ''
