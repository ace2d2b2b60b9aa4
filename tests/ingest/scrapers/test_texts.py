"""Texts from the web: limits, languages, and rows that the options leave out before anything is fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ingest.rights import Rights
from ingest.scrapers.gallery import Gallery
from ingest.scrapers.settings import HostRule, Web
from ingest.scrapers.texts import fitted


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("CT", None),
        ("  A mass\n in the   lung. ", "A mass in the lung."),
        ("One mass here. Two masses there, and more.", "One mass here."),
        ("A single sentence that is far longer than what is allowed here.", None),
    ],
)
def test_a_text_fits_or_is_cut_after_a_sentence(text: str, fits: str | None) -> None:
    assert fitted(text, 8, 30) == fits


def test_languages_and_cells_that_are_left_out_are_not_even_fetched(website: Any, web: Any, tmp_path: Path) -> None:
    blocks = [
        ("a", "skin", "The left hand with a red and scaly plaque."),
        ("b", "skin", "Die linke Hand mit einer roten und schuppenden Plaque."),
        ("c", "hair", "The scalp with a red and scaly plaque."),
        ("d", "skin", "Hand"),
    ]
    figures = "".join(f"<figure><img src='/{n}.jpg'><b>{k}</b><p>{t}</p></figure>" for n, k, t in blocks)
    website.put("/", figures)
    for number, (name, _, _) in enumerate(blocks):
        website.put(f"/{name}.jpg", web.jpeg(number), "image/jpeg")
    stage = Gallery(
        source="atlas",
        start=(f"{website.url}/",),
        block="figure",
        fields={"text": "p", "kind": "b"},
        caption="text",
        only={"kind": ("skin",)},
        languages=("en",),
        modality="XC",
        specialty="dermatology",
        rights=Rights(license="CC-BY-4.0"),
        web=Web(contact="a@b.org", loopback=True, every_host=HostRule(min_delay_s=0, start_delay_s=0)),
    )
    found = web.crawl_stage(stage, tmp_path)
    assert [row["attributes"] for row in found.rows] == ['{"language":"en"}']
    assert [(item[-5:], reason) for item, reason in found.rejects] == [
        ("b.jpg", "excluded_by_name"),
        ("c.jpg", "excluded_by_name"),
        ("d.jpg", "excluded_by_name"),
    ]
    assert [path for path in website.asked() if path.endswith(".jpg")] == ["/a.jpg"]
