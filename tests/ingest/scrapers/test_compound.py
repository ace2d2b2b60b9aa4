"""Compound figures: how many are cut, kept whole, and cut wrongly, which none may be."""

from __future__ import annotations

import runpy
from collections import Counter
from pathlib import Path
from string import ascii_lowercase
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from ingest.scrapers.compound import Box, has_panels, pair_panels
from ingest.scrapers.panel_letters import letter_in
from ingest.scrapers.panels import Panels, Part

MADE = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("compound_figures.py"))))
PHOTOS = ("scan", "photo", "noise")
EACH = 24


def lettered(*groups: str) -> Panels:
    return Panels(shared="", parts=tuple(Part(letters=tuple(group), text="Text.") for group in groups))


def overlap(found: Box, true: tuple[int, int, int, int]) -> float:
    """Intersection over union."""
    left, top, right, bottom = true
    across = min(found.right, right) - max(found.left, left)
    down = min(found.bottom, bottom) - max(found.top, top)
    both = max(0, across) * max(0, down)
    return both / (found.width * found.height + (right - left) * (bottom - top) - both)


def outcome(figure: Any) -> str:
    """cut, whole or wrong: a panel under another letter, or another rectangle."""
    paired = pair_panels(figure.pixels, lettered(*ascii_lowercase[: len(figure.panels)]))
    if paired is None:
        return "whole"
    true = zip(paired, figure.panels, strict=True)
    return "cut" if all(overlap(box, panel) > 0.9 for (_, box), panel in true) else "wrong"


def figures(draw: np.random.Generator, layout: str, each: int = EACH, **options: Any) -> Counter[str]:
    """The outcomes of some figures with 2 to 9 panels."""
    told: Counter[str] = Counter()
    for number in range(each):
        count = max(2 + number % 8, 3 if layout.startswith("large") else 2)
        size = (int(draw.integers(560, 760)), int(draw.integers(480, 640)))
        drawn = {name: value[number % len(value)] for name, value in options.items()}
        told[outcome(MADE.figure(layout, count, draw, size=size, **drawn))] += 1
    return told


@pytest.mark.long
def test_a_few_of_each_layout() -> None:
    draw = np.random.default_rng(1)
    told: Counter[str] = Counter()
    for layout in MADE.LAYOUTS:
        told += figures(
            draw, layout, each=5, gap_px=(8, 4), letters=("inside", "none"), kinds=(PHOTOS,), unequal=(False, True)
        )
    assert told["wrong"] == 0
    assert told["cut"] >= 15


@pytest.mark.long
@pytest.mark.parametrize("layout", MADE.LAYOUTS)
def test_nothing_is_cut_wrongly(layout: str, capsys: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(MADE.LAYOUTS.index(layout))
    gaps = {"gap_px": (4, 8, 16), "unequal": (False, True), "margin_px": (0, 0, 20), "quality": (75, 90)}
    told = {
        "letters inside": figures(draw, layout, letters=("inside", "boxed"), kinds=(PHOTOS,), **gaps),
        "letters above": figures(draw, layout, letters=("above",), kinds=(PHOTOS,), **gaps),
        "no letters": figures(draw, layout, letters=("none",), kinds=(PHOTOS,), **gaps),
        "no gaps": figures(draw, layout, gap_px=(0,), unequal=(False, True), kinds=(PHOTOS,)),
        "some gaps lost": figures(draw, layout, lost_gaps=(0.3,), kinds=(PHOTOS,), **gaps),
        "on black": figures(draw, layout, white=(False,), kinds=(MADE.KINDS,), **gaps),
        "charts, tissue": figures(draw, layout, kinds=(MADE.KINDS, ("chart", "tissue")), **gaps),
    }
    with capsys.disabled():
        for name, counts in told.items():
            print(f"\n{layout}, {name}: {counts['cut']} cut, {counts['whole']} whole, {counts['wrong']} wrong", end="")
    assert sum(counts["wrong"] for counts in told.values()) == 0
    assert told["no gaps"]["cut"] == 0
    certain = layout in ("row", "column", "large left", "large top")
    assert told["letters inside"]["cut"] >= EACH * (0.7 if certain else 0.3)
    assert certain == (told["no letters"]["cut"] > EACH / 2)


def test_parts_of_several_panels_get_the_rectangle_around_them() -> None:
    draw = np.random.default_rng(3)
    figure = MADE.figure("row", 4, draw, kinds=PHOTOS)
    paired = pair_panels(figure.pixels, lettered("a", "bc", "d"))
    assert paired is not None
    (_, first), (_, middle), (_, last) = paired
    assert overlap(first, figure.panels[0]) > 0.9
    assert overlap(last, figure.panels[3]) > 0.9
    left, top, _, _ = figure.panels[1]
    assert overlap(middle, (left, top, *figure.panels[2][2:])) > 0.9
    grid = MADE.figure("grid", 4, draw, kinds=PHOTOS)
    assert pair_panels(grid.pixels, lettered("a", "bc", "d")) is None  # around b and c lie a and d
    assert pair_panels(grid.pixels, lettered("ab", "cd")) is not None


def test_letters_that_say_otherwise_keep_a_figure_whole() -> None:
    figure = MADE.figure("row", 3, np.random.default_rng(4), letters="none", kinds=PHOTOS)
    assert pair_panels(figure.pixels, lettered("a", "b", "c")) is not None
    picture = Image.fromarray(figure.pixels)
    left, top, _, _ = figure.panels[0]
    ImageDraw.Draw(picture).text(
        (left + 9, top + 7), "C", fill="white", font=ImageFont.load_default(28), stroke_width=1
    )
    assert pair_panels(np.asarray(picture), lettered("a", "b", "c")) is None


def test_grey_and_small_and_empty_pictures() -> None:
    figure = MADE.figure("row", 3, np.random.default_rng(5), letters="none", kinds=("scan",))
    assert pair_panels(figure.pixels[..., 0], lettered("a", "b", "c")) is not None
    for shape in ((1, 1), (3, 2, 3), (5, 400), (200, 200, 3)):
        for value in (0, 128, 255):
            empty = np.full(shape, value, np.uint8)
            assert pair_panels(empty, lettered("a", "b")) is None
            assert not has_panels(empty)


def test_what_is_a_compound_figure() -> None:
    draw = np.random.default_rng(6)
    assert has_panels(MADE.figure("grid", 4, draw, kinds=PHOTOS).pixels)
    assert not has_panels(MADE.figure("row", 2, draw, gap_px=0, kinds=PHOTOS).pixels)
    for kind in MADE.KINDS:
        assert not has_panels(MADE.content(kind, 500, 400, draw)), kind


@pytest.mark.parametrize("letter", ["A", "B", "C", "D", "E", "F", "a", "b", "c", "d", "e", "f"])
def test_letters_are_read_or_not_known(letter: str) -> None:
    draw = np.random.default_rng(7)
    read = set()
    for size in (18, 24, 32):
        picture = Image.fromarray(MADE.content("scan", 300, 260, draw))
        ImageDraw.Draw(picture).text((12, 10), letter, fill="white", font=ImageFont.load_default(size), stroke_width=1)
        read.add(letter_in(np.asarray(picture)))
    assert read <= {letter.lower(), None}
    assert letter.lower() in read


@pytest.mark.parametrize("marker", ["R", "L", "8", "0", "3"])
def test_what_is_no_panels_letter(marker: str) -> None:
    for size in (18, 24, 32):
        picture = Image.fromarray(MADE.content("scan", 300, 260, np.random.default_rng(8)))
        ImageDraw.Draw(picture).text((12, 10), marker, fill="white", font=ImageFont.load_default(size), stroke_width=1)
        assert letter_in(np.asarray(picture)) in (None, marker.lower())
        assert letter_in(np.asarray(picture)) not in ("a", "b", "c", "d", "e", "f")
