"""The command line: help on everything, four exit codes, JSON that parses, and a README that names every command."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.status import disk_bytes

HOUSE = Path(__file__).resolve().parents[2]
COMMANDS: dict[str, Any] = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
SHOWN = {name: command for name, command in COMMANDS.items() if not command.hidden}
DESIGNED = {"plan", "run", "status", "graph", "index", "show", "verify", "explain", "sample", "report"}


def test_every_command_of_the_design_is_there() -> None:
    assert set(SHOWN) >= DESIGNED


@pytest.mark.parametrize("name", SHOWN)
def test_help_on_every_command_and_option(name: str) -> None:
    command = SHOWN[name]
    assert command.help
    assert command.help.splitlines()[0].endswith(".")
    for parameter in command.params:
        assert getattr(parameter, "help", ""), f"{name} {parameter.name} has no help"
    result = CliRunner().invoke(app, [name, "--help"], terminal_width=200)
    assert result.exit_code == 0
    options = [option for parameter in command.params for option in parameter.opts if option.startswith("--")]
    assert all(option in result.output for option in options)


def test_the_readme_names_every_command() -> None:
    text = (HOUSE / "README.md").read_text()
    assert {name for name in SHOWN if f"medloom {name}" not in text} == set()
    named = set(re.findall(r"medloom ([a-z][a-z-]+)", text))
    assert {name for name in named if name in DESIGNED | {"erase"}} <= set(SHOWN)


def test_wrong_use_is_two_and_says_what_is_right(toy: Any) -> None:
    for arguments, message in {
        ("nope",): "No such command 'nope'",
        ("run",): "Missing argument",
        ("run", "toy", "--bad"): "No such option: --bad",
        ("run", "toy", "--workers", "0"): "--workers",
        ("run", "toy", "--workers", "many"): "--workers",
        ("run", "toy", "--units", "1/2", "--address", "x"): "a slice runs in this process; leave out --address",
        ("run", "toy", "--serial", "--address", "x"): "--serial runs in this process; leave out --address",
        ("run", "toy", "--only", "say", "--until", "say"): "--only runs one stage and --until all before it; give one",
        ("sample", "x", "--prompt", "a", "--method", "best"): "'best' is not one of 'ddim', 'dpm++'",
        ("sample", "x", "--prompt", "a", "--steps", "1001"): "--steps",
        ("run", "toy", "--units", "1/2", "--force", "say"): "--force and --check-content need one run of the whole",
    }.items():
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == 2, arguments
        assert message in result.output, result.output
    # and as a process: no traceback
    done = toy.process("run", "toy", "--bad", rc=2)
    assert done.stdout == ""
    assert "No such option: --bad" in done.stderr
    assert "Traceback" not in done.stderr
    assert "pipelines.yaml:3: there is no pipeline `tyo`; did you mean `toy`?" in toy.medloom("run", "tyo", rc=2).stderr


def test_json_is_json_and_nothing_else(toy: Any) -> None:
    toy.words(a="one; two; bad", b="three")
    plan = json.loads(toy.medloom("plan", "toy", "--json").stdout)
    assert plan["words"]["stale"] == {"words-a": "not done yet", "words-b": "not done yet"}
    done = toy.process("run", "toy", "--serial", "--json")
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert report == {
        "done": {"words": 2, "say": 2, "bundle": 1, "learn": 1, "count": 1},
        "fresh": dict.fromkeys(("words", "say", "bundle", "learn", "count"), 0),
        "failed": {},
        "remarks": {},
        "waiting": [],
        "worked": True,
    }
    status = {row["stage"]: row for row in json.loads(toy.medloom("status", "toy", "--json").stdout)}
    assert (status["words"]["offered"], status["words"]["accepted"], status["words"]["rejected"]) == (
        4,
        3,
        {"corrupt": 1},
    )
    assert all(row["complete"] for row in status.values())
    toy.words(c="bug")
    failed = json.loads(toy.run("--json", rc=1).stdout)
    assert list(failed["failed"]) == ["words"]
    assert failed["waiting"] == ["words", "say", "bundle", "learn", "count"]


def test_what_a_person_reads(done: Any) -> None:
    done.words(d="five")
    text = done.medloom("plan", "toy").stdout
    assert text.splitlines() == [
        "words: 1 of 4 units to do",
        "  words-d: not done yet",
        "say: waits for words",
        "bundle: waits for say",
        "learn: waits for bundle",
        "count: waits for say, learn",
    ]
    status = done.medloom("status", "toy").stdout
    assert re.search(r"words .* manifest .* complete .* 3 .* 4 .* 0", status)


def states(toy: Any) -> dict[str, str]:
    return {row["stage"]: row["state"] for row in json.loads(toy.medloom("status", "toy", "--json").stdout)}


def test_the_state_of_a_stage(toy: Any) -> None:
    toy.words(a="one", b="two")
    assert set(states(toy).values()) == {"not begun"}
    (toy.folder / "trip").touch()
    toy.process("run", "toy", "--serial", "--set", "learn.stop_at=trip", "--set", "learn.steps=4", rc=9)
    begun = {"words": "complete", "say": "complete", "bundle": "complete", "learn": "begun", "count": "not begun"}
    assert states(toy) == begun  # no unit of `learn` is done, and its checkpoints are there
    toy.go()
    assert set(states(toy).values()) == {"complete"}
    text = (toy.folder / "pipelines.yaml").read_text()
    toy.write(text.replace('"toy_stages:Bundle", from: [say]', '"toy_stages:Bundle", from: [say], with: {size: 2}'))
    changed = {**dict.fromkeys(begun, "changed"), "words": "complete", "say": "complete"}
    assert states(toy) == changed
    (toy.root / "count/count.json").unlink()
    assert states(toy) == changed


def test_disk_use_while_files_come_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").write_bytes(b"123")
    real = os.lstat

    def racing(path: Any) -> Any:
        if str(path).endswith("a"):
            (tmp_path / "a").unlink()
        return real(path)

    monkeypatch.setattr(os, "lstat", racing)
    assert disk_bytes(tmp_path) == 3


def test_the_graph_in_two_languages(done: Any) -> None:
    """Also of a stage whose name is a word of either."""
    done.write((done.folder / "pipelines.yaml").read_text().replace("learn", "end"))
    mermaid = done.medloom("graph", "toy").stdout.splitlines()
    assert mermaid[0] == "flowchart LR"
    assert "  s_bundle -->|shards| s_end" in mermaid
    dot = done.medloom("graph", "toy", "--dot").stdout.splitlines()
    assert dot[0] == 'digraph "toy" {'
    assert '  "bundle" -> "end" [label="shards"];' in dot


def test_more_stale_units_than_fit_are_counted(toy: Any) -> None:
    toy.words(**{f"f{i}": "one" for i in range(6)})
    assert "  and 3 more (--all-units lists them)" in toy.medloom("plan", "toy").stdout
    assert toy.medloom("plan", "toy", "--all-units").stdout.count("not done yet") == 6


def test_a_reader_that_goes_away_is_no_error_to_look_at(toy: Any) -> None:
    toy.words(**{f"f{i:04d}{'x' * 80}": "one" for i in range(1000)})  # more than a pipe holds
    command = f"{Path(sys.executable).with_name('medloom')} plan toy --all-units | head -1"
    done = subprocess.run(command, shell=True, cwd=toy.folder, capture_output=True, text=True, check=True)
    assert done.stdout == "words: 1000 of 1000 units to do\n"
    assert done.stderr == ""


def test_another_file_is_named_in_messages(toy: Any) -> None:
    (toy.folder / "pipelines.yaml").rename(toy.folder / "other.yaml")
    assert "words: 0 units" in toy.medloom("plan", "toy", "-f", "other.yaml").stdout
    (toy.folder / "other.yaml").write_text("version: 3\n")
    assert toy.medloom("plan", "toy", "--file", "other.yaml", rc=2).stderr.startswith("other.yaml:1: ")
