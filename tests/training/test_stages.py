"""The three stages of the floor on real pictures, and what they give."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from shards.index import read_index
from shards.stage import Cancelled, Context, Output
from training.families.table import FAMILIES, family_class
from training.family import Family
from training.inputs import text_of
from training.log import read_log
from training.model_folder import read_model
from training.recipes import RECIPES, recipe_named
from training.train import Train
from training.train_vae import TrainVae
from training.trained_on import samples_hash


def test_autoencoder_learns_and_logs(vae: Output) -> None:
    lines = [line for line in read_log(vae.path) if "loss" in line]
    assert lines[-1]["samples"] == 256
    assert {"l1", "gradient", "mse", "ssim", "kl", "samples_per_s", "lr"} <= set(lines[-1])
    assert lines[-1]["loss"] < 0.7 * lines[0]["loss"]
    assert any("val_loss" in line for line in read_log(vae.path))
    assert list((vae.path / "tensorboard").iterdir())
    assert list((vae.path / "previews").glob("*.png"))


def test_model_folder(model: Output, vae: Output) -> None:
    found = read_model(model.path)
    assert found.content == model.content
    assert {path.name for path in found.folder.iterdir()} == {"vae", "unet", "scheduler", "medloom.json"}
    assert found.record["shape"]["text"]["sha256"]
    for config in found.folder.rglob("*.json"):
        assert str(model.path.parent) not in config.read_text().replace(found.record["shape"]["text"]["name"], "")
    assert found.record["latents"] == read_model(vae.path).record["latents"]
    assert [line["samples"] for line in read_log(model.path) if "loss" in line] == list(range(8, 65, 8))


def test_pixel_shards_teach_what_latents_shards_teach(
    runner: Any, pictures: Output, vae: Output, model: Output, bert: Path
) -> None:
    stage = Train(recipe="msdm-tiny", samples=64, text_encoder=str(bert), max_tokens=16, accumulate=2, workers=2)
    online = runner.job(stage, [pictures, vae], "online")
    ours, theirs = ([line["loss"] for line in read_log(each.path) if "loss" in line] for each in (model, online))
    # stored latents and embeddings are float16, and a batch of pictures may round otherwise than another
    assert theirs == pytest.approx(ours, abs=2e-3)
    records = [read_model(each.path).record for each in (model, online)]
    assert records[0]["shape"] == records[1]["shape"]


@pytest.mark.parametrize(
    "options",
    [
        {"prediction": "epsilon", "zero_terminal_snr": False, "min_snr_gamma": 5.0, "loss": "l1"},
        {"prediction": "x0", "pixel_weight": 0.5, "pixel_every_samples": 16},
        {"precision": "bf16", "decay": "cosine", "ema_halflife_samples": 0.0},
    ],
)
def test_other_processes_terms_and_precisions_learn(
    runner: Any, latents: Output, vae: Output, options: dict[str, Any]
) -> None:
    name = "-".join(options)
    out = runner.job(Train(recipe="msdm-tiny", samples=64, **options), [latents, vae], name)
    lines = [line for line in read_log(out.path) if "loss" in line]
    assert lines[-1]["loss"] < lines[0]["loss"]
    pixel = [line["samples"] for line in lines if "pixel_l1" in line]
    assert pixel == ([8, 24, 40, 56] if "pixel_weight" in options else [])
    config = json.loads((out.path / "model" / "scheduler" / "scheduler_config.json").read_text())
    assert config["prediction_type"] == {"epsilon": "epsilon", "x0": "sample"}.get(
        options.get("prediction"), "v_prediction"
    )
    if options.get("ema_halflife_samples") == 0.0:
        folder = out.path / "checkpoints" / f"{64:012d}"
        assert (folder / "net.safetensors").read_bytes() == (folder / "average.safetensors").read_bytes()


def test_an_autoencoder_in_bfloat16_has_the_loss_of_one_in_float32(runner: Any, pictures: Output) -> None:
    lines = {}
    for precision in ("fp32", "bf16"):
        stage = TrainVae(recipe="msdm-tiny", samples=64, precision=precision, ssim=1.0)  # type: ignore[arg-type]
        out = runner.job(stage, [pictures], f"vae_{precision}")
        lines[precision] = [line for line in read_log(out.path) if "loss" in line]
    for name in ("ssim", "mse", "l1"):
        ours, theirs = ([line[name] for line in lines[precision]] for precision in ("bf16", "fp32"))
        assert ours == pytest.approx(theirs, rel=0.05, abs=0.01), name
    assert lines["bf16"] != lines["fp32"]  # the network itself is in bfloat16


def test_options_of_the_loop_reach_it(runner: Any, latents: Output, vae: Output) -> None:
    options: dict[str, Any] = {
        "betas": (0.8, 0.9),
        "clip_norm": 0.5,
        "held_out_samples": 0,
        "keep_checkpoints": 3,
        "checkpoint_every_samples": 8,
    }
    for stage in (Train(recipe="msdm-tiny", **options), TrainVae(recipe="msdm-tiny", **options)):
        settings = stage.settings()
        assert {name: getattr(settings, name) for name in options} == options
    out = runner.job(Train(recipe="msdm-tiny", samples=64, **options), [latents, vae], "options")
    assert len(list((out.path / "checkpoints").iterdir())) == 3
    assert not [line for line in read_log(out.path) if "val_loss" in line]


def test_a_model_says_which_samples_it_was_trained_on(
    pictures: Output, latents: Output, vae: Output, model: Output, make_shards: Any
) -> None:
    """Latents and the pictures that they were made of are the same samples; others are not."""
    found = {name: samples_hash(read_index(each.path)) for name, each in (("pixel", pictures), ("latent", latents))}
    assert found["pixel"] == found["latent"]
    assert read_model(vae.path).record["trained_on"] == {"autoencoder": found["pixel"]}
    assert read_model(model.path).record["trained_on"] == {"autoencoder": found["pixel"], "denoiser": found["pixel"]}
    fewer = make_shards("fewer", train=39)
    other = make_shards("recaptioned", change=lambda number, parts: {**parts, "json": parts["json"] + b" "})
    assert len({found["pixel"], *(samples_hash(read_index(each.path)) for each in (fewer, other))}) == 3
    held_out = make_shards("more_held_out", val=9)
    assert samples_hash(read_index(held_out.path)) == found["pixel"]


def test_mistakes_are_named_with_what_to_do(
    runner: Any, pictures: Output, latents: Output, vae: Output, model: Output, bert: Path
) -> None:
    def fails(stage: Any, inputs: list[Output], match: str) -> None:
        with pytest.raises(ValueError, match=match):
            runner.job(stage, inputs, "mistake")

    fails(Train(recipe="msdm-tiny"), [vae], "exactly one input that gives latents or shards")
    fails(Train(recipe="msdm-tiny"), [latents, pictures, vae], "latents, pictures")
    fails(Train(recipe="msdm-tiny", max_tokens=20), [latents, vae], "encode stage")
    fails(Train(recipe="msdm-demo"), [latents, vae], "at 32 px and this recipe is msdm at 64 px")
    fails(Train(recipe="msdm-demo"), [pictures, vae], "another recipe")
    fails(TrainVae(recipe="msdm-demo"), [pictures], r"preset: square-64.*, or take a recipe of that size")
    fails(TrainVae(recipe="msdm-tiny", batch=64), [pictures], "smaller batch")
    fails(TrainVae(recipe="msdm-tiny", processes=0), [pictures], "processes")
    other = runner.job(TrainVae(recipe="msdm-tiny", samples=16, seed=1), [pictures], "other_vae")
    fails(Train(recipe="msdm-tiny"), [latents, other], "another autoencoder")
    with pytest.raises(ValueError, match="caption_dropout"):
        Train(caption_dropout=1.5)
    with pytest.raises(ValueError, match="write `prediction: v`"):
        Train(prediction="epsilon")
    with pytest.raises(ValueError, match="no model family"):
        family_class("dalle")


def test_a_broken_picture_is_replaced_and_training_goes_on(
    runner: Any, make_shards: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def spoil(number: int, members: dict[str, bytes]) -> dict[str, bytes]:
        return {**members, "png": b"not a picture"} if number == 3 else members

    shards = make_shards("one_bad", train=16, val=0, change=spoil)
    out = runner.job(TrainVae(recipe="msdm-tiny", samples=32), [shards], "one_bad_vae")
    assert "train-00003" in caplog.text
    assert [line["samples"] for line in read_log(out.path)] == [8, 16, 24, 32]  # and no look, for want of `val`


def test_previews_are_marked(model: Output) -> None:
    (path,) = (model.path / "previews").glob("*.png")
    with Image.open(path) as picture:
        assert picture.text["synthetic"] == "true"
        assert picture.size == (8 * 32, 32)


def test_another_text_encoder_takes_no_hash_from_the_recipe() -> None:
    recipe = recipe_named("msdm-demo")
    assert text_of(recipe, Train(recipe="msdm-demo")).sha256
    assert text_of(recipe, Train(recipe="msdm-demo", text_encoder="openai/clip-vit-large-patch14")).sha256 == ""
    given = Train(recipe="msdm-demo", text_encoder="./here", text_encoder_sha256="a" * 64)
    assert text_of(recipe, given).sha256 == "a" * 64
    ctx = Context(root=Path("/r"), out=Path("/r"), tmp=Path("/r"), folder=Path("/r"))
    assert set(given.identity(ctx)) == {"recipe", "text_encoder"}


def test_families_in_the_table_have_what_a_family_needs() -> None:
    needed = [name for name in vars(Family) if not name.startswith("_")]
    for name in FAMILIES:
        found = family_class(name)
        missing = [each for each in needed if not hasattr(found, each)]
        assert not missing
        assert callable(found.on_autoencoder)
        assert callable(found.opened)
    assert {recipe.family for recipe in RECIPES.values()} <= set(FAMILIES)


def test_reading_the_stages_loads_nothing_heavy() -> None:
    script = (
        "import sys, training.train, training.train_vae, training.encode\n"
        "training.train.Train(), training.train_vae.TrainVae(), training.encode.Encode()\n"
        "bad = {'torch', 'diffusers', 'transformers', 'safetensors', 'cv2', 'av', 'PIL'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_bfloat16_on_a_gpu_resumes_to_the_bit(runner: Any, latents: Output, vae: Output) -> None:
    stage = Train(recipe="msdm-tiny", samples=64, precision="bf16")
    whole = runner.job(stage, [latents, vae], "gpu_whole")
    asked = iter([False] * 3 + [True] * 100)
    with pytest.raises(Cancelled):
        runner.job(stage, [latents, vae], "gpu_again", is_cancelled=lambda: next(asked))
    assert runner.job(stage, [latents, vae], "gpu_again").content == whole.content
