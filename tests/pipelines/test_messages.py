"""What a person is told of what a stage raises and says: enough to mend it, and never what names a patient."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from pipelines.failure import words
from shards.manifest import read_part

HEAD = "version: 1\npipelines:\n  toy:\n    root: out\n    key: {public: toy}\n    stages:\n"
WORDS = '      words: {use: "toy_stages:Words", with: {path: words}}\n'


def change(toy: Any, old: str, new: str) -> None:
    """Other code in the user's module."""
    stages = toy.folder / "toy_stages.py"
    text = stages.read_text()
    assert text.count(old) >= 1
    stages.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("wrong", "words-a: the list of words is in another language; translate it (see "),
        ("lacks", "words-a: the package `dictionary` is not installed (see "),
        ("bug", "words-a: AssertionError at toy_stages.py:"),
    ],
)
def test_an_error_in_a_unit(toy: Any, line: str, said: str) -> None:
    toy.words(a=line)
    (message,) = toy.go().failed["words"]
    assert message.startswith(said)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("bs4", ": `pip install 'medloom[scrape]'`"),
        ("requests", ": `pip install 'medloom[scrape]'`"),
        ("pydicom", ": `pip install 'medloom[medical]'`"),
        ("pylibjpeg", ": `pip install 'medloom[medical]'`"),
        ("trustme", ""),
        ("dictionary", ""),
    ],
)
def test_which_extra_brings_a_package_that_is_missing(module: str, said: str) -> None:
    error = ModuleNotFoundError(f"No module named {module!r}", name=module)
    assert words(error, plainly=False) == f"the package `{module}` is not installed{said}"


def test_a_value_error_of_a_job_and_of_a_worker_that_is_opened(toy: Any) -> None:
    toy.words(a="one")
    toy.write(HEAD + WORDS + '      letters: {use: "toy_stages:Letters", from: [words], with: {says: "no"}}\n')
    (message,) = toy.go().failed["letters"]
    assert message.startswith("job: no letters are left; write some (see ")
    change(toy, "        yield WordsWorker(self, ctx)", '        raise ValueError("no such dictionary; name another")')
    toy.words(b="two")
    (message,) = toy.go().failed["words"]
    assert message.startswith("words-b: no such dictionary; name another (see ")


def test_an_error_in_look_over_names_no_row_and_is_told_until_it_is_mended(toy: Any) -> None:
    toy.words(a="one")
    toy.write(HEAD + WORDS + '      say: {use: "toy_stages:Say", from: [words]}\n')
    method = "    def look_over(self, parts, identity):\n        {}\n\n"
    end = "    @contextmanager\n    def open(self, ctx: Context) -> Iterator[WordsWorker]:\n"
    odd = method.format("raise ValueError('the row of John Zmith is odd')")
    change(toy, end, odd + end)
    for _ in range(2):  # the units are done in the first run; the stage is complete in none
        report = toy.go()
        (message,) = report.failed["words"]
        assert message.startswith("look_over: ")
        assert "stage `words`: ValueError at toy_stages.py:" in message
        assert "Zmith" not in message
        assert report.waiting == ["words", "say"]
    fine = method.format("LOG.warning('%d part of words', len(parts))")
    change(toy, odd, fine)
    report = toy.go()
    assert (report.failed, report.done) == ({}, {"words": 0, "say": 1})
    assert report.remarks["words"] == ["1 part of words"]


def test_an_error_in_provenance_is_one_line(toy: Any) -> None:
    toy.words(a="one")
    toy.write(HEAD + WORDS)
    end = "    @contextmanager\n    def open(self, ctx: Context) -> Iterator[WordsWorker]:\n"
    change(toy, end, "    def provenance(self) -> str:\n        return 'mine'\n\n" + end)
    toy.go()
    (part,) = toy.root.glob("words/parts/*.parquet")
    said = toy.medloom("explain", read_part(part)["key"][0], rc=1).stderr
    assert "stage `words`: TypeError at " in said
    assert " in `provenance`; MEDLOOM_TRACE=1 shows all of it" in said


NO_FOLDER = 'raise FileNotFoundError("path: there is no such folder; check the path or mount the disk")'


def test_the_text_that_a_stage_gives_an_error_of_files_is_shown(toy: Any) -> None:
    """A path that is not there is the commonest mistake of all; what the system itself says names its file."""
    toy.words(a="one")
    toy.write(HEAD + WORDS + '      letters: {use: "toy_stages:Letters", from: [words]}\n')
    said = "path: there is no such folder; check the path or mount the disk"
    change(toy, "        yield WordsWorker(self, ctx)", f"        {NO_FOLDER}")
    (message,) = toy.go().failed["words"]
    assert message.startswith(f"words-a: {said} (see ")
    change(toy, f"        {NO_FOLDER}", "        yield WordsWorker(self, ctx)")
    change(toy, 'raise ValueError("no letters are left; write some")', NO_FOLDER)
    change(toy, 'if self.says == "no"', 'if self.says == "content"')
    (message,) = toy.go().failed["letters"]
    assert message.startswith(f"job: {said} (see ")
    change(toy, NO_FOLDER, '(ctx.root / "nothing").read_text()')
    (message,) = toy.go().failed["letters"]
    assert message.startswith(f"job: No such file or directory: {toy.root}/nothing (see ")
    change(toy, "        for path in sorted(Path(ctx", f"        {NO_FOLDER}\n        for path in sorted(Path(ctx")
    assert toy.run(rc=1).stderr == f"medloom: pipelines.yaml:7: stage `words`: {said}\n"


def test_an_error_of_files_over_rows_is_not_quoted(toy: Any) -> None:
    toy.words(a="one")
    change(toy, '(self.ctx.tmp / "scratch").write_text(unit.id)', 'raise OSError("Jane Doe")')
    (message,) = toy.go().failed["words"]
    assert message.startswith("words-a: OSError at toy_stages.py:")


def test_a_commit_that_fails_hides_no_other_stage(toy: Any) -> None:
    toy.words(a="one")
    text = (toy.folder / "pipelines.yaml").read_text()
    toy.write(text.split("      learn:")[0] + '      letters: {use: "toy_stages:Letters", from: [say]}\n')
    change(
        toy,
        "        listed = [[file.path",
        '        raise ValueError("no bundle is left")\n        listed = [[file.path',
    )
    report = toy.go()
    (message,) = report.failed["bundle"]
    assert message.startswith(f"commit: {toy.folder}/pipelines.yaml:9: stage `bundle`: no bundle is left (see ")
    assert report.done["letters"] == 1
    assert report.waiting == ["bundle"]
    change(toy, 'raise ValueError("no bundle is left")', "pass")
    assert toy.go().failed == {}
    assert list((toy.root / "errors").iterdir()) == []


def test_traces_hold_no_text_unless_it_is_wanted(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.words(a="bug", b="wrong")
    change(toy, 'AssertionError("a bug")', 'AssertionError("Jane Doe") from KeyError("John Doe")')
    toy.go()
    trace = (toy.root / "errors/words-words-a.txt").read_text()
    assert trace.startswith("Traceback (most recent call last):\n")
    assert "in process" in trace
    assert "\nKeyError\n" in trace
    assert "\nAssertionError at toy_stages.py:" in trace
    assert "John Doe" not in trace.replace('from KeyError("John Doe")', "")  # the line of code is shown, no text
    assert "AssertionError: Jane Doe" not in trace
    monkeypatch.setenv("MEDLOOM_TRACE", "1")
    toy.go()
    assert "AssertionError: Jane Doe" in (toy.root / "errors/words-words-a.txt").read_text()
    toy.words(a="one", b="two")
    toy.go()
    assert list((toy.root / "errors").iterdir()) == []


@pytest.mark.slow
@pytest.mark.long
def test_what_a_stage_says_is_the_same_in_one_process_and_on_ray(toy: Any) -> None:
    toy.words(a="one; warn", b="warn")
    remark = "words: a word that is seldom used\n"
    serial = toy.process("run", "toy", "--serial", "--until", "words")
    assert serial.stderr.count(remark) == 1
    ray = toy.process("run", "toy", "--until", "words", "--force", "words")
    assert ray.stderr.count(remark) == 1
    found = json.loads(toy.run("--force", "words", "--json").stdout)
    assert found["remarks"] == {"words": ["a word that is seldom used"]}


BROKEN = {
    "identity": (
        '    def identity(self, ctx: Context) -> Mapping[str, str]:\n        return {"codec"',
        '    def identity(self, ctx: Context) -> Mapping[str, str]:\n        self.nothing\n        return {"codec"',
        "AttributeError at toy_stages.py:",
    ),
    "plan": (
        "        rows = [sample for output",
        "        1 / 0\n        rows = [sample for output",
        "ZeroDivisionError at",
    ),
}


@pytest.mark.parametrize("where", BROKEN)
def test_what_breaks_a_plan_is_one_line_and_stops_only_what_needs_it(toy: Any, where: str) -> None:
    toy.words(a="one")
    old, new, error = BROKEN[where]
    change(toy, old, new)
    assert toy.go(until="say").failed == {}
    assert toy.go(only="say").failed == {}
    said = toy.run(rc=1).stderr.splitlines()[-1]
    assert said.startswith(f"medloom: pipelines.yaml:9: stage `bundle`: {error}")
    assert said.endswith(f" in `{where}`; MEDLOOM_TRACE=1 shows all of it")


def test_units_that_cannot_be_listed(toy: Any) -> None:
    change(toy, "        for path in sorted(Path(ctx", "        {}[0]\n        for path in sorted(Path(ctx")
    said = toy.run(rc=1).stderr
    assert said.startswith("medloom: pipelines.yaml:7: stage `words`: KeyError at toy_stages.py:")
    assert "Traceback" not in said


def test_a_job_without_content_or_files_is_refused(toy: Any) -> None:
    toy.words(a="one")
    letters = '      letters: {use: "toy_stages:Letters", from: [words], with: {says: nothing}}\n'
    toy.write(HEAD + WORDS + letters)
    (message,) = toy.go().failed["letters"]
    assert message.startswith("job: the Result of `Letters` has neither `content` nor `files`, so no other stage could")


def test_the_content_of_a_job_is_that_of_its_files(toy: Any) -> None:
    """And so what takes from it runs again when they change, and it itself when one of them is cut."""
    toy.words(a="one", b="two")
    toy.write(
        HEAD + WORDS + '      letters: {use: "toy_stages:Letters", from: [words]}\n'
        '      count: {use: "toy_stages:Count", from: [letters]}\n'
    )
    toy.go()
    assert not toy.go().worked
    part = toy.root / "letters/parts/letters-words-b.parquet"
    whole = part.read_bytes()
    part.write_bytes(whole[:-9])
    assert toy.stale()["letters"] == {"job": "its output is missing or has another size"}
    assert toy.go().done == {"words": 0, "letters": 1, "count": 0}
    assert part.read_bytes() == whole
    toy.words(b="three")
    assert toy.go().done == {"words": 1, "letters": 1, "count": 1}


INTERRUPTED = """
import os, signal, sys, time
from pipelines.interrupt import interruptible, unbroken
interruptible()
def lost():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(9)
    except KeyboardInterrupt:
        pass
lost()
os.kill(os.getpid(), signal.SIGTERM)  # the impatience of the first moment
time.sleep(2.1)
print("goes on", flush=True)
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(9)
except KeyboardInterrupt:
    with unbroken():
        time.sleep(2.1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
    print("clean", flush=True)
os.kill(os.getpid(), signal.SIGINT)  # while the process ends
time.sleep(0.1)
"""


def test_a_signal_that_was_swallowed_is_not_the_last_and_cleaning_up_is_not_broken_off() -> None:
    command = [sys.executable, "-P", "-c", INTERRUPTED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("goes on\nclean\n", "", 0)
