"""Real samples out of shards: a fixed random order, filters, records of other programs, damage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from eval.fidelity import fidelity, reconstructed
from eval.pictures import noise, stored
from eval.real import RealData
from eval.ssim import psnr, ssim
from shards.index import Shard, ShardSet, read_index, write_index
from shards.manifest import write_part
from shards.tar import write_shard


def test_samples_come_in_an_order_that_more_samples_only_extend(bench: Any) -> None:
    data = RealData([read_index(bench.shards.path)], 32)
    whole = data.choose(splits=("train",), where={}, limit=99)
    assert len(whole) == 36
    assert data.choose(splits=("train",), where={}, limit=7) == whole[:7]
    assert [sample.key for sample in whole] != sorted(sample.key for sample in whole)
    axial = data.choose(splits=("train", "test"), where={"plane": ("axial",), "modality": ("MR",)}, limit=99)
    assert len(axial) == 12 + 5
    assert {sample.facts["plane"] for sample in axial} == {"axial"}
    assert {sample.split for sample in axial} == {"train", "test"}
    either = data.choose(splits=("val",), where={"plane": ("axial", "coronal")}, limit=99)
    assert len(either) == 2
    assert data.choose(splits=("test",), where={"modality": ("CT",)}, limit=99) == []


def test_training_pictures_that_match_are_taken_before_others(bench: Any) -> None:
    data = RealData([read_index(bench.shards.path)], 32)
    everything = data.choose(splits=("train",), where={}, limit=99)
    whole = data.training(where={}, limit=99)
    assert whole.samples == everything
    assert (whole.total, whole.matching) == (36, 36)
    assert whole.groups == (frozenset(sample.facts["group"] for sample in everything),)
    axial = {"plane": ("axial",)}
    few = data.training(where=axial, limit=15)
    assert (few.total, few.matching) == (36, 12)
    assert sum(sample.facts["plane"] == "axial" for sample in few.samples) == 12  # all of them, and three others
    assert len(few.samples) == 15
    assert few.samples == [sample for sample in everything if sample in few.samples]  # in the usual order
    assert few.groups == whole.groups  # also of those that were cut
    fewest = data.training(where=axial, limit=5)
    assert [sample.facts["plane"] for sample in fewest.samples] == ["axial"] * 5
    assert fewest.matching == 12
    with pytest.raises(ValueError, match="is in two of the inputs"):
        RealData([read_index(bench.shards.path)] * 2, 32).training(where={}, limit=99)


def test_pictures_are_those_of_the_samples(bench: Any, slices: Any) -> None:
    data = RealData([read_index(bench.shards.path)], 32)
    samples = data.choose(splits=("test",), where={}, limit=5)
    pictures = data.pictures(samples)
    assert pictures.keys == tuple(sample.key for sample in samples)
    batches = list(pictures.batches(2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    maker = slices({})
    for sample, pixels in zip(samples, np.concatenate(batches), strict=True):
        _, plane, number = sample.key.split("-")
        _, parts = maker.sample(plane, int(number), "test")
        path = bench.root / "one.png"
        path.write_bytes(parts["png"])
        assert np.array_equal(pixels, np.asarray(Image.open(path)))
        assert np.array_equal(stored([path]).load(0), pixels)
    assert np.array_equal(pictures.some([3, 0]).load(1), pictures.load(0))


def test_noise_depends_on_seed_and_place() -> None:
    first, again, other = noise(3, 16, 0), noise(2, 16, 0), noise(3, 16, 1)
    assert np.array_equal(first.load(1), again.load(1))
    assert not np.array_equal(first.load(1), first.load(2))
    assert not np.array_equal(first.load(1), other.load(1))
    assert first.load(0).std() == pytest.approx(73.9, rel=0.05)  # uniform over 0..255


def foreign(root: Path, parts: dict[str, bytes]) -> ShardSet:
    file, rows = write_shard(root / "test" / "a-000000.tar", [("a", parts)], folder=root)
    content = write_part(rows, root / "parts/test-a-000000.parquet")
    shard = Shard(
        path=file.path,
        split="test",
        samples=1,
        bytes=file.size_bytes,
        sha256=file.sha256,
        index="parts/test-a-000000.parquet",
        rows=content,
    )
    media = next(iter(parts))
    found = ShardSet(folder=str(root), name="a", media=media, shards=(shard,), units=("test-a-000000",))
    write_index(found)
    return found


@pytest.mark.parametrize("record", [b"{}", b"no json", b"[1]", b'{"attributes": "no json"}', b'{"attributes": null}'])
def test_records_of_other_programs_leave_the_caption(tmp_path: Path, record: bytes) -> None:
    png = tmp_path / "one.png"
    Image.new("RGB", (32, 32), (9, 9, 9)).save(png)
    shards = foreign(tmp_path, {"png": png.read_bytes(), "txt": b" A caption.\n", "json": record})
    (sample,) = RealData([shards], 32).choose(splits=("test",), where={}, limit=9)
    assert sample.caption == "A caption."
    assert sample.facts["modality"] == ""


def test_damage_and_clips_are_named(tmp_path: Path) -> None:
    broken = foreign(tmp_path / "broken", {"png": b"no picture", "txt": b"a", "json": b"{}"})
    data = RealData([broken], 32)
    pictures = data.pictures(data.choose(splits=("test",), where={}, limit=1))
    with pytest.raises(ValueError, match=r"a: the picture does not decode.*medloom verify"):
        pictures.load(0)
    clips = foreign(tmp_path / "clips", {"mp4": b"a clip", "txt": b"a", "json": b"{}"})
    with pytest.raises(ValueError, match="holds mp4; still pictures are compared"):
        RealData([clips], 32)


def test_fidelity_is_that_of_each_picture_and_of_each_stratum(bench: Any) -> None:
    from training.sampling import load_checkpoint

    family = load_checkpoint(bench.model.path).family
    data = RealData([read_index(bench.shards.path)], 32)
    samples = data.choose(splits=("test",), where={}, limit=9)
    planes = [sample.facts["plane"] for sample in samples]
    rows = {row.stratum: row for row in fidelity(data.pictures(samples), planes, planes, family, 4)}
    assert set(rows) == {"all", *planes}
    assert sum(row.n for name, row in rows.items() if name != "all") == 9
    for name in set(planes):
        chosen = [sample for sample in samples if sample.facts["plane"] == name]
        original = torch.from_numpy(np.concatenate(list(data.pictures(chosen).batches(9))))
        back = reconstructed(family, original)
        assert back.dtype == torch.uint8
        a, b = original.permute(0, 3, 1, 2), back.permute(0, 3, 1, 2)
        assert rows[name].ssim.value == pytest.approx(float(ssim(a, b, data_range=255).mean()), abs=1e-3)
        assert rows[name].psnr_db.value == pytest.approx(float(psnr(a, b, data_range=255).mean()), abs=0.05)
        assert rows[name].ssim.low is None  # one group has no interval
    assert rows["all"].ssim.low < rows["all"].ssim.value < rows["all"].ssim.high
    assert (rows["all"].untrained, rows["all"].neighbour) == (None, None)


def test_fidelity_stands_beside_an_untrained_autoencoder_and_a_real_neighbour(bench: Any) -> None:
    from training.sampling import load_checkpoint

    family = load_checkpoint(bench.model.path).family
    data = RealData([read_index(bench.shards.path)], 32)
    samples = data.choose(splits=("test",), where={}, limit=6)
    others = data.pictures(data.choose(splits=("train",), where={}, limit=6))
    twin = family.untrained_autoencoder(1)
    pictures, names = data.pictures(samples), [sample.key for sample in samples]
    (row,) = fidelity(pictures, ["MR"] * 6, names, family, 4, untrained=twin, neighbours=others)
    assert row.untrained.ssim.value < row.ssim.value
    a, b = (torch.from_numpy(np.concatenate(list(some.batches(6)))).permute(0, 3, 1, 2) for some in (pictures, others))
    assert row.neighbour.ssim.value == pytest.approx(float(ssim(a, b, data_range=255).mean()))
    assert row.neighbour.psnr_db.value == pytest.approx(float(psnr(a, b, data_range=255).mean()))
    assert row.neighbour.ssim.low < row.neighbour.ssim.high
    # the twin depends on its seed alone, and the family that it was made of is left as it was
    pixels = torch.from_numpy(pictures.load(0)[None].copy())
    again, other = family.untrained_autoencoder(1), family.untrained_autoencoder(2)
    assert torch.equal(reconstructed(again, pixels), reconstructed(twin, pixels))
    assert not torch.equal(reconstructed(other, pixels), reconstructed(twin, pixels))
    assert not torch.equal(reconstructed(family, pixels), reconstructed(twin, pixels))
