"""What has to run, and why: every kind of staleness in words, and nothing besides what changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from typing import Any

import pytest

from pipelines.plan import Planner
from pipelines.records import Basis
from pipelines.source_yaml import SpecError
from shards.stage import Unit


def whys(toy: Any, *overrides: str, key: bytes = b"toy", **more: Any) -> dict[str, str]:
    """`stage/unit` and why it would run, planned in this process."""
    plans = Planner(toy.spec(*overrides), key, **more).all()
    return {f"{name}/{unit.unit.id}": unit.why for name, plan in plans.items() for unit in plan.stale}


def test_before_the_first_run(toy: Any) -> None:
    toy.words(a="one", b="two")
    assert whys(toy) == {"words/words-a": "not done yet", "words/words-b": "not done yet"}
    assert toy.plan()["say"] == {"units": 0, "stale": {}, "waits": ["words"], "complete": False}
    assert not toy.root.exists()  # planning writes nothing


def test_nothing_is_stale_after_a_run(done: Any) -> None:
    assert whys(done) == {}
    assert all(stage["complete"] for stage in done.plan().values())


def test_an_option(done: Any) -> None:
    why = whys(done, "say.word=See", "say.style.end=;")
    assert set(why) == {"say/words-a", "say/words-b", "say/words-c"}
    assert set(why.values()) == {"style.end: '.' -> ';'; word: 'A picture of' -> 'See'"}


def test_an_option_inside_a_list_of_groups_is_named_alone() -> None:
    def basis(**labels: object) -> Basis:
        params = {"labels": [{"column": "a"}, {"column": "b", **labels}], "names": ["x", "y"]}
        return Basis(use="m:C", version="1", params=params, key_id="k", identity={}, inputs=())

    old = json.loads(json.dumps(asdict(basis(states={"1": "present"}))))
    assert basis(states={"1": "absent"}).changes(old) == "labels[2].states.1: 'present' -> 'absent'"
    assert basis().changes(old) == "labels[2].states.1: 'present' -> None"


def test_an_option_that_cannot_change_the_output(done: Any) -> None:
    assert whys(done, "words.pause_s=0.25") == {}


def test_one_input_unit_runs_its_chain_alone(done: Any) -> None:
    done.words(b="three; five")
    assert whys(done) == {"words/words-b": "its input changed"}
    report = done.go()
    assert report.done == {"words": 1, "say": 1, "bundle": 2, "learn": 1, "count": 1}
    assert report.fresh["words"] == report.fresh["say"] == 2
    assert whys(done) == {}


def test_a_touched_file_runs_its_unit_and_nothing_behind_it(done: Any) -> None:
    os.utime(done.folder / "words/b.txt")
    assert whys(done) == {"words/words-b": "its input changed"}
    assert done.go().done == {"words": 1, "say": 0, "bundle": 0, "learn": 0, "count": 0}


def test_a_removed_input_takes_its_part_with_it(done: Any) -> None:
    (done.folder / "words/a.txt").unlink()
    assert whys(done) == {}  # no unit has to run, and yet the stage is not complete as it is
    assert Planner(done.spec(), b"toy").all()["words"].output is None
    done.go()
    names = {path.stem for stage in ("words", "say") for path in (done.root / stage).glob("*/*.*")}
    assert names == {"words-b", "words-c"}
    assert json.loads((done.root / "count/count.json").read_text()) == 2
    assert "one" not in "".join(path.read_text() for path in done.root.glob("bundle/bundles/*"))


def test_a_new_input_leaves_the_others_alone(done: Any) -> None:
    done.words(d="five")
    assert whys(done) == {"words/words-d": "not done yet"}


def test_a_missing_and_a_cut_part(done: Any) -> None:
    (done.root / "say/parts/words-b.parquet").unlink()
    part = done.root / "words/parts/words-c.parquet"
    part.write_bytes(part.read_bytes()[:-7])
    bundle = done.root / "bundle/bundles/bundle-001.txt"
    before = bundle.read_bytes()
    bundle.write_bytes(b"")
    why = whys(done)
    assert why["words/words-c"] == "its output is missing or has another size"
    assert why["say/words-b"] == "its output is missing or has another size"
    done.go()
    assert bundle.read_bytes() == before
    assert whys(done) == {}


@pytest.mark.parametrize("at", ["start", "middle", "content", "end", "empty"])
def test_a_damaged_record_is_as_good_as_none(done: Any, at: str) -> None:
    record = done.root / "words/units/words-b.json"
    data = bytearray(record.read_bytes())
    content = json.loads(data)["content"].encode()
    where = {
        "start": 0,
        "middle": len(data) // 2,
        "content": data.index(content) + 5,
        "end": len(data) - 4,
        "empty": 0,
    }[at]
    data[where] ^= 1
    record.write_bytes(b"" if at == "empty" else bytes(data))
    assert whys(done)["words/words-b"] == "its record is damaged"
    done.go()
    assert whys(done) == {}


def test_a_record_of_another_unit_does_not_count(done: Any) -> None:
    units = done.root / "words/units"
    shutil.copy(units / "words-a.json", units / "words-b.json")
    assert whys(done)["words/words-b"] == "its record is damaged"


def test_a_damaged_stage_file(done: Any) -> None:
    before = done.snapshot()
    for name in ("words", "bundle"):
        path = done.root / name / "stage.json"
        path.write_text(path.read_text().replace("a", "b", 1))
    assert whys(done) == {}
    done.go()
    assert done.snapshot() == before


def test_forced(done: Any) -> None:
    assert set(whys(done, force=["say"]).values()) == {"forced"}
    assert done.go(force=("say",)).done == {"words": 0, "say": 3, "bundle": 0, "learn": 0, "count": 0}
    with pytest.raises(SpecError, match="--force sya: pipeline `toy` has no stage `sya`; did you mean `say`"):
        whys(done, force=["sya"])


def test_content_is_checked_again_on_demand(done: Any) -> None:
    path = done.folder / "words/b.txt"
    stat = path.stat()
    path.write_text("thriee"[:5])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # same size, same time, other words
    assert whys(done) == {}
    assert whys(done, check_content=True)["words/words-b"] == "content is checked again"
    assert done.go(check_content=True).done == {"words": 3, "say": 1, "bundle": 2, "learn": 1, "count": 1}


def test_what_is_forced_or_checked_must_be_selected(done: Any) -> None:
    refused = "--force say: the stage `say` is not run with `--{}`; leave out one of them"
    assert refused.format("only bundle") in done.run("--only", "bundle", "--force", "say", rc=2).stderr
    assert refused.format("until words") in done.run("--until", "words", "--force", "say", rc=2).stderr
    assert done.go(only="bundle", force=("bundle",)).done == {"bundle": 2}
    checked = done.go(only="bundle", check_content=True)  # nothing that is not run is made stale by it
    assert (checked.done, checked.waiting) == ({"bundle": 0}, [])
    assert done.go(only="words", check_content=True).done == {"words": 3}


def test_another_key(done: Any) -> None:
    assert set(whys(done, key=b"another").values()) >= {"another key"}


def test_another_version(done: Any) -> None:
    stages = done.folder / "toy_stages.py"
    stages.write_text(stages.read_text().replace('adds=("media",), version=1)', 'adds=("media",), version=2)'))
    assert set(done.stale()["words"].values()) == {"the stage's code has a new version"}


def test_the_source_of_a_module_counts_where_a_stage_has_no_version(done: Any) -> None:
    stages = done.folder / "toy_stages.py"
    stages.write_text(stages.read_text() + "\n# changed\n")
    stale = done.stale()
    assert set(stale) == {"say"}  # the other stages of the module have a version
    assert set(stale["say"].values()) == {"the stage's code has a new version"}


def test_another_class(done: Any) -> None:
    stages = done.folder / "toy_stages.py"
    stages.write_text(stages.read_text() + "\n\nclass Lines(Words):\n    pass\n")
    text = (done.folder / "pipelines.yaml").read_text()
    done.write(text.replace("toy_stages:Words", "toy_stages:Lines"))
    assert set(done.stale()["words"].values()) == {"stage class was toy_stages:Words"}


def test_another_model(toy: Any) -> None:
    toy.words(a="one")
    (toy.folder / "model.bin").write_bytes(b"1")
    toy.write(
        (toy.folder / "pipelines.yaml")
        .read_text()
        .replace("from: [words]}", "from: [words], with: {model: model.bin}}")
    )
    toy.go()
    os.utime(toy.folder / "model.bin", (1, 1))
    assert whys(toy) == {}  # touched, and the same
    (toy.folder / "model.bin").write_bytes(b"2")
    assert whys(toy) == {"say/words-a": "a model, its revision or its prompt changed"}


def test_what_a_build_says_that_it_is_known_by(done: Any) -> None:
    """An encoder of another version: nothing else changed, and the build was committed long ago."""
    done.go("bundle.codec=libx 1")
    assert whys(done, "bundle.codec=libx 1") == {}
    assert set(whys(done, "bundle.codec=libx 2")) == {"bundle/bundle-000", "bundle/bundle-001"}
    assert done.go("bundle.codec=libx 2").done["bundle"] == 2


def test_the_name_of_a_stage_is_not_part_of_a_fingerprint(done: Any) -> None:
    text = (done.folder / "pipelines.yaml").read_text()
    done.write(
        text.replace("say:", "tell:").replace("[say", "[tell").replace("words:", "texts:").replace("[words]", "[texts]")
    )
    (done.root / "say").rename(done.root / "tell")
    (done.root / "words").rename(done.root / "texts")
    # a place under the root stands in payloads alone
    assert done.stale() == {}
    assert all(stage["complete"] for stage in done.plan().values())


def test_the_root_may_be_moved(done: Any) -> None:
    done.root.rename(done.folder / "elsewhere")
    done.write((done.folder / "pipelines.yaml").read_text().replace("root: out", "root: elsewhere"))
    assert done.stale() == {}


def test_a_part_of_the_same_name_from_two_inputs(toy: Any) -> None:
    toy.words(a="one")
    head, words = (toy.folder / "pipelines.yaml").read_text().split("      say:")[0].rsplit("      words:", 1)
    more = f'      words:{words}      more:{words}      say: {{use: "toy_stages:Say", from: [words, more]}}\n'
    toy.write(head + more)
    error = toy.run(rc=2).stderr
    assert (
        "pipelines.yaml:9: two inputs hold a part named `words-a`; give their sources different `source:` names"
        in error
    )


def test_a_plan_says_which_stage_could_not_read_what(toy: Any) -> None:
    stages = toy.folder / "toy_stages.py"
    stages.write_text(
        stages.read_text().replace("sorted(Path(ctx", "Path(ctx").replace('.glob("*.txt"))', ".iterdir()")
    )
    with pytest.raises(
        ValueError, match=f"pipelines.yaml:7: stage `words`: No such file or directory: {toy.folder}/words"
    ):
        whys(toy)


@pytest.mark.parametrize("bad", ["", "../x", "a/b", ".hidden", ".", "..", "A", "a b", "a\n", "ü", "a" * 97, "a\0"])
def test_a_unit_id_is_a_file_name(bad: str) -> None:
    with pytest.raises(ValueError, match="unit id"):
        Unit(id=bad)
    assert Unit(id="a" * 96).id


def test_a_finished_pipeline_is_planned_without_ray_in_under_two_seconds(toy: Any) -> None:
    toy.words(**{f"f{i:04d}": f"w{i}" for i in range(50)})
    text = (toy.folder / "pipelines.yaml").read_text()
    toy.write("".join(line for line in text.splitlines(keepends=True) if "bundle" not in line and "learn" not in line))
    toy.go()
    code = (
        "import sys, time\nfrom pipelines.cli import main\n"
        "sys.argv = ['medloom', 'run', 'toy']\nbegun = time.process_time()\n"
        "try:\n    main()\nfinally:\n    print(time.process_time() - begun, 'ray' in sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=toy.folder, capture_output=True, text=True, check=True
    )
    *lines, last = done.stderr.splitlines()
    assert lines == ["words: nothing to do (50 units up to date)", "say: nothing to do (50 units up to date)"]
    seconds, has_ray = last.split()
    assert has_ray == "False"
    assert float(seconds) < 2.0
