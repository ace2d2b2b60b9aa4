"""Cholec80: each phase x two tools x a line of tools or none, of stills and of clips.

A still has the words of its own lines; a clip lies in one phase, and names a tool only where all its lines do.
"""

from __future__ import annotations

import itertools
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

G = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("grammar.py"))))
LAYOUT = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "test_hearts_and_operations.py")))
PHASES = {
    "Preparation": "preparation",
    "CalotTriangleDissection": "Calot triangle dissection",
    "ClippingCutting": "clipping and cutting",
    "GallbladderDissection": "gallbladder dissection",
    "GallbladderRetraction": "gallbladder retraction",
    "CleaningCoagulation": "cleaning and coagulation",
    "GallbladderPackaging": "gallbladder packaging",
    "TrocarInsertion": "",  # no phase of the paper
}
TOOLS = {"Grasper": "a grasper", "Hook": "a hook", "Scissors": "scissors", "Clipper": "a clipper",
         "Irrigator": "an irrigator", "Bipolar": "bipolar forceps", "SpecimenBag": "a specimen bag"}  # fmt: skip
COLUMNS = ("Grasper", "Bipolar", "Hook", "Scissors", "Clipper", "Irrigator", "SpecimenBag")
LINE = 25  # frames from one line of tools to the next
LINES: dict[int, tuple[str, dict[str, int] | None]] = {}  # frame -> phase, and which tools; None where no line is
for number, (phase, used) in enumerate(itertools.product(PHASES, [*itertools.product((0, 1), repeat=2), None])):
    pair = list(itertools.islice(itertools.cycle(COLUMNS), number // 5 % 7, number // 5 % 7 + 2))
    cells = None if used is None else dict.fromkeys(COLUMNS, 0) | dict(zip(pair, used, strict=True))
    LINES[number * LINE] = phase, cells
FRAMES = len(LINES) * LINE


def allowed(picture: str, phase: str, tools: list[str]) -> set[str]:
    showing = f", showing {G.items(tools)}" if tools else ""
    during, of = (f" during {phase}", f", in the {phase} phase") if phase else ("", "")
    return {
        f"An operative video {picture} of laparoscopic cholecystectomy{during}{showing}.",
        f"An operative video {picture} from laparoscopic cholecystectomy{of}{showing}.",
    }


def true_of(start: int, stop: int) -> set[str]:
    """What may be said of the frames from `start` to before `stop`."""
    within = [LINES[frame][1] for frame in range(start, stop) if frame in LINES]
    lines = [line for line in within if line is not None]
    tools = [words for column, words in TOOLS.items() if lines and all(line[column] for line in lines)]
    return allowed("frame" if stop - start == 1 else "clip", PHASES[LINES[start // LINE * LINE][0]], tools)


def test_cholec80(tmp_path: Path, make: Any, lies: Any) -> None:
    base = tmp_path / "set"
    LAYOUT.write_video(base / "videos/video01.mp4", FRAMES, fps=25, size=(64, 48))
    for folder in ("phase_annotations", "tool_annotations"):
        (base / folder).mkdir()
    phases = "".join(f"{frame}\t{LINES[frame // LINE * LINE][0]}\n" for frame in range(FRAMES))
    (base / "phase_annotations/video01-phase.txt").write_text(f"Frame\tPhase\n{phases}")
    header = "\t".join(("Frame", *COLUMNS))
    rows = [
        "\t".join(map(str, (frame, *(cells[name] for name in COLUMNS)))) for frame, (_, cells) in LINES.items() if cells
    ]
    (base / "tool_annotations/video01-tool.txt").write_text("\n".join([header, *rows]) + "\n")
    made = make("cholec80")
    assert not made.rejects
    places = [(sample.media.view.frame_start, sample.media.view.frame_stop) for sample in made.samples]
    names = {f"{start}-{stop}": (start, stop) for start, stop in places}
    assert len(names) == len(places)
    said = {name: sample.captions[0].text for name, sample in zip(names, made.samples, strict=True)}
    assert {start for start, stop in places if stop == start + 1} == set(LINES)
    for start, stop in places:
        assert len({LINES[frame // LINE * LINE][0] for frame in range(start, stop)}) == 1, "a clip crosses two phases"
    assert sum(stop - start == 32 for start, stop in places) == len(PHASES) * (5 * LINE // 32)
    assert G.check(said, {name: true_of(*place) for name, place in names.items()}) == []
    assert lies(made, (*TOOLS, "specimen bag")) == []
    cells = {name: {"phase": LINES[start // LINE * LINE][0], "start": start} for name, (start, _) in names.items()}
    tools = {start: LINES[start][1] for start, _ in places if start in LINES}
    stills = {name: cell for name, cell in cells.items() if names[name][1] == names[name][0] + 1}
    others = "|".join(words for words in PHASES.values() if words and words != "preparation")
    assert (
        G.told(
            [
                G.Lie(
                    "During gallbladder packaging, of preparation", others, lambda row: row["phase"] == "Preparation"
                ),
                G.Lie("During preparation, of packaging", "prepar", lambda row: row["phase"] == "GallbladderPackaging"),
                G.Lie(
                    "A phase of no name: trocar insertion", "trocar|phase|during", lambda row: not PHASES[row["phase"]]
                ),
                G.Lie("No grasper", r"\bno\b|without", lambda row: True),
                G.Lie(
                    "Of the gallbladder",
                    r"of the|gallbladder",
                    lambda row: row["phase"] in ("Preparation", "ClippingCutting"),
                ),
            ],
            cells,
            said,
        )
        == []
    )
    assert G.told(
        [
            G.Lie("A hook, of 0", r"hook", lambda row: (tools[row["start"]] or {"Hook": 0})["Hook"] == 0),
            G.Lie("A grasper, of no line", r"grasper|showing", lambda row: tools[row["start"]] is None),
        ],
        stills,
        said,
    ) == []  # fmt: skip
    assert allowed("clip", "Calot triangle dissection", ["a grasper", "a hook"]) == {
        "An operative video clip of laparoscopic cholecystectomy during Calot triangle dissection, "
        "showing a grasper and a hook.",
        "An operative video clip from laparoscopic cholecystectomy, in the Calot triangle dissection phase, "
        "showing a grasper and a hook.",
    }
