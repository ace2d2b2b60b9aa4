"""What the tests of files with tables share: slices and volumes that are written, and stages over them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from ingest.converters.dicom_folder import DicomFolder
from ingest.converters.nifti_volumes import NiftiVolumes
from ingest.rights import Rights
from shards.uri import package_folder

RIGHTS = Rights(license="MIT")
STATES = {"1": "present", "0": "absent"}
Write = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def scan(root: Path) -> Write:
    """scan(name, **elements): pydicom's small CT slice, or MR slice where `MR` is in the name, or a cine for `US`."""

    def write(name: str, **elements: Any) -> Path:
        import pydicom

        source = {"MR": "MR_small.dcm", "US": "examples_ybr_color.dcm"}.get(name[:2], "CT_small.dcm")
        dataset = pydicom.dcmread(package_folder("pydicom") / "data/test_files" / source)
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        path = root / f"{name}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path)
        return path

    return write


@pytest.fixture
def volume(root: Path) -> Write:
    """volume(name, values, spacing_mm, slope, intercept), its corner at -10 mm on each axis."""

    def write(
        name: str,
        values: np.ndarray | None = None,
        spacing_mm: tuple[float, float, float] = (1, 1, 1),
        slope: float | None = None,
        intercept: float | None = None,
    ) -> Path:
        if values is None:
            values = np.linspace(-1000, 1000, 1000).astype(np.int16).reshape(10, 10, 10)
        affine = np.diag([*spacing_mm, 1.0])
        affine[:3, 3] = -10
        image = nibabel.Nifti1Image(values, affine)
        image.header.set_slope_inter(slope, intercept)
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(image, path)
        return path

    return write


def dicom(root: Path, **options: Any) -> DicomFolder:
    return DicomFolder(**{"source": "d", "path": str(root), "rights": RIGHTS, "include": ("*.dcm",), **options})


def nifti(root: Path, **options: Any) -> NiftiVolumes:
    usual: dict[str, Any] = {"modality": "CT", "specialty": "radiology", "min_foreground": 0.0, "planes": ("axial",)}
    return NiftiVolumes(source="n", path=str(root), rights=RIGHTS, **{**usual, **options})


def attributes(sample: Any) -> dict[str, Any]:
    return dict(json.loads(sample.attributes))
