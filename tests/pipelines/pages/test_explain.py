"""`medloom explain`: every claim of the chain is checked against the bytes, the records and the rows."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import polars as pl
import pytest

from pipelines.explain import explain, text
from pipelines.records import StageFolder
from pipelines.show import select
from pipelines.spec import PipelineSpec


def key_of(atlas: PipelineSpec, **where: str) -> str:
    (found,) = select(atlas.root / "curate", 1, list(where.items())).specimens
    return found.sample.key


def test_chain_from_the_shard_to_the_file(atlas: PipelineSpec) -> None:
    found = explain(atlas.file, key_of(atlas, modality="OP"))
    assert [link.stage for link in found.links] == ["pack", "curate", "word", "pictures"]
    assert found.rejections == ()
    for link in found.links:
        record = StageFolder(atlas.root, link.stage).records()[link.unit]
        assert link.fingerprint == record.fingerprint
        assert Path(link.part).is_file()
    source = "\n".join(found.links[-1].did)
    assert "from package://skimage/data/retina.jpg" in source
    assert "url https://example.org/retina.jpg" in source
    assert "licence CC0-1.0" in source
    assert "train: yes (CC0 1.0, section 2)" in source
    assert "commercial: unknown" in source
    assert "caption by source: A fundus photograph." in source
    assert "label drusen: absent (image, expert)" in source
    assert found.links[2].did == ("passed on as it was",)
    assert found.links[1].did == ("split: train",)


def test_shard_bytes_are_where_it_says(atlas: PipelineSpec) -> None:
    packed = explain(atlas.file, key_of(atlas, modality="MR")).links[0]
    data = (atlas.root / "pack" / packed.facts["shard"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == packed.facts["sha256"]
    assert [member["member"].rpartition(".")[2] for member in packed.facts["members"]] == ["jpg", "txt", "json"]
    for member in packed.facts["members"]:
        piece = data[member["offset"] : member["offset"] + member["size_bytes"]]
        assert hashlib.sha256(piece).hexdigest() == member["sha256"]
    assert any("fit into 128x128" in line for line in packed.did)


def test_who_wrote_the_caption_and_which_slice(atlas: PipelineSpec) -> None:
    found = explain(atlas.file, key_of(atlas, modality="MR"), "atlas")
    words = {link.stage: "\n".join(link.did) for link in found.links}
    assert "caption by template@1: Brain, " in words["word"]
    assert " slice " in words["brain"]
    assert "shown from 0 to 228" in words["brain"]
    assert "group slab:" in words["brain"]


def test_a_person_is_a_keyed_hash(atlas: PipelineSpec) -> None:
    told = text(explain(atlas.file, key_of(atlas, modality="US")))
    assert "(keyed hash)" in told
    assert "Roe" not in told


def test_rejects_by_item_and_by_key(atlas: PipelineSpec) -> None:
    found = explain(atlas.file, "liver_1frame")
    assert found.links == ()
    assert [(r.stage, r.reason) for r in found.rejections] == [("pictures", "not_an_image")]
    assert "not a picture for display" in text(found)
    (refused,) = select(atlas.root / "word", 1, [("license", "LicenseRef-unclear")]).specimens
    found = explain(atlas.file, refused.sample.key)
    assert [link.stage for link in found.links] == ["word", "pictures"]
    assert [(r.stage, r.reason) for r in found.rejections] == [("curate", "licence_not_allowed")]


def test_the_start_of_a_key_and_the_name_of_a_file_will_do(atlas: PipelineSpec) -> None:
    key = key_of(atlas, modality="CR")
    whole = explain(atlas.file, key)
    assert explain(atlas.file, key[:-3]) == explain(atlas.file, f"{key[:-5]}…") == whole
    (origin,) = [link.facts["media"]["uri"] for link in whole.links if link.facts.get("media")]
    assert explain(atlas.file, origin.rpartition("/")[2]) == whole
    with pytest.raises(
        ValueError, match=r"`brain-` is the file or the start of the key of 36 samples: give one of brain-"
    ):
        explain(atlas.file, "brain-")
    for nothing in ("", " ", "…"):
        with pytest.raises(ValueError, match="nothing is asked for: give a key"):
            explain(atlas.file, nothing)


def test_rejects_that_are_not_told_are_counted(atlas: PipelineSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.explain.MAX_REJECTS", 2)
    paths = atlas.root.glob("*/rejects/*.parquet")
    items = [item for path in paths for item in pl.read_parquet(path)["item"]]
    found = explain(atlas.file, "axial")
    assert (len(found.rejections), found.rejected) == (2, sum("axial" in item for item in items))
    assert f"and {found.rejected - 2} more items: give more of the name" in text(found)


def test_unknown_is_said(atlas: PipelineSpec) -> None:
    with pytest.raises(ValueError, match="is named `nothing`: give a key"):
        explain(atlas.file, "nothing")


def test_a_broken_neighbour_in_the_file_does_not_hide_a_key(atlas: PipelineSpec, tmp_path: Path) -> None:
    file = atlas.file.with_name("two.yaml")
    broken = "  other:\n    root: other\n    stages:\n      x: {use: 'no_such_module:Stage'}\n"
    file.write_text(atlas.file.read_text() + broken)
    found = explain(file, key_of(atlas, modality="OP"))
    assert len(found.links) == 4
    assert "no_such_module" in found.unread["other"]
    assert "pipeline other was not read" in text(found)


def test_command(atlas: PipelineSpec) -> None:
    key = key_of(atlas, modality="CR")
    command = [sys.executable, "-c", "from pipelines.cli import main; main()", "explain"]
    done = subprocess.run([*command, key, "--json"], cwd=atlas.file.parent, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["links"] == json.loads(json.dumps(asdict(explain(Path(atlas.file), key))["links"]))
    done = subprocess.run([*command, "nobody"], cwd=atlas.file.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "give a key as `medloom show` lists it" in done.stderr


def test_a_sample_that_was_taken_out_of_the_index_is_in_no_shard(atlas: PipelineSpec, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(atlas.file.parent, folder)
    (folder / "out" / "clips" / "index.json").unlink()
    found = explain(folder / "pipelines.yaml", key_of(atlas, modality="US"))
    assert "clips" not in [link.stage for link in found.links]
