"""What a run leaves to look at: `log.jsonl`, TensorBoard events and preview pictures, all by samples seen.

A resumed run cuts off what was logged after the checkpoint it starts from, so the log of an interrupted run reads like
that of an undisturbed one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from shards.atomic import write_bytes
from training.synthetic import write_picture
from training.task import Preview

LOG_NAME = "log.jsonl"


class Meter:
    """Means since the last log line. Its state is plain JSON and lies in checkpoints, so a resumed line is the same."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def add(self, sums: Mapping[str, float], samples: int, seconds: float) -> None:
        """Add the sums over `samples` samples of some measured values, and the time that the step took."""
        for name, value in sums.items():
            total, count = self.state.get(name, (0.0, 0))
            self.state[name] = [total + value, count + samples]
        steps_s, seen = self.state.get("", (0.0, 0))
        self.state[""] = [steps_s + seconds, seen + samples]

    def take(self) -> dict[str, float]:
        """The means since the last call, and `samples_per_s`."""
        seconds, samples = self.state.pop("")
        means = {name: total / count for name, (total, count) in self.state.items()}
        self.state.clear()
        return {**means, "samples_per_s": round(samples / seconds, 2)}


class RunLog:
    """Writes the log of a run that starts, or goes on, at `samples_seen`."""

    def __init__(self, folder: Path, samples_seen: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.folder = folder
        if samples_seen == 0:
            for name in ("tensorboard", "previews"):
                shutil.rmtree(folder / name, ignore_errors=True)
        kept = [line for line in read_log(folder) if line["samples"] <= samples_seen]
        write_bytes(folder / LOG_NAME, "".join(json.dumps(line) + "\n" for line in kept).encode())
        self.lines = (folder / LOG_NAME).open("a")
        self.events = SummaryWriter(folder / "tensorboard", purge_step=samples_seen + 1)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lines.close()
        self.events.close()

    def line(self, samples_seen: int, values: Mapping[str, float]) -> None:
        """One line of `log.jsonl`, and each value as a TensorBoard scalar."""
        self.lines.write(json.dumps({"samples": samples_seen, **values}) + "\n")
        self.lines.flush()
        for name, value in values.items():
            self.events.add_scalar(name, value, samples_seen)
        self.events.flush()

    def picture(self, samples_seen: int, preview: Preview) -> None:
        """One preview, marked as synthetic."""
        settings = {"samples_seen": samples_seen, "what": preview.what}
        write_picture(self.folder / "previews" / f"{samples_seen:012d}.png", preview.pixels, settings)
        self.events.add_image("preview", preview.pixels, samples_seen, dataformats="HWC")


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log; one that a killed process left half written is left out."""
    lines = []
    path = folder / LOG_NAME
    for text in path.read_text().splitlines() if path.is_file() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines
