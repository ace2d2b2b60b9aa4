"""The demo's captions, made by its own pipelines file: none states what its labels do not state at that scope."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import polars as pl
import pytest

from captioning.template import VERSION
from captioning.truth import false_statements
from shards.manifest import Sample, read_part, samples

REPOSITORY = Path(__file__).parents[2]
FORBIDDEN = (
    # of every picture of the demo
    r"\bnormal\b",
    r"\bhealthy\b",
    r"\bno evidence of\b",
    r"\bunremarkable\b",
    r"\bnan\b",
    r"\bNone\b",
    r"\^",
    r"\d{4}",
    # the lesion of the liver is marked somewhere in its series, the fibroma is a diagnosis of the study
    r"\bshowing a lesion\b",
    r"\blesion seen\b",
    r"\bshowing a non-ossifying fibroma\b",
    r"\bfibroma of the distal tibia seen\b",
    # the template brain is an average of many people
    r"\bMNI152\b.*\b(?:patient|wom[ae]n|m[ae]n|person)\b",
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    folder = tmp_path_factory.mktemp("demo")
    shutil.copy(REPOSITORY / "pipelines.yaml", folder)
    shutil.copytree(REPOSITORY / "demo", folder / "demo")
    command = [str(Path(sys.executable).parent / "medloom"), "run", "demo", "--until", "caption", "--serial"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    parts = sorted((folder / "data" / "demo" / "caption" / "parts").glob("*.parquet"))
    return list(samples(pl.concat([read_part(part) for part in parts])))


def test_every_pair_has_a_text_and_no_text_is_false(demo: list[Sample]) -> None:
    assert len(demo) >= 600
    assert len({sample.modality for sample in demo}) >= 8
    assert all(sample.captions[0].text for sample in demo)
    vocabulary = sorted({label.name for sample in demo for label in sample.labels})
    assert [(sample.key, line) for sample in demo for line in false_statements(sample, vocabulary)] == []


def test_forbidden_sentences(demo: list[Sample]) -> None:
    ours = [caption.text for sample in demo for caption in sample.captions if caption.by != "source"]
    assert len(ours) >= 600
    found = [(pattern, text) for text in ours for pattern in FORBIDDEN if re.search(pattern, text)]
    assert found == []


def test_words_of_the_sources_are_kept_as_they_are(demo: list[Sample]) -> None:
    by = defaultdict(set)
    for sample in demo:
        by[sample.source] |= {caption.by for caption in sample.captions}
    assert by["scikit_image"] == by["stardist"] == {"source"}
    assert by["mni_t1"] == by["pydicom_data"] == {f"template@{VERSION}"}


def test_what_is_worded_of_each_kind_of_picture(demo: list[Sample]) -> None:
    texts = {source: [s.captions[0].text for s in demo if s.source == source] for source in {s.source for s in demo}}
    assert all(re.search(r"(axial|coronal|sagittal) .* of MNI152 space\.$", text) for text in texts["mni_t1"])
    assert all("MR image" not in text for text in texts["mni_tissue"])
    windows = {re.search(r"shown in a (\w+) window", text) for text in texts["pydicom_tests"]}
    assert {match[1] for match in windows if match} == {"brain", "subdural", "bone"}
    dicom = " ".join(texts["pydicom_data"]).lower()
    assert "from a study with a non-ossifying fibroma of the distal tibia" in dicom
    assert "from a scan with a lesion" in dicom
    assert "ultrasound video clip" in dicom
