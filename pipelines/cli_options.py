"""What several commands share: the application, their options, and how they print."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType

app = typer.Typer(
    name="medloom",
    help="Medical data to captioned shards and fine-tuned diffusion models. To resume, run the same command again.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
out = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 200)

PipelineName = Annotated[str, typer.Argument(help="Name of the pipeline in the pipelines file.")]
File = Annotated[Path, typer.Option("--file", "-f", help="The pipelines file.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Address = Annotated[str | None, typer.Option(help="Join the Ray cluster at this address.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="stage.option=value; may be given several times.")]
PIPELINES = Path("pipelines.yaml")


def say(what: RenderableType) -> None:
    """Print for a person: text goes on where its line ends, since a path that is broken cannot be copied."""
    out.print(what, soft_wrap=isinstance(what, str))


def print_json(value: Any) -> None:
    """Print JSON for scripts."""
    sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n")
