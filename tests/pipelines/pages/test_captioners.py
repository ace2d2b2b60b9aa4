"""The terms on which models caption: read off records, told by `medloom explain` and the report, beside each index."""

from __future__ import annotations

import html as markup
import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from captioning.fill import FillCaptions
from captioning.hub_engine import HubEngine
from captioning.prompts import read_prompt
from captioning.server_engine import ServerEngine
from captioning.template import BY as TEMPLATE
from captioning.vlm import ModelRights
from pipelines.captioners import CAPTIONERS_NAME, captioner_of, read_captioners
from pipelines.explain import explain
from pipelines.options import plain
from pipelines.pool import SerialPool
from pipelines.records import Basis
from pipelines.report.page import report
from pipelines.run import RunOptions
from pipelines.run import run as run_pipeline
from pipelines.screen import Screen
from pipelines.show import select
from pipelines.spec import PipelineSpec, load
from shards.manifest import Sample
from shards.stage import Context

RIGHTS = ModelRights(license="Apache-2.0", evidence="its card")
MODEL = "vlm:acme/colour-4b@colour.2"
REFUSED = f"{MODEL}: answer_refuses"


def rows_of(spec: PipelineSpec, stage: str) -> dict[str, Sample]:
    return {s.sample.key: s.sample for s in select(spec.root / stage, 100).specimens}


def key_of(spec: PipelineSpec, modality: str) -> str:
    return next(key for key, sample in rows_of(spec, "model").items() if sample.modality == modality)


def words(text: str) -> str:
    return re.sub(r"\s+", " ", markup.unescape(re.sub(r"<[^>]+>", " ", text))).strip()


def test_explain_names_captioner_prompt_and_licence(sheet: PipelineSpec) -> None:
    line = (
        f"captioner {MODEL}: model acme/colour-4b at 0f3d, prompt colour.2, licence LicenseRef-acme "
        "(https://example.org/terms <3>)"
    )
    told = {link.stage: link for link in explain(sheet.file, key_of(sheet, "SM")).links}
    assert told["model"].did == (
        f"caption by {MODEL}: A stained picture. (try 1: answer_opening; shortened)",
        f"caption by {TEMPLATE} removed: A histology image.",
        line,
    )
    assert told["model"].facts["captioners"][0]["license"] == "LicenseRef-acme"
    assert [name for name, link in told.items() if line in link.did] == ["bare", "model"]
    refused = {link.stage: link.did for link in explain(sheet.file, key_of(sheet, "US")).links}
    assert refused["model"] == (f"caption by {TEMPLATE} stayed ({REFUSED})",)


def test_the_report_lists_who_wrote_on_what_terms(sheet: PipelineSpec, atlas: PipelineSpec) -> None:
    page = report(sheet)
    table = page[page.index("Who wrote the captions") : page.index("Modalities by split")]
    rows = [words(row) for row in re.findall(r"<tr>(<th scope=\"row\">.*?)</tr>", table)]
    said = [caption for sample in rows_of(sheet, "beside").values() for caption in sample.captions]
    counts = {by: sum(caption.by == by for caption in said) for by in (TEMPLATE, MODEL, "source")}
    assert counts == {TEMPLATE: 6, MODEL: 4, "source": 1}
    assert rows == [  # five samples are drawn 3 to 1, one has nothing but its template
        f"{TEMPLATE} 6 79.2 % none of its own: worded by medloom from metadata and labels –",
        f"{MODEL} 4 16.7 % LicenseRef-acme https://example.org/terms <3> acme/colour-4b at 0f3d",
        "source 1 4.2 % that of its pair –",
    ]
    assert "template@1 41" in words(report(atlas))


def test_the_terms_lie_beside_the_index_and_follow_the_options(sheet: PipelineSpec, tmp_path: Path) -> None:
    """Terms that are corrected change no caption and no shard: only what is said of them."""
    folder = tmp_path / "copy"
    shutil.copytree(sheet.folder, folder)
    (found,) = read_captioners(sheet.root / "pack")
    assert (found.by, found.license, found.evidence) == (MODEL, "LicenseRef-acme", "https://example.org/terms <3>")
    index = (sheet.root / "pack" / "index.json").read_bytes()
    file = folder / "pipelines.yaml"
    file.write_text(file.read_text().replace("LicenseRef-acme", "Apache-2.0"))
    ran = again(load(file, "sheet"))
    assert ran["model"] == 1
    assert ran["pack"] == ran["curate"] == 0
    (found,) = read_captioners(folder / "out" / "pack")
    assert found.license == "Apache-2.0"
    assert (folder / "out" / "pack" / "index.json").read_bytes() == index
    file.write_text(file.read_text().replace("from: [model], with: {allow", "from: [template], with: {allow"))
    again(load(file, "sheet"))
    assert not (folder / "out" / "pack" / CAPTIONERS_NAME).exists()


def again(spec: PipelineSpec) -> dict[str, int]:
    """Run a pipeline; units done by stage."""
    screen = Screen(quiet=True)
    ran = run_pipeline(spec, RunOptions(), lambda: SerialPool(screen.listen), screen)
    assert not ran.failed, ran.failed
    return ran.done


@pytest.mark.parametrize(
    ("engine", "by", "revision"),
    [
        (ServerEngine(kind="server", urls=("http://127.0.0.1/v1",), model="acme/m", rights=RIGHTS), "vlm:acme/m", ""),
        (HubEngine(kind="transformers", model="acme/m", revision="0f3d", rights=RIGHTS), "vlm:acme/m", "0f3d"),
        (HubEngine(kind="transformers", model="./Jane/m", rights=RIGHTS), "vlm:m", "a hash"),
    ],
)
def test_the_record_of_every_engine_names_its_captioner_and_no_folder(
    engine: ServerEngine | HubEngine, by: str, revision: str, tmp_path: Path
) -> None:
    (tmp_path / "Jane" / "m").mkdir(parents=True)
    (tmp_path / "Jane" / "m" / "config.json").write_text("{}")
    ctx = Context(root=tmp_path, out=tmp_path, tmp=tmp_path, folder=tmp_path)
    stage, prompt = FillCaptions(engine=engine), read_prompt(engine.prompt, ctx)
    basis = Basis(use="", version="3", params=plain(stage), key_id="", identity=stage.identity(ctx), inputs=())
    found = captioner_of(json.loads(json.dumps(asdict(basis))))
    assert found is not None
    assert found.by == f"{by}@{prompt.version}"
    assert (found.license, found.evidence, found.prompt) == ("Apache-2.0", "its card", prompt.version)
    assert re.fullmatch("[0-9a-f]{64}", found.revision) if revision == "a hash" else found.revision == revision
    assert "Jane" not in found.words()


def test_a_stage_without_terms_names_no_captioner(tmp_path: Path) -> None:
    ctx = Context(root=tmp_path, out=tmp_path, tmp=tmp_path, folder=tmp_path)
    stage = FillCaptions()
    basis = Basis(use="", version="3", params=plain(stage), key_id="", identity=stage.identity(ctx), inputs=())
    assert captioner_of(asdict(basis)) is None
    converter = {"params": {"rights": {"license": "CC0-1.0"}}, "identity": {}}  # the terms of data, not of words
    assert captioner_of(converter) is None


def test_a_damaged_list_of_terms_is_named(sheet: PipelineSpec, tmp_path: Path) -> None:
    (tmp_path / CAPTIONERS_NAME).write_text('[{"by": 1}]')
    with pytest.raises(ValueError, match=r"captioners\.json is damaged .*`medloom run` writes it again"):
        read_captioners(tmp_path)
