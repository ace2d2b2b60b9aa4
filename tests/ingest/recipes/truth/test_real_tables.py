"""The real tables of CheXpert, NIH ChestX-ray14 and PadChest that torchxrayvision ships: every caption, whole.

What is true of a row is worked out once more from the cells of the table itself; rows are read in place, and none is
kept here. The words of PadChest's 190 names are the captioner's; what is said of them is not.
"""

from __future__ import annotations

import ast
import importlib.util
import runpy
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import polars as pl
import pytest
import yaml

from captioning.wording import is_device, label_name, named
from pipelines.recipe import read_recipe
from shards.uri import package_folder

G = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("grammar.py"))))
TABLE = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("test_chexpert_and_mimic.py"))))
UNSAYABLE = ("nan", "None ", "___", "no finding", "healthy", "unremarkable", "(s)", "{", "[")
Cells = tuple[Any, ...]


class Source(NamedTuple):
    """One of the tables, and what its cells let a caption say."""

    file: str
    offered: int
    rejected: int
    path: pl.Expr
    findings: Sequence[str]  # columns
    clause: Callable[[Cells], str]  # what they say of the study
    look: Sequence[str]  # columns
    picture: Callable[[Cells], tuple[str, str, Sequence[str]]]  # view, what it is, and whom it may name


def years(age: str) -> str:
    known = int(float(age or 0))
    return "" if not 0 < known <= 120 else "over 89" if known > 89 else str(known)


def chexpert_clause(cells: Cells) -> str:
    return str(TABLE.study({name: cell or "" for name, cell in zip(TABLE.CHEXPERT[5:], cells, strict=True)}))


def chexpert_picture(cells: Cells) -> tuple[str, str, list[str]]:
    sex, age, side, view = cells
    who = G.people({"Female": "female", "Male": "male"}.get(sex, ""), years(age))
    return TABLE.VIEWS.get((side, view or ""), ""), "radiograph", who


def nih_clause(cells: Cells) -> str:
    if cells == ("No Finding",):
        return "none of the 14 labelled findings"
    words = {"Pleural_Thickening": "pleural thickening", "Effusion": "pleural effusion"}
    names = [words.get(name, name.lower()) for name in cells[0].split("|")]
    return str(G.findings([(name, "present") for name in names], articles={"mass", "nodule", "hernia"}))


def nih_picture(cells: Cells) -> tuple[str, str, list[str]]:
    age, sex, view = cells
    return f"{view} ", "radiograph", G.people({"F": "female", "M": "male"}[sex], years(age))


def padchest_names() -> dict[str, str]:
    options = read_recipe("padchest", Path(), "here").options
    return dict(yaml.safe_load(yaml.serialize(options))["label_lists"][0]["names"])


RENAMED = padchest_names()


def padchest_clause(cells: Cells) -> str:
    (cell,) = cells
    entries = [entry.strip() for entry in ast.literal_eval(cell)] if cell and cell != "nan" else []
    entries = [entry for entry in entries if entry not in ("", "exclude", "suboptimal study", "unchanged")]
    names = [str(label_name(RENAMED.get(entry, entry))) for entry in dict.fromkeys(entries)]
    found = [name for name in dict.fromkeys(names) if name != "findings labelled normal"]
    nothing = "findings labelled normal" if "findings labelled normal" in names else ""
    if not all(map(is_device, found)):
        nothing = ""
    return str(G.findings([(named(name), "present") for name in found], nothing, set(map(named, found))))


def padchest_picture(cells: Cells) -> tuple[str, str, list[str]]:
    studied, born, sex, view, modality = cells
    age = int(studied) - int(float(born)) if studied and born and born != "nan" else 0
    who = G.people({"F": "female", "M": "male"}.get(sex, ""), years(str(age if age > 1 else 0)))
    return G.PADCHEST_VIEWS.get(view, ""), {"CR": "radiograph", "DX": "digital radiograph"}[modality], who


REAL = {
    "chexpert": Source(
        "chexpert_train.csv.gz", 223_414, 0, pl.col("Path"),
        TABLE.CHEXPERT[5:], chexpert_clause, TABLE.CHEXPERT[1:5], chexpert_picture,
    ),
    "nih_chestxray14": Source(
        "Data_Entry_2017_v2020.csv.gz", 112_120, 0, pl.format("images/{}", "Image Index"),
        ["Finding Labels"], nih_clause, ["Patient Age", "Patient Gender", "View Position"], nih_picture,
    ),
    "padchest": Source(
        "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz", 160_861, 11,
        pl.format("{}/{}", "ImageDir", "ImageID"), ["Labels"], padchest_clause,
        ["StudyDate_DICOM", "PatientBirth", "PatientSex_DICOM", "Projection", "Modality_DICOM"], padchest_picture,
    ),
}  # fmt: skip


def each(
    cells: pl.DataFrame, columns: Sequence[str], function: Callable[[Cells], Any], names: Sequence[str]
) -> pl.DataFrame:
    """`cells` with the columns `names` that a function makes of each distinct row of `columns`."""
    distinct = cells.select(columns).unique()
    told = pl.DataFrame([function(row) for row in distinct.iter_rows()], dict.fromkeys(names, pl.String), orient="row")
    return cells.join(distinct.hstack(told), on=columns, how="left", nulls_equal=True)


def words_of(source: Source, cells: Cells) -> tuple[str, str, str, str]:
    """Two names of a picture, and two of whom it shows."""
    view, radiograph, people = source.picture(cells)
    chest = f"{view}chest {radiograph}" if radiograph == "radiograph" else f"{view}{radiograph} of the chest"
    who = [f" of {G.an(person)}" for person in people] or [""]
    pictures = (G.an(chest), G.an(f"{view}{radiograph} of the chest"))
    return (*(f"A{name[1:]}" for name in pictures), who[0], who[-1])


def false_of(said: pl.DataFrame) -> pl.DataFrame:
    """The rows whose `text` is none of those that are true of them."""
    true = []
    study = pl.when(pl.col("clause") != "").then(pl.concat_str(pl.lit(", from a study with "), "clause"))
    for picture in ("picture 1", "picture 2"):
        for who in ("who 1", "who 2"):
            true.append(pl.concat_str(picture, who, study.otherwise(pl.lit("")), pl.lit(".")))
            of = pl.when(pl.col(who) != "").then(pl.concat_str(pl.lit(","), who)).otherwise(pl.lit(""))
            true.append(pl.concat_str(picture, study, of, pl.lit(".")))
    return said.filter(~pl.any_horizontal((pl.col("text") == text).fill_null(value=False) for text in true))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(REAL))
@pytest.mark.long
def test_every_row_of_the_real_tables_is_captioned_or_rejected(name: str, make: Any, lies: Any) -> None:
    if importlib.util.find_spec("torchxrayvision") is None:
        pytest.skip("torchxrayvision is not installed")
    source = REAL[name]
    made = make(name, path="package://torchxrayvision/data", table=source.file, expects=[], check_files=False)
    assert (made.offered, len(made.rejects)) == (source.offered, source.rejected)
    columns = ["Path", "Image Index", "ImageDir", "ImageID", *source.findings, *source.look]
    table = pl.read_csv(
        package_folder("torchxrayvision") / "data" / source.file, infer_schema=False, truncate_ragged_lines=True
    )
    if "StudyDate_DICOM" in table.columns:
        table = table.with_columns(pl.col("StudyDate_DICOM").str.head(4))
    cells = table.select(source.path.alias("path"), *(name for name in dict.fromkeys(columns) if name in table.columns))
    cells = each(cells, source.findings, lambda row: (source.clause(row),), ["clause"])
    cells = each(cells, source.look, lambda row: words_of(source, row), ["picture 1", "picture 2", "who 1", "who 2"])
    said = made.rows.select(
        path=pl.col("media").struct.field("uri").str.strip_prefix("package://torchxrayvision/data/"),
        text=pl.col("captions").list.first().struct.field("text"),
    ).join(cells, on="path", how="left", validate="1:1")
    assert false_of(said).select("text", "clause", "picture 1", "who 1").rows()[:5] == []
    assert false_of(said.with_columns(pl.col("clause").reverse())).height > said.height / 3  # of other rows
    for sentence in UNSAYABLE:
        assert not said["text"].str.contains(sentence, literal=True).any(), sentence
    distinct = made.rows.unique(["labels", "attributes"], keep="first", maintain_order=True)
    assert not lies(type(made)(distinct.sample(1000, seed=0), [], 0), tuple(TABLE.CHEXPERT[5:]))
