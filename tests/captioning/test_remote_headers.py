"""Names in the header of a DICOM file behind an fsspec url are looked for as in a local file's."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar

import fsspec
import pydicom
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry
from pydicom.data import get_testdata_file

from captioning import own_words as module
from captioning.engine import Answer
from captioning.own_words import own_words
from captioning.prompts import Prompt
from shards.intake import Skip
from shards.manifest import Media, Sample
from shards.reasons import Reason

MakeSample = Callable[..., Sample]
FOLDER = "memory://films"
URL = f"{FOLDER}/a.dcm"
PROMPT = Prompt(version="p.1", texts={})


@pytest.fixture(autouse=True)
def film() -> Iterator[bytes]:
    """A DICOM file with names in its header, in a store; its bytes."""
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    dataset.PatientName = "Brown^Rose Marie"
    dataset.OperatorsName = "Okonkwo^Chidi"
    dataset.InstitutionName = "Bergmann Klinik"
    written = io.BytesIO()
    dataset.save_as(written)
    with fsspec.open(URL, "wb") as stream:
        stream.write(written.getvalue())
    module._header.cache_clear()
    yield written.getvalue()
    fsspec.filesystem("memory").rm(FOLDER, recursive=True)


@pytest.fixture
def sample(make_sample: MakeSample) -> Sample:
    return at(make_sample("CT"), URL)


def at(sample: Sample, url: str) -> Sample:
    return replace(sample, media=Media(uri=url, kind="dicom", frames=1))


@pytest.mark.parametrize(
    "text", ["The okonkwo film is grey.", "rose brown has grey tissue", "Grey tissue, bergmann, in the middle."]
)
def test_names_of_the_header_do_not_pass(sample: Sample, text: str) -> None:
    verdict = PROMPT.judge(text, sample)
    assert isinstance(verdict, Skip)
    assert verdict.reason is Reason.ANSWER_IDENTIFIES
    assert isinstance(PROMPT.judge("Grey tissue in the middle.", sample), Answer)


def test_a_header_that_is_not_there_or_is_none_is_no_header_without_names(sample: Sample) -> None:
    with fsspec.open(f"{FOLDER}/odd.dcm", "wb") as stream:
        stream.write(b"no file of this kind" * 40)
    for name, reason in (("gone.dcm", Reason.MISSING_FILE), ("odd.dcm", Reason.NOT_RECOGNISED)):
        with pytest.raises(Skip) as raised:
            PROMPT.judge("Grey tissue in the middle.", at(sample, f"{FOLDER}/{name}"))
        assert raised.value.reason is reason


def test_no_more_of_a_file_is_read_than_a_header_may_have(
    sample: Sample, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_HEADER_BYTES", len(film) // 2)  # the other half is pixels
    assert "okonkwo" in own_words(sample).unknown
    module._header.cache_clear()
    monkeypatch.setattr(module, "MOST_HEADER_BYTES", 1000)
    with pytest.raises(Skip) as raised:
        own_words(sample)
    assert (raised.value.reason, raised.value.detail) == (Reason.TOO_LARGE, "a header of more than 1000 bytes")


class Breaks(io.BytesIO):
    """A file whose connection breaks in the middle of its header, with an error of the store's own."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() >= 500:
            raise LookupError("of Mr. Okonkwo")
        return super().read(500)


class Counted(io.BytesIO):
    """A file that counts how often it is read."""

    reads: ClassVar[int] = 0

    def read(self, size: int | None = -1) -> bytes:
        Counted.reads += 1
        return super().read(size)


class Odd(MemoryFileSystem):
    """A store of such files."""

    protocol = "odd"
    kind: ClassVar[type[io.BytesIO]]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("odd://")))

    def _open(self, path: str, *arguments: Any, **options: Any) -> Any:
        return self.kind(self.store[path].getvalue())


def test_a_header_that_a_store_breaks_off_may_be_had_another_time(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_registry, "odd", Odd)
    monkeypatch.setattr(Odd, "kind", Breaks, raising=False)
    with pytest.raises(Skip) as raised:
        own_words(at(sample, URL.replace("memory", "odd")))
    assert raised.value.reason is Reason.UNREADABLE
    assert raised.value.reason.transient
    assert "Okonkwo" not in raised.value.detail


def test_a_header_is_read_in_large_pieces(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_registry, "odd", Odd)
    monkeypatch.setattr(Odd, "kind", Counted, raising=False)
    assert "okonkwo" in own_words(at(sample, URL.replace("memory", "odd"))).unknown
    assert 1 <= Counted.reads <= 4  # of some hundred elements
