"""`medloom verify` as a stage: a shard set that does not hold stops the pipeline before anything trains on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from shards.atomic import json_bytes, write_bytes
from shards.canonical import sha256_hex, sha256_of
from shards.stage import Context, Contract, Kind, Output, OutputFile, Result


@dataclass(frozen=True, kw_only=True)
class VerifyShards:
    """Job: SHARDS or LATENTS to a REPORT, one `<input>.json` and `<input>.txt` for each input."""

    contract: ClassVar[Contract] = Contract(may_take=(Kind.SHARDS, Kind.LATENTS), gives=Kind.REPORT, version=1)
    decode: bool = True  # decode every picture and clip

    def run(self, inputs: Sequence[Output], ctx: Context) -> Result:
        """Verify every input; ValueError names the first problems of a set that does not hold."""
        from shards.verify import verify

        reports, files = {}, []
        for i, given in enumerate(inputs):
            ctx.on_progress(i, len(inputs), f"verifying {given.stage}")
            report = verify(given.path, decode=self.decode)
            found = {**report.as_dict(), "folder": Path(report.folder).name}
            for suffix, data in (("json", json_bytes(found)), ("txt", report.text().encode())):
                name = f"{given.stage}.{suffix}"
                write_bytes(ctx.out / name, data)
                files.append(OutputFile(path=name, size_bytes=len(data), sha256=sha256_hex(data)))
            if not report.good:
                raise ValueError(
                    f"{given.stage} does not hold: {report.problems[0].text()}; see `medloom verify {given.path}`"
                )
            reports[given.stage] = found
        return Result(offered=len(inputs), accepted=len(inputs), files=files, content=sha256_of(reports))
