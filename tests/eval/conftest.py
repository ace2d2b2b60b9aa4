"""Real brain slices in three planes, as arrays and as shards, and a tiny model that was trained on them."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from shards.canonical import canonical_json
from shards.index import Shard, ShardSet, write_index
from shards.manifest import Caption, Media, Sample, write_part
from shards.record import members
from shards.stage import Context, Kind, Output
from shards.tar import write_shard
from shards.uri import local_path

PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}
PX = 32


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Two cores are shared by many tests."""
    torch.set_num_threads(1)


@cache
def brain() -> NDArray[np.uint8]:
    """The MNI brain in RAS order, 0..255."""
    import nibabel

    path = local_path("package://nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz")
    volume = np.asarray(nibabel.load(path).dataobj, dtype=np.float32)
    shown: NDArray[np.uint8] = np.clip(volume / np.percentile(volume[::4, ::4, ::4], 99.5) * 255, 0, 255).astype(
        np.uint8
    )
    return shown


def brain_slice(plane: str, number: int, side_px: int) -> NDArray[np.uint8]:
    """One slice as RGB [side, side, 3]."""
    shown = np.rot90(np.take(brain(), number, axis=PLANES[plane]))
    longer = max(shown.shape)
    margins = [((longer - side) // 2, longer - side - (longer - side) // 2) for side in shown.shape]
    square = Image.fromarray(np.pad(shown, margins)).resize((side_px, side_px), Image.Resampling.BICUBIC)
    return np.repeat(np.asarray(square)[..., None], 3, axis=2)


@pytest.fixture(scope="session")
def axial_64() -> NDArray[np.uint8]:
    """60 axial slices at 64 px, from foot to head."""
    return np.stack([brain_slice("axial", number, 64) for number in range(30, 150, 2)])


@pytest.fixture
def brains(axial_64: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy of them."""
    return axial_64.copy()


@dataclass
class Slices:
    """A shard set of brain slices: which numbers of each plane, by split."""

    splits: dict[str, range]
    source: str = "mni_t1"
    group: str = "patient:{plane}-{split}"
    side_px: int = PX
    change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] = field(default=lambda pixels: pixels)

    def sample(self, plane: str, number: int, split: str) -> tuple[str, dict[str, bytes]]:
        """Key and members of one slice."""
        buffer = io.BytesIO()
        Image.fromarray(self.change(brain_slice(plane, number, self.side_px))).save(buffer, "PNG")
        sample = Sample(
            key=f"{self.source}-{plane}-{number:03d}",
            media=Media(uri="", kind="nifti", sha256="0" * 64),
            captions=(Caption(text=f"A {plane} brain MRI image, slice {number}.", by="template@1"),),
            modality="MR",
            specialty="radiology",
            group=self.group.format(plane=plane, split=split, number=number),
            label_scope="slice",
            source=self.source,
            license="BSD-3-Clause",
            attributes=canonical_json({"plane": plane, "position_mm": float(number)}),
            split=split,
        )
        facts = {
            "width_px": self.side_px,
            "height_px": self.side_px,
            "frames": 1,
            "fps": 0.0,
            "source_width_px": 197,
            "source_height_px": 233,
            "source_frames": 1,
            "decoded_by": "",
            "steps": ["fit"],
        }
        return sample.key, members(sample, "png", buffer.getvalue(), facts)

    def write(self, root: Path, name: str) -> Output:
        """The set as a stage's output."""
        shards = []
        for split, numbers in self.splits.items():
            some = sorted(self.sample(plane, number, split) for plane in PLANES for number in numbers)
            unit = f"{split}-slices-000000"
            file, rows = write_shard(root / name / split / "slices-000000.tar", some, folder=root / name)
            content = write_part(rows, root / name / f"parts/{unit}.parquet")
            shards.append(
                Shard(
                    path=file.path,
                    split=split,
                    samples=len(some),
                    bytes=file.size_bytes,
                    sha256=file.sha256,
                    index=f"parts/{unit}.parquet",
                    rows=content,
                )
            )
        units = tuple(Path(shard.index).stem for shard in shards)
        found = ShardSet(folder=str(root / name), name="slices", media="png", shards=tuple(shards), units=units)
        return Output(stage=name, kind=Kind.SHARDS, path=root / name, content=write_index(found))


def context(root: Path, name: str, **more: Any) -> Context:
    """What the runner gives a stage."""
    (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").mkdir(exist_ok=True)
    return Context(root=root, out=root / name, tmp=root / "tmp", folder=root, **more)


@dataclass
class Bench:
    """Shards, a trained model, and a way to run a stage on them."""

    root: Path
    shards: Output
    model: Output

    def run(self, stage: Any, name: str, *inputs: Output, **more: Any) -> tuple[Path, Any]:
        """Folder and result of an evaluation of the model on its shards, or on other inputs."""
        result = stage.run(inputs or (self.model, self.shards), context(self.root, name, **more))
        return self.root / name, result


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of random weights that knows the words of the captions."""
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("bert")
    known = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *PLANES,
        *["a", "brain", "mri", "image", ",", "slice", "."],
        *"0123456789",
    ]
    (folder / "vocab.txt").write_text("\n".join([*known, *(f"##{digit}" for digit in range(10))]) + "\n")
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(known) + 10, max_position_embeddings=40, **sizes)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory, words: Path) -> Bench:
    """36 training, 15 held-out slices at 32 px, and a tiny model trained on the former."""
    from training.train import Train
    from training.train_vae import TrainVae

    root = tmp_path_factory.mktemp("bench")
    splits = {"train": range(60, 132, 6), "val": range(134, 138, 4), "test": range(63, 123, 12)}
    shards = Slices(splits, group="patient:{plane}-{split}-{number}").write(root, "pack")
    outputs = {}
    for name, stage, before in (
        ("vae", TrainVae(recipe="msdm-tiny"), [shards]),
        ("train", Train(recipe="msdm-tiny", text_encoder=str(words), max_tokens=16, samples=64), [shards, "vae"]),
    ):
        inputs = [outputs[each] if isinstance(each, str) else each for each in before]
        result = stage.run(inputs, context(root, name))
        outputs[name] = Output(stage=name, kind=Kind.CHECKPOINT, path=root / name, content=result.content)
    return Bench(root, shards, outputs["train"])


@pytest.fixture(scope="session")
def slices() -> type[Slices]:
    """The maker of shard sets."""
    return Slices


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens a socket fails."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
