"""Tiles of slides: the grid, what is tissue, labels by slide, groups, and the way into a shard."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from ingest.columns import LabelColumn
from ingest.converters.slide_rows import tissue_mask
from ingest.converters.slide_tiles import SlideTiles
from ingest.rights import Rights
from ingest.table_file import JoinTable
from shards.manifest import Caption, frame, write_part
from shards.media import MediaReader
from shards.pack import PackShards
from shards.reader import read_split
from shards.uri import local_path

Picture = npt.NDArray[np.uint8]
BUILD = Path(__file__).parents[1] / "shards" / "build_stage.py"


def whole_slide() -> Picture:
    """Real tissue of 1024 x 1024 at (512, 256) on a slide of 2048 x 1536, with a black strip that was not scanned."""
    tissue = cv2.imread(str(local_path("package://skimage/data/ihc.png")))[:, :, ::-1]
    whole = np.full((1536, 2048, 3), 243, np.uint8)
    whole[256:1280, 512:1536] = cv2.resize(tissue, (1024, 1024), interpolation=cv2.INTER_CUBIC)
    whole[:, 1792:] = 0
    return whole


def half(picture: Picture, times: int) -> Picture:
    size = picture.shape[1] // 2**times, picture.shape[0] // 2**times
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def write_slide(path: Path, picture: Picture, *, per_cm: int = 20000) -> None:
    """0.5 microns a pixel where 20,000 lie in a centimetre."""
    tiles: dict[str, Any] = {"tile": (256, 256), "photometric": "rgb", "compression": "zlib", "metadata": None}
    with tifffile.TiffWriter(path) as tiff:
        scale = {"resolution": (per_cm, per_cm), "resolutionunit": "CENTIMETER"} if per_cm else {}
        tiff.write(picture, subifds=2, **scale, **tiles)
        for times in (1, 2):
            tiff.write(half(picture, times), subfiletype=1, **tiles)


@pytest.fixture
def slides(tmp_path: Path) -> Path:
    folder = tmp_path / "slides"
    folder.mkdir()
    write_slide(folder / "S1.tif", whole_slide())
    write_slide(folder / "S2.tif", whole_slide()[::-1])
    (folder / "labels.csv").write_text("slide,patient,tumour\nS1,P1,1\nS2,P1,0\n")
    return folder


def stage(path: Path, **options: Any) -> SlideTiles:
    usual: dict[str, Any] = {
        "level": 0,
        "tile_px": 256,
        "join": (JoinTable(table="labels.csv", on={"stem": "slide"}),),
        "labels": (LabelColumn(column="tumour", states={"1": "present", "0": "absent"}),),
        "attributes": {"stain": "DAB"},
        "attribute_columns": {"tissue_share": "tissue_share", "microns_per_px": "microns_per_px"},
        "probe": True,
    }
    return SlideTiles(
        source="here",
        rights=Rights(license="CC0-1.0"),
        path=str(path),
        modality="SM",
        specialty="pathology",
        **{**usual, **options},
    )


def test_places_with_tissue_are_samples_and_the_others_are_rejects(slides: Path, convert: Any) -> None:
    found = convert(stage(slides))
    assert len(found.units) == 2, "a slide is a unit"
    assert found.offered == 2 * 8 * 6
    assert set(found.counts) == {"blank"}
    first = [one for one in found.samples if one.media.uri.endswith("S1.tif")]
    places = {(one.media.view.left, one.media.view.top) for one in first}
    assert places <= {(left, top) for left in range(512, 1536, 256) for top in range(256, 1280, 256)}
    assert len(places) >= 12
    mask = tissue_mask(half(whole_slide(), 2))
    shares = {at: mask[at[1] // 4 : at[1] // 4 + 64, at[0] // 4 : at[0] // 4 + 64].mean() for at in places}
    whole, reader = whole_slide(), MediaReader()
    for one in first:
        view = one.media.view
        assert (view.level, view.width, view.height) == (0, 256, 256)
        assert view.left is not None
        assert view.top is not None
        crop = whole[view.top : view.top + 256, view.left : view.left + 256]
        assert (reader.read(one.media).pixels[0] == crop).all()
        said = json.loads(one.attributes)
        assert (said["stain"], said["microns_per_px"]) == ("DAB", 0.5)
        assert said["tissue_share"] == pytest.approx(shares[view.left, view.top], abs=6e-4)
        assert (one.media.kind, one.media.width_px, one.media.frames) == ("slide", 256, 1)
        assert [(label.name, label.state, label.scope) for label in one.labels] == [("tumour", "present", "series")]
    blank = next(one for one in found.rejects if one.item == "S1.tif 0,0")
    assert blank.detail == "tissue in 0.000 of the tile"


def test_tiles_of_a_slide_are_one_group_or_those_of_a_patient(slides: Path, convert: Any) -> None:
    groups = {one.group for one in convert(stage(slides)).samples}
    assert len(groups) == 2
    assert all(group.startswith("slide:") for group in groups)
    groups = {one.group for one in convert(stage(slides, patient="patient")).samples}
    assert len(groups) == 1
    assert next(iter(groups)).startswith("patient:")


@pytest.mark.parametrize(
    ("microns", "level", "side", "read_px"),
    [(0.5, 0, 128, 128), (1.0, 1, 256, 128), (0.75, 0, 192, 192), (4, 2, 1024, 256)],
)
def test_tiles_have_the_scale_that_is_asked_for(
    slides: Path, convert: Any, microns: float, level: int, side: int, read_px: int
) -> None:
    found = convert(stage(slides, level=None, microns_per_px=microns, tile_px=128, least_tissue=0.15))
    assert found.samples
    for one in found.samples:
        view = one.media.view
        assert (view.level, view.width, one.media.width_px) == (level, side, read_px)
        assert view.left is not None
        assert view.left % side == 0


def test_a_scale_that_a_slide_cannot_give_is_a_reject(slides: Path, convert: Any) -> None:
    write_slide(slides / "S3.tif", whole_slide(), per_cm=0)
    write_slide(slides / "S4.tif", whole_slide(), per_cm=10000)
    (slides / "S5.tif").write_bytes((slides / "S1.tif").read_bytes()[:3000])
    (slides / "S6.tif").write_bytes(b"no slide")
    found = convert(stage(slides, level=None, microns_per_px=0.5, join=(), labels=()))
    assert {name: reason for name, reason in found.reasons.items() if "," not in name} == {
        "S3.tif": "no_metadata",
        "S4.tif": "unsupported_pixels",
        "S5.tif": "truncated",
        "S6.tif": "not_recognised",
    }
    found = convert(stage(slides, level=5, join=(), labels=(), include=("S1.tif",)))
    assert found.reasons == {"S1.tif": "unsupported_pixels"}


def test_paper_glass_and_what_was_not_scanned_are_no_tissue() -> None:
    glass = np.full((64, 64, 3), (244, 243, 245), np.uint8)
    glass += np.random.default_rng(0).integers(0, 5, glass.shape, dtype=np.uint8)
    assert not tissue_mask(glass).any()
    assert not tissue_mask(np.zeros((64, 64, 3), np.uint8)).any()
    half_tissue = glass.copy()
    half_tissue[:, :32] = (180, 120, 170)
    half_tissue[:16] = 0
    mask = tissue_mask(half_tissue)
    assert mask[16:, :32].all()
    assert mask.sum() == 48 * 32


def test_a_tile_goes_into_a_shard(slides: Path, convert: Any, tmp_path: Path) -> None:
    found = convert(stage(slides, include=("S1.tif",), least_tissue=0.6))
    text = (Caption(text="tissue", by="template@1"),)
    part = tmp_path / "part.parquet"
    write_part(frame([replace(one, split="train", captions=text) for one in found.samples]), part)
    build = runpy.run_path(str(BUILD))["build"]
    build(PackShards(preset="square-256", media="png"), tmp_path / "out", [part])
    packed = {one.key: one.members for one in read_split(tmp_path / "out" / "pack", "train")}
    assert len(packed) == len(found.samples) > 4
    for one in found.samples:
        picture = cv2.imdecode(np.frombuffer(packed[one.key]["png"], np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
        view = one.media.view
        assert view.left is not None
        assert view.top is not None
        assert (picture == whole_slide()[view.top : view.top + 256, view.left : view.left + 256]).all()
    steps = json.loads(packed[found.samples[0].key]["json"])["steps"]
    assert steps[0].startswith("tile at ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": None}, "set either `microns_per_px` or `level`"),
        ({"microns_per_px": 0.5}, "set either `microns_per_px` or `level`"),
        ({"level": None, "microns_per_px": 500.0}, "0.5 is 20x"),
        ({"tile_px": 4}, "16 to 8192"),
        ({"least_tissue": 50.0}, "a share, 0 to 1"),
    ],
)
def test_wrong_options_say_what_to_write(slides: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stage(slides, **options)
