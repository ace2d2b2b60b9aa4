"""`medloom verify`: everything that can be wrong with a shard set, each fault with the name of its sample.

Each shard is read once from mapped memory and compared with its index; then the set as a whole is looked at: keys
that come twice, shards that nothing lists, records of different form, and leakage between splits. Pictures that show
nothing are alike whoever they are of: they are remarked upon and no leak.
"""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from shards import leakage
from shards.atomic import TMP_PREFIX
from shards.codecs import ENCODERS, shows_nothing
from shards.index import Shard, ShardSet, read_index
from shards.manifest import content_hash
from shards.uri import local_path
from shards.verify_shard import Checked, Problem, ShardCheck

SHOWN = 20  # problems of one kind that the text names


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifyReport:
    """What was looked at and what was found."""

    folder: str
    shards: int
    splits: dict[str, int]
    members: int
    size_bytes: int
    decoded: int
    problems: tuple[Problem, ...]
    remarks: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {"good": self.good, **asdict(self)}

    def text(self) -> str:
        """For a person, ending in a line break."""
        splits = ", ".join(f"{split} {count:,}" for split, count in self.splits.items())
        lines = [
            f"{self.folder}: {self.shards} shards, {self.size_bytes:,} bytes; samples: {splits or 'none'}",
            f"{self.members:,} members compared with their SHA-256, {self.decoded:,} pictures or clips decoded",
        ]
        counts = Counter(problem.code for problem in self.problems)
        for code, count in counts.items():
            of_code = [problem for problem in self.problems if problem.code == code]
            lines += [problem.text() for problem in of_code[:SHOWN]]
            if count > SHOWN:
                lines.append(f"{code}: and {count - SHOWN} more (all with --json)")
        lines += [f"note: {remark}" for remark in self.remarks]
        count = len(self.problems)
        lines.append("good" if self.good else f"{count:,} problem{'s' if count != 1 else ''}")
        return "\n".join(lines) + "\n"


def verify(folder: str | Path, *, decode: bool = True) -> VerifyReport:
    """Check a shard set on a local disk; ValueError or FileNotFoundError where there is no readable index."""
    root = local_path(str(folder))
    if root is None:
        raise ValueError(f"{folder} is remote: copy it to a disk and verify it there")
    shards = read_index(root)
    check = ShardCheck.of(shards, decode=decode)
    problems: list[Problem] = []
    columns = dict.fromkeys(leakage.COLUMNS, pl.String)
    tables = [pl.DataFrame(schema=columns)]
    forms: set[tuple[str, ...]] = set()
    members = decoded = 0
    for shard in shards.shards:
        found = _shard(root, shards, shard, check)
        problems += found.problems
        tables.append(pl.DataFrame(found.samples, schema=columns, orient="row"))
        forms |= found.forms
        members += found.members
        decoded += found.decoded
    table = pl.concat(tables)
    problems += [*_keys(table), *_unlisted(root, shards)]
    shared = leakage.leaks(table)
    blank = _blank(root, shards, [leak.value for leak in shared if leak.identity == leakage.PICTURE])
    problems += [Problem("leak", leak.text()) for leak in shared if leak.value not in blank]
    return VerifyReport(
        folder=str(folder),
        shards=len(shards.shards),
        splits=shards.splits,
        members=members,
        size_bytes=sum(shard.bytes for shard in shards.shards),
        decoded=decoded,
        problems=tuple(problems),
        remarks=tuple(_remarks(root, table, forms, blank)),
    )


def _shard(root: Path, shards: ShardSet, shard: Shard, check: ShardCheck) -> Checked:
    lost = Checked()
    path = root / shard.path
    if not path.is_file():
        lost.problems.append(Problem("missing_shard", shard.path))
        return lost
    try:
        rows = shards.members(shard)
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        lost.problems.append(Problem("bad_index_file", shard.index, str(error).splitlines()[0]))
        return lost
    with _mapped(path) as data:
        found = check(data, shard, rows)
    if content_hash(rows) != shard.rows:
        found.problems.append(Problem("bad_index_file", shard.index, "its rows are not the recorded ones"))
    return found


@contextmanager
def _mapped(path: Path) -> Iterator[bytes | mmap.mmap]:
    if path.stat().st_size == 0:  # cannot be mapped
        yield b""
        return
    with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


def _keys(table: pl.DataFrame) -> Iterator[Problem]:
    for key in table.filter(pl.col("key").is_duplicated())["key"].unique().sort():
        yield Problem("duplicate_key", key, "in more than one place")


def _unlisted(root: Path, shards: ShardSet) -> Iterator[Problem]:
    listed = {root / shard.path for shard in shards.shards}
    for path in sorted(root.rglob("*.tar")):
        if path not in listed and not path.name.startswith(TMP_PREFIX):  # those are remarked upon
            why = "index.json does not list it: run the stage again, or remove it"
            yield Problem("unlisted_shard", path.relative_to(root).as_posix(), why)


def _blank(root: Path, shards: ShardSet, pictures: list[str]) -> set[str]:
    """Those pictures, by their hashes, that show nothing, so that they are alike whoever they are of."""
    found: set[str] = set()
    if not pictures or shards.media not in ENCODERS:
        return found
    for shard in shards.shards:
        try:
            rows = shards.members(shard).filter(pl.col("sha256").is_in(pictures)).unique("sha256")
        except (OSError, ValueError, pl.exceptions.PolarsError):  # told of the shard itself
            continue
        if not (root / shard.path).is_file():
            continue
        with _mapped(root / shard.path) as data:
            for offset, size, sha256 in rows.select("offset", "size_bytes", "sha256").iter_rows():
                if sha256 not in found and shows_nothing(bytes(data[offset : offset + size]), shards.media):
                    found.add(sha256)
    return found


def _remarks(root: Path, table: pl.DataFrame, forms: set[tuple[str, ...]], blank: set[str]) -> Iterator[str]:
    yield from leakage.remarks(table)
    if blank:
        count = table.filter(pl.col("picture").is_in(blank)).height
        yield f"{count} samples in several splits show nothing (one value throughout): no leak, and nothing to learn"
    if table.height and not (table["group"] != "").any():
        yield "no record names a group: leakage could be looked for in the pictures alone"
    if len(forms) > 1:
        yield f"the .json members have {len(forms)} different sets of keys and types: `datasets` drops or refuses some"
    left = sum(1 for _ in root.rglob(f"{TMP_PREFIX}*"))
    if left:
        yield f"{left} temporary files of a process that died; the next run sweeps them"
