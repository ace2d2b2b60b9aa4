"""Words of a row's own header and path, none of which may stand in its caption (DESIGN invariant 10).

The manifest holds no names by design, so they are read where they are: every person's name, institution and address in
the DICOM header, the folders and the name of the file, and the url. Kept in memory for the last files only. Of a file
behind an fsspec url no more is read than its header, by ranges where the store can.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import unquote

from captioning.eponyms import is_eponym
from captioning.word_lists import is_abbreviation, is_also_a_name, is_grammar, is_term, is_word, words_of
from shards.foreign import foreign, media_stream
from shards.intake import Skip
from shards.limits import MIB, Limits
from shards.manifest import Sample
from shards.reasons import Reason
from shards.uri import PACKAGE

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

OF_PERSONS = (  # beside every element of value representation PN (PS3.5 6.2)
    "PatientID", "OtherPatientIDs", "PatientAddress", "PatientComments", "InstitutionName", "InstitutionAddress",
    "InstitutionalDepartmentName", "StationName", "ReferringPhysicianAddress", "CountryOfResidence",
    "RegionOfResidence", "EthnicGroup", "Occupation", "MilitaryRank", "PatientInsurancePlanCodeSequence",
    "AccessionNumber", "StudyID", "IssuerOfPatientID",
)  # fmt: skip
LETTERS = re.compile(r"[^\W\d_]+")
MOST_HEADER_BYTES = 64 * MIB
SHORTEST = 2  # letters of a name in a header
SHORTEST_IN_PATH = 3
HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class OwnWords:
    """In lower case. `known` are words of the language as well: they are a name where they are written like one."""

    unknown: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()


def own_words(sample: Sample) -> OwnWords:
    """The words of `sample`'s header, path and url; raises Skip where its header cannot be read."""
    unknown, known = _sorted_words(path_words(sample.media.uri) | path_words(sample.url or ""), SHORTEST_IN_PATH)
    known = {word for word in known if is_also_a_name(word)}
    if sample.media.kind == "dicom":
        strange, ordinary = _header(sample.media.uri)
        unknown |= strange
        known |= ordinary
    return OwnWords(frozenset(unknown), frozenset(known))


def path_words(uri: str) -> set[str]:
    """Words of a path or url, its folders included; none of a package's, whose path is no person's."""
    if uri.startswith(PACKAGE):
        return set()
    return {word.lower() for word in LETTERS.findall(HUMP.sub(" ", unquote(uri)))}


def _sorted_words(words: set[str], shortest: int) -> tuple[set[str], set[str]]:
    """Those that no vocabulary knows, and those that are words as well."""
    able = {
        word
        for word in words
        if len(word) >= shortest
        and word not in words_of("nobody")
        and not is_grammar(word)
        and not is_abbreviation(word.upper())
        and not is_term(word)
    }
    unknown = {word for word in able if not is_word(word) and not is_also_a_name(word) and not is_eponym(word)}
    return unknown, able - unknown


@lru_cache(maxsize=1024)
def _header(uri: str) -> tuple[frozenset[str], frozenset[str]]:
    """Words of the persons and places in a file's header; raises Skip."""
    from shards.dicom_file import read_dataset
    from shards.sniff import HEAD_BYTES, sniff

    with media_stream(uri) as opened:
        stream = io.BufferedReader(_Head(opened, MOST_HEADER_BYTES))
        form = sniff(stream.read(HEAD_BYTES)).format
        stream.seek(0)
        dataset = read_dataset(stream, form, Limits(), pixels=False)
        with foreign():
            texts = list(_persons(dataset))
    words = {word.lower() for text in texts for word in LETTERS.findall(text)}
    unknown, known = _sorted_words(words, SHORTEST)
    return frozenset(unknown), frozenset(known)


class _Head(io.RawIOBase):
    """A stream of which no more than `most_bytes` are read, since a header may claim any length; else raises Skip.

    To be read through a buffer: pydicom reads a few bytes at a time.
    """

    def __init__(self, stream: BinaryIO, most_bytes: int) -> None:
        self._stream = stream
        self._most_bytes = self._left_bytes = most_bytes

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        """As a stream does; an error of a store is no damage of the file."""
        with foreign(Reason.UNREADABLE):
            data = self._stream.read(min(len(buffer), self._left_bytes + 1))
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            raise Skip(Reason.TOO_LARGE, f"a header of more than {self._most_bytes} bytes")
        buffer[: len(data)] = data
        return len(data)


def _persons(dataset: Dataset) -> Any:
    for element in dataset.iterall():
        if element.VR == "PN" or element.keyword in OF_PERSONS:
            yield str(element.value)
