"""A finished small pipeline on package data, and a real browser to look at pages with."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipelines.pool import SerialPool
from pipelines.run import RunOptions
from pipelines.run import run as run_pipeline
from pipelines.screen import Screen
from pipelines.spec import PipelineSpec, load
from shards.uri import package_folder

HERE = Path(__file__).parent
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SWITCHES = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
NEEDED = ("nilearn", "skimage", "pydicom", "data_store")


@pytest.fixture(scope="session")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PipelineSpec]:
    """The pipeline of the folder `atlas`, run once in this process."""
    yield from finished(tmp_path_factory.mktemp("atlas"), "atlas", "atlas_stages", "atlas_record")


@pytest.fixture(scope="session")
def sheet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PipelineSpec]:
    """The pipeline of the folder `sheet` on pictures of `atlas`: captions of a source, the template and a model."""
    folder = tmp_path_factory.mktemp("sheet")
    for name in ("atlas_stages.py", "atlas_record.py"):
        shutil.copy(HERE / "atlas" / name, folder)
    for name, colour in (("red", (200, 40, 20)), ("grey", (128, 128, 128))):
        Image.new("RGB", (64, 64), colour).save(folder / f"{name}.png")
    yield from finished(folder, "sheet", "sheet_stages", "atlas_stages", "atlas_record")


def finished(folder: Path, pipeline: str, *modules: str) -> Iterator[PipelineSpec]:
    """A pipeline whose files lie in the folder of its name, run in `folder` with the stages of `modules`."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the package data of {', '.join(missing)} are not installed")
    shutil.copytree(HERE / pipeline, folder, dirs_exist_ok=True)
    shutil.copyfile(package_folder("skimage") / "data" / "cell.png", folder / "Mary-Major.png")
    path = list(sys.path)
    spec = load(folder / "pipelines.yaml", pipeline)
    screen = Screen(quiet=True)
    report = run_pipeline(spec, RunOptions(), lambda: SerialPool(screen.listen), screen)
    assert not report.failed, report.failed
    yield spec
    sys.path[:] = path
    for name in modules:
        sys.modules.pop(name, None)


@dataclass
class Page:
    """What a browser saw of one page."""

    url: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)  # console errors, exceptions, security reports
    value: Any = None

    @property
    def foreign(self) -> list[str]:
        """Requests for anything but the page itself and the data inside it."""
        return [url for url in self.requests if url != self.url and not url.startswith(("data:", "blob:"))]


class Browser:
    """Headless Chromium over its debugging pipe: one JSON message a zero byte, file descriptors 3 and 4."""

    def __init__(self, profile: Path) -> None:
        command_out, command_in = os.pipe()
        answer_out, answer_in = os.pipe()
        self.process = subprocess.Popen(
            [
                *("bash", "-c", f'exec "$@" 3<&{command_out} 4>&{answer_in}', "bash"),
                *(str(CHROMIUM), *SWITCHES, f"--user-data-dir={profile}"),
            ],
            pass_fds=(command_out, answer_in),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(command_out)
        os.close(answer_in)
        self.commands, self.answers = os.fdopen(command_in, "wb"), os.fdopen(answer_out, "rb")
        self.sent = 0
        self.buffer = b""
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.send(f"{domain}.enable", self.session)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            found = os.read(self.answers.fileno(), 1 << 16)
            assert found, "the browser has gone"
            self.buffer += found
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def send(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """One command and its answer; events that come first are kept."""
        self.sent += 1
        message = {"id": self.sent, "method": method, "params": parameters}
        self.commands.write(json.dumps({**message, **({"sessionId": session} if session else {})}).encode() + b"\0")
        self.commands.flush()
        while (answer := self._read()).get("id") != self.sent:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def look(self, path: Path, script: str, width_px: int = 1280, scheme: str = "light") -> Page:
        """Open a page, wait until it is loaded, and evaluate `script`, which may return a promise."""
        page = Page(path.as_uri())
        self.events.clear()
        size = {"width": width_px, "height": 900, "deviceScaleFactor": 1, "mobile": width_px < 600}
        self.send("Emulation.setDeviceMetricsOverride", self.session, **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.send("Emulation.setEmulatedMedia", self.session, features=features)
        self.send("Page.navigate", self.session, url=page.url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())
        answer = self.send(
            "Runtime.evaluate", self.session, expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        page.value = answer["result"].get("value")
        for event in self.events:
            method, parameters = event.get("method"), event.get("params", {})
            if method == "Network.requestWillBeSent":
                page.requests.append(parameters["request"]["url"])
            elif method == "Runtime.exceptionThrown":
                page.complaints.append(parameters["exceptionDetails"]["text"])
            elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
                page.complaints.append(parameters["entry"]["text"])
            elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
                page.complaints.append(str(parameters["args"]))
        return page

    def close(self) -> None:
        """End the browser and wait for it."""
        self.commands.write(b'{"id":0,"method":"Browser.close"}\0')
        self.commands.flush()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.commands.close()
        self.answers.close()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Headless Chromium; skipped with a reason where there is none."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    profile = tmp_path_factory.mktemp("chromium")
    opened = Browser(profile)
    yield opened
    opened.close()
