"""Samples of the manifest, drawn by hypothesis."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from shards import vocabulary as v
from shards.canonical import canonical_json, sample_key
from shards.locator import Locator
from shards.manifest import Caption, Label, Media, Sample, Term, Terms
from shards.stage import Context

TEXT = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=12)
COUNT = st.none() | st.integers(1, 2**31 - 1)
HASH = st.none() | st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=26, max_size=26)
TERM = st.builds(Term, answer=st.sampled_from(v.TERM_ANSWERS), evidence=TEXT)

MEDIA = st.builds(
    Media,
    uri=TEXT,
    kind=st.sampled_from(v.MEDIA_KINDS),
    locator=st.sampled_from(["", Locator(axis="axial", slice=90).text(), Locator(frame_start=0, frame_stop=32).text()]),
    sha256=st.none() | st.just("ab" * 32),
    width_px=COUNT,
    height_px=COUNT,
    frames=COUNT,
    fps=st.none() | st.floats(0.1, 1000),
)


def sample(number: int) -> st.SearchStrategy[Sample]:
    return st.builds(
        Sample,
        key=st.just(sample_key("drawn", str(number), "")),
        media=MEDIA,
        modality=st.sampled_from(list(v.MODALITIES)),
        specialty=st.sampled_from(v.SPECIALTIES),
        group=st.builds(
            "{}:{}".format, st.sampled_from(["patient", "image"]), st.text("abc234", min_size=1, max_size=26)
        ),
        label_scope=st.sampled_from(v.LABEL_SCOPES),
        source=st.just("drawn"),
        license=st.sampled_from(["CC-BY-4.0", "LicenseRef-physionet", "MIT"]),
        terms=st.builds(Terms, **dict.fromkeys(v.TERM_NAMES, TERM)),
        captions=st.lists(
            st.builds(
                Caption,
                text=TEXT.filter(bool),
                by=st.sampled_from(["source", "template@7", "vlm:Some-Model_7b/x@prompt-2"]),
                weight=st.floats(0, 1),
                checks=st.lists(TEXT, max_size=2).map(tuple),
            ),
            max_size=2,
        ).map(tuple),
        patient=HASH,
        study=HASH,
        source_id=HASH,
        labels=st.lists(
            st.builds(
                Label,
                name=TEXT,
                state=st.sampled_from(v.LABEL_STATES),
                scope=st.sampled_from(v.LABEL_SCOPES),
                origin=st.sampled_from(v.LABEL_ORIGINS),
            ),
            max_size=2,
        ).map(tuple),
        url=st.none() | TEXT,
        retrieved=st.none()
        | st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)).map(lambda time: time.replace(tzinfo=UTC)),
        official_split=st.none() | TEXT,
        attributes=st.dictionaries(TEXT, st.integers() | TEXT, max_size=2).map(canonical_json),
        split=st.none() | st.sampled_from(v.SPLITS),
    )


@pytest.fixture(scope="session")
def drawn() -> st.SearchStrategy[list[Sample]]:
    """Up to five samples with different keys."""
    return st.integers(0, 5).flatmap(lambda many: st.tuples(*map(sample, range(many))).map(list))


@pytest.fixture
def context(tmp_path: Path) -> Any:
    """A context of a stage, and more of it by name."""

    def make(**more: Any) -> Context:
        return Context(root=tmp_path, out=tmp_path / "out", tmp=tmp_path / "tmp", folder=tmp_path, **more)

    return make
