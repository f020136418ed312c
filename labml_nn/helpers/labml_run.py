r"""
# A labml run

[labml](https://github.com/labmlai/labml) names the run, records the configuration and logs the
scalars, into the folder `labml` of the run. Nothing leaves the machine, and no account is needed.
"""

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from labml import experiment, lab, tracker
from labml.configs import BaseConfigs

# What logs the scalars of a step
Track = Callable[[int, Mapping[str, float]], None]


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
            lab.configure({'path': str(out), 'experiments_path': str(out / 'labml')})
            experiment.create(name=out.name, python_file=str(out), writers={'file'})
            experiment.configs(configs)
            tracker.set_global_step(step)
            watch = experiment.start()
    except OSError as error:  # a home folder that cannot be written, say
        print(f'note: labml does not record this run ({error}); everything else goes on')
        yield lambda step, values: None
        return
    with watch:
        yield lambda step, values: tracker.save(step, dict(values))
