"""The words of an element of JATS on one line, as a reader would see them.

Letters of panels are put in brackets where only bold print marks them. Marks of references go, and names of authors
stay where the sentence needs them. A formula is written out where one line can say it. What no line can say (other
formulas, symbols that are pictures, characters that are not known) is `UNREADABLE`: a caption with it is not what the
article says, and whoever uses it must look for that character.
"""

from __future__ import annotations

import re
from typing import Any

from ingest.scrapers.raised import raised
from ingest.scrapers.safe_xml import UNREADABLE

_MARKS = ("bibr", "fn", "table-fn", "corresp", "aff", "author-notes")  # ref-type of what only points elsewhere
_REFERENCE = "\ue000"  # where a reference was
_LEFT_OUT = {"email", "fn", "table-wrap", "object-id", "graphic", "media", "permissions", "attrib", "index-term"}
_SYMBOLS = {"inline-graphic", "private-char"}
_APART = {"list", "list-item", "break", "def-item", "def", "disp-quote", "disp-formula"}
_LINES = {"p", "title", "sec"}
_ENDED = re.compile(r"(?<=[^.!?:;,\s])\s*\n\s*(?=[A-Z0-9(\"'\u201c])")
_EMPTIED = re.compile(r"\s*[\[(][\s,;\u2013-]*[\])]")
_SEVERAL = re.compile(rf"{_REFERENCE}(?:\s*(?:[,;\u2013-]|and)?\s*{_REFERENCE})+")
_LAST_IN_BRACKETS = re.compile(rf"(?<![\s,;\u2013-])[\s,;\u2013-]*{_REFERENCE}(?=\s*[\])])")
_UNSEEN = re.compile("[\u2061-\u2064\u200b]")  # operators of MathML that are not shown
_URL = re.compile(r"(?i)\s*(?:https?://|www\.|doi:|10\.\d{4})\S*\s*")
_FROM_REFERENCE = re.compile(
    r"\b(?:from|after|courtesy of|source:?)\s+(?:the\s+)?(?:[^.;()\[\]]{0,60}\bet al\.?,?\s*)?"
    rf"(?:ref(?:erence|\.)?s?\s*)?[\[(]?\s*{_REFERENCE}",
    re.IGNORECASE,
)
_LETTER = re.compile(r"\(?[A-Pa-p](?:\s*[,\u2013\u2014-]\s*[A-Pa-p])*\s*[).:,]*")  # of panels, as publishers set it
_ON_A_LINE = {"math", "mrow", "mstyle", "mpadded", "mi", "mn", "mo", "mtext", "ms"}


def name_of(element: Any) -> str:
    """The element's name without its namespace; empty for an entity."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def text_of(element: Any) -> str:
    """The words of an element; "" for None."""
    text = _SEVERAL.sub(_REFERENCE, _marked(element))
    text = _EMPTIED.sub("", _LAST_IN_BRACKETS.sub("", text).replace(_REFERENCE, ""))
    return " ".join(re.sub(r"\s+([.,;:!?)\]])(?!\d)", r"\1", text).split())


def is_from_reference(element: Any) -> bool:
    """Whether the words say that something is from a work in the list of references: "from Smith et al. [12]"."""
    return bool(_FROM_REFERENCE.search(_marked(element)))


def all_words(element: Any) -> str:
    """All text of an element, marks and all, on one line."""
    return " ".join("".join(element.itertext()).split())


def _marked(element: Any) -> str:
    if element is None:
        return ""
    out: list[str] = []
    _write(element, out)
    return _ENDED.sub(". ", "".join(out).strip()).replace("\n", " ")


def _write(element: Any, out: list[str]) -> None:
    out.append(_plain(element.text))
    has_math = element.find("{*}math") is not None  # looked for once: there may be thousands of formulas
    for child in element:
        if not (has_math and name_of(child) == "tex-math"):
            _child(child, out)
        out.append(_plain(child.tail))


def _plain(text: str | None) -> str:
    return re.sub(r"\s+", " ", (text or "").replace(_REFERENCE, UNREADABLE))


def _child(child: Any, out: list[str]) -> None:
    name = name_of(child)
    if not name or name in _SYMBOLS:
        out.append(UNREADABLE)
    elif name == "xref" and child.get("ref-type") in _MARKS:
        _reference(child, out)
    elif name == "sup":
        inner: list[str] = []
        _write(child, inner)
        text = "".join(inner)
        is_mark = not re.sub(r"[\W_]", "", text.replace(_REFERENCE, "")) and _REFERENCE in text
        out.append(_REFERENCE if is_mark else raised(text, _last(out)))
    elif name == "bold" and _LETTER.fullmatch(text := all_words(child)):
        out.append(text if _last(out, skip_blanks=True) == "(" or "(" in text else f"({text.strip(' .:,)')}) ")
    elif name == "math":
        out.append(_line(child))
    elif name == "tex-math":
        out.append(UNREADABLE)
    elif name in ("ext-link", "uri"):
        out.append("" if _URL.fullmatch(text := all_words(child)) else text)
    elif name not in _LEFT_OUT:
        apart = "\n" if name in _LINES else " " if name in _APART else ""
        out.append(apart)
        _write(child, out)
        out.append(apart)


def _reference(xref: Any, out: list[str]) -> None:
    """A mark goes; names go inside brackets, where the sentence stands without them, and stay elsewhere."""
    text = all_words(xref)
    before = _last(out, skip_blanks=True)
    named = xref.get("ref-type") == "bibr" and re.search(r"[^\W\d_]{2}", text)
    out.append(_REFERENCE)
    if named and before not in ("(", "[", ";", ",", _REFERENCE):
        out.append(text)


def _last(out: list[str], *, skip_blanks: bool = False) -> str:
    """The last character that was written."""
    for piece in reversed(out):
        if text := piece.rstrip() if skip_blanks else piece:
            return text[-1]
    return ""


def _line(element: Any) -> str:
    """MathML on one line, where it has such a form."""
    name, children = name_of(element), list(element)
    if name == "mspace":
        return " "
    if name == "semantics":
        return _line(children[0]) if children else ""
    if name == "msup" and len(children) == 2:
        base, power = (_line(child) for child in children)
        if not (base.isalnum() or base.endswith((")", "]"))):
            return UNREADABLE
        lifted = raised(power, base[-1])
        return f"{base}{lifted}" if lifted != power else f"{base}^{power}" if power.isalnum() else UNREADABLE
    if name == "msub" and len(children) == 2:
        return "".join(map(_line, children))
    if name in _ON_A_LINE:
        return _UNSEEN.sub("", element.text or "").strip() + "".join(map(_line, children))
    return UNREADABLE
