"""What converters are run with here: a context of a temporary folder, and a run of all units with its accounts."""

from __future__ import annotations

import copy
import pickle
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from shards.manifest import SCHEMA, Sample, check, content_hash, samples
from shards.stage import Context, Reject, Unit


@dataclass(frozen=True)
class Converted:
    """All that a source gave."""

    units: list[Unit]
    parts: list[pl.DataFrame]
    rejects: list[Reject]
    offered: int

    @property
    def rows(self) -> pl.DataFrame:
        return check(pl.concat(self.parts) if self.parts else pl.DataFrame(schema=SCHEMA))

    @property
    def samples(self) -> list[Sample]:
        return list(samples(self.rows))

    @property
    def reasons(self) -> dict[str, str]:
        return {reject.item: reject.reason for reject in self.rejects}

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(reject.reason for reject in self.rejects))

    @property
    def contents(self) -> dict[str, str]:
        return {unit.id: content_hash(part) for unit, part in zip(self.units, self.parts, strict=True)}


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    work = tmp_path / "work"
    work.mkdir()
    return Context(root=work, out=work / "stage", tmp=work, folder=tmp_path, key=b"a key of the tests")


@pytest.fixture
def convert(ctx: Context) -> Callable[..., Converted]:
    """convert(source, **fields of ctx): every unit once, as the runner does it, each with its accounts checked."""

    def run(source: Any, **fields: Any) -> Converted:
        here = replace(copy.copy(ctx), **fields)
        units = list(source.units(here))
        assert len({unit.id for unit in units}) == len(units)
        parts, rejects, offered = [], [], 0
        with source.open(here) as worker:
            for unit in units:
                result = worker.process(pickle.loads(pickle.dumps(unit)))
                assert result.accepted + len(result.rejects) == result.offered, unit.id
                parts.append(result.rows)
                rejects += result.rejects
                offered += result.offered
        return Converted(units, parts, rejects, offered)

    return run


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, str], None]:
    """put(path, text): a file below set/."""

    def write(path: str, text: str) -> None:
        where = tmp_path / "set" / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(text)

    return write
