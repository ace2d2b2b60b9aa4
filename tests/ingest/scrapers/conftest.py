"""The website of `site_server.py`, once for all tests."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

SERVER = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("site_server.py"))))


@pytest.fixture
def web() -> Any:
    """What `site_server.py` defines."""
    return SERVER


@pytest.fixture
def website() -> Iterator[Any]:
    """A site that is served until the test ends."""
    with SERVER.serving(SERVER.Website()) as site:
        yield site
