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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from .parse import Module


@dataclass(frozen=True)
class Place:
    """A definition: the dotted name of its module, and its name in there (or none)."""

    module: str
    name: str = ''
    # Imported with a dot in front: `.json` is not Python's
    inside: bool = field(default=False, compare=False)

    @property
    def dotted(self) -> str:
        return f'{self.module}.{self.name}' if self.name else self.module


@dataclass
class Index:
    """Every module of the project, and what is defined in it."""

    modules: dict[str, set[str]] = field(default_factory=dict)
    # What a module imports is visible from outside too: `from package import Name`
    exports: dict[str, dict[str, Place]] = field(default_factory=dict)
    # What other projects document: dotted name → address
    documented: Mapping[str, str] = field(default_factory=dict)

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
            return self.find(Place(f'{place.module}.{head}', rest, place.inside), hops)
        exported = self.exports.get(place.module, {}).get(head)
        if exported is None or not hops:
            return place if place.dotted in self.documented and not place.inside else None
        name = '.'.join(part for part in (exported.name, rest) if part)
        return self.find(Place(exported.module, name, exported.inside), hops - 1)


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
                yield alias.asname or alias.name, Place(source, alias.name, bool(node.level))
        elif isinstance(node, (ast.If, ast.Try)):
            yield from _imports(node.body, module, package)


def _source(node: ast.ImportFrom, module: str, package: bool) -> str:
    if not node.level:
        return node.module or ''
    parts = module.split('.')
    keep = len(parts) - node.level + (1 if package else 0)
    return '.'.join([*parts[: max(keep, 0)], *([node.module] if node.module else [])])


# ## Walking one file
#
# A source may be nested deeper than Python lets a function call itself: 1,000 added strings are
# a tree of that depth. So nothing here calls itself; what is left to see waits in a list.
Scope = tuple[str, Mapping[str, Place | None]]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class _Walker:
    """Knows what each scope has bound, so that a variable is never taken for a definition."""

    def __init__(self, module: str, source: Module, package: bool, index: Index):
        self.index = index
        self.module = module
        self.lines = source.lines
        self.package = package
        self.found: dict[tuple[int, int], Place] = {}
        self.children = _children(source.tree)
        self.bound = _bound(source.tree, self.children)
        top: dict[str, Place | None] = dict(_imports(source.tree.body, module, package))
        top |= {d.name: Place(module, d.name) for d in source.definitions if '.' not in d.name}
        todo: list[tuple[ast.AST, tuple[Scope, ...]]] = [(source.tree, (('', top),))]
        while todo:
            node, scopes = todo.pop()
            if isinstance(node, (ast.Name, ast.Attribute)):
                self._use(node, scopes)
            todo += self._inside(node, scopes)

    def _inside(
        self, node: ast.AST, scopes: tuple[Scope, ...]
    ) -> list[tuple[ast.AST, tuple[Scope, ...]]]:
        """The parts of a node, each with the scopes around it."""
        outer: list[ast.AST] = []
        inner = scopes
        if isinstance(node, FUNCTIONS):
            outer = [*node.decorator_list, node.args, *([node.returns] if node.returns else [])]
            inner = (*scopes, self._function(node, scopes[-1][0]))
        elif isinstance(node, ast.ClassDef):
            outer = [*node.decorator_list, *node.bases, *node.keywords]
            # The names of a class body are not visible in its methods, so they bind nothing here
            inner = (*scopes, (f'{scopes[-1][0]}{node.name}.', {}))
        elif isinstance(node, (ast.Lambda, *COMPREHENSIONS)):
            outer = [node.args if isinstance(node, ast.Lambda) else node.generators[0].iter]
            inner = (*scopes, (scopes[-1][0], dict.fromkeys(self.bound[node])))
        parts = node.body if isinstance(node, (*FUNCTIONS, ast.ClassDef)) else self._parts(node)
        return [(x, scopes) for x in outer] + [(x, inner) for x in parts if x not in outer]

    def _parts(self, node: ast.AST) -> list[ast.AST]:
        """The children of a node. The first list of a comprehension is made outside of it."""
        found: list[ast.AST] = []
        for child in self.children.get(node, ()):  # a constant has none
            found += self.children[child] if isinstance(child, ast.comprehension) else [child]
        return found

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, around: str) -> Scope:
        prefix = f'{around}{node.name}.'
        bound: dict[str, Place | None] = dict.fromkeys(self.bound[node])
        bound |= dict(_imports(node.body, self.module, self.package))
        for child in node.body:
            if isinstance(child, (*FUNCTIONS, ast.ClassDef)):
                bound[child.name] = Place(self.module, f'{prefix}{child.name}')
        return prefix, bound

    def _use(self, node: ast.Name | ast.Attribute, scopes: tuple[Scope, ...]) -> None:
        if isinstance(node, ast.Attribute):
            end, line = node.end_col_offset or 0, node.end_lineno or node.lineno
            place = self._resolve(node, scopes)
            self._link(node.attr, line, end - len(node.attr.encode()), place)
        elif isinstance(node.ctx, ast.Load):
            self._link(node.id, node.lineno, node.col_offset, self._resolve(node, scopes))

    def _resolve(self, node: ast.expr, scopes: tuple[Scope, ...]) -> Place | None:
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        if names and node.id in ('self', 'cls'):
            owner = self._method(names.pop(0), scopes)
        else:
            owner = next((b[node.id] for _, b in reversed(scopes) if node.id in b), None)
        if owner is None or not names:
            return owner
        dotted = '.'.join([*([owner.name] if owner.name else []), *names])
        return Place(owner.module, dotted, owner.inside)

    def _method(self, name: str, scopes: tuple[Scope, ...]) -> Place | None:
        for prefix, _ in reversed(scopes):
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


# Nothing is used or bound in these, and half of a tree is made of them
LEAVES = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.Constant)


def _children(tree: ast.AST) -> dict[ast.AST, list[ast.AST]]:
    """What stands in each node, found once for all that walk over it."""
    found: dict[ast.AST, list[ast.AST]] = {}
    todo = [tree]
    while todo:
        node = todo.pop()
        found[node] = inner = nodes_in(node)
        todo += inner
    return found


def nodes_in(node: ast.AST) -> list[ast.AST]:
    """What stands in a node, without leaves. `ast.iter_child_nodes` takes three times as long."""
    found: list[ast.AST] = []
    for value in vars(node).values():
        if type(value) is list:
            found += [x for x in value if isinstance(x, ast.AST) and not isinstance(x, LEAVES)]
        elif isinstance(value, ast.AST) and not isinstance(value, LEAVES):
            found.append(value)
    return found


def _bound(tree: ast.AST, children: dict[ast.AST, list[ast.AST]]) -> dict[ast.AST, set[str]]:
    """For each scope, every name that is assigned anywhere in it: one walk for all of them."""
    found: dict[ast.AST, set[str]] = {}
    # With each node: where it binds, and where `:=` does, which leaves a comprehension
    todo: list[tuple[ast.AST, list[set[str]], list[set[str]]]] = [(tree, [], [])]
    while todo:
        node, around, wide = todo.pop()
        if isinstance(node, (*FUNCTIONS, ast.Lambda, *COMPREHENSIONS)):
            own = found.setdefault(node, set())
            around = [*around, own] if isinstance(node, FUNCTIONS) else [own]
            wide = [*wide, own] if isinstance(node, COMPREHENSIONS) else around
        name = _binds(node)
        for names in around if name else ():
            names.add(str(name))
        if isinstance(node, ast.NamedExpr):
            around = wide
        todo += [(child, around, wide) for child in children[node]]
    return found


def _binds(node: ast.AST) -> str | None:
    if isinstance(node, ast.arg):
        return node.arg
    if isinstance(node, ast.Name):
        return None if isinstance(node.ctx, ast.Load) else node.id
    if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        return node.name
    return node.rest if isinstance(node, ast.MatchMapping) else None


def uses(name: str, module: Module, package: bool, index: Index) -> dict[tuple[int, int], Place]:
    """Where this file uses what is defined or documented: (line, column) → definition."""
    return _Walker(name, module, package, index).found


def resolve(text: str, exported: Mapping[str, Place], index: Index) -> Place | None:
    """What `nn.Linear` or `torch.cat()` in a sentence is, on a page with these imports."""
    dotted = text.removesuffix('()')
    head, _, rest = dotted.partition('.')
    if not rest or not all(part.isidentifier() for part in dotted.split('.')):
        return None
    owner = exported.get(head)
    if owner:
        name = '.'.join(filter(None, (owner.name, rest)))
        return index.find(Place(owner.module, name, owner.inside))
    return Place(dotted) if dotted in index.documented else None


def defined(tree: ast.AST) -> dict[str, int]:
    """The line that first gives each name a value, be it a variable or an attribute.

    What a function is given is defined by who calls it: a parameter counts if nothing else does.
    """
    lines: dict[str, int] = {}
    given: dict[str, int] = {}
    todo = [tree]
    while todo:
        node = todo.pop()
        todo += nodes_in(node)
        if isinstance(node, (ast.Name, ast.Attribute)):
            if isinstance(node.ctx, ast.Store):
                name = node.id if isinstance(node, ast.Name) else node.attr
                lines[name] = min(lines.get(name, node.lineno), node.lineno)
        elif isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            lines[node.name] = min(lines.get(node.name, node.lineno), node.lineno)
        elif isinstance(node, ast.arg):
            given[node.arg] = min(given.get(node.arg, node.lineno), node.lineno)
    return given | lines
