"""Stages of a small pipeline on package data: real pixels at both ends, and between them files as training leaves them.

Two sources and a captioner of its own; curation, packing and verification are the real ones. What would take minutes
(training, drawing) writes its files from blurred real slices.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from atlas_record import measured

from shards.atomic import write_bytes, write_json
from shards.canonical import sample_key, sha256_of
from shards.intake import Intake, Skip
from shards.locator import Locator
from shards.manifest import Caption, Label, Media, Sample, Term, Terms, frame, read_part, samples
from shards.media import MediaReader
from shards.reader import read_split
from shards.reasons import Reason
from shards.stage import Context, Contract, Kind, Output, Result, Unit

BRAIN = "package://nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
SLAB_SLICES = 24
FREE = Terms(**{name: Term(answer="yes", evidence="CC0 1.0, section 2") for name in ("redistribute", "train")})

PICTURES = (  # path, modality, specialty, licence, caption of the source, patient
    ("package://skimage/data/retina.jpg", "OP", "ophthalmology", "CC0-1.0", "A fundus photograph.", ""),
    ("package://skimage/data/ihc.png", "SM", "pathology", "CC0-1.0", "", ""),
    ("package://skimage/data/cell.png", "GM", "biology", "CC0-1.0", "", ""),
    ("package://pydicom/data/test_files/CT_small.dcm", "CT", "radiology", "MIT", "", "Jane Doe"),
    ("package://pydicom/data/test_files/examples_ybr_color.dcm", "US", "cardiology", "MIT", "", "John Roe"),
    ("package://data_store/data/RG1_UNCR.dcm", "CR", "radiology", "MIT", "", ""),
    ("package://pydicom/data/test_files/liver_1frame.dcm", "CT", "radiology", "MIT", "", ""),  # a segmentation
    ("package://pydicom/data/test_files/MR_truncated.dcm", "MR", "radiology", "MIT", "", ""),
    ("Mary-Major.png", "XC", "dermatology", "LicenseRef-unclear", "", "Mary Major"),
)


class Worker:
    """Offers the items of a unit."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.reader = MediaReader()

    def media(self, uri: str, locator: str = "") -> Media:
        facts = self.reader.facts(uri, locator)
        media = Media(
            uri=uri,
            kind=facts.kind,
            locator=locator,
            sha256=facts.sha256,
            width_px=facts.width_px,
            height_px=facts.height_px,
            frames=facts.frames,
            fps=facts.fps,
        )
        if locator == "":
            self.reader.read(media)  # what does not decode is rejected here
        return media


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Pictures of installed packages, and one beside the pipelines file whose name names a person."""

    contract: ClassVar[Contract] = Contract(gives=Kind.MANIFEST, adds=("media", "group", "license", "terms"), version=1)

    def units(self, ctx: Context) -> Iterator[Unit]:
        yield Unit(id="pictures", inputs=("1",), items=len(PICTURES))

    @contextmanager
    def open(self, ctx: Context) -> Iterator[PicturesWorker]:
        yield PicturesWorker(ctx)


class PicturesWorker(Worker):
    def process(self, unit: Unit) -> Result:
        intake = Intake(self.ctx)
        for row in PICTURES:
            intake.take(row[0], self.sample, *row)
        return intake.result(frame)

    def sample(self, path: str, modality: str, specialty: str, licence: str, text: str, patient: str) -> list[Sample]:
        key = sample_key("atlas", path, "")
        return [
            Sample(
                key=key,
                media=self.media(self.ctx.resolve(path)),
                modality=modality,
                specialty=specialty,
                patient=self.ctx.keyed("patient", patient) if patient else None,
                group=f"patient:{self.ctx.keyed('patient', patient)}" if patient else f"image:{key[-26:]}",
                label_scope="image",
                source="atlas",
                url=f"https://example.org/{path.rpartition('/')[2]}" if path.startswith("package") else None,
                license=licence,
                terms=FREE if licence.startswith("CC0") else Terms(),
                captions=(Caption(text=text, by="source"),) if text else (),
                labels=(Label(name="drusen", state="absent", scope="image", origin="expert"),) if text else (),
            )
        ]


@dataclass(frozen=True, kw_only=True)
class Slices:
    """Slices of the brain template in slabs, with a gap between two slabs."""

    contract: ClassVar[Contract] = Contract(gives=Kind.MANIFEST, adds=("media", "group", "license", "terms"), version=1)
    every: int = 6

    def units(self, ctx: Context) -> Iterator[Unit]:
        for plane in ("axial", "coronal", "sagittal"):
            yield Unit(id=f"brain-{plane}", payload={"plane": plane}, inputs=("1",))

    @contextmanager
    def open(self, ctx: Context) -> Iterator[SlicesWorker]:
        yield SlicesWorker(ctx, self.every)


class SlicesWorker(Worker):
    def __init__(self, ctx: Context, every: int) -> None:
        super().__init__(ctx)
        self.every = every

    def process(self, unit: Unit) -> Result:
        intake = Intake(self.ctx)
        plane = unit.payload["plane"]
        for number in range(48, 144, self.every):
            intake.take(f"{plane} {number}", self.sample, plane, number)
        return intake.result(frame)

    def sample(self, plane: str, number: int) -> list[Sample]:
        if number % SLAB_SLICES == 0:
            raise Skip(Reason.IN_GAP)
        locator = Locator(axis=plane, slice=number, low=0.0, high=228.0).text()
        return [
            Sample(
                key=sample_key("brain", "template", locator),
                media=self.media(BRAIN, locator),
                modality="MR",
                specialty="neurology",
                group=f"slab:{self.ctx.keyed('slab', f'{plane}{number // SLAB_SLICES}')}",
                patient=self.ctx.keyed("patient", "template"),
                label_scope="slice",
                source="brain",
                license="BSD-3-Clause",
                attributes=json.dumps({"plane": plane}),
            )
        ]


@dataclass(frozen=True, kw_only=True)
class Word:
    """Fills missing captions."""

    contract: ClassVar[Contract] = Contract(
        takes=(Kind.MANIFEST,), gives=Kind.MANIFEST, needs=("media",), adds=("captions",), version=1
    )

    @contextmanager
    def open(self, ctx: Context) -> Iterator[Word]:
        yield self

    def process(self, unit: Unit) -> Result:
        rows = [self.worded(sample) for sample in samples(read_part(unit.payload["part"]))]
        return Result(rows=frame(rows), offered=len(rows), accepted=len(rows))

    def worded(self, sample: Sample) -> Sample:
        plane = json.loads(sample.attributes).get("plane")
        # a caption may hold anything, so also what a page must not take for its own
        text = f"Brain, {plane} slice." if plane else f'{sample.modality} <img src="https://example.org/pixel.png">'
        return sample if sample.captions else replace(sample, captions=(Caption(text=text, by="template@1"),))


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A training run's files: log, previews, and what the model says of itself."""

    contract: ClassVar[Contract] = Contract(takes=(Kind.SHARDS,), gives=Kind.CHECKPOINT, version=1)
    steps: int = 600

    def run(self, inputs: Sequence[Output], ctx: Context) -> Result:
        rng = np.random.default_rng(0)
        lines = []
        for step in range(1, self.steps + 1):
            terms = {
                "l1": 0.03 + 0.9 * math.exp(-step / 60) * rng.uniform(0.9, 1.1),
                "gradient": 0.01 + 0.3 * math.exp(-step / 80) * rng.uniform(0.8, 1.2),
            }
            lines.append({"samples": 8 * step, "loss": sum(terms.values()), **terms, "lr": 1e-3, "samples_per_s": 90.0})
            if step % 100 == 0:
                lines.append({"samples": 8 * step, "val_loss": 1.2 * sum(terms.values())})
        write_bytes(ctx.out / "log.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
        for at, picture in enumerate(pictures(inputs[0].path, "train", 3)):
            write_png(ctx.out / "previews" / f"{1600 * (at + 1):012d}.png", blurred(picture, 9 - 3 * at))
        write_json(ctx.out / "model" / "medloom.json", {"family": "msdm", "image_px": 128, "files": {}})
        return Result(content=sha256_of(lines), offered=1, accepted=1)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """An evaluation's files."""

    contract: ClassVar[Contract] = Contract(takes=(Kind.CHECKPOINT, Kind.SHARDS), gives=Kind.REPORT, version=1)

    def run(self, inputs: Sequence[Output], ctx: Context) -> Result:
        pack = next(given.path for given in inputs if given.kind is Kind.SHARDS)
        rows = []
        for at, picture in enumerate(pictures(pack, "train", 3)):
            write_png(ctx.out / "real" / f"{at}.png", picture)
            names = [f"samples/{at}-{seed}.png" for seed in range(3)]
            for seed, name in enumerate(names):
                write_png(ctx.out / name, blurred(picture, 3 + 2 * seed))
            rows.append({"prompt": f"Brain, slice {at}.", "key": "", "real": f"real/{at}.png", "generated": names})
        write_json(ctx.out / "grid.json", rows)
        write_json(ctx.out / "metrics.json", measured(rows).document())
        return Result(content=sha256_of(rows), offered=len(rows), accepted=len(rows))


def pictures(pack: Path, split: str, number: int) -> list[np.ndarray]:
    """The first grey pictures of a shard set."""
    from shards.codecs import decode

    decoded = (decode(sample.members["jpg"], "jpg")[0] for sample in read_split(pack, split))
    return [picture for picture in decoded if picture.ndim == 2][:number]


def blurred(picture: np.ndarray, sigma_px: float) -> np.ndarray:
    import cv2

    return cv2.GaussianBlur(picture, (0, 0), sigma_px)


def write_png(path: Path, picture: np.ndarray) -> None:
    from shards.codecs import encode

    write_bytes(path, encode(picture[np.newaxis], "png", quality=0)[0])
