"""Images a second through the pack stage with MediSyn's geometry, one process: decode, fit 1,152, crop 1,024, JPEG 95.

    python benchmarks/pack.py [--images 200] [--rows 20000]

JPEGs of 1,100 to 1,411 px on the longer side, cut from a real fundus photograph. Peers in the same run: the bare codec
path of OpenCV (the least that any packer must do: no hash, no limits, no record, no tar) and Pillow with its Lanczos
filter. Then the same set again with one new caption a sample, which copies the encoded members and decodes nothing.
Last, what it costs that a unit finds its rows, in a manifest of many parts: its time must not grow with the rows.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import polars as pl
from PIL import Image

from shards.canonical import sample_key
from shards.manifest import Caption, Media, Sample, content_hash, frame, read_part, write_part
from shards.media import MediaReader
from shards.pack import PackShards
from shards.stage import Context, Kind, Output, Part
from shards.unit_rows import read_rows
from shards.uri import local_path

PART_ROWS = 256


def pictures(folder: Path, count: int) -> list[Path]:
    with Image.open(str(local_path("package://skimage/data/retina.jpg"))) as image:
        whole = np.asarray(image.convert("RGB"))[..., ::-1]
    rng = np.random.default_rng(0)
    found = []
    for at in range(count):
        height, width = rng.integers(800, 1100), rng.integers(1100, 1411)
        top, left = rng.integers(0, 1411 - height), rng.integers(0, 1411 - width)
        found.append(folder / f"{at:05d}.jpg")
        cut = whole[top : top + height, left : left + width]
        cv2.imwrite(str(found[-1]), cut, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return found


def with_opencv(path: Path) -> bytes:
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    scale = 1152 / max(image.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    image = cv2.resize(image, (round(image.shape[1] * scale), round(image.shape[0] * scale)), interpolation=how)
    down, across = 1152 - image.shape[0], 1152 - image.shape[1]
    border = (down // 2, down - down // 2, across // 2, across - across // 2)
    image = cv2.copyMakeBorder(image, *border, cv2.BORDER_CONSTANT)[64:1088, 64:1088]
    full = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", image, full)[1].tobytes()


def with_pillow(path: Path) -> bytes:
    with Image.open(path) as image:
        scale = 1152 / max(image.size)
        small = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    square = Image.new("RGB", (1152, 1152))
    square.paste(small, ((1152 - small.width) // 2, (1152 - small.height) // 2))
    out = io.BytesIO()
    square.crop((64, 64, 1088, 1088)).save(out, "JPEG", quality=95, subsampling=0)
    return out.getvalue()


def packed(samples: list[Sample], root: Path) -> None:
    """What the runner does: plan, work, commit."""
    part = root / "source.parquet"
    write_part(frame(samples), part)
    rows = read_part(part)
    source = Part(id="source", path=part, content=content_hash(rows), rows=rows.height)
    output = Output(stage="source", kind=Kind.MANIFEST, path=root, content="", parts=(source,))
    tmp = root / "tmp"
    tmp.mkdir(exist_ok=True)
    context = Context(root=root, out=root / "pack", tmp=tmp, folder=root)
    stage = PackShards(preset="medisyn-1024")
    parts = []
    units = stage.plan([output], context)
    with stage.open(context) as worker:
        for unit in units:
            result = worker.process(unit)
            assert result.rows is not None
            path = context.out / "parts" / f"{unit.id}.parquet"
            content = write_part(result.rows, path)
            files = tuple(result.files)
            parts.append(Part(id=unit.id, path=path, content=content, rows=result.rows.height, files=files))
    stage.commit(parts, context)


def finding_rows(samples: list[Sample], rows: int, root: Path) -> None:
    """Milliseconds a unit of 1,000 samples takes to come by its rows, in the plan and on its own."""
    whole = frame(samples)
    parts = []
    for at in range(0, rows, PART_ROWS):
        count = min(PART_ROWS, rows - at)
        some = pl.concat([whole] * (count // whole.height + 1)).head(count)
        keys = [f"bench-{at + number:09d}" for number in range(count)]
        groups = [f"image:{key}" for key in keys]
        path = root / "many" / f"{at:09d}.parquet"
        content = write_part(some.with_columns(key=pl.Series(keys), group=pl.Series(groups)), path)
        parts.append(Part(id=path.stem, path=path, content=content, rows=count))
    output = Output(stage="source", kind=Kind.MANIFEST, path=root, content="", parts=tuple(parts))
    (root / "plan").mkdir(exist_ok=True)
    context = Context(root=root, out=root / "none", tmp=root / "plan", folder=root)
    stage = PackShards(preset="medisyn-1024")
    started = time.perf_counter()
    units = stage.plan([output], context)
    planned = time.perf_counter() - started
    read = sum(read_rows(Path(unit.payload["rows"])).height for unit in units)
    assert read == rows
    each = 1000 * (time.perf_counter() - started - planned) / len(units)
    what = f"{rows} rows in {len(parts)} parts, {len(units)} units"
    print(f"{what:<44} {1000 * planned / len(units):>8.1f} ms of plan, {each:.1f} ms of reading a unit")


def timed(what: str, count: int, run: object) -> None:
    assert callable(run)
    started, cpu = time.perf_counter(), time.process_time()
    run()
    wall, used = time.perf_counter() - started, time.process_time() - cpu
    print(f"{what:<44} {count / wall:>8.1f} images/s {1000 * used / count:>8.1f} ms CPU each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rows", type=int, default=20_000)
    options = parser.parse_args()
    count = options.images
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "in").mkdir()
        files = pictures(root / "in", count)
        timed("Pillow, Lanczos, encode", count, lambda: [with_pillow(path) for path in files])
        timed("OpenCV, area or cubic, encode", count, lambda: [with_opencv(path) for path in files])
        reader = MediaReader()
        samples = [
            Sample(
                key=sample_key("bench", path.name, ""),
                media=Media(uri=str(path), **asdict(reader.facts(str(path)))),
                modality="OP",
                specialty="ophthalmology",
                group=f"image:{path.stem}",
                label_scope="image",
                source="bench",
                license="CC0-1.0",
                captions=(Caption(text="A fundus photograph.", by="template@1"),),
                split="train",
            )
            for path in files
        ]
        timed("pack stage: hash, decode, shape, encode, tar", count, lambda: packed(samples, root))
        anew = [replace(one, captions=(Caption(text="The fundus of an eye.", by="vlm:x@1"),)) for one in samples]
        timed("pack stage again with new captions", count, lambda: packed(anew, root))
        finding_rows(samples, options.rows, root)
        finding_rows(samples, 4 * options.rows, root)


if __name__ == "__main__":
    main()
