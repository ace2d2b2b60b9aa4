"""Frames of videos by number, whatever the container; cut and lying files are named."""

from __future__ import annotations

import io
import resource
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from shards.dicom import open_image, read_frames
from shards.frames import Frames
from shards.intake import Skip
from shards.limits import Limits
from shards.locator import Locator
from shards.reasons import Reason
from shards.video import open_video, read_video

LIMITS = Limits()
WHOLE = Locator()
HEIGHT, WIDTH, COUNT = 48, 64, 40
CONTAINERS = [
    ("mp4", "libx264", 2),
    ("mp4", "libx265", 2),
    ("mov", "mpeg4", 0),
    ("matroska", "libx264", 2),
    ("webm", "libvpx-vp9", 0),
    ("webm", "libvpx", 0),
    ("avi", "mpeg4", 2),
    ("avi", "mjpeg", 0),
    ("mpegts", "mpeg2video", 2),
    ("mpegts", "libx264", 2),
    ("mpeg", "mpeg2video", 2),
    ("asf", "msmpeg4v3", 0),
    ("flv", "flv1", 0),
    ("h264", "libx264", 2),
]


def picture(number: int) -> npt.NDArray[np.uint8]:
    """Frame `number` tells its number by the grey of its left half; the right top is red."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:, : WIDTH // 2] = 6 * number
    pixels[: HEIGHT // 2, WIDTH // 2 :] = 200, 30, 30
    return pixels


def number_of(frame: npt.NDArray[np.uint8]) -> int:
    return round(float(frame[8:-8, 8 : WIDTH // 2 - 8].mean()) / 6)


def encode(container: str, codec: str, b_frames: int, count: int = COUNT, **options: str) -> bytes:
    stream = io.BytesIO()
    with av.open(stream, "w", format=container) as out:
        quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        track: Any = out.add_stream(codec, rate=25, options={**quiet, **options})
        track.width, track.height = WIDTH, HEIGHT
        track.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        track.bit_rate = 1_000_000
        track.gop_size, track.max_b_frames = 10, b_frames
        track.thread_count = 1
        for i in range(count):
            out.mux(track.encode(av.VideoFrame.from_ndarray(picture(i), format="rgb24")))
        out.mux(track.encode())
    return stream.getvalue()


def read(data: bytes, view: Locator = WHOLE, limits: Limits = LIMITS) -> Frames:
    stream = io.BytesIO(data)
    return read_video(stream, open_video(stream, limits), view, limits)


def refused(data: bytes, view: Locator = WHOLE, limits: Limits = LIMITS) -> Reason:
    with pytest.raises(Skip) as skip:
        read(data, view, limits)
    return skip.value.reason


@pytest.mark.parametrize(("container", "codec", "b_frames"), CONTAINERS)
def test_frames_have_their_numbers_in_every_container(container: str, codec: str, b_frames: int) -> None:
    data = encode(container, codec, b_frames)
    whole = read(data)
    assert whole.pixels.shape == (COUNT, HEIGHT, WIDTH, 3)
    assert [number_of(frame) for frame in whole.pixels] == list(range(COUNT))
    assert whole.fps == 25
    red = whole.pixels[:, 4:20, 40:60].mean((0, 1, 2))
    assert red == pytest.approx([200, 30, 30], abs=12)
    for start, stop in ((0, 1), (9, 12), (25, 33), (39, 40)):
        part = read(data, Locator(frame_start=start, frame_stop=stop))
        assert np.array_equal(part.pixels, whole.pixels[start:stop]), (start, stop)
        assert part.steps[-1] == f"frames {start} to {stop - 1} of {COUNT}"
    for start, stop in ((0, 41), (-1, 3), (5, 5)):
        assert refused(data, Locator(frame_start=start, frame_stop=stop)) == Reason.BAD_ROW


@pytest.mark.parametrize(
    ("container", "codec", "b_frames"), [c for c in CONTAINERS if c[0] in ("mp4", "matroska", "avi", "webm")]
)
def test_a_cut_file_is_truncated(tmp_path: Path, container: str, codec: str, b_frames: int) -> None:
    options = {"movflags": "faststart"} if container == "mp4" else {}
    path = tmp_path / "video"
    with av.open(str(path), "w", format=container, options=options) as out:
        track: Any = out.add_stream(
            codec, rate=25, options={"x265-params": "log-level=none"} if codec == "libx265" else {}
        )
        track.width, track.height = WIDTH, HEIGHT
        track.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for i in range(COUNT):
            noise = np.random.default_rng(i).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            out.mux(track.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        out.mux(track.encode())
    data = path.read_bytes()
    assert len(read(data).pixels) == COUNT
    for share in (0.5, 0.8, 0.9, 0.97):
        assert refused(data[: int(len(data) * share)]) in (Reason.TRUNCATED, Reason.CORRUPT), share


def with_matrix(data: bytes, matrix: tuple[int, int, int, int]) -> bytes:
    """An MP4 whose track header holds the display matrix (a, b, c, d)."""
    a, b, c, d = (value << 16 for value in matrix)
    at = data.index(b"tkhd") + 44
    return data[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + data[at + 36 :]


@pytest.mark.parametrize(
    ("matrix", "turned"),
    [
        ((0, 1, -1, 0), lambda x: np.rot90(x, -1, (1, 2))),  # a phone held upright: a quarter turn clockwise
        ((-1, 0, 0, -1), lambda x: np.rot90(x, 2, (1, 2))),
        ((0, -1, 1, 0), lambda x: np.rot90(x, 1, (1, 2))),
        ((-1, 0, 0, 1), lambda x: x[:, :, ::-1]),
        ((1, 0, 0, -1), lambda x: x[:, ::-1]),
    ],
)
def test_the_display_matrix_is_applied(matrix: tuple[int, int, int, int], turned: Any) -> None:
    data = encode("mp4", "libx264", 0, count=3)
    plain = read(data)
    found = read(with_matrix(data, matrix))
    assert np.array_equal(found.pixels, turned(plain.pixels))
    assert found.steps[0].startswith("display matrix: ")
    video = open_video(io.BytesIO(with_matrix(data, matrix)), LIMITS)
    assert (video.height_px, video.width_px) == found.pixels.shape[1:3]


def test_a_count_that_no_memory_holds_is_damage() -> None:
    data = encode("mp4", "libx264", 0, count=3)
    at = data.index(b"stts") + 8  # after version and flags: the count of entries (ISO/IEC 14496-12 8.6.1.2)
    assert refused(data[:at] + struct.pack(">I", 0x0FFFFFFF) + data[at + 4 :]) == Reason.CORRUPT


def test_an_odd_display_matrix_is_refused() -> None:
    data = encode("mp4", "libx264", 0, count=3)
    at = data.index(b"tkhd") + 44
    odd = data[:at] + struct.pack(">9i", 46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30) + data[at + 36 :]
    assert refused(odd) == Reason.UNSUPPORTED_PIXELS


def test_pixels_become_square() -> None:
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as out:
        track: Any = out.add_stream("libx264", rate=25)
        track.width, track.height, track.pix_fmt = 72, 58, "yuv420p"
        track.codec_context.sample_aspect_ratio = Fraction(16, 11)
        out.mux(track.encode(av.VideoFrame.from_ndarray(np.full((58, 72, 3), 90, np.uint8), format="rgb24")))
        out.mux(track.encode())
    frames = read(stream.getvalue())
    assert frames.pixels.shape == (1, 58, 105, 3)
    assert frames.steps == ("pixel aspect 16/11: 72x58 to 105x58, linear",)


def test_grey_video_stays_grey() -> None:
    stream = io.BytesIO()
    with av.open(stream, "w", format="avi") as out:
        track: Any = out.add_stream("ffv1", rate=10)
        track.width, track.height, track.pix_fmt = 64, 48, "gray"
        ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))
        out.mux(track.encode(av.VideoFrame.from_ndarray(ramp, format="gray")))
        out.mux(track.encode())
    frames = read(stream.getvalue())
    assert np.array_equal(frames.pixels[0], ramp)


def test_limits_hold_before_decoding() -> None:
    data = encode("mp4", "libx264", 2)
    assert refused(data, limits=Limits(max_pixels=WIDTH * HEIGHT - 1)) == Reason.TOO_LARGE
    assert refused(data, limits=Limits(max_frames=39)) == Reason.TOO_LARGE
    total = WIDTH * HEIGHT * 3 * 10
    assert refused(data, limits=Limits(max_total_bytes=total)) == Reason.TOO_LARGE
    assert len(read(data, Locator(frame_start=20, frame_stop=30), Limits(max_total_bytes=total)).pixels) == 10
    lying = bytearray(encode("avi", "mjpeg", 0, count=3))
    at = -1
    while (at := lying.find(b"\xff\xc0\x00\x11\x08", at + 1)) >= 0:  # every picture says 65,500 x 65,500
        lying[at + 5 : at + 9] = struct.pack(">HH", 65500, 65500)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refused(bytes(lying)) in (Reason.TOO_LARGE, Reason.CORRUPT)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 200_000


def test_sound_alone_and_other_files_are_refused() -> None:
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as out:
        track: Any = out.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        out.mux(track.encode(silence))
        out.mux(track.encode())
    assert refused(stream.getvalue()) == Reason.NO_PIXELS
    playlist = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"
    assert refused(playlist) == Reason.NOT_RECOGNISED
    assert refused(b"ffconcat version 1.0\nfile /etc/passwd\n") == Reason.NOT_RECOGNISED


def test_hidden_reference_frames_of_vp8_are_no_frames() -> None:
    stream = io.BytesIO()
    with av.open(io.BytesIO(encode("webm", "libvpx", 0))) as source, av.open(stream, "w", format="webm") as out:
        track = source.streams.video[0]
        copy = out.add_stream_from_template(track)
        for packet in source.demux(track):
            if not packet.size:
                continue
            content, pts = bytes(packet), packet.pts
            packet.stream = copy
            out.mux(packet)
            if not packet.is_keyframe and pts is not None and pts % 400 == 200:
                hidden = av.Packet(bytes([content[0] & ~0x10]) + content[1:])
                hidden.pts = hidden.dts = pts + 20
                hidden.time_base, hidden.stream = track.time_base, copy
                out.mux(hidden)
    whole = read(stream.getvalue())  # the added frames disturb the pictures after them, but not their count
    assert whole.pixels.shape[0] == COUNT
    part = read(stream.getvalue(), Locator(frame_start=30, frame_stop=35))
    assert np.array_equal(part.pixels, whole.pixels[30:35])


@pytest.mark.parametrize(("container", "codec"), [("mp4", "libx264"), ("mpegts", "mpeg2video")])
def test_a_video_stream_inside_dicom(container: str, codec: str) -> None:
    dataset = pydicom.dcmread(Path(pydicom.__file__).parent / "data/test_files/examples_ybr_color.dcm")
    dataset.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.102")
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = HEIGHT, WIDTH, COUNT
    dataset.PhotometricInterpretation = "YBR_PARTIAL_420"
    dataset.PixelData = encapsulate([encode(container, codec, 2)])

    def frames(view: Locator = WHOLE) -> Frames:
        stream = io.BytesIO()
        dataset.save_as(stream)
        return read_frames(open_image(stream.getvalue(), "", LIMITS), view, LIMITS)

    part = frames(Locator(frame_start=13, frame_stop=16))
    assert [number_of(frame) for frame in part.pixels] == [13, 14, 15]
    assert part.fps == pytest.approx(30, abs=0.01), "the header's time between frames"
    dataset.NumberOfFrames = COUNT + 5
    with pytest.raises(Skip) as skip:
        frames()
    assert skip.value.reason == Reason.TRUNCATED
    dataset.NumberOfFrames, dataset.Rows = COUNT, 2 * HEIGHT
    with pytest.raises(Skip) as skip:
        frames()
    assert skip.value.reason == Reason.CORRUPT
