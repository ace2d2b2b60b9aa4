"""A sample with the least that a manifest row needs, and what a test adds."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shards.attributes import encode
from shards.locator import Locator
from shards.manifest import Caption, Label, Media, Sample

MakeSample = Callable[..., Sample]
WHOLE = Locator()


@pytest.fixture(scope="session")
def make_sample() -> MakeSample:
    def make(
        modality: str = "CR",
        *,
        key: str = "nih-0001",
        labels: tuple[tuple[str, str, str], ...] = (),
        captions: tuple[Caption, ...] = (),
        at: Locator = WHOLE,
        kind: str = "image",
        frames: int | None = 1,
        fps: float | None = None,
        attributes: str | None = None,
        template: str | None = None,
        **known: Any,
    ) -> Sample:
        return Sample(
            key=key,
            media=Media(uri="/no/such/file", kind=kind, locator=at.text(), frames=frames, fps=fps),
            modality=modality,
            specialty="radiology",
            group="patient:abc",
            label_scope="image",
            source="nih",
            license="CC0-1.0",
            labels=tuple(Label(name=n, state=state, scope=scope, origin="expert") for n, state, scope in labels),
            captions=captions,
            attributes=encode(known) if attributes is None else attributes,
            template=template,
        )

    return make


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a checkpoint of a kind in tests/captioning/tiny_models.py."""
    made: dict[str, Path] = {}

    def find(kind: str) -> Path:
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp("models") / kind
            runpy.run_path(str(Path(__file__).parent / "tiny_models.py"))["save"](kind, made[kind])
        return made[kind]

    return find
