r"""
# Devices

labml's `DeviceConfigs` finds CUDA; Apple's GPUs (MPS) come after it, and the CPU is always there.
"""

from typing import Any

import torch


def pick_device(name: str = 'auto', number: int = 0) -> torch.device:
    r"""
    The device that `name` asks for, checked to be there.

    * `name` `auto` (the first CUDA GPU, else MPS, else the CPU), `cpu`, `mps`, `cuda`, `cuda:1` …
    * `number` which of this machine's processes asks: each gets a GPU of its own

    Raises `ValueError` for a device that this machine lacks, and says which it has.
    """
    if name == 'auto':
        # Imported here, so that the rest of the page works where labml does not
        from labml_helpers.device import DeviceInfo

        # labml's choice: CUDA where there is one, else the CPU
        device = DeviceInfo(use_cuda=True, cuda_device=0).device
        if device.type == 'cpu' and torch.backends.mps.is_available():
            device = torch.device('mps')
        if device.type == 'cuda' and number:
            return pick_device(f'cuda:{number}')
        return device
    if name == 'cuda' and number:
        name = f'cuda:{number}'
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f'device={name!r} is not known: use one of {available()}') from error
    if str(device) not in available() and device.type not in available():
        raise ValueError(f'device={name!r} is not on this machine: it has {available()}')
    return device


def available() -> list[str]:
    r"""
    The devices of this machine, best first: `cuda`, `cuda:0` …, `mps`, `cpu`.
    """
    n_cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    cuda = ['cuda', *(f'cuda:{i}' for i in range(n_cuda))] if n_cuda else []
    return [*cuda, *(['mps'] if torch.backends.mps.is_available() else []), 'cpu']


def use_threads(n: int) -> None:
    r"""
    Let torch compute with `n` threads of the CPU from here on; 0 leaves it as it is.

    How many there are changes the order of sums, and so the last digits.
    """
    if n:
        torch.set_num_threads(n)


def describe(device: torch.device) -> str:
    r"""
    The device in a few words, for the first lines of a run.
    """
    if device.type == 'cuda':
        return f'{device} ({torch.cuda.get_device_name(device)})'
    if device.type == 'cpu':
        n = torch.get_num_threads()
        return f'cpu ({n} thread{"s" * (n > 1)})'
    return str(device)


def __getattr__(name: str) -> Any:
    # Older code has them from here
    if name not in ('DeviceConfigs', 'DeviceInfo'):
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from labml_helpers import device

    return getattr(device, name)
