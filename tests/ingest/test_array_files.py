"""Arrays in the layouts in which MedMNIST, PCam and fastMRI are published: every row with its own pixels and labels.

The pictures are real (a slide of scikit-image, the head of nilearn's template); which set they stand for is made up.
"""

from __future__ import annotations

import json
import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ingest.columns import LabelColumn
from ingest.converters.array_files import ArrayFiles, RowArray
from ingest.probe import ProbeMedia
from ingest.table_file import JoinTable, TableFile
from shards.manifest import Sample, write_part
from shards.media import MediaReader
from shards.stage import Context, Unit

SHARED = runpy.run_path(str(Path(__file__).with_name("array_sets.py")))
COMMON, LAYOUTS, PCAM, Pixels, fastmri, medmnist, pcam, slide, tiles = (
    SHARED[name] for name in ("COMMON", "LAYOUTS", "PCAM", "Pixels", "fastmri", "medmnist", "pcam", "slide", "tiles")
)
SPLIT = {"train": 12, "val": 5, "test": 4}


@pytest.fixture(scope="module")
def head() -> npt.NDArray[np.float64]:
    return LAYOUTS["head"]()


def pixels(sample: Sample) -> Pixels:
    return MediaReader().read(sample.media).pixels


def by_name(samples: Sequence[Sample]) -> dict[tuple[str, int], Sample]:
    """(array, row) -> sample."""
    return {(str(one.media.view.array), int(one.media.view.row or 0)): one for one in samples}


def test_medmnist_pictures_splits_and_classes(tmp_path: Path, slide: Pixels, convert: Any) -> None:
    pictures = {split: tiles(slide, n, 28, n) for split, n in SPLIT.items()}
    labels = {split: (np.arange(n) % 9).reshape(-1, 1) for split, n in SPLIT.items()}
    medmnist(tmp_path, "pathmnist", pictures, labels)
    source = ArrayFiles(
        **COMMON,
        modality="SM",
        path=str(tmp_path),
        pictures="(?P<split>train|val|test)_images",
        row_arrays={"class": "{split}_labels"},
        official_split="split",
        labels=(
            LabelColumn(
                column="class", name="adipose tissue", states={"0": "present", **dict.fromkeys("12345678", "unstated")}
            ),
        ),
        attribute_columns={"view": "class"},
        probe=True,
        unit_rows=5,
    )
    found = convert(source)
    assert [unit.items for unit in found.units] == [5, 5, 2, 5, 4]
    rows = by_name(found.samples)
    assert len(rows) == sum(SPLIT.values())
    for split, count in SPLIT.items():
        for row in range(count):
            one = rows[f"{split}_images", row]
            assert np.array_equal(pixels(one)[0], pictures[split][row])
            assert one.official_split == split
            assert [(label.name, label.state) for label in one.labels] == (
                [("adipose tissue", "present")] if row % 9 == 0 else []
            )
            assert (one.media.kind, one.media.width_px, one.media.frames) == ("array", 28, 1)
    assert len({one.group for one in rows.values()}) == 21
    assert convert(source).contents == found.contents


def test_medmnist_of_many_labels_and_of_volumes(
    tmp_path: Path, slide: Pixels, head: npt.NDArray[np.float64], convert: Any
) -> None:
    chest = {"train": tiles(slide, 6, 28)[..., 0]}
    stated = np.random.default_rng(1).integers(0, 2, (6, 14))
    medmnist(tmp_path, "chestmnist", chest, {"train": stated})
    options: dict[str, Any] = {
        **COMMON, "modality": "CR", "pictures": "(?P<split>train)_images", "include": ("chestmnist.npz",)
    }  # fmt: skip
    states = {"1": "present", "0": "absent"}
    columns = tuple(f"label_{i}" for i in range(14))
    found = convert(
        ArrayFiles(
            path=str(tmp_path),
            row_arrays={"label": "{split}_labels"},
            labels=(LabelColumn(column=columns, states=states),),
            **options,
        )
    )
    for (_, row), one in by_name(found.samples).items():
        assert [states[str(value)] for value in stated[row]] == [label.state for label in one.labels]
        assert np.array_equal(pixels(one)[0], chest["train"][row])
    named = RowArray(array="train_labels", names=tuple("abcdefghijklmn"))
    found = convert(
        ArrayFiles(
            path=str(tmp_path),
            row_arrays={"label": named},
            labels=(LabelColumn(column=tuple("abc"), states=states),),
            **options,
        )
    )
    assert {label.name for one in found.samples for label in one.labels} == set("abc")

    volumes = np.stack([(head[40:68, 60:88, z : z + 28] * 255).astype(np.uint8) for z in (40, 70, 100)])
    medmnist(tmp_path, "organmnist3d", {"train": volumes}, {"train": np.zeros((3, 1))})
    options["include"] = ("organmnist3d.npz",)
    stacks = convert(ArrayFiles(path=str(tmp_path), probe=True, **options)).samples
    assert [one.media.frames for one in stacks] == [28, 28, 28]
    assert {row: np.array_equal(pixels(one), volumes[row]) for (_, row), one in by_name(stacks).items()} == {
        0: True, 1: True, 2: True
    }  # fmt: skip
    with pytest.raises(ValueError, match="group: item"):
        ArrayFiles(path=str(tmp_path), volumes="slices", **options)
    cut = convert(ArrayFiles(path=str(tmp_path), volumes="slices", group="item", **options)).samples
    assert len(cut) == 3 * 28
    assert len({one.group for one in cut}) == 3
    for one in cut:
        assert np.array_equal(pixels(one)[0], volumes[one.media.view.row][one.media.view.frame_start])


def test_pcam_labels_and_slides_are_those_of_the_row(tmp_path: Path, slide: Pixels, convert: Any) -> None:
    made = {split: pcam(tmp_path, slide, split, 7, seed) for seed, split in enumerate(("train", "valid", "test"))}
    found = convert(ArrayFiles(path=str(tmp_path), probe=True, unit_rows=4, expects=("*_x.h5",), **PCAM))
    assert found.rejects == []
    assert found.offered == 21
    seen = {"present": 0, "absent": 0}
    for one in found.samples:
        split = "valid" if one.official_split == "val" else str(one.official_split)
        x, y = made[split]
        assert f"_{split}_x.h5" in one.media.uri
        row = one.media.view.row
        assert row is not None
        assert np.array_equal(pixels(one)[0], x[row])
        assert [label.state for label in one.labels] == ["present" if y[row] else "absent"]
        assert one.labels[0].name == "metastatic tissue in the centre"
        seen[one.labels[0].state] += 1
    assert seen == {"present": 9, "absent": 12}
    assert len({one.group for one in found.samples}) == 4, "slides are groups, across splits"
    assert all(one.group.startswith("slide:") for one in found.samples)


def test_fastmri_slices_are_the_pictures_and_stay_comparable(
    tmp_path: Path, head: npt.NDArray[np.float64], convert: Any
) -> None:
    """The middle of the field of view, scaled once a volume by its own percentiles."""
    pictures = head[18:178, 26:206, 70:100:6].transpose(2, 1, 0)  # [5, 180, 160]
    fastmri(tmp_path / "file1000001.h5", pictures, "AXT1", "p1")
    fastmri(tmp_path / "file1000002.h5", pictures[::-1] * 40, "AXT2", "p1")
    options: dict[str, Any] = {**COMMON, "modality": "MR", "pictures": "kspace", "path": str(tmp_path)}
    with pytest.raises(ValueError, match="group: path"):
        list(convert(ArrayFiles(**options)))
    found = convert(
        ArrayFiles(
            **options,
            file_attributes=("acquisition", "patient_id"),
            patient="patient_id",
            attribute_columns={"sequence": "acquisition"},
            probe=True,
        )
    )
    assert found.rejects == []
    assert len(found.samples) == 10
    assert len({one.group for one in found.samples}) == 1, "two volumes of one patient"
    low, high = np.percentile(pictures, [0.5, 99.5])
    wanted = np.clip((pictures - low) / (high - low), 0, 1) * 255
    for one in found.samples:
        assert (one.media.kind, one.media.height_px, one.media.width_px) == ("kspace", 180, 160)
        second = one.media.uri.endswith("2.h5")
        row = one.media.view.row
        assert row is not None
        assert json.loads(one.attributes)["sequence"] == ("AXT2" if second else "AXT1")
        assert np.abs(pixels(one)[0] - wanted[::-1][row] if second else pixels(one)[0] - wanted[row]).max() < 6
    assert len({(one.media.view.low, one.media.view.high) for one in found.samples}) == 2


def test_tables_join_on_what_the_array_says_and_rows_can_be_chosen(tmp_path: Path, slide: Pixels, convert: Any) -> None:
    medmnist(tmp_path, "a", {"train": tiles(slide, 6, 28)}, {"train": (np.arange(6) % 2).reshape(-1, 1)})
    (tmp_path / "words.csv").write_text("code,words\n0,A tile of stroma.\n1,A tile of tumour.\n")
    (tmp_path / "who.tsv").write_text("".join(f"p{row // 2}\n" for row in range(6)))
    found = convert(
        ArrayFiles(
            **COMMON,
            modality="SM",
            path=str(tmp_path),
            include=("*.npz",),
            pictures="train_images",
            row_arrays={"class": "train_labels"},
            row_table=TableFile(table="who.tsv", header=("patient",)),
            join=(JoinTable(table="words.csv", on={"class": "code"}),),
            caption="words",
            patient="patient",
            only={"class": ("1",)},
        )
    )
    assert found.offered == 3
    assert sorted(one.media.view.row for one in found.samples) == [1, 3, 5]
    assert {one.captions[0].text for one in found.samples} == {"A tile of tumour."}
    assert len({one.patient for one in found.samples}) == 3


def test_integers_of_few_bits_by_their_percentiles(tmp_path: Path, convert: Any) -> None:
    values = np.arange(4096, dtype=np.uint16).reshape(4, 32, 32)
    np.savez(tmp_path / "a.npz", x=values, unit=values / np.float32(4095))
    options: dict[str, Any] = {**COMMON, "modality": "SM", "path": str(tmp_path)}

    def brightest(**more: Any) -> int:
        return max(int(pixels(one).max()) for one in convert(ArrayFiles(**options, **more)).samples)

    assert brightest(pictures="x") == 16, "12 bits in the range of 16"
    assert brightest(pictures="x", by_percentiles=True) == 255
    assert brightest(pictures="x", display_range=(0, 8190)) == 128
    assert brightest(pictures="unit") == 255
    assert brightest(pictures="unit", display_range=(0, 2)) == 128


def test_a_probe_later_reads_rows_in_the_order_of_the_file(
    tmp_path: Path, slide: Pixels, convert: Any, ctx: Context
) -> None:
    medmnist(tmp_path, "a", {"train": tiles(slide, 40, 28)}, {})
    options: dict[str, Any] = {**COMMON, "modality": "SM", "path": str(tmp_path), "pictures": "train_images"}
    now = convert(ArrayFiles(**options, probe=True))
    later = convert(ArrayFiles(**options))
    write_part(later.rows, tmp_path / "part.parquet")
    rows: list[Any] = []
    with ProbeMedia().open(ctx) as worker:
        reader: Any = worker.reader
        facts = reader.facts
        reader.facts = lambda uri, locator, *kind: rows.append(locator) or facts(uri, locator, *kind)
        result = worker.process(Unit(id="a", payload={"part": str(tmp_path / "part.parquet")}))
    assert result.rows is not None
    assert result.rows.sort("key").equals(now.rows.sort("key"))
    numbers = [json.loads(locator)["row"] for locator in rows]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize("kind", ["U", "S"])
def test_texts_of_rows_are_cleaned_as_those_of_tables(tmp_path: Path, slide: Pixels, convert: Any, kind: str) -> None:
    cells = np.array(["1 ", "0", " ", "nan", "None"]).astype(kind)
    np.savez(tmp_path / "a.npz", x=tiles(slide, 5, 28, 0), y=cells)
    label = LabelColumn(column="t", name="tumour", states={"1": "present", "0": "absent"})
    options: dict[str, Any] = {**COMMON, "modality": "SM", "path": str(tmp_path), "pictures": "x", "labels": (label,)}
    found = convert(ArrayFiles(**options, row_arrays={"t": "y"}))
    rows = by_name(found.samples)
    assert [[one.state for one in rows["x", row].labels] for row in range(5)] == [["present"], ["absent"], [], [], []]
