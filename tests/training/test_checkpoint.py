"""Checkpoints are whole or absent, the newest whole one wins, and one of another run is never continued."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from shards.canonical import sha256_of
from training.checkpoint import Checkpoints, Snapshot

CONFIG = {"lr": 0.1, "loop": {"batch": 8}}


def trained(steps: int, seed: int = 0) -> Snapshot:
    """A network some steps of AdamW away from its start."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.01, fused=True)
    for _ in range(steps):
        net(torch.randn(5, 3)).square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    return Snapshot(net=net, average=nn.Linear(2, 2), optimiser=optimiser, meter={"loss": [0.1 + 0.2, 8]})


def checkpoints(folder: Path, **more: Any) -> Checkpoints:
    return Checkpoints(folder, **{"config": CONFIG, "samples": 100, "keep": 2, **more})


def same(a: Snapshot, b: Snapshot) -> bool:
    states = [
        (each.net.state_dict(), each.average.state_dict(), each.optimiser.state_dict()["state"]) for each in (a, b)
    ]
    nets = all(torch.equal(x, y) for x, y in zip(states[0][0].values(), states[1][0].values(), strict=True))
    averages = all(torch.equal(x, y) for x, y in zip(states[0][1].values(), states[1][1].values(), strict=True))
    slots = all(
        torch.equal(states[0][2][index][slot], states[1][2][index][slot])
        for index in states[0][2]
        for slot in ("step", "exp_avg", "exp_avg_sq")
    )
    return nets and averages and slots and a.meter == b.meter and len(states[0][2]) == len(states[1][2])


def test_what_is_restored_is_what_was_saved_to_the_bit(tmp_path: Path) -> None:
    saved = trained(5)
    checkpoints(tmp_path).save(40, saved)
    fresh = trained(0, seed=1)
    assert checkpoints(tmp_path).restore(fresh) == 40
    assert same(saved, fresh)
    # and it goes on like the other
    for each in (saved, fresh):
        torch.manual_seed(3)
        each.net(torch.randn(5, 3)).square().mean().backward()
        each.optimiser.step()
    assert same(saved, fresh)


def test_only_the_newest_are_kept_and_leftovers_go(tmp_path: Path) -> None:
    (tmp_path / ".tmp-dead").mkdir()
    (tmp_path / ".tmp-dead" / "net.safetensors").write_bytes(b"half")
    for seen in (8, 16, 24):
        checkpoints(tmp_path).save(seen, trained(1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000000016", "000000000024"]


@pytest.mark.parametrize("name", ["net.safetensors", "average.safetensors", "optimiser.safetensors", "manifest.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "missing"])
def test_a_damaged_newest_falls_back_with_a_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, damage: str
) -> None:
    older = trained(1)
    checkpoints(tmp_path).save(8, older)
    checkpoints(tmp_path).save(16, trained(2))
    path = tmp_path / "000000000016" / name
    data = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data if damage == "flip" else data[: len(data) // 2])
    fresh = trained(0)
    with caplog.at_level(logging.WARNING):
        assert checkpoints(tmp_path).restore(fresh) == 8
    assert "000000000016" in caplog.text
    assert same(older, fresh)
    # the next one that is saved takes its place, and the damaged one is not kept in favour of a whole one
    checkpoints(tmp_path).save(16, fresh)
    assert checkpoints(tmp_path).restore(trained(0)) == 16


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_damaged_one_ahead_does_not_push_out_whole_ones_and_goes_when_it_is_passed(tmp_path: Path) -> None:
    checkpoints(tmp_path).save(8, trained(1))
    checkpoints(tmp_path).save(90, trained(2))
    (tmp_path / "000000000090" / "net.safetensors").write_bytes(b"")
    checkpoints(tmp_path).save(16, trained(1))
    assert names(tmp_path) == ["000000000008", "000000000016", "000000000090"]
    assert checkpoints(tmp_path).restore(trained(0)) == 16
    checkpoints(tmp_path).save(96, trained(1))
    checkpoints(tmp_path).save(100, trained(1))
    assert names(tmp_path) == ["000000000096", "000000000100"]


def rewritten(folder: Path, **changes: Any) -> None:
    """Change a manifest and let its hash fit again, as another medloom would have written it."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest = {**{name: value for name, value in manifest.items() if name != "sha256"}, **changes}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "sha256": sha256_of(manifest)}))


@pytest.mark.parametrize("older_one_is_readable", [False, True])
def test_a_checkpoint_of_another_version_is_refused_and_stays(tmp_path: Path, older_one_is_readable: bool) -> None:
    if older_one_is_readable:
        checkpoints(tmp_path).save(8, trained(1))
    rewritten(checkpoints(tmp_path).save(16, trained(2)), version=2)
    before = names(tmp_path)
    with pytest.raises(ValueError, match=r"version 2 and this medloom reads 1: go on with the medloom.*remove"):
        checkpoints(tmp_path).restore(trained(0))
    assert names(tmp_path) == before
    # and whoever saves all the same removes none of them
    for seen in (24, 32, 40):
        checkpoints(tmp_path).save(seen, trained(1))
    assert "000000000016" in names(tmp_path)


def test_where_no_checkpoint_can_be_read_the_run_does_not_begin_anew(tmp_path: Path) -> None:
    for seen in (8, 16):
        checkpoints(tmp_path).save(seen, trained(1))
        (tmp_path / f"{seen:012d}" / "average.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match=r"none of the 2 checkpoints.*average\.safetensors.*to start anew.*remove"):
        checkpoints(tmp_path).restore(trained(0))
    assert names(tmp_path) == ["000000000008", "000000000016"]
    assert checkpoints(tmp_path / "empty").restore(trained(0)) == 0


def test_what_is_not_known_to_be_ours_is_never_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "000000000004").mkdir(parents=True)
    (tmp_path / "000000000004" / "notes.txt").write_text("by hand")
    checkpoints(tmp_path, config={"lr": 7}).save(6, trained(1))
    (tmp_path / "000000000016").mkdir()
    (tmp_path / "000000000016" / "manifest.json").write_text("{")
    for seen in (8, 16, 24, 32):
        checkpoints(tmp_path).save(seen, trained(1))
    kept = names(tmp_path)
    assert kept[:4] == ["000000000004", "000000000006", "000000000024", "000000000032"]
    (aside,) = kept[4:]
    assert aside.startswith("set-aside-000000000016")
    assert (tmp_path / aside / "manifest.json").read_text() == "{"
    assert aside in caplog.text


def test_an_unfinished_run_with_other_settings_is_refused_by_name(tmp_path: Path) -> None:
    checkpoints(tmp_path).save(8, trained(1))
    other = checkpoints(tmp_path, config={"lr": 0.2, "loop": {"batch": 8}})
    with pytest.raises(ValueError, match=r"lr: 0\.1 there, 0\.2 here.*remove"):
        other.restore(trained(0))
    assert (tmp_path / "000000000008").is_dir()


def test_a_finished_run_with_other_settings_gives_way(tmp_path: Path) -> None:
    checkpoints(tmp_path).save(92, trained(1))
    checkpoints(tmp_path).save(100, trained(1))
    other = checkpoints(tmp_path, config={"lr": 0.2})
    assert other.restore(trained(0)) == 0
    other.save(8, trained(1))
    assert [path.name for path in tmp_path.iterdir()] == ["000000000008"]


def test_nothing_in_a_checkpoint_is_pickled(tmp_path: Path) -> None:
    folder = checkpoints(tmp_path).save(8, trained(1))
    assert {path.suffix for path in folder.iterdir()} == {".safetensors", ".json"}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["files"]) == {path.name for path in folder.glob("*.safetensors")}
