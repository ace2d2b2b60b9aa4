"""Which servers are third parties, and which rows may go to one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from captioning.egress import foreign_hosts, refusal
from captioning.engine import Ask
from shards.frames import Frames
from shards.manifest import Sample, Term, Terms
from shards.reasons import Reason


@pytest.mark.parametrize(
    ("url", "trusted", "foreign"),
    [
        ("http://127.0.0.1:8000/v1", (), False),
        ("http://127.8.9.1/v1", (), False),
        ("http://[::1]:8000/v1", (), False),
        ("http://localhost:11434/v1", (), False),
        ("http://LOCALHOST./v1", (), False),
        ("http://localhost../v1", (), True),
        ("http://localhost.example.org/v1", (), True),
        ("http://127.0.0.1.example.org/v1", (), True),
        ("http://0.0.0.0/v1", (), True),
        ("http://10.0.0.5/v1", (), True),
        ("http://[fe80::1]/v1", (), True),
        ("https://gpu.clinic.example/v1", ("gpu.clinic.example",), False),
        ("https://GPU.clinic.example./v1", ("gpu.CLINIC.example",), False),
        ("https://gpu.clinic.example.org/v1", ("gpu.clinic.example",), True),
        ("https://evil-gpu.clinic.example/v1", ("gpu.clinic.example",), True),
    ],
)
def test_only_this_machine_and_trusted_hosts_are_no_third_party(
    url: str, trusted: tuple[str, ...], foreign: bool
) -> None:
    assert bool(foreign_hosts([url], trusted)) is foreign


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8000/v1",
        "ftp://127.0.0.1/v1",
        "http:///v1",
        "http://me:pw@127.0.0.1/v1",
        "http://127.0.0.1:99999/v1",
        "http://127.0.0.1:x/v1",
        "http://127.0.0.1/v1?key=x",  # a path after a query or fragment is none
        "http://127.0.0.1#@example.org/v1",
        "http://local\thost/v1",
        "http://[::1]example.org/v1",
        "http://[::1/v1",
    ],
)
def test_a_url_of_another_form_is_told(url: str) -> None:
    with pytest.raises(ValueError, match="urls: "):
        foreign_hosts([url], ())


@pytest.mark.parametrize(("answer", "goes"), [("yes", True), ("no", False), ("unknown", False)])
def test_a_third_party_gets_what_its_terms_allow_and_nothing_that_is_unknown(
    make_sample: Callable[..., Sample], answer: str, goes: bool
) -> None:
    def never() -> Frames:
        raise AssertionError("the picture was opened")

    sample = replace(make_sample(), terms=Terms(third_party_processing=Term(answer=answer, evidence="x")))
    ask = Ask(sample=sample, frames=never)
    skip = refusal(ask, ["api.example.org"])
    assert (skip is None) is goes
    assert skip is None or skip.reason is Reason.EGRESS_FORBIDDEN
    assert refusal(ask, []) is None
