r"""
# The command line

```sh
python -m labml_nn.pylit build my_model.py -o site
python -m labml_nn.pylit serve my_package
python -m labml_nn.pylit check my_package
python -m labml_nn.pylit test my_package
```

`build` renders what it can: a mistake is marked in its place on the page, printed and counted.
With `--strict` nothing is written if there is one, or a warning.

Exit status: 0 done, 1 something is wrong in the sources (every line says where), 2 the arguments
or the machine. A traceback is a defect of ours, and `--debug` shows it.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labml_nn.cli.output import command

from . import VERSION, claims
from .config import load
from .problems import FORMATS, Mistakes, Problem, Problems, Refusal

if TYPE_CHECKING:
    from .request import Request

EXAMPLES = """examples:
  %(prog)s setup                            install KaTeX, once per user (needs Node 18)
  %(prog)s build model.py -o site           one annotated file
  %(prog)s build my_package -o site         a package; [tool.pylit] of pyproject.toml is optional
  %(prog)s serve my_package --open          write, save, see
  %(prog)s check my_package --format github
  %(prog)s test my_package                  run the tests that the pages name
  %(prog)s build my_package -o site --test  the same where it is needed, for marks that are true
  %(prog)s gettext my_package --lang zh     what there is to translate
  %(prog)s serve my_package --lang zh       the translation, while it is written
"""


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog='python -m labml_nn.pylit',
        description='Literate pages from annotated Python sources.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    main.add_argument('--version', action='version', version=f'pylit {VERSION}')
    main.add_argument('--debug', action='store_true', help='show tracebacks')
    commands = main.add_subparsers(dest='command', required=True, metavar='COMMAND')
    commands.add_parser('setup', help='install KaTeX for this user')
    build = commands.add_parser('build', help='write the site')
    build.add_argument('-o', '--out', type=Path, required=True, help='the folder of the site')
    build.add_argument(
        '--test', action='store_true', help='first run the tests that the pages name, if need be'
    )
    commands.add_parser('test', help='run the tests that the pages name')
    serve = commands.add_parser('serve', help='show the pages while they are written')
    serve.add_argument('--port', type=int, default=0, help='default: any that is free')
    serve.add_argument('--open', action='store_true', help='open a browser')
    check = commands.add_parser('check', help='say what is wrong')
    check.add_argument('--format', choices=sorted(FORMATS), default='text')
    inventory = commands.add_parser('inventory', help='keep of an objects.inv what the pages use')
    inventory.add_argument('--of', type=Path, required=True, metavar='INV', help='of Sphinx')
    inventory.add_argument('-o', '--out', type=Path, required=True, help='the file to write')
    gettext = commands.add_parser('gettext', help='write or update catalogues of translations')
    gettext.add_argument('-d', '--locale', type=Path, help='folder of the catalogues')
    gettext.add_argument('--pot', action='store_true', help='write the template messages.pot too')
    for one in (build, commands.choices['test'], serve, check, inventory, gettext):
        _shared(one)
    return main


def _shared(command: argparse.ArgumentParser) -> None:
    command.add_argument('paths', nargs='+', type=Path, metavar='PATH')
    command.add_argument(
        '--lang',
        action='append',
        metavar='LANGUAGE',
        help='can be repeated; en alone for none besides English; default: those of [tool.pylit]',
    )
    command.add_argument(
        '--report',
        type=Path,
        metavar='JSON',
        help=f'of a run of the tests; default: {claims.REPORT} beside pyproject.toml',
    )
    command.add_argument('--execute', action='store_true', help='draw figures that are out of date')
    command.add_argument('--strict', action='store_true', help='warnings are errors')
    command.add_argument('--no-cache', action='store_true', help='make everything again')


@command
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        return _run(options)
    except Mistakes as mistakes:
        _say(mistakes.problems, getattr(options, 'format', 'text'))
        return 1
    except Refusal as refusal:
        if options.debug:
            raise
        print(f'pylit: error: {refusal}', file=sys.stderr)
        return 2
    except OSError as error:
        if options.debug:
            raise
        print(f'pylit: error: {error.filename or ""}: {error.strerror}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _say(problems: Sequence[Problem], form: str) -> None:
    text = FORMATS[form](sorted(problems))
    if text:
        # Reports for programs go where programs read
        print(text, file=sys.stdout if form != 'text' else sys.stderr)


def _run(options: argparse.Namespace) -> int:
    # Only what a command needs is imported: `--help` answers at once
    if options.command == 'setup':
        from . import formulas

        print(formulas.setup())
        return 0
    from .request import Request

    config = load(options.paths[0])
    request = Request(
        options.paths,
        config,
        report=options.report,
        languages=options.lang,
        execute=options.execute,
        remember=not options.no_cache,
    )
    if options.command == 'test':
        return _test(request)
    if options.command == 'serve':
        from . import serve

        return serve.run(request, options.port, options.open)
    if options.command == 'build':
        return _build(request, options)
    from . import check

    if options.command == 'gettext':
        return check.gettext(request, options.locale, options.lang, options.pot)
    if options.command == 'inventory':
        return check.inventory(request, options.of, options.out)
    problems = check.run(request)
    _say(problems, options.format)
    return _status(problems, options.strict)


def _test(request: Request) -> int:
    from . import testing

    asked = testing.named(request)
    if not asked:
        print('the pages name no test')
        return 0
    report = testing.run(request, asked)
    said = [report.verdict(claim) for claim in asked]
    print(', '.join(f'{said.count(v)} {v}' for v in dict.fromkeys([claims.PASSED, *said])))
    return 1 if claims.FAILED in said else 0


def _build(request: Request, options: argparse.Namespace) -> int:
    from . import swap, unchanged

    swap.check(options.out)
    request.out = options.out
    request.keep = not options.no_cache
    request.lenient = not options.strict
    memory, name = request.memory(), request.name(options.test)
    known = memory.get(name)
    memory.close()
    if not (known and unchanged.holds(known['seen']) and swap.stands(options.out, known['files'])):
        known = _built(request, options, name)
        if known is None:
            return 1
    if known['note']:
        print(f'note: {known["note"]}', file=sys.stderr)
    wrong = known['wrong']
    count = f', {wrong} mistake{"s" * (wrong > 1)}: see above' if wrong else ''
    print(f'{known["pages"]} pages in {os.path.relpath(options.out)}{count}')
    return 0


def _built(request: Request, options: argparse.Namespace, name: str) -> dict[str, Any] | None:
    """Build, and remember under this name what was looked at; nothing if that was refused."""
    from . import swap, testing, unchanged
    from .site import Site

    if options.test:
        testing.ensure(request)
    # All of the trees and tokens are needed: to look for lost ones is a tenth of a build
    gc.disable()
    with unchanged.watching(options.out) as watch:
        site = Site(request)
        if not options.execute:
            # Figures are drawn once
            site.second = lambda partner: Site(request, partner=partner).prepare()
        try:
            files = site.render()
            _say(site.problems, 'text')
            if options.strict and site.problems.serious:
                return None
            said = f'{site.unproved}: no mark says passed; --test runs them'
            made = {
                'files': swap.sums(files),
                'pages': len(site.shown()),
                'note': said if site.unproved and site.naming else '',
                'wrong': len(site.problems.errors),
                'seen': watch.seen(),
            }
            if not site.problems:
                # What is wrong is told each time
                site.memory.put(name, made)
                site.memory.save()
        finally:
            gc.enable()
            site.close()
    swap.write(files, options.out)
    return made


def _status(problems: Problems, strict: bool) -> int:
    return 1 if problems.errors or (strict and problems.serious) else 0


if __name__ == '__main__':
    sys.exit(main())
