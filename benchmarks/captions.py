"""Template captions of a NIH-like table: rows/s of the stage's table path beside its peers, in one run on one thread.

    python benchmarks/captions.py [--rows 1000000] [--templates]

Rows have the shape of NIH ChestX-ray14: 14 findings in lists of study labels, age, sex, view, one still each. Peers, on
a sample of the rows since they are slow: the captioner row by row (what an engine that looks at pictures goes through),
and a pandas row loop that words the same facts with an f-string and nothing else, no check and no grammar. The texts of
the table path and of the row path are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Callable
from typing import Any

os.environ["POLARS_MAX_THREADS"] = "1"  # before polars is imported: one core

import numpy as np
import pandas as pd
import polars as pl

from captioning.rows import word_rows
from captioning.template import word
from shards.attributes import encode
from shards.manifest import SCHEMA, samples
from shards.vocabulary import TERM_NAMES

FINDINGS = (  # and how often each is named, of 112,120 rows
    ("Infiltration", 19_894), ("Effusion", 13_317), ("Atelectasis", 11_559), ("Nodule", 6_331), ("Mass", 5_782),
    ("Pneumothorax", 5_302), ("Consolidation", 4_667), ("Pleural_Thickening", 3_385), ("Cardiomegaly", 2_776),
    ("Emphysema", 2_516), ("Edema", 2_303), ("Fibrosis", 1_686), ("Pneumonia", 1_431), ("Hernia", 227),
)  # fmt: skip
TEMPLATES = (
    "{picture:a}[ of {person:a}][, from a study with {study_findings}]\n"
    "{view:a} chest radiograph[ of {person:a}][, from a study with {study_findings}]\n"
    "[From a study with {study_findings}: ]{picture:a}[, from {person:a}]"
)
PEER_ROWS = 20_000


def table(count: int, *, template: str | None) -> pl.DataFrame:
    """`count` rows of a manifest, without captions."""
    rng = np.random.default_rng(0)
    chances = np.array([named / 112_120 for _, named in FINDINGS])
    found = rng.random((count, len(FINDINGS))) < chances
    kinds, kind = np.unique(found, axis=0, return_inverse=True)
    lists = [[_label(name) for (name, _), here in zip(FINDINGS, row, strict=True) if here] for row in kinds]
    lists = [labels or [_label("none of the 14 labelled findings")] for labels in lists]
    ages, sexes, views = rng.integers(1, 95, count), rng.integers(0, 2, count), rng.integers(0, 5, count)
    known = [(age, sex, view) for age in range(95) for sex in "FM" for view in ("PA", "PA", "PA", "AP", "AP")]
    cells = pl.Series([encode({"age": a or None, "sex": s, "view": v, "body_part": "chest"}) for a, s, v in known])
    yes = pl.struct(answer=pl.lit("yes"), evidence=pl.lit("the owner's page"))
    media = pl.struct(
        uri=pl.format("/data/nih/images/{}.png", "n"),
        kind=pl.lit("image"),
        locator=pl.lit(""),
        sha256=None,
        width_px=1024,
        height_px=1024,
        frames=1,
        fps=None,
    )
    columns = {
        "key": pl.format("nih-{}", pl.col("n").cast(pl.String).str.zfill(26)),
        "media": media,
        "captions": pl.lit([], dtype=SCHEMA["captions"]),
        "modality": pl.lit("CR"),
        "specialty": pl.lit("radiology"),
        "group": pl.format("patient:{}", "n"),
        "labels": pl.lit(pl.Series(lists, dtype=SCHEMA["labels"]).gather(kind.ravel())),
        "label_scope": pl.lit("study"),
        "source": pl.lit("nih"),
        "license": pl.lit("LicenseRef-NIH"),
        "terms": pl.struct(**dict.fromkeys(TERM_NAMES, yes)),
        "attributes": pl.lit(cells.gather((ages * 2 + sexes) * 5 + views)),
        "template": pl.lit(template, dtype=pl.String),
    }
    rows = pl.select(pl.int_range(count).alias("n"))
    return rows.select(columns.get(name, pl.lit(None)).cast(SCHEMA[name]).alias(name) for name in SCHEMA)


def _label(name: str) -> dict[str, str]:
    return {"name": name, "state": "present", "scope": "study", "origin": "text-mined"}


def row_by_row(rows: pl.DataFrame) -> list[str]:
    return [word(sample, 0)[1] for sample in samples(rows)]


def pandas_table(rows: pl.DataFrame) -> pd.DataFrame:
    """The rows as NIH's own table has them: findings joined by `|`, age, sex and view in columns."""
    listed = rows.select(pl.col("labels").list.eval(pl.element().struct.field("name")).list.join("|")).to_series()
    known = pd.DataFrame([json.loads(cell) for cell in rows["attributes"]])
    return known.assign(findings=listed.to_list())


def pandas_loop(frame: pd.DataFrame) -> list[str]:
    texts = []
    for _, row in frame.iterrows():
        names = row["findings"].lower().replace("_", " ").replace("|", ", ")
        texts.append(f"A {row['view']} chest radiograph of a {row['age']}-year-old {row['sex']} with {names}.")
    return texts


def timed(rows: Any, caption: Callable[[Any], Any]) -> tuple[float, Any]:
    """Rows a second of processor time (one thread; a busy machine changes little), best of three, and what came out."""
    best, texts = 0.0, None
    for _ in range(3):
        start = time.process_time()
        texts = caption(rows)
        best = max(best, len(rows) / (time.process_time() - start))
    return best, texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--part", type=int, default=100_000, help="rows of a part")
    parser.add_argument("--templates", action="store_true", help="the rows carry three templates of their own")
    given = parser.parse_args()
    rows = table(given.rows, template=TEMPLATES if given.templates else None)
    looks, lists = rows["attributes"].n_unique(), rows["labels"].n_unique()
    print(f"{rows.height:,} rows in parts of {given.part:,}; {looks} looks, {lists} lists of labels")

    def parts(rows: pl.DataFrame) -> pl.DataFrame:
        return pl.concat(word_rows(part, 0) for part in rows.iter_slices(given.part))

    few = rows.head(PEER_ROWS)
    fast, worded = timed(rows, parts)
    slow, texts = timed(few, row_by_row)
    assert worded["text"].head(PEER_ROWS).to_list() == texts, "the table path and the row path differ"
    loop, _ = timed(pandas_table(few), pandas_loop)
    print(f"table path    {fast:>12,.0f} rows/s")
    print(f"row by row    {slow:>12,.0f} rows/s   {fast / slow:.1f} times slower")
    print(f"pandas loop   {loop:>12,.0f} rows/s   {fast / loop:.1f} times slower, without grammar or scopes")
    print(f"peak memory   {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB, the table included")
    print(*worded["text"].head(4), sep="\n")


if __name__ == "__main__":
    main()
