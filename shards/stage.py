"""What a stage is: its contract, four structural shapes, the unit, the result, and what a worker is given.

A stage is configuration: a frozen dataclass whose fields are the keys of `with:` in `pipelines.yaml`. It carries
one class attribute, `contract`. Its shape is read off its methods, so a user's stage needs no base class and no
registration. This module imports nothing heavy, so that checking a pipelines file stays cheap.

A stage may also have `identity(ctx) -> Mapping[str, str]`: what its output depends on beyond its options and inputs,
such as the revision of a model; it enters the fingerprint. A stage that makes rows may have
`provenance(sample) -> Mapping[str, str]`: what it keeps of where a sample comes from, beside its row, as a phrase and
what fits behind it (`fetched`, a time); `medloom explain` shows it. And a stage may have `look_over(parts, identity)`,
called in the runner's process when all of its units are done, with the paths of the parts that they gave and with what
`identity` gave: what can only be seen in all of them together it says by a warning.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from shards.canonical import sha256_file

if TYPE_CHECKING:
    import polars as pl


KEPT_FOLDER = ".store"  # below the root; only its temporary files are ever swept
UNIT_ID = re.compile(r"[a-z0-9_-][a-z0-9._-]{0,95}")


class Kind(StrEnum):
    """What a stage takes or gives."""

    MANIFEST = "manifest"
    SHARDS = "shards"
    LATENTS = "latents"
    CHECKPOINT = "checkpoint"
    REPORT = "report"


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What a stage takes, gives and needs; checked when the pipelines file is read."""

    gives: Kind
    takes: tuple[Kind, ...] = ()  # every listed kind must be among the inputs, and no input may be of another kind
    may_take: tuple[Kind, ...] = ()  # kinds that may also be given
    needs: tuple[str, ...] = ()  # manifest columns that must have been filled upstream
    adds: tuple[str, ...] = ()  # manifest columns that this stage fills
    version: int | None = None  # raise it when the same input gives another output; None: the module's source counts
    services: Mapping[str, str] = field(default_factory=dict)  # name -> "module:Class", hosted by the runner
    commits: tuple[str, ...] = ()  # files that a build's commit writes below its folder; without them it is not whole


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One restartable piece of work. Its output's name depends on `id` alone, never on position or worker count."""

    id: str  # [a-z0-9._-]{1,96}, not starting with a dot: it becomes a file name
    payload: Mapping[str, Any] = field(default_factory=dict)  # JSON only; what the worker needs
    inputs: tuple[str, ...] = ()  # content hashes or size:mtime tokens of what it reads, in order
    size_bytes: int = 0  # what it reads: longest first, and the bound on bytes in flight
    items: int = 0  # expected number of items, for the progress bar
    replaces: str = ""  # of a build whose units get new names: the finished unit whose place it takes
    settled: int | None = None  # items whose transient reject is known to stand: they alone do not run the unit again

    def __post_init__(self) -> None:
        if not UNIT_ID.fullmatch(self.id):
            raise ValueError(
                f"unit id {self.id!r} must be 1 to 96 of a-z, 0-9, `_`, `-` and `.`, no dot first: hash the rest"
            )


@dataclass(frozen=True, kw_only=True)
class Reject:
    """One offered item that gave no row."""

    item: str  # path below the root, row id, archive member or frame range
    reason: str  # a code of shards.reasons.Reason
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """A file that a unit wrote itself under the stage's folder, already complete under its final name."""

    path: str  # relative to the stage's folder
    size_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a unit or a job did. The runner asserts accepted + len(rejects) == offered."""

    rows: pl.DataFrame | None = None  # written by the runner as parts/<unit id>.parquet
    rejects: Sequence[Reject] = ()
    offered: int = 0
    accepted: int = 0
    owed: int = 0  # accepted items that lack something for a reason that may pass: the next run tries the unit again
    files: Sequence[OutputFile] = ()
    content: str = ""  # hash of the output where there are no rows (jobs)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One Parquet part of a manifest, or one shard's index."""

    id: str
    path: Path
    content: str  # hash over its canonical rows
    rows: int
    files: tuple[OutputFile, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Output:
    """A finished stage as its consumers see it."""

    stage: str  # key in the pipelines file
    kind: Kind
    path: Path  # the stage's folder
    content: str
    parts: tuple[Part, ...] = ()


class Cancelled(BaseException):
    """The run was interrupted. The unit leaves nothing behind and is done again by the same command.

    Like KeyboardInterrupt no Exception, so that a stage's own `except Exception` does not swallow it.
    """


class DeadlineExceeded(BaseException):
    """The unit used up its time; no Exception, as `Cancelled` is none."""


class UserError(ValueError):
    """What the one who runs the pipeline can mend. Its text is shown as it is: it says what to do and quotes no data.

    Of any other error in a unit only type and place are shown, since its text may name a patient.
    """


class ServiceLost(Exception):
    """A shared service died or does not answer: no fault of the item in work, so it is never turned into a reject."""


@dataclass(kw_only=True)
class Context:
    """What the runner gives a stage: places, time, the user's key, and shared services."""

    root: Path  # the pipeline's root, seen by all workers under this path
    out: Path  # this stage's folder
    tmp: Path  # for temporary files; on the file system of `out`; emptied after each unit, of a plan after the run
    folder: Path  # where the pipelines file lies; relative paths in it start here
    key: bytes = b"unset"  # of the user: patient ids and splits are keyed with it
    deadline: float = math.inf  # time.monotonic() at which the unit has failed
    services: Mapping[str, Any] = field(default_factory=dict)
    on_progress: Callable[[int, int, str], None] = lambda done, total, what: None
    is_cancelled: Callable[[], bool] = lambda: False
    is_fresh: Callable[[Unit], bool] = lambda unit: False  # for Build.plan: would this unit be skipped?
    dry: bool = False  # for Build.plan: nothing may be written, since none of the units will be done
    forced: bool = False  # for Build.plan: the stage is done anew, so no earlier result may be used again
    file_hash: Callable[[str], str] = lambda path: sha256_file(Path(path))  # of a local file, cached by the runner
    mark: Callable[[str], None] = lambda item: None  # notes the item in work, so that a dead worker names it
    quarantined: Mapping[str, str] = field(default_factory=dict)  # item -> reason, from workers that died on it

    def keyed(self, kind: str, value: str) -> str:
        """Keyed hash of an identifier: 26 base32 characters of HMAC-SHA256 (RFC 2104) over kind and value."""
        digest = hmac.new(self.key, f"{kind}\0{value}".encode(), hashlib.sha256).digest()
        return base64.b32encode(digest).decode().lower()[:26]

    def kept(self, name: str) -> Path:
        """Folder of what a stage fetched from elsewhere and keeps whatever becomes of its units and their options."""
        return self.root / KEPT_FOLDER / name

    def resolve(self, path: str) -> str:
        """Absolute path of `path` as written in the pipelines file; a url (fsspec, `package://`) is left as it is."""
        return path if "://" in path else str((self.folder / Path(path).expanduser()).absolute())

    def service(self, name: str) -> Any:
        """The shared service that the stage's contract declares under `name`; one object for the whole run.

        Its methods must answer at once (tell how long to wait, do not wait): they are called one at a time.
        """
        return self.services[name]

    def check(self) -> None:
        """Raise Cancelled or DeadlineExceeded when the unit has to stop."""
        if self.is_cancelled():
            raise Cancelled
        if time.monotonic() > self.deadline:
            raise DeadlineExceeded


class Worker(Protocol):
    """Lives on a worker for many units; holds the model, the session, the codecs."""

    def process(self, unit: Unit) -> Result: ...


@runtime_checkable
class Source(Protocol):
    """Makes rows from outside data. Units are fixed by the input."""

    contract: ClassVar[Contract]

    def units(self, ctx: Context) -> Iterable[Unit]: ...
    def open(self, ctx: Context) -> AbstractContextManager[Worker]: ...


@runtime_checkable
class Transform(Protocol):
    """Rows to rows: the runner makes one unit of each input part, with payload {"part": path}."""

    contract: ClassVar[Contract]

    def open(self, ctx: Context) -> AbstractContextManager[Worker]: ...


@runtime_checkable
class Build(Protocol):
    """A global plan with restartable units, made visible by one commit."""

    contract: ClassVar[Contract]

    def plan(self, inputs: Sequence[Output], ctx: Context) -> Sequence[Unit]: ...
    def open(self, ctx: Context) -> AbstractContextManager[Worker]: ...
    def commit(self, parts: Sequence[Part], ctx: Context) -> str: ...  # returns the content hash


@runtime_checkable
class Job(Protocol):
    """Needs everything at once. Restarting it continues from what it saved itself."""

    contract: ClassVar[Contract]

    def run(self, inputs: Sequence[Output], ctx: Context) -> Result: ...
