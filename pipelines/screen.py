"""What a person sees while a pipeline runs: bars on a terminal, one line a stage elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from pipelines.board import Note
from pipelines.records import UnitRecord


class Bar:
    """The bar of one stage: units done, items accepted and rejected, and what the longest unit is at."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self.progress = progress
        self.task = task
        self.accepted = 0
        self.rejected = 0

    def unit(self, record: UnitRecord) -> None:
        """Count one finished unit."""
        self.accepted += record.accepted
        self.rejected += record.offered - record.accepted
        text = f"{self.accepted:,} accepted" + (f", {self.rejected:,} rejected" if self.rejected else "")
        self.progress.update(self.task, advance=1, note=text)

    def notes(self, notes: Sequence[tuple[str, Note]]) -> None:
        """Show how far the units in work are."""
        told = [note for _, note in notes if note.total]
        if told:
            note = max(told, key=lambda n: n.total)
            self.progress.update(self.task, note=f"{note.what} {note.done:,}/{note.total:,}")


class Screen:
    """Writes to stderr, so that `--json` output stays clean."""

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.quiet = quiet
        self.bar: Bar | None = None

    def say(self, text: str) -> None:
        """One line of information."""
        if not self.quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """One line that is shown even where information is not wanted; never broken, since it may hold a path."""
        self.console.print(text, markup=False, soft_wrap=True)

    def fresh(self, stage: str, units: int, lost: int) -> None:
        """A stage that had nothing to do; `lost` of its items failed for a passing reason when they were last tried."""
        left = f"; {lost:,} item{'s' if lost != 1 else ''} failed for a reason that may pass, as before" if lost else ""
        self.say(f"{stage}: nothing to do ({units:,} unit{'s' if units != 1 else ''} up to date{left})")

    def done(self, stage: str, records: Sequence[UnitRecord]) -> None:
        """A stage that is complete now."""
        offered, accepted = sum(r.offered for r in records), sum(r.accepted for r in records)
        reasons: Counter[str] = Counter()
        for record in records:
            reasons.update(record.rejected)
        text = f"{stage}: done in {sum(r.seconds for r in records):,.1f} s of work"
        if offered:
            text += f", {accepted:,} of {offered:,} accepted"
        if reasons:
            text += f" ({', '.join(f'{count:,} {reason}' for reason, count in reasons.most_common())})"
        self.say(text)

    @contextmanager
    def stage(self, name: str, units: int, items: int) -> Iterator[Bar]:
        """A bar for a stage that has `units` units to do with about `items` items."""
        columns = (
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
        )
        shown = self.console.is_terminal and not self.quiet
        with Progress(*columns, console=self.console, disable=not shown, transient=True) as progress:
            note = f"about {items:,} items" if items else ""
            self.bar = Bar(progress, progress.add_task(name, total=units, note=note))
            try:
                yield self.bar
            finally:
                self.bar = None

    def listen(self, unit: str, note: Note) -> None:
        """Progress of a unit in this process."""
        if self.bar is not None:
            self.bar.notes([(unit, note)])
