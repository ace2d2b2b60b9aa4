"""The body of one request to a chat-completions server: pictures as data urls, a clip as timed frames or as one MP4.

Pictures go as PNG, without loss, before the text, where the makers of these models put them. The time of a frame is
told in words before it, since a list of pictures has no clock. A request that asks the same without the pictures shows
what the pictures cost (captioning/server_tokens.py).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from captioning.questions import Question, Shown
from shards.codecs import MAX_FPS, MIN_FPS, encode

if TYPE_CHECKING:
    from captioning.server_engine import ServerEngine

Part = dict[str, Any]  # of a message's content, as the API names it
PNG_LEVEL = 1  # level 3 takes half as long again for a twelfth fewer bytes, which are sent once
CLIP_RATE_FACTOR = 12  # of x264: no loss that is seen


def picture_parts(shown: Shown, *, video_url: bool) -> list[Part]:
    """The pictures of a question as parts of a message, in their order."""
    if not shown.times_s:
        return [_picture(picture) for picture in shown.pictures]
    if video_url:
        return [{"type": "video_url", "video_url": {"url": _data_url("video/mp4", _clip(shown))}}]
    parts: list[Part] = []
    for picture, time_s in zip(shown.pictures, shown.times_s, strict=True):
        parts += [_text(f"Frame at {time_s:.2f} s:"), _picture(picture)]
    return parts


def words_of(parts: Sequence[Part]) -> list[Part]:
    """`parts` without pictures."""
    return [part for part in parts if part["type"] == "text"]


def body(question: Question, parts: Sequence[Part], options: ServerEngine) -> bytes:
    """The request as JSON. A field that the options set to null is left out."""
    content = [*parts, _text(question.text)]
    system = [{"role": "system", "content": question.system}] if question.system else []
    sampling = question.sampling
    fields: dict[str, Any] = {
        "model": options.model,
        "messages": [*system, {"role": "user", "content": content}],
        "max_tokens": sampling.max_new_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "stream": False,
    }
    if sampling.top_k:
        fields["top_k"] = sampling.top_k
    if sampling.temperature:
        fields["seed"] = question.seed
    if options.chat_template_kwargs:
        fields["chat_template_kwargs"] = dict(options.chat_template_kwargs)
    fields |= options.request
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def body_without_pictures(question: Question, parts: Sequence[Part], options: ServerEngine) -> bytes:
    """The same question without its pictures, to which one token of an answer is enough."""
    short = replace(question, sampling=replace(question.sampling, max_new_tokens=1))
    return body(short, words_of(parts), options)


def _text(text: str) -> Part:
    return {"type": "text", "text": text}


def _picture(picture: np.ndarray) -> Part:
    done, data = cv2.imencode(
        ".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL]
    )
    assert done
    return {"type": "image_url", "image_url": {"url": _data_url("image/png", data.tobytes())}}


def _data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _clip(shown: Shown) -> bytes:
    """An MP4 of the frames at the rate at which they were chosen, edges doubled to even sizes."""
    frames = np.stack(shown.pictures)
    odd = (frames.shape[1] % 2, frames.shape[2] % 2)
    frames = np.pad(frames, ((0, 0), (0, odd[0]), (0, odd[1]), (0, 0)), mode="edge")
    span_s = shown.times_s[-1] - shown.times_s[0]
    rate = (len(shown.times_s) - 1) / span_s if span_s > 0 else 1.0
    data, _ = encode(frames, "mp4", quality=CLIP_RATE_FACTOR, fps=min(max(rate, MIN_FPS), MAX_FPS))
    return data
