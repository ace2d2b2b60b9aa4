"""A vision-language model behind a server: options of the engine `kind: server`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from captioning.egress import foreign_hosts, refusal
from captioning.vlm import VlmOptions, known_pictures
from shards.stage import Context

if TYPE_CHECKING:
    from captioning.vlm import VlmCaptioner


@dataclass(frozen=True, kw_only=True)
class ServerEngine(VlmOptions):
    """Any server that speaks OpenAI's chat completions: vLLM, SGLang, Ollama, a hosted one."""

    kind: Literal["server"]
    urls: tuple[str, ...]  # of servers with the same model, up to and with /v1; requests are spread over them
    trusted_hosts: tuple[str, ...] = ()  # hosts, beside this machine, that process data for you alone
    in_flight: int = 32  # requests at once, to each url

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.urls:
            raise ValueError("urls: name at least one, such as http://127.0.0.1:8000/v1")
        foreign_hosts(self.urls, self.trusted_hosts)

    def identity(self, ctx: Context) -> dict[str, str]:
        """Prompt behind its name; the model's name and revision are options."""
        from captioning.prompts import read_prompt

        prompt = read_prompt(self.prompt, ctx).version
        return {"captioner": self.by(prompt), "prompt": prompt}

    @contextmanager
    def open(self, ctx: Context) -> Iterator[VlmCaptioner]:
        """The captioner, connected."""
        from captioning.answer_store import FOLDER, open_store
        from captioning.prompts import read_prompt
        from captioning.server_model import connected
        from captioning.vlm import VlmCaptioner

        foreign = foreign_hosts(self.urls, self.trusted_hosts)
        with open_store(ctx.kept(FOLDER)) as store, connected(self, ctx) as model:
            yield VlmCaptioner(
                self,
                model,
                read_prompt(self.prompt, ctx),
                store,
                canaries=known_pictures(self, ctx),
                allows=partial(refusal, foreign=foreign),
            )
