"""Listing a million files in class folders to units: seconds, files a second, and memory.

    python benchmarks/listing.py [--files 1000000] [--classes 1000]

Files are hard links to one empty file in class folders. The peer is `os.walk` with one `stat` a file, which is the
least that any listing with sizes and times must do; both run in processes of their own, so that peaks compare.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OURS, WALK = "ours", "walk"


def tree(root: Path, files: int, classes: int) -> None:
    seed = root / "empty"
    seed.write_bytes(b"")
    for number in range(classes):
        folder = root / "set" / f"class_{number:04d}"
        folder.mkdir(parents=True)
        for index in range(files // classes):
            if index % 30_000 == 0:  # a file has at most 65,000 names on some file systems
                seed = folder / f"{index:07d}.jpg"
                seed.write_bytes(b"")
            else:
                os.link(seed, folder / f"{index:07d}.jpg")


def ours(root: Path) -> tuple[int, int]:
    from ingest.columns import LabelList
    from ingest.converters.folder_files import FolderFiles
    from ingest.rights import Rights
    from shards.stage import Context

    stage = FolderFiles(
        source="classes",
        rights=Rights(license="CC0-1.0"),
        path=str(root / "set"),
        modality="ES",
        specialty="gastroenterology",
        parts={"path": "^(?P<class>[^/]+)/"},
        label_lists=(LabelList(column="class"),),
    )
    units = files = 0
    for unit in stage.units(Context(root=root, out=root, tmp=root, folder=root)):
        units, files = units + 1, files + unit.items
    return units, files


def walk(root: Path) -> tuple[int, int]:
    files = 0
    for folder, _, names in os.walk(root / "set"):
        for name in names:
            os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118
            files += 1
    return 0, files


def measured(what: str, root: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--child", what, str(root)], check=True, capture_output=True, text=True
    )
    return dict(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--child", nargs=2)
    options = parser.parse_args()
    if options.child:
        what, root = options.child[0], Path(options.child[1])
        started = time.perf_counter()
        units, files = {OURS: ours, WALK: walk}[what](root)
        seconds = time.perf_counter() - started
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"units": units, "files": files, "seconds": seconds, "peak_mb": peak_mb}))
        return
    folder = Path(tempfile.mkdtemp())
    try:
        for files in (options.files // 10, options.files):
            root = folder / str(files)
            root.mkdir()
            tree(root, files, options.classes)
            walk(root)  # both find the folders in the cache of the system
            for what in (WALK, OURS):
                found = measured(what, root)
                print(
                    f"{what}: {found['files']:,} files, {found['units']:,} units, {found['seconds']:.1f} s, "
                    f"{found['files'] / found['seconds']:,.0f} files/s, peak {found['peak_mb']:.0f} MB",
                    flush=True,
                )
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
