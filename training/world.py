"""This process among those that train together: rank, device, and the few things ranks say to each other.

Started by `torchrun`, which sets RANK, WORLD_SIZE and LOCAL_RANK; without them a run has one rank. The loop asks the
same questions of a world of one, so it knows nothing of processes. Gradients are averaged here and not by
DistributedDataParallel: that one cuts them into other buckets after its first step, so from three ranks on a run that
was stopped and goes on would sum in another order than an undisturbed one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


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

    def average_gradients(self, weights: Sequence[Tensor]) -> None:
        """Replace the gradients by their mean over all ranks: one message, always in the order of `weights`.

        A weight that the loss did not reach counts as zero for the others, and keeps having no gradient here.
        """
        if self.size == 1:
            return
        flat = torch.cat([(torch.zeros_like(each) if each.grad is None else each.grad).flatten() for each in weights])
        torch.distributed.all_reduce(flat)
        flat /= self.size
        for weight, mean in zip(weights, torch.split(flat, [each.numel() for each in weights]), strict=True):
            if weight.grad is not None:
                weight.grad.copy_(mean.view_as(weight))

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
