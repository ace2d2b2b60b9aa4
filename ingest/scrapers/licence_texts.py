"""Licences as pages and articles state them, as SPDX ids: by the url of the deed, or by its name in words.

What is not recognised is None and never a guess: a licence without a version is one of several, so it gets an id of its
own (`LicenseRef-CC-BY`), about which nothing is known. A version that was made for one country is a text of its own,
too (`CC-BY-3.0-IGO`).
"""

from __future__ import annotations

import re

_VERSION = r"(?P<version>1\.0|2\.[015]|3\.0|4\.0)"
_PARTS = r"(?:[\s_/+&,(-]*(?:NC|ND|SA)(?![A-Za-z]))*"  # in any order, however they are joined
_URL = re.compile(
    rf"creativecommons\.org/licenses/(?P<kind>by(?:-?(?:nc|nd|sa))*)(?![\w-])(?:/{_VERSION}|(?!/?\d))"
    r"(?:/(?P<port>igo|scotland|[a-z]{2})(?![a-z]))?"
    r"|creativecommons\.org/publicdomain/(?P<dedication>zero|mark)(?:/(?P<mark>1\.0))?",
    re.IGNORECASE,
)
_NAME = re.compile(
    rf"\bCC[\s_-]*(?:(?P<zero>0|zero)\b|(?P<kind>BY(?:NC)?(?:ND|SA)?(?![A-Za-z]){_PARTS}))"
    rf"(?:[\s_-]*v?{_VERSION}(?P<late>(?-i:{_PARTS}))(?:[\s_-]*(?P<port>(?-i:IGO|[A-Z]{{2}})\b))?)?",
    re.IGNORECASE,
)
_WORDS = re.compile(
    r"Creative\s+Commons\s+(?:(?P<zero>Zero|CC0|Public\s+Domain\s+Dedication)"
    r"|Attribution(?P<parts>(?:[\s\u2013,/-]*(?:Non[\s-]?Commercial|No[\s-]?Deriv(?:ative|ate)?s?(?:\s+Works)?"
    r"|Share[\s-]?Alike))*))(?:\s+(?:International|Unported))?(?:\s+Licen[cs]e)?[\s,(]*(?:version\s+)?"
    r"(?P<version>1\.0|2\.[015]|3\.0|4\.0)?(?:\s+(?P<port>IGO)\b)?",
    re.IGNORECASE,
)
# what publishers write beside the licence of the article: CC0 is then not the pictures'
_WAIVED_DATA = re.compile(r"\bwaiver\b.{0,160}?\bappl(?:y|ies) to the data\b", re.IGNORECASE | re.DOTALL)
_HYPHENS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d"), "-") | {0xAD: None}
# what a licence without NC or ND does not say, wherever it stands
_LIMITS = {
    "NC": re.compile(
        r"(?<!\bcommercial and )(?<!\bcommercial or )(?<!\bcommercial/)(?<!\bcommercial and/or )\bnon[\s-]?commercial"
        r"(?! and commercial| or commercial)|\bnot (?:be used )?for (?:any )?commercial\b|\bno commercial use\b",
        re.IGNORECASE,
    ),
    "ND": re.compile(r"\bno[\s-]?deriv|\bno (?:modifications?|adaptations?) (?:is|are)\b", re.IGNORECASE),
}
_LIMITED = "LicenseRef-limited"  # stands beside the licence that a text limits by its words


def licences_in(text: str) -> frozenset[str]:
    """The SPDX ids of all licences that a text names: by the urls in it, and by name those that no url is of.

    Where words forbid what none of them does ("CC BY 4.0, for non-commercial use only"), there is one more of its own.
    """
    text = text.translate(_HYPHENS)
    found = {_of_url(match) for match in _URL.finditer(text)}
    kinds = {_without_version(one) for one in found}
    named = {_of_name(match) for match in _NAME.finditer(text)} | {_of_words(match) for match in _WORDS.finditer(text)}
    found |= {one for one in named if _without_version(one) not in kinds}
    found -= {name for one in found if (name := _without_version(one)) != one}
    if len(found) > 1 and _WAIVED_DATA.search(text):
        found.discard("CC0-1.0")
    if found and any(limit.search(text) and not any(part in one for one in found) for part, limit in _LIMITS.items()):
        found.add(_LIMITED)
    return frozenset(found)


def licence_of(text: str) -> str | None:
    """The SPDX id of the licence that a url or a sentence states; None where it states none that is known.

    Of a text that states several, None: which one holds for the picture is not said.
    """
    found = licences_in(text)
    return next(iter(found)) if len(found) == 1 else None


def licence_of_code(code: str, stated: str) -> str | None:
    """The licence of an archive's code without a version (`CC BY-NC`), with the version that `stated` gives it.

    None for a code that is no Creative Commons licence, and where the words state another licence than the code, or
    beside it one that forbids more.
    """
    coded = licence_of(code)
    if coded is None:
        return None
    said = licences_in(stated)
    kind = _without_version(coded)
    same = {name for name in said if _without_version(name) == kind}
    exact = {coded, *same} - {kind}
    stricter = any(part in name and part not in kind for name in said for part in ("NC", "ND", "SA"))
    if (said and not same) or len(exact) > 1 or stricter or _LIMITED in said:
        return None
    return next(iter(exact), coded)


def kind_of(name: str) -> str:
    """A licence without its version, as archives write it: `CC BY-NC` of CC-BY-NC-4.0, `CC0` of CC0-1.0."""
    if name == "CC0-1.0":
        return "CC0"
    return _without_version(name).removeprefix("LicenseRef-").replace("CC-", "CC ", 1)


def _of_url(match: re.Match[str]) -> str:
    if match["kind"]:
        return _versioned(match["kind"].upper(), match["version"], match["port"])
    return "CC0-1.0" if match["dedication"].lower() == "zero" else "LicenseRef-public-domain-mark"


def _of_name(match: re.Match[str]) -> str:
    if match["zero"]:
        return "CC0-1.0"
    return _versioned(match["kind"].upper() + (match["late"] or ""), match["version"], match["port"])


def _of_words(match: re.Match[str]) -> str:
    if match["zero"]:
        return "CC0-1.0"
    parts = re.sub(r"[\s-]", "", match["parts"]).lower()
    kind = "BY" + ("-NC" if "noncommercial" in parts else "")
    kind += "-ND" if "noderiv" in parts else "-SA" if "sharealike" in parts else ""
    return _versioned(kind, match["version"], match["port"])


def _versioned(kind: str, version: str | None, port: str | None) -> str:
    kind = "-".join(part for part in ("BY", "NC", "ND", "SA") if part in kind)  # also of CC BYNC
    name = f"CC-{kind}-{version}" if version else f"LicenseRef-CC-{kind}"
    return f"{name}-{port.upper()}" if version and port else name


def _without_version(name: str) -> str:
    """`LicenseRef-CC-BY` of CC-BY-4.0 and of CC-BY-3.0-IGO; what has no version is itself."""
    unversioned = re.sub(r"-[1-4]\.[0-9](?:-[A-Z]+)?$", "", name)
    return name if name in (unversioned, "CC0-1.0") else f"LicenseRef-{unversioned}"
