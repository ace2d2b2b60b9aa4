"""XML from strangers: no entity is expanded, no file and no network is read, and names of characters are characters.

Articles name characters by entities of external DTDs, which a parser that reads no DTD would lose. So the names of
HTML 5 (which hold those of ISO 8879 and 9573 that articles use) become numeric references before the parser sees them.
"""

from __future__ import annotations

import html.entities
import re
from typing import Any

from shards.intake import Skip
from shards.reasons import Reason

_NAMED = re.compile(rb"<!\[CDATA\[(?s:.*?)(?:\]\]>|\Z)|&([A-Za-z][A-Za-z0-9]{1,31});")  # none is meant inside CDATA
_OF_XML = {b"amp", b"lt", b"gt", b"quot", b"apos"}
_UTF16 = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"<\0": "utf-16-le", b"\0<": "utf-16-be"}  # XML 1.0 F.1
UNREADABLE = "\ufffd"  # a character that is not known: an entity of the document's own, or bytes that are no text


def parse_xml(data: bytes) -> Any:
    """The root element (lxml) of a document; Skip(CORRUPT) where it is none or is nested more than 256 deep.

    Entities that have no name of HTML stay as they are: an element whose tag is no text (lxml's `Entity`).
    """
    from lxml import etree

    if (encoding := _UTF16.get(data[:2])) is not None:
        data = data.decode(encoding, "replace").encode()
        data = re.sub(rb"^(<\?xml[^>]*?)\s+encoding=[\"'][^\"']*[\"']", rb"\1", data)
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(_NAMED.sub(_numeric, data), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Skip(Reason.CORRUPT, f"no XML: {type(error).__name__}") from None
    return root


def _numeric(match: re.Match[bytes]) -> bytes:
    name = match[1]
    if name is None or name in _OF_XML:
        return match[0]
    letters = html.entities.html5.get(f"{name.decode()};")
    return match[0] if letters is None else "".join(f"&#{ord(letter)};" for letter in letters).encode()
