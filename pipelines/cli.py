"""The command `medloom`. Each command is thin: it reads its options, calls one function and prints.

Exit codes: 0 done, 1 failed or found something bad, 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, cast

import typer
from rich.box import HEAVY_HEAD, SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pipelines import cli_data  # noqa: F401  # its commands are part of `app` once it is imported
from pipelines.cli_options import PIPELINES, Address, File, Json, PipelineName, Set, app, out, print_json, say
from pipelines.house import check_house

STATUS_WIDTH = 120  # characters; a narrower terminal gets fewer columns, none of them cut
USAGE_ERROR = cast(type[Exception], typer.BadParameter.__mro__[1])  # typer carries its own click under a private name


@app.command()
def plan(
    pipeline: PipelineName,
    file: File = PIPELINES,
    set_: Set = None,
    units: Annotated[bool, typer.Option("--all-units", help="List every unit, not three a stage.")] = False,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Show what would run, unit by unit, and why. Changes nothing."""
    from pipelines.placing import check_room, gpus_of
    from pipelines.plan import Planner
    from pipelines.spec import load
    from pipelines.user_key import read_key

    spec = load(file, pipeline, set_ or ())
    planner = Planner(spec, read_key(spec, create=False))
    plans = planner.all()
    check_room(spec, plans, spec.by_name, lambda: gpus_of(address))
    if as_json:
        print_json(
            {
                name: {
                    "units": len(plan.units),
                    "stale": {unit.unit.id: unit.why for unit in plan.stale},
                    "waits": plan.waits,
                    "complete": plan.output is not None,
                }
                for name, plan in plans.items()
            }
        )
        return
    for name, plan in plans.items():
        stale = plan.stale
        if plan.waits:
            say(f"{name}: waits for {', '.join(plan.waits)}")
        elif not stale:
            done = "up to date" if plan.output is not None else "to be finished"
            say(f"{name}: {len(plan.units)} unit{'s' if len(plan.units) != 1 else ''} {done}")
        else:
            say(f"{name}: {len(stale)} of {len(plan.units)} units to do")
        for unit in stale if units else stale[:3]:
            say(f"  {unit.unit.id}: {unit.why}")
        if not units and len(stale) > 3:
            say(f"  and {len(stale) - 3} more (--all-units lists them)")


def _part(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    head, slash, tail = text.partition("/")
    if not (slash and head.isdecimal() and tail.isdecimal() and 1 <= int(head) <= int(tail)):
        raise typer.BadParameter(f"`{text}` is not I/N with 1 <= I <= N, such as 3/16", param_hint="--units")
    return int(head) - 1, int(tail)


@app.command()
def run(
    pipeline: PipelineName,
    file: File = PIPELINES,
    only: Annotated[str | None, typer.Option(help="Run this stage alone.")] = None,
    until: Annotated[str | None, typer.Option(help="Run this stage and all that it needs.")] = None,
    set_: Set = None,
    serial: Annotated[bool, typer.Option("--serial", help="In this process, without Ray.")] = False,
    address: Address = None,
    workers: Annotated[int | None, typer.Option(min=1, help="At most this many workers.")] = None,
    units: Annotated[str | None, typer.Option("--units", help="I/N: one slice of the units, in this process.")] = None,
    force: Annotated[list[str] | None, typer.Option(help="Do this stage again, whatever is there.")] = None,
    check_content: Annotated[bool, typer.Option("--check-content", help="Read all source files again.")] = False,
    as_json: Json = False,
) -> None:
    """Bring a pipeline up to date. To resume after anything, run the same command again."""
    from pipelines.interrupt import interruptible
    from pipelines.pool import Pool, SerialPool, ray_pool
    from pipelines.run import RunOptions
    from pipelines.run import run as run_pipeline
    from pipelines.screen import Screen
    from pipelines.spec import load

    part = _part(units)
    if only is not None and until is not None:
        raise typer.BadParameter("--only runs one stage and --until all before it; give one", param_hint="--only")
    if serial and address is not None:
        raise typer.BadParameter("--serial runs in this process; leave out --address", param_hint="--serial")
    if part is not None and address is not None:
        raise typer.BadParameter("a slice runs in this process; leave out --address", param_hint="--units")
    if part is not None and (force or check_content):
        raise typer.BadParameter("--force and --check-content need one run of the whole", param_hint="--units")
    screen = Screen(quiet=as_json)
    spec = load(file, pipeline, set_ or ())

    def pool() -> Pool:
        return SerialPool(screen.listen) if serial or part is not None else ray_pool(address, workers)

    interruptible()
    options = RunOptions(only=only, until=until, part=part, force=tuple(force or ()), check_content=check_content)
    report = run_pipeline(spec, options, pool, screen)
    if as_json:
        print_json({**asdict(report), "worked": report.worked})
    elif not report.worked and not report.failed and not report.waiting:
        say(f"{pipeline}: nothing to do, everything is up to date in {spec.root}")
    for stage, errors in report.failed.items():
        for error in errors:
            screen.warn(f"{stage}: FAILED {error}")
    if only is not None and report.waiting and not report.failed:
        screen.warn(f"{only}: its inputs are not complete; run `--until {only}` to make them")
    unfinished = report.waiting and part is None
    raise typer.Exit(1 if report.failed or unfinished else 0)


@app.command()
def status(pipeline: PipelineName, file: File = PIPELINES, as_json: Json = False) -> None:
    """Show units, samples, rejects and disk use of each stage."""
    from pipelines.spec import load
    from pipelines.status import status as read_status

    rows = read_status(load(file, pipeline))
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    narrow = out.width < STATUS_WIDTH
    table = Table(box=SIMPLE_HEAD if narrow else HEAVY_HEAD)
    for name in ("stage", "gives", "state", "units", "accepted", "rejected", "reasons", "MB", "seconds"):
        if not (narrow and name in ("gives", "seconds")):
            table.add_column(name, no_wrap=name != "reasons", overflow="fold")
    for row in rows:
        reasons = ", ".join(f"{count} {reason}" for reason, count in row.rejected.items())
        cells = [row.stage, row.state, f"{row.units:,}", f"{row.accepted:,}", f"{row.offered - row.accepted:,}"]
        cells += [reasons, f"{row.disk_bytes / 1e6:,.1f}"]
        if not narrow:
            cells = [cells[0], row.kind, *cells[1:], f"{row.seconds:,.1f}"]
        table.add_row(*cells)
    say(table)


@app.command()
def graph(
    pipeline: PipelineName,
    file: File = PIPELINES,
    dot: Annotated[bool, typer.Option("--dot", help="Graphviz DOT in place of Mermaid.")] = False,
) -> None:
    """Print the DAG of a pipeline."""
    from pipelines import graph as drawing
    from pipelines.spec import load

    spec = load(file, pipeline)
    sys.stdout.write(drawing.dot(spec) if dot else drawing.mermaid(spec))


@app.command()
def report(
    pipeline: PipelineName,
    file: File = PIPELINES,
    out_file: Annotated[Path | None, typer.Option("--out", help="The page; default: report.html in the root.")] = None,
) -> None:
    """Write one self-contained HTML page. Data, pairs, rejects, losses, samples, scores, and how it was made."""
    from pipelines.report.page import write_report
    from pipelines.spec import load

    spec = load(file, pipeline)
    path = out_file or spec.root / "report.html"
    if write_report(spec, path):
        say(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    else:
        say(f"{path}: nothing to do, the page is up to date")


@app.command()
def sample(
    checkpoint: Annotated[Path, typer.Argument(help="Folder of a training stage, or its `model/` folder.")],
    prompt: Annotated[list[str], typer.Option(help="What to draw; may be given several times.")],
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for the pictures.")] = Path("samples"),
    number: Annotated[int, typer.Option(min=1, help="Pictures a prompt.")] = 4,
    steps: Annotated[int, typer.Option(min=1, max=1000, help="Denoising steps.")] = 30,
    guidance: Annotated[float, typer.Option(min=0.0, help="Classifier-free guidance scale; 1 is none.")] = 4.5,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first picture.")] = 0,
    method: Annotated[Literal["ddim", "dpm++"], typer.Option(help="How steps are taken.")] = "ddim",
    batch: Annotated[
        int | None, typer.Option(min=1, help="Pictures drawn together; default: 4 on a CPU, 32 on a GPU.")
    ] = None,
) -> None:
    """Draw pictures from a checkpoint. The settings are written beside them."""
    draw = importlib.import_module("training.sample_command").sample
    settings = {"number": number, "steps": steps, "guidance": guidance, "seed": seed, "method": method}
    for path in draw(checkpoint, prompt, out_folder, **settings, at_once=batch):
        say(str(path))


@app.command("train-worker", hidden=True)
def train_worker(spec: Path) -> None:
    """Entry of one training process under torchrun."""
    importlib.import_module("training.worker").main(spec)


def main() -> NoReturn:
    """Entry point: turns user mistakes into one line, and Ctrl-C into exit code 130."""
    # Threads of OpenMP that wait must neither sleep at once (on virtual machines waking costs more than the work) nor
    # spin for long (on cores shared with anything else): see docs/log.md.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "100000")
    check_house()
    from pipelines.source_yaml import SpecError

    errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    try:
        code = int(app(standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except SpecError as error:
        if error.__cause__ is not None and os.environ.get("MEDLOOM_TRACE"):
            raise
        errors.print(str(error))
        code = 2
    except BrokenPipeError:  # the reader of a pipe has gone; what is left to print goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except (ValueError, OSError, ModuleNotFoundError) as error:
        if os.environ.get("MEDLOOM_TRACE"):
            raise
        errors.print(f"medloom: {_words(error)}")
        code = 1
    except USAGE_ERROR as error:
        cast(Any, error).show()
        code = 2
    if code == 130:
        errors.print("interrupted; run the same command to go on")
    raise SystemExit(code)


def _words(error: Exception) -> str:
    if not isinstance(error, OSError) or error.errno is None:
        return str(error)
    where = f": {error.filename}" if error.filename else ""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return f"{error.strerror}{where}{'; free some and run the same command to go on' if full else ''}"
