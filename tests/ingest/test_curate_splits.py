"""Splits and the held-out set that curation draws: shares, published splits, and what may join which."""

from __future__ import annotations

import json
import runpy
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from ingest.quota import HeldOut
from ingest.splits import LEDGER_NAME
from shards.stage import Result

CURATING = runpy.run_path(str(Path(__file__).with_name("curating.py")))
curate, curated, many, one, reasons, sample = (
    CURATING[name] for name in ("curate", "curated", "many", "one", "reasons", "sample")
)


def test_the_held_out_set_is_balanced_by_specialty_and_kind(curate: Callable[..., Result], tmp_path: Path) -> None:
    rows = many() + many(prefix="d", specialty="dermatology", modality="DMS")
    rows += many(prefix="c", specialty="cardiology", modality="US", kind="video", frames=40)
    curate(one(rows), held_out=HeldOut(images=12, clips=8))
    held = pl.read_parquet(tmp_path / "curated" / "held_out.parquet")
    counts = {
        (specialty, clip): count for specialty, clip, count in held.group_by("specialty", "clip").len().iter_rows()
    }
    assert counts == {("radiology", False): 12, ("dermatology", False): 12, ("cardiology", True): 8}
    splits = curated(tmp_path)
    assert all(splits[key] == "test" for key in held["key"])
    test_groups = {key.rsplit("-", 1)[0] for key, split in splits.items() if split == "test"}
    assert Counter(group[0] for group in test_groups) == {
        "a": 3,
        "d": 3,
        "c": 2,
    }  # whole groups, until the count is there


def test_no_more_than_a_tenth_of_the_groups_is_held_out_and_the_shortfall_is_told(
    curate: Callable[..., Result], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    curate(one(many(groups=30, rows=2)), held_out=HeldOut(images=125))
    assert Counter(curated(tmp_path).values()) == {"train": 54, "test": 6}
    assert "radiology: held out 6 of the 125 images that are wanted" in caplog.text
    assert "radiology: held out 6 of the 125 images that are wanted" in (tmp_path / "curated" / "table1.md").read_text()


def test_too_few_groups_are_for_training_only_and_say_so(curate: Callable[..., Result], tmp_path: Path) -> None:
    few = ("CR", "MG", "MR", "NM", "PT", "US", "XA")
    rows = many(groups=6, rows=2) + [
        row for code in few for row in many(groups=2, prefix=f"m{code.lower()}", modality=code)
    ]
    curate(one(rows + many(groups=2, prefix="p", specialty="pathology")), val_share=0.1)
    splits = curated(tmp_path)
    assert {split for key, split in splits.items() if key[0] in "mp"} == {"train"}
    assert Counter(split for key, split in splits.items() if key[0] == "a") == {"train": 4, "test": 4, "val": 4}
    summary = json.loads((tmp_path / "curated" / "table1.json").read_text())
    assert summary["train_only"] == {"modalities": list(few), "specialties": ["pathology"]}


def test_three_groups_are_enough_for_all_splits(curate: Callable[..., Result], tmp_path: Path) -> None:
    curate(one(many(groups=3, rows=1)), val_share=0.5)
    assert sorted(curated(tmp_path).values()) == ["test", "train", "val"]


def test_published_splits_are_respected_unless_told_otherwise(curate: Callable[..., Result], tmp_path: Path) -> None:
    names = {"TRAIN": "train", "validate": "val", "Test": "test", "held-out": "test"}
    rows = [row for name in names for row in many(groups=10, rows=1, prefix=name[0:2].lower(), official_split=name)]
    curate(one(rows))
    for row in rows:
        assert curated(tmp_path)[row.key] == names[row.official_split or ""]
    other = tmp_path / "ignored"
    curate(one(rows), root=other, official_split="ignore", held_out=HeldOut(images=0))
    assert set(curated(other).values()) == {"train"}


def test_names_of_published_splits_are_understood(curate: Callable[..., Result], tmp_path: Path) -> None:
    names = {
        "train": ("train", "Training", "training set", " TRAIN "),
        "val": ("val", "valid", "validate", "Validation", "dev", "validation_set", "development"),
        "test": ("test", "tests", "Testing", "test-split", "testset", "held_out", "holdout"),
    }
    rows = [
        sample(f"{split}-{number}", official_split=name)
        for split, of in names.items()
        for number, name in enumerate(of)
    ]
    rows += [sample(f"none-{n}", official_split=name) for n, name in enumerate((None, "", "None", "n/a", "unassigned"))]
    curate(one(rows))
    splits = curated(tmp_path)
    assert all(split == key.split("-")[0] for key, split in splits.items() if not key.startswith("none"))
    summary = json.loads((tmp_path / "curated" / "table1.json").read_text())
    assert summary["official_split"]["pairs"] == sum(map(len, names.values()))


def test_a_published_split_that_nothing_explains_is_refused(curate: Callable[..., Result], tmp_path: Path) -> None:
    """Numbers are splits in DeepLesion and folds in PTB-XL; dropping them would draw a published test set anew."""
    rows = [sample(f"lesion-{n}", official_split=str(n)) for n in range(1, 4)] + [
        sample("ptb-1", official_split="trian")
    ]
    message = r"lesion has '1', '2', '3'; ptb has 'trian': .* `split_names: \{'1': train, '2': val, '3': test\}`"
    with pytest.raises(ValueError, match=message):
        curate(one(rows))
    assert not (tmp_path / LEDGER_NAME).exists()
    many_names = [sample(f"names-{n}", official_split=f"Doe, John {n}") for n in range(13)]
    with pytest.raises(ValueError, match="names has 13 values") as caught:
        curate(one(many_names))
    assert "Doe" not in str(caught.value)
    assert curate(one(rows), official_split="ignore").accepted == 4
    refused = curate(one([*many(groups=3), sample("x-1", official_split="2", license="MIT")]))
    assert reasons(refused) == {"x-1": "licence_not_allowed"}  # what may not be used decides nothing


def test_slabs_keep_their_splits_where_published_ones_are_ignored(
    curate: Callable[..., Result], tmp_path: Path
) -> None:
    """The slices between slabs of two splits are gone already: drawn anew, neighbouring slabs would touch."""
    slabs = [
        sample(f"s-{n:02}", group=f"slab:{n // 4}", patient="one", official_split="test" if 40 <= n < 44 else "train")
        for n in range(80)
    ]
    curate(one(slabs + many(groups=20, rows=1, official_split="test")), official_split="ignore", val_share=0.2)
    splits = curated(tmp_path)
    assert {key for key, split in splits.items() if key[0] == "s" and split != "train"} == {
        f"s-{n}" for n in range(40, 44)
    }
    assert {split for key, split in splits.items() if key[0] == "a"} == {"train", "val", "test"}


def test_maps_computed_from_scans_are_no_pictures_of_the_table(curate: Callable[..., Result], tmp_path: Path) -> None:
    rows = many(groups=30, rows=2, attributes='{"body_part":"brain"}', modality="MR")
    rows += many(groups=30, rows=1, attributes='{"body_part":"brain","map":"grey matter"}', modality="MR", prefix="m")
    rows += many(groups=30, rows=1, attributes=json.dumps({"sequence": '{"map":"T1"}'}), modality="MR", prefix="t")
    curate(one(rows))
    folder = tmp_path / "curated"
    summary = json.loads((folder / "table1.json").read_text())
    paper = {row["modality"]: row["images"] for row in summary["by_medisyn_modality"] if row["images"]}
    assert paper == {"MRI": 90}
    assert (summary["total"]["images"], summary["total"]["maps"], summary["total"]["pairs"]) == (90, 30, 120)
    assert "30 pairs (30 MR) are maps computed from scans" in (folder / "table1.md").read_text()
    held = pl.read_parquet(folder / "held_out.parquet")["key"]
    assert held.len() > 2
    assert not any(key.startswith("m") for key in held)
