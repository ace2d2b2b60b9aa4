"""Options: what YAML says, what the stage gets, and what enters the fingerprint are one and the same value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.options import build, plain
from pipelines.source_yaml import SpecError, compose
from shards.canonical import canonical_json


class Plane(StrEnum):
    AXIAL = "axial"
    CORONAL = "coronal"


@dataclass(frozen=True, kw_only=True)
class Cut:
    kind: Literal["cut"] = "cut"
    at_px: int = 3


@dataclass(frozen=True, kw_only=True)
class Fade:
    kind: Literal["fade"] = "fade"
    over_s: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Options:
    text: str
    count: int = 1
    share: float = 0.5
    bright: bool = False
    maybe: int | None = None
    some: tuple[str, ...] = ()
    pair: tuple[int, float] = (1, 1.0)
    weights: Mapping[str, float] = field(default_factory=dict)
    tone: Literal["plain", "kind", 3] = "plain"
    either: str | tuple[str, ...] = ""
    short: str | Cut = ""
    edge: Cut | Fade = Cut()
    edges: tuple[Cut | Fade, ...] = ()
    plane: Plane = Plane.AXIAL
    log_every: int = field(default=10, metadata={"fingerprint": False})


@dataclass(frozen=True, kw_only=True)
class Owner:
    name: str
    rooms: tuple[int, ...]
    since: int = 0
    tags: tuple[str, ...] = field(default_factory=tuple)


@dataclass(frozen=True, kw_only=True)
class Owned:
    owner: Owner
    title: str
    size: int = 1


# PyYAML folds U+0085 when it writes
TEXT = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\x85"), max_size=20)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
EDGE = st.builds(Cut, at_px=st.integers(-(2**70), 2**70)) | st.builds(Fade, over_s=NUMBER)
ANY = st.builds(
    Options,
    text=TEXT,
    count=st.integers(),
    share=NUMBER,
    bright=st.booleans(),
    maybe=st.none() | st.integers(),
    some=st.lists(TEXT, max_size=3).map(tuple),
    pair=st.tuples(st.integers(), NUMBER),
    weights=st.dictionaries(TEXT, NUMBER, max_size=3),
    tone=st.sampled_from(["plain", "kind", 3]),
    short=TEXT | st.builds(Cut, at_px=st.integers()),
    either=TEXT | st.lists(TEXT, max_size=3).map(tuple),
    edge=EDGE,
    edges=st.lists(EDGE, max_size=3).map(tuple),
    plane=st.sampled_from(Plane),
    log_every=st.integers(),
)


def read(text: str) -> Any:
    return build(Options, compose(text, "f.yaml"), "stage `s`")


@settings(max_examples=150, deadline=None)
@given(ANY, st.booleans())
def test_what_is_written_comes_back(options: Options, flow: bool) -> None:
    values = {**plain(options), "log_every": options.log_every}
    again = read(yaml.safe_dump(values, default_flow_style=flow, allow_unicode=True))
    assert again == options
    assert canonical_json(plain(again)) == canonical_json(plain(options))
    assert "log_every" not in plain(options)
    assert isinstance(again.plane, Plane)


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.dates(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(list(Options.__dataclass_fields__)),
)
def test_any_value_for_any_option_is_taken_by_type_or_refused_with_its_line(value: Any, name: str) -> None:
    text = yaml.safe_dump({"text": "x"} | {name: value}, allow_unicode=True, sort_keys=False)
    refused = None
    try:
        taken = read(text)
    except SpecError as error:
        refused = error
    if refused is not None:
        assert refused.where.startswith("f.yaml:")
        return
    canonical_json(plain(taken))  # whatever was taken can be hashed
    if name in ("text", "count", "bright"):
        assert type(getattr(taken, name)) is {"text": str, "count": int, "bright": bool}[name]
        assert getattr(taken, name) == value


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("count: true", "option `count` of stage `s` must be whole number, not True"),
        ("count: 1.0", "must be whole number, not 1.0"),
        ("share: true", "must be number, not True"),
        ("share: .nan", "must be number, not nan"),
        ("bright: 1", "must be true or false, not 1"),
        ("on: 1", "has the key True, which is no text; put it in quotes"),
        ("maybe: x", "option `maybe` of stage `s` must be whole number, not 'x'"),
        ("some: [a, 1]", "entry 2 of option `some` of stage `s` must be text, not 1 (put it in quotes)"),
        ("pair: [1]", "option `pair` of stage `s` must have 2 entries, not 1"),
        ("weights: {a: x}", "`a` in option `weights` of stage `s` must be number, not 'x'"),
        ("weights: {1: 2}", "has the key 1, which is no text; put it in quotes"),
        ("tone: kid", "cannot be 'kid'; did you mean `kind`?"),
        ("tone: 3.0", "cannot be 3.0"),
        ("either: 3", "option `either` of stage `s` must be text or list of text, not 3"),
        ("short: {at: 1}", "option `short` of stage `s` has no key `at`; known are `at_px`, `kind`"),
        ("short: {at_px: x}", "option `at_px` of option `short` of stage `s` must be whole number, not 'x'"),
        ("short: [a]", "option `short` of stage `s` must be text or mapping (Cut), not a list"),
        ("edge: {at_px: 1}", "option `edge` of stage `s` needs `kind`: one of 'cut', 'fade'"),
        ("edge: {kind: cat}", "`kind` of option `edge` of stage `s` cannot be 'cat'; did you mean `cut`?"),
        ("edge: {kind: fade, at_px: 1}", "option `edge` of stage `s` has no key `at_px`; known are `kind`, `over_s`"),
        ("plane: sagittal", "option `plane` of stage `s` cannot be 'sagittal'; did you mean"),
    ],
)
def test_what_is_wrong_with_a_value(line: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(f"text: x\n{line}\n")
    assert str(caught.value).startswith("f.yaml:2: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(("written", "value"), [("1e-4", 1e-4), ("1", 1.0), ("-2.5e+3", -2500.0), ('"1e3"', 1000.0)])
def test_numbers_that_yaml_takes_for_text(written: str, value: float) -> None:
    assert read(f"text: x\nshare: {written}\n").share == value


def test_what_to_write_for_an_option_that_is_missing() -> None:
    with pytest.raises(SpecError) as caught:
        build(Owned, compose("size: 1", "f.yaml"), "stage `s`")
    assert str(caught.value) == (
        "f.yaml:1: stage `s` needs `owner: {name: text, rooms: list of whole number}`, `title: text`; "
        "add it under `with:`"
    )
