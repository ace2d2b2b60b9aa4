"""Curation on real Parquet parts: what is kept, why the rest is not, and the same bytes after any crash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ingest.curate import Curate
from ingest.quota import HeldOut
from ingest.splits import LEDGER_NAME
from shards.canonical import sha256_file, sha256_of
from shards.locator import Locator
from shards.manifest import Caption, Label, Media, Sample, Term, Terms, content_hash, frame, read_part, write_part
from shards.stage import Context, Kind, Output, Part, Result

KEY = b"a key of no person at all"
LABEL = Label(name="polyp", state="present", scope="image", origin="expert")


def sample(key: str, **fields: Any) -> Sample:
    """A row; `sha256`, `at`, `frames` go into its media, `group` defaults to a group of its own."""
    media = Media(
        uri=f"/data/{key}.png",
        kind=fields.pop("kind", "image"),
        sha256=fields.pop("sha256", None),
        locator=fields.pop("at", Locator()).text(),
        frames=fields.pop("frames", 1),
    )
    known: dict[str, Any] = {
        "modality": "CT",
        "specialty": "radiology",
        "group": f"image:{key}",
        "label_scope": "image",
        "source": key.split("-", maxsplit=1)[0],
        "license": "CC-BY-4.0",
    }
    return Sample(key=key, media=media, **{**known, **fields})


@pytest.fixture
def curate(tmp_path: Path) -> Callable[..., Result]:
    """Runs the stage over manifests given as {stage: {part: rows}} below a root of this test."""

    def run(
        manifests: dict[str, dict[str, list[Sample]]], root: Path = tmp_path, key: bytes = KEY, **options: Any
    ) -> Result:
        inputs = []
        for stage, parts in manifests.items():
            written = []
            for name, rows in parts.items():
                path = root / stage / "parts" / f"{name}.parquet"
                written.append(Part(id=name, path=path, content=write_part(frame(rows), path), rows=len(rows)))
            inputs.append(Output(stage=stage, kind=Kind.MANIFEST, path=root / stage, content="", parts=tuple(written)))
        ctx = Context(root=root, out=root / "curated", tmp=root / "tmp", folder=root, key=key)
        result = Curate(allow_licenses=options.pop("allow_licenses", ("CC-BY-4.0",)), **options).run(inputs, ctx)
        assert result.accepted + len(result.rejects) == result.offered
        assert result.accepted == sum(part.height for part in curated_parts(root).values())
        return result

    return run


def curated_parts(root: Path) -> dict[str, pl.DataFrame]:
    return {path.stem: read_part(path) for path in sorted((root / "curated" / "parts").glob("*.parquet"))}


def curated(root: Path) -> dict[str, str]:
    """Key -> split."""
    rows = pl.concat(curated_parts(root).values())
    return dict(rows.select("key", "split").iter_rows())


def reasons(result: Result) -> dict[str, str]:
    return {reject.item: reject.reason for reject in result.rejects}


def one(rows: list[Sample]) -> dict[str, dict[str, list[Sample]]]:
    return {"nih": {"part-0": rows}}


def test_only_licences_on_the_list_and_terms_that_were_answered(curate: Callable[..., Result]) -> None:
    yes = Terms(train=Term(answer="yes", evidence="page 3"))
    rows = [
        sample("a-1", terms=yes),
        sample("a-2", terms=yes, license="cc-by-4.0"),  # SPDX compares without case
        sample("a-3", terms=yes, license="CC-BY-NC-4.0"),
        sample("a-4"),
        sample("a-5", terms=Terms(train=Term(answer="no", evidence="page 3"))),
    ]
    result = curate(one(rows), require_terms={"train": "yes"})
    assert curate(one(rows), require_terms={"train": True}).rejects == result.rejects  # an unquoted yes of YAML 1.1
    assert {reject.item: (reject.reason, reject.detail) for reject in result.rejects} == {
        "a-3": ("licence_not_allowed", "CC-BY-NC-4.0 is not on the list"),
        "a-4": ("licence_not_allowed", "CC-BY-4.0: train is unknown, not yes"),
        "a-5": ("licence_not_allowed", "CC-BY-4.0: train is no, not yes"),
    }


def test_of_copies_the_one_that_says_most_is_kept_in_any_order(curate: Callable[..., Result], tmp_path: Path) -> None:
    said = (Caption(text="A polyp.", by="source"),)
    rows = [
        sample("a-1", sha256="f" * 64),
        sample("a-2", sha256="f" * 64, captions=said),
        sample("b-3", sha256="f" * 64, labels=(LABEL,)),
        sample("a-4", sha256="e" * 64, labels=(LABEL,)),
        sample("a-5", sha256="e" * 64, captions=(Caption(text="x", by="template@1"),)),
        sample("a-6", sha256="e" * 64, at=Locator(window="bone")),  # another view of the same file is no copy
        sample("a-7"),
        sample("a-8"),  # media not opened: not known to be a copy of anything
    ]
    for number, order in enumerate((rows, rows[::-1])):
        root = tmp_path / str(number)
        result = curate({"one": {"p": order[:4]}, "two": {"p": order[4:]}}, root=root)
        assert reasons(result) == dict.fromkeys(("a-1", "b-3", "a-5"), "duplicate")
        assert {reject.detail for reject in result.rejects} == {"copy of a-2", "copy of a-4"}


def test_a_key_seen_twice_is_a_reject(curate: Callable[..., Result]) -> None:
    result = curate({"one": {"p": [sample("a-1")]}, "two": {"p": [sample("a-1"), sample("a-2")]}})
    assert reasons(result) == {"a-1": "duplicate_key"}
    assert (result.offered, result.accepted) == (3, 2)


def test_parts_keep_their_names_rows_and_order_and_content_is_hashed(
    curate: Callable[..., Result], tmp_path: Path
) -> None:
    rows = [sample(f"a-{n:02}") for n in range(20)]
    bad = [sample("a-x", license="MIT")]
    result = curate({"one": {"p0": rows[10:][::-1], "p1": bad}, "two": {"p0": rows[:10]}})
    parts = curated_parts(tmp_path)
    assert list(parts) == ["one.p0", "one.p1", "two.p0"]
    assert parts["one.p1"].height == 0
    assert parts["one.p0"]["key"].to_list() == [f"a-{n}" for n in range(10, 20)]
    assert result.content == sha256_of([[name, content_hash(part)] for name, part in parts.items()])
    unsplit = parts["two.p0"].with_columns(split=pl.lit(None, pl.String))
    assert unsplit.equals(frame(rows[:10]))
    for file in result.files:
        assert sha256_file(tmp_path / "curated" / file.path) == file.sha256


def many(groups: int = 60, rows: int = 5, **fields: Any) -> list[Sample]:
    prefix = fields.pop("prefix", "a")
    return [
        sample(f"{prefix}-{g:03}-{n}", group=f"patient:{prefix}{g}", patient=f"{prefix}{g}", **fields)
        for g in range(groups)
        for n in range(rows)
    ]


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
    assert "radiology: 6 of 125 images held out" in caplog.text
    assert "radiology: 6 of 125 images held out" in (tmp_path / "curated" / "table1.md").read_text()


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


def test_nobodys_test_set_leaks_through_a_copy(curate: Callable[..., Result], tmp_path: Path) -> None:
    """A derived collection publishes the picture as training data, the original as test data."""
    rows = [
        sample("a-1", source_id="x", official_split="test"),
        sample("b-1", source_id="x", official_split="train", group="patient:p"),
        sample("b-2", official_split="train", group="patient:p"),
        sample("b-3", official_split="train"),
    ]
    curate(one(rows))
    assert curated(tmp_path) == {"a-1": "test", "b-1": "test", "b-2": "test", "b-3": "train"}
    summary = json.loads((tmp_path / "curated" / "table1.json").read_text())
    assert summary["official_split"] == {"pairs": 4, "moved": 2}


def test_a_newcomer_that_would_join_two_splits_is_rejected(curate: Callable[..., Result], tmp_path: Path) -> None:
    first = [
        sample("a-1", group="patient:p", patient="p", official_split="test"),
        sample("a-2", group="patient:q", patient="q", official_split="train"),
    ]
    curate(one(first))
    newcomers = [
        sample("b-1", group="study:s", study="s", patient="p"),
        sample("b-2", group="study:s2", study="s2", patient="q", source_id="x"),
        sample("b-3", group="study:s3", study="s3", patient="p", source_id="x"),  # b-2 and b-3 are one picture
        sample("b-4", group="patient:p", patient="q"),
        sample("b-5", group="patient:q", patient="q", source_id="y", official_split="test"),
    ]
    result = curate(one(first + newcomers))
    assert reasons(result) == dict.fromkeys(("b-2", "b-3", "b-4", "b-5"), "bridges_splits")
    assert curated(tmp_path) == {"a-1": "test", "a-2": "train", "b-1": "test"}
    again = curate(one(newcomers))  # the ledger remembers those that are no longer there
    assert reasons(again) == reasons(result)


def test_pictures_in_containers_are_copies_by_their_own_bytes(curate: Callable[..., Result], tmp_path: Path) -> None:
    def row(key: str, content: str, **at: Any) -> Sample:
        return sample(key, sha256=content * 64, at=Locator(**at), group=f"image:{key}")

    rows = [
        row("a-1", "a", array="train_images", row=0),
        row("a-2", "a", array="val_images", row=7),
        row("a-3", "a"),  # a file of its own
        row("b-1", "b", array="kspace", row=0, low=0, high=1),
        row("b-2", "b", array="kspace", row=0, low=0, high=2),  # the same values, shown in another range
        row("c-1", "c", array="train_images", row=1),
    ]
    assert reasons(curate(one(rows))) == {"a-2": "duplicate", "a-3": "duplicate"}
    summary = json.loads((tmp_path / "curated" / "table1.json").read_text())
    assert summary["total"]["groups"] == 3


def test_rows_of_containers_are_apart_and_slabs_join_by_their_name_alone(
    curate: Callable[..., Result], tmp_path: Path
) -> None:
    inside = [sample(f"m-{n}", sha256=f"{n:064}", at=Locator(array="train_images", row=n)) for n in range(20)]
    volume = "b" * 64
    slabs = [
        sample(f"s-{n}", sha256=volume, patient="one", group=f"slab:{n // 2}", at=Locator(axis="axial", slice=n))
        for n in range(20)
    ]
    slices = [
        sample(f"v-{n}", sha256="c" * 64, group=f"image:{n}", at=Locator(axis="axial", slice=n)) for n in range(4)
    ]
    curate(one(inside + slabs + slices), held_out=HeldOut(images=125), val_share=0.2)
    splits = curated(tmp_path)
    by = {prefix: {split for key, split in splits.items() if key[0] == prefix} for prefix in "msv"}
    summary = json.loads((tmp_path / "curated" / "table1.json").read_text())
    assert summary["total"]["groups"] == 20 + 10 + 1
    assert by["v"] <= {"train", "val", "test"}
    assert len(by["v"]) == 1
    assert all(splits[f"s-{n}"] == splits[f"s-{n + 1}"] for n in range(0, 20, 2))


def test_a_second_run_and_another_key(curate: Callable[..., Result], tmp_path: Path) -> None:
    rows = many()
    first = curate(one(rows), val_share=0.1)
    ledger = (tmp_path / LEDGER_NAME).read_bytes()
    before = curated(tmp_path)
    assert curate(one(rows), val_share=0.1).content == first.content
    assert (tmp_path / LEDGER_NAME).read_bytes() == ledger
    grown = curate(one(rows + many(prefix="z", groups=40)), val_share=0.1)
    assert grown.content != first.content
    after = curated(tmp_path)
    assert {key: after[key] for key in before} == before
    other = tmp_path / "other"
    curate(one(rows), root=other, key=b"another key of no person", val_share=0.1)
    assert curated(other) != before


def test_another_key_in_the_same_root_is_refused(curate: Callable[..., Result], tmp_path: Path) -> None:
    """With it no group would be known: most of the new test set would have been trained on."""
    rows = many(groups=200, rows=1)
    curate(one(rows))
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*.parquet"))}
    with pytest.raises(ValueError, match=r"splits.parquet was drawn with another key .* Run with the key that drew it"):
        curate(one(rows), key=b"another key of no person")
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*.parquet"))} == before
    assert KEY not in (tmp_path / LEDGER_NAME).read_bytes()


def test_a_ledger_that_does_not_name_its_key_is_taken_with_that_key(
    curate: Callable[..., Result], tmp_path: Path
) -> None:
    rows = many(groups=40, rows=1)
    curate(one(rows))
    path, before = tmp_path / LEDGER_NAME, curated(tmp_path)
    ledger = path.read_bytes()
    pl.read_parquet(path).cast({"what": pl.String, "split": pl.String}).write_parquet(path)
    with pytest.raises(ValueError, match="does not say with which key it was drawn"):
        curate(one(rows), key=b"another key of no person")
    curate(one(rows), val_share=0.3)
    assert curated(tmp_path) == before
    assert path.read_bytes() == ledger


def test_licences_terms_shares_and_quotas_are_checked() -> None:
    for options, words in (
        ({"allow_licenses": ()}, "allow_licenses is empty"),
        ({"allow_licenses": ("CC BY 4.0",)}, "write CC-BY-4.0"),
        ({"allow_licenses": ("MIT",), "require_terms": {"trian": "yes"}}, "no term 'trian'"),
        ({"allow_licenses": ("MIT",), "require_terms": {"train": "True"}}, "cannot be 'True'"),
        ({"allow_licenses": ("MIT",), "val_share": 0.9}, "val_share"),
    ):
        with pytest.raises(ValueError, match=words):
            Curate(**options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="held_out"):
        HeldOut(images=-1)


def test_a_file_that_is_no_ledger_is_refused(curate: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / LEDGER_NAME
    path.write_bytes(b"not a table")
    with pytest.raises(ValueError, match=r"splits.parquet is damaged"):
        curate(one([sample("a-1")]))
    pl.DataFrame({"x": [1]}).write_parquet(path)
    with pytest.raises(ValueError, match="no ledger of splits"):
        curate(one([sample("a-1")]))


def test_nothing_to_curate_is_said(tmp_path: Path) -> None:
    ctx = Context(root=tmp_path, out=tmp_path / "o", tmp=tmp_path, folder=tmp_path, key=KEY)
    empty = Output(stage="nih", kind=Kind.MANIFEST, path=tmp_path, content="")
    with pytest.raises(ValueError, match="nothing to curate: no rows came from nih"):
        Curate(allow_licenses=("MIT",)).run([empty], ctx)


CRASHING = """
import os, sys
from pathlib import Path
number = int(sys.argv[2])
replace = Path.replace
def counted(self, target):
    global number
    number -= 1
    if number < 0:
        os._exit(9)
    return replace(self, target)
Path.replace = counted
from ingest.curate import Curate
from shards.stage import Context, Kind, Output, Part
root = Path(sys.argv[1])
parts = tuple(Part(id=p.stem, path=p, content="", rows=0) for p in sorted((root / "nih" / "parts").glob("*.parquet")))
ctx = Context(root=root, out=root / "curated", tmp=root / "tmp", folder=root, key={key!r})
Curate(allow_licenses=("CC-BY-4.0",), val_share=0.1).run(
    [Output(stage="nih", kind=Kind.MANIFEST, path=root / "nih", content="", parts=parts)], ctx
)
"""


def test_killed_before_any_rename_and_run_again_gives_the_same_bytes(tmp_path: Path) -> None:
    """The process dies before its n-th rename, for every n; the same command then ends as if nothing had happened."""
    rows = many(groups=40, rows=2)
    script = tmp_path / "crash.py"
    script.write_text(CRASHING.format(key=KEY))

    def run(root: Path, die_at: int) -> int:
        command = [sys.executable, str(script), str(root), str(die_at)]
        house = str(Path(__file__).parents[2])  # the same modules as here, wherever the package is installed from
        return subprocess.run(command, check=False, env={**os.environ, "PYTHONPATH": house}).returncode

    def fresh(name: str) -> Path:
        root = tmp_path / name
        for number in range(2):
            write_part(frame(rows[number::2]), root / "nih" / "parts" / f"p{number}.parquet")
        return root

    def files(root: Path) -> dict[str, str]:
        return {str(path.relative_to(root)): sha256_file(path) for path in sorted(root.rglob("*")) if path.is_file()}

    def again(root: Path) -> None:
        parts = tuple(
            Part(id=path.stem, path=path, content="", rows=0)
            for path in sorted((root / "nih" / "parts").glob("*.parquet"))
        )
        ctx = Context(root=root, out=root / "curated", tmp=root / "tmp", folder=root, key=KEY)
        output = Output(stage="nih", kind=Kind.MANIFEST, path=root / "nih", content="", parts=parts)
        Curate(allow_licenses=("CC-BY-4.0",), val_share=0.1).run([output], ctx)

    golden = fresh("golden")
    again(golden)
    wanted = files(golden)
    renames = len(wanted) - 2  # all but the two input parts
    assert renames == 6
    for die_at in range(renames):
        root = fresh(f"killed-{die_at}")
        assert run(root, die_at) == 9
        again(root)
        found = {name: digest for name, digest in files(root).items() if ".tmp-" not in name}
        assert found == wanted, die_at


def test_importing_the_stage_imports_nothing_heavy() -> None:
    code = (
        "import sys, ingest.curate\n"
        "heavy = {'polars', 'numpy', 'torch', 'cv2', 'av', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rows_of_the_same_media_in_other_sources_meet(curate: Callable[..., Result], tmp_path: Path) -> None:
    """The whole of a second patient follows when one picture turns out to be shared."""
    shared = replace(sample("b-0", sha256="d" * 64, group="patient:b", patient="b"))
    rows = [
        sample("a-0", sha256="d" * 64, group="patient:a", patient="a", official_split="test"),
        shared,
        sample("b-1", group="patient:b", patient="b"),
    ]
    result = curate(one(rows))
    assert reasons(result) == {"b-0": "duplicate"}
    assert curated(tmp_path) == {"a-0": "test", "b-1": "test"}
    other = tmp_path / "other"
    curate(one(rows[:2]), root=other)
    curate(one([rows[0], rows[2]]), root=other)  # the copy is gone, but what it said of the patient is remembered
    assert curated(other) == {"a-0": "test", "b-1": "test"}
    summary = json.loads((other / "curated" / "table1.json").read_text())
    assert summary["train_only"]["specialties"] == []  # few groups, but a published test set
