"""Every small change of a file that a program can think of, and the tests that notice it.

    python -m tests.mutants.general labml_nn/diffusion/schedules.py
    python -m tests.mutants.general FILE … --lines build/lines.json --out build/verdicts.jsonl

A run that is stopped goes on with the same `--out`: what has a verdict there keeps it as long as
its file is the same. `--again survived` judges those anew, after a test is written for them.

The tables of this folder break a formula where a reader would look; this breaks each operator,
number, comparison, index and call once. No list of survivors is empty: some changes make no other
program. What a person has judged so stands in `equivalent.json` with the reason, and is not run. So
it is a tool, and no part of the suite.

Torch, the package and the tests are imported once, and once it is recorded which test comes through
which line. Then a process is forked for each change. It puts the changed code into the functions
that are there, and runs the tests of the line: first those that noticed changes nearby, then those
that the page names.
What a class or a module does when it is imported needs the package anew, which takes seconds.
"""

import argparse
import ast
import contextlib
import copy
import gc
import hashlib
import json
import os
import re
import resource
import select
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

from tests.mutants.run import Listener, preload

ROOT = Path(__file__).parents[2]
TESTS = ('tests/diffusion', 'tests/evaluation')
# They come through the mathematics and have other questions
OTHERS = (
    'web', 'lightning', 'report', 'moving', 'dry_run', 'pretrained', 'resume', 'bench',
    'experiment', 'configs',
)  # fmt: skip
# Seconds of a processor: of one test when lines are recorded, of all tests of one change
MOST_OF_A_TEST, MOST = 4, 12
KILLED, SURVIVED, UNTESTED, EQUIVALENT = 'killed', 'survived', 'untested', 'equivalent'
# For each file the changes that make no other program, by function and text, and why
EQUIVALENTS = Path(__file__).with_name('equivalent.json')


# ## The changes
OTHER = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Div, ast.Mod: ast.Mult, ast.And: ast.Or, ast.Or: ast.And,
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
# Methods with arguments that give back something of the same kind
FILTERS = {'clamp', 'clip', 'clamp_min', 'mean', 'sum', 'flip', 'cumprod', 'to', 'type_as'}


@dataclass(frozen=True)
class Change:
    """A node of the tree, by its place among all nodes, and what stands there instead."""

    file: str
    place: int
    node: ast.AST
    line: int
    last_line: int  # of the statement
    function: str  # '' where an import already runs it
    said: str
    source: str  # of the whole file, by a digest

    @property
    def key(self) -> tuple[str, str, int, str]:
        return self.file, self.source, self.place, self.said

    @property
    def name(self) -> str:
        return f'{self.function.rpartition(".")[2]}: {self.said}'


def changes(file: str, source: str) -> Iterator[Change]:
    """All changes of a file, from top to bottom."""
    tree = ast.parse(source)
    digest = hashlib.sha256(source.encode()).hexdigest()[:12]
    place = {id(node): i for i, node in enumerate(ast.walk(tree))}
    for node, statement, function in _code(tree):
        for other in _others(node):
            head = next(iter(getattr(statement, 'body', [])), None)
            last = head.lineno - 1 if isinstance(head, ast.stmt) else statement.end_lineno
            # A function that is called begins on the line of its first decorator
            first = next(iter(getattr(statement, 'decorator_list', [])), statement).lineno
            said = f'{ast.unparse(node)}  ->  {ast.unparse(other)}'
            yield Change(
                file, place[id(node)], other, first,
                max(statement.lineno, last or 0), function, ' '.join(said.split()), digest,
            )  # fmt: skip


def _code(tree: ast.Module) -> Iterator[tuple[ast.AST, ast.stmt, str]]:
    """The nodes that compute, each with its statement and its function."""

    def walk(
        node: ast.AST, statement: ast.stmt | None, function: str
    ) -> Iterator[tuple[ast.AST, ast.stmt, str]]:
        for name, value in ast.iter_fields(node):
            # Words, types and what is said in an error are no mathematics
            if name in ('annotation', 'returns', 'decorator_list', 'bases', 'type_comment'):
                continue
            inside = function
            if isinstance(node, ast.FunctionDef) and name in ('body', 'args'):
                inside = f'{function}.{node.name}' if function else node.name
            for child in value if isinstance(value, list) else [value]:
                if not isinstance(child, ast.AST) or _is_words(child):
                    continue
                at = child if isinstance(child, ast.stmt) else statement
                if at is not None:
                    yield child, at, inside
                yield from walk(child, at, inside)

    yield from walk(tree, None, '')


def _is_words(node: ast.AST) -> bool:
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom | ast.Assert):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(called, ast.Attribute) and called.attr == 'warn'


def _others(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of a node."""
    for kind, how in HOW.items():
        if isinstance(node, kind):
            yield from how(node)


def _with(node: Any, **fields: Any) -> Any:
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def _operator(node: Any) -> Iterator[ast.AST]:
    if type(node.op) in OTHER:
        yield _with(node, op=OTHER[type(node.op)]())


def _comparison(node: ast.Compare) -> Iterator[ast.AST]:
    for i, op in enumerate(node.ops):
        for kind in OTHER[type(op)]:
            yield _with(node, ops=[*node.ops[:i], kind(), *node.ops[i + 1 :]])


def _sign(node: ast.UnaryOp) -> Iterator[ast.AST]:
    if isinstance(node.op, ast.USub | ast.Not):
        yield node.operand


def _number(node: ast.Constant) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield _with(node, value=not value)
    elif isinstance(value, int):
        yield _with(node, value=value + 1)
        yield _with(node, value=value - 1)
    elif isinstance(value, float):
        yield _with(node, value=2 * value if value else 1.0)


def _index(node: ast.Subscript) -> Iterator[ast.AST]:
    if isinstance(node.slice, ast.Name | ast.BinOp | ast.Attribute):
        yield _with(node, slice=ast.BinOp(node.slice, ast.Sub(), ast.Constant(1)))


def _call(node: ast.Call) -> Iterator[ast.AST]:
    for i in range(len(node.keywords)):
        if node.keywords[i].arg is not None:
            yield _with(node, keywords=node.keywords[:i] + node.keywords[i + 1 :])
    method = node.func if isinstance(node.func, ast.Attribute) else None
    if method and (method.attr in FILTERS or not (node.args or node.keywords)):
        yield method.value
    if len(node.args) == 1 and not node.keywords and not isinstance(node.args[0], ast.Starred):
        yield node.args[0]


def _statement(node: ast.Expr) -> Iterator[ast.AST]:
    if isinstance(node.value, ast.Call):
        yield ast.Pass()


def _branch(node: Any) -> Iterator[ast.AST]:
    if not isinstance(node.test, ast.Compare):
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))


HOW: dict[Any, Callable[[Any], Iterator[ast.AST]]] = {
    (ast.BinOp, ast.BoolOp, ast.AugAssign): _operator,
    ast.Compare: _comparison,
    ast.UnaryOp: _sign,
    ast.Constant: _number,
    ast.Subscript: _index,
    ast.Call: _call,
    ast.Expr: _statement,
    (ast.If, ast.IfExp, ast.While): _branch,
}


class _Put(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST):
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> Any:
        return self.new if node is self.old else self.generic_visit(node)


def changed(source: str, change: Change) -> ast.Module:
    """The tree of the file with the change, every other node on its line."""
    tree = ast.parse(source)
    old = next(n for i, n in enumerate(ast.walk(tree)) if i == change.place)
    new = copy.deepcopy(change.node)
    ast.copy_location(new, old)
    return ast.fix_missing_locations(_Put(old, new).visit(tree))


# ## Into the functions that are there
def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _codes(one)


def _name(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno


def functions_of(paths: set[str]) -> dict[str, dict[tuple[str, int], list[FunctionType]]]:
    """All functions of these files."""
    found: dict[str, Any] = {path: defaultdict(list) for path in paths}
    for one in gc.get_objects():
        # An `isinstance` would ask some objects for their class, which they warn of
        if type(one) is FunctionType and one.__code__.co_filename in paths:
            found[one.__code__.co_filename][_name(one.__code__)].append(one)
    return found


def exchange(tree: ast.Module, path: str, functions: dict[Any, list[FunctionType]]) -> bool:
    """Give the functions the code and the defaults of the tree; whether one of them had others."""
    done = False
    for code in _codes(compile(tree, path, 'exec')):
        for f in functions.get(_name(code), ()):
            if f.__code__ != code:
                f.__code__ = code
                done = True
    by_line = {line: some for (_, line), some in functions.items()}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            first = node.decorator_list[0] if node.decorator_list else node
            for f in by_line.get(first.lineno, ()):
                done |= _defaults(node.args, f)
    return done


def _defaults(arguments: ast.arguments, f: FunctionType) -> bool:
    def value(node: ast.expr) -> Any:
        return eval(compile(ast.Expression(node), 'default', 'eval'), f.__globals__)

    given = tuple(map(value, arguments.defaults)) or None
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    by_name = {a.arg: value(node) for a, node in named if node is not None} or None
    if (given, by_name) == (f.__defaults__, f.__kwdefaults__):
        return False
    f.__defaults__, f.__kwdefaults__ = given, by_name
    return True


# ## Which test comes through which line
class Recorder:
    """A plugin: for each test its seconds, whether it passes, and its lines of some files."""

    def __init__(self, files: dict[str, str]):
        self.files = files
        self.tests: dict[str, Any] = {}
        self.lines: set[tuple[str, int]] = set()

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        name = self.files.get(frame.f_code.co_filename)
        if name is None:
            return None
        lines = self.lines

        def local(frame: FrameType, event: str, argument: Any) -> Any:
            lines.add((name, frame.f_lineno))
            return local

        lines.add((name, frame.f_lineno))
        return local

    def pytest_runtestloop(self, session: Any) -> bool:
        signal.signal(signal.SIGPROF, _too_long)
        for item, after in zip(session.items, [*session.items[1:], None], strict=True):
            self.lines, began = set(), time.process_time()
            self.passed = True
            signal.setitimer(signal.ITIMER_PROF, MOST_OF_A_TEST)
            sys.settrace(self._trace)
            try:
                item.ihook.pytest_runtest_protocol(item=item, nextitem=after)
            finally:
                sys.settrace(None)
                signal.setitimer(signal.ITIMER_PROF, 0)
            if self.passed and self.lines:
                seconds = time.process_time() - began
                self.tests[item.nodeid] = {'seconds': seconds, 'lines': sorted(self.lines)}
        return True

    def pytest_runtest_logreport(self, report: Any) -> None:
        if not report.passed and not report.skipped:
            self.passed = False
            print('not used:', report.nodeid, file=sys.stderr, flush=True)


class TooLong(BaseException):
    """Nothing that a test may catch."""


def _too_long(*_: Any) -> None:
    raise TooLong


def test_files() -> list[str]:
    names = [p for folder in TESTS for p in sorted((ROOT / folder).rglob('test_*.py'))]
    return [
        p.relative_to(ROOT).as_posix() for p in names if p.stem.removeprefix('test_') not in OTHERS
    ]


OPTIONS = ['-q', '-q', '-s', '-p', 'no:cacheprovider', '-r', 'N', '-m', 'not long']


def record(files: list[str]) -> dict[str, Any]:
    """In a process of its own: what was computed is not there when others are forked."""
    with forked() as (is_child, _, writer):
        if is_child:
            import pytest

            recorder = Recorder({str(ROOT / f): f for f in files})
            pytest.main([*OPTIONS, *test_files()], plugins=[recorder])
            writer.write(json.dumps(recorder.tests))
    return json.loads(forked.said)


class forked(contextlib.AbstractContextManager):
    """A process that writes a text and ends; `forked.said` is the text, '' if it was killed."""

    said = ''

    def __init__(self, seconds: float = 0):
        self.seconds = seconds

    def __enter__(self) -> tuple[bool, int, Any]:
        self.ends = os.pipe()
        self.child = os.fork()
        self.writer = os.fdopen(self.ends[1], 'w')
        if self.child == 0:
            os.setpgid(0, 0)
            if self.seconds:
                most = int(self.seconds) + 1
                resource.setrlimit(resource.RLIMIT_CPU, (most, most))
        return self.child == 0, self.child, self.writer

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        if self.child == 0:
            with contextlib.suppress(BaseException):
                if error is not None:
                    self.writer.write(f'{kind.__name__}: {error}')
                self.writer.flush()
            os._exit(0)
        self.writer.close()
        # Of a processor that others use too
        end = time.monotonic() + 20 * self.seconds if self.seconds else float('inf')
        parts = []
        while select.select([self.ends[0]], [], [], 5)[0] or time.monotonic() < end:
            if select.select([self.ends[0]], [], [], 0)[0]:
                part = os.read(self.ends[0], 1 << 20)
                if not part:
                    break
                parts.append(part)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child, signal.SIGKILL)
        os.waitpid(self.child, 0)
        os.close(self.ends[0])
        forked.said = b''.join(parts).decode()
        return False


# ## The run
def equivalents() -> dict[str, dict[str, str]]:
    """For each file: the changes that make no other program, and why."""
    found: dict[str, dict[str, str]] = json.loads(EQUIVALENTS.read_text(encoding='utf-8'))
    return found


def named(file: str) -> set[str]:
    """The tests that a page names."""
    text = (ROOT / file).read_text(encoding='utf-8')
    return {f'tests/{test}' for test in re.findall(r'\]\(test:([^)]*)\)', text)}


class Mutation:
    """A plugin whose loop runs no test itself: it forks a process for each change."""

    def __init__(
        self,
        todo: list[Change],
        tests: dict[str, Any],
        tell: Callable[..., None],
        most: float = MOST,
    ):
        self.todo, self.tests, self.tell, self.most = todo, tests, tell, most
        self.through: dict[tuple[str, int], list[str]] = defaultdict(list)
        for name, row in tests.items():
            for file, line in row['lines']:
                self.through[file, line].append(name)
        self.noticed: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.named = {file: named(file) for file in {change.file for change in todo}}
        self.failed = False

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.failed |= report.failed

    def pytest_runtestloop(self, session: Any) -> bool:
        items = {item.nodeid: item for item in session.items}
        functions = functions_of({str(ROOT / c.file) for c in self.todo})
        gc.collect()
        gc.freeze()
        reasons = equivalents()
        for change in self.todo:
            if why := reasons.get(change.file, {}).get(change.name):
                self.tell(change, EQUIVALENT, why, 0)
                continue
            names = [n for n in self.tests_of(change) if n in items]
            by, wrong = '', ''
            if names:
                seconds = 5 + 5 * sum(self.tests[n]['seconds'] for n in names)
                with forked(seconds) as (is_child, _, writer):
                    if is_child:
                        self.silence()
                        writer.write(self.first_failure(change, names, items, functions))
                by = forked.said or 'time'
                wrong = by if by.startswith('Error') else ''
                if by != 'none':
                    self.noticed[change.file, change.function][by] += 1
            verdict = UNTESTED if not names else SURVIVED if by == 'none' else KILLED
            self.tell(change, verdict, wrong or by, len(names))
        return True

    def tests_of(self, change: Change) -> list[str]:
        """Those that have noticed changes nearby, those of the page, then from fast to slow."""
        if change.function:
            lines = range(change.line, change.last_line + 1)
            names = {n for line in lines for n in self.through.get((change.file, line), ())}
        else:
            names = {n for (file, _), some in self.through.items() if file == change.file
                     for n in some}  # fmt: skip
        near, page = self.noticed[change.file, change.function], self.named[change.file]
        ordered = sorted(
            names,
            key=lambda n: (-near[n], n.partition('[')[0] not in page, self.tests[n]['seconds']),
        )
        some, seconds = [], 0.0
        for name in ordered:
            seconds += self.tests[name]['seconds']
            if some and seconds > self.most:
                break
            some.append(name)
        return some

    @staticmethod
    def silence() -> None:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for place in (0, 1, 2):
            os.dup2(nowhere, place)

    def first_failure(
        self, change: Change, names: list[str], items: dict[str, Any], functions: dict[str, Any]
    ) -> str:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        path = ROOT / change.file
        tree = changed(path.read_text(encoding='utf-8'), change)
        if not change.function or not self.exchanged(tree, path, functions):
            return self.anew(tree, path, names)
        for name, after in zip(names, [*names[1:], None], strict=True):
            following = items[after] if after else None
            # A change that makes no end of it is known by its first test: SIGPROF ends the process
            signal.setitimer(signal.ITIMER_PROF, 2 + 5 * self.tests[name]['seconds'])
            items[name].ihook.pytest_runtest_protocol(item=items[name], nextitem=following)
            if self.failed:
                return name
        return 'none'

    @staticmethod
    def exchanged(tree: ast.Module, path: Path, functions: dict[str, Any]) -> bool:
        try:
            return exchange(tree, str(path), functions[str(path)])
        except ValueError:  # a closure over something else
            return False

    @staticmethod
    def anew(tree: ast.Module, path: Path, names: list[str]) -> str:
        """The package is imported again, with the change."""
        code = compile(tree, str(path), 'exec')
        original = SourceFileLoader.get_code

        def get_code(self: Any, fullname: str) -> Any:
            mine = os.path.realpath(self.get_filename(fullname)) == os.path.realpath(path)
            return code if mine else original(self, fullname)

        SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
        for name in [n for n in sys.modules if n.split('.')[0] in ('labml_nn', 'tests')]:
            del sys.modules[name]
        import pytest

        listener = First()
        status = pytest.main([*OPTIONS, '-x', *names], plugins=[listener])
        return listener.failed or ('none' if status == 0 else f'import ({status})')


class First(Listener):
    failed = ''

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_runtest_setup(self, item: Any) -> None:
        pass


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog='python -m tests.mutants.general', description=__doc__)
    p.add_argument('files', nargs='+', help='what is changed, from the root of the project')
    p.add_argument('--lines', type=Path, help='which test comes through which line: kept here')
    p.add_argument('--out', type=Path, help='one line of JSON for each change, as they come')
    p.add_argument('--only', help='changes with this text alone')
    p.add_argument('--every', type=int, default=1, metavar='N', help='one of N changes alone')
    p.add_argument('--seconds', type=float, default=MOST, help='of all tests of one change')
    p.add_argument('--again', nargs='*', choices=[SURVIVED, UNTESTED, KILLED], default=[],
                   help='verdicts of --out that are not kept')  # fmt: skip
    p.add_argument('--count', action='store_true', help='say how many, and run none')
    return p


def judged(path: Path | None, again: list[str]) -> set[tuple[str, str, int, str]]:
    """The changes whose last verdict in the file of `--out` is none of `again`."""
    if path is None or not path.is_file():
        return set()
    last = {}
    for line in path.read_text(encoding='utf-8').splitlines():
        row = json.loads(line)
        last[row['file'], row['source'], row['place'], row['said']] = row['verdict']
    return {key for key, verdict in last.items() if verdict not in again}


def main(arguments: list[str]) -> int:
    a = parser().parse_args(arguments)
    os.chdir(ROOT)
    os.environ['PYTEST_DISABLE_PLUGIN_AUTOLOAD'] = '1'
    todo = []
    for file in a.files:
        todo += changes(file, (ROOT / file).read_text(encoding='utf-8'))
    todo = [c for c in todo if not a.only or a.only in f'{c.file}:{c.line}: {c.said}']
    # What is slow comes last
    todo = sorted(todo[:: a.every], key=lambda c: not c.function)
    kept = judged(a.out, a.again)
    todo = [c for c in todo if c.key not in kept]
    if a.count:
        print(*(f'{n:5} {file}' for file, n in Counter(c.file for c in todo).items()), sep='\n')
        return 0
    if not todo:
        print('all have verdicts')
        return 0
    preload()
    if a.lines and a.lines.is_file():
        tests = json.loads(a.lines.read_text(encoding='utf-8'))
    else:
        tests = record(a.files)
        if a.lines:
            a.lines.write_text(json.dumps(tests), encoding='utf-8')
    out = a.out.open('a', encoding='utf-8') if a.out else None
    verdicts: Counter[str] = Counter()

    def tell(change: Change, verdict: str, by: str, n: int) -> None:
        verdicts[verdict] += 1
        row = dict(file=change.file, line=change.line, function=change.function, said=change.said,
                   verdict=verdict, by=by, tests=n, place=change.place,
                   source=change.source)  # fmt: skip
        if out:
            print(json.dumps(row), file=out, flush=True)
        if verdict in (SURVIVED, UNTESTED):
            print(f'{verdict}: {change.file}:{change.line}: {change.said} ({n} tests)', flush=True)

    import pytest

    files = {change.file for change in todo}
    # What is not collected takes no time
    useful = {
        n.partition('::')[0] for n, row in tests.items() if files & {f for f, _ in row['lines']}
    }
    pytest.main([*OPTIONS, *sorted(useful)], plugins=[Mutation(todo, tests, tell, a.seconds)])
    print(*(f'{n} {verdict}' for verdict, n in verdicts.items()), sep=', ')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
