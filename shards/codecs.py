"""Encoding of media members: JPEG, PNG and MP4, the same bytes for the same pixels, in any process.

JPEG keeps full chroma (4:4:4) and grey stays one channel. MP4 is H.264 in yuv420p, limited range, BT.601, which every
player shows right; colours are converted here and not by swscale, whose result depends on the processor; one thread, no
clock, no writer's version in the file. `versions` names the wheels whose encoders decide the bytes, `decoders` those
that decide the pixels of a kind of source.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from importlib import metadata
from typing import Any, cast

import numpy as np

from shards.foreign import foreign
from shards.geometry import Pixels
from shards.intake import Skip
from shards.limits import Limits
from shards.reasons import Reason
from shards.sniff import HEAD_BYTES, IMAGE, VIDEO, sniff
from shards.video import opened_track

LIMITS = Limits()
DEFAULT_QUALITY = {"jpg": 95, "mp4": 16}  # JPEG quality 1..100; x264 constant rate factor, 0 lossless .. 51
QUALITY_RANGE = {"jpg": range(1, 101), "mp4": range(52)}
PNG_LEVEL = 3
MIN_FPS, MAX_FPS = 0.1, 1000.0
DEFAULT_FPS = 25.0  # of a clip whose source states no rate, or none in this range
ROUNDED = 2  # of 255: by which a lossy codec may change one value
ENCODERS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "jpg": (("opencv-python-headless", "opencv-python"), ("av",)),
    "png": (("opencv-python-headless", "opencv-python"), ("av",)),
    "mp4": (("opencv-python-headless", "opencv-python"), ("av",)),
}
DECODERS: Mapping[str, tuple[str, ...]] = {  # packages that decide the display values of a kind of media
    "image": ("pillow",),
    "video": ("av",),
    "dicom": ("pydicom", "pillow", "av", "imagecodecs", "pylibjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle", "pyjpegls"),
    "nifti": ("nibabel",),
    "kspace": ("numpy",),
    "ecg": ("pydicom",),
    "audio": ("av",),
    "slide": ("tifffile", "imagecodecs"),
}
DRAWINGS = {"ecg": (("sheet", "1"),), "audio": (("log-mel", "1"),)}  # ours: a change of what they look like counts


def decoders(kind: str) -> str:
    """Names and versions of the installed packages that decode media of a kind, without importing any."""
    found = [*DRAWINGS.get(kind, ()), *((name, _version(name)) for name in DECODERS.get(kind, ()))]
    return ", ".join(f"{name} {version}" for name, version in found if version)


@cache
def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def versions(media: str) -> dict[str, str]:
    """Version of each package whose code decides the bytes of a `media` member, without importing any."""
    found = {}
    for names in ENCODERS[media]:
        version = next(filter(None, map(_version, names)), "")
        if not version:
            raise ValueError(f"{media} members need the package {names[0]}: pip install {names[0]}")
        found[names[-1]] = version
    return found


def check_quality(media: str, quality: int | None) -> int:
    """The quality to use; ValueError where the format has none or it is out of range."""
    if media not in DEFAULT_QUALITY:
        if quality is not None:
            raise ValueError(f"quality: {media} is lossless and takes none; remove the key")
        return 0
    if quality is None:
        return DEFAULT_QUALITY[media]
    if quality not in QUALITY_RANGE[media]:
        allowed = QUALITY_RANGE[media]
        raise ValueError(f"quality: {quality} for {media} must be {allowed[0]} to {allowed[-1]}")
    return quality


def encode(pixels: Pixels, media: str, *, quality: int, fps: float | None = None) -> tuple[bytes, str]:
    """Bytes of frames [T, H, W(, 3)] in `media` (jpg or png: T = 1; mp4: even sizes), and what was done in words."""
    if media == "mp4":
        stated = fps is not None and MIN_FPS <= fps <= MAX_FPS
        rate = fps if fps is not None and stated else DEFAULT_FPS
        words = f"H.264 at rate factor {quality}, 4:2:0, {rate:g} frames/s"
        return _mp4(pixels, quality, rate), words if stated else f"{words} (the source states no rate)"
    assert pixels.shape[0] == 1, pixels.shape
    if media == "png":
        return _image(pixels[0], ".png", quality), "PNG"
    return _image(pixels[0], ".jpg", quality), f"JPEG quality {quality}, 4:4:4"


def _image(frame: Pixels, extension: str, quality: int) -> bytes:
    import cv2

    parameters = [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL]
    if extension == ".jpg":
        full_chroma = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        parameters = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, full_chroma]
    stored = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(extension, np.ascontiguousarray(stored), parameters)
    assert done, extension
    return data.tobytes()


def _mp4(pixels: Pixels, rate_factor: int, fps: float) -> bytes:
    import av
    import cv2

    frames, height, width = pixels.shape[:3]
    rate = Fraction(fps).limit_denominator(1001)
    out = io.BytesIO()
    with av.open(out, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = cast(Any, container.add_stream("libx264", rate=rate))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = 1 / rate
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        stream.codec_context.thread_count = 1
        stream.codec_context.color_range = 1  # limited ("tv")
        stream.codec_context.colorspace = 6  # BT.601 (SMPTE 170M), what cv2 converts to
        stream.options = {"crf": str(rate_factor), "preset": "medium", "threads": "1"}
        for index in range(frames):
            frame = pixels[index]
            colour = cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB) if frame.ndim == 2 else np.ascontiguousarray(frame)
            planar = av.VideoFrame.from_ndarray(cv2.cvtColor(colour, cv2.COLOR_RGB2YUV_I420), format="yuv420p")
            planar.pts, planar.time_base = index, 1 / rate
            container.mux(stream.encode(planar))
        container.mux(stream.encode(None))
    return out.getvalue()


def decode(data: bytes, media: str, limits: Limits = LIMITS) -> Pixels:
    """Frames [T, H, W] (grey) or [T, H, W, 3] (RGB) of a media member; ValueError where it does not decode whole.

    The bytes may be anybody's: no format but the sniffed one is tried, no file that they name is opened, and what they
    claim is held against the limits.
    """
    with _told(media):
        if media != "mp4":
            return _picture(data, limits)[np.newaxis]
        frames: list[Pixels] = []
        for frame in _frames(data, limits):
            limits.check_total((len(frames) + 1) * frame.width * frame.height * 3)
            frames.append(frame.to_ndarray(format="rgb24"))
        return np.stack(frames)


def measured(data: bytes, media: str, limits: Limits = LIMITS) -> tuple[int, int, int]:
    """(frames, height, width) of a media member that was decoded whole, one frame at a time; ValueError as `decode`."""
    with _told(media):
        if media != "mp4":
            height, width = _picture(data, limits).shape[:2]
            return 1, height, width
        frames = height = width = 0
        for frame in _frames(data, limits):
            frames, height, width = frames + 1, frame.height, frame.width
        return frames, height, width


def shows_nothing(data: bytes, media: str) -> bool:
    """Whether all pixels of a media member have one value, but for the rounding of lossy codecs."""
    try:
        pixels = decode(data, media)
    except ValueError:
        return False
    each = (0, 1, 2)  # over frames and both sides, for each colour by itself
    return bool((pixels.max(axis=each) - pixels.min(axis=each)).max() <= ROUNDED)


@contextmanager
def _told(media: str) -> Iterator[None]:
    try:
        yield
    except Skip as skip:
        raise ValueError(f"the {'clip' if media == 'mp4' else 'picture'} does not decode: {skip}") from None


def _picture(data: bytes, limits: Limits) -> Pixels:
    from PIL import Image

    found = sniff(data[:HEAD_BYTES])
    if found.kind != IMAGE:
        raise Skip(Reason.NOT_RECOGNISED, f"{found.kind}, not a picture")
    with foreign(), Image.open(io.BytesIO(data), formats=[found.format]) as image:
        limits.check_frame(image.width, image.height)
        picture = image if image.mode in ("L", "RGB") else image.convert("RGB")
        return cast(Pixels, np.asarray(picture))


def _frames(data: bytes, limits: Limits) -> Iterator[Any]:
    """The decoded frames of a clip, all of one size, at least one."""
    found = sniff(data[:HEAD_BYTES])
    if found.kind != VIDEO:
        raise Skip(Reason.NOT_RECOGNISED, f"{found.kind}, not a clip")
    size = None
    with opened_track(io.BytesIO(data), found.format, limits) as (container, track):
        for count, frame in enumerate(container.decode(track), start=1):
            limits.check_frames(count)
            if size not in (None, (frame.width, frame.height)):
                raise Skip(Reason.CORRUPT, f"frame {count} has another size")
            size = frame.width, frame.height
            yield frame
    if size is None:
        raise Skip(Reason.CORRUPT, "no frames")
