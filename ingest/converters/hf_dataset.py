"""Data sets of Hugging Face: Parquet files with pictures in their cells, in a local folder or on the hub.

Which files there are, and of which split, is what `datasets.load_dataset` finds, so a folder or a card that works there
works here. The rows are then read by ranges from where they lie: columns of text now, a picture only when it is
needed. `split`, `file` and `row` (from 0) are columns, too, unless the set has its own; lists are JSON texts and
classes their names. A hub id needs a revision, so that the same rows are read tomorrow. No code of a data set is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from string import Formatter
from typing import TYPE_CHECKING, ClassVar

from ingest.columns import RowOptions, row_contract
from ingest.table_file import Turn
from shards.stage import Context, Contract, Unit

if TYPE_CHECKING:
    from ingest.converters.hf_rows import HuggingFaceWorker


@dataclass(frozen=True, kw_only=True)
class HuggingFace(RowOptions):
    """Makes a manifest of the rows of a data set of Hugging Face."""

    contract: ClassVar[Contract] = row_contract(version=3)

    path: str = ""  # local folder
    hub_id: str = ""  # owner/name on the hub
    revision: str = ""  # of the hub: a commit, or a tag
    config: str = ""  # name of the configuration, where there are several
    data_files: Mapping[str, str] = field(default_factory=dict)  # split -> pattern; default: as load_dataset finds them
    splits: tuple[str, ...] = ()  # default: all
    image: str = "image"  # column
    compose: Mapping[str, str] = field(default_factory=dict)  # new column -> text with {columns} of a row
    # rows with one cell in a column, or with one picture (`image`), are one item: their captions are all kept and
    # their other cells must agree; with a Turn their questions become columns that hold the answers
    gather: str | Turn = ""
    probe: bool = False  # read every picture for its hash and sizes
    unit_rows: int = 10_000

    def __post_init__(self) -> None:
        RowOptions.__post_init__(self)
        if bool(self.path) == bool(self.hub_id):
            raise ValueError("give `path`, a local folder, or `hub_id`, a data set on the hub, and not both")
        if self.hub_id and not self.revision:
            raise ValueError(
                f"revision: name the commit of {self.hub_id} (its page shows it under `Files`), or rows may change"
            )
        if self.path and self.revision:
            raise ValueError("revision: a local folder has none; remove it")
        self.check_given()
        if self.unit_rows < 1:
            raise ValueError(f"unit_rows must be at least 1, not {self.unit_rows}")
        if isinstance(self.gather, str) and self.gather and self.caption is None:
            raise ValueError("gather keeps the captions of all rows of an item; set `caption`, or gather by a turn")

    @property
    def gathered_by(self) -> str:
        """The column whose equal cells make rows one item; empty where each row is one."""
        return self.gather if isinstance(self.gather, str) else self.gather.index

    def composed(self) -> dict[str, list[tuple[str, str | None]]]:
        """`compose` as pieces: (text, column or None)."""
        return {
            name: [(text, column) for text, column, _, _ in Formatter().parse(form)]
            for name, form in self.compose.items()
        }

    def units(self, ctx: Context) -> Iterator[Unit]:
        """Ranges of rows of one file; of items where rows are gathered."""
        from ingest.converters.hf_files import parquet_units

        return parquet_units(self, ctx)

    @contextmanager
    def open(self, ctx: Context) -> Iterator[HuggingFaceWorker]:
        """A worker that keeps files and tables open."""
        from ingest.converters.hf_rows import HuggingFaceWorker

        yield HuggingFaceWorker(self, ctx)
