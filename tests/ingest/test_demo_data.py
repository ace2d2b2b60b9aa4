"""What the demo says of files in packages, held against the files."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.columns import LabelColumn
from ingest.converters.table_images import TableImages
from ingest.rights import LICENCES, Rights
from shards.locator import Locator
from shards.manifest import Media
from shards.media import MediaReader

TABLES = Path(__file__).parents[2] / "demo" / "tables"
ROOTS = {"scikit_image": "package://skimage/data", "stardist": "package://stardist/data/images"}


@pytest.mark.parametrize("name", sorted(ROOTS))
def test_every_row_of_a_table_names_a_picture_and_a_licence(convert: Any, name: str) -> None:
    table = TABLES / f"{name}.csv"
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    lesion = (LabelColumn(column="lesion", name="microaneurysm", states={"present": "present"}),)
    found = convert(
        TableImages(
            source=name,
            table=str(table),
            path=ROOTS[name],
            image="file",
            caption="caption",
            rights=Rights(license="BSD-3-Clause"),
            license_column="licence" if "licence" in rows[0] else None,
            modality_column="modality",
            specialty_column="specialty",
            attribute_columns={attribute: attribute for attribute in ("organ", "stain") if attribute in rows[0]},
            labels=lesion if "lesion" in rows[0] else (),
            probe=True,
        )
    )
    assert not found.rejects
    assert len(found.samples) == len(rows)
    assert all(sample.captions and sample.license in LICENCES for sample in found.samples)
    assert sum(len(sample.labels) for sample in found.samples) == sum(row.get("lesion") == "present" for row in rows)


def test_the_template_is_symmetric_so_half_of_its_sagittal_slices_say_all() -> None:
    reader = MediaReader()
    for tissue in ("t1", "gm", "wm"):
        name = f"mni_icbm152_{tissue}_tal_nlin_sym_09a_converted.nii.gz"
        stored = reader.volume(f"package://nilearn/datasets/data/{name}").stored
        assert np.array_equal(stored, stored[::-1])


def test_the_abdomen_is_shown_with_its_back_and_the_table_down() -> None:
    """Its rows run to the front. The table is the brightest thing outside of the body, below the patient's back."""
    reader = MediaReader()
    frames = reader.read(
        Media(
            uri="package://data_store/data/explicit_VR-UN.dcm", kind="dicom", locator=Locator(window="abdomen").text()
        )
    )
    assert frames.steps[-1] == "turned over top to bottom to put anterior up (Image Orientation (Patient))"
    edge = frames.pixels[0, :, :64] > 128  # left of the body, where the table alone reaches
    assert edge[350:].sum() > 20
    assert not edge[:350].any()
