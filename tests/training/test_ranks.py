"""Three ranks that are stopped and go on end where three undisturbed ones end, to the bit.

Two ranks would not show it: a sum of two numbers has one order.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

RANKS = 3
SCRIPT = """
import os, sys
from pathlib import Path

import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from shards.draws import draw
from shards.stage import Cancelled
from training.loop import train
from training.settings import LoopSettings
from training.world import World

torch.set_num_threads(1)
size, root = int(sys.argv[1]), Path(sys.argv[2])
rank = next((number for number in range(1, size) if os.fork() == 0), 0)  # what is imported is shared
torch.distributed.init_process_group("gloo", init_method=f"file://{root}/meet", rank=rank, world_size=size)


class Places:
    def __init__(self, positions):
        self.positions, self.keys = positions, [str(each) for each in positions]


class Curve:
    def __init__(self):
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(4, 48), nn.SiLU(), nn.Linear(48, 48), nn.SiLU(), nn.Linear(48, 1))
        self.net.register_parameter("unused", nn.Parameter(torch.ones(3)))

    def losses(self, net, batch, step):
        rows = [draw(0, each, "x").standard_normal(4, dtype="float32") for each in batch.positions]
        x = torch.stack([torch.from_numpy(row) for row in rows])
        return {"error": (net(x)[:, 0] - x.sin().sum(dim=1)) ** 2}


class Shared:
    def batches(self, seen):
        while True:
            mine = range(seen + rank, seen + 12, size)
            yield [Places(mine[:2]), Places(mine[2:])]
            seen += 12

    def held_out(self):
        return []


def run(name, stop_after):
    asked = iter([False] * stop_after + [True] * 1000)
    settings = LoopSettings(samples=120, batch=12, lr=1e-2, ema_halflife_samples=40, weight_decay=0.1)
    world = World(device=torch.device("cpu"), rank=rank, size=size)
    try:
        train(
            Curve(), Shared(), settings, root / name, world,
            config={}, stopping=lambda: next(asked), on_progress=lambda *_: None,
        )
    except Cancelled:
        return


run("whole", 1000)
run("parts", 4)
run("parts", 1000)
torch.distributed.destroy_process_group()
if rank == 0:
    assert [os.wait()[1] for _ in range(1, size)] == [0] * (size - 1)
"""


@pytest.mark.slow
@pytest.mark.long
def test_three_ranks_that_stop_and_go_on_end_as_undisturbed_ones(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    ranks = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(RANKS), str(tmp_path)],
        cwd=root,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        told = ranks.communicate(timeout=120)[1].decode()
    finally:
        if ranks.poll() is None:
            os.killpg(ranks.pid, signal.SIGKILL)
    assert ranks.returncode == 0, told
    lines, files = [], []
    for name in ("whole", "parts"):
        log = [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        lines.append([(line["samples"], line["loss"], line["grad_norm"]) for line in log])
        folder = tmp_path / name / "checkpoints" / f"{120:012d}"
        files.append({path.name: path.read_bytes() for path in folder.glob("*.safetensors")})
    assert len(lines[0]) == 10
    assert lines[0][-1][1] < lines[0][0][1]
    assert lines[0] == lines[1]
    assert files[0] == files[1]
