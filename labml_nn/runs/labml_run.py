r"""
# A labml run

[labml](https://github.com/labmlai/labml) names the run, records the configuration and logs the
scalars, into the folder `labml` of the run. Nothing leaves the machine, and no account is needed.

Whoever runs a labml server names it, in the environment variable `labml_app_url` or as `app_url` in
`.labml.yaml`, and then the run is shown there too. Without a server's name, none is asked.

> **Nothing in the home folder.** labml keeps a number for the computer and the path of every run in
> `~/.labml`, for its own service. Whoever has that folder goes on as before; it is not made here
> [tested](test:runs/test_trackers.py::test_labml_leaves_nothing_in_the_home_folder).
"""

import contextlib
import io
import os
import socket
import sys
import threading
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from labml import experiment, lab, tracker
from labml.configs import BaseConfigs

# What logs the scalars of a step
Track = Callable[[int, Mapping[str, float]], None]

# Seconds for the server to answer at the start, and to take the last data at the end
CONNECT, FINISH = 5, 20


@contextlib.contextmanager
def labml_run(out: Path, configs: BaseConfigs, step: int) -> Iterator[Track]:
    r"""
    Record what happens inside a `with` block as a labml run named like the folder `out`.

    * `step` where it begins; `experiment.start` takes a step too, and ignores it

    Gives the function that logs the scalars of a step.
    """
    out = out.absolute()
    try:
        # labml speaks of settings files that it did not find, and of git; none is about the run
        with contextlib.redirect_stdout(io.StringIO()):
            settings = {'path': str(out), 'experiments_path': str(out / 'labml')}
            # It would open a window of the browser
            lab.configure({**settings, 'app_open_browser': False})
            writers = {'file', 'app'} if server_answers(server_url()) else {'file'}
            experiment.create(name=out.name, python_file=str(out), writers=writers)
            experiment.configs(configs)
            tracker.set_global_step(step)
            with patient_threads(), no_folder_at_home():
                watch = experiment.start()
    except OSError as error:  # a home folder that cannot be written, say
        print(f'note: labml does not record this run ({error}); everything else goes on')
        yield lambda step, values: None
        return
    try:
        yield lambda step, values: tracker.save(step, dict(values))
    finally:
        close(watch)


def close(watch: Any) -> None:
    r"""
    End a run as well or badly as its block has ended, and send the last data.
    """
    threads = [t for t in threading.enumerate() if type(t).__name__ == '_AppTrackThread']
    for thread in threads:
        # They end after the next data: how the run has ended
        thread.is_stopped = True  # type: ignore[attr-defined]
    with contextlib.redirect_stdout(io.StringIO()):
        watch.__exit__(*sys.exc_info())
        for thread in threads:
            thread.join(FINISH)


def server_url() -> str | None:
    r"""
    The server that the environment or a `.labml.yaml` names.
    """
    configured = lab.get_info()['configs'].get('app_url')
    return os.environ.get('labml_app_url') or configured  # noqa: SIM112  # labml's spelling


def server_answers(url: str | None) -> bool:
    r"""
    Whether there is a server at `url`; a warning when one is named and none answers.
    """
    error = unreachable(url) if url else None
    if error:
        print(f'warning: the labml server {url} does not answer ({error})', file=sys.stderr)
    return bool(url) and error is None


def unreachable(url: str) -> str | None:
    r"""
    Why the server at `url` cannot be reached, found out within seconds; `None` if it can.
    """
    parts = urlsplit(url)
    if parts.scheme in urllib.request.getproxies():  # then it is the proxy's to say
        return None
    try:
        port = parts.port or (443 if parts.scheme == 'https' else 80)
        socket.create_connection((parts.hostname or '', port), CONNECT).close()
    except (OSError, ValueError) as error:
        return str(error) or type(error).__name__
    return None


# > labml sends from a thread that retries for ever, and that Python waits for when it ends: a
# > server that goes away would keep a finished run from ending. As a daemon the thread is left
# > behind, once it has had some seconds for the last data.
@contextlib.contextmanager
def patient_threads() -> Iterator[None]:
    r"""
    The threads that labml starts inside this block do not keep the program alive.
    """
    from labml.internal import app

    plain: Any = app._AppTrackThread

    def daemon(*arguments: Any, **options: Any) -> Any:
        return plain(*arguments, **{**options, 'daemon': True})

    app._AppTrackThread = daemon
    try:
        yield
    finally:
        app._AppTrackThread = plain


class Unlisted:
    r"""
    In the place of labml's record of this computer: a number for this run alone, and no list.
    """

    def __init__(self) -> None:
        self.uuid = uuid.uuid4().hex

    def add_project(self, path: Path) -> None:
        r"""
        Where the run is, its own folder knows.
        """


@contextlib.contextmanager
def no_folder_at_home() -> Iterator[None]:
    r"""
    Inside this block labml makes no folder `~/.labml`; one that is there is used.
    """
    from labml.internal.computer import configs

    if configs._internal is not None or os.path.isdir(os.path.expanduser('~/.labml')):
        yield
        return
    configs._internal = Unlisted()
    try:
        yield
    finally:
        configs._internal = None
