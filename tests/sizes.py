"""The sizes of pages and functions: `make sizes` prints them, a test keeps them.

A page is a source file. Its module docstring (the derivation) is prose and does not count, nor do
blank lines; a function's signature, docstring and comments do not count as the function.
"""

import ast
import functools
import io
import statistics
import sys
import tokenize
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / 'labml_nn'

FUNCTION = 30
LOOP = 50  # Algorithm 1 and Algorithm 2


def code_lines(source: str) -> set[int]:
    """The lines that hold code: neither blank, nor comment, nor docstring."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in (
            tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
            tokenize.ENDMARKER,
        ):  # fmt: skip
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                lines -= set(range(first.lineno, first.end_lineno + 1))
    return lines


def measure(path: Path) -> tuple[int, dict[str, int]]:
    """The lines of a page, and the code lines of each of its functions."""
    source = path.read_text(encoding='utf-8')
    tree = ast.parse(source)
    lines = [line for line in source.splitlines() if line.strip()]
    doc = ast.get_docstring(tree, clean=False)
    page = len(lines) - len([line for line in (doc or '').splitlines() if line.strip()])
    code = code_lines(source)
    functions = {
        # The body: a signature has a line for each parameter and its meaning
        f'{node.name}:{node.lineno}': len(
            code & set(range(node.body[0].lineno, node.end_lineno + 1))
        )
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }
    return page, functions


@functools.cache
def pages() -> dict[str, tuple[int, dict[str, int]]]:
    """All pages of the package by their path within it."""
    return {p.relative_to(PACKAGE).as_posix(): measure(p) for p in sorted(PACKAGE.rglob('*.py'))}


def main() -> None:
    print(f'{"page":44}{"lines":>6}  {"functions":>9}  {"median":>6}  longest')
    for name, (lines, functions) in pages().items():
        if functions:
            longest = max(functions, key=lambda f: functions[f])
            median = statistics.median(functions.values())
            print(
                f'{name:44}{lines:6}  {len(functions):9}  {median:6.0f}  '
                f'{longest} ({functions[longest]})'
            )


if __name__ == '__main__':
    sys.exit(main())
