"""Body parts and views are words of the standard or nothing at all."""

from __future__ import annotations

import json
from pathlib import Path

import highdicom
import pytest

from shards.attributes import fitting
from shards.dicom_terms import BODY_PARTS, VIEWS, body_part, view

UNWORDED = {"ARTERY", "VEIN", "JOINT", "LUMEN", "INTRACRANIAL", "PARASTERNAL", "SUBCOSTAL"}  # no part by themselves


@pytest.mark.oracle
def test_the_terms_are_those_of_table_l_1() -> None:
    """highdicom reads the table out of the standard's own files."""
    path = Path(highdicom.__file__).parent / "_standard" / "anatomic_regions.json"
    table = {term: row[2] for term, row in json.loads(path.read_text()).items()}
    assert len(table) > 300
    left_out = {term for term in table if body_part(term) is None}
    assert left_out == UNWORDED | {term for term in table if term.startswith("ENDO") and term != "ENDOMETRIUM"}
    for term, meaning in table.items():
        assert body_part(meaning) == body_part(term), term
    known = {"".join(filter(str.isalnum, words.casefold())) for pair in table.items() for words in pair}
    ours = set(BODY_PARTS) - known
    assert {"arm", "leg"} <= ours
    assert len(ours) < 25, "our own plain words for some of them"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("CSPINE", "cervical spine"),
        ("C-SPINE", "cervical spine"),
        ("Cervical Spine", "cervical spine"),
        ("HEAD", "head"),
        ("THORAX", "chest"),
        ("ABDOMEN/PELVIS", "abdomen and pelvis"),
        ("WHOLEBODY", "whole body"),
        ("ANTTIBIALA", "anterior tibial artery"),
        ("ZMITH", None),
        ("HEAD ZMITH", None),
        ("", None),
        (None, None),
        ("...", None),
    ],
)
def test_body_parts(value: str | None, words: str | None) -> None:
    assert body_part(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("PA", "PA"),
        ("Antero-posterior", "AP"),
        ("POSTERO_ANTERIOR", "PA"),
        ("LL", "left lateral"),
        ("MLO", "MLO"),
        ("medio-lateral oblique", "MLO"),
        ("LATERAL VIEW", "lateral"),
        ("ZMITH", None),
        ("PA ZMITH", None),
        (None, None),
    ],
)
def test_views(value: str | None, words: str | None) -> None:
    assert view(value) == words


def test_every_word_may_stand_in_a_manifest() -> None:
    assert {words for words in BODY_PARTS.values() if fitting("body_part", words) != words} == set()
    assert {words for words in VIEWS.values() if fitting("view", words) != words} == set()
