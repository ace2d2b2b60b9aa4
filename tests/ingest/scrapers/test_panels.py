"""Captions cut at the letters of panels: one way to read them, or none."""

from __future__ import annotations

import time

import pytest

from ingest.scrapers.jats_text import text_of
from ingest.scrapers.panels import split_caption
from ingest.scrapers.safe_xml import parse_xml


def parts(text: str) -> tuple[str, dict[str, str]] | None:
    """(shared, letters -> text)."""
    found = split_caption(text)
    return None if found is None else (found.shared, {"".join(part.letters): part.text for part in found.parts})


@pytest.mark.parametrize(
    ("text", "shared", "said"),
    [
        ("(A) Axial CT. (B) Coronal CT.", "", {"a": "Axial CT.", "b": "Coronal CT."}),
        ("Chest CT. (a) Axial view; (b) coronal view", "Chest CT.", {"a": "Axial view.", "b": "Coronal view."}),
        ("Chest CT. (A) axial, and (B) coronal view.", "Chest CT.", {"a": "Axial.", "b": "Coronal view."}),
        ("Findings: A, Axial CT; B, coronal CT.", "Findings:", {"a": "Axial CT.", "b": "Coronal CT."}),
        ("A: Axial CT. B: MRI. C: PET.", "", {"a": "Axial CT.", "b": "MRI.", "c": "PET."}),
        ("A. Axial CT. B. MRI.", "", {"a": "Axial CT.", "b": "MRI."}),
        ("a) axial CT b) coronal CT", "", {"a": "Axial CT.", "b": "Coronal CT."}),
        ("Panel A: CT. Panel B: MRI.", "", {"a": "CT.", "b": "MRI."}),
        ("(A\u2013C) CT at three levels. (D) MRI.", "", {"abc": "CT at three levels.", "d": "MRI."}),
        ("(A, B) CT. (C and D) MRI. (E-G) PET.", "", {"ab": "CT.", "cd": "MRI.", "efg": "PET."}),
        ("Axial CT (A). Coronal CT (B).", "", {"a": "Axial CT.", "b": "Coronal CT."}),
        ("Axial CT (A); coronal CT (B)", "", {"a": "Axial CT.", "b": "Coronal CT."}),
        # of the last panel only the first sentence is sure to be its own
        ("(A) CT. It shows a mass. (B) MRI. The patient died.", "", {"a": "CT. It shows a mass.", "b": "MRI."}),
        # a sentence that names another panel means nothing beside one picture
        ("(A) CT. See the arrow in B. (B) MRI.", "", {"a": "CT.", "b": "MRI."}),
        ("Arrows in A and B. (A) CT. (B) MRI.", "", {"a": "CT.", "b": "MRI."}),
        ("(A) CT of a patient. (B) MRI in a woman.", "", {"a": "CT of a patient.", "b": "MRI in a woman."}),
    ],
)
def test_what_is_cut(text: str, shared: str, said: dict[str, str]) -> None:
    assert parts(text) == (shared, said)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Axial CT of the chest.",
        "Axial (A) and coronal (B) CT.",
        "CT of the chest (A), and MRI (B).",
        "Imaging with CT (A) MRI (B).",
        "(A) Axial CT.",
        "(A) CT. (C) MRI.",  # B is missing
        "(B) CT. (A) MRI.",
        "(B) CT. (C) MRI.",
        "(A) CT. (B) MRI. Arrows in (A) and (B).",  # each letter twice
        "(A) CT. (B) MRI. (A) again.",
        "(A) CT. (B)",
        "(A) (B) CT.",
        "(A, B) CT and MRI.",  # one part alone
        "(C-A) CT. (D) MRI.",
        "(A) CT. (B) Magnified view of the box in A.",
        "(A) Same patient as in (B). (B) CT.",
        "(A) 3. (B) MRI.",
        "Chest CT (A) axial (B) coronal",
        "Hepatitis A, B, and C.",
        "A man with a mass. B cell lymphoma was found.",
        "1. CT. 2. MRI.",
    ],
)
def test_what_is_kept_whole(text: str) -> None:
    assert split_caption(text) is None


def test_how_many_panels() -> None:
    found = split_caption("(A-C) CT. (D) MRI.")
    assert found is not None
    assert found.count == 4


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("<bold>a</bold> Axial CT, <bold>b</bold> coronal CT", "(a) Axial CT, (b) coronal CT"),
        ("<bold>A.</bold> Axial CT. <bold>B.</bold> Coronal.", "(A) Axial CT. (B) Coronal."),
        ("<bold>(A)</bold> CT (<bold>B</bold>) MRI", "(A) CT (B) MRI"),
        ("<bold>a\u2013c</bold> CT", "(a\u2013c) CT"),
        ("<bold>Axial</bold> CT of <bold>d</bold>", "Axial CT of (d)"),
        ("<bold>Q</bold> CT", "Q CT"),
    ],
)
def test_letters_in_bold_are_marked(inner: str, expected: str) -> None:
    assert text_of(parse_xml(f"<caption><p>{inner}</p></caption>".encode())) == expected


def test_a_long_row_of_letters_takes_no_longer_than_it_is_long() -> None:
    begun = time.process_time()
    assert split_caption("A and B, " * 5000) is None
    assert time.process_time() - begun < 5
