"""Options: what a class declares, what is checked, the command line and files."""

from dataclasses import dataclass
from typing import Annotated

import pytest
from labml.configs import BaseConfigs

from labml_nn.cli.declared import declarations
from labml_nn.cli.options import (
    FLAG,
    AtLeast,
    AtMost,
    OneOf,
    Parser,
    Passes,
    Words,
    add_configs,
    add_options,
    check_options,
    option_meanings,
    option_types,
    option_values,
    parse_value,
)

# ## What a class declares

Whole = Annotated[int, AtLeast(0)]


@dataclass(frozen=True)
class Options:
    size: Annotated[Whole, 'how large, # of things', AtMost(9)] = 3
    several: Annotated[tuple[int, ...], AtMost(9), 'how many: of each', 'and a mark'] = (1, 2)
    plain: str = 'x'


@dataclass(frozen=True)
class More(Options):
    size: Annotated[int, 'how large here'] = 4
    rate: Annotated[float, 'how fast'] = 0.5


class Labmls(BaseConfigs):
    size: Annotated[int, 'how large'] = 3


def test_a_line_declares_type_and_meaning():
    assert option_types(Options) == {'size': int, 'several': tuple[int, ...]}
    assert option_meanings(Options) == {
        'size': 'how large, # of things', 'several': 'how many: of each',
    }  # fmt: skip
    assert option_values(Options(size=7)) == {'size': 7, 'several': (1, 2)}


def test_what_a_base_declares_is_declared_in_its_order():
    assert list(option_types(More).items()) == [
        ('size', int), ('several', tuple[int, ...]), ('rate', float),
    ]  # fmt: skip
    assert option_meanings(More)['size'] == 'how large here'
    check_options(More, {'size': -1})  # its own line counts


def test_a_class_of_labmls_declares_alike():
    options = Labmls()
    options.size = 7
    assert option_values(options) == {'size': 7}


def test_meanings_need_no_source():
    """A program may be shipped without, or have no file at all."""
    names = {'Annotated': Annotated}
    exec("class Typed:\n    n: Annotated[int, 'how many'] = 1", names)
    assert option_meanings(names['Typed']) == {'n': 'how many'}


# ## What is checked


@dataclass
class Checked:
    n: Annotated[int, 'how many', AtLeast(2), AtMost(1000)] = 2
    widths: Annotated[tuple[int, ...], 'of each', AtLeast(1)] = (1,)
    rate: Annotated[float, 'how fast'] = 1.0
    word: Annotated[str, 'which', OneOf({'red': 1, 'blue': 2}, 'colour', ('', 'none'))] = 'red'
    code: Annotated[str, 'how', Passes(bytes.fromhex)] = '00'


@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        ('wdths', 1, 'there is no option wdths: did you mean widths'),
        ('n', 1, 'n=1 must be at least 2'),
        ('n', 1001, 'n=1001 is absurd: need at most 1,000'),
        ('n', -1001, 'n=-1001 must be at least 2'),
        ('n', 'x', "n='x' is a str: need int"),
        ('n', True, 'n=True is a bool: need int'),
        ('n', 2.0, 'n=2.0 is a float: need int'),
        ('widths', (1, 0), 'widths=0 must be at least 1'),
        ('widths', 1, 'widths is a int: need several values'),
        ('widths', (1,) * 65, 'need several values, up to 64'),
        ('rate', float('nan'), 'rate=nan is no number: need a finite one'),
        ('rate', float('-inf'), 'rate=-inf is no number'),
        ('rate', 10**400, 'rate=1000.* is no number'),
        ('word', 'blu', 'there is no colour blu: did you mean blue. .there is red, blue.'),
        ('code', 'xy', 'non-hexadecimal'),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(name, value, message):
    with pytest.raises(ValueError, match=message):
        check_options(Checked, {name: value})


def test_values_that_make_sense_pass():
    check_options(Checked, {'n': 2, 'widths': [1, 5], 'rate': 2, 'word': 'none', 'code': 'ff'})
    check_options(Checked, {'n': 1000, 'rate': -1e308, 'word': 'blue'})


# ## What is read


@pytest.mark.parametrize(
    ('text', 'kind', 'value'),
    [
        ('12', int, 12),
        ('1e5', int, 100_000),
        ('100_000', int, 100_000),
        ('-3', int, -3),
        ('123456789012345678', int, 123456789012345678),
        ('2e-4', float, 2e-4),
        ('yes', bool, True),
        ('False', bool, False),
        ('1,2,2', tuple[int, ...], (1, 2, 2)),
        ('(1, 2)', tuple[int, ...], (1, 2)),
        ('[true,false]', tuple[bool, ...], (True, False)),
        ('a b', str, 'a b'),
    ],
)
def test_values(text, kind, value):
    got = parse_value(text, kind)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ('text', 'kind'),
    [
        ('x', int),
        ('1.5', int),
        ('inf', int),
        ('nan', int),
        ('x', float),
        ('2', bool),
        ('1,x', tuple[int, ...]),
    ],
)
def test_values_of_the_wrong_kind(text, kind):
    with pytest.raises(ValueError, match='need'):
        parse_value(text, kind)


# ## Options from a file


@dataclass
class Kinds:
    n: Annotated[int, 'how many'] = 1
    rate: Annotated[float, 'how fast'] = 0.5
    flip: Annotated[bool, 'whether'] = False
    word: Annotated[str, 'which'] = 'x'
    widths: Annotated[tuple[int, ...], 'of each'] = (1, 2)
    names: Annotated[tuple[str, ...], 'of all', Words(commas=True)] = ()


def parsed(tmp_path, text, *argv):
    (tmp_path / 'run.yaml').write_text(text)
    p = Parser()
    p.add_argument('--preset', default='digits')
    add_configs(p, Kinds, option_values(Kinds()))
    return vars(p.parse(['--config', str(tmp_path / 'run.yaml'), *argv]))


def test_a_file_says_what_the_command_line_says(tmp_path):
    text = 'preset: cifar10\nn: 1e5\nrate: 2e-4\nflip: yes\nword: "no"\nwidths: [1, 2, 2]\nnames: a'
    got = parsed(tmp_path, text)
    del got['config']
    assert got == dict(
        preset='cifar10', n=100_000, rate=2e-4, flip=True, word='no', widths=(1, 2, 2), names=('a',)
    )
    assert 'n' not in parsed(tmp_path, '')


def test_the_command_line_comes_before_the_file(tmp_path):
    got = parsed(tmp_path, 'n: 3\nnames: [a]', '--n', '4', '--names', 'b', '--names', 'c')
    assert (got['n'], got['names'], got['preset']) == (4, ('b', 'c'), 'digits')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('wdths: [1]', 'there is no option wdths: did you mean widths?'),
        ('resume: true', 'there is no option resume'),
        ('n: [1, 2]', 'n: need int'),
        ('n: 1.5', 'n: need a whole number'),
        ('n: true', 'n: need int, got True'),
        ('flip: 3', 'flip: need true or false'),
        ('word: no', 'word: need a word in quotes: False'),
        ('widths: [1, {}]', 'widths: need int'),
        ('- n', 'holds a list'),
        ('n: 1\nn: 2', 'n is given twice'),
        ('n: 010', 'n: 010 has more than one reading'),
        ('widths: [1:30, 2]', 'widths: 1:30 has more than one reading'),
        ('names: &a [x]\nword: *a', 'has an alias'),
        (f'widths: {"[" * 5000}', 'is no YAML'),
        ('n: [1', 'is no YAML'),
        ('n: !!python/object/apply:os.getcwd []', 'is no YAML'),
    ],
)
def test_a_file_that_is_wrong_is_refused(tmp_path, capsys, text, message):
    with pytest.raises(SystemExit) as leaving:
        parsed(tmp_path, text)
    assert leaving.value.code == 2
    assert message in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(capsys):
    p = Parser()
    add_configs(p, Kinds, option_values(Kinds()))
    with pytest.raises(SystemExit):
        p.parse(['--config', 'nowhere.yaml'])
    assert 'nowhere.yaml' in capsys.readouterr().err


# ## A command's own options
class Told:
    n: Annotated[int, 'how many'] = 16
    pair: Annotated[tuple[str, ...], 'two', Words(2)] = ('0', '1')
    t: Annotated[tuple[int, ...] | None, 'steps (all)', Words()] = None
    no_clip: Annotated[bool, 'free, 100 %', FLAG] = False


def told(*argv):
    p = Parser()
    p.add_argument('run')
    add_options(p, Told)
    return vars(p.parse([*argv]))


def test_what_a_command_is_not_told_has_its_value():
    assert told('r') == dict(run='r', n=16, pair=('0', '1'), t=None, no_clip=False)


def test_words_stand_with_blanks_between_them():
    # Two words and no more, so that the run may follow; a comma belongs to a file's name
    got = told('--pair', 'a,b.png', '3', 'r', '--t', '1', '1e1', '--no-clip', '--n', '1e3')
    assert got == dict(run='r', n=1000, pair=('a,b.png', '3'), t=(1, 10), no_clip=True)
    assert told('r', '--t', '1', '--t', '2')['t'] == (1, 2)
    assert told('r', '--pair', '1', '2', '--pair', '3', '4')['pair'] == ('3', '4')


def test_the_help_tells_what_holds_when_nothing_is_said(capsys):
    with pytest.raises(SystemExit):
        told('--help')
    text = ' '.join(capsys.readouterr().out.split())
    assert 'how many (16)' in text
    assert 'two (0 1)' in text
    assert 'steps (all) ' in text
    assert 'free, 100 %' in text


def test_an_option_may_be_left_out():
    assert option_types(Told)['t'] == tuple[int, ...]
    Nested = Annotated[int, 'inner']
    names = {'T': Annotated[Nested | None, 'outer']}
    assert declarations(type('X', (), {'__annotations__': names})) == {'T': (int, 'outer', 'inner')}
    with pytest.raises(TypeError, match='one type'):
        declarations(type('X', (), {'__annotations__': {'T': Annotated[int | str, 'x']}}))
