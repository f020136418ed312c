r"""
---
title: Precision
summary: Half the bits for the heavy layers, all of them where they matter; one graph for sampling.
---

# Precision

| name | where | what is computed in it |
|---|---|---|
| `fp32` | everywhere | everything |
| `bf16` | CPUs and GPUs that have instructions for it | convolutions and matrix products |
| `fp16` | GPUs, CPUs with AVX512-FP16 | the same, with a scaled loss |
| `auto` | | `bf16` on CUDA GPUs, and on CPUs with AMX to train large networks; else `fp32` |

Weights, their average and the optimizer stay in float32, and so do the schedule, the embedding of
the time, softmax and the loss: $t = 999$ has ten bits and bfloat16 has eight, so half of all steps
would be told the network as another one.

> **When 16 bits pay on a CPU.** AMX is a unit for products of bfloat16 matrices. It makes products
> faster and nothing else, and each call has to round the weights first. So it pays where a network
> has many products, and `auto` goes by their number for one image: 50 million or more. It depends
> on the network and the processor alone, and not on how busy the machine is, so that the same run
> comes out again. On one core with AMX a training step of `digits` (16 million products, 64 images)
> took 101 ms in fp32 and 109 ms in bf16, one of `fashion` (162 million, 32 images) took 570 ms and
> 362 ms.

> **Channels side by side.** Laid out so, the same steps took 92 ms and 490 ms in fp32, and in bf16
> more than before, 117 ms and 460 ms. So they lie side by side in fp32 on a CPU, unless one says
> otherwise. CPUs with instructions for bfloat16 but without AMX were slower with it in the
> [benchmarks](../diffusion/ddpm/benchmarks.html). With AMX, [the same
> benchmarks](../diffusion/ddpm/benchmarks_amx.html) have the paper's CIFAR-10 network faster in
> bf16 by a factor of 1.7, and its training in fp32 no faster with channels side by side.
"""

import contextlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

PRECISIONS = {'fp32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}

# From so many products for one image on, training on a CPU with AMX is faster in bfloat16
MANY_PRODUCTS = 50_000_000


def pick_precision(
    name: str, device: torch.device, products: Callable[[], int] | None = None
) -> str:
    r"""
    The precision that `name` asks for, checked to be one that the device has.

    * `products` counts those of the network that is to be trained, for one image, if it matters;
      to sample it is not given, and `auto` is fp32 on a CPU

    Raises `ValueError` that says which it has.
    """
    has = available(device)
    if name == 'auto':
        if device.type == 'cpu' and products is not None and has_amx():
            return 'bf16' if products() >= MANY_PRODUCTS else 'fp32'
        return 'bf16' if device.type == 'cuda' and 'bf16' in has else 'fp32'
    if name not in PRECISIONS:
        known = ', '.join(['auto', *PRECISIONS])
        raise ValueError(f'precision={name!r} is not known: use one of {known}')
    if name not in has:
        raise ValueError(f'precision={name} is not on {device}: it has {", ".join(has)}')
    return name


def available(device: torch.device) -> list[str]:
    r"""
    The precisions that the device has instructions for.

    bfloat16 without instructions for it is slower than float32, not faster.
    """
    if device.type == 'cuda':
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return ['fp32', *(['bf16'] if bf16 else []), 'fp16']
    if device.type == 'mps':
        return ['fp32', 'fp16']
    cpu = torch.cpu.get_capabilities()
    bf16 = any(cpu.get(k) for k in ('avx512_bf16', 'amx_bf16', 'bf16', 'arm_bf16'))
    fp16 = any(cpu.get(k) for k in ('avx512_fp16', 'amx_fp16', 'fp16', 'arm_fp16'))
    return ['fp32', *(['bf16'] if bf16 else []), *(['fp16'] if fp16 else [])]


def has_amx() -> bool:
    r"""
    Whether the processor has the unit for products of bfloat16 matrices.
    """
    return bool(torch.cpu.get_capabilities().get('amx_bf16'))


def pick_layout(said: bool | None, precision: str, device: torch.device) -> bool:
    r"""
    Whether the channels of a pixel lie side by side in memory: as it is `said`, and else in fp32 on
    a CPU, where it was faster for every network that was tried.
    """
    return (device.type == 'cpu' and precision == 'fp32') if said is None else said


def n_products(model: nn.Module, channels: int, size: int) -> int:
    r"""
    Multiplications of one call of the network, for one image of `channels` and `size` pixels a
    side; of shapes alone, without computing any.
    """
    shapes = {name: tensor.to('meta') for name, tensor in model.state_dict().items()}
    shapes |= {name: tensor.to('meta') for name, tensor in model.named_buffers()}
    image = torch.empty(1, channels, size, size, device='meta')
    t = torch.zeros(1, dtype=torch.int64, device='meta')
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        torch.func.functional_call(model, shapes, (image, t))
    return counter.get_total_flops() // 2


class Network(nn.Module):
    r"""
    ## What the loss and the samplers see of a model

    * `model` takes images first, and more; its weights are float32
    * `precision` that it computes in; images come and go in float32
    * `compiled` whether `torch.compile` fuses its operations, at its first call
    * `channels_last` whether the channels of a pixel lie side by side, as fast convolutions want
    """

    def __init__(
        self,
        model: nn.Module,
        precision: str = 'fp32',
        *,
        compiled: bool = False,
        channels_last: bool = False,
    ):
        super().__init__()
        self.model: Callable[..., Tensor] = torch.compile(model) if compiled else model
        self.dtype = PRECISIONS[precision]
        self.layout = torch.channels_last if channels_last else torch.contiguous_format

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        half = self.dtype != torch.float32
        with torch.autocast(x.device.type, self.dtype) if half else contextlib.nullcontext():
            output = self.model(x.contiguous(memory_format=self.layout), *more)
        return output.float().contiguous()


def recompute(modules: Iterable[nn.Module]) -> None:
    r"""
    Trade time for memory: let these modules keep nothing between their ends, and compute it again
    on the way back. Values and gradients stay the same
    [tested](test:diffusion/ddpm/test_fast.py::test_recomputing_changes_no_gradient).

    A copy of a module would call the original: make copies before.
    """
    for module in modules:
        module.forward = partial(checkpoint, module.forward, use_reentrant=False)


def check_compiler(device: torch.device) -> None:
    r"""
    A `ValueError` when what `torch.compile` needs for this device is not there.
    """
    from torch.utils._triton import has_triton

    if device.type == 'cuda' and not has_triton():
        raise ValueError(
            'compile=True needs Triton for a GPU, which is not installed: leave it out'
        )
    if device.type == 'cpu':
        from torch._inductor import cpp_builder

        try:
            cpp_builder.get_cpp_compiler()
        except Exception as error:
            raise ValueError(
                f'compile=True needs a C++ compiler for the CPU ({error}): install g++, or leave '
                f'it out'
            ) from error


class Captured(nn.Module):
    r"""
    ## One graph for each shape

    A sampler calls the same network with the same shapes over and over, and for small images the
    CPU takes longer to ask for its hundreds of kernels than a GPU takes to run them. On CUDA the
    first call for a shape is recorded, and the others are replayed by one request. Elsewhere, and
    while gradients are taken, it is the model itself.

    A graph reads the weights where they are: what trains in place is seen by the next replay.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model
        self.graphs: dict[Any, tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...], Tensor]] = {}

    def forward(self, *inputs: Tensor) -> Tensor:
        if inputs[0].device.type != 'cuda' or torch.is_grad_enabled() or self.training:
            return self.model(*inputs)
        shapes = tuple((i.shape, i.dtype) for i in inputs)
        if shapes not in self.graphs:
            self.graphs[shapes] = self.capture(inputs)
        graph, places, output = self.graphs[shapes]
        for place, value in zip(places, inputs, strict=True):
            place.copy_(value)
        graph.replay()
        # The next replay writes over it
        return output.clone()

    def capture(
        self, inputs: tuple[Tensor, ...]
    ) -> tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...], Tensor]:
        r"""
        The graph of one call, where it reads its inputs and where it leaves its output.
        """
        places = tuple(i.clone() for i in inputs)
        # What is done once (choosing algorithms, making handles) is no part of a graph
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(3):
                self.model(*places)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            output = self.model(*places)
        return graph, places, output


def for_sampling(
    model: nn.Module, precision: str, device: torch.device, *, channels_last: bool = False
) -> nn.Module:
    r"""
    What a sampler calls: the model in a precision, and on CUDA as one graph for each shape. The
    model itself where it needs neither.
    """
    if precision == 'fp32' and device.type != 'cuda' and not channels_last:
        return model
    return Captured(Network(model, precision, channels_last=channels_last))


def bare(model: object) -> object:
    r"""
    The model inside of what `for_sampling` has put around it.
    """
    while isinstance(model, (Captured, Network)):
        model = model.model
    return model
