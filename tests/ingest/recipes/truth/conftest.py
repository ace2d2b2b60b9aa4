"""What the truth tables share: the captions of a recipe by row, and a picture that many rows may have."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def captions() -> Callable[..., dict[str, str]]:
    """captions(made, rows): the one caption of each sample, by the name in `rows` that its file name starts with."""

    def of(made: Any, rows: Iterable[str] | Mapping[str, Any]) -> dict[str, str]:
        names = set(rows)
        found: dict[str, str] = {}
        for sample in made.samples:
            (caption,) = sample.captions
            name = Path(sample.media.uri).name.partition(".")[0]
            assert name in names
            assert name not in found
            found[name] = caption.text
        return found

    return of


@pytest.fixture
def pictures(tmp_path: Path, picture: Any) -> Callable[[Iterable[str], str], None]:
    """pictures(paths): one picture under many names below set/."""

    def write(paths: Iterable[str], mode: str = "L") -> None:
        first, *rest = (tmp_path / "set" / path for path in paths)
        picture(str(first.relative_to(tmp_path / "set")), mode)
        for path in rest:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(first, path)

    return write
