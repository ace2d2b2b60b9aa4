"""Arrays in .npy and .npz: the right row of the right array as the right grey levels, and nothing that claims more."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shards import npy
from shards.arrays import Stored, layout
from shards.frames import Frames
from shards.intake import Skip
from shards.limits import Limits
from shards.locator import Locator
from shards.manifest import Media
from shards.media import MediaReader
from shards.reasons import Reason
from shards.uri import local_path

Values = Any


def real(name: str) -> Values:
    with Image.open(str(local_path(f"package://skimage/data/{name}"))) as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture(scope="module")
def tiles() -> Values:
    """[64, 48, 40, 3] cut from a real slide."""
    slide = real("ihc.png")
    return np.stack([slide[y : y + 48, x : x + 40] for y in range(0, 448, 56) for x in range(0, 448, 56)])


def read(path: Path, sha256: str | None = None, **view: Any) -> Frames:
    return MediaReader().read(Media(uri=str(path), kind="array", sha256=sha256, locator=Locator(**view).text()))


def refused(path: Path, limits: Limits | None = None, **view: Any) -> Reason:
    with pytest.raises(Skip) as skip:
        MediaReader(limits).facts(str(path), Locator(**view).text())
    with pytest.raises(Skip) as again:
        MediaReader(limits).read(Media(uri=str(path), kind="array", locator=Locator(**view).text()))
    assert skip.value.reason == again.value.reason
    return skip.value.reason


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "deflated"])
@pytest.mark.parametrize("held_bytes", [0, npy.HELD_BYTES], ids=["inflated onwards", "held"])
def test_rows_of_an_npz_in_any_order(
    tmp_path: Path, tiles: Values, save: Any, held_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npy, "HELD_BYTES", held_bytes)
    save(tmp_path / "a.npz", train_images=tiles, val_images=tiles[::-1], train_labels=np.zeros((64, 1)))
    reader = MediaReader()
    for array, row in [("train_images", 3), ("train_images", 4), ("train_images", 60), ("val_images", 60),
                       ("train_images", 61), ("train_images", 2)]:  # fmt: skip
        view = Locator(array=array, row=row).text()
        facts = reader.facts(f"{tmp_path}/a.npz", view)
        frames = reader.read(Media(uri=f"{tmp_path}/a.npz", kind="array", locator=view, sha256=facts.sha256))
        assert np.array_equal(frames.pixels[0], (tiles if array == "train_images" else tiles[::-1])[row])
        assert (facts.kind, facts.height_px, facts.width_px, facts.frames) == ("array", 48, 40, 1)
        assert frames.steps == ("8 bits as stored",)


def test_a_hash_is_that_of_the_row(tmp_path: Path, tiles: Values) -> None:
    np.savez(tmp_path / "a.npz", one=tiles, two=np.stack([tiles[5], tiles[0]]))
    np.save(tmp_path / "b.npy", tiles[4:6])

    def sha256(name: str, **view: Any) -> str:
        return MediaReader().facts(str(tmp_path / name), Locator(**view).text()).sha256

    five = sha256("a.npz", array="one", row=5)
    assert five == sha256("a.npz", array="two", row=0) == sha256("b.npy", row=1)
    assert five != sha256("b.npy", row=0)
    assert np.array_equal(read(tmp_path / "b.npy", five, row=1).pixels[0], tiles[5])
    with pytest.raises(Skip, match="media_changed"):
        read(tmp_path / "b.npy", five, row=0)


@pytest.mark.parametrize(
    ("shape", "view", "frames"),
    [
        ((9, 7), {}, [()]),
        ((9, 7, 3), {}, [()]),
        ((5, 9, 7), {"row": 4}, [(4,)]),
        ((5, 9, 7), {"frame_start": 1, "frame_stop": 3}, [(1,), (2,)]),
        ((5, 9, 7), {}, [(0,), (1,), (2,), (3,), (4,)]),
        ((5, 1, 9, 7), {"row": 2}, [(2, 0)]),
        ((5, 9, 7, 3), {"row": 2}, [(2,)]),
        ((5, 6, 9, 7), {"row": 2, "frame_start": 3, "frame_stop": 5}, [(2, 3), (2, 4)]),
        ((1, 6, 9, 7), {"frame_start": 3, "frame_stop": 4}, [(0, 3)]),
        ((5, 6, 9, 7, 3), {"row": 2, "frame_start": 3, "frame_stop": 4}, [(2, 3)]),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_the_axes_mean(tmp_path: Path, shape: Any, view: Any, frames: Any, order: Any) -> None:
    values = np.asarray(np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8), order=order)
    np.save(tmp_path / "a.npy", values)
    found = read(tmp_path / "a.npy", **view)
    assert np.array_equal(found.pixels, np.stack([values[at] for at in frames]))
    facts = MediaReader().facts(str(tmp_path / "a.npy"), Locator(**view).text())
    assert (facts.frames, facts.height_px, facts.width_px) == found.pixels.shape[:3]


@pytest.mark.parametrize("shape", [(7,), (5, 3, 9, 7), (5, 9, 7, 4), (5, 4, 9, 7), (2, 3, 4, 5, 6, 7)])
def test_shapes_that_may_be_two_things_are_refused(tmp_path: Path, shape: Any) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    assert refused(tmp_path / "a.npy", row=0) == Reason.UNSUPPORTED_PIXELS


def test_values_as_grey_levels(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "a.npz",
        bits=np.array([[False, True]]),
        u16=np.array([[0, 32768, 65535]], np.uint16),
        i16=np.array([[-32768, 0, 32767]], np.int16),
        big=np.array([[0, 65535]], ">u2"),
        unit=np.array([[[0, 0.25, 1.0, 0]], [[0, 0.1, 0.2, 0]]], np.float32),
        odd=np.array([[np.nan, np.inf, -np.inf, 0, 1]], np.float16),
    )

    def shown(array: str, **view: Any) -> tuple[list[int], str]:
        found = read(tmp_path / "a.npz", array=array, **view)
        assert len(found.steps) == 1
        return found.pixels.ravel().tolist(), found.steps[0]

    assert shown("bits") == ([0, 255], "two values as black and white")
    assert shown("u16") == ([0, 128, 255], "linear over the full range of uint16")
    assert shown("i16") == ([0, 128, 255], "linear over the full range of int16")
    assert shown("big")[0] == [0, 255]
    assert shown("u16", low=0, high=32768) == ([0, 255, 255], "linear from 0 to 32768")
    assert shown("unit", row=1, low=0, high=1) == ([0, 26, 51, 0], "linear from 0 to 1")
    assert shown("unit", row=1)[0] == [0, 128, 255, 0]
    assert "percentiles of what is shown" in shown("unit", row=1)[1]
    assert shown("odd", low=0, high=1)[0] == [0, 255, 0, 0, 255]


class Canary:
    def __reduce__(self) -> Any:
        return Path.write_text, (Path("/tmp/canary-of-medloom"), "ran")


def hostile(folder: Path) -> dict[str, tuple[Path, Reason, dict[str, Any]]]:
    """Files that lie or do harm, each with the reason that refuses it."""

    def header(shape: str, descr: str = "'|u1'") -> bytes:
        text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
        return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text

    made: dict[str, tuple[bytes, Reason, dict[str, Any]]] = {
        "pickle.npy": (header("(1,)", "'|O'") + pickle.dumps(Canary()), Reason.UNSUPPORTED_PIXELS, {"row": 0}),
        "rows.npy": (header("(1000000000000, 9, 7)") + b"x" * 630, Reason.TRUNCATED, {"row": 0}),
        "side.npy": (header("(1000000, 1000000)"), Reason.TRUNCATED, {}),
        "negative.npy": (header("(-4, 9, 7)") + b"x" * 630, Reason.CORRUPT, {"row": 0}),
        "empty.npy": (header("(0, 9, 7)"), Reason.CORRUPT, {"row": 0}),
        "code.npy": (header("(__import__('os').getpid(), 9)"), Reason.CORRUPT, {}),
        "cut.npy": (header("(9, 7)")[:30], Reason.CORRUPT, {}),
        "text.npy": (header("(9, 7)", "'<U4'") + b"x" * 2000, Reason.UNSUPPORTED_PIXELS, {}),
        "fields.npy": (header("(9, 7)", "[('a', '<i4')]") + b"x" * 300, Reason.UNSUPPORTED_PIXELS, {}),
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=np.arange(400, dtype=np.uint8).reshape(1, 20, 20), y=np.ones(3))
    whole = buffer.getvalue()
    made["cut.npz"] = whole[: len(whole) // 2], Reason.TRUNCATED, {"array": "x", "row": 0}
    made["no_such_array.npz"] = whole, Reason.NO_PIXELS, {"array": "z", "row": 0}
    made["no_such_row.npz"] = whole, Reason.BAD_ROW, {"array": "x", "row": 1}
    made["a_column.npz"] = whole, Reason.UNSUPPORTED_PIXELS, {"array": "y", "row": 0}
    made["no_array_named.npz"] = whole, Reason.NO_PIXELS, {}
    flipped = bytearray(whole)
    flipped[60] ^= 0xFF
    made["flipped.npz"] = bytes(flipped), Reason.CORRUPT, {"array": "x", "row": 0}
    claims = bytearray(whole)
    entry = claims.index(b"PK\x01\x02")
    claims[entry + 24 : entry + 28] = (1 << 31).to_bytes(4, "little")
    made["claims.npz"] = bytes(claims), Reason.CORRUPT, {"array": "x", "row": 0}
    claims = bytearray(whole)
    claims[entry + 8] |= 1
    made["encrypted.npz"] = bytes(claims), Reason.UNSUPPORTED_PIXELS, {"array": "x", "row": 0}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.npy", header("(9, 7)") + b"x" * 63)
    made["lzma.npz"] = buffer.getvalue(), Reason.CODEC_MISSING, {"array": "x"}
    for name, (data, _, _) in made.items():
        (folder / name).write_bytes(data)
    return {name: (folder / name, reason, view) for name, (_, reason, view) in made.items()}


def test_hostile_arrays_are_refused(tmp_path: Path) -> None:
    cases = hostile(tmp_path)
    assert {name: refused(path, **view) for name, (path, _, view) in cases.items()} == {
        name: reason for name, (_, reason, _) in cases.items()
    }
    assert not Path("/tmp/canary-of-medloom").exists()


def test_limits_hold_before_anything_is_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((40, 64, 64), np.uint8))
    assert refused(tmp_path / "a.npz", Limits(max_rows=39), array="x", row=0) == Reason.TOO_LARGE
    assert refused(tmp_path / "a.npz", Limits(max_pixels=4095), array="x", row=0) == Reason.TOO_LARGE
    assert refused(tmp_path / "a.npz", Limits(max_total_bytes=40 * 64 * 64 - 1), array="x") == Reason.TOO_LARGE
    with pytest.raises(Skip, match="too_large"):
        layout(Stored((10**12, 9, 7), np.dtype(np.uint8)), Limits())


def test_arrays_at_a_url(tmp_path: Path, tiles: Values) -> None:
    import fsspec

    np.save(tmp_path / "a.npy", tiles)
    with fsspec.open("memory://arrays/a.npy", "wb") as stream:
        stream.write((tmp_path / "a.npy").read_bytes())
    found = MediaReader().read(Media(uri="memory://arrays/a.npy", kind="array", locator=Locator(row=7).text()))
    assert np.array_equal(found.pixels[0], tiles[7])
