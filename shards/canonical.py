"""One byte form for every value that is hashed or stored in a shard (RFC 8785 in spirit: sorted keys, no spaces)."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


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


def sha256_all(start: bytes, rest: Iterable[bytes]) -> list[bytes]:
    """SHA-256 of `start` followed by each of `rest`; the beginning is hashed once."""
    begun = hashlib.sha256(start)
    digests = []
    for one in rest:
        digest = begun.copy()
        digest.update(one)
        digests.append(digest.digest())
    return digests


def base32_all(digests: Sequence[bytes], letters: int = 26) -> npt.NDArray[np.bytes_]:
    """The first `letters`, at most 48, of each SHA-256 in base32 (RFC 4648), in lower case."""
    import numpy as np

    whole = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32).astype(np.uint16)
    byte, bit = np.divmod(5 * np.arange(letters), 8)  # where the five bits of each letter begin
    places = (whole[:, byte] << 8 | whole[:, byte + 1]) >> (11 - bit).astype(np.uint16) & 31
    text = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz234567", np.uint8)[places]
    return np.frombuffer(text.tobytes(), f"S{letters}")


def keyed_all(key: bytes, kind: str, values: Iterable[str]) -> npt.NDArray[np.bytes_]:
    """`Context.keyed` of each value: HMAC (RFC 2104) as two rounds of hashing that each begin in the same way."""
    block = (key if len(key) <= 64 else hashlib.sha256(key).digest()).ljust(64, b"\0")
    inner = sha256_all(bytes(byte ^ 0x36 for byte in block) + f"{kind}\0".encode(), map(str.encode, values))
    return base32_all(sha256_all(bytes(byte ^ 0x5C for byte in block), inner))
