"""What can never be placed is refused before any work."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from pipelines.plan import StagePlan
from pipelines.pool import gpus_here, ray_pool
from pipelines.source_yaml import SpecError
from pipelines.spec import PipelineSpec


def check_room(
    spec: PipelineSpec, plans: Mapping[str, StagePlan], names: Collection[str], gpus: Callable[[], float]
) -> None:
    """SpecError when a stage that is not complete needs what no worker has; `gpus` is asked only where it matters."""
    for stage in spec.stages:
        if stage.resources.required and stage.name in names and plans[stage.name].output is None:
            there, needed = gpus(), stage.resources.gpus
            if needed > there:
                message = f"stage `{stage.name}` requires {needed:g} GPUs and there are {there:g}"
                raise SpecError(stage.where, f"{message}; join a cluster with --address, or drop `required`")


def gpus_of(address: str | None) -> float:
    """GPUs of this machine, or of the cluster at `address`."""
    if address is None:
        return gpus_here()
    pool = ray_pool(address, None)
    try:
        return pool.gpus()
    finally:
        pool.stop()
