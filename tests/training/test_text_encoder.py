"""Text encoders of both kinds, their identity, and that no model folder can run code."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from training.recipes import MINILM
from training.text_encoder import TextEncoder
from training.text_source import TextSource, weights_sha256

CPU = torch.device("cpu")
CAPTIONS = ["Axial MRI of the brain.", "An endoscopic image of a polyp in the colon.", "Axial MRI of the brain.", ""]


def test_minilm_is_pinned_and_embeds_what_transformers_embeds() -> None:
    from transformers import AutoModel, AutoTokenizer

    encoder = TextEncoder(MINILM, CPU)
    found = encoder.encode(CAPTIONS)
    assert encoder.width == 384
    assert encoder.sha256 == MINILM.sha256
    assert [tuple(each.shape) for each in found] == [(8, 384), (15, 384), (8, 384), (2, 384)]
    assert torch.equal(found[0], found[2])
    folder = MINILM.fetch()
    tokens = AutoTokenizer.from_pretrained(folder)(CAPTIONS, padding=True, return_tensors="pt")
    with torch.no_grad():
        padded = AutoModel.from_pretrained(folder)(**tokens).last_hidden_state
    for row, each in zip(padded, found, strict=True):
        torch.testing.assert_close(each.float(), row[: len(each)], atol=2e-3, rtol=0)


def test_clip_gives_its_text_tower(tmp_path: Path) -> None:
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    letters = [*"abcdefghijklmnopqrstuvwxyz", *(f"{letter}</w>" for letter in "abcdefghijklmnopqrstuvwxyz")]
    vocabulary = {token: number for number, token in enumerate([*letters, "<|startoftext|>", "<|endoftext|>"])}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt")).save_pretrained(tmp_path)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": vocabulary["<|startoftext|>"], "eos_token_id": vocabulary["<|endoftext|>"]}
    text = {**sizes, **ends, "vocab_size": len(vocabulary), "max_position_embeddings": 12}
    whole = CLIPModel(CLIPConfig(text_config=text, vision_config={**sizes, "image_size": 32, "patch_size": 16}))
    whole.eval().save_pretrained(tmp_path)
    encoder = TextEncoder(TextSource(name=str(tmp_path), max_tokens=8), CPU)
    (found,) = encoder.encode(["abc"])
    ids = torch.tensor([[ends["bos_token_id"], 0, 1, vocabulary["c</w>"], ends["eos_token_id"]]])
    with torch.no_grad():
        expected = whole.text_model(input_ids=ids).last_hidden_state[0]
    torch.testing.assert_close(found.float(), expected, atol=2e-3, rtol=0)
    assert not any("vision" in name for name, _ in encoder.model.named_parameters())


def test_captions_are_cut_at_max_tokens_and_no_more_is_asked_than_the_model_reads(bert: Path) -> None:
    encoder = TextEncoder(TextSource(name=str(bert), max_tokens=6), CPU)
    assert encoder.encode(["picture of the retina . " * 9])[0].shape == (6, 24)
    with pytest.raises(ValueError, match="max_tokens: 64 is more than the 40"):
        TextEncoder(TextSource(name=str(bert), max_tokens=64), CPU)


def test_weights_with_another_hash_are_refused(bert: Path) -> None:
    with pytest.raises(ValueError, match="text_encoder_sha256"):
        TextSource(name=str(bert), sha256="0" * 64).fetch()
    assert TextSource(name=str(bert), sha256=weights_sha256(bert)).fetch() == bert


def test_a_pickle_in_a_model_folder_runs_no_code(bert: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "was_here",)  # type: ignore[return-value]

    folder = tmp_path / "bad"
    shutil.copytree(bert, folder)
    (folder / "model.safetensors").unlink()
    torch.save({"weight": Trap()}, folder / "pytorch_model.bin")
    with pytest.raises((pickle.UnpicklingError, OSError), match=r"weights_only|state dict"):
        TextEncoder(TextSource(name=str(folder), max_tokens=8), CPU)
    assert not (tmp_path / "was_here").exists()


def test_a_plain_state_dict_is_read_where_there_is_no_safetensors(bert: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    folder = tmp_path / "old"
    shutil.copytree(bert, folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    old, new = (TextEncoder(TextSource(name=str(each), max_tokens=8), CPU) for each in (folder, bert))
    assert torch.equal(old.encode(["retina ."])[0], new.encode(["retina ."])[0])


def test_code_in_a_model_folder_is_not_run(bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "custom"
    shutil.copytree(bert, folder)
    config = json.loads((folder / "config.json").read_text())
    config.update({"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"}})
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'was_here')!r}, 'w')")
    with pytest.raises(ValueError, match=r"trust_remote_code|custom code"):
        TextEncoder(TextSource(name=str(folder), max_tokens=8), CPU)
    assert not (tmp_path / "was_here").exists()


def test_a_folder_without_a_model_and_odd_values_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        TextSource(name=str(tmp_path)).fetch()
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="safetensors"):
        weights_sha256(tmp_path)
    for wrong in ({"name": ""}, {"sha256": "abc"}, {"max_tokens": 1}):
        with pytest.raises(ValueError, match=r"text_encoder|max_tokens"):
            replace(MINILM, **wrong)  # type: ignore[arg-type]


def test_a_token_says_which_encoder_without_reading_it(bert: Path) -> None:
    assert MINILM.token() == MINILM.sha256
    assert TextSource(name="openai/clip-vit-large-patch14").token() == "openai/clip-vit-large-patch14@main"
    assert TextSource(name="openai/clip-vit-large-patch14").folder is None
    assert len(TextSource(name=str(bert)).token()) == 64
