"""`medloom show --captions`: everything said of a sample and by whom, the terms of models, and nobody's name."""

from __future__ import annotations

import html as markup
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from captioning.template import BY as TEMPLATE
from pipelines.caption_changes import changes
from pipelines.caption_history import history, stage_of
from pipelines.caption_sheet import rejects, write_sheet
from pipelines.report.writers import counted
from pipelines.show import parse_where, select, spread
from pipelines.spec import PipelineSpec
from shards.manifest import Caption, Sample, frame, read_part, samples, write_part

MODEL = "vlm:acme/colour-4b@colour.2"
REFUSED = f"{MODEL}: answer_refuses"


@pytest.fixture(scope="module")
def sheets(sheet: PipelineSpec, tmp_path_factory: pytest.TempPathFactory) -> Sheets:
    """The sheet of each stage, written once."""
    return Sheets(sheet.root, tmp_path_factory.mktemp("sheets"))


class Sheets(dict[str, str]):
    """Sheets by stage."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder

    def __missing__(self, stage: str) -> str:
        self[stage] = sheet_of(self.root / stage, self.folder)
        return self[stage]


def sheet_of(path: Path, folder: Path) -> str:
    out = folder / "sheet.html"
    write_sheet(select(path, 100), (), out)
    return out.read_text()


def part_of(spec: PipelineSpec, folder: Path, **columns: pl.Expr) -> Path:
    """One row of the model's stage, elsewhere, with some of its columns changed."""
    (part,) = (spec.root / "model" / "parts").glob("*.parquet")
    rows = read_part(part).filter(pl.col("modality") == "SM").with_columns(**columns)
    write_part(rows, folder / "part.parquet")
    return folder / "part.parquet"


def rows_of(spec: PipelineSpec, stage: str) -> dict[str, Sample]:
    return {s.sample.key: s.sample for s in select(spec.root / stage, 100).specimens}


def key_of(spec: PipelineSpec, modality: str) -> str:
    return next(key for key, sample in rows_of(spec, "model").items() if sample.modality == modality)


def words(text: str) -> str:
    return re.sub(r"\s+", " ", markup.unescape(re.sub(r"<[^>]+>", " ", text))).strip()


def entries(page: str) -> dict[str, str]:
    return dict(re.findall(r'<article class="said" aria-labelledby="([^"]+)">(.*?)</article>', page, re.DOTALL))


def voices(entry: str) -> dict[str, str]:
    """The words under each heading of an entry."""
    block = entry[entry.index('<div class="voices">') :]
    block = block[: min(block.index(end) for end in ('<ul class="gone">', "<dl>") if end in block)]
    return {name: words(text) for name, text in re.findall(r"<h4>(\w+)</h4>(.*?)</div>", block, re.DOTALL)}


def test_captions_stand_side_by_side_with_weight_terms_and_remarks(sheet: PipelineSpec, sheets: Sheets) -> None:
    shown, rows = entries(sheets["beside"]), rows_of(sheet, "beside")
    assert shown.keys() == rows.keys()
    key = key_of(sheet, "SM")
    template = rows[key].captions[1]
    assert voices(shown[key]) == {
        "source": "no caption",
        "template": f"{template.text} by {TEMPLATE}, weight 3, 75 % of the draws",
        "model": f"A stained picture. by {MODEL}, weight 1, 25 % of the draws, licence LicenseRef-acme "
        "try 1: answer_opening : the answer does not begin as the prompt asks shortened",
    }
    key = key_of(sheet, "OP")
    template = rows[key].captions[1]
    assert voices(shown[key]) == {
        "source": "A fundus photograph. by source, weight 1, 25 % of the draws",
        "template": f"{template.text} by {TEMPLATE}, weight 3, 75 % of the draws",
        "model": "no caption",
    }
    refused = voices(shown[key_of(sheet, "US")])
    assert refused["template"].endswith(f"{REFUSED} : the model refused, or spoke of itself")
    assert refused["model"] == "no caption"


def test_metadata_and_labels_stand_beside_the_picture(sheet: PipelineSpec, sheets: Sheets, tmp_path: Path) -> None:
    told = words(entries(sheets["beside"])[key_of(sheet, "OP")])
    for fact in ("modality OP", "specialty ophthalmology", "licence CC0-1.0", "label drusen absent (image, expert)"):
        assert fact in told
    known = pl.lit(json.dumps({"age": 64, "body_part": "chest"}))
    assert "age 64 body part chest" in words(sheet_of(part_of(sheet, tmp_path, attributes=known), tmp_path))


def test_a_clip_is_a_few_frames_with_their_times(sheet: PipelineSpec, sheets: Sheets) -> None:
    clip = entries(sheets["beside"])[key_of(sheet, "US")]
    places = ["frame 1 of 30, 0.0 s", "frame 10 of 30, 0.3 s", "frame 20 of 30, 0.6 s", "frame 30 of 30, 1.0 s"]
    assert re.findall(r"<figcaption>(.*?)</figcaption>", clip) == places
    alts = re.findall(r'alt="([^"]+)"', clip)
    assert alts == [f"ultrasound image, {place}, sample {key_of(sheet, 'US')}" for place in places]
    urls = re.findall(r'src="([^"]+)"', clip)
    assert len(set(urls)) == 4


def test_what_a_later_stage_replaced_is_told_with_who_may(sheet: PipelineSpec, sheets: Sheets) -> None:
    before, after = rows_of(sheet, "template"), rows_of(sheet, "model")
    for stage in ("model", "curate"):  # one that replaced, and one that read the whole of it
        found = entries(sheets[stage])
        assert len(found) == len(rows_of(sheet, stage))
        for key, entry in found.items():
            gone = [words(line) for line in re.findall(r"<li>(Replaced.*?)</li>", entry)]
            left = {caption.text for caption in after[key].captions}
            assert gone == [
                f"Replaced by {MODEL} in model ( replace: template ): {caption.text} by {TEMPLATE}"
                for caption in before[key].captions
                if caption.text not in left
            ]
        assert sum("Replaced by" in entry for entry in found.values()) == len(found) - 2
    assert "Replaced by" not in sheets["beside"]  # the template put its captions back


def test_a_stage_that_changed_since_is_not_taken_for_what_the_rows_came_from(
    sheet: PipelineSpec, tmp_path: Path
) -> None:
    shown = [specimen.sample for specimen in select(sheet.root / "model", 100).specimens]
    for name in ("template", "model"):
        shutil.copytree(sheet.root / name, tmp_path / name)
    known = history(tmp_path / "model", shown)
    assert sum(map(len, known.replaced.values())) == 5
    shutil.rmtree(tmp_path / "template")
    shutil.copytree(sheet.root / "bare", tmp_path / "template")  # done again with another captioner
    known = history(tmp_path / "model", shown)
    assert known.is_known
    assert sum(map(len, known.replaced.values())) == 0


def test_rejects_of_the_stage_are_counted_by_reason_and_their_details_kept_back(
    sheet: PipelineSpec, sheets: Sheets
) -> None:
    page = sheets["bare"]
    table = words(page[page.index("Rejected by this stage") : page.index("names the items")])
    assert table.startswith("Rejected by this stage, of 7 offered reason items what it means answer_refuses 1 The ")
    details = pl.concat([pl.read_parquet(path) for path in (sheet.root / "bare" / "rejects").glob("*")])
    assert details["detail"].to_list() == ["said to Jane Doe"]
    assert "Jane" not in page
    assert not any(item in page for item in details["item"])
    assert "Nothing was rejected of 7 offered" in words(sheets["model"])
    assert rejects(sheet.root / "bare" / "parts") is rejects(sheet.root / "pack") is rejects(sheet.root) is None


def test_remarks_and_writers_are_counted_over_all_samples(sheet: PipelineSpec, tmp_path: Path) -> None:
    out = tmp_path / "one.html"
    write_sheet(select(sheet.root / "model", 1), (), out)
    told = words(out.read_text())
    said = [caption for sample in rows_of(sheet, "model").values() for caption in sample.captions]
    checks = [check for caption in said for check in caption.checks]
    assert f"shortened {checks.count('shortened')}" in told
    assert f"{REFUSED} {checks.count(REFUSED)} The model refused" in told
    by_model = sum(caption.by == MODEL for caption in said)
    assert by_model == 5
    share = f"{100 * by_model / 7:.1f} %"
    assert f"{MODEL} {by_model} {share} LicenseRef-acme https://example.org/terms <3> acme/colour-4b at 0f3d" in told
    assert "source 1 14.3 % that of its pair" in told


@pytest.mark.parametrize(
    ("where", "modalities"),
    [
        (("captions.checks=*",), {"SM", "GM", "CT", "US", "CR", "XC"}),
        (("captions.checks=try 1:*",), {"SM"}),
        ((f"captions.checks={REFUSED}",), {"US"}),
        (("captions.by=vlm:*",), {"SM", "GM", "CT", "CR", "XC"}),
        (("captions.by=vlm:*", "license=MIT"), {"CT", "CR"}),
        (("captions.by=vlm:acme/colour-4b@colour",), set()),
        (("captions.checks=short",), set()),
        (("split=*",), set()),  # none has one yet
        (("specialty=*",), {"OP", "SM", "GM", "CT", "US", "CR", "XC"}),
    ],
)
def test_samples_with_remarks_can_be_asked_for(
    sheet: PipelineSpec, where: tuple[str, ...], modalities: set[str]
) -> None:
    found = select(sheet.root / "model", 100, parse_where(where)).specimens
    assert {specimen.sample.modality for specimen in found} == modalities


def test_captions_without_text_count_for_nothing(sheet: PipelineSpec, tmp_path: Path) -> None:
    """Packing drops them; where all weights are 0 the first is drawn."""
    source, template = Caption(text="Tissue.", by="source"), Caption(text="A picture.", by=TEMPLATE, weight=3.0)
    blank = Caption(text="  ", by=MODEL, weight=4.0)
    (row,) = samples(read_part(part_of(sheet, tmp_path)))
    said = [
        (blank, source, template),
        (replace(source, weight=0.0), replace(template, weight=0.0)),
        (blank,),
        (),
    ]
    part = tmp_path / "part.parquet"
    write_part(frame([replace(row, key=f"k{at}", captions=captions) for at, captions in enumerate(said)]), part)
    assert counted([part]).rows() == [("source", 2, 0.625), (TEMPLATE, 2, 0.375)]
    assert counted([part, part]).rows() == counted([part]).rows()
    assert voices(entries(sheet_of(part, tmp_path))["k0"]) == {
        "source": "Tissue. by source, weight 1, 25 % of the draws",
        "template": f"A picture. by {TEMPLATE}, weight 3, 75 % of the draws",
        "model": "no caption",
    }


def test_a_caption_that_stays_is_told_with_new_remarks_alone() -> None:
    old = Caption(text="A.", by="source", checks=("first",))
    assert changes([old], [old]) == []
    assert changes([old], [replace(old, checks=("first", "second"))]) == ["caption by source stayed (second)"]
    assert changes([], [old]) == ["caption by source: A. (first)"]
    assert changes([old], []) == ["caption by source removed: A."]


def test_another_seed_gives_others(sheet: PipelineSpec) -> None:
    few = [[s.sample.key for s in select(sheet.root / "model", 3, seed=seed).specimens] for seed in (0, 1, 2, 3, 4, 1)]
    assert few[1] == few[5]
    assert len({tuple(keys) for keys in few}) > 2
    keys = [str(number) for number in range(50)]
    assert sorted(spread(keys, 7)) == sorted(keys)
    assert spread(keys, 7) != spread(keys)


def test_the_page_stands_alone_escapes_and_names_nobody(sheet: PipelineSpec, sheets: Sheets) -> None:
    for html in (sheets["beside"], sheets["bare"], sheets["pack"]):
        assert "A &lt;b&gt;grey&lt;/b&gt; picture." in html
        assert "<b>grey" not in html
        assert all(url.startswith("data:") for url in re.findall(r'(?:src|href)="([^"]*)"', html))
        assert "default-src 'none'" in html
        assert "<script" not in html
        assert not re.search(r"Mary|Major|Jane|Doe\b|Roe\b", html)
        assert "package://" not in html
        assert str(sheet.root) not in html
        assert all(re.findall(r'<img [^>]*alt="([^"]*)"', html))
        assert html.count("<img ") == len(re.findall(r'<img [^>]*alt="[^"]+"', html)) > 0
        levels = [int(level) for level in re.findall(r"<h([1-6])", html)]
        assert levels[:2] == [1, 2]
        assert all(after - before <= 1 for before, after in pairwise(levels))
        names = re.findall(r' id="([^"]+)"', html)
        assert len(names) == len(set(names))
        assert all('scope="' in cell for cell in re.findall(r"<th[ >][^>]*", html))


def test_a_shard_set_shows_the_captions_of_its_manifest_and_the_terms_beside_its_index(
    sheet: PipelineSpec, sheets: Sheets, tmp_path: Path
) -> None:
    packed, rows = entries(sheets["pack"]), rows_of(sheet, "beside")
    assert len(packed) == 5
    for key, entry in packed.items():
        said = voices(entry)
        for caption in rows[key].captions:
            column = {"source": "source", TEMPLATE: "template", MODEL: "model"}[caption.by]
            assert said[column].startswith(f"{caption.text} by {caption.by}, weight {caption.weight:g}")
    assert sum("licence LicenseRef-acme" in entry for entry in packed.values()) == 4
    copied = tmp_path / "published"
    shutil.copytree(sheet.root / "pack", copied)
    assert "licence LicenseRef-acme" in sheet_of(copied, tmp_path)
    (tar,) = copied.rglob("*.tar")
    alone = sheet_of(tar, tmp_path)
    assert "licence not stated" in alone
    assert "are kept in the manifest that was packed" in alone


def test_parts_that_lie_elsewhere_say_what_is_not_known_there(
    sheet: PipelineSpec, sheets: Sheets, tmp_path: Path
) -> None:
    page = words(sheet_of(part_of(sheet, tmp_path), tmp_path))
    assert "not known here" in page
    assert "licence not stated" in page
    assert "not known here" not in sheets["model"]
    (part,) = (sheet.root / "model" / "parts").glob("*.parquet")
    for path in (part, part.parent, part.parent.parent):
        found = stage_of(path)
        assert found is not None
        assert found.path == sheet.root / "model"
    (tar,) = (sheet.root / "pack").rglob("*.tar")
    assert {stage_of(path) for path in (tar, sheet.root / "pack", sheet.root)} == {None}


def test_what_cannot_be_shown_says_why(sheet: PipelineSpec, tmp_path: Path) -> None:
    gone = pl.col("media").struct.with_fields(uri=pl.lit("/nowhere/Jane-Doe.png"))
    page = sheet_of(part_of(sheet, tmp_path, media=gone), tmp_path)
    assert "Not shown: the file named by the row does not exist." in page
    assert "Jane" not in page


def test_the_command_writes_a_sheet(sheet: PipelineSpec, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from pipelines.cli import main; main()", "show", str(sheet.root / "model")]
    options = ["--captions", "--where", "captions.checks=try*", "--seed", "2"]
    done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("1 of 1 samples\nsee captions.html\n")
    page = (tmp_path / "captions.html").read_text()
    assert list(entries(page)) == [key_of(sheet, "SM")]
    assert "1 of 1 samples with captions.checks=try*, out of 7." in words(page)


LOOK = """({beyond_px: document.scrollingElement.scrollWidth - innerWidth,
 pictures: [...document.images].map(image => image.naturalWidth * image.naturalHeight),
 bold: document.querySelectorAll('.text b').length})"""


@pytest.mark.browser
def test_in_a_browser(sheets: Sheets, browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "captions.html"
    path.write_text(sheets["model"])
    for width_px, scheme in ((1280, "light"), (390, "dark")):
        seen = browser.look(path, LOOK, width_px, scheme)
        assert seen.requests
        assert seen.foreign == seen.complaints == []
        assert len(seen.value["pictures"]) == 10
        assert min(seen.value["pictures"]) > 0
        assert seen.value["beyond_px"] <= 0
        assert seen.value["bold"] == 0
