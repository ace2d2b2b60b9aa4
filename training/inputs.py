"""What the stages of this floor read from their inputs and from options that several of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from shards.index import ShardSet, read_index
from shards.stage import Context, Kind, Output
from training.recipes import Recipe
from training.text_source import TextSource

PICTURE_MEDIA = ("jpg", "png")


class TextOptions(Protocol):
    """The options by which a stage chooses its text encoder; None leaves the recipe's choice."""

    @property
    def text_encoder(self) -> str | None: ...
    @property
    def text_encoder_sha256(self) -> str | None: ...
    @property
    def text_encoder_revision(self) -> str | None: ...
    @property
    def max_tokens(self) -> int | None: ...


def one(inputs: Sequence[Output], *kinds: Kind) -> Output:
    """The one input of one of these kinds; ValueError where there are more or none."""
    found = [output for output in inputs if output.kind in kinds]
    if len(found) != 1:
        names = ", ".join(output.stage for output in found) or "none"
        raise ValueError(f"exactly one input that gives {' or '.join(kinds)} is needed, and `from` has {names}")
    return found[0]


def picture_set(output: Output) -> ShardSet:
    """The shard set of a pack stage; ValueError where it holds no still pictures."""
    shards = read_index(output.path)
    if shards.media not in PICTURE_MEDIA:
        raise ValueError(
            f"{output.stage} holds {shards.media} and this family learns stills: pack with `media: png` or `jpg`"
        )
    return shards


def text_of(recipe: Recipe, options: TextOptions) -> TextSource:
    """The recipe's text encoder with what a stage says otherwise. Another encoder takes no hash from the recipe."""
    own_hash = "" if options.text_encoder else None
    given = {
        "name": options.text_encoder,
        "sha256": own_hash if options.text_encoder_sha256 is None else options.text_encoder_sha256,
        "revision": options.text_encoder_revision,
        "max_tokens": options.max_tokens,
    }
    said: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return replace(recipe.shape.text, **said)


def placed(source: TextSource, ctx: Context) -> TextSource:
    """The encoder with a relative folder read from where the pipelines file lies."""
    return replace(source, name=ctx.resolve(source.name)) if source.name.startswith((".", "~")) else source
