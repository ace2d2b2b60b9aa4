"""The stage that makes a data set of what was gathered: licences, copies, groups, splits, and MediSyn's Table 1.

All of it are questions over the whole manifest, and none needs a pixel: a few narrow columns are held at once (see
ingest.gather), the decisions are table queries over them, and then the parts are rewritten one by one. The ledger of
splits is written before the first part, and deciding again with it decides the same; so a run that was killed anywhere
ends, when the command is repeated, with the same bytes.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from ingest.licences import check_licences
from ingest.quota import HeldOut
from shards.atomic import write_bytes, write_json
from shards.canonical import sha256_file, sha256_hex, sha256_of
from shards.stage import Context, Contract, Kind, Output, OutputFile, Part, Result

if TYPE_CHECKING:
    import polars as pl

LOG = logging.getLogger(__name__)
LONGEST_UNIT_ID = 96


@dataclass(frozen=True, kw_only=True)
class Curate:
    """Keeps the rows whose licence is allowed, drops exact copies, and gives every group a split."""

    contract: ClassVar[Contract] = Contract(
        takes=(Kind.MANIFEST,), gives=Kind.MANIFEST, needs=("group", "license", "terms"), adds=("split",), version=3
    )

    allow_licenses: tuple[str, ...]  # SPDX ids or LicenseRef-<name>; anything else is refused
    require_terms: Mapping[str, str | bool] = field(default_factory=dict)  # such as {train: yes}; unknown is not yes
    held_out: HeldOut = field(default_factory=HeldOut)
    val_share: float = 0.0  # of the groups of each specialty
    official_split: Literal["respect", "ignore"] = "respect"  # slabs of a volume keep theirs: gaps lie between them

    def __post_init__(self) -> None:
        check_licences(self.allow_licenses, self.require_terms)
        if not 0 <= self.val_share <= 0.5:
            raise ValueError("val_share is a share of the groups: write a number from 0 to 0.5")

    def run(self, inputs: Sequence[Output], ctx: Context) -> Result:
        """Decide over all rows, write the ledger, then the parts, the held-out list and Table 1."""
        import polars as pl

        from ingest.decide import decide
        from ingest.gather import gather
        from ingest.splits import LEDGER_NAME, Ledger
        from ingest.table_one import markdown, shortfalls, summarise
        from shards.manifest import write_part

        parts = sorted(input_parts(inputs).items())
        if not parts:
            raise ValueError(f"nothing to curate: no rows came from {', '.join(output.stage for output in inputs)}")
        gathered = gather(
            [part for _, part in parts],
            ctx,
            allow_licenses=self.allow_licenses,
            require_terms=self.require_terms,
            respect_official=self.official_split == "respect",
        )
        rows, keys = gathered.rows, gathered.keys
        offered = rows.height
        ledger_path = ctx.root / LEDGER_NAME
        ledger = Ledger.read(ledger_path, ctx.key, rows["group"])
        decision = decide(rows, keys, ledger, ctx.key, self.held_out, self.val_share)
        kept, rejects = decision.kept, decision.rejects
        decision.ledger.write(ledger_path, ctx.key)
        del gathered, rows, ledger, decision
        contents = _write_parts(parts, kept, ctx)

        summary = summarise(kept, self.held_out, Counter(reject.reason for reject in rejects))
        for line in shortfalls(summary):
            LOG.warning("%s", line)
        held = kept.filter("held_out")
        chosen = held.select(keys(held["row"]).alias("key"), pl.col("specialty").cast(pl.String), "clip")
        write_part(chosen, ctx.out / "held_out.parquet")
        write_json(ctx.out / "table1.json", summary)
        write_bytes(ctx.out / "table1.md", markdown(summary).encode())
        files = [_output_file(ctx.out, name) for name in ("held_out.parquet", "table1.json", "table1.md")]
        return Result(
            offered=offered, accepted=kept.height, rejects=rejects, files=files, content=sha256_of(sorted(contents))
        )


def input_parts(inputs: Sequence[Output]) -> dict[str, Part]:
    """Input parts by the name of the output part: their own, or stage.part where there are several inputs."""
    if len(inputs) == 1:
        return {part.id: part for part in inputs[0].parts}
    return {_joined(output.stage, part.id): part for output in inputs for part in output.parts}


def _joined(stage: str, part: str) -> str:
    name = f"{stage}.{part}"
    return name if len(name) <= LONGEST_UNIT_ID else f"{stage}.{sha256_hex(part.encode())[:32]}"


def _write_parts(parts: Sequence[tuple[str, Part]], kept: pl.DataFrame, ctx: Context) -> list[tuple[str, str]]:
    """Write one output part for each input part, empty ones too; returns (part id, content hash) of each."""
    import numpy as np
    import polars as pl

    from shards.manifest import read_part, write_part
    from shards.vocabulary import SPLITS

    row, code = kept["row"].to_numpy(), kept["split"].to_numpy()
    contents = []
    first = 0  # number of the part's first row in the table of all rows
    for number, (name, part) in enumerate(parts):
        ctx.check()
        ctx.on_progress(number, len(parts), f"writing {name}")
        rows = read_part(part.path)
        here = slice(*np.searchsorted(row, [first, first + rows.height]))
        split = pl.Series("split", np.asarray(SPLITS, dtype=object)[code[here]].tolist(), dtype=pl.String)
        out = rows[row[here] - first].with_columns(split)
        contents.append((name, write_part(out, ctx.out / "parts" / f"{name}.parquet")))
        first += rows.height
    return contents


def _output_file(folder: Path, name: str) -> OutputFile:
    path = folder / name
    return OutputFile(path=name, size_bytes=path.stat().st_size, sha256=sha256_file(path))
