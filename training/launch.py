"""Running a training stage in this process, or in several that `torchrun` starts; stopping either in good order.

The processes are started through the installed command (`torchrun --no-python medloom train-worker <spec>`), never
through `-m training`: the name is common, and a user's folder may hold a `training` of its own. What they are to do
lies in a small JSON file. They end when the process that started them is gone, however it went.
"""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from shards.atomic import write_json
from shards.stage import Cancelled, Context, Output, OutputFile, Result, UserError
from training.descendants import Found, descendants, kill
from training.model_folder import FOLDER_NAME, Model, read_model
from training.settings import LoopSettings

LOG = logging.getLogger(__name__)
STOP_S = 8.0  # what processes get to save their state when asked to stop; `medloom run` promises to end within 10 s
POLL_S = 0.2
PRINTED_NAME = "printed.log"  # what the processes printed, where one of them failed
LOOK_S = 5.0  # between two looks at which processes there are


class TrainingStage(Protocol):
    """A stage that trains. Its fields are plain values, so that they travel as JSON."""

    @property
    def processes(self) -> int: ...
    def settings(self) -> LoopSettings: ...
    def work(self, inputs: Sequence[Output], ctx: Context, world: Any, stopping: Callable[[], bool]) -> None: ...


def run_job(stage: TrainingStage, inputs: Sequence[Output], ctx: Context) -> Result:
    """Train to the end; raises Cancelled when stopped, after the state was saved."""
    if stage.processes < 1:
        raise ValueError(f"processes: {stage.processes} must be 1 or more")
    processes = placed(stage.processes)
    ctx.out.mkdir(parents=True, exist_ok=True)
    with stop_signals() as signalled:

        def stopping() -> bool:
            return signalled() or ctx.is_cancelled() or time.monotonic() > ctx.deadline

        try:
            if processes == 1:
                from training.world import join_world

                with join_world({}) as world:
                    stage.work(inputs, ctx, world, stopping)
            else:
                _torchrun(stage, processes, inputs, ctx, stopping)
        except Cancelled:
            ctx.check()  # says so where it was the deadline
            raise
    return result_of(read_model(ctx.out), ctx.out)


def result_of(model: Model, stage_folder: Path) -> Result:
    """What a finished stage reports: the files of its model and their common hash."""
    names = [*model.record["files"].items()]
    files = [
        OutputFile(
            path=(model.folder / name).relative_to(stage_folder).as_posix(),
            size_bytes=(model.folder / name).stat().st_size,
            sha256=digest,
        )
        for name, digest in names
    ]
    return Result(content=model.content, files=files)


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """While open, the first SIGTERM or SIGINT asks to stop and the second does what it always did.

    Gives a function that says whether one came. Outside the main thread, where no handler can be set, none comes.
    """
    came = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield came.is_set
        return
    before: dict[int, Any] = {}

    def restore() -> None:
        while before:
            number, handler = before.popitem()
            signal.signal(number, handler)

    def ask(number: int, frame: FrameType | None) -> None:
        came.set()
        restore()

    for number in (signal.SIGTERM, signal.SIGINT):
        before[number] = signal.signal(number, ask)
    try:
        yield came.is_set
    finally:
        restore()


def write_spec(stage: TrainingStage, inputs: Sequence[Output], ctx: Context, path: Path) -> None:
    """What `training.worker` needs to do its share of the stage's work."""
    spec = {
        "stage": f"{type(stage).__module__}:{type(stage).__qualname__}",
        "fields": asdict(stage),  # type: ignore[call-overload]
        "inputs": [
            {"stage": each.stage, "kind": each.kind.value, "path": str(each.path), "content": each.content}
            for each in inputs
        ],
        "context": {name: str(getattr(ctx, name)) for name in ("root", "out", "tmp", "folder")},
        "launcher": os.getpid(),
    }
    write_json(path, spec)


def torchrun_command(spec: Path, processes: int) -> list[str]:
    """The command that starts the processes of one machine."""
    return [
        _installed("torchrun"),
        "--standalone",
        f"--nproc-per-node={processes}",
        "--no-python",
        _installed("medloom"),
        "train-worker",
        str(spec),
    ]


def _installed(name: str) -> str:
    """A command of this installation, else the one on the path."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"there is no command `{name}` beside {sys.executable}: install medloom[train]")
    return found


def placed(processes: int) -> int:
    """How many processes train: those asked for, but no more than there are GPUs where there is one."""
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if gpus and processes > gpus:
        LOG.warning("%d processes were asked for and there are %d GPUs: training in %d", processes, gpus, gpus)
        return gpus
    return processes


def threads_each(processes: int) -> int:
    """OpenMP's threads of each process, so that all together are those of one (Ray and users state them for one)."""
    stated = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, (int(stated) if stated.isdigit() else len(os.sched_getaffinity(0))) // processes)


def _torchrun(
    stage: TrainingStage, processes: int, inputs: Sequence[Output], ctx: Context, stopping: Callable[[], bool]
) -> None:
    ctx.tmp.mkdir(parents=True, exist_ok=True)
    spec, output = ctx.tmp / "train-worker.json", ctx.tmp / "train-worker.log"
    write_spec(stage, inputs, ctx, spec)
    for rank in range(processes):
        error_file(ctx.tmp, rank).unlink(missing_ok=True)
    total = stage.settings().samples
    with output.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  # our own command, no shell
            torchrun_command(spec, processes),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads_each(processes))},
        )
        below: set[Found] = set()
        looked = -math.inf
        try:
            while process.poll() is None and not stopping():
                time.sleep(POLL_S)
                _progress(ctx, total)
                if time.monotonic() > looked + LOOK_S:
                    below, looked = descendants(process.pid), time.monotonic()
            if process.poll() is None:
                raise Cancelled
        finally:
            end(process, below, STOP_S)
    if process.returncode and not stopping():
        if said := _said(ctx.tmp, processes):
            raise ValueError(said)
        kept = ctx.out / PRINTED_NAME
        shutil.copyfile(output, kept)
        raise UserError(f"one of {processes} processes ended with an error; what they printed is in {kept}")
    if not (ctx.out / FOLDER_NAME).is_dir():  # they were asked to stop by somebody else, a batch system perhaps
        raise Cancelled


def error_file(folder: Path, rank: int) -> Path:
    """Where a process leaves the text of an error that a person can mend."""
    return folder / f"error-{rank}.json"


def _said(folder: Path, processes: int) -> str:
    """The first text that a process left, by rank; empty where none did."""
    paths = (error_file(folder, rank) for rank in range(processes))
    return next((str(json.loads(path.read_bytes())["error"]) for path in paths if path.is_file()), "")


def end(process: subprocess.Popen[bytes], below: set[Found], wait_s: float) -> None:
    """Ask a process that leads a group to end, and leave nothing of it: its group, what is and what was `below` it."""
    if process.poll() is None:
        below = below | descendants(process.pid)  # once it has ended nobody knows whose they are
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(wait_s)
        if process.poll() is None:
            below |= descendants(process.pid)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    kill(below)
    process.wait()


def _progress(ctx: Context, total: int) -> None:
    """Pass on the last line of the log that rank 0 writes."""
    from training.log import LOG_NAME

    path = ctx.out / LOG_NAME
    if not path.is_file():
        return
    with path.open("rb") as handle:
        handle.seek(max(0, path.stat().st_size - 2000))
        lines = handle.read().splitlines()
    try:
        last = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return
    if "samples" in last:
        ctx.on_progress(last["samples"], total, f"loss {last['loss']:.4f}" if "loss" in last else "")
