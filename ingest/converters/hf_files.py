"""The files of HuggingFace: which ones `datasets` would load, and their columns as texts, read by ranges of rows."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import polars as pl

from ingest.cells import names_inputs
from ingest.listing import Lookup, Root
from ingest.tables import as_texts, cleaned
from shards import uri
from shards.foreign import foreign, media_stream
from shards.intake import Skip
from shards.limits import Limits
from shards.parquet_cells import open_parquet, picture_leaf
from shards.reasons import Reason
from shards.stage import Context, Unit
from shards.units import unit_id

if TYPE_CHECKING:
    from ingest.converters.hf_dataset import HuggingFace

_ON_HUB = re.compile(r"(hf://datasets/[^@]+@[^/]+)/(.+)")
FILE, ROW = "\0file", "\0row"  # columns with the place of a row; no data set has columns of these names
_BATCH_ROWS, _TEXT_ROWS = 16, 1024  # read at once: of pictures, of texts


@dataclass(frozen=True)
class ParquetFile:
    """One file of a data set."""

    root: str  # folder, or `hf://datasets/<id>@<commit>`
    path: str  # below it
    split: str

    @property
    def where(self) -> str:
        """Its uri."""
        return uri.join(self.root, self.path)

    def columns(self, image: str) -> tuple[int, list[str]]:
        """Number of rows and the columns that can be read as texts, by the footer; raises Skip."""
        with media_stream(self.where) as stream:
            file = open_parquet(stream)
            if picture_leaf(file.schema_arrow, image) is None:
                found = ", ".join(file.schema_arrow.names)[:200]
                raise Skip(Reason.NO_PIXELS, f"no column {image!r} with pictures; it has {found}")
            empty = pl.DataFrame(pl.from_arrow(file.schema_arrow.empty_table()))
            return int(file.metadata.num_rows), as_texts(empty.lazy()).collect_schema().names()

    def rows(self, wanted: Sequence[str], start: int, stop: int, picture: str = "") -> pl.DataFrame:
        """Some rows of those of the `wanted` columns that there are, with FILE and ROW; raises Skip.

        `file`, `row` and `split` are columns, too, unless the set has its own. With `picture`, a column, its cells'
        hashes stand in place of its cells.
        """
        with media_stream(self.where) as stream:
            file = open_parquet(stream)
            names = [name for name in file.schema_arrow.names if name in wanted and name != picture]
            groups, first = _groups(file.metadata, start, stop)
            columns = _texts(file, names, groups).slice(start - first, stop - start)
            rows = cleaned(as_texts(_named_classes(columns, file.schema_arrow.metadata).lazy()).collect())
            numbers = pl.Series(ROW, range(start, stop), dtype=pl.Int64).cast(pl.String)
            rows = pl.DataFrame([*rows.get_columns(), numbers]).with_columns(pl.lit(self.path).alias(FILE))
            if picture:
                hashes = _hashes(file, picture, groups)[start - first : stop - first]
                rows = rows.with_columns(pl.Series(picture, hashes, dtype=pl.String))
        ours = {"file": pl.col(FILE), "row": pl.col(ROW), "split": pl.lit(self.split)}
        return rows.with_columns(value.alias(name) for name, value in ours.items() if name not in rows.columns)


def _texts(file: Any, names: Sequence[str], groups: Sequence[int]) -> pl.DataFrame:
    """Columns of some row groups; Skip where they are far more than their file: one long text may stand for many."""
    if not names:
        return pl.DataFrame()
    batches = []
    held_bytes = 0
    with foreign():
        for batch in file.iter_batches(_TEXT_ROWS, row_groups=groups, columns=names):
            batches.append(pl.DataFrame(pl.from_arrow(batch)))
            held_bytes += batch.nbytes
            Limits().check_total(held_bytes)
    return pl.concat(batches)


def height_of(file: ParquetFile) -> int:
    """Number of rows, by the footer; raises Skip."""
    with media_stream(file.where) as stream:
        return int(open_parquet(stream).metadata.num_rows)


def _groups(metadata: Any, start: int, stop: int) -> tuple[list[int], int]:
    """The row groups that hold some rows, and the number of their first row."""
    groups: list[int] = []
    at, first = 0, 0
    for group in range(metadata.num_row_groups):
        after = at + metadata.row_group(group).num_rows
        if at < stop and after > start:
            first = first if groups else at
            groups.append(group)
        at = after
    return groups, first


def _named_classes(rows: pl.DataFrame, metadata: dict[bytes, bytes] | None) -> pl.DataFrame:
    """Class numbers as the names that the `datasets` library wrote beside them."""
    features = json.loads((metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    for name, feature in features.items():
        if name in rows.columns and isinstance(feature, dict) and feature.get("_type") == "ClassLabel":
            names = dict(enumerate(feature["names"]))
            named = pl.col(name).replace_strict(names, default=None, return_dtype=pl.String)
            rows = rows.with_columns(named)
    return rows


def _hashes(file: Any, column: str, groups: Sequence[int]) -> list[str | None]:
    leaf = picture_leaf(file.schema_arrow, column)
    found: list[str | None] = []
    with foreign():
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=groups, columns=[leaf]):
            cells = batch.column(0).field("bytes") if leaf != column else batch.column(0)
            found += [None if cell is None else hashlib.sha256(cell).hexdigest() for cell in cells.to_pylist()]
    return found


def find_files(stage: HuggingFace, ctx: Context) -> list[ParquetFile]:
    """The Parquet files that `datasets.load_dataset` would read, in its order; ValueError where they are no Parquet."""
    try:
        import datasets
    except ImportError as error:
        raise ImportError("data sets of Hugging Face need the package datasets: pip install 'medloom[data]'") from error
    what = stage.hub_id or Root.find(ctx.resolve(stage.path)).folder
    builder = datasets.load_dataset_builder(
        what,
        name=stage.config or None,
        data_files={split: [pattern] for split, pattern in stage.data_files.items()} or None,
        revision=stage.revision or None,
        cache_dir=str(ctx.tmp / "datasets"),
    )
    found = builder.config.data_files or {}
    if lacking := sorted(set(stage.splits) - set(found)):
        raise ValueError(f"splits: {what} has no {', '.join(lacking)}; it has {', '.join(map(str, found))}")
    files = [
        _below(what, str(url), str(split))
        for split, urls in found.items()
        if not stage.splits or split in stage.splits
        for url in urls
    ]
    if other := [file.path for file in files if not file.path.endswith(".parquet")]:
        raise ValueError(
            f"{what}: {other[0]} is no Parquet file. For a folder of pictures use FolderFiles or TableImages; the hub "
            "has Parquet copies of most sets under `revision: refs/convert/parquet`"
        )
    return files


def _below(what: str, url: str, split: str) -> ParquetFile:
    """A file below its root; ValueError where it lies elsewhere."""
    if (on_hub := _ON_HUB.fullmatch(url)) is not None:
        return ParquetFile(on_hub[1], on_hub[2], split)
    start = f"{what.rstrip('/')}/"
    if not url.startswith(start):
        raise ValueError(f"data_files: {url} lies outside of {what}; make its folder the `path`")
    return ParquetFile(what, url.removeprefix(start), split)


def parquet_units(stage: HuggingFace, ctx: Context) -> Iterator[Unit]:
    """Ranges of rows, or of gathered items; a file that cannot be read is a unit of one reject.

    A joined table that speaks of no row is remarked upon.
    """
    from ingest.converters.hf_rows import Rows

    good: list[tuple[ParquetFile, str, int]] = []
    columns: dict[str, list[str]] = {}  # of each file
    for file in find_files(stage, ctx):
        token = _token(file)
        try:
            height, columns[file.where] = file.columns(stage.image)
        except Skip as skip:
            why = {"refused": skip.reason.value, "detail": skip.detail}
            payload = {"files": [[file.root, file.path, file.split]], **why}
            yield Unit(id=unit_id(stage.source, file.path), payload=payload, inputs=(token, *why.values()), items=1)
        else:
            good.append((file, token, height))
    if not good:
        return
    rows = Rows(stage, ctx)
    joined = [*rows.cells.inputs(ctx), *names_inputs(stage, ctx, good[0][0].root)]
    if stage.gathered_by:
        rows.check(list(dict.fromkeys(chain.from_iterable(columns.values()))), good[0][0].where)
        good_files = [file for file, _, _ in good]
        height = rows.gathered(tuple(good_files)).height
        tokens = tuple(token for _, token, _ in good)
        yield from _ranges(stage, good_files, "", height, (*tokens, *joined))
        rows.cells.remark_silent()
        return
    for where, names in columns.items():
        rows.check(names, where)
    for file, token, height in good:
        for unit in _ranges(stage, [file], file.path, height, (token, *joined)):
            if rows.cells.is_worth_a_look:
                rows.look(file, unit.payload["start"], unit.payload["stop"])
            yield unit
    rows.cells.remark_silent()


def _ranges(
    stage: HuggingFace, files: Sequence[ParquetFile], name: str, height: int, inputs: tuple[str, ...]
) -> Iterator[Unit]:
    for start in range(0, height, stage.unit_rows):
        stop = min(start + stage.unit_rows, height)
        yield Unit(
            id=unit_id(stage.source, f"{name}\0{start}"),
            payload={"files": [[file.root, file.path, file.split] for file in files], "start": start, "stop": stop},
            inputs=(*inputs, f"rows {start} to {stop}"),
            size_bytes=stop - start,
            items=stop - start,
        )


def _token(file: ParquetFile) -> str:
    """What a file is known by: on the hub its commit, which the root names."""
    on_hub = _ON_HUB.fullmatch(file.where) is not None
    return f"{file.where if on_hub else Lookup(Root(file.root))(file.path).token}|{file.split}"
