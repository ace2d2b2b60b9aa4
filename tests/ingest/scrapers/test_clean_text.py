"""Captions of figures: what is taken out, and that nothing else is."""

from __future__ import annotations

import pytest

from ingest.scrapers.clean_text import clean_caption
from ingest.scrapers.language import language_of


@pytest.mark.parametrize(
    ("text", "label", "clean"),
    [
        ("Figure 3. Axial CT shows a mass.", "Figure 3", "Axial CT shows a mass."),
        ("Fig. 2A: chest X-ray &amp; CT", "Fig. 2A", "Chest X-ray & CT"),
        ("FIG 12 \u2014 Endoscopy", "FIG 12", "Endoscopy"),
        ("Supplementary Figure S4 Colon", "Supplementary Figure S4", "Colon"),
        ("Figure 1 X-ray of the chest", "Figure 1", "X-ray of the chest"),
        ("Fig. 2 T2-weighted image", "Fig. 2", "T2-weighted image"),
        ("Figure 2 - S1 nerve root", "Figure 2", "S1 nerve root"),
        ("Figure 2 A 45-year-old man with a mass", "Figure 2", "A 45-year-old man with a mass"),
        ("Image X-ray of the chest", "", "Image X-ray of the chest"),
        ("Image 2-year-old boy with rickets", "", "Image 2-year-old boy with rickets"),
        ("Figures 3 and 4. Axial CT of the liver.", "Figures 3 and 4", "Axial CT of the liver."),
        ("Figure 3A\u2013C. Axial CT", "Figure 3A\u2013C", "Axial CT"),
        ("Fig. 1a, b Axial CT", "Fig. 1a, b", "Axial CT"),
        ("Figure IV. Axial CT", "Figure IV", "Axial CT"),
        ("Image 1 of 5: Axial CT", "Image 1 of 5", "Axial CT"),
        ("Fig. 5 (continued) Axial CT", "Fig. 5 (continued)", "Axial CT"),
        ("Fig. 5. (Continued). Axial CT", "Fig. 5. (Continued)", "Axial CT"),
        ("Figure 2\u2014figure supplement 1. Colon", "Figure 2\u2014figure supplement 1", "Colon"),
        ("Figure 3 shows a mass", "Figure 3", "Shows a mass"),
        ("Video 1", "Video 1", ""),
        ("Figures of merit are shown", "", "Figures of merit are shown"),
        ("Image quality is poor.", "", "Image quality is poor."),
        ("Plate and screws of the femur.", "", "Plate and screws of the femur."),
        ("A mass [12, 14-16] in the lung [3].", "", "A mass in the lung."),
        ("Stain (see Table 2) of a node (Fig. 2b).", "", "Stain of a node."),
        ("Lesion of 3 cm (arrow) in segment [IVa].", "", "Lesion of 3 cm (arrow) in segment [IVa]."),
        ("CT (courtesy of Dr. J. Doe, Boston) of the lung.", "", "CT of the lung."),
        ("Chest film. Courtesy of Dr. Smith, Boston. Left is left.", "", "Chest film. Left is left."),
        ("Healthy retina\u00b3 of 2 cm\u00b2.\u2074", "", "Healthy retina of 2 cm\u00b2."),
        ("10\u2075 cells/mm\u00b3, Ca\u00b2\u207a", "", "10\u2075 cells/mm\u00b3, Ca\u00b2\u207a"),
        ("Polyp.Photo credit: Jane Doe", "", "Polyp."),
        ("A raised plaque. Photo: J. Doe, City Hospital.", "", "A raised plaque."),
        ("A raised plaque (image: Dr Doe).", "", "A raised plaque."),
        ("Photo: a raised plaque. Image: Axial CT.", "", "Photo: a raised plaque. Image: Axial CT."),
        ("Polyp \u00a9 2020 Springer Nature.", "", "Polyp"),
        ("Reprinted from Smith et al. with permission.", "", ""),
        ("  two\n lines\tand   blanks ", "", "Two lines and blanks"),
        ("", "", ""),
    ],
)
def test_caption(text: str, label: str, clean: str) -> None:
    found = clean_caption(text)
    assert (found.label, found.text) == (label, clean)
    if not found.removed and not label:
        assert clean.lower() == " ".join(text.split()).lower()


def test_that_someone_else_owns_a_picture_is_said() -> None:
    assert clean_caption("Mass. Reproduced from Smith 2001.").speaks_of_owner
    assert clean_caption("Mass (\u00a9 Elsevier).").speaks_of_owner
    for text in (
        "Courtesy Dr. Smith.",
        "(Courtesy: Dr. Smith)",
        "Used by permission of Elsevier.",
        "With the kind permission of Springer.",
        "Republished from Smith 2001.",
        "Redrawn after Smith 2001.",
        "Reproduced under CC BY from Smith 2001.",
        "Images kindly provided by Dr. Smith.",
        "Photograph provided by Dr. Smith.",
    ):
        assert clean_caption(f"Axial CT of a mass. {text}").speaks_of_owner, text
    for text in ("Mass [3] (see Table 1).", "Image taken after contrast.", "Photograph taken with polarised light."):
        assert not clean_caption(text).speaks_of_owner, text


def test_language() -> None:
    assert language_of("Axial CT of the chest shows a mass in the left upper lobe.") == "en"
    assert language_of("Der Befund zeigt eine Raumforderung in der linken Lunge.") == "de"
    assert language_of("Radiografía de tórax en la que se observa una masa en el pulmón izquierdo.") == "es"
    assert language_of("CT") is None
