"""The share of captions that a model's text encoder cuts: what stands at the end never reaches the model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from shards.manifest import scan_parts
from shards.token_counts import share_cut

MOST_COUNTED = 100_000  # captions; of more, evenly spaced ones


def captions_cut(model: Path, parts: Sequence[Path]) -> str | None:
    """In words, for the model folder of a denoiser and the parts of its data set; None where it takes no text."""
    try:
        record = json.loads((model / "medloom.json").read_text())
        encoder, most = str(record["shape"]["text"]["name"]), int(record["shape"]["text"]["max_tokens"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if "text_width" not in record or not parts:  # an autoencoder keeps the shape of the whole model
        return None
    texts = scan_parts(list(parts)).select(pl.col("captions").list.first().struct.field("text").alias("text"))
    count = int(texts.select(pl.len()).collect().item())
    every = max(1, -(-count // MOST_COUNTED))
    share = share_cut(texts.gather_every(every).drop_nulls().collect()["text"].to_list(), encoder, most)
    if share is None:
        return f"not measured: the tokenizer of {encoder} is not here"
    of = f"{count:,} captions" if every == 1 else f"{-(-count // every):,} of {count:,} captions"
    return f"{100 * share:.1f} % of {of} are longer than {most} tokens"
