"""Array files that cannot be right: damaged, lying, leading elsewhere, and options that contradict each other."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ingest.converters.array_files import ArrayFiles, RowArray

SHARED = runpy.run_path(str(Path(__file__).with_name("array_sets.py")))
COMMON, PCAM, Pixels, medmnist, pcam, slide, tiles = (
    SHARED[name] for name in ("COMMON", "PCAM", "Pixels", "medmnist", "pcam", "slide", "tiles")
)


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
