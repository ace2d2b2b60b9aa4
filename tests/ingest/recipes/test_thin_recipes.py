"""Recipes whose layout is unverified, run over a few files laid out as they say: captions, groups, splits."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from shards.uri import package_folder


@pytest.fixture
def retina(tmp_path: Path) -> Any:
    """retina(path): a real fundus photograph, small, below set/."""

    def write(path: str) -> None:
        where = tmp_path / "set" / path
        where.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(package_folder("skimage") / "data/retina.jpg") as image:
            image.convert("RGB").resize((64, 64)).save(where)

    return write


def test_oct2017(retina: Any, make: Any, lies: Any) -> None:
    for path in ("train/CNV/CNV-1001-1.jpeg", "train/NORMAL/NORMAL-1001-2.jpeg", "test/DME/DME-2002-1.jpeg"):
        retina(path)
    made = make("oct2017")
    assert "choroidal neovascularisation" in made.said("CNV-1001-1.jpeg").lower()
    assert "findings labelled normal" in made.said("NORMAL-1001-2.jpeg").lower()
    by_name = {sample.media.uri.rpartition("/")[2]: sample for sample in made.samples}
    assert by_name["CNV-1001-1.jpeg"].patient == by_name["NORMAL-1001-2.jpeg"].patient
    assert by_name["DME-2002-1.jpeg"].official_split == "test"
    assert not lies(made, ("drusen", "diabetic macular oedema"))


def test_busi_leaves_its_masks_out(retina: Any, make: Any, lies: Any) -> None:
    for name in ("benign/benign (1)", "malignant/malignant (2)", "normal/normal (3)"):
        retina(f"{name}.png")
        retina(f"{name}_mask.png")
    made = make("busi")
    assert len(made.samples) == 3
    assert "benign lesion" in made.said("benign (1).png")
    assert "findings labelled normal" in made.said("normal (3).png").lower()
    assert not lies(made, ("malignant lesion", "benign lesion"))


def test_rfmid(tmp_path: Path, retina: Any, make: Any, lies: Any) -> None:
    (tmp_path / "set").mkdir()
    rows = [
        "ID,Disease_Risk,DR,ARMD,MH,DN,MYA,BRVO,TSLN,ERM,CRVO,ODC",
        "1,1,1,0,0,0,0,0,0,0,0,1",
        "2,0,0,0,0,0,0,0,0,0,0,0",
    ]
    (tmp_path / "set/RFMiD_Training_Labels.csv").write_text("\n".join(rows) + "\n")
    for number in (1, 2):
        retina(f"Training/{number}.png")
    made = make("rfmid")
    first = made.said("Training/1.png")
    assert "diabetic retinopathy and optic disc cupping" in first
    assert "normal" not in made.said("Training/2.png")
    assert "no diabetic retinopathy" in made.said("Training/2.png")
    assert not lies(made, ("drusen", "myopia"))


def test_odir_5k(tmp_path: Path, retina: Any, make: Any, lies: Any) -> None:
    (tmp_path / "set").mkdir()
    pl.DataFrame(
        {
            "ID": [0, 1, 2],
            "Patient Age": [69, 57, 60],
            "Patient Sex": ["Female", "Male", "Male"],
            "Left-Fundus": ["0_left.jpg", "1_left.jpg", "2_left.jpg"],
            "Left-Diagnostic Keywords": [
                "cataract",
                "normal fundus,lens dust",
                "cataract\uff0cglaucoma\uff0clens dust",
            ],
            "N": [0, 1, 0],
        }
    ).write_excel(tmp_path / "set/data.xlsx")
    for number in (0, 1, 2):
        retina(f"Training Images/{number}_left.jpg")
    made = make("odir_5k")
    assert "cataract" in made.said("0_left.jpg")
    assert "left" in made.said("0_left.jpg")
    assert "dust" not in made.said("1_left.jpg") + made.said("2_left.jpg")
    assert "cataract and glaucoma" in made.said("2_left.jpg")  # parted by full-width commas, as in the real sheet
    assert not lies(made, ("cataract", "glaucoma"))


def test_skin_photographs(tmp_path: Path, retina: Any, make: Any, lies: Any) -> None:
    (tmp_path / "set").mkdir()
    ddi = [",DDI_ID,DDI_file,skin_tone,malignant,disease", "0,1,000001.png,56,True,melanoma-in-situ"]
    (tmp_path / "set/ddi_metadata.csv").write_text("\n".join(ddi) + "\n")
    retina("000001.png")
    made = make("ddi")
    assert "melanoma-in-situ" in made.said("000001.png").lower()
    assert not lies(made, ("melanoma",))
    names = ["md5hash", "fitzpatrick_scale", "fitzpatrick_centaur", "label", "nine_partition_label"]
    header = ",".join([*names, "three_partition_label", "qc", "url", "url_alphanum"])
    rows = [
        "5e82a45b,3,3,drug induced pigmentary changes,inflammatory,non-neoplastic,,https://www.example.org/a.jpg,a",
        "5e82a45c,-1,-1,psoriasis,inflammatory,non-neoplastic,,,b",
        "5e82a45d,2,2,acne,inflammatory,non-neoplastic,3 Wrongly labelled,https://www.example.org/c.jpg,c",
    ]
    (tmp_path / "set/fitzpatrick17k.csv").write_text("\n".join([header, *rows]) + "\n")
    for row in rows:
        retina(f"images/{row.split(',')[0]}.jpg")
    made = make("fitzpatrick17k")
    assert made.reasons == {"images/5e82a45d.jpg": "excluded_by_name"}
    assert "skin type 3" in made.said("5e82a45b.jpg")
    assert "skin type" not in made.said("5e82a45c.jpg")
    assert "psoriasis" in made.said("5e82a45c.jpg").lower()
    assert not lies(made, ("acne", "psoriasis"))


def test_icbhi_2017(tmp_path: Path, make: Any, lies: Any) -> None:
    base = tmp_path / "set"
    base.mkdir()
    rate = 4000
    tone = (np.sin(2 * np.pi * 200 * np.arange(3 * rate) / rate) * 8000).astype("<i2")
    for name in ("101_1b1_Al_sc_Meditron", "102_1b1_Tc_sc_Meditron"):
        with wave.open(str(base / f"{name}.wav"), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(rate)
            sound.writeframes(tone.tobytes())
    (base / "101_1b1_Al_sc_Meditron.txt").write_text("0.036\t1.0\t1\t0\n1.0\t2.5\t0\t0\n")
    (base / "102_1b1_Tc_sc_Meditron.txt").write_text("0.1\t1.9\t0\t1\n")
    (base / "patient_diagnosis.csv").write_text("101,URTI\n102,Healthy\n")
    made = make("icbhi_2017")
    texts = sorted(sample.captions[0].text for sample in made.samples)
    assert len(texts) == 3
    assert sum("from a patient with upper respiratory tract infection" in text for text in texts) == 2
    assert all("healthy" not in text.lower() for text in texts)
    assert sum("left anterior" in text for text in texts) == 2
    assert len({sample.patient for sample in made.samples}) == 2
    assert not lies(made, ("crackles", "wheezes"))


def test_echonet_pediatric(tmp_path: Path, make: Any, lies: Any) -> None:
    import av

    (tmp_path / "set/Videos").mkdir(parents=True)
    with av.open(str(tmp_path / "set/Videos/CR32a7555.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 112, 112, "yuv420p"
        for number in range(12):
            pixels = np.full((112, 112, 3), 100 + number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    rows = ["FileName,EF,Sex,Age,Weight,Height,Split", "CR32a7555.avi,64.5,F,12,40,150,3"]
    (tmp_path / "set/FileList.csv").write_text("\n".join(rows) + "\n")
    made = make("echonet_pediatric")
    said = made.said("CR32a7555.avi")
    assert "64.5 %" in said
    assert "girl" in said
    assert not lies(made)
