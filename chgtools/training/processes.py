"""The processes of a training run under ``torchrun``: each takes its part of every batch, the first one speaks.

Without torchrun there is one process, which is the first.
"""

from __future__ import annotations

import os
from typing import Any

import torch

from chgtools.kernels.dense import device_of


def join(device: str) -> None:
    """Join the processes of torchrun, if it started this one. device : "auto", "cpu" or "cuda", of the settings"""
    on_gpu = device_of(device).type == "cuda"
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return
    torch.distributed.init_process_group("nccl" if on_gpu else "gloo")
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))


def leave() -> None:
    """Wait for the others and part from them."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def rank() -> int:
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


def world() -> int:
    """How many processes there are."""
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def is_first() -> bool:
    """Whether this is the process that speaks and writes."""
    return rank() == 0


def sum_gradients(module: torch.nn.Module) -> None:
    """Give each process the sum of all processes' gradients of what is trained, those of a process without any as 0.

    In one message: the gradients are a few MB, and one by one each would wait for the network. DistributedDataParallel
    takes means, which are wrong where the parts of a batch differ in size or a process has none.
    """
    if world() == 1:
        return
    trained = [p for p in module.parameters() if p.requires_grad]
    flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in trained])
    torch.distributed.all_reduce(flat)
    for p, part in zip(trained, flat.split([p.numel() for p in trained]), strict=True):
        p.grad = part.view_as(p)


def total(value: float, device: torch.device) -> float:
    """The sum of a number over all processes."""
    if world() == 1:
        return value
    numbers = torch.tensor([value], dtype=torch.float64, device=device)
    torch.distributed.all_reduce(numbers)
    return float(numbers)


def gathered(values: list[Any]) -> list[Any]:
    """The lists of all processes, one behind the other."""
    if world() == 1:
        return values
    parts: list[Any] = [None] * world()
    torch.distributed.all_gather_object(parts, values)
    return [value for part in parts for value in part]
