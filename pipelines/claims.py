"""Among slices, the right to do one unit: a byte of one lock file, which the kernel lets go when its process dies.

What is shared out this way are the units of builds and of what comes behind them. Nobody can say beforehand which
slices will be alive by then, so each takes what no other is at.
"""

from __future__ import annotations

import fcntl
import hashlib
from pathlib import Path
from types import TracebackType

from pipelines.plan import StagePlan, UnitPlan


class Claims:
    """Units of one planned stage that this slice may do."""

    def __init__(self, root: Path, plan: StagePlan) -> None:
        self.plan = plan
        self.handle = (root / f".claims-{plan.spec.name}").open("a+")
        self.units = {unit.unit.id: unit for unit in plan.stale}
        self.elsewhere: list[str] = []  # another slice is at them

    def take(self, unit: str) -> bool:
        """Whether the unit is ours to do; False where another slice is at it or has done it."""
        try:
            self._lock(unit, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # POSIX allows either
            self.elsewhere.append(unit)
            return False
        if self._is_done(unit):
            self.drop(unit)
            return False
        return True

    def drop(self, unit: str) -> None:
        """The unit was done, or failed."""
        self._lock(unit, fcntl.LOCK_UN)

    def left(self) -> list[UnitPlan]:
        """Wait for the other slices; units that their processes ended without doing."""
        waited, self.elsewhere = self.elsewhere, []
        for unit in waited:
            self._lock(unit, fcntl.LOCK_EX)
            self.drop(unit)
        return [self.units[unit] for unit in waited if not self._is_done(unit)]

    def _is_done(self, unit: str) -> bool:
        record, planned = self.plan.folder.record(unit), self.units[unit]
        if record is None or record.fingerprint != planned.basis.fingerprint or not self.plan.folder.intact(record):
            return False
        return not (planned.lost and record == planned.record)  # to be tried again, whatever its record says

    def _lock(self, unit: str, how: int) -> None:
        at = int.from_bytes(hashlib.sha256(unit.encode()).digest()[:6], "big")
        fcntl.lockf(self.handle, how, 1, at)

    def __enter__(self) -> Claims:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.handle.close()
