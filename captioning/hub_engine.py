"""A vision-language model on this machine: options of the engine `kind: transformers`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from captioning.vlm import VlmOptions, known_pictures
from shards.stage import Context

if TYPE_CHECKING:
    from captioning.vlm import VlmCaptioner


@dataclass(frozen=True, kw_only=True)
class HubEngine(VlmOptions):
    """Any model that `AutoModelForImageTextToText` loads, from a hub or a folder."""

    kind: Literal["transformers"]
    batch: int = field(default=8, metadata={"fingerprint": False})  # pictures at once; fewer where memory runs out
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"  # bfloat16 on a GPU, else float32
    trust_remote_code: bool = False  # runs Python of the model's makers

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch < 1:
            raise ValueError(f"batch: {self.batch} must be 1 or more")
        is_local = self.model.startswith(("/", ".", "~"))
        if self.trust_remote_code and not is_local and not re.fullmatch(r"[0-9a-f]{40}", self.revision):
            raise ValueError("trust_remote_code: name the commit whose code you have read as `revision`, 40 hex digits")

    def identity(self, ctx: Context) -> dict[str, str]:
        """Model and prompt behind their names, known without loading either."""
        from captioning.hub_files import identity_of
        from captioning.prompts import read_prompt

        prompt = read_prompt(self.prompt, ctx).version
        return {"captioner": self.by(prompt), "model": identity_of(self, ctx), "prompt": prompt}

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
