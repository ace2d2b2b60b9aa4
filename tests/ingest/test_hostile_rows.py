"""What a row of a table may point at, each with its documented result: odd pictures, damage, tables of any form.

| the row's file or table | result |
|---|---|
| missing | missing_file |
| truncated JPEG | corrupt, where files are probed or decoded |
| empty, or text | not_recognised |
| 16-bit PNG | shown linearly over its 16 bits |
| CMYK JPEG | sRGB |
| EXIF-rotated photograph | turned upright, and said so |
| animated GIF | its first frame, and said so |
| PNG with alpha | blended over black or dropped, and said so |
| NaN label | nothing is stated |
| path that leaves the root, Windows drive | path_escapes |
| Windows separators | the same file as with `/` |
| non-UTF-8 cell | bad_row, the others stand |
| byte order mark | read as if it were not there |
| header given twice | an error that names the column |
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ingest.columns import LabelColumn
from ingest.converters.table_images import TableImages
from ingest.rights import Rights
from shards.media import MediaReader
from shards.uri import package_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = tmp_path / "images"
    (images / "sub").mkdir(parents=True)
    source = package_folder("skimage") / "data"
    with Image.open(source / "retina.jpg") as retina:
        small = retina.convert("RGB").resize((60, 40))
    small.save(images / "plain.jpg")
    small.save(images / "sub/deeper.png")
    whole = (images / "plain.jpg").read_bytes()
    (images / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (images / "empty.png").write_bytes(b"")
    (images / "text.png").write_text("this is no picture")
    values = np.linspace(0, 65535, 60 * 40).reshape(40, 60).astype(np.uint16)
    Image.fromarray(values).save(images / "deep.png")
    small.convert("CMYK").save(images / "cmyk.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    small.save(images / "turned.jpg", exif=exif)
    small.save(images / "moving.gif", save_all=True, append_images=[Image.new("RGB", (60, 40))])
    clear = small.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize((60, 40)))
    clear.save(images / "alpha.png")
    shutil.copy(source / "cell.png", tmp_path / "outside.png")
    return tmp_path


def stage() -> TableImages:
    return TableImages(
        source="odd",
        rights=Rights(license="CC0-1.0"),
        modality="OP",
        specialty="ophthalmology",
        labels=(LabelColumn(column="drusen", states={"1": "present", "0": "absent"}),),
        path="images",
        table="./t.csv",
        image="file",
        probe=True,
    )


def test_every_odd_row_has_its_documented_result(folder: Path, convert: Any) -> None:
    names = [
        "plain.jpg", "sub\\deeper.png", "gone.jpg", "empty.png", "text.png", "../outside.png", "C:\\x\\y.png",
        "deep.png", "cmyk.jpg", "turned.jpg", "moving.gif", "alpha.png", "cut.jpg",
    ]  # fmt: skip
    lines = b"\xef\xbb\xbffile,drusen\n" + "".join(f"{name},nan\n" for name in names).encode() + b"caf\xe9.png,1\n"
    (folder / "t.csv").write_bytes(lines)
    found = convert(stage())
    assert found.reasons == {
        "gone.jpg": "missing_file",
        "empty.png": "not_recognised",
        "text.png": "not_recognised",
        "../outside.png": "path_escapes",
        "C:/x/y.png": "path_escapes",
        "caf\ufffd.png": "bad_row",
        "cut.jpg": "corrupt",
    }
    assert all(sample.labels == () for sample in found.samples)
    media = {sample.media.uri.rpartition("/")[2]: sample.media for sample in found.samples}
    reader = MediaReader()
    read = {name: reader.read(one) for name, one in media.items()}
    assert set(read) >= {"plain.jpg", "deeper.png"}
    deep = read["deep.png"].pixels[0].reshape(-1)
    assert (deep[0], deep[-1]) == (0, 255)
    assert np.all(np.diff(deep.astype(int)) >= 0)
    colour = read["cmyk.jpg"].pixels[0].astype(int)
    assert np.abs(colour - read["plain.jpg"].pixels[0].astype(int)).mean() < 12
    assert read["turned.jpg"].pixels.shape[1:3] == (60, 40)
    assert (media["turned.jpg"].width_px, media["turned.jpg"].height_px) == (40, 60)
    assert any("EXIF" in step for step in read["turned.jpg"].steps)
    assert any("first of several frames" in step for step in read["moving.gif"].steps)
    assert any("alpha" in step for step in read["alpha.png"].steps)
    assert read["alpha.png"].pixels.shape[-1] == 3


def test_a_header_given_twice_is_an_error_that_names_it(folder: Path, convert: Any) -> None:
    (folder / "t.csv").write_text("file,drusen,drusen\nplain.jpg,1,0\n")
    with pytest.raises(ValueError, match="'drusen' twice; rename one"):
        convert(stage())
