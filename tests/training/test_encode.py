"""Latents shards: the same samples, the same bytes each time, and what is bad is named."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from shards.index import read_index
from shards.reader import read_split
from shards.shard_plan import Place
from shards.stage import Context, Kind, Output, UserError
from training.encode import Encode, numbered
from training.families.msdm import Msdm
from training.latents import read_condition, unpack_latents
from training.model_folder import read_model
from training.pixels import decode_picture, signed
from training.recipes import recipe_named
from training.sources import open_source
from training.text_encoder import TextEncoder
from training.text_source import weights_sha256


def stage(bert: Path) -> Encode:
    return Encode(recipe="msdm-tiny", text_encoder=str(bert), max_tokens=16)


def files(output: Output) -> dict[str, bytes]:
    return {
        path.relative_to(output.path).as_posix(): path.read_bytes()
        for path in sorted(output.path.rglob("*"))
        if path.suffix in (".tar", ".safetensors")
    }


def test_every_sample_keeps_its_record_and_each_caption_has_its_condition(pictures: Output, latents: Output) -> None:
    index = read_index(latents.path)
    assert index.splits == read_index(pictures.path).splits
    assert index.media == "safetensors"
    before = {sample.key: sample.members for sample in read_split(pictures.path, "train")}
    for sample in read_split(latents.path, "train"):
        assert sample.members["json"] == before[sample.key]["json"]
        stored, conditions = unpack_latents(sample.members["safetensors"], sample.key)
        assert {name: tuple(value.shape) for name, value in stored.items()} == {"mean": (4, 8, 8), "std": (4, 8, 8)}
        assert all(value.dtype == torch.float16 for value in stored.values())
        assert len(conditions) == 2
        # unpadded: "[CLS] colour fundus photograph of the retina . [SEP]" and four tokens more
        lengths = [condition["text"].shape[0] for condition in conditions]
        assert lengths[1] > lengths[0]
        assert lengths[0] in (8, 9)


def test_latents_are_standard_and_decode_to_the_picture(pictures: Output, latents: Output, vae: Output) -> None:
    from diffusers import AutoencoderKL

    stock = AutoencoderKL.from_pretrained(vae.path / "model" / "vae").eval()
    means, variances = [], []
    pixels = {sample.key: sample.members for sample in read_split(pictures.path, "train")}
    for sample in read_split(latents.path, "train"):
        stored, _ = unpack_latents(sample.members["safetensors"], sample.key)
        means.append(stored["mean"].float())
        variances.append(stored["std"].float() ** 2)
        picture = signed(torch.from_numpy(decode_picture(pixels[sample.key], sample.key).copy())[None])
        with torch.no_grad():
            whole = stock(picture).sample
            torch.testing.assert_close(stock.decode(means[-1][None]).sample, whole, atol=5e-3, rtol=0)
    drawn = torch.stack(means)
    assert drawn.mean(dim=(0, 2, 3)).abs().max() < 0.05
    variance = drawn.var(dim=(0, 2, 3)) + torch.stack(variances).mean(dim=(0, 2, 3))  # of a drawn latent
    assert variance.tolist() == pytest.approx([1] * 4, abs=0.05)


def test_the_same_shards_give_the_same_bytes(
    runner: Any, pictures: Output, vae: Output, latents: Output, bert: Path
) -> None:
    again = runner.build(stage(bert), [pictures, vae], "latents_again")
    assert files(again) == files(latents)
    assert again.content == latents.content


def test_online_encoding_gives_what_the_shards_hold(pictures: Output, latents: Output, vae: Output, bert: Path) -> None:
    shape = stage(bert).shape(Context(root=bert, out=bert, tmp=bert, folder=bert))
    family = Msdm.on_autoencoder(shape, read_model(vae.path), torch.device("cpu"))
    null, facts = read_condition(latents.path / read_index(latents.path).encoding["empty_caption"]["path"])
    assert torch.equal(null["text"], family.encode_texts([""])[0]["text"])
    assert facts == {"vae": vae.content, "text_encoder_sha256": family.text.sha256}
    sample = next(read_split(latents.path, "train"))
    captions = [caption["text"] for caption in json.loads(sample.members["json"])["captions"]]
    _, conditions = unpack_latents(sample.members["safetensors"], sample.key)
    for ours, theirs in zip(family.encode_texts(captions), conditions, strict=True):
        torch.testing.assert_close(ours["text"], theirs["text"], atol=2e-3, rtol=0)


def test_each_caption_keeps_its_own_condition_in_whatever_order_they_stand(
    runner: Any, make_shards: Any, vae: Output, bert: Path
) -> None:
    """Training takes the n-th condition for the n-th caption, and its weight."""

    def turned(number: int, members: dict[str, bytes]) -> dict[str, bytes]:
        captions = json.loads(members["json"])["captions"]
        return {**members, "json": json.dumps({"captions": captions[:: -1 if number % 2 else 1]}).encode()}

    shards = make_shards("turned", train=4, val=0, change=turned)
    encoder = TextEncoder(stage(bert).source(), torch.device("cpu"))
    for sample in read_split(runner.build(stage(bert), [shards, vae], "latents_turned").path, "train"):
        texts = [caption["text"] for caption in json.loads(sample.members["json"])["captions"]]
        _, conditions = unpack_latents(sample.members["safetensors"], sample.key)
        for alone, found in zip(encoder.encode(texts), conditions, strict=True):
            torch.testing.assert_close(alone, found["text"], atol=2e-3, rtol=0)


def test_what_does_not_decode_is_a_named_reject(runner: Any, make_shards: Any, vae: Output, bert: Path) -> None:
    def spoil(number: int, members: dict[str, bytes]) -> dict[str, bytes]:
        return {**members, "png": members["png"][:200]} if number == 3 else members

    bad = make_shards("bad", train=16, val=0, change=spoil)
    ctx = Context(root=runner.root, out=runner.root / "bad", tmp=runner.root, folder=runner.root)
    ctx.out.mkdir(exist_ok=True)
    encode = stage(bert)
    with encode.open(ctx) as worker:
        (unit,) = encode.plan([bad, vae], ctx)
        result = worker.process(unit)
    assert (result.offered, result.accepted) == (16, 15)
    assert [(reject.item, reject.reason) for reject in result.rejects] == [("train-00003", "corrupt")]


def test_pictures_of_another_size_stop_the_stage_with_what_to_do(
    runner: Any, pictures: Output, vae: Output, bert: Path
) -> None:
    ctx = Context(root=runner.root, out=runner.root / "demo_size", tmp=runner.root, folder=runner.root)
    ctx.out.mkdir(exist_ok=True)
    encode = Encode(recipe="msdm-demo", text_encoder=str(bert), max_tokens=16)
    with encode.open(ctx) as worker, pytest.raises(UserError, match="another recipe"):
        worker.process(encode.plan([pictures, vae], ctx)[0])


def test_a_changed_shard_gets_a_new_revision_and_the_others_stay(
    runner: Any, make_shards: Callable[..., Output], vae: Output, bert: Path
) -> None:
    first = make_shards("grows", train=32, val=0)
    before = runner.build(stage(bert), [first, vae], "growing")
    planned = {unit.inputs for unit in stage(bert).plan([first, vae], _context(runner, "growing"))}
    old = {shard.path: shard.sha256 for shard in read_index(before.path).shards}

    def recaption(number: int, members: dict[str, bytes]) -> dict[str, bytes]:
        return {**members, "json": members["json"].replace(b"Picture", b"Photo")} if number == 20 else members

    second = make_shards("grows", train=32, val=0, change=recaption)
    fresh = planned & {unit.inputs for unit in stage(bert).plan([second, vae], _context(runner, "growing"))}
    assert len(fresh) == 1
    ctx = _context(runner, "growing", is_fresh=lambda unit: unit.inputs in fresh)
    units = stage(bert).plan([second, vae], ctx)
    assert [unit.id for unit in units] == ["train-latents-000000", "train-latents-000001.r1"]
    assert set(old) == {"train/latents-000000.tar", "train/latents-000001.tar"}


def test_an_encoder_that_was_tried_and_given_up_leaves_nothing(
    runner: Any, pictures: Output, vae: Output, bert: Path, tmp_path: Path
) -> None:
    """A run with another text encoder is broken off, the option is set back: its empty caption must not stay."""
    before = runner.build(stage(bert), [pictures, vae], "tried")
    other = tmp_path / "other_bert"
    shutil.copytree(bert, other)
    weights = load_file(other / "model.safetensors")
    save_file({name: value + 1 for name, value in weights.items()}, other / "model.safetensors", {"format": "pt"})
    tried = stage(other)
    ctx = _context(runner, "tried")
    with tried.open(ctx) as worker:
        worker.process(tried.plan([pictures, vae], ctx)[0])  # and no commit
    assert len(list(before.path.glob("empty-caption-*"))) == 2
    assert stage(bert).commit(before.parts, ctx) == before.content
    assert len(list(before.path.glob("empty-caption-*"))) == 1
    opened = open_source(before, "msdm", recipe_named("msdm-tiny").shape, read_model(vae.path), torch.device("cpu"))
    assert opened.shape.text.sha256 == weights_sha256(bert)
    assert torch.equal(opened.null["text"], TextEncoder(stage(bert).source(), torch.device("cpu")).encode([""])[0])


def test_units_of_two_text_encoders_are_no_set(runner: Any, pictures: Output, latents: Output) -> None:
    """As may be where a hub id was moved between two runs."""
    first, *rest = latents.parts
    (tar,) = (file for file in first.files if file.path.endswith(".tar"))
    moved = replace(first, files=(tar, replace(tar, path="empty-caption-0.safetensors")))
    with pytest.raises(ValueError, match=r"by 2 text encoders.*--force latents"):
        Encode(recipe="msdm-tiny").commit([moved, *rest], _context(runner, "latents"))


def _context(runner: Any, name: str, **more: Any) -> Context:
    return Context(root=runner.root, out=runner.root / name, tmp=runner.root, folder=runner.root, **more)


def test_shards_with_names_of_other_programs_are_numbered_by_their_rank(pictures: Output) -> None:
    shards = read_index(pictures.path).shards
    assert [number for _, number in numbered(shards)] == [0, 1, 2, 0]
    foreign = [replace(shard, path=f"{shard.split}/Part {at}.tar") for at, shard in enumerate(shards)]
    assert [number for _, number in numbered(foreign)] == [0, 1, 2, 0]
    assert Place.parse("train-latents-000002") is not None


# webdataset leaves the tars that it read open
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_stock_webdataset_reads_the_latents(latents: Output) -> None:
    import webdataset
    from safetensors.torch import load

    paths = [str(latents.path / shard.path) for shard in read_index(latents.path).of("train")]
    found = list(webdataset.WebDataset(paths, shardshuffle=False))
    gc.collect()  # here, where it is expected
    assert len(found) == 40
    assert load(found[0]["safetensors"])["latent/mean"].shape == (4, 8, 8)
    rows = pl.read_parquet(latents.parts[0].path)
    assert set(rows["member"].str.split(".").list.last()) == {"safetensors", "json"}


def test_identity_names_the_encoder_and_kind_is_declared(bert: Path) -> None:
    ctx = Context(root=bert, out=bert, tmp=bert, folder=bert)
    assert Encode(recipe="msdm-demo").identity(ctx)["text_encoder"].startswith("53aa5117")
    assert Encode.contract.gives is Kind.LATENTS
    with pytest.raises(ValueError, match="choose one of msdm"):
        Encode(recipe="nothing")
