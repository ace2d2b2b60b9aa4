"""Our package names are common: a user's folder may hold its own, in the checkout and after a plain install alike."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

HOUSE = Path(__file__).resolve().parents[2]
PACKAGES = ("shards", "ingest", "captioning", "training", "eval", "pipelines")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command in an environment into which the repository's wheel was installed; it sees our other packages."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    for name in PACKAGES:
        shutil.copytree(HOUSE / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(HOUSE / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    wheels = folder / "wheels"
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, source], check=True)
    environment = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin/python"
    (wheel,) = wheels.iterdir()
    subprocess.run([*pip, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")  # behind our own, and its .pth are not read
    found = subprocess.run(
        [python, "-P", "-c", "import pipelines.cli, eval; print(pipelines.cli.__file__, eval.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    assert all(Path(path).is_relative_to(site) for path in found.stdout.split())
    return environment / "bin/medloom"


def test_the_users_packages_would_be_noticed(toy: Any) -> None:
    for name in ("training", "eval", "ingest"):
        code = f"import sys; sys.path.insert(0, {str(toy.folder)!r}); import {name}"
        done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
        assert f"the user has a package {name} of their own" in done.stderr


@pytest.mark.slow
@pytest.mark.long
def test_a_pipeline_with_own_stages_runs_after_a_plain_install(toy: Any, installed: Path) -> None:
    toy.words(a="one; two", b="three; bad")
    calm = toy.copy("calm")
    calm.go()
    assert toy.process("plan", "toy", command=installed).returncode == 0
    toy.process("run", "toy", "--serial", command=installed)
    assert toy.snapshot() == calm.snapshot()
    shutil.rmtree(toy.root)
    toy.process("run", "toy", "--workers", "1", command=installed)  # on Ray
    assert toy.snapshot() == calm.snapshot()


def test_a_pipeline_of_ours_runs_from_that_folder(toy: Any) -> None:
    """A stage of `ingest` is ours, not the user's."""
    from PIL import Image

    Image.linear_gradient("L").resize((9, 9)).save(toy.folder / "a.png")
    (toy.folder / "table.csv").write_text("file,caption,patient\na.png,A picture of tissue.,p1\n")
    toy.write("""\
version: 1
pipelines:
  toy:
    root: out
    key: {public: toy}
    stages:
      pictures:
        use: "ingest.converters.table_images:TableImages"
        with: {source: pictures, table: table.csv, path: ., image: file, caption: caption, patient: patient,
               modality: SM, specialty: pathology, probe: true, rights: {license: CC0-1.0}}
      say: {use: "toy_stages:Say", from: [pictures]}
""")
    assert json.loads(toy.run("--json").stdout)["done"] == {"pictures": 1, "say": 1}


@pytest.mark.slow
@pytest.mark.long
def test_two_processes_train_from_that_folder(toy: Any) -> None:
    """Their modules are ours, and not the user's `training`, in whose folder the command is run."""
    import numpy as np
    from PIL import Image

    draw = np.random.default_rng(0)
    lines = ["file,caption,patient"]
    for i in range(40):
        Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(toy.folder / f"{i}.png")
        lines.append(f"{i}.png,Picture {i} of tissue.,p{i}")
    (toy.folder / "table.csv").write_text("\n".join(lines) + "\n")
    toy.write("""\
version: 1
pipelines:
  toy:
    root: out
    key: {public: toy}
    stages:
      pictures:
        use: "ingest.converters.table_images:TableImages"
        with: {source: pictures, table: table.csv, path: ., image: file, caption: caption, patient: patient,
               modality: SM, specialty: pathology, probe: true, rights: {license: CC0-1.0}}
      curate: {use: "ingest.curate:Curate", from: [pictures], with: {allow_licenses: [CC0-1.0]}}
      pack: {use: "shards.pack:PackShards", from: [curate], with: {preset: square-32, media: png}}
      vae: {use: "training.train_vae:TrainVae", from: [pack],
            with: {recipe: msdm-tiny, samples: 32, held_out_samples: 2, processes: 2}}
""")
    toy.process("run", "toy", "--serial")
    assert (toy.root / "vae/model").is_dir()
    log = [json.loads(line) for line in next(toy.root.glob("vae/log*.jsonl")).read_text().splitlines()]
    assert [line["samples"] for line in log if "loss" in line] == [8, 16, 24, 32]


def test_a_package_of_ours_name_on_the_path_is_refused(toy: Any) -> None:
    done = toy.process("plan", "toy", rc=2, env={**os.environ, "PYTHONPATH": str(toy.folder)})
    assert done.stderr.startswith("medloom: the package `")
    assert done.stderr.endswith(f"comes from {toy.folder}, not from {HOUSE}; take that folder off PYTHONPATH\n")
