"""Encoders: the same bytes in every process, values that come back, and stock players that read them."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from shards import codecs
from shards.limits import Limits
from shards.uri import local_path


def real(width: int, height: int) -> np.ndarray:
    """[1, H, W, 3] RGB of a real fundus photograph."""
    with Image.open(str(local_path("package://skimage/data/retina.jpg"))) as image:
        return np.asarray(image.resize((width, height)))[None]


def clip(frames: int = 12, width: int = 96, height: int = 64) -> np.ndarray:
    """A pan over the photograph."""
    whole = real(400, 400)[0]
    return np.stack([whole[100 : 100 + height, 60 + 3 * at : 60 + 3 * at + width] for at in range(frames)])


DIGESTS = """
import hashlib, sys
import numpy as np
from shards import codecs
picture = np.load(sys.argv[1])
clip = np.load(sys.argv[2])
for pixels in (picture, picture[..., 0], clip, clip[..., 0]):
  for media in ("jpg", "png") if len(pixels) == 1 else ("mp4",):
    data, _ = codecs.encode(np.ascontiguousarray(pixels), media, quality=90 if media == "jpg" else 16, fps=30.3)
    print(hashlib.sha256(data).hexdigest())
"""


def test_bytes_are_the_same_in_every_process(tmp_path: Path) -> None:
    np.save(tmp_path / "picture.npy", real(200, 150))
    np.save(tmp_path / "clip.npy", clip())
    command = [sys.executable, "-c", DIGESTS, str(tmp_path / "picture.npy"), str(tmp_path / "clip.npy")]
    runs = {subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(3)}
    assert len(runs) == 1
    cv2.setNumThreads(2)
    data, _ = codecs.encode(real(200, 150), "jpg", quality=90)
    assert hashlib.sha256(data).hexdigest() == next(iter(runs)).split()[0]


@pytest.mark.parametrize(("media", "most"), [("jpg", 1.5), ("png", 0.0)])
def test_values_and_channel_order_come_back(media: str, most: float) -> None:
    for pixels in (real(150, 100), real(150, 100)[..., 1]):
        data, words = codecs.encode(pixels, media, quality=codecs.check_quality(media, None))
        back = codecs.decode(data, media)
        assert back.shape == pixels.shape  # grey stays one channel
        assert np.abs(back.astype(int) - pixels).mean() <= most
        with Image.open(io.BytesIO(data)) as image:
            assert image.mode == ("RGB" if pixels.ndim == 4 else "L")
            assert np.abs(np.asarray(image).astype(int) - pixels[0]).mean() <= most
        assert words in ("JPEG quality 95, 4:4:4", "PNG")


def test_jpeg_keeps_full_chroma() -> None:
    red = np.zeros((1, 64, 64, 3), np.uint8)
    red[:, :, 1::2] = (255, 0, 0)  # stripes one pixel wide: 4:2:0 would blend them
    data, _ = codecs.encode(red, "jpg", quality=95)
    with Image.open(io.BytesIO(data)) as image:
        assert [component[1:3] for component in image.layer] == [(1, 1)] * 3
    assert np.abs(codecs.decode(data, "jpg").astype(int) - red).mean() < 8


@pytest.mark.parametrize("grey", [False, True])
def test_a_clip_comes_back_frame_by_frame(grey: bool) -> None:
    pixels = clip()[..., 1] if grey else clip()
    data, words = codecs.encode(pixels, "mp4", quality=16, fps=24.0)
    assert words == "H.264 at rate factor 16, 4:2:0, 24 frames/s"
    back = codecs.decode(data, "mp4")
    assert back.shape == (12, 64, 96, 3)
    errors = np.abs(back.astype(int) - (np.repeat(pixels[..., None], 3, axis=3) if grey else pixels)).mean(
        axis=(1, 2, 3)
    )
    assert errors.max() < 4
    with av.open(io.BytesIO(data)) as container:
        (stream,) = container.streams
        assert (stream.codec_context.name, float(stream.average_rate), stream.frames) == ("h264", 24.0, 12)
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert "creation_time" not in {**container.metadata, **stream.metadata}
        assert "encoder" not in container.metadata  # the muxer's version would change the bytes


def test_black_and_white_reach_the_ends_of_the_range() -> None:
    pixels = np.zeros((4, 64, 64), np.uint8)
    pixels[:, :, 32:] = 255
    back = codecs.decode(codecs.encode(pixels, "mp4", quality=1)[0], "mp4")
    assert back[:, :, :28].max() <= 2
    assert back[:, :, 36:].min() >= 253


@pytest.mark.parametrize("fps", [None, 0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_a_clip_without_a_sound_rate_gets_the_default(fps: float | None) -> None:
    data, words = codecs.encode(clip(4), "mp4", quality=20, fps=fps)
    assert "25 frames/s (the source states no rate)" in words
    with av.open(io.BytesIO(data)) as container:
        assert float(container.streams.video[0].average_rate) == 25.0


@pytest.mark.parametrize("rate", [0.5, 9.99, 23.976, 30.303, 120.0])
def test_odd_rates_are_kept(rate: float) -> None:
    with av.open(io.BytesIO(codecs.encode(clip(4), "mp4", quality=20, fps=rate)[0])) as container:
        assert float(container.streams.video[0].average_rate) == pytest.approx(rate, rel=1e-3)


def test_what_does_not_decode_whole_is_an_error() -> None:
    for pixels, media in ((real(80, 60), "jpg"), (real(80, 60), "png"), (clip(), "mp4")):
        data, _ = codecs.encode(pixels, media, quality=codecs.DEFAULT_QUALITY.get(media, 0))
        for bad in (b"", b"junk", data[: len(data) // 2]):
            with pytest.raises(ValueError, match=r"does not decode|has no frames"):
                codecs.decode(bad, media)


PLAYLIST = b"ffconcat version 1.0\nfile /etc/hostname\n"


@pytest.mark.parametrize(
    ("media", "data"),
    [
        ("mp4", PLAYLIST),
        ("mp4", b"#EXTM3U\n#EXTINF:1,\n/etc/hostname\n"),
        ("mp4", b"\x89PNG\r\n\x1a\n" + bytes(100)),
        ("jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        ("jpg", PLAYLIST),
    ],
)
def test_no_format_but_that_of_the_bytes_is_tried(media: str, data: bytes) -> None:
    for read in (codecs.decode, codecs.measured):
        with pytest.raises(ValueError, match="does not decode: not_recognised"):
            read(data, media)


def test_claims_are_held_against_the_limits() -> None:
    still, _ = codecs.encode(real(80, 60), "png", quality=0)
    moving, _ = codecs.encode(clip(12), "mp4", quality=20)
    with pytest.raises(ValueError, match="pixels a frame, at most 4000"):
        codecs.decode(still, "png", Limits(max_pixels=4000))
    with pytest.raises(ValueError, match="frames, at most 11"):
        codecs.measured(moving, "mp4", Limits(max_frames=11))
    with pytest.raises(ValueError, match="bytes when decoded, at most 100000"):
        codecs.decode(moving, "mp4", Limits(max_total_bytes=100_000))
    assert codecs.measured(moving, "mp4", Limits(max_total_bytes=100_000))[0] == 12  # holds one frame


def test_frames_are_counted_in_the_memory_of_one() -> None:
    """A small file of many large frames: 33 kB that took 1.8 GB."""
    pixels = np.zeros((150, 720, 1280), np.uint8)
    data, _ = codecs.encode(pixels, "mp4", quality=40)
    del pixels
    code = (
        "import re, sys\nfrom shards import codecs\nfrom pathlib import Path\n"
        "data = Path(sys.argv[1]).read_bytes()\ncodecs.measured(data, 'mp4')\n"
        "print(re.search('VmHWM: *([0-9]+)', Path('/proc/self/status').read_text().replace('\\t', ' '))[1])\n"
    )
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(data)
        file.flush()
        done = subprocess.run([sys.executable, "-c", code, file.name], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 300_000  # kB; 150 frames in RGB are 415 MB


def test_the_versions_that_decide_the_bytes_are_named() -> None:
    assert codecs.versions("jpg")["opencv-python"].startswith(cv2.__version__)
    assert codecs.versions("mp4")["av"] == av.__version__
