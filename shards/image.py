"""Still images through Pillow: JPEG, PNG, TIFF, GIF, BMP and WebP (the first frame of those that move).

Every pixel format has one documented result. 1-bit and palette are expanded; alpha lies over black; CMYK and tagged
RGB become sRGB through their ICC profile; 16 bits a sample are scaled linearly over the DECLARED depth (or the
locator's low and high), since Pillow's own `convert` clips them to white; 32-bit and float samples, whose depth says
nothing of the range in use, need the locator's low and high. The EXIF orientation is applied and recorded; for TIFF
Pillow does it already, size and pixels.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from shards.display import linear
from shards.foreign import foreign
from shards.frames import Frames
from shards.intake import Skip, place
from shards.limits import Limits
from shards.locator import Locator
from shards.part import box_of
from shards.reasons import Reason

if TYPE_CHECKING:
    from PIL.Image import Image

_ORIENTATION = 0x0112  # EXIF 2.32, 4.6.4; TIFF 6.0
_TURNED_BY_PILLOW = ("TIFF",)  # on opening and loading, without the tag afterwards
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # TIFF 6.0
_WHITE_IS_ZERO = 0
_DEEP = ("I;16", "I;16B", "I;16L", "I", "F")
_COLOUR = ("RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "P", "PA", "RGBa")
_GREY = ("1", "L", "LA", "La")


def size_of(stream: BinaryIO, format_name: str, view: Locator, limits: Limits) -> tuple[int, int]:
    """(width, height) in pixels of what is shown, after the EXIF orientation, from the header alone; raises Skip."""
    with foreign():
        image = _open(stream, format_name, limits)
        width_px, height_px = image.size
        turned = format_name not in _TURNED_BY_PILLOW and image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    left, top, right, bottom = box_of(view, *((height_px, width_px) if turned else (width_px, height_px)))
    return right - left, bottom - top


def read_image(data: bytes, format_name: str, view: Locator, limits: Limits) -> Frames:
    """The first picture in `data` as one frame [1, H, W] or [1, H, W, 3]; raises Skip."""
    steps: list[str] = []
    if format_name == "PNG" and b"IEND" not in data:
        raise Skip(Reason.TRUNCATED, "PNG without IEND")
    with foreign():
        image = _open(io.BytesIO(data), format_name, limits)
        if getattr(image, "n_frames", 1) > 1:
            image.seek(0)
            steps.append("first of several frames")
        tags = getattr(image, "tag_v2", {})
        orientation = image.getexif().get(_ORIENTATION, 1) if format_name in _TURNED_BY_PILLOW else 1
        try:
            image.load()
        except OSError as error:
            if "truncated" in str(error).lower():
                raise Skip(Reason.TRUNCATED, place(error)) from None
            raise
        limits.check_frame(*image.size)  # some headers are corrected while loading
        turn = image.getexif().get(_ORIENTATION, 1)  # what is left to do
        shown = _deep(image, tags, view, steps) if image.mode in _DEEP else _shown(image, view, steps)
    pixels = _turn(shown, turn)
    done = next((value for value in (orientation, turn) if value in range(2, 9)), None)
    if done is not None:
        steps.append(f"EXIF orientation {done} applied")
    if view.is_part:
        left, top, right, bottom = box_of(view, pixels.shape[1], pixels.shape[0])
        pixels = pixels[top:bottom, left:right]
        steps.append(f"part of {right - left}x{bottom - top} at {left}, {top}")
    return Frames(pixels=np.ascontiguousarray(pixels)[None], steps=tuple(steps))


def _open(stream: BinaryIO, format_name: str, limits: Limits) -> Image:
    """Read the header and hold it against the limits. Pillow's warning is dropped: `limits` are the tighter rule."""
    from PIL import Image

    try:
        image = Image.open(stream, formats=[format_name])
    except Image.DecompressionBombError:
        raise Skip(Reason.TOO_LARGE, "more pixels than the decoder opens") from None
    limits.check_frame(*image.size)
    limits.check_total(image.size[0] * image.size[1] * 4)
    return image


def _deep(image: Image, tags: Any, view: Locator, steps: list[str]) -> npt.NDArray[np.uint8]:
    """Grey samples of more than 8 bits [H, W]."""
    values = np.asarray(image)
    bits = max(tags.get(_BITS_PER_SAMPLE, (16,)))
    kind = max(tags.get(_SAMPLE_FORMAT, (1,)))  # 1 unsigned, 2 signed, 3 float
    if view.low is not None and view.high is not None:
        scale = linear(view.low, view.high)
    elif image.mode == "F" or bits > 16 or (image.mode == "I" and kind != 2):
        raise Skip(Reason.UNSUPPORTED_PIXELS, f"{image.mode} samples say no range: give low and high in the locator")
    else:
        low = -(1 << (bits - 1)) if kind == 2 else 0
        scale = linear(low, low + (1 << bits) - 1, f"linear over the {bits} declared bits")
    steps.append(scale.wording)
    shown = scale.display(values)
    if tags.get(_PHOTOMETRIC, 1) == _WHITE_IS_ZERO:  # Pillow inverts this up to 8 bits only
        steps.append("inverted (white is zero)")
        shown = 255 - shown
    return shown


def _shown(image: Image, view: Locator, steps: list[str]) -> npt.NDArray[np.uint8]:
    """Samples of up to 8 bits: grey [H, W] or RGB [H, W, 3]."""
    from PIL import Image

    if image.mode not in _COLOUR + _GREY:
        raise Skip(Reason.UNSUPPORTED_PIXELS, f"pixel format {image.mode}")
    grey = image.mode in _GREY
    alpha = None
    profile = image.info.get("icc_profile")
    if image.mode == "1":
        steps.append("1 bit expanded to black and white")
        image = image.convert("L")
    elif image.mode in ("P", "PA"):
        steps.append("palette expanded")
    if image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        image = image.convert("LA" if grey else "RGBA")
        alpha = image.getchannel("A")
        image = image.convert("L" if grey else "RGB")
    if not grey:
        image = _to_srgb(image, profile, steps)
    if alpha is not None:
        if alpha.getextrema() == (255, 255):
            steps.append("opaque alpha dropped")
        else:
            steps.append("alpha over black")
            image = Image.composite(image, Image.new(image.mode, image.size), alpha)
    pixels: npt.NDArray[np.uint8] = np.asarray(image, np.uint8)
    if grey and view.low is not None and view.high is not None:
        scale = linear(view.low, view.high)
        steps.append(scale.wording)
        pixels = scale.display(pixels)
    return pixels


def _to_srgb(image: Image, profile: bytes | None, steps: list[str]) -> Image:
    """A colour image as RGB; its ICC profile is applied where it is sound and not sRGB already."""
    from PIL import ImageCms

    if profile and image.mode in ("RGB", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            name = ImageCms.getProfileDescription(source).strip()
            if "srgb" in name.lower():
                return image if image.mode == "RGB" else image.convert("RGB")
            target = ImageCms.createProfile("sRGB")
            intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
            converted = ImageCms.profileToProfile(image, source, target, renderingIntent=intent, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            steps.append("unreadable ICC profile left out")
        else:
            assert converted is not None
            steps.append("ICC profile to sRGB")
            return converted
    if image.mode not in ("RGB", "P"):
        steps.append(f"{image.mode} to RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _turn(pixels: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Apply an EXIF orientation 1..8 to [H, W, ...]; any other value means none."""
    if orientation not in range(2, 9):
        return pixels
    if orientation >= 5:  # rows and columns change places first
        pixels = pixels.swapaxes(0, 1)
    flip_columns = orientation in (2, 3, 6, 7)
    flip_rows = orientation in (3, 4, 7, 8)
    return pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
