"""Text files as a column: what of them is kept, what their rows are known by, and what is said where one lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ingest.columns import CaptionColumn, TextFiles
from ingest.converters import text_columns
from ingest.converters.table_images import TableImages
from ingest.rights import Rights
from shards.stage import Context

TABLE: dict[str, Any] = {
    "source": "here",
    "rights": Rights(license="CC0-1.0"),
    "path": "set",
    "table": "t.csv",
    "image": "file",
    "modality": "DX",
    "specialty": "radiology",
    "check_files": False,
}


def inputs(stage: TableImages, ctx: Context) -> list[tuple[str, ...]]:
    return [tuple(unit.inputs) for unit in stage.units(ctx)]


def said(found: Any) -> dict[str, list[str]]:
    return {s.media.uri.rpartition("/")[2]: [caption.text for caption in s.captions] for s in found.samples}


def test_a_text_file_a_row_is_a_column_and_its_sections_are_kept(put: Any, convert: Any) -> None:
    put(
        "r/p10/s1.txt",
        " FINAL REPORT\n INDICATION: ___ with cough\n\n FINDINGS:\n Small left effusion. Lungs are clear\n since ___."
        "\n\n IMPRESSION: Left effusion.",
    )
    put("t.csv", "file,subject,study\na.png,1000,1\nb.png,1000,2\n")
    stage = TableImages(
        **TABLE,
        texts=(TextFiles(column="report", path="r/p{folder}/s{study}.txt", sections=("findings", "impression")),),
        parts={"subject": "^(?P<folder>..)"},
        caption=CaptionColumn(column="report", clean="report", wording="From a study with this report: {}"),
        label_scope="study",
    )
    found = convert(stage)
    assert said(found) == {
        "a.png": ["From a study with this report: Small left effusion. Left effusion."],
        "b.png": [],
    }
    assert found.reasons == {}


def test_a_changed_text_file_makes_its_unit_stale(put: Any, ctx: Context) -> None:
    put("t.csv", "file,study\na.png,1\n")
    put("a.png", "")
    put("s1.txt", "FINDINGS: clear.")
    texts = (TextFiles(column="report", path="s{study}.txt"),)
    stage = TableImages(**{**TABLE, "check_files": True}, texts=texts, caption="report")
    before = inputs(stage, ctx)
    assert inputs(stage, ctx) == before
    put("s1.txt", "FINDINGS: clear lungs.")
    assert inputs(stage, ctx) != before


@pytest.mark.parametrize("gather", [False, True])
@pytest.mark.parametrize("check_files", [False, True])
def test_text_files_count_and_are_not_read_for_a_plan(
    put: Any, ctx: Context, monkeypatch: pytest.MonkeyPatch, gather: bool, check_files: bool
) -> None:
    put("t.csv", "file,study\na.png,1\nb.png,2\n")
    texts = (TextFiles(column="report", path="r/s{study}.txt"),)
    options: dict[str, Any] = {**TABLE, "gather": gather, "check_files": check_files, "unit_rows": 1}
    stage = TableImages(**options, texts=texts, caption="report")
    put("r/s1.txt", "Clear.")
    put("r/s2.txt", "Clear.")
    put("b.png", "")
    monkeypatch.setattr(text_columns, "open_binary", lambda _: pytest.fail("a plan reads no text"))
    before = inputs(stage, ctx)
    assert inputs(stage, ctx) == before
    put("r/s2.txt", "Clear lungs.")
    after = inputs(stage, ctx)
    assert (after[0], after[1] != before[1]) == (before[0], True)


def test_no_cell_leads_to_a_text_outside_its_folder(put: Any, convert: Any, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("Mass.")
    put("r/sub/1.txt", "Effusion.")
    (tmp_path / "set/r/link.txt").symlink_to(tmp_path / "secret.txt")
    cells = ["sub/1", "../../secret", str(tmp_path / "secret"), "..\\..\\secret", "link", "none", ""]
    put("t.csv", "file,study\n" + "".join(f"{number}.png,{cell}\n" for number, cell in enumerate(cells)))
    texts = (TextFiles(column="report", path="r/{study}.txt"),)
    found = convert(TableImages(**TABLE, texts=texts, caption=CaptionColumn(column="report")))
    assert said(found) == {"0.png": ["Effusion."], "5.png": [], "6.png": []}
    assert found.reasons == {f"{number}.png": "path_escapes" for number in (1, 2, 3, 4)}


def test_texts_may_lie_where_the_user_says(put: Any, convert: Any, tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/s1.txt").write_text("Effusion.")
    put("t.csv", "file,study\na.png,1\n")
    for path in ("../reports/s{study}.txt", str(tmp_path / "reports/s{study}.txt"), "./reports/s{study}.txt"):
        where = path.replace("../", f"{tmp_path}/set/../")
        found = convert(TableImages(**TABLE, texts=(TextFiles(column="t", path=where),), caption="t"))
        assert said(found) == {"a.png": ["Effusion."]}, path


def test_a_folder_of_texts_that_is_not_there_is_said_before_any_work(put: Any, ctx: Context, tmp_path: Path) -> None:
    put("t.csv", "file,study\na.png,1\n")
    put("mimic/p10/s1.txt", "Effusion.")
    put("mimic/notes", "no folder")
    for folder, found in (("mimic/files", "mimic holds notes, p10"), ("mimic/notes", "mimic holds notes, p10")):
        for where in (folder, str(tmp_path / "set" / folder)):
            stage = TableImages(**TABLE, texts=(TextFiles(column="report", path=f"{where}/p10/s{{study}}.txt"),))
            with pytest.raises(FileNotFoundError, match=f"'report' lie below .*{folder}/p10.*{found}") as error:
                inputs(stage, ctx)
            assert str(error.value).endswith("Correct their path, or mount the disk")


def test_texts_of_which_none_is_there_are_said_before_any_work(put: Any, ctx: Context) -> None:
    put("t.csv", "file,study\na.png,7\nb.png,8\nc.png,\n")
    put("r/study 8.txt", "Effusion.")
    wrong = TableImages(**TABLE, texts=(TextFiles(column="report", path="r/{study}.txt"),), unit_rows=1)
    with pytest.raises(FileNotFoundError, match=r"'report'.*at .*set/r/7\.txt, and .*/r holds study 8\.txt"):
        inputs(wrong, ctx)
    one_lacks = TableImages(**TABLE, texts=(TextFiles(column="report", path="r/study {study}.txt"),), unit_rows=1)
    assert len(inputs(one_lacks, ctx)) == 3


@pytest.mark.parametrize("missing", ["keep", "reject"])
def test_a_row_whose_text_cannot_be_had_is_rejected_and_one_that_has_none_as_the_option_says(
    put: Any, convert: Any, tmp_path: Path, missing: Any
) -> None:
    put("r/there.txt", "Effusion.")
    put("r/large.txt", "Effusion." * (1 << 17))
    put("r/folder.txt/a", "")
    (tmp_path / "set/r/loop.txt").symlink_to("loop.txt")
    names = ["there", "large", "folder", "loop", "gone", ""]
    put("t.csv", "file,study\n" + "".join(f"{name or 'blank'}.png,{name}\n" for name in names))
    texts = (TextFiles(column="report", path="r/{study}.txt", missing=missing),)
    found = convert(TableImages(**TABLE, texts=texts, caption="report"))
    why = {"large.png": "too_large", "folder.png": "not_recognised", "loop.png": "unreadable"}
    if missing == "reject":
        assert said(found) == {"there.png": ["Effusion."]}
        assert found.reasons == {**why, "gone.png": "no_metadata", "blank.png": "no_metadata"}
    else:
        assert said(found) == {"there.png": ["Effusion."], "gone.png": [], "blank.png": []}
        assert found.reasons == why
    assert all("text" in reject.detail for reject in found.rejects)


def test_lines_of_keys_are_columns(put: Any, convert: Any, ctx: Context) -> None:
    infos = {
        "a": "ED: 1\nSex: F\nAge: 56\nEF: 55\n",
        "b": "Sex = M\r\nAge=  61.5 \r\nEF: nan\r\n",
        "c": "Sex: F\nAge: 40\nSex: M\nEF: 1\n",
        "d": "sex: F\nAge: 70\nAge: 70\n",
    }
    for name, text in infos.items():
        put(f"info/{name}.cfg", text)
    put("t.csv", "file,id\n" + "".join(f"{name}.png,{name}\n" for name in [*infos, "e"]))
    about = {"sex": "Sex", "age": "Age", "ejection_fraction_percent": "EF"}

    def made(**how: Any) -> Any:
        texts = (TextFiles(column="info", path="info/{id}.cfg", keys=("Sex", "Age", "EF"), **how),)
        return convert(TableImages(**TABLE, texts=texts, attribute_columns=about))

    found = made()
    first, second, fourth, fifth = sorted(found.samples, key=lambda one: one.media.uri)
    assert first.attributes == '{"age":56.0,"ejection_fraction_percent":55.0,"sex":"female"}'
    assert second.attributes == '{"age":61.5,"sex":"male"}'
    assert fourth.attributes == '{"age":70.0}'
    assert fifth.attributes == "{}"
    assert found.reasons == {"c.png": "bad_row"}

    strict = made(missing="reject")
    assert {one.attributes for one in strict.samples} == {first.attributes, second.attributes}, "a blank value is there"
    assert strict.reasons == {"c.png": "bad_row", "d.png": "no_metadata", "e.png": "no_metadata"}
    assert [reject.detail for reject in strict.rejects if reject.item == "d.png"] == ["its text file has no Sex, EF"]


def test_a_plan_reads_the_texts_whose_keys_name_the_files(put: Any, ctx: Context, convert: Any) -> None:
    put("info/1.cfg", "picture: x.png\n")
    put("info/2.cfg", "picture: y.png\n")
    put("y.png", "no picture, but a file")
    put("t.csv", "file,id\na,1\nb,2\n")
    stage = TableImages(
        **{**TABLE, "image": "picture", "check_files": True},
        texts=(TextFiles(column="info", path="info/{id}.cfg", keys=("picture",)),),
    )
    before = inputs(stage, ctx)
    put("x.png", "no picture, but a file")
    assert inputs(stage, ctx) != before
    assert said(convert(stage)) == {"x.png": [], "y.png": []}


def test_a_byte_order_mark_is_read_as_if_it_were_not_there(put: Any, convert: Any) -> None:
    put("t.csv", "file,id\na.png,1\n")
    put("1.txt", "\ufeffFINDINGS: Clear.\n")
    put("1.cfg", "\ufeffwords: Clear.\r\n")
    sections = TextFiles(column="words", path="{id}.txt", sections=("findings",))
    keys = TextFiles(column="whole", path="{id}.cfg", keys=("words",), missing="reject")
    for text in (sections, keys):
        assert said(convert(TableImages(**TABLE, texts=(text,), caption="words"))) == {"a.png": ["Clear."]}
