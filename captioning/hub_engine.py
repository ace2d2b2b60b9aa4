"""A vision-language model on this machine: options of the engine `kind: transformers`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from captioning.vlm import VlmOptions, known_pictures
from shards.stage import Context

if TYPE_CHECKING:
    from captioning.vlm import VlmCaptioner


@dataclass(frozen=True, kw_only=True)
class HubEngine(VlmOptions):
    """Any model that `AutoModelForImageTextToText` loads, from a hub or a folder."""

    kind: Literal["transformers"]
    batch: int = 8  # pictures at once
    trust_remote_code: bool = False  # runs Python of the model's makers

    def identity(self, ctx: Context) -> dict[str, str]:
        """Model and prompt behind their names."""
        from captioning.prompts import read_prompt

        prompt = read_prompt(self.prompt, ctx).version
        return {"captioner": self.by(prompt), "model": self.model, "prompt": prompt}

    @contextmanager
    def open(self, ctx: Context) -> Iterator[VlmCaptioner]:
        """The captioner, with the model loaded."""
        from captioning.answer_store import FOLDER, open_store
        from captioning.hub_model import load_model
        from captioning.prompts import read_prompt
        from captioning.vlm import VlmCaptioner

        with open_store(ctx.kept(FOLDER)) as store:
            yield VlmCaptioner(
                self,
                load_model(self, ctx),
                read_prompt(self.prompt, ctx),
                store,
                canaries=known_pictures(self, ctx),
                allows=lambda ask: None,
            )
