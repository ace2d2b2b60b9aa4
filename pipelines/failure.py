"""What a person is told of an error in a stage: its text where that was written for them, else its type and place.

The text of an error that arose over data may quote a patient, so it is not shown and not kept. MEDLOOM_TRACE=1 shows
and keeps everything.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, requires

from pipelines.source_yaml import SpecError
from shards.intake import place
from shards.stage import UserError

TRACE = "MEDLOOM_TRACE"
_PACKAGES = {"bs4": "beautifulsoup4"}  # by their module, where the two have different names
_OF_EXTRA = re.compile(r"([A-Za-z0-9-]+)[^;]*;\s*extra == [\"']((?!dev\b)[a-z]+)[\"']")


class StageError(ValueError):
    """A stage failed while it was asked in the runner's own process: `file:line: stage x: what is wrong`."""


def words(error: BaseException, *, plainly: bool) -> str:
    """One sentence of an error; `plainly`: no rows were at hand, so what a ValueError or OSError says names nobody."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"the package `{error.name}` is not installed{with_extra(error.name)}"
    if plainly and isinstance(error, OSError) and error.errno is not None:
        return f"{error.strerror}: {error.filename}" if error.filename else place(error)
    if isinstance(error, (UserError, ImportError)) or (plainly and isinstance(error, (ValueError, OSError))):
        return str(error) or place(error)
    return place(error)


def with_extra(module: str) -> str:
    """What to type where a module is missing that an extra of medloom brings; empty for any other."""
    package = _PACKAGES.get(module, module).lower().replace("_", "-")
    try:
        lines = requires("medloom") or []
    except PackageNotFoundError:
        return ""
    for line in lines:
        found = _OF_EXTRA.match(line)
        if found is not None and found[1].lower() == package:
            return f": `pip install 'medloom[{found[2]}]'`"
    return ""


def trace(error: BaseException) -> str:
    """Where an error arose, frame by frame, and what it came from; its text only where everything is wanted."""
    if os.environ.get(TRACE):
        return "".join(traceback.format_exception(error))
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.insert(0, link)
        link = link.__cause__ or link.__context__
    return "\n".join(
        "".join(["Traceback (most recent call last):\n", *traceback.format_tb(one.__traceback__), f"{place(one)}\n"])
        for one in chain
    )


@contextmanager
def asked(where: str, stage: str, what: str, *, plainly: bool = True) -> Iterator[None]:
    """Around a stage's own code in the runner's process: whatever it raises becomes one line for the user.

    `plainly` is that of `words`.
    """
    try:
        yield
    except (SpecError, StageError):
        raise
    except Exception as error:  # a user's stage may raise anything
        text = words(error, plainly=plainly)
        hint = f" in `{what}`; {TRACE}=1 shows all of it" if text == place(error) else ""
        raise StageError(f"{where}: stage `{stage}`: {text}{hint}") from error
