"""What the tests of DICOM folders share: files of pydicom, and the stage over them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.converters.dicom_folder import DicomFolder
from ingest.rights import Rights
from shards.media import MediaReader
from shards.uri import package_folder

TEST_FILES = "package://pydicom/data/test_files"
MR = "dicomdirtests/98892003/MR700"
LOOKED_AT = {"*": "test files of pydicom, each looked at"}


def stage(path: str | Path, **options: Any) -> DicomFolder:
    return DicomFolder(source="here", path=str(path), rights=Rights(license="MIT"), **options)


@pytest.fixture
def copy(tmp_path: Path) -> Callable[..., Path]:
    """copy(name, to, **elements): a test file of pydicom below `scans`, with some elements set anew."""

    def make(name: str, to: str, **elements: Any) -> Path:
        import pydicom

        folder = tmp_path / "scans"
        target = folder / to
        target.parent.mkdir(parents=True, exist_ok=True)
        source = package_folder("pydicom") / "data/test_files" / name
        if not elements:
            shutil.copy(source, target)
            return folder
        dataset = pydicom.dcmread(source)
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        dataset.save_as(target)
        return folder

    return make


def pixels(sample: Any) -> np.ndarray:
    return MediaReader().read(sample.media).pixels
