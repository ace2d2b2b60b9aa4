"""The stage on real shards with a really trained tiny model: what it writes, resumes and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eval.evaluate import Evaluate
from shards.canonical import sha256_file
from shards.stage import Cancelled, Output

SMALL: dict[str, Any] = {
    "spaces": ("radiomics", "mobilenetv2-imagenet"),
    "seeds": (0, 5),
    "samples": 12,
    "steps": 2,
    "min_fd_samples": 10,
    "probe": "plane",
    "strata": ("plane", "modality"),
}


LIGHT: dict[str, Any] = {**SMALL, "spaces": ("radiomics",), "probe": None, "strata": ()}


@pytest.fixture(scope="module")
def whole(bench: Any) -> tuple[Path, Any]:
    return bench.run(Evaluate(**SMALL), "whole")


@pytest.fixture(scope="module")
def record(whole: tuple[Path, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((whole[0] / "metrics.json").read_bytes())
    return found


def test_every_score_stands_beside_floor_and_ceiling_at_one_n(record: dict[str, Any]) -> None:
    assert record["schema"] == 1
    spaces = [space["name"] for space in record["spaces"]]
    assert spaces == ["radiomics", "mobilenetv2-imagenet@b0353104"]
    for space in spaces:
        rows = {(row["sample"], row["against"]): row for row in record["rows"] if row["space"] == space}
        assert set(rows) == {
            ("generated", "held-out real"),
            ("matched training real", "held-out real"),
            ("training real", "held-out real"),
            ("training real", "training real"),
            ("untrained model", "held-out real"),
            ("noise", "held-out real"),
        }
        for row in rows.values():
            assert [score["seed"] for score in row["scores"]] == [0, 5]
            assert {score["n"] for score in row["scores"]} == {12}
            assert row["fd"]["low"] <= row["fd"]["mean"] <= row["fd"]["high"]
        floor, ceiling = rows["matched training real", "held-out real"], rows["noise", "held-out real"]
        assert floor["fd"]["high"] < 0.3 * ceiling["fd"]["low"]
        assert floor["kid"]["high"] < ceiling["kid"]["low"]
        scores = rows["generated", "held-out real"]["scores"]
        assert scores[0]["fd_low"] < scores[0]["fd"] < scores[0]["fd_high"]
        assert {space["metric"] for space in record["spaces"]} == {"FD"}
        verdict = next(each for each in record["verdicts"] if each["space"] == space)
        assert verdict["figure"] == "fd"
        assert verdict["share_of_noise"] == pytest.approx(
            rows["generated", "held-out real"]["fd"]["high"] / ceiling["fd"]["low"], rel=1e-4
        )


def test_the_record_says_how_it_was_made(record: dict[str, Any]) -> None:
    assert record["settings"]["steps"] == 2
    assert record["settings"]["guidance"] == 2.0  # the recipe's
    assert record["settings"]["seeds"] == [0, 5]
    assert len(record["prompts"]) == 12
    assert all(prompt["text"].startswith("A ") for prompt in record["prompts"])
    assert record["spaces"][1]["facts"]["resize"].startswith("bicubic, antialiased")
    assert len(record["spaces"][1]["facts"]["weights"]) == 64
    assert set(record["versions"]) >= {"torch", "numpy", "diffusers"}
    assert record["data"]["held_out"] == 12
    assert record["data"]["train"] == 36
    assert not record["fit_only"]
    assert record["statement"].startswith(
        "held-out pictures belong to 12 groups (patient) of which nothing was trained"
    )
    assert record["settings"]["at_once"] == 4
    assert any("12 samples in 1280 dimensions" in note for note in record["notes"])
    assert any("2 seeds are too few" in note for note in record["notes"])


def test_autoencoder_copies_probe_and_strata_are_there(record: dict[str, Any]) -> None:
    (fidelity,) = record["autoencoder"]
    assert fidelity["n"] == 12
    assert 0 < fidelity["ssim"]["low"] < fidelity["ssim"]["value"] < fidelity["ssim"]["high"] < 1
    assert fidelity["psnr_db"]["value"] > 8
    assert fidelity["ms_ssim"] is None
    assert fidelity["untrained"]["ssim"]["value"] < fidelity["ssim"]["value"]
    assert 0 < fidelity["neighbour"]["ssim"]["low"] < fidelity["neighbour"]["ssim"]["high"] < 1
    assert [each["space"] for each in record["copying"]] == ["radiomics", "mobilenetv2-imagenet@b0353104", "pixels"]
    for each in record["copying"]:
        assert each["planted_recall"]["exact"]["value"] == 1
        assert set(each["planted_recall"]) == {
            "exact",
            "mirrored",
            "cropped",
            "brighter",
            "darker",
            "reconstructed",
        }
    probe = record["probe"]
    assert probe["classes"] == ["axial", "coronal", "sagittal"]
    assert probe["real"]["value"] > 0.9
    assert probe["generated"]["n"] == 24
    assert sum(sum(named.values()) for named in probe["confusion"].values()) == 24
    by_plane = [cell for cell in record["strata"] if cell["column"] == "plane"]
    assert sum(cell["n"] for cell in by_plane) == 2 * 12
    assert all(cell["kid"] is None for cell in by_plane)  # fewer than 10 in a cell
    by_modality = [cell for cell in record["strata"] if cell["column"] == "modality"]
    for cell in by_modality:
        assert cell["floor_kid"]["mean"] < cell["untrained_kid"]["mean"]
        assert cell["share_of_untrained"] == pytest.approx(
            cell["kid"]["mean"] / cell["untrained_kid"]["mean"], rel=1e-4
        )


def test_pictures_lie_where_the_grid_says_and_generated_ones_say_so(whole: tuple[Path, Any], bench: Any) -> None:
    folder, result = whole
    grid = json.loads((folder / "grid.json").read_bytes())
    assert len(grid) == 12
    for place, entry in enumerate(grid):
        assert entry["generated"] == [f"samples/{place}-0.png", f"samples/{place}-5.png"]
        for path in entry["generated"]:
            with Image.open(folder / path) as picture:
                assert picture.text["synthetic"] == "true"  # type: ignore[attr-defined]
                settings = json.loads(picture.text["settings"])  # type: ignore[attr-defined]
            assert settings["prompt"] == entry["prompt"]
        with Image.open(folder / entry["real"]) as picture:
            assert "synthetic" not in picture.text  # type: ignore[attr-defined]
            real = np.asarray(picture)
        plane, number = entry["key"].split("-")[1:]
        assert entry["prompt"] == f"A {plane} brain MRI image, slice {int(number)}."
        assert real.shape == (32, 32, 3)
    pairs = json.loads((folder / "metrics.json").read_bytes())["closest_pairs"]
    assert pairs
    assert all((folder / pair["train"]).is_file() and (folder / pair["generated"]).is_file() for pair in pairs)
    values = [pair["correlation"] for pair in pairs]
    assert values == sorted(values, reverse=True)
    listed = {file.path: file.sha256 for file in result.files}
    assert all(sha256_file(folder / path) == digest for path, digest in listed.items())
    on_disk = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert on_disk == set(listed)


def test_the_page_has_every_figure_beside_its_n(whole: tuple[Path, Any], record: dict[str, Any]) -> None:
    page = (whole[0] / "metrics.md").read_text()
    assert record["statement"] in page
    for words in (
        "generated against held-out real",
        "untrained model",
        "noise",
        "SSIM",
        "planted",
        "an untrained autoencoder",
        "a matched real training picture",
        "KID of matched real",
        "named axial",
        "mean KID",
    ):
        assert words in page
    assert "FID" not in page
    assert "nan" not in page.lower().replace("nano", "")


def test_running_again_draws_nothing_writes_the_same_bytes_and_opens_no_socket(bench: Any, no_network: None) -> None:
    folder, result = bench.run(Evaluate(**LIGHT), "again")
    drawn = [path for name in ("samples", "untrained") for path in (folder / name).glob("*.png")]
    before = {path: (path.stat().st_mtime_ns, sha256_file(path)) for path in drawn}
    assert len(before) == 48
    metrics = (folder / "metrics.json").read_bytes()
    (folder / "samples" / "99-0.png").write_bytes(b"left by other settings")
    (folder / "metrics.json").unlink()
    _, again = bench.run(Evaluate(**LIGHT), "again")
    assert again.content == result.content
    assert (folder / "metrics.json").read_bytes() == metrics
    assert all((path.stat().st_mtime_ns, sha256_file(path)) == before[path] for path in drawn)
    assert not (folder / "samples" / "99-0.png").exists()


def test_an_interrupted_run_goes_on_and_ends_as_an_undisturbed_one(whole: tuple[Path, Any], bench: Any) -> None:
    told: list[tuple[int, int, str]] = []

    def stop() -> bool:
        return len(told) > 3

    with pytest.raises(Cancelled):
        bench.run(
            Evaluate(**{**LIGHT, "batch": 4}),
            "stopped",
            on_progress=lambda *args: told.append(args),
            is_cancelled=stop,
        )
    folder = bench.root / "stopped"
    left = {path.name: path.stat().st_mtime_ns for path in (folder / "samples").glob("*.png")}
    assert 0 < len(left) < 24
    (folder / "samples" / "0-0.png").write_bytes((folder / "samples" / "0-0.png").read_bytes()[:200])  # torn
    told.clear()
    bench.run(Evaluate(**{**LIGHT, "batch": 4}), "stopped", on_progress=lambda *args: told.append(args))
    for path in (whole[0] / "samples").glob("*.png"):
        assert (folder / "samples" / path.name).read_bytes() == path.read_bytes()
    kept = [name for name in left if name != "0-0.png"]
    assert all((folder / "samples" / name).stat().st_mtime_ns == left[name] for name in kept)
    done, total, _ = told[-1]
    assert done == total


def test_other_settings_draw_again(whole: tuple[Path, Any], bench: Any, tmp_path: Path) -> None:
    from eval.drawing import plan_draws, written_settings

    path = whole[0] / "samples" / "0-0.png"
    settings = written_settings(path)
    assert settings is not None
    common = {name: value for name, value in settings.items() if name not in ("prompt", "seed")}
    (same,) = plan_draws(path.parent, [settings["prompt"]], 0, common)
    assert same.settings == settings
    (other,) = plan_draws(path.parent, [settings["prompt"]], 0, {**common, "steps": 3})
    assert other.settings != settings
    (plain,) = [tmp_path / "plain.png"]
    Image.new("RGB", (4, 4)).save(plain)
    assert written_settings(plain) is None
    assert written_settings(tmp_path / "absent.png") is None


def test_slices_of_a_volume_that_was_trained_on_are_labelled_fit(bench: Any, slices: Any) -> None:
    maker = slices({"train": range(60, 120, 10), "test": range(63, 93, 10)}, group="slab:{plane}-{split}")
    shards: Output = maker.write(bench.root, "slabs")
    others: Output = slices(
        {"train": range(70, 100, 10)}, source="other", group="patient:{plane}", change=lambda pixels: pixels // 4
    ).write(bench.root, "others")
    small = {**LIGHT, "spaces": ("spectrum",), "seeds": (3,)}
    stage = Evaluate(**{**small, "where": {"source": ("mni_t1",)}, "other_where": {"source": ("other",)}})
    folder, _ = bench.run(stage, "slab", bench.model, shards, others)
    record = json.loads((folder / "metrics.json").read_bytes())
    assert record["fit_only"]
    assert record["statement"].startswith("fit, not generalisation")
    assert record["statement"] in (folder / "metrics.md").read_text()
    rows = {(row["sample"], row["against"]): row for row in record["rows"]}
    assert rows["real of other subjects", "held-out real"]["role"] == "other subjects"
    assert rows["generated", "real of other subjects"]["scores"][0]["n"] == 9
    assert (
        rows["matched training real", "held-out real"]["kid"]["mean"]
        < rows["real of other subjects", "held-out real"]["kid"]["mean"]
    )
    assert all(row["fd"] is None for row in record["rows"])  # 9 samples
    assert record["verdicts"][0]["figure"] == "kid"
    assert any("9 of the 9 pictures of other subjects are in the training split" in note for note in record["notes"])
    assert any("of 3 groups: too few for an interval" in note for note in record["notes"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"where": {"source": ("nobody",)}}, "0 samples of the split test match"),
        ({"where": {"source": ("mni_t1",), "position_mm": ("63.0", "75.0")}}, "0 of all 36 training pictures match"),
        ({"where": {"plane": ("axial",)}, "probe": "plane"}, "1 values of plane"),
        ({"other_where": {"plane": ("axial",)}}, "also held out"),
    ],
)
def test_what_cannot_be_evaluated_is_said(bench: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bench.run(Evaluate(**{**LIGHT, **change}), "refused")


def test_pictures_of_another_size_and_models_that_do_not_draw_are_refused(bench: Any, slices: Any) -> None:
    larger = slices({"train": range(60, 64), "test": range(66, 69)}, side_px=48).write(bench.root, "larger")
    with pytest.raises(ValueError, match=r"48 x 48 px and the model draws 32 x 32.*square-32"):
        bench.run(Evaluate(**LIGHT), "larger-report", bench.model, larger)
    vae = Output(stage="vae", kind=bench.model.kind, path=bench.root / "vae", content="")
    with pytest.raises(ValueError, match="0 of the inputs draw"):
        bench.run(Evaluate(**LIGHT), "vae-report", vae, bench.shards)
    with pytest.raises(ValueError, match="is in two of the inputs"):
        bench.run(Evaluate(**LIGHT), "twice", bench.model, bench.shards, bench.shards)
