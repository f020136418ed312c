r"""
---
title: Doctor
summary: What is installed, what works, and a two-step self-test, one line each.
---

# Doctor

    python -m labml_nn.doctor

says in a line each which versions are here, which device would be used and how much memory it has,
whether torchvision's compiled half loads, and whether two steps of training and a short chain of
sampling work. Its output belongs in every report of a problem.

A library that is missing or broken has a line that says so, and the next line follows all the same
[tested](test:test_doctor.py::test_what_is_broken_has_a_line_of_its_own). The exit status is 1 when
something is amiss, 0 when nothing is.

A compiled library that does not fit can end the process, with no error to catch. So the checks run
in a child process. What ends the child has its line too, and another child goes on after it
[tested](test:test_doctor.py::test_what_ends_the_process_has_a_line).
"""

import contextlib
import importlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from pathlib import Path

from labml_nn.cli.output import command

# What a run needs, by the names of import and of installation
NEEDED = {
    'numpy': 'numpy',
    'labml': 'labml',
    'labml_helpers': 'labml-helpers',
    'matplotlib': 'matplotlib',
    'PIL': 'pillow',
    'sklearn': 'scikit-learn',
}
# What some use, and nobody has to have
OPTIONAL = ('tensorboard', 'wandb', 'comet_ml', 'lightning', 'diffusers', 'imageio-ffmpeg')


class Amiss(Exception):
    r"""
    What a line says when something is not as it should be.
    """


def version(name: str) -> str:
    r"""
    The version of an installed distribution, by its metadata: nothing is imported.
    """
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return 'of no known version'


def library(module: str, name: str) -> str:
    r"""
    The version of a library that can be imported. Raises `Amiss` for one that cannot.
    """
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module:
            raise Amiss(f'missing: pip install {name}') from error
        raise Amiss(f'{version(name)}, broken ({in_one_line(error)})') from error
    # A broken library fails as it likes: AttributeError, OSError, RuntimeError …
    except Exception as error:
        raise Amiss(f'{version(name)}, broken ({in_one_line(error)})') from error
    return version(name)


def in_one_line(error: BaseException) -> str:
    r"""
    An error in one line.
    """
    text = str(error).strip().split('\n')[0]
    return f'{type(error).__name__}: {text}' if text else type(error).__name__


def package() -> str:
    r"""
    This package: its version, and where it lies; of two installations the wrong one may be found.
    """
    return f'{version("labml-nn")} in {Path(__file__).parent}'


def python() -> str:
    r"""
    Python, and what it runs on.
    """
    return f'{platform.python_version()} on {platform.platform()}'


def torch_version() -> str:
    r"""
    torch, and what it was built for.
    """
    said = library('torch', 'torch')
    import torch

    built = torch.version.cuda or getattr(torch.version, 'hip', None)
    if built and not torch.cuda.is_available():
        return f'{torch.__version__} for CUDA {built}, and no such GPU is seen'
    return f'{torch.__version__} for CUDA {built}' if built else str(torch.__version__ or said)


def torchvision() -> str:
    r"""
    torchvision as the data sets import it, and whether its compiled half fits torch.
    """
    library('torch', 'torch')
    from labml_nn.data.vision import compiled_half_loads

    try:
        loads = compiled_half_loads()
    except ImportError as error:
        raise Amiss(f'{version("torchvision")}: {error}') from error
    if loads:
        return f'{version("torchvision")}, the compiled half loads'
    return (
        f'{version("torchvision")}, the compiled half does not fit torch: all that is used here '
        f'works without it'
    )


def device() -> str:
    r"""
    The device that a run would take, and its memory.
    """
    library('torch', 'torch')
    import torch

    from labml_nn.compute.device import available, describe

    best = torch.device(available()[0])
    if best.type == 'cuda':
        free, whole = torch.cuda.mem_get_info(best)
        return f'{describe(best)}, {gib(free)} of {gib(whole)} free'
    return describe(best)


def memory() -> str:
    r"""
    The memory of the machine, and the room on the disk for runs.
    """
    room = f'{gib(shutil.disk_usage(Path.cwd()).free)} of disk free in {Path.cwd()}'
    if 'SC_PHYS_PAGES' not in getattr(os, 'sysconf_names', {}):  # Windows
        return room
    pages = os.sysconf('SC_PHYS_PAGES')
    return f'{gib(pages * os.sysconf("SC_PAGE_SIZE"))} of memory, {room}'


def gib(n: float) -> str:
    r"""
    Bytes as GiB.
    """
    return f'{n / 2**30:.1f} GiB'


def extras() -> str:
    r"""
    Which of the optional libraries are installed.
    """
    found = []
    for name in OPTIONAL:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found.append(f'{name} {metadata.version(name)}')
    return ', '.join(found) or 'none'


def self_test() -> str:
    r"""
    Two steps of training and three of sampling, on the device, with a model of some 45,000 weights.
    Raises `Amiss` when the numbers are not what they have to be.
    """
    library('torch', 'torch')
    import torch

    from labml_nn.compute.device import available
    from labml_nn.diffusion.ddpm import DenoiseDiffusion
    from labml_nn.diffusion.ddpm.unet import UNet

    began = time.monotonic()
    best = available()[0]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = UNet(1, 8, (1, 2), (False, True), 1, n_groups=4, dropout=0.0).to(best)
        diffusion = DenoiseDiffusion(model, 1000)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        x0 = torch.rand(16, 1, 8, 8).to(best) * 2 - 1
        losses = []
        for _ in range(2):
            optimizer.zero_grad()
            loss = diffusion.loss(x0)
            loss.backward()
            optimizer.step()
            losses.append(float(loss))
        # The end of a chain is enough to see it work
        xt = diffusion.q_sample(x0, torch.full((16,), 2, device=best))
        for t in (2, 1, 0):
            xt = diffusion.p_sample(xt, torch.full((16,), t, device=best))
    # A new network guesses zero, so its loss is the variance of the noise: 1, within chance
    if not (abs(losses[0] - 1) < 0.2 and losses[1] < 2 and bool(torch.isfinite(xt).all())):
        raise Amiss(f'the losses of two steps on {best} are {losses}, and should be near 1')
    seconds = time.monotonic() - began
    return f'two training steps and three of sampling on {best}: right, in {seconds:.1f} s'


CHECKS: dict[str, Callable[[], str]] = {
    'labml-nn': package,
    'python': python,
    'torch': torch_version,
    'torchvision': torchvision,
    **{name: lambda m=module, n=name: library(m, n) for module, name in NEEDED.items()},  # type: ignore[misc]
    'optional': extras,
    'device': device,
    'memory': memory,
    'self-test': self_test,
}


def examine(check: Callable[[], str]) -> tuple[bool, str]:
    r"""
    Whether a check went well, and its line.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            return True, check()
    except Amiss as error:
        return False, str(error)
    # Whatever else goes wrong is what somebody wants to see
    except Exception as error:
        return False, in_one_line(error)


def main() -> int:
    r"""
    Print a line for each check; the exit status is 1 if one of them went wrong.
    """
    return conclude((name, *examine(check)) for name, check in CHECKS.items())


@command
def conclude(results: Iterable[tuple[str, bool, str]]) -> int:
    r"""
    Print each check's name and line as it comes, and count what is amiss.
    """
    amiss = []
    for name, fine, line in results:
        print(f'{"" if fine else "!":2}{name:15}{line}', flush=True)
        if not fine:
            amiss.append(name)
    if amiss:
        print(f'{len(amiss)} amiss: {", ".join(amiss)}')
    return int(bool(amiss))


def in_children() -> Iterator[tuple[str, bool, str]]:
    r"""
    The checks' results from a child process, and from another one after what ended the first.
    """
    left = list(CHECKS)
    while left:
        with tempfile.TemporaryFile('w+', encoding='utf-8', errors='replace') as said:
            command = [sys.executable, '-m', 'labml_nn.doctor', left[0]]
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True)
            for text in child.stdout or ():
                with contextlib.suppress(ValueError, TypeError):  # a library's own words
                    name, fine, line = json.loads(text)
                    left.remove(name)
                    yield name, fine, line
            status = child.wait()
            if left:
                said.seek(0)
                words = said.read().strip().replace('\n', ' ')[:300]
                yield left.pop(0), False, f'ended the process (status {status}) {words}'.rstrip()


def child(first: str) -> None:
    r"""
    Examine from the check `first` on, and print each result as a line of JSON.
    """
    names = list(CHECKS)
    for name in names[names.index(first) :]:
        print(json.dumps([name, *examine(CHECKS[name])]), flush=True)


if __name__ == '__main__':
    if sys.argv[1:]:
        child(sys.argv[1])
    else:
        sys.exit(conclude(in_children()))
