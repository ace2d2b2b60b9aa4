"""Named CT windows: one table of centre and width in Hounsfield units, each with its wording for a caption.

A window shows one kind of tissue and hides the others, so its name belongs to the sample: it stands in the locator,
and a caption words it. Values: "Windowing (CT)", Radiopaedia rID-52108, "typical window width and level values";
where that page gives a range (subdural), its middle.
"""

from __future__ import annotations

from dataclasses import dataclass

_RADIOPAEDIA = "Radiopaedia, Windowing (CT), https://doi.org/10.53347/rID-52108"


@dataclass(frozen=True, slots=True)
class Window:
    """A range of Hounsfield units shown from black to white."""

    name: str  # as it stands in a locator
    centre_hu: float
    width_hu: float
    wording: str  # for a caption: "shown in a <wording>"
    source: str


_ROWS = (
    Window("brain", 40, 80, "brain window", f"{_RADIOPAEDIA}: brain W:80 L:40"),
    Window("subdural", 75, 215, "subdural window", f"{_RADIOPAEDIA}: subdural W:130-300 L:50-100"),
    Window("bone", 400, 1800, "bone window", f"{_RADIOPAEDIA}: bone W:1800 L:400"),
    Window("lung", -600, 1500, "lung window", f"{_RADIOPAEDIA}: lungs W:1500 L:-600"),
    Window("mediastinum", 50, 350, "mediastinal window", f"{_RADIOPAEDIA}: mediastinum W:350 L:50"),
    Window("abdomen", 50, 400, "abdominal soft-tissue window", f"{_RADIOPAEDIA}: abdomen soft tissues W:400 L:50"),
)
WINDOWS: dict[str, Window] = {row.name: row for row in _ROWS}

HEADER = "header"  # the locator's word for the first window that the file itself gives


def check_window(name: str) -> str:
    """Return `name` when it is a known window or "header"; else raise ValueError that lists the names."""
    if name != HEADER and name not in WINDOWS:
        raise ValueError(f"unknown window {name!r}: use one of {', '.join(WINDOWS)} or {HEADER}")
    return name
