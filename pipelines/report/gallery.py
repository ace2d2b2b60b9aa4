"""Pairs to look at: a few of each modality, from as many sources and groups as there are, as they were packed.

A pair is shown as the model sees it, from its shard; where nothing has been packed, from the file that the manifest
names. What cannot be shown says why.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

import polars as pl

from pipelines.pictures import Picture
from pipelines.report.data import split_table
from pipelines.report.outputs import Outputs
from pipelines.show import spread
from pipelines.specimen import Specimen, label_words, of_members, view_words
from shards.index import ShardSet
from shards.intake import Skip
from shards.manifest import Sample, samples, scan_parts
from shards.media import MediaReader
from shards.reader import ShardReader
from shards.reasons import Reason
from shards.vocabulary import MODALITIES

PAIRS_PER_MODALITY = 8
CARD_SIDE_PX = 288
CLIP_SIDE_PX = 480


@dataclass(frozen=True, kw_only=True)
class Card:
    """One pair, ready for the page."""

    key: str
    title: str  # modality and view
    alt: str
    picture: Picture | None
    why_not: str  # where there is no picture
    captions: list[tuple[str, str]]  # text, who wrote it
    labels: list[str]
    facts: list[tuple[str, str]]
    steps: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Plate:
    """The pairs of one modality."""

    code: str
    name: str
    pairs: int  # in the data set
    cards: list[Card]

    @property
    def of_source(self) -> bool:
        """Whether any of its pictures is shown from its source file."""
        return any(card.picture is not None and card.picture.of_source for card in self.cards)


def card(specimen: Specimen, reader: MediaReader, side_px: int = CARD_SIDE_PX) -> Card:
    """A sample as a card, or as a card that says why it cannot be shown."""
    sample = specimen.sample
    picture, why_not = None, ""
    try:
        picture = specimen.picture(reader, side_px)
    except (Skip, FileNotFoundError, ValueError) as error:
        why_not = why_not_shown(error)
    title = heading(sample)
    return Card(
        key=sample.key,
        title=title[:1].upper() + title[1:],
        alt=f"{title}, {'clip' if specimen.is_clip else 'picture'} {sample.key}",
        picture=picture,
        why_not=why_not,
        captions=[(caption.text, caption.by) for caption in sample.captions if caption.text],
        labels=[label_words(label) for label in sample.labels],
        facts=facts(sample),
        steps=specimen.steps,
    )


def heading(sample: Sample) -> str:
    """Modality and view: "MR image, axial slice 90"."""
    name = MODALITIES[sample.modality].name if sample.modality in MODALITIES else "sample"
    return ", ".join(filter(None, [name, view_words(sample)]))


def why_not_shown(error: Skip | FileNotFoundError | ValueError) -> str:
    """Why a sample has no picture on a page, without the place of its file."""
    if isinstance(error, Skip):
        return f"{error.reason.text}{f' ({error.detail})' if error.detail else ''}"
    return Reason.MISSING_FILE.text if isinstance(error, FileNotFoundError) else str(error)


def facts(sample: Sample) -> list[tuple[str, str]]:
    """What is known of a sample beside its labels and captions, as names and values."""
    media = sample.media
    size = f"{media.width_px} x {media.height_px} px" if media.width_px else ""
    if (media.frames or 1) > 1:
        size += f", {media.frames} frames" + (f" at {media.fps:.3g}/s" if media.fps else "")
    found = {
        "source": sample.source,
        "licence": sample.license,
        "split": sample.split or "",
        "group": sample.group,
        "specialty": sample.specialty,
        "size": size,
        "labels hold for the": sample.label_scope if sample.labels else "",
    }
    return [(name, value) for name, value in found.items() if value]


def plates(outputs: Outputs) -> list[Plate]:
    """Up to PAIRS_PER_MODALITY pairs of each modality, the largest modality first."""
    rows, reader = outputs.rows, MediaReader()
    table = split_table(rows)
    chosen = {
        row["modality"]: varied(rows.filter(pl.col("modality") == row["modality"]), PAIRS_PER_MODALITY) for row in table
    }
    found = specimens(outputs, [key for keys in chosen.values() for key in keys])
    return [
        Plate(
            code=row["modality"],
            name=row["name"],
            pairs=row["pairs"],
            cards=[card(found[key], reader) for key in chosen[row["modality"]] if key in found],
        )
        for row in table
    ]


def varied(rows: pl.DataFrame, number: int) -> list[str]:
    """Keys from as many sources (stills and clips apart), and then groups, as there are: one before a second of any."""
    place = {key: i for i, key in enumerate(spread(rows["key"].to_list()))}
    kind = ("source", "clip")
    ordered = rows.select(
        *("key", "source", "group"),
        clip=pl.col("frames") > 1,
        place=pl.col("key").replace_strict(place, return_dtype=pl.Int64),
    )
    ordered = ordered.sort("place").with_columns(in_group=pl.col("place").cum_count().over("group", *kind))
    ordered = ordered.sort("in_group", "place").with_columns(in_source=pl.col("place").cum_count().over(*kind))
    return ordered.sort("in_source", "in_group", "place")["key"].head(number).to_list()


def specimens(outputs: Outputs, keys: Sequence[str]) -> dict[str, Specimen]:
    """Samples by key, from the shards where they are packed, else from the manifest."""
    paths = [path for name in outputs.manifest_stages for path in outputs.paths(name)]
    rows = scan_parts(paths).filter(pl.col("key").is_in(keys)).collect()
    found = {sample.key: Specimen(sample=sample) for sample in samples(rows)}
    left = set(keys)
    for shard_set in outputs.shard_sets.values():
        for key, specimen in packed(shard_set, left).items():
            origin = found[key].sample.media if key in found else None
            found[key] = replace(specimen, origin=origin)
            left.discard(key)
    return found


def packed(shard_set: ShardSet, wanted: Set[str]) -> dict[str, Specimen]:
    """The samples of a shard set that are among `wanted`."""
    found = {}
    reader = ShardReader(shard_set, shard_set.shards)
    for number, shard in enumerate(shard_set.shards):
        if wanted.isdisjoint(shard_set.members(shard)["key"]):
            continue
        for at, (key, _) in enumerate(reader.opened(number).samples):
            if key in wanted:
                found[key] = of_members(*reader.read(number, at))
    return found


def clip(outputs: Outputs) -> Card | None:
    """The clip with most frames, large; None where the data set has none."""
    clips = outputs.rows.filter(pl.col("frames") > 1).sort(["frames", "key"], descending=[True, False])
    for key in clips["key"].head(3):
        made = card(specimens(outputs, [key])[key], MediaReader(), CLIP_SIDE_PX)
        if made.picture is not None and made.picture.is_clip:
            return made
    return None
