"""The user's key: patient identifiers and splits are keyed with it, so it must stay the same and stay private.

Made on the first run with mode 0600. A pipeline on public data may hold its key in the open instead.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from pipelines.spec import PipelineSpec


def read_key(spec: PipelineSpec, *, create: bool) -> bytes:
    """The key of a pipeline; where there is none yet, made if `create`, else a value that names no person's key.

    Raises ValueError for a key file that others can read or that is too short.
    """
    if spec.public_key is not None:
        return spec.public_key.encode()
    path = spec.key_file
    assert path is not None
    if not path.exists():
        if not create:
            return b"not made yet"
        _make(path)
    if path.stat().st_mode & 0o077:
        raise ValueError(f"the key file {path} can be read by others; run `chmod 600 {path}`")
    key = path.read_bytes().strip()
    if len(key) < 16:
        raise ValueError(f"the key file {path} holds fewer than 16 bytes; remove it and run again to make a new key")
    return key


def key_id(key: bytes) -> str:
    """Eight hexadecimal characters that tell two keys apart and say nothing of either."""
    return hashlib.sha256(b"medloom key id\0" + key).hexdigest()[:8]


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(secrets.token_hex(32).encode() + b"\n")
        handle.flush()
        os.fsync(handle.fileno())
    try:
        os.link(temporary, path)  # fails where another run made the key first: then that one counts
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
