"""Keys, locators, keyed hashes and uris: golden values, since a change of these would rename every sample there is."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.canonical import canonical_json, keyed_all, sample_key, sha256_of
from shards.locator import Locator
from shards.uri import join, local_path, open_binary

PATH = "p10/p10000032/s50414267/02aa804e.dcm"
BRAIN = Locator(axis="axial", slice=90, window="brain")


def test_golden_keys(context: Any) -> None:
    assert sample_key("mimic", PATH, "") == "mimic-bxxcaxxybsnr3hcalv7bja25pb"
    assert sample_key("mimic", PATH, BRAIN.text()) == "mimic-i4hfqahnvmfsbg47fh4bz6rycr"
    assert sha256_of({"b": 1, "a": [1.0, True, None, "é"]})[:16] == "cc4a2e0decfd6601"
    ctx = context(key=b"0123456789abcdef")
    assert ctx.keyed("patient", "SMITH^JOHN") == "qlxjryushr6bpcufyblqvkjllx"
    assert ctx.keyed("study", "SMITH^JOHN") == "vb2tp5wv5wkm5kzpemgkthedyg"
    assert context(key=b"another key of 16").keyed("patient", "SMITH^JOHN") != "qlxjryushr6bpcufyblqvkjllx"


@pytest.mark.parametrize("length", [16, 32, 63, 64, 65, 200])  # a block of SHA-256 has 64 bytes
def test_many_ids_are_hashed_as_one_is(context: Any, length: int) -> None:
    key = bytes(range(length))
    values = ["7", "", "SMITH^JOHN", "é" * 40, "a\0b"]
    made = [name.decode() for name in keyed_all(key, "patient", values)]
    assert made == [context(key=key).keyed("patient", value) for value in values]
    assert list(keyed_all(key, "patient", [])) == []


NAMES = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=40)
SOURCES = st.from_regex(r"[a-z0-9_]{1,37}", fullmatch=True)


@given(SOURCES, NAMES, NAMES)
def test_a_key_fits_and_tells_no_name(source: str, native: str, other: str) -> None:
    key = sample_key(source, native, "")
    assert re.fullmatch(r"[a-z0-9_-]{1,64}", key)
    assert key.startswith(f"{source}-")
    assert (key == sample_key(source, other, "")) == (native == other)
    assert key != sample_key(source, native, BRAIN.text())
    assert len(key) == len(source) + 27  # the name leaves no trace in the length either


def test_where_the_parts_of_a_key_meet() -> None:
    with pytest.raises(ValueError, match="holds a NUL"):
        sample_key("a", 'b\0{"slice":1}', "")
    assert sample_key("a", "", "b") != sample_key("a", "b", "")


@pytest.mark.parametrize("source", ["", "A", "a-b", "a b", "ä", "a" * 38, "../a", "a\n"])
def test_a_source_is_a_short_plain_name(source: str) -> None:
    with pytest.raises(ValueError, match="choose a shorter plain name"):
        sample_key(source, "x", "")


def test_a_locator_has_one_text() -> None:
    assert Locator().text() == ""
    assert BRAIN.text() == '{"axis":"axial","slice":90,"window":"brain"}'
    assert Locator(member="é.png", high=80, low=-0.0).text() == '{"high":80.0,"low":0.0,"member":"é.png"}'
    assert Locator(slice=0).text() == '{"slice":0}'
    for locator in (Locator(), BRAIN, Locator(frame_start=0, frame_stop=32), Locator(low=-1.5, high=3.25)):
        assert Locator.parse(locator.text()) == locator
    with pytest.raises(ValueError, match="not JSON compliant"):
        Locator(low=float("nan")).text()
    with pytest.raises(TypeError):
        Locator.parse('{"frame":3}')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(NAMES, JSON, max_size=4))
def test_the_order_of_keys_does_not_matter(value: dict[str, Any]) -> None:
    backwards = dict(reversed(value.items()))
    assert canonical_json(backwards) == canonical_json(value)
    assert "\n" not in canonical_json(value)


def test_uris(tmp_path: Path) -> None:
    file = tmp_path / "a b%20.txt"
    file.write_bytes(b"x")
    for uri in (str(file), f"file://{file}"):
        assert local_path(uri) == file
        with open_binary(uri) as handle:
            assert handle.read() == b"x"
    assert local_path("s3://bucket/x") is None
    assert local_path("package://polars/__init__.py") == Path(sys.modules["polars"].__file__ or "")
    with pytest.raises(ModuleNotFoundError, match="no such package is installed"):
        local_path("package://no_such_package/x")
    with pytest.raises(ValueError, match=r"leads out of its package; write the path without `\.\.`"):
        local_path("package://polars/../../../etc/passwd")
    with pytest.raises(FileNotFoundError):
        open_binary(str(tmp_path / "none"))
    assert join("/a/", "b/c") == join("/a", "b/c") == "/a/b/c"
    assert join("s3://a", "") == "s3://a"


def test_a_uri_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loud").mkdir()
    (tmp_path / "loud/__init__.py").write_text("raise RuntimeError('imported by a uri')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert local_path("package://loud/x") == tmp_path / "loud/x"
    for name in ("loud.sub", "..loud", ""):
        with pytest.raises(ModuleNotFoundError):
            local_path(f"package://{name}/x")
    assert "loud" not in sys.modules
