"""A crawl is killed at random moments and run again: nothing is asked twice, and the end is that of a calm crawl."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

COMMAND = Path(sys.executable).with_name("medloom")
ITEMS = 120
PAGES = 16  # of each listing, five items each
KILLS = 10
SPEC = """\
version: 1
pipelines:
  crawl:
    root: out
    key: {{public: test}}
    stages:
      site:
        use: "ingest.scrapers.gallery:Gallery"
        with: {{source: atlas, start: ["{url}/list/0", "{url}/other/0"], next_page: a.next, item: h2 > a,
               fields: {{caption: p}}, caption: caption, modality: XC, specialty: dermatology,
               rights: {{license: CC-BY-4.0}}, stop_after: 1000,
               web: {{contact: a@b.org, loopback: true, every_host: {{min_delay_s: 0, start_delay_s: 0}}}}}}
"""


def fill(site: Any, web: Any) -> None:
    """Two listings; both lead to some of the same items, every seventh picture is gone."""
    for name, first in (("list", 0), ("other", ITEMS // 2)):
        for page in range(PAGES):
            numbers = range(first + page * 5, first + page * 5 + 5)
            items = "".join(f'<h2><a href="/case/{n % ITEMS}">case</a></h2>' for n in numbers)
            site.put(f"/{name}/{page}", f'{items}<a class="next" href="/{name}/{page + 1}">next</a>')
        site.pages[f"/{name}/{PAGES - 1}"] = web.Page(
            b"<h2><a href='/case/1'>one</a></h2>", headers={"Content-Type": "text/html"}
        )
    for number in range(ITEMS):
        site.put(f"/case/{number}", f"<p>Case of a lesion, the {number}th.</p><img src='/p/{number}.jpg'>")
        if number % 7:
            site.put(f"/p/{number}.jpg", web.jpeg(number), "image/jpeg")
    for path, page in site.pages.items():
        site.pages[path] = web.Page(page.body, page.status, page.headers, delay_s=0.05)


def start(folder: Path, site: Any) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    (folder / "pipelines.yaml").write_text(SPEC.format(url=site.url))
    return subprocess.Popen(
        [str(COMMAND), "run", "crawl", "--serial"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def outcome(folder: Path) -> dict[str, Any]:
    """The raw store byte for byte, and the rows, whose uris are below this folder."""
    raw = folder / "out/.store/atlas/raw"
    found: dict[str, Any] = {str(path.relative_to(raw)): path.read_bytes() for path in raw.rglob("*") if path.is_file()}
    for kind in ("parts", "rejects"):
        for path in sorted((folder / "out/site" / kind).glob("*.parquet")):
            rows = pl.read_parquet(path)
            text = rows.write_json().replace(str(folder), "")
            found[f"{kind}/{path.name}"] = text
    return found


@pytest.mark.slow
@pytest.mark.long
def test_killed_at_random_moments(website: Any, web: Any, tmp_path: Path) -> None:
    fill(website, web)
    calm = start(tmp_path / "calm", website)
    out, _ = calm.communicate(timeout=100)
    assert calm.returncode == 0, out.decode()
    whole = website.asked(but_robots=False)
    assert len(whole) == len(set(whole))
    website.log.clear()
    draw = random.Random(7)
    kills = 0
    while kills < KILLS:
        known = len(website.log)
        run = start(tmp_path / "killed", website)
        while len(website.log) <= known and run.poll() is None:
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.15))
        assert run.poll() is None, run.communicate()
        os.kill(run.pid, signal.SIGKILL)
        run.communicate()
        kills += 1
    last = start(tmp_path / "killed", website)
    out, _ = last.communicate(timeout=100)
    assert last.returncode == 0, out.decode()
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "calm")
    asked = website.asked(but_robots=False)
    assert set(asked) == set(whole)
    threads = 8
    assert len(asked) - len(set(asked)) <= kills * threads  # those under way at a kill
    left = [path for path in (tmp_path / "killed/out/.store/atlas/loose").rglob("*") if path.is_file()]
    assert left == []
