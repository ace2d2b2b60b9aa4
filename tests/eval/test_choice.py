"""What an evaluation chooses and what it may say: groups that were trained on, pictures within a limit, the twin."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from eval.apart import apart
from eval.evaluate import Evaluate
from eval.evaluation import blank, choose
from eval.real import RealData
from shards.index import read_index
from training.model_folder import read_model
from training.sampling import load_checkpoint
from training.trained_on import samples_hash

LIGHT: dict[str, Any] = {"spaces": ("radiomics",), "seeds": (0, 5), "samples": 12, "steps": 2, "min_fd_samples": 10}


def test_what_was_trained_on_is_looked_up(bench: Any, slices: Any) -> None:
    """Groups that are in both splits, and shards that the model was not trained on, are said."""

    stage = Evaluate(**{**LIGHT, "train_samples": 2})  # what is cut off was trained on all the same
    model = dict(read_model(bench.model.path).record)

    def said(name: str, **more: Any) -> tuple[str, bool]:
        maker = slices({"train": range(60, 120, 10), "test": range(63, 93, 10)}, **more)
        shards = read_index(maker.write(bench.root, name).path)
        data = RealData([shards], 32)
        chosen = choose(stage, data)
        assert len(chosen.train) == 2
        digest = samples_hash(shards)
        others = {"autoencoder": digest, "denoiser": "another"}
        unknown, fit = apart(chosen, data, {**model, "trained_on": others})
        assert "not known" in unknown or "nobody knows" in unknown or fit
        return apart(chosen, data, {**model, "trained_on": dict.fromkeys(others, digest)})

    words, fit_only = said("apart", group="patient:{split}-{number}")
    assert words.startswith("held-out pictures belong to 3 groups (patient) of which nothing was trained on")
    assert not fit_only
    words, fit_only = said("shared", group="patient:{plane}")
    assert words.startswith("fit, not generalisation: 3 of the 3 groups of the held-out pictures are in the training")
    assert fit_only
    assert "nobody knows" in said("unknown", group="")[0]

    data = RealData([read_index(bench.root / "apart")], 32)
    words, fit_only = apart(choose(stage, data), data, model)
    assert "not known: the training split of these shards is not the one that the autoencoder and the denoiser" in words
    assert not fit_only
    # a model of before this was written down
    assert "not known" in apart(choose(stage, data), data, {})[0]


def test_training_pictures_of_the_kind_that_is_looked_at_are_not_cut_off(bench: Any) -> None:
    """36 training pictures, 12 of them axial: a limit of 12 leaves the axial ones, whatever their names are."""
    stage = Evaluate(**{**LIGHT, "train_samples": 10, "where": {"plane": ("axial",)}, "spaces": ("spectrum",)})
    folder, _ = bench.run(stage, "limited")
    record = json.loads((folder / "metrics.json").read_bytes())
    assert (record["data"]["train"], record["data"]["train_matching"], record["data"]["train_total"]) == (10, 12, 36)
    notes = " ".join(record["notes"])
    assert "the floor is of 10 of the 12 training pictures that match `where` (train_samples)" in notes
    assert "searched among 10 of 36 training pictures" in notes


def test_the_untrained_twin_has_the_same_shape_and_another_seed_is_another_twin(bench: Any) -> None:

    trained = load_checkpoint(bench.model.path)
    twins = [blank(trained, seed) for seed in (0, 0, 1)]
    pictures = [each.sample(["A coronal brain."], [3], steps=2, guidance=1.0) for each in (trained, *twins)]
    assert np.array_equal(pictures[1], pictures[2])
    assert not np.array_equal(pictures[1], pictures[3])
    assert not np.array_equal(pictures[0], pictures[1])
    shapes = [{name: each.shape for name, each in s.net.state_dict().items()} for s in (trained, twins[0])]
    assert shapes[0] == shapes[1]
