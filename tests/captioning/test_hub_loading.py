"""Which models are loaded, what they are known by, how they are asked, and what is refused with what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from captioning.hub_engine import HubEngine
from captioning.hub_model import load_model
from captioning.questions import Question, Reply, Sampling, Shown
from captioning.vlm import ModelRights
from shards.intake import Skip
from shards.stage import Context, UserError

GREY = Shown(pictures=(np.full((40, 40, 3), 90, np.uint8),))


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return Context(root=tmp_path, out=tmp_path / "out", tmp=tmp_path / "tmp", folder=tmp_path)


def engine(model: Path | str, **options: Any) -> HubEngine:
    return HubEngine(kind="transformers", model=str(model), rights=ModelRights(license="Apache-2.0"), **options)


def asked(text: str = "Describe this picture .", **options: Any) -> Question:
    return Question(show=lambda: GREY, text=text, sampling=Sampling(max_new_tokens=4), **options)


@dataclass
class One:
    """A talk of one question."""

    question: Question | None
    heard: Reply | Skip | None = None

    def hear(self, reply: Reply | Skip) -> None:
        self.question, self.heard = None, reply


def test_a_folder_is_known_by_what_is_in_it(tiny_model: Callable[[str], Path], ctx: Context, tmp_path: Path) -> None:
    first = tiny_model("llava-next")
    here = tmp_path / "other"
    here.mkdir()
    for path in first.iterdir():
        (here / path.name).write_bytes(path.read_bytes())
    known = engine(first).identity(ctx)["model"]
    assert engine("./other").identity(ctx)["model"] == known  # from the pipelines file's folder
    assert load_model(engine(first), ctx).facts["revision"] == known
    (here / "chat_template.jinja").write_text("another")
    assert engine(here).identity(ctx)["model"] != known


def test_a_model_of_a_hub_is_known_by_its_commit(
    tiny_model: Callable[[str], Path],
    ctx: Context,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "models--org--name"
    (cached / "snapshots").mkdir(parents=True)
    (cached / "snapshots" / commit).symlink_to(tiny_model("llava-next"))
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    moving = engine("org/name")
    assert moving.identity(ctx)["model"] == "main"
    assert load_model(moving, ctx).facts == {"model": "org/name", "revision": commit, "dtype": "float32"}
    assert commit in caplog.text
    caplog.clear()
    pinned = engine("org/name", revision=commit, dtype="bfloat16")
    assert pinned.identity(ctx)["model"] == commit
    halved = load_model(pinned, ctx)
    assert halved.facts == {"model": "org/name", "revision": commit, "dtype": "bfloat16"}
    one = One(asked())
    assert list(halved.answer([one])) == [one]
    assert isinstance(one.heard, Reply)
    assert not caplog.text


def spoilt(folder: Path, name: str, change: Callable[[Path], None], into: Path) -> Path:
    other = into / name
    other.mkdir()
    for path in folder.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    change(other)
    return other


def test_models_that_cannot_be_asked_are_refused_with_what_to_do(
    tiny_model: Callable[[str], Path], ctx: Context, tmp_path: Path
) -> None:
    whole = tiny_model("llava-next")

    def config(**values: Any) -> Callable[[Path], None]:
        def change(folder: Path) -> None:
            path = folder / "config.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

        return change

    def template(text: str) -> Callable[[Path], None]:
        return lambda folder: (folder / "chat_template.jinja").write_text(text) and None

    def pickled(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")

    def half(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        weights = load_file(folder / "model.safetensors")
        weights.pop(next(name for name in weights if "language_model" in name and "q_proj" in name))
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    def cut(folder: Path) -> None:
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    def without_a_shard(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
        places = {"lm_head.weight": "model-00002-of-00002.safetensors"}
        index = {"metadata": {"total_size": 1}, "weight_map": places}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    cases = {
        "cut": (cut, "are not whole"),
        "shard": (without_a_shard, "are not whole"),
        "config": (lambda folder: (folder / "config.json").write_text('{"model_type"'), "config.json is not whole"),
        "list": (lambda folder: (folder / "config.json").write_text("[]"), "config.json is not whole"),
        "syntax": (template("{% if %}"), "takes no question about a picture"),
        "choosy": (template("{{ raise_exception('never') }}"), "takes no question about a picture"),
        "none": (lambda folder: (folder / "config.json").unlink(), "no folder with a config.json"),
        "pickled": (pickled, "no safetensors"),
        "half": (half, "lacks 1 weights"),
        "code": (config(model_type="own", auto_map={"AutoConfig": "own.Own"}), "trust_remote_code: true"),
        "new": (config(model_type="own"), "pip install -U transformers"),
        "text": (config(model_type="bert", architectures=["BertModel"]), "AutoModelForImageTextToText"),
        "bare": (lambda folder: (folder / "preprocessor_config.json").unlink(), "no processor"),
        "mute": (lambda folder: (folder / "chat_template.jinja").unlink(), "no chat template"),
        "blind": (template("{{ messages[-1]['content'][-1]['text'] }}"), "no place for pictures"),
    }
    for name, (change, says) in cases.items():
        folder = spoilt(whole, name, change, tmp_path)  # type: ignore[arg-type]
        with pytest.raises(UserError, match=re.escape(says)):
            load_model(engine(folder), ctx)
    (tmp_path / "code" / "own.py").write_text("raise ValueError('their code ran')")
    with pytest.raises(UserError, match="their code ran"):
        load_model(engine(tmp_path / "code", trust_remote_code=True), ctx)
    with pytest.raises(UserError, match="not in the hub's cache"):
        load_model(engine("org/absent"), ctx)
    for moving in ("", "main", "v1.0", "0123abc"):
        with pytest.raises(ValueError, match="revision"):
            engine("org/name", trust_remote_code=True, revision=moving)
    engine("org/name", trust_remote_code=True, revision="0123456789abcdef0123456789abcdef01234567")


def test_a_systems_text_goes_where_the_template_has_room(
    tiny_model: Callable[[str], Path], ctx: Context, tmp_path: Path
) -> None:
    keeps = load_model(engine(tiny_model("llava-next")), ctx).chat
    question = asked(system="Be exact.", text="What?")
    assert keeps.text(question, 1, ()) == "<|system|> Be exact. <|user|><image> What? <|assistant|>"
    refuses = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}" + keeps.template
    folder = spoilt(
        tiny_model("llava-next"),
        "refuses",
        lambda folder: (folder / "chat_template.jinja").write_text(refuses) and None,
        tmp_path,
    )
    chat = load_model(engine(folder), ctx).chat
    assert chat.text(question, 1, ()) == "<|user|><image> Be exact.\n\nWhat? <|assistant|>"
    timed = chat.text(asked(text="What?"), 2, (0.0, 0.5))
    expected = " Frame 1 of 2, at 0.00 s: <image> Frame 2 of 2, at 0.50 s: <image> What? "
    assert timed == f"<|user|>{expected}<|assistant|>"
