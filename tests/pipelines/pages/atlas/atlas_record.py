"""The record of an evaluation, in the evaluation's own classes, so that its schema and the page cannot drift apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eval.record import (
    Copying,
    Estimate,
    Fidelity,
    Pair,
    Probe,
    Prompt,
    Record,
    Row,
    Score,
    SpaceFacts,
    Stratum,
    Summary,
    Verdict,
    over_seeds,
)


def measured(grid: list[dict[str, Any]]) -> Record:
    sets = (
        ("generated", "result", (6.1, 6.4, 6.9)),
        ("training real", "floor", (2.0, 2.0, 2.0)),
        ("untrained model", "ceiling", (41.0, 43.0, 44.0)),
        ("noise", "ceiling", (160.0, 161.0, 163.0)),
    )

    def row(sample: str, role: str, fds: Sequence[float]) -> Row:
        scores = [Score(seed=seed, n=60, fd=fd, kid=fd / 400, recall=0.5 + seed / 10) for seed, fd in enumerate(fds)]
        kid = over_seeds([score.kid for score in scores])
        return Row(
            space="spectrum",
            sample=sample,
            against="held-out real",
            role=role,
            scores=tuple(scores),
            fd=over_seeds(list(fds)),
            kid=kid,
        )

    rows = tuple(row(*one) for one in sets)
    share = Estimate(value=0.75, low=0.6, high=0.85, n=9)
    ranges = {name: row.fd for name, row in zip(("generated", "floor", "untrained", "noise"), rows, strict=True)}
    return Record(
        statement="These figures show fit within one volume and not generalisation.",
        fit_only=True,
        model={"family": "msdm"},
        settings={"steps": 20, "guidance": 1.5},
        data={"held_out": 60},
        versions={},
        prompts=tuple(Prompt(key=one["key"], text=one["prompt"]) for one in grid),
        spaces=(SpaceFacts(name="spectrum", metric="FD", dimensions=64, facts={"weights": "none"}),),
        rows=rows,
        verdicts=(
            Verdict(
                space="spectrum",
                figure="fd",
                **ranges,
                share_of_untrained=0.168,
                share_of_noise=0.043,
                at_most_half=True,
                ranges_overlap=False,
            ),
        ),
        autoencoder=(
            Fidelity(
                stratum="all", n=60, ssim=share, psnr_db=Estimate(value=31.2, low=None, high=None, n=60), ms_ssim=None
            ),
        ),
        copying=(
            Copying(
                space="spectrum",
                train_n=30,
                generated_median=0.4,
                held_out_median=0.8,
                ratio=0.5,
                authentic_share=0.25,
                threshold=0.3,
                flagged_share=share,
                false_positive_rate=Estimate(value=0.05, low=0.01, high=0.1, n=30),
                planted_recall={"flip": Estimate(value=1.0, low=0.9, high=1.0, n=30)},
            ),
        ),
        closest_pairs=tuple(
            Pair(generated=one["generated"][0], train_key=f"key-{at}", train=one["real"], correlation=0.99 - at / 100)
            for at, one in enumerate(grid)
        ),
        probe=Probe(
            attribute="plane",
            classes=("axial", "coronal", "sagittal"),
            train_n=30,
            chance=1 / 3,
            real=Estimate(value=1.0, low=0.9, high=1.0, n=30),
            generated=Estimate(value=0.9666, low=0.9, high=0.99, n=60),
            by_seed=(),
            confusion={"axial": {"axial": 19, "coronal": 1}, "coronal": {"coronal": 20}, "sagittal": {"sagittal": 20}},
        ),
        strata=(Stratum(space="spectrum", column="plane", value="axial", n=20, fd=None, kid=over_seeds([0.02, 0.03])),),
        summaries=(Summary(space="spectrum", column="plane", cells=3, macro_kid=0.02, worst="axial", worst_kid=0.03),),
        notes=("spectrum: fewer samples than dimensions",),
    )
