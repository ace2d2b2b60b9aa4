"""Licences as pages and articles state them, as SPDX ids: by the url of the deed, or by its name in words.

What is not recognised is None and never a guess: a licence without a version is one of several, so it gets an id of its
own (`LicenseRef-CC-BY`), about which nothing is known.
"""

from __future__ import annotations

import re

_URL = re.compile(
    r"creativecommons\.org/(?:licenses/(?P<kind>by(?:-nc)?(?:-nd|-sa)?)/(?P<version>[1-4]\.[05])"
    r"|publicdomain/(?P<dedication>zero|mark)(?:/(?P<mark>1\.0))?)",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"\bCC[\s_-]*(?:(?P<zero>0|zero)\b|(?P<kind>BY(?:[\s_-]*NC)?(?:[\s_-]*(?:ND|SA))?)(?![A-Za-z]))"
    r"(?:[\s_-]*v?(?P<version>[1-4]\.[05]))?",
    re.IGNORECASE,
)
_WORDS = re.compile(
    r"Creative\s+Commons\s+(?:(?P<zero>Zero|CC0|Public\s+Domain\s+Dedication)"
    r"|Attribution(?P<parts>(?:[\s\u2013,/-]*(?:Non[\s-]?Commercial|No[\s-]?Deriv(?:ative|ate)?s?(?:\s+Works)?"
    r"|Share[\s-]?Alike))*))(?:\s+(?:International|Unported))?(?:\s+Licen[cs]e)?[\s,(]*(?:version\s+)?"
    r"(?P<version>[1-4]\.[05])?",
    re.IGNORECASE,
)


def licence_of(text: str) -> str | None:
    """The SPDX id of the licence that a url or a sentence states; None where it states none that is known.

    Of a text that states several, None: which one holds for the picture is not said.
    """
    found = {name for match in _URL.finditer(text) if (name := _of_url(match)) is not None}
    if not found:
        found = {_of_name(match) for match in _NAME.finditer(text)}
        found |= {_of_words(match) for match in _WORDS.finditer(text)}
        exact = {name for name in found if not name.startswith("LicenseRef-")}
        found = {name for name in found if name in exact or not any(_without_version(e) == name for e in exact)}
    return found.pop() if len(found) == 1 else None


def _of_url(match: re.Match[str]) -> str | None:
    if match["kind"]:
        return f"CC-{match['kind'].upper()}-{match['version']}"
    return "CC0-1.0" if match["dedication"].lower() == "zero" else "LicenseRef-public-domain-mark"


def _of_name(match: re.Match[str]) -> str:
    if match["zero"]:
        return "CC0-1.0"
    return _versioned(re.sub(r"[\s_]+", "-", match["kind"].upper()), match["version"])


def _of_words(match: re.Match[str]) -> str:
    if match["zero"]:
        return "CC0-1.0"
    parts = re.sub(r"[\s-]", "", match["parts"]).lower()
    kind = "BY" + ("-NC" if "noncommercial" in parts else "")
    kind += "-ND" if "noderiv" in parts else "-SA" if "sharealike" in parts else ""
    return _versioned(kind, match["version"])


def _versioned(kind: str, version: str | None) -> str:
    kind = "-".join(part for part in ("BY", "NC", "ND", "SA") if part in kind)  # also of CC BYNC
    return f"CC-{kind}-{version}" if version else f"LicenseRef-CC-{kind}"


def _without_version(name: str) -> str:
    return "LicenseRef-" + name.rpartition("-")[0]
