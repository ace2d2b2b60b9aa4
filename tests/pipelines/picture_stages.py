"""A user's source of pictures with captions, for runs that pack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from shards.canonical import sample_key
from shards.intake import Intake
from shards.manifest import Caption, Media, Sample, frame
from shards.media import MediaReader
from shards.stage import Context, Contract, Kind, Result, Unit


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """One unit a file."""

    contract: ClassVar[Contract] = Contract(gives=Kind.MANIFEST, adds=("media", "captions", "split"), version=1)
    path: str
    word: str = "A picture"

    def units(self, ctx: Context) -> Iterable[Unit]:
        for path in sorted(Path(ctx.resolve(self.path)).iterdir()):
            yield Unit(id=f"p-{path.stem}", payload={"path": str(path)}, inputs=(path.name, str(path.stat().st_size)))

    @contextmanager
    def open(self, ctx: Context) -> Iterator[PicturesWorker]:
        yield PicturesWorker(self, ctx)


class PicturesWorker:
    def __init__(self, stage: Pictures, ctx: Context) -> None:
        self.stage = stage
        self.ctx = ctx
        self.reader = MediaReader()

    def process(self, unit: Unit) -> Result:
        intake = Intake(self.ctx)
        intake.take(unit.id, self.rows, Path(unit.payload["path"]))
        return intake.result(frame)

    def rows(self, path: Path) -> list[Sample]:
        facts = asdict(self.reader.facts(str(path)))
        media = Media(uri=str(path), **{name: facts[name] for name in facts if name in Media.__dataclass_fields__})
        return [
            Sample(
                key=sample_key("pictures", path.name, ""),
                media=media,
                modality="OP",
                specialty="ophthalmology",
                group=f"image:{path.stem}",
                label_scope="image",
                source="pictures",
                license="CC0-1.0",
                captions=(Caption(text=f"{self.stage.word} {path.stem}.", by="source"),),
                split="train",
            )
        ]
