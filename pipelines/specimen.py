"""One sample as people look at it, the same whether it comes from a manifest or from a shard.

The view names keys and keyed hashes only. The place of the source file is left out, since a path may hold a person's
name; `medloom explain` gives it to the one who asks for a key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Any

from pipelines.pictures import Picture, of_frames
from shards import codecs
from shards.frames import Frames
from shards.intake import Skip
from shards.manifest import Caption, Label, Media, Sample, Term, Terms
from shards.media import MediaReader
from shards.record import wrong_types
from shards.uri import local_path
from shards.windows import HEADER, WINDOWS

STILLS = ("jpg", "jpeg", "png", "webp")
CLIPS = ("mp4",)
TEXTS = ("txt", "caption")  # members of stock data sets that hold the caption


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """A sample, and where it is packed its media member and what was done to its pixels."""

    sample: Sample
    steps: tuple[str, ...] = ()  # known once packed
    extension: str = ""  # of the media member; empty for a row of a manifest
    member: bytes = b""
    origin: Media | None = None  # of a packed sample, where its manifest is at hand

    @property
    def is_clip(self) -> bool:
        """Whether it moves."""
        return (self.sample.media.frames or 1) > 1

    def picture(self, reader: MediaReader, side_px: int) -> Picture:
        """The sample at thumbnail size; raises Skip or ValueError where it cannot be shown.

        A still that is packed smaller is shown from its source where that is still there, unchanged and local.
        """
        packed_px = max(self.sample.media.width_px or 0, self.sample.media.height_px or 0)
        if self.origin is not None and not self.is_clip and packed_px < side_px:
            with suppress(Skip, OSError, ModuleNotFoundError):
                if local_path(self.origin.uri) is not None:
                    return replace(of_frames(reader.read(self.origin), side_px), of_source=True)
        return of_frames(self._frames(reader), side_px)

    def stills(self, reader: MediaReader, side_px: int, most: int) -> list[tuple[Picture, str]]:
        """The picture, or up to `most` (2 or more) frames of a clip from first to last, each with its place in words.

        Raises Skip or ValueError where the sample cannot be shown.
        """
        frames = self._frames(reader)
        count = frames.pixels.shape[0]
        chosen = sorted({at * (count - 1) // (most - 1) for at in range(most)})
        fps = frames.fps or self.sample.media.fps
        return [
            (
                of_frames(replace(frames, pixels=frames.pixels[at : at + 1]), side_px),
                "" if count == 1 else f"frame {at + 1} of {count}" + (f", {at / fps:.1f} s" if fps else ""),
            )
            for at in chosen
        ]

    def _frames(self, reader: MediaReader) -> Frames:
        if not self.extension:
            return reader.read(self.sample.media)
        if self.extension not in (*STILLS, *CLIPS):
            raise ValueError(f"a .{self.extension} member is no picture")
        pixels = codecs.decode(self.member, "mp4" if self.extension in CLIPS else "jpg")
        return Frames(pixels=pixels, fps=self.sample.media.fps or None)

    def facts(self) -> dict[str, Any]:
        """All that is known as plain JSON, without the place of the source file."""
        known = self.sample.to_row()
        del known["media"]["uri"], known["retrieved"]
        known["media"]["locator"] = json.loads(self.sample.media.locator or "{}")
        known["attributes"] = json.loads(self.sample.attributes or "{}")
        return {**known, "steps": list(self.steps)}


def values(facts: Mapping[str, Any], column: str) -> list[str]:
    """What `column` (dots lead inwards: `attributes.plane`) holds; of a list, what its elements hold.

    Raises ValueError for a column that no sample has.
    """
    head = column.partition(".")[0]
    if head not in facts:
        raise ValueError(f"--where {column}: there is no column `{head}`; choose one of {', '.join(facts)}")
    return _values(facts, column.split("."))


def _values(found: Any, path: list[str]) -> list[str]:
    if isinstance(found, list):
        return [value for element in found for value in _values(element, path)]
    if path:
        return _values(found[path[0]], path[1:]) if isinstance(found, Mapping) and path[0] in found else []
    if isinstance(found, bool):
        return [str(found).lower()]
    return ["" if found is None else str(found)]


def of_members(key: str, members: Mapping[str, bytes]) -> Specimen:
    """A sample of a shard, also of one that another program wrote: then only its caption and picture are known."""
    extension = next((name for name in members if name in (*STILLS, *CLIPS)), "")
    extension = extension or next((name for name in members if name not in ("json", *TEXTS)), "")
    record = _record(members.get("json", b""))
    if record is None:
        text = next((members[name].decode(errors="replace") for name in TEXTS if name in members), "")
        sample = _unknown(key, text, clip=extension in CLIPS)
        return Specimen(sample=sample, extension=extension, member=members.get(extension, b""))
    media = Media(
        uri="",
        kind="video" if record["frames"] > 1 else "image",
        locator=record["locator"],
        sha256=record["media_sha256"],
        width_px=record["width_px"],
        height_px=record["height_px"],
        frames=record["frames"],
        fps=record["fps"] or None,
    )
    names = {field.name for field in fields(Sample)} & record.keys()
    nested = {
        "captions": tuple(Caption(**caption) for caption in record["captions"]),
        "labels": tuple(Label(**label) for label in json.loads(record["labels"])),
        "terms": Terms(**{name: Term(**answer) for name, answer in record["terms"].items()}),
    }
    empty = {name: record[name] or None for name in ("patient", "study", "source_id", "url", "official_split", "split")}
    sample = Sample(**{**{name: record[name] for name in names}, **empty, **nested, "media": media})
    return Specimen(
        sample=sample, steps=tuple(record["steps"]), extension=extension, member=members.get(extension, b"")
    )


def _record(data: bytes) -> dict[str, Any] | None:
    """A record of ours, or None for anything else."""
    try:
        record = json.loads(data)
    except ValueError:
        return None
    return record if isinstance(record, dict) and not wrong_types(record) else None


def _unknown(key: str, text: str, *, clip: bool) -> Sample:
    unknown: dict[str, Any] = dict.fromkeys(("modality", "specialty", "group", "label_scope", "source", "license"), "")
    captions = (Caption(text=text.strip(), by="source"),) if text.strip() else ()
    return Sample(key=key, media=Media(uri="", kind="video" if clip else "image"), captions=captions, **unknown)


def view_words(sample: Sample) -> str:
    """The part and view of the medium in words: "axial slice 90, brain window 40/80 HU"; empty for the whole."""
    view = sample.media.view
    words = []
    if view.slice is not None:
        words.append(f"{view.axis or ''} slice {view.slice}".strip())
    elif view.axis is not None and not view.over_time:
        words.append(f"{view.axis} slices")
    if view.frame_start is not None:
        last = (view.frame_stop or view.frame_start + 1) - 1
        words.append(
            f"frame {view.frame_start}" if last <= view.frame_start else f"frames {view.frame_start} to {last}"
        )
    if view.volume is not None:
        words.append(f"volume {view.volume}")
    if view.array is not None:
        words.append(f"array {view.array}")
    if view.window is not None:
        window = WINDOWS.get(view.window)
        named = "window of the header" if view.window == HEADER else f"{view.window} window"
        words.append(f"{named} {window.centre_hu:g}/{window.width_hu:g} HU" if window else named)
    elif view.low is not None and view.high is not None:
        words.append(f"shown from {_level(view.low, view.high)} to {_level(view.high, view.high)}")
    return ", ".join(words)


def _level(value: float, largest: float) -> str:
    """A display limit as precise as a reader wants it: three digits, and 0 for what is nothing beside the largest."""
    if abs(value) < 1e-4 * abs(largest):
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def label_words(label: Label) -> str:
    """A label with its state and scope: "polyp present (image, expert)"."""
    return f"{label.name} {label.state} ({label.scope}, {label.origin})"
