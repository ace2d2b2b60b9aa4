"""Videos through PyAV: an index of all frames first, then only the frames that are asked for.

Opening demuxes the file once without decoding it: the sorted presentation times are the frame numbers, so a range is
sought to its key frame and frame 4,711 is the same frame whoever asks. A cut file decodes without an error and its
header still claims every frame; so the frames (or bytes) that the header declares, the packets that are there and the
frames that come out are compared. The demuxer is the one that the bytes were sniffed for: no playlist, no other file
and no address that a file names is ever opened. Display matrix and pixel aspect are applied and recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from shards.foreign import foreign
from shards.frames import Frames, chosen_frames
from shards.intake import Skip
from shards.limits import Limits
from shards.locator import Locator
from shards.reasons import Reason
from shards.sniff import HEAD_BYTES, sniff

_SOUGHT = ("mov", "matroska", "avi")  # containers whose index makes seeking exact
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
Turn = tuple[bool, bool, bool]  # transpose, then flip rows, flip columns


@dataclass(frozen=True, eq=False)
class Video:
    """What was learned of a video without decoding it (but for one frame)."""

    form: str  # FFmpeg's name of the demuxer
    frames: int
    fps: float | None  # mean frame rate
    width_px: int  # as shown
    height_px: int
    coded: tuple[int, int]  # (width, height) as decoded
    square: tuple[int, int]  # (width, height) with square pixels, before turning
    turn: Turn
    grey: bool
    words: tuple[str, ...]
    times: npt.NDArray[np.int64] | None  # of every frame, ascending; None where the container gives no sound times
    keys: npt.NDArray[np.int64]  # times at which decoding can start

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return self.keys.nbytes + (0 if self.times is None else self.times.nbytes)


def open_video(stream: BinaryIO, limits: Limits) -> Video:
    """Index a video; raises Skip where it is too large, cut or damaged."""
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    form = sniff(head).format
    size_bytes = stream.seek(0, 2)
    if (claimed := claimed_bytes(head, form)) is not None and claimed > size_bytes:
        raise Skip(Reason.TRUNCATED, f"{size_bytes} of {claimed} bytes")
    with opened_track(stream, form, limits) as (container, track):
        declared = int(track.frames)
        limits.check_frames(max(1, declared))
        times: list[Any] = []
        keys: list[Any] = []
        packets = 0
        for packet in container.demux(track):
            if packet.size == 0 and packet.pts is None and packet.dts is None:
                continue  # the flush at the end
            packets += 1
            limits.check_frames(packets)
            # an AVI packet of no bytes shows the last picture once more
            if packet.size and not packet.is_discard and not _is_hidden(packet, track):
                times.append(packet.pts)
                if packet.is_keyframe:
                    keys.append(packet.pts)
    if packets < declared or not times:
        raise Skip(Reason.TRUNCATED, f"{packets} of {declared} frames")
    sound = None not in times and len(set(times)) == len(times)
    with opened_track(stream, form, limits) as (container, track):
        first = next(iter(container.decode(track)), None)
        if first is None:
            raise Skip(Reason.CORRUPT, "no frame can be decoded")
        square, turn, words = _shape(first, track)
        limits.check_frame(*square)
        rate = track.average_rate or track.guessed_rate
        grey = first.format.name.startswith("gray")
    width_px, height_px = square[::-1] if turn[0] else square
    return Video(
        form=form,
        frames=len(times),
        fps=float(rate) if rate else None,
        width_px=width_px,
        height_px=height_px,
        coded=(first.width, first.height),
        square=square,
        turn=turn,
        grey=grey,
        words=words,
        times=np.array(sorted(times), np.int64) if sound else None,
        keys=np.array(sorted(keys) if sound else [], np.int64),
    )


def read_video(stream: BinaryIO, video: Video, view: Locator, limits: Limits) -> Frames:
    """The selected frames, [T, H, W, 3] or [T, H, W] where the video is grey; raises Skip."""
    chosen = chosen_frames(view, video.frames)
    channels = () if video.grey else (3,)
    limits.check_total(len(chosen) * video.width_px * video.height_px * (1 if video.grey else 3))
    pixels = np.empty((len(chosen), video.height_px, video.width_px, *channels), np.uint8)
    exact = video.times is not None and video.form in _SOUGHT
    found = _fill(stream, video, chosen, pixels, limits) if exact else 0
    if found < len(chosen):  # no index to trust: count the frames from the first one on
        found = _fill(stream, video, chosen, pixels, limits, counting=True)
    if found < len(chosen):
        raise Skip(Reason.TRUNCATED, f"frame {chosen.start + found} of {video.frames} cannot be decoded")
    steps = list(video.words)
    if len(chosen) < video.frames:
        steps.append(f"frames {chosen.start} to {chosen.stop - 1} of {video.frames}")
    return Frames(pixels=pixels, fps=video.fps, steps=tuple(steps))


def _fill(
    stream: BinaryIO,
    video: Video,
    chosen: range,
    pixels: npt.NDArray[np.uint8],
    limits: Limits,
    *,
    counting: bool = False,
) -> int:
    """Decode the chosen frames into `pixels` and say how many came; fewer where one of them was missing."""
    wanted = None if counting or video.times is None else video.times[chosen.start : chosen.stop]
    found = 0
    with opened_track(stream, video.form, limits) as (container, track):
        if wanted is not None:
            before = video.keys[video.keys <= wanted[0]]
            if before.size and before[-1] > video.keys[0]:
                container.seek(int(before[-1]), stream=track, backward=True)
        for number, frame in enumerate(container.decode(track)):
            if number < chosen.start if wanted is None else frame.pts is not None and frame.pts < wanted[found]:
                continue
            if wanted is not None and frame.pts != wanted[found]:
                break
            if frame.is_corrupt or (frame.width, frame.height) != video.coded:
                raise Skip(Reason.CORRUPT, f"frame {chosen.start + found} is damaged or of another size")
            pixels[found] = _shown(frame, video)
            found += 1
            if found == len(chosen):
                break
    return found


@contextmanager
def opened_track(stream: BinaryIO, form: str, limits: Limits) -> Iterator[tuple[Any, Any]]:
    """The opened container and its first video stream. The limit on pixels holds inside the decoder too."""
    import av

    stream.seek(0)
    options = {"max_pixels": str(limits.max_pixels)}
    with foreign():
        container = av.open(stream, format=form, options=options, metadata_errors="replace", io_open=_refuse)
        try:
            if not container.streams.video:
                raise Skip(Reason.NO_PIXELS, "no video stream")
            track = container.streams.video[0]
            limits.check_frame(track.codec_context.width, track.codec_context.height)
            track.codec_context.thread_count = 1
            yield container, track
        finally:
            container.close()


def _refuse(url: str, flags: int, options: Any) -> Any:
    raise Skip(Reason.NOT_RECOGNISED, "the video refers to another file")


def _is_hidden(packet: Any, track: Any) -> bool:
    """Whether a packet shows nothing: VP8's alternative reference frames (RFC 6386 section 9.1, show_frame)."""
    return track.codec_context.name in ("vp8", "libvpx") and not bytes(packet)[0] >> 4 & 1


def claimed_bytes(head: bytes, form: str) -> int | None:
    """The size that a container without a count of frames states for the whole file; None where it states none.

    Matroska: the Segment's length (RFC 8794). ASF: File Size of the File Properties Object.
    """
    if form == "asf":
        at = head.find(_ASF_FILE_PROPERTIES)
        return int.from_bytes(head[at + 40 : at + 48], "little") if at >= 0 else None
    at = head.find(b"\x18\x53\x80\x67") if form == "matroska" else -1
    if not 0 <= at < len(head) - 12 or head[at + 4] == 0:
        return None
    length = 9 - head[at + 4].bit_length()  # leading zeros of the first byte give the bytes of the number
    field = int.from_bytes(head[at + 4 : at + 4 + length], "big")
    value = field - (1 << (7 * length))
    unknown = value == (1 << (7 * length)) - 1  # a live stream
    return None if unknown else at + 4 + length + value


def _shape(frame: Any, track: Any) -> tuple[tuple[int, int], Turn, tuple[str, ...]]:
    """(width, height) with square pixels, the turn of the display matrix, and words for both."""
    width, height = frame.width, frame.height
    words = []
    aspect = track.sample_aspect_ratio or Fraction(1)
    square = width, height
    if aspect != 1 and Fraction(1, 4) <= aspect <= 4:
        square = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
        words.append(f"pixel aspect {aspect}: {width}x{height} to {square[0]}x{square[1]}, linear")
    turn = _turn(frame)
    if any(turn):
        names = ("rows and columns exchanged", "rows flipped", "columns flipped")
        words.append("display matrix: " + ", ".join(name for name, done in zip(names, turn, strict=True) if done))
    return square, turn, tuple(words)


def _turn(frame: Any) -> Turn:
    """The display matrix of ISO/IEC 14496-12 8.3.2 as exchange and flips; Skip for any angle between."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, False, False
    a, b, _, c, d = (round(float(v) / 65536, 3) for v in np.frombuffer(bytes(matrix), np.int32)[:5])
    if b == c == 0 and a and d:  # x' = a x, y' = d y
        return False, d < 0, a < 0
    if a == d == 0 and b and c:  # x' = c y, y' = b x
        return True, b < 0, c < 0
    raise Skip(Reason.UNSUPPORTED_PIXELS, "a display matrix that is no quarter turn")


def _shown(frame: Any, video: Video) -> npt.NDArray[np.uint8]:
    width, height = video.square
    picture: npt.NDArray[np.uint8] = frame.to_ndarray(
        format="rgb24", width=width, height=height, interpolation="BILINEAR"
    )
    if video.grey:
        picture = picture[..., 0]
    transpose, flip_rows, flip_columns = video.turn
    if transpose:
        picture = picture.swapaxes(0, 1)
    return picture[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
