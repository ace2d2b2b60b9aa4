"""Generated pictures say that they are generated: in the file itself, and in a JSON file beside it.

PNG text chunks (W3C PNG, 11.3.3) survive copying and renaming; `digitalSourceType` is the IPTC term by which programs
know the output of a trained model.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shards.atomic import write_bytes, write_json

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
STATEMENT = "synthetic: made by a generative model, not a picture of a patient, not for diagnosis"


def png(pixels: NDArray[np.uint8], settings: Mapping[str, Any]) -> bytes:
    """The picture [H, W, 3] or [H, W] as PNG bytes whose text chunks say that it is synthetic, and how it was made."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text("Comment", STATEMENT)
    text.add_text("synthetic", "true")
    text.add_text("digitalSourceType", SOURCE_TYPE)
    text.add_itxt("settings", json.dumps(dict(settings), sort_keys=True, ensure_ascii=False))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", pnginfo=text)
    return buffer.getvalue()


def write_picture(path: Path, pixels: NDArray[np.uint8], settings: Mapping[str, Any]) -> None:
    """Write a marked PNG atomically."""
    write_bytes(path, png(pixels, settings))


def write_sample(path: Path, pixels: NDArray[np.uint8], settings: Mapping[str, Any]) -> None:
    """Write a marked PNG and, beside it, `<name>.json` with all that is needed to make it again."""
    write_picture(path, pixels, settings)
    write_json(path.with_suffix(".json"), {"synthetic": True, "statement": STATEMENT, **settings})
