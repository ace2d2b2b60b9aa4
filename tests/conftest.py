"""What holds for every test: no network but the loopback, and a home folder of its own."""

from __future__ import annotations

import ipaddress
import os
import sys
import tempfile
from typing import Any

import hypothesis
import pytest

HOME = tempfile.TemporaryDirectory(prefix="medloom-home-")
LOCAL_NAMES = {None, "", "localhost"}


class NetworkReachedError(RuntimeError):
    """A test reached for a machine other than this one."""


def is_local(host: Any) -> bool:
    if isinstance(host, bytes):
        host = host.decode()
    try:
        return host in LOCAL_NAMES or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def guard(event: str, args: tuple[Any, ...]) -> None:
    """Audit hook: sees every connection that Python code opens, whatever library does it."""
    if event in ("socket.connect", "socket.sendto"):
        address = args[1]
        if isinstance(address, tuple) and not is_local(address[0]):
            raise NetworkReachedError(f"{event} to {address}")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname") and not is_local(args[0]):
        raise NetworkReachedError(f"{event} of {args[0]}")


def pytest_configure(config: pytest.Config) -> None:
    os.environ["HOME"] = HOME.name
    os.environ["HF_HUB_OFFLINE"] = "1"
    for name in ("MEDLOOM_TRACE", "RAY_ADDRESS", "PYTHONPATH"):
        os.environ.pop(name, None)
    hypothesis.settings.register_profile("medloom", max_examples=50)  # drawn anew in each run
    hypothesis.settings.load_profile("medloom")
    sys.addaudithook(guard)


def pytest_unconfigure(config: pytest.Config) -> None:
    HOME.cleanup()
