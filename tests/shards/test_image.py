"""Every pixel format of still images has its documented result."""

from __future__ import annotations

import io
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from shards.frames import Frames
from shards.image import read_image, size_of
from shards.intake import Skip
from shards.limits import Limits
from shards.locator import Locator
from shards.reasons import Reason
from shards.sniff import sniff

LIMITS = Limits()
WHOLE = Locator()
RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
NOISE = np.random.default_rng(7).integers(0, 256, (60, 40, 3), dtype=np.uint8)


def encode(image: Image.Image, format_name: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_name, **options)
    return stream.getvalue()


def read(data: bytes, view: Locator = WHOLE, limits: Limits = LIMITS) -> Frames:
    return read_image(data, sniff(data).format, view, limits)


@pytest.mark.parametrize("format_name", ["PNG", "TIFF", "BMP", "WEBP"])
def test_lossless_rgb_is_returned_exactly(format_name: str) -> None:
    options = {"lossless": True} if format_name == "WEBP" else {}
    frames = read(encode(Image.fromarray(NOISE), format_name, **options))
    assert np.array_equal(frames.pixels[0], NOISE)
    assert frames.steps == ()
    assert frames.fps is None


def test_sixteen_bits_are_scaled_over_the_declared_depth_and_not_clipped() -> None:
    deep = np.linspace(0, 65535, 4096).astype(np.uint16).reshape(64, 64)
    for format_name in ("PNG", "TIFF"):
        frames = read(encode(Image.fromarray(deep), format_name))
        assert np.array_equal(frames.pixels[0], np.round(deep / 257.0).astype(np.uint8))
        assert frames.steps == ("linear over the 16 declared bits",)


def test_sixteen_bits_between_low_and_high() -> None:
    deep = np.array([[0, 100, 200, 300, 65535]], np.uint16)
    frames = read(encode(Image.fromarray(deep), "PNG"), Locator(low=100, high=300))
    assert frames.pixels[0].tolist() == [[0, 0, 128, 255, 255]]


def test_white_is_zero_is_inverted_at_every_depth() -> None:
    deep = np.array([[0, 65535]], np.uint16)
    assert read(encode(Image.fromarray(deep), "TIFF", tiffinfo={262: 0})).pixels[0].tolist() == [[255, 0]]


def test_float_needs_a_range() -> None:
    data = encode(Image.fromarray(np.array([[0, 0.5, 1, np.nan, np.inf]], np.float32)), "TIFF")
    with pytest.raises(Skip) as skip:
        read(data)
    assert skip.value.reason == Reason.UNSUPPORTED_PIXELS
    assert read(data, Locator(low=0, high=1)).pixels[0].tolist() == [[0, 128, 255, 0, 255]]


def test_one_bit_palette_alpha_and_grey() -> None:
    bits = read(encode(Image.fromarray(RAMP > 127), "PNG"))
    assert np.array_equal(bits.pixels[0], np.where(RAMP > 127, 255, 0))

    palette = Image.fromarray(NOISE).quantize(16)
    expanded = read(encode(palette, "PNG"))
    assert np.array_equal(expanded.pixels[0], np.asarray(palette.convert("RGB")))

    rgba = np.dstack([NOISE, np.full(NOISE.shape[:2], 255, np.uint8)])
    assert np.array_equal(read(encode(Image.fromarray(rgba), "PNG")).pixels[0], NOISE)
    rgba[:, :20, 3] = 0
    half = read(encode(Image.fromarray(rgba), "PNG"))
    assert half.pixels[0, :, :20].max() == 0
    assert np.array_equal(half.pixels[0, :, 20:], NOISE[:, 20:])
    assert half.steps == ("alpha over black",)

    assert np.array_equal(read(encode(Image.fromarray(RAMP), "PNG")).pixels[0], RAMP)
    see_through = read(encode(Image.fromarray(RAMP), "PNG", transparency=200))
    assert see_through.pixels[0].flat[200] == 0
    assert see_through.pixels[0].flat[201] == 201


def test_cmyk_becomes_rgb() -> None:
    frames = read(encode(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100))
    assert frames.pixels.shape == (1, 8, 8, 3)
    red, green, blue = frames.pixels[0, 4, 4]
    assert red > 240
    assert max(green, blue) < 15
    assert "CMYK to RGB" in frames.steps


def test_an_icc_profile_is_applied() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = read(encode(Image.fromarray(NOISE), "PNG", icc_profile=lab))
    assert np.array_equal(same.pixels[0], NOISE)
    broken = read(encode(Image.fromarray(NOISE), "PNG", icc_profile=b"not a profile"))
    assert np.array_equal(broken.pixels[0], NOISE)
    assert broken.steps == ("unreadable ICC profile left out",)


def turned(picture: np.ndarray, orientation: int) -> np.ndarray:
    """EXIF 2.32, 4.6.4: which side of the picture the first row and the first column are."""
    picture = picture.swapaxes(0, 1) if orientation >= 5 else picture
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return picture[::rows, ::columns]


@pytest.mark.parametrize("format_name", ["TIFF", "JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once_and_said(format_name: str, orientation: int) -> None:
    quarters = np.zeros((60, 40, 3), np.uint8)
    quarters[:30, :20], quarters[:30, 20:], quarters[30:, :20] = 250, 170, 90
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"tiffinfo": {0x0112: orientation}} if format_name == "TIFF" else {"exif": exif}
    deep = np.arange(2400, dtype=np.uint16).reshape(60, 40) * 27
    pictures = [quarters, deep] if format_name in ("TIFF", "PNG") else [quarters]
    for stored in pictures:
        data = encode(Image.fromarray(stored), format_name, **options)
        frames = read(data)
        expected = turned(stored, orientation) if stored is quarters else np.round(turned(stored, orientation) / 257.0)
        assert np.abs(frames.pixels[0].astype(float) - expected).max() <= (8 if format_name in ("JPEG", "WEBP") else 0)
        height_px, width_px = frames.pixels.shape[1:3]
        assert size_of(io.BytesIO(data), format_name, Locator(), LIMITS) == (width_px, height_px)
        said = [step for step in frames.steps if "EXIF" in step]
        assert said == ([] if orientation == 1 else [f"EXIF orientation {orientation} applied"])
        with Image.open(io.BytesIO(data)) as image:  # and Pillow means the same
            assert ImageOps.exif_transpose(image).size == (width_px, height_px)


def test_an_animation_gives_its_first_frame() -> None:
    first, second = Image.new("L", (9, 9), 10), Image.new("L", (9, 9), 200)
    frames = read(encode(first, "GIF", save_all=True, append_images=[second]))
    assert frames.pixels.shape[0] == 1
    assert frames.pixels.min() == frames.pixels.max() == 10
    assert "first of several frames" in frames.steps


def test_one_pixel_and_very_wide_images() -> None:
    assert read(encode(Image.new("L", (1, 1), 77), "PNG")).pixels.tolist() == [[[77]]]
    assert read(encode(Image.new("L", (65535, 1), 5), "PNG")).pixels.shape == (1, 1, 65535)


@pytest.mark.parametrize(
    ("format_name", "options"),
    [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("TIFF", {}), ("BMP", {}), ("WEBP", {}), ("GIF", {})],
)
def test_a_cut_file_is_never_accepted(format_name: str, options: dict[str, Any]) -> None:
    data = encode(Image.fromarray(NOISE), format_name, **options)
    reasons = set()
    for length in range(len(data) // 10, len(data) - 4, max(1, len(data) // 25)):
        with pytest.raises(Skip) as skip:
            read(data[:length])
        reasons.add(skip.value.reason)
    assert reasons <= {Reason.TRUNCATED, Reason.CORRUPT}
    if format_name in ("JPEG", "PNG", "BMP"):
        assert Reason.TRUNCATED in reasons


def png_bomb(side_px: int) -> bytes:
    """A grey PNG of side x side zeros that is valid and small."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")

    packer = zlib.compressobj(9)
    row = bytes(side_px + 1)
    body = b"".join(packer.compress(row) for _ in range(side_px)) + packer.flush()
    size = side_px.to_bytes(4, "big")
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size * 2 + b"\x08\0\0\0\0") + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def test_a_bomb_is_refused_by_its_header() -> None:
    data = png_bomb(12000)
    assert len(data) < 200_000
    with pytest.raises(Skip) as skip:
        read(data)
    assert skip.value.reason == Reason.TOO_LARGE
    small = png_bomb(300)
    assert read(small).pixels.shape == (1, 300, 300)
    with pytest.raises(Skip) as skip:
        read(small, limits=Limits(max_pixels=89_999))
    assert skip.value.reason == Reason.TOO_LARGE
    with pytest.raises(Skip) as skip:
        size_of(io.BytesIO(data), "PNG", Locator(), LIMITS)
    assert skip.value.reason == Reason.TOO_LARGE


def test_sixteen_bit_colour_gives_its_high_byte() -> None:
    deep = np.random.default_rng(2).integers(0, 65536, (8, 9, 3), dtype=np.uint16)
    done, data = cv2.imencode(".png", deep[..., ::-1])
    assert done
    assert np.array_equal(read(data.tobytes()).pixels[0], deep >> 8)
