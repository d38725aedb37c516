"""The processes of a training run under ``torchrun``: each takes its part of every batch, the first one speaks.

Without torchrun there is one process, which is the first.
"""

from __future__ import annotations

import os

import torch


def join(device: str) -> None:
    """Join the processes of torchrun, if it started this one. device : "auto", "cpu" or "cuda", of the settings"""
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return
    on_gpu = device != "cpu" and torch.cuda.is_available()
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


def average_gradients(module: torch.nn.Module) -> None:
    """Give each process the mean of all processes' gradients of what is trained."""
    if world() == 1:
        return
    for p in module.parameters():
        if not p.requires_grad:
            continue
        if p.grad is None:
            p.grad = torch.zeros_like(p)
        torch.distributed.all_reduce(p.grad)
        p.grad /= world()
