"""What the tests of array files share: pixels, and options of PCam."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ingest.columns import LabelColumn
from ingest.converters.array_files import RowArray
from ingest.rights import Rights

Pixels = npt.NDArray[np.uint8]
LAYOUTS = runpy.run_path(str(Path(__file__).with_name("container_layouts.py")))
tiles, medmnist, pcam, fastmri = (LAYOUTS[name] for name in ("tiles", "medmnist", "pcam", "fastmri"))
COMMON: dict[str, Any] = {"source": "here", "rights": Rights(license="CC-BY-4.0"), "specialty": "pathology"}
PCAM: dict[str, Any] = {
    **COMMON,
    "modality": "SM",
    "include": ("*_x.h5",),
    "parts": {"name": r"_split_(?P<split>train|valid|test)_x\.h5$"},
    "pictures": "x",
    "row_arrays": {"tumour": RowArray(array="y", file="camelyonpatch_level_2_split_{split}_y.h5")},
    "row_table": "camelyonpatch_level_2_split_{split}_meta.csv",
    "official_split": "split",
    "split_names": {"valid": "val"},
    "group": "wsi",
    "group_is": "slide",
    "labels": (
        LabelColumn(column="tumour", name="metastatic tissue in the centre", states={"1": "present", "0": "absent"}),
    ),
}


@pytest.fixture(scope="module")
def slide() -> Pixels:
    return LAYOUTS["slide"]()
