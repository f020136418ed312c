r"""
# Names: from a use to the definition

A reader who meets `gather` in the code wants to see what it does. The tree of the source says
what a name refers to, as far as that can be said without running anything: a definition in this
file, something imported from another file of the project, a method of the class we are in.

> We would rather give no link than a wrong one. A name that is assigned anywhere in the function
> around it is a variable there, whatever it is elsewhere
> [tested](test:pylit/test_names.py::test_a_local_name_is_not_a_definition).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .parse import Module


@dataclass(frozen=True)
class Place:
    """A definition: the dotted name of its module, and its name in there (or none)."""

    module: str
    name: str = ''


@dataclass
class Index:
    """Every module of the project, and what is defined in it."""

    modules: dict[str, set[str]] = field(default_factory=dict)
    # What a module imports is visible from outside too: `from package import Name`
    exports: dict[str, dict[str, Place]] = field(default_factory=dict)

    def add(self, name: str, defined: Iterable[str], exported: dict[str, Place]) -> None:
        self.modules[name] = set(defined)
        self.exports[name] = exported

    def find(self, place: Place, hops: int = 4) -> Place | None:
        """Follow imports until a definition, or a module, is reached."""
        if not place.name:
            return place if place.module in self.modules else None
        if place.name in self.modules.get(place.module, ()):
            return place
        inner = f'{place.module}.{place.name}'
        if inner in self.modules:
            return Place(inner)
        head, _, rest = place.name.partition('.')
        if f'{place.module}.{head}' in self.modules:
            return self.find(Place(f'{place.module}.{head}', rest), hops)
        exported = self.exports.get(place.module, {}).get(head)
        if exported is None or not hops:
            return None
        name = '.'.join(part for part in (exported.name, rest) if part)
        return self.find(Place(exported.module, name), hops - 1)


def exports(module: Module, name: str, package: bool) -> dict[str, Place]:
    """What a module imports, and so makes visible under its own name."""
    return dict(_imports(module.tree.body, name, package))


def _imports(body: list[ast.stmt], module: str, package: bool) -> Iterator[tuple[str, Place]]:
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    yield alias.asname, Place(alias.name)
                else:
                    yield alias.name.split('.')[0], Place(alias.name.split('.')[0])
        elif isinstance(node, ast.ImportFrom):
            source = _source(node, module, package)
            for alias in node.names:
                yield alias.asname or alias.name, Place(source, alias.name)
        elif isinstance(node, (ast.If, ast.Try)):
            yield from _imports(node.body, module, package)


def _source(node: ast.ImportFrom, module: str, package: bool) -> str:
    if not node.level:
        return node.module or ''
    parts = module.split('.')
    keep = len(parts) - node.level + (1 if package else 0)
    return '.'.join([*parts[: max(keep, 0)], *([node.module] if node.module else [])])


# ## Walking one file
class _Walker(ast.NodeVisitor):
    """Keeps what each scope has bound, so that a variable is never taken for a definition."""

    def __init__(self, module: str, source: Module, package: bool, index: Index):
        self.index = index
        self.module = module
        self.lines = source.lines
        self.scopes: list[tuple[str, dict[str, Place | None]]] = []
        top: dict[str, Place | None] = dict(_imports(source.tree.body, module, package))
        top |= {d.name: Place(module, d.name) for d in source.definitions if '.' not in d.name}
        self.scopes.append(('', top))
        self.package = package
        self.found: dict[tuple[int, int], Place] = {}
        self.bound: dict[ast.AST, set[str]] = {}
        _bind(source.tree, [], self.bound)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for outer in [*node.decorator_list, node.args, *([node.returns] if node.returns else [])]:
            self.visit(outer)
        prefix = f'{self.scopes[-1][0]}{node.name}.'
        bound: dict[str, Place | None] = dict.fromkeys(self.bound[node])
        bound |= dict(_imports(node.body, self.module, self.package))
        for child in node.body:
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                bound[child.name] = Place(self.module, f'{prefix}{child.name}')
        self.scopes.append((prefix, bound))
        for statement in node.body:
            self.visit(statement)
        self.scopes.pop()

    visit_FunctionDef = visit_AsyncFunctionDef = _function

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for outer in [*node.decorator_list, *node.bases, *node.keywords]:
            self.visit(outer)
        prefix = f'{self.scopes[-1][0]}{node.name}.'
        # The names of a class body are not visible in its methods, so they bind nothing here
        self.scopes.append((prefix, {}))
        for statement in node.body:
            self.visit(statement)
        self.scopes.pop()

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._link(node.id, node.lineno, node.col_offset, self._resolve(node))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.visit(node.value)
        end, line = node.end_col_offset or 0, node.end_lineno or node.lineno
        self._link(node.attr, line, end - len(node.attr.encode()), self._resolve(node))

    def _resolve(self, node: ast.expr) -> Place | None:
        if isinstance(node, ast.Name):
            for _, bound in reversed(self.scopes):
                if node.id in bound:
                    return bound[node.id]
            return None
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id in ('self', 'cls'):
                return self._method(node.attr)
            owner = self._resolve(node.value)
            if owner:
                name = f'{owner.name}.{node.attr}' if owner.name else node.attr
                return Place(owner.module, name)
        return None

    def _method(self, name: str) -> Place | None:
        for prefix, _ in reversed(self.scopes):
            owner = prefix.rstrip('.').rpartition('.')[0]
            if owner and f'{owner}.{name}' in self.index.modules.get(self.module, ()):
                return Place(self.module, f'{owner}.{name}')
        return None

    def _link(self, name: str, line: int, offset: int, place: Place | None) -> None:
        target = self.index.find(place) if place else None
        at = _column(self.lines[line - 1], offset, name) if target else -1
        if target and at >= 0:
            self.found[line, at] = target


def _column(line: str, offset: int, name: str) -> int:
    # `ast` counts bytes, a page counts characters. Before Python 3.12 the places inside f-strings
    # are not reliable, so a name must really stand where it is said to stand.
    at = len(line.encode()[:offset].decode(errors='replace'))
    return at if line.startswith(name, at) else -1


def _bind(node: ast.AST, around: list[set[str]], found: dict[ast.AST, set[str]]) -> None:
    """For each function, every name that is assigned anywhere in it: one walk for all of them."""
    name: str | None = None
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        around = [*around, found.setdefault(node, set())]
    elif isinstance(node, ast.arg):
        name = node.arg
    elif isinstance(node, ast.Name):
        name = None if isinstance(node.ctx, ast.Load) else node.id
    elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        name = node.name
    elif isinstance(node, ast.MatchMapping):
        name = node.rest
    if name:
        for names in around:
            names.add(name)
    for child in ast.iter_child_nodes(node):
        _bind(child, around, found)


def uses(name: str, module: Module, package: bool, index: Index) -> dict[tuple[int, int], Place]:
    """Where this file uses what is defined in the project: (line, column) → definition."""
    walker = _Walker(name, module, package, index)
    walker.visit(module.tree)
    return walker.found
