"""Shrinking by area: every pixel of the result is the mean of the rectangle that it covers in the source.

libswscale does so with weights of 14 bits along rows and 12 along columns, one channel at a time, faster than cv2
INTER_AREA and within 1 of it on photographs. SWS_BITEXACT and SWS_ACCURATE_RND make its result the same with and
without vector instructions. cv2 sums what libswscale is not better at (each result pixel covers whole source pixels) or
not right in (results of a few pixels a side, of very many source pixels each, and of so many pixels that its rounded
step from one to the next leads astray).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from av import VideoFrame

STEEPEST = 64  # source pixels to one; at 250 the weights of libswscale do not add up to 1
SMALLEST_PX = 8  # a side of 1 or 2 pixels is not the mean
ASTRAY_PX = 1 / 128  # of a source pixel at the far edge of a side: up to 2 of 255, where black lies beside white
_STEP = 1 << 16  # the parts of a source pixel that libswscale steps by
_FLAGS = 0x20 | 0x40000 | 0x80000  # SWS_AREA | SWS_ACCURATE_RND | SWS_BITEXACT (libswscale/swscale.h)


def shrink(frame: npt.NDArray[np.uint8], width_px: int, height_px: int) -> npt.NDArray[np.uint8]:
    """A frame [H, W] or [H, W, 3] as [height_px, width_px(, 3)]; neither side may grow."""
    import av
    import cv2
    from av.video.reformatter import VideoReformatter

    height, width = frame.shape[:2]
    assert width_px <= width, (width_px, width)
    assert height_px <= height, (height_px, height)
    is_steep = width > STEEPEST * width_px or height > STEEPEST * height_px
    is_whole = width % width_px == 0 and height % height_px == 0
    is_astray = max(_astray_px(width, width_px), _astray_px(height, height_px)) > ASTRAY_PX
    if is_whole or is_steep or is_astray or min(width_px, height_px) < SMALLEST_PX:
        return np.asarray(cv2.resize(frame, (width_px, height_px), interpolation=cv2.INTER_AREA), np.uint8)
    is_grey = frame.ndim == 2
    sources = [av.VideoFrame(width, height, "gray") for _ in range(1 if is_grey else 3)]
    planes = [_plane(source) for source in sources]
    if is_grey:
        planes[0][:] = frame
    else:
        cv2.split(frame, planes)
    scaler = VideoReformatter()
    shrunk = [scaler.reformat(one, width_px, height_px, interpolation=_FLAGS, threads=1) for one in sources]
    channels = [_plane(one) for one in shrunk]
    return np.array(channels[0]) if is_grey else np.asarray(cv2.merge(channels), np.uint8)


def _astray_px(source_px: int, result_px: int) -> float:
    """How far from its place in the source libswscale begins the last pixel of a row or column."""
    step = (source_px * _STEP + result_px // 2) // result_px
    return abs(step * result_px - source_px * _STEP) / _STEP


def _plane(frame: VideoFrame) -> npt.NDArray[np.uint8]:
    """The pixels of a grey frame [H, W], in place; their rows are padded as libswscale needs it."""
    (plane,) = frame.planes
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: frame.height, : frame.width]
