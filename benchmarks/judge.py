"""False statements in the captions of the real chest radiograph tables: every distinct caption of every distinct row.

    python benchmarks/judge.py [--table chexpert]

CheXpert, NIH ChestX-ray14 and PadChest run through their recipes and the template captioner, from the label tables that
torchxrayvision ships; then `captioning.truth.judge` reads each caption that differs from others in its text, its labels
or its metadata. Prints one line of JSON a table: rows, captions judged, how many of them state something false, and the
first such; judging alone is timed. The tests compare the same captions with what the cells of the table let them say.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import polars as pl

from captioning.template import TemplateEngine
from captioning.truth import judge
from pipelines.spec import load
from shards.manifest import samples
from shards.stage import Context

TABLES = {
    "chexpert": "chexpert_train.csv.gz",
    "nih_chestxray14": "Data_Entry_2017_v2020.csv.gz",
    "padchest": "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz",
}
PIPELINES = """\
version: 1
pipelines:
  p:
    root: out
    stages:
      one:
        use: "recipe:{recipe}"
        with: {{path: "package://torchxrayvision/data", table: {table}, expects: [], check_files: false}}
"""


def captioned(recipe: str, folder: Path) -> pl.DataFrame:
    """The rows of a table, each with its caption."""
    (folder / "pipelines.yaml").write_text(PIPELINES.format(recipe=recipe, table=TABLES[recipe]))
    ctx = Context(root=folder, out=folder / "stage", tmp=folder, folder=folder, key=b"a key of the benchmark")
    stage = load(folder / "pipelines.yaml", "p").stages[0].stage
    with stage.open(ctx) as worker:
        rows = pl.concat(worker.process(unit).rows for unit in stage.units(ctx))
    with TemplateEngine().open(ctx) as captioner:
        return rows.join(captioner.caption_rows(rows).select("key", "text"), on="key", maintain_order="left")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", choices=TABLES, action="append")
    for recipe in parser.parse_args().table or TABLES:
        with tempfile.TemporaryDirectory() as folder:
            rows = captioned(recipe, Path(folder))
        vocabulary = rows["labels"].explode(empty_as_null=True).struct.field("name").drop_nulls().unique().to_list()
        distinct = rows.unique(["text", "labels", "attributes"], keep="first", maintain_order=True)
        start, false, first = time.perf_counter(), 0, None
        for part in distinct.iter_slices(10_000):
            for sample, text in zip(samples(part.drop("text")), part["text"], strict=True):
                found = judge(text, sample, vocabulary)
                false += bool(found)
                first = first or (found and [text, *found]) or None
        seconds = time.perf_counter() - start
        figures = {"table": recipe, "rows": rows.height, "judged": distinct.height, "false": false, "first": first}
        print(json.dumps({**figures, "seconds": round(seconds, 1), "rows_per_s": round(distinct.height / seconds)}))


if __name__ == "__main__":
    main()
