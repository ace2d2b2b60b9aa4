"""The floors: an import goes down and never up, checking a file imports nothing heavy, and our names are ours alone."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]
PACKAGES = ("shards", "ingest", "captioning", "training", "eval", "pipelines")
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


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def modules(*packages: str) -> list[Path]:
    return [path for package in packages for path in sorted((HOUSE / package).rglob("*.py"))]


def holds_stage(path: Path) -> bool:
    """Whether a class of the module has `contract = Contract(...)`."""
    bodies = [node.body for node in tree(path).body if isinstance(node, ast.ClassDef)]
    return any(
        isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.target.id == "contract"
        for body in bodies
        for line in body
    )


STAGE_MODULES = [path for path in modules(*PACKAGES) if holds_stage(path) and path.name != "stage.py"]


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(HOUSE).with_suffix("").parts).removesuffix(".__init__")


def imported_at_the_top(path: Path) -> set[str]:
    """Top-level packages that a module imports when it is imported; what only a type checker sees is left out."""
    found: set[str] = set()
    stack: list[ast.AST] = list(tree(path).body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            stack += node.orelse
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):  # a function's body waits for its call
            stack += [child for child in ast.iter_child_nodes(node) if isinstance(child, (ast.stmt, ast.ExceptHandler))]
    return found


def loaded_after(code: str) -> set[str]:
    """Which heavy packages are imported after `code` in a fresh process."""
    code += f"\nimport sys\nprint(*sorted(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, cwd=HOUSE.parent
    )
    return set(done.stdout.split())


def test_there_are_stages_to_look_at() -> None:
    assert "shards.pack" in map(dotted, STAGE_MODULES)
    assert len(STAGE_MODULES) >= 5


def test_floor_zero_imports_nothing_heavy() -> None:
    assert (
        loaded_after("import shards, shards.stage, shards.manifest, shards.intake, shards.index, shards.loader")
        == set()
    )


def test_importing_all_stages_imports_nothing_heavy() -> None:
    assert loaded_after("import " + ", ".join(map(dotted, STAGE_MODULES))) == set()


@pytest.mark.parametrize("package", ["requests", "scipy"])
def test_the_check_can_fail(package: str) -> None:
    assert package in loaded_after(f"import shards.stage, {package}")


@pytest.mark.parametrize("path", STAGE_MODULES, ids=dotted)
def test_a_module_with_stages_imports_the_standard_library_and_shards(path: Path) -> None:
    """And what its own floor holds; polars and numpy count as part of `shards`, whose manifest is made of them."""
    own = dotted(path).partition(".")[0]
    assert imported_at_the_top(path) - sys.stdlib_module_names <= {"shards", own, "polars", "numpy"}


def test_that_check_can_fail(tmp_path: Path) -> None:
    module = tmp_path / "stage.py"
    module.write_text(
        "from __future__ import annotations\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n"
        "try:\n    import ray\nexcept ImportError:\n    import av\n"
        "class A:\n    import cv2\n    def f(self):\n        import scipy\n"
    )
    assert imported_at_the_top(module) - sys.stdlib_module_names == {"ray", "av", "cv2"}


def test_the_layers_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " 0 broken." in done.stdout


def test_our_names_are_ours_alone() -> None:
    owners = importlib.metadata.packages_distributions()
    assert {name: set(owners.get(name, ())) for name in PACKAGES} == {name: {"medloom"} for name in PACKAGES}


def binds(path: Path, name: str) -> list[int]:
    """Lines on which a module binds `name`, by whatever statement."""
    lines = []
    for node in ast.walk(tree(path)):
        bound: list[str | None] = []
        if isinstance(node, ast.Import):
            bound = [alias.asname or alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            bound = [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler)):
            bound = [node.name]
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            bound = [node.id]
        elif isinstance(node, ast.arg):
            bound = [node.arg]
        elif isinstance(node, (ast.MatchAs, ast.MatchStar)):
            bound = [node.name]
        if name in bound:
            lines.append(getattr(node, "lineno", 0))
    return lines


def test_nobody_binds_the_name_eval() -> None:
    found = {dotted(path): binds(path, "eval") for path in modules(*PACKAGES, "tests", "benchmarks")}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import eval",
        "import eval.x",
        "import x as eval",
        "from x import eval",
        "eval = 1",
        "for eval in (): pass",
        "def eval(): pass",
        "def f(eval): pass",
        "(eval := 1)",
        "with x as eval: pass",
        "f = lambda eval: 1",
    ],
)
def test_every_way_to_bind_it_is_seen(line: str, tmp_path: Path) -> None:
    module = tmp_path / "x.py"
    module.write_text(line)
    assert binds(module, "eval") == [1]
    module.write_text("from eval.x import y\nmodel.eval()\n")
    tree.cache_clear()
    assert binds(module, "eval") == []


def test_no_module_does_anything_when_it_is_imported() -> None:
    """Statements at the top of a module define things: no call stands there alone, and no loop."""
    allowed = (
        ast.Import,
        ast.ImportFrom,
        ast.FunctionDef,
        ast.AsyncFunctionDef,
        ast.ClassDef,
        ast.Assign,
        ast.AnnAssign,
    )
    found = []
    for path in modules(*PACKAGES):
        for node in tree(path).body:
            text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            guard = isinstance(node, ast.If) and (
                "TYPE_CHECKING" in ast.dump(node.test) or "__main__" in ast.dump(node.test)
            )
            if not (isinstance(node, allowed) or text or guard):
                found.append(f"{dotted(path)}:{node.lineno}")
    assert found == []


def test_every_module_says_what_it_holds() -> None:
    silent = [
        dotted(path) for path in modules(*PACKAGES) if path.read_text().strip() and not ast.get_docstring(tree(path))
    ]
    assert silent == []
