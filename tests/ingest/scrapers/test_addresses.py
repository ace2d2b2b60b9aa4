"""Urls in their normal form, and which addresses are public."""

from __future__ import annotations

import socket
import threading
import time
from ipaddress import ip_address

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from ingest.scrapers.addresses import Addresses, canonical, host_of, is_public
from ingest.scrapers.retry import MayPass
from shards.intake import Skip

ELSEWHERE = "93.184.216.34"

FORMS = {
    "HTTP://Example.ORG": "http://example.org/",
    "http://example.org:80/a": "http://example.org/a",
    "https://example.org:443": "https://example.org/",
    "https://example.org:80/": "https://example.org:80/",
    "http://example.org:/": "http://example.org/",
    "http://example.org./a#part": "http://example.org/a",
    " \n http://example.org/a\tb \r\n": "http://example.org/ab",
    "http://example.org/a/./b/../c/": "http://example.org/a/c/",
    "http://example.org/../..": "http://example.org/",
    "http://example.org/a//../b": "http://example.org/a/b",
    "http://example.org/a/%2E%2e/b": "http://example.org/b",
    "http://example.org/%7euser/%e4%B8%ad": "http://example.org/~user/%E4%B8%AD",
    "http://example.org/中 文|[1]": "http://example.org/%E4%B8%AD%20%E6%96%87%7C%5B1%5D",
    "http://example.org/100%?q=50%&r=%zz": "http://example.org/100%25?q=50%25&r=%25zz",
    "http://example.org/a%2Fb?x=a+b&y=/?": "http://example.org/a%2Fb?x=a+b&y=/?",
    "http://example.org?b=2&a=1": "http://example.org/?b=2&a=1",
    "http://Bücher.example/": "http://xn--bcher-kva.example/",
    "http://b%C3%BCcher.example/": "http://xn--bcher-kva.example/",
    "http://straße.example/": "http://xn--strae-oqa.example/",
    "http://my_host.example.org/": "http://my_host.example.org/",
    "http://[2001:DB8:0:0::1]:8080/": "http://[2001:db8::1]:8080/",
    "http://[2606:4700::]/": "http://[2606:4700::]/",
    "http://2130706433/": "http://127.0.0.1/",
    "http://0x7F.1/": "http://127.0.0.1/",
    "http://017700000001/": "http://127.0.0.1/",
    "http://１２７。０．０．１/": "http://127.0.0.1/",
    "http://8.8.2056/": "http://8.8.8.8/",
    "http://0x/1": "http://0.0.0.0/1",
}

BAD = [
    "",
    "example.org/a",
    "//example.org/a",
    "ftp://example.org/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "http://",
    "http:///a",
    "http://user@example.org/",
    "http://user:secret@example.org/",
    "http://example.org\\@127.0.0.1/",
    "http://127.0.0.1\\@example.org/",
    "http://example.org:port/",
    "http://example.org:0/",
    "http://example.org:65536/",
    "http://example.org:80:80/",
    "http://exa mple.org/",
    "http://exam%00ple.org/",
    "http://example.org%2F@127.0.0.1/",
    "http://.example.org/",
    "http://example..org/",
    "http://example.org../",
    "http://*.example.org/",
    f"http://{'a' * 64}.org/",
    "http://256.0.0.1/",
    "http://1.2.3.4.5/",
    "http://09.1.1.1/",
    "http://[::1/",
    "http://::1/",
    "http://[::1]evil.org/",
    "http://[1:2:3]/",
    "http://\ud800.org/",
    "http://example.org/\ud800",
    f"http://example.org/{'a' * 8200}",
]

NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
ALL_PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "172.32.0.1",
    "192.169.0.1",
    "2606:4700:4700::1111",
    "2a00:1450:4001::1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
]


@pytest.mark.parametrize(("url", "form"), FORMS.items())
def test_one_url_has_one_form(url: str, form: str) -> None:
    assert canonical(url) == form
    assert canonical(form) == form


@pytest.mark.parametrize("url", BAD)
def test_what_is_no_url_of_the_web_is_refused(url: str) -> None:
    with pytest.raises(Skip) as skip:
        canonical(url)
    assert skip.value.reason == "bad_url"
    assert "secret" not in str(skip.value)


def test_the_host_is_that_of_the_normal_form() -> None:
    assert host_of("HTTPS://Example.ORG.:8080/a") == "example.org"
    assert host_of("http://0x7f000001/") == "127.0.0.1"
    assert host_of("http://[::FFFF:1.2.3.4]:80/") == "::ffff:102:304"


@given(st.text(max_size=40), st.text(max_size=20), st.sampled_from(["example.org", "8.8.8.8", "[2606:4700::1]"]))
def test_a_normal_form_is_its_own_and_is_sent_as_it_is(path: str, query: str, host: str) -> None:
    try:
        form = canonical(f"http://{host}/{path}?{query}")
    except Skip:
        return
    assert canonical(form) == form
    request = requests.Request("GET", form).prepare()
    assert request.url == form
    assert form.isascii()


@given(st.integers(0, 2**32 - 1), st.sampled_from(["{}", "0x{:x}", "0{:o}"]))
def test_a_number_is_the_address_that_it_writes(number: int, notation: str) -> None:
    assert host_of(f"http://{notation.format(number)}/") == str(ip_address(number))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ALL_PUBLIC)
def test_an_address_that_is_public(address: str) -> None:
    assert is_public(ip_address(address))


def test_own_networks_are_reached_where_that_is_allowed_and_metadata_never() -> None:
    names = {"own.test": ["127.0.0.1", "::1"], "house.test": ["192.168.1.9"], "cloud.test": ["169.254.169.254"]}
    own = Addresses(names.__getitem__, loopback=True)
    assert own.of("own.test", 1.0) == ["127.0.0.1", "::1"]
    assert own.of("house.test", 1.0) == ["192.168.1.9"]
    own.check("http://127.0.0.1:12345/")
    for host in ("cloud.test", "fd00:ec2::254", "fe80::1", "224.0.0.1", "168.63.129.16", "0.0.0.0"):
        with pytest.raises(Skip) as skip:
            own.of(host, 1.0)
        assert skip.value.reason == "address_forbidden"


def test_only_ports_of_the_web() -> None:
    public = Addresses(lambda host: [ELSEWHERE], loopback=False)
    for port in ("", ":80", ":443", ":8080", ":8443"):
        public.check(f"http://example.org{port}/")
    with pytest.raises(Skip) as skip:
        public.check("http://example.org:25/")
    assert skip.value.reason == "bad_url"


@pytest.mark.parametrize(
    ("code", "passes"), [(socket.EAI_NONAME, False), (socket.EAI_NODATA, False), (socket.EAI_AGAIN, True)]
)
def test_a_name_that_is_not_there_stays_so_and_a_busy_resolver_may_pass(code: int, passes: bool) -> None:
    def resolver(host: str) -> list[str]:
        raise socket.gaierror(code, "no")

    with pytest.raises(MayPass if passes else Skip) as raised:
        Addresses(resolver, loopback=False).of("example.org", 1.0)
    skip = raised.value.skip if passes else raised.value
    assert skip.reason == "connection_failed"


def test_a_resolver_that_hangs_is_left_behind() -> None:
    gate = threading.Event()
    slow = Addresses(lambda host: [ELSEWHERE] if gate.wait(10) else [], loopback=False)
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        slow.of("example.org", 0.2)
    assert time.monotonic() - begun < 1.0
    gate.set()
