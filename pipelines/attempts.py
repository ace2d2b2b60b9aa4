"""What is tried next where a worker died or hung: the unit again, without the items that are to blame.

The first death may be the machine's fault and the first hang that of a network, so an item is blamed for its second.
`attempts` bounds how often a unit is tried in a row without an item being blamed: where three workers die at three
items, memory has run out rather than three files gone bad.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

from pipelines.board import Note
from pipelines.execute import Task
from pipelines.spec import StageSpec
from shards.reasons import Reason

TIMES_TO_BLAME = 2
MAX_BLAMED = 10  # items of one unit: more are no accident


class Attempts:
    """Deaths and hangs of the units of one stage in one run."""

    def __init__(self, stage: StageSpec) -> None:
        self.stage = stage
        self.times: Counter[tuple[str, str]] = Counter()  # by unit and item
        self.in_a_row: Counter[str] = Counter()  # by unit, since an item was blamed

    def again(self, task: Task, note: Note, *, hung: bool) -> Task | str:
        """The task to try next, or why there is none; `note` is what the worker left."""
        name, resources, unit = self.stage.name, self.stage.resources, task.unit.id
        if hung and (not note.item or time.time() - note.since < task.deadline_s / 2):
            return f"not done in {task.deadline_s:g} s; raise `deadline_s` under `resources` of `{name}`"
        self.times[unit, note.item] += 1
        self.in_a_row[unit] += 1
        quarantined = dict(task.quarantined)
        if note.item and self.times[unit, note.item] >= TIMES_TO_BLAME:
            quarantined[note.item] = (Reason.DEADLINE if hung else Reason.WORKER_DIED).value
            self.in_a_row[unit] = 0
        if self.in_a_row[unit] >= resources.attempts or len(quarantined) > MAX_BLAMED:
            times = sum(count for (of, _), count in self.times.items() if of == unit)
            ended = f"its worker {'hung' if hung else 'process died'} {times} time{'s' if times > 1 else ''}"
            if hung:
                return f"{ended}; raise `deadline_s` or `attempts` under `resources` of `{name}`"
            return f"{ended}; if the machine ran out of memory, lower `workers` under `resources` of `{name}`"
        return replace(task, quarantined=quarantined)
