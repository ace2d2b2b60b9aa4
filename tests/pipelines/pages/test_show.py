"""`medloom show`: the right samples, the same from a manifest and from shards, and nobody's name."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from pipelines.show import parse_where, select, spread
from pipelines.show_page import told, write_page
from pipelines.spec import PipelineSpec
from shards.manifest import read_part, write_part

COMMAND = [sys.executable, "-c", "from pipelines.cli import main; main()", "show"]


def keys(path: Path, number: int = 1000, where: tuple[str, ...] = ()) -> list[str]:
    return [s.sample.key for s in select(path, number, parse_where(where)).specimens]


def test_a_few_come_from_everywhere_and_are_always_the_same(atlas: PipelineSpec) -> None:
    few = select(atlas.root / "curate", 12)
    assert (len(few.specimens), few.samples, few.matching) == (12, 42, 42)
    assert {s.sample.source for s in few.specimens} == {"atlas", "brain"}
    assert keys(atlas.root / "curate", 12) == keys(atlas.root / "curate" / "parts", 12)
    assert keys(atlas.root / "curate", 12) != sorted(keys(atlas.root / "curate"))[:12]
    assert spread(["a", "b", "c"]) == spread(["c", "b", "a"])


def test_a_shard_set_shows_what_its_manifest_says(atlas: PipelineSpec) -> None:
    rows = {s.sample.key: s.sample for s in select(atlas.root / "curate", 1000).specimens}
    packed = {s.sample.key: s for name in ("pack", "clips") for s in select(atlas.root / name, 1000).specimens}
    assert packed.keys() == rows.keys()
    for key, specimen in packed.items():
        sample, row = specimen.sample, rows[key]
        assert [(c.text, c.by) for c in sample.captions] == [(c.text, c.by) for c in row.captions]
        for name in ("labels", "terms", "license", "group", "patient", "split", "modality", "url", "attributes"):
            assert getattr(sample, name) == getattr(row, name), name
        assert sample.media.view == row.media.view
        assert specimen.steps


def test_one_tar_alone(atlas: PipelineSpec) -> None:
    (tar,) = (atlas.root / "clips").rglob("*.tar")
    assert keys(tar) == keys(atlas.root / "clips")
    assert select(tar, 1).specimens[0].is_clip


@pytest.mark.parametrize(
    ("where", "matching"),
    [
        (("modality=MR",), 36),
        (("attributes.plane=axial",), 12),
        (("media.kind=dicom",), 3),
        (("media.locator.slice=84",), 3),
        (("labels.state=absent",), 1),
        (("captions.by=source",), 1),
        (("modality=MR", "split=test"), 3),
        (("terms.train.answer=yes", "source=atlas"), 3),
        (("modality=mr",), 0),
    ],
)
def test_where(atlas: PipelineSpec, where: tuple[str, ...], matching: int) -> None:
    assert len(keys(atlas.root / "curate", where=where)) == matching


@pytest.mark.parametrize("folder", ["curate", "pack"])
def test_a_column_that_is_none_is_named(atlas: PipelineSpec, folder: str) -> None:
    with pytest.raises(ValueError, match="no column `modalty`; choose one of key, media, modality"):
        select(atlas.root / folder, 1, [("modalty", "MR")])


def test_where_must_be_an_equation() -> None:
    with pytest.raises(ValueError, match="write it as `column=value`"):
        parse_where(["modality"])


def test_what_holds_no_samples_is_said(atlas: PipelineSpec, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no samples: give a stage's folder, a Parquet part"):
        select(tmp_path, 1)
    with pytest.raises(FileNotFoundError, match=r"there is no file and no folder .*nowhere: give"):
        select(tmp_path / "nowhere", 1)
    table = tmp_path / "table.csv"
    table.write_text("file,patient\na.png,Jane\n")
    with pytest.raises(ValueError, match=r"table\.csv is not a part of a manifest"):
        select(table, 1)
    with pytest.raises(ValueError, match="not a part of a manifest"):
        select(next((atlas.root / "pack" / "parts").glob("*.parquet")), 1)


@pytest.mark.parametrize("folder", ["curate", "pack"])
def test_where_nothing_fits_the_values_are_named(atlas: PipelineSpec, folder: str) -> None:
    found = select(atlas.root / folder, 5, parse_where(["split=nowhere", "attributes.stain=blue"]))
    assert (found.matching, found.specimens) == (0, ())
    assert found.held == {"split": ["test", "train"], "attributes.stain": []}
    lines = list(told(found, 200))
    assert lines[0] == f"none of {found.samples} samples fits"
    assert lines[1:] == ["  split is one of test, train", "  attributes.stain is never known"]


@pytest.mark.parametrize("width", [60, 80, 139, 140, 200])
def test_a_key_is_never_cut(atlas: PipelineSpec, width: int) -> None:
    console = Console(width=width, record=True, file=io.StringIO())
    found = select(atlas.root / "pack", 5)
    for piece in told(found, width):
        console.print(piece, soft_wrap=isinstance(piece, str))
    text = console.export_text()
    assert [s.sample.key for s in found.specimens if s.sample.key not in text] == []
    assert f"5 of {found.samples} samples" in text


def test_a_changed_member_is_named(atlas: PipelineSpec, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    shutil.copytree(atlas.root / "clips", folder)
    (tar,) = folder.rglob("*.tar")
    data = bytearray(tar.read_bytes())
    data[600] ^= 1
    tar.write_bytes(data)
    with pytest.raises(ValueError, match=r"atlas-\w+\.mp4 in train/.*not the recorded ones"):
        select(folder, 1)


def test_command_names_nobody_and_no_place(atlas: PipelineSpec, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = subprocess.run(
        [*COMMAND, "pictures", "--json", "--html", str(page)],
        cwd=atlas.root,
        capture_output=True,
        text=True,
        check=True,
    )
    shown = json.loads(done.stdout)
    assert [sample["source"] for sample in shown] == ["atlas"] * 7
    assert shown[0]["media"]["sha256"]
    table = subprocess.run([*COMMAND, "pictures"], cwd=atlas.root, capture_output=True, text=True, check=True).stdout
    assert "7 of 7 samples" in table
    html = page.read_text()
    for text in (done.stdout, table, re.sub(r"data:[^\"]*", "", html)):  # bytes of pictures may spell anything
        assert not re.search(r"Mary|Major|Jane|Doe|Roe", text)
        assert str(atlas.root) not in text
        assert "package://" not in text
    assert html.count('<figure class="card"') == 7
    assert html.count("<video ") == 1
    assert "&lt;img src=" not in html  # captions come later than this stage


def test_page_escapes_captions_and_says_what_it_cannot_show(atlas: PipelineSpec, tmp_path: Path) -> None:
    (part,) = (atlas.root / "curate" / "parts").glob("*pictures*")
    rows = read_part(part)
    gone = pl.col("media").struct.with_fields(uri=pl.lit("/nowhere/at/all.png"))
    rows = rows.with_columns(pl.when(pl.col("modality") == "OP").then(gone).otherwise(pl.col("media")).alias("media"))
    write_part(rows, tmp_path / "part.parquet")
    write_page(select(tmp_path / "part.parquet", 20), (), tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    assert "&lt;img src=" in html
    assert '<img src="https' not in html
    assert html.count("Not shown:") == 1
    assert "/nowhere" not in html
