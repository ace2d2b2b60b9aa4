"""Adopting tars that another program wrote: an index beside them, not a byte of them changed.

Their headers are read from mapped memory and every member is hashed once; from then on the loader, `verify` and
`show` treat them as their own. Tars that a reader of WebDataset would misread (a key that comes twice, in two places
or in two tars, a cut-off archive, links) are refused with all their reasons at once.
"""

from __future__ import annotations

import hashlib
import mmap
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from shards.atomic import TMP_PREFIX, atomic_path
from shards.index import INDEX_NAME, MEMBERS, DamagedIndexError, Shard, ShardSet, read_index, write_index
from shards.manifest import content_hash
from shards.tar_scan import TarError, scan
from shards.vocabulary import SPLITS

MEDIA = ("jpg", "jpeg", "png", "webp", "tif", "tiff", "mp4", "avi", "webm", "safetensors", "npy", "npz")
SPLIT_WORDS = {**{split: split for split in SPLITS}, "training": "train", "validation": "val", "valid": "val"}
MAX_REASONS = 20


def index_folder(path: str | Path, split: str = "train") -> ShardSet:
    """Write `index.json` and one Parquet index a tar for the tars below `path`; returns the shard set.

    The split of a tar is read off its folders or its name; where they say nothing it is `split`. Raises ValueError
    with the reasons where a tar cannot be used, and where the pack stage made the folder.
    """
    folder = Path(path)
    tars = sorted(tar for tar in folder.rglob("*.tar") if not tar.name.startswith(TMP_PREFIX))
    if not tars:
        raise ValueError(f"there is no .tar file below {folder}: give the folder that holds the shards")
    _refuse_packed(folder)
    shards: list[Shard] = []
    faults: list[str] = []
    keys: list[pl.DataFrame] = []  # with the number of their tar
    extensions: Counter[str] = Counter()
    indexes = index_names([tar.relative_to(folder).as_posix() for tar in tars])
    for tar in tars:
        name = tar.relative_to(folder).as_posix()
        try:
            rows, sha256 = read_tar(tar)
        except TarError as fault:
            faults.append(f"{name}: {fault}")
            continue
        extensions.update(member[len(key) + 1 :] for key, member in rows.select("key", "member").iter_rows())
        keys.append(rows.select(pl.col("key").unique(), tar=pl.lit(len(shards), dtype=pl.Int32)))
        index = indexes[name]
        with atomic_path(folder / index) as temporary:
            rows.write_parquet(temporary, compression="zstd", statistics=False)
        shards.append(
            Shard(
                path=name,
                split=split_of(name, split),
                samples=rows["key"].n_unique(),
                bytes=tar.stat().st_size,
                sha256=sha256,
                index=index,
                rows=content_hash(rows),
            )
        )
    faults += _repeated(keys, [shard.path for shard in shards])
    if faults:
        more = f"\n  and {len(faults) - MAX_REASONS} more" if len(faults) > MAX_REASONS else ""
        reasons = "\n  ".join(faults[:MAX_REASONS])
        raise ValueError(f"{len(faults)} of {len(tars)} tars cannot be used; write them again:\n  {reasons}{more}")
    shards.sort(key=lambda shard: (shard.split, shard.path))
    adopted = ShardSet(folder=str(folder), name=folder.name, media=_media(extensions), shards=tuple(shards))
    write_index(adopted)
    return adopted


def read_tar(tar: Path) -> tuple[pl.DataFrame, str]:
    """Index of schema MEMBERS of one tar, in its order, and its SHA-256; TarError where it cannot be used."""
    if tar.stat().st_size == 0:
        raise TarError("the file is empty")
    rows = []
    with tar.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
        seen: set[str] = set()
        current, extensions = "", set[str]()
        for member in scan(data):
            key, extension = member.key_and_extension()
            if key != current:
                if key in seen:
                    raise TarError(f"the members of {key!r} do not lie side by side")
                seen.add(key)
                current, extensions = key, set()
            if extension in extensions:
                raise TarError(f"{member.name!r} is there twice")
            extensions.add(extension)
            digest = hashlib.sha256(data[member.offset : member.offset + member.size_bytes]).hexdigest()
            rows.append((key, member.name, member.offset, member.size_bytes, digest))
        whole = hashlib.sha256(data).hexdigest()
    if not rows:
        raise TarError("the archive holds no file")
    return pl.DataFrame(rows, schema=MEMBERS, orient="row"), whole


def index_names(names: Sequence[str]) -> dict[str, str]:
    """Where the index of each tar goes: `train/x.tar` and `train-x.tar` would meet, and get a hash of their path."""
    plain = {name: name.removesuffix(".tar").replace("/", "-") for name in names}
    counts = Counter(stem.lower() for stem in plain.values())  # a file system may not tell cases apart
    found = {}
    for name, stem in plain.items():
        mark = f"-{hashlib.sha256(name.encode()).hexdigest()[:12]}" if counts[stem.lower()] > 1 else ""
        found[name] = f"parts/{stem}{mark}.parquet"
    return found


def _repeated(keys: Sequence[pl.DataFrame], names: Sequence[str]) -> Iterator[str]:
    """A fault for each tar that holds a key of an earlier one."""
    if not keys:
        return
    table = pl.concat(keys).with_columns(first=pl.col("tar").min().over("key"))
    again = table.filter(pl.col("tar") > pl.col("first")).sort("tar", "key")
    for (number, *_), rows in again.group_by("tar", maintain_order=True):
        key, _, first = rows.row(0)
        yield f"{names[int(str(number))]}: the key {key!r} is also in {names[first]} ({rows.height} keys are repeated)"


def split_of(name: str, otherwise: str) -> str:
    """Split by the path of a tar: the nearest folder that is called like one, else the last word of the path.

    `train/stress-test-00.tar` is train, `x-test-00.tar` is test.
    """
    for folder in reversed(name.lower().split("/")[:-1]):
        if folder in SPLIT_WORDS:
            return SPLIT_WORDS[folder]
    words = re.split(r"[^a-z]+", name.lower().removesuffix(".tar"))
    return next((SPLIT_WORDS[word] for word in reversed(words) if word in SPLIT_WORDS), otherwise)


def _media(counts: Counter[str]) -> str:
    """The commonest extension that is known to hold media, else the commonest of all."""
    return max(counts, key=lambda extension: (extension in MEDIA, counts[extension], extension))


def _refuse_packed(folder: Path) -> None:
    try:
        packed = bool(read_index(folder).encoding)
    except (FileNotFoundError, DamagedIndexError):
        return
    if packed:
        raise ValueError(f"{folder / INDEX_NAME} was made by a stage of a pipeline and is whole: it needs no new index")
