"""Every mistake in a pipelines file is one line with `file:line` and what to write instead, before anything is done."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines.source_yaml import SpecError

HEAD = "version: 1\npipelines:\n  toy:\n    root: out\n    key: {public: toy}\n    stages:\n"  # six lines
WORDS = '      words: {use: "toy_stages:Words", with: {path: words}}\n'
SAY = '      say: {use: "toy_stages:Say", from: [words]}\n'
HEAVY = (
    "torch",
    "ray",
    "requests",
    "transformers",
    "diffusers",
    "cv2",
    "av",
    "pydicom",
    "nibabel",
    "scipy",
    "datasets",
)

# Each: the file, the line that is named, and what the message says.
MISTAKES = {
    "unknown stage class": (
        HEAD + '      words: {use: "toy_stages:Wrods", with: {path: words}}\n',
        7,
        "stage `words`: `toy_stages` has no stage `Wrods`; did you mean `Words`?",
    ),
    "unknown module": (
        HEAD + '      words: {use: "shards.pakc:PackShards"}\n',
        7,
        "stage `words`: there is no module `shards.pakc`; did you mean `shards.pack`?",
    ),
    "unknown module beside the file": (
        HEAD + '      words: {use: "toy_stage:Words"}\n',
        7,
        "stage `words`: there is no module `toy_stage`; did you mean `toy_stages`?",
    ),
    "unknown module like no other": (
        HEAD + '      words: {use: "qqq:Words"}\n',
        7,
        "stage `words`: there is no module `qqq`; medloom's own stand in docs/datasets.md, and one of yours is a .py",
    ),
    "merge key": (
        HEAD + '      words: {use: "toy_stages:Words", with: &usual {path: words}}\n'
        '      more: {use: "toy_stages:Words", with: {<<: *usual}}\n',
        8,
        "`<<` merges no keys here: write them out; an alias can only stand for a whole value (`with: *usual`)",
    ),
    "not module:Class": (
        HEAD + "      words: {use: toy_stages.Words}\n",
        7,
        "is not of the form `module:Class`, such as",
    ),
    "a path for a module": (
        HEAD + '      words: {use: "./toy_stages.py:Words"}\n',
        7,
        "is not of the form `module:Class`",
    ),
    "not a stage": (HEAD + '      words: {use: "pathlib:Path"}\n', 7, "has no `contract = Contract(...)`"),
    "no use": (HEAD + "      words: {with: {path: words}}\n", 7, "stage `words` needs `use: module:Class`"),
    "unknown option": (
        HEAD
        + '      words:\n        use: "toy_stages:Words"\n        with:\n          path: words\n          sorce: x\n',
        11,
        "stage `words` (toy_stages:Words) has no key `sorce`; did you mean `source`?",
    ),
    "unknown nested option": (
        HEAD
        + WORDS
        + '      say:\n        use: "toy_stages:Say"\n        from: [words]\n        with:\n          style:\n'
        "            luod: true\n",
        13,
        "has no key `luod`; did you mean `loud`?",
    ),
    "missing option": (
        HEAD + '      words: {use: "toy_stages:Words"}\n',
        7,
        "stage `words` (toy_stages:Words) needs `path: text`; add it under `with:`",
    ),
    "text for a number": (
        HEAD + '      words: {use: "toy_stages:Words", with: {path: words, pause_s: soon}}\n',
        7,
        "option `pause_s` of stage `words` (toy_stages:Words) must be number, not 'soon'",
    ),
    "number for text": (
        HEAD + '      words: {use: "toy_stages:Words", with: {path: 3}}\n',
        7,
        "option `path` of stage `words` (toy_stages:Words) must be text, not 3 (put it in quotes)",
    ),
    "an infinite number": (
        HEAD + '      words: {use: "toy_stages:Words", with: {path: words, pause_s: .inf}}\n',
        7,
        "must be number, not inf",
    ),
    "a number too large for a float": (
        HEAD + f'      words: {{use: "toy_stages:Words", with: {{path: words, pause_s: 1{"0" * 400}}}}}\n',
        7,
        "must be number, not 1000",
    ),
    "a list for text": (
        HEAD + '      words: {use: "toy_stages:Words", with: {path: [words]}}\n',
        7,
        "must be text, not a list",
    ),
    "a scalar for a mapping": (
        HEAD + WORDS + '      say: {use: "toy_stages:Say", from: [words], with: {style: loud}}\n',
        8,
        "option `style` of stage `say` (toy_stages:Say) must be a mapping of `key: value`, not 'loud'",
    ),
    "not one of the literals": (
        HEAD + WORDS + '      say: {use: "toy_stages:Say", from: [words], with: {tone: kidn}}\n',
        8,
        "option `tone` of stage `say` (toy_stages:Say) cannot be 'kidn'; did you mean `kind`?",
    ),
    "refused by the stage itself": (
        HEAD + WORDS + '      say:\n        use: "toy_stages:Say"\n        from: [words]\n        with:\n'
        "          tone: kind\n          word: ''\n",
        13,
        "stage `say` (toy_stages:Say): `word` is empty; write a word such as `A picture of`",
    ),
    "unknown input": (
        HEAD + WORDS + '      say: {use: "toy_stages:Say", from: [wrods]}\n',
        8,
        "stage `say` takes from `wrods`, which is no stage; did you mean `words`?",
    ),
    "an input twice": (
        HEAD + WORDS + '      say: {use: "toy_stages:Say", from: [words, words]}\n',
        8,
        "stage `say` takes from `words` twice; remove one",
    ),
    "from is no list": (
        HEAD + WORDS + '      say: {use: "toy_stages:Say", from: words}\n',
        8,
        "`from` of stage `say` must be a list like [a, b], not 'words'",
    ),
    "cycle": (
        HEAD
        + WORDS
        + '      say: {use: "toy_stages:Say", from: [again]}\n      again: {use: "toy_stages:Say", from: [say]}\n',
        8,
        "the stages form a cycle: say -> again -> say; remove one of these inputs from `from:`",
    ),
    "a stage that takes from itself": (
        HEAD + WORDS + '      say: {use: "toy_stages:Say", from: [say]}\n',
        8,
        "the stages form a cycle: say -> say",
    ),
    "duplicate stage": (HEAD + WORDS + WORDS, 8, "`stages` has the key `words` twice (first at pipelines.yaml:7)"),
    "duplicate option": (
        HEAD + '      words: {use: "toy_stages:Words", with: {path: a, path: b}}\n',
        7,
        "has the key `path` twice (first at pipelines.yaml:7); remove one or rename it",
    ),
    "duplicate pipeline": (
        HEAD + WORDS + "  toy:\n    root: x\n    stages: {}\n",
        8,
        "`pipelines` has the key `toy` twice (first at pipelines.yaml:3)",
    ),
    "bad YAML": (HEAD + "      words: {use: [}\n", 7, "not valid YAML: "),
    "a tab": (HEAD + "\twords: 1\n", 7, "not valid YAML: found character '\\t' that cannot start any token"),
    "a control character": (HEAD + WORDS + "# \x07\n", 8, "the character U+0007 may not stand here; remove it"),
    "half of a pair": (
        HEAD + '      words: {use: "toy_stages:Words", with: {path: "\\ud800"}}\n',
        7,
        "put text in quotes",
    ),
    "a date that is none": (
        HEAD + '      words: {use: "toy_stages:Words", with: {path: 2024-13-45}}\n',
        7,
        "'2024-13-45' cannot be read (month must be in 1..12); put text in quotes",
    ),
    "a tag of Python": (
        HEAD
        + '      words: {use: "toy_stages:Words", with: {path: !!python/object/apply:os.system ["touch pwned"]}}\n',
        7,
        "must be text, not a list",
    ),
    "a tag of Python on a scalar": (
        HEAD + '      words: {use: "toy_stages:Words", with: {path: !!python/name:os.system ""}}\n',
        7,
        "is not allowed here; write a plain value",
    ),
    "an alias that recurses": (
        HEAD + '      words: {use: "toy_stages:Words", with: &a {path: *a}}\n',
        7,
        "nested too deep or too large for a pipelines file (are aliases recursive?)",
    ),
    "an alias bomb": (
        HEAD
        + "      words:\n"
        + "".join(f"        k{i}: &k{i} [{', '.join([f'*k{i - 1}'] * 9 if i else ['x'] * 9)}]\n" for i in range(9)),
        8,
        "nested too deep or too large",
    ),
    "brackets without end": (HEAD + "      words: " + "[" * 500 + "\n", 1, "nested too deep for a pipelines file"),
    "two documents": (HEAD + WORDS + "---\n" + HEAD, 8, "not valid YAML: but found another document"),
    "empty": ("\n", 1, "the file is empty; start with `version: 1`"),
    "another version": ("version: 2\npipelines: {}\n", 1, "the file must say `version: 1`"),
    "true for a version": ("version: true\npipelines: {}\n", 1, "the file must say `version: 1`"),
    "no pipelines": ("version: 1\n", 1, "the file has no `pipelines:`"),
    "an unknown pipeline": ("version: 1\npipelines:\n  tyo: {root: out, stages: {}}\n", 3, "did you mean `tyo`?"),
    "an unknown key of the file": ("version: 1\npipeline: {}\n", 2, "did you mean `pipelines`?"),
    "an unknown key of a pipeline": (HEAD.replace("root", "rot") + WORDS, 4, "has no key `rot`; did you mean `root`?"),
    "an unknown key of a stage": (
        HEAD + '      words: {use: "toy_stages:Words", width: {path: words}}\n',
        7,
        "stage `words` has no key `width`; did you mean `with`?",
    ),
    "a root that is a url": (HEAD.replace("out", "s3://bucket/x") + WORDS, 4, "publish to object storage by a copy"),
    "no root": (HEAD.replace("out", "''") + WORDS, 4, "`root` must be a folder that all workers see"),
    "a hostile stage name": (HEAD + '      ../words: {use: "toy_stages:Words"}\n', 7, "must start with a letter"),
    "a stage name that is taken": (
        HEAD + '      errors: {use: "toy_stages:Words", with: {path: words}}\n',
        7,
        "a stage cannot be named `errors`: that folder is medloom's; choose another",
    ),
    "another kind": (
        HEAD + WORDS + '      learn: {use: "toy_stages:Learn", from: [words]}\n',
        8,
        "stage `learn` (toy_stages:Learn) cannot take manifest from `words`; it takes shards",
    ),
    "an input that is missing": (
        HEAD + WORDS + '      count: {use: "toy_stages:Count"}\n',
        8,
        "stage `count` (toy_stages:Count) needs an input that gives manifest; add one of `words` to `from:`",
    ),
    "an input of a source": (
        HEAD + WORDS + '      more: {use: "toy_stages:Words", from: [words], with: {path: x}}\n',
        8,
        "it takes nothing: it reads from outside",
    ),
    "a missing column": (
        HEAD + WORDS + '      bundle: {use: "toy_stages:Bundle", from: [words]}\n',
        8,
        "needs the column `captions`, which no stage before it fills; `captioning.fill:FillCaptions` does",
    ),
    "an unknown resource": (
        HEAD + '      words: {use: "toy_stages:Words", with: {path: x}, resources: {gpu: 1}}\n',
        7,
        "`resources` of stage `words` has no key `gpu`; did you mean `gpus`?",
    ),
    "half a worker": (
        HEAD + '      words: {use: "toy_stages:Words", with: {path: x}, resources: {workers: 0}}\n',
        7,
        "`workers` must be at least 1; leave it out to use what is there",
    ),
    "no time": (
        HEAD + '      words: {use: "toy_stages:Words", with: {path: x}, resources: {deadline_s: 0}}\n',
        7,
        "`deadline_s` must be above 0",
    ),
    "two keys": (HEAD.replace("{public: toy}", "{public: a, file: b}") + WORDS, 5, "`key` is either `file: PATH` or"),
}
SIX = ("unknown stage class", "unknown option", "text for a number", "unknown input", "cycle", "duplicate stage")


@pytest.mark.parametrize("kind", MISTAKES)
def test_the_message_names_the_line_and_what_to_write(toy: Any, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, line, message = MISTAKES[kind]
    toy.write(text)
    monkeypatch.chdir(toy.folder)
    with pytest.raises(SpecError) as caught:
        toy.spec()
    said = str(caught.value).replace(f"{toy.folder}/", "")
    assert said.startswith(f"pipelines.yaml:{line}: "), said
    assert message in said
    assert "\n" not in said
    assert not (toy.folder / "pwned").exists()


PROBE = """
import sys
from pipelines.cli import main
sys.argv = ["medloom", *sys.argv[2:]]
try:
    main()
finally:
    print("LOADED", *sorted(set(sys.modules) & set({heavy!r})), file=sys.stderr)
"""


def probe(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a fresh process that says at its end which heavy packages it imported."""
    code = PROBE.format(heavy=HEAVY)
    return subprocess.run(
        [sys.executable, "-P", "-c", code, "-", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("kind", SIX)
def test_a_mistake_costs_no_import_and_no_file(toy: Any, kind: str) -> None:
    text, line, message = MISTAKES[kind]
    toy.write(text)
    before = sorted(toy.folder.rglob("*"))
    done = probe(toy.folder, "run", "toy")
    assert done.returncode == 2
    said, loaded = done.stderr.splitlines()
    assert said.startswith(f"pipelines.yaml:{line}: ")
    assert message in said
    assert loaded == "LOADED"
    assert [path for path in sorted(toy.folder.rglob("*")) if "__pycache__" not in path.parts] == before


def test_the_probe_would_see_a_heavy_import(toy: Any) -> None:
    stages = toy.folder / "toy_stages.py"
    stages.write_text(stages.read_text() + "\nimport requests\n")
    assert probe(toy.folder, "plan", "toy").stderr.splitlines()[-1] == "LOADED requests"


def test_a_module_that_cannot_be_imported_is_named_with_its_place(toy: Any) -> None:
    for text, message in {
        "def f(:\n": "`broken` cannot be imported: SyntaxError at broken.py:1: ",
        "x = 1\ny = nothing\n": "`broken` cannot be imported: NameError at broken.py:2: name 'nothing' is not defined",
        "import no_such_package\n": "`broken` needs the package `no_such_package`, which is not installed",
    }.items():
        (toy.folder / "broken.py").write_text(text)
        toy.write(HEAD + '      words: {use: "broken:Words"}\n')
        with pytest.raises(SpecError) as caught:
            toy.spec()
        assert message in str(caught.value)
        assert "pipelines.yaml:7" in str(caught.value)
        sys.modules.pop("broken", None)


def test_a_class_that_raises_something_else_is_named_with_its_place(toy: Any) -> None:
    stages = toy.folder / "toy_stages.py"
    stages.write_text(stages.read_text().replace("        if not self.word:", "        if not self.no_such_option:"))
    toy.write(HEAD + WORDS + SAY)
    with pytest.raises(SpecError) as caught:
        toy.spec()
    assert "pipelines.yaml:8: stage `say` (toy_stages:Say) cannot be made: AttributeError at toy_stages.py:" in str(
        caught.value
    )


def test_set_changes_one_stage_even_where_an_alias_is_shared(toy: Any) -> None:
    toy.write(
        HEAD + WORDS + '      say: {use: "toy_stages:Say", from: [words], with: &w {style: &s {end: "!"}}}\n'
        '      again: {use: "toy_stages:Say", from: [words], with: *w}\n'
    )
    spec = toy.spec("say.style.end=;", "say.style.loud=true", "say.word=See")
    said, again = spec.by_name["say"].stage, spec.by_name["again"].stage
    assert (said.style.end, said.style.loud, said.word) == (";", True, "See")
    assert (again.style.end, again.style.loud, again.word) == ("!", False, "A picture of")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("say", "--set say: write it as `--set stage.option=value`"),
        ("say.word", "--set say.word: write it as `--set stage.option=value`"),
        ("sya.word=x", "--set sya.word: no stage `sya`; did you mean `say`?"),
        ("say.wrod=x", "--set say.wrod: stage `say` (toy_stages:Say) has no key `wrod`; did you mean `word`?"),
        ("say.word.x=1", "--set say.word.x: `word` has no options of its own, so `word.x` cannot be set"),
        ("say.style.weight=heavy", "--set say.style.weight: option `weight` of"),
        ("say.word=#1", "--set say.word: `#` begins a comment in YAML; write --set 'say.word=\"#1\"'"),
        ("say.word=See #1", "--set say.word: `#` begins a comment in YAML; write --set 'say.word=\"See #1\"'"),
        ("say.word=[", "--set say.word: not valid YAML"),
    ],
)
def test_set_is_checked_like_the_file(toy: Any, text: str, message: str) -> None:
    toy.write(HEAD + WORDS + '      say: {use: "toy_stages:Say", from: [words], with: {word: A}}\n')
    with pytest.raises(SpecError) as caught:
        toy.spec(text)
    assert str(caught.value).startswith(message)


def test_a_file_that_is_not_there(toy: Any) -> None:
    (toy.folder / "pipelines.yaml").unlink()
    done = toy.medloom("plan", "toy", rc=2)
    assert done.stderr == "pipelines.yaml: no such file; name one with `-f FILE` or go to its folder\n"
    (toy.folder / "pipelines.yaml").write_bytes(b"\xff\xfe\x00")
    assert "pipelines.yaml: cannot be read" in toy.medloom("plan", "toy", rc=2).stderr
