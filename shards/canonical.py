"""One byte form for every value that is hashed or stored in a shard (RFC 8785 in spirit: sorted keys, no spaces)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no white space, UTF-8 kept; NaN and infinities are refused with ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_hex(data: bytes) -> str:
    """SHA-256 as 64 hexadecimal characters."""
    return hashlib.sha256(data).hexdigest()


def sha256_of(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`."""
    return sha256_hex(canonical_json(value).encode())


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, read in pieces."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sample_key(source: str, native_id: str, locator: str) -> str:
    """Stable key of a sample: `<source>-<26 base32 characters of sha256(source, native id, locator)>`.

    `native_id` is the id in the collection, or the path below its root; it may hold a person's name, and only its
    hash appears. `source` must match [a-z0-9_]{1,37} so that the key fits in 64 characters.
    """
    if not (0 < len(source) <= 37 and all(c in "abcdefghijklmnopqrstuvwxyz0123456789_" for c in source)):
        raise ValueError(f"source {source!r} must be 1 to 37 of a-z, 0-9 and _: choose a shorter plain name")
    if "\0" in native_id:
        raise ValueError("an id in the collection holds a NUL, which parts it from the locator: repair the id")
    digest = hashlib.sha256(f"{source}\0{native_id}\0{locator}".encode()).digest()
    return f"{source}-{base64.b32encode(digest).decode().lower()[:26]}"


def base32_all(digests: Sequence[bytes], letters: int = 26) -> list[str]:
    """The first `letters`, at most 32, of each digest of at least 20 bytes in base32 (RFC 4648), in lower case."""
    import numpy as np

    if not digests:
        return []
    bits = np.unpackbits(np.frombuffer(b"".join(digest[:20] for digest in digests), np.uint8).reshape(-1, 20), axis=1)
    values = bits.reshape(-1, 32, 5) @ np.array([16, 8, 4, 2, 1], np.uint8)
    text = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz234567", np.uint8)[values[:, :letters]]
    whole = text.tobytes().decode("ascii")
    return [whole[at : at + letters] for at in range(0, len(whole), letters)]


def keyed_all(key: bytes, kind: str, values: Sequence[str]) -> list[str]:
    """`Context.keyed` of each value, a hundred thousand at a time."""
    return base32_all([hmac.digest(key, f"{kind}\0{value}".encode(), "sha256") for value in values])
