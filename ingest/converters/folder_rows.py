"""The worker of FolderFiles: from the files of a unit to their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from ingest.cells import REASON, Cells, offered
from ingest.converters.row_worker import RowWorker
from ingest.file_units import listed
from ingest.listing import Listed
from shards.stage import Context, Result, Unit

if TYPE_CHECKING:
    from ingest.converters.folder_files import FolderFiles


class FolderWorker:
    """Turns runs of files into rows."""

    def __init__(self, stage: FolderFiles, ctx: Context) -> None:
        self.stage = stage
        self.worker = RowWorker(stage, ctx, stage.path, kind=stage.kind, probe=stage.probe)
        self.cells = Cells.of(stage.parts, stage.join, ctx, self.worker.root.folder)

    def process(self, unit: Unit) -> Result:
        """The rows of a unit's files, and what is wrong with the others."""
        stage = self.stage
        files = file_rows(listed(unit))
        cells = self.cells.complete(files, stage.columns(), stage.path)
        cells = cells.with_columns(files["path"], pl.coalesce(files["refused"], REASON).alias(REASON))
        return self.worker.result(cells.filter(offered(stage)))


def file_rows(files: Sequence[Listed]) -> pl.DataFrame:
    """One row a file: `path`, `name`, `stem`, and `refused` as "code|detail" where it is not to be read."""
    paths = pl.Series("path", [file.path for file in files], dtype=pl.String)
    why = [f"{file.refused}|{file.detail}" if file.refused else None for file in files]
    rows = pl.DataFrame({"path": paths, "refused": pl.Series(why, dtype=pl.String)})
    name = pl.col("path").str.extract(r"([^/]*)$")
    return rows.with_columns(name=name, stem=name.str.replace(r"(\.nii)?\.[^.]*$", ""))
