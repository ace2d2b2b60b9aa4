"""A folder of files whose paths say what they are: class folders, names with codes, with tables beside them.

Every file that `include` lets through is one item. Parts of its path become columns by `parts`
(`{path: "(?P<class>[^/]+)/[^/]+$"}`), tables join on them, and the columns mean what the options say. `path`, `name`
(the file's own) and `stem` (without its ending) are columns, too. A listing holds one folder's names at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from ingest.columns import RowOptions
from ingest.file_units import check_excluded, folder_units, listed
from ingest.listing import Lookup, Root, check_expected
from ingest.table_file import JoinTable, check_parts
from shards.stage import Context, Contract, Kind, Unit
from shards.units import Sizes

if TYPE_CHECKING:
    from ingest.converters.folder_rows import FolderWorker

PATH_COLUMNS = ("path", "name", "stem")
IMAGES = ("*.jpg", "*.jpeg", "*.png", "*.tif", "*.tiff", "*.bmp", "*.JPG", "*.JPEG", "*.PNG", "*.TIF", "*.TIFF")


@dataclass(frozen=True, kw_only=True)
class FolderFiles(RowOptions):
    """Makes a manifest of the files below a folder."""

    contract: ClassVar[Contract] = Contract(
        gives=Kind.MANIFEST, adds=("media", "captions", "labels", "attributes", "group", "license", "terms"), version=3
    )

    path: str  # folder
    include: tuple[str, ...] = IMAGES  # patterns on the path; `*` also matches `/`
    exclude: Mapping[str, str] = field(default_factory=dict)  # path -> reason code
    parts: Mapping[str, str] = field(default_factory=dict)  # column -> expression whose (?P<named>groups) are columns
    join: tuple[JoinTable, ...] = ()
    kind: Literal["image", "video", "ecg", "audio"] = "image"
    expects: tuple[str, ...] = ()  # paths or patterns below `path` that must be there
    probe: bool = False  # open every file for its hash and sizes
    unit_files: int = 1000

    def __post_init__(self) -> None:
        RowOptions.__post_init__(self)
        check_parts(self.parts)
        check_excluded(self.exclude)
        for name in ("modality", "specialty"):
            if getattr(self, name) is None and getattr(self, f"{name}_column") is None:
                raise ValueError(f"{name} is not given: set `{name}` for all files, or `{name}_column`")
        if self.unit_files < 1:
            raise ValueError(f"unit_files must be at least 1, not {self.unit_files}")

    def units(self, ctx: Context) -> Iterator[Unit]:
        """Runs of the listing; the joined tables, those that word labels and what is read beside a file count, too."""
        from ingest.cells import Cells, names_inputs, signals_beside

        root = Root.find(ctx.resolve(self.path))
        check_expected(root, self.expects)
        known = Cells.of(self.parts, self.join, ctx, root.folder).inputs(ctx)
        known += names_inputs(self, ctx, root.folder)
        lookup = Lookup(root)
        for unit in folder_units(root, self.source, Sizes(target=self.unit_files), self.include, self.exclude):
            signals = [token for file in listed(unit) for token in signals_beside(self.kind, file.path, lookup)]
            yield replace(unit, inputs=(*unit.inputs, *known, *signals))

    @contextmanager
    def open(self, ctx: Context) -> Iterator[FolderWorker]:
        """A worker that keeps the tables and the media reader."""
        from ingest.converters.folder_rows import FolderWorker

        yield FolderWorker(self, ctx)
