"""Recipes: a stage made from a file of options, the user's over the recipe's, with errors that name the right line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.recipe import page_row, read_recipe, recipe_names, recipes_folder
from pipelines.source_yaml import SpecError
from pipelines.spec import load

OWN = """\
recipe: Mine
version: "1"
get: my own disk
layout: unverified
needs: {path: the folder with table.csv, notes: a folder with texts}
use: "ingest.converters.table_images:TableImages"
with:
  source: mine
  rights: {license: CC0-1.0}
  table: table.csv
  image: file
  image_format: "{notes}/{}.png"
  modality: SM
  specialty: pathology
"""


def stage(folder: Path, with_: str, use: str = "recipe:./mine.yaml", recipe: str = OWN) -> Any:
    (folder / "mine.yaml").write_text(recipe)
    stages = f"    stages:\n      one:\n        use: {use!r}\n        with: {with_}\n"
    (folder / "p.yaml").write_text(f"version: 1\npipelines:\n  p:\n    root: out\n{stages}")
    return load(folder / "p.yaml", "p").stages[0].stage


def test_the_users_options_stand_over_those_of_the_recipe(tmp_path: Path) -> None:
    made = stage(tmp_path, "{path: /data, notes: texts, specialty: biology}")
    assert (made.path, made.source, made.specialty, made.modality) == ("/data", "mine", "biology", "SM")
    assert made.image_format == "texts/{}.png"


@pytest.mark.parametrize(
    ("with_", "use", "recipe", "said"),
    [
        ("{path: /data}", "recipe:./mine.yaml", OWN, r"p\.yaml:8: recipe `mine` needs `notes: a folder with texts`"),
        (
            "{path: /d, notes: n, souce: x}",
            "recipe:./mine.yaml",
            OWN,
            r"p\.yaml:8: .*no key `souce`; did you mean `source`",
        ),
        ("{path: /d}", "recipe:chexprt", OWN, r"p\.yaml:7: there is no recipe `chexprt`; did you mean `chexpert`\?"),
        ("{path: /d}", "recipe:./gone.yaml", OWN, r"gone\.yaml: no such file"),
        ("{path: /d}", "recipe:./mine.yaml", OWN.replace("version:", "verson:"), r"mine\.yaml:2: .*no key `verson`"),
        ("{path: /d}", "recipe:./mine.yaml", OWN.replace("unverified", "fine"), r"mine\.yaml:4: `layout` must be"),
        (
            "{path: /d, notes: n}",
            "recipe:./mine.yaml",
            OWN.replace("modality: SM", "modality: XX"),
            r"mine\.yaml:13: .*modality 'XX' is unknown",
        ),
    ],
)
def test_mistakes_name_the_file_and_line_that_hold_them(
    tmp_path: Path, with_: str, use: str, recipe: str, said: str
) -> None:
    with pytest.raises(SpecError, match=said):
        stage(tmp_path, with_, use, recipe)


LONG_VOCABULARIES = {"ct_rate": "  labels: [{column: [Medical material, "}  # recipe -> how its one longer line starts


def test_every_recipe_of_the_house_is_short_and_makes_a_stage(tmp_path: Path) -> None:
    assert recipe_names()
    for name in recipe_names():
        lines = (recipes_folder() / f"{name}.yaml").read_text().splitlines()
        assert len(lines) <= 40, name
        longer = [line for line in lines if len(line) > 160]
        if name in LONG_VOCABULARIES:
            assert [line.startswith(LONG_VOCABULARIES[name]) for line in longer] == [True], name
        else:
            assert not longer, name
        needs = read_recipe(name, tmp_path, "here").needs
        assert stage(tmp_path, str(dict.fromkeys(needs, "/data")), f"recipe:{name}").source


def test_the_page_has_a_row_for_every_recipe_and_for_no_other(tmp_path: Path) -> None:
    page = (recipes_folder().parents[1] / "docs" / "recipes.md").read_text().splitlines()
    rows = [page_row(read_recipe(name, tmp_path, "here")) for name in recipe_names()]
    assert [line for line in page if line.startswith("| `")] == rows
