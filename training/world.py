"""This process among those that train together: rank, device, and the few things ranks say to each other.

Started by `torchrun`, which sets RANK, WORLD_SIZE and LOCAL_RANK; without them a run has one rank. The loop asks the
same questions of a world of one, so it knows nothing of processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class World:
    """One of `size` ranks. `ranks` of one machine share its accelerators by LOCAL_RANK."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Does this rank write files and speak to the user?"""
        return self.rank == 0

    def wrap(self, net: nn.Module) -> nn.Module:
        """The module whose backward pass averages gradients over all ranks."""
        if self.size == 1:
            return net
        ids = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(net, device_ids=ids)

    def sum(self, values: Tensor) -> Tensor:
        """Elementwise sum over all ranks."""
        if self.size > 1:
            torch.distributed.all_reduce(values)
        return values

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks in their order."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(found, value)
        return found

    def from_first(self, value: Any) -> Any:
        """The value of rank 0; it also makes the others wait for it."""
        if self.size == 1:
            return value
        box = [value]
        torch.distributed.broadcast_object_list(box, src=0)
        return box[0]


def no_sync(net: nn.Module) -> AbstractContextManager[None]:
    """While it is open, a backward pass adds up gradients on this rank alone (all but the last micro-batch)."""
    if isinstance(net, nn.parallel.DistributedDataParallel):
        return net.no_sync()
    return nullcontext()


@contextmanager
def join_world(environ: Mapping[str, str] = os.environ) -> Iterator[World]:
    """The world that `torchrun` describes in the environment, or a world of one; left in order at the end."""
    size = int(environ.get("WORLD_SIZE", "1"))
    local = int(environ.get("LOCAL_RANK", "0"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may sum in another order
        torch.cuda.set_device(device)
    if size == 1:
        yield World(device=device)
        return
    torch.distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield World(rank=int(environ["RANK"]), size=size, device=device)
    finally:
        torch.distributed.destroy_process_group()
