r"""
# Check: what an author would rather hear from us than from a reader

`check` does everything that `build` does, except writing, and then looks closer. What would show
a reader something false is an error: a dead link, a formula that cannot be set, a test that does
not exist. What may be intended is a warning.

Where a project asks for it (`tested_pages` in `[tool.pylit]`), every displayed equation names
[a test](claims.py), or says why not
[tested](test:pylit/test_check.py::test_every_equation_has_a_test_or_a_reason).

Where a project asks for that too (`mutated_pages`), every test that is named must have
[failed](claims.py) on each broken version of the code that it was shown; where there is none, a
reason is given [tested](test:pylit/test_check.py::test_every_test_was_seen_to_fail). Numbers whose
[source](measured.py) is named are compared with it; with `measured_pages` every table names one.

It also asks whether the code has the [quantities that its note speaks of](quantities.py).

A translation that has lost a formula, a link or an image is an error at any time. One that is
missing or outdated is told to those who ask for the language (`--lang zh`): an author changes a
paragraph today, and its translators follow
[tested](test:pylit/test_translate.py::test_authors_are_not_held_up_by_translations).
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from . import (
    claims,
    figures,
    layout,
    live,
    measured,
    outline,
    prose,
    quantities,
    symbols,
    translate,
)
from . import inventory as inventories
from .claims import Claim
from .config import Config
from .frame import texts
from .halves import Partner
from .outline import Outline
from .page import Page
from .problems import Mistakes, Problem, Problems, Refusal
from .remembered import fingerprint
from .request import Request
from .site import Site


def run(request: Request) -> Problems:
    """Every problem of the sources, errors and warnings."""
    # What was found on a page is remembered with it
    request.keep = request.remember
    site = Site(request)
    if not request.execute:
        site.second = partial(_help, request)
    problems = Problems()
    try:
        try:
            site.render()
        except Mistakes as mistakes:
            problems.extend(mistakes.problems)
        problems.extend(site.problems)
        _other_numbers(site, problems)
        looked = _closer(site, problems)
        _uncited(site, problems)
        words = _words(request.config) if site.catalogs else []
        for catalog in site.catalogs.values():
            shown = str(catalog.path.relative_to(request.config.root))
            compared = translate.Compared(site.memory, catalog.path)
            missing = bool(request.languages)
            checked = translate.Checked(catalog, problems, shown, missing, compared)
            said = {o.source.shown: looked[o.source.url]['messages'] for o in site.shown()}
            checked(request.config, said, words)
        site.memory.save()
    finally:
        site.close()
    return problems


def _help(request: Request, partner: Partner) -> None:
    """What a second process does of it."""
    site = Site(request, partner=partner)
    with suppress(Mistakes):
        site.prepare()
    _closer(site, Problems())


# ## The closer look
#
# What it finds on a page is remembered by what it has looked at: an author changes one page, and
# asks again.
def _closer(site: Site, problems: Problems) -> dict[str, dict[str, Any]]:
    """Tell what is wrong with the pages, one by one; and what of them is held against others."""
    shown = {found.source.url: found for found in site.shown()}

    def weigh(found: Outline) -> int:
        return len(site.texts[found.source.url])

    def each(look: Callable[[Outline], Any]) -> dict[str, Any]:
        site.share(shown, weigh, lambda half: [look(found) for found in half])
        return {url: look(found) for url, found in shown.items()}

    looked = each(partial(_alone, site))
    reach = quantities.CallGraph(one['reached'] for one in looked.values())
    said = fingerprint([one['reached'] for one in looked.values()])
    told = each(partial(_together, site, looked, reach, said))
    for found in (*looked.values(), *told.values()):
        problems.extend(Problem(*one) for one in found['problems'])
    return looked


def _alone(site: Site, found: Outline) -> dict[str, Any]:
    """What is seen on one page."""
    config, problems = site.config, Problems()
    tested = config.lists(found.source.path, config.tested_pages)
    sourced = config.lists(found.source.path, config.measured_pages)

    def make() -> dict[str, Any]:
        page = site.full(found)
        look(page, problems)
        if tested:
            _untested(page, problems)
        if sourced:
            measured.unsourced(page, problems)
        return {
            'problems': [list(vars(problem).values()) for problem in problems],
            'messages': list(translate.messages(page)),
            'measured': measured.files(page),
            'reached': quantities.reached(page),
        }

    return dict(site.memory.made(site.named('alone', found, tested, sourced), make))


def _together(
    site: Site,
    looked: Mapping[str, Mapping[str, Any]],
    reach: quantities.CallGraph,
    said: str,
    found: Outline,
) -> dict[str, Any]:
    """What is seen beside other pages and files: code, measurements, broken versions."""
    config, problems = site.config, Problems()
    files = [_hash(config.root / name) for name in looked[found.source.url]['measured']]
    mutated = config.lists(found.source.path, config.mutated_pages)
    caught = [site.caught.get(claim.test) for claim in found.claims] if mutated else []

    def make() -> dict[str, Any]:
        page = site.full(found)
        measured.check(page, config, problems)
        if mutated:
            _unbroken(page, site.caught, problems)
        quantities.check(page, reach, problems)
        return {'problems': [list(vars(problem).values()) for problem in problems]}

    name = site.named('together', found, files, mutated, caught, said)
    return dict(site.memory.made(name, make))


def _other_numbers(site: Site, problems: Problems) -> None:
    """Numbers of files that are no pages, as a README."""
    pages = {found.source.path.resolve() for found in site.outlines.values()}
    for page in measured.others(site.config, pages):
        for look in (measured.lost, measured.unsourced):
            look(page, problems)
        measured.check(page, site.config, problems)


def _hash(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return str(error.strerror)


def look(page: Page, problems: Problems) -> None:
    """The closer look at one page."""
    _colours(page, problems)
    _brackets(page, problems)
    _commented_code(page, problems)
    if not page.rows:
        problems.warning((page.source.shown, 1, 1), 'an empty page')


def _uncited(site: Site, problems: Problems) -> None:
    """What stands in the bibliography for nobody."""
    cited = {link.href for found in site.shown() for link in found.links}
    for entry in (site.directory.bibliography or {}).values():
        if not cited & {f'cite:{entry.key}', f'cite:@{entry.key}'}:
            where = (site.config.bibliography, entry.line, 1)
            problems.note(where, f'{entry.key!r} is cited nowhere')


# ## Formulas
def _colours(page: Page, problems: Problems) -> None:
    for _, formula in page.formulas():
        for name, offset in symbols.colours(formula.tex):
            if name not in layout.COLOURS:
                where, excerpt = page.spot(*formula.at(offset))
                known = ', '.join(sorted(set(layout.COLOURS.values()) - {'ink'}))
                problems.error(where, f'unknown colour {name!r}: there are {known}', excerpt)


def _brackets(page: Page, problems: Problems) -> None:
    for _, formula in page.formulas():
        bracket = symbols.unbalanced(formula.tex)
        if bracket:
            where, excerpt = page.spot(*formula.at(0))
            problems.warning(where, f'{bracket} without its partner in a formula', excerpt)


# ## Equations without a test
def _untested(page: Page, problems: Problems) -> None:
    _, covered, _ = outline.equations(page)
    for number, formula in enumerate(outline.displayed(page)):
        where, excerpt = page.spot(*formula.at(0))
        if formula.no_test == '':
            problems.error(where, 'no-test without a reason: say why, as `definition`', excerpt)
        elif formula.no_test is None and number not in covered:
            message = 'an equation without a test: name one, or write `<!-- no-test: why -->` below'
            problems.error(where, message, excerpt)


# ## Tests that were never seen to fail
def _unbroken(page: Page, caught: Mapping[str, claims.Caught], problems: Problems) -> None:
    for note in page.notes:
        for token, block in prose.walk(note.tokens):
            href = str(token.attrs.get('href', '')) if token.type == 'link_open' else ''
            claim = Claim.of(href) if href.startswith('test:') else None
            if claim and (wrong := _never_failed(caught.get(claim.test))):
                where, excerpt = page.spot(*note.where(block, href))
                problems.error(where, f'{claim.test} {wrong}', excerpt)


def _never_failed(caught: claims.Caught | None) -> str:
    if caught is None or not (caught.of or caught.without):
        return 'was shown no broken version of the code, and nobody says why'
    passed = caught.of - caught.killed
    return f'passes on {passed} of {caught.of} broken versions of the code' if passed else ''


# ## Code that was commented out
#
# A comment that Python can read as a statement. Prose is seldom a statement, except for single
# words, lists of them and quotations, so only what does something counts.
DOES = (
    ast.Assign, ast.AugAssign, ast.Return, ast.Import, ast.ImportFrom, ast.Raise, ast.For, ast.If,
    ast.While, ast.With, ast.FunctionDef, ast.ClassDef, ast.Delete, ast.Assert,
)  # fmt: skip


def _commented_code(page: Page, problems: Problems) -> None:
    if page.module is None or page.notebook:
        return
    for section in page.sections:
        lines = [line for line in section.prose if line.number]
        lines = [line for line in lines if line.number not in page.module.documented]
        fenced = False
        for line in lines:
            if line.text.lstrip().startswith(('```', '~~~')):
                fenced = not fenced
            if not fenced and not line.text.startswith('    ') and is_code(line.text):
                where, excerpt = page.spot(line.number, line.column + 1)
                problems.warning(where, 'code in a comment: delete it, or write `## …`', excerpt)


def is_code(text: str) -> bool:
    """Whether a line of a comment reads like a statement that does something."""
    for candidate in _attempts(text.strip()):
        try:
            body = ast.parse(candidate).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        return any(_does(node) for node in body)
    return False


def _attempts(text: str) -> Iterator[str]:
    yield text
    if text.endswith(':'):
        yield f'{text} pass'


def _does(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr):
        # `[text](address)` is a call too, of a list
        call = node.value
        return isinstance(call, ast.Call) and isinstance(call.func, (ast.Name, ast.Attribute))
    return isinstance(node, DOES)


# ## Catalogues
def gettext(
    request: Request, locale: Path | None, asked: Sequence[str] | None, template: bool
) -> int:
    """Bring the languages that were asked for up to date, or those of the project."""
    languages = [*([''] if template else []), *(asked or request.config.languages)]
    if not languages:
        raise Refusal('no language: say --lang, or `languages` in [tool.pylit], or --pot')
    request.languages = []
    site = Site(request)
    site.read()
    site.problems.raise_errors()
    config = request.config
    if locale:
        try:
            folder = locale.resolve().relative_to(config.root.resolve())
        except ValueError:
            raise Refusal(f'{locale}: not inside the project {config.root}') from None
        config = type(config)(**{**vars(config), 'locale': folder.as_posix()})
    pages = [site.full(found) for found in site.shown()]
    for language in languages:
        print(translate.update(config, pages, _words(config), language))
    return 0


# ## Inventories
def inventory(request: Request, of: Path, out: Path) -> int:
    """Keep of an [inventory](inventory.py) the names that the pages use."""
    listed = inventories.read(of)
    request.languages = []
    site = Site(request)
    site.index.documented = listed
    site.read()
    site.problems.raise_errors()
    used = {name for found in site.shown() for name in site.outside(site.full(found))}
    inventories.write({name: listed[name] for name in used}, out, of)
    print(f'{len(used)} of {len(listed)} names in {out}')
    return 0


def _words(config: Config) -> list[str]:
    """What is translated besides the pages and the settings: the frame, and what figures say."""
    return list(dict.fromkeys([*texts(), *live.texts(config), *figures.texts(config)]))
