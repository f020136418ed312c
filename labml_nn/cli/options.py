r"""
# Options

Each option is declared once, as a line of a class: its name, its type, what it means, what is
checked, and its value where nothing else is said.

    batch_size: Annotated[int, 'images a step', AtLeast(1)] = 64

The command line is made from [these lines](declared.html). A file has the same names
(`--config run.yaml`), and comes before the preset and after the command line.
"""

import argparse
import itertools
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, get_args, get_origin

from labml_nn.cli.declared import declarations, may_be_none
from labml_nn.cli.messages import nearest, shown

# What YAML reads to base 8 and 60
ODD_NUMBER = r'[-+]?(0[0-9_]+|[0-9][0-9_]*(:[0-9]+)+(\.[0-9]*)?)'


# ## What a class declares
def option_types(configs: type) -> dict[str, Any]:
    r"""
    The names of a class's options, in order, and their types.
    """
    return {name: kind for name, (kind, *_) in declarations(configs).items()}


def option_meanings(configs: type) -> dict[str, str]:
    r"""
    What each option means: the first words that are said of it.
    """
    return {
        name: next(words for words in said if isinstance(words, str))
        for name, (_, *said) in declarations(configs).items()
    }


def option_values(configs: object) -> dict[str, Any]:
    r"""
    All options of an object as plain values, to be kept in a checkpoint.
    """
    return {name: getattr(configs, name) for name in declarations(type(configs))}


# ## How it is written
@dataclass(frozen=True)
class Words:
    r"""
    Said of an option of several words with blanks between them: `--images 0 1`.
    """

    number: int | str = '+'
    commas: bool = False  # whether commas part words too: not where they may be file names


# Said of a truth that is told by its name alone: `--separate`
FLAG = object()


# ## What is checked
#
# A check raises `ValueError` for a value that the option of this name cannot have. Of several
# values, each is checked.
@dataclass(frozen=True)
class AtLeast:
    r"""
    The smallest number that makes sense.
    """

    least: float

    def __call__(self, name: str, value: Any) -> None:
        if value < self.least:
            raise ValueError(f'{name}={value} must be at least {self.least}')


@dataclass(frozen=True)
class AtMost:
    r"""
    A number beyond all that there is, and short of what takes hours to refuse.
    """

    most: float

    def __call__(self, name: str, value: Any) -> None:
        if abs(value) > self.most:
            raise ValueError(f'{name}={shown(value)} is absurd: need at most {self.most:,}')


@dataclass(frozen=True)
class OneOf:
    r"""
    One of the names of a table, or of `others`, which are not told.
    """

    names: Collection[str]
    what: str
    others: Collection[str] = ()

    def __call__(self, name: str, value: Any) -> None:
        if value not in self.names and value not in self.others:
            raise ValueError(nearest(value, list(self.names), self.what))


@dataclass(frozen=True)
class Passes:
    r"""
    What a function lets pass.
    """

    check: Callable[[Any], Any]

    def __call__(self, name: str, value: Any) -> None:
        self.check(value)


def check_options(configs: type, values: Mapping[str, Any]) -> None:
    r"""
    A `ValueError` unless each value is one that the option of this name can have.
    """
    declared = declarations(configs)
    for name, value in values.items():
        if name not in declared:
            raise ValueError(nearest(name, list(declared), 'option'))
        kind, *said = declared[name]
        # Nothing is said, where that is a value
        if value is None and name in may_be_none(configs):
            continue
        check_value(name, value, kind)
        check_said(name, value, said)


def check_said(name: str, value: Any, said: Sequence[Any]) -> None:
    r"""
    A `ValueError` unless a value passes every check that is said of its option.
    """
    for check in filter(callable, said):
        for item in value if isinstance(value, tuple | list) else [value]:
            check(name, item)


def check_value(name: str, value: Any, kind: Any) -> None:
    r"""
    A `ValueError` unless a value that was read from a checkpoint is one of type `kind`.
    """
    if get_origin(kind) is tuple:
        if not isinstance(value, tuple | list) or len(value) > 64:
            raise ValueError(f'{name} is a {type(value).__name__}: need several values, up to 64')
        for item in value:
            check_value(name, item, get_args(kind)[0])
        return
    kinds = (int, float) if kind is float else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f'{name}={shown(value)} is a {type(value).__name__}: need {kind.__name__}')
    # Of a whole number that is too large for a float, too
    if kind is float and not abs(value) <= sys.float_info.max:
        raise ValueError(f'{name}={shown(value)} is no number: need a finite one')


# ## What is read
def parse_value(text: str, kind: Any) -> Any:
    r"""
    What `text` says, as a value of type `kind`: a number, a truth, a word, or several of one kind
    with commas between them. Raises `ValueError`.
    """
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        return tuple(parse_value(part, item) for part in text.strip('()[] ,').split(','))
    if kind is bool:
        truths = {'true': True, 'yes': True, '1': True, 'false': False, 'no': False, '0': False}
        if text.strip().lower() not in truths:
            raise ValueError(f'need true or false, got {text!r}')
        return truths[text.strip().lower()]
    try:
        # 1e5 and 100_000 are whole numbers too
        if kind is int:
            number = float(text)
            if number != int(number):
                raise ValueError
            return int(text) if text.strip().lstrip('+-').isdigit() else int(number)
        return kind(text)
    except (ValueError, OverflowError):
        names = {int: 'a whole number', float: 'a number'}
        raise ValueError(f'need {names.get(kind, kind.__name__)}, got {text!r}') from None


def kind_name(kind: Any) -> str:
    r"""
    A type in words for the help: `INT`, `FLOAT,…`.
    """
    if get_origin(kind) is tuple:
        return f'{get_args(kind)[0].__name__.upper()},…'
    return kind.__name__.upper()


# ## Options from a file
def read_options(path: str | Path, configs: type, more: Sequence[str] = ()) -> dict[str, Any]:
    r"""
    The options that a YAML file holds, under the names that the command line has.

        preset: cifar10
        batch_size: 64
        ch_mults: [1, 2, 2]

    * `more` further names that are allowed; their values are words

    Read with YAML's safe loader: a file holds values and runs nothing. Raises `OSError`, or
    `ValueError` for a file that is no YAML, for a name that is not known, with the nearest that
    is, and for a value of the wrong kind.
    """
    import yaml

    kinds = {**option_types(configs), **dict.fromkeys(more, str)}
    try:
        text = Path(path).read_text(encoding='utf-8')
        # A few lines of names for lists of names stand for gigabytes
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ValueError(f'{path} has an alias (*name): write the value itself')
        check_yaml(yaml.compose(text, yaml.SafeLoader), path)
        content = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f'{path} is no YAML: {" ".join(str(error).split())}') from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ValueError(f'{path} holds a {type(content).__name__}: need lines of "option: value"')
    values: dict[str, Any] = {}
    for name, value in content.items():
        if name not in kinds:
            raise ValueError(f'{path}: {nearest(str(name), list(kinds), "option")}')
        if value is None and name in may_be_none(configs):
            values[name] = None
            continue
        try:
            values[name] = file_value(value, kinds[name])
        except ValueError as error:
            raise ValueError(f'{path}: {name}: {error}') from None
    return values


def options_text(values: Mapping[str, Any]) -> str:
    r"""
    Options as the text of a file from which `read_options` has the same values.
    """
    import yaml

    plainly = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
    return yaml.safe_dump(plainly, sort_keys=False, allow_unicode=True, default_flow_style=None)


def check_yaml(node: Any, path: str | Path) -> None:
    r"""
    A `ValueError` for what YAML would read as something else than what one sees: an option given
    twice, of which the last would count, and whole numbers of base 8 or 60, such as 010 and 1:30.

    * `node` what the file's text was composed to, or `None` for an empty one
    """
    if getattr(node, 'id', None) != 'mapping':
        return
    seen: set[str] = set()
    for key, value in node.value:
        if key.id == 'scalar' and key.value in seen:
            raise ValueError(f'{path}: {key.value} is given twice: leave one of them')
        seen.add(str(key.value) if key.id == 'scalar' else '')
        for item in value.value if value.id == 'sequence' else [value]:
            if item.id == 'scalar' and item.style is None and re.fullmatch(ODD_NUMBER, item.value):
                raise ValueError(
                    f'{path}: {key.value}: {item.value} has more than one reading: write a '
                    f'number without a leading zero or colon, or a word in quotes'
                )


def file_value(value: Any, kind: Any) -> Any:
    r"""
    A value of a file as one of type `kind`, by the rules of the command line. Raises `ValueError`.
    """
    if get_origin(kind) is tuple:
        items = value if isinstance(value, list) else str(value).strip('()[] ').split(',')
        return tuple(file_value(item, get_args(kind)[0]) for item in items)
    # `no` is a truth in YAML, 007 is a number: what is meant as a word is told by quotes
    if not isinstance(value, str if kind is str else str | int | float | bool):
        raise ValueError(f'need {"a word in quotes" if kind is str else kind.__name__}: {value!r}')
    if isinstance(value, bool) and kind is not bool:
        raise ValueError(f'need {kind.__name__}, got {value!r}')
    return parse_value(str(value), kind)


class Parser(argparse.ArgumentParser):
    r"""
    A parser that takes no abbreviations, and names the nearest option when it does not know one.
    """

    def __init__(self, **kwargs: Any):
        kwargs.setdefault('formatter_class', argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **kwargs)

    # What a file given as `--config` says; `add_options` sets it
    read_config: Callable[[Path], Mapping[str, Any]]

    def error(self, message: str) -> NoReturn:
        self.exit(2, f'error: {message}\n(see {self.prog} --help)\n')

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        r"""
        What the command line says. Exits with status 2 when it says something unknown.
        """
        arguments, unknown = self.parse_known_args(argv)
        if getattr(arguments, 'config', None) and not unknown:
            try:
                self.set_defaults(**self.read_config(arguments.config))
            except (ValueError, OSError) as error:
                self.error(str(error))
            arguments, unknown = self.parse_known_args(argv)
        if unknown:
            options = [o.lstrip('-') for o in self._option_string_actions]
            first = unknown[0]
            if first.startswith('--'):
                self.error(nearest(first[2:].split('=')[0].replace('-', '_'), options, 'option'))
            self.error(f'{first!r} has no option before it')
        return arguments


class AppendWords(argparse.Action):
    r"""
    An option that takes several words: with blanks, or by being given again.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        before = getattr(namespace, self.dest, None)
        # The default, also of a file: what the command line says replaces it
        if before is self.default or before is None or isinstance(self.nargs, int):
            before = ()
        setattr(namespace, self.dest, (*before, *itertools.chain(*values)))


def add_configs(parser: Parser, configs: type, defaults: Mapping[str, Any]) -> None:
    r"""
    Let `parser` take every option of `configs`, from a file too; what is not given stays out of the
    namespace.
    """
    words = {'preset', 'out'} & {a.dest for a in parser._actions}
    parser.read_config = lambda path: read_options(path, configs, sorted(words))
    parser.add_argument(
        '--config', type=Path, help='a YAML file with options; those given here come before it'
    )
    group = parser.add_argument_group('options of the run (defaults of the preset digits)')
    for name, (kind, *said) in declarations(configs).items():
        add_option(group, name, kind, said, defaults[name], argparse.SUPPRESS)


def add_options(parser: Any, options: type) -> None:
    r"""
    Let `parser` take every option of `options`; what is not given has its value there.
    """
    for name, (kind, *said) in declarations(options).items():
        default = getattr(options, name)
        add_option(parser, name, kind, said, default, default)


def add_option(
    parser: Any, name: str, kind: Any, said: Sequence[Any], shown: Any, default: Any
) -> None:
    r"""
    Let `parser` take one option, as it is declared.

    * `said` all that is said of it, its meaning first
    * `shown` the value that the help tells; none for `None`
    * `default` the value of who does not give it
    """
    # A word that means something to Python is declared with a stroke after it: `from_`
    word = name.rstrip('_')
    # `--batch-size` is understood as well as `--batch_size`
    names = dict.fromkeys([f'--{word}', f'--{word.replace("_", "-")}'])
    text = next(words for words in said if isinstance(words, str))
    more: dict[str, Any] = {'dest': name, 'default': default}
    if FLAG in said:
        parser.add_argument(*names, action='store_true', help=escaped(text), **more)
        return
    words = next((x for x in said if isinstance(x, Words)), None)
    item = get_args(kind)[0] if words else kind
    if words:
        more |= {'action': AppendWords, 'nargs': words.number}

    def convert(text: str) -> Any:
        try:
            if words and not words.commas:
                return (parse_value(text, item),)
            return parse_value(text, kind)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    value = '' if shown is None else f' ({plain(shown, " " if words else ",")})'
    parser.add_argument(
        *names,
        type=convert,
        metavar=kind_name(item if words and not words.commas else kind),
        help=escaped(f'{text}{value}'),
        **more,
    )


def plain(value: Any, between: str = ',') -> str:
    r"""
    A value as one would type it; nothing for none.
    """
    if value is None:
        return ''
    if isinstance(value, tuple):
        return between.join(map(plain, value))
    if isinstance(value, bool):
        return str(value).lower()
    return f'{value:g}' if isinstance(value, float) else str(value)


def escaped(text: str) -> str:
    r"""
    Words of a help, in which argparse fills in what follows a percent sign.
    """
    return text.replace('%', '%%')
