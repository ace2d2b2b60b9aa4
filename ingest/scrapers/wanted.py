"""Whether a body is of the kind that was asked for, by its first bytes; what the server calls it counts for nothing.

Servers answer 200 with a page where a picture has gone, and with a picture where an article was.
"""

from __future__ import annotations

import codecs
import re

from ingest.scrapers.answers import Wanted
from shards import sniff
from shards.intake import Skip
from shards.reasons import Reason

_BOM = b"\xef\xbb\xbf"
_MARKUP = re.compile(rb"\s*<[a-zA-Z!?]")
_HTML = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*<(?:!doctype\s+html|html|head|body|title)\b", re.I | re.S
)
_PICTURES = {sniff.IMAGE, sniff.SLIDE, sniff.DICOM, sniff.NIFTI}
_MOVING_PICTURES = {"GIF", "WEBP"}
_TABLES = {"zip", "parquet", "hdf5"}
_TEXTS = {"page", "xml", "json", "table"}  # words may stand where a binary format has its signature


def check_kind(wanted: Wanted, head: bytes) -> None:
    """Refuse a body whose first `sniff.HEAD_BYTES` are not of the wanted kind; raises Skip(WRONG_CONTENT)."""
    if wanted in ("any", "lines"):
        return
    text = head.removeprefix(_BOM)
    found = None if _MARKUP.match(text) or (wanted in _TEXTS and _is_utf8(head)) else _sniffed(head)
    if not _fits(wanted, text, found):
        raise Skip(Reason.WRONG_CONTENT, f"{_name(text, found)} instead of {wanted}")


def _sniffed(head: bytes) -> sniff.Sniffed | None:
    try:
        return sniff.sniff(head)
    except Skip:
        return None


def _is_utf8(head: bytes) -> bool:
    """Whether the first bytes are text; the last character may be cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return b"\0" not in head


def _fits(wanted: Wanted, text: bytes, found: sniff.Sniffed | None) -> bool:
    if wanted == "media":
        return found is not None
    if wanted == "image":
        return found is not None and found.kind in _PICTURES
    if wanted == "video":
        return found is not None and (found.kind == sniff.VIDEO or found.format in _MOVING_PICTURES)
    if wanted == "table":
        readable = found is None or found.format in _TABLES
        return bool(text) and readable and not _MARKUP.match(text)
    if found is not None or text.startswith(b"%PDF-"):
        return False
    if wanted == "xml":
        return bool(_MARKUP.match(text)) and not _HTML.match(text)
    if wanted == "json":
        return text.lstrip()[:1] in {b"{", b"["}
    return bool(text.strip()) and (text.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" not in text)


def _name(text: bytes, found: sniff.Sniffed | None) -> str:
    if found is not None:
        return found.format or found.kind
    if not text:
        return "an empty body"
    return "an HTML page" if _HTML.match(text) else f"a body that begins with {text[:8].hex()}"
