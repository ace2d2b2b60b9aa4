"""The display range of an MR series, found once for all its files in a folder.

MR values have no unit, so each picture scaled by itself would change its greys from slice to slice. The range is that
of the whole series (Nyúl and Udupa, Magn. Reson. Med. 42, 1999, take percentiles for the same reason).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shards.dicom_header import DicomFacts
from shards.intake import Skip

if TYPE_CHECKING:
    from shards.media import MediaReader

Range = tuple[float, float]


@dataclass
class SeriesScales:
    """Ranges of the series that some files belong to."""

    reader: MediaReader
    files: Mapping[tuple[str, str], Mapping[str, str]]  # (folder, series UID) -> path -> uri
    begin: Callable[[str], None]  # called with the path of each file before it is opened
    _found: dict[tuple[str, str], Range] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        reader: MediaReader,
        headers: Iterable[tuple[str, str, DicomFacts]],
        cut_folders: Iterable[str],
        begin: Callable[[str], None],
    ) -> SeriesScales:
        """Series among files given as (path, uri, header); those of `cut_folders` are not seen whole and left out."""
        cut = set(cut_folders)
        files: dict[tuple[str, str], dict[str, str]] = {}
        for path, uri, header in headers:
            folder = path.rpartition("/")[0]
            if header.series_uid and folder not in cut:
                files.setdefault((folder, header.series_uid), {})[path] = uri
        return cls(reader, files, begin)

    def range(self, path: str, uri: str, header: DicomFacts) -> Range:
        """(black, white) in modality units for the file at `path`; raises Skip where it cannot be read."""
        series = path.rpartition("/")[0], header.series_uid or ""
        if series not in self.files:
            return self._percentiles({path: uri})
        if series not in self._found:
            self._found[series] = self._of_series(self.files[series])
            self.begin(path)
        return self._found[series]

    def _of_series(self, files: Mapping[str, str]) -> Range:
        """Over the files that can be read; a damaged one is rejected by itself and must not take the series along."""
        try:
            return self._percentiles(files)
        except Skip:
            return self._percentiles({path: uri for path, uri in files.items() if self._is_readable(path, uri)})

    def _is_readable(self, path: str, uri: str) -> bool:
        try:
            self._percentiles({path: uri})
        except Skip:
            return False
        return True

    def _percentiles(self, files: Mapping[str, str]) -> Range:
        return self.reader.series_percentiles(self._opening(files))

    def _opening(self, files: Mapping[str, str]) -> Iterator[str]:
        for path, uri in files.items():
            self.begin(path)
            yield uri
