"""The `.json` member of a shard: all of a sample but its pixels and the places where they came from.

Every record of every shard has the same keys with the same types and no null, and what has no fixed shape (labels,
attributes) is one JSON string: `datasets` infers the types of a whole set from its first five samples, and an empty
list or a null there makes it drop or refuse what comes later. `width_px` to `fps` describe the member that lies
beside the record; `source_*` what the decoder gave, which SDXL's micro-conditioning wants (arXiv 2307.01952, 2.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from shards.canonical import canonical_json
from shards.manifest import Caption, Sample

RECORD_TYPES: dict[str, type] = {
    "attributes": str,  # JSON object
    "captions": list,  # of {by, text, weight}; the first is also the .txt member
    "decoded_by": str,  # packages and their versions, as they were when the pixels were read
    "fps": float,  # 0.0 for a still, and where the source states none
    "frames": int,
    "group": str,
    "height_px": int,
    "key": str,
    "label_scope": str,
    "labels": str,  # JSON list of {name, state, scope, origin}
    "license": str,
    "locator": str,
    "media_sha256": str,  # of the source file
    "modality": str,
    "official_split": str,
    "patient": str,
    "source": str,
    "source_frames": int,
    "source_height_px": int,
    "source_id": str,
    "source_width_px": int,
    "specialty": str,
    "split": str,
    "steps": list,  # of str: everything that was done to values and geometry, in order; never empty
    "study": str,
    "terms": dict,  # name -> {answer, evidence}
    "url": str,
    "width_px": int,
}
MEMBER_FACTS = (
    "width_px",
    "height_px",
    "frames",
    "fps",
    "source_width_px",
    "source_height_px",
    "source_frames",
    "decoded_by",
    "steps",
)


def texts(sample: Sample) -> list[Caption]:
    """The captions that say something."""
    return [caption for caption in sample.captions if caption.text.strip()]


def record(sample: Sample, facts: dict[str, Any]) -> dict[str, Any]:
    """The record of a sample; `facts` holds MEMBER_FACTS, measured on the encoded member."""
    whole = {
        **{name: facts[name] for name in MEMBER_FACTS},
        "attributes": sample.attributes,
        "captions": [{"by": c.by, "text": c.text, "weight": float(c.weight)} for c in texts(sample)],
        "group": sample.group,
        "key": sample.key,
        "label_scope": sample.label_scope,
        "labels": canonical_json([asdict(label) for label in sample.labels]),
        "license": sample.license,
        "locator": sample.media.locator,
        "media_sha256": sample.media.sha256 or "",
        "modality": sample.modality,
        "official_split": sample.official_split or "",
        "patient": sample.patient or "",
        "source": sample.source,
        "source_id": sample.source_id or "",
        "specialty": sample.specialty,
        "split": sample.split or "",
        "study": sample.study or "",
        "terms": asdict(sample.terms),
        "url": sample.url or "",
    }
    assert not wrong_types(whole), wrong_types(whole)
    return whole


def members(sample: Sample, extension: str, media: bytes, facts: dict[str, Any]) -> dict[str, bytes]:
    """The members of one sample in their order in the tar: media, text, record."""
    text = texts(sample)[0].text.encode()
    return {extension: media, "txt": text, "json": canonical_json(record(sample, facts)).encode()}


def wrong_types(whole: dict[str, Any]) -> Sequence[str]:
    """What differs from RECORD_TYPES: "key: what"; empty for a sound record."""
    found = [f"{key}: missing" for key in RECORD_TYPES if key not in whole]
    found += [f"{key}: unknown" for key in whole if key not in RECORD_TYPES]
    for key, kind in RECORD_TYPES.items():
        if key in whole and type(whole[key]) is not kind:
            found.append(f"{key}: {type(whole[key]).__name__} in place of {kind.__name__}")
    if "captions: " not in str(found) and not all(map(_is_caption, whole.get("captions", ()))):
        found.append("captions: not all of {by, text, weight}")
    found += [f"{key}: null inside" for key, value in whole.items() if key in RECORD_TYPES and _holds_null(value)]
    return found + [f"{key}: empty" for key in ("captions", "steps") if whole.get(key) == []]


def _is_caption(value: Any) -> bool:
    types = {"by": str, "text": str, "weight": float}
    return isinstance(value, dict) and {name: type(inside) for name, inside in value.items()} == types


def _holds_null(value: Any) -> bool:
    """Whether there is a null below a list or an object; one that stands alone has the wrong type."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(item is None or _holds_null(item) for item in inside)
