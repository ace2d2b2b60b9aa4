"""What the owner of a source allows: the licence, and one answer to each of six questions with where it stands.

An answer is given only where the licence's own text gives it; all else is unknown, and unknown is never yes. A data
set's page or a use agreement may say more: `terms` overrides an answer and must name its evidence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from shards.manifest import Term, Terms
from shards.vocabulary import TERM_NAMES

_OPEN = dict.fromkeys(TERM_NAMES, "yes")
# Sharing adapted material is free, but only non-commercially, or only under the same licence; whether weights are such
# material, and whether a paid service's use is commercial, no licence text says.
_CC_BY = "CC BY 4.0 s. 2(a)(1): reproduce, share, adapt, in any medium (s. 2(a)(4)), with attribution"
_CC_SA = "s. 2(a)(1) and 3(b): share and adapt, adapted material under the same licence"
_CC_NC = "s. 2(a)(1): reproduce, share and adapt for non-commercial purposes only"
_CC_ND = "s. 2(a)(1): adapted material may be produced but not shared"
_CC0 = "CC0 1.0 s. 2: all copyright and related rights are waived"
_BSD = "redistribution and use, with or without modification, are permitted"


@dataclass(frozen=True, slots=True)
class _Known:
    answers: Mapping[str, str]
    evidence: str


def _known(evidence: str, **answers: str) -> _Known:
    return _Known({**_OPEN, **answers}, evidence)


# Versions before 4.0 list the rights in s. 3, and restrict them by NC and SA in s. 4. Under ND no adaptation may even
# be made, and whether training makes one, no text says.
_OLD_BY = "s. 3(a) to (d): reproduce, adapt, distribute both, in all media and formats"
_OLD_NC = "not primarily for commercial advantage"
_OLD_ND = "s. 3: reproduce and distribute, but no rights to make {adaptations}"
_UNSURE_ND = dict.fromkeys(("train", "third_party_processing", "publish_weights"), "unknown")
_UNSURE_NC = dict.fromkeys(("third_party_processing", "publish_weights"), "unknown")

_CREATIVE_COMMONS = {
    "CC-BY": _known(_CC_BY),
    "CC-BY-SA": _known(_CC_SA, publish_weights="unknown"),
    "CC-BY-NC": _known(_CC_NC, commercial="no", third_party_processing="unknown", publish_weights="unknown"),
    "CC-BY-NC-SA": _known(
        f"{_CC_NC}; adapted material under the same licence",
        commercial="no",
        third_party_processing="unknown",
        publish_weights="unknown",
    ),
    "CC-BY-ND": _known(_CC_ND, derivatives="no", publish_weights="unknown"),
    "CC-BY-NC-ND": _known(
        f"{_CC_NC}; {_CC_ND}",
        commercial="no",
        derivatives="no",
        third_party_processing="unknown",
        publish_weights="unknown",
    ),
}


def _older(version: str) -> dict[str, _Known]:
    """The Creative Commons licences of version 2.0, 2.5 or 3.0 (Generic, Unported), as far as their texts answer."""
    name = f"CC {{}} {version} "
    no_adapting = _OLD_ND.format(adaptations="Adaptations" if version == "3.0" else "Derivative Works")
    return {
        f"CC-BY-{version}": _known(name.format("BY") + _OLD_BY),
        f"CC-BY-SA-{version}": _known(
            f"{name.format('BY-SA')}{_OLD_BY}; s. 4(b): adaptations under the same licence", publish_weights="unknown"
        ),
        f"CC-BY-NC-{version}": _known(
            f"{name.format('BY-NC')}{_OLD_BY}; s. 4(b): {_OLD_NC}", commercial="no", **_UNSURE_NC
        ),
        f"CC-BY-NC-SA-{version}": _known(
            f"{name.format('BY-NC-SA')}{_OLD_BY}; s. 4(b): adaptations under the same licence; s. 4(c): {_OLD_NC}",
            commercial="no",
            **_UNSURE_NC,
        ),
        f"CC-BY-ND-{version}": _known(name.format("BY-ND") + no_adapting, derivatives="no", **_UNSURE_ND),
        f"CC-BY-NC-ND-{version}": _known(
            f"{name.format('BY-NC-ND')}{no_adapting}; s. 4(b): {_OLD_NC}",
            commercial="no",
            derivatives="no",
            **_UNSURE_ND,
        ),
    }


LICENCES: dict[str, _Known] = {
    "CC0-1.0": _known(_CC0),
    "PDDL-1.0": _known("PDDL 1.0 s. 3: rights in the database and its contents are waived"),
    **{f"{name}-4.0": known for name, known in _CREATIVE_COMMONS.items()},
    **_older("3.0"),
    **_older("2.5"),
    **_older("2.0"),
    "ODC-By-1.0": _known("ODC-By 1.0 s. 3.1: extract, re-use, derive, with attribution"),
    "ODbL-1.0": _known("ODbL 1.0 s. 3.1 and 4.4: derived databases under the same licence", publish_weights="unknown"),
    "CDLA-Permissive-2.0": _known("CDLA-Permissive-2.0 s. 1 to 3: use, modify, share; results are free"),
    "MIT": _known("MIT: use, copy, modify, publish, distribute, sell, without restriction"),
    "MIT-0": _known("MIT-0: use, copy, modify, publish, distribute, sell, without restriction"),
    "BSD-2-Clause": _known(f"BSD-2-Clause: {_BSD}"),
    "BSD-3-Clause": _known(f"BSD-3-Clause: {_BSD}"),
    "ISC": _known("ISC: use, copy, modify, distribute for any purpose"),
    "Apache-2.0": _known("Apache-2.0 s. 2: reproduce, prepare derivative works, sublicense, distribute"),
}
_LICENCE_ID = re.compile(r"LicenseRef-[A-Za-z0-9.-]+|[A-Za-z0-9][A-Za-z0-9.+-]*")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer that the licence's text alone does not give."""

    answer: Literal["yes", "no", "unknown"] | bool  # plain yes and no are true and false in YAML
    evidence: str  # page, section, date: where the owner says so

    def __post_init__(self) -> None:
        if not self.evidence.strip():
            raise ValueError("evidence must say where the owner states this answer, such as a page and its date")
        if isinstance(self.answer, bool):
            object.__setattr__(self, "answer", "yes" if self.answer else "no")


@dataclass(frozen=True, kw_only=True)
class Rights:
    """Licence and terms of a source; an option of every converter."""

    license: str  # SPDX id, or LicenseRef-<name> for a text that has none
    stated: str = ""  # where the owner states the licence: a url, a file inside the package
    terms: Mapping[str, Answer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        meant = _meant(self.license)
        if not _LICENCE_ID.fullmatch(self.license) or meant:
            raise ValueError(f"license {self.license!r} is neither an SPDX id (CC-BY-4.0) nor LicenseRef-<name>{meant}")
        unknown = sorted(set(self.terms) - set(TERM_NAMES))
        if unknown:
            raise ValueError(f"terms: {unknown} are no terms; known are {', '.join(TERM_NAMES)}")

    def manifest_terms(self) -> Terms:
        """The six answers with their evidence, as the manifest holds them."""
        known = LICENCES.get(self.license)
        answers = {}
        for name in TERM_NAMES:
            if name in self.terms:
                answers[name] = Term(answer=str(self.terms[name].answer), evidence=self.terms[name].evidence)
            elif known is not None and known.answers[name] != "unknown":
                stated = f" (licence stated: {self.stated})" if self.stated else ""
                answers[name] = Term(answer=known.answers[name], evidence=known.evidence + stated)
        return Terms(**answers)


def _meant(text: str) -> str:
    """A question that names the known licences which `text` writes in another way; empty for an id as it should be."""
    plain = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")
    names = [name for name in LICENCES if f"{name.lower()}-".startswith(f"{plain}-")]
    return f"; did you mean {' or '.join(names)}?" if names and text not in names else ""
