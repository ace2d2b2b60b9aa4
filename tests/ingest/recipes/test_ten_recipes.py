"""Ten recipes joined in one pipelines file: one manifest with its columns filled, Table 1, shards of both kinds."""

from __future__ import annotations

import io
import json
import runpy
from pathlib import Path
from typing import Any

import av
import numpy as np
import polars as pl
import pytest
from PIL import Image

from pipelines.pool import SerialPool
from pipelines.run import RunOptions, run
from pipelines.screen import Screen
from pipelines.spec import load
from shards.manifest import NEVER_NULL, SCHEMA
from shards.reader import read_split
from shards.uri import package_folder
from shards.verify import verify

HERE = Path(__file__).parent
RADIOGRAPHS = runpy.run_path(str(HERE / "test_radiographs.py"))
HEARTS = runpy.run_path(str(HERE / "test_hearts_and_operations.py"))
LAYOUTS = runpy.run_path(str(HERE.parent / "container_layouts.py"))

STAGES = {
    "chexpert": "{path: chexpert, probe: true}",
    "nih_chestxray14": "{path: nih, probe: true}",
    "padchest": "{path: padchest, probe: true}",
    "ham10000": "{path: ham, probe: true}",
    "hyper_kvasir_images": "{path: kvasir, probe: true}",
    "medvqa_gi": "{path: medvqa, probe: true}",
    "oct2017": "{path: oct, probe: true}",
    "pcam": "{path: pcam, probe: true}",
    "echonet_dynamic": "{path: echo}",
    "cholec80": "{path: cholec80}",
}
LICENCES = (
    "[LicenseRef-Stanford-Research-Use, LicenseRef-NIH-ChestXray, LicenseRef-PadChest-Research-Use, CC-BY-NC-4.0, "
    "LicenseRef-HyperKvasir, LicenseRef-ImageCLEF-2024, CC-BY-4.0, CC0-1.0, CC-BY-NC-SA-4.0]"
)


def pictures(root: Path, radiograph: Any) -> None:
    """Real pictures below `root`: a radiograph, and colour pictures where no package has the modality."""
    with Image.open(package_folder("skimage") / "data/retina.jpg") as image:
        colour = image.convert("RGB").resize((80, 72))
    chest = Image.fromarray((radiograph // 257).astype(np.uint8))
    deep = Image.fromarray((radiograph // 16).astype(np.uint16))
    base = "chexpert/CheXpert-v1.0-small/train"
    files: dict[str, Any] = {
        f"{base}/patient{n:05d}/study1/view1_frontal.jpg": chest.crop((0, n, 150, 150 + n)) for n in range(4)
    }
    files |= {f"nih/images/{n:08d}_000.png": chest.crop((n, 0, 150 + n, 150)) for n in range(1, 4)}
    files |= {f"padchest/0/{n}.png": deep.crop((n, 0, 160 + n, 160)) for n in range(3)}
    files |= {f"ham/images/ISIC_{n:07d}.jpg": colour.crop((n, 0, 60 + n, 60)) for n in range(3)}
    files |= {f"kvasir/lower-gi-tract/x/polyps/{n}.jpg": colour.crop((n, 2, 60 + n, 60)) for n in range(3)}
    files |= {"medvqa/images/a.jpg": colour.crop((5, 5, 60, 60))}
    files |= {f"oct/train/CNV/CNV-{n}-1.jpeg": colour.crop((n, 7, 60 + n, 60)).convert("L") for n in range(1, 4)}
    for path, image in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        image.save(root / path)


def tables(root: Path) -> None:
    table = RADIOGRAPHS["table"]
    usual = {"Sex": "Female", "Age": "71", "Frontal/Lateral": "Frontal", "AP/PA": "AP"}
    rows = [
        {"Path": f"CheXpert-v1.0-small/train/patient{n:05d}/study1/view1_frontal.jpg", "Edema": state, **usual}
        for n, state in enumerate(("1.0", "0.0", "-1.0", ""))
    ]
    table(root / "chexpert/CheXpert-v1.0-small/train.csv", RADIOGRAPHS["CHEXPERT"], rows)
    lines = [f"{n:08d}_000.png,Mass|Nodule,0,{n},58,M,PA,1,1,0.1,0.1" for n in range(1, 5)]  # the last has no file
    (root / "nih/Data_Entry_2017_v2020.csv").write_text("\n".join([RADIOGRAPHS["NIH"], *lines]) + "\n")
    padchest = [
        {"ImageID": f"{n}.png", "ImageDir": "0", "PatientID": f"p{n}", "Projection": "PA", "Labels": labels,
         "WindowCenter_DICOM": "2048", "WindowWidth_DICOM": "4096", "PatientBirth": "1950",
         "StudyDate_DICOM": "20150101", "Modality_DICOM": "CR"}
        for n, labels in enumerate(("['pneumonia']", "['normal']", "[broken"))
    ]  # fmt: skip
    name = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"
    table(root / "padchest" / name, RADIOGRAPHS["PADCHEST"], padchest)
    ham = ["lesion_id,image_id,dx,dx_type,age,sex,localization"]
    ham += [f"HAM_{n},ISIC_{n:07d},{dx},histo,50.0,male,back" for n, dx in enumerate(("mel", "nv", "bcc"))]
    (root / "ham/HAM10000_metadata.csv").write_text("\n".join(ham) + "\n")
    (root / "kvasir/upper-gi-tract").mkdir()
    (root / "kvasir/upper-gi-tract/readme.txt").write_text("")
    (root / "medvqa/prompt-gt.csv").write_text("Prompt;Filename\nGenerate an image of a polyp.;a\n")
    (root / "pcam").mkdir()
    LAYOUTS["pcam"](root / "pcam", LAYOUTS["slide"](), "train", 3)


def videos(root: Path) -> None:
    for n in range(2):
        HEARTS["write_video"](root / f"echo/Videos/V{n}.avi", 40 + n)
    header = "FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,Split"
    rows = [f"V{n},60.5,38.5,99.1,112,112,50,40,TRAIN" for n in range(2)]
    (root / "echo/FileList.csv").write_text("\n".join([header, *rows]) + "\n")
    HEARTS["write_video"](root / "cholec80/videos/video01.mp4", 70, fps=25, size=(160, 90))
    for folder in ("phase_annotations", "tool_annotations"):
        (root / "cholec80" / folder).mkdir()
    lines = "".join(f"{number}\tPreparation\n" for number in range(70))
    (root / "cholec80/phase_annotations/video01-phase.txt").write_text(f"Frame\tPhase\n{lines}")
    names = "Frame\tGrasper\tBipolar\tHook\tScissors\tClipper\tIrrigator\tSpecimenBag"
    tools = "".join(f"{number}\t1\t0\t0\t0\t0\t0\t0\n" for number in range(0, 70, 25))
    (root / "cholec80/tool_annotations/video01-tool.txt").write_text(f"{names}\n{tools}")


@pytest.mark.slow
def test_ten_recipes_make_one_data_set(tmp_path: Path, radiograph: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pictures(tmp_path, radiograph)
    tables(tmp_path)
    videos(tmp_path)
    stages = "".join(f'      {name}: {{use: "recipe:{name}", with: {given}}}\n' for name, given in STAGES.items())
    (tmp_path / "pipelines.yaml").write_text(f"""\
version: 1
pipelines:
  ten:
    root: out
    key: {{public: ten}}
    stages:
{stages}
      curate: {{use: "ingest.curate:Curate", from: [{", ".join(STAGES)}], with: {{allow_licenses: {LICENCES}}}}}
      caption: {{use: "captioning.fill:FillCaptions", from: [curate]}}
      stills: {{use: "shards.pack:PackShards", from: [caption],
               with: {{name: stills, preset: square-64, media: png, select: images}}}}
      clips: {{use: "shards.pack:PackShards", from: [caption],
              with: {{name: clips, preset: medisyn-clip, media: mp4, select: clips}}}}
""")
    report = run(load(tmp_path / "pipelines.yaml", "ten", ()), RunOptions(), SerialPool, Screen(quiet=True))
    assert not report.failed

    rows = pl.read_parquet(tmp_path / "out/caption/parts/*.parquet")
    assert rows.schema == SCHEMA
    assert rows.select(pl.any_horizontal(pl.col(*NEVER_NULL).is_null().any())).item() is False
    assert rows["captions"].list.len().min() == 1
    assert rows["split"].null_count() == 0
    assert rows["media"].struct.field("sha256").null_count() == 0
    assert set(rows["source"]) == {
        "chexpert", "nih_cxr14", "padchest", "ham10000", "hyperkvasir", "medvqa_gi", "oct2017", "pcam",
        "echonet_dynamic", "cholec80",
    }  # fmt: skip

    rejects = pl.read_parquet(tmp_path / "out/*/rejects/*.parquet")
    assert dict(rejects.select("item", "reason").iter_rows()) == {
        "images/00000004_000.png": "missing_file",
        "0/2.png": "bad_row",
    }
    summary = json.loads((tmp_path / "out/curate/table1.json").read_text())
    assert "X-ray" in json.dumps(summary)
    assert "surgical footage" in json.dumps(summary)

    for name in ("stills", "clips"):
        assert verify(tmp_path / "out" / name).good
    clips = [sample for split in ("train", "val", "test") for sample in _samples(tmp_path / "out/clips", split)]
    assert len(clips) == 4
    for clip in clips:
        with av.open(io.BytesIO(clip.members["mp4"]), format="mp4") as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert np.stack(frames).shape == (32, 256, 448, 3)


def _samples(folder: Path, split: str) -> list[Any]:
    return list(read_split(folder, split)) if (folder / split).is_dir() else []
