"""Mutated real files of every kind, and bombs, in a process of their own: nothing but Skip, no hang, bounded memory."""

from __future__ import annotations

import io
import json
import random
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import av
import h5py
import nibabel as nib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
from PIL import Image

from shards.intake import Skip
from shards.limits import Limits
from shards.locator import TIME, Locator
from shards.manifest import Media
from shards.media import MediaReader

FILES, MUTATIONS = 47, 8
WHOLE = Locator()
VIEWS = {
    "npz": Locator(array="x", row=13),
    "npy": Locator(row=13),
    "hdf5": Locator(array="x", row=13),
    "parquet": Locator(array="image", row=13),
    "zip": Locator(member="x.png"),
    "tar": Locator(member="x.png"),
    "clip in NIfTI": Locator(axis=TIME),
}
LIMITS = Limits(max_pixels=20_000_000, max_total_bytes=128 << 20)
DICOM = (
    *("CT_small", "MR_small_RLE", "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless", "MR_small_bigendian"),
    *("SC_rgb_rle_2frame", "SC_rgb_jpeg_gdcm", "SC_rgb_jpeg_dcmtk", "SC_rgb_gdcm_KY", "JPEGLSNearLossless_16"),
    *("image_dfl", "rtdose_1frame", "reportsi", "SC_ybr_full_422_uncompressed", "nested_priv_SQ", "no_meta"),
)


def corpus() -> dict[str, bytes]:
    """Small whole files of every kind, all of them accepted or rejected by kind before they are damaged."""
    ramp = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)
    colour = Image.fromarray(np.dstack([ramp * 2, ramp, 255 - ramp]))
    found = {}
    pictures: tuple[tuple[str, dict[str, Any]], ...] = (
        *(("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True}), ("GIF", {}), ("BMP", {}), ("WEBP", {})),
        *(("TIFF", {"compression": name}) for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg")),
    )
    for name, options in pictures:
        stream = io.BytesIO()
        colour.save(stream, name, **options)
        found[f"{name} {options}"] = stream.getvalue()
    stream = io.BytesIO()
    Image.fromarray(ramp.astype(np.uint16) * 500).save(stream, "PNG")
    found["PNG of 16 bits"] = stream.getvalue()
    for name in DICOM:
        found[name] = (Path(pydicom.__file__).parent / "data/test_files" / f"{name}.dcm").read_bytes()
    for name in ("standard.nii.gz", "functional.nii", "example_nifti2.nii.gz", "anatomical.nii"):
        found[name] = (Path(nib.__file__).parent / "tests/data" / name).read_bytes()
    found["clip in NIfTI"] = found["anatomical.nii"]
    videos = (("mp4", "libx264"), ("mp4", "mpeg4"), ("matroska", "libx264"), ("webm", "libvpx-vp9"), ("avi", "mpeg4"))
    for container, codec in (
        *videos,
        ("avi", "mjpeg"),
        ("mpegts", "mpeg2video"),
        ("flv", "flv1"),
        ("asf", "msmpeg4v3"),
    ):
        found[f"{container} {codec}"] = video(colour, container, codec)
    return found | containers(ramp[:16, :16])


def containers(picture: Any) -> dict[str, bytes]:
    """Files of many pictures, with the place of one of them as VIEWS has it."""
    png, npz, npy, hdf5, parquet, zipped, tar = (io.BytesIO() for _ in range(7))
    Image.fromarray(picture).save(png, "PNG")
    stack = np.stack([np.roll(picture, turn, axis=1) for turn in range(20)])
    np.savez_compressed(npz, x=stack)
    np.save(npy, stack)
    with h5py.File(hdf5, "w") as file:
        file.create_dataset("x", data=np.fft.fft2(stack), chunks=(4, 16, 16), compression="gzip")
    pq.write_table(pa.table({"image": [{"bytes": png.getvalue()}] * 20}), parquet, row_group_size=8)
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.png", png.getvalue())
    with tarfile.open(fileobj=tar, mode="w") as archive_of_tapes:
        member = tarfile.TarInfo("x.png")
        member.size = len(png.getvalue())
        archive_of_tapes.addfile(member, io.BytesIO(png.getvalue()))
    streams = {"npz": npz, "npy": npy, "hdf5": hdf5, "parquet": parquet, "zip": zipped, "tar": tar}
    return {name: stream.getvalue() for name, stream in streams.items()}


def video(picture: Image.Image, container: str, codec: str) -> bytes:
    stream = io.BytesIO()
    with av.open(stream, "w", format=container) as out:
        track: Any = out.add_stream(codec, rate=25)
        track.width, track.height = picture.size
        track.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for turn in range(8):
            shown = np.roll(np.asarray(picture), 3 * turn, axis=1)
            out.mux(track.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        out.mux(track.encode())
    return stream.getvalue()


def mutated(data: bytes, draw: random.Random) -> bytes:
    """Cut, or damaged in a few places, half of them near the start, where the headers are."""
    if draw.random() < 0.25:
        return data[: draw.randrange(1, len(data))]
    damaged = bytearray(data)
    for _ in range(draw.choice((1, 2, 5, 20))):
        at = draw.randrange(len(damaged) if draw.random() < 0.5 else min(len(damaged), 600))
        damage = draw.random()
        if damage < 0.6:
            damaged[at] ^= 1 << draw.randrange(8)
        elif damage < 0.8:
            damaged[at : at + 4] = b"\xff" * len(damaged[at : at + 4])
        else:
            del damaged[at : at + draw.randrange(1, 20)]
    return bytes(damaged)


def bombs() -> dict[str, bytes]:
    """Small files that claim, or expand to, far more than the limits."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")

    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(30_001)) for _ in range(30_000)) + packer.flush()
    side = (30_000).to_bytes(4, "big")
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", side * 2 + b"\x08\0\0\0\0") + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    deflated = (Path(pydicom.__file__).parent / "data/test_files/image_dfl.dcm").read_bytes()
    start = deflated.index(b"1.2.840.10008.1.2.1.99")
    meta_end = 132 + 12 + int.from_bytes(deflated[140:144], "little")
    assert start < meta_end
    raw = zlib.compressobj(1, wbits=-15)
    inside = zlib.decompress(deflated[meta_end:], -15) + b"\xfc\xff\xfc\xffOB\0\0" + (300 << 20).to_bytes(4, "little")
    dicom = deflated[:meta_end] + raw.compress(inside) + zeros(raw) + raw.flush()
    volume = bytearray(nib.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.eye(4)).to_bytes())
    volume[40:56] = np.array([3, 1000, 1000, 1000, 1, 1, 1, 1], "<i2").tobytes()
    gz = zlib.compressobj(1, wbits=31)
    nifti = gz.compress(bytes(volume)) + zeros(gz) + gz.flush()
    return {"png": png, "deflated dicom": dicom, "nifti": nifti}


def zeros(packer: Any) -> bytes:
    """300 MiB of zeros as the packer has them, without holding them."""
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(300))


def outcome(reader: MediaReader, path: Path, view: Locator = WHOLE) -> str:
    try:
        frames = reader.read(Media(uri=str(path), kind="image", locator=view.text()))
        facts = reader.facts(str(path), view.text())
    except Skip as skip:
        return skip.reason.value
    same = (facts.frames, facts.height_px, facts.width_px) == frames.pixels.shape[:3]
    return "accepted" if same else "facts differ"


def run(seed: int) -> dict[str, Any]:
    """Read everything; what came of it, the slowest file and the memory that reading took."""
    draw, counts, exploded, slowest_s = random.Random(seed), Counter[str](), {}, 0.0
    files, packed = corpus(), bombs()
    assert len(files) == FILES, len(files)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        for name, data in packed.items():
            path.write_bytes(data)
            started = time.perf_counter()
            exploded[name] = outcome(MediaReader(LIMITS), path), round(time.perf_counter() - started, 2)
        for name, data in files.items():
            for _ in range(MUTATIONS):
                path.write_bytes(mutated(data, draw))
                started = time.perf_counter()
                counts[outcome(MediaReader(LIMITS), path, VIEWS.get(name, WHOLE))] += 1
                slowest_s = max(slowest_s, time.perf_counter() - started)
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) // 1024
    return {"counts": counts, "bombs": exploded, "slowest_s": slowest_s, "grown_mib": grown_mib}


def test_damaged_files_and_bombs() -> None:
    done = subprocess.run([sys.executable, "-W", "error", __file__], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    counts = result["counts"]
    assert sum(counts.values()) == FILES * MUTATIONS
    assert "facts differ" not in counts
    assert counts["accepted"] > 20, "flips in pixels are found by the hash alone"
    assert {"corrupt", "truncated", "not_recognised", "not_an_image"} <= set(counts)
    assert result["slowest_s"] < 5
    assert [reason for reason, _ in result["bombs"].values()] == ["too_large"] * 3, result["bombs"]
    assert max(seconds for _, seconds in result["bombs"].values()) < 5
    assert result["grown_mib"] < 450, "twice the limit of 128 MiB, and the decoders' code"


if __name__ == "__main__":
    print(json.dumps(run(seed=2026)))
