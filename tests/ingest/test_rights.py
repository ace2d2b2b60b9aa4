"""Licences: only what their text says, and never a guess."""

from __future__ import annotations

import pytest

from ingest.rights import LICENCES, Answer, Rights
from shards.vocabulary import TERM_ANSWERS, TERM_NAMES


def answers(rights: Rights) -> dict[str, str]:
    terms = rights.manifest_terms()
    return {name: getattr(terms, name).answer for name in TERM_NAMES}


def test_a_licence_answers_what_its_text_answers() -> None:
    assert set(answers(Rights(license="CC0-1.0")).values()) == {"yes"}
    assert answers(Rights(license="CC-BY-NC-ND-4.0")) == {
        "redistribute": "yes",
        "commercial": "no",
        "derivatives": "no",
        "train": "yes",
        "third_party_processing": "unknown",
        "publish_weights": "unknown",
    }
    assert set(answers(Rights(license="LicenseRef-PhysioNet-Credentialed-1.5.0")).values()) == {"unknown"}
    for unread in ("CC-BY-1.0", "CC-BY-3.0-IGO", "CC-BY-3.0-US", "LicenseRef-CC-BY"):
        assert set(answers(Rights(license=unread)).values()) == {"unknown"}


@pytest.mark.parametrize("version", ["2.0", "2.5", "3.0"])
def test_older_versions_answer_what_their_texts_answer(version: str) -> None:
    of = {
        kind: answers(Rights(license=f"CC-{kind}-{version}"))
        for kind in ("BY", "BY-SA", "BY-NC", "BY-NC-SA", "BY-ND", "BY-NC-ND")
    }
    assert set(of["BY"].values()) == {"yes"}
    assert {kind for kind, said in of.items() if said["commercial"] == "no"} == {"BY-NC", "BY-NC-SA", "BY-NC-ND"}
    assert {kind for kind, said in of.items() if said["derivatives"] == "no"} == {"BY-ND", "BY-NC-ND"}
    assert {kind for kind, said in of.items() if said["train"] == "unknown"} == {"BY-ND", "BY-NC-ND"}
    assert {kind for kind, said in of.items() if said["publish_weights"] == "yes"} == {"BY"}
    assert {said["redistribute"] for said in of.values()} == {"yes"}


def test_every_answer_names_where_it_stands() -> None:
    for name, known in LICENCES.items():
        terms = Rights(license=name, stated="https://example.org/data").manifest_terms()
        for term in TERM_NAMES:
            found = getattr(terms, term)
            assert found.answer in TERM_ANSWERS
            assert ("example.org" in found.evidence and known.evidence in found.evidence) == (found.answer != "unknown")


def test_an_owners_answer_comes_before_the_licence() -> None:
    stated = {
        "train": Answer(answer="no", evidence="terms of use, 2026-03-01"),
        "commercial": Answer(answer=True, evidence="mail"),
    }
    rights = Rights(license="CC-BY-NC-4.0", terms=stated)
    assert answers(rights)["train"] == "no"
    assert answers(rights)["commercial"] == "yes"
    assert rights.manifest_terms().train.evidence == "terms of use, 2026-03-01"


@pytest.mark.parametrize(
    ("written", "meant"),
    [("cc-by-4.0", "CC-BY-4.0"), ("CC BY 4.0", "CC-BY-4.0"), ("CC0", "CC0-1.0"), ("BSD", "BSD-3-Clause")],
)
def test_other_ways_to_write_a_licence_are_refused_with_the_right_one(written: str, meant: str) -> None:
    with pytest.raises(ValueError, match=meant):
        Rights(license=written)


def test_what_is_no_licence_or_term_or_evidence_is_refused() -> None:
    with pytest.raises(ValueError, match="SPDX"):
        Rights(license="free to use!")
    with pytest.raises(ValueError, match="publish_weights"):
        Rights(license="MIT", terms={"weights": Answer(answer="yes", evidence="page")})
    with pytest.raises(ValueError, match="evidence"):
        Answer(answer="yes", evidence=" ")
