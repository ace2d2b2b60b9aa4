"""The report's files: pictures, `grid.json`, `metrics.json`, `metrics.md`; and what the record says besides figures."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.apart import apart
from eval.comparison import Figures
from eval.drawing import Drawn, sweep_others
from eval.filters import words
from eval.page import markdown
from eval.real import Chosen, RealData
from eval.record import Fidelity, Pair, Prompt, Record, SpaceFacts
from eval.spaces.space import Pictures, Space
from eval.spaces.table import SPACES
from shards.atomic import write_bytes, write_json
from shards.canonical import sha256_file, sha256_of
from shards.stage import OutputFile, Result
from training.sampling import Sampler

if TYPE_CHECKING:
    from eval.evaluate import Evaluate

GRID = 48  # prompts that are shown beside their real pictures
LIBRARIES = ("medloom", "diffusers", "numpy", "torch", "transformers")


def write_report(
    out: Path,
    *,
    stage: Evaluate,
    sampler: Sampler,
    sampling: Mapping[str, Any],
    spaces: Sequence[Space],
    content: Sequence[str],
    data: RealData,
    chosen: Chosen,
    drawn: Drawn,
    vae: Sequence[Fidelity],
    figures: Figures,
) -> Result:
    """Write everything but the generated pictures, which are there; the record last."""
    real = write_grid(out, chosen, data, drawn)
    pairs = write_neighbours(out, figures, chosen, data, drawn)
    model = sampler.model.record
    statement, fit_only = apart(chosen, data, model)
    record = Record(
        statement=statement,
        fit_only=fit_only,
        model={
            "content": sampler.model.content,
            "family": model["family"],
            "recipe": model["recipe"],
            "samples_trained": model["training"]["samples"],
        },
        settings={
            **sampling,
            "seeds": list(stage.seeds),
            "where": words(stage.where),
            "other_where": words(stage.other_where) if stage.other_where else "",
            "split": stage.split,
            "min_fd_samples": stage.min_fd_samples,
            "batch": stage.batch,
        },
        data={
            "shards": list(content),
            "image_px": data.side_px,
            "media": ", ".join(sorted({shard_set.media for shard_set in data.sets})),
            "held_out": len(chosen.held_out),
            "held_out_groups": len({sample.facts["group"] for sample in chosen.held_out}),
            "train": len(chosen.train),
            "train_total": chosen.training.total,
            "train_matching": chosen.training.matching,
            "others": len(chosen.others),
        },
        versions={name: version(name) for name in LIBRARIES},
        prompts=tuple(Prompt(key=sample.key, text=sample.caption) for sample in chosen.held_out),
        spaces=tuple(
            SpaceFacts(name=space.name, metric=SPACES[name].metric, dimensions=space.dimensions, facts=space.facts)
            for name, space in zip(stage.spaces, spaces, strict=True)
        ),
        rows=tuple(figures.rows),
        verdicts=tuple(figures.verdicts),
        autoencoder=tuple(vae),
        copying=tuple(figures.copying),
        closest_pairs=tuple(pairs),
        probe=figures.probe,
        strata=tuple(figures.strata),
        summaries=tuple(figures.summaries),
        notes=(*figures.notes, *notes(stage, chosen)),
    )
    write_bytes(out / "metrics.md", markdown(record).encode())
    write_json(out / "metrics.json", record.document())
    generated = [draw.path for draws in (drawn.trained, drawn.untrained) for some in draws.values() for draw in some]
    shown = {out / pair.train for pair in pairs}
    written = [*generated, *real, *shown, *(out / name for name in ("grid.json", "metrics.json", "metrics.md"))]
    files = [_file(path, out) for path in sorted(written)]
    return Result(content=sha256_of([(file.path, file.sha256) for file in files]), files=files)


def write_grid(out: Path, chosen: Chosen, data: RealData, drawn: Drawn) -> list[Path]:
    """The first GRID prompts with their real pictures, and `grid.json`, which points at them; returns the pictures."""
    held_out = data.pictures(chosen.held_out[:GRID])
    entries, real = [], []
    for place, key in enumerate(held_out.keys):
        real.append(write_png(out / "real" / f"{place}.png", held_out.load(place)))
        entries.append(
            {
                "prompt": chosen.held_out[place].caption,
                "key": key,
                "real": _below(real[-1], out),
                "generated": [_below(draws[place].path, out) for draws in drawn.trained.values()],
            }
        )
    sweep_others(out / "real", real)
    write_json(out / "grid.json", entries)
    return real


def write_neighbours(out: Path, figures: Figures, chosen: Chosen, data: RealData, drawn: Drawn) -> list[Pair]:
    """The closest pairs, their training pictures as files."""
    train = data.pictures(chosen.train)
    pairs = []
    for seed, place, twin, correlation in figures.closest:
        path = write_png(out / "neighbours" / f"{train.keys[twin]}.png", train.load(twin))
        pairs.append(
            Pair(
                generated=_below(drawn.trained[seed][place].path, out),
                train_key=train.keys[twin],
                train=_below(path, out),
                correlation=correlation,
            )
        )
    sweep_others(out / "neighbours", [out / pair.train for pair in pairs])
    return pairs


def notes(stage: Evaluate, chosen: Chosen) -> list[str]:
    """What a reader has to know of the choice of samples."""
    said = []
    training = chosen.training
    if training.total > len(chosen.train):
        said.append(
            f"nearest neighbours were searched among {len(chosen.train)} of {training.total} training pictures; "
            "copies of the others are not seen (train_samples)"
        )
    if training.matching > len(chosen.train):
        said.append(
            f"the floor is of {len(chosen.train)} of the {training.matching} training pictures that match `where` "
            "(train_samples)"
        )
    if trained_on := sum(sample.split == "train" for sample in chosen.others):
        said.append(f"{trained_on} of the {len(chosen.others)} pictures of other subjects are in the training split")
    if len(stage.seeds) < 3:
        said.append(f"{len(stage.seeds)} seeds are too few for a range: use three or more")
    return said


def write_png(path: Path, pixels: Pictures) -> Path:
    """Write a real picture as it is; it carries no mark, since it is not synthetic."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    write_bytes(path, buffer.getvalue())
    return path


def _below(path: Path, out: Path) -> str:
    return path.relative_to(out).as_posix()


def _file(path: Path, out: Path) -> OutputFile:
    return OutputFile(path=_below(path, out), size_bytes=path.stat().st_size, sha256=sha256_file(path))
