"""The shipped deny-list."""

from __future__ import annotations

import re

import pytest

from ingest.scrapers.addresses import host_of
from ingest.scrapers.deny import denied, deny_list

DENIED = """radiopaedia.org www.radiopaedia.org dermnetnz.org www.visualdx.com www.physio-pedia.com
medpix.nlm.nih.gov openi.nlm.nih.gov"""


@pytest.mark.parametrize("host", DENIED.split())
def test_sites_whose_terms_forbid_it_or_leave_it_open(host: str) -> None:
    assert denied(host) is not None


@pytest.mark.parametrize("host", ["notradiopaedia.org", "radiopaedia.org.example", "nlm.nih.gov", "org", "example.org"])
def test_other_sites(host: str) -> None:
    assert denied(host) is None


def test_an_entry_says_what_where_and_when() -> None:
    for entry in deny_list():
        assert entry.hosts
        assert entry.says
        assert entry.quoted_in
        assert re.fullmatch(r"20[0-9]{2}-[0-9]{2}(-[0-9]{2})?", entry.date)
        for host in entry.hosts:
            assert host_of(f"https://{host}/") == host
    assert "as quoted in" in str(denied("radiopaedia.org"))
