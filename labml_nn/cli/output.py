r"""
# Output

What a command says is for people; what it is told to do is work. So no output decides over work
[tested](test:cli/test_output.py::test_work_goes_on_when_nobody_reads): a reader that goes away
(`| head -1`), a closed stream or a full disk under a log ends nothing, and the exit status is that
of the work. What the encoding of a terminal does not have is replaced by what it has
[tested](test:cli/test_output.py::test_work_is_done_in_any_encoding).

This page imports nothing but the standard library: the [renderer](../pylit/index.html) uses it too.
"""

import codecs
import contextlib
import functools
import io
import os
import sys
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, ParamSpec, TextIO, TypeVar, cast

P = ParamSpec('P')
R = TypeVar('R')

# What stands for a character that cannot be written; others become `\u1234`
INSTEAD = str.maketrans({
    '█': '#', '░': '.', '×': 'x', '→': '->', '←': '<-', '…': '...', '–': '-', '—': '-', '−': '-',
    '±': '+-', '≤': '<=', '≥': '>=', '·': '.', '²': '^2', '‘': "'", '’': "'", '“': '"', '”': '"',
    'é': 'e', '\u00a0': ' ', '\u2009': ' ', '\u202f': ' ',
})  # fmt: skip


def writable(text: str, encoding: str | None) -> str:
    r"""
    The text with those characters replaced that `encoding` does not have.
    """
    encoding = encoding or 'utf-8'
    return text.encode(encoding, 'labml_nn').decode(encoding)


def replacement(error: UnicodeError) -> tuple[str, int]:
    r"""
    What Python's encoders ask for: the text for what has none, and where to go on.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    shown = error.object[error.start : error.end].translate(INSTEAD)
    return shown.encode('ascii', 'backslashreplace').decode(), error.end


codecs.register_error('labml_nn', replacement)


class NullStream(io.StringIO):
    r"""
    In the place of a stream that there is not: `>&-` leaves a program without one.
    """

    def write(self, text: str) -> int:
        return len(text)


class ForgivingStream:
    r"""
    A stream that takes any text, and drops what nobody can be given. All else is as the `stream`
    has it.
    """

    def __init__(self, stream: TextIO | None):
        self.stream = NullStream() if stream is None else stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        r"""
        Write what can be written, and say that it was all.
        """
        shown = writable(text, getattr(self.stream, 'encoding', None))
        self.attempt(lambda: self.stream.write(shown))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        r"""
        Write one after the other.
        """
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        r"""
        Hand on what was written, if somebody is there.
        """
        self.attempt(self.stream.flush)

    def attempt(self, act: Callable[[], object]) -> bool:
        r"""
        Whether the stream could do it.
        """
        try:
            act()
        except (ConnectionError, ValueError) as error:
            # A closed stream raises a `ValueError`
            if isinstance(error, ConnectionError):
                self.leave()
            return False
        except OSError:  # a full disk may have room again later
            return False
        return True

    def leave(self) -> None:
        r"""
        Nobody will read any more. What is in the buffer goes nowhere, or Python would complain when
        it ends; a child process that inherits the pipe would die of it.
        """
        with contextlib.suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(nowhere, self.stream.fileno())
            finally:
                os.close(nowhere)
            self.stream.flush()

    def settle(self) -> None:
        r"""
        Empty the buffer, somewhere or nowhere.
        """
        if not self.attempt(self.stream.flush):
            self.leave()


def forgiving(stream: TextIO | None) -> TextIO:
    r"""
    The stream, so that it takes any text and never raises.
    """
    return stream if isinstance(stream, ForgivingStream) else cast(TextIO, ForgivingStream(stream))


def open_closed_streams() -> None:
    r"""
    Open what was closed of the three standard streams: the next file would get its number, and what
    a library writes to the number 1 would end in a checkpoint.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere == number:
                os.set_inheritable(number, True)
            else:
                os.dup2(nowhere, number)
                os.close(nowhere)


@contextlib.contextmanager
def forgiving_output() -> Iterator[None]:
    r"""
    Inside this block no print raises; after it the streams are those of before.
    """
    open_closed_streams()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = ours = forgiving(before[0]), forgiving(before[1])
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in ours:
            cast(ForgivingStream, stream).settle()


def refused(error: Exception, *, debug: bool = False) -> int:
    r"""
    Say what was wrong with the input, and give the status of that. With `debug` it is raised again.
    """
    if debug:
        raise error
    print(f'error: {error}', file=sys.stderr)
    return 2


def say_given_up() -> int:
    r"""
    Say so, and give the status of what Ctrl-C has ended.
    """
    print('\ngiven up', file=forgiving(sys.stderr), flush=True)
    return 130


def quiet_at_ctrl_c() -> None:
    r"""
    For a command that is still being imported: Ctrl-C ends it without a traceback
    [tested](test:cli/test_output.py::test_ctrl_c_while_a_command_is_imported). All other errors
    are shown as before.
    """
    before = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.exit(say_given_up())
        before(kind, error, trace)

    sys.excepthook = show


def command(main: Callable[P, R]) -> Callable[P, R | int]:
    r"""
    For the `main` of every command: it speaks to whom it may concern, and Ctrl-C ends it with
    status 130.
    """

    @functools.wraps(main)
    def run(*args: P.args, **kwargs: P.kwargs) -> R | int:
        with forgiving_output():
            try:
                return main(*args, **kwargs)
            except KeyboardInterrupt:
                return say_given_up()

    return run
