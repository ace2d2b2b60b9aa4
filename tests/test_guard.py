"""The guards of tests/conftest.py can fail a test."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "example.org"])
def test_another_machine_is_out_of_reach(host: str) -> None:
    with pytest.raises(RuntimeError, match=f"socket.*{host}"):
        socket.create_connection((host, 80), timeout=1)


def test_the_loopback_is_in_reach() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), timeout=5) as own,
    ):
        assert own.getpeername() == server.getsockname()


def test_home_is_a_folder_of_the_tests() -> None:
    assert Path("~/.config/medloom/key").expanduser().is_relative_to(Path.home())
    assert Path.home().name.startswith("medloom-home-")
