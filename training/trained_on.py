"""Which samples a model was trained on: one hash that a set of pixel shards and the latents made of it share.

It is over the keys and the records of the samples, which `encode` takes over byte for byte; the content hashes of the
two sets differ. An evaluation compares it before it says that held-out groups were not trained on.
"""

from __future__ import annotations

import hashlib

import polars as pl

from shards.index import ShardSet

SPLIT = "train"


def samples_hash(shards: ShardSet) -> str:
    """SHA-256 over key and record of each training sample, in the order of the keys."""
    found: list[tuple[str, str]] = []
    for shard in shards.shards:
        if shard.split == SPLIT:
            records = shards.members(shard).filter(pl.col("member") == pl.col("key") + ".json")
            found += records.select("key", "sha256").rows()
    digest = hashlib.sha256()
    for key, sha256 in sorted(found):
        digest.update(f"{key}\0{sha256}\n".encode())
    return digest.hexdigest()
