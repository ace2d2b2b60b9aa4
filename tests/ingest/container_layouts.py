"""Small data sets in the layouts in which others publish arrays and Parquet files, with real pixels in them.

Sources: medmnist 3.0.2 (`INFO`, `MedMNIST.__init__`), the README of PCam, fastMRI's `mri_data.py`, the cards of
eltorio/ROCOv2-radiology, SimulaMet-HOST/Kvasir-VQA and flaviagiammarino/path-vqa. Labels and texts are made up.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import h5py
import nibabel as nib
import numpy as np
import numpy.typing as npt
from PIL import Image

from shards.uri import local_path

Pixels = npt.NDArray[np.uint8]
BRAIN = "package://nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"


def slide() -> Pixels:
    """A histological slide [512, 512, 3]."""
    with Image.open(str(local_path("package://skimage/data/ihc.png"))) as image:
        return np.asarray(image.convert("RGB"))


def head() -> npt.NDArray[np.float64]:
    """A head [X, Y, Z], 0 to 1."""
    volume = np.asarray(nib.load(str(local_path(BRAIN))).dataobj, np.float64)
    return volume / volume.max()


def tiles(slide: Pixels, count: int, side_px: int, seed: int = 0) -> Pixels:
    places = np.random.default_rng(seed).integers(0, slide.shape[0] - side_px, (count, 2))
    return np.stack([slide[y : y + side_px, x : x + side_px] for y, x in places])


def medmnist(folder: Path, flag: str, pictures: dict[str, Pixels], labels: dict[str, npt.NDArray[Any]]) -> Path:
    """`<flag>.npz` as medmnist 3.0.2 reads it: <split>_images, <split>_labels (N, L) uint8."""
    arrays = {f"{split}_images": pictures[split] for split in pictures}
    arrays |= {f"{split}_labels": labels[split].astype(np.uint8) for split in labels}
    np.savez_compressed(folder / f"{flag}.npz", **arrays)
    return folder / f"{flag}.npz"


def pcam(folder: Path, slide: Pixels, split: str, count: int, seed: int = 0) -> tuple[Pixels, npt.NDArray[np.uint8]]:
    """A split of PCam: x (N, 96, 96, 3), y (N, 1, 1, 1), and the meta table in the order of the rows."""
    x = tiles(slide, count, 96, seed)
    y = (np.arange(count) % 3 == 0).astype(np.uint8).reshape(-1, 1, 1, 1)
    stem = f"camelyonpatch_level_2_split_{split}"
    with h5py.File(folder / f"{stem}_x.h5", "w") as file:
        file.create_dataset("x", data=x, chunks=(1, 96, 96, 3))
    with h5py.File(folder / f"{stem}_y.h5", "w") as file:
        file.create_dataset("y", data=y)
    with (folder / f"{stem}_meta.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["", "coord_x", "coord_y", "tumor_patch", "center_tumor_patch", "wsi"])
        for row in range(count):
            wsi = f"camelyon16_train_normal_{row % 4:03d}"
            writer.writerow([row, 100 * row, 7, bool(y.ravel()[row]), bool(y.ravel()[row]), wsi])
    return x, y.ravel()


def fastmri(path: Path, pictures: npt.NDArray[np.float64], acquisition: str, patient: str) -> None:
    """A volume of fastMRI's multicoil training set: kspace (slices, coils, H, W), its reconstruction, attributes.

    The k-space is the forward FFT of `pictures` [slices, h, w] in a field of view twice as high, as it is with
    oversampling along the readout, seen by four coils.
    """
    h = pictures.shape[1]
    framed = np.pad(pictures, ((0, 0), (h // 2, h // 2), (10, 10)))
    rows, columns = np.mgrid[-1 : 1 : framed.shape[1] * 1j, -1 : 1 : framed.shape[2] * 1j]
    maps = np.stack([np.exp(-((rows - a) ** 2) - (columns - b) ** 2 + 1j * b) for a in (-1, 1) for b in (-1, 1)])
    maps /= np.sqrt((abs(maps) ** 2).sum(0))
    axes = (-2, -1)
    forward = np.fft.fftn(np.fft.ifftshift(framed[:, None] * maps, axes), axes=axes, norm="ortho")
    with h5py.File(path, "w") as file:
        file["kspace"] = np.fft.fftshift(forward, axes).astype(np.complex64)
        file["reconstruction_rss"] = pictures.astype(np.float32)
        file["ismrmrd_header"] = b"<ismrmrdHeader/>"
        file.attrs.update({"acquisition": acquisition, "max": pictures.max(), "norm": 1.0, "patient_id": patient})


def pictures(count: int, seed: int = 0) -> list[Image.Image]:
    with Image.open(str(local_path("package://skimage/data/retina.jpg"))) as image:
        whole = image.convert("RGB")
    places = np.random.default_rng(seed).integers(400, 900, (count, 2)).tolist()  # within the eye: its edges are black
    return [whole.crop((x, y, x + 40 + at, y + 50)) for at, (x, y) in enumerate(places)]


def save(columns: Mapping[str, Sequence[Any]], path: Path, **features: Any) -> None:
    """A Parquet file with all that `datasets` writes beside the rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = datasets.Dataset.from_dict(
        dict(columns), features=datasets.Features({"image": datasets.Image(), **features})
    )
    table.to_parquet(str(path))


TEXT = datasets.Value("string")


def roco(folder: Path, counts: Mapping[str, int]) -> dict[str, list[Image.Image]]:
    """eltorio/ROCOv2-radiology: image, image_id, caption, cui (list), in data/<split>-00000-of-00001.parquet."""
    made = {split: pictures(count, count) for split, count in counts.items()}
    for split, images in made.items():
        ids = [f"ROCOv2_2023_{split}_{at:06d}" for at in range(len(images))]
        columns = {
            "image": images,
            "image_id": ids,
            "caption": [f"Axial CT, figure {at}.\n" for at in range(len(images))],
            "cui": [["C0040405", f"C{at:07d}"] for at in range(len(images))],
        }
        cui = datasets.Sequence(TEXT)
        save(columns, folder / f"data/{split}-00000-of-00001.parquet", image_id=TEXT, caption=TEXT, cui=cui)
    return made


ABNORMAL = "Are there any abnormalities in the image? Check all that are present."
POLYPS = "How many polyps are in the image?"
INSTRUMENTS = "Are there any instruments in the image? Check all that are present."
LANDMARKS = "Are there any anatomical landmarks in the image? Check all that are present."


def kvasir_vqa(folder: Path) -> list[Image.Image]:
    """SimulaMet-HOST/Kvasir-VQA: split raw alone, one row a question; an image may be cut across two files."""
    images = pictures(3)
    rows = [
        (images[0], "HyperKvasir", ABNORMAL, "polyp; oesophagitis", "cl8k2u1pr"),
        (images[0], "HyperKvasir", POLYPS, "1", "cl8k2u1pr"),
        (images[1], "Kvasir-Instrument", ABNORMAL, "none", "cl8k2u1ps"),
        (images[2], "HyperKvasir", POLYPS, "0", "cl8k2u1pt"),
        (images[1], "Kvasir-Instrument", POLYPS, "0", "cl8k2u1ps"),
        (images[1], "Kvasir-Instrument", INSTRUMENTS, "polyp snare", "cl8k2u1ps"),
        (images[1], "Kvasir-Instrument", LANDMARKS, "none", "cl8k2u1ps"),
        (images[2], "Kvasir-Instrument", ABNORMAL, "none", "cl8k2u1pt"),
    ]
    for number, part in enumerate((rows[:4], rows[4:])):
        columns = dict(zip(("image", "source", "question", "answer", "img_id"), zip(*part, strict=True), strict=True))
        features = dict.fromkeys(("source", "question", "answer", "img_id"), TEXT)
        save(
            {name: list(cells) for name, cells in columns.items()},
            folder / f"data/raw-0000{number}-of-00002.parquet",
            **features,
        )
    return images


def path_vqa(folder: Path) -> None:
    """flaviagiammarino/path-vqa: image, question, answer; nothing names the picture, and one has several rows."""
    one, two = pictures(2)
    for split, rows in {
        "train": [(one, "is stroma seen?", "yes"), (two, "what is shown?", "a gland"), (one, "where?", "in the wall")],
        "test": [(one, "is it red?", "no")],
    }.items():
        columns = {name: [row[at] for row in rows] for at, name in enumerate(("image", "question", "answer"))}
        save(columns, folder / f"data/{split}-00000-of-00001.parquet", question=TEXT, answer=TEXT)
