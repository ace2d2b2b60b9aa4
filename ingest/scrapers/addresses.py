"""The normal form of urls, and which addresses may be connected to.

One url has one form (RFC 3986 6.2, hosts as browsers read them): it is what the store knows an answer by. A host is
what it resolves to and never what it looks like: odd notations of an address are read as `inet_aton` and browsers do,
addresses inside addresses are taken out, and what is not of the public internet is refused. A name is looked up once
for a connection, all its addresses must be allowed, and the connection goes to one of them: a name that leads
elsewhere a moment later changes nothing.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NoReturn
from urllib.parse import quote, unquote, urlsplit

from ingest.scrapers.retry import MayPass
from shards.background import within
from shards.intake import Skip
from shards.reasons import Reason

Address = IPv4Address | IPv6Address
Resolver = Callable[[str], Sequence[str]]  # a name -> its addresses, the best first; raises socket.gaierror

PORTS = frozenset({80, 443, 8080, 8443})
MOST_ADDRESSES = 4  # of one name that a connection is tried to
LONGEST_URL = 8192  # characters
_DEFAULT_PORTS = {"http": 80, "https": 443}
_AUTHORITY = re.compile(r"(?:\[([^\[\]]*)\]|([^\[\]:]*))(?::([0-9]{0,5}))?")
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_IN_PATH = "/!$&'()*+,;=:@%"

# IPv4 addresses inside IPv6 ones, with the number of bits to their right: mapped, compatible (RFC 4291), NAT64
# (RFC 6052), 6to4 (RFC 3056)
_EMBEDDING = tuple(
    (IPv6Network(network), bits)
    for network, bits in (("::ffff:0:0/96", 0), ("::/96", 0), ("64:ff9b::/96", 0), ("2002::/16", 80))
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # all of IPv6 that is given out
_NOT_PUBLIC = tuple(
    IPv4Network(network)
    for network in (
        "100.64.0.0/10",  # shared by carriers, RFC 6598; a cloud's metadata as well
        "168.63.129.16/32",  # a cloud's metadata under an address that looks public
        "192.0.0.0/24",  # of protocols, RFC 6890; in it a cloud's metadata
        "192.88.99.0/24",  # 6to4 relays, retired by RFC 7526
    )
)
_DOCUMENTATION = IPv6Network("3fff::/20")  # RFC 9637
_OWN_NETWORKS = tuple(
    IPv4Network(network) for network in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
)
_OWN_NETWORKS_6 = (IPv6Network("::1/128"), IPv6Network("fc00::/7"))
_METADATA_6 = IPv6Network("fd00:ec2::/32")  # of a cloud, within the private networks


def canonical(url: str) -> str:
    """The normal form of an absolute url, without its fragment; raises Skip(BAD_URL).

    Scheme and host in lower case, the host in ASCII (IDNA), no default port, no dot segments, percent-encoding in
    upper case and only where it is needed.
    """
    try:
        parts = urlsplit(url.strip("".join(map(chr, range(33)))))
        path = _percent(parts.path or "/", _IN_PATH)
        query = _percent(parts.query, _IN_PATH + "?")
    except ValueError:
        _bad("it cannot be taken apart")
    if parts.scheme not in _DEFAULT_PORTS:
        _bad(f"scheme {parts.scheme[:20]!r}: http and https are fetched")
    if "@" in parts.netloc:
        _bad("it holds a user name")
    authority = _AUTHORITY.fullmatch(parts.netloc)
    if authority is None:
        _bad("its host or port is malformed")
    six, name, port = authority.groups()
    host = _host(name) if six is None else _six(six)
    number = int(port) if port else _DEFAULT_PORTS[parts.scheme]
    if not 0 < number < 2**16:
        _bad(f"port {number}")
    where = host if number == _DEFAULT_PORTS[parts.scheme] else f"{host}:{number}"
    whole = f"{parts.scheme}://{where}{_without_dots(path)}" + (f"?{query}" if query else "")
    if len(whole) > LONGEST_URL:
        _bad(f"it has {len(whole)} characters, {LONGEST_URL} are fetched")
    return whole


def host_of(url: str) -> str:
    """The host of a url as `canonical` writes it, without port and brackets."""
    return urlsplit(canonical(url)).hostname or ""


def _bad(why: str) -> NoReturn:
    raise Skip(Reason.BAD_URL, why)


def _percent(text: str, safe: str) -> str:
    """Percent-encoding in one form: RFC 3986 6.2.2."""
    text = re.sub("%(?![0-9A-Fa-f]{2})", "%25", text)
    return re.sub("%[0-9A-Fa-f]{2}", _escape, quote(text, safe=safe))


def _escape(match: re.Match[str]) -> str:
    character = chr(int(match[0][1:], 16))
    return character if character in _UNRESERVED else match[0].upper()


def _without_dots(path: str) -> str:
    """RFC 3986 5.2.4, for a path that starts with a slash."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)


def _host(name: str) -> str:
    """A name in ASCII, or the IPv4 address that it is another notation of."""
    name = unquote(name)
    if not name.isascii():
        import idna

        try:
            name = idna.encode(name, uts46=True).decode()
        except (idna.IDNAError, UnicodeError):
            _bad("its host is no domain name (IDNA)")
    name = name.lower().removesuffix(".")
    if len(name) > 253 or not all(map(_LABEL.fullmatch, name.split("."))):
        _bad("its host is no domain name")
    return str(_four(name)) if _ENDS_IN_NUMBER.fullmatch(name) else name


def _four(name: str) -> IPv4Address:
    """An IPv4 address of one to four numbers, each decimal, octal (0...) or hexadecimal (0x...), the last one filling.

    https://url.spec.whatwg.org/#concept-ipv4-parser
    """
    try:
        *first, last = [_number(text) for text in name.split(".")]
        if len(first) > 3 or last >= 256 ** (4 - len(first)) or any(number > 255 for number in first):
            raise ValueError
        return IPv4Address(last + sum(number << 8 * (3 - place) for place, number in enumerate(first)))
    except ValueError:
        _bad("its host is no IPv4 address")


def _number(text: str) -> int:
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    return int(text, 8) if text.startswith("0") else int(text)


def _six(text: str) -> str:
    if "%" in text:
        raise Skip(Reason.ADDRESS_FORBIDDEN, "an address with a zone is one of this machine's own network")
    try:
        return f"[{IPv6Address(text)}]"
    except ValueError:
        _bad("its host is no IPv6 address")


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 address leads to, where it does."""
    if isinstance(address, IPv6Address):
        for network, bits in _EMBEDDING:
            if address in network and int(address) > 1:  # :: and ::1 are what they are
                return IPv4Address(int(address) >> bits & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether an address, or the one inside it, belongs to one machine of the public internet."""
    address = _unwrapped(address)
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC)
    return address in _GLOBAL_UNICAST and address not in _DOCUMENTATION


def is_own(address: Address) -> bool:
    """Whether an address is one of this machine or of a private network; never of a link, nor where metadata lie."""
    address = _unwrapped(address)
    if isinstance(address, IPv4Address):
        return any(address in network for network in _OWN_NETWORKS)
    return any(address in network for network in _OWN_NETWORKS_6) and address not in _METADATA_6


def system_resolver(host: str) -> list[str]:
    """The addresses of a name as this machine knows them, in the order of RFC 6724."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


class Addresses:
    """Says where a host is, if it may be connected to."""

    def __init__(self, resolver: Resolver, loopback: bool) -> None:
        self._resolver = resolver
        self._loopback = loopback  # addresses of this machine and of private networks are allowed, at any port

    def check(self, url: str) -> None:
        """Refuse a canonical url by what it says itself: its port, and its host where that is an address."""
        parts = urlsplit(url)
        if parts.port not in PORTS | {None} and not self._loopback:
            _bad(f"port {parts.port}: {', '.join(map(str, sorted(PORTS)))} are fetched")
        literal = _literal(parts.hostname or "")
        if literal is not None:
            self._allow(literal)

    def of(self, host: str, seconds: float) -> list[str]:
        """The addresses of a host, all of them allowed.

        Raises Skip(ADDRESS_FORBIDDEN), Skip(CONNECTION_FAILED) for a name that does not exist, MayPass where nobody
        could say, and TimeoutError after so many seconds.
        """
        literal = _literal(host)
        found = [str(literal)] if literal is not None else self._look_up(host, seconds)
        for address in found:
            self._allow(ip_address(address))
        return list(dict.fromkeys(found))[:MOST_ADDRESSES]

    def _allow(self, address: Address) -> None:
        if not (is_public(address) or (self._loopback and is_own(address))):
            raise Skip(Reason.ADDRESS_FORBIDDEN, str(address))

    def _look_up(self, host: str, seconds: float) -> Sequence[str]:
        """Ask the resolver in a thread of its own: nothing stops `getaddrinfo` before it wants to stop."""
        try:
            answer = within(time.monotonic() + seconds, partial(self._resolver, host))
        except socket.gaierror as error:
            failed = Skip(Reason.CONNECTION_FAILED, f"the name {host} cannot be resolved")
            raise (MayPass(failed) if error.errno in {socket.EAI_AGAIN, socket.EAI_FAIL} else failed) from None
        if not answer:
            raise Skip(Reason.CONNECTION_FAILED, f"the name {host} has no address")
        return answer


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
