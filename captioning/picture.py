"""What kind of picture a sample is, and its name as a noun phrase: `axial CT image of the abdomen`.

The form (still, slice, frame of a video, clip, stack of slices) is read off the locator and the number of frames, never
guessed from pixels. A unit wider than the picture has its own word, so that a finding of it can be worded as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from captioning.wording import body_part, in_pairs, plain_number, plural, view
from shards.attributes import Value
from shards.manifest import Media
from shards.vocabulary import MODALITIES

VOLUMES = {"CT", "MR", "PT", "NM", "OPT"}  # one image of these is a slice or a projection of a scan
MOVING = {"US", "XA", "ES", "SURG", "XC"}  # several frames of these are a video also where a DICOM file holds them
RECORDINGS = {"ECG", "AUDIO"}
PAIRED = {"OP": "eye", "OPT": "eye", "MG": "breast"}  # what a side belongs to where no body part is given
BODY_FIRST = {"CR", "CT", "MR", "US", "PT", "SM"}  # `chest radiograph` is good English, `colon endoscopic image` not
ON_FILM = {"CR", "DX", "MG", "XA", "ECG"}  # findings are seen on these, and in the others
SIDES = {"left", "right", "bilateral", "both"}  # in the name of a body part
EXAMINATIONS = {"MR": "MRI"}  # what a map is derived from, where it is not called as one picture is
METHODS = {  # before `video clip` and `image sequence`, where the name of one picture does not give it
    "CR": "radiography", "DX": "digital radiography", "MG": "mammography", "XA": "X-ray angiography",
}  # fmt: skip
MINUTES_FROM_S = 120
SAME_LENGTH = 0.05  # two lengths that differ by less are one, rounded differently


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
    recorded_s: float | None = None  # of a recording (ECG, AUDIO)
    taken_from: str = ""  # `4-second recording` of a clip
    cut: bool = False  # the locator takes a part of the frames
    derived: str = ""  # what a map computed from the scan shows

    @property
    def several(self) -> bool:
        """Whether it has more than one frame or slice."""
        return self.form in (Form.CLIP, Form.STACK)

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
        """`CT image`, `ultrasound video clip`, `operative video frame`."""
        name = MODALITIES[self.modality].name
        if self.derived:
            return f"{EXAMINATIONS.get(self.modality, name.removesuffix(' image'))}-derived {self.derived} map"
        if self.form is Form.STILL:
            return name
        method = name
        for ending in (" image", " photograph", " video frame"):
            method = method.removesuffix(ending)
        slices = "slice sequence" if self.modality in VOLUMES else "image sequence"
        last = {Form.FRAME: "video frame", Form.CLIP: "video clip", Form.STACK: slices}[self.form]
        return f"{METHODS.get(self.modality, method)} {last}"

    @property
    def preposition(self) -> str:
        """Findings are seen on a radiograph, in a CT image."""
        return "on" if self.modality in ON_FILM else "in"


def picture_of(modality: str, media: Media, attributes: Mapping[str, Value]) -> Picture:
    """The form of a sample, from its media, locator and modality."""
    at = media.view
    video = media.kind in ("video", "frames") or at.over_time or (media.kind == "dicom" and modality in MOVING)
    ranged = at.frame_start is not None or at.frame_stop is not None
    if _frames(media) > 1:
        form = Form.CLIP if video else Form.STACK
    else:
        form = Form.FRAME if video and (ranged or at.slice is not None) else Form.STILL
    duration = attributes.get("duration_s")
    stated_s = duration if isinstance(duration, float) else None
    return Picture(
        form=form,
        modality=modality,
        recorded_s=stated_s if modality in RECORDINGS else None,
        taken_from=_taken_from(media, stated_s, cut=ranged) if form is Form.CLIP else "",
        cut=ranged,
        derived=str(attributes.get("map", "")),
    )


def _frames(media: Media) -> int:
    """Frames of the sample; before the media were opened, as the locator says (a video without a range has several)."""
    if media.frames is not None:
        return media.frames
    at = media.view
    if at.frame_stop is not None:
        return at.frame_stop - (at.frame_start or 0)
    return 1 if at.slice is not None or media.kind not in ("video", "frames") else 2


def _taken_from(media: Media, stated_s: float | None, *, cut: bool) -> str:
    """What a clip comes from, in seconds: also true of a part of it, since packing may cut a clip to its length.

    `stated_s` is of the whole recording, or of the clip where the source means that; what is shorter than the clip is
    an error of the source.
    """
    own_s = media.frames / media.fps if media.frames and media.fps else None
    if stated_s is None or (own_s is not None and stated_s < own_s * (1 - SAME_LENGTH)):
        length_s, whole = own_s, not cut
    else:
        length_s, whole = stated_s, not cut or (own_s is not None and stated_s > own_s * (1 + SAME_LENGTH))
    length = length_text(length_s) if length_s else ""
    return f"{length} {'recording' if whole else 'sequence'}" if length else ""


def noun_phrase(picture: Picture, attributes: Mapping[str, Value], *, body_first: bool) -> str:
    """The picture with its view, plane, sequence, stain and body part, without article."""
    body = _body(picture.modality, attributes)
    side = str(attributes.get("laterality", ""))
    named = SIDES.intersection(body.split())
    if side and named:
        body = body if named == {side} else ""  # two sides that contradict each other: neither is said
    if named or (side == "bilateral" and not in_pairs(body)):
        side = ""
    words = [
        view(str(attributes["view"])) if "view" in attributes else "",
        contrast(attributes.get("contrast")),
        str(attributes.get("plane", "")),
        str(attributes.get("sequence", "")),
        f"{attributes['stain']}-stained" if "stain" in attributes else "",
        length_text(picture.recorded_s) if picture.recorded_s else "",
        f"{plain_number(float(attributes['leads']))}-lead" if "leads" in attributes else "",
    ]
    if body and body_first and picture.modality in BODY_FIRST:
        words += [side, body, picture.noun]
        return " ".join(filter(None, words))
    words.append(picture.noun)
    if body:
        words += f"of both {plural(body)}".split() if side == "bilateral" else f"of the {side} {body}".split()
    return " ".join(filter(None, words))


def contrast(given: Value | None) -> str:
    """As an adjective of the picture; empty where nobody says."""
    return "" if given is None else "contrast-enhanced" if given else "non-contrast"


def _body(modality: str, attributes: Mapping[str, Value]) -> str:
    named = attributes.get("organ", attributes.get("body_part"))
    if named is not None:
        return body_part(str(named))
    return PAIRED.get(modality, "") if "laterality" in attributes else ""


def length_text(seconds: float) -> str:
    """`4.2-second`, `30-second`, `90-minute`; empty for what rounds to nothing."""
    if seconds >= MINUTES_FROM_S:
        return f"{round(seconds / 60)}-minute"
    number = plain_number(seconds if seconds < 10 else round(seconds))
    return "" if number == "0" else f"{number}-second"
