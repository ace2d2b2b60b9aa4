"""What is known of a file beside its pixels: by statements, tables and parts of its path, and where these say nothing
by its header. One description a file serves all rows that are cut from it.

The cells go through `ingest.describe`, as those of tables do, so an option means the same in every converter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from ingest.cells import Cells, offered
from ingest.converters.folder_rows import file_rows
from ingest.converters.row_worker import RowWorker
from ingest.statements import FileFacts, about, widest
from shards.attributes import Value, decode
from shards.intake import Skip
from shards.manifest import Caption, Label, Term, Terms
from shards.reasons import Reason

if TYPE_CHECKING:
    from ingest.converters.file_options import FileOptions
    from ingest.listing import Listed
    from shards.stage import Context


@dataclass(frozen=True, kw_only=True, slots=True)
class FromHeader:
    """What the header of one file gives where nothing else speaks."""

    columns: Mapping[str, str | None] = field(default_factory=dict)  # ids that tables may join on
    modality: str | None = None
    patient: str | None = None
    study: str | None = None
    source_id: str | None = None
    group: str | None = None  # the series


@dataclass(frozen=True, kw_only=True, slots=True)
class Described:
    """What all rows of one file have in common."""

    columns: dict[str, Any]  # of Sample, from captions to split
    attributes: dict[str, Value]  # of tables and constants, and over them of statements
    of_tables: dict[str, Value]  # without statements
    labels: tuple[Label, ...]
    cells: Mapping[str, str | None]  # of the columns that the converter asked for beside those of its options
    reason: str | None  # "code|detail" where the file cannot stand

    def check(self) -> None:
        """Skip where the file cannot stand."""
        if self.reason is not None:
            code, _, detail = self.reason.partition("|")
            raise Skip(Reason.of(code), detail)

    @property
    def is_of_no_modality(self) -> bool:
        """Whether the file cannot stand since no statement, table or known code says its modality."""
        unknown = (self.reason or "").startswith(f"{Reason.UNKNOWN_MODALITY.value}|")
        return unknown and self.columns["modality"] is None

    def scope(self, narrowest: str, of_captions: str) -> str:
        """Widest scope of what is said of the file; `narrowest` where nothing is."""
        said = [of_captions] if self.columns["captions"] else []
        return widest([narrowest, *said, *(label.scope for label in self.labels)])


class FileDescriptions:
    """Describes the files of one converter on a worker."""

    def __init__(
        self,
        stage: FileOptions,
        ctx: Context,
        kind: str,
        extra: Mapping[str, str] | None = None,
        specialties: Mapping[str, str] | None = None,
    ) -> None:
        """`extra` names more columns that the converter wants to see; `specialties` are the usual ones by modality."""
        self.stage = stage
        self.worker = RowWorker(stage, ctx, stage.path, kind=kind, look=False)
        self.cells = Cells.of(stage.parts, stage.join, ctx, self.worker.root.folder)
        self.extra = dict(extra or {})
        self.specialties = dict(specialties or {})

    def of(self, files: Sequence[Listed], header: Callable[[Listed], FromHeader]) -> dict[str, Described]:
        """By path; a file that `only` leaves out is not among them."""
        stage = self.stage
        headers = [header(file) for file in files]
        rows = file_rows(files)
        for name in dict.fromkeys(name for one in headers for name in one.columns):
            rows = rows.with_columns(pl.Series(name, [one.columns.get(name) for one in headers], dtype=pl.String))
        wanted = {**stage.columns(), **{f"extra {name}": column for name, column in self.extra.items()}}
        cells = self.cells.complete(rows, wanted, stage.path).with_columns(rows["path"])
        cells = self._filled(cells, headers).filter(offered(stage))
        return {row["path"]: self._described(row) for row in self.worker.described(cells).iter_rows(named=True)}

    def _filled(self, cells: pl.DataFrame, headers: Sequence[FromHeader]) -> pl.DataFrame:
        """`cells` with modality, specialty and ids by the first that says them: statement, table, all files, header."""
        stage = self.stage
        stated = [about(path, stage.facts, FileFacts(files="*")) for path in cells["path"]]
        modalities = _first(
            [facts.modality for facts in stated],
            self._cell(cells, "modality_column", stage.modality_codes),
            [stage.modality or one.modality for one in headers],
        )
        specialties = _first(
            [facts.specialty for facts in stated],
            self._cell(cells, "specialty_column", stage.specialty_names),
            [stage.specialty or self.specialties.get(modality or "") for modality in modalities],
        )
        found = {"modality_column": modalities, "specialty_column": specialties}
        for name in ("patient", "study", "source_id"):
            found[name] = _first(self._cell(cells, name, {}), [getattr(one, name) for one in headers])
        if stage.group is None:
            found["group"] = [one.group for one in headers]
        return cells.with_columns(pl.Series(name, values, dtype=pl.String) for name, values in found.items())

    @staticmethod
    def _cell(cells: pl.DataFrame, name: str, codes: Mapping[str, str]) -> list[str | None]:
        if name not in cells.columns:
            return [None] * cells.height
        return [codes.get(cell, cell) for cell in cells[name].cast(pl.String).to_list()]

    def _described(self, row: dict[str, Any]) -> Described:
        stage = self.stage
        stated = about(row["path"], stage.facts, FileFacts(files="*"))
        names = ("modality", "specialty", "patient", "study", "source_id", "group", "source", "url", "license")
        columns = {name: row[name] for name in (*names, "official_split", "template")}
        columns["captions"] = tuple(Caption(**{**one, "checks": tuple(one["checks"])}) for one in row["captions"])
        columns["terms"] = Terms(**{name: Term(**answer) for name, answer in (row["terms"] or {}).items()})
        of_tables = decode(row["attributes"])
        return Described(
            columns=columns,
            attributes={**of_tables, **stated.attributes},
            of_tables=of_tables,
            labels=(*stated.labels, *(Label(**label) for label in row["labels"])),
            cells={name: row[f"extra {name}"] for name in self.extra},
            reason=row["reason"],
        )


def refused(file: Listed) -> None:
    """Skip where the listing refused a file."""
    if file.refused:
        raise Skip(Reason.of(file.refused), file.detail)


def _first(*sources: Sequence[str | None]) -> list[str | None]:
    """Row by row, the first of some sources that says something."""
    return [next(filter(None, row), None) for row in zip(*sources, strict=True)]
