"""Data sets of Hugging Face in the layouts of ROCOv2, Kvasir-VQA and PathVQA, written by the `datasets` library."""

from __future__ import annotations

import hashlib
import io
import json
import runpy
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import datasets
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

from ingest.columns import AttributeColumn, LabelColumn, LabelList
from ingest.converters.hf_dataset import HuggingFace
from ingest.rights import Rights
from ingest.table_file import JoinTable, Turn
from shards.manifest import Sample
from shards.media import MediaReader
from shards.uri import local_path

COMMON: dict[str, Any] = {"source": "here", "rights": Rights(license="CC-BY-NC-4.0"), "specialty": "radiology"}
LAYOUTS = runpy.run_path(str(Path(__file__).with_name("container_layouts.py")))
pictures, save, roco, kvasir_vqa, path_vqa = (
    LAYOUTS[name] for name in ("pictures", "save", "roco", "kvasir_vqa", "path_vqa")
)
ABNORMAL, POLYPS, TEXT = LAYOUTS["ABNORMAL"], LAYOUTS["POLYPS"], datasets.Value("string")


@pytest.fixture(scope="module", autouse=True)
def quiet() -> None:
    datasets.disable_progress_bars()


def shown(sample: Sample) -> Any:
    return MediaReader().read(sample.media).pixels[0]


def by_row(samples: Sequence[Sample]) -> list[Sample]:
    return sorted(samples, key=lambda one: (one.media.uri, int(one.media.view.row or 0)))


def test_roco_rows_are_pictures_with_their_texts(tmp_path: Path, convert: Any) -> None:
    made = roco(tmp_path, {"train": 25, "validation": 4, "test": 3})
    source = HuggingFace(
        **COMMON,
        modality="CT",
        path=str(tmp_path),
        caption="caption",
        source_id="image_id",
        official_split="split",
        split_names={"validation": "val"},
        label_lists=(LabelList(column="cui", form="json", names={"C0040405": "CT"}, others="drop"),),
        probe=True,
        unit_rows=10,
    )
    found = convert(source)
    assert found.rejects == []
    assert [unit.items for unit in found.units] == [10, 10, 5, 4, 3]
    names = {"train": "train", "val": "validation", "test": "test"}
    for one in found.samples:
        split = names[str(one.official_split)]
        row = one.media.view.row
        assert row is not None
        assert one.media.uri == f"{tmp_path}/data/{split}-00000-of-00001.parquet"
        assert np.array_equal(shown(one), np.asarray(made[split][row]))
        assert [caption.text for caption in one.captions] == [f"Axial CT, figure {row}."]
        assert [label.name for label in one.labels] == ["CT"]
        assert (one.media.kind, one.media.width_px, one.media.height_px) == ("image", 40 + row, 50)
    assert len(found.samples) == len({one.key for one in found.samples}) == 32
    assert convert(source).contents == found.contents
    few = convert(HuggingFace(**COMMON, modality="CT", path=str(tmp_path), splits=("test",), official_split="split"))
    assert {one.official_split for one in few.samples} == {"test"}
    chosen = HuggingFace(**COMMON, modality="CT", path=str(tmp_path), data_files={"val": "data/valid*.parquet"})
    assert len(convert(chosen).samples) == 4


def test_a_picture_in_a_cell_has_the_hash_of_its_bytes(tmp_path: Path, convert: Any) -> None:
    """So that it meets the same file in another collection."""
    path = local_path("package://skimage/data/ihc.png")
    assert path is not None
    table = {"image": [{"bytes": path.read_bytes(), "path": "ihc.png"}], "caption": ["Glands."]}
    save(table, tmp_path / "train.parquet", caption=TEXT)
    found = convert(HuggingFace(**COMMON, modality="SM", path=str(tmp_path), probe=True))
    assert found.samples[0].media.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_kvasir_vqa_questions_of_one_image_are_one_sample(tmp_path: Path, convert: Any) -> None:
    images = kvasir_vqa(tmp_path)
    found = convert(
        HuggingFace(
            **COMMON,
            modality="ES",
            path=str(tmp_path),
            gather=Turn(index="img_id", names="question", values="answer"),
            group="img_id",
            source_id="img_id",
            only={"source": ("HyperKvasir", "Kvasir-Instrument")},
            label_lists=(LabelList(column=ABNORMAL, separator=";", drop=("none",)),),
            attribute_columns={"view": AttributeColumn(column=POLYPS, values={"1": "one polyp"}, others="drop")},
            probe=True,
        )
    )
    assert found.counts == {"bad_row": 1}, "rows of the third image name two sources"
    assert found.offered == 3
    first, second = by_row(found.samples)
    assert np.array_equal(shown(first), np.asarray(images[0]))
    assert np.array_equal(shown(second), np.asarray(images[1]))
    assert [label.name for label in first.labels] == ["polyp", "oesophagitis"]
    assert second.labels == ()
    assert json.loads(first.attributes) == {"view": "one polyp"}
    assert json.loads(second.attributes) == {}


def test_path_vqa_rows_of_one_picture_are_gathered_by_the_picture(tmp_path: Path, convert: Any) -> None:
    path_vqa(tmp_path)
    found = convert(
        HuggingFace(
            **COMMON,
            modality="SM",
            path=str(tmp_path),
            compose={"said": "Question: {question} Answer: {answer}."},
            caption="said",
            gather="image",
            official_split="split",
            unit_rows=2,
        )
    )
    assert (found.offered, found.rejects) == (3, [])
    texts = {
        (one.official_split, one.media.view.row): [caption.text for caption in one.captions] for one in found.samples
    }
    assert texts == {
        ("train", 0): ["Question: is stroma seen? Answer: yes.", "Question: where? Answer: in the wall."],
        ("train", 1): ["Question: what is shown? Answer: a gland."],
        ("test", 0): ["Question: is it red? Answer: no."],
    }


def test_classes_are_their_names_and_joined_tables_add_columns(tmp_path: Path, convert: Any) -> None:
    label = datasets.ClassLabel(names=["nevus", "melanoma"])
    save({"image": pictures(4), "label": [0, 1, 1, None], "who": ["a", "a", "b", "b"]}, tmp_path / "train.parquet",
         label=label, who=TEXT)  # fmt: skip
    (tmp_path / "ages.csv").write_text("who,age\na,61\nb,93\n")
    found = convert(
        HuggingFace(
            **COMMON,
            modality="DMS",
            path=str(tmp_path),
            patient="who",
            labels=(LabelColumn(column="label", name="melanoma", states={"melanoma": "present", "nevus": "absent"}),),
            attribute_columns={"age": "age"},
            join=(JoinTable(table=f"{tmp_path}/ages.csv", on={"who": "who"}),),
        )
    )
    rows = by_row(found.samples)
    assert [[label.state for label in one.labels] for one in rows] == [["absent"], ["present"], ["present"], []]
    assert [json.loads(one.attributes)["age"] for one in rows] == [61, 61, "over 89", "over 89"]
    assert rows[0].group == rows[1].group != rows[2].group


def test_hostile_cells_and_files_are_rejects(tmp_path: Path, convert: Any) -> None:
    buffer = io.BytesIO()
    pictures(1)[0].save(buffer, "PNG")
    good = buffer.getvalue()
    cells = [
        {"bytes": good, "path": None},
        {"bytes": b"<html>no picture</html>", "path": "a.png"},
        {"bytes": None, "path": "/etc/passwd"},
        None,
        {"bytes": good[:-40], "path": None},
    ]
    kinds = pa.schema([("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("n", pa.string())])
    pq.write_table(pa.table({"image": cells, "n": list("abcde")}, schema=kinds), tmp_path / "train-a.parquet")
    whole = (tmp_path / "train-a.parquet").read_bytes()
    (tmp_path / "train-b.parquet").write_bytes(whole[: len(whole) // 2])
    pq.write_table(pa.table({"picture": ["x"]}), tmp_path / "train-c.parquet")
    options: dict[str, Any] = {**COMMON, "modality": "SM", "path": str(tmp_path), "probe": True}
    found = convert(HuggingFace(**options, data_files={"train": "train-*.parquet"}))
    assert found.reasons == {
        "train-a.parquet row 1": "not_recognised",
        "train-a.parquet row 2": "no_pixels",
        "train-a.parquet row 3": "no_pixels",
        "train-a.parquet row 4": "corrupt",
        "train-b.parquet": "corrupt",
        "train-c.parquet": "no_pixels",
    }
    assert [one.media.view.row for one in found.samples] == [0]


class Hub(MemoryFileSystem):
    """A hub in memory."""

    protocol = ("hf",)
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("hf://").strip("/")


def test_rows_of_the_hub_are_read_from_their_urls(
    tmp_path: Path, convert: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `datasets` resolves on the hub is a url with the commit; nothing is fetched but what is read."""
    made = roco(tmp_path, {"train": 6})
    monkeypatch.setitem(_registry, "hf", Hub)
    root = "hf://datasets/eltorio/ROCOv2-radiology@0123abc"
    url = f"{root}/data/train-00000-of-00001.parquet"
    with fsspec.open(url, "wb") as stream:
        stream.write((tmp_path / "data/train-00000-of-00001.parquet").read_bytes())
    asked: list[Any] = []

    def resolve(what: str, **options: Any) -> Any:
        asked.append((what, options["revision"], options["name"], options["data_files"]))
        assert "trust_remote_code" not in options
        return SimpleNamespace(config=SimpleNamespace(data_files={"train": [url]}))

    monkeypatch.setattr(datasets, "load_dataset_builder", resolve)
    found = convert(
        HuggingFace(
            **COMMON,
            modality="CT",
            hub_id="eltorio/ROCOv2-radiology",
            revision="v1",
            caption="caption",
            official_split="split",
            probe=True,
        )
    )
    assert asked == [("eltorio/ROCOv2-radiology", "v1", None, None)]
    assert {one.media.uri for one in found.samples} == {url}
    assert [unit.inputs[0] for unit in found.units] == [f"{url}|train"]
    for one in found.samples:
        assert np.array_equal(shown(one), np.asarray(made["train"][one.media.view.row]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give `path`"),
        ({"path": "x", "hub_id": "a/b"}, "and not both"),
        ({"hub_id": "a/b"}, "revision: name the commit of a/b"),
        ({"path": "x", "revision": "main"}, "a local folder has none"),
        ({"path": "x", "gather": "img_id"}, "set `caption`"),
        ({"path": "x", "unit_rows": 0}, "unit_rows"),
        ({"path": "x", "modality": None}, "modality is not given"),
    ],
)
def test_options_that_cannot_be_right(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HuggingFace(**{**COMMON, "modality": "SM", **options})


def test_columns_and_files_that_are_not_there(tmp_path: Path, convert: Any) -> None:
    roco(tmp_path, {"train": 2})
    options: dict[str, Any] = {**COMMON, "modality": "CT", "path": str(tmp_path)}
    with pytest.raises(ValueError, match=r"did you mean 'caption'\? it has image_id, caption, cui"):
        convert(HuggingFace(**options, caption="captoin"))
    with pytest.raises(ValueError, match="has no column 'questions'"):
        convert(HuggingFace(**options, gather=Turn(index="image_id", names="questions", values="caption")))
    with pytest.raises(ValueError, match="it has train"):
        convert(HuggingFace(**options, splits=("validation",)))
    (tmp_path / "other").mkdir()
    (tmp_path / "other/train.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="is no Parquet file"):
        convert(HuggingFace(**{**options, "path": str(tmp_path / "other")}))
