r"""
---
title: Trackers
summary: labml, TensorBoard, Weights & Biases and Comet, of which none can stop a run.
---

# Trackers

    python -m labml_nn.diffusion.ddpm.experiment --track tensorboard
    python -m labml_nn.diffusion.ddpm.experiment --track labml,wandb,comet

What goes to each: the numbers of `log.csv`, the configuration and, but for labml, the sample grids.
The run's own folder has all of that without any of them; a tracker is for those who look at their
runs there.

| name | where it writes | and besides |
|---|---|---|
| `labml` | `labml/` | and the server whose URL is in `labml_app_url` or `.labml.yaml` |
| `tensorboard` | `tensorboard/` | look with `tensorboard --logdir runs` |
| `wandb` | `wandb/` | and its server if you are logged in |
| `comet` | `comet/` | or its server if you are logged in |

> **A tracker is a guest.** None of them asks a question: who is not logged in gets files that can
> be uploaded later. A package, a login or a network that is missing is one warning. And whatever is
> raised inside a tracker, at the start, at step 700,000 or at the end, the run goes on
> [tested](test:runs/test_trackers.py::test_a_tracker_that_raises_never_stops_a_run).
"""

import contextlib
import logging
import os
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from labml.configs import BaseConfigs
from torch import Tensor

from labml_nn.cli.messages import first_line
from labml_nn.cli.options import option_values
from labml_nn.data.pictures import to_pil
from labml_nn.runs.labml_run import labml_run, unreachable

# What is logged at a step: numbers, and pictures as bytes `[channels, height, width]`
Track = Callable[[int, Mapping[str, float | Tensor]], None]
Numbers = dict[str, float]
Pictures = dict[str, Tensor]
# The same, told apart
Write = Callable[[int, Numbers, Pictures], None]

# Of wandb and Comet, unless the environment names another
PROJECT = 'ddpm'
# Seconds that a server may take to answer before its tracker goes offline
PATIENCE = 20


def warn(text: str) -> None:
    r"""
    The one line that somebody gets to read when a tracker does not do all it could.
    """
    print(f'warning: {text}', file=sys.stderr, flush=True)


# ## The trackers
#
# Each is a context manager: a folder, the configuration and the step at which it begins go in, the
# function that writes comes out. Their libraries are imported when they are asked for.
@contextlib.contextmanager
def labml(out: Path, configs: BaseConfigs, step: int) -> Iterator[Write]:
    r"""
    ### labml

    Numbers and configuration; it has no place for pictures.
    """
    with labml_run(out, configs, step) as track:
        yield lambda at, numbers, _: track(at, numbers) if numbers else None


@contextlib.contextmanager
def tensorboard(out: Path, configs: BaseConfigs, step: int) -> Iterator[Write]:
    r"""
    ### TensorBoard
    """
    from torch.utils.tensorboard import SummaryWriter

    # What a resumed run does again replaces what was there
    purge = step + 1 if step else None
    kind: Any = SummaryWriter
    with kind(str(out / 'tensorboard'), purge_step=purge) as writer:
        rows = [f'| {name} | {value} |' for name, value in option_values(configs).items()]
        writer.add_text(
            'configuration', '\n'.join(['| option | value |', '|---|---|', *rows]), step
        )

        def write(at: int, numbers: Numbers, pictures: Pictures) -> None:
            for name, value in numbers.items():
                writer.add_scalar(name, value, at)
            for name, pixels in pictures.items():
                writer.add_image(name, pixels, at)

        yield write


@contextlib.contextmanager
def wandb(out: Path, configs: BaseConfigs, step: int) -> Iterator[Write]:
    r"""
    ### Weights & Biases
    """
    # Before the import, which reads them: it neither prints nor reports errors of its own
    os.environ.setdefault('WANDB_SILENT', 'true')
    os.environ.setdefault('WANDB_ERROR_REPORTING', 'false')
    import wandb as library

    options: dict[str, Any] = dict(
        project=os.environ.get('WANDB_PROJECT', PROJECT),
        name=out.name,
        dir=str(out),
        id=kept_id(out / 'wandb' / 'run.id'),
        resume='allow',
        config=plain(configs),
        # What others print is not its business
        settings=library.Settings(console='off', init_timeout=PATIENCE),
    )
    run = wandb_online(library, options)
    if run is None:
        run = library.init(mode='offline', **options)
    # Its own count may only grow, and a resumed run does some steps again
    run.define_metric('*', step_metric='step')

    def write(at: int, numbers: Numbers, pictures: Pictures) -> None:
        images = {name: library.Image(to_pil(pixels)) for name, pixels in pictures.items()}
        run.log({'step': at, **numbers, **images})

    failed = 1
    try:
        yield write
        failed = 0
    finally:
        run.finish(exit_code=failed)


def wandb_online(library: Any, options: dict[str, Any]) -> Any | None:
    r"""
    The run on the server, or as `WANDB_MODE` says; `None` where that cannot be, with the reason.
    """
    if 'WANDB_MODE' in os.environ:
        return library.init(**options)
    # Found out without a question and without the network
    if not library.login(prompt=False, verify=False):
        print(f'  wandb    not logged in, records in {options["dir"]}/wandb (wandb sync sends it)')
        return None
    error = unreachable(library.Settings().base_url)
    try:
        if error is None:
            return library.init(**options)
    except Exception as problem:
        error = first_line(problem)
        # The attempt keeps its name
        library.teardown()
    warn(f'wandb is offline ({error})')
    return None


@contextlib.contextmanager
def comet(out: Path, configs: BaseConfigs, step: int) -> Iterator[Write]:
    r"""
    ### Comet
    """
    # Left alone it hooks into torch, and reads the command line, the code and the environment
    os.environ.setdefault('COMET_DISABLE_AUTO_LOGGING', '1')
    import comet_ml as library

    logging.getLogger('comet_ml').setLevel(logging.CRITICAL)
    options: dict[str, Any] = dict(
        project_name=None if library.get_config('comet.project_name') else PROJECT,
        **dict.fromkeys(
            ('log_code', 'parse_args', 'auto_output_logging', 'auto_metric_logging',
             'auto_param_logging', 'log_graph', 'log_env_details', 'log_git_metadata',
             'log_git_patch'), False,
        ),
        display_summary_level=0,
        experiment_key=kept_id(out / 'comet' / 'experiment.key'),
    )  # fmt: skip
    experiment = None
    if library.get_config('comet.api_key'):
        experiment = comet_online(library, options, step)
    else:
        print(f'  comet    not logged in, records in {out / "comet"} (comet upload sends it)')
    if experiment is None:
        experiment = comet_offline(library, options, out / 'comet', step)
    experiment.set_name(out.name)
    experiment.log_parameters(plain(configs))

    def write(at: int, numbers: Numbers, pictures: Pictures) -> None:
        experiment.log_metrics(numbers, step=at)
        for name, pixels in pictures.items():
            experiment.log_image(to_pil(pixels), name=f'{name}_{at:07}', step=at)

    try:
        yield write
    finally:
        experiment.end()


def comet_online(library: Any, options: Mapping[str, Any], step: int) -> Any | None:
    r"""
    The experiment on Comet's server; `None` and a warning when it cannot be reached.
    """
    options = dict(options)
    key = options.pop('experiment_key')
    reason = unreachable(library.get_config('comet.url_override') or 'https://www.comet.com')
    try:
        if reason is not None:
            experiment = None
        elif step:
            experiment = library.ExistingExperiment(previous_experiment=key, **options)
        else:
            experiment = library.Experiment(experiment_key=key, **options)
        if experiment is not None and experiment.alive:
            return experiment
        reason = reason or 'the server did not take the key'
    except Exception as error:
        reason = first_line(error)
    warn(f'comet is offline ({reason})')
    return None


def comet_offline(library: Any, options: Mapping[str, Any], folder: Path, step: int) -> Any:
    r"""
    An experiment that is written to an archive in `folder`.
    """
    options = {**options, 'offline_directory': str(folder)}
    if not step:
        return library.OfflineExperiment(**options)
    key = options.pop('experiment_key')
    return library.ExistingOfflineExperiment(previous_experiment=key, **options)


TRACKERS: dict[str, Callable[[Path, BaseConfigs, int], contextlib.AbstractContextManager[Write]]]
TRACKERS = {'labml': labml, 'tensorboard': tensorboard, 'wandb': wandb, 'comet': comet}
# The words for none
NONE = ('', 'none')


# ## All of them, kept from doing harm
class Guarded:
    r"""
    A tracker whose errors end here. The first of them is told, once.
    """

    def __init__(self, name: str):
        self.name = name
        self.manager: contextlib.AbstractContextManager[Write] | None = None
        self.write: Write | None = None
        self.has_warned = False

    def __call__(self, what: Callable[..., Any], *arguments: Any) -> Any:
        r"""
        The result of a call; `None` if it raised. A tracker may not even leave the program
        (`SystemExit`); Ctrl-C is none of its errors.
        """
        try:
            return what(*arguments)
        except (Exception, SystemExit) as error:
            if not self.has_warned:
                hint = ''
                if isinstance(error, ImportError):
                    hint = f": pip install 'labml-nn[{self.name}]'"
                warn(f'{self.name} does not record all of this run ({first_line(error)}){hint}')
            self.has_warned = True

    def open(self, out: Path, configs: BaseConfigs, step: int) -> None:
        self.manager = self(TRACKERS[self.name], out, configs, step)
        if self.manager is not None:
            self.write = self(self.manager.__enter__)

    def close(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.manager is not None and self.write is not None:
            # It is told how the run ended, and raises that again
            self.has_warned |= error is not None
            self(self.manager.__exit__, kind, error, trace)


@contextlib.contextmanager
def tracked(
    names: Sequence[str], out: Path, configs: BaseConfigs, step: int = 0
) -> Iterator[Track]:
    r"""
    Record what happens inside a `with` block with all the trackers named.

    * `out` the folder of the run; each tracker has one of its own in there
    * `step` where the run begins

    Gives the function that logs the numbers and pictures of a step. Nothing but Ctrl-C is raised.
    """
    guards = [Guarded(name) for name in dict.fromkeys(names) if name not in NONE]
    for guard in guards:
        guard.open(out.absolute(), configs, step)

    def track(at: int, values: Mapping[str, float | Tensor]) -> None:
        pictures = {k: v for k, v in values.items() if isinstance(v, Tensor)}
        numbers = {k: float(v) for k, v in values.items() if not isinstance(v, Tensor)}
        for guard in guards:
            if guard.write is not None:
                guard(guard.write, at, numbers, pictures)

    try:
        yield track
    finally:
        for guard in reversed(guards):
            guard.close(*sys.exc_info())


def plain(configs: BaseConfigs) -> dict[str, Any]:
    r"""
    The configuration as numbers, words and lists.
    """
    values = option_values(configs)
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def kept_id(file: Path) -> str:
    r"""
    The name under which a server knows the run: made once, kept beside the records.
    """
    if file.is_file():
        return file.read_text(encoding='utf-8').strip()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(uuid.uuid4().hex, encoding='utf-8')
    return file.read_text(encoding='utf-8')
