"""Commands that look at data which is already there: index, verify, show, explain."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli_options import PIPELINES, File, Json, app, out, print_json, say

SHEET = "captions.html"


@app.command()
def index(path: Annotated[Path, typer.Argument(help="Folder of WebDataset tars.")], as_json: Json = False) -> None:
    """Adopt stock WebDataset tars: build their index, rewrite nothing."""
    from shards.adopt import index_folder

    shards = index_folder(path)
    if as_json:
        print_json({"shards": len(shards.shards), "splits": dict(shards.splits)})
        return
    for split, samples in shards.splits.items():
        count = sum(s.split == split for s in shards.shards)
        say(f"{split}: {samples:,} samples in {count:,} shard{'s' if count != 1 else ''}")


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="Folder of a shard set.")],
    decode: Annotated[bool, typer.Option("--decode/--no-decode", help="Decode every picture and clip.")] = True,
    as_json: Json = False,
) -> None:
    """Check a shard set: counts, hashes, decoding, leakage. Names every bad sample."""
    from shards.verify import verify as verify_shards

    if path.is_file():
        raise ValueError(f"{path} is a file: give the folder of the shard set, which holds index.json")
    report = verify_shards(path, decode=decode)
    if as_json:
        print_json(report.as_dict())
    else:
        sys.stdout.write(report.text())
    raise typer.Exit(0 if report.good else 1)


@app.command()
def show(
    path: Annotated[Path, typer.Argument(help="A stage's folder, a Parquet part, a folder of shards, or one tar.")],
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="At most this many samples.")] = 20,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="column=value, such as modality=CT, attributes.plane=axial or, a start alone, captions.by=vlm:*; "
            "all must hold."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed gives other samples.")] = 0,
    html: Annotated[Path | None, typer.Option(help="Write a page with the pictures to this file.")] = None,
    captions: Annotated[
        bool,
        typer.Option(
            "--captions", help=f"Write a caption sheet in its place: all captions and checks. Default: {SHEET}."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show samples of a manifest or a shard set, spread over all of it."""
    from pipelines.caption_sheet import write_sheet
    from pipelines.show import parse_where, select
    from pipelines.show_page import told, write_page

    selection = select(path, number, parse_where(where or ()), seed)
    if captions:
        html = html or Path(SHEET)
    if html is not None:
        (write_sheet if captions else write_page)(selection, where or (), html)
    if as_json:
        print_json([specimen.facts() for specimen in selection.specimens])
        return
    for piece in told(selection, out.width):
        say(piece)
    if html is not None:
        say(f"see {html}")


@app.command()
def explain(
    key: Annotated[
        str,
        typer.Argument(
            help="Key of a sample or its start, the name of a source file, or a part of the name of a rejected item."
        ),
    ],
    file: File = PIPELINES,
    pipeline: Annotated[str | None, typer.Option(help="Search this pipeline alone.")] = None,
    as_json: Json = False,
) -> None:
    """Show where a sample comes from, or why an item was left out."""
    from pipelines.explain import explain as explain_key
    from pipelines.explain import text

    found = explain_key(file, key, pipeline)
    if as_json:
        print_json(asdict(found))
    else:
        sys.stdout.write(text(found))
