"""A folder of files whose paths say what they are: class folders, names with codes, with tables beside them.

Every file that `include` lets through is one item. Parts of its path become columns by `parts`
(`{path: "(?P<class>[^/]+)/[^/]+$"}`), tables join on them, and the columns mean what the options say. `path`, `name`
(the file's own) and `stem` (without its ending) are columns, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from ingest.columns import row_contract
from ingest.converters.listed_files import ListedFiles
from ingest.listing import Lookup
from shards.stage import Context, Contract, Unit
from shards.units import Sizes

if TYPE_CHECKING:
    from ingest.converters.folder_rows import FolderWorker

IMAGES = ("*.jpg", "*.jpeg", "*.png", "*.tif", "*.tiff", "*.bmp", "*.JPG", "*.JPEG", "*.PNG", "*.TIF", "*.TIFF")


@dataclass(frozen=True, kw_only=True)
class FolderFiles(ListedFiles):
    """Makes a manifest of the files below a folder."""

    contract: ClassVar[Contract] = row_contract(version=3)

    include: tuple[str, ...] = IMAGES
    kind: Literal["image", "video", "ecg", "audio"] = "image"
    probe: bool = False  # open every file for its hash and sizes
    unit_files: int = 1000

    def __post_init__(self) -> None:
        ListedFiles.__post_init__(self)
        self.check_given()
        if self.unit_files < 1:
            raise ValueError(f"unit_files must be at least 1, not {self.unit_files}")

    def read_with(self, path: str, lookup: Lookup) -> list[str]:
        """What the signals of an ECG are known by."""
        from ingest.cells import signals_beside

        return signals_beside(self.kind, path, lookup)

    def units(self, ctx: Context) -> Iterator[Unit]:
        """Runs of the listing."""
        return self.file_units(ctx, Sizes(target=self.unit_files), extra=())

    @contextmanager
    def open(self, ctx: Context) -> Iterator[FolderWorker]:
        """A worker that keeps the tables and the media reader."""
        from ingest.converters.folder_rows import FolderWorker

        yield FolderWorker(self, ctx)
