"""How a page came about: the graph of stages with units and times, content hashes, and the versions of what ran.

Content hashes are those of the lock file: two roots that agree in them hold the same data.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from pipelines.report.flow import Flow, Note, flow
from pipelines.report.learning import duration
from pipelines.report.outputs import Outputs
from pipelines.status import StageStatus

PACKAGES = (
    "medloom",
    "numpy",
    "polars",
    "pillow",
    "av",
    "opencv-python-headless",
    "pydicom",
    "nibabel",
    "torch",
    "diffusers",
    "transformers",
    "ray",
)


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """The graph, and the same as a table."""

    flow: Flow
    stages: list[dict[str, Any]]


def pipeline(outputs: Outputs) -> Pipeline:
    """Every stage with what it gave and how long it took."""
    notes = {name: _note(state) for name, state in outputs.statuses.items()}
    rows = [
        {
            "name": state.stage,
            "use": state.use,
            "kind": state.kind,
            "inputs": ", ".join(outputs.spec.by_name[state.stage].inputs) or "outside",
            "units": state.units,
            "offered": state.offered,
            "rejected": sum(state.rejected.values()),
            "time": duration(state.seconds),
            "disk_bytes": state.disk_bytes,
            "state": state.state,
        }
        for state in outputs.statuses.values()
    ]
    return Pipeline(flow=flow(outputs.spec, notes), stages=rows)


def _note(state: StageStatus) -> Note:
    units = f"{state.units} unit{'s' if state.units != 1 else ''} · {duration(state.seconds)}"
    return Note(
        kind=state.kind,
        lines=(state.use.partition(":")[2], units if state.units else "not run"),
        complete=state.finished,
    )


def provenance(outputs: Outputs) -> dict[str, Any]:
    """Content hash of every finished stage, and versions."""
    finished = {name: folder.finished() for name, folder in outputs.folders.items()}
    stages = [{"name": name, "content": said.get("content", "")} for name, said in finished.items() if said]
    return {"stages": stages, "versions": {"python": platform.python_version(), **_versions()}}


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
