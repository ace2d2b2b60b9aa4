"""Small sets in the published layouts of CAMUS and PMC-OA, with real pixels in them; PathVQA is in container_layouts.

CAMUS: tree, axes and keys by zea's `camus.py` and MemSAM's `preprocess_camus.py`, lists of the split by many loaders.
Its clip is the apical four-chamber view of pydicom's test files, for both views. PMC-OA: the owner's `pmc_oa.py` and
card, and loaders that read images.zip. Texts and persons are made up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
from PIL import Image

from shards.manifest import Media
from shards.media import MediaReader
from shards.uri import package_folder

SUBFIGURES = "caption_T060_filtered_top4_sep_v0_subfigures"
SUBGROUPS = {"train": "training", "val": "validation", "test": "testing"}
Pixels = npt.NDArray[np.uint8]


@cache
def heart() -> Pixels:
    """A beating heart, without the scanner's words: [30, 200, 230]."""
    uri = "package://pydicom/data/test_files/examples_ybr_color.dcm"
    shown = MediaReader().read(Media(uri=uri, kind="dicom")).pixels
    return np.ascontiguousarray(shown[:, 17:217, 52:282, 1])


def frames_of(patient: int, view: str, count: int) -> Pixels:
    """What the half sequence of a patient shows: [T, 200, 230], another part of the clip and of its values for each."""
    first = 3 * (patient - 1) + (view == "4CH")
    return np.ascontiguousarray(heart()[first : first + count] // np.uint8(patient))


def camus(root: Path, patients: Mapping[int, Mapping[str, Any]]) -> None:
    """database_nifti/patient0001/... and database_split/subgroup_*.txt.

    Each patient may say `split`, `sex`, `age`, `quality`, `ef`, `fps`, `frames`, and `info`: the text of its .cfg. The
    lists name patients that this small set lacks, too.
    """
    listed = {split: [f"patient04{number}0"] for number, split in enumerate(SUBGROUPS)}
    for number, said in patients.items():
        name = f"patient{number:04d}"
        folder = root / "database_nifti" / name
        folder.mkdir(parents=True)
        (folder / "MANDATORY_CITATION.md").write_text("S. Leclerc, E. Smistad, J. Pedrosa, A. Ostvik, et al.\n")
        if split := said.get("split"):
            listed[split].append(name)
        count = said.get("frames", 18)
        for view in ("2CH", "4CH"):
            frames = frames_of(number, view, count)
            for moment, shown in (("half_sequence", frames), ("ED", frames[0]), ("ES", frames[-1])):
                save(folder / f"{name}_{view}_{moment}.nii.gz", shown)
                save(folder / f"{name}_{view}_{moment}_gt.nii.gz", (shown > 100).astype(np.uint8))
            (folder / f"Info_{view}.cfg").write_text(said.get("info", info(said, count)))
    (root / "database_split").mkdir()
    for split, names in listed.items():
        (root / f"database_split/subgroup_{SUBGROUPS[split]}.txt").write_text("".join(f"{name}\n" for name in names))


def info(said: Mapping[str, Any], frames: int) -> str:
    """The lines of Info_2CH.cfg."""
    values = {
        "ED": 1,
        "ES": frames,
        "NbFrame": frames,
        "Sex": said.get("sex", "F"),
        "Age": said.get("age", 56),
        "ImageQuality": said.get("quality", "Good"),
        "EF": said.get("ef", 55),
        "FrameRate": said.get("fps", 42.5),
    }
    return "".join(f"{key}: {value}\n" for key, value in values.items())


def save(path: Path, frames: Pixels) -> None:
    """[T, H, W] or [H, W] as SimpleITK writes it: axes (x, y, t), pixels of 0.3 by 0.3 mm."""
    image = nibabel.Nifti1Image(frames.T, np.diag([-0.3, -0.3, 1.0, 1.0]))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def pmc_oa(root: Path, rows: Sequence[Mapping[str, Any]]) -> dict[str, Pixels]:
    """pmc_oa.jsonl and the unpacked folder of images.zip; by name, what each picture shows.

    Each row has `image` (PMC212319_Fig3_4.jpg), `caption` and what else stands in its line.
    """
    folder = root / SUBFIGURES
    folder.mkdir(parents=True)
    shown = {}
    with Image.open(package_folder("skimage") / "data/ihc.png") as slide:
        for number, row in enumerate(rows):
            left = 40 * number
            picture = slide.convert("RGB").crop((left, 10, left + 90, 80))
            picture.save(folder / row["image"], "JPEG", quality=95)
            with Image.open(folder / row["image"]) as saved:
                shown[row["image"]] = np.asarray(saved.convert("RGB"))
    aligned = {"alignment_type": "made up", "alignment_score": 0.71}
    lines = [json.dumps({**row, **aligned}, ensure_ascii=False) for row in rows]
    (root / "pmc_oa.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return shown
