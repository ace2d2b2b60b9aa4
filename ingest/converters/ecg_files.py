"""Electrocardiograms whose headers say whose they are: DICOM waveforms, and WFDB records without a table.

The header's columns are `leads`, `duration_s` and, of DICOM, `patient_id`, `study_uid`, `sop_uid`, `patient_age` and
`patient_sex`. DicomFolder does not read these objects: it makes series of pictures, and half of what it knows (windows,
planes, positions) they do not have. A set with a table, such as PTB-XL, goes through TableImages with `kind: ecg`. A
long recording is cut into equal pieces of at most `piece_s`, of which a sheet shows the first 10 s.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from ingest.columns import row_contract
from ingest.converters.file_pieces import FilePieces, Piece
from ingest.listing import Root
from shards.locator import Locator
from shards.stage import Context, Contract

if TYPE_CHECKING:
    from ingest.converters.file_pieces import PieceWorker
    from shards.media import MediaReader


@dataclass(frozen=True, kw_only=True)
class EcgFiles(FilePieces):
    """Makes a manifest of the electrocardiograms below a folder."""

    contract: ClassVar[Contract] = row_contract(version=1)

    include: tuple[str, ...] = ("*.dcm", "*.DCM", "*.hea")
    modality: str | None = "ECG"
    specialty: str | None = "cardiology"
    patient: str | None = "patient_id"
    study: str | None = "study_uid"
    source_id: str | None = "sop_uid"
    group: str | None = "path"  # of a record whose header names neither patient nor study
    piece_s: float | None = None

    def __post_init__(self) -> None:
        FilePieces.__post_init__(self)
        if self.piece_s is not None and not self.piece_s >= 1:
            raise ValueError(f"piece_s must be at least 1, not {self.piece_s}; a sheet shows 10 s")

    def beside(self, path: str) -> str:
        """The usual signal file of a WFDB header."""
        return f"{path.removesuffix('.hea')}.dat" if path.endswith(".hea") else ""

    @contextmanager
    def open(self, ctx: Context) -> Iterator[PieceWorker]:
        """A worker that keeps the tables and the media reader."""
        from ingest.converters.file_pieces import PieceWorker

        root = Root.find(ctx.resolve(self.path))

        def pieces(path: str, reader: MediaReader) -> list[Piece]:
            ecg = reader.recording(root.uri(path)).ecg()
            count = 1 if self.piece_s is None else int(-(-ecg.duration_s // self.piece_s))
            edges = [round(ecg.samples * place / count) for place in range(count + 1)]
            return [
                Piece(
                    locator=Locator() if count == 1 else Locator(frame_start=start, frame_stop=stop),
                    words="" if count == 1 else f"from {start}",
                    cells={
                        **ecg.known,
                        "leads": str(len(ecg.leads)),
                        "duration_s": f"{(stop - start) / ecg.rate_hz:.3f}",
                    },
                )
                for start, stop in pairwise(edges)
            ]

        yield PieceWorker(self, ctx, "ecg", pieces)
