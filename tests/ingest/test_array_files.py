"""Arrays in the layouts in which MedMNIST, PCam and fastMRI are published: every row with its own pixels and labels.

The pictures are real (a slide of scikit-image, the head of nilearn's template); which set they stand for is made up.
"""

from __future__ import annotations

import json
import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from ingest.columns import LabelColumn
from ingest.converters.array_files import ArrayFiles, RowArray
from ingest.probe import ProbeMedia
from ingest.rights import Rights
from ingest.table_file import JoinTable, TableFile
from shards.manifest import Sample, write_part
from shards.media import MediaReader
from shards.stage import Context, Unit

Pixels = npt.NDArray[np.uint8]
LAYOUTS = runpy.run_path(str(Path(__file__).with_name("container_layouts.py")))
tiles, medmnist, pcam, fastmri = (LAYOUTS[name] for name in ("tiles", "medmnist", "pcam", "fastmri"))
SPLIT = {"train": 12, "val": 5, "test": 4}
COMMON: dict[str, Any] = {"source": "here", "rights": Rights(license="CC-BY-4.0"), "specialty": "pathology"}
PCAM: dict[str, Any] = {
    **COMMON,
    "modality": "SM",
    "include": ("*_x.h5",),
    "parts": {"name": r"_split_(?P<split>train|valid|test)_x\.h5$"},
    "pictures": "x",
    "row_arrays": {"tumour": RowArray(array="y", file="camelyonpatch_level_2_split_{split}_y.h5")},
    "row_table": "camelyonpatch_level_2_split_{split}_meta.csv",
    "official_split": "split",
    "split_names": {"valid": "val"},
    "group": "wsi",
    "group_is": "slide",
    "labels": (
        LabelColumn(column="tumour", name="metastatic tissue in the centre", states={"1": "present", "0": "absent"}),
    ),
}


@pytest.fixture(scope="module")
def slide() -> Pixels:
    return LAYOUTS["slide"]()


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


def test_bad_files_are_rejects_and_the_others_go_on(tmp_path: Path, slide: Pixels, convert: Any) -> None:
    pcam(tmp_path, slide, "train", 6)
    pcam(tmp_path, slide, "valid", 6)
    pcam(tmp_path, slide, "test", 6)
    with h5py.File(tmp_path / "camelyonpatch_level_2_split_valid_y.h5", "w") as file:
        file["y"] = np.zeros((5, 1, 1, 1), np.uint8)
    (tmp_path / "camelyonpatch_level_2_split_test_meta.csv").unlink()
    for name in ("linked", "other"):
        with h5py.File(tmp_path / f"{name}_split_train_x.h5", "w") as file:
            file["x" if name == "linked" else "z"] = (
                h5py.ExternalLink("/etc/passwd", "/x") if name == "linked" else np.zeros((2, 9, 9))
            )
    (tmp_path / "text_split_train_x.h5").write_text("no HDF5")
    found = convert(ArrayFiles(path=str(tmp_path), **PCAM))
    assert found.reasons == {
        "camelyonpatch_level_2_split_valid_x.h5": "bad_row",
        "camelyonpatch_level_2_split_test_x.h5": "missing_file",
        "linked_split_train_x.h5": "path_escapes",
        "other_split_train_x.h5": "no_pixels",
        "text_split_train_x.h5": "not_recognised",
    }
    assert len(found.samples) == 6


def test_a_name_in_an_array_file_leads_nowhere(tmp_path: Path, convert: Any) -> None:
    """Names of arrays are data: what they fill in stays below the folder."""
    (tmp_path / "secret.csv").write_text("a\n1\n")
    inside = tmp_path / "inside"
    inside.mkdir()
    for name, which in (("up", "../secret"), ("root", f"{tmp_path}/secret")):
        np.savez(inside / f"{name}.npz", **{f"{which}_images": np.zeros((1, 9, 9), np.uint8)})
    options: dict[str, Any] = {
        **COMMON, "modality": "SM", "path": str(inside), "pictures": "(?P<which>.*)_images"
    }  # fmt: skip
    for more in ({"row_table": "{which}.csv"}, {"row_arrays": {"a": RowArray(array="a", file="{which}.csv")}}):
        found = convert(ArrayFiles(**options, **more))
        assert found.reasons == {"up.npz": "path_escapes", "root.npz": "path_escapes"}


def test_npy_and_npz_that_lie_are_rejects(tmp_path: Path, convert: Any) -> None:
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    claim = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000, 9, 7), }\n"
    (tmp_path / "claims.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(claim).to_bytes(2, "little") + claim + b"x" * 630)
    np.savez(tmp_path / "cut.npz", x=np.zeros((3, 9, 9), np.uint8))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:200])
    np.save(tmp_path / "fine.npy", np.arange(2 * 9 * 8, dtype=np.uint8).reshape(2, 9, 8))
    found = convert(ArrayFiles(**COMMON, modality="SM", path=str(tmp_path), exclude={"fine.npy": "excluded_by_name"}))
    assert found.reasons == {
        "objects.npy": "unsupported_pixels",
        "claims.npy": "truncated",
        "cut.npz": "truncated",
        "fine.npy": "excluded_by_name",
    }
    found = convert(ArrayFiles(**COMMON, modality="SM", path=str(tmp_path), include=("fine.npy",)))
    assert [one.media.view.row for one in sorted(found.samples, key=lambda one: one.media.locator)] == [0, 1]


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
        reader.facts = lambda uri, locator: rows.append(locator) or facts(uri, locator)
        result = worker.process(Unit(id="a", payload={"part": str(tmp_path / "part.parquet")}))
    assert result.rows is not None
    assert result.rows.sort("key").equals(now.rows.sort("key"))
    numbers = [json.loads(locator)["row"] for locator in rows]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pictures": "("}, "pictures"),
        ({"row_arrays": {"a": "{split}_labels"}}, "there is no {split}"),
        ({"row_table": "a.docx"}, "must end in"),
        ({"unit_rows": 0}, "unit_rows"),
        ({"display_range": (1, 0)}, "display_range"),
        ({"modality": None}, "modality is not given"),
        ({"exclude": {"a": "because"}}, "unknown reason"),
    ],
)
def test_options_that_cannot_be_right(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ArrayFiles(**{**COMMON, "modality": "SM", "path": "x", **options})


def test_a_column_that_is_nowhere_is_an_error(tmp_path: Path, slide: Pixels, convert: Any) -> None:
    medmnist(tmp_path, "a", {"train": tiles(slide, 2, 28)}, {"train": np.zeros((2, 1))})
    with pytest.raises(ValueError, match="did you mean 'class'"):
        convert(
            ArrayFiles(
                **COMMON,
                modality="SM",
                path=str(tmp_path),
                pictures="train_images",
                row_arrays={"class": "train_labels"},
                caption="clas",
            )
        )
    with pytest.raises(ValueError, match="matches include"):
        convert(ArrayFiles(**COMMON, modality="SM", path=str(tmp_path), include=("*.h5",)))
