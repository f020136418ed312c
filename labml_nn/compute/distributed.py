r"""
---
title: Several processes
summary: What one process of a torchrun job knows of the others, and how they agree.
---

# Several processes

    torchrun --nproc-per-node 8 -m labml_nn.diffusion.ddpm.experiment --preset cifar10

starts eight processes, one for each GPU. Each has a copy of the weights and an eighth of the batch;
torch's `DistributedDataParallel` averages their gradients, so all copies take the same step
[tested](test:compute/test_distributed.py::test_gradients_are_those_of_one_process_with_the_whole_batch).

* `batch_size` is that of all processes together, so the learning rate means the same on any number
  of them.
* Data and noise differ: each process takes its own part of every batch, and draws from its own
  random numbers.
* The first one, of rank 0, keeps the average, writes the files and makes the previews.

> **Several machines?** `torchrun --nnodes 2 --nproc-per-node 8 --rdzv-endpoint HOST:29500 …` on
> each. Only rank 0 needs the folder of the run; all need the data.

> **Samples**, too, are shared out, and each depends on its own seed as ever:
> `torchrun --nproc-per-node 8 -m -- labml_nn.diffusion.ddpm.evaluate sample RUN --n 50000 …`
> (behind `--`, or torchrun takes `--n` for an option of its own)
> [tested](test:compute/test_distributed.py::test_samples_are_shared_out).

> **When a process dies** the others cannot go on. They say so and end, and torchrun ends what is
> left; with `--max-restarts 3` it starts them all again, and the run resumes from its last
> checkpoint [tested](test:compute/test_distributed.py::test_a_restart_resumes_after_a_killed_rank).
"""

import os
import time
import uuid
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

T = TypeVar('T')


class World:
    r"""
    ## The processes of a run

    * `rank` which of them this is, and `size` how many there are: 0 of 1 when there are no others
    * `local_rank` which of those on this machine; its GPU has that number
    * `restarts` how often torchrun has started all of them again

    torchrun tells them in the `environment`.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ):
        def number(name: str, default: int) -> int:
            return int(environment.get(name, default))

        self.rank, self.size = number('RANK', 0), number('WORLD_SIZE', 1)
        self.local_rank, self.restarts = (
            number('LOCAL_RANK', 0), number('TORCHELASTIC_RESTART_COUNT', 0),
        )  # fmt: skip
        self.pending: tuple[Any, Tensor] | None = None
        self.gradients: dist.ProcessGroup | None = None  # None is the one that all are in
        self.signals: dist.ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        r"""
        Whether this is the process that writes and speaks.
        """
        return self.rank == 0

    def join(self) -> None:
        r"""
        Meet the others; returns when all are there. Small things are agreed on between the CPUs.
        """
        if self.size > 1 and not dist.is_initialized():
            store, *_ = next(rendezvous('env://'))
            store = PrefixStore(agreed_name(store, self.rank, self.size), store)
            options: dict[str, Any] = dict(rank=self.rank, world_size=self.size)
            dist.init_process_group('gloo', store=store, **options)
            # What is on its way while the next step computes has connections of its own, and so is
            # never between the parts of a gradient
            self.signals = dist.new_group(backend='gloo')

    def use(self, device: torch.device) -> torch.device:
        r"""
        Exchange gradients between these devices, GPUs by NCCL. Returns the device.
        """
        if self.size > 1 and device.type == 'cuda':
            torch.cuda.set_device(device)
            self.gradients = dist.new_group(backend='nccl')
        return device

    def leave(self) -> None:
        r"""
        The end, when all have come to it.
        """
        if self.size > 1 and dist.is_initialized():
            if self.pending is not None:
                self.pending[0].wait()
            dist.destroy_process_group()

    def local_batch(self, batch_size: int) -> int:
        r"""
        This process's part of a batch. Raises `ValueError` when it cannot be divided.
        """
        if batch_size % self.size:
            near = max(batch_size // self.size, 1) * self.size
            raise ValueError(
                f'batch_size={batch_size} cannot be divided among {self.size} processes: use '
                f'{near} or {near + self.size}, or another --nproc-per-node'
            )
        return batch_size // self.size

    def wrap(self, model: nn.Module) -> nn.Module:
        r"""
        The model, with its gradients averaged over all processes and rank 0's weights in each.
        """
        if self.size == 1:
            return model
        device = next(model.parameters()).device
        return DistributedDataParallel(
            model,
            device_ids=[device] if device.type == 'cuda' else None,
            process_group=self.gradients,
            broadcast_buffers=False,
            # Gradients lie where they are sent from
            gradient_as_bucket_view=True,
        )

    def agree(self, *numbers: int) -> list[int]:
        r"""
        The largest of what any process said at its call *before* this one.

        A signal reaches one process earlier than another, and they have to stop after the same
        step. The answer to the last call has come in meanwhile, so nobody waits.
        """
        if self.size == 1:
            return list(numbers)
        agreed = [0] * len(numbers)
        if self.pending is not None:
            work, said = self.pending
            work.wait()
            agreed = said.tolist()
        said = torch.tensor(numbers)
        work = dist.all_reduce(said, dist.ReduceOp.MAX, group=self.signals, async_op=True)
        self.pending = work, said
        return agreed

    def total(self, x: Tensor) -> Tensor:
        r"""
        The sum of `x` over all processes.
        """
        if self.size > 1:
            x = x.clone()
            dist.all_reduce(x, group=self.gradients)
        return x

    def mean(self, x: Tensor) -> Tensor:
        r"""
        The mean of `x` over all processes.
        """
        return self.total(x) / self.size if self.size > 1 else x

    def all_gather(self, value: T) -> list[T]:
        r"""
        What each process has, by rank.
        """
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def broadcast(self, value: T) -> T:
        r"""
        What the process of rank 0 has.
        """
        if self.size == 1:
            return value
        values: list[Any] = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def joined(self, x: Tensor) -> Tensor:
        r"""
        The parts `x` of all processes behind each other, in the order of their ranks.
        """
        if self.size == 1:
            return x
        return torch.cat([part.to(x.device) for part in self.all_gather(x.cpu())])

    def part(self, n: int) -> range:
        r"""
        This process's part of `n` things to do: they lie side by side and differ by one at most.
        """
        first, last = (n * r // self.size for r in (self.rank, self.rank + 1))
        return range(first, last)


def agreed_name(store: Any, rank: int, size: int) -> str:
    r"""
    A name on which the processes that are there now agree, and none that were there before.

    torchrun may hand the `store` of processes that are gone to those that take their place. Their
    addresses are still in it, and who reads one waits for nobody. So everyone brings a number that
    nobody had before; the first one says which it has found
    [tested](test:compute/test_distributed.py::test_those_who_are_gone_are_not_waited_for).
    """
    own = uuid.uuid4().hex
    if rank == 0:
        store.set('meeting', own)
        there = [store.get(f'{own} {r}').decode() for r in range(1, size)]
        store.set(own, ' '.join(there))
        return own
    deadline = time.monotonic() + store.timeout.total_seconds()
    while time.monotonic() < deadline:
        name = store.get('meeting').decode()
        store.set(f'{name} {rank}', own)
        if store.check([name]) and own in store.get(name).decode().split():
            return name
        time.sleep(0.02)
    raise RuntimeError(f'rank {rank}: the first process of this run did not come: start it again')


def is_lost_contact(error: BaseException) -> bool:
    r"""
    Whether an error says that another process is gone, in the words of any backend.
    """
    words = ('peer', 'Gloo', 'gloo', 'NCCL', 'Broken pipe', 'Connection reset', 'Socket')
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and any(w in str(error) for w in words)
    )
