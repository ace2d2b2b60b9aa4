"""The boundary around other people's decoders: what becomes a reject, what stops the run, and that nothing is said."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pytest

from shards.foreign import foreign
from shards.intake import Skip
from shards.reasons import Reason
from shards.stage import Cancelled


def test_memory_that_the_data_asked_for_is_their_fault_and_a_lack_of_it_is_not() -> None:
    with pytest.raises(Skip) as skip, foreign(Reason.UNREADABLE):
        np.empty((1 << 30, 1 << 20))  # a petabyte
    assert skip.value.reason == Reason.CORRUPT
    assert "Unable to allocate" not in skip.value.detail
    for real in (MemoryError(), type("_ArrayMemoryError", (MemoryError,), {"_total_size": 1 << 20})()):
        with pytest.raises(MemoryError), foreign():
            raise real


@pytest.mark.parametrize("stopping", [ImportError("av"), Cancelled(), KeyboardInterrupt(), SystemExit(2)])
def test_what_is_no_damage_goes_through(stopping: BaseException) -> None:
    with pytest.raises(type(stopping)), foreign():
        raise stopping


def test_a_panic_of_rust_is_a_reject_without_its_message() -> None:
    with pytest.raises(Skip) as skip, foreign():
        raise type("PanicException", (BaseException,), {})("Zmith^Jane")
    assert skip.value.reason == Reason.CORRUPT
    assert "Zmith" not in str(skip.value)


@pytest.mark.parametrize("name", ["pydicom", "PIL.TiffImagePlugin", "nibabel.global", "openjpeg.decode", "libav.h264"])
def test_decoders_say_nothing(name: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger(name)
    with foreign():
        logger.critical("Zmith^Jane")
        warnings.warn("Zmith^Jane", stacklevel=1)
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
    logger.critical("heard again")
    assert [record.message for record in caplog.records] == ["heard again"]
