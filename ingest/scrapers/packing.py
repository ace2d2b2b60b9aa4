"""A finished unit's answers go from loose files into its tars and its table, in an order that no kill can change.

Pictures, pages and records lie in tars under their sha256; what the media reader needs as a file of its own (videos,
volumes, archives) and what is large lies alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl

from ingest.scrapers import provenance
from ingest.scrapers.provenance import Entry, Licence, Place
from ingest.scrapers.store import Store
from shards import sniff
from shards.atomic import atomic_path
from shards.intake import Skip
from shards.tar import write_shard

TAR_BYTES = 256 * 2**20
ALONE_BYTES = 32 * 2**20  # a body of this size is a file of its own
_EXTENSIONS = {"JPEG": "jpg", "TIFF": "tif"}
_TEXTS = {b"<": "xml", b"{": "json", b"[": "json"}


def pack(store: Store, unit: str, used: Mapping[str, Entry], licences: Mapping[str, Licence]) -> dict[str, Entry]:
    """Put the answers that a unit used (by url) into its tars; returns all that its table holds now, by url.

    What it had packed before and did not use this time stays: another parser may want it again.
    """
    entries, said = store.packed(unit)
    places = {entry.answer.sha256: entry.place for entry in entries.values() if entry.place.file}
    first_free = 1 + max((int(place.file[-7:-4]) for place in places.values() if place.member), default=-1)
    fresh: dict[str, Entry] = {}
    for url, entry in sorted(used.items()):
        if entry.answer.body_bytes and entry.answer.sha256 not in places:
            fresh.setdefault(entry.answer.sha256, entry)
        if url not in entries or replace(entries[url], place=entry.place) != entry:
            entries[url] = entry
    places |= _write(store, unit, fresh, first_free)
    settled = {
        url: replace(entry, place=places.get(entry.answer.sha256, Place()) if entry.answer.body_bytes else Place())
        for url, entry in entries.items()
    }
    rows = provenance.table(settled, {**said, **licences})
    path = store.raw / f"{unit}.parquet"
    if not path.exists() or not rows.equals(pl.read_parquet(path)):
        with atomic_path(path) as temporary:
            rows.write_parquet(temporary, compression="zstd", statistics=False)
    for url in used:
        store.forget_loose(url)
    return settled


def _write(store: Store, unit: str, fresh: Mapping[str, Entry], number: int) -> dict[str, Place]:
    """Write bodies that are not packed yet, in the order of their sha256; where each lies."""
    places: dict[str, Place] = {}
    batches: list[list[tuple[str, str, Entry]]] = []
    held_bytes = TAR_BYTES
    for sha256, entry in sorted(fresh.items()):
        suffix, alone = _form(store.head(entry), entry.answer.body_bytes)
        if alone:
            name = f"{unit}/{sha256}.{suffix}"
            with atomic_path(store.raw / name) as temporary:
                store.where(entry, partial(_copy, store, temporary))
            places[sha256] = Place(file=name)
            continue
        if held_bytes + entry.answer.body_bytes > TAR_BYTES:
            batches.append([])
            held_bytes = 0
        batches[-1].append((sha256, suffix, entry))
        held_bytes += entry.answer.body_bytes
    for batch in batches:
        name = f"{unit}-{number:03d}.tar"
        members = ((sha256, {suffix: store.read(entry)}) for sha256, suffix, entry in batch)
        write_shard(store.raw / name, members, folder=store.raw)
        places |= {sha256: Place(file=name, member=f"{sha256}.{suffix}") for sha256, suffix, _ in batch}
        number += 1
    return places


def _copy(store: Store, to: Path, entry: Entry) -> None:
    file = store.file(entry)
    if file is None:
        to.write_bytes(store.read(entry))
    else:
        shutil.copyfile(file, to)


def _form(head: bytes, size_bytes: int) -> tuple[str, bool]:
    """Ending of a body's name, read off its first bytes, and whether it lies alone."""
    try:
        found = sniff.sniff(head)
    except Skip:
        return _TEXTS.get(head.lstrip(b"\xef\xbb\xbf \r\n\t")[:1], "bin"), size_bytes >= ALONE_BYTES
    letters = "".join(letter for letter in found.format.lower() if letter.isalnum())
    suffix = _EXTENSIONS.get(found.format, letters or found.kind)
    return suffix, found.kind != sniff.IMAGE or size_bytes >= ALONE_BYTES
