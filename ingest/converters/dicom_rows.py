"""The worker of DicomFolder: from one file to its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ingest.burned_in import check_text
from ingest.converters.dicom_defaults import SLICED, SPECIALTIES, ct_windows, header_attributes, modality_of
from ingest.converters.dicom_folder import DicomFolder
from ingest.converters.dicom_series import SeriesScales
from ingest.converters.file_descriptions import Described, FileDescriptions, FromHeader, refused
from ingest.converters.file_options import NARROW
from ingest.file_units import cut_folders, listed
from ingest.listing import Listed
from ingest.unknown_cells import quoted
from shards.attributes import decode, encode
from shards.dicom_header import DicomFacts, read_header
from shards.frames import Facts as MediaFacts
from shards.frames import chosen_frames
from shards.intake import Intake, Skip
from shards.locator import Locator
from shards.manifest import Media, Sample, frame
from shards.media import MediaReader
from shards.reasons import Reason
from shards.stage import Context, Result, Unit
from shards.windows import WINDOWS

Size = tuple[int, int]  # width, height in pixels
AGREE = ("sex", "laterality")  # attributes that mean one thing, so that a table and a header that differ are an error


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    """All that is known of one readable file."""

    listed: Listed
    uri: str
    header: DicomFacts
    media: MediaFacts
    known: Described
    modality: str

    @property
    def is_cine(self) -> bool:
        """Frames that follow each other in time; without a rate they are slices of a stack."""
        return self.header.frames > 1 and self.header.fps is not None


class DicomWorker:
    """Turns DICOM files into rows."""

    def __init__(self, stage: DicomFolder, ctx: Context) -> None:
        self.stage = stage
        self.ctx = ctx
        self.reader = MediaReader()
        own = {} if stage.modality_column is None else {"modality": stage.modality_column}
        self.described = FileDescriptions(stage, ctx, "dicom", own, SPECIALTIES)
        self.root = self.described.worker.root
        self.origin = self.described.worker.origin

    def process(self, unit: Unit) -> Result:
        """The rows of a unit's files."""
        intake = Intake(self.ctx)
        files = listed(unit)
        headers = {file.path: self._header(file) for file in files}
        known = [
            (path, self.root.uri(path), header) for path, header in headers.items() if isinstance(header, DicomFacts)
        ]
        scales = SeriesScales.of(self.reader, known, cut_folders(unit), self._begin)
        told = self.described.of(files, lambda file: _from_header(headers[file.path]))
        for file in files:
            if file.path in told:
                intake.take(file.path, self._rows, file, headers[file.path], told[file.path], scales)
        return intake.result(frame)

    def _begin(self, path: str) -> None:
        """Note the file that is opened now, so that one that kills the worker is known."""
        self.ctx.check()
        self.ctx.mark(path)

    def _header(self, file: Listed) -> DicomFacts | Skip:
        """The header, or why there is none."""
        try:
            refused(file)
            if file.path in self.ctx.quarantined:
                return Skip(Reason.of(self.ctx.quarantined[file.path]))
            self._begin(file.path)
            return read_header(self.root.uri(file.path), self.reader.limits)
        except Skip as skip:
            return skip
        except FileNotFoundError:
            return Skip(Reason.MISSING_FILE)
        except OSError as error:
            return Skip(Reason.UNREADABLE, type(error).__name__)

    def _rows(self, file: Listed, header: DicomFacts | Skip, known: Described, scales: SeriesScales) -> list[Sample]:
        if isinstance(header, Skip):
            raise header
        check_text(file.path, header, self.stage.burned_in_text_checked, known.columns["modality"])
        if known.is_of_no_modality and header.modality:
            raise Skip(Reason.UNKNOWN_MODALITY, f"the header says {quoted(header.modality)}; nothing else says more")
        known.check()
        self._check_agrees(header, known)
        narrow = [label.scope for label in known.labels if label.scope in NARROW]
        if known.columns["captions"] and self.stage.label_scope in NARROW:
            narrow.append(self.stage.label_scope)
        if narrow and header.frames > 1:
            raise Skip(Reason.BAD_ROW, f"said of one {narrow[0]}, and the object has {header.frames} frames")
        uri = self.root.uri(file.path)
        found = _File(
            listed=file,
            uri=uri,
            header=header,
            media=self.reader.facts(uri),
            known=known,
            modality=known.columns["modality"],
        )
        parts = self._parts(found)
        return [self._sample(found, view, size) for part in parts for view, size in self._shown(found, part, scales)]

    def _check_agrees(self, header: DicomFacts, known: Described) -> None:
        """Skip where a table and the header say different things of what they mean alike."""
        own = decode(encode({"sex": header.patient_sex, "laterality": header.laterality}))
        told = known.of_tables
        both = own.keys() & told.keys() & set(AGREE)
        differ = sorted(name for name in both if own[name] not in ("other", told[name]))  # O is often "not known"
        code = known.cells.get("modality")
        code = self.stage.modality_codes.get(code or "", code or "")
        if code and modality_of(header) not in (None, code):
            differ.append("modality")
        if differ:
            raise Skip(Reason.HEADER_CONTRADICTS, f"{', '.join(differ)}: the table says otherwise")

    def _parts(self, file: _File) -> Iterator[Locator]:
        """The parts of a file that are rows: the whole, or frames of it."""
        stage, frames = self.stage, file.header.frames
        if frames == 1 or (file.is_cine and stage.frames != "stills"):
            yield from _clips(frames, stage.clip_frames)
        if frames > 1 and not (file.is_cine and stage.frames == "clip"):
            for number in range(0, frames, stage.still_every):
                yield Locator(frame_start=number, frame_stop=number + 1)

    def _shown(self, file: _File, part: Locator, scales: SeriesScales) -> list[tuple[Locator, Size]]:
        """A part with each way of showing its values; decoded for its size, and what cannot be shown raises Skip."""
        stage, grey = self.stage, (file.header.photometric or "").startswith("MONOCHROME")
        views = [part]
        if grey and file.modality == "CT":
            body_part = file.known.attributes.get("body_part", file.header.body_part)
            names = stage.windows or ct_windows(None if body_part is None else str(body_part), file.header)
            views = [replace(part, window=name) for name in names]
        elif grey and file.modality == "MR" and stage.scale == "series":
            low, high = scales.range(file.listed.path, file.uri, file.header)
            views = [replace(part, low=low, high=high)]
        try:
            return [(view, self._size(file, view)) for view in views]
        except Skip as skip:
            if skip.reason is not Reason.UNSUPPORTED_PIXELS or stage.windows or views == [part]:
                raise
        # CT without Hounsfield units, such as a localizer, as its header shows it
        return [(part, self._size(file, part))]

    def _size(self, file: _File, view: Locator) -> Size:
        """Of the decoded picture: frames of one object may be turned differently."""
        pixels = self.reader.read(Media(uri=file.uri, kind="dicom", locator=view.text())).pixels
        return pixels.shape[2], pixels.shape[1]

    def _sample(self, file: _File, view: Locator, size: Size) -> Sample:
        origin, header = self.origin, file.header
        locator = view.text()
        frames = len(chosen_frames(view, file.media.frames))
        fps = file.media.fps if frames > 1 else None
        recorded_s = None if fps is None else round(file.media.frames / fps, 2)  # of the whole cine, also for its clips
        attributes = {
            **header_attributes(header, file.modality),
            **file.known.attributes,
            "window": view.window if view.window in WINDOWS else None,
            "duration_s": recorded_s,
        }
        narrowest = "series" if file.is_cine else "slice" if file.modality in SLICED else "image"
        return Sample(
            key=origin.key(file.listed.path, locator),
            media=Media(
                uri=file.uri,
                kind="dicom",
                locator=locator,
                sha256=file.media.sha256,
                width_px=size[0],
                height_px=size[1],
                frames=frames,
                fps=fps,
            ),
            labels=file.known.labels,
            label_scope=file.known.scope(narrowest, self.stage.label_scope),
            retrieved=file.listed.modified,
            attributes=encode(attributes),
            **file.known.columns,
        )


def _from_header(header: DicomFacts | Skip) -> FromHeader:
    """What the header gives where no table speaks; `group` is the series."""
    if isinstance(header, Skip):
        return FromHeader()
    ids = (header.sop_uid, header.series_uid, header.study_uid, header.patient_id)
    return FromHeader(
        columns=dict(zip(DicomFolder.ids, ids, strict=True)),
        modality=modality_of(header),
        patient=header.patient_id,
        study=header.study_uid,
        source_id=header.sop_uid,
        group=header.series_uid,
    )


def _clips(frames: int, length: int) -> Iterator[Locator]:
    """The whole, or clips of `length` frames; what is left at the end is one more where it is half as long."""
    if not 0 < length < frames:
        yield Locator()
        return
    for start in range(0, frames, length):
        stop = min(start + length, frames)
        if 2 * (stop - start) >= length:
            yield Locator(frame_start=start, frame_stop=stop)
