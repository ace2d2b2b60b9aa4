"""The units of a folder of files: runs of its listing, with what is left out by name.

Every file of the listing is offered in exactly one unit, refused and excluded ones too, so that each has its reject.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ingest.listing import Listed, Root
from shards.reasons import Reason
from shards.stage import Unit
from shards.units import Sizes, chunks, unit_id

ANY_OF_A_KIND = re.compile(r"\*\.[\w.]+")  # `*.nii.gz`: a kind of file that may be there; other patterns name files


def folder_units(
    root: Root,
    source: str,
    sizes: Sizes,
    include: Sequence[str] = (),
    exclude: Mapping[str, str] | None = None,
    patterns: Sequence[str] = (),
) -> Iterator[Unit]:
    """The units of a listing; payload for `listed` and `cut_folders`.

    `exclude` maps a path to a reason code. Raises ValueError when one of its paths, one of the `patterns` that other
    options name files by, or one of `include` that is more than an ending (`*.png`) fits no file of the listing, and
    when there is no file at all.
    """
    left = dict(exclude or {})
    idle = set(patterns)
    idle_include = {pattern for pattern in include if not ANY_OF_A_KIND.fullmatch(pattern)}
    empty = True
    before = None
    for entries, after in _with_next(chunks(_without(root.files(include), left), sizes)):
        empty = False
        idle, idle_include = _unused(idle, entries), _unused(idle_include, entries)
        first, last = _folder(entries[0]), _folder(entries[-1])
        cut = {first} & {before} | {last} & ({_folder(after[0])} if after else set())
        before = last
        yield Unit(
            id=unit_id(source, entries[0].path),
            payload={
                "files": [[e.path, e.size_bytes, e.mtime_ns, e.refused, e.detail] for e in entries],
                "cut": sorted(cut),
            },
            inputs=(*(entry.token for entry in entries), *(f"cut|{folder}" for folder in sorted(cut))),
            size_bytes=sum(entry.size_bytes for entry in entries),
            items=len(entries),
        )
    if empty:
        what = f"matches include: {list(include)}" if include else "is there"
        raise ValueError(f"path: no file below {root.folder} {what}; nothing could be read")
    if idle_include:
        idle_names = sorted(idle_include)
        raise ValueError(f"include: no file below {root.folder} fits {idle_names}; correct the pattern or remove it")
    if left:
        raise ValueError(f"exclude: no file {sorted(left)} below {root.folder}; correct the name or remove the line")
    if idle:
        raise ValueError(f"facts: no file below {root.folder} fits {sorted(idle)}; correct the pattern or remove it")


def listed(unit: Unit) -> list[Listed]:
    """The files of a unit made by `folder_units`."""
    return [
        Listed(path, size, mtime_ns, "", why, detail) for path, size, mtime_ns, why, detail in unit.payload["files"]
    ]


def cut_folders(unit: Unit) -> list[str]:
    """Folders of which a unit made by `folder_units` holds only a part."""
    return list(unit.payload["cut"])


def check_excluded(exclude: Mapping[str, str]) -> None:
    """ValueError where a reason of `exclude` is not a code of shards.reasons."""
    for path, reason in exclude.items():
        if reason not in set(Reason):
            raise ValueError(
                f"exclude: {path} has the unknown reason {reason!r}: use excluded_by_name, or another code"
            )


def _unused(patterns: set[str], entries: Sequence[Listed]) -> set[str]:
    """Those patterns that fit none of some files."""
    return {pattern for pattern in patterns if not any(fnmatch.fnmatchcase(entry.path, pattern) for entry in entries)}


def _folder(entry: Listed) -> str:
    return entry.path.rpartition("/")[0]


def _with_next(pieces: Iterable[list[Listed]]) -> Iterator[tuple[list[Listed], list[Listed]]]:
    """Each piece with the one after it, empty after the last."""
    now: list[Listed] = []
    for piece in pieces:
        if now:
            yield now, piece
        now = piece
    if now:
        yield now, []


def _without(entries: Iterable[Listed], left: dict[str, str]) -> Iterator[Listed]:
    for entry in entries:
        reason = left.pop(entry.path, "")
        yield Listed(entry.path, entry.size_bytes, entry.mtime_ns, entry.etag, reason) if reason else entry
