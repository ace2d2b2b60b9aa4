"""The how-to pages are run: files named in comments are written, `sh` blocks executed, links checked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
FILE = re.compile(r"<!-- file: (\S+) -->\n```\w*\n(.*?)```", re.DOTALL)
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")


@pytest.mark.parametrize("page", [p for p in PAGES if SHELL.search(p.read_text())], ids=lambda p: p.stem)
@pytest.mark.slow
def test_page_runs(page: Path, tmp_path: Path) -> None:
    text = page.read_text()
    for name, content in FILE.findall(text):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for block in SHELL.findall(text):
        done = subprocess.run(  # noqa: PLW1510  # the assertion shows the output
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{page.name}:\n{block}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize(
    "page",
    [*PAGES, *sorted((ROOT / "docs" / "decisions").glob("*.md")), *sorted(ROOT.glob("*.md"))],
    ids=lambda p: p.name,
)
def test_links_lead_somewhere(page: Path) -> None:
    dead = [target for target in LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert dead == []


def test_readme_names_every_command() -> None:
    from pipelines.cli import app

    commands = {c.name or c.callback.__name__ for c in app.registered_commands if not c.hidden and c.callback}
    readme = (ROOT / "README.md").read_text()
    assert {name for name in commands if f"medloom {name}" not in readme} == set()
