"""What kind of picture a sample is, and its name as a noun phrase: `axial CT image of the abdomen`.

The form (still, slice, frame of a video, clip, stack of slices) is read off the locator and the number of frames, never
guessed from pixels. A unit wider than the picture has its own word, so that a finding of it can be worded as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from captioning.wording import body_part, plain_number, plural, view
from shards.attributes import Value
from shards.manifest import Media, Sample
from shards.vocabulary import MODALITIES

VOLUMES = {"CT", "MR", "PT", "NM", "OPT"}  # one image of these is a slice or a projection of a scan
MOVING = {"US", "XA", "ES", "SURG", "XC"}  # several frames of these are a video also where a DICOM file holds them
RECORDINGS = {"ECG", "AUDIO"}
PAIRED = {"OP": "eye", "OPT": "eye", "MG": "breast"}  # what a side belongs to where no body part is given
BODY_FIRST = {"CR", "CT", "MR", "US", "PT", "SM"}  # `chest radiograph` is good English, `colon endoscopic image` not
ON_FILM = {"CR", "DX", "MG", "XA", "ECG"}  # findings are seen on these, and in the others


class Form(Enum):
    """What one sample shows of its source."""

    STILL = auto()
    FRAME = auto()  # one frame of a video
    CLIP = auto()  # several frames of a video
    STACK = auto()  # several slices of a volume


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A sample's form and the length of what it was taken from."""

    form: Form
    modality: str
    duration_s: float | None = None  # of the clip's frames, or of the whole recording
    cut: bool = False  # the locator takes a part of the frames
    derived: str = ""  # what a map computed from the scan shows

    @property
    def series(self) -> str:
        """The word for the series that the picture belongs to."""
        if self.modality in RECORDINGS:
            return "recording"
        if self.form in (Form.FRAME, Form.CLIP):
            return "video"
        return "scan" if self.modality in VOLUMES else "series"

    @property
    def noun(self) -> str:
        """`CT image`, `ultrasound clip`, `operative video frame`."""
        name = MODALITIES[self.modality].name
        if self.derived:
            return f"{name.removesuffix(' image')}-derived {self.derived} map"
        if self.form is Form.STILL:
            return name
        stem = name.removesuffix(" frame").removesuffix(" video")
        for ending in (" image", " photograph"):
            stem = stem.removesuffix(ending)
        last = {Form.FRAME: "video frame", Form.CLIP: "clip", Form.STACK: "slice sequence"}[self.form]
        return f"{stem} {last}"

    @property
    def preposition(self) -> str:
        """Findings are seen on a radiograph, in a CT image."""
        return "on" if self.modality in ON_FILM else "in"


def picture_of(sample: Sample, attributes: Mapping[str, Value]) -> Picture:
    """The form of a sample, from its media, locator and modality."""
    media, at = sample.media, sample.media.view
    video = media.kind in ("video", "frames") or (media.kind == "dicom" and sample.modality in MOVING)
    ranged = at.frame_start is not None or at.frame_stop is not None
    several = _frames(media) > 1
    if several:
        form = Form.CLIP if video else Form.STACK
    else:
        form = Form.FRAME if video and (ranged or at.slice is not None) else Form.STILL
    duration_s = None
    if form is Form.CLIP and media.fps:
        duration_s = media.frames / media.fps if media.frames else None
    elif sample.modality in RECORDINGS:
        stated = attributes.get("duration_s")
        duration_s = stated if isinstance(stated, float) else None
    derived = str(attributes.get("map", ""))
    return Picture(form=form, modality=sample.modality, duration_s=duration_s, cut=ranged, derived=derived)


def _frames(media: Media) -> int:
    """Frames of the sample; before the media were opened, as the locator says (a video without a range has several)."""
    if media.frames is not None:
        return media.frames
    at = media.view
    if at.frame_stop is not None:
        return at.frame_stop - (at.frame_start or 0)
    return 1 if at.slice is not None or media.kind not in ("video", "frames") else 2


def noun_phrase(picture: Picture, attributes: Mapping[str, Value], *, body_first: bool) -> str:
    """The picture with its view, plane, sequence, stain and body part, without article."""
    body = _body(picture.modality, attributes)
    side = attributes.get("laterality")
    words = [
        view(str(attributes["view"])) if "view" in attributes else "",
        _contrast(attributes.get("contrast")),
        str(attributes.get("plane", "")),
        str(attributes.get("sequence", "")),
        f"{attributes['stain']}-stained" if "stain" in attributes else "",
        f"{length_text(picture.duration_s)}-second" if picture.modality in RECORDINGS and picture.duration_s else "",
        f"{_whole(attributes['leads'])}-lead" if "leads" in attributes else "",
    ]
    if body and body_first and picture.modality in BODY_FIRST:
        words += [str(side or ""), body, picture.noun]
        return " ".join(filter(None, words))
    words.append(picture.noun)
    if body:
        of = f"of both {plural(body)}" if side == "bilateral" else f"of the {side or ''} {body}"
        words += of.split()
    return " ".join(filter(None, words))


def _contrast(given: Value | None) -> str:
    return "" if given is None else "contrast-enhanced" if given else "non-contrast"


def _body(modality: str, attributes: Mapping[str, Value]) -> str:
    named = attributes.get("organ", attributes.get("body_part"))
    if named is not None:
        return body_part(str(named))
    return PAIRED.get(modality, "") if "laterality" in attributes else ""


def _whole(value: Value) -> str:
    return plain_number(float(value))


def length_text(seconds: float) -> str:
    """Seconds as a caption says them: one decimal below ten."""
    return plain_number(seconds if seconds < 10 else round(seconds))


def taken_from(picture: Picture) -> str:
    """Where a clip comes from, in seconds; true also of a part of it, since packing may cut a clip to its length."""
    if picture.form is not Form.CLIP or not picture.duration_s or length_text(picture.duration_s) == "0":
        return ""
    return f"taken from a {length_text(picture.duration_s)}-second {'sequence' if picture.cut else 'recording'}"
