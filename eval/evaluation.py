"""What the evaluation stage does, in order: choose, draw, describe, compare, write.

All samples are chosen before anything is drawn, so what is wrong with the data is said at once. Every set has as many
pictures as there are held-out ones; where real ones do not reach, the row says its own n and a note says why.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.comparison import Comparison, compare
from eval.copies import KINDS, RECONSTRUCTED, planted, through
from eval.describe import Described, describe
from eval.drawing import Drawn, draw_missing, plan_draws, sweep_others
from eval.fidelity import fidelity
from eval.filters import matches
from eval.matching import matched
from eval.pictures import PictureSet, noise, stored
from eval.real import Chosen, RealData, RealSample
from eval.record import Fidelity
from eval.spaces.space import Space
from eval.spaces.table import open_space
from eval.writing import write_report
from shards.index import read_index
from shards.stage import Context, Kind, Output, Result
from shards.vocabulary import SPLITS
from training.model_folder import read_model
from training.sampling import Sampler, load_checkpoint

if TYPE_CHECKING:
    from eval.evaluate import Evaluate

PLANTS = 24  # copies of each kind
MODALITY = "modality"
GROUP = "group"


@dataclass
class Progress:
    """Counts pictures that were drawn or described."""

    ctx: Context
    total: int
    done: int = 0
    what: str = ""

    def __call__(self, count: int) -> None:
        self.ctx.check()
        self.done += count
        self.ctx.on_progress(self.done, self.total, self.what)


def evaluate(stage: Evaluate, inputs: Sequence[Output], ctx: Context) -> Result:
    """Run the stage. Raises ValueError where the inputs cannot be evaluated, and says what to change."""
    sampler = load_checkpoint(denoiser_folder(inputs), at_once=stage.at_once)
    shards = [read_index(output.path) for output in inputs if output.kind is Kind.SHARDS]
    data = RealData(shards, sampler.model.record["shape"]["image_px"])
    chosen = choose(stage, data)
    spaces: list[Space] = [
        open_space(name, stage.resolved(ctx), stage.weights_sha256, sampler.device) for name in stage.spaces
    ]
    sampling = {
        "steps": stage.steps or sampler.defaults["steps"],
        "guidance": stage.guidance if stage.guidance is not None else sampler.defaults["guidance"],
        "method": stage.method,
        "at_once": sampler.at_once,
    }
    n, seeds = len(chosen.held_out), len(stage.seeds)
    real = n + len(chosen.train) + len(chosen.others) + len(chosen.every_held_out)
    copies = len(sources(stage, chosen)) * (len(KINDS) + 1)
    progress = Progress(ctx, total=5 * n * seeds + real + copies)

    drawn = draw(stage, chosen, sampler, sampling, progress)
    progress.what = "autoencoder"
    vae = autoencoder(stage, chosen, data, sampler, progress)
    comparison = look(stage, chosen, data, drawn, spaces, sampler, progress)
    progress.what = "comparing"
    progress(0)
    figures = compare(comparison)

    return write_report(
        ctx.out,
        stage=stage,
        sampler=sampler,
        sampling=sampling,
        spaces=spaces,
        content=[output.content for output in inputs if output.kind is Kind.SHARDS],
        data=data,
        chosen=chosen,
        drawn=drawn,
        vae=vae,
        figures=figures,
    )


def denoiser_folder(inputs: Sequence[Output]) -> Path:
    """The folder of the one input that holds a model that draws."""
    found = [output.path for output in inputs if output.kind is Kind.CHECKPOINT]
    folders = [path for path in found if read_model(path).record["kind"] == "denoiser"]
    if len(folders) != 1:
        raise ValueError(f"{len(folders)} of the inputs draw pictures: give the one `train` stage that is to be judged")
    return folders[0]


def choose(stage: Evaluate, data: RealData) -> Chosen:
    """The real samples; ValueError where a set is too small, naming the option that decides it."""
    held_out = data.choose(splits=(stage.split,), where=stage.where, limit=stage.samples)
    if len(held_out) < 2:
        raise ValueError(
            f"where: {len(held_out)} samples of the split {stage.split} match; an evaluation needs held-out pictures: "
            "hold some out (`ingest.curate`), or look at other ones"
        )
    if silent := [sample.key for sample in held_out if not sample.caption]:
        raise ValueError(f"{silent[0]} and {len(silent) - 1} more have no caption to draw from: run a captioning stage")
    training = data.training(where=stage.where, limit=stage.train_samples)
    if training.matching < 2:
        raise ValueError(
            f"where: {training.matching} of all {training.total} training pictures match, so there is no floor to "
            "compare with: look at pictures of a kind that was trained on"
        )
    others: list[RealSample] = []
    if stage.other_where:
        others = data.choose(splits=SPLITS, where=stage.other_where, limit=len(held_out))
        same = {sample.key for sample in held_out} & {sample.key for sample in others}
        if len(others) < 2 or same:
            raise ValueError(
                f"other_where: {len(others)} samples match, {len(same)} of them are also held out: it has to name real "
                "pictures of other subjects"
            )
    return Chosen(
        held_out=held_out,
        every_held_out=data.choose(splits=(stage.split,), where={}, limit=stage.samples),
        train=training.samples,
        others=others,
        training=training,
    )


def sources(stage: Evaluate, chosen: Chosen) -> list[int]:
    """Places of the training pictures that are planted as copies."""
    return [at for at, sample in enumerate(chosen.train) if matches(sample.facts, stage.where)][:PLANTS]


def blank(sampler: Sampler, seed: int) -> Sampler:
    """The same sampler with a network that has learnt nothing, its weights drawn from `seed`."""
    untrained = copy.copy(sampler)  # shares the encoder and what it has read
    untrained.net = sampler.family.network(seed).eval()
    return untrained


def draw(
    stage: Evaluate,
    chosen: Chosen,
    sampler: Sampler,
    sampling: Mapping[str, Any],
    progress: Progress,
) -> Drawn:
    """Draw what is missing: from the trained network, and from one untrained network a seed."""
    prompts = [sample.caption for sample in chosen.held_out]
    record = sampler.model.record
    common = {**sampling, "model": sampler.model.content, "family": record["family"], "recipe": record["recipe"]}
    drawn = Drawn()
    out = progress.ctx.out
    for seed in stage.seeds:
        drawn.trained[seed] = plan_draws(out / "samples", prompts, seed, {**common, "network": "trained"})
        drawn.untrained[seed] = plan_draws(
            out / "untrained", prompts, seed, {**common, "network": f"untrained, seed {seed}"}
        )
    for what, draws in (("samples", drawn.trained), ("untrained", drawn.untrained)):
        sweep_others(out / what, [each.path for some in draws.values() for each in some])
        progress.what = f"drawing {what}"
        for seed, some in draws.items():
            source = sampler if what == "samples" else blank(sampler, seed)
            draw_missing(source, some, batch=sampler.at_once, before_batch=progress.ctx.check, on_batch=progress)
    return drawn


def autoencoder(
    stage: Evaluate, chosen: Chosen, data: RealData, sampler: Sampler, progress: Progress
) -> list[Fidelity]:
    """Fidelity on all held-out pictures, whatever `where` looks at."""
    samples, seed = chosen.every_held_out, stage.seeds[0]
    alike = matched([sample.facts for sample in samples], [sample.facts for sample in chosen.train], seed)
    return fidelity(
        data.pictures(samples),
        [sample.facts[MODALITY] for sample in samples],
        [sample.facts[GROUP] for sample in samples],
        sampler.family,
        stage.batch,
        progress,
        untrained=sampler.family.untrained_autoencoder(seed),
        neighbours=data.pictures(chosen.train).some(alike.tolist()) if len(alike) == len(samples) else None,
    )


def look(
    stage: Evaluate,
    chosen: Chosen,
    data: RealData,
    drawn: Drawn,
    spaces: Sequence[Space],
    sampler: Sampler,
    progress: Progress,
) -> Comparison:
    """Describe every set of pictures in every space."""

    def described(what: str, pictures: PictureSet, groups: Sequence[str] = ()) -> Described:
        progress.what = f"describing {what}"
        return describe(pictures, spaces, stage.batch, progress, groups=groups)

    def real(what: str, samples: Sequence[RealSample]) -> Described:
        return described(what, data.pictures(samples), [sample.facts[GROUP] for sample in samples])

    n = len(chosen.held_out)
    prompts = [sample.caption for sample in chosen.held_out]  # what several seeds drew for one is not independent
    planted_at = sources(stage, chosen)
    originals = data.pictures(chosen.train).some(planted_at)
    copied_groups = [chosen.train[at].facts[GROUP] for at in planted_at]
    copies = {kind: planted(originals, kind) for kind in KINDS} | {RECONSTRUCTED: through(originals, sampler.family)}
    like = [at for at, sample in enumerate(chosen.train) if matches(sample.facts, stage.where)]
    facts = [sample.facts for sample in chosen.held_out]
    like_facts = [chosen.train[at].facts for at in like]
    return Comparison(
        seeds=stage.seeds,
        min_fd_samples=stage.min_fd_samples,
        held_out=real("held-out pictures", chosen.held_out),
        train=real("training pictures", chosen.train),
        train_like=np.array(like),
        matched={seed: np.array(like)[matched(facts, like_facts, seed)] for seed in stage.seeds},
        others=real("other subjects", chosen.others) if chosen.others else None,
        generated={
            seed: described("samples", stored([each.path for each in draws]), prompts)
            for seed, draws in drawn.trained.items()
        },
        untrained={
            seed: described("the untrained model", stored([each.path for each in draws]), prompts)
            for seed, draws in drawn.untrained.items()
        },
        noise={seed: described("noise", noise(n, data.side_px, seed)) for seed in stage.seeds},
        sources=planted_at,
        plants={kind: described("planted copies", some, copied_groups) for kind, some in copies.items()},
        strata={name: [each.get(name, "") for each in facts] for name in stage.strata},
        train_strata={name: [each.facts.get(name, "") for each in chosen.train] for name in stage.strata},
        probe=stage.probe,
        held_out_values=[each.get(stage.probe or "", "") for each in facts],
        train_values=[each.get(stage.probe or "", "") for each in like_facts],
    )
